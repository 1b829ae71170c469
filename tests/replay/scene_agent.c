/*
 * scene_agent.c - the agent of workflows/, with a model that reads from a script: tools, people, an MCP server, loops, compaction and back, memory,
 * a hand-over, and its ends. What it asks for is on record; a later release goes on from any turn of it.
 * Does not test what the agent does: tests/agent does.
 */
#include "scene.h"

#include <stdio.h>

#include "workflows/agent.h"

/* ---- the model ---- */

/* What it says to the n-th turn of a task: the parts of its answer. */
typedef struct line {
    const char *task;
    int n;
    const char *parts;
} line;

#define CALL(id, name, arguments) \
    "{type: 'tool_call', id: '" id "', name: '" name "', arguments: " arguments "}"
#define SAY(text) "[{type: 'text', text: '" text "'}]"

static const line script[] = {
    {"tools", 1,
     "[" CALL("a", "dig", "{n: 1}") "," CALL("b", "ask", "{n: 2}") "," CALL(
         "c", "ask", "{n: 3}") "," CALL("d", "nobody",
                                        "{}") "," CALL("e", "dig",
                                                       "{n: 'deep'}") "," CALL("f", "child",
                                                                               "{n: 5}") "]"},
    {"tools", 2, "[" CALL("g", "survey", "{at: 'here'}") "," CALL("h", "ask", "{n: 4}") "]"},
    {"tools", 3, SAY("dug")},
    {"loop", 1, "[" CALL("a", "dig", "{n: 1}") "]"},
    {"loop", 6, SAY("enough")},
    {"long", 1, "[" CALL("a", "long", "{n: 1}") "]"},
    {"long", 5, "[" CALL("a", "ask", "{n: 5}") "]"},
    {"long", 6, SAY("it was long")},
    {"memory", 1,
     "[" CALL("a", "memory_put", "{key: 'k', text: 'The soil is hard'}") "," CALL(
         "b", "memory_search", "{query: 'soil'}") "]"},
    {"memory", 2, "[" CALL("c", "memory_delete", "{key: 'k'}") "]"},
    {"memory", 3, SAY("remembered")},
    {"hand", 1, "[" CALL("a", "other", "{}") "]"},
    {"hand", 2, "[" CALL("b", "ask", "{n: 7}") "]"},
    {"hand", 3, SAY("by another")},
    {"ends", 1, "[" CALL("a", "dig", "{n: 1}") "]"},
    {"choose", 1,
     "[" CALL("a", "find_tools", "{query: 'far away'}") "," CALL("b", "dig", "{n: 1}") "]"},
    {"choose", 2, "[" CALL("c", "ask", "{n: 2}") "]"},
    {"choose", 3, SAY("chosen")},
};

/* Templates of tables: without arguments, so the compiler need not see them. */
static const pawl_value *built(pawl_scope *scope, const char *text)
{
    const pawl_value *(*const build)(pawl_scope * scope, const char *fmt, ...) = pawl_build;
    return build(scope, text);
}

static const pawl_value *answer_of(pawl_task *t, const char *task, int n)
{
    const line *found = NULL;
    for (size_t i = 0; i < PW_COUNT(script); i++) {
        if (strcmp(script[i].task, task) == 0 && script[i].n <= n) {
            found = &script[i];
        }
    }
    const pawl_value *parts = found != NULL ? built(pawl_task_scope(t), found->parts) : NULL;
    return pawl_task_build(
        t, "{message: {role: 'assistant', parts: %p}, stop: 'x', usage: {input: 10, output: 2}}",
        pawl_v(parts));
}

static const pawl_value *model(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    int n = 1;
    const pawl_value *messages = pawl_task_convo(t, pawl_get(in, "request.messages"), 0);
    if (messages == NULL) {
        return NULL;
    }
    const pawl_value *more = pawl_get(in, "request.more");
    const char *task = pawl_str(pawl_at(messages, 0), "text", "");
    for (size_t i = 0; i < pawl_len(messages); i++) {
        n += pawl_is(pawl_at(messages, i), "role", "assistant");
    }
    if (strstr(pawl_str(pawl_at(more, 0), "text", ""), "Summarise") != NULL) {
        return pawl_task_build(t, "{message: {role: 'assistant', parts: %p}, stop: 'end'}",
                               pawl_v(pawl_build(pawl_task_scope(t), SAY("in short"))));
    }
    if (strcmp(task, "ends") == 0 && n == 2) {
        return pawl_task_fail_with(t, "ContextTooLong", "too many tokens", NULL, false);
    }
    return answer_of(t, task, n);
}

/* ---- tools ---- */

static const pawl_value *dig(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{depth: %lld}", (long long)pawl_int(in, "n", 0) * 10);
}

static const pawl_value *go_long(pawl_task *t, const pawl_value *in, void *user)
{
    char text[301];
    (void)user;
    (void)in;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return pawl_task_build(t, "%s", text);
}

static const pawl_value *mcp(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    if (pawl_get(in, "answers") == NULL) {
        return pawl_task_fail_with(
            t, "InputRequired", "the server asks",
            pawl_task_build(
                t,
                "{resume: 'half', questions: {a: {method: 'elicitation/create', params: {message: 'How large?'}}}}"),
            false);
    }
    return pawl_task_build(t, "{content: [{type: 'text', text: 'surveyed'}]}");
}

