/*
 * embed_activity.c - the activities "embed" and "nearest", as pawl_embed.h describes them. Both are pure: they touch nothing outside, and a second
 * attempt gives the same bits. What they are asked is checked; a stranger's vector is rounded and measured as any other.
 */
#define PAWL_MODULE_HOST
#include "sdk/pawl_module.h"

#include <string.h>

#include "activities/embed/embedder.h"
#include "activities/embed/nearest.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"

#define TEXTS_MAX 1024u
#define K_DEFAULT 10

static const pawl_value *bad(pawl_task *task, const char *why)
{
    return pawl_task_fail_with(task, "BadInput", why, NULL, false);
}

static const pawl_value *failed(pawl_task *task, const pawl_error *err)
{
    if (err->status == PAWL_CANCELED) {
        pawl_task_finish_canceled(task);
        return NULL;
    }
    return err->status == PAWL_NOMEM
               ? pawl_task_fail_with(task, "NoMemory", err->message, NULL, true)
               : bad(task, err->message);
}

static bool text_of(const pawl_value *v, pawl_embed_text *ret_text)
{
    size_t size = 0;
    const void *data = pawl_typeof(v) == PAWL_STRING ? pawl_data(v, "", &size) : NULL;
    *ret_text = (pawl_embed_text){data, size};
    return data != NULL;
}

/* Until the task is cancelled: its texts then leave the batch. */
static bool stops(void *task)
{
    return pawl_task_canceled(task);
}

static pawl_embed_request request_of(pawl_task *task)
{
    return (pawl_embed_request){
        .struct_size = sizeof(pawl_embed_request), .stop = stops, .user = task};
}

/* ---- embed ---- */

static bool role_of(const pawl_value *input, pawl_embed_role *ret_role)
{
    static const char *const names[] = {"text", "query", "raw"};
    const char *name = pawl_get(input, "role") != NULL ? pawl_str(input, "role", "") : names[0];
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_role = (pawl_embed_role)i;
            return true;
        }
    }
    return false;
}

typedef enum form { FORM_HALF, FORM_FLOAT, FORM_NUMBERS, FORM_NONE } form;

static form form_of(const pawl_value *input)
{
    static const char *const names[] = {"half", "float", "numbers"};
    const char *name = pawl_get(input, "as") != NULL ? pawl_str(input, "as", "") : names[FORM_HALF];
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (form)i;
        }
    }
    return FORM_NONE;
}

static const pawl_value *numbers_of(pawl_scope *scope, const float *vector, size_t width)
{
    const pawl_value **items = pawl_scope_alloc(scope, width * sizeof *items);
    for (size_t i = 0; i < width && items != NULL; i++) {
        items[i] = pawl_make_num(scope, (double)vector[i]);
    }
    return items != NULL ? pawl_make_array(scope, items, width) : NULL;
}

/* Little-endian, as x86 and Arm have them. */
static const pawl_value *vector_of(pawl_scope *scope, const float *vector, size_t width, form as)
{
    if (as == FORM_NUMBERS) {
        return numbers_of(scope, vector, width);
    }
    if (as == FORM_FLOAT) {
        return pawl_make_bytes(scope, vector, width * sizeof *vector);
    }
    uint16_t *row = pawl_scope_alloc(scope, pw_row_stride(width) * sizeof *row);
    return row != NULL && pw_row_put(vector, width, row, NULL) == PAWL_OK
               ? pawl_make_bytes(scope, row, width * sizeof *row)
               : NULL;
}

typedef struct texts {
    pawl_embed_text *list;
    pawl_embed_count *counts;
    float *vectors;
    size_t len;
} texts;

/* NULL, or why not. */
static const char *texts_take(pawl_scope *scope, const pawl_value *input, size_t width, texts *t)
{
    const pawl_value *one = pawl_get(input, "text"), *many = pawl_get(input, "texts");
    if ((one == NULL) == (many == NULL) || (many != NULL && pawl_typeof(many) != PAWL_ARRAY)) {
        return "text or texts (an array) is what is embedded";
    }
    t->len = one != NULL ? 1 : pawl_len(many);
    if (t->len > TEXTS_MAX) {
        return "more than 1024 texts";
    }
    t->list = pawl_scope_alloc(scope, (t->len + 1) * sizeof *t->list);
    t->counts = pawl_scope_alloc(scope, (t->len + 1) * sizeof *t->counts);
    t->vectors = pawl_scope_alloc(scope, (t->len + 1) * width * sizeof *t->vectors);
    if (t->list == NULL || t->counts == NULL || t->vectors == NULL) {
        return "no memory for so many texts";
    }
    for (size_t i = 0; i < t->len; i++) {
        if (!text_of(one != NULL ? one : pawl_at(many, i), &t->list[i])) {
            return "what is embedded is not text";
        }
    }
    return NULL;
}

