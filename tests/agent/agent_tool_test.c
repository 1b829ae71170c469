/*
 * agent_tool_test.c - the agent's calls: arguments held against schemas, questions of an MCP server, children that take too long, hand-overs, and the
 * detectors of loops. Not here: the loop itself (agent_test.c), compaction (agent_compact_test.c).
 */
#include "agent_rig.h"

#define MAIN(test) cmocka_unit_test_setup_teardown(test, agent_setup, agent_teardown)

/* ---- schemas ---- */

static const pawl_value *mends(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        return calls(
            t,
            (const pawl_value *[]){pawl_task_build(
                t, "{type: 'tool_call', id: 'a', name: 'strict', arguments: {n: 'deep'}}")},
            1);
    }
    if (n == 2) {
        need(pawl_bool(pawl_at(pawl_get(last(messages), "parts"), 0), "is_error", false));
        need(strncmp(told(messages, 0), "BadArguments: ", 14) == 0);
        need(strstr(told(messages, 0), "/n") != NULL);
        return call_one(t, "strict", 4);
    }
    need(pawl_int(pawl_at(pawl_get(last(messages), "parts"), 0), "content.depth", 0) == 40);
    return say(t, "mended");
}

#define STRICT                                                                                     \
    ", \"tools\": [{\"name\": \"strict\", \"activity\": \"dig\", \"policy\": \"%s\", \"schema\": " \
    "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\"}}, \"required\": [\"n\"]}}]"

static void start_strict(world *w, const char *id, script_fn script, const char *policy)
{
    char more[400];
    (void)snprintf(more, sizeof more, STRICT, policy);
    begin(w, id, script, more);
}

static void arguments_that_do_not_fit_are_told_and_nothing_is_called(void **state)
{
    world *w = *state;
    start_strict(w, "a", mends, "allow");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "mended"));
    assert_int_equal(w->dug, 1);
}

static const pawl_value *never_mends(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    (void)n;
    return calls(t,
                 (const pawl_value *[]){pawl_task_build(
                     t, "{type: 'tool_call', id: 'a', name: 'strict', arguments: {n: 'deep'}}")},
                 1);
}

static void a_model_that_does_not_mend_its_arguments_is_in_a_loop(void **state)
{
    world *w = *state;
    start_strict(w, "a", never_mends, "allow");
    (void)question(w, "a", "stuck-5"); /* told at the third, refused after the fourth */
    answer(w, "a", "stuck-5", "{\"choice\": \"stop\"}");
    (void)failure(w, "a", "LoopDetected");
    assert_int_equal(w->dug, 0);
}

static const pawl_value *asks_strictly(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    return n == 1 ? call_one(t, "strict", 4) : say(t, "done");
}

static void arguments_of_a_person_are_held_against_the_schema_too(void **state)
{
    world *w = *state;
    start_strict(w, "a", asks_strictly, "ask");
    (void)question(w, "a", "approve-1-1");
    answer(w, "a", "approve-1-1", "{\"choice\": \"modify\", \"data\": {\"n\": \"deep\"}}");
    (void)question(w, "a", "approve-1-1-2");
    assert_int_equal(w->dug, 0);
    answer(w, "a", "approve-1-1-2", "{\"choice\": \"modify\", \"data\": {\"n\": 9}}");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "done"));
    assert_int_equal(w->dug, 1);
}

static void a_schema_that_is_none_ends_the_run_before_it_asks(void **state)
{
    world *w = *state;
    begin(
        w, "a", never_mends,
        ", \"tools\": [{\"name\": \"odd\", \"activity\": \"dig\", \"schema\": {\"pattern\": \"(\"}}]");
    const pawl_value *f = failure(w, "a", "BadInput");
    assert_non_null(strstr(pawl_str(f, "message", ""), "\"odd\""));
    assert_int_equal(w->asked, 0);
}

/* ---- questions of a server ---- */

static const pawl_value *consults(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        return call_one(t, "survey", 1);
    }
    return say(
        t, pawl_str(pawl_at(pawl_get(pawl_at(pawl_get(last(messages), "parts"), 0), "content"), 0),
                    "text", "?"));
}

