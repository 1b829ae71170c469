/*
 * place.h - where a journal stands: its canonical path, the files beside it, and whether that
 * place will do.
 *
 *   x.db            the journal (SQLite's; opened by nothing else)     x.db.lock     owner lock
 *   x.db-wal, -shm  SQLite's                                           x.db.sock     control socket
 *   x.db.crumb      breadcrumb of the loop                             x.db.ballast  given up when the disk is full
 */
#ifndef PW_PLACE_H
#define PW_PLACE_H

#include <limits.h>
#include <sys/vfs.h>

#include "sdk/base/error.h"

/** statfs, or a test's stand-in for it. */
typedef int (*pw_statfs_fn)(const char *path, struct statfs *ret);

/** The path with every symlink resolved, so that two names of one journal share one lock. The file need not exist, its folder
 * must. Errors: NOTFOUND (no such folder), LIMIT, IO. */
pawl_status pw_place_resolve(const char *path, char ret[PATH_MAX], pawl_error *err);
/** UNSUPPORTED, naming the kind, when the folder is on a network file system: shared memory and locks do not hold there. */
pawl_status pw_place_check(const char *resolved, pw_statfs_fn statfs_fn, pawl_error *err);
/** <journal><suffix>. Errors: LIMIT. */
pawl_status pw_place_beside(const char *journal, const char *suffix, char ret[PATH_MAX],
                            pawl_error *err);

/** An empty file for a journal to come, 0600, unless something has that name: one that is there keeps its mode. Never opens it. That it could not be
 * made is for SQLite to say, when it opens the journal. */
void pw_place_make_private(const char *resolved);
/** Opens, making it 0600, a file beside a journal; links are not followed. What root makes here belongs to whoever has the journal (or will: its
 * folder), as SQLite does it with -wal and -shm: else its own engine could not open it the next time. -1 = errno says why. */
int pw_place_open_beside(const char *path, const char *journal);

/** A copy on the heap (pw_free). NULL when out of memory. */
char *pw_place_copy(const char *path);

#endif
