/*
 * client.c - asking an engine over its socket, or the file when nobody owns it.
 *
 * A client finds out once, at open, who answers; when the owner dies in the middle it looks again and asks once more, which is harmless: reads
 * change nothing and every write carries a dedup key. Frames are read into one buffer; replies to other requests than the one waited for
 * are kept in a list. Does not host an engine and does not format anything.
 */
#include "tools/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/budget.h"
#include "engine/request.h"
#include "engine/view.h"
#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/frame.h"
#include "sdk/base/hash.h"
#include "sdk/base/id.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

#define CONNECT_SOON_MS \
    100 /* an owner that is just coming up listens some milliseconds after it took the lock */
#define CONNECT_SOON_PAUSE_MS 4
#define CONNECT_PAUSE_MS 50
#define WATCH_TIMEOUT_MS 3000
#define HELLO_TIMEOUT_MS 5000
#define NO_ENGINE "no engine runs on this journal, and only one can answer \"%s\""
#define QUEUE_BYTES_MAX (2 * (size_t)PW_FRAME_BYTES_MAX)

/** A reply that came while another was waited for. */
struct kept {
    struct kept *next;
    int64_t number;
    size_t size;
    uint8_t bytes[];
};

struct pw_client {
    pawl_scope *scope;
    const char *path; /* in scope */
    int64_t pid;
    int64_t patience_ms; /* with an owner that does not listen yet, or no more */
    int fd;              /* -1 = nobody owns the journal */
    pw_frames in;
    pw_buf out;     /* queued */
    int64_t number; /* last given */
    int64_t taken;  /* of the last reply that was taken; -1 = none was */
    struct kept *replies;
    pw_reader *reader; /* opened when first needed */
    bool kept_write;
};

static void pause_ms(int64_t ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&ts, NULL);
}

/* ---- the socket ---- */

static void disconnect(pw_client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    pw_frames_deinit(&c->in);
    pw_frames_init(&c->in, PW_FRAME_BYTES_MAX);
    pw_buf_reset(&c->out);
    while (c->replies != NULL) {
        struct kept *k = c->replies;
        c->replies = k->next;
        pw_free(k);
    }
}

/** -1 with errno when it cannot. */
static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    return fd;
}

/** Waits for readiness; false when the time is up. until_ms < 0 = for ever. */
static bool wait_for(int fd, short events, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms < 0 ? 3600000 : until_ms - pw_mono_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left);
        if (n > 0) {
            return true;
        }
        if (n == 0 && until_ms >= 0 && pw_mono_ms() >= until_ms) {
            return false;
        }
    }
}

static pawl_status write_all(pw_client *c, const uint8_t *data, size_t size, pawl_error *err)
{
    while (size > 0) {
        ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            (void)wait_for(c->fd, POLLOUT, -1);
        } else if (n < 0 && errno != EINTR) {
            return pw_err(err, PAWL_IO, "the engine (process %lld) went away", (long long)c->pid);
        }
    }
    return PAWL_OK;
}

/** One read. DONE = the time is up. */
static pawl_status read_some(pw_client *c, int64_t until_ms, pawl_error *err)
{
    uint8_t space[65536];

    for (;;) {
        ssize_t n = recv(c->fd, space, sizeof space, 0);
        if (n > 0) {
            return pw_frames_put(&c->in, space, (size_t)n, err);
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return pw_err(err, PAWL_IO, "the engine (process %lld) went away", (long long)c->pid);
        }
        if (errno == EAGAIN && !wait_for(c->fd, POLLIN, until_ms)) {
            return PAWL_DONE;
        }
    }
}

/* ---- replies ---- */

static pawl_status keep_reply(pw_client *c, int64_t number, pw_view frame, pawl_error *err)
{
    struct kept *k = pw_malloc(sizeof *k + frame.size);

    if (k == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a reply of %zu bytes", frame.size);
    }
    *k = (struct kept){.number = number, .size = frame.size};
    memcpy(k->bytes, frame.data, frame.size);
    struct kept **end = &c->replies;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = k;
    return PAWL_OK;
}

static struct kept *take_kept(pw_client *c, int64_t number)
{
    for (struct kept **at = &c->replies; *at != NULL; at = &(*at)->next) {
        if (number == 0 || (*at)->number == number) {
            struct kept *k = *at;
            *at = k->next;
            return k;
        }
    }
    return NULL;
}

