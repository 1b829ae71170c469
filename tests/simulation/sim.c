/*
 * sim.c - the engine's real core under a seed: pawl-sim [FIRST_SEED [SEEDS [STEPS]]].
 *
 * One thread, a virtual clock, a journal in memory. The seed decides everything: what workflows do, when groups are written and answered,
 * which commits fail and how, when the process is killed, when time goes by, which reports come twice or late, who pauses, cancels,
 * signals and answers. After each step the core checks itself; at the end faults stop and every run must reach its end.
 *
 * [E1] nothing is dispatched that the journal does not hold      [E4] a report of another attempt or epoch changes nothing
 * [E2] [E3] pw_core_check after each step                        [E5] histories rebuild without a mismatch after a crash
 * [E6] groups that do not land leave nothing behind
 * Does not use SQLite: the fault tests of the journal do.
 */
#include <stdio.h>

#include "sdk/base/mem.h"
#include "tests/engine/rig.h"

#define RUNS_MAX 40
#define KEYS_MAX 4096

typedef struct effect {
    char key[96];
    int started;
    int retries; /* answered "it did not happen" */
} effect;

typedef struct sim {
    rig *r;
    uint64_t seed;
    effect effects[KEYS_MAX];
    size_t effects_len;
    rig_reply *starts[RUNS_MAX];
    int runs;
    long crashes, faults, stale, answers;
} sim;

static sim *the_sim; /* activities have no other way to it */

static effect *effect_of(const char *key)
{
    sim *s = the_sim;
    for (size_t i = 0; i < s->effects_len; i++) {
        if (strcmp(s->effects[i].key, key) == 0) {
            return &s->effects[i];
        }
    }
    if (s->effects_len == KEYS_MAX) {
        return &s->effects[0];
    }
    effect *e = &s->effects[s->effects_len++];
    (void)snprintf(e->key, sizeof e->key, "%s", key);
    return e;
}

/* ---- code: what it does is drawn from the run's own deterministic numbers ---- */

static const pawl_value *work(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    effect_of(pawl_task_key(t))->started++;
    if (pawl_int(in, "fail", 0) >= pawl_task_attempt(t)) {
        return pawl_task_fail(t, "Flaky", "attempt %d", pawl_task_attempt(t));
    }
    return pawl_task_build(t, "{n: %lld}", (long long)pawl_int(in, "n", 0) + 1);
}

static const pawl_value *pay(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    effect_of(pawl_task_key(t))->started++;
    return pawl_task_build(t, "{paid: true}");
}

static const pawl_value *note(pawl_step *s, const pawl_value *in)
{
    (void)in;
    return pawl_step_build(s, "{noted: true}");
}

static const pawl_value *branch(pawl_run *w, void *arg)
{
    (void)arg;
    (void)pawl_sleep(w, 0.05);
    return pawl_call(w, "work", .input = pawl_json(w, "{n: 5}"));
}

static void some_map(pawl_run *w)
{
    const pawl_value *items = pawl_json(w, "[{n: 1}, {n: 2, fail: 1}, {n: 3}]");
    const pawl_value *out = pawl_map(w, "work", items, .width = 2, .mode = PAWL_MAP_COLLECT);
    if (pawl_ok(w) && pawl_len(out) != 3) {
        (void)pawl_fail(w, "SimBroken", "a map of 3 gave %zu", pawl_len(out));
    }
}

static void some_race(pawl_run *w)
{
    pawl_future *f[3] = {pawl_go(w, branch, NULL), pawl_timer_start(w, 0.02), pawl_signal_start(w, "go", .timeout_s = 0.2)};
    (void)pawl_await_any(w, f, 3);
    (void)pawl_await_all(w, f, 3);
}

