#!/usr/bin/env python3
"""An MCP server that does what its tools say, good and bad, in both eras.

server.py [FOLDER]            Streamable HTTP on loopback: prints "PORT 0", serves until its input ends. Paths: /modern, /legacy, /old (legacy,
                              answers modern questions with a plain 404), /aside (legacy, asks on the session's own stream), /guarded (modern, wants a bearer token), /silent (429), /oauth/NAME (oauth.py)
server.py --stdio ERA [LOG]   the same tools on standard input and output; LOG gets a line for each call
/count?of=ID                  how often a tool was called with {id: ID}
"""
import json
import os
import queue
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import oauth

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
PREFIX = "io.modelcontextprotocol/"
LOCK = threading.Lock()
COUNTS = {}
SESSIONS = {}
TASKS = {}
STREAMS = {}
LISTENERS = {}
LOG = None


def count(key):
    with LOCK:
        COUNTS[key] = COUNTS.get(key, 0) + 1
        if LOG:
            with open(LOG, "a", encoding="utf-8") as f:
                f.write(key + "\n")
        return COUNTS[key]


def text(s, **more):
    return {"content": [{"type": "text", "text": s}], **more}


def tool(name, properties=None, **more):
    return {"name": name, "inputSchema": {"type": "object", "properties": properties or {}}, **more}


READS = {"annotations": {"readOnlyHint": True}}
SAME = {"annotations": {"idempotentHint": True}}
SUM = {"outputSchema": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}}
PAGES = [
    [tool("echo", {"text": {"type": "string"}}, **READS), tool("add"), tool("fails", **SUM), tool("slow", **READS), tool("refused"), tool("broken")],
    [tool("lost"), tool("lost_same", **SAME), tool("whoami", **READS), tool("ask"), tool("ask_twice"), tool("strange"), tool("cut", **READS),
     tool("region", {"region": {"type": "string", "x-mcp-header": "Region"}}, **READS),
     tool("bad", {"region": {"type": "number", "x-mcp-header": "Region"}}), tool("hang"), tool("dies_once", **SAME)],
    [tool("task", execution={"taskSupport": "required"}), tool("later", **READS), tool("half", **SUM, **READS), tool("sum", **SUM, **READS)],
]


class Error(Exception):
    def __init__(self, code, message, data=None, status=200):
        super().__init__(message)
        self.body = {"code": code, "message": message, **({"data": data} if data is not None else {})}
        self.status = status


class Lost(Exception):
    """The connection ends here, without an answer."""


FORM = {"type": "object", "properties": {"name": {"type": "string", "default": "Ann"}}, "required": ["name"]}


# ---- tools: (call, arguments) -> result; a call has era, notify, elicit, params, headers ----

def t_slow(call, a):
    for i in range(a.get("steps", 3)):
        call.notify("notifications/progress", {"progressToken": call.params.get("_meta", {}).get("progressToken"), "progress": i + 1,
                                               "total": a.get("steps", 3), "message": f"step {i + 1}"})
    return text("slow is done")


def t_refused(call, a):
    raise Error(-32602, "that is no argument")


def t_broken(call, a):
    raise Error(-32603, "it broke")


def t_lost(call, a):
    raise Lost


def t_lost_same(call, a):
    if COUNTS.get("lost_same:" + a["id"]) < 2:
        raise Lost
    return text("found again")


def t_dies_once(call, a):
    mark = a["mark"]
    if not os.path.exists(mark):
        open(mark, "w", encoding="utf-8").close()
        sys.stderr.write("I was told to die\n")
        sys.stderr.flush()
        os._exit(3)
    os.remove(mark)
    return text("alive again")


def t_whoami(call, a):
    return text(json.dumps({"headers": call.headers, "meta": call.params.get("_meta", {})}), structuredContent={"headers": call.headers})


def t_ask(call, a):
    answer = call.elicit("who", {"message": "Who are you?", "requestedSchema": FORM}, "state of " + str(a.get("id")))
    return text(f"{answer['action']} {json.dumps(answer.get('content'))} {call.params.get('requestState')}")


def t_ask_twice(call, a):
    first = call.elicit("one", {"message": "First?", "requestedSchema": FORM}, None)
    if call.era == MODERN and "two" not in call.params.get("inputResponses", {}):
        raise NeedInput({"two": {"method": "elicitation/create", "params": {"message": "Second?", "requestedSchema": FORM}}}, "s2")
    second = call.elicit("two", {"message": "Second?", "requestedSchema": FORM}, None)
    return text(f"{first['content']['name'] if first.get('content') else None} {second['content']['name']}")


