/*
 * map_budget.c - items of a map that reserve: set aside and begun in one group, settled in the group of their page; held all together.
 *
 *   picked --fits--> BEGUN in the group being built --its ack--> begins [B2]       (a step: RESERVED by its turn, BEGUN by a second group)
 *      '--not--> SHORT --room--> picked again
 *                  '--nothing of the map runs, and what comes back would not help--> MapHeld: asks --raised--> MapFreed
 *                                                                                              '--stop--> MapFailed: BudgetExceeded
 *
 * All items reserve the same, so what holds one holds all: the map has one question, and none is asked while an item of it still runs (its
 * settling may make room, and shows what is really spent). What the last process had under way is settled at its estimate before anything is
 * begun [B3]. A map that reserves nothing takes none of these ways. Does not know what is in a page (map_rows.c).
 */
#include "engine/budget.h"
#include "engine/map.h"
#include "engine/queue.h"

/* ---- what an item asks for ---- */

static pawl_status want_of(pw_batch *b, const pw_map *map, pw_budget **ret_own,
                           pw_amounts *ret_asked, pawl_error *err)
{
    /* in memory from here on, with those above */
    pawl_status st = pw_budget_read(b, map->key.run, ret_own, err);
    return st == PAWL_OK ? pw_budget_asked(b->core, map->model, ret_own, ret_asked, err) : st;
}

static pw_entry entry_of(const pw_map *map, pw_batch *b, pw_job_key key, int64_t attempt)
{
    return (pw_entry){.batch = b,
                      .workflow = map->workflow,
                      .now_ms = b->now_ms,
                      .key = key,
                      .attempt = attempt,
                      .open = true,
                      .activity = map->model->name};
}

/* ---- after a restart ---- */

/** Entries that an item which has not ended has already. */
typedef struct item_round {
    int64_t item, attempt, round;
} item_round;

static bool see_entry(void *ctx, const pw_ledger_row *row)
{
    pw_map *map = ctx;
    if (row->cmd == map->key.cmd && row->item > 0 && row->item <= map->total &&
        row->attempt > map->base && !pw_page_bit(map->finished, row->item - 1)) {
        pw_buf_put(&map->rounds, &(item_round){row->item, row->attempt, row->round},
                   sizeof(item_round));
    }
    return true;
}

static bool see_wait(void *ctx, const pw_wait_row *row)
{
    pw_map *map = ctx;
    map->asks |= row->cmd == map->key.cmd;
    return true;
}

pawl_status pw_map_budget_load(pw_core *core, pw_map *map, pawl_error *err)
{
    if (!map->model->reserves) {
        return PAWL_OK;
    }
    map->cut = true;
    pawl_status st = core->jops->ledger(core->reader, map->key.run, false, see_entry, map, err);
    st = st == PAWL_OK ? core->jops->waits(core->reader, map->key.run, see_wait, map, err) : st;
    return st == PAWL_OK && !pw_buf_ok(&map->rounds) ? pw_err(err, PAWL_NOMEM, "out of memory")
                                                     : st;
}

static int64_t round_of(const pw_map *map, pw_job_key key, int64_t attempt)
{
    const item_round *list = (const item_round *)(const void *)map->rounds.data;
    int64_t last = 0;
    for (size_t i = 0; i < map->rounds.size / sizeof *list; i++) {
        bool same = list[i].item == key.item && list[i].attempt == attempt;
        last = same && list[i].round > last ? list[i].round : last;
    }
    return last + 1;
}

static bool is_of(const pw_booking *k, const pw_map *map)
{
    return k->key.item != 0 && k->key.run == map->key.run && k->key.cmd == map->key.cmd;
}

void pw_map_settle_cut(pw_core *core, pw_map *map)
{
    if (!map->cut || !core->recovered || map->ended) {
        return;
    }
    pw_batch *b = pw_batch_get(core);
    if (b == NULL) {
        pw_again(core, 0);
        return;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    pw_booking *k, *next;
    HASH_ITER (hh, core->bookings, k, next) {
        if (is_of(k, map)) {
            pw_entry e = entry_of(map, b, k->key, k->attempt);
            pw_budget_settle(&e, NULL);
        }
    }
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
        pw_again(core, 0);
        return;
    }
    map->cut = false;
}

