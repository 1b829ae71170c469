/*
 * owner.h - exactly one owner: an OFD lock on <journal>.lock, and what the file says about who
 * holds it.
 *
 *   pawl-owner 1\n pid\n epoch\n state\n socket\n        state: "clean", "open" or "guest"; text, at most 512 bytes
 *   behind them, mapped: the boot's id, the journal's inode, and the mark of the WAL (wal_mark.h)
 *
 * [J10] While one lives no other process writes the journal. The mark counts only in the boot, and
 * for the file, it was made for: after a reboot, or when a backup was put in the journal's place,
 * it is forgotten.
 *
 * The lock belongs to the open file description: O_CLOEXEC keeps it from programs that are run, a
 * forked child shares it until it exits. The file is never deleted, so that two openers cannot
 * hold locks on two files of one name.
 */
#ifndef PW_OWNER_H
#define PW_OWNER_H

#include "journal/wal_mark.h"

typedef struct pw_owner pw_owner;

/** Takes the lock of a resolved journal path. A guest goes again at once, so that whoever finds one waits for its end, as for that of a dead
 * owner's child; an owner is not waited for. Errors: BUSY (naming the pid), READONLY, IO. */
pawl_status pw_owner_take(const char *resolved, const char *socket, bool guest,
                          pw_owner **ret_owner, pawl_error *err);
/** Gives the lock back; the file says clean. Accepts NULL. */
void pw_owner_give(pw_owner *owner);
void pw_owner_set_epoch(pw_owner *owner, uint64_t epoch);
/** The mark is this file's from now on. Called when the journal is open. */
void pw_owner_bind(pw_owner *owner, const char *resolved);
/** The mapped mark; empty when this boot's last owner of this file left none. Owns: the owner. */
pw_wal_mark *pw_owner_mark(pw_owner *owner);

#endif
