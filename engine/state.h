/*
 * state.h - what the core keeps in memory, shared by the core's files and by nobody else.
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
#include "engine/fits.h"
#include "engine/fiber.h"
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
typedef struct pw_input pw_input;

/* ---- registered code ---- */

typedef struct pw_def {
    char *name;
    char *version;
    char *description;
    char *input_schema;
    pw_schemas *input_fits; /* the same, compiled; NULL = none */
    pawl_workflow_fn fn;  /* code */
    pawl_folded folded;   /* or folded: folded.apply set */
    size_t stack_bytes;
    uint64_t build;       /* of the object that holds its code */
    struct pw_def *next;
} pw_def;

typedef struct pw_act {
    char *name;
    pawl_activity_fn fn;
    void *user;
    pawl_effect effect;
    pawl_runner *runner; /* NULL = the pool */
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
    const char *name;     /* activity, signal, wait, workflow, key */
    pw_view body;         /* of the event that made it: lives in the run's scope */
    uint64_t digest;      /* of the input */
    int64_t seq;          /* of that event */
    int64_t due_ms;       /* timer, deadline; 0 = none */
    int64_t since_ms;
    const char *undo;     /* activity to take it back; NULL = none */
    const pawl_value *undo_input; /* explicit pawl_undo */
    int64_t attempt;
    bool cancel_requested;
    int64_t deliver_turn; /* a local step is seen by the code only in a later turn than this */
    struct pw_cmd *prev, *next; /* open commands, in order of id */
};

/** What the replay check and every command read, in one pass; remembered for the body last asked about. */
typedef struct pw_common {
    const uint8_t *of;
    pw_view name;          /* text */
    uint64_t digest;
    int64_t due_ms;
    pw_view undo;          /* text; data NULL = none */
    int64_t on_cancel;
} pw_common;

typedef struct pw_signal {
    const char *name;
    const pawl_value *value;
    pw_view body;         /* of the event, to carry across continue-as-new */
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
    int64_t index;                /* 0 = the main one */
    pw_fiber *fiber;
    pawl_branch_fn fn;            /* NULL = the workflow function */
    void *arg;
    pawl_future future;
    const pawl_failure *failure;  /* sticky */
    int64_t failed_cmd;           /* the command whose failure it is; 0 = none */
    bool timed_out;
    int shield_depth;
    int shield_base;              /* of the branch it came from: not its own to leave */
    pw_cmd *shield_cmd;           /* shield with a deadline; NULL = none */
    uint32_t noops;               /* commands since failure without anyone looking */
    pw_ready_fn ready;            /* what it waits for; NULL = can run */
    void *ready_arg;
    bool wait_cancelable;
    bool finished;
    struct pawl_run *prev, *next;
};

/* ---- inputs: what the next turn of a run applies ---- */

typedef enum pw_input_kind {
    PW_IN_START,    /* rq or a created run's first turn */
    PW_IN_REQUEST,  /* signal, answer, cancel, terminate, pause, resume, retry */
    PW_IN_REPORT,   /* a job's end */
    PW_IN_RETRIED,  /* an attempt failed, another follows */
    PW_IN_SENT,     /* about to start an unsafe effect */
    PW_IN_UNKNOWN,  /* an unsafe effect was cut by a crash */
    PW_IN_TIMER,
    PW_IN_MAP_DONE,
    PW_IN_KICK,     /* only resume the code: a local step was committed, or recovery */
} pw_input_kind;

struct pw_input {
    pw_input_kind kind;
    pw_request *rq;
    pw_report *report;
    int64_t run;             /* set when it is given to a run */
    int64_t cmd;
    int64_t attempt;
    int64_t due_ms;          /* timer; retry: next attempt */
    int timer_kind;
    bool final_failure;
    pawl_scope *scope;       /* owns failure; may be NULL */
    pw_view value;
    struct pw_input *prev, *next;
};

/* ---- a run in memory ---- */

