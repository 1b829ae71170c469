#!/usr/bin/env python3
"""A scripted stand-in for model providers, on loopback: what a path says is what it does.

    /STEP+STEP+.../ID/<the wire's own path>     the n-th request with that ID does the n-th step, and the last one for ever
    /seen/ID                                    {"count", "posts", "bodies", "heads", "paths"} of the requests with that ID

The wire is told by its path; whether it is to stream, by the request. Prints "PORT 0", then serves until its standard input ends.
"""
import base64
import email.utils
import json
import os
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "net"))
import server  # noqa: E402

LOCK = threading.Lock()
SEEN = {}
USAGE = (10, 4)  # tokens in, tokens out


# ---- wires: a whole answer, and the pieces of a streamed one

def chat(text):
    usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1]}
    whole = {"id": "c1", "model": "stub", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
             "usage": usage}

    def chunk(delta, finish=None):
        return "data: " + json.dumps({"id": "c1", "model": "stub", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}) + "\n\n"
    pieces = [chunk({"role": "assistant", "content": ""})] + [chunk({"content": c}) for c in cut(text)] + [chunk({}, "stop")]
    return whole, pieces, ["data: " + json.dumps({"id": "c1", "choices": [], "usage": usage}) + "\n\n", "data: [DONE]\n\n"]


def messages(text):
    usage = {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}
    whole = {"id": "m1", "type": "message", "role": "assistant", "model": "stub", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
             "usage": usage}

    def event(name, **rest):
        return f"event: {name}\ndata: " + json.dumps({"type": name, **rest}) + "\n\n"
    pieces = [event("message_start", message={**whole, "content": [], "stop_reason": None}),
              event("content_block_start", index=0, content_block={"type": "text", "text": ""})]
    pieces += [event("content_block_delta", index=0, delta={"type": "text_delta", "text": c}) for c in cut(text)]
    pieces += [event("content_block_stop", index=0), event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)]
    return whole, pieces, [event("message_stop")]