/* ---- before it begins ---- */

static void book(pw_map *map, pw_batch *b, pw_job *job, pw_budget *own, const pw_amounts *asked)
{
    pw_entry e = entry_of(map, b, job->key, job->attempt);
    const pw_booking *k = pw_booking_find(b->core, job->key);
    int64_t round = k != NULL ? k->round + 1 : round_of(map, job->key, job->attempt);
    if (k != NULL) { /* whatever came of it, nobody will hear */
        pw_budget_settle(&e, NULL);
    }
    e.begins = true;
    pw_budget_book(&e, own, asked, round);
    pw_publish *p = pw_batch_publish(b);
    p->kind = PW_PUB_BOOKED;
    p->job = job->key;
    p->attempt = job->attempt;
}

/* It stands aside until its run is resumed, so that others are picked. False: that could not be asked for. */
static bool set_aside(pw_core *core, pw_map *map, pw_job *job, const pawl_error *err)
{
    if (!map->unfunded) {
        pw_core_log(core, PAWL_ERROR, map->run_id, map->key.cmd, "its budget cannot be read: %s",
                    err->message);
        map->unfunded = pw_job_pause_run(core, job, PW_BUDGET_UNFUNDED);
    }
    if (map->unfunded) {
        pw_job_short(core, job, false);
    }
    return map->unfunded;
}

void pw_map_refund(pw_core *core, pw_map *map)
{
    const pw_run_jobs *rj = map->unfunded ? pw_run_jobs_find(core, map->key.run) : NULL;
    pw_job *job = rj != NULL ? rj->jobs : NULL;
    map->unfunded = false;
    while (job != NULL) {
        pw_job *next = job->r_next;
        if (job->map == map) {
            pw_job_funded(core, job);
        }
        job = next;
    }
}

bool pw_map_book(pw_core *core, pw_job *job, pw_act *act)
{
    pw_map *map = job->map;
    pw_batch *b = pw_batch_get(core);
    pw_budget *own = NULL;
    pw_amounts asked;
    pw_short s = {0};
    pawl_error err;
    if (b == NULL) {
        return false;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    pawl_status st = want_of(b, map, &own, &asked, &err);
    if (pw_budget_lasting(st)) {
        pw_batch_undo(b, &mark);
        return set_aside(core, map, job, &err);
    }
    if (st == PAWL_OK && !pw_budget_fits(own, &asked, &s)) {
        map->is_short = true;
        pw_job_short(core, job, s.alone);
        pw_map_touch(core, map);
        return true;
    }
    if (st == PAWL_OK) {
        book(map, b, job, own, &asked);
    }
    b->failed |= st != PAWL_OK;
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
        return false;
    }
    pw_job_sending(core, job, act);
    return true;
}

/* ---- held ---- */

static void tell(pw_core *core, pw_map *map)
{
    pw_live *live;
    pawl_error err;
    pawl_status st = pw_live_open_key(core, map->key.run, &live, &err);
    pw_input *in = st == PAWL_OK ? pw_input_new(PW_IN_ROOM) : NULL;
    if (in == NULL) { /* it is looked at again */
        map->starved = true;
        pw_again(core, 0);
        return;
    }
    in->cmd = map->key.cmd;
    map->telling = true;
    pw_live_input(live, in);
}

void pw_map_check_short(pw_core *core, pw_map *map)
{
    if (!map->is_short || map->asks || map->telling || map->ended || map->canceling ||
        map->notes != NULL) {
        return;
    }
    const pw_run_jobs *rj = pw_run_jobs_find(core, map->key.run);
    int64_t held = 0;
    bool alone = false;
    for (const pw_job *job = rj != NULL ? rj->jobs : NULL; job != NULL; job = job->r_next) {
        bool is = job->map == map && job->state == PW_JOB_SHORT;
        held += is ? 1 : 0;
        alone |= is && job->asked;
    }
    map->is_short = held > 0;
    if (alone && held == map->running) {
        tell(core, map);
    }
}

