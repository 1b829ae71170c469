/*
 * fault_server.c - the MCP server over HTTP, without an engine of its own, whose n-th allocation fails when it is told so on standard input. fault_test.py
 * talks to both sides. FAULT_SERVER JOURNAL [TOKENS [RIGHTS]]
 *
 *   fail N  the N-th allocation from now on has no memory, once     -> ok
 *   count   no more of that: how many there were, did one fail     -> COUNT 0|1
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "tools/mcp/host.h"

static void obey(const char *line)
{
    bool failed = false;
    if (strncmp(line, "fail ", 5) == 0) {
        pw_mem_fail(strtoll(line + 5, NULL, 10), false);
        (void)puts("ok");
    } else {
        const int64_t count = pw_mem_count(&failed);
        pw_mem_fail(0, false);
        (void)printf("%" PRId64 " %d\n", count, failed);
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    pw_mcpd_host *host = NULL;
    pawl_error err = {0};
    char line[64];
    const pw_mcpd_options options = {.journal = argc > 1 ? argv[1] : "", .bound_ms = 2000};
    const pw_mcpd_http_options http = {.address = "0",
                                       .tokens_file = argc > 2 ? argv[2] : NULL,
                                       .rights_file = argc > 3 ? argv[3] : NULL};
    if (argc < 2 || pw_mcpd_host_start(&options, &http, &host, &err) != PAWL_OK) {
        (void)fprintf(stderr, "no server: %s\n", err.message);
        return 1;
    }
    (void)printf("%s\n", pw_mcpd_host_url(host));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        obey(line);
    }
    pw_mcpd_host_stop(host);
    return 0;
}
