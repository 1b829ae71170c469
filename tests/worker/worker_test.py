"""`pawl worker`: tasks, cancel, drain; a crash, a hang or a full memory of it is a failed or unknown attempt, and never more."""
import json
import os
import signal

from worker_rig import check, end, equal, events, lines, result, run, start, until, until_lines, within, worker


def it_runs_activities_that_the_engine_has_not(p):
    engine = p.serve()
    worker(p, "--parallel", "3")
    start(p, "r1", "note")
    out = result(p, "r1")
    check(out["pid"] != engine.pid, "it ran in another process")
    equal(out["attempt"], 1)
    items = [{"log": p.path("log"), "line": str(i)} for i in range(50)]
    p.ok("start", "many", "-w", "m1", "-i", json.dumps({"activity": "note", "items": items}))
    equal(len(result(p, "m1")), 50)
    equal(sorted(lines(p)), sorted(["did r1 1"] + [f"did {i} 1" for i in range(50)]), "each once")


def it_waits_for_an_engine_and_connects_again_after_each(p):
    p.serve()
    p.stop()
    worker(p, ready=False)
    until(p, lambda: os.path.exists(p.path("worker.log")) and "no engine" in p.read("worker.log"), "it says what it waits for")
    for i in range(3):
        p.serve()
        start(p, f"r{i}", "note")
        result(p, f"r{i}")
        p.stop(signal.SIGKILL if i == 1 else signal.SIGTERM)
    equal(lines(p), [f"did r{i} 1" for i in range(3)])


def it_stops_code_when_the_run_is_cancelled(p):
    p.serve()
    worker(p)
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    p.ok("cancel", "r1")
    p.run("result", "r1").exits(6)
    equal(lines(p), ["began r1 1", "stopped r1 1"])


def it_lets_what_runs_finish_at_the_end_and_takes_nothing_new(p):
    p.serve()
    w = worker(p, "--parallel", "2", "--drain", "60s")
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    w.send_signal(signal.SIGTERM)
    until(p, lambda: "takes nothing new, 1 running" in p.read("worker.log"), "it has not heard that it is to end")
    start(p, "r2", "note")
    p.write("go", "")
    equal(w.wait(timeout=60), 0)
    result(p, "r1")
    equal(events(p, "r1", "ActivityRetried"), 0)
    worker(p, name="second")
    result(p, "r2")
    equal(lines(p), ["began r1 1", "ended r1 1", "did r2 1"])


def it_says_what_its_activities_say(p):
    p.serve()
    w = worker(p)
    start(p, "r1", "speak")
    until_lines(p, ["began r1 1"])
    follower = p.begin("stream", "r1", "-o", "jsonl")
    first = [json.loads(follower.stdout.readline()) for _ in range(2)]
    equal([(e["attempt"], e["at"], e["channel"], e["data"]) for e in first], [(1, 0, "text", "attempt 1\n"), (1, 10, "text", "waits")])
    end(w, signal.SIGKILL)
    worker(p, name="second")
    until_lines(p, ["began r1 1", "began r1 2"])
    reader = p.begin("stream", "r1")
    equal([reader.stdout.readline() for _ in range(2)], ["-- speak (#1), attempt 2, text\n", "attempt 2\n"])
    p.write("go", "")
    rest = [json.loads(line) for line in follower.stdout.read().splitlines()]
    equal([(e["type"], e["attempt"], e.get("data", e.get("stands"))) for e in rest],
          [("OutputEnded", 1, False), ("Output", 2, "attempt 2\n"), ("Output", 2, "waits"), ("Output", 2, "goes on"), ("OutputEnded", 2, True)])
    equal(reader.stdout.read(), "waits\n-- speak (#1), attempt 2, log\ngoes on\n")
    equal((follower.wait(60), reader.wait(60)), (0, 0))
    within(p.ok("stream", "r1").err, "is not kept")


def it_is_one_failed_attempt_when_the_worker_is_killed(p):
    p.serve()
    w = worker(p)
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    end(w, signal.SIGKILL)
    worker(p, name="second")
    until_lines(p, ["began r1 1", "began r1 2"])
    p.write("go", "")
    result(p, "r1")
    equal(events(p, "r1", "ActivityRetried"), 1)
    equal(lines(p), ["began r1 1", "began r1 2", "ended r1 2"])


