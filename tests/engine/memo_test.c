/*
 * memo_test.c - the memory store as workflows of both kinds and requests use it: in the turn's commit, on record, never searched again, and
 * neither doubled nor lost by a crash. Does not test words and order: tests/journal/conformance_memo_test.c does.
 */
#include "rig.h"

#include <stdio.h>

#include "engine/memo.h"
#include "engine/parts.h"

/* ---- code ---- */

/* Puts, searches in the same breath, deletes, searches again; and sleeps before it tells. */
static const pawl_value *keeps(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_memory_put(w, .space = "team/a", .key = "tea", .text = "She drinks green tea",
                          .data = pawl_json(w, "{cups: %d}", 3));
    (void)pawl_memory_put(w, .space = "team/a", .key = "car", .text = "The car is green");
    const pawl_value *both = pawl_memory_search(w, .space = "team/a", .query = "green");
    (void)pawl_memory_delete(w, "team/a", "car");
    const pawl_value *one = pawl_memory_search(w, .space = "team/a", .query = "green", .limit = 5);
    const pawl_value *none = pawl_memory_search(w, .space = "team/b", .query = "green");
    (void)pawl_sleep(w, 10);
    return pawl_json(w, "{both: %p, one: %p, none: %p}", pawl_v(both), pawl_v(one), pawl_v(none));
}

static void expect_kept(rig *r, const char *id)
{
    const pawl_value *v = rig_result(r, id);
    assert_int_equal(pawl_len(pawl_get(v, "both")), 2);
    assert_true(pawl_is(v, "both.0.key", "car")); /* put later */
    assert_int_equal(pawl_len(pawl_get(v, "one")), 1);
    assert_true(pawl_is(v, "one.0.text", "She drinks green tea"));
    assert_int_equal(pawl_int(v, "one.0.data.cups", 0), 3);
    assert_int_equal(pawl_len(pawl_get(v, "none")), 0);
}

static void a_run_finds_what_it_has_put_and_not_what_it_deleted(void **state)
{
    rig *r = *state;
    rig_workflow(r, "keeps", keeps);
    rig_start(r, "keeps", "a");
    rig_finish(r, "a", 60000);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_kept(r, "a");
    assert_int_equal(rig_count(r, "a", "MemoryPut"), 2); /* [M1] [M3] */
    assert_int_equal(rig_count(r, "a", "MemoryFound"), 3);
}

static const rig_reply *put(rig *r, const char *key, const char *text)
{
    return rig_ask(r, "memory_put", "{space: 'team/a', key: %s, text: %s}", key, text);
}

static void what_a_search_found_is_on_record_and_not_searched_again(void **state)
{
    rig *r = *state;
    rig_workflow(r, "keeps", keeps);
    rig_start(r, "keeps", "a");
    assert_string_equal(rig_waiting(r, "a"), "timer");
    assert_int_equal(put(r, "grass", "The grass is green")->status, PAWL_OK);
    assert_int_equal(rig_ask(r, "memory_delete", "{space: 'team/a', key: 'tea'}")->status, PAWL_OK);
    rig_crash(r); /* [M2]: the run is replayed, in a world that has changed */
    rig_finish(r, "a", 60000);
    expect_kept(r, "a");
}

static void a_crash_at_any_point_neither_doubles_nor_loses_a_memory(void **state)
{
    rig *r = *state;
    rig_workflow(r, "keeps", keeps);
    for (int after = 0; after < 30; after++) {
        char id[16];
        (void)snprintf(id, sizeof id, "a%d", after);
        (void)rig_ask(r, "memory_delete", "{space: 'team/a', key: 'tea'}");
        (void)rig_post(r, "start", "{workflow: %s, id: %s}", "keeps", id);
        for (int i = 0; i < after; i++) {
            rig_step(r);
            (void)(i % 2 == 0 ? rig_commit(r) : rig_answer(r));
        }
        rig_crash(r);
        rig_run(r);
        if (strcmp(rig_status(r, id), "") == 0) {
            rig_start(r, "keeps", id);
        }
        rig_finish(r, id, 60000);
        assert_string_equal(rig_status(r, id), "completed");
        expect_kept(r, id);
    }
}

/* ---- refused, full, expired ---- */

