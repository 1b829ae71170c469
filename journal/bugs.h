/*
 * bugs.h - seeded bugs: each is a plausible mistake that the fault tests must find.
 *
 * A build with -DPAWL_BUG_<NAME> has that bug; every other build has constants of 0 that the
 * compiler removes. tests/bugs builds the fault tests once per bug and demands that they fail.
 * Nothing else may define these.
 */
#ifndef PW_JOURNAL_BUGS_H
#define PW_JOURNAL_BUGS_H

#ifdef PAWL_BUG_NORMAL_SYNC /* commits are not synced: synchronous=NORMAL */
enum { PW_BUG_NORMAL_SYNC = 1 };
#else
enum { PW_BUG_NORMAL_SYNC = 0 };
#endif

#ifdef PAWL_BUG_NO_FENCE /* a stale owner may write: the epoch is not checked in the commit */
enum { PW_BUG_NO_FENCE = 1 };
#else
enum { PW_BUG_NO_FENCE = 0 };
#endif

#ifdef PAWL_BUG_READBACK_AFTER_FAILED_SYNC /* after UNKNOWN: look what is there instead of the reopening rite */
enum { PW_BUG_READBACK_AFTER_FAILED_SYNC = 1 };
#else
enum { PW_BUG_READBACK_AFTER_FAILED_SYNC = 0 };
#endif

#ifdef PAWL_BUG_ACK_BEFORE_COMMIT /* the writer answers before it commits */
enum { PW_BUG_ACK_BEFORE_COMMIT = 1 };
#else
enum { PW_BUG_ACK_BEFORE_COMMIT = 0 };
#endif

#ifdef PAWL_BUG_NO_CHECKSUM /* a damaged record is handed out */
enum { PW_BUG_NO_CHECKSUM = 1 };
#else
enum { PW_BUG_NO_CHECKSUM = 0 };
#endif

#endif
