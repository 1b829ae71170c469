/*
 * exec_test.c - programs under their supervisor: results, limits, cancellation, and that nothing survives.
 *
 * Needs a POSIX shell and setsid. Processes are waited for by pidfd and by what they write, never by time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sdk/base/mem.h"
#include "tests/integration/exec_rig.h"

/* ---- results ---- */

static void a_program_gives_its_status_and_output(void **state)
{
    rig *r = *state;
    const pawl_value *v =
        rig_run(r, pawl_activity_exec, "{\"argv\": [\"sh\", \"-c\", \"echo out; echo err >&2\"]}",
                PW_REPORT_DONE);
    assert_int_equal(pawl_int(v, "exit", -1), 0);
    assert_int_equal(pawl_int(v, "signal", -1), 0);
    assert_string_equal(pawl_str(v, "stdout", ""), "out\n");
    assert_string_equal(pawl_str(v, "stderr", ""), "err\n");
    assert_false(pawl_bool(v, "truncated", true));
    assert_true(pawl_int(v, "ms", -1) >= 0);
}

static void a_failing_program_fails_the_task_unless_it_is_not_checked(void **state)
{
    rig *r = *state;
    const pawl_value *f = rig_run(r, pawl_activity_exec,
                                  "{\"argv\": [\"sh\", \"-c\", \"echo no such luck >&2; exit 3\"]}",
                                  PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "ExitStatus");
    assert_string_equal(pawl_str(f, "message", ""), "sh ended with status 3: no such luck");
    assert_false(pawl_bool(f, "retryable", true));
    assert_int_equal(pawl_int(f, "details.exit", 0), 3);
    f = rig_run(r, pawl_activity_exec, "{\"argv\": [\"false\"], \"retry\": true}",
                PW_REPORT_FAILED);
    assert_true(pawl_bool(f, "retryable", false));
    const pawl_value *v =
        rig_run(r, pawl_activity_exec, "{\"argv\": [\"false\"], \"check\": false}", PW_REPORT_DONE);
    assert_int_equal(pawl_int(v, "exit", 0), 1);
}

static void a_signal_is_told_apart_from_a_status(void **state)
{
    rig *r = *state;
    const pawl_value *v = rig_run(
        r, pawl_activity_exec, "{\"argv\": [\"sh\", \"-c\", \"kill -SEGV $$\"], \"check\": false}",
        PW_REPORT_DONE);
    assert_int_equal(pawl_int(v, "signal", 0), SIGSEGV);
    assert_int_equal(pawl_int(v, "exit", 0), 128 + SIGSEGV);
}

static void what_cannot_be_started_is_said_with_its_reason(void **state)
{
    rig *r = *state;
    const pawl_value *f =
        rig_run(r, pawl_activity_exec, "{\"argv\": [\"no-such-program-here\"]}", PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "ExecFailed");
    assert_string_equal(pawl_str(f, "message", ""),
                        "could not run no-such-program-here: No such file or directory");
    assert_false(pawl_bool(f, "retryable", true));
    f = rig_run(r, pawl_activity_exec, "{\"argv\": [\"true\"], \"cwd\": \"/no/such/folder\"}",
                PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "ExecFailed");
    assert_string_equal(pawl_str(f, "message", ""),
                        "could not enter /no/such/folder: No such file or directory");
    f = rig_run(r, pawl_activity_exec, "{\"argv\": [\"/etc/passwd\"]}", PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "message", ""), "could not run /etc/passwd: Permission denied");
    f = rig_run(r, pawl_activity_exec, "{\"argv\": [\"\"]}", PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "ExecFailed");
}

static void bad_input_is_refused(void **state)
{
    rig *r = *state;
    static const char *const inputs[] = {
        "null",
        "{}",
        "{\"argv\": []}",
        "{\"argv\": \"ls\"}",
        "{\"argv\": [1]}",
        "{\"argv\": [\"a\"], \"env\": [\"A=b\"]}",
        "{\"argv\": [\"a\"], \"env\": {\"A\": 1}}",
        "{\"argv\": [\"a\"], \"env\": {\"A=B\": \"c\"}}",
        "{\"argv\": [\"a\"], \"stdin\": 5}",
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        const pawl_value *f = rig_run(r, pawl_activity_exec, inputs[i], PW_REPORT_FAILED);
        assert_string_equal(pawl_str(f, "type", ""), "BadInput");
        assert_false(pawl_bool(f, "retryable", true));
    }
}

