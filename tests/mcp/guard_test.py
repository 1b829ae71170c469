"""What floods of bad tokens, withdrawn keys and lowered roles do to others, and to what is open. guard_test.py PAWL MODULE [NAME...]"""
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from jose_rig import Key, KeyServer, part
from oauth_server_test import RESOURCE, claims, issuer, write_keys
from rights_test import LegacyAs, as_modern, bearer, rights, token, until
from server_rig import MODERN, WAIT_S, Modern, Paths, Reply, main, send

SLOW = {"workflow": "slow_compute", "input": {"seconds": 600}}
LOG = ("--log-level", "warn")


def serve(f, *options, **more):
    """With one issuer, whose keys are in keys.json, and what it logs in log."""
    said = open(f.path / "log", "ab")  # pylint: disable=consider-using-with
    server = f.serve(options=(*rights(f, {"resource": RESOURCE, "issuers": [issuer(jwks_file=str(f.path / "keys.json"))], **more}), *LOG, *options),
                     stderr=said)
    said.close()
    return server


def ask(server, text, source="127.0.0.1", headers=()):
    """The status of a tools/list from an address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30, source_address=(source, 0))
    message = Modern(server.url).message("tools/list", {}, None)
    connection.putrequest("POST", "/mcp")
    body = json.dumps(message).encode()
    for name, value in (("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", MODERN),
                        ("Mcp-Method", "tools/list"), ("Content-Length", str(len(body))), *bearer(text).items(), *headers):
        connection.putheader(name, value)
    connection.endheaders(body)
    return Reply(connection, connection.getresponse()).status


def forged(key, count):
    """Signed by nobody: the signature of one is put under the claims of others."""
    head, _, signature = key.sign(claims()).split(".")
    for i in range(count):
        yield ".".join([head, part(claims(sub=f"x{i}")), signature])


def flood(server, key, source="127.0.0.1", headers=()):
    """Until the address is told to come again later: how many were looked at."""
    body = json.dumps(Modern(server.url).message("tools/list", {}, None))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60, source_address=(source, 0)) as s:
        for text in forged(key, 300):  # one behind the other: the bucket fills again while they come
            lines = ["POST /mcp HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Content-Type: application/json", f"Authorization: Bearer {text}",
                     f"MCP-Protocol-Version: {MODERN}", "Mcp-Method: tools/list", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers)]
            s.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        s.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: s.recv(65536), b""))
    statuses = [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]
    assert 429 in statuses and set(statuses) == {401, 429}, statuses
    return statuses.index(429)


def cut(stream):
    """Waits until it is: its socket has a time. How soon that is rights_test asks."""
    try:
        for _ in stream.events():
            pass
    except (http.client.HTTPException, OSError):
        pass


# ---- floods ----


def it_shuts_out_the_address_that_brings_forged_tokens_and_no_other(f):  # [T25]
    key = Key("ES256", f.path, "k")
    write_keys(f, key)
    server = serve(f)
    seen = key.sign(claims(sub="seen"))
    assert ask(server, seen, "127.0.0.2") == 200
    for text in [key.sign(claims(sub=f"new{i}")) for i in range(10)]:
        flood(server, key, "127.0.0.2")  # again each time: what it may bring comes back with time
        assert ask(server, text, "127.0.0.1") == 200, "a flood from elsewhere shuts out a token that is good"
    assert ask(server, seen, "127.0.0.2") == 200, "what is known is not looked at again"


def it_takes_the_address_that_a_proxy_of_ours_says_and_nobody_elses(f):  # [T25]
    key = Key("ES256", f.path, "k")
    write_keys(f, key)
    server = serve(f, proxies=["127.0.0.3/32", "203.0.113.128/25", "2001:db8:1::/48"])
    flood(server, key, "127.0.0.3", [("X-Forwarded-For", "203.0.113.10, 198.51.100.7"), ("X-Forwarded-For", "203.0.113.9, 203.0.113.200")])
    good = (key.sign(claims(sub=f"s{i}")) for i in range(100))
    for line in ("203.0.113.10", "198.51.100.7:1234", "203.0.113.9, 198.51.100.7", "2001:db8:2::1, 2001:db8:1::9", "[2001:db8:2::1]:443"):
        assert ask(server, next(good), "127.0.0.3", [("X-Forwarded-For", line)]) == 200, line
    for line in ("203.0.113.9", "1.2.3.4, 203.0.113.9", "5.6.7.8, 203.0.113.9 ,203.0.113.129"):
        assert flood(server, key, "127.0.0.3", [("X-Forwarded-For", line)]) < 90, line  # it is not full again
    assert ask(server, next(good), "127.0.0.4", [("X-Forwarded-For", "203.0.113.9")]) == 200, "whoever is no proxy speaks for itself alone"
    flood(server, key, "127.0.0.4", [("X-Forwarded-For", "203.0.113.77")])
    assert ask(server, next(good), "127.0.0.3", [("X-Forwarded-For", "203.0.113.77")]) == 200
    assert flood(server, key, "127.0.0.4") < 90
    for line in ("", ",,,", "unknown", "x" * 3000, "203.0.113.130, " * 50):  # then it is the proxy that asks
        assert ask(server, next(good), "127.0.0.3", [("X-Forwarded-For", line)]) == 200, line
    server.stop()
    for wrong in (["10.0.0.0/33"], ["x"], ["10.0.0.1/"], ["::/129"], "127.0.0.1", ["10.0.0.0/8x"], [7]):
        assert "proxies" in f.fails("serve", "--http", "0", *rights(f, {"proxies": wrong})), wrong


def it_says_in_its_log_which_tokens_were_refused_and_counts_them_when_they_are_many(f):  # [T25]
    key = Key("ES256", f.path, "k")
    write_keys(f, key)
    server = serve(f)
    old = key.sign(claims(exp=int(time.time()) - 600))
    assert ask(server, old, "127.0.0.5") == 401
    bad = list(forged(key, 40))
    for text in bad:
        assert ask(server, text, "127.0.0.6") == 401
    assert Modern(server.url).post("tools/list").status == 401  # who brings none is nobody to be named
    server.stop()
    log = (f.path / "log").read_text(encoding="utf-8")
    assert "a token from 127.0.0.5 was refused: it has expired" in log, log
    assert "a token from 127.0.0.6 was refused: its signature does not fit" in log, log
    assert log.count("was refused") == 10 and log.count("counted from here on") == 1, log
    assert not [t for t in (old, *bad) if t[:60] in log or t[-20:] in log], "a token is in the log"


# ---- what is open ----


def it_cuts_what_is_open_when_the_key_of_its_token_is_withdrawn(f):  # [T23]
    one, two = Key("ES256", f.path, "one"), Key("ES256", f.path, "two")
    write_keys(f, one, two)
    server = serve(f)
    news = {"notifications": {"toolsListChanged": True}}
    first, second = (as_modern(server, k.sign(claims(sub=k.kid))).post("subscriptions/listen", news) for k in (one, two))
    run = as_modern(server, one.sign(claims(sub="one"))).call("pawl_start", SLOW)["result"]["structuredContent"]["run_id"]
    waits = waiting(as_modern(server, one.sign(claims(sub="one"))), run)
    next(first.events())
    next(second.events())
    write_keys(f, two)
    cut(first)
    waits.join(WAIT_S)
    assert waits.result and waits.result.status == 401, waits.result
    assert as_modern(server, two.sign(claims())).post("tools/list").status == 200
    one.jwk["kid"] = "renamed"
    write_keys(f, one, two)
    until(lambda: ask(server, one.sign(claims(), {"kid": "renamed"})) == 200, "a key that comes back does not count")


def it_keeps_what_is_open_when_keys_are_fetched_again_and_are_the_same(f):
    one, two = Key("ES256", f.path, "one"), Key("ES256", f.path, "two")
    with KeyServer([one]) as keys:
        server = f.serve(options=rights(f, {"resource": RESOURCE, "issuers": [issuer(jwks_uri=keys.url)]}))
        stream = as_modern(server, one.sign(claims())).post("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        events = stream.events()
        next(events)
        keys.keys = [two, one]
        until(lambda: ask(server, two.sign(claims())) == 200, "the new key is never fetched")
        assert as_modern(server, one.sign(claims(sub="b"))).post("tools/list").status == 200
        keys.keys = [Key("ES256", f.path, "three")]
        until(lambda: ask(server, keys.keys[0].sign(claims())) == 200, "the newest key is never fetched")
        cut(stream)


class in_thread(threading.Thread):  # pylint: disable=invalid-name
    """What a call gives."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.result = call, None
        self.start()

    def run(self):
        try:
            self.result = self.call()
        except (http.client.HTTPException, OSError):
            pass


