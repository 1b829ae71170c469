/*
 * pawl_activity.h - activities: code with side effects, and the one task contract every runner of them fits.
 *
 *   engine --start--> runner --(any thread)--> heartbeat* --> complete | fail | canceled --> engine
 *
 * A task is one attempt of an activity. It is at least once: after a crash an attempt may run again, under the same
 * idempotency key, so hand that key to whatever you call. Completions of any but the current attempt are answered
 * PAWL_STALE and change nothing.
 *
 * Writing an activity (blocking, on a pool thread):
 *
 *     static const pawl_value *greet(pawl_task *t, const pawl_value *in, void *user)
 *     {
 *         (void)user;
 *         return pawl_task_build(t, "{text: %s}", pawl_str(in, "name", "you"));
 *     }
 *
 * Owns: what a task is asked for belongs to the task and dies with it; what is handed to it is copied.
 * Replay: nothing here is for workflow code; that calls activities (pawl_call) and gets what they returned from the journal.
 * Thread: an activity runs on a pool thread; what may be called from any thread says so. Clean as C99 and C++11.
 */
#ifndef PAWL_ACTIVITY_H
#define PAWL_ACTIVITY_H

#include "pawl_value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What the outside sees of an activity, and so what may be done after a crash in the middle of it. */
typedef enum pawl_effect {
    PAWL_EFFECT_DEFAULT = 0,    /**< as registered; idempotent when the registration does not say */
    PAWL_EFFECT_PURE = 1,       /**< nothing: run it again at will */
    PAWL_EFFECT_IDEMPOTENT = 2, /**< safe to repeat under the same idempotency key */
    PAWL_EFFECT_UNSAFE =
        3 /**< `sent` is committed before it starts; after a crash its outcome is unknown and the run asks */
} pawl_effect;

typedef struct pawl_task pawl_task;
typedef struct pawl_runner pawl_runner;

/** Does the work and returns its result (nil allowed). To fail: `return pawl_task_fail(t, "Type", "why")`.
 * Thread: a pool thread. Owns: input and result belong to the task. */
typedef const pawl_value *(*pawl_activity_fn)(pawl_task *task, const pawl_value *input, void *user);

/** What a read-back found out. */
typedef enum pawl_found {
    PAWL_FOUND_UNKNOWN = 0, /**< it cannot tell: the run asks */
    PAWL_FOUND_DONE = 1,    /**< it happened: *ret_result is its result (nil allowed) */
    PAWL_FOUND_NOTHING = 2  /**< it did not happen, and no longer will: it is sent again */
} pawl_found;

/** Finds out what became of an unsafe effect whose outcome nobody knows: `sent` was committed, and then came a crash, a lost worker, or a
 * failure marked pawl_task_outcome_unknown. Called before it is sent again, with the input, pawl_task_key and pawl_task_attempt of the attempt in
 * question; what it calls must itself be safe to repeat. Failing the task, hanging (the call's timeout, else 60 s) and crashing are "cannot tell".
 *
 *     static pawl_found look(pawl_task *t, const pawl_value *in, void *bank, const pawl_value **ret_result)
 *     {
 *         const pawl_value *paid = bank_find(bank, pawl_task_key(t), pawl_task_scope(t));  // NULL = no such payment
 *         *ret_result = paid;
 *         return paid != NULL ? PAWL_FOUND_DONE : PAWL_FOUND_NOTHING;
 *     }
 *
 * NOTHING is a promise: a request that may still be on its way, or still be read by the other side, is UNKNOWN. The engine takes it for UNKNOWN
 * by itself where the attempt before timed out, for its code may still run. Thread: a pool thread. Owns: as pawl_activity_fn. */
typedef pawl_found (*pawl_read_back_fn)(pawl_task *task, const pawl_value *input, void *user,
                                        const pawl_value **ret_result);

