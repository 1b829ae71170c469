"""Every verb that drives or shows runs, with an engine running: what it prints, as text and as JSON, and its exit code."""
import json
import os
import re
import signal

from cli_rig import check, equal, main, plain, within


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def it_executes_a_workflow_of_a_module_without_an_engine(p):
    done = p.ok("execute", "hello", "--module", p.modules[0], "-i", '{"name": "Ada"}', "-w", "h1")
    equal(done.out, "text: Hello\nto:   Ada\n")
    equal(p.state("h1")["status"], "completed")
    value = p.ok("execute", "hello", "--module", p.modules[0], "-i", '{"name": "Bob"}', "-o", "json").json()
    equal(value["status"], "completed")
    equal(value["result"], {"text": "Hello", "to": "Bob"})


def it_takes_commands_that_come_with_their_engine(p):
    """At once, in a folder without a journal: whichever makes it, each is acknowledged and none keeps the engine out."""
    starts = [p.begin("start", "hello", "-w", f"s{i}") for i in range(3)]
    engine = p.begin("serve", "--module", p.modules[0])
    try:
        for start in starts:
            equal((start.wait(), start.stderr.read() if start.returncode else ""), (0, ""))
        for i in range(3):
            p.until_status(f"s{i}", "completed")
        equal(engine.poll(), None, "the engine lives")
    finally:
        engine.terminate()
        for process in (engine, *starts):
            process.communicate()
    executes = [p.begin("execute", "hello", "-w", f"e{i}", "--module", p.modules[0]) for i in range(3)]
    for i, execute in enumerate(executes):
        said = execute.communicate()[1]
        equal(execute.returncode, 0, said)
        equal(p.state(f"e{i}")["status"], "completed", said)


def it_goes_on_by_itself_when_the_engine_of_another_execute_has_gone(p):
    def execute(run):
        process = p.begin("execute", "listening", "-w", run, "--module", p.modules[0])
        p.until_waiting(run, "signal")
        return process
    first, second = execute("a"), execute("b")
    p.ok("signal", "a", "go")
    equal((first.communicate()[1], first.returncode), ("", 0))
    p.ok("signal", "b", "go")
    said = second.communicate()[1]
    equal(second.returncode, 0, said)
    within(said, "the engine went away")


def it_says_how_to_execute_what_it_has_no_code_for(p):
    done = p.run("execute", "hello").exits(10)
    equal(done.out, "")
    within(done.err, "--module")


def it_starts_and_waits_for_the_result(p):
    p.serve()
    equal(p.ok("start", "hello", "-w", "a1", "-i", '{"name": "Ada"}').out, "started a1\n")
    equal(p.ok("result", "a1").out, "text: Hello\nto:   Ada\n")
    value = p.ok("result", "a1", "-o", "json").json()
    equal((value["id"], value["status"], value["result"]), ("a1", "completed", {"text": "Hello", "to": "Ada"}))
    value = p.ok("start", "hello", "-o", "json").json()
    equal(value["kept"], False)
    equal(len(value["id"]), 36)


def it_reads_input_from_text_files_and_standard_input(p):
    p.serve()
    p.write("in.json", '{"name": "File"}')
    equal(p.ok("execute", "echo", "-i", '"text"').out, "text\n")
    equal(p.ok("execute", "echo", "-i", "@in.json").out, "name: File\n")
    equal(p.ok("execute", "echo", "-i", "-", stdin='[1, 2.5, null, true]').out, "- 1\n- 2.5\n- null\n- true\n")
    equal(p.ok("execute", "echo").out, "null\n")
    for bad in ('{"a":', "text", "{'a': 1}", '"\\ud800"', "1 2", "", "[" * 1000 + "]" * 1000):
        done = p.run("start", "echo", "-i", bad)
        check(done.code in (1, 2), done.says())
        within(done.err, "input")
        equal(done.out, "")
    p.run("start", "echo", "-i", "@none.json").exits(4)
    equal(p.ok("list", "-o", "json").json()[0]["status"], "completed", "nothing was started by bad input")


def it_prints_values_plainly_and_exactly(p):
    p.serve()
    value = {"name": "Ada", "tags": ["a", "b"], "deep": {"x": 1, "long key": None}, "empty": [], "text": "two\nlines", "big": 2**70,
             "n": -0.5, "none": {}}
    done = p.ok("execute", "echo", "-i", json.dumps(value), "-w", "v1")
    check("{" not in done.out and '"' not in done.out, done.out)
    for part in ("name:", "Ada", "- a", "long key:", "two", "lines", str(2**70)):
        within(done.out, part)
    equal(p.ok("result", "v1", "-o", "json").json()["result"], value)
    equal(p.ok("result", "v1", "-o", "jsonl").jsonl()[0]["result"], value)


def it_escapes_what_a_terminal_would_obey(p):
    """[T2]"""
    p.serve()
    evil = "a\x1b[31mred\x07\r\u202egnp.exe\x9b"
    done = p.run("execute", "broken", "-w", "evil", "-i", json.dumps({"message": evil}))
    done.exits(5)
    for args in (["list"], ["describe", "evil"], ["show", "evil"], ["trace", "evil"], ["stack", "evil"]):
        out = p.ok(*args, "--color", "never").out
        for bad in ("\x1b", "\x07", "\r", "\u202e", "\x9b"):
            check(bad not in out, f"{args}: {bad!r} reached the terminal: {out!r}")
    for bad in ("\x1b", "\x07", "\u202e"):
        check(bad not in done.err, f"{bad!r} reached standard error")
    equal(p.run("result", "evil", "-o", "json").exits(5).json()["failure"]["message"], evil, "JSON keeps it exactly")


