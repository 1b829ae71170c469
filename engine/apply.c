/*
 * apply.c - the one place where events change the state of a run [E3]: by the same code live, in replay and in folding.
 *
 * Every change goes along an edge of machines.def; an event without an edge is refused, and the caller decides whether that is damage
 * or nondeterminism. A shell (no code in memory) only follows the run machine.
 * Does not write rows and does not publish: effects.c does, and only in a live turn.
 */
#include <string.h>

#include "engine/ballot.h"
#include "engine/bugs.h"
#include "engine/parts.h"

void pw_machine_seen(pw_core *core, int edge)
{
    if (edge >= 0 && (size_t)edge < sizeof core->edges_seen) {
        core->edges_seen[edge] = 1;
    }
}

static bool step(pw_core *core, pw_state *state, pw_event_type type)
{
    int edge = pw_edge_find(*state, type);
    if (edge < 0) {
        return false;
    }
    pw_machine_seen(core, edge);
    *state = pw_edge_at(edge)->to;
    return true;
}

pw_cmd *pw_cmd_find(pw_live *live, int64_t id)
{
    return id >= 1 && (size_t)id <= live->cmds_len ? live->cmds[id - 1] : NULL;
}

static bool cmds_grow(pw_live *live)
{
    if (live->cmds_len < live->cmds_cap) {
        return true;
    }
    size_t cap = live->cmds_cap == 0 ? 16 : live->cmds_cap * 2;
    pw_cmd **grown = pw_realloc(live->cmds, cap * sizeof(pw_cmd *));
    if (grown == NULL) {
        pw_scope_fail(live->scope);
        return false;
    }
    live->cmds = grown;
    live->cmds_cap = cap;
    return true;
}

/* [E5] Command ids are never used twice: after a retry they go on behind those of the void stretch. */
bool pw_cmd_skip_to(pw_live *live, int64_t next_cmd)
{
    while (live->whole && live->next_cmd < next_cmd) {
        if (!cmds_grow(live)) {
            return false;
        }
        live->cmds[live->cmds_len++] = NULL;
        live->next_cmd++;
    }
    return true;
}

/* Commands of one name mostly follow each other: they share the text. */
static const char *name_of(const pw_live *live, pw_view name)
{
    const pw_cmd *last = live->cmds_len > 0 ? live->cmds[live->cmds_len - 1] : NULL;
    if (name.size == 0) {
        return "";
    }
    return last != NULL && pw_view_is(name, last->name)
               ? last->name
               : pw_strndup(live->scope, (const char *)name.data, name.size);
}

static pw_cmd *cmd_new(pw_live *live, const pw_event *ev, pw_state first)
{
    if (ev->cmd != live->next_cmd || !cmds_grow(live)) {
        return NULL;
    }
    pw_cmd *cmd = pawl_scope_alloc(live->scope, sizeof *cmd);
    if (cmd == NULL) {
        return NULL;
    }
    cmd->id = ev->cmd;
    cmd->state = first;
    cmd->body = ev->body;
    cmd->seq = ev->seq;
    cmd->since_ms = live->now_ms;
    const pw_common *c = pw_body_common(live, ev->body);
    cmd->digest = c->digest;
    cmd->due_ms = c->due_ms;
    const char *name = name_of(live, c->name);
    if (name == NULL) {
        return NULL;
    }
    cmd->name = name;
    cmd->attempt = 1;
    cmd->future.cmd = cmd;
    live->cmds[live->cmds_len++] = cmd;
    live->next_cmd++;
    if (first != PW_S_COUNT) {
        DL_APPEND(live->open, cmd);
        live->open_len++;
    }
    return cmd;
}

bool pw_cmd_restore(pw_live *live, const pw_event *made_by, pw_state state)
{
    if (!pw_cmd_skip_to(live, made_by->cmd)) {
        return false;
    }
    pw_cmd *cmd = cmd_new(live, made_by, state);
    if (cmd != NULL && pw_state_machine(state) == PW_M_ACTIVITY) {
        cmd->undo = pw_body_str(live->scope, made_by->body, "undo", NULL);
        cmd->on_cancel = (pawl_on_cancel)pw_body_int(made_by->body, "on_cancel", 0);
    }
    return cmd != NULL;
}

