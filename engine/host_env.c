/*
 * host_env.c - the core's environment table over real things: the clock, the kernel's random numbers, the journal thread, the pool.
 *
 * Everything here is called on the engine's thread, but for host_report (any) and pw_host_held (the watchdog's). Decides nothing.
 *
 * A task given to a runner holds the mailbox until its final report: code that ignores that it was told to stop comes back when it likes,
 * perhaps after the engine is gone.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/host.h"
#include "sdk/base/clock.h"
#include "sdk/base/hash.h"
#include "sdk/base/limits.h"

static int64_t host_now_ms(void *ctx)
{
    (void)ctx;
    return pw_wall_ms();
}

static int64_t host_mono_ns(void *ctx)
{
    (void)ctx;
    return pw_mono_ns();
}

static void host_random(void *ctx, void *ret, size_t size)
{
    (void)ctx;
    pw_random(ret, size);
}

static void host_commit(void *ctx, pw_group *group)
{
    pawl_engine *e = ctx;

    pw_writer_submit(e->writer, group);
}

static void host_commit_open(void *ctx, pw_group *group, size_t shown)
{
    pawl_engine *e = ctx;

    pw_writer_open(e->writer, group, shown);
}

static void host_commit_show(void *ctx, pw_group *group, size_t shown, bool whole)
{
    pawl_engine *e = ctx;

    pw_writer_show(e->writer, group, shown, whole);
}

static void host_commit_back(void *ctx, pw_group *group)
{
    pawl_engine *e = ctx;

    pw_writer_take_back(e->writer, group);
}

static void host_stage(void *ctx, const uint8_t digest[PW_DIGEST_SIZE], pw_view bytes)
{
    pawl_engine *e = ctx;

    pw_writer_stage(e->writer, digest, bytes);
}

static pawl_status host_resolve(void *ctx, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                                pawl_error *err)
{
    pawl_engine *e = ctx;
    pawl_status status = pw_writer_reopen(e->writer, err);

    if (status != PAWL_OK) {
        return status;
    }
    return e->journal->ops->resolve(e->journal, epoch, group_no, ret_landed, err);
}

static pawl_runner *runner_of(const pawl_engine *e, const pawl_task *task)
{
    pawl_runner *own = pw_task_runner(task);

    return own != NULL ? own : e->pool;
}

static void host_dispatch(void *ctx, pawl_task *task)
{
    pawl_engine *e = ctx;

    pw_mailbox_hold(e->mailbox);
    if (e->runners_stopped) {
        pawl_task_finish_canceled(task);
        return;
    }
    pawl_runner *runner = runner_of(e, task);
    runner->ops->start(runner, task);
}

static void host_cancel(void *ctx, pawl_task *task)
{
    pawl_engine *e = ctx;

    if (e->runners_stopped) {
        return; /* its flag says so, and there is nobody to wake */
    }
    pawl_runner *runner = runner_of(e, task);
    if (runner->ops->cancel != NULL) {
        runner->ops->cancel(runner, task);
    }
}

static void host_report(void *report_ctx, pw_report *report)
{
    pw_mailbox *mailbox = report_ctx;
    bool final = report->kind == PW_REPORT_DONE || report->kind == PW_REPORT_FAILED ||
                 report->kind == PW_REPORT_CANCELED;

    pw_mailbox_put_report(mailbox, report);
    if (final) {
        pw_mailbox_free(mailbox); /* the task's */
    }
}

static uint64_t host_build_of(void *ctx, const void *code)
{
    (void)ctx;
    return pw_build_digest_of(code);
}

static bool host_scarce(void *ctx)
{
    const pawl_engine *e = ctx;

    return pw_writer_scarce(e->writer);
}

static void host_log(void *ctx, pawl_level level, const char *run_id, int64_t command,
                     const char *text)
{
    pawl_engine *e = ctx;

    if (e->options.log != NULL && level >= e->options.log_level) {
        e->options.log(e->options.log_user, level, run_id, command, text);
    }
}

static void host_failed(void *ctx, const pawl_error *err)
{
    pw_host_log(
        ctx, PAWL_ERROR, NULL, 0,
        "the engine has stopped: %s; nothing more is acknowledged; close it and open the journal again",
        err->message);
}

static void host_replied(void *ctx)
{
    pawl_engine *e = ctx;

    pw_outbox_ring(e->outbox);
}

void pw_host_env(pawl_engine *e, pw_env *ret_env)
{
    *ret_env = (pw_env){.ctx = e,
                        .now_ms = host_now_ms,
                        .mono_ns = host_mono_ns,
                        .random = host_random,
                        .commit = host_commit,
                        .stage = host_stage,
                        .commit_open = host_commit_open,
                        .commit_show = host_commit_show,
                        .commit_back = host_commit_back,
                        .resolve = host_resolve,
                        .dispatch = host_dispatch,
                        .cancel = host_cancel,
                        .report = host_report,
                        .report_ctx = e->mailbox,
                        .log = host_log,
                        .failed = host_failed,
                        .scarce = host_scarce,
                        .build_of = host_build_of,
                        .replied = host_replied,
                        .fds_mark = pw_host_fds_mark,
                        .fds_since = pw_host_fds_since};
}

void pw_host_log(pawl_engine *e, pawl_level level, const char *run_id, int64_t command,
                 const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (e->options.log == NULL || level < e->options.log_level) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    e->options.log(e->options.log_user, level, run_id, command, text);
}

/* ---- the watchdog's report ---- */

struct run_name {
    char id[PW_ID_BYTES_MAX + 1];
};

static bool take_name(void *ctx, const pw_run_row *row)
{
    struct run_name *name = ctx;

    (void)snprintf(name->id, sizeof name->id, "%.*s", (int)row->id.size,
                   (const char *)row->id.data);
    return false;
}

void pw_host_held(void *ctx, int slot, int64_t run, const char *site, int64_t held_ms, bool fatal)
{
    pawl_engine *e = ctx;
    struct run_name name;
    pawl_error err;

    const char *what = slot == PW_CRUMB_JOURNAL ? "journal's thread" : "engine's loop";
    const char *end = strstr(site, " in ");
    (void)snprintf(name.id, sizeof name.id, "%.*s", end != NULL ? (int)(end - site) : 0,
                   site); /* a new run has no row yet */
    pthread_mutex_lock(&e->view_lock);
    (void)!e->view_reader->ops->run_get(e->view_reader, run, take_name, &name, &err);
    pthread_mutex_unlock(&e->view_lock);
    pw_host_log(e, fatal ? PAWL_ERROR : PAWL_WARN, name.id, 0,
                "%s holds the %s for %lld ms; long work belongs in an activity", site, what,
                (long long)held_ms);
    if (fatal) { /* the log hook may be silent, and these are the last words */
        fprintf(stderr, "pawl: run %s has held the %s for %lld ms: aborting\n", site, what,
                (long long)held_ms);
    }
}
