/*
 * journal.h - the durable log behind one interface, fit for SQLite, for memory (the simulator) and for PostgreSQL.
 *
 * Writing goes through one group at a time: a group is a list of operations that lands whole or not at all, carries the
 * owner's epoch (checked inside the same transaction) and its number (stored in it, so that an unknown outcome can be
 * resolved). Reading goes through readers, which never write and never checkpoint.
 *
 * [J1] a commit that returned OK is on disk.            [J5] the group number is stored in the group's transaction.
 * [J2] a group lands whole or not at all.               [J6] nothing is dispatched from here: only the engine, after OK.
 * [J3] a turn lands only at its expected sequence.      [J8] every record has a checksum, every run a chain.
 * [J4] a stale epoch lands nothing.
 * (journal/README.md has the whole list with the checks that `verify` makes.)
 *
 * Thread: the vtable's writing half belongs to one thread (the journal thread, writer.h); each reader to one thread.
 */
#ifndef PW_JOURNAL_H
#define PW_JOURNAL_H

#include <stdatomic.h>

#include "sdk/base/amounts.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/limits.h"
#include "sdk/base/record.h"

typedef struct pw_journal pw_journal;
typedef struct pw_reader pw_reader;

/** What a backend can do, and another may not: transactional steps. */
enum { PW_CAP_TX = 1, PW_CAP_FEED = 2 /* applies a group while it is still being built */ };

/* ---- rows ---- */

typedef struct pw_run_row {
    int64_t
        key; /* assigned by the owner: highest key + 1; newest run of an id has the highest key */
    pw_view id;
    pw_view workflow;
    pw_view version;
    pw_view traceparent; /* "" when none */
    int64_t created_ms;
    int64_t parent_key; /* 0 = none */
    int64_t parent_cmd;
    int64_t prev_key;  /* continued or retried from; 0 = none */
    int parent_policy; /* enum pawl_parent_policy */
    /* below: written again by each turn */
    int status;  /* enum pw_run_status */
    int64_t seq; /* events so far; the first event of a run has number 0 */
    uint8_t chain[PW_DIGEST_SIZE];
    int64_t updated_ms;
    int64_t closed_ms; /* 0 while open */
    pw_view
        waiting; /* what it waits for now, for people: "activity build", "timer", "signal go" ... */
    pw_view reason; /* why paused, failed or cancelled, short; "" */
    int64_t progress_done, progress_total;
    pw_view progress_text;
    int64_t unread;  /* signals never read, set when it closed */
    int64_t crashes; /* quarantine count */
    uint64_t build;  /* build digest that wrote the last turn */
} pw_run_row;

typedef struct pw_timer_row {
    int64_t due_ms;
    int64_t run;
    int64_t cmd;
    int kind; /* engine's: which machine it wakes */
} pw_timer_row;

typedef struct pw_task_row {
    int64_t run;
    int64_t cmd;
    int64_t attempt;
    int state;      /* engine's */
    int64_t due_ms; /* not before; 0 = at once */
    int64_t scheduled_ms;
    pw_view name; /* activity */
    pw_view queue;
    int64_t priority;
    pw_view detail;  /* last heartbeat detail, msgpack or empty */
    pw_view failure; /* last failure, msgpack or empty */
    pw_view body;    /* what a dispatch needs: options and input, msgpack */
} pw_task_row;

typedef struct pw_wait_row {
    int64_t run;
    int64_t cmd;
    pw_view name;
    pw_view kind; /* approval, question, form, url, other */
    int64_t created_ms;
    int64_t deadline_ms; /* 0 = none */
    pw_view body;        /* prompt, choices, schema, show, on_deadline: msgpack map */
} pw_wait_row;

typedef struct pw_map_row {
    int64_t run;
    int64_t cmd;
    int64_t total;
    int64_t done;
    int64_t failed;
    pw_view body; /* name, width, options, input reference: msgpack map */
} pw_map_row;

/** What became of a range of a map's items: map_page.h has the bytes. The backend adds and checks two checksums. */
typedef struct pw_page_row {
    int64_t run;
    int64_t cmd;
    int64_t page; /* of 256 items; -1: the items under way */
    int64_t part;
    pw_view head; /* what recovery reads */
    pw_view body; /* results and failures */
} pw_page_row;

