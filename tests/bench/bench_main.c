/*
 * bench_main.c - pawl-bench [--json] [--full] [SECTION...]: runs the sections and prints the table, or a JSON array of
 * {name, value, unit, raw, ratio}.
 * Does not judge: no figure fails a build.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "tests/bench/bench.h"

static const bench_section sections[] = {
    {"a", "latency of durable steps", bench_latency},
    {"b", "throughput and CPU (b, c)", bench_throughput},
    {"d", "replay", bench_replay},
    {"e", "sleeping runs", bench_sleepers},
    {"f", "recovery after kill -9", bench_recovery},
    {"g", "map", bench_map},
    {"h", "cold start", bench_cold},
    {"i", "journal bytes", bench_bytes},
    {"j", "JSON", bench_json},
    {"k", "1,000 http activities at once", bench_http},
    {"l", "1,000 streaming model calls at once", bench_llm},
    {"m", "worker processes", bench_worker},
    {"n", "a step of the agent", bench_agent},
    {"o", "the MCP server and the TypeScript SDK's", bench_mcp},
};
#define SECTIONS (sizeof sections / sizeof sections[0])

static bool json;
static bool first = true;

void bench_result(const char *name, double value, const char *unit, double raw)
{
    bench_note("%s", "");
    if (json) {
        (void)printf("%s{\"name\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", ",
                     first ? "[" : ",\n ", name, value, unit);
        if (raw > 0) {
            (void)printf("\"raw\": %.3f, \"ratio\": %.3f}", raw, value / raw);
        } else {
            (void)printf("\"raw\": null, \"ratio\": null}");
        }
    } else {
        if (first) {
            (void)printf("%-82s %14s %-9s %12s %7s\n", "what", "value", "unit", "raw", "ratio");
        }
        (void)printf("%-82s %14.2f %-9s ", name, value, unit);
        if (raw > 0) {
            (void)printf("%12.2f %7.2f\n", raw, value / raw);
        } else {
            (void)printf("%12s %7s\n", "-", "-");
        }
    }
    first = false;
    (void)fflush(stdout);
}

static int usage(void)
{
    (void)printf("usage: pawl-bench [--json] [--full] [SECTION...]\n\n");
    for (size_t i = 0; i < SECTIONS; i++) {
        (void)printf("  %s   %s\n", sections[i].name, sections[i].what);
    }
    (void)printf("\nFiles go to $PAWL_BENCH_DIR, default /var/tmp.\n");
    return 0;
}

int main(int argc, char **argv)
{
    pw_sqlite_alone(); /* as the program pawl; raw has it as well */
    if (argc >= 3 && strcmp(argv[1], "--cold") == 0) {
        return bench_cold_child(argv[2]);
    }
    if (argc >= 4 && strcmp(argv[1], "--flight") == 0) {
        return bench_flight_child(argv[2], strtoll(argv[3], NULL, 10));
    }
    if (argc >= 2 && strcmp(argv[1], "--server") == 0) {
        return bench_server_child();
    }
    if (argc >= 7 && strcmp(argv[1], "--curl") == 0) {
        return bench_curl_child(argv);
    }
    bool full = false;
    char chosen[64] = "";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--full") == 0) {
            full = true;
        } else if (argv[i][0] == '-') {
            return usage();
        } else {
            size_t used = strlen(chosen);
            (void)snprintf(chosen + used, sizeof chosen - used, "%c", argv[i][0]);
        }
    }
    for (size_t i = 0; i < SECTIONS; i++) {
        bool wanted = chosen[0] == 0 || strchr(chosen, sections[i].name[0]) != NULL ||
                      (sections[i].name[0] == 'b' && strchr(chosen, 'c') != NULL);
        if (wanted) {
            sections[i].run(full);
        }
    }
    if (json) {
        (void)printf("%s]\n", first ? "[" : "");
    }
    return 0;
}
