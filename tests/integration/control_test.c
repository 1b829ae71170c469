/*
 * control_test.c - the control socket: its client, peers that misbehave, many of them, workers, and journals that nobody owns. Does
 * not test what the operations mean (host_test.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/request.h"
#include "host_rig.h"
#include "journal/journal.h"
#include "sdk/base/frame.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"
#include "tools/client.h"

static int open_setup(void **state)
{
    if (rig_setup(state) != 0) {
        return -1;
    }
    rig_open(*state, NULL);
    return 0;
}

/* ---- a peer by hand ---- */

static int connect_raw(const rig *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s.sock", r->path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_raw(int fd, const void *data, size_t size)
{
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
}

static bool read_exactly(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 20000) != 1) {
            fail_msg("the server did not answer within 20 s");
        }
        ssize_t n = recv(fd, data, size, 0);
        if (n <= 0) {
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/** The next reply's status; -1 when the server closed instead. */
static int read_reply(int fd, int64_t *ret_number)
{
    uint8_t head[4];
    pw_view body;
    pawl_status said = PAWL_OK;
    pawl_error err;

    if (!read_exactly(fd, head, sizeof head)) {
        return -1;
    }
    size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    assert_true(size <= PW_FRAME_BYTES_MAX);
    uint8_t *message = malloc(size + 1);
    assert_non_null(message);
    assert_true(read_exactly(fd, message, size));
    assert_int_equal(pw_reply_parse((pw_view){message, size}, ret_number, &said, &body, &err),
                     PAWL_OK);
    free(message);
    return (int)said;
}

static void put_request(pw_buf *out, int64_t number, const char *op, const pawl_value *args)
{
    size_t begin = pw_frame_begin(out);

    pw_request_write(out, number, op, args != NULL ? pw_value_bytes(args) : (pw_view){NULL, 0});
    pw_frame_end(out, begin);
}

/* ---- peers that misbehave ---- */

static void what_is_no_message_gets_one_error_and_a_close(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        pawl_status status;
    } cases[] = {
        {"\xff\xff\xff\xff", 4, PAWL_LIMIT},
        {"\0\0\0\x01\xc1", 5, PAWL_PARSE},
        {"\0\0\0\0", 4, PAWL_PARSE},
        {"\0\0\0\x05\xdd\xff\xff\xff\xff", 9, PAWL_PARSE},
        {"\0\0\0\x09\x94\x63\x01\xa4list\x80", 13, PAWL_UNSUPPORTED},
        {"GET / HTTP/1.1\r\n\r\n", 18, PAWL_LIMIT},
    };
    rig *r = *state;

    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        int64_t number = -1;
        int fd = connect_raw(r);
        send_raw(fd, cases[i].bytes, cases[i].size);
        int said = read_reply(fd, &number);
        if (said != (int)cases[i].status) {
            fail_msg("case %zu: %s, expected %s", i, pawl_status_name((pawl_status)said),
                     pawl_status_name(cases[i].status));
        }
        assert_int_equal(read_reply(fd, &number), -1);
        close(fd);
    }
    rig_start(r, "hello", "h-1", NULL); /* unharmed */
    (void)rig_result(r, "h-1");
}

static void a_message_nested_too_deep_gets_an_error_and_a_close(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = -1;
    int fd = connect_raw(r);

    size_t begin = pw_frame_begin(&out);
    pw_buf_put(&out, "\x94\x01\x01\xa4list\x81\xa1x", 11);
    for (int i = 0; i < 50000; i++) {
        pw_mp_array(&out, 1);
    }
    pw_mp_nil(&out);
    pw_frame_end(&out, begin);
    send_raw(fd, out.data, out.size);
    assert_int_equal(read_reply(fd, &number), PAWL_LIMIT);
    assert_int_equal(read_reply(fd, &number), -1);
    close(fd);
}

static void a_wrong_request_gets_an_error_and_the_connection_stays(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = -1;
    int fd = connect_raw(r);

    put_request(&out, 1, "nonsense", NULL);
    put_request(&out, 2, "describe", pawl_build(r->scope, "{id: \"ghost\"}"));
    put_request(&out, 3, "describe", NULL);
    put_request(&out, 4, "hello", NULL);
    send_raw(fd, out.data, out.size);
    assert_int_equal(read_reply(fd, &number), PAWL_INVALID);
    assert_int_equal(number, 1);
    assert_int_equal(read_reply(fd, &number), PAWL_NOTFOUND);
    assert_int_equal(number, 2);
    assert_int_equal(read_reply(fd, &number), PAWL_INVALID);
    assert_int_equal(number, 3);
    assert_int_equal(read_reply(fd, &number), PAWL_OK);
    assert_int_equal(number, 4);
    close(fd);
}

