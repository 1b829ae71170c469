/*
 * view_history.c - events as people and programs read them, and the end of a closed run.
 *
 * An event is shown as {seq, time_ms, type, command, ...body}: seq counts from 1, time is its turn's. Payloads kept as blobs are put back in,
 * bounded; the rest of a body is shown as it stands. Does not interpret events.
 */
#include <string.h>

#include "engine/view_show.h"
#include "sdk/base/hash.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

#define HISTORY_EVENTS_DEFAULT 1000
#define HISTORY_BYTES_MAX (48u << 20) /* of one page: fits a frame */

/* ---- values ---- */

static uint64_t reference_size(pw_view ref)
{
    uint64_t size = 0;

    for (size_t i = PW_DIGEST_SIZE; i < ref.size && i < PW_DIGEST_SIZE + 8; i++) {
        size = size << 8 | ref.data[i];
    }
    return size;
}

static void show_reference(pw_buf *out, pw_view ref)
{
    char hex[2 * PW_DIGEST_SIZE + 1];

    pw_hex(hex, ref.data, PW_DIGEST_SIZE);
    pw_mp_map(out, 2);
    pw_mp_str(out, "$blob");
    pw_mp_str(out, hex);
    pw_mp_str(out, "$size");
    pw_mp_uint(out, reference_size(ref));
}

static pawl_status show_blob(pw_reader *reader, pw_view ref, pw_buf *out, pawl_error *err)
{
    if (ref.size < PW_DIGEST_SIZE) {
        return pw_err(err, PAWL_DAMAGED, "a blob reference of %zu bytes", ref.size);
    }
    if (reference_size(ref) > PW_VIEW_BLOB_BYTES_MAX) {
        show_reference(out, ref);
        return PAWL_OK;
    }
    return reader->ops->blob(reader, ref.data, out, err);
}

/** Containers are copied head by head, so that a reference at any depth is found without recursion. */
pawl_status pw_view_show_value(pw_reader *reader, pw_view raw, pw_buf *out, pawl_error *err)
{
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    uint64_t left =
        raw.size > 0 ? 1
                     : 0; /* values still to copy; bounded by the bytes, which the cursor checks */

    if (left == 0) {
        pw_mp_nil(out);
    }
    for (; left > 0 && pw_mp_ok(&r); left--) {
        pw_view ref;
        pawl_type type = pw_mp_peek(&r);
        if (pw_mp_read_ext(&r, PW_EXT_BLOB, &ref)) {
            pawl_status status = show_blob(reader, ref, out, err);
            if (status != PAWL_OK) {
                return status;
            }
        } else if (type == PAWL_ARRAY) {
            size_t len = pw_mp_read_array(&r);
            pw_mp_array(out, len);
            left += len;
        } else if (type == PAWL_MAP) {
            size_t pairs = pw_mp_read_map(&r);
            pw_mp_map(out, pairs);
            left += 2 * (uint64_t)pairs;
        } else {
            pw_view one = pw_mp_read_raw(&r);
            pw_buf_put(out, one.data, one.size);
        }
    }
    return pw_mp_ok(&r) ? PAWL_OK
                        : pw_err(err, PAWL_DAMAGED, "a payload in the journal is malformed");
}

/* ---- events ---- */

struct events {
    pw_reader *reader;
    pw_buf *out;
    pawl_error *err;
    pawl_status status;
    int64_t from_seq; /* 1 = the first */
    size_t len;
    size_t len_max;
};

/* RunFailed belongs to no command, but its body names the one that it failed of. */
static bool names_command(const pw_event *ev)
{
    pw_mp r = pw_mp_reader(ev->body.data, ev->body.size);
    for (size_t left = ev->cmd == 0 && ev->body.size > 0 ? pw_mp_read_map(&r) : 0; left > 0;
         left--) {
        if (pw_view_is(pw_mp_read_str(&r), "command")) {
            return true;
        }
        pw_mp_skip(&r);
    }
    return false;
}

static pawl_status show_event(struct events *es, const pw_record *record, const pw_event *ev,
                              int64_t seq)
{
    pw_mp r = pw_mp_reader(ev->body.data, ev->body.size);
    size_t pairs = ev->body.size > 0 ? pw_mp_read_map(&r) : 0;
    bool own = names_command(ev);

    pw_mp_map(es->out, pairs + 4 - own);
    pw_mp_str(es->out, "seq");
    pw_mp_int(es->out, seq);
    pw_mp_str(es->out, "time_ms");
    pw_mp_int(es->out, record->now_ms);
    pw_mp_str(es->out, "type");
    pw_mp_str(es->out, pw_event_name((int)ev->type));
    if (!own) {
        pw_mp_str(es->out, "command");
        pw_mp_int(es->out, ev->cmd);
    }
    for (size_t i = 0; i < pairs; i++) {
        pw_view key = pw_mp_read_raw(&r);
        pw_buf_put(es->out, key.data, key.size);
        pawl_status status = pw_view_show_value(es->reader, pw_mp_read_raw(&r), es->out, es->err);
        if (status != PAWL_OK) {
            return status;
        }
    }
    es->len++;
    return PAWL_OK;
}

