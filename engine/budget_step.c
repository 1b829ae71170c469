/*
 * budget_step.c - budgets in a turn: what a step reserves, what holds it, and what lets it go on.
 *
 *   ActivityScheduled, ActivityRetried --fits--> booked                  --> ... --> the attempt's end settles it
 *           '--held: {..}--> SHORT --room, or a limit was raised--> ActivityReserved --> booked
 *                              '--stop--> ActivityFailed: BudgetExceeded
 *
 * Every decision is in an event, so that a replay decides nothing. A wait is open while nothing that comes back would help. Does not know
 * the table's inside (budget.c), nor what a person answers (budget_answer.c).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/job.h"
#include "sdk/base/id.h"

/* ---- what a step asks for ---- */

typedef struct want {
    pw_budget *budget; /* NULL: it cannot be had, the turn is lost */
    pw_amounts estimate;
} want;

bool pw_budget_reserves(pw_view body)
{
    return pw_body_get(body, "reserve").size > 0;
}

static void step_name(pw_job_key key, char ret[64])
{
    (void)snprintf(ret, 64, "step:%lld.%lld", (long long)key.run, (long long)key.cmd);
}

/* With a limit of its own it has a budget of its own, below the run's. What it asks for then is what that has left, unless it says. */
static void add_step(pw_live *live, int64_t cmd, int64_t max_cost, want *w)
{
    char name[64];
    pawl_error err;
    step_name((pw_job_key){live->key, cmd, 0}, name);
    pw_budget *run = w->budget;
    if (pw_budget_get(live->core, name, run, &w->budget, &err) != PAWL_OK) {
        w->budget = NULL;
        pw_scope_fail(live->scope);
        return;
    }
    pw_limits limits = w->budget->limits;
    if (limits.hard.n[PW_UNIT_USD] == PW_NO_LIMIT) {
        limits.hard.n[PW_UNIT_USD] = max_cost;
        pw_budget_limit(live->batch, w->budget, &limits);
    }
}

static void fill_cost(want *w)
{
    int64_t limit = w->budget->limits.hard.n[PW_UNIT_USD];
    int64_t left = limit - w->budget->spent.n[PW_UNIT_USD];
    if (w->estimate.n[PW_UNIT_USD] == 0 && limit != PW_NO_LIMIT) {
        w->estimate.n[PW_UNIT_USD] = left > 0 ? left : 1;
    }
}

static want want_of(pw_live *live, int64_t cmd, pw_view reserve, int64_t max_cost)
{
    pawl_error err;
    want w = {.budget = pw_budget_of_run(live)};
    (void)pw_amounts_read(reserve, NULL, &w.estimate, &err); /* (checked when it was asked for) */
    if (w.budget != NULL && max_cost > 0) {
        add_step(live, cmd, max_cost, &w);
        if (w.budget != NULL) {
            fill_cost(&w);
        }
    }
    return w;
}

static want want_again(pw_live *live, int64_t cmd, pw_view body)
{
    return want_of(live, cmd, pw_body_get(body, "reserve"), pw_body_int(body, "max_cost", 0));
}

/* Of the step, in a shell too. */
static pw_view body_of(pw_live *live, int64_t cmd)
{
    const pw_cmd *made = live->whole ? pw_cmd_find(live, cmd) : NULL;
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd, 0});
    return made != NULL ? made->body : job != NULL ? job->body : (pw_view){NULL, 0};
}

static pw_entry entry_named(pw_live *live, int64_t cmd, int64_t attempt, const char *activity)
{
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd, 0});
    bool ran = job != NULL && job->begun_ms > 0;
    return (pw_entry){.batch = live->batch,
                      .workflow = live->row.workflow,
                      .now_ms = live->now_ms,
                      .key = {live->key, cmd, 0},
                      .attempt = attempt,
                      .open = true,
                      .wall_ms = ran ? live->now_ms - job->begun_ms : 0,
                      .activity = activity};
}

static pw_entry entry_of(pw_live *live, int64_t cmd, int64_t attempt, pw_view body)
{
    return entry_named(live, cmd, attempt, pw_body_str(live->batch->group.scope, body, "name", ""));
}

/* ---- held ---- */

