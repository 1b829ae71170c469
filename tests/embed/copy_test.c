/*
 * copy_test.c - a copy of a collection out of pages that nobody sane would send, as a damaged file makes them: refused, without a byte beyond its rows and
 * without an end that never comes. What a copy of sound pages finds is index_test.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "activities/embed/copy.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

#define WIDTH 4
#define ROWS 3 /* of each page */
#define PAGES_MAX 5
#define VERSION 7

typedef struct pages {
    int64_t width, items, horizon;
    int64_t version; /* that is asked for; 0: the one that they have */
    size_t len;      /* pages that there are */
    size_t given;    /* so far */
} pages;

static pawl_status give(void *ctx, const pawl_value *args, pawl_scope *scope,
                        const pawl_value **ret_reply, pawl_error *err)
{
    pages *p = ctx;
    int64_t ids[ROWS];
    uint16_t rows[ROWS * WIDTH];
    (void)args;
    if (p->given == PAGES_MAX) {
        return pw_err(err, PAWL_BUSY, "it asks without end");
    }
    memset(rows, 0, sizeof rows);
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)(p->given * ROWS + i + 1);
    }
    *ret_reply = pawl_build(
        scope,
        "{number: 1, width: %lld, version: %lld, horizon: %lld, items: %lld, more: %p, "
        "gone: %p, ids: %p, rows: %p, labels: [['', []], ['', []], ['', []]]}",
        (long long)p->width, (long long)VERSION, (long long)p->horizon, (long long)p->items,
        pawl_v(pawl_make_bool(scope, p->given + 1 < p->len)), pawl_v(pawl_make_bytes(scope, "", 0)),
        pawl_v(pawl_make_bytes(scope, ids, sizeof ids)),
        pawl_v(pawl_make_bytes(scope, rows, sizeof rows)));
    p->given++;
    assert_non_null(*ret_reply);
    return PAWL_OK;
}

static pawl_status copied(pages *p, size_t *ret_len)
{
    pw_copy c;
    pawl_error err = {0};
    pw_copy_init(&c);
    const pawl_status st =
        pw_copy_hold(&c, 1, p->version > 0 ? p->version : VERSION, give, p, &err);
    *ret_len = c.len;
    if (st == PAWL_OK) {
        pw_copy_let(&c);
    }
    pw_copy_deinit(&c);
    return st;
}

static void pages_are_joined(void **state)
{
    pages p = {.width = WIDTH, .items = 2 * ROWS, .len = 2};
    size_t len = 0;
    (void)state;
    assert_int_equal(copied(&p, &len), PAWL_OK);
    assert_int_equal(len, 2 * ROWS);
}

static void a_count_of_items_that_is_wrong_reserves_nothing_that_is_relied_upon(void **state)
{
    static const int64_t counts[] = {
        0, 1, -1, INT64_MAX, INT64_MIN, 1LL << 61, 1LL << 55, (1LL << 61) + 1, 10000000001LL};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        pages p = {.width = WIDTH, .items = counts[i], .len = 2};
        size_t len = 0;
        assert_int_equal(copied(&p, &len), PAWL_OK);
        assert_int_equal(len, 2 * ROWS);
    }
}

static void rows_of_no_width_are_damage(void **state)
{
    static const int64_t widths[] = {0, -1, 4097, 1LL << 61, INT64_MIN, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        pages p = {.width = widths[i], .items = ROWS, .len = 1};
        size_t len = 1;
        assert_int_equal(copied(&p, &len), PAWL_DAMAGED);
        assert_int_equal(len, 0);
    }
}

static void a_horizon_beyond_the_version_does_not_begin_it_again_for_ever(void **state)
{
    pages p = {.width = WIDTH, .items = ROWS, .horizon = 8, .len = PAGES_MAX};
    size_t len = 1;
    (void)state;
    assert_int_equal(copied(&p, &len), PAWL_DAMAGED);
    assert_int_equal(p.given, 1);
}

/* As of a file that was put back while somebody searched. */
static void pages_that_end_before_the_version_are_not_asked_for_again_for_ever(void **state)
{
    pages p = {.width = WIDTH, .items = ROWS, .version = VERSION + 1, .len = 1};
    size_t len = 1;
    (void)state;
    assert_int_equal(copied(&p, &len), PAWL_DAMAGED);
    assert_int_equal(p.given, 1);
    assert_int_equal(len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_joined),
        cmocka_unit_test(a_count_of_items_that_is_wrong_reserves_nothing_that_is_relied_upon),
        cmocka_unit_test(rows_of_no_width_are_damage),
        cmocka_unit_test(a_horizon_beyond_the_version_does_not_begin_it_again_for_ever),
        cmocka_unit_test(pages_that_end_before_the_version_are_not_asked_for_again_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
