/*
 * memo.c - the memory store as workflows and requests use it.
 *
 *   put, delete   one event each; the row is in the turn's own group, so that it is there exactly when the event is
 *   search        MemorySearched and a timer that is due; the turn that it wakes reads the rows and writes what it found into MemoryFound.
 *                 So a search sees what its run has put before, is in the history, and is never made again in replay
 *
 * A space that is full is found out when a put is first asked for; that it was is in the event. Such a put drops nothing but what has expired, as
 * every one does: else a space full of that would stay so. Does not know words (journal/memo.c).
 */
#include "engine/memo.h"

#include <string.h>

#include "engine/options.h"
#include "engine/requests.h"
#include "engine/wf.h"
#include "sdk/base/error.h"
#include "sdk/base/id.h"

static pw_view text_view(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

/* ---- names ---- */

pawl_status pw_memo_names_ok(const char *space, const char *key, bool keyed, pawl_error *err)
{
    const size_t space_size = space != NULL ? strlen(space) : 0;
    const size_t key_size = key != NULL ? strlen(key) : 0;
    if (pw_id_check(space != NULL ? space : "", space_size, err) != PAWL_OK) {
        return pw_error_wrap(err, PAWL_INVALID, "a space of the memory store");
    }
    if (space_size > PW_MEMO_NAME_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "a space of the memory store has at most %d bytes",
                      PW_MEMO_NAME_BYTES_MAX);
    }
    if (keyed && (key_size == 0 || key_size > PW_MEMO_NAME_BYTES_MAX ||
                  !pw_utf8_ok(key, key_size) || strpbrk(key, "\n\r\t") != NULL)) {
        return pw_err(err, PAWL_INVALID, "a key of the memory store is a line of 1 to %d bytes",
                      PW_MEMO_NAME_BYTES_MAX);
    }
    return PAWL_OK;
}

/* ---- rows ---- */

const pawl_value *pw_memo_show(pawl_scope *scope, const pw_memo_row *row, int64_t score)
{
    const pawl_value *body = pw_value_copy(scope, row->body.data, row->body.size);
    const pawl_value *v = pawl_with(
        scope, NULL, "key", pawl_make_strn(scope, (const char *)row->key.data, row->key.size));
    v = pawl_with(scope, v, "text", pawl_get(body, "text"));
    if (pawl_get(body, "data") != NULL) {
        v = pawl_with(scope, v, "data", pawl_get(body, "data"));
    }
    v = pawl_with(scope, v, "updated_ms", pawl_make_int(scope, row->updated_ms));
    if (row->expires_ms != 0) {
        v = pawl_with(scope, v, "expires_ms", pawl_make_int(scope, row->expires_ms));
    }
    return score != 0 ? pawl_with(scope, v, "score", pawl_make_int(scope, score)) : v;
}

typedef struct finding {
    pawl_scope *scope;
    const pawl_value *rows[PW_MEMO_FOUND_MAX];
    size_t len;
} finding;

static bool keep_row(void *ctx, const pw_memo_row *row, int64_t score)
{
    finding *f = ctx;
    f->rows[f->len++] = pw_memo_show(f->scope, row, score);
    return f->len < PW_MEMO_FOUND_MAX;
}

pawl_status pw_memo_find(pw_reader *r, const pw_memo_query *q, pawl_scope *scope,
                         const pawl_value **ret_found, pawl_error *err)
{
    finding f = {.scope = scope};
    pawl_status st = pw_memo_search(r, q, keep_row, &f, err);
    if (st == PAWL_OK) {
        *ret_found = pawl_make_array(scope, f.rows, f.len);
    }
    return st;
}

/* {text, data}: what the row keeps. */
static void put_body(pw_buf *b, const pawl_value *text, const pawl_value *data)
{
    pw_mp_map(b, data != NULL ? 2 : 1);
    pw_mp_str(b, "text");
    pw_mp_value(b, text);
    if (data != NULL) {
        pw_mp_str(b, "data");
        pw_mp_value(b, data);
    }
}

/* All of it lives as long as the batch. */
static void put_op(pw_batch *b, pw_op_type type, const char *space, const pawl_value *input,
                   int64_t now_ms)
{
    pw_buf *body = pw_batch_buf(b);
    const double ttl = pawl_num(input, "ttl_s", 0);
    if (type == PW_OP_MEMO_PUT) {
        put_body(body, pawl_get(input, "text"), pawl_get(input, "data"));
        b->failed |= !pw_buf_ok(body);
    }
    const char *own_space = pw_strdup(b->group.scope, space);
    const char *own_key = pw_strdup(b->group.scope, pawl_str(input, "key", ""));
    if (own_space == NULL || own_key == NULL) {
        b->failed = true;
        return;
    }
    pw_batch_op(b, type)->u.memo =
        (pw_memo_row){.space = text_view(own_space),
                      .key = text_view(own_key),
                      .updated_ms = now_ms,
                      .expires_ms = ttl > 0 ? now_ms + pw_seconds_ms(ttl) : 0,
                      .body = {body->data, body->size}};
}

