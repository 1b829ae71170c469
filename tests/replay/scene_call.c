/*
 * scene_call.c - scenes of what does work: activities, unsafe ones, compensation, local and transactional steps, maps, children, branches.
 * Does not check how each behaves: tests/engine does.
 */
#include "scene.h"

/* ---- an activity: done, failed twice, cancelled ---- */

static const pawl_value *call(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "work", .input = in, .retries = 1, .retry_initial_s = 1, .timeout_s = 60,
                     .heartbeat_s = 30, .no_retry = "Denied");
}

void scene_call_code(rig *r)
{
    rig_workflow(r, "call", call);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

void scene_call_play(rig *r)
{
    rig_start_with(r, "call", "done", rig_value(r, "{file: %s, n: 1}", "a.c"));
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "{lines: 7}"));
    scene_end(r, "done", "completed");
    rig_start(r, "call", "failed");
    for (int i = 0; i < 2; i++) {
        rig_fail(r, rig_task_find(r, "work"), "Boom", true);
        rig_advance(r, 1000);
    }
    scene_end(r, "failed", "failed");
    scene_ok(r, "retry", "failed");
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "2"));
    scene_end(r, "failed", "completed");
    rig_start(r, "call", "canceled");
    scene_ok(r, "cancel", "canceled");
    rig_stop(r, rig_task_find(r, "work"));
    scene_end(r, "canceled", "canceled");
    scene_ok(r, "retry", "canceled");
    rig_done(r, rig_task_find(r, "work"), NULL);
    scene_end(r, "canceled", "completed");
}

/* ---- an unsafe one: sent before it leaves, unknown after a crash ---- */

static const pawl_value *unsafe(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "pay", .input = pawl_json(w, "{eur: 5}"), .effect = PAWL_EFFECT_UNSAFE,
                     .retries = 1, .retry_initial_s = 1);
}

void scene_unsafe_code(rig *r)
{
    rig_workflow(r, "unsafe", unsafe);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
}

static void cut(rig *r, const char *id)
{
    rig_start(r, "unsafe", id);
    assert_non_null(rig_task_find(r, "pay"));
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "pay"));
}

static void say(rig *r, const char *id, const char *choice)
{
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: 3}, by: %s}", id, choice, "me")
            ->status,
        PAWL_OK);
}

void scene_unsafe_play(rig *r)
{
    rig_start(r, "unsafe", "done");
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "1"));
    scene_end(r, "done", "completed");
    rig_start(r, "unsafe", "failed");
    for (int i = 0; i < 2; i++) {
        rig_fail(r, rig_task_find(r, "pay"), "Boom", true);
        rig_advance(r, 1000);
    }
    scene_end(r, "failed", "failed");
    rig_start(r, "unsafe", "canceled");
    scene_ok(r, "cancel", "canceled");
    rig_stop(r, rig_task_find(r, "pay"));
    scene_end(r, "canceled", "canceled");
    cut(r, "cut-done");
    say(r, "cut-done", "done");
    scene_end(r, "cut-done", "completed");
    cut(r, "cut-retry");
    say(r, "cut-retry", "retry");
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "2"));
    scene_end(r, "cut-retry", "completed");
    cut(r, "cut-fail");
    say(r, "cut-fail", "fail");
    scene_end(r, "cut-fail", "failed");
    cut(r, "cut-cancel");
    scene_ok(r, "cancel", "cut-cancel");
    scene_end(r, "cut-cancel", "canceled");
}

/* ---- compensation ---- */

static const pawl_value *undo(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *a = pawl_call(w, "auto", .input = pawl_json(w, "{take: 1}"), .undo = "auto");
    pawl_undo(w, "auto", pawl_json(w, "{give: 2}"));
    (void)pawl_call(w, "work", .retries = PAWL_RETRY_NONE);
    return pawl_json(w, "{a: %p}", pawl_v(a));
}

static const pawl_value *echo(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(task, "{was: %p}", pawl_v(in));
}

