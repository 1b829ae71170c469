/*
 * host_close_test.c - what becomes of activities that still run when their engine closes: they may finish, are told to stop, are named, and
 * those that do not listen are left behind without harm. Does not test `pawl serve` (cli_drain_test.py).
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/host.h"
#include "host_rig.h"

/* Each test has one; activities get it as their user pointer. */
struct scene {
    sem_t started;
    sem_t go_on;
    sem_t left;          /* deaf does not touch this any more */
    atomic_int attempts; /* of deaf */
    atomic_int obeyed;   /* attempts of obedient */
    atomic_int told;
    atomic_int last_attempt;
};

static void scene_init(struct scene *s)
{
    *s = (struct scene){.attempts = 0};
    assert_int_equal(sem_init(&s->started, 0, 0), 0);
    assert_int_equal(sem_init(&s->go_on, 0, 0), 0);
    assert_int_equal(sem_init(&s->left, 0, 0), 0);
}

static void scene_deinit(struct scene *s)
{
    sem_destroy(&s->started);
    sem_destroy(&s->go_on);
    sem_destroy(&s->left);
}

static void take(sem_t *sem)
{
    while (sem_wait(sem) != 0) {
    }
}

/** Hears nothing until it is let go on; at the second attempt it ends at once. */
static const pawl_value *deaf(pawl_task *t, const pawl_value *in, void *user)
{
    struct scene *s = user;

    (void)in;
    atomic_store(&s->last_attempt, pawl_task_attempt(t));
    if (atomic_fetch_add(&s->attempts, 1) > 0) {
        return pawl_task_build(t, "%s", "second");
    }
    sem_post(&s->started);
    take(&s->go_on);
    atomic_fetch_add(&s->told, pawl_task_canceled(t) ? 1 : 0);
    sem_post(&s->left);
    return pawl_task_build(t, "%s", "first");
}

/** Works until it is told to stop, and calls that a failure of its own. */
static const pawl_value *obedient(pawl_task *t, const pawl_value *in, void *user)
{
    struct scene *s = user;

    (void)in;
    atomic_store(&s->last_attempt, pawl_task_attempt(t));
    if (atomic_fetch_add(&s->obeyed, 1) > 0) {
        return pawl_task_build(t, "%s", "second");
    }
    sem_post(&s->started);
    while (!pawl_task_canceled(t)) {
        sched_yield();
    }
    atomic_fetch_add(&s->told, 1);
    return pawl_task_fail(t, "Interrupted", "it was told to stop");
}

static const pawl_value *deaf_flow(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "deaf", .timeout_s = pawl_num(in, "timeout_s", 0),
                     .retries = PAWL_RETRY_NONE);
}

static const pawl_value *obedient_flow(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "obedient", .retries = PAWL_RETRY_NONE);
}

static void bring(rig *r, struct scene *s)
{
    pawl_activity_options user = {.struct_size = sizeof user, .user = s};

    ok(r, pawl_register_activity(r->engine, "deaf", deaf, &user, &r->err));
    ok(r, pawl_register_activity(r->engine, "obedient", obedient, &user, &r->err));
    ok(r, pawl_register_workflow(r->engine, "deaf_flow", "1", deaf_flow, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "obedient_flow", "1", obedient_flow, NULL, &r->err));
}

static void open_again(rig *r, struct scene *s)
{
    ok(r, pawl_open(r->path, NULL, &r->engine, &r->err));
    rig_register(r);
    bring(r, s);
    ok(r, pawl_resume_all(r->engine, &r->err));
}

static void close_after(rig *r, int64_t drain_ms)
{
    pawl_close(r->engine, drain_ms);
    r->engine = NULL;
}

/** Threads of this process with that name. */
static int threads_named(const char *name)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");

    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[300];
        char comm[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *f = fopen(path, "r");
        if (f != NULL && fgets(comm, sizeof comm, f) != NULL) {
            comm[strcspn(comm, "\n")] = '\0';
            count += strcmp(comm, name) == 0;
        }
        if (f != NULL) {
            (void)fclose(f);
        }
    }
    closedir(dir);
    return count;
}

static void wait_for_the_pool_to_go(void)
{
    while (threads_named("pawl-pool") > 0) {
        sched_yield();
    }
}

/** The types of the run's events, in order: "RunStarted ActivityScheduled ...". */
static const char *types_of(rig *r, const char *id)
{
    static char text[1000];
    const pawl_value *events = NULL;

    text[0] = '\0';
    ok(r, pawl_history(r->engine, id, 1, 100, r->scope, &events, &r->err));
    for (size_t i = 0; i < pawl_len(events); i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "",
                       pawl_str(pawl_at(events, i), "type", "?"));
    }
    return text;
}

