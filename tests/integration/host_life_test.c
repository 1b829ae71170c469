/*
 * host_life_test.c - engines as objects: opening, closing, several of them, fork, threads, and the forms without waiting. Does not
 * kill anything (host_watchdog_test.c).
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/host.h"
#include "host_rig.h"

static int open_setup(void **state)
{
    if (rig_setup(state) != 0) {
        return -1;
    }
    rig_open(*state, NULL);
    return 0;
}

/* ---- opening and closing ---- */

static void a_waiting_run_goes_on_after_close_and_open(void **state)
{
    rig *r = *state;

    rig_start(r, "counter", "c-1", "{\"steps\": 4, \"wait\": true}");
    rig_until(r, "c-1", "waiting", "signal go");
    rig_close(r);
    rig_open(r, NULL);
    assert_string_equal(pawl_str(rig_describe(r, "c-1"), "status", ""), "running");
    ok(r, pawl_signal_post(r->engine, "c-1", "go", NULL, NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "c-1"), "", 0), 4);
    assert_int_equal(atomic_load(&r->steps), 4); /* none ran twice */
}

static void a_closed_run_tells_its_result_after_the_next_open(void **state)
{
    rig *r = *state;

    rig_start(r, "hello", "h-1", "{\"name\": \"Ada\"}");
    (void)rig_result(r, "h-1");
    rig_close(r);
    rig_open(r, NULL);
    assert_string_equal(pawl_str(rig_result(r, "h-1"), "text", ""), "Ada");
}

static void runs_that_evict_at_every_wait_behave_the_same(void **state)
{
    rig *r = *state;
    pawl_options o = {.struct_size = sizeof o, .max_live_runs = -1};

    rig_open(r, &o);
    rig_start(r, "counter", "c-1", "{\"steps\": 4, \"wait\": true}");
    rig_until(r, "c-1", "waiting", "signal go");
    rig_start(r, "go", "g-1", "{\"count\": 3}");
    for (int i = 0; i < 3; i++) {
        ok(r,
           pawl_signal_post(r->engine, "g-1", "go", pawl_build(r->scope, "%d", i), NULL, &r->err));
    }
    assert_int_equal(pawl_int(rig_result(r, "g-1"), "2", -1), 2);
    ok(r, pawl_signal_post(r->engine, "c-1", "go", NULL, NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "c-1"), "", 0), 4);
    assert_int_equal(atomic_load(&r->steps), 4);
}

static void a_second_owner_is_told_who_the_first_is(void **state)
{
    rig *r = *state;
    pawl_engine *second = NULL;
    char pid[20];

    expect(r, PAWL_BUSY, pawl_open(r->path, NULL, &second, &r->err));
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(r->err.message, pid));
    assert_non_null(strstr(r->err.message, "this process")); /* not: stop it */
    rig_start(r, "hello", "h-1", NULL);                      /* the first is unharmed */
    (void)rig_result(r, "h-1");
}

static void several_engines_live_in_one_process(void **state)
{
    rig *r = *state;
    pawl_engine *first = r->engine;
    pawl_options memory = {.struct_size = sizeof memory, .memory = true};

    rig_open(r, &memory);
    rig_start(r, "hello", "same", "{\"name\": \"second\"}");
    assert_string_equal(pawl_str(rig_result(r, "same"), "text", ""), "second");
    pawl_engine *second = r->engine;
    r->engine = first;
    rig_start(r, "hello", "same", "{\"name\": \"first\"}");
    assert_string_equal(pawl_str(rig_result(r, "same"), "text", ""), "first");
    pawl_close(second, 1000);
    rig_start(r, "hello", "other", "{\"name\": \"still here\"}");
    assert_string_equal(pawl_str(rig_result(r, "other"), "text", ""), "still here");
}

static void a_journal_without_its_code_waits_for_it(void **state)
{
    rig *r = *state;

    rig_start(r, "go", "g-1", NULL);
    rig_close(r);
    ok(r, pawl_open(r->path, NULL, &r->engine, &r->err));
    ok(r, pawl_resume_all(r->engine, &r->err));
    ok(r, pawl_signal_post(r->engine, "g-1", "go", pawl_build(r->scope, "%d", 3), NULL, &r->err));
    assert_int_equal(pawl_int(rig_describe(r, "g-1"), "closed_ms", -1), 0);
    rig_register(r);
    ok(r, pawl_resume_all(r->engine, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "g-1"), "0", 0), 3);
}

