"""MCP clients that are not ours, against `pawl serve --http` and `pawl mcp`: the SDKs, ext-tasks, the inspector's CLI.

    clients_test.py PAWL MODULE NPM [NAME...]

NPM: the folder where the clients are, or are installed, each at one version (npm_rig.py); exit 77 (with `skipped: why`) when that cannot be.
Cases run side by side, each on a journal of its own. A case that fails prints the command that runs it alone.
"""
import json
import os
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import npm_rig
from server_rig import Folder, Paths

INSPECTOR = "@modelcontextprotocol/inspector"
DRIVER = Path(__file__).resolve().with_name("clients.mjs")
CASE_S = 120
AT_A_TIME = 4


class Rig:
    """Set once, before the cases."""
    npm = None


def shim_command(folder):
    return [Paths.pawl, "mcp", "--db", folder.db, "--module", Paths.module, "--idle-exit", "10s"]


def run(command, folder, **more):
    env = {**os.environ, "NO_COLOR": "1", "HOME": str(folder.path)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=CASE_S, env=env, **more)


# ---- the SDKs: clients.mjs ----


def drive(folder, client, transport):
    target = [folder.serve().url] if transport == "http" else shim_command(folder)
    with open(DRIVER, encoding="utf-8") as script:
        done = run([Rig.npm.node, "--require", npm_rig.LOOPBACK, "--input-type=module", "-", client, transport, *target], folder, stdin=script,
                   cwd=Rig.npm.folder)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout.splitlines()


# ---- the inspector ----


def inspect(folder, target, *arguments, expect=0):
    command = [Rig.npm.node, Rig.npm.script(INSPECTOR, "clients/launcher/build/index.js"), "--cli", *target, *arguments, "--format", "json"]
    done = run(command, folder, stdin=subprocess.DEVNULL)
    assert done.returncode == expect, f"{arguments}: status {done.returncode}: {done.stdout}{done.stderr}"
    said = json.loads(done.stdout)
    return said.get("result", said)


def inspect_some(folder, target, era, whole):
    """whole: all of it; else a list and a call, since each is a process."""
    def ask(*arguments, expect=0):
        return inspect(folder, target, "--protocol-era", era, "--method", *arguments, expect=expect)

    tools = ask("tools/list", "--strict")["tools"]
    assert {"greet", "slow_compute", "pawl_search"} <= {t["name"] for t in tools}
    said = ask("tools/call", "--tool-name", "slow_compute", "--tool-args-json", '{"seconds": 0.4, "label": "x"}')
    assert said["content"][0]["text"] == "computed x", said
    if whole:
        said = ask("tools/call", "--tool-name", "greet", "--tool-arg", "name=Ada")
        assert said["content"][0]["text"] == "Hello, Ada!", said
        said = ask("tools/call", "--tool-name", "test_error_handling", expect=5)
        assert said["isError"] is True, said
        said = ask("resources/read", "--uri", "test://static-text")
        assert said["contents"][0]["text"] == "This is the content of the static text resource.", said
        said = ask("prompts/get", "--prompt-name", "test_simple_prompt")
        assert said["messages"][0]["role"] == "user", said
    return [f"inspector {era}: {len(tools)} tools listed, " + ("three called, a resource read, a prompt got" if whole else "one called")]


def answer_for(folder, command):
    """Runs a client that cannot be asked, and answers in its place what its run asks. What it printed."""
    env = {**os.environ, "NO_COLOR": "1", "HOME": str(folder.path)}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as client:
        while client.poll() is None and not any(r["waiting"] for r in folder.runs("confirm_delete")):
            pass
        folder.pawl("answer", folder.runs("confirm_delete")[0]["id"], "--data", '{"confirm": true}')
        said, complaints = client.communicate(timeout=CASE_S)
        assert client.returncode == 0, complaints
    return json.loads(said)


def inspect_a_task_that_a_person_answers(folder):
    """The client has tasks and no elicitation: it waits, a person answers elsewhere."""
    target = folder.serve().url
    command = [Rig.npm.node, Rig.npm.script(INSPECTOR, "clients/launcher/build/index.js"), "--cli", target, "--protocol-era", "modern", "--method",
               "tools/call", "--tool-name", "confirm_delete", "--tool-arg", "filename=f", "--format", "json"]
    said = answer_for(folder, command)
    said = said.get("result", said)
    assert said["content"][0]["text"] == "f was deleted", said
    return ["inspector modern: a task waited for a person, who answered with `pawl answer`"]


CASES = {
    **{f"{client}-{transport}": lambda f, c=client, t=transport: drive(f, c, t)
       for client in ("sdk1", "client2", "client2-legacy", "tasks-v1", "tasks-v2") for transport in ("http", "stdio")},
    "inspector-legacy-http": lambda f: inspect_some(f, [f.serve().url], "legacy", True),
    "inspector-modern-http": lambda f: inspect_some(f, [f.serve().url], "modern", False),
    "inspector-legacy-stdio": lambda f: inspect_some(f, shim_command(f), "legacy", False),
    "inspector-modern-stdio": lambda f: inspect_some(f, shim_command(f), "modern", False),
    "inspector-person": inspect_a_task_that_a_person_answers,
}


def try_case(name):
    try:
        with Folder() as folder:
            return name, CASES[name](folder), None
    except Exception:  # pylint: disable=broad-except
        return name, [], traceback.format_exc()


def main(arguments):
    Paths.pawl, Paths.module = (str(Path(p).resolve()) for p in arguments[1:3])
    Rig.npm = npm_rig.ready(Path(arguments[3]).resolve(), *npm_rig.CLIENTS)
    names = arguments[4:] or list(CASES)
    failed = 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for name, lines, why in pool.map(try_case, names):
            print("\n".join(lines))
            if why is not None:
                failed += 1
                print(f"FAILED  {name}\n{why}        again: {' '.join(arguments[:4])} {name}")
    print(f"{len(names) - failed} of {len(names)} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
