/*
 * map_rows.c - a map's notes become page rows of a group, and page rows become a map again after a restart or a retry.
 *
 * A page covers a fixed range of items, so results are read in order whatever the order they ended in. It is written in parts: the last
 * part of a page is written again with what a group adds until it holds PW_MAP_PART_BYTES, then a new one begins; so one item a group
 * costs at most that much again, and many cost nothing again. The parts that may still grow are kept in memory for the last few pages
 * (tails); a straggler of an older page begins a part of its own.
 *
 * [E10] a map's row counts exactly what its pages hold: both are written in one group.
 * [E11] an item is in at most one part; a retried run takes its failed ones out before they can end again.
 * [E12] an attempt above the first, and an unsafe effect, are in the row of items under way before they are begun.
 * (journal/README.md: [J17])
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/map.h"

/* ---- pages of a group ---- */

static bool full(const pw_map_touched *t)
{
    return t->body->size >= PW_MAP_PART_BYTES;
}

static pw_map_tail *tail_of(pw_map *map, int64_t page)
{
    for (size_t i = 0; i < PW_COUNT(map->tails); i++) {
        if (map->tails[i].body.size > 0 && map->tails[i].page == page) {
            return &map->tails[i];
        }
    }
    return NULL;
}

/* The part of a page that this group goes on with: begun by it, a tail, or a new one. */
static pw_map_touched *touch(pw_map *map, pw_batch *b, int64_t page)
{
    bool first = true;
    for (pw_map_touched *t = map->touched; t != NULL; t = t->next) { /* the newest first */
        if (t->page == page) {
            if (!full(t)) {
                return t;
            }
            first = false;
        }
    }
    pw_map_touched *t = pawl_scope_alloc(b->group.scope, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    pw_buf *body = pw_batch_buf(b);
    const pw_map_tail *tail = first ? tail_of(map, page) : NULL;
    t->page = page;
    t->body = body;
    if (tail != NULL) {
        t->part = tail->part;
        t->head = tail->head;
        pw_buf_put(body, tail->body.data, tail->body.size);
    } else {
        t->part = map->next_part++;
    }
    LL_PREPEND(map->touched, t);
    return t;
}

static bool put_end(pw_core *core, pw_map *map, pw_batch *b, const pw_map_note *n)
{
    pw_map_touched *t = touch(map, b, n->index / PW_MAP_PAGE_ITEMS);
    if (t == NULL) {
        return false;
    }
    int64_t offset = n->index % PW_MAP_PAGE_ITEMS;
    pw_page_item_put(t->body, &(pw_page_item){offset, n->attempt, {NULL, 0}});
    pw_put_value(core, b, t->body, n->report->value);
    pw_page_set(t->head.finished, offset);
    if (n->failed) {
        pw_page_set(t->head.failed, offset);
        map->put_failed++;
    } else {
        map->put_done++;
    }
    return pw_buf_ok(t->body);
}

static bool put_page(pw_batch *b, const pw_map *map, int64_t page, int64_t part,
                     const pw_page_head *head, pw_view body)
{
    void *copy = pw_memdup(b->group.scope, head, sizeof *head);
    pw_op *op = pw_batch_op(b, PW_OP_MAP_PAGE);
    op->u.page = (pw_page_row){.run = map->key.run,
                               .cmd = map->key.cmd,
                               .page = page,
                               .part = part,
                               .head = {copy, sizeof *head},
                               .body = body};
    return copy != NULL;
}

/* ---- items under way [E12] ---- */

/* A map that is failing sends nothing more. */
static bool sends(const pw_map *map, const pw_job *job)
{
    return job->sent || (job->state == PW_JOB_SENDING && !map->failing);
}

static bool under_way(const pw_map *map, const pw_job *job)
{
    return job->map == map && (sends(map, job) || job->attempt > map->base + 1);
}

static bool put_open(pw_core *core, pw_batch *b, pw_map *map)
{
    const pw_run_jobs *rj = pw_run_jobs_find(core, map->key.run);
    const pw_job *jobs = rj != NULL ? rj->jobs : NULL;
    pw_buf *head = pw_batch_buf(b);
    size_t n = map->open_len - map->open_next;
    for (const pw_job *job = jobs; job != NULL; job = job->r_next) {
        n += under_way(map, job) ? 1 : 0;
    }
    pw_op *op = pw_batch_op(b, PW_OP_MAP_PAGE);
    pw_open_begin(head, map->top > map->base ? map->top : map->base, n);
    for (const pw_job *job = jobs; job != NULL;
         job = job->r_next) { /* made, and so listed, by index */
        if (under_way(map, job)) {
            pw_open_put(head, &(pw_open_item){job->key.item - 1, job->attempt, sends(map, job),
                                              job->due_ms});
        }
    }
    for (size_t i = map->open_next; i < map->open_len; i++) {
        pw_open_put(head, &map->open[i]);
    }
    op->u.page = (pw_page_row){.run = map->key.run,
                               .cmd = map->key.cmd,
                               .page = PW_MAP_PAGE_OPEN,
                               .head = {head->data, head->size}};
    return pw_buf_ok(head);
}

/* ---- what was spent ---- */

static void settle(pw_map *map, pw_batch *b, const pw_map_note *n, const pawl_value *spent,
                   int64_t round)
{
    pw_entry entry = {.batch = b,
                      .workflow = map->workflow,
                      .now_ms = b->now_ms,
                      .key = {map->key.run, map->key.cmd, n->index + 1},
                      .attempt = n->attempt,
                      .round = round,
                      .wall_ms = n->wall_ms,
                      .open = n->booked,
                      .unbegun = n->unbegun,
                      .activity = map->model->name};
    pw_budget_settle(&entry, spent);
}

/* With its end, or the retry that follows: what the attempt said, and what looking for its outcome did. What was set aside is settled here,
 * also by one that said nothing. */
static void put_spent(pw_core *core, pw_map *map, pw_batch *b, const pw_map_note *n)
{
    const pawl_value *spent = n->report != NULL ? n->report->spent : NULL;
    const pw_booking *k =
        n->booked ? pw_booking_find(core, (pw_job_key){map->key.run, map->key.cmd, n->index + 1})
                  : NULL;
    int64_t round = k != NULL ? k->round : 1;
    bool looked = n->said != NULL || (k != NULL && n->report != NULL && n->report->read_back);
    if (looked) {
        settle(map, b, n, n->said != NULL ? n->said->spent : NULL, round);
        round++;
    }
    if (spent != NULL || (k != NULL && !looked)) {
        settle(map, b, n, spent, round);
    }
}

/* ---- writing ---- */

static bool put_rows(pw_core *core, pw_map *map, pw_batch *b)
{
    const pw_map_note *n;
    bool ok = true;
    size_t ends = 0;
    DL_FOREACH (map->notes, n) {
        put_spent(core, map, b, n);
        if (ok && n->kind == PW_NOTE_END && !map->dropped) { /* else its run has let go of it */
            ok = put_end(core, map, b, n);
            ends++;
        }
    }
    for (const pw_map_touched *t = map->touched; ok && t != NULL; t = t->next) {
        ok = put_page(b, map, t->page, t->part, &t->head, (pw_view){t->body->data, t->body->size});
    }
    if (ok && ends > 0) {
        pw_batch_op(b, PW_OP_MAP_PROGRESS)->u.map =
            (pw_map_row){.run = map->key.run,
                         .cmd = map->key.cmd,
                         .done = map->put_done,
                         .failed = map->put_failed}; /* [E10] */
    }
    map->open_flies =
        map->open_dirty && !map->ended; /* of one that ended it says how far its items were */
    return ok && (!map->open_flies || put_open(core, b, map));
}

static void forget(pw_map *map)
{
    map->put_done = map->done;
    map->put_failed = map->failed;
    map->touched = NULL;
    map->open_flies = false;
}

bool pw_map_write(pw_core *core, pw_map *map)
{
    bool nothing = map->notes == NULL && (!map->open_dirty || map->ended);
    if (nothing || (map->dropped && map->spends == 0)) {
        return true;
    }
    pw_batch *b = pw_batch_get(core);
    if (b == NULL) {
        return false;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    bool ok = put_rows(core, map, b);
    pw_publish *p = pw_batch_publish(b);
    if (!ok || pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
        forget(map);
        return false;
    }
    map->flies = true;
    map->flying = map->notes_len;
    map->open_dirty = map->open_dirty && !map->open_flies;
    p->kind = PW_PUB_PAGES;
    p->job = map->key;
    return true;
}

static void keep_tail(pw_map *map, const pw_map_touched *t)
{
    pw_map_tail *tail = tail_of(map, t->page);
    if (tail == NULL && full(t)) {
        return;
    }
    if (tail == NULL) {
        tail = &map->tails[map->tails_next++ % PW_COUNT(map->tails)];
    }
    pw_buf_reset(&tail->body);
    tail->page = t->page;
    tail->part = t->part;
    tail->head = t->head;
    if (!full(t)) {
        pw_buf_put(&tail->body, t->body->data, t->body->size);
    }
    if (!pw_buf_ok(&tail->body)) { /* no memory: the page goes on in a new part */
        pw_buf_deinit(&tail->body);
    }
}

void pw_map_pages_landed(pw_map *map, bool ok)
{
    map->flies = false;
    for (pw_map_touched *t = map->touched; ok && t != NULL; t = t->next) {
        const pw_map_touched *newer =
            map->touched; /* a page touched twice: its newest part goes on */
        while (newer != t && newer->page != t->page) {
            newer = newer->next;
        }
        if (newer == t) {
            keep_tail(map, t);
        }
    }
    if (!ok) {
        map->open_dirty |= map->open_flies;
        forget(map);
    }
    map->touched = NULL;
    map->open_flies = false;
}

void pw_map_counts(const pw_map *map, pw_map_row *ret)
{
    ret->done = map != NULL ? map->put_done : 0;
    ret->failed = map != NULL ? map->put_failed : 0;
}

/* ---- reading it again ---- */

typedef struct loading {
    pw_map *map;
    int64_t failed_page; /* one that has a failed item; -1 = none */
    const char *fault;
} loading;

static bool load_open(loading *l, const pw_page_row *row)
{
    pw_map *map = l->map;
    pw_mp head = pw_mp_reader(row->head.data, row->head.size);
    size_t n = 0;
    if (!pw_open_read(&head, &map->base, &n)) {
        return false;
    }
    map->open = pawl_scope_alloc(map->scope, (n + 1) * sizeof *map->open);
    while (map->open != NULL && map->open_len < n &&
           pw_open_next(&head, &map->open[map->open_len])) {
        map->open_len++;
    }
    return map->open_len == n;
}

static bool load_head(void *ctx, const pw_page_row *row)
{
    loading *l = ctx;
    pw_map *map = l->map;
    pw_page_head head;
    if (row->page == PW_MAP_PAGE_OPEN) {
        l->fault = load_open(l, row) ? NULL : "items under way";
        return l->fault == NULL;
    }
    if (PW_BUG_MAP_ITEMS_FORGOTTEN) {
        return true;
    }
    if (row->page > map->total / PW_MAP_PAGE_ITEMS || !pw_page_head_read(row->head, &head)) {
        l->fault = "a page";
        return false;
    }
    for (size_t i = 0; i < PW_MAP_BITS_BYTES; i++) {
        map->finished[(size_t)row->page * PW_MAP_BITS_BYTES + i] |= head.finished[i];
    }
    int64_t failed = pw_page_count(head.failed);
    map->failed += failed;
    map->done += pw_page_count(head.finished) - failed;
    map->next_part = row->part >= map->next_part ? row->part + 1 : map->next_part;
    l->failed_page = failed > 0 ? row->page : l->failed_page;
    return true;
}

static bool load_failure(void *ctx, const pw_page_row *row)
{
    pw_map *map = ctx;
    pw_page_head head;
    pw_page_item item;
    pw_mp body = pw_mp_reader(row->body.data, row->body.size);
    bool is = pw_page_head_read(row->head, &head);
    while (is && map->failure.size == 0 && pw_page_item_next(&body, &item)) {
        if (pw_page_bit(head.failed, item.offset)) {
            map->failure =
                (pw_view){pw_memdup(map->scope, item.value.data, item.value.size), item.value.size};
        }
    }
    return map->failure.size == 0;
}

pawl_status pw_map_load(pw_core *core, pw_map *map, pawl_error *err)
{
    loading l = {.map = map, .failed_page = -1};
    pw_page_range heads = {map->key.run, map->key.cmd, PW_MAP_PAGE_OPEN, INT64_MAX, true};
    pawl_status st = core->jops->map_pages(core->reader, &heads, load_head, &l, err);
    if (st == PAWL_OK && pw_scope_failed(map->scope)) {
        st = pw_err(err, PAWL_NOMEM, "a map: out of memory");
    }
    if (st == PAWL_OK && l.fault != NULL) {
        st = pw_err(err, PAWL_DAMAGED, "map %lld of run %s: %s cannot be read",
                    (long long)map->key.cmd, map->run_id, l.fault);
    }
    if (st == PAWL_OK && l.failed_page >= 0 && !map->collect) {
        pw_page_range one = {map->key.run, map->key.cmd, l.failed_page, l.failed_page, false};
        st = core->jops->map_pages(core->reader, &one, load_failure, map, err);
        st = st == PAWL_OK && pw_scope_failed(map->scope)
                 ? pw_err(err, PAWL_NOMEM, "a map: out of memory")
                 : st;
    }
    map->put_done = map->done;
    map->put_failed = map->failed;
    return st;
}

/* ---- a retried run: what is done stays done, failed items begin anew ---- */

typedef struct retried {
    pw_live *live;
    pw_map *map;
    pw_buf *sent; /* their indexes */
    size_t sent_len;
    int64_t done, base;
    bool ok;
} retried;

/* [E11] The same part without its failed items. */
static void without_failed(retried *r, const pw_page_row *row, const pw_page_head *was)
{
    pw_batch *b = r->live->batch;
    pw_buf *out = pw_batch_buf(b);
    pw_page_head head = {0};
    pw_page_item item;
    pw_mp body = pw_mp_reader(row->body.data, row->body.size);
    while (pw_page_item_next(&body, &item)) {
        if (pw_page_bit(was->failed, item.offset)) {
            r->base = item.attempt > r->base ? item.attempt : r->base;
        } else {
            pw_page_set(head.finished, item.offset);
            pw_page_item_put(out, &item);
        }
    }
    pw_map key = {.key = {row->run, row->cmd, 0}};
    r->ok = pw_buf_ok(out) &&
            put_page(b, &key, row->page, row->part, &head, (pw_view){out->data, out->size});
}

static bool retried_page(void *ctx, const pw_page_row *row)
{
    retried *r = ctx;
    pw_page_head head;
    pw_open_item item;
    if (row->page == PW_MAP_PAGE_OPEN) {
        pw_mp open = pw_mp_reader(row->head.data, row->head.size);
        size_t n;
        int64_t base = 0;
        r->ok = pw_open_read(&open, &base, &n);
        r->base = base + 1 > r->base ? base + 1 : r->base;
        while (r->ok && pw_open_next(&open, &item)) {
            r->base = item.attempt > r->base ? item.attempt : r->base;
            if (item.sent) {
                pw_mp_int(r->sent, item.index);
                r->sent_len++;
            }
        }
        return r->ok;
    }
    r->ok = pw_page_head_read(row->head, &head);
    if (!r->ok) {
        return false;
    }
    int64_t failed = pw_page_count(head.failed);
    r->done += pw_page_count(head.finished) - failed;
    if (failed > 0) {
        without_failed(r, row, &head);
    }
    return r->ok;
}

/* One that was sent may have happened: it is said so once more, and only the next retry sends it again. */
static bool put_retried_open(retried *r, const pw_cmd *cmd)
{
    pw_batch *b = r->live->batch;
    pw_buf *head = pw_batch_buf(b);
    pw_op *op = pw_batch_op(b, PW_OP_MAP_PAGE);
    pw_mp sent = pw_mp_reader(r->sent->data, r->sent->size);
    pw_open_begin(head, r->base, r->sent_len);
    for (size_t i = 0; i < r->sent_len; i++) {
        pw_open_put(head, &(pw_open_item){pw_mp_read_int(&sent), r->base + 1, true, 0});
    }
    op->u.page = (pw_page_row){.run = r->live->key,
                               .cmd = cmd->id,
                               .page = PW_MAP_PAGE_OPEN,
                               .head = {head->data, head->size}};
    return pw_buf_ok(head) && pw_buf_ok(r->sent);
}

void pw_map_retried(pw_live *live, const pw_cmd *cmd)
{
    pw_core *core = live->core;
    PW_CLEANUP(pw_buf_deinit) pw_buf sent = PW_BUF_INIT;
    retried r = {.live = live, .sent = &sent, .base = 1, .ok = true};
    pw_page_range all = {live->key, cmd->id, PW_MAP_PAGE_OPEN, INT64_MAX, false};
    pawl_error err;
    pawl_status st = core->jops->map_pages(core->reader, &all, retried_page, &r, &err);
    if (st != PAWL_OK || !r.ok || !put_retried_open(&r, cmd)) {
        pw_core_log(core, PAWL_ERROR, live->id, cmd->id, "the pages of a map cannot be read: %s",
                    st != PAWL_OK ? err.message : "out of memory");
        live->batch->failed =
            true; /* the turn is dropped, and whoever asked for the retry is told */
        return;
    }
    pw_batch_op(live->batch, PW_OP_MAP_PUT)->u.map =
        (pw_map_row){.run = live->key,
                     .cmd = cmd->id,
                     .done = r.done,
                     .body = cmd->body,
                     .total = pw_body_int(cmd->body, "total", 0)};
    pw_publish *p = pw_batch_publish(live->batch);
    p->kind = PW_PUB_MAP;
    p->live = live;
    p->job = (pw_job_key){live->key, cmd->id, 0};
    p->body = cmd->body;
    p->attempt = 1;
}
