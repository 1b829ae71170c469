/*
 * agent_test.c - the agent's loop, against a scripted model in the process: what it is asked, what tools and people do, how it ends, and that none
 * of it is done again when the engine is closed at any point. Not here: real wires, and kill -9 (agent_kill_test.c).
 */
#include <sys/stat.h>

#include "agent_rig.h"

/* ---- the loop ---- */

static const pawl_value *digs_twice(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        const pawl_value *const parts[] = {call(t, "dig", 1), call(t, "dig", 13),
                                           call(t, "no_dig", 2), call(t, "shovel", 3)};
        need(pawl_len(messages) == 1);
        return calls(t, parts, PW_COUNT(parts));
    }
    const pawl_value *parts = pawl_get(last(messages), "parts");
    need(pawl_is(last(messages), "role", "tool"));
    need(pawl_len(parts) == 4);
    need(pawl_int(pawl_at(parts, 0), "content.depth", 0) == 10);
    need(pawl_is(pawl_at(parts, 0), "content.spade", "big"));
    need(!pawl_bool(pawl_at(parts, 0), "is_error", true));
    for (size_t i = 1; i < 4; i++) {
        need(pawl_bool(pawl_at(parts, i), "is_error", false));
    }
    need(strcmp(told(messages, 1), "Bedrock: too hard") == 0);
    need(strcmp(told(messages, 2), "Denied: this tool must not be used") == 0);
    need(strcmp(told(messages, 3), "UnknownTool: there is no tool of this name") == 0);
    return say(t, "It is 10 deep.");
}

static void tools_are_called_and_what_they_gave_is_told(void **state)
{
    world *w = *state;
    begin(w, "a", digs_twice, "");
    const pawl_value *v = rig_result(w->host, "a");
    assert_true(pawl_is(v, "answer", "It is 10 deep."));
    assert_int_equal(pawl_int(v, "turns", 0), 2);
    assert_int_equal(pawl_int(v, "usage.input", 0), 20);
    assert_int_equal(pawl_int(v, "conversation.len", 0), 4);
    assert_int_equal(w->asked, 2);
    assert_int_equal(w->dug, 2);
    assert_int_equal(w->tools_seen, 5); /* the denied one is not shown */
    assert_string_equal(w->system, "You dig.");
    const pawl_value *shown = NULL;
    ok(w->host,
       pawl_query(w->host->engine, "a", "agent", NULL, w->host->scope, &shown, &w->host->err));
    assert_true(pawl_is(shown, "phase", "done"));
    assert_int_equal(pawl_int(shown, "turn", 0), 2);
}

static const pawl_value *asks_first(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        const pawl_value *const parts[] = {call(t, "ask_dig", 1), call(t, "ask_dig", 2),
                                           call(t, "ask_dig", 3)};
        return calls(t, parts, PW_COUNT(parts));
    }
    const pawl_value *parts = pawl_get(last(messages), "parts");
    need(pawl_int(pawl_at(parts, 0), "content.depth", 0) == 10);
    need(strcmp(told(messages, 1), "Rejected: not there") == 0);
    need(pawl_int(pawl_at(parts, 2), "content.depth", 0) == 70);
    return say(t, "done");
}

static void a_person_approves_rejects_and_modifies_across_restarts(void **state)
{
    world *w = *state;
    begin(w, "a", asks_first, "");
    const pawl_value *q = question(w, "a", "approve-1-2");
    assert_int_equal(pawl_int(q, "show.arguments.n", 0), 2);
    assert_true(pawl_is(q, "show.tool", "ask_dig"));
    assert_int_equal(w->dug, 0);
    reopen(w);
    answer(w, "a", "approve-1-2", "{\"choice\": \"reject\", \"data\": \"not there\"}");
    answer(w, "a", "approve-1-3", "{\"choice\": \"modify\"}"); /* no arguments: asked again */
    reopen(w);
    (void)question(w, "a", "approve-1-3-2");
    answer(w, "a", "approve-1-3-2",
           "{\"choice\": \"modify\", \"data\": {\"arguments\": {\"n\": 7}}}");
    answer(w, "a", "approve-1-1", "{\"choice\": \"approve\"}");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "done"));
    assert_int_equal(w->asked, 2);
    assert_int_equal(w->dug, 2);
}

