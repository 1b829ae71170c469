/*
 * conformance_client.c - the client under test of the MCP conformance suite: an engine whose one run lists the tools of a server and calls
 * them through the activity "mcp".
 *
 *   conformance_client URL     MCP_CONFORMANCE_SCENARIO, _CONTEXT (JSON) and _PROTOCOL_VERSION in the environment, as the suite sets them
 *
 * Exits 0 when the run completes. Does not judge: the suite's server does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/pawl_net.h"

/* What the answers are to be of; a tool that is none of these gets no arguments. */
static const struct {
    const char *tool;
    const char *arguments;
} known[] = {
    {"add_numbers", "{\"a\": 2, \"b\": 3}"},
    {"valid_tool", "{\"region\": \"us-west1\"}"},
    {"lookup_user", "{\"id\": \"u-1\"}"},
};

static const pawl_value *json_of(pawl_scope *scope, const char *text)
{
    const pawl_value *v = NULL;
    pawl_error err;
    return text != NULL && pawl_parse_json(scope, text, strlen(text), &v, &err) == PAWL_OK ? v
                                                                                           : NULL;
}

static const pawl_value *arguments_for(pawl_run *w, const char *tool)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].tool, tool) == 0) {
            return json_of(pawl_run_scope(w), known[i].arguments);
        }
    }
    return pawl_json(w, "{}");
}

static void use(pawl_run *w, const pawl_value *server, const char *tool,
                const pawl_value *arguments)
{
    (void)pawl_call(w, "mcp", .retries = PAWL_RETRY_NONE,
                    .input =
                        pawl_json(w, "{server: %p, tool: %s, arguments: %p, elicit: \"defaults\"}",
                                  pawl_v(server), tool, pawl_v(arguments)));
}

static const pawl_value *ask(pawl_run *w, const pawl_value *server, const char *method,
                             const pawl_value *params)
{
    return pawl_call(w, "mcp", .retries = PAWL_RETRY_NONE,
                     .input = pawl_json(w, "{server: %p, method: %s, params: %p}", pawl_v(server),
                                        method, pawl_v(params)));
}

/* A tool with a rich schema, and one that wants to see what became of it. */
static void echo_schema(pawl_run *w, const pawl_value *server, const pawl_value *tools)
{
    const pawl_value *schema = pawl_get(pawl_at(tools, 0), "inputSchema");
    use(w, server, pawl_str(pawl_at(tools, 1), "name", ""),
        pawl_json(w, "{schema: %p}", pawl_v(schema)));
}

/* Every kind of request that carries a name in a header. */
static void ask_others(pawl_run *w, const pawl_value *server)
{
    const pawl_value *resources = ask(w, server, "resources/list", NULL);
    for (size_t i = 0; i < pawl_len(pawl_get(resources, "resources")); i++) {
        const pawl_value *r = pawl_at(pawl_get(resources, "resources"), i);
        (void)ask(w, server, "resources/read", pawl_json(w, "{uri: %s}", pawl_str(r, "uri", "")));
    }
    const pawl_value *prompts = ask(w, server, "prompts/list", NULL);
    for (size_t i = 0; i < pawl_len(pawl_get(prompts, "prompts")); i++) {
        const pawl_value *p = pawl_at(pawl_get(prompts, "prompts"), i);
        (void)ask(w, server, "prompts/get", pawl_json(w, "{name: %s}", pawl_str(p, "name", "")));
    }
}

static const pawl_value *conform(pawl_run *w, const pawl_value *in)
{
    const pawl_value *server = pawl_get(in, "server");
    const pawl_value *calls = pawl_get(in, "context.toolCalls");
    const pawl_value *list = ask(w, server, "tools/list", NULL);
    const pawl_value *tools = pawl_get(list, "tools");
    for (size_t i = 0; i < pawl_len(calls); i++) {
        use(w, server, pawl_str(pawl_at(calls, i), "name", ""),
            pawl_get(pawl_at(calls, i), "arguments"));
    }
    const bool schemas = pawl_is(in, "scenario", "json-schema-2020-12-preservation");
    const bool only_looks = schemas || pawl_is(in, "scenario", "json-schema-ref-no-deref");
    for (size_t i = 0; calls == NULL && !only_looks && i < pawl_len(tools); i++) {
        const char *name = pawl_str(pawl_at(tools, i), "name", "");
        use(w, server, name, arguments_for(w, name));
    }
    if (schemas) {
        echo_schema(w, server, tools);
    }
    if (pawl_is(in, "scenario", "http-standard-headers")) {
        ask_others(w, server);
    }
    return pawl_ok(w) ? pawl_json(w, "{tools: %zu}", pawl_len(tools)) : NULL;
}

static const pawl_value *input_of(pawl_scope *scope, const char *url)
{
    const pawl_value *context = json_of(scope, getenv("MCP_CONFORMANCE_CONTEXT"));
    const char *version = getenv("MCP_CONFORMANCE_PROTOCOL_VERSION");
    const char *era = version == NULL                      ? "auto"
                      : strcmp(version, "2026-07-28") >= 0 ? "modern"
                                                           : "legacy";
    const pawl_value *oauth = pawl_build(
        scope, "{client_metadata_url: \"https://conformance-test.local/client-metadata.json\"}");
    static const char *const given[] = {"client_id", "client_secret", "issuer"};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        const pawl_value *v = pawl_get(context, given[i]);
        oauth = v != NULL ? pawl_with(scope, oauth, given[i], v) : oauth;
    }
    return pawl_build(scope,
                      "{server: {url: %s, era: %s, auth: {oauth: %p}}, scenario: %s, context: %p}",
                      url, era, pawl_v(oauth), getenv("MCP_CONFORMANCE_SCENARIO"), pawl_v(context));
}

static int run(pawl_engine *e, pawl_scope *scope, const char *url)
{
    static const char *const loopback[] = {"127.0.0.1", "[::1]", NULL};
    const pawl_net_options net = {.struct_size = sizeof net, .egress = loopback};
    const pawl_start_options start = {
        .workflow = "conform", .id = "conform", .input = input_of(scope, url)};
    const pawl_value *result = NULL;
    pawl_error err = {0};
    pawl_status s = pawl_register_workflow(e, "conform", "1", conform, NULL, &err);
    s = s == PAWL_OK ? pawl_net_register(e, &net, &err) : s;
    s = s == PAWL_OK ? pawl_resume_all(e, &err) : s;
    s = s == PAWL_OK ? pawl_start(e, &start, sizeof start, NULL, &err) : s;
    s = s == PAWL_OK ? pawl_result(e, "conform", 60000, scope, &result, &err) : s;
    fprintf(stderr, "%s %s %s\n", pawl_status_name(s),
            s == PAWL_OK || s == PAWL_FAILED ? "" : err.message, pawl_to_json(scope, result, 0));
    return s == PAWL_OK ? 0 : 1;
}

/* In memory: what is tested is what is said to the server. */
int main(int argc, char **argv)
{
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true, .memory = true};
    pawl_engine *e = NULL;
    pawl_error err = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: mcp_conformance_client URL\n");
        return 2;
    }
    if (pawl_open("conformance", &o, &e, &err) != PAWL_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    pawl_scope *scope = pawl_scope_new();
    const int rc = run(e, scope, argv[1]);
    pawl_scope_free(scope);
    pawl_close(e, 1000);
    return rc;
}