typedef struct pw_inbox_row {
    int64_t id;
    int64_t posted_ms;
    pw_view dedup; /* "" = none */
    pw_view body;  /* a request, as the control protocol carries it */
} pw_inbox_row;

/** One text of the memory store (memo.h). */
typedef struct pw_memo_row {
    int64_t id; /* given by the backend at each put */
    pw_view space, key;
    int64_t updated_ms;
    int64_t expires_ms; /* 0 = never */
    pw_view body;       /* msgpack map: text, data */
} pw_memo_row;

/** A collection of texts and vectors (collection.h). */
typedef struct pw_collection_row {
    int64_t number; /* given when it is made, never again */
    pw_view name;
    int64_t width; /* numbers of a vector */
    int64_t created_ms;
    int64_t version; /* grows with each operation on its items */
    int64_t horizon; /* what went in versions above this is still listed */
    int64_t items, bytes;
    int64_t last; /* the highest number that an item has had */
    pw_view body; /* msgpack map: what made its vectors, and what it is about */
} pw_collection_row;

typedef struct pw_item_row {
    int64_t number; /* within its collection; a new one at each put */
    pw_view key;
    pw_view halves; /* width numbers of 16 bits; empty where they were not asked for */
    pw_view body;   /* msgpack map: text, workspace, tags, data */
} pw_item_row;

/** Which items: of that workspace (and, if shared, of none), with all of those tags (a msgpack array, or empty). */
typedef struct pw_item_filter {
    bool has_workspace, shared;
    pw_view workspace, tags;
} pw_item_filter;

typedef struct pw_outcome {
    int status; /* enum pawl_status */
    int64_t at_ms;
    pw_view body; /* reply, msgpack */
} pw_outcome;

/** A budget: what it allows, and what has been spent and set aside by ledger rows of it and of all budgets below. */
typedef struct pw_budget_row {
    pw_view name;   /* "workspace:acme", "run:12", "step:12.3" */
    pw_view parent; /* "" = none; never changes */
    pw_limits limits;
    pw_amounts spent, reserved; /* kept by the backend [J19] */
} pw_budget_row;

typedef enum pw_ledger_state {
    PW_LEDGER_RELEASED = 0,  /* it surely never began: there is no row (any more) */
    PW_LEDGER_RESERVED = 1,  /* surely not begun; `estimate` is set aside */
    PW_LEDGER_BEGUN = 2,     /* may have begun; the same */
    PW_LEDGER_SETTLED = 3,   /* `spent` is what it reported */
    PW_LEDGER_ESTIMATED = 4, /* nobody knows: `spent` is the estimate */
} pw_ledger_state;

/** What one attempt of an activity may use, or has used. An attempt that a crash cut is begun again under its number: the next `round`. */
typedef struct pw_ledger_row {
    int64_t run, cmd;
    int64_t item; /* of a map: index + 1 */
    int64_t attempt, round;
    int state; /* enum pw_ledger_state */
    int64_t at_ms;
    bool unpriced; /* money was spent, and no price table says how much */
    pw_view budget;
    pw_view workflow, activity, model;
    pw_amounts estimate, spent;
} pw_ledger_row;
/** A result that later calls may have. The backend adds and checks a checksum. */
typedef struct pw_cache_row {
    uint8_t key[PW_DIGEST_SIZE];
    int64_t expires_ms;
    int64_t at_ms;
    pw_view run_id; /* whose result it was */
    int64_t cmd;
    pw_view body; /* the result, msgpack */
} pw_cache_row;

/** What its checksum covers. Each backend writes it beside the row, and looks at it when the row is read. */
int64_t pw_cache_sum(const pw_cache_row *row);
/** *ret = row, with its views in the end of *body. Errors: NOMEM. */
PAWL_MUST_USE pawl_status pw_cache_copy(pw_buf *body, const pw_cache_row *row, pw_cache_row *ret,
                                        pawl_error *err);

/* ---- operations ---- */

typedef struct pawl_tx pawl_tx;

