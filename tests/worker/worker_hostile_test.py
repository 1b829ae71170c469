"""Workers that cheat: others' tokens, guessed ones, stale ones. Each is refused and counted, and no run is the worse for it."""
import os
import subprocess
import sys

from worker_rig import check, equal, result, run, start, with_msgpack

PYTHON = with_msgpack(None)
if not sys.executable or subprocess.run([sys.executable, "-c", "import msgpack"], capture_output=True, check=False).returncode != 0:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

STALE, INVALID, DENIED, OK, DONE = 9, 11, 30, 0, 33


class Peer:
    """A connection that says what it likes."""

    def __init__(self, p):
        sys.path.insert(0, p.modules[2])
        import worker as example  # pylint: disable=import-error,import-outside-toplevel
        self.c = example.Connection(example.owner_socket(p.db))
        self.kept = {}

    def wait(self, number):
        while number not in self.kept:
            got, status, body = self.c.receive()
            self.kept[got] = (status, body)
        return self.kept.pop(number)

    def ask(self, op, **args):
        return self.wait(self.c.send(op, args))

    def poll(self, *names):
        status, task = self.ask("task_poll", activities=list(names))
        equal(status, OK, "task_poll")
        return task


def refused(peer):
    status, stats = peer.ask("stats")
    equal(status, OK)
    return stats["refused"], stats["stale"]


ENDS = (("task_done", {"result": "stolen"}), ("task_fail", {"type": "X", "message": ""}), ("task_canceled", {}), ("task_beat", {}),
        ("task_wait", {}), ("task_canceled", {"begun": False}))


def it_refuses_the_token_of_another_worker(p):
    p.serve()
    mine, other = Peer(p), Peer(p)
    start(p, "r1", "job")
    task = mine.poll("job")
    for op, args in ENDS:
        equal(other.ask(op, token=task["token"], **args)[0], DENIED, op)
    equal(refused(mine)[0], len(ENDS), "each is counted")
    equal(mine.ask("task_done", token=task["token"], result="mine")[0], OK, "and the owner's still counts")
    equal(result(p, "r1"), "mine")


def it_refuses_guessed_tokens(p):
    p.serve()
    mine, other = Peer(p), Peer(p)
    start(p, "r1", "job")
    task = mine.poll("job")
    numbers, secret = task["token"].rsplit(":", 1)
    equal(len(secret), 32)
    for peer in (mine, other):  # not even who has the attempt may make a token up
        for guess in ("0" * 32, secret[:-1] + ("0" if secret[-1] != "0" else "1"), secret.upper() if secret.upper() != secret else "f" * 32):
            for op, args in ENDS:
                equal(peer.ask(op, token=f"{numbers}:{guess}", **args)[0], DENIED, f"{op} {guess}")
    before = refused(mine)[0]
    for text in ("", ":", numbers, numbers + ":", numbers + ":" + secret + "0", "x:" + secret, "9" * 500, numbers + "\0:" + secret, None, 7):
        status = other.ask("task_done", token=text, result=1)[0]
        check(status in (INVALID, DENIED, STALE), f"{text!r}: {status}")
    check(refused(mine)[0] > before, "counted")
    equal(mine.ask("task_done", token=task["token"], result="mine")[0], OK)
    equal(result(p, "r1"), "mine")


def it_refuses_tokens_of_attempts_that_are_over(p):
    p.serve()
    mine = Peer(p)
    start(p, "r1", "job", retries=5)
    first = mine.poll("job")
    equal(mine.ask("task_fail", token=first["token"], type="Busy", message="later")[0], OK)
    second = mine.poll("job")
    equal(second["attempt"], 2)
    stale = refused(mine)[1]
    for op, args in ENDS:
        equal(mine.ask(op, token=first["token"], **args)[0], STALE, op)
    equal(refused(mine)[1] - stale, len(ENDS), "each is counted")
    first_parts, second_parts = first["token"].split(":"), second["token"].split(":")
    mixed = ":".join(second_parts[:5] + first_parts[5:])
    equal(mine.ask("task_done", token=mixed, result=1)[0], DENIED, "an old secret on new numbers")
    equal(mine.ask("task_done", token=second["token"], result=2)[0], OK)
    equal(mine.ask("task_done", token=second["token"], result=3)[0], STALE)
    equal(result(p, "r1"), 2)


def it_refuses_tokens_from_before_a_restart_and_from_a_connection_that_was(p):
    p.serve()
    mine = Peer(p)
    start(p, "r1", "job", retries=5)
    old = mine.poll("job")
    p.stop(9)
    p.serve()
    mine = Peer(p)
    equal(mine.ask("task_done", token=old["token"], result="old")[0], STALE)
    task = mine.poll("job")
    mine.c.close()
    mine = Peer(p)
    check(mine.ask("task_done", token=task["token"], result="late")[0] in (STALE, DENIED), "the connection is gone, and the attempt with it")
    again = mine.poll("job")
    equal(again["attempt"], 2)
    equal(mine.ask("task_done", token=again["token"], result="good")[0], OK)
    equal(result(p, "r1"), "good")


def it_gives_a_local_attempt_to_nobody(p):
    p.serve(code=1)  # activities of the module run here
    start_here(p)
    other = Peer(p)
    for item in range(2):
        for attempt in range(1, 3):
            for epoch in range(1, 4):
                token = f"1:1:{item}:{attempt}:{epoch}:" + "0" * 32
                check(other.ask("task_done", token=token, result="stolen")[0] in (STALE, DENIED), token)
    equal(result(p, "r1"), "mine")


def start_here(p):
    p.stop()
    p.serve()
    peer = Peer(p)
    start(p, "r1", "job")
    task = peer.poll("job")
    equal(peer.ask("task_done", token=task["token"], result="mine")[0], OK)


def it_takes_polls_back(p):
    p.serve()
    mine = Peer(p)
    polls = [mine.c.send("task_poll", {"activities": ["job"]}) for _ in range(3)]
    equal(mine.ask("task_unpoll")[0], OK)
    for number in polls:
        equal(mine.wait(number)[0], DONE)
    start(p, "r1", "job")
    task = mine.poll("job")
    equal(mine.ask("task_canceled", token=task["token"], begun=False)[0], OK, "never begun: it costs no attempt")
    again = mine.poll("job")
    equal(again["attempt"], 1)
    check(again["token"] != task["token"], "another hand-out has another token")
    equal(mine.ask("task_done", token=task["token"], result="old")[0], DENIED)
    equal(mine.ask("task_done", token=again["token"], result="new")[0], OK)
    equal(result(p, "r1"), "new")


def it_survives_polls_of_nonsense(p):
    p.serve()
    mine = Peer(p)
    for args in ({}, {"activities": 7}, {"activities": [None, {"name": 3}, [], {"effect": "unsafe"}]}, {"activities": ["x"] * 5000},
                 {"activities": ["job"], "queues": "job"}):
        mine.c.send("task_poll", args)
    start(p, "r1", "job")
    good = Peer(p)
    task = good.poll("job")
    equal(good.ask("task_done", token=task["token"], result=1)[0], OK)
    equal(result(p, "r1"), 1)


run(globals())
