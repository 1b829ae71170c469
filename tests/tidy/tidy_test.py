#!/usr/bin/env python3
"""Each rule can fail: a small tree that breaks it, and one that does not. A rule without such a pair fails this test."""

import unittest

from source import tree_of
from tidy import ALL_RULES, violations

DO = "TO" "DO"
HEAD = "/*\n * {0} - a thing.\n */\n"


def c(path, text):
    """A C file with its overview."""
    return {path: HEAD.format(path.split("/")[-1]) + text}


def function(name="f", lines=3, parameters="void", body=None):
    return f"static int {name}({parameters})\n{{\n" + (body or "    x();\n" * (lines - 3)) + "}\n"


def public(text):
    return {"sdk/pawl_x.h": "/*\n * pawl_x.h - x.\n * Thread: any. Replay: no. Owns: you. Errors: none.\n */\n" + text}


# rule -> (what it must find, what it must let pass); each a list of trees
CASES = {
    "arrows": ([c("sdk/base/a.c", '#include "engine/core.h"\n'), c("journal/a.c", '#include "engine/core.h"\n'),
                c("engine/a.c", '#include "activities/pool.h"\n'), c("activities/a.c", '#include "engine/core.h"\n'),
                c("activities/a.c", '#include "journal/journal.h"\n'), c("workflows/a.c", '#include "activities/pool.h"\n'),
                c("engine/a.c", '#include "tools/cli.h"\n'), c("tools/a.c", '#include "tests/x.h"\n')],
               [c("engine/a.c", '#include "journal/journal.h"\n#include "sdk/base/buf.h"\n'),
                c("tools/a.c", '#include "engine/core.h"\n'), c("journal/a.c", '/* #include "engine/core.h" */\n')]),
    "user_view": ([c("workflows/a.c", '#include "sdk/base/buf.h"\n'), c("sdk/examples/a.c", '#include "sdk/base/buf.h"\n')],
                  [c("workflows/a.c", '#include "sdk/pawl_workflow.h"\n'), c("sdk/examples/a.c", '#include "pawl.h"\n')]),
    "foreign": ([c("engine/turn.c", "#include <uv.h>\n"), c("engine/a.c", "#include <sqlite3.h>\n"),
                 c("journal/a.c", "#include <sqlite3.h>\n"), c("tools/a.c", '#include "journal/db.h"\n'),
                 c("tools/a.c", "#include <curl/curl.h>\n")],
                [c("engine/loop.c", "#include <uv.h>\n"), c("engine/control_client.h", "#include <uv.h>\n"),
                 c("journal/sqlite_open.c", '#include <sqlite3.h>\n#include "journal/db.h"\n')]),
    "public_headers": ([public('#include "sdk/base/buf.h"\n'), public("#include <unistd.h>\n")],
                       [public('#include "pawl_value.h"\n#include <stdint.h>\n')]),
    "quoting": ([c("engine/a.c", '#include "core.h"\n')], [c("engine/a.c", '#include "engine/core.h"\n')]),
    "function_length": ([c("engine/a.c", function(lines=71))], [c("engine/a.c", function(lines=70) * 2)]),
    "function_parameters": ([c("engine/a.c", function(parameters="int a, int b, int c, int d, int e, int f, int g"))],
                            [c("engine/a.c", function(parameters="int a, int b, int c, int d, int e, void (*f)(int, int)")),
                             c("engine/a.c", function(parameters="int a, int b, int c, int d, int e, int f, pawl_error *err"))]),
    "nesting": ([c("engine/a.c", function(body="if (a) {\nfor (;;) {\nwhile (b) {\nif (c) {\n}\n}\n}\n}\n"))],
                [c("engine/a.c", function(body="if (a) {\nfor (;;) {\nwhile (b) {\nx((t){.y = {1}});\n}\n}\n}\n"))]),
    "conditional_inside": ([c("engine/a.c", function(body="#ifdef A\n    x();\n#endif\n"))],
                           [c("engine/a.c", "#ifdef A\n" + function() + "#endif\n")]),
    "file_length": ([{"engine/a.c": "\n" * 901}], [{"engine/a.c": "\n" * 900, "engine/b.def": "\n" * 2000}]),
    "columns": ([{"engine/a.c": "x" * 101 + "\n"}], [{"engine/a.c": "x" * 100 + "\n"}]),
    "whitespace": ([{"engine/a.c": "x \n"}, {"engine/a.c": "\tx\n"}, {"engine/a.c": "x"}], [{"engine/a.c": "    x\n"}]),
    "file_names": ([{"engine/utils.c": ""}, {"tools/cli_helpers.c": ""}, {"sdk/base/misc.h": ""}],
                   [{"engine/commonality.c": "", "tools/cli_help.c": ""}]),
    "symbol_names": ([c("engine/a.c", "int f(void)\n{\n}\n"), c("engine/a.c", "static int pw_f(void)\n{\n}\n")],
                     [c("engine/a.c", "int pw_f(void)\n{\n}\nPAWL_API int pawl_f(void)\n{\n}\n" + function())]),
    "banned_functions": ([c("engine/a.c", function(body=f"    {call};\n")) for call in
                          ("strcpy(a, b)", "return sprintf(a, b)", "setjmp(e)", "x = rand()", "p = malloc(1)", "free(p)",
                           "t = time(NULL)", "printf(a)", "exit(1)", "(void)clock_gettime(a, b)", "n = atoi(s)")] +
                         [c("journal/a.c", function(body="    gets(a);\n")), c("tests/unit/a.c", function(body="    sleep(1);\n")),
                          c("tools/a.c", function(body="    system(a);\n"))],
                         [c("engine/a.c", function(body='    e->free(p); s = "time(x)"; pw_free(p); /* rand() */\n')),
                          c("sdk/base/mem.c", function(body="    p = malloc(1);\n")),
                          c("engine/host_env.c", function(body="    clock_gettime(a, b);\n")),
                          c("tools/a.c", function(body="    free(p);\n")), c("engine/a.h", "int64_t time(void);\n")]),
    "banned_words": ([c("engine/a.c", f"/* {DO}: later */\n"), {"sdk/README.md": "FIX" "ME\n"},
                      {"tools/x": "cd /wor" "k/main\n"}, {"tools/x": "cp ../sha" "red/a .\n"}],
                     [c("engine/a.c", "/* a todo list; work/main; homework */\n")]),
    "root_entries": ([{"notes.txt": ""}, {"src/a.c": ""}], [{"README.md": "", "sdk/a.c": "", ".ci/run": ""}]),
    "overviews": ([{"engine/a.c": "int x;\n"}, {"engine/a.c": HEAD.format("b.c")}, {"engine/a.c": "\n" + HEAD.format("a.c")}],
                  [c("engine/a.c", "int x;\n")]),
    "doc_comments": ([public("PAWL_API int pawl_f(void);\n"), public("/* not a doc */\nPAWL_API int pawl_f(void);\n"),
                      public("/** Doc. */\nPAWL_API int pawl_f(void);\n\nPAWL_API int pawl_g(int a,\n    int b);\n")],
                     [public("/** Doc. */\nPAWL_API int pawl_f(void);\nPAWL_API int pawl_g(int a,\n    int b);\n"),
                      public("/** Doc\n * more. */\nPAWL_API int pawl_f(void);\n")]),
    "header_fields": ([{"sdk/pawl_x.h": "/* pawl_x.h - x. */\n"}], [public("")]),
    "tags_kept": ([{"engine/README.md": "- **[E1]** kept\n", **c("engine/a.c", "/* [E1] */\n")},
                   {"engine/README.md": "| [E1] | kept |\n", "tests/a.c": "/* [E1] */\n"}],
                  [{"engine/README.md": "- **[E1]** kept\n", **c("engine/a.c", "/* [E1] */\n"), "tests/a.c": "/* [E1] */\n"}]),
    "tags_known": ([c("engine/a.c", "/* [E1] */\n"), {"engine/README.md": "see [E1]\n", **c("engine/a.c", "/* [E1] */\n")}],
                   [{"engine/README.md": "- [E1] kept\n", **c("engine/a.c", "/* [E1] */ int x = a[N2];\n")}]),
    "readmes": ([c("engine/a.c", "")], [{"engine/README.md": "", **c("engine/a.c", "")}]),
    "links": ([{"README.md": "[a](sdk/README.md)\n"}, {"sdk/README.md": "[a](../tests/x.c)\n"}],
              [{"README.md": "[a](sdk/README.md#x) [b](https://x.org) [c](sdk/) [d](#e)\n", "sdk/README.md": ""}]),
}


