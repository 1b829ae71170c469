"""Who may use whom: the arrows between folders, foreign headers, what public headers and library code may name."""

import re

from source import LIBRARY_FOLDERS
from violation import Violation

# folder -> folders of ours that it may include from. tools and tests see everything below them.
ARROWS = {
    "sdk": {"sdk"},
    "journal": {"sdk", "journal"},
    "engine": {"sdk", "journal", "engine"},
    "activities": {"sdk", "activities"},
    "workflows": {"sdk", "workflows"},
    "tools": {"sdk", "journal", "engine", "activities", "workflows", "tools"},
    "tests": {"sdk", "journal", "engine", "activities", "workflows", "tools", "tests"},
}

# foreign header -> the only files that may include it, and why
FOREIGN = {
    r"uv\.h": (r"engine/control\w*\.[ch]|engine/\w*loop\w*\.[ch]|tests/.*",
               "libuv belongs to the engine's loop files: go through engine/loop.h or the mailbox"),
    r"sqlite3(ext)?\.h": (r"journal/(sqlite|verify|db|tx|vfs)\w*\.[ch]|tests/.*",
                          "SQLite stays behind the journal's interface: go through journal/journal.h"),
    r"sodium\.h|xxhash\.h": (r"sdk/base/hash\.[ch]|engine/hash\.h|tests/.*",
                             "hashes have one door: use sdk/base/hash.h"),
    r"ucontext\.h|boost/.*": (r"engine/fiber\w*\.[ch]|tests/.*", "stacks have one door: use engine/fiber.h"),
    r"curl/.*|microhttpd\.h|cuda\w*\.h|cublas\w*\.h": (r"", "the core needs no curl, HTTP server or CUDA"),
}

# headers that show SQLite's types: the journal keeps them to itself
PRIVATE_TO = {"journal": r"journal/(db|tx)\.h"}

STANDARD_IN_PUBLIC = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "limits.h"}


def our_folder(name):
    return name.split("/")[0] if name.split("/")[0] in ARROWS else None


def resolved(file, name):
    """A quoted name without a folder of ours is a sibling."""
    return name if our_folder(name) else file.path.rsplit("/", 1)[0] + "/" + name


def arrows(tree):
    """layers: a folder includes only from folders below it"""
    for file in tree.c_files():
        for line, name, quoted in file.includes():
            target = our_folder(resolved(file, name)) if quoted else None
            if target and target not in ARROWS[file.folder]:
                yield Violation(file.path, line, f"{file.folder}/ includes {name}, but may use only "
                                f"{', '.join(sorted(ARROWS[file.folder]))}: move what is needed down to sdk/, or pass it in")


def user_view(tree):
    """layers: workflows and examples see what a user sees"""
    for file in tree.c_files(("workflows", "sdk")):
        if file.folder == "sdk" and not file.path.startswith("sdk/examples/"):
            continue
        for line, name, quoted in file.includes():
            path = resolved(file, name)
            if quoted and our_folder(path) == "sdk" and not re.fullmatch(r"sdk/pawl\w*\.h", path) \
                    and re.fullmatch(r"pawl\w*\.h", name) is None and not path.startswith("sdk/examples/"):
                yield Violation(file.path, line, f"includes {name}: built-in workflows and examples use only the public "
                                "headers sdk/pawl*.h, as a user does")


def foreign(tree):
    """layers: each foreign library has its files"""
    for file in tree.c_files():
        for line, name, quoted in file.includes():
            for header, (allowed, why) in FOREIGN.items():
                if not quoted and re.fullmatch(header, name) and not re.fullmatch(allowed, file.path):
                    yield Violation(file.path, line, f"includes <{name}>: {why}")
            for folder, header in PRIVATE_TO.items():
                if quoted and re.fullmatch(header, resolved(file, name)) and file.folder not in (folder, "tests"):
                    yield Violation(file.path, line, f"includes {name}, which is private to {folder}/: use its interface")


def public_headers(tree):
    """layers: public headers include siblings and plain C headers only"""
    for file in tree.files:
        if not re.fullmatch(r"sdk/pawl\w*\.h", file.path):
            continue
        for line, name, quoted in file.includes():
            if quoted and not re.fullmatch(r"pawl\w*\.(h|def)", name):
                yield Violation(file.path, line, f"includes \"{name}\": a public header includes its siblings as "
                                "\"pawl_x.h\", because they are installed side by side")
            if not quoted and name not in STANDARD_IN_PUBLIC:
                yield Violation(file.path, line, f"includes <{name}>: public headers need only "
                                f"{', '.join(sorted(STANDARD_IN_PUBLIC))}")


def quoting(tree):
    """layers: our headers are named from the root"""
    for file in tree.c_files(LIBRARY_FOLDERS + ("tools",)):
        if re.fullmatch(r"sdk/pawl\w*\.h|sdk/examples/.*", file.path):
            continue
        for line, name, quoted in file.includes():
            if quoted and not our_folder(name) and not name.endswith(".inc"):
                yield Violation(file.path, line, f"includes \"{name}\": name it from the root, as \"{resolved(file, name)}\"")


RULES = [arrows, user_view, foreign, public_headers, quoting]
