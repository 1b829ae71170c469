/*
 * agent_compact_test.c - a conversation that grows too long: what is cleared and summarised, when, and that it can be had again as it was.
 * Not here: the loop (agent_test.c).
 */
#include "agent_rig.h"

#define MAIN(test) cmocka_unit_test_setup_teardown(test, agent_setup, agent_teardown)

/* ---- the model ---- */

static size_t with_text(const pawl_value *messages, const char *role, const char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < pawl_len(messages); i++) {
        const pawl_value *m = pawl_at(messages, i);
        pawl_scope *scope = pawl_scope_new();
        const char *all = pawl_to_json(scope, m, 0);
        n += pawl_is(m, "role", role) && strstr(all, text) != NULL;
        pawl_scope_free(scope);
    }
    return n;
}

/* Digs nine times with large results; then says how many of them it still sees, and how many were cleared. */
static const pawl_value *digs_on(pawl_task *t, const pawl_value *messages, int n)
{
    char text[100];
    if (n <= 9) {
        return call_one(t, "large", n);
    }
    (void)snprintf(text, sizeof text, "%zu messages, %zu cleared, %zu whole", pawl_len(messages),
                   with_text(messages, "tool", "[engine] cleared"),
                   with_text(messages, "tool", "xxxxxxxxxx"));
    return say(t, text);
}

#define LARGE "\"tools\": [{\"name\": \"large\", \"activity\": \"large\"}]"

static const pawl_value *key_of(world *w, const char *id)
{
    const pawl_value *v = NULL;
    ok(w->host,
       pawl_query(w->host->engine, id, "compaction", NULL, w->host->scope, &v, &w->host->err));
    return v;
}

static void old_results_are_cleared_and_named_when_it_is_full(void **state)
{
    world *w = *state;
    begin(w, "a", digs_on, ", \"compact\": {\"bytes\": 20000, \"keep_turns\": 2}, " LARGE);
    const pawl_value *v = rig_result(w->host, "a");
    assert_string_equal(pawl_str(v, "answer", ""), "19 messages, 4 cleared, 5 whole");
    assert_int_equal(w->asked, 10);
    assert_true(pawl_is(key_of(w, "a"), "step", "cleared"));
    assert_true(pawl_int(key_of(w, "a"), "bytes_after", 0) <
                pawl_int(key_of(w, "a"), "bytes_before", 0) * 7 / 10);
}

/* ---- summaries ---- */

/* Talks only: nothing can be cleared. */
static const pawl_value *talks(pawl_task *t, const pawl_value *messages, int n)
{
    char text[100];
    if (n <= 8) {
        return call_one(t, "dig", n + 20);
    }
    (void)snprintf(text, sizeof text, "%zu messages, %zu summaries, task %d, pinned %zu",
                   pawl_len(messages), with_text(messages, "user", "what I know"),
                   (int)pawl_is(pawl_at(messages, 0), "text", "dig a hole"),
                   with_text(messages, "user", "never dig at night"));
    return say(t, text);
}

static void what_cannot_be_cleared_is_summarised_and_what_is_pinned_stays(void **state)
{
    world *w = *state;
    w->summary = "what I know: it is deep";
    begin(
        w, "a", talks,
        ", \"compact\": {\"tokens\": 12, \"keep_turns\": 3}, \"task\": [{\"role\": \"user\", \"text\": \"dig a hole\"}, "
        "{\"role\": \"assistant\", \"text\": \"where?\"}, {\"role\": \"user\", \"text\": \"never dig at night\", "
        "\"pinned\": true}]");
    const pawl_value *v = rig_result(w->host, "a");
    assert_non_null(strstr(pawl_str(v, "answer", ""), "1 summaries, task 1, pinned 1"));
    assert_true(w->summed >= 1);
    assert_true(pawl_int(v, "conversation.len", 0) < 19);
    assert_int_equal(pawl_int(v, "turns", 0), 9); /* summaries are no turns */
    assert_int_equal(pawl_int(v, "usage.input", 0), 10 * (9 + w->summed));
}

/* ---- too long for the model ---- */

static const pawl_value *overflows(pawl_task *t, const pawl_value *messages, int n)
{
    if (n <= 4) {
        return call_one(t, "large", n);
    }
    return with_text(messages, "tool", "xxxxxxxxxx") > 1
               ? pawl_task_fail_with(t, "ContextTooLong", "too many tokens", NULL, false)
               : say(t, "it fits");
}