static void one_thing(pawl_run *w, uint64_t what)
{
    switch (what % 11) {
    case 0:
    case 1:
        (void)pawl_call(w, "work", .input = pawl_json(w, "{n: 1, fail: %d}", (int)(what >> 8 & 1)), .retry_initial_s = 0.1);
        break;
    case 2:
        (void)pawl_local(w, "note", note, NULL);
        break;
    case 3:
        (void)pawl_sleep(w, (double)(what >> 8 & 63) / 100.0);
        break;
    case 4:
        (void)pawl_signal(w, "go", .timeout_s = 1);
        break;
    case 5:
        some_map(w);
        break;
    case 6:
        some_race(w);
        break;
    case 7:
        (void)pawl_call(w, "pay", .effect = PAWL_EFFECT_UNSAFE, .undo = "work");
        break;
    case 8:
        (void)pawl_ask(w, "ok", .choices = "yes|no", .deadline_s = 5, .on_deadline = "no");
        break;
    case 9:
        pawl_set(w, "at", pawl_json(w, "{now: %lld, id: %s}", (long long)pawl_now_ms(w), pawl_uuid(w)));
        break;
    default:
        (void)pawl_child(w, "leaf", .input = pawl_json(w, "{n: 2}"), .policy = (pawl_parent_policy)(what >> 8 & 1));
        break;
    }
}

static const pawl_value *leaf(pawl_run *w, const pawl_value *in)
{
    (void)pawl_sleep(w, 0.01);
    return pawl_call(w, "work", .input = in, .undo = "work");
}

static const pawl_value *mixed(pawl_run *w, const pawl_value *in)
{
    int64_t round = pawl_int(in, "round", 0);
    for (uint64_t i = 0, n = 2 + pawl_random(w) % 5; i < n && pawl_ok(w); i++) {
        one_thing(w, pawl_random(w));
        if (pawl_failure_is(pawl_catch(w), "SimBroken")) {
            return pawl_fail(w, "SimBroken", "see above");
        }
    }
    if (round < 2 && pawl_random(w) % 4 == 0 && !pawl_cancel_requested(w)) {
        return pawl_continue_as_new(w, pawl_json(w, "{round: %lld}", (long long)round + 1));
    }
    return pawl_random(w) % 6 == 0 ? pawl_fail(w, "Chosen", "as drawn") : pawl_json(w, "{round: %lld}", (long long)round);
}

/* ---- a folded workflow: counts what it asked for ---- */

typedef struct fold_state {
    int64_t asked, ended;
} fold_state;

static void *fold_init(void *user)
{
    (void)user;
    return pw_calloc(1, sizeof(fold_state));
}

static void fold_apply(void *state, const pawl_fold_event *ev)
{
    fold_state *f = state;
    f->asked += strcmp(ev->type, "ActivityScheduled") == 0 || strcmp(ev->type, "TimerStarted") == 0;
    f->ended += strcmp(ev->type, "ActivityCompleted") == 0 || strcmp(ev->type, "ActivityFailed") == 0 ||
                strcmp(ev->type, "ActivityCanceled") == 0 || strcmp(ev->type, "TimerFired") == 0;
}

static void fold_decide(void *state, pawl_fold *f)
{
    const fold_state *s = state;
    if (s->asked > s->ended) {
        return;
    }
    if (s->ended == 12) {
        pawl_fold_complete(f, pawl_build(pawl_fold_scope(f), "{ended: %lld}", (long long)s->ended));
    } else if (s->ended % 3 == 2) {
        (void)pawl_fold_timer(f, 0.05);
    } else {
        pawl_call_options o = {.name = "work", .input = pawl_build(pawl_fold_scope(f), "{n: 1}")};
        (void)pawl_fold_call(f, &o, sizeof o);
    }
}

static const pawl_value *fold_save(const void *state, pawl_scope *scope)
{
    const fold_state *s = state;
    return pawl_build(scope, "{asked: %lld, ended: %lld}", (long long)s->asked, (long long)s->ended);
}

static void *fold_load(const pawl_value *saved, void *user)
{
    fold_state *s = fold_init(user);
    if (s != NULL) {
        *s = (fold_state){pawl_int(saved, "asked", 0), pawl_int(saved, "ended", 0)};
    }
    return s;
}

static const pawl_folded folded = {.struct_size = sizeof folded, .init = fold_init, .apply = fold_apply, .decide = fold_decide,
                                   .save = fold_save, .load = fold_load, .deinit = pw_free};