/** How an activity is registered. All zero is a good default. */
typedef struct pawl_activity_options {
    size_t struct_size;   /**< sizeof(pawl_activity_options) */
    pawl_effect effect;   /**< default of its calls: PAWL_EFFECT_DEFAULT means idempotent */
    uint32_t concurrency; /**< at most so many at a time in this process; 0 = no limit of its own */
    const char *description; /**< for listings; static or copied */
    void *user;              /**< handed to the function; must outlive the engine */
    pawl_runner *
        runner; /**< who runs it; NULL = the pool. Once registered it belongs to the engine, which stops it when it closes;
                                 one runner may serve many activities of one engine. A worker process keeps it as the engine does */
    pawl_read_back_fn
        read_back; /**< of an unsafe effect: looks what became of it before anybody is asked; runs in the pool. NULL = none */
} pawl_activity_options;

/* ---- inside an activity: thread = the one that runs it, unless said otherwise ---- */

/** The scope that dies with the task. */
PAWL_API pawl_scope *pawl_task_scope(pawl_task *task);
/** pawl_build in that scope; a malformed template fails the attempt, and no other is made: BadTemplate. */
PAWL_API const pawl_value *pawl_task_build(pawl_task *task, const char *fmt, ...) PAWL_PRINTF(2, 3);
PAWL_API const pawl_value *pawl_task_vbuild(pawl_task *task, const char *fmt, va_list args)
    PAWL_PRINTF(2, 0);
/** Marks the attempt failed; always returns NULL. Type: a short CamelCase name retry policies refer to. */
PAWL_API const pawl_value *pawl_task_fail(pawl_task *task, const char *type, const char *fmt, ...)
    PAWL_PRINTF(3, 4);
/** As pawl_task_fail, with details (may be nil), and whether another attempt makes sense. */
PAWL_API const pawl_value *pawl_task_fail_with(pawl_task *task, const char *type,
                                               const char *message, const pawl_value *details,
                                               bool retryable);
/** With a failure (before or after it is set): the next attempt comes not before so many seconds (a 429, a Retry-After) and costs none of
 * the call's retries. The time is kept in the journal; 0 = at once. No effect on a failure that is not to be retried. Always NULL. */
PAWL_API const pawl_value *pawl_task_retry_after(pawl_task *task, double seconds);
/** With a failure: something may have happened, and nobody knows. An unsafe effect is then not tried again: its run asks. For any other
 * effect the failure stands as it is. */
PAWL_API void pawl_task_outcome_unknown(pawl_task *task);
/** With a failure: its run is paused, with the reason, and the attempt made again when it is resumed (with pawl_task_retry_after(task, 0), at the
 * cost of no retry): for what only a person can mend, such as an account without money. Works in a worker process too. Owns: copied. */
PAWL_API void pawl_task_pause_run(pawl_task *task, const char *reason);
/** What its call or its registration says, never PAWL_EFFECT_DEFAULT. Thread: any. */
PAWL_API pawl_effect pawl_task_effect(const pawl_task *task);
/** Stable over retries and restarts: hand it to the system you call. Owns: the task. Thread: any. */
PAWL_API const char *pawl_task_key(const pawl_task *task);
PAWL_API const char *pawl_task_run_id(const pawl_task *task);
PAWL_API const char *pawl_task_activity(const pawl_task *task);
PAWL_API int64_t pawl_task_command(const pawl_task *task);
PAWL_API int pawl_task_attempt(const pawl_task *task); /**< 1 = the first */
/** Says "still alive", with detail for people and for the next attempt (may be nil). False: stop, it was cancelled or is stale.
 * Thread: any. */
PAWL_API bool pawl_task_heartbeat(pawl_task *task, const pawl_value *detail);
/** Says something to whoever follows the run at this moment (`pawl stream`, pawl_watch_output): tokens of an answer, lines of a log. It is
 * not journaled: only the last 32 KiB are kept, and those until the attempt ends; whoever is slow misses some, and sees that it did. Counts
 * as a heartbeat. Channel: a short name ("text", "stdout"). False: stop, as of pawl_task_heartbeat. Owns: data is copied. Thread: any. */
