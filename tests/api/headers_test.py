#!/usr/bin/env python3
"""Each public header compiles alone, twice in a row, in each language that it promises, without a warning.

Only the headers' own folder is on the include path, as where they are installed. The examples in their comments compile, too. Not tested: what
the functions do.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import unittest

ARGS = None
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow", "-Wundef", "-Wcast-qual", "-Wconversion"]


def compile_text(compiler, language, standard, text):
    """What the compiler says of a text; nothing when it is content."""
    done = subprocess.run([compiler, "-x", language, f"-std={standard}", "-fsyntax-only", *WARNINGS, f"-I{ARGS.include}", "-"],
                          input=text, text=True, capture_output=True)
    return "" if done.returncode == 0 else done.stderr or "no word, exit code %d" % done.returncode


# An example is indented by five columns, and its first line looks like C.
EXAMPLE = re.compile(r"(?:#include|static |const pawl_|pawl_\w+[ (]|if \()")
# What an example takes for granted: its names are declared so.
GIVEN = """
const pawl_value *bank_find(void *bank, const char *key, pawl_scope *scope);
extern pawl_activity_fn greet; extern pawl_workflow_fn hello; extern pawl_run *w; extern pawl_engine *engine; extern pawl_scope *scope;
extern pawl_error err; extern const pawl_value *in, *input, *result, *question;
"""
GIVEN_BY = {"pawl_agent.h": "#include <pawl_net.h>\nextern pawl_net_options net;\n", "pawl_choose.h": "extern pawl_choose_vectors vectors;\n",
            "pawl_index.h": "extern pawl_embedder *embedder;\n"}


def examples(header):
    """(line, text) of each example in the comments of a header."""
    with open(os.path.join(ARGS.include, header), encoding="utf-8") as f:
        lines = f.read().split("\n")
    block, begun = [], 0
    for number, line in enumerate([*lines, ""], 1):
        code = re.match(r" \*     ( *\S.*)$", line)
        if code and not block:
            begun = number
        if code or (block and re.fullmatch(r" \*\s*", line)):
            block.append(code.group(1) if code and not code.group(1).startswith("cc ") else "")
            continue
        if block and EXAMPLE.match(block[0]) and re.search(r"pawl_\w+\(", "\n".join(block)):
            yield begun, "\n".join(block)
        block = []


def example_unit(header, line, text):
    """A translation unit whose messages name the header's line; statements stand in a function."""
    before = f"#include <stdio.h>\n#include <pawl.h>\n#include <{header}>\n"
    if text.startswith("#include"):
        return f'#line {line} "{header}"\n{text}\n'
    given = GIVEN + GIVEN_BY.get(header, "")
    if text.startswith("static "):
        return f'{before}{"" if "greet(" in text else given}#line {line} "{header}"\n{text}\n'
    return f'{before}{given}int example(void);\nint example(void)\n{{\n{{\n#line {line} "{header}"\n{text}\n}}\nreturn 0;\n}}\n'


def headers():
    return sorted(os.path.basename(p) for p in glob.glob(os.path.join(ARGS.include, "pawl*.h")))


class EachHeader(unittest.TestCase):
    def compiles(self, compiler, language, standards):
        for header in headers():
            for standard in standards:
                with self.subTest(header=header, standard=standard, compiler=compiler):
                    said = compile_text(compiler, language, standard, f"#include <{header}>\n#include <{header}>\n")
                    self.assertEqual("", said)

    def test_the_headers_are_found(self):
        self.assertLessEqual({"pawl.h", "pawl_activity.h", "pawl_value.h", "pawl_workflow.h"}, set(headers()))

    def test_each_header_compiles_alone_as_c(self):
        self.compiles(ARGS.cc, "c", ["c99", "c11", "c17", "gnu17"])

    def test_each_header_compiles_alone_as_cxx(self):
        if not ARGS.cxx:
            self.skipTest("no C++ compiler")
        self.compiles(ARGS.cxx, "c++", ["c++11", "c++17"])

    def test_the_calls_with_options_compile_as_cxx(self):
        if not ARGS.cxx:
            self.skipTest("no C++ compiler")
        text = """#include <pawl_workflow.h>
        const pawl_value *flow(pawl_run *w, const pawl_value *in);
        const pawl_value *flow(pawl_run *w, const pawl_value *in)
        {
            const pawl_value *a = pawl_call(w, .name = "exec", .input = in, .timeout_s = 5);
            (void)pawl_map(w, .name = "each", .items = a, .width = 4);
            (void)pawl_ask(w, .name = "ok", .prompt = "Go on?", .choices = "yes|no");
            return pawl_child(w, .workflow = "leaf", .input = a);
        }
        """
        for standard in ("gnu++11", "c++20"):
            with self.subTest(standard=standard):
                done = subprocess.run([ARGS.cxx, "-x", "c++", f"-std={standard}", "-Wall", "-Werror", "-fsyntax-only", f"-I{ARGS.include}", "-"],
                                      input=text, text=True, capture_output=True)
                self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_each_example_in_a_comment_compiles(self):
        count = 0
        for header in headers():
            for line, text in examples(header):
                count += 1
                with self.subTest(header=header, line=line):
                    done = subprocess.run([ARGS.cc, "-x", "c", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-Wno-unused-result",
                                           "-fsyntax-only", f"-I{ARGS.include}", "-"], input=example_unit(header, line, text), text=True,
                                          capture_output=True)
                    self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertGreater(count, 12)

    def test_a_broken_header_would_be_found(self):
        self.assertNotEqual("", compile_text(ARGS.cc, "c", "c99", "int f();\nint x = 1L ? y : 0;\n"))


def main():
    global ARGS
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cc", required=True)
    parser.add_argument("--cxx", default="")
    parser.add_argument("--include", required=True)
    ARGS, rest = parser.parse_known_args()
    result = unittest.main(argv=[sys.argv[0], *rest], exit=False).result
    if not ARGS.cxx:
        print("skipped: the C++ half, no C++ compiler")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
