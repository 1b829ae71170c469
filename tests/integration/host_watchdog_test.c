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

static atomic_int named; /* warnings of code that holds the loop */

/** Holds the loop for as long as its input says, or until it was named; first sleeps, if told to: the timer's row brings it back there at every open. */
static const pawl_value *holder(pawl_run *w, const pawl_value *in)
{
    if (pawl_bool(in, "first", false)) {
        pawl_sleep(w, 0.05);
    }
    int64_t until = mono_ms() + pawl_int(in, "ms", 100);
    bool until_named = pawl_bool(in, "until_named", false);
    while (mono_ms() < until && !(until_named && atomic_load(&named) > 0)) {
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

    if (pawl_bool(in, "first", false)) {
        pawl_sleep(w, 0.01);
    }
    return pawl_json(w, "%d", dig(top, (int)pawl_int(in, "depth", 1000000)));
}

struct log {
    char text[300];
    char run_id[40];
};

static void on_log(void *user, pawl_level level, const char *run_id, int64_t command,
                   const char *text)
{
    struct log *log = user;

    (void)command;
    if (level >= PAWL_WARN && strstr(text, "holds") != NULL && atomic_load(&named) == 0) {
        (void)snprintf(log->text, sizeof log->text, "%s", text);
        (void)snprintf(log->run_id, sizeof log->run_id, "%s", run_id != NULL ? run_id : "");
        atomic_fetch_add(&named, 1);
    }
}

static bool wants_no_handler;

static void open_with(rig *r, struct log *log, int64_t abort_ms)
{
    pawl_options o = {.struct_size = sizeof o,
                      .log = on_log,
                      .log_user = log,
                      .watchdog_abort_ms = abort_ms,
                      .log_level = PAWL_WARN,
                      .no_segv_handler = wants_no_handler};

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
    rig_start(r, "holder", "h-1", "{\"ms\": 60000, \"until_named\": true}");
    assert_string_equal(pawl_str(rig_result(r, "h-1"), "", ""), "released");
    assert_int_equal(atomic_load(&named), 1);
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
        ssize_t n =
            read(fds[0], room ? said + size : rest, room ? said_size - 1 - size : sizeof rest);
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

/** A handler of the host's own: says so, and ends the process its way. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    static const char text[] = "the host's own handler\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);

    (void)n;
    (void)context;
    _exit(number == SIGSEGV && info->si_addr != NULL ? 42 : 43);
}

static void handle_first(void)
{
    struct sigaction act = {.sa_flags = SA_SIGINFO};

    sigemptyset(&act.sa_mask);
    act.sa_sigaction = on_fault;
    (void)sigaction(SIGSEGV, &act, NULL);
}

static int child(const char *role, const char *path)
{
    rig r = {.scope = pawl_scope_new()};
    struct log log = {0};

    (void)snprintf(r.path, sizeof r.path, "%s", path);
    wants_no_handler = strcmp(role, "dig-unheard") == 0;
    if (strcmp(role, "dig-handled") == 0) {
        handle_first();
    }
    open_with(&r, &log, strcmp(role, "hold") == 0 ? 300 : 0);
    if (strcmp(role, "dig-again") == 0) {
        pause(); /* until the run that was there before ends this */
    } else if (strncmp(role, "dig", 3) == 0) {
        rig_start(&r, "digger", "d-1", "{\"depth\": 1000000, \"first\": true}");
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

static const char overflow_text[] =
    "pawl: workflow digger, run d-1 overflowed its stack of 256 KiB, after command 1: less recursion";

static void a_stack_overflow_names_the_run_and_kills_as_before(void **state)
{
    rig *r = *state;
    char said[8000];
    int status = run_child("dig", r->path, said, sizeof said);

#if !defined( \
    __SANITIZE_ADDRESS__) /* (which then says what it has to say, and ends it another way) */
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
#endif
    assert_true(status != 0);
    if (strstr(said, overflow_text) == NULL) {
        fail_msg("the child said: %s", said);
    }
}

static void a_handler_of_the_hosts_gets_the_fault_after_the_run_was_named(void **state)
{
    rig *r = *state;
    char said[8000];
    int status = run_child("dig-handled", r->path, said, sizeof said);

    if (strstr(said, overflow_text) == NULL || strstr(said, "the host's own handler") == NULL) {
        fail_msg("the child said: %s", said);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void a_host_may_do_without_the_handler(void **state)
{
    rig *r = *state;
    char said[8000];
    int status = run_child("dig-unheard", r->path, said, sizeof said);

    assert_true(status != 0);
    assert_null(strstr(said, "overflowed its stack"));
}

static void the_handler_is_gone_with_the_last_engine(void **state)
{
    rig *r = *state;
    struct sigaction before;
    struct sigaction now;
    pawl_options memory = {.struct_size = sizeof memory, .memory = true};

    assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0);
    rig_open(r, NULL);
    pawl_engine *first = r->engine;
    rig_open(r, &memory);
    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    assert_true(now.sa_sigaction != before.sa_sigaction);
    pawl_close(first, 0);
    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    assert_true(now.sa_sigaction != before.sa_sigaction);
    rig_close(r);
    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    assert_true(now.sa_sigaction == before.sa_sigaction);
}

static void a_run_that_overflows_its_stack_three_times_is_quarantined(void **state)
{
    rig *r = *state;
    char said[8000];
    struct log log = {0};

    for (int i = 0; i < 3; i++) {
        assert_true(run_child(i == 0 ? "dig" : "dig-again", r->path, said, sizeof said) != 0);
    }
    open_with(r, &log, 0);
    rig_until(r, "d-1", "status", "paused");
    assert_string_equal(pawl_str(rig_describe(r, "d-1"), "reason", ""), "crashed");
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
    while (pawl_describe(r.engine, "h-1", r.scope, &v, &r.err) != PAWL_OK ||
           !pawl_is(v, "status", "paused")) {
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
        C(a_handler_of_the_hosts_gets_the_fault_after_the_run_was_named),
        C(a_host_may_do_without_the_handler),
        C(the_handler_is_gone_with_the_last_engine),
        C(a_run_that_overflows_its_stack_three_times_is_quarantined),
        C(a_run_that_kills_its_process_three_times_is_quarantined),
    };
#undef C

    self = argv[0];
    if (argc == 3) {
        return strcmp(argv[1], "again") == 0 ? child_again(argv[2]) : child(argv[1], argv[2]);
    }
    return cmocka_run_group_tests_name("host_watchdog", tests, NULL, NULL);
}
