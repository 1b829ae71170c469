/*
 * look.c - what a run is as a task, found out from the journal: for tasks/get, for lists of tasks, for news of them.
 *
 *   look_at --> describe --open--> waits  --> working, input_required with its questions
 *                        --closed-> result --> completed, failed, cancelled with what it came to
 *                        --none, or its time is over--> nil
 *
 * A look belongs to its exchange and ends with it; what it finds lives until the callback returns. A run that is being looked at is not looked at
 * twice: the look is taken again at its end. Does not say anything to anybody.
 */
#include <stdio.h>
#include <string.h>

#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

#define TTL_MS INT64_C(604800000) /* a week */

struct pw_mcpd_look {
    pw_mcpd_look *prev, *next;
    pw_mcpd_x *x;
    pawl_scope *scope;
    const pawl_value *run;
    char id[PW_ID_BYTES_MAX + 1];
    int64_t n;
    pw_mcpd_look_fn fn;
    bool run_only; /* not as a task */
    bool again;
};

/* ---- the row of a run as a task ---- */

static bool is_open(const pawl_value *run)
{
    return pawl_is(run, "status", "running") || pawl_is(run, "status", "paused");
}

static int64_t ttl_of(const pw_mcpd *s)
{
    return s->options.task_ttl_ms > 0 ? s->options.task_ttl_ms : TTL_MS;
}

/* [T15] A handle goes when its run has been closed for so long; an open run keeps it, and time stops no run. What a client is told counts from
 * the beginning, and so it grows while the run is open. */
bool pw_mcpd_task_expired(const pw_mcpd *s, const pawl_value *run)
{
    const int64_t closed = pawl_int(run, "closed_ms", 0);
    return !is_open(run) && closed > 0 && pw_mcpd_now_ms() - closed >= ttl_of(s);
}

const pawl_value *pw_mcpd_task_fields(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *run,
                                      const char *status)
{
    const char *message = pawl_str(run, "progress.text", "");
    const int64_t created = pawl_int(run, "created_ms", 0);
    const int64_t until = is_open(run) ? pw_mcpd_now_ms() : pawl_int(run, "closed_ms", created);
    pw_mcpd_task t = {
        .id = pawl_str(run, "id", ""),
        .status = status,
        .message = message[0] != '\0' ? message : pawl_str(run, "reason", ""),
        .created_ms = created,
        .updated_ms = pawl_int(run, "updated_ms", 0),
        .ttl_ms = (until > created ? until - created : 0) + ttl_of(x->server),
    };
    return x->era->task(scope, &t);
}

static const pawl_value *closed(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *run,
                                const pawl_value *end)
{
    int64_t code = 0;
    const char *text = "";
    const char *status = pawl_str(end, "status", "");
    if (strcmp(status, "canceled") == 0 || strcmp(status, "terminated") == 0) {
        return pw_mcpd_task_fields(x, scope, run, "cancelled");
    }
    const pawl_value *result = pw_mcpd_tool_result(scope, end, &code, &text);
    if (strcmp(status, "timed-out") == 0) {
        code = PW_MCPD_INTERNAL;
        text = "the run took longer than it may";
        result = NULL;
    }
    const bool failed =
        result == NULL || (x->era->tool_error_fails && pawl_bool(result, "isError", false));
    const pawl_value *task = pw_mcpd_task_fields(x, scope, run, failed ? "failed" : "completed");
    if (!x->era->meta) {
        return task;
    }
    return result != NULL
               ? pawl_with(scope, task, "result", x->era->stamp(scope, result, "complete"))
               : pawl_with(scope, task, "error",
                           pawl_build(scope, "{code: %lld, message: %s}", (long long)code, text));
}

static const pawl_value *asking(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *run,
                                const pawl_value *waits)
{
    const pawl_value *asks = NULL;
    for (size_t i = 0; i < pawl_len(waits); i++) {
        const pawl_value *wait = pawl_copy(scope, pawl_at(waits, i));
        const pawl_value *q = pw_mcpd_question(x, scope, wait);
        asks = q != NULL ? pawl_with(scope, asks, pw_mcpd_wait_key(scope, wait, true), q) : asks;
    }
    const pawl_value *task =
        pw_mcpd_task_fields(x, scope, run, asks != NULL ? "input_required" : "working");
    return asks != NULL && x->era->meta ? pawl_with(scope, task, "inputRequests", asks) : task;
}

