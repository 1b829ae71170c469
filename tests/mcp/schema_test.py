"""Every request shape of the schemas, spoilt in every place: the server answers with an error or a result, never dies and never hangs.

    schema_test.py PAWL MODULE [COUNT [SEED]]

COUNT messages (default 400) of each revision over HTTP, and as many over stdio; the schemas are those of PAWL_TEST_DATA (specs/mcp/), exit 77
without them. A failure prints the message and the seed.
"""
import http.client
import json
import os
import random
import sys
import threading
from pathlib import Path

from schema_messages import FIRST_ID, Maker
from server_rig import META, MODERN, Folder, Legacy, Modern, Paths

REVISIONS = ("2025-06-18", "2025-11-25", "2026-07-28")
NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId", "tasks/update": "taskId",
         "tasks/cancel": "taskId"}
ANSWER_S = 90  # longer than a call may take; more is a hang
STATUSES = {200, 202, 400, 403, 404, 405, 406, 413, 415, 500}
DEPTH_SURE = 50
STREAMS = ("subscriptions/listen",)


def folder_of_schemas():
    folder = Path(os.environ.get("PAWL_TEST_DATA", "")) / "specs" / "mcp"
    if not all((folder / f"schema-{r}.json").is_file() for r in REVISIONS):
        print(f"skipped: the schemas of MCP are not in {folder} (PAWL_TEST_DATA)")
        sys.exit(77)
    return folder


def is_deep(data):
    """Nested deeper than servers have to take: it may be answered as no message at all."""
    depth = 0
    for byte in data:
        depth += (byte in b"[{") - (byte in b"]}")
        if depth > DEPTH_SURE:
            return True
    return False


def once_each(pairs):
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def request_of(data):
    """(id, method) of bytes that are a request with an id of ours, which has to be answered under that; None otherwise."""
    try:
        message = json.loads(data, object_pairs_hook=once_each)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str) or is_deep(data):
        return None
    number = message.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or not FIRST_ID < number < 2**31:
        return None
    return number, message["method"]


def is_answer(message):
    return isinstance(message, dict) and message.get("jsonrpc") == "2.0" and ("result" in message) != ("error" in message) and "id" in message


# ---- HTTP ----


def headers_of(data, revision, session):
    own = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": revision}
    if revision != MODERN:
        return {**own, "Mcp-Session-Id": session}
    try:
        message = json.loads(data)
        own["Mcp-Method"] = str(message["method"]).encode("latin1", "replace").decode("latin1")
        own["Mcp-Name"] = str(message["params"][NAMES[message["method"]]]).encode("latin1", "replace").decode("latin1")
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return {k: v for k, v in own.items() if len(v) < 4000 and v.isprintable()}


def first_answer(response):
    """Of a stream: its first answer, or None when it ends, or says that it listens."""
    for line in response:
        if line.startswith(b"data: ") and line.strip() != b"data:":
            message = json.loads(line[6:])
            if is_answer(message):
                return message
            if message.get("method") == "notifications/subscriptions/acknowledged" or "id" in message:
                return None
    return None


def post(port, data, revision, session):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("POST", "/mcp", body=data, headers=headers_of(data, revision, session))
        response = connection.getresponse()
        assert response.status in STATUSES, f"status {response.status}"
        if response.getheader("Content-Type", "").startswith("text/event-stream"):
            return response.status, first_answer(response)
        body = response.read()
        message = json.loads(body) if body else None
        assert message is None or is_answer(message), f"{response.status} {body[:300]!r}"
        assert message is not None or response.status in (202, 403, 404, 405, 415), f"status {response.status} says nothing"
        return response.status, message
    finally:
        connection.close()


def session_of(server, revision):
    return Legacy(server.url, version=revision).session if revision != MODERN else None


def over_http(folder, schemas, revision, count, seed):
    server = folder.serve()
    maker = Maker(schemas / f"schema-{revision}.json", random.Random(seed))
    session = session_of(server, revision)
    answered = 0
    for data in messages(maker, count):
        try:
            status, message = post(server.port, data, revision, session)
            request = request_of(data)
            assert message is not None or request is None or request[1] in STREAMS, f"status {status}, and no answer"
        except (OSError, AssertionError, ValueError, http.client.HTTPException) as error:
            raise SystemExit(f"{revision} over HTTP, seed {seed}: {error!r} after {data[:2000]!r}") from error
        answered += message is not None
        if status == 404 and session is not None:
            session = session_of(server, revision)  # a message was a DELETE of its kind, or named no session
        if server.process.poll() is not None:
            raise SystemExit(f"{revision} over HTTP, seed {seed}: the server died after {data[:2000]!r}")
    assert Modern(server.url).call("greet", {"name": "Ada"})["result"]["content"][0]["text"] == "Hello, Ada!"
    server.stop()
    return answered


def messages(maker, count):
    """Each shape once as it is, then spoilt ones, every shape as often as the others."""
    for _, message in maker.whole():
        yield json.dumps(message).encode()
    for number in range(count):
        yield maker.broken(maker.one(maker.names[number % len(maker.names)]))


# ---- stdio ----


def over_stdio(folder, schemas, revision, count, seed):
    """All of them without waiting for answers; then each that had to be answered was, once."""
    maker = Maker(schemas / f"schema-{revision}.json", random.Random(seed))
    shim = folder.shim()
    own = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
    shim.ask({"jsonrpc": "2.0", "id": "first", "method": "tools/list", "params": {"_meta": own}})
    wanted, lines = {}, list(messages(maker, count))
    for data in lines:
        request = request_of(data)
        if request is not None and request[1] not in STREAMS:
            wanted[request[0]] = wanted.get(request[0], 0) + 1

    def write():
        for data in lines:
            shim.process.stdin.buffer.write(data + b"\n")
        shim.process.stdin.buffer.flush()

    writer = threading.Thread(target=write)
    writer.start()
    got = 0
    while any(n > 0 for n in wanted.values()):
        line = shim.process.stdout.readline()
        if not line:
            raise SystemExit(f"{revision} over stdio, seed {seed}: the server ended with status {shim.process.wait()}; unanswered: {list(wanted)[:5]}")
        message = json.loads(line)
        if is_answer(message):
            got += 1
            if message["id"] in wanted:
                wanted[message["id"]] -= 1
    writer.join()
    shim.send({"jsonrpc": "2.0", "id": "last", "method": "tools/call", "params": {"name": "greet", "arguments": {"name": "Ada"}, "_meta": own}})
    assert shim.answer("last")["result"]["content"][0]["text"] == "Hello, Ada!"
    assert shim.end() == 0
    return got


def main(arguments):
    Paths.pawl, Paths.module = (str(Path(p).resolve()) for p in arguments[1:3])
    schemas = folder_of_schemas()
    count = int(arguments[3]) if len(arguments) > 3 else 400
    seed = int(arguments[4]) if len(arguments) > 4 else random.randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    for revision in REVISIONS:
        for way in (over_http, over_stdio):
            with Folder() as folder:
                print(f"{revision} {way.__name__.replace('_', ' ')}: {count} spoilt messages, {way(folder, schemas, revision, count, seed)} answers",
                      flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
