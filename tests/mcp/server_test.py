"""The MCP server of `pawl serve --http`, with raw messages: what no suite asks. server_test.py PAWL MODULE [NAME...]"""
import http.client
import json
import os
import resource
import select
import socket
import subprocess
import sys
import time

from server_rig import META, MODERN, WAIT_S, Later, Legacy, Modern, Paths, main, send

TASKS = {"extensions": {META + "tasks": {}}, "elicitation": {}}
ACCEPT_ADA = {"action": "accept", "content": {"name": "Ada"}}


def code_of(reply):
    return reply["error"]["code"]


# ---- calls ----


def it_answers_a_call_with_structured_content_and_the_same_as_text(f):
    client = Modern(f.serve().url)
    result = client.call("note_and_wait", {"path": str(f.path / "n"), "line": "x"})["result"]
    assert result["structuredContent"] == {"line": "x"}
    assert json.loads(result["content"][0]["text"]) == {"line": "x"}
    assert result["resultType"] == "complete"
    assert f.lines("n") == ["x"]


def it_tells_a_model_which_argument_is_wrong(f):
    client = Modern(f.serve().url)
    result = client.call("note_and_wait", {"path": 7})["result"]
    assert result["isError"] and "/path" in result["content"][0]["text"], result
    assert client.call("note_and_wait", {"pth": "x"})["result"]["isError"]
    assert f.runs("note_and_wait") == []


