/*
 * pawl_workflow.h - what workflow code can do.
 *
 * The shape of a workflow (sdk/examples/fix_issue.c is this program, compiled and run by a test):
 *
 *     static const pawl_value *fix_issue(pawl_run *w, const pawl_value *in)
 *     {
 *         const pawl_value *files = pawl_call(w, "list_files", .input = in, .timeout_s = 60);
 *         const pawl_value *notes = pawl_map(w, "summarise", files, .width = 8, .retries = 5);
 *         const pawl_value *plan = pawl_call(
 *             w, "plan", .input = pawl_json(w, "{issue: %p, notes: %p}", pawl_v(in), pawl_v(notes)));
 *         if (pawl_ok(w) && pawl_is(plan, "risk", "high")) {
 *             const pawl_value *answer =
 *                 pawl_ask(w, "approve-patch", .prompt = "Apply?", .show = plan,
 *                          .choices = "approve|reject", .deadline_s = 3 * 86400, .on_deadline = "reject");
 *             if (pawl_is(answer, "choice", "reject")) {
 *                 return pawl_fail(w, "Rejected", "by %s", pawl_str(answer, "by", "deadline"));
 *             }
 *         }
 *         const pawl_value *pr = pawl_call(w, "open_pr", .input = plan, .undo = "close_pr");
 *         return pawl_json(w, "{pr: %s}", pawl_str(pr, "url", ""));
 *     }
 *
 * The rules, all of them:
 *  - A workflow is a function of its input and of what these calls return. It runs again from the top after a restart, and
 *    its calls are answered from the journal. So: no clock, no random, no I/O, no globals, no threads; use pawl_now_ms,
 *    pawl_random, pawl_uuid and activities. What breaks this is found by the replay check and pauses the run.
 *  - Failure is sticky. A call that fails returns nil and marks this branch; later commands of the branch do nothing and
 *    return nil; value functions accept nil. Ask with pawl_ok, take with pawl_catch. Returning with it set fails the run
 *    (and runs what `.undo` registered, last first).
 *  - What cannot be is refused where it is asked for: a name or id that is none fails with "InvalidName", a negative time, an unknown
 *    effect, a deadline that takes none of the choices and the like with "BadOption"; the message has the place and what is wrong.
 *  - Every call that can wait suspends the function; its stack may be discarded there and rebuilt later. Memory comes from the
 *    run (pawl_alloc, pawl_json): it is freed with it. What you hold otherwise, register with pawl_on_unwind.
 *  - Cancel is a level: the pending and every later wait fails with type "Canceled", except inside a shield.
 *
 * Thread: everything here belongs to the engine's thread, inside a workflow function, with the handle that function was given. A handle that was
 * kept and is used elsewhere - on another thread, after its turn, in another run, by another branch - does nothing and returns nil: where code
 * runs, that code fails with type "Misuse", elsewhere standard error names the call. (A branch may use its run's other handles for memory, values,
 * logs and time.) Host calls (pawl.h) from here are MISUSE.
 * Owns: what these functions give belongs to the run and is there as long as it is in memory; what is handed to them is copied,
 * the arg of a branch, of a query handler and of an unwind excepted: that lives in the run's memory (pawl_alloc).
 * Replay: everything here is safe in replay; that is what it is for.
 */
#ifndef PAWL_WORKFLOW_H
#define PAWL_WORKFLOW_H

#include "pawl_activity.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pawl_run pawl_run;

/* Options of a call, stamped with their size. C++ has no compound literals; there they are a temporary that lives as long as the call. C++20
 * (gcc and clang: C++11 too) takes them when each is named, in the order of the struct: pawl_call(w, .name = "exec", .input = in). Anything
 * else fills them itself: pawl_call_options o = {}; o.struct_size = sizeof o; o.name = "exec"; pawl_call_at(w, &o, sizeof o, __FILE__, __LINE__); */
#ifdef __cplusplus
extern "C++" {
template <typename T> inline const T *pawl_options_of(const T &options)
{
    return &options;
}
}
#define PAWL_OPTIONS(type, ...) \
    pawl_options_of(type{.struct_size = sizeof(type), __VA_ARGS__}), sizeof(type)
#else
#define PAWL_OPTIONS(type, ...) &(type){.struct_size = sizeof(type), __VA_ARGS__}, sizeof(type)
#endif
typedef struct pawl_future pawl_future;

/** A workflow. Returns its result (nil allowed); what it returns is ignored when failure is set. */
typedef const pawl_value *(*pawl_workflow_fn)(pawl_run *w, const pawl_value *input);

/** A failure of a run, an activity or a child, with the failure that caused it. Owns: the run. */
typedef struct pawl_failure {
    const char *type; /**< CamelCase: "Timeout", "Canceled", "ExitStatus", or your own */
    const char *message;
    const pawl_value *details; /**< may be nil */
    bool retryable;
    const struct pawl_failure *cause; /**< NULL at the root */
} pawl_failure;

