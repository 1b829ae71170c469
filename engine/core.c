/*
 * core.c - the core's life: making, registering, stepping, the answers of groups, fail-stop, statistics and self-checks.
 *
 * One step: inbox -> timers -> dispatches -> turns of ready runs -> one group. At most PW_GROUPS_IN_FLIGHT_MAX groups are in flight.
 * Does not know what an operation means: requests.c, turn.c and job.c do.
 */
#include "engine/core.h"
#include "engine/budget.h"
#include "engine/bugs.h"

#include <stdio.h>
#include <string.h>

#include "engine/convo.h"
#include "engine/map.h"
#include "engine/parts.h"
#include "engine/queue.h"
#include "sdk/base/id.h"

/* ---- small things ---- */

int64_t pw_core_now(pw_core *core)
{
    return core->env.now_ms(core->env.ctx);
}

void pw_core_log(pw_core *core, pawl_level level, const char *run_id, int64_t cmd, const char *fmt,
                 ...)
{
    if (core->env.log == NULL) {
        return;
    }
    char text[PW_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    core->env.log(core->env.ctx, level, run_id, cmd, text);
}

void pw_core_retry_later(pw_core *core, pw_request *rq)
{
    LL_APPEND(core->deferred, rq);
}

/* ---- making ---- */

pawl_status pw_core_new(const pw_env *env, const pw_core_options *options, pw_core **ret_core,
                        pawl_error *err)
{
    pw_core *core = pw_calloc(1, sizeof *core);
    if (core == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    core->env = *env;
    core->options = *options;
    core->reader = options->reader;
    core->jops = options->reader->ops;
    core->group_no = options->group_no;
    core->jops->blob_key(core->reader, core->blob_key);
    int64_t max = 0;
    pawl_status st = core->jops->key_max(core->reader, &max, err);
    if (st != PAWL_OK) {
        pw_free(core);
        return st;
    }
    core->convos = pw_convos_new(core->reader->journal);
    if (core->convos == NULL) {
        pw_free(core);
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    core->next_key = max + 1;
    core->blocks.len_max = PW_RUN_BLOCKS_POOLED_MAX;
    pw_queues_init(core);
    *ret_core = core;
    return PAWL_OK;
}

static void free_def(pw_def *d)
{
    pw_free(d->name);
    pw_free(d->version);
    pw_free(d->description);
    pw_free(d->input_schema);
    pw_free(d->output_schema);
    pw_free(d->publish);
    pw_schemas_free(d->input_fits);
    pw_free(d);
}

static void free_code(pw_core *core)
{
    while (core->defs != NULL) {
        pw_def *d = core->defs;
        core->defs = d->next;
        free_def(d);
    }
    pw_act *act, *next;
    HASH_ITER (hh, core->acts, act, next) {
        HASH_DEL(core->acts, act);
        pw_free(act->name);
        pw_free(act);
    }
}

static void refuse(pw_core *core, pw_request *rq, const pawl_error *err)
{
    pw_reply_now(core, rq, err->status, err, (pw_view){NULL, 0});
}

static void free_requests(pw_core *core, const pawl_error *err)
{
    pw_request **lists[] = {&core->early, &core->deferred, &core->inbox_queue};
    pw_polls_free(core, err);
    for (size_t i = 0; i < PW_COUNT(lists); i++) {
        while (*lists[i] != NULL) {
            pw_request *rq = *lists[i];
            *lists[i] = rq->next;
            refuse(core, rq, err);
        }
    }
    for (int64_t i = 0; i < PW_WAITER_LISTS; i++) {
        for (pw_waiter **list = pw_waiters_of(core, i), *w = *list; w != NULL; w = *list) {
            DL_DELETE(*list, w);
            refuse(core, w->rq, err);
            pw_free(w);
        }
    }
    while (core->watchers != NULL) {
        pw_watcher *w = core->watchers;
        DL_DELETE(core->watchers, w);
        refuse(core, w->rq, err);
        pw_free(w);
    }
}

static void free_input(pw_core *core, pw_input *in, const pawl_error *err)
{
    if (in->rq != NULL) {
        refuse(core, in->rq, err);
        in->rq = NULL;
    }
    pw_input_free(core, in);
}

static void free_batch(pw_core *core, pw_batch *b, const pawl_error *err)
{
    for (pw_publish *p = b->publish; p != NULL; p = p->next) {
        if (p->kind == PW_PUB_REPLY) {
            refuse(core, p->rq, err);
        }
    }
    while (b->inputs != NULL) {
        pw_input *in = b->inputs;
        DL_DELETE(b->inputs, in);
        free_input(core, in, err);
    }
    pw_batch_free(b);
}

/* What waits for a turn or for a thaw. */
static void free_waiting(pw_core *core, const pawl_error *err)
{
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        while (live->inputs != NULL) {
            pw_input *in = live->inputs;
            DL_DELETE(live->inputs, in);
            free_input(core, in, err);
        }
        while (live->queries != NULL) {
            pw_request *rq = live->queries;
            live->queries = rq->next;
            refuse(core, rq, err);
        }
    }
}

static void free_runs(pw_core *core)
{
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        pw_live_free(live);
    }
}

static void free_jobs(pw_core *core)
{
    pw_map *map, *mnext;
    HASH_ITER (hh, core->maps, map, mnext) {
        pw_map_free(core, map);
    }
    pw_job *job, *jnext;
    HASH_ITER (hh, core->jobs, job, jnext) {
        pw_job_free(core, job);
    }
    pw_run_jobs *rj, *rnext;
    HASH_ITER (hh, core->run_jobs, rj, rnext) {
        HASH_DEL(core->run_jobs, rj);
        pw_free(rj);
    }
    pw_inbox_seen *seen, *snext;
    HASH_ITER (hh, core->inbox_seen, seen, snext) {
        HASH_DEL(core->inbox_seen, seen);
        pw_free(seen);
    }
    pw_dedup_busy *busy, *bnext;
    HASH_ITER (hh, core->dedup_busy, busy, bnext) {
        HASH_DEL(core->dedup_busy, busy);
        pw_free(busy);
    }
}

void pw_core_free(pw_core *core)
{
    if (core == NULL) {
        return;
    }
    pawl_error err;
    (void)pw_err(&err, PAWL_SHUTDOWN, "the engine is closing");
    if (core->building != NULL) {
        free_batch(core, core->building, &err);
    }
    while (core->flight != NULL) {
        pw_batch *b = core->flight;
        LL_DELETE(core->flight, b);
        free_batch(core, b, &err);
    }
    free_requests(core, &err);
    free_waiting(core, &err);
    free_runs(core);
    free_jobs(core);
    pw_budget_free(core);
    pw_queues_free(core);
    free_code(core);
    pw_batch_trim(core);
    pw_pool_trim(&core->blocks);
    pw_free(core->heap);
    pw_convos_close(core->convos); /* (its tasks may outlive it) */
    pw_convos_unref(core->convos);
    pw_free(core);
    pw_fiber_trim();
}

/* ---- registration ---- */

static char *copy_text(const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    char *copy = pw_malloc(n + 1);
    if (copy != NULL) {
        if (n > 0) {
            memcpy(copy, text, n);
        }
        copy[n] = 0;
    }
    return copy;
}

static pawl_status check_names(const char *name, const char *version, pawl_error *err)
{
    pawl_status st = pw_name_check(name != NULL ? name : "", name != NULL ? strlen(name) : 0, err);
    if (st == PAWL_OK &&
        (version == NULL || version[0] == 0 || strlen(version) > PW_NAME_BYTES_MAX)) {
        st = pw_err(err, PAWL_INVALID, "workflow \"%s\" has no usable version", name);
    }
    return st;
}

/* A caller built against an older header has a shorter struct: what it lacks is zero. struct_size comes first, 0 = of today. */
static void take_options(void *ret, size_t size, const void *given)
{
    size_t theirs = 0;
    memset(ret, 0, size);
    if (given != NULL) {
        memcpy(&theirs, given, sizeof theirs);
        memcpy(ret, given, theirs != 0 && theirs < size ? theirs : size);
    }
}

/* Runs in memory may have come there before their code did: by a question about them, before recovery too. */
static void give_code(pw_core *core)
{
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        if (live->def == NULL) {
            live->def = pw_def_find(core, live->row.workflow, live->row.version);
            bool waited = core->recovered || pw_view_is(live->row.waiting, "no-code") ||
                          pw_view_is(live->row.waiting, "code");
            live->kick |= live->def != NULL && waited;
        }
    }
}

