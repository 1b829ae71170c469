/*
 * llm_activity.c - the activity "llm": from a task to an answer.
 *
 *   start -> join -> scrub -> [try: encode, secrets, heartbeat with the digest, send] -> answer -> fits its schema? -> result
 *                               ^  next endpoint <- no answer                |                       no -> say what is wrong, and try again
 *                               '------------------------------------- pending: look again by its id
 *
 * A call ends once. What one try needs is freed before the next begins. A money or key failure pauses the run
 * and fails the attempt so that it is made again when the run is resumed. An attempt after a crash that finds the id of an answer in the
 * background in its last heartbeat looks for that answer instead of buying another.
 *
 * Does not keep answers: a call whose answer is in the journal is not made again by the engine, and any other is.
 */
#include "activities/llm_activity.h"

#include <stdio.h>
#include <string.h>

#include "activities/llm_quiet.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

enum { BEAT_MS = 1000 };

typedef struct llm_call {
    pw_net_call *call;
    const pw_llm_setup *setup;
    pw_secrets *secrets;
    pawl_scope *scope;
    pw_llm_input input;
    const pawl_value *request; /* scrubbed, and grown by repairs */
    pawl_status status;        /* of what a thread that may wait has done */
    pawl_error err;

    size_t at; /* endpoint */
    pw_llm_call wire;
    const char *url;
    pw_buf texts[PW_LLM_HEADERS_MAX]; /* of headers, secrets in them: overwritten */
    pw_http *http;
    pw_llm_stream *stream;
    pw_buf body;
    int http_status;
    pw_llm_header *reply; /* headers that came */
    size_t reply_len;
    char poll_id[201]; /* of the answer in the background; "" = none */
    int poll_failures;
    bool withdrawing; /* cancelled, and the provider is being told */

    pw_llm_miss best; /* of what failed so far; type NULL = nothing */
    pw_buf tried;
    size_t tried_len;
    pw_llm_sum usage;
    pw_llm_spent spent;
    bool asked; /* a request is under way, or may be: nobody knows what it costs yet */
    int repairs;
    pw_buf tail; /* of the answer so far */
    pw_llm_saying say;
    int64_t begun_ms, first_ms, beaten_ms;

    uv_work_t work;
    bool working;
    pw_net_transfer wait; /* between two looks */
    uv_timer_t *timer;
    bool waiting;
    pw_llm_quiet quiet; /* before the first heartbeat */
} llm_call;

static void try_next(llm_call *c);

static pw_net *net_of(const llm_call *c)
{
    return pw_net_runner_net(c->call->runner);
}

static const pw_llm_endpoint *endpoint_of(const llm_call *c)
{
    return &c->input.targets[c->at].endpoint;
}

/* ---- ends ---- */

static void wipe(pw_buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    pw_buf_deinit(buf);
}

static void try_deinit(llm_call *c)
{
    pw_llm_quiet_stop(&c->quiet);
    for (size_t i = 0; i < PW_LLM_HEADERS_MAX; i++) {
        wipe(&c->texts[i]);
    }
    pw_llm_call_deinit(&c->wire);
    pw_http_free(c->http);
    pw_llm_stream_close(c->stream);
    pw_buf_deinit(&c->body);
    c->http = NULL;
    c->stream = NULL;
    c->http_status = 0;
    c->reply_len = 0;
    c->wire.body = (pw_buf)PW_BUF_INIT;
}

static void call_free(llm_call *c)
{
    try_deinit(c);
    pw_buf_deinit(&c->tried);
    pw_buf_deinit(&c->tail);
    pw_llm_saying_deinit(&c->say);
    pw_secrets_free(c->secrets);
    pawl_scope_free(c->scope);
    pw_free(c);
}

static void spend(llm_call *c)
{
    c->spent.unknown |= c->asked;
    pw_llm_spend_tell(c->call->task, c->scope, &c->usage, &c->spent);
}

