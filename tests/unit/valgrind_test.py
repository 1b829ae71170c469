"""Runs programs under valgrind: stacks are switched in front of its eyes, and it finds nothing wrong.

valgrind_test.py PROGRAM...
"""
import os
import shutil
import subprocess
import sys

HEADER = "/usr/include/valgrind/valgrind.h"  # without it at build time fiber_annotate.h says nothing to valgrind
ERROR = 99


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def run(valgrind, program, mode):
    command = [valgrind, "--quiet", f"--error-exitcode={ERROR}", "--leak-check=full", "--errors-for-leak-kinds=definite", program]
    done = subprocess.run(command, env={**os.environ, "PAWL_RIG_MODE": mode}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    if done.returncode == 0 and "client switching stacks" not in done.stdout:
        return True
    print(done.stdout[-8000:])
    print(f"exit status {done.returncode}; to see it again: PAWL_RIG_MODE={mode}", *command)
    return False


def main():
    programs = sys.argv[1:]
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        skip("valgrind is not installed")
    if not os.path.exists(HEADER):
        skip(f"built without {HEADER}")
    results = [run(valgrind, program, mode) for program in programs for mode in
               (("normal", "no-stacks") if "engine" in os.path.basename(program) else ("normal",))]
    sys.exit(0 if all(results) else 1)


main()
