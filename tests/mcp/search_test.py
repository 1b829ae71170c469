"""The tool pawl_search: by words where there is no model, and it says so; by meaning with one (PAWL_TEST_DATA); concepts; rights first.
search_test.py PAWL MODULE [--meaning | NAME...]"""
import json
import os
import socket
import subprocess
import sys

from server_rig import MODERN, Modern, Paths, main

MODEL = os.path.join(os.environ.get("PAWL_TEST_DATA", ""), "models/all-MiniLM-L6-v2")
# No word of it is in the name or description of "release", which builds and publishes a commit of a git repository after a person's yes.
MEANT = "ship our software to production"


def found(client, query):
    return client.call("pawl_search", {"query": query})["result"]["structuredContent"]


def names(result):
    return [w["workflow"] for w in result["workflows"]]


def pawl(f, *arguments):
    subprocess.run([Paths.pawl, *arguments, "--db", f.db], check=True, stdout=subprocess.DEVNULL)


def it_ranks_by_words_without_a_model_and_says_so(f):
    client = Modern(f.serve().url)
    result = found(client, "needs an approval of a person")
    assert names(result)[0] in ("approve", "release"), result
    assert result["by"] == "words" and "no model" in result["note"], result
    assert names(found(client, MEANT)) == []
    everything = found(client, "")
    assert len(everything["workflows"]) == 20 and names(everything) == sorted(names(everything))


def it_finds_what_a_concept_links_to(f):
    client = Modern(f.serve().url)
    assert names(found(client, "the boss")) == []
    pawl(f, "concept", "add", "Boss", "whoever has the last word", "--link", "appro*,not_there")
    assert names(found(client, "the boss")) == ["approve"]
    pawl(f, "concept", "remove", "Boss")
    assert names(found(client, "the boss")) == []


def it_finds_by_a_tag_a_parameter_or_a_value_of_one(f):
    client = Modern(f.serve().url)
    assert names(found(client, "the treasury"))[0] == "approve"
    assert names(found(client, "which contact method?"))[0] == "json_schema_2020_12_tool"
    assert names(found(client, "by phone"))[0] == "json_schema_2020_12_tool"
    assert names(found(client, "the street"))[0] == "json_schema_2020_12_tool"  # of a $defs


def concepts(result):
    return {c["concept"]: (c["text"], c["workflows"]) for c in result.get("concepts", [])}


def it_looks_at_the_concepts_of_its_own_workspace_and_of_all_and_at_no_others(f):  # [T26]
    (f.path / "rights.json").write_text(json.dumps({"roles": {"greeter": {"operations": ["list"], "tools": ["greet"]}}}), encoding="utf-8")
    tokens = {name: f.pawl("token", name, "--client-tokens", str(f.path / "tokens"), *options)["token"] for name, options in {
        "ada": ("--role", "caller", "--workspace", "web"), "bob": ("--role", "caller", "--workspace", "ops"), "cy": ("--role", "caller"),
        "dan": ("--role", "greeter", "--workspace", "web")}.items()}
    server = f.serve(options=("--client-tokens", str(f.path / "tokens"), "--rights", str(f.path / "rights.json")))
    ada, bob, cy, dan = (Modern(server.url, headers={"Authorization": "Bearer " + tokens[name]}) for name in ("ada", "bob", "cy", "dan"))
    pawl(f, "concept", "add", "Boss", "whoever has the last word", "--link", "approve,greet", "--workspace", "web")
    pawl(f, "concept", "add", "Boss", "an ornament", "--link", "slow_*")
    pawl(f, "concept", "add", "Pager", "whoever is on call", "--link", "failing_job", "--workspace", "ops")
    pawl(f, "concept", "add", "Motto", "what all of us say", "--link", "greet")
    assert concepts(found(ada, "the boss")) == {"Boss": ("whoever has the last word", ["approve", "greet"])}
    assert concepts(found(bob, "the boss")) == concepts(found(cy, "the boss")) == {"Boss": ("an ornament", ["slow_compute"])}
    assert list(concepts(found(bob, "the pager"))) == ["Pager"] and names(found(bob, "the pager")) == ["failing_job"]
    for client in (ada, cy, dan):
        assert "concepts" not in found(client, "the pager") and names(found(client, "the pager")) == []
    for client in (ada, bob, cy, dan):
        assert concepts(found(client, "our motto")) == {"Motto": ("what all of us say", ["greet"])}
    assert concepts(found(dan, "the boss")) == {"Boss": ("whoever has the last word", ["greet"])}  # it may not list the other


