/*
 * pawl.h - the host's side: open a journal, register code, start runs and talk to them.
 *
 *     pawl_engine *e;
 *     pawl_error err;
 *     if (pawl_open("agents.db", NULL, &e, &err) != PAWL_OK) { fprintf(stderr, "%s\n", err.message); return 1; }
 *     pawl_register_activity(e, "greet", greet, NULL, &err);
 *     pawl_register_workflow(e, "hello", "1", hello, NULL, &err);
 *     pawl_resume_all(e, &err);                       // code is registered: recovered runs go on
 *     pawl_start_options o = {.workflow = "hello", .id = "hello-1", .input = in};
 *     pawl_start(e, &o, sizeof o, NULL, &err);
 *     pawl_result(e, "hello-1", 60000, scope, &result, &err);
 *     pawl_close(e, 5000);
 *
 * Threads: every function here may be called from any thread, but not from workflow code (MISUSE). An engine always has its own
 * threads. Blocking calls wait for the commit of what they asked. Programs with a loop use the _async forms: completions
 * wait behind pawl_poll_fd and are delivered by pawl_dispatch on the caller's thread.
 * Signals: pawl blocks all signals in its own threads, faults excepted. SIGPIPE never reaches the host from pawl. It installs one handler, for
 * SIGSEGV, while an engine is open: it names the run whose code has used up its stack, on standard error, and then, as for any other fault,
 * calls the handler that was there before (none: the process ends as it would have). Handlers that are put over it should hand on to it.
 * pawl_options.no_segv_handler leaves it out; the run is counted as crashed either way.
 * Fork: after fork the child's calls return FORKED and touch nothing; call exec or _exit there. A child must not call pawl_close.
 * Exit: without pawl_close nothing acknowledged is lost; the next open recovers as after kill -9.
 * Files: nothing in the process may open the journal file by itself: a close of such a descriptor drops SQLite's POSIX locks.
 *
 * Owns: what is handed in - options, names, values - is copied before the call returns; functions and what is called `user` must outlive the
 * engine, or, given to an _async call or a watch, their last callback. What is given out belongs to the scope that was passed; the handle to who
 * opened it.
 * Units: names end with them (_ms, _s, _bytes); times are milliseconds since 1970, UTC.
 * Replay: nothing here is for workflow code, which gets MISUSE.
 *
 * Clean as C99 and C++11.
 */
#ifndef PAWL_H
#define PAWL_H

#include "pawl_workflow.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PAWL_VERSION "0.1.0"
/** The version of the library, "0.1.0". Owns: static. Thread: any. */
PAWL_API const char *pawl_version(void);

typedef struct pawl_engine pawl_engine;

typedef void (*pawl_log_fn)(void *user, pawl_level level, const char *run_id, int64_t command,
                            const char *text);

/** All zero is a good default. */
typedef struct pawl_options {
    size_t struct_size; /**< sizeof(pawl_options) */
    int max_live_runs; /**< stacks kept in memory; 0 = 4096; -1 = none: evict at every wait (max_live_runs = 0 of the design; tests) */
    uint32_t pool_threads; /**< of the blocking activity runner; 0 = 4 */
    bool no_socket;        /**< do not serve the control protocol */
    bool strict_replay;    /**< input drift under another build pauses too */
    int64_t
        watchdog_abort_ms; /**< workflow code that holds the loop this long aborts the process; 0 = never */
    pawl_level log_level; /**< least level handed to log */
    pawl_log_fn log;      /**< NULL = silent; called on pawl's threads, must not call pawl */
    void *log_user;
    const char
        *identity; /**< who answers and signals are recorded as coming from; NULL = user@host */
    bool memory;   /**< an in-memory journal; path names nothing */
    bool
        debug_held; /**< logs what workflow code holds at each wait (engine/README.md); costs a listing of descriptors a turn */
    bool
        no_segv_handler; /**< install no handler that names the run whose stack overflowed (above, Signals) */
} pawl_options;

/** Opens (creating or migrating) a journal as its one owner and starts the engine's threads. Runs do not move until pawl_resume_all, so
 * that code can be registered first: what another process asks for that needs code (start, query, retry) waits for it, too. Errors: BUSY
 * (names the pid), FOREIGN, NEWER, DAMAGED, READONLY, NOSPACE, IO, UNSUPPORTED (network file system). */
PAWL_API PAWL_MUST_USE pawl_status pawl_open(const char *path, const pawl_options *options,
                                             pawl_engine **ret_engine, pawl_error *err);
