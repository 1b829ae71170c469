"""cli_embed_test.py PAWL: `pawl embed` gives the vectors of the reference, in every form, and says what is wrong. With the model of PAWL_TEST_DATA; without it
only what is refused is tested."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cli_model_test import POSITIONS, tiny  # noqa: E402

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


class Tiny(unittest.TestCase):
    """With a model that is made here: what becomes of texts, not whether vectors are right."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pawl-embed-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.model, _ = tiny(Place(self.folder))

    def said(self, *words, stdin=""):
        done = pawl(self.model, *words, "-o", "json", stdin=stdin)
        self.assertEqual(0, done.returncode, done.stderr)
        return [(row["tokens"], row["truncated"]) for row in json.loads(done.stdout)]

    def test_a_text_that_is_given_is_one_text_whatever_is_in_it(self):
        self.assertEqual([(2, False)], self.said(""))
        self.assertEqual([(4, False)], self.said("red\ncar"))
        self.assertEqual([(3, False), (3, False)], self.said(stdin="red\ncar\n"))
        self.assertEqual([(2, False)], self.said(stdin="\n"))
        self.assertEqual([], self.said(stdin=""))

    def test_what_is_cut_is_said(self):
        self.assertEqual([(POSITIONS, True)], self.said(stdin="food " * 2000000))
        self.assertEqual([(POSITIONS, False)], self.said("food " * (POSITIONS - 2)))
        self.assertEqual([(POSITIONS, True)], self.said("food " * (POSITIONS - 1)))


class Place:
    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    PAWL = sys.argv.pop(1)
    unittest.main()
