/*
 * map_page_test.c - what of a map stands in pages, and what survives there: results in any order of ends, attempts and `sent` across
 * restarts, retries of the run, crashes and failures at every commit, a hundred thousand items.
 * [E10] [E11] [E12] [J17] checked by check_pages after each. Does not use threads or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>
#include <utlist.h>

#include "journal/map_page.h"
#include "sdk/base/mem.h"

/* ---- looking at pages ---- */

typedef struct looked {
    int64_t run, cmd;
    int64_t page, done, failed, parts;
    uint8_t seen[PW_MAP_BITS_BYTES];
    const char *fault;
    int64_t row_done, row_failed;
    bool has_row;
} looked;

static bool look_at_page(void *ctx, const pw_page_row *row)
{
    looked *l = ctx;
    int64_t done, failed;
    if (row->page != l->page) {
        memset(l->seen, 0, sizeof l->seen);
        l->page = row->page;
    }
    const char *fault = pw_page_fault(row, l->seen, &done, &failed);
    l->fault = l->fault != NULL ? l->fault : fault;
    l->done += done;
    l->failed += failed;
    l->parts += row->page >= 0 ? 1 : 0;
    return true;
}

static bool look_at_row(void *ctx, const pw_map_row *row)
{
    looked *l = ctx;
    if (row->cmd == l->cmd) {
        l->has_row = true;
        l->row_done = row->done;
        l->row_failed = row->failed;
    }
    return true;
}

/* Of the map that is the run's first command. */
static looked check_pages(rig *r, const char *id)
{
    looked l = {.run = rig_key(r, id), .cmd = 1, .page = INT64_MIN};
    pawl_error err;
    assert_int_equal(r->reader->ops->map_pages(r->reader,
                                               &(pw_page_range){l.run, 1, -1, INT64_MAX, false},
                                               look_at_page, &l, &err),
                     PAWL_OK);
    assert_int_equal(r->reader->ops->maps(r->reader, l.run, look_at_row, &l, &err), PAWL_OK);
    if (l.fault != NULL) {
        fail_msg("run %s: %s", id, l.fault);
    }
    if (l.has_row) {
        assert_int_equal(l.row_done, l.done);
        assert_int_equal(l.row_failed, l.failed);
    }
    return l;
}

/* ---- code ---- */

static const pawl_value *mapped(pawl_run *w, const pawl_value *in)
{
    int64_t count = pawl_int(in, "count", 5);
    const pawl_value **items = pawl_alloc(w, (size_t)count * sizeof *items);
    for (int64_t i = 0; i < count; i++) {
        items[i] = pawl_make_int(pawl_run_scope(w), i);
    }
    const pawl_value *array = pawl_make_array(pawl_run_scope(w), items, (size_t)count);
    pawl_map_mode mode = pawl_bool(in, "collect", false) ? PAWL_MAP_COLLECT : PAWL_MAP_FAIL_FAST;
    return pawl_map(w, "work", array, .width = (int)pawl_int(in, "width", 3), .mode = mode,
                    .retries = 2, .retry_initial_s = 5, .timeout_s = 60);
}

static void open_map(rig *r, pawl_effect effect, int count, int width, bool collect)
{
    rig_workflow(r, "wf", mapped);
    rig_held(r, "work", effect);
    rig_start_with(
        r, "wf", "a",
        rig_value(r, collect ? "{count: %d, width: %d, collect: true}" : "{count: %d, width: %d}",
                  count, width));
}

static int64_t item_of(const rig_task *t)
{
    return pawl_int(pawl_task_input(t->task), "", -1);
}

static rig_task *task_of(rig *r, int64_t item)
{
    rig_task *t;
    for (t = r->tasks; t != NULL; t = t->next) {
        if (!t->orphan && item_of(t) == item) {
            return t;
        }
    }
    return NULL;
}

static void finish_all(rig *r)
{
    for (rig_task *t = rig_task_find(r, "work"); t != NULL; t = rig_task_find(r, "work")) {
        rig_done(r, t, rig_value(r, "%lld", (long long)item_of(t) * 10));
    }
}

static void expect_tens(rig *r, const char *id, int64_t count)
{
    const pawl_value *v = rig_result(r, id);
    assert_int_equal(pawl_len(v), count);
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(pawl_int(pawl_at(v, (size_t)i), "", -1), i * 10);
    }
}

/* ---- order ---- */

