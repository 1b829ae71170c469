/*
 * egress.c - rules of what may be reached, and their answers.
 *
 * Every address is 16 bytes here: an IPv4 address is its IPv4-mapped form, so that there is one way to write it and one to compare it.
 * IPv6 addresses that carry an IPv4 one (translation, 6to4, compatible) are as special as what they carry.
 *
 * Does not resolve names, and trusts none: the address decides, at the moment of the connection.
 */
#include "activities/egress.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum { HOST_BYTES_MAX = 255, MAPPED_BITS = 96, PORT_MAX = 65535 };

typedef struct address {
    uint8_t b[16];
} address;

typedef struct rule {
    bool by_address;
    bool below;  /* names below `name`, not itself; with an empty name: all names */
    address net; /* by_address */
    int bits;
    int port_min;
    int port_max;
    char name[HOST_BYTES_MAX + 1];
} rule;

struct pw_egress {
    bool open;    /* no list at all */
    bool setting; /* PAWL_EGRESS */
    size_t len;
    rule rules[];
};

/* ---- addresses ---- */

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static address of_v4(const void *four)
{
    address a;
    memcpy(a.b, mapped_prefix, 12);
    memcpy(a.b + 12, four, 4);
    return a;
}

static bool is_v4(const address *a)
{
    return memcmp(a->b, mapped_prefix, 12) == 0;
}

static bool address_parse(const char *text, address *ret)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, text, &four) == 1) {
        *ret = of_v4(&four);
        return true;
    }
    if (inet_pton(AF_INET6, text, &six) == 1) {
        memcpy(ret->b, &six, 16);
        return true;
    }
    return false;
}

static void address_print(const address *a, char ret[INET6_ADDRSTRLEN])
{
    if (is_v4(a)) {
        (void)inet_ntop(AF_INET, a->b + 12, ret, INET6_ADDRSTRLEN);
    } else {
        (void)inet_ntop(AF_INET6, a->b, ret, INET6_ADDRSTRLEN);
    }
}

static bool within(const address *a, const address *net, int bits)
{
    const size_t whole = (size_t)bits / 8;
    const int rest = bits % 8;
    if (memcmp(a->b, net->b, whole) != 0) {
        return false;
    }
    const uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return rest == 0 || (a->b[whole] & mask) == (net->b[whole] & mask);
}

static bool within_text(const address *a, const char *text, int bits)
{
    address net;
    PW_CHECK(address_parse(text, &net));
    return is_v4(a) == is_v4(&net) && within(a, &net, is_v4(&net) ? bits + MAPPED_BITS : bits);
}

/** The IPv4 address that an IPv6 one carries. */
static bool carried(const address *a, address *ret)
{
    if (is_v4(a)) {
        return false;
    }
    if (within_text(a, "64:ff9b::", 96) ||
        within_text(a, "::", 96)) { /* translation; IPv4-compatible, which :: and ::1 are not */
        *ret = of_v4(a->b + 12);
        return a->b[12] != 0 || a->b[13] != 0 || a->b[14] != 0 || a->b[15] > 1 || a->b[0] != 0;
    }
    if (within_text(a, "2002::", 16)) {
        *ret = of_v4(a->b + 2);
        return true;
    }
    return false;
}

/** What it is; NULL = public. */
static const char *special(const address *a)
{
    static const struct {
        const char *prefix;
        int bits;
        const char *what;
    } table[] = {
#define X(prefix, bits, what) {prefix, bits, what},
#include "activities/egress_special.def"
#undef X
    };
    address inner;
    for (size_t i = 0; i < PW_COUNT(table); i++) {
        if (within_text(a, table[i].prefix, table[i].bits)) {
            return table[i].what;
        }
    }
    return carried(a, &inner) ? special(&inner) : NULL;
}

/* ---- names ---- */

/** Lower case, without the root's dot. False when it is too long or empty. */
static bool name_clean(const char *text, size_t size, char ret[HOST_BYTES_MAX + 1])
{
    size -= size > 0 && text[size - 1] == '.';
    if (size == 0 || size > HOST_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        ret[i] = (char)tolower((unsigned char)text[i]);
    }
    ret[size] = '\0';
    return true;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t size = strlen(text);
    const size_t tail = strlen(end);
    return size > tail && strcmp(text + size - tail, end) == 0 && text[size - tail - 1] == '.';
}

/* Names that are an address in disguise wherever they are looked up. */
static const char *special_name(const char *name)
{
    if (strcmp(name, "localhost") == 0 || ends_with(name, "localhost")) {
        return "loopback";
    }
    return strcmp(name, "metadata.google.internal") == 0 || strcmp(name, "instance-data") == 0
               ? "metadata"
               : NULL;
}

/* ---- rules ---- */

static bool number_parse(const char *text, size_t size, int max, int *ret)
{
    int n = 0;
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i]) || n > max) {
            return false;
        }
        n = n * 10 + (text[i] - '0');
    }
    *ret = n;
    return size > 0 && n <= max;
}

