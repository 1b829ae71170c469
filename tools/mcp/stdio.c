/*
 * stdio.c - a client on standard input and output; and an engine for it, when the journal has none.
 *
 *   stdin --lines--> take --> the engine that owns the journal, whoever that is            nobody: a detached `pawl serve` is started, which
 *   stdout <--lines, a queue (stdio_out.c)-- sinks                                         outlives us and ends when it is idle
 *
 * What was asked and not answered is asked again of the next engine (up.c). Ends at end of file, when what was asked is answered or a moment
 * later, and when the parent dies though somebody still holds the pipe. Does not host the engine itself.
 */
#include "tools/mcp/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/mem.h"
#include "tools/cli_table.h"
#include "tools/mcp/inside.h"
#include "tools/mcp/stdio_out.h"

#define LINE_BYTES_MAX (8u << 20)
#define LOOK_EVERY_MS 1000
#define LAST_WORDS_MS 500 /* after the end of file, for what was asked before it */
#define UNREAD_MS 5000    /* and as long as a client takes some of what it was answered */
#define ENGINE_TRIES 3    /* that end badly, one after another */

typedef struct stdio {
    uv_loop_t loop;
    const pw_mcpd_stdio_options *options;
    pw_mcpd *server;
    pw_mcpd_session *session;
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tty_t tty;
    } in;
    uv_timer_t look;
    uv_timer_t last_words;
    uint64_t last_words_at; /* when they are over */
    uv_signal_t signals[3];
    uv_process_t *engine; /* while it runs, and we see it */
    int tries;
    pid_t parent;
    pw_buf line;
    char space[65536];
    pw_stdio_out out;
    bool ended,
        paused; /* no more is read: for ever; until the client has read what it was answered */
    pawl_status status;
    pawl_error *err;
} stdio;

/* ---- out ---- */

static void on_last_words(uv_timer_t *timer);

static void write_line(stdio *io, const char *text, size_t size)
{
    pw_stdio_out_put(&io->out, text, size);
    if (io->out.broken) {
        uv_timer_start(&io->last_words, on_last_words, 0, 0); /* nobody is there to serve */
    } else if (pw_stdio_out_slow(&io->out) && !io->paused && !io->ended &&
               io->in.stream.data != NULL) {
        io->paused = true;
        (void)uv_read_stop(&io->in.stream);
    }
}

static void sink_message(void *user, const char *event_id, const char *text, size_t size)
{
    (void)event_id;
    if (size > 0) {
        write_line(user, text, size);
    }
}

static void sink_end(void *user, int status, const char *text, size_t size)
{
    stdio *io = user;
    (void)status;
    if (text != NULL) {
        write_line(io, text, size);
    }
    if (io->ended) {
        uv_timer_start(&io->last_words, on_last_words, 0, 0); /* it may have been the last */
    }
}

static const pw_mcpd_sink sink = {.message = sink_message, .end = sink_end};

/* ---- in ---- */

static void take_line(stdio *io, const char *text, size_t size)
{
    const pw_mcpd_given given = {.text = text,
                                 .size = size,
                                 .sink = &sink,
                                 .user = io,
                                 .principal = "",
                                 .hosted = &io->session};
    if (size > 0 && text[size - 1] == '\r') {
        size--;
    }
    if (size > 0) {
        pw_mcpd_take(io->server, &given, NULL);
    }
}

static void take_bytes(stdio *io, const char *data, size_t size)
{
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        const size_t n = end != NULL ? (size_t)(end - data) : size;
        pw_buf_put(&io->line, data, n);
        if (end == NULL) {
            return;
        }
        if (pw_buf_ok(&io->line)) {
            take_line(io, (const char *)io->line.data, io->line.size);
        } else {
            static const char too_large[] =
                "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
                "\"message\":\"the message is too large\"}}";
            write_line(io, too_large, sizeof too_large - 1);
        }
        pw_buf_reset(&io->line);
        data = end + 1;
        size -= n + 1;
    }
}

