/*
 * budget_book.c - entries of the ledger: set aside before an attempt, spent after it.
 *
 *   RESERVED --the commit before it begins--> BEGUN --its end--> SETTLED      what it says it spent
 *      '--it never began--> (gone)              '--never heard of--> ESTIMATED   what was set aside
 *
 * Each change is an operation of the group, and made in memory at once [B1]. Does not look at limits: budget.c does.
 */
#include <string.h>

#include "engine/budget.h"
#include "journal/ledger.h"

/* ---- open entries ---- */

static pw_booking *booking_add(pw_core *core, const pw_booking *given)
{
    pw_booking *b = pw_malloc(sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    *b = *given;
    HASH_ADD(hh, core->bookings, key, sizeof b->key, b);
    if (b->hh.tbl == NULL) {
        pw_free(b);
        return NULL;
    }
    return b;
}

static void booking_drop(pw_core *core, pw_booking *b)
{
    HASH_DEL(core->bookings, b);
    pw_free(b);
}

typedef struct load {
    pw_core *core;
    const pw_job_key *only; /* NULL = all */
    pawl_status status;
    pawl_error *err;
} load;

static bool load_row(void *ctx, const pw_ledger_row *row)
{
    load *l = ctx;
    pw_booking b = {.key = {row->run, row->cmd, row->item},
                    .attempt = row->attempt,
                    .round = row->round,
                    .begun = row->state == PW_LEDGER_BEGUN,
                    .estimate = row->estimate};
    pw_booking *there = NULL;
    HASH_FIND(hh, l->core->bookings, &b.key, sizeof b.key, there);
    bool wanted = l->only == NULL || memcmp(l->only, &b.key, sizeof b.key) == 0;
    if (!wanted || there != NULL) {
        return true;
    }
    char name[PW_BUDGET_NAME_MAX + 1] = "";
    memcpy(name, row->budget.data,
           row->budget.size <= PW_BUDGET_NAME_MAX ? row->budget.size : PW_BUDGET_NAME_MAX);
    l->status = pw_budget_find(l->core, name, &b.budget, l->err);
    if (l->status == PAWL_OK && b.budget == NULL) {
        l->status = pw_err(l->err, PAWL_DAMAGED, "the budget \"%s\" of run %lld is not there", name,
                           (long long)row->run);
    }
    if (l->status == PAWL_DAMAGED) { /* who needs that budget is told, the others go on */
        pw_core_log(l->core, PAWL_ERROR, "", row->cmd, "run %lld: %s", (long long)row->run,
                    l->err->message);
        l->status = PAWL_OK;
        return true;
    }
    if (l->status == PAWL_OK && booking_add(l->core, &b) == NULL) {
        l->status = pw_err(l->err, PAWL_NOMEM, "no memory for an entry of the ledger");
    }
    return l->status == PAWL_OK;
}

pawl_status pw_budget_recover(pw_core *core, pawl_error *err)
{
    load l = {.core = core, .status = PAWL_OK, .err = err};
    pawl_status st = core->jops->ledger(core->reader, 0, true, load_row, &l, err);
    core->budget_freed = true; /* what is held may have been given room before the end */
    return st == PAWL_OK ? l.status : st;
}

pw_booking *pw_booking_find(pw_core *core, pw_job_key key)
{
    pw_booking *b = NULL;
    HASH_FIND(hh, core->bookings, &key, sizeof key, b);
    if (b != NULL || !core->bookings_doubt) {
        return b;
    }
    pawl_error err;
    load l = {.core = core, .only = &key, .status = PAWL_OK, .err = &err};
    int64_t of = key.item == 0 ? key.run : 0; /* (a map has many that are not open) */
    pawl_status st = core->jops->ledger(core->reader, of, true, load_row, &l, &err);
    if (st != PAWL_OK || l.status != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, "", key.cmd, "the ledger cannot be read: %s", err.message);
    }
    HASH_FIND(hh, core->bookings, &key, sizeof key, b);
    return b;
}

/* ---- operations ---- */

static pw_view kept(pawl_scope *scope, const char *text)
{
    size_t size = text != NULL ? strlen(text) : 0;
    const uint8_t *copy = pw_memdup(scope, size > 0 ? text : "", size);
    return (pw_view){copy, copy != NULL ? size : 0};
}

static bool fill_chain(pw_batch *b, pw_ledger_op *op)
{
    size_t len = op->budget->depth;
    pw_view *chain = pw_alloc(b->group.scope, len * sizeof *chain);
    const pw_budget *at = op->budget;
    for (size_t i = 0; chain != NULL && i < len; i++, at = at->parent) {
        chain[i] = (pw_view){(const uint8_t *)at->name, strlen(at->name)};
    }
    op->chain = chain;
    op->chain_len = len;
    if (chain != NULL) {
        op->row.budget = chain[0];
    }
    return chain != NULL;
}

