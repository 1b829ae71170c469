/*
 * request_query.c - queries and stacks: answered from keys, or by the code's own handlers, never resuming it.
 *
 * A frozen run answers after its ack. An evicted or finished one is rebuilt first. Commands in a handler are MISUSE: the handler runs
 * with the branch's failure set, so that they do nothing, and is told off afterwards.
 */
#include <string.h>

#include "engine/misuse.h"
#include "engine/queue.h"
#include "engine/requests.h"

typedef struct key_find {
    pawl_scope *scope;
    const pawl_value *value;
    pw_core *core;
    bool found;
} key_find;

static bool take_key(void *ctx, pw_view key, pw_view value)
{
    (void)key;
    key_find *f = ctx;
    f->found = value.size != 1 || value.data[0] != 0xc0; /* set to nil is gone */
    f->value = f->found ? pw_resolve(f->core, f->scope, value) : NULL;
    return false;
}

static bool from_keys(pw_core *core, pw_request *rq, int64_t run)
{
    const char *name = pw_arg_str(rq, "name");
    key_find f = {.scope = rq->scope, .core = core};
    pawl_error err;
    pawl_status st = core->jops->keys(
        core->reader, run, (pw_view){(const uint8_t *)name, strlen(name)}, take_key, &f, &err);
    if (st == PAWL_OK && f.found) {
        pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(f.value));
        return true;
    }
    if (st != PAWL_OK && st != PAWL_NOTFOUND) {
        pw_reply_now(core, rq, st, &err, (pw_view){NULL, 0});
        return true;
    }
    return false;
}

static void refuse(pw_core *core, pw_request *rq, pawl_status status, const char *fmt, ...)
    PAWL_PRINTF(4, 5);
static void refuse(pw_core *core, pw_request *rq, pawl_status status, const char *fmt, ...)
{
    pawl_error err = {.status = status, .file = __FILE__, .line = __LINE__};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err.message, sizeof err.message, fmt, args);
    va_end(args);
    pw_reply_now(core, rq, status, &err, (pw_view){NULL, 0});
}

static bool load_for(pw_live *live, pw_request *rq)
{
    if (live->whole) {
        return true;
    }
    if (live->row.crashes >= PW_CRASHES_MAX) {
        refuse(live->core, rq, PAWL_CONFLICT,
               "the code of run \"%s\" ended the process %lld times; mend it and resume", live->id,
               (long long)live->row.crashes);
        return false;
    }
    if (live->def == NULL) {
        refuse(live->core, rq, PAWL_NOCODE, "no code is registered for workflow \"%s\"%s%s",
               (const char *)live->row.workflow.data, live->row.version.size > 0 ? " " : "",
               (const char *)live->row.version.data);
        return false;
    }
    pawl_error err;
    pawl_status st = pw_live_load(live, &err);
    if (st == PAWL_OK && live->mismatch != NULL) {
        refuse(live->core, rq, PAWL_NONDETERMINISM,
               "the code does not match the history: history has %s, code has %s",
               live->mismatch->history, live->mismatch->code);
        pw_live_reset(
            live); /* its own next turn pauses it, if it is to have one: a closed or paused run stays as it is */
        return false;
    }
    if (st != PAWL_OK) {
        refuse(live->core, rq, st, "%s", err.message);
        return false;
    }
    return true;
}

/* ---- handlers ---- */

static void run_handler(pw_live *live, pw_request *rq, const pw_handler *h)
{
    pawl_run *w = live->branches;
    pawl_run probe = *w;
    probe.failure = pw_failure_new(live->scope, "Misuse",
                                   "a query handler must not ask for commands", NULL, false, NULL);
    probe.noops = 0;
    probe.fiber =
        NULL; /* nothing it does may leave through the branch's stack, or stay with the run */
    bool abandoned = live->abandoned;
    const pawl_failure *final = live->final_failure;
    pw_code_enter(live);
    pw_running = &probe;
    pw_code_at(live, "query", h->name);
    live->replaying = true; /* silences pawl_log and pawl_progress */
    const pawl_value *v = h->fn(&probe, pawl_get(rq->args, "input"), h->arg);
    live->replaying = false;
    pw_code_leave(live);
    bool strayed = live->mismatch != NULL;
    live->mismatch = NULL;
    live->abandoned = abandoned;
    live->final_failure = final;
    if (pw_scope_failed(
            live->scope)) { /* nothing of it can be trusted: it is rebuilt when it is needed */
        pw_live_reset(live);
        pw_request_nomem(live->core, rq);
        return;
    }
    if (probe.noops > 0 || strayed) {
        refuse(live->core, rq, PAWL_MISUSE,
               "the handler of \"%s\" asked for a command; handlers only read", h->name);
        return;
    }
    pw_reply_now(live->core, rq, PAWL_OK, NULL, pw_value_bytes(v));
}

