/*
 * nearest_emulated_test.c - the search of libpawl_cuda on an emulated device has the list of nearest.c: random rows with ties, filters, ids of their own, more
 * rows than the first scan takes, more candidates than a list holds, calls that fail. No GPU runs here.
 */
#include "emulated_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/half.h"
#include "activities/embed/nearest_gpu.h"
#include "random_model.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define WIDTH 40 /* two steps of a row, the second not whole */
#define STRIDE 64

typedef struct table {
    uint16_t *halves;
    int64_t *ids;
    uint64_t *wanted;
    pw_rows rows;
} table;

static void random_row(uint32_t *random, uint16_t *row)
{
    float v[WIDTH];
    double square = 0;
    pawl_error err;
    for (size_t i = 0; i < WIDTH; i++) {
        v[i] = 2 * random_number(random) - 1;
        square += (double)v[i] * (double)v[i];
    }
    for (size_t i = 0; i < WIDTH; i++) {
        v[i] = (float)((double)v[i] / sqrt(square));
    }
    assert_int_equal(pw_row_put(v, WIDTH, row, &err), PAWL_OK);
}

/* One row in ties is the copy of another; ids fall while rows rise. */
static table *make_table(size_t len, size_t ties)
{
    table *t = calloc(1, sizeof *t);
    uint32_t random = 1;
    assert_non_null(t);
    t->halves = calloc(len * STRIDE, sizeof *t->halves);
    t->ids = calloc(len, sizeof *t->ids);
    t->wanted = calloc(len / 64 + 1, sizeof *t->wanted);
    assert_true(t->halves != NULL && t->ids != NULL && t->wanted != NULL);
    for (size_t i = 0; i < len; i++) {
        if (i % ties == ties - 1) {
            memcpy(t->halves + i * STRIDE, t->halves + i / 3 * STRIDE, STRIDE * sizeof(uint16_t));
        } else {
            random_row(&random, t->halves + i * STRIDE);
        }
        t->ids[i] = (int64_t)(len - i);
        t->wanted[i / 64] |= (uint64_t)(i % 3 == 0 ? 1 : 0) << i % 64;
    }
    t->rows = (pw_rows){.halves = t->halves, .len = len, .width = WIDTH, .stride = STRIDE};
    return t;
}

static void free_table(table *t)
{
    free(t->halves);
    free(t->ids);
    free(t->wanted);
    free(t);
}

static void need(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        fail_msg("%s", err->message);
    }
}

static void equal(const pw_near *got, const pw_near *wanted, size_t len, size_t query)
{
    for (size_t i = 0; i < len; i++) {
        if (got[i].id != wanted[i].id || got[i].row != wanted[i].row ||
            got[i].score != wanted[i].score) {
            fail_msg("query %zu, place %zu: row %zu with %.17g, expected %zu with %.17g", query, i,
                     got[i].row, got[i].score, wanted[i].row, wanted[i].score);
        }
    }
}

static void check_queries(pw_index_gpu *x, const pw_rows *rows, const uint16_t *queries, size_t len,
                          size_t k)
{
    pw_near *got = calloc(len * k, sizeof *got), *wanted = calloc(len * k, sizeof *wanted);
    size_t *got_len = calloc(len, sizeof *got_len), *wanted_len = calloc(len, sizeof *wanted_len);
    pawl_error err;
    assert_true(got != NULL && wanted != NULL && got_len != NULL && wanted_len != NULL);
    const pw_search search = {.queries = queries, .len = len, .k = k};
    need(pw_nearest(rows, &search, wanted, wanted_len, &err), &err);
    need(pw_nearest_gpu(x, rows, &search, got, got_len, &err), &err);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(got_len[i], wanted_len[i]);
        equal(got + i * k, wanted + i * k, wanted_len[i], i);
    }
    free(got);
    free(wanted);
    free(got_len);
    free(wanted_len);
}

