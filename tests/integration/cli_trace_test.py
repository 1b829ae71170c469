"""The drawing of a run, to the letter: from journals written with given times. argv: PAWL cli_journal_make"""
import json
import re
import subprocess

from cli_rig import check, equal, main, within

T = 1700000000000


def event(kind, number=0, /, **body):
    return [kind, number, body]


def turn(at, *events):
    return {"now_ms": T + at, "events": list(events)}


def run(name, status, closed, *turns, workflow="work", **more):
    return {"id": name, "workflow": workflow, "version": "1", "status": status, "created_ms": T, "closed_ms": T + closed if closed else 0,
            "turns": list(turns), **more}


def draw(p, runs, *args, name=None, **more):
    subprocess.run([p.modules[0], p.db], input=json.dumps(runs), text=True, check=True)
    return p.ok("trace", name or runs[0]["id"], *args, **more).out


def failure(kind, message, **more):
    return {"type": kind, "message": message, "retryable": False, **more}


FINISHED = [
    run("order-1", "failed", 95000,
        turn(0, event("RunStarted", workflow="work", id="order-1"), event("ActivityScheduled", 1, name="fetch", at="work.c:10")),
        turn(1200, event("ActivityCompleted", 1, result=1, attempt=1), event("StepCompleted", 2, name="count", result=3, at="work.c:11")),
        turn(1201, event("TimerStarted", 3, due_ms=T + 6201, at="work.c:12")),
        turn(6201, event("TimerFired", 3), event("SignalAwaited", 4, name="paid", due_ms=T + 70000, at="work.c:13")),
        turn(8000, event("SignalReceived", name="other", value=None), event("SignalReceived", name="paid", value={"amount": 4}),
             event("ActivityScheduled", 5, name="left", branch=1, at="work.c:20"),
             event("ActivityScheduled", 6, name="right", branch=2, at="work.c:21")),
        turn(9000, event("ActivityRetried", 5, failure=failure("Timeout", "too slow"), attempt=1, due_ms=T + 10000)),
        turn(11000, event("ActivityCompleted", 5, result=None, attempt=2)),
        turn(12000, event("ActivityCanceled", 6, attempt=1), event("ChildStarted", 7, name="work", id="order-1/7", at="work.c:30")),
        turn(20000, event("ChildFailed", 7, failure=failure("Broken", "no disk")),
             event("MapScheduled", 8, name="square", total=1000, at="work.c:31")),
        turn(30000, event("MapCompleted", 8, total=1000, failed=2), event("WaitCreated", 9, name="publish", kind="approval", at="work.c:32")),
        turn(80000, event("WaitAnswered", 9, choice="approve", by="ada", at_ms=T + 80000),
             event("WaitCreated", 10, name="again", kind="question", due_ms=T + 90000, at="work.c:33")),
        turn(90000, event("WaitExpired", 10, choice="no"), event("SignalSent", 11, to="other-1", name="stop", value=None, at="work.c:34"),
             event("ActivityScheduled", 12, name="make", at="work.c:35")),
        turn(95000, event("ActivityFailed", 12, failure=failure("ExitStatus", "make: error 2"), attempt=3),
             event("RunFailed", 13, failure=failure("Release", "it failed", cause=failure("ExitStatus", "make: error 2")), unread=1))),
    run("order-1/7", "failed", 19000, turn(12000, event("RunStarted", workflow="work", id="order-1/7"), event("StepFailed", 1, name="disk",
                                                                                                      failure=failure("Broken", "no disk"),
                                                                                                      at="work.c:50")),
        parent=1),
]

DRAWN = """\
order-1  work@1  failed after 1 min 35 s
├─ ✓ fetch                   1.2 s
├─ ✓ count                   0 ms
├─ ✓ sleep 5 s               5 s
├─ ✓ signal paid             1.7 s
├─ branch 1
│  └─ ✓ left                 3 s         2 attempts
├─ branch 2
│  └─ ⊘ right                4 s         canceled  work.c:21
├─ ✗ order-1/7  work         8 s         Broken: no disk  work.c:30
│  └─ ✗ disk                 0 ms        Broken: no disk  work.c:50
├─ ✓ map square, 1000 items  10 s        2 failed
├─ ✓ approval publish        50 s        approve by ada
├─ ◷ question again          10 s        no, by its deadline  work.c:33
├─ ✓ send stop to other-1
├─ ✗ make                    5 s         3 attempts: ExitStatus: make: error 2  work.c:35
└─ signal other is not read yet
Release: it failed
because ExitStatus: make: error 2
"""


def it_draws_a_finished_run(p):
    equal(draw(p, FINISHED), DRAWN)


def it_draws_the_same_in_ascii(p):
    text = draw(p, FINISHED, env={"LC_ALL": "C"})
    wanted = DRAWN
    for box, plain in (("├─", "|-"), ("└─", "`-"), ("│", "|"), ("✓", "+"), ("✗", "x"), ("⊘", "/"), ("◷", "!")):
        wanted = wanted.replace(box, plain)
    equal(text, wanted)


