/*
 * http_transfer.h - the inside of a request under way, shared by the files of the client.
 *
 * Written by any thread before it is posted, by the network thread after.
 */
#ifndef PW_HTTP_TRANSFER_H
#define PW_HTTP_TRANSFER_H

#include <stdatomic.h>

#include "activities/http_client.h"
#include "sdk/base/buf.h"
#include "sdk/base/limits.h"

/** Where one hop goes: parts of its URL, in the request's scope. */
typedef struct pw_http_place {
    const char *url; /* as given to curl */
    const char *host;
    int port;
    bool tls;
} pw_http_place;

struct pw_http {
    pw_net_transfer transfer; /* first: the callbacks of net_loop get this */
    atomic_int refs;
    atomic_bool cancel_posted;
    pw_net_job start_job;
    pw_net_job cancel_job;
    pw_net *net;
    pawl_scope *scope; /* the copied request, places */
    pw_http_request request;
    pw_http_header *headers; /* those still sent: a redirect elsewhere drops some */
    size_t headers_len;
    pw_http_callbacks callbacks;

    /* the network thread's */
    bool entered; /* in the net's lists */
    bool added;   /* in curl's */
    bool ended;
    bool tunneled;  /* this hop goes through a proxy that only sees a CONNECT */
    bool cut_short; /* by a callback of ours: error says why */
    CURL *easy;
    struct curl_slist *lines;
    uv_timer_t
        *timer; /* first byte, idle; on the heap, since it outlives this by a turn of the loop */
    pw_http_place place;
    const char *method;
    bool with_body;
    const char *
        proxy_host; /* of a proxy that the request names; NULL = the net's, which is trusted, or none */
    int redirects;
    int sockets;      /* opened for this hop */
    bool sent_before; /* by an earlier hop */
    int64_t started_ms;
    int64_t touched_ms; /* last byte, either way; or the start of the hop */
    int64_t first_byte_ms;
    curl_off_t uploaded;

    pw_buf head_text; /* name NUL value NUL ... */
    size_t head_len;
    size_t head_seen_bytes; /* of all lines of the hop */
    bool head_bad;
    bool head_done;
    int status;
    int64_t retry_after_ms;
    char *location; /* of a redirect that is to be followed */
    int64_t body_bytes;

    pw_http_error error; /* of cut_short */
    pw_egress_why why;
    char curl_error[CURL_ERROR_SIZE];
};

/* http_client.c */

/** Sets the clock of silence: for the first byte, or for the next. */
void pw_http_watch(pw_http *h);

/* http_request.c */

/** Checks and copies. Errors: INVALID, DENIED, NOMEM. */
pawl_status pw_http_take_request(pw_http *h, const pw_http_request *request, pawl_error *err);
/** The parts of a URL, after those of `base` when it is relative. Errors: INVALID, NOMEM. */
pawl_status pw_http_place_of(pw_http *h, const char *base, const char *url,
                             pw_http_place *ret_place, pawl_error *err);
bool pw_http_allowed(pw_http *h, const pw_http_place *place, pw_egress_why *ret_why);
const char *pw_http_proxy(const pw_http *h);

/* http_hop.c */

/** Configures curl for the hop that h->place names. False: no memory. */
bool pw_http_hop_configure(pw_http *h);
/** What a code of curl means for this hop. */
pw_http_error pw_http_hop_error(const pw_http *h, CURLcode code);
/** Turns h->location into the next place, method, headers. DONE: go on there. */
pw_http_error pw_http_hop_follow(pw_http *h);

/* http_head.c */

/** A line of the head, as curl gives it; false = stop. */
bool pw_http_head_line(pw_http *h, const char *line, size_t size);

#endif
