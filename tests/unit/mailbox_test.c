/*
 * mailbox_test.c - the mailbox and the outbox between threads: nothing lost, nothing twice, in order, bounded. Does not start an engine.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/mailbox.h"
#include "engine/outbox.h"
#include "sdk/base/limits.h"

#define POSTERS 4
#define EACH 5000

static pw_request *a_request(int64_t number)
{
    static const uint8_t op[] = "stats";
    pw_request *rq = NULL;
    pawl_error err;

    assert_int_equal(pw_request_new((pw_view){op, 5}, (pw_view){NULL, 0}, NULL, NULL, &rq, &err),
                     PAWL_OK);
    rq->number = number;
    return rq;
}

struct poster {
    pw_mailbox *mailbox;
    uint64_t client;
};

static void *post_all(void *arg)
{
    struct poster *p = arg;
    pawl_error err;

    for (int64_t i = 0; i < EACH; i++) {
        pw_request *rq = a_request(i);
        rq->client = p->client;
        if (pw_mailbox_put_request(p->mailbox, rq, &err) != PAWL_OK) {
            return arg;
        }
    }
    return NULL;
}

/** As the loop does: take all, then sleep only when the box says that it is empty. */
static void take_until(pw_mailbox *mb, int64_t last[POSTERS], int wanted)
{
    int got = 0;

    while (got < wanted) {
        pw_mail mail;
        pw_mailbox_take(mb, &mail);
        while (mail.requests != NULL) {
            pw_request *rq = mail.requests;
            mail.requests = rq->next;
            assert_int_equal(rq->number, last[rq->client] + 1);
            last[rq->client] = rq->number;
            pw_request_free(rq);
            got++;
        }
        if (got < wanted && pw_mailbox_rest(mb)) {
            struct pollfd p = {.fd = pw_mailbox_fd(mb), .events = POLLIN};
            assert_int_equal(poll(&p, 1, 20000), 1); /* a lost wake-up ends here */
            pw_mailbox_wake(mb);
        }
    }
}

static void each_posters_requests_arrive_once_and_in_order(void **state)
{
    pw_mailbox *mb = NULL;
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    int64_t last[POSTERS];
    pawl_error err;

    (void)state;
    assert_int_equal(pw_mailbox_new(&mb, &err), PAWL_OK);
    for (uint64_t i = 0; i < POSTERS; i++) {
        last[i] = -1;
        posters[i] = (struct poster){mb, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    take_until(mb, last, POSTERS * EACH);
    for (int i = 0; i < POSTERS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
        assert_int_equal(last[i], EACH - 1);
    }
    assert_false(pw_mailbox_peek(mb));
    pw_mailbox_free(mb);
}

static void a_full_box_refuses_and_a_shut_one_too(void **state)
{
    pw_mailbox *mb = NULL;
    pawl_error err;

    (void)state;
    assert_int_equal(pw_mailbox_new(&mb, &err), PAWL_OK);
    for (int i = 0; i < PW_MAILBOX_ITEMS_MAX; i++) {
        assert_int_equal(pw_mailbox_put_request(mb, a_request(i), &err), PAWL_OK);
    }
    pw_request *one_more = a_request(0);
    assert_int_equal(pw_mailbox_put_request(mb, one_more, &err), PAWL_FULL);
    pw_mailbox_shut(mb);
    assert_int_equal(pw_mailbox_put_request(mb, one_more, &err), PAWL_SHUTDOWN);
    pw_request_free(one_more);
    pw_mailbox_free(mb); /* frees what nobody took */
}

/* ---- the outbox ---- */

struct seen {
    int events;
    int64_t last;
    int64_t lost;
    bool in_order;
};

static void on_event(void *user, const pawl_value *event)
{
    struct seen *s = user;

    if (pawl_is(event, "type", "Lost")) {
        s->lost += pawl_int(event, "count", 0);
        return;
    }
    s->in_order = s->in_order && pawl_int(event, "n", -1) > s->last;
    s->last = pawl_int(event, "n", -1);
    s->events++;
}

static void a_slow_watcher_loses_events_and_is_told_how_many(void **state)
{
    struct seen s = {.last = -1, .in_order = true};
    pw_outbox *ob = NULL;
    pw_watch *watch = NULL;
    pawl_error err;
    int total = PW_WATCH_EVENTS_MAX + 123;

    (void)state;
    assert_int_equal(pw_outbox_new(&ob, &err), PAWL_OK);
    assert_int_equal(pw_outbox_watch(ob, on_event, &s, &watch, &err), PAWL_OK);
    for (int i = 0; i < total; i++) {
        PW_CLEANUP(pw_buf_deinit) pw_buf event = PW_BUF_INIT;
        pw_mp_map(&event, 1);
        pw_mp_str(&event, "n");
        pw_mp_int(&event, i);
        pw_outbox_event(ob, watch, (pw_view){event.data, event.size});
    }
    struct pollfd p = {.fd = pw_outbox_fd(ob), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    pw_outbox_ring(ob);
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(pw_outbox_dispatch(ob), PW_WATCH_EVENTS_MAX + 1);
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(s.events, PW_WATCH_EVENTS_MAX);
    assert_int_equal(s.lost, 123);
    assert_true(s.in_order);
    assert_int_equal(pw_outbox_dispatch(ob), 0);
    pw_outbox_free(ob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_posters_requests_arrive_once_and_in_order),
        cmocka_unit_test(a_full_box_refuses_and_a_shut_one_too),
        cmocka_unit_test(a_slow_watcher_loses_events_and_is_told_how_many),
    };

    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
