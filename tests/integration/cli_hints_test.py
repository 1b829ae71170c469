"""What a person is told who mistyped, came while no engine ran, or looks through a narrow window: hints that can be typed as they stand."""
import json
import os
import re
import shlex
import shutil
import subprocess

from cli_rig import check, equal, main, within


def rows(text):
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if line.strip()]


def it_shows_on_a_narrow_terminal_as_much_of_an_id_as_finds_its_run(p):
    p.serve()
    p.ok("start", "parent", "-w", "01a2018c-83f7-7c9a-8cf8-74c620993000", "-i", '{"name": "Ada"}')
    p.ok("start", "listening", "-w", "01a2018c-83f7-7b11-9cf8-0a3ec8d5b011")
    p.ok("start", "listening", "-w", "01a2018c-849b-7e9f-9beb-03b911896ca6")
    p.ok("start", "sleeping", "-w", "a-name-of-a-person")
    p.ok("result", "01a2018c-83f7-7c9a-8cf8-74c620993000")
    p.until_waiting("01a2018c-849b-7e9f-9beb-03b911896ca6", "signal")
    text = p.on_terminal(80, "list")
    for line in text.splitlines():
        check(len(line) <= 80, f"{len(line)} columns: {line!r}")
    shown = [r[0] for r in rows(text)[1:]]
    whole = [r["id"] for r in p.ok("list", "-o", "json").json()]
    equal(len(shown), len(whole))
    check(any("/" in s for s in shown), "a child is among them")
    for short, full in zip(shown, whole):
        check(len(short) < 36 + 4, short)
        equal(p.ok("describe", short, "-o", "json").json()["id"], full, f"what {short} finds")
    check("a-name-of-a-person" in shown, "names that people give are left as they are")
    within(text, "signal go")
    for text in (p.on_terminal(160, "list"), p.ok("list").out):
        equal([r[0] for r in rows(text)[1:]], whole, "where there is room, and in a pipe")


def it_finds_a_kept_start_by_its_prefix(p):
    run = p.ok("start", "listening", "-o", "json").json()["id"]
    shown = rows(p.on_terminal(80, "list"))[1]
    check(run.startswith(shown[0]) and len(shown[0]) < len(run), shown)
    within(p.run("describe", shown[0]).exits(10).err, f"the start of {run} is kept")
    within(p.ok("signal", shown[0], "go").out, run)


def it_says_later_that_what_was_kept_was_refused(p):
    p.serve()
    for run in ("ask1", "ask2"):
        p.ok("start", "asking", "-w", run, "-i", '{"v": 1}')
        p.until_waiting(run, "publish")
    p.stop()
    p.ok("answer", "ask1", "approve", "--by", "ann")
    p.ok("answer", "ask1", "reject", "--by", "bob")
    p.ok("answer", "ask2", "perhaps", "--by", "cid")
    p.serve()
    p.ok("result", "ask1")
    within(p.ok("describe", "ask1").out, "refused    answer reject by bob, kept for an engine, refused ")
    within(p.ok("describe", "ask1").out, "answered before: approve by ann")
    within(p.ok("trace", "ask1").out, "answer reject by bob, kept for an engine, refused ")
    refused = p.ok("describe", "ask2", "-o", "json").json()["refused"]
    equal([(r["op"], r["choice"], r["by"]) for r in refused], [("answer", "perhaps", "cid")])
    equal(p.ok("trace", "ask2", "-o", "json").json()["refused"], refused)
    p.stop()
    within(p.ok("describe", "ask2").out, "answer perhaps by cid")
    p.ok("start", "hello", "-w", "ask1", "--id-reuse-policy", "reject")
    p.serve()
    p.until("ask1", lambda d: any(r["op"] == "start" for r in d.get("refused", [])))
    p.run("answer", "ask2", "perhaps", "--by", "dan")
    equal(len(p.ok("describe", "ask2", "-o", "json").json()["refused"]), 1, "who was told at once is told once")


