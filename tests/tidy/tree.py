"""The tree as the rules see it: files with their text, and for C files the text without comments and strings and the functions.

Does not parse C: it counts braces and looks for names, which is enough for code that clang-format has laid out.
"""
import os
import re
import subprocess
from functools import cached_property

CODE = (".c", ".h")


class Function:
    """A function's definition: its name, its head and its body; the lines (from 1) where it starts, where it opens and where it ends."""

    def __init__(self, name, head, body, first, opens, last):
        self.name, self.head, self.body, self.first, self.opens, self.last = name, head, body, first, opens, last

    def line_at(self, offset):
        """The file's line of an offset into the body."""
        return self.opens + self.body.count("\n", 0, offset)

    @property
    def lines(self):
        return self.last - self.first + 1

    @property
    def is_static(self):
        return re.search(r"\bstatic\b", self.head) is not None


class File:
    def __init__(self, path, text):
        self.path, self.text = path, text

    @property
    def folder(self):
        return self.path.split("/")[0] if "/" in self.path else ""

    @property
    def is_code(self):
        return self.path.endswith(CODE)

    @property
    def is_public_header(self):
        return re.fullmatch(r"sdk/pawl\w*\.h", self.path) is not None

    @cached_property
    def lines(self):
        return self.text.split("\n")

    @cached_property
    def bare(self):
        """The text with comments, strings and characters blanked; every line and column stays where it was."""
        return blank(self.text)

    @cached_property
    def bare_lines(self):
        return self.bare.split("\n")

    @cached_property
    def plain(self):
        """As bare, without preprocessor lines, calls of macros at the margin and the brace of extern "C"."""
        return without_directives(self.bare, self.text)

    @cached_property
    def functions(self):
        return list(find_functions(self.plain))

    @cached_property
    def comments(self):
        """(first line, last line, text) of each comment."""
        found = []
        for match in TOKEN.finditer(self.text):
            if match.group().startswith(("/*", "//")):
                first = line_of(self.text, match.start())
                found.append((first, first + match.group().count("\n"), match.group()))
        return found


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text):
    def spaces(match):
        token = match.group()
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(spaces, text)


def without_directives(bare, text):
    out, going_on = [], False
    for line, original in zip(bare.split("\n"), text.split("\n")):
        directive = going_on or line.lstrip().startswith("#")
        going_on = directive and line.rstrip().endswith("\\")
        out.append("" if directive else line)
        if re.match(r'\s*extern "C" \{|[A-Z][A-Z0-9_]*\(.*\)$', original):  # the latter: a macro that makes functions
            out[-1] = ""
    return "\n".join(out)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def find_functions(plain):
    depth, opened, statement = 0, 0, 0
    for match in re.finditer(r"[{};]", plain):
        at, what = match.start(), match.group()
        if what == "{":
            depth += 1
            if depth == 1:
                opened = at
        elif what == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                head = plain[statement:opened]
                if looks_like_function(head):
                    start = statement + len(head) - len(head.lstrip())
                    yield Function(function_name(head), head.strip(), plain[opened:at + 1],
                                   line_of(plain, start), line_of(plain, opened), line_of(plain, at))
                    statement = at + 1
        if depth == 0 and what == ";":
            statement = at + 1


def looks_like_function(head):
    return re.search(r"\)\s*$", head) is not None and "=" not in head.split("(")[0]


def function_name(head):
    match = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.S))
    return match.group(1) if match else "?"


class Tree:
    """Every text file of a checkout, by path."""

    def __init__(self, texts):
        self.files = [File(path, text) for path, text in sorted(texts.items())]
        self.by_path = {file.path: file for file in self.files}

    def code(self, *folders):
        return [f for f in self.files if f.is_code and (not folders or f.folder in folders)]

    @staticmethod
    def read(root):
        texts = {}
        for path in paths_of(root):
            try:
                with open(os.path.join(root, path), encoding="utf-8", newline="") as file:
                    texts[path] = file.read()
            except (UnicodeDecodeError, IsADirectoryError, FileNotFoundError):
                continue  # a golden file in binary, a link to a folder, or a file being deleted
        return Tree(texts)


def paths_of(root):
    git = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         capture_output=True, text=True, check=False)
    if git.returncode == 0 and git.stdout:
        return git.stdout.rstrip("\0").split("\0")
    return walk(root)


def walk(root):
    """For a checkout without git: all files but those of build/ and of caches."""
    found = []
    for folder, folders, names in os.walk(root):
        here = os.path.relpath(folder, root)
        folders[:] = [f for f in folders if f not in (".git", "__pycache__") and (here, f) != (".", "build")]
        found += [os.path.normpath(os.path.join(here, name)) for name in names]
    return found
