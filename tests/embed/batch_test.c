/*
 * batch_test.c - the queue before an encoder: with an encoder that waits at a gate and writes down what it was given. Whether vectors are right is not
 * asked here; that a call gets its own, is.
 */
#include "embed_rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/batch.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define TOKENS 32u
#define CALLS_MAX 12
#define BATCHES_MAX 200

/* An encoder whose vector of a text is {its first id, its length}. */
typedef struct fake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t open; /* so many batches may pass */
    bool inside;
    pthread_t leader; /* whose thread the last batch came on */
    bool fails;
    size_t batches;
    size_t tokens[BATCHES_MAX];
    size_t texts[BATCHES_MAX];
    uint32_t first[BATCHES_MAX][TOKENS]; /* id of each text */
} fake;

static pawl_status fake_encode(void *user, const pw_ids *texts, size_t len, float *ret_vectors,
                               pawl_error *err)
{
    fake *f = user;
    (void)pthread_mutex_lock(&f->lock);
    const size_t n = f->batches++;
    f->inside = true;
    f->leader = pthread_self();
    (void)pthread_cond_broadcast(&f->changed);
    while (f->open == 0) {
        (void)pthread_cond_wait(&f->changed, &f->lock);
    }
    f->open--;
    f->inside = false;
    const bool fails = f->fails;
    for (size_t i = 0; i < len; i++) {
        f->tokens[n % BATCHES_MAX] += texts[i].len;
        f->first[n % BATCHES_MAX][i % TOKENS] = texts[i].ids[0];
        ret_vectors[2 * i] = (float)texts[i].ids[0];
        ret_vectors[2 * i + 1] = (float)texts[i].len;
    }
    f->texts[n % BATCHES_MAX] = len;
    (void)pthread_mutex_unlock(&f->lock);
    return fails ? pw_err(err, PAWL_NOMEM, "no memory, says the test") : PAWL_OK;
}

#define ALL (SIZE_MAX / 2)

