/*
 * worker.c - the loop of a worker process: polls the engine for tasks, runs them on a pool of threads, reports.
 *
 *   no connection --> connected: as many polls parked as there are free slots --> attempts
 *        ^                 |
 *        `---- lost -------'   every attempt is over for the engine: its code is told to stop and its result is dropped (worker_link.c: that of
 *                              another machine may come back in time)
 *
 * An attempt holds its slot until its code has returned, also when nobody waits for it any more. Code that does not stop within the grace
 * makes the worker take nothing new, let the others finish, and ask to be replaced: a thread cannot be stopped from outside.
 *
 * A final report is kept until the engine has answered it: one that had no room for it hears it again, one that cannot take it as it is hears
 * a failure instead. The attempt's slot is free meanwhile.
 *
 * Does not start or replace processes and sets no limits (cli_worker.c), does not decide what the end of an attempt means (the engine does).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tools/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/module.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"
#include "tools/worker_inside.h"

#define LOOK_EVERY_MS 500
#define CONNECT_EVERY_MS 200
#define AGAIN_MS 500 /* before a final report that the engine had no room for is sent again */
#define STOP_MS 200  /* for the pool's threads at the very end */

void pw_worker_say(const pw_worker *w, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    w->options.say(w->options.ctx, text);
}

/* ---- the code ---- */

typedef struct registrar {
    pawl_module_registrar base; /* first: the module hands it back */
    pw_worker *worker;
} registrar;

static pawl_status reg_workflow(pawl_module_registrar *reg, const char *name, const char *version,
                                pawl_workflow_fn fn, const pawl_workflow_options *options,
                                pawl_error *err)
{
    (void)reg, (void)name, (void)version, (void)fn, (void)options, (void)err;
    return PAWL_OK; /* workflows run in the engine */
}

static pawl_status reg_folded(pawl_module_registrar *reg, const char *name, const char *version,
                              const pawl_folded *folded, const pawl_workflow_options *options,
                              pawl_error *err)
{
    (void)reg, (void)name, (void)version, (void)folded, (void)options, (void)err;
    return PAWL_OK;
}

static pw_worker_act *act_find(const pw_worker *w, const char *name)
{
    pw_worker_act *a = w->acts;
    while (a != NULL && strcmp(a->name, name) != 0) {
        a = a->next;
    }
    return a;
}

static pawl_status reg_activity(pawl_module_registrar *reg, const char *name, pawl_activity_fn fn,
                                const pawl_activity_options *options, pawl_error *err)
{
    pw_worker *w = ((registrar *)(void *)reg)->worker;
    if (name == NULL || name[0] == '\0' || fn == NULL) {
        return pw_err(err, PAWL_INVALID, "an activity without a name or code");
    }
    if (act_find(w, name) != NULL) {
        return pw_err(err, PAWL_EXISTS, "activity \"%s\" is registered already", name);
    }
    pw_worker_act *a = pawl_scope_alloc(w->scope, sizeof *a);
    char *own = pw_strdup(w->scope, name);
    if (a == NULL || own == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for an activity");
    }
    *a = (pw_worker_act){.name = own, .fn = fn, .next = w->acts};
    if (options != NULL) { /* a module may be of an older header */
        pawl_activity_options o = {0};
        size_t size = options->struct_size;
        memcpy(&o, options, size == 0 || size > sizeof o ? sizeof o : size);
        a->user = o.user;
        a->effect = o.effect;
        a->read_back = (pw_read_back){o.read_back, o.user};
        a->concurrency = o.concurrency;
        a->runner = o.runner;
    }
    w->acts = a;
    w->acts_len++;
    return PAWL_OK;
}

static registrar registrar_of(pw_worker *w)
{
    return (registrar){{.struct_size = sizeof(pawl_module_registrar),
                        .workflow = reg_workflow,
                        .folded = reg_folded,
                        .activity = reg_activity},
                       w};
}

pawl_status pw_worker_module(pw_worker *w, const char *path, pawl_error *err)
{
    registrar reg = registrar_of(w);
    return pw_module_register(path, &reg.base, err);
}

pawl_status pw_worker_code(pw_worker *w, pw_worker_code_fn code, void *ctx, pawl_error *err)
{
    registrar reg = registrar_of(w);
    return code(&reg.base, ctx, err);
}