def waiting(client, run):
    return in_thread(lambda: client.post("tools/call", {"name": "pawl_wait", "arguments": {"run_id": run, "timeout_s": 50}}))


def it_ends_streams_sessions_and_waits_of_a_token_that_is_revoked(f):  # [T23]
    ada, bob = token(f, "ada", "user"), token(f, "bob", "user")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens")))
    run = as_modern(server, ada).call("pawl_start", SLOW)["result"]["structuredContent"]["run_id"]
    session = LegacyAs(server.url, ada)
    streams = [as_modern(server, ada).post("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["pawl://runs/" + run]}}),
               send(server.url, "GET", session.own()), follow(server, run, ada)]
    waits = waiting(as_modern(server, ada), run)
    other = waiting(as_modern(server, bob), as_modern(server, bob).call("pawl_start", SLOW)["result"]["structuredContent"]["run_id"])
    f.pawl("token", "ada", "--client-tokens", str(f.path / "tokens"), "--revoke")
    for stream in streams:
        cut(stream)
    waits.join(WAIT_S)
    assert waits.result and waits.result.status == 401, waits.result
    assert session.post("tools/list").status == 401 and send(server.url, "DELETE", session.own()).status == 401
    assert other.is_alive(), "what is another's ends, too"
    assert [r["status"] for r in f.runs("slow_compute")] == ["running", "running"], "its run was not its connection"


def it_ends_what_a_lowered_role_no_longer_allows_and_nothing_when_one_is_raised(f):  # [T23]
    options = rights(f, {"principals": {"ada": {"roles": ["caller"]}}})
    ada = token(f, "ada")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), *options))
    run = as_modern(server, ada).call("pawl_start", SLOW)["result"]["structuredContent"]["run_id"]
    waits = waiting(as_modern(server, ada), run)
    rights(f, {"principals": {"ada": {"roles": ["user"]}}})
    until(lambda: "pawl_answer" in json.dumps(as_modern(server, ada).ask("tools/list")), "new rights are not seen")
    assert waits.is_alive(), "a wait ends though its principal may do more"
    rights(f, {"roles": {"starter": {"operations": ["list", "call"], "workflows": ["*"]}}, "principals": {"ada": {"roles": ["starter"]}}})
    waits.join(WAIT_S)
    assert waits.result and waits.result.status == 403, waits.result