struct pw_live {
    pw_core *core;
    int64_t key;
    const char *id;              /* in scope */
    pw_run_row row;              /* views live in scope */
    pw_run_row landed;           /* the same as committed: what a reset goes back to [E6] */
    pw_def *def;                 /* NULL = no code */
    pawl_scope *scope;
    pw_state state;              /* of the run machine */
    bool whole;                  /* code is loaded and at the tip of history */
    bool frozen;                 /* a turn is in flight [E2] */
    bool queued;                 /* in the ready list */
    bool kick;                   /* the code can go on without input */
    bool created;                /* RUN_CREATE not landed yet */
    bool fresh;                  /* first turn to come: RUN_STARTED */
    bool dropped;                /* a group failed: rebuild from the journal */
    bool cancel_requested;
    const char *cancel_reason;
    bool stalled;                /* no memory for its turn: not before core->again_at_ns; survives a reset */
    int stalls;                  /* in a row; survives a reset */
    bool held;                   /* it would go on by itself, and the disk is full; survives a reset */
    bool crash_owed;             /* it ended the last process, and the count of that has not landed [E7]; survives a reset */
    bool left_timers;            /* waits that ended while it was a shell: their timers may still stand */
    bool abandoned;              /* its fibers must not run again (mismatch) */
    size_t stack_peak;           /* of the stacks it gave back, bytes; survives a reset */

    int64_t turn;                /* counts turns, in replay too */
    int64_t now_ms;              /* of the turn */
    int64_t seq;                 /* last applied event */
    int64_t next_cmd;
    uint64_t seed, draws;
    int64_t parent_key, parent_cmd;
    int64_t run_deadline_ms;

    pw_cmd **cmds;               /* by id - 1 */
    size_t cmds_len, cmds_cap;
    pw_cmd *open;                /* list */
    size_t open_len;
    pw_signal *signals;          /* list */
    size_t signals_len;
    pawl_run *branches;          /* list; the first is the main one */
    int64_t branches_len;
    pw_unwind *unwinds;
    pw_handler *handlers;
    pw_patch *patches;

    /* this turn */
    pw_buf *record;              /* events being written; NULL in replay */
    int64_t record_events;
    pw_batch *batch;
    int64_t commands_in_turn;
    const char *last_file;       /* of the last command that had a place; the end of the run has none of its own */
    int last_line;
    bool progress_dirty;
    bool stepped;                /* a local step ended in this turn: kick after the ack */
    struct pw_tx_step *tx;       /* transactional step of this turn */

    /* closing */
    bool closing;                /* main returned */
    const pawl_value *result;
    const pawl_failure *final_failure;
    const pawl_value *continue_input;
    bool continued;

    /* replay */
    bool replaying;
    pw_record replay;            /* events of the record still to match */
    pw_event replay_next;
    bool replay_has_next;
    uint64_t replay_build;
    pw_common common;            /* see pw_body_common */
    struct pw_mismatch *mismatch;
    struct pw_void *voids;       /* retried: events in [from, to) do not count; survive a reset */
    bool restart;                /* replay again with the new void range */
    struct pw_drift *drift;      /* inputs that differ under another build, to be noted */
    pawl_run *tx_branch;         /* wants a transactional step at the end of this turn */

    int64_t retry_from;          /* a retry is on its way: events from here do not count; survives a reset */
    int64_t retry_next_cmd;
    uint8_t *undone;             /* while looking for retry_from: by command */
    int64_t undone_len;
    int64_t shell_unread;        /* signals nobody has read, of a shell; -1 = not counted */
    struct pw_answered *answered; /* what this turn has answered or ended, which rows do not show yet; in the batch */

    /* folded */
    void *fold_state;
    int64_t snapshot_seq;
    bool deciding;
    struct pw_late_event *late;

