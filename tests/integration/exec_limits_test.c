/*
 * exec_limits_test.c - what a program may use, see and say: rlimits, the environment it is given, a shell when one is asked for, output as
 * bytes, and caps. Does not test how programs run and end: exec_test.c does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/exec_rig.h"

static const pawl_value *done(rig *r, const char *json)
{
    return rig_run(r, pawl_activity_exec, json, PW_REPORT_DONE);
}

static void a_shell_runs_only_when_it_is_asked_for(void **state)
{
    rig *r = *state;
    const pawl_value *v = done(r, "{\"argv\": [\"echo\", \"$HOME; `id`\"]}");
    assert_string_equal(pawl_str(v, "stdout", ""), "$HOME; `id`\n");
    v = done(r, "{\"shell\": \"echo $((40 + 2)) | tr 4 5\"}");
    assert_string_equal(pawl_str(v, "stdout", ""), "52\n");
}

static void what_is_no_option_is_refused(void **state)
{
    rig *r = *state;
    static const char *const inputs[] = {
        "{\"argv\": [\"true\"], \"timeout\": 5}",
        "{\"argv\": [\"true\"], \"timeout_s\": 0}",
        "{\"argv\": [\"true\"], \"timeout_s\": \"5\"}",
        "{\"argv\": [\"true\"], \"limits\": 5}",
        "{\"argv\": [\"true\"], \"limits\": {\"cpu\": 1}}",
        "{\"argv\": [\"true\"], \"limits\": {\"cpu_s\": 0}}",
        "{\"argv\": [\"true\"], \"limits\": {\"cpu_s\": 1.5}}",
        "{\"argv\": [\"true\"], \"limits\": {\"memory_bytes\": -1}}",
        "{\"argv\": [\"true\"], \"max_output_bytes\": 0}",
        "{\"argv\": [\"true\"], \"max_output_bytes\": 16777217}",
        "{\"argv\": [\"true\"], \"output\": \"json\"}",
        "{\"argv\": [\"true\"], \"pass_env\": \"HOME\"}",
        "{\"argv\": [\"true\"], \"pass_env\": [\"A=b\"]}",
        "{\"argv\": [\"true\"], \"cwd\": 5}",
        "{\"argv\": [\"true\"], \"shell\": \"true\"}",
        "{\"shell\": 5}",
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        const pawl_value *f = rig_run(r, pawl_activity_exec, inputs[i], PW_REPORT_FAILED);
        if (strcmp(pawl_str(f, "type", ""), "BadInput") != 0) {
            fail_msg("%s: %s", inputs[i], pawl_str(f, "type", ""));
        }
    }
}

static void only_named_variables_are_passed_on(void **state)
{
    rig *r = *state;
    (void)setenv("PAWL_TEST_ONE", "one", 1);
    (void)setenv("PAWL_TEST_TWO", "two", 1);
    const pawl_value *v =
        done(r, "{\"shell\": \"echo $PAWL_TEST_ONE-$PAWL_TEST_TWO-$PAWL_TEST_NONE; env | grep -c "
                "^HOME=\", \"pass_env\": [\"PAWL_TEST_ONE\", \"PAWL_TEST_NONE\", \"HOME\"]}");
    assert_string_equal(pawl_str(v, "stdout", ""), "one--\n1\n");
    v = done(r, "{\"shell\": \"echo $PAWL_TEST_ONE\", \"pass_env\": [\"PAWL_TEST_ONE\"], "
                "\"env\": {\"PAWL_TEST_ONE\": \"given\"}}");
    assert_string_equal(pawl_str(v, "stdout", ""), "given\n");
    (void)unsetenv("PAWL_TEST_ONE");
    (void)unsetenv("PAWL_TEST_TWO");
}

static void limits_are_those_of_the_input_and_never_above_the_engines(void **state)
{
    rig *r = *state;
    struct rlimit files;
    char line[80];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    const pawl_value *v = done(
        r, "{\"shell\": \"ulimit -t; ulimit -n; ulimit -v; ulimit -f\", \"limits\": {\"cpu_s\": "
           "7, \"files\": 20, \"memory_bytes\": 268435456, \"file_bytes\": 1048576}}");
    assert_string_equal(pawl_str(v, "stdout", ""), "7\n20\n262144\n2048\n");
    v = done(r, "{\"shell\": \"ulimit -H -n\", \"limits\": {\"files\": 4611686018427387904}}");
    (void)snprintf(line, sizeof line, "%llu\n", (unsigned long long)files.rlim_max);
    assert_string_equal(pawl_str(v, "stdout", ""),
                        files.rlim_max == RLIM_INFINITY ? "4611686018427387904\n" : line);
    v = done(r, "{\"shell\": \"ulimit -n\"}");
    (void)snprintf(line, sizeof line, "%llu\n", (unsigned long long)files.rlim_cur);
    assert_string_equal(pawl_str(v, "stdout", ""),
                        files.rlim_cur == RLIM_INFINITY ? "unlimited\n" : line);
}

static void a_program_that_computes_too_long_is_ended(void **state)
{
    rig *r = *state;
    const pawl_value *v = done(
        r, "{\"shell\": \"while :; do :; done\", \"check\": false, \"limits\": {\"cpu_s\": 1}}");
    assert_int_equal(pawl_int(v, "signal", 0), SIGXCPU);
    assert_int_equal(pawl_int(v, "exit", 0), 128 + SIGXCPU);
    assert_string_equal(pawl_str(v, "limit", ""), "cpu_s");
    v = done(r, "{\"shell\": \"trap '' XCPU; while :; do :; done\", \"check\": false, \"limits\": "
                "{\"cpu_s\": 1}}");
    assert_int_equal(pawl_int(v, "signal", 0), SIGKILL); /* it did not listen */
}

