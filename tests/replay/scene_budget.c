/*
 * scene_budget.c - scenes of budgets: what is set aside, held, raised, stopped and cut by a crash, of a step and of a map. Does not look at
 * sums: tests/engine does.
 */
#include "scene.h"

static const pawl_value *budget(pawl_run *w, const pawl_value *in)
{
    (void)in;
    for (int i = 0; i < 2; i++) {
        (void)pawl_call(w, "model", .input = pawl_json(w, "{n: %d}", i),
                        .reserve = pawl_json(w, "{usd: 0.5, calls: 1}"), .retries = 1,
                        .retry_initial_s = 1);
    }
    return pawl_budget(w);
}

void scene_budget_code(rig *r)
{
    rig_workflow(r, "budget", budget);
    rig_held(r, "model", PAWL_EFFECT_DEFAULT);
}

static void start(rig *r, const char *id, double usd)
{
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s, budget: {usd: %g, parent: %s}}",
                             "budget", id, usd, "goal:x")
                         ->status,
                     PAWL_OK);
    rig_run(r);
}

static void spend(rig *r)
{
    assert_true(pawl_task_spend(rig_task_find(r, "model")->task,
                                rig_value(r, "{usd: 0.25, calls: 1, model: 'm'}")));
}

static void pay(rig *r)
{
    spend(r);
    rig_done(r, rig_task_find(r, "model"), rig_value(r, "1"));
    rig_run(r);
}

static void answer(rig *r, const char *id, const char *choice)
{
    assert_int_equal(rig_ask(r, "answer",
                             "{id: %s, name: %s, value: {choice: %s, data: {usd: 2}}, by: %s}", id,
                             "budget", choice, "me")
                         ->status,
                     PAWL_OK);
    rig_run(r);
}

void scene_budget_play(rig *r)
{
    start(r, "fits", 2);
    pay(r);
    pay(r);
    scene_end(r, "fits", "completed");
    start(r, "raised", 0.6);
    pay(r); /* the second does not fit */
    rig_crash(r);
    rig_run(r);
    answer(r, "raised", "raise");
    pay(r);
    scene_end(r, "raised", "completed");
    start(r, "stopped", 0.1);
    answer(r, "stopped", "stop");
    scene_end(r, "stopped", "failed");
    start(r, "cut", 0.6);
    rig_crash(r); /* nobody knows what it used: it counts as 0.5, and the same does not fit again */
    rig_run(r);
    answer(r, "cut", "raise");
    rig_crash(r);
    rig_run(r);
    pay(r);
    pay(r);
    scene_end(r, "cut", "completed");
    start(r, "again", 0.6);
    spend(r);
    rig_fail(r, rig_task_find(r, "model"), "Boom", true);
    rig_advance(r, 1000);
    answer(r, "again", "raise");
    pay(r);
    pay(r);
    scene_end(r, "again", "completed");
}

/* ---- a map ---- */

static const pawl_value *map_budget(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_map(w, "model", pawl_json(w, "[1, 2, 3]"), .width = 2, .max_cost = 5,
                   .reserve = pawl_json(w, "{usd: 0.5, calls: 1}"));
    return pawl_budget(w);
}

void scene_map_budget_code(rig *r)
{
    rig_workflow(r, "map_budget", map_budget);
    rig_held(r, "model", PAWL_EFFECT_DEFAULT);
}

static void start_map(rig *r, const char *id, double usd)
{
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s, budget: {usd: %g, parent: %s}}",
                             "map_budget", id, usd, "goal:x")
                         ->status,
                     PAWL_OK);
    rig_run(r);
}

void scene_map_budget_play(rig *r)
{
    start_map(r, "raised", 0.8);
    pay(r);
    pay(r);
    rig_crash(r);
    rig_run(r);
    answer(r, "raised", "raise");
    pay(r);
    scene_end(r, "raised", "completed");
    start_map(r, "stopped", 0.1);
    answer(r, "stopped", "stop");
    scene_end(r, "stopped", "failed");
}
