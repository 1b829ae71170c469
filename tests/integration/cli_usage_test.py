"""The command line itself: parsing, help, man pages, completion. No journal is needed for any of it."""
import os
import re
import shlex
import shutil
import subprocess

from cli_rig import check, equal, main, within

COMMANDS = ("start execute list describe show result trace cost budget stack stream memory concept signal query wait answer cancel terminate pause resume retry verify "
            "serve mcp worker relay token queue new replay backup sql embed model index version help").split()


def it_has_every_command_in_its_help(p):
    text = p.ok("help").out
    for name in COMMANDS:
        check(re.search(rf"^  {name} +\S", text, re.M), f"{name} is not in the help")
    for number in (*range(12), 130):
        check(re.search(rf"^ +{number}  \S", text, re.M), f"exit code {number} is not in the help")


def it_shows_usage_options_and_examples_of_each_command(p):
    for name in COMMANDS:
        text = p.ok("help", name).out
        within(text, f"usage: pawl {name}")
        within(text, "--db FILE")
        within(text, "Examples\n  pawl ")
        equal(p.ok(name, "--help").out, text, f"pawl {name} --help")


def it_has_examples_that_parse(p):
    # Every example begins with pawl and uses options of its command only: seen by asking for help with the same words.
    import shlex
    for name in COMMANDS:
        text = p.ok("help", name).out.split("Examples\n")[1]
        for line in text.splitlines():
            words = shlex.split(line.strip(), comments=True)
            if not words or words[0] != "pawl":
                continue
            words = words[1:]
            for stop in ("|", ">"):
                words = words[:words.index(stop)] if stop in words else words
            done = p.run(*words, "--help")
            equal(done.code, 0, f"{line} {done.err}")


def it_prints_help_and_exits_2_without_a_command(p):
    done = p.run().exits(2)
    equal(done.out, "", "stdout")
    within(done.err, "usage: pawl COMMAND")


def it_says_what_was_meant(p):
    within(p.run("strat").exits(2).err, 'did you mean "pawl start"?')
    within(p.run("list", "--limt", "3").exits(2).err, "did you mean --limit?")
    within(p.run("help", "excute").exits(2).err, 'did you mean "pawl help execute"?')


def it_refuses_bad_options_with_exit_2_and_an_empty_stdout(p):
    """[T5]"""
    for args in (["list", "--limit", "x"], ["list", "--limit", "-1"], ["list", "--limit"], ["list", "-o", "yaml"], ["list", "extra"],
                 ["list", "--module", "x"], ["list", "-Z"], ["result", "a", "--timeout", "5x"], ["result", "a", "--timeout", "-1s"],
                 ["result", "a", "--timeout", "99999999999999999999d"], ["result"], ["start"], ["signal", "a"], ["answer", "a"], ["sql"],
                 ["new"], ["new", "a/b"], ["list", "--follow=1"], ["show", "a", "b"], ["start", "x", "--type", "y"], ["start", "9x"],
                 ["describe", ""], ["cancel"]):
        done = p.run(*args).exits(2)
        equal(done.out, "", f"stdout of {args}")
        within(done.err, "try: pawl help")


def it_exits_2_for_input_that_is_too_deep(p):
    for bad in ("[" * 2000 + "]" * 2000, "{oops", '"\\q"'):
        done = p.run("start", "hello", "-i", bad).exits(2)
        equal(done.out, "")


def it_takes_options_anywhere_and_in_every_spelling(p):
    for args in (["--db", "x.db", "list"], ["list", "--db=x.db"], ["--db=x.db", "-ojson", "list"], ["list", "-o=json", "--db", "x.db"]):
        within(p.run(*args).exits(4).err, "there is no journal at x.db")
    within(p.run("describe", "--db", "x.db", "--", "-w").exits(4).err, "there is no journal")


def it_says_the_next_step_after_the_usual_mistakes(p):
    """Those that a new user makes; the message of each has what to type, or to look at, next."""
    module = p.write("bad.so", "")
    for args, code, says in ((["list", "--db", p.path("no/x.db")], 4, [f"there is no folder {p.path('no')}", "--db FILE"]),
                             (["execute", "nosuch"], 10, ["try: pawl execute nosuch --module FILE.so"]),
                             (["start", "hello", "-i", "{name: 1}"], 2, ["--input is not JSON", "--input @FILE"]),
                             (["start", "hello", "-i", "Ada"], 2, ["text needs its quotes", "--input '\"Ada\"'"]),
                             (["start", "hello", "-i", "@none"], 4, ["--input: read none: No such file"]),
                             (["serve", "--module", "none.so"], 4, ["make, in its folder, builds it", "try: pawl new NAME"]),
                             (["serve", "--module", module], 2, ["file too short", "try: pawl new NAME"])):
        done = p.run(*args).exits(code)
        for part in says:
            within(done.err, part)
    p.serve()
    within(p.run("start", "helo").exits(10).err, "did you mean hello?")
    within(p.run("start", "hello@9").exits(10).err, "hello has version 1")
    within(p.run("start", "whatever").exits(10).err, "it has adopting, agent, asking")
    p.ok("start", "hello", "-w", "h1")
    p.until_status("h1", "completed")
    within(p.run("query", "h1", "nokey").exits(4).err, "try: pawl query h1\n")
    p.stop()
    within(p.run("resume", "h1").exits(9).err, "closed (completed)")  # the next engine would refuse it


def it_names_the_journal_it_does_not_find(p):
    done = p.run("list").exits(4)
    within(done.err, p.db)
    within(done.err, "--db FILE")
    equal(done.out, "")


