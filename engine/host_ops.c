/*
 * host_ops.c - the typed calls of pawl.h: each builds the arguments of one operation and asks. Nothing is decided here; the meaning of every
 * argument is in engine/ops.def.
 */
#include <string.h>

#include "engine/host.h"
#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "sdk/base/value.h"

/** Arguments being written: a map whose count is patched in at the end. */
struct args {
    pw_buf buf;
    size_t pairs;
};

#define ARGS_INIT      \
    {                  \
        PW_BUF_INIT, 0 \
    }

static void args_deinit(struct args *a)
{
    pw_buf_deinit(&a->buf);
}

static void add_key(struct args *a, const char *key)
{
    if (a->pairs == 0) {
        pw_buf_put(&a->buf, "\xde\0\0", 3); /* map 16 */
    }
    a->pairs++;
    pw_mp_str(&a->buf, key);
}

static void add_str(struct args *a, const char *key, const char *text)
{
    if (text != NULL) {
        add_key(a, key);
        pw_mp_str(&a->buf, text);
    }
}

static void add_int(struct args *a, const char *key, int64_t number)
{
    if (number != 0) {
        add_key(a, key);
        pw_mp_int(&a->buf, number);
    }
}

static void add_bool(struct args *a, const char *key, bool set)
{
    if (set) {
        add_key(a, key);
        pw_mp_bool(&a->buf, true);
    }
}

static void add_value(struct args *a, const char *key, const pawl_value *v)
{
    if (v != NULL) {
        add_key(a, key);
        pw_mp_value(&a->buf, v);
    }
}

static pw_view args_done(struct args *a)
{
    if (a->pairs > 0 && pw_buf_ok(&a->buf)) {
        a->buf.data[1] = (uint8_t)(a->pairs >> 8);
        a->buf.data[2] = (uint8_t)a->pairs;
    }
    return (pw_view){a->buf.data, a->buf.size};
}

