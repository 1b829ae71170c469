/*
 * parts.h - what each file of the core offers to the others, file by file; what they keep together is in state.h. Nobody else
 * includes it: core.h is the core's interface.
 *
 * Thread: all functions belong to the core's one thread.
 */
#ifndef PW_PARTS_H
#define PW_PARTS_H

#include "engine/state.h"

/* core.c */
void pw_core_log(pw_core *core, pawl_level level, const char *run_id, int64_t cmd, const char *fmt,
                 ...) PAWL_PRINTF(5, 6);
int64_t pw_core_now(pw_core *core);
void pw_core_fail(pw_core *core, const pawl_error *err);
void pw_core_retry_later(pw_core *core, pw_request *rq); /* defers */

/* batch.c: building groups and what follows their ack */
pw_batch *pw_batch_get(pw_core *core); /* the one being built; NULL = no memory */
/* These three always give something to write into. Without memory it goes nowhere, and the batch is lost since its last mark [E8]. */
pw_op *pw_batch_op(pw_batch *b, pw_op_type type);
pw_publish *pw_batch_publish(pw_batch *b);
pw_buf *pw_batch_buf(pw_batch *b);
bool pw_batch_hold(pw_batch *b, pw_live *live);
pw_batch_mark pw_batch_mark_of(const pw_batch *b);
bool pw_batch_lost(const pw_batch *b);
/** Takes out operations and publications since the mark; callers among them hear NOMEM. Inputs and runs are the caller's. */
void pw_batch_undo(pw_batch *b, const pw_batch_mark *mark);
bool pw_batch_full(const pw_core *core); /* hand it over, though more runs are ready */
bool pw_batch_due(
    const pw_core *core); /* hand it over, nothing more being ready; else an ack comes first */
void pw_batch_note_pace(pw_core *core, int64_t from_ns, int64_t turns);
void pw_batch_note_sync(pw_core *core, int64_t sync_ns);
void pw_batch_submit(pw_core *core);
/** Between two turns: the journal may begin with what there is, while more runs are ready. */
void pw_batch_show(pw_core *core);
/** Nothing of it is with the journal any more. NULL is fine. */
void pw_batch_take_back(pw_batch *b);
void pw_batch_free(pw_batch *b);
void pw_batch_trim(pw_core *core); /* buffers kept for the next batch */
/** What will be published; NULL when the request has been dealt with. */
pw_publish *pw_batch_reply(pw_batch *b, pw_request *rq, pawl_status status, const pawl_error *err,
                           pw_view body);
/** True when it is told of what happens to that run. */
bool pw_watches(const pw_watcher *w, const pw_live *live);
/** A value as event field or column: inline, or a blob put beside. Appends to buf. */
void pw_put_value(pw_core *core, pw_batch *b, pw_buf *buf, pw_view value);
void pw_reply_now(pw_core *core, pw_request *rq, pawl_status status, const pawl_error *err,
                  pw_view body);

/* live.c: runs in memory */
pw_live *pw_live_find(pw_core *core, int64_t key); /* in memory only */
pw_live *pw_live_by_id(pw_core *core, pw_view id);
pw_live *pw_live_new(pw_core *core, const pw_run_row *row);
/** In memory or from the journal (the row only: a shell). Errors: NOTFOUND ... */
pawl_status pw_live_open(pw_core *core, pw_view id, pw_live **ret_live, pawl_error *err);
pawl_status pw_live_open_key(pw_core *core, int64_t key, pw_live **ret_live, pawl_error *err);
/** Makes it whole: rebuilds the code's state from the journal. A mismatch leaves it a shell with `mismatch` set. */
pawl_status pw_live_load(pw_live *live, pawl_error *err);
void pw_branch_stack_free(pawl_run *w);
size_t pw_live_stack_peak(const pw_live *live);
void pw_live_reset(pw_live *live); /* back to a shell: fibers and state dropped, inputs kept */
void pw_live_free(pw_live *live);  /* out of memory and tables */
void pw_live_ready(pw_live *live);
void pw_live_input(pw_live *live, pw_input *in);
void pw_live_touch(pw_live *live);
void pw_live_sweep(pw_core *core);
bool pw_live_stall(pw_live *live); /* tries again later; false = it has been tried long enough */
void pw_live_stall_on(pw_live *live);
pw_input *pw_input_new(pw_input_kind kind);      /* NULL = no memory */
void pw_input_free(pw_core *core, pw_input *in); /* accepts NULL */
pw_state pw_run_state(int status); /* of the run machine; RUNNING when it is no status */
bool pw_live_open_status(const pw_live *live);
bool pw_live_can_run(
    const pw_live *live); /* open, not paused, has code, not abandoned, not quarantined */
