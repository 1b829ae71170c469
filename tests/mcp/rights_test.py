"""Who may do what over HTTP: tokens of the file, roles, whose runs, limits, and what strangers are told. rights_test.py PAWL MODULE [NAME...]"""
import http.client
import json
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from server_rig import META, MODERN, WAIT_S, Legacy, Modern, Paths, Reply, main, send

TASKS = {"extensions": {META + "tasks": {}}, "elicitation": {}}


def token(f, name, *roles, **more):
    """Makes a token; gives its text."""
    options = [o for k, v in more.items() for o in (f"--{k}", v)]
    roles = ["--role", ",".join(roles)] if roles else []
    return f.pawl("token", name, "--client-tokens", str(f.path / "tokens"), *roles, *options)["token"]


def rights(f, value):
    (f.path / "rights.tmp").write_text(json.dumps(value), encoding="utf-8")
    (f.path / "rights.tmp").rename(f.path / "rights.json")
    return "--rights", str(f.path / "rights.json")


def serve(f, *options):
    return f.serve(options=("--client-tokens", str(f.path / "tokens"), *options))


def bearer(text):
    return {"Authorization": "Bearer " + text}


def as_modern(server, text, capabilities=None):
    return Modern(server.url, capabilities, bearer(text))


class LegacyAs(Legacy):
    def __init__(self, url, text, **more):
        self.token = text
        super().__init__(url, **more)

    def own(self):
        return {**super().own(), **bearer(self.token)}


def code_of(reply):
    return reply["error"]["code"]


def said(reply):
    """What an answer says, without what every answer has of its own."""
    text = json.dumps(reply.get("error") or reply["result"], sort_keys=True)
    return re.sub(r'"(createdAt|lastUpdatedAt)": "[^"]*"', "", text)


def tools_of(client):
    return [t["name"] for t in client.ask("tools/list")["result"]["tools"]]


def until(true, what):
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, what() if callable(what) else what
        select.select([], [], [], 0.02)


# ---- who it is ----


def it_asks_for_a_token_and_takes_none_that_is_not_in_the_file(f):
    good = token(f, "ada", "user")
    server = serve(f)
    kind, number, secret = good.rsplit("-", 2)
    flipped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    wrong = ["", "x", good[:-1], good + "0", f"{kind}-{number}-{flipped}", good.upper(), good.replace("client", "worker"), "a.b.c", "." * 8000,
             "pawl-client-" + "0" * 16 + "-" + "0" * 64, good + " ", "A" * 20000]
    for text in wrong:
        try:
            reply = as_modern(server, text).post("tools/list")
        except ConnectionError:
            assert len(text) > 8192
            continue
        assert reply.status in (401, 431), (text[:40], reply.status, reply.text)
    for header in ({}, {"Authorization": good}, {"Authorization": "Basic " + good}, {"authorization": "Bearer"}):
        reply = Modern(server.url, None, header).post("tools/list")
        assert reply.status == 401 and reply.headers["www-authenticate"].startswith("Bearer"), (header, reply.headers)
    assert "greet" in tools_of(as_modern(server, good))
    assert send(server.url + "?access_token=" + good, "POST", {"Content-Type": "application/json"}, "{}").status == 401


def it_keeps_the_hash_alone_and_knows_no_token_of_another_kind(f):
    good = token(f, "ada", "user")
    worker = f.pawl("token", "w", "--worker-tokens", str(f.path / "tokens"))["token"]
    text = (f.path / "tokens").read_text(encoding="utf-8")
    assert good not in text and good.rsplit("-", 1)[1] not in text and worker not in text
    assert ((f.path / "tokens").stat().st_mode & 0o777) == 0o600
    server = serve(f)
    assert as_modern(server, worker).post("tools/list").status == 401
    assert as_modern(server, worker.replace("worker", "client")).post("tools/list").status == 401
    assert as_modern(server, good).post("tools/list").status == 200
    assert [t["name"] for t in f.pawl("token", "--client-tokens", str(f.path / "tokens"))] == ["ada"]


def it_takes_no_token_when_the_file_of_tokens_is_gone(f):  # [T23]
    ada = token(f, "ada", "user")
    server = serve(f)
    client = as_modern(server, ada)
    assert client.post("tools/list").status == 200
    (f.path / "tokens").unlink()
    until(lambda: client.post("tools/list").status == 401, "a token without a file still works")
    again = token(f, "ada", "user")
    until(lambda: as_modern(server, again).post("tools/list").status == 200, "a new file is not read")
    assert client.post("tools/list").status == 401


def it_cuts_a_token_that_is_revoked_within_a_second_also_on_an_open_stream(f):  # [T23]
    bob = token(f, "bob", "user")
    server = serve(f)
    took = [time_to_revoke(f, server, "ada0")]
    while took[-1] >= 2 and len(took) < 8:  # a machine with other work may let the server wait for as long, but not each time
        took.append(time_to_revoke(f, server, f"ada{len(took)}"))
    assert took[-1] < 2, f"it was out after {took} s"
    assert as_modern(server, bob).post("tools/list").status == 200


