/*
 * owner.h - exactly one owner: an OFD lock on <journal>.lock, and what the file says about who holds it.
 *
 *   pawl-owner 1\n pid\n epoch\n state\n socket\n        state: "clean", "open" or "suspect"
 *
 * [J10] While one lives no other process writes the journal. [J11] `suspect` is set when a commit ended UNKNOWN: the page
 * cache may then show what the disk lacks, and the next owner must go through the reopening rite. A power cut may lose the
 * mark, and may: it loses the page cache too.
 *
 * The lock belongs to the open file description: O_CLOEXEC keeps it from programs that are run, a forked child shares it
 * until it exits. The file is never deleted, so that two openers cannot hold locks on two files of one name.
 */
#ifndef PW_OWNER_H
#define PW_OWNER_H

#include "sdk/base/error.h"

typedef struct pw_owner pw_owner;

/** Takes the lock of a resolved journal path. Errors: BUSY (naming the pid), READONLY, IO. */
pawl_status pw_owner_take(const char *resolved, const char *socket, pw_owner **ret_owner, pawl_error *err);
/** Gives the lock back; the file says clean unless suspect was set. Accepts NULL. */
void pw_owner_give(pw_owner *owner);
void pw_owner_set_epoch(pw_owner *owner, uint64_t epoch);
void pw_owner_set_suspect(pw_owner *owner, bool suspect);
bool pw_owner_suspect(const pw_owner *owner);

#endif
