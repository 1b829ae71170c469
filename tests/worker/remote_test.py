"""`pawl worker --connect`: the same work over TLS. Breaks of the connection cost nothing, crashes one attempt each, and tokens bound what is given."""
import json
import os
import signal

from remote_rig import Wire, need_openssl, remote_worker, serve, token
from worker_rig import begin, check, end, equal, events, lines, result, run, start, until, until_lines, with_msgpack, within, worker

need_openssl()


def log(p):
    return p.read("serve.log")


def it_works_from_elsewhere(p):
    engine = serve(p)
    remote_worker(p, "--parallel", "3")
    start(p, "r1", "note")
    out = result(p, "r1")
    check(out["pid"] != engine.pid, "it ran in another process")
    items = [{"log": p.path("log"), "line": str(i)} for i in range(50)]
    p.ok("start", "many", "-w", "m1", "-i", json.dumps({"activity": "note", "items": items}))
    equal(len(result(p, "m1")), 50)
    equal(sorted(lines(p)), sorted(["did r1 1"] + [f"did {i} 1" for i in range(50)]), "each once")


def it_hears_cancel_and_says_what_its_activities_say(p):
    serve(p)
    remote_worker(p)
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    p.ok("cancel", "r1")
    p.run("result", "r1").exits(6)
    equal(lines(p), ["began r1 1", "stopped r1 1"])
    start(p, "r2", "speak")
    until(p, lambda: "began r2 1" in lines(p), "it begins")
    follower = p.begin("stream", "r2", "-o", "jsonl")
    equal(json.loads(follower.stdout.readline())["data"], "attempt 1\n")
    p.write("go", "")
    follower.stdout.read()
    equal(follower.wait(60), 0)


def it_loses_no_attempt_when_the_connection_breaks(p):
    serve(p)
    wire = Wire(p.port)
    remote_worker(p, port=wire.port)
    start(p, "r1", "hold_unsafe")
    until_lines(p, ["began r1 1"])
    wire.cut()
    until(p, lambda: "connected again" in p.read("worker.log"), "it comes back")
    p.write("go", "")
    result(p, "r1")
    equal(lines(p), ["began r1 1", "ended r1 1"], "the same attempt")
    equal((events(p, "r1", "ActivityRetried"), events(p, "r1", "ActivityUnknown")), (0, 0))


def it_keeps_a_report_until_the_connection_is_back(p):
    serve(p)
    wire = Wire(p.port)
    remote_worker(p, port=wire.port)
    start(p, "r1", "hold_unsafe")
    until_lines(p, ["began r1 1"])
    wire.close()
    p.write("go", "")
    until_lines(p, ["began r1 1", "ended r1 1"])
    equal(events(p, "r1", "ActivityCompleted"), 0, "nobody has heard of it yet")
    wire.reopen()
    result(p, "r1")
    equal(lines(p), ["began r1 1", "ended r1 1"])
    equal(events(p, "r1", "ActivityUnknown"), 0)


def it_is_lost_when_it_does_not_come_back(p):
    serve(p, "--worker-grace", "500ms")
    wire = Wire(p.port)
    remote_worker(p, port=wire.port)
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    wire.close()
    until(p, lambda: events(p, "r1", "ActivityRetried") == 1, "the attempt is lost")
    until(p, lambda: "stopped r1 1" in lines(p), "and it is told to stop")
    wire.reopen()
    until_lines(p, ["began r1 1", "stopped r1 1", "began r1 2"])
    p.write("go", "")
    result(p, "r1")


def it_survives_that_the_engine_is_gone_for_a_while(p):
    serve(p)
    remote_worker(p)
    for i in range(2):
        start(p, f"r{i}", "note")
        result(p, f"r{i}")
        p.stop(signal.SIGKILL if i == 1 else signal.SIGTERM)
        serve(p)
    start(p, "r3", "note")
    result(p, "r3")
    equal(lines(p), ["did r0 1", "did r1 1", "did r3 1"])


def it_is_one_failed_attempt_when_the_worker_crashes(p):
    serve(p)  # the grace is 30 s: the next process of the same worker ends the one before at once
    w = remote_worker(p, "--parallel", "4")
    start(p, "r1", "crash", retries=20)
    until(p, lambda: len(lines(p)) >= 2, "it is started again")
    p.write("go", "")
    out = result(p, "r1")
    equal(len(lines(p)), out["attempt"], "an attempt each")
    equal(events(p, "r1", "ActivityRetried"), out["attempt"] - 1)
    equal(w.poll(), None, "who watches lives")
    start(p, "r2", "note")
    result(p, "r2")


