/*
 * budget_set.c - the request budget_set: an operator gives a budget other limits, or a run its first.
 *
 * What fits then goes on by itself (pw_budget_room); what no longer fits is held when it next asks, and what is under way is let be. Who set it is
 * kept beside it, under run 0 among the published keys ("budget/NAME"): a budget has no history of its own. A question that is open stays, and
 * goes when its step does. A named budget that is not there is made if the request says so, below what its limits name as `parent`, as by the start of
 * a run: runs that are started below it later find its limits. What is there stays where it stands.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/requests.h"
#include "engine/view_show.h"

#define ROW "budget/"

static pawl_status check(const pw_request *rq, pw_limits *ret_limits, pawl_error *err)
{
    const pawl_value *given = pawl_get(rq->args, "limits");
    pawl_status st = given != NULL && pawl_typeof(given) != PAWL_MAP
                         ? pw_err(err, PAWL_INVALID, "limits is a map: {usd: 2}")
                         : pw_budget_limits(given, ret_limits, err);
    bool any = false;
    for (int u = 0; u < PW_UNITS; u++) {
        any |= ret_limits->hard.n[u] != PW_NO_LIMIT || ret_limits->soft.n[u] != PW_NO_LIMIT;
    }
    return st == PAWL_OK && !any
               ? pw_err(err, PAWL_INVALID,
                        "limits says no limit: {usd: 2} or {usd: {soft: 1, hard: 2}}")
               : st;
}

static pawl_status find_run(pw_batch *b, pw_request *rq, pw_budget **ret_budget, pawl_error *err)
{
    pw_run_row row;
    pawl_status st = pw_view_find_run(b->core->reader, rq->args, rq->scope, &row, err);
    if (st != PAWL_OK) {
        return st;
    }
    return pw_budget_read(b, row.key, ret_budget, err);
}

static pawl_status make(pw_batch *b, const pw_request *rq, const char *name, pw_budget **ret_budget,
                        pawl_error *err)
{
    pw_budget *above = NULL;
    pawl_status st = pw_budget_name_check(name, err);
    st = st == PAWL_OK ? pw_budget_above(b, pawl_get(rq->args, "limits"), &above, err) : st;
    return st == PAWL_OK ? pw_budget_get(b->core, name, above, ret_budget, err) : st;
}

/* Nothing is moved: what it has spent is counted above it. */
static pawl_status check_place(const pw_request *rq, const pw_budget *budget, pawl_error *err)
{
    const pawl_value *given = pawl_get(rq->args, "limits.parent");
    const char *asked = pawl_str(given, "", pawl_str(given, "name", ""));
    const char *now = budget->parent != NULL ? budget->parent->name : "";
    return given == NULL || strcmp(asked, now) == 0
               ? PAWL_OK
               : pw_err(err, PAWL_INVALID, "\"%.80s\" stands below %s%.80s%s and stays there",
                        budget->name, *now != '\0' ? "\"" : "", *now != '\0' ? now : "nothing",
                        *now != '\0' ? "\"" : "");
}

static pawl_status find(pw_batch *b, pw_request *rq, pw_budget **ret_budget, pawl_error *err)
{
    const char *name = pawl_str(rq->args, "name", "");
    pawl_status st = PAWL_OK;
    *ret_budget = NULL;
    if (name[0] == 0) {
        st = find_run(b, rq, ret_budget, err);
    } else if (strlen(name) <= PW_BUDGET_NAME_MAX) {
        st = pw_budget_find(b->core, name, ret_budget, err);
    }
    if (st != PAWL_OK || *ret_budget != NULL) {
        return st == PAWL_OK ? check_place(rq, *ret_budget, err) : st;
    }
    return pawl_bool(rq->args, "make", false)
               ? make(b, rq, name, ret_budget, err)
               : pw_err(err, PAWL_NOTFOUND, "there is no budget \"%.100s\"", name);
}