/* ---- failure ---- */

/** True while this branch has no failure. */
PAWL_API bool pawl_ok(const pawl_run *w);
/** Takes the failure and clears it; NULL when there is none. Cancellation cannot be cleared: the next wait fails again. */
PAWL_API const pawl_failure *pawl_catch(pawl_run *w);
/** Sets it (a failure set before stays as the cause); always returns NULL. */
PAWL_API const pawl_value *pawl_fail(pawl_run *w, const char *type, const char *fmt, ...)
    PAWL_PRINTF(3, 4);
/** Fails again with what was caught. */
PAWL_API const pawl_value *pawl_rethrow(pawl_run *w, const pawl_failure *failure);
/** True if the failure or one of its causes has that type. */
PAWL_API bool pawl_failure_is(const pawl_failure *failure, const char *type);

/* ---- activities ---- */

typedef enum pawl_on_cancel {
    PAWL_CANCEL_WAIT = 0,    /**< ask it to stop and wait for its end (default) */
    PAWL_CANCEL_REQUEST = 1, /**< ask it to stop, go on at once */
    PAWL_CANCEL_ABANDON = 2  /**< let it run, go on at once */
} pawl_on_cancel;

/** One activity call. The name is positional in the macro; zero is the default everywhere. */
typedef struct pawl_call_options {
    size_t struct_size; /**< filled by the macros */
    const char *name;   /**< registered name of the activity */
    const pawl_value *input;
    double timeout_s;          /**< start-to-close of one attempt; 0 = none */
    double schedule_timeout_s; /**< schedule-to-start; 0 = none */
    double heartbeat_s;        /**< longest silence; 0 = none */
    int retries;               /**< further attempts; 0 = 4, -1 = none, PAWL_RETRY_FOREVER */
    double retry_initial_s;    /**< wait before the first retry; 0 = 1 s */
    double retry_factor;       /**< 0 = 2 */
    double retry_max_s;        /**< 0 = 100 s */
    const char *no_retry;      /**< failure types that end it at once: "BadInput|Denied" */
    pawl_effect effect;
    const char *
        undo; /**< activity that takes it back; called with {input, result} when the run fails or is cancelled
                                     after this step completed or may have happened (its outcome is unknown, an attempt took too
                                     long, or was stopped). Open then, it is asked to stop, whatever on_cancel says, and its end
                                     waited for */
    pawl_on_cancel on_cancel;
    const char *queue; /**< NULL = "default"; its limits: pawl_queue_set */
    int priority;      /**< higher first */
    const char *
        limit_key; /**< whose rate it counts against in its queue: a tenant, an API key's name; NULL = "" */
    const pawl_value *
        reserve; /**< what one attempt may use at most: {usd: 0.05, tokens: 4000, calls: 1} (units: pawl_task_spend). Set aside before
                            each attempt, in the run's budget and in all above; what does not fit is held, see Budgets below. nil = nothing:
                            the step is never held, and what its attempts say they spent is booked all the same */
    double
        max_cost; /**< dollars, all attempts of the step together; 0 = no limit. Without reserve.usd an attempt reserves as much */
    /** Above 0: a result that the same call (activity, input, cache_scope) had at most so long ago, in whatever run of this journal, is this
     * one's, too: nothing is started, queued or sent, and its ActivityCompleted says whose it was. A new result is kept for so long: on disk,
     * with this step. Results above 1 MiB and failures are not kept. Refused with .effect = PAWL_EFFECT_UNSAFE and with .undo. 0 = neither. */
    double cache_s;
    const char *cache_scope; /**< who may share such results: a tenant, a workspace; NULL = "" */
} pawl_call_options;
#define PAWL_RETRY_FOREVER 2147483647
#define PAWL_RETRY_NONE (-1)

