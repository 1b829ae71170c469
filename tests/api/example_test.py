"""The program in the header comment of pawl_workflow.h is the one in sdk/examples/fix_issue.c, and it runs.

usage: example_test.py HEADER EXAMPLE PROGRAM
"""
import difflib
import subprocess
import sys


def shown(header):
    """The lines of the program in the header's comment, without the comment's edge."""
    lines = open(header, encoding="utf-8").read().split("\n")
    first = next(i for i, line in enumerate(lines) if "static const pawl_value *fix_issue(" in line)
    last = next(i for i in range(first, len(lines)) if lines[i] == " *     }")
    return [line[len(" *     "):] for line in lines[first:last + 1]]


def main():
    header, example, program = sys.argv[1:]
    expected = shown(header)
    source = open(example, encoding="utf-8").read().split("\n")
    first = source.index(expected[0])
    found = source[first:first + len(expected)]
    if found != expected:
        print("\n".join(difflib.unified_diff(expected, found, header, example, lineterm="")))
        sys.exit("the header's program and the example differ")
    run = subprocess.run([program], capture_output=True, text=True, timeout=50, check=False)
    print(run.stdout, run.stderr, sep="")
    if run.returncode != 0:
        sys.exit(f"{program} ended with {run.returncode}; run it again to see")
    lines = run.stdout.split("\n")
    for wanted in ("RunStarted", "ActivityScheduled", "MapScheduled", "WaitCreated"):
        if wanted not in lines:
            sys.exit(f"no event {wanted} was shown")
    if 'result: {"pr":"https://example.org/pr/1"}' not in run.stdout.replace('": "', '":"'):
        sys.exit("the result is not the pull request's address")


if __name__ == "__main__":
    main()
