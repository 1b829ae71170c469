/*
 * mailbox.h - the one door into the engine's thread: whole objects go in from any thread, the loop takes all of them at once.
 *
 *     host threads --request-->  +---------+
 *     runners      --report--->  | mailbox | --take--> loop thread      the only mutex of the engine
 *     journal      --group---->  +---------+
 *     control      --gone----->
 *
 * Bounded: requests beyond PW_MAILBOX_ITEMS_MAX are FULL and heartbeats are dropped then (a later one says the same); groups are bounded by
 * PW_GROUPS_IN_FLIGHT_MAX, final reports by the tasks that run. A sleeping loop is woken by one write to an eventfd; a loop that is awake
 * costs a poster no system call.
 */
#ifndef PW_MAILBOX_H
#define PW_MAILBOX_H

#include "engine/request.h"
#include "engine/task.h"
#include "journal/journal.h"

/** Code to run on the engine's thread, between steps. Embedded in what it works on, which must live until run was called. */
typedef struct pw_call {
    void (*run)(struct pw_call *call);
    struct pw_call *next;
} pw_call;

/** A client that is gone; made with the client, so that saying so cannot fail. Heap memory, the loop frees it. */
typedef struct pw_gone {
    uint64_t client;
    struct pw_gone *next;
} pw_gone;

#define PW_MAIL_GROUPS_MAX 8

/** What was in the box, in the order the loop feeds it: groups, reports, requests, gone clients, calls; each list in arrival order. */
typedef struct pw_mail {
    pw_group *groups[PW_MAIL_GROUPS_MAX];
    size_t groups_len;
    pw_call *calls;
    pw_report *reports;
    pw_request *requests;
    pw_gone *gone;
} pw_mail;

typedef struct pw_mailbox pw_mailbox;

/** Errors: NOMEM, IO (no eventfd). */
pawl_status pw_mailbox_new(pw_mailbox **ret_mailbox, pawl_error *err);
/** One more who frees it: a runner that has a task may report it after its engine is gone. */
void pw_mailbox_hold(pw_mailbox *mb);
/** The last one frees what nobody took, without answers. Accepts NULL. */
void pw_mailbox_free(pw_mailbox *mb);

/* any thread; each takes its argument over, but for put_request on error */
pawl_status pw_mailbox_put_request(pw_mailbox *mb, pw_request *rq,
                                   pawl_error *err); /* FULL; SHUTDOWN after pw_mailbox_shut */
void pw_mailbox_put_report(pw_mailbox *mb, pw_report *report);
void pw_mailbox_put_group(pw_mailbox *mb, pw_group *group);
void pw_mailbox_put_call(pw_mailbox *mb, pw_call *call);
void pw_mailbox_put_gone(pw_mailbox *mb, pw_gone *gone);
/** From here on requests are refused with SHUTDOWN. */
void pw_mailbox_shut(pw_mailbox *mb);

/* the loop's side */
void pw_mailbox_take(pw_mailbox *mb, pw_mail *ret_mail);
/** A look without the mutex: is there mail? For a spin. */
bool pw_mailbox_peek(const pw_mailbox *mb);
/** Says that the loop is about to sleep on the descriptor. False when there is mail: do not sleep. */
bool pw_mailbox_rest(pw_mailbox *mb);
/** After the sleep, whatever ended it. */
void pw_mailbox_wake(pw_mailbox *mb);
int pw_mailbox_fd(const pw_mailbox *mb);

#endif