static void results_stand_in_item_order_whatever_the_order_they_ended_in(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 700, 700, false);
    uint64_t random = 7;
    for (int left = 700; left > 0; left--) {
        rig_task *t = r->tasks;
        for (uint64_t skip = rig_draw(&random) % (uint64_t)left; skip > 0; skip--) {
            t = t->next;
        }
        rig_end(r, t, rig_value(r, "%lld", (long long)item_of(t) * 10));
        if (left % 23 == 0) {
            rig_run(r);
            (void)check_pages(r, "a");
        }
    }
    rig_run(r);
    expect_tens(r, "a", 700);
    assert_int_equal(check_pages(r, "a").done, 700);
}

static void a_straggler_does_not_hold_up_the_pages_behind_it(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 600, 2, false);
    for (int i = 1; i < 600; i++) {
        rig_done(r, task_of(r, i), rig_value(r, "%d", i * 10));
    }
    assert_int_equal(check_pages(r, "a").done, 599);
    rig_done(r, task_of(r, 0), rig_value(r, "0"));
    expect_tens(r, "a", 600);
}

static void an_item_that_has_ended_gives_its_place_before_its_commit(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 9, 2, false);
    rig_end(r, task_of(r, 0), rig_value(r, "0"));
    while (rig_deliver(r)) {
    }
    rig_step(r);
    assert_non_null(task_of(r, 2));
    assert_null(task_of(r, 3));
    assert_int_equal(check_pages(r, "a").done, 0);
    rig_run(r);
    assert_int_equal(check_pages(r, "a").done, 1);
    finish_all(r);
    expect_tens(r, "a", 9);
}

static void large_results_begin_new_parts_and_become_blobs(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 64, 8, false);
    char text[6000];
    for (int i = 0; i < 64; i++) {
        size_t n = i % 4 == 3 ? sizeof text - 1 : 900;
        memset(text, 'a' + i % 26, n);
        text[n] = 0;
        rig_done(r, task_of(r, i), rig_value(r, "%s", text));
    }
    assert_true(check_pages(r, "a").parts > 4);
    const pawl_value *v = rig_result(r, "a");
    for (size_t i = 0; i < 64; i++) {
        const char *got = pawl_str(pawl_at(v, i), "", "");
        assert_int_equal(strlen(got), i % 4 == 3 ? sizeof text - 1 : 900);
        assert_int_equal(got[0], 'a' + (int)i % 26);
    }
}

/* ---- attempts and effects across restarts ---- */

static void an_items_attempts_and_key_survive_restarts(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 4, 2, false);
    char key[200];
    (void)snprintf(key, sizeof key, "%s", pawl_task_key(task_of(r, 1)->task));
    for (int attempt = 1; attempt <= 2; attempt++) {
        assert_int_equal(pawl_task_attempt(task_of(r, 1)->task), attempt);
        assert_string_equal(pawl_task_key(task_of(r, 1)->task), key);
        rig_fail(r, task_of(r, 1), "Boom", true);
        rig_crash(r);
        rig_run(r);
        assert_null(task_of(r, 1)); /* its pause survives too */
        assert_int_equal(pawl_task_attempt(task_of(r, 0)->task), 1);
        rig_advance(r, 10000);
    }
    assert_int_equal(pawl_task_attempt(task_of(r, 1)->task), 3);
    rig_fail(r, task_of(r, 1), "Boom", true); /* the last */
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Boom");
}

static void a_further_attempt_waits_until_its_number_has_landed(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    open_map(r, PAWL_EFFECT_DEFAULT, 2, 1, false);
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 1);
    rig_fail(r, task_of(r, 0), "Boom", true);
    rig_advance(r, 4999);
    assert_null(task_of(r, 0));
    rig_advance(r, 5000);
    assert_int_equal(pawl_task_attempt(task_of(r, 0)->task), 2);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(pawl_task_attempt(task_of(r, 0)->task), 2);
    finish_all(r);
    expect_tens(r, "a", 2);
}

static void an_unsafe_item_leaves_only_after_sent_has_landed(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", mapped);
    rig_held(r, "work", PAWL_EFFECT_UNSAFE);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "wf", "a");
    int commits = 0;
    for (int i = 0; i < 50 && rig_task_find(r, "work") == NULL; i++) {
        rig_step(r);
        if (rig_commit(r)) {
            commits++;
            assert_null(rig_task_find(r, "work"));
        }
        (void)rig_answer(r);
    }
    assert_int_equal(commits, 2); /* the start with its map, then `sent` of three items at once */
    assert_int_equal(rig_tasks(r, "work"), 3);
    finish_all(r);
    expect_tens(r, "a", 5);
}

