/*
 * http_frame.h - is the head of a request one that everybody between its client and us reads the same way?
 *
 * [T27] A request whose length, host or origin can be read in two ways is refused, and its connection closed: what follows in it is no other request.
 * libmicrohttpd takes the first of two lengths, and names with a space before the colon. A connection ends with a body in chunks for the same reason:
 * where those end (a line ended by LF alone, in an extension) is read differently by some. Thread: the loop's.
 */
#ifndef PW_MCP_HTTP_FRAME_H
#define PW_MCP_HTTP_FRAME_H

#include <microhttpd.h>
#include <stdbool.h>

/** NULL, or what is wrong with it. *ret_chunked: its body comes in chunks. */
const char *pw_http_frame_problem(struct MHD_Connection *connection, bool *ret_chunked);
/** As libmicrohttpd's, but a text with %00 in it stays as it is: what is behind it would be cut off. */
size_t pw_http_frame_unescape(void *cls, struct MHD_Connection *connection, char *text);

#endif
