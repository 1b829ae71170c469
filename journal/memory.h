/*
 * memory.h - the journal in memory: the simulator's disk, with faults to order.
 *
 * A store outlives the journals attached to it, as a file outlives its openers. A crash is: drop
 * the groups that were not committed yet (the caller's queue), close the journal without ceremony,
 * attach again. Everything is deterministic: no clock, no randomness, the blob key is fixed.
 *
 * Thread: one mutex guards a store, so a writer thread and readers may share it; row callbacks run
 * under it and may read.
 */
#ifndef PW_MEMORY_H
#define PW_MEMORY_H

#include "journal/journal.h"

typedef struct pw_memory_store pw_memory_store;

/** What the next commit meets. */
typedef enum pw_memory_fault {
    PW_FAULT_NONE,
    PW_FAULT_NOT,            /* nothing written */
    PW_FAULT_NOSPACE,        /* nothing written, the disk is full */
    PW_FAULT_UNKNOWN_LANDED, /* the sync failed, and it is there all the same */
    PW_FAULT_UNKNOWN_LOST,   /* the sync failed, and it is not */
    PW_FAULT_CHECKPOINT /* it lands and is acked; then a checkpoint fails: the group after it hears UNKNOWN */
} pw_memory_fault;

/** NULL when out of memory. */
pw_memory_store *pw_memory_store_new(void);
/** After the last journal attached to it was closed. Accepts NULL. */
void pw_memory_store_free(pw_memory_store *store);
/** A journal over the store. Attaching while another is attached models a second owner: lease decides who is fenced. */
pawl_status pw_memory_attach(pw_memory_store *store, pw_journal **ret_journal, pawl_error *err);

/** Orders a fault for the commit after `skip` more commits. One order at a time. */
void pw_memory_fail_commit(pw_memory_store *store, pw_memory_fault fault, uint64_t skip);
/** The chunk after `skip` more chunks finds no room. */
void pw_memory_fail_stage(pw_memory_store *store, uint64_t skip);
/** The next `count` reopenings fail with IO. */
void pw_memory_fail_reopen(pw_memory_store *store, uint64_t count);
/** Commits tried so far, orders included. */
uint64_t pw_memory_commits(pw_memory_store *store);
/** Flips one bit of the stored record of a run that holds event seq: what reading it then says is DAMAGED. False: no such record. */
bool pw_memory_damage(pw_memory_store *store, int64_t run, int64_t seq);
/** Checks [J3] and [J8] of every run and [J17] of every map, as pw_sqlite_verify does on a file. */
pawl_status pw_memory_verify(pw_memory_store *store, pw_verify_fn fn, void *ctx,
                             pw_verify_stats *ret_stats, pawl_error *err);

#endif
