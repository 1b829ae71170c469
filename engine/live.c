/*
 * live.c - runs in memory: finding, loading from the journal, making ready, evicting.
 *
 * A run comes in as a shell (its row), becomes whole when its code has to run, and is dropped when it is idle: an evicted run costs
 * nothing but rows. Discarding a stack frees nothing that lives on it: the run's scope and its unwind list do.
 */
#include <stdio.h>
#include <string.h>

#include "engine/bugs.h"
#include "engine/parts.h"
#include "sdk/base/hash.h"

#define IDLE_EVICT_NS 5000000000
#define SWEEP_MAX 16384

/* ---- registered code ---- */

pw_def *pw_def_find(pw_core *core, pw_view name, pw_view version)
{
    for (pw_def *d = core->defs; d != NULL; d = d->next) { /* newest registration first */
        if (pw_view_is(name, d->name) && (version.size == 0 || pw_view_is(version, d->version))) {
            return d;
        }
    }
    return NULL;
}

/* ---- tables ---- */

pw_live *pw_live_find(pw_core *core, int64_t key)
{
    pw_live *live;
    HASH_FIND(hh, core->runs, &key, sizeof key, live);
    return live;
}

pw_live *pw_live_by_id(pw_core *core, pw_view id)
{
    pw_live *live;
    HASH_FIND(hi, core->ids, id.data, id.size, live);
    return live;
}

static pw_view keep(pawl_scope *scope, pw_view v)
{
    char *copy = pw_strndup(scope, (const char *)v.data, v.size);
    return (pw_view){(const uint8_t *)(copy != NULL ? copy : ""), copy != NULL ? v.size : 0};
}

/* Without memory the scope has failed, and the row is of no use. */
static void copy_row(pw_live *live, const pw_run_row *row)
{
    live->row = *row;
    live->row.id = keep(live->scope, row->id);
    live->row.workflow = keep(live->scope, row->workflow);
    live->row.version = keep(live->scope, row->version);
    live->row.traceparent = keep(live->scope, row->traceparent);
    live->row.waiting = keep(live->scope, row->waiting);
    live->row.reason = keep(live->scope, row->reason);
    live->row.progress_text = keep(live->scope, row->progress_text);
    live->landed = live->row;
    live->id = (const char *)live->row.id.data;
    live->id_sum = pw_checksum(live->row.id.data, live->row.id.size);
}

pw_state pw_run_state(int status)
{
    switch (status) {
    case PW_RUN_PAUSED:
        return PW_S_RUN_PAUSED;
    case PW_RUN_COMPLETED:
        return PW_S_RUN_COMPLETED;
    case PW_RUN_FAILED:
        return PW_S_RUN_FAILED;
    case PW_RUN_CANCELED:
        return PW_S_RUN_CANCELED;
    case PW_RUN_TERMINATED:
        return PW_S_RUN_TERMINATED;
    case PW_RUN_CONTINUED:
        return PW_S_RUN_CONTINUED;
    case PW_RUN_TIMED_OUT:
        return PW_S_RUN_TIMED_OUT;
    default:
        return PW_S_RUN_RUNNING;
    }
}

/* Waits for nothing, or for code alone, which is there now. */
bool pw_row_goes_on(const pw_run_row *row, const pw_def *def)
{
    bool for_code = pw_view_is(row->waiting, "no-code") || pw_view_is(row->waiting, "code");
    return row->status == PW_RUN_RUNNING && (row->waiting.size == 0 || (for_code && def != NULL));
}

static void shell_state(pw_live *live)
{
    live->state = live->row.seq == 0 ? PW_S_RUN_NONE : pw_run_state(live->row.status);
    live->seq = live->row.seq;
    live->next_cmd = 1;
    live->kick = pw_row_goes_on(&live->row, live->def);
    live->shell_unread = -1;
    live->parent_key = live->row.parent_key;
    live->parent_cmd = live->row.parent_cmd;
}

