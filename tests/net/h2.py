"""The server's side of an HTTP/2 connection, as little of it as a test needs: what the body of a request says is what becomes of its stream.

Does not decode the heads of requests, and answers with literal ones."""
import struct

DATA, HEADERS, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
OK = b"\x88"  # :status 200, of the static table


def field(name, value):
    """A literal that nobody indexes."""
    return b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Connection:
    """One connection, after its preface."""

    def __init__(self, conn):
        self.conn, self.bodies = conn, {}

    def frame(self, kind, flags=0, stream=0, payload=b""):
        self.conn.send(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def head(self, stream, *fields, end=False, status=OK):
        self.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, status + b"".join(fields))

    def read(self):
        size, kind, flags = struct.unpack(">I", b"\0" + (head := self.conn.take(9))[:3])[0], head[3], head[4]
        return kind, flags, struct.unpack(">I", head[5:])[0], self.conn.take(size)

    def serve(self):
        self.frame(SETTINGS)
        while True:
            kind, flags, stream, payload = self.read()
            if kind == SETTINGS and not flags & ACK:
                self.frame(SETTINGS, ACK)
            elif kind == PING and not flags & ACK:
                self.frame(PING, ACK, 0, payload)
            elif kind == HEADERS:
                self.bodies[stream] = b""
            elif kind == DATA:
                self.bodies[stream] = self.bodies.get(stream, b"") + payload
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                getattr(self, "do_" + (self.bodies.pop(stream, b"").decode() or "hello"))(stream)

    def do_hello(self, stream):
        self.head(stream, field(b"content-type", b"text/plain"), field(b"x-stream", str(stream).encode()))
        self.frame(DATA, 0, stream, b"hello ")
        self.frame(DATA, END_STREAM, stream, b"there")

    def do_trailers(self, stream):
        self.head(stream)
        self.frame(DATA, 0, stream, b"hello there")
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, field(b"late", b"yes"))

    def do_early(self, stream):
        for _ in range(3):
            self.head(stream, field(b"link", b"x"), status=b"\x08\x03103")
        self.do_hello(stream)

    def do_reset(self, stream):
        self.head(stream)
        self.frame(DATA, 0, stream, b"hel")
        self.frame(RST, 0, stream, struct.pack(">I", 2))

    def do_away(self, stream):
        self.frame(GOAWAY, 0, 0, struct.pack(">II", stream, 2))
        self.conn.sock.close()

    def do_cut(self, stream):
        self.head(stream, field(b"content-length", b"100"))
        self.frame(DATA, 0, stream, b"hel")
        self.conn.sock.close()

    def do_short(self, stream):
        self.head(stream, field(b"content-length", b"100"))
        self.frame(DATA, END_STREAM, stream, b"hel")

    def do_long(self, stream):
        self.head(stream, field(b"content-length", b"2"))
        self.frame(DATA, END_STREAM, stream, b"hello")

    def do_push(self, stream):
        self.frame(PUSH, END_HEADERS, stream, struct.pack(">I", 2) + b"\x82\x84\x86")
        self.do_hello(stream)

    def do_control(self, stream):
        self.head(stream, field(b"a", b"b\r\nc: d"))
        self.frame(DATA, END_STREAM, stream, b"hello")

    def do_continuation(self, stream):
        """A head that never ends."""
        self.frame(HEADERS, 0, stream, OK)
        while True:
            self.frame(CONTINUATION, 0, stream, field(b"h", b"v" * 100) * 100)

    def do_bomb(self, stream):
        """A field of 4,000 bytes, put into the table once and named 10,000 times."""
        big = b"\x40" + b"\x01b" + b"\x7f\xa1\x1e" + b"v" * 4000
        self.frame(HEADERS, END_HEADERS, stream, OK + big + b"\xbe" * 10000)
        self.frame(DATA, END_STREAM, stream, b"hello")

    def do_settings(self, stream):
        while True:
            self.conn.send((b"\0\0\6\4\0\0\0\0\0" + struct.pack(">HI", 3, 100)) * 500)

    def do_ping(self, stream):
        while True:
            self.conn.send((b"\0\0\x08\6\0\0\0\0\0" + b"12345678") * 500)

    def do_empty(self, stream):
        """Frames of data without any, for ever."""
        self.head(stream)
        while True:
            self.conn.send((b"\0\0\0\0\0" + struct.pack(">I", stream)) * 500)

    def do_window(self, stream):
        """More than the client has room for, without waiting."""
        self.head(stream)
        while True:
            self.frame(DATA, 0, stream, b"x" * 16000)