static void let_pass(fake *f, size_t batches, bool failing)
{
    (void)pthread_mutex_lock(&f->lock);
    f->open = batches;
    f->fails = failing;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

/* Until batch number n waits at the gate; the thread it came on. */
static pthread_t until_inside(fake *f, size_t n)
{
    (void)pthread_mutex_lock(&f->lock);
    while (!f->inside || f->batches != n) {
        (void)pthread_cond_wait(&f->changed, &f->lock);
    }
    const pthread_t leader = f->leader;
    (void)pthread_mutex_unlock(&f->lock);
    return leader;
}

/* One call on a thread of its own: len texts of so many ids each, of which the first is base + its number. */
typedef struct caller {
    pw_batcher *b;
    size_t len;
    size_t ids_each;
    uint32_t base;
    bool *stopped; /* under lock */
    fake *f;
    pawl_status status;
    pawl_error err;
    float *vectors;
    pthread_t thread;
} caller;

static bool asks_stop(void *user)
{
    caller *c = user;
    (void)pthread_mutex_lock(&c->f->lock);
    const bool stopped = c->stopped != NULL && *c->stopped;
    (void)pthread_mutex_unlock(&c->f->lock);
    return stopped;
}

static void *call_thread(void *arg)
{
    caller *c = arg;
    pw_ids *texts = calloc(c->len + 1, sizeof *texts);
    uint32_t *ids = calloc(c->len * c->ids_each + 1, sizeof *ids);
    for (size_t i = 0; texts != NULL && ids != NULL && i < c->len; i++) {
        texts[i] = (pw_ids){ids + i * c->ids_each, c->ids_each};
        ids[i * c->ids_each] = c->base + (uint32_t)i;
    }
    const pw_batch_call call = {texts, c->len, c->vectors, asks_stop, c};
    c->status = pw_batcher_run(c->b, &call, &c->err);
    free(texts);
    free(ids);
    return NULL;
}

static void begin(caller *c)
{
    c->vectors = calloc(2 * c->len + 1, sizeof *c->vectors);
    assert_non_null(c->vectors);
    assert_int_equal(pthread_create(&c->thread, NULL, call_thread, c), 0);
}

static void finish(caller *c, pawl_status status)
{
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    assert_int_equal(c->status, status);
    for (size_t i = 0; i < c->len && status == PAWL_OK; i++) {
        assert_true(c->vectors[2 * i] == (float)(c->base + i));
        assert_true(c->vectors[2 * i + 1] == (float)c->ids_each);
    }
    free(c->vectors);
}

/* Until so many texts are in the queue: what has happened is asked for, not slept for. */
static void until_waiting(pw_batcher *b, size_t texts)
{
    while (pw_batcher_counts(b).waiting != texts) {
        (void)sched_yield();
    }
}

typedef struct rig {
    fake f;
    pw_batcher *b;
} rig;

static int setup(void **state)
{
    rig *r = calloc(1, sizeof *r);
    pawl_error err;
    assert_non_null(r);
    (void)pthread_mutex_init(&r->f.lock, NULL);
    (void)pthread_cond_init(&r->f.changed, NULL);
    const pw_batch_options o = {.tokens = TOKENS,
                                .longest = 100,
                                .width = 2,
                                .wait_us = 50,
                                .encode = fake_encode,
                                .user = &r->f};
    assert_int_equal(pw_batcher_open(&o, &r->b, &err), PAWL_OK);
    r->f.open = ALL;
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig *r = *state;
    pw_batcher_close(r->b);
    (void)pthread_cond_destroy(&r->f.changed);
    (void)pthread_mutex_destroy(&r->f.lock);
    free(r);
    return 0;
}

static void texts_of_calls_at_the_same_time_are_one_batch(void **state)
{
    rig *r = *state;
    caller first = {r->b, 1, 4, 1000, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
    caller others[6];
    let_pass(&r->f, 0, false);
    begin(&first);
    (void)until_inside(&r->f, 1);
    for (uint32_t i = 0; i < 6; i++) {
        others[i] = (caller){r->b, 1, 5, 100 * i, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
        begin(&others[i]);
        until_waiting(r->b, i + 1);
    }
    let_pass(&r->f, ALL, false);
    finish(&first, PAWL_OK);
    for (size_t i = 0; i < 6; i++) {
        finish(&others[i], PAWL_OK);
    }
    assert_int_equal(r->f.batches, 2);
    assert_int_equal(r->f.texts[1], 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(r->f.first[1][i], 100 * i); /* as they came */
    }
    const pw_batch_counts counts = pw_batcher_counts(r->b);
    assert_true(counts.batches == 2 && counts.shared == 1 && counts.texts == 7);
}

static void a_batch_has_no_more_tokens_than_it_may_but_for_one_long_text(void **state)
{
    rig *r = *state;
    caller c[3] = {{r->b, 40, 5, 0, NULL, &r->f, PAWL_OK, {0}, NULL, 0},
                   {r->b, 2, 100, 1000, NULL, &r->f, PAWL_OK, {0}, NULL, 0},
                   {r->b, 300, 1, 2000, NULL, &r->f, PAWL_OK, {0}, NULL, 0}};
    for (size_t i = 0; i < 3; i++) {
        begin(&c[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        finish(&c[i], PAWL_OK);
    }
    for (size_t i = 0; i < r->f.batches; i++) {
        assert_true(r->f.tokens[i] <= TOKENS || (r->f.texts[i] == 1 && r->f.tokens[i] == 100));
    }
}

static void a_large_call_does_not_keep_a_small_one_waiting(void **state)
{
    rig *r = *state;
    caller large = {r->b, 400, 4, 1000, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
    caller small = {r->b, 1, 4, 7, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
    let_pass(&r->f, 0, false);
    begin(&large);
    (void)until_inside(&r->f, 1); /* 8 of its texts are in the batch */
    begin(&small);
    until_waiting(r->b, 392 + 1);
    let_pass(&r->f, ALL, false);
    finish(&small, PAWL_OK);
    finish(&large, PAWL_OK);
    bool found = false;
    for (size_t i = 0; i < 8; i++) {
        found = found || r->f.first[1][i] == 7;
    }
    assert_true(found);
    assert_int_equal(r->f.batches, (400 + 1 + 7) / 8);
}

static void a_cancelled_call_leaves_at_once_and_its_texts_are_not_encoded(void **state)
{
    rig *r = *state;
    bool stop = false;
    caller first = {r->b, 1, 4, 1, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
    caller gone = {r->b, 20, 4, 1000, &stop, &r->f, PAWL_OK, {0}, NULL, 0};
    caller last = {r->b, 1, 4, 2, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
    let_pass(&r->f, 0, false);
    begin(&first);
    (void)until_inside(&r->f, 1);
    begin(&gone);
    until_waiting(r->b, 20);
    begin(&last);
    until_waiting(r->b, 21);
    (void)pthread_mutex_lock(&r->f.lock);
    stop = true;
    (void)pthread_mutex_unlock(&r->f.lock);
    finish(&gone, PAWL_CANCELED); /* while the batch still waits at the gate */
    assert_int_equal(pw_batcher_counts(r->b).waiting, 1);
    let_pass(&r->f, ALL, false);
    finish(&first, PAWL_OK);
    finish(&last, PAWL_OK);
    assert_int_equal(pw_batcher_counts(r->b).texts, 2);
}

static void a_call_that_leaves_a_batch_that_runs_is_not_written_to(void **state)
{
    rig *r = *state;
    bool stop = false;
    caller first = {r->b, 1, 4, 1, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
    caller leader = {r->b, 1, 4, 3, NULL, &r->f, PAWL_OK, {0}, NULL, 0};
    caller gone = {r->b, 2, 4, 1000, &stop, &r->f, PAWL_OK, {0}, NULL, 0};
    let_pass(&r->f, 0, false);
    begin(&first);
    (void)until_inside(&r->f, 1);
    begin(&leader);
    until_waiting(r->b, 1);
    begin(&gone);
    until_waiting(r->b, 3);
    let_pass(&r->f, 1, false);
    finish(&first, PAWL_OK);
    const bool led = pthread_equal(until_inside(&r->f, 2), gone.thread) != 0;
    (void)pthread_mutex_lock(&r->f.lock);
    stop = true;
    (void)pthread_mutex_unlock(&r->f.lock);
    if (led) { /* it leads the batch, and sees it through */
        let_pass(&r->f, ALL, false);
        finish(&gone, PAWL_OK);
    } else {
        finish(
            &gone,
            PAWL_CANCELED); /* its vectors are freed there: a batch that wrote to them would be caught */
        let_pass(&r->f, ALL, false);
    }
    finish(&leader, PAWL_OK);
    assert_int_equal(pw_batcher_counts(r->b).waiting, 0);
}

static void an_error_is_that_of_every_call_in_the_batch_and_of_no_other(void **state)
{
    rig *r = *state;
    caller c[3] = {{r->b, 1, 4, 1, NULL, &r->f, PAWL_OK, {0}, NULL, 0},
                   {r->b, 20, 4, 100, NULL, &r->f, PAWL_OK, {0}, NULL, 0},
                   {r->b, 1, 4, 2, NULL, &r->f, PAWL_OK, {0}, NULL, 0}};
    let_pass(&r->f, 0, false);
    begin(&c[0]);
    (void)until_inside(&r->f, 1);
    begin(&c[1]);
    until_waiting(r->b, 20);
    let_pass(&r->f, ALL, true);
    finish(&c[0], PAWL_NOMEM);
    finish(&c[1], PAWL_NOMEM);
    let_pass(&r->f, ALL, false);
    begin(&c[2]);
    finish(&c[2], PAWL_OK);
    assert_int_equal(pw_batcher_counts(r->b).waiting, 0);
}

static void many_calls_at_once_each_get_their_own(void **state)
{
    rig *r = *state;
    caller c[CALLS_MAX];
    for (uint32_t turn = 0; turn < 20; turn++) {
        for (uint32_t i = 0; i < CALLS_MAX; i++) {
            c[i] = (caller){
                r->b, i * turn % 7, 1 + (i + turn) % 9, 10000 * i, NULL, &r->f, PAWL_OK, {0}, NULL,
                0};
            begin(&c[i]);
        }
        for (size_t i = 0; i < CALLS_MAX; i++) {
            finish(&c[i], PAWL_OK);
        }
    }
}

static void a_queue_without_memory_says_so(void **state)
{
    const pw_batch_options o = {.longest = 10, .width = 2, .encode = fake_encode};
    pawl_status status = PAWL_NOMEM;
    for (int64_t nth = 1; status == PAWL_NOMEM; nth++) {
        pw_batcher *b = NULL;
        pawl_error err;
        pw_mem_fail(nth, false);
        status = pw_batcher_open(&o, &b, &err);
        pw_mem_fail(0, false);
        assert_true((status == PAWL_OK) == (b != NULL));
        pw_batcher_close(b);
        assert_true(nth < 20);
    }
    (void)state;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(texts_of_calls_at_the_same_time_are_one_batch),
        TEST(a_batch_has_no_more_tokens_than_it_may_but_for_one_long_text),
        TEST(a_large_call_does_not_keep_a_small_one_waiting),
        TEST(a_cancelled_call_leaves_at_once_and_its_texts_are_not_encoded),
        TEST(a_call_that_leaves_a_batch_that_runs_is_not_written_to),
        TEST(an_error_is_that_of_every_call_in_the_batch_and_of_no_other),
        TEST(many_calls_at_once_each_get_their_own),
        cmocka_unit_test(a_queue_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
