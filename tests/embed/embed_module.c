/*
 * embed_module.c - a workflow that calls the activity its input names: for what a hosted engine or a worker has registered. Tests nothing itself.
 */
#include "sdk/pawl_module.h"

static const pawl_value *use(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, pawl_str(in, "activity", ""), .input = pawl_get(in, "input"), .retries = 1);
}

PAWL_MODULE(reg, err)
{
    return reg->workflow(reg, "use", "1", use, NULL, err);
}
