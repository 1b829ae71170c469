/*
 * view_list.c - listings: a scan from the newest run down, the filter run over each row, a page of what matches.
 *
 * A page ends when it is full, when the journal does, or after PW_VIEW_SCAN_ROWS_MAX rows: then it may hold few runs or none, and `next` says
 * where to go on. Keeps no index of its own.
 */
#include <string.h>

#include "engine/filter.h"
#include "engine/view_show.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/limits.h"

#define LIST_ROWS_DEFAULT 100
#define PARENT_KEYS_MAX 1000 /* incarnations of one parent id that a filter looks for */

struct page {
    pw_reader *reader;
    const pw_filter *filter;
    pawl_scope *scope; /* of one row */
    pw_buf *out;
    pawl_error *err;
    pawl_status status;
    size_t rows_max;
    size_t rows; /* shown */
    size_t seen;
    int64_t last_key; /* looked at */
    bool more;        /* rows may be left behind last_key */
};

static bool show_row(void *ctx, const pw_run_row *row)
{
    struct page *p = ctx;

    if (p->rows == p->rows_max || p->seen == PW_VIEW_SCAN_ROWS_MAX) {
        p->more = true;
        return false;
    }
    p->seen++;
    p->last_key = row->key;
    if (!pw_filter_match(p->filter, row)) {
        return true;
    }
    p->rows++;
    p->status = pw_view_show_run(p->reader, row, false, p->out, p->err);
    return p->status == PAWL_OK && pw_buf_ok(p->out);
}

/* ---- parents ---- */

struct keys {
    const char *id;
    int64_t *keys;
    size_t len;
};

static bool take_key(void *ctx, const pw_run_row *row)
{
    struct keys *k = ctx;

    if (pw_view_is(row->id, k->id)) {
        k->keys[k->len++] = row->key;
    }
    return k->len < PARENT_KEYS_MAX;
}

static pawl_status bind_parents(pw_reader *reader, pw_filter *filter, pawl_scope *scope,
                                pawl_error *err)
{
    const char *id;

    for (size_t i = 0; (id = pw_filter_parent(filter, i)) != NULL; i++) {
        struct keys k = {.id = id, .keys = pw_alloc(scope, PARENT_KEYS_MAX * sizeof(int64_t))};
        if (k.keys == NULL) {
            return pw_err(err, PAWL_NOMEM, "no memory for a filter");
        }
        pw_scan scan = {.id_prefix = {(const uint8_t *)id, strlen(id)},
                        .rows_max = PW_VIEW_SCAN_ROWS_MAX};
        pawl_status status = reader->ops->run_scan(reader, &scan, take_key, &k, err);
        if (status != PAWL_OK) {
            return status;
        }
        pw_filter_bind_parent(filter, i, k.keys, k.len);
    }
    return PAWL_OK;
}

/* ---- the listing ---- */

/** Scans in the journal's pages until this page of ours ends. */
static pawl_status fill(struct page *p, pw_scan *scan)
{
    for (;;) {
        size_t seen_before = p->seen;
        pawl_status status = p->reader->ops->run_scan(p->reader, scan, show_row, p, p->err);
        if (status != PAWL_OK || p->status != PAWL_OK) {
            return status != PAWL_OK ? status : p->status;
        }
        if (p->more || p->seen == seen_before || !pw_buf_ok(p->out)) {
            return PAWL_OK;
        }
        scan->before_key = p->last_key;
    }
}

static pawl_status page_size(const pawl_value *args, size_t *ret_rows, pawl_error *err)
{
    int64_t limit = pawl_int(args, "limit", LIST_ROWS_DEFAULT);

    if (limit < 1) {
        return pw_err(err, PAWL_INVALID, "the limit of a listing must be at least 1");
    }
    *ret_rows = limit > PW_PAGE_ROWS_MAX ? PW_PAGE_ROWS_MAX : (size_t)limit;
    return PAWL_OK;
}

pawl_status pw_view_list(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                         pawl_error *err)
{
    pw_filter *filter = NULL;
    struct page p = {.reader = reader, .scope = scope, .out = out, .err = err, .status = PAWL_OK};
    pawl_status status = page_size(args, &p.rows_max, err);

    if (status == PAWL_OK) {
        status = pw_filter_parse(scope, pawl_str(args, "filter", ""), pw_wall_ms(), &filter, err);
    }
    if (status == PAWL_OK) {
        status = bind_parents(reader, filter, scope, err);
    }
    if (status != PAWL_OK) {
        return status;
    }
    const char *prefix = pw_filter_id_prefix(filter);
    pw_scan scan = {.before_key = pawl_int(args, "cursor", 0),
                    .open_only = pw_filter_open_only(filter),
                    .id_prefix = {(const uint8_t *)prefix, strlen(prefix)},
                    .rows_max = PW_PAGE_ROWS_MAX};
    p.filter = filter;
    pw_mp_map(out, 2);
    pw_mp_str(out, "runs");
    size_t begin = pw_view_array_begin(out);
    status = fill(&p, &scan);
    pw_view_array_end(out, begin, p.rows);
    pw_mp_str(out, "next");
    if (p.more) {
        pw_mp_int(out, p.last_key);
    } else {
        pw_mp_nil(out);
    }
    return status;
}
