/*
 * stack_test.c - what code has while it waits: its stack and how deep it was used, what it registered to be released, its options.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>

#include "sdk/base/limits.h"

/* ---- depth ---- */

static void dig(size_t left);
static void (*volatile dig_again)(size_t left) = dig; /* so that no compiler makes a loop of it */

static void dig(size_t left)
{
    volatile char frame[1024];
    for (size_t i = 0; i < sizeof frame; i++) {
        frame[i] = 0x5a;
    }
    if (left > sizeof frame) {
        dig_again(left - sizeof frame);
    }
    frame[0] = frame[1];
}

static const pawl_value *digs(pawl_run *w, const pawl_value *in)
{
    dig((size_t)pawl_int(in, "kib", 0) << 10);
    (void)pawl_signal(w, .name = "go");
    return NULL;
}

static void register_with(rig *r, const char *name, pawl_workflow_fn fn,
                          const pawl_workflow_options *options)
{
    pawl_error err = {0};
    if (pw_core_workflow(r->core, name, "1", fn, NULL, options, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
}

static void
how_deep_a_stack_was_used_is_shown_with_it_and_the_deepest_in_the_statistics(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", digs);
    rig_start_with(r, "wf", "shallow", rig_value(r, "{kib: 0}"));
    const pawl_value *shallow = rig_ask(r, "stack", "{id: %s}", "shallow")->value;
    assert_int_equal(pawl_int(shallow, "stack_bytes", 0), PW_STACK_BYTES);
    assert_in_range(pawl_int(shallow, "stack_peak", 0), 64, PW_STACK_BYTES);
    rig_start_with(r, "wf", "deep", rig_value(r, "{kib: 30}"));
    int64_t deep = pawl_int(rig_ask(r, "stack", "{id: %s}", "deep")->value, "stack_peak", 0);
    assert_in_range(deep, 30 << 10, PW_STACK_BYTES);
    assert_true(deep >
                pawl_int(rig_ask(r, "stack", "{id: %s}", "shallow")->value, "stack_peak", 0));
    assert_in_range(rig_stat(r, "stack_peak"), deep, PW_STACK_BYTES);
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "deep", "go");
    assert_string_equal(rig_status(r, "deep"), "completed");
    assert_in_range(pawl_int(rig_ask(r, "stack", "{id: %s}", "deep")->value, "stack_peak", 0),
                    30 << 10, PW_STACK_BYTES);
}

static void a_stack_given_back_unseen_counts_in_the_statistics(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", digs);
    rig_start_with(r, "wf", "a", rig_value(r, "{kib: 30}"));
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_in_range(rig_stat(r, "stack_peak"), 30 << 10, PW_STACK_BYTES);
}

static void stack_bytes_is_what_the_code_gets(void **state)
{
    rig *r = *state;
    register_with(r, "wf", digs,
                  &(pawl_workflow_options){.struct_size = sizeof(pawl_workflow_options),
                                           .stack_bytes = 2u << 20});
    rig_start_with(r, "wf", "a",
                   rig_value(r, "{kib: 320}")); /* more than there is without the option */
    const pawl_value *stack = rig_ask(r, "stack", "{id: %s}", "a")->value;
    assert_int_equal(pawl_int(stack, "stack_bytes", 0), 2 << 20);
    assert_in_range(pawl_int(stack, "stack_peak", 0), 320 << 10, 2 << 20);
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void more_stack_than_there_may_be_is_refused_when_the_code_is_registered(void **state)
{
    rig *r = *state;
    pawl_error err = {0};
    pawl_workflow_options o = {.struct_size = sizeof o,
                               .stack_bytes = (size_t)PW_STACK_BYTES_MAX + 1};
    assert_int_equal(pw_core_workflow(r->core, "wf", "1", digs, NULL, &o, &err), PAWL_LIMIT);
    assert_non_null(strstr(err.message, "67108865"));
    o.stack_bytes = PW_STACK_BYTES_MAX;
    assert_int_equal(pw_core_workflow(r->core, "wf", "1", digs, NULL, &o, &err), PAWL_OK);
}

static void what_is_no_map_or_no_schema_is_not_published(void **state)
{
    rig *r = *state;
    pawl_error err;
    pawl_workflow_options o = {.struct_size = sizeof o, .publish = "[]"};
    assert_int_equal(pw_core_workflow(r->core, "wf", "1", digs, NULL, &o, &err), PAWL_INVALID);
    o.publish = "{";
    assert_int_equal(pw_core_workflow(r->core, "wf", "1", digs, NULL, &o, &err), PAWL_PARSE);
    o.publish = "{\"tool\": {}}";
    o.output_schema = "7";
    assert_int_equal(pw_core_workflow(r->core, "wf", "1", digs, NULL, &o, &err), PAWL_INVALID);
    o.output_schema = "{\"type\": \"object\"}";
    assert_int_equal(pw_core_workflow(r->core, "wf", "1", digs, NULL, &o, &err), PAWL_OK);
    const pawl_value *list = pawl_get(rig_ask(r, "tools", "{}")->value, "workflows");
    assert_string_equal(pawl_str(list, "0.publish", ""), o.publish);
    assert_string_equal(pawl_str(list, "0.output_schema", ""), o.output_schema);
}

static void description_and_input_schema_are_listed_as_they_were_given(void **state)
{
    static const char schema[] = "{\"type\": \"object\", \"required\": [\"kib\"]}";
    rig *r = *state;
    register_with(r, "with", digs,
                  &(pawl_workflow_options){.struct_size = sizeof(pawl_workflow_options),
                                           .description = "digs",
                                           .input_schema = schema});
    register_with(r, "without", digs, NULL);
    const pawl_value *list = pawl_get(rig_ask(r, "tools", "{}")->value, "workflows");
    assert_int_equal(pawl_len(list), 2);
    for (size_t i = 0; i < 2; i++) {
        bool with = pawl_is(pawl_at(list, i), "name", "with");
        assert_string_equal(pawl_str(pawl_at(list, i), "input_schema", "?"), with ? schema : "");
        assert_string_equal(pawl_str(pawl_at(list, i), "description", "?"), with ? "digs" : "");
    }
}

/* ---- pawl_on_unwind ---- */

static char unwound[256];

static void unwind(void *arg)
{
    size_t used = strlen(unwound);
    (void)snprintf(unwound + used, sizeof unwound - used, "%s", (const char *)arg);
}

static const pawl_value *holds(pawl_run *w, const pawl_value *in)
{
    static char a[] = "a", b[] = "b", c[] = "c";
    (void)in;
    pawl_on_unwind(w, unwind, a);
    pawl_on_unwind(w, unwind, b);
    (void)pawl_signal(w, .name = "go");
    pawl_on_unwind(w, unwind, c);
    (void)pawl_signal(w, .name = "go");
    return NULL;
}

static void what_was_registered_is_released_in_reverse_at_eviction_and_at_the_end(void **state)
{
    rig *r = *state;
    unwound[0] = '\0';
    rig_workflow(r, "wf", holds);
    rig_start(r, "wf", "a");
    assert_string_equal(unwound, r->mode == RIG_NO_STACKS ? "ba"
                                 : r->mode == RIG_NORMAL  ? ""
                                                          : unwound);
    rig_advance(r, 50000); /* idle for long */
    assert_string_equal(unwound, "ba");
    unwound[0] = '\0';
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    rig_advance(r, 50000);
    assert_string_equal(unwound, "cba");
    unwound[0] = '\0';
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_advance(r, 50000);
    assert_string_equal(unwound, "cba");
}

static void what_was_registered_is_released_when_the_engine_closes(void **state)
{
    rig *r = *state;
    unwound[0] = '\0';
    rig_workflow(r, "wf", holds);
    rig_start(r, "wf", "a");
    rig_kill(r);
    assert_string_equal(unwound, "ba");
    rig_boot(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(how_deep_a_stack_was_used_is_shown_with_it_and_the_deepest_in_the_statistics),
        RIG_TEST(a_stack_given_back_unseen_counts_in_the_statistics),
        RIG_TEST(stack_bytes_is_what_the_code_gets),
        RIG_TEST(more_stack_than_there_may_be_is_refused_when_the_code_is_registered),
        RIG_TEST(description_and_input_schema_are_listed_as_they_were_given),
        RIG_TEST(what_is_no_map_or_no_schema_is_not_published),
        RIG_TEST(what_was_registered_is_released_in_reverse_at_eviction_and_at_the_end),
        RIG_TEST(what_was_registered_is_released_when_the_engine_closes),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
