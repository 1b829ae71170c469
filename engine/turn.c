/*
 * turn.c - one engine step of one run: apply what came, resume the code, collect what it asked for, hand it to the group.
 *
 * Order within a turn: inputs in the order they came; then branches in creation order, again and again until none can go on; then at
 * most one transactional step; then, if the main branch returned, the end of the run. The run is frozen until the ack [E2].
 */
#include <stdio.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/misuse.h"
#include "engine/shell.h"

_Thread_local bool pw_in_workflow;
_Thread_local pawl_run *pw_running;

bool pw_core_in_workflow(void)
{
    return pw_in_workflow;
}

/* Something found no memory: what the turn has made so far cannot be trusted [E8]. */
bool pw_turn_lost(const pw_live *live)
{
    return pw_scope_failed(live->scope) || (live->record != NULL && live->record->failed) ||
           (live->batch != NULL && pw_batch_lost(live->batch));
}

/* ---- resuming ---- */

static bool can_go(pawl_run *w)
{
    if (w->finished) {
        return false;
    }
    return w->ready == NULL || w->ready(w, w->ready_arg) || (w->wait_cancelable && pw_canceled(w));
}

static size_t put_text(char *site, size_t at, const char *text, size_t max)
{
    size_t size = strnlen(text, max);
    memcpy(site + at, text, size);
    return at + size;
}

/* "order-17 in checkout: step charge": names the run even when its first turn, which would be its first row, never ends. */
void pw_code_site(const pw_live *live, const char *what, const char *name,
                  char ret_site[PW_CRUMB_SITE_BYTES])
{
    size_t at = put_text(ret_site, 0, live->id, 40);
    at = put_text(ret_site, at, " in ", 4);
    at = put_text(ret_site, at, live->def != NULL ? live->def->name : "", 30);
    if (what != NULL) {
        at = put_text(ret_site, at, ": ", 2);
        at = put_text(ret_site, at, what, 10);
        at = put_text(ret_site, at, " ", 1);
        at = put_text(ret_site, at, name, 40);
    }
    ret_site[at] = '\0';
}

void pw_code_at(const pw_live *live, const char *what, const char *name)
{
    pw_core *core = live->core;
    if (core->options.crumb != NULL) {
        char site[PW_CRUMB_SITE_BYTES];
        pw_code_site(live, what, name, site);
        pw_crumb_enter(core->options.crumb, PW_CRUMB_LOOP, live->key, site,
                       core->env.mono_ns(core->env.ctx));
    }
}

void pw_code_enter(const pw_live *live)
{
    pw_in_workflow = true;
    pw_running = live->def != NULL && live->def->folded.apply != NULL ? live->branches : NULL;
    pw_code_at(live, NULL, NULL);
}

void pw_code_leave(const pw_live *live)
{
    if (live->core->options.crumb != NULL) {
        pw_crumb_leave(live->core->options.crumb, PW_CRUMB_LOOP);
    }
    pw_in_workflow = false;
    pw_running = NULL;
}

/* What has returned needs no stack any more, and the next run takes it warm; unless somebody may still be shown a local of it. */
static void give_stack_back(pawl_run *w)
{
    if (w->live->handlers == NULL && w->live->unwinds == NULL) {
        pw_branch_stack_free(w);
    }
}

static void resume_one(pawl_run *w)
{
    w->ready = NULL;
    pw_code_enter(w->live);
    pw_running = w;
    bool more = pw_fiber_resume(w->fiber);
    pw_code_leave(w->live);
    if (!more) {
        w->finished = true;
        give_stack_back(w);
    }
}

void pw_turn_resume(pw_live *live)
{
    if (live->def->folded.apply != NULL) {
        if (!live->replaying) {
            pw_fold_decide(live);
        }
        return;
    }
    bool again = true;
    while (again && !live->closing && !live->abandoned) {
        again = false;
        pawl_run *w;
        DL_FOREACH (live->branches, w) {
            if (live->closing || live->abandoned || !can_go(w)) {
                continue;
            }
            resume_one(w);
            again = true;
        }
    }
    if (pw_turn_lost(live)) {
        return;
    }
    pw_tx_take(live);
    if (live->mismatch == NULL && (live->closing || live->abandoned)) {
        pw_close_run(live);
    }
}

/* ---- the end of a run ---- */

typedef struct close_arg {
    pw_live *live;
    const pawl_failure *failure;
    int64_t failed_cmd;
} close_arg;

