/*
 * agent_loop.c - calls that lead nowhere: the same call with the same result, three of the last five.
 *
 *   1st time: the model is told   2nd: such calls are refused   tried all the same: a person is asked
 *
 * Calls and results are compared by a hash of their bytes. So A/B/A/B is seen too, at its third A. Does not look at calls of tools that poll, and
 * does not see arguments that differ in order alone as the same.
 */
#include "workflows/agent.h"

#include <string.h>

static uint64_t mix(uint64_t h, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ p[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return h;
}

static uint64_t mix_value(uint64_t h, const pawl_value *v)
{
    size_t size = 0;
    const void *data = pawl_to_msgpack(v, &size);
    return data != NULL ? mix(h, data, size) : h;
}

static uint64_t print_of(const pw_agent_call *call)
{
    return mix_value(mix(0xcbf29ce484222325u, call->name, strlen(call->name) + 1), call->arguments);
}

static pw_agent_strike *strike_find(pw_agent *a, uint64_t print)
{
    for (size_t i = 0; i < a->strikes_len; i++) {
        if (a->strikes[i].call == print) {
            return &a->strikes[i];
        }
    }
    return NULL;
}

/* The oldest is forgotten for it. */
static pw_agent_strike *strike_new(pw_agent *a, uint64_t print)
{
    if (a->strikes_len == PW_AGENT_STRIKES_MAX) {
        memmove(&a->strikes[0], &a->strikes[1], (PW_AGENT_STRIKES_MAX - 1) * sizeof a->strikes[0]);
        a->strikes_len--;
    }
    a->strikes[a->strikes_len] = (pw_agent_strike){print, 0};
    return &a->strikes[a->strikes_len++];
}

void pw_agent_loop_seen(pw_agent *a, const pw_agent_call *call)
{
    const uint64_t print = print_of(call);
    const uint64_t result = mix_value(0xcbf29ce484222325u, call->result);
    int same = 0;
    memmove(&a->ring[1], &a->ring[0], (PW_AGENT_RING - 1) * sizeof a->ring[0]);
    a->ring[0][0] = print;
    a->ring[0][1] = result;
    for (size_t i = 0; i < PW_AGENT_RING; i++) {
        same += a->ring[i][0] == print && a->ring[i][1] == result;
    }
    if (same < PW_AGENT_SAME) {
        return;
    }
    pw_agent_strike *strike = strike_find(a, print);
    strike = strike != NULL ? strike : strike_new(a, print);
    strike->level += strike->level < 2;
    const pawl_value *said = pawl_build(
        a->scope, "{role: 'user', text: %s}",
        strike->level == 1
            ? "[engine] The same call with the same arguments has given the same result again and "
              "again. Do something else, or answer with what you know."
            : "[engine] That call leads nowhere. With these arguments it is refused from now on.");
    a->inbox = pw_agent_push(a->scope, a->inbox, said);
}

bool pw_agent_loop_blocked(pw_agent *a, const pw_agent_call *call)
{
    pw_agent_strike *strike = strike_find(a, print_of(call));
    if (strike == NULL || strike->level < 2) {
        return false;
    }
    strike->level = 3;
    a->stuck = call->name;
    return true;
}

void pw_agent_loop_forget(pw_agent *a)
{
    memset(a->ring, 0, sizeof a->ring);
    a->strikes_len = 0;
}
