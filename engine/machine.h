/*
 * machine.h - the tables of machines.def as functions.
 */
#ifndef PW_MACHINE_H
#define PW_MACHINE_H

#include "sdk/base/record.h"

typedef enum pw_machine {
    PW_M_RUN,
    PW_M_ACTIVITY,
    PW_M_STEP,
    PW_M_TIMER,
    PW_M_SIGNAL,
    PW_M_CHILD,
    PW_M_MAP,
    PW_M_WAIT,
    PW_M_SHIELD,
    PW_M_MEMORY,
    PW_M_COUNT
} pw_machine;

/* One numbering over all machines: PW_S_RUN_NONE, PW_S_RUN_RUNNING, ... */
typedef enum pw_state {
#define STATE(machine, name) PW_S_##machine##_##name,
#include "engine/machines.def"
#undef STATE
    PW_S_COUNT
} pw_state;

typedef struct pw_edge {
    pw_machine machine;
    pw_state from;
    pw_event_type event;
    pw_state to;
} pw_edge;

/** The index of the edge, or -1: no edge. */
int pw_edge_find(pw_state from, pw_event_type event);
const pw_edge *pw_edge_at(int index); /* NULL beyond the last */
int pw_edge_count(void);
const char *pw_state_name(pw_state state); /* "SCHEDULED" */
const char *pw_machine_name(pw_machine machine);
pw_machine pw_state_machine(pw_state state);

#endif
