/*
 * http_rig.h - an engine with the network activities in it (host_rig.h), the scripted server beside it (net_rig.h), and all that was logged.
 */
#ifndef HTTP_RIG_H
#define HTTP_RIG_H

#include <pthread.h>

#include "net_rig.h"
#include "sdk/pawl_net.h"
#include "tests/integration/host_rig.h"

typedef struct http_rig {
    rig *host;
    net_rig *net; /* its server, and requests of the test's own */
    pthread_mutex_t lock;
    pw_buf log;
} http_rig;

int http_setup(void **state);
int http_teardown(void **state);
/** Opens the journal, again or for the first time, with a workflow "ask": one call of "http" with in.request, in.retries, and unsafe if in.unsafe.
 * options NULL: 127.0.0.1 is allowed, and every secret. */
void http_open(http_rig *r, const pawl_net_options *options);

/** The same as net_url, in the scope of the test. */
const char *http_url(http_rig *r, const char *fmt, ...) PAWL_PRINTF(2, 3);
/** A request from a template of pawl_build. */
#define request_of(r, ...) pawl_build((r)->host->scope, __VA_ARGS__)
/** Starts a run; `with` is a map of its other options, or nil. */
void http_start(http_rig *r, const char *id, const pawl_value *request, const pawl_value *with);
const pawl_value *http_end(http_rig *r,
                           const char *id); /* its result; fails the test when it failed */
const pawl_value *
http_failure(http_rig *r, const char *id); /* its failure; fails the test when it did not fail */
const pawl_value *http_ask(http_rig *r, const char *id, const pawl_value *request);
const pawl_value *http_ask_failing(http_rig *r, const char *id, const pawl_value *request,
                                   const char *type);
/** Waits until the server was asked so often with ?id=. */
void http_seen(http_rig *r, const char *id, int times);

#endif
