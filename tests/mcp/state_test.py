"""What the MCP server keeps, tells and forgets: deploys, tasks, sessions, keys, over kill -9. state_test.py PAWL MODULE [NAME...]"""
import http.client
import json
import signal
import subprocess
import sys

from server_rig import LEGACY, META, MODERN, Legacy, Modern, Paths, main, send
from server_test import begin_call, code_of

OWN = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}


class Pipe:
    """`pawl mcp` for an engine of somebody else, spoken to in both eras."""

    def __init__(self, f):
        self.number = 0
        self.process = subprocess.Popen([Paths.pawl, "mcp", "--db", f.db], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def send(self, method, params=None, number=True):
        self.number += number
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}, **({"id": self.number} if number else {})}
        self.process.stdin.write(json.dumps(message) + "\n")

    def next(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, method, params=None):
        self.send(method, params)
        while True:
            said = self.next()
            if said.get("id") == self.number and "method" not in said:
                return said

    def hello(self):
        reply = self.ask("initialize", {"protocolVersion": LEGACY, "capabilities": {}})["result"]
        self.send("notifications/initialized", number=False)
        return reply

    def until(self, wanted):
        """The messages up to the first that is wanted."""
        heard = [self.next()]
        while not wanted(heard[-1]):
            heard.append(self.next())
        return heard

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0
        self.process.stdout.close()


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="latin1") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def replace(f, pipe, server, end, **how):
    """Another engine, before the shim has found out that there is none and started its own."""
    pipe.process.send_signal(signal.SIGSTOP)
    f.until(lambda: is_stopped(pipe.process.pid), "the shim does not stop")
    end()
    f.serve(port=server.port, **how)
    pipe.process.send_signal(signal.SIGCONT)


def tools_of(reply):
    return {t["name"] for t in reply["result"]["tools"]}


# ---- a deploy ----


def it_tells_both_eras_of_a_deploy_without_being_asked(f):
    server = f.serve(loads=False)
    pipe = Pipe(f)
    pipe.hello()
    pipe.send("subscriptions/listen", {"notifications": {"toolsListChanged": True}, "_meta": OWN})
    listening = pipe.number
    pipe.until(lambda m: m.get("method") == "notifications/subscriptions/acknowledged")
    assert "greet" not in tools_of(pipe.ask("tools/list"))
    replace(f, pipe, server, server.stop)
    changed = "notifications/tools/list_changed"
    told = []
    while len({"params" in m for m in told if m["method"] == changed}) < 2:
        told.append(pipe.next())
    assert [m["params"]["_meta"][META + "subscriptionId"] for m in told if "params" in m] == [listening]
    assert "greet" in tools_of(pipe.ask("tools/list"))
    pipe.end()


def it_tells_a_session_that_comes_back_of_what_was_deployed_meanwhile_and_only_then(f):
    server = f.serve(loads=False)
    Modern(server.url).ask("tools/list")  # what is published is known, and so when they begin
    first, second = Legacy(server.url), Legacy(server.url)
    first.post("tools/list")
    server.kill()
    server = f.serve(port=server.port, loads=False)
    stream = send(server.url, "GET", first.own())
    assert send(server.url, "DELETE", first.own()).status == 200  # which ends its stream
    assert list(stream.messages()) == []
    server.kill()
    server = f.serve(port=server.port)
    stream = send(server.url, "GET", second.own())
    assert next(stream.messages())["method"] == "notifications/tools/list_changed"
    stream.close()


# ---- tasks ----


def approve_as_task(pipe):
    return pipe.ask("tools/call", {"name": "approve", "arguments": {"what": "it"}, "task": {"ttl": 60000}})["result"]["task"]["taskId"]


def it_lists_tasks_and_tells_a_legacy_client_what_becomes_of_its_own(f):
    server = f.serve()
    pipe = Pipe(f)
    assert pipe.hello()["capabilities"]["tasks"]["list"] == {}
    assert pipe.ask("tasks/list")["result"] == {"tasks": []}
    first, second = approve_as_task(pipe), approve_as_task(pipe)
    f.pawl("start", "approve", "--workflow-id", "of-somebody-else", "--input", "{}")
    assert first != second
    f.pawl("answer", first, "approve")
    told = pipe.until(lambda m: m.get("method") == "notifications/tasks/status" and m["params"]["status"] == "completed")
    assert told[-1]["params"]["taskId"] == first and "result" not in told[-1]["params"]
    listed = pipe.ask("tasks/list")["result"]["tasks"]
    assert [(t["taskId"], t["status"]) for t in listed] == [(second, "working"), (first, "completed")], listed
    assert code_of(pipe.ask("tasks/list", {"cursor": "x"})) == -32602
    replace(f, pipe, server, server.kill)
    assert [t["taskId"] for t in pipe.ask("tasks/list")["result"]["tasks"]] == [second, first]
    pipe.end()
    url = f.servers[-1].url
    client = Legacy(url)  # nobody knows who that is
    assert "list" not in client.hello["capabilities"]["tasks"]
    assert code_of(client.post("tasks/list").json) == -32601
    assert code_of(Modern(url).ask("tasks/list")) == -32601


