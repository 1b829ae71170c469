/*
 * task.h - one attempt of an activity, between the core and a runner.
 *
 * Ownership: the core makes it with two references, its own and the runner's. The runner's ends with the one final call. Reports go
 * through the sink, from any thread; each is heap memory the receiver frees with pw_report_free.
 */
#ifndef PW_TASK_H
#define PW_TASK_H

#include <stdatomic.h>

#include "journal/crumb.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"
#include "sdk/pawl_activity.h"

/** (run, command, attempt, epoch) and, for an item of a map, its index + 1. Any other than the current one is stale. */
typedef struct pw_token {
    int64_t run;
    int64_t cmd;
    int64_t item; /* 0 = a plain activity */
    int64_t attempt;
    uint64_t epoch;
} pw_token;

/** In the attempt of a token: it is that attempt's read-back. */
enum { PW_ATTEMPT_READ_BACK = 1 << 30 };

/** How to look what became of an unsafe effect; fn NULL = nobody knows how. */
typedef struct pw_read_back {
    pawl_read_back_fn fn;
    void *user;
} pw_read_back;
/** A pawl_activity_fn whose user is a pw_read_back: {found: a name below, result?}. */
const pawl_value *pw_read_back_run(pawl_task *task, const pawl_value *input, void *user);
enum { PW_FOUND = PAWL_FOUND_NOTHING + 1 };
extern const char *const pw_found_names[PW_FOUND]; /* by pawl_found */

typedef enum pw_report_kind {
    PW_REPORT_BEGIN,
    PW_REPORT_BEAT,
    PW_REPORT_OUTPUT,
    PW_REPORT_DONE, /* from here on: the end */
    PW_REPORT_FAILED,
    PW_REPORT_CANCELED
} pw_report_kind;

typedef struct pw_report {
    pw_report_kind kind;
    pw_token token;
    pawl_scope *scope; /* owns what follows */
    pw_view
        value; /* result, heartbeat detail, output {channel, data, at}; msgpack. FAILED: {type, message, details?, retryable, retry_ms?, unknown?} */
    const pawl_value *spent; /* of an end: what it says it spent; NULL = it said nothing */
    bool begun;              /* of CANCELED: its code may have run */
    pw_view
        cached; /* of DONE: whose result it was before, {run, command, at_ms}; empty = its own */
    bool read_back; /* found by a read-back */
    struct pw_report *next;
} pw_report;
void pw_report_free(pw_report *report);

/** Takes a report over; any thread. */
typedef void (*pw_report_fn)(void *ctx, pw_report *report);

typedef struct pw_task_init {
    pw_token token;
    const char *run_id;
    const char *activity;
    const char *journal_path; /* "" = memory */
    struct pw_convos *convos; /* where it reads conversations; NULL = from the file */
    pw_view input;            /* msgpack; copied */
    pw_view last_detail;
    int64_t deadline_ms;
    pawl_activity_fn fn; /* NULL = for a worker elsewhere */
    void *fn_user;
    pawl_effect effect;
    pawl_runner *runner; /* NULL = the pool */
    pw_crumb *crumb;     /* notes that it runs in the pool; NULL = none */
    pw_report_fn report;
    void *report_ctx;
} pw_task_init;

/** Effects by name, as workers say them; "" = as registered. */
enum { PW_EFFECTS = PAWL_EFFECT_UNSAFE + 1 };
extern const char *const pw_effect_names[PW_EFFECTS];
pawl_effect pw_effect_named(const char *name); /* PAWL_EFFECT_DEFAULT when it is none */

pawl_task *pw_task_new(const pw_task_init *init); /* NULL when out of memory; two references */
void pw_task_unref(pawl_task *task);
/** Asks it to stop: pawl_task_canceled turns true, the cancel descriptor readable. */
void pw_task_cancel(pawl_task *task);
pawl_runner *pw_task_runner(const pawl_task *task);
const pw_token *pw_task_token(const pawl_task *task);
struct pw_convos *pw_task_convos(const pawl_task *task);
const char *pw_task_journal(const pawl_task *task); /* its path; "" = memory */
/** The idempotency key of a command or item, as pawl_task_key gives it: the same for every attempt. NULL when out of memory. */
const char *pw_task_key(pawl_scope *scope, const pw_token *token, const char *run_id);
/** "run:cmd:item:attempt:epoch" text, and back. */
void pw_token_print(const pw_token *token, char ret[120]);
bool pw_token_parse(const char *text, pw_token *ret_token);
bool pw_token_equal(const pw_token *a, const pw_token *b);

#endif