static bool ports_parse(const char *text, rule *r)
{
    const char *dash = strchr(text, '-');
    const size_t first = dash != NULL ? (size_t)(dash - text) : strlen(text);
    if (!number_parse(text, first, PORT_MAX, &r->port_min)) {
        return false;
    }
    r->port_max = r->port_min;
    return (dash == NULL || number_parse(dash + 1, strlen(dash + 1), PORT_MAX, &r->port_max)) &&
           r->port_min <= r->port_max;
}

/* "10.0.0.0/8", "::1": false when it is no address at all; *ok false when it is a wrong one. */
static bool net_parse(const char *text, rule *r, bool *ok)
{
    char plain[HOST_BYTES_MAX + 1];
    (void)snprintf(plain, sizeof plain, "%s", text);
    char *slash = strchr(plain, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (!address_parse(plain, &r->net)) {
        *ok = slash == NULL;
        return slash != NULL;
    }
    const int bits_max = is_v4(&r->net) ? 32 : 128;
    int bits = bits_max;
    *ok = slash == NULL || number_parse(slash + 1, strlen(slash + 1), bits_max, &bits);
    r->bits = is_v4(&r->net) ? bits + MAPPED_BITS : bits;
    r->by_address = true;
    return true;
}

static bool is_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '.' && *p != '_') {
            return false;
        }
    }
    return true;
}

static bool name_parse(const char *host, rule *r)
{
    if (strcmp(host, "*") == 0) {
        r->below = true;
        return true;
    }
    r->below = strncmp(host, "*.", 2) == 0;
    const char *name = r->below ? host + 2 : host;
    return name_clean(name, strlen(name), r->name) && is_name(r->name);
}

/* Splits HOST[:PORTS], with brackets around an IPv6 host that has ports. */
static bool rule_parse(const char *text, rule *r)
{
    char host[HOST_BYTES_MAX + 1];
    const bool bracket = text[0] == '[';
    const char *start = text + bracket;
    const char *end = bracket ? strchr(start, ']') : NULL;
    const char *ports = bracket && end != NULL ? end + 1 : strrchr(text, ':');
    if (!bracket && ports != NULL && strchr(text, ':') != ports) {
        ports = NULL; /* an IPv6 address in the open */
    }
    end = bracket ? end : ports != NULL ? ports : start + strlen(start);
    if (end == NULL || end == start || (size_t)(end - start) > HOST_BYTES_MAX) {
        return false;
    }
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    r->port_max = PORT_MAX;
    if (ports != NULL && *ports != '\0' && (*ports != ':' || !ports_parse(ports + 1, r))) {
        return false;
    }
    bool ok = true;
    if (net_parse(host, r, &ok)) {
        return ok;
    }
    return !bracket && name_parse(host, r);
}

pawl_status pw_egress_new(const char *const *rules, pw_egress **ret_egress, pawl_error *err)
{
    size_t len = 0;
    while (rules != NULL && rules[len] != NULL) {
        len++;
    }
    if (len > PW_EGRESS_RULES_MAX) {
        return pw_err(err, PAWL_INVALID, "%zu egress rules; at most %d", len, PW_EGRESS_RULES_MAX);
    }
    pw_egress *e = pw_calloc(1, sizeof *e + len * sizeof e->rules[0]);
    if (e == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for egress rules");
    }
    e->open = rules == NULL;
    e->len = len;
    for (size_t i = 0; i < len; i++) {
        if (!rule_parse(rules[i], &e->rules[i])) {
            const pawl_status status = pw_err(
                err, PAWL_INVALID,
                "\"%.100s\" is no egress rule: write api.example.com, *.example.com:443, 10.0.0.0/8 or [::1]:8080",
                rules[i]);
            pw_egress_free(e);
            return status;
        }
    }
    *ret_egress = e;
    return PAWL_OK;
}

void pw_egress_free(pw_egress *egress)
{
    pw_free(egress);
}

void pw_egress_of_setting(pw_egress *egress)
{
    egress->setting = true;
}

/* ---- answers ---- */

static bool port_fits(const rule *r, int port)
{
    return port >= r->port_min && port <= r->port_max;
}

static bool address_ruled(const pw_egress *e, const address *a, int port)
{
    for (size_t i = 0; i < e->len; i++) {
        const rule *r = &e->rules[i];
        if (r->by_address && port_fits(r, port) && is_v4(a) == is_v4(&r->net) &&
            within(a, &r->net, r->bits)) {
            return true;
        }
    }
    return false;
}

static bool name_ruled(const pw_egress *e, const char *name, int port)
{
    for (size_t i = 0; i < e->len; i++) {
        const rule *r = &e->rules[i];
        if (r->by_address || !port_fits(r, port)) {
            continue;
        }
        if (r->below ? r->name[0] == '\0' || ends_with(name, r->name)
                     : strcmp(name, r->name) == 0) {
            return true;
        }
    }
    return e->open;
}