uint64_t pw_live_build(const pw_live *live); /* of its code; of the program when there is none */
bool pw_live_crashed(
    const pw_live *live); /* it ended its process too often: nothing of its code may run */
bool pw_row_goes_on(const pw_run_row *row, const pw_def *def); /* without anything else coming */
pw_def *pw_def_find(pw_core *core, pw_view name, pw_view version); /* version empty = newest */

/* held.c: only with debug_held */
typedef struct pw_held {
    int unwinds;
    size_t scope_bytes;
} pw_held;
void pw_held_mark(const pw_live *live, pw_held *ret);
void pw_held_tell(pw_live *live, const pw_held *before);

/* turn.c */
void pw_turn_first(pw_live *live, pw_batch *b); /* a created run's start, as input only */
bool pw_turn_run(
    pw_live
        *live); /* one turn of a ready run into the batch being built; false = the run is gone */
/** Around every call into a run's code: the breadcrumb, and host calls answer MISUSE. */
void pw_code_enter(const pw_live *live);
/** Inside: what of its code runs now ("step", name); what NULL = the workflow itself again. */
void pw_code_at(const pw_live *live, const char *what, const char *name);
void pw_code_site(const pw_live *live, const char *what, const char *name,
                  char ret_site[PW_CRUMB_SITE_BYTES]);
void pw_code_leave(const pw_live *live);
bool pw_turn_lost(
    const pw_live
        *live); /* something found no memory: what it made so far counts for nothing [E8] */
void pw_turn_resume(pw_live *live); /* resumes branches until none can go on */

/* apply.c: the one place where events change state [E3] */
bool pw_apply(pw_live *live, const pw_event *ev); /* false = no edge: damage or nondeterminism */
pw_cmd *pw_cmd_find(pw_live *live, int64_t id);
bool pw_cmd_restore(pw_live *live, const pw_event *made_by, pw_state state); /* from a snapshot */
bool pw_cmd_skip_to(pw_live *live, int64_t next_cmd);
void pw_cmd_end(pw_live *live, pw_cmd *cmd, const pawl_value *value, const pawl_failure *failure);
void pw_machine_seen(pw_core *core, int edge);

/* event.c: writing events of the turn, reading bodies */
typedef struct pw_emit {
    pw_live *live;
    pw_buf fields;
    size_t len;
} pw_emit;
void pw_emit_begin(pw_emit *e, pw_live *live);
void pw_emit_str(pw_emit *e, const char *key, const char *text); /* NULL or "" is left out */
void pw_emit_text(pw_emit *e, const char *key,
                  const char *text);                      /* as above, cut at PW_TEXT_BYTES_MAX */
void pw_emit_int(pw_emit *e, const char *key, int64_t n); /* always */
void pw_emit_opt(pw_emit *e, const char *key, int64_t n); /* left out when 0 */
void pw_emit_uint(pw_emit *e, const char *key, uint64_t n);
void pw_emit_num(pw_emit *e, const char *key, double n);
void pw_emit_value(pw_emit *e, const char *key,
                   pw_view value); /* big ones become blobs; empty is left out */
void pw_emit_failure(pw_emit *e, const char *key, const pawl_failure *f);
/** Appends the event to the turn's record and applies it. False: memory, or no edge. */
void pw_emit_at(pw_emit *e, const char *file, int line); /* "release.c:40"; file NULL is left out */
bool pw_emit_end(pw_emit *e, pw_event_type type, int64_t cmd);
void pw_emit_drop(pw_emit *e);
bool pw_event_put(pw_live *live, pw_event_type type, int64_t cmd,
                  pw_view body); /* appends to the record and applies */
/** The same; the body is a map of that many pairs, which fields hold one after the other. */
bool pw_event_put_fields(pw_live *live, pw_event_type type, int64_t cmd, pw_view fields,
                         size_t len);