def time_to_revoke(f, server, name):
    """Seconds from the end of the command until the token is out, with all that was open."""
    client = as_modern(server, token(f, name, "user"))
    until(lambda: client.post("tools/list").status == 200, "a new token is not seen")
    stream = client.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    events = stream.events()
    next(events)
    f.pawl("token", name, "--client-tokens", str(f.path / "tokens"), "--revoke")
    began = time.monotonic()
    until(lambda: client.post("tools/list").status == 401, "the revoked token still works")
    try:
        for _ in events:
            pass
    except (http.client.HTTPException, OSError):
        pass
    return time.monotonic() - began


def it_ends_a_token_when_its_time_is_over(f):
    text = token(f, "ada", "user", ttl="1s")
    token(f, "bob", "user")
    server = serve(f)
    until(lambda: as_modern(server, text).post("tools/list").status == 401, "it never ends")


def ends(stream):
    """True when the stream is cut, or comes to its end."""
    try:
        for _ in stream.events():
            pass
    except (http.client.HTTPException, OSError):
        pass
    return True


# ---- what it may do ----


def it_allows_nothing_without_a_role_and_only_what_the_roles_say(f):  # [T20]
    none, viewer, caller, approver = (token(f, n, *r) for n, r in (("none", ()), ("v", ["viewer"]), ("c", ["caller"]), ("a", ["approver"])))
    server = serve(f)
    nobody = as_modern(server, none)
    assert nobody.ask("server/discover")["result"]["capabilities"]
    for method, params in (("tools/list", {}), ("tools/call", {"name": "greet"}), ("tools/call", {"name": "pawl_search"}), ("prompts/list", {}),
                           ("resources/list", {}), ("resources/templates/list", {}), ("tasks/get", {"taskId": "x"}),
                           ("resources/read", {"uri": "pawl://runs/x"}), ("prompts/get", {"name": "test_simple_prompt"}),
                           ("subscriptions/listen", {"notifications": {}}), ("resources/read", {"uri": "test://static-text"}),
                           ("completion/complete", {"ref": {"type": "ref/resource", "uri": "pawl://runs/{id}"},
                                                    "argument": {"name": "id", "value": ""}})):
        reply = nobody.post(method, params)
        assert reply.status == 403 and 'error="insufficient_scope"' in reply.headers["www-authenticate"], (method, reply.status, reply.text)
    assert send(server.url, "GET", bearer(none)).status == 405  # no session
    assert [n for n in tools_of(as_modern(server, viewer)) if n.startswith("pawl_")] == ["pawl_describe", "pawl_search", "pawl_status", "pawl_wait"]
    assert as_modern(server, viewer).post("tools/call", {"name": "greet", "arguments": {"name": "x"}}).status == 403
    assert as_modern(server, approver).post("tools/call", {"name": "pawl_start", "arguments": {"workflow": "greet"}}).status == 403
    client = as_modern(server, caller, {"elicitation": {}})
    assert "result" in client.call("greet", {"name": "x"})
    handle = client.call("approve", {"what": "it"})["result"]["structuredContent"]  # a caller is asked nothing
    assert handle["status"] == "waiting"
    assert client.post("tools/call", {"name": "pawl_answer", "arguments": {"run_id": handle["run_id"], "choice": "approve"}}).status == 403
    assert client.call("pawl_cancel", {"run_id": handle["run_id"]})["result"]["structuredContent"]["run_id"] == handle["run_id"]


def it_narrows_by_tool_and_workflow_and_does_not_add_roles_up(f):
    options = rights(f, {"roles": {"greeter": {"operations": ["list", "call", "read"], "tools": ["greet", "test_simple_*"]},
                                   "lister": {"operations": ["list"], "workflows": ["*"]}},
                         "principals": {"ada": {"roles": ["greeter", "lister"]}}})
    text = token(f, "ada")
    ada = as_modern(serve(f, *options), text)
    assert {"greet", "approve", "pawl_start"} <= set(tools_of(ada)) and "pawl_answer" not in tools_of(ada)
    assert "result" in ada.call("greet", {"name": "x"})
    assert "result" in ada.ask("prompts/get", {"name": "test_simple_prompt"})
    assert code_of(ada.call("approve")) == code_of(ada.call("no_such_tool")) == -32602
    assert said(ada.call("approve")).replace("approve", "X") == said(ada.call("no_such_tool")).replace("no_such_tool", "X")
    assert ada.call("pawl_start", {"workflow": "approve"})["result"]["isError"]
    assert "isError" not in ada.call("pawl_start", {"workflow": "greet", "input": {"name": "x"}})["result"]
    assert f.runs("approve") == []