static void an_unsafe_item_that_was_cut_is_unknown_and_not_sent_again(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_UNSAFE, 5, 2, true);
    rig_done(r, task_of(r, 0), rig_value(r, "0"));
    rig_crash(r); /* 1 and 2 were sent */
    rig_run(r);
    assert_null(task_of(r, 1));
    assert_null(task_of(r, 2));
    finish_all(r);
    const pawl_value *v = rig_result(r, "a");
    assert_int_equal(pawl_len(v), 5);
    assert_string_equal(pawl_str(pawl_at(v, 1), "$failure.type", ""), "Unknown");
    assert_string_equal(pawl_str(pawl_at(v, 2), "$failure.type", ""), "Unknown");
    assert_int_equal(pawl_int(pawl_at(v, 4), "", 0), 40);
    assert_int_equal(check_pages(r, "a").failed, 2);
}

static void an_unsafe_item_past_its_time_is_unknown_and_not_tried_again(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_UNSAFE, 2, 1, true);
    rig_task *late = task_of(r, 0);
    rig_begin(r, late);
    rig_advance(r, 61000);
    rig_end(r, late, rig_value(r, "0")); /* too late: it says nothing */
    rig_run(r);
    finish_all(r);
    assert_string_equal(pawl_str(pawl_at(rig_result(r, "a"), 0), "$failure.type", ""), "Unknown");
    assert_int_equal(pawl_int(pawl_at(rig_result(r, "a"), 1), "", 0), 10);
}

static void a_retried_run_asks_once_more_before_it_sends_an_unknown_item(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_UNSAFE, 3, 2, false);
    rig_fail(r, task_of(r, 0), "Denied", false); /* 1 was sent and is left alone */
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_drop(r, task_of(r, 1));
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    assert_null(task_of(r, 1));
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Unknown");
    for (rig_task *t = rig_task_find(r, "work"); t != NULL; t = rig_task_find(r, "work")) {
        rig_drop(r, t); /* what the map had begun of the others */
    }
    int tries = 0;
    while (strcmp(rig_status(r, "a"), "completed") != 0 && tries++ < 5) {
        assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
        finish_all(r);
        (void)check_pages(r, "a");
    }
    expect_tens(r, "a", 3);
}

/* ---- late and duplicate ends ---- */

static void report_again(rig *r, pw_token token, const char *value)
{
    pw_report *again = pw_calloc(1, sizeof *again);
    assert_non_null(again);
    again->kind = PW_REPORT_DONE;
    again->token = token;
    again->scope = pawl_scope_new();
    again->value = pw_value_bytes(pawl_build(again->scope, "%s", value));
    LL_APPEND(r->reports, again);
    rig_run(r);
}

static void late_and_duplicate_ends_count_once(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 5, 2, false);
    pw_token first = task_of(r, 0)->token;
    rig_done(r, task_of(r, 0), rig_value(r, "0"));
    int64_t stale = rig_stat(r, "stale");
    report_again(r, first, "twice");
    rig_fail(r, task_of(r, 1), "Boom", true);
    pw_token old = first;
    old.item = 2;
    report_again(r, old, "late: between the attempts");
    rig_advance(r, 5000);
    report_again(r, old, "late: of the first attempt");
    rig_crash(r);
    rig_run(r);
    first.item = 3;
    report_again(r, first, "late: of another epoch");
    assert_true(rig_stat(r, "stale") >= (r->mode == RIG_NORMAL ? 1 : 0) && stale >= 0);
    rig_advance(r, 10000);
    finish_all(r);
    expect_tens(r, "a", 5);
}

/* ---- retry of the run ---- */

static void a_retried_run_repeats_only_the_items_that_had_not_been_done(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 300, 4, false);
    for (int i = 0; i < 280; i++) {
        rig_done(r, task_of(r, i), rig_value(r, "%d", i * 10));
    }
    rig_task *left = task_of(r, 281);
    pw_token token = left->token;
    rig_fail(r, task_of(r, 280), "Denied", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    looked l = check_pages(r, "a");
    assert_int_equal(l.done, 280);
    assert_int_equal(l.failed, 0);
    report_again(r, token, "late: of the attempt that was left"); /* its number is not used again */
    rig_drop(r, left);
    rig_crash(r);
    rig_run(r);
    for (int i = 0; i < 280; i++) {
        assert_null(task_of(r, i));
    }
    assert_true(pawl_task_attempt(task_of(r, 281)->task) > 1);
    finish_all(r);
    expect_tens(r, "a", 300);
    assert_int_equal(rig_count(r, "a", "MapScheduled"), 1);
}

static void a_retried_item_has_all_its_attempts_again(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 2, 1, false);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            assert_string_equal(rig_status(r, "a"), "running");
            rig_fail(r, task_of(r, 0), "Boom", true);
            rig_advance(r, 30000);
        }
        assert_string_equal(rig_status(r, "a"), "failed");
        assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
        (void)check_pages(r, "a");
    }
    finish_all(r);
    expect_tens(r, "a", 2);
}