static bool any_address_rule(const pw_egress *e, int port)
{
    bool any = false;
    for (size_t i = 0; i < e->len; i++) {
        any = any || (e->rules[i].by_address && port_fits(&e->rules[i], port));
    }
    return any;
}

/* Appends what to add, and where. Without a list every public address is allowed: one that has this alone would close the others. */
static void how(const pw_egress *e, pw_egress_why *why, const char *wanted)
{
    const size_t size = strlen(why->text), room = sizeof why->text - size;
    char *at = why->text + size;
    if (!e->setting) {
        (void)snprintf(at, room, "; to allow it, add the egress rule \"%s\"", wanted);
    } else if (e->open) {
        (void)snprintf(
            at, room,
            "; to allow it beside public ones: PAWL_EGRESS=\"*,%s\" for pawl serve, execute "
            "or worker --net (a program: pawl_net_options.egress)",
            wanted);
    } else {
        (void)snprintf(at, room,
                       "; to allow it, add \"%s\" to PAWL_EGRESS of pawl serve, execute or worker "
                       "--net (a program: pawl_net_options.egress)",
                       wanted);
    }
}

static void why_name(const pw_egress *e, pw_egress_why *why, const char *name, int port)
{
    char wanted[120];
    (void)snprintf(why->text, sizeof why->text, "%.100s port %d is on no egress rule", name, port);
    (void)snprintf(wanted, sizeof wanted, "%.100s:%d", name, port);
    how(e, why, wanted);
}

static void why_address(const pw_egress *e, pw_egress_why *why, const address *a, const char *host,
                        int port)
{
    char text[INET6_ADDRSTRLEN] = "", wanted[INET6_ADDRSTRLEN + 10];
    address_print(a, text);
    const char *what = special(a);
    const bool named = strcmp(text, host) != 0 && host[0] != '\0';
    (void)snprintf(why->text, sizeof why->text, "%.80s%s%s port %d%s%s%s", named ? host : "",
                   named ? " leads to " : "", text, port, what != NULL ? " is a " : "",
                   what != NULL ? what : " is on no egress rule", what != NULL ? " address" : "");
    (void)snprintf(wanted, sizeof wanted, "%s%s%s:%d", is_v4(a) ? "" : "[", text,
                   is_v4(a) ? "" : "]", port);
    how(e, why, wanted);
}

static bool public_allowed(const pw_egress *e, const char *name, int port, pw_egress_why *why)
{
    if (name_ruled(e, name, port)) {
        return true;
    }
    why_name(e, why, name, port);
    return false;
}

static bool literal_allowed(const pw_egress *e, const address *a, int port, pw_egress_why *why)
{
    if (address_ruled(e, a, port)) {
        return true;
    }
    char text[INET6_ADDRSTRLEN] = "";
    address_print(a, text);
    if (special(a) == NULL && name_ruled(e, text, port)) {
        return true;
    }
    why_address(e, why, a, "", port);
    return false;
}

bool pw_egress_name(const pw_egress *egress, const char *host, int port, bool tunneled,
                    pw_egress_why *ret_why)
{
    char name[HOST_BYTES_MAX + 1];
    address a;
    if (!name_clean(host, strlen(host), name)) {
        (void)snprintf(ret_why->text, sizeof ret_why->text, "\"%.100s\" is no host name", host);
        return false;
    }
    if (address_parse(name, &a)) {
        return literal_allowed(egress, &a, port, ret_why);
    }
    if (!tunneled) { /* its address has the last word, and may be allowed by itself */
        return any_address_rule(egress, port) || public_allowed(egress, name, port, ret_why);
    }
    if (special_name(name) != NULL) {
        (void)snprintf(ret_why->text, sizeof ret_why->text,
                       "%.200s is a %s name, and a proxy would look it up: that cannot be allowed",
                       name, special_name(name));
        return false;
    }
    return public_allowed(egress, name, port, ret_why);
}

bool pw_egress_address(const pw_egress *egress, const char *host, const struct sockaddr *at,
                       pw_egress_why *ret_why)
{
    char name[HOST_BYTES_MAX + 1] = "";
    address a;
    int port = 0;
    if (at->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, at, sizeof four);
        a = of_v4(&four.sin_addr);
        port = ntohs(four.sin_port);
    } else if (at->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, at, sizeof six);
        memcpy(a.b, &six.sin6_addr, 16);
        port = ntohs(six.sin6_port);
    } else {
        (void)snprintf(ret_why->text, sizeof ret_why->text, "address family %d is never allowed",
                       at->sa_family);
        return false;
    }
    if (address_ruled(egress, &a, port)) {
        return true;
    }
    if (special(&a) != NULL || !name_clean(host, strlen(host), name)) {
        why_address(egress, ret_why, &a, host, port);
        return false;
    }
    return public_allowed(egress, name, port, ret_why);
}
