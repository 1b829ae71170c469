/*
 * control_client.c - one connection: who it is, its frames, its requests, its replies.
 *
 * Nothing that a peer says is believed: the frame reader bounds sizes, pw_request_parse checks every byte before any is read. A peer that does not
 * speak the protocol gets one error reply and is closed; a peer that speaks it and asks for nonsense gets an error and stays. A peer that
 * does not read is cut when PW_CLIENT_QUEUE_BYTES_MAX wait for it.
 */
#include "engine/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/view.h"
#include "sdk/base/arena.h"
#include "sdk/base/mem.h"

#define SLOT_BITS 8
#define GATHER_BYTES_MAX 65536 /* of small frames in one write */
_Static_assert(PW_CLIENTS_MAX <= 1 << SLOT_BITS, "a client's id holds its slot");

/* ---- going ---- */

static void on_closed(uv_handle_t *handle)
{
    pw_control_client *client = handle->data;

    pw_frames_deinit(&client->in);
    pw_buf_deinit(&client->gathered);
    pw_free(client->gone);
    pw_free(client);
}

void pw_control_client_close(pw_control_client *client)
{
    pw_control *c = client->control;

    if (client->closing) {
        return;
    }
    client->closing = true;
    c->gathering = c->gathering == client ? NULL : c->gathering;
    if (client->id != 0) {
        c->clients[client->id & (PW_CLIENTS_MAX - 1)] = NULL;
        client->gone->client = client->id;
        pw_mailbox_put_gone(c->options.mailbox, client->gone);
        client->gone = NULL;
        atomic_fetch_sub(&c->clients_len, 1); /* last: who is counted no more is forgotten */
    }
    uv_close((uv_handle_t *)&client->pipe, on_closed);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)status;
    pw_control_client_close(shutdown->data);
}

void pw_control_client_finish(pw_control_client *client)
{
    pw_control_flush(client->control);
    uv_read_stop((uv_stream_t *)&client->pipe);
    client->shutdown.data = client;
    if (client->closing ||
        uv_shutdown(&client->shutdown, (uv_stream_t *)&client->pipe, on_shutdown) != 0) {
        pw_control_client_close(client);
    }
}

pw_control_client *pw_control_client_find(pw_control *c, uint64_t id)
{
    pw_control_client *client = c->clients[id & (PW_CLIENTS_MAX - 1)];

    return client != NULL && client->id == id ? client : NULL;
}

/* ---- sending ---- */

struct write {
    uv_write_t request;
    pw_buf frame;
};

static void on_written(uv_write_t *request, int status)
{
    struct write *w = request->data;
    pw_control_client *client = w->request.handle->data;

    pw_buf_deinit(&w->frame);
    pw_free(w);
    if (status != 0 && status != UV_ECANCELED) {
        pw_control_client_close(client);
    }
}

void pw_control_client_send(pw_control_client *client, pw_buf *frame)
{
    size_t waiting = uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe);
    struct write *w = pw_calloc(1, sizeof *w);

    if (client->closing || w == NULL || !pw_buf_ok(frame) ||
        waiting + frame->size > PW_CLIENT_QUEUE_BYTES_MAX) {
        if (!client->closing) {
            pw_control_log(client->control, PAWL_WARN,
                           "a client of the control socket is cut: %zu bytes wait for it", waiting);
        }
        pw_control_client_close(client);
        pw_buf_deinit(frame);
        pw_free(w);
        return;
    }
    w->frame = *frame;
    pw_buf_init(frame, 0);
    w->request.data = w;
    uv_buf_t piece = uv_buf_init((char *)w->frame.data, (unsigned)w->frame.size);
    int rc = uv_write(&w->request, (uv_stream_t *)&client->pipe, &piece, 1, on_written);
    if (rc != 0) {
        pw_buf_deinit(&w->frame);
        pw_free(w);
        pw_control_client_close(client);
    }
}

void pw_control_flush(pw_control *c)
{
    pw_control_client *client = c->gathering;

    c->gathering = NULL;
    if (client != NULL && client->gathered.size > 0) {
        pw_control_client_send(client, &client->gathered);
    }
}

