/*
 * mcp_server.h - what is known of a server, shared by the calls to it: era and version, session, who it is, its tools; the process of a
 * server that is one; and the hub that keeps them all.
 *
 *   hub --servers, by what the input says of them--> server: verdict, session, tools, process
 *       --threads--> one for each call
 *
 * A verdict is kept until the server contradicts it. Nothing of this is in the journal: the next engine finds it out again.
 */
#ifndef PW_MCP_SERVER_H
#define PW_MCP_SERVER_H

#include "activities/mcp_call.h"
#include "activities/mcp_process.h"

typedef struct pw_mcp_job pw_mcp_job;

struct pw_mcp_server {
    pw_mcp_server *next;
    char *key; /* the server part of the input, as JSON, references unresolved */
    size_t key_size;
    size_t users; /* under the hub's lock */
    int64_t used_ms;

    pthread_mutex_t hello; /* one call finds out, the others wait for it */
    pthread_mutex_t lock;  /* over all below */
    int64_t ids;           /* of requests so far */
    pw_mcp_era era;        /* the verdict */
    bool greeted;          /* session and about are of the server as it runs now */
    char version[16];
    char session[256]; /* "" = none */
    bool deaf;         /* a legacy session has no stream of its own */
    size_t tool_calls; /* under way over HTTP */
    pw_buf about;      /* msgpack: {serverInfo, capabilities, instructions} */
    bool tools_known;
    int64_t tools_until_ms;
    pw_buf tools; /* msgpack: list of those that fit */
    pw_mcp_process *process;
    int64_t process_at_ms; /* when the last one was started */
    int process_fails;     /* that ended early, in a row */

    /* of an authorization server; overwritten when freed */
    pw_buf token;    /* bearer token */
    pw_buf scope;    /* that was asked for with it */
    pw_buf refresh;  /* refresh token */
    pw_buf issuer;   /* who gave these */
    pw_buf farewell; /* msgpack: with what the session is ended */
    pw_buf client;   /* msgpack: {issuer, client}, as registered */
};

struct pw_mcp_hub {
    pawl_runner base; /* first */
    pw_egress *egress;
    pw_secret_rules *secrets;
    pw_net_options options;
    char *proxy;
    char *ca_file;
    int stop_event; /* readable once the engine closes */
    atomic_bool stopping;
    pthread_mutex_t lock; /* over all below */
    pthread_cond_t work;
    pthread_cond_t gone;
    pw_net *net;
    pw_mcp_job *first, *last; /* tasks that wait for a thread */
    uint32_t threads;
    uint32_t idle;
    pw_mcp_server *servers;
    size_t servers_len;
};

/* mcp_hub.c */

/** Takes egress and secrets over, also when it fails. Errors: NOMEM, LIMIT. */
PAWL_MUST_USE pawl_status pw_mcp_hub_start(pw_egress *egress, pw_secret_rules *secrets,
                                           const pw_net_options *options, pw_mcp_hub **ret_hub,
                                           pawl_error *err);
pawl_runner *pw_mcp_hub_runner(pw_mcp_hub *hub);
/** Its network thread, started by the first who asks. Errors: as pw_net_start. */
PAWL_MUST_USE pawl_status pw_mcp_hub_net(pw_mcp_hub *hub, pw_net **ret_net, pawl_error *err);
/** What a thread does with a task: mcp_activity.c. Ends it. */
void pw_mcp_task_run(pw_mcp_hub *hub, pawl_task *task);
/** The server of that description, known or new; to be given back. NULL: no memory. */
pw_mcp_server *pw_mcp_hub_server(pw_mcp_hub *hub, const pawl_value *description);
void pw_mcp_hub_give(pw_mcp_hub *hub, pw_mcp_server *server);

/* mcp_server.c */

pw_mcp_server *pw_mcp_server_new(const char *key, size_t key_size);
void pw_mcp_server_free(pw_mcp_server *server);
int64_t pw_mcp_server_id(pw_mcp_server *server);
/** Sets call->dialect: asks the server who it is when that is not known. False: the reply says why not. */
bool pw_mcp_server_greet(pw_mcp_call *call, pw_mcp_reply *reply);
/** The session is gone; or the verdict is wrong, too. */
void pw_mcp_server_forget(pw_mcp_server *server, bool verdict);
/** Its sessions have no stream of their own. */
void pw_mcp_server_deaf(pw_mcp_server *server);
/** One tool call more or less under way; how many there are now. */
size_t pw_mcp_server_tool_calls(pw_mcp_server *server, int more);
/** Asks, after greeting it if need be; greets it again, or gets a token, where that helps and nothing has happened yet. */
bool pw_mcp_server_ask(pw_mcp_call *call, const pw_mcp_ask *ask, pw_mcp_reply *reply);
/** {serverInfo, capabilities} of it. */
const pawl_value *pw_mcp_server_about(pw_mcp_server *server, pawl_scope *scope);
/** Its tools that fit, all pages; from the cache while that is fresh. False: the reply says why. */
bool pw_mcp_server_tools(pw_mcp_call *call, bool fresh, const pawl_value **ret_tools,
                         pw_mcp_reply *reply);
void pw_mcp_server_tools_stale(pw_mcp_server *server);

#endif
