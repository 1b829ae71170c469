/*
 * mcp_stdio.c - one request to a server that is a process: a waiter at its reader.
 *
 * Does not start the process: mcp_server.c has, or the request is not sent.
 */
#include "activities/mcp_server.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"

typedef struct stdio_wire {
    pw_mcp_wire base; /* first */
    pw_mcp_call *call;
    pw_mcp_process *process;
    pw_mcp_inbox inbox;
    pw_mcp_waiter waiter;
    int64_t touched_ms;
} stdio_wire;

static stdio_wire *of(pw_mcp_wire *wire)
{
    return (stdio_wire *)(void *)wire;
}

static bool next(pw_mcp_wire *wire, pw_buf *ret_text, pw_mcp_reply *reply)
{
    stdio_wire *w = of(wire);
    for (;;) {
        const pw_mcp_got got = pw_mcp_inbox_take(&w->inbox, ret_text);
        if (got == PW_MCP_GOT_TEXT) {
            w->touched_ms = pw_mono_ms();
            return true;
        }
        reply->sent = pw_mcp_process_sent(w->process, &w->waiter);
        if (got == PW_MCP_GOT_END) {
            char why[400];
            pw_mcp_process_why(w->process, why, sizeof why);
            pw_mcp_cut_set(reply, PW_MCP_FAILED, "ServerExited", "%s", why);
            reply->retryable = true;
            return false;
        }
        const int64_t silent =
            w->call->idle_ms == INT64_MAX ? INT64_MAX : w->touched_ms + w->call->idle_ms;
        const pw_mcp_cut cut = pw_mcp_call_over(w->call, silent);
        if (cut != PW_MCP_ANSWERED) {
            pw_mcp_cut_set(reply, cut, cut == PW_MCP_CANCELED ? "Canceled" : "Timeout",
                           "no answer came in time");
            return false;
        }
        pw_mcp_call_wait(w->call, w->inbox.event, silent);
    }
}

static void wire_close(pw_mcp_wire *wire, bool answered)
{
    (void)answered; /* the call has said so itself */
    stdio_wire *w = of(wire);
    pw_mcp_process_leave(w->process, &w->waiter);
    pw_mcp_inbox_deinit(&w->inbox);
    pw_free(w);
}

bool pw_mcp_stdio_open(pw_mcp_call *call, const pw_mcp_send *send, pw_mcp_wire **ret_wire,
                       pw_mcp_reply *reply)
{
    static const pw_mcp_wire_ops ops = {next, wire_close};
    stdio_wire *w = pw_calloc(1, sizeof *w);
    if (w == NULL || !pw_mcp_inbox_init(&w->inbox)) {
        pw_free(w);
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for a request");
        reply->retryable = true;
        return false;
    }
    w->base.ops = &ops;
    w->call = call;
    w->touched_ms = pw_mono_ms();
    w->process = call->process;
    w->waiter = (pw_mcp_waiter){.id = send->id, .inbox = &w->inbox};
    if (!pw_mcp_process_enter(w->process, &w->waiter, send->text, send->size)) {
        char why[400];
        pw_mcp_process_why(w->process, why, sizeof why);
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "ServerExited", "%s", why);
        reply->retryable = true;
        pw_mcp_inbox_deinit(&w->inbox);
        pw_free(w);
        return false;
    }
    *ret_wire = &w->base;
    return true;
}
