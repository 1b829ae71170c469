"""An unsafe effect, kill -9 after `sent`, and its read-back: exactly one effect; with the code in the engine, in a worker process, far away, in Python."""
import os
import signal

from remote_rig import Wire, need_openssl, remote_worker, serve
from worker_rig import end, equal, events, lines, python_worker, result, run, start, until, until_lines, with_msgpack, within, worker

need_openssl()


def pay(p, **more):
    start(p, "r1", "pay", value={"ledger": p.path("ledger"), **more})
    until_lines(p, ["began r1 1"])
    equal(events(p, "r1", "ActivitySent"), 1)


def ledger(p):
    return lines(p, "ledger")


def found(p):
    """It happened: the step has what the read-back found, and it was sent once."""
    equal(result(p, "r1"), {"by": "look"})
    equal(len(ledger(p)), 1, "exactly one effect")
    equal((events(p, "r1", "ActivitySent"), events(p, "r1", "ActivityUnknown")), (1, 0))
    equal([line for line in lines(p) if not line.startswith("stopped")], ["began r1 1", "looked r1 1"])
    within(p.ok("show", "r1").out, "read-back")
    within(p.ok("trace", "r1").out, "read back")


def nothing(p):
    """It did not happen: it is sent again, and happens once."""
    equal(result(p, "r1"), {"by": "pay"})
    equal(len(ledger(p)), 1, "exactly one effect")
    equal((events(p, "r1", "ActivitySent"), events(p, "r1", "ActivityUnknown")), (2, 0))
    within(p.ok("show", "r1").out, "DidNotHappen")


def asks(p):
    until(p, lambda: events(p, "r1", "ActivityUnknown") == 1, "it is asked about")
    within(p.ok("wait").out, "Did it happen?")
    p.write("go", "")
    p.ok("answer", "r1", "done", "--data", '{"by": "ada"}')
    equal(result(p, "r1"), {"by": "ada"})
    equal(len(ledger(p)), 1)


def it_is_found_after_the_engine_was_killed(p):
    p.serve("--module", p.modules[1])
    pay(p)
    until(p, lambda: ledger(p), "it happens")
    p.stop(signal.SIGKILL)
    p.serve("--module", p.modules[1])
    found(p)


def it_is_sent_again_when_it_had_not_happened(p):
    p.serve("--module", p.modules[1])
    pay(p, late=True)
    p.stop(signal.SIGKILL)
    p.write("go", "")
    p.serve("--module", p.modules[1])
    nothing(p)


def it_is_asked_about_when_nobody_can_tell(p):
    p.serve("--module", p.modules[1])
    pay(p, blind=True)
    until(p, lambda: ledger(p), "it happens")
    p.stop(signal.SIGKILL)
    p.serve("--module", p.modules[1])
    asks(p)


def it_is_found_by_another_worker(p):
    p.serve()
    w = worker(p)
    pay(p)
    until(p, lambda: ledger(p), "it happens")
    end(w, signal.SIGKILL)
    worker(p, name="second")
    found(p)


def it_is_found_when_engine_and_worker_were_killed(p):
    p.serve()
    w = worker(p)
    pay(p)
    until(p, lambda: ledger(p), "it happens")
    p.stop(signal.SIGKILL)
    end(w, signal.SIGKILL)
    p.serve()
    worker(p, name="second")  # comes after the engine: the journal knows that somebody can look
    found(p)


def it_is_sent_again_by_another_worker(p):
    p.serve()
    w = worker(p)
    pay(p, late=True)
    end(w, signal.SIGKILL)
    p.write("go", "")
    worker(p, name="second")
    nothing(p)


def it_is_found_from_far_away(p):
    serve(p, "--worker-grace", "300ms")
    wire = Wire(p.port)
    w = remote_worker(p, port=wire.port)
    pay(p)
    until(p, lambda: ledger(p), "it happens")
    end(w, signal.SIGKILL)
    wire.close()
    remote_worker(p, name="second")
    found(p)


def it_is_found_by_a_worker_in_python(p):
    python = with_msgpack(p.modules[2])
    p.serve()
    w = python_worker(p, python)
    pay(p)
    until(p, lambda: ledger(p), "it happens")
    end(w, signal.SIGKILL)
    p.write("go", "")
    python_worker(p, python, name="second")
    found(p)


def it_waits_for_a_worker_that_can_look(p):
    p.serve()
    w = worker(p)
    pay(p)
    until(p, lambda: ledger(p), "it happens")
    end(w, signal.SIGKILL)
    until(p, lambda: "read back" in p.ok("stack", "r1").out or "no worker asks" in p.ok("stack", "r1").out, "it waits for one that can")
    equal(os.path.exists(p.path("go")), False)
    worker(p, name="second")
    found(p)


run(globals())