static void a_program_gets_no_more_memory_than_its_limit(void **state)
{
    rig *r = *state;
    const char *const eats = "{\"shell\": \"x=$(head -c 60000000 /dev/zero | tr '\\\\0' y); echo "
                             "${#x}\", \"check\": false%s}";
    char json[300];
    (void)snprintf(json, sizeof json, eats, "");
    const pawl_value *v = done(r, json);
    assert_string_equal(pawl_str(v, "stdout", ""), "60000000\n");
    (void)snprintf(json, sizeof json, eats, ", \"limits\": {\"memory_bytes\": 33554432}");
    v = done(r, json);
    assert_string_equal(pawl_str(v, "stdout", ""), "");
    assert_true(pawl_int(v, "exit", 0) != 0);
}

static void a_program_opens_no_more_files_than_its_limit(void **state)
{
    rig *r = *state;
    const pawl_value *v = done(r, "{\"argv\": [\"ls\", \"/\"], \"limits\": {\"files\": 8}}");
    assert_int_equal(pawl_int(v, "exit", -1), 0);
    v = done(
        r,
        "{\"argv\": [\"ls\", \"/\"], \"check\": false, \"limits\": {\"files\": 3}}"); /* not even its libraries */
    assert_string_equal(pawl_str(v, "stdout", ""), "");
    assert_true(pawl_int(v, "exit", 0) != 0);
}

static void a_program_writes_no_larger_file_than_its_limit(void **state)
{
    rig *r = *state;
    char json[300];
    char path[100];
    struct stat st = {0};
    (void)snprintf(path, sizeof path, "%s/out", r->folder);
    (void)snprintf(json, sizeof json,
                   "{\"shell\": \"exec head -c 100000 /dev/zero >%s\", \"check\": false, "
                   "\"limits\": {\"file_bytes\": 4096}}",
                   path);
    const pawl_value *v = done(r, json);
    assert_int_equal(pawl_int(v, "signal", 0), SIGXFSZ);
    assert_string_equal(pawl_str(v, "limit", ""), "file_bytes");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 4096);
    (void)unlink(path);
    v = done(r, "{\"argv\": [\"sh\", \"-c\", \"kill -XFSZ $$\"], \"check\": false}");
    assert_int_equal(pawl_int(v, "signal", 0), SIGXFSZ);
    assert_null(pawl_str(v, "limit", NULL)); /* a signal alone is no limit */
}

static void a_limit_that_ended_it_is_named_in_the_failure(void **state)
{
    rig *r = *state;
    const pawl_value *f = rig_run(
        r, pawl_activity_exec, "{\"shell\": \"while :; do :; done\", \"limits\": {\"cpu_s\": 1}}",
        PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "ExitStatus");
    assert_non_null(strstr(pawl_str(f, "message", ""), "limit cpu_s"));
    assert_string_equal(pawl_str(f, "details.limit", ""), "cpu_s");
}

static void output_comes_as_bytes_when_it_is_asked_for(void **state)
{
    rig *r = *state;
    size_t size = 0;
    const pawl_value *v =
        done(r, "{\"argv\": [\"printf\", \"a\\\\377\\\\000b\"], \"output\": \"bytes\"}");
    const void *data = pawl_data(v, "stdout", &size);
    assert_int_equal(pawl_typeof(pawl_get(v, "stdout")), PAWL_BYTES);
    assert_int_equal(size, 4);
    assert_memory_equal(data,
                        "a\xff\x00"
                        "b",
                        4);
    assert_int_equal(pawl_typeof(pawl_get(v, "stderr")), PAWL_BYTES);
    v = done(r, "{\"shell\": \"printf '\\\\377'; cat\", \"stdin\": {\"$bytes\": \"/wA=\"}, "
                "\"output\": \"bytes\"}");
    data = pawl_data(v, "stdout", &size);
    assert_int_equal(size, 3); /* binary in, binary out */
    assert_memory_equal(data, "\xff\xff\x00", 3);
}

static void each_stream_has_its_cap_and_its_size(void **state)
{
    rig *r = *state;
    const pawl_value *v =
        done(r, "{\"shell\": \"head -c 5000 /dev/zero | tr '\\\\0' o; echo end; echo short >&2\", "
                "\"max_output_bytes\": 100}");
    const char *out = pawl_str(v, "stdout", "");
    assert_int_equal(strlen(out), 100);
    assert_string_equal(out + 96, "end\n");
    assert_string_equal(pawl_str(v, "stderr", ""), "short\n");
    assert_int_equal(pawl_int(v, "stdout_size", 0), 5004);
    assert_int_equal(pawl_int(v, "stderr_size", 0), 6);
    assert_true(pawl_bool(v, "truncated", false));
}

static int setup(void **state)
{
    rig *r = calloc(1, sizeof *r);
    rig_init(r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_deinit(*state);
    free(*state);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_shell_runs_only_when_it_is_asked_for),
        T(what_is_no_option_is_refused),
        T(only_named_variables_are_passed_on),
        T(limits_are_those_of_the_input_and_never_above_the_engines),
        T(a_program_that_computes_too_long_is_ended),
        T(a_program_gets_no_more_memory_than_its_limit),
        T(a_program_opens_no_more_files_than_its_limit),
        T(a_program_writes_no_larger_file_than_its_limit),
        T(a_limit_that_ended_it_is_named_in_the_failure),
        T(output_comes_as_bytes_when_it_is_asked_for),
        T(each_stream_has_its_cap_and_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
