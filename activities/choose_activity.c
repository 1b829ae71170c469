/*
 * choose_activity.c - the activity "choose", as pawl_choose.h describes it: its input checked, its result put together. Does not rank (choose.c) and knows no
 * model (chooser.c).
 */
#include <string.h>

#include "activities/chooser.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"

#define TOOLS_MAX 10000u
#define K_DEFAULT 10
#define K_MAX 1000

static const pawl_value *bad(pawl_task *task, const char *why)
{
    return pawl_task_fail_with(task, "BadInput", why, NULL, false);
}

typedef struct question {
    pawl_choose_text queries[PW_CHOOSER_QUERIES_MAX];
    size_t queries_len;
    const pawl_value *tools;
    const pawl_value *always;
    const char **names;  /* [len] of docs */
    pw_choose_doc *docs; /* those that are not in always */
    size_t len;
    const pawl_value **first; /* [first_len] names of those that are */
    size_t first_len;
    pw_choose_by by;
    const char *why; /* it is not by meaning; NULL = it is, or was not to be */
} question;

static bool text_of(const pawl_value *v, pawl_choose_text *ret_text)
{
    size_t size = 0;
    const void *data = pawl_typeof(v) == PAWL_STRING ? pawl_data(v, "", &size) : NULL;
    *ret_text = (pawl_choose_text){data != NULL ? data : "", size};
    return data != NULL;
}

static bool queries_take(const pawl_value *input, question *q)
{
    const pawl_value *one = pawl_get(input, "query"), *many = pawl_get(input, "queries");
    const size_t len = one != NULL ? 1 : pawl_len(many);
    bool ok = (one == NULL) != (many == NULL) &&
              (many == NULL || pawl_typeof(many) == PAWL_ARRAY) && len >= 1 &&
              len <= PW_CHOOSER_QUERIES_MAX;
    for (size_t i = 0; i < len && ok; i++) {
        ok = text_of(one != NULL ? one : pawl_at(many, i), &q->queries[i]);
    }
    q->queries_len = ok ? len : 0;
    return ok;
}

static bool among(const pawl_value *names, const char *name)
{
    for (size_t i = 0; i < pawl_len(names); i++) {
        if (pawl_is(pawl_at(names, i), "", name)) {
            return true;
        }
    }
    return false;
}

/* As agents and MCP servers tell of one. */
static pw_choose_doc doc_of(pawl_scope *scope, const pawl_value *tool)
{
    const char *name = pawl_str(tool, "name", ""), *text = pawl_str(tool, "description", "");
    const pawl_value *schema = pawl_get(tool, "schema");
    pw_choose_doc doc = {name, strlen(name), text, strlen(text), "", 0};
    pw_choose_say(scope, &doc, pawl_get(tool, "tags"),
                  schema != NULL ? schema : pawl_get(tool, "inputSchema"),
                  pawl_get(tool, "outputSchema"));
    return doc;
}

static bool docs_take(pawl_scope *scope, question *q)
{
    const size_t len = pawl_len(q->tools);
    q->docs = pw_alloc(scope, (len + 1) * sizeof *q->docs);
    q->names = pw_alloc(scope, (len + 1) * sizeof *q->names);
    q->first = pw_alloc(scope, (len + 1) * sizeof *q->first);
    if (q->docs == NULL || q->names == NULL || q->first == NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const pawl_value *tool = pawl_at(q->tools, i);
        const char *name = pawl_str(tool, "name", "");
        if (among(q->always, name)) {
            q->first[q->first_len++] = pawl_get(tool, "name");
        } else {
            q->names[q->len] = name;
            q->docs[q->len++] = doc_of(scope, tool);
        }
    }
    return true;
}

