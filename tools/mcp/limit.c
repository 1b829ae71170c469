/*
 * limit.c - buckets of principals in a table. Does not know requests.
 */
#include "tools/mcp/limit.h"

#include <string.h>

#include "engine/hash.h"
#include "sdk/base/mem.h"

#define SWEEP_AT \
    1024 /* entries; then those that are full and idle are forgotten, and again when they have doubled */

struct pw_limit {
    UT_hash_handle hh;
    double tokens, burst, rate;
    int64_t at_ms; /* when tokens was true */
    int64_t under_way;
    char principal[PW_PRINCIPAL_BYTES_MAX];
};

struct pw_limits {
    pw_limit *all;
    size_t sweep_at;
};

pw_limits *pw_limits_new(void)
{
    pw_limits *limits = pw_calloc(1, sizeof *limits);
    if (limits != NULL) {
        limits->sweep_at = SWEEP_AT;
    }
    return limits;
}

static void forget(pw_limits *limits, pw_limit *l)
{
    HASH_DEL(limits->all, l);
    pw_free(l);
}

void pw_limits_free(pw_limits *limits)
{
    if (limits == NULL) {
        return;
    }
    while (limits->all != NULL) {
        forget(limits, limits->all);
    }
    pw_free(limits);
}

static void fill(pw_limit *l, int64_t now_ms)
{
    const int64_t passed = now_ms > l->at_ms ? now_ms - l->at_ms : 0;
    l->tokens += l->rate * (double)passed / 1000;
    l->tokens = l->tokens > l->burst ? l->burst : l->tokens;
    l->at_ms = now_ms;
}

static void sweep(pw_limits *limits, int64_t now_ms)
{
    for (pw_limit *l = limits->all, *next = NULL; l != NULL; l = next) {
        next = l->hh.next;
        fill(l, now_ms);
        if (l->under_way == 0 && l->tokens >= l->burst) {
            forget(limits, l);
        }
    }
    limits->sweep_at = 2 * (size_t)HASH_COUNT(limits->all);
    limits->sweep_at = limits->sweep_at < SWEEP_AT ? SWEEP_AT : limits->sweep_at;
}

static pw_limit *limit_of(pw_limits *limits, const pw_who *who, int64_t now_ms)
{
    pw_limit *l = NULL;
    HASH_FIND_STR(limits->all, who->principal, l);
    if (l == NULL && HASH_COUNT(limits->all) >= limits->sweep_at) {
        sweep(limits, now_ms);
    }
    if (l == NULL) {
        l = pw_calloc(1, sizeof *l);
        if (l == NULL) {
            return NULL;
        }
        memcpy(l->principal, who->principal, sizeof l->principal);
        l->tokens = who->rights->burst;
        l->at_ms = now_ms;
        HASH_ADD_STR(limits->all, principal, l);
        if (l->hh.tbl == NULL) {
            pw_free(l);
            return NULL;
        }
    }
    l->rate = who->rights->rate;
    l->burst = who->rights->burst;
    return l;
}

pw_limit_verdict pw_limit_enter(pw_limits *limits, const pw_who *who, int64_t now_ms,
                                pw_limit **ret_limit, int64_t *ret_after_s)
{
    pw_limit *l = limit_of(limits, who, now_ms);
    *ret_after_s = 1;
    if (l == NULL) {
        return PW_LIMIT_CONCURRENT; /* no memory: as much is under way as can be */
    }
    fill(l, now_ms);
    if (who->rights->concurrent > 0 && l->under_way >= who->rights->concurrent) {
        return PW_LIMIT_CONCURRENT;
    }
    if (l->rate > 0 && l->tokens < 1) {
        *ret_after_s = 1 + (int64_t)((1 - l->tokens) / l->rate);
        return PW_LIMIT_RATE;
    }
    l->tokens -= l->rate > 0 ? 1 : 0;
    l->under_way++;
    *ret_limit = l;
    return PW_LIMIT_OK;
}

void pw_limit_leave(pw_limit *limit)
{
    if (limit != NULL) {
        limit->under_way--;
    }
}