/** What the engine said; why when that is not OK. */
static pawl_status take_body(pawl_status said, pw_view body, pawl_scope *scope,
                             const pawl_value **ret_reply, const pawl_error *why, pawl_error *err)
{
    if (said != PAWL_OK && err != NULL) {
        *err = *why;
    }
    if (ret_reply != NULL) {
        const pawl_value *v = pw_value_copy(scope, body.data, body.size);
        if (v == NULL && body.size > 0 && body.data[0] != 0xc0) {
            return pw_err(err, PAWL_NOMEM, "no memory for a reply of %zu bytes", body.size);
        }
        *ret_reply = v;
    }
    return said;
}

static pawl_status take_reply(pw_view frame, pawl_scope *scope, const pawl_value **ret_reply,
                              pawl_error *err)
{
    int64_t number = 0;
    pawl_status said = PAWL_OK;
    pw_view body = {NULL, 0};
    pawl_error why;
    pawl_status status = pw_reply_parse(frame, &number, &said, &body, &why);

    if (status != PAWL_OK && err != NULL) {
        *err = why;
    }
    return status == PAWL_OK ? take_body(said, body, scope, ret_reply, &why, err) : status;
}

pawl_status pw_client_next(pw_client *c, int64_t number, int64_t timeout_ms, pawl_scope *scope,
                           const pawl_value **ret_reply, pawl_error *err)
{
    int64_t until_ms = timeout_ms < 0 ? -1 : pw_mono_after_ms(timeout_ms);
    struct kept *k = take_kept(c, number);

    c->taken = -1;
    if (k != NULL) {
        c->taken = k->number;
        pawl_status status = take_reply((pw_view){k->bytes, k->size}, scope, ret_reply, err);
        pw_free(k);
        return status;
    }
    if (c->fd < 0) {
        return pw_err(err, PAWL_IO, "no engine is connected");
    }
    for (;;) {
        pw_view frame;
        pw_view body;
        pawl_status said;
        pawl_error why;
        int64_t got = 0;
        pawl_status status = pw_frames_next(&c->in, &frame, err);
        if (status == PAWL_OK) {
            status = pw_reply_parse(frame, &got, &said, &body, &why);
            if (status != PAWL_OK && err != NULL) {
                *err = why;
            }
            if (status == PAWL_OK && (number == 0 || got == number ||
                                      got == 0)) { /* 0: an error of the connection itself */
                c->taken = got;
                return take_body(said, body, scope, ret_reply, &why, err);
            }
            status = status == PAWL_OK ? keep_reply(c, got, frame, err) : status;
        } else if (status == PAWL_DONE) {
            status = read_some(c, until_ms, err);
        }
        if (status == PAWL_DONE) {
            return pw_err(err, PAWL_TIMEOUT,
                          "the engine (process %lld) did not answer within %lld ms",
                          (long long)c->pid, (long long)timeout_ms);
        }
        if (status != PAWL_OK) {
            return status;
        }
    }
}

/* Not taken by an engine: it would end the connection, and what was queued with it. */
static pawl_status check_queued(pw_view message, pawl_error *err)
{
    int64_t number = 0;
    pw_view op;
    pw_view args;

    return pw_request_parse(message, &number, &op, &args, err);
}

pawl_status pw_client_queue(pw_client *c, const char *op, const pawl_value *args,
                            int64_t *ret_number, pawl_error *err)
{
    pawl_status status = PAWL_OK;

    if (c->fd < 0) {
        return pw_err(err, PAWL_UNSUPPORTED, NO_ENGINE, op);
    }
    size_t begin = pw_frame_begin(&c->out);
    pw_request_write(&c->out, ++c->number, op,
                     args != NULL ? pw_value_bytes(args) : (pw_view){NULL, 0});
    if (!pw_buf_ok(&c->out) && !c->out.full) {
        status = pw_err(err, PAWL_NOMEM, "no memory for a request");
    } else if (!pw_buf_ok(&c->out) || c->out.size - begin > PW_FRAME_BYTES_MAX) {
        status = pw_err(err, PAWL_LIMIT, "the request does not fit a frame of %u bytes",
                        PW_FRAME_BYTES_MAX);
    } else {
        pw_frame_end(&c->out, begin);
        status = check_queued((pw_view){c->out.data + begin + PW_FRAME_HEAD_BYTES,
                                        c->out.size - begin - PW_FRAME_HEAD_BYTES},
                              err);
    }
    if (status != PAWL_OK) {
        c->out.size = begin; /* what was queued before it stays */
        c->out.failed = false;
        c->out.full = false;
        return status;
    }
    *ret_number = c->number;
    return PAWL_OK;
}