/* The client has gone: what its calls began goes on, unless they say otherwise. */
static void stop(stdio *io)
{
    while (io->server->xs != NULL) {
        pw_mcpd_drop(io->server->xs);
    }
    uv_stop(&io->loop);
}

/* A listener is never answered. */
static bool is_asked(const stdio *io)
{
    const pw_mcpd_x *x = io->server->xs;
    while (x != NULL && x->listen != NULL) {
        x = x->next;
    }
    return x != NULL;
}

static void on_last_words(uv_timer_t *timer)
{
    stdio *io = timer->data;
    const uint64_t now = uv_now(&io->loop);
    const uint64_t unread_until =
        pw_stdio_out_left(&io->out) > 0 ? io->out.moved_at + UNREAD_MS : 0;
    const uint64_t asked_until = is_asked(io) ? io->last_words_at : 0;
    const uint64_t until = unread_until > asked_until ? unread_until : asked_until;
    if (io->out.broken || now >= until) {
        stop(io);
    } else {
        uv_timer_start(timer, on_last_words, until - now, 0);
    }
}

static void on_end(stdio *io)
{
    if (!io->ended) {
        io->ended = true;
        (void)uv_read_stop(&io->in.stream);
        io->last_words_at = uv_now(&io->loop) + LAST_WORDS_MS;
        uv_timer_start(&io->last_words, on_last_words, 0, 0);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    stdio *io = handle->data;
    (void)suggested;
    *buf = uv_buf_init(io->space, sizeof io->space);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    stdio *io = stream->data;
    if (size > 0) {
        take_bytes(io, buf->base, (size_t)size);
    } else if (size < 0) {
        on_end(io);
    }
}

static void on_drained(void *user)
{
    stdio *io = user;
    if (io->ended || io->out.broken) {
        uv_timer_start(&io->last_words, on_last_words, 0, 0);
    } else if (io->paused) {
        io->paused = false;
        (void)uv_read_start(&io->in.stream, on_alloc, on_read);
    }
}

/* Also of files, which a loop cannot wait for. */
static void read_file(stdio *io)
{
    ssize_t n = 0;
    while ((n = read(STDIN_FILENO, io->space, sizeof io->space)) > 0) {
        take_bytes(io, io->space, (size_t)n);
    }
    on_end(io);
}

static void open_in(stdio *io)
{
    const uv_handle_type type = uv_guess_handle(STDIN_FILENO);
    int rc = UV_EINVAL;
    if (type == UV_TTY) {
        rc = uv_tty_init(&io->loop, &io->in.tty, STDIN_FILENO, 0);
    } else if (type == UV_NAMED_PIPE || type == UV_TCP) {
        rc = uv_pipe_init(&io->loop, &io->in.pipe, 0);
        rc = rc == 0 ? uv_pipe_open(&io->in.pipe, STDIN_FILENO) : rc;
    }
    if (rc == 0) {
        io->in.stream.data = io;
        rc = uv_read_start(&io->in.stream, on_alloc, on_read);
    }
    if (rc != 0) {
        (void)uv_pipe_init(&io->loop, &io->in.pipe, 0); /* something to close */
        read_file(io);
    }
}

/* ---- who else may end it ---- */

static void on_look(uv_timer_t *timer)
{
    stdio *io = timer->data;
    pw_stdio_out_flush(&io->out);
    if (getppid() != io->parent) {
        stop(io);
    }
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    stop(signal->data);
}

/* ---- the engine ---- */

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

/* The last complaint of an engine that ended, out of its log; what is wrong with the log when it has none. */
static void last_complaint(const char *path, char *text, size_t room)
{
    FILE *log = fopen(path, "re");
    char line[512];
    (void)snprintf(text, room, "%s", log == NULL ? strerror(errno) : "it does not say why");
    while (log != NULL && fgets(line, sizeof line, log) != NULL) {
        if (strncmp(line, "pawl: ", 6) == 0) {
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(text, room, "%.180s", line + 6);
        }
    }
    if (log != NULL) {
        (void)fclose(log);
    }
}

static void on_engine_end(uv_process_t *process, int64_t status, int number)
{
    stdio *io = process->data;
    io->engine = NULL;
    uv_close((uv_handle_t *)process, free_handle);
    if ((status == 0 && number == 0) || status == PW_EXIT_BUSY) {
        io->tries = 0; /* it was idle, or another is there */
        return;
    }
    if (++io->tries >= ENGINE_TRIES) {
        char why[200];
        last_complaint(io->options->engine_log, why, sizeof why);
        io->status = pw_err(io->err, PAWL_IO,
                            "the engine ends as soon as it is started (status %d); %.150s says: %s",
                            (int)status, io->options->engine_log, why);
        uv_stop(&io->loop);
    }
}

static void start_engine(void *user)
{
    stdio *io = user;
    uv_stdio_container_t files[3] = {
        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    if (io->options->engine == NULL || io->engine != NULL || io->ended) {
        return;
    }
    const int log = open(io->options->engine_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) {
        files[2].flags = UV_INHERIT_FD;
        files[2].data.fd = log;
    }
    uv_process_options_t o = {
        .file = io->options->engine[0],
        .args = (char **)(uintptr_t)io->options->engine,
        .exit_cb = on_engine_end,
        .flags = UV_PROCESS_DETACHED,
        .stdio = files,
        .stdio_count = 3,
    };
    uv_process_t *process = pw_calloc(1, sizeof *process);
    if (process == NULL) {
        if (log >= 0) {
            (void)close(log);
        }
        return; /* nobody owns the journal still: it is told again */
    }
    process->data = io;
    const int rc = uv_spawn(&io->loop, process, &o);
    if (rc == 0) {
        io->engine = process;
        uv_unref((uv_handle_t *)process);
    } else {
        io->status = pw_err(io->err, PAWL_IO, "%.150s cannot be started: %s",
                            io->options->engine[0], uv_strerror(rc));
        uv_close((uv_handle_t *)process, free_handle);
        uv_stop(&io->loop);
    }
    if (log >= 0) {
        (void)close(log);
    }
}

/* ---- life ---- */

static void open_handles(stdio *io)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    (void)uv_timer_init(&io->loop, &io->look);
    (void)uv_timer_init(&io->loop, &io->last_words);
    io->look.data = io;
    io->last_words.data = io;
    for (size_t i = 0; i < PW_COUNT(numbers); i++) {
        (void)uv_signal_init(&io->loop, &io->signals[i]);
        io->signals[i].data = io;
        (void)uv_signal_start(&io->signals[i], on_signal, numbers[i]);
    }
    (void)uv_timer_start(&io->look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    open_in(io);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, handle->type == UV_PROCESS ? free_handle : NULL);
    }
}

