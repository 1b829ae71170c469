/*
 * llm_result.c - the result of a call, or its failure: what is said of endpoints that did not answer, tokens summed, secrets taken out.
 * Does not decide whom to ask next.
 */
#include <string.h>

#include "activities/llm_activity.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/value.h"

enum { WAIT_MS_MIN = 1000 }; /* "retry-after: 0" must not become a storm */

static const char *const token_classes[] = {"input",          "cache_read", "cache_write",
                                            "cache_write_1h", "output",     "reasoning"};
static const char *const actions[] = {[PW_LLM_RETRY] = "retry",
                                      [PW_LLM_WAIT] = "wait",
                                      [PW_LLM_SHRINK] = "shrink",
                                      [PW_LLM_PAUSE] = "pause",
                                      [PW_LLM_GIVE_UP] = "give_up"};

/* ---- misses ---- */

void pw_llm_miss_of_class(pw_llm_miss *ret_miss, const pw_llm_failure *failure)
{
    const pw_llm_class class = failure->class;
    *ret_miss = (pw_llm_miss){.type = pw_llm_class_type(class),
                              .f = *failure,
                              .sent = class == PW_LLM_SERVER || class == PW_LLM_TIMEOUT ||
                                      class == PW_LLM_TRUNCATED || class == PW_LLM_BAD_RESPONSE};
}

void pw_llm_miss_of_http(pw_llm_miss *ret_miss, const pw_http_result *result)
{
    *ret_miss = (pw_llm_miss){.type = pw_http_error_type(result->error), .sent = result->sent};
    pw_llm_failure_set(&ret_miss->f,
                       result->error == PW_HTTP_TOO_LARGE ? PW_LLM_BAD_RESPONSE : PW_LLM_SERVER,
                       "%s", result->message);
    ret_miss->f.retryable = pw_http_error_retryable(result->error);
    ret_miss->f.status = result->status;
}

pw_llm_action pw_llm_miss_action(const pw_llm_miss *miss)
{
    const pw_llm_action action = pw_llm_class_action(miss->f.class);
    return action == PW_LLM_RETRY && !miss->f.retryable ? PW_LLM_GIVE_UP : action;
}

bool pw_llm_miss_passes(const pw_llm_miss *miss)
{
    return miss->f.class != PW_LLM_BAD_REQUEST && miss->f.class != PW_LLM_FILTER;
}

static int rank(const pw_llm_miss *miss)
{
    return miss->f.retryable ? 2 : pw_llm_miss_action(miss) == PW_LLM_PAUSE ? 1 : 0;
}

bool pw_llm_miss_better(const pw_llm_miss *a, const pw_llm_miss *b)
{
    if (rank(a) != rank(b)) {
        return rank(a) > rank(b);
    }
    return rank(a) == 2 && a->f.retry_after_ms < b->f.retry_after_ms;
}

void pw_llm_miss_put(const pw_llm_miss *miss, pw_buf *out)
{
    pw_mp_map(out, 5);
    pw_mp_str(out, "endpoint");
    pw_mp_int(out, (int64_t)miss->endpoint);
    pw_mp_str(out, "provider");
    pw_mp_str(out, miss->provider);
    pw_mp_str(out, "type");
    pw_mp_str(out, miss->type);
    pw_mp_str(out, "status");
    pw_mp_int(out, miss->f.status);
    pw_mp_str(out, "message");
    pw_mp_str(out, miss->f.message);
}

/* ---- usage ---- */

void pw_llm_sum_add(pw_llm_sum *sum, const pawl_value *answer)
{
    const pawl_value *usage = pawl_get(answer, "usage");
    sum->known = (sum->known || sum->answers == 0) && usage != NULL;
    sum->answers++;
    for (size_t i = 0; i < PW_COUNT(token_classes); i++) {
        sum->of[i] += pawl_int(usage, token_classes[i], 0);
    }
}

static void put_usage(pw_buf *out, const pw_llm_outcome *o)
{
    const pawl_value *raw = pawl_get(o->answer, "usage.raw");
    if (!o->usage->known) {
        pw_mp_nil(out);
        return;
    }
    pw_mp_map(out, PW_COUNT(token_classes) + (raw != NULL ? 1 : 0));
    for (size_t i = 0; i < PW_COUNT(token_classes); i++) {
        pw_mp_str(out, token_classes[i]);
        pw_mp_int(out, o->usage->of[i]);
    }
    if (raw != NULL) {
        pw_mp_str(out, "raw");
        pw_mp_value(out, raw);
    }
}

/* ---- results ---- */

static void pair_text(pw_buf *out, size_t *pairs, const char *key, const char *text)
{
    pw_mp_str(out, key);
    pw_mp_str(out, text);
    (*pairs)++;
}

static void pair_int(pw_buf *out, size_t *pairs, const char *key, int64_t n)
{
    pw_mp_str(out, key);
    pw_mp_int(out, n);
    (*pairs)++;
}