pawl_status pw_client_flush(pw_client *c, pawl_error *err)
{
    if (c->out.size == 0) {
        return PAWL_OK;
    }
    pawl_status status = write_all(c, c->out.data, c->out.size, err);
    pw_buf_reset(&c->out);
    return status;
}

pawl_status pw_client_send(pw_client *c, const char *op, const pawl_value *args,
                           int64_t *ret_number, pawl_error *err)
{
    pawl_status status = pw_client_queue(c, op, args, ret_number, err);

    return status == PAWL_OK ? pw_client_flush(c, err) : status;
}

/* ---- who answers ---- */

static pawl_status greet(pw_client *c, pawl_error *err)
{
    int64_t number = 0;
    pawl_status status = pw_client_send(c, "hello", NULL, &number, err);

    return status == PAWL_OK ? pw_client_next(c, number, HELLO_TIMEOUT_MS, NULL, NULL, err)
                             : status;
}

static pawl_status connect_to(pw_client *c, const char *socket, bool *ret_again, pawl_error *err)
{
    *ret_again = true;
    c->fd = try_connect(socket);
    if (c->fd < 0 && errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN) {
        *ret_again = false;
        return pw_err(err, errno == EACCES || errno == EPERM ? PAWL_DENIED : PAWL_IO,
                      "the control socket %s: %s", socket, strerror(errno));
    }
    if (c->fd < 0) {
        return pw_err(
            err, PAWL_BUSY,
            "the journal is owned by process %lld, which does not listen on %s, as while it opens or "
            "closes it; if it hangs, stop it",
            (long long)c->pid, socket);
    }
    pawl_status status = greet(c, err);
    if (status == PAWL_TIMEOUT) {
        *ret_again = false;
        status = pw_err(
            err, PAWL_BUSY,
            "the journal is owned by process %lld, which does not answer; if it hangs, stop it",
            (long long)c->pid);
    }
    if (status == PAWL_IO) { /* it closed its socket while we came */
        status = pw_err(err, PAWL_BUSY, "the journal is being closed by process %lld",
                        (long long)c->pid);
    }
    if (status == PAWL_DENIED || status == PAWL_FULL || status == PAWL_UNSUPPORTED) {
        *ret_again = false;
    }
    if (status != PAWL_OK) {
        disconnect(c);
    }
    return status;
}

/** One try. ret_again: what is in the way may be gone in a moment. */
static pawl_status find_owner_once(pw_client *c, bool *ret_again, pawl_error *err)
{
    char socket[108];
    uint64_t epoch = 0;
    pawl_status status = pw_owner_probe(c->path, &c->pid, &epoch, socket, err);

    *ret_again = false;
    if (status != PAWL_OK || c->pid == 0) {
        return status;
    }
    if (c->pid < 0) {
        *ret_again = true;
        return pw_err(err, PAWL_BUSY, "another process is opening or closing this journal");
    }
    if (socket[0] == '\0') {
        return pw_err(err, PAWL_BUSY,
                      "the journal is owned by process %lld, which serves no control socket",
                      (long long)c->pid);
    }
    return connect_to(c, socket, ret_again, err);
}

/** Connects to the owner, or finds that there is none. An owner takes the lock before it listens, and unlinks its socket before it gives the
 * lock back: both last as long as its disk takes. */
static pawl_status find_owner(pw_client *c, pawl_error *err)
{
    const int64_t since = pw_mono_ms();
    bool again = true;

    disconnect(c);
    for (;;) {
        pawl_status status = find_owner_once(c, &again, err);
        int64_t waited = pw_mono_ms() - since;
        if (status == PAWL_OK || !again || waited >= c->patience_ms) {
            return status;
        }
        pause_ms(waited < CONNECT_SOON_MS ? CONNECT_SOON_PAUSE_MS : CONNECT_PAUSE_MS);
    }
}

