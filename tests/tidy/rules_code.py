"""What C code must not do here: functions that are banned, and where; macros in function bodies; globals; names."""
import re

from rule import rule

LIBRARY = ("sdk", "journal", "engine", "activities")

# (functions, files where they are banned, files where they are allowed after all, what to do instead)
BANNED = [
    ("strcpy strcat sprintf vsprintf gets strtok strncpy strncat mktemp tmpnam", r".*", r"$^", "use snprintf or pw_buf: a size belongs to every copy"),
    ("atoi atol atoll atof", r".*", r"$^", "use strtoll and look at errno and the end"),
    ("alloca setjmp longjmp sigsetjmp siglongjmp", r".*", r"$^", "no jump and no memory on the stack by size"),
    ("rand srand random srandom drand48", r".*", r"$^", "use the environment's random, or randombytes_buf in sdk/base"),
    ("localtime gmtime asctime ctime", r".*", r"$^", "use the _r form, in tools/ only"),
    ("system popen", r".*", r"tests/", "use pawl_exec: no shell"),
    ("signal", r".*", r"tests/", "use sigaction, and not in the library"),
    ("exit", r"(sdk|journal|engine|activities|workflows)/", r"$^", "a library returns a status"),
    ("printf puts putchar perror", r"(sdk|journal|engine|activities|workflows)/", r"sdk/examples/",
     "a library does not print: return an error or use the log hook"),
    ("time clock_gettime gettimeofday pw_mono_ns pw_mono_ms pw_mono_after_ms pw_wall_ms getrandom getentropy randombytes_buf nanosleep usleep sleep",
     r"engine/",
     r"engine/(loop|watchdog|mailbox|outbox|host|control|view|threads)\w*\.c$", "the core asks its environment table (engine/core.h)"),
    ("malloc calloc realloc free strdup strndup", r"(sdk|journal|engine|activities|workflows)/", r"sdk/base/mem\.[ch]$",
     "use sdk/base/mem.h: the allocation-fault loop counts there"),
    ("sleep usleep nanosleep", r"tests/", r"tests/(bench|crash)/", "no sleep in a test: wait for the event, or use virtual time"),
]


@rule("banned-functions")
def banned_functions(tree):
    """A closed list of functions, each with what to use instead."""
    for names, where, but, instead in BANNED:
        pattern = re.compile(r"(?<![\w.>])(" + "|".join(names.split()) + r")\s*\(")
        for file in tree.code():
            if re.match(where, file.path) and not re.match(but, file.path):
                for number, line in enumerate(file.bare_lines, 1):
                    match = pattern.search(line)
                    if match and not is_declared_here(line, match.group(1)):
                        yield file, number, f"{match.group(1)}(): {instead}"


def is_declared_here(line, name):
    """A member or parameter that has such a name, as in `void (*free)(void *)`."""
    return re.search(r"\(\s*\*\s*" + name + r"\s*\)", line) is not None


# Boundaries around foreign headers, each with its reason.
PRAGMAS = {"engine/fiber_annotate.h": "valgrind's macros do not compile without a warning"}


@rule("diagnostics")
def diagnostics(tree):
    """Warnings are mended, not silenced: no pragma turns one off."""
    for file in tree.code():
        for number, line in enumerate(file.bare_lines if file.path not in PRAGMAS else [], 1):
            if re.search(r"#\s*pragma\s+(GCC|clang)\s+diagnostic|_Pragma\s*\(", line):
                yield file, number, "a pragma silences a warning: mend the code, or name the file in tests/tidy/rules_code.py with the reason"


@rule("conditional-bodies")
def conditional_bodies(tree):
    """No #if inside a function: one file for each choice, picked by CMake."""
    for file in tree.code():
        if file.folder == "tests":
            continue
        for function in file.functions:
            for number in range(function.first, function.last):
                if re.match(r"\s*#\s*if", file.bare_lines[number - 1]):
                    yield file, number, f"#if inside {function.name}: make it a constant, or a file that CMake picks"


@rule("goto")
def no_goto(tree):
    """Scope cleanup, not goto."""
    for file in tree.code():
        for number, line in enumerate(file.bare_lines, 1):
            if re.search(r"\bgoto\s+\w+\s*;", line):
                yield file, number, "goto: use a function that returns, or scope cleanup"


# Variables that outlive every engine, each with its reason.
GLOBALS = {
    "sdk/base/mem.c": "the allocation-fault counter is of the process, as malloc is",
    "engine/overflow.c": "a signal's disposition is of the process",
    "engine/fiber.c": "the guard-page handler's list is read by a signal handler",
}


@rule("globals")
def mutable_globals(tree):
    """No variable outlives its engine."""
    for file in tree.code(*LIBRARY, "workflows"):
        if file.path in GLOBALS:
            continue
        for number, text in top_level(file):
            if re.match(r"\s*(static|extern)?\b(?!.*\b(const|typedef|_Static_assert|_Thread_local)\b)[\w\s*]+?\b\w+(\[[^\]]*\])*\s*(=|;)", text, re.S) \
                    and "(" not in text.split("=")[0] and not re.match(r"\s*(struct|enum|union|typedef|PW_|PAWL_)\b.*\}?\s*;", text, re.S) \
                    and not re.match(r"\s*(struct|enum|union)\s+\w+\s*$", text.split(";")[0]):
                yield file, number, "a mutable global: put it into the engine, or say in tests/tidy/rules_code.py why it is of the process"
        for function in file.functions:
            for line in re.finditer(r"\bstatic\s+(?!const\b|inline\b|_Noreturn\b)[^;]*?[;=]", function.body):
                if "const" not in line.group():
                    yield file, function.line_at(line.start()), f"{function.name} keeps a static variable: put it into the engine"


def top_level(file):
    """(line, text) of each declaration outside all braces."""
    depth, start, text = 0, None, []
    for number, line in enumerate(file.plain.split("\n"), 1):
        for letter in line + "\n":
            if letter == "{":
                depth += 1
            elif letter == "}":
                depth -= 1
                if depth == 0 and start is not None and looks_closed("".join(text)):
                    start, text = None, []
                    continue
            if depth > 0 or letter == "}":
                continue
            if start is None and not letter.isspace():
                start = number
            if start is not None:
                text.append(letter)
            if letter == ";" and start is not None:
                yield start, "".join(text)
                start, text = None, []


def looks_closed(text):
    """True for a function's head: nothing has to follow its closing brace."""
    return re.search(r"\)\s*$", text) is not None


@rule("names")
def names(tree):
    """What another file can call starts with pw_ or pawl_, what it cannot does not."""
    for file in tree.code(*LIBRARY, "workflows", "tools"):
        for function in file.functions:
            if file.path.endswith(".c") and not function.is_static and not re.match(r"pw_|pawl_|main$", function.name):
                yield file, function.first, f"{function.name} is visible to other files: make it static, or call it pw_{function.name}"
            if file.path.endswith(".c") and function.is_static and re.match(r"(pw|pawl)_", function.name):
                yield file, function.first, f"{function.name} is static: a file's own function has no prefix"


@rule("file-names")
def file_names(tree):
    """A file is named after the one noun it defines."""
    for file in tree.files:
        name = file.path.rsplit("/", 1)[-1]
        if re.search(r"(^|_)(utils?|helpers?|common|misc|manager)(_|\.)", name):
            yield file, 1, "a name that says nothing: name the noun that the file defines"