/* ---- [E1]: what is dispatched is in the journal ---- */

typedef struct row_find {
    int64_t cmd;
    bool found;
} row_find;

static bool task_row(void *ctx, const pw_task_row *row)
{
    row_find *f = ctx;
    f->found |= row->cmd == f->cmd;
    return true;
}

static bool map_row(void *ctx, const pw_map_row *row)
{
    row_find *f = ctx;
    f->found |= row->cmd == f->cmd;
    return true;
}

static void check_dispatch(rig *r, const rig_task *t)
{
    row_find f = {.cmd = t->token.cmd};
    pawl_error err;
    if (t->token.item == 0) {
        assert_int_equal(r->reader->ops->tasks(r->reader, t->token.run, task_row, &f, &err), PAWL_OK);
    } else {
        assert_int_equal(r->reader->ops->maps(r->reader, t->token.run, map_row, &f, &err), PAWL_OK);
    }
    /* (a group that has landed and is not answered yet may have taken the row away again) */
    assert_true(f.found || r->landed != NULL || r->groups != NULL);
}

/* ---- the world acts ---- */

static const char *some_id(sim *s)
{
    static char id[32];
    (void)snprintf(id, sizeof id, "run-%d", (int)(rig_draw(&s->seed) % (uint64_t)(s->runs > 0 ? s->runs : 1)));
    return id;
}

static void begin_run(sim *s)
{
    char id[32], dedup[32];
    if (s->runs == RUNS_MAX) {
        return;
    }
    (void)snprintf(id, sizeof id, "run-%d", s->runs);
    (void)snprintf(dedup, sizeof dedup, "start-%d", s->runs);
    const char *workflow = rig_draw(&s->seed) % 5 == 0 ? "folded" : "mixed";
    s->starts[s->runs++] = rig_post(s->r, "start", "{workflow: %s, id: %s, dedup: %s}", workflow, id, dedup);
}

static void ask_again(sim *s)
{
    int n = s->runs > 0 ? (int)(rig_draw(&s->seed) % (uint64_t)s->runs) : -1;
    if (n >= 0 && s->starts[n]->done && s->starts[n]->status == PAWL_OK) { /* the same key: the first outcome, never a second run */
        char id[32], dedup[32];
        (void)snprintf(id, sizeof id, "run-%d", n);
        (void)snprintf(dedup, sizeof dedup, "start-%d", n);
        (void)rig_post(s->r, "start", "{workflow: %s, id: %s, dedup: %s}", "mixed", id, dedup);
    }
}

static bool answer_wait(void *ctx, const pw_wait_row *row)
{
    sim *s = ctx;
    char name[PW_NAME_BYTES_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)row->name.size, (const char *)row->name.data);
    int64_t key = row->run;
    const char *choice = "yes";
    if (strcmp(name, "pay") == 0) {
        char want[96];
        (void)snprintf(want, sizeof want, ":%lld:%lld", (long long)key, (long long)row->cmd);
        choice = "retry";
        for (size_t i = 0; i < s->effects_len; i++) {
            const char *at = strstr(s->effects[i].key, want);
            if (at != NULL && at[strlen(want)] == 0 && s->effects[i].started > 0) {
                choice = "done";
            }
        }
    }
    (void)rig_post(s->r, "answer", "{key: %lld, name: %s, value: {choice: %s}}", (long long)key, name, choice);
    s->answers++;
    return true;
}

static void answer_all(sim *s)
{
    pawl_error err;
    (void)s->r->reader->ops->waits(s->r->reader, 0, answer_wait, s, &err);
}

static void stale_report(sim *s)
{
    pw_report *rep = pw_calloc(1, sizeof *rep);
    rep->kind = (pw_report_kind)(rig_draw(&s->seed) % 5);
    rep->token = (pw_token){(int64_t)(rig_draw(&s->seed) % 12) + 1, (int64_t)(rig_draw(&s->seed) % 6) + 1, 0, (int64_t)(rig_draw(&s->seed) % 3),
                            s->r->epoch - (rig_draw(&s->seed) % 2 + 1)};
    rep->scope = pawl_scope_new();
    rep->value = pw_value_bytes(pawl_build(rep->scope, "{wrong: true}"));
    pw_core_report(s->r->core, rep);
    s->stale++;
}

