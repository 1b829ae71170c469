/*
 * call.c - a run on behalf of a request: started, followed by its events, and its end made into the answer.
 *
 *   start(run) --ack--> its end, or follow:    Progress, Output --> notifications
 *                                              WaitCreated     --> waits --> answers that came with the call | questions (ask.c)
 *                                              Run...ed        --> result --> the answer (content.c)
 *                                      time: a task (task.c), or a handle and how to go on
 *
 * The run's id is made here, so that a start that is sent again is the same start. A call that ends, or whose client goes, leaves
 * its run alone, unless its workflow says otherwise or the client cancels in so many words. Does not know transports and does not decide anything
 * that the run must.
 */
#include <stdio.h>
#include <string.h>

#include "tools/mcp/inside.h"

#define BOUND_MS 45000
#define CUT_MS 1000       /* of a stream whose client is to poll */
#define GRACE_MS 250      /* before a call that may become a task does */
#define GRACE_ASK_MS 1500 /* of one that asks first, outside of its task */

static void look(pw_mcpd_x *x);
static void send_id(pw_mcpd_x *x, const char *op, pw_up_fn fn)
{
    pw_up_ask(x->server->up, op, pawl_build(x->scope, "{id: %s}", x->run.id), fn, x);
}

/* ---- the end ---- */

static void end_as_prompt(pw_mcpd_x *x, const pawl_value *end)
{
    const pawl_value *result = pawl_get(end, "result");
    if (!pawl_is(end, "status", "completed") ||
        pawl_typeof(pawl_get(result, "messages")) != PAWL_ARRAY) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the prompt could not be made: %s",
                     pawl_str(end, "failure.message", "its workflow gave no messages"));
        return;
    }
    pw_mcpd_end(x, pawl_copy(x->scope, result));
}

static const pawl_value *contents_of(pw_mcpd_x *x, const pawl_value *result)
{
    const pawl_value *one;
    if (pawl_typeof(pawl_get(result, "contents")) == PAWL_ARRAY) {
        return pawl_copy(x->scope, result);
    }
    const char *text = pawl_typeof(result) == PAWL_STRING ? pawl_str(result, "", "")
                                                          : pawl_to_json(x->scope, result, 2);
    one =
        pawl_build(x->scope, "{uri: %s, mimeType: %s, text: %s}", x->run.uri,
                   pawl_str(x->run.offer, "mimeType",
                            pawl_typeof(result) == PAWL_STRING ? "text/plain" : "application/json"),
                   text != NULL ? text : "");
    return pawl_build(x->scope, "{contents: [%p]}", pawl_v(one));
}

static void end_as_resource(pw_mcpd_x *x, const pawl_value *end)
{
    if (pawl_is(end, "failure.type", "NotFound")) {
        pw_mcpd_fail(x, x->era->no_resource, pawl_build(x->scope, "{uri: %s}", x->run.uri),
                     "there is no resource %.200s", x->run.uri);
    } else if (!pawl_is(end, "status", "completed")) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the resource could not be read: %s",
                     pawl_str(end, "failure.message", ""));
    } else {
        pw_mcpd_end(x, x->era->listing(x->scope, contents_of(x, pawl_get(end, "result"))));
    }
}

static void end_as_tool(pw_mcpd_x *x, const pawl_value *end)
{
    int64_t code = 0;
    const char *text = "";
    const pawl_value *result = pw_mcpd_tool_result(x->scope, end, &code, &text);
    if (result == NULL) {
        pw_mcpd_fail(x, code, NULL, "%s", text);
        return;
    }
    if (x->method == PW_MCPD_TASKS_RESULT) {
        result =
            pawl_with(x->scope, result, "_meta",
                      pawl_with(x->scope, pw_mcpd_key(result, "_meta"), PW_MCPD_META "related-task",
                                pawl_build(x->scope, "{taskId: %s}", x->run.id)));
    }
    pw_mcpd_end(x, result);
}

