/*
 * answer.c - what people say to an open wait becomes events, and everybody is told what came of what they said.
 *
 *   answer --> which wait? --> may they? --> fits? --> one decides: WaitAnswered
 *                 |               |            |  `--> several:     WaitVoted, and WaitAnswered once enough say the same
 *                 |               |            `-----> not now:     WaitDeferred
 *                 `- none: who decided it, what and when            (refused: nothing is written, the wait stays open)
 *
 * Works from rows, so a run that is paused or without code is answered as any other. What an open wait knows of itself is ballot.c's; this
 * file decides once, in the turn in which something is said, and what it decided is an event: nothing is decided again when history is read.
 */
#include "engine/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/ballot.h"
#include "engine/requests.h"
#include "engine/shell.h"
#include "sdk/base/hash.h"

typedef struct answer {
    pw_live *live;
    pw_request *rq;
    const char *asked; /* the wait that it names; "" = the only one */
    const char *by, *as, *reason, *choice;
    pw_view data;
    size_t count; /* open waits that fit the name; below: the last of them */
    int64_t cmd;
    int64_t created_ms;
    pw_view body; /* of the batch's scope */
    const char *name;
    char all[512]; /* "name:command, ..." of those that fit, to choose from */
} answer;

static pawl_scope *turn_scope(const pw_live *live)
{
    return live->batch->group.scope;
}

static const char *body_text(const answer *a, const char *key)
{
    return pw_body_str(turn_scope(a->live), a->body, key, "");
}

static void iso(char ret[32], int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    ret[0] = 0;
    if (gmtime_r(&s, &tm) != NULL) {
        (void)strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
}

/* ---- what this turn did already ---- */

bool pw_answered_note(pw_live *live, int64_t cmd, bool ended, pw_view body)
{
    pw_answered *mark = pw_alloc(turn_scope(live), sizeof *mark);
    if (mark == NULL) {
        live->record->failed = true;
        return false;
    }
    *mark = (pw_answered){.cmd = cmd, .ended = ended, .body = body, .next = live->answered};
    live->answered = mark;
    return true;
}

bool pw_answered_ended(const pw_live *live, int64_t cmd)
{
    const pw_answered *a = live->answered;
    while (a != NULL && !(a->cmd == cmd && a->ended)) {
        a = a->next;
    }
    return a != NULL;
}

static const pw_answered *noted(const pw_live *live, int64_t cmd)
{
    const pw_answered *a = live->answered;
    while (a != NULL && a->cmd != cmd) {
        a = a->next;
    }
    return a;
}

/* ---- which wait ---- */

/* By name, or by name and command when several have the same. */
static bool name_fits(const char *name, int64_t cmd, const char *asked)
{
    char exact[PW_NAME_BYTES_MAX + 32];
    (void)snprintf(exact, sizeof exact, "%s:%" PRId64, name, cmd);
    return asked[0] == 0 || strcmp(name, asked) == 0 || strcmp(exact, asked) == 0;
}

static bool find_wait(void *ctx, const pw_wait_row *row)
{
    answer *a = ctx;
    char name[PW_NAME_BYTES_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)row->name.size, (const char *)row->name.data);
    if (!name_fits(name, row->cmd, a->asked)) {
        return true;
    }
    const pw_cmd *cmd = a->live->whole ? pw_cmd_find(a->live, row->cmd) : NULL;
    const pw_answered *before = noted(a->live, row->cmd);
    bool over = (cmd != NULL && cmd->future.done) || (before != NULL && before->body.size == 0);
    if (over) {
        return true; /* answered earlier in this very turn */
    }
    pw_view body = before != NULL ? before->body : row->body;
    a->count++;
    a->cmd = row->cmd;
    a->created_ms = row->created_ms;
    a->body = (pw_view){pw_memdup(turn_scope(a->live), body.data, body.size), body.size};
    a->name = pw_strdup(turn_scope(a->live), name);
    a->live->record->failed |= a->body.data == NULL || a->name == NULL;
    size_t used = strlen(a->all);
    (void)snprintf(a->all + used, sizeof a->all - used, "%s%s:%" PRId64, used > 0 ? ", " : "", name,
                   row->cmd);
    return !a->live->record->failed;
}