def it_forgets_a_task_when_its_time_is_over_and_never_stops_its_run(f):  # [T15]
    client = Modern(f.serve(options=("--task-ttl", "1ms")).url, {"extensions": {META + "tasks": {}}, "elicitation": {}})
    task = client.call("approve")["result"]
    assert client.task(task["taskId"])["status"] == "input_required", "an open run keeps its handle"
    assert client.task(task["taskId"])["ttlMs"] >= task["ttlMs"]
    f.pawl("answer", task["taskId"], "approve")
    f.pawl("wait", task["taskId"])
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        assert code_of(client.ask(method, {"taskId": task["taskId"], "inputResponses": {}})) == -32602, method
    assert code_of(Legacy(f.servers[-1].url).post("tasks/result", {"taskId": task["taskId"]}).json) == -32602
    assert client.call("pawl_wait", {"run_id": task["taskId"]})["result"]["structuredContent"]["choice"] == "approve"


def it_answers_a_client_without_tasks_by_its_bound(f):
    client = Modern(f.serve(options=("--call-bound", "300ms")).url)
    handle = client.call("note_and_wait", {"path": str(f.path / "n"), "held": True})["result"]["structuredContent"]
    assert handle["status"] == "running", handle
    for _ in range(2):
        again = client.call("pawl_wait", {"run_id": handle["run_id"]})["result"]["structuredContent"]
        assert again["run_id"] == handle["run_id"], again
    f.let_go([handle["run_id"]])
    waits = [again]
    while "run_id" in waits[-1]:
        waits.append(client.call("pawl_wait", {"run_id": handle["run_id"]})["result"]["structuredContent"])
    assert waits[-1] == {"line": "once"} and f.lines("n") == ["once"], (waits, f.lines("n"))


# ---- once ----


def it_takes_a_key_as_an_argument_too_and_knows_it_after_a_kill(f):
    server = f.serve()
    client = Modern(server.url)
    tool = next(t for t in client.ask("tools/list")["result"]["tools"] if t["name"] == "note_and_wait")
    assert tool["inputSchema"]["properties"]["idempotency_key"]["type"] == "string"
    arguments = {"path": str(f.path / "n"), "line": "a"}
    keyed = {**arguments, "idempotency_key": "k"}
    start = {"workflow": "note_and_wait", "input": arguments, "idempotency_key": "s"}
    first = client.call("note_and_wait", keyed)["result"]["structuredContent"]
    run = client.call("pawl_start", start)["result"]["structuredContent"]["run_id"]
    f.until_runs("note_and_wait", lambda runs: all(r["status"] == "completed" or "timer" in (r["waiting"] or "") for r in runs), "it never sleeps")
    server.kill()
    client = Modern(f.serve(port=server.port).url)
    assert client.call("note_and_wait", keyed)["result"]["structuredContent"] == first
    assert client.call("note_and_wait", arguments, {"dev.pawl/idempotency-key": "k"})["result"]["structuredContent"] == first
    assert code_of(client.call("note_and_wait", {**keyed, "line": "b"})) == -32602
    assert client.call("pawl_start", start)["result"]["structuredContent"]["run_id"] == run
    assert code_of(client.call("pawl_start", {**start, "input": {**arguments, "line": "b"}})) == -32602
    got = client.call("pawl_wait", {"run_id": run})["result"]
    assert got["structuredContent"] == {"line": "a"}, got
    assert f.lines("n") == ["a", "a"] and len(f.runs("note_and_wait")) == 2


# ---- legacy sessions and streams ----


def logged(client):
    return [m for m in client.post("tools/call", {"name": "test_tool_with_logging", "arguments": {}}).messages()
            if m.get("method") == "notifications/message"]


