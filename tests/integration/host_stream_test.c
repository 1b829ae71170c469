/*
 * host_stream_test.c - what attempts say while they run: in order, the last of it for whoever comes late, void when the attempt has no
 * result, never in the journal. Runs against a host with threads; the worker's side is in worker_test.py.
 */
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/base/limits.h"
#include "tests/integration/host_rig.h"

static sem_t gate; /* an attempt goes on */

typedef struct heard {
    char text[200]; /* what was said, attempts apart: "1:one 1! 2:two" */
    int64_t next_at;
    int pieces, gaps;
    size_t bytes;
    char type[32];
} heard;

static void add(heard *h, const char *text)
{
    size_t used = strlen(h->text);
    (void)snprintf(h->text + used, sizeof h->text - used, "%s%s", used > 0 ? " " : "", text);
}

static void on_output(void *user, const pawl_value *event)
{
    heard *h = user;
    char line[80];
    size_t size = 0;
    (void)snprintf(h->type, sizeof h->type, "%s", pawl_str(event, "type", ""));
    if (strcmp(h->type, "Output") == 0) {
        const char *data = pawl_data(event, "data", &size);
        h->gaps += pawl_int(event, "at", -1) != h->next_at;
        h->next_at = pawl_int(event, "at", 0) + (int64_t)size;
        h->pieces++;
        h->bytes += size;
        assert_string_equal(pawl_str(event, "channel", ""), "text");
        if (size < 6) {
            (void)snprintf(line, sizeof line, "%d:%.*s", (int)pawl_int(event, "attempt", 0),
                           (int)size, data);
            add(h, line);
        }
    } else if (strcmp(h->type, "OutputEnded") == 0) {
        (void)snprintf(line, sizeof line, "%d%c", (int)pawl_int(event, "attempt", 0),
                       pawl_bool(event, "stands", false) ? '.' : '!');
        h->next_at = 0;
        add(h, line);
    }
}

static void hear(rig *r, const heard *h, const char *text)
{
    while (strcmp(h->text, text) != 0) {
        struct pollfd fd = {.fd = pawl_poll_fd(r->engine), .events = POLLIN};
        if (strncmp(h->text, text, strlen(h->text)) != 0 || poll(&fd, 1, 20000) <= 0) {
            fail_msg("wanted \"%s\", heard \"%s\"", text, h->text);
        }
        (void)pawl_dispatch(r->engine);
    }
}

/* Says a word an attempt, waits at the gate; the first has no result. */
static const pawl_value *speaker(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    const char *word = pawl_task_attempt(t) == 1 ? "one" : "two";
    assert_true(pawl_task_output(t, "text", word, strlen(word)));
    (void)sem_wait(&gate);
    return pawl_task_attempt(t) == 1 ? pawl_task_fail(t, "Cut", "cut")
                                     : pawl_task_build(t, "{said: %s}", word);
}

/* Says more than is kept, in one call, all of whole characters. */
static const pawl_value *talker(pawl_task *t, const pawl_value *in, void *user)
{
    size_t size = 3 * PW_STREAM_TAIL_BYTES;
    char *text = malloc(size);
    (void)in;
    (void)user;
    for (size_t i = 0; text != NULL && i + 2 < size; i += 3) {
        memcpy(text + i, "€", 3);
    }
    (void)pawl_task_output(t, "text", text, size);
    free(text);
    (void)pawl_task_output(t, "text", "end", 3);
    (void)sem_wait(&gate);
    return NULL;
}

static const pawl_value *speaks(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, pawl_str(in, "activity", "speaker"), .retry_initial_s = 0.001);
}

static int setup(void **state)
{
    int code = rig_setup(state);
    rig *r = *state;
    (void)sem_init(&gate, 0, 0);
    rig_open(r, NULL);
    ok(r, pawl_register_activity(r->engine, "speaker", speaker, NULL, &r->err));
    ok(r, pawl_register_activity(r->engine, "talker", talker, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "speaks", "1", speaks, NULL, &r->err));
    return code;
}

static void an_attempt_without_a_result_has_said_nothing_that_stands(void **state)
{
    rig *r = *state;
    heard all = {0}, other = {0}, events = {0};
    ok(r, pawl_watch_output(r->engine, "s-1", on_output, &all, &r->err));
    ok(r, pawl_watch_output(r->engine, "s-2", on_output, &other, &r->err));
    ok(r, pawl_watch(r->engine, NULL, on_output, &events, &r->err));
    rig_start(r, "speaks", "s-1", NULL);
    hear(r, &all, "1:one");
    (void)sem_post(&gate);
    hear(r, &all, "1:one 1! 2:two");
    (void)sem_post(&gate);
    hear(r, &all, "1:one 1! 2:two 2.");
    (void)rig_result(r, "s-1");
    assert_int_equal(all.gaps, 0);
    assert_string_equal(other.text, "");
    assert_string_equal(events.text, "");
}

static void who_comes_late_hears_the_end_of_what_was_said(void **state)
{
    rig *r = *state;
    heard first = {0}, late = {0};
    ok(r, pawl_watch_output(r->engine, "s-1", on_output, &first, &r->err));
    rig_start(r, "speaks", "s-1", "{\"activity\": \"talker\"}");
    hear(r, &first, "1:end");
    assert_int_equal(first.bytes, 3 * PW_STREAM_TAIL_BYTES + 3);
    assert_int_equal(first.gaps, 0);
    assert_true(first.pieces > 3);
    ok(r, pawl_watch_output(r->engine, NULL, on_output, &late, &r->err));
    hear(r, &late, "1:end");
    assert_int_equal(late.gaps, 1); /* its first piece has its place, far from 0 */
    assert_true(late.bytes <= PW_STREAM_TAIL_BYTES && late.bytes > PW_STREAM_TAIL_BYTES / 4);
    assert_int_equal(late.next_at, first.next_at);
    (void)sem_post(&gate);
    (void)rig_result(r, "s-1");
}

static void nothing_of_it_is_in_the_history(void **state)
{
    rig *r = *state;
    const pawl_value *history = NULL;
    heard all = {0};
    ok(r, pawl_watch_output(r->engine, "s-1", on_output, &all, &r->err));
    rig_start(r, "speaks", "s-1", NULL);
    (void)sem_post(&gate);
    (void)sem_post(&gate);
    (void)rig_result(r, "s-1");
    hear(r, &all, "1:one 1! 2:two 2.");
    ok(r, pawl_request(r->engine, "history", pawl_build(r->scope, "{id: \"s-1\"}"), 20000, r->scope,
                       &history, &r->err));
    const char *json = pawl_to_json(r->scope, history, 0);
    assert_non_null(strstr(json, "two"));
    assert_null(strstr(json, "\"one\""));
    assert_null(strstr(json, "Output"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_attempt_without_a_result_has_said_nothing_that_stands),
        T(who_comes_late_hears_the_end_of_what_was_said),
        T(nothing_of_it_is_in_the_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
