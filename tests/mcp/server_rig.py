"""A `pawl serve --http` and `pawl mcp` to test with, and clients of both eras in a few lines of the standard library.

    with Folder() as f:
        server = f.serve()
        reply = Modern(server.url).call("greet", {"name": "Ada"})
        server.kill(); server = f.serve(port=server.port)      the same journal, the same port

    main(globals(), arguments)      runs every function whose name begins with it_; a failure names the command that runs it alone
"""
import concurrent.futures
import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import machine  # noqa: E402  pylint: disable=wrong-import-position

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = "io.modelcontextprotocol/"
WAIT_S = 60


class Paths:
    pawl = ""
    module = ""


def modules():
    return ["--module", Paths.module] if Paths.module else []


class Server:
    """`pawl serve --http`."""

    def __init__(self, folder, port=0, options=(), loads=True, stderr=None):
        if port == 0:
            holder, port = machine.keep_port()
            folder.holders.append(holder)
        command = [Paths.pawl, "serve", "--db", folder.db, *(modules() if loads else ()), "--http", str(port), "-o", "json",
                   *(() if "--log-level" in options else ("--log-level", "error")), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        said = ""
        while not said.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            assert line, f"{command} ended with status {self.process.wait()}: {said}"
            said += line
        self.url = json.loads(said)["mcp"]
        self.port = int(self.url.rsplit(":", 1)[1].split("/")[0])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(timeout=WAIT_S)
            except subprocess.TimeoutExpired as error:
                raise AssertionError(f"the server has not ended after {WAIT_S} s\n{machine.standing([self.process.pid])}") from error
            self.process.stdout.close()
            assert status == 0, f"the server ended with status {status}"

    def held(self):
        """Connections that it has not closed: established, or closed by their client alone."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        return sum(row[1].endswith(f":{self.port:04X}") and row[3] in ("01", "08") for row in rows)


class Folder:
    """A folder with one journal; ends what it started."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.path = Path(self.temporary.name)
        self.db = str(self.path / "t.db")
        self.servers = []
        self.shims = []
        self.holders = []  # of ports

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for shim in self.shims:
            shim.end()
        for server in self.servers:
            if kind is None:
                server.stop()
            elif server.process.poll() is None:
                server.kill()
        self.end_engine()
        for holder in self.holders:
            holder.close()
        self.temporary.cleanup()

    def serve(self, port=0, options=(), loads=True, stderr=None):
        self.servers.append(Server(self, port, options, loads, stderr))
        return self.servers[-1]

    def shim(self, *options):
        self.shims.append(Shim(self, options))
        return self.shims[-1]

    def owner(self):
        """The process that owns the journal, 0 = none."""
        try:
            with open(self.db + ".lock", "rb") as file:
                words = file.read(64).decode("latin1").split("\n")
        except FileNotFoundError:
            return 0
        return int(words[1]) if words[3].startswith("open") else 0

    def end_engine(self):
        """Of a shim: it would end by itself when it is idle."""
        owner = self.owner()
        if owner != 0 and os.path.exists(f"/proc/{owner}"):
            os.kill(owner, signal.SIGTERM)
        self.wait_free()

    def wait_free(self):
        """Until the engine that a shim started has gone."""
        until = time.monotonic() + WAIT_S
        while self.owner() != 0 and os.path.exists(f"/proc/{self.owner()}") and time.monotonic() < until:
            os.sched_yield()
            select.select([], [], [], 0.05)

    def beside(self):
        """Those that a command may wait for."""
        return [self.owner(), *(p.process.pid for p in (*self.servers, *self.shims) if p.process.poll() is None)]

    def pawl(self, *arguments):
        done = machine.run([Paths.pawl, *arguments, "--db", self.db, "-o", "json"], WAIT_S, self.beside(), text=True)
        assert done.returncode == 0, f"pawl {arguments}: {done.stderr}"
        return json.loads(done.stdout)

    def fails(self, *arguments):
        """What a command says that is refused."""
        done = machine.run([Paths.pawl, *arguments, "--db", self.db], WAIT_S, self.beside(), text=True)
        assert done.returncode != 0, f"pawl {arguments} is not refused: {done.stdout}"
        return done.stderr

    def runs(self, workflow):
        return [r for r in self.pawl("list", "--limit", "0") if r["workflow"] == workflow]

    def until(self, what, otherwise):
        """Until it gives something true, which is what comes back."""
        until = time.monotonic() + WAIT_S
        while not (got := what()):
            assert time.monotonic() < until, f"{otherwise() if callable(otherwise) else otherwise}\n{machine.standing(self.beside())}"
            select.select([], [], [], 0.02)  # the server needs the processor
        return got

    def until_runs(self, workflow, fits, what):
        self.until(lambda: fits(self.runs(workflow)), lambda: f"{what}: {self.runs(workflow)}")

    def until_noted(self, workflow="note_and_wait", count=1):
        """Until the effect of so many runs is in the journal, and they wait to be let go; a run that does not would be asked about after a kill, for
        nobody can know. Gives their names."""
        def waiting():
            return [r["id"] for r in self.runs(workflow) if "signal" in (r["waiting"] or "")]
        return self.until(lambda: len(waiting()) >= count and waiting(), lambda: f"they do not wait: {self.runs(workflow)}")

    def let_go(self, runs):
        """Of note_and_wait and its like, with "held"."""
        for run in runs:
            self.pawl("signal", run, "go")

    def lines(self, name):
        path = self.path / name
        return path.read_text(encoding="utf-8").split() if path.exists() else []


class Later:
    """A call that goes on beside the test; result() gives what it gave, or raises."""

    def __init__(self, call):
        pool = concurrent.futures.ThreadPoolExecutor(1)
        self.future = pool.submit(call)
        pool.shutdown(wait=False)

    def result(self):
        return self.future.result(timeout=WAIT_S)


# ---- HTTP ----


class Reply:
    """One response; events are read as they come."""

    def __init__(self, connection, response):
        self.connection = connection
        self.response = response
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.is_stream = self.headers.get("content-type", "").startswith("text/event-stream")
        self.text = "" if self.is_stream else response.read().decode("utf-8")
        self.last_id = None
        if not self.is_stream:
            connection.close()

    @property
    def json(self):
        return json.loads(self.text)

    def events(self):
        """(id, message) of each event; a message is None when it has no data. Ends with the stream."""
        event_id, data = None, None
        for line in self.response:
            line = line.decode("utf-8").rstrip("\r\n")
            if line.startswith("id: "):
                event_id = line[4:]
            elif line.startswith("data: "):
                data = line[6:]
            elif line == "" and (event_id is not None or data is not None):
                self.last_id = event_id or self.last_id
                yield event_id, json.loads(data) if data else None
                event_id, data = None, None

    def messages(self):
        if not self.is_stream:
            yield self.json
            return
        for _, message in self.events():
            if message is not None:
                yield message

    def close(self):
        """As a client does that has had enough: the response holds the socket."""
        self.response.close()
        self.connection.close()


def send(url, method, headers, body=None):
    host, port = re.match(r"http://([^:]+):(\d+)/", url).groups()
    connection = http.client.HTTPConnection(host, int(port), timeout=WAIT_S)
    connection.request(method, "/mcp", body=body, headers=headers)
    return Reply(connection, connection.getresponse())


class Modern:
    NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId", "tasks/update": "taskId",
             "tasks/cancel": "taskId"}

    def __init__(self, url, capabilities=None, headers=None):
        self.url = url
        self.capabilities = capabilities or {}
        self.headers = headers or {}
        self.number = 0

    def message(self, method, params, meta):
        self.number += 1
        own = {META + "protocolVersion": MODERN, META + "clientCapabilities": self.capabilities, **(meta or {})}
        return {"jsonrpc": "2.0", "id": self.number, "method": method, "params": {**params, "_meta": own}}

    def post(self, method, params=None, meta=None, headers=None):
        message = self.message(method, params or {}, meta)
        own = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN,
               "Mcp-Method": method}
        name = message["params"].get(self.NAMES.get(method))
        if name is not None:
            own["Mcp-Name"] = name
        return send(self.url, "POST", {**own, **self.headers, **(headers or {})}, json.dumps(message))

    def ask(self, method, params=None, meta=None):
        """The answer: the message that has a result or an error."""
        for message in self.post(method, params, meta).messages():
            if "id" in message and "method" not in message:
                return message
        raise AssertionError("the stream ended without an answer")

    def call(self, tool, arguments=None, meta=None, **more):
        return self.ask("tools/call", {"name": tool, "arguments": arguments or {}, **more}, meta)

    def task(self, task_id):
        return self.ask("tasks/get", {"taskId": task_id})["result"]

    def task_end(self, task_id):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            task = self.task(task_id)
            if task["status"] in ("completed", "failed", "cancelled"):
                return task
            select.select([], [], [], 0.05)
        raise AssertionError("the task does not end")


