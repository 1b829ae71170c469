/*
 * tx.c - transactional steps: a function that writes to its own tables inside the very commit that records it.
 *
 * The branch that asks for one is parked until the other branches of the turn have done what they can; the step is the turn's last
 * event. Its record is completed on the journal thread, once the function has run there (pw_tx_call), and its event is applied here
 * after the ack. One a turn; further ones wait for the next turn.
 * Does not touch SQLite: the journal runs the function.
 */
#include <string.h>

#include "engine/wf.h"

typedef struct pw_tx_step pw_tx_step;
struct pw_tx_step {
    /* set on the engine's thread, read on the journal thread, and given back with the ack: handed over whole */
    pawl_tx_fn fn;
    pawl_scope *scope;
    const pawl_value *input;
    char *name;
    char at[160];
    uint64_t digest;
    int64_t cmd;
    int64_t branch;
    int64_t now_ms;
    uint64_t build;
    uint32_t flags;
    int64_t events_before;
    pw_crumb *crumb; /* NULL = none */
    int64_t (*mono_ns)(void *ctx);
    void *mono_ctx;
    int64_t run;
    char site[PW_CRUMB_SITE_BYTES];
    pw_buf before; /* events of the turn so far */
    const pawl_value *result;
    pw_buf event; /* body of the step's event, for the ack */
    pw_event_type type;
    pw_tx_call call;
};

typedef struct tx_wish {
    const char *name;
    pawl_tx_fn fn;
    const pawl_value *input;
    const char *file;
    int line;
    pw_cmd *cmd; /* once it happened */
} tx_wish;

void pw_tx_free(pw_tx_step *tx)
{
    if (tx != NULL) {
        pw_buf_deinit(&tx->before);
        pw_buf_deinit(&tx->event);
        pawl_scope_free(tx->scope);
        pw_free(tx);
    }
}

/* ---- on the journal thread ---- */

static pawl_status tx_run(void *ctx, pawl_tx *tx, pawl_error *err)
{
    pw_tx_step *t = ctx;
    if (t->crumb == NULL) {
        return t->fn(tx, t->scope, t->input, &t->result, err);
    }
    pw_crumb_enter(t->crumb, PW_CRUMB_JOURNAL, t->run, t->site, t->mono_ns(t->mono_ctx));
    pawl_status st = t->fn(tx, t->scope, t->input, &t->result, err);
    pw_crumb_leave(t->crumb, PW_CRUMB_JOURNAL);
    return st;
}

static void tx_body(pw_tx_step *t, pawl_status status, const pawl_error *err, pw_buf *body)
{
    bool ok = status == PAWL_OK;
    pw_mp_map(body, 3 + (t->branch != 0 ? 1u : 0u) + 1u);
    pw_mp_str(body, "name");
    pw_mp_str(body, t->name);
    pw_mp_str(body, "digest");
    pw_mp_uint(body, t->digest);
    pw_mp_str(body, "at");
    pw_mp_str(body, t->at);
    if (t->branch != 0) {
        pw_mp_str(body, "branch");
        pw_mp_int(body, t->branch);
    }
    if (ok) {
        pw_mp_str(body, "result");
        pw_mp_value(body, t->result);
        return;
    }
    pawl_failure f = {.type = "TransactionFailed", .message = err->message};
    pw_put_failure_field(body, "failure", &f);
}

static void tx_encode(void *ctx, pawl_status status, const pawl_error *err, pw_buf *record,
                      int64_t *ret_events)
{
    pw_tx_step *t = ctx;
    t->type = status == PAWL_OK ? PW_EV_STEP_COMPLETED : PW_EV_STEP_FAILED;
    pw_buf_reset(&t->event);
    tx_body(t, status, err, &t->event);
    pw_mp_array(record, 5);
    pw_mp_int(record, PW_RECORD_VERSION);
    pw_mp_uint(record, t->flags);
    pw_mp_int(record, t->now_ms);
    pw_mp_uint(record, t->build);
    pw_mp_array(record, (size_t)t->events_before + 1);
    pw_buf_put(record, t->before.data, t->before.size);
    pw_mp_array(record, 3);
    pw_mp_int(record, (int64_t)t->type);
    pw_mp_int(record, t->cmd);
    pw_buf_put(record, t->event.data, t->event.size);
    record->failed |= t->event.failed || t->before.failed || pw_scope_failed(t->scope);
    *ret_events = t->events_before + 1;
}

/* ---- on the engine's thread ---- */

static bool wish_granted(pawl_run *w, void *arg)
{
    const tx_wish *wish = arg;
    return wish->cmd != NULL && w->live->turn > wish->cmd->deliver_turn;
}

