"""Functions and words that do not occur, and what may stand at the root."""

import re

from source import LIBRARY_FOLDERS, OWN_FOLDERS
from violation import Violation

ALL = OWN_FOLDERS
MEMORY = "sdk/base/mem.c"
# Files of the engine that make its environment or wait in real time; the core gets time, chance and ids from them.
CLOCK_FILES = r"engine/(host\w*|threads|watchdog|\w*loop\w*|control\w*|outbox|mailbox)\.c"

# what: (names, folders, files that may, what to do)
BANNED = [
    (r"strcpy|strcat|sprintf|vsprintf|gets|strtok|strncpy|strncat|mktemp|tmpnam", ALL, None,
     "has no bound or no thread safety: use pw_buf, snprintf or memcpy with a size"),
    (r"alloca|setjmp|longjmp|sigsetjmp|siglongjmp", ALL, None, "is banned: allocate from an arena, return a status"),
    (r"rand|srand|random|srandom|rand_r|drand48", ALL, None,
     "is no source of ours: workflow code uses pawl_random, the core its environment, tests a seeded generator"),
    (r"atoi|atol|atoll|atof", ALL, None, "hides errors: use strtoll with a check"),
    (r"system|popen", LIBRARY_FOLDERS + ("tools",), None, "starts a shell: use the supervised subprocess activity"),
    (r"time|localtime|localtime_r|gmtime|gettimeofday|clock_gettime|clock|usleep|nanosleep|sleep", ("engine",), CLOCK_FILES,
     "reads or spends real time in the core: take the time from the environment table (engine/core.h)"),
    (r"sleep|usleep|nanosleep|clock_nanosleep", ("tests",), r"tests/(crash|bench|integration)/.*",
     "is no synchronisation: wait for the event, or use virtual time"),
    (r"malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf", LIBRARY_FOLDERS, MEMORY,
     "goes past the one door to memory: use sdk/base/mem.h, so that the allocation-fault loop sees it"),
    (r"printf|puts|putchar|vprintf|perror", LIBRARY_FOLDERS, r"sdk/examples/.*",
     "prints from library code: return a status, or use the log hook"),
    (r"exit|_Exit|quick_exit", LIBRARY_FOLDERS, r"activities/(supervisor|exec_spawn)\.c|sdk/examples/.*",
     "ends the host's process: return a status"),
]

# Split so that this file does not find itself.
WORDS = [
    (r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b", "a known gap is a line in the README's list: write it there or mend it"),
    (r"(?<![\w.])/wor" r"k/|/tm" r"p/team|\.\./sha" r"red\b|/ro" r"ot/|/ho" r"me/[a-z]",
     "a path of one machine: use one relative to the repository, or a parameter"),
    (r"\b(as an A" r"I|language mod" r"el assistant|Co-Authored" r"-By)\b", "says who typed it: remove"),
]
NOT_SEARCHED = ("LICENSE",)

ROOT = {
    "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", ".clang-format", ".clang-tidy", ".gitignore", ".ci",
    "activities", "engine", "journal", "sdk", "tests", "tools", "workflows",
}


def banned_functions(tree):
    """words: banned functions are not called"""
    for names, folders, allowed, advice in BANNED:
        pattern = re.compile(rf"(?<![\w.>])({names})\s*\(")
        for file in tree.c_files(folders):
            if allowed and re.fullmatch(allowed, file.path):
                continue
            for match in pattern.finditer(file.plain):
                if not is_declaration(file.plain, match.start()):
                    yield Violation(file.path, file.line_of(match.start()), f"{match.group(1)}() {advice}")


def is_declaration(code, offset):
    """`int time(...)`: a type before the name. `return time(...)` is a call."""
    before = re.search(r"([A-Za-z_]\w*|\*)\s*$", code[max(0, offset - 80):offset])
    return bool(before) and before.group(1) not in ("return", "else", "do", "case", "*") and "\n" not in before.group(0)


def banned_words(tree):
    """words: no unfinished work, no paths of one machine"""
    for pattern, advice in WORDS:
        compiled = re.compile(pattern)
        for file in tree.files:
            if file.path in NOT_SEARCHED:
                continue
            for number, line in enumerate(file.lines, 1):
                match = compiled.search(line)
                if match:
                    yield Violation(file.path, number, f"says '{match.group(0)}': {advice}")


def root_entries(tree):
    """words: the root holds nothing but what the design names"""
    for entry in tree.root_entries:
        if entry not in ROOT:
            yield Violation(entry, 1, "does not belong at the root: move it into one of the folders")


RULES = [banned_functions, banned_words, root_entries]