/** A transactional step inside a turn: runs on the journal thread in a savepoint of the group's transaction. */
typedef struct pw_tx_call {
    /** Does the work through pawl_tx_*. Not OK rolls the savepoint back; the group goes on. */
    pawl_status (*run)(void *ctx, pawl_tx *tx, pawl_error *err);
    /** Then writes the turn's record (with the result or the failure in it) and says how many events it holds. Never fails but
     * for memory (record.failed). */
    void (*encode)(void *ctx, pawl_status status, const pawl_error *err, pw_buf *record,
                   int64_t *ret_events);
    void *ctx;
} pw_tx_call;

/** One turn of one run: appends its record, moves the run row. CONFLICT for the group unless row seq == expected_seq. */
typedef struct pw_turn_op {
    int64_t run;
    int64_t expected_seq; /* = first_seq of this record: events of the run before it */
    int64_t events;       /* in the record; at least 1 */
    pw_view record;       /* ignored when tx is set */
    const pw_tx_call *tx;
    uint8_t chain_prev[PW_DIGEST_SIZE]; /* must equal the run row's: checked */
    uint8_t chain_next[PW_DIGEST_SIZE]; /* out */
    pw_run_row row; /* the "written again" half; seq and chain are computed here */
} pw_turn_op;

typedef enum pw_op_type {
    PW_OP_RUN_CREATE,   /* u.run: whole row, seq 0, chain zeros */
    PW_OP_TURN,         /* u.turn */
    PW_OP_RUN_CRASHES,  /* u.run: key, crashes */
    PW_OP_TIMER_SET,    /* u.timer */
    PW_OP_TIMER_CLEAR,  /* u.timer: due_ms, run, cmd, kind; no error when absent */
    PW_OP_TASK_PUT,     /* u.task: insert or replace (run, cmd) */
    PW_OP_TASK_BEAT,    /* u.task: run, cmd, detail only */
    PW_OP_TASK_CLEAR,   /* u.task: run, cmd */
    PW_OP_WAIT_PUT,     /* u.wait */
    PW_OP_WAIT_CLEAR,   /* u.wait: run, cmd */
    PW_OP_KEY_PUT,      /* u.kv */
    PW_OP_MAP_PUT,      /* u.map: insert or replace (run, cmd) */
    PW_OP_MAP_PROGRESS, /* u.map: run, cmd, done, failed only; no error when absent */
    PW_OP_MAP_PAGE,     /* u.page: insert or replace (run, cmd, page, part) */
    PW_OP_MAP_CLEAR,    /* u.map: the row only; pages stay for readers until retention */
    PW_OP_SNAPSHOT_PUT, /* u.snapshot: replaces the run's one snapshot */
    PW_OP_BLOB_PUT, /* u.blob: bytes <= PW_BLOB_CHUNK_BYTES, or body.data NULL: body.size bytes, whose chunks were staged before */
    PW_OP_NODE_PUT, /* u.node: conversation chain; id must be pw_node_id(key, parent, body) and the parent exist (zeros: it has
                           none), else the group does not land; same id again: kept; depth: the engine's */
    PW_OP_INBOX_PUT, /* u.inbox: id 0; a message of this engine to another of its runs; a dedup key that waits already: kept */
    PW_OP_INBOX_TAKE, /* u.take: deletes the row (CONFLICT when it is gone), keeps the outcome under its dedup key if not "" */
    PW_OP_OUTCOME_PUT, /* u.take: outcome of a request that came by the socket with a dedup key; CONFLICT when it has one */
    PW_OP_BUDGET_SET,  /* u.budget: its limits; made when it is not there; sums and parent stay */
    PW_OP_LEDGER_PUT, /* u.ledger: insert or replace (run, cmd, item, attempt, round), and the sums of its budget and of those above it;
                           RELEASED deletes. Budgets that are not there are made, without limits */
    PW_OP_LEDGER_BEGIN, /* u.ledger: a RESERVED row becomes BEGUN; no error when it is not there, or is further */
    PW_OP_CACHE_PUT, /* u.cache: replaces what stands under the key; and some rows that have expired by its at_ms go, and those above
                           PW_CACHE_ROWS_MAX and, in a file, PW_CACHE_BYTES_MAX that expire first, sooner or later */
    PW_OP_MEMO_PUT, /* u.memo: replaces what stands under (space, key); also drops a few that have expired by updated_ms */
    PW_OP_MEMO_DROP, /* u.memo: space, key (empty: none), updated_ms; no error when absent; also drops a few, as PUT does */
    PW_OP_COLLECTION_CREATE, /* u.collection: name, width, created_ms, body; one of that name is kept as it is */
    PW_OP_COLLECTION_DROP, /* u.collection: number; with its items, at once or by and by; no error when absent */
    PW_OP_ITEMS_PUT, /* u.items: collection, list: [[key, halves, body], ...]; replaces what stands under a key; nothing if the collection is gone */
    PW_OP_ITEMS_DROP, /* u.items: collection, list: [key, ...]; no error when absent */
    PW_OP_RUN_COMPACT, /* u.run: key; a closed run: one history row, chain head still verifiable; rows of timers, tasks,
                           waits and maps of the run are dropped */
} pw_op_type;