PAWL_API bool pawl_task_output(pawl_task *task, const char *channel, const void *data, size_t size);
/** Adds to what this attempt has spent: {usd: 0.0021, input: 800, cache_read: 0, output: 120, calls: 1, ...}. Units (all optional; usd in dollars):
 * usd, tokens (default: input + output), input, cache_read, cache_write, output, reasoning, calls, gpu_ms, wall_ms. Further keys: model (text, for
 * totals), unpriced (true: money was spent, and nobody knows how much: it counts as the dollars that were reserved; where none were, and a budget
 * limits them, as all that is left), unknown (true: more may have been used: then the attempt counts as no less than what it reserved). It is
 * kept in the ledger with the attempt's end, whatever that is: say it before a failure too. {} = surely nothing. An attempt that reserved and
 * says nothing, or never ends, counts as what it reserved (an item of a map without .reserve: as nothing). False: no amounts (the attempt goes
 * on, and nothing is added). Thread: the one that runs it. */
PAWL_API bool pawl_task_spend(pawl_task *task, const pawl_value *spent);
/** The last heartbeat detail of the attempt before this one; nil when none. */
PAWL_API const pawl_value *pawl_task_last_detail(pawl_task *task);
/** True once the run wants it to stop, or the engine is closing and has waited long enough (pawl_close). Thread: any. */
PAWL_API bool pawl_task_canceled(const pawl_task *task);
/** A descriptor that becomes readable on cancel, to poll beside your own; -1 when none can be had. Owns: the task. */
PAWL_API int pawl_task_cancel_fd(pawl_task *task);
/** When the attempt times out, UTC milliseconds; 0 = never. */
PAWL_API int64_t pawl_task_deadline_ms(const pawl_task *task);
/** A path beside the journal that is unique to this command and the same for every attempt of it, for a lock or scratch of the
 * activity; "" when the journal is not a file. */
PAWL_API const char *pawl_task_scratch_path(pawl_task *task);

/* ---- conversations ---- */

/** The messages of a conversation from index `from` on (0 = all), oldest first, as an array; read from the journal by the reference that
 * pawl_convo_append (pawl_workflow.h) gave, which came with the input. nil is the empty conversation. NULL with the task failed
 * ("ConvoUnreadable") when it is no reference, names nothing in this journal, is damaged, or has more than 64 MiB from there on.
 * A worker process reads the journal's file: it must be on the same machine. Thread: any. Owns: the task. */
PAWL_API const pawl_value *pawl_task_convo(pawl_task *task, const pawl_value *convo, int64_t from);
/** How many messages; 0 for nil and for what is no reference. Thread: any. */
PAWL_API int64_t pawl_convo_len(const pawl_value *convo);

/* ---- runners: how tasks get to the code ---- */

/** What an engine asks of a runner. start and cancel come on the engine's thread and must return at once; stop on the thread that closes. */
typedef struct pawl_runner_ops {
    size_t struct_size;
    const char *name;
    /** Takes the task over; exactly one of complete, fail, canceled must follow, from any thread. */
    void (*start)(pawl_runner *runner, pawl_task *task);
    /** The run or a timeout wants it to stop; pawl_task_canceled is already true. May be NULL. The task may have made its final call on
     * another thread: compare it with those at work, and touch it only if it is one. */
    void (*cancel)(pawl_runner *runner, pawl_task *task);
    /** No call comes after this. What runs has been told to stop: waits for it until deadline_ms (monotonic budget), then frees. */
    void (*stop)(pawl_runner *runner, int64_t deadline_ms);
} pawl_runner_ops;
struct pawl_runner {
    const pawl_runner_ops *ops;
};

/* What a runner needs of a task. Thread: any. After the one final call the task must not be touched. */
PAWL_API pawl_activity_fn pawl_task_function(const pawl_task *task, void **ret_user);
PAWL_API const pawl_value *pawl_task_input(pawl_task *task);
/** Tells the engine that code is about to run (start-to-close counts from here). For an unsafe effect the engine has
 * committed `sent` before it called start. */
PAWL_API void pawl_task_begin(pawl_task *task);
/** Ends with a result, or with the failure set by pawl_task_fail. */
PAWL_API void pawl_task_finish(pawl_task *task, const pawl_value *result);
/** Ends as cancelled: the code saw the request and stopped. */
PAWL_API void pawl_task_finish_canceled(pawl_task *task);

