/*
 * map_results.c - a map's results in item order, read page by page: at most one page of 256 items is held beside what is asked for.
 *
 * Does not keep anything: a cursor asks for one span after the other.
 */
#include <string.h>

#include "engine/map.h"

typedef struct place {
    size_t at, size; /* in raw; size 0 = not there */
    bool failed;
} place;

typedef struct results {
    pw_core *core;
    pawl_scope *scope;
    pw_buf out;
    pw_buf raw; /* bodies of the page, end to end */
    int64_t page;
    int64_t next, end;
    place items[PW_MAP_PAGE_ITEMS];
    const char *fault;
} results;

static void put_item(results *r, const place *at)
{
    pw_view v = {r->raw.data + at->at, at->size};
    pw_mp reader = pw_mp_reader(v.data, v.size);
    pw_view ref;
    if (pw_mp_read_ext(&reader, PW_EXT_BLOB, &ref)) {
        v = pw_value_bytes(pw_resolve(r->core, r->scope, v));
    }
    if (v.size == 0) {
        r->fault = "a stored payload is missing";
        return;
    }
    if (at->failed) {
        pw_mp_map(&r->out, 1);
        pw_mp_str(&r->out, "$failure");
    }
    pw_buf_put(&r->out, v.data, v.size);
}

/* The page is complete: what of it was asked for goes out. */
static void put_page(results *r)
{
    int64_t to = (r->page + 1) * PW_MAP_PAGE_ITEMS;
    for (to = to < r->end ? to : r->end; r->fault == NULL && r->next < to; r->next++) {
        const place *at = &r->items[r->next % PW_MAP_PAGE_ITEMS];
        if (at->size == 0) {
            r->fault = "an item is missing";
        } else {
            put_item(r, at);
        }
    }
    memset(r->items, 0, sizeof r->items);
    pw_buf_reset(&r->raw);
}

static bool take_part(void *ctx, const pw_page_row *row)
{
    results *r = ctx;
    pw_page_head head;
    pw_page_item item;
    if (row->page != r->page) {
        put_page(r);
        r->page = row->page;
    }
    size_t base = r->raw.size;
    pw_buf_put(&r->raw, row->body.data, row->body.size);
    pw_mp body = pw_mp_reader(row->body.data, row->body.size);
    bool ok = pw_page_head_read(row->head, &head) && pw_buf_ok(&r->raw);
    while (ok && pw_page_item_next(&body, &item)) {
        r->items[item.offset] = (place){base + (size_t)(item.value.data - row->body.data),
                                        item.value.size, pw_page_bit(head.failed, item.offset)};
    }
    r->fault = ok && !body.bad ? r->fault : "a page is not well formed";
    return r->fault == NULL;
}

static pawl_status outcome(const results *r, pawl_status st, pawl_error *err)
{
    if (st == PAWL_OK && (!pw_buf_ok(&r->out) || !pw_buf_ok(&r->raw) ||
                          pw_scope_failed(r->scope))) { /* what it missed is not damage */
        return pw_err(err, PAWL_NOMEM, "the results of a map: out of memory");
    }
    if (st == PAWL_OK && r->fault != NULL) {
        return pw_err(err, PAWL_DAMAGED, "the results of a map: %s", r->fault);
    }
    return st;
}

const pawl_value *pw_map_page(pw_core *core, pawl_scope *scope, const pw_map_span *span,
                              pawl_error *err)
{
    int64_t end = span->from + span->len < span->total ? span->from + span->len : span->total;
    results r = {.core = core,
                 .scope = scope,
                 .page = span->from / PW_MAP_PAGE_ITEMS,
                 .next = span->from,
                 .end = end};
    pw_page_range range = {span->run, span->cmd, r.page,
                           (end > 0 ? end - 1 : 0) / PW_MAP_PAGE_ITEMS, false};
    pw_mp_array(&r.out, (size_t)(end - span->from));
    pawl_status st = end > span->from
                         ? core->jops->map_pages(core->reader, &range, take_part, &r, err)
                         : PAWL_OK;
    if (st == PAWL_OK && r.fault == NULL) {
        put_page(&r);
        r.fault = r.fault == NULL && r.next < end ? "an item is missing" : r.fault;
    }
    const pawl_value *v = NULL;
    if (outcome(&r, st, err) == PAWL_OK) {
        v = pw_value_copy(scope, r.out.data, r.out.size);
        if (v == NULL) {
            (void)pw_err(err, PAWL_NOMEM, "the results of a map: out of memory");
        }
    }
    pw_buf_deinit(&r.out);
    pw_buf_deinit(&r.raw);
    if (v == NULL &&
        err->status != PAWL_DAMAGED) { /* the turn of whoever asks is lost, and comes again */
        pw_scope_fail(scope);
    }
    return v;
}

const pawl_value *pw_map_results(pw_live *live, const pw_cmd *cmd, int64_t total, pawl_error *err)
{
    return pw_map_page(
        live->core, live->scope,
        &(pw_map_span){.run = live->key, .cmd = cmd->id, .len = total, .total = total}, err);
}
