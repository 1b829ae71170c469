#!/usr/bin/env python3
"""Each block of a README that is marked ```c compiles as a program of its own; one with main() is linked, run and must exit 0.

A block without #include gets <stdio.h> and <pawl.h>. A fragment that is no translation unit is marked ```text instead.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

WARNINGS = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
BLOCK = re.compile(r"^```c[ \t]*\n(.*?)^```", re.M | re.S)


def readmes(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in (".git", "build"))
        yield from (os.path.join(folder, n) for n in sorted(names) if n.endswith(".md"))


def blocks(path):
    """(line, text) of each C block."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 2, match.group(1)


def source_of(path, line, text):
    """The block as a translation unit whose messages name the README's line."""
    before = "" if "#include" in text else "#include <stdio.h>\n#include <pawl.h>\n"
    return f'{before}#line {line} "{path}"\n{text}'


def check(args, scratch, path, line, text):
    """What is wrong with a block, or nothing."""
    program = os.path.join(scratch, "snippet")
    command = [args.cc, *WARNINGS, *args.flags.split(), f"-I{args.include}", "-x", "c", "-"]
    has_main = re.search(r"\bint main\s*\(", text) is not None
    command += ["-o", program, "-x", "none", args.library, f"-Wl,-rpath,{os.path.dirname(args.library)}"] if has_main \
        else ["-fsyntax-only"]
    built = subprocess.run(command, input=source_of(path, line, text), text=True, capture_output=True)
    if built.returncode != 0:
        return f"does not compile:\n{built.stderr}"
    if not has_main:
        return None
    try:
        ran = subprocess.run([program], cwd=scratch, text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "runs longer than 60 s"
    return None if ran.returncode == 0 else f"ended with {ran.returncode}\n{ran.stdout}{ran.stderr}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("cc", "include", "library", "root"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--flags", default="")
    args = parser.parse_args()
    count = bad = 0
    for path in readmes(args.root):
        for line, text in blocks(path):
            count += 1
            with tempfile.TemporaryDirectory(prefix="pawl-snippet-") as scratch:
                wrong = check(args, scratch, os.path.relpath(path, args.root), line, text)
            if wrong:
                bad += 1
                print(f"{os.path.relpath(path, args.root)}:{line}: this block {wrong}")
    print(f"{count} C blocks of READMEs, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
