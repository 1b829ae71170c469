/*
 * map.c - one activity over many items: one event starts it, one ends it; in between no turn of the run, and the journal sees pages.
 *
 *   items (a cursor over the input array) --pump--> at most `width` jobs --end, retry, sent--> notes --> pages of the next group (map_rows.c)
 *                                                                                                    `--its ack--> map_landed: goes on
 *
 * An item that has ended leaves its place to the next at once: the map was committed, so all its items are [E1]. What it brought, a retry
 * and a `sent` wait as notes for the next group; a retry or an unsafe effect goes on only after the ack. One group of a map is in flight
 * at a time, so what ends meanwhile shares the next one. Notes are bounded (PW_MAP_NOTES_MAX, PW_MAP_NOTE_BYTES_MAX): beyond, nothing
 * is started. A crash repeats the items that were running or whose notes had not landed, under the same attempt numbers and keys; of
 * those whose effect is unsafe and was sent it says so instead (failure "Unknown").
 * The run hears of a map once, when all has landed. Does not ask about an unknown item: workflow code or a retry of the run decides.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/map.h"

pw_map *pw_map_find(pw_core *core, pw_job_key key)
{
    key.item = 0;
    pw_map *map;
    HASH_FIND(hh, core->maps, &key, sizeof key, map);
    return map;
}

void pw_map_touch(pw_core *core, pw_map *map)
{
    if (!map->listed) {
        map->listed = true;
        DL_APPEND2(core->map_work, map, work_prev, work_next);
    }
}

static void unlist(pw_core *core, pw_map *map)
{
    if (map->listed) {
        map->listed = false;
        DL_DELETE2(core->map_work, map, work_prev, work_next);
    }
}

/* ---- life ---- */

static bool read_body(pw_core *core, pw_map *map)
{
    pw_job *model = pw_job_model(map->scope, map->run_id, map->body);
    if (model != NULL) {
        model->key = map->key;
    }
    map->model = model;
    map->items = pw_body_value(core, map->scope, map->body, "input");
    map->total = pw_body_int(map->body, "total", 0);
    int64_t width = pw_body_int(map->body, "width", 16);
    map->width = width < PW_MAP_WIDTH_MAX ? width : PW_MAP_WIDTH_MAX;
    map->collect = pw_body_int(map->body, "mode", 0) == PAWL_MAP_COLLECT;
    map->canceling = pw_body_get(map->body, "canceling").size > 0;
    map->finished = pawl_scope_alloc(map->scope, (size_t)(map->total / PW_MAP_PAGE_ITEMS + 1) *
                                                     PW_MAP_BITS_BYTES);
    pw_view bytes = pw_value_bytes(map->items);
    map->cursor = pw_mp_reader(bytes.data, bytes.size);
    bool whole = map->total == 0 || (int64_t)pw_mp_read_array(&map->cursor) == map->total;
    return whole && !pw_scope_failed(map->scope);
}

/* NULL: no memory, or its input cannot be read now. */
static pw_map *map_new(pw_core *core, pw_job_key key, const pw_live *live, pw_view body)
{
    pw_map *map = pw_calloc(1, sizeof *map);
    pawl_scope *scope = map != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(map);
        return NULL;
    }
    map->scope = scope;
    map->key = key;
    const pw_view *workflow = &live->row.workflow;
    map->run_id = pw_strdup(scope, live->id);
    map->workflow = (pw_view){pw_memdup(scope, workflow->data, workflow->size), workflow->size};
    map->body = (pw_view){pw_memdup(scope, body.data, body.size), body.size};
    bool ok = !pw_scope_failed(scope) && read_body(core, map);
    if (ok) {
        HASH_ADD(hh, core->maps, key, sizeof map->key, map);
    }
    if (!ok || map->hh.tbl == NULL) {
        pawl_scope_free(scope);
        pw_free(map);
        return NULL;
    }
    const pw_run_jobs *rj = pw_run_jobs_find(core, key.run);
    map->held = rj != NULL && rj->held;
    pw_map_touch(core, map);
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
    if (map == NULL) {
        return;
    }
    drop_items(core, map);
    unlist(core, map);
    while (map->notes != NULL) {
        pw_map_note_free(map, map->notes);
    }
    for (size_t i = 0; i < PW_COUNT(map->tails); i++) {
        pw_buf_deinit(&map->tails[i].body);
    }
    pw_report_free(map->first_failed);
    pw_buf_deinit(&map->rounds);
    HASH_DEL(core->maps, map);
    pawl_scope_free(map->scope);
    pw_free(map);
}