static void index_id(pw_core *core, pw_live *live)
{
    pw_live *old = pw_live_by_id(core, live->row.id);
    if (old != NULL) {
        if (old->key > live->key) {
            return;
        }
        HASH_DELETE(hi, core->ids, old);
        old->in_ids = false;
    }
    HASH_ADD_KEYPTR(hi, core->ids, live->id, live->row.id.size, live);
    live->in_ids =
        live->hi.tbl != NULL; /* without memory it is found in the journal, and by its key */
}

pw_live *pw_live_new(pw_core *core, const pw_run_row *row)
{
    pw_live *live = pw_calloc(1, sizeof *live);
    pawl_scope *scope = live != NULL ? pw_scope_new_in(&core->blocks) : NULL;
    if (scope == NULL) {
        pw_free(live);
        return NULL;
    }
    live->core = core;
    live->key = row->key;
    live->scope = scope;
    copy_row(live, row);
    if (pw_scope_failed(scope)) {
        pawl_scope_free(scope);
        pw_free(live);
        return NULL;
    }
    live->def = pw_def_find(core, live->row.workflow, live->row.version);
    shell_state(live);
    HASH_ADD(hh, core->runs, key, sizeof live->key, live);
    if (live->hh.tbl == NULL) {
        pawl_scope_free(scope);
        pw_free(live);
        return NULL;
    }
    index_id(core, live);
    DL_APPEND2(core->lru, live, lru_prev, lru_next);
    live->idle_since_ns = core->env.mono_ns(core->env.ctx);
    return live;
}

static bool take_row(void *ctx, const pw_run_row *row)
{
    pw_live **out = ctx;
    pw_core *core = (*out)->core;
    *out = pw_live_find(core, row->key);
    if (*out == NULL) {
        *out = pw_live_new(core, row);
    }
    return false;
}

static pawl_status open_with(pw_core *core, pw_view id, int64_t key, pw_live **ret_live,
                             pawl_error *err)
{
    pw_live probe = {.core = core};
    pw_live *live = &probe;
    pawl_status st = key != 0
                         ? core->jops->run_get(core->reader, key, take_row, (void *)&live, err)
                         : core->jops->run_find(core->reader, id, take_row, (void *)&live, err);
    if (st != PAWL_OK) {
        return st;
    }
    if (live == &probe) {
        return pw_err(err, PAWL_NOTFOUND, "there is no such run");
    }
    if (live == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a run");
    }
    *ret_live = live;
    return PAWL_OK;
}

/* A closed run in memory may have been read by its key: only the journal knows whether another of its id came after it. */
pawl_status pw_live_open(pw_core *core, pw_view id, pw_live **ret_live, pawl_error *err)
{
    pw_live *live = pw_live_by_id(core, id);
    if (live != NULL && (live->frozen || live->created || pw_live_open_status(live))) {
        *ret_live = live;
        return PAWL_OK;
    }
    pawl_status st = open_with(core, id, 0, ret_live, err);
    if (st == PAWL_NOTFOUND) {
        return pw_err(err, st, "there is no run with the id \"%.*s\"", (int)id.size,
                      (const char *)id.data);
    }
    return st;
}

pawl_status pw_live_open_key(pw_core *core, int64_t key, pw_live **ret_live, pawl_error *err)
{
    pw_live *live = pw_live_find(core, key);
    if (live != NULL) {
        *ret_live = live;
        return PAWL_OK;
    }
    return open_with(core, (pw_view){NULL, 0}, key, ret_live, err);
}

/* ---- loading ---- */

static bool load_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    return pw_replay_record(ctx, first_seq + 1,
                            record); /* the journal says how many events come before */
}

static void begin_load(pw_live *live)
{
    live->whole = true;
    live->replaying = true;
    live->state = PW_S_RUN_NONE;
    live->seq = 0;
    live->next_cmd = 1;
    live->turn = 0;
    live->kick = false;
    live->mismatch = NULL;
    live->abandoned = false;
    live->restart = false;
    live->closing = false;
    live->cancel_requested = false;
}

/* What a retry has made void need not fit the code any more, and it stands before the event that says so. */
static bool find_voids(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    pw_record rec;
    pawl_error err;
    if (pw_record_open(record.data, record.size, &rec, &err) != PAWL_OK) {
        return false;
    }
    pw_event ev = {.seq = first_seq + 1};
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        (void)pw_replay_retried(ctx, &ev);
    }
    return true;
}

