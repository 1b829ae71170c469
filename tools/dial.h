/*
 * dial.h - the worker's side of the relay: a TLS connection to another machine that looks like a socket of this one.
 *
 *   client.c <--socket pair--> thread of the dial <==TLS==> relay
 *
 * Nobody waits for a name, a connection or a handshake: the descriptor is there at once, takes what is written, and ends when the connection
 * does. Thread: the caller's; the dial's own thread outlives pw_dial_end as long as it must.
 */
#ifndef PW_DIAL_H
#define PW_DIAL_H

#include "sdk/base/error.h"

typedef struct pw_dial pw_dial;
typedef struct pw_dialer pw_dialer; /* where to, and whom to trust */

/** target: "HOST:PORT", "[ADDRESS]:PORT". ca_file NULL = whom the system trusts. Errors: INVALID, NOMEM, UNSUPPORTED (built without TLS). */
pawl_status pw_dialer_new(const char *target, const char *ca_file, pw_dialer **ret_dialer,
                          pawl_error *err);
void pw_dialer_free(pw_dialer *d); /* accepts NULL; no dial of it may live */

/** Owns: *ret_fd is the caller's to close, before pw_dial_end. Errors: IO, LIMIT, NOMEM. */
pawl_status pw_dial_start(pw_dialer *dialer, pw_dial **ret_dial, int *ret_fd, pawl_error *err);
/** Why it ended, or cannot begin; "" = nothing is known to be wrong. */
void pw_dial_problem(pw_dial *d, char *text, size_t size);
/** polite: it will not come back. Set before its descriptor is closed. */
void pw_dial_polite(pw_dial *d);
/** The handle is gone; what was written still leaves. Accepts NULL. */
void pw_dial_end(pw_dial *d);

#endif
