"""Activities of a Python worker, for the tests: py_activities.py EXAMPLES JOURNAL"""
import os
import sys

sys.path.insert(0, sys.argv[1])
import worker  # noqa: E402  pylint: disable=import-error,wrong-import-position


def put(value, what, task):
    with open(value["log"], "a") as f:
        f.write(f"{what} {value['line']} {task.attempt}\n")


def hold(task, value):
    put(value, "began", task)
    while not os.path.exists(value["until"]):
        task.beat({"at": task.attempt})
        if task.stop.wait(0.02):
            put(value, "stopped", task)
            raise worker.Canceled()
    put(value, "ended", task)
    return {"key": task.key, "detail": task.detail}


@worker.activity("fails")
def fails(task, value):
    put(value, "did", task)
    if task.attempt < 3:
        raise worker.Failed("Busy", "not yet")
    return {"attempt": task.attempt}


@worker.activity("busy")
def busy(task, value):
    put(value, "did", task)
    if task.attempt < 4:
        raise worker.Failed("Busy", "429", retry_s=0.05)
    return {"attempt": task.attempt}


@worker.activity("spends")
def spends(task, value):
    put(value, "did", task)
    for amounts in ({"usd": -1}, {"usd": float("nan")}, {"euros": 1}, {"calls": "many"}):
        try:
            task.spend(**amounts)
            raise AssertionError(f"{amounts} was taken")
        except ValueError:
            pass
    task.spend(usd=0.01, input=100, output=20, calls=1, model="m")
    task.spend(usd=0.02, input=10, calls=1)
    if task.attempt == 1:
        raise worker.Failed("Busy", "and it was paid")
    return {"attempt": task.attempt}


@worker.activity("garbage")
def garbage(task, value):
    put(value, "did", task)
    task.spent = {"usd": 1e308, "what": ["is", "this"] * 10000}  # past the door of spend: as a worker that is none of ours
    return None


def pay(task, value):
    with open(value["ledger"], "a") as f:
        f.write(task.key + "\n")
    hold(task, value)
    return {"by": "pay"}


def look(task, value):
    put(value, "looked", task)
    with open(value["ledger"]) as f:
        return worker.Found({"by": "look"}) if task.key in f.read().split() else worker.NOTHING


worker.activity("pay", effect="unsafe", read_back=look)(pay)
worker.activity("hold")(hold)
worker.activity("hold_unsafe", effect="unsafe")(hold)
if sys.argv[2] == "--connect":
    worker.serve(connect=sys.argv[3], token=os.environ["TOKEN"], ca=sys.argv[4], parallel=2)
else:
    worker.serve(sys.argv[2], parallel=2)