static void the_environment_is_the_allow_list_and_what_was_given(void **state)
{
    rig *r = *state;
    setenv("PAWL_TEST_SECRET", "hidden", 1);
    const pawl_value *v =
        rig_run(r, pawl_activity_exec,
                "{\"argv\": [\"sh\", \"-c\", \"echo $PAWL_TEST_SECRET-$GIVEN-$HOME; pwd\"], "
                "\"env\": {\"GIVEN\": \"yes\", \"HOME\": \"/over\"}, \"cwd\": \"/usr\"}",
                PW_REPORT_DONE);
    unsetenv("PAWL_TEST_SECRET");
    assert_string_equal(pawl_str(v, "stdout", ""), "-yes-/over\n/usr\n");
}

static void the_program_inherits_no_descriptor_and_no_blocked_signal(void **state)
{
    rig *r = *state;
    const int leak =
        open("/dev/null", O_RDONLY); /* not close-on-exec, as a careless host has them */
    sigset_t set;
    sigset_t before;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, &before);
    const pawl_value *v = rig_run(
        r, pawl_activity_exec,
        "{\"argv\": [\"sh\", \"-c\", \"ls /proc/$$/fd; exec grep SigBlk /proc/self/status\"]}",
        PW_REPORT_DONE);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(leak);
    assert_string_equal(pawl_str(v, "stdout", ""), "0\n1\n2\nSigBlk:\t0000000000000000\n");
}

/* ---- streams ---- */

static const pawl_value *cat_a_megabyte(pawl_task *task, const pawl_value *input, void *user)
{
    (void)input;
    (void)user;
    const size_t size = 1 << 20;
    char *text = pawl_scope_alloc(pawl_task_scope(task), size);
    memset(text, 'x', size);
    const char *const argv[] = {"cat", NULL};
    const pawl_exec_options o = {
        .struct_size = sizeof o, .argv = argv, .stdin_text = text, .stdin_size = size};
    return pawl_exec(task, &o);
}

static void a_megabyte_goes_in_and_comes_out(void **state)
{
    rig *r = *state;
    const pawl_value *v = rig_run(r, cat_a_megabyte, NULL, PW_REPORT_DONE);
    assert_int_equal(pawl_len(pawl_get(v, "stdout")), 1 << 20);
    assert_false(pawl_bool(v, "truncated", true));
}

static void of_large_output_the_tail_is_kept(void **state)
{
    rig *r = *state;
    const pawl_value *v = rig_run(
        r, pawl_activity_exec,
        "{\"argv\": [\"sh\", \"-c\", \"head -c 9000000 /dev/zero | tr '\\\\0' y; echo the end\"]}",
        PW_REPORT_DONE);
    const char *text = pawl_str(v, "stdout", "");
    assert_int_equal(strlen(text), 1 << 20);
    assert_string_equal(text + strlen(text) - 8, "the end\n");
    assert_true(pawl_bool(v, "truncated", false));
}