/* What is said of a call, whatever came of it. */
static void put_frame(pw_buf *out, size_t *pairs, const pw_llm_outcome *o)
{
    char digest[2 * PW_DIGEST_SIZE + 1];
    if (o->digest != NULL) {
        pw_hex(digest, o->digest, PW_DIGEST_SIZE);
        pair_text(out, pairs, "digest", digest);
    }
    if (o->endpoint != NULL) {
        pair_text(out, pairs, "provider", o->endpoint->provider);
        pair_int(out, pairs, "endpoint", (int64_t)o->endpoint_index);
    }
    if (o->usage->answers > 0) {
        pw_mp_str(out, "usage");
        put_usage(out, o);
        (*pairs)++;
    }
    if (o->repairs > 0) {
        pair_int(out, pairs, "repairs", o->repairs);
    }
    if (o->tried_len > 0) {
        pw_mp_str(out, "tried");
        pw_mp_array(out, o->tried_len);
        pw_buf_put(out, o->tried->data, o->tried->size);
        (*pairs)++;
    }
}

/* The map of these pairs in the task's scope, redacted. */
static const pawl_value *close_map(pawl_task *task, const pw_secrets *secrets, const pw_buf *inside,
                                   size_t pairs)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf map = PW_BUF_INIT;
    pw_mp_map(&map, pairs);
    pw_buf_put(&map, inside->data, inside->size);
    map.failed |= inside->failed;
    if (map.failed || !pw_secret_redact_value(secrets, &map)) {
        return NULL;
    }
    return pw_value_copy(pawl_task_scope(task), map.data, map.size);
}

const pawl_value *pw_llm_result(pawl_task *task, const pw_secrets *secrets, const pw_llm_outcome *o)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    size_t pairs = 0;
    pw_each each = pw_each_of(pw_value_bytes(o->answer));
    while (pw_each_next(&each)) {
        if (!pw_view_is(each.key, "usage")) {
            pw_mp_strn(&b, (const char *)each.key.data, each.key.size);
            pw_buf_put(&b, each.value.data, each.value.size);
            pairs++;
        }
    }
    put_frame(&b, &pairs, o);
    if (o->has_value) {
        pw_mp_str(&b, "value");
        pw_mp_value(&b, o->value);
        pairs++;
    }
    if (o->first_ms > 0) {
        pair_int(&b, &pairs, "first_ms", o->first_ms);
    }
    pair_int(&b, &pairs, "ms", o->total_ms);
    return close_map(task, secrets, &b, pairs);
}

static void set_failure(pawl_task *task, const pw_secrets *secrets, const char *type,
                        const char *text, const pawl_value *details, bool retryable)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf message = PW_BUF_INIT;
    pw_buf_puts(&message, text);
    const bool ok = pw_secret_redact(secrets, &message) && pw_buf_ok(&message);
    (void)pawl_task_fail_with(task, type, ok ? pw_buf_cstr(&message) : "the model did not answer",
                              details, retryable);
}

void pw_llm_fail(pawl_task *task, const pw_secrets *secrets, const pw_llm_miss *miss,
                 const pw_llm_outcome *o)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    size_t pairs = 0;
    pair_text(&b, &pairs, "action", actions[pw_llm_miss_action(miss)]);
    if (miss->f.status > 0) {
        pair_int(&b, &pairs, "status", miss->f.status);
    }
    if (miss->f.code[0] != '\0') {
        pair_text(&b, &pairs, "code", miss->f.code);
    }
    if (miss->f.request_id[0] != '\0') {
        pair_text(&b, &pairs, "request_id", miss->f.request_id);
    }
    put_frame(&b, &pairs, o);
    set_failure(task, secrets, miss->type, miss->f.message, close_map(task, secrets, &b, pairs),
                miss->f.retryable);
    if (miss->f.retryable && miss->f.retry_after_ms >= 0) {
        const int64_t ms =
            miss->f.retry_after_ms < WAIT_MS_MIN ? WAIT_MS_MIN : miss->f.retry_after_ms;
        (void)pawl_task_retry_after(task, (double)ms / 1000);
    }
    if (miss->sent) {
        pawl_task_outcome_unknown(task);
    }
}

void pw_llm_fail_answer(pawl_task *task, const pw_secrets *secrets, const pw_llm_checked *checked,
                        const pw_llm_outcome *o)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    char text[4096];
    char why[300];
    size_t pairs = 0;
    pw_mp_str(&b, "problems");
    pw_mp_array(&b, checked->problems_len);
    for (size_t i = 0; i < checked->problems_len; i++) {
        pw_mp_str(&b, checked->problems[i]);
    }
    pairs++;
    pw_view_copy(text, sizeof text, checked->text);
    pair_text(&b, &pairs, "text", text);
    put_frame(&b, &pairs, o);
    pw_view_copy(why, sizeof why,
                 pw_view_of(checked->problems_len > 0 ? checked->problems[0] : "it does not fit"));
    set_failure(task, secrets, "InvalidAnswer", why, close_map(task, secrets, &b, pairs), false);
}