static const pawl_value *bad(pawl_run *w, const pawl_value *in)
{
    static const struct {
        const char *space, *key, *text;
    } puts[] = {
        {"", "k", "t"}, {"a b", "k", "t"}, {"s", "", "t"}, {"s", "a\nb", "t"}, {"s", "k", NULL}};
    int refused = 0;
    (void)in;
    for (size_t i = 0; i < PW_COUNT(puts); i++) {
        (void)pawl_memory_put(w, .space = puts[i].space, .key = puts[i].key, .text = puts[i].text);
        const pawl_failure *f = pawl_catch(w);
        refused +=
            f != NULL && (pawl_failure_is(f, "InvalidName") || pawl_failure_is(f, "BadOption"));
    }
    (void)pawl_memory_search(w, .space = "s", .query = "x", .limit = 101);
    refused += pawl_failure_is(pawl_catch(w), "BadOption");
    return pawl_json(w, "{refused: %d}", refused);
}

static void what_cannot_be_is_refused(void **state)
{
    rig *r = *state;
    rig_workflow(r, "bad", bad);
    rig_start(r, "bad", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "refused", 0), 6);
    assert_int_equal(rig_ask(r, "memory_put", "{space: 's', key: 'k'}")->status, PAWL_INVALID);
    assert_int_equal(rig_ask(r, "memory_put", "{space: 's s', key: 'k', text: 't'}")->status,
                     PAWL_INVALID);
}

static bool spaces_of(void *ctx, pw_view space, int64_t rows, int64_t bytes)
{
    (void)space;
    (void)bytes;
    *(int64_t *)ctx = rows;
    return false;
}

static pawl_status (*true_spaces)(pw_reader *r, pw_view only, pw_memo_space_fn fn, void *ctx,
                                  pawl_error *err);

/* A space with as many as there may be. */
static pawl_status many(pw_reader *r, pw_view only, pw_memo_space_fn fn, void *ctx, pawl_error *err)
{
    (void)r;
    (void)err;
    (void)fn(ctx, only, PW_MEMOS_MAX, 1);
    return PAWL_OK;
}

static const pawl_value *fills(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const bool put_one = pawl_memory_put(w, .space = "s", .key = "k", .text = "t");
    const pawl_failure *f = pawl_catch(w);
    (void)pawl_sleep(w, 10);
    return pawl_json(w, "{put: %d, full: %d}", (int)put_one, (int)pawl_failure_is(f, "MemoryFull"));
}

static void a_full_space_takes_no_more_and_that_is_on_record(void **state)
{
    rig *r = *state;
    pw_journal_ops ops = *r->core->jops;
    const pw_journal_ops *own = r->core->jops;
    int64_t rows = 0;
    pawl_error err;
    true_spaces = ops.memo_spaces;
    ops.memo_spaces = many;
    rig_workflow(r, "fills", fills);
    r->core->jops = &ops;
    rig_start(r, "fills", "a");
    assert_int_equal(put(r, "k", "t")->status, PAWL_FULL);
    r->core->jops = own;
    rig_crash(r); /* it is not full any more: the replay goes by what is on record */
    rig_finish(r, "a", 60000);
    assert_int_equal(pawl_int(rig_result(r, "a"), "full", 0), 1);
    assert_int_equal(pawl_int(rig_result(r, "a"), "put", 1), 0);
    assert_int_equal(
        true_spaces(r->reader, (pw_view){(const uint8_t *)"s", 1}, spaces_of, &rows, &err),
        PAWL_OK);
    assert_int_equal(rows, 0);
}

static pawl_status two_less(pw_reader *r, pw_view only, pw_memo_space_fn fn, void *ctx,
                            pawl_error *err)
{
    int64_t rows = 0;
    pawl_status st = true_spaces(r, only, spaces_of, &rows, err);
    (void)fn(ctx, only, rows + PW_MEMOS_MAX - 2, 1);
    return st;
}

static const rig_reply *put_short(rig *r, const char *key)
{
    return rig_ask(r, "memory_put", "{space: 's', key: %s, text: 't', ttl_s: 5}", key);
}

/* One that is refused makes room, for it drops what has expired. */
static void a_space_full_of_what_has_expired_does_not_stay_full(void **state)
{
    rig *r = *state;
    pw_journal_ops ops = *r->core->jops;
    const pw_journal_ops *own = r->core->jops;
    true_spaces = ops.memo_spaces;
    ops.memo_spaces = two_less;
    rig_workflow(r, "fills", fills);
    r->core->jops = &ops;
    assert_int_equal(put_short(r, "a")->status, PAWL_OK);
    assert_int_equal(put_short(r, "b")->status, PAWL_OK);
    assert_int_equal(put_short(r, "c")->status, PAWL_FULL);
    rig_advance(r, 6000);
    rig_start(r, "fills", "a"); /* is refused */
    assert_int_equal(put_short(r, "c")->status, PAWL_OK);
    assert_int_equal(put_short(r, "d")->status, PAWL_OK);
    rig_advance(r, 6000);
    assert_int_equal(put_short(r, "e")->status, PAWL_FULL);
    assert_int_equal(put_short(r, "e")->status, PAWL_OK);
    r->core->jops = own;
    rig_finish(r, "a", 60000);
    assert_int_equal(pawl_int(rig_result(r, "a"), "full", 0), 1);
}