def it_takes_new_rights_while_it_runs_and_keeps_the_old_ones_when_they_are_wrong(f):
    options = rights(f, {"principals": {"ada": {"roles": ["viewer"]}}})
    text = token(f, "ada")
    server = serve(f, *options)
    ada = as_modern(server, text)
    assert ada.post("tools/call", {"name": "greet", "arguments": {"name": "x"}}).status == 403
    rights(f, {"principals": {"ada": {"roles": ["user"]}}})
    until(lambda: ada.post("tools/call", {"name": "greet", "arguments": {"name": "x"}}).status == 200, "new rights are not seen")
    stream = ada.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    stays = as_modern(server, token(f, "bob", "user"))
    until(lambda: stays.post("tools/list").status == 200, "a new token is not seen")
    other = stays.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    next(stream.events())
    next(other.events())
    rights(f, {"principals": {"ada": {"roles": ["approver", "caller"]}}})
    assert ends(stream), "what it was let in for it may do no more"
    assert not select.select([other.connection.sock or other.response.fp.raw._sock], [], [], 0)[0], "nothing has changed for the other"
    other.close()
    rights(f, {"principals": {"ada": {"roles": ["no-such-role"]}}})
    select.select([], [], [], 0.6)  # as long as a look takes: nothing may change
    assert ada.post("tools/call", {"name": "greet", "arguments": {"name": "x"}}).status == 200


def it_takes_a_token_back_though_the_rights_that_come_with_it_are_wrong(f):  # [T23]
    options = rights(f, {"principals": {"ada": {"roles": ["user"]}}})
    text = token(f, "ada")
    server = serve(f, *options)
    assert as_modern(server, text).post("tools/list").status == 200
    server.process.send_signal(signal.SIGSTOP)  # so that it looks at both at once
    f.pawl("token", "ada", "--client-tokens", str(f.path / "tokens"), "--revoke")
    rights(f, {"principals": {"ada": {"roles": ["no-such-role"]}}})
    server.process.send_signal(signal.SIGCONT)
    until(lambda: as_modern(server, text).post("tools/list").status == 401, "a token that was revoked still counts")


def it_refuses_a_file_of_rights_with_anything_it_does_not_know(f):
    wrong = [{"rolls": {}}, {"roles": {"x": {"operation": []}}}, {"roles": {"x": {"operations": ["do"]}}}, {"roles": {"user": {"operations": []}}},
             {"roles": {"x": {"operations": "call"}}}, {"principals": {"a": {"roles": ["none"]}}}, {"limits": {"rate": -1}}, {"roles": []}, [],
             {"issuers": [{"name": "a:b", "issuer": "x", "jwks_file": "y"}]}, {"issuers": [{"name": "a", "issuer": "x"}]},
             {"issuers": [{"name": "a", "issuer": "x", "jwks_uri": "http://example.com/keys"}]}, {"resource": "http://example.com/mcp"}]
    for value in wrong:
        done = f.fails("serve", "--http", "0", *rights(f, value))
        assert "cannot serve MCP" in done and len(done) < 400, (value, done)


def it_reads_the_rights_that_the_readme_shows(f):
    text = (Path(__file__).resolve().parents[2] / "tools" / "README.md").read_text(encoding="utf-8")
    shown = json.loads(re.search(r"```json\n(\{\"resource\".*?)```", text, re.S).group(1))
    ci, eve = token(f, "ci"), token(f, "eve")
    server = serve(f, *rights(f, shown))
    assert tools_of(as_modern(server, ci)) == [
        "pawl_cancel", "pawl_describe", "pawl_search", "pawl_start", "pawl_status", "pawl_wait", "release"]
    assert as_modern(server, eve).post("tools/list").status == 403
    assert 'scope="pawl.look pawl.release"' in Modern(server.url).post("tools/list").headers["www-authenticate"]


# ---- whose runs ----


