/*
 * show_test.c - groups that the journal gets while they are still being built: what it has been shown stays as it is, and what cannot go on so
 * takes the group back. The journal of these tests only looks on; that it applies such groups is tests/journal/writer_test.c.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/parts.h"
#include "rig_inside.h"

/* What the journal thread would have in hands. */
static struct seen {
    pw_group *group;
    const pw_op *ops;
    pw_op *copy;
    size_t shown;
    int opened, wholes, backs;
    void (*commit)(void *ctx, pw_group *group);
} seen;

static void look(pw_group *group, size_t shown)
{
    assert_ptr_equal(group, seen.group);
    assert_ptr_equal(group->ops, seen.ops); /* it has not moved */
    assert_true(shown >= seen.shown);
    assert_memory_equal(seen.ops, seen.copy, seen.shown * sizeof(pw_op));
    seen.copy = realloc(seen.copy, shown * sizeof(pw_op));
    memcpy(seen.copy, group->ops, shown * sizeof(pw_op));
    seen.shown = shown;
}

static void forget(void)
{
    free(seen.copy);
    seen.copy = NULL;
    seen.group = NULL;
    seen.shown = 0;
}

static void open_group(void *ctx, pw_group *group, size_t shown)
{
    const rig *r = ctx;
    assert_null(seen.group);
    assert_null(r->groups); /* else it would wait behind another */
    assert_int_equal(r->core->flight_len, 0);
    assert_true(group->number == r->core->group_no + 1);
    seen.group = group;
    seen.ops = group->ops;
    seen.opened++;
    look(group, shown);
}

static void show_group(void *ctx, pw_group *group, size_t shown, bool whole)
{
    look(group, shown);
    if (whole) {
        assert_int_equal(shown, group->len);
        seen.wholes++;
        forget();
        seen.commit(ctx, group);
    }
}

static void take_back_group(void *ctx, pw_group *group)
{
    (void)ctx;
    look(group, seen.shown);
    seen.backs++;
    forget();
}

static void watch(rig *r)
{
    const pw_env *env = &r->core->env;
    forget();
    seen = (struct seen){.commit = env->commit};
    r->core->env.commit_open = open_group;
    r->core->env.commit_show = show_group;
    r->core->env.commit_back = take_back_group;
    r->core->sync_ns = INT64_C(1000000000); /* whatever is ready is little beside it */
}

static const pawl_value *small(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_json(w, "7");
}

static const pawl_value *big_step(pawl_step *s, const pawl_value *in)
{
    (void)in;
    const size_t size = 3u << 20;
    char *text = pawl_scope_alloc(pawl_step_scope(s), size + 1);
    memset(text, 'x', size);
    return pawl_make_strn(pawl_step_scope(s), text, size);
}

static const pawl_value *big(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_json(w, "%zu", pawl_len(pawl_local(w, "big", big_step, NULL)));
}

static void post(rig *r, const char *workflow, int from, int to)
{
    char id[16];
    for (int i = from; i < to; i++) {
        (void)snprintf(id, sizeof id, "r%d", i);
        (void)rig_post(r, "start", "{workflow: %s, id: %s}", workflow, id);
    }
}

static void assert_all_ended(rig *r, int len)
{
    char id[16];
    rig_run(r);
    for (int i = 0; i < len; i++) {
        (void)snprintf(id, sizeof id, "r%d", i);
        assert_string_equal(rig_status(r, id), "completed");
    }
    assert_null(seen.group);
    assert_int_equal(seen.opened, seen.wholes + seen.backs);
    forget();
}

/* [E1] [E2] as ever: it is one group, and its answer comes when it has landed. */
static void the_journal_gets_the_beginning_of_a_group_while_the_rest_is_built(void **state)
{
    rig *r = *state;
    rig_workflow(r, "small", small);
    watch(r);
    const rig_reply *first = rig_post(r, "start", "{workflow: \"small\", id: \"first\"}");
    post(r, "small", 0, 3 * PW_GROUP_SHOW_TURNS);
    rig_step(r);
    assert_int_equal(seen.opened, 1);
    assert_int_equal(seen.wholes, 1);
    assert_false(first->done);
    assert_true(rig_commit(r));
    assert_false(first->done);
    assert_true(rig_answer(r));
    assert_true(first->done);
    assert_int_equal(first->status, PAWL_OK);
    assert_all_ended(r, 3 * PW_GROUP_SHOW_TURNS);
    assert_int_equal(seen.backs, 0);
}

static void few_runs_are_handed_over_whole(void **state)
{
    rig *r = *state;
    rig_workflow(r, "small", small);
    watch(r);
    post(r, "small", 0, PW_GROUP_SHOW_TURNS / 2);
    assert_all_ended(r, PW_GROUP_SHOW_TURNS / 2);
    assert_int_equal(seen.opened, 0);
}

static void so_many_that_they_pay_for_their_own_syncs_are_handed_over_whole(void **state)
{
    rig *r = *state;
    rig_workflow(r, "small", small);
    watch(r);
    r->core->sync_ns = 1;
    post(r, "small", 0, 3 * PW_GROUP_SHOW_TURNS);
    assert_all_ended(r, 3 * PW_GROUP_SHOW_TURNS);
    assert_int_equal(seen.opened, 0);
}

/* Its chunks go before its group. */
static void a_payload_in_chunks_takes_the_group_back(void **state)
{
    rig *r = *state;
    rig_workflow(r, "small", small);
    rig_workflow(r, "big", big);
    watch(r);
    post(r, "small", 0, 2 * PW_GROUP_SHOW_TURNS);
    post(r, "big", 2 * PW_GROUP_SHOW_TURNS, 2 * PW_GROUP_SHOW_TURNS + 1);
    post(r, "small", 2 * PW_GROUP_SHOW_TURNS + 1, 4 * PW_GROUP_SHOW_TURNS);
    assert_all_ended(r, 4 * PW_GROUP_SHOW_TURNS);
    assert_true(seen.opened > 0);
    assert_int_equal(seen.backs, 1);
}

static void what_is_shown_does_not_move_however_many_come(void **state)
{
    rig *r = *state;
    rig_workflow(r, "small", small);
    watch(r);
    post(r, "small", 0, PW_GROUP_SHOW_OPS);
    assert_all_ended(r, PW_GROUP_SHOW_OPS);
    assert_true(seen.wholes > 0);
    assert_int_equal(seen.backs, 0); /* it is handed over before it is full */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(the_journal_gets_the_beginning_of_a_group_while_the_rest_is_built),
        RIG_TEST(few_runs_are_handed_over_whole),
        RIG_TEST(so_many_that_they_pay_for_their_own_syncs_are_handed_over_whole),
        RIG_TEST(a_payload_in_chunks_takes_the_group_back),
        RIG_TEST(what_is_shown_does_not_move_however_many_come),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
