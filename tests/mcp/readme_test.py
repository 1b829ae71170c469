"""The three configurations of the README, read there and given to a client as they stand: the inspector's CLI, with its file of servers.

    readme_test.py PAWL MODULE NPM [NAME...]        exit 77 (with `skipped: why`) where npm cannot be reached

Only what differs on a person's machine is put in: where pawl, its files and the module are, the port, and the token that `pawl token` printed.
"""
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import npm_rig
import server_rig
from server_rig import WAIT_S, Paths

INSPECTOR = "@modelcontextprotocol/inspector"
README = Path(__file__).resolve().parents[2] / "README.md"
HEADING = "## Workflows as MCP tools\n"


class Rig:
    """Set once, before the tests."""
    npm = None


def blocks():
    """[(language, text)] of that part of the README."""
    part = README.read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", part, re.M | re.S)


def put_in(f, text, port=None, token=None):
    f.db = str(f.path / "agents.db")
    if not (f.path / "order.so").exists():
        (f.path / "order.so").symlink_to(Paths.module)
    text = text.replace("/usr/local/bin/pawl", Paths.pawl).replace("/var/lib/pawl", str(f.path))
    text = text.replace(":8080/", f":{port}/") if port is not None else text
    return text.replace("Bearer TOKEN", f"Bearer {token}") if token is not None else text


def client(f, config, method, *arguments):
    (f.path / "mcp.json").write_text(config, encoding="utf-8")
    command = [Rig.npm.node, Rig.npm.script(INSPECTOR, "clients/launcher/build/index.js"), "--cli", "--config", str(f.path / "mcp.json"), "--server",
               "pawl", "--method", method, *arguments, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S, stdin=subprocess.DEVNULL,
                          env={**os.environ, "NO_COLOR": "1", "HOME": str(f.path)})
    return done


def works(f, config):
    called = client(f, config, "tools/call", "--tool-name", "greet", "--tool-arg", "name=Ada")
    assert called.returncode == 0, called
    assert json.loads(called.stdout)["result"]["content"][0]["text"] == "Hello, Ada!"


class Shell:
    """The commands of a block, run as they stand; the port is any that is free. The last one serves."""

    def __init__(self, f, text):
        *before, last = put_in(f, text.replace("--http 8080", "--http 0")).splitlines()
        self.printed = [subprocess.run([Paths.pawl, *shlex.split(line)[1:]], capture_output=True, text=True, check=True, timeout=WAIT_S).stdout
                        for line in before]
        words = shlex.split(last)
        assert words[:2] == ["pawl", "serve"], last
        self.process = subprocess.Popen([Paths.pawl, *words[1:], "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = ""
        while not said.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            assert line, f"{last} ended with status {self.process.wait()}"
            said += line
        self.port = json.loads(said)["mcp"].split(":")[2].split("/")[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=WAIT_S)
        self.process.stdout.close()


def of(language):
    return [text for kind, text in blocks() if kind == language]


def it_has_three_configurations(_):
    assert [kind for kind, _ in blocks()] == ["json", "sh", "json", "sh", "json"]


def it_serves_a_client_that_starts_its_servers(f):
    config = put_in(f, of("json")[0])
    works(f, config)
    assert f.owner() != 0, "the engine has to go on when the client ends"


def it_serves_such_a_client_in_a_container(f):
    config = json.loads(put_in(f, of("json")[0]))
    config["mcpServers"]["pawl"]["args"].append("--in-process")
    works(f, json.dumps(config))
    assert f.owner() == 0, "nothing is to outlive the client"


def it_serves_a_client_that_speaks_http(f):
    with Shell(f, of("sh")[0]) as server:
        works(f, put_in(f, of("json")[1], server.port))


def it_serves_a_client_with_a_token_and_none_without(f):
    with Shell(f, of("sh")[1]) as server:
        token = re.search(r"pawl-client-[A-Za-z0-9_-]+", server.printed[0]).group()
        works(f, put_in(f, of("json")[2], server.port, token))
        assert f.pawl("show", f.runs("greet")[0]["id"])[0]["by"] == "laptop"
        for config in (put_in(f, of("json")[1], server.port), put_in(f, of("json")[2], server.port, token[:-1])):
            refused = client(f, config, "tools/list", "--stored-auth-only")
            assert refused.returncode != 0, refused


if __name__ == "__main__":
    Rig.npm = npm_rig.ready(Path(sys.argv[3]).resolve(), *npm_rig.CLIENTS)
    sys.exit(server_rig.main(globals(), [*sys.argv[:3], *sys.argv[4:]]))
