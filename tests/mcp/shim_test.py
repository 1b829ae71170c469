"""`pawl mcp`, the server on standard input and output. shim_test.py PAWL MODULE [NAME...]"""
import json
import os
import signal
import subprocess
import sys

from server_rig import LEGACY, META, MODERN, Paths, main

OWN = {META + "protocolVersion": MODERN, META + "clientCapabilities": {"elicitation": {}}}


def call(number, tool, arguments=None, **meta):
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments or {}, "_meta": {**OWN, **meta}}}


def text_of(answer):
    return answer["result"]["content"][0]["text"]


def it_starts_an_engine_that_outlives_it_and_finds_it_again(f):
    shim = f.shim()
    assert text_of(shim.ask(call(1, "greet", {"name": "Ada"}))) == "Hello, Ada!"
    owner = f.owner()
    assert owner not in (0, shim.process.pid)
    assert shim.end() == 0
    assert f.owner() == owner
    assert text_of(f.shim().ask(call("x", "greet", {"name": "Bob"}))) == "Hello, Bob!"
    assert f.owner() == owner


def it_speaks_both_eras(f):
    shim = f.shim()
    discovered = shim.ask({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": OWN}})
    assert MODERN in discovered["result"]["supportedVersions"]
    shim = f.shim()
    hello = shim.ask({"jsonrpc": "2.0", "id": 1, "method": "initialize",
                      "params": {"protocolVersion": LEGACY, "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"}}})
    assert hello["result"]["protocolVersion"] == LEGACY
    shim.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    shim.send({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "note_and_ask", "arguments": {"path": str(f.path / "n")}}})
    asked = shim.next()
    assert asked["method"] == "elicitation/create"
    shim.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"name": "Ada"}}})
    assert shim.answer(2)["result"]["structuredContent"] == {"name": "Ada"}


def it_says_how_far_a_call_is(f):  # [T10]: on a fresh journal, whose engine is only being started
    shim = f.shim()
    shim.send(call(1, "test_tool_with_progress", progressToken="p"))
    said = [shim.next() for _ in range(4)]
    assert [m["params"]["progress"] for m in said[:3]] == [0, 50, 100] and said[3]["id"] == 1


def it_gets_its_answer_from_the_next_engine_when_one_is_killed(f):
    shim = f.shim()
    shim.ask(call(1, "greet", {"name": "Ada"}))
    shim.send(call(2, "note_and_wait", {"path": str(f.path / "n"), "held": True}))
    runs = f.until_noted()
    os.kill(f.owner(), signal.SIGKILL)
    shim.send(call(3, "greet", {"name": "Bob"}))
    answers = {m["id"]: m for m in (shim.next(),)}
    f.let_go(runs)
    answers = {m["id"]: m for m in (shim.next(), *answers.values())}
    assert answers[2]["result"]["structuredContent"] == {"line": "once"}
    assert text_of(answers[3]) == "Hello, Bob!"
    assert f.lines("n") == ["once"] and len(f.runs("note_and_wait")) == 1


def it_gives_a_client_that_comes_back_the_run_it_lost(f):
    arguments = {"path": str(f.path / "n"), "held": True}
    shim = f.shim()
    shim.ask(call(0, "greet", {"name": "an engine"}))
    shim.send(call(1, "note_and_wait", arguments))
    runs = f.until_noted()
    shim.process.kill()
    shim.process.wait()
    again = f.shim()
    again.send(call(1, "note_and_wait", arguments))
    f.let_go(runs)
    end = again.answer(1)
    assert end["result"]["structuredContent"] == {"line": "once"}, end
    assert f.lines("n") == ["once"] and len(f.runs("note_and_wait")) == 1, (f.lines("n"), f.runs("note_and_wait"))
    again.send(call(2, "note_and_wait", arguments))
    f.let_go(f.until_noted())
    end = again.answer(2)
    assert "result" in end and len(f.runs("note_and_wait")) == 2, (end, f.runs("note_and_wait"))


def it_cancels_what_the_client_cancels(f):
    shim = f.shim()
    shim.send(call(1, "slow_compute", {"seconds": 600}))
    shim.send(call(2, "greet", {"name": "Ada"}))
    assert shim.next()["id"] == 2
    shim.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    assert text_of(shim.ask(call(3, "greet", {"name": "Bob"}))) == "Hello, Bob!"
    f.until_runs("slow_compute", lambda runs: runs[0]["status"] == "canceled", "it is not canceled")