static const pawl_value *asks_and_hears(pawl_task *t, const pawl_value *messages, int n)
{
    return n == 1 ? call_one(t, "ask_dig", 1) : say(t, told(messages, 0));
}

static void a_question_that_nobody_answers_in_time_is_a_no(void **state)
{
    world *w = *state;
    begin(w, "a", asks_and_hears, ", \"approval\": {\"deadline_s\": 0.05}");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "Rejected: a person said no"));
    assert_int_equal(w->dug, 0);
}

static const pawl_value *delegates(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        return call_one(t, "waits", 5);
    }
    need(pawl_int(pawl_at(pawl_get(last(messages), "parts"), 0), "content.waited", 0) == 5);
    return say(t, "waited");
}

static void a_tool_may_be_a_child_run(void **state)
{
    world *w = *state;
    begin(w, "a", delegates, "");
    rig_watch(w->host);
    const pawl_value *list = NULL;
    do {
        rig_event(w->host);
        ok(w->host, pawl_list(w->host->engine, "workflow = waits", 0, 10, w->host->scope, &list,
                              &w->host->err));
    } while (pawl_len(pawl_get(list, "runs")) == 0);
    reopen(w);
    ok(w->host,
       pawl_signal_post(w->host->engine, pawl_str(pawl_at(pawl_get(list, "runs"), 0), "id", ""),
                        "go", NULL, NULL, &w->host->err));
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "waited"));
    assert_int_equal(w->asked, 2);
}

/* ---- steering ---- */

static const pawl_value *listens(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        return call_one(t, "ask_dig", 1);
    }
    return say(t, pawl_str(last(messages), "text", "nothing was said"));
}

static void a_message_reaches_it_before_its_next_turn(void **state)
{
    world *w = *state;
    begin(w, "a", listens, "");
    (void)question(w, "a", "approve-1-1");
    ok(w->host,
       pawl_signal_post(w->host->engine, "a", "message",
                        pawl_make_str(w->host->scope, "stop digging"), NULL, &w->host->err));
    ok(w->host, pawl_signal_post(w->host->engine, "a", "other",
                                 pawl_make_str(w->host->scope, "noise"), NULL, &w->host->err));
    answer(w, "a", "approve-1-1", "{\"choice\": \"approve\"}");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "stop digging"));
}

static void cancel_ends_it_and_its_children(void **state)
{
    world *w = *state;
    const pawl_value *v = NULL;
    begin(w, "a", asks_first, "");
    (void)question(w, "a", "approve-1-1");
    ok(w->host, pawl_cancel(w->host->engine, "a", "enough", &w->host->err));
    expect(w->host, PAWL_CANCELED,
           pawl_result(w->host->engine, "a", 20000, w->host->scope, &v, &w->host->err));
    assert_int_equal(w->asked, 1);
}

/* ---- loops and ends ---- */

static const pawl_value *insists(pawl_task *t, const pawl_value *messages, int n)
{
    const char *text = pawl_str(last(messages), "text", "");
    if (strcmp(text, "try the river") == 0) {
        return say(t, "the river it is");
    }
    need((strncmp(text, "[engine]", 8) == 0) == (n == 4 || n == 5));
    return call_one(t, "stone", 1);
}

