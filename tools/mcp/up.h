/*
 * up.h - the MCP server's line to the engine: many requests of the control protocol at a time on a libuv loop, through any number of restarts.
 *
 *   ask --> kept --> sent --> answered, forgotten            the line breaks: what is kept is sent again on the next one
 *
 * A write carries a dedup key, or is a start of an id of its own, so that sending it twice is one write. A watch is sent
 * again too; what it missed in between it does not say, so whoever follows a run looks at it again when `back` is called.
 *
 * Thread: the loop's. Callbacks come from the loop, never from inside a call here.
 */
#ifndef PW_MCP_UP_H
#define PW_MCP_UP_H

#include <uv.h>

#include "sdk/pawl_value.h"

typedef struct pw_up pw_up;

/** The answer, or one of a watch's. reply is valid during the call; why is "" when status is OK. */
typedef void (*pw_up_fn)(void *user, pawl_status status, const pawl_value *reply, const char *why);

typedef struct pw_up_hooks {
    void *user;
    void (*back)(void *user); /* connected, again or for the first time; nothing was sent yet */
    void (*no_owner)(
        void *user); /* nobody owns the journal, or there is none; it is tried again. May be NULL */
} pw_up_hooks;

/** Tries to connect at once, and goes on trying. NULL when out of memory. */
pw_up *pw_up_open(uv_loop_t *loop, const char *journal_path, const pw_up_hooks *hooks);
/** No callback comes after it. Accepts NULL. */
void pw_up_close(pw_up *up);
bool pw_up_is_live(const pw_up *up);
/** True while it is one of the engine's clients. Any thread. */
bool pw_up_is_connected(const pw_up *up);

/** The arguments of a request that has none. */
extern const pawl_value pw_up_none;
/** One request; args nil = they could not be built. A write gets a dedup key unless it has one. Without memory fn is called with NOMEM, from the
 * loop. */
void pw_up_ask(pw_up *up, const char *op, const pawl_value *args, pw_up_fn fn, void *user);
/** A request that is answered many times: "watch". */
void pw_up_watch(pw_up *up, const pawl_value *args, pw_up_fn fn, void *user);
/** Starts a run and follows it: began takes the answer to the start (args say "follow": engine/ops.def), fn what the run does after it, as of a
 * watch. It has no dedup key: that its id is nobody else's makes it one start, however often it is sent. */
void pw_up_follow(pw_up *up, const pawl_value *args, pw_up_fn began, pw_up_fn fn, void *user);
/** Nothing more comes for user: its answers are dropped, its watches ended. What it asked to be written is done all the same. */
void pw_up_forget(pw_up *up, const void *user);

#endif
