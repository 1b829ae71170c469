/*
 * cache_test.c - kept results in a file: what was changed is found, and the table stays within its bounds of rows and bytes. Does not test
 * what the operation leaves on every backend (conformance_rows_test.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "journal/sqlite.h"
#include "tests/journal/rig.h"

static pawl_status kept_read(rig *t)
{
    static const uint8_t key[PW_DIGEST_SIZE] = {1};
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_cache_row row;
    return t->r->ops->cached(t->r, key, &b, &row, &t->err);
}

/* Whoever finds it damaged asks again; it is never given. */
static void a_kept_result_that_was_changed_is_found_when_it_is_read(void **state)
{
    (void)state;
    static const char *const changes[] = {"body='other'", "expires_ms=expires_ms+1", "at_ms=1",
                                          "run='b'", "cmd=8"};
    rig *t = rig_open("sqlite");
    for (size_t i = 0; i < PW_COUNT(changes); i++) {
        char sql[100];
        rig_op(t, PW_OP_CACHE_PUT)->u.cache = (pw_cache_row){.key = {1},
                                                             .at_ms = 5,
                                                             .expires_ms = 900,
                                                             .cmd = 7,
                                                             .run_id = rig_text("a"),
                                                             .body = rig_text("result")};
        assert_int_equal(rig_commit(t), PAWL_OK);
        assert_int_equal(kept_read(t), PAWL_OK);
        (void)snprintf(sql, sizeof sql, "UPDATE pawl_cache SET %s", changes[i]);
        rig_tamper(t, sql);
        rig_restart(t);
        assert_int_equal(kept_read(t), PAWL_DAMAGED);
    }
    rig_close(t);
}

/* Those that expire first go, sooner or later. */
static void no_more_results_are_kept_than_the_limit_says(void **state)
{
    (void)state;
    enum { GROUP = 1000 };
    rig *t = rig_open("sqlite");
    for (int n = 0; n < PW_CACHE_ROWS_MAX + 2 * GROUP; n++) {
        pw_cache_row *row = &rig_op(t, PW_OP_CACHE_PUT)->u.cache;
        *row = (pw_cache_row){
            .at_ms = 5, .expires_ms = 1000 + n, .run_id = rig_text("a"), .body = rig_text("r")};
        memcpy(row->key, &n, sizeof n);
        if (n % GROUP == GROUP - 1) {
            assert_int_equal(rig_commit(t), PAWL_OK);
        }
    }
    uint8_t key[PW_DIGEST_SIZE] = {0};
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_cache_row found;
    assert_int_equal(t->r->ops->cached(t->r, key, &b, &found, &t->err), PAWL_NOTFOUND);
    const int last = PW_CACHE_ROWS_MAX + 2 * GROUP - 1;
    memcpy(key, &last, sizeof last);
    assert_int_equal(t->r->ops->cached(t->r, key, &b, &found, &t->err), PAWL_OK);
    const int first = 2 * GROUP + PW_CACHE_SWEEP_ROWS; /* of the last ten thousand */
    memcpy(key, &first, sizeof first);
    assert_int_equal(t->r->ops->cached(t->r, key, &b, &found, &t->err), PAWL_OK);
    rig_close(t);
}

/* Large ones count by their bytes: the last sixty-four fit, and a few that have not yet been counted. */
static void no_more_bytes_are_kept_than_the_limit_says(void **state)
{
    (void)state;
    static uint8_t body[1 << 20];
    enum { ROWS = 100, MOST = PW_CACHE_BYTES_MAX / (1 << 20) };
    rig *t = rig_open("sqlite");
    int there = 0;
    for (int n = 0; n < ROWS; n++) {
        pw_cache_row *row = &rig_op(t, PW_OP_CACHE_PUT)->u.cache;
        *row = (pw_cache_row){.at_ms = 5,
                              .expires_ms = 1000 + n,
                              .run_id = rig_text("a"),
                              .body = {body, sizeof body}};
        memcpy(row->key, &n, sizeof n);
        assert_int_equal(rig_commit(t), PAWL_OK);
    }
    for (int n = 0; n < ROWS; n++) {
        uint8_t key[PW_DIGEST_SIZE] = {0};
        PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
        pw_cache_row found;
        memcpy(key, &n, sizeof n);
        const bool kept = t->r->ops->cached(t->r, key, &b, &found, &t->err) == PAWL_OK;
        there += kept ? 1 : 0;
        assert_true(kept || n < ROWS - MOST); /* those that last longest stay */
    }
    assert_in_range(there, MOST, MOST + 5);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_result_that_was_changed_is_found_when_it_is_read),
        cmocka_unit_test(no_more_results_are_kept_than_the_limit_says),
        cmocka_unit_test(no_more_bytes_are_kept_than_the_limit_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
