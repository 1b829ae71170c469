/*
 * view_cost.c - what was used, from the ledger: of one run, with the budgets that it counts in, or totals of the journal.
 *
 * Reads rows alone, so that it answers without an engine, too. A run's children have entries of their own; their use is in its budget's sums.
 * Does not price anything: what an attempt said it spent is what counts.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/hash.h"
#include "engine/view_show.h"
#include "journal/ledger.h"
#include "sdk/base/arena.h"
#include "sdk/base/mem.h"

static void put_amounts(pw_buf *out, const char *key, const pw_amounts *a)
{
    pw_mp_str(out, key);
    pw_amounts_put(out, a);
}

/* ---- sums ---- */

typedef struct sums {
    int64_t entries, unpriced;
    pw_amounts spent, reserved, estimated;
} sums;

static void sum_up(sums *s, const pw_ledger_row *row)
{
    s->entries++;
    s->unpriced += row->unpriced;
    if (pw_ledger_is_open(row->state)) {
        pw_amounts_add(&s->reserved, &row->estimate);
    } else {
        pw_amounts_add(&s->spent, &row->spent);
    }
    if (row->state == PW_LEDGER_ESTIMATED) {
        pw_amounts_add(&s->estimated, &row->spent);
    }
}

enum { SUM_FIELDS = 4 };
static void put_sums(pw_buf *out, const sums *s)
{
    put_amounts(out, "spent", &s->spent);
    put_amounts(out, "reserved", &s->reserved);
    put_amounts(out, "estimated", &s->estimated);
    pw_view_put_int(out, "unpriced", s->unpriced);
}

/* ---- one run ---- */

static const char *state_name(int state)
{
    static const char *const names[] = {"released", "reserved", "begun", "settled", "estimated"};
    return state >= 0 && (size_t)state < PW_COUNT(names) ? names[state] : "unknown";
}

/* A map's attempts, which stand one after the other, as one entry. */
typedef struct cost_map {
    int64_t items, attempts, last_item;
    pw_ledger_row row; /* their sums */
    char activity[PW_NAME_BYTES_MAX + 1], model[PW_NAME_BYTES_MAX + 1];
    char budget[PW_BUDGET_NAME_MAX + 1];
} cost_map;

typedef struct cost {
    pw_buf *out;
    size_t len;
    sums sums;
    cost_map map; /* not put yet; no items = none */
} cost;

static void put_row(cost *c, const pw_ledger_row *row, int64_t items)
{
    pw_buf *out = c->out;
    pw_mp_map(out, 12);
    pw_view_put_int(out, "command", row->cmd);
    pw_view_put_int(out, "items", items);
    pw_view_put_int(out, "attempt", row->attempt);
    pw_view_put_int(out, "round", row->round);
    pw_mp_str(out, "state");
    pw_mp_str(out, state_name(row->state));
    pw_view_put_text(out, "activity", row->activity);
    pw_view_put_text(out, "model", row->model);
    pw_view_put_text(out, "budget", row->budget);
    pw_mp_str(out, "unpriced");
    pw_mp_bool(out, row->unpriced);
    put_amounts(out, "estimate", &row->estimate);
    put_amounts(out, "spent", &row->spent);
    pw_view_put_int(out, "at_ms", row->at_ms);
    c->len++;
}

static pw_view copy_text(pw_view text, char *to, size_t size)
{
    size_t len = text.size < size ? text.size : size - 1;
    memcpy(to, text.size > 0 ? (const char *)text.data : "", len);
    to[len] = 0;
    return (pw_view){(const uint8_t *)to, len};
}

static void put_map(cost *c)
{
    if (c->map.items > 0) {
        put_row(c, &c->map.row, c->map.items);
    }
    c->map.items = 0;
}

static void begin_map(cost_map *m, const pw_ledger_row *row)
{
    static const pw_amounts none;
    *m = (cost_map){.row = *row};
    m->row.estimate = m->row.spent = none;
    m->row.attempt = 0;
    m->row.round = 1;
    m->row.activity = copy_text(row->activity, m->activity, sizeof m->activity);
    m->row.model = copy_text(row->model, m->model, sizeof m->model);
    m->row.budget = copy_text(row->budget, m->budget, sizeof m->budget);
}

/* The attempt of an entry is how many there were; it is estimated when one of them is. */
static void add_item(cost *c, const pw_ledger_row *row)
{
    cost_map *m = &c->map;
    if (m->items == 0 || m->row.cmd != row->cmd) {
        put_map(c);
        begin_map(m, row);
    }
    m->items += m->items == 0 || m->last_item != row->item;
    m->last_item = row->item;
    m->row.attempt++;
    m->row.state = row->state == PW_LEDGER_ESTIMATED ? row->state : m->row.state;
    m->row.unpriced |= row->unpriced;
    m->row.at_ms = row->at_ms > m->row.at_ms ? row->at_ms : m->row.at_ms;
    pw_amounts_add(&m->row.estimate, &row->estimate);
    pw_amounts_add(&m->row.spent, &row->spent);
    if (!pw_view_eq(m->row.model, row->model)) {
        m->row.model = (pw_view){(const uint8_t *)"several", 7};
    }
}

static bool put_entry(void *ctx, const pw_ledger_row *row)
{
    cost *c = ctx;
    sum_up(&c->sums, row);
    if (row->item != 0) {
        add_item(c, row);
    } else {
        put_map(c);
        put_row(c, row, 0);
    }
    return true;
}

typedef struct up {
    pw_buf *out;
    size_t len;
    char next[PW_BUDGET_NAME_MAX + 1];
} up;

