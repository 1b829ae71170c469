/*
 * fold_test.c - folded workflows: the same machinery without a stack, recovered from a snapshot at a cost that history does not grow.
 */
#include "rig.h"

#include <stdio.h>

/* A state machine: calls `work` n times, one after the other, counting; signals add to a sum; "stop" ends it. */
typedef struct ledger {
    int64_t wanted, done, sum, signals, failures, waiting, timers, children, answered;
    bool canceled, ended;
    char last[64];
} ledger;

static void *ledger_new(void *user)
{
    (void)user;
    return calloc(1, sizeof(ledger));
}

static void ledger_free(void *state)
{
    free(state);
}

static void ledger_apply(void *state, const pawl_fold_event *e)
{
    ledger *l = state;
    (void)snprintf(l->last, sizeof l->last, "%s", e->type);
    if (strcmp(e->type, "RunStarted") == 0) {
        l->wanted = pawl_int(e->value, "n", 0);
    } else if (strcmp(e->type, "ActivityScheduled") == 0) {
        l->waiting = e->command;
    } else if (strcmp(e->type, "ActivityCompleted") == 0) {
        l->done++;
        l->sum += pawl_int(e->value, "", 0);
        l->waiting = 0;
    } else if (strcmp(e->type, "ActivityFailed") == 0 || strcmp(e->type, "ActivityCanceled") == 0) {
        l->failures++;
        l->waiting = 0;
    } else if (strcmp(e->type, "SignalReceived") == 0) {
        l->signals++;
        l->sum += pawl_int(e->value, "", 0);
    } else if (strcmp(e->type, "CancelRequested") == 0) {
        l->canceled = true;
    }
}

static void ledger_decide(void *state, pawl_fold *f)
{
    ledger *l = state;
    if (l->canceled) {
        pawl_fold_canceled(f);
    } else if (l->failures > 0) {
        pawl_fold_fail(f, "WorkFailed", "after %lld", (long long)l->done);
    } else if (l->done >= l->wanted) {
        pawl_fold_complete(f, pawl_build(pawl_fold_scope(f), "{sum: %lld, signals: %lld}",
                                         (long long)l->sum, (long long)l->signals));
    } else if (l->waiting == 0) {
        pawl_call_options o = {.name = "work",
                               .input = pawl_make_int(pawl_fold_scope(f), l->done),
                               .retries = PAWL_RETRY_NONE};
        pawl_fold_set(f, "done", pawl_make_int(pawl_fold_scope(f), l->done));
        (void)pawl_fold_call(f, &o, sizeof o);
    }
}

static const pawl_value *ledger_save(const void *state, pawl_scope *scope)
{
    const ledger *l = state;
    return pawl_build(scope, "{wanted: %lld, done: %lld, sum: %lld, signals: %lld, waiting: %lld}",
                      (long long)l->wanted, (long long)l->done, (long long)l->sum,
                      (long long)l->signals, (long long)l->waiting);
}

static void *ledger_load(const pawl_value *v, void *user)
{
    ledger *l = ledger_new(user);
    l->wanted = pawl_int(v, "wanted", 0);
    l->done = pawl_int(v, "done", 0);
    l->sum = pawl_int(v, "sum", 0);
    l->signals = pawl_int(v, "signals", 0);
    l->waiting = pawl_int(v, "waiting", 0);
    return l;
}

static const pawl_value *ledger_query(const void *state, const char *name, const pawl_value *input,
                                      pawl_scope *scope)
{
    (void)name;
    (void)input;
    const ledger *l = state;
    return pawl_build(scope, "{done: %lld, sum: %lld}", (long long)l->done, (long long)l->sum);
}

static const pawl_folded ledger_ops = {.struct_size = sizeof(pawl_folded),
                                       .init = ledger_new,
                                       .apply = ledger_apply,
                                       .decide = ledger_decide,
                                       .save = ledger_save,
                                       .load = ledger_load,
                                       .deinit = ledger_free,
                                       .query = ledger_query};

static void open_ledger(rig *r, int n)
{
    rig_folded(r, "ledger", &ledger_ops);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "ledger", "a", rig_value(r, "{n: %d}", n));
}