static void a_timer_that_came_due_while_nobody_was_there_fires_at_open(void **state)
{
    rig *r = *state;

    rig_start(r, "sleeper", "s-1", "{\"seconds\": 0.05}");
    int64_t due_ms = pawl_int(rig_describe(r, "s-1"), "created_ms", 0) + 100;
    rig_close(r);
    rig_clock(due_ms);
    rig_open(r, NULL);
    assert_string_equal(pawl_str(rig_result(r, "s-1"), "", ""), "awake");
}

static void a_timer_that_fires_before_the_code_is_there_is_not_lost(void **state)
{
    rig *r = *state;

    rig_start(r, "sleeper", "s-1", "{\"seconds\": 0.05}");
    int64_t due_ms = pawl_int(rig_describe(r, "s-1"), "created_ms", 0) + 100;
    const pawl_value *v = NULL;
    rig_close(r);
    rig_clock(due_ms);
    ok(r, pawl_open(r->path, NULL, &r->engine, &r->err));
    ok(r, pawl_resume_all(r->engine, &r->err));
    ok(r, pawl_stats(r->engine, r->scope, &v,
                     &r->err)); /* the engine has had a step: the timer has fired */
    rig_register(r);
    assert_string_equal(pawl_str(rig_result(r, "s-1"), "", ""), "awake");
}

static void a_run_that_is_asked_about_before_its_code_is_there_goes_on_with_it(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "counter", "c-1", "{\"steps\": 4, \"wait\": true}");
    rig_until(r, "c-1", "waiting", "signal go");
    rig_close(r);
    ok(r, pawl_open(r->path, NULL, &r->engine, &r->err));
    expect(r, PAWL_TIMEOUT,
           pawl_result(r->engine, "c-1", 5, r->scope, &v,
                       &r->err)); /* it is in memory now, without code */
    rig_register(r);
    ok(r, pawl_resume_all(r->engine, &r->err));
    ok(r, pawl_signal_post(r->engine, "c-1", "go", NULL, NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "c-1"), "", 0), 4);
}

static void opening_what_is_no_journal_says_why(void **state)
{
    rig *r = *state;
    pawl_engine *e = NULL;
    char path[200];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/nonsense.db", r->folder);
    f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 3000; i++) {
        (void)fputs("this is a letter, not a journal\n", f);
    }
    (void)fclose(f);
    pawl_status status = pawl_open(path, NULL, &e, &r->err);
    assert_true(status == PAWL_FOREIGN || status == PAWL_DAMAGED);
    assert_non_null(strstr(r->err.message, "nonsense.db"));
    status = pawl_open("/nonexistent-folder/j.db", NULL, &e, &r->err);
    assert_true(status == PAWL_IO || status == PAWL_NOTFOUND);
    expect(r, PAWL_INVALID, pawl_open("", NULL, &e, &r->err));
}

struct blocked {
    rig *r;
    pawl_status status;
    pawl_error err;
};

static void *wait_for_result(void *arg)
{
    struct blocked *b = arg;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v = NULL;

    b->status = pawl_result(b->r->engine, "g-1", -1, scope, &v, &b->err);
    pawl_scope_free(scope);
    return NULL;
}

static void close_lets_blocked_callers_out(void **state)
{
    rig *r = *state;
    struct blocked b[8];
    pthread_t threads[8];

    rig_start(r, "go", "g-1", NULL);
    for (int i = 0; i < 8; i++) {
        b[i] = (struct blocked){.r = r};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_result, &b[i]), 0);
    }
    while (atomic_load(&r->engine->calls) < 8) {
        sched_yield();
    }
    pawl_close(r->engine, 1000);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(b[i].status, PAWL_SHUTDOWN);
    }
    r->engine = NULL;
}

struct slow {
    pawl_engine *engine;
    sem_t started;
};

/** Goes on until the engine is being closed. */
static const pawl_value *slow(pawl_task *t, const pawl_value *in, void *user)
{
    struct slow *s = user;

    (void)in;
    sem_post(&s->started);
    while (!atomic_load(&s->engine->closing)) {
        sched_yield();
    }
    return pawl_task_build(t, "%s", "finished");
}

static const pawl_value *slow_flow(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "slow", .input = in);
}

