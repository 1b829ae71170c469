/*
 * map.c - one activity over many items: one event starts it, one ends it; in between the journal sees one row an item, in whatever group
 * is next, and no turn of the run.
 *
 * Items are read from the input array by a cursor, at most `width` are jobs at a time. What is done is known by a bit per item, which
 * recovery fills from the rows. The run hears of it once, when all has landed.
 */
#include <string.h>

#include "engine/state.h"

enum { ITEM_DONE = 1, ITEM_FAILED = 2 };

pw_map *pw_map_find(pw_core *core, pw_job_key key)
{
    key.item = 0;
    pw_map *map;
    HASH_FIND(hh, core->maps, &key, sizeof key, map);
    return map;
}

static bool has(const pw_map *map, int64_t i)
{
    return (map->finished[i / 8] >> (i % 8) & 1) != 0;
}

static void mark(pw_map *map, int64_t i)
{
    map->finished[i / 8] = (uint8_t)(map->finished[i / 8] | 1u << (i % 8));
}

pw_map *pw_map_new(pw_core *core, int64_t run, int64_t cmd, const char *run_id, pw_view body)
{
    pw_map *map = pw_calloc(1, sizeof *map);
    PW_CHECK(map != NULL);
    map->scope = pawl_scope_new();
    PW_CHECK(map->scope != NULL);
    map->key = (pw_job_key){run, cmd, 0};
    map->run_id = pw_strdup(map->scope, run_id);
    map->body = (pw_view){pw_memdup(map->scope, body.data, body.size), body.size};
    map->items = pw_body_value(core, map->scope, map->body, "input");
    map->total = pw_body_int(map->body, "total", 0);
    map->width = pw_body_int(map->body, "width", 16);
    map->collect = pw_body_int(map->body, "mode", 0) == PAWL_MAP_COLLECT;
    pw_view bytes = pw_value_bytes(map->items);
    map->cursor = pw_mp_reader(bytes.data, bytes.size);
    if (map->total > 0) {
        (void)pw_mp_read_array(&map->cursor);
    }
    map->finished = pawl_scope_alloc(map->scope, (size_t)map->total / 8 + 1);
    PW_CHECK(map->finished != NULL);
    const pw_run_jobs *rj = pw_run_jobs_find(core, run);
    map->held = rj != NULL && rj->held;
    HASH_ADD(hh, core->maps, key, sizeof map->key, map);
    return map;
}

static void drop_items(pw_core *core, pw_map *map)
{
    pw_run_jobs *rj = pw_run_jobs_find(core, map->key.run);
    pw_job *job = rj != NULL ? rj->jobs : NULL;
    while (job != NULL) {
        pw_job *next = job->r_next;
        if (job->map == map) {
            pw_job_free(core, job);
        }
        job = next;
    }
    map->running = 0;
}

void pw_map_free(pw_core *core, pw_map *map)
{
    drop_items(core, map);
    HASH_DEL(core->maps, map);
    pawl_scope_free(map->scope);
    pw_free(map);
}

static void tell_run(pw_core *core, pw_map *map, pw_event_type type)
{
    map->ended = true;
    pw_live *live;
    pawl_error err;
    if (pw_live_open_key(core, map->key.run, &live, &err) != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, map->run_id, map->key.cmd, "the end of a map cannot be delivered: %s", err.message);
        return;
    }
    pw_input *in = pw_input_new(PW_IN_MAP_DONE);
    PW_CHECK(in != NULL);
    in->cmd = map->key.cmd;
    in->timer_kind = (int)type;
    in->attempt = map->total;
    in->due_ms = map->failed;
    if (map->failure.size > 0) {
        in->scope = pawl_scope_new();
        PW_CHECK(in->scope != NULL);
        in->value = (pw_view){pw_memdup(in->scope, map->failure.data, map->failure.size), map->failure.size};
    }
    pw_live_input(live, in);
}

static void check_end(pw_core *core, pw_map *map)
{
    if (map->ended) {
        return;
    }
    if (map->canceling && map->running == 0) {
        tell_run(core, map, PW_EV_MAP_CANCELED);
    } else if (map->failed > 0 && !map->collect) {
        drop_items(core, map);
        tell_run(core, map, PW_EV_MAP_FAILED);
    } else if (map->done + map->failed >= map->total) {
        tell_run(core, map, PW_EV_MAP_COMPLETED);
    }
}