/* Those that fit go back to their queue, and are looked at again when they are picked. */
static void let_in(pw_core *core, pw_map *map, const pw_budget *own, const pw_amounts *asked)
{
    const pw_run_jobs *rj = pw_run_jobs_find(core, map->key.run);
    pw_amounts sum = *asked;
    pw_job *job = rj != NULL ? rj->jobs : NULL;
    while (job != NULL) {
        pw_job *next = job->r_next;
        pw_short s = {0};
        if (job->map == map && job->state == PW_JOB_SHORT) {
            if (pw_budget_fits(own, &sum, &s)) {
                pw_amounts_add(&sum, asked);
                pw_job_funded(core, job);
            } else {
                (void)pw_budget_fits(own, asked, &s);
                job->asked = s.alone;
            }
        }
        job = next;
    }
    pw_map_touch(core, map);
}

void pw_map_room(pw_core *core, pw_map *map)
{
    pawl_error err;
    pw_budget *own = NULL;
    pw_amounts asked;
    pw_short s = {0};
    bool waits = map->is_short || map->asks;
    if (!waits || map->ended || map->telling ||
        pw_budget_asked(core, map->model, &own, &asked, &err) != PAWL_OK) {
        return;
    }
    if (!map->asks) {
        let_in(core, map, own, &asked);
    } else if (pw_budget_fits(own, &asked, &s)) {
        tell(core, map);
    }
}

/* ---- in a turn of its run ---- */

void pw_map_freed(pw_live *live, pw_map *map, const char *by, const pawl_value *raised)
{
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "by", by);
    if (raised != NULL) {
        pw_emit_value(&e, "raised", pw_value_bytes(raised));
    }
    (void)pw_emit_end(&e, PW_EV_MAP_FREED, map->key.cmd);
}

void pw_map_again(pw_live *live, pw_map *map)
{
    pw_budget *own = NULL;
    pw_amounts asked;
    pw_short s = {0};
    pawl_error err;
    map->telling = false;
    pawl_status st = map->ended ? PAWL_NOT : want_of(live->batch, map, &own, &asked, &err);
    if (st != PAWL_OK) { /* one that lasts is told when an item is picked */
        live->batch->failed |= !map->ended && !pw_budget_lasting(st);
        return;
    }
    bool fits = pw_budget_fits(own, &asked, &s);
    if (fits && map->asks) {
        pw_map_freed(live, map, NULL, NULL);
    } else if (fits) {
        let_in(live->core, map, own, &asked);
    } else if (s.alone && !map->asks) {
        pw_emit e;
        pw_emit_begin(&e, live);
        pw_budget_held_field(&e, &s);
        (void)pw_emit_end(&e, PW_EV_MAP_HELD, map->key.cmd);
    }
}

void pw_map_funded(pw_core *core, pw_map *map, bool asks)
{
    pawl_error err;
    pw_budget *own = NULL;
    pw_amounts asked;
    map->asks = asks;
    if (!asks && pw_budget_asked(core, map->model, &own, &asked, &err) == PAWL_OK) {
        let_in(core, map, own, &asked);
    }
    pw_map_touch(core, map);
}

/* An end, or a retry, that waits for its group is booked with that. */
static void mark_noted(pw_core *core, const pw_map *map)
{
    const pw_map_note *n;
    DL_FOREACH (map->notes, n) {
        pw_job_key key = {map->key.run, map->key.cmd, n->index + 1};
        pw_booking *k = n->booked ? pw_booking_find(core, key) : NULL;
        if (k != NULL) {
            k->noted = true;
        }
    }
}

void pw_map_budget_drop(pw_live *live, int64_t cmd)
{
    pw_core *core = live->core;
    const pw_map *map = pw_map_find(core, (pw_job_key){live->key, cmd, 0});
    if (map == NULL || !map->model->reserves) {
        return;
    }
    mark_noted(core, map);
    pw_booking *k, *next;
    HASH_ITER (hh, core->bookings, k, next) {
        if (is_of(k, map) && !k->noted) {
            pw_entry e = entry_of(map, live->batch, k->key, k->attempt);
            pw_budget_settle(&e, NULL);
        } else if (is_of(k, map)) {
            k->noted = false;
        }
    }
}
