/*
 * worker_code.c - the worker's side of the worker tests: activities that write down what they did, and such that take their process with
 * them. Does not check anything.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/pawl_module.h"

/* One line, in one write. */
static void put(const pawl_value *in, const char *what, const pawl_task *t)
{
    FILE *f = fopen(pawl_str(in, "log", "/dev/null"), "ae");
    if (f != NULL) {
        (void)fprintf(f, "%s %s %d\n", what, pawl_str(in, "line", "?"), pawl_task_attempt(t));
        (void)fclose(f);
    }
}

static bool there(const char *path)
{
    return path != NULL && access(path, F_OK) == 0;
}

static const pawl_value *note(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    put(in, "did", t);
    return pawl_task_build(t, "{pid: %d, attempt: %d, key: %s}", (int)getpid(),
                           pawl_task_attempt(t), pawl_task_key(t));
}

/* Begins, waits for the file "until", ends. Says whether it saw a cancel. */
static const pawl_value *hold(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    put(in, "began", t);
    while (!there(pawl_str(in, "until", NULL))) {
        if (!pawl_task_heartbeat(t, NULL)) {
            put(in, "stopped", t);
            return pawl_task_fail(t, "Canceled", "it was told to stop");
        }
        struct pollfd stop = {.fd = pawl_task_cancel_fd(t), .events = POLLIN};
        (void)poll(&stop, 1, 5);
    }
    put(in, "ended", t);
    return pawl_task_build(t, "{pid: %d}", (int)getpid());
}

/* Says what it does, and what it said before it began to wait. */
static const pawl_value *speak(pawl_task *t, const pawl_value *in, void *user)
{
    char line[40];
    int size = snprintf(line, sizeof line, "attempt %d\n", pawl_task_attempt(t));
    (void)pawl_task_output(t, "text", line, (size_t)size);
    (void)pawl_task_output(t, "text", "waits", 5);
    const pawl_value *held = hold(t, in, user);
    (void)pawl_task_output(t, "log", "goes on", 7);
    return held;
}

/* Dies in every attempt that does not find the file "until". */
static const pawl_value *crash(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    put(in, "began", t);
    if (!there(pawl_str(in, "until", NULL))) {
        _exit(3);
    }
    return pawl_task_build(t, "{attempt: %d}", pawl_task_attempt(t));
}

/* Never looks whether it should stop; later attempts do their work. */
static const pawl_value *hang(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    put(in, "began", t);
    while (pawl_task_attempt(t) == 1) {
        (void)pause();
    }
    return pawl_task_build(t, "{attempt: %d}", pawl_task_attempt(t));
}

/* Takes all the memory there is; later attempts do their work. */
static const pawl_value *eat(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    put(in, "began", t);
    for (size_t n = 0; pawl_task_attempt(t) == 1; n++) {
        volatile char *p = malloc(1 << 20);
        if (p == NULL) {
            abort(); /* what most programs do */
        }
        p[n % (1 << 20)] = 1;
    }
    return pawl_task_build(t, "{attempt: %d}", pawl_task_attempt(t));
}

/* One line for each time that it happened: its key. */
static bool ledger_has(const pawl_value *in, const char *key)
{
    char line[300];
    bool found = false;
    FILE *f = fopen(pawl_str(in, "ledger", "/dev/null"), "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = strcmp(line, key) == 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* An effect that shows in a ledger: before it waits for the file "until", or, with late, after. */
static const pawl_value *pay(pawl_task *t, const pawl_value *in, void *user)
{
    bool late = pawl_bool(in, "late", false) && pawl_task_attempt(t) == 1;
    const pawl_value *held = late ? hold(t, in, user) : NULL;
    FILE *f = fopen(pawl_str(in, "ledger", "/dev/null"), "ae");
    if (f != NULL) {
        (void)fprintf(f, "%s\n", pawl_task_key(t));
        (void)fclose(f);
    }
    held = late ? held : hold(t, in, user);
    return held != NULL ? pawl_task_build(t, "{by: %s}", "pay") : NULL;
}

static pawl_found look(pawl_task *t, const pawl_value *in, void *user,
                       const pawl_value **ret_result)
{
    (void)user;
    put(in, "looked", t);
    if (pawl_bool(in, "blind", false)) {
        return PAWL_FOUND_UNKNOWN;
    }
    if (!ledger_has(in, pawl_task_key(t))) {
        return PAWL_FOUND_NOTHING;
    }
    *ret_result = pawl_task_build(t, "{by: %s}", "look");
    return PAWL_FOUND_DONE;
}

PAWL_MODULE(reg, err)
{
    static const pawl_activity_options checked = {
        .struct_size = sizeof checked, .effect = PAWL_EFFECT_UNSAFE, .read_back = look};
    static const pawl_activity_options unsafe = {.struct_size = sizeof unsafe,
                                                 .effect = PAWL_EFFECT_UNSAFE};
    static const pawl_activity_options one = {.struct_size = sizeof one, .concurrency = 1};
    pawl_status st = reg->activity(reg, "note", note, NULL, err);
    st = st == PAWL_OK ? reg->activity(reg, "hold", hold, NULL, err) : st;
    st = st == PAWL_OK ? reg->activity(reg, "speak", speak, NULL, err) : st;
    st = st == PAWL_OK ? reg->activity(reg, "hold_one", hold, &one, err) : st;
    st = st == PAWL_OK ? reg->activity(reg, "hold_unsafe", hold, &unsafe, err) : st;
    st = st == PAWL_OK ? reg->activity(reg, "pay", pay, &checked, err) : st;
    st = st == PAWL_OK ? reg->activity(reg, "crash", crash, NULL, err) : st;
    st = st == PAWL_OK ? reg->activity(reg, "crash_unsafe", crash, &unsafe, err) : st;
    st = st == PAWL_OK ? reg->activity(reg, "hang", hang, NULL, err) : st;
    return st == PAWL_OK ? reg->activity(reg, "eat", eat, NULL, err) : st;
}
