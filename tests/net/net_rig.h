/*
 * net_rig.h - what the tests of the network share: a scripted server (server.py), a network thread, and requests that are waited for.
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "activities/http_client.h"
#include "sdk/base/buf.h"
#include "sdk/base/error.h"

/** The server, a process. */
typedef struct net_server {
    pid_t pid;
    int input; /* its end ends the server */
    int port;
    int tls_port;    /* 0 = no openssl here */
    char folder[64]; /* of cert.pem and key.pem */
} net_server;

/** Exits 77 with the reason when there is no Python. */
void net_server_start(net_server *s);
void net_server_stop(net_server *s);

/** What one request came to. */
typedef struct net_reply {
    pw_http_error error;
    bool sent;
    int status;
    int64_t retry_after_ms;
    int redirects;
    int64_t total_ms;
    char message[800];
    pw_buf head; /* "name: value\n" ... */
    pw_buf body;
    int ends; /* calls of end */
    int heads;
} net_reply;

typedef struct net_rig {
    net_server server;
    pw_egress *egress;
    pw_net *net;
    net_reply reply;
    pawl_error err;
} net_rig;

int net_setup(void **state);
int net_teardown(void **state);
/** A network thread with these rules (NULL-terminated) instead of "127.0.0.1". */
void net_rules(net_rig *r, const char *const *rules);
void net_rules_proxy(net_rig *r, const char *const *rules, const char *proxy);

/** "http://127.0.0.1:PORT" + a path made as printf does. Owns: a buffer that the next calls reuse, four in turn. */
const char *net_url(const net_rig *r, const char *fmt, ...) PAWL_PRINTF(2, 3);
const char *net_tls_url(const net_rig *r, const char *path);

/** Asks and waits for the end. Fails the test when start does. */
const net_reply *net_ask(net_rig *r, const pw_http_request *request);
/** The same; NULL when start refuses. */
const net_reply *net_try(net_rig *r, const pw_http_request *request);
const net_reply *net_get(net_rig *r, const char *url);
/** How often the server was asked with ?id=ID. */
int net_count(net_rig *r, const char *id);

/** Start refuses with that status, and there is no callback. */
void net_refused(net_rig *r, const pw_http_request *request, pawl_status wanted);

#define is_error(reply, wanted)                                                     \
    do {                                                                            \
        if ((reply)->error != (wanted)) {                                           \
            fail_msg("ended as %s, not %s: %s", pw_http_error_type((reply)->error), \
                     pw_http_error_type(wanted), (reply)->message);                 \
        }                                                                           \
    } while (0)

#endif