def it_exits_5_and_says_why_when_a_run_failed(p):
    p.serve()
    done = p.run("execute", "broken", "-w", "b1", "-i", '{"message": "no disk", "type": "NoDisk"}').exits(5)
    equal(done.out, "")
    within(done.err, "b1 failed")
    within(done.err, "NoDisk: no disk")
    within(done.err, "trace b1")
    value = p.run("result", "b1", "-o", "json").exits(5).json()
    equal(value["status"], "failed")


def it_exits_6_when_a_run_was_cancelled_or_terminated(p):
    p.serve()
    for verb, status in (("cancel", "canceled"), ("terminate", "terminated")):
        p.ok("start", "listening", "-w", verb)
        p.until_waiting(verb, "signal")
        within(p.ok(verb, verb, "--reason", "enough").out, verb)
        equal(p.run("result", verb, "-o", "json").exits(6).json()["status"], status)
        within(p.run("result", verb).exits(6).err, status)


def it_exits_7_when_the_time_is_up_and_the_run_goes_on(p):
    p.serve()
    p.ok("start", "sleeping", "-w", "s1")
    done = p.run("result", "s1", "--timeout", "200ms").exits(7)
    equal(done.out, "")
    equal(p.state("s1")["status"], "running")
    p.ok("start", "sleeping", "-w", "s2", "--run-timeout", "100ms")
    p.until_status("s2", "timed-out")
    p.run("result", "s2").exits(7)


def it_exits_4_for_what_is_not_there(p):
    p.serve()
    for verb in ("describe", "show", "result", "trace", "stack", "cancel", "terminate", "pause", "resume", "retry", "wait"):
        done = p.run(verb, "nobody").exits(4)
        within(done.err, "nobody")
        equal(done.out, "")
    p.run("signal", "nobody", "go").exits(4)
    p.run("answer", "nobody", "yes").exits(4)
    p.run("query", "nobody", "state").exits(4)
    p.ok("start", "sleeping", "-w", "s1")
    p.run("answer", "s1", "yes").exits(4)


def it_exits_9_for_an_id_in_use_and_10_for_code_that_is_not_there(p):
    p.serve()
    p.ok("start", "sleeping", "-w", "s1")
    done = p.run("start", "sleeping", "-w", "s1").exits(9)
    within(done.err, "--id-conflict-policy")
    p.ok("start", "sleeping", "-w", "s1", "--id-conflict-policy", "use-existing")
    within(p.ok("start", "sleeping", "-w", "s1", "--id-conflict-policy", "use-existing").out, "running already: s1")
    p.ok("start", "sleeping", "-w", "s1", "--id-conflict-policy", "terminate")
    p.ok("terminate", "s1")
    p.until_status("s1", "terminated")
    p.run("start", "sleeping", "-w", "s1", "--id-reuse-policy", "reject").exits(9)
    p.run("signal", "s1", "go").exits(9)
    done = p.run("start", "nosuch").exits(10)
    within(done.err, "nosuch")
    p.run("start", "hello@77").exits(10)
    p.ok("start", "hello@1")


def it_starts_once_for_one_dedup_key(p):
    p.serve()
    first = p.ok("start", "hello", "--dedup", "k1", "-o", "json").json()["id"]
    equal(p.ok("start", "hello", "--dedup", "k1", "-o", "json").json()["id"], first)
    equal(len(p.ok("list", "-o", "json").json()), 1)


def it_takes_a_unique_prefix_of_an_id_and_lists_the_candidates_of_another(p):
    p.serve()
    for name in ("order-1", "order-12", "other"):
        p.ok("start", "sleeping", "-w", name)
    equal(p.ok("describe", "ot", "-o", "json").json()["id"], "other")
    equal(p.ok("describe", "order-1", "-o", "json").json()["id"], "order-1", "an id that is a prefix of another is itself")
    done = p.run("describe", "order").exits(2)
    within(done.err, "order-1\n")
    within(done.err, "order-12\n")
    check("other" not in done.err, done.err)
    p.ok("execute", "parent", "-w", "wall-1")
    equal(len(p.ok("list", "-q", "id ~ \"wall*\"", "-o", "json").json()), 2, "it has a child")
    equal(p.ok("describe", "wall", "-o", "json").json()["id"], "wall-1", "a run with children has usable prefixes")
    within(p.ok("pause", "ot").out, "other")
    p.run("describe", "ORDER").exits(4)


def it_refuses_hostile_ids_and_names(p):
    p.serve()
    for bad in ("a b", "a\nb", "a\x1b[31m", "ä", "a\"b", "a'b", "a\\b", "x" * 201, "\xff"):
        for args in (["start", "hello", "-w", bad], ["describe", bad], ["signal", bad, "go"]):
            done = p.run(*args)
            equal(done.code, 2, done.says())
            check("\x1b" not in done.err, repr(done.err))
    for odd in ("*", "a%b", "..", "/etc/passwd", "'; drop", "-", "a/../b"):
        done = p.run("describe", "-w", odd)
        check(done.code in (2, 4), done.says())
    p.ok("start", "sleeping", "-w", "x" * 200)
    equal(p.ok("describe", "xxx", "-o", "json").json()["id"], "x" * 200)
    for name in ("", "a b", "1x", "x" * 101):
        p.run("signal", "xxx", "--name", name).exits(2)
    equal(len(p.ok("list", "-o", "json").json()), 1)


