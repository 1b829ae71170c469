/*
 * bench_module.c - the worker's side of section m: an activity that says when it began. Does not measure.
 */
#include <time.h>

#include "sdk/pawl_module.h"

static const pawl_value *away(pawl_task *t, const pawl_value *in, void *user)
{
    struct timespec now;
    (void)in;
    (void)user;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return pawl_task_build(t, "{at: %lld}", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
}

PAWL_MODULE(reg, err)
{
    return reg->activity(reg, "bench_away", away, NULL, err);
}
