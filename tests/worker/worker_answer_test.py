"""An engine that has no room, or no use, for what a worker reports: the report is sent again, or a failure in its place. The engine is this test."""
import fcntl
import os
import socket
import struct
import subprocess
import sys

from worker_rig import DEADLINE, begin, check, end, equal, lines, run, with_msgpack

PYTHON = with_msgpack(None)
if not sys.executable or subprocess.run([sys.executable, "-c", "import msgpack"], capture_output=True, check=False).returncode != 0:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])
import msgpack  # noqa: E402  pylint: disable=wrong-import-position,import-error

OK, INVALID, FULL, DONE = 0, 11, 31, 33
F_OFD_SETLK = 37


class HungUp(Exception):
    """The worker did."""


class Engine:
    """Holds the owner lock of a journal that is not there, and answers one client by hand."""

    def __init__(self, p):
        self.path = p.path("fake.db")
        open(self.path, "wb").close()
        name = self.path + ".sock"
        self.lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.fcntl(self.lock, F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
        os.pwrite(self.lock, f"pawl-owner 1\n{os.getpid()}\n1\nopen\n{name}\n".encode().ljust(512, b"\0"), 0)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(name)
        self.listener.listen(1)
        self.listener.settimeout(DEADLINE)
        self.polls = []
        self.peer = None

    def accept(self):
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(DEADLINE)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.peer.recv(size - len(data))
            if not piece:
                raise HungUp
            data += piece
        return data

    def reply(self, number, status, body=None):
        message = msgpack.packb([1, number, status, {"message": "as the test says"} if status != OK else body])
        self.peer.sendall(struct.pack(">I", len(message)) + message)

    def next(self, *wanted):
        """The next request that is one of these; the others are answered as an idle engine would."""
        while True:
            (size,) = struct.unpack(">I", self.read(4))
            _, number, op, args = msgpack.unpackb(self.read(size))
            if op in wanted:
                return number, op, args
            if op == "task_poll":
                self.polls.append(number)
            elif op == "task_unpoll":
                for poll in self.polls:
                    self.reply(poll, DONE)
                self.polls = []
                self.reply(number, OK, {})
            elif op == "hello":
                self.reply(number, OK, {"version": "0", "pid": os.getpid(), "epoch": 1, "journal": self.path})

    def give(self, p, activity="note"):
        number, _, _ = self.next("task_poll")
        task = {"token": "1:1:0:1:1:" + "0" * 32, "activity": activity, "run": "r", "attempt": 1, "key": "k", "deadline_ms": 0,
                "heartbeat_ms": 0, "input": {"log": p.path("log"), "line": "r"}}
        self.reply(number, OK, task)
        return task["token"]


def begun(p):
    engine = Engine(p)
    process = begin(p, [p.pawl, "--db", engine.path, "worker", "--module", p.modules[1]])
    engine.accept()
    return engine, process


def it_sends_again_what_the_engine_had_no_room_for(p):
    engine, process = begun(p)
    token = engine.give(p)
    for status in (FULL, FULL, OK):
        number, op, args = engine.next("task_done", "task_fail")
        equal((op, args["token"]), ("task_done", token))
        engine.reply(number, status, {"cancel": False})
    process.terminate()
    try:
        check(engine.next("task_done", "task_fail") is None, "what was heard is sent again")
    except HungUp:
        pass
    equal(process.wait(timeout=DEADLINE), 0)
    equal(len(lines(p)), 1, "the code ran once")


def it_reports_a_failure_when_the_report_is_refused(p):
    engine, process = begun(p)
    token = engine.give(p)
    number, op, _ = engine.next("task_done", "task_fail")
    equal(op, "task_done")
    engine.reply(number, INVALID)
    number, op, args = engine.next("task_done", "task_fail")
    equal((op, args["token"], args["retryable"]), ("task_fail", token, False))
    engine.reply(number, OK, {"cancel": False})
    engine.peer.close()
    equal(end(process), 0)


run(globals())
