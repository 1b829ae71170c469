"""tidy.py [ROOT] [RULE...]: checks the tree against the house's rules. Prints FILE:LINE: RULE: what to do; exits 1 if anything was found.

A rule is a function in rules_*.py; self_test.py proves that each can fail.
"""
import sys
from pathlib import Path

import rules_code  # noqa: F401  registers its rules
import rules_layers  # noqa: F401
import rules_size  # noqa: F401
import rules_text  # noqa: F401
from rule import RULES
from tree import Tree


def violations(tree, names=None):
    for name in names or RULES:
        for file, line, what in RULES[name](tree):
            yield file.path, line, name, what


def main(arguments):
    root = arguments[0] if arguments else str(Path(__file__).resolve().parents[2])
    unknown = [name for name in arguments[1:] if name not in RULES]
    if unknown:
        print(f"no rule {unknown[0]}; there are: {' '.join(RULES)}")
        return 2
    tree = Tree.read(root)
    found = sorted(set(violations(tree, arguments[1:])))
    for path, line, name, what in found:
        print(f"{path}:{line}: {name}: {what}")
    print(f"tidy: {len(tree.files)} files, {len(arguments[1:] or RULES)} rules, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