static uint64_t build_of(const pw_core *core, const pw_def *def)
{
    const void *code = NULL; /* ISO C has no cast from a function's pointer to an object's */
    if (core->env.build_of == NULL) {
        return core->options.build;
    }
    if (def->fn != NULL) {
        memcpy(&code, &def->fn, sizeof code);
    } else {
        memcpy(&code, &def->folded.decide, sizeof code);
    }
    return core->env.build_of(core->env.ctx, code);
}

/* What doors show of it: a schema that is one, and a map. */
static pawl_status check_shown(const pawl_workflow_options *o, pawl_error *err)
{
    pw_schemas *output = NULL;
    const pawl_value *publish = NULL;
    pawl_status st = pw_fits_text(o->output_schema, &output, err);
    pw_schemas_free(output);
    if (st != PAWL_OK || o->publish == NULL || o->publish[0] == 0) {
        return st;
    }
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    st = pawl_parse_json(scope, o->publish, strlen(o->publish), &publish, err);
    if (st != PAWL_OK) {
        (void)pw_error_wrap(err, st, "what is to be published");
    } else if (pawl_typeof(publish) != PAWL_MAP) {
        st = pw_err(err, PAWL_INVALID, "what is to be published is no map");
    }
    pawl_scope_free(scope);
    return st;
}