static void on_result(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    static void (*const ends[])(pw_mcpd_x *, const pawl_value *) = {
        [PW_MCPD_AS_TOOL] = end_as_tool,
        [PW_MCPD_AS_PROMPT] = end_as_prompt,
        [PW_MCPD_AS_RESOURCE] = end_as_resource,
    };
    if (status != PAWL_OK) {
        pw_mcpd_fail_lost(x, "the run's result cannot be read", why);
    } else if (x->run.task == PW_MCPD_TASK_ALWAYS) {
        pw_mcpd_become_task(x); /* the task has it */
    } else {
        ends[x->run.shape](x, reply);
    }
}

static void fetch(pw_mcpd_x *x)
{
    if (!x->run.ending) {
        x->run.ending = true;
        send_id(x, "result", on_result);
    }
}

/* ---- what it says meanwhile ---- */

static void tell_progress(pw_mcpd_x *x, const pawl_value *event)
{
    const int64_t done = pawl_int(event, "done", 0);
    const int64_t total = pawl_int(event, "total", 0);
    const char *text = pawl_str(event, "text", "");
    if (x->token == NULL || (x->run.progressed && done <= x->run.progress)) {
        return;
    }
    pawl_scope *scope = pawl_scope_new(); /* a run may say this for days */
    if (scope == NULL) {
        return;
    }
    x->run.progressed = true;
    x->run.progress = done;
    const pawl_value *p =
        pawl_build(scope, "{progressToken: %p, progress: %lld}", pawl_v(x->token), (long long)done);
    p = total > 0 ? pawl_with(scope, p, "total", pawl_make_int(scope, total)) : p;
    p = text[0] != '\0' ? pawl_with(scope, p, "message", pawl_make_str(scope, text)) : p;
    pw_mcpd_notify(x, "notifications/progress", p);
    pawl_scope_free(scope);
}

/* Output on the channels "log" and "log.LEVEL" is logging; the rest of a run's output is not for clients. */
static void tell_log(pw_mcpd_x *x, const pawl_value *event)
{
    const char *channel = pawl_str(event, "channel", "");
    const char *level = strcmp(channel, "log") == 0 ? "info" : channel + 4;
    if (strncmp(channel, "log", 3) != 0 || (channel[3] != '\0' && channel[3] != '.') ||
        pw_mcpd_level(level) < x->log_level) {
        return;
    }
    pawl_scope *scope = pawl_scope_new();
    if (scope != NULL) {
        pw_mcpd_notify(x, "notifications/message",
                       pawl_build(scope, "{level: %s, logger: %s, data: %p}", level,
                                  pawl_str(event, "activity", ""),
                                  pawl_v(pawl_get(event, "data"))));
    }
    pawl_scope_free(scope);
}

static bool is_end(const char *type)
{
    static const char *const ends[] = {"RunCompleted", "RunFailed", "RunCanceled", "RunTerminated",
                                       "RunTimedOut"};
    for (size_t i = 0; i < PW_COUNT(ends); i++) {
        if (strcmp(ends[i], type) == 0) {
            return true;
        }
    }
    return false;
}

static void on_event(void *user, pawl_status status, const pawl_value *event, const char *why)
{
    pw_mcpd_x *x = user;
    const char *type = pawl_str(event, "type", "");
    if (status != PAWL_OK) {
        if (!x->run.ending) { /* nothing would tell its end */
            pw_mcpd_fail_lost(x, "the run cannot be followed", why);
        }
        return;
    }
    if (strcmp(type, "Progress") == 0) {
        tell_progress(x, event);
    } else if (strcmp(type, "Output") == 0) {
        tell_log(x, event);
    } else if (is_end(type)) {
        fetch(x);
    } else if (strcmp(type, "WaitCreated") == 0) {
        look(x);
    }
}

