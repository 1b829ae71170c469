"""`pawl worker --net` with `serve --no-net`: requests carry secrets that the engine's process never has; and no value is written down anywhere.

Secrets are planted as environment, file and command references, in headers, bodies, queries, basic auth, an LLM key and MCP headers, environment and
arguments; peers echo them back. Then every byte of the journal's folder, of all logs and of everything the CLI prints is looked through for the
values and their encodings, and so is the engine's memory.
"""
import base64
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse

from worker_rig import Failure, begin, check, equal, events, result, run, until, within

HERE = os.path.dirname(os.path.abspath(__file__))
ENV = 'pw-env/7+"Ä\\q=='  # differs in every encoding
FILE = "pw-file s3cret&more%20"
COMMAND = "pw-command-55de-9f"
KEY = "sk-pw-planted-key-4711"
VALUES = {"env": ENV, "file": FILE, "command": COMMAND, "key": KEY}


class Peer(http.server.BaseHTTPRequestHandler):
    """Echoes what it gets, with the status its path names; /busy says when to come again, twice; /v1 is a model."""
    protocol_version = "HTTP/1.1"
    seen, busy, broke, lock = [], {}, set(), threading.Lock()

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode(errors="replace")
        path, _, query = self.path.partition("?")
        with Peer.lock:
            Peer.seen.append({"path": path, "query": urllib.parse.unquote_plus(query), "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
            Peer.busy[path] = Peer.busy.get(path, 0) + 1
            tries = Peer.busy[path]
        headers, status = {}, 200
        found = re.match(r"/status/(\d+)", path)
        if found:
            status = int(found[1])
        if path.startswith("/busy") and tries <= 2:
            status, headers = 429, {"retry-after": "1"}
        echo = json.dumps({"path": self.path, "headers": dict(self.headers.items()), "body": body, "plain": urllib.parse.unquote_plus(query)})
        if path.startswith("/v1"):
            if path in Peer.broke:
                status, echo = 401, json.dumps({"error": {"message": "bad key: " + self.headers.get("authorization", ""), "code": "invalid_api_key"}})
            else:
                echo = json.dumps({"id": "c1", "model": "stub", "choices": [{"index": 0, "finish_reason": "stop", "message": {
                    "role": "assistant", "content": "you said " + self.headers.get("authorization", "")}}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
        data = echo.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST


def begin_peer():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Peer.seen, Peer.busy, Peer.broke = [], {}, set()
    return f"http://127.0.0.1:{server.server_port}"


def net_worker(p, name="worker"):
    p.write("secret", FILE)
    p.write("command", COMMAND)
    env, p.env = p.env, {**p.env, "PAWL_EGRESS": "127.0.0.1", "PAWL_SECRET_ENV": ENV, "PAWL_SECRET_KEY": KEY,
                         "PAWL_SECRETS": f"env:PAWL_SECRET_*,file:{p.path('secret')},command:cat {p.path('command')}"}
    try:
        process = begin(p, [p.pawl, "worker", "--net", "--parallel", "4"], name)
    finally:
        p.env = env
    until(p, lambda: "connected" in p.read(name + ".log"), "it never connected", name)
    return process


def secret(reference, **more):
    return {"$secret": reference, **more}


def references(p):
    return secret("env:PAWL_SECRET_ENV"), secret(f"file:{p.path('secret')}"), secret(f"command:cat {p.path('command')}")


def call(p, name, activity, value, **more):
    p.ok("start", "call", "-w", name, "-i", json.dumps({"activity": activity, "input": value, **more}))


def seen(path):
    return [s for s in Peer.seen if s["path"] == path]


# ---- looking for values

def forms(value):
    """The value as it is, percent-encoded, as JSON, as base64 wherever it stands in what was encoded, and as hex."""
    raw = value.encode()
    out = {raw, urllib.parse.quote(value).encode(), urllib.parse.quote_plus(value).encode(), urllib.parse.quote(value, safe="").encode(),
           json.dumps(value)[1:-1].encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode(), raw.hex().encode()}
    out.add(json.dumps(json.dumps(value))[3:-3].encode())  # JSON in JSON
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"x" * before + raw)
            out.add(text[4 if before else 0:-4])  # what stands around it changes the rest
    return {f for f in out if len(f) >= 8}


FORMS = {name: forms(value) for name, value in VALUES.items()}


def look(where, data):
    for name, list_ in FORMS.items():
        for form in list_:
            if form in data:
                at = data.index(form)
                raise Failure(f"{where} holds the secret {name} as {form!r}: ...{data[max(0, at - 100):at + 100]!r}...")


def look_into_folder(p, but=("secret", "command")):
    names = [n for n in os.listdir(p.folder) if os.path.isfile(p.path(n)) and n not in but]
    check("pawl.db" in names and "serve.log" in names and "worker.log" in names, f"the files: {names}")
    for name in names:
        with open(p.path(name), "rb") as f:
            look(name, f.read())
    return names


def look_into_cli(p, runs):
    """Every command for every run as JSON, which has all there is; as text and as lines for every fourth, for each with PAWL_LONG."""
    commands = [["list"], ["wait"], ["queue"], ["verify"], ["sql", "select * from pawl_events"]]
    looks = [(c, ("text", "json", "jsonl")) for c in commands]
    for i, name in enumerate(runs):
        outputs = ("text", "json", "jsonl") if i % 4 == 0 or os.environ.get("PAWL_LONG") else ("json",)
        of_run = [["describe", name], ["show", name], ["trace", name], ["stack", name], ["result", name, "--timeout", "1s"], ["stream", name]]
        looks += [(c, outputs) for c in of_run]
    for argv, outputs in looks:
        for output in outputs:
            done = p.run(*argv, "-o", output)
            look(" ".join(argv), done.out.encode() + done.err.encode())


def look_into_process(pid):
    """Every byte of memory that a process may have written. False: we are not let in."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        areas = [line.split() for line in f]
    try:
        memory = open(f"/proc/{pid}/mem", "rb", 0)
    except OSError:
        return False
    looked = 0
    with memory:
        for area in areas:
            first, last = (int(x, 16) for x in area[0].split("-"))
            if "rw" not in area[1] or last - first > 1 << 30:  # a sanitizer's shadow holds no bytes of ours
                continue
            try:
                memory.seek(first)
                data = memory.read(last - first)
            except (OSError, ValueError, OverflowError):
                continue
            looked += len(data)
            look(f"the engine's memory at {area[0]} {area[-1]}", data)
    check(looked > 1 << 20, "it has memory")
    return True


# ---- tests

def it_carries_secrets_that_the_engine_has_not(p):
    url = begin_peer()
    engine = p.serve("--no-net")
    net_worker(p)
    env, file, command = references(p)
    call(p, "r1", "http", {"url": url + "/echo", "query": {"q": env}, "headers": {"x-file": file, "x-command": {**command, "prefix": "Bearer "}},
                           "json": {"deep": [env]}, "auth": {"basic": {"user": "me", "password": secret("env:PAWL_SECRET_KEY")}}})
    out = result(p, "r1")
    (got,) = seen("/echo")
    equal((got["query"], got["headers"]["x-file"], got["headers"]["x-command"]), ("q=" + ENV, FILE, "Bearer " + COMMAND))
    equal(json.loads(got["body"]), {"deep": [ENV]})
    equal(base64.b64decode(got["headers"]["authorization"].split()[1]).decode(), "me:" + KEY)
    check("[redacted]" in json.dumps(out), "what came back is redacted")
    for activity in ("llm", "mcp"):
        check(activity not in p.read("serve.log"), "the engine has no such code and misses none")
    with open(f"/proc/{engine.pid}/environ", "rb") as f:
        look("the engine's environment", f.read())
    if not look_into_process(engine.pid):
        print("        skipped: the engine's memory may not be read here")


def it_has_llm_and_mcp_and_pauses_a_run_whose_key_is_bad(p):
    url = begin_peer()
    engine = p.serve("--no-net")
    net_worker(p)
    Peer.broke = {"/v1/chat/completions"}
    ask = {"endpoint": {"wire": "openai-compatible", "base_url": url + "/v1", "key": "env:PAWL_SECRET_KEY"}, "stream": False,
           "request": {"model": "m", "messages": [{"role": "user", "text": "hello"}]}}
    call(p, "r1", "llm", ask, retries=1)
    p.until("r1", lambda d: d["status"] == "paused")
    within(p.ok("describe", "r1").out, "NotAuthorized")
    Peer.broke = set()
    p.ok("resume", "r1")
    within(json.dumps(result(p, "r1")["message"]), "you said Bearer [redacted]")
    equal({s["headers"]["authorization"] for s in seen("/v1/chat/completions")}, {"Bearer " + KEY})
    tools = [sys.executable, "-B", os.path.join(HERE, "..", "mcp", "server.py")]
    call(p, "r2", "mcp", {"server": {"command": [*tools, "--stdio", "modern"], "env": {"TOKEN": secret("env:PAWL_SECRET_ENV")}}, "tool": "echo",
                          "arguments": {"text": secret("env:PAWL_SECRET_KEY")}})
    equal(result(p, "r2")["content"][0]["text"], "[redacted]")
    if not look_into_process(engine.pid):
        print("        skipped: the engine's memory may not be read here")


def it_waits_as_it_is_told_to_and_that_costs_no_attempt(p):
    url = begin_peer()
    p.serve("--no-net")
    net_worker(p)
    call(p, "r1", "http", {"url": url + "/busy"}, retries=1)
    equal(result(p, "r1")["status"], 200)
    again = [e for e in p.ok("show", "r1", "-o", "jsonl").jsonl() if e["type"] == "ActivityRetried"]
    equal([e["failure"]["retry_ms"] for e in again], [1000, 1000], "as Retry-After says")
    equal(events(p, "r1", "ActivityCompleted"), 1, "one retry was allowed, and none was spent")


def it_writes_no_secret_down(p):
    url = begin_peer()
    env, file, command = references(p)
    p.serve("--no-net", "--log-level", "debug")
    net_worker(p)
    runs = []

    def go(activity, value, **more):
        runs.append(f"r{len(runs)}")
        call(p, runs[-1], activity, value, **{"retries": 1, **more})
    everywhere = {"query": {"q": env}, "headers": {"x-file": file, "x-command": command, "cookie": {**env, "prefix": "a="}},
                  "auth": {"basic": {"user": "me", "password": secret("env:PAWL_SECRET_KEY")}}}
    for path in ("/echo", "/status/500", "/status/404", "/status/403"):
        for body in ({"json": {"a": env, "b": [file]}}, {"form": {"a": env, "b": command}}, {"text": {**file, "prefix": "x"}}):
            go("http", {"url": url + path, **everywhere, **body})
    go("http", {"url": "http://127.0.0.1:1/", **everywhere})
    go("http", {"url": "http://10.9.9.9/", **everywhere})
    go("http", {"url": url + "/echo", "headers": {"x": {**env, "suffix": "\r\nY: z"}}})
    go("http", {"url": url + "/echo", "headers": {"x": secret("env:PAWL_SECRET_NONE")}})
    go("http", {"url": url + "/echo", "headers": {"x": secret("env:HOME")}})
    for status in ("", "/status/500", "/status/402", "/status/400"):
        go("llm", {"endpoint": {"wire": "openai-compatible", "base_url": url + (status or "/v1"), "key": secret("env:PAWL_SECRET_KEY"),
                                "headers": {"x-more": {"secret": "env:PAWL_SECRET_ENV"}}},
                   "stream": False, "pause": False, "repairs": 0, "request": {"model": "m", "messages": [{"role": "user", "text": "hello"}]}})
    tools = [sys.executable, "-B", os.path.join(HERE, "..", "mcp", "server.py")]
    with subprocess.Popen([*tools, p.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as remote:
        port = int(remote.stdout.readline().split()[0])
        for tool in ("whoami", "fails", "refused", "echo"):
            go("mcp", {"server": {"url": f"http://127.0.0.1:{port}/modern", "headers": {"x-key": env, "authorization": {**command, "prefix": "Bearer "}}},
                       "tool": tool, "arguments": {"text": file}})
        for tool in ("echo", "fails", "nowhere"):
            go("mcp", {"server": {"command": [*tools, "--stdio", "legacy"], "env": {"TOKEN": env, "OTHER": file}}, "tool": tool,
                       "arguments": {"text": {**env, "prefix": "is "}}})
        go("mcp", {"server": {"command": ["/bin/sh", "-c", "echo $TOKEN >&2; exit 3"], "env": {"TOKEN": env}}, "tool": "echo"})
        for name in runs:
            p.run("result", name, "--timeout", "60s")
        remote.stdin.close()
    ends = {r: json.loads(p.ok("describe", r, "-o", "json").out)["status"] for r in runs}
    check(set(ends.values()) <= {"completed", "failed"}, f"all have ended: {ends}")
    check(list(ends.values()).count("completed") >= 6 and list(ends.values()).count("failed") >= 12, f"some well, some not: {ends}")
    check(any(ENV in json.dumps(s, ensure_ascii=False) or ENV in s["query"] for s in Peer.seen), "they were sent")
    names = look_into_folder(p)
    check("pawl.db-wal" in names, "while it is open: the log of the database")
    look_into_cli(p, runs)
    p.stop()
    look_into_folder(p)


run(globals())
