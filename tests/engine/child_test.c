/*
 * child_test.c - child runs: results and failure chains through them, what a parent's end does to them, and being cancelled together.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

static const pawl_value *parent(pawl_run *w, const pawl_value *in)
{
    pawl_parent_policy policy = (pawl_parent_policy)pawl_int(in, "policy", 0);
    const pawl_value *v = pawl_child(w, .workflow = "child", .input = in, .policy = policy);
    return pawl_json(w, "{from_child: %p}", pawl_v(v));
}

static const pawl_value *child(pawl_run *w, const pawl_value *in)
{
    const pawl_value *v = pawl_call(w, "work", .input = in, .retries = PAWL_RETRY_NONE);
    return pawl_json(w, "{got: %p, id: %s}", pawl_v(v), pawl_run_id(w));
}

static void open_family(rig *r, int policy)
{
    rig_workflow(r, "parent", parent);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "parent", "p", rig_value(r, "{policy: %d, n: 4}", policy));
}

static void a_childs_result_is_the_calls_result(void **state)
{
    rig *r = *state;
    open_family(r, PAWL_PARENT_TERMINATE);
    assert_int_equal(pawl_int(pawl_task_input(rig_task_find(r, "work")->task), "n", 0), 4);
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "11"));
    assert_int_equal(pawl_int(rig_result(r, "p"), "from_child.got", 0), 11);
    assert_string_equal(pawl_str(rig_result(r, "p"), "from_child.id", ""), "p/1");
}

static void a_childs_failure_is_the_cause_of_the_calls(void **state)
{
    rig *r = *state;
    open_family(r, PAWL_PARENT_TERMINATE);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "p"), "failed");
    const pawl_value *f = rig_failure(r, "p");
    assert_string_equal(pawl_str(f, "type", ""), "ChildFailed");
    assert_string_equal(pawl_str(f, "cause.type", ""), "Boom");
    assert_string_equal(pawl_str(f, "cause.message", ""), "the test says so");
}

static const pawl_value *grandparent(pawl_run *w, const pawl_value *in)
{
    return pawl_child(w, .workflow = "parent", .input = in, .id = "middle");
}

static void a_failure_keeps_its_chain_through_two_generations(void **state)
{
    rig *r = *state;
    rig_workflow(r, "grandparent", grandparent);
    rig_workflow(r, "parent", parent);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "grandparent", "g");
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    const pawl_value *f = rig_failure(r, "g");
    assert_string_equal(pawl_str(f, "type", ""), "ChildFailed");
    assert_string_equal(pawl_str(f, "cause.type", ""), "ChildFailed");
    assert_string_equal(pawl_str(f, "cause.cause.type", ""), "Boom");
    assert_string_equal(rig_status(r, "middle"), "failed");
}

static void cancelling_the_parent_asks_the_child_and_waits_for_it(void **state)
{
    rig *r = *state;
    open_family(r, PAWL_PARENT_TERMINATE);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "p")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "p"), "running");
    rig_stop(r, rig_task_find(r, "work"));
    assert_string_equal(rig_status(r, "p/1"), "canceled");
    assert_string_equal(rig_status(r, "p"), "canceled");
    assert_int_equal(rig_count(r, "p", "ChildCanceled"), 1);
}

static void terminating_the_parent_does_what_its_policy_says(void **state)
{
    rig *r = *state;
    static const char *const ends[] = {"terminated", "canceled", "running"};
    rig_workflow(r, "parent", parent);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    for (int policy = 0; policy < 3; policy++) {
        char id[8] = {'p', (char)('0' + policy), 0};
        char kid[12] = {'p', (char)('0' + policy), '/', '1', 0};
        rig_start_with(r, "parent", id, rig_value(r, "{policy: %d}", policy));
        rig_task *t = rig_task_find(r, "work");
        assert_int_equal(rig_ask(r, "terminate", "{id: %s, reason: %s}", id, "no more")->status,
                         PAWL_OK);
        if (policy == PAWL_PARENT_CANCEL) {
            assert_true(t->cancel_asked);
            rig_stop(r, t);
        } else {
            rig_drop(r, t);
        }
        assert_string_equal(rig_status(r, kid), ends[policy]);
        assert_string_equal(rig_status(r, id), "terminated");
    }
}

static const pawl_value *leaves_child(pawl_run *w, const pawl_value *in)
{
    (void)pawl_child_start(w, .workflow = "child",
                           .policy = (pawl_parent_policy)pawl_int(in, "policy", 0));
    (void)pawl_sleep(w, 1);
    return NULL;
}

static void a_parent_that_returns_while_a_child_runs_does_what_the_policy_says(void **state)
{
    rig *r = *state;
    rig_workflow(r, "parent", leaves_child);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "parent", "p", rig_value(r, "{policy: %d}", (int)PAWL_PARENT_ABANDON));
    rig_start_with(r, "parent", "q", rig_value(r, "{policy: %d}", (int)PAWL_PARENT_TERMINATE));
    rig_advance(r, 2000);
    assert_string_equal(rig_status(r, "p"), "completed");
    assert_string_equal(rig_status(r, "p/1"), "running");
    assert_string_equal(rig_status(r, "q/1"), "terminated");
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "work"), NULL);
    assert_string_equal(rig_status(r, "p/1"), "completed");
}

static const pawl_value *calls_nobody(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_child(w, .workflow = "nowhere");
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{type: %s, cause: %s}", f != NULL ? f->type : "",
                     f != NULL && f->cause != NULL ? f->cause->type : "");
}

static void a_child_without_code_waits_as_no_code_and_goes_on_when_it_comes(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", calls_nobody);
    rig_start(r, "wf", "a");
    rig_advance(r, 1000);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_string_equal(rig_status(r, "a/1"), "running");
    assert_string_equal(rig_waiting(r, "a/1"), "no-code");
    rig_workflow(r, "nowhere", leaves_child);
    rig_advance(r, 2000);
    assert_string_equal(rig_status(r, "a/1"), "completed");
    assert_string_equal(rig_status(r, "a"), "completed");
}

static const pawl_value *same_id(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_child(w, .workflow = "child", .id = "taken");
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{type: %s, cause: %s}", f != NULL ? f->type : "",
                     f != NULL && f->cause != NULL ? f->cause->type : "");
}

static void a_child_whose_id_is_taken_fails_to_start(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", same_id);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "child", "taken");
    rig_start(r, "wf", "a");
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "ChildFailed");
    assert_string_equal(pawl_str(rig_result(r, "a"), "cause", ""), "StartFailed");
    assert_string_equal(rig_status(r, "taken"), "running");
}

static const pawl_value *child_continues(pawl_run *w, const pawl_value *in)
{
    int64_t n = pawl_int(in, "n", 0);
    (void)pawl_sleep(w, 1);
    return n == 0 ? pawl_json(w, "{done: true}")
                  : pawl_continue_as_new(w, pawl_json(w, "{n: %lld}", (long long)n - 1));
}

static void a_child_that_continues_as_new_answers_its_parent_from_the_last(void **state)
{
    rig *r = *state;
    rig_workflow(r, "parent", parent);
    rig_workflow(r, "child", child_continues);
    rig_start_with(r, "parent", "p", rig_value(r, "{n: 3}"));
    rig_advance(r, 2000);
    rig_crash(r);
    rig_advance(r, 10000);
    assert_true(pawl_bool(rig_result(r, "p"), "from_child.done", false));
}

static void a_crash_at_any_point_of_a_childs_life_starts_it_once_and_ends_it_once(void **state)
{
    rig *r = *state;
    for (int at = 0; at < 14; at++) {
        if (at == 0) {
            rig_workflow(r, "parent", parent);
            rig_workflow(r, "child", child);
            rig_held(r, "work", PAWL_EFFECT_DEFAULT);
        }
        char id[8] = {'c', (char)('a' + at), 0};
        char kid[12] = {'c', (char)('a' + at), '/', '1', 0};
        (void)rig_post(r, "start", "{workflow: %s, id: %s, dedup: %s}", "parent", id, id);
        for (int i = 0; i < at; i++) {
            rig_step(r);
            (void)(i % 2 == 0 ? rig_commit(r) : rig_answer(r));
        }
        rig_crash(r);
        rig_run(r);
        if (strcmp(rig_status(r, id), "") == 0) {
            rig_start(r, "parent", id);
        }
        rig_done(r, rig_task_find(r, "work"), rig_value(r, "3"));
        assert_int_equal(pawl_int(rig_result(r, id), "from_child.got", 0), 3);
        assert_int_equal(rig_count(r, id, "ChildCompleted"), 1);
        assert_int_equal(rig_count(r, kid, "ActivityCompleted"), 1);
    }
}

/* ---- ids of children that were given none ---- */