/* After its commit. Of a retried run the journal knows what is done. What does not work out is read as after a restart. */
void pw_map_begin(pw_core *core, const pw_publish *p)
{
    pw_map *map = map_new(core, p->job, p->live, p->body);
    pawl_error err;
    pawl_status st = map == NULL       ? pw_err(&err, PAWL_NOMEM, "out of memory")
                     : p->attempt != 0 ? pw_map_load(core, map, &err)
                                       : PAWL_OK;
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_WARN, p->live->id, p->job.cmd,
                    "a map cannot be begun, it is tried again: %s", err.message);
        pw_map_free(core, map);
        pw_again(core, PW_AGAIN_JOBS);
    }
}

/* The run no longer waits for it. Pages in flight are waited for: a retry of the run reads what they hold; so is what was spent. */
void pw_map_drop(pw_core *core, pw_map *map)
{
    if (!map->flies && map->spends == 0) {
        pw_map_free(core, map);
        return;
    }
    drop_items(core, map);
    map->ended = map->dropped = true;
    pw_map_touch(core, map);
}

bool pw_maps_fly(pw_core *core, int64_t run)
{
    bool flies = false;
    pw_map *map, *next;
    HASH_ITER (hh, core->maps, map, next) {
        flies |= map->key.run == run && (map->flies || map->dropped);
    }
    return flies;
}

/* ---- its end ---- */

/* What finds no memory is tried again: its end stands in its pages. */
static void starve(pw_core *core, pw_map *map)
{
    map->starved = true;
    pw_again(core, 0);
}

static void tell_run(pw_core *core, pw_map *map, pw_event_type type)
{
    pw_live *live;
    pawl_error err;
    pawl_status st = pw_live_open_key(core, map->key.run, &live, &err);
    pw_input *in = st == PAWL_OK ? pw_input_new(PW_IN_MAP_DONE) : NULL;
    pawl_scope *scope = in != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_core_log(core, PAWL_WARN, map->run_id, map->key.cmd,
                    "the end of a map cannot be delivered, it is tried again: %s",
                    st != PAWL_OK ? err.message : "out of memory");
        if (in != NULL) {
            pw_input_free(core, in);
        }
        starve(core, map);
        return;
    }
    in->scope = scope;
    in->cmd = map->key.cmd;
    in->timer_kind = (int)type;
    in->attempt = map->total;
    in->due_ms = map->failed;
    in->value =
        (pw_view){pw_memdup(scope, map->failure.data, map->failure.size), map->failure.size};
    if (pw_scope_failed(scope)) {
        pw_input_free(core, in);
        starve(core, map);
        return;
    }
    map->ended = true;
    pw_live_input(live, in);
}

static void check_end(pw_core *core, pw_map *map)
{
    if (map->ended) {
        return;
    }
    if (map->canceling && map->running == 0 && map->notes == NULL) {
        tell_run(core, map, PW_EV_MAP_CANCELED);
    } else if (map->failed > 0 && !map->collect) {
        drop_items(core, map);
        tell_run(core, map, PW_EV_MAP_FAILED);
    } else if (map->done + map->failed >= map->total) {
        tell_run(core, map, PW_EV_MAP_COMPLETED);
    }
}

/* ---- starting items ---- */

static bool may_start(const pw_core *core, const pw_map *map)
{
    bool open = !core->scarce && !map->held && !map->canceling && !map->ended && !map->failing &&
                !map->asks && !map->cut;
    return open && map->running < map->width && map->next < map->total &&
           map->notes_len < PW_MAP_NOTES_MAX && map->note_bytes < PW_MAP_NOTE_BYTES_MAX;
}

/* What the journal knows of an item that was under way at a restart. Both go up by index. */
static const pw_open_item *opened(pw_map *map, int64_t index)
{
    while (map->open_next < map->open_len && map->open[map->open_next].index < index) {
        map->open_next++;
    }
    bool it = map->open_next < map->open_len && map->open[map->open_next].index == index;
    return it ? &map->open[map->open_next++] : NULL;
}

