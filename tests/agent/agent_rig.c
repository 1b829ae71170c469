/*
 * agent_rig.c - the scripted model and its tools. Does not know what is tested.
 */
#include "agent_rig.h"

/* ---- the model ---- */

const pawl_value *say(pawl_task *t, const char *text)
{
    return pawl_task_build(
        t,
        "{message: {role: 'assistant', parts: [{type: 'text', text: %s}]}, stop: 'end', usage: {input: 10, output: 2}}",
        text);
}

const pawl_value *call(pawl_task *t, const char *tool, int n)
{
    char id[20];
    (void)snprintf(id, sizeof id, "c%d", n);
    return pawl_task_build(t, "{type: 'tool_call', id: %s, name: %s, arguments: {n: %d}}", id, tool,
                           n);
}

const pawl_value *calls(pawl_task *t, const pawl_value *const *parts, size_t len)
{
    return pawl_task_build(
        t,
        "{message: {role: 'assistant', parts: %p}, stop: 'tool_calls', usage: {input: 10, output: 2}}",
        pawl_v(pawl_make_array(pawl_task_scope(t), parts, len)));
}

const pawl_value *call_one(pawl_task *t, const char *tool, int n)
{
    const pawl_value *part = call(t, tool, n);
    return calls(t, &part, 1);
}

static void keep_sent(world *w, const pawl_value *tools, int n)
{
    size_t at = 0;
    for (size_t i = 0; n < 8 && i < pawl_len(tools) && at < sizeof w->sent[0] - 70; i++) {
        at += (size_t)snprintf(w->sent[n] + at, sizeof w->sent[0] - at, "%s%.64s", i > 0 ? " " : "",
                               pawl_str(pawl_at(tools, i), "name", ""));
    }
}

static const pawl_value *model(pawl_task *t, const pawl_value *in, void *user)
{
    world *w = user;
    const pawl_value *request = pawl_get(in, "request");
    const pawl_value *messages = pawl_task_convo(t, pawl_get(request, "messages"), 0);
    const pawl_value *tools = pawl_task_convo(t, pawl_get(request, "tools"), 0);
    const pawl_value *system = pawl_task_convo(t, pawl_get(request, "system"), 0);
    if (messages == NULL || tools == NULL || system == NULL) {
        return NULL;
    }
    if (strstr(pawl_str(pawl_at(pawl_get(request, "more"), 0), "text", ""), "Summarise") != NULL) {
        need(pawl_is(request, "tool_choice", "none"));
        atomic_fetch_add(&w->summed, 1);
        return say(t, w->summary != NULL ? w->summary : "");
    }
    atomic_fetch_add(&w->forced, pawl_is(request, "tool_choice", "none"));
    w->tools_seen = pawl_len(tools);
    (void)snprintf(w->only, sizeof w->only, "%s",
                   pawl_to_json(pawl_task_scope(t), pawl_get(request, "tools_only"), 0));
    (void)snprintf(w->system, sizeof w->system, "%s", pawl_str(pawl_at(system, 0), "text", ""));
    const int n = atomic_fetch_add(&w->asked, 1);
    keep_sent(w, tools, n);
    return w->script(t, messages, n + 1);
}

/* The last message, and a part of it. */
const pawl_value *last(const pawl_value *messages)
{
    return pawl_at(messages, pawl_len(messages) - 1);
}

const char *told(const pawl_value *messages, size_t part)
{
    return pawl_str(pawl_at(pawl_get(last(messages), "parts"), part), "content", "?");
}

/* ---- tools ---- */

static const pawl_value *dig(pawl_task *t, const pawl_value *in, void *user)
{
    world *w = user;
    atomic_fetch_add(&w->dug, 1);
    if (pawl_int(in, "n", 0) == 13) {
        return pawl_task_fail_with(t, "Bedrock", "too hard", NULL, false);
    }
    return pawl_task_build(t, "{depth: %lld, spade: %s}", (long long)pawl_int(in, "n", 0) * 10,
                           pawl_str(in, "spade", "none"));
}

static const pawl_value *stone(pawl_task *t, const pawl_value *in, void *user)
{
    world *w = user;
    (void)in;
    atomic_fetch_add(&w->dug, 1);
    return pawl_task_build(t, "'stone'");
}

static const pawl_value *large(pawl_task *t, const pawl_value *in, void *user)
{
    char text[4001];
    (void)user;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)snprintf(text, 20, "%lld ", (long long)pawl_int(in, "n", 0));
    text[strlen(text)] = 'x';
    return pawl_task_build(t, "%s", text);
}

static const pawl_value *surroundings(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "%s", pawl_int(in, "turn", 0) == 1 ? "it rains" : "the sun shines");
}

