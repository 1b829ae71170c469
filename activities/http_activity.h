/*
 * http_activity.h - the activity "http", and its parts: the request out of an input, the result or failure out of a response.
 *
 * The manual is sdk/pawl_net.h.
 */
#ifndef PW_HTTP_ACTIVITY_H
#define PW_HTTP_ACTIVITY_H

#include "activities/http_client.h"
#include "activities/http_events.h"
#include "activities/net_runner.h"
#include "sdk/base/buf.h"

extern const pw_net_activity pw_http_activity;

/* http_input.c: on any thread that may wait, if secrets are slow */

/** A request made of an input; its texts live in scope and in buffers of its own, which are overwritten. */
typedef struct pw_http_input {
    pw_http_request request;
    pawl_scope *scope;
    pw_buf expanded; /* the input with its secrets */
    pw_buf url;
    pw_buf body;
    pw_buf auth;
    pw_http_header *headers;
    size_t headers_len;
} pw_http_input;

/** Errors: INVALID (names what), those of pw_secret_expand, NOMEM. */
pawl_status pw_http_input_read(pw_http_input *in, pw_secrets *secrets, pawl_task *task,
                               pawl_error *err);
void pw_http_input_deinit(pw_http_input *in);

/* http_output.c */

/** What came. */
typedef struct pw_http_response {
    int status;
    int64_t retry_after_ms;   /* -1 */
    const char *should_retry; /* x-should-retry, or NULL */
    const char *content_type;
    pawl_scope *scope;
    bool retry_header; /* one of the input's retry_headers says: once more */
    pw_buf headers;    /* msgpack map */
    pw_buf body;
    pw_http_events *events; /* instead of the body, as: "events"; else NULL */
} pw_http_response;

/** Appends text; bytes that are no UTF-8 become question marks. */
void pw_http_text_put(pw_buf *out, const void *data, size_t size);

bool pw_http_response_init(pw_http_response *r, size_t body_bytes_max);
void pw_http_response_deinit(pw_http_response *r);
void pw_http_response_head(pw_http_response *r, const pw_http_head *head, const pawl_value *input);
/** The result of the task, or NULL with its failure set. Redacts both. */
const pawl_value *pw_http_response_end(pw_http_response *r, const pw_secrets *secrets,
                                       pawl_task *task);
/** The failure of a request that came to no response. */
void pw_http_failure_set(const pw_http_result *result, const pw_secrets *secrets, pawl_task *task);

#endif
