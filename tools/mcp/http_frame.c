/*
 * http_frame.c - heads of requests that could be read in two ways. Does not read bodies: libmicrohttpd does.
 */
#include "tools/mcp/http_frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sdk/base/error.h"
#include "tools/mcp/http_conn.h"

#define GAP 2 /* between two lines: CR and LF, which libmicrohttpd makes NULs */
#define BADLY_LAID "a header is folded, has a NUL in it, or ends with LF alone"
#define OWS_MAX (16 << 10) /* no more than a connection's memory */

/* Those that stand in a request once. */
static const char *const single[] = {
    "Host",         "Origin",        "Content-Length", "Transfer-Encoding",
    "Content-Type", "Authorization", "Mcp-Session-Id", "MCP-Protocol-Version",
    "Mcp-Method",   "Mcp-Name",      "Last-Event-ID"};

enum { HOST = 0, LENGTH = 2, ENCODING = 3 }; /* of those */

struct head {
    unsigned count[PW_COUNT(single)];
    const char *why; /* the first thing that is wrong */
    bool chunked;
    const char *at; /* where the next header begins; NULL = it is not known how they lie */
};

static bool is_name(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || name[i] == ':') {
            return false;
        }
    }
    return size > 0;
}

static bool is_value(const char *value, size_t size)
{
    return value == NULL ||
           (memchr(value, '\0', size) == NULL && memchr(value, '\r', size) == NULL &&
            memchr(value, '\n', size) == NULL);
}

static void wrong(struct head *h, const char *why)
{
    h->why = h->why != NULL ? h->why : why;
}

/* Up to 0.9.76, whose way of reading a head this knows. */
static bool lie_is_known(void)
{
    const char *version = MHD_get_version();
    return strncmp(version, "0.9.", 4) == 0 && strtol(version + 4, NULL, 10) <= 76;
}

/* From a byte to a later one. The texts are of one buffer, or of one that was moved: then it is no distance that a head has. */
static size_t distance(const char *from, const char *to)
{
    return (size_t)((uintptr_t)to - (uintptr_t)from);
}

/* [T27] A name that was moved is one that a second line was put behind; what lies further on than it should had a NUL in it, and nearer an LF alone. */
static bool lies_well(struct head *h, const char *name, const char *value, size_t value_size)
{
    const char *behind = name + strlen(name) + 1;
    if (h->at == NULL) {
        return true;
    }
    if (distance(h->at, name) != 0 || value == NULL || distance(behind, value) > OWS_MAX) {
        return false;
    }
    for (const char *p = behind; p < value; p++) {
        if (*p != ' ' && *p != '\t') {
            return false;
        }
    }
    h->at = value + value_size + GAP;
    return true;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    struct head *h = cls;
    (void)kind;
    if (!is_name(name, name_size) || !is_value(value, value_size)) {
        wrong(h, "a header has a name or a value that none can have");
        return MHD_YES;
    }
    if (!lies_well(h, name, value, value_size)) {
        wrong(h, BADLY_LAID);
        h->at = NULL;
    }
    for (size_t i = 0; i < PW_COUNT(single); i++) {
        if (strcasecmp(name, single[i]) == 0 && ++h->count[i] > 1) {
            wrong(h, "a header that there is one of stands there twice");
        }
    }
    if (strcasecmp(name, single[ENCODING]) == 0) {
        h->chunked = value != NULL && strcasecmp(value, "chunked") == 0;
        if (!h->chunked) {
            wrong(h, "chunked is the only transfer coding that is taken");
        }
    }
    return MHD_YES;
}

/* ---- the first line ---- */

static bool is_clean(const char *target)
{
    for (const char *p = target; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '#') {
            return false;
        }
    }
    return true;
}

/* "http://host:port" at its beginning: what is unescaped is as long, so no part of it may be escaped. */
static bool is_absolute(const char *target, pw_http_target *t)
{
    const size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                          : strncasecmp(target, "https://", 8) == 0 ? 8
                                                                    : 0;
    const size_t size = scheme > 0 ? strcspn(target + scheme, "/?") : 0;
    if (size == 0 || size >= sizeof t->authority || memchr(target + scheme, '%', size) != NULL) {
        return false;
    }
    memcpy(t->authority, target + scheme, size);
    t->authority[size] = '\0';
    t->path_at = scheme + size;
    return true;
}

void *pw_http_frame_target(const char *target, struct MHD_Connection *connection)
{
    pw_http_target *t = pw_conn_target(connection);
    if (t != NULL) {
        *t = (pw_http_target){.size = target != NULL ? strlen(target) : 0};
        t->every = t->size == 1 && target[0] == '*';
        t->good = t->size > 0 && is_clean(target) &&
                  (t->every || target[0] == '/' || is_absolute(target, t));
    }
    return NULL;
}

/* [T27] One space before the target and one behind it: else there was a NUL in it. */
static void look_at_line(struct head *h, const pw_http_line *line, const pw_http_target *t)
{
    if (t == NULL || !t->good || (t->every && strcmp(line->method, MHD_HTTP_METHOD_OPTIONS) != 0)) {
        wrong(h, "the target is none: a path, or http://host/path");
        return;
    }
    if (!lie_is_known()) {
        return;
    }
    if (distance(line->method, line->url) != strlen(line->method) + 1 ||
        distance(line->url, line->version) != t->size + 1) {
        wrong(h, "the first line is a method, a target and a version, with a space between them");
    }
    h->at = line->version + strlen(line->version) + GAP;
}

/* Behind the last header is an empty line. */
static bool ends_well(const struct head *h, struct MHD_Connection *connection,
                      const pw_http_line *line)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return h->at == NULL || info == NULL ||
           distance(line->method, h->at) + GAP == info->header_size;
}

const char *pw_http_frame_problem(struct MHD_Connection *connection, const pw_http_line *line,
                                  bool *ret_chunked)
{
    struct head h = {.why = NULL};
    look_at_line(&h, line, pw_conn_target(connection));
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &h);
    if (!ends_well(&h, connection, line)) {
        wrong(&h, BADLY_LAID);
    }
    if (h.count[HOST] == 0 && strcmp(line->version, MHD_HTTP_VERSION_1_1) == 0) {
        wrong(&h, "a request has a Host");
    }
    if (h.count[LENGTH] > 0 && h.count[ENCODING] > 0) {
        wrong(&h, "a body has a length, or it comes in chunks");
    }
    *ret_chunked = h.chunked;
    return h.why;
}

int pw_http_frame_strict(void)
{
    return lie_is_known() ? 0 : 1;
}

size_t pw_http_frame_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}
