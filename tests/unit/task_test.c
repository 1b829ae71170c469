/*
 * task_test.c - one attempt: tokens, keys, cancellation, reports and how they end.
 *
 * Does not test what the core makes of a report.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/task.h"
#include "sdk/base/arena.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

/* Keeps what was reported last. */
typedef struct sink {
    pw_report *last;
    int count;
} sink;

static void on_report(void *ctx, pw_report *report)
{
    sink *s = ctx;
    pw_report_free(s->last);
    s->last = report;
    s->count++;
}

static void sink_deinit(sink *s)
{
    pw_report_free(s->last);
    s->last = NULL;
}

static pw_task_init init_of(sink *s)
{
    return (pw_task_init){
        .token = {.run = 12, .cmd = 3, .item = 0, .attempt = 2, .epoch = 9},
        .run_id = "release/1",
        .activity = "build",
        .journal_path = "/var/lib/j.db",
        .report = on_report,
        .report_ctx = s,
    };
}

static const pawl_value *said(const sink *s)
{
    assert_non_null(s->last);
    return pw_value_view(s->last->scope, s->last->value.data, s->last->value.size);
}

static void a_token_survives_its_text(void **state)
{
    (void)state;
    const pw_token tokens[] = {
        {1, 2, 0, 1, 1},
        {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, UINT64_MAX},
        {0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < 3; i++) {
        char text[120];
        pw_token back = {-1, -1, -1, -1, 5};
        pw_token_print(&tokens[i], text);
        assert_true(pw_token_parse(text, &back));
        assert_true(pw_token_equal(&tokens[i], &back));
        back.attempt ^= 1;
        assert_false(pw_token_equal(&tokens[i], &back));
    }
}

static void what_is_no_token_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        ":",
        "1",
        "1:2:3:4",
        "1:2:3:4:",
        "1:2:3:4:5 ",
        "1:2:3:4:5:6",
        " 1:2:3:4:5",
        "+1:2:3:4:5",
        "-1:2:3:4:5",
        "1:2::4:5",
        "1:2:3:4:x",
        "9223372036854775808:2:3:4:5",
        "1:2:3:4:18446744073709551616",
        "0x1:2:3:4:5",
    };
    pw_token token = {7, 7, 7, 7, 7};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(pw_token_parse(texts[i], &token));
        assert_int_equal(token.run, 7);
    }
}

static void the_key_is_the_same_for_every_attempt_and_differs_otherwise(void **state)
{
    (void)state;
    sink s = {0};
    pw_task_init init = init_of(&s);
    pawl_task *one = pw_task_new(&init);
    init.token.attempt = 3;
    init.token.epoch = 10;
    pawl_task *again = pw_task_new(&init);
    init.token.item = 4;
    pawl_task *item = pw_task_new(&init);
    init.token.item = 0;
    init.token.run = 13; /* the same id, used again after the run closed */
    pawl_task *reused = pw_task_new(&init);
    assert_string_equal(pawl_task_key(one), pawl_task_key(again));
    assert_string_equal(pawl_task_scratch_path(one), pawl_task_scratch_path(again));
    assert_string_not_equal(pawl_task_key(one), pawl_task_key(item));
    assert_string_not_equal(pawl_task_scratch_path(one), pawl_task_scratch_path(item));
    assert_string_not_equal(pawl_task_key(one), pawl_task_key(reused));
    assert_null(strchr(pawl_task_scratch_path(one) + strlen("/var/lib/j.db.scratch/"), '/'));
    pawl_task *const all[] = {one, again, item, reused};
    for (size_t i = 0; i < 4; i++) {
        pawl_task_finish_canceled(all[i]);
        pw_task_unref(all[i]);
    }
    sink_deinit(&s);
}

static void a_long_run_id_makes_no_long_key(void **state)
{
    (void)state;
    sink s = {0};
    char id[PW_ID_BYTES_MAX + 1];
    memset(id, 'r', PW_ID_BYTES_MAX);
    id[PW_ID_BYTES_MAX] = '\0';
    pw_task_init init = init_of(&s);
    init.run_id = id;
    init.journal_path = "";
    pawl_task *task = pw_task_new(&init);
    assert_in_range(strlen(pawl_task_key(task)), 64, 120);
    assert_string_equal(pawl_task_run_id(task), id);
    assert_string_equal(pawl_task_scratch_path(task), "");
    pawl_task_finish_canceled(task);
    pw_task_unref(task);
    sink_deinit(&s);
}