static const pawl_value *three_generations(pawl_run *w, const pawl_value *in)
{
    int64_t n = pawl_int(in, "n", 0);
    (void)pawl_child_start(w, .workflow = "child", .input = in, .policy = PAWL_PARENT_ABANDON);
    (void)pawl_sleep(w, 1);
    if (pawl_ok(w) && n < 2) {
        return pawl_continue_as_new(w, pawl_json(w, "{n: %lld}", (long long)(n + 1)));
    }
    return NULL;
}

static void each_generation_of_a_run_has_children_of_its_own(void **state)
{
    rig *r = *state;
    rig_workflow(r, "parent", three_generations);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "parent", "a", rig_value(r, "{n: 0}"));
    rig_advance(r, 5000);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(rig_tasks(r, "work"), 3);
    rig_crash(r);
    rig_run(r);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(pawl_int(pawl_task_input(rig_task_find(r, "work")->task), "n", -1), n);
        rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    }
    assert_string_equal(rig_status(r, "a/1"), "completed");
    assert_int_equal(pawl_int(rig_event(r, "a/1", "RunStarted", 0), "input.n", -1), 0);
    assert_string_equal(rig_status(r, "a/3.1"),
                        "completed"); /* the second generation is the third run here */
    assert_int_equal(pawl_int(rig_event(r, "a/3.1", "RunStarted", 0), "input.n", -1), 1);
    assert_string_equal(pawl_str(rig_event(r, "a", "ChildStarted", 0), "id", ""), "a/5.1");
}

