/*
 * agent_apply.c - events, one by one, into the state. A command that was asked for comes here as the event that made it: the first call that waits
 * for such a command gets it, as agent_decide.c walks them in the same order.
 *
 * Does not depend on anything but state and event.
 */
#include "workflows/agent.h"

#include <string.h>

/* ---- what is said to the agent ---- */

/* Text, a message or a list of messages, as a list. */
static const pawl_value *messages_of(pawl_scope *scope, const pawl_value *v)
{
    const pawl_value *one = NULL;
    switch (pawl_typeof(v)) {
    case PAWL_ARRAY:
        return pawl_copy(scope, v);
    case PAWL_MAP:
        one = pawl_get(v, "role") != NULL
                  ? pawl_copy(scope, v)
                  : pawl_with(scope, v, "role", pawl_make_str(scope, "user"));
        break;
    case PAWL_STRING:
        one = pawl_build(scope, "{role: 'user', text: %p}", pawl_v(v));
        break;
    case PAWL_NIL:
    case PAWL_BOOL:
    case PAWL_INT:
    case PAWL_DOUBLE:
    case PAWL_BYTES:
    case PAWL_BIGINT:
        return NULL;
    }
    return pw_agent_push(scope, NULL, one);
}

static void started(pw_agent *a, const pawl_value *input)
{
    pw_agent_configure(a, input);
    a->convo = pawl_copy(a->scope, pawl_get(input, "conversation"));
    a->inbox = messages_of(a->scope, pawl_get(input, "task"));
    if (pawl_len(a->inbox) == 0 && a->convo == NULL) {
        pw_agent_fail(a, "BadInput", "the task must be text, a message, or a list of messages");
    }
}

/* Steering: only a user may speak from outside. */
static void signaled(pw_agent *a, const pawl_fold_event *e)
{
    const pawl_value *v =
        pawl_typeof(e->value) == PAWL_MAP
            ? pawl_with(a->scope, e->value, "role", pawl_make_str(a->scope, "user"))
            : e->value;
    const bool says = pawl_typeof(v) == PAWL_STRING || pawl_get(v, "text") != NULL ||
                      pawl_get(v, "parts") != NULL;
    if (strcmp(e->name, "message") != 0 || pawl_typeof(v) == PAWL_ARRAY || !says) {
        return;
    }
    a->inbox = pw_agent_join(a->scope, a->inbox, messages_of(a->scope, v));
    if (a->phase == PW_AGENT_DONE && a->turn < pawl_int(a->config, "max_turns", PW_AGENT_TURNS)) {
        a->phase = PW_AGENT_READY; /* it came in the turn that would have been the last */
    }
}

static void appended(pw_agent *a, const pawl_value *ref)
{
    if (a->has_system && a->system_ref == NULL) {
        a->system_ref = pawl_copy(a->keep, ref);
    } else if (a->has_tools && a->tools_ref == NULL) {
        a->tools_ref = pawl_copy(a->keep, ref);
    } else {
        a->convo = pawl_copy(a->scope, ref);
        a->pending = NULL;
        a->inbox = a->phase == PW_AGENT_READY || a->phase == PW_AGENT_GATHERED ? NULL : a->inbox;
    }
}

/* ---- calls ---- */

static pw_agent_call *call_in(pw_agent *a, pw_agent_call_state state, bool child)
{
    for (size_t i = 0; i < a->calls_len; i++) {
        const bool fits = state != PW_AGENT_WANTED || pw_agent_call_is_child(&a->calls[i]) == child;
        if (a->calls[i].state == state && fits) {
            return &a->calls[i];
        }
    }
    return NULL;
}

static pw_agent_call *call_of(pw_agent *a, int64_t command)
{
    for (size_t i = 0; i < a->calls_len; i++) {
        if (command != 0 && a->calls[i].command == command) {
            return &a->calls[i];
        }
    }
    return NULL;
}

static void made(pw_agent_call *call, pw_agent_call_state state, int64_t command)
{
    if (call != NULL) {
        call->state = state;
        call->command = command;
    }
}

static void scheduled(pw_agent *a, const pawl_fold_event *e)
{
    if (a->phase == PW_AGENT_ACTING) {
        made(call_in(a, PW_AGENT_WANTED, false), PW_AGENT_OPEN, e->command);
        return;
    }
    const bool gathers = a->phase == PW_AGENT_READY && pawl_get(a->config, "context") != NULL;
    a->phase = gathers ? PW_AGENT_GATHERING : PW_AGENT_THINKING;
    a->turn += !gathers;
    a->command = e->command;
}

static void completed(pw_agent *a, const pawl_fold_event *e)
{
    pw_agent_call *call = call_of(a, e->command);
    if (call != NULL) {
        pw_agent_call_done(a, call, e->value);
        pw_agent_acted(a);
    } else if (e->command == a->command && a->phase == PW_AGENT_GATHERING) {
        a->more = messages_of(a->scope, pawl_get(e->value, "messages") != NULL
                                            ? pawl_get(e->value, "messages")
                                            : e->value);
        a->phase = PW_AGENT_GATHERED;
        a->command = 0;
    } else if (e->command == a->command && a->phase == PW_AGENT_THINKING) {
        pw_agent_answered(a, e->value);
    }
}

