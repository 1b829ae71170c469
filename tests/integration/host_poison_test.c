/*
 * host_poison_test.c - code that ends the process wherever it is called: in a transactional step, in a query handler, in a local step, in an
 * activity. The run is quarantined, or the activity fails, and the others go on. The deaths happen in children: this program again, with a
 * role. Does not test the breadcrumb's file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host_rig.h"

static const char *self;

/* ---- code that kills ---- */

static pawl_status tx_dies(pawl_tx *tx, pawl_scope *scope, const pawl_value *in,
                           const pawl_value **ret_value, pawl_error *err)
{
    (void)tx;
    (void)scope;
    (void)in;
    (void)ret_value;
    (void)err;
    abort();
}

static const pawl_value *tx_poison(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_transact(w, "charge", tx_dies, NULL);
}

static const pawl_value *handler_dies(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)w;
    (void)in;
    (void)arg;
    abort();
}

static const pawl_value *query_poison(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_on_query(w, "look", handler_dies, NULL);
    return pawl_signal(w, .name = "go");
}

static const pawl_value *activity_dies(pawl_task *task, const pawl_value *in, void *user)
{
    (void)task;
    (void)in;
    (void)user;
    abort();
}

static const pawl_value *call_poison(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "die", .retries = 1, .retry_initial_s = 0.01);
}

static int64_t mono_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static atomic_bool step_named, tx_named; /* in the log, as what holds a thread */

/* Until it is named, and a minute at most. */
static void hold(const atomic_bool *named)
{
    const int64_t until = mono_ms() + 60000;
    while (!atomic_load(named) && mono_ms() < until) {
    }
}

static const pawl_value *step_loops(pawl_step *s, const pawl_value *in)
{
    (void)in;
    hold(&step_named);
    return pawl_step_build(s, "1");
}

static const pawl_value *step_slow(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_local(w, "grind", step_loops, NULL);
}

static pawl_status tx_loops(pawl_tx *tx, pawl_scope *scope, const pawl_value *in,
                            const pawl_value **ret_value, pawl_error *err)
{
    (void)tx;
    (void)scope;
    (void)in;
    (void)ret_value;
    (void)err;
    hold(&tx_named);
    return PAWL_OK;
}

static const pawl_value *tx_slow(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_transact(w, "settle", tx_loops, NULL);
}

static void bring(rig *r)
{
    ok(r, pawl_register_workflow(r->engine, "tx", "1", tx_poison, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "query", "1", query_poison, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "call", "1", call_poison, NULL, &r->err));
    ok(r, pawl_register_activity(r->engine, "die", activity_dies, NULL, &r->err));
}

/* ---- children ---- */

/* Starts the poison unless it is there, and lives until its run is paused or closed. */
static int child(const char *role, const char *path)
{
    rig r = {.scope = pawl_scope_new()};
    const pawl_value *v = NULL;

    (void)snprintf(r.path, sizeof r.path, "%s", path);
    rig_open(&r, &(pawl_options){.struct_size = sizeof(pawl_options)});
    bring(&r);
    rig_watch(&r);
    ok(&r, pawl_resume_all(r.engine, &r.err));
    pawl_start_options so = {.workflow = role, .id = "p", .reuse = PAWL_REUSE_REJECT}; /* once */
    (void)!pawl_start(r.engine, &so, sizeof so, NULL, &r.err);
    for (;;) {
        if (strcmp(role, "query") == 0 &&
            pawl_query(r.engine, "p", "look", NULL, r.scope, &v, &r.err) != PAWL_OK) {
            _exit(0);
        }
        ok(&r, pawl_describe(r.engine, "p", r.scope, &v, &r.err));
        if (!pawl_is(v, "status", "running")) {
            _exit(0);
        }
        rig_event(&r);
    }
}

/* How many processes it killed until one lived. */
static int kills(const rig *r, const char *role)
{
    for (int n = 0; n < 8; n++) {
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            execl(self, self, role, r->path, (char *)NULL);
            _exit(99);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return n;
        }
    }
    fail_msg("%s kills for ever: %s", role, r->path);
    return -1;
}

static void reopen(rig *r)
{
    rig_open(r, &(pawl_options){.struct_size = sizeof(pawl_options)});
    bring(r);
    ok(r, pawl_resume_all(r->engine, &r->err));
}

static void a_transactional_step_that_ends_the_process_is_quarantined(void **state)
{
    rig *r = *state;
    rig_close(r);
    assert_int_equal(kills(r, "tx"), 3);
    reopen(r);
    assert_string_equal(pawl_str(rig_describe(r, "p"), "status", ""), "paused");
    assert_string_equal(pawl_str(rig_describe(r, "p"), "reason", ""), "crashed");
}

static void a_query_handler_that_ends_the_process_is_quarantined(void **state)
{
    rig *r = *state;
    rig_close(r);
    assert_int_equal(kills(r, "query"), 3);
    reopen(r);
    rig_until(r, "p", "status", "paused");
    assert_string_equal(pawl_str(rig_describe(r, "p"), "reason", ""), "crashed");
}

static void an_activity_that_ends_the_process_fails_after_its_attempts(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;
    rig_close(r);
    assert_int_equal(kills(r, "call"), 2);
    reopen(r);
    expect(r, PAWL_FAILED, pawl_result(r->engine, "p", 5000, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(rig_describe(r, "p"), "status", ""), "failed");
}

/* ---- slow code is named ---- */

static void on_log(void *user, pawl_level level, const char *run_id, int64_t command,
                   const char *text)
{
    (void)user;
    (void)level;
    (void)run_id;
    (void)command;
    if (strstr(text, "step grind holds the engine's loop") != NULL) {
        atomic_store(&step_named, true);
    }
    if (strstr(text, "tx settle holds the journal's thread") != NULL) {
        atomic_store(&tx_named, true);
    }
}

static void steps_that_hold_a_thread_are_named_while_they_do(void **state)
{
    rig *r = *state;
    rig_close(r);
    rig_open(r, &(pawl_options){
                    .struct_size = sizeof(pawl_options), .log = on_log, .log_level = PAWL_WARN});
    ok(r, pawl_register_workflow(r->engine, "step_slow", "1", step_slow, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "tx_slow", "1", tx_slow, NULL, &r->err));
    ok(r, pawl_resume_all(r->engine, &r->err));
    rig_start(r, "step_slow", "s", NULL);
    (void)rig_result(r, "s");
    rig_start(r, "tx_slow", "t", NULL);
    (void)rig_result(r, "t");
    assert_true(atomic_load(&step_named));
    assert_true(atomic_load(&tx_named));
}

int main(int argc, char **argv)
{
#define C(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        C(a_transactional_step_that_ends_the_process_is_quarantined),
        C(a_query_handler_that_ends_the_process_is_quarantined),
        C(an_activity_that_ends_the_process_fails_after_its_attempts),
        C(steps_that_hold_a_thread_are_named_while_they_do),
    };
#undef C

    self = argv[0];
    if (argc == 3) {
        return child(argv[1], argv[2]);
    }
    return cmocka_run_group_tests_name("host_poison", tests, NULL, NULL);
}
