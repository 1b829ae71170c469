"""`pawl serve --http` with clients that do different things at a time, and stopped while they do: for ThreadSanitizer, since its loop, the engine's, the
pool and the journal's thread hand all of it over. threads_test.py PAWL MODULE [NAME...]

What it answers is checked elsewhere; here that it answers, and that it ends with status 0 (a report of the sanitizer would be another).
"""
import http.client
import json
import sys
import threading

from server_rig import LEGACY, META, MODERN, WAIT_S, Legacy, Modern, main, send

TASKS = {"extensions": {META + "tasks": {}}}
ROUNDS = 6


def calls(_, server, number, round_):
    client = Modern(server.url)
    assert client.call("greet", {"name": f"{number}.{round_}"})["result"]["content"][0]["text"] == f"Hello, {number}.{round_}!"
    client.ask("tools/list")
    client.call("pawl_search", {"query": "a line"})


def tasks(_, server, number, round_):
    client = Modern(server.url, TASKS)
    done = client.call("slow_compute", {"seconds": 0.3, "label": f"{number}.{round_}"})["result"]
    assert done["resultType"] == "complete" or client.task_end(done["taskId"])["status"] == "completed"
    gone = client.call("slow_compute", {"seconds": 600, "label": f"{number}.{round_}"})["result"]
    client.ask("tasks/cancel", {"taskId": gone["taskId"]})
    assert client.task_end(gone["taskId"])["status"] == "cancelled"


def questions(_, server, number, round_):
    client = Modern(server.url, {"elicitation": {}})
    given = {"what": f"{number}.{round_}"}
    asked = client.call("approve", given)["result"]
    answers = {key: {"action": "accept", "content": {"choice": "approve"}} for key in asked["inputRequests"]}
    result = client.call("approve", given, inputResponses=answers, requestState=asked["requestState"])["result"]
    assert result["structuredContent"]["choice"] == "approve"


def sessions(_, server, number, round_):
    client = Legacy(server.url, version=LEGACY)
    listening = send(server.url, "GET", client.own())
    reply = client.post("tools/call", {"name": "test_tool_with_logging", "arguments": {}, "_meta": {"progressToken": f"{number}.{round_}"}})
    assert any("result" in message for message in reply.messages())
    listening.close()
    send(server.url, "DELETE", client.own())


def leavers(folder, server, number, round_):
    """Goes in the middle of a call, and follows a run for a moment."""
    client = Modern(server.url)
    call = client.message("tools/call", {"name": "note_and_leave", "arguments": {"path": str(folder.path / f"l{number}.{round_}"), "seconds": 600}}, {})
    left = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    left.request("POST", "/mcp", body=json.dumps(call), headers={"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                                                                 "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call",
                                                                 "Mcp-Name": "note_and_leave"})
    run = client.call("pawl_start", {"workflow": "slow_compute", "input": {"seconds": 600, "label": f"f{number}.{round_}"}})
    left.close()
    follower = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    follower.request("GET", f"/runs/{run['result']['structuredContent']['run_id']}/stream")
    assert follower.getresponse().status == 200
    follower.close()


def operators(folder, _, __, ___):
    folder.pawl("list", "--limit", "5")


def it_serves_many_clients_at_a_time(f):
    server = f.serve()
    failed = []

    def work(what, number):
        try:
            for round_ in range(ROUNDS):
                what(f, server, number, round_)
        except Exception as error:  # pylint: disable=broad-except
            failed.append((what.__name__, number, repr(error)))

    workers = [threading.Thread(target=work, args=(what, number)) for number, what in
               enumerate((calls, calls, tasks, questions, sessions, leavers, operators))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == [], failed
    server.stop()


def it_stops_while_they_are_at_it(f):
    server = f.serve()
    busy, stopped = threading.Barrier(5, timeout=WAIT_S), threading.Event()

    def work(number):
        first = True
        while not stopped.is_set():
            try:
                calls(f, server, number, 0)
            except (OSError, http.client.HTTPException, json.JSONDecodeError, KeyError, AssertionError):
                if not stopped.is_set() and server.process.poll() is None and first:
                    raise
            if first:
                busy.wait()
            first = False

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    busy.wait()
    try:
        server.stop()
    finally:
        stopped.set()
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