static void close_lets_running_activities_finish(void **state)
{
    rig *r = *state;

    struct slow s = {.engine = r->engine};
    pawl_activity_options user = {.struct_size = sizeof user, .user = &s};

    assert_int_equal(sem_init(&s.started, 0, 0), 0);
    ok(r, pawl_register_activity(r->engine, "slow", slow, &user, &r->err));
    ok(r, pawl_register_workflow(r->engine, "slow_flow", "1", slow_flow, NULL, &r->err));
    rig_start(r, "slow_flow", "s-1", NULL);
    assert_int_equal(sem_wait(&s.started), 0);
    rig_close(r);
    sem_destroy(&s.started);
    rig_open(r, NULL);
    ok(r, pawl_register_workflow(r->engine, "slow_flow", "1", slow_flow, NULL, &r->err));
    const pawl_value *events = NULL;
    bool finished = false;
    ok(r, pawl_history(r->engine, "s-1", 1, 100, r->scope, &events, &r->err));
    for (size_t i = 0; i < pawl_len(events); i++) {
        finished = finished || pawl_is(pawl_at(events, i), "type", "ActivityCompleted");
    }
    assert_true(finished);
    assert_string_equal(pawl_str(rig_result(r, "s-1"), "", ""), "finished");
}

/* ---- who may call ---- */

static void a_host_call_from_workflow_code_is_misuse(void **state)
{
    rig *r = *state;

    rig_start(r, "misuser", "m-1", NULL);
    assert_string_equal(pawl_str(rig_result(r, "m-1"), "", ""), "misuse");
}

static void a_child_of_fork_is_refused_and_the_parent_goes_on(void **state)
{
    rig *r = *state;
    int status = 0;

    rig_start(r, "go", "g-1", NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pawl_error err;
        pawl_status answer = pawl_cancel(r->engine, "g-1", NULL, &err);
        int fd = pawl_poll_fd(r->engine);
        _exit(answer == PAWL_FORKED && fd == -1 && pawl_dispatch(r->engine) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    ok(r, pawl_signal_post(r->engine, "g-1", "go", NULL, NULL, &r->err));
    (void)rig_result(r, "g-1");
}

static void *send_signals(void *arg)
{
    rig *r = arg;
    pawl_error err;

    for (int i = 0; i < 50; i++) {
        if (pawl_signal_post(r->engine, "g-1", "go", NULL, NULL, &err) != PAWL_OK &&
            err.status != PAWL_CLOSED) {
            return arg;
        }
    }
    return NULL;
}

static void calls_come_from_any_thread(void **state)
{
    rig *r = *state;
    pthread_t threads[8];

    rig_start(r, "go", "g-1", "{\"count\": 16}");
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_signals, r), 0);
    }
    for (int i = 0; i < 8; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(pawl_len(rig_result(r, "g-1")), 16);
}

