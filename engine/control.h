/*
 * control.h - the control protocol's server: a Unix socket beside the journal, served on the I/O thread.
 *
 * Frames and messages: sdk/base/frame.h, engine/request.h; the protocol for people who write a client: engine/README-control.md.
 * READ requests are answered here from a reader of the server's own; all others travel to the engine's mailbox.
 */
#ifndef PW_CONTROL_H
#define PW_CONTROL_H

#include "engine/mailbox.h"
#include "sdk/pawl.h"

typedef struct pw_control pw_control;

typedef struct pw_control_options {
    const char *
        socket; /* path; whoever starts a server holds the owner lock, so a file that stands there is stale */
    const char *journal_path;
    uint64_t epoch;
    pw_mailbox *mailbox;
    pw_reader *reader; /* taken over */
    void (*log)(void *ctx, pawl_level level, const char *text);
    void *log_ctx;
} pw_control_options;

/** Binds, listens and starts the thread. On error the reader is closed too. Errors: IO (names the path), NOMEM. */
pawl_status pw_control_start(const pw_control_options *options, pw_control **ret_control,
                             pawl_error *err);
/** Unlinks the socket, lets the replies that are written leave (a second at most), closes every connection, joins. No reply of the core may come
 * after this: it is freed before. Accepts NULL. */
void pw_control_stop(pw_control *c);
/** How many are connected. Any thread; c NULL = 0. */
size_t pw_control_clients_len(const pw_control *c);
/** {version, pid, epoch, journal}: the reply to HELLO. */
void pw_control_hello(pw_buf *out, const char *journal_path, uint64_t epoch);

#endif
