/*
 * llm_input.c - a call out of the input of the activity "llm": endpoints, request, limits; and what the request refers to, out of the journal.
 *
 *   {system: ref, tools: ref, tools_only: [name ...], messages: ref, more: [m ...]}
 *       -->  {system: [part ...], tools: [tool ...], messages: [message ..., m ...]}
 *
 * Does not resolve secrets and does not encode.
 */
#include <string.h>

#include "activities/llm_activity.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

static pawl_status check_keys(const pawl_value *input, pawl_error *err)
{
    static const char *const known[] = {
#define X(name) #name,
#include "activities/llm_options.def"
#undef X
    };
    if (pawl_typeof(input) != PAWL_MAP) {
        return pw_err(err, PAWL_INVALID, "the input must be a map with an endpoint and a request");
    }
    for (size_t i = 0; i < pawl_len(input); i++) {
        const char *key = pawl_key_at(input, i);
        size_t at = 0;
        while (at < PW_COUNT(known) && strcmp(known[at], key) != 0) {
            at++;
        }
        if (at == PW_COUNT(known)) {
            return pw_err(err, PAWL_INVALID, "\"%.60s\" is no option of llm", key);
        }
    }
    return PAWL_OK;
}

static pawl_status read_target(pawl_scope *scope, const pawl_value *v, size_t index,
                               pw_llm_input *in, pawl_error *err)
{
    pw_llm_target *t = &in->targets[index];
    const pawl_status st = pw_llm_endpoint_read(scope, v, &t->endpoint, err);
    if (st != PAWL_OK) {
        return pw_error_wrap(err, st, "endpoint %zu", index);
    }
    if (t->endpoint.base_url == NULL) {
        return pw_err(err, PAWL_INVALID, "endpoint %zu needs a base_url", index);
    }
    t->model = pawl_get(v, "model");
    in->targets_len = index + 1;
    return PAWL_OK;
}

static pawl_status read_targets(pawl_scope *scope, const pawl_value *input, pw_llm_input *in,
                                pawl_error *err)
{
    const pawl_value *one = pawl_get(input, "endpoint");
    const pawl_value *list = pawl_get(input, "endpoints");
    const size_t len = pawl_typeof(list) == PAWL_ARRAY ? pawl_len(list) : 0;
    if ((one != NULL) == (list != NULL) || (list != NULL && len == 0)) {
        return pw_err(err, PAWL_INVALID,
                      "the input needs an endpoint, or endpoints: a list of them");
    }
    if (len > PW_LLM_ENDPOINTS_MAX) {
        return pw_err(err, PAWL_INVALID, "%zu endpoints; at most %d", len, PW_LLM_ENDPOINTS_MAX);
    }
    if (one != NULL) {
        return read_target(scope, one, 0, in, err);
    }
    pawl_status st = PAWL_OK;
    for (size_t i = 0; i < len && st == PAWL_OK; i++) {
        st = read_target(scope, pawl_at(list, i), i, in, err);
    }
    return st;
}

/* The task's key goes along, to be found by where the provider keeps it. */
static pawl_status read_request(pawl_scope *scope, pawl_task *task, pw_llm_input *in,
                                pawl_error *err)
{
    const pawl_value *request = pawl_get(pawl_task_input(task), "request");
    if (pawl_typeof(request) != PAWL_MAP) {
        return pw_err(err, PAWL_INVALID, "the input needs a request: a map");
    }
    in->schema = pawl_get(
        request, "response.schema"); /* what a request refers to is read later: pw_llm_input_join */
    in->request = pawl_get(request, "key") != NULL
                      ? request
                      : pawl_with(scope, request, "key", pawl_make_str(scope, pawl_task_key(task)));
    return in->request != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for a request");
}

static pawl_status read_time(const pawl_value *input, const char *key, int64_t otherwise,
                             int64_t *ret_ms, pawl_error *err)
{
    const pawl_value *v = pawl_get(input, key);
    const double seconds = pawl_num(v, "", -1);
    *ret_ms = otherwise;
    if (v == NULL) {
        return PAWL_OK;
    }
    if (!(seconds > 0) || seconds * 1000 > PW_HTTP_TIMEOUT_MS_MAX) {
        return pw_err(err, PAWL_INVALID, "%s must be seconds, above 0 and at most a day", key);
    }
    *ret_ms = seconds * 1000 < 1 ? 1 : (int64_t)(seconds * 1000);
    return PAWL_OK;
}

static pawl_status read_limits(const pawl_value *input, pw_llm_input *in, pawl_error *err)
{
    const int64_t repairs = pawl_int(input, "repairs", 2);
    if (repairs < 0 || repairs > PW_LLM_REPAIRS_MAX) {
        return pw_err(err, PAWL_INVALID, "repairs must be from 0 to %d", PW_LLM_REPAIRS_MAX);
    }
    in->repairs_max = (int)repairs;
    in->stream = pawl_bool(input, "stream", true);
    in->pause = pawl_bool(input, "pause", true);
    in->proxy = pawl_str(input, "proxy", NULL);
    pawl_status st = read_time(input, "timeout_s", PW_LLM_TOTAL_MS, &in->total_ms, err);
    st = st == PAWL_OK ? read_time(input, "connect_timeout_s", 0, &in->connect_ms, err) : st;
    st = st == PAWL_OK ? read_time(input, "first_byte_timeout_s", PW_LLM_FIRST_BYTE_MS,
                                   &in->first_byte_ms, err)
                       : st;
    return st == PAWL_OK ? read_time(input, "idle_timeout_s", PW_LLM_IDLE_MS, &in->idle_ms, err)
                         : st;
}

