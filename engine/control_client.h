/*
 * control_client.h - one connection of the control server; shared by the control_*.c files.
 *
 * Everything here belongs to the I/O thread, but for pw_control_reply, which the engine's thread calls.
 */
#ifndef PW_CONTROL_CLIENT_H
#define PW_CONTROL_CLIENT_H

#include <stdatomic.h>
#include <uv.h>

#include "engine/control.h"
#include "sdk/base/frame.h"
#include "sdk/base/limits.h"

/** A frame on its way from the engine's thread to a client: a link of a stack that the I/O thread takes whole. */
typedef struct pw_control_out {
    struct pw_control_out *next;
    uint64_t client;
    bool more; /* further replies to the same request follow */
    pw_buf frame;
} pw_control_out;

typedef struct pw_control_client {
    uv_pipe_t pipe;
    uv_shutdown_t shutdown;
    pw_control *control;
    uint64_t id;  /* serial number, then the slot in the low byte */
    int64_t uid;  /* of its process, as the system says */
    bool outside; /* it is another process */
    pw_frames in;
    pw_buf gathered; /* frames that will go out together: see pw_control_client_put */
    size_t requests; /* not answered yet */
    pw_gone *gone;   /* made with the client; given to the mailbox when it goes */
    bool closing;
} pw_control_client;

struct pw_control {
    pw_control_options options;
    pawl_scope *scope;
    const char *socket;
    const char *journal_path;
    int listen_fd;
    pthread_t thread;
    uv_loop_t loop;
    uv_pipe_t server;
    uv_async_t wake;
    uv_timer_t
        timer; /* the next try to take a connection; when stopping, the deadline of the last writes */
    _Atomic(pw_control_out *) outgoing;
    atomic_bool stop;
    bool stopping;
    uint64_t serial;
    pw_control_client *clients[PW_CLIENTS_MAX];
    atomic_size_t clients_len;
    _Atomic(uint64_t)
        deaf[PW_CLIENTS_MAX]; /* in its slot the id of one to whom a reply was lost: it is cut */
    pw_control_client
        *gathering;    /* the one whose frames wait for the end of this callback; NULL = none */
    char space[65536]; /* of one read */
};

/** Takes over what the server has just accepted, or turns it away. False: no memory, and it waits; libuv takes no other until it is asked for. */
bool pw_control_client_new(pw_control *c);
/** Sends one frame, taking it over (deinit); cuts a client that does not read. */
void pw_control_client_send(pw_control_client *client, pw_buf *frame);
/** Sends one frame with those that follow it, at the next flush or when another client's turn comes: one write for all of them. */
void pw_control_client_put(pw_control_client *client, pw_buf *frame);
/** Ends every callback that may have put frames. */
void pw_control_flush(pw_control *c);
/** Closes at once / after what is written has left. */
void pw_control_client_close(pw_control_client *client);
void pw_control_client_finish(pw_control_client *client);
/** NULL when it is gone. */
pw_control_client *pw_control_client_find(pw_control *c, uint64_t id);
/** Any thread: hands a frame over to the I/O thread. */
void pw_control_post(pw_control *c, pw_control_out *out);
/** Any thread: a reply to it was lost for want of memory. It is cut, so that it asks again rather than wait. */
void pw_control_lost(pw_control *c, uint64_t client);
void pw_control_log(pw_control *c, pawl_level level, const char *fmt, ...) PAWL_PRINTF(3, 4);

#endif
