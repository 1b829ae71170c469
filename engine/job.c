/*
 * job.c - attempts of activities: queueing, slots, deadlines, retries, heartbeats. Jobs live beside runs and outlive their stacks.
 *
 *   HELD -> QUEUED -> (SENDING ->) RUNNING -> ENDING -> gone
 *             ^          BACKOFF <----'  '-> UNKNOWN after a crash between `sent` and a result, if nobody can read it back (read_back.c)
 *
 * A report counts only for the current (run, command, attempt, epoch); all else is stale and counted [E4]. Nothing is dispatched before the
 * commit that scheduled it: jobs are made by publish.c [E1]. Remote workers are job_remote.c; how a job is made is job_new.c.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/cache.h"
#include "engine/job.h"
#include "engine/map.h"
#include "engine/queue.h"
#include "engine/stream.h"

/* ---- giving back ---- */

void pw_job_give_place(pw_core *core, pw_job *job)
{
    if (job->slot != NULL) {
        job->slot->running--;
        pw_queue_act(core, job->slot);
        job->slot = NULL;
    }
    pw_queue_end(core, job);
}

void pw_job_release(pw_core *core, pw_job *job)
{
    pw_job_give_place(core, job);
    if (job->task != NULL) {
        pw_task_unref(job->task);
        job->task = NULL;
        core->tasks_running--;
    }
    pw_job_remote_over(core, job);
    pw_stream_end(core, job, false);
    job->fail_type = NULL;
    job->begun = false;
    job->schedule_due = job->close_due = job->beat_due = 0;
}

/* The attempt is over for us; what its code still does no longer counts. */
static void abandon(pw_core *core, pw_job *job)
{
    if (job->task != NULL) {
        pw_task_cancel(job->task);
        core->env.cancel(core->env.ctx, job->task);
    }
    pw_job_release(core, job);
}

void pw_job_free(pw_core *core, pw_job *job)
{
    if (job->let_run) {
        pw_job_release(core, job);
    } else {
        abandon(core, job);
    }
    pw_queue_leave(core, job);
    pw_run_jobs *rj = pw_run_jobs_find(core, job->key.run);
    DL_DELETE2(rj->jobs, job, r_prev, r_next);
    pw_run_jobs_trim(core, rj);
    HASH_DEL(core->jobs, job);
    pw_report_free(job->owed_report);
    pw_report_free(job->said);
    pw_free(job->note);
    pawl_scope_free(job->detail_scope);
    pawl_scope_free(job->scope);
    pw_free(job);
}

/* ---- queueing and starting ---- */

void pw_job_queue(pw_core *core, pw_job *job)
{
    const pw_run_jobs *rj = pw_run_jobs_find(core, job->key.run);
    if (rj != NULL && rj->held && !PW_BUG_STARTED_IN_PAUSE) {
        pw_job_give_place(core, job);
        job->state = PW_JOB_HELD;
        return;
    }
    int64_t now = pw_core_now(core);
    if (job->due_ms > now) {
        job->state = PW_JOB_BACKOFF;
        pw_timer_add(core, job->due_ms, job->key.run, job->key.cmd, (int32_t)job->key.item,
                     PW_T_JOB);
        return;
    }
    bool bound = job->cancel_requested || job->granted || job->checking;
    pw_report *kept = bound ? NULL : pw_cache_find(core, job);
    if (kept != NULL) {
        pw_job_ended(core, job, kept);
        return;
    }
    job->state = PW_JOB_QUEUED;
    if (job->checking) { /* else nobody would be asked */
        job->schedule_due = now + PW_READ_BACK_MS;
        pw_timer_add(core, job->schedule_due, job->key.run, job->key.cmd, (int32_t)job->key.item,
                     PW_T_JOB);
    } else if (job->schedule_ms > 0) { /* (the first attempt's counts over restarts and pauses) */
        int64_t from = job->attempt <= 1 && job->scheduled_ms > 0 ? job->scheduled_ms : now;
        job->schedule_due = job->schedule_due != 0 ? job->schedule_due : from + job->schedule_ms;
        pw_timer_add(core, job->schedule_due, job->key.run, job->key.cmd, (int32_t)job->key.item,
                     PW_T_JOB);
    }
    pw_queue_put(core, job);
    pw_queue_missed(core, job);
}

