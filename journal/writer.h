/*
 * writer.h - the journal thread: takes groups, commits them in order, answers each on its own
 * thread through `done`.
 *
 * The only thread that writes or checkpoints. It calls idle() after a quiet second. After UNKNOWN
 * it answers every later group NOT until pw_writer_reopen has succeeded.
 */
#ifndef PW_WRITER_H
#define PW_WRITER_H

#include "journal/journal.h"

typedef struct pw_writer pw_writer;
/** Called on the journal thread after each commit, group->status set. Must only hand the group over. */
typedef void (*pw_commit_fn)(void *ctx, pw_group *group);

pawl_status pw_writer_start(pw_journal *journal, pw_commit_fn done, void *ctx,
                            pw_writer **ret_writer, pawl_error *err);
/** Hands a group over whole. */
void pw_writer_submit(pw_writer *w, pw_group *group);
/** Hands over the beginning of a group, as far as it is shown; nothing else may be submitted or staged before it is whole or taken back. */
void pw_writer_open(pw_writer *w, pw_group *group, size_t shown);
void pw_writer_show(pw_writer *w, pw_group *group, size_t shown, bool whole);
/** As if it had not been opened. Waits for the journal thread to roll back. */
void pw_writer_take_back(pw_writer *w, pw_group *group);
/** Big blobs first: stages all chunks on the journal thread before any group submitted later. Bytes must live until `done` of a
 * later group. */
void pw_writer_stage(pw_writer *w, const uint8_t digest[PW_DIGEST_SIZE], pw_view bytes);
/** Runs the reopening rite on the journal thread and waits for it. */
pawl_status pw_writer_reopen(pw_writer *w, pawl_error *err);
/** Finishes what was submitted, joins. Accepts NULL. */
void pw_writer_stop(pw_writer *w);
/** CPU microseconds this thread has used. */
int64_t pw_writer_cpu_us(pw_writer *w);

/** The disk was full and the ballast is given up; it is taken back, once a second, when there is room for it. Thread: any. */
bool pw_writer_scarce(const pw_writer *w);

#endif