def responses(text):
    item = {"type": "message", "id": "i1", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    whole = {"id": "resp_1", "status": "completed", "model": "stub", "output": [item],
             "usage": {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}}

    def event(name, **rest):
        return f"event: {name}\ndata: " + json.dumps({"type": name, **rest}) + "\n\n"
    pieces = [event("response.created", response={"id": "resp_1", "status": "in_progress"})]
    pieces += [event("response.output_text.delta", output_index=0, delta=c) for c in cut(text)]
    return whole, pieces, [event("response.completed", response=whole)]


def gemini(text):
    usage = {"promptTokenCount": USAGE[0], "candidatesTokenCount": USAGE[1]}

    def body(said, finish=None):
        candidate = {"content": {"role": "model", "parts": [{"text": said}]}, "index": 0}
        return {"responseId": "g1", "modelVersion": "stub", "candidates": [{**candidate, **({"finishReason": finish} if finish else {})}],
                "usageMetadata": usage}
    return body(text, "STOP"), ["data: " + json.dumps(body(c)) + "\n\n" for c in cut(text)], ["data: " + json.dumps(body("", "STOP")) + "\n\n"]


def ollama(text):
    end = {"model": "stub", "done": True, "done_reason": "stop", "prompt_eval_count": USAGE[0], "eval_count": USAGE[1]}
    pieces = [json.dumps({"model": "stub", "message": {"role": "assistant", "content": c}, "done": False}) + "\n" for c in cut(text)]
    last = json.dumps({**end, "message": {"role": "assistant", "content": ""}}) + "\n"
    return {**end, "message": {"role": "assistant", "content": text}}, pieces, [last]


def dapr(text):
    usage = {"promptTokens": str(USAGE[0]), "completionTokens": str(USAGE[1])}
    whole = {"outputs": [{"choices": [{"finishReason": "stop", "message": {"content": text}}], "usage": usage}]}
    return whole, [json.dumps(whole)], []  # it never streams


def cut(text):
    return [text[i:i + 3] for i in range(0, len(text), 3)]


WIRES = [("/v1/chat/completions", chat), ("/v1/messages", messages), ("/v1/responses", responses), (":generateContent", gemini),
         (":streamGenerateContent", gemini), ("/api/chat", ollama), ("/converse", dapr)]


def wire_of(path):
    return next(wire for end, wire in WIRES if end in path)


# ---- steps

def chunked(conn, pieces, end=True, kind="text/event-stream"):
    conn.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in pieces:
        data = piece if isinstance(piece, bytes) else piece.encode()
        conn.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    if end:
        conn.send("0\r\n\r\n")


def is_stream(rq, body):
    return ":stream" in rq.path or body.get("stream", False)


def say(conn, rq, body, text="Hello w\u00f6rld"):
    whole, pieces, last = wire_of(rq.path)(text)
    if is_stream(rq, body):
        chunked(conn, pieces + last, kind="application/x-ndjson" if "/api/" in rq.path else "text/event-stream")
    else:
        answer(conn, 200, whole)


def answer(conn, status, value, *headers):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    conn.answer(status, data, ("Content-Type: application/json", "x-request-id: req-stub", *headers))


def split(conn, rq, body):
    """Every byte by itself."""
    _, pieces, last = wire_of(rq.path)("Hello w\u00f6rld")
    data = "".join(pieces + last).encode()
    chunked(conn, [data[i:i + 1] for i in range(len(data))])


def broken(conn, rq, body):
    """Half of a stream, then nothing more."""
    _, pieces, _ = wire_of(rq.path)("Hello w\u00f6rld")
    data = "".join(pieces).encode()
    chunked(conn, [data[:len(data) // 2]], end=False)
    raise server.Gone


def ended(conn, rq, body):
    """Half of a stream, and a proper end."""
    _, pieces, _ = wire_of(rq.path)("Hello w\u00f6rld")
    data = "".join(pieces).encode()
    chunked(conn, [data[:len(data) // 2]])


def unsaid(conn, rq, body):
    """All of the answer, and the connection breaks before the stream's last event."""
    _, pieces, _ = wire_of(rq.path)("Hello w\u00f6rld")
    chunked(conn, pieces, end=False)
    raise server.Gone


RATE = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
FORMS = {
    "seconds": lambda: ["Retry-After: 1"],
    "fraction": lambda: ["Retry-After: 1.2"],
    "date": lambda: ["Retry-After: " + email.utils.formatdate(time.time() + 2, usegmt=True)],
    "ms": lambda: ["retry-after-ms: 1100"],
    "zero": lambda: ["Retry-After: 0"],
    "reset": lambda: ["x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 1s"],
    "moment": lambda: ["anthropic-ratelimit-tokens-remaining: 0",
                       "anthropic-ratelimit-tokens-reset: " + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))],
    "long": lambda: ["Retry-After: 3600"],
    "body": lambda: [],
}


def limited(form):
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x", "details": [{"retryDelay": "1.1s"}]}} if form == "body" else RATE
    return lambda conn, rq, b: answer(conn, 429, body, *FORMS[form]())


def slow(conn, rq, body):
    """A first piece, and then nothing for ever."""
    _, pieces, _ = wire_of(rq.path)("Hello w\u00f6rld")
    chunked(conn, pieces[:3], end=False)
    server.STOP.wait()


def loris(conn, rq, body):
    """An answer, a byte at a time, that would take hours: never silent for long."""
    _, pieces, _ = wire_of(rq.path)("Hello w\u00f6rld " * 1000)
    chunked(conn, [], end=False)
    for byte in "".join(pieces).encode():
        conn.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        if server.STOP.wait(0.05):
            return


def silent(conn, rq, body):
    server.STOP.wait()


def oversized(conn, rq, body):
    text = "x" * (1 << 20)
    if not is_stream(rq, body):
        answer(conn, 200, chat(text * 20)[0])
        return
    conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for _ in range(40):
        conn.send("data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}) + "\n\n")
    raise server.Gone


def malformed(conn, rq, body):
    if is_stream(rq, body):
        chunked(conn, ["data: {\"choices\": [}\n\n", "{\"message\": }\n"])
    else:
        answer(conn, 200, b"{\"choices\": [{\"message\": ")


def told(conn, rq, body):
    """Says back what it was told, headers too."""
    say(conn, rq, body, json.dumps({"headers": rq.headers, "body": body}))


def pending(conn, rq, body):
    answer(conn, 200, {"id": "resp_9", "status": "queued", "output": []})


def moneyless(conn, rq, body):
    answer(conn, 429, {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}, "Retry-After: 1")


def thinks(conn, rq, body):
    """Reasoning, then two calls that come in pieces, one after the other and then by turns; the second says the request's key back."""
    key = next((value for name, value in rq.headers if name.lower() == "authorization"), "")

    def chunk(delta, finish=None):
        return "data: " + json.dumps({"id": "c1", "model": "stub", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}) + "\n\n"

    def call(index, arguments, name=None):
        return chunk({"tool_calls": [{"index": index, **({"id": f"c{index}", "type": "function"} if name else {}),
                                      "function": {"arguments": arguments, **({"name": name} if name else {})}}]})
    said = json.dumps({"key": key})
    pieces = [chunk({"role": "assistant", "reasoning_content": "I must "}), chunk({"reasoning_content": "dig"}), call(0, "", "dig"), call(0, '{"n": '),
              call(1, said[:3], "tell"), call(0, "4711}"), *[call(1, c) for c in cut(said[3:])], chunk({}, "tool_calls"), "data: [DONE]\n\n"]
    chunked(conn, pieces)


def acts(turns):
    """An agent's model, on the wire openai-chat: two calls of "dig" in each of so many turns, then an answer."""
    def step(conn, rq, body):
        told = sum(m.get("role") == "tool" for m in body["messages"])
        if told >= 2 * turns:
            say(conn, rq, body, f"dug {told}")
            return
        calls = [{"index": i, "id": f"c{told + i}", "type": "function", "function": {"name": "dig", "arguments": json.dumps({"n": told + i})}} for i in (0, 1)]
        usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1]}
        chunk = {"id": "c1", "model": "stub", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": calls}, "finish_reason": None}]}
        last = {"id": "c1", "model": "stub", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": usage}
        chunked(conn, ["data: " + json.dumps(chunk) + "\n\n", "data: " + json.dumps(last) + "\n\n", "data: [DONE]\n\n"])
    return step


USED = {
    "negative": {"prompt_tokens": -1000, "completion_tokens": 4},
    "huge": {"prompt_tokens": 10, "completion_tokens": 9 * 10 ** 30},
    "zero": {"prompt_tokens": 0, "completion_tokens": 0},
    "text": {"prompt_tokens": "ten", "completion_tokens": [4]},
    "empty": {},
    "more": {"prompt_tokens": 1000000, "completion_tokens": 400000},
    "cached": {"prompt_tokens": 1000, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 800}},
}


def used(what):
    """An answer, and what it says it used."""
    def step(conn, rq, body):
        chunked(conn, chat("Hello")[1] + ["data: " + json.dumps({"id": "c1", "choices": [], "usage": USED[what]}) + "\n\n", "data: [DONE]\n\n"])
    return step


STEPS = {
    "ok": say, "split": split, "broken": broken, "ended": ended, "unsaid": unsaid, "slow": slow, "loris": loris, "silent": silent, "oversized": oversized,
    "malformed": malformed, "told": told, "thinks": thinks, "pending": pending, "money": moneyless,
    "key": lambda c, r, b: answer(c, 401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}),
    "s404": lambda c, r, b: answer(c, 404, {"error": {"message": "no such model", "code": "model_not_found"}}),
    "s400": lambda c, r, b: answer(c, 400, {"error": {"message": "no"}}),
    "s500": lambda c, r, b: answer(c, 500, {"error": {"message": "oops", "type": "server_error"}}),
    "s529": lambda c, r, b: answer(c, 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "page": lambda c, r, b: c.answer(502, b"<html>Bad Gateway</html>", ("Content-Type: text/html",)),
    "whole": lambda c, r, b: answer(c, 200, wire_of(r.path)("Hello w\u00f6rld")[0]),
    **{f"wait-{form}": limited(form) for form in FORMS}, **{f"usage-{what}": used(what) for what in USED},
}


def step_of(text):
    if text.startswith("say-"):
        said = base64.urlsafe_b64decode(text[4:]).decode()
        return lambda conn, rq, body: say(conn, rq, body, said)
    if text.startswith("agent-"):
        return acts(int(text[6:]))
    return STEPS[text]


def seen(conn, name):
    with LOCK:
        answer(conn, 200, SEEN.get(name, {"count": 0, "posts": 0, "bodies": [], "heads": [], "paths": []}))


def handle(conn, rq):
    parts = rq.path.split("/")
    if parts[1] == "seen":
        seen(conn, parts[2])
        return
    steps, name = urllib.parse.unquote(parts[1]).split("+"), parts[2]
    with LOCK:
        s = SEEN.setdefault(name, {"count": 0, "posts": 0, "bodies": [], "heads": [], "paths": []})
        n = s["count"]
        s["count"] += 1
        s["posts"] += rq.method == "POST"
        s["bodies"].append(rq.body.decode("utf-8", "replace"))
        s["heads"].append(rq.headers)
        s["paths"].append(rq.path)
    step_of(steps[min(n, len(steps) - 1)])(conn, rq, json.loads(rq.body or b"{}"))


def serve(sock):
    conn = server.Connection(sock)
    try:
        while True:
            handle(conn, server.Request(conn))
    except (server.Gone, OSError):
        pass
    finally:
        sock.close()


def main():
    threading.stack_size(512 << 10)
    server.serve = serve
    print(server.listen(None), 0, flush=True)
    sys.stdin.read()
    server.STOP.set()


if __name__ == "__main__":
    main()
