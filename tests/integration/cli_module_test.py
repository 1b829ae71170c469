"""Modules: a new one builds and runs; one that is missing, of another pawl, or none at all is refused with the way out."""
import os
import re
import shutil
import subprocess

from cli_rig import check, equal, main, within


def build(p, folder, *command):
    env = {**p.env, "PATH": os.path.dirname(p.pawl) + ":" + p.env["PATH"]}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{command} in {folder}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


def it_writes_a_module_that_builds_without_a_warning_and_runs(p):
    if shutil.which("make") is None:
        print("        skipped: make is not here")
        return
    within(p.ok("new", "my-order").out, "wrote my-order/my-order.c")
    out = build(p, p.path("my-order"), "make", "CFLAGS=-Werror")
    check("warning" not in out, out)
    module = p.path("my-order/my-order.so")
    done = p.ok("execute", "my-order", "--module", module, "-i", '{"name": "Ada"}', "-w", "o1")
    within(done.out, "Ada")
    p.run("execute", "my-order", "--module", module, "-i", "{}").exits(5)
    within(p.ok("query", "o1", "greeting").out, "Hello")
    within(p.ok("trace", "o1").out, "my-order.greet")
    said = p.ok("mcp", "--check", "--module", module).out
    check(any(line.split()[:1] == ["my-order"] for line in said.splitlines()), "MCP clients do not see it\n" + said)
    p.ok("start", "my-order", "-w", "o2", "-i", '{"name": "Bob", "ask": true}')
    p.serve("--module", module)
    p.until_waiting("o2", "send")
    p.ok("answer", "o2", "yes")
    p.ok("result", "o2")


def it_builds_the_new_module_with_cmake_too(p):
    if shutil.which("cmake") is None:
        print("        skipped: cmake is not here")
        return
    p.ok("new", "order", p.path("deep"))
    build(p, p.path("deep"), "cmake", "-S", ".", "-B", "build", "-DCMAKE_C_FLAGS=-Werror")
    build(p, p.path("deep"), "cmake", "--build", "build")
    p.ok("execute", "order", "--module", p.path("deep/build/order.so"), "-i", '{"name": "Ada"}')


