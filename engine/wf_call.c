/*
 * wf_call.c - activities and maps, as workflow code asks for them.
 *
 * Turns options into event fields (README.md, event bodies) and waits. The attempts themselves are job.c's and map.c's.
 * Does not retry and does not time out.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/cache.h"
#include "engine/options.h"
#include "engine/wf.h"
#include "journal/map_page.h"

/* Options grow at the end: a caller built against an older header hands a smaller struct. */
void pw_options_copy(void *ret, size_t size, const void *options, size_t options_size)
{
    memset(ret, 0, size);
    memcpy(ret, options, options_size < size ? options_size : size);
}

static int64_t ms_of(double seconds)
{
    if (!(seconds > 0)) {
        return 0;
    }
    double ms = seconds * 1000.0;
    return ms >= (double)PW_TIMER_MS_MAX ? PW_TIMER_MS_MAX : ms < 1 ? 1 : (int64_t)ms;
}

int64_t pw_seconds_ms(double seconds)
{
    return ms_of(seconds);
}

static int64_t attempts_of(int retries)
{
    return retries == 0                    ? 5
           : retries < 0                   ? 1
           : retries == PAWL_RETRY_FOREVER ? INT64_MAX
                                           : (int64_t)retries + 1;
}

static void retry_fields(pw_emit *e, int retries, double initial_s, double factor, double max_s,
                         const char *no_retry)
{
    pw_emit_int(e, "attempts", attempts_of(retries));
    pw_emit_int(e, "retry_initial_ms", initial_s > 0 ? ms_of(initial_s) : 1000);
    pw_emit_num(e, "retry_factor", factor >= 1 ? factor : 2.0);
    pw_emit_int(e, "retry_max_ms", max_s > 0 ? ms_of(max_s) : 100000);
    pw_emit_str(e, "no_retry", no_retry);
}

void pw_call_fields(pw_emit *e, const void *arg)
{
    const pawl_call_options *o = arg;
    pw_emit_opt(e, "timeout_ms", ms_of(o->timeout_s));
    pw_emit_opt(e, "schedule_ms", ms_of(o->schedule_timeout_s));
    pw_emit_opt(e, "heartbeat_ms", ms_of(o->heartbeat_s));
    retry_fields(e, o->retries, o->retry_initial_s, o->retry_factor, o->retry_max_s, o->no_retry);
    pw_emit_opt(e, "effect", (int64_t)o->effect);
    pw_emit_str(e, "undo", o->undo);
    pw_emit_opt(e, "on_cancel", (int64_t)o->on_cancel);
    pw_emit_str(e, "queue", o->queue);
    pw_emit_opt(e, "priority", o->priority);
    pw_emit_str(e, "limit_key", o->limit_key);
    pw_budget_call_fields(e, o);
    pw_cache_fields(e, o);
}

void pw_map_fields(pw_emit *e, const void *arg)
{
    const pawl_map_options *o = arg;
    pw_emit_int(e, "total", (int64_t)pawl_len(o->items));
    pw_emit_int(e, "width", o->width > 0 ? o->width : 16);
    pw_emit_opt(e, "mode", (int64_t)o->mode);
    pw_emit_opt(e, "timeout_ms", ms_of(o->timeout_s));
    pw_emit_opt(e, "heartbeat_ms", ms_of(o->heartbeat_s));
    retry_fields(e, o->retries, o->retry_initial_s, o->retry_factor, o->retry_max_s, o->no_retry);
    pw_emit_opt(e, "effect", (int64_t)o->effect);
    pw_emit_str(e, "queue", o->queue);
    pw_emit_opt(e, "priority", o->priority);
    pw_emit_str(e, "limit_key", o->limit_key);
    pw_budget_map_fields(e, o);
}

bool pw_name_ok(pawl_run *w, const char *what, const char *name)
{
    pawl_error err;
    if (name != NULL && pw_name_check(name, strlen(name), &err) == PAWL_OK) {
        return true;
    }
    char text[300];
    (void)snprintf(text, sizeof text, "%s: %s", what, name != NULL ? err.message : "no name given");
    pw_set_failure(w, pw_failure_new(w->live->scope, "InvalidName", text, NULL, false, NULL), 0);
    return false;
}

bool pw_may_start(pawl_run *w)
{
    if (pw_blocked(w)) {
        return false;
    }
    if (pw_canceled(w)) {
        pw_set_failure(w,
                       pw_failure_new(w->live->scope, "Canceled", "cancellation was requested",
                                      NULL, false, NULL),
                       0);
        return false;
    }
    return true;
}

pawl_future *pawl_call_start_at(pawl_run *w, const pawl_call_options *options, size_t options_size,
                                const char *file, int line)
{
    if (!pw_mine(w, "pawl_call", file, line)) {
        return NULL;
    }
    pawl_call_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    if (!pw_may_start(w) || !pw_call_ok(w, &o, &(pw_asker){"call", file, line})) {
        return NULL;
    }
    pw_ask ask = {.type = PW_EV_ACTIVITY_SCHEDULED,
                  .name = o.name,
                  .input = o.input,
                  .has_input = true,
                  .file = file,
                  .line = line,
                  .body = pw_call_fields,
                  .arg = &o};
    pw_cmd *cmd = pw_command(w, &ask);
    return cmd != NULL ? &cmd->future : NULL;
}

