/*
 * relay_vet.c - what a remote worker may ask: task_* operations within the bounds of its token, and hello. All else is refused [T7].
 *
 * The engine checks what passes as it checks everything; here stands only what it cannot know. Opens nothing and keeps nothing.
 */
#include "tools/relay_vet.h"

#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

static bool is_task_op(pw_req_op op)
{
    return op == PW_REQ_TASK_POLL || op == PW_REQ_TASK_UNPOLL || op == PW_REQ_TASK_WAIT ||
           op == PW_REQ_TASK_BEAT || op == PW_REQ_TASK_OUTPUT || op == PW_REQ_TASK_DONE ||
           op == PW_REQ_TASK_FAIL || op == PW_REQ_TASK_CANCELED;
}

static pw_vet_verdict refuse(pw_vet *vet, pawl_status status)
{
    vet->status = status;
    return PW_VET_REFUSED;
}

static const char *name_of(const pawl_value *item)
{
    return pawl_typeof(item) == PAWL_STRING ? pawl_str(item, "", "") : pawl_str(item, "name", "");
}

/* Before it is walked, which takes its length squared. */
static pawl_status length_ok(const pawl_value *list, const char *what, pawl_error *err)
{
    if (pawl_len(list) > PW_POLL_NAMES_MAX) {
        return pw_err(err, PAWL_LIMIT, "a poll of %zu %s; at most %d", pawl_len(list), what,
                      PW_POLL_NAMES_MAX);
    }
    return PAWL_OK;
}

static pawl_status activities_ok(const pw_token_grant *grant, const pawl_value *list,
                                 pawl_error *err)
{
    if (pawl_typeof(list) != PAWL_ARRAY) {
        return pw_err(err, PAWL_INVALID, "a poll names its activities");
    }
    pawl_status st = length_ok(list, "activities", err);
    if (st != PAWL_OK) {
        return st;
    }
    for (size_t i = 0; i < pawl_len(list); i++) {
        const char *name = name_of(pawl_at(list, i));
        if (!pw_token_grant_activity(grant, name)) {
            return pw_err(err, PAWL_DENIED, "your token is not for the activity \"%.100s\"", name);
        }
    }
    return PAWL_OK;
}

/* Nil and [] are those of the token. */
static pawl_status queues_of(const pw_token_grant *grant, const pawl_value *list,
                             const pawl_value **ret_list, pawl_error *err)
{
    if (list != NULL && pawl_typeof(list) != PAWL_ARRAY) {
        return pw_err(err, PAWL_INVALID, "the queues of a poll are a list");
    }
    pawl_status st = length_ok(list, "queues", err);
    if (st != PAWL_OK) {
        return st;
    }
    for (size_t i = 0; i < pawl_len(list); i++) {
        const pawl_value *item = pawl_at(list, i);
        const char *name = pawl_str(item, "", "");
        if (pawl_typeof(item) != PAWL_STRING || !pw_token_grant_queue(grant, name)) {
            return pw_err(err, PAWL_DENIED, "your token is not for the queue \"%.100s\"", name);
        }
    }
    *ret_list = pawl_len(list) > 0 ? list : grant->queues;
    return PAWL_OK;
}

/* Only what was looked at goes on: a map may say a key twice. */
static pawl_status poll_rewrite(const pw_token_grant *grant, pawl_scope *scope, pw_vet *vet)
{
    const pawl_value *args = pw_value_view(scope, vet->args.data, vet->args.size);
    const pawl_value *activities = pawl_get(args, "activities");
    const pawl_value *queues = NULL;
    pawl_status st = activities_ok(grant, activities, &vet->err);
    st = st == PAWL_OK ? queues_of(grant, pawl_get(args, "queues"), &queues, &vet->err) : st;
    if (st != PAWL_OK) {
        return st;
    }
    const pawl_value *own = pawl_build(scope, "{activities: %p}", pawl_v(activities));
    own = queues != NULL ? pawl_with(scope, own, "queues", queues) : own;
    pw_request_write(&vet->space, vet->number, pw_req_name(vet->op), pw_value_bytes(own));
    if (pw_scope_failed(scope) || !pw_buf_ok(&vet->space)) {
        return pw_err(&vet->err, PAWL_NOMEM, "no memory for a poll");
    }
    vet->out = (pw_view){vet->space.data, vet->space.size};
    return PAWL_OK;
}

static pw_vet_verdict vet_poll(const pw_token_grant *grant, pw_vet *vet)
{
    pawl_scope *scope = pawl_scope_new();
    vet->status = scope != NULL ? poll_rewrite(grant, scope, vet)
                                : pw_err(&vet->err, PAWL_NOMEM, "no memory for a poll");
    pawl_scope_free(scope);
    return vet->status == PAWL_OK ? PW_VET_PASS : PW_VET_REFUSED;
}

pw_vet_verdict pw_relay_vet(pw_view frame, const pw_token_grant *grant, pw_vet *vet)
{
    pw_view op;
    vet->number = 0;
    vet->status = pw_request_parse(frame, &vet->number, &op, &vet->args, &vet->err);
    if (vet->status == PAWL_OK &&
        vet->number <= 0) { /* those are for errors, and the relay's own */
        vet->status = pw_err(&vet->err, PAWL_PARSE, "the number of a request is above 0");
    }
    if (vet->status != PAWL_OK) {
        return PW_VET_CUT;
    }
    vet->op = pw_req_from_name(op);
    vet->out = frame;
    if (vet->op == PW_REQ_HELLO) {
        return PW_VET_HELLO;
    }
    if (grant == NULL) {
        vet->status = pw_err(&vet->err, PAWL_DENIED, "say hello first, with your token");
        return PW_VET_CUT;
    }
    if (!is_task_op(vet->op)) {
        return refuse(vet, pw_err(&vet->err, PAWL_DENIED,
                                  "a remote worker may not ask for \"%.*s\": only task_*",
                                  (int)(op.size < 40 ? op.size : 40), (const char *)op.data));
    }
    bool bounded = grant->queues != NULL || grant->activities != NULL;
    return vet->op == PW_REQ_TASK_POLL && bounded ? vet_poll(grant, vet) : PW_VET_PASS;
}

pw_view pw_relay_text(pw_view map, const char *key)
{
    pw_mp r = pw_mp_reader(map.data, map.size);
    pw_view none = {NULL, 0};
    size_t pairs = pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;
    for (size_t i = 0; i < pairs && pw_mp_ok(&r); i++) {
        bool wanted = pw_view_is(pw_mp_read_str(&r), key);
        if (wanted && pw_mp_peek(&r) == PAWL_STRING) {
            return pw_mp_read_str(&r);
        }
        pw_mp_skip(&r);
    }
    return none;
}
