/*
 * agent_choose_test.c - an agent with 311 tools: which of them the model sees in each turn, by words and by the meaning that a toy gives to words;
 * rights first, what was chosen stays chosen through crashes and whatever chooses afterwards. Whether the choice is a good one is not asked here:
 * tests/embed/tools_found_test.c.
 */
#include "agent_rig.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workflows/agent.h"

#define K 8
#define TOOLS_BYTES_MAX (1u << 20)

#define CHOOSE \
    "{\"k\": 8, \"always\": [\"slack_post_message\", \"stripe_create_refund\", \"nobody\"]}"

/* ---- 311 tools: one that must not be used, one that a person is asked about ---- */

static const char *policy(const char *name)
{
    return strcmp(name, "stripe_create_refund") == 0 ? "deny"
           : strcmp(name, "slack_post_message") == 0 ? "ask"
                                                     : "allow";
}

static const pawl_value *all_tools(pawl_scope *scope)
{
    FILE *f = fopen(TOOLS_FOLDER "/tools.tsv", "rb");
    char *text = malloc(TOOLS_BYTES_MAX), *rest = text;
    const pawl_value *items[400];
    size_t len = 0;
    assert_non_null(f);
    assert_non_null(text);
    text[fread(text, 1, TOOLS_BYTES_MAX - 1, f)] = '\0';
    (void)fclose(f);
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        const char *name = strsep(&line, "\t"), *about = strsep(&line, "\t");
        items[len++] = pawl_build(scope, "{name: %s, description: %s, activity: 'dig', policy: %s}",
                                  name, about, policy(name));
    }
    free(text);
    assert_int_equal(len, 311);
    return pawl_make_array(scope, items, len);
}

static const pawl_value *parsed(pawl_scope *scope, const char *json)
{
    const pawl_value *v = NULL;
    pawl_error err;
    need(pawl_parse_json(scope, json, strlen(json), &v, &err) == PAWL_OK);
    return v;
}

static void begin_with(world *w, const char *id, script_fn script, const char *task,
                       const char *choose)
{
    pawl_scope *scope = w->host->scope;
    w->script = script;
    const pawl_value *input = pawl_build(
        scope, "{task: %s, tools: %p, choose: %p, model: 'm', endpoint: {wire: 'ollama'}}", task,
        pawl_v(all_tools(scope)), pawl_v(parsed(scope, choose)));
    const pawl_start_options o = {.workflow = "agent", .id = id, .input = input};
    ok(w->host, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
}

static bool shows(world *w, const char *only, const char *name)
{
    const pawl_value *names = parsed(w->host->scope, only);
    for (size_t i = 0; i < pawl_len(names); i++) {
        if (pawl_is(pawl_at(names, i), "", name)) {
            return true;
        }
    }
    return false;
}

/* What calls of an activity were given, as it is on record. */
static const pawl_value *inputs_of(world *w, const char *id, const char *activity)
{
    const pawl_value *events = NULL, *items[200];
    size_t len = 0;
    ok(w->host, pawl_history(w->host->engine, id, 1, 1000, w->host->scope, &events, &w->host->err));
    for (size_t i = 0; i < pawl_len(events) && len < 200; i++) {
        const pawl_value *e = pawl_at(events, i);
        if (pawl_is(e, "type", "ActivityScheduled") && pawl_is(e, "name", activity)) {
            items[len++] = pawl_get(e, "input");
        }
    }
    return pawl_make_array(w->host->scope, items, len);
}

/* The tools of the n-th model call on record, from 0. */
static const char *on_record(world *w, const char *id, size_t n)
{
    const pawl_value *input = pawl_at(inputs_of(w, id, "llm"), n);
    return pawl_to_json(w->host->scope, pawl_get(input, "request.tools_only"), 0);
}

/* ---- by words ---- */

static const pawl_value *answers(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    (void)n;
    return say(t, "done");
}

static void of_many_tools_the_model_sees_those_that_fit_and_never_one_it_may_not_use(void **state)
{
    world *w = *state;
    begin_with(w, "a", answers, "Refund the payment and email the customer a message about it",
               CHOOSE);
    (void)rig_result(w->host, "a");
    assert_int_equal(w->tools_seen, 311); /* all but the denied, and find_tools */
    const size_t len = pawl_len(parsed(w->host->scope, w->only));
    assert_true(len > 4 && len <= K + 2);
    assert_true(shows(w, w->only, "slack_post_message"));
    assert_true(shows(w, w->only, "find_tools"));
    assert_true(shows(w, w->only, "gmail_send_message"));
    assert_false(shows(w, w->only, "stripe_create_refund"));
    assert_false(shows(w, w->only, "nobody"));
    assert_int_equal(pawl_len(inputs_of(w, "a", "choose")), 1);
    assert_string_equal(on_record(w, "a", 0), w->only);
}

static void with_few_tools_nothing_is_chosen(void **state)
{
    world *w = *state;
    begin(w, "few", answers, ", \"choose\": {\"k\": 20}");
    (void)rig_result(w->host, "few");
    assert_string_equal(w->only, "null");
    assert_int_equal(pawl_len(inputs_of(w, "few", "choose")), 0);
}

/* ---- turn by turn ---- */

/* 1: looks for a tool itself; 2: calls it; 3: ends. */
static const pawl_value *finds(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        const pawl_value *part = pawl_task_build(
            t,
            "{type: 'tool_call', id: 'f', name: 'find_tools', arguments: {query: 'rain and wind of the coming days'}}");
        return calls(t, &part, 1);
    }
    if (n == 2) {
        const pawl_value *told = pawl_get(pawl_at(pawl_get(last(messages), "parts"), 0), "content");
        need(pawl_is(told, "tools.0.name", "weather_get_forecast"));
        need(strstr(pawl_str(told, "tools.0.description", ""), "rain") != NULL);
        return call_one(t, "weather_get_forecast", 5);
    }
    return say(t, "it rains");
}

