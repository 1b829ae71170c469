/*
 * view.c - reads: which operation goes where, finding a run, and describing it.
 *
 * A reply is built from one row at a time and never from the core's memory, so that it shows what is on disk and nothing more. The listing is in
 * view_list.c, events are in view_history.c, waits and stacks in view_waiting.c.
 */
#include "engine/view.h"

#include <string.h>

#include "engine/view_show.h"
#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

/* ---- arrays of unknown length ---- */

size_t pw_view_array_begin(pw_buf *out)
{
    size_t begin = out->size;

    pw_buf_put(out, "\xdd\0\0\0\0", 5); /* array 32 */
    return begin;
}

void pw_view_array_end(pw_buf *out, size_t begin, size_t len)
{
    if (pw_buf_ok(out)) {
        out->data[begin + 1] = (uint8_t)(len >> 24);
        out->data[begin + 2] = (uint8_t)(len >> 16);
        out->data[begin + 3] = (uint8_t)(len >> 8);
        out->data[begin + 4] = (uint8_t)len;
    }
}

/* ---- finding a run ---- */

static bool keep_view(pawl_scope *scope, pw_view *view)
{
    const uint8_t *copy =
        pw_memdup(scope, view->size > 0 ? view->data : (const uint8_t *)"", view->size);

    view->data = copy;
    return copy != NULL;
}

pawl_status pw_view_keep_run(pawl_scope *scope, const pw_run_row *row, pw_run_row *ret_row,
                             pawl_error *err)
{
    pw_run_row mine = *row;

    if (!keep_view(scope, &mine.id) || !keep_view(scope, &mine.workflow) ||
        !keep_view(scope, &mine.version) || !keep_view(scope, &mine.traceparent) ||
        !keep_view(scope, &mine.waiting) || !keep_view(scope, &mine.reason) ||
        !keep_view(scope, &mine.progress_text)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a run's row");
    }
    *ret_row = mine;
    return PAWL_OK;
}

struct found {
    pawl_scope *scope;
    pw_run_row *row;
    pawl_error *err;
    pawl_status status;
};

static bool take_run(void *ctx, const pw_run_row *row)
{
    struct found *f = ctx;

    f->status = pw_view_keep_run(f->scope, row, f->row, f->err);
    return false;
}

pawl_status pw_view_find_run(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                             pw_run_row *ret_row, pawl_error *err)
{
    struct found f = {scope, ret_row, err, PAWL_OK};
    const char *id = pawl_str(args, "id", NULL);
    int64_t key = pawl_int(args, "key", 0);
    pawl_status status;

    if (id == NULL && key <= 0) {
        return pw_err(err, PAWL_INVALID, "a run id is missing");
    }
    if (key > 0) {
        status = reader->ops->run_get(reader, key, take_run, &f, err);
    } else {
        status = reader->ops->run_find(reader, (pw_view){(const uint8_t *)id, strlen(id)}, take_run,
                                       &f, err);
    }
    if (status == PAWL_NOTFOUND && id != NULL) {
        return pw_err(err, PAWL_NOTFOUND, "there is no run \"%.200s\"", id);
    }
    return status == PAWL_OK ? f.status : status;
}

/* ---- describing one ---- */

static void put_text(pw_buf *out, const char *key, pw_view text)
{
    pw_mp_str(out, key);
    if (text.size == 0) {
        pw_mp_nil(out);
    } else {
        pw_mp_strn(out, (const char *)text.data, text.size);
    }
}

static bool put_id(void *ctx, const pw_run_row *row)
{
    pw_mp_strn(ctx, (const char *)row->id.data, row->id.size);
    return false;
}

static pawl_status put_parent(pw_reader *reader, int64_t parent, pw_buf *out, pawl_error *err)
{
    size_t before = out->size;

    pw_mp_str(out, "parent");
    if (parent != 0) {
        before = out->size;
        pawl_status status = reader->ops->run_get(reader, parent, put_id, out, err);
        if (status != PAWL_OK && status != PAWL_NOTFOUND) {
            return status;
        }
    }
    if (parent == 0 || out->size == before) {
        pw_mp_nil(out);
    }
    return PAWL_OK;
}

static void put_progress(pw_buf *out, const pw_run_row *row)
{
    pw_mp_str(out, "progress");
    if (row->progress_done == 0 && row->progress_total == 0 && row->progress_text.size == 0) {
        pw_mp_nil(out);
        return;
    }
    pw_mp_map(out, 3);
    pw_view_put_int(out, "done", row->progress_done);
    pw_view_put_int(out, "total", row->progress_total);
    put_text(out, "text", row->progress_text);
}

struct names {
    pw_buf *out;
    size_t len;
};

/* pawl_set(key, nil): the row says that it is gone. */
static bool removed(pw_view value)
{
    return value.size == 1 && value.data[0] == 0xc0;
}

static bool put_key_name(void *ctx, pw_view key, pw_view value)
{
    struct names *n = ctx;

    if (removed(value)) {
        return true;
    }
    pw_mp_strn(n->out, (const char *)key.data, key.size);
    n->len++;
    return true;
}

static pawl_status put_keys(pw_reader *reader, int64_t run, pw_buf *out, pawl_error *err)
{
    struct names n = {out, 0};

    pw_mp_str(out, "keys");
    size_t begin = pw_view_array_begin(out);
    pawl_status status = reader->ops->keys(reader, run, (pw_view){NULL, 0}, put_key_name, &n, err);
    pw_view_array_end(out, begin, n.len);
    return status;
}