static void check(pw_index_gpu *x, const pw_rows *rows, size_t len, size_t k)
{
    uint16_t *queries = calloc(len * STRIDE, sizeof *queries);
    uint32_t random = 9;
    assert_non_null(queries);
    for (size_t i = 0; i < len; i++) {
        random_row(&random, queries + i * STRIDE);
    }
    check_queries(x, rows, queries, len, k);
    free(queries);
}

static pw_index_gpu *open_index(const table *t)
{
    pw_index_gpu *x = NULL;
    pawl_error err;
    (void)emulated_fresh();
    need(pw_index_gpu_open(&t->rows, emulated_library(), 0, &x, &err), &err);
    return x;
}

static void random_queries_have_the_list_of_the_processor(void **state)
{
    table *t = make_table(300, 5);
    (void)state;
    pw_index_gpu *x = open_index(t);
    check(x, &t->rows, 10000, 10);
    pw_index_gpu_close(x);
    free_table(t);
}

/* 1, 8, 9 ... queries are other kernels. */
static void any_number_of_queries_can_be_asked_at_once(void **state)
{
    static const size_t numbers[] = {1, 8, 9, 17, 33, 64, 65};
    table *t = make_table(50, 5);
    (void)state;
    pw_index_gpu *x = open_index(t);
    for (size_t i = 0; i < PW_COUNT(numbers); i++) {
        check(x, &t->rows, numbers[i], 3);
    }
    pw_index_gpu_close(x);
    free_table(t);
}

static void fewer_rows_than_asked_for_are_all_there(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len += 19) {
        table *t = make_table(len, 7);
        pw_index_gpu *x = open_index(t);
        check(x, &t->rows, 2, 50);
        pw_index_gpu_close(x);
        free_table(t);
    }
}

static void rows_after_the_first_scan_count_as_much(void **state)
{
    table *t = make_table(9001, 11);
    (void)state;
    pw_index_gpu *x = open_index(t);
    check(x, &t->rows, 5, 1);
    check(x, &t->rows, 3, 300);
    check(x, &t->rows, 1, 2048);
    check(x, &t->rows, 1, 2049); /* the processor's */
    pw_index_gpu_close(x);
    free_table(t);
}

static void a_filter_and_ids_of_their_own_are_heeded(void **state)
{
    table *t = make_table(5000, 4);
    (void)state;
    pw_index_gpu *x = open_index(t);
    t->rows.ids = t->ids;
    check(x, &t->rows, 3, 20);
    t->rows.wanted = t->wanted;
    check(x, &t->rows, 3, 20);
    memset(t->wanted, 0, (5000 / 64 + 1) * sizeof *t->wanted);
    check(x, &t->rows, 2, 20);
    t->wanted[70] = 1;
    check(x, &t->rows, 2, 20);
    pw_index_gpu_close(x);
    free_table(t);
}

static void more_equal_rows_than_a_list_holds_are_left_to_the_processor(void **state)
{
    (void)state;
    for (size_t len = 4200; len < 14000;
         len += 5000) { /* more than is told; more than a list holds */
        table *t = make_table(len, 3);
        for (size_t i = 1; i < len; i++) {
            memcpy(t->halves + i * STRIDE, t->halves, STRIDE * sizeof(uint16_t));
        }
        pw_index_gpu *x = open_index(t);
        check(x, &t->rows, 2, 5);
        pw_index_gpu_close(x);
        free_table(t);
    }
}

/* Equal rows fill the list, and overrun it, before the few better ones have all been seen: those that were shall not be taken for all. */
static void a_list_that_was_too_short_once_is_not_believed_later(void **state)
{
    const size_t len = 60000;
    table *t = make_table(len, 3);
    uint16_t query[STRIDE];
    uint32_t random = 4;
    (void)state;
    random_row(&random, query);
    for (size_t i = 0; i < len * STRIDE; i++) {
        t->halves[i] = i / STRIDE % 500 == 7 ? t->halves[i] : query[i % STRIDE] ^ 0x8000;
    }
    pw_index_gpu *x = open_index(t);
    check_queries(x, &t->rows, query, 1, 12);
    pw_index_gpu_close(x);
    free_table(t);
}