def follow(server, run, text):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", f"/runs/{run}/stream", headers=bearer(text))
    return Reply(connection, connection.getresponse())


# ---- sessions ----


def it_lets_nobody_use_a_session_for_what_no_role_allows(f):  # [T20]
    options = rights(f, {"principals": {"ada": {"roles": ["user"]}}, "limits": {"rate": 0, "concurrent": 3}})
    ada = token(f, "ada")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), *options))
    session = LegacyAs(server.url, ada)
    streams = [send(server.url, "GET", session.own()) for _ in range(3)]
    assert [s.status for s in streams] == [200] * 3
    for method in ("GET", "DELETE"):
        assert send(server.url, method, session.own()).status == 429, "as much as may be is under way"
    for stream in streams:
        stream.close()
    until(lambda: session.post("tools/list").status == 200, "what was closed still counts")
    rights(f, {"principals": {"ada": {"roles": []}}})
    until(lambda: session.post("tools/list").status == 403, "new rights are not seen")
    reply = send(server.url, "GET", session.own())
    assert reply.status == 403 and 'insufficient_scope' in reply.headers["www-authenticate"], reply.status
    assert send(server.url, "DELETE", session.own()).status == 200, "its own session anybody may end"


def refused(session):
    try:
        return session.post("tools/call", {"name": "approve"}).status == 403
    except ConnectionError:  # a call whose stream had begun
        return False


def it_takes_up_a_stream_of_a_call_for_who_may_read_alone(f):  # [T20]
    options = rights(f, {"principals": {"ada": {"roles": ["user"]}}})
    ada = token(f, "ada")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), *options))
    session = LegacyAs(server.url, ada, capabilities={"elicitation": {}})
    call = session.post("tools/call", {"name": "approve", "arguments": {}})
    event_id, _ = next(call.events())
    call.close()
    again = session.resume(event_id)
    assert again.status == 200
    again.close()
    rights(f, {"roles": {"lister": {"operations": ["list"]}}, "principals": {"ada": {"roles": ["lister"]}}})
    until(lambda: refused(session), "new rights are not seen")
    assert session.resume(event_id).status == 403


# ---- the file ----


def it_has_a_change_of_tokens_on_disk_before_it_says_so(f):
    """A token that was taken back must not be there again after a power cut: the name of the new file is its folder's to keep."""
    token(f, "ada", "user")
    trace = str(f.path / "trace")
    done = subprocess.run(["strace", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", trace, Paths.pawl, "token", "ada",
                           "--client-tokens", str(f.path / "tokens"), "--revoke", "--db", f.db], capture_output=True, text=True, check=False,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # it cannot be traced itself
    assert done.returncode == 0, done.stderr
    calls = [line for line in Path(trace).read_text(encoding="utf-8").splitlines() if str(f.path) in line]
    renamed = [i for i, line in enumerate(calls) if "rename" in line]
    assert len(renamed) == 1 and any("fsync" in c and "tokens.new>" in c for c in calls[:renamed[0]]), calls
    assert any("fsync" in c and f"<{f.path}>" in c for c in calls[renamed[0] + 1:]), calls


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("skipped: there is no openssl command")
        sys.exit(77)
    if shutil.which("strace") is None:
        print("skipped in part: there is no strace command")
        del it_has_a_change_of_tokens_on_disk_before_it_says_so
    sys.exit(main(globals(), sys.argv))