static const pawl_value *result_of(pawl_task *task, const pawl_embedder *e, const texts *t, form as)
{
    pawl_scope *scope = pawl_task_scope(task);
    const size_t width = e->model->config.width;
    const pawl_value **vectors = pawl_scope_alloc(scope, (t->len + 1) * sizeof *vectors);
    const pawl_value **tokens = pawl_scope_alloc(scope, (t->len + 1) * sizeof *tokens);
    const pawl_value **cut = pawl_scope_alloc(scope, (t->len + 1) * sizeof *cut);
    size_t cut_len = 0;
    if (vectors == NULL || tokens == NULL || cut == NULL) {
        return pawl_task_fail(task, "NoMemory", "no memory for the result");
    }
    for (size_t i = 0; i < t->len; i++) {
        vectors[i] = vector_of(scope, t->vectors + i * width, width, as);
        if (vectors[i] == NULL) { /* of a model whose vectors are not of length 1 */
            return pawl_task_fail_with(task, "BadInput",
                                       "a vector is too long for numbers of 16 bits: ask for it as "
                                       "float",
                                       NULL, false);
        }
        tokens[i] = pawl_make_int(scope, t->counts[i].tokens);
        if (t->counts[i].tokens_all > t->counts[i].tokens) {
            cut[cut_len++] = pawl_make_int(scope, (int64_t)i);
        }
    }
    return pawl_task_build(task, "{vectors: %p, width: %zu, tokens: %p, truncated: %p, model: %s}",
                           pawl_v(pawl_make_array(scope, vectors, t->len)), width,
                           pawl_v(pawl_make_array(scope, tokens, t->len)),
                           pawl_v(pawl_make_array(scope, cut, cut_len)), e->identity);
}

const pawl_value *pw_activity_embed(pawl_task *task, const pawl_value *input, void *user)
{
    const pawl_embedder *e = user;
    texts t = {.len = 0};
    pawl_error err;
    pawl_embed_request r = request_of(task);
    const form as = form_of(input);
    if (as == FORM_NONE || !role_of(input, &r.role)) {
        return bad(task,
                   as == FORM_NONE ? "as is half, float or numbers" : "role is text, query or raw");
    }
    const char *why = texts_take(pawl_task_scope(task), input, e->model->config.width, &t);
    if (why != NULL) {
        return bad(task, why);
    }
    r.texts = t.list;
    r.len = t.len;
    r.vectors = t.vectors;
    r.counts = t.counts;
    if (pawl_embed_run(e, &r, &err) != PAWL_OK) {
        return failed(task, &err);
    }
    return result_of(task, e, &t, as);
}

/* ---- nearest ---- */

/* The query is row 0, what it is looked for among follows; texts are embedded together. */
typedef struct rows {
    const pawl_embedder *e;
    size_t stride;
    size_t len;
    uint16_t *halves;
    pawl_embed_text *texts;
    size_t *places; /* of the texts, in halves */
    size_t texts_len;
    float *vectors;
} rows;

static bool rows_alloc(pawl_scope *scope, rows *r)
{
    const size_t width = r->e->model->config.width;
    r->stride = pw_row_stride(width);
    r->halves = pawl_scope_alloc(scope, r->len * r->stride * sizeof *r->halves);
    r->texts = pawl_scope_alloc(scope, r->len * sizeof *r->texts);
    r->places = pawl_scope_alloc(scope, r->len * sizeof *r->places);
    r->vectors = pawl_scope_alloc(scope, (r->len + 1) * width * sizeof *r->vectors);
    return r->halves != NULL && r->texts != NULL && r->places != NULL && r->vectors != NULL;
}

static pawl_status row_take(rows *r, size_t place, const pawl_value *v, pawl_error *err)
{
    const size_t width = r->e->model->config.width;
    size_t size = 0;
    const void *data = pawl_typeof(v) == PAWL_BYTES ? pawl_data(v, "", &size) : NULL;
    if (text_of(v, &r->texts[r->texts_len])) {
        r->places[r->texts_len++] = place;
        return PAWL_OK;
    }
    if (data == NULL || size != width * sizeof *r->halves) {
        return pw_err(err, PAWL_INVALID, "neither a text nor the %zu bytes of a vector",
                      width * sizeof *r->halves);
    }
    uint16_t *row = r->halves + place * r->stride;
    memcpy(row, data, size);
    return pw_row_check(row, r->stride, err);
}

