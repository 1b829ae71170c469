/*
 * wf_wait.c - time, signals, children and described waits, as workflow code asks for them.
 * Does not set timers: effects.c does, from the event.
 */
#include <string.h>

#include "engine/options.h"
#include "engine/wf.h"

/* ---- time ---- */

static void due_body(pw_emit *e, const void *arg)
{
    pw_emit_int(e, "due_ms", *(const int64_t *)arg);
}

static pw_cmd *timer_ask(pawl_run *w, int64_t due_ms, const char *file, int line)
{
    if (!pw_may_start(w)) {
        return NULL;
    }
    pw_ask ask = {
        .type = PW_EV_TIMER_STARTED, .file = file, .line = line, .body = due_body, .arg = &due_ms};
    return pw_command(w, &ask);
}

static pawl_future *timer_in(pawl_run *w, double seconds, const pw_asker *by)
{
    if (!pw_may_start(w) || !pw_seconds_ok(w, seconds, by)) {
        return NULL;
    }
    pw_cmd *cmd = timer_ask(w, w->live->now_ms + pw_seconds_ms(seconds), by->file, by->line);
    return cmd != NULL ? &cmd->future : NULL;
}

pawl_future *pawl_timer_start_at(pawl_run *w, double seconds, const char *file, int line)
{
    if (!pw_mine(w, "pawl_timer_start", file, line)) {
        return NULL;
    }
    return timer_in(w, seconds, &(pw_asker){"timer_start", file, line});
}

bool pawl_sleep_at(pawl_run *w, double seconds, const char *file, int line)
{
    pawl_future *f = pw_mine(w, "pawl_sleep", file, line)
                         ? timer_in(w, seconds, &(pw_asker){"sleep", file, line})
                         : NULL;
    return f != NULL && pw_wait_future(w, f);
}

bool pawl_sleep_until_at(pawl_run *w, int64_t unix_ms, const char *file, int line)
{
    if (!pw_mine(w, "pawl_sleep_until", file, line)) {
        return false;
    }
    int64_t latest = w->live->now_ms + PW_TIMER_MS_MAX;
    pw_cmd *cmd = timer_ask(w, unix_ms > latest ? latest : unix_ms < 1 ? 1 : unix_ms, file, line);
    return cmd != NULL && pw_wait_future(w, &cmd->future);
}

int64_t pawl_now_ms(pawl_run *w)
{
    if (!pw_ours(w, "pawl_now_ms", NULL, 0)) {
        return 0;
    }
    return w->live->now_ms;
}

/* ---- signals ---- */

typedef struct signal_arg {
    int64_t due_ms;
} signal_arg;

static void signal_body(pw_emit *e, const void *arg)
{
    pw_emit_opt(e, "due_ms", ((const signal_arg *)arg)->due_ms);
}

pawl_future *pawl_signal_start_at(pawl_run *w, const pawl_signal_options *options,
                                  size_t options_size, const char *file, int line)
{
    if (!pw_mine(w, "pawl_signal", file, line)) {
        return NULL;
    }
    pawl_signal_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    if (!pw_may_start(w) || !pw_signal_ok(w, &o, &(pw_asker){"signal", file, line})) {
        return NULL;
    }
    signal_arg arg = {o.timeout_s > 0 ? w->live->now_ms + pw_seconds_ms(o.timeout_s) : 0};
    pw_ask ask = {.type = PW_EV_SIGNAL_AWAITED,
                  .name = o.name,
                  .file = file,
                  .line = line,
                  .body = signal_body,
                  .arg = &arg};
    pw_cmd *cmd = pw_command(w, &ask);
    return cmd != NULL ? &cmd->future : NULL;
}

const pawl_value *pawl_signal_at(pawl_run *w, const pawl_signal_options *options,
                                 size_t options_size, const char *file, int line)
{
    return pawl_await(w, pawl_signal_start_at(w, options, options_size, file, line));
}

void pw_letter_fields(pw_emit *e, const void *letter)
{
    const pw_letter *s = letter;
    pw_emit_str(e, "to", s->to);
    pw_emit_value(e, "value", pw_value_bytes(s->value));
}

void pawl_signal_send_at(pawl_run *w, const char *run_id, const char *name, const pawl_value *value,
                         const char *file, int line)
{
    pw_letter arg = {run_id, name, value};
    if (!pw_mine(w, "pawl_signal_send", file, line)) {
        return;
    }
    if (pw_blocked(w) || !pw_signal_send_ok(w, &arg, &(pw_asker){"signal_send", file, line})) {
        return;
    }
    pw_ask ask = {.type = PW_EV_SIGNAL_SENT,
                  .name = name,
                  .file = file,
                  .line = line,
                  .body = pw_letter_fields,
                  .arg = &arg};
    (void)pw_command(w, &ask);
}

/* ---- children ---- */

void pw_child_fields(pw_emit *e, const void *child_options)
{
    const pawl_child_options *o = child_options;
    char id[PW_ID_BYTES_MAX + 1];
    if (o->id == NULL) {
        pw_child_id(e->live, e->live->next_cmd, id);
    }
    pw_emit_str(e, "id", o->id != NULL ? o->id : id);
    pw_emit_str(e, "version", o->version);
    pw_emit_opt(e, "policy", (int64_t)o->policy);
    pw_emit_opt(e, "timeout_ms", pw_seconds_ms(o->timeout_s));
}

