"""What published MCP servers say of their tools, in their own words, from npm: so that it need not be copied into this tree.

    published_tools.py NPM TO [-- COMMAND...]    NPM: a folder for the packages; TO: gets tools.tsv (name, description) and our requests.tsv; then the command

Each server of published/packages.json is installed at its version (none other: its SHA-512 is compared before it is started; no script of a package runs at
installing), started on stdio with keys that are none (published_server.mjs), asked tools/list, and ended. Its list must have the names that are in
packages.json, and every tool that a request means must be among them. Where npm cannot be reached: exit 77, `skipped: why`.

A tool's name here is "SERVICE_name", its description is cut to whole sentences of at most 400 bytes.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mcp"))
import npm_rig

TEXT_MAX = 400
ANSWER_S = 120  # ends a server that hangs
INSTALL_S = 900  # six hundred packages, half a gigabyte
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "pawl-tests", "version": "0"}}}


def fail(why):
    print(f"published_tools: {why}")
    sys.exit(1)


def check_integrity(folder, servers):
    """Of what npm says it unpacked, and compared with the package's bytes when it did."""
    with open(folder / "node_modules" / ".package-lock.json", encoding="utf-8") as file:
        packages = json.load(file)["packages"]
    for server in servers:
        got = packages["node_modules/" + server["package"]].get("integrity")
        if got != server["integrity"]:
            fail(f"{server['package']}@{server['version']} is {got}, not {server['integrity']}")


def home_of(to, server):
    """A home of its own, with a command `heroku` that says of each plugin that it is there; no other command is in the server's PATH."""
    home = Path(to) / "homes" / server["service"]
    shutil.rmtree(home, ignore_errors=True)
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "heroku").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    (home / "bin" / "heroku").chmod(0o755)
    for name, content in server.get("files", {}).items():
        (home / name).write_text(json.dumps(content), encoding="utf-8")
    return home


def start(rig, server, home, log):
    with open(Path(rig.script(server["package"], "package.json")), encoding="utf-8") as file:
        programs = json.load(file)["bin"]
    program = programs if isinstance(programs, str) else next(iter(programs.values()))
    own = {name: value.replace("HOME", str(home)) for name, value in server.get("environment", {}).items()}
    arguments = [value.replace("HOME", str(home)) for value in server.get("arguments", [])]
    return subprocess.Popen([rig.node, "--import", str(HERE / "published_server.mjs"), rig.script(server["package"], program), *arguments],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=home, encoding="utf-8",
                            env={"PATH": str(home / "bin"), "HOME": str(home), **own})


def talk(child):
    """The tools, or None if it ends or says something else first."""
    def send(message):
        child.stdin.write(json.dumps(message) + "\n")
        child.stdin.flush()

    send(INITIALIZE)
    tools, pages = [], 0
    for line in child.stdout:
        message = json.loads(line)
        if "method" in message:
            continue  # a notification, or a question that needs no answer for this
        if "result" not in message:
            return None
        if message["id"] == 1:
            send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        else:
            tools += message["result"]["tools"]
            if "nextCursor" not in message["result"]:
                return tools
        pages += 1
        cursor = message["result"].get("nextCursor")
        send({"jsonrpc": "2.0", "id": 1 + pages, "method": "tools/list", "params": {"cursor": cursor} if cursor else {}})
    return None


def tools_of(rig, to, server):
    home = home_of(to, server)
    with open(home / "stderr", "w+", encoding="utf-8") as log:
        child = start(rig, server, home, log)
        end = threading.Timer(ANSWER_S, child.kill)
        end.start()
        try:
            tools = talk(child)
        except (OSError, ValueError, KeyError) as error:
            tools, why = None, error
        else:
            why = "no list of tools"
        end.cancel()
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
        log.seek(0)
        if tools is None:
            fail(f"{server['package']}: {why}\n{log.read()[-2000:]}")
    return tools


def name_of(service, name):
    name = name.replace("-", "_")
    return name if name.startswith(service + "_") else f"{service}_{name}"


def text_of(description):
    text = re.sub(r"\s+", " ", description).strip()
    if len(text.encode()) <= TEXT_MAX:
        return text
    cut = text.encode()[:TEXT_MAX].decode(errors="ignore")
    return cut[:cut.rfind(".") + 1] or cut


def write_set(to, rows):
    requests = (HERE / "published" / "requests.tsv").read_text(encoding="utf-8")
    have = {name for name, _ in rows}
    meant = {name for line in requests.splitlines() for name in line.split("\t")[0].split("|")}
    if meant - have:
        fail(f"requests mean what no server has: {sorted(meant - have)}")
    (Path(to) / "requests.tsv").write_text(requests, encoding="utf-8")
    (Path(to) / "tools.tsv").write_text("".join(f"{name}\t{text}\t\n" for name, text in rows), encoding="utf-8")
    print(f"{len(rows)} tools, {len(requests.splitlines())} requests in {to}")


def main(arguments):
    top, to = Path(arguments[0]).resolve(), Path(arguments[1]).resolve()
    with open(HERE / "published" / "packages.json", encoding="utf-8") as file:
        servers = json.load(file)
    rig = npm_rig.ready_exactly(top, "published", {s["package"]: s["version"] for s in servers}, INSTALL_S)
    check_integrity(rig.folder, servers)
    to.mkdir(parents=True, exist_ok=True)
    rows = []
    for server in servers:
        own = [(name_of(server["service"], tool["name"]), text_of(tool.get("description", ""))) for tool in tools_of(rig, to, server)]
        if sorted(name for name, _ in own) != sorted(server["tools"]):
            fail(f"{server['package']}: {sorted({name for name, _ in own} ^ set(server['tools']))} is on one side only")
        rows += own
    write_set(to, rows)
    if arguments[2:3] == ["--"]:
        sys.stdout.flush()
        os.execv(arguments[3], arguments[3:])


if __name__ == "__main__":
    main(sys.argv[1:])