static void what_the_model_finds_and_what_it_uses_it_sees_in_the_next_turn(void **state)
{
    world *w = *state;
    begin_with(w, "find", finds, "Plan an umbrella purchase", "{\"k\": 3}");
    (void)rig_result(w->host, "find");
    assert_int_equal(atomic_load(&w->dug), 1);
    assert_false(shows(w, on_record(w, "find", 0), "weather_get_forecast"));
    assert_true(shows(w, on_record(w, "find", 1), "weather_get_forecast"));
    /* Nothing is new: the set stays as it was, and with it the beginning of the request. */
    assert_string_equal(on_record(w, "find", 2), on_record(w, "find", 1));
    assert_int_equal(pawl_len(inputs_of(w, "find", "choose")), 4);
}

#define FOUND_MAX 128u /* of agent_choose.c */

/* Names t<from> to t<to - 1>. */
static const pawl_value *numbered(pawl_scope *scope, int from, int to, bool tools)
{
    const pawl_value *items[300];
    for (int i = from; i < to; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "t%d", i);
        items[i - from] = tools ? pawl_build(scope, "{name: %s, activity: 'dig'}", name)
                                : pawl_make_str(scope, name);
    }
    return pawl_make_array(scope, items, (size_t)(to - from));
}

static void found(pw_agent *a, pawl_scope *scope, int from, int to)
{
    const pawl_value *told = pw_agent_found(
        a, pawl_build(scope, "{chosen: %p}", pawl_v(numbered(scope, from, to, false))));
    assert_int_equal(pawl_len(pawl_get(told, "tools")), to - from);
}

static void what_the_model_finds_does_not_pile_up_without_end(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    pw_agent *a = pw_agent_new(NULL);
    (void)state;
    pw_agent_configure(a, pawl_build(scope, "{task: 't', tools: %p, choose: {k: 20}}",
                                     pawl_v(numbered(scope, 0, 300, true))));
    for (int i = 0; i < 300; i += 20) {
        found(a, scope, i, i + 20);
    }
    assert_int_equal(pawl_len(a->found), FOUND_MAX);
    assert_true(pawl_is(pawl_at(a->found, 0), "", "t172"));
    found(a, scope, 180, 190); /* what is found again is new, and there once */
    assert_int_equal(pawl_len(a->found), FOUND_MAX);
    assert_true(pawl_is(pawl_at(a->found, 8), "", "t190"));
    assert_true(pawl_is(pawl_at(a->found, FOUND_MAX - 1), "", "t189"));
    pw_agent_free(a);
    pawl_scope_free(scope);
}

