/*
 * agent_kill_test.c - the agent under kill -9, with the real activity "llm" against stub.py: what reached the journal is not asked for again, and a
 * tool whose result reached it does not run again; and the ledger has no less than the provider's own count, and just that where an answer
 * arrived. Nothing is sent whose beginning was not on disk before. This program is its own victim: "agent_kill_test work ...". Not here: power
 * cuts (fault/).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sdk/pawl_agent.h"
#include "sdk/pawl_net.h"
#include "tests/net/net_rig.h"

enum { TURNS = 10, DIGS = 2 * TURNS, KILLS_MAX = 60, TOKENS_IN = 10, TOKENS_OUT = 4 };
enum {
    DIGS_A_LIFE = 3,
    SEEN_A_LIFE = 4
}; /* so many runs of the tool make so much to be seen, or the end, wherever a life begins */

extern char **environ;

/* ---- the victim ---- */

/* One line a run of the tool, written before its result can be anywhere. A life that has had its share waits for its killer, however late that is. */
static const pawl_value *dig(pawl_task *t, const pawl_value *in, void *user)
{
    static atomic_int begun;
    while (atomic_fetch_add(&begun, 1) >= DIGS_A_LIFE) {
        (void)pause();
    }
    char line[40];
    const int n = snprintf(line, sizeof line, "%lld\n", (long long)pawl_int(in, "n", -1));
    const int fd = open(user, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && write(fd, line, (size_t)n) == n;
    close(fd);
    return written ? pawl_task_build(t, "{depth: %lld}", (long long)pawl_int(in, "n", -1))
                   : pawl_task_fail(t, "Disk", "the log cannot be written");
}

static pawl_status begin(pawl_engine *e, pawl_scope *scope, const char *url, pawl_error *err)
{
    const pawl_value *input = pawl_build(
        scope,
        "{task: 'dig', model: 'm', max_turns: 99, system: 'You dig.', endpoint: {wire: 'openai-chat', base_url: %s},"
        "tools: [{name: 'dig', activity: 'dig'}],"
        "reserve: {usd: 0.001, input: 100, output: 50, calls: 1}}",
        url);
    const pawl_start_options o = {
        .workflow = "agent",
        .id = "a",
        .input = input,
        .dedup = "a",
        .budget = pawl_build(scope, "{usd: 5, calls: 999, parent: 'goal:dig'}")};
    return pawl_start(e, &o, sizeof o, NULL, err);
}

static int work(char **argv)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    const pawl_net_options net = {.struct_size = sizeof net, .egress = loopback, .prices = argv[5]};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    const pawl_activity_options log = {.struct_size = sizeof log, .user = argv[4]};
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *result = NULL;
    pawl_engine *e = NULL;
    pawl_error err = {0};
    const bool ok =
        pawl_open(argv[2], &o, &e, &err) == PAWL_OK &&
        pawl_net_register(e, &net, &err) == PAWL_OK && pawl_agent_register(e, &err) == PAWL_OK &&
        pawl_register_activity(e, "dig", dig, &log, &err) == PAWL_OK &&
        pawl_resume_all(e, &err) == PAWL_OK && begin(e, scope, argv[3], &err) == PAWL_OK &&
        pawl_result(e, "a", 60000, scope, &result, &err) == PAWL_OK;
    char wanted[20];
    (void)snprintf(wanted, sizeof wanted, "dug %d", (int)DIGS);
    const bool right =
        ok && pawl_is(result, "answer", wanted) && pawl_int(result, "turns", 0) == TURNS + 1;
    if (!right) {
        print_error("the agent: %s %s\n", err.message, pawl_to_json(scope, result, 0));
    }
    pawl_close(e, 1000);
    pawl_scope_free(scope);
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- what the world has seen ---- */

typedef struct seen {
    int asked[TURNS + 1]; /* requests of each turn */
    int dug[DIGS];        /* runs of each call */
    int total;
} seen;

typedef struct kill_rig {
    net_rig *net;
    pawl_scope *scope;
    char journal[200], log[200], url[200], prices[200];
} kill_rig;

static int told_in(pawl_scope *scope, const char *text)
{
    const pawl_value *body = NULL;
    pawl_error err;
    int told = 0;
    assert_int_equal(pawl_parse_json(scope, text, strlen(text), &body, &err), PAWL_OK);
    const pawl_value *messages = pawl_get(body, "messages");
    for (size_t i = 0; i < pawl_len(messages); i++) {
        told += pawl_is(pawl_at(messages, i), "role", "tool");
    }
    return told;
}

static void look(kill_rig *r, seen *s)
{
    const pawl_value *v = NULL;
    pawl_error err;
    int n = 0;
    pawl_scope *scope = pawl_scope_new();
    memset(s, 0, sizeof *s);
    const net_reply *reply = net_get(r->net, net_url(r->net, "/seen/a"));
    assert_int_equal(
        pawl_parse_json(scope, (const char *)reply->body.data, reply->body.size, &v, &err),
        PAWL_OK);
    const pawl_value *bodies = pawl_get(v, "bodies");
    for (size_t i = 0; i < pawl_len(bodies); i++) {
        const int told = told_in(scope, pawl_str(pawl_at(bodies, i), "", "{}"));
        assert_in_range(told, 0, DIGS);
        s->asked[told / 2]++;
        s->total++;
    }
    FILE *log = fopen(r->log, "r");
    while (log != NULL && fscanf(log, "%d", &n) == 1) {
        assert_in_range(n, 0, DIGS - 1);
        s->dug[n]++;
        s->total++;
    }
    if (log != NULL) {
        (void)fclose(log);
    }
    pawl_scope_free(scope);
}

/* What the journal has: answers, and calls of the tool that have a result. */
typedef struct kept {
    int answers;
    int begun; /* model calls that the ledger knows may have been sent */
    bool dug[DIGS];
} kept;

static int begun_of(pawl_engine *e, pawl_scope *scope)
{
    const pawl_value *cost = NULL;
    pawl_error err;
    int n = 0;
    const pawl_value *entries =
        pawl_cost(e, "a", NULL, scope, &cost, &err) == PAWL_OK ? pawl_get(cost, "entries") : NULL;
    for (size_t i = 0; i < pawl_len(entries); i++) {
        n += pawl_is(pawl_at(entries, i), "state", "reserved") ? 0 : 1;
    }
    return n;
}

static void keep(kill_rig *r, kept *k)
{
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    pawl_engine *e = NULL;
    pawl_error err;
    const pawl_value *events = NULL;
    int of[4000];
    memset(k, 0, sizeof *k);
    memset(of, 0, sizeof of);
    assert_int_equal(pawl_open(r->journal, &o, &e, &err), PAWL_OK);
    if (pawl_history(e, "a", 1, 4000, r->scope, &events, &err) == PAWL_OK) {
        for (size_t i = 0; i < pawl_len(events); i++) {
            const pawl_value *ev = pawl_at(events, i);
            const int64_t command = pawl_int(ev, "command", 0);
            assert_in_range(command, 0, 3999);
            if (pawl_is(ev, "type", "ActivityScheduled")) {
                of[command] = pawl_is(ev, "name", "llm") ? -1 : (int)pawl_int(ev, "input.n", 0);
            } else if (pawl_is(ev, "type", "ActivityCompleted") && of[command] < 0) {
                k->answers++;
            } else if (pawl_is(ev, "type", "ActivityCompleted")) {
                k->dug[of[command]] = true;
            }
        }
    }
    k->begun = begun_of(e, r->scope);
    pawl_close(e, 1000);
}

/* ---- the killer ---- */

static pid_t victim(kill_rig *r)
{
    char self[] = "/proc/self/exe", mode[] = "work";
    char *argv[] = {self, mode, r->journal, r->url, r->log, r->prices, NULL};
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execve(argv[0], argv, environ);
        _exit(99);
    }
    return pid;
}