static void close_body(pw_emit *e, const close_arg *a, pw_event_type type)
{
    if (type == PW_EV_RUN_COMPLETED) {
        pw_emit_value(e, "result", pw_value_bytes(a->live->result));
    } else if (type == PW_EV_RUN_CONTINUED) {
        pw_emit_value(e, "input", pw_value_bytes(a->live->continue_input));
        pw_emit_int(e, "next", a->live->core->next_key);
    } else {
        pw_emit_failure(e, "failure", a->failure);
        pw_emit_opt(e, "command", a->failed_cmd);
    }
    pw_emit_opt(e, "unread", (int64_t)a->live->signals_len);
}

static pw_event_type close_type(const pw_live *live)
{
    const pawl_failure *f = live->final_failure;
    if (f != NULL) {
        return live->cancel_requested && strcmp(f->type, "Canceled") == 0 ? PW_EV_RUN_CANCELED
                                                                          : PW_EV_RUN_FAILED;
    }
    return live->continued ? PW_EV_RUN_CONTINUED : PW_EV_RUN_COMPLETED;
}

void pw_close_run(pw_live *live)
{
    pw_event_type type = close_type(live);
    close_arg arg = {live, live->final_failure,
                     live->branches != NULL ? live->branches->failed_cmd : 0};
    if (live->replaying) {
        pw_event ev;
        if (!pw_replay_match(
                live, &(pw_asked){.type = type, .file = live->last_file, .line = live->last_line},
                &ev)) {
            return;
        }
        live->core->stats.replayed_events++;
        if (!pw_apply(live, &ev)) {
            pw_replay_fail(live, "damage", &ev, "no such transition");
        }
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_at(&e, live->last_file, live->last_line);
    close_body(&e, &arg, type);
    (void)pw_emit_end(&e, type, 0);
}

/* ---- a live turn ---- */

static void note_drift(pw_live *live)
{
    for (const pw_drift *d = live->drift; d != NULL; d = d->next) {
        pw_emit e;
        pw_emit_begin(&e, live);
        pw_emit_int(&e, "of", d->cmd);
        pw_emit_str(&e, "name", d->name);
        pw_emit_uint(&e, "history", d->history);
        pw_emit_uint(&e, "code", d->code);
        pw_emit_str(&e, "at", d->at);
        pw_emit_str(&e, "was_at", d->was_at);
        (void)pw_emit_end(&e, PW_EV_DRIFT_NOTED, 0);
        pw_core_log(
            live->core, PAWL_INFO, live->id, d->cmd,
            "the input of \"%s\" differs under this build (code: %s, history: %s); the journaled "
            "result counts",
            d->name, d->at, d->was_at);
    }
    live->drift = NULL;
}

static void pause_mismatch(pw_live *live)
{
    const pw_mismatch *m = live->mismatch;
    pw_core_log(live->core, PAWL_ERROR, live->id, m->cmd,
                "paused: the code does not match the history (%s): history has %s, code has %s",
                m->reason, m->history, m->code);
    PW_CLEANUP(pw_buf_deinit) pw_buf report = PW_BUF_INIT;
    pw_mp_map(&report, 5);
    pw_mp_str(&report, "reason");
    pw_mp_str(&report, m->reason);
    pw_mp_str(&report, "seq");
    pw_mp_int(&report, m->seq);
    pw_mp_str(&report, "command");
    pw_mp_int(&report, m->cmd);
    pw_mp_str(&report, "history");
    pw_mp_str(&report, m->history);
    pw_mp_str(&report, "code");
    pw_mp_str(&report, m->code);
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "reason", "nondeterminism");
    pw_emit_value(&e, "report", (pw_view){report.data, report.size});
    (void)pw_emit_end(&e, PW_EV_RUN_PAUSED, 0);
}

/* Its code ended the process too often. Without loading it: that alone may be what kills. */
static void pause_crashed(pw_live *live)
{
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "reason", "crashed");
    pw_emit_str(&e, "text", "its code ended the process three times; mend it and resume");
    (void)pw_emit_end(&e, PW_EV_RUN_PAUSED, 0);
}

/* A step of it needs a budget that is damaged: what the turn had done is dropped, and comes again when it is mended and resumed. */
static void pause_unfunded(pw_live *live)
{
    live->unfunded = false;
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "reason", PW_BUDGET_UNFUNDED);
    (void)pw_emit_end(&e, PW_EV_RUN_PAUSED, 0);
}

