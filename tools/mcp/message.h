/*
 * message.h - JSON-RPC 2.0 as MCP has it: one object a message, no batches, an id that is a text or an integer. Sends nothing.
 */
#ifndef PW_MCP_MESSAGE_H
#define PW_MCP_MESSAGE_H

#include "sdk/base/buf.h"

typedef enum pw_mcpd_code {
#define X(name, code, http) PW_MCPD_##name = (code),
#include "tools/mcp/codes.def"
#undef X
} pw_mcpd_code;

/** The HTTP status that goes with an error of the modern era. */
int pw_mcpd_code_http(int64_t code);

typedef enum pw_mcpd_kind {
    PW_MCPD_NOT_JSON,
    PW_MCPD_NOT_RPC,
    PW_MCPD_REQUEST,
    PW_MCPD_NOTIFICATION,
    PW_MCPD_ANSWER
} pw_mcpd_kind;

/** One message that came. Lives in the scope it was read into. */
typedef struct pw_mcpd_message {
    pw_mcpd_kind kind;
    const pawl_value *id;     /* REQUEST, ANSWER, and NOT_RPC when it could be read */
    const char *method;       /* REQUEST, NOTIFICATION */
    const pawl_value *params; /* nil or a map */
    const pawl_value *result; /* ANSWER; nil when it is an error */
    const char *why;          /* NOT_JSON, NOT_RPC */
} pw_mcpd_message;

void pw_mcpd_read(pawl_scope *scope, const char *text, size_t size, pw_mcpd_message *ret_message);

/** Append one message, no newline in it. A buffer that failed says so. id nil is written as null. */
void pw_mcpd_write_result(pw_buf *out, const pawl_value *id, const pawl_value *result);
/** result as JSON text. */
void pw_mcpd_write_written(pw_buf *out, const pawl_value *id, const char *result, size_t size);
void pw_mcpd_write_error(pw_buf *out, const pawl_value *id, int64_t code, const char *text,
                         const pawl_value *data);
void pw_mcpd_write_notification(pw_buf *out, const char *method, const pawl_value *params);
void pw_mcpd_write_request(pw_buf *out, const char *id, const char *method,
                           const pawl_value *params);

/** The value of a key that may hold dots and slashes, or nil. */
const pawl_value *pw_mcpd_key(const pawl_value *map, const char *key);
bool pw_mcpd_has(const pawl_value *map, const char *key);

#endif