void scene_undo_code(rig *r)
{
    rig_workflow(r, "undo", undo);
    rig_activity(r, "auto", echo);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

void scene_undo_play(rig *r)
{
    rig_start(r, "undo", "failed");
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    scene_end(r, "failed", "failed");
    assert_int_equal(rig_count(r, "failed", "ActivityScheduled"), 4); /* two of them take back */
    scene_ok(r, "retry", "failed");
    rig_done(r, rig_task_find(r, "work"), NULL);
    scene_end(r, "failed", "completed");
}

static const pawl_value *works(pawl_run *b, void *arg)
{
    (void)arg;
    return pawl_call(b, "work", .undo = "auto", .on_cancel = PAWL_CANCEL_ABANDON);
}

static const pawl_value *undo_open(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_go(w, works, NULL);
    (void)pawl_call_start(w, "work", .undo = "auto");
    (void)pawl_signal(w, "go");
    return pawl_fail(w, "Boom", "with two under way");
}

void scene_undo_open_code(rig *r)
{
    rig_workflow(r, "undo-open", undo_open);
    rig_activity(r, "auto", echo);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

void scene_undo_open_play(rig *r)
{
    rig_start(r, "undo-open", "open");
    rig_begin(r, rig_task_find(r, "work")); /* of these two, one has begun */
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "open", "go");
    rig_stop(r, rig_task_find(r, "work"));
    rig_stop(r, rig_task_find(r, "work"));
    scene_end(r, "open", "failed");
    assert_int_equal(rig_count(r, "open", "ActivityScheduled"), 3);
}

/* ---- local steps, keys, draws ---- */

static const pawl_value *good_step(pawl_step *s, const pawl_value *in)
{
    return pawl_step_build(s, "{twice: %lld}", (long long)(2 * pawl_int(in, "", 0)));
}

static const pawl_value *bad_step(pawl_step *s, const pawl_value *in)
{
    (void)in;
    return pawl_step_fail(s, "Empty", "there is nothing");
}

static const pawl_value *step(pawl_run *w, const pawl_value *in)
{
    const pawl_value *v = pawl_local(w, "good", good_step, in);
    pawl_set(w, "twice", v);
    (void)pawl_local(w, "bad", bad_step, NULL);
    const pawl_failure *f = pawl_catch(w);
    pawl_set(w, "twice", NULL);
    const char *uuid = pawl_uuid(w); /* before the draw: arguments have no order */
    const long long draw = (long long)(pawl_random(w) >> 20);
    return pawl_json(w, "{v: %p, type: %s, draw: %lld, uuid: %s, now: %lld}", pawl_v(v),
                     f != NULL ? f->type : "", draw, uuid, (long long)pawl_now_ms(w));
}

void scene_step_code(rig *r)
{
    rig_workflow(r, "step", step);
}

void scene_step_play(rig *r)
{
    rig_start_with(r, "step", "a", rig_value(r, "21"));
    scene_end(r, "a", "completed");
}

static pawl_status add_row(pawl_tx *tx, pawl_scope *scope, const pawl_value *in,
                           const pawl_value **ret_value, pawl_error *err)
{
    pawl_status st = pawl_tx_exec(tx, "CREATE TABLE IF NOT EXISTS ledger(n INTEGER)", NULL, err);
    if (st == PAWL_OK) {
        st = pawl_tx_exec(tx, "INSERT INTO ledger(n) VALUES (?)", in, err);
    }
    if (st == PAWL_OK && pawl_int(pawl_at(in, 0), "", 0) < 0) {
        return pawl_tx_exec(tx, "this is no SQL", NULL, err);
    }
    return st == PAWL_OK
               ? pawl_tx_query(tx, scope, "SELECT sum(n) AS s FROM ledger", NULL, ret_value, err)
               : st;
}

static const pawl_value *transact(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_transact(w, "add", add_row, pawl_json(w, "[1]"));
    (void)pawl_sleep(w, 1);
    (void)pawl_transact(w, "add", add_row, pawl_json(w, "[-5]"));
    const pawl_failure *f = pawl_catch(w);
    const pawl_value *rows = pawl_transact(w, "add", add_row, pawl_json(w, "[2]"));
    return pawl_json(w, "{rows: %p, type: %s}", pawl_v(rows), f != NULL ? f->type : "");
}

void scene_transact_code(rig *r)
{
    rig_workflow(r, "transact", transact);
}

void scene_transact_play(rig *r)
{
    rig_start(r, "transact", "a");
    rig_advance(r, 1000);
    scene_end(r, "a", "completed");
}

/* ---- maps ---- */

static const pawl_value *map(pawl_run *w, const pawl_value *in)
{
    pawl_map_mode mode = pawl_bool(in, "collect", false) ? PAWL_MAP_COLLECT : PAWL_MAP_FAIL_FAST;
    const pawl_value *all = pawl_map(w, "item", pawl_get(in, "items"), .width = 2, .mode = mode,
                                     .retries = PAWL_RETRY_NONE);
    return pawl_json(w, "{all: %p}", pawl_v(all));
}

void scene_map_code(rig *r)
{
    rig_workflow(r, "map", map);
    rig_held(r, "item", PAWL_EFFECT_DEFAULT);
}

void scene_map_play(rig *r)
{
    rig_start_with(r, "map", "done", rig_value(r, "{items: [1, 2, 3]}"));
    for (int i = 0; i < 3; i++) {
        rig_done(r, rig_task_find(r, "item"), rig_value(r, "%d", 10 + i));
    }
    scene_end(r, "done", "completed");
    rig_start_with(r, "map", "collected", rig_value(r, "{items: [1, 2], collect: true}"));
    rig_fail(r, rig_task_find(r, "item"), "Boom", true);
    rig_done(r, rig_task_find(r, "item"), rig_value(r, "20"));
    scene_end(r, "collected", "completed");
    rig_start_with(r, "map", "failed", rig_value(r, "{items: [1, 2]}"));
    rig_fail(r, rig_task_find(r, "item"), "Boom", true);
    scene_end(r, "failed", "failed");
    while (rig_task_find(r, "item") != NULL) {
        rig_stop(r, rig_task_find(r, "item"));
    }
    rig_start_with(r, "map", "canceled", rig_value(r, "{items: [1]}"));
    scene_ok(r, "cancel", "canceled");
    rig_stop(r, rig_task_find(r, "item"));
    scene_end(r, "canceled", "canceled");
}

/* ---- children ---- */

static const pawl_value *parent(pawl_run *w, const pawl_value *in)
{
    const pawl_value *v =
        pawl_child(w, .workflow = "kid", .input = in, .policy = PAWL_PARENT_CANCEL);
    return pawl_json(w, "{from: %p}", pawl_v(v));
}

static const pawl_value *kid(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "work", .input = in, .retries = PAWL_RETRY_NONE);
}

