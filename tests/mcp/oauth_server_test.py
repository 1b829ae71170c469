"""Signed tokens of an authorization server over HTTP: which are taken, and every forged one that is not. oauth_server_test.py PAWL MODULE [NAME...]"""
import http.client
import json
import select
import shutil
import socket
import sys
import time

from jose_rig import Key, KeyServer, b64, hmac_token, part
from rights_test import TASKS, as_modern, code_of, get, rights, said, token, until
from server_rig import Modern, main

ISSUER = "https://login.example.com"
FETCH_AGAIN_S = 5  # as in keys.c
RESOURCE = "https://pawl.example.com/mcp"
SCOPES = {"pawl.look": ["viewer"], "pawl.use": ["user"], "pawl.all": ["operator"]}


def claims(**more):
    now = int(time.time())
    return {"iss": ISSUER, "aud": RESOURCE, "sub": "ada", "exp": now + 600, "iat": now, "scope": "pawl.use", **more}


def less(*keys):
    return {k: v for k, v in claims().items() if k not in keys}


def issuer(**more):
    return {"name": "corp", "issuer": ISSUER, "scopes": SCOPES, "skew_s": 5, **more}


def serve(f, keys, *issuers, **more):
    """With the key set in a file."""
    (f.path / "keys.json").write_text(json.dumps({"keys": [k.jwk for k in keys]}), encoding="utf-8")
    issuers = issuers or (issuer(jwks_file=str(f.path / "keys.json")),)
    return f.serve(options=rights(f, {"resource": RESOURCE, "issuers": list(issuers), **more}))


def serve_fetching(f, keys, **more):
    return f.serve(options=rights(f, {"resource": RESOURCE, "issuers": [issuer(jwks_uri=keys.url)], **more}))


def status(server, text):
    return as_modern(server, text).post("tools/list").status


def it_takes_what_its_issuer_signed_by_each_kind_of_key(f):
    rsa, curve = Key("RS256", f.path, "r"), Key("ES256", f.path, "e")
    server = serve(f, [rsa, curve], issuer(jwks_file=str(f.path / "keys.json"), skew_s=120))
    for text in (rsa.sign(claims()), rsa.sign(claims(), alg="PS256"), rsa.sign(claims(), alg="RS512"), curve.sign(claims()),
                 rsa.sign(claims(aud=["https://other.example.com", RESOURCE])), rsa.sign(claims(), {"typ": "JWT"}),
                 rsa.sign(claims(exp=int(time.time()) - 20)), rsa.sign(claims(nbf=int(time.time()) + 100))):  # within the skew
        reply = as_modern(server, text).post("tools/list")
        assert reply.status == 200, reply.text


