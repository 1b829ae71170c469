/*
 * mcp_tool.h - what a client has to know of a tool: is its description fit for use, may a call of it be sent twice, which of its arguments
 * are said again in headers; and the answer that the defaults of a question make.
 *
 * Annotations are a server's own word. Whoever does not trust the server tells the activity so.
 */
#ifndef PW_MCP_TOOL_H
#define PW_MCP_TOOL_H

#include "activities/http_client.h"
#include "sdk/base/buf.h"

enum { PW_MCP_HEADERS_MAX = 64 }; /* that one tool may mirror */

/** One property that is mirrored into Mcp-Param-<name>. */
typedef struct pw_mcp_mirror {
    const char *name;
    const char *path[16]; /* keys from the arguments down; NULL-terminated unless full */
    size_t depth;
} pw_mcp_mirror;

typedef struct pw_mcp_mirrors {
    size_t len;
    pw_mcp_mirror at[PW_MCP_HEADERS_MAX];
} pw_mcp_mirrors;

/** The x-mcp-header properties of a schema. Errors: INVALID, the tool must not be used: says why. */
PAWL_MUST_USE pawl_status pw_mcp_mirrors_of(const pawl_value *schema, pw_mcp_mirrors *ret_mirrors,
                                            pawl_error *err);
/** May the tool be used? Errors: INVALID. */
PAWL_MUST_USE pawl_status pw_mcp_tool_check(const pawl_value *tool, pawl_error *err);
/** The tools of a list that may be used, as a list. */
const pawl_value *pw_mcp_tools_fit(pawl_scope *scope, const pawl_value *tools);
/** The tool of that name, or nil. */
const pawl_value *pw_mcp_tool_find(const pawl_value *tools, const char *name);
/** Does it say that a call may be repeated: it only reads, or is idempotent? */
bool pw_mcp_tool_repeatable(const pawl_value *tool);
/** The Mcp-Param-* headers of a call. NULL and *ret_len 0 when there are none. False: no memory. */
bool pw_mcp_tool_headers(pawl_scope *scope, const pawl_value *tool, const pawl_value *arguments,
                         pw_http_header **ret_headers, size_t *ret_len);
/** A text as the value of a header: as it is, or as =?base64?...?= where a header could not hold it. */
void pw_mcp_header_put(pw_buf *out, const char *text, size_t size);

/** {action: "accept", content} with the defaults of a form; {action: "decline"} where something required has none, or it is no form. */
const pawl_value *pw_mcp_defaults(pawl_scope *scope, const pawl_value *params);

#endif
