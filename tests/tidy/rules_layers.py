"""Who may include whom: the arrows between the folders, and which files know a foreign library."""
import re

from rule import rule

ARROWS = {
    "sdk": {"sdk"},
    "journal": {"journal", "sdk"},
    "engine": {"engine", "journal", "sdk"},
    "activities": {"activities", "sdk"},
    "workflows": {"workflows", "sdk"},
    "tools": {"tools", "workflows", "activities", "engine", "journal", "sdk"},
    "tests": {"tests", "tools", "workflows", "activities", "engine", "journal", "sdk"},
}

# Foreign headers and the files that may see them.
FOREIGN = {
    "sqlite3.h": r"journal/|tests/",
    "uv.h": r"engine/(loop|control)\w*\.[ch]$|activities/|tools/|tests/",
    "ucontext.h": r"engine/fiber_ucontext\.c$|engine/watchdog\.c$",
    "pcre2.h": r"sdk/base/",
    "sodium.h": r"sdk/base/|journal/|workflows/|tests/",
    "xxhash.h": r"sdk/base/|journal/record_sum\.h$|engine/hash\.h$|tests/",
    "uthash.h": r"sdk/base/hash_map\.h$|journal/|tests/",
    "curl/curl.h": r"activities/|tests/bench/",
    "microhttpd.h": r"tools/",
    "openssl/ssl.h": r"tools/tls\.c$",
    "openssl/err.h": r"tools/tls\.c$",
    "openssl/x509v3.h": r"tools/tls\.c$",
    "jansson.h": r"tests/",
    "msgpack.h": r"tests/",
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def includes(file):
    for number, line in enumerate(file.lines, 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


@rule("layers")
def layers(tree):
    """A folder includes only what stands below it."""
    for file in tree.code(*ARROWS):
        for number, own, _ in includes(file):
            if own is None or "/" not in own:
                continue
            folder = own.split("/")[0]
            if folder in ARROWS and folder not in ARROWS[file.folder]:
                yield file, number, f"{file.folder}/ must not include {folder}/: meet at a header in sdk/"
            elif file.folder == "workflows" and folder == "sdk" and not re.fullmatch(r"sdk/pawl\w*\.h", own):
                yield file, number, "a built-in workflow uses the public headers only, as a user would: sdk/pawl*.h"


@rule("public-includes")
def public_includes(tree):
    """A public header includes the standard library and its siblings, by file name, so that it works where it is installed."""
    for file in tree.files:
        if file.is_public_header:
            for number, own, _ in includes(file):
                if own is not None and not re.fullmatch(r"pawl\w*\.(h|def)", own):
                    yield file, number, f'"{own}" is not installed: a public header includes "pawl_x.h" and the C library only'


@rule("include-exists")
def include_exists(tree):
    """A quoted header is in the tree, named from its root (public headers: from their own folder)."""
    for file in tree.code():
        for number, own, _ in includes(file):
            beside = file.path.rsplit("/", 1)[0] + "/" + own if own else ""
            if own and own not in tree.by_path and not (beside in tree.by_path and "/" not in own):
                yield file, number, f'"{own}" does not exist: name it from the root of the tree'


@rule("foreign-headers")
def foreign_headers(tree):
    """A foreign library is known where it is called and nowhere else."""
    for file in tree.code():
        for number, _, foreign in includes(file):
            if foreign in FOREIGN and not re.match(FOREIGN[foreign], file.path):
                yield file, number, f"<{foreign}> may be included by {FOREIGN[foreign]} only: go through our header for it"
