/*
 * refusals.c - what is said of tokens that were refused, and how often. Does not judge them (guard.c).
 */
#include "tools/mcp/refusals.h"

#include <stdio.h>

#define SAID_MAX 10 /* lines of their own, each minute */
#define MINUTE_MS INT64_C(60000)

void pw_refusals_look(pw_refusals *r, int64_t now_ms, pw_refusals_fn say, void *user)
{
    char text[400];
    if (now_ms - r->since_ms < MINUTE_MS) {
        return;
    }
    if (r->unsaid > 0) {
        (void)snprintf(text, sizeof text,
                       "%lld more tokens were refused within a minute, the last from %s: %s",
                       (long long)r->unsaid, r->last, r->why);
        say(user, PAWL_WARN, text);
    }
    *r = (pw_refusals){.since_ms = now_ms};
}

void pw_refusals_add(pw_refusals *r, const pw_peer *peer, const char *why, int64_t now_ms,
                     pw_refusals_fn say, void *user)
{
    char text[400];
    const char *from = peer->text[0] != '\0' ? peer->text : "an unknown address";
    pw_refusals_look(r, now_ms, say, user);
    if (r->said < SAID_MAX) {
        r->said++;
        (void)snprintf(text, sizeof text, "a token from %s was refused: %s", from, why);
        say(user, PAWL_WARN, text);
        return;
    }
    if (r->unsaid++ == 0) {
        (void)snprintf(text, sizeof text, "more tokens are refused: they are counted from here on");
        say(user, PAWL_WARN, text);
    }
    (void)snprintf(r->last, sizeof r->last, "%s", from);
    (void)snprintf(r->why, sizeof r->why, "%s", why);
}