/* False: no memory. */
static bool start(pw_core *core, pw_map *map, int64_t index, pw_view input)
{
    pw_map_note *note = pw_calloc(1, sizeof *note);
    pw_job *job = note != NULL
                      ? pw_job_new(core, (pw_job_key){map->key.run, map->key.cmd, index + 1},
                                   map->run_id, map->body, map)
                      : NULL;
    if (job == NULL) {
        pw_free(note);
        return false;
    }
    job->note = note;
    job->input = pw_value_view(job->scope, input.data, input.size);
    if (pw_scope_failed(job->scope)) {
        pw_job_free(core, job);
        return false;
    }
    const pw_open_item *was = opened(map, index);
    job->attempt_base = map->base;
    job->attempt = was != NULL ? was->attempt : map->base + 1;
    job->due_ms = was != NULL ? was->due_ms : 0;
    map->running++;
    if (was != NULL && was->sent && !PW_BUG_RESEND_UNKNOWN) {
        job->sent = true;
        job->state = PW_JOB_UNKNOWN;
        pw_job_unknown(core, job, false);
    } else {
        pw_job_queue(core, job);
    }
    return true;
}

static void pump(pw_core *core, pw_map *map)
{
    map->starved = false;
    pw_map_settle_cut(core, map);
    while (may_start(core, map) && !map->starved) {
        pw_mp before = map->cursor;
        pw_view raw = pw_mp_read_raw(&map->cursor);
        if (pw_page_bit(map->finished, map->next) || start(core, map, map->next, raw)) {
            map->next++;
        } else {
            map->cursor = before;
            starve(core, map);
        }
    }
    check_end(core, map);
}

void pw_maps_pump(pw_core *core)
{
    pw_map *map, *next;
    DL_FOREACH_SAFE2(core->map_work, map, next, work_next)
    {
        pump(core, map);
    }
}

/* ---- notes: what the next group will hold ---- */

/* Takes the report over. */
static pw_map_note *note(pw_core *core, pw_job *job, int kind, pw_report *report)
{
    pw_map *map = job->map;
    pw_map_note *n = job->note;
    PW_CHECK(n != NULL); /* one at a time: its job waits for it to land */
    int64_t wall_ms = job->begun_ms > 0 ? pw_core_now(core) - job->begun_ms : 0;
    job->note = NULL;
    *n = (pw_map_note){.kind = (unsigned)kind,
                       .index = job->key.item - 1,
                       .attempt = job->attempt,
                       .wall_ms = wall_ms,
                       .report = report,
                       .said = job->said};
    bool ends = kind != PW_NOTE_SENT && job->reserves;
    n->booked = ends && pw_booking_find(core, job->key) != NULL;
    n->unbegun = kind == PW_NOTE_SPENT && job->booked && !job->may_have;
    job->said = NULL;
    DL_APPEND(map->notes, n);
    map->notes_len++;
    map->note_bytes += report != NULL ? report->value.size : 0;
    map->spends += pw_map_note_spends(n) ? 1 : 0;
    pw_map_touch(core, map);
    return n;
}

bool pw_map_note_spends(const pw_map_note *n)
{
    return n->booked || n->said != NULL || (n->report != NULL && n->report->spent != NULL);
}

/* Out of the list; the report of an end is the caller's. */
static pw_report *note_out(pw_map *map, pw_map_note *n)
{
    pw_report *report = n->report;
    DL_DELETE(map->notes, n);
    map->notes_len--;
    map->note_bytes -= report != NULL ? report->value.size : 0;
    map->spends -= pw_map_note_spends(n) ? 1 : 0;
    pw_report_free(n->said);
    n->report = n->said = NULL;
    return report;
}

void pw_map_note_free(pw_map *map, pw_map_note *n)
{
    pw_report_free(note_out(map, n));
    pw_free(n);
}

/* Has the journal an entry for it beside its place in the array? */
static bool known(const pw_job *job)
{
    return job->sent || job->attempt > job->attempt_base + 1;
}

void pw_map_item_end(pw_core *core, pw_job *job, pw_report *report, bool failed)
{
    pw_map *map = job->map;
    map->open_dirty |= known(job);
    map->running--;
    if (report->kind == PW_REPORT_CANCELED) {
        map->top = job->attempt > map->top ? job->attempt : map->top;
        if (report->spent != NULL || job->said != NULL || job->reserves) {
            (void)note(core, job, PW_NOTE_SPENT, report);
        } else {
            pw_report_free(report);
        }
        pw_map_touch(core, map);
    } else {
        pw_map_note *n = note(core, job, PW_NOTE_END, report);
        n->failed = failed;
        map->failing |= failed && !map->collect;
        pw_page_set(map->finished, n->index);
    }
    pw_job_free(core, job);
}

void pw_map_item_again(pw_core *core, pw_job *job, pw_report *report, int64_t due_ms)
{
    if (report->spent == NULL) {
        pw_report_free(report);
        report = NULL;
    }
    (void)note(core, job, PW_NOTE_RETRY, report);
    job->attempt++;
    job->due_ms = due_ms;
    job->sent = false;
    job->map->open_dirty = true;
}

