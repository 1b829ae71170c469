/*
 * mcp_process.h - a server that is a program: its messages are lines on its standard input and output. One thread reads, writes and reaps it,
 * under the supervisor that every program has (supervisor.h).
 *
 *   calls --enter(waiter, line)--> [out] --> stdin
 *                waiter's inbox <-- by id, by progress token <-- stdout
 *                                           the last lines <-- stderr
 *
 * It ends by itself when nobody has used it for a while. A process that has ended stays an object until it is stopped.
 */
#ifndef PW_MCP_PROCESS_H
#define PW_MCP_PROCESS_H

#include "activities/mcp_inbox.h"
#include "sdk/pawl_activity.h"

typedef struct pw_mcp_process pw_mcp_process;

/** A request that waits for its answer. */
typedef struct pw_mcp_waiter {
    int64_t id;
    pw_mcp_inbox *inbox;
    uint64_t begins_at; /* in all that was ever to be written */
    struct pw_mcp_waiter *prev, *next;
} pw_mcp_waiter;

/** Starts the program; the reference is the caller's. Errors: IO (says why), NOMEM, LIMIT. */
PAWL_MUST_USE pawl_status pw_mcp_process_start(const pawl_exec_options *options,
                                               pw_mcp_process **ret_process, pawl_error *err);
/** Another reference. */
pw_mcp_process *pw_mcp_process_take(pw_mcp_process *p);
/** Gives one back. The last closes the program's input, asks it, kills it; waits for the end; frees. Accepts NULL. */
void pw_mcp_process_give(pw_mcp_process *p);
bool pw_mcp_process_alive(pw_mcp_process *p);
/** Queues one message, and waits for what comes for its id until leave. False: the process has ended; nothing was sent. */
bool pw_mcp_process_enter(pw_mcp_process *p, pw_mcp_waiter *waiter, const char *text, size_t size);
void pw_mcp_process_leave(pw_mcp_process *p, pw_mcp_waiter *waiter);
/** Queues one message that nothing comes for. */
void pw_mcp_process_say(pw_mcp_process *p, const char *text, size_t size);
/** May the process have read a byte of the waiter's message? */
bool pw_mcp_process_sent(pw_mcp_process *p, const pw_mcp_waiter *waiter);
/** How it ended, and what it said last, for people. */
void pw_mcp_process_why(pw_mcp_process *p, char *ret, size_t size);
/** True once after the server said that its tools have changed. */
bool pw_mcp_process_tools_changed(pw_mcp_process *p);

#endif