static const pawl_value *choose(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_get(in, "query") != NULL ? pawl_task_build(t, "{chosen: ['ask'], by: 'words'}")
           : pawl_len(pawl_get(in, "queries")) > 1
               ? pawl_task_build(t, "{chosen: ['far', 'no']}")
               : pawl_task_build(t, "{chosen: ['find_tools', 'dig']}");
}

static const pawl_value *child(pawl_run *w, const pawl_value *in)
{
    return pawl_json(w, "{child: %lld}", (long long)pawl_int(in, "n", 0));
}

void scene_agent_code(rig *r)
{
    rig_folded(r, "agent", pw_agent_folded());
    rig_workflow(r, "child", child);
    rig_activity(r, "llm", model);
    rig_activity(r, "dig", dig);
    rig_activity(r, "long", go_long);
    rig_activity(r, "mcp", mcp);
}

void scene_choose_code(rig *r)
{
    scene_agent_code(r);
    rig_activity(r, "choose", choose);
}

/* ---- what happens ---- */

#define DIG \
    "{name: 'dig', activity: 'dig', schema: {type: 'object', properties: {n: {type: 'integer'}}}}"
#define ASK "{name: 'ask', activity: 'dig', policy: 'ask'}"

static void begin(rig *r, const char *task, const char *tools, const char *more)
{
    const pawl_value *input = pawl_build(
        r->scope, "{task: %s, system: 'You dig.', endpoint: {wire: 'ollama'}, tools: %p}", task,
        pawl_v(built(r->scope, tools)));
    const pawl_value *rest = built(r->scope, more);
    for (size_t i = 0; i < pawl_len(rest); i++) {
        input = pawl_with(r->scope, input, pawl_key_at(rest, i), pawl_at(rest, i));
    }
    rig_start_with(r, "agent", task, input);
}

static void say(rig *r, const char *id, const char *name, const char *answer)
{
    const rig_reply *reply = rig_ask(r, "answer", "{id: %s, name: %s, value: %p}", id, name,
                                     pawl_v(built(r->scope, answer)));
    if (reply->status != PAWL_OK) {
        fail_msg("%s %s: %s, and it waits for %s", id, name, reply->message, rig_waiting(r, id));
    }
}

static void post(rig *r, const char *id, const char *name, const char *text)
{
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: %s}", id, name, text)->status,
                     PAWL_OK);
}

static void play_tools(rig *r)
{
    begin(
        r, "tools",
        "[" DIG "," ASK
        ", {name: 'child', workflow: 'child', timeout_s: 60}, {name: 'survey', mcp: {server: {url: 'http://s'}}}]",
        "{approval: {deadline_s: 3600}, context: 'dig'}");
    say(r, "tools", "approve-1-2", "{choice: 'approve'}");
    say(r, "tools", "approve-1-3", "{choice: 'modify', data: {n: 9}}");
    post(r, "tools", "message", "and quickly");
    say(r, "tools", "approve-2-2", "{choice: 'reject', data: 'not there'}");
    say(r, "tools", "answer-2-1-1", "{choice: 'accept', data: {m: 3}}");
    scene_end(r, "tools", "completed");
}

static void play_loop(rig *r)
{
    begin(r, "loop", "[" DIG "]", "{}");
    say(r, "loop", "stuck-5", "{choice: 'continue', data: 'try the river'}");
    scene_end(r, "loop", "completed");
}

static void play_long(rig *r)
{
    begin(r, "long", "[{name: 'long', activity: 'long'}, " ASK "]",
          "{compact: {bytes: 1200, keep_turns: 1}}");
    post(r, "long", "uncompact", "");
    say(r, "long", "approve-5-1", "{choice: 'approve'}");
    scene_end(r, "long", "completed");
}

static void play_others(rig *r)
{
    begin(r, "memory", "[]", "{memory: {namespace: 'team/a'}}");
    scene_end(r, "memory", "completed");
    begin(r, "hand", "[{name: 'other', handoff: {input: {tools: [" ASK "]}}}]", "{max_turns: 9}");
    post(r, "hand", "message", "in blue");
    say(r, "hand/handoff-1", "approve-1-1", "{choice: 'approve'}");
    scene_end(r, "hand", "completed");
    begin(r, "ends", "[" DIG "]", "{compact: {keep_turns: 1}}");
    scene_end(r, "ends", "failed");
}

void scene_agent_play(rig *r)
{
    play_tools(r);
    play_loop(r);
    play_long(r);
    play_others(r);
}

/* More tools than it may see, one of which is denied; a person is asked in the turn in which it sees what it found. */
void scene_choose_play(rig *r)
{
    begin(r, "choose",
          "[" DIG "," ASK
          ", {name: 'far', activity: 'dig'}, {name: 'no', activity: 'dig', policy: 'deny'}]",
          "{choose: {k: 1, at_least: 0.5}}");
    post(r, "choose", "message", "and quickly");
    say(r, "choose", "approve-2-1", "{choice: 'approve'}");
    scene_end(r, "choose", "completed");
}
