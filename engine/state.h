/*
 * state.h - what the core keeps in memory, shared by the core's files and by nobody else; what they call of each other is in parts.h.
 *
 *   pw_core -- runs (by key, by id) -- pw_live: one run in memory
 *           |                            |- commands (by id)     each in a state of machines.def
 *           |                            |- branches (creation order), each on a fiber: pawl_run
 *           |                            |- signals nobody has read yet
 *           |                            `- inputs that wait for the next turn
 *           |- jobs (by run, command): attempts of activities; they outlive the run's stack
 *           |- maps (by run, command): fan-outs; their items are jobs too
 *           |- timers: a heap of those due soon
 *           `- batches: groups being built or in flight, with what to publish after their ack
 *
 * A live run is either whole (code can run) or a shell (paused, no code, closed: only its row; inputs are kept for later).
 */
#ifndef PW_STATE_H
#define PW_STATE_H

#include "engine/core.h"
#include "engine/fiber.h"
#include "engine/fits.h"
#include "engine/hash.h"
#include "engine/machine.h"
#include "engine/pq.h"
#include "sdk/base/arena.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

typedef struct pw_live pw_live;
typedef struct pw_cmd pw_cmd;
typedef struct pw_job pw_job;
typedef struct pw_flow pw_flow;
typedef struct pw_map pw_map;
typedef struct pw_batch pw_batch;
typedef struct pw_stream pw_stream;
typedef struct pw_input pw_input;
typedef struct pw_shield pw_shield;

/* ---- registered code ---- */

typedef struct pw_def {
    char *name;
    char *version;
    char *description;
    char *input_schema;
    char *output_schema;
    char *publish;
    pw_schemas *input_fits; /* the same, compiled; NULL = none */
    pawl_workflow_fn fn;    /* code */
    pawl_folded folded;     /* or folded: folded.apply set */
    size_t stack_bytes;
    uint64_t build; /* of the object that holds its code */
    struct pw_def *next;
} pw_def;

typedef struct pw_act {
    char *name;
    pawl_activity_fn fn;
    void *user;
    pawl_effect effect;
    pawl_runner *runner; /* NULL = the pool */
    pw_read_back read_back;
    uint32_t concurrency;
    uint32_t running;
    UT_hash_handle hh;
} pw_act;

/* ---- commands and futures ---- */

struct pawl_future {
    bool is_branch;
    bool done;
    bool timed_out;
    int64_t done_seq;  /* event that ended it; orders await_any */
    int64_t done_turn; /* turn in which it ended */
    const pawl_value *value;
    const pawl_failure *failure;
    pw_cmd *cmd;
    pawl_run *branch;
};

struct pw_cmd {
    int64_t id;
    pw_state state;
    pawl_on_cancel on_cancel;
    pawl_future future;
    const char *name; /* activity, signal, wait, workflow, key */
    pw_view
        body; /* of the event that made it (a wait: and of votes since, ballot.h): lives in the run's scope */
    uint64_t digest; /* of the input */
    int64_t seq;     /* of that event */
    int64_t due_ms;  /* timer, deadline; 0 = none */
    int64_t since_ms;
    const char *undo;             /* activity to take it back; NULL = none */
    const pawl_value *undo_input; /* explicit pawl_undo */
    bool may_have_happened;       /* one of its attempts, whatever became of it */
    int64_t attempt;
    bool cancel_requested;
    enum { PW_HELD_NOT, PW_HELD, PW_HELD_ASKS } held; /* by its budget; for people: the job knows */
    int64_t deliver_turn; /* a local step is seen by the code only in a later turn than this */
    struct pw_cmd *prev, *next; /* open commands, in order of id */
};

/** What the replay check and every command read, in one pass; remembered for the body last asked about. */
typedef struct pw_common {
    const uint8_t *of;
    pw_view name; /* text */
    uint64_t digest;
    int64_t due_ms;
    pw_view undo; /* text; data NULL = none */
    int64_t on_cancel;
} pw_common;

typedef struct pw_signal {
    const char *name;
    const pawl_value *value;
    pw_view body; /* of the event, to carry across continue-as-new */
    int64_t seq;
    struct pw_signal *prev, *next;
} pw_signal;

