/*
 * http_events.h - a response of the activity "http" that is a stream of events: kept as a list, and said to whoever follows the run.
 */
#ifndef PW_HTTP_EVENTS_H
#define PW_HTTP_EVENTS_H

#include "activities/http_sse.h"
#include "activities/secret.h"
#include "sdk/pawl_activity.h"

typedef struct pw_http_events {
    pawl_task *task;
    const pw_secrets *secrets;
    pw_sse sse;
    pw_buf list; /* {event, data, id} as msgpack, end to end */
    size_t len;
    size_t len_max;
    const char *until_event; /* NULL = none; both are of the task's input */
    const char *until_data;
    bool enough; /* the last that was wanted has come */
} pw_http_events;

/** NULL, or what is wrong with `until` and `max_events` of an input. */
const char *pw_http_events_check(const pawl_value *input);
/** NULL when memory is out. The task, its input and the secrets are kept until free. */
pw_http_events *pw_http_events_new(pawl_task *task, const pw_secrets *secrets);
void pw_http_events_free(pw_http_events *events); /* accepts NULL */
/** False: no more is wanted (enough), or it cannot be kept. */
bool pw_http_events_put(pw_http_events *events, const void *data, size_t size);
/** The stream has ended. */
bool pw_http_events_end(pw_http_events *events);
/** Appends the list to a msgpack value. */
void pw_http_events_list(const pw_http_events *events, pw_buf *out);

#endif