pw_view pw_body_get(pw_view body, const char *key); /* raw value of a key; empty when missing */
const pw_common *pw_body_common(pw_live *live, pw_view body);
/** Reads a body off r, and keeps for pw_body_common what it passes: one walk for both. */
bool pw_body_take(pw_live *live, pw_mp *r, pw_view *ret_body);
const char *pw_body_str(pawl_scope *scope, pw_view body, const char *key, const char *otherwise);
int64_t pw_body_int(pw_view body, const char *key, int64_t otherwise);
double pw_body_num(pw_view body, const char *key, double otherwise);
uint64_t pw_body_uint(pw_view body, const char *key);
/** A value of a body, its blob fetched. */
const pawl_value *pw_body_value(pw_core *core, pawl_scope *scope, pw_view body, const char *key);
const pawl_value *pw_resolve(pw_core *core, pawl_scope *scope, pw_view raw);
const pawl_failure *pw_failure_read(pawl_scope *scope, const pawl_value *v, int depth);
void pw_failure_write(pw_buf *buf, const pawl_failure *f, int depth);
pawl_failure *pw_failure_new(pawl_scope *scope, const char *type, const char *message,
                             const pawl_value *details, bool retryable, const pawl_failure *cause);
void pw_put_failure_field(pw_buf *buf, const char *key, const pawl_failure *f);

/* replay.c */
bool pw_replay_record(pw_live *live, int64_t first_seq,
                      pw_view record); /* false = stop (mismatch, damage or restart) */
/** Next COMMAND event of the record, matched against what the code asks. NULL = mismatch (set) or nothing left. */
typedef struct pw_asked {
    pw_event_type type;
    const char *name; /* NULL = any */
    bool check_input;
    uint64_t digest;
    const char *file;
    int line;
} pw_asked;
bool pw_replay_match(pw_live *live, const pw_asked *asked, pw_event *ret_event);
bool pw_replay_peek(pw_live *live, pw_event *ret_event);
bool pw_replay_void(const pw_live *live, int64_t seq); /* in a stretch that a retry made void */
bool pw_replay_retried(
    pw_live *live,
    const pw_event *ev); /* false: a void stretch not known yet; read history again */
void pw_replay_fail(pw_live *live, const char *reason, const pw_event *ev, const char *code);

/* wait.c, await.c, shield.c, compensate.c: branches, futures, cancellation, compensation */
bool pw_wait(pawl_run *w, pw_ready_fn ready, void *arg, bool cancelable); /* false = cancelled */
bool pw_wait_future(pawl_run *w, pawl_future *f);
bool pw_canceled(const pawl_run *w);
void pw_set_canceled(pawl_run *w);
void pw_set_failure(pawl_run *w, const pawl_failure *f, int64_t cmd);
bool pw_blocked(
    pawl_run *w); /* failure is set: counts a no-op; or the turn is lost: does not come back */
void pw_leave_lost(pawl_run *w);
void pw_branch_main(void *arg);
void pw_compensate(pawl_run *w);
pawl_run *pw_branch_new(pw_live *live, pawl_branch_fn fn, void *arg);
void pw_cmd_cancel(pawl_run *w, pw_cmd *cmd);
/** The name of what it waits for, for people. */
void pw_waiting_text(pw_live *live, char *ret, size_t size);

/* command.c: what workflow code asks for */
typedef struct pw_ask {
    pw_event_type type;
    const char *name;
    const pawl_value *input; /* checked by digest */
    bool has_input;
    bool input_apart; /* the event has its digest only: body says where it is */
    const char *file;
    int line;
    void (*body)(pw_emit *e, const void *arg); /* further fields; NULL = none */
    const void *arg;
} pw_ask;
/** In a live turn writes the event, in replay matches it; applies it. The command made, or NULL (failure or mismatch). */
pw_cmd *pw_command(pawl_run *w, const pw_ask *ask);
/** An event about an existing command (cancel requests and the like). */
bool pw_command_note(pw_live *live, pw_event_type type, pw_cmd *cmd, pw_view body);
void pw_close_run(pw_live *live); /* the main branch has returned */

/* tx.c: transactional steps */
void pw_tx_take(pw_live *live);   /* at the end of a turn: the first branch that wants one */
bool pw_tx_landed(pw_live *live); /* applies its event after the ack; false = no memory for that */
void pw_tx_free(struct pw_tx_step *tx);
const pw_tx_call *pw_tx_call_of(const struct pw_tx_step *tx);

/* effects.c: rows and publications that follow an event in a live turn */
void pw_effects(pw_live *live, const pw_event *ev, pw_cmd *cmd);
void pw_effects_close(pw_live *live);
void pw_effects_left_timers(pw_live *live); /* in its first turn after it was loaded */
void pw_effects_timer_clear(pw_live *live, const pw_cmd *cmd, int kind);
/** The row of an open wait is what body says from now on; its deadline was due_before. */
void pw_effects_wait(pw_live *live, int64_t cmd, int64_t created_ms, pw_view body,
                     int64_t due_before);
void pw_effects_message(pw_batch *b, const char *op, const pw_buf *args_fields, size_t fields);
void pw_effects_task(pw_live *live, int64_t cmd, pw_view body, int64_t attempt, int state,
                     int64_t due_ms);