/* True: it ended by itself. Else it was killed as soon as the world had seen so much. */
static bool ends(kill_rig *r, int total)
{
    const pid_t pid = victim(r);
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        seen s;
        look(r, &s);
        if (s.total >= total) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            break;
        }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        fail_msg("the agent ended with %d", WEXITSTATUS(status));
    }
    return WIFEXITED(status);
}

static void nothing_that_was_kept_happens_again(const seen *then, const kept *k, const seen *now)
{
    for (int turn = 0; turn < k->answers; turn++) {
        if (now->asked[turn] != then->asked[turn]) {
            fail_msg("turn %d was asked for again: its answer was in the journal of %d answers",
                     turn + 1, k->answers);
        }
    }
    for (int i = 0; i < DIGS; i++) {
        if (k->dug[i] && now->dug[i] != then->dug[i]) {
            fail_msg("call %d was made again: its result was in the journal", i);
        }
    }
}

/* The stub has answered `asked` times, each with so many tokens; `answers` of these reached the agent. */
static void the_ledger_has_what_was_bought(kill_rig *r, int answers, int asked, int kills)
{
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    pawl_engine *e = NULL;
    pawl_error err;
    const pawl_value *cost = NULL;
    int settled = 0, estimated = 0;
    assert_int_equal(pawl_open(r->journal, &o, &e, &err), PAWL_OK);
    assert_int_equal(pawl_cost(e, "a", NULL, r->scope, &cost, &err), PAWL_OK);
    const pawl_value *entries = pawl_get(cost, "entries");
    for (size_t i = 0; i < pawl_len(entries); i++) {
        const pawl_value *v = pawl_at(entries, i);
        if (pawl_is(v, "state", "settled")) { /* just what the provider said */
            settled++;
            assert_int_equal(pawl_int(v, "spent.calls", 0), 1);
            assert_int_equal(pawl_int(v, "spent.input", 0), TOKENS_IN);
            assert_int_equal(pawl_int(v, "spent.output", 0), TOKENS_OUT);
            assert_true(pawl_num(v, "spent.usd", 0) == 0.00006);
        } else {
            assert_string_equal(pawl_str(v, "state", ""), "estimated");
            assert_int_equal(pawl_int(v, "spent.calls", 0), 1);
            assert_int_equal(pawl_int(v, "spent.tokens", 0), 150);
            estimated++;
        }
    }
    print_message("ledger: %d settled, %d estimated, %lld tokens; the provider gave %d\n", settled,
                  estimated, (long long)pawl_int(cost, "spent.tokens", 0),
                  asked * (TOKENS_IN + TOKENS_OUT));
    assert_int_equal(settled, answers);
    assert_true(estimated <= kills);
    assert_true(settled + estimated >= asked); /* never below */
    assert_true(pawl_int(cost, "spent.tokens", 0) >= asked * (TOKENS_IN + TOKENS_OUT));
    assert_int_equal(pawl_len(pawl_get(cost, "reserved")), 0);
    assert_int_equal(pawl_len(pawl_get(cost, "budgets")), 2);
    assert_true(pawl_num(cost, "budgets.1.spent.usd", 0) == pawl_num(cost, "spent.usd", -1));
    pawl_close(e, 1000);
}