/** A ledger row, and where it counts: its budget first, then those above, to the outermost. */
typedef struct pw_ledger_op {
    pw_ledger_row row;
    const pw_view *chain;
    size_t chain_len;
    struct pw_budget *budget; /* the engine's: what it added to its sums, to take it back */
    pw_amounts spent, reserved;
    bool open; /* and whether something is set aside, or was */
} pw_ledger_op;

/** A budget's limits. */
typedef struct pw_budget_op {
    pw_budget_row row;
    struct pw_budget *budget; /* the engine's; what it allowed before, and whether it was there */
    pw_limits was;
    bool was_stored;
} pw_budget_op;

typedef struct pw_op {
    pw_op_type type;
    union {
        pw_run_row run;
        pw_turn_op turn;
        pw_timer_row timer;
        pw_task_row task;
        pw_wait_row wait;
        struct {
            int64_t run;
            pw_view key;
            pw_view value;
        } kv;
        pw_map_row map;
        pw_page_row page;
        struct {
            int64_t run;
            int64_t seq;
            pw_view body;
        } snapshot;
        struct {
            uint8_t digest[PW_DIGEST_SIZE];
            pw_view body;
        } blob;
        struct {
            uint8_t id[PW_DIGEST_SIZE];
            uint8_t parent[PW_DIGEST_SIZE];
            int64_t depth;
            pw_view body;
        } node;
        pw_budget_op *budget;
        const pw_ledger_op *ledger;
        pw_memo_row memo;
        pw_collection_row collection;
        struct {
            int64_t collection;
            pw_view list; /* msgpack */
        } items;
        pw_inbox_row inbox;
        pw_cache_row cache;
        struct {
            int64_t inbox_id;
            pw_view dedup;
            pw_outcome outcome;
        } take;
    } u;
} pw_op;

/** All bytes that ops point to live in `scope` (or longer) until the commit has been answered. */
typedef struct pw_group {
    uint64_t epoch;
    uint64_t number; /* of the previous group + 1 */
    pw_op *ops;
    size_t len;
    pawl_scope *scope;
    void *user;         /* the engine's */
    pawl_status status; /* out */
    pawl_error error;   /* out */
    int64_t sync_ns;    /* out: what COMMIT took; 0 = not known */
    atomic_bool
        answered; /* out: the journal is done with it; its answer may still be on the way to the engine */
    struct pw_feed *
        feed; /* it is still being built: `len` and what is not shown yet are not looked at (feed.h); NULL = whole */
    struct pw_group *next; /* the writer's queue; nobody else's */
} pw_group;

/** The id of a conversation node: the keyed digest of parent || body, so that a node cannot be swapped unseen. */
void pw_node_id(uint8_t ret_id[PW_DIGEST_SIZE], const uint8_t key[PW_KEY_SIZE],
                const uint8_t parent[PW_DIGEST_SIZE], pw_view body);

/* ---- filters of a scan ---- */

typedef struct pw_scan {
    int64_t before_key; /* cursor: rows with key < this; 0 = from the newest */
    bool open_only;
    pw_view id_prefix; /* empty = any */
    size_t rows_max;   /* 0 = PW_PAGE_ROWS_MAX */
} pw_scan;