/* job.c */
pw_job *pw_job_find(pw_core *core, pw_job_key key);
pw_job *pw_job_new(pw_core *core, pw_job_key key, const char *run_id, pw_view body,
                   pw_map *map); /* NULL = no memory */
pw_job *pw_job_model(pawl_scope *scope, const char *run_id,
                     pw_view body); /* options to copy; no job */
void pw_job_free(pw_core *core, pw_job *job);
void pw_job_queue(pw_core *core, pw_job *job);
void pw_job_dispatch_all(pw_core *core);
bool pw_job_report(pw_core *core, pw_report *report); /* takes it over; false = stale */
void pw_job_timer(pw_core *core, pw_job *job);
void pw_job_timers(pw_core *core, const pw_job *job);
void pw_job_cancel(pw_core *core, pw_job *job);
void pw_job_sent(pw_core *core, pw_job *job);
/** What it set aside is committed: it may begin; landed false: that did not land. */
void pw_job_booked(pw_core *core, pw_job *job, bool landed);
/** It is held: what it would use does not fit. asks: a person is asked. */
void pw_job_short(pw_core *core, pw_job *job, bool asks);
void pw_job_funded(pw_core *core, pw_job *job);
void pw_job_retry(pw_core *core, pw_job *job, int64_t attempt, int64_t due_ms);
void pw_jobs_hold(pw_core *core, int64_t run, bool hold);
void pw_jobs_owed(pw_core *core); /* what there was no memory for, once more */
pw_run_jobs *pw_run_jobs_find(pw_core *core, int64_t run);
void pw_job_beats(pw_core *core); /* writes heartbeat details that are due */
void pw_job_poll(pw_core *core, pw_request *rq);
void pw_job_unpoll(pw_core *core, pw_request *rq);
void pw_job_remote(pw_core *core, pw_request *rq);
void pw_job_client_gone(pw_core *core, uint64_t client);
pawl_status pw_jobs_recover(pw_core *core, pawl_error *err);
void pw_jobs_close(pw_core *core, int64_t run);

/* map.c */
pw_map *pw_map_find(pw_core *core, pw_job_key key);
void pw_map_free(pw_core *core, pw_map *map);  /* accepts NULL */
void pw_map_drop(pw_core *core, pw_map *map);  /* the run has ended it */
void pw_map_touch(pw_core *core, pw_map *map); /* the next step looks at it */
void pw_maps_pump(pw_core *core);
void pw_maps_room(pw_core *core);  /* items may begin again */
void pw_maps_fund(pw_core *core);  /* budgets may have room */
void pw_maps_short(pw_core *core); /* those of which nothing can begin any more say so */
/** In a turn: it is held, goes on, or stays as it is. */
void pw_map_again(pw_live *live, pw_map *map);
/** In a turn: what held it was raised by that person, or has come. */
void pw_map_freed(pw_live *live, pw_map *map, const char *by, const pawl_value *raised);
/** That has landed. */
void pw_map_funded(pw_core *core, pw_map *map, bool asks);
/** In a turn: its items' attempts will not be heard of again. */
void pw_map_budget_drop(pw_live *live, int64_t cmd);
bool pw_map_asks(const pw_map *map);           /* NULL: no */
const pw_job *pw_map_model(const pw_map *map); /* what each of its items is */
void pw_maps_hold(pw_core *core, int64_t run, bool hold);
void pw_map_begin(pw_core *core, const pw_publish *p);
bool pw_maps_fly(pw_core *core, int64_t run); /* are pages of that run in flight? */
void pw_map_item_end(pw_core *core, pw_job *job, pw_report *report,
                     bool failed); /* frees the job */
void pw_map_item_again(pw_core *core, pw_job *job, pw_report *report, int64_t due_ms);
void pw_map_item_send(pw_core *core, pw_job *job);
void pw_map_landed(pw_core *core, pw_job_key key, bool ok);
void pw_map_cancel(pw_core *core, pw_map *map);
pawl_status pw_maps_recover(pw_core *core, pawl_error *err);
void pw_maps_flush(pw_core *core);

/* map_rows.c */
void pw_map_retried(
    pw_live *live,
    const pw_cmd *cmd); /* in the turn of a retry: rows of a map that was open or had failed */
void pw_map_counts(const pw_map *map, pw_map_row *ret);

