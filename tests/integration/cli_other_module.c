/*
 * cli_other_module.c - a deploy gone wrong: the workflow "listening" of cli_module.c, but with other steps. Does not hold the rest.
 */
#include "sdk/pawl_module.h"

static const pawl_value *listening(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_sleep(w, 1) ? pawl_json(w, "{slept: true}") : NULL;
}

PAWL_MODULE(reg, err)
{
    return reg->workflow(reg, "listening", "1", listening, NULL, err);
}