static bool show_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view bytes)
{
    struct events *es = ctx;
    pw_record record;
    pw_event ev;

    (void)pos;
    (void)events;
    es->status = pw_record_open(bytes.data, bytes.size, &record, es->err);
    for (int64_t seq = first_seq + 1; es->status == PAWL_OK && pw_record_next(&record, &ev);
         seq++) {
        if (seq < es->from_seq) {
            continue;
        }
        if (es->len == es->len_max || es->out->size > HISTORY_BYTES_MAX) {
            return false;
        }
        es->status = show_event(es, &record, &ev, seq);
    }
    return es->status == PAWL_OK && pw_buf_ok(es->out) && es->len < es->len_max;
}

pawl_status pw_view_history(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                            pw_buf *out, pawl_error *err)
{
    struct events es = {.reader = reader,
                        .out = out,
                        .err = err,
                        .status = PAWL_OK,
                        .from_seq = pawl_int(args, "from", 1)};
    int64_t limit = pawl_int(args, "limit", HISTORY_EVENTS_DEFAULT);
    pw_run_row row;
    pawl_status status = pw_view_find_run(reader, args, scope, &row, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (limit < 1) {
        return pw_err(err, PAWL_INVALID, "the limit of a history must be at least 1");
    }
    es.from_seq = es.from_seq < 1 ? 1 : es.from_seq;
    es.len_max = limit > 100 * PW_PAGE_ROWS_MAX ? 100 * PW_PAGE_ROWS_MAX : (size_t)limit;
    size_t begin = pw_view_array_begin(out);
    if (es.from_seq <= row.seq) {
        status = reader->ops->read(reader, row.key, es.from_seq - 1, show_record, &es, err);
    }
    pw_view_array_end(out, begin, es.len);
    return status == PAWL_OK ? es.status : status;
}

/* ---- the end of a closed run ---- */

struct end {
    pw_reader *reader;
    pw_buf *out;
    pawl_error *err;
    pawl_status status;
    int run_status;
    bool found;
};

static pw_view body_get(pw_view body, const char *key)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = body.size > 0 ? pw_mp_read_map(&r) : 0;

    for (size_t i = 0; i < pairs && pw_mp_ok(&r); i++) {
        pw_view name = pw_mp_read_str(&r);
        pw_view value = pw_mp_read_raw(&r);
        if (pw_view_is(name, key)) {
            return value;
        }
    }
    return (pw_view){NULL, 0};
}

/** For ends that are no failure of the code: what a waiter gets all the same. */
static void show_made_failure(pw_buf *out, const char *type, pw_view reason)
{
    pw_mp_map(out, 2);
    pw_mp_str(out, "type");
    pw_mp_str(out, type);
    pw_mp_str(out, "message");
    if (reason.size > 0) {
        pw_buf_put(out, reason.data, reason.size);
    } else {
        pw_mp_str(out, "");
    }
}

static pawl_status show_end(struct end *e, const pw_event *ev)
{
    pw_mp_map(e->out, 2);
    pw_mp_str(e->out, "status");
    pw_mp_str(e->out, pw_run_status_name(e->run_status));
    switch ((int)ev->type) {
    case PW_EV_RUN_COMPLETED:
        pw_mp_str(e->out, "result");
        return pw_view_show_value(e->reader, body_get(ev->body, "result"), e->out, e->err);
    case PW_EV_RUN_FAILED:
    case PW_EV_RUN_CANCELED:
        pw_mp_str(e->out, "failure");
        return pw_view_show_value(e->reader, body_get(ev->body, "failure"), e->out, e->err);
    case PW_EV_RUN_TERMINATED:
        pw_mp_str(e->out, "failure");
        show_made_failure(e->out, "Terminated", body_get(ev->body, "reason"));
        return PAWL_OK;
    default:
        pw_mp_str(e->out, "failure");
        show_made_failure(e->out, "Timeout", body_get(ev->body, "reason"));
        return PAWL_OK;
    }
}

static bool find_end(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view bytes)
{
    struct end *e = ctx;
    pw_record record;
    pw_event ev;

    (void)pos;
    (void)first_seq;
    (void)events;
    e->status = pw_record_open(bytes.data, bytes.size, &record, e->err);
    while (e->status == PAWL_OK && !e->found && pw_record_next(&record, &ev)) {
        switch ((int)ev.type) {
        case PW_EV_RUN_COMPLETED:
        case PW_EV_RUN_FAILED:
        case PW_EV_RUN_CANCELED:
        case PW_EV_RUN_TERMINATED:
        case PW_EV_RUN_TIMED_OUT:
            e->found = true;
            e->status = show_end(e, &ev);
            break;
        default:
            break;
        }
    }
    return e->status == PAWL_OK && !e->found;
}

pawl_status pw_view_result(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                           pw_buf *out, pawl_error *err)
{
    struct end e = {.reader = reader, .out = out, .err = err, .status = PAWL_OK};
    pw_run_row row;
    pawl_status status = pw_view_find_run(reader, args, scope, &row, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (pw_run_status_is_open(row.status)) {
        return pw_err(err, PAWL_NOT, "run \"%.*s\" is still %s", (int)row.id.size,
                      (const char *)row.id.data, pw_run_status_name(row.status));
    }
    e.run_status = row.status;
    status = reader->ops->read(reader, row.key, row.seq - 1, find_end, &e, err);
    if (status == PAWL_OK && e.status == PAWL_OK && !e.found) {
        return pw_err(err, PAWL_DAMAGED,
                      "run \"%.*s\" is %s, but its history does not say how it ended",
                      (int)row.id.size, (const char *)row.id.data, pw_run_status_name(row.status));
    }
    return status == PAWL_OK ? e.status : status;
}