/* In memory, what its operation will do: from what it counted for to what it counts for. */
static void count(pw_ledger_op *op, const pw_amounts *was_reserved)
{
    pw_ledger_change change = {0};
    pw_ledger_count(&change, &op->row, 1);
    for (int u = 0; u < PW_UNITS; u++) {
        op->spent.n[u] = change.spent.n[u];
        op->reserved.n[u] = change.reserved.n[u] - (was_reserved != NULL ? was_reserved->n[u] : 0);
    }
    for (pw_budget *b = op->budget; b != NULL; b = b->parent) {
        b->stored = true;
        for (int u = 0; u < PW_UNITS; u++) {
            b->spent.n[u] = pw_sum(b->spent.n[u], op->spent.n[u]);
            b->reserved.n[u] = pw_sum(b->reserved.n[u], op->reserved.n[u]);
        }
    }
}

/* False: no memory; the turn is lost. */
static bool put(const pw_entry *e, pw_ledger_op *given, const pw_amounts *was_reserved)
{
    pw_batch *b = e->batch;
    pawl_scope *scope = b->group.scope;
    pw_ledger_op *op = pw_memdup(scope, given, sizeof *given);
    char workflow[PW_NAME_BYTES_MAX + 1] = "";
    const pw_view *name = &e->workflow;
    memcpy(workflow, name->data, name->size <= PW_NAME_BYTES_MAX ? name->size : 0);
    if (op == NULL || !fill_chain(b, op)) {
        b->failed = true;
        b->core->bookings_doubt = true;
        return false;
    }
    op->row.run = e->key.run;
    op->row.cmd = e->key.cmd;
    op->row.item = e->key.item;
    op->row.attempt = e->attempt;
    op->row.at_ms = e->now_ms;
    op->row.workflow = kept(scope, workflow);
    op->row.activity = kept(scope, e->activity);
    pw_op *to = pw_batch_op(b, PW_OP_LEDGER_PUT);
    to->u.ledger = op;
    if (b->failed) { /* it goes nowhere, and nothing is taken back */
        b->core->bookings_doubt = true;
        return false;
    }
    count(op, was_reserved);
    return true;
}

/* ---- setting aside ---- */

typedef struct rounds {
    const pw_entry *e;
    int64_t last;
} rounds;

static bool see_round(void *ctx, const pw_ledger_row *row)
{
    rounds *r = ctx;
    bool same =
        row->cmd == r->e->key.cmd && row->item == r->e->key.item && row->attempt == r->e->attempt;
    r->last = same && row->round > r->last ? row->round : r->last;
    return true;
}

static int64_t next_round(const pw_entry *e)
{
    pw_core *core = e->batch->core;
    rounds r = {.e = e};
    pawl_error err;
    if (core->jops->ledger(core->reader, e->key.run, false, see_round, &r, &err) != PAWL_OK) {
        e->batch->failed = true; /* the turn comes again */
    }
    return r.last + 1;
}

void pw_budget_book(const pw_entry *e, pw_budget *budget, const pw_amounts *estimate, int64_t round)
{
    pw_core *core = e->batch->core;
    pw_ledger_op op = {.budget = budget, .open = true};
    op.row.state = e->begins ? PW_LEDGER_BEGUN : PW_LEDGER_RESERVED;
    op.row.round = round > 0 ? round : next_round(e);
    op.row.estimate = *estimate;
    pw_booking b = {.key = e->key,
                    .attempt = e->attempt,
                    .round = op.row.round,
                    .beginning = e->begins ? e->batch : NULL,
                    .estimate = *estimate,
                    .budget = budget};
    pw_booking *there = pw_booking_find(core, e->key);
    if (there != NULL) { /* (each attempt ends before the next is booked) */
        booking_drop(core, there);
    }
    pw_booking *mine = booking_add(core, &b);
    if (mine == NULL) {
        e->batch->failed = true;
        core->bookings_doubt = true;
    } else if (!put(e, &op, NULL)) {
        booking_drop(core, mine);
    }
}

void pw_budget_begin(pw_batch *b, pw_job_key key)
{
    pw_booking *k = pw_booking_find(b->core, key);
    pw_ledger_op *op = k != NULL ? pw_alloc(b->group.scope, sizeof *op) : NULL;
    if (k != NULL && op == NULL) {
        b->failed = true;
        return;
    }
    if (k != NULL) {
        *op = (pw_ledger_op){.row = {.run = key.run,
                                     .cmd = key.cmd,
                                     .item = key.item,
                                     .attempt = k->attempt,
                                     .round = k->round}};
        pw_batch_op(b, PW_OP_LEDGER_BEGIN)->u.ledger = op;
        k->beginning = b->failed ? k->beginning : b;
    }
}

