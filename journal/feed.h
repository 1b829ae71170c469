/*
 * feed.h - a group that is handed over while it is still being built, so that the journal applies its beginning meanwhile.
 *
 *     engine's thread    open -- show n -- show m ------- show all, whole
 *     journal thread          `-- applies n -- applies m -- applies the rest -- COMMIT        one group, one sync, one answer
 *
 * What is shown is not touched by its builder any more, and nothing of the array behind it moves. Until the group is whole its builder may take
 * it back: then the journal rolls back, nothing was written, and the group is the builder's alone, as if it had not been handed over.
 *
 * One thread builds and one applies. A feed is used for one group at a time.
 */
#ifndef PW_FEED_H
#define PW_FEED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum pw_feed_state {
    PW_FEED_OPEN,
    PW_FEED_WHOLE,
    PW_FEED_WANTED,
    PW_FEED_BACK
} pw_feed_state;

typedef struct pw_feed {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t shown;
    pw_feed_state state;
    bool waits; /* the thread that applies */
} pw_feed;

void pw_feed_init(pw_feed *f);
void pw_feed_deinit(pw_feed *f);

/* ---- the builder ---- */

void pw_feed_open(pw_feed *f, size_t shown);
void pw_feed_show(pw_feed *f, size_t shown, bool whole);
/** Not of one that is whole. Waits until the journal has let go of it. */
void pw_feed_take_back(pw_feed *f);

/* ---- the journal ---- */

/** Waits for more than `have` operations, or for the end: OPEN: *ret_shown may be applied; WHOLE: those are all; WANTED: it is to be let go. */
pw_feed_state pw_feed_wait(pw_feed *f, size_t have, size_t *ret_shown);
/** Waits for the end. True: it is whole. False: it was taken back. */
bool pw_feed_whole(pw_feed *f);
/** It was taken back, and is the builder's from here on. */
void pw_feed_let_go(pw_feed *f);

#endif