size_t pw_worker_activities(const pw_worker *w)
{
    return w->acts_len;
}

/* ---- life ---- */

pawl_status pw_worker_new(const pw_worker_options *options, pw_worker **ret_worker, pawl_error *err)
{
    pw_worker *w = pw_calloc(1, sizeof *w);
    pawl_scope *scope = w != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(w);
        return pw_err(err, PAWL_NOMEM, "no memory for a worker");
    }
    w->options = *options;
    w->scope = scope;
    pthread_mutex_init(&w->lock, NULL);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pawl_status st = w->event_fd < 0 ? pw_err(err, PAWL_IO, "eventfd: %s", strerror(errno))
                                     : pawl_pool_start(options->parallel, &w->pool, err);
    st = st == PAWL_OK ? pw_worker_link_init(w, err) : st;
    if (st != PAWL_OK) {
        pw_worker_free(w);
        return st;
    }
    *ret_worker = w;
    return PAWL_OK;
}

static void attempt_free(pw_attempt *a)
{
    while (a->reports != NULL) {
        pw_report *r = a->reports;
        a->reports = r->next;
        pw_report_free(r);
    }
    pw_report_free(a->final);
    pw_task_unref(a->task);
    pw_free(a->token);
    pw_free(a);
}

void pw_worker_free_unheard(pw_worker *w)
{
    while (w->unheard != NULL) {
        pw_attempt *a = w->unheard;
        w->unheard = a->next;
        attempt_free(a);
    }
}

/* Once, though several activities share it. */
static void stop_runner(pw_worker *w, pawl_runner *runner)
{
    for (pw_worker_act *a = w->acts; a != NULL && runner != NULL; a = a->next) {
        a->runner = a->runner == runner ? NULL : a->runner;
    }
    if (runner != NULL) {
        runner->ops->stop(runner, STOP_MS);
    }
}

void pw_worker_free(pw_worker *w)
{
    if (w == NULL) {
        return;
    }
    for (pw_worker_act *a = w->acts; a != NULL; a = a->next) {
        stop_runner(w, a->runner);
    }
    if (w->pool != NULL) {
        w->pool->ops->stop(w->pool, STOP_MS);
    }
    pw_worker_link_deinit(w);
    pw_worker_free_unheard(w);
    if (w->attempts != NULL) { /* their threads may still write here */
        return;
    }
    if (w->event_fd >= 0) {
        close(w->event_fd);
    }
    pthread_mutex_destroy(&w->lock);
    pawl_scope_free(w->scope);
    pw_free(w);
}

/* ---- talking ---- */

static pawl_runner *runner_of(const pw_attempt *a)
{
    pawl_runner *own = pw_task_runner(a->task);
    return own != NULL ? own : a->worker->pool;
}

void pw_attempt_tell_to_stop(pw_attempt *a)
{
    if (a->told_ms == 0) {
        a->told_ms = pw_mono_ms();
        pw_task_cancel(a->task);
        pawl_runner *runner = runner_of(a);
        if (runner->ops->cancel != NULL) {
            runner->ops->cancel(runner, a->task);
        }
    }
}

static const pawl_value *token_args(const pw_attempt *a, pawl_scope *scope)
{
    return pawl_build(scope, "{token: %s}", a->token);
}

/* ---- polls ---- */

static bool has_room(const pw_worker_act *a)
{
    return a->concurrency == 0 || a->running < a->concurrency;
}

static bool is_offered(const pw_worker *w, const pw_worker_act *a)
{
    return has_room(a) && pw_token_grant_activity(&w->far.bounds, a->name);
}

static const pawl_value *offer(const pw_worker *w, pawl_scope *scope)
{
    const pawl_value **items = pawl_scope_alloc(scope, w->acts_len * sizeof *items);
    size_t n = 0;
    for (const pw_worker_act *a = items != NULL ? w->acts : NULL; a != NULL; a = a->next) {
        if (is_offered(w, a)) {
            size_t effect = (size_t)a->effect < PW_EFFECTS ? (size_t)a->effect : 0;
            items[n] =
                pawl_build(scope, "{name: %s, effect: %s}", a->name, pw_effect_names[effect]);
            if (a->read_back.fn != NULL) {
                items[n] = pawl_with(scope, items[n], "read_back", pawl_make_bool(scope, true));
            }
            n++;
        }
    }
    if (n == 0) {
        return NULL;
    }
    const pawl_value *args =
        pawl_build(scope, "{activities: %p}", pawl_v(pawl_make_array(scope, items, n)));
    return w->options.queue == NULL
               ? args
               : pawl_with(scope, args, "queues", pawl_build(scope, "[%s]", w->options.queue));
}

