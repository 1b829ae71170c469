#!/usr/bin/env python3
"""Runs a test program that was built with a seeded bug and demands that a test in it fails: must_fail.py PROGRAM [ARG...]

A crash, a skip or a program that does not start is not a finding; a broken invariant that the engine's own check names is
one. Exit code 0: the bug was caught.
"""
import os
import subprocess
import sys


def main(argv):
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # a failed assertion jumps out of its test
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines = done.stdout.splitlines()
    found = [line for line in lines if "  ERROR  " in line or line.startswith("seed ") or "a broken invariant" in line]
    failed = "[  FAILED  ]" in done.stdout or any(line.startswith("again: pawl-sim") for line in lines)
    caught = done.returncode > 0 and done.returncode != 77 and failed
    checked = done.returncode != 0 and "pawl: a broken invariant" in done.stdout
    if (caught or checked) and "failed with exception" not in done.stdout:
        print("caught: " + (found[-1] if found else "a test failed"))
        return 0
    print(done.stdout[-3000:])
    print("NOT caught: %s ended with %d" % (" ".join(argv), done.returncode))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
