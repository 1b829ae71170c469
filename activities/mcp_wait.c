/*
 * mcp_wait.c - how a call waits: for a descriptor, for its cancel, for the end of the engine, for its deadline, whichever comes first.
 *
 * Does not send.
 */
#include <poll.h>
#include <stdio.h>

#include "activities/mcp_server.h"
#include "sdk/base/clock.h"

enum {
    BLIND_MS = 100,
    BEAT_MS = 1000,
    CLOCKS_MS = 20 /* between our deadline and the engine's */
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

pw_mcp_cut pw_mcp_call_over(const pw_mcp_call *call, int64_t until_ms)
{
    const int64_t now = pw_mono_ms();
    if (call->leave_by_ms > 0) {
        return now >= call->leave_by_ms ? PW_MCP_TIMED_OUT : PW_MCP_ANSWERED;
    }
    if (pawl_task_canceled(call->task) || atomic_load(&call->hub->stopping)) {
        return PW_MCP_CANCELED;
    }
    return now >= earlier(until_ms, call->deadline_ms) ? PW_MCP_TIMED_OUT : PW_MCP_ANSWERED;
}

/* The end of the engine comes through the hub before any task is told. */
bool pw_mcp_call_unwanted(const pw_mcp_call *call)
{
    const bool late =
        call->task_deadline_ms != INT64_MAX && pw_mono_ms() + CLOCKS_MS >= call->task_deadline_ms;
    return pawl_task_canceled(call->task) && !late;
}

void pw_mcp_call_wait(pw_mcp_call *call, int fd, int64_t until_ms)
{
    const int64_t now = pw_mono_ms();
    const bool leaving = call->leave_by_ms > 0;
    int64_t until = leaving ? call->leave_by_ms : earlier(until_ms, call->deadline_ms);
    until = !leaving && call->cancel_fd < 0 ? earlier(until, now + BLIND_MS) : until;
    until = earlier(until, now + 60000);
    struct pollfd fds[3] = {{.fd = fd, .events = POLLIN},
                            {.fd = leaving ? -1 : call->cancel_fd, .events = POLLIN},
                            {.fd = leaving ? -1 : call->hub->stop_event, .events = POLLIN}};
    (void)poll(fds, 3, until > now ? (int)(until - now) : 0);
}

void pw_mcp_call_beat(pw_mcp_call *call, const pawl_value *progress, bool at_once)
{
    const int64_t now = pw_mono_ms();
    if (!at_once && now - call->beaten_ms < BEAT_MS) {
        return;
    }
    call->beaten_ms = now;
    pawl_scope *scope = pawl_scope_new(); /* the task's own would grow with every beat */
    const pawl_value *detail = progress != NULL && scope != NULL
                                   ? pawl_with(scope, call->detail, "progress", progress)
                                   : call->detail;
    (void)pawl_task_heartbeat(call->task, detail);
    pawl_scope_free(scope);
}

void pw_mcp_cut_set(pw_mcp_reply *reply, pw_mcp_cut cut, const char *type, const char *fmt, ...)
{
    va_list args;
    reply->cut = cut;
    reply->type = type;
    reply->retryable = false;
    va_start(args, fmt);
    (void)vsnprintf(reply->text, sizeof reply->text, fmt, args);
    va_end(args);
}