static void put_amount(pw_buf *b, const char *key, pw_unit unit, int64_t n)
{
    pw_mp_str(b, key);
    pw_amount_put(b, unit, n);
}

void pw_budget_held_field(pw_emit *e, const pw_short *s)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    const pw_budget *of = s->budget;
    pw_mp_map(&b, s->alone ? 7 : 6);
    pw_mp_str(&b, "budget");
    pw_mp_str(&b, of->name);
    pw_mp_str(&b, "unit");
    pw_mp_str(&b, pw_unit_key(s->unit));
    put_amount(&b, "asked", s->unit, s->asked);
    put_amount(&b, "limit", s->unit, of->limits.hard.n[s->unit]);
    put_amount(&b, "spent", s->unit, of->spent.n[s->unit]);
    put_amount(&b, "reserved", s->unit, of->reserved.n[s->unit]);
    if (s->alone) {
        pw_mp_str(&b, "ask");
        pw_mp_bool(&b, true);
    }
    e->fields.failed |= b.failed;
    pw_emit_value(e, "held", (pw_view){b.data, b.size});
}

static void book_or_hold(pw_emit *e, const pw_entry *entry, const want *w)
{
    pw_short s;
    if (w->budget == NULL) {
        return;
    }
    if (pw_budget_fits(w->budget, &w->estimate, &s)) {
        pw_budget_book(entry, w->budget, &w->estimate, 1);
    } else {
        pw_budget_held_field(e, &s);
    }
}

static int64_t micro(double dollars)
{
    return dollars > 0 ? (int64_t)ceil(dollars * 1e6 - 1e-6) : 0;
}

void pw_budget_map_fields(pw_emit *e, const pawl_map_options *o)
{
    pw_live *live = e->live;
    int64_t max_cost = micro(o->max_cost);
    if (o->reserve != NULL) {
        pw_view reserve = pw_value_bytes(o->reserve);
        pw_emit_value(e, "reserve", reserve);
        pw_emit_opt(e, "max_cost", max_cost);
        (void)want_of(live, live->next_cmd, reserve,
                      max_cost); /* the budgets are there from now on */
    }
}

void pw_budget_call_fields(pw_emit *e, const pawl_call_options *o)
{
    pw_live *live = e->live;
    int64_t max_cost = micro(o->max_cost);
    if (o->reserve == NULL && max_cost == 0) {
        return;
    }
    static const uint8_t empty_map[1] = {0x80};
    pw_view reserve = o->reserve != NULL ? pw_value_bytes(o->reserve) : (pw_view){empty_map, 1};
    pw_emit_value(e, "reserve", reserve);
    pw_emit_opt(e, "max_cost", max_cost);
    want w = want_of(live, live->next_cmd, reserve, max_cost);
    pw_entry entry = entry_named(live, live->next_cmd, 1, o->name);
    book_or_hold(e, &entry, &w);
}

void pw_budget_retry_fields(pw_emit *e, int64_t cmd, int64_t attempt)
{
    pw_view body = body_of(e->live, cmd);
    if (!pw_budget_reserves(body)) {
        return;
    }
    pw_entry entry = entry_of(e->live, cmd, attempt, body);
    want w = want_again(e->live, cmd, body);
    book_or_hold(e, &entry, &w);
}

/* ---- once more ---- */

static void put_again(pw_live *live, pw_emit *e, const pw_entry *entry, bool lost)
{
    static const uint8_t yes[1] = {0xc3};
    pw_emit_begin(e, live);
    pw_emit_int(e, "attempt", entry->attempt);
    pw_emit_value(e, "lost", (pw_view){yes, lost ? 1 : 0});
}

static void put_raised(pw_emit *e, const char *by, const pawl_value *raised)
{
    pw_emit_str(e, "by", by);
    if (raised != NULL) {
        pw_emit_value(e, "raised", pw_value_bytes(raised));
    }
}

