/*
 * llm_spend.c - what a call has spent: tokens of every answer that was paid, calls, money by the price table; told to the ledger once, before
 * the attempt ends, whatever its end is.
 *
 * An answer whose usage nobody said, or a request of which nothing was heard, is told as unknown: it counts as what was reserved. A model that
 * is in no table is told as unpriced, with its tokens. Does not know budgets: pawl_task_spend does.
 */
#include "activities/llm_activity.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "activities/llm.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

/* ---- the table ---- */

enum { TABLE_BYTES_MAX = 4 << 20 };

static pawl_status read_file(const char *path, pw_buf *out, pawl_error *err)
{
    char piece[4096];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return pw_err(err, PAWL_INVALID, "the price table %s cannot be opened", path);
    }
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        pw_buf_put(out, piece, n);
    }
    const bool bad = ferror(f) != 0;
    (void)fclose(f);
    return bad              ? pw_err(err, PAWL_INVALID, "the price table %s cannot be read", path)
           : pw_buf_ok(out) ? PAWL_OK
                            : pw_err(err, PAWL_INVALID, "the price table %s is too large", path);
}

pawl_status pw_llm_prices_load(const char *path, pw_buf *ret_table, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const pawl_value *prices = NULL;
    if (path == NULL || path[0] == '\0') {
        return PAWL_OK;
    }
    text.bytes_max = TABLE_BYTES_MAX;
    pawl_scope *scope = pawl_scope_new();
    pawl_status st = scope != NULL ? read_file(path, &text, err)
                                   : pw_err(err, PAWL_NOMEM, "no memory for a price table");
    if (st == PAWL_OK) {
        st = pw_llm_prices_read(scope, (const char *)text.data, text.size, &prices, err);
        st = st == PAWL_OK ? st : pw_error_wrap(err, st, "the price table %s", path);
    }
    if (st == PAWL_OK) {
        const pw_view bytes = pw_value_bytes(prices);
        pw_buf_put(ret_table, bytes.data, bytes.size);
        st = pw_buf_ok(ret_table) ? st : pw_err(err, PAWL_NOMEM, "no memory for a price table");
    }
    pawl_scope_free(scope);
    return st;
}

pw_llm_setup *pw_llm_setup_new(const pawl_net_options *options, pw_view prices)
{
    const size_t kept = pw_kept_bytes(PW_LLM_KEPT_BYTES);
    pw_llm_setup *s = pw_calloc(1, sizeof *s + kept + prices.size);
    if (s == NULL) {
        return NULL;
    }
    s->activity = pw_llm_calls;
    s->scrub = options->llm_scrub;
    s->scrub_user = options->llm_scrub_user;
    s->kept = pw_kept_init(s->end, PW_LLM_KEPT_BYTES);
    s->prices = (pw_view){s->end + kept, prices.size};
    if (prices.size > 0) {
        memcpy(s->end + kept, prices.data, prices.size);
    }
    return s;
}

static bool priced(const pw_llm_setup *setup, pawl_scope *scope, const pw_llm_paid *paid,
                   const char *model, int64_t *ret_nano)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    const pawl_value *prices = setup->prices.size > 0
                                   ? pw_value_view(scope, setup->prices.data, setup->prices.size)
                                   : NULL;
    return prices != NULL && model != NULL &&
           pw_llm_cost(prices, paid->provider, model, pawl_get(paid->answer, "usage"),
                       (int64_t)t.tv_sec * 1000, ret_nano) == PAWL_OK;
}

/* ---- one call ---- */

void pw_llm_spend_answer(const pw_llm_setup *setup, pawl_scope *scope, const pw_llm_paid *paid,
                         pw_llm_spent *spent)
{
    int64_t nano = 0;
    const pawl_value *usage = pawl_get(paid->answer, "usage");
    spent->calls++;
    spent->unknown |= usage == NULL;
    spent->model = paid->model;
    if (usage == NULL) {
        return;
    }
    const bool known = priced(setup, scope, paid, paid->model, &nano) ||
                       priced(setup, scope, paid, pawl_str(paid->answer, "model", NULL), &nano);
    spent->unpriced |= !known;
    if (known && __builtin_add_overflow(spent->nano, nano, &spent->nano)) {
        spent->nano = INT64_MAX;
    }
}

void pw_llm_spend_tell(pawl_task *task, pawl_scope *scope, const pw_llm_sum *usage,
                       const pw_llm_spent *spent)
{
    const double usd = (double)spent->nano / 1e9;
    const pawl_value *v = pawl_build(
        scope,
        "{usd: %g, input: %lld, cache_read: %lld, cache_write: %lld, output: %lld, reasoning: %lld, calls: %d}",
        usd, (long long)usage->of[0], (long long)usage->of[1],
        (long long)usage->of[2], /* those kept for an hour are among them */
        (long long)usage->of[4], (long long)usage->of[5], spent->calls);
    if (spent->model != NULL) {
        v = pawl_with(scope, v, "model", pawl_make_str(scope, spent->model));
    }
    if (spent->unpriced) {
        v = pawl_with(scope, v, "unpriced", pawl_make_bool(scope, true));
    }
    if (spent->unknown) {
        v = pawl_with(scope, v, "unknown", pawl_make_bool(scope, true));
    }
    if (v != NULL) { /* (without memory nothing is said, and the reserve counts) */
        (void)pawl_task_spend(task, v);
    }
}
