/*
 * stdio_out.h - lines to a reader that may be slow, or may never read: they are kept, in order, and the loop goes on.
 *
 *   put --> [queue] --as the reader takes them--> fd            more than HIGH bytes wait: slow() says so, and whoever asks may wait too
 *
 * Thread: the loop's.
 */
#ifndef PW_MCP_STDIO_OUT_H
#define PW_MCP_STDIO_OUT_H

#include <uv.h>

#include "sdk/base/buf.h"

typedef struct pw_stdio_out {
    uv_loop_t *loop;
    int fd;
    int type; /* of the file, S_IF... */
    pw_buf queue;
    size_t sent; /* of the queue */
    uv_poll_t *poll;
    uint64_t moved_at; /* when bytes went out last, of uv_now */
    bool broken;       /* nobody reads any more, or too much waits: nothing is written */
    void *user;
    void (*drained)(void *user); /* the queue has become empty, or broken; from the loop */
} pw_stdio_out;

void pw_stdio_out_init(pw_stdio_out *out, uv_loop_t *loop, int fd, void (*drained)(void *user),
                       void *user);
/** One line; what does not fit in the reader's buffer follows when it does. */
void pw_stdio_out_put(pw_stdio_out *out, const char *text, size_t size);
/** What waits goes out as far as it can: for when there was no memory to be told that it can. */
void pw_stdio_out_flush(pw_stdio_out *out);
size_t pw_stdio_out_left(const pw_stdio_out *out);
/** True: no more should be asked for until it is drained. */
bool pw_stdio_out_slow(const pw_stdio_out *out);
void pw_stdio_out_deinit(pw_stdio_out *out);

#endif
