/*
 * fold.c - folded workflows: state is built by applying events, from the last snapshot; decide issues commands and never runs in recovery.
 *
 * A snapshot holds the workflow's own state and, beside it, the engine's: open commands (as the events that made them), unread signals,
 * counters. So recovery costs what came since, whatever the length of history.
 */
#include <stdio.h>
#include <string.h>

#include "engine/bugs.h"
#include "engine/options.h"
#include "engine/wf.h"

struct pawl_fold {
    pw_live *live;
    pawl_run *w;
};

/* ---- applying ---- */

static const char *name_of(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    const char *own = pw_body_str(live->scope, ev->body, "name", NULL);
    if (own != NULL) {
        return own;
    }
    return cmd != NULL ? cmd->name : pw_body_str(live->scope, ev->body, "workflow", "");
}

/* Of a map. One that cannot be read drops the turn, or pauses the run when its state is being rebuilt. */
static const pawl_value *results_of(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    pawl_error err;
    const pawl_value *v = pw_map_results(live, cmd, pw_body_int(ev->body, "total", 0), &err);
    if (v == NULL && live->batch != NULL) {
        live->batch->failed = true;
    } else if (v == NULL &&
               err.status ==
                   PAWL_DAMAGED) { /* (else the scope has failed, and it is tried again) */
        pw_replay_fail(live, "damage", ev, pw_strdup(live->scope, err.message));
    }
    return v;
}

static const pawl_value *value_of(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    static const char *const keys[] = {"result", "input", "value"};
    if (ev->type == PW_EV_WAIT_ANSWERED || ev->type == PW_EV_WAIT_EXPIRED) {
        return cmd != NULL ? cmd->future.value : NULL;
    }
    if (ev->type >= PW_EV_WAIT_VOTED && ev->type <= PW_EV_WAIT_ESCALATED) {
        const pawl_value *said = pw_value_view(live->scope, ev->body.data, ev->body.size);
        const pawl_value *data = pw_body_value(live->core, live->scope, ev->body, "data");
        return data != NULL ? pawl_with(live->scope, said, "data", data) : said;
    }
    if (ev->type == PW_EV_MAP_COMPLETED && cmd != NULL) {
        return results_of(live, ev, cmd);
    }
    for (size_t i = 0; i < PW_COUNT(keys); i++) {
        if (pw_body_get(ev->body, keys[i]).size > 0) {
            return pw_body_value(live->core, live->scope, ev->body, keys[i]);
        }
    }
    return NULL;
}

static void tell_state(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    pawl_fold_event fe = {.type = pw_event_name((int)ev->type),
                          .seq = ev->seq,
                          .command = ev->cmd,
                          .now_ms = live->now_ms,
                          .name = name_of(live, ev, cmd),
                          .value = value_of(live, ev, cmd)};
    const pawl_value *f = pw_body_value(live->core, live->scope, ev->body, "failure");
    fe.failure = pw_failure_read(live->scope, f, 0);
    if (pw_turn_lost(live)) {
        return;
    }
    pw_code_enter(live);
    live->def->folded.apply(live->fold_state, &fe);
    pw_code_leave(live);
}

bool pw_fold_event(pw_live *live, const pw_event *ev, pw_cmd *cmd)
{
    if (live->fold_state == NULL) {
        return false;
    }
    if (live->deciding) { /* commands of decide are seen by the state once decide is done */
        pw_late_event *late = pawl_scope_alloc(live->scope, sizeof *late);
        if (late == NULL) {
            return false;
        }
        late->ev = *ev;
        LL_APPEND(live->late, late);
        return true;
    }
    tell_state(live, ev, cmd);
    return true;
}