def forged(f, good, other, small, p384, now):  # [T22]
    """(what is wrong, token)"""
    text = good.sign(claims())
    head, body, signature = text.split(".")
    own = {"jwk": other.jwk, "kid": good.kid}
    for alg in ("none", "None", "NONE", "nOnE", ""):
        yield f"alg {alg}", part({"alg": alg, "typ": "at+jwt", "kid": good.kid}) + "." + body + "."
        yield f"alg {alg}, with a signature", part({"alg": alg, "kid": good.kid}) + "." + body + "." + signature
    for secret in (good.public, good.public.strip(), good.jwk["n"].encode(), json.dumps(good.jwk).encode(), b""):
        yield "HS256 with the public key", hmac_token(secret, claims(), {"kid": good.kid})
    yield "no algorithm", part({"kid": good.kid}) + "." + body + "." + signature
    yield "another key, its kid", other.sign(claims(), {"kid": good.kid})
    yield "another key, no kid", other.sign(claims(), b'{"alg":"RS256"}')
    yield "no kid where there are several", good.sign(claims(), b'{"alg":"RS256"}')
    yield "a key brought along", other.sign(claims(), own)
    yield "a key brought along, though it is right", good.sign(claims(), {"jwk": good.jwk})
    yield "jku", other.sign(claims(), {"kid": good.kid, "jku": "https://evil.example.com/keys"})
    yield "x5u", good.sign(claims(), {"x5u": "https://evil.example.com/cert"})
    yield "crit", good.sign(claims(), {"crit": ["exp"]})
    yield "two algorithms, the first is none", part(b'{"alg":"RS256","alg":"none","kid":"good"}') + "." + body + "." + signature
    for kid in ("../../../../../dev/null", "/dev/null", "' OR 1=1 --", "good\x00", "", "good ", "x" * 300, 7, None, ["good"], {"a": 1}):
        yield f"kid {kid!r}", other.sign(claims(), {"kid": kid})
    yield "a key that is too short", small.sign(claims())
    yield "a key for encryption", Key("RS256", f.path, "enc2").sign(claims(), {"kid": "enc"})
    yield "ES256 by a key of P-384", part({"alg": "ES256", "kid": p384.kid}) + "." + body + "." + b64(b"\x01" * 64)
    yield "the payload of another", head + "." + part(claims(sub="root", scope="pawl.all")) + "." + signature
    yield "the header of another", part({"alg": "RS256", "kid": good.kid, "x": 1}) + "." + body + "." + signature
    yield "a bit of the signature", text[:-3] + ("A" if text[-3] != "A" else "B") + text[-2:]
    yield "no signature", head + "." + body + "."
    for length in range(1, 6):
        yield f"a header of {length}", "e" * length + "." + body + "." + signature
        yield f"a payload of {length}", head + "." + "e" * length + "." + signature
        yield f"a signature of {length}", head + "." + body + "." + "e" * length
    yield "two parts", head + "." + body
    yield "four parts", text + "." + signature
    yield "five parts", ".".join([head, "", "", body, signature])
    yield "no base64", head + ".{}." + signature
    yield "padding", head + "." + body + "==." + signature
    yield "no object", good.sign(b"[1,2]")
    yield "no JSON", good.sign(b"sub=ada")
    yield "huge", good.sign(claims(x="y" * 9000))
    yield "deep", good.sign(b'{"iss":"' + ISSUER.encode() + b'","x":' + b"[" * 2500 + b"]" * 2500 + b"}")
    yield "another type", good.sign(claims(), {"typ": "dpop+jwt"})
    for wrong in ("https://other.example.com/mcp", RESOURCE + "/", RESOURCE.upper(), "", [], ["x"], 7, None, {"a": RESOURCE}, [7]):
        yield f"aud {wrong!r}", good.sign(claims(aud=wrong))
    yield "no audience", good.sign(less("aud"))
    for wrong in ("https://evil.example.com", ISSUER + "/", ISSUER.upper(), "", 7, [ISSUER], None):
        yield f"iss {wrong!r}", good.sign(claims(iss=wrong))
    yield "no issuer", good.sign(less("iss"))
    for wrong in (now - 60, 0, -1, "never", None, 1e300, [now + 600], str(now + 600), True):
        yield f"exp {wrong!r}", good.sign(claims(exp=wrong))
    yield "no end", good.sign(less("exp"))
    yield "not yet", good.sign(claims(nbf=now + 600))
    yield "nbf is no time", good.sign(claims(nbf="x"))
    yield "of the future", good.sign(claims(iat=now + 600))
    for wrong in ("", "a b", "a\nb", "a\x00b", "ada\x00", 'a"b', "x" * 500, 7, None, ["ada"]):
        yield f"sub {wrong!r}", good.sign(claims(sub=wrong))
    yield "no subject", good.sign(less("sub"))


def it_refuses_every_token_that_is_not_its_issuers_for_us_and_now(f):  # [T22]
    good, other, enc = (Key("RS256", f.path, kid) for kid in ("good", "other", "enc"))
    small, p384 = Key("RS256", f.path, "small", bits=1024), Key("ES384", f.path, "p384")
    enc.jwk["use"] = "enc"
    server = serve(f, [good, enc, small, p384, Key("RS256", f.path, "good2")], limits={"rate": 0})
    assert status(server, good.sign(claims())) == 200
    count = 0
    for what, text in forged(f, good, other, small, p384, int(time.time())):
        try:
            reply = as_modern(server, text).post("tools/list")
        except ConnectionError:
            assert what == "huge"
            continue
        while reply.status == 429:  # so many bad ones come that strangers have to wait
            time.sleep(0.1)
            reply = as_modern(server, text).post("tools/list")
        assert reply.status in (401, 431), (what, reply.status)
        assert "ada" not in reply.text and text[:40] not in reply.text, reply.text
        count += 1
    assert count > 90, count
    assert status(server, good.sign(claims())) == 200


def it_believes_each_issuer_its_own_tokens_alone(f):
    a, b = Key("RS256", f.path, "k"), Key("RS256", f.path, "k2")
    b.jwk["kid"] = "k"
    for name, key in (("a", a), ("b", b)):
        (f.path / f"{name}.json").write_text(json.dumps({"keys": [key.jwk]}), encoding="utf-8")
    issuers = [issuer(name=n, issuer=f"https://{n}.example.com", jwks_file=str(f.path / f"{n}.json")) for n in ("a", "b")]
    server = serve(f, [a], *issuers)
    of_a, of_b = (claims(iss=f"https://{n}.example.com") for n in ("a", "b"))
    assert status(server, a.sign(of_a)) == status(server, b.sign(of_b, {"kid": "k"})) == 200
    assert status(server, a.sign(of_b)) == status(server, b.sign(of_a, {"kid": "k"})) == 401
    run = as_modern(server, a.sign(of_a)).call("approve", {})["result"]["structuredContent"]["run_id"]
    assert as_modern(server, b.sign(of_b, {"kid": "k"})).call("pawl_status", {"run_id": run})["result"]["isError"]  # another ada


