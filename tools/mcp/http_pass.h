/*
 * http_pass.h - what a request needs to get in: a token and room, when the server has rights; and what is answered when it does not.
 *
 *   head --pw_pass_head--> goes on | waits for keys | status 401, 403, 429, 503 with its headers
 *
 * A session of the legacy era is its principal's: the name that a client is given ends with a digest of both. Thread: the loop's.
 */
#ifndef PW_MCP_HTTP_PASS_H
#define PW_MCP_HTTP_PASS_H

#include "tools/mcp/guard.h"
#include "tools/mcp/inside.h"
#include "tools/mcp/limit.h"

typedef struct pw_front {
    pw_mcpd *server;
    pw_guard *guard; /* NULL = whoever gets here may do everything */
    pw_limits *limits;
    pw_rights *defaults; /* limits of a server without rights */
} pw_front;

/** Of one request. Zero bytes are one that has not come yet. */
typedef struct pw_pass {
    pw_who *who;
    pw_limit *limit;
    int status; /* 0 = it goes on */
    bool waiting;
    pw_peer peer;          /* who asks, as far as an address says it */
    int64_t retry_after_s; /* 0 = not said */
    char why[200];
    char challenge[2048]; /* WWW-Authenticate; "" = not said */
} pw_pass;

/** Errors: as pw_guard_open. options NULL = no rights. */
pawl_status pw_front_open(pw_front *front, uv_loop_t *loop, pw_mcpd *server,
                          const pw_guard_options *options, pawl_error *err);
void pw_front_close(pw_front *front); /* also of zero bytes */
/** The limits that are in force. */
const pw_rights *pw_front_rights(const pw_front *front);

/** The head of a request has come; or keys have, and it waited. */
void pw_pass_head(pw_front *front, pw_pass *pass, const char *authorization, int64_t now_ms);
/** False: it is not known who asks, and somebody must. */
bool pw_front_lets_in(const pw_front *front, const pw_pass *pass);
/** The request is over. */
void pw_pass_end(pw_pass *pass);
/** What a principal may do now, beside what it might when it came. */
typedef enum pw_renewed {
    PW_RENEWED_SAME,
    PW_RENEWED_OTHER, /* all of that, and more */
    PW_RENEWED_LESS,
    PW_RENEWED_OUT,
} pw_renewed;

/** After pw_guard_look. */
void pw_pass_renew(pw_front *front, pw_pass *pass, pw_renewed *ret_now);
/** One that was let in is so no more: out: its token counts no longer, else it may do less. */
void pw_pass_out(pw_front *front, pw_pass *pass, bool out);
/** Rights do not reach: the challenge of a 403. */
void pw_pass_scopes(pw_front *front, pw_pass *pass, const char *scopes);

/** The name of a session as its client gets it. */
void pw_pass_session_out(const pw_front *front, const pw_pass *pass, const char *id, char *ret,
                         size_t size);
/** What a client brings as the name that the server knows; "" = it is none of its own. */
void pw_pass_session_in(const pw_front *front, const pw_pass *pass, const char *given, char *ret,
                        size_t size);

/** True when the path is that of the protected resource's metadata. */
bool pw_pass_is_metadata(const char *path);

#endif