bool pw_budget_again(pw_live *live, int64_t cmd, const char *by, const pawl_value *raised)
{
    pw_core *core = live->core;
    pw_job *job = pw_job_find(core, (pw_job_key){live->key, cmd, 0});
    const pw_cmd *made = live->whole ? pw_cmd_find(live, cmd) : NULL;
    pw_view body = body_of(live, cmd);
    pw_entry entry = entry_of(live, cmd,
                              job != NULL    ? job->attempt
                              : made != NULL ? made->attempt
                                             : 1,
                              body);
    const pw_booking *k = pw_booking_find(core, entry.key);
    bool lost = k != NULL && k->begun;
    int64_t round = k != NULL ? k->round + 1 : 0;
    if (k != NULL) { /* whatever came of it, nobody will hear */
        pw_budget_settle(&entry, NULL);
    }
    want w = want_again(live, cmd, body);
    pw_short s = {0};
    pw_emit e;
    if (w.budget == NULL) {
        return false;
    }
    bool fits = pw_budget_fits(w.budget, &w.estimate, &s);
    bool as_before =
        job != NULL && job->state == PW_JOB_SHORT && !fits && !lost && job->asked == s.alone;
    if (as_before && raised == NULL) {
        return false;
    }
    put_again(live, &e, &entry, lost);
    put_raised(&e, by, raised);
    if (fits) {
        pw_budget_book(&entry, w.budget, &w.estimate, round);
    } else {
        pw_budget_held_field(&e, &s);
    }
    (void)pw_emit_end(&e, fits ? PW_EV_ACTIVITY_RESERVED : PW_EV_ACTIVITY_HELD, cmd);
    return fits;
}

static void name_of_step(const pw_job *job, char ret[64])
{
    if (pw_body_int(job->body, "max_cost", 0) > 0) {
        step_name(job->key, ret);
    } else {
        (void)snprintf(ret, 64, "run:%lld", (long long)job->key.run);
    }
}

pawl_status pw_budget_asked(pw_core *core, const pw_job *job, pw_budget **ret_budget,
                            pw_amounts *ret_asked, pawl_error *err)
{
    char name[64];
    want w = {0};
    name_of_step(job, name);
    pawl_status st = pw_budget_find(core, name, &w.budget, err);
    st = st == PAWL_OK ? pw_amounts_read(pw_body_get(job->body, "reserve"), NULL, &w.estimate, err)
                       : st;
    if (st == PAWL_OK && w.budget == NULL) {
        st = pw_err(err, PAWL_NOTFOUND, "there is no budget \"%s\"", name);
    }
    if (st == PAWL_OK && pw_body_int(job->body, "max_cost", 0) > 0) {
        fill_cost(&w);
    }
    *ret_budget = w.budget;
    *ret_asked = w.estimate;
    return st;
}

/* Whether a turn would change anything is known without its run. */
static bool may_go_on(pw_core *core, const pw_job *job)
{
    pawl_error err;
    want w = {0};
    pw_short s;
    return pw_budget_asked(core, job, &w.budget, &w.estimate, &err) != PAWL_OK ||
           pw_budget_fits(w.budget, &w.estimate, &s) || s.alone != job->asked;
}

void pw_budget_room(pw_core *core)
{
    if (!core->budget_freed || core->shutdown || core->failed || !core->recovered) {
        return;
    }
    core->budget_freed = false;
    pw_job *job, *next;
    HASH_ITER (hh, core->jobs, job, next) {
        bool held = job->state == PW_JOB_SHORT && job->map == NULL;
        if (held && !job->again && may_go_on(core, job)) {
            job->again = true;
            pw_job_tell(core, job, PW_IN_ROOM, NULL);
        }
    }
    pw_maps_fund(core);
}

/* ---- ends ---- */

void pw_budget_end_fields(pw_emit *e, int64_t cmd, int64_t attempt, const pw_report *report)
{
    const pawl_value *spent = report != NULL ? report->spent : NULL;
    pw_job_key key = {e->live->key, cmd, 0};
    if (spent == NULL && pw_booking_find(e->live->core, key) == NULL) {
        return; /* most of them */
    }
    pw_entry entry = entry_of(e->live, cmd, attempt, body_of(e->live, cmd));
    if (spent != NULL && report->read_back) { /* that is what the looking cost */
        pawl_scope *scope = e->live->batch->group.scope;
        spent = pawl_with(scope, spent, "unknown", pawl_make_bool(scope, true));
    }
    pw_budget_settle(&entry, spent);
    if (spent != NULL) {
        pw_emit_value(e, "spent", pw_value_bytes(spent));
    }
}