/** The blocking runner: a pool of threads (0 = PW_POOL_THREADS_DEFAULT). Errors: NOMEM, LIMIT. */
PAWL_API PAWL_MUST_USE pawl_status pawl_pool_start(uint32_t threads, pawl_runner **ret_runner,
                                                   pawl_error *err);

/* ---- child processes ---- */

/** A program to run, under a supervisor that kills its whole process group when this process dies. */
typedef struct pawl_exec_options {
    size_t struct_size;
    const char *const *argv; /**< NULL-terminated; argv[0] is looked up in PATH; no shell */
    const char *cwd;         /**< NULL = the engine's */
    const char *const *
        env; /**< NULL-terminated "K=V" on top of the allow-list PATH HOME LANG LC_ALL TMPDIR USER; NULL = none */
    const char *stdin_text; /**< NULL = /dev/null */
    size_t stdin_size;
    size_t output_bytes_max; /**< of each stream, the tail is kept; 0 = 1 MiB */
    int64_t timeout_ms;      /**< 0, or more than 100 years = the task's own */
    bool
        quiet; /**< its output is private: no heartbeat carries a line of it, and who follows the run sees none */
    const char *const *
        pass_env; /**< NULL-terminated names of the engine's own variables that the program sees too; NULL = the allow-list alone */
    /* What each process of the program may use, 0 = as the engine; never more than the engine itself may. The wall clock is timeout_ms. */
    int64_t limit_cpu_s;        /**< CPU seconds: SIGXCPU, and SIGKILL a second later */
    int64_t limit_memory_bytes; /**< address space: it cannot get more */
    int64_t limit_files;        /**< descriptors open at a time */
    int64_t limit_file_bytes;   /**< size of a file that it writes: SIGXFSZ */
    bool
        output_bytes; /**< stdout and stderr as bytes, as they came; else text, with U+FFFD for what is none */
} pawl_exec_options;

/** Runs it to its end from inside an activity; beats the task's heart; kills the group on cancel and timeout. A new attempt of
 * the same command waits until the group of the old one is gone.
 * Result: {exit: int, signal: int, limit: text, stdout: text, stderr: text, stdout_size: int, stderr_size: int, truncated: bool, ms: int}:
 * exit is 128 + signal after a signal; limit, there only when that signal came of one, is "cpu_s" or "file_bytes"; the sizes are of all that
 * was printed, kept or not. What is longer than a few KB stands in the journal's blob table once, and by reference in the history. NULL with the
 * task failed when it could not be started (ExecFailed), timed out (Timeout) or was cancelled. A non-zero exit is a result, not a failure. */
PAWL_API const pawl_value *pawl_exec(pawl_task *task, const pawl_exec_options *options);

/** The built-in activity "exec": pawl_exec from a value. It takes
 *
 *     argv                 [program, argument ..]: no shell; or
 *     shell                text for /bin/sh -c
 *     cwd, env             folder; {name: text} on top of the allow-list PATH HOME LANG LC_ALL TMPDIR USER
 *     pass_env             [names] of the engine's variables that it sees too
 *     stdin                text or bytes; default: nothing to read
 *     timeout_s            of the wall clock, also with a fraction; default: the task's own
 *     limits               {cpu_s, memory_bytes, files, file_bytes} of each of its processes
 *     max_output_bytes     of stdout and of stderr, the tail is kept; default 1 MiB, at most 16 MiB
 *     output               "text" (default) or "bytes"
 *     quiet                true: nobody sees its output but the run
 *     check                false: a non-zero exit is a result. Default: the failure ExitStatus, with the result as its details
 *     retry                true: and is tried again
 *
 * and gives the result of pawl_exec. Anything else is BadInput. While it runs, what it prints is said on the channels "stdout" and "stderr" to
 * whoever follows the run (pawl stream), and its last line once a second in the heartbeat. */
PAWL_API const pawl_value *pawl_activity_exec(pawl_task *task, const pawl_value *input, void *user);

#ifdef __cplusplus
}
#endif
#endif
