#!/usr/bin/env python3
"""The binary has the network activities, as the environment says: PAWL_EGRESS and the rest.

usage: cli_net_test.py PAWL [test ...]. Does not ask anybody: what is asked is http_activity_test's.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

PAWL = ""


class Serve(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="pawl-net-")
        self.addCleanup(self.folder.cleanup)

    def serve(self, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PAWL_")}
        return subprocess.Popen([PAWL, "serve", "--db", os.path.join(self.folder.name, "j.db"), "-o", "jsonl"], env=environment | variables, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def is_ready(self, **variables):
        server = self.serve(**variables)
        line = server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=60)
        self.assertTrue(line and json.loads(line)["ready"], said)
        self.assertEqual(0, server.returncode, said)

    def test_it_serves_without_a_word_and_with_rules(self):
        self.is_ready()
        self.is_ready(PAWL_EGRESS="api.example.com:443, *.example.org,10.0.0.0/8\n[::1]:8080", PAWL_SECRETS="env:KEY=>api.example.com,file:/run/secrets/*",
                      PAWL_PROXY="http://127.0.0.1:3128", PAWL_CA_FILE="/etc/ssl/cert.pem")
        self.is_ready(PAWL_EGRESS="")

    def test_a_rule_that_is_none_is_named_and_nothing_is_served(self):
        for name, rule in (("PAWL_EGRESS", "http://api.example.com/"), ("PAWL_SECRETS", "vault:x")):
            server = self.serve(**{name: f"good.example.com,{rule}" if name == "PAWL_EGRESS" else rule})
            out, said = server.communicate(timeout=60)
            self.assertNotEqual(0, server.returncode)
            self.assertEqual("", out)
            self.assertIn(rule, said)


if __name__ == "__main__":
    PAWL = sys.argv.pop(1)
    unittest.main()