    pw_input *inputs;            /* list */
    pw_request *queries;         /* wait for the thaw; list by next */
    int64_t idle_since_ns;
    pw_live *ready_prev, *ready_next;
    pw_live *lru_prev, *lru_next;
    UT_hash_handle hh;           /* by key */
    UT_hash_handle hi;           /* by id: the newest run of it */
    bool in_ids;
};

typedef struct pw_void {
    int64_t from, to;
    struct pw_void *next;
} pw_void;

typedef struct pw_answered {
    int64_t cmd;
    bool ended; /* not only answered: "retry" goes on */
    struct pw_answered *next;
} pw_answered;

typedef struct pw_drift {
    int64_t cmd;
    const char *name;
    uint64_t history, code;
    const char *at, *was_at;     /* places of both sides; may be "" */
    struct pw_drift *next;
} pw_drift;

typedef struct pw_late_event {
    pw_event ev;
    struct pw_late_event *next;
} pw_late_event;

typedef struct pw_mismatch {
    const char *reason;          /* "kind", "name", "input", "missing", "extra" */
    int64_t seq;
    int64_t cmd;
    const char *history;         /* 'ActivityScheduled "build" at release.c:40' */
    const char *code;
} pw_mismatch;

/* ---- jobs: attempts of activities ---- */

/* pw_task_row.state: one of these, and PW_TASK_CANCELING beside it once it was asked to stop. */
enum { PW_TASK_SCHEDULED = 0, PW_TASK_SENT = 1, PW_TASK_UNKNOWN = 2, PW_TASK_CANCELING = 8 };
/* And above them how many attempts cost none of the retries. */
enum { PW_TASK_FREE_SHIFT = 8, PW_TASK_FREE_MAX = 0x7fffff };

typedef enum pw_job_state {
    PW_JOB_HELD,     /* the run is paused, or the engine does not dispatch yet */
    PW_JOB_BACKOFF,  /* waits for its next attempt */
    PW_JOB_QUEUED,   /* wants a slot or a worker */
    PW_JOB_SENDING,  /* `sent` is being committed */
    PW_JOB_RUNNING,
    PW_JOB_ENDING,   /* its end is on its way into the journal */
    PW_JOB_UNKNOWN,  /* asks what happened */
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
    pw_map *map;             /* of an item */
    struct pw_map_note *note; /* of an item: for what it brings next; made with it */
    pawl_scope *scope;       /* owns strings and input */
    const char *run_id;
    const char *name;
    const char *queue;
    const char *limit_key;
    int64_t priority;
    pw_view body;            /* of the scheduling event: options and input */
    const pawl_value *input;
    pawl_effect effect;
    pw_retry retry;
    int64_t timeout_ms, schedule_ms, heartbeat_ms;
    int64_t attempt;
    int64_t attempts_free;   /* that a retry time of their own followed; of an item in memory only */
    int64_t attempt_base;    /* of an item: attempts before its run was retried */
    int64_t scheduled_ms;
    int64_t due_ms;          /* backoff end */
    int64_t schedule_due, close_due, beat_due; /* in-memory deadlines; 0 = none */
    pawl_task *task;         /* running here */
    bool remote;             /* running at a worker */
    uint8_t secret[PW_TOKEN_SECRET_BYTES]; /* of the token that it holds */
    pw_request *stop_wait;   /* the worker's task_wait; NULL = none */
    pw_job *m_prev, *m_next; /* those running at workers */
    bool sent;               /* `sent` is committed */
    bool asked;              /* its outcome was unknown: a question may stand */
    uint64_t client;
    bool begun;
    bool cancel_requested;
    bool let_run;            /* PAWL_CANCEL_ABANDON: nobody asks it to stop */
    pw_view detail;          /* last heartbeat, own scope */
    pawl_scope *detail_scope;
    bool detail_dirty;
    int64_t detail_written_ms;
    pw_input_kind owed;      /* what its run has to hear of it, and for which there was no memory; PW_IN_START = nothing */
    pw_report *owed_report;
    int64_t owed_due_ms;
    const char *fail_type;   /* it failed, and that could not be put down; NULL = no */
    char fail_text[96];
    bool fail_retryable;
    const char *last_failure;
    pw_act *slot;            /* counted in its concurrency */
    pw_flow *flow;           /* its place in its queue */
    pw_job *q_prev, *q_next;
    uint64_t q_number;       /* the order in which they were queued */
    bool in_queue;
    bool granted;            /* has a place among those under way in its queue */
    pw_job *r_prev, *r_next; /* jobs of the same run */
    UT_hash_handle hh;
};