/* ---- the tests ---- */

static void an_activity_that_does_not_stop_is_left_behind_and_done_again(void **state)
{
    rig *r = *state;
    struct scene s;

    scene_init(&s);
    rig_open(r, NULL);
    bring(r, &s);
    rig_start(r, "deaf_flow", "d-1", NULL);
    take(&s.started);
    close_after(r, 20);
    open_again(r, &s); /* while the first attempt still runs */
    assert_string_equal(pawl_str(rig_result(r, "d-1"), "", ""), "second");
    assert_int_equal(atomic_load(&s.last_attempt), 1); /* nothing was used up */
    assert_string_equal(types_of(r, "d-1"),
                        "RunStarted ActivityScheduled ActivityCompleted RunCompleted");
    close_after(r, 1000);
    sem_post(&s.go_on); /* comes back to an engine that is gone */
    take(&s.left);
    wait_for_the_pool_to_go();
    assert_int_equal(atomic_load(&s.told), 1);
    scene_deinit(&s);
}

static void an_activity_that_outlived_its_timeout_may_outlive_the_engine(void **state)
{
    rig *r = *state;
    struct scene s;
    const pawl_value *v = NULL;

    scene_init(&s);
    rig_open(r, NULL);
    bring(r, &s);
    rig_start(r, "deaf_flow", "d-1", "{\"timeout_s\": 0.02}");
    take(&s.started);
    expect(r, PAWL_FAILED, pawl_result(r->engine, "d-1", 20000, r->scope, &v, &r->err));
    close_after(r, 20); /* nobody waits for it any more, but the pool */
    sem_post(&s.go_on);
    take(&s.left);
    wait_for_the_pool_to_go();
    scene_deinit(&s);
}

static void running_activities_are_told_to_stop_after_the_drain(void **state)
{
    rig *r = *state;
    struct scene s;

    scene_init(&s);
    rig_open(r, NULL);
    bring(r, &s);
    rig_start(r, "obedient_flow", "o-1", NULL);
    take(&s.started);
    close_after(r, 20);
    assert_int_equal(atomic_load(&s.told), 1);
    open_again(r, &s);
    assert_string_equal(pawl_str(rig_result(r, "o-1"), "", ""),
                        "second"); /* stopping was no failure */
    assert_int_equal(atomic_load(&s.last_attempt), 1);
    assert_string_equal(types_of(r, "o-1"),
                        "RunStarted ActivityScheduled ActivityCompleted RunCompleted");
    close_after(r, 1000);
    scene_deinit(&s);
}

static void a_close_without_a_drain_tells_them_at_once(void **state)
{
    rig *r = *state;
    struct scene s;

    scene_init(&s);
    rig_open(r, NULL);
    bring(r, &s);
    rig_start(r, "obedient_flow", "o-1", NULL);
    take(&s.started);
    close_after(r, 0);
    assert_int_equal(atomic_load(&s.told), 1);
    scene_deinit(&s);
}

struct said {
    pthread_mutex_t lock;
    char text[2000];
};

static void keep(void *user, pawl_level level, const char *run_id, int64_t command,
                 const char *text)
{
    struct said *said = user;

    (void)level;
    (void)run_id;
    (void)command;
    pthread_mutex_lock(&said->lock);
    size_t used = strlen(said->text);
    (void)snprintf(said->text + used, sizeof said->text - used, "%s\n", text);
    pthread_mutex_unlock(&said->lock);
}

static void the_log_names_who_is_waited_for_and_who_is_left(void **state)
{
    rig *r = *state;
    struct scene s;
    struct said said = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pawl_options o = {
        .struct_size = sizeof o, .log = keep, .log_user = &said, .log_level = PAWL_INFO};

    scene_init(&s);
    rig_open(r, &o);
    bring(r, &s);
    rig_start(r, "deaf_flow", "d-1", NULL);
    take(&s.started);
    rig_start(r, "obedient_flow", "o-1", NULL);
    take(&s.started);
    close_after(r, 20);
    static const char *const wanted[] = {
        "closing: waiting for 2 activities (deaf, obedient), at most 0.02 s\n",
        "closing: 2 activities (deaf, obedient) told to stop, within 2 s\n",
        "closed without 1 activity (deaf): told to stop and still running; done again after the next open\n",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strstr(said.text, wanted[i]) == NULL) {
            fail_msg("not said: %s in: %s", wanted[i], said.text);
        }
    }
    sem_post(&s.go_on);
    take(&s.left);
    wait_for_the_pool_to_go();
    scene_deinit(&s);
}