def t_strange(call, a):
    return {"resultType": "tomorrow", **text("strange")}


def t_hang(call, a):
    count("hang-began:" + str(a.get("id")))
    call.closed.wait(20)
    count("hang-ended:" + str(a.get("id")))
    raise Lost


def t_task(call, a):
    return call.task(a)


TOOLS = {
    "echo": lambda c, a: text(a.get("text", "")), "add": lambda c, a: text(str(a["a"] + a["b"]), structuredContent={"sum": a["a"] + a["b"]}),
    "fails": lambda c, a: text("it did not work", isError=True), "slow": t_slow, "refused": t_refused, "broken": t_broken, "lost": t_lost,
    "lost_same": t_lost_same, "whoami": t_whoami, "ask": t_ask, "ask_twice": t_ask_twice, "strange": t_strange, "hang": t_hang,
    "task": t_task, "dies_once": t_dies_once, "region": lambda c, a: text(str(c.headers.get("mcp-param-region"))),
    "half": lambda c, a: text("half", structuredContent=a.get("gives")) if a else text("half"), "sum": lambda c, a: text("3", structuredContent={"sum": 3}),
    "cut": lambda c, a: text("resumed"), "later": lambda c, a: text("later"),
}


class NeedInput(Exception):
    def __init__(self, requests, state):
        super().__init__("input required")
        self.result = {"resultType": "input_required", "inputRequests": requests, **({"requestState": state} if state else {})}


# ---- tasks of both generations ----

class Task:
    def __init__(self, era, a):
        self.era, self.a, self.looks, self.answers = era, a, 0, {}
        self.id = f"task-{a.get('id')}-{os.getpid()}-{time.monotonic_ns()}"
        self.status = "working"

    def view(self):
        poll = {"pollIntervalMs" if self.era == MODERN else "pollInterval": self.a.get("poll", 60)}
        return {"taskId": self.id, "status": self.status, "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z",
                "ttlMs" if self.era == MODERN else "ttl": 600000, **poll}

    def look(self):
        self.looks += 1
        count("look:" + str(self.a.get("id")))
        if self.status == "cancelled":
            return
        if self.looks <= self.a.get("looks", 2):
            return
        if self.a.get("ask") and "name" not in self.answers:
            self.status = "input_required"
            return
        self.status = self.a.get("end", "completed")

    def result(self):
        return text("task is done" + (" by " + self.answers["name"] if "name" in self.answers else ""))


def task_of(params):
    task = TASKS.get(params.get("taskId"))
    if task is None:
        raise Error(-32602, "no such task")
    return task


def tasks_get(call):
    task = task_of(call.params)
    task.look()
    v = {**task.view(), "statusMessage": f"look {task.looks}"}
    if call.era == MODERN and task.status == "completed":
        v["result"] = task.result()
    if call.era == MODERN and task.status == "failed":
        v["error"] = {"code": -32603, "message": "the task broke"}
    if call.era == MODERN and task.status == "input_required":
        v["inputRequests"] = {"k1": {"method": "elicitation/create", "params": {"message": "Name of the task?", "requestedSchema": FORM}}}
    return v


def tasks_update(call):
    task = task_of(call.params)
    answer = call.params.get("inputResponses", {}).get("k1")
    if answer:
        task.answers["name"] = answer.get("content", {}).get("name", "nobody")
        task.status = "working"
    return {}


def tasks_result(call):
    task = task_of(call.params)
    if task.status == "input_required":
        answer = call.elicit("name", {"message": "Name of the task?", "requestedSchema": FORM}, None)
        if answer["action"] != "accept":
            raise Error(-32000, "not answered")
        task.answers["name"] = answer["content"]["name"]
        task.status = "completed"
    if task.status == "failed":
        raise Error(-32603, "the task broke")
    return task.result()


def tasks_cancel(call):
    task = task_of(call.params)
    task.status = "cancelled"
    count("cancel:" + str(task.a.get("id")))
    return {} if call.era == MODERN else task.view()


# ---- methods ----

def tools_list(call):
    count("tools/list")
    page = int(call.params.get("cursor") or 0)
    more = {"nextCursor": str(page + 1)} if page + 1 < len(PAGES) else {}
    ttl = {"ttlMs": 60000, "cacheScope": "private"} if call.era == MODERN else {}
    return {"tools": PAGES[page], **more, **ttl}


