/*
 * memory_verify.c - what the simulator asks of a journal in memory: histories whole [J3] [J8], pages of maps sound and counted [J17].
 *
 * As sqlite_verify.c does on a file. Does not check the rows that the map of the store cannot get wrong.
 */
#include <stdio.h>
#include <string.h>

#include "journal/map_page.h"
#include "journal/memory_ledger.h"

typedef struct check {
    pw_memory_store *s;
    pw_verify_fn fn;
    void *ctx;
    pw_verify_stats stats;
} check;

static void report(check *v, const char *invariant, int64_t run, int64_t pos, const char *message)
{
    pw_verify_finding f = {.invariant = invariant, .run = run, .pos = pos};
    snprintf(f.message, sizeof(f.message), "%.190s", message);
    v->stats.findings++;
    v->fn(v->ctx, &f);
}

static bool count_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    pw_verify_stats *stats = ctx;
    (void)pos;
    (void)first_seq;
    (void)record;
    stats->records++;
    stats->events += events;
    return true;
}

static void check_histories(check *v)
{
    pw_row_key from = PW_ROW_KEY(PW_TABLE_RUN, INT64_MIN);
    const pw_kv_node *at = pw_kv_seek(v->s->kv, pw_row_key_view(&from));
    for (; at != NULL && pw_kv_key(at).data[0] == PW_TABLE_RUN; at = pw_kv_next(at)) {
        pawl_error found = {0};
        int64_t run = pw_row_key_get(pw_kv_key(at), 0);
        v->stats.runs++;
        if (pw_memory_walk(v->s, run, 0, count_record, &v->stats, &found) != PAWL_OK) {
            report(v, "J3", run, 0, found.message);
        }
    }
}

typedef struct map_check {
    int64_t run, cmd, page, done, failed;
    uint8_t seen[PW_MAP_BITS_BYTES];
} map_check;

static void check_counts(check *v, const map_check *m)
{
    pw_row_key key = PW_ROW_KEY(PW_TABLE_MAP, m->run, m->cmd);
    const pw_kv_node *node = pw_kv_find(v->s->kv, pw_row_key_view(&key));
    pw_map_row row;
    if (node == NULL) {
        return; /* it has ended */
    }
    if (!pw_row_get_map(pw_kv_value(node), &row) || row.done != m->done ||
        row.failed != m->failed) {
        report(v, "J17", m->run, m->cmd, "a map counts other items than its pages hold");
    }
}

static void check_page(check *v, map_check *m, const pw_kv_node *at)
{
    pw_page_row row;
    pawl_error found;
    int64_t done = 0, failed = 0;
    pawl_status st = pw_row_get_page(pw_kv_key(at), pw_kv_value(at), &row, &found);
    if (row.page != m->page) {
        memset(m->seen, 0, sizeof(m->seen));
        m->page = row.page;
    }
    const char *fault =
        st == PAWL_OK ? pw_page_fault(&row, m->seen, &done, &failed) : found.message;
    if (fault != NULL) {
        report(v, "J17", row.run, row.cmd, fault);
    }
    m->done += done;
    m->failed += failed;
}

static void check_maps(check *v)
{
    map_check m = {.run = INT64_MIN};
    pw_row_key from = PW_ROW_KEY(PW_TABLE_PAGE, INT64_MIN);
    const pw_kv_node *at = pw_kv_seek(v->s->kv, pw_row_key_view(&from));
    for (; at != NULL && pw_kv_key(at).data[0] == PW_TABLE_PAGE; at = pw_kv_next(at)) {
        int64_t run = pw_row_key_get(pw_kv_key(at), 0);
        int64_t cmd = pw_row_key_get(pw_kv_key(at), 1);
        if (run != m.run || cmd != m.cmd) {
            check_counts(v, &m);
            m = (map_check){.run = run, .cmd = cmd, .page = INT64_MIN};
        }
        check_page(v, &m, at);
    }
    check_counts(v, &m);
}

pawl_status pw_memory_verify(pw_memory_store *s, pw_verify_fn fn, void *ctx,
                             pw_verify_stats *ret_stats, pawl_error *err)
{
    check v = {.s = s, .fn = fn, .ctx = ctx};
    (void)err;
    pthread_mutex_lock(&s->lock);
    memset(s->known, 0, sizeof(s->known)); /* whoever asks for the chains gets them hashed */
    check_histories(&v);
    check_maps(&v);
    if (!pw_memory_budgets_hold(s)) {
        report(&v, "J19", 0, 0, "a budget's sums are not those of its ledger");
    }
    pthread_mutex_unlock(&s->lock);
    *ret_stats = v.stats;
    return PAWL_OK;
}