def it_asks_after_a_crash_of_unsafe_code(p):
    serve(p)
    remote_worker(p)
    start(p, "r1", "crash_unsafe")
    until(p, lambda: events(p, "r1", "ActivityUnknown") == 1, "the crash is known")
    equal(lines(p), ["began r1 1"])


def it_is_replaced_when_code_does_not_stop(p):
    serve(p)
    remote_worker(p, "--grace", "200ms", "--drain", "200ms")
    start(p, "r1", "hang", timeout_s=1, retries=100)
    attempt = result(p, "r1")["attempt"]  # 2, where the second has a processor for a second
    check(attempt >= 2, f"attempt {attempt}")
    equal(lines(p), [f"began r1 {i}" for i in range(1, attempt + 1)])


def it_dies_alone_when_its_memory_is_full(p):
    with open(p.pawl, "rb") as f:
        program = f.read()
    if b"__asan_init" in program or b"__tsan_init" in program:
        print("        skipped: a sanitizer needs more address space than a limit leaves")
        return
    serve(p)
    remote_worker(p, "--memory", "512")
    start(p, "r1", "eat")
    equal(result(p, "r1")["attempt"], 2)
    equal(lines(p), ["began r1 1", "began r1 2"])


def it_lets_what_runs_finish_and_says_good_bye(p):
    serve(p)
    w = remote_worker(p, "--drain", "60s")
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    w.send_signal(signal.SIGTERM)
    p.write("go", "")
    equal(w.wait(timeout=60), 0)
    result(p, "r1")
    equal(events(p, "r1", "ActivityRetried"), 0)


def it_shares_a_queue_with_workers_of_this_machine(p):
    serve(p)
    p.ok("queue", "narrow", "--concurrency", "2")
    worker(p, "--parallel", "4", name="here")
    remote_worker(p, "--parallel", "4")
    for i in range(6):
        start(p, f"r{i}", "hold", queue="narrow")
    until(p, lambda: len(lines(p)) >= 2, "two begin")
    start(p, "n", "note")
    result(p, "n")
    row = [q for q in p.ok("queue", "-o", "json").json() if q["name"] == "narrow"][0]
    equal((row["running"], row["queued"]), (2, 4))
    p.write("go", "")
    pids = {result(p, f"r{i}")["pid"] for i in range(6)}
    check(len(pids) <= 2, "of both workers together")


def it_works_for_an_engine_that_lives_elsewhere(p):
    """`pawl relay`, beside a program that hosts its own engine."""
    serve(p)  # makes the certificates
    p.stop()
    p.serve()
    relay = p.begin("relay", "--worker-listen", "0", "--tls-cert", p.path("cert.pem"), "--tls-key", p.path("key.pem"), "--worker-tokens", p.path("tokens"),
                    "-o", "jsonl")
    try:
        p.port = int(json.loads(relay.stdout.readline())["workers"].rsplit(":", 1)[1])
        remote_worker(p)
        start(p, "r1", "note")
        result(p, "r1")
        p.stop(signal.SIGKILL)
        p.serve()
        start(p, "r2", "note")
        result(p, "r2")
    finally:
        relay.send_signal(signal.SIGTERM)
        equal(relay.wait(timeout=60), 0)
        relay.stdout.close()
        relay.stderr.close()
    p.run("relay").exits(2)


def it_works_in_python_too(p):
    python = with_msgpack(p.modules[2])
    serve(p)
    here = os.path.dirname(os.path.abspath(__file__))
    argv = [python, "-B", os.path.join(here, "py_activities.py"), p.modules[2], "--connect", f"127.0.0.1:{p.port}", p.path("ca.pem")]
    w = begin(p, argv, "python")
    until(p, lambda: "connected" in p.read("python.log"), "it never connected", "python")
    start(p, "r1", "fails", retries=3)
    equal(result(p, "r1"), {"attempt": 3})
    start(p, "r0", "busy", retries=1)
    equal(result(p, "r0"), {"attempt": 4}, "a time to come again costs no retry")
    start(p, "r2", "hold")
    until(p, lambda: "began r2 1" in lines(p), "it holds")
    p.ok("cancel", "r2")
    p.run("result", "r2").exits(6)
    start(p, "r3", "hold")
    until(p, lambda: "began r3 1" in lines(p), "it holds")
    end(w, signal.SIGKILL)
    until(p, lambda: events(p, "r3", "ActivityRetried") == 1, "its attempt is lost with its connection")
    p.write("go", "")
    begin(p, argv, "second")
    result(p, "r3")
    p.env["TOKEN"] = "pawl-worker-wrong"
    begin(p, argv, "third")
    until(p, lambda: "no token" in p.read("third.log"), "it is told why", "third")


