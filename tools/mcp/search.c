/*
 * search.c - the tool pawl_search: workflows by what somebody wants, as an agent's tools are chosen (activities/chooser.h).
 *
 *   workflows of the engine --rights--> those of this client --concepts of its workspace--> ranked: by words here, by meaning in a thread of the pool
 *                                                                                         --> the first 20, and the concepts that were meant
 *
 * [T26] A client sees the concepts of its own workspace and those of "default", which all share, never another's: no other space is asked for. Of what
 * a concept links to it is told what it may list.
 *
 * A model is opened by the first search, in that thread, and stays. The exchange may be gone when the thread is done: the job is on its own then, and its
 * result nobody's. Does not rank itself, and remembers nothing but vectors.
 */
#include <stdlib.h>
#include <string.h>

#include "activities/chooser.h"
#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

#define FOUND_MAX 20
#define QUERY_BYTES_MAX 2000u /* what is said after it is not looked for */

struct pw_mcpd_search {
    uv_work_t work;
    pawl_scope *scope; /* holds what follows */
    pw_mcpd_x *x;      /* NULL = it is gone */
    pawl_chooser *(*open)(void *user);
    void *user;
    const char *query;
    const pawl_value *workflows; /* those that this client may see */
    const pawl_value *concepts;
    const pw_choose_doc *docs;
    size_t len;
    pw_chooser_found found;
    pawl_status status;
    pawl_error err;
};

void pw_mcpd_search_forget(pw_mcpd_x *x)
{
    if (x->search != NULL) {
        x->search->x = NULL;
        x->search = NULL;
    }
}

/* ---- the end ---- */

static const pawl_value *shown(const struct pw_mcpd_search *s, pawl_scope *scope)
{
    const pawl_value *list[FOUND_MAX];
    size_t len = 0;
    for (; len < s->found.len && len < FOUND_MAX; len++) {
        const pawl_value *w = pawl_at(s->workflows, s->found.best[len].index);
        list[len] = pawl_build(scope, "{workflow: %s, description: %s}", pawl_str(w, "name", ""),
                               pawl_str(w, "description", ""));
    }
    return pawl_make_array(scope, list, len);
}

/* The first workflows of this client that it links to, by name. */
static const pawl_value *links_of(const struct pw_mcpd_search *s, pawl_scope *scope,
                                  const pawl_value *concept)
{
    const pawl_value *list[FOUND_MAX];
    size_t len = 0;
    for (size_t i = 0; i < s->len && len < FOUND_MAX; i++) {
        if (pw_concept_links(concept, s->docs[i].name, s->docs[i].name_size)) {
            list[len++] = pawl_make_str(scope, s->docs[i].name);
        }
    }
    return pawl_make_array(scope, list, len);
}

static const pawl_value *meant(const struct pw_mcpd_search *s, pawl_scope *scope)
{
    const pawl_value *list[PW_CONCEPT_HITS];
    for (size_t i = 0; i < s->found.hits_len; i++) {
        const pawl_value *c = pawl_at(s->concepts, s->found.hits[i]);
        list[i] =
            pawl_build(scope, "{concept: %s, text: %s, workflows: %p}", pawl_str(c, "key", ""),
                       pawl_str(c, "text", ""), pawl_v(links_of(s, scope, c)));
    }
    return pawl_make_array(scope, list, s->found.hits_len);
}

static void end(struct pw_mcpd_search *s)
{
    pw_mcpd_x *x = s->x;
    const bool words = s->found.by == PW_CHOOSE_WORDS;
    const pawl_value *v = pawl_build(x->scope, "{workflows: %p, by: %s}",
                                     pawl_v(shown(s, x->scope)), pw_choose_by_name(s->found.by));
    if (s->found.hits_len > 0) {
        v = pawl_with(x->scope, v, "concepts", meant(s, x->scope));
    }
    if (words) { /* a model that reads this asks in other words */
        v = pawl_with(
            x->scope, v, "note",
            pawl_make_str(x->scope, "by words alone: there is no model for meaning here"));
    }
    x->search = NULL;
    if (s->status != PAWL_OK) {
        pw_mcpd_end(x, pw_mcpd_text(x->scope, s->err.message, true));
    } else {
        pw_mcpd_end_structured(x, v);
    }
}

static void finish(struct pw_mcpd_search *s)
{
    if (s->x != NULL) {
        end(s);
    }
    pawl_scope_free(s->scope); /* and s with it */
}

/* ---- ranking ---- */

typedef struct named {
    const char *name;
    size_t index;
} named;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

/* Without a query: the first by name. */
static void all_by_name(struct pw_mcpd_search *s)
{
    named *all = pawl_scope_alloc(s->scope, (s->len + 1) * sizeof *all);
    s->found.best = pawl_scope_alloc(s->scope, (FOUND_MAX + 1) * sizeof *s->found.best);
    if (all == NULL || s->found.best == NULL) {
        return;
    }
    for (size_t i = 0; i < s->len; i++) {
        all[i] = (named){s->docs[i].name, i};
    }
    if (s->len > 0) {
        qsort(all, s->len, sizeof *all, by_name);
    }
    for (size_t i = 0; i < s->len && i < FOUND_MAX; i++) {
        s->found.best[s->found.len++] = (pw_choice){all[i].index, 0};
    }
}

