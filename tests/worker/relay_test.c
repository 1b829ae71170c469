/*
 * relay_test.c - what time does to connections of remote workers, and how the relay keeps its two sides apart: no clock, no TLS, no engine. The engine's
 * side is a socket of this test. With real ones: remote_test.py, remote_hostile_test.py.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sdk/base/mem.h"
#include "tools/relay_inside.h"

#define NOW 1000000

typedef struct world {
    pw_relay relay;
    pw_relay_link *link;
    pw_relay_session *session;
    int engine; /* the other end of the session */
    pw_frames from_session;
} world;

static int setup(void **state)
{
    world *w = pw_calloc(1, sizeof *w);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    w->relay.now_ms = NOW;
    w->relay.options.grace_ms = 1000;
    w->link = pw_calloc(1, sizeof *w->link);
    w->session = pw_calloc(1, sizeof *w->session);
    *w->link = (pw_relay_link){.state = PW_LINK_OPEN,
                               .fd = open("/dev/null", O_RDWR | O_CLOEXEC),
                               .since_ms = NOW,
                               .heard_ms = NOW,
                               .wrote_ms = NOW,
                               .session = w->session};
    *w->session = (pw_relay_session){
        .worker = "w1", .fd = ends[0], .link = w->link, .last_number = 7, .slot = -1};
    pw_frames_init(&w->link->in, 0);
    pw_frames_init(&w->session->in, 0);
    pw_frames_init(&w->from_session, 0);
    w->engine = ends[1];
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pw_relay_link_free(w->link);
    pw_relay_session_free(w->session);
    pw_frames_deinit(&w->from_session);
    close(w->engine);
    pw_free(w);
    return 0;
}

static void later(world *w, int64_t ms)
{
    w->relay.now_ms += ms;
    pw_relay_link_deadline(&w->relay, w->link);
}

static void engine_says(world *w, pw_buf *message)
{
    uint8_t head[4] = {0, 0, (uint8_t)(message->size >> 8), (uint8_t)message->size};
    assert_true(pw_buf_ok(message));
    assert_int_equal(send(w->engine, head, sizeof head, 0), sizeof head);
    assert_int_equal(send(w->engine, message->data, message->size, 0), message->size);
    pw_buf_deinit(message);
    pw_relay_session_serve(&w->relay, w->session, 1);
}

static void engine_gives_task(world *w, int64_t number, const char *token)
{
    pw_buf body = PW_BUF_INIT;
    pw_buf out = PW_BUF_INIT;
    pw_mp_map(&body, 1);
    pw_mp_str(&body, "token");
    pw_mp_str(&body, token);
    pw_reply_write(&out, number, PAWL_OK, (pw_view){body.data, body.size}, NULL);
    pw_buf_deinit(&body);
    engine_says(w, &out);
}

/* The next request that the engine gets: its operation and the token it names; "" when there is none. */
static const char *engine_hears(world *w, char text[200])
{
    uint8_t space[4096];
    pw_view frame, op, args;
    int64_t number = 0;
    pawl_error err;
    pw_relay_session_serve(&w->relay, w->session, 0);
    ssize_t n = recv(w->engine, space, sizeof space, 0);
    if (n > 0) {
        assert_int_equal(pw_frames_put(&w->from_session, space, (size_t)n, &err), PAWL_OK);
    }
    if (pw_frames_next(&w->from_session, &frame, &err) != PAWL_OK) {
        return "";
    }
    assert_int_equal(pw_request_parse(frame, &number, &op, &args, &err), PAWL_OK);
    assert_true(number < 0); /* the relay's own */
    pw_view token = pw_relay_text(args, "token");
    (void)snprintf(text, 200, "%.*s%s%.*s", (int)op.size, (const char *)op.data,
                   token.size > 0 ? " " : "", (int)token.size, (const char *)token.data);
    return text;
}

static void a_peer_that_never_says_who_it_is_is_cut(void **state)
{
    world *w = *state;
    w->link->session = NULL;
    w->session->link = NULL;
    const pw_relay_state states[] = {PW_LINK_SHAKING, PW_LINK_GREETING};
    for (size_t i = 0; i < PW_COUNT(states); i++) {
        w->link->state = states[i];
        w->link->since_ms = w->relay.now_ms;
        w->link->heard_ms = w->relay.now_ms + 9000; /* it trickles */
        later(w, PW_RELAY_GREETING_MS);
        assert_int_equal(w->link->state, states[i]);
        later(w, 1);
        assert_int_equal(w->link->state, PW_LINK_CLOSED);
    }
    assert_int_equal(w->relay.refused, 2);
}