def it_keeps_what_a_session_became_over_a_kill(f):  # [T13]
    server = f.serve()
    client, gone = Legacy(server.url), Legacy(server.url)
    run = f.pawl("start", "approve", "--input", "{}")["id"]
    assert logged(client)
    assert "result" in client.post("logging/setLevel", {"level": "emergency"}).json
    assert "result" in client.post("resources/subscribe", {"uri": f"pawl://runs/{run}"}).json
    assert send(server.url, "DELETE", gone.own()).status == 200
    server.kill()
    f.serve(port=server.port)
    assert not logged(client), "the level"
    stream = send(server.url, "GET", client.own())
    f.pawl("answer", run, "approve")
    heard = next(m for m in stream.messages() if m["method"] == "notifications/resources/updated")
    assert heard["params"]["uri"] == f"pawl://runs/{run}"
    stream.close()
    assert gone.post("ping").status == 404, "an ended session lives again"
    assert send(server.url, "GET", gone.own()).status == 404 and send(server.url, "DELETE", gone.own()).status == 404


def it_ends_a_session_for_ever_whatever_it_asked_at_the_same_time(f):  # [T13]
    server = f.serve()
    ended = []
    for number in range(10):
        client = Legacy(server.url)
        server.process.send_signal(signal.SIGSTOP)
        connections = []
        for method, body in (("DELETE", None), *(("POST", {"jsonrpc": "2.0", "id": i, "method": "resources/subscribe",
                                                           "params": {"uri": f"pawl://runs/{number}.{i}"}}) for i in range(4))):
            connections.append(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60))
            connections[-1].request(method, "/mcp", body=body and json.dumps(body), headers=client.own())
        server.process.send_signal(signal.SIGCONT)
        assert [c.getresponse().status for c in connections][0] == 200
        ended.append(client.session)
    server.kill()
    server = f.serve(port=server.port)
    assert [Legacy(server.url, session=s).post("ping").status for s in ended] == [404] * len(ended)


def it_gives_a_stream_to_its_own_session_alone(f):  # [T14]
    server = f.serve()
    client, other = Legacy(server.url), Legacy(server.url)
    reply = client.post("tools/call", {"name": "note_and_wait", "arguments": {"path": str(f.path / "n"), "held": True}})
    event, _ = next(reply.events())
    assert other.resume(event).status == 400
    again = client.resume(event)
    f.let_go(f.until_noted())
    end = [m for m in again.messages() if "result" in m]
    assert end[0]["result"]["structuredContent"] == {"line": "once"}
    reply.close()


def it_cuts_a_stream_whose_client_is_to_poll(f):
    client = Legacy(f.serve().url)
    reply = client.post("tools/call", {"name": "test_reconnection", "arguments": {}})
    events = list(reply.events())
    assert events == [(events[0][0], None)], "nothing but the event to come back with"
    end = [m for m in client.resume(reply.last_id).messages() if "result" in m]
    assert end[0]["id"] == client.number and "came on the next" in end[0]["result"]["content"][0]["text"]
    assert len(f.runs("test_reconnection")) == 1


# ---- the end ----


def it_says_farewell_to_listeners(f):
    server = f.serve()
    client = Modern(server.url)
    messages = client.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}}).messages()
    assert next(messages)["method"] == "notifications/subscriptions/acknowledged"
    server.stop()
    end = next(messages)
    assert end["id"] == client.number and end["result"]["resultType"] == "complete"
    assert end["result"]["_meta"][META + "subscriptionId"] == client.number


def it_has_no_sessions_for_a_modern_client_whatever_it_names(f):
    url = f.serve().url
    own = Legacy(url).own()
    for method in ("GET", "DELETE"):
        assert send(url, method, {**own, "MCP-Protocol-Version": MODERN}).status == 405
    assert Legacy(url, session=own["Mcp-Session-Id"]).post("ping").status == 200


def it_releases_what_the_call_of_a_client_that_went_held(f):
    server = f.serve()
    client = Modern(server.url)
    calls = [begin_call(client, "note_and_wait", {"path": str(f.path / "n"), "line": str(i), "seconds": 600}) for i in range(5)]
    f.until(lambda: len(f.lines("n")) == 5, lambda: f"they do not begin: {f.lines('n')}")
    f.until(lambda: server.held() == 5, lambda: f"{server.held()} connections")
    for call in calls:
        call.close()
    f.until(lambda: server.held() == 0, lambda: f"{server.held()} connections are held")
    assert "result" in client.call("greet", {"name": "Ada"})


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
