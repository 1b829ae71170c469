/*
 * memory_test.c - the faults that the simulator orders from the journal in memory. Does not run an
 * engine on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/journal/rig.h"

static void no_finding(void *ctx, const pw_verify_finding *f)
{
    (void)f;
    ++*(int *)ctx;
}

static int verify(rig *t)
{
    int findings = 0;
    pw_verify_stats stats;
    assert_int_equal(pw_memory_verify(t->store, no_finding, &findings, &stats, &t->err), PAWL_OK);
    return findings;
}

static void an_ordered_refusal_writes_nothing(void **state)
{
    (void)state;
    rig_history h;
    rig *t = rig_open("memory");
    rig_run a = rig_start(t, "a");
    pw_memory_fail_commit(t->store, PW_FAULT_NOT, 1);
    assert_int_equal(rig_turn(t, &a, 1, "one"), PAWL_OK);
    assert_int_equal(rig_turn(t, &a, 1, "two"), PAWL_NOT);
    pw_memory_fail_commit(t->store, PW_FAULT_NOSPACE, 0);
    assert_int_equal(rig_turn(t, &a, 1, "two"), PAWL_NOSPACE);
    assert_int_equal(rig_turn(t, &a, 1, "three"), PAWL_OK);
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start one three ");
    assert_int_equal(pw_memory_commits(t->store), 5);
    assert_int_equal(verify(t), 0);
    rig_close(t);
}

static void unknown(pw_memory_fault fault, bool expected)
{
    rig_history h;
    bool landed = !expected;
    rig *t = rig_open("memory");
    rig_run a = rig_start(t, "a");
    pw_memory_fail_commit(t->store, fault, 0);
    assert_int_equal(rig_turn(t, &a, 1, "one"), PAWL_UNKNOWN);
    assert_int_equal(rig_turn(t, &a, 1, "one"), PAWL_NOT);
    assert_int_equal(t->j->ops->resolve(t->j, t->epoch, t->number + 1, &landed, &t->err), PAWL_NOT);
    assert_int_equal(t->j->ops->reopen(t->j, &t->err), PAWL_OK);
    assert_int_equal(t->j->ops->resolve(t->j, t->epoch, t->number + 1, &landed, &t->err), PAWL_OK);
    assert_int_equal(landed, expected);
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, expected ? "start one " : "start ");
    assert_int_equal(verify(t), 0);
    rig_close(t);
}

static void an_unknown_outcome_is_told_apart_after_the_rite(void **state)
{
    (void)state;
    unknown(PW_FAULT_UNKNOWN_LANDED, true);
    unknown(PW_FAULT_UNKNOWN_LOST, false);
}

static void a_failed_checkpoint_is_told_to_the_next_group(void **state)
{
    (void)state;
    bool landed = true;
    rig *t = rig_open("memory");
    rig_run a = rig_start(t, "a");
    pw_memory_fail_commit(t->store, PW_FAULT_CHECKPOINT, 0);
    assert_int_equal(rig_turn(t, &a, 1, "one"), PAWL_OK);
    assert_int_equal(rig_turn(t, &a, 1, "two"), PAWL_UNKNOWN);
    assert_int_equal(rig_turn(t, &a, 1, "two"), PAWL_NOT);
    assert_int_equal(t->j->ops->reopen(t->j, &t->err), PAWL_OK);
    assert_int_equal(t->j->ops->resolve(t->j, t->epoch, t->number + 1, &landed, &t->err), PAWL_OK);
    assert_false(landed);
    assert_int_equal(rig_turn(t, &a, 1, "two"), PAWL_OK);
    rig_close(t);
}

static void a_crash_keeps_what_was_committed(void **state)
{
    (void)state;
    rig_history h;
    rig *t = rig_open("memory");
    rig_run a = rig_start(t, "a");
    pw_memory_fail_commit(t->store, PW_FAULT_UNKNOWN_LANDED, 0);
    assert_int_equal(rig_turn(t, &a, 1, "one"), PAWL_UNKNOWN);
    rig_restart(t);
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start one ");
    rig_close(t);
}

static void a_flipped_bit_is_damage(void **state)
{
    (void)state;
    rig_history h;
    rig *t = rig_open("memory");
    rig_run a = rig_start(t, "a");
    assert_int_equal(rig_turn(t, &a, 3, "one"), PAWL_OK);
    assert_false(pw_memory_damage(t->store, 9, 0));
    assert_true(pw_memory_damage(t->store, a.key, 2));
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_DAMAGED);
    assert_string_equal(h.texts, "start ");
    assert_int_equal(verify(t), 1);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordered_refusal_writes_nothing),
        cmocka_unit_test(an_unknown_outcome_is_told_apart_after_the_rite),
        cmocka_unit_test(a_failed_checkpoint_is_told_to_the_next_group),
        cmocka_unit_test(a_crash_keeps_what_was_committed),
        cmocka_unit_test(a_flipped_bit_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