typedef struct pw_run_jobs {
    int64_t run;
    pw_job *jobs;            /* list by r_prev/r_next */
    bool held;
    UT_hash_handle hh;
} pw_run_jobs;

/* ---- maps ---- */

typedef struct pw_map_note pw_map_note; /* pw_map, pw_map_note: map.h */

/* ---- batches ---- */

typedef struct pw_publish {
    enum { PW_PUB_REPLY, PW_PUB_JOB, PW_PUB_SENT, PW_PUB_UNKNOWN, PW_PUB_RETRY, PW_PUB_TIMER, PW_PUB_CANCEL_JOB, PW_PUB_MAP, PW_PUB_PAGES,
           PW_PUB_CANCEL_MAP, PW_PUB_DROP_JOB, PW_PUB_INBOX, PW_PUB_UNHOLD, PW_PUB_HOLD, PW_PUB_QUEUE, PW_PUB_NOTHING } kind;
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
    pw_live **lives;         /* runs frozen by it */
    size_t lives_len, lives_cap;
    pw_input *inputs;        /* applied by it: kept until the ack, for the case that it does not land */
    pw_publish *publish, *publish_tail;
    pw_batch_bufs *bufs;     /* records, freed with the batch */
    pw_new_blob *blobs;
    int64_t now_ms;          /* when it was begun */
    bool failed;             /* something found no memory since the last mark: see pw_batch_lost */
    pw_op spare_op;          /* what is written into when there is none */
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
    /* never in the journal: */
    PW_T_JOB = 100,     /* look at the job's own deadlines */
} pw_timer_kind;

typedef struct pw_watcher {
    pw_request *rq;
    int64_t run_key;         /* 0 = all */
    char *id;
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
    int64_t turns, groups, commands, replayed_events, loads, evictions, stale, refused, jobs_started, timers_fired, requests, group_ops,
        failed_groups, mismatches, steps;
    size_t stack_peak; /* deepest of the stacks that were given back or looked at, bytes */
} pw_stats;

struct pw_core {
    pw_env env;
    pw_core_options options;
    const pw_journal_ops *jops;
    pw_reader *reader;
    uint8_t blob_key[PW_KEY_SIZE];

    pw_def *defs;
    pw_act *acts;

    pw_live *runs;               /* hash by key */
    pw_live *ids;                /* hash by id */
    pw_live *ready;              /* list */
    pw_live *lru;                /* list, head = least recently used */
    size_t whole_len;
    int64_t next_key;

    pw_job *jobs;                /* hash */
    pw_run_jobs *run_jobs;       /* hash */
    struct pw_queue *queues;     /* hash by name: queue.h */
    struct pw_queue *queues_ready; /* list: those that have something to start take turns */
    pw_job *queue_granted;       /* list: `sent` is committed, they start first */
    struct pw_offer *offers;     /* hash by activity */
    struct pw_poll *polls;       /* parked task_poll requests; list */
    pw_pq queue_waits;           /* keys by when their bucket is looked at */
    uint64_t queue_number;
    int64_t queues_opened_us;    /* buckets begin empty as of then */
    pw_job *remote_jobs;         /* running at workers; list by m_prev, m_next */
    pw_map *maps;                /* hash */
    pw_map *map_work;            /* list of those that may have to start items, to end, or to write */
    size_t tasks_running;
    bool queue_dirty, beats_dirty;

