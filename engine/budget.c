/*
 * budget.c - the table of budgets: in memory what groups being built and in flight will make of the journal [B1].
 *
 * A budget is read from the journal when it is first asked for; from then on every change is made here and as an operation of a group. If the
 * group does not land, or its turn is dropped, the same operations say what is taken back. Budgets stay in memory while any group may refer to
 * them. Does not decide what happens when something does not fit.
 */
#include "engine/budget.h"

#include <stdio.h>
#include <string.h>

#define KEPT_MAX 4096
enum { RUN_NAME_BYTES = 32 };

/* ---- finding ---- */

static pw_budget *in_memory(pw_core *core, const char *name)
{
    pw_budget *b;
    HASH_FIND_STR(core->budgets, name, b);
    return b;
}

static pw_budget *add(pw_core *core, const char *name, pw_budget *parent)
{
    size_t size = strlen(name) + 1;
    pw_budget *b = pw_calloc(1, sizeof *b + size);
    if (b == NULL) {
        return NULL;
    }
    memcpy(b->name, name, size);
    /* Very deep ones count beside their parent: one more level is left for a step. */
    b->parent = parent != NULL && parent->depth >= PW_BUDGET_DEPTH_MAX ? parent->parent : parent;
    b->depth = b->parent != NULL ? b->parent->depth + 1 : 1;
    b->limits = pw_limits_none();
    HASH_ADD_STR(core->budgets, name, b);
    if (b->hh.tbl == NULL) {
        pw_free(b);
        return NULL;
    }
    return b;
}

typedef struct stored {
    char parent[PW_BUDGET_NAME_MAX + 1];
    pw_limits limits;
    pw_amounts spent, reserved;
    bool found;
} stored;

/* Figures that only damage makes: with them nothing would ever fit, or everything. */
static bool can_be(const stored *s)
{
    bool fine = true;
    for (int u = 0; u < PW_UNITS; u++) {
        int64_t spent = s->spent.n[u], reserved = s->reserved.n[u];
        fine = fine && spent >= 0 && spent <= PW_BUDGET_SUM_MAX && reserved >= 0 &&
               reserved <= PW_BUDGET_SUM_MAX && s->limits.soft.n[u] >= PW_NO_LIMIT &&
               s->limits.hard.n[u] >= PW_NO_LIMIT;
    }
    return fine;
}

static bool take_stored(void *ctx, const pw_budget_row *row)
{
    stored *s = ctx;
    (void)snprintf(s->parent, sizeof s->parent, "%.*s", (int)row->parent.size,
                   (const char *)row->parent.data);
    s->limits = row->limits;
    s->spent = row->spent;
    s->reserved = row->reserved;
    s->found = true;
    return false;
}

static pawl_status read_stored(pw_core *core, const char *name, stored *ret, pawl_error *err)
{
    ret->found = false;
    pawl_status st = core->jops->budgets(
        core->reader, (pw_view){(const uint8_t *)name, strlen(name)}, take_stored, ret, err);
    return st == PAWL_OK && ret->found && !can_be(ret)
               ? pw_err(err, PAWL_DAMAGED, "the budget \"%.100s\" has figures that cannot be", name)
               : st;
}

static pawl_status broken_above(const char *name, bool circle, pawl_error *err)
{
    return circle ? pw_err(err, PAWL_DAMAGED, "the budget \"%.100s\" is above itself", name)
                  : pw_err(err, PAWL_DAMAGED,
                           "the budget \"%.100s\" is above others, and not there", name);
}

/* With those above it, which are read first: from the outermost down. */
pawl_status pw_budget_find(pw_core *core, const char *name, pw_budget **ret_budget, pawl_error *err)
{
    char names[PW_BUDGET_DEPTH_MAX + 1][PW_BUDGET_NAME_MAX + 1];
    stored rows[PW_BUDGET_DEPTH_MAX + 1];
    size_t len = 0;
    (void)snprintf(names[0], sizeof names[0], "%s", name);
    pw_budget *b = in_memory(core, name);
    while (b == NULL && names[len][0] != 0 && len < PW_BUDGET_DEPTH_MAX) {
        pawl_status st = read_stored(core, names[len], &rows[len], err);
        if (st != PAWL_OK) {
            return st;
        }
        if (!rows[len].found && len > 0) {
            return broken_above(names[len], false, err);
        }
        if (!rows[len].found) {
            break;
        }
        memcpy(names[len + 1], rows[len].parent, sizeof names[0]);
        len++;
        b = names[len][0] != 0 ? in_memory(core, names[len]) : NULL;
    }
    if (b == NULL && len == PW_BUDGET_DEPTH_MAX &&
        names[len][0] != 0) { /* (add() makes none deeper) */
        return broken_above(names[len], true, err);
    }
    while (len > 0) {
        len--;
        b = add(core, names[len], b);
        if (b == NULL) {
            return pw_err(err, PAWL_NOMEM, "no memory for a budget");
        }
        b->stored = true;
        b->limits = rows[len].limits;
        b->spent = rows[len].spent;
        b->reserved = rows[len].reserved;
    }
    *ret_budget = b;
    return PAWL_OK;
}

