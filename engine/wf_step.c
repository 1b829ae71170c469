/*
 * wf_step.c - local steps: code that runs here and now, its result committed before the workflow goes on.
 *
 * The event is written in the turn in which the function ran; the branch sees the result only in a later turn, which comes after the
 * commit. So a step whose commit fails runs again, and nothing after it ever ran on a result that was lost.
 */
#include <string.h>

#include "engine/bugs.h"
#include "engine/wf.h"

struct pawl_step {
    pw_live *live;
    const pawl_failure *failure;
    int64_t cmd;
    char key[PW_ID_BYTES_MAX + 32]; /* written when it is asked for */
};

pawl_scope *pawl_step_scope(pawl_step *s)
{
    return s->live->scope;
}

const pawl_value *pawl_step_vbuild(pawl_step *s, const char *fmt, va_list args)
{
    pawl_error err = {0};
    const pawl_value *v = pw_vbuild(s->live->scope, fmt, args, &err);
    if (err.status != PAWL_OK && s->failure == NULL) {
        (void)pawl_step_fail(s, err.status == PAWL_LIMIT ? "TooLarge" : "BadTemplate", "%s",
                             err.message);
    }
    return v;
}

const pawl_value *pawl_step_build(pawl_step *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const pawl_value *v = pawl_step_vbuild(s, fmt, args);
    va_end(args);
    return v;
}

const pawl_value *pawl_step_fail(pawl_step *s, const char *type, const char *fmt, ...)
{
    char text[PW_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    s->failure = pw_failure_new(s->live->scope, type, text, NULL, false, s->failure);
    return NULL;
}

const char *pawl_step_key(pawl_step *s)
{
    (void)snprintf(s->key, sizeof s->key, "%s/%lld", s->live->id, (long long)s->cmd);
    return s->key;
}

typedef struct step_end {
    const pawl_value *result;
    const pawl_failure *failure;
} step_end;

static void step_body(pw_emit *e, const void *arg)
{
    const step_end *end = arg;
    if (end->failure != NULL) {
        pw_emit_failure(e, "failure", end->failure);
    } else {
        pw_emit_value(e, "result", pw_value_bytes(end->result));
    }
}

static bool step_visible(pawl_run *w, void *arg)
{
    const pw_cmd *cmd = arg;
    return PW_BUG_STEP_BEFORE_COMMIT || w->live->turn > cmd->deliver_turn;
}

static const pawl_value *step_outcome(pawl_run *w, pw_cmd *cmd)
{
    if (cmd == NULL) {
        return NULL;
    }
    (void)pw_wait(w, step_visible, cmd, false);
    if (cmd->future.failure != NULL) {
        pw_set_failure(w, cmd->future.failure, cmd->id);
        return NULL;
    }
    return cmd->future.value;
}

static void run_step(pw_live *live, const char *name, pawl_step_fn fn, const pawl_value *input,
                     step_end *ret_end)
{
    pw_core *core = live->core;
    pawl_step s;
    s.live = live;
    s.failure = NULL;
    s.cmd = live->next_cmd;
    int64_t from = core->env.mono_ns(core->env.ctx);
    pw_code_at(live, "step", name);
    ret_end->result = fn(&s, input);
    pw_code_at(live, NULL, NULL);
    ret_end->failure = s.failure;
    int64_t ms = (core->env.mono_ns(core->env.ctx) - from) / 1000000;
    core->stats.steps++;
    if (ms > PW_LOCAL_STEP_WARN_MS) {
        pw_core_log(core, PAWL_WARN, live->id, live->next_cmd,
                    "the local step \"%s\" held the engine for %lld ms; make it an activity", name,
                    (long long)ms);
    }
}

const pawl_value *pawl_local_at(pawl_run *w, const char *name, pawl_step_fn fn,
                                const pawl_value *input, const char *file, int line)
{
    if (!pw_mine(w, "pawl_local", file, line)) {
        return NULL;
    }
    if (!pw_may_start(w) || !pw_name_ok(w, "step", name)) {
        return NULL;
    }
    step_end end = {NULL, NULL};
    if (!w->live->replaying) {
        run_step(w->live, name, fn, input, &end);
    }
    pw_ask ask = {.type = end.failure != NULL ? PW_EV_STEP_FAILED : PW_EV_STEP_COMPLETED,
                  .name = name,
                  .input = input,
                  .has_input = true,
                  .file = file,
                  .line = line,
                  .body = step_body,
                  .arg = &end};
    return step_outcome(w, pw_command(w, &ask));
}