    pw_heap_timer *heap;
    size_t heap_len, heap_cap;
    int64_t horizon_ms;          /* journal timers due up to here are in the heap */

    pw_pool blocks;              /* of the scopes of runs */
    pw_buf spare_fields;         /* pw_emit's, between two events */
    struct pw_batch_bufs *spare_bufs; /* of batches that are done */
    size_t spare_bufs_len;
    pw_batch *building;
    pw_batch *flight;            /* list, oldest first */
    size_t flight_len;
    uint64_t group_no;           /* of the last group that landed */
    int64_t turn_ns, sync_ns;    /* running means: to build one turn, to wait for one COMMIT */
    bool doomed;                 /* groups in flight follow one that did not land */
    pw_request *deferred;        /* looked at again when a group has landed; list by next */
    pw_watcher *watchers;
    pw_waiter *waiters[PW_WAITER_LISTS]; /* by run_key; pw_waiters_of */
    bool inbox_dirty;
    int64_t inbox_after;
    pw_inbox_seen *inbox_seen;   /* rows held by a request */
    pw_request *inbox_queue;
    pw_dedup_busy *dedup_busy;   /* keys held by a request */

    bool recovered;
    bool shutdown;
    bool failed;
    pawl_error failure;
    int64_t backoff_until_ns;
    bool scarce;                 /* the disk is full: nothing new is begun */
    bool careful;                /* the last process died in the first turn of some run: starts land before their code runs */
    int crashes_owed;            /* runs whose crash has been found and is not on disk: no code runs before */
    int64_t again_at_ns;         /* then runs that stalled are tried again, and `again` is done; 0 = nothing to do */
    unsigned again;              /* PW_AGAIN_* */
    int64_t scan_before;         /* recovery scan cursor; 0 = done */
    uint8_t edges_seen[128];
    pw_stats stats;
};