static void put_record(pw_live *live, pw_buf *out, uint32_t flags)
{
    pw_mp_array(out, 5);
    pw_mp_int(out, PW_RECORD_VERSION);
    pw_mp_uint(out, flags);
    pw_mp_int(out, live->now_ms);
    pw_mp_uint(out, pw_live_build(live));
    pw_mp_array(out, (size_t)live->record_events);
    pw_buf_put(out, live->record->data, live->record->size);
}

static int status_of(pw_state state)
{
    static const struct {
        pw_state state;
        int status;
    } map[] = {
        {PW_S_RUN_RUNNING, PW_RUN_RUNNING},     {PW_S_RUN_PAUSED, PW_RUN_PAUSED},
        {PW_S_RUN_COMPLETED, PW_RUN_COMPLETED}, {PW_S_RUN_FAILED, PW_RUN_FAILED},
        {PW_S_RUN_CANCELED, PW_RUN_CANCELED},   {PW_S_RUN_TERMINATED, PW_RUN_TERMINATED},
        {PW_S_RUN_CONTINUED, PW_RUN_CONTINUED}, {PW_S_RUN_TIMED_OUT, PW_RUN_TIMED_OUT},
    };
    for (size_t i = 0; i < PW_COUNT(map); i++) {
        if (map[i].state == state) {
            return map[i].status;
        }
    }
    return PW_RUN_RUNNING;
}

/* In the run's own scope: once the turn has landed the row is taken as it is, and needs no memory. */
static pw_view text_of(pw_live *live, pw_view before, const char *text)
{
    if (pw_view_is(before, text)) {
        return before;
    }
    const char *copy = pw_strdup(live->scope, text);
    return (pw_view){(const uint8_t *)copy, copy != NULL ? strlen(copy) : 0};
}

/* The row as it will be once the turn has landed. */
static void fill_row(pw_live *live, uint32_t flags, pw_run_row *row)
{
    char waiting[PW_NAME_BYTES_MAX + 160] = "";
    *row = live->row;
    row->status = status_of(live->state);
    row->updated_ms = live->now_ms;
    row->closed_ms = pw_run_status_is_open(row->status) ? 0 : live->now_ms;
    row->build = pw_live_build(live);
    row->crashes = live->state == PW_S_RUN_PAUSED || (flags & PW_RECORD_INPUT_ONLY) != 0
                       ? live->row.crashes
                       : 0; /* what ended well, forgives */
    row->unread = row->closed_ms == 0 ? 0
                  : live->whole       ? (int64_t)live->signals_len
                                      : pw_shell_unread(live);
    if (row->closed_ms == 0 && live->def == NULL && live->state != PW_S_RUN_PAUSED) {
        (void)snprintf(waiting, sizeof waiting, "no-code");
    } else if (row->closed_ms == 0 && !live->kick && live->tx == NULL) {
        if (live->whole) {
            pw_waiting_text(live, waiting, sizeof waiting);
        } else {
            (void)snprintf(waiting, sizeof waiting, "%s",
                           live->state == PW_S_RUN_PAUSED ? "resume" : "code");
        }
    }
    row->waiting = text_of(live, live->row.waiting, waiting);
}

/* The run is frozen if and only if nothing was lost. */
static void finish_turn(pw_live *live, pw_batch *b, uint32_t flags)
{
    pw_buf *record = pw_batch_buf(b);
    pw_op *op = pw_batch_op(b, PW_OP_TURN);
    pw_turn_op *turn = &op->u.turn;
    turn->run = live->key;
    turn->expected_seq = live->row.seq;
    memcpy(turn->chain_prev, live->row.chain, PW_DIGEST_SIZE);
    fill_row(live, flags, &turn->row);
    if (live->tx != NULL) {
        turn->tx = pw_tx_call_of(live->tx);
    } else {
        put_record(live, record, flags);
        turn->record = (pw_view){record->data, record->size};
        turn->events = live->record_events;
        live->record->failed |= record->failed;
        live->record->full |= record->full;
    }
    if (!pw_turn_lost(live) && pw_batch_hold(b, live)) {
        live->core->stats.turns++;
    }
}

static void begin_turn(pw_live *live, pw_batch *b, pw_buf *events)
{
    live->record = events;
    live->record_events = 0;
    live->batch = b;
    live->turn++;
    live->now_ms = pw_core_now(live->core);
    live->commands_in_turn = 0;
    live->stepped = false;
}