def tools_call(call):
    name, a = call.params["name"], call.params.get("arguments", {})
    count(f"{name}:{a.get('id')}")
    if name not in TOOLS:
        raise Error(-32602, "no such tool")
    return TOOLS[name](call, a)


def discover(call):
    count("discover")
    return {"supportedVersions": [MODERN], "capabilities": {"tools": {}, "extensions": {PREFIX + "tasks": {}}},
            "serverInfo": {"name": "scripted", "version": "1"}, "instructions": "be kind", "ttlMs": 0, "cacheScope": "private"}


def initialize(call):
    count("initialize")
    return {"protocolVersion": LEGACY, "serverInfo": {"name": "scripted", "version": "1"},
            "capabilities": {"tools": {"listChanged": True}, "tasks": {"requests": {"tools": {"call": {}}}, "cancel": {}}}}


SHARED = {"tools/list": tools_list, "tools/call": tools_call, "tasks/get": tasks_get, "tasks/cancel": tasks_cancel,
          "resources/read": lambda c: {"contents": [{"uri": c.params["uri"], "text": "read"}]}}
METHODS = {MODERN: {**SHARED, "server/discover": discover, "tasks/update": tasks_update},
           LEGACY: {**SHARED, "initialize": initialize, "ping": lambda c: {}, "tasks/result": tasks_result}}


