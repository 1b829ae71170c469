/*
 * scene.h - scenes: a workflow, and what happens to its runs until they end. Together they take every edge of every state machine and
 * write every type of event; engine_edge counts the edges, replay_golden keeps what they write.
 *
 * A golden history is replayed by the scene's code of today, so a scene is never changed, only added to: what its code once asked for is
 * on record. (Where it stands in the file does not matter.)
 */
#ifndef TEST_SCENE_H
#define TEST_SCENE_H

#include "tests/engine/rig.h"

typedef struct scene {
    const char *name;     /* of its golden history too */
    void (*code)(rig *r); /* registers what the scene begins with */
    void (*play)(rig *r); /* starts runs and leads them to their ends */
    void (*newest)(
        rig *r); /* the code it ends with, where it is deployed anew on the way; NULL = the same */
    bool file;   /* transactional steps: only a journal on a file has them */
    bool no_golden; /* too large to keep */
} scene;

extern const scene scene_list[];
extern const size_t scene_count;

void scene_budget_code(rig *r);
void scene_budget_play(rig *r);
void scene_map_budget_code(rig *r);
void scene_map_budget_play(rig *r);
void scene_call_code(rig *r);
void scene_call_play(rig *r);
void scene_unsafe_code(rig *r);
void scene_unsafe_play(rig *r);
void scene_undo_code(rig *r);
void scene_undo_play(rig *r);
void scene_undo_open_code(rig *r);
void scene_undo_open_play(rig *r);
void scene_step_code(rig *r);
void scene_step_play(rig *r);
void scene_transact_code(rig *r);
void scene_transact_play(rig *r);
void scene_map_code(rig *r);
void scene_map_play(rig *r);
void scene_child_code(rig *r);
void scene_child_play(rig *r);
void scene_branch_code(rig *r);
void scene_convo_code(rig *r);
void scene_convo_play(rig *r);
void scene_branch_play(rig *r);
void scene_memory_code(rig *r);
void scene_memory_play(rig *r);
void scene_agent_code(rig *r);
void scene_agent_play(rig *r);
void scene_choose_code(rig *r);
void scene_choose_play(rig *r);
void scene_timer_code(rig *r);
void scene_timer_play(rig *r);
void scene_signal_code(rig *r);
void scene_signal_play(rig *r);
void scene_ask_code(rig *r);
void scene_ask_play(rig *r);
void scene_approve_code(rig *r);
void scene_approve_play(rig *r);
void scene_shield_code(rig *r);
void scene_shield_play(rig *r);
void scene_life_code(rig *r);
void scene_life_play(rig *r);
void scene_continue_code(rig *r);
void scene_continue_play(rig *r);
void scene_patch_code(rig *r);
void scene_patch_play(rig *r);
void scene_patch_newest(rig *r);
void scene_drift_code(rig *r);
void scene_drift_play(rig *r);
void scene_drift_newest(rig *r);
void scene_mismatch_code(rig *r);
void scene_mismatch_play(rig *r);
void scene_fold_code(rig *r);
void scene_fold_play(rig *r);
void scene_too_big_code(rig *r);
void scene_too_big_play(rig *r);

/** Asks and demands OK. */
void scene_ok(rig *r, const char *op, const char *id);
void scene_end(rig *r, const char *id, const char *status);

#endif
