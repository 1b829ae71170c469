"""The tree as the rules see it: files, their text without comments and strings, and their functions.

It is a scanner, not a parser: it knows comments, literals, braces and preprocessor lines. It does not expand macros.
"""

import os
import re
import subprocess

OWN_FOLDERS = ("sdk", "journal", "engine", "activities", "workflows", "tools", "tests")
LIBRARY_FOLDERS = ("sdk", "journal", "engine", "activities", "workflows")
SKIPPED_FOLDERS = {".git", "build", "__pycache__"}


def blanked(match):
    """Spaces instead of text, newlines kept, so that offsets and lines stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M | re.S)


class Function:
    def __init__(self, name, first, last, parameters, body, body_line):
        self.name = name
        self.first = first
        self.last = last
        self.parameters = parameters
        self.body = body
        self.body_line = body_line

    @property
    def length(self):
        return self.last - self.first + 1


class File:
    """One file. `code` has comments and literals blanked, `plain` preprocessor lines too."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.is_c = path.endswith((".c", ".h"))
        self.folder = path.split("/")[0] if "/" in path else ""
        self.name = os.path.basename(path)
        self._code = self._plain = self._functions = None

    @property
    def code(self):
        if self._code is None:
            self._code = TOKEN.sub(blanked, self.text)
        return self._code

    @property
    def plain(self):
        if self._plain is None:
            self._plain = PREPROCESSOR.sub(blanked, self.code)
        return self._plain

    @property
    def functions(self):
        if self._functions is None:
            self._functions = list(find_functions(self.plain)) if self.is_c else []
        return self._functions

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def comments(self):
        """(line, text) of each comment."""
        for match in TOKEN.finditer(self.text):
            if match.group(0).startswith("/"):
                yield self.line_of(match.start()), match.group(0)

    def includes(self):
        """(line, name, quoted) of each #include."""
        pattern = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)
        for match in pattern.finditer(self.text):
            if self.code[match.start():match.end()].lstrip()[:1] != "#":
                continue  # an example in a comment
            yield self.line_of(match.start(1 if match.group(1) else 2)), match.group(1) or match.group(2), \
                bool(match.group(1))


def open_of(text, close, pair="()"):
    """The offset of the bracket that text[close] closes, or -1."""
    depth = 0
    for i in range(close, -1, -1):
        if text[i] == pair[1]:
            depth += 1
        elif text[i] == pair[0]:
            depth -= 1
            if depth == 0:
                return i
    return -1


def close_of(text, opening, pair="{}"):
    """The offset of the bracket that closes text[opening], or the end."""
    depth = 0
    for i in range(opening, len(text)):
        if text[i] == pair[0]:
            depth += 1
        elif text[i] == pair[1]:
            depth -= 1
            if depth == 0:
                return i
    return len(text) - 1


def split_top(text):
    """Splits at commas outside brackets."""
    parts, depth, part = [], 0, ""
    for c in text:
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
            continue
        depth += (c in "([{") - (c in ")]}")
        part += c
    parts.append(part)
    return [p.strip() for p in parts if p.strip()]


def find_functions(text):
    """Each definition at file level: a brace after a closing parenthesis."""
    at = 0
    start = 0  # where the declaration that is being read began
    while at < len(text):
        c = text[at]
        if c == ";":
            start = at + 1
        elif c == "{":
            head = text[start:at]
            if re.fullmatch(r'\s*extern\s*', head):
                start = at + 1
                at += 1
                continue
            end = close_of(text, at)
            signature = signature_of(text, start, at)
            if signature:
                name, parameters = signature
                first = start + len(head) - len(head.lstrip())
                yield Function(name, text.count("\n", 0, first) + 1, text.count("\n", 0, end) + 1, parameters,
                               text[at:end + 1], text.count("\n", 0, at) + 1)
                start = end + 1
            at = end
        elif c == "}":  # of extern "C"
            start = at + 1
        at += 1


def signature_of(text, start, brace):
    """(name, parameters) when what stands before the brace is a function's head."""
    head = text[start:brace].rstrip()
    if not head.endswith(")") or "=" in re.sub(r"\(.*", "", head, flags=re.S):
        return None
    opening = open_of(head, len(head) - 1)
    if opening < 0:
        return None
    name = re.search(r"(\w+)\s*$", head[:opening])
    if not name:
        return None
    parameters = split_top(head[opening + 1:-1])
    return name.group(1), [] if parameters == ["void"] else parameters


class Tree:
    """All files of the project that are text of ours."""

    def __init__(self, files, root_entries):
        self.files = files
        self.by_path = {f.path: f for f in files}
        self.root_entries = root_entries

    def c_files(self, folders=OWN_FOLDERS):
        return [f for f in self.files if f.is_c and f.folder in folders]


def listed_by_git(root):
    """Paths that git tracks or would track, or None where there is no git."""
    try:
        done = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others",
                               "--exclude-standard"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [p for p in done.stdout.decode().split("\0") if p and os.path.isfile(os.path.join(root, p))]


def listed_by_walk(root):
    paths = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
        paths += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return paths


def read_tree(root):
    paths = listed_by_git(root)
    if paths is None:
        paths = listed_by_walk(root)
    files = []
    for path in sorted(paths):
        with open(os.path.join(root, path), "rb") as f:
            data = f.read()
        if b"\0" not in data[:8192]:
            files.append(File(path, data.decode("utf-8", "replace")))
    return Tree(files, sorted({p.split("/")[0] for p in paths}))


def tree_of(texts):
    """A tree made of {path: text}, for the rules' own tests."""
    return Tree([File(p, t) for p, t in sorted(texts.items())], sorted({p.split("/")[0] for p in texts}))