/** Pages of one map. */
typedef struct pw_page_range {
    int64_t run;
    int64_t cmd;
    int64_t from, to; /* page numbers, both included */
    bool heads_only;  /* bodies are not read: empty views */
} pw_page_range;

/** Row callbacks: the row and its views are valid during the call only; return false to stop. */
typedef bool (*pw_run_fn)(void *ctx, const pw_run_row *row);
typedef bool (*pw_record_fn)(void *ctx, int64_t pos, int64_t first_seq, int64_t events,
                             pw_view record);
typedef bool (*pw_timer_fn)(void *ctx, const pw_timer_row *row);
typedef bool (*pw_task_fn)(void *ctx, const pw_task_row *row);
typedef bool (*pw_wait_fn)(void *ctx, const pw_wait_row *row);
typedef bool (*pw_map_fn)(void *ctx, const pw_map_row *row);
typedef bool (*pw_page_fn)(void *ctx, const pw_page_row *row);
typedef bool (*pw_inbox_fn)(void *ctx, const pw_inbox_row *row);
typedef bool (*pw_key_fn)(void *ctx, pw_view key, pw_view value);
typedef bool (*pw_budget_fn)(void *ctx, const pw_budget_row *row);
typedef bool (*pw_ledger_fn)(void *ctx, const pw_ledger_row *row);
typedef bool (*pw_memo_fn)(void *ctx, const pw_memo_row *row);
typedef bool (*pw_memo_word_fn)(void *ctx, int64_t id, pw_view word);
typedef bool (*pw_memo_space_fn)(void *ctx, pw_view space, int64_t rows, int64_t bytes);
typedef bool (*pw_collection_fn)(void *ctx, const pw_collection_row *row);
typedef bool (*pw_item_fn)(void *ctx, const pw_item_row *row);
typedef bool (*pw_item_number_fn)(void *ctx, int64_t number);
typedef bool (*pw_item_words_fn)(void *ctx, int64_t number, double score);

/** What a copy of a collection lacks. */
typedef struct pw_changes {
    int64_t collection;
    int64_t since;         /* gone: all that went in versions above this */
    int64_t after;         /* rows: with numbers above this, their vectors too, by number */
    size_t rows_max;       /* of those; 0 = all */
    pw_collection_fn head; /* first: the collection as it is now */
    pw_item_number_fn gone;
    pw_item_fn row;
    void *ctx;
} pw_changes;

/** A search by words. */
typedef struct pw_words_query {
    int64_t collection;
    pw_view query; /* any bytes: its words are alternatives (collection.h) */
    pw_item_filter filter;
    size_t rows_max; /* 0 = all */
} pw_words_query;

/* ---- the interface ---- */