def it_backs_up_beside_an_engine_and_says_which_runs_fit_new_code(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.ok("start", "asking", "-w", "a1")
    p.until_waiting("l1", "signal")
    p.until_waiting("a1", "publish")
    within(p.run("replay", "--module", p.modules[0]).exits(3).err, "backup copy.db && ")
    copy = p.path("copy.db")
    done = p.ok("backup", copy, "-o", "json").json()
    equal(done["backup"], copy)
    within(p.ok("verify", "--db", copy).out, "sound: 2 runs")
    within(p.run("backup", copy).exits(9).err, "is there already")
    p.run("backup", p.path("none/copy.db")).exits(4)
    p.run("backup").exits(2)
    equal(p.ok("replay", "--db", copy, "--module", p.modules[0]).out, "2 of 2 open runs fit\n")
    done = p.run("replay", "--db", copy, "--module", p.modules[3]).exits(1)  # another "listening", and no "asking"
    within(done.out, "0 of 2 open runs fit")
    within(done.out, "cli_other_module.c:")
    rows = {r["id"]: r for r in p.run("replay", "--db", copy, "--module", p.modules[3], "-o", "jsonl").jsonl()}
    equal({i: (r["fits"], r["status"]) for i, r in rows.items()}, {"a1": (False, "nocode"), "l1": (False, "nondeterminism")})
    p.run("replay", "--db", copy, "--module", p.modules[3], "-q", "workflow = asking").exits(10)
    equal({r["status"] for r in p.ok("list", "--db", copy, "-o", "json").json()}, {"running"})  # asked, not paused
    p.ok("signal", "l1", "go")  # after the moment of the copy
    p.ok("result", "l1")
    equal(p.ok("describe", "l1", "--db", copy, "-o", "json").json()["status"], "running")


def it_says_which_run_of_new_code_ends_the_process_or_does_not_come_back(p):
    p.serve()
    for run, workflow, waits in (("w1", "wordy", "question"), ("a1", "asking", "publish"), ("q1", "queried", "signal"), ("s1", "sleeping", "timer"),
                                 ("l1", "listening", "signal"), ("a2", "asking", "publish"), ("w2", "wordy", "question")):
        p.ok("start", workflow, "-w", run)
        p.until_waiting(run, waits)
    equal(p.stop(), 0)
    bad = {"CLI_OTHER_MODULE_CRASHES": "1"}
    more = ("--module", p.modules[3], "--timeout", "5")  # seconds, of one run
    done = p.run("replay", *more, "-o", "jsonl", env=bad).exits(1)
    rows = done.jsonl()
    equal([(r["id"], r["workflow"], r["fits"], r["status"], r.get("signal")) for r in rows], [
        ("w2", "wordy", True, "ok", None), ("a2", "asking", False, "crashed", 6), ("l1", "listening", False, "nondeterminism", None),
        ("s1", "sleeping", False, "timeout", None), ("q1", "queried", False, "crashed", None), ("a1", "asking", False, "crashed", 6),
        ("w1", "wordy", True, "ok", None)])
    said = {r["id"]: r["message"] for r in rows}
    within(said["a2"], "signal 6, Aborted")
    within(said["q1"], "exit status 0")
    within(said["s1"], "did not come back within 5000 ms")
    text = p.run("replay", *more, "-q", "workflow = asking", env=bad).exits(1).out
    within(text, "asking@1")
    within(text, "0 of 2 open runs fit")
    equal(p.run("replay", *more, "--limit", "1", env=bad).exits(0).out, "1 of 1 open run fits\n")
    equal({r["status"] for r in p.ok("list", "-o", "json").json()}, {"running"})  # none is counted as crashed
    p.serve()
    p.ok("answer", "a1", "approve")
    p.ok("result", "a1")


def it_overwrites_nothing(p):
    p.write("Makefile", "mine")
    p.run("new", "order", ".").exits(9)
    equal(p.read("Makefile"), "mine")
    equal(sorted(os.listdir(p.folder)), ["Makefile"])
    for bad in ("9order", "or der", "../order", "", "a" * 61, "ö"):
        p.run("new", bad).exits(2)


def it_refuses_a_module_that_is_missing_or_no_module(p):
    text = p.write("text.so", "not a shared object")
    for path, code in ((p.path("none.so"), 4), (text, None), (p.modules[2], None)):
        done = p.run("serve", "--module", path)
        check(done.code not in (0, 3), done.says())
        if code is not None:
            equal(done.code, code, done.says())
        within(done.err, os.path.basename(path))
        equal(done.out, "")
        done = p.run("execute", "hello", "--module", path)
        check(done.code not in (0, 3), done.says())


def it_hosts_every_workflow_that_comes_with_it(p):
    workflows = [tool["workflow"] for tool in p.ok("mcp", "--check", "--tools", "all", "-o", "json").json()["tools"] if "workflow" in tool]
    check("release" in workflows, workflows)
    for workflow in workflows:
        within(p.run("execute", workflow).exits(2).err, "the input does not fit")  # so its code is here


def it_refuses_a_module_that_was_given_twice(p):
    done = p.run("serve", "--module", p.modules[0], "--module", p.modules[0])
    check(done.code != 0, done.says())
    check("--id-reuse-policy" not in done.err and "describe" not in done.err, done.err)


def it_refuses_a_module_of_another_pawl_with_both_versions(p):
    done = p.run("serve", "--module", p.modules[1]).exits(10)
    within(done.err, "0.0.1")
    within(done.err, "headers")


def it_waits_for_code_that_is_not_there_and_goes_on_when_it_is(p):
    p.ok("start", "hello", "-w", "h1", "-i", '{"name": "Ada"}')
    p.serve(code=None)
    p.until_waiting("h1", "no-code")
    within(p.ok("stack", "h1").out, "code hello")
    for command in (["trace", "h1"], ["list"], ["describe", "h1"]):
        within(p.ok(*command).out, "its code is not here")
    p.run("start", "hello", "-w", "h2").exits(10)
    equal(p.stop(), 0)
    p.serve()
    equal(p.ok("result", "h1", "-o", "json").json()["result"]["to"], "Ada")


def it_pauses_a_run_whose_code_has_changed_and_shows_both_sides(p):
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    p.stop()
    p.serve(code=3)
    p.ok("signal", "l1", "go", "-i", "5")
    p.until_status("l1", "paused")
    text = p.ok("stack", "l1").out
    for part in ("paused: nondeterminism", "history  KeySet", "code     TimerStarted", "cli_other_module.c:", "pawl resume l1"):
        within(text, part)
    p.stop()
    p.serve()
    p.ok("resume", "l1")
    equal(p.ok("result", "l1", "-o", "json").json()["result"], {"got": 5}, "nothing is lost by a bad deploy")


def it_names_the_workflow_that_blocks_the_loop(p):
    engine = p.serve()
    p.run("start", "spinning", "-w", "spin", timeout=60)
    code = engine.wait(timeout=60)
    engine.stdout.close()
    p.engine = None
    check(code != 0, "serve should have ended")
    check(re.search(r"spinning|spin", p.read("serve.log")), p.read("serve.log"))


it_names_the_workflow_that_blocks_the_loop.long = True  # the watchdog takes ten seconds


main(globals())
