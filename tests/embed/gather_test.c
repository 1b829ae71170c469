/*
 * gather_test.c - searches of several callers: who comes while a scan is under way is in the next one with the others, finds what it finds alone, and a scan
 * that fails fails for those in it. Does not test what a scan finds (nearest_test.c).
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "activities/embed/gather.h"
#include "sdk/base/error.h"

#define CALLERS 5
#define ROWS 200
#define STRIDE 32
#define K_MAX 9

static uint16_t halves[ROWS * STRIDE], queries[CALLERS * 3 * STRIDE];
static const pw_rows rows = {.halves = halves, .len = ROWS, .width = STRIDE, .stride = STRIDE};

typedef struct crowd {
    pw_gather gather;
    size_t scans, queries[CALLERS + 1]; /* of each scan, in their order */
    bool fails;
} crowd;

typedef struct caller {
    crowd *c;
    pw_search search;
    pw_near near[3 * K_MAX];
    size_t len[3];
    pawl_status status;
    pthread_t thread;
} caller;

/* The first waits until all others are in the queue. One scan at a time: no lock around the counts. */
static pawl_status scan(void *user, const pw_search *s, pw_near *ret_near, size_t *ret_len,
                        pawl_error *err)
{
    crowd *c = user;
    for (bool all = c->scans > 0; !all;) {
        (void)pthread_mutex_lock(&c->gather.lock);
        all = c->gather.waiting == CALLERS - 1;
        (void)pthread_mutex_unlock(&c->gather.lock);
        (void)sched_yield();
    }
    c->queries[c->scans++] = s->len;
    return c->fails && c->scans > 1 ? pw_err(err, PAWL_INVALID, "it was told to")
                                    : pw_nearest(&rows, s, ret_near, ret_len, err);
}

static void *search(void *arg)
{
    caller *a = arg;
    pawl_error err;
    const pw_gather_scan with = {scan, a->c, STRIDE};
    a->status = pw_gather_nearest(&a->c->gather, &with, &a->search, a->near, a->len, &err);
    return NULL;
}

static void all_search(crowd *c, caller *callers)
{
    pw_gather_init(&c->gather);
    for (size_t i = 0; i < CALLERS; i++) { /* 1, 2, 3, 1, 2 queries, k 3 to 7 */
        callers[i] =
            (caller){.c = c, .search = {queries + i * 3 * STRIDE, 1 + i % 3, 3 + i, NULL, 1}};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, search, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
    }
    pw_gather_deinit(&c->gather);
}

static void fill(uint16_t *to, size_t len, uint32_t random)
{
    for (size_t i = 0; i < len; i++) {
        random = random * 1664525u + 1013904223u;
        to[i] = (uint16_t)(0x2800u + (random >> 16) % 0x700u + (random >> 30 & 1) * 0x8000u);
    }
}

static void those_who_come_meanwhile_are_searched_for_together(void **state)
{
    static caller callers[CALLERS];
    static crowd c;
    pawl_error err;
    (void)state;
    c = (crowd){.fails = false};
    all_search(&c, callers);
    assert_int_equal(c.scans, 2);
    assert_int_equal(c.queries[0] + c.queries[1], 1 + 2 + 3 + 1 + 2);
    for (size_t i = 0; i < CALLERS; i++) {
        static pw_near near[3 * K_MAX];
        size_t len[3];
        const caller *a = &callers[i];
        assert_int_equal(a->status, PAWL_OK);
        assert_int_equal(pw_nearest(&rows, &a->search, near, len, &err), PAWL_OK);
        for (size_t q = 0; q < a->search.len; q++) {
            assert_int_equal(a->len[q], len[q]);
            for (size_t n = 0; n < len[q]; n++) {
                const pw_near *got = &a->near[q * a->search.k + n],
                              *wanted = &near[q * a->search.k + n];
                assert_int_equal(got->id, wanted->id);
                assert_true(got->score == wanted->score);
            }
        }
    }
}

static void a_scan_that_fails_fails_for_those_in_it(void **state)
{
    static caller callers[CALLERS];
    static crowd c;
    size_t failed = 0;
    (void)state;
    c = (crowd){.fails = true};
    all_search(&c, callers);
    for (size_t i = 0; i < CALLERS; i++) {
        failed += callers[i].status == PAWL_INVALID ? 1 : 0;
    }
    assert_int_equal(failed, CALLERS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_come_meanwhile_are_searched_for_together),
        cmocka_unit_test(a_scan_that_fails_fails_for_those_in_it),
    };
    fill(halves, sizeof halves / sizeof halves[0], 1);
    fill(queries, sizeof queries / sizeof queries[0], 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