/* Scores that single precision cannot tell apart, or puts into another order: only numbers that the query hardly weighs differ. */
static void rows_that_differ_by_less_than_single_precision_are_in_the_exact_order(void **state)
{
    const size_t len = 3000;
    table *t = make_table(len, 3);
    uint16_t query[STRIDE];
    uint32_t random = 4;
    (void)state;
    random_row(&random, query);
    for (size_t k = 0; k < WIDTH; k += 2) {
        query[k] = pw_half_of_float(2e-4F * random_number(&random));
    }
    for (size_t i = 1; i < len; i++) {
        memcpy(t->halves + i * STRIDE, t->halves, STRIDE * sizeof(uint16_t));
        for (size_t k = 0; k < WIDTH; k += 2) {
            t->halves[i * STRIDE + k] ^= random_number(&random) < 0.5F ? 1 : 0;
        }
    }
    pw_index_gpu *x = open_index(t);
    check_queries(x, &t->rows, query, 1, 7);
    pw_index_gpu_close(x);
    free_table(t);
}

static void other_rows_than_the_devices_are_refused(void **state)
{
    table *t = make_table(20, 4);
    size_t len;
    pw_near near[1];
    pawl_error err;
    (void)state;
    pw_index_gpu *x = open_index(t);
    const pw_search search = {.queries = t->halves, .len = 1, .k = 1},
                    none = {.queries = t->halves, .len = 1};
    assert_int_equal(pw_nearest_gpu(x, &t->rows, &none, near, &len, &err), PAWL_INVALID);
    t->rows.len = 19;
    assert_int_equal(pw_nearest_gpu(x, &t->rows, &search, near, &len, &err), PAWL_INVALID);
    pw_index_gpu_close(x);
    free_table(t);
}

static void a_call_that_fails_is_said_and_everything_is_given_back(void **state)
{
    table *t = make_table(4200, 4);
    const emulated_control *c = emulated_fresh();
    size_t said = 0;
    (void)state;
    for (unsigned long nth = 1;; nth++) {
        pw_index_gpu *x = NULL;
        pw_near near[2];
        size_t len;
        pawl_error err;
        const pw_search search = {.queries = t->halves, .len = 1, .k = 2};
        c->fail_at(nth, nth % 2 == 0);
        pawl_status status = pw_index_gpu_open(&t->rows, emulated_library(), 0, &x, &err);
        status =
            status == PAWL_OK ? pw_nearest_gpu(x, &t->rows, &search, near, &len, &err) : status;
        said += status == PAWL_OK ? 0 : 1;
        assert_true(status == PAWL_OK || status == PAWL_NOMEM || status == PAWL_IO);
        pw_index_gpu_close(x);
        if (!c->failed()) {
            need(status, &err);
            break;
        }
    }
    (void)printf("%zu failures were said\n", said);
    assert_true(said > 30);
    c->fail_at(0, 0);
    free_table(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_queries_have_the_list_of_the_processor),
        cmocka_unit_test(any_number_of_queries_can_be_asked_at_once),
        cmocka_unit_test(fewer_rows_than_asked_for_are_all_there),
        cmocka_unit_test(rows_after_the_first_scan_count_as_much),
        cmocka_unit_test(a_filter_and_ids_of_their_own_are_heeded),
        cmocka_unit_test(more_equal_rows_than_a_list_holds_are_left_to_the_processor),
        cmocka_unit_test(a_list_that_was_too_short_once_is_not_believed_later),
        cmocka_unit_test(rows_that_differ_by_less_than_single_precision_are_in_the_exact_order),
        cmocka_unit_test(other_rows_than_the_devices_are_refused),
        cmocka_unit_test(a_call_that_fails_is_said_and_everything_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