def it_gets_only_what_its_token_is_for(p):
    serve(p)
    p.env["NARROW"] = token(p, "narrow", "--queue", "gpu", "--activity", "no*")
    remote_worker(p, "--parallel", "4", env="NARROW")
    start(p, "r1", "note")
    start(p, "r2", "hold", queue="gpu")
    start(p, "r3", "note", queue="gpu")
    result(p, "r3")
    equal(lines(p), ["did r3 1"], "neither another queue nor another activity")
    remote_worker(p, name="second")
    result(p, "r1")
    p.write("go", "")
    result(p, "r2")


def it_is_out_when_its_token_is_revoked(p):
    serve(p)
    remote_worker(p)
    start(p, "r1", "hold")
    until_lines(p, ["began r1 1"])
    p.ok("token", "t", "--worker-tokens", p.path("tokens"), "--revoke")
    until(p, lambda: events(p, "r1", "ActivityRetried") == 1, "the attempt is lost, without a restart")
    until(p, lambda: "revoked" in p.read("worker.log"), "and it is not let in again")
    within(log(p), "was revoked")
    p.env["TOKEN"] = token(p)
    remote_worker(p, name="second")
    p.write("go", "")
    result(p, "r1")


def it_trusts_no_other_certificate_and_no_other_name(p):
    serve(p)
    os.rename(p.path("cert.pem"), p.path("was.pem"))
    os.rename(p.path("ca.pem"), p.path("right.pem"))
    from remote_rig import certificates
    certificates(p)
    remote_worker(p, ready=False)
    until(p, lambda: os.path.exists(p.path("worker.log")) and "certificate is not accepted" in p.read("worker.log"), "another CA")
    remote_worker(p, ready=False, ca="right.pem", host="127.0.0.2", name="second")
    until(p, lambda: "waiting" in p.read("second.log"), "nobody listens there, or with another name")
    remote_worker(p, ca="right.pem", host="localhost", name="third")


def it_keeps_tokens_hashed_and_shows_them_once(p):
    text = token(p, "one")
    check(text.startswith("pawl-worker-") and len(text) == 93, text)
    stored = p.read("tokens")
    check(text not in stored and text[-64:] not in stored, "the file has no secret")
    equal(os.stat(p.path("tokens")).st_mode & 0o777, 0o600)
    check(token(p, "two") != text, "each is another")
    p.run("token", "one", "--worker-tokens", p.path("tokens")).exits(9)
    equal([t["name"] for t in p.ok("token", "--worker-tokens", p.path("tokens"), "-o", "json").json()], ["one", "two"])
    check(text not in p.ok("token", "--worker-tokens", p.path("tokens")).out, "a list has none either")
    p.ok("token", "one", "--worker-tokens", p.path("tokens"), "--revoke")
    p.run("token", "one", "--worker-tokens", p.path("tokens"), "--revoke").exits(4)
    p.run("token", "--worker-tokens", p.path("none")).exits(4)


def it_says_what_is_wrong_with_its_options(p):
    p.run("serve", "--worker-listen", "0").exits(2)
    p.run("serve", "--tls-cert", "x").exits(2)
    p.run("worker", "--module", p.modules[1], "--connect", "h:1").exits(2)
    p.run("worker", "--module", p.modules[1], "--connect", "h:1", "--token", "pawl-worker-plain").exits(2)
    p.run("worker", "--module", p.modules[1], "--token", "env:X").exits(2)
    p.run("token").exits(2)
    p.run("token", "--worker-tokens", "f", "--revoke").exits(2)
    within(p.run("worker", "--module", p.modules[1], "--connect", "h:1", "--token", "env:NOT_THERE").exits(4).err, "NOT_THERE")


run(globals())