static void poll_engine(pw_worker *w)
{
    bool stopping = w->draining || w->hung;
    uint32_t wanted = stopping ? 0 : w->options.parallel - w->attempts_len;
    if (!pw_worker_ready(w) || w->unpoll != 0) {
        return;
    }
    if (w->polls_len > 0 && (stopping || w->offer_changed)) {
        int64_t number = pw_worker_send(w, "task_unpoll", NULL);
        w->unpoll = number > 0 ? number : 0;
        w->offer_changed = false;
        return;
    }
    w->offer_changed = false;
    pawl_scope *scope = w->polls_len < wanted ? pawl_scope_new() : NULL;
    const pawl_value *args = scope != NULL ? offer(w, scope) : NULL;
    while (args != NULL && w->client != NULL && w->polls_len < wanted) {
        int64_t number = pw_worker_send(w, "task_poll", args);
        if (number <= 0) {
            break;
        }
        w->polls[w->polls_len++] = number;
    }
    pawl_scope_free(scope);
}

static bool take_poll(pw_worker *w, int64_t number)
{
    for (uint32_t i = 0; i < w->polls_len; i++) {
        if (w->polls[i] == number) {
            w->polls[i] = w->polls[--w->polls_len];
            return true;
        }
    }
    return false;
}

/* ---- attempts ---- */