static void the_code_sees_what_it_was_given(void **state)
{
    (void)state;
    sink s = {0};
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *input = pawl_build(scope, "{a: %d}", 5);
    const pawl_value *detail = pawl_build(scope, "[1, 2]");
    pw_task_init init = init_of(&s);
    init.input = pw_value_bytes(input);
    init.last_detail = pw_value_bytes(detail);
    init.deadline_ms = 77;
    pawl_task *task = pw_task_new(&init);
    pawl_scope_free(scope); /* it has copies */
    assert_int_equal(pawl_int(pawl_task_input(task), "a", 0), 5);
    assert_int_equal(pawl_len(pawl_task_last_detail(task)), 2);
    assert_int_equal(pawl_task_deadline_ms(task), 77);
    assert_int_equal(pawl_task_attempt(task), 2);
    assert_int_equal(pawl_task_command(task), 3);
    assert_string_equal(pawl_task_activity(task), "build");
    pawl_task_finish(task, NULL);
    assert_int_equal(s.last->kind, PW_REPORT_DONE);
    assert_int_equal(pawl_typeof(said(&s)), PAWL_NIL);
    pw_task_unref(task);
    sink_deinit(&s);
}

static void a_result_is_handed_over_also_from_a_scope_of_its_own(void **state)
{
    (void)state;
    sink s = {0};
    const pw_task_init init = init_of(&s);
    pawl_task *task = pw_task_new(&init);
    pawl_scope *own = pawl_scope_new();
    pawl_task_begin(task);
    assert_int_equal(s.last->kind, PW_REPORT_BEGIN);
    pawl_task_begin(task); /* says it once */
    assert_int_equal(s.count, 1);
    assert_true(pawl_task_heartbeat(task, pawl_build(own, "{line: %s}", "x")));
    assert_int_equal(s.last->kind, PW_REPORT_BEAT);
    assert_string_equal(pawl_str(said(&s), "line", ""), "x");
    assert_true(pawl_task_heartbeat(task, NULL));
    pawl_task_finish(task, pawl_build(own, "{ok: true}"));
    pawl_scope_free(own);
    pw_task_unref(task);
    assert_int_equal(s.last->kind, PW_REPORT_DONE);
    assert_true(pawl_bool(said(&s), "ok", false));
    sink_deinit(&s);
}

