/*
 * net_runner.c - tasks on the network thread.
 *
 * A cancel comes as a task that may have ended meanwhile, so it is not looked at: one job goes over all calls and finds those whose task
 * says that it is cancelled. Does not know what an activity does, and keeps no time: the engine does.
 */
#include "activities/net_runner.h"

#include <stdatomic.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"

struct pw_net_runner {
    pawl_runner base; /* first */
    pw_net *net;
    pw_egress *egress;
    pw_secret_rules *secrets;
    void *kept;
    pw_net_job sweep;
    atomic_bool sweep_posted;
    pw_net_call *calls; /* the network thread's */
};

static pw_net_runner *runner_of(pawl_runner *base)
{
    return (pw_net_runner *)(void *)base;
}

/* ---- on the network thread ---- */

static void call_begin(pw_net_job *job)
{
    pw_net_call *call = (pw_net_call *)(void *)job; /* the first member */
    pw_net_runner *r = call->runner;
    call->next = r->calls;
    if (r->calls != NULL) {
        r->calls->prev = call;
    }
    r->calls = call;
    call->stopped = pw_net_closing(r->net);
    if (call->stopped || pawl_task_canceled(call->task)) {
        pw_net_call_end_canceled(call);
        return;
    }
    pawl_task_begin(call->task);
    call->activity->start(call);
}

static void call_remove(pw_net_call *call)
{
    *(call->prev != NULL ? &call->prev->next : &call->runner->calls) = call->next;
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
    pw_free(call);
}

void pw_net_call_end(pw_net_call *call, const pawl_value *result)
{
    pawl_task *task = call->task;
    call_remove(call);
    pawl_task_finish(task, result);
}

void pw_net_call_end_canceled(pw_net_call *call)
{
    pawl_task *task = call->task;
    call_remove(call);
    pawl_task_finish_canceled(task);
}

static pw_net_call *next_canceled(const pw_net_runner *r)
{
    pw_net_call *call = r->calls;
    while (call != NULL && (call->canceled || !pawl_task_canceled(call->task))) {
        call = call->next;
    }
    return call;
}

static void sweep(pw_net_job *job)
{
    pw_net_runner *r = (pw_net_runner *)(void *)((char *)job - offsetof(pw_net_runner, sweep));
    atomic_store(&r->sweep_posted, false); /* first: a cancel from here on posts anew */
    for (pw_net_call *call = next_canceled(r); call != NULL; call = next_canceled(r)) {
        call->canceled = true; /* cancel may end it: begin at the front again */
        call->activity->cancel(call);
    }
}

/* ---- the runner ---- */

static void runner_start(pawl_runner *base, pawl_task *task)
{
    pw_net_runner *r = runner_of(base);
    void *user = NULL;
    (void)pawl_task_function(task, &user);
    pw_net_call *call = pw_calloc(1, sizeof *call);
    if (call == NULL) {
        pawl_task_finish(task, pawl_task_fail(task, "OutOfMemory", "no memory to queue the task"));
        return;
    }
    call->job.run = call_begin;
    call->runner = r;
    call->task = task;
    call->activity = user;
    if (!pw_net_post(r->net, &call->job)) {
        pw_free(call);
        pawl_task_finish_canceled(task);
    }
}

static void runner_cancel(pawl_runner *base, pawl_task *task)
{
    (void)task;
    pw_net_runner *r = runner_of(base);
    if (!atomic_exchange(&r->sweep_posted, true)) {
        (void)pw_net_post(r->net, &r->sweep);
    }
}

static void runner_free(pw_net_runner *r)
{
    pw_egress_free(r->egress);
    pw_secret_rules_free(r->secrets);
    pw_free(r->kept);
    pw_free(r);
}

static void runner_stop(pawl_runner *base, int64_t deadline_ms)
{
    (void)deadline_ms; /* nothing here waits for a peer */
    pw_net_runner *r = runner_of(base);
    pw_net_stop(r->net);
    PW_CHECK(r->calls == NULL);
    runner_free(r);
}

pawl_status pw_net_runner_start(pw_egress *egress, pw_secret_rules *secrets,
                                const pw_net_options *options, pw_net_runner **ret_runner,
                                pawl_error *err)
{
    static const pawl_runner_ops ops = {.struct_size = sizeof ops,
                                        .name = "net",
                                        .start = runner_start,
                                        .cancel = runner_cancel,
                                        .stop = runner_stop};
    pw_net_runner *r = pw_calloc(1, sizeof *r);
    if (r == NULL) {
        pw_egress_free(egress);
        pw_secret_rules_free(secrets);
        return pw_err(err, PAWL_NOMEM, "no memory for the network thread");
    }
    r->base.ops = &ops;
    r->egress = egress;
    r->secrets = secrets;
    r->sweep.run = sweep;
    atomic_init(&r->sweep_posted, false);
    pw_net_options own = *options;
    own.egress = egress;
    const pawl_status status = pw_net_start(&own, &r->net, err);
    if (status != PAWL_OK) {
        runner_free(r);
        return status;
    }
    *ret_runner = r;
    return PAWL_OK;
}

pawl_runner *pw_net_runner_base(pw_net_runner *runner)
{
    return &runner->base;
}

pw_net *pw_net_runner_net(pw_net_runner *runner)
{
    return runner->net;
}

const pw_secret_rules *pw_net_runner_secrets(const pw_net_runner *runner)
{
    return runner->secrets;
}

void pw_net_runner_keep(pw_net_runner *runner, void *memory)
{
    runner->kept = memory;
}

const pawl_value *pw_net_nowhere(pawl_task *task, const pawl_value *input, void *user)
{
    (void)input;
    (void)user;
    return pawl_task_fail_with(
        task, "NoNetwork",
        "this activity runs on an engine's network thread, which there is none of here", NULL,
        false);
}
