/*
 * held.c - debug_held: says what code holds when its turn ends in a wait, so that what would be lost with its stack is seen early.
 *
 *   before the code is resumed: mark  ..  it waits again: what is registered, what the run's memory has grown to, what it has opened
 *
 * Compares two moments on the engine's thread. Does not see what another thread opened or closed meanwhile from what the code did, nor
 * what was opened in a replay, memory from malloc, locks, or maps.
 */
#include <stdio.h>

#include "engine/parts.h"

static int unwinds_len(const pw_live *live)
{
    int n = 0;
    for (const pw_unwind *u = live->unwinds; u != NULL; u = u->next) {
        n++;
    }
    return n;
}

void pw_held_mark(const pw_live *live, pw_held *ret)
{
    const pw_env *env = &live->core->env;
    ret->unwinds = unwinds_len(live);
    ret->scope_bytes = pw_scope_bytes(live->scope);
    if (env->fds_mark != NULL) {
        env->fds_mark(env->ctx);
    }
}

void pw_held_tell(pw_live *live, const pw_held *before)
{
    const pw_env *env = &live->core->env;
    char names[400] = "";
    char waiting[PW_TEXT_BYTES_MAX];
    char grown[64] = "";
    int fds = env->fds_since != NULL ? env->fds_since(env->ctx, names, sizeof names) : 0;
    int unwinds = unwinds_len(live);
    size_t bytes = pw_scope_bytes(live->scope);
    bool large = bytes > PW_HELD_SCOPE_BYTES;
    bool warn =
        fds > unwinds - before->unwinds || (large && before->scope_bytes <= PW_HELD_SCOPE_BYTES);
    if (fds == 0 && unwinds == 0 && !large) {
        return;
    }
    pw_waiting_text(live, waiting, sizeof waiting);
    if (large) {
        (void)snprintf(grown, sizeof grown, ", %zu KiB of memory of the run", bytes >> 10);
    }
    pw_core_log(
        live->core, warn ? PAWL_WARN : PAWL_DEBUG, live->id, live->next_cmd - 1,
        "held while it waits for %.100s: %d registered with pawl_on_unwind%s, %d descriptors opened in this turn%s%s",
        waiting, unwinds, grown, fds, fds > 0 ? ": " : "", names);
}