static void output_that_is_no_text_becomes_text(void **state)
{
    rig *r = *state;
    const pawl_value *v =
        rig_run(r, pawl_activity_exec,
                "{\"argv\": [\"printf\", \"a\\\\377\\\\000b\\\\303\\\\251\\\\340\\\\200\\\\200\"]}",
                PW_REPORT_DONE);
    assert_string_equal(pawl_str(v, "stdout", ""), "a\xef\xbf\xbd\xef\xbf\xbd"
                                                   "b\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void a_program_need_not_read_its_input(void **state)
{
    rig *r = *state;
    char *json = malloc(300000);
    char *text = malloc(200001);
    memset(text, 'z', 200000);
    text[200000] = '\0';
    (void)snprintf(json, 300000, "{\"argv\": [\"true\"], \"stdin\": \"%s\"}", text);
    const pawl_value *v = rig_run(r, pawl_activity_exec, json, PW_REPORT_DONE);
    assert_int_equal(pawl_int(v, "exit", -1), 0);
    free(json);
    free(text);
    sigset_t pending;
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
}

/* ---- time and cancellation ---- */

static void a_program_that_takes_too_long_times_out(void **state)
{
    rig *r = *state;
    const pawl_value *f =
        rig_run(r, pawl_activity_exec,
                "{\"argv\": [\"sh\", \"-c\", \"echo begun; exec sleep 1000\"], \"timeout_s\": 0.3}",
                PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "Timeout");
    assert_string_equal(pawl_str(f, "details.stdout", ""), "begun\n");
    assert_true(pawl_bool(f, "retryable", false));
    pawl_task *task =
        rig_task_with_deadline(r, pawl_activity_exec, 5, "{\"argv\": [\"sleep\", \"1000\"]}", 300);
    pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
    pw_task_unref(task);
    assert_string_equal(pawl_str(rig_value(r, 5, PW_REPORT_FAILED), "type", ""), "Timeout");
}

static void a_timeout_of_centuries_is_no_timeout(void **state)
{
    rig *r = *state;
    const pawl_value *v = rig_run(
        r, pawl_activity_exec, "{\"argv\": [\"true\"], \"timeout_s\": 9000000000}", PW_REPORT_DONE);
    assert_int_equal(pawl_int(v, "exit", -1), 0);
}

/* A named pipe in the rig's folder, through which programs say their pids. */
static void fifo_path(const rig *r, char ret[100])
{
    (void)snprintf(ret, 100, "%s/fifo", r->folder);
}

static FILE *fifo_open(const rig *r)
{
    char path[100];
    fifo_path(r, path);
    assert_int_equal(mkfifo(path, 0600), 0);
    const int fd = open(path, O_RDWR | O_CLOEXEC); /* both ends: it neither blocks nor ends */
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "r");
    assert_non_null(f);
    return f;
}

static void fifo_close(const rig *r, FILE *f)
{
    char path[100];
    fifo_path(r, path);
    fclose(f);
    unlink(path);
}

static pid_t pid_read(FILE *f)
{
    char line[32];
    assert_non_null(fgets(line, sizeof line, f));
    const long pid = strtol(line, NULL, 10);
    assert_true(pid > 1);
    return (pid_t)pid;
}

static void on_the_pool(rig *r, pawl_runner **ret_runner)
{
    (void)r;
    pawl_error err;
    assert_int_equal(pawl_pool_start(2, ret_runner, &err), PAWL_OK);
}

static void cancel_asks_politely_first(void **state)
{
    rig *r = *state;
    pawl_runner *pool = NULL;
    char json[400];
    FILE *f = fifo_open(r);
    on_the_pool(r, &pool);
    (void)snprintf(json, sizeof json,
                   "{\"argv\": [\"sh\", \"-c\", \"trap 'echo 99 >%s/fifo; exit 0' TERM; echo $$ "
                   ">%s/fifo; while :; do sleep 0.05; done\"]}",
                   r->folder, r->folder);
    pawl_task *task = rig_task(r, pawl_activity_exec, 1, json);
    pool->ops->start(pool, task);
    const pid_t pid = pid_read(f);
    pw_task_cancel(task);
    rig_wait_finals(r, 1);
    assert_int_equal(pid_read(f), 99); /* the trap ran */
    rig_wait_gone(pid);
    (void)rig_value(r, 1, PW_REPORT_CANCELED);
    pw_task_unref(task);
    pool->ops->stop(pool, 5000);
    fifo_close(r, f);
}

static void cancel_ends_what_does_not_listen(void **state)
{
    rig *r = *state;
    pawl_runner *pool = NULL;
    char json[400];
    FILE *f = fifo_open(r);
    on_the_pool(r, &pool);
    (void)snprintf(json, sizeof json,
                   "{\"argv\": [\"sh\", \"-c\", \"trap '' TERM; (setsid sh -c 'echo $$ >%s/fifo; "
                   "exec sleep 1000' &); echo $$ >%s/fifo; while :; do sleep 1; done\"]}",
                   r->folder, r->folder);
    pawl_task *task = rig_task(r, pawl_activity_exec, 1, json);
    pool->ops->start(pool, task);
    const pid_t one = pid_read(f);
    const pid_t other = pid_read(f);
    pw_task_cancel(task);
    rig_wait_finals(r, 1);
    (void)rig_value(r, 1, PW_REPORT_CANCELED);
    assert_int_equal(kill(one, 0), -1); /* gone before the task was said to have ended */
    assert_int_equal(kill(other, 0), -1);
    pw_task_unref(task);
    pool->ops->stop(pool, 5000);
    fifo_close(r, f);
}

/* [A3] */
static void what_a_program_leaves_behind_ends_with_it(void **state)
{
    rig *r = *state;
    char json[400];
    FILE *f = fifo_open(r);
    (void)snprintf(json, sizeof json,
                   "{\"argv\": [\"sh\", \"-c\", \"setsid sh -c 'echo $$ >%s/fifo; exec sleep 1000' "
                   "& echo $! >%s/fifo; echo done\"]}",
                   r->folder, r->folder);
    const pawl_value *v = rig_run(r, pawl_activity_exec, json, PW_REPORT_DONE);
    assert_string_equal(pawl_str(v, "stdout", ""), "done\n");
    assert_int_equal(kill(pid_read(f), 0), -1);
    assert_int_equal(errno, ESRCH);
    fifo_close(r, f);
}

/* ---- the engine dies ---- */

/* A family: the program, a child in its group, one in a session of its own, and one in a session of its own whose parent has gone. */
static void family_json(const rig *r, char *ret, size_t size)
{
    (void)snprintf(ret, size,
                   "{\"argv\": [\"sh\", \"-c\", \"trap '' TERM HUP INT; P=%s/fifo; echo $$ >$P; sh "
                   "-c 'echo $$ >'$P'; exec sleep 1000' & "
                   "setsid sh -c 'echo $$ >'$P'; sleep 1000; :' & (setsid sh -c 'echo $$ >'$P'; "
                   "sleep 1000; :' &); wait\"]}",
                   r->folder);
}

enum { FAMILY = 4 };

static pid_t engine_with_a_family(rig *r, FILE *f, pid_t ret_pids[FAMILY])
{
    char json[800];
    family_json(r, json, sizeof json);
    const pid_t engine = fork();
    assert_true(engine >= 0);
    if (engine == 0) {
        pawl_task *task = rig_task(r, pawl_activity_exec, 1, json);
        pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
        _exit(0);
    }
    for (int i = 0; i < FAMILY; i++) {
        ret_pids[i] = pid_read(f);
    }
    return engine;
}

/* [A1] */
static void when_the_engine_is_killed_nothing_of_the_program_lives_on(void **state)
{
    rig *r = *state;
    pid_t pids[FAMILY];
    FILE *f = fifo_open(r);
    const pid_t engine = engine_with_a_family(r, f, pids);
    assert_int_equal(kill(engine, SIGKILL), 0);
    assert_int_equal(waitpid(engine, NULL, 0), engine);
    for (int i = 0; i < FAMILY; i++) {
        rig_wait_gone(pids[i]);
    }
    fifo_close(r, f);
    (void)rig_run(r, pawl_activity_exec, "{\"argv\": [\"true\"]}",
                  PW_REPORT_DONE); /* other commands do not care */
    char lock[120];
    (void)snprintf(lock, sizeof lock, "%s.scratch/7-1-0.lock", r->journal);
    assert_int_equal(access(lock, F_OK), 0); /* nobody was left to remove it */
    pawl_task *task = rig_task(r, pawl_activity_exec, 1, "{\"argv\": [\"true\"]}");
    pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
    pw_task_unref(task);
    assert_int_equal(access(lock, F_OK), -1);
}

/* [A2] */
static void a_new_attempt_starts_when_the_old_group_is_gone(void **state)
{
    rig *r = *state;
    pid_t pids[FAMILY];
    char json[400];
    FILE *f = fifo_open(r);
    const pid_t engine = engine_with_a_family(r, f, pids);
    assert_int_equal(kill(engine, SIGKILL), 0);
    (void)snprintf(json, sizeof json,
                   "{\"argv\": [\"sh\", \"-c\", \"for p in %d %d %d %d; do test -e /proc/$p && "
                   "grep -L '^State:.Z' /proc/$p/status; done; echo alone\"]}",
                   (int)pids[0], (int)pids[1], (int)pids[2], (int)pids[3]);
    pawl_task *task = rig_task(r, pawl_activity_exec, 1, json); /* at once, the same command */
    pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
    pw_task_unref(task);
    assert_string_equal(pawl_str(rig_value(r, 1, PW_REPORT_DONE), "stdout", ""), "alone\n");
    assert_int_equal(waitpid(engine, NULL, 0), engine);
    fifo_close(r, f);
}

/* An engine that SIGKILL ends after so many microseconds, wherever it is then. */
static void engine_killed_after(rig *r, long us)
{
    const pid_t engine = fork();
    assert_true(engine >= 0);
    if (engine == 0) {
        char json[400];
        timer_t timer;
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
        const struct itimerspec when = {.it_value = {.tv_nsec = us * 1000}};
        (void)snprintf(json, sizeof json,
                       "{\"argv\": [\"sh\", \"-c\", \"setsid sh -c 'sleep 1000 & sleep 1000; :' & "
                       "(setsid sleep 1000 &); "
                       "sleep 1000 & wait\"], \"cwd\": \"%s\"}",
                       r->folder);
        pawl_task *task = rig_task(r, pawl_activity_exec, 1, json);
        timer_create(CLOCK_MONOTONIC, &event, &timer);
        timer_settime(timer, 0, &when, NULL);
        pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
        _exit(0);
    }
    assert_int_equal(waitpid(engine, NULL, 0), engine);
}

static int processes_in(const char *folder)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    for (const struct dirent *e = readdir(proc); e != NULL; e = readdir(proc)) {
        char link[300];
        char cwd[300] = "";
        (void)snprintf(link, sizeof link, "/proc/%.200s/cwd", e->d_name);
        count += readlink(link, cwd, sizeof cwd - 1) > 0 && strcmp(cwd, folder) == 0 ? 1 : 0;
    }
    closedir(proc);
    return count;
}

