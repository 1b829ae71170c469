#!/usr/bin/env python3
"""A pawl worker in Python: runs activities for the engine that serves a journal. Standard library and python3-msgpack.

    import worker

    @worker.activity("resize", effect="idempotent")
    def resize(task, value):
        task.beat({"done": 1})            # alive; the detail is what the next attempt gets as task.detail
        if task.stop.is_set():            # the run was cancelled, or the attempt is over
            raise worker.Canceled()
        task.spend(usd=0.002, calls=1)    # what it cost, for budgets and `pawl cost`: said before it fails, too
        return {"width": value["width"]}  # or raise worker.Failed("Type", "why", retryable=False)

    worker.serve("pawl.db", parallel=4)
    worker.serve(connect="engine.example.com:7000", token=os.environ["PAWL_WORKER_TOKEN"], ca="ca.pem")     # another machine's, over TLS

An activity runs at least once: hand task.key, which is the same for every attempt, to whatever you call. The protocol is described in
engine/README-control.md; this file is all there is to it. Run by itself it serves two activities:

    python3 worker.py pawl.db                                    # "upper" and "wait"
    PAWL_WORKER_TOKEN=... python3 worker.py --connect HOST:PORT [CA]
"""
import math
import os
import select
import signal
import socket
import ssl
import struct
import sys
import threading
import time

import msgpack

VERSION = 1
OK = 0
FRAME_MAX = 64 << 20
PING_S = 15  # an engine far away wants to hear something at least once a minute
ACTIVITIES = {}  # name -> (function, effect)
UNITS = ("usd", "tokens", "input", "cache_read", "cache_write", "output", "reasoning", "calls", "gpu_ms", "wall_ms")


class Failed(Exception):
    """The attempt failed; another is made unless retryable is false. retry_s: not before so many seconds, and it costs no attempt."""

    def __init__(self, kind, message, retryable=True, details=None, retry_s=None):
        super().__init__(message)
        self.kind, self.message, self.retryable, self.details, self.retry_s = kind, message, retryable, details, retry_s


class Canceled(Exception):
    """The code saw task.stop and stopped."""


class Found:
    """What a read-back gives when the effect happened: its result."""

    def __init__(self, result=None):
        self.result = result


NOTHING = object()  # what it gives when it did not happen, and no longer will; anything else: it cannot tell


def activity(name, effect="idempotent", read_back=None):
    """Registers a function of (task, input). effect: pure, idempotent or unsafe. read_back: a function of (task, input) that finds out what became of
    an unsafe effect whose outcome nobody knows, before it is sent again: Found(result), NOTHING, or None."""

    def take(function):
        ACTIVITIES[name] = (function, effect, read_back)
        return function

    return take


def owner_socket(journal):
    """The control socket of the process that owns the journal, None when nobody does: `<journal>.lock` says so."""
    try:
        with open(os.path.realpath(journal) + ".lock", "rb") as lock:
            lines = lock.read(400).split(b"\0")[0].decode().split("\n")
    except OSError:
        return None
    return lines[4] if len(lines) > 4 and lines[0] == "pawl-owner 1" and lines[1] != "0" and lines[4] != "-" else None