static void end_turn(pw_live *live)
{
    live->record = NULL;
    live->batch = NULL;
}

/* Runs that were to be created with it (continue-as-new): the oldest stays where it was, it has no row. */
static void drop_created(pw_live *live, pw_batch *b, const pw_batch_mark *mark)
{
    for (size_t i = mark->lives; i < b->lives_len; i++) {
        if (b->lives[i] != live) {
            b->lives[i]->frozen = false;
            pw_publish_never_was(live->core, b->lives[i]);
        }
    }
    b->lives_len = mark->lives;
}

/* Memory is out: the turn did not happen. Callers are told so, all else comes again. False = the run is gone (it was to be created). */
static bool drop_turn(pw_live *live, pw_batch *b, const pw_batch_mark *mark)
{
    pw_core *core = live->core;
    pw_core_log(core, PAWL_WARN, live->id, 0,
                live->unfunded ? "a turn is dropped, and the run is paused"
                               : "no memory for a turn; it is tried again");
    live->frozen = false;
    end_turn(live);
    drop_created(live, b, mark);
    pw_batch_undo(b, mark);
    pw_input *back = NULL;
    pw_input *in = mark->inputs != NULL ? mark->inputs->next : b->inputs;
    while (in != NULL) {
        pw_input *next = in->next;
        DL_DELETE(b->inputs, in);
        DL_APPEND(back, in);
        in = next;
    }
    pw_again(core, PW_AGAIN_INBOX);
    bool created = live->created;
    live->retry_from = 0;
    if (!created) {
        pw_live_reset(live);
    }
    while (back != NULL) {
        in = back;
        DL_DELETE(back, in);
        if (created) {
            pw_input_free(core, in);
        } else {
            pw_input_again(core, in);
        }
    }
    if (created) {
        pw_publish_never_was(core, live);
    }
    return !created;
}

/* A record that is too large, or for which there is no memory time and again, discards the turn with all its rows; the run is terminated,
 * saying why. */
static void too_big(pw_live *live, pw_batch *b, pw_buf *events, const pw_batch_mark *mark)
{
    const char *why = events->full ? "LimitExceeded: one turn did not fit in a record"
                                   : "OutOfMemory: no memory for one turn, time and again";
    pw_core_log(live->core, PAWL_ERROR, live->id, 0, "a turn was discarded: %s", why);
    drop_created(live, b, mark);
    pw_budget_undo(b, mark->ops);
    b->group.len = mark->ops;
    b->failed = false;
    pw_scope_heal(b->group.scope);
    for (pw_publish *p = b->publish; p != NULL; p = p->next) {
        if (p->live == live) {
            p->kind = PW_PUB_NOTHING;
        }
    }
    pw_live_reset(live);
    begin_turn(live, b, events);
    pw_buf_reset(events);
    if (live->created) {
        pw_batch_op(b, PW_OP_RUN_CREATE)->u.run = live->row;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "reason", why);
    (void)pw_emit_end(&e, PW_EV_RUN_TERMINATED, 0);
}

static void run_code(pw_live *live)
{
    note_drift(live);
    bool kicked = live->kick;
    int64_t before = live->record_events;
    live->kick = false;
    pw_held held = {0};
    bool tell = live->core->options.debug_held && live->def->folded.apply == NULL;
    if (tell) {
        pw_held_mark(live, &held);
    }
    pw_turn_resume(live);
    if (tell && !live->closing && !live->abandoned && !pw_turn_lost(live)) {
        pw_held_tell(live, &held);
    }
    if (kicked && live->record_events == before && before == 0 && live->tx == NULL) {
        (void)pw_event_put(live, PW_EV_TURN_TAKEN, 0, (pw_view){NULL, 0});
    }
}

/* Its history cannot be read: nothing can be done with it but to end it. True: that is asked for. */
static bool refuse_inputs(pw_live *live, const pawl_error *err, bool requests_only)
{
    bool terminate = false;
    pw_input *in, *next;
    DL_FOREACH_SAFE (live->inputs, in, next) {
        bool ends = in->rq != NULL && in->rq->op == PW_REQ_TERMINATE;
        terminate |= ends;
        if (ends || (requests_only && in->rq == NULL)) {
            continue;
        }
        DL_DELETE(live->inputs, in);
        if (in->rq != NULL) {
            if (requests_only && in->rq->inbox_id != 0) { /* its row is still there */
                pw_again(live->core, PW_AGAIN_INBOX);
            }
            pw_reply_now(live->core, in->rq, err->status, err, (pw_view){NULL, 0});
            in->rq = NULL;
        }
        pw_input_free(live->core, in);
    }
    return terminate;
}