/* [A1] [A2] */
static void killed_at_any_moment_an_engine_leaves_no_process(void **state)
{
    rig *r = *state;
    for (long i = 0; i < 200; i++) {
        engine_killed_after(r, 1 + i * i / 4); /* densely at first: up to 10 ms */
    }
    pawl_task *task = rig_task(r, pawl_activity_exec, 1,
                               "{\"argv\": [\"true\"]}"); /* waits for the last of them */
    pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
    pw_task_unref(task);
    (void)rig_value(r, 1, PW_REPORT_DONE);
    assert_int_equal(processes_in(r->folder), 0);
}

static void waiting_for_the_old_group_beats_and_can_be_cancelled(void **state)
{
    rig *r = *state;
    pawl_runner *pool = NULL;
    char path[120];
    on_the_pool(r, &pool);
    (void)snprintf(path, sizeof path, "%s.scratch", r->journal);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s.scratch/7-1-0.lock", r->journal);
    const int held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(held, LOCK_EX), 0);

    pawl_task *task = rig_task(r, pawl_activity_exec, 1, "{\"argv\": [\"true\"]}");
    pool->ops->start(pool, task);
    rig_wait_beats(r, 1);
    assert_null(rig_final(r, 1));
    pw_task_cancel(task);
    rig_wait_finals(r, 1);
    (void)rig_value(r, 1, PW_REPORT_CANCELED);
    pw_task_unref(task);

    task = rig_task(r, pawl_activity_exec, 1, "{\"argv\": [\"echo\", \"at last\"]}");
    pool->ops->start(pool, task);
    rig_wait_beats(r, 2);
    close(held);
    rig_wait_finals(r, 2);
    assert_string_equal(pawl_str(rig_value(r, 1, PW_REPORT_DONE), "stdout", ""), "at last\n");
    pw_task_unref(task);
    pool->ops->stop(pool, 5000);
}