static void a_cancelled_run_with_a_map_can_be_retried(void **state)
{
    rig *r = *state;
    open_map(r, PAWL_EFFECT_DEFAULT, 6, 2, false);
    rig_done(r, task_of(r, 0), rig_value(r, "0"));
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    rig_done(r, task_of(r, 1), rig_value(r, "10")); /* it had not heard: its answer is kept */
    rig_stop(r, task_of(r, 2));
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(check_pages(r, "a").done, 2);
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    assert_null(task_of(r, 0));
    assert_null(task_of(r, 1));
    finish_all(r);
    expect_tens(r, "a", 6);
}

/* ---- every commit ---- */

static const pawl_value *tens(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    int64_t n = pawl_int(in, "", -1);
    if (n % 5 == 3 && pawl_task_attempt(task) < 2) {
        return pawl_task_fail(task, "Flaky", "once");
    }
    return pawl_task_build(task, "%lld", (long long)n * 10);
}

/* One round as rig_run does it. False: nothing moved. */
static bool one_round(rig *r)
{
    rig_step(r);
    bool more = rig_commit(r);
    more |= rig_answer(r);
    more |= rig_deliver(r);
    more |= rig_work(r);
    more |= rig_work(r);
    return more;
}

static void a_crash_at_any_moment_of_a_map_loses_and_doubles_nothing(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", mapped);
    rig_activity(r, "work", tens);
    for (int at = 0; at < 60; at++) {
        char id[16];
        (void)snprintf(id, sizeof id, "m%d", at);
        (void)rig_post(r, "start", "{workflow: %s, id: %s, input: {count: 9, width: 4}}", "wf", id);
        for (int i = 0; i < at; i++) {
            if (!one_round(r)) {
                rig_advance(r, 1000);
            }
        }
        rig_crash(r);
        rig_run(r);
        if (strcmp(rig_status(r, id), "") == 0) { /* not even the start had landed */
            continue;
        }
        (void)check_pages(r, id);
        rig_finish(r, id, 60000);
        expect_tens(r, id, 9);
        assert_int_equal(check_pages(r, id).done, 9);
    }
}

static void a_group_with_pages_may_fail_in_any_way_at_any_time(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    rig_workflow(r, "wf", mapped);
    rig_activity(r, "work", tens);
    rig_start_with(r, "wf", "z", rig_value(r, "{count: 3}"));
    rig_finish(r, "z", 60000);
    for (uint64_t at = 0; at < 14; at++) {
        for (int fault = PW_FAULT_NOT; fault <= PW_FAULT_CHECKPOINT; fault++) {
            char id[16];
            (void)snprintf(id, sizeof id, "m%d-%d", (int)at, fault);
            pw_memory_fail_commit(r->store, (pw_memory_fault)fault, at + 1);
            (void)rig_post(r, "start",
                           "{workflow: %s, id: %s, input: {count: 12, width: 4, collect: true}}",
                           "wf", id);
            rig_advance(r, 30000);
            pw_memory_fail_commit(r->store, PW_FAULT_NONE, 0);
            if (strcmp(rig_status(r, id), "") == 0) {
                continue;
            }
            rig_finish(r, id, 60000);
            expect_tens(r, id, 12);
            assert_int_equal(check_pages(r, id).done, 12);
        }
    }
}

/* The n-th allocation of the core's steps fails, n = 1, 2, 3 ... until none did. */
static void a_map_survives_an_allocation_that_fails_wherever_it_is(void **state)
{
    rig *r = *state;
    if (r->mode != RIG_NORMAL) {
        skip();
    }
    rig_workflow(r, "wf", mapped);
    rig_activity(r, "work", tens);
    bool failed = true;
    for (int64_t n = 1; failed; n += 3) {
        char id[24];
        (void)snprintf(id, sizeof id, "m%lld", (long long)n);
        rig_start_with(r, "wf", id,
                       rig_value(r, "{count: 0}")); /* (the rig and the journal are warm) */
        (void)snprintf(id, sizeof id, "n%lld", (long long)n);
        (void)rig_post(r, "start",
                       "{workflow: %s, id: %s, input: {count: 7, width: 3, collect: true}}", "wf",
                       id);
        int64_t left = n;
        failed = false;
        for (int i = 0; i < 200 && !failed; i++) {
            pw_mem_fail(left, false);
            rig_step(r);
            left -= pw_mem_count(&failed);
            pw_mem_fail(0, false);
            (void)rig_commit(r);
            (void)rig_answer(r);
            (void)rig_deliver(r);
            (void)rig_work(r);
            r->now_ms += 100;
        }
        rig_advance(r, 30000);
        if (strcmp(rig_status(r, id), "") != 0) {
            rig_finish(r, id, 120000);
            expect_tens(r, id, 7);
            (void)check_pages(r, id);
        }
        pw_core_check(r->core);
    }
}

