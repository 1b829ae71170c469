/*
 * host_rig.c - the engine that host tests talk to. Does not test anything itself.
 */
#include "host_rig.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Activities get the rig as their user pointer; workflow code finds it here, as one process runs one rig at a time. */
static rig *current;

/* ---- code ---- */

static const pawl_value *greet(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{text: %s}", pawl_str(in, "name", "you"));
}

static const pawl_value *try_it(pawl_task *t, const pawl_value *in, void *user)
{
    rig *r = user;

    (void)in;
    if (atomic_load(&r->flaky_ok) == 0) {
        return pawl_task_fail(t, "NotYet", "the test has not allowed it");
    }
    return pawl_task_build(t, "{ok: true}");
}

/** Greets by an activity. */
static const pawl_value *hello(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "greet", .input = in);
}

/** Waits for as many signals "go" as its input says (one), and returns their values. */
static const pawl_value *go(pawl_run *w, const pawl_value *in)
{
    const pawl_value *got[16];
    size_t count = (size_t)pawl_int(in, "count", 1);

    for (size_t i = 0; i < count; i++) {
        got[i] = pawl_signal(w, .name = "go");
    }
    return pawl_ok(w) ? pawl_make_array(pawl_run_scope(w), got, count) : NULL;
}

/** Asks for an approval and returns the answer. */
static const pawl_value *asker(pawl_run *w, const pawl_value *in)
{
    return pawl_ask(w, "approve", .prompt = "Shall we?", .choices = "yes|no", .show = in);
}

static const pawl_value *double_it(pawl_run *w, const pawl_value *input, void *arg)
{
    (void)arg;
    return pawl_json(w, "%d", (int)(2 * pawl_int(input, "n", 0)));
}

/** Publishes a key and a query handler, then waits for "go". */
static const pawl_value *keys(pawl_run *w, const pawl_value *in)
{
    pawl_set(w, "colour", pawl_json(w, "%s", pawl_str(in, "colour", "green")));
    pawl_on_query(w, "double", double_it, NULL);
    pawl_progress(w, 1, 2, "half way");
    pawl_signal(w, .name = "go");
    return pawl_json(w, "%s", "done");
}

/** Fails until the test allows it; no retries. */
static const pawl_value *flaky(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_call(w, "greet", .input = in);
    return pawl_call(w, "try_it", .retries = PAWL_RETRY_NONE);
}

static const pawl_value *sleeper(pawl_run *w, const pawl_value *in)
{
    pawl_sleep(w, pawl_num(in, "seconds", 3600));
    return pawl_json(w, "%s", "awake");
}

/** Tries a host call from workflow code and returns what that said. */
static const pawl_value *misuser(pawl_run *w, const pawl_value *in)
{
    pawl_error err;
    pawl_status status = pawl_cancel(current->engine, "nobody", NULL, &err);

    (void)in;
    return pawl_json(w, "%s", pawl_status_name(status));
}

static const pawl_value *count_up(pawl_step *s, const pawl_value *in)
{
    (void)in;
    return pawl_step_build(s, "%d", atomic_fetch_add(&current->steps, 1) + 1);
}

/** `steps` local steps, then a signal if `wait`. */
static const pawl_value *counter(pawl_run *w, const pawl_value *in)
{
    const pawl_value *last = NULL;

    for (int64_t i = 0; i < pawl_int(in, "steps", 3) && pawl_ok(w); i++) {
        last = pawl_local(w, "count", count_up, NULL);
    }
    if (pawl_bool(in, "wait", false)) {
        pawl_signal(w, .name = "go");
    }
    return last;
}

static const pawl_value *parent(pawl_run *w, const pawl_value *in)
{
    return pawl_child(w, pawl_str(in, "workflow", "hello"), .input = pawl_get(in, "input"),
                      .id = pawl_str(in, "id", NULL));
}

static const struct {
    const char *name;
    pawl_workflow_fn fn;
} workflows[] = {
    {"hello", hello},     {"go", go},           {"asker", asker},
    {"keys", keys},       {"flaky", flaky},     {"sleeper", sleeper},
    {"misuser", misuser}, {"counter", counter}, {"parent", parent},
};

/* ---- checks ---- */

void rig_ok(rig *r, pawl_status status, const char *what, const char *file, int line)
{
    rig_expect(r, PAWL_OK, status, what, file, line);
}

void rig_expect(rig *r, pawl_status wanted, pawl_status status, const char *what, const char *file,
                int line)
{
    if (status != wanted) {
        print_error("%s:%d: %s: %s (%s), expected %s\n", file, line, what, pawl_status_name(status),
                    status == PAWL_OK ? "" : r->err.message, pawl_status_name(wanted));
        fail();
    }
}