/* An MCP server that asks two things before it says anything. */
static const pawl_value *mcp(pawl_task *t, const pawl_value *in, void *user)
{
    world *w = user;
    const pawl_value *answers = pawl_get(in, "answers");
    if (answers == NULL) {
        return pawl_task_fail_with(
            t, "InputRequired", "the server asks",
            pawl_task_build(
                t,
                "{resume: {state: 'half'}, questions: {size: {method: 'elicitation/create', params: {message: 'How large?',"
                "requestedSchema: {type: 'object', properties: {m: {type: 'integer'}}, required: ['m']}}},"
                "where: {method: 'elicitation/create', params: {message: 'And where?', requestedSchema: {type: 'object'}}}}}"),
            false);
    }
    atomic_fetch_add(&w->answered, 1);
    return pawl_task_build(t, "{content: [{type: 'text', text: %s}], isError: false}",
                           pawl_to_json(pawl_task_scope(t),
                                        pawl_task_build(t, "[%p, %p]", pawl_v(answers),
                                                        pawl_v(pawl_get(in, "resume"))),
                                        0));
}

static const pawl_value *waits(pawl_run *w, const pawl_value *in)
{
    (void)pawl_signal(w, .name = "go");
    return pawl_json(w, "{waited: %lld}", (long long)pawl_int(in, "n", 0));
}

/* ---- the engine ---- */

void open_world(world *w)
{
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    const pawl_activity_options user = {.struct_size = sizeof user, .user = w};
    pawl_engine **e = &w->host->engine;
    rig_open(w->host, &o);
    if (w->choose != NULL) {
        ok(w->host, pawl_register_activity(*e, "choose", w->choose, &user, &w->host->err));
    } else if (w->chooser != NULL) {
        ok(w->host, pawl_choose_register(*e, w->chooser, &w->host->err));
    }
    ok(w->host, pawl_agent_register(*e, &w->host->err));
    ok(w->host, pawl_register_workflow(*e, "waits", "1", waits, NULL, &w->host->err));
    ok(w->host, pawl_register_activity(*e, "llm", model, &user, &w->host->err));
    ok(w->host, pawl_register_activity(*e, "dig", dig, &user, &w->host->err));
    ok(w->host, pawl_register_activity(*e, "stone", stone, &user, &w->host->err));
    ok(w->host, pawl_register_activity(*e, "surroundings", surroundings, &user, &w->host->err));
    ok(w->host, pawl_register_activity(*e, "large", large, &user, &w->host->err));
    ok(w->host,
       pawl_register_activity(*e, "mcp", w->mcp != NULL ? w->mcp : mcp, &user, &w->host->err));
    ok(w->host, pawl_resume_all(*e, &w->host->err));
}

void reopen(world *w)
{
    rig_close(w->host);
    open_world(w);
}

int agent_setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    void *part = NULL;
    assert_non_null(w);
    assert_int_equal(rig_setup(&part), 0);
    w->host = part;
    open_world(w);
    *state = w;
    return 0;
}

int agent_teardown(void **state)
{
    world *w = *state;
    void *part = w->host;
    (void)rig_teardown(&part);
    free(w);
    return 0;
}

/* What `more` says itself is left out. */
static const char *unless(const char *more, const char *key, const char *member)
{
    return strstr(more, key) == NULL ? member : "";
}

void begin(world *w, const char *id, script_fn script, const char *more)
{
    char input[3000];
    w->script = script;
    (void)snprintf(
        input, sizeof input,
        "{%s %s \"system\": \"You dig.\", \"model\": \"m\", \"endpoint\": {\"wire\": \"ollama\"}%s}",
        unless(more, "\"task\": [", "\"task\": \"dig a hole\","),
        unless(more, "\"tools\"", "\"tools\": [" TOOLS "],"), more);
    rig_start(w->host, "agent", id, input);
}

const pawl_value *failure(world *w, const char *id, const char *type)
{
    const pawl_value *v = NULL;
    expect(w->host, PAWL_FAILED,
           pawl_result(w->host->engine, id, HOST_PATIENCE_MS, w->host->scope, &v, &w->host->err));
    if (!pawl_is(v, "type", type)) {
        fail_msg("%s, not %s", pawl_to_json(w->host->scope, v, 0), type);
    }
    return v;
}

/* Waits until the run waits for that answer. */
const pawl_value *question(world *w, const char *id, const char *name)
{
    rig_watch(w->host);
    while (true) {
        const pawl_value *list = NULL;
        const pawl_status st =
            pawl_waits(w->host->engine, id, w->host->scope, &list, &w->host->err);
        if (st != PAWL_NOTFOUND) { /* it may be about to start */
            ok(w->host, st);
        }
        for (size_t i = 0; i < pawl_len(list); i++) {
            if (pawl_is(pawl_at(list, i), "name", name)) {
                return pawl_at(list, i);
            }
        }
        rig_event(w->host);
    }
}

void answer(world *w, const char *id, const char *name, const char *json)
{
    const pawl_value *v = NULL;
    ok(w->host, pawl_parse_json(w->host->scope, json, strlen(json), &v, &w->host->err));
    ok(w->host, pawl_answer(w->host->engine, id, name, v, "tester", &w->host->err));
}