/* As the call says, else as whoever would run it says: the registration here, or the worker. */
static pawl_effect effect_of(const pw_job *job, pawl_effect registered)
{
    pawl_effect e = job->effect != PAWL_EFFECT_DEFAULT ? job->effect : registered;
    return e == PAWL_EFFECT_DEFAULT ? PAWL_EFFECT_IDEMPOTENT : e;
}

/* What a job owes its run becomes an input of it. What cannot be delivered now stays with the job. */
static void pay(pw_core *core, pw_job *job)
{
    pw_live *live;
    pawl_error err;
    pawl_status st = pw_live_open_key(core, job->key.run, &live, &err);
    pw_input *in = st == PAWL_OK ? pw_input_new(job->owed) : NULL;
    if (in == NULL && st != PAWL_NOTFOUND) {
        pw_core_log(core, PAWL_WARN, job->run_id, job->key.cmd,
                    "the end of \"%s\" cannot be delivered, it is tried again: %s", job->name,
                    st != PAWL_OK ? err.message : "out of memory");
        pw_again(core, PW_AGAIN_OWED);
        return;
    }
    pw_report *r = job->owed_report;
    job->owed = PW_IN_START;
    job->owed_report = NULL;
    if (in == NULL) { /* (its run is gone) */
        pw_report_free(r);
        return;
    }
    in->report = r;
    in->cmd = job->key.cmd;
    in->attempt = job->attempt;
    in->value = r != NULL ? r->value : (pw_view){NULL, 0};
    in->due_ms = job->owed_due_ms;
    pw_live_input(live, in);
}

void pw_job_tell(pw_core *core, pw_job *job, pw_input_kind kind, pw_report *report)
{
    job->owed = kind;
    job->owed_report = report;
    pay(core, job);
}

void pw_job_take_slot(pw_core *core, pw_job *job, pw_act *act)
{
    if (job->slot == NULL) {
        job->slot = act;
        act->running++;
        pw_queue_act(core, act);
    }
}

pw_token pw_job_token(const pw_core *core, const pw_job *job)
{
    int64_t attempt = job->checking ? job->attempt | PW_ATTEMPT_READ_BACK : job->attempt;
    return (pw_token){job->key.run, job->key.cmd, job->key.item, attempt, core->options.epoch};
}

/* How long what runs may take; 0 = as long as it likes. */
static int64_t timeout_of(const pw_job *job)
{
    return job->timeout_ms == 0 && job->checking ? PW_READ_BACK_MS : job->timeout_ms;
}

static bool start_local(pw_core *core, pw_job *job, pw_act *act)
{
    int64_t now = pw_core_now(core);
    int64_t timeout_ms = timeout_of(job);
    pw_task_init init = {
        .token = pw_job_token(core, job),
        .run_id = job->run_id,
        .activity = job->name,
        .journal_path = core->options.journal_path,
        .convos = core->convos,
        .input = pw_value_bytes(job->input),
        .last_detail = job->detail,
        .deadline_ms = timeout_ms > 0 ? now + timeout_ms : 0,
        .fn = job->checking ? pw_read_back_run : act->fn,
        .fn_user = job->checking ? &act->read_back : act->user,
        .effect = effect_of(job, act->effect),
        .runner = job->checking ? NULL : act->runner,
        .crumb = core->options.crumb,
        .report = core->env.report,
        .report_ctx = core->env.report_ctx != NULL ? core->env.report_ctx : core->env.ctx,
    };
    pawl_task *task = pw_task_new(&init);
    if (task == NULL) {
        return false;
    }
    if (job->granted) {
        pw_queue_out(core, job);
    } else {
        pw_queue_grant(core, job);
    }
    job->state = PW_JOB_RUNNING;
    job->task = task;
    pw_job_take_slot(core, job, act);
    core->tasks_running++;
    core->stats.jobs_started++;
    core->env.dispatch(core->env.ctx, task);
    return true;
}

