/*
 * schema_test.c - JSON Schema beyond the public suite: what errors say, bounds, hostile schemas, dynamic references, what was not
 * evaluated, formats on request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "sdk/base/schema.h"

typedef struct fixture {
    pawl_scope *scope;
    pw_schemas *set;
    pw_schema_report report;
    pawl_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = pw_calloc(1, sizeof *f);
    PW_CHECK(f != NULL);
    f->scope = pawl_scope_new();
    f->set = pw_schemas_new();
    f->report.scope = f->scope;
    *state = f;
    return f->scope != NULL && f->set != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    pw_schemas_free(f->set);
    pawl_scope_free(f->scope);
    pw_free(f);
    return 0;
}

static pw_view json(fixture *f, const char *text)
{
    const pawl_value *v = NULL;
    pawl_error err;
    if (pawl_parse_json(f->scope, text, strlen(text), &v, &err) != PAWL_OK) {
        fail_msg("%s: %s", text, err.message);
    }
    return pw_value_bytes(v);
}

static void add(fixture *f, const char *uri, const char *schema)
{
    if (pw_schemas_add(f->set, uri, json(f, schema), &f->err) != PAWL_OK) {
        fail_msg("%s", f->err.message);
    }
}

static pawl_status check(fixture *f, const char *value)
{
    return pw_schema_validate(f->set, "", json(f, value), NULL, &f->report, &f->err);
}

static void errors_say_where_what_and_what_would_be_right(void **state)
{
    fixture *f = *state;
    add(f, "",
        "{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"age\":{\"minimum\":18},\"a/b\":{\"type\":[\"string\",\"null\"]},"
        "\"tags\":{\"items\":{\"enum\":[\"x\",1]}}},\"additionalProperties\":false}");
    assert_int_equal(check(f, "{\"age\":3,\"a/b\":1,\"tags\":[\"x\",\"y\"],\"more\":1}"),
                     PAWL_INVALID);
    assert_int_equal(pawl_len(f->report.errors), 5);
    const char *all = pawl_to_json(f->scope, f->report.errors, 0);
    static const char *const parts[] = {
        "{\"at\":\"\",\"keyword\":\"required\",\"message\":\"lacks \\\"name\\\"\"}",
        "{\"at\":\"/age\",\"keyword\":\"minimum\",\"message\":\"must be at least 18\"}",
        "{\"at\":\"/a~1b\",\"keyword\":\"type\",\"message\":\"must be string or null, is integer\"}",
        "{\"at\":\"/tags/1\",\"keyword\":\"enum\",\"message\":\"must be one of \\\"x\\\", 1\"}",
        "{\"at\":\"/more\",\"keyword\":\"false\",\"message\":\"is not allowed\"}"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(all, parts[i]) == NULL) {
            fail_msg("%s is not in %s", parts[i], all);
        }
    }
    assert_string_equal(f->err.message, "the value lacks \"name\"");
}

static void what_alternatives_say_among_themselves_is_no_error(void **state)
{
    fixture *f = *state;
    add(f, "",
        "{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5}],\"if\":{\"const\":1},\"not\":{\"const\":7}}");
    assert_int_equal(check(f, "6"), PAWL_OK);
    assert_null(f->report.errors);
    assert_int_equal(check(f, "7"), PAWL_INVALID);
    assert_int_equal(pawl_len(f->report.errors), 1);
    assert_int_equal(check(f, "1"), PAWL_INVALID);
    assert_string_equal(pawl_str(pawl_at(f->report.errors, 0), "message", ""),
                        "must match one of 2 alternatives, matches none");
}

static void references_reach_ids_anchors_pointers_and_other_documents(void **state)
{
    fixture *f = *state;
    add(f, "http://x.test/base/units.json",
        "{\"$defs\":{\"m\":{\"$anchor\":\"metre\",\"type\":\"number\"}}}");
    add(f, "",
        "{\"$id\":\"http://x.test/base/root.json\",\"properties\":{\"a\":{\"$ref\":\"units.json#metre\"},\"b\":{\"$ref\":\"#/$defs/x%25y~1z\"},"
        "\"c\":{\"$ref\":\"inner\"}},\"$defs\":{\"x%y/z\":{\"const\":1},\"i\":{\"$id\":\"inner\",\"type\":\"boolean\"}}}");
    assert_int_equal(check(f, "{\"a\":1.5,\"b\":1,\"c\":true}"), PAWL_OK);
    assert_int_equal(check(f, "{\"a\":\"1.5\"}"), PAWL_INVALID);
    assert_int_equal(check(f, "{\"b\":2}"), PAWL_INVALID);
    assert_int_equal(check(f, "{\"c\":2}"), PAWL_INVALID);
}

static void a_reference_that_leads_nowhere_is_named(void **state)
{
    fixture *f = *state;
    add(f, "", "{\"properties\":{\"a\":{\"$ref\":\"http://elsewhere.test/s.json\"}}}");
    assert_int_equal(check(f, "{}"), PAWL_OK);
    assert_int_equal(check(f, "{\"a\":1}"), PAWL_NOTFOUND);
    assert_non_null(strstr(f->err.message, "http://elsewhere.test/s.json"));
}

static void a_dynamic_reference_leads_to_the_outermost_anchor_of_its_name(void **state)
{
    fixture *f = *state;
    add(f, "http://x.test/tree",
        "{\"$dynamicAnchor\":\"node\",\"properties\":{\"data\":true,\"children\":{\"items\":{\"$dynamicRef\":\"#node\"}}}}");
    add(f, "",
        "{\"$id\":\"http://x.test/strict-tree\",\"$dynamicAnchor\":\"node\",\"$ref\":\"tree\",\"unevaluatedProperties\":false}");
    assert_int_equal(check(f, "{\"children\":[{\"data\":1}]}"), PAWL_OK);
    assert_int_equal(check(f, "{\"children\":[{\"daat\":1}]}"), PAWL_INVALID);
    assert_string_equal(pawl_str(pawl_at(f->report.errors, 0), "at", ""), "/children/0/daat");
}

static void what_a_failed_alternative_has_seen_is_not_evaluated(void **state)
{
    fixture *f = *state;
    add(f, "",
        "{\"anyOf\":[{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},{\"properties\":{\"b\":true}}],"
        "\"prefixItems\":[true],\"unevaluatedProperties\":false,\"unevaluatedItems\":{\"type\":\"string\"}}");
    assert_int_equal(check(f, "{\"a\":1,\"b\":2}"), PAWL_OK);
    assert_int_equal(check(f, "{\"a\":2,\"b\":2}"), PAWL_INVALID);
    assert_int_equal(check(f, "[1,\"x\"]"), PAWL_OK);
    assert_int_equal(check(f, "[1,2]"), PAWL_INVALID);
}

static void numbers_are_compared_as_numbers(void **state)
{
    fixture *f = *state;
    add(f, "",
        "{\"properties\":{\"c\":{\"const\":1.0},\"m\":{\"multipleOf\":0.1},\"u\":{\"uniqueItems\":true},\"i\":{\"type\":\"integer\"},"
        "\"big\":{\"maximum\":9223372036854775806}}}");
    assert_int_equal(check(f, "{\"c\":1,\"m\":0.3,\"u\":[1,true,{\"a\":1,\"b\":2}],\"i\":2.0}"),
                     PAWL_OK);
    assert_int_equal(check(f, "{\"u\":[{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]}"), PAWL_INVALID);
    assert_int_equal(check(f, "{\"i\":2.5}"), PAWL_INVALID);
    assert_int_equal(check(f, "{\"big\":9223372036854775806}"), PAWL_OK);
    assert_int_equal(check(f, "{\"big\":9223372036854775807}"), PAWL_INVALID);
    assert_int_equal(check(f, "{\"big\":92233720368547758070}"), PAWL_INVALID);
}

static void a_schema_without_end_and_a_pattern_without_end_are_stopped(void **state)
{
    fixture *f = *state;
    add(f, "",
        "{\"properties\":{\"loop\":{\"$ref\":\"#/properties/loop\"},\"slow\":{\"pattern\":\"^(a+)+$\"}}}");
    assert_int_equal(check(f, "{\"loop\":1}"), PAWL_LIMIT);
    assert_int_equal(
        check(f, "{\"slow\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}"),
        PAWL_LIMIT);
    pw_schema_options few = {.steps_max = 3};
    assert_int_equal(pw_schema_validate(f->set, "", json(f, "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}"),
                                        &few, NULL, &f->err),
                     PAWL_LIMIT);
}

static void what_is_no_schema_is_refused_when_it_is_added(void **state)
{
    fixture *f = *state;
    assert_int_equal(pw_schemas_add(f->set, "", json(f, "3"), &f->err), PAWL_INVALID);
    assert_int_equal(pw_schemas_add(f->set, "a", json(f, "{\"properties\":{\"x\":1}}"), &f->err),
                     PAWL_INVALID);
    assert_int_equal(pw_schemas_add(f->set, "b", json(f, "{\"pattern\":\"(\"}"), &f->err),
                     PAWL_INVALID);
    assert_non_null(strstr(f->err.message, "regular expression"));
    assert_int_equal(
        pw_schemas_add(f->set, "c",
                       json(f, "{\"$defs\":{\"a\":{\"$id\":\"same\"},\"b\":{\"$id\":\"same\"}}}"),
                       &f->err),
        PAWL_EXISTS);
    char deep[4096] = "";
    for (int i = 0; i < 110; i++) {
        (void)snprintf(deep + strlen(deep), 16, "{\"not\":");
    }
    (void)snprintf(deep + strlen(deep), 8, "true");
    memset(deep + strlen(deep), '}', 110);
    assert_int_equal(pw_schemas_add(f->set, "d", json(f, deep), &f->err), PAWL_LIMIT);
}

static void formats_are_checked_only_when_asked(void **state)
{
    static const char *const good[][2] = {{"date-time", "2026-02-28T23:59:60Z"},
                                          {"date", "2024-02-29"},
                                          {"time", "10:00:00.5+01:30"},
                                          {"email", "a.b@x.test"},
                                          {"ipv4", "127.0.0.1"},
                                          {"ipv6", "::1"},
                                          {"uuid", "05576ec9-2156-4971-895b-5d2f4bc6317c"},
                                          {"uri", "http://x.test/a?b#c"},
                                          {"hostname", "a-b.test"},
                                          {"duration", "P1DT2H"},
                                          {"json-pointer", "/a~1b"},
                                          {"no-such-format", "?"}};
    static const char *const bad[][2] = {{"date-time", "2026-02-28T23:59:60+01:00"},
                                         {"date", "2026-02-29"},
                                         {"time", "10:00:00"},
                                         {"email", "a@b@"},
                                         {"ipv4", "127.0.0.256"},
                                         {"ipv6", ":::1"},
                                         {"uuid", "05576ec9215649714895b5d2f4bc6317c"},
                                         {"uri", "x.test/a"},
                                         {"hostname", "-a.test"},
                                         {"duration", "P"},
                                         {"json-pointer", "a"}};
    fixture *f = *state;
    pw_schema_options formats = {.formats = true};
    for (size_t i = 0; i < PW_COUNT(good) + PW_COUNT(bad); i++) {
        bool is_good = i < PW_COUNT(good);
        const char *const *c = is_good ? good[i] : bad[i - PW_COUNT(good)];
        char schema[80], value[120], uri[32];
        (void)snprintf(schema, sizeof schema, "{\"format\":\"%s\"}", c[0]);
        (void)snprintf(value, sizeof value, "\"%s\"", c[1]);
        (void)snprintf(uri, sizeof uri, "u%zu", i);
        add(f, uri, schema);
        assert_int_equal(pw_schema_validate(f->set, uri, json(f, value), NULL, NULL, &f->err),
                         PAWL_OK);
        pawl_status st = pw_schema_validate(f->set, uri, json(f, value), &formats, NULL, &f->err);
        if (st != (is_good ? PAWL_OK : PAWL_INVALID)) {
            fail_msg("%s of %s", value, c[0]);
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(errors_say_where_what_and_what_would_be_right),
        TEST(what_alternatives_say_among_themselves_is_no_error),
        TEST(references_reach_ids_anchors_pointers_and_other_documents),
        TEST(a_reference_that_leads_nowhere_is_named),
        TEST(a_dynamic_reference_leads_to_the_outermost_anchor_of_its_name),
        TEST(what_a_failed_alternative_has_seen_is_not_evaluated),
        TEST(numbers_are_compared_as_numbers),
        TEST(a_schema_without_end_and_a_pattern_without_end_are_stopped),
        TEST(what_is_no_schema_is_refused_when_it_is_added),
        TEST(formats_are_checked_only_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
