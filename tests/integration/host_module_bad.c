/*
 * host_module_bad.c - a module whose entry registers a name that is none.
 */
#include "sdk/pawl_module.h"

static const pawl_value *flow(pawl_run *w, const pawl_value *in)
{
    (void)w;
    return in;
}

PAWL_MODULE(reg, err)
{
    return reg->workflow(reg, "not a name", "1", flow, NULL, err);
}