typedef struct pw_unwind {
    void (*fn)(void *arg);
    void *arg;
    struct pw_unwind *next;
} pw_unwind;

typedef struct pw_handler {
    const char *name;
    pawl_query_fn fn;
    void *arg;
    struct pw_handler *next;
} pw_handler;

typedef struct pw_patch {
    const char *id;
    bool on;
    struct pw_patch *next;
} pw_patch;

/* ---- a branch: what workflow code holds as pawl_run ---- */

typedef bool (*pw_ready_fn)(pawl_run *w, void *arg);

struct pawl_run {
    pw_live *live;
    int64_t index; /* 0 = the main one */
    pw_fiber *fiber;
    pawl_branch_fn fn; /* NULL = the workflow function */
    void *arg;
    pawl_future future;
    const pawl_failure *failure; /* sticky */
    int64_t failed_cmd;          /* the command whose failure it is; 0 = none */
    bool timed_out;
    pw_shield *shield;      /* the innermost; NULL = none */
    pw_shield *shield_base; /* of the branch it came from: not its own to leave */
    bool stopped;           /* its own future was cancelled, or what awaited it */
    uint32_t noops;         /* commands since failure without anyone looking */
    pw_ready_fn ready;      /* what it waits for; NULL = can run */
    void *ready_arg;
    bool wait_cancelable;
    bool finished;
    struct pawl_run *prev, *next;
};

/* ---- inputs: what the next turn of a run applies ---- */

typedef enum pw_input_kind {
    PW_IN_START,   /* rq or a created run's first turn */
    PW_IN_REQUEST, /* signal, answer, cancel, terminate, pause, resume, retry */
    PW_IN_REPORT,  /* a job's end */
    PW_IN_RETRIED, /* an attempt failed, another follows */
    PW_IN_SENT,    /* about to start an unsafe effect */
    PW_IN_UNKNOWN, /* an unsafe effect was cut by a crash */
    PW_IN_TIMER,
    PW_IN_MAP_DONE,
    PW_IN_ROOM, /* an attempt that is held, or that a crash cut, reserves once more */
    PW_IN_KICK, /* only resume the code: a local step was committed, or recovery */
} pw_input_kind;

struct pw_input {
    pw_input_kind kind;
    pw_request *rq;
    pw_report *report;
    int64_t run; /* set when it is given to a run */
    int64_t cmd;
    int64_t attempt;
    int64_t due_ms; /* timer; retry: next attempt */
    int timer_kind;
    bool final_failure;
    pawl_scope *scope; /* owns failure; may be NULL */
    pw_view value;
    struct pw_input *prev, *next;
};

/* ---- a run in memory ---- */

struct pw_live {
    pw_core *core;
    int64_t key;
    const char *id;    /* in scope */
    uint64_t id_sum;   /* its checksum */
    pw_run_row row;    /* views live in scope */
    pw_run_row landed; /* the same as committed: what a reset goes back to [E6] */
    pw_def *def;       /* NULL = no code */
    pawl_scope *scope;
    pw_state state; /* of the run machine */
    bool whole;     /* code is loaded and at the tip of history */
    bool frozen;    /* a turn is in flight [E2] */
    bool queued;    /* in the ready list */
    bool kick;      /* the code can go on without input */
    bool created;   /* RUN_CREATE not landed yet */
    bool fresh;     /* first turn to come: RUN_STARTED */
    bool dropped;   /* a group failed: rebuild from the journal */
    bool cancel_requested;
    const char *cancel_reason;
    bool stalled; /* no memory for its turn: not before core->again_at_ns; survives a reset */
    int stalls;   /* in a row; survives a reset */
    bool held;    /* it would go on by itself, and the disk is full; survives a reset */
    bool
        crash_owed; /* it ended the last process, and the count of that has not landed [E7]; survives a reset */
    bool
        unfunded; /* its budget cannot be read, and that lasts: it is to be paused; survives a reset */
    bool left_timers;  /* waits that ended while it was a shell: their timers may still stand */
    bool abandoned;    /* its fibers must not run again (mismatch) */
    size_t stack_peak; /* of the stacks it gave back, bytes; survives a reset */