void pw_cmd_end(pw_live *live, pw_cmd *cmd, const pawl_value *value, const pawl_failure *failure)
{
    if (cmd->future.done) {
        return;
    }
    cmd->future.done = true;
    cmd->future.done_seq = live->seq;
    cmd->future.done_turn = live->turn;
    cmd->future.value = value;
    cmd->future.failure = failure;
    DL_DELETE(live->open, cmd);
    live->open_len--;
}

static const pawl_failure *body_failure(pw_live *live, const pw_event *ev)
{
    const pawl_value *v = pw_body_value(live->core, live->scope, ev->body, "failure");
    const pawl_failure *f = pw_failure_read(live->scope, v, 0);
    return f != NULL ? f
                     : pw_failure_new(live->scope, "Unknown", "the failure was not recorded", NULL,
                                      false, NULL);
}

static const pawl_value *body_value(pw_live *live, const pw_event *ev, const char *key)
{
    return pw_body_value(live->core, live->scope, ev->body, key);
}

/* ---- one function per construct ---- */

static bool apply_started(pw_live *live, const pw_event *ev)
{
    live->seed = pw_body_uint(ev->body, "seed");
    live->parent_key = pw_body_int(ev->body, "parent", 0);
    live->parent_cmd = pw_body_int(ev->body, "parent_cmd", 0);
    live->run_deadline_ms = pw_body_int(ev->body, "deadline_ms", 0);
    live->started_by = pw_body_str(live->scope, ev->body, "by", "");
    live->kick = true;
    if (!live->whole || live->def->folded.apply != NULL) {
        return true;
    }
    const pawl_value *input = pw_body_value(live->core, live->scope, ev->body, "input");
    return pw_branch_new(live, NULL, pawl_v(input)) != NULL;
}

/* One that was dropped when the run closed may still report under its own number. */
static void new_attempts(pw_live *live)
{
    pw_cmd *cmd;
    DL_FOREACH (live->open, cmd) {
        cmd->attempt += cmd->state == PW_S_ACTIVITY_SCHEDULED ? 1 : 0;
    }
}

static bool apply_run(pw_live *live, const pw_event *ev)
{
    bool never_closed = ev->type == PW_EV_RUN_RETRIED && live->replaying &&
                        pw_live_open_status(live) && live->state != PW_S_RUN_NONE;
    if (never_closed) {
        live->state =
            PW_S_RUN_RUNNING; /* a replay leaves the void stretch out, and the end of the run with it */
    } else if (!step(live->core, &live->state, ev->type)) {
        return false;
    }
    if (ev->type == PW_EV_RUN_STARTED) {
        return apply_started(live, ev);
    }
    if (ev->type == PW_EV_CANCEL_REQUESTED) {
        live->cancel_requested = true;
        live->cancel_reason = pw_body_str(live->scope, ev->body, "reason", "");
    }
    if (ev->type == PW_EV_RUN_RETRIED) {
        live->cancel_requested = false;
        new_attempts(live);
        if (!PW_BUG_COMMAND_ID_REUSED &&
            !pw_cmd_skip_to(live, pw_body_int(ev->body, "next_command", 0))) {
            return false;
        }
    }
    if (ev->type == PW_EV_DRIFT_NOTED && live->whole) {
        pw_cmd *cmd = pw_cmd_find(live, pw_body_int(ev->body, "of", 0));
        if (cmd != NULL) {
            cmd->digest = pw_body_uint(ev->body, "code"); /* the same drift is not noted again */
        }
    }
    if (ev->type == PW_EV_RUN_RESUMED || ev->type == PW_EV_RUN_RETRIED) {
        live->kick = true;
    }
    return true;
}