/** Stops taking work and lets running activities finish within drain_ms; those that have not are told to stop (pawl_task_canceled) and get
 * two more seconds; then commits and closes. What did not finish, or failed after it was told to stop, runs again after the next open and has
 * used up none of its retries (an unsafe one that just stopped is asked about). An activity that does not even stop is left to itself: it may
 * return at any later time and is not heard, but what it uses of the host's must still be there. The log says who is waited for.
 * Blocked calls on other threads get SHUTDOWN; it waits until all of them have returned, callbacks of theirs in pawl_dispatch too. What was not
 * dispatched by then is dropped: no callback comes after it. Thread: any, callbacks of pawl_dispatch included; one thread closes, and nobody
 * uses the handle after that (a second call at the same time returns at once). From workflow code, a transactional step or the log's function
 * it does nothing, and in a child of fork. Accepts NULL. */
PAWL_API void pawl_close(pawl_engine *e, int64_t drain_ms);

/* ---- code ---- */

typedef struct pawl_workflow_options {
    size_t struct_size;
    const char *description; /**< for listings and tools */
    const char *
        input_schema; /**< JSON Schema text of the input, or NULL: a start that does not fit is INVALID */
    size_t stack_bytes; /**< 0 = 256 KiB; at least 16 KiB, at most 64 MiB */
    const char *
        output_schema; /**< JSON Schema text of the result, or NULL; shown to callers, not checked */
    const char *
        publish; /**< JSON text, a map: how doors offer it to models (tools/README.md, Publishing); NULL = not published */
} pawl_workflow_options;

/** Registers code under name and version. Open runs of it are recovered with it. Errors: EXISTS, INVALID, LIMIT. */
PAWL_API PAWL_MUST_USE pawl_status pawl_register_workflow(pawl_engine *e, const char *name,
                                                          const char *version, pawl_workflow_fn fn,
                                                          const pawl_workflow_options *options,
                                                          pawl_error *err);
PAWL_API PAWL_MUST_USE pawl_status pawl_register_folded(pawl_engine *e, const char *name,
                                                        const char *version,
                                                        const pawl_folded *folded,
                                                        const pawl_workflow_options *options,
                                                        pawl_error *err);
PAWL_API PAWL_MUST_USE pawl_status pawl_register_activity(pawl_engine *e, const char *name,
                                                          pawl_activity_fn fn,
                                                          const pawl_activity_options *options,
                                                          pawl_error *err);
/** Loads a module (.so): checks its ABI, calls its entry with the function table. Errors: NOTFOUND, ABI, INVALID. See pawl_module.h. */
PAWL_API PAWL_MUST_USE pawl_status pawl_load_module(pawl_engine *e, const char *path,
                                                    pawl_error *err);
/** Lets recovered runs go on, after code was registered. Runs whose code is missing wait as no-code.
 * Errors: DAMAGED, IO, NOMEM, MISUSE, FORKED. */
PAWL_API PAWL_MUST_USE pawl_status pawl_resume_all(pawl_engine *e, pawl_error *err);

/* ---- runs ---- */

typedef enum pawl_reuse {
    PAWL_REUSE_ALLOW = 0,
    PAWL_REUSE_IF_FAILED = 1,
    PAWL_REUSE_REJECT = 2
} pawl_reuse;
typedef enum pawl_conflict {
    PAWL_CONFLICT_FAIL = 0,
    PAWL_CONFLICT_USE_EXISTING = 1,
    PAWL_CONFLICT_TERMINATE = 2
} pawl_conflict;

typedef struct pawl_start_options {
    const char *workflow;
    const char *version; /**< NULL = the newest registered */
    const char *id;      /**< NULL = a fresh UUIDv7 */
    const pawl_value *input;
    pawl_reuse reuse;        /**< a closed run has this id */
    pawl_conflict conflict;  /**< an open run has this id */
    double timeout_s;        /**< of the whole run; 0 = none */
    const char *traceparent; /**< W3C trace context of the caller, stored on the run */
    const char *dedup;       /**< idempotency key: the same key gets the first outcome again */
    const char *
        signal; /**< signal-with-start: delivered as the first signal, to the existing run if one is open */
    const pawl_value *signal_value;
    const pawl_value *
        budget; /**< limits, as {usd: {soft: 0.8, hard: 1}, calls: 50, parent: "goal:x"} (pawl_workflow.h, Budgets). parent names the
                            budget above, or is a map {name, limits ..., parent}: made when it is not there, else left as it is.
                            A run that is there already keeps its own. nil = none */
    const char *
        by; /**< who starts it, for those who ask who did (four eyes); NULL = the engine's identity */
} pawl_start_options;

