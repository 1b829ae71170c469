/*
 * nearest_test.c - ten thousand random queries have the list that a sort of all exact products gives, with every set of kernels, one by one and many at a
 * time, by one thread and by three, with ties, filters and fewer rows than asked for. Measures no speed.
 */
#include "embed_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/nearest.h"
#include "sdk/base/error.h"

#define WIDTH 24
#define STRIDE 32
#define ROWS 300
#define QUERIES 10000
#define K 10

static float random_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 23) - 1;
}

/* Of length 1. */
static void random_row(uint32_t *state, uint16_t *row)
{
    float v[WIDTH];
    pawl_error err;
    double square = 0;
    for (size_t i = 0; i < WIDTH; i++) {
        v[i] = random_number(state);
        square += (double)v[i] * (double)v[i];
    }
    for (size_t i = 0; i < WIDTH; i++) {
        v[i] = (float)((double)v[i] / sqrt(square));
    }
    assert_int_equal(pw_row_put(v, WIDTH, row, &err), PAWL_OK);
}

static uint16_t *random_rows(uint32_t state, size_t len)
{
    uint16_t *rows = malloc(len * STRIDE * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < len; i++) {
        random_row(&state, rows + i * STRIDE);
    }
    return rows;
}

static int by_score(const void *a, const void *b)
{
    const pw_near *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->id > y->id) - (x->id < y->id);
}

/* The oracle: all products, sorted. */
static size_t expected_of(const pw_rows *rows, const uint16_t *query, pw_near *all)
{
    size_t len = 0;
    for (size_t i = 0; i < rows->len; i++) {
        if (rows->wanted == NULL || (rows->wanted[i / 64] >> i % 64 & 1) != 0) {
            all[len++] = (pw_near){
                .id = rows->ids != NULL ? rows->ids[i] : (int64_t)i,
                .row = i,
                .score = pw_row_dot(rows->halves + i * rows->stride, query, rows->stride)};
        }
    }
    qsort(all, len, sizeof *all, by_score);
    return len;
}

static void check(const pw_rows *rows, const pw_kernels *kernels, const uint16_t *queries,
                  size_t queries_len, size_t k)
{
    static pw_near all[ROWS];
    pawl_error err;
    pw_near *near = malloc(queries_len * k * sizeof *near);
    pw_near *shared = malloc(queries_len * k * sizeof *near);
    size_t *len = malloc(queries_len * sizeof *len),
           *shared_len = malloc(queries_len * sizeof *len);
    assert_true(near != NULL && len != NULL && shared != NULL && shared_len != NULL);
    pw_search search = {queries, queries_len, k, kernels, 1};
    assert_int_equal(pw_nearest(rows, &search, near, len, &err), PAWL_OK);
    search.threads = 3;
    assert_int_equal(pw_nearest(rows, &search, shared, shared_len, &err), PAWL_OK);
    assert_memory_equal(len, shared_len, queries_len * sizeof *len);
    for (size_t q = 0; q < queries_len; q++) {
        assert_memory_equal(near + q * k, shared + q * k, len[q] * sizeof *near);
    }
    for (size_t q = 0; q < queries_len; q++) {
        const size_t most = expected_of(rows, queries + q * STRIDE, all);
        assert_int_equal(len[q], most < k ? most : k);
        for (size_t i = 0; i < len[q]; i++) {
            const pw_near *got = &near[q * k + i];
            if (got->id != all[i].id || got->row != all[i].row || got->score != all[i].score) {
                fail_msg("%s, query %zu, place %zu: row %lld with %.17g, expected %lld with %.17g",
                         kernels->name, q, i, (long long)got->id, got->score, (long long)all[i].id,
                         all[i].score);
            }
        }
    }
    free(near);
    free(len);
    free(shared);
    free(shared_len);
}

/* One row in five is the copy of another, so that there are ties. */
static void make_ties(uint16_t *rows, size_t len)
{
    for (size_t i = 5; i < len; i += 5) {
        memcpy(rows + i * STRIDE, rows + (i * 7 % len) * STRIDE, STRIDE * sizeof *rows);
    }
}

