"""What a hostile client of the HTTP side tries, in bytes: heads that can be read in two ways, bodies without an end, messages that are none, names of
others. hostile_test.py PAWL MODULE [NAME...]"""
import json
import os
import select
import socket
import ssl
import subprocess
import sys
import time

from rights_test import LegacyAs, as_modern, bearer, rights, token
from server_rig import META, MODERN, Modern, main, send

LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list",
                   "params": {"_meta": {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}}}).encode()
ANOTHER = b"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"  # as a second request, if somebody takes it for one


def head(server, *lines, path=b"/mcp", host=None):
    given = [b"POST " + path + b" HTTP/1.1", b"Host: " + (host or b"127.0.0.1:%d" % server.port), b"Content-Type: application/json",
             b"MCP-Protocol-Version: 2026-07-28", b"Mcp-Method: tools/list", *lines]
    return b"\r\n".join(given) + b"\r\n\r\n"


def plain(server, *lines, **more):
    return head(server, b"Content-Length: %d" % len(LIST), *lines, **more) + LIST


def chunk(data=LIST, end=b"\r\n"):
    return b"%x" % len(data) + end + data + b"\r\n0\r\n\r\n"


def exchange(server, data, patience_s=20, until=None):
    """What comes until the server closes, or until there is as much of it: (statuses, did it close)."""
    said = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience_s) as s:
        s.sendall(data)
        try:
            while until is None or said.count(b"HTTP/1.1 ") < until or not said.rstrip().endswith(b"}"):
                piece = s.recv(65536)
                if not piece:
                    return statuses(said), True
                said += piece
        except ConnectionError:
            return statuses(said), True
        except TimeoutError:
            pass
    return statuses(said), False


def statuses(said):
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


# ---- heads ----


NUL = [b"X-N: a\0b", b"X-N: a\0", b"X-N: \0", b"X-N:\0", b"X-N: a\0\0\0b", b"X-N: a\0\0\0\0b", b"X\0N: a", b"\0X-N: a", b"X-N\0: a", b"X-N: a\0: b"]
FOLDED = [b"X-F: a\r\n b", b"X-F: a\r\n\tb", b"X-F: a\r\n  ", b"X-F:\r\n a", b"X-F: a\r\n b\r\n c", b" X-F: a", b"X-F: a\r\n b: c"]


def it_takes_no_head_that_can_be_read_in_two_ways_and_no_second_request_behind_it(f):  # [T27]
    server = f.serve()
    n = b"%d" % len(LIST)
    own = b"http://127.0.0.1:%d" % server.port
    wrong = [head(server, b"Content-Length: " + n, b"Content-Length: 5") + LIST + ANOTHER,
             head(server, b"Content-Length: 5", b"Content-Length: " + n) + LIST + ANOTHER,
             head(server, b"Content-Length: " + n, b"Content-Length: " + n) + LIST + ANOTHER,
             head(server, b"Content-Length : " + n) + LIST + ANOTHER,
             head(server, b"Content-Length: 3", b"Transfer-Encoding: chunked") + chunk() + ANOTHER,
             head(server, b"Transfer-Encoding: chunked", b"Content-Length: 3") + chunk() + ANOTHER,
             head(server, b"Content-Length: " + n, b"Transfer-Encoding : chunked") + LIST + ANOTHER,
             head(server, b"Content-Length: " + n, b"Transfer-Encoding: \x0bchunked") + LIST + ANOTHER,
             *(head(server, b"Transfer-Encoding: " + v) + chunk() + ANOTHER for v in
               (b"xchunked", b"identity, chunked", b"chunked, identity", b"gzip", b"", b"chunked\r\nTransfer-Encoding: identity")),
             plain(server, b"Host: evil.example.com"), plain(server, b"Host: 127.0.0.1", host=b"evil.example.com"),
             plain(server, b"Origin: " + own, b"Origin: http://evil.example.com"), plain(server, b"X-A: a\rOrigin: b"),
             *(plain(server, line) for line in NUL + FOLDED), *(plain(server, b"X-A: b", line) for line in NUL + FOLDED),
             *(b"\r\n".join([b"POST /mcp HTTP/1.1", line, *plain(server).split(b"\r\n")[1:]]) for line in NUL + FOLDED),
             # who joins the two lines reads a length, and we would read a request: what is behind it would be another's
             head(server, b"Content-Length: " + n + b"\r\n ") + ANOTHER, head(server, b"Content-Length:\r\n " + n) + ANOTHER,
             head(server, b"X-A: b\r\n Content-Length: " + n) + LIST, head(server, b"Transfer-Encoding: chunked\r\n\t") + chunk() + ANOTHER,
             plain(server).replace(b"Host: ", b"Hos\0t: ", 1), plain(server, host=b"127.0.0.1:%d\0.evil" % server.port),
             plain(server, b"Origin: " + own + b"\0.evil.example.com"), plain(server, b"Origi: http://evil.example.com\r\n n"),
             plain(server).replace(b"\r\n", b"\n"), plain(server, b"X-A: b\nX-C: d"), head(server, b"Content-Length: " + n + b"\nX-C: d") + LIST,
             b"\r\n".join(line for line in plain(server).split(b"\r\n") if not line.startswith(b"Host:")),
             plain(server, b"Mcp-Method: tools/call"), plain(server, b"Authorization: Bearer a", b"Authorization: Bearer b")]
    for data in wrong:
        said, closed = exchange(server, data)
        assert said == [400] and closed, (data[:300], said, closed)
    assert exchange(server, plain(server), until=1) == ([200], False)
    assert exchange(server, plain(server) * 5, until=5) == ([200] * 5, False), "one after the other is in order"