def it_answers_about_a_run_of_another_as_about_none_on_every_way(f):  # [T21]
    ada, bob, eve = token(f, "ada", "user"), token(f, "bob", "user"), token(f, "eve", "operator")
    server = serve(f)
    a, b, e = (as_modern(server, t, TASKS) for t in (ada, bob, eve))
    run = a.call("pawl_start", {"workflow": "approve", "input": {"what": "it"}})["result"]["structuredContent"]["run_id"]
    none = run[:-1] + ("A" if run[-1] != "A" else "B")
    ways = [
        ("tasks/get", lambda r: {"taskId": r}), ("tasks/update", lambda r: {"taskId": r, "inputResponses": {}}),
        ("tasks/update", lambda r: {"taskId": r, "inputResponses": {"go.1": {"action": "accept", "content": {"choice": "approve"}}}}),
        ("tasks/cancel", lambda r: {"taskId": r}),
        ("resources/read", lambda r: {"uri": "pawl://runs/" + r}), ("resources/read", lambda r: {"uri": f"pawl://runs/{r}/history"}),
        ("tools/call", lambda r: {"name": "pawl_status", "arguments": {"run_id": r}}),
        ("tools/call", lambda r: {"name": "pawl_wait", "arguments": {"run_id": r}}),
        ("tools/call", lambda r: {"name": "pawl_answer", "arguments": {"run_id": r, "choice": "approve"}}),
        ("tools/call", lambda r: {"name": "pawl_cancel", "arguments": {"run_id": r}}),
    ]
    for method, params in ways:
        foreign, absent = (b.post(method, params(r)) for r in (run, none))
        assert foreign.status == absent.status, (method, foreign.status, absent.status)
        assert said(foreign.json).replace(run, "R") == said(absent.json).replace(none, "R"), (method, foreign.text, absent.text)
        assert run not in said(foreign.json).replace(f"pawl://runs/{run}", ""), foreign.text
    for path in (f"/runs/{run}/stream", f"/runs/{none}/stream"):
        reply = get(server, path, bob)
        assert (reply.status, reply.text) == (404, '{"error":"there is no such run"}'), (path, reply.status, reply.text)
    values = b.ask("completion/complete", {"ref": {"type": "ref/resource", "uri": "pawl://runs/{id}"}, "argument": {"name": "id", "value": "app"}})
    assert values["result"]["completion"]["values"] == []
    assert [r["status"] for r in f.runs("approve")] == ["running"], "a stranger has changed it"
    # its owner, and an operator, see it
    assert a.ask("tasks/get", {"taskId": run})["result"]["status"] == "input_required"
    assert e.ask("tasks/get", {"taskId": run})["result"]["taskId"] == run
    assert get(server, f"/runs/{run}/stream", ada).status == 200 and get(server, f"/runs/{run}/stream", eve).status == 200
    values = a.ask("completion/complete", {"ref": {"type": "ref/resource", "uri": "pawl://runs/{id}"}, "argument": {"name": "id", "value": "app"}})
    assert values["result"]["completion"]["values"] == [run]
    assert "isError" not in e.call("pawl_answer", {"run_id": run, "choice": "approve"})["result"]
    assert a.call("pawl_wait", {"run_id": run})["result"]["structuredContent"]["choice"] == "approve"


def it_asks_who_may_look_at_every_run_about_its_own_alone(f):
    options = rights(f, {"roles": {"desk": {"operations": ["read"], "workflows": ["approve"], "runs": "all"},
                                   "clerk": {"operations": ["list", "call", "answer", "read"], "workflows": ["*"]},
                                   "judge": {"operations": ["list", "read", "answer"], "workflows": ["approve"], "runs": "all"}},
                         "principals": {"dan": {"roles": ["desk", "clerk"]}, "jo": {"roles": ["judge"]}, "gus": {"roles": ["desk"]}}})
    ada, dan, jo, gus = token(f, "ada", "user"), token(f, "dan"), token(f, "jo"), token(f, "gus")
    server = serve(f, *options)
    a, d, j, g = (as_modern(server, t, TASKS) for t in (ada, dan, jo, gus))
    run = a.call("pawl_start", {"workflow": "approve", "input": {}})["result"]["structuredContent"]["run_id"]
    note = {"workflow": "note_and_wait", "input": {"path": str(f.path / "n")}}
    other = a.call("pawl_start", note)["result"]["structuredContent"]["run_id"]
    for client in (d, j, g):
        assert client.call("pawl_status", {"run_id": run})["result"]["structuredContent"]["id"] == run
        assert client.call("pawl_status", {"run_id": other})["result"]["isError"], "a run of another workflow"
        assert get(server, f"/runs/{run}/stream", client.headers["Authorization"][7:]).status == 200
        assert get(server, f"/runs/{other}/stream", client.headers["Authorization"][7:]).status == 404
    yes = {"action": "accept", "content": {"choice": "approve"}}
    for client in (d, g):  # they see it, and are not asked
        assert "inputRequests" not in client.ask("tasks/get", {"taskId": run})["result"]
        handle = client.call("pawl_wait", {"run_id": run}, inputResponses={"go": yes})["result"]
        assert handle["structuredContent"]["status"] == "waiting", handle
    assert code_of(d.ask("tasks/update", {"taskId": run, "inputResponses": {"go.1": yes}})) == -32602
    assert d.call("pawl_answer", {"run_id": run, "choice": "approve"})["result"]["isError"]
    assert g.post("tools/call", {"name": "pawl_answer", "arguments": {"run_id": run, "choice": "approve"}}).status == 403
    assert [r["status"] for r in f.runs("approve")] == ["running"]
    assert "go.1" in j.ask("tasks/get", {"taskId": run})["result"]["inputRequests"]
    assert "isError" not in j.call("pawl_answer", {"run_id": run, "choice": "approve"})["result"]
    own = d.call("pawl_start", {"workflow": "approve", "input": {}})["result"]["structuredContent"]["run_id"]
    assert "isError" not in d.call("pawl_answer", {"run_id": own, "choice": "approve"})["result"]


