"""cli_embed_test.py PAWL: `pawl embed` gives the vectors of the reference, in every form, and says what is wrong. With the model of PAWL_TEST_DATA; without it
only what is refused is tested."""
import json
import os
import subprocess
import sys
import unittest

PAWL = ""
MODELS = os.path.join(os.environ.get("PAWL_TEST_DATA", ""), "models")
MODEL = os.path.join(MODELS, "all-MiniLM-L6-v2")


def pawl(*words, stdin=""):
    return subprocess.run([PAWL, "embed", *words], input=stdin, capture_output=True, text=True, check=False, timeout=60)


class Embed(unittest.TestCase):
    def same(self, vector, expected):
        self.assertEqual(len(expected), len(vector))
        self.assertLess(max(abs(a - b) for a, b in zip(vector, expected)), 2e-6)

    @unittest.skipUnless(os.path.exists(MODEL), "no model (PAWL_TEST_DATA)")
    def test_lines_become_the_vectors_of_the_reference(self):
        with open(os.path.join(MODELS, "reference.json"), encoding="utf-8") as file:
            rows = [r for r in json.load(file)["texts"] if r["text"].isprintable() and len(r["ids"]) < 20][:3]
        done = pawl(MODEL, "-o", "jsonl", stdin="".join(r["text"] + "\n" for r in rows))
        self.assertEqual(0, done.returncode, done.stderr)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([len(r["ids"]) for r in rows], [s["tokens"] for s in said])
        for s, r in zip(said, rows):
            self.assertFalse(s["truncated"])
            self.same(s["vector"], r["embedding"])
        done = pawl(MODEL, rows[0]["text"])
        self.same([float(n) for n in done.stdout.split()], rows[0]["embedding"])

    def test_a_model_that_is_not_there_is_named(self):
        done = pawl("no-such-model", "text")
        self.assertNotEqual(0, done.returncode)
        self.assertEqual("", done.stdout)
        self.assertIn("no-such-model", done.stderr)

    def test_a_model_must_be_given(self):
        done = pawl()
        self.assertEqual(2, done.returncode, done.stderr)
        self.assertIn("which model", done.stderr)


if __name__ == "__main__":
    PAWL = sys.argv.pop(1)
    unittest.main()