/* ---- looks ---- */

static bool begin(const pw_mcpd_look *was, const char *run_id);

static void unlink_look(pw_mcpd_look *l)
{
    *(l->prev != NULL ? &l->prev->next : &l->x->looks) = l->next;
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
}

static void look_free(pw_mcpd_look *l)
{
    pawl_scope_free(l->scope);
    pw_free(l);
}

/* The exchange may be over when the callback returns. */
static void found(pw_mcpd_look *l, pawl_status status, const pawl_value *task)
{
    pw_mcpd_x *x = l->x;
    const bool failed = pw_scope_failed(l->scope);
    if (l->again) {
        unlink_look(l);
        if (!begin(l, l->id)) {
            l->fn(x, l->n, PAWL_NOMEM, NULL, l->scope);
        }
    } else {
        unlink_look(l);
        l->fn(x, l->n, failed ? PAWL_NOMEM : status, failed ? NULL : task, l->scope);
    }
    look_free(l);
}

static void on_result(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_look *l = user;
    (void)why;
    found(l, status, status == PAWL_OK ? closed(l->x, l->scope, l->run, reply) : NULL);
}

static void on_waits(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_look *l = user;
    (void)why;
    found(l, status, status == PAWL_OK ? asking(l->x, l->scope, l->run, reply) : NULL);
}

static void on_described(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_look *l = user;
    (void)why;
    /* [T21] a run of others may be open to them, or not: its workflow says so */
    if (status != PAWL_OK || !pw_mcpd_sees(l->x, l->id, pawl_str(reply, "workflow", NULL))) {
        found(l, status == PAWL_NOTFOUND ? PAWL_OK : status, NULL);
        return;
    }
    if (!l->run_only && pw_mcpd_task_expired(l->x->server, reply)) {
        found(l, PAWL_OK, NULL);
        return;
    }
    l->run = pawl_copy(l->scope, reply);
    if (l->run_only) {
        found(l, PAWL_OK, l->run);
        return;
    }
    pw_up_ask(l->x->server->up, is_open(reply) ? "waits" : "result",
              pawl_build(l->scope, "{id: %s}", l->id), is_open(reply) ? on_waits : on_result, l);
}

/* One like `was`, of that run. */
static bool begin(const pw_mcpd_look *was, const char *run_id)
{
    pw_mcpd_x *x = was->x;
    pw_mcpd_look *l = x->looks;
    while (l != NULL && (strcmp(l->id, run_id) != 0 || l->fn != was->fn || l->n != was->n)) {
        l = l->next;
    }
    if (l != NULL) {
        l->again = true;
        return true;
    }
    l = pw_calloc(1, sizeof *l);
    pawl_scope *scope = l != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(l);
        return false;
    }
    *l = (pw_mcpd_look){.x = x,
                        .scope = scope,
                        .n = was->n,
                        .fn = was->fn,
                        .run_only = was->run_only,
                        .next = x->looks};
    (void)snprintf(l->id, sizeof l->id, "%s", run_id);
    if (l->next != NULL) {
        l->next->prev = l;
    }
    x->looks = l;
    pw_up_ask(x->server->up, "describe", pawl_build(scope, "{id: %s}", l->id), on_described, l);
    return true;
}

bool pw_mcpd_look_at(pw_mcpd_x *x, const char *run_id, int64_t n, pw_mcpd_look_fn fn)
{
    const pw_mcpd_look like = {.x = x, .n = n, .fn = fn};
    return begin(&like, run_id);
}

bool pw_mcpd_look_at_run(pw_mcpd_x *x, const char *run_id, pw_mcpd_look_fn fn)
{
    const pw_mcpd_look like = {.x = x, .fn = fn, .run_only = true};
    return begin(&like, run_id);
}

void pw_mcpd_looks_free(pw_mcpd_x *x)
{
    while (x->looks != NULL) {
        pw_mcpd_look *l = x->looks;
        unlink_look(l);
        pw_up_forget(x->server->up, l);
        look_free(l);
    }
}
