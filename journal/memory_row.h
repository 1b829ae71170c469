/*
 * memory_row.h - keys and values of the journal in memory: how each row of journal.h stands in the
 * ordered map.
 *
 *   key = one letter for the table, then integers (8 bytes, big-endian, sign flipped: byte order is number order), then
 *   bytes. value = msgpack, or the bytes themselves where there is only one field.
 */
#ifndef PW_MEMORY_ROW_H
#define PW_MEMORY_ROW_H

#include <pthread.h>

#include "journal/memory.h"
#include "journal/memory_map.h"

typedef enum pw_table {
    PW_TABLE_OWNER = 'O',           /* -> epoch, group, pos, inbox id */
    PW_TABLE_RUN = 'R',             /* key -> run */
    PW_TABLE_RUN_ID = 'I',          /* id 0 key */
    PW_TABLE_CHILD = 'C',           /* parent key */
    PW_TABLE_LOG = 'L',             /* run seq -> pos n sum bytes */
    PW_TABLE_TIMER = 'T',           /* due run cmd kind */
    PW_TABLE_RUN_TIMER = 't',       /* run due cmd kind */
    PW_TABLE_TASK = 'A',            /* run cmd -> task */
    PW_TABLE_WAIT = 'W',            /* run cmd -> wait */
    PW_TABLE_KEY = 'K',             /* run key -> bytes */
    PW_TABLE_MAP = 'M',             /* run cmd -> map */
    PW_TABLE_PAGE = 'N',            /* run cmd page part -> sum body-sum head body */
    PW_TABLE_SNAPSHOT = 'S',        /* run -> seq sum body */
    PW_TABLE_BLOB = 'B',            /* digest -> 0 and the bytes, or 1 when they are in chunks */
    PW_TABLE_CHUNK = 'H',           /* n after digest -> bytes */
    PW_TABLE_STAGED = 'G',          /* digest -> epoch */
    PW_TABLE_NODE = 'D',            /* id -> parent body */
    PW_TABLE_INBOX = 'X',           /* id -> inbox row */
    PW_TABLE_DEDUP = 'Y',           /* dedup -> inbox id */
    PW_TABLE_OUTCOME = 'Z',         /* dedup -> outcome */
    PW_TABLE_BUDGET = 'U',          /* name -> budget */
    PW_TABLE_LEDGER = 'V',          /* run cmd item attempt round -> entry */
    PW_TABLE_CACHE = 'E',           /* key -> kept result */
    PW_TABLE_EXPIRY = 'e',          /* expires, then the key */
    PW_TABLE_MEMO = 'm',            /* id -> row of the memory store (memory_memo.c) */
    PW_TABLE_MEMO_NAME = 'n',       /* space 0 key -> id */
    PW_TABLE_MEMO_WORD = 'w',       /* space 0 word 0 -id */
    PW_TABLE_MEMO_EXPIRY = 'p',     /* expires id */
    PW_TABLE_MEMO_SPACE = 'q',      /* space -> n bytes */
    PW_TABLE_COLLECTIONS = '1',     /* -> the last number given (memory_collection.c) */
    PW_TABLE_COLLECTION = '2',      /* number -> collection */
    PW_TABLE_COLLECTION_NAME = '3', /* name -> number */
    PW_TABLE_ITEM = '4',            /* number n -> item */
    PW_TABLE_ITEM_NAME = '5',       /* number key -> n */
    PW_TABLE_ITEM_GONE = '6'        /* number version n */
} pw_table;

typedef struct pw_memory_owner {
    uint64_t epoch;
    uint64_t group;
    int64_t pos;
    int64_t inbox;
} pw_memory_owner;

/** A chain head that the records of a run were found to lead to. */
typedef struct pw_known_head {
    int64_t run;
    int64_t seq;
    uint8_t chain[PW_DIGEST_SIZE];
} pw_known_head;
enum { PW_KNOWN_HEADS = 64 };

struct pw_memory_store {
    pthread_mutex_t lock; /* recursive: reads nest in row callbacks */
    pw_kv *kv;
    uint8_t blob_key[PW_KEY_SIZE];
    pw_memory_fault fault;
    uint64_t fault_skip;
    uint64_t reopen_faults;
    uint64_t stage_fault; /* 1 = the next chunk; 0 = none */
    uint64_t commits;
    pw_known_head known[PW_KNOWN_HEADS];
};

typedef struct pw_memory {
    pw_journal base;
    pw_memory_store *store;
    bool owns_store;
    bool failed;
    bool told;
    uint64_t epoch;
} pw_memory;

typedef struct pw_memory_reader {
    pw_reader base;
    pw_memory_store *store;
} pw_memory_reader;

/* ---- keys ---- */

#define PW_ROW_KEY_BYTES 256
typedef struct pw_row_key {
    uint8_t data[PW_ROW_KEY_BYTES];
    size_t size;
    bool whole; /* false: the bytes were longer than a key may be */
} pw_row_key;

