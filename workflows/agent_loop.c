/*
 * agent_loop.c - calls that lead nowhere.
 *
 *   same          the same call with the same result, three of the last five
 *   ping-pong     two calls that take turns, with the same results: A/B/A/B
 *   no progress   five calls of one tool that only reads, or fails, with the same result, whatever the arguments
 *
 *   1st time: the model is told   2nd: such calls are refused   tried all the same: a person is asked
 *
 * Calls and results are compared by a hash of their bytes. Does not look at calls of tools that poll, and does not see arguments that differ in
 * order alone as the same.
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

static uint64_t print_of_tool(const pw_agent_call *call)
{
    return mix(0x84222325cbf29ce4u, call->name, strlen(call->name) + 1);
}

/* ---- the detectors ---- */

static bool same(const pw_agent *a)
{
    int n = 0;
    for (size_t i = 0; i < PW_AGENT_RING; i++) {
        n += a->ring[i][0] == a->ring[0][0] && a->ring[i][1] == a->ring[0][1];
    }
    return n >= PW_AGENT_SAME;
}

static bool alike(const pw_agent *a, size_t i, size_t j)
{
    return a->ring[i][0] == a->ring[j][0] && a->ring[i][1] == a->ring[j][1];
}

static bool ping_pong(const pw_agent *a)
{
    return a->ring[3][0] != 0 && alike(a, 0, 2) && alike(a, 1, 3) && !alike(a, 0, 1);
}

/* Whatever its arguments: a tool that only reads, or fails, and says the same each time. */
static bool no_progress(const pw_agent *a)
{
    bool stands = a->ring[0][2] != 0;
    for (size_t i = 1; i < PW_AGENT_RING && stands; i++) {
        stands = a->ring[i][2] == a->ring[0][2] && a->ring[i][1] == a->ring[0][1];
    }
    return stands;
}

/* ---- what follows ---- */

static void strike_at(pw_agent *a, uint64_t print, const char *told)
{
    pw_agent_strike *strike = strike_find(a, print);
    strike = strike != NULL ? strike : strike_new(a, print);
    strike->level += strike->level < 2;
    a->inbox = pw_agent_push(a->scope, a->inbox,
                             pawl_build(a->scope, "{role: 'user', text: %s}",
                                        strike->level == 1 ? told
                                                           : "[engine] That leads nowhere. "
                                                             "It is refused from now on."));
}

void pw_agent_loop_seen(pw_agent *a, const pw_agent_call *call)
{
    const uint64_t print = print_of(call);
    const uint64_t tool = print_of_tool(call);
    memmove(&a->ring[1], &a->ring[0], (PW_AGENT_RING - 1) * sizeof a->ring[0]);
    a->ring[0][0] = print;
    a->ring[0][1] = mix_value(0xcbf29ce484222325u, call->result);
    a->ring[0][2] = call->failed || pawl_is(call->tool, "effect", "pure") ? tool : 0;
    if (same(a)) {
        strike_at(a, print,
                  "[engine] The same call with the same arguments has given the same result again "
                  "and again. Do something else, or answer with what you know.");
    } else if (ping_pong(a)) {
        strike_at(a, print,
                  "[engine] Two calls have taken turns, with the same results each time. Do "
                  "something else, or answer with what you know.");
    } else if (no_progress(a)) {
        strike_at(a, tool,
                  "[engine] This tool has said the same to different arguments again and again. Do "
                  "something else, or answer with what you know.");
    }
}

bool pw_agent_loop_blocked(pw_agent *a, const pw_agent_call *call)
{
    pw_agent_strike *strike = strike_find(a, print_of(call));
    strike = strike != NULL && strike->level >= 2 ? strike : strike_find(a, print_of_tool(call));
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