pawl_status pw_mcpd_stdio_serve(const pw_mcpd_stdio_options *options, pawl_error *err)
{
    stdio *io = pw_calloc(1, sizeof *io);
    if (io == NULL || uv_loop_init(&io->loop) != 0) {
        pw_free(io);
        return pw_err(err, PAWL_NOMEM, "no memory for a server");
    }
    pw_mcpd_options server = options->server;
    server.user = io;
    server.no_owner = start_engine;
    io->options = options;
    io->err = err;
    io->parent = getppid();
    pw_buf_init(&io->line, LINE_BYTES_MAX);
    pw_stdio_out_init(&io->out, &io->loop, STDOUT_FILENO, on_drained, io);
    io->server = pw_mcpd_open(&io->loop, &server);
    io->status = io->server != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for a server");
    if (io->status == PAWL_OK) {
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        (void)sigaction(SIGPIPE, &ignore, NULL);
        open_handles(io);
        (void)uv_run(&io->loop, UV_RUN_DEFAULT);
    }
    const pawl_status status = io->status;
    pw_mcpd_close(io->server);
    pw_stdio_out_deinit(&io->out);
    uv_walk(&io->loop, close_handle, NULL);
    (void)uv_run(&io->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&io->loop);
    pw_buf_deinit(&io->line);
    pw_free(io);
    return status;
}