pawl_status pw_view_show_run(pw_reader *reader, const pw_run_row *row, bool keys, pw_buf *out,
                             pawl_error *err)
{
    pw_mp_map(out, 17 + (keys ? 1u : 0u));
    put_text(out, "id", row->id);
    put_text(out, "workflow", row->workflow);
    put_text(out, "version", row->version);
    pw_mp_str(out, "status");
    pw_mp_str(out, pw_run_status_name(row->status));
    put_text(out, "waiting", row->waiting);
    put_text(out, "reason", row->reason);
    pw_view_put_int(out, "created_ms", row->created_ms);
    pw_view_put_int(out, "updated_ms", row->updated_ms);
    pw_view_put_int(out, "closed_ms", row->closed_ms);
    pw_view_put_int(out, "events", row->seq);
    put_progress(out, row);
    pw_view_put_int(out, "unread", row->unread);
    pw_view_put_int(out, "crashes", row->crashes);
    put_text(out, "traceparent", row->traceparent);
    pw_view_put_int(out, "key", row->key);
    pw_view_put_int(out, "previous_key", row->prev_key);
    pawl_status status = put_parent(reader, row->parent_key, out, err);
    return status == PAWL_OK && keys ? put_keys(reader, row->key, out, err) : status;
}

static pawl_status describe(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                            pw_buf *out, pawl_error *err)
{
    pw_run_row row;
    pawl_status status = pw_view_find_run(reader, args, scope, &row, err);

    return status == PAWL_OK ? pw_view_show_run(reader, &row, true, out, err) : status;
}

/* ---- a published key ---- */

struct key_found {
    pw_reader *reader;
    pw_buf *out;
    pawl_error *err;
    pawl_status status;
    bool found;
};

static bool show_key(void *ctx, pw_view key, pw_view value)
{
    struct key_found *f = ctx;

    (void)key;
    if (removed(value)) {
        return false;
    }
    f->found = true;
    f->status = pw_view_show_value(f->reader, value, f->out, f->err);
    return false;
}

static pawl_status query_key(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                             pw_buf *out, pawl_error *err)
{
    struct key_found f = {.reader = reader, .out = out, .err = err, .status = PAWL_OK};
    const char *name = pawl_str(args, "name", "");
    pw_run_row row;
    pawl_status status = pw_view_find_run(reader, args, scope, &row, err);

    if (status == PAWL_OK && name[0] == '\0') {
        status = pw_err(err, PAWL_INVALID, "a query names no key");
    }
    if (status == PAWL_OK) {
        status = reader->ops->keys(reader, row.key, (pw_view){(const uint8_t *)name, strlen(name)},
                                   show_key, &f, err);
    }
    if (status == PAWL_OK && !f.found) {
        return pw_err(
            err, PAWL_NOT,
            "run \"%.100s\" has published no key \"%.60s\"; a query answered by code needs a running engine",
            pawl_str(args, "id", ""), name);
    }
    return status == PAWL_OK ? f.status : status;
}

/* ---- the door ---- */

bool pw_view_can(pw_req_op op, bool offline)
{
    return pw_req_kind(op) == PW_REQ_READ ||
           (offline && (op == PW_REQ_STACK || op == PW_REQ_QUERY || op == PW_REQ_RESULT));
}

static pawl_status answer(pw_reader *reader, pw_req_op op, const pawl_value *args,
                          pawl_scope *scope, pw_buf *out, pawl_error *err)
{
    if (op == PW_REQ_DESCRIBE) {
        return describe(reader, args, scope, out, err);
    }
    if (op == PW_REQ_LIST) {
        return pw_view_list(reader, args, scope, out, err);
    }
    if (op == PW_REQ_WAITS) {
        return pw_view_waits(reader, args, scope, out, err);
    }
    if (op == PW_REQ_COST) {
        return pw_view_cost(reader, args, scope, out, err);
    }
    if (op == PW_REQ_BUDGETS) {
        return pw_view_budgets(reader, args, scope, out, err);
    }
    if (op == PW_REQ_HISTORY) {
        return pw_view_history(reader, args, scope, out, err);
    }
    if (op == PW_REQ_RESULT) {
        return pw_view_result(reader, args, scope, out, err);
    }
    if (op == PW_REQ_STACK) {
        return pw_view_stack(reader, args, scope, out, err);
    }
    if (op == PW_REQ_QUERY) {
        return query_key(reader, args, scope, out, err);
    }
    if (op == PW_REQ_MEMORIES) {
        return pw_view_memories(reader, args, scope, out, err);
    }
    if (op == PW_REQ_MEMORY_SEARCH) {
        return pw_view_memory_search(reader, args, scope, out, err);
    }
    if (op == PW_REQ_INDEXES) {
        return pw_view_indexes(reader, args, scope, out, err);
    }
    if (op == PW_REQ_INDEX_ITEMS) {
        return pw_view_index_items(reader, args, scope, out, err);
    }
    if (op == PW_REQ_INDEX_CHANGES) {
        return pw_view_index_changes(reader, args, scope, out, err);
    }
    if (op == PW_REQ_INDEX_WORDS) {
        return pw_view_index_words(reader, args, scope, out, err);
    }
    return pw_err(err, PAWL_UNSUPPORTED, "%s needs a running engine", pw_req_name(op));
}

pawl_status pw_view_request(pw_reader *reader, pw_req_op op, const pawl_value *args, pw_buf *out,
                            pawl_error *err)
{
    size_t before = out->size;
    pawl_scope *scope = pawl_scope_new();
    pawl_error mine;

    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a read");
    }
    pawl_status status = answer(reader, op, args, scope, out, err != NULL ? err : &mine);
    pawl_scope_free(scope);
    if (status == PAWL_OK && !pw_buf_ok(out)) {
        status =
            pw_err(err, PAWL_NOMEM, "the reply to %s is too large; ask for less", pw_req_name(op));
    }
    if (status != PAWL_OK) {
        out->size = before;
        out->failed = false;
    }
    return status;
}