void pw_map_pump(pw_core *core, pw_map *map)
{
    while (!map->held && !map->canceling && !map->ended && map->running < map->width && map->next < map->total) {
        int64_t i = map->next++;
        pw_view raw = pw_mp_read_raw(&map->cursor);
        if (has(map, i)) {
            continue;
        }
        pw_job *job = pw_job_new(core, (pw_job_key){map->key.run, map->key.cmd, i + 1}, map->run_id, map->body, map);
        PW_CHECK(job != NULL);
        job->input = pw_value_view(job->scope, raw.data, raw.size);
        map->running++;
        pw_job_queue(core, job);
    }
    check_end(core, map);
}

void pw_map_item_end(pw_core *core, pw_job *job, pw_report *report, bool failed)
{
    if (report->kind == PW_REPORT_CANCELED) {
        pw_map *map = job->map;
        pw_report_free(report);
        pw_job_free(core, job);
        map->running--;
        check_end(core, map);
        return;
    }
    pw_batch *b = pw_batch_get(core);
    pw_buf *buf = b != NULL ? pw_batch_buf(b) : NULL;
    PW_CHECK(buf != NULL);
    pw_put_value(core, b, buf, report->value);
    pw_op *op = pw_batch_op(b, PW_OP_MAP_ITEM);
    PW_CHECK(op != NULL && pw_buf_ok(buf));
    op->u.item = (pw_map_item){.run = job->key.run, .cmd = job->key.cmd, .index = job->key.item - 1, .state = failed ? ITEM_FAILED : ITEM_DONE,
                               .attempt = job->attempt, .body = {buf->data, buf->size}};
    pw_publish *p = pw_batch_publish(b);
    p->kind = PW_PUB_MAP_ITEM;
    p->job = job->key;
    p->report = report;
    p->attempt = failed;
}

void pw_map_item_landed(pw_core *core, pw_job_key key, bool failed, pw_view failure)
{
    pw_map *map = pw_map_find(core, key);
    pw_job *job = pw_job_find(core, key);
    if (job != NULL) {
        pw_job_free(core, job);
    }
    if (map == NULL || has(map, key.item - 1)) {
        return;
    }
    map->running--;
    mark(map, key.item - 1);
    map->dirty = true;
    core->maps_dirty = true;
    if (!failed) {
        map->done++;
    } else {
        map->failed++;
        if (map->failure.size == 0) {
            map->failure = (pw_view){pw_memdup(map->scope, failure.data, failure.size), failure.size};
        }
    }
    pw_map_pump(core, map);
}

void pw_map_cancel(pw_core *core, pw_map *map)
{
    map->canceling = true;
    pw_run_jobs *rj = pw_run_jobs_find(core, map->key.run);
    pw_job *job = rj != NULL ? rj->jobs : NULL;
    map->running++; /* keeps it from ending inside the loop */
    while (job != NULL) {
        pw_job *next = job->r_next;
        if (job->map == map) {
            pw_job_cancel(core, job);
        }
        job = next;
    }
    map->running--;
    check_end(core, map);
}

/* Its row belongs to a turn that is about to change it, or has: that turn may clear it, and a cancelled map is marked in it. */
static bool row_is_taken(pw_core *core, const pw_map *map)
{
    const pw_live *live = pw_live_find(core, map->key.run);
    return map->ended || map->canceling || (live != NULL && live->frozen);
}

/* Its row shows progress to readers: written with whatever group comes, not for its own sake. */
void pw_maps_flush(pw_core *core)
{
    if (!core->maps_dirty || core->building == NULL || core->building->group.len == 0) {
        return;
    }
    core->maps_dirty = false;
    pw_map *map, *next;
    HASH_ITER(hh, core->maps, map, next)
    {
        if (!map->dirty) {
            continue;
        }
        if (row_is_taken(core, map)) {
            core->maps_dirty = true;
            continue;
        }
        pw_op *op = pw_batch_op(core->building, PW_OP_MAP_PUT);
        PW_CHECK(op != NULL);
        map->dirty = false;
        void *body = pw_memdup(core->building->group.scope, map->body.data, map->body.size);
        PW_CHECK(body != NULL);
        op->u.map = (pw_map_row){.run = map->key.run, .cmd = map->key.cmd, .total = map->total, .done = map->done, .failed = map->failed,
                                 .body = {body, map->body.size}};
    }
}

/* ---- recovery ---- */

