/*
 * machine.c - lookup in the transition tables. No state of its own.
 */
#include "engine/machine.h"

#include <stddef.h>

#include "sdk/base/error.h"

static const pw_edge edges[] = {
#define X(m, f, e, t) {PW_M_##m, PW_S_##m##_##f, PW_EV_##e, PW_S_##m##_##t},
#include "engine/machines.def"
#undef X
};

static const char *const state_names[] = {
#define STATE(machine, name) #name,
#include "engine/machines.def"
#undef STATE
};

static const pw_machine state_machines[] = {
#define STATE(machine, name) PW_M_##machine,
#include "engine/machines.def"
#undef STATE
};

static const char *const machine_names[] = {"run",   "activity", "step", "timer", "signal",
                                            "child", "map",      "wait", "shield", "memory"};
_Static_assert(PW_COUNT(machine_names) == PW_M_COUNT, "a name for each machine");

/* The same list as a table of index + 1 by state and event: one load instead of a search. */
enum {
#define X(m, f, e, t) EDGE_##m##_##f##_##e,
#include "engine/machines.def"
#undef X
};
#define EVENTS_MAX 128
static const uint8_t by_state[PW_S_COUNT][EVENTS_MAX] = {
#define X(m, f, e, t) [PW_S_##m##_##f][PW_EV_##e] = EDGE_##m##_##f##_##e + 1,
#include "engine/machines.def"
#undef X
};
_Static_assert(PW_COUNT(edges) < UINT8_MAX, "an index fits a byte");

int pw_edge_find(pw_state from, pw_event_type event)
{
    bool known = (size_t)from < PW_S_COUNT && (size_t)event < EVENTS_MAX;
    return known ? (int)by_state[from][event] - 1 : -1;
}

const pw_edge *pw_edge_at(int index)
{
    return index >= 0 && (size_t)index < PW_COUNT(edges) ? &edges[index] : NULL;
}

int pw_edge_count(void)
{
    return (int)PW_COUNT(edges);
}

const char *pw_state_name(pw_state state)
{
    return (size_t)state < PW_COUNT(state_names) ? state_names[state] : "?";
}

const char *pw_machine_name(pw_machine machine)
{
    return (size_t)machine < PW_COUNT(machine_names) ? machine_names[machine] : "?";
}

pw_machine pw_state_machine(pw_state state)
{
    PW_CHECK((size_t)state < PW_COUNT(state_machines));
    return state_machines[state];
}
