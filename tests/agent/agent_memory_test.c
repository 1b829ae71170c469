/*
 * agent_memory_test.c - what an agent remembers from one conversation to the next. Not here: the store (tests/engine/memo_test.c).
 */
#include "agent_rig.h"

#define MAIN(test) cmocka_unit_test_setup_teardown(test, agent_setup, agent_teardown)
#define MEMORY ", \"memory\": {\"namespace\": \"team/digger\"%s}"

static const pawl_value *memory_call(pawl_task *t, const char *tool, const char *key,
                                     const char *text)
{
    return pawl_task_build(
        t, "{type: 'tool_call', id: %s, name: %s, arguments: {key: %s, text: %s, query: %s}}", tool,
        tool, key, text, text);
}

static const pawl_value *content(const pawl_value *messages, size_t part)
{
    return pawl_get(pawl_at(pawl_get(last(messages), "parts"), part), "content");
}

static void start(world *w, const char *id, script_fn script, const char *more)
{
    char text[200];
    (void)snprintf(text, sizeof text, MEMORY, more);
    begin(w, id, script, text);
}

/* Puts two things and digs beside it, in one answer; deletes one alone; then ends. */
static const pawl_value *learns(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        const pawl_value *const parts[] = {
            memory_call(t, "memory_put", "soil", "The soil is full of stones"), call(t, "dig", 2),
            memory_call(t, "memory_put", "spade", "The big spade is best")};
        return calls(t, parts, PW_COUNT(parts));
    }
    if (n == 2) {
        need(pawl_is(content(messages, 0), "", "remembered"));
        need(pawl_int(content(messages, 1), "depth", 0) == 20);
        need(pawl_is(content(messages, 2), "", "remembered"));
        const pawl_value *const parts[] = {memory_call(t, "memory_delete", "spade", "x")};
        return calls(t, parts, 1);
    }
    need(pawl_is(content(messages, 0), "", "forgotten"));
    return say(t, "learned");
}

static const pawl_value *recalls(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        const pawl_value *const parts[] = {memory_call(t, "memory_search", "x", "stones spade"),
                                           memory_call(t, "memory_search", "x", "gold")};
        return calls(t, parts, PW_COUNT(parts));
    }
    need(pawl_len(content(messages, 0)) == 1);
    need(pawl_len(content(messages, 1)) == 0);
    return say(t, pawl_str(pawl_at(content(messages, 0), 0), "text", "?"));
}

static void what_one_conversation_learns_another_recalls(void **state)
{
    world *w = *state;
    start(w, "a", learns, "");
    const pawl_value *v = rig_result(w->host, "a");
    assert_true(pawl_is(v, "answer", "learned"));
    assert_int_equal(pawl_int(v, "turns", 0), 3);
    assert_int_equal(w->tools_seen, 8);
    atomic_store(&w->asked, 0);
    reopen(w);
    start(w, "b", recalls, "");
    assert_true(pawl_is(rig_result(w->host, "b"), "answer", "The soil is full of stones"));
}

static const pawl_value *learns_one(pawl_task *t, const pawl_value *messages, int n)
{
    return n == 1 ? calls(t, (const pawl_value *[]){memory_call(t, "memory_put", "a\nb", "x")}, 1)
                  : say(t, pawl_str(content(messages, 0), "", "?"));
}

static void writing_to_memory_may_need_a_person(void **state)
{
    world *w = *state;
    start(w, "a", learns_one, ", \"write\": \"ask\"");
    assert_true(pawl_is(question(w, "a", "approve-1-1"), "show.tool", "memory_put"));
    reopen(w);
    answer(w, "a", "approve-1-1", "{\"choice\": \"approve\"}");
    assert_true(pawl_is(rig_result(w->host, "a"), "answer", "remembered"));
    start(w, "b", learns_one, ", \"write\": \"deny\"");
    (void)rig_result(w->host, "b");
    assert_int_equal(w->tools_seen, 6); /* the search alone */
}

static const pawl_value *says_too_much(pawl_task *t, const pawl_value *messages, int n)
{
    char key[200];
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    return n == 1 ? calls(t, (const pawl_value *[]){memory_call(t, "memory_put", key, "x")}, 1)
                  : say(t, pawl_str(content(messages, 0), "", "?"));
}

static void what_cannot_be_kept_is_told_to_the_model(void **state)
{
    world *w = *state;
    start(w, "a", says_too_much, "");
    assert_non_null(
        strstr(pawl_str(rig_result(w->host, "a"), "answer", ""), "BadArguments: the key"));
    const pawl_start_options o = {
        .workflow = "agent",
        .id = "c",
        .input = pawl_build(w->host->scope, "{task: 'x', memory: {namespace: 'no spaces'}}")};
    expect(w->host, PAWL_INVALID, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAIN(what_one_conversation_learns_another_recalls),
        MAIN(writing_to_memory_may_need_a_person),
        MAIN(what_cannot_be_kept_is_told_to_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