/* The query, if it is a text, is the first of them. */
static pawl_status rows_fill(pawl_task *task, rows *r, pawl_error *err)
{
    const size_t width = r->e->model->config.width;
    const size_t queries = r->texts_len > 0 && r->places[0] == 0 ? 1 : 0;
    pawl_embed_request ask = request_of(task);
    ask.role = PAWL_EMBED_QUERY;
    ask.texts = r->texts;
    ask.vectors = r->vectors;
    ask.len = queries;
    pawl_status status = pawl_embed_run(r->e, &ask, err);
    ask.role = PAWL_EMBED_TEXT;
    ask.texts += queries;
    ask.vectors += queries * width;
    ask.len = r->texts_len - queries;
    status = status == PAWL_OK ? pawl_embed_run(r->e, &ask, err) : status;
    for (size_t i = 0; i < r->texts_len && status == PAWL_OK; i++) {
        status =
            pw_row_put(r->vectors + i * width, width, r->halves + r->places[i] * r->stride, err);
    }
    return status;
}

static const pawl_value *list_of(pawl_task *task, const rows *r, size_t k, double at_least)
{
    pawl_scope *scope = pawl_task_scope(task);
    pawl_error err;
    size_t len = 0, kept = 0;
    pw_near *near = pawl_scope_alloc(scope, (k + 1) * sizeof *near);
    const pawl_value **items = pawl_scope_alloc(scope, (k + 1) * sizeof *items);
    const pw_rows among = {.halves = r->halves + r->stride,
                           .len = r->len - 1,
                           .width = r->e->model->config.width,
                           .stride = r->stride};
    if (near == NULL || items == NULL) {
        return pawl_task_fail(task, "NoMemory", "no memory for the result");
    }
    if (pw_nearest(&among, &(pw_search){r->halves, 1, k, NULL, 1}, near, &len, &err) != PAWL_OK) {
        return failed(task, &err);
    }
    while (kept < len && near[kept].score >= at_least) {
        items[kept] = pawl_task_build(task, "{index: %lld, score: %g}", (long long)near[kept].id,
                                      near[kept].score);
        kept++;
    }
    return pawl_task_build(task, "{nearest: %p, model: %s}",
                           pawl_v(pawl_make_array(scope, items, kept)), r->e->identity);
}

const pawl_value *pw_activity_nearest(pawl_task *task, const pawl_value *input, void *user)
{
    const pawl_value *among = pawl_get(input, "among");
    const int64_t k = pawl_int(input, "k", K_DEFAULT);
    rows r = {.e = user, .len = pawl_len(among) + 1};
    pawl_error err;
    if (pawl_typeof(among) != PAWL_ARRAY || r.len > TEXTS_MAX + 1 || k < 1 ||
        k > (int64_t)TEXTS_MAX) {
        return bad(task, "among is an array of at most 1024, k is 1 to 1024");
    }
    if (!rows_alloc(pawl_task_scope(task), &r)) {
        return pawl_task_fail(task, "NoMemory", "no memory for %zu vectors", r.len);
    }
    pawl_status status = row_take(&r, 0, pawl_get(input, "query"), &err);
    for (size_t i = 1; i < r.len && status == PAWL_OK; i++) {
        status = row_take(&r, i, pawl_at(among, i - 1), &err);
    }
    status = status == PAWL_OK ? rows_fill(task, &r, &err) : status;
    if (status != PAWL_OK) {
        return failed(task, &err);
    }
    return list_of(task, &r, (size_t)k,
                   pawl_num(input, "at_least", -PW_ROW_LENGTH_MAX * PW_ROW_LENGTH_MAX));
}

typedef struct target {
    pawl_engine *engine;
    pawl_module_registrar *reg;
} target;

static pawl_status target_take(const target *to, const char *name, pawl_activity_fn fn,
                               const pawl_activity_options *o, pawl_error *err)
{
    return to->engine != NULL ? pawl_register_activity(to->engine, name, fn, o, err)
                              : to->reg->activity(to->reg, name, fn, o, err);
}

static pawl_status register_all(const target *to, pawl_embedder *embedder, pawl_error *err)
{
    pawl_activity_options o = {
        .struct_size = sizeof o, .effect = PAWL_EFFECT_PURE, .user = embedder};
    o.description = "vectors of texts";
    const pawl_status status = target_take(to, "embed", pw_activity_embed, &o, err);
    o.description = "what of a list is nearest in meaning";
    return status == PAWL_OK ? target_take(to, "nearest", pw_activity_nearest, &o, err) : status;
}

pawl_status pawl_embed_register(pawl_engine *engine, pawl_embedder *embedder, pawl_error *err)
{
    const target to = {.engine = engine};
    return register_all(&to, embedder, err);
}

pawl_status pawl_embed_register_worker(pawl_module_registrar *reg, pawl_embedder *embedder,
                                       pawl_error *err)
{
    const target to = {.reg = reg};
    return register_all(&to, embedder, err);
}
