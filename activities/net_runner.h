/*
 * net_runner.h - the runner of activities that live on the network thread: no thread of the pool waits for a peer.
 *
 *   engine: start(task) --post--> net thread: activity->start(call) ... pw_net_call_end
 *   engine: cancel(task) --post--> net thread: activity->cancel(call), once
 *   engine: stop --------------> the net stops: what an activity has under way ends, and it ends its calls
 *
 * To add an activity: 1. a static pw_net_activity. 2. pawl_register_activity with pw_net_nowhere as function, the activity as user, and the
 * runner. 3. Its start must lead to exactly one pw_net_call_end, also after cancel and stop.
 */
#ifndef PW_NET_RUNNER_H
#define PW_NET_RUNNER_H

#include "activities/net_loop.h"
#include "activities/secret.h"
#include "sdk/pawl_activity.h"

typedef struct pw_net_runner pw_net_runner;
typedef struct pw_net_call pw_net_call;

/** All on the network thread. */
typedef struct pw_net_activity {
    void (*start)(pw_net_call *call);
    void (*cancel)(pw_net_call *call);
} pw_net_activity;

/** One task at work. */
struct pw_net_call {
    pw_net_job job;
    pw_net_runner *runner;
    pawl_task *task;
    const pw_net_activity *activity;
    void *state; /* the activity's */
    bool canceled;
    bool stopped; /* the net was stopping: it is to run again after the next open */
    pw_net_call *prev, *next;
};

/** Takes egress and secrets over, also when it fails. Errors: as pw_net_start. */
PAWL_MUST_USE pawl_status pw_net_runner_start(pw_egress *egress, pw_secret_rules *secrets,
                                              const pw_net_options *options,
                                              pw_net_runner **ret_runner, pawl_error *err);
pawl_runner *pw_net_runner_base(pw_net_runner *runner);
pw_net *pw_net_runner_net(pw_net_runner *runner);
const pw_secret_rules *pw_net_runner_secrets(const pw_net_runner *runner);
/** Memory (of pw_malloc) that an activity needs for as long as there is the runner: one block, given before its first task. */
void pw_net_runner_keep(pw_net_runner *runner, void *memory);

/** The last word of a call: the result, or the failure that was set on the task; as cancelled when it was cancelled or stopped and there is
 * neither. Frees the call. Net thread. */
void pw_net_call_end(pw_net_call *call, const pawl_value *result);
void pw_net_call_end_canceled(pw_net_call *call);

/** The function of such an activity where there is no such runner: fails. */
const pawl_value *pw_net_nowhere(pawl_task *task, const pawl_value *input, void *user);

#endif
