/*
 * http_frame.h - is the head of a request one that everybody between its client and us reads the same way?
 *
 * [T27] A request whose target, length, host or origin can be read in two ways is refused, and its connection closed: what follows in it is no other
 * request. libmicrohttpd takes the first of two lengths, and names with a space before the colon; up to 0.9.76 it ends a value or a target at a NUL,
 * a line at an LF alone, and puts the second line of a folded header behind the name of the first: a length that is folded was none. None of that can
 * be seen in the texts that it gives, but in where they lie: each behind the one before, with two bytes in between. Later ones refuse all of it
 * themselves, being told to be strict. What stays is a NUL right before such an LF, which is taken for a CR.
 *
 * A connection ends with a body in chunks for the same reason: where those end (a line ended by LF alone, in an extension) is read differently by some.
 *
 *   /path   http://host:port/path (its host counts, and Host does not: RFC 9112, 3.2.2)   * (of OPTIONS)      anything else is no target
 *
 * Thread: the loop's.
 */
#ifndef PW_MCP_HTTP_FRAME_H
#define PW_MCP_HTTP_FRAME_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

/** The first line, as libmicrohttpd says it. */
typedef struct pw_http_line {
    const char *method, *url, *version;
} pw_http_line;

/** The target, before it is unescaped. */
typedef struct pw_http_target {
    size_t size;        /* 0 = there was none */
    bool good;          /* it is one of the three */
    bool every;         /* "*" */
    size_t path_at;     /* what is before it is scheme and host, and as long when it is unescaped */
    char authority[80]; /* "host:port" of it; "" = Host says it */
} pw_http_target;

/** NULL, or what is wrong with it. *ret_chunked: its body comes in chunks. */
const char *pw_http_frame_problem(struct MHD_Connection *connection, const pw_http_line *line,
                                  bool *ret_chunked);
/** For MHD_OPTION_STRICT_FOR_CLIENT: 0 where all of it is seen here. 0.9.75 answers twice what it refuses itself. */
int pw_http_frame_strict(void);
/** As libmicrohttpd's, but a text with %00 in it stays as it is: what is behind it would be cut off. */
size_t pw_http_frame_unescape(void *cls, struct MHD_Connection *connection, char *text);
/** What MHD_OPTION_URI_LOG_CALLBACK gives, and is to return: looks at it before anything in it is changed, for the problem and for its connection. */
void *pw_http_frame_target(const char *target, struct MHD_Connection *connection);

#endif