def it_stops_no_run_of_another_whom_it_only_watches(f):
    options = rights(f, {"roles": {"desk": {"operations": ["list", "read"], "workflows": ["*"], "runs": "all"}}, "principals": {"gus": {"roles": ["desk"]}}})
    ada, gus = token(f, "ada", "user"), token(f, "gus")
    server = serve(f, *options)
    a, g = as_modern(server, ada), LegacyAs(server.url, gus)
    run = a.call("pawl_start", {"workflow": "slow_compute", "input": {"seconds": 600}})["result"]["structuredContent"]["run_id"]
    for method, params in (("tools/call", {"name": "pawl_wait", "arguments": {"run_id": run}}), ("tasks/result", {"taskId": run})):
        watching = g.post(method, params)
        assert watching.is_stream and next(watching.events())[0]
        g.notify("notifications/cancelled", {"requestId": g.number})
        assert not [m for m in watching.messages() if "result" in m or "error" in m], "that request is over"
    assert "isError" not in a.call("pawl_cancel", {"run_id": run})["result"]
    until(lambda: any(e["type"] == "RunCanceled" for e in f.pawl("show", run)), "it was not cancelled")
    assert [e["by"] for e in f.pawl("show", run) if "CancelRequested" in e["type"]] == ["ada"], f.pawl("show", run)


def it_finds_no_run_of_another_by_a_workflow_that_is_a_filter(f):
    ada, bob = token(f, "ada", "user"), token(f, "bob", "user")
    server = serve(f)
    run = as_modern(server, ada).call("pawl_start", {"workflow": "approve", "input": {}})["result"]["structuredContent"]["run_id"]
    server.kill()
    server = serve(f)  # from here on it looks for what the one before it lost
    reply = as_modern(server, bob).call("pawl_start", {"workflow": 'approve" or id ~ "*', "input": {}})
    assert run not in json.dumps(reply) and reply["result"]["isError"], reply


def it_lists_the_tasks_of_its_own_alone(f):
    ada, ann, bob = token(f, "ada", "user", workspace="web"), token(f, "ann", "user", workspace="web"), token(f, "bob", "user")
    server = serve(f)
    a, n, b = (LegacyAs(server.url, t) for t in (ada, ann, bob))
    task = a.post("tools/call", {"name": "slow_compute", "arguments": {"seconds": 0}, "task": {}})
    task_id = [m for m in task.messages() if "result" in m][0]["result"]["task"]["taskId"]
    assert [[t["taskId"] for t in c.post("tasks/list").json["result"]["tasks"]] for c in (a, n, b)] == [[task_id], [task_id], []]


def it_takes_an_answer_of_an_old_client_from_whom_it_asked(f):
    ada, bob = token(f, "ada", "user"), token(f, "bob", "user")
    server = serve(f)
    mine = LegacyAs(server.url, ada, capabilities={"elicitation": {}})
    theirs = LegacyAs(server.url, bob, capabilities={"elicitation": {}})
    messages = mine.post("tools/call", {"name": "approve", "arguments": {}}).messages()
    asked = next(m for m in messages if m.get("method") == "elicitation/create")
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"choice": "approve"}}}
    assert theirs.send(answer).status == 202
    assert [r["status"] for r in f.runs("approve")] == ["running"], "a stranger has answered"
    assert mine.send(answer).status == 202
    assert [m for m in messages if "result" in m][0]["result"]["structuredContent"]["by"] == "ada"


def get(server, path, text=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path, headers={**(bearer(text) if text else {}), **(headers or {})})
    reply = Reply(connection, connection.getresponse())
    if reply.is_stream:
        reply.close()
    return reply


def it_shares_runs_in_a_workspace_and_nowhere_else(f):
    ada, ann = token(f, "ada", "user", workspace="web"), token(f, "ann", "user", workspace="web")
    bob, web = token(f, "bob", "user", workspace="ops"), token(f, "web", "user")
    server = serve(f)
    run = as_modern(server, ada).call("approve", {"what": "it"})["result"]["structuredContent"]["run_id"]
    for other in (bob, web):
        assert as_modern(server, other).call("pawl_status", {"run_id": run})["result"]["isError"]
    assert as_modern(server, ann).call("pawl_status", {"run_id": run})["result"]["structuredContent"]["id"] == run
    assert "isError" not in as_modern(server, ann).call("pawl_answer", {"run_id": run, "choice": "approve"})["result"]


