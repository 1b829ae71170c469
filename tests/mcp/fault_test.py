"""Each of the first allocations of the MCP server fails once while clients talk to it: it answers or drops that request, never ends, never leaves
anybody waiting, and the next request is served. fault_test.py PAWL MODULE FAULT_SERVER [STEP [NAME...]]    STEP: every so many-th allocation, 1 = all
"""
import http.client
import json
import re
import subprocess
import sys
import time

from rights_test import LegacyAs, as_modern, bearer, rights, token
from server_rig import META, Folder, Paths, Reply
import server_rig

PATIENCE_S = 30  # of a client; the server's own bound of a call is 2 s
TASKS = {"extensions": {META + "tasks": {}}, "elicitation": {}}


class FaultServer:
    def __init__(self, program, f):
        self.process = subprocess.Popen([program, f.db, str(f.path / "tokens"), rights(f, {"limits": {"rate": 0}})[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.line()
        self.port = int(re.search(r":(\d+)/", self.url).group(1))

    def line(self):
        said = self.process.stdout.readline()
        assert said, f"the server ended with status {self.process.wait()}"
        return said.strip()

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        assert status == 0, f"the server ended with status {status}"


def get(s, path, text, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=PATIENCE_S)
    connection.request("GET", path, headers={**bearer(text), **headers})
    return Reply(connection, connection.getresponse())


def events(reply, most=3):
    """As many as come at once; a stream of an open run does not end by itself."""
    if reply.is_stream:
        for _ in zip(range(most), reply.events()):
            pass
    reply.close()


# ---- what clients do: each is one connection after the other, and none waits for what comes by chance ----


def does_modern(s, text, f):
    client = as_modern(s, text, TASKS)
    client.ask("server/discover")
    client.ask("tools/list")
    client.call("greet", {"name": "x"})
    client.call("pawl_search", {"query": "greet"})
    client.ask("resources/read", {"uri": "test://static-text"})
    client.ask("prompts/get", {"name": "test_simple_prompt"})
    client.ask("completion/complete", {"ref": {"type": "ref/resource", "uri": "pawl://runs/{id}"}, "argument": {"name": "id", "value": ""}})


def does_tasks(s, text, f):
    client = as_modern(s, text, TASKS)
    task = client.call("confirm_delete", {"filename": "x"})["result"]["taskId"]
    client.task(task)
    client.ask("tasks/update", {"taskId": task, "inputResponses": {"confirm.1": {"action": "accept", "content": {"confirm": True}}}})
    client.ask("tasks/cancel", {"taskId": task})


def does_legacy(s, text, f):
    client = LegacyAs(s.url, text, capabilities={"elicitation": {}})
    client.post("tools/list")
    client.post("resources/subscribe", {"uri": "pawl://runs/x"})
    call = client.post("tools/call", {"name": "greet", "arguments": {"name": "x"}})
    for _ in call.messages():
        pass
    if call.last_id:
        events(client.resume(call.last_id), 1)
    server_rig.send(s.url, "DELETE", client.own())


def does_listen(s, text, f):
    client = as_modern(s, text, TASKS)
    reply = client.post("subscriptions/listen", {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["pawl://runs/" + f.run]}})
    events(reply, 1)


def does_follow(s, text, f):
    reply = get(s, f"/runs/{f.run}/stream", text)
    reply.close()  # its head has come: it is open, or refused
    get(s, f"/runs/{f.closed}/stream", text).close()


def does_strangers(s, text, f):
    as_modern(s, "x").post("tools/list")
    as_modern(s, text.replace("0", "1")).post("tools/list")
    get(s, "/.well-known/oauth-protected-resource", text)
    get(s, "/mcp", text)


DOES = {n: v for n, v in globals().items() if n.startswith("does_")}


def good(s, text):
    """All is well. [T26]"""
    listed = as_modern(s, text).ask("tools/list")
    assert "greet" in json.dumps(listed), listed
    said = as_modern(s, text).call("greet", {"name": "Ada"})
    assert "Ada" in json.dumps(said["result"]), said


def talk(does, s, text, f):
    """What it is told is none of our concern, but that it is told something, soon."""
    began = time.monotonic()
    try:
        does(s, text, f)
    except TimeoutError as why:
        raise AssertionError("a client waits for ever") from why
    except (http.client.HTTPException, OSError, KeyError, ValueError, AssertionError, TypeError):
        pass
    assert time.monotonic() - began < PATIENCE_S * 2, "it takes too long"


def sweep(does, s, text, f, step):
    n, faults = 1, 0
    while True:
        s.tell(f"fail {n}")
        try:
            talk(does, s, text, f)
            _, failed = s.tell("count").split()
            good(s, text)
        except Exception as why:
            raise AssertionError(f"allocation {n} of {does.__name__}: {why!r}") from why
        if failed == "0":
            return n, faults
        faults += 1
        n += step


def main(arguments):
    program, step, names = arguments[3], int(arguments[4]) if len(arguments) > 4 else 1, arguments[5:]
    Paths.pawl, Paths.module = arguments[1], arguments[2]
    server_rig.WAIT_S = PATIENCE_S
    faults = 0
    with Folder() as f:
        text = token(f, "ada", "operator")
        f.serve()
        s = FaultServer(program, f)
        client = as_modern(s, text)
        start = lambda name, given: client.call("pawl_start", {"workflow": name, "input": given})["result"]["structuredContent"]["run_id"]
        f.run, f.closed = start("slow_compute", {"seconds": 600}), start("greet", {"name": "x"})
        client.call("pawl_wait", {"run_id": f.closed})
        for name, does in DOES.items():
            if not names or name in names:
                began = time.monotonic()
                last, some = sweep(does, s, text, f, step)
                faults += some
                print(f"ok      {name}: {some} of {last} allocations failed, {time.monotonic() - began:.1f} s", flush=True)
        s.end()
    print(f"{faults} faults, none of them ended the server or left a client waiting")
    return 0 if faults > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