    int64_t turn;   /* counts turns, in replay too */
    int64_t now_ms; /* of the turn */
    int64_t seq;    /* last applied event */
    int64_t next_cmd;
    uint64_t seed, draws;
    int64_t parent_key, parent_cmd;
    int64_t run_deadline_ms;
    const char *started_by; /* who; of a child, who started the first of its parents */

    pw_cmd **cmds; /* by id - 1 */
    size_t cmds_len, cmds_cap;
    pw_cmd *open; /* list */
    size_t open_len;
    pw_signal *signals; /* list */
    size_t signals_len;
    pawl_run *branches; /* list; the first is the main one */
    int64_t branches_len;
    pw_unwind *unwinds;
    pw_handler *handlers;
    pw_patch *patches;

    /* this turn */
    pw_buf *record; /* events being written; NULL in replay */
    int64_t record_events;
    pw_batch *batch;
    int64_t commands_in_turn;
    const char *
        last_file; /* of the last command that had a place; the end of the run has none of its own */
    int last_line;
    bool progress_dirty;
    bool stepped;          /* a local step ended in this turn: kick after the ack */
    struct pw_tx_step *tx; /* transactional step of this turn */

    /* closing */
    bool closing; /* main returned */
    const pawl_value *result;
    const pawl_failure *final_failure;
    const pawl_value *continue_input;
    bool continued;

    /* replay */
    bool replaying;
    pw_record replay; /* events of the record still to match */
    pw_event replay_next;
    bool replay_has_next;
    uint64_t replay_build;
    pw_common common; /* see pw_body_common */
    struct pw_mismatch *mismatch;
    struct pw_void *voids;  /* retried: events in [from, to) do not count; survive a reset */
    bool restart;           /* replay again with the new void range */
    struct pw_drift *drift; /* inputs that differ under another build, to be noted */
    pawl_run *tx_branch;    /* wants a transactional step at the end of this turn */

    int64_t retry_from; /* a retry is on its way: events from here do not count; survives a reset */
    int64_t retry_next_cmd;
    uint8_t *undone; /* while looking for retry_from: by command */
    int64_t undone_len;
    int64_t shell_unread; /* signals nobody has read, of a shell; -1 = not counted */
    struct pw_answered *
        answered; /* what this turn has answered or ended, which rows do not show yet; in the batch */

    /* folded */
    void *fold_state;
    int64_t snapshot_seq;
    bool deciding;
    struct pw_late_event *late;

    pw_input *inputs;    /* list */
    pw_request *queries; /* wait for the thaw; list by next */
    int64_t idle_since_ns;
    pw_live *ready_prev, *ready_next;
    pw_live *lru_prev, *lru_next;
    UT_hash_handle hh; /* by key */
    UT_hash_handle hi; /* by id: the newest run of it */
    bool in_ids;
};

typedef struct pw_void {
    int64_t from, to;
    struct pw_void *next;
} pw_void;

typedef struct pw_answered {
    int64_t cmd;
    bool ended;   /* not only answered: "retry" goes on */
    pw_view body; /* of a wait that is still open: what it is now; else empty */
    struct pw_answered *next;
} pw_answered;

typedef struct pw_drift {
    int64_t cmd;
    const char *name;
    uint64_t history, code;
    const char *at, *was_at; /* places of both sides; may be "" */
    struct pw_drift *next;
} pw_drift;

typedef struct pw_late_event {
    pw_event ev;
    struct pw_late_event *next;
} pw_late_event;

typedef struct pw_mismatch {
    const char *reason; /* "kind", "name", "input", "missing", "extra" */
    int64_t seq;
    int64_t cmd;
    const char *history; /* 'ActivityScheduled "build" at release.c:40' */
    const char *code;
} pw_mismatch;

/* ---- jobs: attempts of activities ---- */

/* pw_task_row.state: one of these, and PW_TASK_CANCELING beside it once it was asked to stop. */
enum {
    PW_TASK_SCHEDULED = 0,
    PW_TASK_SENT = 1,
    PW_TASK_UNKNOWN = 2,
    PW_TASK_SHORT = 3,
    PW_TASK_CANCELING = 8
};
/* Beside PW_TASK_SENT: whoever it was sent by can read it back. */
enum { PW_TASK_READ_BACK = 4 };
/* And above them how many attempts cost none of the retries. */
enum { PW_TASK_FREE_SHIFT = 8, PW_TASK_FREE_MAX = 0x7fffff };

