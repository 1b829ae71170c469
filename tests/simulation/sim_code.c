/*
 * sim_code.c - what the runs of a simulation do: random programs over every construct, and counters.
 *
 * A program draws from a number in its input, so that it is a function of its input and of what the engine tells it. It checks what it is
 * told: a result that is not the function of its input that the activity computes fails the run with type "Wrong".
 * Does not end activities: sim_work.c does.
 */
#include "sim.h"

int64_t sim_answer_of(int64_t n)
{
    return n * 3 + 1;
}

/* ---- one operation of a program ---- */

typedef struct program {
    uint64_t rng;
    int64_t depth; /* how many children deep it may still go */
    int64_t ops;
    bool branch;
    bool jumps; /* the wall clock may, so that time says nothing */
} program;

static uint64_t draw(program *p, uint64_t below)
{
    return rig_draw(&p->rng) % below;
}

static const pawl_value *work_input(pawl_run *w, program *p)
{
    return pawl_json(w, "{n: %lld, fails: %d, hangs: %d}", (long long)draw(p, 1000),
                     (int)draw(p, 3), draw(p, 12) == 0);
}

static void wrong(pawl_run *w, const char *what)
{
    (void)pawl_catch(w);
    (void)pawl_fail(w, "Wrong", "%s", what);
}

static void check_result(pawl_run *w, const pawl_value *in, const pawl_value *out)
{
    if (pawl_ok(w) && pawl_int(out, "n", -1) != sim_answer_of(pawl_int(in, "n", 0))) {
        wrong(w, pawl_to_json(pawl_run_scope(w),
                              pawl_json(w, "{asked: %p, got: %p}", pawl_v(in), pawl_v(out)), 0));
    }
}

/* Half of the calls and maps are on a budget without limits: its sums must hold whatever crashes. */
static const pawl_value *reserve_of(pawl_run *w, const pawl_value *in)
{
    return pawl_int(in, "n", 0) % 2 == 0 ? pawl_json(w, "{usd: 0.01, calls: 1}") : NULL;
}

static pawl_future *start_call(pawl_run *w, program *p, const pawl_value *in)
{
    static const pawl_effect effects[] = {PAWL_EFFECT_PURE, PAWL_EFFECT_IDEMPOTENT,
                                          PAWL_EFFECT_DEFAULT};
    return pawl_call_start(w, draw(p, 2) == 0 ? "work" : "narrow", .input = in, .timeout_s = 30,
                           .heartbeat_s = draw(p, 3) == 0 ? 10 : 0, .retries = (int)draw(p, 4) + 1,
                           .retry_initial_s = 0.5, .retry_max_s = 20, .no_retry = "Denied",
                           .effect = effects[draw(p, 3)], .undo = draw(p, 3) == 0 ? "undo" : NULL,
                           .on_cancel = (pawl_on_cancel)draw(p, 3), .priority = (int)draw(p, 3),
                           .reserve = reserve_of(w, in));
}

static void one_call(pawl_run *w, program *p)
{
    const pawl_value *in = work_input(w, p);
    check_result(w, in, pawl_await(w, start_call(w, p, in)));
}

static void one_unsafe(pawl_run *w, program *p)
{
    const pawl_value *in = work_input(w, p);
    const pawl_value *out =
        pawl_call(w, "unsafe", .input = in, .effect = PAWL_EFFECT_UNSAFE,
                  .timeout_s = draw(p, 2) == 0 ? 40 : 3600, .retries = 2, .retry_initial_s = 1,
                  .undo = draw(p, 2) == 0 ? "undo" : NULL, .reserve = reserve_of(w, in));
    if (pawl_ok(w) && pawl_len(out) > 0) { /* answered "done" without data is nil */
        check_result(w, in, out);
    }
}

static const pawl_value *step_body(pawl_step *s, const pawl_value *in)
{
    int64_t n = pawl_int(in, "n", 0);
    if (n % 11 == 0) {
        return pawl_step_fail(s, "Eleven", "%lld", (long long)n);
    }
    return pawl_step_build(s, "{n: %lld}", (long long)sim_answer_of(n));
}

static void one_step(pawl_run *w, program *p)
{
    const pawl_value *in = pawl_json(w, "{n: %lld}", (long long)draw(p, 100));
    check_result(w, in, pawl_local(w, "step", step_body, in));
}

static const pawl_value *map_items(pawl_run *w, program *p, size_t len)
{
    const pawl_value **items = pawl_alloc(w, (len + 1) * sizeof *items);
    for (size_t i = 0; i < len; i++) {
        items[i] = work_input(w, p);
    }
    return pawl_make_array(pawl_run_scope(w), items, len);
}