void pw_fold_decide(pw_live *live)
{
    if (pw_turn_lost(live) || (live->branches == NULL && pw_branch_new(live, NULL, NULL) == NULL)) {
        return;
    }
    pawl_fold f = {live, live->branches};
    live->deciding = true;
    pw_code_enter(live);
    live->def->folded.decide(live->fold_state, &f);
    pw_code_leave(live);
    live->deciding = false;
    while (live->late != NULL && !pw_turn_lost(live)) {
        pw_late_event *late = live->late;
        LL_DELETE(live->late, late);
        tell_state(live, &late->ev, pw_cmd_find(live, late->ev.cmd));
    }
    if ((live->closing || live->abandoned) && pw_live_open_status(live) &&
        !pw_turn_lost(live)) { /* abandoned: it asked for too much */
        pw_close_run(live);
    }
}

/* ---- commands ---- */

#define BY(call) (&(pw_asker){"fold_" call, NULL, 0})

/* What was refused is told to people; decide is told by what it gets. */
static void tell(pawl_fold *f)
{
    if (f->w->failure != NULL) {
        pw_core_log(f->live->core, PAWL_ERROR, f->live->id, 0, "refused: %s",
                    f->w->failure->message);
    }
    f->w->failure = NULL;
}

/* Every command comes here, with whether its options may be so. */
static int64_t ask(pawl_fold *f, bool ok, const pw_ask *a)
{
    pw_cmd *cmd = ok && !f->live->closing && !f->live->abandoned ? pw_command(f->w, a) : NULL;
    tell(f);
    return cmd != NULL ? cmd->id : 0;
}

/* Nothing takes back what a state machine asked for, but itself. */
static bool no_undo(pawl_fold *f, const pawl_call_options *o)
{
    if (o->undo == NULL || o->undo[0] == 0) {
        return true;
    }
    (void)pawl_fail(
        f->w, "BadOption",
        "pawl_fold_call \"%s\": undo is for code workflows: remember what completed in the state, and "
        "call what takes it back before pawl_fold_fail",
        o->name);
    return false;
}

int64_t pawl_fold_call(pawl_fold *f, const pawl_call_options *options, size_t options_size)
{
    pawl_call_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    pw_ask a = {.type = PW_EV_ACTIVITY_SCHEDULED,
                .name = o.name,
                .input = o.input,
                .has_input = true,
                .body = pw_call_fields,
                .arg = &o};
    return ask(f, pw_call_ok(f->w, &o, BY("call")) && no_undo(f, &o), &a);
}

int64_t pawl_fold_map(pawl_fold *f, const pawl_map_options *options, size_t options_size)
{
    pawl_map_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    pw_ask a = {.type = PW_EV_MAP_SCHEDULED,
                .name = o.name,
                .input = o.items,
                .has_input = true,
                .body = pw_map_fields,
                .arg = &o};
    return ask(f, pw_map_ok(f->w, &o, BY("map")), &a);
}

static void due_body(pw_emit *e, const void *arg)
{
    pw_emit_int(e, "due_ms", *(const int64_t *)arg);
}

int64_t pawl_fold_timer(pawl_fold *f, double seconds)
{
    int64_t due = f->live->now_ms + pw_seconds_ms(seconds);
    pw_ask a = {.type = PW_EV_TIMER_STARTED, .body = due_body, .arg = &due};
    return ask(f, pw_seconds_ok(f->w, seconds, BY("timer")), &a);
}

int64_t pawl_fold_child(pawl_fold *f, const pawl_child_options *options, size_t options_size)
{
    pawl_child_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    pw_ask a = {.type = PW_EV_CHILD_STARTED,
                .name = o.workflow,
                .input = o.input,
                .has_input = true,
                .body = pw_child_fields,
                .arg = &o};
    return ask(f, pw_child_ok(f->w, &o, BY("child")), &a);
}

int64_t pawl_fold_ask(pawl_fold *f, const pawl_ask_options *options, size_t options_size)
{
    pawl_ask_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    pw_ask_fields_arg arg = {&o, f->live->now_ms};
    pw_ask a = {.type = PW_EV_WAIT_CREATED, .name = o.name, .body = pw_ask_fields, .arg = &arg};
    return ask(f, pw_ask_ok(f->w, &o, BY("ask")), &a);
}