static void ten_thousand_queries_have_the_list_of_the_sorted_exact_products(void **state)
{
    const pw_kernels *all[4];
    uint16_t *halves = random_rows(1, ROWS), *queries = random_rows(2, QUERIES);
    const pw_rows rows = {.halves = halves, .len = ROWS, .width = WIDTH, .stride = STRIDE};
    make_ties(halves, ROWS);
    const size_t kinds = pw_kernels_all(all);
    for (size_t i = 0; i < kinds; i++) { /* each a share of them, the fastest all that is left */
        const size_t few = QUERIES / 10, first = (kinds - 1 - i) * few;
        check(&rows, all[i], queries + first * STRIDE, i == 0 ? QUERIES - first : few, K);
    }
    free(halves);
    free(queries);
    (void)state;
}

static void one_query_has_the_list_that_it_has_among_many(void **state)
{
    const pw_kernels *all[4];
    uint16_t *halves = random_rows(3, ROWS), *queries = random_rows(4, 60);
    const pw_rows rows = {.halves = halves, .len = ROWS, .width = WIDTH, .stride = STRIDE};
    make_ties(halves, ROWS);
    (void)pw_kernels_all(all);
    for (size_t i = 0; all[i] != NULL; i++) {
        for (size_t q = 0; q < 60; q++) {
            check(&rows, all[i], queries + q * STRIDE, 1 + q % 18 < 60 - q ? 1 + q % 18 : 1, K);
        }
    }
    free(halves);
    free(queries);
    (void)state;
}

static void equal_rows_are_listed_by_the_lowest_id(void **state)
{
    uint16_t *halves = random_rows(5, 1), *many = malloc(ROWS * STRIDE * sizeof *many);
    int64_t ids[ROWS];
    assert_non_null(many);
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(many + i * STRIDE, halves, STRIDE * sizeof *many);
        ids[i] = (int64_t)(i * 37 % ROWS) - 5;
    }
    const pw_rows rows = {
        .halves = many, .len = ROWS, .width = WIDTH, .stride = STRIDE, .ids = ids};
    check(&rows, pw_kernels_best(), halves, 1, K);
    pw_near near[3];
    size_t len = 0;
    pawl_error err;
    assert_int_equal(pw_nearest(&rows, &(pw_search){halves, 1, 3, NULL, 1}, near, &len, &err),
                     PAWL_OK);
    assert_true(len == 3 && near[0].id == -5 && near[1].id == -4 && near[2].id == -3);
    free(halves);
    free(many);
    (void)state;
}

static void only_wanted_rows_are_listed_and_fewer_than_asked_for_are_all(void **state)
{
    uint16_t *halves = random_rows(6, ROWS), *queries = random_rows(7, 8);
    uint64_t wanted[ROWS / 64 + 1] = {0};
    pw_rows rows = {
        .halves = halves, .len = ROWS, .width = WIDTH, .stride = STRIDE, .wanted = wanted};
    for (size_t i = 0; i < ROWS; i += 3) {
        wanted[i / 64] |= (uint64_t)1 << i % 64;
    }
    check(&rows, pw_kernels_best(), queries, 8, K);
    memset(wanted, 0, sizeof wanted);
    wanted[1] = 7;
    check(&rows, pw_kernels_best(), queries, 8, K);
    check(&rows, pw_kernels_best(), queries, 1, K);
    rows.len = 0;
    check(&rows, pw_kernels_best(), queries, 8, K);
    free(halves);
    free(queries);
    (void)state;
}

static void a_vector_that_is_too_long_or_no_number_is_refused(void **state)
{
    uint16_t row[STRIDE];
    pawl_error err;
    float v[WIDTH] = {4.0f};
    assert_int_equal(pw_row_put(v, WIDTH, row, &err), PAWL_OK);
    assert_int_equal(row[0], 0x4400);
    v[1] = 0.1f;
    assert_int_equal(pw_row_put(v, WIDTH, row, &err), PAWL_INVALID);
    v[1] = 0;
    v[0] = NAN;
    assert_int_equal(pw_row_put(v, WIDTH, row, &err), PAWL_INVALID);
    v[0] = INFINITY;
    assert_int_equal(pw_row_put(v, WIDTH, row, &err), PAWL_INVALID);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_queries_have_the_list_of_the_sorted_exact_products),
        cmocka_unit_test(one_query_has_the_list_that_it_has_among_many),
        cmocka_unit_test(equal_rows_are_listed_by_the_lowest_id),
        cmocka_unit_test(only_wanted_rows_are_listed_and_fewer_than_asked_for_are_all),
        cmocka_unit_test(a_vector_that_is_too_long_or_no_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
