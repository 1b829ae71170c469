/*
 * relay.h - the door for workers on other machines: TLS on one side, the engine's control socket on the other, the same frames on both.
 *
 *   worker ==TLS==> link --(a token? only task_*?)--> session --control socket--> engine
 *
 * One link is one TCP connection; one session is one connection of the engine, and so what task tokens are bound to [C6]. A link that breaks
 * leaves its session for a while: a worker that comes back goes on with it, and loses no attempt. The engine sees a client like any other, and
 * nothing of what a stranger sends.
 *
 * Thread: start and stop are the caller's; all else is the relay's own thread.
 */
#ifndef PW_RELAY_H
#define PW_RELAY_H

#include "sdk/pawl.h"

typedef struct pw_relay pw_relay;

typedef struct pw_relay_options {
    const char *journal_path; /* whose engine; it may come and go */
    const char *listen;       /* "PORT" (loopback), "ADDRESS:PORT", "[::]:PORT"; port 0 = any */
    const char *cert_file, *key_file;
    const char *tokens_file;
    int64_t grace_ms; /* 0 = PW_RELAY_GRACE_MS */
    void (*log)(void *ctx, pawl_level level, const char *text);
    void *log_ctx;
} pw_relay_options;

/** Binds, listens and starts the thread. The strings must outlive it. Errors: INVALID (address, certificate, tokens), NOTFOUND, IO, NOMEM,
 * UNSUPPORTED (built without TLS). */
pawl_status pw_relay_start(const pw_relay_options *options, pw_relay **ret_relay, pawl_error *err);
/** "127.0.0.1:40123". Owns: the relay. */
const char *pw_relay_address(const pw_relay *r);
/** Cuts every connection, says what was refused, joins. Accepts NULL. */
void pw_relay_stop(pw_relay *r);

#endif