const pawl_value *pawl_call_at(pawl_run *w, const pawl_call_options *options, size_t options_size,
                               const char *file, int line)
{
    return pawl_await(w, pawl_call_start_at(w, options, options_size, file, line));
}

/* ---- map ---- */

static pw_cmd *map_ask(pawl_run *w, const pawl_map_options *o, const char *file, int line)
{
    if (!pw_may_start(w) || !pw_map_ok(w, o, &(pw_asker){"map", file, line})) {
        return NULL;
    }
    pw_ask ask = {.type = PW_EV_MAP_SCHEDULED,
                  .name = o->name,
                  .input = o->items,
                  .has_input = true,
                  .file = file,
                  .line = line,
                  .body = pw_map_fields,
                  .arg = o};
    return pw_command(w, &ask);
}

/* Does not come back where there is a stack to leave. */
static void lose(pawl_run *w)
{
    pw_scope_fail(w->live->scope);
    pw_leave_lost(w);
}

/* Stored results that cannot be read: for want of memory, or of an answer of the journal, the turn or the replay is lost and comes again;
 * damage pauses a replay and fails the call of a live turn. */
static void unread(pawl_run *w, const pw_cmd *cmd, const pawl_error *err)
{
    pw_live *live = w->live;
    pw_core_log(live->core, PAWL_ERROR, live->id, cmd->id, "%s", err->message);
    if (err->status != PAWL_DAMAGED) {
        lose(w);
    } else if (!live->replaying) {
        pw_set_failure(
            w, pw_failure_new(live->scope, "ResultsDamaged", err->message, NULL, false, NULL), 0);
    } else {
        pw_replay_fail(live, "damage", NULL, pw_strdup(live->scope, err->message));
        pw_leave_lost(w);
    }
}

const pawl_value *pawl_map_at(pawl_run *w, const pawl_map_options *options, size_t options_size,
                              const char *file, int line)
{
    if (!pw_mine(w, "pawl_map", file, line)) {
        return NULL;
    }
    pawl_map_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    pw_cmd *cmd = map_ask(w, &o, file, line);
    if (cmd == NULL || !pw_wait_future(w, &cmd->future)) {
        return NULL;
    }
    pawl_error err;
    const pawl_value *v = pw_map_results(w->live, cmd, (int64_t)pawl_len(o.items), &err);
    if (v == NULL) {
        unread(w, cmd, &err);
    }
    return v;
}

struct pawl_items {
    pawl_run *w;
    const pw_cmd *cmd;
    int64_t total, next;
    int64_t page_from;
    pawl_scope *page_scope; /* freed with the run by an unwind */
    const pawl_value *page;
};

#define PAGE_ITEMS PW_MAP_PAGE_ITEMS

static void items_unwind(void *arg)
{
    pawl_items *it = arg;
    pawl_scope_free(it->page_scope);
    it->page_scope = NULL;
}

pawl_items *pawl_map_cursor_at(pawl_run *w, const pawl_map_options *options, size_t options_size,
                               const char *file, int line)
{
    if (!pw_mine(w, "pawl_map_cursor", file, line)) {
        return NULL;
    }
    pawl_map_options o;
    pw_options_copy(&o, sizeof o, options, options_size);
    pw_cmd *cmd = map_ask(w, &o, file, line);
    pawl_items *it = pawl_scope_alloc(w->live->scope, sizeof *it);
    if (cmd == NULL || it == NULL || !pw_wait_future(w, &cmd->future)) {
        return NULL;
    }
    *it = (pawl_items){.w = w,
                       .cmd = cmd,
                       .total = (int64_t)pawl_len(o.items),
                       .page_from = -1,
                       .page_scope = pawl_scope_new()};
    pawl_on_unwind(w, items_unwind, it);
    return it;
}

bool pawl_items_next(pawl_items *items, const pawl_value **ret_value,
                     const pawl_failure **ret_failure)
{
    if (items == NULL || !pw_mine(items->w, "pawl_items_next", NULL, 0) ||
        items->next >= items->total) {
        return false;
    }
    pw_live *live = items->w->live;
    if (items->page_from < 0 || items->next >= items->page_from + PAGE_ITEMS) {
        pawl_scope_free(items->page_scope);
        items->page_scope = pawl_scope_new();
        items->page_from = items->next;
        if (items->page_scope == NULL) {
            lose(items->w);
            return false;
        }
        pw_map_span span = {.run = live->key,
                            .cmd = items->cmd->id,
                            .from = items->next,
                            .len = PAGE_ITEMS,
                            .total = items->total};
        pawl_error err;
        items->page = pw_map_page(live->core, items->page_scope, &span, &err);
        if (items->page == NULL) {
            unread(items->w, items->cmd, &err);
            items->next = items->total;
            return false;
        }
    }
    const pawl_value *v = pawl_at(items->page, (size_t)(items->next - items->page_from));
    const pawl_value *failed = pawl_typeof(v) == PAWL_MAP ? pawl_get(v, "$failure") : NULL;
    items->next++;
    *ret_value = failed == NULL ? v : NULL;
    if (ret_failure != NULL) {
        *ret_failure = failed != NULL ? pw_failure_read(items->page_scope, failed, 0) : NULL;
    }
    if (pw_scope_failed(items->page_scope)) {
        lose(items->w);
    }
    return true;
}