/* map_results.c */
typedef struct pw_map_span {
    int64_t run, cmd;
    int64_t from, len, total;
} pw_map_span;
/** An array; NULL when the pages cannot be read. Errors: DAMAGED (also: an item is missing), NOMEM, IO. */
const pawl_value *pw_map_page(pw_core *core, pawl_scope *scope, const pw_map_span *span,
                              pawl_error *err);
const pawl_value *pw_map_results(pw_live *live, const pw_cmd *cmd, int64_t total, pawl_error *err);

/* timers.c */
void pw_timer_add(pw_core *core, int64_t due_ms, int64_t run, int64_t cmd, int32_t item,
                  int32_t kind);
void pw_timer_landed(pw_core *core, const pw_timer_row *row);
void pw_timers_fire(pw_core *core);
int64_t pw_timers_next(pw_core *core); /* ms until the next, -1 = none */
void pw_timers_rescan_run(pw_core *core, int64_t run);
void pw_timers_reset(pw_core *core);

/* requests.c */
void pw_request_handle(pw_core *core, pw_request *rq);
void pw_inbox_poll(pw_core *core);
void pw_inbox_reset(pw_core *core);
pw_waiter **
pw_waiters_of(pw_core *core,
              int64_t run_key); /* the list in which the waiters for a run are, among others */
void pw_waiters_check(pw_core *core, pw_live *live);
void pw_queries_run(pw_live *live);
const char *pw_arg_str(const pw_request *rq, const char *key);
void pw_request_start_event(pw_live *live, const pw_request *rq);
void pw_request_take(pw_batch *b, const pw_request *rq, pawl_status status, const pawl_error *err,
                     pw_view body);
void pw_request_release(pw_core *core, const pw_request *rq);

/* input.c: inputs become events */
void pw_inputs_apply(pw_live *live);
/** Tells who asked, after the commit of the turn. rq NULL: nobody did. */
void pw_input_refuse(pw_live *live, pw_request *rq, pawl_status status, const char *fmt, ...)
    PAWL_PRINTF(4, 5);
/** The same, with what the reply holds beside the error. */
void pw_input_told(pw_live *live, pw_request *rq, const pawl_error *err, pw_view body);

/* retry.c */
void pw_retry_run(pw_live *live, pw_request *rq);
pawl_status pw_retry_prepare(pw_live *live, pawl_error *err);

/* publish.c */
void pw_publish_batch(pw_core *core, pw_batch *b);
void pw_publish_failed(pw_core *core, pw_batch *b, pawl_status status);
void pw_publish_resolved(pw_core *core, pw_batch *b);
void pw_publish_never_was(pw_core *core,
                          pw_live *live);         /* a created run that will not be; frees it */
void pw_input_again(pw_core *core, pw_input *in); /* its turn did not happen */
void pw_publish_watch(pw_core *core, pw_live *live, int64_t first_seq, pw_view record);

/* fold.c */
void pw_fold_init(pw_live *live); /* fold_state NULL = no memory */
pawl_status pw_fold_load(pw_live *live, pawl_error *err);
bool pw_fold_event(pw_live *live, const pw_event *ev, pw_cmd *cmd);
void pw_fold_decide(pw_live *live);
void pw_fold_snapshot(pw_live *live);

/* scarce.c */
void pw_scarce_step(pw_core *core);
bool pw_scarce_holds(
    pw_live *live); /* true: it does not go on now; it is ready again when there is room */
bool pw_scarce_refuses(pw_core *core, pw_request *rq); /* true: it was answered */

/* again.c: a second later [E8] */
enum {
    PW_AGAIN_SCAN = 1,   /* open runs are read on */
    PW_AGAIN_INBOX = 2,  /* the inbox is read from its beginning */
    PW_AGAIN_TIMERS = 4, /* timers are read anew */
    PW_AGAIN_JOBS = 8,   /* tasks and maps that are not in memory are read */
    PW_AGAIN_OWED = 16,  /* jobs tell what they owe */
};
void pw_again(pw_core *core, unsigned what);
void pw_again_step(pw_core *core);
int64_t pw_again_next(pw_core *core); /* ms until then; -1 = nothing is to be done again */

/* recover.c */
void pw_recover_scan(pw_core *core);
void pw_recover_ready(pw_core *core); /* runs in memory that can go on by themselves */
bool pw_recover_scanning(const pw_core *core);
void pw_recover_count(pw_live *live,
                      pw_batch *b); /* its crash, in a group before any of its code runs */
/** A queued job whose attempt had begun when the last process ended: it has failed. NULL = none (any more). */
pw_job *pw_recover_begun(pw_core *core);
pawl_status pw_recover_crumb(pw_core *core, pawl_error *err);

extern _Thread_local bool pw_in_workflow;

#endif