static void end_with(llm_call *c, const pawl_value *result)
{
    pw_net_call *call = c->call;
    spend(c);
    call_free(c);
    pw_net_call_end(call, result);
}

static void end_canceled(llm_call *c)
{
    pw_net_call *call = c->call;
    spend(c);
    call_free(c);
    pw_net_call_end_canceled(call);
}

static bool is_over(const llm_call *c)
{
    return (c->call->canceled && !c->withdrawing) || pw_net_closing(net_of(c));
}

/* Cancelled: an answer in the background goes on, and costs, until its provider is told. */
static void end_over(llm_call *c)
{
    if (c->poll_id[0] == '\0' || !c->call->canceled || c->withdrawing ||
        pw_net_closing(net_of(c))) {
        end_canceled(c);
        return;
    }
    c->withdrawing = true;
    try_deinit(c);
    try_next(c);
}

static void refuse(llm_call *c, pawl_status status)
{
    const char *type = status == PAWL_NOMEM    ? "OutOfMemory"
                       : status == PAWL_DENIED ? "ScrubRefused"
                                               : "BadInput";
    (void)pawl_task_fail_with(c->call->task, type, c->err.message, NULL, status == PAWL_NOMEM);
    end_with(c, NULL);
}

static pw_llm_outcome outcome_of(const llm_call *c)
{
    return (pw_llm_outcome){.usage = &c->usage,
                            .endpoint = endpoint_of(c),
                            .endpoint_index = c->at,
                            .digest = c->wire.digest,
                            .repairs = c->repairs,
                            .first_ms = c->first_ms,
                            .total_ms = pw_net_now_ms(net_of(c)) - c->begun_ms,
                            .tried = &c->tried,
                            .tried_len = c->tried_len};
}

/* ---- pausing ---- */

/* Paused, the attempt is made again when the run is resumed, and has cost no retry. */
static void pause_run(llm_call *c)
{
    char reason[256];
    (void)snprintf(reason, sizeof reason, "%s: %.200s", c->best.type, c->best.f.message);
    pawl_task_pause_run(c->call->task, reason);
    c->best.f.retryable = true;
    c->best.f.retry_after_ms = 0;
}

static void end_failed(llm_call *c)
{
    c->at = c->best.endpoint;
    if (c->input.pause && pw_llm_miss_action(&c->best) == PW_LLM_PAUSE && !c->best.f.retryable &&
        !is_over(c)) {
        PW_CLEANUP(pw_buf_deinit)
        pw_buf message = PW_BUF_INIT; /* the reason is written down, too */
        pw_buf_puts(&message, c->best.f.message);
        const bool ok = pw_secret_redact(c->secrets, &message) && pw_buf_ok(&message);
        pw_view_copy(c->best.f.message, sizeof c->best.f.message,
                     ok ? (pw_view){message.data, message.size}
                        : pw_view_of("no memory to say why"));
        pause_run(c);
    }
    const pw_llm_outcome o = outcome_of(c);
    pw_llm_fail(c->call->task, c->secrets, &c->best, &o);
    end_with(c, NULL);
}

/* ---- no answer ---- */

static void missed(llm_call *c, pw_llm_miss *miss)
{
    c->spent.unknown |= miss->sent;
    c->asked = false;
    miss->endpoint = c->at;
    miss->provider = endpoint_of(c)->provider;
    pw_llm_miss_put(miss, &c->tried);
    c->tried_len++;
    if (c->best.type == NULL || pw_llm_miss_better(miss, &c->best)) {
        c->best = *miss;
    }
    c->poll_id[0] = '\0';
    if (c->at + 1 < c->input.targets_len && pw_llm_miss_passes(miss)) {
        try_deinit(c);
        pw_llm_saying_anew(&c->say, "endpoint");
        c->at++;
        try_next(c);
        return;
    }
    end_failed(c);
}

static void missed_class(llm_call *c, const pw_llm_failure *f)
{
    pw_llm_miss miss;
    pw_llm_miss_of_class(&miss, f);
    missed(c, &miss);
}