/* An attempt failed, and nobody can say that it did not happen: one that took too long may still have done it. */
static bool may_have_happened(const pw_live *live, const pw_event *ev)
{
    static const char *const types[] = {"OutcomeUnknown", "Timeout", "HeartbeatTimeout",
                                        "WorkerLost", "ProcessEnded"};
    const pawl_value *v = pw_body_value(live->core, live->scope, ev->body, "failure");
    const pawl_failure *f = pw_failure_read(live->scope, v, 0);
    bool may = pawl_bool(v, "unknown", false);
    for (size_t i = 0; i < PW_COUNT(types); i++) {
        may |= pawl_failure_is(f, types[i]);
    }
    return may;
}

static bool began(const pw_event *ev)
{
    pw_view begun = pw_body_get(ev->body, "begun");
    return begun.size == 1 && begun.data[0] == 0xc3;
}

/* What was sent and never heard of again may have happened: it is still to be taken back. */
static const pawl_failure *activity_canceled(pw_live *live, bool unknown)
{
    const pawl_failure *cause = NULL;
    if (unknown) {
        cause = pw_failure_new(live->scope, "OutcomeUnknown",
                               "it was sent, and nobody knows what came of it", NULL, false, NULL);
    }
    return pw_failure_new(live->scope, "Canceled", "the activity was cancelled", NULL, false,
                          cause);
}

/* What the event says of its budget; one that says nothing leaves it as it was, but for a new attempt. */
static void budget_says(pw_live *live, const pw_event *ev, pw_cmd *cmd)
{
    pw_view held = pw_body_get(ev->body, "held");
    if (held.size > 0) {
        cmd->held = pawl_bool(pw_value_view(live->scope, held.data, held.size), "ask", false)
                        ? PW_HELD_ASKS
                        : PW_HELD;
    } else if (ev->type == PW_EV_ACTIVITY_RESERVED || ev->type == PW_EV_ACTIVITY_RETRIED ||
               ev->type == PW_EV_MAP_FREED) {
        cmd->held = PW_HELD_NOT;
    }
}

static bool apply_activity(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_ACTIVITY_SCHEDULED) {
        pw_cmd *cmd = cmd_new(live, ev, PW_S_ACTIVITY_NONE);
        if (cmd != NULL) {
            const pw_common *c = pw_body_common(live, ev->body);
            cmd->undo = c->undo.data != NULL
                            ? pw_strndup(live->scope, (const char *)c->undo.data, c->undo.size)
                            : NULL;
            cmd->on_cancel = (pawl_on_cancel)c->on_cancel;
            budget_says(live, ev, cmd);
        }
        return cmd != NULL && step(live->core, &cmd->state, ev->type);
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    bool unknown = cmd != NULL && cmd->state == PW_S_ACTIVITY_UNKNOWN;
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    budget_says(live, ev, cmd);
    switch ((int)ev->type) {
    case PW_EV_ACTIVITY_COMPLETED:
        pw_cmd_end(live, cmd, body_value(live, ev, "result"), NULL);
        break;
    case PW_EV_ACTIVITY_FAILED:
        pw_cmd_end(live, cmd, NULL, body_failure(live, ev));
        cmd->may_have_happened |= cmd->undo != NULL && may_have_happened(live, ev);
        break;
    case PW_EV_ACTIVITY_CANCELED:
        cmd->may_have_happened |= unknown || began(ev);
        pw_cmd_end(live, cmd, NULL, activity_canceled(live, unknown));
        break;
    case PW_EV_ACTIVITY_RETRIED:
        cmd->attempt = pw_body_int(ev->body, "attempt", cmd->attempt) + 1;
        cmd->may_have_happened |=
            cmd->undo != NULL && !unknown &&
            may_have_happened(live, ev); /* (else somebody said that it did not) */
        break;
    case PW_EV_ACTIVITY_CANCEL_REQUESTED:
        cmd->cancel_requested = true;
        break;
    default:
        break;
    }
    return true;
}

