/*
 * meta.c - the tools that every server has, so that a model needs few to reach all workflows; and runs as resources.
 *
 * Does not search (search.c).
 */
#include <stdio.h>
#include <string.h>

#include "sdk/base/value.h"
#include "tools/mcp/inside.h"
#include "tools/word.h"

#define X(id, name, title, hints, text, schema) \
    static void call_##id(pw_mcpd_x *x, const pawl_value *a);
#include "tools/mcp/meta_tools.def"
#undef X

static const struct {
    const char *name, *title, *hints, *text, *schema;
    void (*fn)(pw_mcpd_x *x, const pawl_value *arguments);
} tools[] = {
#define X(id, name, title, hints, text, schema) {name, title, hints, text, schema, call_##id},
#include "tools/mcp/meta_tools.def"
#undef X
};

const pawl_value *pw_mcpd_meta_tool(pawl_scope *scope, size_t index)
{
    const pawl_value *schema = NULL;
    const pawl_value *hints = NULL;
    pawl_error err;
    if (index >= PW_COUNT(tools)) {
        return NULL;
    }
    const char *text = tools[index].schema;
    const char *said = tools[index].hints;
    if (pawl_parse_json(scope, text, strlen(text), &schema, &err) != PAWL_OK ||
        pawl_parse_json(scope, said, strlen(said), &hints, &err) != PAWL_OK) {
        return NULL;
    }
    return pawl_build(scope,
                      "{name: %s, title: %s, description: %s, inputSchema: %p, annotations: %p}",
                      tools[index].name, tools[index].title, tools[index].text, pawl_v(schema),
                      pawl_v(pw_mcpd_annotations(scope, hints, false)));
}

const char *pw_mcpd_meta_name(size_t index)
{
    return index < PW_COUNT(tools) ? tools[index].name : "";
}

void pw_mcpd_call_meta(pw_mcpd_x *x, const char *name, const pawl_value *arguments)
{
    for (size_t i = 0; i < PW_COUNT(tools); i++) {
        if (strcmp(tools[i].name, name) == 0) {
            tools[i].fn(x, arguments);
            return;
        }
    }
    pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no tool \"%.100s\"", name);
}

/* ---- about runs ---- */

void pw_mcpd_end_structured(pw_mcpd_x *x, const pawl_value *v)
{
    const char *json = pawl_to_json(x->scope, v, 0);
    const pawl_value *r = pw_mcpd_text(x->scope, json != NULL ? json : "", false);
    pw_mcpd_end(x, pawl_typeof(v) == PAWL_MAP ? pawl_with(x->scope, r, "structuredContent", v) : r);
}

/* False: the exchange is over. */
static bool take_run(pw_mcpd_x *x, const pawl_value *a)
{
    const char *id = pawl_str(a, "run_id", "");
    if (id[0] == '\0' || strlen(id) >= sizeof x->run.id) {
        pw_mcpd_end(x, pw_mcpd_text(x->scope, "run_id is missing", true));
        return false;
    }
    (void)snprintf(x->run.id, sizeof x->run.id, "%s", id);
    return true;
}

static void on_written(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (status != PAWL_OK) {
        pw_mcpd_end(x, pw_mcpd_text(x->scope, why, true));
        return;
    }
    pw_mcpd_end_structured(x, pawl_build(x->scope, "{run_id: %s}", pawl_str(reply, "id", "")));
}

static const char *by(const pw_mcpd_x *x)
{
    return x->principal[0] != '\0' ? x->principal : "mcp";
}

static void call_ANSWER(pw_mcpd_x *x, const pawl_value *a)
{
    const pawl_value *value = pawl_build(x->scope, "{}");
    if (!take_run(x, a)) {
        return;
    }
    if (pawl_get(a, "choice") != NULL) {
        value = pawl_with(x->scope, value, "choice", pawl_get(a, "choice"));
    }
    if (pawl_get(a, "data") != NULL) {
        value = pawl_with(x->scope, value, "data", pawl_get(a, "data"));
    }
    pw_up_ask(x->server->up, "answer",
              pawl_build(x->scope, "{id: %s, name: %s, value: %p, by: %s}", x->run.id,
                         pawl_str(a, "name", NULL), pawl_v(value), by(x)),
              on_written, x);
}

