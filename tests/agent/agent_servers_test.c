/*
 * agent_servers_test.c - MCP servers whose tools are the agent's: listed before the first turn, named after their server, denied and asked about as the input
 * says, chosen among, called by their own names, listed again when one is gone. The servers are a stand-in for "mcp": it does not show that one is
 * reached, which its own tests do.
 */
#include "agent_rig.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workflows/agent.h"

#define SERVERS                                                                                                                     \
    "\"servers\": {\"crm\": {\"server\": {\"url\": \"https://crm.example/mcp\"}, \"ask\": [\"delete_*\"], \"deny\": [\"drop_*\"]}," \
    "\"ops\": {\"server\": {\"url\": \"https://ops.example/mcp\"}, \"only\": [\"drain.node\", \"page\"], \"optional\": true}}"

/* ---- two servers ---- */

static const pawl_value *crm_tools(pawl_task *t, world *w)
{
    return atomic_load(&w->changed) == 0
               ? pawl_task_build(
                     t,
                     "{tools: [{name: 'get_customer', description: 'Looks up who buys', inputSchema: {type: 'object', properties: {id: {}}}},"
                     "{name: 'delete_customer', description: 'Forgets one'}, {name: 'drop_all', description: 'Forgets all'},"
                     "{name: 'spoiled', inputSchema: {pattern: '('}}]}")
               : pawl_task_build(
                     t, "{tools: [{name: 'find_customer', description: 'Looks up who buys'}]}");
}

static const pawl_value *server(pawl_task *t, const pawl_value *in, void *user)
{
    world *w = user;
    const bool crm = pawl_is(in, "server.url", "https://crm.example/mcp");
    if (pawl_is(in, "method", "tools/list")) {
        atomic_fetch_add(&w->listed, 1);
        if (crm && atomic_load(&w->changed) == 2) {
            return pawl_task_fail_with(t, "Unauthorized", "no token", NULL, false);
        }
        return crm ? crm_tools(t, w)
                   : pawl_task_build(
                         t, "{tools: [{name: 'drain.node', description: 'Empties a machine'},"
                            "{name: 'secret_tool', description: 'Nobody wants it'}]}");
    }
    need(pawl_get(in, "from") == NULL && pawl_get(in, "server.url") != NULL);
    if (atomic_load(&w->changed) > 0 && pawl_is(in, "tool", "get_customer")) {
        return pawl_task_fail_with(t, "UnknownTool", "the server has no such tool", NULL, false);
    }
    atomic_fetch_add(&w->dug, 1);
    return pawl_task_build(t, "{content: [{type: 'text', text: %s}], isError: false}",
                           pawl_str(in, "tool", "?"));
}

static const pawl_value *away(pawl_task *t, const pawl_value *in, void *user)
{
    return pawl_is(in, "server.url", "https://ops.example/mcp")
               ? pawl_task_fail_with(t, "Unauthorized", "no token", NULL, false)
               : server(t, in, user);
}

static void with_servers(world *w, pawl_activity_fn mcp)
{
    w->mcp = mcp;
    reopen(w);
}

/* ---- listed, named, called ---- */

static const pawl_value *call_named(pawl_task *t, const char *name)
{
    const pawl_value *part =
        pawl_task_build(t, "{type: 'tool_call', id: 'x', name: %s, arguments: {id: '7'}}", name);
    return calls(t, &part, 1);
}

static const pawl_value *looks_up(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        return call_named(t, "crm_get_customer");
    }
    if (n == 2) {
        need(strstr(pawl_to_json(pawl_task_scope(t), last(messages), 0), "get_customer") != NULL);
        return call_named(t, "crm_drop_all");
    }
    need(strstr(told(messages, 0), "Denied") != NULL);
    return say(t, "done");
}

static void tools_of_servers_are_the_agents_after_its_own_and_rights_come_first(void **state)
{
    world *w = *state;
    with_servers(w, server);
    begin(w, "a", looks_up, "," SERVERS);
    (void)rig_result(w->host, "a");
    assert_string_equal(
        w->sent[0],
        "dig ask_dig stone poll_stone waits crm_get_customer crm_delete_customer ops_drain_node");
    assert_int_equal(atomic_load(&w->listed), 2);
    assert_int_equal(atomic_load(&w->dug), 1);
}

static const pawl_value *deletes(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    return n == 1 ? call_named(t, "crm_delete_customer") : say(t, "done");
}

static void a_tool_that_a_person_is_asked_about_waits_also_after_a_restart(void **state)
{
    world *w = *state;
    with_servers(w, server);
    begin(w, "ask", deletes, "," SERVERS ", \"tools\": []");
    (void)question(w, "ask", "approve-1-1");
    reopen(w);
    (void)question(w, "ask", "approve-1-1");
    answer(w, "ask", "approve-1-1", "{\"choice\": \"approve\"}");
    (void)rig_result(w->host, "ask");
    assert_int_equal(atomic_load(&w->dug), 1);
    assert_int_equal(atomic_load(&w->listed), 2); /* what is on record is not asked for again */
}