typedef enum pw_job_state {
    PW_JOB_HELD,    /* the run is paused, or the engine does not dispatch yet */
    PW_JOB_BACKOFF, /* waits for its next attempt */
    PW_JOB_QUEUED,  /* wants a slot or a worker */
    PW_JOB_SENDING, /* `sent` is being committed */
    PW_JOB_RUNNING,
    PW_JOB_ENDING,  /* its end is on its way into the journal */
    PW_JOB_UNKNOWN, /* asks what happened */
    PW_JOB_SHORT,   /* what it would use does not fit its budget */
} pw_job_state;

typedef struct pw_retry {
    int64_t attempts_max;
    int64_t initial_ms;
    double factor;
    int64_t max_ms;
    const char *no_retry;
} pw_retry;

typedef struct pw_job_key {
    int64_t run;
    int64_t cmd;
    int64_t item; /* 0, or index + 1 */
} pw_job_key;

struct pw_job {
    pw_job_key key;
    pw_job_state state;
    pw_map *map;              /* of an item */
    pw_report *said;          /* of an item whose outcome is looked for: what it spent */
    struct pw_map_note *note; /* of an item: for what it brings next; made with it */
    pawl_scope *scope;        /* owns strings and input */
    const char *run_id;
    const char *name;
    const char *queue;
    const char *limit_key;
    int64_t priority;
    pw_view body; /* of the scheduling event: options and input */
    const pawl_value *input;
    pawl_effect effect;
    pw_retry retry;
    int64_t timeout_ms, schedule_ms, heartbeat_ms;
    int64_t attempt;
    int64_t attempts_free; /* that a retry time of their own followed; of an item in memory only */
    int64_t attempt_base;  /* of an item: attempts before its run was retried */
    int64_t scheduled_ms;
    int64_t due_ms;                            /* backoff end */
    int64_t schedule_due, close_due, beat_due; /* in-memory deadlines; 0 = none */
    pawl_task *task;                           /* running here */
    bool remote;                               /* running at a worker */
    uint8_t secret[PW_TOKEN_SECRET_BYTES];     /* of the token that it holds */
    pw_request *stop_wait;                     /* the worker's task_wait; NULL = none */
    pw_job *m_prev, *m_next;                   /* those running at workers */
    bool sent;                                 /* `sent` is committed */
    bool read_back;                            /* who it was sent by can read it back */
    bool checking;                             /* what is queued or runs is that, not the attempt */
    bool doubt; /* its code may still run: "nothing" is not believed */
    bool asked; /* its outcome was unknown: a question may stand */
    uint64_t client;
    bool begun;
    bool may_have; /* this attempt may have begun, here or before a restart */
    bool cancel_requested;
    bool let_run;  /* PAWL_CANCEL_ABANDON: nobody asks it to stop */
    bool reserves; /* in a budget */
    bool booked;   /* it may begin: that is committed [B2] */
    bool again;    /* its run is to try once more to reserve */
    int64_t begun_ms;
    pw_view detail; /* last heartbeat, own scope */
    pawl_scope *detail_scope;
    bool detail_dirty;
    pw_stream *stream; /* what it says while it runs; NULL = nothing so far */
    int64_t detail_written_ms;
    pw_input_kind
        owed; /* what its run has to hear of it, and for which there was no memory; PW_IN_START = nothing */
    pw_report *owed_report;
    int64_t owed_due_ms;
    const char *fail_type; /* it failed, and that could not be put down; NULL = no */
    char fail_text[96];
    bool fail_retryable;
    const char *last_failure;
    pw_act *slot;  /* counted in its concurrency */
    pw_flow *flow; /* its place in its queue */
    pw_job *q_prev, *q_next;
    uint64_t q_number; /* the order in which they were queued */
    bool in_queue;
    bool granted;            /* has a place among those under way in its queue */
    pw_job *r_prev, *r_next; /* jobs of the same run */
    UT_hash_handle hh;
};