def it_takes_a_head_as_it_comes_in_pieces_and_of_any_size_that_fits(f):
    server = f.serve()
    long = [b"X-L%d: " % i + b"a" * 1500 for i in range(6)]
    for lines in ([b"Cookie: a=b; c=d", b"Cookie: e=f"], [b"X-A:b", b"X-B: \t  c", b"X-C: d \t ", b"X-D:", b"X-E: "], long):
        data = plain(server, *lines)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(data), 1 + len(data) // 97):
                s.sendall(data[at:at + 1 + len(data) // 97])
            assert s.recv(65536).startswith(b"HTTP/1.1 200"), lines
        assert exchange(server, data * 3, until=3) == ([200] * 3, False), lines
    assert exchange(server, plain(server, *long, *long))[0][:1] == [431]


def it_takes_no_target_that_is_none(f):  # [T27]
    server = f.serve()
    own = b"127.0.0.1:%d" % server.port
    given = plain(server).split(b"\r\n", 1)[1]
    for line in (b"POST mcp HTTP/1.1", b"POST * HTTP/1.1", b"GET * HTTP/1.1", b"CONNECT " + own + b" HTTP/1.1", b"POST " + own + b" HTTP/1.1",
                 b"POST /mcp\0x HTTP/1.1", b"POST /mcp\0 HTTP/1.1", b"POST \0/mcp HTTP/1.1", b"POST /mcp /x HTTP/1.1", b"POST  /mcp HTTP/1.1",
                 b"POST /mcp  HTTP/1.1", b"POST /mcp\t HTTP/1.1", b"POST /mcp#x HTTP/1.1", b"POST http:///mcp HTTP/1.1", b"POST http:/mcp HTTP/1.1",
                 b"POST ftp://" + own + b"/mcp HTTP/1.1", b"POST http%3a//" + own + b"/mcp HTTP/1.1", b"POST http://127.0.0.1%3a80/mcp HTTP/1.1",
                 b"POST http://" + b"a" * 100 + b"/mcp HTTP/1.1", b"POST /mcp?a=\0 HTTP/1.1"):
        said, closed = exchange(server, line + b"\r\n" + given + ANOTHER)
        assert said == [400] and closed, (line, said, closed)


def it_takes_the_host_of_a_target_that_has_one_and_says_what_is_here(f):
    server = f.serve()
    own = b"127.0.0.1:%d" % server.port
    for target in (b"http://" + own + b"/mcp", b"HTTP://localhost/mcp", b"https://" + own + b"/%6dcp", b"http://" + own + b"/mcp?x=y"):
        assert exchange(server, plain(server, path=target), until=1) == ([200], False), target
        assert exchange(server, plain(server, path=target, host=b"evil.example.com"), until=1)[0] == [200], "RFC 9112, 3.2.2: its Host is not looked at"
    for target in (b"http://evil.example.com/mcp", b"http://" + own + b"@evil.example.com/mcp", b"http://u@" + own + b"/mcp", b"http://" + own + b".evil/mcp"):
        assert exchange(server, plain(server, path=target), until=1)[0] == [403], target
    for target in (b"http://" + own, b"http://" + own + b"/", b"http://" + own + b"//mcp", b"http://" + own + b"?/mcp"):
        assert exchange(server, plain(server, path=target), until=1)[0] == [404], target
    stream = b"GET http://" + own + b"/runs/none/stream HTTP/1.1\r\nHost: " + own + b"\r\n\r\n"
    assert exchange(server, stream, until=1)[0] == [404]
    every = b"OPTIONS * HTTP/1.1\r\nHost: " + own + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
        s.sendall(every)
        said = s.recv(65536)
    assert said.startswith(b"HTTP/1.1 204") and b"\r\nAllow: GET, POST, DELETE, OPTIONS\r\n" in said, said
    assert exchange(server, every + plain(server), until=2)[0] == [204, 200], "its connection goes on"
    assert exchange(server, every.replace(own, b"evil.example.com"), until=1)[0] == [403]


def it_takes_a_body_in_chunks_and_nothing_behind_it(f):  # [T27]
    server = f.serve()
    begin = head(server, b"Transfer-Encoding: chunked")
    for body in (chunk(), chunk(end=b";a=b;c=\"d\"\r\n"), chunk(end=b";\n"), b"1\r\n{\r\n" + chunk(LIST[1:])):
        assert exchange(server, begin + body + ANOTHER) == ([200], True), body
    for body in (b"-1\r\n", b"0x10\r\n", b"10000000000000001\r\n", b"g\r\n"):
        said, closed = exchange(server, begin + body + LIST)
        assert said and said[0] in (400, 413) and closed, (body, said, closed)


def it_knows_its_own_path_alone(f):
    server = f.serve()
    for path in (b"/mcp/", b"//mcp", b"/x/../mcp", b"/mcp%2f", b"/mcp%00x", b"/mcp;a"):
        assert exchange(server, plain(server, path=path), until=1)[0] == [404], path
    for host in (b"127.0.0.1@evil.example.com", b"127.0.0.1.evil.example.com", b"127.0.0.1, evil", b"[::1"):
        assert exchange(server, plain(server, host=host), until=1)[0] == [403], host


# ---- bodies and time ----


def ticks(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def it_is_not_held_up_by_a_line_between_chunks_that_does_not_end(f):
    """libmicrohttpd neither takes nor refuses it, and has something to do for ever: it took the processor and the loop with it."""
    server = f.serve()
    sockets = []
    for size in (100000, 100000, 16000, 15000, 14000):  # more than its buffer, and all about as much as that
        s = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        s.sendall(head(server, b"Transfer-Encoding: chunked") + b"1;" + b"a" * size)
        sockets.append(s)
    assert exchange(server, plain(server), until=1) == ([200], False), "nobody else is served"
    used, began = ticks(server), time.monotonic()
    for s in sockets:
        try:
            assert s.recv(1000) == b""
        except ConnectionError:
            pass
        s.close()
    took = time.monotonic() - began  # at most the time that a socket has
    used = ticks(server) - used
    assert used < max(1.0, 0.5 * took), f"they take the processor: {used:.1f} s of {took:.1f} s"


def it_serves_others_while_many_say_nothing_or_half_of_it(f):
    options = rights(f, {"limits": {"head_s": 2, "body_s": 2}})
    text = token(f, "ada", "user")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), *options))
    half = head(server, b"Authorization: Bearer " + text.encode(), b"Content-Length: 100") + b"{"
    slow = []
    for data in (b"", b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", half, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        for _ in range(50):
            slow.append(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            slow[-1].sendall(data)
    client = as_modern(server, text)
    for i in range(10):  # drops of it do not keep them alive
        assert client.post("tools/list").status == 200
        for s in slow:
            try:
                s.send(b"a")
            except OSError:
                pass
        if i % 3 == 0:
            select.select([], [], [], 0.3)
    for s in slow:
        s.settimeout(20)
        try:
            while s.recv(1000):
                pass
        except ConnectionError:
            pass
        s.close()


def it_gives_the_next_head_no_more_time_than_the_first(f):
    text = token(f, "ada", "user")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), *rights(f, {"limits": {"head_s": 1}})))
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
        s.sendall(plain(server, b"Authorization: Bearer " + text.encode()))
        said = s.recv(65536)
        assert said.startswith(b"HTTP/1.1 200") and said.endswith(b"}"), said
        began = time.monotonic()
        s.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        try:
            while not select.select([s], [], [], 0.1)[0]:
                s.sendall(b"a")
                assert time.monotonic() - began < 20, "a drop of it keeps it alive"
            assert s.recv(100) == b""
        except ConnectionError:
            pass