/* It would be looked up when the run goes on: somebody else's payload, or one that is not there and holds up the run for ever. */
static void a_payload_that_claims_to_be_a_blob_is_refused(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf args = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    const uint8_t ref[PW_DIGEST_SIZE + 8] = {1, 2, 3};
    int64_t number = -1;
    int fd = connect_raw(r);

    rig_start(r, "go", "g-1", NULL);
    pw_mp_map(&args, 3);
    pw_mp_str(&args, "id");
    pw_mp_str(&args, "g-1");
    pw_mp_str(&args, "name");
    pw_mp_str(&args, "go");
    pw_mp_str(&args, "value");
    pw_mp_ext(&args, PW_EXT_BLOB, ref, sizeof ref);
    size_t begin = pw_frame_begin(&out);
    pw_request_write(&out, 1, "signal", (pw_view){args.data, args.size});
    pw_frame_end(&out, begin);
    put_request(&out, 2, "signal", pawl_build(r->scope, "{id: \"g-1\", name: \"go\", value: 7}"));
    send_raw(fd, out.data, out.size);
    assert_int_equal(read_reply(fd, &number), PAWL_INVALID);
    assert_int_equal(number, 1);
    assert_int_equal(read_reply(fd, &number), PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "g-1"), "0", 0), 7);
    close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = -1;
    int fd = connect_raw(r);

    put_request(&out, 9, "start", pawl_build(r->scope, "{workflow: \"hello\", id: \"h-1\"}"));
    for (size_t i = 0; i < out.size; i++) {
        send_raw(fd, out.data + i, 1);
    }
    assert_int_equal(read_reply(fd, &number), PAWL_OK);
    assert_int_equal(number, 9);
    close(fd);
    (void)rig_result(r, "h-1");
}

/* Who is at the other end is what the system says: nothing in a request can say otherwise. */
static void the_user_of_an_answer_is_the_peer_and_cannot_be_claimed(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    const pawl_value *v = NULL;
    int64_t number = -1, seen = 0;

    rig_start(r, "asker", "a-1", "{\"what\": 1}");
    rig_until(r, "a-1", "waiting", pawl_str(rig_describe(r, "a-1"), "waiting", ""));
    int fd = connect_raw(r);
    put_request(&out, 1, "answer",
                pawl_build(r->scope,
                           "{id: %s, value: {choice: %s, uid: 4711}, by: %s, uid: 4711, "
                           "peer_uid: 4711}",
                           "a-1", "yes", "root"));
    send_raw(fd, out.data, out.size);
    assert_int_equal(read_reply(fd, &number), PAWL_OK);
    close(fd);
    ok(r, pawl_history(r->engine, "a-1", 1, 100, r->scope, &v, &r->err));
    for (size_t i = 0; i < pawl_len(v); i++) {
        const pawl_value *e = pawl_at(v, i);
        if (pawl_is(e, "type", "WaitAnswered")) {
            assert_int_equal(pawl_int(e, "uid", -1), getuid());
            seen++;
        }
    }
    assert_int_equal(seen, 1);
}

static void clients_that_vanish_in_the_middle_harm_nobody(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;

    rig_start(r, "go", "g-1", NULL);
    put_request(&out, 1, "result", pawl_build(r->scope, "{id: \"g-1\"}"));
    put_request(&out, 2, "watch", NULL);
    put_request(&out, 3, "list", NULL);
    for (size_t i = 0; i < out.size; i++) {
        int fd = connect_raw(r);
        send_raw(fd, out.data, i + 1);
        close(fd);
    }
    ok(r, pawl_signal_post(r->engine, "g-1", "go", NULL, NULL, &r->err));
    (void)rig_result(r, "g-1");
}

