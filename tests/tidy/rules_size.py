"""How large things may be: lines of files and functions, parameters, nesting."""
import re

from rule import rule

FILE_LINES_MAX = 900
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
NESTING_MAX = 3
FOREIGN_SHAPE = re.compile(r"\bstruct MHD_Connection\b")  # a callback whose shape a foreign library gives
README_LINES_MAX = 250
LINE_COLUMNS_MAX = 160


@rule("file-length")
def file_length(tree):
    """900 lines at most; .def tables are exempt."""
    for file in tree.files:
        if file.path.endswith((".c", ".h", ".py", ".cu", ".sh")) and len(file.lines) - 1 > FILE_LINES_MAX:
            yield file, 1, f"{len(file.lines) - 1} lines, {FILE_LINES_MAX} allowed: split it by nouns"


@rule("readme-length")
def readme_length(tree):
    """The root README is read at one sitting."""
    readme = tree.by_path.get("README.md")
    if readme and len(readme.lines) - 1 > README_LINES_MAX:
        yield readme, README_LINES_MAX + 1, f"{README_LINES_MAX} lines allowed: move detail to a folder's README"


@rule("line-length")
def line_length(tree):
    """A hard end for lines; clang-format aims lower."""
    for file in tree.code():
        for number, line in enumerate(file.lines, 1):
            if len(line) > LINE_COLUMNS_MAX:
                yield file, number, f"{len(line)} columns, {LINE_COLUMNS_MAX} allowed"


@rule("whitespace")
def whitespace(tree):
    """No tab in C, no spaces at the end of a line, a newline at the end of a file."""
    for file in tree.files:
        if not file.path.endswith((".c", ".h", ".def", ".py", ".sh", ".txt", ".cmake", ".md")):
            continue
        for number, line in enumerate(file.lines, 1):
            if line != line.rstrip():
                yield file, number, "ends with spaces: remove them"
            if file.is_code and "\t" in line:
                yield file, number, "has a tab: indent with 4 spaces, write \\t in a string"
        if file.text and not file.text.endswith("\n"):
            yield file, len(file.lines), "has no newline at its end: add one"


@rule("function-length")
def function_length(tree):
    """70 lines at most, 30 aimed at."""
    for file in tree.code():
        for function in file.functions:
            if function.lines > FUNCTION_LINES_MAX:
                yield file, function.first, (f"{function.name} has {function.lines} lines, {FUNCTION_LINES_MAX} allowed: "
                                             "keep the branches here, move straight pieces out")


@rule("parameters")
def parameters(tree):
    """Six parameters at most; the error, which comes last everywhere, does not count."""
    for file in tree.code():
        for function in file.functions:
            count = parameter_count(function.head)
            if count > PARAMETERS_MAX and not FOREIGN_SHAPE.search(function.head):
                yield file, function.first, f"{function.name} has {count} parameters, {PARAMETERS_MAX} allowed: pass a struct"


def parameter_count(head):
    inside = head[head.index("(") + 1:head.rindex(")")]
    depth, count = 0, 1
    for letter in inside:
        depth += (letter == "(") - (letter == ")")
        count += letter == "," and depth == 0
    if inside.strip() in ("", "void"):
        return 0
    return count - (re.search(r"pawl_error\s*\*\s*err$", inside) is not None)


@rule("nesting")
def nesting(tree):
    """Three levels of control at most."""
    for file in tree.code():
        for function in file.functions:
            line = too_deep(function)
            if line is not None:
                yield file, line, f"{function.name} nests deeper than {NESTING_MAX}: return early, or move the inside out"


def too_deep(function):
    """The line where control nests too deep, or None; initialisers do not count."""
    stack = []
    for match in re.finditer(r"[{}]", function.body):
        if match.group() == "}":
            stack.pop()
            continue
        before = function.body[:match.start()].rstrip()
        control = before.endswith((")", "else", "do"))
        stack.append(control and not re.search(r"=\s*\([^()]*\)$", before))
        if sum(stack) > NESTING_MAX:
            return function.line_at(match.start())
    return None
