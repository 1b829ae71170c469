/*
 * rig.h - the engine's core under a test's hand: a virtual clock, a journal in memory (or SQLite), one thread, no sleeps.
 *
 *   rig_ask --> core --> groups  --rig_commit--> journal --rig_answer--> core --> replies, tasks
 *                ^                                                                     |
 *                `------------------ reports <-- activities (run here, or held) <------'
 *
 * The single steps are for the simulator and for tests of failures; a feature test uses rig_run (everything that can happen now) and
 * rig_advance (the same, and time goes by). rig_crash drops the core with whatever it holds, as SIGKILL would, and opens it again.
 *
 * Does not assert inside workflow code: a failed assertion leaves by longjmp, and a workflow has its own stack. Return the value instead.
 */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/core.h"
#include "journal/memory.h"
#include "sdk/base/arena.h"
#include "sdk/base/value.h"

#define RIG_START_MS INT64_C(1700000000000) /* when a rig's clock begins */
#define RIG_CODE_MAX 64

typedef enum rig_mode {
    RIG_NORMAL,    /* stacks are kept */
    RIG_NO_STACKS, /* evicted at every wait */
    RIG_EVICT,     /* evicted at random */
    RIG_SQLITE,    /* as normal, on a file */
    RIG_MODES
} rig_mode;

/** An answer; belongs to the rig. */
typedef struct rig_reply {
    bool done;
    bool lost;      /* the core went away before it answered */
    int64_t number; /* the client's own, of the request */
    int replies;    /* a watch gets many */
    pawl_status status;
    const pawl_value *value; /* of the last */
    char message[256];
    struct rig_reply *next;
} rig_reply;

/** An attempt on its way: dispatched, and not ended by the code yet. */
typedef struct rig_task {
    pawl_task *task;
    pw_token token;
    char name[PW_NAME_BYTES_MAX + 1];
    bool auto_run; /* its function is called by rig_run */
    bool cancel_asked;
    bool orphan; /* its core is gone */
    struct rig_task *prev, *next;
} rig_task;

/** Code as a program would register it at every start. */
typedef struct rig_code {
    const char *name;
    const char *version; /* NULL = an activity */
    pawl_workflow_fn fn;
    const pawl_folded *folded;
    pawl_activity_fn activity;
    pawl_activity_options options;
    bool held;    /* attempts wait for the test */
    bool missing; /* not registered at the next start */
} rig_code;

typedef struct rig {
    rig_mode mode;
    pw_memory_store *store; /* NULL on SQLite */
    char path[128];
    pw_journal *journal;
    pw_reader *reader;
    pw_core *core;
    uint64_t epoch, group_no, build;
    bool strict;
    pw_crumb_found crumb; /* found at the next start */
    int64_t now_ms;
    int64_t jumped_ms; /* by how much the wall clock has jumped: the monotonic one has not */
    uint64_t random;
    pw_group *groups, *landed; /* queues: handed over; written and not yet answered */
    pw_report *reports;        /* queue */
    rig_task *tasks;
    rig_reply *replies;
    int64_t requests; /* numbers them */
    rig_code code[RIG_CODE_MAX];
    size_t code_len;
    pawl_scope *scope;  /* of replies and of what tests read */
    pw_buf log;         /* lines "LEVEL run command text" */
    uint8_t edges[128]; /* taken by any core of this rig */
    bool failed;        /* the core stopped for good */
    bool crashing;
    bool scarce; /* the disk is full, and its ballast given up */
    bool
        careful; /* allocations of the rig itself never fail: only those of the core and of the code it runs do */
    bool lost_resolve; /* the next resolve fails */
    int64_t next_ms;   /* what the last step said */
    void (*on_reader)(struct rig *r,
                      pw_reader *reader); /* at every start: may put its own operations there */
    void (*on_dispatch)(struct rig *r, const rig_task *t);
    void (*on_step)(struct rig *r); /* after each step of the core */
    void *user;
} rig;

/* ---- life ---- */

rig *rig_open(rig_mode mode);
void rig_close(rig *r); /* accepts NULL */
/** What SIGKILL does: everything not in the journal is gone. Then a new start. */
void rig_crash(rig *r);
void rig_kill(rig *r); /* the first half */
void rig_boot(rig *r); /* the second */
pawl_status
rig_try_boot(rig *r, pawl_error *err); /* the same; without memory there is no core afterwards */

/** cmocka: *state holds the mode before, the rig after. */
int rig_setup(void **state);
int rig_teardown(void **state);
/** Runs the tests once in each mode (PAWL_RIG_MODE=normal|no-stacks|evict|sqlite: one of them). Returns failures. */
int rig_run_modes(const struct CMUnitTest *tests, size_t len, bool sqlite);
#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