static pawl_status load_code(pw_live *live, pawl_error *err)
{
    pw_core *core = live->core;
    pawl_status st;
    do {
        pw_live_reset(live);
        begin_load(live);
        st = core->jops->read(core->reader, live->key, 0, load_record, live, err);
        if (st == PAWL_OK && live->mismatch != NULL) {
            st = core->jops->read(core->reader, live->key, 0, find_voids, live, err);
        }
    } while (st == PAWL_OK && live->restart);
    return st;
}

static bool drift_known(pw_live *live, const pw_drift *d)
{
    const pw_cmd *cmd = pw_cmd_find(live, d->cmd);
    return cmd != NULL && cmd->digest == d->code;
}

static void forget_noted_drift(pw_live *live)
{
    pw_drift **at = &live->drift;
    while (*at != NULL) {
        if (drift_known(live, *at)) {
            *at = (*at)->next;
        } else {
            at = &(*at)->next;
        }
    }
}

pawl_status pw_live_load(pw_live *live, pawl_error *err)
{
    pw_core *core = live->core;
    PW_CHECK(!live->frozen && live->def != NULL);
    bool folded = live->def->folded.apply != NULL;
    core->stats.loads++;
    pawl_status st = folded ? pw_fold_load(live, err) : load_code(live, err);
    live->replaying = false;
    if (pw_scope_failed(live->scope)) { /* whatever it said it found: it did not see all there is */
        live->mismatch = NULL;
        st = pw_err(err, PAWL_NOMEM, "no memory, or no answer of the journal, for what it holds");
    }
    if (live->retry_from != 0 &&
        live->mismatch ==
            NULL) { /* the code is as it was before the end, and the run has ended all the same */
        live->seq = live->row.seq;
        live->state = pw_run_state(live->row.status);
    }
    if (st == PAWL_OK && live->mismatch == NULL && live->seq != live->row.seq) {
        st = pw_err(err, PAWL_DAMAGED, "its history ends at event %lld, its row says %lld",
                    (long long)live->seq, (long long)live->row.seq);
    }
    if (st == PAWL_OK && live->mismatch == NULL && live->row.seq > 0 &&
        live->state != pw_run_state(live->row.status)) {
        st = pw_err(err, PAWL_DAMAGED, "its history leaves it %s, its row says %s",
                    pw_state_name(live->state), pw_run_status_name(live->row.status));
    }
    if (st != PAWL_OK || live->mismatch != NULL) {
        pw_mismatch *m =
            live->mismatch; /* lives in the scope, which a reset empties: carry it over */
        pw_mismatch saved = {0};
        char history[256] = "", code[256] = "";
        if (m != NULL) {
            saved = *m;
            (void)snprintf(history, sizeof history, "%s", m->history);
            (void)snprintf(code, sizeof code, "%s", m->code);
        }
        live->whole = false;
        pw_live_reset(live);
        if (m != NULL) {
            live->mismatch = pawl_scope_alloc(live->scope, sizeof *m);
            if (live->mismatch != NULL) {
                *live->mismatch = saved;
                live->mismatch->history = pw_strdup(live->scope, history);
                live->mismatch->code = pw_strdup(live->scope, code);
            }
            if (pw_scope_failed(live->scope)) {
                live->mismatch = NULL;
                st = pw_err(err, PAWL_NOMEM, "no memory for a report");
                pw_live_reset(live);
            }
        }
        return st;
    }
    forget_noted_drift(live);
    core->whole_len++;
    pw_live_touch(live);
    return PAWL_OK;
}

/* ---- dropping ---- */

/* Notes how deep it was used. */
void pw_branch_stack_free(pawl_run *w)
{
    pw_live *live = w->live;
    size_t peak = pw_fiber_free(w->fiber);
    w->fiber = NULL;
    live->stack_peak = peak > live->stack_peak ? peak : live->stack_peak;
    live->core->stats.stack_peak = live->stack_peak > live->core->stats.stack_peak
                                       ? live->stack_peak
                                       : live->core->stats.stack_peak;
}

