/*
 * budget.h - budgets in the core: what they allow and what is in use, and the attempts that have something set aside.
 *
 *   workspace:acme  <--  goal:x  <--  run:12  <--  step:12.3        each holds what is below it, too
 *                                        ^-- run:15 (its child)
 *
 * [B1] what is set aside and spent in memory is what the journal will hold once the groups being built and in flight have landed: every change
 *      is made together with its operation, and taken back with it.
 * [B2] an attempt of a step that reserves begins only after a group has landed that says so (BEGUN): what is RESERVED after a crash surely did
 *      not begin.
 * [B3] nothing is set aside that does not fit every budget above it.
 *
 * Thread: the core's. Does not know events: budget_step.c does.
 */
#ifndef PW_BUDGET_H
#define PW_BUDGET_H

#include "engine/parts.h"
#include "sdk/base/amounts.h"

typedef struct pw_budget {
    struct pw_budget *parent;
    size_t depth; /* 1 = the outermost */
    bool kept;    /* by a sweep under way */
    bool stored;  /* the journal has it, or will: else it is written before what is below it */
    pw_limits limits;
    pw_amounts spent, reserved;
    UT_hash_handle hh;
    char name[]; /* as long as the core keeps it: groups point to it */
} pw_budget;

/** An attempt whose entry is open. */
typedef struct pw_booking {
    pw_job_key key;
    int64_t attempt, round;
    bool begun;
    bool noted;                /* an item's: for a moment, see map_budget.c */
    const pw_batch *beginning; /* the group that says so is on its way; NULL = none */
    pw_amounts estimate;
    pw_budget *budget;
    UT_hash_handle hh;
} pw_booking;

/** Why something does not fit. */
typedef struct pw_short {
    const pw_budget *budget;
    pw_unit unit;
    int64_t asked;
    bool alone; /* also if all that is set aside came back */
} pw_short;

/* ---- budget.c: the table ---- */

/** In memory or in the journal. *ret_budget NULL = there is none. Errors: those of reading, NOMEM. */
pawl_status pw_budget_find(pw_core *core, const char *name, pw_budget **ret_budget,
                           pawl_error *err);
/** The same, made when it is not there: under parent (NULL = none), without limits. */
pawl_status pw_budget_get(pw_core *core, const char *name, pw_budget *parent,
                          pw_budget **ret_budget, pawl_error *err);
/** True: reading it again would say the same. Who needs it is paused, and `verify` says what is wrong. */
bool pw_budget_lasting(pawl_status st);
#define PW_BUDGET_UNFUNDED "its budget cannot be read: pawl verify says what is wrong"
/** Of a run: below the one that it continues or whose child it is. NULL: it cannot be had now, the turn is lost and comes again; if that lasts, as a
 * pause. Of a run that is paused already NULL loses nothing. */
pw_budget *pw_budget_of_run(pw_live *live);
/** The same, outside of a turn, and nothing fails. Errors: those of reading, NOMEM, DAMAGED. */
pawl_status pw_budget_read(pw_batch *b, int64_t run, pw_budget **ret_budget, pawl_error *err);
bool pw_budget_fits(const pw_budget *budget, const pw_amounts *asked, pw_short *ret_short);
/** Sets its limits, in the batch; it and those above it are in the journal then. */
void pw_budget_limit(pw_batch *b, pw_budget *budget, const pw_limits *limits);
/** Takes back what operations of that batch from index `from` on have changed in memory. */
void pw_budget_undo(pw_batch *b, size_t from);
/** Forgets budgets, if there are many, that no group and no open entry refers to. */
void pw_budget_sweep(pw_core *core);
void pw_budget_free(pw_core *core);
/** Reads the open entries. */
pawl_status pw_budget_recover(pw_core *core, pawl_error *err);

/* ---- budget_book.c: entries ---- */

/** NULL = it has nothing set aside. */
pw_booking *pw_booking_find(pw_core *core, pw_job_key key);

typedef struct pw_entry {
    pw_batch *batch; /* where its operation goes */
    pw_view workflow;
    int64_t now_ms;
    pw_job_key key; /* of a map's item, too */
    int64_t attempt;
    int64_t round; /* of one that had nothing set aside; 0 = 1 */
    int64_t wall_ms;
    bool open;    /* it may have something set aside */
    bool begins;  /* what is set aside is for an attempt that begins when this group has landed */
    bool unbegun; /* it surely did not begin: without a word of what it spent nothing is */
    const char *activity;
} pw_entry;
/** Sets it aside; it fits. round 0 = the next. */
void pw_budget_book(const pw_entry *e, pw_budget *budget, const pw_amounts *estimate,
                    int64_t round);