/* ---- code ---- */

void rig_workflow(rig *r, const char *name, pawl_workflow_fn fn);
void rig_workflow_version(rig *r, const char *name, const char *version, pawl_workflow_fn fn);
void rig_folded(rig *r, const char *name, const pawl_folded *folded);
void rig_activity(rig *r, const char *name, pawl_activity_fn fn);
void rig_activity_options(rig *r, const char *name, pawl_activity_fn fn,
                          const pawl_activity_options *options);
/** Attempts wait until the test ends them. */
void rig_held(rig *r, const char *name, pawl_effect effect);
/** Held, and with a read-back, which is held too: it ends as rig_done says, {found: "done" | "nothing" | "unknown", result?}. */
void rig_held_read_back(rig *r, const char *name);
/** What the next start registers instead; NULL = nothing. */
void rig_replace(rig *r, const char *name, pawl_workflow_fn fn);

/* ---- single steps ---- */

void rig_step(rig *r);    /* one step of the core */
bool rig_commit(rig *r);  /* writes the oldest group handed over; false = none */
bool rig_answer(rig *r);  /* tells the core of the oldest one written */
bool rig_deliver(rig *r); /* hands the oldest report over */
bool rig_work(rig *r);    /* runs the oldest attempt that is not held */

/* ---- everything that can happen ---- */

void rig_run(rig *r);
/** Lets time go by, firing what is due on the way. */
void rig_advance(rig *r, int64_t ms);
/** Advances until the run is closed, at most that long. */
void rig_finish(rig *r, const char *id, int64_t ms_max);

/* ---- requests ---- */

/** Posts one; args as for pawl_build. */
rig_reply *rig_post(rig *r, const char *op, const char *fmt, ...) PAWL_PRINTF(3, 4);
rig_reply *rig_post_value(rig *r, const char *op, const pawl_value *args);
/** Posts one and runs until it is answered. Fails the test when it is not. */
rig_reply *rig_ask(rig *r, const char *op, const char *fmt, ...) PAWL_PRINTF(3, 4);
/** Starts a run with an input given as a template, and runs. */
void rig_start(rig *r, const char *workflow, const char *id);
void rig_start_with(rig *r, const char *workflow, const char *id, const pawl_value *input);
/** Into the inbox, as a process without the owner does. */
void rig_post_inbox(rig *r, const char *op, const pawl_value *args, const char *dedup);

/* ---- tasks ---- */

/** The oldest attempt of that activity that nobody has ended. NULL when there is none. */
rig_task *rig_task_find(rig *r, const char *name);
size_t rig_tasks(const rig *r, const char *name); /* how many */
void rig_begin(rig *r, rig_task *t);
void rig_done(rig *r, rig_task *t, const pawl_value *result);
void rig_fail(rig *r, rig_task *t, const char *type, bool retryable);
void rig_stop(rig *r, rig_task *t); /* ends as cancelled */
/** Its code returns; the report waits for rig_deliver. */
void rig_end(rig *r, rig_task *t, const pawl_value *result);
void rig_end_failed(rig *r, rig_task *t, const char *type, bool retryable);
void rig_end_canceled(rig *r, rig_task *t);
void rig_drop(rig *r, rig_task *t); /* its worker died: no report ever comes */

/* ---- looking ---- */

const char *
rig_status(rig *r, const char *id); /* "running", "completed"...; "" when there is no such run */
const char *rig_waiting(rig *r, const char *id);
const char *rig_reason(rig *r, const char *id);
int64_t rig_progress(rig *r, const char *id); /* done, of how much */
int64_t rig_key(rig *r, const char *id);
int64_t rig_unread(rig *r, const char *id); /* signals nobody read, of a closed run */
int64_t rig_seq(rig *r, const char *id);    /* events in its history */
/** The result of a closed run; nil when it has none. */
const pawl_value *rig_result(rig *r, const char *id);
const pawl_value *rig_failure(rig *r, const char *id);
/** "RunStarted ActivityScheduled:greet ActivityCompleted RunCompleted" */
const char *rig_history(rig *r, const char *id);
int rig_count(rig *r, const char *id, const char *event);
/** Body of the n-th (0 = first) event of that name, with `seq` and `command`; nil when there is none. */
const pawl_value *rig_event(rig *r, const char *id, const char *event, int nth);
const pawl_value *rig_key_value(rig *r, const char *id, const char *key);
int64_t rig_stat(rig *r, const char *name);
bool rig_logged(const rig *r, const char *text);
const pawl_value *rig_value(rig *r, const char *fmt, ...) PAWL_PRINTF(2, 3);
uint64_t rig_draw(uint64_t *state); /* splitmix64 */

void rig_history_of_key(rig *r, int64_t key, pw_buf *out);

#endif