pawl_future *pawl_child_start_at(pawl_run *w, const pawl_child_options *options,
                                 size_t options_size, const char *file, int line)
{
    if (!pw_mine(w, "pawl_child", file, line)) {
        return NULL;
    }
    pawl_child_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    if (!pw_may_start(w) || !pw_child_ok(w, &o, &(pw_asker){"child", file, line})) {
        return NULL;
    }
    pw_ask ask = {.type = PW_EV_CHILD_STARTED,
                  .name = o.workflow,
                  .input = o.input,
                  .has_input = true,
                  .file = file,
                  .line = line,
                  .body = pw_child_fields,
                  .arg = &o};
    pw_cmd *cmd = pw_command(w, &ask);
    return cmd != NULL ? &cmd->future : NULL;
}

const pawl_value *pawl_child_at(pawl_run *w, const pawl_child_options *options, size_t options_size,
                                const char *file, int line)
{
    return pawl_await(w, pawl_child_start_at(w, options, options_size, file, line));
}

const pawl_value *pawl_continue_as_new(pawl_run *w, const pawl_value *input)
{
    if (!pw_mine(w, "pawl_continue_as_new", NULL, 0)) {
        return NULL;
    }
    if (!pw_blocked(w)) {
        w->live->continued = true;
        w->live->continue_input = input;
    }
    return NULL;
}

/* ---- described waits ---- */

static const char *kind_of(const pawl_ask_options *o)
{
    return o->kind != NULL                            ? o->kind
           : o->choices != NULL && o->choices[0] != 0 ? "approval"
                                                      : "question";
}

/* Those who may not answer are put down by name: who started the run is known here, and rows are read without it. */
static void barred_field(pw_emit *e, const pawl_ask_options *o)
{
    const char *starter = o->four_eyes ? e->live->started_by : NULL;
    bool both = o->barred != NULL && o->barred[0] != 0 && starter != NULL;
    char text[2 * (PW_CHOICES_BYTES_MAX + 1)];
    (void)snprintf(text, sizeof text, "%s|%s", both ? o->barred : "", both ? starter : "");
    pw_emit_str(e, "barred", both ? text : starter != NULL ? starter : o->barred);
}

/* Who answers, and how many: only what differs from one answer of anybody. */
static void people_fields(pw_emit *e, const pw_ask_fields_arg *a)
{
    const pawl_ask_options *o = a->options;
    pw_emit_opt(e, "quorum", o->quorum > 1 ? o->quorum : 0);
    pw_emit_opt(e, "rejects", o->rejects > 1 ? o->rejects : 0);
    pw_emit_str(e, "reject", o->reject);
    pw_emit_str(e, "who", o->who);
    barred_field(e, o);
    if (o->escalate_s > 0) {
        pw_emit_int(e, "escalate_ms", a->now_ms + pw_seconds_ms(o->escalate_s));
        pw_emit_str(e, "escalate_to", o->escalate_to);
    }
    if (o->defer_max_s > 0) {
        pw_emit_int(e, "defer_max_ms", pw_seconds_ms(o->defer_max_s));
    }
}

void pw_ask_fields(pw_emit *e, const void *ask_fields_arg)
{
    const pw_ask_fields_arg *a = ask_fields_arg;
    const pawl_ask_options *o = a->options;
    pw_emit_str(e, "kind", kind_of(o));
    pw_emit_str(e, "prompt", o->prompt);
    pw_emit_str(e, "choices", o->choices);
    pw_emit_value(e, "schema", pw_value_bytes(o->schema));
    pw_emit_value(e, "show", pw_value_bytes(o->show));
    pw_emit_value(e, "request", pw_value_bytes(o->request));
    if (o->deadline_s > 0) {
        pw_emit_int(e, "due_ms", a->now_ms + pw_seconds_ms(o->deadline_s));
    }
    pw_emit_str(e, "on_deadline", o->on_deadline);
    people_fields(e, a);
}

pawl_future *pawl_ask_start_at(pawl_run *w, const pawl_ask_options *options, size_t options_size,
                               const char *file, int line)
{
    if (!pw_mine(w, "pawl_ask", file, line)) {
        return NULL;
    }
    pawl_ask_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    if (!pw_may_start(w) || !pw_ask_ok(w, &o, &(pw_asker){"ask", file, line})) {
        return NULL;
    }
    pw_ask_fields_arg arg = {&o, w->live->now_ms};
    pw_ask ask = {.type = PW_EV_WAIT_CREATED,
                  .name = o.name,
                  .file = file,
                  .line = line,
                  .body = pw_ask_fields,
                  .arg = &arg};
    pw_cmd *cmd = pw_command(w, &ask);
    return cmd != NULL ? &cmd->future : NULL;
}

const pawl_value *pawl_ask_at(pawl_run *w, const pawl_ask_options *options, size_t options_size,
                              const char *file, int line)
{
    return pawl_await(w, pawl_ask_start_at(w, options, options_size, file, line));
}