static void a_client_that_does_not_read_is_cut(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf ask = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pawl_scope *scope = pawl_scope_new();

    for (int i = 0; i < 4 << 20; i++) {
        pw_buf_putc(&text, 'x');
    }
    pawl_start_options o = {.workflow = "go",
                            .id = "g-1",
                            .input = pawl_make_strn(scope, (const char *)text.data, text.size)};
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    put_request(&ask, 1, "history", pawl_build(scope, "{id: \"g-1\"}"));
    int fd = connect_raw(r);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    bool cut = false;
    for (int i = 0; i < 200 && !cut;
         i++) { /* 200 replies of 4 MiB: beyond PW_CLIENT_QUEUE_BYTES_MAX */
        ssize_t n = send(fd, ask.data, ask.size, MSG_NOSIGNAL);
        cut = n < 0 && (errno == EPIPE || errno == ECONNRESET);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        (void)poll(&p, 1, 20000);
        cut = cut || (p.revents & (POLLHUP | POLLERR)) != 0;
    }
    struct pollfd p = {.fd = fd};
    assert_true(cut || (poll(&p, 1, 20000) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0));
    close(fd);
    pawl_scope_free(scope);
    rig_start(r, "hello", "h-1", NULL);
    (void)rig_result(r, "h-1");
}

static void a_hundred_clients_are_served_at_once(void **state)
{
    rig *r = *state;
    pw_client *clients[100];
    int64_t numbers[100];
    char id[20];

    for (int i = 0; i < 100; i++) {
        ok(r, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &clients[i], &r->err));
    }
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "h-%d", i);
        ok(r, pw_client_send(clients[i], "start",
                             pawl_build(r->scope, "{workflow: \"hello\", id: %s}", id), &numbers[i],
                             &r->err));
    }
    for (int i = 99; i >= 0; i--) {
        ok(r, pw_client_next(clients[i], numbers[i], 20000, r->scope, NULL, &r->err));
        (void)snprintf(id, sizeof id, "h-%d", i);
        ok(r, pw_client_send(clients[i], "result", pawl_build(r->scope, "{id: %s}", id),
                             &numbers[i], &r->err));
    }
    for (int i = 0; i < 100; i++) {
        const pawl_value *v = NULL;
        ok(r, pw_client_next(clients[i], numbers[i], 20000, r->scope, &v, &r->err));
        assert_string_equal(pawl_str(v, "status", ""), "completed");
        pw_client_close(clients[i]);
    }
}

static void a_connection_without_memory_waits_and_the_socket_lives_on(void **state)
{
    rig *r = *state;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = -1;
    bool failed = false;

    put_request(&out, 7, "hello", NULL);
    pw_mem_fail(1, true);
    int first = connect_raw(r);
    while (!failed) { /* nobody but the server of the socket has anything to do */
        (void)sched_yield();
        (void)pw_mem_count(&failed);
    }
    pw_mem_fail(0, false);
    int second = connect_raw(r);
    send_raw(second, out.data, out.size);
    assert_int_equal(read_reply(second, &number), PAWL_OK);
    send_raw(first, out.data, out.size);
    assert_int_equal(read_reply(first, &number), PAWL_OK);
    close(first);
    close(second);
}

static void one_client_too_many_is_told_so(void **state)
{
    rig *r = *state;
    int fds[PW_CLIENTS_MAX];
    int64_t number = -1;
    PW_CLEANUP(pw_buf_deinit) pw_buf hello = PW_BUF_INIT;

    put_request(&hello, 1, "hello", NULL);
    for (int i = 0; i < PW_CLIENTS_MAX; i++) {
        fds[i] = connect_raw(r);
        send_raw(fds[i], hello.data, hello.size);
        assert_int_equal(read_reply(fds[i], &number), PAWL_OK);
    }
    int last = connect_raw(r);
    assert_int_equal(read_reply(last, &number), PAWL_FULL);
    assert_int_equal(read_reply(last, &number), -1);
    close(last);
    for (int i = 0; i < PW_CLIENTS_MAX; i++) {
        close(fds[i]);
    }
    pw_client *c = NULL;
    for (int i = 0;
         i < 100000 && pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err) == PAWL_FULL;
         i++) {
        /* until the server has seen the closes: each try is a round trip to it */
    }
    assert_non_null(c);
    pw_client_close(c);
}

/* ---- the client ---- */

