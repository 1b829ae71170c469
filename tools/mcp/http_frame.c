/*
 * http_frame.c - heads of requests that could be read in two ways. Does not read bodies: libmicrohttpd does.
 */
#include "tools/mcp/http_frame.h"

#include <string.h>
#include <strings.h>

#include "sdk/base/error.h"

/* Those that stand in a request once. */
static const char *const single[] = {
    "Host",         "Origin",        "Content-Length", "Transfer-Encoding",
    "Content-Type", "Authorization", "Mcp-Session-Id", "MCP-Protocol-Version",
    "Mcp-Method",   "Mcp-Name",      "Last-Event-ID"};

enum { LENGTH = 2, ENCODING = 3 }; /* of those */

struct head {
    unsigned count[PW_COUNT(single)];
    const char *why; /* the first thing that is wrong */
    bool chunked;
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

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    struct head *h = cls;
    (void)kind;
    if (!is_name(name, name_size) || !is_value(value, value_size)) {
        wrong(h, "a header has a name or a value that none can have");
        return MHD_YES;
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

const char *pw_http_frame_problem(struct MHD_Connection *connection, bool *ret_chunked)
{
    struct head h = {.why = NULL};
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &h);
    if (h.count[LENGTH] > 0 && h.count[ENCODING] > 0) {
        wrong(&h, "a body has a length, or it comes in chunks");
    }
    *ret_chunked = h.chunked;
    return h.why;
}

size_t pw_http_frame_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}