static void a_run_under_a_used_id_has_children_of_its_own(void **state)
{
    rig *r = *state;
    rig_workflow(r, "parent", leaves_child);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    for (int i = 0; i < 2; i++) {
        rig_start_with(r, "parent", "a", rig_value(r, "{policy: %d}", (int)PAWL_PARENT_ABANDON));
        rig_advance(r, 2000);
        assert_string_equal(rig_status(r, "a"), "completed");
    }
    assert_int_equal(rig_tasks(r, "work"), 2);
    assert_string_equal(rig_status(r, "a/1"), "running");
    assert_string_equal(rig_status(r, "a/3.1"), "running");
}

static const pawl_value *nest(pawl_run *w, const pawl_value *in)
{
    int64_t depth = pawl_int(in, "depth", 0);
    if (depth == 0) {
        return pawl_json(w, "{id: %s}", pawl_run_id(w));
    }
    return pawl_child(w, .workflow = "nest",
                      .input = pawl_json(w, "{depth: %lld}", (long long)(depth - 1)));
}

static void ids_of_deeply_nested_children_stay_ids(void **state)
{
    rig *r = *state;
    char id[PW_ID_BYTES_MAX + 1];
    memset(id, 'n', PW_ID_BYTES_MAX - 5);
    id[PW_ID_BYTES_MAX - 5] = 0;
    rig_workflow(r, "nest", nest);
    rig_start_with(r, "nest", id, rig_value(r, "{depth: 60}"));
    assert_string_equal(rig_status(r, id), "completed");
    const char *last = pawl_str(rig_result(r, id), "id", "");
    assert_true(strlen(last) > 100 && strlen(last) <= PW_ID_BYTES_MAX);
    rig_crash(r);
    assert_string_equal(rig_status(r, last), "completed");
    assert_int_equal(rig_key(r, last), 61);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_childs_result_is_the_calls_result),
        RIG_TEST(a_childs_failure_is_the_cause_of_the_calls),
        RIG_TEST(a_failure_keeps_its_chain_through_two_generations),
        RIG_TEST(cancelling_the_parent_asks_the_child_and_waits_for_it),
        RIG_TEST(terminating_the_parent_does_what_its_policy_says),
        RIG_TEST(a_parent_that_returns_while_a_child_runs_does_what_the_policy_says),
        RIG_TEST(a_child_without_code_waits_as_no_code_and_goes_on_when_it_comes),
        RIG_TEST(a_child_whose_id_is_taken_fails_to_start),
        RIG_TEST(a_child_that_continues_as_new_answers_its_parent_from_the_last),
        RIG_TEST(each_generation_of_a_run_has_children_of_its_own),
        RIG_TEST(a_run_under_a_used_id_has_children_of_its_own),
        RIG_TEST(ids_of_deeply_nested_children_stay_ids),
        RIG_TEST(a_crash_at_any_point_of_a_childs_life_starts_it_once_and_ends_it_once),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
