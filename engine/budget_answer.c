/*
 * budget_answer.c - a step that its budget holds asks: raise the limit, or stop?
 *
 * Raising sets new limits of the budget that is short, or of the one above this step that the answer names; what is not enough is refused and
 * changes nothing. Other steps that the same budget holds go on by themselves then (pw_budget_room). Does not look for the wait: input.c does.
 */
#include <stdio.h>
#include <string.h>

#include "engine/budget.h"

bool pw_budget_is_asked(pw_live *live, int64_t cmd)
{
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd, 0});
    return (job != NULL && job->state == PW_JOB_SHORT) ||
           pw_map_asks(pw_map_find(live->core, (pw_job_key){live->key, cmd, 0}));
}

/* ---- the question ---- */

static void amount(const pawl_value *held, const char *key, char ret[64])
{
    const char *unit = pawl_str(held, "unit", "");
    (void)snprintf(ret, 64, "%g %s", pawl_num(held, key, 0), unit);
}

void pw_budget_wait_body(pw_buf *b, const char *activity, const pawl_value *held)
{
    char text[640];
    char limit[64], spent[64], asked[64];
    const char *budget = pawl_str(held, "budget", "");
    bool own = strncmp(budget, "run:", 4) == 0 || strncmp(budget, "step:", 5) == 0;
    amount(held, "limit", limit);
    amount(held, "spent", spent);
    amount(held, "asked", asked);
    (void)snprintf(text, sizeof text,
                   "\"%.100s\" may use %s; of the %s of %s%.100s, %s are spent. Raise the limit "
                   "(data: the new one, as {\"%s\": ...}), or stop?",
                   activity, asked, limit,
                   !own               ? "the budget "
                   : budget[0] == 's' ? "this step"
                                      : "the run",
                   own ? "" : budget, spent, pawl_str(held, "unit", ""));
    pw_mp_map(b, 3);
    pw_mp_str(b, "prompt");
    pw_mp_str(b, text);
    pw_mp_str(b, "choices");
    pw_mp_str(b, "raise|stop");
    pw_mp_str(b, "show");
    pw_mp_value(b, held);
}

/* ---- stop ---- */

static void stop(pw_live *live, int64_t cmd, const char *by)
{
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd, 0});
    pawl_failure f = {.type = "BudgetExceeded",
                      .message = "its budget is used up, and was not raised"};
    bool map = pw_map_find(live->core, (pw_job_key){live->key, cmd, 0}) != NULL;
    pw_emit e;
    pw_emit_begin(&e, live);
    if (!map) {
        pw_budget_drop(live, cmd); /* room may have come in this turn */
        pw_emit_int(&e, "attempt", job != NULL ? job->attempt : 1);
    }
    pw_emit_str(&e, "by", by);
    pw_emit_failure(&e, "failure", &f);
    (void)pw_emit_end(&e, map ? PW_EV_MAP_FAILED : PW_EV_ACTIVITY_FAILED, cmd);
}

/* ---- raise ---- */

static pw_budget *named(pw_budget *from, const char *name)
{
    while (from != NULL && strcmp(from->name, name) != 0) {
        from = from->parent;
    }
    return from;
}

static bool merge(pw_limits *limits, const pw_limits *more)
{
    bool raised = false;
    for (int u = 0; u < PW_UNITS; u++) {
        raised |= more->hard.n[u] != PW_NO_LIMIT && more->hard.n[u] > limits->hard.n[u];
        limits->hard.n[u] = more->hard.n[u] != PW_NO_LIMIT ? more->hard.n[u] : limits->hard.n[u];
        limits->soft.n[u] = more->soft.n[u] != PW_NO_LIMIT ? more->soft.n[u] : limits->soft.n[u];
    }
    return raised;
}

static pawl_status not_enough(const pw_short *s, pawl_error *err)
{
    char needed[64];
    int64_t least = pw_sum(s->budget->spent.n[s->unit], s->asked);
    pw_amount_text(s->unit, least, needed, sizeof needed);
    return pw_err(err, PAWL_INVALID, "that is not enough: budget \"%s\" needs at least %s",
                  s->budget->name, needed);
}

static pawl_status raise_limit(pw_live *live, const pw_job *job, const pawl_value *data,
                               const char *by, pawl_error *err)
{
    static const char *const beside[] = {"budget", NULL};
    pw_limits asked;
    pw_amounts estimate;
    pw_short s = {0};
    pw_budget *own;
    pawl_status st = pw_budget_asked(live->core, job, &own, &estimate, err);
    st = st == PAWL_OK ? pw_limits_read(pw_value_bytes(data), beside, &asked, err) : st;
    if (st != PAWL_OK) {
        return st;
    }
    bool fits = pw_budget_fits(own, &estimate, &s);
    const char *name = pawl_str(data, "budget", fits ? own->name : s.budget->name);
    pw_budget *target = named(own, name);
    if (target == NULL) {
        return pw_err(err, PAWL_INVALID, "\"%.100s\" is no budget of this step", name);
    }
    pw_limits was = target->limits;
    pw_limits limits = was;
    if (!merge(&limits, &asked)) {
        return pw_err(err, PAWL_INVALID,
                      "raise needs the new limit as data, above the one there is, as "
                      "{\"%s\": ...}",
                      pw_unit_key(fits ? PW_UNIT_USD : s.unit));
    }
    target->limits = limits; /* to see what it would do */
    bool enough = pw_budget_fits(own, &estimate, &s) || !s.alone;
    target->limits = was;
    if (!enough) {
        return not_enough(&s, err);
    }
    pw_budget_limit(live->batch, target, &limits);
    const pawl_value *raised = pawl_build(live->batch->group.scope, "{budget: %s, limits: %p}",
                                          target->name, pawl_v(data));
    pw_map *map = pw_map_find(live->core, job->key);
    if (map != NULL) {
        pw_map_freed(live, map, by, raised);
    } else {
        (void)pw_budget_again(live, job->key.cmd, by, raised);
    }
    return PAWL_OK;
}

void pw_budget_answer(pw_live *live, int64_t cmd, const pawl_value *value, const char *by,
                      pw_budget_reply *ret)
{
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd, 0});
    job =
        job != NULL ? job : pw_map_model(pw_map_find(live->core, (pw_job_key){live->key, cmd, 0}));
    ret->status = PAWL_OK;
    if (pawl_is(value, "choice", "stop")) {
        stop(live, cmd, by);
    } else {
        ret->status = raise_limit(live, job, pawl_get(value, "data"), by, &ret->err);
    }
}
