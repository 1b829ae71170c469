/*
 * worker_flows.c - the engine's side of the worker tests: workflows whose activities are registered by nobody here. Does not check anything.
 */
#include "sdk/pawl_module.h"

/* {activity, input, effect, timeout_s, heartbeat_s, retries, queue}: one call, and its result. */
static const pawl_value *call(pawl_run *w, const pawl_value *in)
{
    return pawl_call(
        w, pawl_str(in, "activity", "note"), .input = pawl_get(in, "input"),
        .timeout_s = pawl_num(in, "timeout_s", 0), .heartbeat_s = pawl_num(in, "heartbeat_s", 0),
        .retries = (int)pawl_int(in, "retries", 0), .retry_initial_s = 0.01,
        .effect = (pawl_effect)pawl_int(in, "effect", 0), .queue = pawl_str(in, "queue", NULL));
}

/* {activity, items, width}: the same over many items. */
static const pawl_value *many(pawl_run *w, const pawl_value *in)
{
    return pawl_map(w, pawl_str(in, "activity", "note"), .items = pawl_get(in, "items"),
                    .width = (int)pawl_int(in, "width", 8), .retry_initial_s = 0.01);
}

PAWL_MODULE(reg, err)
{
    pawl_status st = reg->workflow(reg, "call", "1", call, NULL, err);
    return st == PAWL_OK ? reg->workflow(reg, "many", "1", many, NULL, err) : st;
}