static void failed(pw_agent *a, const pawl_fold_event *e)
{
    const pawl_failure *f = e->failure;
    if (f != NULL && f->cause != NULL && strcmp(f->type, "ChildFailed") == 0) {
        f = f->cause;
    }
    const char *type = f != NULL && f->type != NULL ? f->type : "Canceled";
    const char *message = f != NULL && f->message != NULL ? f->message : "";
    pw_agent_call *call = call_of(a, e->command);
    if (call != NULL) {
        pw_agent_call_failed(a, call, type, message);
        pw_agent_acted(a);
    } else if (a->command != 0 && e->command == a->command) {
        pw_agent_fail(a, type, message);
    }
}

/* ---- people ---- */

static void asked(pw_agent *a, const pawl_fold_event *e)
{
    if (strncmp(e->name, "approve-", 8) == 0) {
        pw_agent_call *call = call_in(a, PW_AGENT_HELD, false);
        made(call, PW_AGENT_ASKED, e->command);
        if (call != NULL) {
            call->asks++;
        }
    } else if (strncmp(e->name, "stuck-", 6) == 0) {
        a->command = e->command;
    }
}

static void judged(pw_agent *a, pw_agent_call *call, const pawl_value *answer)
{
    const pawl_value *data = pawl_get(answer, "data");
    const pawl_value *other =
        pawl_get(data, "arguments") != NULL ? pawl_get(data, "arguments") : data;
    if (pawl_is(answer, "choice", "approve")) {
        made(call, PW_AGENT_WANTED, 0);
    } else if (!pawl_is(answer, "choice", "modify")) {
        const char *why = pawl_typeof(data) == PAWL_STRING
                              ? pawl_str(data, "", "")
                              : pawl_str(data, "reason", "a person said no");
        pw_agent_call_failed(a, call, "Rejected", why);
        pw_agent_acted(a);
    } else if (pawl_typeof(other) == PAWL_MAP) {
        call->arguments = pawl_copy(a->scope, other);
        made(call, PW_AGENT_WANTED, 0);
    } else {
        made(call, PW_AGENT_HELD, 0); /* no arguments came: asked again */
    }
}

static void answered(pw_agent *a, const pawl_fold_event *e)
{
    pw_agent_call *call = call_of(a, e->command);
    if (call != NULL) {
        judged(a, call, e->value);
    } else if (a->phase == PW_AGENT_STUCK && e->command == a->command) {
        const pawl_value *data = pawl_get(e->value, "data");
        a->command = 0;
        a->stuck = NULL;
        if (!pawl_is(e->value, "choice", "continue")) {
            pw_agent_fail(
                a, "LoopDetected",
                "the same call led nowhere again and again, and nobody wanted it to go on");
            return;
        }
        pw_agent_loop_forget(a);
        a->inbox = data != NULL ? pw_agent_join(a->scope, a->inbox, messages_of(a->scope, data))
                                : a->inbox;
        a->phase = PW_AGENT_READY;
    }
}

static void shown(pw_agent *a, const pawl_fold_event *e)
{
    if (strcmp(e->name, "agent") != 0) {
        return;
    }
    a->shown_turn = pawl_int(e->value, "turn", 0);
    for (pw_agent_phase p = 0; p < PW_AGENT_PHASES; p++) {
        a->shown_phase = pawl_is(e->value, "phase", pw_agent_phase_text(p)) ? pw_agent_phase_text(p)
                                                                            : a->shown_phase;
    }
}

/* ---- the table ---- */

static void on_start(pw_agent *a, const pawl_fold_event *e)
{
    started(a, e->value);
}

static void on_appended(pw_agent *a, const pawl_fold_event *e)
{
    appended(a, e->value);
}

static void on_child(pw_agent *a, const pawl_fold_event *e)
{
    made(call_in(a, PW_AGENT_WANTED, true), PW_AGENT_OPEN, e->command);
}

static void on_cancel(pw_agent *a, const pawl_fold_event *e)
{
    (void)e;
    a->canceled = true;
}

void pw_agent_apply(void *state, const pawl_fold_event *event)
{
    static const struct {
        const char *type;
        void (*apply)(pw_agent *a, const pawl_fold_event *e);
    } rows[] = {
        {"RunStarted", on_start},         {"ConvoAppended", on_appended},
        {"SignalReceived", signaled},     {"CancelRequested", on_cancel},
        {"ActivityScheduled", scheduled}, {"ActivityCompleted", completed},
        {"ActivityFailed", failed},       {"ActivityCanceled", failed},
        {"ChildStarted", on_child},       {"ChildCompleted", completed},
        {"ChildFailed", failed},          {"ChildCanceled", failed},
        {"WaitCreated", asked},           {"WaitAnswered", answered},
        {"WaitExpired", answered},        {"KeySet", shown},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].type, event->type) == 0) {
            rows[i].apply(state, event);
            return;
        }
    }
}