static void watch(pw_mcpd_x *x)
{
    pw_up_watch(x->server->up,
                pawl_build(x->scope, "{id: %s, output: true, tail: false}", x->run.id), on_event,
                x);
}

/* ---- what it waits for ---- */

static bool among(const int64_t *list, size_t len, int64_t command)
{
    for (size_t i = 0; i < len; i++) {
        if (list[i] == command) {
            return true;
        }
    }
    return false;
}

static void on_answered(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)reply;
    (void)why;
    x->run.answering--;
    const bool look_now = x->run.look_after && x->run.answering == 0;
    if (look_now || status == PAWL_INVALID || status == PAWL_CONFLICT || status == PAWL_NOTFOUND) {
        x->run.look_after = false;
        look(x); /* it did not fit: it is asked again, or it was answered elsewhere */
    }
}

static bool give(pw_mcpd_x *x, const pawl_value *wait)
{
    pw_mcpd_run *r = &x->run;
    const int64_t command = pawl_int(wait, "command", 0);
    const char *key = pw_mcpd_wait_key(x->scope, wait, false);
    const pawl_value *response = pw_mcpd_key(r->responses, key);
    const pawl_value *value = response != NULL ? pw_mcpd_answer_of(x->scope, wait, response) : NULL;
    if (value == NULL || among(r->refused, r->refused_len, command) ||
        r->refused_len == PW_MCPD_ASKED_MAX) {
        return false;
    }
    r->refused[r->refused_len++] = command; /* once */
    r->answering++;
    pw_mcpd_answer(x, r->id, wait, value, on_answered);
    return true;
}

static void ask_on_stream(pw_mcpd_x *x, const pawl_value *wait, const pawl_value *question)
{
    pw_mcpd_run *r = &x->run;
    const int64_t command = pawl_int(wait, "command", 0);
    if (among(r->asked, r->asked_len, command) || r->asked_len == PW_MCPD_ASKED_MAX) {
        return;
    }
    r->asked[r->asked_len++] = command;
    const pawl_value *name =
        pawl_build(x->scope, "[%s, %lld, %s]", r->id, (long long)command, x->principal);
    const pawl_value *params = pawl_get(question, "params");
    if (x->method == PW_MCPD_TASKS_RESULT) {
        params = pawl_with(x->scope, params, "_meta",
                           pawl_with(x->scope, NULL, PW_MCPD_META "related-task",
                                     pawl_build(x->scope, "{taskId: %s}", r->id)));
    }
    pw_mcpd_request(x, pw_mcpd_seal(x->server, x->scope, "ask", name),
                    pawl_str(question, "method", ""), params);
}

/* What a client must bring back with its answers: which run, and that it is the same call of the same client. */
static const char *state_of(pw_mcpd_x *x)
{
    const pawl_value *call =
        pawl_build(x->scope, "[%p, %p, %p]", pawl_v(pawl_get(x->params, "name")),
                   pawl_v(pawl_get(x->params, "uri")), pawl_v(pawl_get(x->params, "arguments")));
    const pawl_value *state = pawl_build(x->scope, "[%s, %s, %s, %lld]", x->run.id, x->principal,
                                         pw_mcpd_digest(x->server, x->scope, call),
                                         (long long)(pw_mcpd_now_ms() + INT64_C(86400000)));
    return pw_mcpd_seal(x->server, x->scope, "state", state);
}

static void end_asking(pw_mcpd_x *x, const pawl_value *questions)
{
    pw_mcpd_end_as(x,
                   pawl_build(x->scope, "{inputRequests: %p, requestState: %s}", pawl_v(questions),
                              state_of(x)),
                   "input_required");
}