class Connection:
    """Frames over the control socket: requests [1, number, op, args], replies [1, number, status, body], in any order."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.lock = threading.Lock()
        self.number = 0
        self.sent = time.monotonic()

    def send(self, op, args):
        """Returns the request's number."""
        with self.lock:
            self.number += 1
            message = msgpack.packb([VERSION, self.number, op, args])
            self._send_all(struct.pack(">I", len(message)) + message)
            self.sent = time.monotonic()
            return self.number

    def _send_all(self, data):
        self.socket.sendall(data)

    def _recv(self, size):
        return self.socket.recv(size)

    def ready(self, seconds):
        """True when there is something to receive."""
        return bool(select.select([self.socket], [], [], seconds)[0])

    def keep_alive(self):
        """Nothing is needed on one machine."""

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self._recv(min(size - len(data), 1 << 16))
            if not piece:
                raise ConnectionError("the engine went away")
            data += piece
        return bytes(data)

    def receive(self):
        """The next reply: (number, status, body)."""
        (size,) = struct.unpack(">I", self._read(4))
        if size > FRAME_MAX:
            raise ConnectionError("a frame beyond the maximum")
        _, number, status, body = msgpack.unpackb(self._read(size), strict_map_key=False)
        return number, status, body

    def close(self):
        """Ends receive in other threads too."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class TLSConnection(Connection):
    """The same frames over TLS, to `pawl serve --worker-listen`. The first says hello, with the token."""

    def __init__(self, address, token, ca=None):  # pylint: disable=super-init-not-called
        host, port = address.rsplit(":", 1)
        context = ssl.create_default_context(cafile=ca)  # verifies the certificate, and that it names the host
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.socket = context.wrap_socket(socket.create_connection((host.strip("[]"), int(port)), timeout=10), server_hostname=host.strip("[]"))
        self.socket.setblocking(False)
        self.lock, self.one = threading.Lock(), threading.Lock()  # one thread in the TLS object at a time
        self.number = 0
        self.send("hello", {"token": token})
        _, status, body = Connection.receive(self)
        if status != OK:
            raise ConnectionError(body["message"])

    def _send_all(self, data):
        rest = memoryview(data)
        while rest:
            try:
                with self.one:
                    rest = rest[self.socket.send(rest):]
            except ssl.SSLWantWriteError:
                select.select([], [self.socket], [], 1)

    def _recv(self, size):
        while True:
            try:
                with self.one:
                    return self.socket.recv(size)
            except ssl.SSLWantReadError:
                select.select([self.socket], [], [], 1)
            except ssl.SSLError as error:
                raise ConnectionError(str(error)) from error

    def ready(self, seconds):
        with self.one:
            pending = self.socket.pending() > 0
        return pending or super().ready(seconds)

    def keep_alive(self):
        if time.monotonic() - self.sent > PING_S:
            self.send("hello", {})


class Task:
    """One attempt of an activity."""

    def __init__(self, connection, body):
        self.connection, self.token = connection, body["token"]
        self.run, self.key, self.attempt, self.name = body["run"], body["key"], body["attempt"], body["activity"]
        self.input, self.detail, self.checks = body.get("input"), body.get("detail"), body.get("read_back", False)
        self.stop = threading.Event()
        self.ended = False
        self.spent = None

    def spend(self, model=None, unpriced=False, unknown=False, **amounts):
        """Adds to what this attempt has spent; it is told with the attempt's end, whatever that is. amounts: usd (dollars), tokens (default: input +
        output), input, cache_read, cache_write, output, reasoning, calls, gpu_ms, wall_ms. model: whose name the totals have. unpriced: money was
        spent, and nobody knows how much; unknown: more may have been used: then it counts as no less than what the step reserved. An attempt that
        reserved and never calls this counts as what it reserved; spend() alone: surely nothing."""
        for unit, n in amounts.items():
            if unit not in UNITS or isinstance(n, bool) or not isinstance(n, (int, float)) or not math.isfinite(n) or n < 0:
                raise ValueError(f"{unit}={n!r} is no amount: a number, 0 or more, of {', '.join(UNITS)}")
        said = dict(self.spent or {})
        amounts.setdefault("tokens", amounts.get("input", 0) + amounts.get("output", 0))
        for unit, n in amounts.items():
            said[unit] = said.get(unit, 0) + n
        said.update({key: value for key, value in (("model", model), ("unpriced", unpriced), ("unknown", unknown)) if value})
        self.spent = said

    def beat(self, detail=None):
        """Still alive."""
        self.connection.send("task_beat", {"token": self.token, "detail": detail})

    def say(self, text, channel="text"):
        """For whoever follows the run now; nothing of it is kept."""
        self.connection.send("task_output", {"token": self.token, "channel": channel, "data": text})

    def work(self):
        """Runs the code and reports its end. A connection that is gone has lost the attempt: nothing is to be told then."""
        try:
            op, args = self._end()
            if self.spent is not None:
                args["spent"] = self.spent
            self.ended = True
            self.connection.send(op, {"token": self.token, **args})
        except OSError:
            self.ended = True

    def _end(self):
        function, _, read_back = ACTIVITIES[self.name]
        try:
            if self.checks:
                found = read_back(self, self.input)
                what = "done" if isinstance(found, Found) else "nothing" if found is NOTHING else "unknown"
                return "task_done", {"result": {"found": what, "result": found.result if what == "done" else None}}
            return "task_done", {"result": function(self, self.input)}
        except Failed as failed:
            retry = {} if failed.retry_s is None else {"retry_ms": int(failed.retry_s * 1000)}
            return "task_fail", {"type": failed.kind, "message": failed.message, "details": failed.details, "retryable": failed.retryable,
                                 **retry}
        except Canceled:
            return "task_canceled", {}
        except OSError:
            if self.stop.is_set():
                raise
            return "task_fail", {"type": "OSError", "message": str(sys.exc_info()[1])}
        except Exception as error:  # pylint: disable=broad-except
            return "task_fail", {"type": type(error).__name__, "message": str(error)}


class Session:
    """One connection: as many polls parked as there are free slots."""

    def __init__(self, connection, parallel, queues, draining):
        self.connection, self.parallel, self.queues, self.draining = connection, parallel, queues, draining
        self.polls, self.waits, self.tasks = set(), {}, []
        self.taken_back = False

    def poll(self):
        """Sends what polls are missing; when draining takes those back that are parked."""
        self.tasks = [task for task in self.tasks if not task.ended]
        if self.draining.is_set():
            if not self.taken_back:
                self.connection.send("task_unpoll", {})
                self.taken_back = True
            return
        args = {"activities": [{"name": name, "effect": effect, "read_back": look is not None} for name, (_, effect, look) in ACTIVITIES.items()]}
        if self.queues:
            args["queues"] = self.queues
        while len(self.polls) + len(self.tasks) < self.parallel:
            self.polls.add(self.connection.send("task_poll", args))

    def take(self, number, status, body):
        """One reply."""
        if number in self.polls:
            self.polls.discard(number)
            if status == OK:
                task = Task(self.connection, body)
                self.waits[self.connection.send("task_wait", {"token": task.token})] = task
                self.tasks.append(task)
                threading.Thread(target=task.work, daemon=True).start()
        elif number in self.waits:
            task = self.waits.pop(number)
            if status != OK or body["cancel"]:  # STALE: the attempt is over
                task.stop.set()
        elif number == 0:
            raise ConnectionError(body.get("message", "the engine refused the connection"))

    def done(self):
        """Draining, and nothing is left."""
        return self.draining.is_set() and not self.polls and all(task.ended for task in self.tasks)

    def run(self):
        """Until the connection ends, or all is drained."""
        try:
            while not self.done():
                self.poll()
                self.connection.keep_alive()
                if self.connection.ready(0.2):
                    self.take(*self.connection.receive())
        finally:
            for task in self.waits.values():
                task.stop.set()
            self.connection.close()


def connection_to(journal, connect, token, ca):
    """To the engine that serves the journal, or to one of another machine."""
    if connect is not None:
        return TLSConnection(connect, token, ca)
    path = owner_socket(journal)
    if path is None:
        raise ConnectionError("no engine serves the journal")
    return Connection(path)


def serve(journal=None, parallel=1, queues=None, connect=None, token=None, ca=None, say=print):
    """Works until SIGTERM or SIGINT; connects again whenever an engine serves the journal, or the other machine answers."""
    draining = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: draining.set())
    while not draining.is_set():
        try:
            session = Session(connection_to(journal, connect, token, ca), parallel, queues, draining)
            say("connected", flush=True)
            session.run()
        except OSError as error:
            say(f"waiting: {error}", file=sys.stderr, flush=True)
            draining.wait(0.2)


@activity("upper", effect="pure")
def _upper(_task, value):
    return str(value).upper()


@activity("wait")
def _wait(task, value):
    end = time.monotonic() + float(value)
    while time.monotonic() < end:
        task.beat()
        if task.stop.wait(0.1):
            raise Canceled()
    return value


if __name__ == "__main__" and sys.argv[1:2] == ["--connect"]:
    serve(connect=sys.argv[2], token=os.environ["PAWL_WORKER_TOKEN"], ca=sys.argv[3] if len(sys.argv) > 3 else None)
elif __name__ == "__main__":
    serve(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PAWL_DB", "pawl.db"))
