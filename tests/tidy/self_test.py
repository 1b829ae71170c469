"""Proves that every rule can fail: each case is a small tree with one violation, and the same tree mended."""
import unittest

from tidy import violations
from rule import RULES
from tree import Tree

OPENING = "/*\n * x.c - a thing. Does not do more.\n */\n"


def c(body):
    return OPENING + body


def at(rule, path, bad, good, line, **others):
    """A case: `path` with text `bad` breaks `rule` at `line`, with text `good` it does not. `others`: further files."""
    return rule, path, bad, good, line, {key.replace("__", "/").replace("_DOT_", "."): text for key, text in others.items()}


LONG = "static int f(void)\n{\n" + "    g();\n" * 68 + "}\n"
DEEP = "int f(int a)\n{\n    if (a) {\n        while (a) {\n            if (a) {\n                %s\n            }\n        }\n    }\n}\n"
TAGGED = {"journal__README_DOT_md": "| [J1] | a commit that returned OK is on disk |\n", "tests__journal__x_test_DOT_c": "/* [J1] */\n"}
PUBLIC = "/*\n * pawl.h - a thing. Thread: any. Owns: nothing. Replay: yes.\n */\n"

CASES = [
    at("layers", "journal/x.c", c('#include "engine/core.h"\n'), c('#include "sdk/base/mem.h"\n'), 4),
    at("layers", "engine/x.c", c('#include "activities/pool.h"\n'), c('#include "journal/journal.h"\n'), 4),
    at("layers", "activities/x.c", c('#include "engine/task.h"\n'), c('#include "sdk/pawl_activity.h"\n'), 4),
    at("layers", "sdk/base/x.c", c('#include "journal/journal.h"\n'), c('#include "sdk/pawl.h"\n'), 4),
    at("layers", "workflows/x.c", c('#include "sdk/base/mem.h"\n'), c('#include "sdk/pawl_workflow.h"\n'), 4),
    at("layers", "engine/y.c", c('#include "tools/client.h"\n'), c('#include "sdk/pawl.h"\n'), 4),
    at("public-includes", "sdk/pawl.h", '#include "sdk/pawl_value.h"\n', '#include "pawl_value.h"\n', 1),
    at("include-exists", "engine/x.c", c('#include "engine/gone.h"\n'), c('#include "engine/here.h"\n'), 4, engine__here_DOT_h="\n"),
    at("foreign-headers", "engine/turn.c", c("#include <uv.h>\n"), c("#include <string.h>\n"), 4),
    at("foreign-headers", "engine/loop.c", c("#include <sqlite3.h>\n"), c("#include <uv.h>\n"), 4),
    at("file-length", "engine/x.c", "\n" * 901, "\n" * 900, 1),
    at("readme-length", "README.md", "\n" * 251, "\n" * 250, 251),
    at("line-length", "engine/x.c", c("//" + "x" * 160 + "\n"), c("//" + "x" * 120 + "\n"), 4),
    at("whitespace", "engine/x.c", c("int a; \n"), c("int a;\n"), 4),
    at("whitespace", "engine/x.c", c("\tint a;\n"), c('char *s = "\\t";\n'), 4),
    at("whitespace", "README.md", "a\nb", "a\nb\n", 2),
    at("function-length", "engine/x.c", c(LONG), c(LONG.replace("    g();\n", "", 1)), 4),
    at("function-length", "sdk/base/x.c", c('char *s = "}";\n' + LONG), c("int f(void);\n"), 5),
    at("parameters", "engine/x.c", c("void f(int a, int b, int c, int d, int e, int (*f)(int, int), int g)\n{\n}\n"),
       c("void f(int a, int b, int c, int d, int e, int (*f)(int, int), pawl_error *err)\n{\n}\n"), 4),
    at("nesting", "engine/x.c", c(DEEP % "for (;;) {\n}"), c(DEEP % "pair p = (pair){1};"), 9),
    at("banned-functions", "engine/x.c", c("void f(char *a, char *b)\n{\n    strcpy(a, b);\n}\n"),
       c("/* strcpy(a, b) */\nvoid f(char *a)\n{\n    g(\"strcpy(a, b)\");\n}\n"), 6),
    at("banned-functions", "engine/x.c", c("void *p = malloc(3);\n"), c("void (*free)(void *p);\n"), 4),
    at("banned-functions", "journal/x.c", c("int f(void)\n{\n    exit(1);\n}\n"), c("int f(void)\n{\n    _exit(1);\n}\n"), 6),
    at("banned-functions", "engine/turn.c", c("int64_t t = time(NULL);\n"), c("int64_t t = env->time(env);\n"), 4),
    at("banned-functions", "tests/unit/x.c", c("void f(void)\n{\n    usleep(5);\n}\n"), c("void f(void)\n{\n    pw_asleep(5);\n}\n"), 6),
    at("diagnostics", "engine/x.c", c('#pragma GCC diagnostic ignored "-Wshadow"\n'), c("#pragma once\n"), 4),
    at("conditional-bodies", "engine/x.c", c("int f(void)\n{\n#ifdef A\n    return 1;\n#endif\n}\n"),
       c("#ifdef A\nint f(void)\n{\n    return 1;\n}\n#endif\n"), 6),
    at("goto", "engine/x.c", c("void f(void)\n{\nagain:\n    goto again;\n}\n"), c("void f(void)\n{\n    g(\"goto again;\");\n}\n"), 7),
    at("globals", "engine/x.c", c("static int count;\n"), c("static const int count = 3;\nstatic int f(int a);\n"), 4),
    at("globals", "engine/x.c", c("static int names[3] = {1};\n"), c("typedef struct a {\n    int b;\n} a;\nstruct c;\nenum { D = 1 };\n"), 4),
    at("globals", "journal/x.c", c("int f(void)\n{\n    static int n;\n    return n;\n}\n"),
       c("int f(void)\n{\n    static const int n = 3;\n    return n;\n}\n"), 6),
    at("names", "engine/x.c", c("int turn_run(void)\n{\n}\n"), c("int pw_turn_run(void)\n{\n}\nstatic int go(void)\n{\n}\n"), 4),
    at("names", "engine/x.c", c("static int pw_turn_run(void)\n{\n}\n"), c("static int turn_run(void)\n{\n}\n"), 4),
    at("file-names", "engine/turn_utils.c", c(""), None, 1),
    at("root", "notes/x.md", "a\n", None, 1),
    at("words", "README.md", "a\nb TO" + "DO c\n", "a\nb\n", 2),
    at("words", "tools/x", "cd /wo" + "rk/main\n", 'cd "$root/wo' + 'rk/main"\n', 1),
    at("overview", "engine/x.c", "int a;\n", OPENING, 1),
    at("overview", "engine/x.c", "/*\n * x.c - a thing.\n */\n", OPENING, 1),
    at("guards", "engine/x.h", "/* x.h */\n", "/* x.h */\n#ifndef PW_X_H\n#define PW_X_H\n#endif\n", 1),
    at("invariants", "journal/x.c", "/* [J1] [J2] */\n", "/* [J1] */\n", 1, **TAGGED),
    at("invariants", "journal/x.c", "", "/* [J1] */\n", 1, **TAGGED),
    at("invariants", "journal/x.c", "/* [J1] [J2] */\n", "/* [J1] */\n", 1, journal__README_DOT_md="| [J1] | a |\nsee [J2]\n", tests__y_DOT_c="/* [J1] [J2] */\n"),
    at("invariants", "tests/journal/y_test.c", "", "/* [J1] */\n", 1, journal__README_DOT_md="- [J1] a\n", journal__x_DOT_c="/* [J1] */\n"),
    at("doc-comments", "sdk/pawl.h", PUBLIC + "PAWL_API int f(void);\n", PUBLIC + "/** Does. */\nPAWL_API int f(void);\nPAWL_API int g(void);\n", 4),
    at("doc-fields", "sdk/pawl.h", PUBLIC + "/** Does. */\nPAWL_API pawl_status f(void);\n",
       PUBLIC + "/** Does. Errors: IO. */\nPAWL_API pawl_status f(void);\n", 5),
    at("doc-fields", "sdk/pawl.h", "/*\n * pawl.h - a thing. Owns: nothing. Replay: yes.\n */\n", PUBLIC, 1),
    at("doc-fields", "sdk/pawl.h", "/*\n * pawl.h - a thing. Thread: any. Replay: yes.\n */\n", PUBLIC, 1),
    at("doc-fields", "sdk/pawl.h", "/*\n * pawl.h - a thing. Thread: any. Owns: nothing.\n */\n", PUBLIC, 1),
    at("sources-listed", "engine/x.c", c(""), None, 1, engine__CMakeLists_DOT_txt="pawl_objects(pawl_engine y.c)\n"),
    at("folder-readme", "engine/x.c", c(""), None, 1),
    at("links", "engine/README.md", "a\n[b](gone.md)\n", "[b](../sdk/pawl.h) [c](https://a.b/c) [d](#e)\n", 2, sdk__pawl_DOT_h="\n"),
]


class EveryRuleCanFail(unittest.TestCase):
    def test_every_rule_has_a_case(self):
        self.assertEqual(set(RULES), {case[0] for case in CASES})

    def test_a_violation_is_found_and_its_mending_is_accepted(self):
        for rule, path, bad, good, line, others in CASES:
            with self.subTest(rule=rule, path=path, bad=bad):
                found = [(p, n) for p, n, _, _ in violations(Tree({**others, path: bad}), [rule])]
                if bad:
                    self.assertIn((path, line), found)
                else:
                    self.assertTrue(found, "an emptied file must break the rule")
                if good is not None:
                    self.assertEqual([], list(violations(Tree({**others, path: good}), [rule])))


if __name__ == "__main__":
    unittest.main()
