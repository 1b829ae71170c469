/*
 * http_client.h - HTTP requests on the network thread: start from any thread, callbacks on the network thread, cancel from any thread.
 *
 *   pw_http_start --> [its turn] --> head --> data* --> end          end is called exactly once, and is the last
 *                                                       ^ cancel, timeout, denial, stop: end alone, at any point
 *
 * What is sent is what the request says, and what every HTTP client must say: nothing comes from the environment, no .netrc, no cookies kept.
 * Redirects are followed here, each under the egress rules as if it were a new request; headers leave with their origin.
 * Does not retry, parse bodies, or know of tasks, and resolves no secrets: values arrive as they are to be sent.
 */
#ifndef PW_HTTP_CLIENT_H
#define PW_HTTP_CLIENT_H

#include "activities/net_loop.h"

typedef enum pw_http_error {
#define X(name, type, retryable, text) PW_HTTP_##name,
#include "activities/http_errors.def"
#undef X
    PW_HTTP_ERROR_COUNT
} pw_http_error;

const char *pw_http_error_type(pw_http_error error); /* "ConnectFailed" */
const char *pw_http_error_text(pw_http_error error);
bool pw_http_error_retryable(pw_http_error error);

typedef enum pw_http_version { PW_HTTP_NEGOTIATED, PW_HTTP_1_1, PW_HTTP_2_ONLY } pw_http_version;

typedef struct pw_http_header {
    const char *name;
    const char *value;
    bool secret; /* never leaves for another origin, whatever its name is */
} pw_http_header;

/** What is asked. Copied by start. Zero means default everywhere; of times -1 means none. */
typedef struct pw_http_request {
    const char *method; /* NULL = GET */
    const char *url;    /* http or https; no user or password in it */
    bool url_secret;    /* a secret is part of the URL: it is left out of messages */
    const pw_http_header *headers;
    size_t headers_len;
    const void *body; /* NULL = none; "" with size 0 = an empty one */
    size_t body_size;
    bool body_secret;      /* a secret is part of it: it goes to no other origin */
    int64_t connect_ms;    /* PW_HTTP_CONNECT_MS: name, connection and TLS */
    int64_t first_byte_ms; /* PW_HTTP_FIRST_BYTE_MS */
    int64_t idle_ms;       /* PW_HTTP_IDLE_MS */
    int64_t total_ms;      /* PW_HTTP_TOTAL_MS, from the start of its turn, redirects included */
    size_t body_bytes_max; /* of the response, decoded; PW_HTTP_BODY_BYTES_DEFAULT */
    int redirects_max;     /* 0 = none is followed: a 3xx is the response */
    const char *proxy;     /* NULL = the net's, "" = none */
    const char *ca_file;   /* NULL = the net's */
    const char *cert_file; /* PEM, of the client */
    const char *key_file;  /* PEM; NULL = in cert_file */
    pw_http_version version;
    bool no_compression; /* does not ask for a compressed response */
    bool
        no_resend; /* on a connection of its own: a kept one that died would be replaced by sending again, unseen */
} pw_http_request;

/** The head of the response. Valid inside the callback. */
typedef struct pw_http_head {
    int status;
    size_t len;
    const pw_http_header *headers; /* in the order they came; names in lower case */
} pw_http_head;
/** The first value of that name (lower case), or NULL. */
const char *pw_http_head_find(const pw_http_head *head, const char *name);

/** How it ended. Valid inside the callback. */
typedef struct pw_http_result {
    pw_http_error error;
    bool sent;              /* a byte of the request may have left; false = surely none */
    int status;             /* 0 = none came */
    int64_t retry_after_ms; /* what the server asked for; -1 = nothing */
    const char
        *message; /* for people: what happened, and where; no secret of a header or body is in it */
    int redirects;
    int64_t body_bytes;
    int64_t first_byte_ms; /* from the start; 0 = none came */
    int64_t total_ms;
} pw_http_result;

/** All on the network thread. head and data may be NULL; data false = enough: end says TOO_LARGE. */
typedef struct pw_http_callbacks {
    void *user;
    void (*head)(void *user, const pw_http_head *head);
    bool (*data)(void *user, const void *data, size_t size);
    void (*progress)(void *user); /* may be NULL: a byte went out or came in; often */
    void (*end)(void *user, const pw_http_result *result);
} pw_http_callbacks;

/** A request under way: a reference of the caller's. */
typedef struct pw_http pw_http;

/** Starts it; no callback before this returns, when not on the network thread; never from inside it. *ret_http is the caller's
 * (pw_http_free), also after end. Thread: any. Errors, without any callback: INVALID (names what), DENIED (egress), NOMEM, SHUTDOWN. */
PAWL_MUST_USE pawl_status pw_http_start(pw_net *net, const pw_http_request *request,
                                        const pw_http_callbacks *callbacks, pw_http **ret_http,
                                        pawl_error *err);
/** end follows, with CANCELED unless it was over. Thread: any. */
void pw_http_cancel(pw_http *http);
/** Gives the reference back; does not cancel. Accepts NULL. Thread: any. */
void pw_http_free(pw_http *http);

/** The host of a URL, as it is looked up: lower case, no brackets. Errors: INVALID. */
PAWL_MUST_USE pawl_status pw_http_host(const char *url, char ret_host[256], pawl_error *err);

/** What a server asked for with Retry-After (seconds, fractions, the three forms of a date), retry-after-ms, or x-ratelimit-reset when
 * nothing remains; -1 = nothing. now_ms: UTC; a Date header corrects it. Cut at PW_RETRY_AFTER_MS_MAX. */
int64_t pw_http_retry_after(const pw_http_head *head, int64_t now_ms);

#endif