void pw_control_client_put(pw_control_client *client, pw_buf *frame)
{
    pw_control *c = client->control;

    if (c->gathering != client || client->gathered.size + frame->size > GATHER_BYTES_MAX) {
        pw_control_flush(c);
    }
    if (client->closing || !pw_buf_ok(frame) || frame->size > GATHER_BYTES_MAX) {
        pw_control_client_send(client, frame);
        return;
    }
    c->gathering = client;
    if (client->gathered.size == 0) { /* the first is taken as it is */
        pw_buf_deinit(&client->gathered);
        client->gathered = *frame;
        pw_buf_init(frame, 0);
        return;
    }
    pw_buf_put(&client->gathered, frame->data, frame->size);
    pw_buf_deinit(frame);
}

static void frame_reply(pw_buf *frame, int64_t number, pawl_status status, pw_view body,
                        const pawl_error *err)
{
    pw_buf_init(frame, PW_FRAME_BYTES_MAX + 4096);
    size_t begin = pw_frame_begin(frame);
    pw_reply_write(frame, number, status, body, err);
    if (!pw_buf_ok(frame) || frame->size - begin > PW_FRAME_BYTES_MAX) {
        pawl_error large;
        pw_buf_reset(frame);
        begin = pw_frame_begin(frame);
        (void)pw_err(&large, PAWL_LIMIT,
                     "the reply of %zu bytes does not fit a frame; ask for less", body.size);
        pw_reply_write(frame, number, PAWL_LIMIT, (pw_view){NULL, 0}, &large);
    }
    pw_frame_end(frame, begin);
}

static void reply(pw_control_client *client, int64_t number, pawl_status status, pw_view body,
                  const pawl_error *err)
{
    pw_buf frame;

    frame_reply(&frame, number, status, body, err);
    pw_control_client_put(client, &frame);
}

/* ---- requests of the engine ---- */

/** Lives in its request's scope: dies with it, whoever drops that. */
struct call {
    pw_control *control;
    uint64_t client;
};

/** On the engine's thread. */
static void on_reply(pw_request *rq, pawl_status status, pw_view body, const pawl_error *err,
                     bool more)
{
    struct call *call = rq->user;
    pw_control_out *out = pw_calloc(1, sizeof *out);

    if (out == NULL) {
        pw_control_lost(call->control, call->client);
        return;
    }
    out->client = call->client;
    out->more = more;
    frame_reply(&out->frame, rq->number, status, body, err);
    pw_control_post(call->control, out);
}

static pawl_status ask_engine(pw_control_client *client, int64_t number, pw_view op, pw_view args,
                              pawl_error *err)
{
    pw_request *rq = NULL;
    pawl_status status = pw_request_new(op, args, on_reply, NULL, &rq, err);

    if (status != PAWL_OK) {
        return status;
    }
    struct call *call = pw_alloc(rq->scope, sizeof *call);
    if (call == NULL) {
        pw_request_free(rq);
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    *call = (struct call){client->control, client->id};
    rq->user = call;
    rq->client = client->id;
    rq->peer_uid = client->uid;
    rq->outside = client->outside;
    rq->number = number;
    status = client->requests < PW_CLIENT_REQUESTS_MAX
                 ? pw_mailbox_put_request(client->control->options.mailbox, rq, err)
                 : pw_err(err, PAWL_FULL, "%d requests of this connection wait already",
                          PW_CLIENT_REQUESTS_MAX);
    if (status != PAWL_OK) {
        pw_request_free(rq);
        return status;
    }
    client->requests++;
    return PAWL_OK;
}

/* ---- requests answered here ---- */

static void answer_read(pw_control_client *client, int64_t number, pw_req_op op, pw_view op_name,
                        pw_view args)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pw_request *rq = NULL;
    pawl_error err;
    pawl_status status = pw_request_new(op_name, args, NULL, NULL, &rq, &err);

    if (status == PAWL_OK) {
        status = pw_view_request(client->control->options.reader, op, rq->args, &out, &err);
    }
    pw_request_free(rq);
    reply(client, number, status, (pw_view){out.data, out.size}, &err);
}

static void answer_hello(pw_control_client *client, int64_t number)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;

    pw_control_hello(&out, client->control->journal_path, client->control->options.epoch);
    reply(client, number, PAWL_OK, (pw_view){out.data, out.size}, NULL);
}

