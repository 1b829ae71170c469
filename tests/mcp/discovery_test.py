"""Keys of issuers whose rights say no jwks_uri: found by their metadata, and by nothing else. discovery_test.py PAWL MODULE [NAME...]"""
import contextlib
import json
import select
import shutil
import socket
import subprocess
import sys
import threading

from hostile_test import plain, statuses
from jose_rig import Issuer, Key
from oauth_server_test import RESOURCE, claims, issuer, status
from rights_test import rights, until
from server_rig import Paths, main

LOG = ("--log-level", "info")


def serve(f, *issuers, ports=(), **more):
    """With these issuers, by their URLs alone; what it logs is in log."""
    given = [issuer(name=f"i{n}", issuer=i.url, **more) for n, i in enumerate([*issuers, *ports])]
    with open(f.path / "log", "ab") as said:
        return f.serve(options=(*rights(f, {"resource": RESOURCE, "issuers": given}), *LOG), stderr=said)


def log(f):
    return (f.path / "log").read_text(encoding="utf-8")


def of(key, server, **more):
    """A token that this issuer signs."""
    return key.sign(claims(iss=server.url, **more))


def it_finds_keys_where_either_kind_of_metadata_is_in_their_order(f):
    key = Key("ES256", f.path, "k")
    shapes = [("", 0), ("", 1), ("/t", 0), ("/t", 1), ("/t", 2), ("/", 1), ("/a/b/", 2)]
    with contextlib.ExitStack() as stack:
        issuers = [stack.enter_context(Issuer([key], path, place)) for path, place in shapes]
        server = serve(f, *issuers)
        assert not [i for i in issuers if i.asked], "they are fetched before anybody needs them"
        for (path, place), one in zip(shapes, issuers):
            assert status(server, of(key, one)) == 200, (path, place, one.asked, log(f))
            assert one.asked == one.places[:place + 1] + ["/keys"], (path, place, one.asked)
            assert status(server, of(key, one, sub="bob")) == 200 and len(one.asked) == place + 2, "they are found for each request"
        assert [i.places for i in issuers][4] == ["/.well-known/oauth-authorization-server/t", "/.well-known/openid-configuration/t",
                                                  "/t/.well-known/openid-configuration"]
        assert log(f).count("were found: " + issuers[0].origin + "/keys") == 1, log(f)


def wrong(one, other):
    """(what is wrong, metadata, what the log says)"""
    good = one.documents[one.place]
    yield "a slash more", {**good, "issuer": one.url + "/"}, "say that they are of"
    yield "another issuer", {**good, "issuer": other.url}, "say that they are of"
    yield "no issuer", {"jwks_uri": good["jwks_uri"]}, "of nobody"
    yield "an issuer with a NUL", {**good, "issuer": one.url + "\0"}, "not allowed"
    yield "two issuers", {**good, "issuer": [one.url]}, "of nobody"
    yield "no object", [good], "no object"
    yield "no JSON", (200, b"<html>", {}), "cannot be fetched"
    yield "no keys", {"issuer": one.url}, "name no jwks_uri"
    yield "keys elsewhere on loopback", {**good, "jwks_uri": other.origin + "/keys"}, "not https"
    yield "keys by a name that begins as loopback", {**good, "jwks_uri": f"http://127.0.0.1:{one.port}@localhost/keys"}, "not https"
    yield "keys in a file", {**good, "jwks_uri": "file:///etc/passwd"}, "not https"
    yield "keys inside", {**good, "jwks_uri": f"https://127.0.0.1:{other.port}/keys"}, "cannot be fetched"
    yield "a redirect", (302, b"", {"Location": one.origin + "/good"}), "status 302"
    yield "a huge one", (200, b'{"x":"' + b"a" * (1 << 20) + b'"}', {}), "larger than allowed"
    yield "an error", (500, b"", {}), "status 500"


def it_believes_no_metadata_but_the_issuers_own_and_follows_them_nowhere_else(f):  # [T28]
    key = Key("ES256", f.path, "k")
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(Issuer([key]))
        issuers = [stack.enter_context(Issuer([key])) for _ in wrong(other, other)]
        cases = [list(wrong(one, other))[n] for n, one in enumerate(issuers)]
        for one, (_, document, _) in zip(issuers, cases):
            one.documents["/good"] = one.documents[one.place]
            one.documents[one.place] = document
        server = serve(f, *issuers)
        for n, (one, (what, _, why)) in enumerate(zip(issuers, cases)):
            assert status(server, of(key, one)) == 401, what
            places = one.places[:1] if what == "keys inside" else one.places  # else the second is asked, and has none
            assert one.asked == places, (what, one.asked)
            said = [line for line in log(f).splitlines() if f"issuer i{n} cannot be fetched" in line]
            assert len(said) == 1 and why in said[0], (what, said, log(f))
            assert status(server, of(key, one, sub="bob")) == 401 and one.asked == places, "it is asked again at once"
        assert other.asked == [], "a document leads elsewhere"


def it_asks_once_however_many_wait_and_serves_others_meanwhile(f):
    key = Key("ES256", f.path, "k")
    with Issuer([key]) as slow, Issuer([key]) as quick:
        slow.open.clear()
        server = serve(f, slow, quick)
        answers = []
        waiting = [threading.Thread(target=lambda n=n: answers.append(status(server, of(key, slow, sub=f"s{n}")))) for n in range(20)]
        for thread in waiting:
            thread.start()
        until(lambda: slow.asked, "nothing is fetched")
        assert status(server, of(key, quick)) == 200, "one issuer keeps those of another waiting"
        assert slow.asked == slow.places[:1] and not answers, (slow.asked, answers, log(f))
        slow.open.set()
        for thread in waiting:
            thread.join()
        assert answers == [200] * 20 and slow.asked == [slow.place, "/keys"], (answers, slow.asked)