/* Of the deepest stack it has had since it came into memory. */
size_t pw_live_stack_peak(const pw_live *live)
{
    size_t peak = live->stack_peak;
    const pawl_run *w;
    DL_FOREACH (live->branches, w) {
        size_t now = w->fiber != NULL ? pw_fiber_peak(w->fiber) : 0;
        peak = now > peak ? now : peak;
    }
    return peak;
}

static void drop_code(pw_live *live)
{
    for (pw_unwind *u = live->unwinds; u != NULL; u = u->next) {
        pw_code_enter(live);
        u->fn(u->arg);
        pw_code_leave(live);
    }
    live->unwinds = NULL;
    pawl_run *w;
    DL_FOREACH (live->branches, w) {
        pw_branch_stack_free(w);
    }
    live->branches = NULL;
    live->branches_len = 0;
    if (live->fold_state != NULL) {
        pw_code_enter(live);
        live->def->folded.deinit(live->fold_state);
        pw_code_leave(live);
        live->fold_state = NULL;
    }
}

/* A fresh scope with the row in it. Without memory the old one is kept, with all that is in it: a reset cannot fail. */
static void fresh_scope(pw_live *live)
{
    pawl_scope *old = live->scope;
    pw_run_row row = PW_BUG_ROW_KEPT_ON_FAILED_GROUP ? live->row : live->landed;
    live->row = row;
    pawl_scope *fresh = pw_scope_new_in(&live->core->blocks);
    if (fresh == NULL) {
        pw_scope_heal(old);
        return;
    }
    live->scope = fresh;
    copy_row(live, &row);
    if (pw_scope_failed(fresh)) {
        live->scope = old;
        live->row = live->landed = row;
        live->id = (const char *)row.id.data;
        pw_scope_heal(old);
        pawl_scope_free(fresh);
        return;
    }
    pawl_scope_free(old);
}

void pw_live_reset(pw_live *live)
{
    pw_core *core = live->core;
    PW_CHECK(!pw_in_workflow);
    if (live->whole && !live->replaying && core->whole_len > 0) {
        core->whole_len--;
    }
    drop_code(live);
    pw_tx_free(live->tx);
    pw_free(live->cmds);
    pw_live saved = *live;
    memset(live, 0, sizeof *live);
    live->core = core;
    live->key = saved.key;
    live->scope = saved.scope;
    live->landed = saved.landed;
    live->id = saved.id;
    live->def = saved.def;
    live->voids = saved.voids;
    live->retry_from = saved.retry_from;
    live->retry_next_cmd = saved.retry_next_cmd;
    live->inputs = saved.inputs;
    live->queries = saved.queries;
    live->queued = saved.queued;
    live->idle_since_ns = saved.idle_since_ns;
    live->ready_prev = saved.ready_prev;
    live->ready_next = saved.ready_next;
    live->lru_prev = saved.lru_prev;
    live->lru_next = saved.lru_next;
    live->hh = saved.hh;
    live->hi = saved.hi;
    live->in_ids = saved.in_ids;
    live->frozen = saved.frozen;
    live->stalled = saved.stalled;
    live->stalls = saved.stalls;
    live->held = saved.held;
    live->crash_owed = saved.crash_owed;
    live->unfunded = saved.unfunded;
    live->stack_peak = saved.stack_peak;
    live->created = saved.created;
    fresh_scope(live);
    if (live->in_ids) {
        live->hi.key = live->id; /* the same text in another place */
    }
    shell_state(live);
}

void pw_live_free(pw_live *live)
{
    pw_core *core = live->core;
    if (live->whole && core->whole_len > 0) {
        core->whole_len--;
    }
    drop_code(live);
    pw_tx_free(live->tx);
    pw_free(live->cmds);
    while (live->voids != NULL) {
        pw_void *v = live->voids;
        live->voids = v->next;
        pw_free(v);
    }
    if (live->queued) {
        DL_DELETE2(core->ready, live, ready_prev, ready_next);
    }
    DL_DELETE2(core->lru, live, lru_prev, lru_next);
    HASH_DELETE(hh, core->runs, live);
    if (live->in_ids) {
        HASH_DELETE(hi, core->ids, live);
    }
    pawl_scope_free(live->scope);
    pw_free(live);
}