def resident(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        return int([line for line in file if line.startswith("VmRSS:")][0].split()[1])


def it_serves_others_while_one_asks_on_and_on_and_reads_nothing(f):
    server = f.serve()
    assert exchange(server, plain(server) * 20, until=20)[0] == [200] * 20
    before, sent = resident(server), 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
        s.setblocking(False)
        flood = memoryview(plain(server) * 1000)
        for _ in range(20):
            try:
                while sent < 16 << 20:
                    sent += s.send(flood[sent % len(flood):])
            except BlockingIOError:
                pass
            assert exchange(server, plain(server), until=1)[0] == [200]
        assert sent < 16 << 20, "all of it is taken, though nothing is read"
        assert resident(server) - before < 32 << 10, (before, resident(server))


def it_ends_a_stream_whose_client_has_closed_its_side(f):
    server = f.serve()
    listen = json.dumps(Modern(server.url).message("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, None)).encode()
    request = head(server, b"Content-Length: %d" % len(listen)).replace(b"tools/list", b"subscriptions/listen") + listen
    for behind in (b"", ANOTHER, plain(server) * 50):  # what is behind it is not read, and so hides nothing
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
            s.sendall(request)
            said = s.recv(65536)
            assert said.startswith(b"HTTP/1.1 200"), said
            s.sendall(behind)
            s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(65536):
                    pass
            except ConnectionError:
                pass


def it_answers_a_client_that_has_said_all_and_closed_its_side(f):
    server = f.serve()
    client = Modern(server.url)
    message = client.message("tools/call", {"name": "pawl_search", "arguments": {"query": "greet " + "zq " * 1000000}}, None)  # it takes its time
    for _ in range(5):
        assert half_closed(server, plain(server)) == [200], "an answer that comes at once"
        assert half_closed(server, posted(server, message)) == [200], "an answer that does not"


def half_closed(server, data):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return statuses(b"".join(iter(lambda: s.recv(65536), b"")))


def posted(server, message):
    body = json.dumps(message).encode()
    lines = [b"POST /mcp HTTP/1.1", b"Host: 127.0.0.1:%d" % server.port, b"Content-Type: application/json", b"MCP-Protocol-Version: 2026-07-28",
             b"Mcp-Method: tools/call", b"Mcp-Name: " + message["params"]["name"].encode(), b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


# ---- messages ----


def it_refuses_what_is_no_message(f):
    server = f.serve()
    own = {"Content-Type": "application/json", "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}
    meta = json.dumps({"_meta": {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}})
    bad = [b"", b"[]", b"[" + LIST + b"]", b"[" * 100000, b'{"a":' * 100000, b"null", b"1e999999", b'"' + b"\\ud800" * 10 + b'"', b"\xff\xfe{}", LIST + LIST,
           LIST[:-1], LIST.replace(b"2.0", b"1.0"), LIST.replace(b'"id": 1', b'"id": [1]'), LIST.replace(b'"id": 1', b'"id": {}'),
           LIST.replace(b'"id": 1', b'"id": null'), LIST.replace(b'"id": 1', b'"id": true'), LIST.replace(b'"id": 1', b'"id": 1.5'),
           LIST.replace(b"tools/list", b"tools/l\xc3\x28st"), LIST.replace(b'"method": "tools/list"', b'"method": 7'),
           LIST.replace(b'"jsonrpc": "2.0"', b'"jsonrpc": "2.0", "method": "tools/call"'), LIST.replace(b'"id": 1', b'"id": 1, "id": 2'),
           LIST.replace(b'"params": {', b'"params": {"name": "a", "name": "b", '), LIST.replace(b'"method"', b'"params": {}, "method"'),
           b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"tools/list","params":' + meta.encode() + b"}"]
    for body in bad:
        reply = send(server.url, "POST", own, body)
        assert reply.status in (200, 400), (body[:100], reply.status)
        said = reply.json
        assert "error" in said or body.startswith(b'{"jsonrpc":"2.0","id":999'), (body[:100], said)
        assert not isinstance(said.get("id"), (list, dict, bool)), said
    assert Modern(server.url).ask("tools/list")["result"]


# ---- names of others ----


def it_takes_no_session_event_or_state_of_another_or_of_nobody(f):
    ada, bob = token(f, "ada", "user"), token(f, "bob", "user")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens")))
    hers = LegacyAs(server.url, ada, capabilities={"elicitation": {}})
    his = LegacyAs(server.url, bob)
    call = hers.post("tools/call", {"name": "approve", "arguments": {}})
    event_id, _ = next(call.events())
    stolen = {**his.own(), "Mcp-Session-Id": hers.session}
    for method in ("GET", "DELETE"):
        assert send(server.url, method, stolen).status == 404, method
    assert send(server.url, "POST", stolen, LIST).status in (400, 404)
    assert his.resume(event_id).status == 400, "a stream of another session"
    stream, number = event_id.rsplit(".", 1)
    for wrong in (stream, stream[:-2] + ("AA" if stream[-2:] != "AA" else "BB") + "." + number, "." + number, "x.1", "A" * 3000 + ".1", stream + "A.1", "",
                  stream.swapcase() + "." + number):
        reply = send(server.url, "GET", {**hers.own(), "Last-Event-ID": wrong})
        assert reply.status == 400, (wrong[:60], reply.status)
    for wrong in (hers.session[:-1], hers.session + "x", hers.session.rsplit(".", 1)[0], hers.session.rsplit(".", 1)[0] + "." + his.session.rsplit(".", 1)[1],
                  "x" * 4000, ".", ""):
        assert send(server.url, "GET", {**hers.own(), "Mcp-Session-Id": wrong}).status in (404, 405), wrong[:60]
    for number in ("99999999999999999999999", "-1", "1e9", "0x10", "x"):
        again = hers.resume(stream + "." + number)  # the number is the client's to say: it says again what is open
        assert again.status == 200, number
        again.close()
    call.close()


# ---- TLS ----


def it_speaks_tls_alone_on_a_port_of_tls(f):
    cert, key = str(f.path / "cert.pem"), str(f.path / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    text = token(f, "ada", "user")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), "--tls-cert", cert, "--tls-key", key))
    said, closed = exchange(server, plain(server, b"Authorization: Bearer " + text.encode()))
    assert said == [] and closed, "it answers in the clear"
    context = ssl.create_default_context(cafile=cert)
    context.check_hostname = False
    for name in (None, "127.0.0.1", "other.example.com"):  # the name is not what it is known by: its Host is
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s, context.wrap_socket(s, server_hostname=name) as t:
            t.sendall(plain(server, b"Authorization: Bearer " + text.encode()))
            assert t.recv(12) == b"HTTP/1.1 200", name
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"], input=b"R\n", capture_output=True, check=False,
                          timeout=60)
    assert b"RENEGOTIATING" in done.stdout + done.stderr and b"HTTP/1.1 200" not in done.stdout
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s, context.wrap_socket(s, server_hostname="127.0.0.1") as t:
        t.sendall(plain(server, *(f"{k}: {v}".encode() for k, v in bearer(text).items())))
        assert t.recv(12) == b"HTTP/1.1 200", "it is no longer served"


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