static bool apply_step(pw_live *live, const pw_event *ev)
{
    pw_cmd *cmd = cmd_new(live, ev, PW_S_STEP_NONE);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    bool failed = ev->type == PW_EV_STEP_FAILED;
    pw_cmd_end(live, cmd, failed ? NULL : body_value(live, ev, "result"),
               failed ? body_failure(live, ev) : NULL);
    cmd->deliver_turn = live->turn;
    live->stepped = true;
    live->kick = true;
    return true;
}

static bool apply_timer(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_TIMER_STARTED) {
        pw_cmd *cmd = cmd_new(live, ev, PW_S_TIMER_NONE);
        return cmd != NULL && step(live->core, &cmd->state, ev->type);
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    bool fired = ev->type == PW_EV_TIMER_FIRED;
    pw_cmd_end(live, cmd, NULL,
               fired ? NULL
                     : pw_failure_new(live->scope, "Canceled", "the timer was cancelled", NULL,
                                      false, NULL));
    return true;
}

/* The oldest unread signal and the oldest open wait of the same name meet; nothing is lost and the order is kept. */
static bool signal_meet(pw_live *live, pw_cmd *cmd, pw_signal *sig)
{
    if (!step(live->core, &cmd->state, PW_EV_SIGNAL_RECEIVED)) {
        return false;
    }
    pw_cmd_end(live, cmd, sig->value, NULL);
    DL_DELETE(live->signals, sig);
    live->signals_len--;
    return true;
}

static bool apply_signal_received(pw_live *live, const pw_event *ev)
{
    pw_signal *sig = pawl_scope_alloc(live->scope, sizeof *sig);
    if (sig == NULL) {
        return false;
    }
    sig->name = pw_body_str(live->scope, ev->body, "name", "");
    sig->value = body_value(live, ev, "value");
    sig->body = ev->body;
    sig->seq = ev->seq;
    DL_APPEND(live->signals, sig);
    live->signals_len++;
    pw_cmd *cmd;
    DL_FOREACH (live->open, cmd) {
        if (cmd->state == PW_S_SIGNAL_AWAITED && strcmp(cmd->name, sig->name) == 0) {
            pw_effects_timer_clear(live, cmd, PW_T_SIGNAL);
            return signal_meet(live, cmd, sig);
        }
    }
    return true;
}

static bool apply_signal_awaited(pw_live *live, const pw_event *ev)
{
    pw_cmd *cmd = cmd_new(live, ev, PW_S_SIGNAL_NONE);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    pw_signal *sig;
    DL_FOREACH (live->signals, sig) {
        if (strcmp(sig->name, cmd->name) == 0) {
            return signal_meet(live, cmd, sig);
        }
    }
    return true;
}