static void check_items(pawl_run *w, const pawl_value *items, const pawl_value *out)
{
    if (pawl_ok(w) && pawl_len(out) != pawl_len(items)) {
        wrong(w, "a map has lost items");
    }
    for (size_t i = 0; pawl_ok(w) && i < pawl_len(out); i++) {
        const pawl_value *v = pawl_at(out, i);
        if (pawl_get(v, "$failure") == NULL) {
            check_result(w, pawl_at(items, i), v);
        }
    }
}

static void one_map(pawl_run *w, program *p)
{
    const pawl_value *items = map_items(w, p, draw(p, 7));
    const char *name = draw(p, 3) == 0 ? "unsafe" : "work";
    const pawl_value *out = pawl_map(
        w, name, items, .width = (int)draw(p, 3) + 1,
        .mode = draw(p, 3) == 0 ? PAWL_MAP_FAIL_FAST : PAWL_MAP_COLLECT, .retries = 3,
        .retry_initial_s = 0.5, .timeout_s = 30, .reserve = reserve_of(w, pawl_at(items, 0)));
    check_items(w, items, out);
}

static void one_cursor(pawl_run *w, program *p)
{
    const pawl_value *items = map_items(w, p, draw(p, 7));
    pawl_items *it = pawl_map_cursor(w, "work", items, .width = 2, .mode = PAWL_MAP_COLLECT,
                                     .retries = 3, .retry_initial_s = 0.5, .timeout_s = 30);
    const pawl_value *v;
    const pawl_failure *f;
    for (size_t i = 0; pawl_items_next(it, &v, &f) && pawl_ok(w); i++) {
        if (f == NULL) {
            check_result(w, pawl_at(items, i), v);
        }
    }
}

static void one_sleep(pawl_run *w, program *p)
{
    static const double lengths[] = {0, 0.001, 1, 20, 300, 1500};
    int64_t from = pawl_now_ms(w);
    double s = lengths[draw(p, 6)];
    if (pawl_sleep(w, s) && !p->jumps && pawl_now_ms(w) < from + (int64_t)(s * 1000)) {
        wrong(w, "a sleep ended early");
    }
}

static void one_signal(pawl_run *w, program *p)
{
    const pawl_value *v = pawl_signal(w, "x", .timeout_s = (double)draw(p, 200) + 1);
    if (pawl_ok(w) && !pawl_timed_out(w) && pawl_int(v, "n", -1) < 0) {
        wrong(w, "a signal came without its value");
    }
}

static void one_ask(pawl_run *w, program *p)
{
    bool deadline = draw(p, 2) == 0;
    const char *otherwise = draw(p, 2) == 0 ? "no" : NULL;
    bool several = draw(p, 3) == 0;
    const pawl_value *v = pawl_ask(
        w, p->branch ? "in-branch" : "ok", .prompt = "?", .choices = "yes|no",
        .deadline_s = deadline ? 100 : 0, .on_deadline = otherwise, .quorum = several ? 2 : 0,
        .escalate_s = draw(p, 2) == 0 ? 50 : 0, .defer_max_s = draw(p, 2) == 0 ? 200 : 0);
    if (pawl_ok(w) && !pawl_is(v, "choice", "yes") && !pawl_is(v, "choice", "no")) {
        wrong(w, "an answer is none of the choices");
    }
    bool by_votes = pawl_ok(w) && several && !pawl_is(v, "by", "deadline");
    if (by_votes && (pawl_len(pawl_get(v, "votes")) < 2 || pawl_len(pawl_get(v, "votes")) > 3)) {
        wrong(w, "two of three agree by their second or third vote");
    }
}

static void one_child(pawl_run *w, program *p)
{
    if (p->depth <= 0) {
        return;
    }
    const pawl_value *in =
        pawl_json(w, "{seed: %lld, depth: %lld, jumps: %d}", (long long)draw(p, 1u << 30),
                  (long long)p->depth - 1, p->jumps);
    pawl_future *f = pawl_child_start(w, .workflow = "chaos", .input = in,
                                      .policy = (pawl_parent_policy)draw(p, 3));
    if (draw(p, 4) != 0) {
        (void)pawl_await(w, f);
    }
}

static void run_program(pawl_run *w, program *p);

static const pawl_value *branch_main(pawl_run *w, void *arg)
{
    run_program(w, arg);
    return pawl_json(w, "{n: 1}");
}

