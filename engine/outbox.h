/*
 * outbox.h - what waits for pawl_dispatch: completions and watched events, on their way from the engine's thread to the host's.
 *
 *     loop --put--> | outbox | --pw_outbox_dispatch--> the caller's callbacks        readable descriptor = not empty
 *
 * Completions are bounded by the requests that made them. A watch keeps at most PW_WATCH_EVENTS_MAX; what is beyond is counted and told by one
 * {type: "Lost", count} event.
 */
#ifndef PW_OUTBOX_H
#define PW_OUTBOX_H

#include "sdk/base/mp.h"
#include "sdk/pawl.h"

typedef struct pw_outbox pw_outbox;

/** One watch; belongs to the outbox and lives as long. */
typedef struct pw_watch pw_watch;

pawl_status pw_outbox_new(pw_outbox **ret_outbox, pawl_error *err);
/** No callback is called from here on, but those that are being called. */
void pw_outbox_shut(pw_outbox *ob);
/** One more who frees it: a dispatch whose callback closes the engine is still in there. */
void pw_outbox_hold(pw_outbox *ob);
void pw_outbox_free(pw_outbox *ob); /* accepts NULL; undelivered ones are dropped by the last */
int pw_outbox_fd(const pw_outbox *ob);

/** Any thread. Copies body and err. Out of memory: the callback gets NOMEM instead of the body. slot was made by pw_outbox_slot. */
typedef struct pw_slot pw_slot;
/** Memory for a completion, made when the request is, so that completing cannot fail. NULL when out of memory. */
pw_slot *pw_outbox_slot(pawl_reply_fn fn, void *user);
void pw_slot_free(pw_slot *slot);
/** Whoever has completed or posted wakes the host with pw_outbox_ring, once for many. */
void pw_outbox_ring(pw_outbox *ob);
void pw_outbox_complete(pw_outbox *ob, pw_slot *slot, pawl_status status, pw_view body,
                        const pawl_error *err);

pawl_status pw_outbox_watch(pw_outbox *ob, pawl_watch_fn fn, void *user, pw_watch **ret_watch,
                            pawl_error *err);
/** Any thread. */
void pw_outbox_event(pw_outbox *ob, pw_watch *watch, pw_view event);

/** Calls the callbacks of what is there now. Returns how many. */
int pw_outbox_dispatch(pw_outbox *ob);

#endif
