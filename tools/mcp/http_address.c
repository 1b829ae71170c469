/*
 * http_address.c - addresses to listen on, and names of hosts. Resolves no names: localhost is 127.0.0.1.
 */
#include "tools/mcp/http_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sdk/base/error.h"

/* The host of "host:port" without the port; brackets stay. */
static bool host_of(const char *text, char ret[64], const char **ret_port)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    const char *colon = strchr(end != NULL ? end : text, ':');
    const size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);
    if (size >= 64 || (text[0] == '[' && end == NULL)) {
        return false;
    }
    memcpy(ret, text, size);
    ret[size] = '\0';
    *ret_port = colon != NULL ? colon + 1 : "";
    return true;
}

static bool set_host(pw_http_address *a, const char *host, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    char bare[64] = "";
    if (strcmp(host, "localhost") == 0 || host[0] == '\0') {
        host = "127.0.0.1";
    }
    (void)snprintf(a->host, sizeof a->host, "%s", host);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(&a->at, &v4, sizeof v4);
        a->every = v4.sin_addr.s_addr == 0;
        a->loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
        return true;
    }
    if (host[0] != '[') {
        return false;
    }
    (void)snprintf(bare, sizeof bare, "%.*s", (int)strlen(host) - 2, host + 1);
    if (inet_pton(AF_INET6, bare, &v6.sin6_addr) != 1) {
        return false;
    }
    memcpy(&a->at, &v6, sizeof v6);
    a->every = IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
    a->loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    return true;
}

pawl_status pw_http_address_parse(const char *text, pw_http_address *ret_address, pawl_error *err)
{
    pw_http_address a = {.loopback = false};
    char host[64] = "";
    const char *port = text;
    char *end = NULL;
    if (strspn(text, "0123456789") != strlen(text) && !host_of(text, host, &port)) {
        return pw_err(err, PAWL_INVALID, "\"%.100s\" is no address: a port, or HOST:PORT", text);
    }
    const long number = strtol(port, &end, 10);
    if (*port != '\0' && *end == '\0' && number > 65535) {
        return pw_err(err, PAWL_INVALID, "\"%.100s\" is no port: they end at 65535", port);
    }
    if (*port == '\0' || *end != '\0' || number < 0 || number > 65535 ||
        !set_host(&a, host, (uint16_t)number)) {
        return pw_err(err, PAWL_INVALID,
                      "\"%.100s\" is no address: a numeric host or localhost, a colon, a port",
                      text);
    }
    *ret_address = a;
    return PAWL_OK;
}

/* One of "a, b". */
static bool is_named(const char *names, const char *name)
{
    const size_t size = strlen(name);
    for (const char *at = names; at != NULL && *at != '\0'; at += strcspn(at, ", ")) {
        at += strspn(at, ", ");
        if (strcspn(at, ", ") == size && size > 0 && strncasecmp(at, name, size) == 0) {
            return true;
        }
    }
    return false;
}

bool pw_http_host_ok(const pw_http_address *a, const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    char name[64];
    const char *port = "";
    if (!host_of(host, name, &port) || strspn(port, "0123456789") != strlen(port)) {
        return false;
    }
    for (size_t i = 0; a->loopback && i < PW_COUNT(names); i++) {
        if (strcasecmp(names[i], name) == 0) {
            return true;
        }
    }
    return strcasecmp(a->host, name) == 0 || is_named(a->names, name);
}

bool pw_http_origin_ok(const pw_http_address *a, const char *origin)
{
    const char *host = strncasecmp(origin, "http://", 7) == 0    ? origin + 7
                       : strncasecmp(origin, "https://", 8) == 0 ? origin + 8
                                                                 : NULL;
    return host != NULL && strpbrk(host, "/@?#") == NULL && pw_http_host_ok(a, host);
}