static void rank(struct pw_mcpd_search *s, pawl_chooser *chooser)
{
    const pawl_choose_text query = {s->query, strnlen(s->query, QUERY_BYTES_MAX)};
    const pw_chooser_ask ask = {.docs = s->docs,
                                .len = s->len,
                                .queries = &query,
                                .queries_len = 1,
                                .concepts = s->concepts,
                                .k = FOUND_MAX,
                                .by = PW_CHOOSE_HYBRID};
    s->status = pw_chooser_best(chooser, s->scope, &ask, &s->found, &s->err);
    if (s->status != PAWL_OK && s->status != PAWL_NOMEM && !pw_chooser_by_words(chooser)) {
        s->status = pw_chooser_best(NULL, s->scope, &ask, &s->found, &s->err);
    }
}

static void in_thread(uv_work_t *work)
{
    struct pw_mcpd_search *s = work->data;
    rank(s, s->open(s->user));
}

static void after(uv_work_t *work, int status)
{
    (void)status;
    finish(work->data);
}

static void go(struct pw_mcpd_search *s, uv_loop_t *loop)
{
    if (s->query[0] == '\0') {
        all_by_name(s);
    } else if (s->open == NULL) {
        rank(s, NULL);
    } else {
        s->work.data = s;
        if (uv_queue_work(loop, &s->work, in_thread, after) == 0) {
            return;
        }
        rank(s, NULL);
    }
    finish(s);
}

/* ---- what there is ---- */

static bool docs_make(struct pw_mcpd_search *s)
{
    pw_choose_doc *docs = pawl_scope_alloc(s->scope, (pawl_len(s->workflows) + 1) * sizeof *docs);
    for (size_t i = 0; i < pawl_len(s->workflows) && docs != NULL; i++) {
        pw_choose_say_workflow(s->scope, &docs[s->len++], pawl_at(s->workflows, i));
    }
    s->docs = docs;
    return docs != NULL;
}

static void begin(pw_mcpd_x *x, const pawl_value *own, const pawl_value *shared)
{
    pawl_scope *scope = pawl_scope_new();
    struct pw_mcpd_search *s = scope != NULL ? pawl_scope_alloc(scope, sizeof *s) : NULL;
    if (s != NULL) {
        *s = (struct pw_mcpd_search){.scope = scope,
                                     .x = x,
                                     .open = x->server->options.chooser,
                                     .user = x->server->options.chooser_user};
        s->query = pawl_str(pawl_copy(scope, pawl_get(x->params, "arguments.query")), "", "");
        s->workflows = pawl_copy(scope, x->run.offer);
        s->concepts = pw_concepts_join(scope, pawl_copy(scope, own), pawl_copy(scope, shared));
    }
    if (s == NULL || !docs_make(s)) {
        pawl_scope_free(scope);
        pw_mcpd_end(x, pw_mcpd_text(x->scope, "no memory for a search", true));
        return;
    }
    x->search = s;
    go(s, x->server->loop);
}

static void ask_concepts(pw_mcpd_x *x, const char *workspace, pw_up_fn fn)
{
    pw_up_ask(x->server->up, "memories",
              pawl_build(x->scope, "{space: %s, limit: %d}", pw_concept_space(x->scope, workspace),
                         (int)PW_CONCEPTS_MAX),
              fn, x);
}

/* "" = none but the shared one. */
static const char *workspace_of(const pw_mcpd_x *x)
{
    const char *served = x->server->options.workspace;
    return x->who != NULL ? x->who->workspace : served != NULL ? served : "";
}

/* A search without concepts is better than none. */
static void on_own(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)why;
    begin(x, status == PAWL_OK ? reply : NULL, x->run.input);
}

static void on_shared(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const char *workspace = workspace_of(x);
    (void)why;
    if (pw_concept_shared(workspace)) {
        begin(x, NULL, status == PAWL_OK ? reply : NULL);
        return;
    }
    x->run.input = status == PAWL_OK ? pawl_copy(x->scope, reply) : NULL;
    ask_concepts(x, workspace, on_own);
}

/* Rights first: what this client may not see takes no place among the first. */
static void on_workflows(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *list = pawl_get(reply, "workflows");
    const pawl_value **kept = pawl_scope_alloc(x->scope, (pawl_len(list) + 1) * sizeof *kept);
    size_t len = 0;
    if (status != PAWL_OK || kept == NULL) {
        pw_mcpd_end(x, pw_mcpd_text(x->scope, status != PAWL_OK ? why : "no memory", true));
        return;
    }
    for (size_t i = 0; i < pawl_len(list); i++) {
        const pawl_value *w = pawl_at(list, i);
        if (pw_mcpd_reaches(x, PW_OP_LIST, pawl_str(w, "name", ""))) {
            kept[len++] = w;
        }
    }
    x->run.offer = pawl_make_array(x->scope, kept, len);
    ask_concepts(x, NULL, on_shared);
}

void pw_mcpd_search_begin(pw_mcpd_x *x)
{
    pw_up_ask(x->server->up, "tools", &pw_up_none, on_workflows, x);
}
