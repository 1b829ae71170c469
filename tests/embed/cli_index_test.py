"""cli_index_test.py PAWL MODULE.so [TEST]: `pawl index` with and without an engine, what it says and what it refuses; and the activities of an engine that
serves. The model is a tiny one: whether what is found is near in meaning is not asked here."""
import json
import os
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from cli_model_test import WIDTH, tiny  # noqa: E402
from cli_rig import check, equal, main, within  # noqa: E402

TEXTS = [{"key": "lunch", "text": "eating food at lunch", "tags": ["food"], "data": {"n": 1}},
         {"key": "car", "text": "a red car", "workspace": "garage"},
         {"key": "bread", "text": "a piece of bread", "tags": ["food", "small"]}]


def lines(texts):
    return "".join(json.dumps(t) + "\n" for t in texts)


def filled(p, name="tiny"):
    folder, _ = tiny(p, name)
    p.ok("index", "create", "docs", "what is here", "--model", folder)
    done = p.ok("index", "add", "docs", "--model", folder, stdin=lines(TEXTS))
    within(done.out, "3 texts put into docs")
    within(done.err, "pawl index search docs")
    return folder


def keys(done):
    return [r["key"] for r in done.json()]


def it_makes_fills_searches_and_empties_a_collection_without_an_engine(p):
    folder = filled(p)
    equal(keys(p.ok("index", "search", "docs", "a red car", "--model", folder, "--mode", "vector", "-o", "json"))[0], "car")
    found = p.ok("index", "search", "docs", "red bread", "--model", folder, "-o", "json").json()
    equal(sorted(r["key"] for r in found), ["bread", "car", "lunch"])
    check(all("cosine" in r for r in found) and sum("words" in r for r in found) == 2, found)
    equal(keys(p.ok("index", "search", "docs", "food", "--mode", "words", "-o", "json")), ["lunch"])
    equal(keys(p.ok("index", "search", "docs", "a", "--mode", "words", "--tag", "food,small", "-o", "json")), ["bread"])
    equal(keys(p.ok("index", "search", "docs", "a", "--mode", "words", "--workspace", "garage", "-o", "json")), ["car"])
    search = ["index", "search", "docs", "a red car", "--model", folder]
    check("joins" not in p.ok(*search).out and "KEY" in p.ok(*search).out, "a pipe has the table alone")
    text = p.on_terminal(80, *search)
    within(text, "SCORE joins two rankings: 1/(60 + rank), added; first in both is 0.0328\n")
    check(text.index("bread") < text.index("SCORE joins") and max(map(len, text.splitlines())) <= 80, text)
    within(p.on_terminal(80, *search, "--mode", "vector"), "SCORE is the COSINE")
    within(p.on_terminal(80, "index", "search", "docs", "red", "--mode", "words"), "SCORE is that of WORDS")
    best = max(r["score"] for r in p.ok(*search, "-o", "json").json())
    check(best <= 2 / 61, f"what help says is the most: {best}")
    p.ok("index", "delete", "docs", "car")
    equal(p.ok("index", "search", "docs", "car", "--mode", "words", "-o", "json").json(), [])
    p.run("index", "remove", "docs").exits(2)
    p.ok("index", "remove", "docs", "--yes")
    equal(p.ok("index", "list", "-o", "json").json(), [])
    within(p.ok("verify").out, "sound")


def it_writes_only_what_is_new(p):
    folder = filled(p)
    done = p.ok("index", "add", "docs", "--model", folder, "-o", "json", stdin=lines(TEXTS[:2] + [{"key": "bread", "text": "bread"}])).json()
    equal((done["put"], done["unchanged"]), (1, 2))
    done = p.ok("index", "add", "docs", "lunch", "food", "--tag", "a,b", "--data", '{"n": 2}', "--model", folder, "-o", "json").json()
    equal(done["put"], 1)
    found = p.ok("index", "search", "docs", "food", "--mode", "words", "-o", "json").json()
    equal((found[0]["tags"], found[0]["data"]), (["a", "b"], {"n": 2}))


