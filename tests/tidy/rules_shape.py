"""Sizes and shapes: lines, functions, files, names."""

import re

from source import LIBRARY_FOLDERS, OWN_FOLDERS, open_of
from violation import Violation

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 900
COLUMNS_MAX = 100
PARAMETERS_MAX = 6
NESTING_MAX = 3
VAGUE_NAMES = re.compile(r"(^|[_-])(utils?|helpers?|common|misc|managers?)([_.-]|$)")


def function_length(tree):
    """shape: a function has at most 70 lines"""
    for file in tree.c_files():
        for f in file.functions:
            if f.length > FUNCTION_LINES_MAX:
                yield Violation(file.path, f.first, f"{f.name} has {f.length} lines, at most {FUNCTION_LINES_MAX}: keep the "
                                "branches, move the straight parts into functions of their own")


def function_parameters(tree):
    """shape: a function has at most 6 parameters, pawl_error *err not counted"""
    for file in tree.c_files():
        for f in file.functions:
            count = sum(1 for p in f.parameters if not re.fullmatch(r"pawl_error\s*\*\s*\w+", p))
            if count > PARAMETERS_MAX:
                yield Violation(file.path, f.first, f"{f.name} has {count} parameters, at most {PARAMETERS_MAX} besides err: "
                                "make a struct of what belongs together")


def control_depths(body):
    """(offset, depth) of each block that belongs to a control statement."""
    stack = []
    for i, c in enumerate(body):
        if c == "{":
            stack.append(i > 0 and is_control(body, i))
            if stack[-1]:
                yield i, sum(stack)
        elif c == "}" and stack:
            stack.pop()


def is_control(body, brace):
    before = body[:brace].rstrip()
    if re.search(r"\b(else|do)$", before):
        return True
    if not before.endswith(")"):
        return False
    opening = open_of(before, len(before) - 1)
    word = re.search(r"(\w+)\s*$", before[:opening]) if opening >= 0 else None
    return bool(word) and word.group(1) not in ("return", "sizeof")


def nesting(tree):
    """shape: control statements nest at most 3 deep"""
    for file in tree.c_files():
        for f in file.functions:
            deep = next((i for i, depth in control_depths(f.body) if depth > NESTING_MAX), None)
            if deep is not None:
                yield Violation(file.path, f.body_line + f.body.count("\n", 0, deep), f"{f.name} nests deeper than "
                                f"{NESTING_MAX}: return early, or give the inner block a name")


def conditional_inside(tree):
    """shape: no conditional compilation inside a function"""
    for file in tree.c_files():
        for f in file.functions:
            for number in range(f.first, f.last + 1):
                if re.match(r"\s*#\s*if", file.lines[number - 1]):
                    yield Violation(file.path, number, f"#if inside {f.name}: one file for each choice, picked by CMake, or a "
                                    "constant that the compiler removes")


def file_length(tree):
    """shape: a file has at most 900 lines"""
    for file in tree.files:
        if file.folder in OWN_FOLDERS and file.path.endswith((".c", ".h", ".py", ".sh", ".cu")) \
                and len(file.lines) - 1 > FILE_LINES_MAX:
            yield Violation(file.path, FILE_LINES_MAX + 1, f"{len(file.lines) - 1} lines, at most {FILE_LINES_MAX}: split it by "
                            "noun")


def columns(tree):
    """shape: a line of C has at most 100 columns"""
    for file in tree.c_files():
        for number, line in enumerate(file.lines, 1):
            if len(line) > COLUMNS_MAX:
                yield Violation(file.path, number, f"{len(line)} columns, at most {COLUMNS_MAX}: break the line "
                                "(clang-format -i does it for code)")


def whitespace(tree):
    """shape: no tabs in C, no spaces at the end of a line, a newline at the end"""
    for file in tree.files:
        if file.folder not in OWN_FOLDERS or not file.path.endswith((".c", ".h", ".def", ".py", ".sh", ".txt", ".cmake", ".md")):
            continue
        for number, line in enumerate(file.lines, 1):
            if line != line.rstrip() and not file.path.endswith(".md"):
                yield Violation(file.path, number, "ends with spaces: remove them")
            if file.is_c and "\t" in line:
                yield Violation(file.path, number, "has a tab: indent with 4 spaces, write \\t in strings")
        if file.text and not file.text.endswith("\n"):
            yield Violation(file.path, len(file.lines), "has no newline at its end: add one")


def file_names(tree):
    """shape: a file is named after its noun"""
    for file in tree.files:
        if file.folder in OWN_FOLDERS and VAGUE_NAMES.search(file.name):
            yield Violation(file.path, 1, "a name that says nothing: name the file after the one noun it defines")


def symbol_names(tree):
    """shape: functions that others see are pw_ or pawl_, others are static"""
    for file in tree.c_files(LIBRARY_FOLDERS):
        if not file.path.endswith(".c") or file.path.startswith("sdk/examples/"):
            continue
        for f in file.functions:
            head = "\n".join(file.lines[f.first - 1:f.body_line])
            if not re.search(r"\bstatic\b", head) and not re.match(r"(pw|pawl)_", f.name):
                yield Violation(file.path, f.first, f"{f.name} is visible to other files: name it pw_{f.name}, or make it static")
            if re.search(r"\bstatic\b", head) and re.match(r"(pw|pawl)_", f.name) and not file.path.endswith(".h"):
                yield Violation(file.path, f.first, f"{f.name} is static: a file's own function has no prefix")


RULES = [function_length, function_parameters, nesting, conditional_inside, file_length, columns, whitespace, file_names,
         symbol_names]