pawl_status pw_client_open(const char *journal_path, int64_t patience_ms, pw_client **ret_client,
                           pawl_error *err)
{
    if (access(journal_path, F_OK) != 0) {
        return pw_err(err, errno == ENOENT ? PAWL_NOTFOUND : PAWL_IO, "journal %.180s: %s",
                      journal_path, strerror(errno));
    }
    pw_client *c = pw_calloc(1, sizeof *c);
    pawl_scope *scope = pawl_scope_new();
    const char *path = scope != NULL ? pw_strdup(scope, journal_path) : NULL;
    if (c == NULL || path == NULL) {
        pawl_scope_free(scope);
        pw_free(c);
        return pw_err(err, PAWL_NOMEM, "no memory for a client");
    }
    *c = (pw_client){.scope = scope, .path = path, .patience_ms = patience_ms, .fd = -1};
    pw_frames_init(&c->in, PW_FRAME_BYTES_MAX);
    pw_buf_init(&c->out, QUEUE_BYTES_MAX);
    pawl_status status = find_owner(c, err);
    if (status != PAWL_OK) {
        pw_client_close(c);
        return status;
    }
    *ret_client = c;
    return PAWL_OK;
}

pawl_status pw_client_over(int fd, int64_t number, pw_client **ret_client, pawl_error *err)
{
    pw_client *c = pw_calloc(1, sizeof *c);
    pawl_scope *scope = c != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        close(fd);
        pw_free(c);
        return pw_err(err, PAWL_NOMEM, "no memory for a client");
    }
    *c = (pw_client){.scope = scope, .path = "", .fd = fd, .number = number};
    pw_frames_init(&c->in, PW_FRAME_BYTES_MAX);
    pw_buf_init(&c->out, QUEUE_BYTES_MAX);
    *ret_client = c;
    return PAWL_OK;
}

void pw_client_close(pw_client *c)
{
    if (c == NULL) {
        return;
    }
    disconnect(c);
    pw_frames_deinit(&c->in);
    pw_buf_deinit(&c->out);
    if (c->reader != NULL) {
        c->reader->ops->reader_close(c->reader);
    }
    pawl_scope_free(c->scope);
    pw_free(c);
}

pawl_status pw_client_watch(pw_client *c, const pawl_value *args, int64_t *ret_number,
                            pawl_error *err)
{
    int64_t number = 0;
    int64_t behind = 0;
    pawl_status status = pw_client_send(c, "watch", args, &number, err);

    status = status == PAWL_OK ? pw_client_send(c, "stats", NULL, &behind, err) : status;
    status =
        status == PAWL_OK ? pw_client_next(c, behind, WATCH_TIMEOUT_MS, NULL, NULL, err) : status;
    if (status == PAWL_OK || status == PAWL_TIMEOUT) {
        *ret_number = number;
        return PAWL_OK;
    }
    return status;
}

int64_t pw_client_taken(const pw_client *c)
{
    return c->taken;
}

bool pw_client_is_live(const pw_client *c)
{
    return c->fd >= 0;
}

int64_t pw_client_pid(const pw_client *c)
{
    return c->fd >= 0 ? c->pid : 0;
}

bool pw_client_kept(const pw_client *c)
{
    return c->kept_write;
}

int pw_client_fd(const pw_client *c)
{
    return c->fd;
}

/* ---- with no owner ---- */

static pawl_status need_reader(pw_client *c, pawl_error *err)
{
    return c->reader != NULL ? PAWL_OK : pw_sqlite_reader_open(c->path, &c->reader, err);
}

struct pending {
    const char *id;
    bool found;
};

static bool is_pending_start(void *ctx, const pw_inbox_row *row)
{
    struct pending *p = ctx;
    int64_t number = 0;
    pw_view op;
    pw_view args;
    pawl_scope *scope = pawl_scope_new();

    if (pw_request_parse(row->body, &number, &op, &args, NULL) == PAWL_OK &&
        pw_view_is(op, "start")) {
        p->found = p->found || pawl_is(pw_value_view(scope, args.data, args.size), "id", p->id);
    }
    pawl_scope_free(scope);
    return !p->found;
}

static bool take_status(void *ctx, const pw_run_row *row)
{
    *(int *)ctx = row->status;
    return false;
}

/** A request with this key was answered before: it has its answer, whatever became of the run. */
static bool was_answered(pw_client *c, const pawl_value *args)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    const char *dedup = pawl_str(args, "dedup", "");
    pw_outcome outcome;
    pawl_error why;

    return c->reader->ops->outcome(c->reader, (pw_view){(const uint8_t *)dedup, strlen(dedup)},
                                   &body, &outcome, &why) == PAWL_OK;
}

