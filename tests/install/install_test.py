#!/usr/bin/env python3
"""Installs the build into a fresh folder, moves that folder, and uses it as a stranger does.

By pkg-config and by CMake, shared and static: a program is built against what is installed alone, and run. It also looks at
what the shared library shows, what it needs, and what the program about itself has written. Not tested: packaging.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ARGS = None
HERE = os.path.dirname(os.path.abspath(__file__))
# All that the core may need; the sanitizers only in a build with them.
NEEDED = r"lib(sqlite3|uv|xxhash|sodium|pcre2-8|c|m|dl|pthread)\.so\.\d+|ld-linux[-\w]*\.so\.\d+|lib(asan|ubsan|tsan)\.so\.\d+"
HEADERS = {"pawl.h", "pawl_activity.h", "pawl_value.h", "pawl_workflow.h"}


def run(command, **more):
    """Output of a command; its whole story when it fails."""
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="pawl-install-")
        first = os.path.join(cls.scratch, "first")
        run([ARGS.cmake, "--install", ARGS.build, "--prefix", first])
        cls.prefix = os.path.join(cls.scratch, "moved")
        os.rename(first, cls.prefix)
        cls.lib = os.path.join(cls.prefix, ARGS.libdir)
        cls.shared = os.path.join(cls.lib, "libpawl.so")
        cls.environment = dict(os.environ, PKG_CONFIG_PATH=os.path.join(cls.lib, "pkgconfig"), LD_LIBRARY_PATH=cls.lib)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.scratch)

    def pkg_config(self, *args):
        return run(["pkg-config", *args], env=self.environment).split()

    def says_hello(self, program):
        journal = os.path.join(tempfile.mkdtemp(dir=self.scratch), "agents.db")
        self.assertEqual("hello world\n", run([program, journal], env=self.environment))

    def needs(self, program):
        return run(["ldd", program], env=self.environment)

    def has_net(self):
        if not os.path.exists(os.path.join(self.lib, "libpawl_net.so")):
            self.skipTest("built without the network activities")
        return os.path.join(self.lib, "libpawl_net.so")

    def by_pkg_config(self, package, source="hello.c"):
        program = os.path.join(self.scratch, package)
        run([ARGS.cc, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-o", program, os.path.join(HERE, "consumer", source),
             *self.pkg_config("--cflags", "--libs", package)])
        return program

    def test_a_program_found_the_shared_library_by_pkg_config(self):
        program = self.by_pkg_config("pawl")
        self.assertIn(f"libpawl.so.{ARGS.soversion} =>", self.needs(program))
        self.says_hello(program)

    def test_a_program_found_the_static_library_by_pkg_config(self):
        program = self.by_pkg_config("pawl-static")
        self.assertNotIn("libpawl", self.needs(program))
        self.says_hello(program)

    def test_a_program_found_both_by_cmake(self):
        folder = os.path.join(self.scratch, "by-cmake")
        run([ARGS.cmake, "-S", os.path.join(HERE, "consumer"), "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
             f"-DCMAKE_C_COMPILER={ARGS.cc}", f"-DCMAKE_PREFIX_PATH={self.prefix}"])
        run([ARGS.cmake, "--build", folder])
        self.assertIn("libpawl.so", self.needs(os.path.join(folder, "hello_shared")))
        self.assertNotIn("libpawl", self.needs(os.path.join(folder, "hello_static")))
        self.says_hello(os.path.join(folder, "hello_shared"))
        self.says_hello(os.path.join(folder, "hello_static"))

    def test_the_guide_is_followed_to_its_end(self):
        with open(os.path.join(ARGS.source, "sdk", "GUIDE.md"), encoding="utf-8") as f:
            guide = f.read()
        folder = os.path.join(self.scratch, "guide")
        os.mkdir(folder)
        for name, language in (("order.c", "c"), ("CMakeLists.txt", "cmake")):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(re.search(rf"^```{language}\n(.*?)^```", guide, re.M | re.S).group(1))
        build = os.path.join(folder, "build")
        run([ARGS.cmake, "-S", folder, "-B", build, "-G", "Ninja", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror", f"-DCMAKE_C_COMPILER={ARGS.cc}",
             f"-DCMAKE_PREFIX_PATH={self.prefix}"])
        run([ARGS.cmake, "--build", build])
        self.assertEqual('ok {"shipped":true,"cents":1200}\n', run([os.path.join(build, "order")], env=self.environment))
        self.it_survives(os.path.join(build, "order"), os.path.join(self.prefix, "bin", "pawl"), os.path.join(folder, "agents.db"))

    def it_survives(self, program, pawl, journal):
        """Hosted, killed while it asks, hosted again, answered; and backed up meanwhile."""
        def hosted():
            host = subprocess.Popen([program, journal], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
            while host.poll() is None and not json.loads(asked("version", "-o", "json")).get("journal", {}).get("owner_pid") == host.pid:
                pass
            return host

        def asked(*command):
            return run([pawl, "--db", journal, *command], env=self.environment)

        host = hosted()
        self.addCleanup(host.kill)
        asked("start", "order", "-w", "order-7", "-i", '{"cents": 7}')
        while "ship" not in asked("wait", "-o", "jsonl"):
            pass
        host.kill()
        host.wait()
        host = hosted()
        self.addCleanup(host.kill)
        asked("backup", journal + ".copy")
        asked("answer", "order-7", "yes")
        self.assertEqual({"shipped": True, "cents": 7}, json.loads(asked("result", "order-7", "-o", "json"))["result"])
        host.terminate()
        self.assertEqual(0, host.wait())
        self.assertIn("sound: 1 run,", run([pawl, "--db", journal + ".copy", "verify"], env=self.environment))

    def is_denied(self, program):
        self.assertEqual("EgressDenied\n", run([program], env=self.environment))

    def test_a_program_asks_by_the_network_library_found_by_pkg_config(self):
        self.has_net()
        self.is_denied(self.by_pkg_config("pawl-net", "net.c"))
        self.is_denied(self.by_pkg_config("pawl-net-static", "net.c"))

    def test_a_program_asks_by_the_network_library_found_by_cmake(self):
        self.has_net()
        folder = os.path.join(self.scratch, "net-by-cmake")
        run([ARGS.cmake, "-S", os.path.join(HERE, "consumer"), "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
             f"-DCMAKE_C_COMPILER={ARGS.cc}", f"-DCMAKE_PREFIX_PATH={self.prefix}"])
        run([ARGS.cmake, "--build", folder])
        self.assertNotIn("libpawl", self.needs(os.path.join(folder, "net_static")))
        self.is_denied(os.path.join(folder, "net_shared"))
        self.is_denied(os.path.join(folder, "net_static"))

    def test_the_network_library_shows_its_entry_alone(self):
        names = [line.split()[-1] for line in run(["nm", "-D", "--defined-only", self.has_net()]).splitlines()]
        self.assertEqual(["pawl_agent_register", "pawl_net_register", "pawl_net_register_worker"], sorted(names))

    def has_embed(self):
        if not os.path.exists(os.path.join(self.lib, "libpawl_embed.so")):
            self.skipTest("built without embedding")
        return os.path.join(self.lib, "libpawl_embed.so")

    def has_no_model(self, program):
        self.assertEqual("notfound\n", run([program], env=self.environment))

    def test_a_program_embeds_by_the_library_found_by_pkg_config(self):
        self.has_embed()
        self.has_no_model(self.by_pkg_config("pawl-embed", "embed.c"))
        self.has_no_model(self.by_pkg_config("pawl-embed-static", "embed.c"))

    def test_a_program_embeds_by_the_library_found_by_cmake(self):
        self.has_embed()
        folder = os.path.join(self.scratch, "embed-by-cmake")
        run([ARGS.cmake, "-S", os.path.join(HERE, "consumer"), "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
             f"-DCMAKE_C_COMPILER={ARGS.cc}", f"-DCMAKE_PREFIX_PATH={self.prefix}"])
        run([ARGS.cmake, "--build", folder])
        self.has_no_model(os.path.join(folder, "embed_shared"))
        self.has_no_model(os.path.join(folder, "embed_static"))

    def test_the_embedding_library_shows_its_entries_alone(self):
        names = [line.split()[-1] for line in run(["nm", "-D", "--defined-only", self.has_embed()]).splitlines()]
        self.assertTrue(names and all(name.startswith(("pawl_embed_", "pawl_index_")) for name in names), names)

    def test_the_shared_library_is_versioned(self):
        self.assertEqual(f"libpawl.so.{ARGS.version}", os.path.basename(os.path.realpath(self.shared)))
        self.assertIn(f"libpawl.so.{ARGS.soversion}]", run(["readelf", "-d", self.shared]))

    def test_the_shared_library_shows_pawl_symbols_only(self):
        names = [line.split()[-1] for line in run(["nm", "-D", "--defined-only", self.shared]).splitlines()]
        self.assertGreater(len(names), 20)
        self.assertEqual([], [n for n in names if not n.startswith("pawl_")])

    def test_the_shared_library_needs_no_curl_no_http_server_no_cuda_no_cxx(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "-dW", self.shared]))
        self.assertGreater(len(needed), 4)
        self.assertEqual([], [n for n in needed if not re.fullmatch(NEEDED, n)])

    def test_the_shared_library_has_a_build_id_and_is_hardened(self):
        self.assertIn("Build ID:", run(["readelf", "-n", self.shared]))
        dynamic = run(["readelf", "-dlW", self.shared])
        self.assertIn("BIND_NOW", dynamic)
        self.assertIn("GNU_RELRO", dynamic)
        self.assertRegex(dynamic, r"GNU_STACK.* RW ")

    def test_the_public_headers_are_there_and_only_they(self):
        headers = set(os.listdir(os.path.join(self.prefix, "include")))
        self.assertLessEqual(HEADERS, headers)
        self.assertEqual([], [h for h in headers if not re.fullmatch(r"pawl(_\w+)?\.(h|def)", h)])

    def test_no_installed_file_of_text_names_the_build(self):
        for folder, _, names in os.walk(self.prefix):
            for name in names:
                if name.endswith((".pc", ".cmake", ".h", ".1")) and ".so." not in name:
                    with open(os.path.join(folder, name), encoding="utf-8") as f:
                        text = f.read()
                    for place in (ARGS.build, ARGS.source, self.scratch):
                        self.assertNotIn(place, text, f"{name} names {place}")

    def test_licence_examples_and_service_are_there(self):
        share = os.path.join(self.prefix, "share", "doc")
        for path in ("pawl/copyright", "pawl/README.md", "libpawl-dev/copyright", "libpawl-dev/examples/fix_issue.c"):
            self.assertTrue(os.path.getsize(os.path.join(share, path)), path)
        with open(os.path.join(self.prefix, "lib", "systemd", "system", "pawl@.service"), encoding="utf-8") as f:
            unit = f.read()
        self.assertRegex(unit, r"(?m)^ExecStart=/\S+/bin/pawl serve --db \S+/%i\.db \$PAWL_SERVE$")
        self.assertNotRegex(unit, r"@[A-Z_]+@")

    def test_the_binary_runs_and_has_its_pages(self):
        program = os.path.join(self.prefix, "bin", "pawl")
        self.assertIn(ARGS.version, run([program, "version"], env=self.environment))
        self.assertTrue(os.path.getsize(os.path.join(self.prefix, "share", "man", "man1", "pawl.1")))

    def test_completion_is_where_each_shell_looks(self):
        for shell, place, part in (("bash", "bash-completion/completions/pawl", "complete -F _pawl pawl"), ("zsh", "zsh/site-functions/_pawl", "#compdef pawl"),
                                   ("fish", "fish/vendor_completions.d/pawl.fish", "complete -c pawl")):
            script = os.path.join(self.prefix, "share", place)
            with open(script, encoding="utf-8") as f:
                self.assertIn(part, f.read())
            if shutil.which(shell):
                run([shell, "-n", script])

    def test_links_of_the_pages_lead_to_what_is_installed(self):
        pages = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(self.prefix, "share", "doc")) for name in names
                 if name.endswith(".md")]
        self.assertGreater(len(pages), 10)
        for page in pages:
            with open(page, encoding="utf-8") as f:
                links = re.findall(r"\]\(([^)\s#]+)", f.read())
            for link in links:
                if "://" not in link:
                    self.assertTrue(os.path.exists(os.path.join(os.path.dirname(page), link)), f"{page} leads to {link}")


def main():
    global ARGS
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("cmake", "cc", "build", "source", "libdir", "version", "soversion"):
        parser.add_argument(f"--{name}", required=True)
    ARGS, rest = parser.parse_known_args()
    for tool in ("pkg-config", "readelf", "nm", "ldd"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            return 77
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