def it_tells_where_to_get_a_token_and_which_scopes(f):
    key = Key("ES256", f.path, "k")
    server = serve(f, [key])
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
        reply = get(server, path)
        assert reply.status == 200 and reply.headers["content-type"] == "application/json"
        assert reply.json["resource"] == RESOURCE and reply.json["authorization_servers"] == [ISSUER]
        assert reply.json["scopes_supported"] == list(SCOPES) and reply.json["bearer_methods_supported"] == ["header"]
    where = 'resource_metadata="https://pawl.example.com/.well-known/oauth-protected-resource/mcp"'
    reply = Modern(server.url).post("tools/list")
    assert reply.status == 401 and reply.headers["www-authenticate"] == f'Bearer {where}, scope="{" ".join(SCOPES)}"', reply.headers
    reply = as_modern(server, "x.y.z").post("tools/list")
    assert 'error="invalid_token"' in reply.headers["www-authenticate"] and where in reply.headers["www-authenticate"]
    look = as_modern(server, key.sign(claims(scope="pawl.look profile")))
    assert look.post("tools/list").status == 200
    reply = look.post("tools/call", {"name": "greet", "arguments": {"name": "x"}})
    assert reply.status == 403
    assert reply.headers["www-authenticate"] == f'Bearer error="insufficient_scope", {where}, scope="pawl.look profile pawl.use"', reply.headers
    none = as_modern(server, key.sign(less("scope"))).post("tools/list")
    assert none.status == 403 and 'scope="pawl.look"' in none.headers["www-authenticate"]
    assert as_modern(server, key.sign({**less("scope"), "scp": ["pawl.use"]})).post("tools/list").status == 200


def it_gives_a_principal_of_an_issuer_its_name_and_workspace(f):
    key = Key("ES256", f.path, "k")
    ada = token(f, "ada", "user")
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), *rights(f, {
        "resource": RESOURCE, "issuers": [issuer(jwks_file=str(f.path / "keys.json"), workspace_claim="team")],
        "principals": {"corp:eve": {"roles": ["operator"]}, "ada": {"roles": ["operator"]}}})) if write_keys(f, key) else ())
    mine = as_modern(server, key.sign(claims()))
    run = mine.call("approve", {})["result"]["structuredContent"]["run_id"]
    assert f.pawl("show", run)[0]["by"] == "corp:ada"
    run = as_modern(server, key.sign(claims(team="web"))).call("approve", {})["result"]["structuredContent"]["run_id"]
    same, other = (as_modern(server, key.sign(claims(sub="bob", team=t))) for t in ("web", "ops"))
    assert "isError" not in same.call("pawl_status", {"run_id": run})["result"]
    assert other.call("pawl_status", {"run_id": run})["result"]["isError"]
    assert "isError" not in as_modern(server, key.sign(claims(sub="eve", scope=""))).call("pawl_status", {"run_id": run})["result"]
    assert mine.call("pawl_status", {"run_id": run})["result"]["isError"], "the ada of the file is another, and an operator"
    assert "isError" not in as_modern(server, ada).call("pawl_status", {"run_id": run})["result"]
    assert "colon" in f.fails("token", "x", "--client-tokens", str(f.path / "tokens"), "--principal", "corp:ada")


def write_keys(f, *keys):
    (f.path / "keys.json").write_text(json.dumps({"keys": [k.jwk for k in keys]}), encoding="utf-8")
    return True


def often(began):
    """How often it may look for a kid that it does not know."""
    return (time.monotonic() - began) // FETCH_AGAIN_S


def it_fetches_keys_when_they_are_needed_and_again_for_a_new_kid_but_not_often(f):
    one, two, evil = (Key("ES256", f.path, kid) for kid in ("one", "two", "evil"))
    with KeyServer([one]) as keys:
        server = serve_fetching(f, keys)
        assert keys.fetches == 0
        began = time.monotonic()
        assert status(server, one.sign(claims())) == 200 and keys.fetches == 1
        assert status(server, one.sign(claims(sub="bob"))) == 200 and keys.fetches == 1
        keys.keys = [one, two]
        for _ in range(20):
            assert status(server, evil.sign(claims(x=_))) == 401
        assert keys.fetches <= 2 + often(began), f"a stranger makes us fetch: {keys.fetches} times"
        until(lambda: status(server, two.sign(claims())) == 200, "the new key is never fetched")
        assert status(server, one.sign(claims())) == 200 and keys.fetches <= 4 + often(began), keys.fetches


