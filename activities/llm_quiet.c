/*
 * llm_quiet.c - one timer of the loop, that frees itself. Without memory nothing is called: what it is for is told to people only.
 * Does not repeat.
 */
#include "activities/llm_quiet.h"

#include "sdk/base/mem.h"

static void on_closed(uv_handle_t *handle)
{
    pw_free(handle);
}

void pw_llm_quiet_stop(pw_llm_quiet *q)
{
    if (q->timer != NULL) {
        uv_close((uv_handle_t *)q->timer, on_closed);
        q->timer = NULL;
    }
}

static void on_timer(uv_timer_t *timer)
{
    pw_llm_quiet *q = timer->data;
    pw_llm_quiet_stop(q);
    q->fn(q->user);
}

void pw_llm_quiet_start(pw_llm_quiet *q, uv_loop_t *loop, uint64_t ms, void (*fn)(void *user),
                        void *user)
{
    pw_llm_quiet_stop(q);
    uv_timer_t *timer = pw_calloc(1, sizeof *timer);
    if (timer == NULL || uv_timer_init(loop, timer) != 0) {
        pw_free(timer);
        return;
    }
    *q = (pw_llm_quiet){.timer = timer, .fn = fn, .user = user};
    timer->data = q;
    (void)uv_timer_start(timer, on_timer, ms, 0);
}
