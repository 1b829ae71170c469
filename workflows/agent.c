/*
 * agent.c - the workflow "agent" as the engine takes it: its callbacks.
 *
 * Does not call models or tools: it asks the engine for them (agent_decide.c). Does not know an engine to register with (agent_register.c).
 */
#include "workflows/agent.h"

const pawl_folded *pw_agent_folded(void)
{
    static const pawl_folded folded = {
        .struct_size = sizeof folded,
        .init = pw_agent_new,
        .apply = pw_agent_apply,
        .decide = pw_agent_decide,
        .save = pw_agent_save,
        .load = pw_agent_load,
        .deinit = pw_agent_free,
    };
    return &folded;
}