static void some_branches(pawl_run *w, program *p)
{
    pawl_future *f[3] = {NULL, NULL, NULL};
    size_t len = 1 + draw(p, 3);
    for (size_t i = 0; i < len; i++) {
        program *own = pawl_alloc(w, sizeof *own);
        *own = (program){
            .rng = rig_draw(&p->rng), .depth = 0, .ops = 2, .branch = true, .jumps = p->jumps};
        f[i] = pawl_go(w, branch_main, own);
    }
    if (draw(p, 3) == 0) {
        (void)pawl_await_any(w, f, len);
    } else {
        (void)pawl_await_all(w, f, len);
    }
}

static void one_race(pawl_run *w, program *p)
{
    pawl_future *f[4] = {
        start_call(w, p, work_input(w, p)), pawl_timer_start(w, (double)draw(p, 60)),
        start_call(w, p, work_input(w, p)), pawl_signal_start(w, "x", .timeout_s = 50)};
    int first = draw(p, 2) == 0 ? pawl_await_any(w, f, 4) : pawl_await_first(w, f, 4);
    if (pawl_ok(w) && (first < 0 || !pawl_future_done(f[first]))) {
        wrong(w, "what won a race has not ended");
    }
    for (int i = 0; i < 4; i++) {
        if (draw(p, 2) == 0) {
            pawl_future_cancel(w, f[i]);
        }
    }
    if (draw(p, 2) == 0) {
        (void)pawl_await_all(w, f, 4);
    }
}

static void one_shield(pawl_run *w, program *p)
{
    pawl_shield(w, draw(p, 2) == 0 ? 0 : 25);
    one_call(w, p);
    (void)pawl_sleep(w, 10);
    pawl_unshield(w);
}

static void small_things(pawl_run *w, program *p)
{
    pawl_set(w, "at",
             pawl_json(w, "{now: %lld, uuid: %s, r: %lld}", (long long)pawl_now_ms(w), pawl_uuid(w),
                       (long long)(pawl_random(w) >> 8)));
    pawl_progress(w, (int64_t)draw(p, 10), 10, "some");
    pawl_log(w, PAWL_INFO, "here");
    if (draw(p, 4) == 0) {
        pawl_undo(w, "undo", pawl_json(w, "{n: 1}"));
    }
    if (pawl_patched(w, "a-patch") && draw(p, 8) == 0) {
        (void)pawl_sleep(w, 0.5);
    }
}

static void send_to_counter(pawl_run *w, program *p)
{
    char id[16];
    (void)snprintf(id, sizeof id, "counter-%d", (int)draw(p, SIM_COUNTERS));
    pawl_signal_send(w, id, "add", pawl_json(w, "{n: %lld}", (long long)draw(p, 100)));
}

static const pawl_value *big_value(pawl_run *w, program *p)
{
    size_t size = 1000u << draw(p, 5);
    char *text = pawl_alloc(w, size + 1);
    memset(text, 'v', size);
    return pawl_json(w, "{n: %lld, pad: %s}", (long long)draw(p, 100), text);
}

static void big_call(pawl_run *w, program *p)
{
    const pawl_value *in = big_value(w, p);
    check_result(w, in, pawl_call(w, "work", .input = in, .timeout_s = 60));
}

static void one_op(pawl_run *w, program *p)
{
    static void (*const ops[])(pawl_run *, program *) = {
        one_call,  one_call,   one_unsafe,   one_step,        one_map,   one_cursor,
        one_sleep, one_signal, one_ask,      one_child,       one_child, some_branches,
        one_race,  one_shield, small_things, send_to_counter, big_call,
    };
    ops[draw(p, PW_COUNT(ops))](w, p);
}

static void run_program(pawl_run *w, program *p)
{
    for (int64_t i = 0; i < p->ops && pawl_ok(w); i++) {
        one_op(w, p);
        const pawl_failure *f = pawl_catch(w);
        uint64_t lets_through = draw(p, 8);
        if (pawl_failure_is(f, "Wrong") || (f != NULL && lets_through == 0)) {
            (void)pawl_rethrow(w, f);
        }
    }
}

static const pawl_value *peek(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    const program *p = arg;
    return pawl_json(w, "{ops: %lld}", (long long)p->ops);
}