/* ---- chosen among ---- */

static const pawl_value *answers(pawl_task *t, const pawl_value *messages, int n)
{
    (void)messages;
    (void)n;
    return say(t, "done");
}

static void the_agent_chooses_among_them_and_by_the_name_of_their_server(void **state)
{
    world *w = *state;
    with_servers(w, server);
    begin(w, "choose", answers,
          "," SERVERS ", \"task\": [{\"role\": \"user\", \"text\": \"empty that machine\"}],"
          "\"choose\": {\"k\": 1, \"find\": false}");
    (void)rig_result(w->host, "choose");
    assert_string_equal(w->only, "[\"ops_drain_node\"]");
    begin(w, "tag", answers,
          "," SERVERS ", \"task\": [{\"role\": \"user\", \"text\": \"what does CRM know\"}],"
          "\"choose\": {\"k\": 2, \"find\": false}");
    (void)rig_result(w->host, "tag");
    assert_non_null(strstr(w->only, "crm_get_customer"));
    assert_null(strstr(w->only, "drop_all"));
}

/* ---- a list that has changed ---- */

static const pawl_value *meets_a_change(pawl_task *t, const pawl_value *messages, int n)
{
    if (n == 1) {
        return call_named(t, "crm_get_customer");
    }
    if (n == 2) {
        need(strstr(told(messages, 0), "UnknownTool") != NULL);
        return call_named(t, "crm_find_customer");
    }
    return say(t, "done");
}

static void tools_are_listed_again_when_one_is_gone(void **state)
{
    world *w = *state;
    with_servers(w, server);
    begin(w, "gone", deletes, "," SERVERS ", \"tools\": []");
    (void)question(w, "gone", "approve-1-1");
    atomic_store(&w->changed, 1);
    w->script = meets_a_change;
    atomic_store(&w->asked, 0); /* it begins to count anew */
    answer(w, "gone", "approve-1-1", "{\"choice\": \"reject\"}");
    (void)rig_result(w->host, "gone");
    assert_string_equal(w->sent[0], "crm_get_customer crm_delete_customer ops_drain_node");
    assert_string_equal(w->sent[1], "crm_find_customer ops_drain_node");
    assert_int_equal(atomic_load(&w->listed), 4);
    assert_int_equal(atomic_load(&w->dug), 1);
}

static void
tools_are_listed_again_when_somebody_says_so_and_the_same_list_changes_nothing(void **state)
{
    world *w = *state;
    with_servers(w, server);
    begin(w, "again", deletes, "," SERVERS ", \"tools\": []");
    (void)question(w, "again", "approve-1-1");
    ok(w->host, pawl_signal_post(w->host->engine, "again", "relist", NULL, NULL, &w->host->err));
    answer(w, "again", "approve-1-1", "{\"choice\": \"approve\"}");
    (void)rig_result(w->host, "again");
    assert_int_equal(atomic_load(&w->listed), 4);
    assert_string_equal(w->sent[1], w->sent[0]);
}

static void a_server_that_cannot_be_asked_again_keeps_its_tools(void **state)
{
    world *w = *state;
    with_servers(w, server);
    begin(w, "keeps", deletes, "," SERVERS ", \"tools\": []");
    (void)question(w, "keeps", "approve-1-1");
    atomic_store(&w->changed, 2);
    ok(w->host, pawl_signal_post(w->host->engine, "keeps", "relist", NULL, NULL, &w->host->err));
    answer(w, "keeps", "approve-1-1", "{\"choice\": \"approve\"}");
    (void)rig_result(w->host, "keeps");
    assert_int_equal(atomic_load(&w->listed), 4);
    assert_string_equal(w->sent[1], w->sent[0]);
}

/* ---- a server that is away ---- */

static void a_server_that_is_away_fails_the_run_unless_it_is_optional(void **state)
{
    world *w = *state;
    with_servers(w, away);
    begin(w, "optional", answers, "," SERVERS ", \"tools\": []");
    (void)rig_result(w->host, "optional");
    assert_string_equal(w->sent[0], "crm_get_customer crm_delete_customer");
    atomic_store(&w->asked, 0);
    begin(w, "needed", answers,
          ", \"servers\": {\"ops\": {\"server\": {\"url\": \"https://ops.example/mcp\"}}}");
    const pawl_value *f = failure(w, "needed", "Unauthorized");
    assert_non_null(strstr(pawl_str(f, "message", ""), "\"ops\": no token"));
}

/* ---- kill -9 while they are listed ---- */