class Call:
    """One request: what a tool may do with whoever asked."""

    def __init__(self, era, message, headers, send, asked):
        self.era, self.params, self.headers = era, message.get("params", {}), headers
        self.send, self.asked, self.closed = send, asked, threading.Event()

    def notify(self, method, params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def elicit(self, key, params, state):
        if self.era == MODERN:
            answer = self.params.get("inputResponses", {}).get(key)
            if answer is None:
                raise NeedInput({key: {"method": "elicitation/create", "params": params}}, state)
            return answer
        ident = f"q-{time.monotonic_ns()}"
        box = self.asked[ident] = queue.Queue()
        self.send({"jsonrpc": "2.0", "id": ident, "method": "elicitation/create", "params": params})
        return box.get(timeout=20)

    def task(self, a):
        task = Task(self.era, a)
        TASKS[task.id] = task
        return {"resultType": "task", **task.view()} if self.era == MODERN else {"task": task.view()}


def answer(era, message, call):
    """The response, as a message and an HTTP status."""
    head = {"jsonrpc": "2.0", "id": message["id"]}
    method = METHODS[era].get(message["method"])
    try:
        if era == MODERN and message.get("params", {}).get("_meta", {}).get(PREFIX + "protocolVersion") != MODERN:
            raise Error(-32602, "no version", status=400)
        if method is None:
            raise Error(-32601, "no such method", status=404 if era == MODERN else 200)
        result = method(call)
        if era == MODERN:
            result = {"resultType": "complete", **result}
        return {**head, "result": result}, 200
    except NeedInput as need:
        return {**head, "result": need.result}, 200
    except Error as e:
        return {**head, "error": e.body}, e.status


# ---- stdio ----

def stdio(era):
    out = threading.Lock()
    asked, running = {}, {}

    def send(message):
        with out:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()

    def serve(message):
        call = running[message["id"]] = Call(era, message, {}, send, asked)
        try:
            reply, _ = answer(era, message, call)
        except Lost:
            os._exit(7)
        if not call.closed.is_set():
            send(reply)

    print("a line that is no message", flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "method" not in message:
            asked[message["id"]].put(message.get("result", {"action": "cancel"}))
        elif message["method"] == "notifications/cancelled":
            count("cancelled")
            running[message["params"]["requestId"]].closed.set()
        elif "id" in message:
            threading.Thread(target=serve, args=(message,), daemon=True).start()


# ---- HTTP ----

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def plain(self, status, body=b"", kind="text/plain", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, status, message, headers=()):
        self.plain(status, json.dumps(message).encode(), "application/json", headers)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/count":
            key = urllib.parse.parse_qs(url.query)["of"][0]
            return self.plain(200, str(COUNTS.get(key, 0)).encode())
        if oauth.get(self, url, count):
            return None
        if url.path == "/aside" and "Last-Event-ID" not in self.headers:
            return self.listen()
        stream = STREAMS.pop(self.headers.get("Last-Event-ID"), None)
        if stream is None:
            return self.plain(405)
        count("resumed")
        self.begin_stream()
        self.event(stream, "resumed-1")
        self.close_connection = True

    def listen(self):
        session = self.headers["Mcp-Session-Id"]
        LISTENERS[session] = self
        count("listened")
        self.begin_stream()
        self.wfile.flush()
        self.connection.recv(1)
        LISTENERS.pop(session, None)

    def do_DELETE(self):
        count("deleted")
        self.plain(200 if SESSIONS.pop(self.headers.get("Mcp-Session-Id"), None) else 404)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.streaming = True
        self.close_connection = True

    def event(self, message, ident=None, retry=None):
        lines = ([f"id: {ident}"] if ident else []) + ([f"retry: {retry}"] if retry else [])
        lines.append("data: " + (json.dumps(message) if message is not None else ""))
        self.wfile.write(("\n".join(lines) + "\n\n").encode())
        self.wfile.flush()

    def do_POST(self):
        self.streaming = False
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urllib.parse.urlsplit(self.path).path
        if oauth.post(self, path, body, count) or not oauth.lets_in(self, path):
            return None
        message = json.loads(body)
        if path == "/silent":
            return self.plain(429, headers=[("Retry-After", "1")])
        if path == "/guarded" and self.headers.get("Authorization") != "Bearer opensesame":
            return self.plain(401, headers=[("WWW-Authenticate", "Bearer")])
        era = LEGACY if path in ("/legacy", "/old", "/aside") else MODERN
        if era == LEGACY and not self.legacy_fits(path, message):
            return None
        try:
            return self.serve(era, message)
        except Lost:
            self.close_connection = True
            return None
        except (BrokenPipeError, ConnectionResetError):
            return None

    def legacy_fits(self, path, message):
        session = self.headers.get("Mcp-Session-Id")
        if message.get("method") == "initialize":
            return True
        if session is None and path == "/old":
            self.plain(404)
        elif session is None:
            self.json(400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "no session"}})
        elif session not in SESSIONS:
            self.json(404, {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "session not found"}})
        else:
            return True
        return False

    def serve(self, era, message):
        if "method" not in message:
            self.plain(202)
            return SESSIONS[self.headers["Mcp-Session-Id"]][message["id"]].put(message.get("result", {"action": "cancel"}))
        if message["method"] == "notifications/cancelled":
            count("cancelled")
        if "id" not in message:
            return self.plain(202)
        asked = SESSIONS.get(self.headers.get("Mcp-Session-Id"), {})
        call = Call(era, message, {k.lower(): v for k, v in self.headers.items()}, self.send_on_stream, asked)
        name = message.get("params", {}).get("name")
        if name == "hang":
            threading.Thread(target=self.watch_close, args=(call,), daemon=True).start()
        if message["method"] == "tools/call" and name == "cut":
            return self.cut(era, message, call)
        if message["method"] == "tools/call" and message["params"].get("arguments", {}).get("forget"):
            SESSIONS.pop(self.headers.get("Mcp-Session-Id"), None)
            message["params"]["arguments"].pop("forget")
        if message["method"] == "tools/call" and message["params"].get("arguments", {}).get("expire"):
            oauth.expire(self.headers.get("Authorization"))
        reply, status = answer(era, message, call)
        headers = []
        if message["method"] == "initialize":
            session = f"session-{time.monotonic_ns()}"
            SESSIONS[session] = {}
            headers = [("Mcp-Session-Id", session)]
        if self.streaming:
            return self.event(reply)
        return self.json(status, reply, headers)

    def watch_close(self, call):
        try:
            self.connection.recv(1)
        except OSError:
            pass
        call.closed.set()

    def cut(self, era, message, call):
        """The stream ends before the answer; it is there for whoever takes it up again."""
        reply, _ = answer(era, message, call)
        ident = f"cut-{time.monotonic_ns()}"
        STREAMS[ident] = reply
        self.begin_stream()
        self.event(None, ident, 30)

    def send_on_stream(self, message):
        if self.path == "/aside" and "id" in message:
            return LISTENERS[self.headers["Mcp-Session-Id"]].event(message)
        if not self.streaming:
            self.begin_stream()
        self.event(message)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main(arguments):
    global LOG
    if arguments and arguments[0] == "--stdio":
        LOG = arguments[2] if len(arguments) > 2 else None
        return stdio(LEGACY if arguments[1] == "legacy" else MODERN)
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, 0, flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