static bool apply_signal(pw_live *live, const pw_event *ev)
{
    switch ((int)ev->type) {
    case PW_EV_SIGNAL_RECEIVED:
        return apply_signal_received(live, ev);
    case PW_EV_SIGNAL_AWAITED:
        return apply_signal_awaited(live, ev);
    case PW_EV_SIGNAL_SENT: {
        pw_cmd *sent = cmd_new(live, ev, PW_S_COUNT);
        if (sent != NULL) {
            sent->future.done = true;
        }
        return sent != NULL;
    }
    default:
        break;
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    bool timed_out = ev->type == PW_EV_SIGNAL_TIMED_OUT;
    cmd->future.timed_out = timed_out;
    pw_cmd_end(live, cmd, NULL,
               timed_out ? NULL
                         : pw_failure_new(live->scope, "Canceled",
                                          "the wait for a signal was dropped", NULL, false, NULL));
    return true;
}

static bool apply_child(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_CHILD_STARTED) {
        pw_cmd *cmd = cmd_new(live, ev, PW_S_CHILD_NONE);
        return cmd != NULL && step(live->core, &cmd->state, ev->type);
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    if (ev->type == PW_EV_CHILD_CANCEL_REQUESTED) {
        cmd->cancel_requested = true;
        return true;
    }
    if (ev->type == PW_EV_CHILD_COMPLETED) {
        pw_cmd_end(live, cmd, body_value(live, ev, "result"), NULL);
        return true;
    }
    const pawl_failure *cause = body_failure(live, ev);
    bool canceled = ev->type == PW_EV_CHILD_CANCELED;
    pw_cmd_end(live, cmd, NULL,
               pw_failure_new(live->scope, canceled ? "ChildCanceled" : "ChildFailed", cmd->name,
                              NULL, false, cause));
    return true;
}

static bool apply_map(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_MAP_SCHEDULED) {
        pw_cmd *cmd = cmd_new(live, ev, PW_S_MAP_NONE);
        return cmd != NULL && step(live->core, &cmd->state, ev->type);
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    switch ((int)ev->type) {
    case PW_EV_MAP_COMPLETED:
        pw_cmd_end(live, cmd, NULL, NULL);
        break;
    case PW_EV_MAP_FAILED:
        pw_cmd_end(live, cmd, NULL, body_failure(live, ev));
        break;
    case PW_EV_MAP_CANCELED:
        pw_cmd_end(
            live, cmd, NULL,
            pw_failure_new(live->scope, "Canceled", "the map was cancelled", NULL, false, NULL));
        break;
    case PW_EV_MAP_HELD:
    case PW_EV_MAP_FREED:
        budget_says(live, ev, cmd);
        break;
    default:
        cmd->cancel_requested = true;
        break;
    }
    return true;
}

/* Keys that came with later versions are there only when they say something: what was answered before reads as it did. */
static const pawl_value *with_text(pw_live *live, const pawl_value *v, const char *key,
                                   pw_view body)
{
    const char *text = pw_body_str(live->scope, body, key, NULL);
    return text != NULL ? pawl_with(live->scope, v, key, pawl_make_str(live->scope, text)) : v;
}

/* Who said what, without the data: that of those who decided is the answer's. */
static const pawl_value *votes_value(pw_live *live, pw_view body)
{
    pw_view raw = pw_body_get(body, "votes");
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    size_t len = raw.size > 0 ? pw_mp_read_array(&r) : 0;
    const pawl_value *votes[PW_VOTES_MAX];
    size_t n = 0;
    for (; n < len && n < PW_VOTES_MAX && pw_mp_ok(&r); n++) {
        pw_view one = pw_mp_read_raw(&r);
        const pawl_value *v = pawl_build(live->scope, "{by: %s, at_ms: %lld}",
                                         pw_body_str(live->scope, one, "by", ""),
                                         (long long)pw_body_int(one, "at_ms", 0));
        v = with_text(live, v, "choice", one);
        v = with_text(live, v, "as", one);
        votes[n] = with_text(live, v, "reason", one);
    }
    return n > 0 ? pawl_make_array(live->scope, votes, n) : NULL;
}

static const pawl_value *answer_value(pw_live *live, const pw_event *ev, const pw_cmd *cmd,
                                      bool expired)
{
    const pawl_value *v = pawl_build(
        live->scope, "{choice: %s, data: %p, by: %s, at_ms: %lld}",
        pw_body_str(live->scope, ev->body, "choice", NULL), pawl_v(body_value(live, ev, "data")),
        expired ? "deadline" : pw_body_str(live->scope, ev->body, "by", ""),
        (long long)pw_body_int(ev->body, "at_ms", live->now_ms));
    v = with_text(live, v, "as", ev->body);
    v = with_text(live, v, "reason", ev->body);
    const pawl_value *votes = votes_value(live, cmd->body);
    return votes != NULL ? pawl_with(live->scope, v, "votes", votes) : v;
}

/* It stays open, and knows more. */
static bool apply_said(pw_live *live, const pw_event *ev, pw_cmd *cmd)
{
    pw_view next = pw_ballot_next(live->scope, cmd->body, ev);
    if (next.size == 0) {
        return false;
    }
    cmd->body = next;
    cmd->due_ms = pw_body_int(next, "due_ms", 0);
    return true;
}

static bool apply_wait(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_WAIT_CREATED) {
        pw_cmd *cmd = cmd_new(live, ev, PW_S_WAIT_NONE);
        return cmd != NULL && step(live->core, &cmd->state, ev->type);
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    if (cmd->state == PW_S_WAIT_CREATED) {
        return apply_said(live, ev, cmd);
    }
    if (ev->type == PW_EV_WAIT_CANCELED) {
        pw_cmd_end(live, cmd, NULL,
                   pw_failure_new(live->scope, "Canceled", "the question was withdrawn", NULL,
                                  false, NULL));
        return true;
    }
    bool expired = ev->type == PW_EV_WAIT_EXPIRED;
    if (expired && pw_body_get(ev->body, "choice").size == 0) {
        cmd->future.timed_out = true;
        pw_cmd_end(live, cmd, NULL,
                   pw_failure_new(live->scope, "DeadlineExceeded", cmd->name, NULL, false, NULL));
        return true;
    }
    cmd->future.timed_out = expired;
    pw_cmd_end(live, cmd, answer_value(live, ev, cmd, expired), NULL);
    return true;
}

static bool apply_shield(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_SHIELD_ENTERED) {
        pw_cmd *cmd = cmd_new(live, ev, PW_S_SHIELD_NONE);
        return cmd != NULL && step(live->core, &cmd->state, ev->type);
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    if (ev->type == PW_EV_SHIELD_LEFT) {
        pw_cmd_end(live, cmd, NULL, NULL);
    }
    return true;
}

static bool apply_memory(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_MEMORY_SEARCHED) {
        pw_cmd *cmd = cmd_new(live, ev, PW_S_MEMORY_NONE);
        return cmd != NULL && step(live->core, &cmd->state, ev->type);
    }
    pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    if (cmd == NULL || !step(live->core, &cmd->state, ev->type)) {
        return false;
    }
    bool failed = pw_body_get(ev->body, "failure").size > 0;
    pw_cmd_end(live, cmd, failed ? NULL : body_value(live, ev, "result"),
               failed ? body_failure(live, ev) : NULL);
    return true;
}

