/*
 * net_sse_test.c - the reader of server-sent events: the same events however the bytes are cut, and an end to what grows. Reads no
 * socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "activities/http_sse.h"
#include "sdk/base/error.h"

typedef struct seen {
    pw_buf text; /* "type|id|data;" of each */
    int left;    /* events until the callback has enough */
} seen;

static bool on_event(void *user, const pw_sse_event *e)
{
    seen *s = user;
    pw_buf_printf(&s->text, "%s|%s|", e->type, e->id);
    pw_buf_put(&s->text, e->data, e->size);
    pw_buf_putc(&s->text, ';');
    assert_int_equal(e->data[e->size], 0);
    return --s->left != 0;
}

/* All of the stream in pieces of `step` bytes. */
static pawl_status read_all(seen *s, const char *data, size_t size, size_t step)
{
    pw_sse sse;
    pawl_error err;
    pawl_status status = PAWL_OK;
    pw_sse_init(&sse, 64, on_event, s);
    for (size_t at = 0; at < size && status == PAWL_OK; at += step) {
        status = pw_sse_put(&sse, data + at, size - at < step ? size - at : step, &err);
    }
    if (status == PAWL_OK) {
        status = pw_sse_end(&sse, &err);
    }
    pw_sse_deinit(&sse);
    return status;
}

static void check_size(const char *data, size_t size, const char *expected)
{
    for (size_t step = 1; step <= size; step++) {
        seen s = {PW_BUF_INIT, 0};
        assert_int_equal(read_all(&s, data, size, step), PAWL_OK);
        if (strcmp(pw_buf_cstr(&s.text), expected) != 0) {
            fail_msg("in pieces of %zu: \"%s\", expected \"%s\"", step, pw_buf_cstr(&s.text),
                     expected);
        }
        pw_buf_deinit(&s.text);
    }
}

static void check(const char *data, const char *expected)
{
    check_size(data, strlen(data), expected);
}

static void events_are_the_same_however_the_bytes_are_cut(void **state)
{
    (void)state;
    check("data: one\n\ndata: two\n\n", "message||one;message||two;");
    check("data: one\r\n\r\ndata: two\r\rdata:three\n\n",
          "message||one;message||two;message||three;");
    check("event: tick\nid: 7\ndata: a\ndata:b\n\ndata: c\n\n", "tick|7|a\nb;message|7|c;");
    check("\xef\xbb\xbf"
          "data: x\n\n",
          "message||x;");
    check("\xef\xbb"
          "data: x\n\ndata: y\n\n",
          "message||y;"); /* that field has another name */
}

static void what_is_no_event_is_ignored(void **state)
{
    (void)state;
    check(": a comment\n\n:\n\n\n\n", "");
    check("event: lonely\n\ndata: x\n\n", "message||x;");
    check("data\n\n", "message||;");
    check("data:\n\n", "message||;");
    check("dat: x\nretry: 12x\nunknown: y\n\n", "");
    check("data:  two spaces\n\n", "message|| two spaces;");
    check_size("id: a\0b\ndata: x\n\n", 17, "message||x;");
}

static void an_end_hands_over_whole_lines_only(void **state)
{
    (void)state;
    check("data: whole\n", "message||whole;");
    check("data: whole\ndata: cu", "message||whole;");
    check("data: cut", "");
}

static void what_grows_is_ended(void **state)
{
    (void)state;
    char line[100] = "data: ";
    memset(line + 6, 'x', 80);
    for (size_t step = 1; step < 90; step += 7) {
        seen s = {PW_BUF_INIT, 0};
        assert_int_equal(read_all(&s, line, 86, step), PAWL_LIMIT); /* one long line */
        pw_buf_deinit(&s.text);
    }
    pw_buf lines = PW_BUF_INIT;
    for (int i = 0; i < 20; i++) {
        pw_buf_puts(&lines, "data: 1234\n"); /* many short ones */
    }
    seen s = {PW_BUF_INIT, 0};
    assert_int_equal(read_all(&s, pw_buf_cstr(&lines), lines.size, 5), PAWL_LIMIT);
    assert_int_equal(s.text.size, 0);
    pw_buf_deinit(&s.text);
    pw_buf_deinit(&lines);
    check("event: this type is much longer than nothing\ndata: x\n\n",
          "this type is much longer than nothing||x;");
}

static void a_reader_that_has_enough_is_not_called_again(void **state)
{
    (void)state;
    seen s = {PW_BUF_INIT, 2};
    const char data[] = "data: 1\n\ndata: 2\n\ndata: 3\n\n";
    assert_int_equal(read_all(&s, data, strlen(data), 100), PAWL_CANCELED);
    assert_string_equal(pw_buf_cstr(&s.text), "message||1;message||2;");
    pw_buf_deinit(&s.text);
}

static void a_retry_time_is_kept(void **state)
{
    (void)state;
    pw_sse sse;
    pawl_error err;
    seen s = {PW_BUF_INIT, 0};
    pw_sse_init(&sse, 0, on_event, &s);
    assert_int_equal(sse.retry_ms, -1);
    assert_int_equal(
        pw_sse_put(&sse, "retry: 2500\nretry: -1\nretry: 99999999999999999999\nretry:\n", 55, &err),
        PAWL_OK);
    assert_int_equal(sse.retry_ms, 2500);
    pw_sse_deinit(&sse);
    pw_buf_deinit(&s.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(what_is_no_event_is_ignored),
        cmocka_unit_test(an_end_hands_over_whole_lines_only),
        cmocka_unit_test(what_grows_is_ended),
        cmocka_unit_test(a_reader_that_has_enough_is_not_called_again),
        cmocka_unit_test(a_retry_time_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