static void a_loop_is_told_then_blocked_then_asked_about(void **state)
{
    world *w = *state;
    static const char *const ends[][2] = {
        {"{\"choice\": \"continue\", \"data\": \"try the river\"}", "a"},
        {"{\"choice\": \"stop\"}", "b"}};
    for (size_t i = 0; i < PW_COUNT(ends); i++) {
        atomic_store(&w->asked, 0);
        atomic_store(&w->dug, 0);
        begin(w, ends[i][1], insists, "");
        assert_non_null(
            strstr(pawl_str(question(w, ends[i][1], "stuck-5"), "prompt", ""), "\"stone\""));
        assert_int_equal(w->dug, 4); /* the fifth was refused */
        reopen(w);
        answer(w, ends[i][1], "stuck-5", ends[i][0]);
        if (i == 0) {
            assert_true(pawl_is(rig_result(w->host, "a"), "answer", "the river it is"));
        } else {
            (void)failure(w, "b", "LoopDetected");
        }
    }
}

static const pawl_value *polls(pawl_task *t, const pawl_value *messages, int n)
{
    need(pawl_is(last(messages), "role", n == 1 ? "user" : "tool"));
    return n < 9 ? call_one(t, "poll_stone", 1) : say(t, "it is a stone");
}

static void a_tool_that_polls_is_no_loop(void **state)
{
    world *w = *state;
    begin(w, "a", polls, "");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "it is a stone"));
    assert_int_equal(w->dug, 8);
}

static const pawl_value *never_ends(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    return call_one(t, "dig", n);
}

static void turns_are_bounded_and_the_last_may_call_nothing(void **state)
{
    world *w = *state;
    begin(w, "a", never_ends, ", \"max_turns\": 4");
    (void)failure(w, "a", "MaxTurns");
    assert_int_equal(w->asked, 4);
    assert_int_equal(w->forced, 1);
}

static const pawl_value *weather(pawl_task *t, const pawl_value *messages, int n)
{
    return n == 1 ? call_one(t, "dig", 1) : pawl_len(messages) == 3 ? say(t, "dry") : say(t, "?");
}

static void context_goes_with_one_call_and_is_no_part_of_the_conversation(void **state)
{
    world *w = *state;
    begin(w, "a", weather, ", \"context\": \"surroundings\"");
    const pawl_value *v = rig_result(w->host, "a");
    assert_true(pawl_is(v, "answer", "dry"));
    assert_int_equal(pawl_int(v, "conversation.len", 0), 4);
    const pawl_value *history = NULL;
    ok(w->host,
       pawl_history(w->host->engine, "a", 1, 100, w->host->scope, &history, &w->host->err));
    const char *shown = pawl_to_json(w->host->scope, history, 0);
    assert_non_null(strstr(shown, "it rains"));
    assert_non_null(strstr(shown, "the sun shines"));
}

static const pawl_value *structured(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    (void)n;
    return pawl_task_build(
        t,
        "{message: {role: 'assistant', parts: [{type: 'text', text: '7'}]}, stop: 'end', value: {depth: 7}}");
}

