#!/usr/bin/env python3
"""Builds a release as the preset `package` does, packs it as Debian packages and looks into them: what is in which, what each depends on, what
lintian says.

They are also installed, used and purged in a bare system, where one can be made (bare_root.sh).
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
VERSION = None


def run(command):
    """Output of a command; its whole story when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("LDFLAGS", "DEBEMAIL", "DEBFULLNAME")}
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="pawl-package-")
        run([ARGS.cmake, "-S", ARGS.source, "-B", ARGS.work, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DPAWL_TESTS=OFF", "-DPAWL_CUDA=OFF",
             "-DCMAKE_INSTALL_PREFIX=/usr", f"-DCMAKE_C_COMPILER={ARGS.cc}"])
        run([ARGS.cmake, "--build", ARGS.work])
        run([ARGS.cpack, "--config", os.path.join(ARGS.work, "CPackConfig.cmake"), "-G", "DEB", "-B", cls.scratch])
        cls.file = {os.path.basename(p).split("_")[0]: p for p in glob.glob(os.path.join(cls.scratch, "*.deb"))}
        cls.symbols = {os.path.basename(p).split("_")[0]: p for p in glob.glob(os.path.join(cls.scratch, "*.ddeb"))}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.scratch)

    def holds(self, package):
        return [line.split()[5] for line in run(["dpkg-deb", "-c", self.file[package]]).splitlines()]

    def depends(self, package):
        return re.split(r",\s*", run(["dpkg-deb", "-f", self.file[package], "Depends"]).strip())

    def unpacked(self, package):
        folder = tempfile.mkdtemp(dir=self.scratch)
        run(["dpkg-deb", "-R", (self.file | self.symbols)[package], folder])
        return folder

    def test_each_library_has_a_package_named_after_its_soname(self):
        libraries = {"libpawl", "libpawl-net", "libpawl-embed"}
        self.assertEqual({"pawl", "libpawl-dev"} | {name + ARGS.soversion for name in libraries}, set(self.file))
        for name in libraries:
            files = glob.glob(os.path.join(self.unpacked(name + ARGS.soversion), "usr", "lib", "*", "*.so.*"))
            self.assertEqual({f"{name.replace('-', '_')}.so.{v}" for v in (ARGS.soversion, VERSION)}, {os.path.basename(f) for f in files})
            self.assertIn(f"[{name.replace('-', '_')}.so.{ARGS.soversion}]", run(["readelf", "-d", files[0]]))

    def test_no_file_is_in_two(self):
        files = [f for p in self.file for f in self.holds(p) if not f.endswith("/")]
        self.assertEqual(len(files), len(set(files)))

    def test_each_holds_what_it_is_for(self):
        for package, part in (("pawl", r"^\./usr/bin/pawl$"), ("pawl", r"/man1/pawl-start\.1\.gz$"), ("pawl", r"/bash-completion/completions/pawl$"),
                              ("pawl", r"/zsh/[a-z-]+/_pawl$"), ("pawl", r"/fish/vendor_completions\.d/pawl\.fish$"), ("pawl", r"/doc/pawl/sdk/GUIDE\.md$"),
                              ("pawl", r"/systemd/system/pawl@\.service$"), ("libpawl-dev", r"/include/pawl\.h$"),
                              ("libpawl-dev", r"/pkgconfig/pawl\.pc$"), ("libpawl-dev", r"/cmake/pawl/pawl-config\.cmake$"),
                              ("libpawl-dev", r"/libpawl\.so$"), ("libpawl-dev", r"/libpawl\.a$"), ("libpawl-dev", r"/examples/agent\.c$")):
            self.assertTrue(any(re.search(part, f) for f in self.holds(package)), f"{part} is not in {package}")
        for package in self.file:
            for page in ("copyright", "changelog.gz"):
                self.assertTrue(any(f.endswith(f"/doc/{package}/{page}") for f in self.holds(package)), (package, page))

    def test_dependencies_are_read_from_the_files(self):
        for package in ("pawl", f"libpawl{ARGS.soversion}"):
            self.assertTrue(any(d.startswith("libsqlite3-0") for d in self.depends(package)), self.depends(package))
        self.assertTrue(any(d.startswith("libcurl4") for d in self.depends(f"libpawl-net{ARGS.soversion}")))
        self.assertFalse(any(d.startswith("libcurl4") for d in self.depends(f"libpawl{ARGS.soversion}")))
        for package in (f"libpawl-net{ARGS.soversion}", f"libpawl-embed{ARGS.soversion}", "libpawl-dev"):
            self.assertIn(f"libpawl{ARGS.soversion} (= {VERSION})", self.depends(package))

    def test_a_program_that_links_a_library_will_depend_on_its_package(self):
        for name in ("libpawl", "libpawl-net", "libpawl-embed"):
            control = os.path.join(self.unpacked(name + ARGS.soversion), "DEBIAN")
            with open(os.path.join(control, "shlibs"), encoding="utf-8") as f:
                self.assertEqual(f"{name.replace('-', '_')} {ARGS.soversion} {name}{ARGS.soversion} (>= {VERSION})", f.read().strip())
            with open(os.path.join(control, "triggers"), encoding="utf-8") as f:
                self.assertEqual("activate-noawait ldconfig\n", f.read())
            self.assertFalse(os.path.exists(os.path.join(control, "postinst")))

    def test_debug_information_is_in_packages_of_its_own(self):
        for package, path in (("pawl", "usr/bin/pawl"), (f"libpawl{ARGS.soversion}", f"usr/lib/*/libpawl.so.{VERSION}")):
            program = glob.glob(os.path.join(self.unpacked(package), path))[0]
            self.assertNotIn(".debug_info", run(["readelf", "-SW", program]))
            build_id = re.search(r"Build ID: (\w+)", run(["readelf", "-n", program])).group(1)
            symbols = os.path.join(self.unpacked(f"{package}-dbgsym"), "usr", "lib", "debug", ".build-id", build_id[:2], build_id[2:] + ".debug")
            self.assertIn(".debug_info", run(["readelf", "-SW", symbols]))

    def test_the_changelog_is_of_this_version(self):
        with open(os.path.join(ARGS.source, "sdk", "cmake", "debian", "changelog"), encoding="utf-8") as f:
            self.assertTrue(f.read().startswith(f"pawl ({VERSION}) "))

    def test_lintian_finds_nothing_to_warn_of(self):
        if not shutil.which("lintian"):
            self.skipTest("lintian is not installed")
        self.assertEqual("", run(["lintian", "--no-cfg", "--fail-on", "error,warning", *self.file.values(), *self.symbols.values()]))

    def test_in_a_bare_system_they_install_work_and_purge_leaves_nothing(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bare_root.sh")
        done = subprocess.run(["bash", script, self.scratch, ARGS.work + "-bare"], text=True, capture_output=True, stdin=subprocess.DEVNULL)
        if done.returncode == 77:
            self.skipTest(done.stdout.strip().splitlines()[-1])
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn("purge leaves nothing", done.stdout)


def main():
    global ARGS, VERSION
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("cmake", "cpack", "cc", "source", "work", "version", "soversion"):
        parser.add_argument(f"--{name}", required=True)
    ARGS, rest = parser.parse_known_args()
    VERSION = ARGS.version
    for tool in ("dpkg-deb", "dpkg-shlibdeps", "file"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            return 77
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