static void put_questions(pw_mcpd_x *x, const pawl_value *waits)
{
    const size_t len = pawl_len(waits);
    const pawl_value *questions = NULL;
    size_t open = 0;
    for (size_t i = 0; i < len; i++) {
        const pawl_value *wait = pawl_at(waits, i);
        const pawl_value *q = pw_mcpd_question(x, x->scope, wait);
        open += !give(x, wait);
        if (q != NULL && x->era->asks_inside) {
            ask_on_stream(x, wait, q);
        }
        questions = q != NULL
                        ? pawl_with(x->scope, questions, pw_mcpd_wait_key(x->scope, wait, false), q)
                        : questions;
    }
    if (open == 0 || x->run.answering > 0) {
        x->run.look_after = open > 0;
        return;
    }
    if (questions == NULL) {
        pw_mcpd_end(x, pw_mcpd_handle(x->scope, x->run.id, waits)); /* somebody else may answer */
    } else if (!x->era->asks_inside) {
        end_asking(x, questions);
    }
}

static void on_waits(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    x->run.looking = false;
    if (status == PAWL_NOMEM && !x->run.ending) {
        pw_mcpd_fail_lost(x, "what the run waits for cannot be read", why);
    } else if (x->run.look_again) {
        x->run.look_again = false;
        look(x);
    } else if (status == PAWL_OK && !x->run.ending) {
        put_questions(x, pawl_copy(x->scope, reply));
    }
}

static void look(pw_mcpd_x *x)
{
    const bool in_task = x->run.task != PW_MCPD_TASK_NEVER && !pawl_is(x->run.offer, "ask", "call");
    if (in_task || x->run.shape == PW_MCPD_AS_RESOURCE) {
        return;
    }
    x->run.look_again = x->run.looking;
    if (!x->run.looking) {
        x->run.looking = true;
        send_id(x, "waits", on_waits);
    }
}

/* ---- time ---- */

static void on_bound(pw_mcpd_x *x)
{
    pw_mcpd_end(x, pw_mcpd_handle(x->scope, x->run.id, NULL));
}

static void on_grace(pw_mcpd_x *x)
{
    pw_mcpd_become_task(x);
}

int64_t pw_mcpd_bound_ms(const pw_mcpd *s)
{
    return s->options.bound_ms > 0 ? s->options.bound_ms : BOUND_MS;
}

static bool can_resume(const pw_mcpd_x *x)
{
    return x->stream != NULL && x->session != NULL &&
           strcmp(x->session->version, PW_MCPD_LEGACY) == 0;
}

static void prime(pw_mcpd_x *x)
{
    if (can_resume(x)) {
        pw_mcpd_prime(x);
    }
}

/* The stream ends, the call does not: its client comes back for it, and holds no connection meanwhile. */
static void on_cut(pw_mcpd_x *x)
{
    x->run.cancel_on_drop = false;
    prime(x);
    x->sink->end(x->sink_user, 200, NULL, 0);
    pw_mcpd_drop(x);
}

static void set_time(pw_mcpd_x *x)
{
    const int64_t bound = pw_mcpd_bound_ms(x->server);
    const bool asks = pawl_is(x->run.offer, "ask", "call");
    if (x->run.task == PW_MCPD_TASK_NEVER && can_resume(x) && !x->resumed &&
        pawl_bool(x->run.offer, "poll", false)) {
        pw_mcpd_after(x, CUT_MS < bound ? CUT_MS : bound, on_cut);
    } else if (x->run.task == PW_MCPD_TASK_NEVER) {
        if (x->method != PW_MCPD_TASKS_RESULT && x->run.shape == PW_MCPD_AS_TOOL) {
            pw_mcpd_after(x, bound, on_bound);
        }
    } else if (x->run.task == PW_MCPD_TASK_ALWAYS && !asks) {
        pw_mcpd_become_task(x);
    } else {
        pw_mcpd_after(x, asks ? GRACE_ASK_MS : GRACE_MS, on_grace);
    }
}

/* ---- the beginning ---- */

static void on_described(void *user, pawl_status status, const pawl_value *reply, const char *why);

static void on_watched(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)status;
    (void)reply;
    (void)why;
    if (!x->run.ending) {
        send_id(x, "describe", on_described);
    }
}

