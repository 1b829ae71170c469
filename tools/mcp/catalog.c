/*
 * catalog.c - the engine's list of workflows as offers, found by name or URI, and as clients see them.
 *
 * Of a workflow with several versions the newest registered is offered. URI templates are those of RFC 6570's first level: {name} stands for
 * text without a slash. Does not ask the engine (exchange.c does).
 */
#include "tools/mcp/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/hash.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"
#include "tools/mcp/message.h"

static const struct {
    const char *key;
    const char *name; /* what it is found by */
    pw_mcpd_offer_kind kind;
} kinds[] = {
    {"tool", "name", PW_MCPD_OFFER_TOOL},
    {"prompt", "name", PW_MCPD_OFFER_PROMPT},
    {"resource", "uri", PW_MCPD_OFFER_RESOURCE},
    {"template", "uriTemplate", PW_MCPD_OFFER_TEMPLATE},
};

static const pawl_value *json_of(pawl_scope *scope, const char *text)
{
    const pawl_value *v = NULL;
    pawl_error err;
    const pawl_status st =
        text[0] != '\0' ? pawl_parse_json(scope, text, strlen(text), &v, &err) : PAWL_NOT;
    if (st == PAWL_NOMEM) {
        pw_scope_fail(scope); /* else it would be offered without what it says */
    }
    return st == PAWL_OK ? v : NULL;
}

/* Names of workflows may hold a colon, names of tools may not. */
static const char *tool_name(pawl_scope *scope, const char *workflow)
{
    char *name = pw_strdup(scope, workflow);
    for (char *p = name; p != NULL && *p != '\0'; p++) {
        *p = *p == ':' ? '.' : *p;
    }
    return name;
}

static void add(pw_mcpd_catalog *c, pawl_scope *scope, const pw_mcpd_offer *o, const char *key)
{
    pw_mcpd_offer *mine = &c->offers[c->len];
    *mine = *o;
    mine->name = pawl_str(o->says, key, NULL);
    if (mine->name == NULL && strcmp(key, "name") == 0) {
        mine->name = tool_name(scope, o->workflow);
    }
    c->len += mine->name != NULL;
}

static bool seen(const pw_mcpd_catalog *c, const char *workflow)
{
    for (size_t i = 0; i < c->len; i++) {
        if (strcmp(c->offers[i].workflow, workflow) == 0) {
            return true;
        }
    }
    return false;
}

/* The activities that it says it calls are all registered as pure: then nothing outside sees its runs. */
static bool only_pure(const pawl_value *says, const pawl_value *activities)
{
    const pawl_value *calls = pawl_get(says, "activities");
    bool pure = pawl_typeof(calls) == PAWL_ARRAY;
    for (size_t i = 0; i < pawl_len(calls) && pure; i++) {
        const char *name = pawl_str(pawl_at(calls, i), "", "");
        pure = pawl_is(pw_mcpd_key(activities, name), "", "pure");
    }
    return pure;
}

/* Tags are for searches: a workflow that says nothing else of itself is published as one that says nothing. */
static bool says_nothing(const pawl_value *publish)
{
    return publish == NULL || (pawl_len(publish) == 1 && pawl_get(publish, "tags") != NULL);
}

static void add_workflow(pw_mcpd_catalog *c, pawl_scope *scope, const pawl_value *w,
                         const pawl_value *activities, bool all)
{
    const pawl_value *publish = json_of(scope, pawl_str(w, "publish", ""));
    pw_mcpd_offer o = {
        .workflow = pawl_str(w, "name", ""),
        .version = pawl_str(w, "version", ""),
        .description = pawl_str(w, "description", ""),
        .input_schema = json_of(scope, pawl_str(w, "input_schema", "")),
        .output_schema = json_of(scope, pawl_str(w, "output_schema", "")),
    };
    if (seen(c, o.workflow)) {
        return; /* an older version */
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        o.kind = kinds[i].kind;
        o.says = pawl_get(publish, kinds[i].key);
        o.published = pawl_typeof(o.says) == PAWL_MAP;
        o.pure = only_pure(o.says, activities);
        if (o.published || (all && says_nothing(publish) && o.kind == PW_MCPD_OFFER_TOOL)) {
            add(c, scope, &o, kinds[i].name);
        }
    }
}

