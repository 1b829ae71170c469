/*
 * view_waiting.c - what runs wait for, from rows: the described waits, and the stack of a run when no engine can be asked.
 *
 * The stack from rows knows what has a row: tasks, timers, waits, maps. Signals and children that a run waits for have none; the text of the
 * run's row says so in one line.
 */
#include <string.h>

#include "engine/view_show.h"
#include "sdk/base/value.h"

struct shown {
    pw_reader *reader;
    pw_buf *out;
    pawl_error *err;
    pawl_status status;
    size_t len;
};

/* ---- described waits ---- */

static bool put_run_id(void *ctx, const pw_run_row *row)
{
    pw_mp_strn(ctx, (const char *)row->id.data, row->id.size);
    return false;
}

static pawl_status put_owner(struct shown *s, int64_t run)
{
    pw_mp_str(s->out, "id");
    size_t before = s->out->size;
    pawl_status status = s->reader->ops->run_get(s->reader, run, put_run_id, s->out, s->err);
    if (status == PAWL_OK && s->out->size == before) {
        pw_mp_nil(s->out);
    }
    return status;
}

/** Pairs of the body that are not shown from the row already. */
static bool is_own_key(pw_view key)
{
    return !pw_view_is(key, "name") && !pw_view_is(key, "kind") && !pw_view_is(key, "id") &&
           !pw_view_is(key, "due_ms");
}

static size_t count_body(pw_view body)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = body.size > 0 && pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;
    size_t count = 0;

    for (size_t i = 0; i < pairs; i++) {
        count += is_own_key(pw_mp_read_str(&r));
        pw_mp_skip(&r);
    }
    return count;
}

static pawl_status put_body(struct shown *s, pw_view body)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = body.size > 0 && pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;

    for (size_t i = 0; i < pairs; i++) {
        pw_view key = pw_mp_read_str(&r);
        pw_view value = pw_mp_read_raw(&r);
        if (!is_own_key(key)) {
            continue;
        }
        pw_mp_strn(s->out, (const char *)key.data, key.size);
        pawl_status status = pw_view_show_value(s->reader, value, s->out, s->err);
        if (status != PAWL_OK) {
            return status;
        }
    }
    return PAWL_OK;
}

static bool show_wait(void *ctx, const pw_wait_row *row)
{
    struct shown *s = ctx;

    pw_mp_map(s->out, 6 + count_body(row->body));
    s->status = put_owner(s, row->run);
    pw_view_put_text(s->out, "name", row->name);
    pw_view_put_text(s->out, "kind", row->kind);
    pw_view_put_int(s->out, "command", row->cmd);
    pw_view_put_int(s->out, "created_ms", row->created_ms);
    pw_view_put_int(s->out, "deadline_ms", row->deadline_ms);
    if (s->status == PAWL_OK) {
        s->status = put_body(s, row->body);
    }
    s->len++;
    return s->status == PAWL_OK;
}

pawl_status pw_view_waits(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                          pawl_error *err)
{
    struct shown s = {.reader = reader, .out = out, .err = err, .status = PAWL_OK};
    pw_run_row row = {.key = 0};
    pawl_status status = PAWL_OK;

    if (pawl_get(args, "id") != NULL || pawl_get(args, "key") != NULL) {
        status = pw_view_find_run(reader, args, scope, &row, err);
    }
    if (status != PAWL_OK) {
        return status;
    }
    size_t begin = pw_view_array_begin(out);
    status = reader->ops->waits(reader, row.key, show_wait, &s, err);
    pw_view_array_end(out, begin, s.len);
    return status == PAWL_OK ? s.status : status;
}

/* ---- the stack ---- */

static void put_entry(struct shown *s, int64_t cmd, const char *kind, pw_view name)
{
    pw_view_put_int(s->out, "command", cmd);
    pw_mp_str(s->out, "kind");
    pw_mp_str(s->out, kind);
    pw_view_put_text(s->out, "name", name);
    s->len++;
}

static bool show_task(void *ctx, const pw_task_row *row)
{
    struct shown *s = ctx;

    bool backoff = row->attempt > 1 && row->due_ms > 0;

    pw_mp_map(s->out, backoff ? 7 : 6);
    if (backoff) {
        pw_mp_str(s->out, "retry");
        pw_mp_bool(s->out, true);
    }
    put_entry(s, row->cmd, "activity", row->name);
    pw_view_put_int(s->out, "since_ms", row->scheduled_ms);
    pw_view_put_int(s->out, "due_ms", row->due_ms);
    pw_view_put_int(s->out, "attempt", row->attempt);
    return true;
}

static bool show_timer(void *ctx, const pw_timer_row *row)
{
    struct shown *s = ctx;

    pw_mp_map(s->out, 4);
    put_entry(s, row->cmd, "timer", (pw_view){NULL, 0});
    pw_view_put_int(s->out, "due_ms", row->due_ms);
    return true;
}

static bool show_wait_entry(void *ctx, const pw_wait_row *row)
{
    struct shown *s = ctx;

    pw_mp_map(s->out, 5);
    put_entry(s, row->cmd, "wait", row->name);
    pw_view_put_int(s->out, "since_ms", row->created_ms);
    pw_view_put_int(s->out, "due_ms", row->deadline_ms);
    return true;
}

static bool show_map(void *ctx, const pw_map_row *row)
{
    struct shown *s = ctx;

    pw_mp_map(s->out, 6);
    put_entry(s, row->cmd, "map", (pw_view){NULL, 0});
    pw_view_put_int(s->out, "done", row->done);
    pw_view_put_int(s->out, "total", row->total);
    pw_view_put_int(s->out, "failed", row->failed);
    return true;
}

static pawl_status show_rows(struct shown *s, int64_t run)
{
    const pw_journal_ops *ops = s->reader->ops;
    pawl_status status = ops->tasks(s->reader, run, show_task, s, s->err);

    if (status == PAWL_OK) {
        status = ops->maps(s->reader, run, show_map, s, s->err);
    }
    if (status == PAWL_OK) {
        status = ops->waits(s->reader, run, show_wait_entry, s, s->err);
    }
    return status == PAWL_OK ? ops->run_timers(s->reader, run, show_timer, s, s->err) : status;
}

pawl_status pw_view_stack(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                          pawl_error *err)
{
    struct shown s = {.reader = reader, .out = out, .err = err, .status = PAWL_OK};
    pw_run_row row;
    pawl_status status = pw_view_find_run(reader, args, scope, &row, err);

    if (status != PAWL_OK) {
        return status;
    }
    pw_mp_map(out, 5);
    pw_view_put_text(out, "id", row.id);
    pw_mp_str(out, "status");
    pw_mp_str(out, pw_run_status_name(row.status));
    pw_view_put_text(out, "summary", row.waiting);
    pw_view_put_text(out, "reason", row.reason);
    pw_mp_str(out, "waiting");
    size_t begin = pw_view_array_begin(out);
    if (pw_run_status_is_open(row.status)) {
        status = show_rows(&s, row.key);
    }
    pw_view_array_end(out, begin, s.len);
    return status;
}
