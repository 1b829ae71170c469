/*
 * clock.c - the two clocks. Reading them cannot fail: both are always there under Linux. Does not wait.
 */
#include "sdk/base/clock.h"

#include <time.h>

static struct timespec now(clockid_t clock)
{
    struct timespec t = {0};
    (void)clock_gettime(clock, &t);
    return t;
}

static int64_t ms_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t pw_mono_ns(void)
{
    const struct timespec t = now(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t pw_mono_ms(void)
{
    return ms_of(now(CLOCK_MONOTONIC));
}

int64_t pw_mono_after_ms(int64_t ms)
{
    const int64_t from_ms = pw_mono_ms();
    if (ms <= 0) {
        return from_ms;
    }
    return ms < INT64_MAX - from_ms ? from_ms + ms : INT64_MAX;
}

int64_t pw_wall_ms(void)
{
    return ms_of(now(CLOCK_REALTIME));
}
