/*
 * http_activity.c - the activity "http": from a task to a request and back.
 *
 *   start --secrets at hand--> send --> (head, data) --> end: result or failure
 *     '----slow secrets------> a thread that may wait --> send
 *
 * A call ends once: by the end of its request, by a secret or an input that is wrong, or as cancelled. Does not read inputs (http_input.c) or
 * judge responses (http_output.c), and keeps nothing between calls.
 */
#include "activities/http_activity.h"

#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum { BEAT_MS = 1000 };

typedef struct http_call {
    pw_net_call *call;
    pw_secrets *secrets;
    pw_http_input input;
    pw_http_response response;
    pw_http *http; /* NULL until sent */
    uv_work_t work;
    pawl_status status; /* of reading the input */
    pawl_error err;
    bool working;
    int64_t beaten_ms;
} http_call;

static void call_free(http_call *c)
{
    pw_http_input_deinit(&c->input);
    pw_http_response_deinit(&c->response);
    pw_secrets_free(c->secrets);
    pw_http_free(c->http);
    pw_free(c);
}

static void end_with(http_call *c, const pawl_value *result)
{
    pw_net_call *call = c->call;
    call_free(c);
    pw_net_call_end(call, result);
}

static void end_canceled(http_call *c)
{
    pw_net_call *call = c->call;
    call_free(c);
    pw_net_call_end_canceled(call);
}

/* ---- the request ---- */

static void on_head(void *user, const pw_http_head *head)
{
    http_call *c = user;
    const pawl_value *input = pawl_task_input(c->call->task);
    pw_http_response_head(&c->response, head, input);
    if (pawl_is(input, "as", "events") && head->status >= 200 && head->status < 300) {
        c->response.events = pw_http_events_new(c->call->task, c->secrets);
        c->response.body.failed = c->response.events == NULL; /* the first byte ends it */
    }
}

static bool on_data(void *user, const void *data, size_t size)
{
    http_call *c = user;
    if (c->response.events != NULL) {
        return pw_http_events_put(c->response.events, data, size);
    }
    pw_buf_put(&c->response.body, data, size);
    return pw_buf_ok(&c->response.body);
}

/* A stream that was left because the last event that was wanted had come is a response. */
static bool is_response(http_call *c, pw_http_error error)
{
    pw_http_events *events = c->response.events;
    return events != NULL && events->enough ? error == PW_HTTP_DONE || error == PW_HTTP_TOO_LARGE
                                            : error == PW_HTTP_DONE;
}

/* Alive means that bytes move; more than once a second nobody looks. */
static void on_progress(void *user)
{
    http_call *c = user;
    const int64_t now = pw_net_now_ms(pw_net_runner_net(c->call->runner));
    if (now - c->beaten_ms >= BEAT_MS) {
        c->beaten_ms = now;
        (void)pawl_task_heartbeat(c->call->task, NULL);
    }
}

static void on_end(void *user, const pw_http_result *result)
{
    http_call *c = user;
    pawl_task *task = c->call->task;
    if (result->error == PW_HTTP_CANCELED || result->error == PW_HTTP_SHUTDOWN) {
        end_canceled(c);
        return;
    }
    if (is_response(c, result->error)) {
        if (c->response.events != NULL && !pw_http_events_end(c->response.events)) {
            (void)pawl_task_fail_with(task, "BadBody", "an event is larger than allowed", NULL,
                                      false);
            end_with(c, NULL);
            return;
        }
        c->response.retry_after_ms = result->retry_after_ms;
        end_with(c, pw_http_response_end(&c->response, c->secrets, task));
        return;
    }
    pw_http_failure_set(result, c->secrets, task);
    end_with(c, NULL);
}

static void refuse(http_call *c)
{
    const pawl_status s = c->status;
    const char *type = s == PAWL_INVALID || s == PAWL_LIMIT || s == PAWL_PARSE ? "BadInput"
                       : s == PAWL_NOMEM                                       ? "OutOfMemory"
                                                                               : "SecretFailed";
    (void)pawl_task_fail_with(c->call->task, type, c->err.message, NULL, s == PAWL_NOMEM);
    end_with(c, NULL);
}

static void refuse_request(http_call *c, pawl_status status)
{
    const char *type = status == PAWL_DENIED    ? "EgressDenied"
                       : status == PAWL_INVALID ? "BadInput"
                                                : "OutOfMemory";
    pw_buf message = PW_BUF_INIT;
    pw_buf_puts(&message, c->err.message);
    const bool ok = pw_secret_redact(c->secrets, &message) && pw_buf_ok(&message);
    (void)pawl_task_fail_with(c->call->task, type, ok ? pw_buf_cstr(&message) : "it cannot be sent",
                              NULL, status == PAWL_NOMEM);
    pw_buf_deinit(&message);
    end_with(c, NULL);
}

static void send_request(http_call *c)
{
    const pw_http_callbacks callbacks = {
        .user = c, .head = on_head, .data = on_data, .progress = on_progress, .end = on_end};
    if (c->call->canceled || pw_net_closing(pw_net_runner_net(c->call->runner))) {
        end_canceled(c);
        return;
    }
    if (c->status != PAWL_OK) {
        refuse(c);
        return;
    }
    if (!pw_http_response_init(&c->response, c->input.request.body_bytes_max)) {
        c->status = pw_err(&c->err, PAWL_NOMEM, "no memory for a response");
        refuse(c);
        return;
    }
    const pawl_status status = pw_http_start(pw_net_runner_net(c->call->runner), &c->input.request,
                                             &callbacks, &c->http, &c->err);
    if (status == PAWL_SHUTDOWN) {
        end_canceled(c);
    } else if (status != PAWL_OK) {
        refuse_request(c, status);
    }
}

/* ---- the input ---- */

static void read_input(http_call *c)
{
    c->status = pw_http_input_read(&c->input, c->secrets, c->call->task, &c->err);
}

static void work_run(uv_work_t *work)
{
    read_input(work->data);
}

static void work_done(uv_work_t *work, int status)
{
    (void)status;
    http_call *c = work->data;
    c->working = false;
    send_request(c);
}

static void http_start(pw_net_call *call)
{
    pw_net_runner *runner = call->runner;
    http_call *c = pw_calloc(1, sizeof *c);
    if (c != NULL) {
        c->call = call;
        c->secrets = pw_secrets_new(pw_net_runner_secrets(runner));
    }
    if (c == NULL || c->secrets == NULL) {
        pw_free(c);
        (void)pawl_task_fail(call->task, "OutOfMemory", "no memory for a request");
        pw_net_call_end(call, NULL);
        return;
    }
    call->state = c;
    c->work.data = c;
    c->working =
        pw_secret_slow(pawl_task_input(call->task)) &&
        uv_queue_work(pw_net_uv(pw_net_runner_net(runner)), &c->work, work_run, work_done) == 0;
    if (!c->working) {
        read_input(c);
        send_request(c);
    }
}

/* A secret that is being read is waited for: its command sees the cancel, too. */
static void http_cancel(pw_net_call *call)
{
    http_call *c = call->state;
    if (c->http != NULL) {
        pw_http_cancel(c->http);
    }
}

const pw_net_activity pw_http_activity = {http_start, http_cancel};
