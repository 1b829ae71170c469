/* rig_inside.h - what the rig's own files share. Does not belong to tests. */
#ifndef TEST_RIG_INSIDE_H
#define TEST_RIG_INSIDE_H

#include "rig.h"
#include "sdk/base/mem.h"

extern const pw_env rig_env_ops; /* ctx is filled by rig_boot */

/** The code of that name and kind; NULL = none. */
rig_code *rig_code_find(rig *r, const char *name, bool activity);
/** Forgets an attempt; its reference is the code's and already given back. */
void rig_task_unlink(rig *r, rig_task *t);

#endif