void pw_budget_drop(pw_live *live, int64_t cmd)
{
    const pw_booking *k = pw_booking_find(live->core, (pw_job_key){live->key, cmd, 0});
    if (k != NULL) {
        pw_entry entry = entry_of(live, cmd, k->attempt, body_of(live, cmd));
        pw_budget_settle(&entry, NULL);
    }
}

/* ---- starts ---- */

static const char *const beside_limits[] = {"parent", "name", NULL};

pawl_status pw_budget_name_check(const char *name, pawl_error *err)
{
    if (strncmp(name, "run:", 4) == 0 || strncmp(name, "step:", 5) == 0) {
        return pw_err(err, PAWL_INVALID,
                      "a budget's name does not begin with run: or step:, those are made here");
    }
    return pw_name_check(name, strlen(name), err);
}

static const char *name_of(const pawl_value *v)
{
    return pawl_typeof(v) == PAWL_STRING ? pawl_str(v, "", "") : pawl_str(v, "name", "");
}

pawl_status pw_budget_check(const pawl_value *given, pawl_error *err)
{
    pw_limits limits;
    if (given == NULL || pawl_typeof(given) == PAWL_NIL) {
        return PAWL_OK;
    }
    pawl_status st = pw_limits_read(pw_value_bytes(given), beside_limits, &limits, err);
    const pawl_value *v = pawl_get(given, "parent");
    for (int depth = 0; v != NULL && st == PAWL_OK; v = pawl_get(v, "parent"), depth++) {
        bool is_map = pawl_typeof(v) == PAWL_MAP;
        if (depth >= PW_BUDGET_NAMED_MAX) {
            return pw_err(err, PAWL_INVALID, "budgets stand at most %d above a run",
                          PW_BUDGET_NAMED_MAX);
        }
        st = pw_budget_name_check(name_of(v), err);
        if (st == PAWL_OK && is_map) {
            st = pw_limits_read(pw_value_bytes(v), beside_limits, &limits, err);
        }
    }
    return st;
}

pawl_status pw_budget_limits(const pawl_value *given, pw_limits *ret_limits, pawl_error *err)
{
    pawl_status st = pw_budget_check(given, err);
    return st == PAWL_OK ? pw_limits_read(pw_value_bytes(given), beside_limits, ret_limits, err)
                         : st;
}

/* Limits that it does not have yet. */
static void fill_limits(pw_batch *b, pw_budget *budget, const pawl_value *given)
{
    pw_limits asked;
    pawl_error err;
    pw_limits limits = budget->limits;
    bool changed = false;
    if (pawl_typeof(given) != PAWL_MAP ||
        pw_limits_read(pw_value_bytes(given), beside_limits, &asked, &err) != PAWL_OK) {
        asked = pw_limits_none(); /* a name alone */
    }
    for (int u = 0; u < PW_UNITS; u++) {
        bool none = limits.soft.n[u] == PW_NO_LIMIT && limits.hard.n[u] == PW_NO_LIMIT;
        if (none && (asked.soft.n[u] != PW_NO_LIMIT || asked.hard.n[u] != PW_NO_LIMIT)) {
            limits.soft.n[u] = asked.soft.n[u];
            limits.hard.n[u] = asked.hard.n[u];
            changed = true;
        }
    }
    if (changed || !budget->stored) {
        pw_budget_limit(b, budget, &limits);
    }
}

pawl_status pw_budget_above(pw_batch *b, const pawl_value *given, pw_budget **ret_budget,
                            pawl_error *err)
{
    const pawl_value *list[PW_BUDGET_NAMED_MAX];
    size_t len = 0;
    *ret_budget = NULL;
    for (const pawl_value *v = pawl_get(given, "parent"); v != NULL && len < PW_COUNT(list);
         v = pawl_get(v, "parent")) {
        list[len++] = v;
    }
    while (len > 0) { /* the outermost first */
        len--;
        pawl_status st = pw_budget_get(b->core, name_of(list[len]), *ret_budget, ret_budget, err);
        if (st != PAWL_OK) {
            return st;
        }
        fill_limits(b, *ret_budget, list[len]);
    }
    return PAWL_OK;
}

