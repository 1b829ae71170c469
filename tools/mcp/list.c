/*
 * list.c - methods that are answered from what is known: who the server is, what is published, completion of arguments.
 *
 * Pages hold PAGE things; a cursor is the name of the last that was given, so that a list that changes in between loses nothing that stayed.
 */
#include <string.h>
#include <strings.h>

#include "sdk/base/hash.h"
#include "tools/mcp/inside.h"

#define PAGE 200
#define COMPLETIONS_MAX 100
#define COMPLETIONS_AMONG \
    2000 /* of all owners: the newest, of which those that are seen are given */

/* ---- who ---- */

static const char instructions[] =
    "Tools here are durable workflows: what they begin goes on when you disconnect. A call that takes long is answered with a run_id; get its "
    "result with pawl_wait.";

void pw_mcpd_on_INITIALIZE(pw_mcpd_x *x)
{
    const char *version = pw_mcpd_negotiate(pawl_str(x->params, "protocolVersion", ""));
    const pawl_value *caps = pawl_get(x->params, "capabilities");
    if (pawl_str(x->params, "protocolVersion", NULL) == NULL) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "protocolVersion is missing");
        return;
    }
    pw_mcpd_session *session = pw_mcpd_session_new(x->server, version, caps);
    if (session == NULL) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "out of memory");
        return;
    }
    x->session = session; /* the transport says its name */
    if (x->hosted != NULL) {
        *x->hosted = session;
    }
    pw_mcpd_end(x, pawl_build(x->scope,
                              "{protocolVersion: %s, capabilities: %p, serverInfo: %p, "
                              "instructions: %s}",
                              version,
                              pawl_v(x->era->capabilities(x->scope, pw_mcpd_may_list_tasks(x))),
                              pawl_v(pw_mcpd_server_info(x->scope)), instructions));
}

void pw_mcpd_on_DISCOVER(pw_mcpd_x *x)
{
    const pawl_value *r =
        pawl_build(x->scope, "{supportedVersions: %p, capabilities: %p, instructions: %s}",
                   pawl_v(pw_mcpd_versions(x->scope)),
                   pawl_v(x->era->capabilities(x->scope, pw_mcpd_may_list_tasks(x))), instructions);
    pw_mcpd_end(x, x->era->listing(x->scope, r));
}

void pw_mcpd_on_PING(pw_mcpd_x *x)
{
    pw_mcpd_end(x, NULL);
}

/* ---- lists ---- */

struct page {
    pw_mcpd_x *x;
    const char *after; /* the cursor, opened; "" = from the start */
    const pawl_value *items[PAGE];
    size_t len;
    const char *last; /* the name of the last item */
    bool more;
};

/* False: the exchange is over. */
static bool page_begin(struct page *p, pw_mcpd_x *x)
{
    const pawl_value *cursor = pawl_get(x->params, "cursor");
    *p = (struct page){.x = x, .after = "", .last = ""};
    if (cursor == NULL) {
        return true;
    }
    const pawl_value *after =
        pw_mcpd_unseal(x->server, x->scope, "cursor", pawl_str(cursor, "", ""));
    if (pawl_typeof(after) != PAWL_STRING) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "the cursor is none of this list");
        return false;
    }
    p->after = pawl_str(after, "", "");
    return true;
}

static void page_add(struct page *p, const char *name, const pawl_value *item)
{
    if (strcmp(name, p->after) <= 0 || p->more) {
        return;
    }
    if (p->len == PAGE) {
        p->more = true;
        return;
    }
    p->items[p->len++] = item;
    p->last = name;
}

static void page_end(struct page *p, const char *key)
{
    pw_mcpd_x *x = p->x;
    const pawl_value *r =
        pawl_with(x->scope, NULL, key, pawl_make_array(x->scope, p->items, p->len));
    if (p->more) {
        const char *cursor =
            pw_mcpd_seal(x->server, x->scope, "cursor", pawl_make_str(x->scope, p->last));
        r = pawl_with(x->scope, r, "nextCursor", pawl_make_str(x->scope, cursor));
    }
    pw_mcpd_end(x, x->era->listing(x->scope, r));
}

/* ---- tools: the same list again and again, so it is kept as text ---- */

static int era_index(const pw_mcpd_x *x)
{
    return x->era == &pw_mcpd_modern;
}

static const pawl_value *shown_fixed(pw_mcpd_x *x, size_t i)
{
    pw_mcpd_catalog *c = &x->server->catalog;
    if (i >= PW_MCPD_FIXED_MAX) {
        return NULL;
    }
    const pawl_value **at = &c->fixed[era_index(x)][i];
    if (*at == NULL) {
        const pawl_value *m = pw_mcpd_meta_tool(c->scope, i);
        *at = m != NULL ? x->era->tool(c->scope, m, "forbidden") : NULL;
    }
    return *at;
}