def it_refuses_what_is_no_call(f):
    client = Modern(f.serve().url)
    assert code_of(client.call("no_such_tool")) == -32602
    assert code_of(client.ask("tools/call", {"name": "greet", "arguments": [1]})) == -32602
    assert code_of(client.ask("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"arg1": "x"}})) == -32602


def it_offers_what_is_published_and_everything_when_asked(f):
    server = f.serve()
    names = [t["name"] for t in Modern(server.url).ask("tools/list")["result"]["tools"]]
    assert names == sorted(names)
    assert "greet" in names and "pawl_search" in names and "not_published" not in names
    server.stop()
    server = f.serve(options=("--tools", "meta"))
    assert {n[:5] for n in (t["name"] for t in Modern(server.url).ask("tools/list")["result"]["tools"])} == {"pawl_"}
    assert code_of(Modern(server.url).call("greet", {"name": "x"})) == -32602
    server.stop()
    server = f.serve(options=("--tools", "all"))
    tools = {t["name"]: t for t in Modern(server.url).ask("tools/list")["result"]["tools"]}
    assert "not_published" in tools
    assert tools["note_and_wait"]["title"] == "Note and wait" and tools["note_and_wait"]["annotations"]["idempotentHint"] is True


def it_starts_waits_for_and_answers_any_workflow_with_the_fixed_tools(f):
    client = Modern(f.serve().url)
    found = client.call("pawl_search", {"query": "approval"})["result"]["structuredContent"]["workflows"]
    assert found[0]["workflow"] == "approve"
    run = client.call("pawl_start", {"workflow": "approve", "input": {"what": "it"}})["result"]["structuredContent"]["run_id"]
    handle = client.call("pawl_wait", {"run_id": run})["result"]
    assert handle["structuredContent"]["status"] == "waiting", handle
    status = client.call("pawl_status", {"run_id": run})["result"]["structuredContent"]
    assert status["waits"][0]["choices"] == "approve|reject"
    assert client.call("pawl_answer", {"run_id": run, "choice": "perhaps"})["result"]["isError"]
    assert "isError" not in client.call("pawl_answer", {"run_id": run, "choice": "approve"})["result"]
    assert client.call("pawl_wait", {"run_id": run})["result"]["structuredContent"]["choice"] == "approve"


def it_says_which_workflow_was_meant(f):
    client = Modern(f.serve().url)
    for tool in ("pawl_start", "pawl_describe"):
        said = client.call(tool, {"workflow": "aprove", "input": {}})["result"]
        assert said["isError"] and 'did you mean "approve"?' in said["content"][0]["text"], said
    said = client.call("pawl_start", {"workflow": "nothing_like_it", "input": {}})["result"]
    assert said["isError"] and "did you mean" not in said["content"][0]["text"], said


def it_asks_for_an_approval_as_a_form_of_its_choices(f):
    client = Modern(f.serve().url, {"elicitation": {"form": {}}})
    asked = client.call("approve", {"what": "it"})["result"]
    assert asked["resultType"] == "input_required"
    params = asked["inputRequests"]["go"]["params"]
    assert params["requestedSchema"]["properties"]["choice"]["enum"] == ["approve", "reject"]
    assert '"what": "it"' in params["message"]
    again = {"inputResponses": {"go": {"action": "decline"}}, "requestState": asked["requestState"]}
    assert client.call("approve", {"what": "it"}, **again)["result"]["structuredContent"]["choice"] == "reject"
    # the same state again: the same run, which is over, and the same answer
    assert client.call("approve", {"what": "it"}, **again)["result"]["structuredContent"]["choice"] == "reject"
    assert len(f.runs("approve")) == 1


def it_takes_a_state_only_for_the_call_it_was_given_for(f):  # [T9]
    client = Modern(f.serve().url, {"elicitation": {}})
    state = client.call("test_input_required_result_elicitation")["result"]["requestState"]
    more = {"inputResponses": {"user_name": ACCEPT_ADA}}
    for wrong in (state[:-1], state + "A", "A" + state, "", state.swapcase(), "!" * 40):
        assert code_of(client.call("test_input_required_result_elicitation", requestState=wrong, **more)) == -32602, wrong
    assert code_of(client.call("test_streaming_elicitation", requestState=state, **more)) == -32602
    assert code_of(client.call("test_input_required_result_elicitation", {"x": 1}, requestState=state, **more)) == -32602
    done = client.call("test_input_required_result_elicitation", requestState=state, **more)
    assert done["result"]["content"][0]["text"] == "Hello, Ada!"


def it_asks_again_when_an_answer_does_not_fit(f):
    client = Modern(f.serve().url, {"elicitation": {}})
    asked = client.call("test_input_required_result_elicitation")["result"]
    wrong = {"inputResponses": {"user_name": {"action": "accept", "content": {"name": 7}}}, "requestState": asked["requestState"]}
    asked = client.call("test_input_required_result_elicitation", **wrong)["result"]
    assert asked["resultType"] == "input_required", asked
    right = {"inputResponses": {"user_name": ACCEPT_ADA}, "requestState": asked["requestState"]}
    assert client.call("test_input_required_result_elicitation", **right)["result"]["content"][0]["text"] == "Hello, Ada!"
    assert len(f.runs("test_input_required_result_elicitation")) == 1


def it_gives_a_handle_to_a_client_that_cannot_be_asked(f):
    client = Modern(f.serve().url)
    handle = client.call("approve")["result"]["structuredContent"]
    assert handle["status"] == "waiting" and handle["waits"][0]["name"] == "go"
    f.pawl("answer", handle["run_id"], "approve")
    assert client.call("pawl_wait", {"run_id": handle["run_id"]})["result"]["structuredContent"]["choice"] == "approve"


# ---- once ----


def it_runs_a_call_once_for_each_idempotency_key(f):
    client = Modern(f.serve().url)
    key = {"dev.pawl/idempotency-key": "k1"}
    arguments = {"path": str(f.path / "n"), "line": "a"}
    first = client.call("note_and_wait", arguments, key)
    assert client.call("note_and_wait", arguments, key)["result"]["structuredContent"] == first["result"]["structuredContent"]
    assert code_of(client.call("note_and_wait", {**arguments, "line": "b"}, key)) == -32602
    assert "result" in client.call("note_and_wait", arguments, {"dev.pawl/idempotency-key": "k2"})
    assert f.lines("n") == ["a", "a"] and len(f.runs("note_and_wait")) == 2


def it_gives_the_run_of_a_lost_call_to_the_same_call_and_a_new_one_to_the_next(f):
    client = Modern(f.serve().url)
    arguments = {"path": str(f.path / "n"), "held": True}
    connection = begin_call(client, "note_and_wait", arguments)
    runs = f.until_noted()
    connection.close()
    again = Later(lambda: client.call("note_and_wait", arguments))
    f.let_go(runs)
    end = again.result()
    assert end["result"]["structuredContent"] == {"line": "once"}, end
    assert (f.lines("n"), len(f.runs("note_and_wait"))) == (["once"], 1), (f.lines("n"), f.runs("note_and_wait"))
    again = Later(lambda: client.call("note_and_wait", arguments))
    f.let_go(f.until_noted())
    end = again.result()
    assert "result" in end and f.lines("n") == ["once", "once"], (end, f.lines("n"))


def begin_call(client, tool, arguments):
    """A call whose answer nobody reads: the connection."""
    message = client.message("tools/call", {"name": tool, "arguments": arguments}, None)
    host = client.url.split("/")[2]
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("POST", "/mcp", body=json.dumps(message), headers={
        "Content-Type": "application/json", "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool})
    return connection


def it_begins_a_new_run_though_a_client_that_watched_the_last_has_gone(f):
    server = f.serve()
    client = Modern(server.url)
    arguments = {"path": str(f.path / "n")}
    for count in (1, 2):
        assert "result" in client.call("note_and_wait", arguments)
        assert f.lines("n") == ["once"] * count
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as s:
            s.sendall(f"GET /runs/{f.runs('note_and_wait')[0]['id']}/stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
            s.shutdown(socket.SHUT_WR)  # so that the server sees it before it has said all
            assert b"".join(iter(lambda s=s: s.recv(65536), b"")).startswith(b"HTTP/1.1 200")


def it_takes_no_answer_for_lost_that_was_read_to_its_end_by_a_client_that_then_closed(f):
    client = Modern(f.serve().url)
    for count in range(1, 61):
        assert "result" in client.call("note_and_wait", {"path": str(f.path / "n")})
        assert len(f.lines("n")) == count


def it_cancels_the_run_of_a_caller_that_goes_only_where_the_workflow_says_so(f):
    client = Modern(f.serve().url)
    for tool in ("note_each_time", "note_and_leave"):  # in this order: what becomes of the second tells that the first was looked at
        connection = begin_call(client, tool, {"path": str(f.path / tool), "held": True})
        f.until_noted(tool)
        connection.close()
    assert "result" in client.call("pawl_wait", {"run_id": f.runs("note_and_leave")[0]["id"]})
    assert f.runs("note_and_leave")[0]["status"] == "canceled", f.runs("note_and_leave")
    run = f.runs("note_each_time")[0]["id"]
    f.let_go([run])
    end = client.call("pawl_wait", {"run_id": run})["result"]
    assert end["structuredContent"] == {"line": "once"}, end
    assert f.runs("note_each_time")[0]["status"] == "completed", f.runs("note_each_time")


# ---- durability ----


def it_finishes_a_call_over_a_kill(f):
    server = f.serve()
    client = Modern(server.url)
    arguments = {"path": str(f.path / "n"), "held": True}
    connection = begin_call(client, "note_and_wait", arguments)
    runs = f.until_noted()
    server.kill()
    connection.close()
    f.serve(port=server.port)
    again = Later(lambda: client.call("note_and_wait", arguments))
    f.let_go(runs)
    end = again.result()
    assert end["result"]["structuredContent"] == {"line": "once"}, (end, f.runs("note_and_wait"))
    assert (f.lines("n"), len(f.runs("note_and_wait"))) == (["once"], 1), (f.lines("n"), f.runs("note_and_wait"))


def it_finishes_a_task_over_a_kill(f):  # [T11] [T8]
    server = f.serve()
    client = Modern(server.url, TASKS)
    task = client.call("note_and_wait", {"path": str(f.path / "n"), "held": True})["result"]
    assert task["resultType"] == "task", task
    runs = f.until_noted()
    server.kill()
    f.serve(port=server.port)
    f.let_go(runs)
    end = client.task_end(task["taskId"])
    assert end["result"]["structuredContent"] == {"line": "once"}, end
    assert f.lines("n") == ["once"], f.lines("n")


def it_finishes_an_elicitation_over_a_kill(f):
    server = f.serve()
    client = Modern(server.url, {"elicitation": {}})
    asked = client.call("note_and_ask", {"path": str(f.path / "n")})["result"]
    server.kill()
    f.serve(port=server.port)
    more = {"inputResponses": {"user_name": ACCEPT_ADA}, "requestState": asked["requestState"]}
    assert client.call("note_and_ask", {"path": str(f.path / "n")}, **more)["result"]["structuredContent"] == {"name": "Ada"}
    assert f.lines("n") == ["asked", "Ada"] and len(f.runs("note_and_ask")) == 1


def it_takes_a_legacy_stream_up_again_after_a_kill(f):
    server = f.serve()
    client = Legacy(server.url)
    reply = client.post("tools/call", {"name": "note_and_wait", "arguments": {"path": str(f.path / "n"), "held": True}})
    events = reply.events()
    event_id, nothing = next(events)
    assert event_id and nothing is None, (event_id, nothing)
    runs = f.until_noted()
    server.kill()
    f.serve(port=server.port)
    again = client.resume(event_id)
    f.let_go(runs)
    answers = [m for m in again.messages() if m.get("id") == client.number]
    assert answers[0]["result"]["structuredContent"] == {"line": "once"}
    assert (f.lines("n"), len(f.runs("note_and_wait"))) == (["once"], 1), (f.lines("n"), f.runs("note_and_wait"))
    assert client.post("ping").json["result"] == {}, "the session lives on"


def it_asks_on_a_legacy_stream_again_after_a_kill(f):
    server = f.serve()
    client = Legacy(server.url, {"elicitation": {}})
    reply = client.post("tools/call", {"name": "note_and_ask", "arguments": {"path": str(f.path / "n")}})
    number = client.number
    messages = reply.messages()
    asked = next(messages)
    assert asked["method"] == "elicitation/create"
    server.kill()
    f.serve(port=server.port)
    again = client.resume(reply.last_id).messages()
    assert next(again)["id"] == asked["id"], "one question has one name"
    assert client.send({"jsonrpc": "2.0", "id": asked["id"], "result": ACCEPT_ADA}).status == 202
    answers = [m for m in again if m.get("id") == number and "result" in m]
    assert answers[0]["result"]["structuredContent"] == {"name": "Ada"}
    assert f.lines("n") == ["asked", "Ada"]


# ---- legacy ----


def it_counts_the_events_of_a_stream_from_any_number_that_a_client_says(f):
    client = Legacy(f.serve().url, {"elicitation": {}})
    stream = client.post("tools/call", {"name": "test_streaming_elicitation", "arguments": {}})
    name = next(stream.events())[0].rsplit(".", 1)[0]
    for number in ("9223372036854775807", "-9223372036854775808", "x"):
        again = client.resume(f"{name}.{number}")
        event, asked = next(again.events())
        assert asked["method"] == "elicitation/create" and int(event.rsplit(".", 1)[1]) > 0, event
        again.close()
    stream.close()


def it_names_the_events_of_a_stream_whole_however_long_its_request_is_called(f):
    client = Legacy(f.serve().url)
    name = "n" * 400
    reply = client.send({"jsonrpc": "2.0", "id": name, "method": "tools/call", "params": {
        "name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": name}}})
    events = [e for e, _ in reply.events() if e]
    assert len(events) > 2 and len({e.rsplit(".", 1)[0] for e in events}) == 1, events
    assert [m["id"] for m in client.resume(events[-1]).messages() if "result" in m] == [name]


def it_negotiates_down_and_never_up(f):
    url = f.serve().url
    for asked, given in (("2025-03-26",) * 2, ("2025-06-18",) * 2, ("2025-11-25",) * 2, ("1999-01-01", "2025-11-25"), (MODERN, "2025-11-25")):
        client = Legacy(url, version=asked) if asked == given else None
        reply = client.hello if client else send(url, "POST", {"Content-Type": "application/json"}, json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": asked, "capabilities": {}}})).json["result"]
        assert reply["protocolVersion"] == given


def it_knows_a_session_from_none(f):
    url = f.serve().url
    client = Legacy(url)
    other = Legacy(url)
    assert client.post("ping").status == 200
    assert send(url, "POST", {"Content-Type": "application/json"}, '{"jsonrpc":"2.0","id":1,"method":"ping"}').status == 400
    for wrong in (client.session[:-1], client.session + "A", "x", client.session.swapcase()):
        assert Legacy(url, session=wrong).post("ping").status == 404
    assert send(url, "DELETE", client.own()).status == 200
    assert client.post("ping").status == 404
    assert other.post("ping").status == 200
    assert send(url, "GET", {"Accept": "text/event-stream"}).status == 405


def it_takes_a_legacy_task_to_its_end(f):
    client = Legacy(f.serve().url)
    created = client.post("tools/call", {"name": "note_and_wait", "task": {"ttl": 60000}, "arguments": {"path": str(f.path / "n"), "held": True}})
    task = next(m for m in created.messages() if "result" in m)["result"]["task"]
    assert task["status"] == "working" and "ttl" in task and "ttlMs" not in task, task
    waits = client.post("tasks/result", {"taskId": task["taskId"]})
    f.let_go(f.until_noted())
    ends = [m for m in waits.messages() if "result" in m]
    assert ends[0]["result"]["structuredContent"] == {"line": "once"}
    assert ends[0]["result"]["_meta"][META + "related-task"] == {"taskId": task["taskId"]}
    got = client.post("tasks/get", {"taskId": task["taskId"]}).json["result"]
    assert got["status"] == "completed" and "result" not in got
    assert code_of(client.post("tasks/cancel", {"taskId": task["taskId"]}).json) == -32602


def it_keeps_short_subscriptions_once_each(f):
    client = Legacy(f.serve().url)
    assert code_of(client.post("resources/subscribe", {"uri": "pawl://runs/" + "x" * 2000}).json) == -32602
    for _ in range(300):
        assert "result" in client.post("resources/subscribe", {"uri": "pawl://runs/a"}).json
    assert "result" in client.post("resources/unsubscribe", {"uri": "pawl://runs/a"}).json
    for i in range(256):
        assert "result" in client.post("resources/subscribe", {"uri": f"pawl://runs/{i}"}).json
    assert code_of(client.post("resources/subscribe", {"uri": "pawl://runs/a"}).json) == -32602


def it_keeps_nothing_of_what_listeners_do_not_want(f):
    """Eight listeners, a hundred runs of others: what was kept for each event was 17 MB."""
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    server = f.serve()
    client = Modern(server.url)

    def resident():
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    wanted = [f"pawl://runs/none-{i}" for i in range(256)]
    streams = [client.post("subscriptions/listen", {"notifications": {"resourceSubscriptions": wanted}}) for _ in range(8)]
    for _ in range(50):
        client.call("greet", {"name": "Ada"})
    before = resident()
    for _ in range(100):
        client.call("greet", {"name": "Ada"})
    grown = resident() - before
    assert grown < 10000, f"{grown} KiB more"
    for stream in streams:
        stream.close()


def it_answers_beside_ten_thousand_idle_streams(f):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10000, hard - 2000)
    if count < 10000:
        print(f"        with {count} streams: no more than {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 2000)), hard))
    server = f.serve()
    client = Modern(server.url)
    body = json.dumps(client.message("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, None))
    head = (f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\nMCP-Protocol-Version: {MODERN}\r\n"
            "Accept: application/json, text/event-stream\r\nMcp-Method: subscriptions/listen\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    streams = []
    for _ in range(count):
        streams.append(socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S))
        streams[-1].sendall((head + body).encode())
    for stream in streams:
        assert stream.recv(4096).startswith(b"HTTP/1.1 200"), "a stream is refused"
    for name in ("Ada", "Bob"):
        assert name in str(client.call("greet", {"name": name})["result"])
    for stream in streams:
        stream.close()
    assert "Cy" in str(client.call("greet", {"name": "Cy"})["result"])


def it_ends_when_idle_and_not_while_somebody_is_connected(f):
    """The server's own connection to the engine is nobody's; a stream that waits, and a client of the engine's socket, are somebody's."""
    news = {"notifications": {"toolsListChanged": True}}
    for _ in range(100):
        server = f.serve(options=("--idle-exit", "500ms"))
        try:
            stream = Modern(server.url).post("subscriptions/listen", news)
            assert next(stream.messages())["method"] == "notifications/subscriptions/acknowledged"
            break
        except (OSError, http.client.HTTPException, StopIteration):  # we were not let run for so long, and it was idle
            assert server.process.wait(timeout=WAIT_S) == 0
            server.process.stdout.close()

    def stays():
        try:
            server.process.wait(timeout=2)
            return False
        except subprocess.TimeoutExpired:
            return True

    assert stays()
    with subprocess.Popen([Paths.pawl, "mcp", "--db", f.db], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as client:
        client.stdin.write('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}\n')
        assert "result" in client.stdout.readline()
        client.stdin.write('{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n')
        assert "result" in client.stdout.readline()
        stream.close()
        assert stays()
        client.stdin.close()
    assert server.process.wait(timeout=60) == 0
    server.process.stdout.close()


def it_waits_without_spinning_for_a_descriptor_to_take_a_connection_with(f):
    server = f.serve()
    pid = server.process.pid

    def ticks():
        with open(f"/proc/{pid}/stat", encoding="latin1") as file:
            return sum(int(n) for n in file.read().rsplit(")", 1)[1].split()[11:13])

    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    for spare in (0, 2):  # libmicrohttpd has no connection of its own, and some
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + spare, hard))
        waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(spare + 2)]
        before = ticks()
        try:
            server.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            pass
        assert ticks() - before < os.sysconf("SC_CLK_TCK") / 4, "it spins"
        for one in waiting:
            one.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert "result" in Modern(server.url).ask("server/discover")


# ---- who may speak, and how ----


def it_serves_no_page_of_another_site(f):
    url = f.serve().url
    client = Modern(url)
    own = f"127.0.0.1:{url.split(':')[2].split('/')[0]}"
    for headers, status in (({"Host": "evil.example"}, 403), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
                            ({"Origin": f"http://{own}@evil.example"}, 403), ({"Host": "localhost"}, 200), ({"Origin": f"http://{own}"}, 200),
                            ({"Content-Type": "text/plain"}, 415)):
        assert client.post("server/discover", headers=headers).status == status, headers


def it_says_what_is_wrong_with_a_message_and_goes_on(f):
    url = f.serve().url
    headers = {"Content-Type": "application/json", "MCP-Protocol-Version": MODERN, "Mcp-Method": "server/discover"}
    deep = "[" * 100000
    for text, code in (("{", -32700), ("", -32700), ("[]", -32600), ("7", -32600), (deep, -32700), ('{"jsonrpc":"1.0","id":1,"method":"x"}', -32600),
                       ('{"jsonrpc":"2.0","id":null,"method":"x"}', -32600), ('{"jsonrpc":"2.0","id":1.5,"method":"x"}', -32600),
                       ('{"jsonrpc":"2.0","id":1,"method":7}', -32600), ('{"jsonrpc":"2.0","id":1,"method":"x","params":[]}', -32600),
                       ('{"jsonrpc":"2.0","id":{},"method":"x"}', -32600), ('{"jsonrpc":"2.0","id":1}', -32600), ("\xff", -32700)):
        reply = send(url, "POST", headers, text.encode("latin1"))
        assert reply.status == 400 and code_of(reply.json) == code, (text[:40], reply.text[:200])
    assert send(url, "POST", headers, "x" * (5 << 20)).status == 413
    assert "result" in Modern(url).ask("server/discover")


def it_answers_others_after_an_answer_that_no_engine_takes(f):
    """An answer nests two levels deeper in the request to the engine than in its own message: 128 levels are the most that either may have."""
    url = f.serve().url
    client = Legacy(url, {"sampling": {}})
    stream = client.post("tools/call", {"name": "test_sampling", "arguments": {"prompt": "x"}})
    asked = next(m for m in stream.messages() if m.get("method") == "sampling/createMessage")
    deep = json.loads("[" * 126 + "]" * 126)
    assert client.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"x": deep}}).status == 202
    assert "result" in Modern(url).call("greet", {"name": "Ada"})
    stream.close()


def it_reads_many_keys_and_many_words_in_one_pass(f):
    """Each of these took minutes, in which nobody else was answered."""
    url = f.serve().url
    keys = ",".join(f'"{i}":1' for i in range(100000))
    reply = send(url, "POST", {"Content-Type": "application/json"}, f'{{"jsonrpc":"2.0",{keys},"id":1,"method":"ping"}}')
    assert reply.status == 400, reply.text
    client = Modern(url, {"elicitation": {}})
    assert "greet" in str(client.call("pawl_search", {"query": "greet " + "zq " * 1000000})["result"])
    result = client.call("approve")["result"]
    more = {"choice": "approve", **{str(i): i for i in range(20000)}}
    answer = {next(iter(result["inputRequests"])): {"action": "accept", "content": more}}
    end = client.call("approve", inputResponses=answer, requestState=result["requestState"])
    assert end["result"]["structuredContent"]["choice"] == "approve", end


def it_checks_the_headers_that_repeat_the_body(f):
    client = Modern(f.serve().url)
    for headers in ({"Mcp-Method": "tools/list"}, {"MCP-Protocol-Version": "2025-11-25"}, {"Mcp-Name": "other"}, {"Mcp-Name": "=?base64?Z3JlZXQ?="},
                    {"Mcp-Name": "=?base64?Z3Jl!XQ=?="}):
        reply = client.post("tools/call", {"name": "greet", "arguments": {"name": "x"}}, headers=headers)
        assert reply.status == 400 and code_of(reply.json) == -32020, (headers, reply.text)
    for name in ("  greet ", "=?base64?Z3JlZXQ=?=", "=?BASE64?Z3JlZXQ=?="):
        assert client.post("tools/call", {"name": "greet", "arguments": {"name": "x"}}, headers={"Mcp-Name": name}).status == 200, name


def it_reads_a_run_and_its_history_as_resources(f):
    client = Modern(f.serve().url)
    client.call("greet", {"name": "Ada"})
    run = f.runs("greet")[0]["id"]
    read = client.ask("resources/read", {"uri": f"pawl://runs/{run}"})["result"]
    assert json.loads(read["contents"][0]["text"])["status"] == "completed" and read["ttlMs"] >= 0
    events = json.loads(client.ask("resources/read", {"uri": f"pawl://runs/{run}/history"})["result"]["contents"][0]["text"])
    assert events[0]["type"] == "RunStarted"
    missing = client.ask("resources/read", {"uri": "pawl://runs/none"})["error"]
    assert missing["code"] == -32602 and missing["data"]["uri"] == "pawl://runs/none"
    ids = client.ask("completion/complete", {"ref": {"type": "ref/resource", "uri": "pawl://runs/{id}"},
                                             "argument": {"name": "id", "value": "greet-"}})["result"]["completion"]["values"]
    assert ids == [run]


def it_says_that_an_answer_is_too_large(f):
    client = Modern(f.serve().url)
    client.call("note_and_wait", {"path": str(f.path / "n"), "line": '"' * 2000000})
    run = f.runs("note_and_wait")[0]["id"]
    reply = client.post("resources/read", {"uri": f"pawl://runs/{run}/history"})
    assert reply.status == 500 and code_of(reply.json) == -32603, (reply.status, reply.text[:100])
    assert "result" in client.ask("server/discover")


def it_tells_listeners_what_they_asked_for_and_nothing_else(f):
    client = Modern(f.serve().url, TASKS)
    run = client.call("approve")["result"]["taskId"]
    stream = client.post("subscriptions/listen", {"notifications": {"resourceSubscriptions": [f"pawl://runs/{run}"], "taskIds": [run]}})
    messages = stream.messages()
    assert next(messages)["method"] == "notifications/subscriptions/acknowledged"
    told = next(messages)
    assert told["method"] == "notifications/tasks" and told["params"]["status"] == "input_required", told
    assert list(told["params"]["inputRequests"].values())[0]["method"] == "elicitation/create"
    client.call("greet", {"name": "somebody else"})
    f.pawl("answer", run, "approve")
    heard = []
    while not heard or heard[-1]["params"].get("status") != "completed":
        heard.append(next(messages))
    assert heard[-1]["params"]["result"]["structuredContent"]["choice"] == "approve", "as tasks/get has it"
    assert {m["method"] for m in heard} == {"notifications/resources/updated", "notifications/tasks"}
    assert all(m["params"]["_meta"][META + "subscriptionId"] == client.number - 1 for m in heard)
    stream.close()


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