def it_writes_who_did_it_into_the_journal(f):
    ada, ann = token(f, "ada", "user", workspace="web"), token(f, "laptop", "user", workspace="web", principal="ann")
    server = serve(f)
    a, b = as_modern(server, ada, TASKS), as_modern(server, ann, TASKS)
    run = a.call("pawl_start", {"workflow": "approve", "input": {}})["result"]["structuredContent"]["run_id"]
    b.call("pawl_answer", {"run_id": run, "choice": "approve"})
    a.call("pawl_wait", {"run_id": run})
    started, answered = ([e for e in f.pawl("show", run) if e["type"] == t][0] for t in ("RunStarted", "WaitAnswered"))
    assert started["by"] == "ada" and answered["by"] == "ann", (started, answered)
    run = a.call("pawl_start", {"workflow": "approve", "input": {}})["result"]["structuredContent"]["run_id"]
    b.ask("tasks/cancel", {"taskId": run})
    until(lambda: any(e["type"] == "RunCanceled" for e in f.pawl("show", run)), "it was not cancelled")
    assert [e["by"] for e in f.pawl("show", run) if "CancelRequested" in e["type"]] == ["ann"], f.pawl("show", run)


def it_binds_a_session_a_stream_and_a_state_to_their_principal(f):
    ada, bob = token(f, "ada", "user"), token(f, "bob", "user")
    server = serve(f)
    mine = LegacyAs(server.url, ada)
    assert mine.post("ping").status == 200
    theirs = LegacyAs(server.url, bob, session=mine.session)
    assert theirs.post("ping").status == 404 and theirs.resume("x.1").status == 404
    assert send(server.url, "DELETE", {"Mcp-Session-Id": mine.session, **bearer(bob)}).status == 404
    for wrong in (mine.session[:-1], mine.session + "A", mine.session.rsplit(".", 1)[0], "."):
        assert LegacyAs(server.url, ada, session=wrong).post("ping").status == 404, wrong
    reply = mine.post("tools/call", {"name": "note_and_wait", "arguments": {"path": str(f.path / "n"), "held": True}})
    event, _ = next(reply.events())
    own = LegacyAs(server.url, bob)
    stolen = own.resume(event)
    said_of_it = [m for m in stolen.messages() if "error" in m or "result" in m]
    assert all("error" in m for m in said_of_it), said_of_it
    again = mine.resume(event)
    f.let_go(f.until_noted())
    assert [m for _, m in again.events() if m and "result" in m], "its own client takes it up"
    reply.close()
    a, b = as_modern(server, ada, {"elicitation": {}}), as_modern(server, bob, {"elicitation": {}})
    state = a.call("test_input_required_result_elicitation")["result"]["requestState"]
    more = {"inputResponses": {"user_name": {"action": "accept", "content": {"name": "Eve"}}}, "requestState": state}
    assert code_of(b.call("test_input_required_result_elicitation", **more)) == -32602
    assert a.call("test_input_required_result_elicitation", **more)["result"]["content"][0]["text"] == "Hello, Eve!"


def it_tells_no_news_of_a_run_of_another(f):
    ada, bob = token(f, "ada", "user"), token(f, "bob", "user")
    server = serve(f)
    a, b = as_modern(server, ada, TASKS), as_modern(server, bob, TASKS)
    runs = [c.call("pawl_start", {"workflow": "approve", "input": {}})["result"]["structuredContent"]["run_id"] for c in (a, b)]
    news = {"notifications": {"taskIds": runs, "resourceSubscriptions": ["pawl://runs/" + r for r in runs]}}
    events = b.post("subscriptions/listen", news).events()
    next(events)
    for client, run in zip((a, b), runs):  # in this order: what comes of the second has passed by the first
        assert "isError" not in client.call("pawl_answer", {"run_id": run, "choice": "approve"})["result"]
        client.call("pawl_wait", {"run_id": run})
    for _, message in events:
        assert runs[0] not in json.dumps(message["params"].get("taskId", "") + message["params"].get("uri", "")), message
        if message["method"] == "notifications/tasks" and message["params"]["status"] != "working":
            break