/** Enters, asks, leaves. */
static pawl_status ask(pawl_engine *e, const char *op, struct args *a, pawl_scope *scope,
                       const pawl_value **ret_reply, pawl_error *err)
{
    pawl_status status = pw_host_enter(e, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (pw_buf_ok(&a->buf)) {
        pw_ask question = {.op = op, .args = args_done(a), .timeout_ms = -1};
        status = pw_host_request(e, &question, scope, ret_reply, err);
    } else {
        status = pw_err(err, PAWL_NOMEM, "no memory for the arguments of %s", op);
    }
    pw_host_leave(e);
    return status;
}

static pawl_status need_id(const char *id, pawl_error *err)
{
    return id != NULL && id[0] != '\0' ? PAWL_OK : pw_err(err, PAWL_INVALID, "a run id is missing");
}

/* ---- starting ---- */

static const char *const reuse_names[] = {"allow", "if-failed", "reject"};
static const char *const conflict_names[] = {"fail", "use-existing", "terminate"};

static pawl_status check_start(const pawl_start_options *o, pawl_error *err)
{
    if (o->workflow == NULL || o->workflow[0] == '\0') {
        return pw_err(err, PAWL_INVALID, "a start names no workflow");
    }
    pawl_status st = o->id != NULL ? pw_id_check(o->id, strlen(o->id), err) : PAWL_OK;
    if (st != PAWL_OK) {
        return pw_error_wrap(err, st, "the id of a start");
    }
    if ((size_t)o->reuse >= PW_COUNT(reuse_names) ||
        (size_t)o->conflict >= PW_COUNT(conflict_names)) {
        return pw_err(err, PAWL_INVALID, "a start has no such reuse or conflict policy (%d, %d)",
                      (int)o->reuse, (int)o->conflict);
    }
    if (!(o->timeout_s >= 0)) {
        return pw_err(err, PAWL_INVALID, "the timeout of a start must not be negative");
    }
    return PAWL_OK;
}

static void add_start(struct args *a, const pawl_start_options *o)
{
    add_str(a, "workflow", o->workflow);
    add_str(a, "version", o->version);
    add_str(a, "id", o->id);
    add_value(a, "input", o->input);
    if (o->reuse != PAWL_REUSE_ALLOW) {
        add_str(a, "reuse", reuse_names[o->reuse]);
    }
    if (o->conflict != PAWL_CONFLICT_FAIL) {
        add_str(a, "conflict", conflict_names[o->conflict]);
    }
    if (o->timeout_s > 0) {
        add_key(a, "timeout_s");
        pw_mp_double(&a->buf, o->timeout_s);
    }
    add_str(a, "traceparent", o->traceparent);
    add_str(a, "dedup", o->dedup);
    add_str(a, "signal", o->signal);
    add_value(a, "signal_value", o->signal_value);
    add_value(a, "budget", o->budget);
}

pawl_status pawl_start(pawl_engine *e, const pawl_start_options *options, size_t options_size,
                       char ret_id[201], pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    pawl_start_options o = {0};
    const pawl_value *reply = NULL;

    if (e == NULL || options == NULL) {
        return pw_err(err, PAWL_INVALID, "a start without an engine or options");
    }
    memcpy(&o, options, options_size < sizeof o ? options_size : sizeof o);
    pawl_status status = check_start(&o, err);
    if (status != PAWL_OK) {
        return status;
    }
    pawl_scope *scope = ret_id != NULL ? pawl_scope_new() : NULL;
    if (ret_id != NULL && scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a start");
    }
    add_start(&a, &o);
    add_str(&a, "by", o.by != NULL ? o.by : e->identity);
    status = ask(e, "start", &a, scope, ret_id != NULL ? &reply : NULL, err);
    if (status == PAWL_OK && ret_id != NULL) {
        const char *id = pawl_str(reply, "id", "");
        size_t size = strnlen(id, 200);
        memcpy(ret_id, id, size);
        ret_id[size] = '\0';
    }
    pawl_scope_free(scope);
    return status;
}

/* ---- changing a run ---- */

static pawl_status change(pawl_engine *e, const char *op, const char *id, const char *reason,
                          pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    pawl_status status = need_id(id, err);

    if (status != PAWL_OK || e == NULL) {
        return e == NULL ? pw_err(err, PAWL_INVALID, "no engine was given") : status;
    }
    add_str(&a, "id", id);
    add_str(&a, "reason", reason);
    add_str(&a, "by", e->identity);
    return ask(e, op, &a, NULL, NULL, err);
}

pawl_status pawl_cancel(pawl_engine *e, const char *id, const char *reason, pawl_error *err)
{
    return change(e, "cancel", id, reason, err);
}

pawl_status pawl_terminate(pawl_engine *e, const char *id, const char *reason, pawl_error *err)
{
    return change(e, "terminate", id, reason, err);
}

pawl_status pawl_pause(pawl_engine *e, const char *id, const char *reason, pawl_error *err)
{
    return change(e, "pause", id, reason, err);
}

pawl_status pawl_resume(pawl_engine *e, const char *id, pawl_error *err)
{
    return change(e, "resume", id, NULL, err);
}

pawl_status pawl_retry(pawl_engine *e, const char *id, pawl_error *err)
{
    return change(e, "retry", id, NULL, err);
}

pawl_status pawl_signal_post(pawl_engine *e, const char *id, const char *name,
                             const pawl_value *value, const char *dedup, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    pawl_status status = need_id(id, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (e == NULL || name == NULL || name[0] == '\0') {
        return pw_err(err, PAWL_INVALID, "a signal without an engine or a name");
    }
    add_str(&a, "id", id);
    add_str(&a, "name", name);
    add_value(&a, "value", value);
    add_str(&a, "dedup", dedup);
    add_str(&a, "by", e->identity);
    return ask(e, "signal", &a, NULL, NULL, err);
}

pawl_status pawl_answer(pawl_engine *e, const char *id, const char *name, const pawl_value *value,
                        const char *by, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    pawl_status status = need_id(id, err);

    if (status != PAWL_OK || e == NULL) {
        return e == NULL ? pw_err(err, PAWL_INVALID, "no engine was given") : status;
    }
    add_str(&a, "id", id);
    add_str(&a, "name", name);
    add_value(&a, "value", value);
    add_str(&a, "by", by != NULL ? by : e->identity);
    return ask(e, "answer", &a, NULL, NULL, err);
}

static const pawl_value *with_text(pawl_scope *scope, const pawl_value *map, const char *key,
                                   const char *text)
{
    return text != NULL ? pawl_with(scope, map, key, pawl_make_str(scope, text)) : map;
}

/* {choice, data, reason, as}, or {defer: {until_ms}, reason, as}. */
static const pawl_value *said(pawl_scope *scope, const pawl_answer_options *o)
{
    const pawl_value *v = with_text(scope, NULL, "reason", o->reason);
    v = with_text(scope, v, "as", o->as);
    if (o->defer) {
        return pawl_with(scope, v, "defer",
                         pawl_build(scope, "{until_ms: %lld}", (long long)o->defer_until_ms));
    }
    v = with_text(scope, v, "choice", o->choice);
    return o->data != NULL ? pawl_with(scope, v, "data", o->data) : v;
}

pawl_status pawl_answer_with(pawl_engine *e, const char *id, const pawl_answer_options *options,
                             size_t options_size, pawl_scope *scope, const pawl_value **ret_value,
                             pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    pawl_answer_options o = {0};
    pawl_status status = need_id(id, err);

    if (status != PAWL_OK || e == NULL || options == NULL) {
        return status != PAWL_OK ? status
                                 : pw_err(err, PAWL_INVALID, "an answer without engine or options");
    }
    memcpy(&o, options, options_size < sizeof o ? options_size : sizeof o);
    if (o.defer && (o.choice != NULL || o.data != NULL)) {
        return pw_err(err, PAWL_INVALID, "an answer that is deferred has no choice and no data");
    }
    pawl_scope *mine = pawl_scope_new();
    add_str(&a, "id", id);
    add_str(&a, "name", o.name);
    add_value(&a, "value", said(mine, &o));
    add_str(&a, "by", o.by != NULL ? o.by : e->identity);
    add_str(&a, "dedup", o.dedup);
    status = mine != NULL && !pw_scope_failed(mine)
                 ? ask(e, "answer", &a, scope, scope != NULL ? ret_value : NULL, err)
                 : pw_err(err, PAWL_NOMEM, "no memory for an answer");
    pawl_scope_free(mine);
    return status;
}

/* ---- reading ---- */

pawl_status pawl_query(pawl_engine *e, const char *id, const char *name, const pawl_value *input,
                       pawl_scope *scope, const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;

    add_str(&a, "id", id);
    add_str(&a, "name", name);
    add_value(&a, "input", input);
    return ask(e, "query", &a, scope, ret_value, err);
}

pawl_status pawl_describe(pawl_engine *e, const char *id, pawl_scope *scope,
                          const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;

    add_str(&a, "id", id);
    return ask(e, "describe", &a, scope, ret_value, err);
}

pawl_status pawl_list(pawl_engine *e, const char *filter, int64_t cursor, int limit,
                      pawl_scope *scope, const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;

    add_str(&a, "filter", filter);
    add_int(&a, "cursor", cursor);
    add_int(&a, "limit", limit);
    return ask(e, "list", &a, scope, ret_value, err);
}

pawl_status pawl_waits(pawl_engine *e, const char *id, pawl_scope *scope,
                       const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;

    add_str(&a, "id", id);
    return ask(e, "waits", &a, scope, ret_value, err);
}

pawl_status pawl_cost(pawl_engine *e, const char *id, const char *by, pawl_scope *scope,
                      const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;

    add_str(&a, "id", id);
    add_str(&a, "by", by);
    return ask(e, "cost", &a, scope, ret_value, err);
}

pawl_status pawl_budget_set(pawl_engine *e, const pawl_budget_options *options, size_t options_size,
                            pawl_scope *scope, const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    pawl_budget_options o = {0};

    if (e == NULL || options == NULL) {
        return pw_err(err, PAWL_INVALID, "limits of a budget without an engine or options");
    }
    memcpy(&o, options, options_size < sizeof o ? options_size : sizeof o);
    if (o.name == NULL && o.id == NULL) {
        return pw_err(err, PAWL_INVALID, "limits of which budget? name, or the id of a run");
    }
    add_str(&a, "name", o.name);
    add_str(&a, "id", o.name == NULL ? o.id : NULL);
    add_value(&a, "limits", o.limits);
    add_bool(&a, "raise", o.raise);
    add_str(&a, "by", o.by != NULL ? o.by : e->identity);
    add_str(&a, "dedup", o.dedup);
    return ask(e, "budget_set", &a, scope, ret_value, err);
}

pawl_status pawl_budgets(pawl_engine *e, const char *name, const char *id, const char *after,
                         pawl_scope *scope, const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;

    add_str(&a, "name", name);
    add_str(&a, "id", id);
    add_str(&a, "after", after);
    return ask(e, "budgets", &a, scope, ret_value, err);
}

pawl_status pawl_history(pawl_engine *e, const char *id, int64_t from_seq, int limit,
                         pawl_scope *scope, const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;

    add_str(&a, "id", id);
    add_int(&a, "from", from_seq);
    add_int(&a, "limit", limit);
    return ask(e, "history", &a, scope, ret_value, err);
}

pawl_status pawl_stats(pawl_engine *e, pawl_scope *scope, const pawl_value **ret_value,
                       pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    const pawl_value *stats = NULL;
    pawl_status status = ask(e, "stats", &a, scope, &stats, err);

    if (status == PAWL_OK) {
        stats =
            pawl_with(scope, stats, "engine_cpu_us", pawl_make_int(scope, pw_loop_cpu_us(e->loop)));
        stats = pawl_with(scope, stats, "clients",
                          pawl_make_int(scope, (int64_t)pw_control_clients_len(e->control)));
        *ret_value = pawl_with(scope, stats, "journal_cpu_us",
                               pawl_make_int(scope, pw_writer_cpu_us(e->writer)));
    }
    return status;
}

/* ---- task queues ---- */

static void add_num(struct args *a, const char *key, double number)
{
    if (number != 0) {
        add_key(a, key);
        pw_mp_double(&a->buf, number);
    }
}

pawl_status pawl_queue_set(pawl_engine *e, const pawl_queue_options *options, size_t options_size,
                           pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    pawl_queue_options o = {0};

    if (e == NULL || options == NULL) {
        return pw_err(err, PAWL_INVALID, "a queue without an engine or options");
    }
    memcpy(&o, options, options_size < sizeof o ? options_size : sizeof o);
    add_str(&a, "name", o.name);
    add_int(&a, "concurrency", o.concurrency);
    add_num(&a, "rate", o.rate);
    add_int(&a, "burst", o.burst);
    return ask(e, "queue_set", &a, NULL, NULL, err);
}

/* ---- the end of a run ---- */

static const struct {
    const char *status;
    pawl_status answer;
    const char *key;
} ends[] = {
    {"completed", PAWL_OK, "result"},       {"failed", PAWL_FAILED, "failure"},
    {"canceled", PAWL_CANCELED, "failure"}, {"terminated", PAWL_TERMINATED, "failure"},
    {"timed-out", PAWL_FAILED, "failure"},
};

static pawl_status end_of_run(const pawl_value *reply, const char *id, const pawl_value **ret_value,
                              pawl_error *err)
{
    const char *status = pawl_str(reply, "status", "");

    for (size_t i = 0; i < PW_COUNT(ends); i++) {
        if (strcmp(status, ends[i].status) != 0) {
            continue;
        }
        const pawl_value *value = pawl_get(reply, ends[i].key);
        if (ret_value != NULL) {
            *ret_value = value;
        }
        if (ends[i].answer != PAWL_OK) {
            return pw_err(err, ends[i].answer, "run %s is %s: %s: %s", id, status,
                          pawl_str(value, "type", status), pawl_str(value, "message", ""));
        }
        return PAWL_OK;
    }
    return pw_err(err, PAWL_UNSUPPORTED, "run %s ended with the unknown status \"%s\"", id, status);
}

pawl_status pawl_result(pawl_engine *e, const char *id, int64_t timeout_ms, pawl_scope *scope,
                        const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(args_deinit) struct args a = ARGS_INIT;
    const pawl_value *reply = NULL;
    pawl_status status = need_id(id, err);

    if (status != PAWL_OK) {
        return status;
    }
    status = pw_host_enter(e, err);
    if (status != PAWL_OK) {
        return status;
    }
    pawl_scope *mine = scope != NULL ? NULL : pawl_scope_new();
    add_str(&a, "id", id);
    if (timeout_ms ==
        0) { /* who only looks must see an end that has been committed: the engine says whether there is one, no clock does */
        add_key(&a, "wait");
        pw_mp_bool(&a.buf, false);
        timeout_ms = -1;
    }
    pw_ask question = {.op = "result", .args = args_done(&a), .timeout_ms = timeout_ms};
    if (!pw_buf_ok(&a.buf) || (mine == NULL && scope == NULL)) {
        status = pw_err(err, PAWL_NOMEM, "no memory for a call");
    } else {
        status = pw_host_request(e, &question, mine != NULL ? mine : scope, &reply, err);
    }
    if (status == PAWL_OK) {
        status = end_of_run(reply, id, scope != NULL ? ret_value : NULL, err);
    }
    pawl_scope_free(mine);
    pw_host_leave(e);
    return status;
}
