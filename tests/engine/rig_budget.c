/*
 * rig_budget.c - budgets and the ledger, as the journal has them, for tests. Does not change them.
 */
#include "rig_budget.h"

#include <stdio.h>

#include "engine/parts.h"
#include "engine/view.h"

static bool take_sums(void *ctx, const pw_budget_row *row)
{
    *(rig_sums *)ctx = (rig_sums){row->spent.n[PW_UNIT_USD], row->reserved.n[PW_UNIT_USD],
                                  row->limits.hard.n[PW_UNIT_USD]};
    return false;
}

rig_sums rig_budget(rig *r, const char *budget)
{
    rig_sums s = {-1, -1, -1};
    pawl_error err;
    pw_view name = {(const uint8_t *)budget, strlen(budget)};
    assert_int_equal(r->reader->ops->budgets(r->reader, name, take_sums, &s, &err), PAWL_OK);
    return s;
}

void rig_budget_is(rig *r, const char *budget, int64_t spent, int64_t reserved)
{
    rig_sums s = rig_budget(r, budget);
    assert_int_equal(s.spent, spent);
    assert_int_equal(s.reserved, reserved);
}

static bool add_entry(void *ctx, const pw_ledger_row *row)
{
    static const char states[] = "?RBSE";
    pw_buf *out = ctx;
    pw_buf_printf(out, "%lld.%lld.%lld%c%lld ", (long long)row->cmd, (long long)row->attempt,
                  (long long)row->round, states[row->state],
                  (long long)(row->state < PW_LEDGER_SETTLED ? row->estimate.n[PW_UNIT_USD]
                                                             : row->spent.n[PW_UNIT_USD]));
    return true;
}

/* "2.1.1S30": command 2, attempt 1, round 1, settled at 30. */
void rig_entries(rig *r, const char *id, const char *expected)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(
        r->reader->ops->ledger(r->reader, rig_key(r, id), false, add_entry, &out, &err), PAWL_OK);
    assert_string_equal(pw_buf_cstr(&out), expected);
}

void rig_budget_name(rig *r, const char *id, char ret[40])
{
    (void)snprintf(ret, 40, "run:%lld", (long long)rig_key(r, id));
}

void rig_spent(rig *r, const char *id, int64_t spent, int64_t reserved)
{
    char name[40];
    rig_budget_name(r, id, name);
    rig_budget_is(r, name, spent, reserved);
}

/* [J19], by the journal's own check. */
static void finding(void *ctx, const pw_verify_finding *f)
{
    (void)ctx;
    fail_msg("%s: %s", f->invariant, f->message);
}

void rig_verify(rig *r)
{
    pw_verify_stats stats;
    pawl_error err;
    if (r->store != NULL) {
        assert_int_equal(pw_memory_verify(r->store, finding, NULL, &stats, &err), PAWL_OK);
    } else {
        assert_int_equal(pw_sqlite_verify(r->path, finding, NULL, &stats, &err), PAWL_OK);
    }
}

const pawl_value *rig_open_waits(rig *r)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(pw_view_request(r->reader, PW_REQ_WAITS, NULL, &out, &err), PAWL_OK);
    return pw_value_copy(r->scope, out.data, out.size);
}

void rig_start_budget_with(rig *r, const char *workflow, const char *id, const pawl_value *input,
                           const pawl_value *budget)
{
    const rig_reply *reply = rig_ask(r, "start", "{workflow: %s, id: %s, input: %p, budget: %p}",
                                     workflow, id, pawl_v(input), pawl_v(budget));
    assert_int_equal(reply->status, PAWL_OK);
    rig_run(r);
}

void rig_start_budget(rig *r, const char *workflow, const char *id, const pawl_value *budget)
{
    rig_start_budget_with(r, workflow, id, NULL, budget);
}

void rig_spend(rig *r, double usd)
{
    assert_true(pawl_task_spend(
        rig_task_find(r, "llm")->task,
        rig_value(r, "{usd: %g, input: 10, output: 5, calls: 1, model: %s}", usd, "m")));
}

void rig_pay(rig *r, double usd)
{
    rig_spend(r, usd);
    rig_done(r, rig_task_find(r, "llm"), rig_value(r, "{ok: true}"));
}