static const pawl_value *chaos(pawl_run *w, const pawl_value *in)
{
    program *p = pawl_alloc(w, sizeof *p);
    uint64_t seed = (uint64_t)pawl_int(in, "seed", 0);
    *p = (program){.rng = seed * 77 + 1,
                   .depth = pawl_int(in, "depth", 0),
                   .jumps = pawl_int(in, "jumps", 0) != 0};
    p->ops = 1 + (int64_t)draw(p, 6);
    pawl_on_query(w, "peek", peek, p);
    run_program(w, p);
    int64_t round = pawl_int(in, "round", 0);
    if (pawl_ok(w) && round < 2 && draw(p, 5) == 0) {
        return pawl_continue_as_new(
            w, pawl_json(w, "{seed: %lld, depth: %lld, round: %lld, jumps: %d}",
                         (long long)seed + 1, (long long)p->depth, (long long)round + 1, p->jumps));
    }
    return pawl_json(w, "{done: true}");
}

/* ---- counters: no signal is lost and none counts twice ---- */

static const pawl_value *counter(pawl_run *w, const pawl_value *in)
{
    int64_t sum = pawl_int(in, "sum", 0), count = pawl_int(in, "count", 0);
    for (int i = 0; i < 5;) {
        const pawl_value *v = pawl_signal(w, "add", .timeout_s = 500);
        if (!pawl_ok(w)) {
            return NULL;
        }
        if (pawl_timed_out(w)) {
            continue;
        }
        if (pawl_bool(v, "stop", false)) {
            return pawl_json(w, "{sum: %lld, count: %lld}", (long long)sum, (long long)count);
        }
        sum += pawl_int(v, "n", 0);
        count++;
        i++;
        pawl_set(w, "sum", pawl_json(w, "%lld", (long long)sum));
    }
    return pawl_continue_as_new(
        w, pawl_json(w, "{sum: %lld, count: %lld}", (long long)sum, (long long)count));
}

typedef struct tally {
    int64_t sum, count, asked, ended;
    bool stop;
} tally;

static void *tally_new(void *user)
{
    (void)user;
    return calloc(1, sizeof(tally));
}

static void tally_apply(void *state, const pawl_fold_event *e)
{
    tally *t = state;
    if (strcmp(e->type, "SignalReceived") == 0) {
        t->stop |= pawl_bool(e->value, "stop", false);
        t->sum += pawl_int(e->value, "n", 0);
        t->count += pawl_bool(e->value, "stop", false) ? 0 : 1;
    }
    t->asked += strcmp(e->type, "ActivityScheduled") == 0;
    t->ended += strncmp(e->type, "Activity", 8) == 0 &&
                (strstr(e->type, "Completed") != NULL || strstr(e->type, "Failed") != NULL);
}

static void tally_decide(void *state, pawl_fold *f)
{
    const tally *t = state;
    if (t->stop) {
        pawl_fold_complete(f, pawl_build(pawl_fold_scope(f), "{sum: %lld, count: %lld}",
                                         (long long)t->sum, (long long)t->count));
    } else if (t->asked == t->ended && t->asked < t->count / 3) {
        pawl_call_options o = {.name = "work",
                               .input =
                                   pawl_build(pawl_fold_scope(f), "{n: %lld}", (long long)t->asked),
                               .timeout_s = 60};
        (void)pawl_fold_call(f, &o, sizeof o);
    }
}

static const pawl_value *tally_save(const void *state, pawl_scope *scope)
{
    const tally *t = state;
    return pawl_build(scope, "{sum: %lld, count: %lld, asked: %lld, ended: %lld}",
                      (long long)t->sum, (long long)t->count, (long long)t->asked,
                      (long long)t->ended);
}

static void *tally_load(const pawl_value *v, void *user)
{
    tally *t = tally_new(user);
    *t = (tally){pawl_int(v, "sum", 0), pawl_int(v, "count", 0), pawl_int(v, "asked", 0),
                 pawl_int(v, "ended", 0), false};
    return t;
}

static const pawl_folded tally_ops = {.struct_size = sizeof tally_ops,
                                      .init = tally_new,
                                      .apply = tally_apply,
                                      .decide = tally_decide,
                                      .save = tally_save,
                                      .load = tally_load,
                                      .deinit = free};

static const pawl_value *not_called(pawl_task *task, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_fail(task, "Held", "the simulator ends it");
}

void sim_code_register(sim *s)
{
    rig *r = s->r;
    pawl_activity_options narrow = {.struct_size = sizeof narrow, .concurrency = 2};
    rig_workflow(r, "chaos", chaos);
    rig_workflow(r, "counter", counter);
    rig_folded(r, "tally", &tally_ops);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_held(r, "unsafe", PAWL_EFFECT_UNSAFE);
    rig_held(r, "undo", PAWL_EFFECT_DEFAULT);
    rig_activity_options(r, "narrow", not_called, &narrow);
    r->code[r->code_len - 1].held = true;
}
