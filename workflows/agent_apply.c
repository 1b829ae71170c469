/*
 * agent_apply.c - events, one by one, into the state. A command that was asked for comes here as the event that made it: the first call that waits
 * for such a command gets it, as agent_decide.c walks them in the same order.
 *
 * Does not depend on anything but state and event.
 */
#include "workflows/agent.h"

#include <string.h>

/* ---- what is said to the agent ---- */

const pawl_value *pw_agent_messages(pawl_scope *scope, const pawl_value *v)
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
    a->inbox = pw_agent_messages(a->scope, pawl_get(input, "task"));
    if (pawl_len(a->inbox) == 0 && a->convo == NULL) {
        pw_agent_fail(a, "BadInput", "the task must be text, a message, or a list of messages");
    } else if (a->phase == PW_AGENT_READY && pw_agent_lists(a)) {
        pw_agent_list_begin(a);
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
    a->compact_asked |= strcmp(e->name, "compact") == 0;
    a->restore_asked |= strcmp(e->name, "uncompact") == 0;
    a->relist |= strcmp(e->name, "relist") == 0 && pw_agent_lists(a);
    if (a->phase == PW_AGENT_READY) {
        pw_agent_ready(a);
    }
    if (strcmp(e->name, "message") != 0 || pawl_typeof(v) == PAWL_ARRAY || !says) {
        return;
    }
    a->inbox = pw_agent_join(a->scope, a->inbox, pw_agent_messages(a->scope, v));
    if (a->phase == PW_AGENT_DONE && a->handed == NULL &&
        a->turn < pawl_int(a->config, "max_turns", PW_AGENT_TURNS)) {
        pw_agent_ready(a); /* it came in the turn that would have been the last */
    }
}

static int64_t size_of(const pawl_value *v)
{
    size_t size = 0;
    return v != NULL && pawl_to_msgpack(v, &size) != NULL ? (int64_t)size : 0;
}

static void appended(pw_agent *a, const pawl_value *ref)
{
    if (a->has_system && a->system_ref == NULL) {
        a->system_ref = pawl_copy(a->keep, ref);
    } else if (a->has_tools && a->tools_ref == NULL) {
        a->tools_ref = pawl_copy(a->keep, ref);
    } else {
        const bool speaks = pw_agent_speaks(a);
        if (speaks) {
            pw_agent_wished(a);
        }
        a->convo = pawl_copy(a->scope, ref);
        a->bytes += size_of(a->pending) + (speaks ? size_of(a->inbox) : 0);
        a->pending = NULL;
        a->inbox = speaks ? NULL : a->inbox;
    }
}

/* ---- calls ---- */