/* ---- who closes, and from where ---- */

struct closer {
    pawl_engine *engine;
    int replies;
    int after;
};

static void close_in_callback(void *user, pawl_status status, const pawl_value *reply,
                              const pawl_error *err)
{
    struct closer *c = user;

    (void)status;
    (void)reply;
    (void)err;
    c->after += c->engine == NULL;
    c->replies++;
    if (c->engine != NULL) {
        pawl_close(c->engine, 100);
        c->engine = NULL;
    }
}

static void a_callback_may_close_the_engine_and_none_comes_after_it(void **state)
{
    rig *r = *state;

    rig_open(r, NULL);
    struct closer c = {.engine = r->engine};
    for (int i = 0; i < 8; i++) {
        ok(r, pawl_request_async(r->engine, "hello", NULL, close_in_callback, &c,
                                 &r->err)); /* answered at once: all wait for the dispatch */
    }
    assert_int_equal(pawl_dispatch(r->engine), 1);
    r->engine = NULL;
    assert_int_equal(c.replies, 1);
    assert_int_equal(c.after, 0);
}

struct elsewhere {
    pawl_engine *engine;
    sem_t inside;
    atomic_bool left;
};

static void stay(void *user, pawl_status status, const pawl_value *reply, const pawl_error *err)
{
    struct elsewhere *x = user;

    (void)status;
    (void)reply;
    (void)err;
    sem_post(&x->inside);
    while (!atomic_load(&x->engine->closing)) {
        sched_yield();
    }
    atomic_store(&x->left, true);
}

static void *dispatch_elsewhere(void *arg)
{
    struct elsewhere *x = arg;

    (void)pawl_dispatch(x->engine);
    return NULL;
}

static void a_close_waits_for_callbacks_on_other_threads(void **state)
{
    rig *r = *state;
    struct elsewhere x = {.left = false};
    pthread_t thread;

    rig_open(r, NULL);
    x.engine = r->engine;
    assert_int_equal(sem_init(&x.inside, 0, 0), 0);
    ok(r, pawl_request_async(r->engine, "hello", NULL, stay, &x, &r->err));
    assert_int_equal(pthread_create(&thread, NULL, dispatch_elsewhere, &x), 0);
    take(&x.inside);
    close_after(r, 100);
    assert_true(atomic_load(&x.left));
    pthread_join(thread, NULL);
    sem_destroy(&x.inside);
}

struct inside {
    pawl_engine *engine;
    sem_t done;
    bool told;
};

/** Closes the engine it runs in: it is the one that does not stop. */
static const pawl_value *closes(pawl_task *t, const pawl_value *in, void *user)
{
    struct inside *x = user;

    (void)in;
    pawl_close(x->engine, 10);
    x->told = pawl_task_canceled(t);
    sem_post(&x->done);
    return NULL;
}

static const pawl_value *closes_flow(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "closes", .input = in);
}

static void an_activity_that_closes_its_engine_is_left_behind_by_it(void **state)
{
    rig *r = *state;
    struct inside x = {.told = false};
    pawl_activity_options user = {.struct_size = sizeof user, .user = &x};

    assert_int_equal(sem_init(&x.done, 0, 0), 0);
    rig_open(r, NULL);
    x.engine = r->engine;
    ok(r, pawl_register_activity(r->engine, "closes", closes, &user, &r->err));
    ok(r, pawl_register_workflow(r->engine, "closes_flow", "1", closes_flow, NULL, &r->err));
    rig_start(r, "closes_flow", "c-1", NULL);
    take(&x.done);
    r->engine = NULL;
    assert_true(x.told);
    wait_for_the_pool_to_go();
    sem_destroy(&x.done);
    rig_open(r, NULL); /* the lock is free */
    assert_string_equal(pawl_str(rig_describe(r, "c-1"), "status", ""), "running");
}

int main(void)
{
#define C(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        C(an_activity_that_does_not_stop_is_left_behind_and_done_again),
        C(an_activity_that_outlived_its_timeout_may_outlive_the_engine),
        C(running_activities_are_told_to_stop_after_the_drain),
        C(a_close_without_a_drain_tells_them_at_once),
        C(the_log_names_who_is_waited_for_and_who_is_left),
        C(a_callback_may_close_the_engine_and_none_comes_after_it),
        C(a_close_waits_for_callbacks_on_other_threads),
        C(an_activity_that_closes_its_engine_is_left_behind_by_it),
    };
#undef C

    return cmocka_run_group_tests_name("host_close", tests, NULL, NULL);
}