pawl_status pw_budget_get(pw_core *core, const char *name, pw_budget *parent,
                          pw_budget **ret_budget, pawl_error *err)
{
    pawl_status st = pw_budget_find(core, name, ret_budget, err);
    if (st == PAWL_OK && *ret_budget == NULL) {
        *ret_budget = add(core, name, parent);
        st = *ret_budget != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for a budget");
    }
    return st;
}

/* ---- of runs ---- */

typedef struct kin {
    int64_t key, parent, prev;
    struct kin *below; /* whose parent it is, or which continues it */
} kin;

static bool take_kin(void *ctx, const pw_run_row *row)
{
    kin *k = ctx;
    k->parent = row->parent_key;
    k->prev = row->prev_key;
    return false;
}

static pawl_status kin_of(pw_core *core, int64_t key, kin *ret, pawl_error *err)
{
    const pw_live *live = pw_live_find(core, key);
    *ret = (kin){.key = key};
    if (live != NULL) {
        (void)take_kin(ret, &live->row);
        return PAWL_OK;
    }
    pawl_status st = core->jops->run_get(core->reader, key, take_kin, ret, err);
    return st == PAWL_NOTFOUND ? PAWL_OK : st;
}

static pawl_status find_of(pw_core *core, int64_t key, char name[RUN_NAME_BYTES],
                           pw_budget **ret_budget, pawl_error *err)
{
    (void)snprintf(name, RUN_NAME_BYTES, "run:%lld", (long long)key);
    return pw_budget_find(core, name, ret_budget, err);
}

/* From the run up to one whose budget is known, or which is below nothing. */
static pawl_status climb(pw_core *core, pawl_scope *scope, kin **io_at, pw_budget **ret_budget,
                         pawl_error *err)
{
    char name[RUN_NAME_BYTES];
    for (kin *at = *io_at;;) {
        int64_t up = at->prev != 0 ? at->prev : at->parent;
        pawl_status st = find_of(core, at->key, name, ret_budget, err);
        *io_at = at;
        if (st != PAWL_OK || *ret_budget != NULL) {
            return st;
        }
        if (up == 0) {
            return pw_budget_get(core, name, NULL, ret_budget, err);
        }
        if (up >= at->key) { /* whose child it is, and what it continues, was there before it */
            return pw_err(err, PAWL_DAMAGED, "run %lld is said to be below run %lld",
                          (long long)at->key, (long long)up);
        }
        kin *upper = pw_alloc(scope, sizeof *upper);
        if (upper == NULL) {
            return pw_err(err, PAWL_NOMEM, "no memory for a budget");
        }
        st = kin_of(core, up, upper, err);
        if (st != PAWL_OK) {
            return st;
        }
        upper->below = at;
        at = upper;
    }
}

static pawl_status of_run(pw_core *core, pawl_scope *scope, kin *own, pw_budget **ret_budget,
                          pawl_error *err)
{
    kin *at = own;
    pawl_status st = climb(core, scope, &at, ret_budget, err);
    for (; st == PAWL_OK && at->below != NULL; at = at->below) {
        /* a run that continues another is below the first of them, beside those in between */
        pw_budget *upper =
            at->below->prev != 0 && at->prev != 0 ? (*ret_budget)->parent : *ret_budget;
        char name[RUN_NAME_BYTES];
        (void)snprintf(name, sizeof name, "run:%lld", (long long)at->below->key);
        st = pw_budget_get(core, name, upper, ret_budget, err);
    }
    return st;
}

bool pw_budget_lasting(pawl_status st)
{
    return st == PAWL_DAMAGED || st == PAWL_NOTFOUND || st == PAWL_INVALID;
}

