/*
 * core.h - the engine's core: a state machine without threads, clocks, sockets or files. Everything nondeterministic goes through
 * one table, so that the simulator runs the same core with a seed.
 *
 *   requests, task reports, timers, commit answers  -->  pw_core_step: turns -> one group -> env.commit
 *   pw_core_committed(OK)  -->  publish: replies, dispatches, watch events     nothing leaves before (E1)
 *
 * [E1] nothing is published before its group has landed.   [E3] state changes only by applying events, live and in replay.
 * [E2] a run has at most one turn in flight, and is frozen until its ack.
 * (engine/README.md has the whole list.)
 *
 * Thread: all functions belong to one thread.
 */
#ifndef PW_CORE_H
#define PW_CORE_H

#include "engine/request.h"
#include "engine/task.h"
#include "journal/crumb.h"
#include "journal/journal.h"
#include "sdk/pawl.h"

typedef struct pw_core pw_core;
/** NEW: nothing new begins; STOP: what runs was told to stop, too. */
typedef enum pw_shutdown { PW_SHUTDOWN_NONE, PW_SHUTDOWN_NEW, PW_SHUTDOWN_STOP } pw_shutdown;

typedef struct pw_env {
    void *ctx;
    int64_t (*now_ms)(void *ctx); /* UTC */
    int64_t (*mono_ns)(void *ctx);
    void (*random)(void *ctx, void *ret, size_t size);
    /** Hands a group over; answered later by pw_core_committed (never from inside this call). */
    void (*commit)(void *ctx, pw_group *group);
    void (*stage)(void *ctx, const uint8_t digest[PW_DIGEST_SIZE], pw_view bytes);
    /** Hands over the beginning of a group that is still being built: `shown` operations, which stay as they are. Then commit_show, until it is
     * whole, as if it were handed over by `commit` then; or commit_back, and it was not handed over. NULL = groups are handed over whole. */
    void (*commit_open)(void *ctx, pw_group *group, size_t shown);
    void (*commit_show)(void *ctx, pw_group *group, size_t shown, bool whole);
    void (*commit_back)(void *ctx, pw_group *group);
    /** After an UNKNOWN: reopen and resolve. OK and *ret_landed, or the engine stops for good. May block. */
    pawl_status (*resolve)(void *ctx, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                           pawl_error *err);
    /** Starts an attempt; the core holds its own reference. Must return at once. */
    void (*dispatch)(void *ctx, pawl_task *task);
    void (*cancel)(void *ctx, pawl_task *task);
    /** For pw_task_init: any thread, and perhaps after the core is gone. Called with report_ctx (NULL = ctx). */
    void (*report)(void *report_ctx, pw_report *report);
    void *report_ctx;
    void (*log)(void *ctx, pawl_level level, const char *run_id, int64_t command, const char *text);
    /** The engine cannot go on (fail-stop): every later request is answered with that error. */
    void (*failed)(void *ctx, const pawl_error *err);
    /** The disk is full, and what was kept free for it is in use. NULL = never. */
    bool (*scarce)(void *ctx);
    /** What was replied up to here may be shown: one wake-up for many. NULL = not wanted. */
    void (*replied)(void *ctx);
    /** A digest of the object that holds this code. NULL = the build of the options for all. */
    uint64_t (*build_of)(void *ctx, const void *code);
    /** debug_held: remembers which descriptors are open; later says how many more there are, and which. NULL = not looked at. */
    void (*fds_mark)(void *ctx);
    int (*fds_since)(void *ctx, char *ret_names, size_t size);
} pw_env;

typedef struct pw_core_options {
    uint64_t epoch;
    uint64_t group_no; /* last that landed */
    pw_reader *reader; /* the core's own */
    pw_crumb *crumb;   /* NULL = none */
    pw_crumb_found crumb_found;
    const char *journal_path; /* "" = memory */
    uint64_t build;           /* digest of this program's code */
    int live_runs_max;        /* stacks kept; 0 = evict at every wait */
    bool strict_replay;
    bool debug_held;   /* says what code holds at each wait */
    bool evict_random; /* the simulator's: evict at random from env.random */
} pw_core_options;

pawl_status pw_core_new(const pw_env *env, const pw_core_options *options, pw_core **ret_core,
                        pawl_error *err);
void pw_core_free(pw_core *core); /* accepts NULL; running tasks keep their own references */

/* registration: before or after recovery; names and strings are copied */
pawl_status pw_core_workflow(pw_core *core, const char *name, const char *version,
                             pawl_workflow_fn fn, const pawl_folded *folded,
                             const pawl_workflow_options *options, pawl_error *err);
pawl_status pw_core_activity(pw_core *core, const char *name, pawl_activity_fn fn,
                             const pawl_activity_options *options, pawl_error *err);

/** Reads what is open (tasks, near timers, inbox, unfinished runs) and lets it go on. */
pawl_status pw_core_recover(pw_core *core, pawl_error *err);

/* inputs; each takes its argument over */
void pw_core_request(pw_core *core, pw_request *rq);
void pw_core_report(pw_core *core, pw_report *report);
void pw_core_committed(pw_core *core, pw_group *group);
/** The live requests of a client (result, watch, task_poll) are dropped without a reply. */
void pw_core_client_gone(pw_core *core, uint64_t client);
/** The wall clock may have jumped: timers are looked at again. */
void pw_core_clock_changed(pw_core *core);
/** No new turns, no new dispatches; what is in flight is answered. */
void pw_core_shutdown(pw_core *core);
/** After it: asks what runs in this process to stop. What fails then has been stopped, not failed: it runs again after the next open. */
void pw_core_stop_tasks(pw_core *core);
/** "fetch, 3 of plan": the activities that run in this process, by name, some of them. */
void pw_core_tasks_text(const pw_core *core, char *ret_text, size_t size);

/** Does all that can be done now. Returns milliseconds until it wants to be called again (0 = at once, -1 = only on input). */
int64_t pw_core_step(pw_core *core);
/** True when nothing is in flight: no group, no ready run. */
bool pw_core_idle(const pw_core *core);
/** Running tasks of this process. */
size_t pw_core_tasks_running(const pw_core *core);

/** Counters, as a map. */
const pawl_value *pw_core_stats(pw_core *core, pawl_scope *scope);
/** Checks every invariant of the core's state that can be checked from inside; PW_CHECK on failure. The simulator calls it after each step. */
void pw_core_check(pw_core *core);

/** Has that edge of machines.def been taken by this core? (transition coverage) */
bool pw_core_edge_seen(const pw_core *core, int edge);

/** True while workflow code is on this thread's stack: host calls answer MISUSE. */
bool pw_core_in_workflow(void);

#endif