/* core.c */
void pw_core_log(pw_core *core, pawl_level level, const char *run_id, int64_t cmd, const char *fmt, ...) PAWL_PRINTF(5, 6);
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
bool pw_batch_due(const pw_core *core);  /* hand it over, nothing more being ready; else an ack comes first */
void pw_batch_note_pace(pw_core *core, int64_t from_ns, int64_t turns);
void pw_batch_note_sync(pw_core *core, int64_t sync_ns);
void pw_batch_submit(pw_core *core);
void pw_batch_free(pw_batch *b);
void pw_batch_trim(pw_core *core); /* buffers kept for the next batch */
void pw_batch_reply(pw_batch *b, pw_request *rq, pawl_status status, const pawl_error *err, pw_view body);
/** A value as event field or column: inline, or a blob put beside. Appends to buf. */
void pw_put_value(pw_core *core, pw_batch *b, pw_buf *buf, pw_view value);
void pw_reply_now(pw_core *core, pw_request *rq, pawl_status status, const pawl_error *err, pw_view body);

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
void pw_live_reset(pw_live *live);   /* back to a shell: fibers and state dropped, inputs kept */
void pw_live_free(pw_live *live);    /* out of memory and tables */
void pw_live_ready(pw_live *live);
void pw_live_input(pw_live *live, pw_input *in);
void pw_live_touch(pw_live *live);
void pw_live_sweep(pw_core *core);
bool pw_live_stall(pw_live *live);     /* tries again later; false = it has been tried long enough */
void pw_live_stall_on(pw_live *live);
pw_input *pw_input_new(pw_input_kind kind); /* NULL = no memory */
void pw_input_free(pw_core *core, pw_input *in); /* accepts NULL */
pw_state pw_run_state(int status); /* of the run machine; RUNNING when it is no status */
bool pw_live_open_status(const pw_live *live);
bool pw_live_can_run(const pw_live *live); /* open, not paused, has code, not abandoned, not quarantined */
uint64_t pw_live_build(const pw_live *live); /* of its code; of the program when there is none */
bool pw_live_crashed(const pw_live *live); /* it ended its process too often: nothing of its code may run */
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
bool pw_turn_run(pw_live *live);       /* one turn of a ready run into the batch being built; false = the run is gone */
/** Around every call into a run's code: the breadcrumb, and host calls answer MISUSE. */
void pw_code_enter(const pw_live *live);
/** Inside: what of its code runs now ("step", name); what NULL = the workflow itself again. */
void pw_code_at(const pw_live *live, const char *what, const char *name);
void pw_code_site(const pw_live *live, const char *what, const char *name, char ret_site[PW_CRUMB_SITE_BYTES]);
void pw_code_leave(const pw_live *live);
bool pw_turn_lost(const pw_live *live); /* something found no memory: what it made so far counts for nothing [E8] */
void pw_turn_resume(pw_live *live);    /* resumes branches until none can go on */

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
void pw_emit_str(pw_emit *e, const char *key, const char *text);   /* NULL or "" is left out */
void pw_emit_text(pw_emit *e, const char *key, const char *text);  /* as above, cut at PW_TEXT_BYTES_MAX */
void pw_emit_int(pw_emit *e, const char *key, int64_t n);          /* always */
void pw_emit_opt(pw_emit *e, const char *key, int64_t n);          /* left out when 0 */
void pw_emit_uint(pw_emit *e, const char *key, uint64_t n);
void pw_emit_num(pw_emit *e, const char *key, double n);
void pw_emit_value(pw_emit *e, const char *key, pw_view value);    /* big ones become blobs; empty is left out */
void pw_emit_failure(pw_emit *e, const char *key, const pawl_failure *f);
/** Appends the event to the turn's record and applies it. False: memory, or no edge. */
void pw_emit_at(pw_emit *e, const char *file, int line); /* "release.c:40"; file NULL is left out */
bool pw_emit_end(pw_emit *e, pw_event_type type, int64_t cmd);
void pw_emit_drop(pw_emit *e);
bool pw_event_put(pw_live *live, pw_event_type type, int64_t cmd, pw_view body); /* appends to the record and applies */
/** The same; the body is a map of that many pairs, which fields hold one after the other. */
bool pw_event_put_fields(pw_live *live, pw_event_type type, int64_t cmd, pw_view fields, size_t len);
pw_view pw_body_get(pw_view body, const char *key);   /* raw value of a key; empty when missing */
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
pawl_failure *pw_failure_new(pawl_scope *scope, const char *type, const char *message, const pawl_value *details, bool retryable,
                             const pawl_failure *cause);
void pw_put_failure_field(pw_buf *buf, const char *key, const pawl_failure *f);

/* replay.c */
bool pw_replay_record(pw_live *live, int64_t first_seq, pw_view record); /* false = stop (mismatch, damage or restart) */
/** Next COMMAND event of the record, matched against what the code asks. NULL = mismatch (set) or nothing left. */
typedef struct pw_asked {
    pw_event_type type;
    const char *name;      /* NULL = any */
    bool check_input;
    uint64_t digest;
    const char *file;
    int line;
} pw_asked;
bool pw_replay_match(pw_live *live, const pw_asked *asked, pw_event *ret_event);
bool pw_replay_peek(pw_live *live, pw_event *ret_event);
bool pw_replay_void(const pw_live *live, int64_t seq);            /* in a stretch that a retry made void */
bool pw_replay_retried(pw_live *live, const pw_event *ev); /* false: a void stretch not known yet; read history again */
void pw_replay_fail(pw_live *live, const char *reason, const pw_event *ev, const char *code);