/* Reads are answered beside the engine's thread, so one may say of a run what it was before its watch stood, and the watch not what came before it
 * did. An operation of the engine's own is behind the watch: what is read after its answer misses nothing. */
static void describe_watched(pw_mcpd_x *x)
{
    pw_up_ask(x->server->up, "stats", &pw_up_none, on_watched, x);
}

/* [T11] It is on disk: from here on its name may be told, and the answer of a legacy call is a stream. */
static void begun(pw_mcpd_x *x)
{
    x->run.started = true;
    prime(x);
}

static void take_up(pw_mcpd_x *x)
{
    x->run.started = true;
    x->run.taken_up = true;
    describe_watched(x);
    set_time(x);
}

/* The key was used before: for the same call, or the client has mistaken it. */
static void on_first_event(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    pw_mcpd_fn then = x->then;
    x->then = NULL;
    if (status != PAWL_OK) {
        pw_mcpd_fail_lost(x, "the run of this key cannot be read", why);
    } else if (strcmp(pw_mcpd_digest(x->server, x->scope, pawl_get(reply, "0.input")),
                      pw_mcpd_digest(x->server, x->scope, x->run.input)) != 0) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL,
                     "this idempotency key was used for a call with other arguments");
    } else {
        then(x);
    }
}

void pw_mcpd_check_key(pw_mcpd_x *x, pw_mcpd_fn then)
{
    x->then = then;
    pw_up_ask(x->server->up, "history",
              pawl_build(x->scope, "{id: %s, from: 1, limit: 1}", x->run.id), on_first_event, x);
}

static void watch_taken(pw_mcpd_x *x)
{
    begun(x);
    watch(x);
    take_up(x);
}

static void tell_so_far(pw_mcpd_x *x, const pawl_value *reply)
{
    if (pawl_get(reply, "progress") != NULL) {
        tell_progress(x, pawl_get(reply, "progress"));
    }
    if (pawl_bool(reply, "asks", false)) {
        look(x);
    }
}

static void on_started(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const bool existing = status == PAWL_EXISTS || pawl_bool(reply, "existing", false);
    if (status == PAWL_INVALID && x->run.shape == PW_MCPD_AS_TOOL) {
        pw_mcpd_end(x, pw_mcpd_text(x->scope, why, true)); /* a model can mend its arguments */
        return;
    }
    if (x->run.keyed && existing) {
        pw_mcpd_check_key(x, watch_taken);
        return;
    }
    if (x->run.found != NULL && existing) {
        watch_taken(x);
        return;
    }
    if (status != PAWL_OK && !existing) {
        pw_mcpd_fail(x, status == PAWL_INVALID ? PW_MCPD_BAD_PARAMS : PW_MCPD_INTERNAL, NULL, "%s",
                     why);
        return;
    }
    begun(x);
    if (!existing && pawl_get(reply, "status") != NULL && !pawl_bool(reply, "following", false)) {
        x->run.ending = true;
        on_result(x, PAWL_OK, reply, ""); /* its first turn was its last */
        return;
    }
    if (pawl_bool(reply, "following", false)) {
        tell_so_far(x, reply);
    } else { /* it was asked before, of an engine that has gone */
        watch(x);
        describe_watched(x);
    }
    set_time(x);
}

/* The name of the call's stream says all that is needed to take it up again. */
static void name_stream(pw_mcpd_x *x)
{
    if (x->era->sessions && x->header != NULL) {
        const pawl_value *name = pawl_build(x->scope, "[%s, %p, %p, %d, %s, %p]", x->run.id,
                                            pawl_v(x->id), pawl_v(x->token), (int)x->run.shape,
                                            x->session != NULL ? x->session->name : "",
                                            pawl_v(pawl_make_bool(x->scope, x->run.calls)));
        x->stream = pw_mcpd_seal(x->server, x->scope, "stream", name);
    }
}