/** Its attempt is over. spent: what it says it spent (pawl_task_spend); NULL = nothing was said: an attempt that may have begun counts as what
 * it had set aside. Without either nothing is written. */
void pw_budget_settle(const pw_entry *e, const pawl_value *spent);
/** That operation has landed. */
void pw_booking_begun(pw_core *core, pw_job_key key);
/** An operation: it may begin. */
void pw_budget_begin(pw_batch *b, pw_job_key key);

/* ---- budget_step.c: events ---- */

/** True: the step with this body reserves. */
bool pw_budget_reserves(pw_view body);
/** In the fields of ActivityScheduled: what it reserves, and `held` if that does not fit. Else it is booked. */
void pw_budget_call_fields(pw_emit *e, const pawl_call_options *o);
/** In the fields of MapScheduled: what each attempt of an item reserves. Nothing is booked yet. */
void pw_budget_map_fields(pw_emit *e, const pawl_map_options *o);
/** The field `held`. */
void pw_budget_held_field(pw_emit *e, const pw_short *s);
/** In the fields of ActivityRetried, for the attempt to come. */
void pw_budget_retry_fields(pw_emit *e, int64_t cmd, int64_t attempt);
/** Once more, in a turn: an attempt that was held, or that a crash cut. by: who raised a limit; NULL = nobody. True: it is booked. */
bool pw_budget_again(pw_live *live, int64_t cmd, const char *by, const pawl_value *raised);
/** Of RunStarted: its own limits, and those above. */
void pw_budget_start(pw_live *live, const pawl_value *given);
/** Before a run is made for it: can those above it be read? given and parent as of the start. Errors: those of reading. */
pawl_status pw_budget_start_check(pw_core *core, const pawl_value *given, int64_t parent,
                                  pawl_error *err);
/** Errors: INVALID, which says what. nil is fine. */
pawl_status pw_budget_check(const pawl_value *given, pawl_error *err);
/** Not "run:..." or "step:...", and a name at all. Errors: INVALID. */
pawl_status pw_budget_name_check(const char *name, pawl_error *err);
/** The limits of what pw_budget_check takes, without those above. Errors: as pw_budget_check. */
pawl_status pw_budget_limits(const pawl_value *given, pw_limits *ret_limits, pawl_error *err);
/** The innermost of those that its `parent` names, made where they are not there; NULL = none. Errors: as pw_budget_get. */
pawl_status pw_budget_above(pw_batch *b, const pawl_value *given, pw_budget **ret_budget,
                            pawl_error *err);
/** What a step that is held asks for, and of which budget: its own, or its run's. Errors: those of reading, NOTFOUND. */
pawl_status pw_budget_asked(pw_core *core, const pw_job *job, pw_budget **ret_budget,
                            pw_amounts *ret_asked, pawl_error *err);
/** The attempt's end, before its event is put: settles, and adds what was spent to the event. */
void pw_budget_end_fields(pw_emit *e, int64_t cmd, int64_t attempt, const pw_report *report);
/** The run has closed, or it was never heard of again. */
void pw_budget_drop(pw_live *live, int64_t cmd);
/** Attempts that are held try again when there is room. */
void pw_budget_room(pw_core *core);
/** What is left, for people and code. */
const pawl_value *pw_budget_left(pw_live *live, pawl_scope *scope);

/* ---- budget_set.c: an operator sets limits ---- */

void pw_budget_request(pw_core *core, pw_request *rq);

/* ---- budget_answer.c: a person raises it, or stops ---- */

/** True: the wait of that command is one of ours, and was answered or refused (the caller has replied otherwise). */
typedef struct pw_budget_reply {
    pawl_status status; /* OK: events were put */
    pawl_error err;
} pw_budget_reply;
bool pw_budget_is_asked(pw_live *live, int64_t cmd);
void pw_budget_answer(pw_live *live, int64_t cmd, const pawl_value *value, const char *by,
                      pw_budget_reply *ret);
/** The wait of an attempt that is held: its prompt and what is short, from the event's `held`. */
void pw_budget_wait_body(pw_buf *b, const char *activity, const pawl_value *held);

#endif