static bool apply_plain(pw_live *live, const pw_event *ev)
{
    pw_cmd *cmd = cmd_new(live, ev, PW_S_COUNT);
    if (cmd != NULL) {
        cmd->future.done = true;
    }
    return cmd != NULL;
}

static bool dispatch(pw_live *live, const pw_event *ev)
{
    if (ev->type < PW_EV_ACTIVITY_SCHEDULED) {
        return apply_run(live, ev);
    }
    if (!live->whole) {
        return true; /* a shell only keeps what came; the code's state is built from the journal later */
    }
    switch (ev->type / 10) {
    case 2:
        return apply_activity(live, ev);
    case 3:
        return apply_step(live, ev);
    case 4:
        return apply_timer(live, ev);
    case 5:
        return apply_signal(live, ev);
    case 6:
        return apply_child(live, ev);
    case 7:
        return apply_map(live, ev);
    case 8:
        return apply_wait(live, ev);
    case 11:
        return ev->type >= PW_EV_MEMORY_SEARCHED ? apply_memory(live, ev) : apply_plain(live, ev);
    default:
        return ev->type >= PW_EV_SHIELD_ENTERED && ev->type <= PW_EV_SHIELD_LEFT
                   ? apply_shield(live, ev)
                   : apply_plain(live, ev);
    }
}

bool pw_apply(pw_live *live, const pw_event *ev)
{
    live->seq = ev->seq;
    if (!dispatch(live, ev)) {
        return false;
    }
    if (live->whole && live->def != NULL && live->def->folded.apply != NULL) {
        return pw_fold_event(live, ev, pw_cmd_find(live, ev->cmd));
    }
    return true;
}
