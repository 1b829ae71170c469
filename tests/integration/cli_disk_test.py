"""A disk that is full, for real: the journal on a small tmpfs of the test's own mount namespace.

    python3 cli_disk_test.py PAWL MODULE.so ... [TEST]

Skipped (77) where the kernel gives no such namespace. Does not cover faults at chosen writes: tests/fault does.
"""
import ctypes
import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "embed"))
import cli_rig  # noqa: E402
from cli_model_test import tiny  # noqa: E402
from cli_rig import check, equal, within  # noqa: E402

MIB = 1 << 20
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def mount(libc, kind, target, flags, data):
    if libc.mount(kind, target.encode(), kind, flags, data) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def own_mounts():
    """This process's own mounts: as root, else as the root of a user namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    try:
        if libc.unshare(CLONE_NEWNS | (0 if uid == 0 else CLONE_NEWUSER)) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if uid != 0:
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w") as f:
                    f.write(text)
        mount(libc, None, "/", MS_REC | MS_PRIVATE, None)
    except OSError as error:
        print(f"skipped: no mount namespace of its own ({error})")
        sys.exit(77)
    return libc


def small_disk(p, mib):
    """The test's folder becomes a disk of its own."""
    try:
        mount(LIBC, b"tmpfs", p.folder, 0, f"size={mib}m".encode())
    except OSError as error:
        print(f"skipped: no tmpfs may be mounted ({error})")
        sys.exit(77)


def fill(p, leave, name="filler"):
    """Takes what is free but `leave` bytes."""
    free = os.statvfs(p.folder).f_bavail * os.statvfs(p.folder).f_frsize
    with open(p.path(name), "wb") as f:
        os.posix_fallocate(f.fileno(), 0, free - leave)


def until(what, message):
    end = time.monotonic() + cli_rig.DEADLINE
    while not what():
        check(time.monotonic() < end, message)
        time.sleep(0.02)


def ballast(p):
    path = p.path("pawl.db.ballast")
    return os.path.getsize(path) if os.path.exists(path) else 0


def letters(size, seed):
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))


def start_until_full(p, kib):
    """Ids that were acked, and the command that was not."""
    acked = []
    for n in range(4000):
        name = p.write("input.json", json.dumps({"text": letters(kib * 1024, n)})) if kib < 64 else None
        done = p.run("start", "echo", "-w", f"e{n}", "-i", f"@{name}" if name else "-",
                     stdin="" if name else json.dumps({"text": letters(kib * 1024, n)}))
        if done.code != 0:
            return acked, done
        acked.append(f"e{n}")
    raise cli_rig.Failure("the disk never was full")


def it_loses_nothing_on_a_full_disk_and_goes_on_when_there_is_room(p):
    """[E9]"""
    small_disk(p, 96)
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    until(lambda: ballast(p) == 16 * MIB, "there is no ballast")
    fill(p, 6 * MIB)
    acked, refused = start_until_full(p, 200)
    check(len(acked) > 3, f"only {len(acked)} starts fitted")
    refused.exits(1)
    within(refused.err, "full")
    within(refused.err, "pawl.db")
    # What is needed to get out of it still works: looking, and ending runs.
    equal(p.state("l1")["status"], "running", "l1")
    p.ok("cancel", "l1")
    p.until_status("l1", "canceled")
    check(p.engine.poll() is None, "the engine ended")
    within(p.read("serve.log"), "the disk is full")
    check(ballast(p) == 0, "the ballast was not given up")
    within(p.run("start", "echo", "-w", "refused", "-i", "1").exits(1).err, "nothing new is begun")
    os.unlink(p.path("filler"))
    until(lambda: ballast(p) == 16 * MIB, "the ballast was not taken back")
    until(lambda: p.run("start", "echo", "-w", "after", "-i", '{"n": 1}').code == 0, "nothing starts")
    p.until_status("after", "completed")
    for run in acked:
        p.until_status(run, "completed")
    equal(p.run("describe", f"e{len(acked)}").code, 4, "what was refused")
    equal(p.stop(), 0, "serve")
    p.ok("verify")


