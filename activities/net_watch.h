/*
 * net_watch.h - looks after the network thread from beside it: a peer that keeps curl busy for seconds without end loses its connection.
 */
#ifndef PW_NET_WATCH_H
#define PW_NET_WATCH_H

#include "sdk/base/error.h"

typedef struct pw_net_watch pw_net_watch;

/** Starts its thread, which sleeps until there is something to watch. NULL when it cannot be started. */
pw_net_watch *pw_net_watch_start(void);
void pw_net_watch_stop(pw_net_watch *watch); /* accepts NULL; when no socket of it is open */

/* ---- network thread ---- */

/** Transfers are under way, or none is. */
void pw_net_watch_busy(pw_net_watch *watch, bool busy);
/** Curl is at work from enter to leave. */
void pw_net_watch_enter(pw_net_watch *watch);
void pw_net_watch_leave(pw_net_watch *watch);
/** A socket, known here until it is closed here. -1 as socket(2), or when memory is out. */
int pw_net_watch_socket(pw_net_watch *watch, int family, int type, int protocol);
void pw_net_watch_close(pw_net_watch *watch, int fd);

#endif