const pawl_value *pawl_transact_at(pawl_run *w, const char *name, pawl_tx_fn fn,
                                   const pawl_value *input, const char *file, int line)
{
    if (!pw_mine(w, "pawl_transact", file, line)) {
        return NULL;
    }
    if (!pw_may_start(w) || !pw_name_ok(w, "step", name)) {
        return NULL;
    }
    if ((w->live->core->jops->caps & PW_CAP_TX) == 0) {
        return pawl_fail(w, "Unsupported", "this journal (%s) has no transactional steps",
                         w->live->core->jops->name);
    }
    tx_wish *wish = pawl_scope_alloc(w->live->scope, sizeof *wish);
    if (wish == NULL) {
        pw_leave_lost(w);
        return NULL;
    }
    w->live->last_file = file;
    w->live->last_line = line;
    *wish = (tx_wish){.name = name, .fn = fn, .input = input, .file = file, .line = line};
    (void)pw_wait(w, wish_granted, wish, false);
    if (wish->cmd->future.failure != NULL) {
        pw_set_failure(w, wish->cmd->future.failure, wish->cmd->id);
        return NULL;
    }
    return wish->cmd->future.value;
}

static pawl_run *first_wish(pw_live *live)
{
    pawl_run *w;
    DL_FOREACH (live->branches, w) {
        if (!w->finished && w->ready == wish_granted && ((tx_wish *)w->ready_arg)->cmd == NULL) {
            return w;
        }
    }
    return NULL;
}

static void take_replay(pawl_run *w, tx_wish *wish)
{
    pw_live *live = w->live;
    pw_event ev;
    if (!pw_replay_peek(live, &ev)) {
        return; /* the turn in which it ran is not in the journal: it runs again */
    }
    pw_view in = pw_value_bytes(wish->input);
    pw_asked asked = {.type = PW_EV_STEP_COMPLETED,
                      .name = wish->name,
                      .check_input = true,
                      .digest = pw_input_digest(in.data, in.size),
                      .file = wish->file,
                      .line = wish->line};
    if (!pw_replay_match(live, &asked, &ev)) {
        return;
    }
    if (!pw_apply(live, &ev)) {
        pw_replay_fail(live, "damage", &ev, "no such transition");
        return;
    }
    wish->cmd = pw_cmd_find(live, ev.cmd);
}

static pw_tx_step *tx_new(pawl_run *w, const tx_wish *wish)
{
    pw_live *live = w->live;
    pw_tx_step *t = pw_calloc(1, sizeof *t);
    pawl_scope *scope = t != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(t);
        return NULL;
    }
    t->fn = wish->fn;
    t->scope = scope;
    t->input = pawl_copy(scope, wish->input);
    t->name = pw_strdup(scope, wish->name);
    if (pw_scope_failed(scope)) {
        pw_tx_free(t);
        return NULL;
    }
    const char *base = strrchr(wish->file, '/');
    (void)snprintf(t->at, sizeof t->at, "%s:%d", base != NULL ? base + 1 : wish->file, wish->line);
    pw_view in = pw_value_bytes(wish->input);
    t->digest = pw_input_digest(in.data, in.size);
    t->cmd = live->next_cmd;
    t->branch = w->index;
    t->now_ms = live->now_ms;
    t->build = pw_live_build(live);
    t->run = live->key;
    t->crumb = live->core->options.crumb;
    t->mono_ns = live->core->env.mono_ns;
    t->mono_ctx = live->core->env.ctx;
    pw_code_site(live, "tx", t->name, t->site);
    t->events_before = live->record_events;
    pw_buf_put(&t->before, live->record->data, live->record->size);
    t->call = (pw_tx_call){.run = tx_run, .encode = tx_encode, .ctx = t};
    if (pw_scope_failed(scope) || t->before.failed) {
        pw_tx_free(t);
        return NULL;
    }
    return t;
}

void pw_tx_take(pw_live *live)
{
    pawl_run *w = live->mismatch == NULL && !live->closing ? first_wish(live) : NULL;
    if (w == NULL) {
        return;
    }
    tx_wish *wish = w->ready_arg;
    if (live->replaying) {
        take_replay(w, wish);
        return;
    }
    if (live->created) { /* the start lands first: should the function end the process, its crash needs a row to be counted in [E7] */
        live->kick = true;
        return;
    }
    live->tx = tx_new(w, wish);
    if (live->tx == NULL) {
        live->record->failed = true;
    }
    live->tx_branch = w;
}

const pw_tx_call *pw_tx_call_of(const pw_tx_step *tx)
{
    return &tx->call;
}

bool pw_tx_landed(pw_live *live)
{
    pw_tx_step *t = live->tx;
    pawl_run *w = live->tx_branch;
    live->tx = NULL;
    live->tx_branch = NULL;
    tx_wish *wish = w->ready_arg;
    void *body = pw_memdup(live->scope, t->event.data, t->event.size);
    pw_event ev = {
        .seq = live->seq + 1, .type = t->type, .cmd = t->cmd, .body = {body, t->event.size}};
    bool ok = body != NULL && pw_apply(live, &ev) && !pw_scope_failed(live->scope);
    PW_CHECK(ok || pw_scope_failed(live->scope));
    wish->cmd = ok ? pw_cmd_find(live, ev.cmd) : NULL;
    pw_tx_free(t);
    return ok;
}