static void answer_query(pw_live *live, pw_request *rq)
{
    const char *name = pw_arg_str(rq, "name");
    if (live->def->folded.apply != NULL) {
        const pawl_value *v = NULL;
        if (live->def->folded.query != NULL) {
            pw_code_enter(live);
            pw_code_at(live, "query", name);
            v = live->def->folded.query(live->fold_state, name, pawl_get(rq->args, "input"),
                                        rq->scope);
            pw_code_leave(live);
        }
        pw_reply_now(live->core, rq, PAWL_OK, NULL, pw_value_bytes(v));
        return;
    }
    for (const pw_handler *h = live->handlers; h != NULL; h = h->next) {
        if (strcmp(h->name, name) == 0) {
            run_handler(live, rq, h);
            return;
        }
    }
    refuse(live->core, rq, PAWL_NOTFOUND, "run \"%s\" has no key and no query \"%s\"", live->id,
           name);
}

/* ---- stack ---- */

static void stack_one(pw_buf *b, pawl_scope *scope, const pw_live *live, const pw_cmd *cmd)
{
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd->id, 0});
    bool nobody = job != NULL && pw_queue_nobody(live->core, job);
    bool backoff = job != NULL && job->state == PW_JOB_BACKOFF;
    const char *child = strcmp(pw_machine_name(pw_state_machine(cmd->state)), "child") == 0
                            ? pw_body_str(scope, cmd->body, "id", "")
                            : "";
    bool held = job != NULL && job->state == PW_JOB_SHORT;
    bool checking = job != NULL && job->checking;
    pw_mp_map(b, (size_t)8 + (nobody || held || checking) + held + backoff + (*child != 0));
    if (held) {
        nobody = false;
        pw_mp_str(b, "held");
        pw_mp_bool(b, true);
        pw_mp_str(b, "why");
        pw_mp_str(b, job->asked ? "its budget is used up: answer \"budget\" (raise or stop)"
                                : "its budget has no room for it until others give some back");
    } else if (nobody || checking) {
        pw_mp_str(b, "why");
        pw_mp_str(b, nobody ? "no activity of that name is registered, and no worker asks for it"
                            : "it was sent, and is being read back");
    }
    if (backoff) {
        pw_mp_str(b, "retry");
        pw_mp_bool(b, true);
    }
    if (*child != 0) {
        pw_mp_str(b, "child");
        pw_mp_str(b, child);
    }
    pw_mp_str(b, "command");
    pw_mp_int(b, cmd->id);
    pw_mp_str(b, "kind");
    pw_mp_str(b, pw_machine_name(pw_state_machine(cmd->state)));
    pw_mp_str(b, "state");
    pw_mp_str(b, pw_state_name(cmd->state));
    pw_mp_str(b, "name");
    pw_mp_str(b, cmd->name);
    pw_mp_str(b, "since_ms");
    pw_mp_int(b, cmd->since_ms);
    pw_mp_str(b, "due_ms");
    pw_mp_int(b, backoff ? job->due_ms : cmd->due_ms);
    pw_mp_str(b, "at");
    pw_mp_str(b, pw_body_str(scope, cmd->body, "at", ""));
    pw_mp_str(b, "attempt");
    pw_mp_int(b, job != NULL ? job->attempt : cmd->attempt);
}

static void answer_stack(pw_live *live, pw_request *rq)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    size_t n = 0;
    const pw_cmd *cmd;
    DL_FOREACH (live->open, cmd) {
        n++;
    }
    bool stacks = live->def->folded.apply == NULL;
    pw_mp_map(&b, stacks ? 5 : 3);
    if (stacks) {
        size_t peak = pw_live_stack_peak(live);
        live->core->stats.stack_peak =
            peak > live->core->stats.stack_peak ? peak : live->core->stats.stack_peak;
        pw_mp_str(&b, "stack_peak");
        pw_mp_int(&b, (int64_t)peak);
        pw_mp_str(&b, "stack_bytes");
        pw_mp_int(&b, (int64_t)pw_fiber_bytes(live->def->stack_bytes));
    }
    pw_mp_str(&b, "id");
    pw_mp_str(&b, live->id);
    pw_mp_str(&b, "status");
    pw_mp_str(&b, pw_run_status_name(live->row.status));
    pw_mp_str(&b, "waiting");
    pw_mp_array(&b, n);
    DL_FOREACH (live->open, cmd) {
        stack_one(&b, rq->scope, live, cmd);
    }
    pw_request_reply(live->core, rq, &b);
}

static void answer(pw_live *live, pw_request *rq)
{
    if (rq->op == PW_REQ_QUERY && from_keys(live->core, rq, live->key)) {
        return;
    }
    if (!load_for(live, rq)) {
        return;
    }
    if (rq->op == PW_REQ_STACK) {
        answer_stack(live, rq);
    } else {
        answer_query(live, rq);
    }
}

void pw_queries_run(pw_live *live)
{
    while (live->queries != NULL) {
        pw_request *rq = live->queries;
        live->queries = rq->next;
        rq->next = NULL;
        answer(live, rq);
    }
}

void pw_request_query(pw_core *core, pw_request *rq)
{
    pw_live *live;
    pawl_error err;
    const char *id = pw_arg_str(rq, "id");
    pawl_status st = pw_live_open(core, (pw_view){(const uint8_t *)id, strlen(id)}, &live, &err);
    if (st != PAWL_OK) {
        pw_reply_now(core, rq, st, &err, (pw_view){NULL, 0});
        return;
    }
    if (live->frozen || live->created || live->crash_owed) {
        LL_APPEND(live->queries, rq);
        return;
    }
    answer(live, rq);
}
