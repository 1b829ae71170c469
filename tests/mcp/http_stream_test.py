"""GET /runs/{id}/stream of `pawl serve --http`: what activities say while they run, as Server-Sent Events. http_stream_test.py PAWL MODULE [NAME...]"""
import base64
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import time

from server_rig import WAIT_S, Folder, Paths, main

PIECE_SIZE = 4096  # as in stream_module.c
READY = b": following\n\n"
CUT_AFTER = 8 << 20
CUT_AFTER_S = 1


class Stream:
    """A client that reads only when it is told to."""

    def __init__(self, server, path, method="GET", headers=None, small=False):
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", server.port))
        lines = {"Host": f"127.0.0.1:{server.port}", **(headers or {})}
        self.socket.sendall((f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n").encode())
        self.response = None
        self.said = []
        self.heard = 0  # bytes of the last attempt up to here, said or lost

    def begin(self, method="GET"):
        self.response = http.client.HTTPResponse(self.socket, method=method)
        self.response.begin()
        return self.response

    def follow(self):
        """Until the stream is open."""
        response = self.begin()
        assert response.status == 200, (response.status, response.read())
        assert response.getheader("Content-Type") == "text/event-stream"
        assert self.response.readline() + self.response.readline() == READY
        return self

    def events(self):
        """(event, data) to the end of the stream."""
        name = None
        for line in self.response:
            line = line.decode("utf-8").rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
                self.said.append((name, data))
                if name == "output":
                    self.heard = data["at"] + len(data.get("text", ""))
                elif name == "lost":
                    self.heard += data.get("bytes", 0)
                yield self.said[-1]

    def until(self, wanted):
        for name, data in self.events():
            if wanted(name, data):
                return data
        raise AssertionError(f"the stream ended: {self.said}")

    def close(self):
        if self.response is not None:
            self.response.close()
        self.socket.close()


def gate(f, name):
    """Lets an activity through, once, whether it has come to the gate or will."""
    with open(f.path / name, "wb", buffering=0) as gate_file:
        gate_file.write(b".")


def start(f, workflow, run_id, options=(), **given):
    for name in ("first", "second"):
        if not (f.path / name).exists():
            os.mkfifo(f.path / name)
            f.gates = getattr(f, "gates", []) + [open(f.path / name, "r+b", buffering=0)]  # keeps what is written until it is read
    server = f.serve(options=options)
    f.pawl("start", workflow, "-w", run_id, "--input", json.dumps({"dir": str(f.path), **given}))
    return server


def is_token(text):
    return lambda name, data: name == "output" and data.get("text") == text


def it_says_tokens_as_they_come_and_ends_with_the_run(f):
    server = start(f, "ask_model", "r1")
    stream = Stream(server, "/runs/r1/stream").follow()
    stream.until(lambda name, data: data.get("channel") == "raw")
    late = Stream(server, "/runs/r1/stream").follow()
    late.until(lambda name, data: data.get("channel") == "raw")
    assert late.said == stream.said, "who comes later is given the last of it"
    gate(f, "second")
    for s in (stream, late):
        list(s.events())
        assert [n for n, _ in s.said] == ["output"] * 5 + ["ended", "closed"], s.said
        said = [d for n, d in s.said if n == "output"]
        assert [d.get("text") for d in said] == ["Hel", "lo,\n", "wörld", None, "!"]
        assert base64.b64decode(said[3]["bytes"]) == b"\xff\0\n"
        assert [d["at"] for d in said] == [0, 3, 7, 13, 16]
        assert [d["channel"] for d in said] == ["text", "text", "text", "raw", "text"]
        assert {(d["activity"], d["attempt"]) for d in said} == {("stream_model", 1)}
        assert s.said[-2][1] == {"command": said[0]["command"], "attempt": 1, "activity": "stream_model", "stands": True}
        assert s.said[-1][1] == {"status": "completed"}


def it_says_what_the_command_line_says(f):
    server = start(f, "ask_model", "r1")
    stream = Stream(server, "/runs/r1/stream").follow()
    with subprocess.Popen([Paths.pawl, "stream", "r1", "--db", f.db, "-o", "jsonl"], stdout=subprocess.PIPE, text=True) as cli:
        first = cli.stdout.readline()
        gate(f, "second")
        lines = [json.loads(line) for line in [first, *cli.stdout]]
    list(stream.events())
    ours = []
    for name, data in stream.said[:-1]:
        event = {"type": "Output" if name == "output" else "OutputEnded", "id": "r1", **data}
        if "text" in event:
            event["data"] = event.pop("text")
        elif "bytes" in event:
            event["data"] = {"$bytes": event.pop("bytes")}
        ours.append(event)
    assert ours == lines, (ours, lines)


def it_marks_what_a_retry_supersedes(f):
    server = start(f, "ask_model", "r1", breaks=True)
    stream = Stream(server, "/runs/r1/stream").follow()
    stream.until(is_token("wrong"))
    gate(f, "first")
    ended = stream.until(lambda name, data: name == "ended")
    assert ended["attempt"] == 1 and ended["stands"] is False, ended
    stream.until(lambda name, data: data.get("channel") == "raw")
    late = Stream(server, "/runs/r1/stream").follow()
    gate(f, "second")
    list(stream.events())
    list(late.events())
    assert [(d["attempt"], d["stands"]) for n, d in stream.said if n == "ended"] == [(1, False), (2, True)]
    assert {d["attempt"] for n, d in late.said if n == "output"} == {2}, "what does not stand is not said again"


def it_says_how_a_run_closed_to_who_comes_afterwards(f):
    server = f.serve()
    for workflow, run_id, path, status in (("fails", "t/a%b", "t%2Fa%25b", "failed"), ("fails", "t/stream", "t/stream", "failed")):
        f.pawl("start", workflow, "-w", run_id)
        stream = Stream(server, f"/runs/{path}/stream").follow()
        assert list(stream.events()) == [("closed", {"status": status})]


def it_refuses_what_it_does_not_serve(f):
    server = start(f, "ask_model", "r1")
    evil = {"Host": "evil.example"}
    for method, path, headers, status in (
            ("GET", "/runs/none/stream", {}, 404), ("GET", "/runs/r/stream", {}, 404), ("GET", "/runs//stream", {}, 404),
            ("GET", "/runs/" + "x" * 500 + "/stream", {}, 404), ("GET", "/runs/%ff%00/stream", {}, 404), ("GET", "/runs/r1", {}, 404),
            ("GET", "/runs/r1/stream/", {}, 404), ("GET", "/runs/r%201/stream", {}, 404), ("HEAD", "/runs/r1/stream", {}, 405), ("POST", "/runs/r1/stream", {}, 405),
            ("DELETE", "/runs/none/stream", {}, 405), ("GET", "/runs/r1/stream", evil, 403), ("HEAD", "/runs/r1/stream", evil, 403),
            ("GET", "/runs/r1/stream", {"Origin": "http://evil.example"}, 403), ("GET", "/runs/none/stream", {"Origin": "null"}, 403)):
        stream = Stream(server, path, method, headers)
        response = stream.begin(method)
        assert response.status == status, (method, path, response.status)
        assert response.getheader("Allow") == ("GET" if status == 405 else None)
        if method != "HEAD":
            assert json.loads(response.read())["error"], path
        stream.close()
    gate(f, "second")


def until_held(f, server, count):
    f.until(lambda: server.held() == count, lambda: f"{server.held()} connections are held, not {count}")


def it_lets_a_client_that_goes_away_go(f):
    server = start(f, "ask_model", "r1")
    one = Stream(server, "/runs/r1/stream").follow()
    one.until(is_token("Hel"))
    until_held(f, server, 1)
    others = [Stream(server, "/runs/r1/stream").follow() for _ in range(20)]
    others += [Stream(server, "/runs/r1/stream") for _ in range(20)]
    for s in others:
        s.close()
    until_held(f, server, 1)
    one.close()
    until_held(f, server, 0)
    again = Stream(server, "/runs/r1/stream").follow()
    again.until(is_token("Hel"))
    gate(f, "second")
    assert list(again.events())[-1] == ("closed", {"status": "completed"})


def flood_eighths(f, pieces, reader, eighths):
    """Lets the activity say so much more; a follower that reads tells when an eighth is through: it has heard of every byte of it, said or lost."""
    for eighth in eighths:
        gate(f, "first")
        end = (eighth + 1) * (pieces // 8) * PIECE_SIZE
        reader.until(lambda name, data: reader.heard >= end)


def flood_all_but_the_end(f, pieces, reader):
    flood_eighths(f, pieces, reader, range(8))


def flood(f, pieces, followers):
    reader = followers[0]
    flood_all_but_the_end(f, pieces, reader)
    gate(f, "second")
    list(reader.events())


def account(stream):
    """(bytes said, bytes lost)"""
    return (sum(len(d["text"]) for n, d in stream.said if n == "output"), sum(d["bytes"] for n, d in stream.said if n == "lost"))


def it_tells_a_slow_client_what_it_missed(f):
    pieces = 1600  # 6.25 MiB: more than what sockets hold, and less than what it is cut for
    server = start(f, "ask_flood", "r1", pieces=pieces)
    reader = Stream(server, "/runs/r1/stream").follow()
    slow = Stream(server, "/runs/r1/stream", small=True).follow()
    flood(f, pieces, [reader])
    list(slow.events())
    said, lost = account(slow)
    assert said + lost == pieces * PIECE_SIZE and lost > 0, (said, lost)
    assert [n for n, _ in slow.said][-2:] == ["ended", "closed"]
    at = 0
    for name, data in slow.said:
        at += data["bytes"] if name == "lost" else 0
        if name == "output":
            assert data["at"] == at, "what was lost is said where it is missing"
            at += PIECE_SIZE


def it_cuts_a_client_that_never_reads(f):
    pieces = 6400  # 25 MiB
    server = start(f, "ask_flood", "r1", pieces=pieces)
    reader = Stream(server, "/runs/r1/stream").follow()
    never = Stream(server, "/runs/r1/stream", small=True).follow()
    flood_eighths(f, pieces, reader, range(7))
    until = time.monotonic() + CUT_AFTER_S  # it has lost enough by now, and what comes after that time cuts it
    f.until(lambda: time.monotonic() > until, "time stands still")
    flood_eighths(f, pieces, reader, range(7, 8))
    until_held(f, server, 1)  # while the run goes on
    gate(f, "second")
    list(reader.events())
    assert reader.said[-1] == ("closed", {"status": "completed"}), reader.said[-1]
    reader.close()
    try:
        for _ in never.events():
            pass
    except (ConnectionError, http.client.HTTPException):
        pass
    assert "closed" not in [n for n, _ in never.said]
    assert sum(len(d["text"]) for n, d in never.said if n == "output") < pieces * PIECE_SIZE - CUT_AFTER


def it_cuts_a_client_that_does_not_take_the_end(f):
    with Folder() as other:  # a run that goes on for longer than that beside it
        pieces = 1600
        server = start(other, "ask_flood", "r1", pieces=pieces)
        reader = Stream(server, "/runs/r1/stream").follow()
        slow = Stream(server, "/runs/r1/stream", small=True).follow()
        flood_all_but_the_end(other, pieces, reader)
        cut_what_does_not_take_the_end(f)
        gate(other, "second")
        list(reader.events())
        list(slow.events())
        assert [n for n, _ in slow.said][-2:] == ["ended", "closed"], "its time begins with the end, not with the last byte that it took"


def cut_what_does_not_take_the_end(f):
    pieces = 1600  # 6.25 MiB: more than what sockets hold, and less than what it is cut for while the run goes on
    server = start(f, "ask_flood", "r1", pieces=pieces)
    reader = Stream(server, "/runs/r1/stream").follow()
    never = Stream(server, "/runs/r1/stream", small=True).follow()
    flood(f, pieces, [reader])
    reader.close()
    until_held(f, server, 0)
    try:
        list(never.events())
    except (ConnectionError, http.client.HTTPException):
        pass
    assert "closed" not in [n for n, _ in never.said]


def it_serves_two_hundred_clients_of_one_run(f):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1024:
        print(f"        with 50 clients: no more than {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 1024)), hard))
    server = start(f, "ask_model", "r1", breaks=True)
    streams = [Stream(server, "/runs/r1/stream") for _ in range(200 if hard >= 1024 else 50)]
    for s in streams:
        s.follow()
    gate(f, "first")
    streams[0].until(lambda name, data: data.get("channel") == "raw")
    f.pawl("start", "fails", "-w", "beside")
    assert list(Stream(server, "/runs/beside/stream").follow().events()) == [("closed", {"status": "failed"})]
    gate(f, "second")
    for s in streams:
        list(s.events())
        assert s.said == streams[0].said
    assert [n for n, _ in streams[0].said] == ["output", "ended"] + ["output"] * 5 + ["ended", "closed"], streams[0].said


def it_ends_streams_when_the_server_stops(f):
    server = start(f, "ask_model", "r1", options=("--drain", "0s"))
    stream = Stream(server, "/runs/r1/stream").follow()
    stream.until(lambda name, data: data.get("channel") == "raw")
    server.process.terminate()
    list(stream.events())
    assert "closed" not in [n for n, _ in stream.said], "the run goes on when an engine is there again"
    gate(f, "second")
    assert server.process.wait(timeout=WAIT_S) == 0


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