static const pawl_value *dies(pawl_task *t, const pawl_value *in, void *user)
{
    if (pawl_is(in, "server.url", "https://ops.example/mcp")) {
        (void)kill(getpid(), SIGKILL);
    }
    return server(t, in, user);
}

static void after_kill_9_while_they_are_listed_the_rest_is_listed(void **state)
{
    world *w = *state;
    int status = 0;
    rig_close(w->host);
    const pid_t victim = fork();
    assert_true(victim >= 0);
    if (victim == 0) {
        w->mcp = dies;
        open_world(w);
        begin(w, "killed", answers, "," SERVERS ", \"tools\": []");
        (void)rig_result(w->host, "killed");
        _exit(1);
    }
    assert_int_equal(waitpid(victim, &status, 0), victim);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    w->mcp = server;
    w->script = answers;
    open_world(w);
    (void)rig_result(w->host, "killed");
    assert_string_equal(w->sent[0], "crm_get_customer crm_delete_customer ops_drain_node");
}

/* ---- a snapshot in between ---- */

static void applied(void *state, const char *type, int64_t command, const pawl_value *value)
{
    const pawl_fold_event e = {.type = type, .name = "", .command = command, .value = value};
    pw_agent_apply(state, &e);
}

static pw_agent *reloaded(pw_agent *a, pawl_scope *scope)
{
    const pawl_value *saved = pw_agent_save(a, scope);
    pw_agent_free(a);
    a = pw_agent_load(saved, NULL);
    assert_non_null(a);
    return a;
}

static void a_snapshot_at_any_point_of_the_listing_loses_nothing(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    pw_agent *a = pw_agent_new(NULL);
    (void)state;
    applied(a, "RunStarted", 0,
            pawl_build(scope, "{task: 't', tools: [{name: 'dig', activity: 'dig'}], servers: {"
                              "a: {server: {url: 'u'}}, b: {server: {url: 'v'}, deny: ['no']}}}"));
    a = reloaded(a, scope);
    assert_int_equal(a->phase, PW_AGENT_LISTING);
    applied(a, "ActivityScheduled", 3, NULL);
    a = reloaded(a, scope);
    applied(a, "ActivityScheduled", 4, NULL);
    applied(a, "ActivityCompleted", 4,
            pawl_build(scope, "{tools: [{name: 'yes'}, {name: 'no'}, {name: 'yes'}]}"));
    a = reloaded(a, scope);
    assert_int_equal(a->phase, PW_AGENT_LISTING);
    applied(a, "ActivityCompleted", 3, pawl_build(scope, "{tools: [{name: 'x.y'}]}"));
    assert_int_equal(a->phase, PW_AGENT_READY);
    a = reloaded(a, scope);
    assert_int_equal(a->phase, PW_AGENT_READY);
    assert_int_equal(a->tools_len, 4);
    assert_int_equal(a->shown_len, 3);
    assert_true(pawl_is(a->tools[1], "name", "a_x_y") && pawl_is(a->tools[1], "mcp.tool", "x.y"));
    assert_true(pawl_is(a->tools[2], "name", "b_yes"));
    assert_true(pawl_is(a->tools[3], "policy", "deny"));
    pw_agent_free(a);
    pawl_scope_free(scope);
}

static void too_many_tools_are_refused_and_not_cut(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *items[2001];
    pw_agent *a = pw_agent_new(NULL);
    (void)state;
    for (int i = 0; i < 2001; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "t%d", i);
        items[i] = pawl_build(scope, "{name: %s}", name);
    }
    applied(a, "RunStarted", 0, pawl_build(scope, "{task: 't', servers: {a: {server: {}}}}"));
    applied(a, "ActivityScheduled", 3, NULL);
    applied(a, "ActivityCompleted", 3,
            pawl_build(scope, "{tools: %p}", pawl_v(pawl_make_array(scope, items, 2001))));
    assert_int_equal(a->phase, PW_AGENT_FAILED);
    assert_non_null(strstr(a->failure, "only"));
    pw_agent_free(a);
    pawl_scope_free(scope);
}

#define test(name) cmocka_unit_test_setup_teardown(name, agent_setup, agent_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(tools_of_servers_are_the_agents_after_its_own_and_rights_come_first),
        test(a_tool_that_a_person_is_asked_about_waits_also_after_a_restart),
        test(the_agent_chooses_among_them_and_by_the_name_of_their_server),
        test(tools_are_listed_again_when_one_is_gone),
        test(tools_are_listed_again_when_somebody_says_so_and_the_same_list_changes_nothing),
        test(a_server_that_cannot_be_asked_again_keeps_its_tools),
        test(a_server_that_is_away_fails_the_run_unless_it_is_optional),
        cmocka_unit_test(a_snapshot_at_any_point_of_the_listing_loses_nothing),
        cmocka_unit_test(too_many_tools_are_refused_and_not_cut),
        test(after_kill_9_while_they_are_listed_the_rest_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
