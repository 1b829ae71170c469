"""The workflow `release`, which comes with pawl, as a tool: from a commit to what is published, its approval included, through MCP alone.

    release_test.py PAWL [NAME...]        as server_rig.py says; needs git

It is what tools/quickstart leaves a person with: a journal, and no module. Not checked here: what its steps do (release_test.c), and kills on the
way (tools/demo-release).
"""
import os
import subprocess
import sys
from pathlib import Path

import server_rig
from server_rig import LEGACY, META, MODERN, Legacy, Modern

TASKS = {"extensions": {META + "tasks": {}}, "elicitation": {}}


def git(f, *arguments):
    env = {**os.environ, "HOME": str(f.path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", str(f.path / "repo"), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments], check=True, env=env,
                   capture_output=True)


def arguments(f):
    (f.path / "repo").mkdir()
    (f.path / "repo/greeting.in").write_text("hello\n", encoding="utf-8")
    git(f, "init", "-q")
    git(f, "add", ".")
    git(f, "commit", "-q", "-m", "the first")
    return {"repo": str(f.path / "repo"), "build": ["cp", "greeting.in", "greeting"], "test": ["grep", "-q", "hello", "greeting"],
            "artefacts": ["greeting"], "publish_dir": str(f.path / "published"), "work_dir": str(f.path / "work"),
            "verify": ["test", "-s", "greeting"]}


def answer(question, choice):
    assert question["method"] == "elicitation/create" and "(1 file)? the first" in question["params"]["message"], question
    assert question["params"]["requestedSchema"]["properties"]["choice"]["enum"] == ["approve", "reject"]
    return {"action": "accept", "content": {"choice": choice}}


def is_published(f, result):
    value = result["structuredContent"]
    assert result.get("isError") is not True and value["artefacts"][0]["path"] == "greeting", result
    assert [p.name for p in (f.path / "published").iterdir()] == [value["name"]]
    assert (Path(value["path"]) / "greeting").read_text(encoding="utf-8") == "hello\n"
    assert len(f.runs("release")) == 1 and f.runs("release")[0]["status"] == "completed"


def it_is_listed_with_its_schemas(f):
    tool = next(t for t in Modern(f.serve().url).ask("tools/list")["result"]["tools"] if t["name"] == "release")
    assert {"repo", "build", "publish_dir"} <= set(tool["inputSchema"]["required"]) and "anyOf" in tool["outputSchema"]
    assert tool["annotations"]["readOnlyHint"] is False and tool["annotations"]["destructiveHint"] is True


def it_publishes_what_is_approved_over_http(f):
    client = Modern(f.serve().url, {"elicitation": {}})
    given = arguments(f)
    result = client.call("release", given)["result"]
    assert result["resultType"] == "input_required" and not (f.path / "published").exists()
    answers = {key: answer(question, "approve") for key, question in result["inputRequests"].items()}
    assert list(answers) == ["approve-release"]
    is_published(f, client.call("release", given, inputResponses=answers, requestState=result["requestState"])["result"])


def it_publishes_what_is_approved_over_stdio(f):
    shim = f.shim()
    shim.ask({"jsonrpc": "2.0", "id": 1, "method": "initialize",
              "params": {"protocolVersion": LEGACY, "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"}}})
    shim.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    shim.send({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
               "params": {"name": "release", "arguments": arguments(f), "_meta": {"progressToken": "p"}}})
    said, far = {}, []
    while said.get("method") != "elicitation/create":
        said = shim.next()
        far += [said["params"]["message"]] if said["method"] == "notifications/progress" else []
    assert far[-1] == "waiting for approval" and "building" in far, far
    shim.send({"jsonrpc": "2.0", "id": said["id"], "result": answer(said, "approve")})
    is_published(f, shim.answer(2)["result"])


def it_publishes_what_is_approved_as_a_task(f):
    client = Modern(f.serve().url, TASKS)
    task = client.call("release", arguments(f))["result"]
    assert task["resultType"] == "task"
    while task["status"] == "working":
        task = client.task(task["taskId"])
    assert task["status"] == "input_required"
    answers = {key: answer(question, "approve") for key, question in task["inputRequests"].items()}
    client.ask("tasks/update", {"taskId": task["taskId"], "inputResponses": answers})
    end = client.task_end(task["taskId"])
    assert end["status"] == "completed"
    is_published(f, end["result"])


def it_publishes_what_a_person_approves_elsewhere(f):
    shim = f.shim()
    own = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}

    def call(number, tool, given):
        params = {"name": tool, "arguments": given, "_meta": own}
        return shim.ask({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})["result"]

    handle = call(1, "release", arguments(f))["structuredContent"]
    assert handle["status"] == "waiting" and handle["waits"][0]["name"] == "approve-release", handle
    f.pawl("answer", handle["run_id"], "approve", "--by", "ann")
    result = call(2, "pawl_wait", {"run_id": handle["run_id"]})
    is_published(f, result)
    assert result["structuredContent"]["approved_by"] == "ann"


def it_publishes_nothing_that_is_rejected(f):
    client = Legacy(f.serve().url, {"elicitation": {}})
    reply = client.post("tools/call", {"name": "release", "arguments": arguments(f)})
    for message in reply.messages():
        if message.get("method") == "elicitation/create":
            client.send({"jsonrpc": "2.0", "id": message["id"], "result": answer(message, "reject")})
        elif message.get("id") == client.number and "method" not in message:
            assert message["result"]["isError"] is True and "said no" in message["result"]["content"][0]["text"], message
            assert not (f.path / "published").exists() and f.runs("release")[0]["status"] == "failed"
            return
    raise AssertionError("the stream ended without an answer")


def it_takes_no_input_that_its_schema_does_not(f):
    result = Modern(f.serve().url).call("release", {"repo": "relative"})["result"]
    assert result["isError"] is True and 'lacks "build"' in result["content"][0]["text"] and f.runs("release") == [], result


if __name__ == "__main__":
    if subprocess.run(["git", "--version"], capture_output=True, check=False).returncode != 0:
        print("skipped: git is not installed")
        sys.exit(77)
    sys.exit(server_rig.main(globals(), [sys.argv[0], sys.argv[1], "", *sys.argv[2:]]))