def it_signals_a_run_and_reads_what_it_publishes(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    equal(p.ok("query", "l1", "state").out, "step: waiting\n")
    equal(p.ok("query", "l1", "-o", "json").json(), {"state": {"step": "waiting"}})
    equal(p.ok("signal", "l1", "go", "-i", '{"n": 7}').out, "signalled l1\n")
    equal(p.ok("result", "l1", "-o", "json").json()["result"], {"got": {"n": 7}})
    equal(p.ok("query", "l1", "state", "-o", "json").json(), {"step": "done"})


def it_shows_a_signal_that_is_kept_in_the_tree(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    p.stop()
    check("kept" not in p.ok("trace", "l1").out, "nothing is kept yet")
    p.ok("signal", "l1", "stop", "--by", "ann")
    check("kept" not in p.ok("trace", "l1").out, "nobody waits for that one")
    p.ok("signal", "l1", "go", "--by", "ann")
    within(p.ok("trace", "l1").out, "kept: sent by ann")


def it_starts_with_a_signal(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1", "--signal", "go", "--signal-input", '"first"')
    equal(p.ok("result", "l1", "-o", "json").json()["result"], {"got": "first"})


def it_asks_a_query_handler_and_hosts_one_when_none_runs(p):
    p.serve()
    p.ok("start", "queried", "-w", "q1")
    p.until_waiting("q1", "signal")
    equal(p.ok("query", "q1", "price", "-i", '{"currency": "USD"}', "-o", "json").json(), {"price": 42, "currency": "USD"})
    p.run("query", "q1", "nosuch")
    p.stop()
    done = p.run("query", "q1", "price").exits(10)
    within(done.err, "pawl query q1 price --module FILE.so")
    equal(p.ok("query", "q1", "price", "--module", p.modules[0], "-o", "json").json(), {"price": 42, "currency": "EUR"})
    equal(p.state("q1")["status"], "running")


def it_lists_what_is_asked_and_answers_it_once(p):
    p.serve()
    p.ok("start", "asking", "-w", "ask1", "-i", '{"files": ["a.tar"]}')
    p.until_waiting("ask1", "publish")
    text = p.ok("wait").out
    for part in ("ask1", "approval publish", "Publish it?", "- a.tar", "answer ask1 approve|reject"):
        within(text, part)
    waits = p.ok("wait", "ask1", "-o", "json").json()
    equal((waits[0]["id"], waits[0]["name"], waits[0]["kind"]), ("ask1", "publish", "approval"))
    equal(len(p.ok("wait", "-o", "jsonl").jsonl()), 1)
    p.run("answer", "ask1", "perhaps")
    equal(p.state("ask1")["status"], "running")
    within(p.ok("answer", "ask1", "approve", "--by", "ada", "--data", '{"note": 1}').out, "answered ask1 publish: approve")
    equal(p.ok("result", "ask1", "-o", "json").json()["result"], {"choice": "approve", "by": "ada", "data": {"note": 1}})
    done = p.run("answer", "ask1", "reject")
    check(done.code in (4, 9), done.says())
    equal(p.ok("wait", "-o", "json").json(), [])
    p.ok("start", "asking_twice", "-w", "ask2")
    p.until_waiting("ask2", "first")
    unsaid = p.run("answer", "ask2").exits(2)
    equal(unsaid.out, "")
    within(unsaid.err, "what is the answer?")
    within(unsaid.err, " answer ask2 yes|no\n")
    p.ok("answer", "ask2", "yes")
    p.until_waiting("ask2", "signal")
    within(p.ok("trace", "ask2").out, "no, by its deadline")
    within(p.run("answer", "ask2", "yes").exits(4).err, "asks nothing now")
    within(p.run("answer", "ask2", "yes", "--name", "first").exits(9).err, "answered before")


PAY = '{"who": "ann|bob|cid|finance", "invoice": {"vendor": "ACME", "sum": 12000}}'


def it_lets_several_people_decide_and_tells_each_what_came_of_it(p):
    p.serve()
    p.ok("start", "paying", "-w", "pay1", "--by", "ann", "-i", PAY)
    p.until_waiting("pay1", "pay")
    text = p.ok("wait").out
    for part in ("pay1  approval pay", "who        ann, bob, cid, finance; not ann", "0 votes, 2 must agree", "then reject", "to boss",
                 "vendor: ACME", "pawl answer pay1 approve|modify|reject"):
        within(text, part)
    within(p.run("answer", "pay1", "approve", "--by", "ann").exits(11).err, "barred to ann")
    within(p.run("answer", "pay1", "approve", "--by", "eve").exits(11).err, "it is for ann|bob|cid|finance")
    within(p.ok("answer", "pay1", "approve", "--by", "bob", "--reason", "looks right").out, "voted on pay1 pay: approve, 1 of 2")
    within(p.run("answer", "pay1", "reject", "--by", "bob").exits(9).err, "bob has voted on \"pay\" already: approve")
    within(p.run("answer", "pay1", "modify", "--by", "cid", "--data", '{"amount": 0}').exits(2).err, "/amount: must be at least 1")
    equal(p.state("pay1")["status"], "running")
    within(p.ok("describe", "pay1").out, "pay: 1 vote, 2 must agree: bob approve")
    within(p.ok("trace", "pay1").out, "bob approve")
    said = p.ok("answer", "pay1", "approve", "--by", "eve", "--as", "finance", "--dedup", "k1", "-o", "json").json()
    equal((said["outcome"], said["same"], said["needed"]), ("decided", 2, 2))
    again = p.ok("answer", "pay1", "approve", "--by", "eve", "--as", "finance", "--dedup", "k1")
    within(again.out, "already answered pay1 pay: approve")
    p.until_status("pay1", "completed")
    late = p.run("answer", "pay1", "reject", "--by", "cid").exits(9)
    within(late.err, "\"pay\" was answered before: approve by eve, at 20")
    votes = p.ok("result", "pay1", "-o", "json").json()["result"]["votes"]
    equal([(v["by"], v["choice"]) for v in votes], [("bob", "approve"), ("eve", "approve")])
    within(p.ok("trace", "pay1").out, "approve by eve (bob approve, eve approve)")
    shown = [e for e in p.ok("show", "pay1", "-o", "jsonl").jsonl() if e["type"] == "WaitVoted"]
    equal([(e["by"], e["uid"]) for e in shown], [("bob", os.getuid()), ("eve", os.getuid())])


def it_puts_a_question_off_and_shows_all_there_is_to_it(p):
    p.serve()
    p.ok("start", "paying", "-w", "pay1", "--by", "ann", "-i", PAY)
    p.ok("start", "asking", "-w", "ask1", "-i", '{"files": ["a.tar"]}')
    p.until_waiting("pay1", "pay")
    p.until_waiting("ask1", "publish")
    within(p.ok("answer", "pay1", "--defer", "--until", "2d", "--by", "cid", "--reason", "after the audit").out, "deferred pay1 pay, deadline in")
    within(p.run("answer", "pay1", "--defer", "--until", "9d", "--by", "cid").exits(2).err, "cannot be deferred beyond")
    within(p.run("answer", "pay1", "--defer", "--until", "2001-01-31", "--by", "cid").exits(2).err, "that is past")
    text = p.ok("wait", "list").out
    check(text.index("ask1") < text.index("put off until later:") < text.index("pay1"), text)
    within(text, "deferred   by cid")
    within(text, ": after the audit")
    for line in p.on_terminal(80, "wait", "show", "pay1", "pay").splitlines():
        check(len(line) <= 80 and line == line.rstrip(), f"{len(line)} columns: {line!r}")
    shown = p.ok("wait", "show", "pay1", "pay").out
    for part in ("choices    approve, modify, reject", "amount      integer, at least 1: in cents", "to          string, may be left out",
                 "cid (uid", "deferred, back in", "--defer --until 2h --reason WHY", "moved by deferring"):
        within(shown, part)
    events = p.ok("wait", "show", "pay1", "-o", "json").json()[0]["history"]
    equal([e["type"] for e in events], ["WaitCreated", "WaitDeferred"])
    p.run("wait", "show", "pay1", "nosuch").exits(4)
    p.run("wait", "show").exits(2)
    for wrong in (["--defer", "approve"], ["--until", "2d", "approve"], [], ["--defer", "--until", "soon"]):
        p.run("answer", "pay1", *wrong).exits(2)
    p.ok("answer", "pay1", "reject", "--by", "cid")
    equal(p.ok("result", "pay1", "-o", "json").json()["result"]["choice"], "reject")


def it_escalates_and_breaks_a_long_command_so_that_it_can_be_pasted(p):
    p.serve()
    name = "a-run-with-quite-a-long-name-for-an-id-2026-11-21"
    p.ok("start", "paying", "-w", name, "--by", "ann", "-i", '{"escalate_s": 0.05, "who": "bob"}')
    follower = p.begin("show", name, "-f", "-o", "jsonl")
    while '"WaitEscalated"' not in (line := follower.stdout.readline()):
        check(line, "the run's events ended before it was escalated")
    follower.kill()
    follower.communicate()
    text = p.on_terminal(80, "wait", name)
    for part in (name + "  approval pay  escalated", "escalated  ", "to boss", "who        bob, boss; not ann"):
        within(text, part)
    for line in text.splitlines():
        check(len(line) <= 80, f"{len(line)} columns: {line!r}")
    within(text, " \\\n      approve|modify|reject")
    within(p.ok("wait", name).out, f"pawl answer {name} approve|modify|reject\n")
    p.ok("answer", name, "approve", "--by", "boss")


def it_keeps_an_answer_without_an_engine_and_says_what_came_of_it(p):
    p.serve()
    p.ok("start", "paying", "-w", "pay1", "--by", "ann", "-i", PAY)
    p.until_waiting("pay1", "pay")
    p.stop()
    within(p.ok("answer", "pay1", "approve", "--by", "bob").out, "kept: answer pay1: approve")
    p.ok("answer", "pay1", "approve", "--by", "bob")
    within(p.ok("answer", "pay1", "--defer", "--by", "cid").out, "kept: defer pay1")
    kept = "approve by bob, approve by bob, deferred by cid"
    text = p.ok("trace", "pay1").out
    within(text, f"kept: {kept}")
    check("pawl wait" not in text and "left" not in text, f"it is asked still:\n{text}")
    equal([s.get("kept") for s in p.ok("trace", "pay1", "-o", "json").json()["steps"]], [kept])
    within(p.ok("wait", "pay1").out, f"kept       {kept}; the next engine takes it: pawl serve")
    equal([w.get("kept") for w in p.ok("wait", "-o", "json").json()], [kept])
    p.serve()
    within(p.ok("trace", "pay1").out, "pawl wait pay1")  # one vote of two: it is open again
    p.ok("answer", "pay1", "approve", "--by", "cid")
    equal([e["type"] for e in p.ok("show", "pay1", "-o", "jsonl").jsonl()][2:],
          ["WaitVoted", "WaitDeferred", "WaitVoted", "WaitAnswered", "RunCompleted"])
    within(p.read("serve.log"), "a posted answer was not done: bob has voted on")
    equal([e.get("uid") for e in p.ok("show", "pay1", "-o", "jsonl").jsonl() if e["type"] == "WaitVoted"], [None, os.getuid()])


CALL = {"usd": 0.02, "input": 12000, "cache_read": 8000, "output": 345, "calls": 1, "model": "a-model-with-a-long-name-2026-01-31"}


def it_shows_budgets_as_a_tree_and_sets_their_limits(p):
    p.serve()
    budget = {"usd": 0.06, "calls": 50, "parent": {"name": "goal:x", "usd": 0.5, "parent": {"name": "workspace:acme", "usd": 2}}}
    p.ok("start", "spending", "-w", "c1", "-i", json.dumps([CALL, CALL]), "--budget", json.dumps(budget))
    p.until_waiting("c1", "budget")
    for args in (["budget"], ["budget", "list"], ["budget", "show", "c1"], ["budget", "show", "goal:x"], ["budget", "all"]):
        text = p.ok(*args).out
        for part in ("workspace:acme", "  goal:x", "run c1", "$0.02 of $0.06", "held: step", "pawl answer c1 --name budget raise --data"):
            within(text, part)
        for line in p.on_terminal(80, *args).splitlines():
            check(len(line) <= 80, f"{args}: {line!r} has {len(line)} columns")
    rows = {r["name"]: r for r in p.ok("budget", "-o", "json").json()}
    equal((rows["goal:x"]["parent"], rows["goal:x"]["limits"]["hard"], len(rows)), ("workspace:acme", {"usd": 0.5}, 3))
    own = next(r for r in rows.values() if "run" in r)
    equal((own["run"]["id"], [h["name"] for h in own["held"]]), ("c1", ["budget"]))
    within(p.run("budget", "raise", "c1", "usd=0.02").exits(2).err, 'raises nothing: run "c1" has')
    within(p.run("budget", "raise", "c1", "usd=-1").exits(2).err, "0 or more")
    within(p.run("budget", "raise", "c1", "euros=1").exits(2).err, "no unit")
    within(p.run("budget", "raise", "c1", "usd").exits(2).err, "usd=2")
    within(p.run("budget", "raise", "nobody", "usd=1").exits(4).err, "nobody")
    p.run("budget", "raise", "c1").exits(2)
    text = p.ok("budget", "raise", "c1", "usd=1,calls=60", "--by", "ada").out
    within(text, "by ada")
    p.until_status("c1", "completed")
    p.ok("budget", "set", "workspace:acme", '{"usd": {"soft": 0.01, "hard": 0.03}}')  # less than is spent
    within(p.ok("budget", "show", "workspace:acme").out, "$0.00 left")
    p.ok("start", "spending", "-w", "c2", "-i", json.dumps([CALL]), "--budget", '{"parent": "goal:x"}')
    p.until_waiting("c2", "budget")
    equal(p.ok("wait", "-o", "json").json()[0]["show"]["budget"], "workspace:acme")
    p.stop()
    within(p.ok("budget", "raise", "workspace:acme", "usd=5").out, "workspace:acme")  # kept for the next engine
    p.serve()
    p.ok("budget", "raise", "goal:x", "usd=5")
    p.until_status("c2", "completed")
    p.ok("start", "spending", "-w", "c3", "-i", json.dumps([]))
    p.until_status("c3", "completed")
    within(p.ok("budget", "set", "c3", "usd=1").out, "of $1.00")  # it had none
    p.ok("verify")


def it_sets_a_budget_before_a_run_uses_it(p):
    p.run("budget", "set", "goal:x", "usd=1").exits(4)  # no journal: nothing is made
    p.serve()
    said = p.ok("budget", "set", "goal:x", '{"usd": 0.06, "parent": {"name": "workspace:acme", "usd": 2}}', "--by", "ada")
    within(said.out, "$0.00 of $0.06")
    within(said.err, "that budget is made, below workspace:acme")
    within(said.err, "to start a run below it: pawl start TYPE --budget '{\"parent\": \"goal:x\"}'")
    check("is made" not in p.ok("budget", "set", "goal:x", '{"calls": 9, "parent": "workspace:acme"}').err, "it is there")
    within(p.run("budget", "set", "goal:x", '{"usd": 1, "parent": "workspace:other"}').exits(2).err,
           '"goal:x" stands below "workspace:acme" and stays there')
    within(p.run("budget", "set", "run:1", "usd=1").exits(2).err, "does not begin with run:")
    for name, limits, why in (("goal y", "usd=1", "of a name"), ("it's", "usd=1", "of a name"), ("goal:q", '{"usdd": 1}', "usdd")):
        refused = p.run("budget", "set", name, limits).exits(2).err
        within(refused, why)
        check("is made" not in refused, refused)
    check("try: pawl budget set" not in p.run("budget", "raise", "it's", "usd=1").exits(4).err, "no budget has such a name")
    within(p.run("budget", "raise", "goal:y", "usd=1").exits(4).err, "try: pawl budget set goal:y usd=5")
    p.ok("start", "spending", "-w", "c1", "-i", json.dumps([CALL, CALL]), "--budget", '{"parent": "goal:x"}')
    p.until_waiting("c1", "budget")
    rows = {r["name"]: r for r in p.ok("budget", "-o", "json").json()}
    equal((rows["goal:x"]["parent"], rows["goal:x"]["limits"]["hard"], rows["workspace:acme"]["limits"]["hard"]),
          ("workspace:acme", {"usd": 0.06, "calls": 9}, {"usd": 2}))
    equal(round(rows["workspace:acme"]["spent"]["usd"], 6), 0.02)
    p.stop()
    equal(p.ok("budget", "set", "goal:z", "usd=1", "-o", "json").json(), [{"name": "goal:z", "kept": True}])
    for name, limits in (("it's", "usd=1"), ("goal:q", '{"usdd": 1}')):
        refused = p.run("budget", "set", name, limits).exits(2).err  # the next engine would, and tell nobody
        check("is made" not in refused and "kept:" not in refused, refused)
    p.ok("start", "spending", "-w", "c2", "-i", "[]")
    within(p.run("budget", "set", "c2", "usd=7").exits(1).err, "it has no budget yet")
    p.serve()
    within(p.ok("budget", "show", "goal:z").out, "$0.00 of $1.00")
    p.ok("verify")


def it_shows_what_a_run_cost_and_lets_its_budget_be_raised(p):
    p.serve()
    calls = [CALL, {"input": 10, "output": 5, "calls": 1, "model": "free", "unpriced": True}, CALL, CALL]
    budget = {"usd": {"soft": 0.05, "hard": 0.13}, "calls": 50, "parent": {"name": "goal:x", "usd": 2, "parent": "workspace:acme"}}
    p.run("start", "spending", "--budget", '{"eur": 1}').exits(2)
    p.ok("start", "spending", "-w", "c1", "-i", json.dumps(calls), "--budget", json.dumps(budget))
    p.until_waiting("c1", "budget")
    wait = p.ok("wait", "-o", "json").json()[0]
    equal((wait["name"], wait["kind"], wait["choices"], wait["show"]["unit"]), ("budget", "budget", "raise|stop", "usd"))
    within(p.ok("stack", "c1").out, "its budget is used up")
    p.stop()
    text = p.ok("cost", "c1").out  # no engine from here on
    for part in ("$0.09", "24,705 tokens", "goal:x", "workspace:acme", "this run", "of $0.13", "unpriced", "a-model-with"):
        within(text, part)
    value = p.ok("cost", "c1", "-o", "json").json()
    equal(([e["state"] for e in value["entries"]], value["unpriced"]), (["settled", "estimated", "settled"], 1))  # without a price: as much as was set aside
    equal([b["name"] for b in value["budgets"]][1:], ["goal:x", "workspace:acme"])
    for args in (["cost", "c1"], ["cost"], ["cost", "--by", "model"]):
        for line in p.on_terminal(80, *args).splitlines():
            check(len(line) <= 80, f"{args}: {line!r} has {len(line)} columns")
    within(p.ok("answer", "c1", "--name", "budget", "raise", "--data", '{"usd": 2}').out, "kept")
    p.serve()
    p.until_status("c1", "completed")
    value = p.ok("cost", "c1", "-o", "json").json()
    equal((len(value["entries"]), round(value["spent"]["usd"], 6), value["spent"]["calls"]), (4, 0.11, 4))
    equal([t["key"] for t in p.ok("cost", "--by", "model", "-o", "json").json()["totals"]], ["a-model-with-a-long-name-2026-01-31", "free"])
    equal([t["key"] for t in p.ok("cost", "-o", "json").json()["totals"]], ["spending"])
    within(p.run("cost", "--by", "week").exits(2).err, "workflow, model or day")
    p.run("cost", "none").exits(4)
    within(p.ok("show", "c1").out, "ActivityReserved")
    p.ok("verify")


def it_pauses_resumes_and_retries(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    p.ok("pause", "l1", "--reason", "lunch")
    within(p.ok("pause", "l1").out, "paused already: l1")
    by = p.ok("show", "l1", "-o", "json").json()[-1]["by"]
    for verb in ("stack", "trace"):
        within(p.ok(verb, "l1").out, f"by {by}: lunch")
    row = p.ok("list").out.splitlines()[1]
    check("lunch" in row and "asked" not in row, row)
    p.ok("signal", "l1", "go")
    equal(p.state("l1")["status"], "paused", "a signal does not move a paused run")
    within(p.ok("resume", "l1").out, "resumed l1")
    p.ok("result", "l1")
    within(p.ok("start", "sleeping", "-w", "s1").out, "started")
    within(p.ok("resume", "s1").out, "running already")
    log = p.path("log")
    p.ok("start", "mendable", "-w", "m1", "-i", json.dumps({"file": p.path("wanted"), "log": log}))
    p.run("result", "m1").exits(5)
    p.write("wanted", "")
    p.ok("resume", "m1")
    equal(p.ok("result", "m1", "-o", "json").json()["result"], {"found": True})
    equal(p.read("log"), "once\n", "the step that was done is not done again")


def it_undoes_on_cancel(p):
    p.serve()
    p.ok("start", "undone", "-w", "u1", "-i", json.dumps({"log": p.path("log")}))
    p.until_waiting("u1", "signal")
    p.ok("cancel", "u1")
    p.run("result", "u1").exits(6)
    equal(p.read("log"), "did\nundid\n")
    within(p.ok("trace", "u1").out, "note (undo)")
    p.run("execute", "reverting", "-w", "v1", "-i", json.dumps({"log": p.path("other"), "line": "x"})).exits(5)
    within(p.ok("trace", "v1").out, "note (undoes greet)")


def it_acts_on_many_runs_by_a_filter_after_asking(p):
    p.serve()
    for i in range(5):
        p.ok("start", "sleeping", "-w", f"s{i}")
    p.ok("start", "listening", "-w", "other")
    done = p.run("cancel", "-q", "workflow = sleeping").exits(2)
    within(done.err, "-y")
    p.run("cancel", "s1", "-q", "workflow = sleeping", "-y").exits(2)
    p.run("cancel", "-q", "workflow ==== x", "-y").exits(2)
    done = p.ok("cancel", "-q", "workflow = sleeping and status = running", "-y", "-o", "json")
    equal(sorted(o["id"] for o in done.json()), [f"s{i}" for i in range(5)])
    for i in range(5):
        p.until_status(f"s{i}", "canceled")
    equal(p.state("other")["status"], "running")
    equal(p.ok("cancel", "-q", "workflow = sleeping and status = running", "-y", "-o", "json").json(), [])
    equal(len(p.ok("retry", "-q", "status = canceled", "-y", "--limit", "2", "-o", "jsonl").jsonl()), 2)


def it_lists_runs_newest_first_aligned(p):
    p.serve()
    for name in ("first", "second-with-a-long-name", "third"):
        p.ok("start", "sleeping", "-w", name)
    p.run("execute", "broken", "-w", "failed-one").exits(5)
    rows = lines(p.ok("list").out)
    equal([r.split()[0] for r in rows], ["ID", "failed-one", "third", "second-with-a-long-name", "first"])
    columns = {r.index(r.split()[1]) for r in rows}
    equal(len(columns), 1, "one column for the workflow")
    for part in ("sleeping@1", "running", "failed"):
        within("\n".join(rows), part)
    check(all(" ago" in r or " now" in r for r in rows[1:]), "when each began")
    values = p.ok("list", "-o", "json").json()
    equal([v["id"] for v in values], ["failed-one", "third", "second-with-a-long-name", "first"])
    equal(p.ok("list", "-o", "jsonl").jsonl(), values)
    equal([v["id"] for v in p.ok("list", "-q", "status = failed", "-o", "json").json()], ["failed-one"])
    done = p.ok("list", "--limit", "1", "-o", "json")
    equal(len(done.json()), 1)
    within(done.err, "--limit 0")
    check(lines(p.ok("list", "--time-format", "iso").out)[1].count("T") >= 1, "ISO times")
    p.run("list", "-q", "colour = red").exits(2)


def it_describes_a_run(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1", "--traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    p.until_waiting("l1", "signal")
    text = p.ok("describe", "l1").out
    for part in ("l1\n", "status", "running", "workflow   listening version 1", "signal", "publishes  state", "0af7651916cd43dd8448eb211c80319c"):
        within(text, part)
    value = p.ok("describe", "l1", "-o", "json").json()
    equal((value["id"], value["workflow"], value["status"]), ("l1", "listening", "running"))
    equal(len(p.ok("describe", "l1", "-o", "jsonl").jsonl()), 1)


def it_shows_events_and_follows_them_to_the_end(p):
    """[T6]"""
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    follower = p.begin("show", "l1", "-f", "-o", "jsonl")
    first = json.loads(follower.stdout.readline())
    equal((first["seq"], first["type"]), (1, "RunStarted"))
    p.ok("signal", "l1", "go", "-i", '"now"')
    rest = follower.stdout.read().splitlines()
    equal(follower.wait(), 0)
    events = [first] + [json.loads(line) for line in rest]
    follower.stdout.close()
    follower.stderr.close()
    equal([e["seq"] for e in events], list(range(1, len(events) + 1)), "no event is lost or shown twice")
    equal(events[-1]["type"], "RunCompleted")
    equal(p.ok("show", "l1", "-o", "json").json(), events)
    text = p.ok("show", "l1").out
    equal(len(lines(text)), len(events))
    within(text, "SignalReceived")
    within(text, "cli_module.c:")
    equal(len(p.ok("show", "l1", "--limit", "2", "-o", "json").json()), 2)
    p.run("show", "l1", "-f", "-o", "json").exits(2)


def it_follows_a_run_that_continues_as_new(p):
    p.serve()
    p.ok("start", "renewing", "-w", "r1", "-i", '{"left": 3}')
    p.until_status("r1", "completed")
    events = p.ok("show", "r1", "-f", "-o", "jsonl").jsonl()
    equal(events[-1]["type"], "RunCompleted")
    within(p.ok("trace", "r1").out, "an earlier run")


def it_draws_a_run_as_a_tree(p):
    p.serve()
    p.ok("start", "gallery", "-w", "g1", "-i", json.dumps({"name": "Ada", "items": [1, 2, 3], "file": p.path("none")}))
    p.until_waiting("g1", "publish")
    text = p.ok("trace", "g1").out
    check("\033" not in text, "colours in a pipe")
    for part in ("g1  gallery@1  running", "greet", "sleep 200 ms", "branch 1", "map square, 3 items", "hello", "needs_file", "2 attempts",
                 "NoFile", "approval publish", "cli_module.c:", "pawl wait g1"):
        within(text, part)
    within(text, "├─ ✓ greet")
    ascii_text = p.ok("trace", "g1", env={"LC_ALL": "C"}).out
    check(ascii_text.isascii(), "box drawing outside a UTF-8 locale")
    within(ascii_text, "|- + greet")
    check("\033[" in p.ok("trace", "g1", "--color", "always").out, "colours when told")
    equal(plain(p.ok("trace", "g1", "--color", "always").out).split("\n")[1], text.split("\n")[1])
    value = p.ok("trace", "g1", "-o", "json").json()
    kinds = [s["kind"] for s in value["steps"]]
    for kind in ("activity", "timer", "map", "child", "wait"):
        check(kind in kinds, f"{kind} is not among {kinds}")
    child = [s for s in value["steps"] if s["kind"] == "child"][0]
    equal(child["child"]["steps"][0]["name"], "greet")
    p.ok("answer", "g1", "approve")
    p.ok("result", "g1")
    within(p.ok("trace", "g1").out, "approve by ")


def it_says_where_a_run_waits(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    text = p.ok("stack", "l1").out
    within(text, "signal go")
    within(text, "cli_module.c:")
    check(re.search(r"stack \d+ of 256 KiB", text), text)
    p.ok("start", "retrying", "-w", "r1", "-i", json.dumps({"file": p.path("none")}))
    p.until("r1", lambda d: any(e["type"] == "ActivityRetried" for e in p.ok("show", "r1", "-o", "json").json()))
    within(p.ok("stack", "r1").out, "attempt ")
    value = p.ok("stack", "l1", "-o", "json").json()
    equal((value["id"], value["waiting"][0]["kind"]), ("l1", "signal"))
    p.run("execute", "broken", "-w", "b1", "-i", '{"message": "no disk", "type": "NoDisk"}').exits(5)
    for part in ("b1 failed", "NoDisk: no disk", "#1 fail at cli_module.c:", "pawl resume b1"):
        within(p.ok("stack", "b1").out, part)
    p.ok("execute", "hello", "-w", "h1")
    within(p.ok("stack", "h1").out, "waits for nothing any more")


def it_fails_a_run_whose_template_is_malformed(p):
    done = p.run("execute", "misspelt", "-w", "m1", "--module", p.modules[0]).exits(5)
    within(done.err, "BadTemplate: column 8 of the template {oops: yes}")


def it_says_which_code_asked_for_too_much_and_what_failed_first(p):
    p.serve()
    within(p.run("execute", "chatty", "-w", "c1").exits(5).err, "without waiting, the last at cli_module.c:")
    done = p.run("execute", "careless", "-w", "c2", "-i", '{"message": "no disk", "type": "NoDisk"}').exits(5)
    within(done.err, "after a failure at cli_module.c:")
    within(done.err, "pawl_ok and pawl_catch")
    p.run("execute", "adopting", "-w", "a1", "-i", '{"message": "no disk", "type": "NoDisk"}').exits(5)
    for verb in (["describe", "a1"], ["list", "-q", "id = a1"]):
        within(p.ok(*verb).out, "because NoDisk: no disk")


def it_fits_a_terminal_of_80_columns(p):
    p.serve()
    p.ok("start", "wordy", "-w", "a-run-with-a-long-id-1")
    p.until_waiting("a-run-with-a-long-id-1", "question")
    for args in (["stack", "a-run-with-a-long-id-1"], ["help", "answer"], ["help", "start"], ["help", "worker"]):
        for line in p.on_terminal(80, *args).splitlines():
            check(len(line) <= 80, f"{len(line)} columns in {args}: {line!r}")
    lines = p.on_terminal(80, "wait").splitlines()
    check(lines[2].startswith("  asked "), lines)


def it_says_that_nobody_has_an_activity(p):
    p.serve()
    p.ok("start", "lacking", "-w", "k1")
    p.until_waiting("k1", "nobody_has_this")
    for verb in ("stack", "trace"):
        within(p.ok(verb, "k1").out, "no activity of that name is registered")
    equal(p.read("serve.log").count("no activity \"nobody_has_this\" is registered (cli_module.c:"), 1)
    p.ok("terminate", "k1")
    p.until_status("k1", "terminated")
    within(p.ok("trace", "k1").out, "cut when the run ended")


def it_waits_through_a_killed_engine(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    waiter = p.begin("result", "l1", "-o", "json")
    p.wait_in(waiter)
    p.stop(signal.SIGKILL)
    line = waiter.stderr.readline()
    within(line, "engine went away")
    p.serve()
    p.ok("signal", "l1", "go", "-i", "1")
    equal(json.loads(waiter.stdout.read())["result"], {"got": 1})
    equal(waiter.wait(), 0)
    waiter.stdout.close()
    waiter.stderr.close()


def it_stops_waiting_but_not_the_run_on_interrupt(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    waiter = p.begin("result", "l1")
    p.wait_in(waiter)
    waiter.send_signal(signal.SIGINT)
    out, err = waiter.communicate(timeout=60)
    equal((waiter.returncode, out), (130, ""))
    within(err, "the run goes on")
    equal(p.state("l1")["status"], "running")


def it_ends_a_following_when_its_reader_is_gone(p):
    p.serve()
    p.ok("start", "asking", "-w", "gone")
    p.until_waiting("gone", "answer")
    follower = p.begin("show", "gone", "-f")
    within(follower.stdout.readline(), "RunStarted")
    follower.stdout.close()
    equal(follower.wait(60), -signal.SIGPIPE)
    equal(p.state("gone")["status"], "running")


def it_says_how_to_follow_again_on_interrupt(p):
    """As when a result is waited for: the run goes on, and what to type is said."""
    p.serve()
    p.ok("start", "telling", "-w", "t1")
    for args, first in ((["stream", "t1"], "-- tell (#1), out"), (["show", "t1", "-f"], "RunStarted")):
        follower = p.begin(*args)
        within(follower.stdout.readline(), first)
        follower.send_signal(signal.SIGINT)
        _, err = follower.communicate(timeout=60)
        equal((follower.returncode, err), (130, f"the run goes on; to follow it again: pawl {' '.join(args)}\n"))
    code, text = p.at_terminal(80, "telling@1", "trace", "t1", "-f")
    equal(code, 130)
    within(text, "the run goes on; to follow it again: pawl trace t1 -f\n")
    equal(p.state("t1")["status"], "running")
    p.ok("cancel", "t1")
    p.until_status("t1", "failed")
    within(p.ok("stream", "t1").err, "is not kept")


main(globals())