class EachRule(unittest.TestCase):
    def test_every_rule_has_a_case_here(self):
        self.assertEqual({rule.__name__ for rule in ALL_RULES}, set(CASES))

    def test_every_rule_finds_what_breaks_it(self):
        for rule, (bad, _) in CASES.items():
            for tree in bad:
                with self.subTest(rule=rule, tree=tree):
                    self.assertTrue(list(violations(tree_of(tree), [rule])), "not found")

    def test_every_rule_lets_pass_what_keeps_it(self):
        for rule, (_, good) in CASES.items():
            for tree in good:
                with self.subTest(rule=rule, tree=tree):
                    self.assertEqual([], list(violations(tree_of(tree), [rule])))

    def test_a_violation_names_the_line(self):
        tree = tree_of(c("engine/a.c", "\n\n    x = rand();\n"))
        self.assertEqual([6], [v.line for _, v in violations(tree, ["banned_functions"])])


class TheScanner(unittest.TestCase):
    def functions(self, text):
        return [(f.name, f.first, f.last) for f in tree_of({"engine/a.c": text}).files[0].functions]

    def test_functions_are_found_with_their_lines(self):
        text = "int x = 1;\nstatic const char *\nf(int a)\n{\n    if (a) {\n    }\n}\nvoid g(void)\n{\n}\n"
        self.assertEqual([("f", 2, 7), ("g", 8, 10)], self.functions(text))

    def test_tables_structs_and_prototypes_are_no_functions(self):
        text = "struct s {\n    int a;\n};\nint f(int a);\nstatic const t x[] = {\n    X(a),\n};\n#define M(a) do { } while (0)\n"
        self.assertEqual([], self.functions(text))

    def test_functions_in_extern_c_are_found(self):
        self.assertEqual([("f", 2, 4)], self.functions('extern "C" {\nint f(void)\n{\n}\n}\n'))

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = 'int f(void)\n{\n    x("}", \'{\'); /* } */\n}\nint g(void)\n{\n}\n'
        self.assertEqual([("f", 1, 4), ("g", 5, 7)], self.functions(text))


if __name__ == "__main__":
    unittest.main()
