/*
 * scene_fold.c - a folded workflow that goes through a list of jobs, one after the other: every construct a folded workflow has.
 * Does not save snapshots: engine_fold does.
 */
#include <stdio.h>

#include "scene.h"

typedef struct jobs {
    int64_t next;    /* job to begin */
    int64_t command; /* what is waited for; 0 = nothing */
    uint64_t sum;    /* wraps: a mutated history may hold any number */
    bool canceled, go_on;
    char failed[64];
} jobs;

static void *jobs_new(void *user)
{
    (void)user;
    return calloc(1, sizeof(jobs));
}

static void jobs_free(void *state)
{
    free(state);
}

static bool one_of(const char *type, const char *const names[5])
{
    for (size_t i = 0; i < 5; i++) {
        if (strcmp(type, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool begins(const char *type)
{
    static const char *const names[] = {"ActivityScheduled", "TimerStarted", "ChildStarted",
                                        "MapScheduled", "WaitCreated"};
    return one_of(type, names);
}

static bool ends(const char *type)
{
    static const char *const names[] = {"ActivityCompleted", "TimerFired", "ChildCompleted",
                                        "MapCompleted", "WaitAnswered"};
    return one_of(type, names);
}

static void jobs_apply(void *state, const pawl_fold_event *e)
{
    jobs *j = state;
    if (strcmp(e->type, "RunStarted") == 0) {
        j->go_on = pawl_bool(e->value, "go_on", false);
        j->next = pawl_int(e->value, "from", 0);
    } else if (strcmp(e->type, "SignalReceived") == 0) {
        j->sum += 1000 * (uint64_t)pawl_int(e->value, "", 0);
    } else if (strcmp(e->type, "CancelRequested") == 0) {
        j->canceled = true;
    } else if (strcmp(e->type, "ActivityFailed") == 0) {
        (void)snprintf(j->failed, sizeof j->failed, "%s",
                       e->failure != NULL ? e->failure->type : "?");
    } else if (begins(e->type)) {
        j->command = e->command;
        j->next++;
    } else if (e->command != 0 && e->command == j->command && ends(e->type)) {
        j->sum += (uint64_t)pawl_int(e->value, "", 1);
        j->command = 0;
    }
}

static void begin(pawl_fold *f, int64_t n)
{
    pawl_scope *s = pawl_fold_scope(f);
    pawl_call_options call = {.name = "work",
                              .input = pawl_build(s, "{n: %lld}", (long long)n),
                              .retries = PAWL_RETRY_NONE};
    pawl_map_options map = {.name = "auto", .items = pawl_build(s, "[1, 2]")};
    pawl_child_options child = {.workflow = "leaf"};
    pawl_ask_options ask = {.name = "which", .choices = "left|right"};
    switch (n) {
    case 0:
        (void)pawl_fold_call(f, &call, sizeof call);
        break;
    case 1:
        (void)pawl_fold_timer(f, 1);
        break;
    case 2:
        (void)pawl_fold_map(f, &map, sizeof map);
        break;
    case 3:
        (void)pawl_fold_child(f, &child, sizeof child);
        break;
    default:
        (void)pawl_fold_ask(f, &ask, sizeof ask);
        break;
    }
}

static void jobs_decide(void *state, pawl_fold *f)
{
    jobs *j = state;
    pawl_scope *s = pawl_fold_scope(f);
    if (j->canceled) {
        pawl_fold_cancel(f, j->command);
        pawl_fold_canceled(f);
    } else if (j->failed[0] != 0) {
        pawl_fold_fail(f, j->failed, "job %lld", (long long)j->next - 1);
    } else if (j->command == 0 && j->go_on) {
        pawl_fold_continue_as_new(f, pawl_build(s, "{from: 4}"));
    } else if (j->command == 0 && j->next == 5) {
        pawl_fold_signal_send(f, "nobody", "done", NULL);
        pawl_fold_complete(f, pawl_build(s, "{sum: %lld}", (long long)j->sum));
    } else if (j->command == 0) {
        pawl_fold_set(f, "sum", pawl_make_int(s, (int64_t)j->sum));
        begin(f, j->next);
    }
}

static const pawl_folded jobs_ops = {.struct_size = sizeof(pawl_folded),
                                     .init = jobs_new,
                                     .apply = jobs_apply,
                                     .decide = jobs_decide,
                                     .deinit = jobs_free};

static const pawl_value *leaf(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_json(w, "7");
}

static const pawl_value *one(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(task, "%lld", (long long)pawl_int(in, "", 0));
}

void scene_fold_code(rig *r)
{
    rig_folded(r, "jobs", &jobs_ops);
    rig_workflow(r, "leaf", leaf);
    rig_activity(r, "auto", one);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

static void answer(rig *r, const char *id)
{
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", id, "left")->status,
                     PAWL_OK);
}

void scene_fold_play(rig *r)
{
    rig_start(r, "jobs", "done");
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 3}", "done", "more")->status,
                     PAWL_OK);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "100"));
    rig_advance(r, 1000);
    answer(r, "done");
    scene_end(r, "done", "completed");
    rig_start(r, "jobs", "failed");
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    scene_end(r, "failed", "failed");
    rig_start(r, "jobs", "canceled");
    scene_ok(r, "cancel", "canceled");
    scene_end(r, "canceled", "canceled");
    while (rig_task_find(r, "work") != NULL) {
        rig_stop(r, rig_task_find(r, "work"));
    }
    rig_start_with(r, "jobs", "continued", rig_value(r, "{from: 1, go_on: true}"));
    rig_advance(r, 1000);
    answer(r, "continued");
    scene_end(r, "continued", "completed");
}