def it_says_what_a_collection_is(p):
    filled(p)
    about = p.ok("index", "info", "docs", "-o", "json").json()
    equal((about["items"], about["width"], about["model"], about["dtype"], about["about"]), (3, WIDTH, "tiny", "float16", "what is here"))
    equal(len(about["identity"]), 64)
    within(p.ok("index", "info", "docs").out, "tiny")
    within(p.ok("index").out, "docs")


def it_refuses_another_model_by_name(p):
    filled(p)
    other, _ = tiny(p, "another", 6)
    for words in (["create", "docs"], ["add", "docs", "k", "t"], ["search", "docs", "t"]):
        done = p.run("index", *words, "--model", other)
        check(done.code not in (0, 1), done.says())
        within(done.err, "tiny")
        within(done.err, "another")
        within(done.err, "index info docs")
    equal(p.ok("index", "info", "docs", "-o", "json").json()["items"], 3)


def it_takes_the_model_of_the_collection_whatever_the_usual_one_is(p):
    for name, seed in (("tiny", 5), ("other", 6)):
        folder, digests = tiny(p, name, seed=seed)
        p.ok("model", "add", folder, "--sha256", digests)
    p.ok("index", "create", "docs", "--model", "tiny")
    usual = {"PAWL_MODEL": "other"}
    p.ok("index", "add", "docs", stdin=lines(TEXTS), env=usual)
    check("car" in keys(p.ok("index", "search", "docs", "a red car", "-o", "json", env=usual)), "not found")
    p.run("index", "search", "docs", "a red car", "--model", "other", env=usual).exits(9)
    p.ok("index", "create", "others", env=usual)
    equal(p.ok("index", "info", "others", "-o", "json").json()["model"], "other")
    p.ok("model", "remove", "tiny")  # under another name it is still there
    within(p.ok("index", "search", "docs", "car", "-o", "json", env={"PAWL_MODEL": p.path("tiny")}).out, "car")


def it_refuses_a_part_of_an_item_that_it_does_not_know(p):
    folder = filled(p)
    for part in ({"tag": "food"}, {"vector": [1, 2]}, {"Workspace": "garage"}):
        done = p.run("index", "add", "docs", "--model", folder, stdin=lines([{"key": "k", "text": "food", **part}])).exits(2)
        within(done.err, "line 1: an object has key, text, workspace, tags and data, and nothing else")
    equal(p.ok("index", "info", "docs", "-o", "json").json()["items"], 3)


def it_names_the_way_out(p):
    within(p.run("index", "create", "docs").exits(2).err, "pawl model")
    within(p.run("index", "create", "docs", "--model", "nowhere").exits(4).err, "pawl model add")
    p.run("index", "list").exits(4)
    folder = filled(p, "sub/tiny")
    within(p.run("index", "info", "no").exits(4).err, "pawl index list")
    within(p.run("index", "search", "no", "x", "--model", folder).exits(4).err, "pawl index list")
    within(p.run("index", "add", "no", "k", "t", "--model", folder).exits(4).err, "pawl index create")
    done = p.run("index", "search", "docs", "x").exits(4)  # the model was a folder, and is not installed
    within(done.err, "--mode words")
    within(done.err, 'docs was made with "tiny"')
    within(p.run("index", "add", "docs", "k", "t").exits(4).err, 'docs was made with "tiny"')
    within(p.run("index", "add", "docs", "--model", folder, stdin='{"key": "a"}\n').err, "line 1")
    within(p.run("index", "add", "docs", "--model", folder, stdin="not json\n").err, "line 1: an unknown word at column 1")
    within(p.run("index", "add", "docs", "--model", folder, stdin='{"key": "a", "text": "b", "workspace": 7}\n').err, "workspace is a line")
    within(p.run("index", "search", "docs", "a", "--mode", "words", "--tag", ",".join(f"t{i}" for i in range(65))).exits(2).err, "64")
    for words in (["add", "docs"], ["add", "docs", "k"], ["search", "docs"], ["delete", "docs"], ["info"], ["remove"], ["no"]):
        check(p.run("index", *words, "--model", folder).code != 0 or words == ["add", "docs"], words)


