/*
 * scene_memory.c - the memory store: put, searched, deleted, searched again. Does not test what is found: engine_memo does.
 */
#include "scene.h"

static const pawl_value *memory(pawl_run *w, const pawl_value *in)
{
    (void)pawl_memory_put(w, .space = "team/a", .key = "tea", .text = "She drinks green tea",
                          .data = in, .ttl_s = 60);
    (void)pawl_memory_put(w, .space = "team/a", .key = "car", .text = "The car is green");
    const pawl_value *found = pawl_memory_search(w, .space = "team/a", .query = "green tea");
    (void)pawl_memory_delete(w, "team/a", "tea");
    (void)pawl_sleep(w, 1);
    return pawl_json(
        w, "{before: %zu, after: %zu}", pawl_len(found),
        pawl_len(pawl_memory_search(w, .space = "team/a", .query = "green", .limit = 5)));
}

void scene_memory_code(rig *r)
{
    rig_workflow(r, "memory", memory);
}

void scene_memory_play(rig *r)
{
    rig_start_with(r, "memory", "a", rig_value(r, "{what: %s}", "it"));
    rig_advance(r, 5000);
    scene_end(r, "a", "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "before", 0), 2);
    assert_int_equal(pawl_int(rig_result(r, "a"), "after", 0), 1);
}