pw_budget *pw_budget_of_run(pw_live *live)
{
    pw_budget *b = NULL;
    pawl_error err;
    kin own = {live->key, live->row.parent_key, live->row.prev_key, NULL};
    pawl_scope *scope = live->batch != NULL ? live->batch->group.scope : live->scope;
    pawl_status st = of_run(live->core, scope, &own, &b, &err);
    if (st == PAWL_OK) {
        return b;
    }
    bool lasting = pw_budget_lasting(st);
    pw_core_log(live->core, lasting ? PAWL_ERROR : PAWL_WARN, live->id, 0,
                "its budget cannot be read: %s", err.message);
    if (!lasting || live->state == PW_S_RUN_RUNNING || live->created) {
        live->unfunded = lasting;
        pw_scope_fail(live->scope); /* the turn comes again; if it lasts, as a pause */
    }
    return NULL;
}

pawl_status pw_budget_read(pw_batch *b, int64_t run, pw_budget **ret_budget, pawl_error *err)
{
    char name[RUN_NAME_BYTES];
    kin own;
    *ret_budget = NULL;
    pawl_status st = find_of(b->core, run, name, ret_budget, err); /* nearly always */
    if (st == PAWL_OK && *ret_budget == NULL) {
        st = kin_of(b->core, run, &own, err);
        st = st == PAWL_OK ? of_run(b->core, b->group.scope, &own, ret_budget, err) : st;
    }
    return st;
}

/* ---- what fits ---- */

/* The innermost one that is short; with others: also for want of what others have set aside. */
static bool is_short(const pw_budget *budget, const pw_amounts *asked, bool others, pw_short *ret)
{
    for (const pw_budget *b = budget; b != NULL; b = b->parent) {
        for (pw_unit u = PW_UNIT_USD; u < PW_UNITS; u++) {
            int64_t limit = b->limits.hard.n[u];
            int64_t used = pw_sum(b->spent.n[u], others ? b->reserved.n[u] : 0);
            if (limit != PW_NO_LIMIT && pw_sum(used, asked->n[u]) > limit) {
                *ret = (pw_short){b, u, asked->n[u], !others};
                return true;
            }
        }
    }
    return false;
}

bool pw_budget_fits(const pw_budget *budget, const pw_amounts *asked, pw_short *ret_short)
{
    return !is_short(budget, asked, false, ret_short) && !is_short(budget, asked, true, ret_short);
}

static void put_limits(pw_batch *b, pw_budget *budget, const pw_limits *limits)
{
    pw_budget_op *op = pw_alloc(b->group.scope, sizeof *op);
    if (op == NULL) {
        b->failed = true;
        return;
    }
    const char *parent = budget->parent != NULL ? budget->parent->name : "";
    *op = (pw_budget_op){.budget = budget, .was = budget->limits, .was_stored = budget->stored};
    op->row.name = (pw_view){(const uint8_t *)budget->name, strlen(budget->name)};
    op->row.parent = (pw_view){(const uint8_t *)parent, strlen(parent)};
    op->row.limits = *limits;
    pw_op *put = pw_batch_op(b, PW_OP_BUDGET_SET);
    put->u.budget = op;
    if (!b->failed) { /* else it goes nowhere */
        budget->limits = *limits;
        budget->stored = true;
        b->core->budget_freed = true;
    }
}

void pw_budget_limit(pw_batch *b, pw_budget *budget, const pw_limits *limits)
{
    for (pw_budget *up = budget->parent; up != NULL; up = up->parent) {
        if (!up->stored) {
            put_limits(b, up, &up->limits);
        }
    }
    put_limits(b, budget, limits);
}

/* ---- taking back ---- */

static pw_booking *booking_of(pw_core *core, const pw_ledger_row *row)
{
    pw_job_key key = {row->run, row->cmd, row->item};
    pw_booking *b = NULL;
    HASH_FIND(hh, core->bookings, &key, sizeof key, b);
    return b;
}

static void forget_beginning(pw_core *core, const pw_ledger_row *row)
{
    pw_booking *b = booking_of(core, row);
    if (b != NULL) {
        b->beginning = NULL;
    }
}

static void forget_booking(pw_core *core, const pw_ledger_row *row)
{
    pw_booking *b = booking_of(core, row);
    if (b != NULL) {
        HASH_DEL(core->bookings, b);
        pw_free(b);
    }
    core->bookings_doubt = true; /* the journal knows */
}

static bool in_chain(const pw_budget *from, const pw_budget *budget)
{
    while (from != NULL && from != budget) {
        from = from->parent;
    }
    return from != NULL;
}