/** A retry opens what failed, was cancelled or timed out; nothing else reaches a closed run. */
static bool takes_nothing(int status, const char *op)
{
    const bool opens =
        status == PW_RUN_FAILED || status == PW_RUN_CANCELED || status == PW_RUN_TIMED_OUT;
    return !pw_run_status_is_open(status) && !(opens && strcmp(op, "retry") == 0);
}

/** What is said to a run that does not exist, or is closed, would be kept for nobody. A start that waits in the inbox counts as a run. */
static pawl_status check_target(pw_client *c, const char *op, const pawl_value *args,
                                pawl_error *err)
{
    struct pending p = {.id = pawl_str(args, "id", "")};
    int now = PW_RUN_RUNNING;
    pawl_status status = need_reader(c, err);

    if (status == PAWL_OK) {
        status = c->reader->ops->run_find(c->reader, (pw_view){(const uint8_t *)p.id, strlen(p.id)},
                                          take_status, &now, err);
    }
    bool closed = status == PAWL_OK && takes_nothing(now, op);
    if ((status != PAWL_NOTFOUND && !closed) || (closed && was_answered(c, args))) {
        return status;
    }
    status = c->reader->ops->inbox(c->reader, 0, PW_PAGE_ROWS_MAX, is_pending_start, &p, err);
    if (status == PAWL_OK && !p.found) {
        return closed ? pw_err(err, PAWL_CLOSED, "run \"%.200s\" is closed (%s)", p.id,
                               pw_run_status_name(now))
                      : pw_err(err, PAWL_NOTFOUND, "there is no run \"%.200s\"", p.id);
    }
    return status;
}

/* A start makes the journal, if need be; nothing else does. */
static pawl_status need_file(pw_client *c, const char *op, pawl_error *err)
{
    return strcmp(op, "start") == 0 ? PAWL_OK : need_reader(c, err);
}

/* The next engine refuses it, and then nobody is there who asked. */
static pawl_status check_budget(const pawl_value *args, pawl_error *err)
{
    pw_limits limits;
    pawl_status status = pw_budget_limits(pawl_get(args, "limits"), &limits, err);

    return status == PAWL_OK && pawl_bool(args, "make", false)
               ? pw_budget_name_check(pawl_str(args, "name", ""), err)
               : status;
}

