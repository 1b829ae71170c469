/*
 * meta.c - the tools that every server has, so that a model needs few to reach all workflows; and runs as resources.
 *
 * Search ranks by how many of the words stand in name and description, those in the name twice. Does not know what
 * words mean.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sdk/base/value.h"
#include "tools/mcp/inside.h"

#define FOUND_MAX 20
#define WORDS_MAX 32 /* of a query: each is looked for in every workflow */

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

static void end_structured(pw_mcpd_x *x, const pawl_value *v)
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
    end_structured(x, pawl_build(x->scope, "{run_id: %s}", pawl_str(reply, "id", "")));
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
    end_structured(x, pawl_build(x->scope, "{run_id: %s}", x->run.id));
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
    end_structured(x, status == PAWL_OK ? pawl_with(x->scope, v, "waits", reply) : v);
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
            end_structured(
                x, pawl_build(x->scope,
                              "{workflow: %s, version: %s, description: %s, input_schema: %p, "
                              "output_schema: %p}",
                              name, pawl_str(w, "version", ""), pawl_str(w, "description", ""),
                              pawl_v(json_of(x->scope, w, "input_schema")),
                              pawl_v(json_of(x->scope, w, "output_schema"))));
            return;
        }
    }
    pw_mcpd_end(x, pw_mcpd_text(x->scope, "there is no such workflow", true));
}

static void call_DESCRIBE(pw_mcpd_x *x, const pawl_value *a)
{
    (void)a;
    pw_up_ask(x->server->up, "tools", &pw_up_none, on_describe, x);
}

static bool holds(const char *text, const char *word, size_t size)
{
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, word, size) == 0) {
            return true;
        }
    }
    return false;
}

static int rank(const pawl_value *w, const char *query)
{
    int points = 0;
    for (int words = 0; words < WORDS_MAX && *query != '\0'; words++) {
        query += strspn(query, " \t\r\n,.;:");
        const size_t size = strcspn(query, " \t\r\n,.;:");
        if (size > 0) {
            points += 2 * holds(pawl_str(w, "name", ""), query, size) +
                      holds(pawl_str(w, "description", ""), query, size);
        }
        query += size;
    }
    return points;
}

struct hit {
    const pawl_value *workflow;
    int points;
};

static int best_first(const void *a, const void *b)
{
    const struct hit *x = a;
    const struct hit *y = b;
    return x->points != y->points
               ? y->points - x->points
               : strcmp(pawl_str(x->workflow, "name", ""), pawl_str(y->workflow, "name", ""));
}

static void on_search(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const char *query = pawl_str(x->params, "arguments.query", "");
    const pawl_value *list = pawl_get(reply, "workflows");
    struct hit *hits = pw_alloc(x->scope, (pawl_len(list) + 1) * sizeof *hits);
    const pawl_value *found[FOUND_MAX];
    size_t len = 0;
    size_t shown = 0;
    (void)why;
    for (size_t i = 0; status == PAWL_OK && hits != NULL && i < pawl_len(list); i++) {
        const pawl_value *w = pawl_at(list, i);
        const int points = query[0] == '\0' ? 1 : rank(w, query);
        if (points > 0 && pw_mcpd_reaches(x, PW_OP_LIST, pawl_str(w, "name", ""))) {
            hits[len++] = (struct hit){w, points};
        }
    }
    if (len > 0) {
        qsort(hits, len, sizeof *hits, best_first);
    }
    for (; shown < len && shown < FOUND_MAX; shown++) {
        const pawl_value *w = hits[shown].workflow;
        found[shown] = pawl_build(x->scope, "{workflow: %s, description: %s}",
                                  pawl_str(w, "name", ""), pawl_str(w, "description", ""));
    }
    end_structured(x, pawl_build(x->scope, "{workflows: %p}",
                                 pawl_v(pawl_make_array(x->scope, found, shown))));
}

static void call_SEARCH(pw_mcpd_x *x, const pawl_value *a)
{
    (void)a;
    pw_up_ask(x->server->up, "tools", &pw_up_none, on_search, x);
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