typedef struct pw_run_jobs {
    int64_t run;
    pw_job *jobs; /* list by r_prev/r_next */
    bool held;
    UT_hash_handle hh;
} pw_run_jobs;

/* ---- maps ---- */

typedef struct pw_map_note pw_map_note; /* pw_map, pw_map_note: map.h */

/* ---- batches ---- */

typedef struct pw_publish {
    enum {
        PW_PUB_REPLY,
        PW_PUB_JOB,
        PW_PUB_SENT,
        PW_PUB_UNKNOWN,
        PW_PUB_RETRY,
        PW_PUB_TIMER,
        PW_PUB_CANCEL_JOB,
        PW_PUB_MAP,
        PW_PUB_PAGES,
        PW_PUB_CANCEL_MAP,
        PW_PUB_DROP_JOB,
        PW_PUB_BOOKED, /* what it set aside: it may begin */
        PW_PUB_FUNDED, /* what was held goes on */
        PW_PUB_SHORT,  /* it is held */
        PW_PUB_INBOX,
        PW_PUB_UNHOLD,
        PW_PUB_HOLD,
        PW_PUB_QUEUE,
        PW_PUB_NOTHING
    } kind;
    pw_request *rq;
    pawl_status status;
    pawl_error error;
    pw_view body;
    pw_live *live;
    pw_cmd *cmd;
    pw_job_key job;
    pw_timer_row timer;
    pw_report *report;
    int64_t due_ms;
    int64_t attempt;
    bool asks; /* SHORT: a person is asked */
    struct pw_publish *next;
} pw_publish;

typedef struct pw_batch_bufs {
    pw_buf buf;
    struct pw_batch_bufs *next;
} pw_batch_bufs;

/** A payload that the batch is about to store: its events are applied before it can be read back. */
typedef struct pw_new_blob {
    uint8_t digest[PW_DIGEST_SIZE];
    pw_view bytes; /* in the group's scope */
    struct pw_new_blob *next;
} pw_new_blob;

struct pw_batch {
    pw_group group;
    pw_core *core;
    size_t cap;
    pw_live **lives; /* runs frozen by it */
    size_t lives_len, lives_cap;
    pw_input *inputs; /* applied by it: kept until the ack, for the case that it does not land */
    pw_publish *publish, *publish_tail;
    pw_batch_bufs *bufs; /* records, freed with the batch */
    pw_new_blob *blobs;
    int64_t now_ms; /* when it was begun */
    bool failed;    /* something found no memory since the last mark: see pw_batch_lost */
    bool open;      /* the journal applies what is shown of it */
    size_t shown, shown_turns;
    pw_op spare_op; /* what is written into when there is none */
    pw_publish spare_publish;
    pw_buf spare_buf;
    struct pw_batch *next;
};

/** Where a batch stood, to take out again what came after. */
typedef struct pw_batch_mark {
    size_t ops, lives;
    pw_publish *publish;
    pw_input *inputs;
} pw_batch_mark;

typedef struct pw_heap_timer {
    int64_t due_ms;
    int64_t run;
    int64_t cmd;
    int32_t item;
    int32_t kind;
} pw_heap_timer;

typedef enum pw_timer_kind {
    PW_T_SLEEP = 1,
    PW_T_SIGNAL = 2,
    PW_T_WAIT = 3,
    PW_T_RUN = 4,
    PW_T_SHIELD = 5,
    PW_T_ESCALATE = 6, /* of a wait: further people are asked */
    PW_T_MEMORY = 7,   /* due at once: a search is made in the turn after */
    /* never in the journal: */
    PW_T_JOB = 100, /* look at the job's own deadlines */
} pw_timer_kind;

typedef struct pw_watcher {
    pw_request *rq;
    const char *id; /* in the request's scope; NULL = all runs */
    uint64_t
        id_sum; /* its checksum: most watchers are of another run, and that is all that is looked at */
    bool output; /* and what attempts say while they run */
    struct pw_watcher *prev, *next;
} pw_watcher;

enum { PW_WAITER_LISTS = 1024 };
typedef struct pw_waiter {
    pw_request *rq;
    int64_t run_key;
    struct pw_waiter *prev, *next;
} pw_waiter;