static pawl_status post_write(pw_client *c, const char *op, const pawl_value *args,
                              pawl_scope *scope, const pawl_value **ret_reply, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    const char *dedup = pawl_str(args, "dedup", "");
    int64_t inbox_id = 0;
    bool of_budget = strcmp(op, "budget_set") == 0;
    bool of_run = strcmp(op, "start") != 0 && strncmp(op, "memory_", 7) != 0 && !of_budget;
    pawl_status status = of_run ? check_target(c, op, args, err) : need_file(c, op, err);

    if (status == PAWL_OK && of_budget) {
        status = check_budget(args, err);
    }
    if (status != PAWL_OK) {
        return status;
    }
    pw_request_write(&body, 0, op, pw_value_bytes(args));
    if (!pw_buf_ok(&body)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    status = pw_sqlite_post(c->path, (pw_view){(const uint8_t *)dedup, strlen(dedup)},
                            (pw_view){body.data, body.size}, pw_wall_ms(), &inbox_id, err);
    if (status == PAWL_OK) {
        c->kept_write = true;
        if (ret_reply != NULL) {
            *ret_reply = pawl_build(scope, "{id: %s, kept: true, inbox: %lld}",
                                    pawl_str(args, "id", NULL), (long long)inbox_id);
        }
    }
    return status;
}

static pawl_status read_file(pw_client *c, pw_req_op op, const pawl_value *args, pawl_scope *scope,
                             const pawl_value **ret_reply, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_status status = need_reader(c, err);

    if (status == PAWL_OK) {
        status = pw_view_request(c->reader, op, args, &out, err);
    }
    if (status == PAWL_OK && ret_reply != NULL) {
        *ret_reply = pw_value_copy(scope, out.data, out.size);
    }
    return status;
}

static pawl_status ask_file(pw_client *c, const char *op, const pawl_value *args, pawl_scope *scope,
                            const pawl_value **ret_reply, pawl_error *err)
{
    pw_req_op number = pw_req_from_name((pw_view){(const uint8_t *)op, strlen(op)});

    if (number != PW_REQ_NONE && pw_req_kind(number) == PW_REQ_WRITE) {
        return post_write(c, op, args, scope, ret_reply, err);
    }
    if (number != PW_REQ_NONE && pw_view_can(number, true)) {
        return read_file(c, number, args, scope, ret_reply, err);
    }
    if (number == PW_REQ_NONE) {
        return pw_err(err, PAWL_INVALID, "there is no operation \"%s\"", op);
    }
    return pw_err(err, PAWL_UNSUPPORTED, NO_ENGINE, op);
}

/* ---- asking ---- */

/** Writes get an id (starts) and a dedup key, so that they can be sent twice. */
static const pawl_value *complete_args(const char *op, const pawl_value *args, pawl_scope *scope)
{
    pw_req_op number = pw_req_from_name((pw_view){(const uint8_t *)op, strlen(op)});
    uint8_t random[10];
    char text[37];

    if (number == PW_REQ_NONE || pw_req_kind(number) != PW_REQ_WRITE) {
        return args;
    }
    if (number == PW_REQ_START && pawl_get(args, "id") == NULL) {
        pw_random(random, sizeof random);
        pw_uuid7(text, pw_wall_ms(), random);
        args = pawl_with(scope, args, "id", pawl_make_str(scope, text));
    }
    if (pawl_get(args, "dedup") == NULL) {
        const char *id = pawl_str(args, "id", "");
        pw_random(random, sizeof random);
        pw_uuid7(text, pw_wall_ms(), random);
        const char *of_run =
            *id != '\0' ? pw_sprintf(scope, PW_CLIENT_KEY "%s/%s", id, text) : text;
        args = pawl_with(scope, args, "dedup", pawl_make_str(scope, of_run));
    }
    return args;
}

/** until_ms < 0 = for ever. */
static pawl_status ask_once(pw_client *c, const char *op, const pawl_value *args, int64_t until_ms,
                            pawl_scope *scope, const pawl_value **ret_reply, pawl_error *err)
{
    int64_t number = 0;

    if (c->fd < 0) {
        return ask_file(c, op, args, scope, ret_reply, err);
    }
    pawl_status status = pw_client_send(c, op, args, &number, err);
    if (status != PAWL_OK) {
        return status;
    }
    const int64_t left = until_ms - pw_mono_ms();
    return pw_client_next(c, number, until_ms < 0 || left > 0 ? left : 0, scope, ret_reply, err);
}

/** The one who answered has gone, or somebody came since the file was found to be nobody's. */
static bool is_lost(bool was_live, pawl_status status)
{
    return was_live ? status == PAWL_IO || status == PAWL_SHUTDOWN : status == PAWL_BUSY;
}

/** Asks again: once of whoever comes after one that has gone, which may be the request's own doing; while one is closing, until the next is there or
 * the file is nobody's. */
static pawl_status ask_again(pw_client *c, const char *op, const pawl_value *args, int64_t until_ms,
                             pawl_scope *scope, const pawl_value **ret_reply, pawl_error *err)
{
    const int64_t since = pw_mono_ms();
    bool was_live = false;
    pawl_status status = PAWL_OK;

    for (bool again = true; again;) {
        status = find_owner(c, err);
        if (status != PAWL_OK) {
            return status;
        }
        was_live = c->fd >= 0;
        status = ask_once(c, op, args, until_ms, scope, ret_reply, err);
        again =
            is_lost(was_live, status) && status != PAWL_IO && pw_mono_ms() - since < c->patience_ms;
        if (again) {
            pause_ms(CONNECT_PAUSE_MS);
        }
    }
    return status;
}

pawl_status pw_client_request(pw_client *c, const char *op, const pawl_value *args,
                              int64_t timeout_ms, pawl_scope *scope, const pawl_value **ret_reply,
                              pawl_error *err)
{
    pawl_scope *mine = pawl_scope_new();

    if (mine == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    c->kept_write = false;
    args = complete_args(op, args, mine);
    const int64_t until_ms = timeout_ms < 0 ? -1 : pw_mono_after_ms(timeout_ms);
    const bool was_live = c->fd >= 0;
    pawl_status status = pw_scope_failed(mine)
                             ? pw_err(err, PAWL_NOMEM, "no memory for a request")
                             : ask_once(c, op, args, until_ms, scope, ret_reply, err);
    if (is_lost(was_live, status) && strncmp(op, "task_", 5) != 0) {
        status = ask_again(c, op, args, until_ms, scope, ret_reply, err);
    }
    pawl_scope_free(mine);
    return status;
}
