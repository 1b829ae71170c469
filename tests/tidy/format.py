#!/usr/bin/env python3
"""The tree is laid out as .clang-format says. usage: format.py ROOT

Runs clang-format 14, Debian 12's: other versions break lines elsewhere. Does not change anything; the fix is printed.
"""
import re
import shutil
import subprocess
import sys

VERSION = "14"


def formatter():
    """A clang-format of that version, or None."""
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout if path else ""
        if re.search(rf"version {VERSION}\.", said):
            return path
    return None


def sources(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "*.c", "*.h"], capture_output=True, text=True, check=False)
    return listed.stdout.split() if listed.returncode == 0 else []


def main(root):
    tool, files = formatter(), sources(root)
    if tool is None or not files:
        print("skipped: " + (f"clang-format {VERSION} is not here" if tool is None else f"{root} is not a git checkout"))
        return 77
    said = subprocess.run([tool, "--dry-run", "--Werror", *files], cwd=root, capture_output=True, text=True, check=False).stderr
    wrong = sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: error: code should be clang-formatted", said, re.M)))
    for name in wrong:
        print(f"{name}: layout; to mend it: {tool} -i {name}")
    print(f"format: {len(files)} files, {len(wrong)} not as .clang-format says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