static bool put_budget(void *ctx, const pw_budget_row *row)
{
    up *u = ctx;
    pw_mp_map(u->out, PW_VIEW_BUDGET_FIELDS);
    pw_view_put_budget(u->out, row);
    (void)snprintf(u->next, sizeof u->next, "%.*s", (int)row->parent.size,
                   (const char *)row->parent.data);
    u->len++;
    return false;
}

static pawl_status put_budgets(pw_reader *reader, int64_t run, pw_buf *out, pawl_error *err)
{
    up u = {.out = out};
    pawl_status st = PAWL_OK;
    (void)snprintf(u.next, sizeof u.next, "run:%lld", (long long)run);
    pw_mp_str(out, "budgets");
    size_t begin = pw_view_array_begin(out);
    for (size_t i = 0; i <= PW_BUDGET_DEPTH_MAX && u.next[0] != 0 && st == PAWL_OK; i++) {
        char name[PW_BUDGET_NAME_MAX + 1];
        memcpy(name, u.next, sizeof name);
        u.next[0] = 0;
        st = reader->ops->budgets(reader, (pw_view){(const uint8_t *)name, strlen(name)},
                                  put_budget, &u, err);
    }
    pw_view_array_end(out, begin, u.len);
    return st;
}

static pawl_status of_run(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                          pawl_error *err)
{
    pw_run_row row;
    cost c = {.out = out};
    pawl_status st = pw_view_find_run(reader, args, scope, &row, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_mp_map(out, 5 + SUM_FIELDS);
    pw_view_put_text(out, "id", row.id);
    pw_view_put_text(out, "workflow", row.workflow);
    pw_mp_str(out, "status");
    pw_mp_str(out, pw_run_status_name(row.status));
    st = put_budgets(reader, row.key, out, err);
    pw_mp_str(out, "entries");
    size_t begin = pw_view_array_begin(out);
    if (st == PAWL_OK) {
        st = reader->ops->ledger(reader, row.key, false, put_entry, &c, err);
        put_map(&c);
    }
    pw_view_array_end(out, begin, c.len);
    put_sums(out, &c.sums);
    return st;
}

/* ---- totals ---- */

typedef struct total {
    sums sums;
    UT_hash_handle hh;
    char key[PW_NAME_BYTES_MAX + 1];
} total;

typedef struct totals {
    const char *by;
    total *list;
    sums all;
    bool failed;
} totals;

static void key_of(const totals *t, const pw_ledger_row *row, char ret[PW_NAME_BYTES_MAX + 1])
{
    const pw_view *text = strcmp(t->by, "model") == 0 ? &row->model : &row->workflow;
    if (strcmp(t->by, "day") == 0) {
        time_t at = (time_t)(row->at_ms / 1000);
        struct tm day;
        (void)gmtime_r(&at, &day);
        (void)strftime(ret, PW_NAME_BYTES_MAX, "%Y-%m-%d", &day);
        return;
    }
    (void)snprintf(ret, PW_NAME_BYTES_MAX + 1, "%.*s", (int)text->size,
                   text->size > 0 ? (const char *)text->data : "");
}

static bool add_total(void *ctx, const pw_ledger_row *row)
{
    totals *t = ctx;
    char key[PW_NAME_BYTES_MAX + 1];
    total *found = NULL;
    key_of(t, row, key);
    HASH_FIND_STR(t->list, key, found);
    if (found == NULL) {
        found = pw_calloc(1, sizeof *found);
        if (found != NULL) {
            memcpy(found->key, key, sizeof key);
            HASH_ADD_STR(t->list, key, found);
        }
        t->failed |= found == NULL || found->hh.tbl == NULL;
        if (t->failed) {
            pw_free(found != NULL && found->hh.tbl == NULL ? found : NULL);
            return false;
        }
    }
    sum_up(&found->sums, row);
    sum_up(&t->all, row);
    return true;
}

static int by_key(const total *a, const total *b)
{
    return strcmp(a->key, b->key);
}

static void put_totals(totals *t, pw_buf *out)
{
    total *at, *next;
    HASH_SORT(t->list, by_key);
    pw_mp_map(out, 2 + SUM_FIELDS);
    pw_mp_str(out, "by");
    pw_mp_str(out, t->by);
    pw_mp_str(out, "totals");
    pw_mp_array(out, HASH_COUNT(t->list));
    HASH_ITER (hh, t->list, at, next) {
        pw_mp_map(out, 2 + SUM_FIELDS);
        pw_mp_str(out, "key");
        pw_mp_str(out, at->key);
        pw_view_put_int(out, "entries", at->sums.entries);
        put_sums(out, &at->sums);
    }
    put_sums(out, &t->all);
}

pawl_status pw_view_cost(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                         pawl_error *err)
{
    totals t = {.by = pawl_str(args, "by", "workflow")};
    if (pawl_get(args, "id") != NULL || pawl_get(args, "key") != NULL) {
        return of_run(reader, args, scope, out, err);
    }
    if (strcmp(t.by, "workflow") != 0 && strcmp(t.by, "model") != 0 && strcmp(t.by, "day") != 0) {
        return pw_err(err, PAWL_INVALID, "totals are by workflow, model or day, not by \"%.40s\"",
                      t.by);
    }
    pawl_status st = reader->ops->ledger(reader, 0, false, add_total, &t, err);
    st = st == PAWL_OK && t.failed ? pw_err(err, PAWL_NOMEM, "no memory for totals") : st;
    if (st == PAWL_OK) {
        put_totals(&t, out);
    }
    total *at, *next;
    HASH_ITER (hh, t.list, at, next) {
        HASH_DEL(t.list, at);
        pw_free(at);
    }
    return st;
}