/** Starts a run; on disk when it returns. ret_id (may be NULL) gets the id. Errors: EXISTS, NOCODE, INVALID, FULL, NOSPACE, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_start(pawl_engine *e, const pawl_start_options *options,
                                              size_t options_size, char ret_id[201],
                                              pawl_error *err);
/** Errors of all below: NOTFOUND, CLOSED, and those of pawl_start. reason and value may be NULL. */
PAWL_API PAWL_MUST_USE pawl_status pawl_signal_post(pawl_engine *e, const char *id,
                                                    const char *name, const pawl_value *value,
                                                    const char *dedup, pawl_error *err);
PAWL_API PAWL_MUST_USE pawl_status pawl_cancel(pawl_engine *e, const char *id, const char *reason,
                                               pawl_error *err);
PAWL_API PAWL_MUST_USE pawl_status pawl_terminate(pawl_engine *e, const char *id,
                                                  const char *reason, pawl_error *err);
PAWL_API PAWL_MUST_USE pawl_status pawl_pause(pawl_engine *e, const char *id, const char *reason,
                                              pawl_error *err);
/** Paused runs go on; a crashed or mismatching one is tried again. */
PAWL_API PAWL_MUST_USE pawl_status pawl_resume(pawl_engine *e, const char *id, pawl_error *err);
/** A failed, cancelled or timed-out run opens again at its failed step: what completed is kept, what failed is tried anew. */
PAWL_API PAWL_MUST_USE pawl_status pawl_retry(pawl_engine *e, const char *id, pawl_error *err);
/**
 * Answers an open wait: value {choice, data, reason?, as?}, as = the role it is given in; or {defer: true | {until_ms: ...} | {for_ms: ...}, reason?}
 * for "not now". The name NULL is the only open one; "name:command" tells waits of one name apart, and never means a later one. by NULL = the
 * engine's identity.
 * Errors: CONFLICT when it was answered before, has expired or was withdrawn, or by has voted (the message says who, what and when), DENIED when it is
 * not for by, INVALID when it does not fit (with a pointer to where), or several waits do (it names them). Whatever fails changes nothing.
 */
PAWL_API PAWL_MUST_USE pawl_status pawl_answer(pawl_engine *e, const char *id, const char *name,
                                               const pawl_value *value, const char *by,
                                               pawl_error *err);

typedef struct pawl_answer_options {
    const char *name;   /**< as of pawl_answer */
    const char *choice; /**< NULL = none: the answer is its data */
    const pawl_value *data;
    const char *reason; /**< why; NULL = not said */
    const char *by;     /**< who; NULL = the engine's identity */
    const char *as;     /**< the role it is given in; NULL = none */
    const char
        *dedup; /**< idempotency key: the same key gets the first outcome again, with again: true */
    bool defer; /**< "not now": choice and data are left out */
    int64_t
        defer_until_ms; /**< with defer: until when, milliseconds since 1970; 0 = until somebody answers */
} pawl_answer_options;
/**
 * The same with all that can be said. *ret_value (may be NULL, with scope) is what came of it: {id, name, outcome: "decided", "voted" or "deferred",
 * choice, at_ms, votes?, same?, needed?, deadline_ms?, again?}; with CONFLICT {name, outcome: "answered", "expired" or "withdrawn", by, choice, at_ms}.
 * Errors: as pawl_answer.
 */
PAWL_API PAWL_MUST_USE pawl_status pawl_answer_with(pawl_engine *e, const char *id,
                                                    const pawl_answer_options *options,
                                                    size_t options_size, pawl_scope *scope,
                                                    const pawl_value **ret_value, pawl_error *err);
/** Waits for the end: OK with the result; FAILED, CANCELED, TERMINATED with {type, message, ...} in *ret_value; TIMEOUT. timeout_ms < 0 = for ever,
 * 0 = only look: TIMEOUT means that it has not ended, and it is seen to have ended once its last event was delivered. Follows continue-as-new. */
PAWL_API PAWL_MUST_USE pawl_status pawl_result(pawl_engine *e, const char *id, int64_t timeout_ms,
                                               pawl_scope *scope, const pawl_value **ret_value,
                                               pawl_error *err);
/** A key published by pawl_set, or else a query handler's answer. */
PAWL_API PAWL_MUST_USE pawl_status pawl_query(pawl_engine *e, const char *id, const char *name,
                                              const pawl_value *input, pawl_scope *scope,
                                              const pawl_value **ret_value, pawl_error *err);
/** {id, workflow, version, status, waiting, reason, created_ms, updated_ms, closed_ms, events, parent, progress: {done, total, text}, ...}. */
PAWL_API PAWL_MUST_USE pawl_status pawl_describe(pawl_engine *e, const char *id, pawl_scope *scope,
                                                 const pawl_value **ret_value, pawl_error *err);