static void a_client_starts_signals_and_gets_the_result(void **state)
{
    rig *r = *state;
    pw_client *c = NULL;
    const pawl_value *v = NULL;

    ok(r, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err));
    assert_true(pw_client_is_live(c));
    assert_int_equal(pw_client_pid(c), getpid());
    ok(r, pw_client_request(c, "start", pawl_build(r->scope, "{workflow: \"go\", id: \"g-1\"}"),
                            20000, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "id", ""), "g-1");
    assert_false(pw_client_kept(c));
    expect(r, PAWL_TIMEOUT,
           pw_client_request(c, "result", pawl_build(r->scope, "{id: \"g-1\"}"), 20, r->scope, &v,
                             &r->err));
    ok(r,
       pw_client_request(c, "signal", pawl_build(r->scope, "{id: \"g-1\", name: \"go\", value: 7}"),
                         20000, r->scope, &v, &r->err));
    ok(r, pw_client_request(c, "result", pawl_build(r->scope, "{id: \"g-1\"}"), 20000, r->scope, &v,
                            &r->err));
    assert_int_equal(pawl_int(v, "result.0", 0), 7);
    ok(r, pw_client_request(c, "history", pawl_build(r->scope, "{id: \"g-1\"}"), 20000, r->scope,
                            &v, &r->err));
    assert_string_equal(pawl_str(v, "0.type", ""), "RunStarted");
    expect(r, PAWL_NOTFOUND,
           pw_client_request(c, "cancel", pawl_build(r->scope, "{id: \"ghost\"}"), 20000, r->scope,
                             &v, &r->err));
    assert_non_null(strstr(r->err.message, "ghost"));
    pw_client_close(c);
}

/* Sends the request as number 1 and one more as number 2, which is answered: so the engine has had both. */
static void send_and_be_seen(int fd, const char *op, const pawl_value *args)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = 0;

    put_request(&out, 1, op, args);
    put_request(&out, 2, "stats", NULL);
    send_raw(fd, out.data, out.size);
    assert_int_equal(read_reply(fd, &number), PAWL_OK);
    assert_int_equal(number, 2);
}

static void what_needs_code_waits_until_the_code_is_there(void **state)
{
    rig *r = *state;
    const pawl_options o = {.struct_size = sizeof o};
    const pawl_start_options within = {.workflow = "hello", .id = "within"};
    const pawl_value *v = NULL;
    int64_t number = 0;

    ok(r, pawl_open(r->path, &o, &r->engine, &r->err));
    expect(r, PAWL_NOCODE, pawl_start(r->engine, &within, sizeof within, NULL, &r->err));
    int stays = connect_raw(r), goes = connect_raw(r), unknown = connect_raw(r);
    int queues = connect_raw(r);
    send_and_be_seen(queues, "queues", NULL); /* they are read with the tasks */
    send_and_be_seen(stays, "start", pawl_build(r->scope, "{workflow: \"hello\", id: \"stays\"}"));
    send_and_be_seen(goes, "start", pawl_build(r->scope, "{workflow: \"hello\", id: \"goes\"}"));
    send_and_be_seen(unknown, "start", pawl_build(r->scope, "{workflow: \"hullo\", id: \"no\"}"));
    close(goes);
    do {
        ok(r, pawl_stats(r->engine, r->scope, &v, &r->err));
    } while (pawl_int(v, "clients", -1) > 3);
    rig_register(r);
    ok(r, pawl_resume_all(r->engine, &r->err));
    assert_int_equal(read_reply(stays, &number), PAWL_OK);
    assert_int_equal(number, 1);
    (void)rig_result(r, "stays");
    assert_int_equal(read_reply(queues, &number), PAWL_OK);
    assert_int_equal(number, 1);
    assert_int_equal(read_reply(unknown, &number), PAWL_NOCODE);
    expect(r, PAWL_NOTFOUND, pawl_describe(r->engine, "goes", r->scope, &v, &r->err));
    close(stays);
    close(queues);
    close(unknown);
}