def it_refuses_a_role_that_the_rights_do_not_have(p):
    tokens, rights = p.path("clients"), p.write("rights.json", '{"roles": {"releaser": {"operations": ["list"]}}}')
    make = ["token", "ada", "--client-tokens", tokens, "--role"]
    done = p.run(*make, "releasr", "--rights", rights).exits(2)
    within(done.err, f'there is no role "releasr" in {rights}; it is viewer, caller, approver, user, operator or releaser; did you mean releaser?')
    equal((done.out, os.path.exists(tokens)), ("", False), "no token is made")
    p.run(*make, "user", "--rights", p.path("nothing")).exits(4)
    p.ok(*make, "releaser,user", "--rights", rights)
    make[1] = "bob"
    done = p.ok(*make, "operater")  # it may be of a file that only the server has
    within(done.err, '"operater" is not viewer, caller, approver, user or operator; did you mean operator?')
    within(p.run("token", "w", "--worker-tokens", tokens, "--rights", rights).exits(2).err, "of clients' tokens")


def it_writes_man_pages_that_groff_takes_without_a_word(p):
    p.ok("help", "--man", p.path("man"))
    pages = sorted(os.listdir(p.path("man")))
    equal(pages, sorted(["pawl.1"] + [f"pawl-{n}.1" for n in COMMANDS]))
    if shutil.which("groff") is None:
        print("        (groff is not here: pages written, not rendered)")
        return
    for page in pages:
        done = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", "-ww", p.path("man/" + page)], capture_output=True, text=True, check=False)
        equal((done.returncode, done.stderr), (0, ""), page)
        within(done.stdout, "EXIT STATUS")


def it_writes_a_completion_script_that_bash_takes(p):
    script = p.write("completion", p.ok("help", "--completion", "bash").out)
    ask = (f"source {script}; PATH={os.path.dirname(p.pawl)}:$PATH; try() {{ COMP_WORDS=(\"$@\"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
           "_pawl; printf '%s ' \"${COMPREPLY[@]}\"; echo; }; ")

    def completes(*words):
        line = ask + "try " + " ".join(f"'{w}'" for w in words)
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=p.env, check=False)
        equal(done.stderr, "")
        return done.stdout.split()

    equal(completes("pawl", "de"), ["describe"])
    equal(completes("pawl", "list", "-o", ""), ["text", "json", "jsonl"])
    equal(completes("pawl", "help", "ver"), ["verify", "version"])
    equal(completes("pawl", "wait", ""), ["list", "show"])
    equal(completes("pawl", "describe", ""), [])
    check("--id-reuse-policy" in completes("pawl", "start", "--id"), "options of start")
    check("--module" not in completes("pawl", "list", "--"), "options of other commands")


def it_completes_ids_in_bash_as_text_whatever_they_say(p):
    p.serve()
    ids = ["$(touch${IFS}ran)", "`id>ran`", "*", "a;b", "order:1"]
    for run in ids:
        p.ok("start", "listening", "-w", run)
    p.stop()
    script = p.write("completion", p.ok("help", "--completion", "bash").out)
    p.write("a-file", "")

    def completes(*words):
        line = (f"source {script}; PATH={os.path.dirname(p.pawl)}:$PATH; COMP_WORDS=({' '.join(shlex.quote(w) for w in words)}); "
                f"COMP_CWORD={len(words) - 1}; _pawl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=p.env, cwd=p.folder, check=False)
        equal(done.stderr, "")
        check(not os.path.exists(p.path("ran")), f"an id was run: {words}")
        return done.stdout.splitlines()

    for words in (["describe", ""], ["describe", "-w", ""], ["wait", "show", ""]):
        offered = completes("pawl", *words)
        equal(sorted(set(shlex.split(" ".join(offered))) - {"list", "show"}), sorted(ids), "what a shell reads when one is taken")
    equal(completes("pawl", "describe", "order"), ["order:1"])
    equal(completes("pawl", "wait", "l"), ["list"])


def it_breaks_no_line_of_help_in_a_pipe_and_fits_a_terminal(p):
    help_of_limit = next(line for line in p.ok("help", "serve").out.splitlines() if line.startswith("      --worker-grace"))
    within(help_of_limit, "default 30s")
    for columns in (80, 120):
        for topic in ("serve", "index", "start", ""):
            for line in p.on_terminal(columns, "help", *topic.split()).splitlines():
                check(len(line) <= columns, f"{len(line)} columns of {columns}: {line}")
    within(p.on_terminal(80, "help"), "  PAWL_GPU_WITHOUT\n                what a device")


def it_prints_colours_only_when_told_or_on_a_terminal(p):
    check("\033" not in p.ok("help").out, "colours in a pipe")
    check("\033" in p.ok("help", "--color", "always").out, "no colours though told")
    check("\033" not in p.ok("help", "--color", "never").out, "colours though told not to")


def it_prints_the_tables_of_the_readme(p):
    text = p.ok("help", "--markdown").out
    for name in COMMANDS:
        within(text, f"| `{name}")
    readme = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/README.md")
    with open(readme) as f:
        within(f.read(), text)


def it_prints_versions(p):
    text = p.ok("version").out
    equal(p.ok("--version").out, text)
    check(re.search(r"^pawl +\d+\.\d+\.\d+\nSQLite +3\.\d+\.\d+\nschema +\d+\n$", text), text)
    value = p.ok("version", "-o", "json").json()
    equal(sorted(value), ["pawl", "schema", "sqlite"])


def it_fails_when_its_output_cannot_be_written(p):
    with open("/dev/full", "w") as full:
        done = subprocess.run([p.pawl, "help"], stdout=full, stderr=subprocess.PIPE, text=True, env=p.env, check=False)
    equal(done.returncode, 1)
    within(done.stderr, "cannot be written")


main(globals())
