/*
 * llm_quiet.h - a moment after which something is said of a call that has said nothing: its first heartbeat.
 *
 * A heartbeat at once would be a commit for each model call, most of which have answered before anybody could have looked.
 */
#ifndef PW_LLM_QUIET_H
#define PW_LLM_QUIET_H

#include <stdint.h>
#include <uv.h>

typedef struct pw_llm_quiet {
    uv_timer_t *timer; /* NULL = not started, over, or there was no memory */
    void (*fn)(void *user);
    void *user;
} pw_llm_quiet;

/** Calls fn on the loop's thread unless it is stopped before; a second start begins anew. */
void pw_llm_quiet_start(pw_llm_quiet *q, uv_loop_t *loop, uint64_t ms, void (*fn)(void *user),
                        void *user);
/** Accepts one that was zeroed, or is over. */
void pw_llm_quiet_stop(pw_llm_quiet *q);

#endif