static int by_name(const void *a, const void *b)
{
    const pw_mcpd_offer *x = a;
    const pw_mcpd_offer *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

bool pw_mcpd_catalog_read(pw_mcpd_catalog *c, const pawl_value *reply, bool all)
{
    const pw_view given = pw_value_bytes(pawl_get(reply, "workflows"));
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *activities = pawl_get(reply, "activities");
    if (scope == NULL) {
        return false;
    }
    /* also when nothing has changed: what is looked at in it takes room in its scope */
    pw_mcpd_catalog new = {.scope = scope, .digest = pw_checksum(given.data, given.size)};
    new.workflows = pawl_build(scope, "{workflows: %p}", pawl_v(pawl_get(reply, "workflows")));
    const pawl_value *list = pawl_get(new.workflows, "workflows");
    const size_t len = pawl_len(list);
    new.offers = pw_alloc(scope, (len * sizeof kinds / sizeof kinds[0] + 1) * sizeof *new.offers);
    for (size_t i = 0; i < len && !pw_scope_failed(scope); i++) {
        add_workflow(&new, scope, pawl_at(list, i), activities, all);
    }
    if (pw_scope_failed(scope)) {
        pawl_scope_free(scope);
        return false;
    }
    qsort(new.offers, new.len, sizeof *new.offers, by_name);
    new.at_ms = c->at_ms;
    new.asked_ms = c->asked_ms;
    pawl_scope_free(c->scope);
    *c = new;
    return true;
}

void pw_mcpd_catalog_deinit(pw_mcpd_catalog *c)
{
    pawl_scope_free(c->scope);
    *c = (pw_mcpd_catalog){.scope = NULL};
}

const pw_mcpd_offer *pw_mcpd_offer_find(const pw_mcpd_catalog *c, pw_mcpd_offer_kind kind,
                                        const char *name)
{
    for (size_t i = 0; i < c->len; i++) {
        if (c->offers[i].kind == kind && strcmp(c->offers[i].name, name) == 0) {
            return &c->offers[i];
        }
    }
    return NULL;
}

/* ---- URIs ---- */

/* The variables of a template that fits; NULL when it does not. */
static const pawl_value *fit(pawl_scope *scope, const char *template, const char *uri)
{
    const pawl_value *vars = pawl_build(scope, "{}");
    while (*template != '\0') {
        const char *end = *template == '{' ? strchr(template, '}') : NULL;
        if (end == NULL) {
            if (*template ++ != *uri++) {
                return NULL;
            }
            continue;
        }
        size_t size = strcspn(uri, "/?#");
        const char *stop = end[1] != '\0' ? memchr(uri, end[1], size) : NULL;
        size = stop != NULL ? (size_t)(stop - uri) : size;
        if (size == 0) {
            return NULL;
        }
        vars = pawl_with(scope, vars, pw_strndup(scope, template + 1, (size_t)(end - template) - 1),
                         pawl_make_strn(scope, uri, size));
        uri += size;
        template = end + 1;
    }
    return *uri == '\0' ? vars : NULL;
}

const pw_mcpd_offer *pw_mcpd_offer_of_uri(const pw_mcpd_catalog *c, pawl_scope *scope,
                                          const char *uri, const pawl_value **ret_vars)
{
    const pw_mcpd_offer *o = pw_mcpd_offer_find(c, PW_MCPD_OFFER_RESOURCE, uri);
    *ret_vars = pawl_build(scope, "{}");
    for (size_t i = 0; i < c->len && o == NULL; i++) {
        const pawl_value *vars =
            c->offers[i].kind == PW_MCPD_OFFER_TEMPLATE ? fit(scope, c->offers[i].name, uri) : NULL;
        if (vars != NULL) {
            o = &c->offers[i];
            *ret_vars = vars;
        }
    }
    return o;
}

/* ---- as they are listed ---- */

const char *pw_mcpd_offer_task(const pw_mcpd_offer *o)
{
    const char *task = pawl_str(o->says, "task", "optional");
    return strcmp(task, "required") == 0 || strcmp(task, "forbidden") == 0 ? task : "optional";
}

static const pawl_value *object_schema(pawl_scope *scope, const pawl_value *schema)
{
    if (schema == NULL || pawl_typeof(schema) != PAWL_MAP) {
        return pawl_build(scope, "{type: \"object\"}");
    }
    return pawl_get(schema, "type") != NULL
               ? schema
               : pawl_with(scope, schema, "type", pawl_make_str(scope, "object"));
}

/* A call that outlives its bound is answered with a handle: a schema of results allows for it. */
static const pawl_value *result_schema(pawl_scope *scope, const pawl_value *schema)
{
    const pawl_value *handle = pawl_build(
        scope, "{type: \"object\", properties: {run_id: {type: \"string\"}, status: {type: "
               "\"string\"}}, required: [\"run_id\", \"status\"]}");
    return pawl_build(scope, "{type: \"object\", anyOf: [%p, %p]}", pawl_v(schema), pawl_v(handle));
}

static const pawl_value *carry(pawl_scope *scope, const pawl_value *to, const pawl_value *from,
                               const char *key)
{
    const pawl_value *v = pw_mcpd_key(from, key);
    return v != NULL ? pawl_with(scope, to, key, v) : to;
}

static const pawl_value *described(pawl_scope *scope, const pawl_value *v, const pw_mcpd_offer *o)
{
    v = carry(scope, v, o->says, "title");
    if (o->description[0] != '\0') {
        v = pawl_with(scope, v, "description", pawl_make_str(scope, o->description));
    }
    return carry(scope, v, o->says, "icons");
}

/* What hosts decide by whether they ask a person first. What a workflow says itself stands; else all of it follows from whether it only looks.
 * Code is not analysed: of what does not name its activities the worst is said, and said aloud, since hosts differ in what they take silence for.
 * An idempotent activity does not make an idempotent tool: its key is the run's, and another call is another run. */
const pawl_value *pw_mcpd_annotations(pawl_scope *scope, const pawl_value *said, bool pure)
{
    const bool looks = pawl_bool(said, "readOnlyHint", pure);
    const pawl_value *v = pawl_build(
        scope, "{readOnlyHint: %p, destructiveHint: %p, idempotentHint: %p, openWorldHint: %p}",
        pawl_v(pawl_make_bool(scope, looks)), pawl_v(pawl_make_bool(scope, !looks)),
        pawl_v(pawl_make_bool(scope, looks)), pawl_v(pawl_make_bool(scope, !pure)));
    for (size_t i = 0; i < pawl_len(said) && pawl_typeof(said) == PAWL_MAP; i++) {
        v = pawl_with(scope, v, pawl_key_at(said, i), pawl_at(said, i));
    }
    return v;
}

/* "key": true shows models that there may be one; it is taken all the same. */
static const pawl_value *with_key(pawl_scope *scope, const pawl_value *schema)
{
    const pawl_value *key = pawl_build(
        scope, "{type: \"string\", description: \"the same key and arguments, the same run\"}");
    return pawl_with(scope, schema, "properties",
                     pawl_with(scope, pawl_get(schema, "properties"), "idempotency_key", key));
}

const pawl_value *pw_mcpd_offer_tool(pawl_scope *scope, const pw_mcpd_offer *o)
{
    const pawl_value *v = pawl_build(scope, "{name: %s}", o->name);
    v = described(scope, v, o);
    const pawl_value *schema = object_schema(scope, o->input_schema);
    v = pawl_with(scope, v, "inputSchema",
                  pawl_bool(o->says, "key", false) ? with_key(scope, schema) : schema);
    if (o->output_schema != NULL) {
        v = pawl_with(scope, v, "outputSchema", result_schema(scope, o->output_schema));
    }
    v = pawl_with(scope, v, "annotations",
                  pw_mcpd_annotations(scope, pw_mcpd_key(o->says, "annotations"), o->pure));
    return carry(scope, v, o->says, "_meta");
}

/* What only the server uses of a prompt's argument stays here. */
static const pawl_value *argument(pawl_scope *scope, const pawl_value *given)
{
    const pawl_value *v = carry(scope, pawl_build(scope, "{}"), given, "name");
    v = carry(scope, v, given, "title");
    v = carry(scope, v, given, "description");
    return carry(scope, v, given, "required");
}

const pawl_value *pw_mcpd_offer_prompt(pawl_scope *scope, const pw_mcpd_offer *o)
{
    const pawl_value *v = described(scope, pawl_build(scope, "{name: %s}", o->name), o);
    const pawl_value *given = pawl_get(o->says, "arguments");
    const size_t len = pawl_len(given);
    const pawl_value **items = pw_alloc(scope, (len + 1) * sizeof(const pawl_value *));
    if (len == 0 || items == NULL) {
        return v;
    }
    for (size_t i = 0; i < len; i++) {
        items[i] = argument(scope, pawl_at(given, i));
    }
    return pawl_with(scope, v, "arguments", pawl_make_array(scope, items, len));
}

const pawl_value *pw_mcpd_offer_resource(pawl_scope *scope, const pw_mcpd_offer *o)
{
    const char *key = o->kind == PW_MCPD_OFFER_RESOURCE ? "uri" : "uriTemplate";
    const pawl_value *v = pawl_with(scope, NULL, key, pawl_make_str(scope, o->name));
    v = pawl_with(scope, v, "name", pawl_make_str(scope, pawl_str(o->says, "name", o->workflow)));
    v = described(scope, v, o);
    v = carry(scope, v, o->says, "mimeType");
    return carry(scope, v, o->says, "annotations");
}