static void call_CANCEL(pw_mcpd_x *x, const pawl_value *a)
{
    if (take_run(x, a)) {
        pw_up_ask(x->server->up, "cancel",
                  pawl_build(x->scope, "{id: %s, reason: %s, by: %s}", x->run.id,
                             pawl_str(a, "reason", NULL), by(x)),
                  on_written, x);
    }
}

static void end_started(pw_mcpd_x *x)
{
    pw_mcpd_end_structured(x, pawl_build(x->scope, "{run_id: %s}", x->run.id));
}

/* Of those that they reach. */
static const char *meant(const pw_mcpd_x *x, pw_operation op, const char *workflow)
{
    enum { NAMES_MAX = 256 };
    const pawl_value *list = pawl_get(x->server->catalog.workflows, "workflows");
    const char *names[NAMES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < pawl_len(list) && len < NAMES_MAX; i++) {
        const char *name = pawl_str(pawl_at(list, i), "name", "");
        if (strcmp(name, workflow) != 0 && pw_mcpd_reaches(x, op, name)) {
            names[len++] = name;
        }
    }
    const size_t near = pw_word_near(workflow, names, len);
    const char *text =
        near < len ? pw_sprintf(x->scope, "; did you mean \"%s\"?", names[near]) : "";
    return text != NULL ? text : "";
}

/* The same key again is the same run, also when that is over; so is a call whose answer was lost. */
static void on_started(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const bool there = status == PAWL_EXISTS || pawl_bool(reply, "existing", false);
    if (there && x->run.keyed) {
        pw_mcpd_check_key(x, end_started);
    } else if (there && x->run.found != NULL) {
        end_started(x);
    } else if (status == PAWL_NOCODE) {
        const char *said = pw_sprintf(x->scope, "%s%s", why, meant(x, PW_OP_CALL, x->run.workflow));
        on_written(x, status, reply, said != NULL ? said : why);
    } else {
        on_written(x, status, reply, why);
    }
}

static void start(pw_mcpd_x *x)
{
    const bool named = x->run.keyed || x->run.found != NULL;
    if (x->run.found != NULL) {
        (void)snprintf(x->run.id, sizeof x->run.id, "%s", x->run.found);
    }
    pw_up_ask(x->server->up, "start",
              pawl_build(x->scope,
                         "{workflow: %s, id: %s, input: %p, by: %s, reuse: %s, conflict: %s}",
                         x->run.workflow, x->run.id, pawl_v(x->run.input), by(x),
                         named ? "reject" : "allow", named ? "use-existing" : "fail"),
              on_started, x);
}

/* Its tool says that an identical call is always another run. */
static bool repeats(const pw_mcpd_x *x, const char *workflow)
{
    const pw_mcpd_catalog *c = &x->server->catalog;
    bool repeat = false;
    for (size_t i = 0; i < c->len; i++) {
        repeat |= c->offers[i].kind == PW_MCPD_OFFER_TOOL &&
                  strcmp(c->offers[i].workflow, workflow) == 0 &&
                  pawl_bool(c->offers[i].says, "repeat", false);
    }
    return repeat;
}

static void call_START(pw_mcpd_x *x, const pawl_value *a)
{
    const char *workflow = pawl_str(a, "workflow", "");
    x->run.key = pawl_str(a, PW_MCPD_IDEMPOTENCY_ARGUMENT, NULL);
    x->run.calls = true;
    x->run.workflow = workflow;
    x->run.input = pawl_get(a, "input");
    pw_mcpd_name_run(x, workflow,
                     x->run.input); /* it says whose it is, and which call it answers */
    if (repeats(x, workflow)) {
        start(x);
    } else {
        pw_mcpd_find_lost(x, workflow, start);
    }
}

static void call_WAIT(pw_mcpd_x *x, const pawl_value *a)
{
    if (take_run(x, a)) {
        pw_mcpd_follow(x, pawl_str(a, "run_id", ""), NULL, PW_MCPD_AS_TOOL);
    }
}

