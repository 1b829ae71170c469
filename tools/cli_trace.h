/*
 * cli_trace.h - a run as a tree: made from its history, and from what the engine says it waits for now.
 *
 *   history (events) --+
 *                      +--> pw_trace: nodes in the order they were asked for --> text (cli_trace_draw.c) | JSON
 *   stack (now) -------+      |- children: the trace of the child run
 *                             `- branches: nodes with the same branch number, drawn as a group
 */
#ifndef PW_CLI_TRACE_H
#define PW_CLI_TRACE_H

#include "tools/cli_event.h"

typedef enum pw_node_kind {
    PW_NODE_ACTIVITY,
    PW_NODE_STEP,
    PW_NODE_TIMER,
    PW_NODE_SIGNAL,
    PW_NODE_SEND,
    PW_NODE_CHILD,
    PW_NODE_MAP,
    PW_NODE_WAIT,
    PW_NODE_LIFE, /* paused, resumed, asked to cancel, opened again */
} pw_node_kind;

typedef enum pw_node_state {
    PW_STATE_OPEN, /* goes on, or waits */
    PW_STATE_DONE,
    PW_STATE_FAILED,
    PW_STATE_CANCELED,
    PW_STATE_LATE,    /* timed out or expired */
    PW_STATE_UNKNOWN, /* was sent before a crash; whether it happened is not known */
    PW_STATE_NOTE,    /* a life event */
} pw_node_state;

typedef struct pw_trace pw_trace;

typedef struct pw_node {
    pw_node_kind kind;
    pw_node_state state;
    int64_t command;
    int64_t seq; /* of the event that made it */
    int64_t end_seq;
    int64_t branch; /* 0 = the main one */
    int64_t start_ms;
    int64_t end_ms;              /* 0 while open */
    int64_t due_ms;              /* 0 = none */
    int64_t attempts;            /* 1 = the first */
    int64_t total, done, failed; /* maps */
    bool dropped;                /* a retry of the run has taken it back */
    bool cut;                    /* still open when its run ended */
    int64_t undoes;              /* the command it takes back; 0 = none */
    const char *name;            /* "" when none */
    const char *kind_text;       /* of a wait: "approval" ... */
    const char *at;              /* "release.c:40" or "" */
    const char *said;            /* of a question: "ann approve, deferred by bob"; "" */
    const char *note;            /* "approve by ada", "x.c" ... or "" */
    const char *kept;            /* "approve by ada", for the next engine; "" */
    const pawl_value *failure;   /* of the end, or of the last attempt */
    pw_trace *child;
} pw_node;

struct pw_trace {
    const pawl_value *run; /* as describe shows it */
    const pawl_value
        *end; /* result or failure of the closing event, as {result} or {failure}; nil */
    const pawl_value *input;
    pw_node *nodes;
    size_t len;
    size_t capacity;
    size_t *by_command; /* node index + 1 */
    size_t by_command_len;
    const char **unread; /* names of signals received and not read yet, oldest first */
    size_t unread_len, unread_capacity;
    const pawl_value *kept;    /* requests for the next engine; nil: none, or one runs */
    const pawl_value *refused; /* what was kept, and refused since; nil: nothing */
    bool failed;               /* out of memory while building */
    pawl_scope *scope;
};

#define PW_TRACE_LEVELS_MAX 8
#define PW_TRACE_ALONE PW_TRACE_LEVELS_MAX /* without children */

/** Builds the trace of a run that is so many levels below the first (and of its children, PW_TRACE_LEVELS_MAX deep).
 * Owns: the scope. Errors: those of the requests; NOMEM. */
pawl_status pw_trace_build(pw_cli *cli, const pawl_value *run, pawl_scope *scope, int level,
                           pw_trace **ret_trace, pawl_error *err);
const pawl_value *pw_trace_json(const pw_trace *trace, pawl_scope *scope);
/** Draws it; returns the number of lines. */
size_t pw_trace_draw(pw_cli *cli, pw_cli_out *out, const pw_trace *trace);
/** What is kept in the journal for the run, on the nodes that it is about. */
void pw_trace_kept(pw_cli *cli, pw_trace *trace);
const char *pw_node_kind_name(pw_node_kind kind);
const char *pw_node_state_name(pw_node_state state);

#endif
