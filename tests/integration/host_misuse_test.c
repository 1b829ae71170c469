/*
 * host_misuse_test.c - workflow handles where they do not belong: on another thread, after their turn, in another run, in a query handler.
 * Nothing is done, it is said who called, and nobody dies. Does not test host calls from workflow code (host_life_test.c).
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host_rig.h"

/* Where the code of a test leaves its handle; one test runs at a time. */
static struct {
    _Atomic(pawl_run *) leaked;
    sem_t in_turn;
    sem_t go_on;
} place;

static int setup(void **state)
{
    place.leaked = NULL;
    if (sem_init(&place.in_turn, 0, 0) != 0 || sem_init(&place.go_on, 0, 0) != 0 ||
        rig_setup(state) != 0) {
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    sem_destroy(&place.in_turn);
    sem_destroy(&place.go_on);
    return rig_teardown(state);
}

static void take(sem_t *sem)
{
    while (sem_wait(sem) != 0) {
    }
}

/* ---- workflows ---- */

/** Leaves its handle and waits. */
static const pawl_value *leaker(pawl_run *w, const pawl_value *in)
{
    atomic_store(&place.leaked, w);
    if (pawl_bool(in, "inside", false)) {
        sem_post(&place.in_turn);
        take(&place.go_on);
    }
    return pawl_signal(w, .name = "go");
}

/** Waits with the handle of another run. */
static const pawl_value *thief(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(atomic_load(&place.leaked), 1);
    return pawl_ok(w) ? pawl_json(w, "%s", "done") : NULL;
}

static const pawl_value *waits_with_its_parent(pawl_run *b, void *arg)
{
    pawl_run *parent = arg;

    (void)pawl_json(parent, "{fine: %d}", 1); /* memory is the run's */
    (void)pawl_sleep(parent, 0.01);
    return pawl_ok(b) ? pawl_json(b, "%s", "done") : NULL;
}

static const pawl_value *branching(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_await(w, pawl_go(w, waits_with_its_parent, w));
}

static const pawl_value *sets(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    pawl_set(arg, "key", pawl_json(w, "%d", 1)); /* not the handle it was given */
    return pawl_json(w, "%s", "set");
}

static const pawl_value *asked(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_on_query(w, "state", sets, w);
    return pawl_signal(w, .name = "go");
}

/** Draws more numbers in one turn than a turn may have commands. */
static const pawl_value *gambler(pawl_run *w, const pawl_value *in)
{
    uint64_t sum = 0;

    (void)in;
    for (int i = 0; i < 50000; i++) {
        sum += pawl_random(w) >> 40;
    }
    for (int i = 0; i < 20000; i++) {
        sum += (uint64_t)pawl_uuid(w)[0];
    }
    pawl_sleep(w, 0.001);
    return pawl_json(w, "%lld", (long long)sum);
}

static void open_with_code(rig *r, const pawl_options *options)
{
    static const struct {
        const char *name;
        pawl_workflow_fn fn;
    } code[] = {{"leaker", leaker},
                {"thief", thief},
                {"branching", branching},
                {"asked", asked},
                {"gambler", gambler}};

    rig_open(r, options);
    for (size_t i = 0; i < sizeof code / sizeof code[0]; i++) {
        ok(r, pawl_register_workflow(r->engine, code[i].name, "1", code[i].fn, NULL, &r->err));
    }
}

/* ---- what standard error got ---- */

static int stderr_before;

static void hear(const rig *r)
{
    char path[200];

    (void)fflush(stderr);
    (void)snprintf(path, sizeof path, "%s/said", r->folder);
    stderr_before = dup(STDERR_FILENO);
    assert_non_null(freopen(path, "w", stderr));
}

static const char *heard(const rig *r)
{
    static char text[4000];
    char path[200];

    (void)fflush(stderr);
    (void)dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    (void)snprintf(path, sizeof path, "%s/said", r->folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    (void)fclose(f);
    return text;
}

static void assert_heard(const rig *r, const char *wanted)
{
    const char *text = heard(r);

    if (strstr(text, wanted) == NULL) {
        fail_msg("not said: %s; but: %s", wanted, text);
    }
}

/** Everything a careless thread might do with a handle. */
static void use(pawl_run *w)
{
    assert_false(pawl_ok(w));
    assert_false(pawl_sleep(w, 1));
    assert_null(pawl_call(w, "greet"));
    assert_null(pawl_map(w, "greet"));
    assert_null(pawl_signal(w, .name = "go"));
    assert_null(pawl_child(w, "hello"));
    assert_null(pawl_ask(w, "what"));
    assert_null(pawl_go(w, waits_with_its_parent, w));
    assert_null(pawl_json(w, "%d", 1));
    assert_null(pawl_alloc(w, 10));
    assert_null(pawl_run_scope(w));
    assert_null(pawl_uuid(w));
    assert_null(pawl_fail(w, "Type", "text"));
    assert_null(pawl_catch(w));
    assert_int_equal(pawl_now_ms(w), 0);
    assert_int_equal(pawl_random(w), 0);
    pawl_set(w, "key", NULL);
    pawl_progress(w, 1, 2, "text");
    pawl_log(w, PAWL_INFO, "text");
    pawl_undo(w, "greet", NULL);
    pawl_shield(w, 1);
    pawl_unshield(w);
}

static void answered(void *user, pawl_status status, const pawl_value *reply, const pawl_error *err)
{
    (void)user;
    (void)status;
    (void)reply;
    (void)err;
}

/* ---- the tests ---- */

static void a_handle_on_another_thread_does_nothing_while_its_code_runs(void **state)
{
    rig *r = *state;

    open_with_code(r, NULL);
    ok(r, pawl_request_async(
              r->engine, "start",
              pawl_build(r->scope, "{workflow: \"leaker\", id: \"l-1\", input: {inside: true}}"),
              answered, NULL, &r->err)); /* its ack comes after the turn */
    take(&place.in_turn);
    hear(r);
    use(atomic_load(&place.leaked));
    assert_heard(r, "pawl: misuse: pawl_sleep at host_misuse_test.c:");
    sem_post(&place.go_on);
    ok(r, pawl_signal_post(r->engine, "l-1", "go", pawl_build(r->scope, "%d", 7), NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "l-1"), "", 0), 7);
}

static void a_handle_of_a_run_that_is_gone_does_nothing(void **state)
{
    rig *r = *state;
    pawl_options evict = {.struct_size = sizeof evict, .max_live_runs = -1};

    open_with_code(r, &evict);
    rig_start(r, "leaker", "l-1", NULL);
    rig_until(r, "l-1", "waiting", "signal go");
    hear(r);
    use(atomic_load(&place.leaked)); /* its stack has been discarded */
    assert_heard(r, "pawl: misuse: pawl_alloc at host_misuse_test+0x");
    ok(r, pawl_signal_post(r->engine, "l-1", "go", pawl_build(r->scope, "%d", 7), NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "l-1"), "", 0), 7);
    hear(r);
    use(atomic_load(&place.leaked));
    assert_heard(r, "no workflow function runs on this thread; nothing was done");
}