def it_searches_on_standard_input_for_the_workspace_that_it_is_told(f):
    def boss(*options):
        shim = f.shim(*options)
        shim.ask({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})
        reply = shim.ask({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "pawl_search", "arguments": {"query": "the boss"}}})
        return names(reply["result"]["structuredContent"])
    assert boss() == []
    pawl(f, "concept", "add", "Boss", "whoever has the last word", "--link", "approve", "--workspace", "web")
    assert boss("--workspace", "web") == ["approve"]
    assert boss("--workspace", "ops") == boss() == []
    long = "https://login.example/" + "tenant/" * 20 + ":"  # longer than a space's name: as an authorization server may give
    pawl(f, "concept", "add", "Boss", "whoever has the last word", "--link", "greet", "--workspace", long + "one")
    assert boss("--workspace", long + "one") == ["greet"] and boss("--workspace", long + "two") == []


def it_gives_no_token_the_workspace_of_an_issuer(f):
    for workspace, why in (("corp:web", "--workspace web"), ("a b", "without blanks"), ("x" * 91, "at most 90")):
        done = subprocess.run([Paths.pawl, "token", "eve", "--client-tokens", str(f.path / "tokens"), "--workspace", workspace],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 2 and why in done.stderr, done
        assert not (f.path / "tokens").exists()


def it_searches_only_what_a_client_may_see(f):
    options = ("--rights", str(f.path / "rights.json"), "--client-tokens", str(f.path / "tokens"))
    (f.path / "rights.json").write_text(json.dumps({"roles": {"greeter": {"operations": ["list", "call"], "tools": ["greet"]}}}), encoding="utf-8")
    token = f.pawl("token", "ann", "--client-tokens", str(f.path / "tokens"), "--role", "greeter")["token"]
    client = Modern(f.serve(options=options).url, headers={"Authorization": "Bearer " + token})
    assert names(found(client, "greet approve release")) == ["greet"]
    assert names(found(client, "")) == ["greet"]


def it_finds_by_meaning_what_has_no_word_of_the_query_and_minds_no_client_that_goes_meanwhile(f):
    server = f.serve(options=("--model", MODEL))
    client = Modern(server.url)
    assert found(client, "publish")["workflows"]
    message = json.dumps(client.message("tools/call", {"name": "pawl_search", "arguments": {"query": MEANT}}, None))
    head = ("POST /mcp HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Content-Type: application/json",
            "Accept: application/json, text/event-stream", f"MCP-Protocol-Version: {MODERN}", "Mcp-Method: tools/call", "Mcp-Name: pawl_search",
            f"Content-Length: {len(message)}", "", "")
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            stream.sendall(("\r\n".join(head) + message).encode())
    result = found(client, MEANT)
    assert result["by"] == "hybrid" and "note" not in result, result
    assert names(result)[0] == "release", result


def it_finds_by_meaning_on_standard_input(f):
    shim = f.shim("--model", MODEL)
    shim.ask({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})
    shim.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    reply = shim.ask({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "pawl_search", "arguments": {"query": MEANT}}})
    result = reply["result"]["structuredContent"]
    assert result["by"] == "hybrid" and names(result)[0] == "release", result


if __name__ == "__main__":
    meaning = [name for name in globals() if name.startswith("it_finds_by_meaning")]
    if "--meaning" in sys.argv:
        sys.argv.remove("--meaning")
        if not os.path.isdir(MODEL):
            print("skipped: no model in PAWL_TEST_DATA")
            sys.exit(77)
        sys.argv += meaning
    sys.exit(main({name: it for name, it in globals().items() if name not in meaning or name in sys.argv}, sys.argv))