def it_tells_news_of_others_runs_to_a_role_that_may_see_them_of_its_workflows_alone(f):
    desk = rights(f, {"roles": {"desk": {"operations": ["read"], "workflows": ["approve"], "runs": "all"}}, "principals": {"eve": {"roles": ["desk"]}}})
    ada, eve = token(f, "ada", "user"), token(f, "eve")
    server = serve(f, *desk)
    a, e = as_modern(server, ada, TASKS), as_modern(server, eve, TASKS)
    hidden, seen = (a.call("pawl_start", {"workflow": w, "input": i})["result"]["structuredContent"]["run_id"]
                    for w, i in (("slow_compute", {"seconds": 600}), ("approve", {})))
    news = {"notifications": {"taskIds": [hidden, seen], "resourceSubscriptions": ["pawl://runs/" + r for r in (hidden, seen)]}}
    events = e.post("subscriptions/listen", news).events()
    next(events)
    a.call("pawl_cancel", {"run_id": hidden})
    a.call("pawl_wait", {"run_id": hidden})
    assert "isError" not in a.call("pawl_answer", {"run_id": seen, "choice": "approve"})["result"]
    heard = set()
    for _, message in events:
        params = message["params"]
        assert hidden not in (params.get("taskId", ""), params.get("uri", "").rsplit("/", 1)[-1]), message
        heard.add((message["method"], params.get("status")))
        if heard >= {("notifications/tasks", "completed"), ("notifications/resources/updated", None)}:
            break


def it_gives_the_same_key_of_two_principals_two_runs(f):
    ada, bob = token(f, "ada", "user"), token(f, "bob", "user")
    server = serve(f)
    key = {"dev.pawl/idempotency-key": "k"}
    for text in (ada, bob, ada):
        assert "result" in as_modern(server, text).call("note_and_wait", {"path": str(f.path / "n"), "line": "x"}, key)
    assert f.lines("n") == ["x", "x"]
    start = {"workflow": "approve", "input": {}}
    runs = [as_modern(server, text).call("pawl_start", start, key)["result"]["structuredContent"]["run_id"] for text in (ada, bob, ada)]
    assert runs[0] == runs[2] != runs[1], runs


# ---- limits ----


def it_limits_how_often_and_how_much_at_a_time_each_principal_asks(f):
    options = rights(f, {"limits": {"rate": 1, "burst": 5, "concurrent": 2}})
    ada, bob, cat = (token(f, n, "user") for n in ("ada", "bob", "cat"))
    server = serve(f, *options)
    replies = []
    until(lambda: replies.append(as_modern(server, ada).post("tools/list")) or replies[-1].status == 429, "there is no limit")
    assert len(replies) > 5 and {r.status for r in replies[:-1]} == {200}, [r.status for r in replies]
    assert int(replies[-1].headers["retry-after"]) >= 1
    assert as_modern(server, bob).post("tools/list").status == 200, "another has room of its own"
    client = as_modern(server, cat)
    streams = [client.post("subscriptions/listen", {"notifications": {}}) for _ in range(2)]
    assert [s.status for s in streams] == [200, 200]
    assert client.post("tools/list").status == 429
    streams[0].close()
    until(lambda: client.post("tools/list").status == 200, "the place is not given back")


def it_holds_no_more_of_bodies_than_it_may(f):
    options = rights(f, {"limits": {"held_bytes": 3 << 20, "concurrent": 1000}})
    ada = token(f, "ada", "user")
    server = serve(f, *options)
    head = (f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {ada}\r\nContent-Type: application/json\r\n"
            "Content-Length: 2000000\r\n\r\n").encode()
    flood = []
    for _ in range(20):
        s = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        s.sendall(head + b" " * 1000000)
        flood.append(s)
    assert as_modern(server, ada).post("tools/list").status in (200, 503)
    for s in flood:
        s.sendall(b" " * 1000000)
    statuses = [http_status(s) for s in flood]
    assert statuses.count(503) >= 17 and set(statuses) <= {400, 503}, statuses  # what is held is blank: no message
    for s in flood:
        s.close()
    until(lambda: as_modern(server, ada).post("tools/list").status == 200, "the room is not given back")


def http_status(s):
    return int(s.makefile("rb").readline().split()[1])


def it_takes_no_body_of_a_stranger(f):
    token(f, "ada", "user")
    server = serve(f)
    s = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    s.sendall(f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n\r\n".encode())
    before = rss_kib(server)
    for _ in range(60):
        s.sendall(b" " * 1000000)
    assert http_status(s) == 401
    assert rss_kib(server) - before < 8192, "a stranger's body was kept"
    s.close()


def rss_kib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def it_cuts_clients_that_make_no_headway(f):
    options = rights(f, {"limits": {"head_s": 1, "body_s": 1}})
    ada = token(f, "ada", "user")
    server = serve(f, *options)
    head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {ada}\r\nContent-Length: 100000\r\n\r\n"
    slow = [b"", b"POST /mcp HT", head.encode() + b"{"]
    sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in slow]
    began = time.monotonic()
    threads = [threading.Thread(target=trickle, args=(s, first)) for s, first in zip(sockets, slow)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=30)
        assert not t.is_alive(), "a slow client is still there"
    assert 0.9 < time.monotonic() - began < 20
    assert as_modern(server, ada).post("tools/list").status == 200


def trickle(s, first):
    """A byte now and then, until it is cut."""
    try:
        s.sendall(first)
        while not select.select([s], [], [], 0.2)[0]:
            s.sendall(b"x" if first else b"")
        s.recv(1)
    except OSError:
        pass
    s.close()