/* ---- between two looks at an answer in the background ---- */

static void timer_closed(uv_handle_t *handle)
{
    pw_free(handle);
}

static void wait_stop(llm_call *c)
{
    if (c->waiting) {
        c->waiting = false;
        pw_net_leave(net_of(c), &c->wait);
    }
    if (c->timer != NULL) {
        uv_close((uv_handle_t *)c->timer, timer_closed);
        c->timer = NULL;
    }
}

static llm_call *call_of_wait(pw_net_transfer *t)
{
    return (llm_call *)(void *)((char *)t - offsetof(llm_call, wait));
}

static void wait_over(uv_timer_t *timer)
{
    llm_call *c = timer->data;
    wait_stop(c);
    try_next(c);
}

static void wait_start(pw_net_transfer *t)
{
    llm_call *c = call_of_wait(t);
    (void)uv_timer_start(c->timer, wait_over, PW_LLM_POLL_MS, 0);
}

static void wait_stopped(pw_net_transfer *t)
{
    llm_call *c = call_of_wait(t);
    wait_stop(c);
    end_canceled(c);
}

/* It stands among the net's transfers, so that a net that stops finds it. */
static void look_again(llm_call *c)
{
    try_deinit(c);
    c->timer = pw_malloc(sizeof *c->timer);
    if (c->timer == NULL || uv_timer_init(pw_net_uv(net_of(c)), c->timer) != 0) {
        pw_free(c->timer);
        c->timer = NULL;
        (void)pw_err(&c->err, PAWL_NOMEM, "no memory to wait for an answer");
        refuse(c, PAWL_NOMEM);
        return;
    }
    c->timer->data = c;
    c->wait = (pw_net_transfer){.start = wait_start, .stop = wait_stopped};
    c->waiting = pw_net_enter(net_of(c), &c->wait);
    if (!c->waiting) {
        wait_stop(c);
        (void)pw_err(&c->err, PAWL_NOMEM, "too many requests wait");
        refuse(c, PAWL_NOMEM);
    }
}

/* A look that failed says nothing about the answer, for a while. */
static bool looks_on(llm_call *c, const pw_llm_miss *miss)
{
    if (c->poll_id[0] == '\0' || !miss->f.retryable ||
        ++c->poll_failures > PW_LLM_POLL_FAILURES_MAX) {
        return false;
    }
    look_again(c);
    return true;
}

/* ---- heartbeats: what is under way, for people and for the next attempt ---- */

static void beat(llm_call *c, const char *state)
{
    pawl_scope *scope = pawl_scope_new();
    char digest[2 * PW_DIGEST_SIZE + 1];
    PW_CLEANUP(pw_buf_deinit) pw_buf tail = PW_BUF_INIT;
    const size_t size = c->tail.size < PW_LLM_TAIL_BYTES ? c->tail.size : PW_LLM_TAIL_BYTES;
    const uint8_t *from = size > 0 ? c->tail.data + c->tail.size - size : NULL;
    size_t skip = 0;
    while (skip < size && (from[skip] & 0xc0) == 0x80) {
        skip++;
    }
    pw_buf_put(&tail, from != NULL ? from + skip : NULL, size - skip);
    const bool clean = pw_secret_redact(c->secrets, &tail) && pw_buf_ok(&tail);
    pw_hex(digest, c->wire.digest, PW_DIGEST_SIZE);
    const pawl_value *detail =
        scope == NULL
            ? NULL
            : pawl_build(scope,
                         "{state: %s, digest: %s, endpoint: %zu, provider: %s, id: %s, text: %s}",
                         state, digest, c->at, endpoint_of(c)->provider,
                         c->poll_id[0] != '\0' ? c->poll_id : NULL,
                         clean && tail.size > 0 ? pw_buf_cstr(&tail) : NULL);
    c->beaten_ms = pw_net_now_ms(net_of(c));
    (void)pawl_task_heartbeat(c->call->task, detail);
    pawl_scope_free(scope);
}

