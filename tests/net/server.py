#!/usr/bin/env python3
"""A server that does what its path says, good and bad, on loopback: server.py [FOLDER with cert.pem and key.pem].

Prints one line, "PORT TLSPORT" (0 = no TLS), then serves until its standard input ends. A thread for each connection.
"""
import base64
import gzip
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import zlib

COUNTS = {}
HEADS = {}
LOCK = threading.Lock()
STOP = threading.Event()


class Gone(Exception):
    """The connection is over."""


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def take(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def answer(self, status=200, body=b"", headers=(), length=True):
        lines = [f"HTTP/1.1 {status} Said", *headers]
        if length:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


class Request:
    def __init__(self, conn):
        self.method, self.target, _ = conn.line().split(" ", 2)
        self.headers = []
        while True:
            line = conn.line()
            if not line:
                break
            name, value = line.split(":", 1)
            self.headers.append((name.lower(), value.strip()))
        found = dict(self.headers)
        self.body = conn.take(int(found.get("content-length", 0)))
        url = urllib.parse.urlsplit(self.target)
        self.path = url.path
        self.query = urllib.parse.parse_qs(url.query, keep_blank_values=True)

    def first(self, key, otherwise=None):
        return self.query.get(key, [otherwise])[0]


def echo(conn, rq):
    said = {"method": rq.method, "target": rq.target, "headers": rq.headers, "body": rq.body.decode("latin-1")}
    back = [f"X-Echo: {v}" for k, v in rq.headers if k == rq.first("header")]
    conn.answer(200, json.dumps(said).encode(), ["Content-Type: application/json", *back, *rq.query.get("h", [])])


def mirror(conn, rq):
    """Fails, and says all that was sent: body, headers, target."""
    said = "\n".join([rq.target, rq.body.decode("latin-1"), *(f"{k}: {v}" for k, v in rq.headers)])
    conn.answer(int(rq.path.split("/")[2]), said.encode("latin-1"), ["Retry-After: 60", f"X-Target: {rq.target}"])


def check(conn, rq):
    """Were the planted values sent, each in its place? Says so without saying them."""
    headers = dict(rq.headers)
    basic = base64.b64encode(b"me:pw-s3cret-word-0f0f").decode()
    one = 'pw-s3cret/env+"q" 7f3a'
    right = {"query": rq.first("q") == one, "key": headers.get("x-key") == "Key pw-s3cret-file-91bc!",
             "command": headers.get("x-cmd") == "pw-s3cret-command-55de", "json": json.loads(rq.body) == {"deep": [{"k": one}, 2]},
             "auth": headers.get("authorization") == "Basic " + basic}
    conn.answer(200, json.dumps({k: "ok" if v else "wrong" for k, v in right.items()}).encode(), ["Content-Type: application/json"])



def status(conn, rq):
    body = rq.first("body", "said").encode()
    conn.answer(int(rq.path.split("/")[2]), body, rq.query.get("h", []))


def count(conn, rq):
    with LOCK:
        n = COUNTS.get(rq.first("of"), 0)
    conn.answer(200, str(n).encode())


def flaky(conn, rq):
    """Fails as often as `times` says, with status `code` and headers `h`; then answers."""
    with LOCK:
        n = COUNTS[rq.first("id")]
    if n <= int(rq.first("times")):
        conn.answer(int(rq.first("code")), b"not yet", rq.query.get("h", []))
    else:
        conn.answer(200, json.dumps({"tries": n, "key": dict(rq.headers).get("idempotency-key")}).encode(), ["Content-Type: application/json"])


def redirect(conn, rq):
    conn.answer(int(rq.first("code", "302")), b"over there", [f"Location: {rq.first('to').encode().decode('latin-1')}"])


def loop(conn, rq):
    conn.answer(302, b"", [f"Location: {rq.target}"])


def cut(conn, rq):
    where = rq.path.split("/")[2]
    if where == "head":
        conn.send("HTTP/1.1 200 OK\r\nContent-Le")
    elif where == "body":
        conn.answer(200, b"abc", ["Content-Length: 1000"], length=False)
    elif where == "chunk":
        conn.answer(200, b"5\r\nabcde\r\n", ["Transfer-Encoding: chunked"], length=False)
    raise Gone


def slow(conn, rq):
    where = rq.path.split("/")[2]
    if where == "head":
        STOP.wait(30)
        raise Gone
    conn.answer(200, b"", ["Content-Length: 100000"], length=False)
    conn.send(b"x")
    while where == "body" and not STOP.wait(0.02):
        conn.send(b"x")
    STOP.wait(30)
    raise Gone


def big(conn, rq):
    conn.answer(200, b"x" * int(rq.first("n")), ["Content-Type: text/plain"])


def bomb(conn, rq):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    conn.answer(200, data, ["Content-Encoding: gzip"])


def packed(conn, rq):
    data = gzip.compress(b'{"packed": true}')
    headers = ["Content-Encoding: gzip", "Content-Type: application/json"]
    conn.answer(200, data[:-9] + b"damaged!!" if rq.first("bad") else data, headers)


RAW = {
    "noise": b"\x00\x01\x02 nothing like it \r\n\r\n",
    "nine": b"hello, a page of 1991",
    "nocolon": b"HTTP/1.1 200 OK\r\nThis is no header\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n",
    "space": b"HTTP/1.1 200 OK\r\nLength : 7\r\nContent-Length: 0\r\n\r\n",
    "fold": b"HTTP/1.1 200 OK\r\nA: one\r\n two\r\nContent-Length: 2\r\n\r\nok",
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "many": b"HTTP/1.1 200 OK\r\n" + b"".join(b"H%d: v\r\n" % i for i in range(2000)) + b"\r\n",
    "long": b"HTTP/1.1 200 OK\r\n" + b"".join(b"H%d: %s\r\n" % (i, b"v" * 10000) for i in range(100)) + b"\r\n",
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nLate: yes\r\n\r\n",
    "lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nokoko",
    "lengthlist": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 5\r\n\r\nokoko",
    "same": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "both": b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "negative": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok",
    "plus": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "hex": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    "word": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "huge": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
    "chunkhuge": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
    "chunkmost": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nok",
    "chunkminus": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
    "chunkword": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    "chunknoend": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    "extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b;c=\"d\"\r\nok\r\n0;e\r\n\r\n",
    "status99": b"HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\nok",
    "status1000": b"HTTP/1.1 1000 High\r\nContent-Length: 2\r\n\r\nok",
    "statusword": b"HTTP/1.1 two OK\r\nContent-Length: 2\r\n\r\nok",
    "version": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nok",
    "nested": b"HTTP/1.1 200 OK\r\nContent-Encoding: " + b", ".join([b"gzip"] * 20) + b"\r\nContent-Length: 2\r\n\r\nok",
    "unknown": b"HTTP/1.1 200 OK\r\nContent-Encoding: x-own\r\nContent-Length: 2\r\n\r\nok",
}


def raw(conn, rq):
    conn.send(RAW[rq.path.split("/")[2]])
    raise Gone


def flood(conn, rq):
    """One part of a response for ever, until the client has enough."""
    what = rq.path.split("/")[2]
    head = "HTTP/1.1 200 OK\r\n"
    begin, more = {
        "early": ("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        "bare": ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        "head": (head, "H: v\r\n"),
        "line": (head + "H: ", "v" * 1000),
        "fold": (head + "H: v\r\n", " v\r\n"),
        "status": ("HTTP/1.1 200 ", "O" * 1000),
        "trailer": (head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", "Late: yes\r\n"),
        "trailerline": (head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nLate: ", "y" * 1000),
        "extension": (head + "Transfer-Encoding: chunked\r\n\r\n2;a=", "x" * 1000),
        "bytes": (head + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        "zeros": (head + "Transfer-Encoding: chunked\r\n\r\n", "0" * 1000),
    }[what]
    conn.send(begin)
    many = more * max(1, 8192 // len(more))
    while not STOP.is_set():
        conn.send(many)


def smuggle(conn, rq):
    """An answer, and with it another one that nobody asked for."""
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")


def russian(conn, rq):
    """Packed twice: a bomb in a bomb."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    conn.answer(200, gzip.compress(data, 9), ["Content-Encoding: gzip, gzip"])


def peer(conn, rq):
    """Who the client says it is, by its certificate."""
    found = conn.sock.getpeercert() if isinstance(conn.sock, ssl.SSLSocket) else None
    conn.answer(200, json.dumps({"subject": found.get("subject") if found else None, "tls": getattr(conn.sock, "version", str)()}).encode(),
                ["Content-Type: application/json"])


def events(conn, rq):
    conn.answer(200, b"", ["Content-Type: text/event-stream", "Connection: close"], length=False)
    for i in range(int(rq.first("n", "3"))):
        for piece in (f"id: {i}\nev", "ent: tick\ndata: on", f"e {i}\ndata:two\n", "\n"):
            conn.send(piece.encode())
            time.sleep(0.001)
    raise Gone


def keep(conn, rq):
    """Answers, and drops the connection when the next request comes."""
    conn.answer(200, b"first")
    conn.line()
    with LOCK:
        COUNTS["dropped"] = COUNTS.get("dropped", 0) + 1
    raise Gone


PATHS = {"echo": echo, "mirror": mirror, "check": check, "status": status, "count": count, "flaky": flaky, "redirect": redirect,
         "loop": loop, "cut": cut, "slow": slow, "big": big, "bomb": bomb, "packed": packed, "raw": raw, "events": events, "keep": keep, "flood": flood,
         "smuggle": smuggle, "russian": russian, "peer": peer}


def tunnel(conn, rq):
    """CONNECT: bytes to and fro."""
    host, port = rq.target.rsplit(":", 1)
    with LOCK:
        COUNTS["tunnel"] = COUNTS.get("tunnel", 0) + 1
    other = socket.create_connection((host.strip("[]"), int(port)))
    conn.send("HTTP/1.1 200 Connected\r\n\r\n")

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    threading.Thread(target=pump, args=(other, conn.sock), daemon=True).start()
    pump(conn.sock, other)
    raise Gone


def serve(sock):
    conn = Connection(sock)
    try:
        while True:
            rq = Request(conn)
            if rq.method == "CONNECT":
                tunnel(conn, rq)
            with LOCK:
                key = rq.first("id")
                COUNTS[key] = COUNTS.get(key, 0) + 1
            PATHS.get(rq.path.split("/")[1], status_404)(conn, rq)
    except (Gone, OSError, ValueError):
        pass
    finally:
        sock.close()


def status_404(conn, rq):
    conn.answer(404, b"no such path")


def listen(context):
    server = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def wrap_and_serve(sock):
        try:
            serve(context.wrap_socket(sock, server_side=True) if context else sock)
        except OSError:
            sock.close()

    def accept():
        while True:
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=wrap_and_serve, args=(sock,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]


def main():
    tls = 0
    threading.stack_size(256 << 10)
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{sys.argv[1]}/cert.pem", f"{sys.argv[1]}/key.pem")
        context.load_verify_locations(f"{sys.argv[1]}/cert.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        tls = listen(context)
    print(listen(None), tls, flush=True)
    sys.stdin.read()
    STOP.set()


if __name__ == "__main__":
    main()