static void an_engine_without_standard_streams_runs_programs(void **state)
{
    rig *r = *state;
    const pid_t engine = fork();
    assert_true(engine >= 0);
    if (engine == 0) {
        close(0);
        close(1);
        close(2);
        pawl_task *task = rig_task(
            r, pawl_activity_exec, 1,
            "{\"argv\": [\"sh\", \"-c\", \"cat; echo out; echo err >&2\"], \"stdin\": \"in\"}");
        pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
        const pw_report *report = rig_final(r, 1);
        const pawl_value *v = pw_value_view(report->scope, report->value.data, report->value.size);
        _exit(pawl_is(v, "stdout", "inout\n") && pawl_is(v, "stderr", "err\n") ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(engine, &status, 0), engine);
    assert_int_equal(status, 0);
}

static void a_killed_supervisor_takes_the_program_along(void **state)
{
    rig *r = *state;
    char json[400];
    FILE *f = fifo_open(r);
    (void)snprintf(
        json, sizeof json,
        "{\"argv\": [\"sh\", \"-c\", \"echo $$ >%s/fifo; kill -KILL $PPID; exec sleep 1000\"]}",
        r->folder);
    const pawl_value *v = rig_run(r, pawl_activity_exec, json, PW_REPORT_FAILED);
    assert_string_equal(pawl_str(v, "type", ""), "SupervisorLost");
    rig_wait_gone(pid_read(f));
    fifo_close(r, f);
}

static void a_heartbeat_shows_the_last_line(void **state)
{
    rig *r = *state;
    (void)rig_run(
        r, pawl_activity_exec,
        "{\"argv\": [\"sh\", \"-c\", \"echo first; echo '[50%] second'; read x; sleep 1.3\"]}",
        PW_REPORT_DONE);
    assert_true(r->beats >= 1);
    for (const pw_report *p = r->reports; p != NULL; p = p->next) {
        if (p->kind == PW_REPORT_BEAT) {
            assert_string_equal(
                pawl_str(pw_value_view(p->scope, p->value.data, p->value.size), "line", ""),
                "[50%] second");
        }
    }
}

/* ---- faults: the n-th allocation, the n-th descriptor ---- */

static int descriptors_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

static const char says_where[] =
    "{\"argv\": [\"sh\", \"-c\", \"echo $0 $GIVEN; pwd; cat\", \"arg\"], "
    "\"cwd\": \"/usr\", \"env\": {\"GIVEN\": \"yes\"}, \"stdin\": \"in\"}";

/* Ends as it must: a failure, or all that was asked for. */
static void check_outcome(rig *r, int64_t cmd, bool may_fail)
{
    const pw_report *report = rig_final(r, cmd);
    assert_non_null(report);
    const pawl_value *v = pw_value_view(report->scope, report->value.data, report->value.size);
    if (report->kind == PW_REPORT_DONE && !pawl_bool(v, "truncated", true)) {
        assert_string_equal(pawl_str(v, "stdout", ""), "arg yes\n/usr\nin");
    } else if (report->kind == PW_REPORT_FAILED) {
        assert_true(may_fail);
    }
}

static void every_allocation_may_fail(void **state)
{
    rig *r = *state;
    const int open_before = descriptors_open();
    bool failed = true;
    for (int64_t nth = 1; failed; nth++) {
        pawl_task *task = rig_task(r, pawl_activity_exec, nth, says_where);
        pw_mem_fail(nth, false);
        pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
        (void)pw_mem_count(&failed);
        pw_mem_fail(0, false);
        pw_task_unref(task);
        check_outcome(r, nth, failed);
        assert_int_equal(descriptors_open(), open_before);
    }
}

static void too_few_descriptors_are_said_and_not_leaked(void **state)
{
    rig *r = *state;
    struct rlimit before;
    const int open_before = descriptors_open();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    bool done = false;
    for (int more = 0; !done; more++) {
        assert_true(more < 40);
        const struct rlimit few = {.rlim_cur = (rlim_t)(open_before + more),
                                   .rlim_max = before.rlim_max};
        pawl_task *task = rig_task(r, pawl_activity_exec, more + 1, says_where);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        pawl_task_finish(task, pawl_activity_exec(task, pawl_task_input(task), NULL));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        pw_task_unref(task);
        check_outcome(r, more + 1, true);
        done = rig_final(r, more + 1)->kind == PW_REPORT_DONE;
        if (!done) {
            const pawl_value *f = rig_value(r, more + 1, PW_REPORT_FAILED);
            assert_string_equal(pawl_str(f, "type", ""), "ExecFailed");
            assert_true(pawl_bool(f, "retryable", false));
        }
        assert_int_equal(descriptors_open(), open_before);
    }
}

static int setup(void **state)
{
    rig *r = calloc(1, sizeof *r);
    rig_init(r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, not even a dead one */
    rig_deinit(*state);
    free(*state);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_program_gives_its_status_and_output),
        T(a_failing_program_fails_the_task_unless_it_is_not_checked),
        T(a_signal_is_told_apart_from_a_status),
        T(what_cannot_be_started_is_said_with_its_reason),
        T(bad_input_is_refused),
        T(the_environment_is_the_allow_list_and_what_was_given),
        T(the_program_inherits_no_descriptor_and_no_blocked_signal),
        T(a_megabyte_goes_in_and_comes_out),
        T(of_large_output_the_tail_is_kept),
        T(output_that_is_no_text_becomes_text),
        T(a_program_need_not_read_its_input),
        T(a_program_that_takes_too_long_times_out),
        T(a_timeout_of_centuries_is_no_timeout),
        T(cancel_asks_politely_first),
        T(cancel_ends_what_does_not_listen),
        T(what_a_program_leaves_behind_ends_with_it),
        T(when_the_engine_is_killed_nothing_of_the_program_lives_on),
        T(a_new_attempt_starts_when_the_old_group_is_gone),
        T(killed_at_any_moment_an_engine_leaves_no_process),
        T(waiting_for_the_old_group_beats_and_can_be_cancelled),
        T(an_engine_without_standard_streams_runs_programs),
        T(a_killed_supervisor_takes_the_program_along),
        T(a_heartbeat_shows_the_last_line),
        T(every_allocation_may_fail),
        T(too_few_descriptors_are_said_and_not_leaked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
