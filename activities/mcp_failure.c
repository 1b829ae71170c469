/*
 * mcp_failure.c - how a call fails: the lost-reply rule, and what a person or a retry policy is told.
 *
 *   not sent, or refused before it was carried out --> the failure as it is, tried again if that may help
 *   sent, no answer, repeatable                     --> tried again
 *   sent, no answer, not repeatable                 --> OutcomeUnknown: nobody tries again by himself
 *
 * Everything that leaves here has been redacted.
 */
#include <stdio.h>
#include <string.h>

#include "activities/mcp_use.h"
#include "activities/secret.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

enum { WAIT_MS_MIN = 1000 };

const pawl_value *pw_mcp_clean(pw_mcp_call *call, const pawl_value *v)
{
    const pw_view bytes = pw_value_bytes(v);
    pw_buf copy = PW_BUF_INIT;
    if (!pw_secret_known(call->secrets)) {
        return v;
    }
    pw_buf_put(&copy, bytes.data, bytes.size);
    const bool ok = pw_secret_redact_value(call->secrets, &copy);
    const pawl_value *clean = ok ? pw_value_copy(call->scope, copy.data, copy.size) : NULL;
    pw_buf_deinit(&copy);
    if (!ok) {
        (void)pawl_task_fail(call->task, "OutOfMemory", "no memory for the answer");
    }
    return clean;
}

const pawl_value *pw_mcp_fail(pw_mcp_call *call, const char *type, const char *message,
                              const pawl_value *details, bool retryable)
{
    pw_buf text = PW_BUF_INIT;
    pw_buf_puts(&text, message);
    const bool ok = pw_secret_redact(call->secrets, &text) && pw_buf_ok(&text);
    const pawl_value *clean = details != NULL ? pw_mcp_clean(call, details) : NULL;
    call->again = retryable;
    (void)pawl_task_fail_with(call->task, type, ok ? pw_buf_cstr(&text) : type, clean, retryable);
    pw_buf_deinit(&text);
    return NULL;
}

const pawl_value *pw_mcp_fail_unknown(pw_mcp_call *call, const char *cause, const char *message)
{
    char text[800];
    (void)snprintf(text, sizeof text,
                   "nobody knows whether it was done, and it may not be done twice: %.600s",
                   message);
    (void)pw_mcp_fail(call, "OutcomeUnknown", text, pawl_build(call->scope, "{cause: %s}", cause),
                      false);
    pawl_task_outcome_unknown(call->task);
    return NULL;
}

const pawl_value *pw_mcp_fail_question(pw_mcp_call *call, const pawl_value *resume)
{
    const pawl_value *first = pawl_at(call->question, 0);
    const pawl_value *details = pawl_build(call->scope, "{questions: %p, resume: %p}",
                                           pawl_v(call->question), pawl_v(resume));
    char text[400];
    (void)snprintf(text, sizeof text, "the server asks: %.300s",
                   pawl_str(first, "params.message", pawl_str(first, "method", "")));
    return pw_mcp_fail(call, "InputRequired", text, details, false);
}

/* An error that the server answered with. */
static const pawl_value *fail_error(pw_mcp_call *call, const pw_mcp_reply *reply, bool repeatable)
{
    const pw_mcp_message *m = &reply->message;
    const pawl_value *details = pawl_build(call->scope, "{code: %lld, message: %s, data: %p}",
                                           (long long)m->code, m->text, pawl_v(m->data));
    char text[400];
    (void)snprintf(text, sizeof text, "the server answered with error %lld: %.300s",
                   (long long)m->code, m->text);
    (void)pw_mcp_fail(call, pw_mcp_code_type(m->code), text, details,
                      repeatable && m->code == PW_MCP_INTERNAL);
    return NULL;
}

static bool status_says_later(int status)
{
    return status == 429 || status == 503 || status == 529;
}

/* A status that says that nothing has been done. */
static bool status_refused(int status)
{
    return (status >= 300 && status < 500 && status != 408) || status_says_later(status);
}

static const pawl_value *fail_status(pw_mcp_call *call, const pw_mcp_reply *reply, bool repeatable)
{
    const bool later = status_says_later(reply->status);
    const char *type = reply->status == 401 || reply->status == 403 ? "Unauthorized"
                       : reply->status == 429                       ? "RateLimited"
                                                                    : "HttpStatus";
    if (!status_refused(reply->status) && !repeatable) {
        return pw_mcp_fail_unknown(call, type, reply->text);
    }
    const pawl_value *details = pawl_build(call->scope, "{status: %d}", reply->status);
    (void)pw_mcp_fail(call, type, reply->text, details,
                      later || reply->status >= 500 || reply->status == 408);
    if (later && reply->retry_after_ms >= 0) {
        const int64_t ms =
            reply->retry_after_ms < WAIT_MS_MIN ? WAIT_MS_MIN : reply->retry_after_ms;
        (void)pawl_task_retry_after(call->task, (double)ms / 1000);
    }
    return NULL;
}

const pawl_value *pw_mcp_fail_reply(pw_mcp_call *call, const pw_mcp_reply *reply, bool repeatable)
{
    switch (reply->cut) {
    case PW_MCP_ANSWERED:
        return fail_error(call, reply, repeatable);
    case PW_MCP_HTTP:
        return fail_status(call, reply, repeatable);
    case PW_MCP_ASKED:
        return pw_mcp_fail_question(call, pawl_build(call->scope, "{}"));
    case PW_MCP_CANCELED:
        call->ends_canceled = true;
        return NULL;
    case PW_MCP_TIMED_OUT:
    case PW_MCP_FAILED:
    case PW_MCP_MALFORMED:
        break;
    }
    if (reply->sent && !repeatable) {
        return pw_mcp_fail_unknown(call, reply->type, reply->text);
    }
    return pw_mcp_fail(call, reply->type, reply->text, NULL,
                       reply->retryable || reply->cut == PW_MCP_TIMED_OUT);
}
