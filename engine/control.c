/*
 * control.c - the I/O thread of the control protocol: its socket, its loop, its start and its end.
 *
 * Replies come from the engine's thread on a lock-free stack, taken whole and reversed, and one uv_async wakes the loop for any number of
 * them. The socket is made by hand, so that its mode is 0600 before anybody can connect. What a connection says is control_client.c; this
 * file does not look into frames.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/control_client.h"
#include "engine/threads.h"
#include "sdk/base/arena.h"
#include "sdk/base/mem.h"

#define LISTEN_BACKLOG 128
#define LAST_WRITES_MS 1000
#define TRY_AGAIN_MS 100 /* to take a connection, after there was no memory for it */

void pw_control_log(pw_control *c, pawl_level level, const char *fmt, ...)
{
    char text[400];
    va_list args;

    if (c->options.log == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->options.log(c->options.log_ctx, level, text);
}

void pw_control_hello(pw_buf *out, const char *journal_path, uint64_t epoch)
{
    pw_mp_map(out, 4);
    pw_mp_str(out, "version");
    pw_mp_str(out, PAWL_VERSION);
    pw_mp_str(out, "pid");
    pw_mp_int(out, getpid());
    pw_mp_str(out, "epoch");
    pw_mp_uint(out, epoch);
    pw_mp_str(out, "journal");
    pw_mp_str(out, journal_path);
}

/* ---- the socket ---- */

/** The folder of a socket that does not stand beside its journal. */
static void make_folder(const char *path)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    const char *slash = strrchr(path, '/');

    if (slash != NULL && slash != path && (size_t)(slash - path) < sizeof folder) {
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = '\0';
        (void)mkdir(folder, 0700); /* there already, or bind says what is wrong */
    }
}

static pawl_status bind_socket(const char *path, int *ret_fd, pawl_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return pw_err(err, PAWL_IO, "socket: %s", strerror(errno));
    }
    if (strlen(path) >= sizeof address.sun_path) {
        close(fd);
        return pw_err(err, PAWL_INVALID, "the path of the control socket is too long: %.150s",
                      path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    make_folder(path);
    (void)unlink(path); /* stale: we hold the owner lock */
    /* nobody can connect before listen, so the mode is right before the first one does */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0600) != 0) {
        int number = errno;
        close(fd);
        return pw_err(err, PAWL_IO, "cannot bind the control socket %.150s: %s", path,
                      strerror(number));
    }
    *ret_fd = fd;
    return PAWL_OK;
}

size_t pw_control_clients_len(const pw_control *c)
{
    return c != NULL ? atomic_load(&c->clients_len) : 0;
}

/* ---- what comes from the engine's thread ---- */

void pw_control_post(pw_control *c, pw_control_out *out)
{
    pw_control_out *top = atomic_load_explicit(&c->outgoing, memory_order_relaxed);

    do {
        out->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&c->outgoing, &top, out, memory_order_release,
                                                    memory_order_relaxed));
    uv_async_send(&c->wake);
}

void pw_control_lost(pw_control *c, uint64_t client)
{
    atomic_store(&c->deaf[client & (PW_CLIENTS_MAX - 1)], client);
    uv_async_send(&c->wake);
}

static void cut_deaf(pw_control *c)
{
    for (size_t i = 0; i < PW_CLIENTS_MAX; i++) {
        const bool some = atomic_load_explicit(&c->deaf[i], memory_order_relaxed) != 0;
        const uint64_t id = some ? atomic_exchange(&c->deaf[i], 0) : 0;
        pw_control_client *client = id != 0 ? pw_control_client_find(c, id) : NULL;
        if (client != NULL) {
            pw_control_log(c, PAWL_WARN, "no memory for a reply: its client is cut");
            pw_control_client_close(client);
        }
    }
}

static pw_control_out *take_outgoing(pw_control *c)
{
    pw_control_out *top = atomic_exchange_explicit(&c->outgoing, NULL, memory_order_acquire);
    pw_control_out *first = NULL;

    while (top != NULL) {
        pw_control_out *next = top->next;
        top->next = first;
        first = top;
        top = next;
    }
    return first;
}

static void send_outgoing(pw_control *c)
{
    for (pw_control_out *out = take_outgoing(c); out != NULL;) {
        pw_control_out *next = out->next;
        pw_control_client *client = pw_control_client_find(c, out->client);
        if (client != NULL) {
            client->requests -= !out->more;
            pw_control_client_put(client, &out->frame);
        }
        pw_buf_deinit(&out->frame);
        pw_free(out);
        out = next;
    }
    pw_control_flush(c);
}

/* ---- the end ---- */

static void on_deadline(uv_timer_t *timer)
{
    pw_control *c = timer->data;

    for (size_t i = 0; i < PW_CLIENTS_MAX; i++) {
        if (c->clients[i] != NULL) {
            pw_control_client_close(c->clients[i]);
        }
    }
}