/* ---- many ---- */

static const pawl_value *sum_up(pawl_run *w, const pawl_value *in)
{
    int64_t count = pawl_int(in, "count", 0);
    const pawl_value **items = pawl_alloc(w, (size_t)count * sizeof *items);
    for (int64_t i = 0; i < count; i++) {
        items[i] = pawl_make_int(pawl_run_scope(w), i);
    }
    pawl_items *all =
        pawl_map_cursor(w, "work", pawl_make_array(pawl_run_scope(w), items, (size_t)count),
                        .width = 64, .retry_initial_s = 0.001);
    int64_t sum = 0, seen = 0;
    const pawl_value *v;
    while (pawl_items_next(all, &v, NULL)) {
        seen++;
        sum += pawl_int(v, "", 0);
    }
    return pawl_json(w, "{seen: %lld, sum: %lld}", (long long)seen, (long long)sum);
}

/* Recovery reads a few hundred heads; what is held at a time is bounded by width and notes, not by the number of items. */
static void a_hundred_thousand_items_take_a_few_hundred_pages(void **state)
{
    rig *r = *state;
    if (r->mode != RIG_NORMAL) {
        skip();
    }
    enum { ITEMS = 100000 };
    rig_workflow(r, "wf", sum_up);
    rig_activity(r, "work", tens);
    (void)rig_post(r, "start", "{workflow: %s, id: %s, input: {count: %d}}", "wf", "a", ITEMS);
    for (int i = 0; i < 20000; i++) {
        bool more = one_round(r);
        for (int n = 0; n < 64 && rig_work(r); n++) {
        }
        while (rig_deliver(r)) {
        }
        if (!more) {
            r->now_ms += 5;
        }
        if (i % 100 == 99) {
            assert_true(rig_stat(r, "jobs") <= 64);
            if (check_pages(r, "a").done > ITEMS / 4) {
                break;
            }
        }
    }
    looked l = check_pages(r, "a");
    assert_true(l.done > 1000 && l.done < ITEMS);
    rig_crash(r);
    rig_run(r);
    rig_finish(r, "a", 600000);
    assert_int_equal(pawl_int(rig_result(r, "a"), "seen", 0), ITEMS);
    assert_int_equal(pawl_int(rig_result(r, "a"), "sum", 0), (int64_t)ITEMS * (ITEMS - 1) / 2 * 10);
    l = check_pages(r, "a");
    assert_int_equal(l.done, ITEMS);
    assert_true(l.parts < 3 * ITEMS / PW_MAP_PAGE_ITEMS);
    assert_string_equal(rig_history(r, "a"),
                        "RunStarted MapScheduled:work MapCompleted RunCompleted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(results_stand_in_item_order_whatever_the_order_they_ended_in),
        RIG_TEST(a_straggler_does_not_hold_up_the_pages_behind_it),
        RIG_TEST(an_item_that_has_ended_gives_its_place_before_its_commit),
        RIG_TEST(large_results_begin_new_parts_and_become_blobs),
        RIG_TEST(an_items_attempts_and_key_survive_restarts),
        RIG_TEST(a_further_attempt_waits_until_its_number_has_landed),
        RIG_TEST(an_unsafe_item_leaves_only_after_sent_has_landed),
        RIG_TEST(an_unsafe_item_that_was_cut_is_unknown_and_not_sent_again),
        RIG_TEST(an_unsafe_item_past_its_time_is_unknown_and_not_tried_again),
        RIG_TEST(a_retried_run_asks_once_more_before_it_sends_an_unknown_item),
        RIG_TEST(late_and_duplicate_ends_count_once),
        RIG_TEST(a_retried_run_repeats_only_the_items_that_had_not_been_done),
        RIG_TEST(a_retried_item_has_all_its_attempts_again),
        RIG_TEST(a_cancelled_run_with_a_map_can_be_retried),
        RIG_TEST(a_crash_at_any_moment_of_a_map_loses_and_doubles_nothing),
        RIG_TEST(a_group_with_pages_may_fail_in_any_way_at_any_time),
        RIG_TEST(a_map_survives_an_allocation_that_fails_wherever_it_is),
        RIG_TEST(a_hundred_thousand_items_take_a_few_hundred_pages),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