static void a_folded_run_goes_from_start_to_end(void **state)
{
    rig *r = *state;
    open_ledger(r, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pawl_int(pawl_task_input(rig_task_find(r, "work")->task), "", -1), i);
        rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    }
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 30);
    assert_int_equal(rig_count(r, "a", "ActivityCompleted"), 3);
}

static void a_folded_run_survives_crashes_without_asking_twice(void **state)
{
    rig *r = *state;
    open_ledger(r, 4);
    for (int i = 0; i < 4; i++) {
        rig_crash(r);
        rig_run(r);
        assert_int_equal(rig_tasks(r, "work"), 1);
        rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    }
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 4);
    assert_int_equal(rig_count(r, "a", "ActivityScheduled"), 4);
}

static void signals_and_queries_reach_a_folded_run(void **state)
{
    rig *r = *state;
    open_ledger(r, 2);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 100}", "a", "add")->status,
                     PAWL_OK);
    rig_crash(r);
    assert_int_equal(
        pawl_int(rig_ask(r, "query", "{id: %s, name: %s}", "a", "state")->value, "sum", 0), 100);
    assert_int_equal(
        pawl_int(rig_ask(r, "query", "{id: %s, name: %s}", "a", "done")->value, "", -1),
        0); /* the published key */
    rig_run(r);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 102);
    assert_int_equal(
        pawl_int(rig_ask(r, "query", "{id: %s, name: %s}", "a", "state")->value, "sum", 0), 102);
}

static void cancel_and_failure_end_a_folded_run_as_its_state_decides(void **state)
{
    rig *r = *state;
    open_ledger(r, 2);
    rig_start_with(r, "ledger", "b", rig_value(r, "{n: 2}"));
    rig_task *t = rig_task_find(r, "work");
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_true(t->cancel_asked);
    rig_drop(r, t);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "b"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "b"), "type", ""), "WorkFailed");
}

static void pause_and_resume_work_on_a_folded_run(void **state)
{
    rig *r = *state;
    open_ledger(r, 2);
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    assert_null(rig_task_find(r, "work"));
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "work"));
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 2);
}

static const pawl_value *instant(pawl_task *task, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_build(task, "1");
}

static int64_t replayed_by_one_recovery(rig *r)
{
    rig_crash(r);
    (void)rig_ask(r, "query", "{id: %s, name: %s}", "a", "state");
    return rig_stat(r, "replayed_events");
}

static void recovery_costs_what_came_since_the_snapshot_whatever_the_length_of_history(void **state)
{
    rig *r = *state;
    rig_folded(r, "ledger", &ledger_ops);
    rig_activity(r, "work", instant);
    for (int n = 0; n < 2; n++) {
        rig_start_with(r, "ledger", "a", rig_value(r, "{n: %d}", n == 0 ? 300 : 3000));
        assert_string_equal(rig_status(r, "a"), "completed");
        int64_t events = rig_count(r, "a", "ActivityCompleted") * 3;
        int64_t cost = replayed_by_one_recovery(r);
        assert_true(events > 800);
        assert_true(cost > 0);
        assert_true(cost <= PW_SNAPSHOT_EVENTS + 10);
        assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), n == 0 ? 300 : 3000);
    }
}

/* ---- retry ---- */

static void expect_work(rig *r, int64_t input, int attempt)
{
    rig_task *t = rig_task_find(r, "work");
    assert_non_null(t);
    assert_int_equal(pawl_int(pawl_task_input(t->task), "", -1), input);
    assert_int_equal(pawl_task_attempt(t->task), attempt);
}

static void a_failed_folded_run_is_retried_at_its_failed_step(void **state)
{
    rig *r = *state;
    open_ledger(r, 3);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    for (int round = 0; round < 3; round++) {
        expect_work(r, 1, 1 + round);
        rig_fail(r, rig_task_find(r, "work"), "Boom", true);
        assert_string_equal(rig_status(r, "a"), "failed");
        if (round == 1) {
            rig_crash(r);
            rig_run(r);
        }
        assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
        assert_string_equal(rig_status(r, "a"), "running");
    }
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    expect_work(r, 2, 1);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 30);
    assert_int_equal(rig_count(r, "a", "RunRetried"), 3);
}