/* NULL, or why not. */
static const char *question_take(pawl_task *task, const pawl_value *input, const pawl_chooser *c,
                                 question *q)
{
    const char *by = pawl_str(input, "by", pw_chooser_by_words(c) ? "words" : "hybrid");
    const int64_t k = pawl_int(input, "k", K_DEFAULT);
    const double least = pawl_num(input, "at_least", 0);
    q->always = pawl_get(input, "always");
    if (!queries_take(input, q)) {
        return "query is a text, or queries a list of 1 to 8 of them";
    }
    if (pawl_typeof(q->tools) != PAWL_ARRAY || pawl_len(q->tools) > TOOLS_MAX) {
        return "tools is a list of at most 10000, or a reference to them";
    }
    if (!pw_choose_by_of(by, &q->by)) {
        return "by is hybrid, meaning or words";
    }
    if (k < 0 || k > K_MAX) {
        return "k is 0 to 1000";
    }
    if (!(least >= -1 && least <= 1)) {
        return "at_least is a cosine: -1 to 1";
    }
    return docs_take(pawl_task_scope(task), q) ? NULL : "no memory for so many tools";
}

static const pawl_value *result_of(pawl_task *task, const question *q, const pawl_chooser *c,
                                   const pw_chooser_found *found)
{
    pawl_scope *scope = pawl_task_scope(task);
    const pawl_value **chosen = pw_alloc(scope, (q->first_len + found->len + 1) * sizeof *chosen);
    const pawl_value **scores = pw_alloc(scope, (found->len + 1) * sizeof *scores);
    size_t len = 0;
    if (chosen == NULL || scores == NULL) {
        return pawl_task_fail(task, "NoMemory", "no memory for the result");
    }
    for (size_t i = 0; i < q->first_len; i++) {
        chosen[len++] = q->first[i];
    }
    for (size_t i = 0; i < found->len; i++) {
        chosen[len++] = pawl_make_str(scope, q->names[found->best[i].index]);
        scores[i] = pawl_make_num(scope, found->best[i].score);
    }
    const pawl_value *v = pawl_task_build(
        task, "{chosen: %p, scores: %p, by: %s}", pawl_v(pawl_make_array(scope, chosen, len)),
        pawl_v(pawl_make_array(scope, scores, found->len)), pw_choose_by_name(found->by));
    v = q->why != NULL ? pawl_with(scope, v, "why", pawl_make_str(scope, q->why)) : v;
    return found->by != PW_CHOOSE_WORDS && pw_chooser_identity(c) != NULL
               ? pawl_with(scope, v, "model", pawl_make_str(scope, pw_chooser_identity(c)))
               : v;
}

static const pawl_value *choose(pawl_task *task, const pawl_value *input, void *user)
{
    question q = {.tools = pawl_get(input, "tools")};
    pw_chooser_found found;
    pawl_error err = {0}, other = {0};
    if (pawl_typeof(q.tools) == PAWL_MAP) {
        q.tools = pawl_task_convo(task, q.tools, 0);
        if (q.tools == NULL) {
            return NULL;
        }
    }
    const char *fault = question_take(task, input, user, &q);
    if (fault != NULL) {
        return bad(task, fault);
    }
    const pw_chooser_ask ask = {.docs = q.docs,
                                .len = q.len,
                                .queries = q.queries,
                                .queries_len = q.queries_len,
                                .concepts = pw_chooser_concepts(user, pawl_task_scope(task),
                                                                pawl_str(input, "workspace", NULL)),
                                .k = (size_t)pawl_int(input, "k", K_DEFAULT),
                                .at_least = pawl_num(input, "at_least", 0),
                                .by = q.by};
    pawl_status status = pw_chooser_best(user, pawl_task_scope(task), &ask, &found, &err);
    if (status != PAWL_OK &&
        status != PAWL_NOMEM) { /* no vectors: better by words than not at all */
        q.why = err.message;
        status = pw_chooser_best(NULL, pawl_task_scope(task), &ask, &found, &other);
    }
    return status == PAWL_OK
               ? result_of(task, &q, user, &found)
               : pawl_task_fail(task, "NoMemory", "no memory to choose among %zu", q.len);
}

pawl_status pawl_choose_register(pawl_engine *engine, pawl_chooser *chooser, pawl_error *err)
{
    const pawl_activity_options o = {.struct_size = sizeof o,
                                     .effect = PAWL_EFFECT_PURE,
                                     .user = chooser,
                                     .description = "which of many described things fit a text"};
    const pawl_status status = pawl_register_activity(engine, "choose", choose, &o, err);
    if (status == PAWL_OK && chooser != NULL) {
        pw_chooser_of(chooser, engine);
    }
    return status;
}