static void what_waited_for_code_is_done_in_the_order_it_came(void **state)
{
    enum { STARTS = 50 };
    rig *r = *state;
    const pawl_options o = {.struct_size = sizeof o};
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = 0;

    ok(r, pawl_open(r->path, &o, &r->engine, &r->err));
    int goes = connect_raw(r), fd = connect_raw(r);
    send_and_be_seen(goes, "start", pawl_build(r->scope, "{workflow: \"hello\"}"));
    for (int i = 1; i <= STARTS; i++) {
        put_request(&out, i, "start", pawl_build(r->scope, "{workflow: \"hello\"}"));
    }
    put_request(&out, STARTS + 1, "stats", NULL);
    send_raw(fd, out.data, out.size);
    assert_int_equal(read_reply(fd, &number), PAWL_OK);
    assert_int_equal(number, STARTS + 1);
    close(goes);
    rig_register(r);
    ok(r, pawl_resume_all(r->engine, &r->err));
    for (int i = 1; i <= STARTS; i++) {
        assert_int_equal(read_reply(fd, &number), PAWL_OK);
        assert_int_equal(number, i);
    }
    close(fd);
}

static void an_engine_that_closes_before_it_has_code_says_so_to_who_waits(void **state)
{
    rig *r = *state;
    const pawl_options o = {.struct_size = sizeof o};
    int64_t number = 0;

    ok(r, pawl_open(r->path, &o, &r->engine, &r->err));
    int fd = connect_raw(r);
    send_and_be_seen(fd, "start", pawl_build(r->scope, "{workflow: \"hello\"}"));
    rig_close(r);
    assert_int_equal(read_reply(fd, &number), PAWL_SHUTDOWN);
    assert_int_equal(number, 1);
    close(fd);
}

static void a_watch_streams_until_unwatch(void **state)
{
    rig *r = *state;
    pw_client *c = NULL;
    const pawl_value *v = NULL;
    int64_t watch = 0;

    ok(r, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err));
    ok(r, pw_client_send(c, "watch", pawl_build(r->scope, "{id: \"h-1\"}"), &watch, &r->err));
    ok(r, pw_client_request(c, "start", pawl_build(r->scope, "{workflow: \"hello\", id: \"h-1\"}"),
                            20000, r->scope, &v, &r->err));
    do {
        ok(r, pw_client_next(c, watch, 20000, r->scope, &v, &r->err));
    } while (!pawl_is(v, "type", "RunCompleted"));
    ok(r, pw_client_request(c, "unwatch", pawl_build(r->scope, "{request: %lld}", (long long)watch),
                            20000, r->scope, &v, &r->err));
    ok(r, pw_client_request(c, "start", pawl_build(r->scope, "{workflow: \"hello\", id: \"h-1\"}"),
                            20000, r->scope, &v, &r->err));
    ok(r, pw_client_request(c, "result", pawl_build(r->scope, "{id: \"h-1\"}"), 20000, r->scope, &v,
                            &r->err));
    pawl_status more = pw_client_next(c, watch, 0, r->scope, &v, &r->err);
    assert_true(more == PAWL_TIMEOUT || more == PAWL_DONE); /* at most the watch's own end */
    pw_client_close(c);
}

static void what_is_posted_with_no_owner_is_kept_and_acted_on_later(void **state)
{
    rig *r = *state;
    pw_client *c = NULL;
    const pawl_value *v = NULL;
    char id[60];

    rig_start(r, "go", "g-1", NULL);
    rig_close(r);
    ok(r, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err));
    assert_false(pw_client_is_live(c));
    ok(r,
       pw_client_request(c, "signal", pawl_build(r->scope, "{id: \"g-1\", name: \"go\", value: 3}"),
                         20000, r->scope, &v, &r->err));
    assert_true(pw_client_kept(c));
    ok(r, pw_client_request(c, "start", pawl_build(r->scope, "{workflow: \"hello\"}"), 20000,
                            r->scope, &v, &r->err));
    assert_true(pawl_bool(v, "kept", false));
    (void)snprintf(id, sizeof id, "%s", pawl_str(v, "id", ""));
    assert_int_equal(strlen(id), 36);
    ok(r, pw_client_request(c, "signal", pawl_build(r->scope, "{id: %s, name: \"x\"}", id), 20000,
                            r->scope, &v, &r->err));
    expect(r, PAWL_NOTFOUND,
           pw_client_request(c, "cancel", pawl_build(r->scope, "{id: \"ghost\"}"), 20000, r->scope,
                             &v, &r->err));
    rig_open(r, NULL);
    assert_int_equal(pawl_int(rig_result(r, "g-1"), "0", 0), 3);
    rig_watch(r);
    while (pawl_describe(r->engine, id, r->scope, &v, &r->err) == PAWL_NOTFOUND) {
        rig_event(r);
    }
    (void)rig_result(r, id);
    pw_client_close(c);
}