/* Signals that came with the failure, or after it was on its way, are not lost. */
static void a_retried_folded_run_keeps_what_came_meanwhile(void **state)
{
    rig *r = *state;
    open_ledger(r, 2);
    rig_task *t = rig_task_find(r, "work");
    rig_reply *sent = rig_post(r, "signal", "{id: %s, name: %s, value: 5}", "a", "add");
    rig_fail(r, t, "Boom", true);
    assert_int_equal(sent->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 25);
    assert_int_equal(pawl_int(rig_result(r, "a"), "signals", 0), 1);
}

static void a_cancelled_folded_run_can_be_retried(void **state)
{
    rig *r = *state;
    open_ledger(r, 2);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    while (rig_task_find(r, "work") != NULL) {
        rig_stop(r, rig_task_find(r, "work"));
    }
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    expect_work(r, 1, 2);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "10"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 20);
}

static void stop_work(rig *r)
{
    while (rig_task_find(r, "work") != NULL) {
        rig_stop(r, rig_task_find(r, "work"));
    }
}

static void fail_and_retry(rig *r, int step)
{
    expect_work(r, step, 1);
    if (step == 140) {
        assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
        stop_work(r);
    } else {
        rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    }
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    expect_work(r, step, 2);
}

/* Snapshots before the retry, in the stretch it made void, and after it. */
static void snapshots_and_retries_of_a_folded_run_agree(void **state)
{
    rig *r = *state;
    enum { STEPS = 260, EACH = 3 };
    static const int fails[] = {20, 63, 66, 67, 68, 140, 259};
    size_t next = 0;
    open_ledger(r, STEPS);
    for (int i = 0; i < STEPS; i++) {
        for (int n = 0; i == 66 && n < 190;
             n++) { /* the snapshot falls at another place of what comes */
            assert_int_equal(
                rig_ask(r, "signal", "{id: %s, name: %s, value: 0}", "a", "add")->status, PAWL_OK);
        }
        if (next < PW_COUNT(fails) && fails[next] == i) {
            fail_and_retry(r, i);
            next++;
        }
        if (i % 17 == 0) {
            rig_crash(r);
            rig_run(r);
            assert_int_equal(
                pawl_int(rig_ask(r, "query", "{id: %s, name: %s}", "a", "state")->value, "done",
                         -1),
                i);
        }
        rig_done(r, rig_task_find(r, "work"), rig_value(r, "%d", EACH));
    }
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), STEPS * EACH);
}

/* A folded run that uses every command it can. */
static void every_apply(void *state, const pawl_fold_event *e)
{
    ledger *l = state;
    if (strcmp(e->type, "RunStarted") == 0) {
        l->wanted = 1;
    } else if (strcmp(e->type, "MapScheduled") == 0) {
        l->wanted = 2; /* decide only looks: what it asked for comes back as an event */
    } else if (strcmp(e->type, "MapCompleted") == 0) {
        l->sum = (int64_t)pawl_len(e->value);
    } else if (strcmp(e->type, "TimerFired") == 0) {
        l->timers++;
    } else if (strcmp(e->type, "ChildCompleted") == 0) {
        l->children += pawl_int(e->value, "n", 0);
    } else if (strcmp(e->type, "WaitAnswered") == 0) {
        l->answered = pawl_int(e->value, "data", 0);
    }
}

static void every_decide(void *state, pawl_fold *f)
{
    const ledger *l = state;
    pawl_scope *s = pawl_fold_scope(f);
    if (l->wanted == 1) {
        pawl_map_options m = {.name = "work", .items = pawl_build(s, "[1, 2, 3]")};
        pawl_child_options c = {.workflow = "child"};
        pawl_ask_options a = {.name = "q", .prompt = "?"};
        (void)pawl_fold_map(f, &m, sizeof m);
        (void)pawl_fold_timer(f, 10);
        (void)pawl_fold_child(f, &c, sizeof c);
        (void)pawl_fold_ask(f, &a, sizeof a);
        int64_t dropped = pawl_fold_timer(f, 500);
        pawl_fold_cancel(f, dropped);
        pawl_fold_signal_send(f, "other", "go", pawl_build(s, "4"));
        pawl_fold_progress(f, 1, 2, "half");
    } else if (l->sum > 0 && l->timers > 0 && l->children > 0 && l->answered > 0) {
        pawl_fold_complete(
            f, pawl_build(s, "{sum: %lld, timers: %lld, children: %lld, answered: %lld}",
                          (long long)l->sum, (long long)l->timers, (long long)l->children,
                          (long long)l->answered));
    }
}