static void what_reached_the_journal_is_not_bought_again_by_an_agent_that_is_killed(void **state)
{
    kill_rig *r = *state;
    seen then[KILLS_MAX], now;
    kept k[KILLS_MAX];
    int kills = 0;
    look(r, &now);
    while (!ends(r, now.total + SEEN_A_LIFE - kills % 2)) {
        assert_true(kills < KILLS_MAX);
        look(r, &then[kills]);
        keep(r, &k[kills]);
        int sent = 0;
        for (int i = 0; i <= TURNS; i++) {
            sent += then[kills].asked[i];
        }
        assert_true(sent <= k[kills].begun); /* nothing was sent whose beginning was not on disk */
        now = then[kills++];
    }
    look(r, &now);
    for (int i = 0; i < kills; i++) {
        nothing_that_was_kept_happens_again(&then[i], &k[i], &now);
    }
    int asked = 0, dug = 0;
    for (int i = 0; i <= TURNS; i++) {
        assert_true(now.asked[i] >= 1);
        asked += now.asked[i];
    }
    for (int i = 0; i < DIGS; i++) {
        assert_true(now.dug[i] >= 1);
        dug += now.dug[i];
    }
    print_message("%d kills: %d answers, asked for %d times; %d calls, made %d times\n", kills,
                  TURNS + 1, asked, (int)DIGS, dug);
    assert_true(kills >= 5);
    assert_true(asked <= TURNS + 1 + kills); /* only what was under way when it was killed */
    assert_true(dug <= DIGS + 2 * kills);
    the_ledger_has_what_was_bought(r, TURNS + 1, asked, kills);
}

static int setup(void **state)
{
    kill_rig *r = calloc(1, sizeof *r);
    void *part = NULL;
    assert_non_null(r);
    assert_int_equal(net_setup(&part), 0);
    r->net = part;
    r->scope = pawl_scope_new();
    (void)snprintf(r->journal, sizeof r->journal, "%s/j.db", r->net->server.folder);
    (void)snprintf(r->log, sizeof r->log, "%s/log", r->net->server.folder);
    (void)snprintf(r->prices, sizeof r->prices, "%s/prices", r->net->server.folder);
    FILE *prices = fopen(r->prices, "w");
    assert_non_null(prices);
    (void)fputs("{\"prices\": [{\"model\": \"m\", \"input\": 2, \"output\": 10}]}", prices);
    (void)fclose(prices);
    (void)snprintf(r->url, sizeof r->url, "%s", net_url(r->net, "/agent-%d/a", (int)TURNS));
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    kill_rig *r = *state;
    static const char *const ends_of[] = {"", "-wal", "-shm", ".crumb", ".lock", ".ballast"};
    char path[300];
    for (size_t i = 0; i < PW_COUNT(ends_of); i++) {
        (void)snprintf(path, sizeof path, "%s%s", r->journal, ends_of[i]);
        (void)unlink(path);
    }
    (void)unlink(r->log);
    (void)unlink(r->prices);
    pawl_scope_free(r->scope);
    void *part = r->net;
    (void)net_teardown(&part);
    free(r);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_reached_the_journal_is_not_bought_again_by_an_agent_that_is_killed, setup,
            teardown),
    };
    if (argc == 6 && strcmp(argv[1], "work") == 0) {
        return work(argv);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