static pw_mcpd_task_mode mode_of(const pw_mcpd_x *x, const pw_mcpd_offer *offer)
{
    const char *task = pw_mcpd_offer_task(offer);
    const bool asked =
        x->era->meta ? pw_mcpd_has_tasks(x) : pawl_typeof(pawl_get(x->params, "task")) == PAWL_MAP;
    if (!asked || strcmp(task, "forbidden") == 0 || x->method != PW_MCPD_TOOLS_CALL) {
        return PW_MCPD_TASK_NEVER;
    }
    return strcmp(task, "required") == 0 || !x->era->meta ? PW_MCPD_TASK_ALWAYS : PW_MCPD_TASK_LATE;
}

static void prepare(pw_mcpd_x *x, const pw_mcpd_offer *offer, pw_mcpd_shape shape)
{
    const pawl_value *responses = pawl_get(x->params, "inputResponses");
    x->run.shape = shape;
    x->run.offer = pawl_copy(x->scope, offer != NULL ? offer->says : NULL);
    x->run.task = offer != NULL ? mode_of(x, offer) : PW_MCPD_TASK_NEVER;
    x->run.responses = pawl_typeof(responses) == PAWL_MAP && x->may_answer ? responses : NULL;
    x->run.cancel_on_drop = pawl_is(x->run.offer, "on_disconnect", "cancel");
}

/* A run that is looked for under its name (a key, or a call whose answer was lost) is started only if it is not there: also when the engine had
 * not acknowledged it before its client went. */
static void start(pw_mcpd_x *x)
{
    const char *trace = pawl_str(pawl_get(x->params, "_meta"), "traceparent", NULL);
    if (x->run.found != NULL) {
        (void)snprintf(x->run.id, sizeof x->run.id, "%s", x->run.found);
    }
    name_stream(x);
    const pawl_value *args =
        pawl_build(x->scope,
                   "{workflow: %s, version: %s, id: %s, input: %p, by: %s, reuse: \"reject\", "
                   "conflict: \"use-existing\", follow: true}",
                   x->run.workflow, x->run.version, x->run.id, pawl_v(x->run.input),
                   x->principal[0] != '\0' ? x->principal : "mcp");
    args = trace != NULL ? pawl_with(x->scope, args, "traceparent", pawl_make_str(x->scope, trace))
                         : args;
    pw_up_follow(x->server->up, args, on_started, on_event, x);
}

void pw_mcpd_call(pw_mcpd_x *x, const pw_mcpd_offer *offer, pw_mcpd_shape shape,
                  const pawl_value *input)
{
    prepare(x, offer, shape);
    x->run.calls = true;
    x->run.workflow = pw_strdup(x->scope, offer->workflow);
    x->run.version = pw_strdup(x->scope, offer->version);
    x->run.input = input;
    pw_mcpd_name_run(x, offer->workflow, input);
    if (shape == PW_MCPD_AS_TOOL && !pawl_bool(offer->says, "repeat", false)) {
        pw_mcpd_find_lost(x, x->run.workflow, start);
    } else {
        start(x);
    }
}

/* ---- following what there is ---- */

static void on_described(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const char *said = pawl_str(reply, "status", "");
    (void)why;
    const bool task = x->method == PW_MCPD_TASKS_RESULT && !x->resumed;
    if (status == PAWL_NOTFOUND ||
        (status == PAWL_OK && task && pw_mcpd_task_expired(x->server, reply))) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no such %s", task ? "task" : "run");
        return;
    }
    prime(x);
    if (status == PAWL_OK && strcmp(said, "running") != 0 && strcmp(said, "paused") != 0) {
        fetch(x);
    } else if (status == PAWL_OK) {
        if (pawl_get(reply, "progress") != NULL) {
            tell_progress(x, pawl_get(reply, "progress"));
        }
        look(x);
    }
}

