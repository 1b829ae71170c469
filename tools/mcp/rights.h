/*
 * rights.h - who may do what over MCP: roles, whom they are given to, which authorization servers are believed, and limits. A file of JSON:
 *
 *     {"resource": "https://pawl.example.com/mcp",
 *      "roles": {"release-caller": {"operations": ["list", "call", "read"], "tools": ["release*"], "workflows": ["release"]},
 *                "release-desk":   {"operations": ["read", "answer"], "workflows": ["release"], "runs": "all"}},
 *      "principals": {"ada": {"roles": ["release-desk"], "workspace": "web"}, "corp:bot-7": {"roles": ["caller"]}},
 *      "issuers": [{"name": "corp", "issuer": "https://id.example.com", "jwks_uri": "https://id.example.com/keys",
 *                   "scopes": {"pawl.read": ["viewer"], "pawl.release": ["release-caller"]}}],
 *      "limits": {"rate": 100, "burst": 200, "concurrent": 256, "held_bytes": 268435456, "head_s": 30, "body_s": 60}}
 *
 * [T20] What no role of a principal allows is refused: a principal without a role may do nothing, a list that a role does not have is empty, a key
 * that is not known makes the file invalid.
 *
 * A role allows its operations together with its own tools and workflows: two roles do not add up to a third. `tools` are names of tools, prompts
 * and resources as they are listed; `workflows` are names of workflows, reached by pawl_start, by a tool of theirs, and, with "runs": "all", by
 * their runs. A last * matches the rest of a name.
 *
 * Immutable once read; counted references. Thread: the loop's.
 */
#ifndef PW_MCP_RIGHTS_H
#define PW_MCP_RIGHTS_H

#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/pawl_value.h"
#include "tools/mcp/peer.h"

#define PW_PRINCIPAL_BYTES_MAX 256 /* "issuer:subject" */

typedef enum pw_operation {
#define X(name, text, help) PW_OP_##name,
#include "tools/mcp/operations.def"
#undef X
    PW_OP_COUNT
} pw_operation;

/** Names that are looked at often, and so not values: those take memory of their scope each time. A last * matches the rest. */
typedef struct pw_names {
    const char *const *list;
    size_t len;
} pw_names;
bool pw_names_match(const pw_names *names, const char *name);

typedef struct pw_role {
    const char *name;
    unsigned operations; /* bits */
    bool any;            /* of the roles that there always are: every tool and workflow */
    pw_names tools, workflows;
    bool all_runs;
} pw_role;

/** What a scope of an authorization server gives. */
typedef struct pw_scope_roles {
    const char *scope;
    pw_names roles;
} pw_scope_roles;

/** An authorization server whose tokens are taken (oauth.h). */
typedef struct pw_issuer {
    const char *name;                 /* before the subject: "corp:ada" */
    const char *issuer;               /* as `iss` says it */
    const char *jwks_uri, *jwks_file; /* one of them is NULL; both: found by its metadata */
    const char
        *jwks_address; /* where the hosts of both may be, beside public addresses; NULL = nowhere */
    pw_names audience; /* any of these; none = the resource */
    pw_names algorithms; /* those that are taken; none = all of oauth.h */
    const pw_scope_roles *scopes;
    size_t scopes_len;
    const char *workspace_claim; /* NULL = none */
    const char *typ;             /* what the header must say; NULL = at+jwt, JWT or nothing */
    int64_t skew_s;
} pw_issuer;

typedef struct pw_principal {
    const char *name, *workspace;
    pw_names roles;
} pw_principal;

typedef struct pw_rights {
    size_t refs;
    pawl_scope *scope;
    const pw_role *roles;
    size_t roles_len;
    const pw_issuer *issuers;
    size_t issuers_len;
    const pw_principal *principals; /* by name */
    size_t principals_len;
    const char *resource; /* NULL = as the server's URL */
    double rate;          /* requests/s of a principal; 0 = no limit */
    double burst;
    int64_t concurrent; /* requests of a principal under way, streams included; 0 = no limit */
    int64_t
        held_bytes; /* of bodies and unread answers of all clients: beyond it no body is taken */
    int64_t head_s; /* from a connection to its first request */
    int64_t body_s; /* from a request's head to the end of its body */
    pw_peer_ranges proxies; /* whose X-Forwarded-For is believed */
} pw_rights;

/** path NULL = the roles that there always are, and nothing else. Errors: NOTFOUND, IO, LIMIT, INVALID (names what), NOMEM. */
pawl_status pw_rights_read(const char *path, pw_rights **ret_rights, pawl_error *err);
pw_rights *pw_rights_share(pw_rights *rights);
void pw_rights_release(pw_rights *rights);                                /* accepts NULL */
const pw_role *pw_rights_role(const pw_rights *rights, const char *name); /* NULL = none */

/* ---- a principal ---- */

#define PW_WHO_ROLES_MAX 32

/** One who has shown who it is. Counted references, since exchanges outlive the request's head. */
typedef struct pw_who {
    size_t refs;
    pw_rights *rights;
    char principal[PW_PRINCIPAL_BYTES_MAX]; /* in the journal, as "by" */
    char owner[PW_PRINCIPAL_BYTES_MAX + 8]; /* whose runs: "p:PRINCIPAL" or "w:WORKSPACE" */
    const pw_role *roles[PW_WHO_ROLES_MAX];
    size_t roles_len;
    char workspace[128];         /* "" = none */
    char token_id[17];           /* of a token of the file; "" = it came with a signed token */
    const pw_issuer *issuer;     /* of a signed token */
    uint8_t key[PW_DIGEST_SIZE]; /* that signed it */
    char scopes[1024];           /* which it has */
    int64_t expires_ms;          /* 0 = never */
} pw_who;

/** workspace "" = its own runs only. roles: names; one that is not there is left out. What the file says of the principal is added. NULL: no memory,
 * or a name that is too long. */
pw_who *pw_who_new(pw_rights *rights, const char *principal, const char *workspace,
                   const pw_names *roles);
/** One more role, unless it has it. */
void pw_who_add(pw_who *who, const char *role);
pw_who *pw_who_share(pw_who *who);
void pw_who_release(pw_who *who); /* accepts NULL */

/** True when both may do the same, whatever has been read again in between. */
bool pw_who_same(const pw_who *a, const pw_who *b);
/** True when now may do everything that was might: each role of was is still there, and allows no less. */
bool pw_who_covers(const pw_who *now, const pw_who *was);

/* In all of these NULL may do everything: the server knows no rights. */

bool pw_who_may(const pw_who *who, pw_operation op);
/** A tool, prompt or resource as it is listed, and the workflow behind it. */
bool pw_who_may_offer(const pw_who *who, pw_operation op, const char *name, const char *workflow);
bool pw_who_may_workflow(const pw_who *who, pw_operation op, const char *workflow);
/** own: the run is of its owner. workflow NULL = not known yet: true only when it does not matter. */
bool pw_who_may_run(const pw_who *who, pw_operation op, bool own, const char *workflow);
/** Some other run than its own may be open to it. */
bool pw_who_may_foreign(const pw_who *who, pw_operation op);
/** The scopes that a signed token would have to have: those it has, and the first that allows this. "" = none would, or it is no such token.
 * name, workflow: as of pw_who_may_offer, NULL = any. */
void pw_who_needs(const pw_who *who, pw_operation op, const char *name, const char *workflow,
                  char *ret_scopes, size_t size);

#endif
