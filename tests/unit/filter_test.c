/*
 * filter_test.c - the language of listings: what matches, what is refused and where. Does not read a journal: the view's tests do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/filter.h"

#define NOW_MS INT64_C(1800000000000)

static pw_view text(const char *t)
{
    return (pw_view){(const uint8_t *)t, strlen(t)};
}

static pw_run_row a_run(void)
{
    return (pw_run_row){.key = 7,
                        .id = text("nightly-42"),
                        .workflow = text("release"),
                        .version = text("2"),
                        .status = PW_RUN_RUNNING,
                        .waiting = text("signal go"),
                        .reason = text(""),
                        .parent_key = 3,
                        .created_ms = NOW_MS - 1800000,
                        .updated_ms = NOW_MS - 1000};
}

static void each_of_these_matches_or_does_not(void **state)
{
    static const struct {
        const char *filter;
        bool match;
    } cases[] = {
        {"", true},
        {"  ", true},
        {"status = running", true},
        {"status != running", false},
        {"status = open", true},
        {"status = closed", false},
        {"status = paused or status = running", true},
        {"workflow = release and version = 2", true},
        {"workflow = \"release\" and id ~ 'nightly-*'", true},
        {"id ~ nightly-4?", true},
        {"id ~ *42", true},
        {"id ~ *4*2*", true},
        {"id ~ nightly", false},
        {"id = nightly-42", true},
        {"id > nightly-41 and id <= nightly-42", true},
        {"not id ~ nightly-*", false},
        {"not not id ~ nightly-*", true},
        {"not (id = a or id = b)", true},
        {"waiting = \"signal go\"", true},
        {"reason = ''", true},
        {"created > -1h", true},
        {"created > -10m", false},
        {"created < -10m and updated > -2s", true},
        {"created > 2020-01-31 and created < 2100-01-31T10:00:00Z", true},
        {"closed < now", false},
        {"status = paused or id = x or workflow = release", true},
        {"status = paused and id = x or workflow = release", true},
        {"workflow = release or status = paused and id = x", true},
        {"(workflow = release or status = paused) and id = x", false},
        {"STATUS = running AND NOT id = x", true},
    };
    pw_run_row row = a_run();

    (void)state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        pawl_scope *scope = pawl_scope_new();
        pw_filter *filter = NULL;
        pawl_error err;
        if (pw_filter_parse(scope, cases[i].filter, NOW_MS, &filter, &err) != PAWL_OK) {
            fail_msg("%s: %s", cases[i].filter, err.message);
        }
        if (pw_filter_match(filter, &row) != cases[i].match) {
            fail_msg("%s: %s", cases[i].filter,
                     cases[i].match ? "should match" : "should not match");
        }
        pawl_scope_free(scope);
    }
}

static void each_of_these_is_refused_at_its_column(void **state)
{
    static const struct {
        const char *filter;
        int column;
    } cases[] = {
        {"color = red", 1},
        {"status", 7},
        {"status running", 8},
        {"status = ", 10},
        {"status = sleeping", 10},
        {"status > running", 10},
        {"id = a id = b", 8},
        {"id = a and", 11},
        {"(id = a", 8},
        {"id = a)", 7},
        {"id = 'abc", 6},
        {"created > yesterday", 11},
        {"created ~ -1h", 11},
        {"parent ~ x", 10},
        {"not", 4},
    };

    (void)state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        pawl_scope *scope = pawl_scope_new();
        pw_filter *filter = NULL;
        pawl_error err = {.message = ""};
        char where[40];
        (void)snprintf(where, sizeof where, "column %d:", cases[i].column);
        if (pw_filter_parse(scope, cases[i].filter, NOW_MS, &filter, &err) != PAWL_INVALID ||
            strstr(err.message, where) == NULL) {
            fail_msg("%s: expected an error at %s, got \"%s\"", cases[i].filter, where,
                     err.message);
        }
        pawl_scope_free(scope);
    }
}

static void a_filter_that_is_too_long_or_deep_is_refused(void **state)
{
    static const char piece[] = "id = a or ";
    char deep[10000];
    char lengthy[64 * 1024] = "";

    (void)state;
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    for (int i = 0; i < 1000; i++) {
        memcpy(lengthy + (size_t)i * (sizeof piece - 1), piece, sizeof piece);
    }
    const char *const filters[] = {deep, lengthy};
    for (size_t i = 0; i < PW_COUNT(filters); i++) {
        pawl_scope *scope = pawl_scope_new();
        pw_filter *filter = NULL;
        pawl_error err;
        assert_int_equal(pw_filter_parse(scope, filters[i], NOW_MS, &filter, &err), PAWL_INVALID);
        pawl_scope_free(scope);
    }
}

static void hints_narrow_the_scan_only_when_every_match_has_them(void **state)
{
    static const struct {
        const char *filter;
        bool open_only;
        const char *prefix;
    } cases[] = {
        {"status = running and id ~ night*", true, "night"},
        {"status = open", true, ""},
        {"status = completed and id = abc", false, "abc"},
        {"status = running or id = abc", false, ""},
        {"not status = running", false, ""},
        {"status != running", false, ""},
        {"id ~ *abc", false, ""},
        {"id > abc", false, ""},
    };

    (void)state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        pawl_scope *scope = pawl_scope_new();
        pw_filter *filter = NULL;
        pawl_error err;
        assert_int_equal(pw_filter_parse(scope, cases[i].filter, NOW_MS, &filter, &err), PAWL_OK);
        if (pw_filter_open_only(filter) != cases[i].open_only ||
            strcmp(pw_filter_id_prefix(filter), cases[i].prefix) != 0) {
            fail_msg("%s: open only %d, prefix \"%s\"", cases[i].filter,
                     pw_filter_open_only(filter), pw_filter_id_prefix(filter));
        }
        pawl_scope_free(scope);
    }
}

static void a_parent_matches_by_the_keys_it_was_bound_to(void **state)
{
    static const int64_t keys[] = {1, 3};
    pawl_scope *scope = pawl_scope_new();
    pw_filter *filter = NULL;
    pw_run_row row = a_run();
    pawl_error err;

    (void)state;
    assert_int_equal(
        pw_filter_parse(scope, "status = open and parent = boss", NOW_MS, &filter, &err), PAWL_OK);
    assert_string_equal(pw_filter_parent(filter, 0), "boss");
    assert_null(pw_filter_parent(filter, 1));
    assert_false(pw_filter_match(filter, &row));
    pw_filter_bind_parent(filter, 0, keys, 2);
    assert_true(pw_filter_match(filter, &row));
    pawl_scope_free(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_these_matches_or_does_not),
        cmocka_unit_test(each_of_these_is_refused_at_its_column),
        cmocka_unit_test(a_filter_that_is_too_long_or_deep_is_refused),
        cmocka_unit_test(hints_narrow_the_scan_only_when_every_match_has_them),
        cmocka_unit_test(a_parent_matches_by_the_keys_it_was_bound_to),
    };

    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