def it_says_what_is_wrong_with_a_line_and_where(p):
    folder = filled(p)
    good = {"key": "a", "text": "a car"}
    for bad, why in (({"key": "n\0ul", "text": "x"}, "\\u0000 is not allowed"), ({"key": "k" * 201, "text": "x"}, "key is a line of 1 to 200 bytes"),
                     ({"key": "", "text": "x"}, "key is a line"), ({"key": "two\nlines", "text": "x"}, "key is a line"),
                     ({"key": "e", "text": ""}, "text is empty"), ({"key": "m", "text": "m" * 70000}, "65,536 bytes"),
                     ({"key": "m", "text": "m" * (2 << 20)}, "more than 1,048,576 bytes"), ({"key": "d", "text": "x", "data": "d" * 70000}, "data has more"),
                     ({"key": "t", "text": "x", "tags": ["a", "b\nc"]}, "tags are"), ({"key": "w", "text": "x", "workspace": "a\nb"}, "workspace is"),
                     ({"key": 7, "text": "x"}, "key is a line"), ({"key": "x"}, "each line is an object")):
        done = p.run("index", "add", "docs", "--model", folder, stdin=lines([good, bad, good]))
        check(done.code not in (0, 1), done.says())
        within(done.err, "line 2: ")
        within(done.err, why)
        within(done.err, "the 1 texts before it are in")
    p.ok("index", "add", "docs", "--model", folder, stdin=lines([{"key": "\u00e9\U0001f389\u200d", "text": "t" * 65536}]) + "\r\n\n")
    equal(p.ok("index", "info", "docs", "-o", "json").json()["items"], 5)
    within(p.run("index", "search", "docs", "x", "--mode", "words", "--limit", "1001").exits(2).err, "1 to 1000")
    within(p.run("index", "search", "docs", "x", "--mode", "words", "--limit", "0").exits(2).err, "1 to 1000")


def it_says_that_a_key_was_not_there(p):
    filled(p)
    done = p.run("index", "delete", "docs", "bus").exits(4)
    within(done.err, 'docs has no text under the key "bus"')
    p.ok("index", "delete", "docs", "car")
    p.run("index", "delete", "docs", "car").exits(4)
    p.run("index", "delete", "nowhere", "car").exits(4)


def it_names_the_collection_and_the_key_of_what_is_damaged(p):
    filled(p)
    with sqlite3.connect(p.db) as db:
        db.execute("UPDATE pawl_vectors SET halves=zeroblob(length(halves)) WHERE id=(SELECT id FROM pawl_items WHERE key='bread')")
        db.execute("UPDATE pawl_collections SET items=9")
    db.close()
    done = p.run("verify").exits(8)
    within(done.out, 'collection "docs", item "bread"')
    within(done.out, 'collection "docs"  ')
    check("run 1" not in done.out.replace("run 1,", ""), done.out)
    places = [f["place"] for f in p.run("verify", "-o", "json").exits(8).json()["list"]]
    equal(sorted(places), ['collection "docs"', 'collection "docs", item "bread"'])


def it_makes_no_more_collections_than_there_are_numbers(p):
    folder = filled(p)
    with sqlite3.connect(p.db) as db:
        db.execute("UPDATE sqlite_sequence SET seq=(1<<22)-2 WHERE name='pawl_collections'")
    db.close()
    p.ok("index", "create", "last", "--model", folder)
    p.ok("index", "add", "last", "a", "a red car", "--model", folder)
    equal(keys(p.ok("index", "search", "last", "red car", "--model", folder, "-o", "json")), ["a"])
    within(p.run("index", "create", "beyond", "--model", folder).err, "begin another journal")
    within(p.ok("verify").out, "sound")


def it_keeps_the_lines_before_one_that_is_no_item(p):
    folder = filled(p)
    done = p.run("index", "add", "docs", "--model", folder, stdin=lines([{"key": "a", "text": "a car"}, {"key": "b", "text": "red food"}]) + "not json\n")
    check(done.code not in (0, 1), done.says())
    within(done.err, "line 3")
    within(done.err, "2 texts")
    equal(p.ok("index", "info", "docs", "-o", "json").json()["items"], 5)


