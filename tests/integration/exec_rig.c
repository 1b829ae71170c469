/*
 * exec_rig.c - see exec_rig.h. Does not run an engine: reports are only kept.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tests/integration/exec_rig.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_S = 20 };

static void on_report(void *ctx, pw_report *report)
{
    rig *r = ctx;
    pthread_mutex_lock(&r->lock);
    r->begun += report->kind == PW_REPORT_BEGIN ? 1 : 0;
    r->beats += report->kind == PW_REPORT_BEAT ? 1 : 0;
    r->finals += report->kind >= PW_REPORT_DONE ? 1 : 0;
    report->next = r->reports;
    r->reports = report;
    pthread_cond_broadcast(&r->came);
    pthread_mutex_unlock(&r->lock);
}

void rig_init(rig *r)
{
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->came, NULL);
    (void)snprintf(r->folder, sizeof r->folder, "/tmp/pawl-exec-test-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->journal, sizeof r->journal, "%s/j.db", r->folder);
}

void rig_deinit(rig *r)
{
    while (r->reports != NULL) {
        pw_report *next = r->reports->next;
        pw_report_free(r->reports);
        r->reports = next;
    }
    pthread_cond_destroy(&r->came);
    pthread_mutex_destroy(&r->lock);
    if (rmdir(r->folder) != 0) {
        fail_msg("%s is not empty: a lock or scratch file was left behind", r->folder);
    }
}

pawl_task *rig_task_with_deadline(rig *r, pawl_activity_fn fn, int64_t cmd, const char *input_json,
                                  int64_t in_ms)
{
    pawl_error err;
    const pawl_value *input = NULL;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    pawl_scope *scope = pawl_scope_new();
    if (input_json != NULL &&
        pawl_parse_json(scope, input_json, strlen(input_json), &input, &err) != PAWL_OK) {
        fail_msg("%s: %s", input_json, err.message);
    }
    const pw_task_init init = {
        .token = {.run = 7, .cmd = cmd, .attempt = 1, .epoch = 1},
        .run_id = "test/run",
        .activity = "test",
        .journal_path = r->journal,
        .input = pw_value_bytes(input),
        .deadline_ms = in_ms > 0 ? (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + in_ms : 0,
        .fn = fn,
        .report = on_report,
        .report_ctx = r,
    };
    pawl_task *task = pw_task_new(&init);
    pawl_scope_free(scope);
    assert_non_null(task);
    return task;
}

pawl_task *rig_task(rig *r, pawl_activity_fn fn, int64_t cmd, const char *input_json)
{
    return rig_task_with_deadline(r, fn, cmd, input_json, 0);
}

static void wait_until(rig *r, const int *counter, int count, const char *what)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int waited = 0;
    pthread_mutex_lock(&r->lock);
    while (*counter < count && waited == 0) {
        waited = pthread_cond_timedwait(&r->came, &r->lock, &until);
    }
    const int have = *counter;
    pthread_mutex_unlock(&r->lock);
    if (have < count) {
        fail_msg("%d of %d %s reports in %d s", have, count, what, PATIENCE_S);
    }
}

void rig_wait_finals(rig *r, int count)
{
    wait_until(r, &r->finals, count, "final");
}

void rig_wait_beats(rig *r, int count)
{
    wait_until(r, &r->beats, count, "heartbeat");
}

void rig_wait_begun(rig *r, int count)
{
    wait_until(r, &r->begun, count, "begin");
}

const pw_report *rig_final(rig *r, int64_t cmd)
{
    pthread_mutex_lock(&r->lock);
    const pw_report *found = NULL;
    for (const pw_report *p = r->reports; p != NULL && found == NULL; p = p->next) {
        if (p->token.cmd == cmd && p->kind >= PW_REPORT_DONE) {
            found = p;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return found;
}

const pawl_value *rig_value(rig *r, int64_t cmd, pw_report_kind expected)
{
    const pw_report *report = rig_final(r, cmd);
    assert_non_null(report);
    const pawl_value *value = pw_value_view(report->scope, report->value.data, report->value.size);
    if (report->kind != expected) {
        fail_msg("kind %d, not %d: %s", (int)report->kind, (int)expected,
                 pawl_to_json(report->scope, value, 0));
    }
    return report->value.size > 0 ? value : NULL;
}

const pawl_value *rig_run(rig *r, pawl_activity_fn fn, const char *input_json,
                          pw_report_kind expected)
{
    const int64_t cmd = 1000 + r->finals; /* one of its own */
    pawl_task *task = rig_task(r, fn, cmd, input_json);
    pawl_task_begin(task);
    pawl_task_finish(task, fn(task, pawl_task_input(task), NULL));
    pw_task_unref(task);
    return rig_value(r, cmd, expected);
}

void rig_wait_gone(pid_t pid)
{
    const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const int ready = poll(&p, 1, PATIENCE_S * 1000);
    close(fd);
    if (ready != 1) {
        fail_msg("process %d lives on", (int)pid);
    }
}