def it_asks_when_an_unsafe_effect_is_cut(p):
    p.serve()
    w = worker(p)
    start(p, "r1", "hold_unsafe")
    until_lines(p, ["began r1 1"])
    equal(events(p, "r1", "ActivitySent"), 1, "the worker's word on the effect counts")
    end(w, signal.SIGKILL)
    p.until(("r1"), lambda d: "unknown" in (d["waiting"] or "") or d["waiting"] not in (None, "", "activity hold_unsafe"))
    equal(events(p, "r1", "ActivityUnknown"), 1)
    worker(p, name="second")
    p.write("go", "")
    equal(lines(p), ["began r1 1"], "it was not sent again")


def it_survives_a_crash_of_its_code(p):
    p.serve()
    w = worker(p, "--parallel", "4")
    start(p, "r1", "crash", retries=20)
    until(p, lambda: len(lines(p)) >= 2, "it is started again")
    p.write("go", "")
    out = result(p, "r1")
    check(out["attempt"] >= 3, f"attempts burnt: {out}")
    equal(len(lines(p)), out["attempt"], "an attempt each")
    equal(w.poll(), None, "who watches lives")
    start(p, "r2", "note")
    result(p, "r2")


def it_asks_after_a_crash_of_unsafe_code(p):
    p.serve()
    worker(p)
    start(p, "r1", "crash_unsafe")
    until(p, lambda: events(p, "r1", "ActivityUnknown") == 1, "the crash is known")
    equal(lines(p), ["began r1 1"])
    p.ok("describe", "r1")


def it_is_replaced_when_code_does_not_stop(p):
    p.serve()
    worker(p, "--grace", "200ms", "--drain", "200ms")
    start(p, "r1", "hang", timeout_s=1, retries=100)
    attempt = result(p, "r1")["attempt"]  # 2, where the second has a processor for a second
    check(attempt >= 2, f"attempt {attempt}")
    until(p, lambda: "does not stop" in p.read("worker.log") and p.read("worker.log").count("connected") == 2, "it is replaced")
    equal(lines(p), [f"began r1 {i}" for i in range(1, attempt + 1)])


def it_dies_alone_when_its_memory_is_full(p):
    if not can_limit(p):
        print("        skipped: a sanitizer needs more address space than a limit leaves")
        return
    p.serve()
    worker(p, "--memory", "512")
    start(p, "r1", "eat")
    equal(result(p, "r1")["attempt"], 2)
    equal(lines(p), ["began r1 1", "began r1 2"])


def can_limit(p):
    with open(p.pawl, "rb") as f:
        program = f.read()
    return b"__asan_init" not in program and b"__tsan_init" not in program


def it_runs_no_more_of_one_activity_than_its_limit(p):
    p.serve()
    worker(p, "--parallel", "4")
    for i in range(3):
        start(p, f"r{i}", "hold_one")
    until(p, lambda: lines(p), "one begins")
    start(p, "n", "note")
    result(p, "n")
    equal(sum(line.startswith("began") for line in lines(p)), 1, "one at a time, and others are not held up")
    p.write("go", "")
    for i in range(3):
        result(p, f"r{i}")


def it_shares_a_queue_with_other_workers_and_across_restarts(p):
    p.serve()
    p.ok("queue", "narrow", "--concurrency", "2", "--rate", "600/m", "--burst", "600")
    worker(p, "--parallel", "4")
    worker(p, "--parallel", "4", "--queue", "narrow", name="second")
    for i in range(5):
        start(p, f"r{i}", "hold", queue="narrow")
    until(p, lambda: len(lines(p)) >= 2, "two begin")
    start(p, "n", "note")
    result(p, "n")
    row = [q for q in p.ok("queue", "-o", "json").json() if q["name"] == "narrow"][0]
    equal((row["running"], row["queued"], row["concurrency"], row["rate"], row["burst"]), (2, 3, 2, 10, 600))
    p.stop(signal.SIGKILL)
    p.serve()
    until(p, lambda: [q for q in p.ok("queue", "-o", "json").json() if q["name"] == "narrow"][0]["running"] == 2, "as before")
    within(p.ok("queue", "narrow").out, "narrow")
    p.write("go", "")
    for i in range(5):
        result(p, f"r{i}")
    p.run("queue", "--rate", "5").exits(2)
    p.run("queue", "narrow", "--rate", "fast").exits(2)


def it_says_what_is_wrong_with_its_options(p):
    p.run("worker").exits(2)
    p.run("worker", "--module", p.modules[1], "--parallel", "0").exits(2)
    p.run("worker", "--module", p.path("none.so")).exits(4)
    within(p.run("worker", "--module", p.modules[0]).err, "no activity")


run(globals())