static const pawl_value *forgets(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_memory_put(w, .space = "s", .key = "k", .text = "short", .ttl_s = 5);
    const pawl_value *now = pawl_memory_search(w, .space = "s", .query = "short");
    (void)pawl_sleep(w, 6);
    return pawl_json(w, "{now: %zu, then: %zu}", pawl_len(now),
                     pawl_len(pawl_memory_search(w, .space = "s", .query = "short")));
}

static void what_has_a_time_to_live_is_forgotten_after_it(void **state)
{
    rig *r = *state;
    rig_workflow(r, "forgets", forgets);
    rig_start(r, "forgets", "a");
    rig_finish(r, "a", 60000);
    assert_int_equal(pawl_int(rig_result(r, "a"), "now", 0), 1);
    assert_int_equal(pawl_int(rig_result(r, "a"), "then", 1), 0);
}

/* ---- cancel, pause ---- */

static void a_paused_run_searches_when_it_goes_on(void **state)
{
    rig *r = *state;
    rig_workflow(r, "keeps", keeps);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "keeps", "a");
    (void)rig_post(r, "pause", "{id: %s}", "a");
    rig_advance(r, 1000);
    assert_string_equal(rig_status(r, "a"), "paused");
    (void)rig_ask(r, "resume", "{id: %s}", "a");
    rig_finish(r, "a", 60000);
    expect_kept(r, "a");
}

/* ---- folded ---- */

typedef struct folding {
    int64_t stage; /* 0 puts, 1 searches, 2 waits, 3 done */
    int64_t found;
} folding;

static void *folding_new(void *user)
{
    (void)user;
    return calloc(1, sizeof(folding));
}

static void folding_apply(void *state, const pawl_fold_event *e)
{
    folding *f = state;
    if (strcmp(e->type, "MemoryPut") == 0) {
        f->stage = 1;
    } else if (strcmp(e->type, "MemorySearched") == 0) {
        f->stage = 2;
    } else if (strcmp(e->type, "MemoryFound") == 0) {
        f->found = (int64_t)pawl_len(e->value);
        f->stage = 3;
    }
}

static void folding_decide(void *state, pawl_fold *f)
{
    const folding *s = state;
    const pawl_memory_options o = {
        .struct_size = sizeof o, .space = "f", .key = "k", .text = "one two"};
    const pawl_memory_query q = {.struct_size = sizeof q, .space = "f", .query = "two"};
    if (s->stage == 0) {
        (void)pawl_fold_memory_put(f, &o, sizeof o);
        (void)pawl_fold_memory_delete(f, "f", "other");
        (void)pawl_fold_memory_search(f, &q, sizeof q);
    } else if (s->stage == 3) {
        pawl_fold_complete(f, pawl_build(pawl_fold_scope(f), "{found: %lld}", (long long)s->found));
    }
}

static void a_folded_workflow_has_the_store_too(void **state)
{
    rig *r = *state;
    static const pawl_folded folded = {.struct_size = sizeof folded,
                                       .init = folding_new,
                                       .apply = folding_apply,
                                       .decide = folding_decide,
                                       .deinit = free};
    rig_folded(r, "folding", &folded);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "folding", "a");
    rig_step(r);
    (void)rig_commit(r);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(pawl_int(rig_result(r, "a"), "found", 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_run_finds_what_it_has_put_and_not_what_it_deleted),
        RIG_TEST(what_a_search_found_is_on_record_and_not_searched_again),
        RIG_TEST(a_crash_at_any_point_neither_doubles_nor_loses_a_memory),
        RIG_TEST(what_cannot_be_is_refused),
        RIG_TEST(a_full_space_takes_no_more_and_that_is_on_record),
        RIG_TEST(a_space_full_of_what_has_expired_does_not_stay_full),
        RIG_TEST(what_has_a_time_to_live_is_forgotten_after_it),
        RIG_TEST(a_paused_run_searches_when_it_goes_on),
        RIG_TEST(a_folded_workflow_has_the_store_too),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