/* ---- full ---- */

static bool take_count(void *ctx, pw_view space, int64_t rows, int64_t bytes)
{
    (void)space;
    (void)bytes;
    *(int64_t *)ctx = rows;
    return false;
}

static pawl_status is_full(pw_core *core, const char *space, bool *ret_full, pawl_error *err)
{
    int64_t rows = 0;
    pawl_status st =
        core->jops->memo_spaces(core->reader, text_view(space), take_count, &rows, err);
    *ret_full = rows >= PW_MEMOS_MAX;
    return st;
}

static const pawl_failure full = {
    .type = "MemoryFull",
    .message = "the space has as many memories as it may: delete some, or let them expire",
};

static void full_body(pw_emit *e, const void *arg)
{
    if (*(const bool *)arg) {
        pw_emit_failure(e, "failure", &full);
    }
}

/* ---- commands ---- */

static pw_cmd *ask_put(pawl_run *w, const pawl_memory_options *o, const pawl_value *input,
                       const pw_asker *by)
{
    pw_live *live = w->live;
    bool none = false;
    pawl_error err;
    if (!live->replaying && is_full(live->core, o->space, &none, &err) != PAWL_OK) {
        pw_scope_fail(live->scope);
        pw_leave_lost(w); /* the turn comes again */
        return NULL;
    }
    pw_ask ask = {.type = PW_EV_MEMORY_PUT,
                  .name = o->space,
                  .input = input,
                  .has_input = true,
                  .file = by->file,
                  .line = by->line,
                  .body = full_body,
                  .arg = &none};
    pw_cmd *cmd = pw_command(w, &ask);
    if (cmd != NULL && !live->replaying) {
        put_op(live->batch, none ? PW_OP_MEMO_DROP : PW_OP_MEMO_PUT, o->space, none ? NULL : input,
               live->now_ms);
    }
    return cmd;
}

pw_cmd *pw_memo_put(pawl_run *w, const pawl_memory_options *o, const pw_asker *by)
{
    if (pw_blocked(w) || !pw_memory_ok(w, o, by)) {
        return NULL;
    }
    pawl_scope *scope = w->live->scope;
    const pawl_value *input =
        pawl_build(scope, "{key: %s, text: %s, data: %p, ttl_s: %p}", o->key, o->text,
                   pawl_v(o->data), pawl_v(o->ttl_s > 0 ? pawl_make_num(scope, o->ttl_s) : NULL));
    pw_cmd *cmd = pw_turn_lost(w->live) ? NULL : ask_put(w, o, input, by);
    if (cmd != NULL && pw_body_get(cmd->body, "failure").size > 0) {
        pw_set_failure(w, &full, cmd->id);
    }
    return cmd;
}

pw_cmd *pw_memo_drop(pawl_run *w, const char *space, const char *key, const pw_asker *by)
{
    if (pw_blocked(w) || !pw_memory_name_ok(w, space, key, by)) {
        return NULL;
    }
    const pawl_value *input = pawl_build(w->live->scope, "{key: %s}", key);
    pw_ask ask = {.type = PW_EV_MEMORY_DELETED,
                  .name = space,
                  .input = input,
                  .has_input = true,
                  .file = by->file,
                  .line = by->line};
    pw_cmd *cmd = pw_command(w, &ask);
    if (cmd != NULL && !w->live->replaying) {
        put_op(w->live->batch, PW_OP_MEMO_DROP, space, input, w->live->now_ms);
    }
    return cmd;
}

static void due_now(pw_emit *e, const void *arg)
{
    pw_emit_int(e, "due_ms", *(const int64_t *)arg);
}

pw_cmd *pw_memo_ask(pawl_run *w, const pawl_memory_query *q, const pw_asker *by)
{
    if (pw_blocked(w) || !pw_memory_query_ok(w, q, by)) {
        return NULL;
    }
    pw_ask ask = {.type = PW_EV_MEMORY_SEARCHED,
                  .name = q->space,
                  .input = pawl_build(w->live->scope, "{query: %s, limit: %d}", q->query, q->limit),
                  .has_input = true,
                  .file = by->file,
                  .line = by->line,
                  .body = due_now,
                  .arg = &w->live->now_ms};
    return pw_command(w, &ask);
}

/* ---- what it found ---- */