static void fault(sim *s)
{
    static const pw_memory_fault kinds[] = {PW_FAULT_NOT, PW_FAULT_NOSPACE, PW_FAULT_UNKNOWN_LANDED, PW_FAULT_UNKNOWN_LOST, PW_FAULT_CHECKPOINT};
    pw_memory_fail_commit(s->r->store, kinds[rig_draw(&s->seed) % 5], rig_draw(&s->seed) % 4);
    s->faults++;
}

static void act(sim *s)
{
    rig *r = s->r;
    uint64_t d = rig_draw(&s->seed) % 1000;
    if (d < 60) {
        begin_run(s);
    } else if (d < 90) {
        (void)rig_post(r, "signal", "{id: %s, name: 'go', value: %d}", some_id(s), 7);
    } else if (d < 96) {
        (void)rig_post(r, "cancel", "{id: %s, reason: 'drawn'}", some_id(s));
    } else if (d < 104) {
        (void)rig_post(r, "pause", "{id: %s}", some_id(s));
    } else if (d < 116) {
        (void)rig_post(r, "resume", "{id: %s}", some_id(s));
    } else if (d < 119) {
        (void)rig_post(r, "terminate", "{id: %s}", some_id(s));
    } else if (d < 124) {
        (void)rig_post(r, "retry", "{id: %s}", some_id(s));
    } else if (d < 132) {
        ask_again(s);
    } else if (d < 140) {
        answer_all(s);
    } else if (d < 150) {
        stale_report(s);
    } else if (d < 158) {
        fault(s);
    } else if (d < 166) {
        s->crashes++;
        rig_crash(r);
    } else if (d < 260) {
        r->now_ms += (int64_t)(rig_draw(&s->seed) % 200);
    } else if (d < 460) {
        rig_step(r);
    } else if (d < 620) {
        (void)rig_commit(r);
    } else if (d < 780) {
        (void)rig_answer(r);
    } else if (d < 880) {
        (void)rig_deliver(r);
    } else {
        (void)rig_work(r);
    }
}

/* ---- the end: faults stop, everything must end ---- */

static bool resume_paused(void *ctx, const pw_run_row *row)
{
    sim *s = ctx;
    if (row->status == PW_RUN_PAUSED) {
        (void)rig_post(s->r, "resume", "{key: %lld}", (long long)row->key);
    }
    return true;
}

typedef struct open_count {
    int open;
    char id[PW_ID_BYTES_MAX + 1];
    char waiting[200];
} open_count;

static bool count_open(void *ctx, const pw_run_row *row)
{
    open_count *c = ctx;
    if (row->closed_ms == 0) {
        c->open++;
        (void)snprintf(c->id, sizeof c->id, "%.*s", (int)row->id.size, (const char *)row->id.data);
        (void)snprintf(c->waiting, sizeof c->waiting, "%s, waits for %.*s", pw_run_status_name(row->status), (int)row->waiting.size,
                       (const char *)row->waiting.data);
    }
    return true;
}

static void settle(sim *s)
{
    rig *r = s->r;
    open_count c = {0};
    pw_scan all = {.open_only = true};
    pawl_error err;
    pw_memory_fail_commit(r->store, PW_FAULT_NONE, 0);
    for (int round = 0; round < 60; round++) {
        if (r->failed) {
            rig_crash(r);
        }
        rig_run(r);
        (void)r->reader->ops->run_scan(r->reader, &all, resume_paused, s, &err);
        answer_all(s);
        rig_run(r);
        rig_advance(r, 2000);
        c = (open_count){0};
        (void)r->reader->ops->run_scan(r->reader, &all, count_open, &c, &err);
        if (c.open == 0) {
            return;
        }
    }
    (void)fprintf(stderr, "\nhistory: %s\nlog:\n%.*s\n", rig_history(r, c.id), (int)r->log.size, (const char *)r->log.data);
    fail_msg("%d runs never end; one: %s is %s", c.open, c.id, c.waiting);
}