/* raise: each that is given is above what there is. */
static pawl_status merge(const pw_request *rq, const pw_budget *budget, const pw_limits *asked,
                         pw_limits *ret, pawl_error *err)
{
    bool raise = pawl_bool(rq->args, "raise", false);
    *ret = budget->limits;
    for (pw_unit u = PW_UNIT_USD; u < PW_UNITS; u++) {
        int64_t hard = asked->hard.n[u], was = budget->limits.hard.n[u];
        if (raise && hard != PW_NO_LIMIT && (was == PW_NO_LIMIT || hard <= was)) {
            char now[64] = "no limit";
            if (was != PW_NO_LIMIT) {
                pw_amount_text(u, was, now, sizeof now);
            }
            return pw_err(err, PAWL_INVALID, "that raises nothing: \"%.100s\" has %s", budget->name,
                          now);
        }
        ret->hard.n[u] = hard != PW_NO_LIMIT ? hard : ret->hard.n[u];
        ret->soft.n[u] = asked->soft.n[u] != PW_NO_LIMIT ? asked->soft.n[u] : ret->soft.n[u];
    }
    return PAWL_OK;
}

static void put_limits(pw_buf *b, const char *key, const pw_limits *limits)
{
    pw_mp_str(b, key);
    pw_mp_map(b, 2);
    pw_mp_str(b, "soft");
    pw_amounts_put_limits(b, &limits->soft);
    pw_mp_str(b, "hard");
    pw_amounts_put_limits(b, &limits->hard);
}

/* Who, when, and what there was. */
static void put_note(pw_batch *b, const pw_request *rq, const pw_budget *budget)
{
    pw_buf *value = pw_batch_buf(b);
    const char *key = pw_sprintf(b->group.scope, ROW "%s", budget->name);
    pw_mp_map(value, 3);
    pw_mp_str(value, "by");
    pw_mp_str(value, pawl_str(rq->args, "by", ""));
    pw_mp_str(value, "at_ms");
    pw_mp_int(value, b->now_ms);
    put_limits(value, "was", &budget->limits);
    pw_op *op = pw_batch_op(b, PW_OP_KEY_PUT);
    b->failed |= !pw_buf_ok(value) || key == NULL;
    if (!pw_batch_lost(b)) {
        op->u.kv.run = 0;
        op->u.kv.key = (pw_view){(const uint8_t *)key, strlen(key)};
        op->u.kv.value = (pw_view){value->data, value->size};
    }
}

static void reply(pw_batch *b, pw_request *rq, const pw_budget *budget)
{
    pw_buf *out = pw_batch_buf(b);
    pw_mp_map(out, 2);
    pw_mp_str(out, "name");
    pw_mp_str(out, budget->name);
    put_limits(out, "limits", &budget->limits);
    b->failed |= !pw_buf_ok(out);
    pw_batch_reply(b, rq, PAWL_OK, NULL, (pw_view){out->data, out->size});
}

void pw_budget_request(pw_core *core, pw_request *rq)
{
    pw_limits asked, limits;
    pw_budget *budget = NULL;
    pawl_error err;
    pawl_status st = check(rq, &asked, &err);
    pw_batch *b = st == PAWL_OK ? pw_batch_get(core) : NULL;
    if (st == PAWL_OK && b == NULL) {
        pw_request_nomem(core, rq);
        return;
    }
    pw_batch_mark mark = {0};
    if (b != NULL) {
        mark = pw_batch_mark_of(b);
        st = find(b, rq, &budget, &err);
    }
    st = st == PAWL_OK ? merge(rq, budget, &asked, &limits, &err) : st;
    if (st != PAWL_OK) {
        if (b != NULL) {
            pw_batch_undo(b, &mark);
        }
        pw_request_done(core, rq, st, &err, (pw_view){NULL, 0});
        return;
    }
    put_note(b, rq, budget);
    pw_budget_limit(b, budget, &limits);
    reply(b, rq, budget);
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
    }
}