static void signals_of_the_host_stay_with_the_host(void **state)
{
    rig *r = *state;
    sigset_t set;
    sigset_t before;
    int number = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    assert_int_equal(kill(getpid(), SIGUSR1),
                     0); /* no thread of pawl's takes it: it would kill the process */
    rig_start(r, "hello", "h-1", NULL);
    (void)rig_result(r, "h-1");
    assert_int_equal(sigwait(&set, &number), 0);
    assert_int_equal(number, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- without waiting ---- */

struct seen {
    int replies;
    int failures;
    int events;
    int64_t lost;
    char last[40];
};

static void on_reply(void *user, pawl_status status, const pawl_value *reply, const pawl_error *err)
{
    struct seen *s = user;

    s->replies++;
    if (status != PAWL_OK) {
        s->failures++;
        assert_non_null(err);
        assert_int_equal(err->status, status);
    }
    (void)snprintf(s->last, sizeof s->last, "%s", pawl_str(reply, "id", ""));
}

static void pump(rig *r, const int *count, int until)
{
    while (*count < until) {
        struct pollfd p = {.fd = pawl_poll_fd(r->engine), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 20000), 1);
        (void)pawl_dispatch(r->engine);
    }
}

static void completions_wait_behind_the_descriptor_for_dispatch(void **state)
{
    rig *r = *state;
    struct seen s = {0};

    ok(r, pawl_request_async(r->engine, "start",
                             pawl_build(r->scope, "{workflow: \"hello\", id: \"h-1\"}"), on_reply,
                             &s, &r->err));
    pump(r, &s.replies, 1);
    assert_string_equal(s.last, "h-1");
    ok(r, pawl_request_async(r->engine, "describe", pawl_build(r->scope, "{id: \"h-1\"}"), on_reply,
                             &s, &r->err));
    assert_int_equal(s.replies, 1); /* never from inside the call */
    pump(r, &s.replies, 2);
    ok(r, pawl_request_async(r->engine, "describe", pawl_build(r->scope, "{id: \"ghost\"}"),
                             on_reply, &s, &r->err));
    ok(r, pawl_request_async(r->engine, "signal",
                             pawl_build(r->scope, "{id: \"ghost\", name: \"go\"}"), on_reply, &s,
                             &r->err));
    pump(r, &s.replies, 4);
    assert_int_equal(s.failures, 2);
    expect(r, PAWL_INVALID, pawl_request_async(r->engine, "nonsense", NULL, on_reply, &s, &r->err));
    assert_int_equal(pawl_dispatch(r->engine), 0);
}

static void on_event(void *user, const pawl_value *event)
{
    struct seen *s = user;

    s->events++;
    s->lost += pawl_is(event, "type", "Lost") ? pawl_int(event, "count", 0) : 0;
    (void)snprintf(s->last, sizeof s->last, "%s", pawl_str(event, "type", ""));
}

static void a_watch_sees_every_event_of_its_run_in_order(void **state)
{
    rig *r = *state;
    struct seen s = {0};

    ok(r, pawl_watch(r->engine, "c-1", on_event, &s, &r->err));
    rig_start(r, "counter", "c-1", "{\"steps\": 3}");
    rig_start(r, "hello", "h-1", NULL);
    (void)rig_result(r, "c-1");
    (void)rig_result(r, "h-1");
    int events = (int)pawl_int(rig_describe(r, "c-1"), "events", 0);
    pump(r, &s.events, events);
    assert_string_equal(s.last, "RunCompleted");
    assert_int_equal(s.events, events);
    assert_int_equal(s.lost, 0);
}

/* Ten runs: a look that raced with its own answer failed two times in three. */
static void a_run_whose_last_event_came_has_a_result_at_once(void **state)
{
    rig *r = *state;
    const pawl_value *result = NULL;

    for (int i = 0; i < 10; i++) {
        struct seen s = {0};
        char id[16];
        (void)snprintf(id, sizeof id, "c-%d", i);
        ok(r, pawl_watch(r->engine, id, on_event, &s, &r->err));
        rig_start(r, "counter", id, "{\"steps\": 3}");
        while (strcmp(s.last, "RunCompleted") != 0) {
            pump(r, &s.events, s.events + 1);
        }
        ok(r, pawl_result(r->engine, id, 0, r->scope, &result, &r->err));
    }
    rig_start(r, "asker", "a-1", NULL);
    expect(r, PAWL_TIMEOUT, pawl_result(r->engine, "a-1", 0, r->scope, &result, &r->err));
}

static void the_journal_and_its_socket_are_the_owners_alone(void **state)
{
    rig *r = *state;
    char path[200];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s.sock", r->path);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    rig_close(r);
    assert_int_equal(stat(path, &st), -1);
}

static void stats_count_what_happened(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "counter", "c-1", "{\"steps\": 3}");
    (void)rig_result(r, "c-1");
    ok(r, pawl_stats(r->engine, r->scope, &v, &r->err));
    assert_int_equal(pawl_typeof(v), PAWL_MAP);
    assert_true(pawl_int(v, "commits", 0) > 0);
    assert_true(pawl_int(v, "turns", 0) > 0);
    assert_true(pawl_int(v, "engine_cpu_us", 0) > 0);
    ok(r, pawl_request(r->engine, "hello", NULL, -1, r->scope, &v, &r->err));
    assert_int_equal(pawl_int(v, "pid", 0), getpid());
    assert_string_equal(pawl_str(v, "journal", ""), r->path);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_setup, rig_teardown)
#define C(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(a_waiting_run_goes_on_after_close_and_open),
        T(a_closed_run_tells_its_result_after_the_next_open),
        C(runs_that_evict_at_every_wait_behave_the_same),
        T(a_second_owner_is_told_who_the_first_is),
        T(several_engines_live_in_one_process),
        T(a_journal_without_its_code_waits_for_it),
        T(a_timer_that_came_due_while_nobody_was_there_fires_at_open),
        T(a_timer_that_fires_before_the_code_is_there_is_not_lost),
        T(a_run_that_is_asked_about_before_its_code_is_there_goes_on_with_it),
        C(opening_what_is_no_journal_says_why),
        T(close_lets_blocked_callers_out),
        T(close_lets_running_activities_finish),
        T(a_host_call_from_workflow_code_is_misuse),
        T(a_child_of_fork_is_refused_and_the_parent_goes_on),
        T(calls_come_from_any_thread),
        T(signals_of_the_host_stay_with_the_host),
        T(completions_wait_behind_the_descriptor_for_dispatch),
        T(a_watch_sees_every_event_of_its_run_in_order),
        T(a_run_whose_last_event_came_has_a_result_at_once),
        T(the_journal_and_its_socket_are_the_owners_alone),
        T(stats_count_what_happened),
    };
#undef T
#undef C

    return cmocka_run_group_tests_name("host_life", tests, NULL, NULL);
}
