/*
 * scene.c - the list of scenes. Does not run them: its tests do.
 */
#include "scene.h"

const scene scene_list[] = {
    {.name = "call", .code = scene_call_code, .play = scene_call_play},
    {.name = "unsafe", .code = scene_unsafe_code, .play = scene_unsafe_play},
    {.name = "undo", .code = scene_undo_code, .play = scene_undo_play},
    {.name = "undo-open", .code = scene_undo_open_code, .play = scene_undo_open_play},
    {.name = "step", .code = scene_step_code, .play = scene_step_play},
    {.name = "transact", .code = scene_transact_code, .play = scene_transact_play, .file = true},
    {.name = "map", .code = scene_map_code, .play = scene_map_play},
    {.name = "child", .code = scene_child_code, .play = scene_child_play},
    {.name = "branch", .code = scene_branch_code, .play = scene_branch_play},
    {.name = "timer", .code = scene_timer_code, .play = scene_timer_play},
    {.name = "signal", .code = scene_signal_code, .play = scene_signal_play},
    {.name = "ask", .code = scene_ask_code, .play = scene_ask_play},
    {.name = "approve", .code = scene_approve_code, .play = scene_approve_play},
    {.name = "shield", .code = scene_shield_code, .play = scene_shield_play},
    {.name = "life", .code = scene_life_code, .play = scene_life_play},
    {.name = "continue", .code = scene_continue_code, .play = scene_continue_play},
    {.name = "patch",
     .code = scene_patch_code,
     .play = scene_patch_play,
     .newest = scene_patch_newest},
    {.name = "drift",
     .code = scene_drift_code,
     .play = scene_drift_play,
     .newest = scene_drift_newest},
    {.name = "mismatch", .code = scene_mismatch_code, .play = scene_mismatch_play},
    {.name = "fold", .code = scene_fold_code, .play = scene_fold_play},
    {.name = "convo", .code = scene_convo_code, .play = scene_convo_play},
    {.name = "budget", .code = scene_budget_code, .play = scene_budget_play},
    {.name = "map-budget", .code = scene_map_budget_code, .play = scene_map_budget_play},
    {.name = "memory", .code = scene_memory_code, .play = scene_memory_play},
    {.name = "agent", .code = scene_agent_code, .play = scene_agent_play},
    {.name = "choose", .code = scene_choose_code, .play = scene_choose_play},
    {.name = "too-big", .code = scene_too_big_code, .play = scene_too_big_play, .no_golden = true},
};
const size_t scene_count = PW_COUNT(scene_list);

void scene_ok(rig *r, const char *op, const char *id)
{
    const rig_reply *reply = rig_ask(r, op, "{id: %s}", id);
    if (reply->status != PAWL_OK) {
        fail_msg("%s %s: %s", op, id, reply->message);
    }
}

void scene_end(rig *r, const char *id, const char *status)
{
    if (strcmp(rig_status(r, id), status) != 0) {
        fail_msg("%s is %s, not %s: %s", id, rig_status(r, id), status, rig_history(r, id));
    }
}