/* ---- those who come late ---- */

/* Which one was meant is not known when no name is given and there were several. */
static bool ended_whole(const pw_live *live, const char *asked, pw_wait_end *ret_end)
{
    size_t count = 0;
    for (size_t i = live->cmds_len; i > 0; i--) {
        const pw_cmd *cmd = live->cmds[i - 1];
        bool ended = cmd != NULL && pw_state_machine(cmd->state) == PW_M_WAIT && cmd->future.done;
        if (!ended || !name_fits(cmd->name, cmd->id, asked)) {
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
    iso(at, end->at_ms);
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

static void end_body(pw_buf *b, const pw_wait_end *end)
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
    end_body(&b, end);
    live->record->failed |= b.failed;
    pw_input_told(live, rq, &err, (pw_view){b.data, b.size});
}

static void no_wait(const answer *a)
{
    pw_live *live = a->live;
    if (a->count > 1) {
        pw_input_refuse(live, a->rq, PAWL_INVALID, "run \"%s\" has %zu open waits; name one: %s",
                        live->id, a->count, a->all);
        return;
    }
    pw_wait_end end;
    bool found = live->whole && ended_whole(live, a->asked, &end);
    /* a folded run forgets what ended before its snapshot, and a paused one knows only its rows: history knows */
    if (found || pw_shell_wait_ended(live, turn_scope(live), a->asked, &end)) {
        reply_ended(live, a->rq, &end);
        return;
    }
    pw_input_refuse(live, a->rq, PAWL_NOTFOUND, "run \"%s\" asks nothing now%s%s", live->id,
                    a->asked[0] != 0 ? " under the name " : "", a->asked);
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
        end_body(&b, &end);
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

/* ---- may they? ---- */

static bool may(const answer *a)
{
    switch (pw_ballot_who(a->body, a->by, a->as)) {
    case PW_MAY:
        return true;
    case PW_MAY_NOT_NAMELESS:
        pw_input_refuse(a->live, a->rq, PAWL_INVALID,
                        "\"%s\" is not answered by nobody: say who answers", a->name);
        break;
    case PW_MAY_NOT_BARRED:
        pw_input_refuse(a->live, a->rq, PAWL_DENIED,
                        "%s may not answer \"%s\": those it is not for are %s", a->by, a->name,
                        body_text(a, "barred"));
        break;
    case PW_MAY_NOT_LISTED:
        pw_input_refuse(a->live, a->rq, PAWL_DENIED, "%s%s%s may not answer \"%s\": it is for %s",
                        a->by, a->as[0] != 0 ? " as " : "", a->as, a->name, body_text(a, "who"));
        break;
    }
    return false;
}

static bool voted_before(const answer *a)
{
    pw_view vote = pw_ballot_of(a->body, a->by);
    if (vote.size == 0) {
        return false;
    }
    pw_live *live = a->live;
    const char *choice = pw_body_str(turn_scope(live), vote, "choice", "data");
    int64_t at_ms = pw_body_int(vote, "at_ms", 0);
    char at[32];
    iso(at, at_ms);
    pawl_error err;
    (void)pw_err(&err, PAWL_CONFLICT, "%s has voted on \"%s\" already: %s, at %s; that stands",
                 a->by, a->name, choice, at);
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    end_body(&b, &(pw_wait_end){.name = a->name,
                                .how = PW_EV_WAIT_ANSWERED,
                                .by = a->by,
                                .choice = choice,
                                .at_ms = at_ms});
    live->record->failed |= b.failed;
    pw_input_told(live, a->rq, &err, (pw_view){b.data, b.size});
    return true;
}

/* ---- does it fit? ---- */

static bool fits(const answer *a)
{
    const char *choices = body_text(a, "choices");
    if (choices[0] != 0 && !pw_one_of(choices, a->choice)) {
        pw_input_refuse(a->live, a->rq, PAWL_INVALID,
                        "\"%s\" is not one of the choices of \"%s\": %s", a->choice, a->name,
                        choices);
        return false;
    }
    pawl_error err;
    const pawl_value *schema = pw_body_value(a->live->core, turn_scope(a->live), a->body, "schema");
    bool alone = choices[0] != 0 || pw_one_of("decline|cancel", a->choice); /* needs no data */
    bool checked = a->data.size > 0 || !alone;
    pawl_status st = checked ? pw_fits_value(schema, a->data, "the answer's data", &err) : PAWL_OK;
    if (st != PAWL_OK) {
        pw_input_refuse(a->live, a->rq, st == PAWL_NOTFOUND ? PAWL_INVALID : st, "%s", err.message);
    }
    return st == PAWL_OK;
}

/* ---- events ---- */

/* What every event of somebody has: who, in which role, over which door, why, when. */
static void emit_said(pw_emit *e, const answer *a)
{
    pw_emit_str(e, "by", a->by);
    pw_emit_str(e, "as", a->as);
    pw_emit_text(e, "reason", a->reason);
    if (a->rq->peer_uid >= 0) {
        pw_emit_int(e, "uid", a->rq->peer_uid);
    }
    pw_emit_int(e, "at_ms", a->live->now_ms);
}

/* Writes the event, and gives what the wait is after it. Empty: no memory, the turn fails. */
static pw_view put_event(const answer *a, pw_emit *e, pw_event_type type)
{
    pw_live *live = a->live;
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    pw_mp_map(&body, e->len);
    pw_buf_put(&body, e->fields.data, e->fields.size);
    bool ok = pw_buf_ok(&e->fields) && pw_buf_ok(&body);
    pw_emit_drop(e);
    pw_event ev = {.type = type, .cmd = a->cmd, .body = {body.data, body.size}};
    pw_view next = {NULL, 0};
    if (ok && pw_event_put(live, type, a->cmd, ev.body)) {
        next = pw_ballot_next(turn_scope(live), a->body, &ev);
    }
    live->record->failed |= next.size == 0;
    return next;
}

static void stays_open(answer *a, pw_view next)
{
    pw_effects_wait(a->live, a->cmd, a->created_ms, next, pw_body_int(a->body, "due_ms", 0));
    (void)pw_answered_note(a->live, a->cmd, false, next);
    a->body = next;
}

static void reply_said(const answer *a, const char *outcome, int64_t same)
{
    pw_live *live = a->live;
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    bool votes = pw_ballot_votes(a->body);
    bool put_off = strcmp(outcome, "deferred") == 0;
    pw_mp_map(&b, 5 + (votes ? 3u : 0u) + (put_off ? 1u : 0u));
    pw_mp_str(&b, "id");
    pw_mp_str(&b, live->id);
    pw_mp_str(&b, "name");
    pw_mp_str(&b, a->name);
    pw_mp_str(&b, "outcome");
    pw_mp_str(&b, outcome);
    pw_mp_str(&b, "choice");
    pw_mp_str(&b, a->choice);
    pw_mp_str(&b, "at_ms");
    pw_mp_int(&b, live->now_ms);
    if (votes) {
        pw_mp_str(&b, "votes");
        pw_mp_int(&b, (int64_t)pw_ballot_len(a->body));
        pw_mp_str(&b, "same");
        pw_mp_int(&b, same);
        pw_mp_str(&b, "needed");
        pw_mp_int(&b, pw_ballot_needed(a->body, a->choice));
    }
    if (put_off) {
        pw_mp_str(&b, "deadline_ms");
        pw_mp_int(&b, pw_body_int(a->body, "due_ms", 0));
    }
    live->record->failed |= b.failed;
    pw_batch_reply(live->batch, a->rq, PAWL_OK, NULL, (pw_view){b.data, b.size});
}

/* ---- an answer ---- */

static void decide(const answer *a, pw_view data)
{
    pw_emit e;
    pw_emit_begin(&e, a->live);
    pw_emit_str(&e, "choice", a->choice);
    pw_emit_value(&e, "data", data);
    emit_said(&e, a);
    (void)pw_emit_end(&e, PW_EV_WAIT_ANSWERED, a->cmd);
    (void)pw_answered_note(a->live, a->cmd, true, (pw_view){NULL, 0});
}

/* Data goes in as its canonical form: two people who say the same have then said the same bytes. */
static void vote(answer *a)
{
    pw_live *live = a->live;
    PW_CLEANUP(pw_buf_deinit) pw_buf canon = PW_BUF_INIT;
    if (a->data.size > 0 && !pw_canon(&canon, a->data.data, a->data.size)) {
        live->record->failed = true;
        return;
    }
    if (pw_ballot_len(a->body) >= PW_VOTES_MAX) {
        pw_input_refuse(live, a->rq, PAWL_FULL, "\"%s\" has %d votes already", a->name,
                        PW_VOTES_MAX);
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "choice", a->choice);
    pw_emit_value(&e, "data", (pw_view){canon.data, canon.size});
    emit_said(&e, a);
    pw_view next = put_event(a, &e, PW_EV_WAIT_VOTED);
    if (next.size == 0) {
        pw_input_refuse(live, a->rq, PAWL_NOMEM, "out of memory");
        return;
    }
    int64_t same = 0;
    pw_view last = pw_ballot_last(next, &same);
    bool decided = same >= pw_ballot_needed(a->body, a->choice);
    if (decided) {
        decide(a, pw_body_get(last, "data")); /* (a large one is a reference already) */
        a->body = next;
    } else {
        stays_open(a, next);
    }
    reply_said(a, decided ? "decided" : "voted", same);
}

/* ---- not now ---- */

static pawl_status check_until(const answer *a, int64_t until, pawl_error *err)
{
    char at[32];
    int64_t latest = pw_ballot_latest_ms(a->body);
    if (until != 0 && until <= a->live->now_ms) {
        iso(at, until);
        return pw_err(err, PAWL_INVALID, "\"%s\" cannot be deferred until %s: that is past",
                      a->name, at);
    }
    if (until > a->live->now_ms + PW_TIMER_MS_MAX) {
        return pw_err(err, PAWL_INVALID, "\"%s\" cannot be deferred for more than a hundred years",
                      a->name);
    }
    if (latest != 0 && until > latest) {
        iso(at, latest);
        return pw_err(err, PAWL_INVALID,
                      "\"%s\" cannot be deferred beyond %s, which its deadline allows", a->name,
                      at);
    }
    return a->by[0] != 0 ? PAWL_OK : pw_err(err, PAWL_INVALID, "say who defers \"%s\"", a->name);
}

static void defer(answer *a)
{
    pw_live *live = a->live;
    int64_t due = pw_body_int(a->body, "due_ms", 0);
    int64_t wait_ms = pawl_int(a->rq->args, "value.defer.for_ms", 0);
    int64_t until = pawl_int(a->rq->args, "value.defer.until_ms", 0);
    bool far = wait_ms > PW_TIMER_MS_MAX;
    until = until == 0 && wait_ms > 0 ? live->now_ms + (far ? PW_TIMER_MS_MAX : wait_ms) : until;
    pawl_error err;
    pawl_status st = check_until(a, until, &err);
    if (st == PAWL_OK && pw_body_int(a->body, "deferrals", 0) >= PW_VOTES_MAX) {
        st = pw_err(&err, PAWL_FULL, "\"%s\" was deferred %d times already", a->name, PW_VOTES_MAX);
    }
    if (st != PAWL_OK) {
        pw_input_refuse(live, a->rq, st, "%s", err.message);
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    emit_said(&e, a);
    pw_emit_opt(&e, "until_ms", until);
    if (due != 0 && until > due) {
        pw_emit_int(&e, "due_ms", until);
    }
    pw_view next = put_event(a, &e, PW_EV_WAIT_DEFERRED);
    if (next.size == 0) {
        pw_input_refuse(live, a->rq, PAWL_NOMEM, "out of memory");
        return;
    }
    stays_open(a, next);
    reply_said(a, "deferred", 0);
}

/* ---- an activity whose outcome is unknown ---- */

static bool is_unknown(pw_live *live, int64_t cmd)
{
    const pw_cmd *c = live->whole ? pw_cmd_find(live, cmd) : NULL;
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd, 0});
    return c != NULL ? c->state == PW_S_ACTIVITY_UNKNOWN
                     : job != NULL; /* (an activity asks nothing else) */
}

static void unknown(const answer *a)
{
    pw_live *live = a->live;
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, a->cmd, 0});
    bool again = strcmp(a->choice, "retry") == 0;
    if (!pw_answered_note(live, a->cmd, !again, (pw_view){NULL, 0})) {
        pw_input_refuse(live, a->rq, PAWL_NOMEM, "out of memory");
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_int(&e, "attempt", job != NULL ? job->attempt : 1);
    pw_emit_str(&e, "by", a->by);
    if (again) {
        pawl_failure f = {.type = "OutcomeUnknown", .message = "answered: it did not happen"};
        pw_emit_failure(&e, "failure", &f);
        pw_emit_int(&e, "due_ms", live->now_ms);
        (void)pw_emit_end(&e, PW_EV_ACTIVITY_RETRIED, a->cmd);
    } else if (strcmp(a->choice, "done") == 0) {
        pw_emit_value(&e, "result", a->data);
        (void)pw_emit_end(&e, PW_EV_ACTIVITY_COMPLETED, a->cmd);
    } else {
        pawl_failure f = {.type = "OutcomeUnknown", .message = "answered: give it up"};
        pw_emit_failure(&e, "failure", &f);
        (void)pw_emit_end(&e, PW_EV_ACTIVITY_FAILED, a->cmd);
    }
    reply_said(a, "decided", 0);
}

/* ---- the way of one ---- */

static pw_view value_key(const pw_request *rq, const char *key)
{
    return pw_body_get(pw_body_get(pw_value_bytes(rq->args), "value"), key);
}

static bool is_put_off(const pw_request *rq)
{
    pawl_type type = pawl_typeof(pawl_get(rq->args, "value.defer"));
    return type == PAWL_MAP || (type == PAWL_BOOL && pawl_bool(rq->args, "value.defer", false));
}

static void said(answer *a)
{
    bool put_off = is_put_off(a->rq);
    if (is_unknown(a->live, a->cmd)) {
        if (put_off) {
            pw_input_refuse(a->live, a->rq, PAWL_UNSUPPORTED,
                            "what became of an activity cannot be deferred");
        } else if (fits(a)) {
            unknown(a);
        }
        return;
    }
    if (!may(a)) {
        return;
    }
    if (put_off) {
        defer(a);
    } else if (!voted_before(a) && fits(a)) {
        if (pw_ballot_votes(a->body)) {
            vote(a);
        } else {
            decide(a, a->data);
            reply_said(a, "decided", 1);
        }
    }
}

void pw_answer_take(pw_live *live, pw_request *rq)
{
    answer a = {.live = live,
                .rq = rq,
                .asked = pw_arg_str(rq, "name"),
                .by = pw_arg_str(rq, "by"),
                .as = pawl_str(rq->args, "value.as", ""),
                .reason = pawl_str(rq->args, "value.reason", ""),
                .choice = pawl_str(rq->args, "value.choice", ""),
                .data = value_key(rq, "data")};
    pawl_error err;
    pawl_status st = live->core->jops->waits(live->core->reader, live->key, find_wait, &a, &err);
    if (st != PAWL_OK || live->record->failed) {
        live->record->failed = true; /* the turn comes again */
        pw_input_refuse(live, rq, st != PAWL_OK ? st : PAWL_NOMEM, "%s",
                        st != PAWL_OK ? err.message : "out of memory");
        return;
    }
    if (a.count != 1) {
        no_wait(&a);
        return;
    }
    said(&a);
}

void pw_answer_escalate(pw_live *live, const pw_cmd *cmd)
{
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "to", pw_body_str(live->scope, cmd->body, "escalate_to", ""));
    pw_emit_int(&e, "at_ms", live->now_ms);
    if (pw_emit_end(&e, PW_EV_WAIT_ESCALATED, cmd->id)) {
        pw_effects_wait(live, cmd->id, cmd->since_ms, cmd->body, cmd->due_ms);
        (void)pw_answered_note(live, cmd->id, false, cmd->body);
    }
}