void pw_memo_found(pw_live *live, const pw_cmd *cmd)
{
    const pawl_value *input = pw_body_value(live->core, live->scope, cmd->body, "input");
    const int64_t limit = pawl_int(input, "limit", 0);
    const pw_memo_query q = {.space = text_view(cmd->name),
                             .text = text_view(pawl_str(input, "query", "")),
                             .now_ms = live->now_ms,
                             .rows_max = limit > 0 ? (size_t)limit : 10};
    const pawl_value *rows = NULL;
    pawl_error err = {0};
    pawl_status st = pw_memo_find(live->core->reader, &q, live->scope, &rows, &err);
    pw_emit e;
    pw_emit_begin(&e, live);
    if (st == PAWL_OK) {
        pw_emit_value(&e, "result", pw_value_bytes(rows));
    } else if (st == PAWL_DAMAGED) {
        pw_emit_failure(&e, "failure",
                        &(pawl_failure){.type = "MemoryUnreadable", .message = err.message});
    } else {
        live->record->failed = true; /* the turn comes again */
    }
    (void)pw_emit_end(&e, PW_EV_MEMORY_FOUND, cmd->id);
}

/* ---- code ---- */

bool pawl_memory_put_at(pawl_run *w, const pawl_memory_options *options, size_t options_size,
                        const char *file, int line)
{
    if (!pw_mine(w, "pawl_memory_put", file, line)) {
        return false;
    }
    pawl_memory_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    return pw_memo_put(w, &o, &(pw_asker){"memory_put", file, line}) != NULL && w->failure == NULL;
}

bool pawl_memory_delete_at(pawl_run *w, const char *space, const char *key, const char *file,
                           int line)
{
    return pw_mine(w, "pawl_memory_delete", file, line) &&
           pw_memo_drop(w, space, key, &(pw_asker){"memory_delete", file, line}) != NULL;
}

const pawl_value *pawl_memory_search_at(pawl_run *w, const pawl_memory_query *query,
                                        size_t query_size, const char *file, int line)
{
    if (!pw_mine(w, "pawl_memory_search", file, line) || !pw_may_start(w)) {
        return NULL;
    }
    pawl_memory_query q;
    pw_options_copy(&q, sizeof q, query, query_size);
    pw_cmd *cmd = pw_memo_ask(w, &q, &(pw_asker){"memory_search", file, line});
    return cmd != NULL ? pawl_await(w, &cmd->future) : NULL;
}

/* ---- requests ---- */

static pawl_status check_request(const pw_request *rq, pawl_error *err)
{
    const bool puts = rq->op == PW_REQ_MEMORY_PUT;
    const double ttl = pawl_num(rq->args, "ttl_s", 0);
    pawl_status st = pw_memo_names_ok(pawl_str(rq->args, "space", NULL),
                                      pawl_str(rq->args, "key", NULL), true, err);
    if (st == PAWL_OK && puts && pawl_get(rq->args, "text") == NULL &&
        pawl_get(rq->args, "data") == NULL) {
        return pw_err(err, PAWL_INVALID, "nothing to keep: neither text nor data");
    }
    if (st == PAWL_OK && puts && pw_value_bytes(rq->args).size > PW_MEMO_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "a memory has at most %u bytes", PW_MEMO_BYTES_MAX);
    }
    if (st == PAWL_OK && !(ttl >= 0 && ttl <= (double)PW_TIMER_MS_MAX / 1000)) {
        return pw_err(err, PAWL_INVALID, "ttl_s is 0 to a hundred years, in seconds");
    }
    return st;
}

/* Those may be what the space is full of. It can wait for the next put if there is no memory. */
static void drop_expired(pw_batch *b, const char *space)
{
    if (b == NULL) {
        return;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    put_op(b, PW_OP_MEMO_DROP, space, NULL, b->now_ms);
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
    }
}

void pw_memo_request(pw_core *core, pw_request *rq)
{
    pawl_error err;
    bool none = false;
    const char *space = pawl_str(rq->args, "space", "");
    pawl_status st = check_request(rq, &err);
    if (st == PAWL_OK && rq->op == PW_REQ_MEMORY_PUT) {
        st = is_full(core, space, &none, &err);
        st = st == PAWL_OK && none ? pw_err(&err, PAWL_FULL, "%s", full.message) : st;
    }
    pw_batch *b = st == PAWL_OK || none ? pw_batch_get(core) : NULL;
    if (st != PAWL_OK) {
        drop_expired(b, space);
        pw_request_done(core, rq, st, &err, (pw_view){NULL, 0});
        return;
    }
    if (b == NULL) {
        pw_request_nomem(core, rq);
        return;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    put_op(b, rq->op == PW_REQ_MEMORY_PUT ? PW_OP_MEMO_PUT : PW_OP_MEMO_DROP, space, rq->args,
           b->now_ms);
    pw_batch_reply(b, rq, PAWL_OK, NULL,
                   pw_value_bytes(pawl_build(rq->scope, "{space: %s, key: %s}", space,
                                             pawl_str(rq->args, "key", ""))));
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
    }
}
