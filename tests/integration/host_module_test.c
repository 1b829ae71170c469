/*
 * host_module_test.c - modules: what a good one can do, and what is said of the others. The folder of the modules is the first argument. Does not
 * test what workflow code can do.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host_rig.h"

#define PAWL_MODULE_HOST
#include "sdk/pawl_module.h"

static const char *folder = ".";

static const char *module_path(rig *r, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 8;
    char *path = pawl_scope_alloc(r->scope, size);

    assert_non_null(path);
    (void)snprintf(path, size, "%s/%s.so", folder, name);
    return path;
}

static int open_setup(void **state)
{
    if (rig_setup(state) != 0) {
        return -1;
    }
    rig_open(*state, NULL);
    return 0;
}

static void a_module_brings_workflows_and_activities(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    ok(r, pawl_load_module(r->engine, module_path(r, "host_module_good"), &r->err));
    rig_start(r, "module_flow", "m-1", "{\"text\": \"hello\", \"n\": 21}");
    v = rig_result(r, "m-1");
    assert_string_equal(pawl_str(v, "text", ""), "HELLO");
    assert_int_equal(pawl_int(v, "twice", 0), 42);
}

static void failures_of_a_module_are_formatted_on_its_side(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    ok(r, pawl_load_module(r->engine, module_path(r, "host_module_good"), &r->err));
    rig_start(r, "module_flow", "m-1", "{\"text\": \"x\", \"refuse\": true}");
    expect(r, PAWL_FAILED, pawl_result(r->engine, "m-1", 20000, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "message", ""), "by the module, 2 times");
    rig_start(r, "module_flow", "m-2", "{\"text\": \"x\", \"n\": -5}");
    expect(r, PAWL_FAILED, pawl_result(r->engine, "m-2", 20000, r->scope, &v, &r->err));
    assert_non_null(strstr(pawl_to_json(r->scope, v, 0), "n is -5"));
    rig_start(r, "module_flow", "m-3", "{\"text\": \"\"}");
    expect(r, PAWL_FAILED, pawl_result(r->engine, "m-3", 20000, r->scope, &v, &r->err));
    assert_non_null(strstr(pawl_to_json(r->scope, v, 0), "nothing to shout"));
}

static void a_run_of_a_module_goes_on_after_the_next_load(void **state)
{
    rig *r = *state;

    ok(r, pawl_load_module(r->engine, module_path(r, "host_module_good"), &r->err));
    rig_close(r);
    rig_open(r, NULL);
    ok(r, pawl_load_module(r->engine, module_path(r, "host_module_good"), &r->err));
    rig_start(r, "module_flow", "m-1", "{\"text\": \"again\"}");
    assert_string_equal(pawl_str(rig_result(r, "m-1"), "text", ""), "AGAIN");
}

static void an_edited_prompt_in_a_module_goes_on_and_is_noted(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    ok(r, pawl_load_module(r->engine, module_path(r, "host_module_prompt_old"), &r->err));
    ok(r, pawl_resume_all(r->engine, &r->err));
    rig_start(r, "prompted", "m-1", NULL);
    rig_until(r, "m-1", "waiting", "signal go");
    rig_close(r);
    rig_open(r, NULL);
    ok(r, pawl_load_module(r->engine, module_path(r, "host_module_prompt_new"), &r->err));
    ok(r, pawl_resume_all(r->engine, &r->err));
    ok(r, pawl_signal_post(r->engine, "m-1", "go", NULL, NULL, &r->err));
    assert_string_equal(pawl_str(rig_result(r, "m-1"), "was_asked", ""), "old");
    ok(r, pawl_history(r->engine, "m-1", 0, 100, r->scope, &v, &r->err));
    assert_non_null(strstr(pawl_to_json(r->scope, v, 0), "DriftNoted"));
    assert_non_null(strstr(pawl_to_json(r->scope, v, 0), "\"was_at\":\"host_module_prompt.c:"));
}

static void a_module_is_loaded_once(void **state)
{
    rig *r = *state;

    ok(r, pawl_load_module(r->engine, module_path(r, "host_module_good"), &r->err));
    expect(r, PAWL_EXISTS,
           pawl_load_module(r->engine, module_path(r, "host_module_good"), &r->err));
    assert_non_null(strstr(r->err.message, "host_module_good"));
}

static void what_is_no_module_is_named_with_the_reason(void **state)
{
    rig *r = *state;

    expect(r, PAWL_NOTFOUND, pawl_load_module(r->engine, module_path(r, "nonexistent"), &r->err));
    assert_non_null(strstr(r->err.message, "nonexistent.so"));
    expect(r, PAWL_INVALID,
           pawl_load_module(r->engine, module_path(r, "host_module_none"), &r->err));
    assert_non_null(strstr(r->err.message, "pawl_module_init"));
    expect(r, PAWL_INVALID, pawl_load_module(r->engine, "/dev/null", &r->err));
    expect(r, PAWL_INVALID,
           pawl_load_module(r->engine, module_path(r, "host_module_bad"), &r->err));
    assert_non_null(strstr(r->err.message, "host_module_bad.so"));
    expect(r, PAWL_INVALID, pawl_load_module(r->engine, NULL, &r->err));
}

static void another_abi_is_refused_with_both_numbers(void **state)
{
    pawl_module_api newer = {.abi = 7, .table_size = sizeof newer, .version = "9.9.9"};
    pawl_module_api older = {.abi = PAWL_MODULE_ABI, .table_size = 64, .version = "0.0.1"};
    pawl_module_api grown = {
        .abi = PAWL_MODULE_ABI, .table_size = sizeof grown + 64, .version = "0.2.0"};
    pawl_error err;

    (void)state;
    assert_int_equal(pawl_module_check(&newer, &err), PAWL_ABI);
    assert_non_null(strstr(err.message, "ABI 1,"));
    assert_non_null(strstr(err.message, "ABI 7,"));
    assert_int_equal(pawl_module_check(&older, &err), PAWL_ABI);
    assert_non_null(strstr(err.message, "table of 64 bytes"));
    assert_int_equal(pawl_module_check(&grown, &err), PAWL_OK);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(a_module_brings_workflows_and_activities),
        T(failures_of_a_module_are_formatted_on_its_side),
        T(a_run_of_a_module_goes_on_after_the_next_load),
        T(an_edited_prompt_in_a_module_goes_on_and_is_noted),
        T(a_module_is_loaded_once),
        T(what_is_no_module_is_named_with_the_reason),
        cmocka_unit_test(another_abi_is_refused_with_both_numbers),
    };
#undef T

    if (argc > 1) {
        folder = argv[1];
    }
    return cmocka_run_group_tests_name("host_module", tests, NULL, NULL);
}