static void begin_stop(pw_control *c)
{
    c->stopping = true;
    (void)unlink(c->socket);
    uv_close((uv_handle_t *)&c->server, NULL);
    uv_close((uv_handle_t *)&c->wake, NULL);
    uv_timer_start(&c->timer, on_deadline, LAST_WRITES_MS, 0);
    uv_unref((uv_handle_t *)&c->timer);
    for (size_t i = 0; i < PW_CLIENTS_MAX; i++) {
        if (c->clients[i] != NULL) {
            pw_control_client_finish(c->clients[i]);
        }
    }
}

static void on_wake(uv_async_t *wake)
{
    pw_control *c = wake->data;
    const bool stop = atomic_load(&c->stop); /* first: what was posted before it still goes out */

    send_outgoing(c);
    cut_deaf(c);
    if (stop && !c->stopping) {
        begin_stop(c);
    }
}

/* ---- the thread ---- */

static void on_try_again(uv_timer_t *timer);

static void take_connection(pw_control *c)
{
    if (!pw_control_client_new(c)) {
        pw_control_log(c, PAWL_WARN, "no memory for a connection to the control socket: it waits");
        uv_timer_start(&c->timer, on_try_again, TRY_AGAIN_MS, 0);
    }
}

static void on_try_again(uv_timer_t *timer)
{
    take_connection(timer->data);
}

static void on_connection(uv_stream_t *server, int status)
{
    pw_control *c = server->data;

    if (status == 0) {
        take_connection(c);
    } else {
        pw_control_log(c, PAWL_WARN, "the control socket cannot take a connection: %s",
                       uv_strerror(status));
    }
}

static void *run(void *arg)
{
    pw_control *c = arg;

    uv_run(&c->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&c->timer, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    return NULL;
}

static int open_handles(pw_control *c)
{
    int rc = uv_async_init(&c->loop, &c->wake, on_wake);

    rc = rc == 0 ? uv_timer_init(&c->loop, &c->timer) : rc;
    rc = rc == 0 ? uv_pipe_init(&c->loop, &c->server, 0) : rc;
    c->wake.data = c;
    c->timer.data = c;
    c->server.data = c;
    if (rc == 0) {
        rc = uv_pipe_open(&c->server, c->listen_fd);
        c->listen_fd = rc == 0 ? -1 : c->listen_fd;
    }
    return rc == 0 ? uv_listen((uv_stream_t *)&c->server, LISTEN_BACKLOG, on_connection) : rc;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void free_control(pw_control *c)
{
    if (c->options.reader != NULL) {
        c->options.reader->ops->reader_close(c->options.reader);
    }
    for (pw_control_out *out = take_outgoing(c); out != NULL;) {
        pw_control_out *next = out->next;
        pw_buf_deinit(&out->frame);
        pw_free(out);
        out = next;
    }
    if (c->listen_fd >= 0) {
        close(c->listen_fd);
    }
    pawl_scope_free(c->scope);
    pw_free(c);
}

static pawl_status start_loop(pw_control *c, pawl_error *err)
{
    int rc = uv_loop_init(&c->loop);

    if (rc != 0) {
        return pw_err(err, PAWL_IO, "the control server's loop: %s", uv_strerror(rc));
    }
    rc = open_handles(c);
    pawl_status status =
        rc == 0 ? pw_thread_start(&c->thread, "pawl-io", run, c, err)
                : pw_err(err, PAWL_IO, "the control socket %.150s: %s", c->socket, uv_strerror(rc));
    if (status != PAWL_OK) {
        uv_walk(&c->loop, close_handle, NULL);
        uv_run(&c->loop, UV_RUN_DEFAULT);
        uv_loop_close(&c->loop);
    }
    return status;
}

pawl_status pw_control_start(const pw_control_options *options, pw_control **ret_control,
                             pawl_error *err)
{
    pw_control *c = pw_calloc(1, sizeof *c);
    pawl_status status = PAWL_OK;

    if (c == NULL) {
        options->reader->ops->reader_close(options->reader);
        return pw_err(err, PAWL_NOMEM, "no memory for the control server");
    }
    c->options = *options;
    c->listen_fd = -1;
    c->scope = pawl_scope_new();
    c->socket = c->scope != NULL ? pw_strdup(c->scope, options->socket) : NULL;
    c->journal_path = c->socket != NULL ? pw_strdup(c->scope, options->journal_path) : NULL;
    if (c->journal_path == NULL) {
        status = pw_err(err, PAWL_NOMEM, "no memory for the control server");
    }
    if (status == PAWL_OK) {
        status = bind_socket(c->socket, &c->listen_fd, err);
    }
    if (status == PAWL_OK) {
        status = start_loop(c, err);
        if (status != PAWL_OK) {
            (void)unlink(c->socket);
        }
    }
    if (status != PAWL_OK) {
        free_control(c);
        return status;
    }
    *ret_control = c;
    return PAWL_OK;
}

void pw_control_stop(pw_control *c)
{
    if (c == NULL) {
        return;
    }
    atomic_store(&c->stop, true);
    uv_async_send(&c->wake);
    pthread_join(c->thread, NULL);
    uv_loop_close(&c->loop);
    free_control(c);
}
