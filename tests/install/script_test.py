#!/usr/bin/env python3
"""What tools/quickstart and tools/check say when something is in the way: packages and no root, a second one in the same tree, a full disk, another
compiler than before. Their shared part (tools/script.sh) runs in a tree of its own, whose path has a space, with stand-ins for apt, cmake and df.

script_test.py CHECKOUT
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

CHECKOUT = None
KEPT = ("bash", "cat", "cut", "dirname", "df", "date", "flock", "grep", "kill", "mkdir", "nproc", "sed", "sleep", "tail", "tr", "awk", "id", "gcc", "true")


class Script(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = os.path.join(scratch.name, "a tree")
        self.bin = os.path.join(scratch.name, "bin")
        os.makedirs(os.path.join(self.root, "tools"))
        os.mkdir(self.bin)
        for name in ("script.sh", "packages.txt"):
            shutil.copy(os.path.join(CHECKOUT, "tools", name), os.path.join(self.root, "tools", name))
        for name in KEPT:
            if shutil.which(name):
                os.symlink(shutil.which(name), os.path.join(self.bin, name))
        self.command("dpkg-query", "echo installed")

    def command(self, name, text):
        """A stand-in."""
        path = os.path.join(self.bin, name)
        if os.path.lexists(path):
            os.remove(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)

    def script(self, text, **environment):
        whole = f'set -euo pipefail; script=quickstart; root=$1; steps=1; . "$root/tools/script.sh"; {text}'
        return subprocess.Popen(["bash", "-c", whole, "quickstart", self.root], env={"PATH": self.bin, **environment}, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def said(self, text, code=1, **environment):
        script = self.script(text, **environment)
        said, _ = script.communicate(timeout=60)
        self.assertEqual(code, script.returncode, said)
        return said

    def lacks_packages(self):
        self.command("dpkg-query", 'for name; do :; done; case $name in cmake | git) exit 1 ;; esac; echo installed')

    def test_who_is_not_root_and_has_no_sudo_is_given_the_line_for_root(self):
        self.lacks_packages()
        self.command("id", "echo 1000")
        said = self.said("install_packages build")
        self.assertIn("\n    apt-get update && apt-get install --no-install-recommends cmake git\n", said)

    def test_who_may_not_use_sudo_is_given_it_too(self):
        self.lacks_packages()
        self.command("id", "echo 1000")
        self.command("sudo", "exit 1")
        self.assertIn("apt-get install --no-install-recommends cmake git\n", self.said("install_packages build"))

    def test_who_is_not_root_and_lacks_nothing_needs_nobody(self):
        self.command("id", "echo 1000")
        self.assertIn("no package is missing", self.said("install_packages build", 0))

    def test_packages_that_cannot_be_had_are_named(self):
        self.lacks_packages()
        self.command("id", "echo 0")
        self.command("env", "shift; exec \"$@\"")
        self.command("apt-get", "echo E: Unable to locate package cmake; exit 100")
        said = self.said("install_packages build")
        self.assertIn("E: Unable to locate package cmake", said)
        self.assertTrue(said.rstrip().endswith("these packages were not installed: cmake git\n"
                                               "This takes Debian 12 or newer, its main archive in apt's sources, and the network."), said)

    def test_a_second_one_in_the_same_tree_names_the_first_and_ends(self):
        first = self.script("lock_tree; echo locked; read -r _")
        self.addCleanup(first.communicate)
        self.assertEqual("locked\n", first.stdout.readline())
        self.assertIn(f"tools/quickstart (process {first.pid}) is at work in this tree", self.said("lock_tree"))

    def test_the_next_one_may_begin_when_the_first_has_ended_whatever_that_left_running(self):
        left = self.said("lock_tree; sleep 100 >/dev/null 2>&1 & echo $!", 0)
        try:
            self.assertEqual("", self.said("lock_tree", 0))
        finally:
            os.kill(int(left), 15)

    def test_a_tree_that_cannot_be_written_to_is_named(self):
        with open(os.path.join(self.root, "build"), "w", encoding="utf-8"):
            pass
        self.assertIn(f"cannot write below {self.root}", self.said("lock_tree"))

    def test_a_name_that_cmake_or_ninja_cannot_take_is_refused(self):
        for character in "\"';$\\":
            moved = self.root + character
            os.rename(self.root, moved)
            self.root = moved
            self.assertIn("CMake and ninja cannot build in a folder with one of", self.said("lock_tree"), character)
            self.root = moved[:-1]
            os.rename(moved, self.root)

    def test_a_lock_that_cannot_be_written_is_named_too(self):
        os.makedirs(os.path.join(self.root, "build", "script.lock"))
        self.assertIn(f"cannot write below {self.root}", self.said("lock_tree"))

    def test_the_next_one_may_begin_when_the_first_was_killed(self):
        first = self.script("lock_tree; echo locked; read -r _")
        self.assertEqual("locked\n", first.stdout.readline())
        first.kill()
        first.communicate()
        self.assertEqual("", self.said("lock_tree", 0))

    def test_who_only_draws_with_it_has_none_of_its_variables(self):
        text = 'set -euo pipefail; . "$1/tools/script.sh"; echo proved | fit 4'
        done = subprocess.run(["bash", "-c", text, "demo", self.root], env={"PATH": self.bin}, text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(("proved\n", "", 0), (done.stdout, done.stderr, done.returncode))

    def test_a_full_disk_is_named(self):
        self.command("df", "echo Filesystem; echo /dev/x 100 100 0 100% /")
        self.assertIn(f"the disk is full: 0 MiB are free where {self.root}/build is", self.said("run_logged x false"))

    def test_what_fails_is_told_where_df_knows_no_such_place(self):
        self.command("df", "exit 1")
        self.assertIn("quickstart: failed: false", self.said("run_logged x false"))

    def test_what_fails_otherwise_is_not_a_full_disk(self):
        self.command("df", "echo Filesystem; echo /dev/x 9000 100 8900 2% /")
        said = self.said("run_logged x bash -c 'echo wrong; exit 3'")
        self.assertIn("wrong\nquickstart: failed: bash -c", said)
        self.assertNotIn("full", said)

    def cache(self, compiler):
        os.makedirs(os.path.join(self.root, "build", "x"), exist_ok=True)
        with open(os.path.join(self.root, "build", "x", "CMakeCache.txt"), "w", encoding="utf-8") as f:
            f.write(f"CMAKE_C_COMPILER:FILEPATH={compiler}\nCMAKE_HOME_DIRECTORY:INTERNAL={self.root}\n")

    def configured(self, **environment):
        self.command("cmake", f'echo "$@" >"{self.root}/asked"')
        self.said("configure x", 0, **environment)
        with open(os.path.join(self.root, "asked"), encoding="utf-8") as f:
            return f.read()

    def test_another_compiler_than_before_begins_afresh_and_the_same_does_not(self):
        self.cache("/usr/bin/clang")
        self.assertIn("--fresh", self.configured(CC="gcc"))
        self.assertNotIn("--fresh", self.configured())
        self.cache(os.path.join(self.bin, "gcc"))
        self.assertNotIn("--fresh", self.configured(CC="gcc"))

    def test_a_compiler_that_is_not_there_is_named(self):
        self.assertIn("CC is 'nocc -m64', and there is no nocc", self.said("configure x", CC="nocc -m64"))


if __name__ == "__main__":
    if not all(shutil.which(name) for name in ("flock", "gcc")):
        print("skipped: this takes flock and gcc")
        sys.exit(77)
    CHECKOUT = sys.argv.pop(1)
    unittest.main()