def it_refuses_when_keys_cannot_be_had_and_follows_no_redirect(f):
    key = Key("ES256", f.path, "k")
    with KeyServer([key]) as keys:
        keys.status = 302
        server = serve_fetching(f, keys)
        assert status(server, key.sign(claims())) == 401 and keys.fetches == 1
        static = get(server, "/.well-known/oauth-protected-resource")
        assert static.status == 200, "the rest goes on"
    assert status(server, key.sign(claims(sub="bob"))) == 401


def it_lets_nobody_in_who_says_no_more_while_keys_are_fetched(f):  # [T22]
    with KeyServer([Key("ES256", f.path, "k")]) as keys:
        keys.open.clear()
        server = serve_fetching(f, keys)
        none = part({"alg": "ES256", "kid": "k"}) + "." + part(claims()) + "." + b64(b"x" * 64)
        client = as_modern(server, none)
        note = {"name": "note_and_wait", "arguments": {"path": str(f.path / "n")}}
        body = json.dumps(client.message("tools/call", note, None))
        for head, data in (("POST /mcp", body), ("GET /runs/r1/stream", ""), ("DELETE /mcp", "")):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
                s.sendall(f"{head} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {none}\r\n"
                          f"Content-Type: application/json\r\nMcp-Method: tools/call\r\nMcp-Name: note_and_wait\r\nMcp-Session-Id: x\r\n"
                          f"MCP-Protocol-Version: {'2026-07-28' if data else '2025-11-25'}\r\nContent-Length: {len(data)}\r\n\r\n{data}".encode())
                s.shutdown(socket.SHUT_WR)
                said_to_it = b"".join(iter(lambda s=s: s.recv(65536), b""))
            assert not said_to_it or said_to_it.startswith((b"HTTP/1.1 401", b"HTTP/1.1 500")), (head, said_to_it)
        keys.open.set()
        assert not f.runs("note_and_wait")


def it_lets_a_body_in_chunks_wait_while_keys_are_fetched(f):  # [T22]
    key = Key("ES256", f.path, "k")
    with KeyServer([key]) as keys:
        keys.open.clear()
        server = serve_fetching(f, keys)
        body = json.dumps(as_modern(server, "x").message("tools/list", {}, None))
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
            s.sendall(f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {key.sign(claims())}\r\nMcp-Method: tools/list\r\n"
                      "Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            until(lambda: keys.fetches > 0, "keys are never fetched")
            s.sendall(f"{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode())
            cut, _, _ = select.select([s], [], [], 2)  # more than two looks of the server
            assert not cut, "it is cut for what it was kept from"
            keys.open.set()
            assert s.recv(65536).startswith(b"HTTP/1.1 200")


def it_takes_new_keys_of_a_file_and_no_longer_the_old(f):
    one, two = Key("ES256", f.path, "one"), Key("ES256", f.path, "two")
    server = serve(f, [one])
    text = one.sign(claims())
    assert status(server, text) == 200
    write_keys(f, two)
    until(lambda: status(server, text) == 401, "a key that was withdrawn still counts")
    assert status(server, two.sign(claims())) == 200


def it_cuts_a_stream_when_its_token_ends(f):
    key = Key("ES256", f.path, "k")
    server = serve(f, [key], issuer(jwks_file=str(f.path / "keys.json"), skew_s=0))
    took = [60]
    for lives_s in (2, 2, 4, 8, 16):  # longer, where the machine has other work: it must be let in before it ends
        end = int(time.time()) + lives_s
        client = as_modern(server, key.sign(claims(exp=end)))
        stream = client.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        if stream.status == 401:
            continue
        events = stream.events()
        next(events)
        try:
            for _ in events:
                pass
        except (http.client.HTTPException, OSError):
            pass
        took.append(time.time() - end)
        assert took[-1] >= 0, f"it is cut {-took[-1]:.3f} s too soon"
        assert client.post("tools/list").status == 401
        if took[-1] < 2:
            break
    assert took[-1] < 2, f"it was cut so long after its end: {took[1:]}"


def it_answers_about_runs_of_others_as_for_tokens_of_the_file(f):
    key = Key("ES256", f.path, "k")
    server = serve(f, [key])
    a, b = (as_modern(server, key.sign(claims(sub=s)), TASKS) for s in ("ada", "bob"))
    run = a.call("pawl_start", {"workflow": "approve", "input": {}})["result"]["structuredContent"]["run_id"]
    none = run[:-1] + ("A" if run[-1] != "A" else "B")
    foreign, absent = (b.ask("tasks/get", {"taskId": r}) for r in (run, none))
    assert code_of(foreign) == -32602 and said(foreign) == said(absent)


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("skipped: there is no openssl command")
        sys.exit(77)
    sys.exit(main(globals(), sys.argv))
