"""The port for remote workers against strangers and cheats: each is cut or refused and counted, the engine's own work goes on, nothing leaks in."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import warnings

from remote_rig import Peer, need_openssl, serve, token
from worker_rig import check, equal, result, run, start, until, with_msgpack, within

need_openssl()
warnings.simplefilter("ignore", DeprecationWarning)  # old versions of TLS are what is tested
PYTHON = with_msgpack(None)
if not sys.executable or subprocess.run([sys.executable, "-c", "import msgpack"], capture_output=True, check=False).returncode != 0:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

OK, STALE, INVALID, DENIED, PARSE, LIMIT = 0, 9, 11, 30, 16, 12


def refused(p):
    """How many, as the log says at the end."""
    p.stop(signal.SIGTERM)
    found = re.findall(r"(\d+) requests and connections were refused", p.read("serve.log"))
    return int(found[-1]) if found else 0


def worker(p, **more):
    peer = Peer(p, hello={"token": p.env["TOKEN"], **more})
    equal(peer.welcome[0], OK)
    return peer


def works(p, run_id="r1"):
    """A well-behaved worker gets its task and reports it."""
    start(p, run_id, "job")
    peer = worker(p)
    status, task = peer.ask("task_poll", activities=["job"])
    equal(status, OK)
    equal(peer.ask("task_done", token=task["token"], result="good")[0], OK)
    equal(result(p, run_id), "good")


def it_lets_nobody_in_without_a_token(p):
    serve(p)
    for given in ("", "x", "pawl-worker-" + "0" * 16 + "-" + "0" * 64, p.env["TOKEN"][:-1] + ("0" if p.env["TOKEN"][-1] != "0" else "1"),
                  p.env["TOKEN"] + "0", p.env["TOKEN"].upper(), 7, None, "x" * 100000):
        peer = Peer(p)
        equal(peer.ask("hello", token=given)[0], DENIED, str(given)[:50])
        check(peer.closed(), "and is cut")
    peer = Peer(p)
    equal(peer.ask("task_poll", activities=["job"])[0], DENIED, "hello comes first")
    check(peer.closed(), "cut")
    works(p)
    equal(refused(p), 10)


def it_may_do_nothing_but_work(p):
    """[T7]"""
    serve(p)
    start(p, "r1", "job")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "engine", "ops.def"), encoding="utf-8") as f:
        ops = re.findall(r'^X\(\w+, "(\w+)"', f.read(), re.M)
    others = [op for op in ops if not op.startswith("task_") and op != "hello"] + ["nonsense", "", "task_", "TASK_POLL"]
    check(len(others) > 20, "the list of operations was read")
    for i in range(0, len(others), 10):
        peer = worker(p)
        for op in others[i:i + 10]:
            status, body = peer.ask(op, id="r1", name="s", workflow="call", reason="x", filter="", key=1)
            equal((op, status), (op, DENIED))
            within(body["message"], "only task_*")
    peer = worker(p)
    for _ in range(16):
        peer.send("terminate", id="r1")
    check(peer.closed(), "whoever goes on is cut")
    equal(p.ok("describe", "r1", "-o", "json").json()["status"], "running")
    p.ok("terminate", "r1")
    check(refused(p) >= len(others) + 16, "each is counted")


def it_authorises_its_own_task_alone(p):
    serve(p)
    start(p, "r1", "job")
    mine, other = worker(p), worker(p)
    _, task = mine.ask("task_poll", activities=["job"])
    for op, args in (("task_done", {"result": "stolen"}), ("task_fail", {"type": "X", "message": ""}), ("task_canceled", {}), ("task_beat", {}),
                     ("task_wait", {}), ("task_output", {"channel": "text", "data": "x"})):
        equal(other.ask(op, token=task["token"], **args)[0], DENIED, op)
    check(p.env["TOKEN"] not in task["token"], "the one has nothing of the other")
    equal(mine.ask("task_done", token=p.env["TOKEN"], result=1)[0], INVALID, "nor is one the other")
    equal(mine.ask("task_done", token=task["token"], result="mine")[0], OK)
    equal(result(p, "r1"), "mine")


def it_goes_on_with_nobody_elses_session(p):
    serve(p)
    p.env["OTHER"] = token(p, "other")
    until(p, lambda: Peer(p, hello={"token": p.env["OTHER"]}).welcome[0] == OK, "the new token is known")
    mine = worker(p, worker="w1")
    start(p, "r1", "job")
    _, task = mine.ask("task_poll", activities=["job"])
    session = mine.welcome[1]["session"]
    thief = Peer(p, hello={"token": p.env["OTHER"], "worker": "w1", "session": session, "tasks": [task["token"]]})
    equal((thief.welcome[0], thief.welcome[1]["resumed"]), (OK, False), "another token's session is none")
    equal(thief.ask("task_done", token=task["token"], result="stolen")[0], DENIED)
    guess = worker(p, worker="w2", session="0" * 32, tasks=[task["token"]])
    equal(guess.welcome[1]["resumed"], False)
    equal(guess.ask("task_done", token=task["token"], result="stolen")[0], DENIED)
    back = worker(p, worker="w1", session=session, tasks=[task["token"]])
    equal(back.welcome[1]["resumed"], True)
    back.number = mine.number
    equal(back.ask("task_done", token=task["token"], result="mine")[0], OK)
    equal(result(p, "r1"), "mine")
    check(mine.closed(), "the connection before is cut")


def it_hands_a_task_that_was_lost_on_the_way_to_somebody_else(p):
    serve(p)
    mine = worker(p, worker="w1")
    start(p, "r1", "job")
    status, task = mine.ask("task_poll", activities=["job"])
    equal(status, OK)
    back = worker(p, worker="w1", session=mine.welcome[1]["session"], tasks=[])  # it never saw it
    back.number = mine.number
    status, again = back.ask("task_poll", activities=["job"])
    equal((status, again["attempt"]), (OK, 1), "it costs no attempt")
    equal(back.ask("task_done", token=task["token"], result="old")[0], DENIED)
    equal(back.ask("task_done", token=again["token"], result="new")[0], OK)
    equal(result(p, "r1"), "new")


def it_finds_a_task_in_a_long_list_of_what_a_worker_still_has(p):
    serve(p)
    mine = worker(p, worker="w1")
    start(p, "r1", "job")
    status, task = mine.ask("task_poll", activities=["job"])
    equal(status, OK)
    back = worker(p, worker="w1", session=mine.welcome[1]["session"], tasks=[1] * 250000 + [task["token"]])
    back.number = mine.number
    equal(back.ask("task_done", token=task["token"], result="mine")[0], OK)
    equal(result(p, "r1"), "mine")


def it_keeps_polls_within_the_token(p):
    serve(p)
    p.env["TOKEN"] = token(p, "narrow", "--queue", "gpu", "--activity", "job,em*")
    until(p, lambda: Peer(p, hello={"token": p.env["TOKEN"]}).welcome[0] == OK, "it is known")
    peer = worker(p)
    equal((peer.welcome[1]["queues"], peer.welcome[1]["activities"]), (["gpu"], ["job", "em*"]))
    for args in ({"activities": ["other"]}, {"activities": ["job", "other"]}, {"activities": [{"name": "other"}]}, {"activities": ["job"], "queues": ["x"]},
                 {"activities": ["job"], "queues": ["gpu", "x"]}):
        equal(peer.ask("task_poll", **args)[0], DENIED, str(args))
    for args in ({"activities": ["job"], "queues": "x"}, {"activities": "other"}, {}):
        equal(peer.ask("task_poll", **args)[0], INVALID, str(args))
    start(p, "r1", "job")
    start(p, "r2", "job", queue="gpu")
    for args in ({"activities": ["job", "emb"]}, ):
        status, task = peer.ask("task_poll", **args)
        equal((status, task["run"]), (OK, "r2"), "of the token's queue")
        equal(peer.ask("task_done", token=task["token"], result=1)[0], OK)
    peer.send("task_poll", activities=["job"], queues=[])
    equal(peer.ask("task_unpoll")[0], OK)
    equal(p.ok("describe", "r1", "-o", "json").json()["status"], "running", "an empty list is not all of them")


def raw_tls(p):
    context = ssl.create_default_context(cafile=p.path("ca.pem"))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", p.port), timeout=60), server_hostname="127.0.0.1")


def ends(s):
    try:
        while s.recv(65536):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    return True


def it_refuses_polls_of_very_many_names_at_once(p):
    """Names times queues are bounded, also when the queues are none; a list is not walked before it is counted."""
    serve(p)
    many = [1] * 1000000
    bounded = token(p, "bounded", "--queue", "q", "--activity", "job")
    until(p, lambda: Peer(p, hello={"token": bounded}).welcome[0] == OK, "it is known")
    for given in (p.env["TOKEN"], bounded):
        peer = worker(p, token=given)
        for args in ({"activities": many}, {"activities": many, "queues": []}, {"activities": ["job"], "queues": many},
                     {"activities": [], "queues": many}):
            equal(peer.ask("task_poll", **args)[0], LIMIT, str(list(args)))
        peer.close()
    works(p)


def it_cuts_what_is_not_its_protocol(p):
    serve(p)
    for piece in (b"GET / HTTP/1.1\r\n\r\n" * 100, b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"\0" * 100, os.urandom(5000)):
        s = socket.create_connection(("127.0.0.1", p.port), timeout=60)
        try:
            s.sendall(piece)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        check(ends(s), "no TLS")
    for piece in (b"\xff\xff\xff\xff", b"\x00\x04\x00\x01" + b"x" * 70000, b"\0\0\0\x01\xc1", b"\0\0\0\x03abc", b"\0\0\0\0",
                  b"\0\0\0\x0a\x94\x01\x00\xa5hello\x80", b"\0\0\0\x0a\x94\x07\x01\xa5hello\x80"):
        s = raw_tls(p)
        try:
            s.sendall(piece)
        except OSError:
            pass
        check(ends(s), f"{piece[:10]!r}")
    peer = worker(p)
    peer.socket.sendall(b"\x7f\xff\xff\xff")
    check(peer.closed(), "a claim of 2 GiB")
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        try:
            context.wrap_socket(socket.create_connection(("127.0.0.1", p.port), timeout=60)).close()
            check(False, f"{version} was accepted")
        except (ssl.SSLError, ConnectionError):
            pass
    works(p)


def it_has_no_room_for_many_strangers_and_works_on(p):
    """Connections that say nothing, begin a handshake and stop, or trickle: 32 at most, ten seconds each; others work meanwhile."""
    serve(p)
    known = worker(p)  # was there before
    start(p, "r1", "job")
    strangers = [socket.create_connection(("127.0.0.1", p.port), timeout=60) for _ in range(100)]
    for s in strangers[::2]:
        try:
            s.sendall(b"\x16\x03\x01")
        except OSError:
            pass
    status, task = known.ask("task_poll", activities=["job"])
    equal(status, OK)
    equal(known.ask("task_done", token=task["token"], result="good")[0], OK)
    equal(result(p, "r1"), "good")
    for s in strangers:
        check(ends(s), "every one is cut")
    works(p, "r2")
    check(refused(p) >= 100, "each is counted")


def it_cuts_who_does_not_read_without_harm(p):
    """The task that it has is one that nobody else here asks for: it is cut after a minute, at the latest, and a slow machine may take that long."""
    serve(p)
    peer = worker(p)
    large = p.write("large", json.dumps({"activity": "read", "input": {"text": "x" * (16 << 20)}}))
    p.ok("start", "call", "-w", "r1", "-i", "@" + large)
    peer.send("task_poll", activities=["read"])
    until(p, lambda: [q["running"] for q in p.ok("queue", "-o", "json").json()] == [1], "it has the task")
    peer.socket.settimeout(1)
    sent = 0
    try:
        while sent < 200000:  # its task is more than it is sent ahead, and so nothing is read from it any more
            peer.send("task_beat", token="x" * 1000)
            sent += 1
    except OSError:
        pass
    check(sent < 200000, "it is read all the same")
    works(p, "r2")
    peer.close()
    again = worker(p)
    status, task = again.ask("task_poll", activities=["read"])
    equal((status, task["attempt"]), (OK, 2), "its attempt was lost with it")
    equal(again.ask("task_done", token=task["token"], result="good")[0], OK)
    equal(result(p, "r1"), "good")


run(globals())
