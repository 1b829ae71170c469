/*
 * era.h - everything in which the two eras of MCP differ, in one table. The rest of the server asks here and never for a version.
 *
 *   legacy  2025-03-26, 2025-06-18, 2025-11-25    initialize, sessions, requests of the server's own, event ids and resumption
 *   modern  2026-07-28                            every request says version and capabilities in _meta; every result says what it is
 */
#ifndef PW_MCP_ERA_H
#define PW_MCP_ERA_H

#include "tools/mcp/message.h"

#define PW_MCPD_MODERN "2026-07-28"
#define PW_MCPD_LEGACY "2025-11-25"
#define PW_MCPD_META "io.modelcontextprotocol/"
#define PW_MCPD_TASKS PW_MCPD_META "tasks"

/** A task as the engine has it; the era says how it is written. */
typedef struct pw_mcpd_task {
    const char *id;
    const char *status; /* working, input_required, completed, failed, cancelled */
    const char *message;
    int64_t created_ms, updated_ms;
    int64_t ttl_ms; /* from its creation */
} pw_mcpd_task;

typedef struct pw_mcpd_era {
    const char *name;
    bool sessions; /* and with them event ids, resumption, disconnection that cancels nothing */
    bool meta;     /* a request says its version and capabilities itself */
    bool
        asks_inside; /* what a run asks is a request on the call's stream; else the call is answered input_required */
    bool http_status;      /* errors have a status of HTTP of their own */
    bool tool_error_fails; /* a task whose tool failed is failed, not completed */
    int64_t no_resource;   /* code */
    const char *task_news; /* the notification that a task is another than it was */
    /** A result, stamped with what it is: "complete", "input_required", "task". */
    const pawl_value *(*stamp)(pawl_scope *scope, const pawl_value *result, const char *type);
    /** The same in text: what comes instead of the result's closing brace. False: it cannot be said so, stamp it. NULL = nothing is stamped. */
    bool (*tail)(pw_buf *out, const pawl_value *result, const char *type);
    /** A listing, with how long it may be kept. */
    const pawl_value *(*listing)(pawl_scope *scope, const pawl_value *result);
    /** One tool as it is listed; task: "forbidden", "optional", "required". */
    const pawl_value *(*tool)(pawl_scope *scope, const pawl_value *tool, const char *task);
    /** lists: tasks can be listed, where the era has that. */
    const pawl_value *(*capabilities)(pawl_scope *scope, bool lists);
    /** The fields of a task. */
    const pawl_value *(*task)(pawl_scope *scope, const pw_mcpd_task *task);
    /** The answer to a call that became a task. */
    const pawl_value *(*task_created)(pawl_scope *scope, const pawl_value *task);
} pw_mcpd_era;

extern const pw_mcpd_era pw_mcpd_modern;
extern const pw_mcpd_era pw_mcpd_legacy;

/** The era of a version; NULL for one that is not spoken. */
const pw_mcpd_era *pw_mcpd_era_of(const char *version);
/** The versions a modern client may choose from, newest first. */
const pawl_value *pw_mcpd_versions(pawl_scope *scope);
/** The version that initialize is answered with. */
const char *pw_mcpd_negotiate(const char *asked);
const pawl_value *pw_mcpd_server_info(pawl_scope *scope);
/** "2026-01-31T12:00:00.000Z" in the scope. */
const char *pw_mcpd_iso(pawl_scope *scope, int64_t ms);

#endif
