"""`pawl mcp --check`: what a client would see, against what a client sees. check_test.py PAWL MODULE [NAME...]"""
import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

from server_rig import META, MODERN, Modern, Paths, main

MODES = ("meta", "pinned", "all")


def check(f, *options, code=0):
    done = subprocess.run([Paths.pawl, "mcp", "--check", "--db", f.db, *options], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done
    return done


def check_json(f, *options):
    return json.loads(check(f, "-o", "json", *options).stdout)


def listed(f, mode):
    server = f.serve(options=("--tools", mode))
    tools = Modern(server.url).ask("tools/list")["result"]["tools"]
    server.stop()
    return tools


def size(tool):
    return len(json.dumps(tool, separators=(",", ":"), ensure_ascii=False).encode())


def it_shows_what_a_client_is_given_and_what_it_weighs(f):
    for mode in MODES:
        tools = listed(f, mode)
        said = check_json(f, "--module", Paths.module, "--tools", mode)
        assert said["shown"] == mode
        assert [t["name"] for t in said["tools"]] == [t["name"] for t in tools]
        assert [t["bytes"] for t in said["tools"]] == [size(t) for t in tools]
        assert [t["annotations"] for t in said["tools"]] == [t["annotations"] for t in tools]
        assert all(t["tokens"] == -(-t["bytes"] // 4) for t in said["tools"])
        total = said["modes"][mode]
        assert total == {"tools": len(tools), "bytes": sum(map(size, tools)), "tokens": -(-sum(map(size, tools)) // 4)}, total


def it_counts_the_same_in_each_mode(f):
    said = [check_json(f, "--module", Paths.module, "--tools", mode) for mode in MODES]
    assert said[0]["modes"] == said[1]["modes"] == said[2]["modes"]
    assert [len(s["tools"]) for s in said] == [s["modes"][m]["tools"] for s, m in zip(said, MODES)]
    assert said[0]["modes"]["meta"]["tools"] == 7 < said[0]["modes"]["pinned"]["tools"] < said[0]["modes"]["all"]["tools"]
    assert (said[0]["prompts"], said[0]["resources"], said[0]["templates"]) == (5, 3, 1)


def it_touches_no_journal(f):
    check(f, "--module", Paths.module)
    assert list(f.path.iterdir()) == []


def it_asks_the_engine_that_owns_the_journal(f):
    f.serve()
    before = sorted(p.name for p in f.path.iterdir())
    said = check_json(f)
    assert "greet" in [t["name"] for t in said["tools"]]
    assert sorted(p.name for p in f.path.iterdir()) == before
    done = check(f, "--module", Paths.module, code=3)
    assert "leave out --module" in done.stderr and done.stdout == "", done


def it_says_what_a_model_would_miss(f):
    said = {t["name"]: t["warnings"] for t in check_json(f, "--module", Paths.module, "--tools", "all")["tools"]}
    assert any("no input schema" in w for w in said["multi_input"])
    assert any("no output schema" in w for w in said["greet"])
    assert "no description of its input's name" in said["greet"]
    assert any("no description, so" in w for w in said["undescribed"]) and any("only" in w for w in said["odd.name"])
    assert said["release"] == [] and said["pawl_start"] == []


def it_is_a_table_for_people(f):
    lines = check(f, "--module", Paths.module).stdout.splitlines()
    heading = lines[0]
    assert heading.split() == ["TOOL", "TOKENS", "INPUT", "TASK", "HINTS", "DOES"]
    row = next(line for line in lines if line.startswith("release "))
    assert row[heading.index("INPUT"):].startswith("repo [ref]") and row[heading.index("HINTS"):].startswith("may destroy")
    assert row[heading.index("DOES"):].startswith("Builds, tests and hashes a commit")
    assert any(line.split()[:2] == ["meta", "7"] for line in lines) and "shown above" in "\n".join(lines)
    assert any(line.startswith("warning  greet: ") for line in lines)
    assert not any(line.startswith("warning  release") for line in lines)


def on_terminal(f, columns):
    """The lines that it writes to a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen([Paths.pawl, "mcp", "--check", "--db", f.db, "--color", "never"], stdout=theirs) as child:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # its end of the terminal is closed
            while more := os.read(ours, 65536):
                text += more
        assert child.wait(timeout=60) == 0
    os.close(ours)
    return text.decode().replace("\r\n", "\n").splitlines()


def it_shows_whole_sentences_on_a_narrow_terminal(f):
    piped = check(f).stdout.splitlines()
    does = piped[1][piped[0].index("DOES"):]
    narrow, wide = on_terminal(f, 80), on_terminal(f, 200)
    assert narrow[0].split() == ["TOOL", "TOKENS", "INPUT", "TASK", "HINTS"] and all(len(line) <= 80 for line in narrow), narrow
    at = next(i for i, line in enumerate(narrow) if line.startswith("pawl_answer "))
    end = next(i for i, line in enumerate(narrow) if line.startswith("pawl_cancel "))
    assert " ".join(line.strip() for line in narrow[at + 1:end]) == does, narrow
    assert wide[0].split()[-1] == "DOES" and wide[1].startswith("pawl_answer "), wide
    assert does[:40] in wide[1] and wide[2].startswith("pawl_cancel "), wide


def it_says_of_what_only_looks_that_it_only_looks(f):
    said = {t["name"]: t["annotations"] for t in check_json(f, "--module", Paths.module)["tools"]}
    looks = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    worst = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
    assert said["pure_by_name"] == looks  # names its activities, and all are pure
    assert said["slow_compute"] == looks  # says that it has none
    assert said["impure_by_name"] == worst  # one of them is not
    assert said["unknown_by_name"] == worst  # one of them is not registered here
    assert said["greet"] == worst  # says nothing
    assert said["note_and_wait"] == {**worst, "idempotentHint": True}  # what it says itself stands
    assert said["test_simple_text"] == {**looks, "openWorldHint": True}  # it says readOnlyHint and no more
    assert said["pawl_search"] == looks and said["pawl_start"] == worst


def it_gives_the_hints_to_clients_of_both_eras(f):
    server = f.serve()
    tools = {t["name"]: t for t in Modern(server.url).ask("tools/list", meta={META + "protocolVersion": MODERN})["result"]["tools"]}
    assert tools["pure_by_name"]["annotations"]["readOnlyHint"] is True
    assert set(tools["greet"]["annotations"]) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