/* ---- readiness ---- */

bool pw_live_open_status(const pw_live *live)
{
    return live->state == PW_S_RUN_RUNNING || live->state == PW_S_RUN_PAUSED ||
           live->state == PW_S_RUN_NONE;
}

uint64_t pw_live_build(const pw_live *live)
{
    return live->def != NULL ? live->def->build : live->core->options.build;
}

bool pw_live_crashed(const pw_live *live)
{
    return live->row.crashes >= PW_CRASHES_MAX && live->state == PW_S_RUN_RUNNING;
}

bool pw_live_can_run(const pw_live *live)
{
    return !pw_live_crashed(live) &&
           (live->state == PW_S_RUN_RUNNING || live->state == PW_S_RUN_NONE) && live->def != NULL &&
           live->mismatch == NULL && !live->abandoned && live->core->recovered &&
           live->core->crashes_owed == 0; /* else inputs are kept, and no code runs */
}

void pw_live_ready(pw_live *live)
{
    if (!live->queued && !live->frozen && !live->stalled) {
        live->queued = true;
        DL_APPEND2(live->core->ready, live, ready_prev, ready_next);
    }
}

pw_input *pw_input_new(pw_input_kind kind)
{
    pw_input *in = pw_calloc(1, sizeof *in);
    if (in != NULL) {
        in->kind = kind;
    }
    return in;
}

void pw_input_free(pw_core *core, pw_input *in)
{
    if (in == NULL) {
        return;
    }
    if (in->rq != NULL) { /* nobody will do it any more */
        pawl_error err;
        pw_reply_now(core, in->rq, pw_err(&err, PAWL_NOT, "it was not done; try again"), &err,
                     (pw_view){NULL, 0});
    }
    if (in->report != NULL) {
        pw_report_free(in->report);
    }
    pawl_scope_free(in->scope);
    pw_free(in);
}

void pw_live_input(pw_live *live, pw_input *in)
{
    in->run = live->key;
    DL_APPEND(live->inputs, in);
    pw_live_ready(live);
}

void pw_live_touch(pw_live *live)
{
    pw_core *core = live->core;
    DL_DELETE2(core->lru, live, lru_prev, lru_next);
    DL_APPEND2(core->lru, live, lru_prev, lru_next);
    live->idle_since_ns = core->env.mono_ns(core->env.ctx);
}

static bool evictable(const pw_live *live)
{
    return !live->frozen && !live->queued && !live->stalled && !live->held &&
           live->inputs == NULL && live->queries == NULL && !live->created && !live->kick &&
           !live->crash_owed;
}

static bool random_evict(pw_core *core)
{
    uint8_t coin = 0;
    if (core->options.evict_random) {
        core->env.random(core->env.ctx, &coin, 1);
    }
    return (coin & 3) == 1;
}

/* Drops what is over the limit, what has been idle for long, and everything when nothing may be kept. */
void pw_live_sweep(pw_core *core)
{
    size_t max = core->options.live_runs_max > 0 ? (size_t)core->options.live_runs_max : 0;
    int64_t now = core->env.mono_ns(core->env.ctx);
    pw_live *live, *next;
    size_t looked = 0, count = HASH_COUNT(core->runs); /* once around, no more */
    DL_FOREACH_SAFE2(core->lru, live, next, lru_next)
    {
        bool over = core->whole_len > max || max == 0;
        bool stale = now - live->idle_since_ns > IDLE_EVICT_NS;
        if (!over && !stale && !core->options.evict_random) {
            break;
        }
        if (++looked > SWEEP_MAX || looked > count) {
            break;
        }
        if (!evictable(live)) {
            pw_live_touch(
                live); /* in use, so not idle: else many that wait for their turn would hide those that had it */
        } else if (over || stale || random_evict(core)) {
            core->stats.evictions++;
            pw_live_free(live);
        }
    }
}
