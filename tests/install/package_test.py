#!/usr/bin/env python3
"""Packs the build as Debian packages and looks into them: what is in which, what each depends on, that nothing names the build.

Not tested: their installation (that needs root and a system of its own).
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ARGS = None


def run(command):
    """Output of a command; its whole story when it fails."""
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="pawl-package-")
        run([ARGS.cpack, "--config", os.path.join(ARGS.build, "CPackConfig.cmake"), "-G", "DEB", "-B", cls.scratch])
        cls.file = {os.path.basename(p).split("_")[0]: p for p in glob.glob(os.path.join(cls.scratch, "*.deb"))}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.scratch)

    def holds(self, package):
        return [line.split()[5] for line in run(["dpkg-deb", "-c", self.file[package]]).splitlines()]

    def depends(self, package):
        return re.split(r",\s*", run(["dpkg-deb", "-f", self.file[package], "Depends"]).strip())

    def test_there_are_three(self):
        self.assertEqual({"pawl", f"libpawl{ARGS.major}", "libpawl-dev"}, set(self.file))

    def test_no_file_is_in_two(self):
        files = [f for p in self.file for f in self.holds(p) if not f.endswith("/")]
        self.assertEqual(len(files), len(set(files)))

    def test_each_holds_what_it_is_for(self):
        for package, part in (("pawl", r"/bin/pawl$"), ("pawl", r"/man1/pawl-start\.1\.gz$"), ("pawl", r"/completions/pawl$"),
                              ("pawl", r"/zsh/[a-z-]+/_pawl$"), ("pawl", r"/fish/vendor_completions\.d/pawl\.fish$"), ("pawl", r"/doc/pawl/sdk/GUIDE\.md$"),
                              ("pawl", r"/systemd/system/pawl@\.service$"), (f"libpawl{ARGS.major}", rf"/libpawl\.so\.{ARGS.major}$"),
                              ("libpawl-dev", r"/include/pawl\.h$"), ("libpawl-dev", r"/pkgconfig/pawl\.pc$"),
                              ("libpawl-dev", r"/libpawl\.so$"), ("libpawl-dev", r"/libpawl\.a$"), ("libpawl-dev", r"/examples/agent\.c$")):
            self.assertTrue(any(re.search(part, f) for f in self.holds(package)), f"{part} is not in {package}")
        for package in self.file:
            self.assertTrue(any(f.endswith(f"/doc/{package}/copyright") for f in self.holds(package)), package)

    def test_dependencies_are_read_from_the_files(self):
        for package in ("pawl", f"libpawl{ARGS.major}"):
            self.assertTrue(any(d.startswith("libsqlite3-0") for d in self.depends(package)), self.depends(package))
        self.assertTrue(any(d.startswith(f"libpawl{ARGS.major} (= ") for d in self.depends("libpawl-dev")))

    def test_a_program_that_links_the_library_will_depend_on_its_package(self):
        control = os.path.join(self.scratch, "control")
        run(["dpkg-deb", "-e", self.file[f"libpawl{ARGS.major}"], control])
        with open(os.path.join(control, "shlibs"), encoding="utf-8") as f:
            self.assertIn(f"libpawl {ARGS.major} libpawl{ARGS.major}", f.read())


def main():
    global ARGS
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("cpack", "build", "major"):
        parser.add_argument(f"--{name}", required=True)
    ARGS, rest = parser.parse_known_args()
    for tool in ("dpkg-deb", "dpkg-shlibdeps", "file"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            return 77
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
