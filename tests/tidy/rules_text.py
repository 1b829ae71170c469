"""Words and documents: what no file may say, what every file must open with, invariants, doc fields, the root."""
import re

from rule import rule

ROOT = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", ".clang-format", ".clang-tidy", ".gitignore", ".ci",
        "engine", "journal", "activities", "sdk", "workflows", "tests", "tools"}

# Written in pieces, so that this file does not say them either.
LATER = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
PLACES = ["/" + "work/", "/" + "root/", "/" + "home/", r"\.\./" + "shared", "/tmp/" + "team", "/tmp/" + "build"]


@rule("root")
def root(tree):
    """The root holds what the README's table names, and nothing else."""
    for file in tree.files:
        top = file.path.split("/")[0]
        if top not in ROOT:
            yield file, 1, f"{top} is not part of the root: move it into one of the folders"


@rule("words")
def words(tree):
    """No promise of later work, no path of one machine."""
    later = re.compile(r"\b(" + "|".join(LATER) + r")\b")
    places = re.compile(r"(?<![\w.$}])(" + "|".join(PLACES) + ")")
    for file in tree.files:
        if file.path == "LICENSE":
            continue
        for number, line in enumerate(file.lines, 1):
            match = later.search(line)
            if match:
                yield file, number, f"{match.group()}: do it now, or list it in the README's known gaps"
            match = places.search(line)
            if match:
                yield file, number, f"{match.group()} is a path of one machine: derive it"


@rule("overview")
def overview(tree):
    """Every C file opens with a comment that names the file; a .c file also says what it does not do."""
    for file in tree.code():
        name = file.path.rsplit("/", 1)[-1]
        opening = file.comments[0] if file.comments else (0, 0, "")
        if opening[0] != 1 or name not in opening[2].split("\n")[min(1, opening[2].count("\n"))]:
            yield file, 1, f"open with a comment: `{name} - what it is`"
        elif name.endswith(".c") and not re.search(r"\b([Nn]o|[Nn]ot|[Nn]ever|[Nn]othing|[Nn]one|neither|nowhere|cannot)\b", opening[2]):
            yield file, 1, "the overview does not say what this file does not do"


@rule("guards")
def guards(tree):
    """A header has an include guard."""
    for file in tree.code():
        if file.path.endswith(".h") and not re.search(r"#ifndef (\w+)\s*\n#define \1\b", file.text):
            yield file, 1, "no include guard (#ifndef PW_NAME_H)"


TAG = re.compile(r"\[([A-Z]\d{1,2})\]")
TAG_FOLDERS = {"J": "journal", "E": "engine", "A": "activities", "S": "sdk", "W": "workflows", "T": "tools"}
# A README defines a tag where a table row or a list item begins with it: "| [J3] |", "- **[J3]** ...".
DEFINITION = re.compile(r"\s*(?:[|*-]|\d+\.)\s*\**`?\[[A-Z]\d{1,2}\]")


@rule("invariants")
def invariants(tree):
    """An invariant [J3] is defined in its folder's README, and stands in a comment of that folder's code and in a test."""
    test_files = [f for f in tree.files if f.folder == "tests" and not f.path.startswith("tests/tidy/")]
    for letter, folder in TAG_FOLDERS.items():
        readme = defined_tags(tree.by_path.get(f"{folder}/README.md"), letter)
        code = commented_tags(tree.code(folder), letter)
        tests = written_tags(test_files, letter)
        for tag in sorted(readme.keys() | code.keys()):
            at = readme.get(tag) or code[tag]
            if tag not in readme:
                yield *at, f"[{tag}] is not defined in {folder}/README.md: begin a table row or list item with it"
            if tag not in code:
                yield *at, f"[{tag}] is not in the code of {folder}/: mark the place that keeps it"
            if tag not in tests:
                yield *at, f"[{tag}] is in no test: mark the one that checks it"


def defined_tags(readme, letter):
    found = {}
    for number, line in enumerate(readme.lines if readme else [], 1):
        if DEFINITION.match(line):
            add_tags(found, readme, number, line.split("]")[0] + "]", letter)
    return found


def commented_tags(files, letter):
    found = {}
    for file in files:
        for first, _, text in file.comments:
            for number, line in enumerate(text.split("\n"), first):
                add_tags(found, file, number, line, letter)
    return found


def written_tags(files, letter):
    found = {}
    for file in files:
        for number, line in enumerate(file.lines, 1):
            add_tags(found, file, number, line, letter)
    return found


def add_tags(found, file, number, line, letter):
    for tag in TAG.findall(line):
        if tag.startswith(letter):
            found.setdefault(tag, (file, number))