void pw_booking_begun(pw_core *core, pw_job_key key)
{
    pw_booking *k = pw_booking_find(core, key);
    if (k != NULL) {
        k->begun = true;
    }
}

/* ---- what was spent ---- */

/* Of an attempt that had set nothing aside. NULL: it cannot be booked, now (the turn, or group, comes again) or at all. */
static pw_budget *budget_for(const pw_entry *e)
{
    pw_budget *budget = NULL;
    pawl_error err;
    pawl_status st = pw_budget_read(e->batch, e->key.run, &budget, &err);
    if (st != PAWL_OK) {
        bool lasting = pw_budget_lasting(st);
        pw_core_log(e->batch->core, lasting ? PAWL_ERROR : PAWL_WARN, "", e->key.cmd,
                    "what an attempt of run %lld spent is not booked%s: %s", (long long)e->key.run,
                    lasting ? "" : ", it is tried again", err.message);
        e->batch->failed |= !lasting;
    }
    return budget;
}

/* False: it said nothing, or what is none. */
static bool said(const pawl_value *spent, pw_ledger_row *row)
{
    pawl_error err;
    return spent != NULL &&
           pw_amounts_read(pw_value_bytes(spent), pw_spent_beside, &row->spent, &err) == PAWL_OK;
}

/* Its attempt may have begun, or may before this turn lands: `begun` is in a group that lands first. */
static bool may_begin(const pw_booking *k, const pw_batch *b)
{
    return k->begun || (k->beginning != NULL && k->beginning != b);
}

/* It may have used more than it can say: then it counts as what it had set aside, where that is more. */
static void at_least(pw_amounts *spent, const pw_amounts *estimate)
{
    for (int u = 0; u < PW_UNITS; u++) {
        spent->n[u] = spent->n[u] > estimate->n[u] ? spent->n[u] : estimate->n[u];
    }
}

/* Its tokens are known, its dollars are not, and that is not nothing: it counts as what was set aside; and where dollars are limited and none were
 * set aside, as all that is left and a bit, so that what comes next is held and a person asked. */
static void count_unpriced(pw_ledger_row *row, const pw_budget *budget)
{
    int64_t usd = row->estimate.n[PW_UNIT_USD];
    for (const pw_budget *b = usd == 0 ? budget : NULL; b != NULL; b = b->parent) {
        int64_t limit = b->limits.hard.n[PW_UNIT_USD];
        int64_t left = limit - b->spent.n[PW_UNIT_USD];
        usd = limit == PW_NO_LIMIT         ? usd
              : left < 0                   ? usd
              : usd == 0 || left + 1 < usd ? left + 1
                                           : usd;
    }
    if (row->spent.n[PW_UNIT_USD] < usd) {
        row->state = PW_LEDGER_ESTIMATED;
        row->spent.n[PW_UNIT_USD] = usd;
    }
}

void pw_budget_settle(const pw_entry *e, const pawl_value *spent)
{
    pw_core *core = e->batch->core;
    pw_booking *k = e->open ? pw_booking_find(core, e->key) : NULL;
    pw_ledger_op op = {.row.state = PW_LEDGER_SETTLED, .row.round = e->round > 0 ? e->round : 1};
    bool reported = said(spent, &op.row);
    if (k == NULL && !reported) {
        return;
    }
    if (reported) {
        op.row.unpriced = pawl_bool(spent, "unpriced", false);
        op.row.model = kept(e->batch->group.scope, pawl_str(spent, "model", ""));
    }
    op.budget = k != NULL ? k->budget : budget_for(e);
    if (op.budget == NULL) {
        return;
    }
    pw_amounts none = {0};
    if (k != NULL) {
        bool begins = may_begin(k, e->batch) && !e->unbegun;
        op.row.round = k->round;
        op.row.estimate = k->estimate;
        op.row.state = reported ? PW_LEDGER_SETTLED
                       : begins ? PW_LEDGER_ESTIMATED
                                : PW_LEDGER_RELEASED;
        op.row.spent = reported ? op.row.spent : begins ? k->estimate : none;
    }
    if (op.row.spent.n[PW_UNIT_WALL_MS] == 0) {
        op.row.spent.n[PW_UNIT_WALL_MS] = e->wall_ms > 0 ? e->wall_ms : 0;
    }
    if (reported && pawl_bool(spent, "unknown", false)) {
        op.row.state = PW_LEDGER_ESTIMATED;
        at_least(&op.row.spent, &op.row.estimate);
    } else if (op.row.unpriced && k != NULL) {
        count_unpriced(&op.row, op.budget);
    }
    pw_amounts was = k != NULL ? k->estimate : none;
    op.open = k != NULL;
    if (k != NULL) {
        booking_drop(core, k);
    }
    if (put(e, &op, &was)) {
        core->budget_freed = true;
    }
}