static const pawl_value *posts(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    return n == 1 ? call_one(t, "slack_post_message", 1) : say(t, "done");
}

static void what_is_said_meanwhile_is_what_tools_are_chosen_by(void **state)
{
    world *w = *state;
    begin_with(w, "said", posts, "Post a Slack message", "{\"k\": 3, \"find\": false}");
    (void)question(w, "said", "approve-1-1");
    ok(w->host, pawl_signal_post(w->host->engine, "said", "message",
                                 pawl_build(w->host->scope, "'Now drain the Kubernetes node'"),
                                 NULL, &w->host->err));
    answer(w, "said", "approve-1-1", "{\"choice\": \"approve\"}");
    (void)rig_result(w->host, "said");
    assert_false(shows(w, on_record(w, "said", 0), "find_tools"));
    assert_false(shows(w, on_record(w, "said", 0), "kubernetes_drain_node"));
    assert_true(shows(w, on_record(w, "said", 1), "kubernetes_drain_node"));
}

/* ---- by meaning: of a toy that knows three things ---- */

static int embedded; /* texts */

static pawl_status toy(void *user, bool queries, const pawl_choose_text *texts, size_t len,
                       float *ret_vectors, pawl_error *err)
{
    static const char *const things[3][4] = {{"umbrella", "rain", "wet", "storm"},
                                             {"money", "refund", "payment", "bill"},
                                             {"message", "tell", "channel", "write"}};
    (void)user;
    (void)queries;
    (void)err;
    memset(ret_vectors, 0, len * 4 * sizeof *ret_vectors);
    for (size_t i = 0; i < len; i++) {
        size_t thing = 3;
        for (size_t k = 0; k < 12 && thing == 3; k++) {
            thing = memmem(texts[i].data, texts[i].size, things[k / 4][k % 4],
                           strlen(things[k / 4][k % 4])) != NULL
                        ? k / 4
                        : 3;
        }
        ret_vectors[i * 4 + thing] = 1;
    }
    embedded += (int)len;
    return PAWL_OK;
}

static void with_vectors(world *w, pawl_chooser **ret_chooser)
{
    const pawl_choose_vectors v = {.struct_size = sizeof v, .embed = toy, .width = 4};
    ok(w->host, pawl_chooser_open(&v, ret_chooser, &w->host->err));
    w->chooser = *ret_chooser;
    reopen(w);
}

static void by_meaning_a_tool_is_seen_that_has_no_word_of_what_was_said(void **state)
{
    world *w = *state;
    pawl_chooser *chooser = NULL;
    begin_with(w, "words", answers, "Do I get wet tomorrow?", "{\"k\": 8, \"find\": false}");
    (void)rig_result(w->host, "words");
    assert_false(shows(w, w->only, "weather_get_forecast"));
    with_vectors(w, &chooser);
    embedded = 0;
    begin_with(w, "meaning", answers, "Do I get wet tomorrow?",
               "{\"k\": 8, \"at_least\": 0.5, \"find\": false}");
    (void)rig_result(w->host, "meaning");
    assert_true(shows(w, w->only, "weather_get_forecast"));
    assert_int_equal(embedded, 310 + 1); /* the allowed ones and the text */
    begin_with(w, "again", answers, "Is a storm coming?",
               "{\"k\": 8, \"at_least\": 0.5, \"find\": false}");
    (void)rig_result(w->host, "again");
    assert_int_equal(embedded, 310 + 2); /* what did not change is not embedded again */
    assert_true(shows(w, w->only, "weather_get_forecast"));
    rig_close(w->host);
    pawl_chooser_close(chooser);
}

