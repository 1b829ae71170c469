"""What must be written down: overviews, doc comments, invariants' tags, folder READMEs."""

import os
import re

from source import LIBRARY_FOLDERS, OWN_FOLDERS
from violation import Violation

TAG = re.compile(r"\[([A-Z]{1,2}\d{1,3})\]")
# A README defines a tag where a table row or a list item begins with it: "| [J3] |", "- **[J3]** ...".
TAG_DEFINITION = re.compile(r"^\s*(?:[|*-]|\d+\.)\s*\**`?\[([A-Z]{1,2}\d{1,3})\]", re.M)
PROTOTYPE = re.compile(r"^PAWL_API\b[^;{]*?\b(pawl_\w+)\s*\([^;{]*\)[^;{]*;", re.M)


def overviews(tree):
    """docs: every .c opens with an overview that begins with its name"""
    for file in tree.c_files():
        if not file.path.endswith(".c"):
            continue
        first = next(file.comments(), (0, ""))
        if first[0] != 1 or not re.match(rf"/\*\s*\*?\s*{re.escape(file.name)} - \S", first[1]):
            yield Violation(file.path, 1, f"must open with a comment '{file.name} - what it is', its design and what it does not "
                            "do")


def doc_comments(tree):
    """docs: every public prototype has a doc comment, and a fallible one names its errors"""
    for file in tree.files:
        if not re.fullmatch(r"sdk/pawl\w*\.h", file.path):
            continue
        for match in PROTOTYPE.finditer(file.text):
            if not is_documented(file, file.line_of(match.start())):
                yield Violation(file.path, file.line_of(match.start()), f"{match.group(1)} has no /** comment above it: a sentence, "
                                "then Owns, Thread, Errors, Replay where they are not the header's")


def is_documented(file, line):
    """A prototype shares the comment of those above it, back to a blank line or a section."""
    number = line - 1
    while number >= 1 and file.lines[number - 1].strip():
        text = file.lines[number - 1].strip()
        if text.endswith("*/") and not text.startswith("/* ---"):
            while number >= 1 and "/*" not in file.lines[number - 1]:
                number -= 1
            return "/**" in file.lines[number - 1] or "/**<" in file.lines[number - 1]
        number -= 1
    return False


def header_fields(tree):
    """docs: a public header says once which thread and, for errors and replay, what holds"""
    for file in tree.files:
        if not re.fullmatch(r"sdk/pawl\w*\.h", file.path):
            continue
        opening = next((text for line, text in file.comments() if line == 1), "")
        for field in ("Thread", "Owns", "Errors", "Replay"):
            if not re.search(rf"\b{field}s?:", file.text if field in ("Owns", "Errors") else opening):
                yield Violation(file.path, 1, f"says nowhere '{field}:': its opening comment or its prototypes must")


def defined_tags(tree):
    tags = {}
    for file in tree.files:
        if file.name == "README.md" and file.folder in OWN_FOLDERS:
            for match in TAG_DEFINITION.finditer(file.text):
                tags.setdefault(match.group(1), (file, file.line_of(match.start(1))))
    return tags


def tags_kept(tree):
    """docs: every invariant of a README is named in code and in a test"""
    used = {"code": set(), "test": set()}
    for file in tree.files:
        if file.folder == "tests" and file.name != "README.md":
            used["test"].update(TAG.findall(file.text))
        elif file.is_c or file.path.endswith(".def"):
            used["code"].update(t for _, text in file.comments() for t in TAG.findall(text))
    for tag, (readme, line) in sorted(defined_tags(tree).items()):
        if readme.folder == "tests":
            continue
        if tag not in used["code"]:
            yield Violation(readme.path, line, f"[{tag}] stands in no comment of the code: tag the code that keeps it")
        if tag not in used["test"]:
            yield Violation(readme.path, line, f"[{tag}] stands in no test: tag the test that checks it, or write one")


def tags_known(tree):
    """docs: a tag in the code is an invariant of a README"""
    known = defined_tags(tree)
    for file in tree.c_files():
        for line, text in file.comments():
            for match in TAG.finditer(text):
                if match.group(1) not in known:
                    yield Violation(file.path, line + text.count("\n", 0, match.start()), f"[{match.group(1)}] is defined in no "
                                    "README: begin a table row or list item of the folder's README with it")


def readmes(tree):
    """docs: every folder has a README"""
    for folder in LIBRARY_FOLDERS + ("tools", "tests"):
        if any(f.folder == folder for f in tree.files) and f"{folder}/README.md" not in tree.by_path:
            yield Violation(f"{folder}/README.md", 1, "is missing: tables first, invariants, decisions with what was rejected, "
                            "recipes")


def links(tree):
    """docs: what a README links to is there"""
    folders = {os.path.dirname(p) for p in tree.by_path}
    folders |= {parent for f in list(folders) for parent in parents(f)}
    for file in tree.files:
        if not file.path.endswith(".md"):
            continue
        for match in re.finditer(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", file.text):
            target = os.path.normpath(os.path.join(os.path.dirname(file.path), match.group(1)))
            if target not in tree.by_path and target not in folders:
                yield Violation(file.path, file.line_of(match.start()), f"links to {match.group(1)}, which is not there: mend "
                                "the link")


def parents(folder):
    while folder:
        yield folder
        folder = os.path.dirname(folder)


RULES = [overviews, doc_comments, header_fields, tags_kept, tags_known, readmes, links]