static void a_run_that_uses_the_handle_of_another_fails_and_the_other_goes_on(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    open_with_code(r, NULL);
    rig_start(r, "leaker", "l-1", NULL);
    rig_until(r, "l-1", "waiting", "signal go");
    rig_start(r, "thief", "t-1", NULL);
    expect(r, PAWL_FAILED, pawl_result(r->engine, "t-1", 20000, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "type", ""), "Misuse");
    assert_non_null(strstr(pawl_str(v, "message", ""), "pawl_sleep at host_misuse_test.c:"));
    ok(r, pawl_signal_post(r->engine, "l-1", "go", pawl_build(r->scope, "%d", 7), NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "l-1"), "", 0), 7);
}

static void a_branch_may_use_its_parents_memory_but_not_wait_with_its_handle(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    open_with_code(r, NULL);
    rig_start(r, "branching", "b-1", NULL);
    expect(r, PAWL_FAILED, pawl_result(r->engine, "b-1", 20000, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "type", ""), "Misuse");
    assert_non_null(strstr(pawl_str(v, "message", ""), "pawl_sleep at host_misuse_test.c:"));
}

static void a_query_handler_that_uses_the_runs_own_handle_is_refused(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    open_with_code(r, NULL);
    rig_start(r, "asked", "a-1", NULL);
    rig_until(r, "a-1", "waiting", "signal go");
    expect(r, PAWL_MISUSE, pawl_query(r->engine, "a-1", "state", NULL, r->scope, &v, &r->err));
    ok(r, pawl_signal_post(r->engine, "a-1", "go", pawl_build(r->scope, "%d", 7), NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "a-1"), "", 0), 7);
}

static void random_numbers_and_ids_are_no_commands(void **state)
{
    rig *r = *state;
    pawl_options evict = {.struct_size = sizeof evict, .max_live_runs = -1};

    open_with_code(
        r,
        &evict); /* drawn again in the second turn: the same numbers, or the replay would stray */
    rig_start(r, "gambler", "g-1", NULL);
    assert_true(pawl_int(rig_result(r, "g-1"), "", 0) > 0);
}

static void an_error_does_not_name_a_folder_of_the_machine_that_built_it(void **state)
{
    rig *r = *state;

    rig_open(r, NULL);
    expect(r, PAWL_NOTFOUND, pawl_cancel(r->engine, "ghost", NULL, &r->err));
    assert_non_null(r->err.file);
    if (r->err.file[0] == '/' || strncmp(r->err.file, "engine/", 7) != 0) {
        fail_msg("the error is from %s", r->err.file);
    }
}

int main(void)
{
#define C(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        C(a_handle_on_another_thread_does_nothing_while_its_code_runs),
        C(a_handle_of_a_run_that_is_gone_does_nothing),
        C(a_run_that_uses_the_handle_of_another_fails_and_the_other_goes_on),
        C(a_branch_may_use_its_parents_memory_but_not_wait_with_its_handle),
        C(a_query_handler_that_uses_the_runs_own_handle_is_refused),
        C(random_numbers_and_ids_are_no_commands),
        C(an_error_does_not_name_a_folder_of_the_machine_that_built_it),
    };
#undef C

    return cmocka_run_group_tests_name("host_misuse", tests, NULL, NULL);
}