void pw_row_key_start(pw_row_key *k, pw_table table);
void pw_row_key_int(pw_row_key *k, int64_t v);
void pw_row_key_bytes(pw_row_key *k, const void *data, size_t size);
pw_row_key pw_row_key_ints(pw_table table, const int64_t *ints, size_t len);
#define PW_ROW_KEY(table, ...)                                 \
    pw_row_key_ints((table), ((const int64_t[]){__VA_ARGS__}), \
                    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
pw_view pw_row_key_view(const pw_row_key *k);
/** A row into the map, or out of it, inside a transaction. put gives the value free. Errors: NOMEM; put: LIMIT (a key that was too long) */
pawl_status pw_memory_row_put(pw_memory_store *s, const pw_row_key *key, pw_buf *value,
                              pawl_error *err);
pawl_status pw_memory_row_drop(pw_memory_store *s, const pw_row_key *key, pawl_error *err);
/** Integer number n of a key made by PW_ROW_KEY. */
int64_t pw_row_key_get(pw_view key, size_t n);

/* ---- values ---- */

void pw_row_put_run(pw_buf *b, const pw_run_row *r);
bool pw_row_get_run(pw_view value, pw_run_row *ret);
void pw_row_put_task(pw_buf *b, const pw_task_row *t);
bool pw_row_get_task(pw_view value, pw_task_row *ret);
void pw_row_put_wait(pw_buf *b, const pw_wait_row *w);
bool pw_row_get_wait(pw_view value, pw_wait_row *ret);
void pw_row_put_map(pw_buf *b, const pw_map_row *m);
bool pw_row_get_map(pw_view value, pw_map_row *ret);
void pw_row_put_page(pw_buf *b, const pw_page_row *p);
/** Errors: DAMAGED. The place is the key's. */
pawl_status pw_row_get_page(pw_view key, pw_view value, pw_page_row *ret, pawl_error *err);
void pw_row_put_inbox(pw_buf *b, const pw_inbox_row *i);
bool pw_row_get_inbox(pw_view value, pw_inbox_row *ret);
void pw_row_put_outcome(pw_buf *b, const pw_outcome *o);
bool pw_row_get_outcome(pw_view value, pw_outcome *ret);
void pw_row_put_cache(pw_buf *b, const pw_cache_row *c);
/** Errors: DAMAGED. The key is the caller's. */
pawl_status pw_row_get_cache(pw_view value, const uint8_t key[PW_DIGEST_SIZE], pw_cache_row *ret,
                             pawl_error *err);
void pw_row_put_owner(pw_buf *b, const pw_memory_owner *o);
bool pw_row_get_owner(pw_view value, pw_memory_owner *ret);

/** A record's or a snapshot's row: its integers, then its bytes. */
void pw_row_put_sealed(pw_buf *b, int64_t a, int64_t n, int64_t sum, pw_view bytes);
bool pw_row_get_sealed(pw_view value, int64_t *ret_a, int64_t *ret_n, int64_t *ret_sum,
                       pw_view *ret_bytes);

/* ---- between the memory files ---- */

pw_memory_owner pw_memory_owner_get(const pw_memory_store *store);
static inline pw_memory *pw_memory_of(pw_journal *j)
{
    return (pw_memory *)j; /* base is the first member */
}
static inline pw_memory_store *pw_memory_reader_of(pw_reader *r)
{
    return ((pw_memory_reader *)r)->store;
}
extern const pw_journal_ops pw_memory_ops;

void pw_memory_close(pw_journal *base);
pawl_status pw_memory_lease(pw_journal *base, uint64_t *ret_epoch, uint64_t *ret_group_no,
                            pawl_error *err);
pawl_status pw_memory_renew(pw_journal *base, uint64_t epoch, pawl_error *err);
pawl_status pw_memory_commit(pw_journal *base, pw_group *group, pawl_error *err);
pawl_status pw_memory_stage(pw_journal *base, const uint8_t digest[PW_DIGEST_SIZE], int64_t chunk,
                            pw_view bytes, pawl_error *err);
pawl_status pw_memory_reopen(pw_journal *base, pawl_error *err);
pawl_status pw_memory_resolve(pw_journal *base, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                              pawl_error *err);
pawl_status pw_memory_memo_put(pw_memory_store *s, const pw_memo_row *given, pawl_error *err);
pawl_status pw_memory_memo_drop(pw_memory_store *s, const pw_memo_row *row, pawl_error *err);
pawl_status pw_memory_memo(pw_reader *r, int64_t id, pw_memo_fn fn, void *ctx, pawl_error *err);
pawl_status pw_memory_memos(pw_reader *r, pw_view space, pw_view after, size_t rows_max,
                            pw_memo_fn fn, void *ctx, pawl_error *err);
pawl_status pw_memory_memo_words(pw_reader *r, pw_view space, pw_view prefix, size_t rows_max,
                                 pw_memo_word_fn fn, void *ctx, pawl_error *err);
pawl_status pw_memory_memo_spaces(pw_reader *r, pw_view only, pw_memo_space_fn fn, void *ctx,
                                  pawl_error *err);
pawl_status pw_memory_collection_apply(pw_memory_store *s, const pw_op *op, pawl_error *err);
pawl_status pw_memory_collections_made(pw_reader *r, int64_t *ret_number, pawl_error *err);
pawl_status pw_memory_collections(pw_reader *r, pw_view only, pw_collection_fn fn, void *ctx,
                                  pawl_error *err);
pawl_status pw_memory_items(pw_reader *r, int64_t collection, int64_t after, size_t rows_max,
                            pw_item_fn fn, void *ctx, pawl_error *err);
pawl_status pw_memory_item(pw_reader *r, int64_t collection, pw_view key, pw_item_fn fn, void *ctx,
                           pawl_error *err);
pawl_status pw_memory_changes(pw_reader *r, const pw_changes *changes, pawl_error *err);
pawl_status pw_memory_item_words(pw_reader *r, const pw_words_query *query, pw_item_words_fn fn,
                                 void *ctx, pawl_error *err);
bool pw_memory_idle(pw_journal *base);
bool pw_memory_ballast(pw_journal *base, bool release);
/** Inside a transaction of the map. */
pawl_status pw_memory_apply(pw_memory_store *s, pw_op *op, pw_memory_owner *owner, pawl_error *err);
/** The record walk of a read, for verify too. Errors: NOTFOUND, DAMAGED. */
pawl_status pw_memory_walk(pw_memory_store *s, int64_t run, int64_t from_seq, pw_record_fn fn,
                           void *ctx, pawl_error *err);

#endif
