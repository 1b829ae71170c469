/*
 * answer_late.c - those who answer what is answered, expired, withdrawn or of a run that is closed: they are told who decided, what and when.
 *
 * A run in memory knows what became of its questions; of any other its history is read, which costs a pass. Does not change a run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/answer.h"
#include "engine/requests.h"
#include "engine/shell.h"

void pw_answer_iso(char ret[32], int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    ret[0] = 0;
    if (gmtime_r(&s, &tm) != NULL) {
        (void)strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
}

bool pw_answer_names(const char *name, int64_t cmd, const char *asked)
{
    char exact[PW_NAME_BYTES_MAX + 32];
    (void)snprintf(exact, sizeof exact, "%s:%" PRId64, name, cmd);
    return asked[0] == 0 || strcmp(name, asked) == 0 || strcmp(exact, asked) == 0;
}

/* Which one was meant is not known when no name is given and there were several. */
static bool ended_whole(const pw_live *live, const char *asked, pw_wait_end *ret_end)
{
    size_t count = 0;
    for (size_t i = live->cmds_len; i > 0; i--) {
        const pw_cmd *cmd = live->cmds[i - 1];
        bool ended = cmd != NULL && cmd->future.done && cmd->state != PW_S_COUNT &&
                     pw_state_machine(cmd->state) == PW_M_WAIT; /* (a signal sent has no state) */
        if (!ended || !pw_answer_names(cmd->name, cmd->id, asked)) {
            continue;
        }
        const pawl_value *v = cmd->future.value;
        *ret_end = (pw_wait_end){.name = cmd->name,
                                 .how = cmd->state == PW_S_WAIT_ANSWERED  ? PW_EV_WAIT_ANSWERED
                                        : cmd->state == PW_S_WAIT_EXPIRED ? PW_EV_WAIT_EXPIRED
                                                                          : PW_EV_WAIT_CANCELED,
                                 .choice = pawl_str(v, "choice", ""),
                                 .by = pawl_str(v, "by", ""),
                                 .at_ms = pawl_int(v, "at_ms", 0)};
        if (asked[0] != 0) {
            return true;
        }
        count++;
    }
    return count == 1;
}

static void end_text(const pw_wait_end *end, pawl_error *err)
{
    char at[32], when[40] = "";
    pw_answer_iso(at, end->at_ms);
    if (end->at_ms != 0) {
        (void)snprintf(when, sizeof when, ", at %s", at);
    }
    if (end->how == PW_EV_WAIT_ANSWERED) {
        (void)pw_err(err, PAWL_CONFLICT, "\"%s\" was answered before: %s by %s%s", end->name,
                     end->choice[0] != 0 ? end->choice : "data", end->by[0] != 0 ? end->by : "?",
                     when);
    } else if (end->how == PW_EV_WAIT_CANCELED) {
        (void)pw_err(err, PAWL_CONFLICT, "\"%s\" was withdrawn: the run asks it no more",
                     end->name);
    } else {
        (void)pw_err(err, PAWL_CONFLICT,
                     "\"%s\" was answered before: its deadline has passed%s, %s%s", end->name, when,
                     end->choice[0] != 0 ? "and decided " : "and nobody had answered", end->choice);
    }
}

void pw_answer_end_body(pw_buf *b, const pw_wait_end *end)
{
    const char *outcome = end->how == PW_EV_WAIT_ANSWERED   ? "answered"
                          : end->how == PW_EV_WAIT_CANCELED ? "withdrawn"
                                                            : "expired";
    const char *choice = end->choice[0] != 0               ? end->choice
                         : end->how == PW_EV_WAIT_ANSWERED ? "data"
                                                           : "";
    pw_mp_map(b, 5);
    pw_mp_str(b, "name");
    pw_mp_str(b, end->name);
    pw_mp_str(b, "outcome");
    pw_mp_str(b, outcome);
    pw_mp_str(b, "by");
    pw_mp_str(b, end->how == PW_EV_WAIT_EXPIRED ? "deadline" : end->by);
    pw_mp_str(b, "choice");
    pw_mp_str(b, choice);
    pw_mp_str(b, "at_ms");
    pw_mp_int(b, end->at_ms);
}

static void reply_ended(pw_live *live, pw_request *rq, const pw_wait_end *end)
{
    pawl_error err;
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    end_text(end, &err);
    pw_answer_end_body(&b, end);
    live->record->failed |= b.failed;
    pw_input_told(live, rq, &err, (pw_view){b.data, b.size});
}

bool pw_answer_late(pw_live *live, pw_request *rq, const char *asked)
{
    pw_wait_end end;
    bool found = live->whole && ended_whole(live, asked, &end);
    /* a folded run forgets what ended before its snapshot, and a paused one knows only its rows: history knows */
    found = found || pw_shell_wait_ended(live, live->batch->group.scope, asked, &end);
    if (found) {
        reply_ended(live, rq, &end);
    }
    return found;
}

bool pw_answer_closed(pw_core *core, pw_live *live, pw_request *rq)
{
    pawl_scope *scope = pawl_scope_new();
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pawl_error err;
    pw_wait_end end;
    bool found = scope != NULL && pw_shell_wait_ended(live, scope, pw_arg_str(rq, "name"), &end) &&
                 !pw_scope_failed(scope);
    if (found) {
        end_text(&end, &err);
        pw_answer_end_body(&b, &end);
    }
    pawl_scope_free(scope);
    if (found && pw_buf_ok(&b)) {
        if (rq->inbox_id != 0) {
            pw_core_log(core, PAWL_WARN, live->id, 0, "a posted answer was not done: %s",
                        err.message);
        }
        pw_request_done(core, rq, PAWL_CONFLICT, &err, (pw_view){b.data, b.size});
    }
    return found && pw_buf_ok(&b);
}