static const pawl_value *shown_offer(pw_mcpd_x *x, size_t i)
{
    pw_mcpd_catalog *c = &x->server->catalog;
    pw_mcpd_offer *o = &c->offers[i];
    const pawl_value **at = &o->shown[era_index(x)];
    if (*at == NULL) {
        *at = x->era->tool(c->scope, pw_mcpd_offer_tool(c->scope, o), pw_mcpd_offer_task(o));
    }
    return *at;
}

/* Where the text for these very tools is, or is to be; NULL when there is no more room. */
static pw_mcpd_listed *listed_for(const struct page *p)
{
    pw_mcpd_catalog *c = &p->x->server->catalog;
    const uint64_t key =
        pw_checksum(p->items, p->len * sizeof(const pawl_value *)) + (uint64_t)era_index(p->x) + 1;
    for (size_t i = 0; i < PW_MCPD_LISTED_MAX; i++) {
        pw_mcpd_listed *l = &c->listed[i];
        if (l->key == 0 || l->key == key) {
            l->key = key;
            return l;
        }
    }
    return NULL;
}

static void write_listed(struct page *p, pw_mcpd_listed *l)
{
    pw_mcpd_x *x = p->x;
    pw_mcpd_catalog *c = &x->server->catalog;
    const pawl_value *r =
        pawl_with(x->scope, NULL, "tools", pawl_make_array(x->scope, p->items, p->len));
    r = x->era->stamp(x->scope, x->era->listing(x->scope, r), "complete");
    const char *json = pawl_to_json(x->scope, r, 0);
    l->text = json != NULL && !pw_scope_failed(x->scope) ? pw_strdup(c->scope, json) : NULL;
    l->size = l->text != NULL ? strlen(l->text) : 0;
}

static void page_end_tools(struct page *p)
{
    pw_mcpd_catalog *c = &p->x->server->catalog;
    const bool whole = p->after[0] == '\0' && !p->more && !pw_scope_failed(p->x->scope);
    if (pw_scope_failed(c->scope)) {
        pw_mcpd_catalog_deinit(c); /* it is read again */
        pw_mcpd_fail(p->x, PW_MCPD_INTERNAL, NULL, "out of memory");
        return;
    }
    pw_mcpd_listed *l = whole ? listed_for(p) : NULL;
    if (l != NULL && l->text == NULL) {
        write_listed(p, l);
    }
    if (l != NULL && l->text != NULL) {
        pw_mcpd_end_written(p->x, l->text, l->size);
    } else {
        page_end(p, "tools");
    }
}

void pw_mcpd_on_TOOLS_LIST(pw_mcpd_x *x)
{
    struct page p;
    const pw_mcpd_catalog *c = &x->server->catalog;
    if (!page_begin(&p, x)) {
        return;
    }
    size_t meta = 0;
    const pawl_value *m = shown_fixed(x, meta);
    for (size_t i = 0; i <= c->len; i++) {
        const bool end = i == c->len;
        const pw_mcpd_offer *o = end ? NULL : &c->offers[i];
        if (!end &&
            (o->kind != PW_MCPD_OFFER_TOOL || x->server->options.tools == PW_MCPD_TOOLS_META)) {
            continue;
        }
        while (m != NULL && (end || strcmp(pw_mcpd_meta_name(meta), o->name) < 0)) {
            if (pw_mcpd_offered_fixed(x, pw_mcpd_meta_name(meta))) {
                page_add(&p, pw_mcpd_meta_name(meta), m);
            }
            m = shown_fixed(x, ++meta);
        }
        if (!end && pw_mcpd_offered(x, PW_OP_LIST, o)) {
            page_add(&p, o->name, shown_offer(x, i));
        }
    }
    page_end_tools(&p);
}

static void list_offers(pw_mcpd_x *x, pw_mcpd_offer_kind kind, const char *key,
                        const pawl_value *(*show)(pawl_scope *, const pw_mcpd_offer *))
{
    struct page p;
    const pw_mcpd_catalog *c = &x->server->catalog;
    if (!page_begin(&p, x)) {
        return;
    }
    for (size_t i = 0; i < c->len; i++) {
        if (c->offers[i].kind == kind && pw_mcpd_offered(x, PW_OP_LIST, &c->offers[i])) {
            page_add(&p, c->offers[i].name, show(x->scope, &c->offers[i]));
        }
    }
    if (kind == PW_MCPD_OFFER_TEMPLATE &&
        pw_who_may(x->who, PW_OP_READ)) { /* after the others, whose names it does not sort among */
        page_add(
            &p, "~",
            pawl_build(
                x->scope,
                "{uriTemplate: \"" PW_MCPD_RUN_URI "{id}\", name: \"run\", "
                "description: \"A run: its state, what it waits for, how it ended. Append /history for its events.\", "
                "mimeType: \"application/json\"}"));
    }
    page_end(&p, key);
}