static void on_progress(void *user)
{
    llm_call *c = user;
    if (pw_net_now_ms(net_of(c)) - c->beaten_ms >= BEAT_MS) {
        beat(c, c->poll_id[0] != '\0' ? "pending" : c->stream != NULL ? "streaming" : "asking");
    }
}

static void on_delta(void *user, const pw_llm_delta *delta)
{
    llm_call *c = user;
    if (c->first_ms == 0) {
        c->first_ms = pw_net_now_ms(net_of(c)) - c->begun_ms;
    }
    if (delta->kind == PW_LLM_DELTA_TEXT) {
        if (c->tail.size > (size_t)8 * PW_LLM_TAIL_BYTES) {
            memmove(c->tail.data, c->tail.data + c->tail.size - PW_LLM_TAIL_BYTES,
                    PW_LLM_TAIL_BYTES);
            c->tail.size = PW_LLM_TAIL_BYTES;
        }
        pw_buf_put(&c->tail, delta->text.data, delta->text.size);
    }
    pw_llm_saying_piece(&c->say, delta);
}

/* ---- answers ---- */

static void end_answered(llm_call *c, const pawl_value *answer, const pw_llm_checked *checked)
{
    pw_llm_outcome o = outcome_of(c);
    o.answer = answer;
    o.has_value = checked != NULL;
    o.value = checked != NULL ? checked->value : NULL;
    const pawl_value *result = pw_llm_result(c->call->task, c->secrets, &o);
    if (result == NULL) {
        (void)pawl_task_fail_with(c->call->task, "OutOfMemory", "no memory for the answer", NULL,
                                  true);
    }
    end_with(c, result);
}

/* The conversation with the answer, and with what is wrong with it. */
static bool grow_request(llm_call *c, const pawl_value *answer, const pw_llm_checked *checked)
{
    const pw_llm_repair repair = {.attempt = c->repairs + 1,
                                  .attempts_max = c->input.repairs_max,
                                  .problems = checked->problems,
                                  .problems_len = checked->problems_len};
    const pawl_value *ask = pw_llm_repair_message(c->scope, &repair);
    const pw_view messages = pw_value_bytes(pawl_get(c->request, "messages"));
    PW_CLEANUP(pw_buf_deinit) pw_buf list = PW_BUF_INIT;
    pw_each each = pw_each_of(messages);
    const bool said = pawl_len(pawl_get(answer, "message.parts")) > 0;
    pw_mp_array(&list, each.left + (said ? 2 : 1));
    while (pw_each_next(&each)) {
        pw_buf_put(&list, each.value.data, each.value.size);
    }
    if (said) {
        pw_mp_value(&list, pawl_get(answer, "message"));
    }
    pw_mp_value(&list, ask);
    const pawl_value *grown =
        ask != NULL && pw_buf_ok(&list) ? pw_value_copy(c->scope, list.data, list.size) : NULL;
    const pawl_value *request =
        grown != NULL ? pawl_with(c->scope, c->request, "messages", grown) : NULL;
    c->request = request != NULL ? request : c->request;
    return request != NULL;
}

static void check_answer(llm_call *c, const pawl_value *answer)
{
    pw_llm_checked checked;
    const pawl_status st = pw_llm_check(c->scope, c->input.schema, answer, &checked, &c->err);
    if (st != PAWL_OK) {
        refuse(c, st);
        return;
    }
    if (checked.fits) {
        end_answered(c, answer, &checked);
        return;
    }
    if (c->repairs < c->input.repairs_max && grow_request(c, answer, &checked)) {
        c->repairs++;
        try_deinit(c);
        pw_llm_saying_anew(&c->say, "repair");
        try_next(c);
        return;
    }
    pw_llm_outcome o = outcome_of(c);
    o.answer = answer;
    pw_llm_fail_answer(c->call->task, c->secrets, &checked, &o);
    end_with(c, NULL);
}

