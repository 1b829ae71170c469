"""The journal as commands meet it: nobody's, somebody's, damaged, foreign, newer, read-only; and what is kept until an engine comes."""
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys

from cli_rig import check, equal, main, within

READERS = (["list"], ["describe", "a"], ["show", "a"], ["trace", "a"], ["wait"])


def it_keeps_what_is_posted_without_an_engine_and_delivers_it_to_the_next(p):
    """[T4]"""
    done = p.ok("start", "listening", "-w", "l1")
    within(done.out, "kept the start of l1")
    within(done.err, "pawl serve")
    value = p.ok("signal", "l1", "go", "-i", '"later"', "-o", "json").json()
    equal((value["id"], value["kept"]), ("l1", True))
    within(p.ok("list").err, "2 requests are kept")
    equal(p.ok("list", "-o", "json").json(), [])
    check(any(line.split()[:3] == ["l1", "listening", "kept"] for line in p.ok("list").out.splitlines()), p.ok("list").says())
    for verb in ("describe", "trace", "stack", "result", "show"):
        within(p.run(verb, "l1").exits(10).err, "the start of l1 is kept")
    p.run("signal", "l2", "go").exits(4)
    p.serve()
    equal(p.ok("result", "l1", "-o", "json").json()["result"], {"got": "later"})
    check("kept" not in p.ok("list").err, "nothing is left in the inbox")


def it_keeps_one_start_of_an_id_and_no_answer_to_what_has_not_begun(p):
    p.ok("start", "asking", "-w", "ask1", "-i", '{"v": 1}')
    again = p.run("start", "asking", "-w", "ask1", "-i", '{"v": 2}').exits(9).err
    within(again, "a start of ask1 is kept already")
    check(again.endswith("list\n"), again)  # describe knows nothing of it before an engine does
    p.ok("start", "asking", "-w", "ask1", "--id-conflict-policy", "use-existing")
    within(p.run("answer", "ask1", "approve").exits(10).err, "the start of ask1 is kept")
    equal(len([r for r in p.ok("list").out.splitlines() if r.split()[:3] == ["ask1", "asking", "kept"]]), 2)
    p.serve()
    p.until_waiting("ask1", "publish")
    p.ok("answer", "ask1", "approve")


def it_works_on_a_journal_that_nobody_owns(p):
    p.serve()
    p.ok("start", "asking", "-w", "ask1", "-i", '{"v": 1}')
    p.until_waiting("ask1", "publish")
    p.run("execute", "broken", "-w", "b1").exits(5)
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    p.stop()
    still = p.ok("stack", "l1")
    check(re.search(r"#\d+  signal go  for .*  cli_module.c:\d+\n", still.out), still.out)
    within(still.err, "nothing moves until one does")
    p.ok("terminate", "l1")
    equal([r["id"] for r in p.ok("list", "-o", "json").json()], ["l1", "b1", "ask1"])
    within(p.ok("wait").out, "Publish it?")
    within(p.ok("stack", "ask1").out, "publish")
    within(p.ok("trace", "ask1").out, "approval publish")
    within(p.ok("describe", "ask1").out, "running")
    p.run("result", "b1").exits(5)
    within(p.ok("pause", "ask1").out, "kept: pause ask1")
    for args in (["answer", "b1", "yes"], ["signal", "b1", "go"], ["terminate", "b1"]):
        within(p.run(*args).exits(9).err, "is closed (failed)")
    done = p.run("queue").exits(1)
    within(done.err, "no engine runs on this journal")
    within(done.err, "try: pawl")
    done = p.run("result", "ask1").exits(10)
    within(done.err, "no engine runs")
    value = p.ok("answer", "ask1", "approve", "--by", "bob", "-o", "json").json()
    equal(value["kept"], True)
    p.serve()
    within(p.ok("queue").err, "nothing is queued, and no queue has limits")
    none = p.run("budget", "ask1").exits(4).err
    within(none, 'run "ask1" has no budget')
    within(none, "budget set ask1 usd=5")
    p.ok("resume", "ask1")
    equal(p.ok("result", "ask1", "-o", "json").json()["result"]["by"], "bob")


def it_drains_on_sigterm_and_loses_nothing_to_sigkill(p):
    p.serve()
    p.ok("start", "sleeping", "-w", "s1", "-i", '{"seconds": 0.5}')
    p.ok("start", "asking", "-w", "ask1")
    p.until_waiting("ask1", "publish")
    p.ok("pause", "ask1")
    equal(p.stop(signal.SIGTERM), 0)
    within(p.serve().ready, " open run")
    check("0 open" not in p.engine.ready, p.engine.ready)
    equal(p.stop(signal.SIGINT), 0)
    p.serve()
    equal(p.stop(signal.SIGKILL), -signal.SIGKILL)
    p.serve()
    equal(p.ok("result", "s1", "-o", "json").json()["result"], {"slept": True})


def it_exits_when_idle(p):
    engine = p.serve("--idle-exit", "200ms")
    equal(engine.wait(timeout=60), 0)
    engine.stdout.close()
    p.engine = None


