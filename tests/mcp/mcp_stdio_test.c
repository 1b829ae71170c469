/*
 * mcp_stdio_test.c - servers that are programs: started once, shared, cancelled, ended, started again, and never left behind.
 */
#include "mcp_rig.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char *const eras[] = {"modern", "legacy"};

static void a_program_answers_in_both_eras(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        const mcp_use u = {.id = eras[i],
                           .server = mcp_command(r, eras[i]),
                           .tool = "add",
                           .arguments = request_of(r, "{a: 2, b: 3}")};
        const pawl_value *v = mcp_result(r, &u);
        assert_string_equal(mcp_text(v), "5");
        assert_true(pawl_is(v, "server.era", eras[i]));
    }
}

static void one_program_serves_many_calls_at_once(void **state)
{
    enum { MANY = 20 };
    http_rig *r = *state;
    char ids[MANY][20];
    const pawl_value *server = mcp_command(r, "modern");
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "run-%d", i);
        const mcp_use u = {.id = ids[i],
                           .server = server,
                           .tool = "slow",
                           .arguments = request_of(r, "{id: %s}", ids[i])};
        mcp_start(r, &u);
    }
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(mcp_text(http_end(r, ids[i])), "slow is done");
    }
    assert_int_equal(mcp_logged(r, "discover"), 1);
}

static void a_program_that_ends_is_started_again_where_that_is_safe(void **state)
{
    http_rig *r = *state;
    char mark[200];
    (void)snprintf(mark, sizeof mark, "%s/mark", r->host->folder);
    for (size_t i = 0; i < 2; i++) {
        const mcp_use u = {.id = eras[i],
                           .server = mcp_command(r, eras[i]),
                           .tool = "dies_once",
                           .arguments = request_of(r, "{mark: %s}", mark),
                           .with = request_of(r, "{retries: 3}")};
        assert_string_equal(mcp_text(mcp_result(r, &u)), "alive again");
    }
    assert_int_equal(mcp_logged(r, "dies_once:None"), 4);
}

/* [M1] */
static void a_program_that_ends_with_a_call_in_hand_leaves_it_unknown(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_command(r, "modern"),
                       .tool = "lost",
                       .arguments = request_of(r, "{id: 1}"),
                       .with = request_of(r, "{retries: 3}")};
    const pawl_value *f = mcp_failing(r, &u, "OutcomeUnknown");
    assert_true(pawl_is(f, "details.cause", "ServerExited"));
    assert_non_null(strstr(pawl_str(f, "message", ""), "status 7"));
    assert_int_equal(mcp_logged(r, "lost:1"), 1);
}

static void what_a_program_said_last_is_told(void **state)
{
    http_rig *r = *state;
    const pawl_value *server =
        request_of(r, "{command: [\"sh\", \"-c\", \"echo no key is set >&2; exit 4\"]}");
    const mcp_use u = {.id = "a", .server = server, .tool = "x"};
    const pawl_value *f = mcp_failing(r, &u, "ServerExited");
    assert_non_null(strstr(pawl_str(f, "message", ""), "status 4: no key is set"));
    const mcp_use w = {
        .id = "b", .server = request_of(r, "{command: [\"/nowhere/at/all\"]}"), .tool = "x"};
    f = mcp_failing(r, &w, "ServerExited");
    assert_non_null(strstr(pawl_str(f, "message", ""), "No such file"));
}

static void a_cancelled_run_tells_the_program(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        char key[60];
        const mcp_use u = {.id = eras[i],
                           .server = mcp_command(r, eras[i]),
                           .tool = "hang",
                           .arguments = request_of(r, "{id: %s}", eras[i])};
        mcp_start(r, &u);
        (void)snprintf(key, sizeof key, "hang-began:%s", eras[i]);
        while (mcp_logged(r, key) == 0) {
        }
        ok(r->host, pawl_cancel(r->host->engine, eras[i], "enough", &r->host->err));
        const pawl_value *v = NULL;
        expect(r->host, PAWL_CANCELED,
               pawl_result(r->host->engine, eras[i], 20000, r->host->scope, &v, &r->host->err));
        while (mcp_logged(r, "cancelled") < (int)i + 1) {
        }
    }
}

static void a_program_ends_with_the_engine(void **state)
{
    http_rig *r = *state;
    char path[200];
    char command[800];
    long pid = 0;
    (void)snprintf(path, sizeof path, "%s/pid", r->host->folder);
    (void)snprintf(command, sizeof command,
                   "echo $$ > %s.new; mv %s.new %s; while :; do sleep 1000; done", path, path,
                   path);
    const pawl_value *server = request_of(r, "{command: [\"sh\", \"-c\", %s]}", command);
    const mcp_use u = {.id = "a", .server = server, .tool = "x"};
    mcp_start(r, &u);
    while (access(path, R_OK) != 0) {
    }
    FILE *f = fopen(path, "r");
    assert_int_equal(fscanf(f, "%ld", &pid), 1);
    (void)fclose(f);
    assert_int_equal(kill((pid_t)pid, 0), 0);
    rig_close(r->host);
    assert_int_equal(kill((pid_t)pid, 0), -1);
    (void)unlink(path);
    mcp_open(r); /* it runs again: what a close interrupts is no failure */
    while (access(path, R_OK) != 0) {
    }
    ok(r->host, pawl_cancel(r->host->engine, "a", "enough", &r->host->err));
    (void)unlink(path);
}

static void an_environment_is_what_the_input_says(void **state)
{
    http_rig *r = *state;
    const pawl_value *server = request_of(
        r, "{command: [\"sh\", \"-c\", \"echo got $WORD >&2; exit 1\"], env: {WORD: \"it\"}}");
    const mcp_use u = {.id = "a", .server = server, .tool = "x"};
    assert_non_null(strstr(pawl_str(mcp_failing(r, &u, "ServerExited"), "message", ""), "got it"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mcp_setup, mcp_teardown)
    const struct CMUnitTest tests[] = {
        T(a_program_answers_in_both_eras),
        T(one_program_serves_many_calls_at_once),
        T(a_program_that_ends_is_started_again_where_that_is_safe),
        T(a_program_that_ends_with_a_call_in_hand_leaves_it_unknown),
        T(what_a_program_said_last_is_told),
        T(a_cancelled_run_tells_the_program),
        T(a_program_ends_with_the_engine),
        T(an_environment_is_what_the_input_says),
    };
    return cmocka_run_group_tests_name("mcp_stdio", tests, NULL, NULL);
}