#define SURVEY \
    ", \"tools\": [{\"name\": \"survey\", \"mcp\": {\"server\": {\"url\": \"http://s\"}}}]"

static void what_an_mcp_server_asks_is_asked_of_a_person_and_the_call_goes_on(void **state)
{
    world *w = *state;
    begin(w, "a", consults, SURVEY);
    const pawl_value *q = question(w, "a", "answer-1-1-1");
    assert_true(pawl_is(q, "prompt", "How large?"));
    assert_true(pawl_is(q, "kind", "form"));
    reopen(w);
    const pawl_value *bad = pawl_build(w->host->scope, "{choice: 'accept', data: {m: 'x'}}");
    expect(w->host, PAWL_INVALID,
           pawl_answer(w->host->engine, "a", "answer-1-1-1", bad, "tester", &w->host->err));
    answer(w, "a", "answer-1-1-1", "{\"choice\": \"accept\", \"data\": {\"m\": 3}}");
    assert_true(pawl_is(question(w, "a", "answer-1-1-2"), "prompt", "And where?"));
    reopen(w);
    answer(w, "a", "answer-1-1-2", "{\"choice\": \"decline\"}");
    const char *said = pawl_str(rig_result(w->host, "a"), "answer", "");
    assert_string_equal(
        said, "[{\"size\":{\"action\":\"accept\",\"content\":{\"m\":3}},\"where\":{\"action\":"
              "\"decline\"}},{\"state\":\"half\"}]");
    assert_int_equal(w->answered, 1);
    assert_int_equal(w->asked, 2);
}

static void a_question_of_a_server_that_nobody_answers_is_declined(void **state)
{
    world *w = *state;
    begin(w, "a", consults, SURVEY ", \"approval\": {\"deadline_s\": 0.05}");
    assert_non_null(strstr(pawl_str(rig_result(w->host, "a"), "answer", ""),
                           "\"size\":{\"action\":\"decline\"}"));
}

/* ---- children ---- */

static const pawl_value *waits_too_long(pawl_task *t, const pawl_value *messages, int n)
{
    return n == 1 ? call_one(t, "slow", 1) : say(t, told(messages, 0));
}

static void a_child_that_takes_too_long_is_told(void **state)
{
    world *w = *state;
    begin(w, "a", waits_too_long,
          ", \"tools\": [{\"name\": \"slow\", \"workflow\": \"waits\", \"timeout_s\": 0.05}]");
    const char *said = pawl_str(rig_result(w->host, "a"), "answer", "");
    assert_memory_equal(said, "Timeout: ", 9);
    const pawl_value *list = NULL;
    ok(w->host,
       pawl_list(w->host->engine, "workflow = waits", 0, 10, w->host->scope, &list, &w->host->err));
    assert_true(pawl_is(list, "runs.0.status", "timed-out"));
}

/* ---- hand-over ---- */

/* Who asks: the one with the system prompt "You paint." took over. */
static const pawl_value *hands_over(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        const pawl_value *const parts[] = {call(t, "dig", 1), call(t, "painter", 2),
                                           call(t, "painter", 3)};
        return calls(t, parts, PW_COUNT(parts));
    }
    const pawl_value *parts = pawl_get(pawl_at(messages, 2), "parts");
    need(pawl_is(pawl_at(messages, 0), "text", "dig a hole"));
    need(pawl_int(pawl_at(parts, 0), "content.depth", 0) == 10);
    need(pawl_is(pawl_at(parts, 1), "content", "The conversation goes on with \"painter\"."));
    need(strncmp(pawl_str(pawl_at(parts, 2), "content", ""), "AlreadyHandedOver", 17) == 0);
    if (n == 2) {
        return call_one(t, "ask_dig", 7);
    }
    need(pawl_is(last(messages), "text", "in blue") || pawl_is(last(messages), "role", "tool"));
    return say(t, "painted blue");
}