/* wait.c: branches, futures and cancellation */
bool pw_wait(pawl_run *w, pw_ready_fn ready, void *arg, bool cancelable); /* false = cancelled */
bool pw_wait_future(pawl_run *w, pawl_future *f);
bool pw_canceled(const pawl_run *w);
void pw_set_failure(pawl_run *w, const pawl_failure *f, int64_t cmd);
bool pw_blocked(pawl_run *w); /* failure is set: counts a no-op; or the turn is lost: does not come back */
void pw_leave_lost(pawl_run *w);
void pw_branch_main(void *arg);
pawl_run *pw_branch_new(pw_live *live, pawl_branch_fn fn, void *arg);
void pw_cmd_cancel(pawl_run *w, pw_cmd *cmd);
/** The name of what it waits for, for people. */
void pw_waiting_text(pw_live *live, char *ret, size_t size);

/* command.c: what workflow code asks for */
typedef struct pw_ask {
    pw_event_type type;
    const char *name;
    const pawl_value *input;   /* checked by digest */
    bool has_input;
    const char *file;
    int line;
    void (*body)(pw_emit *e, const void *arg); /* further fields; NULL = none */
    const void *arg;
} pw_ask;
/** In a live turn writes the event, in replay matches it; applies it. The command made, or NULL (failure or mismatch). */
pw_cmd *pw_command(pawl_run *w, const pw_ask *ask);
/** An event about an existing command (cancel requests and the like). */
bool pw_command_note(pw_live *live, pw_event_type type, pw_cmd *cmd);
void pw_close_run(pw_live *live); /* the main branch has returned */

/* tx.c: transactional steps */
void pw_tx_take(pw_live *live);       /* at the end of a turn: the first branch that wants one */
bool pw_tx_landed(pw_live *live);     /* applies its event after the ack; false = no memory for that */
void pw_tx_free(struct pw_tx_step *tx);
const pw_tx_call *pw_tx_call_of(const struct pw_tx_step *tx);

/* effects.c: rows and publications that follow an event in a live turn */
void pw_effects(pw_live *live, const pw_event *ev, pw_cmd *cmd);
void pw_effects_close(pw_live *live);
void pw_effects_left_timers(pw_live *live); /* in its first turn after it was loaded */
void pw_effects_timer_clear(pw_live *live, const pw_cmd *cmd, int kind);
void pw_effects_message(pw_batch *b, const char *op, const pw_buf *args_fields, size_t fields);
void pw_effects_task(pw_live *live, int64_t cmd, pw_view body, int64_t attempt, int state, int64_t due_ms);

/* job.c */
pw_job *pw_job_find(pw_core *core, pw_job_key key);
pw_job *pw_job_new(pw_core *core, pw_job_key key, const char *run_id, pw_view body, pw_map *map); /* NULL = no memory */
pw_job *pw_job_model(pawl_scope *scope, const char *run_id, pw_view body); /* options to copy; no job */
void pw_job_free(pw_core *core, pw_job *job);
void pw_job_queue(pw_core *core, pw_job *job);
void pw_job_dispatch_all(pw_core *core);
bool pw_job_report(pw_core *core, pw_report *report); /* takes it over; false = stale */
void pw_job_timer(pw_core *core, pw_job *job);
void pw_job_timers(pw_core *core, const pw_job *job);
void pw_job_cancel(pw_core *core, pw_job *job);
void pw_job_sent(pw_core *core, pw_job *job);
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
void pw_map_free(pw_core *core, pw_map *map); /* accepts NULL */
void pw_map_drop(pw_core *core, pw_map *map);  /* the run has ended it */
void pw_map_touch(pw_core *core, pw_map *map); /* the next step looks at it */
void pw_maps_pump(pw_core *core);
void pw_maps_room(pw_core *core);              /* items may begin again */
void pw_maps_hold(pw_core *core, int64_t run, bool hold);
void pw_map_begin(pw_core *core, const pw_publish *p);
bool pw_maps_fly(pw_core *core, int64_t run);  /* are pages of that run in flight? */
void pw_map_item_end(pw_core *core, pw_job *job, pw_report *report, bool failed); /* frees the job */
void pw_map_item_again(pw_core *core, pw_job *job, int64_t due_ms);
void pw_map_item_send(pw_core *core, pw_job *job);
void pw_map_landed(pw_core *core, pw_job_key key, bool ok);
void pw_map_cancel(pw_core *core, pw_map *map);
pawl_status pw_maps_recover(pw_core *core, pawl_error *err);
void pw_maps_flush(pw_core *core);

