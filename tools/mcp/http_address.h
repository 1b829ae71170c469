/*
 * http_address.h - where a server listens, and which Host and Origin its clients may name: what rebinding a name in a browser cannot forge.
 */
#ifndef PW_MCP_HTTP_ADDRESS_H
#define PW_MCP_HTTP_ADDRESS_H

#include <netinet/in.h>

#include "sdk/pawl_value.h"

typedef struct pw_http_address {
    struct sockaddr_storage at;
    char host[64]; /* as it stands in a URL */
    bool loopback;
    bool every;        /* 0.0.0.0 or [::], which no client calls it by */
    const char *names; /* more names by which clients call it: "a,b"; NULL = none. Borrowed */
} pw_http_address;

/** Errors: INVALID. */
pawl_status pw_http_address_parse(const char *text, pw_http_address *ret_address, pawl_error *err);
/** A Host header: this address, or any name of loopback when it is loopback. */
bool pw_http_host_ok(const pw_http_address *a, const char *host);
/** An Origin header: http or https of such a host. */
bool pw_http_origin_ok(const pw_http_address *a, const char *origin);

#endif
