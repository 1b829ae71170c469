/*
 * cache_test.c - results that later calls may have: whose they are, for how long, who may share them, and what is never kept.
 * Does not use threads, files (but in the mode sqlite) or real time: the rig has none. Not here: the rows themselves (journal/conformance).
 */
#include "rig.h"

#include <stdio.h>

/* {input, cache_s, scope, effect, undo} as the run's input says. */
static const pawl_value *ask(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "work", .input = pawl_get(in, "input"),
                     .cache_s = pawl_num(in, "cache_s", 60),
                     .cache_scope = pawl_str(in, "scope", NULL),
                     .effect = (pawl_effect)pawl_int(in, "effect", 0),
                     .undo = pawl_str(in, "undo", NULL), .retries = 1, .retry_initial_s = 1);
}

static void fold_apply(void *state, const pawl_fold_event *e)
{
    int *done = state;
    *done += strcmp(e->type, "ActivityScheduled") == 0 ? 1 : 0;
    *done += strcmp(e->type, "ActivityCompleted") == 0 ? 1 : 0;
    *done += e->cached ? 10 : 0;
}

static void fold_decide(void *state, pawl_fold *f)
{
    const int *done = state;
    if (*done == 0) {
        const pawl_call_options o = {
            .name = "work", .input = pawl_build(pawl_fold_scope(f), "{n: 1}"), .cache_s = 60};
        (void)pawl_fold_call(f, &o, sizeof o);
    } else if (*done % 10 == 2) {
        pawl_fold_complete(f, pawl_make_bool(pawl_fold_scope(f), *done > 10));
    }
}

static void *fold_new(void *user)
{
    (void)user;
    return calloc(1, sizeof(int));
}

static const pawl_value *fold_save(const void *state, pawl_scope *scope)
{
    return pawl_make_int(scope, *(const int *)state);
}

static void *fold_load(const pawl_value *saved, void *user)
{
    int *done = fold_new(user);
    *done = (int)pawl_int(saved, "", 0);
    return done;
}

static void open_rig(rig *r, pawl_effect effect)
{
    static const pawl_folded folded = {.struct_size = sizeof(pawl_folded),
                                       .init = fold_new,
                                       .apply = fold_apply,
                                       .decide = fold_decide,
                                       .save = fold_save,
                                       .load = fold_load,
                                       .deinit = free};
    rig_workflow(r, "ask", ask);
    rig_folded(r, "fold", &folded);
    rig_held(r, "work", effect);
}

static void start(rig *r, const char *id, const char *input)
{
    const pawl_value *v = NULL;
    pawl_error err;
    char json[200];
    size_t n = 0;
    for (; input[n] != '\0' && n + 1 < sizeof json; n++) {
        json[n] = input[n] == '\'' ? '"' : input[n];
    }
    assert_int_equal(pawl_parse_json(r->scope, json, n, &v, &err), PAWL_OK);
    rig_start_with(r, "ask", id, v);
}

static void done(rig *r, const char *text)
{
    assert_non_null(rig_task_find(r, "work"));
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "%s", text));
}

static void bought(rig *r, const char *id, const char *text)
{
    done(r, text);
    assert_string_equal(pawl_str(rig_result(r, id), "", "?"), text);
    assert_int_equal(rig_tasks(r, "work"), 0);
}

/* Completed by what another run has, and nothing was started for it. */
static void given(rig *r, const char *id, const char *text, const char *of)
{
    assert_string_equal(rig_status(r, id), "completed");
    assert_string_equal(pawl_str(rig_result(r, id), "", "?"), text);
    assert_int_equal(rig_tasks(r, "work"), 0);
    const pawl_value *ev = rig_event(r, id, "ActivityCompleted", 0);
    assert_string_equal(pawl_str(ev, "cached.run", "?"), of);
    assert_int_equal(pawl_int(ev, "cached.command", 0), 1);
    assert_true(pawl_int(ev, "cached.at_ms", 0) >= RIG_START_MS);
    assert_null(pawl_get(ev, "attempt"));
}

#define ONE "{'input': {'n': 1, 'm': [2]}}"

static void the_same_call_has_the_result_of_the_first_and_says_so(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", ONE);
    bought(r, "a", "one");
    assert_null(pawl_get(rig_event(r, "a", "ActivityCompleted", 0), "cached"));
    const int64_t before = rig_stat(r, "jobs_started");
    start(r, "b", "{'input': {'m': [2], 'n': 1}}"); /* the order of keys is nothing */
    given(r, "b", "one", "a");
    assert_int_equal(rig_stat(r, "jobs_started"), before);
    start(r, "c", ONE); /* what was given is not kept as if it were new */
    given(r, "c", "one", "a");
}

static void another_input_scope_or_activity_is_another_call(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", ONE);
    bought(r, "a", "one");
    start(r, "b", "{'input': {'n': 2}}");
    bought(r, "b", "two");
    start(r, "c", "{'input': {'n': 1, 'm': [2]}, 'scope': 'tenant-2'}");
    bought(r, "c", "theirs");
    start(r, "d", "{'input': {'n': 1, 'm': [2]}, 'scope': 'tenant-2'}");
    given(r, "d", "theirs", "c");
    start(r, "e", ONE);
    given(r, "e", "one", "a");
}

static void a_result_expires(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", ONE);
    bought(r, "a", "old");
    rig_advance(r, 30000);
    start(r, "b", "{'input': {'n': 1, 'm': [2]}, 'cache_s': 20}"); /* it wants none so old */
    bought(r, "b", "newer");
    rig_advance(r, 19000);
    start(r, "c", ONE);
    given(r, "c", "newer", "b");
    rig_advance(r, 1000); /* as long as it was kept for has passed */
    start(r, "d", ONE);
    bought(r, "d", "newest");
}