/* The first of that batch that sets limits of this budget. */
static pw_budget_op *set_in(const pw_batch *b, const pw_budget *budget)
{
    for (size_t i = 0; b != NULL && i < b->group.len; i++) {
        pw_op *op = &b->group.ops[i];
        if (op->type == PW_OP_BUDGET_SET && op->u.budget->budget == budget) {
            return op->u.budget;
        }
    }
    return NULL;
}

static pw_budget *budget_of(const pw_op *op)
{
    return op->type == PW_OP_BUDGET_SET   ? op->u.budget->budget
           : op->type == PW_OP_LEDGER_PUT ? op->u.ledger->budget
                                          : NULL;
}

/* Some of it counts on the budget being in the journal, with its limits. */
static bool builds_on(const pw_batch *b, const pw_budget *budget)
{
    for (size_t i = 0; b != NULL && i < b->group.len; i++) {
        if (in_chain(budget_of(&b->group.ops[i]), budget)) {
            return true;
        }
    }
    return false;
}

/* Groups that set it after that one did so on top of it: those in flight do not land either, and the one being built takes it over. */
static void take_back_limits(pw_batch *b, const pw_budget_op *op)
{
    pw_core *core = b->core;
    pw_budget *budget = op->budget;
    pw_batch *building = b != core->building ? core->building : NULL;
    pw_budget_op *later = NULL;
    for (const pw_batch *f = b != core->building ? core->flight : NULL; f != NULL; f = f->next) {
        later = later != NULL ? later : set_in(f, budget);
    }
    bool goes_on = set_in(building, budget) != NULL; /* with all its limits */
    if (later != NULL) {
        later->was = op->was;
        later->was_stored = op->was_stored;
    } else if (!goes_on && builds_on(building, budget)) {
        pw_budget_limit(building, budget, &budget->limits);
    } else if (!goes_on) {
        budget->limits = op->was;
        budget->stored = op->was_stored;
    }
}

static void take_back(pw_batch *of, const pw_op *op)
{
    pw_core *core = of->core;
    if (op->type == PW_OP_BUDGET_SET) {
        take_back_limits(of, op->u.budget);
    } else if (op->type == PW_OP_LEDGER_PUT) {
        const pw_ledger_op *l = op->u.ledger;
        for (pw_budget *b = l->budget; b != NULL; b = b->parent) {
            b->stored = false; /* perhaps: writing it once more does no harm */
            for (int u = 0; u < PW_UNITS; u++) {
                b->spent.n[u] -= l->spent.n[u];
                b->reserved.n[u] -= l->reserved.n[u];
            }
        }
        if (l->row.item == 0 || l->open) {
            forget_booking(core, &l->row);
        }
    } else if (op->type == PW_OP_LEDGER_BEGIN) {
        forget_beginning(core, &op->u.ledger->row);
        return;
    } else {
        return;
    }
    core->budget_freed = true;
}

void pw_budget_undo(pw_batch *b, size_t from)
{
    for (size_t i = b->group.len; i > from; i--) {
        take_back(b, &b->group.ops[i - 1]);
    }
}

/* ---- memory ---- */

void pw_budget_free(pw_core *core)
{
    pw_budget *b, *next;
    HASH_ITER (hh, core->budgets, b, next) {
        HASH_DEL(core->budgets, b);
        pw_free(b);
    }
    pw_booking *k, *knext;
    HASH_ITER (hh, core->bookings, k, knext) {
        HASH_DEL(core->bookings, k);
        pw_free(k);
    }
}

/* With those above it, which it points to. */
static void keep(pw_budget *b)
{
    for (; b != NULL && !b->kept; b = b->parent) {
        b->kept = true;
    }
}

static void keep_those_of(const pw_batch *b)
{
    for (size_t i = 0; b != NULL && i < b->group.len; i++) {
        keep(budget_of(&b->group.ops[i]));
    }
}

/* What nothing on its way refers to is read again when it is asked for. */
void pw_budget_sweep(pw_core *core)
{
    size_t len = HASH_COUNT(core->budgets);
    if (len <= KEPT_MAX || len / 2 <= core->budgets_kept) {
        return;
    }
    pw_booking *k, *knext;
    HASH_ITER (hh, core->bookings, k, knext) {
        keep(k->budget);
    }
    for (const pw_batch *f = core->flight; f != NULL; f = f->next) {
        keep_those_of(f);
    }
    keep_those_of(core->building);
    pw_budget *b, *next;
    HASH_ITER (hh, core->budgets, b, next) {
        if (b->kept) {
            b->kept = false;
        } else {
            HASH_DEL(core->budgets, b);
            pw_free(b);
        }
    }
    core->budgets_kept = HASH_COUNT(core->budgets);
}