typedef struct pw_journal_ops {
    const char *name;
    uint32_t caps;

    /** Frees everything; gives the owner lock back. Accepts NULL. */
    void (*close)(pw_journal *j);
    /** Takes the lease: bumps the epoch. Errors: BUSY, READONLY, IO. *ret_group_no: number of the last group that landed. */
    pawl_status (*lease)(pw_journal *j, uint64_t *ret_epoch, uint64_t *ret_group_no,
                         pawl_error *err);
    /** Is the lease still ours? FENCED when not. */
    pawl_status (*renew)(pw_journal *j, uint64_t epoch, pawl_error *err);
    /** OK, NOT, CONFLICT, FENCED, NOSPACE (a NOT that says why) or UNKNOWN. After UNKNOWN every commit is NOT until reopen. */
    pawl_status (*commit)(pw_journal *j, pw_group *group, pawl_error *err);
    /** Writes one chunk of a big blob ahead of the group that refers to it (digest of the whole is named by the op). */
    pawl_status (*stage)(pw_journal *j, const uint8_t digest[PW_DIGEST_SIZE], int64_t chunk,
                         pw_view bytes, pawl_error *err);
    /** After UNKNOWN: the reopening rite (TRUNCATE checkpoint, quick_check, checksums). Errors: IO, DAMAGED: stays closed. */
    pawl_status (*reopen)(pw_journal *j, pawl_error *err);
    /** Did that group land? Only after a successful reopen. */
    pawl_status (*resolve)(pw_journal *j, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                           pawl_error *err);
    /** Called by the writer after the group was answered: an in-line checkpoint when it is due. NULL = nothing to do. */
    void (*settle)(pw_journal *j);
    /** Called when there is nothing to write for a while: sweep of orphan blobs, compaction of a few closed runs, TRUNCATE checkpoint, ballast
     * back. True: there is more to compact; call again. */
    bool (*idle)(pw_journal *j);
    /** Releases the ballast after NOSPACE / takes it back when there is room. */
    bool (*ballast)(pw_journal *j, bool release);

    pawl_status (*reader_open)(pw_journal *j, pw_reader **ret_reader, pawl_error *err);
    void (*reader_close)(pw_reader *r); /* accepts NULL */

    /* every read: OK (also with no rows), NOTFOUND for single things, DAMAGED, IO */
    pawl_status (*run_get)(pw_reader *r, int64_t key, pw_run_fn fn, void *ctx, pawl_error *err);
    pawl_status (*run_find)(pw_reader *r, pw_view id, pw_run_fn fn, void *ctx,
                            pawl_error *err); /* the newest of that id */
    pawl_status (*run_scan)(pw_reader *r, const pw_scan *scan, pw_run_fn fn, void *ctx,
                            pawl_error *err);
    pawl_status (*run_children)(pw_reader *r, int64_t parent, pw_run_fn fn, void *ctx,
                                pawl_error *err);
    pawl_status (*key_max)(pw_reader *r, int64_t *ret_key, pawl_error *err);
    /** Records of a run with first_seq + events > from_seq, in order, each checksum checked; works on compacted runs too.
     * first_seq = events of the run before the record, so from_seq = the events the caller has (0 = all; a snapshot's seq).
     * A gap, a fork or a missing end is DAMAGED; from_seq 0 read to its end also checks the hash chain (in memory: once for
     * each head; checksums every time). */
    pawl_status (*read)(pw_reader *r, int64_t run, int64_t from_seq, pw_record_fn fn, void *ctx,
                        pawl_error *err);
    /** Timers with due_ms <= until_ms, in (due, run, cmd, kind) order after `after` (NULL = from the first). rows_max 0 = all. */
    pawl_status (*timers)(pw_reader *r, int64_t until_ms, const pw_timer_row *after,
                          size_t rows_max, pw_timer_fn fn, void *ctx, pawl_error *err);
    pawl_status (*run_timers)(pw_reader *r, int64_t run, pw_timer_fn fn, void *ctx,
                              pawl_error *err);
    pawl_status (*tasks)(pw_reader *r, int64_t run /* 0 = all */, pw_task_fn fn, void *ctx,
                         pawl_error *err);
    pawl_status (*waits)(pw_reader *r, int64_t run /* 0 = all */, pw_wait_fn fn, void *ctx,
                         pawl_error *err);
    pawl_status (*keys)(pw_reader *r, int64_t run, pw_view key /* empty = all */, pw_key_fn fn,
                        void *ctx, pawl_error *err);
    pawl_status (*maps)(pw_reader *r, int64_t run /* 0 = all */, pw_map_fn fn, void *ctx,
                        pawl_error *err);
    /** By page, then part. DAMAGED when a checksum does not match; what came before it was given. */
    pawl_status (*map_pages)(pw_reader *r, const pw_page_range *range, pw_page_fn fn, void *ctx,
                             pawl_error *err);
    pawl_status (*snapshot)(pw_reader *r, int64_t run, int64_t *ret_seq, pw_buf *ret_body,
                            pawl_error *err);
    pawl_status (*blob)(pw_reader *r, const uint8_t digest[PW_DIGEST_SIZE], pw_buf *ret_body,
                        pawl_error *err); /* digest checked */
    pawl_status (*node)(pw_reader *r, const uint8_t id[PW_DIGEST_SIZE],
                        uint8_t ret_parent[PW_DIGEST_SIZE], pw_buf *ret_body, pawl_error *err);
    /** Rows with id > after_id; ids are never given twice. rows_max 0 = all. */
    pawl_status (*inbox)(pw_reader *r, int64_t after_id, size_t rows_max, pw_inbox_fn fn, void *ctx,
                         pawl_error *err);
    pawl_status (*outcome)(pw_reader *r, pw_view dedup, pw_buf *ret_body, pw_outcome *ret_outcome,
                           pawl_error *err);
    pawl_status (*budgets)(pw_reader *r, pw_view name /* empty = all, by name */, pw_budget_fn fn,
                           void *ctx, pawl_error *err);
    /** By run, command, item, attempt, round. */
    pawl_status (*ledger)(pw_reader *r, int64_t run /* 0 = all */,
                          bool open_only /* RESERVED, BEGUN */, pw_ledger_fn fn, void *ctx,
                          pawl_error *err);
    /** What stands under a cache key, expired or not; its bytes and the run's id are put at the end of *ret_body. NOTFOUND; DAMAGED. */
    pawl_status (*cached)(pw_reader *r, const uint8_t key[PW_DIGEST_SIZE], pw_buf *ret_body,
                          pw_cache_row *ret_row, pawl_error *err);
    /** The memory store (memo.h searches it). One row, its checksum checked; the rows of a space by key, after that one ("" = from the first),
     * rows_max 0 = all; words that begin with prefix, and the rows that have them, by word, then the newest row first; spaces, or one. */
    pawl_status (*memo)(pw_reader *r, int64_t id, pw_memo_fn fn, void *ctx, pawl_error *err);
    pawl_status (*memos)(pw_reader *r, pw_view space, pw_view after, size_t rows_max, pw_memo_fn fn,
                         void *ctx, pawl_error *err);
    pawl_status (*memo_words)(pw_reader *r, pw_view space, pw_view prefix, size_t rows_max,
                              pw_memo_word_fn fn, void *ctx, pawl_error *err);
    pawl_status (*memo_spaces)(pw_reader *r, pw_view only /* empty = all */, pw_memo_space_fn fn,
                               void *ctx, pawl_error *err);
    /** Collections (collection.h): by name, or one. */
    pawl_status (*collections)(pw_reader *r, pw_view only /* empty = all */, pw_collection_fn fn,
                               void *ctx, pawl_error *err);
    /** The number of the last that was made, whether it is still there or not. */
    pawl_status (*collections_made)(pw_reader *r, int64_t *ret_number, pawl_error *err);
    /** Items without their vectors, by number, after that one. rows_max 0 = all. DAMAGED when a checksum does not match. */
    pawl_status (*items)(pw_reader *r, int64_t collection, int64_t after, size_t rows_max,
                         pw_item_fn fn, void *ctx, pawl_error *err);
    /** The item under a key, with its vector. NOTFOUND; DAMAGED. */
    pawl_status (*item)(pw_reader *r, int64_t collection, pw_view key, pw_item_fn fn, void *ctx,
                        pawl_error *err);
    /** What a copy lacks, all of it as of one moment. NOTFOUND (no such collection), DAMAGED. */
    pawl_status (*changes)(pw_reader *r, const pw_changes *changes, pawl_error *err);
    /** Items that have any of a query's words, best first (BM25 of the collection, ties by number). UNSUPPORTED when this SQLite has no FTS5. */
    pawl_status (*item_words)(pw_reader *r, const pw_words_query *query, pw_item_words_fn fn,
                              void *ctx, pawl_error *err);
    /** The key of the blob digests of this journal. */
    void (*blob_key)(pw_reader *r, uint8_t ret_key[PW_KEY_SIZE]);
} pw_journal_ops;