static bool recover_item(void *ctx, const pw_map_item *row)
{
    pw_map *map = ctx;
    if (row->index < 0 || row->index >= map->total || (row->state != ITEM_DONE && row->state != ITEM_FAILED)) {
        return true;
    }
    mark(map, row->index);
    if (row->state == ITEM_DONE) {
        map->done++;
    } else {
        map->failed++;
        if (map->failure.size == 0) {
            map->failure = (pw_view){pw_memdup(map->scope, row->body.data, row->body.size), row->body.size};
        }
    }
    return true;
}

typedef struct recover_maps {
    pw_core *core;
    pawl_status status;
    pawl_error *err;
} recover_maps;

static bool recover_map(void *ctx, const pw_map_row *row)
{
    recover_maps *r = ctx;
    pw_live *live;
    if (pw_map_find(r->core, (pw_job_key){row->run, row->cmd, 0}) != NULL) {
        return true;
    }
    r->status = pw_live_open_key(r->core, row->run, &live, r->err);
    if (r->status != PAWL_OK) {
        return false;
    }
    if (live->row.status == PW_RUN_PAUSED) { /* as committed: a turn in flight may not land */
        pw_jobs_hold(r->core, row->run, true);
    }
    pw_map *map = pw_map_new(r->core, row->run, row->cmd, live->id, row->body);
    r->status = r->core->jops->map_items(r->core->reader, &(pw_item_range){row->run, row->cmd, 0, 0}, recover_item, map, r->err);
    map->canceling = pw_body_get(row->body, "canceling").size > 0;
    return r->status == PAWL_OK;
}

pawl_status pw_maps_recover(pw_core *core, pawl_error *err)
{
    recover_maps r = {.core = core, .status = PAWL_OK, .err = err};
    pawl_status st = core->jops->maps(core->reader, 0, recover_map, &r, err);
    st = st == PAWL_OK ? r.status : st;
    pw_map *map, *next;
    HASH_ITER(hh, core->maps, map, next)
    {
        if (st == PAWL_OK) {
            pw_map_pump(core, map);
        }
    }
    return st;
}

/* ---- results ---- */

typedef struct page {
    pw_core *core;
    pawl_scope *scope;
    pw_buf out;
    int64_t next, end;
} page;

static void fill_gap(page *p, int64_t to)
{
    for (; p->next < to; p->next++) {
        pw_mp_nil(&p->out);
    }
}

static bool page_item(void *ctx, const pw_map_item *row)
{
    page *p = ctx;
    if (row->index >= p->end) {
        return false;
    }
    fill_gap(p, row->index);
    pw_mp r = pw_mp_reader(row->body.data, row->body.size);
    pw_view ref;
    bool blob = pw_mp_read_ext(&r, PW_EXT_BLOB, &ref);
    const pawl_value *v = blob ? pw_resolve(p->core, p->scope, row->body) : NULL;
    pw_view bytes = blob ? pw_value_bytes(v) : row->body;
    if (row->state == ITEM_FAILED) {
        pw_mp_map(&p->out, 1);
        pw_mp_str(&p->out, "$failure");
    }
    pw_buf_put(&p->out, bytes.data, bytes.size);
    p->next++;
    return true;
}

const pawl_value *pw_map_page(pw_core *core, pawl_scope *scope, const pw_map_span *span)
{
    int64_t from = span->from;
    int64_t end = from + span->len < span->total ? from + span->len : span->total;
    page p = {.core = core, .scope = scope, .next = from, .end = end};
    pw_mp_array(&p.out, (size_t)(end - from));
    pawl_error err;
    pawl_status st = core->jops->map_items(core->reader, &(pw_item_range){span->run, span->cmd, from, (size_t)(end - from)}, page_item, &p,
                                          &err);
    fill_gap(&p, end);
    const pawl_value *v = NULL;
    if (st == PAWL_OK && pw_buf_ok(&p.out)) {
        v = pw_value_copy(scope, p.out.data, p.out.size);
    } else {
        pw_core_log(core, PAWL_ERROR, "", span->cmd, "the results of a map cannot be read: %s", st != PAWL_OK ? err.message : "out of memory");
    }
    pw_buf_deinit(&p.out);
    return v;
}

const pawl_value *pw_map_results(pw_core *core, pawl_scope *scope, int64_t run, int64_t cmd, int64_t total)
{
    return pw_map_page(core, scope, &(pw_map_span){.run = run, .cmd = cmd, .len = total, .total = total});
}