static void who_does_not_ask_for_it_neither_takes_nor_gives(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{'input': {'n': 1}, 'cache_s': 0}");
    bought(r, "a", "one");
    start(r, "b", "{'input': {'n': 1}}");
    bought(r, "b", "two");
    start(r, "c", "{'input': {'n': 1}, 'cache_s': 0}");
    bought(r, "c", "three");
}

static void it_survives_a_crash_and_is_found_after_one(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", ONE);
    bought(r, "a", "one");
    rig_crash(r);
    rig_run(r);
    start(r, "b", ONE);
    given(r, "b", "one", "a");
    /* the command has landed, and its end has not */
    const pawl_value *in = rig_value(r, "{input: {n: 1, m: [2]}}");
    (void)rig_post(r, "start", "{workflow: 'ask', id: 'c', input: %p}", pawl_v(in));
    bool scheduled = false;
    for (int i = 0; i < 100 && !scheduled; i++) {
        rig_step(r);
        (void)rig_commit(r);
        scheduled = rig_status(r, "c")[0] != '\0' && rig_count(r, "c", "ActivityScheduled") == 1;
        if (!scheduled) {
            (void)rig_answer(r);
        }
    }
    assert_true(scheduled);
    assert_int_equal(rig_count(r, "c", "ActivityCompleted"), 0);
    rig_crash(r);
    rig_run(r);
    given(r, "c", "one", "a");
}

static void it_is_looked_for_again_before_a_retry_and_after_a_pause(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", ONE);
    start(r, "b", ONE);
    start(r, "c", ONE); /* all are under way: nothing is kept yet */
    assert_int_equal(rig_tasks(r, "work"), 3);
    rig_task *of_a = rig_task_find(r, "work");
    rig_fail(r, of_a->next, "Boom", true);
    rig_fail(r, of_a->next, "Boom", true);
    assert_int_equal(rig_ask(r, "pause", "{id: 'c'}")->status, PAWL_OK);
    done(r, "one");
    rig_advance(r, 1000);
    given(r, "b", "one", "a");
    assert_string_equal(rig_status(r, "c"), "paused");
    assert_int_equal(rig_ask(r, "resume", "{id: 'c'}")->status, PAWL_OK);
    given(r, "c", "one", "a");
}

static void a_folded_workflow_has_it_too(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    rig_start(r, "fold", "a");
    done(r, "one");
    assert_false(pawl_bool(rig_result(r, "a"), "", true));
    rig_start(r, "fold", "b");
    assert_true(pawl_bool(rig_result(r, "b"), "", false)); /* it is told so */
    assert_true(pawl_is(rig_event(r, "b", "ActivityCompleted", 0), "cached.run", "a"));
    start(r, "c", "{'input': {'n': 1}}"); /* code and folded ask alike */
    given(r, "c", "one", "a");
}

static void a_replay_does_not_look_again(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", ONE);
    bought(r, "a", "one");
    start(r, "b", ONE);
    given(r, "b", "one", "a");
    rig_advance(r, 120000); /* it has expired since */
    rig_crash(r);
    rig_run(r);
    given(r, "b", "one", "a");
}

static void failures_and_large_results_are_not_kept(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", ONE);
    rig_fail(r, rig_task_find(r, "work"), "Boom", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    start(r, "b", ONE);
    char *large = malloc(PW_CACHE_VALUE_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, 'x', PW_CACHE_VALUE_BYTES_MAX);
    large[PW_CACHE_VALUE_BYTES_MAX] = '\0';
    done(r, large);
    free(large);
    assert_string_equal(rig_status(r, "b"), "completed");
    start(r, "c", ONE);
    bought(r, "c", "one");
}

static void unsafe_effects_are_never_kept_and_never_given(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_UNSAFE); /* as registered; the call says nothing */
    start(r, "a", ONE);
    bought(r, "a", "one");
    start(r, "b", ONE);
    bought(r, "b", "two");
    start(r, "c", "{'input': {'n': 1, 'm': [2]}, 'effect': 2}"); /* this one calls it idempotent */
    bought(r, "c", "three");
    start(r, "d", ONE);
    bought(r, "d", "four");
}

static void an_unsafe_call_and_one_with_an_undo_are_refused(void **state)
{
    rig *r = *state;
    open_rig(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{'input': {'n': 1}, 'effect': 3}");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "BadOption");
    start(r, "b", "{'input': {'n': 1}, 'undo': 'work'}");
    assert_string_equal(pawl_str(rig_failure(r, "b"), "type", ""), "BadOption");
    start(r, "c", "{'input': {'n': 1}, 'cache_s': -1}");
    assert_string_equal(pawl_str(rig_failure(r, "c"), "type", ""), "BadOption");
    assert_int_equal(rig_tasks(r, "work"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(the_same_call_has_the_result_of_the_first_and_says_so),
        RIG_TEST(another_input_scope_or_activity_is_another_call),
        RIG_TEST(a_result_expires),
        RIG_TEST(who_does_not_ask_for_it_neither_takes_nor_gives),
        RIG_TEST(it_survives_a_crash_and_is_found_after_one),
        RIG_TEST(it_is_looked_for_again_before_a_retry_and_after_a_pause),
        RIG_TEST(a_folded_workflow_has_it_too),
        RIG_TEST(a_replay_does_not_look_again),
        RIG_TEST(failures_and_large_results_are_not_kept),
        RIG_TEST(unsafe_effects_are_never_kept_and_never_given),
        RIG_TEST(an_unsafe_call_and_one_with_an_undo_are_refused),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