def it_answers_who_has_said_all_and_closed_its_side_while_keys_are_fetched(f):
    key = Key("ES256", f.path, "k")
    with Issuer([key]) as slow:
        slow.open.clear()
        server = serve(f, slow)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
            s.sendall(plain(server, b"Authorization: Bearer " + of(key, slow).encode()))
            s.shutdown(socket.SHUT_WR)
            until(lambda: slow.asked, "nothing is fetched")
            early = select.select([s], [], [], 0.5)[0]
            slow.open.set()
            said = b""
            while piece := s.recv(65536):
                said += piece
        assert statuses(said) == [200] and not early, (early, said)


def it_gives_up_in_a_bounded_time_and_tries_again_later(f):
    key = Key("ES256", f.path, "k")
    with Issuer([key]) as gone:
        url, port = gone.url, gone.port
    with Issuer([key]) as stuck:
        stuck.open.clear()
        server = serve(f, gone, stuck)
        answers = []
        waits = threading.Thread(target=lambda: answers.append(status(server, of(key, stuck))))
        waits.start()  # meanwhile:
        assert status(server, key.sign(claims(iss=url))) == 401 and "i0 cannot be fetched" in log(f)
        with Issuer([key], port=port) as back:
            until(lambda: status(server, of(key, back)) == 200, "an issuer that is back is never asked again")
            assert back.asked == [back.place, "/keys"], back.asked
        waits.join(40)
        assert answers == [401] and stuck.asked == stuck.places[:1], (answers, stuck.asked)


def verdict(server, text):
    """Its status, when so many bad ones have come from here that it is not looked at for a moment."""
    answers = []
    until(lambda: answers.append(status(server, text)) or answers[-1] != 429, "nothing from here is looked at any more")
    return answers[-1]


def it_follows_keys_that_change_and_move_and_keeps_them_when_the_issuer_is_gone(f):
    one, two, evil = (Key("ES256", f.path, kid) for kid in ("one", "two", "evil"))
    with Issuer([one]) as moves:
        server = serve(f, moves)
        assert status(server, of(one, moves)) == 200
        del moves.documents["/keys"]
        moves.has(two, at="/new")
        moves.documents[moves.place]["jwks_uri"] = moves.origin + "/new"
        for n in range(20):
            assert status(server, of(evil, moves, x=n)) == 401
        assert len(moves.asked) <= 5, "a stranger makes us ask"
        until(lambda: status(server, of(two, moves)) == 200, "the keys that have moved are never found")
        assert moves.asked[-3:] == ["/keys", moves.place, "/new"], moves.asked
        assert verdict(server, of(one, moves)) == 401, "a key that was withdrawn counts"
    assert verdict(server, of(two, moves, sub="bob")) == 200, "keys that were there are forgotten when their issuer is gone"


def it_does_as_the_rights_say_before_it_asks_anybody(f):
    key = Key("ES256", f.path, "k")
    with Issuer([key]) as both:
        server = serve(f, both, jwks_uri=both.origin + "/keys")
        assert status(server, of(key, both)) == 200 and both.asked == ["/keys"], both.asked
        server.stop()
    for url in ("http://login.example.com", "http://127.0.0.1.example.com", "https://a.example.com?x", "https://a.example.com#x", "https://u@a.example.com",
                "https://", "https:///x", "login", "https://a b", "http://127.0.0.1@a.example.com", "https://" + "a" * 1100):
        assert "can only be found" in f.fails("serve", "--http", "0", *rights(f, {"resource": RESOURCE, "issuers": [issuer(issuer=url)]})), url
    for uri in ("http://127.0.0.1.example.com/keys", "http://a.example.com"):
        assert "https" in f.fails("serve", "--http", "0", *rights(f, {"resource": RESOURCE, "issuers": [issuer(jwks_uri=uri)]})), uri


def check(f, issuers, *options):
    file = rights(f, {"resource": RESOURCE, "issuers": issuers})
    done = subprocess.run([Paths.pawl, "serve", "--check", *file, *options], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def it_says_what_it_would_find_without_a_server(f):
    key = Key("ES256", f.path, "k")
    (f.path / "keys.json").write_text(json.dumps({"keys": [key.jwk]}), encoding="utf-8")
    with Issuer([key, Key("ES256", f.path, "k2")], "/t", 1) as good, Issuer([key]) as bad:
        bad.documents[bad.place]["issuer"] = good.url
        given = [issuer(name="found", issuer=good.url), issuer(name="file", issuer="https://a.example.com", jwks_file=str(f.path / "keys.json")),
                 issuer(name="told", issuer="https://b.example.com", jwks_uri=good.origin + "/keys")]
        status_, said, _ = check(f, given, "-o", "json")
        assert status_ == 0, said
        found = [(i["name"], i["keys"], i["at"], i["way"]) for i in json.loads(said)["issuers"]]
        assert found == [("found", 2, good.origin + "/keys", "found by its metadata"), ("file", 1, str(f.path / "keys.json"), "file"),
                         ("told", 2, good.origin + "/keys", "written down")], found
        status_, said, _ = check(f, given + [issuer(name="bad", issuer=bad.url)])
        assert status_ != 0 and "say that they are of" in " ".join(said.split()), said
        status_, _, why = check(f, [issuer(issuer="http://login.example.com")])
        assert status_ != 0 and "can only be found" in why, why
        assert not f.owner() and not (f.path / "t.db").exists(), "it hosts something"


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("skipped: there is no openssl command")
        sys.exit(77)
    sys.exit(main(globals(), sys.argv))
