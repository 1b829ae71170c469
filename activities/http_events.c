/*
 * http_events.c - see http_events.h.
 *
 *   bytes --> pw_sse --> {event, data, id} --> list, for the result
 *                              '--redact--> one line of JSON on the channel "events" of the task
 *                              '--the one that was waited for, or enough of them: the request ends, and has its result
 *
 * The list is redacted with the rest of the result (http_output.c). Does not reconnect: a stream that breaks is a failure, and the next attempt
 * begins anew.
 */
#include "activities/http_events.h"

#include <string.h>

#include "activities/http_activity.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

const char *pw_http_events_check(const pawl_value *input)
{
    const pawl_value *until = pawl_get(input, "until");
    const pawl_value *max = pawl_get(input, "max_events");
    if (until == NULL && max == NULL) {
        return NULL;
    }
    if (!pawl_is(input, "as", "events")) {
        return "until and max_events are of as: \"events\"";
    }
    if (max != NULL && (pawl_typeof(max) != PAWL_INT || pawl_int(max, "", 0) < 1 ||
                        pawl_int(max, "", 0) > PW_HTTP_EVENTS_MAX)) {
        return "max_events must be from 1 to 100000";
    }
    const bool ok =
        until == NULL ||
        (pawl_typeof(until) == PAWL_MAP && pawl_len(until) == 1 &&
         (pawl_str(until, "event", NULL) != NULL || pawl_str(until, "data", NULL) != NULL));
    return ok ? NULL : "until must be {event: text} or {data: text}";
}

/* One line of JSON; what cannot be made clean is not shown, and kept all the same. */
static void say(pw_http_events *x, const uint8_t *event, size_t size)
{
    pw_buf clean = PW_BUF_INIT;
    pw_buf line = PW_BUF_INIT;
    pawl_error err;
    pw_buf_put(&clean, event, size);
    if (pw_buf_ok(&clean) && pw_secret_redact_value(x->secrets, &clean) &&
        pw_json_print(&line, clean.data, clean.size, 0, &err) == PAWL_OK) {
        pw_buf_putc(&line, '\n');
        if (pw_buf_ok(&line)) {
            (void)pawl_task_output(x->task, "events", line.data, line.size);
        }
    }
    pw_buf_deinit(&line);
    pw_buf_deinit(&clean);
}

static bool on_event(void *user, const pw_sse_event *event)
{
    pw_http_events *x = user;
    const size_t before = x->list.size;
    const bool with_id = event->id[0] != '\0';
    pw_mp_map(&x->list, with_id ? 3 : 2);
    pw_mp_str(&x->list, "event");
    pw_http_text_put(&x->list, event->type, strlen(event->type));
    pw_mp_str(&x->list, "data");
    pw_http_text_put(&x->list, event->data, event->size);
    if (with_id) {
        pw_mp_str(&x->list, "id");
        pw_http_text_put(&x->list, event->id, strlen(event->id));
    }
    if (!pw_buf_ok(&x->list)) {
        return false;
    }
    x->len++;
    say(x, x->list.data + before, x->list.size - before);
    x->enough = x->len >= x->len_max ||
                (x->until_event != NULL && strcmp(event->type, x->until_event) == 0) ||
                (x->until_data != NULL && event->size == strlen(x->until_data) &&
                 memcmp(event->data, x->until_data, event->size) == 0);
    return !x->enough;
}

pw_http_events *pw_http_events_new(pawl_task *task, const pw_secrets *secrets)
{
    const pawl_value *input = pawl_task_input(task);
    pw_http_events *x = pw_calloc(1, sizeof *x);
    if (x == NULL) {
        return NULL;
    }
    x->task = task;
    x->secrets = secrets;
    x->len_max = (size_t)pawl_int(input, "max_events", PW_HTTP_EVENTS_MAX);
    x->until_event = pawl_str(input, "until.event", NULL);
    x->until_data = pawl_str(input, "until.data", NULL);
    pw_buf_init(&x->list, PW_VALUE_BYTES_MAX);
    pw_sse_init(&x->sse, 0, on_event, x);
    return x;
}

void pw_http_events_free(pw_http_events *x)
{
    if (x != NULL) {
        pw_sse_deinit(&x->sse);
        pw_buf_deinit(&x->list);
        pw_free(x);
    }
}

bool pw_http_events_put(pw_http_events *x, const void *data, size_t size)
{
    pawl_error err;
    return pw_sse_put(&x->sse, data, size, &err) == PAWL_OK;
}

bool pw_http_events_end(pw_http_events *x)
{
    pawl_error err;
    return x->enough || pw_sse_end(&x->sse, &err) == PAWL_OK || x->enough;
}

void pw_http_events_list(const pw_http_events *x, pw_buf *out)
{
    pw_mp_array(out, x->len);
    pw_buf_put(out, x->list.data, x->list.size);
}
