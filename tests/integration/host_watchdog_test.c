/*
 * host_watchdog_test.c - code that holds the loop: it is named after 50 ms, aborted when the host said so, and a stack overflow is explained.
 * The deaths happen in children, which are programs of their own: this one, run again with a role. Does not
 * test how a breadcrumb is stored.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/host.h"
#include "host_rig.h"

static const char *self;

/* ---- workflows that misbehave ---- */

static int64_t mono_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/** Holds the loop for as long as its input says; first sleeps, if told to: the timer's row brings it back there at every open. */
static const pawl_value *holder(pawl_run *w, const pawl_value *in)
{
    if (pawl_bool(in, "first", false)) {
        pawl_sleep(w, 0.05);
    }
    int64_t until = mono_ms() + pawl_int(in, "ms", 100);
    while (mono_ms() < until) {
    }
    return pawl_json(w, "%s", "released");
}

static int dig(volatile char *above, int depth)
{
    volatile char here[4096];

    here[0] = above[0];
    return depth == 0 ? here[0] : dig(here, depth - 1) + here[0];
}

static const pawl_value *digger(pawl_run *w, const pawl_value *in)
{
    volatile char top[16] = {0};

    return pawl_json(w, "%d", dig(top, (int)pawl_int(in, "depth", 1000000)));
}

struct log {
    atomic_int warnings;
    char text[300];
    char run_id[40];
};

static void on_log(void *user, pawl_level level, const char *run_id, int64_t command, const char *text)
{
    struct log *log = user;

    (void)command;
    if (level >= PAWL_WARN && strstr(text, "holds") != NULL && atomic_load(&log->warnings) == 0) {
        (void)snprintf(log->text, sizeof log->text, "%s", text);
        (void)snprintf(log->run_id, sizeof log->run_id, "%s", run_id != NULL ? run_id : "");
        atomic_fetch_add(&log->warnings, 1);
    }
}

static void open_with(rig *r, struct log *log, int64_t abort_ms)
{
    pawl_options o = {.struct_size = sizeof o, .log = on_log, .log_user = log, .watchdog_abort_ms = abort_ms, .log_level = PAWL_WARN};

    rig_open(r, &o);
    ok(r, pawl_register_workflow(r->engine, "holder", "1", holder, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "digger", "1", digger, NULL, &r->err));
    ok(r, pawl_resume_all(r->engine, &r->err));
}

/* ---- in this process ---- */

static void code_that_holds_the_loop_is_named(void **state)
{
    rig *r = *state;
    struct log log = {0};

    open_with(r, &log, 0);
    rig_start(r, "holder", "h-1", "{\"ms\": 400}");
    assert_string_equal(pawl_str(rig_result(r, "h-1"), "", ""), "released");
    assert_int_equal(atomic_load(&log.warnings), 1);
    assert_string_equal(log.run_id, "h-1");
    rig_close(r);
}

/* ---- in children ---- */

/** What the child said on stderr, and how it ended. */
static int run_child(const char *role, const char *path, char *said, size_t said_size)
{
    int fds[2];
    int status = 0;
    size_t size = 0;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl(self, self, role, path, (char *)NULL);
        _exit(99);
    }
    close(fds[1]);
    for (;;) {
        char rest[256];
        bool room = size + 1 < said_size;
        ssize_t n = read(fds[0], room ? said + size : rest, room ? said_size - 1 - size : sizeof rest);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            break;
        }
        size += room && n > 0 ? (size_t)n : 0;
    }
    said[size] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int child(const char *role, const char *path)
{
    rig r = {.scope = pawl_scope_new()};
    struct log log = {0};

    (void)snprintf(r.path, sizeof r.path, "%s", path);
    open_with(&r, &log, strcmp(role, "hold") == 0 ? 300 : 0);
    if (strcmp(role, "dig") == 0) {
        pawl_error err;
        if (pw_watchdog_install_segv(r.engine->crumb, &err) != PAWL_OK) {
            return 3;
        }
        rig_start(&r, "digger", "d-1", "{\"depth\": 1000000}");
    } else {
        rig_start(&r, "holder", "h-1", "{\"ms\": 60000, \"first\": true}");
    }
    pause();
    return 2;
}

static void a_host_that_chose_a_limit_dies_with_the_runs_name(void **state)
{
    rig *r = *state;
    char said[2000];
    int status = run_child("hold", r->path, said, sizeof said);

    assert_true(WIFSIGNALED(status) || WIFEXITED(status));
    if (strstr(said, "run h-1") == NULL || strstr(said, "aborting") == NULL) {
        fail_msg("the child said: %s", said);
    }
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

static void a_stack_overflow_names_the_run_and_kills_as_before(void **state)
{
    rig *r = *state;
    char said[2000];

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("skipped: a sanitizer has a SIGSEGV handler of its own\n");
    (void)r;
    (void)said;
    skip();
#else
    int status = run_child("dig", r->path, said, sizeof said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    if (strstr(said, "stack overflow") == NULL || strstr(said, "d-1") == NULL) {
        fail_msg("the child said: %s", said);
    }
#endif
}

static void a_run_that_kills_its_process_three_times_is_quarantined(void **state)
{
    rig *r = *state;
    char said[2000];
    pawl_options o = {.struct_size = sizeof o};

    for (int i = 0; i < 4; i++) {
        (void)run_child(i == 0 ? "hold" : "again", r->path, said, sizeof said);
    }
    rig_open(r, &o);
    ok(r, pawl_register_workflow(r->engine, "holder", "1", holder, NULL, &r->err));
    rig_until(r, "h-1", "status", "paused");
    assert_string_equal(pawl_str(rig_describe(r, "h-1"), "reason", ""), "crashed");
    rig_start(r, "hello", "other", NULL); /* the others go on */
    (void)rig_result(r, "other");
}

/** Opens what is there; lives for a while when nothing in there kills it. */
static int child_again(const char *path)
{
    rig r = {.scope = pawl_scope_new()};
    struct log log = {0};
    const pawl_value *v = NULL;

    (void)snprintf(r.path, sizeof r.path, "%s", path);
    open_with(&r, &log, 300);
    rig_watch(&r);
    while (pawl_describe(r.engine, "h-1", r.scope, &v, &r.err) != PAWL_OK || !pawl_is(v, "status", "paused")) {
        rig_event(&r); /* or the watchdog ends this process */
    }
    _exit(0);
}

int main(int argc, char **argv)
{
#define C(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        C(code_that_holds_the_loop_is_named),
        C(a_host_that_chose_a_limit_dies_with_the_runs_name),
        C(a_stack_overflow_names_the_run_and_kills_as_before),
        C(a_run_that_kills_its_process_three_times_is_quarantined),
    };
#undef C

    self = argv[0];
    if (argc == 3) {
        return strcmp(argv[1], "again") == 0 ? child_again(argv[2]) : child(argv[1], argv[2]);
    }
    return cmocka_run_group_tests_name("host_watchdog", tests, NULL, NULL);
}
