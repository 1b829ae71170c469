/* rig_inside.h - what the rig's own files share. Does not belong to tests. */
#ifndef TEST_RIG_INSIDE_H
#define TEST_RIG_INSIDE_H

#include "rig.h"
#include "sdk/base/mem.h"

extern const pw_env rig_env_ops; /* ctx is filled by rig_boot */

/** The code of that name and kind; NULL = none. */
rig_code *rig_code_find(rig *r, const char *name, bool activity);
/** Around what the core, and the code that it runs, do: there allocations may be made to fail. Gives back what was. */
bool rig_enter(rig *r);
bool rig_own(rig *r); /* the other way round: what the rig does when the core calls it */
void rig_leave(rig *r, bool was);
/** Forgets an attempt; its reference is the code's and already given back. */
void rig_task_unlink(rig *r, rig_task *t);

#endif
