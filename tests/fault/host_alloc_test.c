/*
 * host_alloc_test.c - the same as engine_alloc_test.c on a real host: threads, a file, the public API. The n-th allocation of any thread
 * fails, once or for a while; whoever is told NOMEM asks again, and in the end everything that was done is there [E8].
 *
 * A turn without memory is tried again a second later, of real time: so only a few n. PAWL_LONG=1: more of them.
 * Does not say which allocation it was: threads take turns as they like.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "sdk/pawl.h"
#include "sdk/pawl_workflow.h"

enum { TRIES = 400, TRIES_WITHOUT = 3 };

typedef struct told {
    char path[64];
    pawl_engine *engine;
    pawl_scope *scope;
    pawl_error err;
    int64_t nth;
    bool sticky, failed;
    int tries;
} told;

static const pawl_value *twice(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "%lld", 2 * (long long)pawl_int(in, "", -1000));
}

static const pawl_value *flow(pawl_run *w, const pawl_value *in)
{
    long long sum = (long long)pawl_int(pawl_call(w, "twice", .input = in), "", -1000);
    pawl_set(w, "sum", pawl_json(w, "%lld", sum));
    sum += (long long)pawl_int(pawl_signal(w, "go"), "", -1000);
    (void)pawl_sleep(w, 0.01);
    return pawl_ok(w) ? pawl_json(w, "{sum: %lld}", sum) : NULL;
}

static volatile sig_atomic_t
    was_out; /* a call may wait for a turn that waits for memory: it comes back by itself */

static void on_alarm(int sig)
{
    bool failed;
    (void)sig;
    (void)pw_mem_count(&failed);
    was_out = was_out || failed;
    pw_mem_fail(0, false);
}

static void memory_back(told *t)
{
    on_alarm(0);
    t->failed |= was_out != 0;
}

/* After a call: true = again. Ends the test if it may not. */
static bool again(told *t, pawl_status st, const char *what)
{
    if (st == PAWL_OK) {
        t->tries = 0;
        return false;
    }
    if ((st != PAWL_NOMEM && st != PAWL_NOT && st != PAWL_TIMEOUT) || ++t->tries > TRIES) {
        memory_back(t);
        fail_msg("allocation %lld%s: %s: %s: %s", (long long)t->nth, t->sticky ? ", sticky" : "",
                 what, pawl_status_name(st), t->err.message);
    }
    if (t->tries == TRIES_WITHOUT) {
        memory_back(t);
    }
    if (t->engine != NULL) { /* in the meantime the run may go on */
        pawl_error err;
        const pawl_value *v;
        (void)!pawl_result(t->engine, "a", 5, t->scope, &v, &err);
    }
    return true;
}

#define MUST(t, call) \
    do {              \
    } while (again((t), (call), #call))

static void open_engine(told *t)
{
    pawl_options o = {.struct_size = sizeof o};
    MUST(t, pawl_open(t->path, &o, &t->engine, &t->err));
    MUST(t, pawl_register_workflow(t->engine, "flow", "1", flow, NULL, &t->err));
    MUST(t, pawl_register_activity(t->engine, "twice", twice, NULL, &t->err));
    MUST(t, pawl_resume_all(t->engine, &t->err));
}

static void reopen(told *t)
{
    pawl_close(t->engine, 0);
    t->engine = NULL;
    open_engine(t);
}

/* Without memory for a reply the caller of a question hears NOMEM; the key is there once the activity has ended. */
static void ask_sum(told *t)
{
    const pawl_value *v = NULL;
    for (int i = 0; i < TRIES; i++) {
        pawl_status st = pawl_query(t->engine, "a", "sum", NULL, t->scope, &v, &t->err);
        if (st == PAWL_OK) {
            break;
        }
        st = st == PAWL_NOTFOUND ? PAWL_NOT : st;
        (void)again(t, st, "query");
    }
    t->tries = 0;
    assert_int_equal(pawl_int(v, "", 0), 42);
}

static void tell(told *t)
{
    char id[201] = "";
    const pawl_value *v = NULL;
    pawl_start_options start = {
        .workflow = "flow", .id = "a", .dedup = "s", .input = pawl_make_int(t->scope, 21)};
    const pawl_value *ten = pawl_make_int(t->scope, 10);
    was_out = 0;
    (void)alarm(2);
    pw_mem_fail(t->nth, t->sticky);
    open_engine(t);
    MUST(t, pawl_start(t->engine, &start, sizeof start, id, &t->err));
    assert_string_equal(id, "a");
    ask_sum(t);
    reopen(t);
    MUST(t, pawl_signal_post(t->engine, "a", "go", ten, "g", &t->err));
    MUST(t, pawl_describe(t->engine, "a", t->scope, &v, &t->err));
    MUST(t, pawl_result(t->engine, "a", 300, t->scope, &v, &t->err));
    (void)alarm(0);
    memory_back(t);
    assert_int_equal(pawl_int(v, "sum", 0), 52);
    MUST(t, pawl_history(t->engine, "a", 0, 1000, t->scope, &v, &t->err));
    pawl_close(t->engine, 1000);
    t->engine = NULL;
}

static void verify(const told *t)
{
    pw_verify_stats stats = {0};
    pawl_error err = {0};
    assert_int_equal(pw_sqlite_verify(t->path, NULL, NULL, &stats, &err), PAWL_OK);
    assert_int_equal(stats.findings, 0);
}

static void clean(const told *t)
{
    static const char *const suffixes[] = {"",       "-wal",     "-shm", ".lock",
                                           ".crumb", ".ballast", ".sock"};
    for (size_t i = 0; i < PW_COUNT(suffixes); i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s%s", t->path, suffixes[i]);
        (void)unlink(path);
    }
}

static bool one(int64_t nth, bool sticky)
{
    told t = {.nth = nth, .sticky = sticky, .scope = pawl_scope_new()};
    (void)snprintf(t.path, sizeof t.path, "host-alloc-%ld.db", (long)getpid());
    clean(&t);
    tell(&t);
    verify(&t);
    clean(&t);
    pawl_scope_free(t.scope);
    return t.failed;
}

static void loop(bool sticky, int64_t stride)
{
    int faults = 0;
    if (getenv("PAWL_LONG") != NULL) {
        stride = 1;
    }
    for (int64_t nth = 1; one(nth, sticky); nth += stride) {
        faults++;
    }
    print_message("%d faults\n", faults);
    assert_true(faults > 5);
}

static void one_failed_allocation_loses_nothing_on_a_host(void **state)
{
    (void)state;
    assert_false(one(0, false));
    loop(false, 3);
}

static void no_memory_for_a_while_loses_nothing_on_a_host(void **state)
{
    (void)state;
    loop(true, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failed_allocation_loses_nothing_on_a_host),
        cmocka_unit_test(no_memory_for_a_while_loses_nothing_on_a_host),
    };
    (void)signal(SIGALRM, on_alarm);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
