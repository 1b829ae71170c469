"""Completion in zsh and fish, asked as a person asks: what the shells offer for a line. Bash is in cli_usage_test.py."""
import os
import pty
import select
import shutil
import subprocess
import time

from cli_rig import DEADLINE, Failure, check, equal, main

# What completion adds is written down before it is shown; Ctrl-G ends a question.
ZSHRC = """
fpath=({folder} $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {{
    local -a found
    if [[ ${{@[1,(i)(-|--)]}} != *-(O|A|D)\\ * ]]; then
        builtin compadd -O found "$@"
        print -rl -- $found >> {folder}/found
    fi
    builtin compadd "$@"
}}
asked() {{
    BUFFER=
    print -n -- "<""asked"">" > /dev/tty
}}
zle -N asked
bindkey '^G' asked
PROMPT=
print -- "<""ready"">"
"""


class Zsh:
    """An interactive zsh on a terminal of its own."""

    def __init__(self, p, env):
        self.folder = p.folder
        p.write(".zshrc", ZSHRC.format(folder=p.folder))
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(p.folder)
            os.execvpe("zsh", ["zsh", "-d", "-i"], {**env, "ZDOTDIR": p.folder, "TERM": "dumb"})
        self.until(b"<ready>")

    def until(self, text):
        said, end = b"", time.monotonic() + DEADLINE
        while text not in said:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure(f"zsh never said {text!r}: {said!r}")
            said += os.read(self.fd, 65536)

    def completes(self, line):
        with open(os.path.join(self.folder, "found"), "w"):
            pass
        os.write(self.fd, line.encode() + b"\t\x07")
        self.until(b"<asked>")
        with open(os.path.join(self.folder, "found")) as f:
            return sorted(set(f.read().split()))

    def end(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def two_runs(p):
    p.serve()
    p.ok("start", "listening", "-w", "first-1")
    p.ok("start", "listening", "-w", "first-2")
    p.stop()
    p.ok("start", "listening", "-w", "elsewhere", "--db", p.path("second.db"))
    p.write("notes-1", "")
    p.write("notes-2", "")
    return {**p.env, "PATH": f"{os.path.dirname(p.pawl)}:{p.env['PATH']}", "XDG_CONFIG_HOME": p.folder, "XDG_DATA_HOME": p.folder}


def offers(completes):
    """The same in each shell."""
    equal(completes("pawl de"), ["describe"])
    equal(completes("pawl list -o "), ["json", "jsonl", "text"])
    equal(completes("pawl help ver"), ["verify", "version"])
    equal(completes("pawl describe "), ["first-1", "first-2"])
    equal(completes("pawl describe --db second.db "), [])  # its start is kept: no run yet
    equal(completes("pawl wait "), ["first-1", "first-2", "list", "show"])
    equal(completes("pawl wait show "), ["first-1", "first-2"])
    equal(completes("pawl -o json result -w "), ["first-1", "first-2"])
    equal(completes("pawl start --id-"), ["--id-conflict-policy", "--id-reuse-policy"])
    equal(completes("pawl list --mod"), [])
    equal(completes("pawl verify --db no"), ["notes-1", "notes-2"])
    equal(completes("pawl backup no"), ["notes-1", "notes-2"])


def it_completes_in_fish(p):
    if shutil.which("fish") is None:
        print("        (skipped: fish is not here)")
        return
    env = two_runs(p)
    script = p.write("pawl.fish", p.ok("help", "--completion", "fish").out)

    def asked(line):
        done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], capture_output=True, text=True, env=env,
                              cwd=p.folder, stdin=subprocess.DEVNULL, check=False)
        equal((done.returncode, done.stderr), (0, ""), line)
        return dict(one.partition("\t")[::2] for one in done.stdout.splitlines())

    offers(lambda line: sorted(asked(line)))
    equal(asked("pawl de"), {"describe": "show one run: state, times, what it waits for"})
    equal(asked("pawl --db x.db result --t"), {"--timeout": "how long to wait: 500ms, 30s, 5m, 2h, 3d; default: for ever",
                                               "--time-format": "how text shows times: \"3 min ago\", 2026-01-31T12:00:00Z, or milliseconds since 1970"})


def it_completes_in_zsh(p):
    if shutil.which("zsh") is None:
        print("        (skipped: zsh is not here)")
        return
    env = two_runs(p)
    p.write("_pawl", p.ok("help", "--completion", "zsh").out)
    done = subprocess.run(["zsh", "-n", p.path("_pawl")], capture_output=True, text=True, check=False)
    equal((done.returncode, done.stderr), (0, ""))
    zsh = Zsh(p, env)
    try:
        offers(zsh.completes)
        found = zsh.completes("pawl trace first-1 --")
        check("--follow" in found and "--db" in found and "--module" not in found, found)
        for line in ("pawl --db `touch ran` describe ", "pawl --db $(touch ran) describe ", "pawl describe --db $(touch ran) ", "pawl describe --db=`touch ran` "):
            os.write(zsh.fd, b"\x15")
            equal(zsh.completes(line), [], line)
            check(not os.path.exists(p.path("ran")), f"asking ran what was only typed: {line}")
    finally:
        zsh.end()


main(globals())