pawl_status pw_budget_start_check(pw_core *core, const pawl_value *given, int64_t parent,
                                  pawl_error *err)
{
    pw_budget *above = NULL;
    pw_batch *b = given != NULL && parent != 0 ? pw_batch_get(core) : NULL;
    if (parent != 0) {
        return b != NULL ? pw_budget_read(b, parent, &above, err) : PAWL_OK;
    }
    pawl_status st = PAWL_OK;
    for (const pawl_value *v = pawl_get(given, "parent"); v != NULL && st == PAWL_OK;
         v = pawl_get(v, "parent")) {
        st = pw_budget_find(core, name_of(v), &above, err);
    }
    return st;
}

void pw_budget_start(pw_live *live, const pawl_value *given)
{
    char name[64];
    pawl_error err;
    pw_budget *own = NULL;
    if (given == NULL) {
        return;
    }
    if (live->row.parent_key != 0 || live->row.prev_key != 0) {
        own = pw_budget_of_run(live);
    } else {
        (void)snprintf(name, sizeof name, "run:%lld", (long long)live->key);
        pw_budget *above = NULL;
        if (pw_budget_above(live->batch, given, &above, &err) != PAWL_OK ||
            pw_budget_get(live->core, name, above, &own, &err) != PAWL_OK) {
            pw_scope_fail(live->scope);
        }
    }
    if (own != NULL) {
        fill_limits(live->batch, own, given);
    }
}

/* ---- what is left ---- */

/* The least of all above it; false: no limit. */
static bool least(const pw_budget *budget, pw_unit u, int64_t *ret_left, const pw_budget **ret_of)
{
    bool limited = false;
    for (const pw_budget *b = budget; b != NULL; b = b->parent) {
        int64_t limit = b->limits.hard.n[u];
        int64_t used = pw_sum(b->spent.n[u], b->reserved.n[u]);
        int64_t left = limit > used ? limit - used : 0;
        if (limit != PW_NO_LIMIT && (!limited || left < *ret_left)) {
            limited = true;
            *ret_left = left;
            *ret_of = b;
        }
    }
    return limited;
}

static bool past_soft(const pw_budget *budget)
{
    for (const pw_budget *b = budget; b != NULL; b = b->parent) {
        for (int u = 0; u < PW_UNITS; u++) {
            if (b->limits.soft.n[u] != PW_NO_LIMIT &&
                pw_sum(b->spent.n[u], b->reserved.n[u]) >= b->limits.soft.n[u]) {
                return true;
            }
        }
    }
    return false;
}

static void put_map(pw_buf *b, const char *key, const pw_amounts *a, bool limits)
{
    pw_mp_str(b, key);
    if (limits) {
        pw_amounts_put_limits(b, a);
    } else {
        pw_amounts_put(b, a);
    }
}

const pawl_value *pw_budget_left(pw_live *live, pawl_scope *scope)
{
    pw_budget *own = pw_budget_of_run(live);
    pw_amounts left;
    const char *narrowest = "";
    double part = 2;
    bool any = false;
    for (pw_unit u = PW_UNIT_USD; own != NULL && u < PW_UNITS; u++) {
        const pw_budget *of = NULL;
        left.n[u] = PW_NO_LIMIT;
        if (least(own, u, &left.n[u], &of)) {
            double limit = (double)of->limits.hard.n[u];
            double now = limit > 0 ? (double)left.n[u] / limit : 0;
            narrowest = now < part ? of->name : narrowest;
            part = now < part ? now : part;
            any = true;
        }
    }
    if (own == NULL || (!any && !past_soft(own) && pw_amounts_none(&own->spent) &&
                        pw_amounts_none(&own->reserved))) {
        return NULL;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, 5);
    put_map(&b, "left", &left, true);
    put_map(&b, "spent", &own->spent, false);
    put_map(&b, "reserved", &own->reserved, false);
    pw_mp_str(&b, "soft");
    pw_mp_bool(&b, past_soft(own));
    pw_mp_str(&b, "short");
    pw_mp_str(&b, narrowest);
    if (!pw_buf_ok(&b)) {
        pw_scope_fail(scope);
        return NULL;
    }
    return pw_value_copy(scope, b.data, b.size);
}