static void answered(llm_call *c, const pawl_value *answer)
{
    const bool ends = pawl_is(answer, "stop", "end") || pawl_is(answer, "stop", "length") ||
                      pawl_is(answer, "stop", "stop_sequence");
    if (pawl_is(answer, "stop", "pending")) {
        (void)snprintf(c->poll_id, sizeof c->poll_id, "%s", pawl_str(answer, "id", ""));
        c->poll_failures = 0;
        if (c->poll_id[0] != '\0') {
            beat(c, "pending");
            look_again(c);
            return;
        }
    }
    c->poll_id[0] = '\0';
    pw_llm_saying_end(&c->say);
    pw_llm_sum_add(&c->usage, answer);
    const pawl_value *model = c->input.targets[c->at].model;
    pw_llm_spend_answer(
        c->setup, c->scope,
        &(pw_llm_paid){answer, endpoint_of(c)->provider,
                       pawl_str(model != NULL ? model : pawl_get(c->request, "model"), "", NULL)},
        &c->spent);
    c->asked = false;
    if (c->input.schema != NULL && ends) {
        check_answer(c, answer);
    } else {
        end_answered(c, answer, NULL);
    }
}

/* ---- one request ---- */

static bool is_json(const pw_http_head *head)
{
    const char *type = pw_http_head_find(head, "content-type");
    return type != NULL && strncmp(type, "application/json", 16) == 0;
}

static void keep_headers(llm_call *c, const pw_http_head *head)
{
    c->reply = pawl_scope_alloc(c->scope, head->len * sizeof *c->reply + 1);
    c->reply_len = 0;
    for (size_t i = 0; c->reply != NULL && i < head->len; i++) {
        const char *name = pw_strdup(c->scope, head->headers[i].name);
        const char *value = pw_strdup(c->scope, head->headers[i].value);
        if (name != NULL && value != NULL) {
            c->reply[c->reply_len++] = (pw_llm_header){.name = name, .value = value};
        }
    }
}

/* The answer is whole, or can be none any more, whatever the connection does. */
static bool is_said(const llm_call *c)
{
    return c->stream != NULL && (pw_llm_stream_done(c->stream) || c->stream->complete);
}

/* A stream that was asked for may come as a whole, and an error always does. */
static void on_head(void *user, const pw_http_head *head)
{
    llm_call *c = user;
    const bool good = head->status >= 200 && head->status < 300;
    c->http_status = head->status;
    if (!good) {
        keep_headers(c, head);
    }
    if (good && c->input.stream && c->poll_id[0] == '\0' &&
        (!is_json(head) || endpoint_of(c)->wire->lines)) {
        c->stream = pw_llm_stream_open(endpoint_of(c), c->wire.digest, on_delta, c);
    }
    pw_buf_init(&c->body, good ? PW_LLM_ANSWER_BYTES_MAX : PW_LLM_ERROR_BYTES_MAX);
}

static bool on_data(void *user, const void *data, size_t size)
{
    llm_call *c = user;
    if (c->stream != NULL) {
        return pw_llm_stream_put(c->stream, data, size) == PAWL_OK;
    }
    pw_buf_put(&c->body, data, size);
    return pw_buf_ok(&c->body);
}

static void failed_status(llm_call *c, const pw_http_result *result)
{
    const bool whole = pw_buf_ok(&c->body);
    pw_llm_failure f;
    const pw_llm_reply reply = {.status = c->http_status,
                                .headers = c->reply,
                                .headers_len = c->reply_len,
                                .body =
                                    c->body.data != NULL && whole ? (const void *)c->body.data : "",
                                .body_size = whole ? c->body.size : 0,
                                .retry_after_ms = result->retry_after_ms,
                                .now_ms = pw_wall_ms()};
    pw_llm_failure_of(endpoint_of(c), &reply, &f);
    pw_llm_miss miss;
    pw_llm_miss_of_class(&miss, &f);
    if (!looks_on(c, &miss)) {
        missed(c, &miss);
    }
}

