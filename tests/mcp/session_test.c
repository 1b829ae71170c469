/*
 * session_test.c - how many sessions of the legacy era are kept. The rest of the server is not here: what sessions need of it stands below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

int pw_mcpd_level(const char *name)
{
    (void)name;
    return 1;
}

int64_t pw_mcpd_now_ms(void)
{
    return 1000;
}

void pw_mcpd_drop(pw_mcpd_x *x)
{
    (void)x;
    fail();
}

static void one_that_listens_does_not_keep_all_that_came_after_it(void **state)
{
    pw_mcpd *s = pw_calloc(1, sizeof *s);
    pw_mcpd_x listener = {.server = s};
    (void)state;
    assert_non_null(s);
    listener.session = pw_mcpd_session_new(s, PW_MCPD_LEGACY, NULL);
    assert_non_null(listener.session);
    s->xs = &listener;
    for (int i = 0; i < PW_MCPD_SESSIONS_MAX + 10; i++) {
        assert_non_null(pw_mcpd_session_new(s, PW_MCPD_LEGACY, NULL));
    }
    assert_int_equal(s->sessions_len, PW_MCPD_SESSIONS_MAX);
    assert_ptr_equal(pw_mcpd_session_find(s, listener.session->id), listener.session);
    assert_int_equal(s->sessions_len, PW_MCPD_SESSIONS_MAX);
    pw_mcpd_sessions_free(s);
    pw_free(s);
}

/* What it takes is printed, not judged: a machine may have other things to do. */
static void each_of_as_many_as_there_can_be_is_found(void **state)
{
    pw_mcpd *s = pw_calloc(1, sizeof *s);
    struct timespec begin, end;
    (void)state;
    assert_non_null(s);
    for (int i = 0; i < PW_MCPD_SESSIONS_MAX; i++) {
        assert_non_null(pw_mcpd_session_new(s, PW_MCPD_LEGACY, NULL));
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    for (pw_mcpd_session *one = s->sessions; one != NULL; one = one->next) {
        assert_ptr_equal(pw_mcpd_session_find(s, one->id), one);
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    print_message(
        "%.2f us to find one of %d sessions\n",
        ((double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3) /
            PW_MCPD_SESSIONS_MAX,
        PW_MCPD_SESSIONS_MAX);
    assert_int_equal(s->sessions_len, PW_MCPD_SESSIONS_MAX);
    pw_mcpd_sessions_free(s);
    pw_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_listens_does_not_keep_all_that_came_after_it),
        cmocka_unit_test(each_of_as_many_as_there_can_be_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
