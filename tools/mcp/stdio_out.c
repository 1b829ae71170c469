/*
 * stdio_out.c - a queue before a descriptor that belongs to others: it is not made non-blocking, for its other holders would see that too.
 *
 *   a socket       each call says that it does not wait
 *   a pipe, a tty  asked first whether it takes something, then given no more than a page, which it takes whole
 *   a file         takes everything
 *
 * Does not know what lines mean.
 */
#include "tools/mcp/stdio_out.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/base/mem.h"

#define HIGH (1u << 20) /* bytes that wait, from which on the client is not listened to either */
#define QUEUE_BYTES_MAX \
    (64u << 20) /* notifications come all the same: a client that reads none of them is given up */

void pw_stdio_out_init(pw_stdio_out *out, uv_loop_t *loop, int fd, void (*drained)(void *user),
                       void *user)
{
    struct stat st;
    *out = (pw_stdio_out){.loop = loop, .fd = fd, .drained = drained, .user = user};
    out->type = fstat(fd, &st) == 0 ? (int)(st.st_mode & S_IFMT) : S_IFREG;
    out->moved_at = uv_now(loop);
    pw_buf_init(&out->queue, QUEUE_BYTES_MAX);
}

size_t pw_stdio_out_left(const pw_stdio_out *out)
{
    return out->broken ? 0 : out->queue.size - out->sent;
}

bool pw_stdio_out_slow(const pw_stdio_out *out)
{
    return pw_stdio_out_left(out) > HIGH;
}

/* As write(2), but it never waits: EAGAIN. */
static ssize_t write_some(pw_stdio_out *out)
{
    const void *data = out->queue.data + out->sent;
    const size_t left = out->queue.size - out->sent;
    struct pollfd fd = {.fd = out->fd, .events = POLLOUT};
    if (out->type == S_IFSOCK) {
        return send(out->fd, data, left, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (out->type == S_IFREG) {
        return write(out->fd, data, left);
    }
    if (poll(&fd, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(out->fd, data, left < PIPE_BUF ? left : PIPE_BUF);
}

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

static void no_poll(pw_stdio_out *out)
{
    if (out->poll != NULL) {
        uv_poll_stop(out->poll);
        uv_close((uv_handle_t *)out->poll, free_handle);
        out->poll = NULL;
    }
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    pw_stdio_out *out = poll->data;
    (void)status;
    (void)events;
    pw_stdio_out_flush(out);
    if (pw_stdio_out_left(out) == 0) {
        no_poll(out);
        out->drained(out->user);
    }
}

static void wait_for_reader(pw_stdio_out *out)
{
    if (out->poll != NULL) {
        return;
    }
    uv_poll_t *poll = pw_calloc(1, sizeof *poll);
    if (poll == NULL || uv_poll_init(out->loop, poll, out->fd) != 0) {
        pw_free(poll);
        return; /* whoever flushes next tries again */
    }
    poll->data = out;
    out->poll = poll;
    (void)uv_poll_start(poll, UV_WRITABLE, on_writable);
}

void pw_stdio_out_flush(pw_stdio_out *out)
{
    while (!out->broken && out->sent < out->queue.size) {
        const ssize_t n = write_some(out);
        if (n > 0) {
            out->sent += (size_t)n;
            out->moved_at = uv_now(out->loop);
        } else if (n < 0 && errno == EAGAIN) {
            wait_for_reader(out);
            return;
        } else if (n == 0 || errno != EINTR) {
            out->broken = true; /* nobody reads: the end of file follows */
        }
    }
    pw_buf_reset(&out->queue);
    out->sent = 0;
}

/* What was sent makes room, now and then. */
static void compact(pw_stdio_out *out)
{
    if (out->sent > HIGH && out->sent > out->queue.size / 2) {
        out->queue.size -= out->sent;
        memmove(out->queue.data, out->queue.data + out->sent, out->queue.size);
        out->sent = 0;
    }
}

void pw_stdio_out_put(pw_stdio_out *out, const char *text, size_t size)
{
    if (out->broken) {
        return;
    }
    compact(out);
    pw_buf_put(&out->queue, text, size);
    pw_buf_putc(&out->queue, '\n');
    if (!pw_buf_ok(&out->queue)) {
        out->broken =
            true; /* a line that is not there, or half there, must not be followed by others */
        return;
    }
    pw_stdio_out_flush(out);
}

void pw_stdio_out_deinit(pw_stdio_out *out)
{
    no_poll(out);
    pw_buf_deinit(&out->queue);
}