void pw_mcpd_on_PROMPTS_LIST(pw_mcpd_x *x)
{
    list_offers(x, PW_MCPD_OFFER_PROMPT, "prompts", pw_mcpd_offer_prompt);
}

void pw_mcpd_on_RESOURCES_LIST(pw_mcpd_x *x)
{
    list_offers(x, PW_MCPD_OFFER_RESOURCE, "resources", pw_mcpd_offer_resource);
}

void pw_mcpd_on_RESOURCES_TEMPLATES(pw_mcpd_x *x)
{
    list_offers(x, PW_MCPD_OFFER_TEMPLATE, "resourceTemplates", pw_mcpd_offer_resource);
}

/* ---- completion ---- */

/* The values that are known for an argument: those that the prompt names, or the enum of the workflow's input. */
static const pawl_value *known_values(const pw_mcpd_offer *o, const char *argument)
{
    const pawl_value *arguments = pawl_get(o->says, "arguments");
    for (size_t i = 0; i < pawl_len(arguments); i++) {
        if (pawl_is(pawl_at(arguments, i), "name", argument)) {
            return pawl_get(pawl_at(arguments, i), "values");
        }
    }
    return pawl_get(pw_mcpd_key(pawl_get(o->input_schema, "properties"), argument), "enum");
}

static void complete(pw_mcpd_x *x, const pawl_value *values, const char *begun)
{
    const pawl_value *found[COMPLETIONS_MAX];
    size_t len = 0;
    int64_t total = 0;
    for (size_t i = 0; i < pawl_len(values); i++) {
        const char *text = pawl_str(pawl_at(values, i), "", "");
        if (strncasecmp(text, begun, strlen(begun)) == 0) {
            total++;
            if (len < COMPLETIONS_MAX) {
                found[len++] = pawl_at(values, i);
            }
        }
    }
    pw_mcpd_end(x, pawl_build(x->scope, "{completion: {values: %p, total: %lld, hasMore: %p}}",
                              pawl_v(pawl_make_array(x->scope, found, len)), (long long)total,
                              pawl_v(pawl_make_bool(x->scope, total > (int64_t)len))));
}

/* Runs by the beginning of their id. */
static void on_runs(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *found[COMPLETIONS_MAX];
    const pawl_value *runs = pawl_get(reply, "runs");
    size_t len = 0;
    (void)why;
    for (size_t i = 0; status == PAWL_OK && i < pawl_len(runs) && len < COMPLETIONS_MAX; i++) {
        const char *id = pawl_str(pawl_at(runs, i), "id", "");
        if (pw_mcpd_sees(x, id, pawl_str(pawl_at(runs, i), "workflow", NULL))) {
            found[len++] = pawl_make_str(x->scope, id);
        }
    }
    complete(x, pawl_make_array(x->scope, found, len), "");
}

static void complete_run(pw_mcpd_x *x, const char *begun)
{
    if (strpbrk(begun, "\"\\*?") != NULL) {
        complete(x, NULL, "");
        return;
    }
    pw_up_ask(x->server->up, "list",
              pawl_build(x->scope, "{filter: %s, limit: %d}",
                         pw_sprintf(x->scope, "id ~ \"%s*\"", begun),
                         x->who != NULL ? COMPLETIONS_AMONG : COMPLETIONS_MAX),
              on_runs, x);
}

void pw_mcpd_on_COMPLETE(pw_mcpd_x *x)
{
    const pawl_value *ref = pawl_get(x->params, "ref");
    const char *argument = pawl_str(x->params, "argument.name", NULL);
    const char *begun = pawl_str(x->params, "argument.value", NULL);
    const bool prompt = pawl_is(ref, "type", "ref/prompt");
    const char *name = pawl_str(ref, prompt ? "name" : "uri", NULL);
    if (argument == NULL || begun == NULL || name == NULL ||
        (!prompt && !pawl_is(ref, "type", "ref/resource"))) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "ref and argument {name, value} are needed");
        return;
    }
    if (!prompt && strncmp(name, PW_MCPD_RUN_URI, sizeof PW_MCPD_RUN_URI - 1) == 0) {
        complete_run(x, begun);
        return;
    }
    const pw_mcpd_offer *o = pw_mcpd_offer_find(
        &x->server->catalog, prompt ? PW_MCPD_OFFER_PROMPT : PW_MCPD_OFFER_TEMPLATE, name);
    if (o == NULL || !pw_mcpd_offered(x, PW_OP_LIST, o)) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no %s \"%.100s\"",
                     prompt ? "prompt" : "template", name);
        return;
    }
    complete(x, known_values(o, argument), begun);
}