static void a_structured_answer_is_a_value_and_a_missing_one_a_failure(void **state)
{
    world *w = *state;
    begin(w, "a", structured, ", \"answer_schema\": {\"type\": \"object\"}");
    assert_int_equal(pawl_int(rig_result(w->host, "a"), "answer.depth", 0), 7);
    begin(w, "b", never_ends, ", \"max_turns\": 1, \"answer_schema\": {\"type\": \"object\"}");
    (void)failure(w, "b", "MaxTurns");
    const pawl_start_options o = {
        .workflow = "agent", .id = "c", .input = pawl_build(w->host->scope, "{system: 'x'}")};
    expect(w->host, PAWL_INVALID, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
}

/* ---- long runs ---- */

static const pawl_value *hundred(pawl_task *t, const pawl_value *messages, int n)
{
    need(pawl_len(messages) == (size_t)(2 * n - 1));
    return n <= 99 ? call_one(t, "dig", n + 20) : say(t, "deep");
}

static off_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static off_t journal_after(world *w, const char *id, size_t bytes)
{
    char *text = malloc(bytes + 400);
    assert_non_null(text);
    w->script = hundred;
    atomic_store(&w->asked, 0);
    const int n =
        snprintf(text, 400,
                 "{\"tools\": ["
                 "{\"name\": \"dig\", \"activity\": \"dig\"}], \"max_turns\": 200, \"task\": \"");
    uint64_t random = 1; /* so that it does not compress to nothing */
    for (size_t i = 0; i < bytes; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        text[(size_t)n + i] = (char)('0' + (random >> 58));
        text[(size_t)n + i] = text[(size_t)n + i] == '\\' ? '/' : text[(size_t)n + i];
    }
    memcpy(text + n + bytes, "\"}", 3);
    rig_start(w->host, "agent", id, text);
    free(text);
    assert_int_equal(pawl_int(rig_result(w->host, id), "turns", 0), 100);
    assert_int_equal(w->asked, 100);
    rig_close(w->host);
    const off_t size = size_of(w->host->path);
    open_world(w);
    return size;
}

static void a_hundred_calls_on_200_kb_journal_each_message_once(void **state)
{
    world *w = *state;
    const off_t small = journal_after(w, "small", 100);
    const off_t both = journal_after(w, "large", 200000);
    const long long large = (long long)(both - small);
    print_message(
        "100 calls: journal of %lld bytes on an empty conversation, %lld on one of 200,000 bytes\n",
        (long long)small, large);
    assert_true(large < small + 4 * 200000); /* 20,000,000 if each call journaled all of it */
}

static void a_long_run_is_closed_again_and_again_and_nothing_is_done_twice(void **state)
{
    world *w = *state;
    begin(w, "a", hundred, ", \"max_turns\": 200");
    for (int seen = 7; seen < 100; seen += 13) {
        rig_watch(w->host);
        while (atomic_load(&w->asked) < seen) {
            rig_event(w->host);
        }
        reopen(w);
    }
    assert_int_equal(pawl_int(rig_result(w->host, "a"), "turns", 0), 100);
    assert_int_equal(w->asked, 100);
    assert_int_equal(w->dug, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tools_are_called_and_what_they_gave_is_told, agent_setup,
                                        agent_teardown),
        cmocka_unit_test_setup_teardown(a_person_approves_rejects_and_modifies_across_restarts,
                                        agent_setup, agent_teardown),
        cmocka_unit_test_setup_teardown(a_question_that_nobody_answers_in_time_is_a_no, agent_setup,
                                        agent_teardown),
        cmocka_unit_test_setup_teardown(a_tool_may_be_a_child_run, agent_setup, agent_teardown),
        cmocka_unit_test_setup_teardown(a_message_reaches_it_before_its_next_turn, agent_setup,
                                        agent_teardown),
        cmocka_unit_test_setup_teardown(cancel_ends_it_and_its_children, agent_setup,
                                        agent_teardown),
        cmocka_unit_test_setup_teardown(a_loop_is_told_then_blocked_then_asked_about, agent_setup,
                                        agent_teardown),
        cmocka_unit_test_setup_teardown(a_tool_that_polls_is_no_loop, agent_setup, agent_teardown),
        cmocka_unit_test_setup_teardown(turns_are_bounded_and_the_last_may_call_nothing,
                                        agent_setup, agent_teardown),
        cmocka_unit_test_setup_teardown(
            context_goes_with_one_call_and_is_no_part_of_the_conversation, agent_setup,
            agent_teardown),
        cmocka_unit_test_setup_teardown(a_structured_answer_is_a_value_and_a_missing_one_a_failure,
                                        agent_setup, agent_teardown),
        cmocka_unit_test_setup_teardown(a_hundred_calls_on_200_kb_journal_each_message_once,
                                        agent_setup, agent_teardown),
        cmocka_unit_test_setup_teardown(
            a_long_run_is_closed_again_and_again_and_nothing_is_done_twice, agent_setup,
            agent_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