class Legacy:
    def __init__(self, url, capabilities=None, session=None, version=LEGACY):
        self.url = url
        self.number = 0
        self.session = session
        self.version = version
        if session is None:
            reply = self.post("initialize", {"protocolVersion": version, "capabilities": capabilities or {},
                                             "clientInfo": {"name": "test", "version": "1"}})
            self.session = reply.headers["mcp-session-id"]
            self.hello = reply.json["result"]
            self.notify("notifications/initialized")

    def own(self):
        session = {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.version} if self.session else {}
        return {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **session}

    def post(self, method, params=None):
        self.number += 1
        return self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params or {}})

    def send(self, message):
        return send(self.url, "POST", self.own(), json.dumps(message))

    def notify(self, method, params=None):
        reply = self.send({"jsonrpc": "2.0", "method": method, "params": params or {}})
        assert reply.status == 202, reply.status

    def resume(self, event_id):
        return send(self.url, "GET", {**self.own(), "Last-Event-ID": event_id})


# ---- stdio ----


class Shim:
    """`pawl mcp`, spoken to with messages."""

    def __init__(self, folder, options):
        command = [Paths.pawl, "mcp", "--db", folder.db, *modules(), "--idle-exit", "10m", *options]  # its folder ends it
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")

    def next(self):
        line = self.process.stdout.readline()
        assert line, f"the shim ended with status {self.process.wait()}"
        return json.loads(line)

    def ask(self, message):
        self.send(message)
        return self.answer(message["id"])

    def answer(self, number):
        while True:
            said = self.next()
            if said.get("id") == number and "method" not in said:
                return said

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=WAIT_S)
            self.process.stdout.close()
        return self.process.returncode


# ---- running ----


def main(names, arguments):
    Paths.pawl, Paths.module = (str(Path(p).resolve()) if p else "" for p in arguments[1:3])
    tests = {n: f for n, f in names.items() if n.startswith("it_") and (len(arguments) < 4 or n in arguments[3:])}
    failed = []
    for name, test in tests.items():
        try:
            with Folder() as folder:
                test(folder)
            print(f"ok      {name}")
        except Exception:  # pylint: disable=broad-except
            failed.append(name)
            print(f"FAILED  {name}\n{traceback.format_exc()}        again: {' '.join(a for a in arguments[:3] if a)} {name}")
    print(f"{len(tests) - len(failed)} of {len(tests)} passed")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit("this is what the tests import")