/** pawl_call(w, "name", .input = v, ...): runs an activity and waits for its result. Failures: the activity's own, Timeout, Canceled. */
#define pawl_call(w, ...) \
    pawl_call_at((w), PAWL_OPTIONS(pawl_call_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_call_at(pawl_run *w, const pawl_call_options *options,
                                        size_t options_size, const char *file, int line);
/** As pawl_call without the wait. */
#define pawl_call_start(w, ...) \
    pawl_call_start_at((w), PAWL_OPTIONS(pawl_call_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API pawl_future *pawl_call_start_at(pawl_run *w, const pawl_call_options *options,
                                         size_t options_size, const char *file, int line);

/* ---- budgets ---- */

/* A run may have a budget: limits given at its start (pawl_start_options.budget, pawl_child_options.budget) and kept in a ledger in the journal.
 *
 *     {usd: {soft: 0.8, hard: 1.0}, tokens: 200000, calls: 50, parent: {name: "goal:x", usd: 5, parent: "workspace:acme"}}
 *
 * Budgets nest: what a step uses counts in its run, in the run that started that one, and in the named budgets above; a run that continues as new
 * goes on in the budget it had. A call reserves with .reserve: each attempt is set aside before it begins, and must fit every budget it counts in.
 * When it ends, what it says it spent (pawl_task_spend) takes the place of what it reserved; an attempt of which nothing was heard again (a crash,
 * a lost worker, a timeout) counts as what it reserved. A replay costs nothing.
 *
 * Soft limits stop nothing: pawl_budget tells that one was passed. At a hard one the attempt is held, durably, and the run opens a wait of kind
 * "budget", named "budget", with the choices raise and stop: `pawl answer RUN --name budget raise --data '{"usd": 2}'` sets the new limit of the
 * budget that is short (or of the one that data.budget names); stop fails the step with type "BudgetExceeded". Held only since others have set
 * aside what is left, it waits for them and asks nobody.
 *
 * A map (pawl_map) reserves for each attempt of each item with .reserve, as it is begun: no more than what fits is under way. When nothing that
 * is under way could make room any more, the map asks, once for all its items; stop fails the map, and what its items brought is there for a
 * retry of the run. Without .reserve no limit holds a map: what its items say they spent is booked, and one that says nothing costs nothing. */

/** What is left now: {left: {usd, ...}, spent: {...}, reserved: {...}, soft: bool, short: text}. left is the least of all budgets above this run,
 * of the units that have a hard limit; spent and reserved are the run's own; soft: some soft limit is passed; short: the name of the budget that
 * has least left in proportion, "" when nothing is limited. nil for a run that has no budget and spent nothing.
 * Replay: journaled, replay gives what was read then. */
#define pawl_budget(w) pawl_budget_at((w), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_budget_at(pawl_run *w, const char *file, int line);

/* ---- map: one activity over many items ---- */

typedef enum pawl_map_mode { PAWL_MAP_FAIL_FAST = 0, PAWL_MAP_COLLECT = 1 } pawl_map_mode;

typedef struct pawl_map_options {
    size_t struct_size; /**< filled by the macros */
    const char *name;
    const pawl_value *items; /**< an array; each element is the input of one task */
    int width;               /**< tasks at a time; 0 = 16 */
    pawl_map_mode
        mode; /**< fail fast: the first final failure ends it; collect: {"$failure": {...}} stands in the array */
    int retries; /**< as in pawl_call_options, of each item */
    double retry_initial_s, retry_factor, retry_max_s;
    const char *no_retry;
    double timeout_s, heartbeat_s;
    pawl_effect
        effect; /**< of each item. An UNSAFE one cut by a crash is not sent again: it fails as "Unknown" */
    const char *queue;
    int priority;
    const char *limit_key; /**< of every item */
    const pawl_value *
        reserve; /**< what one attempt of one item may use at most, as in pawl_call_options: set aside before it begins */
    double
        max_cost; /**< dollars, all items and all their attempts together; 0 = no limit. Needs reserve.usd */
} pawl_map_options;

/** Runs the activity over all items, `width` at a time, and returns the array of results in item order. One event in the journal, whatever
 * the number of items. nil items give an empty array. */
#define pawl_map(w, ...) \
    pawl_map_at((w), PAWL_OPTIONS(pawl_map_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_map_at(pawl_run *w, const pawl_map_options *options,
                                       size_t options_size, const char *file, int line);
/** As pawl_map, without materialising the results: walk them with pawl_items_next. */
#define pawl_map_cursor(w, ...) \
    pawl_map_cursor_at((w), PAWL_OPTIONS(pawl_map_options, __VA_ARGS__), __FILE__, __LINE__)
typedef struct pawl_items pawl_items;
PAWL_API pawl_items *pawl_map_cursor_at(pawl_run *w, const pawl_map_options *options,
                                        size_t options_size, const char *file, int line);
/** The next result in item order; valid until the next call. False at the end. failure may be NULL. */
PAWL_API bool pawl_items_next(pawl_items *items, const pawl_value **ret_value,
                              const pawl_failure **ret_failure);

/* ---- steps inside the process ---- */

typedef struct pawl_step pawl_step;
/** A local step: any quick code (<= 50 ms) with an effect in this process; its result is committed before the workflow goes on.
 * At least once. To fail: return pawl_step_fail(s, ...). */
typedef const pawl_value *(*pawl_step_fn)(pawl_step *s, const pawl_value *input);
#define pawl_local(w, name, fn, input) pawl_local_at((w), (name), (fn), (input), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_local_at(pawl_run *w, const char *name, pawl_step_fn fn,
                                         const pawl_value *input, const char *file, int line);
PAWL_API pawl_scope *pawl_step_scope(pawl_step *s);
/** pawl_build in the run's scope; a malformed template fails the step: BadTemplate. */
PAWL_API const pawl_value *pawl_step_build(pawl_step *s, const char *fmt, ...) PAWL_PRINTF(2, 3);
PAWL_API const pawl_value *pawl_step_vbuild(pawl_step *s, const char *fmt, va_list args)
    PAWL_PRINTF(2, 0);
PAWL_API const pawl_value *pawl_step_fail(pawl_step *s, const char *type, const char *fmt, ...)
    PAWL_PRINTF(3, 4);
/** Stable over retries and restarts. */
PAWL_API const char *pawl_step_key(pawl_step *s);

typedef struct pawl_tx pawl_tx;
/** A transactional step: writes to tables of its own in the journal's database, in the commit that records it: exactly once.
 * Runs on the journal thread. Not OK rolls back and fails the step with type "TransactionFailed". */
typedef pawl_status (*pawl_tx_fn)(pawl_tx *tx, pawl_scope *scope, const pawl_value *input,
                                  const pawl_value **ret_value, pawl_error *err);
#define pawl_transact(w, name, fn, input) \
    pawl_transact_at((w), (name), (fn), (input), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_transact_at(pawl_run *w, const char *name, pawl_tx_fn fn,
                                            const pawl_value *input, const char *file, int line);
/** Runs SQL with parameters from an array value (nil = none). No pawl tables, ATTACH, PRAGMA or transaction control.
 * Errors: INVALID (the SQL), DENIED (what is not allowed), LIMIT, NOSPACE, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_tx_exec(pawl_tx *tx, const char *sql,
                                                const pawl_value *params, pawl_error *err);
/** Rows as an array of maps. Errors: as pawl_tx_exec, NOMEM. */
PAWL_API PAWL_MUST_USE pawl_status pawl_tx_query(pawl_tx *tx, pawl_scope *scope, const char *sql,
                                                 const pawl_value *params,
                                                 const pawl_value **ret_rows, pawl_error *err);

/* ---- time ---- */

/** Sleeps: 0 to a hundred years, else BadOption. False when cancelled (failure is set). */
#define pawl_sleep(w, seconds) pawl_sleep_at((w), (seconds), __FILE__, __LINE__)
PAWL_API bool pawl_sleep_at(pawl_run *w, double seconds, const char *file, int line);
/** Until then: a time gone by ends at once, one more than a hundred years away is cut to that. */
#define pawl_sleep_until(w, unix_ms) pawl_sleep_until_at((w), (unix_ms), __FILE__, __LINE__)
PAWL_API bool pawl_sleep_until_at(pawl_run *w, int64_t unix_ms, const char *file, int line);
#define pawl_timer_start(w, seconds) pawl_timer_start_at((w), (seconds), __FILE__, __LINE__)
PAWL_API pawl_future *pawl_timer_start_at(pawl_run *w, double seconds, const char *file, int line);
/** The turn's time, UTC milliseconds: constant within a turn. */
PAWL_API int64_t pawl_now_ms(pawl_run *w);

/* ---- signals ---- */

typedef struct pawl_signal_options {
    size_t struct_size; /**< filled by the macros */
    const char *name;
    double timeout_s; /**< 0 = for ever */
} pawl_signal_options;
/** The next signal of that name, in the order they were accepted; none is lost. On timeout nil, and pawl_timed_out is true. */
#define pawl_signal(w, ...) \
    pawl_signal_at((w), PAWL_OPTIONS(pawl_signal_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_signal_at(pawl_run *w, const pawl_signal_options *options,
                                          size_t options_size, const char *file, int line);
#define pawl_signal_start(w, ...) \
    pawl_signal_start_at((w), PAWL_OPTIONS(pawl_signal_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API pawl_future *pawl_signal_start_at(pawl_run *w, const pawl_signal_options *options,
                                           size_t options_size, const char *file, int line);
/** True if the last wait of this branch ended by its timeout. */
PAWL_API bool pawl_timed_out(const pawl_run *w);
/** Sends a signal to another run of this journal; lost only if that run is closed or unknown (logged). */
#define pawl_signal_send(w, run_id, name, value) \
    pawl_signal_send_at((w), (run_id), (name), (value), __FILE__, __LINE__)
PAWL_API void pawl_signal_send_at(pawl_run *w, const char *run_id, const char *name,
                                  const pawl_value *value, const char *file, int line);

/* ---- children ---- */

typedef enum pawl_parent_policy {
    PAWL_PARENT_TERMINATE = 0, /**< when the parent closes, the child is terminated */
    PAWL_PARENT_CANCEL = 1,    /**< it is asked to cancel */
    PAWL_PARENT_ABANDON = 2    /**< it goes on */
} pawl_parent_policy;

typedef struct pawl_child_options {
    size_t struct_size; /**< filled by the macros */
    const char *workflow;
    const pawl_value *input;
    const char *
        id; /**< NULL = "<parent id>/<command>"; of a parent that continued as new, or whose id was used before, or is so long
                              that this would be no id, "<parent id, cut if need be>/<number of its run>.<command>" */
    const char *version; /**< NULL = the newest registered */
    pawl_parent_policy policy;
    double
        timeout_s; /**< the child ends as timed out after so long, and this call fails, with "Timeout" as the cause; 0 = none */
    const pawl_value *
        budget; /**< limits of its own, as {usd: 0.5, calls: 10}; it counts in this run's budget as well; nil = none of its own */
} pawl_child_options;
/** Runs another workflow and waits for its result; its failure is the cause of this call's failure "ChildFailed". */
#define pawl_child(w, ...) \
    pawl_child_at((w), PAWL_OPTIONS(pawl_child_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_child_at(pawl_run *w, const pawl_child_options *options,
                                         size_t options_size, const char *file, int line);
#define pawl_child_start(w, ...) \
    pawl_child_start_at((w), PAWL_OPTIONS(pawl_child_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API pawl_future *pawl_child_start_at(pawl_run *w, const pawl_child_options *options,
                                          size_t options_size, const char *file, int line);
/** Ends this run and starts the same workflow under the same id with a fresh history; unread signals cross. Returns NULL:
 * `return pawl_continue_as_new(w, input);` */
PAWL_API const pawl_value *pawl_continue_as_new(pawl_run *w, const pawl_value *input);

/* ---- described waits: a person or a system answers ---- */

typedef struct pawl_ask_options {
    size_t struct_size; /**< filled by the macros */
    const char *name;   /**< of the wait, unique among the open ones of the run */
    const char *
        kind; /**< "approval", "question", "form", "url", "other"; NULL = approval with choices, else question */
    const char *prompt;  /**< at most 64 KiB; what is longer belongs in show */
    const char *choices; /**< "approve|reject", at most 511 bytes; NULL = free answer */
    const pawl_value *
        schema; /**< JSON Schema of the answer's data; shown, and what does not fit is refused with INVALID */
    const pawl_value *show;    /**< what the person should see */
    const pawl_value *request; /**< opaque, for a program that answers */
    double deadline_s;         /**< 0 = none */
    const char *
        on_deadline; /**< the choice taken then, one of choices if there are any; NULL = fail with type "DeadlineExceeded" */
    int quorum; /**< so many people must give the same answer (choice and data); 0 = one; at most 100 */
    int rejects;        /**< so many people decide with a choice that rejects; 0 = one */
    const char *reject; /**< the choices that reject, "reject|no"; NULL = "reject" */
    const char *
        who; /**< who may answer, "ann|bob|finance": names, or roles that an answer claims; NULL = anybody; at most 511 bytes */
    const char *barred; /**< who may not, whatever role is claimed; as who */
    bool
        four_eyes; /**< nor may who started the run, or the run that it is a child of; refused when nobody is on record for that */
    double
        escalate_s; /**< undecided for so long, it is escalated: an event, and further people may answer; before the deadline; 0 = never */
    const char *escalate_to; /**< those people, as who; NULL = nobody more */
    double
        defer_max_s; /**< how far deferring may move the deadline, in all; 0 = not at all, a question is deferred within its deadline */
} pawl_ask_options;
/**
 * Waits for one answer: {choice, data, by, at_ms, reason?, as?, votes?}. The first answer wins; later ones are told so. by is "deadline" on
 * expiry. With quorum or rejects above one, each answer is a vote: the answer's by is whoever gave the one that decided, and votes lists all,
 * [{by, choice, at_ms, reason?, as?}]. One person has one vote, and keeps it. "Not now" (deferring) leaves the question open.
 *
 * by and the claimed role (as) are texts that the answerer gives: pawl compares them and does not prove them. What the system says of who was at
 * the other end, the user id, stands beside them in the event; over the socket only that user and root come through at all.
 */
#define pawl_ask(w, ...) \
    pawl_ask_at((w), PAWL_OPTIONS(pawl_ask_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_ask_at(pawl_run *w, const pawl_ask_options *options,
                                       size_t options_size, const char *file, int line);
#define pawl_ask_start(w, ...) \
    pawl_ask_start_at((w), PAWL_OPTIONS(pawl_ask_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API pawl_future *pawl_ask_start_at(pawl_run *w, const pawl_ask_options *options,
                                        size_t options_size, const char *file, int line);

/* ---- branches and futures ---- */

typedef const pawl_value *(*pawl_branch_fn)(pawl_run *w, void *arg);
/** Runs fn as a branch of this run, on its own stack, interleaved at waits in creation order. arg must live in the run's memory. A branch has
 * its own sticky failure. */
PAWL_API pawl_future *pawl_go(pawl_run *w, pawl_branch_fn fn, void *arg);
/** Waits for one; fails with its failure. NULL future is a no-op. Cancelled, it asks what is behind it to stop as the call's on_cancel says (a
 * branch: is cancelled, and waited for), and what completes all the same counts. The three below do so for each future that is still open. */
PAWL_API const pawl_value *pawl_await(pawl_run *w, pawl_future *future);
/** Waits for all; fails with the first failure by order in the array (after all have ended). True if none failed. */
PAWL_API bool pawl_await_all(pawl_run *w, pawl_future *const *futures, size_t len);
/** Waits until one has ended, failed or not: its index (lowest event number wins); -1 when cancelled or len is 0. */
PAWL_API int pawl_await_any(pawl_run *w, pawl_future *const *futures, size_t len);
/** Waits until one has succeeded; -1 with failure "AllFailed" when none did. */
PAWL_API int pawl_await_first(pawl_run *w, pawl_future *const *futures, size_t len);
PAWL_API bool pawl_future_done(const pawl_future *future);
/** Result of one that is done; nil otherwise or when it failed (pawl_future_failure). */
PAWL_API const pawl_value *pawl_future_value(const pawl_future *future);
PAWL_API const pawl_failure *pawl_future_failure(const pawl_future *future);
/** Asks what is behind it to stop: a timer, wait or signal is dropped at once, an activity or child is asked; a branch is cancelled as the run
 * would be, and with it the branches that it awaits. */
PAWL_API void pawl_future_cancel(pawl_run *w, pawl_future *future);

/* ---- cancel, shield, compensation ---- */

/** True once cancellation was asked, of the run or of this branch, shielded or not. */
PAWL_API bool pawl_cancel_requested(const pawl_run *w);
/** Until pawl_unshield or the deadline (0 = none), waits of this branch are not cut by cancellation. Nests: the earliest deadline of those it is
 * in counts. Also after a failure, which stays set. A branch begun in there stands under it too, until whoever entered it leaves it. */
#define pawl_shield(w, deadline_s) pawl_shield_at((w), (deadline_s), __FILE__, __LINE__)
PAWL_API void pawl_shield_at(pawl_run *w, double deadline_s, const char *file, int line);
PAWL_API void(pawl_shield)(pawl_run *w,
                           double deadline_s); /* for what was built before the macro */
PAWL_API void pawl_unshield(pawl_run *w);
/** Registers an activity to be called with input when the run fails or is cancelled; last registered runs first. */
#define pawl_undo(w, activity, input) pawl_undo_at((w), (activity), (input), __FILE__, __LINE__)
PAWL_API void pawl_undo_at(pawl_run *w, const char *activity, const pawl_value *input,
                           const char *file, int line);
PAWL_API void(pawl_undo)(pawl_run *w, const char *activity,
                         const pawl_value *input); /* for what was built before the macro */

/* ---- state for others to see ---- */

/** Publishes a key: readable while live, evicted, finished, and with no owner running. nil removes it. */
#define pawl_set(w, key, value) pawl_set_at((w), (key), (value), __FILE__, __LINE__)
PAWL_API void pawl_set_at(pawl_run *w, const char *key, const pawl_value *value, const char *file,
                          int line);
PAWL_API void(pawl_set)(pawl_run *w, const char *key,
                        const pawl_value *value); /* for what was built before the macro */
typedef const pawl_value *(*pawl_query_fn)(pawl_run *w, const pawl_value *input, void *arg);
/** Answers queries of that name by code; it must only read. Commands in there are MISUSE and fail the query. arg must live in the run's memory. */
PAWL_API void pawl_on_query(pawl_run *w, const char *name, pawl_query_fn fn, void *arg);
/** For people: "12 of 40 files". Not an event: shows the latest. total 0 = unknown. */
PAWL_API void pawl_progress(pawl_run *w, int64_t done, int64_t total, const char *text);

/* ---- conversations: what is said to a model, written once ---- */

/** Appends a message, or an array of them, and returns a reference to the conversation as it is then: a small value
 * ({"$convo": ..., "len": 12}) to put into the input of an activity, which reads the messages with pawl_task_convo. So a hundred calls on a
 * growing conversation journal each message once, not a hundred times.
 *
 *     const pawl_value *talk = pawl_convo_append(w, NULL, pawl_json(w, "{role: %s, content: %p}", "user", pawl_v(question)));
 *     const pawl_value *said = pawl_call(w, "model", .input = pawl_json(w, "{messages: %p}", pawl_v(talk)));
 *     talk = pawl_convo_append(w, talk, said);
 *
 * convo nil = a new conversation. A reference never changes and may be appended to more than once: each continues what it names, and what
 * they share is stored once. It may be published, given to children, and crosses continue-as-new; it is good in this journal only.
 * Fails with BadOption (no message, more than 16 MiB at once, no reference) or "ConvoUnreadable" (it names nothing here). */
#define pawl_convo_append(w, convo, messages) \
    pawl_convo_append_at((w), (convo), (messages), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_convo_append_at(pawl_run *w, const pawl_value *convo,
                                                const pawl_value *messages, const char *file,
                                                int line);
/** The messages from index `from` on, an array: for code that decides what to keep. What only an activity needs, it reads itself. */
PAWL_API const pawl_value *pawl_convo_read(pawl_run *w, const pawl_value *convo, int64_t from);

/* ---- the memory store: texts that outlive runs, found by their words ---- */

/** One text to remember. Whoever puts under the same space and key replaces it. */
typedef struct pawl_memory_options {
    size_t struct_size; /**< filled by the macros */
    const char *space;  /**< whose memory it is: "team/agent"; as a run's id, at most 100 bytes */
    const char *key;    /**< one line, at most 100 bytes */
    const char *text;   /**< its words find it: the first 512 different ones, of 32 bytes */
    const pawl_value *data; /**< goes along; with text at most 64 KiB */
    double ttl_s;           /**< forgotten after so long; 0 = never */
} pawl_memory_options;
/** Puts it in the commit of this turn: it is there exactly when the run remembers that it is. False: refused (BadOption, InvalidName), or
 * "MemoryFull" (100,000 in one space). */
#define pawl_memory_put(w, ...) \
    pawl_memory_put_at((w), PAWL_OPTIONS(pawl_memory_options, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API bool pawl_memory_put_at(pawl_run *w, const pawl_memory_options *options,
                                 size_t options_size, const char *file, int line);
/** Forgets it, if it is there. */
#define pawl_memory_delete(w, space, key) \
    pawl_memory_delete_at((w), (space), (key), __FILE__, __LINE__)
PAWL_API bool pawl_memory_delete_at(pawl_run *w, const char *space, const char *key,
                                    const char *file, int line);

typedef struct pawl_memory_query {
    size_t struct_size; /**< filled by the macros */
    const char *space;
    const char *
        query; /**< words; each finds those that begin with it, the very word first. No word: the first memories by key */
    int limit; /**< 0 = 10, at most 100 */
} pawl_memory_query;
/** What is found, best first: [{key, text, data?, updated_ms, expires_ms?, score?}]. A word that few have counts more; of equals the one put
 * last comes first. It ends the turn, sees all that this run has put, and is on record: no replay searches again. */
#define pawl_memory_search(w, ...) \
    pawl_memory_search_at((w), PAWL_OPTIONS(pawl_memory_query, __VA_ARGS__), __FILE__, __LINE__)
PAWL_API const pawl_value *pawl_memory_search_at(pawl_run *w, const pawl_memory_query *query,
                                                 size_t query_size, const char *file, int line);

/* ---- deterministic helpers ----
 * Draws come in the order of the calls, and C gives the arguments of one call no order: draw in statements of their own. */

/** 64 random bits, the same ones in replay. */
PAWL_API uint64_t pawl_random(pawl_run *w);
/** Owns: the run. */
PAWL_API const char *pawl_uuid(pawl_run *w);
PAWL_API const char *pawl_run_id(const pawl_run *w);
PAWL_API pawl_scope *pawl_run_scope(pawl_run *w);
/** Zeroed memory that lives as long as the run is in memory. NULL when out of memory. */
PAWL_API void *pawl_alloc(pawl_run *w, size_t size);
/** pawl_build in the run's scope. A template that is malformed is a failure of the run, BadTemplate, which says where. */
PAWL_API const pawl_value *pawl_json(pawl_run *w, const char *fmt, ...) PAWL_PRINTF(2, 3);
PAWL_API const pawl_value *pawl_vjson(pawl_run *w, const char *fmt, va_list args) PAWL_PRINTF(2, 0);
typedef enum pawl_level { PAWL_DEBUG = 0, PAWL_INFO = 1, PAWL_WARN = 2, PAWL_ERROR = 3 } pawl_level;
/** Goes to the host's log hook with run and step ids; silent in replay. */
PAWL_API void pawl_log(pawl_run *w, pawl_level level, const char *fmt, ...) PAWL_PRINTF(3, 4);
/** True in runs that reached this point first with this code; false in replay of a history that passed here before it existed. */
#define pawl_patched(w, id) pawl_patched_at((w), (id), __FILE__, __LINE__)
PAWL_API bool pawl_patched_at(pawl_run *w, const char *id, const char *file, int line);
/** Called (last first) when the run's stack is discarded or ends: releases memory and handles only. */
PAWL_API void pawl_on_unwind(pawl_run *w, void (*fn)(void *arg), void *arg);

/* ---- folded workflows: an event-sourced state machine, recovered from its last snapshot ---- */

/** One event as a folded workflow sees it. Owns: valid during the call. */
typedef struct pawl_fold_event {
    const char *type; /**< "RunStarted", "ActivityCompleted", ... */
    int64_t seq;
    int64_t command;  /**< what it belongs to; 0 = none */
    int64_t now_ms;   /**< time of its turn */
    const char *name; /**< activity, signal, wait or workflow name; "" when none */
    const pawl_value *
        value; /**< input of a start, result, signal payload, answer; of WaitVoted and WaitDeferred what was said */
    const pawl_failure *failure;
    bool
        cached; /**< ActivityCompleted: the result another call had (cache_s): nothing was done for it */
} pawl_fold_event;

typedef struct pawl_fold pawl_fold; /* the handle decide issues commands on */

/** Callbacks of a folded workflow. State is the workflow's own; the engine passes it around. */
typedef struct pawl_folded {
    size_t struct_size;
    /** A fresh state. NULL = out of memory. */
    void *(*init)(void *user);
    /** Applies one event. Must depend on nothing but state and event. */
    void (*apply)(void *state, const pawl_fold_event *event);
    /** Looks at the state and issues commands; called once per turn after the turn's events; never called in recovery. */
    void (*decide)(void *state, pawl_fold *f);
    /** The state as a value, and back: snapshots. */
    const pawl_value *(*save)(const void *state, pawl_scope *scope);
    void *(*load)(const pawl_value *saved, void *user);
    void (*deinit)(void *state);
    /** Answers a query from the state; may be NULL. */
    const pawl_value *(*query)(const void *state, const char *name, const pawl_value *input,
                               pawl_scope *scope);
    void *user;
} pawl_folded;

/* Commands of decide. Each returns the command id its events will carry, or 0 when refused, which is logged: what the call of the same
  * name refuses to code, and .undo: decide itself calls what takes a step back, before pawl_fold_fail or pawl_fold_canceled. */
PAWL_API int64_t pawl_fold_call(pawl_fold *f, const pawl_call_options *options,
                                size_t options_size);
PAWL_API int64_t pawl_fold_map(pawl_fold *f, const pawl_map_options *options, size_t options_size);
PAWL_API int64_t pawl_fold_timer(pawl_fold *f, double seconds);
PAWL_API int64_t pawl_fold_child(pawl_fold *f, const pawl_child_options *options,
                                 size_t options_size);
PAWL_API int64_t pawl_fold_ask(pawl_fold *f, const pawl_ask_options *options, size_t options_size);
PAWL_API void pawl_fold_cancel(pawl_fold *f, int64_t command);
PAWL_API void pawl_fold_set(pawl_fold *f, const char *key, const pawl_value *value);
PAWL_API void pawl_fold_progress(pawl_fold *f, int64_t done, int64_t total, const char *text);
PAWL_API void pawl_fold_signal_send(pawl_fold *f, const char *run_id, const char *name,
                                    const pawl_value *value);
/** The new reference, at once; apply gets it too, as the value of "ConvoAppended". nil when refused. */
PAWL_API const pawl_value *pawl_fold_convo_append(pawl_fold *f, const pawl_value *convo,
                                                  const pawl_value *messages);
/** nil when it cannot be read, which is logged. */
PAWL_API const pawl_value *pawl_fold_convo_read(pawl_fold *f, const pawl_value *convo,
                                                int64_t from);
/** As pawl_budget. */
PAWL_API const pawl_value *pawl_fold_budget(pawl_fold *f);
/** 0 when the space is full, too; "MemoryPut" has the failure then. */
PAWL_API int64_t pawl_fold_memory_put(pawl_fold *f, const pawl_memory_options *options,
                                      size_t options_size);
PAWL_API int64_t pawl_fold_memory_delete(pawl_fold *f, const char *space, const char *key);
/** What was found is the value of "MemoryFound". */
PAWL_API int64_t pawl_fold_memory_search(pawl_fold *f, const pawl_memory_query *query,
                                         size_t query_size);
PAWL_API void pawl_fold_complete(pawl_fold *f, const pawl_value *result);
PAWL_API void pawl_fold_fail(pawl_fold *f, const char *type, const char *fmt, ...)
    PAWL_PRINTF(3, 4);
PAWL_API void pawl_fold_canceled(pawl_fold *f);
PAWL_API void pawl_fold_continue_as_new(pawl_fold *f, const pawl_value *input);
PAWL_API int64_t pawl_fold_now_ms(const pawl_fold *f);
PAWL_API uint64_t pawl_fold_random(pawl_fold *f);
PAWL_API const char *pawl_fold_run_id(const pawl_fold *f);
PAWL_API pawl_scope *pawl_fold_scope(pawl_fold *f);

#ifdef __cplusplus
}
#endif
#endif