typedef struct pw_inbox_seen {
    int64_t id;
    UT_hash_handle hh;
} pw_inbox_seen;

typedef struct pw_dedup_busy {
    UT_hash_handle hh;
    char key[];
} pw_dedup_busy;

typedef struct pw_stats {
    int64_t turns, groups, commands, replayed_events, loads, evictions, stale, refused,
        jobs_started, timers_fired, requests, group_ops, failed_groups, mismatches, steps;
    size_t stack_peak; /* deepest of the stacks that were given back or looked at, bytes */
} pw_stats;

struct pw_core {
    pw_env env;
    pw_core_options options;
    const pw_journal_ops *jops;
    pw_reader *reader;
    uint8_t blob_key[PW_KEY_SIZE];
    struct pw_convos *convos; /* what tasks read conversations with */

    pw_def *defs;
    pw_act *acts;

    pw_live *runs;  /* hash by key */
    pw_live *ids;   /* hash by id */
    pw_live *ready; /* list */
    pw_live *lru;   /* list, head = least recently used */
    size_t whole_len;
    int64_t next_key;

    pw_job *jobs;                  /* hash */
    pw_run_jobs *run_jobs;         /* hash */
    struct pw_queue *queues;       /* hash by name: queue.h */
    struct pw_queue *queues_ready; /* list: those that have something to start take turns */
    pw_job *queue_granted;         /* list: `sent` is committed, they start first */
    struct pw_offer *offers;       /* hash by activity */
    struct pw_poll *polls;         /* parked task_poll requests; list */
    pw_pq queue_waits;             /* keys by when their bucket is looked at */
    uint64_t queue_number;
    int64_t queues_opened_us; /* buckets begin empty as of then */
    pw_job *remote_jobs;      /* running at workers; list by m_prev, m_next */
    pw_map *maps;             /* hash */
    pw_map *map_work;         /* list of those that may have to start items, to end, or to write */
    size_t tasks_running;
    struct pw_budget *budgets;   /* hash by name: budget.h */
    size_t budgets_kept;         /* by the last sweep */
    struct pw_booking *bookings; /* hash: attempts that have something set aside */
    bool bookings_doubt;         /* some may be in the journal alone */
    bool budget_freed;           /* what is held may fit now */
    bool queue_dirty, beats_dirty;

    pw_heap_timer *heap;
    size_t heap_len, heap_cap;
    int64_t horizon_ms; /* journal timers due up to here are in the heap */

    pw_pool blocks;                   /* of the scopes of runs */
    pw_buf spare_fields;              /* pw_emit's, between two events */
    struct pw_batch_bufs *spare_bufs; /* of batches that are done */
    size_t spare_bufs_len;
    pw_batch *building;
    pw_batch *flight; /* list, oldest first */
    size_t flight_len;
    uint64_t group_no;        /* of the last group that landed */
    int64_t turn_ns, sync_ns; /* running means: to build one turn, to wait for one COMMIT */
    bool doomed;              /* groups in flight follow one that did not land */
    pw_request *deferred;     /* looked at again when a group has landed; list by next */
    /* Of the socket, and need code that may yet be registered. List by next, the newest first: there may be very many. */
    pw_request *early;
    pw_watcher *watchers;
    pw_waiter *waiters[PW_WAITER_LISTS]; /* by run_key; pw_waiters_of */
    bool inbox_dirty;
    int64_t inbox_after;
    pw_inbox_seen *inbox_seen; /* rows held by a request */
    pw_request *inbox_queue;
    pw_dedup_busy *dedup_busy; /* keys held by a request */

    bool recovered;
    pw_shutdown shutdown;
    bool failed;
    pawl_error failure;
    int64_t backoff_until_ns;
    bool scarce; /* the disk is full: nothing new is begun */
    bool
        careful; /* the last process died in the first turn of some run: starts land before their code runs */
    int crashes_owed; /* runs whose crash has been found and is not on disk: no code runs before */
    int64_t
        again_at_ns; /* then runs that stalled are tried again, and `again` is done; 0 = nothing to do */
    unsigned again;      /* PW_AGAIN_* */
    int64_t scan_before; /* recovery scan cursor; 0 = done */
    uint8_t edges_seen[128];
    pw_stats stats;
};

#endif
