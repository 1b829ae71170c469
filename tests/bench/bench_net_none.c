/*
 * bench_net_none.c - what a build without libpawl_net says instead of the sections k, l and n. Does not measure.
 */
#include <stdio.h>

#include "tests/bench/bench.h"

static void none(const char *section)
{
    (void)fprintf(stderr, "pawl-bench: %s: this build has no network activities\n", section);
}

void bench_http(bool full)
{
    (void)full;
    none("k");
}

void bench_llm(bool full)
{
    (void)full;
    none("l");
}

void bench_agent(bool full)
{
    (void)full;
    none("n");
}

int bench_curl_child(char **argv)
{
    none(argv[1]);
    return 1;
}