def it_refuses_a_second_owner_and_names_the_first(p):
    engine = p.serve()
    done = p.run("serve").exits(3)
    within(done.err, str(engine.pid))
    equal(done.out, "")
    p.ok("execute", "echo", "--module", p.modules[0], "-i", "1")
    within(p.ok("version").out, f"owned by pid {engine.pid}")


def it_says_busy_when_the_owner_does_not_answer(p):
    engine = p.serve()
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        done = p.run("list").exits(3)
        within(done.err, str(engine.pid))
        p.run("start", "hello").exits(3)
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    p.ok("list")


def it_does_not_wait_for_ever_for_a_file_that_another_program_has_locked(p):
    p.ok("start", "hello", "-w", "h1", "-i", '{"name": "Ada"}')
    lock = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", lock, p.db], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        within(p.run("serve", "--idle-exit", "1s").exits(3).err, "another process")
        other.stdin.close()
    p.serve()
    p.ok("result", "h1")


def it_names_a_file_that_is_no_journal(p):
    """[T3]"""
    for name, data in (("text", b"hello, I am no journal\n" * 500), ("short", b"x")):
        path = p.write(name, data)
        for args in (*READERS, ["verify"], ["sql", "SELECT 1"], ["start", "hello"], ["serve"]):
            done = p.run(*args, "--db", path)
            equal(done.code, 8, done.says())
            equal(done.out, "", f"stdout of {args}")
            within(done.err, name)
        with open(path, "rb") as f:
            equal(f.read(), data, "the file is as it was")
    other = p.path("other.db")
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine(x)")
    for args in (["list"], ["serve"], ["start", "hello"], ["verify"]):
        done = p.run(*args, "--db", other)
        equal(done.code, 8, done.says())


def it_refuses_a_journal_of_a_newer_pawl(p):
    p.ok("start", "hello", "-w", "a")
    with sqlite3.connect(p.db) as db:
        db.execute("PRAGMA user_version = 9999")
    for args in (*READERS, ["serve"], ["start", "hello"], ["verify"]):
        done = p.run(*args)
        equal(done.code, 8, done.says())
        within(done.err, "newer")
        equal(done.out, "")
    equal(p.ok("version", "-o", "json").json()["journal"]["schema"], 9999)
    within(p.ok("version").out, "schema 9999 (newer than this pawl)")


def it_finds_a_damaged_journal_and_says_where(p):
    p.serve()
    for i in range(20):
        p.ok("start", "hello", "-w", f"h{i}")
        p.ok("result", f"h{i}")
    p.stop()
    done = p.ok("verify")
    within(done.out, "sound: 20 runs")
    value = p.ok("verify", "-o", "json").json()
    equal((value["sound"], value["runs"], value["list"]), (True, 20, []))
    with sqlite3.connect(p.db) as db:
        for table in ("pawl_log", "pawl_history"):  # the latter when it was idle for a second: compacted
            row = db.execute(f"SELECT rowid, bytes FROM {table} WHERE run = 1 ORDER BY seq LIMIT 1").fetchone()
            if row is not None:
                db.execute(f"UPDATE {table} SET bytes = ? WHERE rowid = ?", (row[1][:-1] + bytes([row[1][-1] ^ 1]), row[0]))
    done = p.run("verify").exits(8)
    within(done.out, "damaged")
    check(p.run("verify", "-o", "json").exits(8).json()["list"], "findings in JSON")
    p.run("show", "h0").exits(8)
    equal(p.ok("show", "h5", "-o", "json").json()[0]["type"], "RunStarted", "other runs are unharmed")


