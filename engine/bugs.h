/*
 * bugs.h - bugs on purpose: built in with -DPAWL_BUG_<NAME>, and caught by the tests or the tests are no good. Constants, so that
 * the code around them reads and compiles the same with and without.
 */
#ifndef PW_ENGINE_BUGS_H
#define PW_ENGINE_BUGS_H

/** A report of an earlier attempt or epoch counts. */
#ifdef PAWL_BUG_STALE_APPLIED
#define PW_BUG_STALE_APPLIED 1
#else
#define PW_BUG_STALE_APPLIED 0
#endif

/** An unsafe attempt that was cut is simply sent again. */
#ifdef PAWL_BUG_RESEND_UNKNOWN
#define PW_BUG_RESEND_UNKNOWN 1
#else
#define PW_BUG_RESEND_UNKNOWN 0
#endif

/** An unsafe attempt starts before `sent` is committed. */
#ifdef PAWL_BUG_START_BEFORE_SENT
#define PW_BUG_START_BEFORE_SENT 1
#else
#define PW_BUG_START_BEFORE_SENT 0
#endif

/** What was asked to stop is started again by recovery. */
#ifdef PAWL_BUG_CANCELED_RESTARTED
#define PW_BUG_CANCELED_RESTARTED 1
#else
#define PW_BUG_CANCELED_RESTARTED 0
#endif

/** An attempt starts in the turn that asks for it. */
#ifdef PAWL_BUG_DISPATCH_BEFORE_COMMIT
#define PW_BUG_DISPATCH_BEFORE_COMMIT 1
#else
#define PW_BUG_DISPATCH_BEFORE_COMMIT 0
#endif

/** A request is answered in the turn that does it. */
#ifdef PAWL_BUG_ENGINE_ACK_BEFORE_COMMIT
#define PW_BUG_ENGINE_ACK_BEFORE_COMMIT 1
#else
#define PW_BUG_ENGINE_ACK_BEFORE_COMMIT 0
#endif

/** Code goes on behind a local step before its result is committed. */
#ifdef PAWL_BUG_STEP_BEFORE_COMMIT
#define PW_BUG_STEP_BEFORE_COMMIT 1
#else
#define PW_BUG_STEP_BEFORE_COMMIT 0
#endif

/** A run takes turns while one of its turns is in flight. */
#ifdef PAWL_BUG_NO_FREEZE
#define PW_BUG_NO_FREEZE 1
#else
#define PW_BUG_NO_FREEZE 0
#endif

/** Messages of the inbox whose group did not land are not read again. */
#ifdef PAWL_BUG_LOST_SIGNAL_ON_FAILED_GROUP
#define PW_BUG_LOST_SIGNAL_ON_FAILED_GROUP 1
#else
#define PW_BUG_LOST_SIGNAL_ON_FAILED_GROUP 0
#endif

/** The end of an attempt whose group did not land is forgotten. */
#ifdef PAWL_BUG_LOST_REPORT_ON_FAILED_GROUP
#define PW_BUG_LOST_REPORT_ON_FAILED_GROUP 1
#else
#define PW_BUG_LOST_REPORT_ON_FAILED_GROUP 0
#endif

/** A timer whose firing did not land does not fire again. */
#ifdef PAWL_BUG_TIMER_NOT_REARMED
#define PW_BUG_TIMER_NOT_REARMED 1
#else
#define PW_BUG_TIMER_NOT_REARMED 0
#endif

/** The row keeps what a turn that did not land wrote into it. */
#ifdef PAWL_BUG_ROW_KEPT_ON_FAILED_GROUP
#define PW_BUG_ROW_KEPT_ON_FAILED_GROUP 1
#else
#define PW_BUG_ROW_KEPT_ON_FAILED_GROUP 0
#endif

/** After an unknown outcome nobody reads back: what landed is done again. */
#ifdef PAWL_BUG_UNKNOWN_TAKEN_AS_LOST
#define PW_BUG_UNKNOWN_TAKEN_AS_LOST 1
#else
#define PW_BUG_UNKNOWN_TAKEN_AS_LOST 0
#endif

/** A snapshot says that it holds one event more than it does. */
#ifdef PAWL_BUG_SNAPSHOT_TOO_NEW
#define PW_BUG_SNAPSHOT_TOO_NEW 1
#else
#define PW_BUG_SNAPSHOT_TOO_NEW 0
#endif

/** A retried run gives the ids of its void stretch away again. */
#ifdef PAWL_BUG_COMMAND_ID_REUSED
#define PW_BUG_COMMAND_ID_REUSED 1
#else
#define PW_BUG_COMMAND_ID_REUSED 0
#endif

/** A retried run is rebuilt with what failed. */
#ifdef PAWL_BUG_VOID_STRETCH_COUNTS
#define PW_BUG_VOID_STRETCH_COUNTS 1
#else
#define PW_BUG_VOID_STRETCH_COUNTS 0
#endif

/** Replay does not look at the input of a command. */
#ifdef PAWL_BUG_INPUT_UNCHECKED
#define PW_BUG_INPUT_UNCHECKED 1
#else
#define PW_BUG_INPUT_UNCHECKED 0
#endif

/** A crash whose count did not land is not counted again. */
#ifdef PAWL_BUG_CRASH_COUNT_LOST
#define PW_BUG_CRASH_COUNT_LOST 1
#else
#define PW_BUG_CRASH_COUNT_LOST 0
#endif

/** Unread signals do not cross continue-as-new. */
#ifdef PAWL_BUG_SIGNALS_LEFT_BEHIND
#define PW_BUG_SIGNALS_LEFT_BEHIND 1
#else
#define PW_BUG_SIGNALS_LEFT_BEHIND 0
#endif

/** A timer that outlives its run fires into it. */
#ifdef PAWL_BUG_TIMER_AFTER_END
#define PW_BUG_TIMER_AFTER_END 1
#else
#define PW_BUG_TIMER_AFTER_END 0
#endif

/** The outcome of a request is not kept under its dedup key. */
#ifdef PAWL_BUG_DEDUP_NOT_KEPT
#define PW_BUG_DEDUP_NOT_KEPT 1
#else
#define PW_BUG_DEDUP_NOT_KEPT 0
#endif

/** Attempts start while their run is paused. */
#ifdef PAWL_BUG_STARTED_IN_PAUSE
#define PW_BUG_STARTED_IN_PAUSE 1
#else
#define PW_BUG_STARTED_IN_PAUSE 0
#endif

/** Recovery does not see which items of a map are done. */
#ifdef PAWL_BUG_MAP_ITEMS_FORGOTTEN
#define PW_BUG_MAP_ITEMS_FORGOTTEN 1
#else
#define PW_BUG_MAP_ITEMS_FORGOTTEN 0
#endif

#endif
