/*
 * client.h - one door to a journal, whether an engine runs on it or not.
 *
 *     owner lives:     request --socket--> engine --> reply after its commit
 *     nobody owns it:  WRITE --> kept in the journal's inbox (pw_client_kept is true), acted on when an engine next opens it
 *                      READ  --> answered from the file; so are STACK, QUERY of published keys, RESULT of closed runs
 *                      other --> UNSUPPORTED, saying what to do
 *
 * Every WRITE carries a dedup key (minted when the caller gave none), so that asking again after a lost reply is harmless; the client does so
 * once by itself when the engine dies in between, and within its patience while one is closing.
 *
 * Thread: a client belongs to one thread.
 */
#ifndef PW_CLIENT_H
#define PW_CLIENT_H

#include "sdk/base/error.h"
#include "sdk/base/mp.h"

typedef struct pw_client pw_client;

/** A minted key is this, the run's id, a slash and a UUID: what became of requests that were kept is found by their run. */
#define PW_CLIENT_KEY "post/"

/** For one who asks once: an owner that opens or closes the journal is waited for, however slow its disk is. */
#define PW_CLIENT_PATIENCE_MS 10000

/** Finds out who owns the journal and connects. patience_ms: with an owner that does not listen yet, or no more, also when its end is seen later;
 * 0 = for who tries again by itself. Errors: NOTFOUND (no journal there), BUSY (owned, but the owner does not answer: names its pid), DENIED,
 * FOREIGN, NEWER, DAMAGED, IO. */
pawl_status pw_client_open(const char *journal_path, int64_t patience_ms, pw_client **ret_client,
                           pawl_error *err);
/** A client over a connection that somebody has made: no journal behind it, and nobody greeted yet. The socket does not block, and is the
 * client's from now on, also on error. Its requests are numbered above `number`. Errors: NOMEM. */
pawl_status pw_client_over(int fd, int64_t number, pw_client **ret_client, pawl_error *err);
void pw_client_close(pw_client *c); /* accepts NULL */
/** True when an engine answers. */
bool pw_client_is_live(const pw_client *c);
/** The owner's process; 0 = nobody. */
int64_t pw_client_pid(const pw_client *c);

/** One request and its reply; args nil = none; timeout_ms < 0 = for ever. When the engine answers anything but OK, that is the status
 * returned, err says why and *ret_reply (unless NULL) is the reply's body. Errors: TIMEOUT, IO, and all the engine's. */
pawl_status pw_client_request(pw_client *c, const char *op, const pawl_value *args,
                              int64_t timeout_ms, pawl_scope *scope, const pawl_value **ret_reply,
                              pawl_error *err);
/** True when the last request was a WRITE that nobody could act on yet: it is kept and will be. */
bool pw_client_kept(const pw_client *c);

/** For streams (watch) and several requests at a time: sends one ... */
pawl_status pw_client_send(pw_client *c, const char *op, const pawl_value *args,
                           int64_t *ret_number, pawl_error *err);
/** The same, without sending it yet: several go out together. Errors: NOMEM, and LIMIT or PARSE of what no engine takes; what was queued before stays. */
pawl_status pw_client_queue(pw_client *c, const char *op, const pawl_value *args,
                            int64_t *ret_number, pawl_error *err);
/** Sends what is queued. */
pawl_status pw_client_flush(pw_client *c, pawl_error *err);
/** ... and takes the next reply to `number` (0 = to any). Errors: as pw_client_request. */
pawl_status pw_client_next(pw_client *c, int64_t number, int64_t timeout_ms, pawl_scope *scope,
                           const pawl_value **ret_reply, pawl_error *err);
/** A watch that stands when this returns: what is read of the run from here on and what the watch says leave nothing out between them. Reads are
 * answered beside the engine's thread and may otherwise be older than the watch; an operation of the engine's own comes behind it. An engine that
 * does not answer in time may still take the watch: that is no error. Errors: as pw_client_send and pw_client_next. */
pawl_status pw_client_watch(pw_client *c, const pawl_value *args, int64_t *ret_number,
                            pawl_error *err);
/** To which request the last pw_client_next took a reply; 0 = an error of the connection itself, -1 = it took none. */
int64_t pw_client_taken(const pw_client *c);
/** To poll beside others; -1 when not live. Ask pw_client_next with timeout 0 before polling: a reply may be buffered. */
int pw_client_fd(const pw_client *c);

#endif