struct pw_journal {
    const pw_journal_ops *ops;
};
struct pw_reader {
    const pw_journal_ops *ops;
    pw_journal *journal; /* NULL for a reader opened without an owner */
};

/* ---- opening ---- */

/** The in-memory journal of the simulator and of tests. faults: journal/memory.h. */
pawl_status pw_memory_open(pw_journal **ret_journal, pawl_error *err);

/** Says that this program is pawl's own: SQLite then does not count its allocations, each under a lock of the process, a twentieth of what a commit
 * takes. Before the first connection; a library never calls it, for the host may use SQLite too. */
void pw_sqlite_alone(void);
/** The SQLite journal as an owner: takes the owner lock, creates or migrates the file. Does not bump the epoch (lease does).
 * socket: the control socket's path, written into the lock file; "" = none.
 * Errors: BUSY (naming the pid), FOREIGN, NEWER, DAMAGED, READONLY, IO, UNSUPPORTED (network file system). */
pawl_status pw_sqlite_open(const char *path, const char *socket, pw_journal **ret_journal,
                           pawl_error *err);

/** A reader of a file that somebody else may own; creates nothing. Errors: NOTFOUND, FOREIGN, NEWER, DAMAGED, IO. */
pawl_status pw_sqlite_reader_open(const char *path, pw_reader **ret_reader, pawl_error *err);

