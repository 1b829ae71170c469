"""`pawl memory`: listed, searched, put and deleted, with and without an engine; and `pawl verify` that knows the store."""
import sqlite3

from cli_rig import check, equal, main, within


def keys(done):
    return [row["key"] for row in done.json()]


def it_puts_finds_and_deletes_at_a_running_engine(p):
    p.serve()
    equal(p.ok("memory", "put", "team/a", "tea", "She drinks green tea").out, "tea is remembered in team/a\n")
    p.ok("memory", "put", "team/a", "car", "The car is green", "--data", '{"doors": 5}', "--ttl", "1d")
    equal(keys(p.ok("memory", "search", "team/a", "green tea", "-o", "json")), ["tea", "car"])
    rows = p.ok("memory", "list", "team/a", "-o", "json").json()
    equal([row["key"] for row in rows], ["car", "tea"])
    equal(rows[0]["data"], {"doors": 5})
    check(rows[0]["expires_ms"] - rows[0]["updated_ms"] == 86400000, rows)
    equal(p.ok("memory", "delete", "team/a", "car").out, "car is forgotten in team/a\n")
    equal(keys(p.ok("memory", "search", "team/a", "green", "-o", "json")), ["tea"])
    text = p.ok("memory").out
    within(text, "team/a")
    within(text, "MEMORIES")
    p.stop()
    within(p.ok("verify").out, "sound")


def it_keeps_a_put_for_an_engine_to_come(p):
    p.run("memory", "put", "team/a", "tea", "green").exits(4)  # there is no journal yet
    p.serve()
    p.stop()
    kept = p.ok("memory", "put", "team/a", "tea", "green")
    equal(kept.out, "kept: remember tea in team/a\n")
    within(kept.err, "takes effect when one does: pawl serve")
    equal(p.ok("memory", "delete", "team/a", "milk", "-o", "json").json(), [{"space": "team/a", "key": "milk", "kept": True}])
    equal(p.ok("memory", "list", "team/a", "-o", "json").json(), [])
    p.serve()
    p.ok("memory", "put", "team/a", "coffee", "black")  # answered after what was kept
    equal(keys(p.ok("memory", "list", "team/a", "-o", "json")), ["coffee", "tea"])


def it_says_what_is_wrong(p):
    p.serve()
    within(p.run("memory", "frob", "team/a").exits(2).err, "list, search, put or delete")
    within(p.run("memory", "put", "team/a", "tea").exits(2).err, "remember what")
    within(p.run("memory", "search", "team/a").exits(2).err, "for what")
    done = p.run("memory", "put", "no space", "k", "t")
    check(done.code != 0, done.says())
    within(done.err, "space of the memory store")


def it_finds_damage_with_verify(p):
    p.serve()
    p.ok("memory", "put", "team/a", "tea", "green")
    p.stop()
    with sqlite3.connect(p.db) as db:
        db.execute("UPDATE pawl_memos SET body=zeroblob(4)")
    db.close()
    within(p.run("verify").exits(8).out, "memory 1 does not match its checksum")


main(globals())