void pw_map_item_send(pw_core *core, pw_job *job)
{
    job->map->open_dirty = true;
    (void)note(core, job, PW_NOTE_SENT, NULL);
}

/* ---- after the ack ---- */

/* Takes the report over. */
static void ended(pw_map *map, const pw_map_note *n, pw_report *report)
{
    if (!n->failed) {
        map->done++;
    } else if (map->failed++ == 0) {
        map->first_failed = report;
        map->failure = report->value;
        return;
    }
    pw_report_free(report);
}

static void landed(pw_core *core, pw_map *map, pw_map_note *n)
{
    pw_report *report = note_out(map, n);
    if (n->kind == PW_NOTE_END) {
        ended(map, n, report);
        pw_free(n);
        return;
    }
    pw_report_free(report);
    bool retry = n->kind == PW_NOTE_RETRY;
    pw_job *job = pw_job_find(core, (pw_job_key){map->key.run, map->key.cmd, n->index + 1});
    if (job == NULL || n->kind == PW_NOTE_SPENT) {
        pw_free(n);
        return;
    }
    job->note = n;
    if (retry) {
        pw_job_retry(core, job, job->attempt, job->due_ms);
    } else if (!map->failing) {
        pw_job_sent(core, job);
    }
}

void pw_map_landed(pw_core *core, pw_job_key key, bool ok)
{
    pw_map *map = pw_map_find(core, key);
    if (map == NULL || !map->flies) {
        return;
    }
    pw_map_pages_landed(map, ok);
    for (; ok && map->flying > 0; map->flying--) {
        landed(core, map, map->notes);
    }
    map->flying = 0;
    if (map->dropped && map->spends == 0) {
        pw_map_free(core, map);
    } else {
        pw_map_touch(core, map);
    }
}

void pw_map_cancel(pw_core *core, pw_map *map)
{
    map->canceling = true;
    pw_run_jobs *rj = pw_run_jobs_find(core, map->key.run);
    pw_job *job = rj != NULL ? rj->jobs : NULL;
    while (job != NULL) {
        pw_job *next = job->r_next;
        if (job->map == map) {
            pw_job_cancel(core, job);
        }
        job = next;
    }
    pw_map_touch(core, map);
}

void pw_maps_hold(pw_core *core, int64_t run, bool hold)
{
    pw_map *map, *next;
    HASH_ITER (hh, core->maps, map, next) {
        if (map->key.run == run) {
            map->held = hold;
            if (!hold) {
                pw_map_refund(core, map);
            }
            pw_map_touch(core, map);
        }
    }
}

void pw_maps_room(pw_core *core)
{
    pw_map *map, *next;
    HASH_ITER (hh, core->maps, map, next) {
        pw_map_touch(core, map);
    }
}

void pw_maps_short(pw_core *core)
{
    pw_map *map, *next;
    DL_FOREACH_SAFE2(core->map_work, map, next, work_next)
    {
        pw_map_check_short(core, map);
    }
}

void pw_maps_fund(pw_core *core)
{
    pw_map *map, *next;
    HASH_ITER (hh, core->maps, map, next) {
        pw_map_room(core, map);
    }
}

bool pw_map_asks(const pw_map *map)
{
    return map != NULL && map->asks && !map->ended;
}

const pw_job *pw_map_model(const pw_map *map)
{
    return map->model;
}

void pw_maps_flush(pw_core *core)
{
    pw_map *map, *next;
    DL_FOREACH_SAFE2(core->map_work, map, next, work_next)
    {
        bool written = map->flies || pw_map_write(core, map); /* the ack lists it again */
        if (!written) {
            starve(core, map);
        }
        if (!map->starved) {
            unlist(core, map);
        }
    }
}

/* ---- recovery ---- */

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
    pw_map *map = map_new(r->core, (pw_job_key){row->run, row->cmd, 0}, live, row->body);
    r->status = map != NULL ? pw_map_load(r->core, map, r->err)
                            : pw_err(r->err, PAWL_NOMEM, "a map: out of memory");
    r->status = r->status == PAWL_OK ? pw_map_budget_load(r->core, map, r->err) : r->status;
    if (r->status != PAWL_OK) {
        pw_map_free(r->core, map);
    }
    return r->status == PAWL_OK;
}

pawl_status pw_maps_recover(pw_core *core, pawl_error *err)
{
    recover_maps r = {.core = core, .status = PAWL_OK, .err = err};
    pawl_status st = core->jops->maps(core->reader, 0, recover_map, &r, err);
    return st == PAWL_OK ? r.status : st;
}