/** False when the peer does not speak the protocol: it has been told so. */
static bool take_message(pw_control_client *client, pw_view message)
{
    int64_t number = 0;
    pw_view op;
    pw_view args;
    pawl_error err;
    pawl_status status = pw_request_parse(message, &number, &op, &args, &err);

    if (status != PAWL_OK) {
        reply(client, number, status, (pw_view){NULL, 0}, &err);
        return false;
    }
    pw_req_op known = pw_req_from_name(op);
    if (known == PW_REQ_HELLO) {
        answer_hello(client, number);
        return true;
    }
    if (known != PW_REQ_NONE && pw_view_can(known, false)) {
        answer_read(client, number, known, op, args);
        return true;
    }
    status = ask_engine(client, number, op, args, &err);
    if (status != PAWL_OK) {
        reply(client, number, status, (pw_view){NULL, 0}, &err);
    }
    return true;
}

/* ---- receiving ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    pw_control_client *client = handle->data;

    (void)suggested;
    *ret_buf = uv_buf_init(client->control->space, sizeof client->control->space);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    pw_control_client *client = stream->data;
    pw_view frame;
    pawl_error err;

    if (count < 0) {
        pw_control_client_close(client);
        return;
    }
    pawl_status status = pw_frames_put(&client->in, buf->base, (size_t)count, &err);
    while (status == PAWL_OK && !client->closing) {
        status = pw_frames_next(&client->in, &frame, &err);
        if (status == PAWL_OK && !take_message(client, frame)) {
            pw_control_client_finish(client);
            return;
        }
    }
    pw_control_flush(client->control);
    if (status != PAWL_DONE && status != PAWL_OK && !client->closing) {
        reply(client, 0, status, (pw_view){NULL, 0}, &err);
        pw_control_client_finish(client);
    }
}

/* ---- coming ---- */

static pawl_status check_peer(pw_control_client *client, pawl_error *err)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    uv_os_fd_t fd = -1;

    if (uv_fileno((const uv_handle_t *)&client->pipe, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return pw_err(err, PAWL_DENIED, "who you are cannot be found out");
    }
    if (peer.uid != geteuid() && peer.uid != 0) {
        return pw_err(err, PAWL_DENIED, "user %ld may not speak to an engine of user %ld",
                      (long)peer.uid, (long)geteuid());
    }
    client->uid = (int64_t)peer.uid;
    client->outside = peer.pid != getpid();
    return PAWL_OK;
}

/** Gives it a slot and an id. */
static pawl_status admit(pw_control_client *client, pawl_error *err)
{
    pw_control *c = client->control;
    pawl_status status = check_peer(client, err);

    for (size_t i = 0; status == PAWL_OK && i < PW_CLIENTS_MAX; i++) {
        if (c->clients[i] == NULL) {
            c->clients[i] = client;
            atomic_fetch_add(&c->clients_len, 1);
            client->id = ++c->serial << SLOT_BITS | i;
            return PAWL_OK;
        }
    }
    return status != PAWL_OK
               ? status
               : pw_err(err, PAWL_FULL, "%d clients are connected already", PW_CLIENTS_MAX);
}

bool pw_control_client_new(pw_control *c)
{
    pw_control_client *client = pw_calloc(1, sizeof *client);
    pw_gone *gone = pw_calloc(1, sizeof *gone);
    pawl_error err;

    if (client == NULL || gone == NULL || uv_pipe_init(&c->loop, &client->pipe, 0) != 0) {
        pw_free(client);
        pw_free(gone);
        return false;
    }
    client->control = c;
    client->gone = gone;
    client->pipe.data = client;
    pw_frames_init(&client->in, PW_FRAME_BYTES_MAX);
    if (uv_accept((uv_stream_t *)&c->server, (uv_stream_t *)&client->pipe) != 0) {
        pw_control_client_close(client);
        return true;
    }
    pawl_status status = admit(client, &err);
    if (status != PAWL_OK) {
        reply(client, 0, status, (pw_view){NULL, 0}, &err);
        pw_control_client_finish(client);
        return true;
    }
    uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read);
    return true;
}