@rule("doc-comments")
def doc_comments(tree):
    """Every public prototype has a comment, its own or that of the group it stands in (no blank line between)."""
    for file in tree.files:
        if file.is_public_header:
            for number, prototype, comment in prototypes(file):
                if not comment:
                    yield file, number, f"{prototype_name(prototype)} has no comment: what it does, Owns, Thread, Errors, Replay"


@rule("doc-fields")
def doc_fields(tree):
    """A status names its errors ("Errors of all below" serves its section); the overview says thread, ownership and replay for the whole."""
    for file in tree.files:
        if not file.is_public_header:
            continue
        opening = file.comments[0][2] if file.comments else ""
        if not re.search(r"\bThreads?:", opening):
            yield file, 1, "the overview has no Thread: field"
        for field in ("Owns", "Replay"):
            if f"{field}:" not in opening:
                yield file, 1, f"the overview has no {field}: field"
        for number, prototype, comment in prototypes(file):
            if comment and "pawl_status " in prototype.split("(")[0] and "rrors" not in comment + section_of(file, number):
                yield file, number, f"{prototype_name(prototype)} returns a status: say Errors: and which"


def section_of(file, number):
    """The comment that speaks for all of the section that a line stands in."""
    said = ""
    for first, last, text in file.comments:
        if last < number:
            said = "" if text.startswith("/* ----") else text if "rrors of all below" in text else said
    return said


def prototype_name(prototype):
    match = re.search(r"(\w+)\s*\(", prototype)
    return match.group(1) if match else prototype.strip()


def prototypes(file):
    """(line, text, comment) of each PAWL_API prototype; the comment goes on over the lines that follow it without a gap."""
    comment = ""
    ends = {last: text for first, last, text in file.comments if first > 1}  # all but the overview
    plain = file.plain.split("\n")
    for number, line in enumerate(file.lines, 1):
        if not line.strip():
            comment = ""
        elif number in ends and plain[number - 1].strip() == "":
            comment = ends[number] if ends[number].startswith("/*") else comment
        if plain[number - 1].startswith("PAWL_API") and "(" in plain[number - 1]:
            trailing = ends.get(number, "")
            yield number, plain[number - 1], comment or trailing


@rule("sources-listed")
def sources_listed(tree):
    """A C file is compiled by something: its folder's CMakeLists.txt names it, or takes all of the folder's files."""
    for file in tree.code():
        if file.path.endswith(".c"):
            folder, name = file.path.rsplit("/", 1)
            stem = name[:-2]
            text = tree.by_path[f"{folder}/CMakeLists.txt"].text if f"{folder}/CMakeLists.txt" in tree.by_path else nearest(tree, folder)
            if not is_listed(stem, text) and "_of_folder(" not in text and "GLOB" not in text:
                yield file, 1, f"no CMakeLists.txt names {name}"


def is_listed(stem, text):
    """By its name, or composed in a loop: `foreach(name retry effect) ... ${name}_test.c`."""
    ends = re.findall(r"\$\{\w+\}(\w*)\.c\b", text)
    words = [stem] + [stem[:-len(end)] for end in ends if end and stem.endswith(end)]
    return any(re.search(r"\b" + re.escape(word) + r"\b", text) for word in words)


def nearest(tree, folder):
    """The lists of the folders above, for a folder of data or of examples."""
    text = ""
    while folder:
        folder = folder.rpartition("/")[0]
        file = tree.by_path.get(f"{folder}/CMakeLists.txt")
        text += file.text if file else ""
    return text


@rule("folder-readme")
def folder_readme(tree):
    """Each folder of the design has its README."""
    for folder in ("engine", "journal", "activities", "sdk", "workflows", "tests", "tools"):
        files = [f for f in tree.files if f.folder == folder]
        if files and f"{folder}/README.md" not in tree.by_path:
            yield files[0], 1, f"{folder}/README.md is missing: tables first, invariants, decisions, recipes"


@rule("links")
def links(tree):
    """A link in a document leads somewhere."""
    folders = {file.path.rsplit("/", depth)[0] for file in tree.files for depth in range(1, file.path.count("/") + 1)}
    for file in tree.files:
        if not file.path.endswith(".md"):
            continue
        here = file.path.rpartition("/")[0]
        for number, line in enumerate(file.lines, 1):
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
                path = resolve(here, target)
                if path not in tree.by_path and path not in folders:
                    yield file, number, f"the link {target} leads nowhere"


def resolve(here, target):
    parts = here.split("/") if here else []
    for part in target.rstrip("/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