static bool check_run(void *ctx, const pw_run_row *row)
{
    sim *s = ctx;
    char reason[200];
    (void)snprintf(reason, sizeof reason, "%.*s", (int)row->reason.size, (const char *)row->reason.data);
    if (strstr(reason, "SimBroken") != NULL || strstr(reason, "nondeterminism") != NULL) {
        fail_msg("run %lld ended with: %s", (long long)row->key, reason);
    }
    (void)s;
    return true;
}

static void no_finding(void *ctx, const pw_verify_finding *f)
{
    (void)ctx;
    fail_msg("[%s] run %lld: %s", f->invariant, (long long)f->run, f->message);
}

static void check_end(sim *s)
{
    rig *r = s->r;
    pw_scan all = {0};
    pw_verify_stats stats;
    pawl_error err;
    for (int i = 0; i < s->runs; i++) { /* acked is kept */
        char id[32];
        (void)snprintf(id, sizeof id, "run-%d", i);
        if (s->starts[i]->done && s->starts[i]->status == PAWL_OK) {
            assert_true(rig_status(r, id)[0] != 0);
        }
    }
    assert_int_equal(r->reader->ops->run_scan(r->reader, &all, check_run, s, &err), PAWL_OK);
    assert_int_equal(pw_memory_verify(r->store, no_finding, NULL, &stats, &err), PAWL_OK);
    rig_crash(r); /* and every history rebuilds: a stack request of a closed run replays it */
    rig_run(r);
    for (int i = 0; i < s->runs; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "run-%d", i);
        if (rig_status(r, id)[0] != 0) {
            rig_reply *q = rig_ask(r, "stack", "{id: %s}", id);
            if (q->status != PAWL_OK) {
                fail_msg("%s does not rebuild: %s", id, q->message);
            }
        }
    }
    assert_int_equal(rig_stat(r, "mismatches"), 0);
}

static void simulate(uint64_t seed, long steps, sim *s)
{
    *s = (sim){.seed = seed};
    s->seed = rig_draw(&s->seed) ^ seed << 32; /* seeds next to each other must not give streams next to each other */
    the_sim = s;
    s->r = rig_open((rig_mode)(seed % 3));
    s->r->random = seed;
    s->r->on_dispatch = check_dispatch;
    rig_workflow(s->r, "mixed", mixed);
    rig_workflow(s->r, "leaf", leaf);
    rig_folded(s->r, "folded", &folded);
    rig_activity(s->r, "work", work);
    rig_activity(s->r, "pay", pay);
    for (long i = 0; i < steps; i++) {
        if (s->r->failed) {
            rig_crash(s->r);
        }
        act(s);
        pw_core_check(s->r->core);
    }
    settle(s);
    check_end(s);
    rig_close(s->r);
    s->r = NULL;
}

/* ---- driver ---- */

static uint64_t first_seed = 1;
static long seeds = 60, steps = 2500;

static void every_seed_ends_with_nothing_lost(void **state)
{
    (void)state;
    sim *s = pw_calloc(1, sizeof *s);
    long crashes = 0, faults = 0, runs = 0;
    assert_non_null(s);
    for (long i = 0; i < seeds; i++) {
        (void)fprintf(stderr, "\rseed %llu (again: pawl-sim %llu 1 %ld) ", (unsigned long long)(first_seed + (uint64_t)i),
                      (unsigned long long)(first_seed + (uint64_t)i), steps);
        simulate(first_seed + (uint64_t)i, steps, s);
        crashes += s->crashes;
        faults += s->faults;
        runs += s->runs;
    }
    pw_free(s);
    (void)printf("%ld seeds, %ld steps each: %ld runs, %ld crashes, %ld failed commits, nothing lost\n", seeds, steps, runs, crashes, faults);
}

int main(int argc, char **argv)
{
    first_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    seeds = argc > 2 ? strtol(argv[2], NULL, 10) : argc > 1 ? 1 : seeds;
    steps = argc > 3 ? strtol(argv[3], NULL, 10) : steps;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_seed_ends_with_nothing_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
