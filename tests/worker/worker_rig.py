"""What the worker tests share: workers beside an engine, and a client that speaks the protocol by itself."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from cli_rig import DEADLINE, Failure, check, equal, main, within  # noqa: E402,F401  pylint: disable=wrong-import-position,unused-import
from machine import keep_port, standing  # noqa: E402,F401  pylint: disable=wrong-import-position,unused-import


def with_msgpack(examples):
    """A python3 that has msgpack; ends this test as skipped when there is none."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import msgpack"], capture_output=True, check=False).returncode == 0:
            return python
    print("skipped: no python3 with msgpack (python3-msgpack) is here")
    sys.exit(77)


def begin(p, argv, name="worker"):
    """A process that says "connected" when it is ready."""
    log = open(p.path(name + ".log"), "ab")
    process = subprocess.Popen(argv, cwd=p.folder, env=p.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    log.close()
    p.workers.append(process)
    return process


def worker(p, *args, name="worker", ready=True):
    """`pawl worker`, connected."""
    process = begin(p, [p.pawl, "worker", "--module", p.modules[1], *args], name)
    if ready:
        until(p, lambda: "connected" in p.read(name + ".log"), f"{name} never connected", name)
    return process


def python_worker(p, python, name="python"):
    here = os.path.dirname(os.path.abspath(__file__))
    process = begin(p, [python, "-B", os.path.join(here, "py_activities.py"), p.modules[2], p.db], name)
    until(p, lambda: "connected" in p.read(name + ".log"), f"{name} never connected", name)
    return process


def until(p, truth, message, name="worker"):
    end = time.monotonic() + DEADLINE
    while not truth():
        if time.monotonic() > end:
            said = p.read(name + ".log") if os.path.exists(p.path(name + ".log")) else ""
            raise Failure(f"{message() if callable(message) else message}\n{said}\n{standing(p.beside())}")
        time.sleep(0.01)


def lines(p, name="log"):
    """What the activities wrote down."""
    return p.read(name).splitlines() if os.path.exists(p.path(name)) else []


def until_lines(p, wanted):
    until(p, lambda: len(lines(p)) >= len(wanted), lambda: f"wanted {wanted}, log {lines(p)}")
    equal(lines(p), wanted, "the log of side effects")


def start(p, run, activity, workflow="call", **more):
    value = {"log": p.path("log"), "line": run, "until": p.path("go"), **more.pop("value", {})}
    p.ok("start", workflow, "-w", run, "-i", json.dumps({"activity": activity, "input": value, **more}))


def result(p, run):
    return p.ok("result", run, "-o", "json").json()["result"]


def events(p, run, kind):
    """How many events of a kind a run has."""
    return sum(1 for e in p.ok("show", run, "-o", "jsonl").jsonl() if e.get("type") == kind)


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    return process.wait(timeout=DEADLINE)


def run(tests):
    """Runs a module's tests; no worker outlives one."""
    def wrap(test):
        def call(p):
            try:
                test(p)
            finally:
                for process in p.workers:
                    if process.poll() is None:
                        process.kill()
                        process.wait()
                for name in ("worker.log", "python.log"):
                    if os.path.exists(p.path(name)) and sys.exc_info()[0] is not None:
                        print(f"{name} says:\n{p.read(name)[-2000:]}", flush=True)
        return call
    main({name: wrap(f) for name, f in tests.items() if name.startswith("it_")})