static void a_file_without_an_owner_answers_reads(void **state)
{
    rig *r = *state;
    pw_client *c = NULL;
    const pawl_value *v = NULL;

    rig_start(r, "keys", "k-1", NULL);
    rig_until(r, "k-1", "waiting", "signal go");
    rig_start(r, "asker", "a-1", NULL);
    rig_start(r, "hello", "h-1", "{\"name\": \"Ada\"}");
    (void)rig_result(r, "h-1");
    rig_close(r);
    ok(r, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err));
    const pawl_value *k1 = pawl_build(r->scope, "{id: \"k-1\", name: \"colour\"}");
    const pawl_value *h1 = pawl_build(r->scope, "{id: \"h-1\"}");
    ok(r, pw_client_request(c, "list", pawl_build(r->scope, "{filter: \"status = open\"}"), -1,
                            r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "runs")), 2);
    ok(r, pw_client_request(c, "describe", h1, -1, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "status", ""), "completed");
    ok(r, pw_client_request(c, "result", h1, -1, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "result.text", ""), "Ada");
    ok(r, pw_client_request(c, "query", k1, -1, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "", ""), "green");
    ok(r, pw_client_request(c, "waits", NULL, -1, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(v), 1);
    ok(r, pw_client_request(c, "stack", pawl_build(r->scope, "{id: \"a-1\"}"), -1, r->scope, &v,
                            &r->err));
    assert_string_equal(pawl_str(v, "waiting.0.name", ""), "approve");
    expect(r, PAWL_NOT,
           pw_client_request(c, "result", pawl_build(r->scope, "{id: \"k-1\"}"), -1, r->scope, &v,
                             &r->err));
    expect(r, PAWL_UNSUPPORTED, pw_client_request(c, "stats", NULL, -1, r->scope, &v, &r->err));
    assert_non_null(strstr(r->err.message, "no engine runs on this journal"));
    pw_client_close(c);
}

static void a_client_finds_the_next_owner_when_the_first_is_gone(void **state)
{
    rig *r = *state;
    pw_client *c = NULL;
    const pawl_value *v = NULL;

    ok(r, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err));
    rig_close(r);
    rig_open(r, NULL);
    ok(r, pw_client_request(c, "start", pawl_build(r->scope, "{workflow: \"hello\", id: \"h-1\"}"),
                            20000, r->scope, &v, &r->err));
    (void)rig_result(r, "h-1");
    pw_client_close(c);
}

static void an_owner_that_does_not_answer_is_busy_and_named(void **state)
{
    rig *r = *state;
    pw_journal *j = NULL;
    pw_client *c = NULL;
    char pid[20];

    rig_open(r, NULL);
    rig_close(r);
    ok(r, pw_sqlite_open(r->path, "", &j, &r->err));
    expect(r, PAWL_BUSY, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err));
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(r->err.message, pid));
    j->ops->close(j);
    expect(r, PAWL_NOTFOUND, pw_client_open("/nonexistent/j.db", 0, &c, &r->err));
}

/* ---- workers ---- */

static const pawl_value *remote_flow(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "remote", .input = in);
}

static void a_worker_elsewhere_does_a_task(void **state)
{
    rig *r = *state;
    pw_client *c = NULL;
    const pawl_value *task = NULL;
    const pawl_value *v = NULL;
    const pawl_value *poll_args = pawl_build(r->scope, "{activities: [\"remote\"]}");

    ok(r, pawl_register_workflow(r->engine, "remote_flow", "1", remote_flow, NULL, &r->err));
    ok(r, pw_client_open(r->path, PW_CLIENT_PATIENCE_MS, &c, &r->err));
    rig_start(r, "remote_flow", "w-1", "{\"n\": 20}");
    ok(r, pw_client_request(c, "task_poll", poll_args, 20000, r->scope, &task, &r->err));
    assert_string_equal(pawl_str(task, "run", ""), "w-1");
    assert_int_equal(pawl_int(task, "attempt", 0), 1);
    const char *token = pawl_str(task, "token", "");
    ok(r, pw_client_request(c, "task_beat",
                            pawl_build(r->scope, "{token: %s, detail: {done: 1}}", token), 20000,
                            r->scope, &v, &r->err));
    assert_false(pawl_bool(v, "cancel", true));
    const pawl_value *done = pawl_build(r->scope, "{token: %s, result: %d}", token,
                                        (int)pawl_int(task, "input.n", 0) + 1);
    ok(r, pw_client_request(c, "task_done", done, 20000, r->scope, &v, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "w-1"), "", 0), 21);
    expect(r, PAWL_STALE, pw_client_request(c, "task_done", done, 20000, r->scope, &v, &r->err));
    pw_client_close(c);
}

