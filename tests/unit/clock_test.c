/*
 * clock_test.c - the clocks: what they count, and how far a deadline can be. Does not wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sdk/base/clock.h"

static void milliseconds_are_those_of_the_same_clock(void **state)
{
    (void)state;
    const int64_t before_ns = pw_mono_ns();
    const int64_t ms = pw_mono_ms();
    const int64_t after_ns = pw_mono_ns();
    assert_true(before_ns / 1000000 <= ms && ms <= after_ns / 1000000);
    /* time() is of the last tick: for some milliseconds it still has the second before. */
    const time_t from = time(NULL);
    const int64_t wall_ms = pw_wall_ms();
    assert_true(from <= wall_ms / 1000 && wall_ms / 1000 <= time(NULL) + 1);
}

static void a_deadline_is_never_in_the_past_however_far_it_is(void **state)
{
    (void)state;
    const int64_t now_ms = pw_mono_ms();
    assert_true(pw_mono_after_ms(5000) >= now_ms + 5000);
    assert_true(pw_mono_after_ms(0) >= now_ms);
    assert_true(pw_mono_after_ms(-1) >= now_ms);
    assert_true(pw_mono_after_ms(INT64_MIN) >= now_ms);
    assert_int_equal(pw_mono_after_ms(INT64_MAX), INT64_MAX);
    assert_int_equal(pw_mono_after_ms(INT64_MAX - 1), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(milliseconds_are_those_of_the_same_clock),
        cmocka_unit_test(a_deadline_is_never_in_the_past_however_far_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
