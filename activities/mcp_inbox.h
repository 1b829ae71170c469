/*
 * mcp_inbox.h - what comes for one request: texts, then an end. Put by one thread, taken by another, which can wait.
 *
 *   network thread, reader of a process --put*, end--> [inbox] --event descriptor--> the thread of the call
 *
 * Bounded in bytes. Knows nothing of what the texts say.
 */
#ifndef PW_MCP_INBOX_H
#define PW_MCP_INBOX_H

#include <pthread.h>

#include "sdk/base/buf.h"

typedef struct pw_mcp_item pw_mcp_item;

typedef struct pw_mcp_inbox {
    pthread_mutex_t lock;
    int event; /* readable when there is something; -1 = not made */
    pw_mcp_item *first, *last;
    size_t bytes;
    bool ended;
} pw_mcp_inbox;

/** False: no memory, or no descriptor. */
bool pw_mcp_inbox_init(pw_mcp_inbox *in);
void pw_mcp_inbox_deinit(pw_mcp_inbox *in);
/** False: it holds too much, or there is no memory. Thread: any. */
bool pw_mcp_inbox_put(pw_mcp_inbox *in, const char *text, size_t size);
/** Nothing comes any more. The last that its caller does with it. Thread: any. */
void pw_mcp_inbox_end(pw_mcp_inbox *in);

/** Wakes who waits for it, though nothing was put. Thread: any. */
void pw_mcp_inbox_nudge(pw_mcp_inbox *in);
/** After its end, for the next one who puts. */
void pw_mcp_inbox_reopen(pw_mcp_inbox *in);

typedef enum pw_mcp_got { PW_MCP_GOT_TEXT, PW_MCP_GOT_END, PW_MCP_GOT_NOTHING } pw_mcp_got;

/** The next text, if there is one. Does not wait: the event descriptor is polled. */
pw_mcp_got pw_mcp_inbox_take(pw_mcp_inbox *in, pw_buf *ret_text);

#endif