void pw_mcpd_follow(pw_mcpd_x *x, const char *run_id, const pw_mcpd_offer *offer,
                    pw_mcpd_shape shape)
{
    prepare(x, offer, shape);
    if (!x->allowed && !pw_mcpd_owns(x, run_id)) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no such run");
        return;
    }
    (void)snprintf(x->run.id, sizeof x->run.id, "%s", run_id);
    if (x->stream == NULL) {
        name_stream(x);
    }
    watch(x);
    take_up(x);
}

void pw_mcpd_call_again(pw_mcpd_x *x)
{
    if (x->run.started && !x->run.ending) {
        describe_watched(x);
    }
}

static void on_nothing(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    (void)user;
    (void)status;
    (void)reply;
    (void)why;
}

void pw_mcpd_call_dropped(pw_mcpd_x *x)
{
    if (!x->run.cancel_on_drop) {
        pw_mcpd_lose(x->server, pw_mcpd_answers(x)); /* also one whose start is only on its way */
    } else if (x->run.id[0] != '\0' && !x->run.ending) {
        pw_up_ask(x->server->up, "cancel",
                  pawl_build(x->scope, "{id: %s, reason: \"its caller has gone\", by: %s}",
                             x->run.id, x->principal[0] != '\0' ? x->principal : "mcp"),
                  on_nothing, x->server);
    }
}

/* ---- methods ---- */

/* True: it was the continuation of a call. */
static bool continues(pw_mcpd_x *x, const pw_mcpd_offer *offer, pw_mcpd_shape shape)
{
    const pawl_value *given = pawl_get(x->params, "requestState");
    if (given == NULL || !x->era->meta) {
        return false;
    }
    const pawl_value *call =
        pawl_build(x->scope, "[%p, %p, %p]", pawl_v(pawl_get(x->params, "name")),
                   pawl_v(pawl_get(x->params, "uri")), pawl_v(pawl_get(x->params, "arguments")));
    const pawl_value *state = pw_mcpd_unseal(x->server, x->scope, "state", pawl_str(given, "", ""));
    if (state == NULL || !pawl_is(state, "1", x->principal) ||
        !pawl_is(state, "2", pw_mcpd_digest(x->server, x->scope, call)) ||
        pawl_int(state, "3", 0) < pw_mcpd_now_ms()) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL,
                     "requestState is not one that this call was answered with, or is too old");
        return true;
    }
    x->run.calls = true;
    pw_mcpd_follow(x, pawl_str(state, "0", ""), offer, shape);
    return true;
}

/* What a tool needs of its client ("requires": ["sampling"]); nil = nothing that is missing. */
static const pawl_value *missing_caps(pw_mcpd_x *x, const pw_mcpd_offer *offer)
{
    const pawl_value *requires = pawl_get(offer->says, "requires");
    const pawl_value *missing = NULL;
    const pawl_value *empty = pawl_build(x->scope, "{}");
    for (size_t i = 0; i < pawl_len(requires); i++) {
        const char *name = pawl_str(pawl_at(requires, i), "", "");
        if (!pw_mcpd_has_cap(x, name)) {
            missing = pawl_with(x->scope, missing, name, empty);
        }
    }
    if (x->era->meta && strcmp(pw_mcpd_offer_task(offer), "required") == 0 &&
        !pw_mcpd_has_tasks(x)) {
        missing = pawl_with(x->scope, missing, "extensions",
                            pawl_with(x->scope, NULL, PW_MCPD_TASKS, empty));
    }
    return missing;
}

/* A key that came among the arguments is none of the workflow's, unless it has an argument of that name or its tool says "key": false. */
static const pawl_value *take_key(pw_mcpd_x *x, const pw_mcpd_offer *offer,
                                  const pawl_value *arguments)
{
    const char *name = PW_MCPD_IDEMPOTENCY_ARGUMENT;
    const char *key = pawl_str(pw_mcpd_key(arguments, name), "", NULL);
    if (key == NULL || !pawl_bool(offer->says, "key", true) ||
        pw_mcpd_has(pawl_get(offer->input_schema, "properties"), name)) {
        return arguments;
    }
    x->run.key = key;
    const pawl_value *rest = pw_mcpd_without(x->scope, arguments, name);
    return rest != NULL ? rest : pawl_build(x->scope, "{}");
}