void pawl_fold_cancel(pawl_fold *f, int64_t command)
{
    pw_cmd_cancel(f->w, pw_cmd_find(f->live, command));
}

void pawl_fold_set(pawl_fold *f, const char *key, const pawl_value *value)
{
    pw_letter arg = {NULL, key, value};
    pw_ask a = {.type = PW_EV_KEY_SET, .name = key, .body = pw_letter_fields, .arg = &arg};
    (void)ask(f, pw_set_ok(f->w, key, value, BY("set")), &a);
}

void pawl_fold_signal_send(pawl_fold *f, const char *run_id, const char *name,
                           const pawl_value *value)
{
    pw_letter arg = {run_id, name, value};
    pw_ask a = {.type = PW_EV_SIGNAL_SENT, .name = name, .body = pw_letter_fields, .arg = &arg};
    (void)ask(f, pw_signal_send_ok(f->w, &arg, BY("signal_send")), &a);
}

const pawl_value *pawl_fold_convo_append(pawl_fold *f, const pawl_value *convo,
                                         const pawl_value *messages)
{
    if (f->live->closing || f->live->abandoned) {
        return NULL;
    }
    const pawl_value *next = pw_convo_append(f->w, convo, messages, BY("convo_append"));
    tell(f);
    return next;
}

const pawl_value *pawl_fold_convo_read(pawl_fold *f, const pawl_value *convo, int64_t from)
{
    const pawl_value *messages = pawl_convo_read(f->w, convo, from);
    tell(f);
    return messages;
}

void pawl_fold_progress(pawl_fold *f, int64_t done, int64_t total, const char *text)
{
    f->w->failure = NULL;
    pawl_progress(f->w, done, total, text);
}

void pawl_fold_complete(pawl_fold *f, const pawl_value *result)
{
    f->live->result = result;
    f->live->closing = true;
}