/** {runs: [as describe], next: cursor or nil}. filter: "status = running and workflow = release", NULL = all; cursor 0 = newest first. */
PAWL_API PAWL_MUST_USE pawl_status pawl_list(pawl_engine *e, const char *filter, int64_t cursor,
                                             int limit, pawl_scope *scope,
                                             const pawl_value **ret_value, pawl_error *err);
/** Open described waits, of one run or (id NULL) all: [{id, name, kind, prompt, choices, schema, show, created_ms, deadline_ms}]. */
PAWL_API PAWL_MUST_USE pawl_status pawl_waits(pawl_engine *e, const char *id, pawl_scope *scope,
                                              const pawl_value **ret_value, pawl_error *err);
/** Events: [{seq, time_ms, type, command, ...body}] from from_seq (1 = the first). */
PAWL_API PAWL_MUST_USE pawl_status pawl_history(pawl_engine *e, const char *id, int64_t from_seq,
                                                int limit, pawl_scope *scope,
                                                const pawl_value **ret_value, pawl_error *err);
/** Counters: {runs_in_memory, stacks, turns, commits, steps, replayed_events, stale, ...}, clients: how many are connected to the control socket,
 * and stack_peak: the deepest use of a stack that was given back or looked at, in bytes. */
PAWL_API PAWL_MUST_USE pawl_status pawl_stats(pawl_engine *e, pawl_scope *scope,
                                              const pawl_value **ret_value, pawl_error *err);

/* ---- budgets ---- */

/** What a run used: {id, workflow, budgets: [{name, parent, limits, spent, reserved}], entries: [{command, items, attempt, round, state, activity,
 * model, budget, unpriced, estimate, spent, at_ms}], spent, reserved, estimated (part of spent), unpriced}: amounts are maps of units (pawl_task_spend).
 * entries are the run's own, one an attempt; a map is one: items (else 0) is how many said what they spent, attempt how many attempts did, state is
 * "estimated" when one is, model "several" when they differ. budgets are its own first, then those above. id NULL: totals of the journal instead,
 * by "workflow", "model" or "day" (UTC): {by, totals: [{key, entries, unpriced, spent, reserved, estimated}], spent, reserved, estimated, unpriced}.
 * Errors: NOTFOUND, INVALID, IO, DAMAGED, SHUTDOWN, MISUSE, FORKED. */
PAWL_API PAWL_MUST_USE pawl_status pawl_cost(pawl_engine *e, const char *id, const char *by,
                                             pawl_scope *scope, const pawl_value **ret_value,
                                             pawl_error *err);

/** Which budget (pawl_workflow.h, Budgets), and what its limits are to be. */
typedef struct pawl_budget_options {
    size_t struct_size;
    const char *
        name; /**< "goal:x"; NULL = that of the run `id`. A named one is made by the first run that is started below it */
    const char *id; /**< the run; looked at only without a name */
    const pawl_value *
        limits; /**< {usd: 2, calls: {soft: 40, hard: 50}}: what is named gets that limit, what is not keeps its own */
    bool
        raise; /**< each hard limit in it must be above the one there is, else INVALID and nothing is changed */
    const char *
        by; /**< who; NULL = the engine's identity. Kept beside the limits with what there was before */
    const char *dedup; /**< idempotency key: the same key gets the first outcome again */
} pawl_budget_options;

/** Sets limits of a budget; on disk when it returns. Steps that fit then go on by themselves, and their questions are withdrawn; what no longer
 * fits is held when it next asks; what is under way is let be. *ret_value (may be NULL, with scope): {name, limits: {soft, hard}}, all of them.
 *
 *     pawl_budget_options o = {.name = "goal:x", .limits = pawl_build(scope, "{usd: %g}", 5.0), .raise = true, .by = "ann"};
 *     if (pawl_budget_set(engine, &o, sizeof o, NULL, NULL, &err) != PAWL_OK) { fprintf(stderr, "%s\n", err.message); }
 *
 * Thread: any; blocks until its commit. Replay: not for workflow code, which gets MISUSE.
 * Errors: NOTFOUND (no such budget or run), INVALID (no limits, a unit that is none, raise that raises nothing), NOSPACE, IO, SHUTDOWN, MISUSE,
 * FORKED. */
PAWL_API PAWL_MUST_USE pawl_status pawl_budget_set(pawl_engine *e,
                                                   const pawl_budget_options *options,
                                                   size_t options_size, pawl_scope *scope,
                                                   const pawl_value **ret_value, pawl_error *err);