static pw_act *act_here(pw_core *core, const pw_job *job)
{
    pw_act *act;
    HASH_FIND(hh, core->acts, job->name, strlen(job->name), act);
    return act != NULL && act->fn != NULL ? act : NULL;
}

/* `sent` is committed before an unsafe effect begins; its token and its place are taken already, so that it then begins at once. */
static void send_first(pw_core *core, pw_job *job, pw_act *act)
{
    if (job->granted) { /* it had to reserve before */
        pw_queue_out(core, job);
    } else {
        pw_queue_grant(core, job);
    }
    if (act != NULL) {
        pw_job_take_slot(core, job, act);
    }
    job->state = PW_JOB_SENDING;
    if (job->map != NULL) {
        pw_map_item_send(core, job);
    } else {
        pw_job_tell(core, job, PW_IN_SENT, NULL);
    }
}

/* False: no memory, it stays in the queue. */
static bool start(pw_core *core, pw_job *job, pw_poll *poll)
{
    pw_act *act = act_here(core, job);
    pawl_effect registered = act != NULL ? act->effect : PAWL_EFFECT_DEFAULT;
    bool reads_back = act != NULL && act->read_back.fn != NULL;
    if (poll != NULL) {
        (void)pw_queue_poll_for(job, &registered, &reads_back);
    }
    if (job->checking && !reads_back) { /* who is here now does not know how */
        pw_job_ask(core, job);
        return true;
    }
    job->read_back = reads_back;
    if (job->map != NULL && job->reserves && !job->booked) {
        return pw_map_book(core, job, act);
    }
    if (effect_of(job, registered) == PAWL_EFFECT_UNSAFE && !job->sent &&
        !PW_BUG_START_BEFORE_SENT) {
        send_first(core, job, act);
        return true;
    }
    if (job->reserves && !job->booked) {
        return pw_job_book(core, job, act);
    }
    return act != NULL ? start_local(core, job, act) : pw_job_start_remote(core, job, poll);
}

/* It has its place already; when it cannot start now it gives it back, and stands in the queue as others do. */
static void begin_sent(pw_core *core, pw_job *job)
{
    pw_act *act = act_here(core, job);
    pawl_effect effect = act != NULL ? act->effect : PAWL_EFFECT_DEFAULT;
    bool reads_back;
    pw_poll *poll = act == NULL ? pw_queue_poll_for(job, &effect, &reads_back) : NULL;
    bool can = act != NULL ? job->slot == act : poll != NULL;
    if (can && job->map != NULL && !job->sent && effect_of(job, effect) == PAWL_EFFECT_UNSAFE &&
        !PW_BUG_START_BEFORE_SENT) {
        send_first(core, job, act);
        return;
    }
    if (!can ||
        !(act != NULL ? start_local(core, job, act) : pw_job_start_remote(core, job, poll))) {
        pw_queue_out(core, job);
        pw_job_give_place(core, job);
        pw_queue_put(core, job);
    }
}

void pw_job_dispatch_all(pw_core *core)
{
    if (!core->queue_dirty || core->shutdown || core->failed || !core->recovered) {
        return;
    }
    core->queue_dirty = false;
    pw_job *begun;
    while ((begun = pw_recover_begun(core)) != NULL) {
        pw_job_fail(core, begun, "ProcessEnded", "the process ended while this attempt ran", true);
    }
    while (core->queue_granted != NULL) {
        begin_sent(core, core->queue_granted);
    }
    pw_poll *poll = NULL;
    for (pw_job *job = pw_queue_pick(core, &poll); job != NULL; job = pw_queue_pick(core, &poll)) {
        if (!start(core, job, poll)) {
            pw_again(core, 0);
            return;
        }
    }
}

void pw_job_sent(pw_core *core, pw_job *job)
{
    job->sent = true;
    job->booked = true; /* in the same group */
    if (job->reserves) {
        pw_booking_begun(core, job->key);
    }
    if (job->state == PW_JOB_SENDING &&
        job->cancel_requested) { /* in the meantime; nothing has left */
        pw_job_cancel_now(core, job);
    } else if (job->state == PW_JOB_SENDING) {
        pw_job_queue(core, job); /* not at once: the same group may have ended it */
    }
}