/* The first that waits for a command of that kind. */
static pw_agent_call *call_wanted(pw_agent *a, pw_agent_kind kind)
{
    for (size_t i = 0; i < a->calls_len; i++) {
        if (a->calls[i].state == PW_AGENT_WANTED && pw_agent_call_kind(&a->calls[i]) == kind) {
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
        made(call_wanted(a, PW_AGENT_ACTIVITY), PW_AGENT_OPEN, e->command);
        return;
    }
    if (a->phase == PW_AGENT_LISTING) {
        pw_agent_list_asked(a, e->command);
        return;
    }
    const bool gathers = a->phase == PW_AGENT_READY && pawl_get(a->config, "context") != NULL;
    const bool sums = a->phase == PW_AGENT_SUMMARISE;
    const bool chooses = !gathers && pw_agent_chooses(a) &&
                         (a->phase == PW_AGENT_READY || a->phase == PW_AGENT_GATHERED);
    a->phase = sums      ? PW_AGENT_SUMMARISING
               : gathers ? PW_AGENT_GATHERING
               : chooses ? PW_AGENT_CHOOSING
                         : PW_AGENT_THINKING;
    a->turn += !gathers && !sums && !chooses;
    a->command = e->command;
}

static void completed(pw_agent *a, const pawl_fold_event *e)
{
    pw_agent_call *call = call_of(a, e->command);
    a->unpaid = e->cached;
    if (call != NULL) {
        pw_agent_call_done(a, call, e->value);
        pw_agent_acted(a);
    } else if (a->phase == PW_AGENT_LISTING) {
        pw_agent_list_done(a, e->command, e->value, NULL);
    } else if (e->command == a->command && a->phase == PW_AGENT_GATHERING) {
        a->more = pw_agent_messages(a->scope, pawl_get(e->value, "messages") != NULL
                                                  ? pawl_get(e->value, "messages")
                                                  : e->value);
        a->phase = PW_AGENT_GATHERED;
        a->command = 0;
    } else if (e->command == a->command && a->phase == PW_AGENT_CHOOSING) {
        pw_agent_chosen(a, pawl_copy(a->scope, e->value));
    } else if (e->command == a->command && a->phase == PW_AGENT_THINKING) {
        pw_agent_answered(a, e->value);
    } else if (e->command == a->command && a->phase == PW_AGENT_SUMMARISING) {
        pw_agent_summed(a, e->value);
    } else if (e->command == a->command && a->phase == PW_AGENT_HANDED) {
        a->handed = pawl_copy(a->scope, e->value);
        a->phase = PW_AGENT_DONE;
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
    if (call != NULL && pw_agent_puzzled(a, call, f)) {
        return; /* it goes on when the question is answered */
    }
    if (call != NULL) {
        pw_agent_list_doubt(a, call->tool, type);
        pw_agent_call_failed(a, call, type, message);
        pw_agent_acted(a);
    } else if (a->phase == PW_AGENT_LISTING) {
        pw_agent_list_done(a, e->command, NULL, f);
    } else if (a->command == 0 || e->command != a->command) {
        return;
    } else if (a->phase == PW_AGENT_CHOOSING) {
        pw_agent_chosen(a, NULL);
    } else if (a->phase == PW_AGENT_SUMMARISING) {
        pw_agent_summed(a, NULL);
    } else if (a->phase != PW_AGENT_THINKING || !pw_agent_squeeze(a, type)) {
        pw_agent_fail(a, type, message);
    }
}

/* ---- keys ---- */

static void shown(pw_agent *a, const pawl_fold_event *e)
{
    if (strcmp(e->name, "compaction") == 0) {
        pw_agent_compacted(a, e->value);
    }
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
    if (a->phase == PW_AGENT_HANDING) {
        a->phase = PW_AGENT_HANDED;
        a->command = e->command;
        return;
    }
    made(call_wanted(a, PW_AGENT_CHILD), PW_AGENT_OPEN, e->command);
}

/* What was said is with whoever took over. */
static void passed_on(pw_agent *a, const pawl_fold_event *e)
{
    if (strcmp(e->name, "message") == 0 && a->phase == PW_AGENT_HANDED) {
        a->inbox = NULL;
    }
}

static void on_search(pw_agent *a, const pawl_fold_event *e)
{
    made(call_wanted(a, PW_AGENT_SEARCH), PW_AGENT_OPEN, e->command);
}

static void on_found(pw_agent *a, const pawl_fold_event *e)
{
    if (e->failure != NULL) {
        failed(a, e);
    } else {
        completed(a, e);
    }
}

static void remembered(pw_agent *a, const pawl_fold_event *e, pw_agent_kind kind)
{
    pw_agent_call *call = call_wanted(a, kind);
    if (call != NULL) {
        pw_agent_memory_done(a, call, e->failure);
        pw_agent_acted(a);
    }
}

static void on_put(pw_agent *a, const pawl_fold_event *e)
{
    remembered(a, e, PW_AGENT_PUT);
}

static void on_delete(pw_agent *a, const pawl_fold_event *e)
{
    remembered(a, e, PW_AGENT_DELETE);
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
        {"WaitCreated", pw_agent_asked},  {"WaitAnswered", pw_agent_told},
        {"WaitExpired", pw_agent_told},   {"KeySet", shown},
        {"SignalSent", passed_on},        {"MemorySearched", on_search},
        {"MemoryFound", on_found},        {"MemoryPut", on_put},
        {"MemoryDeleted", on_delete},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].type, event->type) == 0) {
            rows[i].apply(state, event);
            return;
        }
    }
}
