/*
 * ballot.h - what an open wait knows of itself: who may answer, how many must, what was said so far, until when.
 *
 * All of it stands in one body: that of WaitCreated, and what later events (WaitVoted, WaitDeferred, WaitEscalated) made of it. The run in memory,
 * its row in the journal and a snapshot hold the same body, so a paused run knows as much as one whose code is loaded, and replay builds it anew.
 *
 *   WaitCreated {name, choices, quorum, who, due_ms, ...}
 *     + WaitVoted     votes: [{choice?, data?, by, as?, reason?, uid?, at_ms}, ...]     and no longer deferred
 *     + WaitDeferred  deferred: {by, as?, reason?, until_ms?, uid?, at_ms}, deferrals, due_ms and first_due_ms when it moved
 *     + WaitEscalated escalated_ms                                                      and no longer deferred
 *
 * Bytes in, bytes out: nothing here knows of runs, rows or clocks.
 */
#ifndef PW_BALLOT_H
#define PW_BALLOT_H

#include "sdk/base/arena.h"
#include "sdk/base/record.h"

/** The body after one of these events; empty when memory is out. Owns: the scope. */
pw_view pw_ballot_next(pawl_scope *scope, pw_view body, const pw_event *ev);

typedef enum pw_ballot_may {
    PW_MAY,
    PW_MAY_NOT_NAMELESS, /* it is asked who answers, and nobody was named */
    PW_MAY_NOT_BARRED,
    PW_MAY_NOT_LISTED
} pw_ballot_may;
/** May this person, in this role, answer or defer? NULL and "" are nobody. */
pw_ballot_may pw_ballot_who(pw_view body, const char *by, const char *as);
/** Is it answered by several votes? */
bool pw_ballot_votes(pw_view body);
/** How many must say this. At least 1. */
int64_t pw_ballot_needed(pw_view body, const char *choice);
size_t pw_ballot_len(pw_view body); /* votes so far */
/** The vote of that person; empty when there is none. */
pw_view pw_ballot_of(pw_view body, const char *by);
/** The last vote, and how many say the same as it: the same choice and the same data. */
pw_view pw_ballot_last(pw_view body, int64_t *ret_same);
/** The latest time to which its deadline may be moved; 0 = it has no deadline. */
int64_t pw_ballot_latest_ms(pw_view body);
/** When it is to be escalated; 0 = never, or it was. */
int64_t pw_ballot_escalates_ms(pw_view body);
/** "1 of 2 votes, deferred", for people; "" when there is nothing to say. */
void pw_ballot_text(pw_view body, char *ret, size_t size);
/** Is it one of "a|b|c"? */
bool pw_one_of(const char *choices, const char *choice);

#endif