void pw_job_retry(pw_core *core, pw_job *job, int64_t attempt, int64_t due_ms)
{
    pw_job_release(core, job);
    job->sent = false;
    job->booked = false;
    job->begun_ms = 0;
    job->checking = false;
    job->may_have = false;
    job->attempt = attempt;
    job->due_ms = due_ms;
    if (job->cancel_requested) {
        pw_job_cancel_now(core, job);
        return;
    }
    pw_job_queue(core, job);
}

/* ---- ends ---- */

static int64_t backoff_ms(const pw_job *job)
{
    double ms = (double)job->retry.initial_ms;
    for (int64_t i = job->attempt_base + job->attempts_free + 1;
         i < job->attempt && ms < (double)job->retry.max_ms; i++) {
        ms *= job->retry.factor;
    }
    return ms > (double)job->retry.max_ms ? job->retry.max_ms : (int64_t)ms;
}

static bool listed(const char *list, const char *type)
{
    size_t n = strlen(type);
    for (const char *at = list; at != NULL && *at != 0; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, type, n) == 0 && (at[n] == '|' || at[n] == 0)) {
            return true;
        }
    }
    return false;
}

/* Is another attempt to be made, and in how long? One that the code gave a time for costs none of the retries. */
static bool retry_wanted(pw_job *job, const pw_report *r, int64_t *ret_ms)
{
    if (r->kind != PW_REPORT_FAILED || job->cancel_requested) {
        return false;
    }
    const pawl_value *f = pw_value_view(r->scope, r->value.data, r->value.size);
    int64_t after_ms = pawl_int(f, "retry_ms", -1);
    bool left = job->attempt - job->attempt_base - job->attempts_free < job->retry.attempts_max;
    if (!pawl_bool(f, "retryable", true) || listed(job->retry.no_retry, pawl_str(f, "type", "")) ||
        (after_ms < 0 && !left)) {
        return false;
    }
    *ret_ms = after_ms < 0                 ? backoff_ms(job)
              : after_ms < PW_TIMER_MS_MAX ? after_ms
                                           : PW_TIMER_MS_MAX;
    job->attempts_free += after_ms >= 0 && job->attempts_free < PW_TASK_FREE_MAX ? 1 : 0;
    return true;
}

static void stopped_unasked(pw_core *core, pw_job *job)
{
    if (job->sent) {
        pw_job_unknown(core, job, false);
    } else {
        pw_job_release(core, job);
        pw_job_queue(core, job);
    }
}

void pw_job_return(pw_core *core, pw_job *job)
{
    pw_job_release(core, job);
    if (job->cancel_requested) {
        pw_job_cancel_now(core, job);
    } else {
        pw_job_queue(core, job);
    }
}

/* An unsafe effect whose own code does not know what came of it. */
static bool outcome_unknown(const pw_job *job, const pw_report *r)
{
    if (r->kind != PW_REPORT_FAILED || !job->sent) {
        return false;
    }
    return pawl_bool(pw_value_view(r->scope, r->value.data, r->value.size), "unknown", false);
}

/* What an item's attempt spent is booked with the end that its read-back finds. */
static void keep_said(pw_job *job, pw_report *r)
{
    if (job->map != NULL && r->spent != NULL && job->said == NULL) {
        job->said = r;
    } else {
        pw_report_free(r);
    }
}

/* It stopped because this process is closing, whatever it calls that: it runs again. An unsafe one that says that it failed is believed. */
static bool stopped_by_close(const pw_core *core, const pw_job *job, const pw_report *r)
{
    bool told = core->shutdown == PW_SHUTDOWN_STOP && r->kind == PW_REPORT_FAILED && !job->sent;
    return !job->cancel_requested && (told || r->kind == PW_REPORT_CANCELED);
}

