/*
 * exec_host_test.c - the activity "exec" in a whole engine: what it prints is followed while it runs, and a large output stands in the journal
 * once, in a blob that the history refers to. Does not test programs by themselves: exec_test.c does.
 */
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/pawl_activity.h"
#include "tests/integration/host_rig.h"

typedef struct heard {
    char text[300]; /* "1:stdout:one 1! 2:stderr:two 2." */
} heard;

static void on_output(void *user, const pawl_value *event)
{
    heard *h = user;
    size_t size = 0;
    size_t used = strlen(h->text);
    const bool output = pawl_is(event, "type", "Output");
    const char *data = output ? pawl_data(event, "data", &size) : "";
    const char *space = used > 0 ? " " : "";
    if (output) {
        (void)snprintf(h->text + used, sizeof h->text - used, "%s%d:%s:%.*s", space,
                       (int)pawl_int(event, "attempt", 0), pawl_str(event, "channel", ""),
                       (int)(size > 0 ? size - 1 : 0), data); /* without its line end */
    } else if (pawl_is(event, "type", "OutputEnded")) {
        (void)snprintf(h->text + used, sizeof h->text - used, "%s%d%c", space,
                       (int)pawl_int(event, "attempt", 0),
                       pawl_bool(event, "stands", false) ? '.' : '!');
    }
}

static void hear(rig *r, const heard *h, const char *text)
{
    while (strcmp(h->text, text) != 0) {
        struct pollfd fd = {.fd = pawl_poll_fd(r->engine), .events = POLLIN};
        if (strncmp(h->text, text, strlen(h->text)) != 0 || poll(&fd, 1, 20000) <= 0) {
            fail_msg("wanted \"%s\", heard \"%s\"", text, h->text);
        }
        (void)pawl_dispatch(r->engine);
    }
}

static const pawl_value *runs(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "exec", .input = in, .retry_initial_s = 0.001);
}

static void open_with_exec(rig *r)
{
    rig_open(r, NULL);
    ok(r, pawl_register_activity(r->engine, "exec", pawl_activity_exec, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "runs", "1", runs, NULL, &r->err));
}

static int setup(void **state)
{
    const int code = rig_setup(state);
    open_with_exec(*state);
    return code;
}

static void start(rig *r, const char *id, const pawl_value *input)
{
    const pawl_start_options o = {.workflow = "runs", .id = id, .input = input};
    assert_non_null(input);
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
}

/* Lets the program that reads the named pipe go on. */
static void go_on(const char *fifo)
{
    const int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
}

static void lines_are_heard_while_it_runs_and_a_retry_voids_them(void **state)
{
    rig *r = *state;
    char fifo[120];
    char shell[600];
    heard all = {""};
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", r->folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    ok(r, pawl_watch_output(r->engine, "a", on_output, &all, &r->err));
    (void)snprintf(
        shell, sizeof shell,
        "echo begun; cat %s; if mkdir %s/once 2>/dev/null; then echo 'it broke' >&2; exit 1; "
        "fi; echo well",
        fifo, r->folder);
    start(r, "a", pawl_build(r->scope, "{shell: %s, retry: true}", shell));
    hear(r, &all, "1:stdout:begun"); /* and it waits */
    go_on(fifo);
    hear(r, &all, "1:stdout:begun 1:stderr:it broke 1! 2:stdout:begun");
    go_on(fifo);
    hear(r, &all, "1:stdout:begun 1:stderr:it broke 1! 2:stdout:begun 2:stdout:well 2.");
    assert_string_equal(pawl_str(rig_result(r, "a"), "stdout", ""), "begun\nwell\n");
    (void)snprintf(shell, sizeof shell, "%s/once", r->folder);
    (void)rmdir(shell);
    (void)unlink(fifo);
}

static void nobody_hears_what_is_quiet(void **state)
{
    rig *r = *state;
    heard all = {""};
    ok(r, pawl_watch_output(r->engine, NULL, on_output, &all, &r->err));
    start(r, "q", pawl_build(r->scope, "{shell: \"echo hush\", quiet: true}"));
    assert_string_equal(pawl_str(rig_result(r, "q"), "stdout", ""), "hush\n");
    start(r, "l", pawl_build(r->scope, "{shell: \"echo loud\"}"));
    hear(r, &all, "1:stdout:loud 1.");
}

static int64_t number(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const int64_t n = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return n;
}

static void a_large_output_is_a_blob_that_the_history_refers_to(void **state)
{
    rig *r = *state;
    enum { PRINTED = 3000000 };
    start(r, "big",
          pawl_build(r->scope, "{shell: \"head -c 3000000 /dev/zero | tr '\\\\0' x\", "
                               "max_output_bytes: 4194304}"));
    assert_int_equal(pawl_len(pawl_get(rig_result(r, "big"), "stdout")), PRINTED);
    rig_close(r);
    const int64_t log =
        number(r->path, "SELECT sum(length(bytes)) FROM (SELECT bytes FROM pawl_log "
                        "UNION ALL SELECT bytes FROM pawl_history)");
    assert_true(log > 0 && log < 10000);
    assert_true(number(r->path, "SELECT max(size) FROM pawl_blobs") >= PRINTED);
    open_with_exec(r);
    const pawl_value *v =
        rig_result(r, "big"); /* read back, from another process for all it knows */
    assert_int_equal(pawl_len(pawl_get(v, "stdout")), PRINTED);
    assert_false(pawl_bool(v, "truncated", true));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lines_are_heard_while_it_runs_and_a_retry_voids_them),
        T(nobody_hears_what_is_quiet),
        T(a_large_output_is_a_blob_that_the_history_refers_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