void pw_mcpd_on_TOOLS_CALL(pw_mcpd_x *x)
{
    const char *name = pawl_str(x->params, "name", "");
    const pawl_value *arguments = pawl_get(x->params, "arguments");
    const pw_mcpd_offer *offer =
        x->server->options.tools != PW_MCPD_TOOLS_META
            ? pw_mcpd_offer_find(&x->server->catalog, PW_MCPD_OFFER_TOOL, name)
            : NULL;
    const pawl_value *missing = offer != NULL ? missing_caps(x, offer) : NULL;
    if (arguments != NULL && pawl_typeof(arguments) != PAWL_MAP) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "arguments is an object");
    } else if (offer == NULL) {
        pw_mcpd_call_meta(x, name, arguments);
    } else if (missing != NULL) {
        pw_mcpd_need_cap(x, missing);
    } else if (pw_mcpd_check_params(x, offer) && !continues(x, offer, PW_MCPD_AS_TOOL)) {
        pw_mcpd_call(x, offer, PW_MCPD_AS_TOOL,
                     arguments != NULL ? take_key(x, offer, arguments)
                                       : pawl_build(x->scope, "{}"));
    }
}

void pw_mcpd_on_PROMPTS_GET(pw_mcpd_x *x)
{
    const char *name = pawl_str(x->params, "name", "");
    const pawl_value *arguments = pawl_get(x->params, "arguments");
    const pw_mcpd_offer *offer =
        pw_mcpd_offer_find(&x->server->catalog, PW_MCPD_OFFER_PROMPT, name);
    const pawl_value *wanted = offer != NULL ? pawl_get(offer->says, "arguments") : NULL;
    if (offer == NULL) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no prompt \"%.100s\"", name);
        return;
    }
    for (size_t i = 0; i < pawl_len(wanted); i++) {
        const char *key = pawl_str(pawl_at(wanted, i), "name", "");
        if (pawl_bool(pawl_at(wanted, i), "required", false) &&
            pw_mcpd_key(arguments, key) == NULL) {
            pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "the prompt needs the argument \"%.100s\"",
                         key);
            return;
        }
    }
    if (!continues(x, offer, PW_MCPD_AS_PROMPT)) {
        pw_mcpd_call(x, offer, PW_MCPD_AS_PROMPT,
                     arguments != NULL ? arguments : pawl_build(x->scope, "{}"));
    }
}

void pw_mcpd_on_RESOURCES_READ(pw_mcpd_x *x)
{
    const pawl_value *vars = NULL;
    const char *uri = pawl_str(x->params, "uri", NULL);
    if (uri == NULL) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "uri is missing");
        return;
    }
    x->run.uri = uri;
    if (strncmp(uri, PW_MCPD_RUN_URI, sizeof PW_MCPD_RUN_URI - 1) == 0) {
        pw_mcpd_read_run(x, uri + sizeof PW_MCPD_RUN_URI - 1);
        return;
    }
    const pw_mcpd_offer *offer = pw_mcpd_offer_of_uri(&x->server->catalog, x->scope, uri, &vars);
    if (offer == NULL) {
        pw_mcpd_fail(x, x->era->no_resource, pawl_build(x->scope, "{uri: %s}", uri),
                     "there is no resource %.200s", uri);
        return;
    }
    if (!continues(x, offer, PW_MCPD_AS_RESOURCE)) {
        pw_mcpd_call(x, offer, PW_MCPD_AS_RESOURCE,
                     pawl_with(x->scope, vars, "uri", pawl_make_str(x->scope, uri)));
    }
}
