/*
 * rig_env.c - the core's environment table: virtual time, seeded randomness, groups and reports in queues that somebody else moves on.
 *
 * Does not decide when anything happens: rig.c and the simulator do.
 */
#include <stdio.h>

#include "engine/parts.h"
#include "rig_inside.h"

uint64_t rig_draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t env_now_ms(void *ctx)
{
    return ((rig *)ctx)->now_ms;
}

static int64_t env_mono_ns(void *ctx)
{
    const rig *r = ctx;
    return (r->now_ms - r->jumped_ms - RIG_START_MS + 1000) * 1000000;
}

static void env_random(void *ctx, void *ret, size_t size)
{
    rig *r = ctx;
    uint8_t *out = ret;
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(rig_draw(&r->random) >> 32);
    }
}

static void env_commit(void *ctx, pw_group *group)
{
    rig *r = ctx;
    group->next = NULL;
    LL_APPEND(r->groups, group);
}

static void env_stage(void *ctx, const uint8_t digest[PW_DIGEST_SIZE], pw_view bytes)
{
    rig *r = ctx;
    pawl_error err;
    int64_t chunk = 0;
    bool was = rig_own(r);
    for (size_t at = 0; at < bytes.size; at += PW_BLOB_CHUNK_BYTES) {
        size_t left = bytes.size - at;
        pw_view part = {bytes.data + at, left < PW_BLOB_CHUNK_BYTES ? left : PW_BLOB_CHUNK_BYTES};
        (void)r->journal->ops->stage(r->journal, digest, chunk++, part,
                                     &err); /* the group that refers to it will be told */
    }
    rig_leave(r, was);
}

static pawl_status env_resolve(void *ctx, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                               pawl_error *err)
{
    rig *r = ctx;
    bool was = rig_own(r);
    pawl_status st = r->journal->ops->reopen(r->journal, err);
    st =
        st == PAWL_OK ? r->journal->ops->resolve(r->journal, epoch, group_no, ret_landed, err) : st;
    rig_leave(r, was);
    return st;
}

static void env_dispatch(void *ctx, pawl_task *task)
{
    rig *r = ctx;
    rig_task *t = calloc(1, sizeof *t);
    PW_CHECK(t != NULL);
    t->task = task;
    t->token = *pw_task_token(task);
    (void)snprintf(t->name, sizeof t->name, "%s", pawl_task_activity(task));
    const rig_code *code = rig_code_find(r, t->name, true);
    t->auto_run = code != NULL && !code->held;
    DL_APPEND(r->tasks, t);
    if (r->on_dispatch != NULL) {
        r->on_dispatch(r, t);
    }
}

static void env_cancel(void *ctx, pawl_task *task)
{
    rig *r = ctx;
    bool was = rig_own(r);
    rig_task *t;
    DL_FOREACH (r->tasks, t) {
        if (t->task == task) {
            pw_buf_printf(&r->log, "cancel %lld:%lld:%lld attempt %lld\n", (long long)t->token.run,
                          (long long)t->token.cmd, (long long)t->token.item,
                          (long long)t->token.attempt);
            t->cancel_asked = true;
        }
    }
    rig_leave(r, was);
}

/* Also called by tasks that outlived their core: those say nothing to the next one but what their token says. */
static void env_report(void *ctx, pw_report *report)
{
    rig *r = ctx;
    report->next = NULL;
    if (r->crashing) {
        pw_report_free(report);
        return;
    }
    LL_APPEND(r->reports, report);
}

static void env_log(void *ctx, pawl_level level, const char *run_id, int64_t command,
                    const char *text)
{
    rig *r = ctx;
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    bool was = rig_own(r);
    pw_buf_printf(&r->log, "%s %s %lld %s\n", names[level], run_id, (long long)command, text);
    rig_leave(r, was);
}

static bool env_scarce(void *ctx)
{
    const rig *r = ctx;
    return r->scarce;
}

static void env_failed(void *ctx, const pawl_error *err)
{
    rig *r = ctx;
    bool was = rig_own(r);
    pw_buf_printf(&r->log, "FAILED %s\n", err->message);
    rig_leave(r, was);
    r->failed = true;
}

const pw_env rig_env_ops = {
    .now_ms = env_now_ms,
    .mono_ns = env_mono_ns,
    .random = env_random,
    .commit = env_commit,
    .stage = env_stage,
    .resolve = env_resolve,
    .dispatch = env_dispatch,
    .cancel = env_cancel,
    .report = env_report,
    .log = env_log,
    .failed = env_failed,
    .scarce = env_scarce,
};