static void on_waits(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *v = x->run.offer;
    (void)why;
    pw_mcpd_end_structured(x, status == PAWL_OK ? pawl_with(x->scope, v, "waits", reply) : v);
}

static void on_status(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (status != PAWL_OK) {
        pw_mcpd_end(x, pw_mcpd_text(x->scope, why, true));
        return;
    }
    x->run.offer = pawl_copy(x->scope, reply);
    pw_up_ask(x->server->up, "waits", pawl_build(x->scope, "{id: %s}", x->run.id), on_waits, x);
}

static void call_STATUS(pw_mcpd_x *x, const pawl_value *a)
{
    if (take_run(x, a)) {
        pw_up_ask(x->server->up, "describe", pawl_build(x->scope, "{id: %s}", x->run.id), on_status,
                  x);
    }
}

/* ---- about workflows ---- */

void pw_mcpd_no_workflow(pw_mcpd_x *x, pw_operation op, const char *workflow)
{
    const char *said = pw_sprintf(x->scope, "there is no such workflow%s", meant(x, op, workflow));
    pw_mcpd_end(x, pw_mcpd_text(x->scope, said != NULL ? said : "", true));
}

static const pawl_value *json_of(pawl_scope *scope, const pawl_value *w, const char *key)
{
    const char *text = pawl_str(w, key, "");
    const pawl_value *v = NULL;
    pawl_error err;
    return text[0] != '\0' && pawl_parse_json(scope, text, strlen(text), &v, &err) == PAWL_OK
               ? v
               : NULL;
}

static void on_describe(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const char *name = pawl_str(x->params, "arguments.workflow", "");
    const pawl_value *list = pawl_get(reply, "workflows");
    (void)why;
    for (size_t i = 0; status == PAWL_OK && i < pawl_len(list); i++) {
        const pawl_value *w = pawl_at(list, i);
        if (pawl_is(w, "name", name) && pw_mcpd_reaches(x, PW_OP_LIST, name)) {
            pw_mcpd_end_structured(
                x, pawl_build(x->scope,
                              "{workflow: %s, version: %s, description: %s, input_schema: %p, "
                              "output_schema: %p}",
                              name, pawl_str(w, "version", ""), pawl_str(w, "description", ""),
                              pawl_v(json_of(x->scope, w, "input_schema")),
                              pawl_v(json_of(x->scope, w, "output_schema"))));
            return;
        }
    }
    pw_mcpd_no_workflow(x, PW_OP_LIST, name);
}

static void call_DESCRIBE(pw_mcpd_x *x, const pawl_value *a)
{
    (void)a;
    on_describe(x, PAWL_OK, x->server->catalog.workflows, ""); /* it was read for this call */
}

static void call_SEARCH(pw_mcpd_x *x, const pawl_value *a)
{
    (void)a;
    pw_mcpd_search_begin(x);
}

/* ---- pawl://runs/ID and pawl://runs/ID/history ---- */

static void on_read(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (status == PAWL_NOTFOUND) {
        pw_mcpd_fail(x, x->era->no_resource, pawl_build(x->scope, "{uri: %s}", x->run.uri),
                     "there is no resource %.200s", x->run.uri);
        return;
    }
    if (status != PAWL_OK) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "%s", why);
        return;
    }
    const char *json = pawl_to_json(x->scope, pawl_copy(x->scope, reply), 2);
    const pawl_value *one =
        pawl_build(x->scope, "{uri: %s, mimeType: \"application/json\", text: %s}", x->run.uri,
                   json != NULL ? json : "");
    pw_mcpd_end(x,
                x->era->listing(x->scope, pawl_build(x->scope, "{contents: [%p]}", pawl_v(one))));
}

void pw_mcpd_read_run(pw_mcpd_x *x, const char *rest)
{
    static const char history[] = "/history";
    const size_t size = strlen(rest);
    const size_t tail = sizeof history - 1;
    const bool events = size > tail && strcmp(rest + size - tail, history) == 0;
    pw_up_ask(
        x->server->up, events ? "history" : "describe",
        pawl_build(x->scope, "{id: %s}", pw_strndup(x->scope, rest, events ? size - tail : size)),
        on_read, x);
}
