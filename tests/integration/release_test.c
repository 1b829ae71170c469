/*
 * release_test.c - the release workflow as a whole, on an engine with an in-memory journal and a real git repository.
 *
 * Needs git, tar and a POSIX shell. Does not kill anything: tools/demo-release does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "workflows/workflows.h"

enum { PATIENCE_MS = 30000 };

typedef struct bench {
    char folder[64];
    pawl_engine *engine;
    pawl_scope *scope;
    bool asked;
} bench;

static void shell(const bench *b, const char *command)
{
    char text[2000];
    (void)snprintf(text, sizeof text, "cd %s && { %s; } >/dev/null 2>&1", b->folder, command);
    if (system(text) != 0) {
        fail_msg("failed: %s", text);
    }
}

static void on_event(void *user, const pawl_value *event)
{
    bench *b = user;
    b->asked = b->asked || pawl_is(event, "type", "WaitCreated");
}

static int setup(void **state)
{
    bench *b = calloc(1, sizeof *b);
    pawl_error err;
    const pawl_options options = {.struct_size = sizeof options, .memory = true, .no_socket = true};
    (void)snprintf(b->folder, sizeof b->folder, "/tmp/pawl-release-test-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    b->scope = pawl_scope_new();
    shell(b, "git init -q repo && cd repo && git config user.email a@example.org && git config "
             "user.name a && "
             "echo one >a.txt && git add . && git commit -q -m 'the first'");
    if (pawl_open("", &options, &b->engine, &err) != PAWL_OK ||
        pawl_workflows_register(b->engine, &err) != PAWL_OK ||
        pawl_watch(b->engine, NULL, on_event, b, &err) != PAWL_OK ||
        pawl_resume_all(b->engine, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench *b = *state;
    pawl_close(b->engine, 5000);
    pawl_scope_free(b->scope);
    shell(b, "rm -rf repo wd pub effects.log");
    assert_int_equal(rmdir(b->folder), 0);
    free(b);
    return 0;
}

/* Starts r1; build and verify are shell commands. */
static void start(bench *b, const char *build, const char *verify)
{
    pawl_error err;
    char path[4][100];
    static const char *const names[] = {"repo", "pub", "wd", "effects.log"};
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%s", b->folder, names[i]);
    }
    const pawl_value *input = pawl_build(
        b->scope,
        "{repo: %s, publish_dir: %s, work_dir: %s, log: %s, build: [%s, %s, %s], test: [%s], "
        "artefacts: [%s], name: %s, verify: [%s, %s, %s]}",
        path[0], path[1], path[2], path[3], "sh", "-c", build, "true", "out/*", "r1", "sh", "-c",
        verify);
    const pawl_start_options options = {.workflow = "release", .id = "r1", .input = input};
    if (pawl_start(b->engine, &options, sizeof options, NULL, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
}

static void wait_for_question(bench *b)
{
    struct pollfd fd = {.fd = pawl_poll_fd(b->engine), .events = POLLIN};
    while (!b->asked) {
        if (poll(&fd, 1, PATIENCE_MS) != 1) {
            const pawl_value *now = NULL;
            (void)!pawl_describe(b->engine, "r1", b->scope, &now, NULL);
            fail_msg("no question came: %s", pawl_to_json(b->scope, now, 2));
        }
        pawl_dispatch(b->engine);
    }
}

static void answer(bench *b, const char *choice)
{
    pawl_error err;
    if (pawl_answer(b->engine, "r1", "approve-release",
                    pawl_build(b->scope, "{choice: %s}", choice), "the boss", &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
}

static const pawl_value *result(bench *b, pawl_status expected)
{
    pawl_error err;
    const pawl_value *v = NULL;
    const pawl_status status = pawl_result(b->engine, "r1", PATIENCE_MS, b->scope, &v, &err);
    if (status != expected) {
        fail_msg("%s, not %s: %s", pawl_status_name(status), pawl_status_name(expected),
                 pawl_to_json(b->scope, v, 2));
    }
    return v;
}

static const char makes_two[] = "mkdir out && cp a.txt out/a && echo two >out/b";

static void what_is_approved_is_published_with_its_manifest(void **state)
{
    bench *b = *state;
    const pawl_value *waits = NULL;
    pawl_error err;
    start(b, makes_two, "true");
    wait_for_question(b);
    shell(b, "test ! -e pub");
    assert_int_equal(pawl_waits(b->engine, "r1", b->scope, &waits, &err), PAWL_OK);
    assert_int_equal(pawl_len(waits), 1);
    assert_int_equal(pawl_len(pawl_get(waits, "0.show.artefacts")), 2);
    assert_int_equal(strlen(pawl_str(waits, "0.show.artefacts.0.sha256", "")), 64);
    answer(b, "approve");
    const pawl_value *v = result(b, PAWL_OK);
    assert_string_equal(pawl_str(v, "approved_by", ""), "the boss");
    assert_string_equal(pawl_str(v, "name", ""), "r1");
    assert_int_equal(strlen(pawl_str(v, "commit", "")), 40);
    shell(b, "test \"$(cat pub/r1/out/a pub/r1/out/b | tr '\\n' ' ')\" = 'one two ' && grep -q "
             "'the boss' pub/r1/manifest.json");
    shell(b, "test \"$(grep -c ' start ' effects.log)\" = 10 && test \"$(grep -c ' done ' "
             "effects.log)\" = 10");
}

static void a_no_publishes_nothing(void **state)
{
    bench *b = *state;
    start(b, makes_two, "true");
    wait_for_question(b);
    answer(b, "reject");
    const pawl_value *v = result(b, PAWL_FAILED);
    assert_string_equal(pawl_str(v, "type", ""), "Rejected");
    assert_string_equal(pawl_str(v, "message", ""), "the boss said no");
    shell(b, "test ! -e pub && ! grep -q unpublish effects.log");
}

static void a_failed_verification_takes_the_publication_back(void **state)
{
    bench *b = *state;
    start(b, makes_two, "test -e out/a && echo it is bad >&2; exit 1");
    wait_for_question(b);
    answer(b, "approve");
    const pawl_value *v = result(b, PAWL_FAILED);
    assert_string_equal(pawl_str(v, "type", ""), "VerifyFailed");
    assert_string_equal(pawl_str(v, "message", ""), "sh ended with status 1: it is bad");
    shell(b, "test -z \"$(ls -A pub)\" && grep -q 'done r1 .* release.unpublish ' effects.log");
}

static void a_failed_build_asks_nobody(void **state)
{
    bench *b = *state;
    start(b, "echo syntax error >&2; exit 2", "true");
    const pawl_value *v = result(b, PAWL_FAILED);
    assert_string_equal(pawl_str(v, "type", ""), "BuildFailed");
    pawl_dispatch(b->engine);
    assert_false(b->asked);
}

#define INCOMPLETE \
    "{\"build\": [\"true\"], \"test\": [\"true\"], \"artefacts\": [\"x\"], \"publish_dir\": \"/p\", \"work_dir\": \"/w\"}"

static void an_input_without_a_repository_is_refused(void **state)
{
    bench *b = *state;
    pawl_error err;
    const pawl_value *given = NULL;
    pawl_scope *scope = pawl_scope_new();
    assert_int_equal(pawl_parse_json(scope, INCOMPLETE, strlen(INCOMPLETE), &given, &err), PAWL_OK);
    const pawl_start_options options = {.workflow = "release", .id = "r1", .input = given};
    assert_int_equal(pawl_start(b->engine, &options, sizeof options, NULL, &err), PAWL_INVALID);
    assert_non_null(strstr(err.message, "repo"));
    pawl_scope_free(scope);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    if (system("git --version >/dev/null 2>&1 && tar --version >/dev/null 2>&1") != 0) {
        print_message("skipped: git and tar are needed\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        T(what_is_approved_is_published_with_its_manifest),  T(a_no_publishes_nothing),
        T(a_failed_verification_takes_the_publication_back), T(a_failed_build_asks_nobody),
        T(an_input_without_a_repository_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
