/*
 * net_retry_after_test.c - every form in which servers say when to come again. Uses no network.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "activities/http_client.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"

#define NOW 1767225600000 /* 2026-01-01T00:00:00Z */

static int64_t after(const char *name, const char *value, const char *name2, const char *value2)
{
    const pw_http_header headers[] = {{name, value, false}, {name2, value2, false}};
    const pw_http_head head = {503, name2 != NULL ? 2 : 1, headers};
    return pw_http_retry_after(&head, NOW);
}

static void seconds_and_milliseconds_are_taken(void **state)
{
    (void)state;
    assert_int_equal(after("retry-after", "120", NULL, NULL), 120000);
    assert_int_equal(after("retry-after", "0", NULL, NULL), 0);
    assert_int_equal(after("retry-after", "1.5", NULL, NULL), 1500);
    assert_int_equal(after("retry-after", "0.0001", NULL, NULL), 1);
    assert_int_equal(after("retry-after-ms", "1500", NULL, NULL), 1500);
    assert_int_equal(after("retry-after-ms", "250.5", NULL, NULL), 251);
    assert_int_equal(after("retry-after", "7", "retry-after-ms", "250"), 250);
}

static void all_three_forms_of_a_date_are_taken(void **state)
{
    (void)state;
    assert_int_equal(after("retry-after", "Thu, 01 Jan 2026 00:02:00 GMT", NULL, NULL), 120000);
    assert_int_equal(after("retry-after", "Thursday, 01-Jan-26 00:02:00 GMT", NULL, NULL), 120000);
    assert_int_equal(after("retry-after", "Thu Jan  1 00:02:00 2026", NULL, NULL), 120000);
    assert_int_equal(after("retry-after", "Wed, 31 Dec 2025 00:00:00 GMT", NULL, NULL),
                     0); /* it is over */
}

static void a_date_is_read_by_the_clock_of_its_server(void **state)
{
    (void)state;
    assert_int_equal(after("retry-after", "Thu, 01 Jan 2026 05:00:30 GMT", "date",
                           "Thu, 01 Jan 2026 05:00:00 GMT"),
                     30000);
}

static void a_reset_counts_when_nothing_remains(void **state)
{
    (void)state;
    assert_int_equal(after("x-ratelimit-reset", "1767225660", "x-ratelimit-remaining", "0"), 60000);
    assert_int_equal(after("x-ratelimit-reset", "60", "x-ratelimit-remaining", "0"), 60000);
    assert_int_equal(after("x-ratelimit-reset", "1767225660", "x-ratelimit-remaining", "17"), -1);
    assert_int_equal(after("x-ratelimit-reset", "1767225660", NULL, NULL), -1);
}

static void what_is_no_time_is_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "soon",
                                      "-1",
                                      "0x10",
                                      "1e9",
                                      "inf",
                                      "nan",
                                      "1.2.3",
                                      "12 seconds",
                                      "tomorrow",
                                      "Thu, 99 Foo 2026 00:00:00 GMT",
                                      "."};
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        if (after("retry-after", bad[i], NULL, NULL) != -1) {
            fail_msg("\"%s\" gave %lld", bad[i],
                     (long long)after("retry-after", bad[i], NULL, NULL));
        }
    }
    assert_int_equal(after("server", "x", NULL, NULL), -1);
}

static void patience_has_an_end(void **state)
{
    (void)state;
    assert_int_equal(after("retry-after", "99999999999999999999999", NULL, NULL),
                     PW_RETRY_AFTER_MS_MAX);
    assert_int_equal(after("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT", NULL, NULL),
                     PW_RETRY_AFTER_MS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_and_milliseconds_are_taken),
        cmocka_unit_test(all_three_forms_of_a_date_are_taken),
        cmocka_unit_test(a_date_is_read_by_the_clock_of_its_server),
        cmocka_unit_test(a_reset_counts_when_nothing_remains),
        cmocka_unit_test(what_is_no_time_is_nothing),
        cmocka_unit_test(patience_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