pawl_status pw_llm_input_read(pawl_scope *scope, pawl_task *task, pw_llm_input *ret_input,
                              pawl_error *err)
{
    const pawl_value *input = pawl_task_input(task);
    pawl_status st = check_keys(input, err);
    st = st == PAWL_OK ? read_targets(scope, input, ret_input, err) : st;
    st = st == PAWL_OK ? read_request(scope, task, ret_input, err) : st;
    return st == PAWL_OK ? read_limits(input, ret_input, err) : st;
}

/* ---- references ---- */

static const char *const referable[] = {"system", "tools", "messages"};
#define REFERS_TOOLS 1

bool pw_llm_input_refers(const pw_llm_input *input)
{
    for (size_t i = 0; i < PW_COUNT(referable); i++) {
        if (pawl_typeof(pawl_get(input->request, referable[i])) == PAWL_MAP) {
            return true;
        }
    }
    return false;
}

bool pw_llm_input_joins(const pw_llm_input *input)
{
    return pw_llm_input_refers(input) || pawl_get(input->request, "more") != NULL ||
           pawl_get(input->request, "tools_only") != NULL;
}

static void put_list(pw_buf *out, const pawl_value *list)
{
    pw_each each = pw_each_of(pw_value_bytes(list));
    while (pw_each_next(&each)) {
        pw_buf_put(out, each.value.data, each.value.size);
    }
}

/* What was said, and `more` after it, as one list. */
static pawl_status put_messages(pw_buf *out, const pawl_value *said, const pawl_value *more,
                                pawl_error *err)
{
    if (pawl_typeof(more) != PAWL_ARRAY || (said != NULL && pawl_typeof(said) != PAWL_ARRAY)) {
        return pw_err(
            err, PAWL_INVALID,
            "request.messages and request.more must be lists of messages, or messages a reference to a conversation");
    }
    pw_mp_array(out, pawl_len(said) + pawl_len(more));
    put_list(out, said);
    put_list(out, more);
    return PAWL_OK;
}

/* The tools that are named, in the order of the list. */
static const pawl_value *tools_only(pawl_scope *scope, const pawl_value *tools,
                                    const pawl_value *names)
{
    const pawl_value **kept = pawl_scope_alloc(scope, (pawl_len(tools) + 1) * sizeof *kept);
    size_t len = 0;
    for (size_t i = 0; i < pawl_len(tools) && kept != NULL; i++) {
        const char *name = pawl_str(pawl_at(tools, i), "name", "");
        bool wanted = *name == '\0'; /* one that is not ours to name */
        for (size_t k = 0; k < pawl_len(names) && !wanted; k++) {
            wanted = pawl_is(pawl_at(names, k), "", name);
        }
        if (wanted) {
            kept[len++] = pawl_at(tools, i);
        }
    }
    return kept != NULL ? pawl_make_array(scope, kept, len) : NULL;
}

/* The request with what it refers to, in one copy, and without `more` and `tools_only`, which no wire knows. */
static pawl_status put_request(pw_buf *out, const pawl_value *request,
                               const pawl_value *const *joined, pawl_error *err)
{
    const pawl_value *more = pawl_get(request, "more");
    const pawl_value *said = joined[PW_COUNT(referable) - 1];
    pw_each each = pw_each_of(pw_value_bytes(request));
    const bool only = pawl_get(request, "tools_only") != NULL;
    pw_mp_map(out, each.left - only - (more != NULL) + (more != NULL && said == NULL));
    if (more != NULL) {
        pw_mp_str(out, "messages");
        const pawl_status st = put_messages(out, said, more, err);
        if (st != PAWL_OK) {
            return st;
        }
    }
    while (pw_each_next(&each)) {
        size_t at = 0;
        while (at < PW_COUNT(referable) && !pw_view_is(each.key, referable[at])) {
            at++;
        }
        const bool messages = at + 1 == PW_COUNT(referable);
        if (pw_view_is(each.key, "more") || pw_view_is(each.key, "tools_only") ||
            (messages && more != NULL)) {
            continue;
        }
        const pw_view value = at < PW_COUNT(referable) && joined[at] != NULL
                                  ? pw_value_bytes(joined[at])
                                  : each.value;
        pw_mp_strn(out, (const char *)each.key.data, each.key.size);
        pw_buf_put(out, value.data, value.size);
    }
    return PAWL_OK;
}

pawl_status pw_llm_input_join(pawl_scope *scope, pawl_task *task, pw_llm_input *input,
                              pawl_error *err)
{
    const pawl_value *joined[PW_COUNT(referable)];
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    for (size_t i = 0; i < PW_COUNT(referable); i++) {
        joined[i] = pawl_get(input->request, referable[i]);
        if (pawl_typeof(joined[i]) == PAWL_MAP) {
            joined[i] = pawl_task_convo(task, joined[i], 0);
            if (joined[i] == NULL) {
                return PAWL_FAILED;
            }
        }
    }
    const pawl_value *only = pawl_get(input->request, "tools_only");
    if (only != NULL) {
        joined[REFERS_TOOLS] = tools_only(scope, joined[REFERS_TOOLS], only);
    }
    const pawl_status st = put_request(&out, input->request, joined, err);
    const pawl_value *request =
        st == PAWL_OK && pw_buf_ok(&out) ? pw_value_copy(scope, out.data, out.size) : NULL;
    input->request = request != NULL ? request : input->request;
    return st != PAWL_OK || request != NULL ? st
                                            : pw_err(err, PAWL_NOMEM, "no memory for a request");
}