def it_says_so_when_the_file_is_cut_short(p):
    p.serve()
    for i in range(20):
        p.ok("start", "hello", "-w", f"h{i}")
    p.stop()
    with sqlite3.connect(p.db) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(p.db, "r+b") as f:
        f.truncate(os.path.getsize(p.db) // 2)
    done = p.run("verify").exits(8)
    check("Traceback" not in done.err and done.err + done.out != "", done.says())
    p.run("serve").exits(8)


def it_reads_but_does_not_write_a_read_only_journal(p):
    if os.geteuid() == 0:
        print("        skipped: root may write every file")
        return
    p.ok("start", "hello", "-w", "a")
    os.chmod(p.db, 0o444)
    os.chmod(p.folder, 0o555)
    try:
        done = p.run("serve").exits(1)
        within(done.err, "cannot be written")
        p.run("start", "hello").exits(1)
    finally:
        os.chmod(p.folder, 0o755)


def it_is_read_by_a_user_who_may_not_write_beside_it(p):
    if os.geteuid() != 0:
        print("        skipped: only root can become another user")
        return
    p.run("execute", "hello", "-w", "a", "--module", p.modules[0]).exits(0)
    db = sqlite3.connect(p.db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    check(not os.path.exists(p.db + "-wal"), "the file is all there is")
    os.chmod(p.folder, 0o755)
    os.chmod(p.db, 0o644)
    pawl = shutil.copy(p.pawl, os.path.join(p.folder, "pawl"))  # the build may lie where only root goes, as below /root
    for args in (["list"], ["describe", "a"], ["trace", "a"], ["show", "a"], ["verify"], ["sql", "SELECT id FROM pawl_runs"], ["result", "a"]):
        done = subprocess.run([pawl, *args], cwd="/", env=p.env, capture_output=True, text=True, user=65534, group=65534, extra_groups=[],
                              check=False)
        equal((done.returncode, done.stderr), (0, ""), f"pawl {args} as nobody\n{done.stdout}")
    equal(sorted(n for n in os.listdir(p.folder) if n.endswith(("-wal", "-shm"))), [])


def it_lists_damaged_pages_and_does_not_point_to_itself(p):
    p.serve()
    for i in range(20):
        p.ok("start", "hello", "-w", f"h{i}")
        p.ok("result", f"h{i}")
    p.stop()
    size = os.path.getsize(p.db)
    with open(p.db, "r+b") as f:
        f.seek(3 * 8192)
        f.write(random.Random(1).randbytes(min(2 * 8192, size - 3 * 8192)))
    done = p.run("verify").exits(8)
    check(done.out != "" or "restore a backup" in done.err, done.says())
    check("pawl verify" not in done.err and "verify\n" not in done.err, done.says())


def it_says_what_is_wrong_with_the_path_it_was_given(p):
    empty = p.write("empty.db", b"")
    within(p.run("list", "--db", empty).exits(8).err, "is empty")
    done = p.run("list", "--db", p.folder)
    within(done.exits(8).err, "is a folder")
    equal(done.err.count(p.folder), 1, done.err)
    done = p.run("list", "--db", p.write("text", b"hello, I am no journal\n" * 500)).exits(8)
    equal(done.err.splitlines()[0].count("/text"), 1, done.err)


def it_asks_with_sql_and_cannot_write(p):
    p.serve()
    p.ok("execute", "hello", "-w", "h1", "-i", '{"name": "Ada"}')
    for live in (True, False):
        rows = p.ok("sql", "SELECT id, status FROM pawl_runs", "-o", "json").json()
        equal(rows, [{"id": "h1", "status": 3}])
        text = p.ok("sql", "SELECT id, status FROM pawl_runs").out
        equal(text.split(), ["id", "status", "h1", "3"])
        types = [r["type"] for r in p.ok("sql", "SELECT seq, type FROM pawl_events('h1') ORDER BY seq", "-o", "jsonl").jsonl()]
        equal(p.ok("sql", "SELECT seq, command FROM pawl_events('h1') WHERE type = 'ActivityScheduled'", "-o", "json").json(),
              [{"seq": e["seq"], "command": e["command"]} for e in p.ok("show", "h1", "-o", "json").json() if e["type"] == "ActivityScheduled"])
        equal((types[0], types[-1]), ("RunStarted", "RunCompleted"))
        equal(p.ok("sql", "-", "-o", "json", stdin="SELECT 1 AS one").json(), [{"one": 1}])
        equal(p.ok("sql", "SELECT 1 WHERE 0", "-o", "json").json(), [])
        for bad in ("DELETE FROM pawl_runs", "UPDATE pawl_runs SET status = 1", "DROP TABLE pawl_log", "PRAGMA user_version = 3",
                    "ATTACH '/tmp/x.db' AS x", "SELEC 1", "SELECT 1; DELETE FROM pawl_runs", "INSERT INTO pawl_inbox(body) VALUES('')"):
            done = p.run("sql", bad)
            check(done.code not in (0, 3), f"{bad}\n{done.says()}")
            equal(done.out, "")
            check("as the user that owns" not in done.err, done.err)
        equal(p.state("h1")["status"], "completed")
        if live:
            p.stop()


def it_needs_a_folder_that_exists(p):
    done = p.run("serve", "--db", p.path("none/x.db"))
    check(done.code in (1, 4), done.says())
    within(done.err, "none/x.db")
    p.run("list", "--db", p.folder)


def it_takes_the_journal_from_the_environment(p):
    p.ok("start", "hello", "-w", "a", env={"PAWL_DB": p.path("e.db")})
    check(os.path.exists(p.path("e.db")), "PAWL_DB was not used")
    within(p.ok("list", "--db", p.path("e.db")).err, "1 request is kept")


def it_prints_json_and_nothing_else_in_json_mode_and_none_in_text_mode(p):
    """[T1]"""
    # Every command that shows something, in both JSON forms, with and without an engine: stdout parses, always.
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    for live in (True, False):
        for args in (["list"], ["describe", "l1"], ["show", "l1"], ["trace", "l1"], ["stack", "l1"], ["wait"], ["query", "l1", "state"],
                     ["query", "l1"], ["version"], ["verify"], ["sql", "SELECT * FROM pawl_runs"], ["list", "-q", "status = failed"]):
            p.ok(*args, "-o", "json").json()
            p.ok(*args, "-o", "jsonl").jsonl()
            text = p.ok(*args)
            try:
                json.loads(text.out or "no")
                check(False, f"text mode printed JSON: {text.says()}")
            except ValueError:
                pass
        if live:
            p.stop()


main(globals())