void pw_job_ended(pw_core *core, pw_job *job, pw_report *r)
{
    if (job->checking) {
        pw_job_checked(core, job, r);
        return;
    }
    if (outcome_unknown(job, r)) {
        keep_said(job, r);
        pw_job_release(core, job);
        pw_job_unknown(core, job, false);
        return;
    }
    pw_stream_end(core, job, r->kind == PW_REPORT_DONE);
    if (stopped_by_close(core, job, r)) {
        pw_report_free(r);
        stopped_unasked(core, job);
        return;
    }
    int64_t wait_ms = 0;
    bool retry = retry_wanted(job, r, &wait_ms);
    pw_job_release(core, job);
    r->begun = job->may_have;
    job->state = PW_JOB_ENDING;
    if (job->map != NULL) {
        if (retry) {
            pw_map_item_again(core, job, r, pw_core_now(core) + wait_ms);
        } else {
            pw_map_item_end(core, job, r, r->kind != PW_REPORT_DONE);
        }
        return;
    }
    job->owed_due_ms = retry ? pw_core_now(core) + wait_ms : 0;
    pw_job_tell(core, job, retry ? PW_IN_RETRIED : PW_IN_REPORT, r);
}

static void alive(pw_core *core, pw_job *job)
{
    if (job->heartbeat_ms > 0) {
        job->beat_due = pw_core_now(core) + job->heartbeat_ms;
    }
}

/* Who says something is alive. */
static void output(pw_core *core, pw_job *job, pw_report *r)
{
    alive(core, job);
    pw_stream_piece(core, job, pw_value_view(r->scope, r->value.data, r->value.size));
    pw_report_free(r);
}

static void beat(pw_core *core, pw_job *job, pw_report *r)
{
    alive(core, job);
    pawl_scope_free(job->detail_scope);
    job->detail_scope = r->scope;
    job->detail = r->value;
    job->detail_dirty = job->map == NULL;
    core->beats_dirty = true;
    r->scope = NULL;
    pw_report_free(r);
}

void pw_job_begun(pw_core *core, pw_job *job)
{
    int64_t now = pw_core_now(core);
    job->begun = true;
    job->begun_ms = now;
    job->may_have = true;
    job->schedule_due = 0;
    int32_t item = (int32_t)job->key.item;
    if (timeout_of(job) > 0) {
        job->close_due = now + timeout_of(job);
        pw_timer_add(core, job->close_due, job->key.run, job->key.cmd, item, PW_T_JOB);
    }
    if (job->heartbeat_ms > 0) {
        job->beat_due = now + job->heartbeat_ms;
        pw_timer_add(core, job->beat_due, job->key.run, job->key.cmd, item, PW_T_JOB);
    }
}

bool pw_job_report(pw_core *core, pw_report *report)
{
    pw_job *job =
        pw_job_find(core, (pw_job_key){report->token.run, report->token.cmd, report->token.item});
    pw_token now = job != NULL ? pw_job_token(core, job) : (pw_token){0};
    bool current = job != NULL && job->state == PW_JOB_RUNNING &&
                   report->token.attempt == now.attempt && report->token.epoch == now.epoch;
    if (PW_BUG_STALE_APPLIED) {
        current = job != NULL && job->state != PW_JOB_ENDING;
    }
    if (!current) {
        core->stats.stale++;
        pw_report_free(report);
        return false;
    }
    if (report->kind == PW_REPORT_BEGIN) {
        pw_job_begun(core, job);
        pw_report_free(report);
    } else if (report->kind == PW_REPORT_BEAT) {
        beat(core, job, report);
    } else if (report->kind == PW_REPORT_OUTPUT) {
        output(core, job, report);
    } else {
        pw_job_pause(core, job, report);
        pw_job_ended(core, job, report);
    }
    return true;
}

/* A report as the code of the job would make one. NULL = no memory. */
static pw_report *own_report(pw_core *core, const pw_job *job, pw_report_kind kind)
{
    pw_report *r = pw_calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->kind = kind;
    r->token =
        (pw_token){job->key.run, job->key.cmd, job->key.item, job->attempt, core->options.epoch};
    return r;
}