def it_finds_sound_what_begins_without_words(p):
    """Texts whose first 400 bytes have no word that FTS5 keeps."""
    folder = filled(p)
    rule, party = "- " * 300, "\U0001f389 " * 120
    texts = [{"key": f"k{i}", "text": t} for i, t in enumerate([rule + "lunch", party + "bread", rule, party, rule + party + "\u0435\u0434\u0430"])]
    p.ok("index", "add", "docs", "--model", folder, stdin=lines(texts))
    equal(sorted(keys(p.ok("index", "search", "docs", "lunch", "--mode", "words", "-o", "json"))), ["k0", "lunch"])
    within(p.ok("verify").out, "sound")


def piece(first):
    """What the command puts in one commit."""
    return lines({"key": f"k{i}", "text": f"piece w{i} of the car", "tags": [f"t{i % 3}"]} for i in range(first, first + 256))


def wal(p):
    return os.path.getsize(p.db + "-wal") if os.path.exists(p.db + "-wal") else 0


def it_loses_nothing_that_was_in_when_it_is_killed(p):
    """Killed while it puts: what was acknowledged is there, the piece that was cut is whole or not there; and the same texts again put what is missing."""
    folder = filled(p)
    expected, texts = 3, ""
    for kill in range(3):
        known, cut = piece(1024 * kill), piece(1024 * kill + 256)
        texts += known + cut
        p.ok("index", "add", "docs", "--model", folder, stdin=known)
        expected += 256
        size = wal(p)
        adding = subprocess.Popen([p.pawl, "index", "add", "docs", "--model", folder], cwd=p.folder, env=p.env, stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        adding.stdin.write(cut)
        adding.stdin.flush()
        while wal(p) < size + 30000 * (kill + 1) and adding.poll() is None:
            os.sched_yield()
        check(adding.poll() is None, "it ended by itself")
        adding.kill()
        adding.wait()
        adding.stdin.close()
        within(p.ok("verify").out, "sound")
        p.run("index", "delete", "docs", "nothing").exits(4)  # a new owner: it cuts what was written and not synced
        now = p.ok("index", "info", "docs", "-o", "json").json()["items"]
        check(now in (expected, expected + 256), (now, expected))
        expected = now
    done = p.ok("index", "add", "docs", "--model", folder, "-o", "json", stdin=texts).json()
    equal((done["put"] + done["unchanged"], done["unchanged"]), (6 * 256, expected - 3))
    equal(keys(p.ok("index", "search", "docs", "w10", "--mode", "words", "-o", "json"))[:1], ["k10"])
    equal(len(p.ok("index", "search", "docs", "piece", "--mode", "words", "--limit", "1000", "-o", "json").json()), 1000)
    within(p.ok("verify").out, "sound")


def asked(p, activity, given):
    return p.ok("execute", "use", "-i", json.dumps({"activity": activity, "input": given}), "-o", "json").json()["result"]


def it_goes_through_the_engine_that_serves_and_its_activities_see_it(p):
    folder = filled(p)
    p.serve("--model", folder)
    p.ok("index", "add", "docs", "wheel", "a wheel of the red car", "--model", folder)
    equal(keys(p.ok("index", "search", "docs", "wheel", "--mode", "words", "-o", "json")), ["wheel"])
    equal(p.ok("index", "info", "docs", "-o", "json").json()["items"], 4)
    put = {"collection": "docs", "put": [{"key": "new", "text": "piece of car"}], "delete": ["bread"]}
    equal(asked(p, "index", put)["put"], 1)
    found = asked(p, "nearest", {"collection": "docs", "query": "piece of car", "k": 2, "mode": "vector"})["found"]
    equal(found[0]["key"], "new")
    p.ok("index", "create", "second", "--model", folder)
    p.ok("index", "remove", "second", "--yes")
    equal(p.stop(), 0)


if __name__ == "__main__":
    main(globals())