def it_shows_where_an_open_run_is(p):
    runs = [run("open-1", "running", 0,
                turn(0, event("RunStarted", workflow="work", id="open-1"),
                     event("MapScheduled", 1, name="square", total=1000, at="work.c:1"),
                     event("ActivityScheduled", 2, name="unsafe", branch=1, at="work.c:2"),
                     event("ActivityScheduled", 3, name="slow", branch=2, at="work.c:3"),
                     event("WaitCreated", 4, name="publish", kind="approval", prompt="Publish it?", branch=3, at="work.c:4"),
                     event("CancelRequested", reason="enough", by="ada")),
                turn(10, event("ActivityUnknown", 2, attempt=1)),
                turn(20, event("ActivityRetried", 3, failure=failure("Timeout", "too slow"), attempt=4, due_ms=T + 30)),
                maps=[{"cmd": 1, "total": 1000, "done": 250, "failed": 1}])]
    text = draw(p, runs)
    for part in ("● map square, 1000 items", "250 of 1000, 1 failed", "? unsafe", "whether it happened is not known", "work.c:2",
                 "● slow", "attempt 5, after Timeout: too slow", "◆ approval publish", "Publish it?", "pawl wait open-1",
                 "· asked to cancel", "by ada: enough"):
        within(text, part)
    value = p.ok("trace", "open-1", "-o", "json").json()
    steps = {s["name"]: s for s in value["steps"]}
    equal(steps["square"]["progress"], {"done": 250, "total": 1000, "failed": 1})
    equal((steps["unsafe"]["state"], steps["slow"]["attempts"]), ("unknown", 5))


def it_leaves_out_what_a_retry_took_back(p):
    runs = [run("again-1", "completed", 4000,
                turn(0, event("RunStarted", workflow="work", id="again-1"), event("ActivityScheduled", 1, name="kept")),
                turn(1000, event("ActivityCompleted", 1, result=1, attempt=1), event("ActivityScheduled", 2, name="mended")),
                turn(2000, event("ActivityFailed", 2, failure=failure("Broken", "x"), attempt=1),
                     event("RunFailed", 3, failure=failure("Broken", "x"), unread=0)),
                turn(3000, event("RunRetried", **{"from": 4}, by="ada")),
                turn(3000, event("ActivityScheduled", 2, name="mended")),
                turn(4000, event("ActivityCompleted", 2, result=2, attempt=1), event("RunCompleted", 3, result={"ok": True}, unread=0)))]
    equal(draw(p, runs), "again-1  work@1  completed after 4 s\n"
                         "├─ ✓ kept             1 s\n"
                         "├─ · opened again                 by ada\n"
                         "└─ ✓ mended           1 s\n"
                         "result: ok: true\n")


def it_stays_within_a_terminal_and_cuts_nothing_in_a_pipe(p):
    long = "x" * 300
    runs = [run("long-1", "failed", 1000,
                turn(0, event("RunStarted", workflow="work", id="long-1"), event("ActivityScheduled", 1, name="n" * 100, at="work.c:1")),
                turn(1000, event("ActivityFailed", 1, failure=failure("Broken", long), attempt=1),
                     event("RunFailed", 2, failure=failure("Broken", "x"), unread=0)))]
    within(draw(p, runs), long)
    command = f"stty cols 80 rows 40; {p.pawl} trace long-1; {p.pawl} show long-1; {p.pawl} list"
    done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True, env={**p.env, "TERM": "xterm"},
                          stdin=subprocess.DEVNULL, check=False) if p.has("script") else None
    if done is None:
        print("        (script is not here: only the pipe was looked at)")
        return
    check("\033[" in done.stdout, "no colours on a terminal")
    for line in re.sub(r"\033\[[0-9;]*m", "", done.stdout).splitlines():
        check(len(line) <= 80, f"{len(line)} columns: {line!r}")


def it_draws_ten_thousand_steps_and_deep_families(p):
    many = [event("StepCompleted", i + 1, name=f"s{i}", result=None) for i in range(9000)]
    runs = [run("many", "completed", 1000, turn(0, event("RunStarted", workflow="work", id="many")), turn(1, *many),
                turn(1000, event("RunCompleted", 9001, result=None, unread=0)))]
    runs += [run(f"c{i}", "completed", 1000,
                 turn(0, event("RunStarted", workflow="work", id=f"c{i}"), event("ChildStarted", 1, name="work", id=f"c{i + 1}")),
                 turn(1, event("ChildCompleted", 1, result=None), event("RunCompleted", 2, result=None, unread=0))) for i in range(30)]
    text = draw(p, runs)
    equal(len(text.splitlines()), 9001)
    deep = p.ok("trace", "c0").out
    check(5 < len(deep.splitlines()) < 20, deep)


main(globals())
