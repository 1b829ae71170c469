/*
 * mcp_oauth.c - what follows a 401 or a 403. Without anything to get a token with it is a failure.
 *
 * Does not ask for consent.
 */
#include "activities/mcp_server.h"

bool pw_mcp_authorize(pw_mcp_call *call, int rounds, pw_mcp_reply *reply)
{
    (void)call;
    (void)rounds;
    (void)reply;
    return false;
}
