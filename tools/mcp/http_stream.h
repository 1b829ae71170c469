/*
 * http_stream.h - GET /runs/{id}/stream: what a run's activities say while they run, as Server-Sent Events, until the run closes.
 *
 *   the engine --one watch of each run that somebody follows--> its followers, each with a bound on what it has not read
 *
 *   event: output   {command, index?, attempt, activity, channel, at, text | bytes (base64)}
 *   event: ended    {command, index?, attempt, activity, stands}     stands: false = the attempt has no result; what it said is superseded
 *   event: lost     {pieces, bytes}                                  this follower was too slow; or {again: true}: the engine was away
 *   event: closed   {status}, and the end
 *
 * Thread: the loop's. Knows nothing of sockets: http.c gives a follower its sink.
 */
#ifndef PW_MCP_HTTP_STREAM_H
#define PW_MCP_HTTP_STREAM_H

#include <uv.h>

#include "sdk/pawl_value.h"

typedef struct pw_streams pw_streams;
typedef struct pw_follower pw_follower;

/** The client of a follower. None of these may call back. */
typedef struct pw_follower_sink {
    /** Whole events. The first opens the stream. */
    void (*put)(void *user, const char *text, size_t size);
    size_t (*unread)(const void *user); /* bytes put and not on their way yet */
    /** The follower is gone when it returns. Before anything was put: an answer of this status, text a JSON document. */
    void (*end)(void *user, int status, const char *text);
    /** Does not read: the connection is to be closed. The follower is gone when it returns. */
    void (*cut)(void *user);
} pw_follower_sink;

/** Connects when the first follower comes. NULL when out of memory. */
pw_streams *pw_streams_open(uv_loop_t *loop, const char *journal);
/** Every follower is dropped already. Accepts NULL. */
void pw_streams_close(pw_streams *s);

/** True when the path, without percent signs, is /runs/{id}/stream; *ret_id is the id, "" when it can be none. */
bool pw_streams_path(const char *path, char *ret_id, size_t size);

/** Follows a run. It may put before it returns, and ends later. NULL: too many follow, or no memory. */
pw_follower *pw_streams_follow(pw_streams *s, const char *id, const pw_follower_sink *sink,
                               void *user);
/** Its client has gone. Accepts NULL. */
void pw_follower_drop(pw_follower *f);
/** Its client has read everything: what was lost is said. Accepts NULL. */
void pw_follower_drained(pw_follower *f);

#endif