static pw_report *failure_report(pw_core *core, const pw_job *job)
{
    pw_report *r = own_report(core, job, PW_REPORT_FAILED);
    pawl_scope *scope = r != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_report_free(r);
        return NULL;
    }
    r->scope = scope;
    const pawl_value *v =
        pawl_build(scope, "{type: %s, message: %s, retryable: %p}", job->fail_type, job->fail_text,
                   pawl_v(pawl_make_bool(scope, job->fail_retryable)));
    r->value = pw_value_bytes(v);
    if (pw_scope_failed(scope)) {
        pw_report_free(r);
        return NULL;
    }
    return r;
}

static void fail_now(pw_core *core, pw_job *job)
{
    pw_report *r = failure_report(core, job);
    if (r == NULL) {
        pw_again(core, PW_AGAIN_OWED);
        return;
    }
    pw_queue_out(core, job);
    abandon(core, job);
    pw_job_ended(core, job, r);
}

void pw_job_fail(pw_core *core, pw_job *job, const char *type, const char *message, bool retryable)
{
    job->fail_type = type;
    job->fail_retryable = retryable;
    (void)snprintf(job->fail_text, sizeof job->fail_text, "%s", message);
    fail_now(core, job);
}

void pw_job_over(pw_core *core, pw_job *job)
{
    pw_queue_out(core, job);
    abandon(core, job);
}

static void lost(pw_core *core, pw_job *job, const char *type, const char *message, bool doubt)
{
    if (job->checking) {
        pw_job_ask(core, job);
    } else if (job->sent) {
        pw_job_unknown(core, job, doubt);
    } else {
        pw_job_fail(core, job, type, message, true);
    }
}

void pw_job_lost(pw_core *core, pw_job *job, const char *type, const char *message)
{
    lost(core, job, type, message, false);
}

/* ---- deadlines ---- */

void pw_job_timer(pw_core *core, pw_job *job)
{
    int64_t now = pw_core_now(core);
    if (job->state == PW_JOB_BACKOFF) {
        if (job->due_ms <= now) {
            pw_job_queue(core, job);
        }
        return;
    }
    bool waiting = job->state == PW_JOB_QUEUED || (job->state == PW_JOB_RUNNING && !job->begun);
    char text[96];
    if (waiting && job->checking && job->schedule_due > 0 && job->schedule_due <= now) {
        pw_job_ask(core, job);
    } else if (waiting && job->schedule_due > 0 && job->schedule_due <= now) {
        (void)snprintf(text, sizeof text, "it was not started within %lld ms",
                       (long long)job->schedule_ms);
        pw_job_fail(core, job, "ScheduleTimeout", text, false);
    } else if (job->state == PW_JOB_RUNNING && job->close_due > 0 && job->close_due <= now) {
        (void)snprintf(text, sizeof text, "attempt %lld took longer than %lld ms",
                       (long long)job->attempt, (long long)job->timeout_ms);
        lost(core, job, "Timeout", text, true);
    } else if (job->state == PW_JOB_RUNNING && job->beat_due > 0) {
        if (job->beat_due <= now) {
            (void)snprintf(text, sizeof text, "no heartbeat within %lld ms",
                           (long long)job->heartbeat_ms);
            lost(core, job, "HeartbeatTimeout", text, true);
        } else {
            pw_timer_add(core, job->beat_due, job->key.run, job->key.cmd, (int32_t)job->key.item,
                         PW_T_JOB);
        }
    }
}

/* Its deadlines in memory, all of them. */
void pw_job_timers(pw_core *core, const pw_job *job)
{
    int64_t backoff = job->state == PW_JOB_BACKOFF ? job->due_ms : 0;
    const int64_t due[] = {backoff, job->schedule_due, job->close_due, job->beat_due};
    for (size_t i = 0; i < PW_COUNT(due); i++) {
        if (due[i] > 0) {
            pw_timer_add(core, due[i], job->key.run, job->key.cmd, (int32_t)job->key.item,
                         PW_T_JOB);
        }
    }
}

/* ---- cancel and pause ---- */