def it_keeps_no_request_on_a_full_disk_without_an_engine_and_says_so(p):
    small_disk(p, 96)
    p.serve()
    p.ok("start", "echo", "-w", "first", "-i", "1")
    p.until_status("first", "completed")
    p.stop()
    fill(p, 1 * MIB)
    acked, refused = start_until_full(p, 200)
    refused.exits(1)
    within(refused.err, "full")
    os.unlink(p.path("filler"))
    p.serve()
    for run in acked:
        p.until_status(run, "completed")
    equal(p.run("describe", f"e{len(acked)}").code, 4, "what was refused")
    p.stop()
    p.ok("verify")


def it_takes_away_without_an_engine_on_a_full_disk_by_the_ballast_or_says_what_room_it_needs(p):
    small_disk(p, 96)
    if p.run("index", "list").code == 2:
        return  # built without models, so without collections
    folder, _ = tiny(p, "tiny")
    p.serve()
    p.ok("index", "create", "docs", "--model", folder)
    p.ok("index", "add", "docs", "--model", folder, stdin="".join(json.dumps({"key": k, "text": "a red car"}) + "\n" for k in "abcd"))
    until(lambda: ballast(p) == 16 * MIB, "there is no ballast")
    equal(p.stop(), 0, "serve")
    fill(p, 0)
    p.ok("index", "delete", "docs", "a")
    check(ballast(p) == 0, "the ballast was not given up")
    fill(p, 0, "more")
    refused = p.run("index", "delete", "docs", "b").exits(1)
    within(refused.err, "full")
    within(refused.err, "1024 KiB")
    within(refused.err, "pawl.db")
    os.truncate(p.path("more"), os.path.getsize(p.path("more")) - MIB)
    p.ok("index", "delete", "docs", "b")
    p.ok("index", "remove", "docs", "--yes")
    p.ok("verify")


def it_is_served_again_on_a_full_disk_by_the_ballast(p):
    small_disk(p, 96)
    p.serve()
    p.ok("start", "listening", "-w", "l1")
    p.until_waiting("l1", "signal")
    until(lambda: ballast(p) == 16 * MIB, "there is no ballast")
    equal(p.stop(), 0, "serve")
    fill(p, 0)
    p.serve()
    check(ballast(p) == 0, "the ballast was not given up")
    p.ok("cancel", "l1")
    p.until_status("l1", "canceled")
    equal(p.stop(), 0, "serve")
    p.ok("verify")


def it_enters_no_journal_without_a_lock_on_a_full_disk(p):
    small_disk(p, 64)
    p.serve()
    until(lambda: ballast(p) == 16 * MIB, "there is no ballast")
    equal(p.stop(), 0, "serve")
    os.unlink(p.path("pawl.db.lock"))
    fill(p, 0)
    within(p.run("start", "echo", "-w", "e1", "-i", "1").exits(1).err, "No space left")
    check(ballast(p) == 16 * MIB, "the ballast is the owner's to give up")


def it_says_that_a_new_journal_does_not_fit(p):
    small_disk(p, 4)
    fill(p, 64 * 1024)
    done = p.run("start", "echo", "-w", "a", "-i", "1")
    check(done.code == 1, done.says())
    within(done.err, "full")
    os.unlink(p.path("filler"))
    leftovers = [n for n in os.listdir(p.folder) if n == "pawl.db"]
    if leftovers:  # what was begun is not in the way
        p.run("verify")


def it_survives_a_kill_with_the_disk_full(p):
    small_disk(p, 96)
    p.serve()
    fill(p, 4 * MIB)
    acked, _ = start_until_full(p, 200)
    p.engine.kill()
    p.engine.wait()
    p.engine.stdout.close()
    p.engine = None
    os.unlink(p.path("filler"))
    p.serve()
    for run in acked:
        p.until_status(run, "completed")
    p.stop()
    p.ok("verify")


LIBC = own_mounts()
cli_rig.main(globals())
