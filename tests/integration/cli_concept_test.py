"""`pawl concept`: added, listed, searched among the workflows of the engine, removed; of one workspace or another. Without a model, so by words."""
from cli_rig import check, equal, main, within


def names(done):
    return [row["name"] for row in done.json()]


def it_adds_lists_searches_and_removes(p):
    p.serve()
    equal(p.ok("concept", "add", "Customer", "who buys from us", "--link", "crm_*,release").out, "Customer is a concept\n")
    p.ok("concept", "add", "Invoice", "what somebody owes us")
    rows = p.ok("concept", "list", "-o", "json").json()
    equal(rows[0], {"kind": "concept", "name": "Customer", "text": "who buys from us", "links": ["crm_*", "release"]})
    equal([row["name"] for row in rows], ["Customer", "Invoice"])
    done = p.ok("concept", "search", "that customer", "-o", "json")
    within(done.err, "by words alone")
    equal(sorted(names(done)), ["Customer", "release"])  # the workflow by its link alone
    within(p.ok("concept").out, "crm_*, release")
    equal(p.ok("concept", "remove", "Customer").out, "Customer is no concept any more\n")
    equal(names(p.ok("concept", "search", "that customer", "-o", "json")), [])
    within(p.run("concept", "remove", "Customer").exits(4).err, "there is no concept")


def it_keeps_workspaces_apart_and_the_last_text_of_a_name(p):
    p.serve()
    p.ok("concept", "add", "Lead", "who may buy", "--workspace", "sales")
    p.ok("concept", "add", "Lead", "a heavy metal", "--workspace", "lab")
    p.ok("concept", "add", "Lead", "who might buy", "--workspace", "sales")
    equal([row["text"] for row in p.ok("concept", "list", "--workspace", "sales", "-o", "json").json()], ["who might buy"])
    equal(names(p.ok("concept", "list", "-o", "json")), [])
    p.ok("concept", "add", "Deal", "what may be bought by a lead")
    p.ok("concept", "add", "Lead", "a leash")
    found = p.ok("concept", "search", "lead", "--workspace", "lab", "-o", "json").json()  # its own, and those of all that it has no other of
    equal(sorted((row["name"], row["text"]) for row in found), [("Deal", "what may be bought by a lead"), ("Lead", "a heavy metal")])
    equal(sorted(row["text"] for row in p.ok("concept", "search", "lead", "-o", "json").json()), ["a leash", "what may be bought by a lead"])
    within(p.ok("memory").out, "concepts/sales")


def it_needs_no_engine_to_look_and_says_what_is_wrong(p):
    p.serve()
    p.ok("concept", "add", "Lead", "who may buy")
    p.stop()
    equal(names(p.ok("concept", "search", "buy", "-o", "json")), ["Lead"])
    done = p.ok("concept", "add", "Deal", "a sale")
    equal(done.out, "kept: Deal is a concept\n")
    within(done.err, "no engine runs")
    within(done.err, "serve\n")
    equal(p.ok("concept", "add", "Deal", "a sale", "-o", "json").json(), [{"name": "Deal", "kept": True}])
    equal(names(p.ok("concept", "list", "-o", "json")), ["Lead"])
    within(p.run("concept", "add", "Lead").exits(2).err, "what is it")
    within(p.run("concept", "search").exits(2).err, "for what")
    within(p.run("concept", "add", "Many", "too many links", "--link", ",".join(f"tool{i}" for i in range(65))).exits(2).err, "64")
    equal(names(p.ok("concept", "search", "many", "-o", "json")), [])
    check(p.run("concept", "frob", "Lead").exits(2).err, "nothing was said")


main(globals())