/** Budgets as they are now: {budgets: [{name, parent, limits: {soft, hard}, spent, reserved, held: [{id, name, command, since_ms, show}],
 * run: {id, workflow, status}, set: {by, at_ms, was}}], next}. held are the questions it has asked; run only of a run's own; set only when limits
 * were set. name: it, those above it (first) and those right below; NULL and id: those of that run; both NULL: every budget with a limit or a name of
 * its own, a thousand at a time, by name: `after` = the `next` of the page before, NULL = the first; next "" = that was all.
 * Thread: any. Replay: not for workflow code, which has pawl_budget. Errors: NOTFOUND, IO, DAMAGED, SHUTDOWN, MISUSE, FORKED. */
PAWL_API PAWL_MUST_USE pawl_status pawl_budgets(pawl_engine *e, const char *name, const char *id,
                                                const char *after, pawl_scope *scope,
                                                const pawl_value **ret_value, pawl_error *err);

/* ---- task queues ---- */

/** The limits of a queue (pawl_call_options.queue), for this engine and every worker of it. All zero: no limits. */
typedef struct pawl_queue_options {
    size_t struct_size;
    const char *name;     /**< "default" is that of calls that name none */
    uint32_t concurrency; /**< attempts under way at a time; 0 = no limit */
    double rate;          /**< starts a second of each limit_key, on average; 0 = no limit */
    uint32_t burst;       /**< starts at once after a pause; 0 = 1 */
} pawl_queue_options;

/** Sets them for good: they are kept in the journal, replace those of before, and count as soon as this returns; what is under way is not
 * stopped. The rate holds across restarts: after one, a key starts as if it had just used up its burst.
 * Errors: INVALID, NOSPACE, IO, SHUTDOWN, MISUSE, FORKED. */
PAWL_API PAWL_MUST_USE pawl_status pawl_queue_set(pawl_engine *e, const pawl_queue_options *options,
                                                  size_t options_size, pawl_error *err);

/* ---- any operation, as data: the control protocol's requests (see engine/README.md for the table) ---- */

/** Blocking: op is "start", "signal", "cancel", ...; args a map. What the typed calls above are made of.
 * Errors: INVALID (unknown op), TIMEOUT, FULL, SHUTDOWN, MISUSE, FORKED, and those of the operation. */
PAWL_API PAWL_MUST_USE pawl_status pawl_request(pawl_engine *e, const char *op,
                                                const pawl_value *args, int64_t timeout_ms,
                                                pawl_scope *scope, const pawl_value **ret_reply,
                                                pawl_error *err);
typedef void (*pawl_reply_fn)(void *user, pawl_status status, const pawl_value *reply,
                              const pawl_error *err);
/** The same without waiting: fn is called by pawl_dispatch. Owns: reply is valid during the call.
 * Errors: INVALID, FULL, SHUTDOWN, MISUSE, FORKED; those of the operation go to fn. */
PAWL_API PAWL_MUST_USE pawl_status pawl_request_async(pawl_engine *e, const char *op,
                                                      const pawl_value *args, pawl_reply_fn fn,
                                                      void *user, pawl_error *err);
/** Watches events after their commit: fn is called by pawl_dispatch with {id, seq, time_ms, type, command, ...}. id NULL = all runs. Slow
 * watchers lose events and are told by {type: "Lost", count}. Errors: NOMEM, FULL, SHUTDOWN, MISUSE, FORKED. */
typedef void (*pawl_watch_fn)(void *user, const pawl_value *event);
PAWL_API PAWL_MUST_USE pawl_status pawl_watch(pawl_engine *e, const char *id, pawl_watch_fn fn,
                                              void *user, pawl_error *err);
/** As pawl_watch, and what attempts say while they run (pawl_task_output), before anything of it is final: {type: "Output", id, command,
 * attempt, activity, index?, channel, at, data}, "at" being its place in bytes, and {type: "OutputEnded", ..., stands}: without a result the
 * attempt's output does not stand, and the next attempt says it anew. These have no seq. It begins with the last that running attempts said.
 * Errors: as pawl_watch. */
PAWL_API PAWL_MUST_USE pawl_status pawl_watch_output(pawl_engine *e, const char *id,
                                                     pawl_watch_fn fn, void *user, pawl_error *err);
/** Readable when pawl_dispatch has something to deliver. Owns: the engine. */
PAWL_API int pawl_poll_fd(pawl_engine *e);
/** Calls the callbacks that are due, on this thread. Returns how many. Several threads may dispatch at a time; then order is theirs to keep.
 * Callbacks may call everything of this header, pawl_close too. */
PAWL_API int pawl_dispatch(pawl_engine *e);

#ifdef __cplusplus
}
#endif
#endif
