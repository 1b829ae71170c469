/*
 * session_test.c - how many sessions of the legacy era are kept. The rest of the server is not here: what sessions need of it stands below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_listens_does_not_keep_all_that_came_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