/** Makes the journal when there is none, and lets it go again.
 * Errors: BUSY (an owner lives: then it is there), and those of pw_sqlite_open. */
pawl_status pw_sqlite_make(const char *path, pawl_error *err);

/** With no owner alive: takes the lock, inserts into the inbox, releases. Creates the journal when there is none.
 * A dedup key that waits already gives that row's id; one that was answered gives id 0: its outcome can be read.
 * Errors: BUSY (an owner lives: use its socket), UNKNOWN (post again under the same dedup key), and those of pw_sqlite_open. */
pawl_status pw_sqlite_post(const char *path, pw_view dedup, pw_view body, int64_t now_ms,
                           int64_t *ret_inbox_id, pawl_error *err);

/** Who owns it: pid 0 = nobody, -1 = somebody who is no owner, or has not said yet who: it lasts a moment. socket is filled ("" when none).
 * Opens only the lock file, never the journal. */
pawl_status pw_owner_probe(const char *path, int64_t *ret_pid, uint64_t *ret_epoch,
                           char socket[108], pawl_error *err);

/** Where the control socket of a journal stands: beside it as <path>.sock, or $XDG_RUNTIME_DIR/pawl/<hash>.sock when that is too
 * long for bind. Errors: INVALID when neither fits. */
pawl_status pw_socket_path(const char *journal_path, char ret_path[108], pawl_error *err);

/* ---- checking a file ---- */

typedef struct pw_verify_finding {
    const char *invariant; /* "J8" */
    int64_t run;           /* 0: of none */
    int64_t pos;
    char place
        [280]; /* what it is of, when that is no run: 'collection "docs", item "tea"'; else "" */
    char message[200];
} pw_verify_finding;
typedef void (*pw_verify_fn)(void *ctx, const pw_verify_finding *finding);
typedef struct pw_verify_stats {
    int64_t runs, records, events, blobs, findings;
} pw_verify_stats;
/** Checks every numbered invariant that a file can show. OK with findings == 0 is a sound file. */
pawl_status pw_sqlite_verify(const char *path, pw_verify_fn fn, void *ctx,
                             pw_verify_stats *ret_stats, pawl_error *err);

/** `pawl backup`: the journal as it is at one moment, copied to a file that must not be there; also while an engine runs on it. fn (may be NULL)
 * hears of pages done of all, and stops it with false. The copy is synced, whole or not there. Errors: EXISTS, BUSY (another backup writes that
 * file), NOTFOUND, CANCELED, READONLY, NOSPACE, DAMAGED, IO, and those of reading. */
typedef bool (*pw_backup_fn)(void *ctx, int done, int total);
pawl_status pw_sqlite_backup(const char *path, const char *target, pw_backup_fn fn, void *ctx,
                             pawl_error *err);

/** `pawl sql`: runs one read-only statement with the pawl_events table function registered; row_fn gets msgpack maps. */
typedef bool (*pw_sql_fn)(void *ctx, pw_view row_map);
pawl_status pw_sqlite_query(const char *path, const char *sql, pw_sql_fn fn, void *ctx,
                            pawl_error *err);

/** The newest journal version this pawl knows, and the SQLite it runs on ("3.40.1"). */
int pw_schema_version(void);
const char *pw_sqlite_version(void);
/** The journal version that a file says it has, also one this pawl cannot read. Errors: FOREIGN, READONLY, IO. */
pawl_status pw_sqlite_file_version(const char *path, int64_t *ret_version, pawl_error *err);

#endif