def it_tells_who_asks_again_under_a_key_why_it_was_refused(p):
    p.serve()
    p.ok("start", "asking", "-w", "ask1", "-i", '{"v": 1}')
    p.until_waiting("ask1", "publish")
    p.stop()
    p.ok("answer", "ask1", "perhaps", "--dedup", "k1")
    p.serve()
    p.until("ask1", lambda d: p.ok("sql", "SELECT count(*) AS n FROM pawl_outcomes WHERE dedup = 'k1'", "-o", "json").json()[0]["n"] == 1)
    done = p.run("answer", "ask1", "perhaps", "--dedup", "k1")
    check(done.code != 0, done.says())
    within(done.err, "answered before under the key \"k1\": ")
    within(done.err, "perhaps")


def it_draws_a_tree_for_a_narrow_terminal(p):
    """What failed is told whole below its step, durations take the room they need, a child's id is what it adds to its parent's."""
    p.serve()
    p.ok("start", "parent", "-w", "01a2018c-83f7-7c9a-8cf8-74c620993000", "-i", '{"name": "Ada"}')
    p.ok("result", "01a2018c-83f7-7c9a-8cf8-74c620993000")
    within(p.on_terminal(80, "trace", "01a2"), "…/1  hello")
    within(p.ok("trace", "01a2").out, "01a2018c-83f7-7c9a-8cf8-74c620993000/1  hello")
    message = "no disk on the machine over there, so that somebody has to go and look what is the matter with it"
    p.run("execute", "broken", "-w", "b1", "-i", json.dumps({"message": message, "type": "NoDisk"})).exits(5)
    for run in ("01a2", "b1"):
        for line in p.on_terminal(80, "trace", run).splitlines():
            check(len(line) <= 80, f"{len(line)} columns: {line!r}")
    text = p.on_terminal(80, "trace", "b1")
    within(text, "cli_module.c:")
    within(" ".join(text.split()), f"NoDisk: {message}")
    p.ok("start", "renewing", "-w", "01a2018c-83f7-7b11-9cf8-0a3ec8d5b011", "-i", '{"left": 1}')
    p.until_status("01a2018c-83f7-7b11-9cf8-0a3ec8d5b011", "completed")
    within(p.on_terminal(80, "trace", "01a2018c-83f7-7b11"), "came before:\n  pawl list -q 'id = ")


def it_doubts_a_kept_start_of_what_never_ran(p):
    done = p.ok("start", "relaese", "-w", "r1", "-i", "{}")
    within(done.err, "did you mean release?")
    within(done.err, "pawl terminate r1")
    equal(p.ok("start", "order_of_things", "-w", "o1").err.count("did you mean"), 0, "nothing is like it")
    p.serve()
    p.ok("execute", "hello", "-w", "h1")
    p.stop()
    done = p.ok("start", "helo", "-w", "h2", "--db", p.db, "-o", "json")
    equal(done.json()["kept"], True)
    within(done.err, "did you mean hello?")
    within(done.err, f"pawl --db {p.db} terminate h2")
    equal(p.ok("start", "hello", "-w", "h3").err.count("did you mean"), 0, "it ran before")
    p.ok("terminate", "h2")
    p.serve()
    p.until_status("h2", "terminated")
    p.ok("result", "h3")


def it_tells_each_command_only_of_itself(p):
    commands = [line.split("`")[1].split()[0] for line in p.ok("help", "--markdown").out.split("\n\n")[0].splitlines()[2:]]
    check("start" in commands and len(commands) > 30, commands)
    for command in commands:
        text = p.ok("help", command).out
        for other in commands:
            check(not re.search(rf"\b[Oo]f (a )?{other}[:,]", text) or other in (command, "list"), f"help {command} speaks of {other}:\n{text}")
    check("cost" not in p.ok("help", "start").out, "help of start speaks of cost")
    within(p.ok("help", "cost").out, "workflow|model|day")


def it_types_the_journal_into_its_hints(p):
    """What is said to be typed next names the journal that was named."""
    p.serve()
    p.ok("start", "lacking", "-w", "k1")
    p.until_waiting("k1", "nobody_has_this")
    for args in (["concept", "remove", "none"], ["index", "info", "none"], ["index", "add", "none", "key", "text"], ["query", "k1", "none"],
                 ["describe", "none"], ["wait", "show", "k1"], ["concept"], ["index"], ["stack", "k1"], ["retry", "k1"]):
        done = p.run(*args, "--db", p.db, env={"PAWL_DB": ""})
        typed = re.findall(r"(?:try|next|needs it): (pawl .*)", done.out + done.err)
        check(len(typed) > 0 or args[0] == "retry", done.says())
        for one in typed:
            check(f"--db {p.db}" in one or one.startswith("pawl help"), f"{args}: {one}")