static const pawl_folded every_ops = {.struct_size = sizeof(pawl_folded),
                                      .init = ledger_new,
                                      .apply = every_apply,
                                      .decide = every_decide,
                                      .deinit = ledger_free};

static const pawl_value *child(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_json(w, "{n: 5}");
}

static const pawl_value *hears(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_signal(w, "go");
}

static void a_folded_run_may_use_every_command_also_without_snapshots(void **state)
{
    rig *r = *state;
    rig_folded(r, "every", &every_ops);
    rig_workflow(r, "child", child);
    rig_workflow(r, "hears", hears);
    rig_activity(r, "work", instant);
    rig_start(r, "hears", "other");
    rig_start(r, "every", "a");
    assert_int_equal(rig_count(r, "a", "MapScheduled"), 1);
    rig_advance(r, 10000);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {data: 7}}", "a")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), 3);
    assert_int_equal(pawl_int(rig_result(r, "a"), "children", 0), 5);
    assert_int_equal(pawl_int(rig_result(r, "a"), "answered", 0), 7);
    assert_int_equal(pawl_int(rig_result(r, "other"), "", 0), 4);
    assert_int_equal(rig_count(r, "a", "TimerCanceled"), 1);
}

static void again_decide(void *state, pawl_fold *f)
{
    const ledger *l = state;
    if (l->wanted >= 3) {
        pawl_fold_complete(f, pawl_build(pawl_fold_scope(f), "{n: %lld}", (long long)l->wanted));
    } else {
        pawl_fold_continue_as_new(
            f, pawl_build(pawl_fold_scope(f), "{n: %lld}", (long long)l->wanted + 1));
    }
}

static const pawl_folded again_ops = {.struct_size = sizeof(pawl_folded),
                                      .init = ledger_new,
                                      .apply = ledger_apply,
                                      .decide = again_decide,
                                      .deinit = ledger_free};

static void a_folded_run_may_continue_as_new(void **state)
{
    rig *r = *state;
    rig_folded(r, "again", &again_ops);
    rig_start(r, "again", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "n", 0), 3);
    assert_int_equal(rig_key(r, "a"), 4);
}

/* ---- what takes back ---- */

static void undo_decide(void *state, pawl_fold *f)
{
    (void)state;
    pawl_call_options o = {.name = "work", .undo = "unwork"};
    int64_t refused = pawl_fold_call(f, &o, sizeof o);
    pawl_fold_complete(f, pawl_make_int(pawl_fold_scope(f), refused));
}

static void a_call_with_an_undo_is_refused_and_the_log_names_the_way_out(void **state)
{
    rig *r = *state;
    static pawl_folded ops;
    ops = ledger_ops;
    ops.decide = undo_decide;
    rig_folded(r, "ledger", &ops);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "ledger", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "", -1), 0);
    assert_int_equal(rig_count(r, "a", "ActivityScheduled"), 0);
    assert_true(rig_logged(r, "call what takes it back before pawl_fold_fail"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_folded_run_goes_from_start_to_end),
        RIG_TEST(a_folded_run_survives_crashes_without_asking_twice),
        RIG_TEST(signals_and_queries_reach_a_folded_run),
        RIG_TEST(cancel_and_failure_end_a_folded_run_as_its_state_decides),
        RIG_TEST(pause_and_resume_work_on_a_folded_run),
        RIG_TEST(a_failed_folded_run_is_retried_at_its_failed_step),
        RIG_TEST(a_retried_folded_run_keeps_what_came_meanwhile),
        RIG_TEST(a_cancelled_folded_run_can_be_retried),
        RIG_TEST(snapshots_and_retries_of_a_folded_run_agree),
        RIG_TEST(recovery_costs_what_came_since_the_snapshot_whatever_the_length_of_history),
        RIG_TEST(a_folded_run_may_use_every_command_also_without_snapshots),
        RIG_TEST(a_folded_run_may_continue_as_new),
        RIG_TEST(a_call_with_an_undo_is_refused_and_the_log_names_the_way_out),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