static void a_conversation_that_is_too_long_for_the_model_is_compacted_once(void **state)
{
    world *w = *state;
    begin(w, "a", overflows, ", \"compact\": {\"keep_turns\": 1}, " LARGE);
    const pawl_value *v = rig_result(w->host, "a");
    assert_true(pawl_is(v, "answer", "it fits"));
    assert_int_equal(pawl_int(v, "turns", 0), 5);
    assert_int_equal(w->asked, 6);
    begin(w, "b", overflows, ", \"compact\": false, " LARGE);
    atomic_store(&w->asked, 0);
    (void)failure(w, "b", "ContextTooLong");
}

static const pawl_value *always_too_long(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    return n <= 3 ? call_one(t, "large", n)
                  : pawl_task_fail_with(t, "ContextTooLong", "too many tokens", NULL, false);
}

static void what_is_too_long_all_the_same_ends_the_run(void **state)
{
    world *w = *state;
    begin(w, "a", always_too_long, ", \"compact\": {\"keep_turns\": 1}, " LARGE);
    (void)failure(w, "a", "ContextTooLong");
    assert_int_equal(w->asked, 5);
}

/* ---- back ---- */

static const pawl_value *asks_in_between(pawl_task *t, const pawl_value *messages, int n)
{
    char text[100];
    if (n <= 3) {
        return call_one(t, "large", n);
    }
    if (n <= 5) {
        return call_one(t, "ask_dig", n);
    }
    (void)snprintf(text, sizeof text, "%zu messages, %zu cleared, %zu whole", pawl_len(messages),
                   with_text(messages, "tool", "[engine] cleared"),
                   with_text(messages, "tool", "xxxxxxxxxx"));
    return say(t, text);
}

static void post(world *w, const char *name)
{
    ok(w->host, pawl_signal_post(w->host->engine, "a", name, NULL, NULL, &w->host->err));
}

#define BOTH                                                                               \
    "\"tools\": [{\"name\": \"large\", \"activity\": \"large\"}, {\"name\": \"ask_dig\", " \
    "\"activity\": \"dig\", \"policy\": \"ask\"}]"

static void a_compaction_is_taken_back_and_the_conversation_is_as_it_was(void **state)
{
    world *w = *state;
    begin(w, "a", asks_in_between, ", \"compact\": {\"keep_turns\": 1}, " BOTH);
    (void)question(w, "a", "approve-4-1");
    post(w, "compact");
    answer(w, "a", "approve-4-1", "{\"choice\": \"approve\"}");
    (void)question(w, "a", "approve-5-1");
    const pawl_value *cleared = key_of(w, "a");
    assert_true(pawl_is(cleared, "step", "cleared"));
    reopen(w);
    post(w, "uncompact");
    answer(w, "a", "approve-5-1", "{\"choice\": \"approve\"}");
    const pawl_value *v = rig_result(w->host, "a");
    assert_string_equal(pawl_str(v, "answer", ""), "11 messages, 0 cleared, 3 whole");
    assert_true(pawl_is(key_of(w, "a"), "step", "restored"));
    assert_int_equal(pawl_int(v, "conversation.len", 0), 12);
}

static void compacted_again_and_again_it_survives_restarts(void **state)
{
    world *w = *state;
    begin(w, "a", digs_on, ", \"compact\": {\"bytes\": 9000, \"keep_turns\": 1}, " LARGE);
    rig_watch(w->host);
    for (int seen = 2; seen < 9; seen += 2) {
        rig_watch(w->host);
        while (atomic_load(&w->asked) < seen) {
            rig_event(w->host);
        }
        reopen(w);
    }
    const pawl_value *v = rig_result(w->host, "a");
    assert_non_null(strstr(pawl_str(v, "answer", ""), "19 messages"));
    assert_int_equal(w->asked, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAIN(old_results_are_cleared_and_named_when_it_is_full),
        MAIN(what_cannot_be_cleared_is_summarised_and_what_is_pinned_stays),
        MAIN(a_conversation_that_is_too_long_for_the_model_is_compacted_once),
        MAIN(what_is_too_long_all_the_same_ends_the_run),
        MAIN(a_compaction_is_taken_back_and_the_conversation_is_as_it_was),
        MAIN(compacted_again_and_again_it_survives_restarts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