#define PAINTER                                                                                                   \
    ", \"tools\": [{\"name\": \"dig\", \"activity\": \"dig\"}, {\"name\": \"painter\", \"handoff\": {\"input\": " \
    "{\"system\": \"You paint.\", \"tools\": [{\"name\": \"ask_dig\", \"activity\": \"dig\", \"policy\": \"ask\"}]}}}]"

static void another_agent_takes_the_conversation_over_and_its_answer_is_the_answer(void **state)
{
    world *w = *state;
    begin(w, "a", hands_over, PAINTER);
    (void)question(w, "a/handoff-1", "approve-1-1");
    assert_string_equal(w->system, "You paint.");
    reopen(w);
    ok(w->host, pawl_signal_post(w->host->engine, "a", "message",
                                 pawl_make_str(w->host->scope, "in blue"), NULL, &w->host->err));
    rig_until(w->host, "a/handoff-1", "status", "running");
    answer(w, "a/handoff-1", "approve-1-1", "{\"choice\": \"approve\"}");
    const pawl_value *v = rig_result(w->host, "a");
    assert_true(pawl_is(v, "answer", "painted blue"));
    assert_true(pawl_is(v, "handed_to", "painter"));
    assert_true(pawl_int(v, "turns", 0) >= 3);
    assert_int_equal(pawl_int(v, "usage.input", 0), 10 * pawl_int(v, "turns", 0));
    assert_true(pawl_int(v, "conversation.len", 0) > 5);
}

/* ---- detectors ---- */

static const pawl_value *takes_turns(pawl_task *t, const pawl_value *messages, int n)
{
    const char *text = pawl_str(last(messages), "text", "");
    if (n == 5) {
        need(strstr(text, "taken turns") != NULL);
    }
    need(n > 4 || strncmp(text, "[engine]", 8) != 0);
    return n > 5 ? say(t, "stopped") : call_one(t, "stone", n % 2);
}

static void two_calls_that_take_turns_are_a_loop(void **state)
{
    world *w = *state;
    begin(w, "a", takes_turns, "");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "stopped"));
}

static const pawl_value *looks_around(pawl_task *t, const pawl_value *messages, int n)
{
    const char *text = pawl_str(last(messages), "text", "");
    need((strstr(text, "different arguments") != NULL) == (n == 6));
    return call_one(t, "look", n);
}

/* Told after the fifth, refused after the sixth; who then insists is asked about. */
static void a_tool_that_says_the_same_to_everything_is_no_progress(void **state)
{
    world *w = *state;
    begin(w, "a", looks_around,
          ", \"tools\": [{\"name\": \"look\", \"activity\": \"stone\", \"effect\": \"pure\"}]");
    (void)question(w, "a", "stuck-7");
    assert_int_equal(w->dug, 6);
    answer(w, "a", "stuck-7", "{\"choice\": \"stop\"}");
    (void)failure(w, "a", "LoopDetected");
}

static const pawl_value *writes_on(pawl_task *t, const pawl_value *messages, int n)
{
    need(pawl_is(last(messages), "role", n == 1 ? "user" : "tool"));
    return n > 9 ? say(t, "written") : call_one(t, "stone", n);
}

static void a_tool_that_does_something_may_say_the_same_each_time(void **state)
{
    world *w = *state;
    begin(w, "a", writes_on, "");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "written"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAIN(arguments_that_do_not_fit_are_told_and_nothing_is_called),
        MAIN(a_model_that_does_not_mend_its_arguments_is_in_a_loop),
        MAIN(arguments_of_a_person_are_held_against_the_schema_too),
        MAIN(a_schema_that_is_none_ends_the_run_before_it_asks),
        MAIN(what_an_mcp_server_asks_is_asked_of_a_person_and_the_call_goes_on),
        MAIN(a_question_of_a_server_that_nobody_answers_is_declined),
        MAIN(a_child_that_takes_too_long_is_told),
        MAIN(another_agent_takes_the_conversation_over_and_its_answer_is_the_answer),
        MAIN(two_calls_that_take_turns_are_a_loop),
        MAIN(a_tool_that_says_the_same_to_everything_is_no_progress),
        MAIN(a_tool_that_does_something_may_say_the_same_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
