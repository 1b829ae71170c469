#!/usr/bin/env python3
"""Checks the style that no compiler checks: layers, sizes, banned functions and words, docs.

usage: tidy.py [--root DIR] [--rule NAME]... [--list] [--count]
Prints one line for each violation, `file:line: what; what to do [rule]`, and exits 1 if there is one.
"""

import argparse
import os
import sys

import rules_docs
import rules_layers
import rules_shape
import rules_words
from source import read_tree

ALL_RULES = rules_layers.RULES + rules_shape.RULES + rules_words.RULES + rules_docs.RULES


def violations(tree, names=()):
    for rule in ALL_RULES:
        if not names or rule.__name__ in names:
            for violation in rule(tree):
                yield rule.__name__, violation


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    parser.add_argument("--rule", action="append", default=[], help="only this rule")
    parser.add_argument("--list", action="store_true", help="show the rules")
    parser.add_argument("--count", action="store_true", help="show how many violations each rule and folder has")
    args = parser.parse_args()
    if args.list:
        for rule in ALL_RULES:
            print(f"{rule.__name__:22} {rule.__doc__}")
        return 0
    found = list(violations(read_tree(args.root), args.rule))
    if args.count:
        show_counts(found)
    else:
        for rule, v in found:
            print(f"{v.path}:{v.line}: {v.text} [{rule}]")
    print(f"{len(found)} violations" if found else "tidy: no violation")
    if found:
        print("again: python3 tests/tidy/tidy.py")
    return 1 if found else 0


def show_counts(found):
    counts = {}
    for rule, v in found:
        key = (rule, v.path.split("/")[0])
        counts[key] = counts.get(key, 0) + 1
    for (rule, folder), count in sorted(counts.items()):
        print(f"{count:6} {rule:22} {folder}")


if __name__ == "__main__":
    sys.exit(main())