static void bounds_of_a_choice_are_held_at_the_start_of_the_run(void **state)
{
    static const char *const wrong[] = {"{\"k\": 1001}", "{\"k\": -1}", "{\"at_least\": 1.5}",
                                        "{\"at_least\": -2}", "{\"by\": \"luck\"}"};
    world *w = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const pawl_value *input =
            pawl_build(w->host->scope, "{task: 't', choose: %p, model: 'm', endpoint: {}}",
                       pawl_v(parsed(w->host->scope, wrong[i])));
        const pawl_start_options o = {.workflow = "agent", .id = "wrong", .input = input};
        expect(w->host, PAWL_INVALID,
               pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
    }
}

/* ---- what was chosen stays chosen ---- */

static const pawl_value *another(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_build(t,
                           "{chosen: ['zoom_create_meeting', 'stripe_create_refund', 'made_up']}");
}

static void what_chooses_otherwise_later_changes_no_turn_of_the_past(void **state)
{
    world *w = *state;
    begin_with(w, "past", posts, "Post a Slack message", "{\"k\": 3}");
    (void)question(w, "past", "approve-1-1");
    const char *first = on_record(w, "past", 0);
    w->choose = another;
    reopen(w);
    (void)question(w, "past", "approve-1-1");
    answer(w, "past", "approve-1-1", "{\"choice\": \"approve\"}");
    (void)rig_result(w->host, "past");
    assert_string_equal(on_record(w, "past", 0), first);
    /* Rights hold whoever chooses: what is denied, and what there is not, is not taken. */
    assert_string_equal(on_record(w, "past", 1),
                        "[\"zoom_create_meeting\",\"slack_post_message\"]");
}

static const pawl_value *broken(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_fail_with(t, "Broken", "nobody can say", NULL, false);
}

static void if_nobody_can_choose_the_model_sees_all_it_may_use(void **state)
{
    world *w = *state;
    w->choose = broken;
    reopen(w);
    begin_with(w, "all", answers, "Post a Slack message", "{\"k\": 3}");
    (void)rig_result(w->host, "all");
    assert_string_equal(w->only, "null");
    assert_int_equal(w->tools_seen, 311);
}

/* ---- kill -9 between the choice and the model's answer ---- */

static const pawl_value *dies(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    (void)n;
    (void)kill(getpid(), SIGKILL);
    return say(t, "never");
}

static void after_kill_9_the_model_is_asked_with_the_tools_that_were_chosen(void **state)
{
    world *w = *state;
    int status = 0;
    rig_close(w->host);
    const pid_t victim = fork();
    assert_true(victim >= 0);
    if (victim == 0) {
        open_world(w);
        begin_with(w, "killed", dies, "Drain the Kubernetes node", "{\"k\": 3}");
        (void)rig_result(w->host, "killed");
        _exit(1);
    }
    assert_int_equal(waitpid(victim, &status, 0), victim);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    w->choose = another; /* if it were asked again, it would say something else */
    w->script = answers;
    open_world(w);
    (void)rig_result(w->host, "killed");
    assert_true(shows(w, w->only, "kubernetes_drain_node"));
    assert_false(shows(w, w->only, "zoom_create_meeting"));
    assert_string_equal(on_record(w, "killed", 0), w->only);
    assert_int_equal(pawl_len(inputs_of(w, "killed", "choose")), 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, agent_setup, agent_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(of_many_tools_the_model_sees_those_that_fit_and_never_one_it_may_not_use),
        test(with_few_tools_nothing_is_chosen),
        test(what_the_model_finds_and_what_it_uses_it_sees_in_the_next_turn),
        cmocka_unit_test(what_the_model_finds_does_not_pile_up_without_end),
        test(what_is_said_meanwhile_is_what_tools_are_chosen_by),
        test(by_meaning_a_tool_is_seen_that_has_no_word_of_what_was_said),
        test(bounds_of_a_choice_are_held_at_the_start_of_the_run),
        test(what_chooses_otherwise_later_changes_no_turn_of_the_past),
        test(if_nobody_can_choose_the_model_sees_all_it_may_use),
        test(after_kill_9_the_model_is_asked_with_the_tools_that_were_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