void scene_child_code(rig *r)
{
    rig_workflow(r, "parent", parent);
    rig_workflow(r, "kid", kid);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

void scene_child_play(rig *r)
{
    rig_start_with(r, "parent", "done", rig_value(r, "{n: 1}"));
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "5"));
    scene_end(r, "done", "completed");
    rig_start(r, "parent", "failed");
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    scene_end(r, "failed", "failed");
    rig_start(r, "parent", "canceled");
    scene_ok(r, "cancel", "canceled");
    rig_stop(r, rig_task_find(r, "work"));
    scene_end(r, "canceled", "canceled");
}

/* ---- branches and futures ---- */

static const pawl_value *one_branch(pawl_run *w, void *arg)
{
    const int *n = arg;
    (void)pawl_sleep(w, *n);
    return pawl_call(w, "auto", .input = pawl_json(w, "%d", *n));
}

static const pawl_value *branches(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[3];
    for (int i = 0; i < 3; i++) {
        int *n = pawl_alloc(w, sizeof *n);
        *n = 3 - i;
        f[i] = pawl_go(w, one_branch, n);
    }
    int first = pawl_await_any(w, f, 3);
    (void)pawl_await_all(w, f, 3);
    pawl_future *race[4] = {pawl_timer_start(w, 100), pawl_signal_start(w, .name = "go"),
                            pawl_ask_start(w, .name = "which"), pawl_call_start(w, "auto")};
    int won = pawl_await_first(w, race, 4);
    for (int i = 0; i < 3; i++) {
        pawl_future_cancel(w, race[i]);
    }
    return pawl_json(w, "{first: %d, won: %d, second: %p}", first, won,
                     pawl_v(pawl_future_value(f[1])));
}

void scene_branch_code(rig *r)
{
    rig_workflow(r, "branches", branches);
    rig_activity(r, "auto", echo);
}

void scene_branch_play(rig *r)
{
    rig_start(r, "branches", "a");
    rig_advance(r, 5000);
    scene_end(r, "a", "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "first", -1), 2);
    assert_int_equal(pawl_int(rig_result(r, "a"), "won", -1), 3);
}

/* ---- a conversation ---- */

static const pawl_value *listen(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    const pawl_value *said = pawl_task_convo(task, in, 0);
    return said != NULL ? pawl_task_build(task, "{role: %s, heard: %zu}", "model", pawl_len(said))
                        : NULL;
}

static const pawl_value *convo(pawl_run *w, const pawl_value *in)
{
    const pawl_value *talk = pawl_convo_append(
        w, NULL,
        pawl_json(w, "[{role: %s}, {role: %s, content: %p}]", "system", "user", pawl_v(in)));
    const pawl_value *said = pawl_call(w, "listen", .input = talk, .retries = PAWL_RETRY_NONE);
    talk = pawl_convo_append(w, talk, said);
    return pawl_call(w, "listen", .input = talk, .retries = PAWL_RETRY_NONE);
}

void scene_convo_code(rig *r)
{
    rig_workflow(r, "convo", convo);
    rig_activity(r, "listen", listen);
}

void scene_convo_play(rig *r)
{
    rig_start_with(r, "convo", "a", rig_value(r, "{what: %s}", "it"));
    scene_end(r, "a", "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "heard", 0), 3);
}
