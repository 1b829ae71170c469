/*
 * view_budget.c - the request budgets: what there is, how much of it is used, whose it is, and which questions it has asked.
 *
 * Reads rows alone, so that it answers without an engine, too. Does not say which steps wait for what others give back: nobody is asked about
 * those, and they go on by themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/view_show.h"
#include "sdk/base/arena.h"
#include "sdk/base/value.h"

typedef struct list {
    pw_reader *reader;
    pw_buf *out;
    const char *only;  /* its own row and those right below it; NULL = all */
    const char *after; /* the last name of the page before */
    bool every;        /* those without a limit, too */
    size_t len, len_max;
    char next[PW_BUDGET_NAME_MAX + 1]; /* the one above */
    char last[PW_BUDGET_NAME_MAX + 1];
    const pawl_value *waits;
    pawl_scope *scope;
} list;

/* ---- the run that it is of ---- */

static bool put_run(void *ctx, const pw_run_row *row)
{
    pw_buf *out = ctx;
    pw_mp_str(out, "run");
    pw_mp_map(out, 3);
    pw_view_put_text(out, "id", row->id);
    pw_view_put_text(out, "workflow", row->workflow);
    pw_mp_str(out, "status");
    pw_mp_str(out, pw_run_status_name(row->status));
    return false;
}

/* "run:12" and "step:12.3" are of run 12. */
static int64_t run_of(pw_view name)
{
    char text[48];
    (void)snprintf(text, sizeof text, "%.*s", (int)name.size, (const char *)name.data);
    const char *digits = strncmp(text, "run:", 4) == 0    ? text + 4
                         : strncmp(text, "step:", 5) == 0 ? text + 5
                                                          : "";
    return strtoll(digits, NULL, 10);
}

/* ---- its questions ---- */

static bool asks(const pawl_value *wait, pw_view name)
{
    const char *of = pawl_str(wait, "show.budget", "");
    return pawl_is(wait, "kind", "budget") && strlen(of) == name.size &&
           memcmp(of, name.data, name.size) == 0;
}

static void put_held(list *l, pw_view name)
{
    size_t n = 0;
    for (size_t i = 0; i < pawl_len(l->waits); i++) {
        n += asks(pawl_at(l->waits, i), name) ? 1 : 0;
    }
    pw_mp_str(l->out, "held");
    pw_mp_array(l->out, n);
    for (size_t i = 0; i < pawl_len(l->waits); i++) {
        const pawl_value *w = pawl_at(l->waits, i);
        if (asks(w, name)) {
            pw_mp_value(
                l->out,
                pawl_build(l->scope, "{id: %s, name: %s, command: %lld, since_ms: %lld, show: %p}",
                           pawl_str(w, "id", ""), pawl_str(w, "name", ""),
                           (long long)pawl_int(w, "command", 0),
                           (long long)pawl_int(w, "created_ms", 0), pawl_v(pawl_get(w, "show"))));
        }
    }
}

/* Who set its limits last. */
static bool put_set(void *ctx, pw_view key, pw_view value)
{
    pw_buf *out = ctx;
    (void)key;
    pw_mp_str(out, "set");
    pw_buf_put(out, value.data, value.size);
    return false;
}

/* ---- one ---- */

void pw_view_put_budget(pw_buf *out, const pw_budget_row *row)
{
    pw_view_put_text(out, "name", row->name);
    pw_view_put_text(out, "parent", row->parent);
    pw_mp_str(out, "limits");
    pw_mp_map(out, 2);
    pw_mp_str(out, "soft");
    pw_amounts_put_limits(out, &row->limits.soft);
    pw_mp_str(out, "hard");
    pw_amounts_put_limits(out, &row->limits.hard);
    pw_mp_str(out, "spent");
    pw_amounts_put(out, &row->spent);
    pw_mp_str(out, "reserved");
    pw_amounts_put(out, &row->reserved);
}

static void put_one(list *l, const pw_budget_row *row)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf more = PW_BUF_INIT;
    pw_buf *out = l->out;
    pawl_error err;
    const pw_journal_ops *j = l->reader->ops;
    size_t pairs = PW_VIEW_BUDGET_FIELDS + 1;
    int64_t run = run_of(row->name);
    char key[PW_BUDGET_NAME_MAX + 16];
    (void)snprintf(key, sizeof key, "budget/%.*s", (int)row->name.size,
                   (const char *)row->name.data);
    if (run > 0 && j->run_get(l->reader, run, put_run, &more, &err) == PAWL_OK) {
        pairs++;
    }
    size_t before = more.size;
    (void)j->keys(l->reader, 0, (pw_view){(const uint8_t *)key, strlen(key)}, put_set, &more, &err);
    pairs += more.size > before ? 1 : 0;
    pw_mp_map(out, pairs);
    pw_view_put_budget(out, row);
    put_held(l, row->name);
    pw_buf_put(out, more.data, more.size);
    l->len++;
}