static void a_failure_carries_type_message_details_and_whether_to_retry(void **state)
{
    (void)state;
    sink s = {0};
    const pw_task_init init = init_of(&s);
    pawl_task *task = pw_task_new(&init);
    assert_null(
        pawl_task_fail_with(task, "Denied", "no", pawl_task_build(task, "{code: 403}"), false));
    pawl_task_finish(task, pawl_task_build(task, "1")); /* what it returns is ignored then */
    pw_task_unref(task);
    assert_int_equal(s.last->kind, PW_REPORT_FAILED);
    assert_string_equal(pawl_str(said(&s), "type", ""), "Denied");
    assert_string_equal(pawl_str(said(&s), "message", ""), "no");
    assert_int_equal(pawl_int(said(&s), "details.code", 0), 403);
    assert_false(pawl_bool(said(&s), "retryable", true));

    task = pw_task_new(&init);
    assert_null(pawl_task_fail(task, "Weird", "bytes %s and %c", "\xff\xc3\xa9\xed\xa0\x80", '!'));
    pawl_task_finish(task, NULL);
    pw_task_unref(task);
    assert_string_equal(pawl_str(said(&s), "message", ""), "bytes ?\xc3\xa9??? and !");
    assert_true(pawl_bool(said(&s), "retryable", false));

    char *long_text = malloc(5000);
    memset(long_text, 'm', 4999);
    long_text[4999] = '\0';
    task = pw_task_new(&init);
    assert_null(pawl_task_fail(task, "", "%s", long_text));
    pawl_task_finish(task, NULL);
    pw_task_unref(task);
    free(long_text);
    assert_string_equal(pawl_str(said(&s), "type", ""), "Failed");
    assert_int_equal(strlen(pawl_str(said(&s), "message", "")), PW_TEXT_BYTES_MAX);
    sink_deinit(&s);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void cancel_is_seen_by_flag_descriptor_and_heartbeat(void **state)
{
    (void)state;
    for (int fd_first = 0; fd_first < 2; fd_first++) {
        sink s = {0};
        const pw_task_init init = init_of(&s);
        pawl_task *task = pw_task_new(&init);
        if (fd_first) {
            assert_false(readable(pawl_task_cancel_fd(task)));
        }
        assert_false(pawl_task_canceled(task));
        pw_task_cancel(task);
        pw_task_cancel(task);
        assert_true(pawl_task_canceled(task));
        assert_true(readable(pawl_task_cancel_fd(task)));
        assert_int_equal(pawl_task_cancel_fd(task), pawl_task_cancel_fd(task));
        assert_false(pawl_task_heartbeat(task, NULL));
        (void)pawl_task_fail(task, "Canceled", "stopped");
        pawl_task_finish(task, NULL);
        assert_int_equal(s.last->kind, PW_REPORT_CANCELED);
        pw_task_unref(task);
        sink_deinit(&s);
    }
}

static void a_failure_named_canceled_without_a_cancel_is_a_failure(void **state)
{
    (void)state;
    sink s = {0};
    const pw_task_init init = init_of(&s);
    pawl_task *task = pw_task_new(&init);
    (void)pawl_task_fail(task, "Canceled", "by whom?");
    pawl_task_finish(task, NULL);
    assert_int_equal(s.last->kind, PW_REPORT_FAILED);
    pw_task_unref(task);
    sink_deinit(&s);
}

static void *cancel_thread(void *arg)
{
    pw_task_cancel(arg);
    return NULL;
}

static void a_cancel_that_races_with_the_descriptor_is_not_lost(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        sink s = {0};
        pthread_t thread;
        const pw_task_init init = init_of(&s);
        pawl_task *task = pw_task_new(&init);
        assert_int_equal(pthread_create(&thread, NULL, cancel_thread, task), 0);
        const int fd = pawl_task_cancel_fd(task);
        pthread_join(thread, NULL);
        assert_true(readable(fd));
        pawl_task_finish_canceled(task);
        pw_task_unref(task);
        sink_deinit(&s);
    }
}

/* One attempt from its making to its end. True if it could be made. */
static bool attempt_whole(sink *s)
{
    const pw_task_init init = init_of(s);
    pawl_task *task = pw_task_new(&init);
    if (task == NULL) {
        return false;
    }
    pawl_task_begin(task);
    (void)pawl_task_heartbeat(task, pawl_task_build(task, "{line: %s}", "x"));
    (void)pawl_task_fail(task, "Broken", "it %s", "broke");
    pawl_task_finish(task, NULL);
    pw_task_unref(task);
    return true;
}

static void an_attempt_always_ends_whatever_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    for (int64_t nth = 1; failed; nth++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            sink s = {0};
            pw_mem_fail(nth, sticky == 1);
            const bool made = attempt_whole(&s);
            (void)pw_mem_count(&failed);
            pw_mem_fail(0, false);
            if (made) {
                assert_int_equal(s.last->kind, PW_REPORT_FAILED);
                const char *type = pawl_str(said(&s), "type", "");
                assert_true(strcmp(type, "Broken") == 0 ||
                            (failed && strcmp(type, "OutOfMemory") == 0));
            } else {
                assert_true(failed);
                assert_int_equal(s.count, 0);
            }
            sink_deinit(&s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_survives_its_text),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(the_key_is_the_same_for_every_attempt_and_differs_otherwise),
        cmocka_unit_test(a_long_run_id_makes_no_long_key),
        cmocka_unit_test(the_code_sees_what_it_was_given),
        cmocka_unit_test(a_result_is_handed_over_also_from_a_scope_of_its_own),
        cmocka_unit_test(a_failure_carries_type_message_details_and_whether_to_retry),
        cmocka_unit_test(cancel_is_seen_by_flag_descriptor_and_heartbeat),
        cmocka_unit_test(a_failure_named_canceled_without_a_cancel_is_a_failure),
        cmocka_unit_test(a_cancel_that_races_with_the_descriptor_is_not_lost),
        cmocka_unit_test(an_attempt_always_ends_whatever_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
