/*
 * bench_tools.c - clocks, counters of the kernel, files, and an engine with the bench workflows.
 * Measures; judges nothing.
 */
#include <dirent.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

int64_t bench_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t read_first_number(const char *path)
{
    FILE *f = fopen(path, "r");
    long long n = 0;
    if (f != NULL) {
        if (fscanf(f, "%lld", &n) != 1) {
            n = 0;
        }
        (void)fclose(f);
    }
    return n;
}

static bool has_name(const char *tid, const char *name)
{
    char path[300];
    char comm[64] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", tid);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return false;
    }
    bool read = fgets(comm, sizeof comm, f) != NULL;
    (void)fclose(f);
    comm[strcspn(comm, "\n")] = 0;
    return read && strcmp(comm, name) == 0;
}

int64_t bench_thread_ns(const char *name)
{
    int64_t sum = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        if (e->d_name[0] != '.' && has_name(e->d_name, name)) {
            char path[300];
            (void)snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", e->d_name);
            sum += read_first_number(path);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return sum;
}

int64_t bench_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_rss(void)
{
    long long pages = 0, ignored = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL) {
        if (fscanf(f, "%lld %lld", &ignored, &pages) != 2) {
            pages = 0;
        }
        (void)fclose(f);
    }
    return pages * (int64_t)sysconf(_SC_PAGESIZE);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

double bench_percentile(int64_t *samples, size_t len, double p)
{
    if (len == 0) {
        return 0;
    }
    qsort(samples, len, sizeof *samples, compare);
    size_t i = (size_t)((double)(len - 1) * p);
    return (double)samples[i];
}

void bench_note(const char *fmt, ...)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "\r\033[K");
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fflush(stderr);
}

void bench_file(const char *name, char ret[4096])
{
    static const char *const tails[] = {"",         "-wal",  "-shm",  ".lock",  ".crumb",
                                        ".ballast", ".sock", "-lock", "-crumb", "-ballast"};
    const char *dir = getenv("PAWL_BENCH_DIR");
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/pawl-bench-%ld-%s%s", dir != NULL ? dir : "/var/tmp",
                       (long)getpid(), name, tails[i]);
        (void)unlink(path);
    }
    (void)snprintf(ret, 4096, "%s/pawl-bench-%ld-%s", dir != NULL ? dir : "/var/tmp",
                   (long)getpid(), name);
}

int64_t bench_file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static void need(pawl_status st, const pawl_error *err)
{
    if (st != PAWL_OK) {
        (void)fprintf(stderr, "pawl-bench: %s: %s\n", pawl_status_name(st), err->message);
        exit(1);
    }
}

pawl_engine *bench_open(const char *path, int max_live_runs, bool memory)
{
    pawl_engine *e;
    pawl_error err;
    pawl_options o = {.struct_size = sizeof o,
                      .max_live_runs = max_live_runs,
                      .no_socket = true,
                      .memory = memory};
    need(pawl_open(path, &o, &e, &err), &err);
    bench_register(e);
    need(pawl_resume_all(e, &err), &err);
    return e;
}

static void started(void *user, pawl_status status, const pawl_value *reply, const pawl_error *err)
{
    (void)user;
    (void)reply;
    need(status, err);
}

void bench_start(pawl_engine *e, const char *workflow, const char *id, int64_t n, int64_t size)
{
    pawl_error err;
    pawl_scope *s = pawl_scope_new();
    const pawl_value *args = pawl_build(s, "{workflow: %s, id: %s, input: {n: %lld, size: %lld}}",
                                        workflow, id, (long long)n, (long long)size);
    pawl_status st;
    while ((st = pawl_request_async(e, "start", args, started, NULL, &err)) == PAWL_FULL) {
        (void)pawl_dispatch(e);
        (void)usleep(1000);
    }
    need(st, &err);
    (void)pawl_dispatch(e);
    pawl_scope_free(s);
}

void bench_result_of(pawl_engine *e, const char *id)
{
    pawl_error err;
    pawl_scope *s = pawl_scope_new();
    const pawl_value *v;
    pawl_status st;
    while ((st = pawl_result(e, id, 600000, s, &v, &err)) == PAWL_NOTFOUND) {
        (void)usleep(1000);
    }
    need(st, &err);
    pawl_scope_free(s);
    (void)pawl_dispatch(e);
}

static void ended(void *user, pawl_status status, const pawl_value *reply, const pawl_error *err)
{
    int64_t *left = user;
    (void)reply;
    need(status, err);
    (*left)--;
}

void bench_ask_result(pawl_engine *e, const char *id, int64_t *left)
{
    pawl_error err;
    pawl_scope *s = pawl_scope_new();
    need(pawl_request_async(e, "result", pawl_build(s, "{id: %s}", id), ended, left, &err), &err);
    pawl_scope_free(s);
}

void bench_await(pawl_engine *e, const int64_t *left)
{
    struct pollfd fd = {.fd = pawl_poll_fd(e), .events = POLLIN};
    while (*left > 0) {
        (void)poll(&fd, 1, 60000);
        (void)pawl_dispatch(e);
    }
}

int64_t bench_stat(pawl_engine *e, const char *name)
{
    pawl_error err;
    pawl_scope *s = pawl_scope_new();
    const pawl_value *v;
    need(pawl_stats(e, s, &v, &err), &err);
    int64_t n = pawl_int(v, name, 0);
    pawl_scope_free(s);
    return n;
}