void pw_job_cancel_now(pw_core *core, pw_job *job)
{
    job->cancel_requested = true;
    pw_report *r = own_report(core, job, PW_REPORT_CANCELED);
    if (r == NULL) {
        pw_again(core, PW_AGAIN_OWED);
        return;
    }
    pw_queue_out(core, job);
    pw_job_ended(core, job, r);
}

void pw_job_cancel(pw_core *core, pw_job *job)
{
    job->cancel_requested = true;
    switch (job->state) {
    case PW_JOB_HELD:
    case PW_JOB_BACKOFF:
    case PW_JOB_QUEUED:
    case PW_JOB_UNKNOWN:
    case PW_JOB_SHORT:
        pw_job_cancel_now(core, job);
        break;
    case PW_JOB_RUNNING:
        if (job->task != NULL) {
            pw_task_cancel(job->task);
            core->env.cancel(core->env.ctx, job->task);
        }
        pw_job_remote_cancel(core, job);
        break;
    case PW_JOB_SENDING:
    case PW_JOB_ENDING:
        break;
    }
}

void pw_jobs_hold(pw_core *core, int64_t run, bool hold)
{
    pw_run_jobs *rj = hold ? pw_run_jobs_get(core, run) : pw_run_jobs_find(core, run);
    if (rj ==
        NULL) { /* (without memory there is nothing to hold yet, and the row says that it is paused) */
        return;
    }
    rj->held = hold;
    pw_job *job, *next;
    DL_FOREACH_SAFE2(rj->jobs, job, next, r_next)
    {
        if (hold && (job->state == PW_JOB_QUEUED || job->state == PW_JOB_BACKOFF)) {
            pw_queue_out(core, job);
            pw_job_give_place(core, job);
            job->state = PW_JOB_HELD;
        } else if (!hold && job->state == PW_JOB_HELD) {
            pw_job_queue(core, job);
        }
    }
    pw_run_jobs_trim(core, rj);
}

/* ---- what there was no memory for ---- */

static bool rests(const pw_job *job)
{
    return job->state == PW_JOB_HELD || job->state == PW_JOB_BACKOFF ||
           job->state == PW_JOB_QUEUED || job->state == PW_JOB_UNKNOWN ||
           job->state == PW_JOB_SHORT || (job->state == PW_JOB_SENDING && job->sent);
}

void pw_jobs_owed(pw_core *core)
{
    pw_job *job, *next;
    HASH_ITER (hh, core->jobs, job, next) {
        if (job->owed != PW_IN_START) {
            pay(core, job);
        } else if (job->fail_type != NULL) {
            fail_now(core, job);
        } else if (job->cancel_requested && rests(job)) {
            pw_job_cancel_now(core, job);
        }
    }
}

/* ---- heartbeat details: at most one write a second each, no events ---- */

void pw_job_beats(pw_core *core)
{
    if (!core->beats_dirty) {
        return;
    }
    core->beats_dirty = false;
    int64_t now = pw_core_now(core);
    pw_job *job, *next;
    HASH_ITER (hh, core->jobs, job, next) {
        if (!job->detail_dirty || job->state != PW_JOB_RUNNING) {
            continue;
        }
        if (now - job->detail_written_ms < PW_HEARTBEAT_WRITE_MS) {
            core->beats_dirty = true;
            continue;
        }
        pw_batch *b = pw_batch_get(core);
        if (b == NULL) { /* a beat may come late */
            core->beats_dirty = true;
            return;
        }
        pw_batch_mark mark = pw_batch_mark_of(b);
        pw_op *op = pw_batch_op(b, PW_OP_TASK_BEAT);
        void *copy = pw_memdup(b->group.scope, job->detail.data, job->detail.size);
        if (pw_batch_lost(b)) {
            pw_batch_undo(b, &mark);
            core->beats_dirty = true;
            return;
        }
        op->u.task = (pw_task_row){
            .run = job->key.run, .cmd = job->key.cmd, .detail = {copy, job->detail.size}};
        job->detail_dirty = false;
        job->detail_written_ms = now;
    }
}
