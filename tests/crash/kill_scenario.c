/*
 * kill_scenario.c - the program that is killed: kill_scenario DIR runs one workflow to its end and exits 0, whatever earlier runs
 * of it left behind.
 *
 * The workflow has an activity, one that buys something on the run's budget, a conversation, a local step, a timer, a subprocess, a signal and
 * an unsafe activity. Every side effect appends one line
 * to DIR/effects: what, and the idempotency key. When the unsafe one was cut, the program reads the effects back and answers.
 * Does not check anything but its own result: kill_sweep.c does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/pawl.h"

static char effects_path[4096];

static void note(const char *what, const char *key)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%s %s\n", what, key);
    int fd = open(effects_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || n <= 0 || write(fd, line, (size_t)n) != n) {
        abort();
    }
    (void)close(fd);
}

static const pawl_value *effect(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    note(pawl_str(in, "what", "?"), pawl_task_key(t));
    return pawl_task_build(t, "{done: true}");
}

static const pawl_value *child(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    char script[4600];
    (void)snprintf(script, sizeof script, "echo child %s >> '%s'; sleep 0.01", pawl_task_key(t),
                   effects_path);
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    pawl_exec_options o = {.struct_size = sizeof o, .argv = argv};
    return pawl_exec(t, &o);
}

/* What it costs is known once it has happened: the line is the seller's own count. */
static const pawl_value *buy(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    note("buy", pawl_task_key(t));
    (void)pawl_task_spend(t, pawl_task_build(t, "{usd: 0.01, input: 7, output: 3, calls: 1}"));
    return pawl_task_build(t, "{done: true}");
}

static const pawl_value *local(pawl_step *s, const pawl_value *in)
{
    (void)in;
    note("local", pawl_step_key(s));
    return pawl_step_build(s, "{done: true}");
}

/* Fails for good when a reference came back from the journal without what it names. */
static const pawl_value *listen(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    const pawl_value *said = pawl_task_convo(t, in, 0);
    return said != NULL ? pawl_task_build(t, "%zu", pawl_len(said)) : NULL;
}

static const pawl_value *sweep(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *talk = pawl_convo_append(w, NULL, pawl_json(w, "[{say: 1}, {say: 2}]"));
    (void)pawl_call(w, "effect", .input = pawl_json(w, "{what: %s}", "first"));
    (void)pawl_call(w, "buy", .reserve = pawl_json(w, "{usd: 0.02, tokens: 20, calls: 1}"));
    (void)pawl_local(w, "local", local, NULL);
    (void)pawl_sleep(w, 0.005);
    const pawl_value *ran = pawl_call(w, "child", .retry_initial_s = 0.01);
    const pawl_value *go = pawl_signal(w, "go");
    talk = pawl_convo_append(w, talk, go);
    const pawl_value *heard = pawl_call(w, "listen", .input = talk);
    (void)pawl_call(w, "pay", .input = pawl_json(w, "{what: %s}", "pay"),
                    .effect = PAWL_EFFECT_UNSAFE);
    return pawl_json(w, "{exit: %lld, go: %lld, heard: %lld}", (long long)pawl_int(ran, "exit", -1),
                     (long long)pawl_int(go, "n", -1), (long long)pawl_int(heard, "", -1));
}

static int fail(const char *what, pawl_status st, const pawl_error *err)
{
    (void)fprintf(stderr, "kill_scenario: %s: %s: %s\n", what, pawl_status_name(st), err->message);
    return 1;
}

static bool paid(void)
{
    char line[512];
    bool found = false;
    FILE *f = fopen(effects_path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        found |= strncmp(line, "pay ", 4) == 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* The process died between `sent` and the result: look whether it happened, and say so. */
static pawl_status reconcile(pawl_engine *e, pawl_scope *s, pawl_error *err)
{
    const pawl_value *waits;
    pawl_status st = pawl_waits(e, "run", s, &waits, err);
    if (st != PAWL_OK || pawl_len(waits) == 0) {
        return st;
    }
    return pawl_answer(e, "run", NULL, pawl_build(s, "{choice: %s}", paid() ? "done" : "retry"),
                       "scenario", err);
}

static int drive(pawl_engine *e, pawl_scope *s)
{
    pawl_error err;
    pawl_start_options o = {.workflow = "sweep", .id = "run", .dedup = "start"};
    o.budget = pawl_build(s, "{usd: 5, calls: 100, parent: 'goal:sweep'}");
    pawl_status st = pawl_start(e, &o, sizeof o, NULL, &err);
    if (st != PAWL_OK) {
        return fail("start", st, &err);
    }
    st = pawl_signal_post(e, "run", "go", pawl_build(s, "{n: 7}"), "go", &err);
    if (st != PAWL_OK && st != PAWL_CLOSED) {
        return fail("signal", st, &err);
    }
    for (int i = 0; i < 400; i++) {
        const pawl_value *v = NULL;
        st = pawl_result(e, "run", 50, s, &v, &err);
        if (st == PAWL_OK) {
            bool right = pawl_int(v, "exit", -1) == 0 && pawl_int(v, "go", -1) == 7 &&
                         pawl_int(v, "heard", -1) == 3;
            (void)printf("%s\n", pawl_to_json(s, v, 0));
            return right ? 0 : 2;
        }
        if (st != PAWL_TIMEOUT) {
            return fail("result", st, &err);
        }
        st = reconcile(e, s, &err);
        if (st != PAWL_OK && st != PAWL_NOTFOUND && st != PAWL_CONFLICT && st != PAWL_CLOSED) {
            return fail("answer", st, &err);
        }
    }
    (void)fprintf(stderr, "kill_scenario: no end within 20 s\n");
    return 3;
}

static void say(void *user, pawl_level level, const char *run_id, int64_t command, const char *text)
{
    (void)user;
    (void)level;
    (void)fprintf(stderr, "  log %s/%lld: %s\n", run_id, (long long)command, text);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 64;
    }
    char db[4096];
    (void)snprintf(db, sizeof db, "%s/run.db", argv[1]);
    (void)snprintf(effects_path, sizeof effects_path, "%s/effects", argv[1]);
    pawl_engine *e;
    pawl_error err;
    pawl_options o = {.struct_size = sizeof o,
                      .pool_threads = 1,
                      .no_socket = true,
                      .log = say,
                      .log_level = PAWL_WARN};
    pawl_status st = pawl_open(db, &o, &e, &err);
    if (st != PAWL_OK) {
        return fail("open", st, &err);
    }
    bool ok = pawl_register_activity(e, "effect", effect, NULL, &err) == PAWL_OK &&
              pawl_register_activity(e, "buy", buy, NULL, &err) == PAWL_OK &&
              pawl_register_activity(e, "pay", effect, NULL, &err) == PAWL_OK &&
              pawl_register_activity(e, "listen", listen, NULL, &err) == PAWL_OK &&
              pawl_register_activity(e, "child", child, NULL, &err) == PAWL_OK &&
              pawl_register_workflow(e, "sweep", "1", sweep, NULL, &err) == PAWL_OK &&
              pawl_resume_all(e, &err) == PAWL_OK;
    if (!ok) {
        return fail("register", err.status, &err);
    }
    pawl_scope *s = pawl_scope_new();
    int rc = drive(e, s);
    pawl_scope_free(s);
    pawl_close(e, 1000);
    return rc;
}