static void failed_http(llm_call *c, const pw_http_result *result)
{
    pw_llm_miss miss;
    pw_llm_miss_of_http(&miss, result);
    if (!looks_on(c, &miss)) {
        missed(c, &miss);
    }
}

static pawl_status read_answer(llm_call *c, const pawl_value **ret_answer,
                               pw_llm_failure *ret_failure)
{
    if (c->stream == NULL) {
        return pw_llm_decode(
            endpoint_of(c), c->scope,
            (pw_view){c->body.data != NULL ? c->body.data : (const uint8_t *)"", c->body.size},
            c->wire.digest, ret_answer, ret_failure);
    }
    const pawl_status st = pw_llm_stream_end(c->stream, c->scope, ret_answer);
    *ret_failure = *pw_llm_stream_failure(c->stream);
    return st;
}

static void on_end(void *user, const pw_http_result *result)
{
    llm_call *c = user;
    const pawl_value *answer = NULL;
    pw_llm_failure f;
    const bool good = c->http_status >= 200 && c->http_status < 300;
    const bool done = result->error == PW_HTTP_DONE;
    if (c->withdrawing || result->error == PW_HTTP_SHUTDOWN) {
        end_canceled(c);
        return;
    }
    if (result->error == PW_HTTP_CANCELED || is_over(c)) {
        end_over(c);
        return;
    }
    if (c->http_status != 0 && !good && (done || result->error == PW_HTTP_TOO_LARGE)) {
        failed_status(c, result);
        return;
    }
    if (!done && !is_said(c)) {
        failed_http(c, result);
        return;
    }
    const pawl_status st = read_answer(c, &answer, &f);
    if (st == PAWL_OK) {
        answered(c, answer);
    } else if (st == PAWL_FAILED) {
        missed_class(c, &f);
    } else {
        (void)pw_err(&c->err, PAWL_NOMEM, "no memory for an answer");
        refuse(c, PAWL_NOMEM);
    }
}

static void send_request(llm_call *c)
{
    const pw_http_callbacks callbacks = {
        .user = c, .head = on_head, .data = on_data, .progress = on_progress, .end = on_end};
    pw_http_header headers[PW_LLM_HEADERS_MAX];
    for (size_t i = 0; i < c->wire.headers_len; i++) {
        headers[i] = (pw_http_header){c->wire.headers[i].name, pw_buf_cstr(&c->texts[i]),
                                      c->wire.headers[i].secret != NULL};
    }
    const pw_http_request request = {
        .method = c->wire.method,
        .url = c->url,
        .headers = headers,
        .headers_len = c->wire.headers_len,
        .body = c->wire.body.size > 0 ? pw_buf_cstr(&c->wire.body) : NULL,
        .body_size = c->wire.body.size,
        .connect_ms = c->input.connect_ms,
        .first_byte_ms = c->input.first_byte_ms,
        .idle_ms = c->input.idle_ms,
        .total_ms = c->withdrawing ? PW_LLM_WITHDRAW_MS : c->input.total_ms,
        .body_bytes_max = PW_HTTP_BODY_BYTES_MAX,
        .proxy = c->input.proxy,
        .no_resend = pawl_task_effect(c->call->task) == PAWL_EFFECT_UNSAFE};
    if (c->poll_id[0] == '\0') { /* most have answered by then: a commit less */
        c->beaten_ms = pw_net_now_ms(net_of(c));
        pw_llm_quiet_start(&c->quiet, pw_net_uv(net_of(c)), BEAT_MS + 1, on_progress, c);
    }
    const pawl_status st = pw_http_start(net_of(c), &request, &callbacks, &c->http, &c->err);
    if (st == PAWL_OK) {
        c->asked = true;
        return;
    }
    if (st == PAWL_SHUTDOWN || c->withdrawing) {
        end_canceled(c);
    } else if (st == PAWL_DENIED || st == PAWL_INVALID) {
        pw_llm_miss miss = {.type = st == PAWL_DENIED ? "EgressDenied" : "BadInput"};
        pw_llm_failure_set(&miss.f, PW_LLM_NOT_FOUND, "%s", c->err.message);
        missed(c, &miss);
    } else {
        refuse(c, PAWL_NOMEM);
    }
}

