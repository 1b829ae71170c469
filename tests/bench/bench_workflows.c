/*
 * bench_workflows.c - the workflows that are measured. They read the clock and write globals: nothing to imitate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

int64_t *bench_stamps;
int64_t bench_stamps_len;
int64_t bench_progress[BENCH_RUNS_MAX];

static const pawl_value *nothing(pawl_step *s, const pawl_value *in)
{
    (void)s;
    return in;
}

static const pawl_value *payload(pawl_run *w, int64_t size)
{
    if (size <= 0) {
        return NULL;
    }
    char *text = pawl_alloc(w, (size_t)size + 1);
    memset(text, 'x', (size_t)size);
    return pawl_make_str(pawl_run_scope(w), text);
}

/* n local steps, one after the other. */
static const pawl_value *steps(pawl_run *w, const pawl_value *in)
{
    int64_t n = pawl_int(in, "n", 1);
    const pawl_value *p = payload(w, pawl_int(in, "size", 0));
    for (int64_t i = 0; i < n; i++) {
        (void)pawl_local(w, "step", nothing, p);
        if (bench_stamps != NULL && i < bench_stamps_len) {
            bench_stamps[i] = bench_ns();
        }
    }
    return NULL;
}

/* n local steps, then waits for ever: what a query rebuilds. */
static const pawl_value *history(pawl_run *w, const pawl_value *in)
{
    (void)steps(w, in);
    return pawl_signal(w, "end");
}

/* n commands in one turn, then waits: replay without a switch for each. */
static const pawl_value *wide(pawl_run *w, const pawl_value *in)
{
    int64_t n = pawl_int(in, "n", 1);
    const pawl_value *p = payload(w, pawl_int(in, "size", 0));
    for (int64_t i = 0; i < n; i += 5000) {
        for (int64_t k = 0; k < 5000 && i + k < n; k++) {
            pawl_undo(w, "nothing", p);
        }
        (void)pawl_local(w, "step", nothing, NULL);
    }
    return pawl_signal(w, "end");
}

static const pawl_value *sleeper(pawl_run *w, const pawl_value *in)
{
    (void)pawl_sleep(w, (double)pawl_int(in, "n", 3600));
    return NULL;
}

/* Steps for ever, counting: what is in flight at a kill. */
static const pawl_value *flight(pawl_run *w, const pawl_value *in)
{
    int64_t index = pawl_int(in, "n", 0);
    for (;;) {
        (void)pawl_local(w, "step", nothing, NULL);
        if (!pawl_ok(w)) {
            return NULL;
        }
        bench_progress[index]++;
        (void)pawl_signal(w, "next", .timeout_s = 0.5);
    }
}

static const pawl_value *fan(pawl_run *w, const pawl_value *in)
{
    int64_t n = pawl_int(in, "n", 1);
    pawl_scope *scope = pawl_run_scope(w);
    const pawl_value **items = pawl_alloc(w, (size_t)n * sizeof *items);
    for (int64_t i = 0; i < n; i++) {
        items[i] = pawl_make_int(scope, i);
    }
    const pawl_value *out =
        pawl_map(w, "echo", pawl_make_array(scope, items, (size_t)n), .width = 64);
    return pawl_json(w, "{n: %zu}", pawl_len(out));
}

static const pawl_value *echo(pawl_task *t, const pawl_value *in, void *user)
{
    (void)t;
    (void)user;
    return in;
}

void bench_register(pawl_engine *e)
{
    static const struct {
        const char *name;
        pawl_workflow_fn fn;
    } workflows[] = {{"steps", steps},     {"history", history}, {"wide", wide},
                     {"sleeper", sleeper}, {"flight", flight},   {"fan", fan}};
    pawl_error err;
    for (size_t i = 0; i < sizeof workflows / sizeof workflows[0]; i++) {
        if (pawl_register_workflow(e, workflows[i].name, "1", workflows[i].fn, NULL, &err) !=
            PAWL_OK) {
            (void)fprintf(stderr, "pawl-bench: %s\n", err.message);
            exit(1);
        }
    }
    if (pawl_register_activity(e, "echo", echo, NULL, &err) != PAWL_OK) {
        exit(1);
    }
}