static void a_silent_link_is_cut_and_its_session_waits(void **state)
{
    world *w = *state;
    later(w, PW_RELAY_IDLE_MS);
    assert_int_equal(w->link->state, PW_LINK_OPEN);
    later(w, 1);
    assert_int_equal(w->link->state, PW_LINK_CLOSED);
    assert_null(w->session->link);
    assert_false(w->session->over);
    assert_int_equal(w->session->gone_ms, w->relay.now_ms);
}

static void a_frame_that_does_not_end_is_cut_however_it_trickles(void **state)
{
    world *w = *state;
    w->link->frame_ms = NOW;
    for (int64_t i = 0; i < PW_RELAY_FRAME_MS; i += 10000) {
        w->link->heard_ms = w->relay.now_ms;
        later(w, 10000);
        assert_int_equal(w->link->state, PW_LINK_OPEN);
    }
    w->link->heard_ms = w->relay.now_ms;
    later(w, 1);
    assert_int_equal(w->link->state, PW_LINK_CLOSED);
}

static void a_peer_that_does_not_read_is_cut(void **state)
{
    world *w = *state;
    static const uint8_t message[] = {0xc0};
    pw_relay_link_send(&w->relay, w->link, (pw_view){message, 1});
    w->link->heard_ms = NOW + PW_RELAY_IDLE_MS;
    later(w, PW_RELAY_IDLE_MS);
    assert_int_equal(w->link->state, PW_LINK_OPEN);
    later(w, 1);
    assert_int_equal(w->link->state, PW_LINK_CLOSED);
}

static void it_is_not_read_from_while_much_waits_for_the_other_side(void **state)
{
    world *w = *state;
    static const uint8_t large[PW_RELAY_AHEAD_BYTES];
    assert_true((pw_relay_link_events(w->link) & 1) != 0);
    assert_true(pw_relay_bytes_frame(&w->session->out, (pw_view){large, sizeof large}));
    assert_true((pw_relay_link_events(w->link) & 1) == 0);
    assert_true((pw_relay_session_events(w->session) & 1) != 0);
    assert_true(pw_relay_bytes_frame(&w->link->out, (pw_view){large, sizeof large}));
    assert_true((pw_relay_session_events(w->session) & 1) == 0);
}

static void a_worker_that_is_away_gets_no_tasks_and_those_on_the_way_go_back(void **state)
{
    world *w = *state;
    char text[200];
    pw_relay_link_cut(&w->relay, w->link, false);
    assert_string_equal(engine_hears(w, text), "task_unpoll");
    engine_gives_task(w, 5, "1:2:0:1:1:aa");
    assert_string_equal(engine_hears(w, text), "task_canceled 1:2:0:1:1:aa");
    assert_int_equal(w->session->held_len, 0);
}

static void an_old_answer_is_not_taken_for_a_new_one(void **state)
{
    world *w = *state;
    char text[200];
    pw_relay_link_cut(&w->relay, w->link, false);
    (void)engine_hears(w, text);
    w->session->link = w->link; /* it is back; what it asked up to 7 was asked before */
    w->link->session = w->session;
    engine_gives_task(w, 7, "1:2:0:1:1:aa");
    assert_string_equal(engine_hears(w, text), "task_canceled 1:2:0:1:1:aa");
    assert_int_equal(pw_relay_bytes_left(&w->link->out), 0);
    engine_gives_task(w, 8, "1:3:0:1:1:bb");
    assert_string_equal(engine_hears(w, text), "");
    assert_true(pw_relay_bytes_left(&w->link->out) > 0);
    assert_int_equal(w->session->held_len, 1);
}

static void a_worker_without_a_name_has_lost_its_attempts_with_its_link(void **state)
{
    world *w = *state;
    w->session->worker[0] = '\0';
    pw_relay_link_cut(&w->relay, w->link, false);
    assert_true(w->session->over);
}

static void an_engine_that_goes_ends_the_session(void **state)
{
    world *w = *state;
    assert_int_equal(shutdown(w->engine, SHUT_RDWR), 0);
    pw_relay_session_serve(&w->relay, w->session, 1);
    assert_true(w->session->over);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_peer_that_never_says_who_it_is_is_cut),
        T(a_silent_link_is_cut_and_its_session_waits),
        T(a_frame_that_does_not_end_is_cut_however_it_trickles),
        T(a_peer_that_does_not_read_is_cut),
        T(it_is_not_read_from_while_much_waits_for_the_other_side),
        T(a_worker_that_is_away_gets_no_tasks_and_those_on_the_way_go_back),
        T(an_old_answer_is_not_taken_for_a_new_one),
        T(a_worker_without_a_name_has_lost_its_attempts_with_its_link),
        T(an_engine_that_goes_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