/* ---- secrets ---- */

/* The texts of all headers. On any thread that may wait, if a secret is slow. */
static void read_secrets(llm_call *c)
{
    char host[256];
    c->status = pw_http_host(c->url, host, &c->err);
    for (size_t i = 0; i < c->wire.headers_len && c->status == PAWL_OK; i++) {
        const pw_llm_header *h = &c->wire.headers[i];
        const char *value = "";
        if (h->secret != NULL) {
            c->status =
                pw_secret_resolve(c->secrets, c->call->task, h->secret, host, &value, &c->err);
        }
        pw_buf_puts(&c->texts[i], h->value);
        pw_buf_puts(&c->texts[i], value);
        if (c->status == PAWL_OK && !pw_buf_ok(&c->texts[i])) {
            c->status = pw_err(&c->err, PAWL_NOMEM, "no memory for a header");
        }
    }
}

/* A key that cannot be had is like one that is refused. */
static void secrets_read(llm_call *c)
{
    if (is_over(c)) {
        end_over(c);
    } else if (c->status == PAWL_OK) {
        send_request(c);
    } else if (c->withdrawing) {
        end_canceled(c);
    } else if (c->status == PAWL_NOMEM) {
        refuse(c, PAWL_NOMEM);
    } else {
        pw_llm_miss miss = {.type = "SecretFailed"};
        pw_llm_failure_set(&miss.f, PW_LLM_NOT_FOUND, "%s", c->err.message);
        missed(c, &miss);
    }
}

static void work_run(uv_work_t *work)
{
    read_secrets(work->data);
}

static void work_done(uv_work_t *work, int status)
{
    (void)status;
    llm_call *c = work->data;
    c->working = false;
    secrets_read(c);
}

static bool is_slow(const llm_call *c)
{
    for (size_t i = 0; i < c->wire.headers_len; i++) {
        const char *ref = c->wire.headers[i].secret;
        if (ref != NULL && strncmp(ref, "env:", 4) != 0) {
            return true;
        }
    }
    return false;
}

/* ---- tries ---- */

static pawl_status encode(llm_call *c)
{
    const pw_llm_target *t = &c->input.targets[c->at];
    const pw_llm_ask ask = {.scope = c->scope,
                            .request = c->request,
                            .model = t->model,
                            .kept = c->setup->kept,
                            .stream =
                                c->input.stream && !pawl_bool(c->request, "background", false)};
    uint8_t digest[PW_DIGEST_SIZE];
    memcpy(digest, c->wire.digest, sizeof digest);
    const pawl_status st = c->poll_id[0] != '\0'
                               ? pw_llm_encode_poll(&t->endpoint, c->scope, c->poll_id,
                                                    c->withdrawing, &c->wire, &c->err)
                               : pw_llm_encode(&t->endpoint, &ask, &c->wire, &c->err);
    if (st == PAWL_OK && c->poll_id[0] != '\0') {
        memcpy(c->wire.digest, digest, sizeof digest);
    }
    return st;
}

static void try_next(llm_call *c)
{
    const pawl_status st = encode(c);
    if (st != PAWL_OK && c->withdrawing) {
        end_canceled(c);
        return;
    }
    if (st != PAWL_OK) {
        refuse(c, st == PAWL_NOMEM ? st : PAWL_INVALID);
        return;
    }
    c->url = pw_llm_url(c->scope, endpoint_of(c)->base_url, c->wire.path);
    if (c->url == NULL) { /* also when withdrawing: it is over either way */
        (void)pw_err(&c->err, PAWL_NOMEM, "no memory for a URL");
        refuse(c, PAWL_NOMEM);
        return;
    }
    c->working =
        is_slow(c) && uv_queue_work(pw_net_uv(net_of(c)), &c->work, work_run, work_done) == 0;
    if (!c->working) {
        read_secrets(c);
        secrets_read(c);
    }
}

