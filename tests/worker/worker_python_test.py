"""A worker in Python, of the standard library and msgpack: the protocol is usable from elsewhere."""
import signal

from worker_rig import end, equal, events, lines, python_worker, result, run, start, until_lines, with_msgpack

PYTHON = with_msgpack(None)


def it_is_killed_in_the_middle_and_another_goes_on(p):
    p.serve()
    first = python_worker(p, PYTHON)
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    end(first, signal.SIGKILL)
    python_worker(p, PYTHON, "second")
    until_lines(p, ["began r1 1", "began r1 2"])
    p.write("go", "")
    out = result(p, "r1")
    equal(lines(p), ["began r1 1", "began r1 2", "ended r1 2"], "the exact log of side effects")
    equal(out["detail"], {"at": 1}, "the first attempt's last detail")
    equal(events(p, "r1", "ActivityRetried"), 1)


def it_is_killed_in_an_unsafe_effect_and_nobody_repeats_it(p):
    p.serve()
    first = python_worker(p, PYTHON)
    start(p, "r1", "hold_unsafe")
    until_lines(p, ["began r1 1"])
    end(first, signal.SIGKILL)
    python_worker(p, PYTHON, "second")
    p.write("go", "")
    start(p, "r2", "hold")
    result(p, "r2")
    equal(events(p, "r1", "ActivityUnknown"), 1)
    equal(lines(p), ["began r1 1", "began r2 1", "ended r2 1"], "the exact log of side effects")


def it_fails_is_tried_again_and_drains(p):
    p.serve()
    w = python_worker(p, PYTHON)
    start(p, "r1", "fails")
    equal(result(p, "r1"), {"attempt": 3})
    start(p, "r2", "hold")
    until_lines(p, ["did r1 1", "did r1 2", "did r1 3", "began r2 1"])
    w.send_signal(signal.SIGTERM)
    p.write("go", "")
    equal(w.wait(timeout=60), 0)
    result(p, "r2")
    equal(lines(p)[-2:], ["began r2 1", "ended r2 1"])


def it_says_when_to_try_again_and_that_costs_no_attempt(p):
    p.serve()
    python_worker(p, PYTHON)
    start(p, "r1", "busy", retries=-1)
    equal(result(p, "r1"), {"attempt": 4})
    equal(lines(p), [f"did r1 {i}" for i in range(1, 5)])


def it_says_what_its_attempts_spent_and_a_failed_one_counts(p):
    p.serve()
    python_worker(p, PYTHON)
    start(p, "r1", "spends")
    equal(result(p, "r1"), {"attempt": 2})
    cost = p.ok("cost", "r1", "-o", "json").json()
    spent = [{k: v for k, v in e["spent"].items() if k != "wall_ms"} for e in cost["entries"]]
    equal(spent, [{"usd": 0.03, "tokens": 130, "input": 110, "output": 20, "calls": 2}] * 2)
    equal([e["model"] for e in cost["entries"]], ["m", "m"])
    equal(round(cost["spent"]["usd"], 6), 0.06)


def what_is_no_amount_counts_as_unknown_and_is_not_kept(p):
    p.serve()
    python_worker(p, PYTHON)
    start(p, "r1", "garbage")
    result(p, "r1")
    equal([e["state"] for e in p.ok("cost", "r1", "-o", "json").json()["entries"]], ["estimated"])
    shown = p.ok("show", "r1", "-o", "jsonl").out
    equal("this" in shown, False, "what it said is in the journal")


def it_stops_when_the_run_is_cancelled_and_outlives_the_engine(p):
    p.serve()
    python_worker(p, PYTHON)
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    p.ok("cancel", "r1")
    p.run("result", "r1").exits(6)
    p.stop(signal.SIGKILL)
    p.serve()
    start(p, "r2", "fails")
    result(p, "r2")
    equal(lines(p), ["began r1 1", "stopped r1 1", "did r2 1", "did r2 2", "did r2 3"])


run(globals())