# ---- hosts, and where it listens ----


def it_knows_the_names_it_is_called_by_and_no_others(f):
    ada = token(f, "ada", "user")
    server = serve(f, "--host", "pawl.example.com, 192.0.2.7")
    for host, origin, status in (("pawl.example.com", None, 200), ("PAWL.example.com:443", "https://pawl.example.com", 200), ("192.0.2.7:1", None, 200),
                                 ("evil.example.com", None, 403), ("example.com", None, 403), ("pawl.example.com.evil.com", None, 403),
                                 ("pawl.example.com", "https://evil.example.com", 403), ("localhost", None, 200)):
        headers = {"Host": host, **({"Origin": origin} if origin else {})}
        reply = as_modern(server, ada).post("tools/list", headers=headers)
        assert reply.status == status, (host, origin, reply.status)


def it_does_not_listen_beyond_the_machine_without_tls_and_tokens(f):  # [T24]
    token(f, "ada", "user")
    tokens = ("--client-tokens", str(f.path / "tokens"))
    assert "--host" in f.fails("serve", "--http", "0.0.0.0:0", *tokens)
    assert "--tls-cert" in f.fails("serve", "--http", "0.0.0.0:0", "--host", "a.example.com", *tokens)
    assert "--client-tokens" in f.fails("serve", "--http", "192.0.2.7:0")
    assert "--http" in f.fails("serve", *tokens)
    assert "go together" in f.fails("serve", "--http", "0", "--tls-cert", "x")
    server = f.serve(port="0.0.0.0:0", options=("--host", "pawl.example.com", "--insecure", *tokens))
    assert Modern(server.url.replace("0.0.0.0", "127.0.0.1"), None, {"Host": "pawl.example.com"}).post("tools/list").status == 401


def it_says_that_no_authorization_server_is_believed(f):
    token(f, "ada", "user")
    server = serve(f)
    assert get(server, "/.well-known/oauth-protected-resource").status == 404
    reply = Modern(server.url).post("tools/list")
    assert reply.headers["www-authenticate"] == "Bearer", reply.headers


# ---- TLS ----


def certificate(f, name, *more):
    """A certificate that signs itself, for 127.0.0.1 unless more says otherwise; gives the two files."""
    files = str(f.path / f"{name}.pem"), str(f.path / f"{name}.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", files[1], "-out", files[0],
                    "-days", "2", "-subj", "/CN=pawl", *(more or ("-addext", "subjectAltName=IP:127.0.0.1"))], capture_output=True, check=True)
    return files


def secure(server, trusted, text, version=None):
    context = ssl.create_default_context(cafile=trusted)
    if version is not None:
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=context)
    client = Modern(server.url, None, bearer(text))
    message = client.message("tools/list", {}, None)
    connection.request("POST", "/mcp", json.dumps(message), {"Content-Type": "application/json", "MCP-Protocol-Version": MODERN,
                                                             "Mcp-Method": "tools/list", **bearer(text)})
    return Reply(connection, connection.getresponse())


def it_speaks_tls_of_today_to_clients_that_trust_its_certificate(f):
    if shutil.which("openssl") is None:
        print("skipped: there is no openssl command to make certificates with")
        return
    ada = token(f, "ada", "user")
    cert, key = certificate(f, "cert")
    other, other_key = certificate(f, "other")
    named, named_key = certificate(f, "named", "-addext", "subjectAltName=DNS:other.example.com")
    server = serve(f, "--tls-cert", cert, "--tls-key", key)
    assert server.url.startswith("https://127.0.0.1:")
    assert secure(server, cert, ada).status == 200 and secure(server, cert, "x").status == 401
    assert secure(server, cert, ada, ssl.TLSVersion.TLSv1_2).status == 200
    for trusted, version in ((other, None), (cert, ssl.TLSVersion.TLSv1_1)):
        try:
            secure(server, trusted, ada, version)
            raise AssertionError(f"it spoke to a client that does not want that: {trusted} {version}")
        except ssl.SSLError:
            pass
    s = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    s.sendall(f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ada}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert not s.makefile("rb").readline().startswith(b"HTTP/1.1 200")
    s.close()
    server.stop()
    server = serve(f, "--tls-cert", named, "--tls-key", named_key)
    try:
        secure(server, named, ada)
        raise AssertionError("the certificate is of another name")
    except ssl.SSLError:
        pass
    server.stop()
    for files in ((cert, other_key), (key, cert), (str(f.path / "none"), key), (cert, str(f.path / "tokens"))):
        why = f.fails("serve", "--http", "0", "--tls-cert", files[0], "--tls-key", files[1])
        assert "cannot serve MCP" in why, (files, why)


if __name__ == "__main__":
    sys.exit(main(globals(), sys.argv))