def it_answers_what_was_asked_before_the_end_of_file(f):
    words = "\n".join(json.dumps(m) for m in (call(1, "greet", {"name": "Ada"}), call(2, "greet", {"name": "Bob"}))) + "\n\nnonsense\n"
    f.shim().ask(call(1, "greet", {"name": "an engine"}))
    for source in ("pipe", "file"):
        (f.path / "in").write_text(words, encoding="utf-8")
        with open(f.path / "in", encoding="utf-8") as file:
            given = {"input": words} if source == "pipe" else {"stdin": file}
            done = subprocess.run([Paths.pawl, "mcp", "--db", f.db], **given, capture_output=True, text=True, check=False, timeout=60)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0 and {m["id"] for m in said} == {1, 2, None}, done
        assert [m["error"]["code"] for m in said if m["id"] is None] == [-32700]


def full_pipe(f, shim):
    """Fills the pipe to a client that does not read: a request more than it holds answers for, and none of them is lost."""
    shim.ask(call(0, "greet", {"name": "an engine"}))
    big = "x" * 20000
    for i in range(1, 11):
        shim.send(call(i, "note_and_wait", {"path": str(f.path / "n"), "line": big}))
    f.until_runs("note_and_wait", lambda runs: [r["status"] for r in runs] == ["completed"] * 10, "they do not end")


def it_gives_a_slow_reader_every_answer(f):
    shim = f.shim()
    full_pipe(f, shim)
    answers = [shim.next() for _ in range(10)]
    assert {m["id"] for m in answers} == set(range(1, 11)) and all(len(text_of(m)) > 20000 for m in answers)
    shim.send(call(99, "greet", {"name": "Ada"}))
    assert text_of(shim.answer(99)) == "Hello, Ada!"


def it_ends_on_a_signal_though_nobody_reads_what_it_says(f):
    shim = f.shim()
    full_pipe(f, shim)
    shim.process.send_signal(signal.SIGTERM)
    assert shim.process.wait(timeout=60) == 0


def it_hosts_the_engine_itself_when_asked(f):
    shim = f.shim("--in-process")
    assert text_of(shim.ask(call(1, "greet", {"name": "Ada"}))) == "Hello, Ada!"
    assert f.owner() == shim.process.pid
    assert shim.end() == 0
    assert f.owner() == 0


def it_does_not_bring_modules_to_an_engine_of_somebody_else(f):
    f.serve()
    done = subprocess.run([Paths.pawl, "mcp", "--db", f.db, "--module", Paths.module], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == 3 and "leave out --module" in done.stderr and done.stdout == "", done
    done = subprocess.run([Paths.pawl, "mcp", "--db", f.db], input=json.dumps(call(1, "greet", {"name": "Ada"})) + "\n", capture_output=True,
                          text=True, check=False, timeout=60)
    assert text_of(json.loads(done.stdout)) == "Hello, Ada!"


def it_ends_with_what_is_wrong_when_no_engine_can_be_started(f):
    with subprocess.Popen([Paths.pawl, "mcp", "--db", f.db, "--module", str(f.path / "none.so")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as done:
        said = done.stderr.read()
        assert done.wait(timeout=60) != 0 and ".mcp.log" in said, said
    assert "none.so" in (f.path / "t.db.mcp.log").read_text(encoding="utf-8")


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="latin1") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def it_ends_when_its_parent_dies_though_the_pipe_stays_open(f):
    f.serve()
    script = "import os, subprocess, sys\np = subprocess.Popen(sys.argv[1:], stdin=0)\nprint(p.pid, flush=True)\nos.read(3, 1)"
    hold, held = os.pipe()
    go, said = os.pipe()
    parent = subprocess.Popen([sys.executable, "-c", script, Paths.pawl, "mcp", "--db", f.db], stdin=hold, stdout=subprocess.PIPE,
                              preexec_fn=lambda: os.dup2(go, 3), pass_fds=(3,), text=True)
    pid = int(parent.stdout.readline())
    os.write(held, (json.dumps(call(1, "greet", {"name": "Ada"})) + "\n").encode())
    assert text_of(json.loads(parent.stdout.readline())) == "Hello, Ada!"
    parent.kill()
    parent.wait()
    f.until(lambda: has_ended(pid), f"process {pid} goes on")
    for fd in (hold, held, go, said):
        os.close(fd)
    parent.stdout.close()


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