/* ---- the engine ---- */

static void on_log(void *user, pawl_level level, const char *run_id, int64_t command,
                   const char *text)
{
    (void)user;
    if (getenv("RIG_LOG") != NULL) {
        fprintf(stderr, "[%d] %s/%lld: %s\n", (int)level, run_id != NULL ? run_id : "-",
                (long long)command, text);
    }
}

void rig_register(rig *r)
{
    pawl_activity_options user = {.struct_size = sizeof user, .user = r};

    for (size_t i = 0; i < PW_COUNT(workflows); i++) {
        ok(r, pawl_register_workflow(r->engine, workflows[i].name, "1", workflows[i].fn, NULL,
                                     &r->err));
    }
    ok(r, pawl_register_activity(r->engine, "greet", greet, NULL, &r->err));
    ok(r, pawl_register_activity(r->engine, "try_it", try_it, &user, &r->err));
}

void rig_open(rig *r, const pawl_options *options)
{
    pawl_options o = {.struct_size = sizeof o};

    if (options != NULL) {
        o = *options;
    }
    if (o.log == NULL) {
        o.log = on_log;
    }
    if (o.identity == NULL) {
        o.identity = "tester";
    }
    current = r;
    ok(r, pawl_open(o.memory ? NULL : r->path, &o, &r->engine, &r->err));
    rig_register(r);
    ok(r, pawl_resume_all(r->engine, &r->err));
}

void rig_close(rig *r)
{
    pawl_close(r->engine, 5000);
    r->engine = NULL;
    r->watched = NULL;
}

int rig_setup(void **state)
{
    rig *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return -1;
    }
    (void)snprintf(r->folder, sizeof r->folder, "/tmp/pawl-host-XXXXXX");
    if (mkdtemp(r->folder) == NULL) {
        free(r);
        return -1;
    }
    (void)snprintf(r->path, sizeof r->path, "%s/j.db", r->folder);
    r->scope = pawl_scope_new();
    *state = r;
    return 0;
}

int rig_teardown(void **state)
{
    rig *r = *state;
    DIR *dir = opendir(r->folder);
    struct dirent *entry;
    char path[400];

    pawl_close(r->engine, 1000);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", r->folder, entry->d_name);
        (void)unlink(path);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    (void)rmdir(r->folder);
    pawl_scope_free(r->scope);
    free(r);
    return 0;
}

/* ---- runs ---- */

void rig_start(rig *r, const char *workflow, const char *id, const char *input)
{
    pawl_start_options o = {.workflow = workflow, .id = id};

    if (input != NULL) {
        ok(r, pawl_parse_json(r->scope, input, strlen(input), &o.input, &r->err));
    }
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
}

const pawl_value *rig_result(rig *r, const char *id)
{
    const pawl_value *v = NULL;

    ok(r, pawl_result(r->engine, id, HOST_PATIENCE_MS, r->scope, &v, &r->err));
    return v;
}

const pawl_value *rig_describe(rig *r, const char *id)
{
    const pawl_value *v = NULL;

    ok(r, pawl_describe(r->engine, id, r->scope, &v, &r->err));
    return v;
}

static void on_any(void *user, const pawl_value *event)
{
    (void)user;
    (void)event;
}

void rig_watch(rig *r)
{
    const pawl_value *v = NULL;

    if (r->watched != r->engine) {
        ok(r, pawl_watch(r->engine, NULL, on_any, NULL, &r->err));
        ok(r, pawl_stats(r->engine, r->scope, &v,
                         &r->err)); /* goes the same way: when it is answered, the watch is there */
        r->watched = r->engine;
    }
}

void rig_event(rig *r)
{
    struct pollfd p = {.fd = pawl_poll_fd(r->engine), .events = POLLIN};

    if (poll(&p, 1, HOST_PATIENCE_MS) != 1) {
        fail_msg("nothing happened for 20 s");
    }
    (void)pawl_dispatch(r->engine);
}

void rig_clock(int64_t until_ms)
{
    struct itimerspec spec = {
        .it_value = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000}};
    int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
    uint64_t count = 0;

    assert_true(fd >= 0);
    assert_int_equal(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL), 0);
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    close(fd);
}

void rig_until(rig *r, const char *id, const char *key, const char *text)
{
    rig_watch(r);
    while (strcmp(pawl_str(rig_describe(r, id), key, ""), text) != 0) {
        rig_event(r);
    }
}