/* The attempt before this one waited for an answer of the same request: it is there, or still on its way. */
static void take_up(llm_call *c)
{
    const pawl_value *last = pawl_task_last_detail(c->call->task);
    const char *id = pawl_str(last, "id", NULL);
    const int64_t at = pawl_int(last, "endpoint", -1);
    char digest[2 * PW_DIGEST_SIZE + 1];
    if (id == NULL || at < 0 || (size_t)at >= c->input.targets_len ||
        strlen(id) >= sizeof c->poll_id) {
        return;
    }
    c->at = (size_t)at;
    const pawl_status st = encode(c); /* for its digest */
    pw_llm_call_deinit(&c->wire);
    c->wire.body = (pw_buf)PW_BUF_INIT;
    if (st == PAWL_OK) {
        pw_hex(digest, c->wire.digest, PW_DIGEST_SIZE);
    }
    if (st == PAWL_OK && pawl_is(last, "digest", digest)) {
        (void)snprintf(c->poll_id, sizeof c->poll_id, "%s", id);
    } else {
        c->at = 0;
    }
}

/* ---- the start ---- */

static void begin(llm_call *c)
{
    const pawl_status st = pw_llm_scrub(c->setup, c->scope, c->input.request, &c->request, &c->err);
    if (st == PAWL_OK) {
        take_up(c);
        try_next(c);
    } else {
        refuse(c, st);
    }
}

static void join(llm_call *c)
{
    c->status = pw_llm_input_join(c->scope, c->call->task, &c->input, &c->err);
}

static void joined(llm_call *c)
{
    if (is_over(c)) {
        end_over(c);
    } else if (c->status == PAWL_FAILED) {
        end_with(c, NULL);
    } else if (c->status != PAWL_OK) {
        refuse(c, c->status);
    } else {
        begin(c);
    }
}

static void join_run(uv_work_t *work)
{
    join(work->data);
}

static void join_done(uv_work_t *work, int status)
{
    (void)status;
    llm_call *c = work->data;
    c->working = false;
    joined(c);
}

/* A conversation is read from the journal on a thread that may wait. */
static void prepare(llm_call *c)
{
    const pawl_status st = pw_llm_input_read(c->scope, c->call->task, &c->input, &c->err);
    if (st != PAWL_OK) {
        refuse(c, st);
        return;
    }
    c->working = pw_llm_input_refers(&c->input) &&
                 uv_queue_work(pw_net_uv(net_of(c)), &c->work, join_run, join_done) == 0;
    if (!c->working && pw_llm_input_joins(&c->input)) {
        join(c);
        joined(c);
    } else if (!c->working) {
        begin(c);
    }
}

static void llm_start(pw_net_call *call)
{
    llm_call *c = pw_calloc(1, sizeof *c);
    if (c != NULL) {
        c->call = call;
        c->setup = (const pw_llm_setup *)(const void *)call->activity;
        c->scope = pawl_scope_new();
        c->secrets = pw_secrets_new(pw_net_runner_secrets(call->runner));
        c->work.data = c;
        c->begun_ms = pw_net_now_ms(net_of(c));
    }
    if (c == NULL || c->scope == NULL || c->secrets == NULL) {
        (void)pawl_task_fail(call->task, "OutOfMemory", "no memory for a call");
        if (c != NULL) {
            call_free(c);
        }
        pw_net_call_end(call, NULL);
        return;
    }
    call->state = c;
    c->say = (pw_llm_saying){.task = call->task, .secrets = c->secrets};
    prepare(c);
}

/* What a thread is doing for it is waited for. */
static void llm_cancel(pw_net_call *call)
{
    llm_call *c = call->state;
    if (c->waiting) {
        wait_stop(c);
        end_over(c);
    } else if (c->http != NULL && !c->working) {
        pw_http_cancel(c->http);
    }
}

const pw_net_activity pw_llm_calls = {llm_start, llm_cancel};