/* ---- who may ---- */

#define ANOTHER_USER 65534

/* In a child that is another user: connects and hands over what it is told, by a pipe. Exits with the errno of connect. */
static void be_another_user(const rig *r, int out)
{
    uint8_t bytes[1024];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s.sock", r->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setgid(ANOTHER_USER) != 0 || setuid(ANOTHER_USER) != 0 || fd < 0) {
        _exit(255);
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        _exit(errno);
    }
    for (ssize_t n = 1; n > 0;) {
        n = recv(fd, bytes, sizeof bytes, 0);
        if (n > 0 && write(out, bytes, (size_t)n) != n) {
            _exit(254);
        }
    }
    _exit(0);
}

/* The errno of its connect; what it was told can be read from *ret_fd. */
static int as_another_user(const rig *r, int *ret_fd)
{
    int pipes[2];
    int status = 0;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        be_another_user(r, pipes[1]);
    }
    assert_true(child > 0);
    close(pipes[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    *ret_fd = pipes[0];
    return WEXITSTATUS(status);
}

static void another_user_is_denied_twice_over(void **state)
{
    rig *r = *state;
    char path[128];
    char said[1024];
    struct stat st;
    int fd = -1;

    (void)snprintf(path, sizeof path, "%s.sock", r->path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    if (geteuid() != 0) {
        print_message("skipped: only root can become another user\n");
        skip();
    }
    assert_int_equal(chmod(r->folder, 0755), 0);
    assert_int_equal(as_another_user(r, &fd), EACCES); /* by the socket's mode, */
    close(fd);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(as_another_user(r, &fd),
                     0); /* and where that was opened, by its credentials */
    ssize_t n = read(fd, said, sizeof said);
    assert_true(n > 4); /* one reply, and a close: the child has seen the end */
    pw_view body;
    pawl_status status = PAWL_OK;
    pawl_error err;
    int64_t number = -1;
    assert_int_equal(pw_reply_parse((pw_view){(const uint8_t *)said + 4, (size_t)n - 4}, &number,
                                    &status, &body, &err),
                     PAWL_OK);
    assert_int_equal(number, 0);
    assert_int_equal(status, PAWL_DENIED);
    assert_non_null(strstr(err.message, "user 65534 may not speak to an engine of user 0"));
    close(fd);
    rig_start(r, "go", "go-1", NULL); /* nobody else is harmed */
    fd = connect_raw(r);
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_setup, rig_teardown)
#define C(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_no_message_gets_one_error_and_a_close),
        T(a_message_nested_too_deep_gets_an_error_and_a_close),
        T(a_wrong_request_gets_an_error_and_the_connection_stays),
        T(a_payload_that_claims_to_be_a_blob_is_refused),
        T(a_request_may_come_byte_by_byte),
        T(the_user_of_an_answer_is_the_peer_and_cannot_be_claimed),
        T(clients_that_vanish_in_the_middle_harm_nobody),
        T(a_client_that_does_not_read_is_cut),
        T(a_hundred_clients_are_served_at_once),
        T(a_connection_without_memory_waits_and_the_socket_lives_on),
        T(one_client_too_many_is_told_so),
        T(a_client_starts_signals_and_gets_the_result),
        C(what_needs_code_waits_until_the_code_is_there),
        C(what_waited_for_code_is_done_in_the_order_it_came),
        C(an_engine_that_closes_before_it_has_code_says_so_to_who_waits),
        T(a_watch_streams_until_unwatch),
        T(what_is_posted_with_no_owner_is_kept_and_acted_on_later),
        T(a_file_without_an_owner_answers_reads),
        T(a_client_finds_the_next_owner_when_the_first_is_gone),
        C(an_owner_that_does_not_answer_is_busy_and_named),
        T(a_worker_elsewhere_does_a_task),
        T(another_user_is_denied_twice_over),
    };
#undef T
#undef C

    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