pawl_status pw_core_workflow(pw_core *core, const char *name, const char *version,
                             pawl_workflow_fn fn, const pawl_folded *folded,
                             const pawl_workflow_options *options, pawl_error *err)
{
    pawl_status st = check_names(name, version, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_view n = {(const uint8_t *)name, strlen(name)};
    pw_view v = {(const uint8_t *)version, strlen(version)};
    if (pw_def_find(core, n, v) != NULL) {
        return pw_err(err, PAWL_EXISTS, "workflow \"%s\" version \"%s\" is registered already",
                      name, version);
    }
    bool callbacks = folded != NULL && folded->init != NULL && folded->apply != NULL &&
                     folded->decide != NULL && folded->deinit != NULL;
    if (fn == NULL && !callbacks) {
        return pw_err(err, PAWL_INVALID,
                      "workflow \"%s\" needs a function, or init, apply, decide and deinit", name);
    }
    pawl_workflow_options own;
    take_options(&own, sizeof own, options);
    if (own.stack_bytes > PW_STACK_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "workflow \"%s\": a stack of %zu bytes is more than %u",
                      name, own.stack_bytes, PW_STACK_BYTES_MAX);
    }
    pw_def *def = pw_calloc(1, sizeof *def);
    if (def == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    def->name = copy_text(name);
    def->version = copy_text(version);
    def->fn = fn;
    take_options(&def->folded, sizeof def->folded, folded);
    def->description = copy_text(own.description);
    def->input_schema = copy_text(own.input_schema);
    def->output_schema = copy_text(own.output_schema);
    def->publish = copy_text(own.publish);
    def->stack_bytes = own.stack_bytes;
    def->build = build_of(core, def);
    if (def->name == NULL || def->version == NULL || def->description == NULL ||
        def->input_schema == NULL || def->output_schema == NULL || def->publish == NULL) {
        free_def(def);
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    st = pw_fits_text(own.input_schema, &def->input_fits, err);
    st = st == PAWL_OK ? check_shown(&own, err) : st;
    if (st != PAWL_OK) {
        free_def(def);
        return pw_error_wrap(err, st, "workflow \"%s\"", name);
    }
    def->next = core->defs;
    core->defs = def;
    if (core->recovered) { /* runs that waited for it go on; timers that came due without it are due again */
        core->scan_before = INT64_MAX;
        pw_timers_reset(core);
    }
    give_code(core);
    return PAWL_OK;
}

pawl_status pw_core_activity(pw_core *core, const char *name, pawl_activity_fn fn,
                             const pawl_activity_options *options, pawl_error *err)
{
    pawl_status st = check_names(name, "1", err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_act *act;
    HASH_FIND(hh, core->acts, name, strlen(name), act);
    if (act != NULL) {
        return pw_err(err, PAWL_EXISTS, "activity \"%s\" is registered already", name);
    }
    act = pw_calloc(1, sizeof *act);
    char *own = copy_text(name);
    if (act == NULL || own == NULL) {
        pw_free(act);
        pw_free(own);
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pawl_activity_options given;
    take_options(&given, sizeof given, options);
    act->name = own;
    act->fn = fn;
    act->user = given.user;
    act->effect = given.effect;
    act->runner = given.runner;
    act->concurrency = given.concurrency;
    act->read_back = (pw_read_back){given.read_back, given.user};
    HASH_ADD_KEYPTR(hh, core->acts, act->name, strlen(act->name), act);
    if (act->hh.tbl == NULL) {
        pw_free(own);
        pw_free(act);
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pw_queue_act(core, act);
    return PAWL_OK;
}

/* Until the crashes found are on disk no code runs, whose crash would lose the count [E7]. */
static void count_owed(pw_core *core)
{
    core->crashes_owed = 0;
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        core->crashes_owed += live->crash_owed ? 1 : 0;
    }
}

pawl_status pw_core_recover(pw_core *core, pawl_error *err)
{
    if (core->recovered) {
        return PAWL_OK;
    }
    core->recovered = true;
    core->careful =
        core->careful || core->options.crumb_found.run >=
                             core->next_key; /* it died in its first turn, and left no row */
    pawl_status st = pw_recover_crumb(core, err);
    count_owed(core);
    if (st == PAWL_OK) {
        st = pw_queues_recover(core, err);
    }
    if (st == PAWL_OK) {
        st = pw_budget_recover(core, err);
    }
    if (st == PAWL_OK) {
        st = pw_jobs_recover(core, err);
    }
    if (st == PAWL_OK) {
        st = pw_maps_recover(core, err);
    }
    core->scan_before = INT64_MAX;
    core->inbox_dirty = true;
    core->queue_dirty = true;
    core->recovered =
        st ==
        PAWL_OK; /* else it may be asked for again: what is in memory already is passed over */
    return st;
}

/* ---- inputs ---- */

void pw_core_request(pw_core *core, pw_request *rq)
{
    rq->next = NULL;
    pw_request_handle(core, rq);
}

void pw_core_report(pw_core *core, pw_report *report)
{
    report->next = NULL;
    if (core->failed) {
        pw_report_free(report);
        return;
    }
    (void)pw_job_report(core, report);
}

void pw_core_fail(pw_core *core, const pawl_error *err)
{
    if (core->failed) {
        return;
    }
    core->failed = true;
    core->failure = *err;
    pw_core_log(core, PAWL_ERROR, "", 0, "the engine stops: %s", err->message);
    if (core->building != NULL) { /* it will never be handed over */
        pw_batch *b = core->building;
        pw_batch_take_back(b);
        core->building = NULL;
        free_batch(core, b, err);
    }
    free_requests(core, err);
    free_waiting(core, err);
    core->env.failed(core->env.ctx, err);
}

static void tell_replied(pw_core *core)
{
    if (core->env.replied != NULL) {
        core->env.replied(core->env.ctx);
    }
}

static void answered_unknown(pw_core *core, pw_batch *b)
{
    bool landed = false;
    pawl_error err;
    pawl_status st =
        core->env.resolve(core->env.ctx, core->options.epoch, b->group.number, &landed, &err);
    if (st != PAWL_OK) {
        pw_publish_failed(core, b, PAWL_UNKNOWN);
        (void)pw_error_wrap(
            &err, st,
            "a commit failed and the journal could not be reopened; nothing more is acknowledged");
        err.status = PAWL_IO;
        pw_core_fail(core, &err);
    } else if (landed && !PW_BUG_UNKNOWN_TAKEN_AS_LOST) {
        core->group_no = b->group.number;
        pw_publish_resolved(core, b);
    } else {
        pw_publish_failed(core, b, PAWL_NOT);
    }
}

static void answered(pw_core *core, pw_batch *b)
{
    switch ((int)b->group.status) {
    case PAWL_OK:
        pw_publish_batch(core, b);
        return;
    case PAWL_UNKNOWN:
        answered_unknown(core, b);
        return;
    case PAWL_FENCED:
        pw_publish_failed(core, b, PAWL_FENCED);
        pw_core_fail(core, &b->group.error);
        return;
    default:
        break;
    }
    pw_core_log(core, PAWL_WARN, "", 0, "a group was not written: %s", b->group.error.message);
    pw_publish_failed(
        core, b,
        core->doomed ? PAWL_NOT : b->group.status); /* doomed: the reason is the group before it */
    if (b->group.status == PAWL_NOSPACE) {
        core->backoff_until_ns = core->env.mono_ns(core->env.ctx) + 1000000000;
    }
}

static void handle_deferred(pw_core *core)
{
    while ((core->recovered || core->shutdown) && core->early != NULL) { /* the oldest first */
        pw_request *rq = core->early;
        core->early = rq->next;
        LL_PREPEND(core->deferred, rq);
    }
    pw_request *again = core->deferred;
    core->deferred = NULL;
    while (again != NULL) {
        pw_request *rq = again;
        again = rq->next;
        rq->next = NULL;
        pw_request_handle(core, rq);
    }
}

void pw_core_committed(pw_core *core, pw_group *group)
{
    pw_batch *b = group->user;
    PW_CHECK(core->flight == b); /* in order */
    LL_DELETE(core->flight, b);
    core->flight_len--;
    int64_t failed_before = core->stats.failed_groups;
    if (b->group.status == PAWL_OK) {
        core->group_no = b->group.number;
        pw_batch_note_sync(core, b->group.sync_ns);
    }
    answered(core, b);
    pw_batch_free(b);
    /* Whatever was submitted behind a group that did not land cannot land either: numbers have no gap. */
    core->doomed =
        core->flight_len > 0 && (core->doomed || core->stats.failed_groups != failed_before);
    handle_deferred(core);
    tell_replied(core);
}

void pw_core_clock_changed(pw_core *core)
{
    pw_queues_clock(core);
    pw_timers_reset(core);
}

/* ---- stepping ---- */

static bool may_commit(const pw_core *core)
{
    return !core->failed && !core->doomed && core->flight_len < PW_GROUPS_IN_FLIGHT_MAX;
}

static void run_turns(pw_core *core)
{
    int64_t from_ns = core->env.mono_ns(core->env.ctx), turns_before = core->stats.turns;
    while (core->ready != NULL && may_commit(core)) {
        pw_batch_show(core);
        if (pw_batch_full(core)) {
            pw_batch_submit(core);
            continue;
        }
        pw_live *live = core->ready;
        DL_DELETE2(core->ready, live, ready_prev, ready_next);
        live->queued = false;
        if (pw_scarce_holds(live) || !pw_turn_run(live)) {
            continue;
        }
        if (!live->frozen && !live->stalled && live->inputs == NULL && live->queries != NULL) {
            pw_queries_run(live);
        }
    }
    pw_batch_note_pace(core, from_ns, core->stats.turns - turns_before);
}

#define SCARCE_LOOK_MS 1000

static int64_t next_call(pw_core *core)
{
    if (core->failed) {
        return -1;
    }
    bool looks =
        !core->shutdown && !core->scarce && (core->inbox_dirty || pw_recover_scanning(core));
    bool now = may_commit(core) && (core->ready != NULL || looks);
    int64_t backoff = (core->backoff_until_ns - core->env.mono_ns(core->env.ctx)) / 1000000;
    if (core->backoff_until_ns != 0 && backoff > 0) {
        return backoff;
    }
    if (now) {
        return 0;
    }
    int64_t next = core->shutdown ? -1 : core->scarce ? SCARCE_LOOK_MS : pw_timers_next(core);
    if (core->beats_dirty && (next < 0 || next > PW_HEARTBEAT_WRITE_MS)) {
        next = PW_HEARTBEAT_WRITE_MS;
    }
    int64_t bucket = core->shutdown || core->scarce || !core->recovered ? -1 : pw_queues_next(core);
    next = bucket >= 0 && (next < 0 || next > bucket) ? bucket : next;
    int64_t again = pw_again_next(core);
    return again >= 0 && (next < 0 || next > again) ? again : next;
}

static int64_t step(pw_core *core)
{
    if (core->failed) {
        return -1;
    }
    if (core->backoff_until_ns != 0 && core->env.mono_ns(core->env.ctx) < core->backoff_until_ns) {
        return next_call(core);
    }
    core->backoff_until_ns = 0;
    pw_again_step(core);
    pw_scarce_step(core);
    pw_maps_pump(core);
    if (core->recovered && !core->scarce) {
        pw_recover_scan(core);
        pw_inbox_poll(core);
        pw_timers_fire(core);
        pw_queues_step(core);
        pw_budget_room(core);
        pw_job_dispatch_all(core);
        pw_maps_short(core);
        pw_job_beats(core);
    }
    run_turns(core); /* when closing too: what running activities bring is still kept */
    if (may_commit(core) && pw_batch_due(core)) {
        pw_maps_flush(core);
        pw_batch_submit(core);
    }
    PW_CHECK(core->building == NULL || !core->building->open);
    if (core->flight_len == 0) { /* no ack will look at them */
        handle_deferred(core);
    }
    pw_live_sweep(core);
    pw_budget_sweep(core);
    return next_call(core);
}

int64_t pw_core_step(pw_core *core)
{
    int64_t wait_ms = step(core);
    tell_replied(core);
    return wait_ms;
}

bool pw_core_idle(const pw_core *core)
{
    return core->flight_len == 0 && core->ready == NULL && core->building == NULL &&
           core->deferred == NULL && !core->inbox_dirty && core->map_work == NULL &&
           core->scan_before == 0;
}

size_t pw_core_tasks_running(const pw_core *core)
{
    return core->tasks_running;
}

/* ---- statistics and checks ---- */

const pawl_value *pw_core_stats(pw_core *core, pawl_scope *scope)
{
    const pw_stats *s = &core->stats;
    return pawl_build(
        scope,
        "{runs_in_memory: %u, stacks: %zu, stack_peak: %zu, timers: %zu, timer_bytes: %zu, jobs: %u, tasks_running: %zu, turns: %lld, "
        "commits: %lld, group_ops: %lld, failed_groups: %lld, commands: %lld, steps: %lld, replayed_events: %lld, loads: %lld, evictions: %lld, "
        "stale: %lld, refused: %lld, attempts: %lld, timers_fired: %lld, requests: %lld, mismatches: %lld, epoch: %llu}",
        HASH_COUNT(core->runs), core->whole_len, s->stack_peak, core->heap_len,
        core->heap_cap * sizeof *core->heap, HASH_CNT(hh, core->jobs), core->tasks_running,
        (long long)s->turns, (long long)s->groups, (long long)s->group_ops,
        (long long)s->failed_groups, (long long)s->commands, (long long)s->steps,
        (long long)s->replayed_events, (long long)s->loads, (long long)s->evictions,
        (long long)s->stale, (long long)s->refused, (long long)s->jobs_started,
        (long long)s->timers_fired, (long long)s->requests, (long long)s->mismatches,
        (unsigned long long)core->options.epoch);
}

bool pw_core_edge_seen(const pw_core *core, int edge)
{
    return edge >= 0 && (size_t)edge < sizeof core->edges_seen && core->edges_seen[edge] != 0;
}

static void check_live(const pw_live *live)
{
    PW_CHECK(live->key < live->core->next_key);
    PW_CHECK(!(live->queued && live->frozen));             /* [E2] */
    PW_CHECK(live->record == NULL && live->batch == NULL); /* between turns */
    size_t open = 0;
    const pw_cmd *cmd;
    DL_FOREACH (live->open, cmd) {
        PW_CHECK(!cmd->future.done);
        PW_CHECK(pw_cmd_find(live->core->runs != NULL ? pw_live_find(live->core, live->key) : NULL,
                             cmd->id) == cmd);
        open++;
    }
    PW_CHECK(open == live->open_len);
    if (live->whole && !live->frozen && live->retry_from == 0) {
        PW_CHECK(live->seq == live->row.seq); /* state is the journal's, no more and no less [E3] */
    }
}

void pw_core_check(pw_core *core)
{
    size_t whole = 0;
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        check_live(live);
        whole += live->whole ? 1 : 0;
    }
    PW_CHECK(whole == core->whole_len);
    size_t running = 0;
    pw_job *job, *jnext;
    HASH_ITER (hh, core->jobs, job, jnext) {
        running += job->task != NULL ? 1 : 0;
        PW_CHECK(job->in_queue == (job->state == PW_JOB_QUEUED));
    }
    PW_CHECK(running == core->tasks_running);
    pw_queues_check(core);
    PW_CHECK(core->flight_len <= PW_GROUPS_IN_FLIGHT_MAX);
}