def it_completes_in_bash_what_follows_an_equals_sign(p):
    p.serve()
    p.ok("start", "listening", "-w", "order:1")
    p.stop()
    os.mkdir(p.path("home"))
    script = p.write("completion", p.ok("help", "--completion", "bash").out)
    env = {**p.env, "PAWL_DB": p.path("none.db"), "HOME": p.path("home")}
    os.symlink(p.db, p.path("home/there.db"))

    def completes(*words):
        line = (f"source {script}; PATH={os.path.dirname(p.pawl)}:$PATH; COMP_WORDS=({' '.join(shlex.quote(w) for w in words)}); "
                f"COMP_CWORD={len(words) - 1}; _pawl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=env, cwd=p.folder, check=False)
        equal(done.stderr, "")
        return done.stdout.split()

    equal(completes("pawl", "--db", "=", p.db, "describe", "ord"), ["order:1"])
    equal(completes("pawl", f"--db={p.db}", "describe", "ord"), ["order:1"])
    equal(completes("pawl", "--db", p.db, "describe", "ord"), ["order:1"])
    equal(completes("pawl", "--db", "=", "~/there.db", "describe", "ord"), ["order:1"])
    equal(completes("pawl", "list", "--output", "=", ""), ["text", "json", "jsonl"])
    equal(completes("pawl", "list", "--output", "="), ["text", "json", "jsonl"])
    equal(completes("pawl", "--output", "=", "json", "descr"), ["describe"])
    check(p.db in completes("pawl", "list", "--db", "=", p.path("pawl.d")), "files")


def it_says_where_a_run_waits_also_when_no_engine_runs(p):
    p.serve()
    p.ok("start", "gallery", "-w", "g1", "-i", json.dumps({"name": "Ada", "items": [1, 2, 3], "file": p.path("none")}))
    p.until_waiting("g1", "publish")
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    p.ok("start", "sleeping", "-w", "s1")
    p.until_waiting("s1", "timer")
    live = {run: p.ok("stack", run, "-o", "json").json()["waiting"] for run in ("g1", "l1", "s1")}
    p.stop()
    for run, waiting in live.items():
        still = p.ok("stack", run, "-o", "json").json()["waiting"]
        equal([(w["command"], w["kind"], w.get("name", ""), w["at"]) for w in still],
              [(w["command"], w["kind"], w.get("name", ""), w["at"]) for w in waiting], run)
        within(p.ok("stack", run).out, waiting[0]["at"])


def it_breaks_what_it_says_between_words_and_no_command(p):
    run = "01a2018c-83f7-7c9a-8cf8-74c620993000"
    p.ok("start", "listening", "-w", run)
    for args in (["start", "relaese"], ["list"], ["signal", run, "go", "-i", "{a"], ["describe", "none"], ["index", "frob"], ["execute", "no-such-thing"],
                 ["list", "--db", p.path("none.db")]):
        _, text = p.at_terminal(60, None, *args)
        for line in text.splitlines():
            typed = re.search(r"pawl (serve|start|list|terminate|index|execute|--db)", line) or p.folder in line
            check(len(line) <= 60 or typed, f"{len(line)} columns: {line!r}")
        check(not re.search(r"pawl$", text, re.M), text)
    _, text = p.at_terminal(60, None, "start", "relaese", "-w", run + "-b")
    within(text, f"\n  pawl terminate {run}-b\n")


def it_breaks_the_lines_of_scripts_between_words(p):
    tools = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")
    line = "this takes some minutes, most of them for the build: so long that it ends on another line of a terminal"
    said = f". {shlex.quote(tools)}/script.sh; script=quickstart root=/ steps=1; say {shlex.quote(line)}"
    p.pawl = shutil.which("bash")
    for columns in (60, 80, 100):
        text = p.on_terminal(columns, "-c", said)
        check(all(len(one) <= columns for one in text.splitlines()), text)
        equal(" ".join(text.split()).split("] ")[1], line)
    equal(len(p.ok("-c", said).out.splitlines()), 1, "lines in a pipe")


main(globals())