/* False: there is nothing to take a turn for, now. */
static bool load_if_needed(pw_live *live)
{
    if (live->whole || live->created ||
        !pw_live_can_run(live)) { /* (created without code: its start is kept as input) */
        return true;
    }
    pawl_error err;
    pawl_status st = pw_live_load(live, &err);
    if (st == PAWL_OK) {
        return true;
    }
    bool passing = st == PAWL_NOMEM || st == PAWL_BUSY || st == PAWL_IO;
    pw_core_log(live->core, passing ? PAWL_WARN : PAWL_ERROR, live->id, 0,
                "the run cannot be rebuilt%s: %s", passing ? ", it is tried again" : "",
                err.message);
    if (!passing) {
        return refuse_inputs(live, &err, false);
    }
    pw_live_stall_on(live); /* callers are told at once; what must not be lost stays */
    return refuse_inputs(live, &err, true);
}

/* What came, then the code. The flags of its record. */
static uint32_t turn_body(pw_live *live)
{
    if (live->mismatch != NULL) {
        pause_mismatch(live);
        return PW_RECORD_INPUT_ONLY;
    }
    if (pw_live_crashed(live)) {
        pause_crashed(live);
        return PW_RECORD_INPUT_ONLY;
    }
    if (live->unfunded && live->state == PW_S_RUN_RUNNING) {
        pause_unfunded(live);
        return PW_RECORD_INPUT_ONLY;
    }
    if (live->left_timers) {
        pw_effects_left_timers(live);
    }
    pw_inputs_apply(live);
    bool lands_first =
        live->created &&
        live->core->careful; /* a run that dies in its first turn is known when it does so again */
    if (pw_turn_lost(live) || !pw_live_can_run(live) || !live->whole || lands_first) {
        live->kick |= live->state == PW_S_RUN_RUNNING && live->def != NULL &&
                      live->record_events > 0; /* the code has still to see it */
        return PW_RECORD_INPUT_ONLY;
    }
    run_code(live);
    return 0;
}

static void close_turn(pw_live *live, pw_batch *b, uint32_t flags)
{
    if (live->record_events == 0 && live->tx == NULL && !live->progress_dirty) {
        return;
    }
    live->progress_dirty = false;
    pw_effects_close(live);
    if (live->def != NULL && live->whole && live->def->folded.apply != NULL) {
        pw_fold_snapshot(live);
    }
    finish_turn(live, b, flags);
}

/* False: the run is gone. */
static bool take_turn(pw_live *live, pw_batch *b, pw_buf *events)
{
    pw_batch_mark mark = pw_batch_mark_of(b);
    begin_turn(live, b, events);
    uint32_t flags = turn_body(live);
    if (!pw_turn_lost(live)) {
        close_turn(live, b, flags);
    }
    if (pw_turn_lost(live) && !events->full && (live->created || pw_live_stall(live))) {
        return drop_turn(live, b, &mark);
    }
    if (pw_turn_lost(live)) {
        too_big(live, b, events, &mark);
        close_turn(live, b, PW_RECORD_INPUT_ONLY);
    }
    if (pw_turn_lost(live)) {
        pw_live_stall_on(live);
        return drop_turn(live, b, &mark);
    }
    end_turn(live);
    return true;
}

void pw_turn_first(pw_live *live, pw_batch *b)
{
    pw_buf *events = pw_batch_buf(b);
    begin_turn(live, b, events);
    pw_inputs_apply(live);
    if (!pw_turn_lost(live)) {
        finish_turn(live, b, PW_RECORD_INPUT_ONLY);
    }
    b->failed |= pw_turn_lost(live);
    end_turn(live);
}

bool pw_turn_run(pw_live *live)
{
    pw_batch *b = pw_batch_get(live->core);
    if (b == NULL) {
        pw_live_stall_on(live);
        return true;
    }
    if (live->crash_owed) {
        pw_recover_count(live, b);
        return true;
    }
    if (!load_if_needed(live)) {
        live->queued = false;
        return true;
    }
    pw_buf *events = pw_batch_buf(b);
    if (b->failed) {
        b->failed = false;
        pw_live_stall_on(live);
        return true;
    }
    events->bytes_max = PW_RECORD_BYTES_MAX;
    return take_turn(live, b, events);
}