/* Any thread. */
static void take_report(void *ctx, pw_report *report)
{
    pw_attempt *a = ctx;
    pw_worker *w = a->worker;
    const uint64_t one = 1;
    size_t said = report->kind == PW_REPORT_OUTPUT ? report->value.size : 0;
    pthread_mutex_lock(&w->lock);
    if (a->said_bytes + said > PW_STREAM_MAIL_BYTES) {
        pthread_mutex_unlock(&w->lock);
        pw_report_free(report);
        return;
    }
    a->said_bytes += said;
    report->next = a->reports;
    a->reports = report;
    pthread_mutex_unlock(&w->lock);
    while (write(w->event_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static bool numbers_of(const char *token, pw_token *ret_token)
{
    char numbers[120];
    const char *last = strrchr(token, ':');
    if (last == NULL || (size_t)(last - token) >= sizeof numbers) {
        return false;
    }
    memcpy(numbers, token, (size_t)(last - token));
    numbers[last - token] = '\0';
    return pw_token_parse(numbers, ret_token);
}

static pw_attempt *attempt_new(pw_worker *w, pw_worker_act *act, const pawl_value *v)
{
    const char *token = pawl_str(v, "token", "");
    bool checks = pawl_bool(v, "read_back", false);
    pw_task_init init = {
        .run_id = pawl_str(v, "run", ""),
        .activity = act->name,
        .journal_path = w->options.journal_path,
        .input = pw_value_bytes(pawl_get(v, "input")),
        .last_detail = pw_value_bytes(pawl_get(v, "detail")),
        .deadline_ms = pawl_int(v, "deadline_ms", 0),
        .fn = checks ? pw_read_back_run : act->fn,
        .fn_user = checks ? &act->read_back : act->user,
        .runner = checks ? NULL : act->runner,
        .effect = pawl_get(v, "effect") != NULL ? pw_effect_named(pawl_str(v, "effect", ""))
                                                : act->effect,
        .report = take_report,
    };
    pw_attempt *a = numbers_of(token, &init.token) ? pw_calloc(1, sizeof *a) : NULL;
    if (a == NULL) {
        return NULL;
    }
    a->worker = w;
    a->act = act;
    init.report_ctx = a;
    a->token = pw_malloc(strlen(token) + 1);
    a->task = a->token != NULL ? pw_task_new(&init) : NULL;
    if (a->task == NULL) {
        attempt_free(a);
        return NULL;
    }
    memcpy(a->token, token, strlen(token) + 1);
    return a;
}

void pw_attempt_wait(pw_worker *w, pw_attempt *a)
{
    pawl_scope *scope = pawl_scope_new();
    int64_t number = scope != NULL ? pw_worker_send(w, "task_wait", token_args(a, scope)) : 0;
    a->wait_number = number > 0 ? number : 0;
    pawl_scope_free(scope);
}

static void give_back(pw_worker *w, const char *token, pawl_scope *scope)
{
    const pawl_value *begun = pawl_make_bool(scope, false);
    (void)pw_worker_send(w, "task_canceled",
                         pawl_build(scope, "{token: %s, begun: %p}", token, pawl_v(begun)));
}

static void begin(pw_worker *w, const pawl_value *v, pawl_scope *scope)
{
    pw_worker_act *act = act_find(w, pawl_str(v, "activity", ""));
    bool checks = pawl_bool(v, "read_back", false);
    bool can = act != NULL && has_room(act) && (!checks || act->read_back.fn != NULL);
    if (!can || w->draining || w->hung) {
        give_back(w, pawl_str(v, "token", ""), scope);
        return;
    }
    pw_attempt *a = attempt_new(w, act, v);
    if (a == NULL) {
        (void)pw_worker_send(
            w, "task_fail",
            pawl_build(
                scope,
                "{token: %s, type: \"OutOfMemory\", message: \"the worker has no memory for it\"}",
                pawl_str(v, "token", "")));
        return;
    }
    a->next = w->attempts;
    w->attempts = a;
    w->attempts_len++;
    act->running++;
    w->offer_changed |= !has_room(act);
    pw_attempt_wait(w, a);
    pawl_runner *runner = runner_of(a);
    runner->ops->start(runner, a->task);
}

/* ---- final reports, and their answers ---- */

static const pawl_value *final_args(const pw_attempt *a, const pw_report *r, pawl_scope *scope)
{
    const pawl_value *v = pw_value_view(scope, r->value.data, r->value.size);
    const pawl_value *args = token_args(a, scope);
    switch (r->kind) {
    case PW_REPORT_DONE:
        return pawl_with(scope, args, "result", v);
    case PW_REPORT_FAILED:
        return pawl_with(scope, pawl_copy(scope, v), "token", pawl_make_str(scope, a->token));
    case PW_REPORT_CANCELED:
        return a->begun ? args : pawl_with(scope, args, "begun", pawl_make_bool(scope, false));
    case PW_REPORT_BEAT:
        return v == NULL ? args : pawl_with(scope, args, "detail", v);
    case PW_REPORT_OUTPUT:
        return pawl_with(scope, pawl_copy(scope, v), "token", pawl_make_str(scope, a->token));
    case PW_REPORT_BEGIN:
        break;
    }
    return args;
}

/** The number of the request; 0 when the connection is lost, -1 when it does not fit. */
static int64_t send_report(pw_worker *w, const pw_attempt *a, const pw_report *r)
{
    static const char *const ops[] = {[PW_REPORT_BEAT] = "task_beat",
                                      [PW_REPORT_OUTPUT] = "task_output",
                                      [PW_REPORT_DONE] = "task_done",
                                      [PW_REPORT_FAILED] = "task_fail",
                                      [PW_REPORT_CANCELED] = "task_canceled"};
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *args = scope != NULL ? final_args(a, r, scope) : NULL;
    if (args != NULL && r->spent != NULL) {
        args = pawl_with(scope, args, "spent", r->spent);
    }
    int64_t number = 0;
    if (scope != NULL && !pw_scope_failed(scope)) {
        number = pw_worker_send(w, ops[r->kind], args);
    } else if (
        r->kind >=
        PW_REPORT_DONE) { /* it cannot be made: the engine sees that the connection ends; the others may be missed */
        pw_worker_lost(w);
    }
    pawl_scope_free(scope);
    return number;
}

static int64_t send_refused(pw_worker *w, const pw_attempt *a, const char *type,
                            const char *message)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *args = scope != NULL ? pawl_build(scope, "{token: %s, type: %s, message: %s}",
                                                        a->token, type, message)
                                           : NULL;
    args = args != NULL ? pawl_with(scope, args, "retryable", pawl_make_bool(scope, false)) : NULL;
    int64_t number =
        args != NULL && !pw_scope_failed(scope) ? pw_worker_send(w, "task_fail", args) : 0;
    if (args == NULL) {
        pw_worker_lost(w);
    }
    pawl_scope_free(scope);
    return number;
}

/* Takes an attempt whose code has returned; it stays in `unheard` until the engine has answered. */
static void send_final(pw_worker *w, pw_attempt *a)
{
    a->next = w->unheard;
    w->unheard = a; /* first: whoever loses the connection frees it */
    int64_t number = a->refused ? -1 : send_report(w, a, a->final);
    if (number < 0) {
        a->refused = true;
        number = send_refused(w, a, "ResultTooLarge",
                              "a result fits a frame of 64 MiB and what the engine takes");
    }
    if (w->client != NULL) {
        a->final_number = number > 0 ? number : 0;
    }
}

static void send_again(pw_worker *w)
{
    pw_attempt *all = w->unheard;
    int64_t now = pw_mono_ms();
    w->unheard = NULL;
    while (all != NULL) {
        pw_attempt *a = all;
        all = a->next;
        if (w->client == NULL && !pw_worker_away(w)) {
            attempt_free(a);
        } else if (!pw_worker_ready(w) || a->final_number != 0 || now < a->again_ms) {
            a->next = w->unheard;
            w->unheard = a;
        } else {
            send_final(w, a);
        }
    }
}

/* False: no final report had that number. */
static bool take_final(pw_worker *w, int64_t number, pawl_status status)
{
    pw_attempt **at = &w->unheard;
    while (*at != NULL && (*at)->final_number != number) {
        at = &(*at)->next;
    }
    pw_attempt *a = *at;
    if (a == NULL) {
        return false;
    }
    bool later = status == PAWL_FULL || status == PAWL_NOMEM || status == PAWL_BUSY ||
                 status == PAWL_NOSPACE || status == PAWL_NOT;
    bool over = status == PAWL_OK || status == PAWL_STALE || status == PAWL_DENIED;
    if (later) {
        a->final_number = 0;
        a->again_ms = pw_mono_ms() + AGAIN_MS;
    } else if (!over && !a->refused) {
        a->refused = true;
        int64_t again = send_refused(w, a, "ReportRefused",
                                     "the engine does not take what the activity reported");
        if (w->client != NULL) {
            a->final_number = again > 0 ? again : 0;
        }
    } else {
        *at = a->next;
        attempt_free(a);
    }
    return true;
}

/* ---- replies ---- */

static void stop_answered(pw_attempt *a, pawl_status status, const pawl_value *v)
{
    a->wait_number = 0;
    if (status == PAWL_OK && pawl_bool(v, "cancel", false)) {
        pw_attempt_tell_to_stop(a);
    } else if (status == PAWL_OK) { /* it may go on, unheard */
        a->over = true;
    } else if (status == PAWL_STALE || status == PAWL_DENIED) {
        a->over = true;
        pw_attempt_tell_to_stop(a);
    }
}

static void take_reply(pw_worker *w, int64_t number, pawl_status status, const pawl_value *v,
                       pawl_scope *scope)
{
    if (number == w->unpoll) {
        w->unpoll = 0;
        return;
    }
    if (take_poll(w, number)) {
        if (status == PAWL_OK) {
            begin(w, v, scope);
        }
        return;
    }
    if (take_final(w, number, status)) {
        return;
    }
    for (pw_attempt *a = w->attempts; a != NULL; a = a->next) {
        if (a->wait_number == number) {
            stop_answered(a, status, v);
            return;
        }
    }
}

static void take_replies(pw_worker *w)
{
    while (w->client != NULL) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *v = NULL;
        pawl_error err = {0};
        pawl_status st =
            scope != NULL ? pw_client_next(w->client, 0, 0, scope, &v, &err) : PAWL_TIMEOUT;
        int64_t number = scope != NULL ? pw_client_taken(w->client) : -1;
        bool nothing = number < 0 && st == PAWL_TIMEOUT;
        bool own = !nothing && pw_worker_link_reply(w, number, st, v, err.message);
        if (number > 0 && !own) {
            take_reply(w, number, st, v, scope);
        } else if (!nothing && !own) {
            pw_worker_lost(w);
        }
        pawl_scope_free(scope);
        if (nothing) {
            return;
        }
    }
}

/* ---- reports, from the attempts ---- */

static void ended(pw_worker *w, pw_attempt *a)
{
    pw_attempt **at = &w->attempts;
    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    w->attempts_len--;
    w->offer_changed |= !has_room(a->act);
    a->act->running--;
    if (a->final != NULL && (w->client != NULL || pw_worker_away(w))) {
        send_final(w, a);
    } else {
        attempt_free(a);
    }
}

/* What came of it, in order; its end, if it came, is the last. */
static pw_report *reports_of(pw_worker *w, pw_attempt *a)
{
    pw_report *list = NULL;
    pthread_mutex_lock(&w->lock);
    while (a->reports != NULL) {
        pw_report *r = a->reports;
        a->reports = r->next;
        r->next = list;
        list = r;
    }
    a->said_bytes = 0;
    pthread_mutex_unlock(&w->lock);
    return list;
}

/* Of several beats the last one is told, all output, and the end. True: it has ended. */
static bool take_attempt(pw_worker *w, pw_attempt *a)
{
    bool final = false;
    const pw_report *beat = NULL;
    pw_report *list = reports_of(w, a);
    for (const pw_report *r = list; r != NULL; r = r->next) {
        beat = r->kind == PW_REPORT_BEAT ? r : beat;
    }
    while (list != NULL) {
        pw_report *r = list;
        list = r->next;
        final |= r->kind >= PW_REPORT_DONE;
        a->begun |= r->kind == PW_REPORT_BEGIN;
        if (r->kind >= PW_REPORT_DONE && !a->over) {
            a->final = r; /* until it is answered */
            continue;
        }
        if (!a->over && (r == beat || r->kind == PW_REPORT_OUTPUT)) {
            (void)send_report(w, a, r);
        }
        pw_report_free(r);
    }
    return final;
}

static void take_reports(pw_worker *w)
{
    uint64_t count;
    while (read(w->event_fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
    for (pw_attempt *a = w->attempts, *next; a != NULL; a = next) {
        next = a->next;
        if (take_attempt(w, a)) {
            ended(w, a);
        }
    }
}

/* ---- the end ---- */

static void look_for_hung(pw_worker *w)
{
    int64_t now = pw_mono_ms();
    for (pw_attempt *a = w->attempts; a != NULL; a = a->next) {
        if (!w->hung && a->told_ms != 0 && now - a->told_ms > w->options.grace_ms) {
            pw_worker_say(w, "activity \"%s\" does not stop: this process is going to be replaced",
                          a->act->name);
            w->hung = true;
            w->end_ms = now + w->options.drain_ms;
        }
        if ((w->draining || w->hung) && now >= w->end_ms) {
            pw_attempt_tell_to_stop(a);
        }
    }
}

/* Nothing to wait for: all has ended, or only what does not stop is left. */
static bool is_done(const pw_worker *w)
{
    int64_t now = pw_mono_ms();
    if ((!w->draining && !w->hung) || w->unpoll != 0 || (w->client != NULL && w->polls_len > 0)) {
        return false;
    }
    if (w->unheard != NULL && now < w->end_ms + w->options.grace_ms) {
        return false;
    }
    for (const pw_attempt *a = w->attempts; a != NULL; a = a->next) {
        if (a->told_ms == 0 || now - a->told_ms <= w->options.grace_ms) {
            return false;
        }
    }
    return true;
}

static void wait_for_something(pw_worker *w, int signal_fd)
{
    struct pollfd fds[] = {
        {.fd = w->event_fd, .events = POLLIN},
        {.fd = w->draining ? -1 : signal_fd, .events = POLLIN},
        {.fd = w->client != NULL ? pw_client_fd(w->client) : -1, .events = POLLIN}};
    (void)poll(fds, PW_COUNT(fds), w->client != NULL ? LOOK_EVERY_MS : CONNECT_EVERY_MS);
    if ((fds[1].revents & POLLIN) != 0) {
        w->draining = true;
        w->end_ms = pw_mono_ms() + w->options.drain_ms;
        pw_worker_say(w, "told to end: takes nothing new, %u running", w->attempts_len);
    }
}

int pw_worker_run(pw_worker *w, int signal_fd)
{
    while (!is_done(w)) {
        pw_worker_link_look(w);
        take_replies(w);
        take_reports(w);
        send_again(w);
        look_for_hung(w);
        poll_engine(w);
        if (is_done(w)) {
            break;
        }
        if (write(w->options.beat_fd, "", 1) < 0 && errno == EPIPE) {
            return 1; /* whoever watches over this process is gone */
        }
        wait_for_something(w, signal_fd);
    }
    return w->hung ? PW_WORKER_EXIT_HUNG : 0;
}
