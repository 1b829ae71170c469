/*
 * mcp_rpc.h - the messages of the Model Context Protocol, in both eras, as text: JSON-RPC 2.0, one object a message, no batches.
 *
 *   legacy  2024-11-05 ... 2025-11-25   initialize, a session, requests of the server's own
 *   modern  2026-07-28                  no handshake: every request says version, client and capabilities in _meta, every result its type
 *
 * Sends nothing and knows no transport.
 */
#ifndef PW_MCP_RPC_H
#define PW_MCP_RPC_H

#include "sdk/base/buf.h"

#define PW_MCP_MODERN_VERSION "2026-07-28"
#define PW_MCP_LEGACY_VERSION "2025-11-25"
#define PW_MCP_PREFIX "io.modelcontextprotocol/"
#define PW_MCP_TASKS_EXTENSION PW_MCP_PREFIX "tasks"

typedef enum pw_mcp_era { PW_MCP_UNKNOWN_ERA, PW_MCP_LEGACY, PW_MCP_MODERN } pw_mcp_era;

typedef enum pw_mcp_code {
#define X(name, code, type, refused) PW_MCP_##name = (code),
#include "activities/mcp_errors.def"
#undef X
} pw_mcp_code;

/** The failure type of a code. */
const char *pw_mcp_code_type(int64_t code);
/** True if the request was surely not carried out. */
bool pw_mcp_code_refused(int64_t code);

const char *pw_mcp_era_name(pw_mcp_era era); /* "legacy", "modern", "unknown" */
/** The era of a protocol version; UNKNOWN for one that we do not speak. */
pw_mcp_era pw_mcp_version_era(const char *version);

/** How a peer is talked to. */
typedef struct pw_mcp_dialect {
    pw_mcp_era era;
    const char *version;
    bool asks; /* elicitation may come: somebody, or a rule, answers */
} pw_mcp_dialect;

/** What we say we can do, as of that era. */
const pawl_value *pw_mcp_capabilities(pawl_scope *scope, const pw_mcp_dialect *d);
/** params of `initialize`. */
const pawl_value *pw_mcp_initialize(pawl_scope *scope, const pw_mcp_dialect *d);

/** One request. */
typedef struct pw_mcp_request {
    int64_t id;
    const char *method;
    const pawl_value *params; /* nil or a map */
    bool progress;            /* its id is its progress token */
} pw_mcp_request;

/** Append one message, no newline in it. A buffer that failed says so. */
void pw_mcp_write_request(pw_buf *out, const pw_mcp_dialect *d, const pw_mcp_request *rq);
void pw_mcp_write_notification(pw_buf *out, const pw_mcp_dialect *d, const char *method,
                               const pawl_value *params);
void pw_mcp_write_result(pw_buf *out, const pawl_value *id, const pawl_value *result);
void pw_mcp_write_error(pw_buf *out, const pawl_value *id, int64_t code, const char *text);

typedef enum pw_mcp_kind {
    PW_MCP_BAD,
    PW_MCP_RESULT,
    PW_MCP_ERROR,
    PW_MCP_REQUEST,
    PW_MCP_NOTIFICATION
} pw_mcp_kind;

/** One message that came. Lives in the scope it was read into. */
typedef struct pw_mcp_message {
    pw_mcp_kind kind;
    int64_t id; /* of a RESULT or ERROR: which request of ours; -1 = none, or not ours */
    const pawl_value *id_value; /* of a REQUEST: to be given back as it is */
    const char *method;         /* REQUEST, NOTIFICATION */
    const pawl_value *params;   /* REQUEST, NOTIFICATION */
    const pawl_value *result;   /* RESULT: a map */
    int64_t code;               /* ERROR */
    const char *text;           /* ERROR */
    const pawl_value *data;     /* ERROR */
} pw_mcp_message;

/** Reads one. Errors: PARSE (says what is wrong), LIMIT, NOMEM. */
PAWL_MUST_USE pawl_status pw_mcp_read(pawl_scope *scope, const char *text, size_t size,
                                      pw_mcp_message *ret_message, pawl_error *err);

typedef enum pw_mcp_result_kind {
    PW_MCP_COMPLETE,
    PW_MCP_INPUT_REQUIRED,
    PW_MCP_TASK,
    PW_MCP_STRANGE
} pw_mcp_result_kind;

/** What a result is; an absent resultType is complete. A legacy result with a `task` is a task. */
pw_mcp_result_kind pw_mcp_result_kind_of(pw_mcp_era era, const pawl_value *result);

/** The value of a key that may hold dots and slashes, or nil. */
const pawl_value *pw_mcp_key(const pawl_value *map, const char *key);

#endif