/* map_rows.c */
void pw_map_retried(pw_live *live, const pw_cmd *cmd); /* in the turn of a retry: rows of a map that was open or had failed */
void pw_map_counts(const pw_map *map, pw_map_row *ret);

/* map_results.c */
typedef struct pw_map_span {
    int64_t run, cmd;
    int64_t from, len, total;
} pw_map_span;
/** An array; NULL when the pages cannot be read. Errors: DAMAGED (also: an item is missing), NOMEM, IO. */
const pawl_value *pw_map_page(pw_core *core, pawl_scope *scope, const pw_map_span *span, pawl_error *err);
const pawl_value *pw_map_results(pw_live *live, const pw_cmd *cmd, int64_t total, pawl_error *err);

/* timers.c */
void pw_timer_add(pw_core *core, int64_t due_ms, int64_t run, int64_t cmd, int32_t item, int32_t kind);
void pw_timer_landed(pw_core *core, const pw_timer_row *row);
void pw_timers_fire(pw_core *core);
int64_t pw_timers_next(pw_core *core); /* ms until the next, -1 = none */
void pw_timers_rescan_run(pw_core *core, int64_t run);
void pw_timers_reset(pw_core *core);

/* requests.c */
void pw_request_handle(pw_core *core, pw_request *rq);
void pw_inbox_poll(pw_core *core);
void pw_inbox_reset(pw_core *core);
pw_waiter **pw_waiters_of(pw_core *core, int64_t run_key); /* the list in which the waiters for a run are, among others */
void pw_waiters_check(pw_core *core, pw_live *live);
void pw_queries_run(pw_live *live);
const char *pw_arg_str(const pw_request *rq, const char *key);
void pw_request_start_event(pw_live *live, const pw_request *rq);
void pw_request_take(pw_batch *b, const pw_request *rq, pawl_status status, pw_view body);
void pw_request_release(pw_core *core, const pw_request *rq);

/* input.c: inputs become events */
void pw_inputs_apply(pw_live *live);

/* retry.c */
void pw_retry_run(pw_live *live, pw_request *rq);
pawl_status pw_retry_prepare(pw_live *live, pawl_error *err);

/* publish.c */
void pw_publish_batch(pw_core *core, pw_batch *b);
void pw_publish_failed(pw_core *core, pw_batch *b, pawl_status status);
void pw_publish_resolved(pw_core *core, pw_batch *b);
void pw_publish_never_was(pw_core *core, pw_live *live); /* a created run that will not be; frees it */
void pw_input_again(pw_core *core, pw_input *in);        /* its turn did not happen */
void pw_publish_watch(pw_core *core, pw_live *live, int64_t first_seq, pw_view record);

/* fold.c */
void pw_fold_init(pw_live *live); /* fold_state NULL = no memory */
pawl_status pw_fold_load(pw_live *live, pawl_error *err);
bool pw_fold_event(pw_live *live, const pw_event *ev, pw_cmd *cmd);
void pw_fold_decide(pw_live *live);
void pw_fold_snapshot(pw_live *live);

/* scarce.c */
void pw_scarce_step(pw_core *core);
bool pw_scarce_holds(pw_live *live); /* true: it does not go on now; it is ready again when there is room */
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
void pw_recover_count(pw_live *live, pw_batch *b); /* its crash, in a group before any of its code runs */
/** A queued job whose attempt had begun when the last process ended: it has failed. NULL = none (any more). */
pw_job *pw_recover_begun(pw_core *core);
pawl_status pw_recover_crumb(pw_core *core, pawl_error *err);

extern _Thread_local bool pw_in_workflow;

#endif