static bool limited(const pw_limits *l)
{
    for (int u = 0; u < PW_UNITS; u++) {
        if (l->hard.n[u] != PW_NO_LIMIT || l->soft.n[u] != PW_NO_LIMIT) {
            return true;
        }
    }
    return false;
}

static bool is(pw_view v, const char *text)
{
    return text != NULL && v.size == strlen(text) && memcmp(v.data, text, v.size) == 0;
}

static bool see(void *ctx, const pw_budget_row *row)
{
    list *l = ctx;
    char name[PW_BUDGET_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)row->name.size, (const char *)row->name.data);
    if (l->after != NULL && strcmp(name, l->after) <= 0) {
        return true;
    }
    bool wanted = l->only != NULL ? is(row->name, l->only) || is(row->parent, l->only)
                                  : l->every || limited(&row->limits) || run_of(row->name) == 0;
    if (wanted && l->len >= l->len_max) {
        return false;
    }
    if (wanted) {
        put_one(l, row);
        memcpy(l->last, name, sizeof name);
    }
    return true;
}

/* One of those above: its row alone. */
static bool see_above(void *ctx, const pw_budget_row *row)
{
    list *l = ctx;
    put_one(l, row);
    (void)snprintf(l->next, sizeof l->next, "%.*s", (int)row->parent.size,
                   (const char *)row->parent.data);
    return false;
}

static bool see_parent(void *ctx, const pw_budget_row *row)
{
    list *l = ctx;
    (void)snprintf(l->next, sizeof l->next, "%.*s", (int)row->parent.size,
                   (const char *)row->parent.data);
    l->last[0] = 1;
    return false;
}

static pawl_status above(list *l, pawl_error *err)
{
    const pw_journal_ops *j = l->reader->ops;
    pawl_status st = j->budgets(l->reader, (pw_view){(const uint8_t *)l->only, strlen(l->only)},
                                see_parent, l, err);
    if (st == PAWL_OK && l->last[0] == 0) {
        return pw_err(err, PAWL_NOTFOUND, "there is no budget \"%.100s\"", l->only);
    }
    l->last[0] = 0;
    for (size_t i = 0; i <= PW_BUDGET_DEPTH_MAX && l->next[0] != 0 && st == PAWL_OK; i++) {
        char name[PW_BUDGET_NAME_MAX + 1];
        memcpy(name, l->next, sizeof name);
        l->next[0] = 0;
        st = j->budgets(l->reader, (pw_view){(const uint8_t *)name, strlen(name)}, see_above, l,
                        err);
    }
    return st;
}

static pawl_status read_waits(list *l, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf waits = PW_BUF_INIT;
    pawl_status st = pw_view_waits(l->reader, NULL, l->scope, &waits, err);
    l->waits = st == PAWL_OK ? pw_value_copy(l->scope, waits.data, waits.size) : NULL;
    return st;
}

pawl_status pw_view_budgets(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                            pw_buf *out, pawl_error *err)
{
    char own[40];
    pw_run_row row;
    int64_t most = pawl_int(args, "limit", 1000);
    list l = {.reader = reader,
              .out = out,
              .scope = scope,
              .only = pawl_str(args, "name", NULL),
              .after = pawl_str(args, "after", NULL),
              .every = pawl_bool(args, "all", false),
              .len_max = most > 0 && most < 1000 ? (size_t)most : 1000};
    pawl_status st = read_waits(&l, err);
    if (st == PAWL_OK && l.only == NULL && pawl_get(args, "id") != NULL) {
        st = pw_view_find_run(reader, args, scope, &row, err);
        (void)snprintf(own, sizeof own, "run:%lld", (long long)(st == PAWL_OK ? row.key : 0));
        l.only = own;
    }
    pw_mp_map(out, 2);
    pw_mp_str(out, "budgets");
    size_t begin = pw_view_array_begin(out);
    st = st == PAWL_OK && l.only != NULL ? above(&l, err) : st;
    st = st == PAWL_OK ? reader->ops->budgets(reader, (pw_view){NULL, 0}, see, &l, err) : st;
    pw_view_array_end(out, begin, l.len);
    pw_mp_str(out, "next"); /* "" = that was all */
    pw_mp_str(out, l.len >= l.len_max ? l.last : "");
    return st;
}