void pawl_fold_fail(pawl_fold *f, const char *type, const char *fmt, ...)
{
    char text[PW_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    f->live->final_failure = pw_failure_new(f->live->scope, type, text, NULL, false, NULL);
    f->live->closing = true;
}

void pawl_fold_canceled(pawl_fold *f)
{
    f->live->cancel_requested = true;
    pawl_fold_fail(f, "Canceled", "%s",
                   f->live->cancel_reason != NULL ? f->live->cancel_reason : "");
}

void pawl_fold_continue_as_new(pawl_fold *f, const pawl_value *input)
{
    f->live->continued = true;
    f->live->continue_input = input;
    f->live->closing = true;
}

int64_t pawl_fold_now_ms(const pawl_fold *f)
{
    return f->live->now_ms;
}

uint64_t pawl_fold_random(pawl_fold *f)
{
    return pawl_random(f->w);
}

const char *pawl_fold_run_id(const pawl_fold *f)
{
    return f->live->id;
}

pawl_scope *pawl_fold_scope(pawl_fold *f)
{
    return f->live->scope;
}

/* ---- snapshots: [version, user state, engine state] ---- */

static void save_cmds(pw_live *live, pw_buf *b)
{
    size_t n = 0;
    const pw_cmd *cmd;
    DL_FOREACH (live->open, cmd) {
        n++;
    }
    pw_mp_array(b, n);
    DL_FOREACH (live->open, cmd) {
        pw_mp_array(b, 7);
        pw_mp_int(b, cmd->id);
        pw_mp_int(b, (int64_t)cmd->state);
        pw_mp_int(b, cmd->seq);
        pw_mp_int(b, cmd->since_ms);
        pw_mp_bool(b, cmd->cancel_requested);
        pw_buf_put(b, cmd->body.data, cmd->body.size);
        pw_mp_int(b, cmd->attempt);
    }
    pw_mp_array(b, live->signals_len);
    const pw_signal *sig;
    DL_FOREACH (live->signals, sig) {
        pw_buf_put(b, sig->body.data, sig->body.size);
    }
}

void pw_fold_snapshot(pw_live *live)
{
    bool due = live->seq - live->snapshot_seq >= PW_SNAPSHOT_EVENTS;
    if (!due || live->def->folded.save == NULL || live->tx != NULL ||
        live->state != PW_S_RUN_RUNNING) { /* as load_snapshot takes it */
        return;
    }
    pw_buf *b = pw_batch_buf(live->batch);
    pw_code_enter(live);
    const pawl_value *state = live->def->folded.save(live->fold_state, live->scope);
    pw_code_leave(live);
    pw_mp_array(b, 13);
    pw_mp_int(b, 1);
    pw_mp_value(b, state);
    pw_mp_int(b, live->turn);
    pw_mp_int(b, live->next_cmd);
    pw_mp_uint(b, live->seed);
    pw_mp_uint(b, live->draws);
    pw_mp_bool(b, live->cancel_requested);
    pw_mp_int(b, live->parent_key);
    pw_mp_int(b, live->parent_cmd);
    pw_mp_int(b, live->run_deadline_ms);
    save_cmds(live, b);
    pw_mp_str(b, live->started_by != NULL ? live->started_by : "");
    if (pw_turn_lost(live) ||
        !pw_buf_ok(b)) { /* it may come later, and must not be of half a state */
        return;
    }
    pw_op *op = pw_batch_op(live->batch, PW_OP_SNAPSHOT_PUT);
    op->u.snapshot.run = live->key;
    op->u.snapshot.seq = live->seq + PW_BUG_SNAPSHOT_TOO_NEW;
    op->u.snapshot.body = (pw_view){b->data, b->size};
    live->snapshot_seq = live->seq;
}

static bool load_cmd(pw_live *live, pw_mp *r)
{
    size_t fields = pw_mp_read_array(r);
    if (fields != 6 && fields != 7) {
        return false;
    }
    pw_event ev = {.cmd = pw_mp_read_int(r)};
    pw_state state = (pw_state)pw_mp_read_int(r);
    ev.seq = pw_mp_read_int(r);
    int64_t since = pw_mp_read_int(r);
    bool canceled = pw_mp_read_bool(r);
    ev.body = pw_mp_read_raw(r);
    int64_t attempt = fields == 7 ? pw_mp_read_int(r) : 1; /* older snapshots are without */
    if (!pw_mp_ok(r) || (size_t)state >= PW_S_COUNT || !pw_cmd_restore(live, &ev, state)) {
        return false;
    }
    pw_cmd *cmd = pw_cmd_find(live, ev.cmd);
    cmd->since_ms = since;
    cmd->attempt = attempt;
    cmd->cancel_requested = canceled;
    return true;
}

static bool load_signals(pw_live *live, pw_mp *r)
{
    size_t n = pw_mp_read_array(r);
    for (size_t i = 0; i < n; i++) {
        pw_signal *sig = pawl_scope_alloc(live->scope, sizeof *sig);
        if (sig == NULL) {
            return false;
        }
        sig->body = pw_mp_read_raw(r);
        sig->name = pw_body_str(live->scope, sig->body, "name", "");
        sig->value = pw_body_value(live->core, live->scope, sig->body, "value");
        DL_APPEND(live->signals, sig);
        live->signals_len++;
    }
    return pw_mp_ok(r);
}

static bool load_engine(pw_live *live, pw_mp *r)
{
    live->turn = pw_mp_read_int(r);
    int64_t next_cmd = pw_mp_read_int(r);
    live->seed = pw_mp_read_uint(r);
    live->draws = pw_mp_read_uint(r);
    live->cancel_requested = pw_mp_read_bool(r);
    live->parent_key = pw_mp_read_int(r);
    live->parent_cmd = pw_mp_read_int(r);
    live->run_deadline_ms = pw_mp_read_int(r);
    size_t n = pw_mp_read_array(r);
    for (size_t i = 0; i < n; i++) {
        if (!load_cmd(live, r)) {
            return false;
        }
    }
    return load_signals(live, r) && pw_cmd_skip_to(live, next_cmd);
}

void pw_fold_init(pw_live *live)
{
    pw_code_enter(live);
    live->fold_state = live->def->folded.init(live->def->folded.user);
    pw_code_leave(live);
}

static pawl_status load_snapshot(pw_live *live, pawl_error *err)
{
    const pawl_folded *ops = &live->def->folded;
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    int64_t seq = 0;
    pawl_status st = PAWL_NOTFOUND;
    if (ops->load != NULL) {
        st = live->core->jops->snapshot(live->core->reader, live->key, &seq, &body, err);
    }
    bool none = st == PAWL_NOTFOUND || (st == PAWL_OK && body.size == 0);
    if (none ||
        (st == PAWL_OK &&
         pw_replay_void(live, seq))) { /* taken of what no longer counts: all of history is read */
        pw_fold_init(live);
        return live->fold_state != NULL ? PAWL_OK
                                        : pw_err(err, PAWL_NOMEM, "no memory for the state");
    }
    if (st != PAWL_OK) {
        return st;
    }
    void *copy = pw_memdup(live->scope, body.data, body.size);
    pw_mp r = pw_mp_reader(copy, copy != NULL ? body.size : 0);
    size_t fields = pw_mp_read_array(&r);
    if ((fields != 12 && fields != 13) || pw_mp_read_int(&r) != 1) {
        return pw_err(err, PAWL_DAMAGED, "a snapshot is not well formed");
    }
    pw_view state = pw_mp_read_raw(&r);
    pw_code_enter(live);
    live->fold_state = ops->load(pw_value_view(live->scope, state.data, state.size), ops->user);
    pw_code_leave(live);
    bool ok = live->fold_state != NULL && load_engine(live, &r);
    if (ok && fields == 13) { /* older snapshots are without */
        pw_view by = pw_mp_read_str(&r);
        live->started_by = pw_strndup(live->scope, (const char *)by.data, by.size);
    }
    if (!ok || !pw_mp_ok(&r)) {
        return pw_err(err, PAWL_DAMAGED, "a snapshot cannot be loaded");
    }
    live->seq = seq;
    live->snapshot_seq = seq;
    live->state = PW_S_RUN_RUNNING;
    return PAWL_OK;
}

static bool fold_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    pw_live *live = ctx;
    if (first_seq + events <= live->snapshot_seq) {
        return true;
    }
    pw_record rec;
    pawl_error err;
    void *copy = pw_memdup(live->scope, record.data, record.size);
    if (copy == NULL || pw_record_open(copy, record.size, &rec, &err) != PAWL_OK) {
        return false;
    }
    live->now_ms = rec.now_ms;
    live->turn++;
    live->kick =
        (rec.flags & PW_RECORD_INPUT_ONLY) != 0; /* what came has still to be seen by the code */
    live->left_timers |= live->kick;
    pw_event ev = {.seq = first_seq + 1};
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        if (pw_replay_void(live, ev.seq)) {
            continue;
        }
        if (!pw_replay_retried(live, &ev)) {
            return false;
        }
        live->core->stats.replayed_events++;
        if (!pw_apply(live, &ev)) {
            pw_replay_fail(live, "damage", &ev, "no such transition");
            return false;
        }
    }
    return true;
}

static void begin_load(pw_live *live)
{
    pw_live_reset(live);
    live->whole = true;
    live->replaying = true;
    live->restart = false;
    live->state = PW_S_RUN_NONE;
    live->seq = 0;
    live->snapshot_seq = 0;
    live->next_cmd = 1;
}

pawl_status pw_fold_load(pw_live *live, pawl_error *err)
{
    bool kick = live->kick;
    pawl_status st;
    do {
        begin_load(live);
        st = load_snapshot(live, err);
        if (st == PAWL_OK) {
            st = live->core->jops->read(live->core->reader, live->key, live->snapshot_seq,
                                        fold_record, live, err);
        }
    } while (st == PAWL_OK && live->restart);
    live->kick |= kick;
    return st;
}
