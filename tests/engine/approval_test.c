/*
 * approval_test.c - what several people, or the right ones, say to one question: votes, four eyes, "not now", escalation, and what those are
 * told who come late. Whatever is evicted, crashed or paused between two answers, the end is the same.
 *
 * One answer of anybody, deadlines and defaults are signal_test.c's.
 */
#include "rig.h"

#include "engine/view.h"

#include <stdio.h>

#define DAY INT64_C(86400000)

/* ---- what is asked ---- */

/* The rules come as input, so one workflow serves every test. */
static const pawl_value *asks(pawl_run *w, const pawl_value *in)
{
    const pawl_value *v = pawl_ask(
        w, .name = "pay", .prompt = "Pay?", .choices = pawl_str(in, "choices", NULL),
        .schema = pawl_get(in, "schema"), .quorum = (int)pawl_int(in, "quorum", 0),
        .rejects = (int)pawl_int(in, "rejects", 0), .reject = pawl_str(in, "reject", NULL),
        .who = pawl_str(in, "who", NULL), .barred = pawl_str(in, "barred", NULL),
        .four_eyes = pawl_bool(in, "four_eyes", false), .deadline_s = pawl_num(in, "deadline", 0),
        .on_deadline = pawl_str(in, "otherwise", NULL), .escalate_s = pawl_num(in, "escalate", 0),
        .escalate_to = pawl_str(in, "to", NULL), .defer_max_s = pawl_num(in, "defer", 0));
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{answer: %p, type: %s}", pawl_v(v), f != NULL ? f->type : "");
}

static rig *begun(void **state, const char *rules)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    const pawl_value *in;
    pawl_error err;
    assert_int_equal(pawl_parse_json(r->scope, rules, strlen(rules), &in, &err), PAWL_OK);
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s, input: %p, by: %s}", "wf", "a",
                             pawl_v(in), "starter")
                         ->status,
                     PAWL_OK);
    return r;
}

static const rig_reply *named(rig *r, const char *name, const char *choice, const char *by)
{
    return rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s}, by: %s}", "a", name,
                   choice, by);
}

static const rig_reply *say(rig *r, const char *by, const char *choice)
{
    return named(r, "pay", choice, by);
}

static void said(rig *r, const char *by, const char *choice, const char *outcome)
{
    const rig_reply *reply = say(r, by, choice);
    if (reply->status != PAWL_OK || !pawl_is(reply->value, "outcome", outcome)) {
        fail_msg("%s said %s: %d %s, outcome %s, not %s", by, choice, (int)reply->status,
                 reply->message, pawl_str(reply->value, "outcome", "-"), outcome);
    }
}

static void refused(rig *r, const char *by, const char *choice, pawl_status status,
                    const char *text)
{
    const rig_reply *reply = say(r, by, choice);
    if (reply->status != status || strstr(reply->message, text) == NULL) {
        fail_msg("%s said %s: %d \"%s\", not %d with \"%s\"", by, choice, (int)reply->status,
                 reply->message, (int)status, text);
    }
}

/* The only open wait there is, as everybody sees it: from its row. */
static const pawl_value *the_wait(rig *r)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(
        pw_view_request(r->reader, PW_REQ_WAITS, rig_value(r, "{limit: 0}"), &out, &err), PAWL_OK);
    const pawl_value *waits = pw_value_copy(r->scope, out.data, out.size);
    assert_int_equal(pawl_len(waits), 1);
    return pawl_at(waits, 0);
}

static const char *choice_of(rig *r)
{
    return pawl_str(rig_result(r, "a"), "answer.choice", "");
}

/* ---- quorum ---- */

#define TWO "{\"choices\": \"approve|reject|modify\", \"quorum\": 2}"

static void two_of_two_must_approve_and_a_crash_between_them_loses_no_vote(void **state)
{
    rig *r = begun(state, TWO);
    said(r, "ann", "approve", "voted");
    assert_string_equal(rig_status(r, "a"), "running");
    assert_string_equal(rig_waiting(r, "a"), "answer pay (1 vote, 2 must agree)");
    rig_crash(r);
    assert_int_equal(pawl_len(pawl_get(the_wait(r), "votes")), 1);
    said(r, "bob", "approve", "decided");
    assert_string_equal(choice_of(r), "approve");
    const pawl_value *v = rig_result(r, "a");
    assert_string_equal(pawl_str(v, "answer.by", ""), "bob");
    assert_int_equal(pawl_len(pawl_get(v, "answer.votes")), 2);
    assert_string_equal(pawl_str(pawl_at(pawl_get(v, "answer.votes"), 0), "by", ""), "ann");
    assert_string_equal(rig_history(r, "a"), "RunStarted WaitCreated:pay WaitVoted WaitVoted "
                                             "WaitAnswered RunCompleted");
}

static void one_reject_decides_against_any_quorum(void **state)
{
    rig *r = begun(state, "{\"choices\": \"approve|reject\", \"quorum\": 5}");
    said(r, "ann", "approve", "voted");
    said(r, "bob", "reject", "decided");
    assert_string_equal(choice_of(r), "reject");
}

static void as_many_rejects_decide_as_are_asked_for(void **state)
{
    rig *r = begun(state, "{\"choices\": \"yes|no|never\", \"quorum\": 3, \"rejects\": 2, "
                          "\"reject\": \"no|never\"}");
    said(r, "ann", "no", "voted");
    said(r, "bob", "never", "voted"); /* another choice: they do not say the same */
    rig_crash(r);
    said(r, "cid", "no", "decided");
    assert_string_equal(choice_of(r), "no");
}

static void a_vote_is_one_and_stands(void **state)
{
    rig *r = begun(state, TWO);
    said(r, "ann", "approve", "voted");
    refused(r, "ann", "approve", PAWL_CONFLICT, "ann has voted on \"pay\" already: approve");
    rig_crash(r);
    refused(r, "ann", "reject", PAWL_CONFLICT, "that stands");
    assert_int_equal(rig_count(r, "a", "WaitVoted"), 1);
    refused(r, "", "approve", PAWL_INVALID, "say who answers");
    said(r, "bob", "approve", "decided");
}

static const rig_reply *modify(rig *r, const char *by, const char *json)
{
    const pawl_value *data;
    pawl_error err;
    assert_int_equal(pawl_parse_json(r->scope, json, strlen(json), &data, &err), PAWL_OK);
    return rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: %p}, by: %s}", "a", "modify",
                   pawl_v(data), by);
}

static void people_agree_when_they_say_the_same_data_whatever_the_order_of_its_keys(void **state)
{
    rig *r = begun(state, TWO);
    assert_string_equal(
        pawl_str(modify(r, "ann", "{\"sum\": 1, \"to\": \"x\"}")->value, "outcome", ""), "voted");
    assert_string_equal(
        pawl_str(modify(r, "bob", "{\"sum\": 2, \"to\": \"x\"}")->value, "outcome", ""), "voted");
    said(r, "cid", "approve", "voted");
    rig_crash(r);
    assert_string_equal(
        pawl_str(modify(r, "dan", "{\"to\": \"x\", \"sum\": 1}")->value, "outcome", ""), "decided");
    assert_string_equal(choice_of(r), "modify");
    assert_int_equal(pawl_int(rig_result(r, "a"), "answer.data.sum", 0), 1);
    assert_int_equal(pawl_len(pawl_get(rig_result(r, "a"), "answer.votes")), 4);
}

static void data_too_large_for_a_row_is_voted_on_as_well(void **state)
{
    rig *r = begun(state, TWO);
    char json[6000];
    (void)snprintf(json, sizeof json, "{\"text\": \"%05000d\"}", 7);
    assert_string_equal(pawl_str(modify(r, "ann", json)->value, "outcome", ""), "voted");
    rig_crash(r);
    assert_int_equal(strlen(pawl_str(pawl_at(pawl_get(the_wait(r), "votes"), 0), "data.text", "")),
                     5000);
    assert_string_equal(pawl_str(modify(r, "bob", json)->value, "outcome", ""), "decided");
    assert_int_equal(strlen(pawl_str(rig_result(r, "a"), "answer.data.text", "")), 5000);
}

static void votes_of_one_turn_are_counted_one_after_the_other(void **state)
{
    rig *r = begun(state, TWO);
    static const char *const who[] = {"ann", "ann", "bob", "cid"};
    const rig_reply *reply[4];
    for (int i = 0; i < 4; i++) {
        reply[i] = rig_post(r, "answer", "{id: %s, name: %s, value: {choice: %s}, by: %s}", "a",
                            "pay", "approve", who[i]);
    }
    rig_run(r);
    assert_string_equal(pawl_str(reply[0]->value, "outcome", ""), "voted");
    assert_int_equal(reply[1]->status, PAWL_CONFLICT);
    assert_string_equal(pawl_str(reply[2]->value, "outcome", ""), "decided");
    assert_int_equal(reply[3]->status, PAWL_CONFLICT);
    assert_non_null(strstr(reply[3]->message, "approve by bob"));
    assert_int_equal(rig_count(r, "a", "WaitVoted"), 2);
    assert_int_equal(rig_count(r, "a", "WaitAnswered"), 1);
}

static void a_paused_run_takes_votes_from_its_rows_alone(void **state)
{
    rig *r = begun(state, TWO);
    said(r, "ann", "approve", "voted");
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    rig_crash(r);
    refused(r, "ann", "approve", PAWL_CONFLICT, "already");
    const rig_reply *both[2];
    both[0] = rig_post(r, "answer", "{id: %s, value: {choice: %s}, by: %s}", "a", "modify", "bob");
    both[1] = rig_post(r, "answer", "{id: %s, value: {choice: %s}, by: %s}", "a", "approve", "cid");
    rig_run(r);
    assert_string_equal(pawl_str(both[0]->value, "outcome", ""), "voted");
    assert_string_equal(pawl_str(both[1]->value, "outcome", ""), "decided");
    rig_crash(r);
    refused(r, "dan", "reject", PAWL_CONFLICT, "answered before: approve by cid");
    assert_string_equal(rig_status(r, "a"), "paused");
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(choice_of(r), "approve");
    assert_int_equal(pawl_len(pawl_get(rig_result(r, "a"), "answer.votes")), 3);
}

static void a_reason_is_kept_with_the_vote_and_given_to_the_code(void **state)
{
    rig *r = begun(state, TWO);
    assert_int_equal(rig_ask(r, "answer",
                             "{id: %s, value: {choice: %s, reason: %s, as: %s}, by: %s}", "a",
                             "reject", "too dear", "finance", "ann")
                         ->status,
                     PAWL_OK);
    const pawl_value *v = rig_result(r, "a");
    assert_string_equal(pawl_str(v, "answer.reason", ""), "too dear");
    assert_string_equal(pawl_str(v, "answer.as", ""), "finance");
    assert_string_equal(pawl_str(pawl_at(pawl_get(v, "answer.votes"), 0), "reason", ""),
                        "too dear");
    assert_string_equal(pawl_str(rig_event(r, "a", "WaitVoted", 0), "reason", ""), "too dear");
}

/* ---- who may ---- */

static void who_started_the_run_may_not_answer_and_others_may(void **state)
{
    rig *r = begun(state, "{\"choices\": \"yes|no\", \"four_eyes\": true, \"barred\": \"eve\"}");
    refused(r, "starter", "yes", PAWL_DENIED, "starter may not answer \"pay\"");
    refused(r, "eve", "yes", PAWL_DENIED, "eve may not answer");
    rig_crash(r);
    refused(r, "starter", "no", PAWL_DENIED, "starter");
    refused(r, "", "yes", PAWL_INVALID, "say who");
    assert_int_equal(rig_count(r, "a", "WaitAnswered"), 0);
    said(r, "ann", "yes", "decided");
}

static void only_those_who_are_named_may_answer_by_name_or_by_role(void **state)
{
    rig *r =
        begun(state, "{\"choices\": \"yes|no\", \"who\": \"ann|finance\", \"barred\": \"eve\"}");
    refused(r, "bob", "yes", PAWL_DENIED, "it is for ann|finance");
    refused(r, "an", "yes", PAWL_DENIED, "it is for");
    refused(r, "ann|finance", "yes", PAWL_DENIED, "it is for");
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s, as: %s}, by: %s}", "a",
                             "yes", "finance", "eve")
                         ->status,
                     PAWL_DENIED);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s, as: %s}, by: %s}", "a",
                             "yes", "finance", "bob")
                         ->status,
                     PAWL_OK);
    assert_string_equal(pawl_str(rig_event(r, "a", "WaitAnswered", 0), "as", ""), "finance");
}

static const pawl_value *again_and_asks(pawl_run *w, const pawl_value *in)
{
    if (!pawl_bool(in, "again", false)) {
        return pawl_continue_as_new(w, pawl_json(w, "{again: true}"));
    }
    return pawl_child(w, .workflow = "child");
}

static const pawl_value *child_asks(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *v = pawl_ask(w, .name = "pay", .choices = "yes|no", .four_eyes = true);
    return pawl_json(w, "{answer: %p}", pawl_v(v));
}

static void four_eyes_look_through_children_and_continue_as_new(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", again_and_asks);
    rig_workflow(r, "child", child_asks);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, by: %s}", "wf", "a", "starter")->status,
        PAWL_OK);
    const pawl_value *wait = the_wait(r);
    const char *child = pawl_str(wait, "id", "");
    assert_string_equal(pawl_str(wait, "barred", ""), "starter");
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s}, by: %s}", child, "yes", "starter")
            ->status,
        PAWL_DENIED);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s}, by: %s}", child, "yes", "ann")->status,
        PAWL_OK);
    assert_string_equal(pawl_str(rig_result(r, "a"), "answer.choice", ""), "yes");
}

static void four_eyes_are_refused_when_nobody_is_on_record_as_the_starter(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", child_asks);
    rig_start(r, "wf", "a");
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "BadOption");
}

/* ---- data that does not fit ---- */

static void
an_answer_that_does_not_fit_its_schema_points_at_where_and_the_wait_stays_open(void **state)
{
    rig *r = begun(state, "{\"choices\": \"approve|modify\", \"schema\": {\"type\": \"object\", "
                          "\"properties\": {\"sum\": {\"type\": \"integer\"}}}}");
    const rig_reply *bad = modify(r, "ann", "{\"sum\": \"much\"}");
    assert_int_equal(bad->status, PAWL_INVALID);
    assert_non_null(strstr(bad->message, "/sum"));
    assert_string_equal(rig_status(r, "a"), "running");
    assert_int_equal(modify(r, "ann", "{\"sum\": 3}")->status, PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "answer.data.sum", 0), 3);
}

/* ---- not now ---- */

#define LATER \
    "{\"choices\": \"yes|no\", \"deadline\": 86400, \"otherwise\": \"no\", \"defer\": 172800}"

static const rig_reply *defer(rig *r, const char *by, int64_t until_ms)
{
    return rig_ask(r, "answer", "{id: %s, value: {defer: {until_ms: %lld}, reason: %s}, by: %s}",
                   "a", (long long)until_ms, "on holiday", by);
}

static void a_deferred_question_stays_open_and_says_who_why_and_until_when(void **state)
{
    rig *r = begun(state, LATER);
    assert_string_equal(pawl_str(defer(r, "ann", RIG_START_MS + 1000)->value, "outcome", ""),
                        "deferred");
    rig_crash(r);
    const pawl_value *w = the_wait(r);
    assert_string_equal(pawl_str(w, "deferred.by", ""), "ann");
    assert_string_equal(pawl_str(w, "deferred.reason", ""), "on holiday");
    assert_int_equal(pawl_int(w, "deferred.until_ms", 0), RIG_START_MS + 1000);
    assert_int_equal(pawl_int(w, "deadline_ms", 0), RIG_START_MS + DAY); /* not moved */
    assert_string_equal(rig_waiting(r, "a"), "answer pay (deferred)");
    said(r, "bob", "yes", "decided");
    assert_string_equal(choice_of(r), "yes");
    assert_string_equal(rig_history(r, "a"),
                        "RunStarted WaitCreated:pay WaitDeferred WaitAnswered RunCompleted");
}

static void deferring_moves_the_deadline_up_to_what_is_allowed_and_no_further(void **state)
{
    rig *r = begun(state, LATER);
    assert_int_equal(defer(r, "ann", RIG_START_MS + 2 * DAY)->status, PAWL_OK);
    rig_crash(r);
    assert_int_equal(pawl_int(the_wait(r), "deadline_ms", 0), RIG_START_MS + 2 * DAY);
    rig_advance(r, DAY + 1000); /* the first deadline */
    assert_string_equal(rig_status(r, "a"), "running");
    assert_int_equal(defer(r, "ann", RIG_START_MS + 3 * DAY)->status, PAWL_OK);
    const rig_reply *beyond = defer(r, "bob", RIG_START_MS + 3 * DAY + 1);
    assert_int_equal(beyond->status, PAWL_INVALID);
    assert_non_null(strstr(beyond->message, "beyond 2023-11-17T"));
    rig_advance(r, 2 * DAY - 1001);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_advance(r, 1);
    assert_string_equal(choice_of(r), "no");
    assert_string_equal(pawl_str(rig_result(r, "a"), "answer.by", ""), "deadline");
    assert_int_equal(rig_count(r, "a", "WaitDeferred"), 2);
    assert_int_equal(rig_count(r, "a", "WaitExpired"), 1);
}

static void a_question_cannot_be_deferred_into_the_past_or_by_nobody(void **state)
{
    rig *r = begun(state, LATER);
    assert_int_equal(defer(r, "ann", RIG_START_MS - 1)->status, PAWL_INVALID);
    assert_int_equal(defer(r, "", RIG_START_MS + 1000)->status, PAWL_INVALID);
    assert_int_equal(rig_count(r, "a", "WaitDeferred"), 0);
}

static void without_an_end_a_question_is_deferred_until_somebody_answers(void **state)
{
    rig *r = begun(state, TWO);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {defer: true}, by: %s}", "a", "ann")->status,
        PAWL_OK);
    assert_string_equal(pawl_str(the_wait(r), "deferred.by", ""), "ann");
    said(r, "bob", "approve", "voted");
    assert_int_equal(pawl_typeof(pawl_get(the_wait(r), "deferred")), PAWL_NIL);
    said(r, "ann", "approve", "decided"); /* who defers has not voted */
}

static void who_may_not_answer_may_not_defer_either(void **state)
{
    rig *r = begun(state, "{\"choices\": \"yes|no\", \"four_eyes\": true}");
    assert_int_equal(defer(r, "starter", RIG_START_MS + 1000)->status, PAWL_DENIED);
}

static void a_paused_run_can_be_deferred_and_its_moved_deadline_holds_after_it_resumes(void **state)
{
    rig *r = begun(state, LATER);
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    rig_crash(r);
    assert_int_equal(defer(r, "ann", RIG_START_MS + 2 * DAY)->status, PAWL_OK);
    rig_advance(r, DAY + 1000);
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    rig_advance(r, 1000);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_advance(r, DAY);
    assert_string_equal(choice_of(r), "no");
}

/* ---- escalation ---- */

#define ESCALATES                                                                        \
    "{\"choices\": \"yes|no\", \"who\": \"ann\", \"escalate\": 3600, \"to\": \"boss\", " \
    "\"deadline\": 86400, \"otherwise\": \"no\"}"

static void an_escalated_question_is_for_further_people_and_watchers_hear_of_it(void **state)
{
    rig *r = begun(state, ESCALATES);
    refused(r, "boss", "yes", PAWL_DENIED, "it is for ann");
    rig_advance(r, 3599999);
    assert_int_equal(rig_count(r, "a", "WaitEscalated"), 0);
    rig_crash(r);
    const rig_reply *watch = rig_post(r, "watch", "{id: %s}", "a");
    rig_advance(r, 1);
    assert_string_equal(pawl_str(watch->value, "type", ""), "WaitEscalated");
    assert_string_equal(pawl_str(watch->value, "to", ""), "boss");
    rig_crash(r);
    assert_int_equal(pawl_int(the_wait(r), "escalated_ms", 0), RIG_START_MS + 3600000);
    assert_string_equal(rig_waiting(r, "a"), "answer pay (escalated)");
    rig_advance(r, 3600000);
    assert_int_equal(rig_count(r, "a", "WaitEscalated"), 1);
    said(r, "boss", "yes", "decided");
    assert_string_equal(choice_of(r), "yes");
    rig_advance(r, 2 * DAY);
    assert_int_equal(rig_count(r, "a", "WaitExpired"), 0);
}

static void one_that_is_answered_in_time_is_not_escalated(void **state)
{
    rig *r = begun(state, ESCALATES);
    said(r, "ann", "no", "decided");
    rig_advance(r, 2 * DAY);
    assert_int_equal(rig_count(r, "a", "WaitEscalated"), 0);
}

static void a_deferral_does_not_hold_back_escalation_and_ends_with_it(void **state)
{
    rig *r = begun(state, ESCALATES);
    assert_int_equal(defer(r, "ann", RIG_START_MS + DAY)->status, PAWL_OK);
    rig_advance(r, 3600000);
    assert_int_equal(pawl_typeof(pawl_get(the_wait(r), "deferred")), PAWL_NIL);
    assert_int_equal(rig_count(r, "a", "WaitEscalated"), 1);
    rig_advance(r, DAY - 3600000);
    assert_string_equal(choice_of(r), "no");
}

static void a_run_that_was_paused_meanwhile_escalates_and_expires_in_that_order(void **state)
{
    rig *r = begun(state, ESCALATES);
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    rig_advance(r, 2 * DAY);
    rig_crash(r);
    assert_int_equal(rig_count(r, "a", "WaitEscalated"), 0);
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(choice_of(r), "no");
    assert_string_equal(rig_history(r, "a"),
                        "RunStarted WaitCreated:pay RunPaused RunResumed WaitEscalated WaitExpired "
                        "RunCompleted");
}

static void a_cancelled_run_leaves_no_timer_of_its_question(void **state)
{
    rig *r = begun(state, ESCALATES);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    int64_t fired = rig_stat(r, "timers_fired");
    rig_advance(r, 2 * DAY);
    assert_int_equal(rig_stat(r, "timers_fired"), fired);
    assert_int_equal(rig_count(r, "a", "WaitEscalated"), 0);
}

/* ---- those who come late ---- */

static void an_answer_after_the_end_of_the_run_is_told_who_decided_what_and_when(void **state)
{
    rig *r = begun(state, "{\"choices\": \"yes|no\"}");
    said(r, "ann", "yes", "decided");
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_crash(r);
    const rig_reply *late = say(r, "bob", "no");
    assert_int_equal(late->status, PAWL_CONFLICT);
    assert_non_null(strstr(late->message, "yes by ann, at 2023-11-14T22:13:20Z"));
    assert_string_equal(pawl_str(late->value, "by", ""), "ann");
    assert_string_equal(pawl_str(late->value, "choice", ""), "yes");
    assert_int_equal(pawl_int(late->value, "at_ms", 0), RIG_START_MS);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s}}", "a", "other", "no")->status,
        PAWL_CLOSED);
    assert_string_equal(choice_of(r), "yes");
}

static void an_answer_to_what_has_expired_is_told_so(void **state)
{
    rig *r = begun(state, "{\"choices\": \"yes|no\", \"deadline\": 60}");
    rig_advance(r, 60000);
    refused(r, "bob", "no", PAWL_CONFLICT, "its deadline has passed");
    assert_string_equal(pawl_str(say(r, "bob", "no")->value, "outcome", ""), "expired");
}

static const pawl_value *asks_twice(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *first = pawl_ask(w, .name = "pay", .choices = "yes|no");
    const pawl_value *second = pawl_ask(w, .name = "pay", .choices = "yes|no");
    pawl_future *third = pawl_ask_start(w, "gone", .choices = "yes|no");
    pawl_future_cancel(w, third);
    (void)pawl_catch(w);
    (void)pawl_sleep(w, 10);
    return pawl_json(w, "{first: %s, second: %s}", pawl_str(first, "choice", ""),
                     pawl_str(second, "choice", ""));
}

static void an_answer_that_names_its_question_with_the_number_means_no_later_one(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks_twice);
    rig_start(r, "wf", "a");
    assert_int_equal(named(r, "pay:1", "yes", "ann")->status, PAWL_OK);
    const rig_reply *stale = named(r, "pay:1", "no", "bob");
    assert_int_equal(stale->status, PAWL_CONFLICT);
    assert_non_null(strstr(stale->message, "yes by ann"));
    assert_int_equal(named(r, "pay:2", "no", "bob")->status, PAWL_OK);
    const rig_reply *gone = named(r, "gone", "yes", "ann");
    assert_int_equal(gone->status, PAWL_CONFLICT);
    assert_string_equal(pawl_str(gone->value, "outcome", ""), "withdrawn");
    rig_advance(r, 10000);
    assert_string_equal(pawl_str(rig_result(r, "a"), "first", ""), "yes");
    assert_string_equal(pawl_str(rig_result(r, "a"), "second", ""), "no");
}

static void the_same_answer_under_the_same_key_gets_the_first_outcome_again(void **state)
{
    rig *r = begun(state, TWO);
    for (int i = 0; i < 3; i++) {
        const rig_reply *reply =
            rig_ask(r, "answer", "{id: %s, value: {choice: %s}, by: %s, dedup: %s}", "a", "approve",
                    "ann", "k1");
        assert_int_equal(reply->status, PAWL_OK);
        assert_string_equal(pawl_str(reply->value, "outcome", ""), "voted");
        assert_int_equal(pawl_bool(reply->value, "again", false), i > 0);
        rig_crash(r);
    }
    assert_int_equal(rig_count(r, "a", "WaitVoted"), 1);
}

static void an_answer_from_the_inbox_counts_and_a_stale_one_harms_nobody(void **state)
{
    rig *r = begun(state, TWO);
    rig_kill(r);
    rig_post_inbox(r, "answer",
                   rig_value(r, "{id: %s, value: {choice: %s}, by: %s, dedup: %s}", "a", "approve",
                             "ann", "k1"),
                   "k1");
    rig_post_inbox(r, "answer",
                   rig_value(r, "{id: %s, value: {choice: %s}, by: %s}", "a", "approve", "ann"),
                   "");
    rig_boot(r);
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "WaitVoted"), 1);
    assert_true(rig_logged(r, "a posted answer was not done"));
    said(r, "bob", "approve", "decided");
    assert_int_equal(pawl_typeof(pawl_get(rig_event(r, "a", "WaitVoted", 0), "uid")), PAWL_NIL);
}

/* ---- a run that is opened again ---- */

static const pawl_value *asks_and_fails(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *q = pawl_ask_start(w, "pay", .choices = "yes|no", .quorum = 2, .escalate_s = 50,
                                    .deadline_s = 100, .on_deadline = "no");
    (void)pawl_call(w, "work", .retries = PAWL_RETRY_NONE);
    const pawl_value *v = pawl_await(w, q);
    return pawl_json(w, "{answer: %p}", pawl_v(v));
}

static void a_retried_run_keeps_its_votes_and_its_timers(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks_and_fails);
    rig_held(r, "work", PAWL_EFFECT_IDEMPOTENT);
    rig_start(r, "wf", "a");
    said(r, "ann", "yes", "voted");
    rig_fail(r, rig_task_find(r, "work"), "Broken", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(pawl_len(pawl_get(the_wait(r), "votes")), 1);
    assert_int_equal(pawl_int(the_wait(r), "created_ms", 0), RIG_START_MS);
    rig_done(r, rig_task_find(r, "work"), NULL);
    rig_advance(r, 50000);
    assert_int_equal(rig_count(r, "a", "WaitEscalated"), 1);
    said(r, "bob", "yes", "decided");
    assert_string_equal(choice_of(r), "yes");
}

static const pawl_value *asks_shielded(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 0);
    const pawl_value *v = pawl_ask(w, .name = "pay", .choices = "yes|no", .quorum = 2);
    pawl_unshield(w);
    return pawl_json(w, "{answer: %p}", pawl_v(v));
}

static void the_question_of_a_shielded_branch_is_voted_on_while_the_run_is_cancelled(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks_shielded);
    rig_start(r, "wf", "a");
    said(r, "ann", "yes", "voted");
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    rig_crash(r);
    said(r, "bob", "yes", "decided");
    assert_string_equal(choice_of(r), "yes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(two_of_two_must_approve_and_a_crash_between_them_loses_no_vote),
        RIG_TEST(one_reject_decides_against_any_quorum),
        RIG_TEST(as_many_rejects_decide_as_are_asked_for),
        RIG_TEST(a_vote_is_one_and_stands),
        RIG_TEST(people_agree_when_they_say_the_same_data_whatever_the_order_of_its_keys),
        RIG_TEST(data_too_large_for_a_row_is_voted_on_as_well),
        RIG_TEST(votes_of_one_turn_are_counted_one_after_the_other),
        RIG_TEST(a_paused_run_takes_votes_from_its_rows_alone),
        RIG_TEST(a_reason_is_kept_with_the_vote_and_given_to_the_code),
        RIG_TEST(who_started_the_run_may_not_answer_and_others_may),
        RIG_TEST(only_those_who_are_named_may_answer_by_name_or_by_role),
        RIG_TEST(four_eyes_look_through_children_and_continue_as_new),
        RIG_TEST(four_eyes_are_refused_when_nobody_is_on_record_as_the_starter),
        RIG_TEST(an_answer_that_does_not_fit_its_schema_points_at_where_and_the_wait_stays_open),
        RIG_TEST(a_deferred_question_stays_open_and_says_who_why_and_until_when),
        RIG_TEST(deferring_moves_the_deadline_up_to_what_is_allowed_and_no_further),
        RIG_TEST(a_question_cannot_be_deferred_into_the_past_or_by_nobody),
        RIG_TEST(without_an_end_a_question_is_deferred_until_somebody_answers),
        RIG_TEST(who_may_not_answer_may_not_defer_either),
        RIG_TEST(a_paused_run_can_be_deferred_and_its_moved_deadline_holds_after_it_resumes),
        RIG_TEST(an_escalated_question_is_for_further_people_and_watchers_hear_of_it),
        RIG_TEST(one_that_is_answered_in_time_is_not_escalated),
        RIG_TEST(a_deferral_does_not_hold_back_escalation_and_ends_with_it),
        RIG_TEST(a_run_that_was_paused_meanwhile_escalates_and_expires_in_that_order),
        RIG_TEST(a_cancelled_run_leaves_no_timer_of_its_question),
        RIG_TEST(an_answer_after_the_end_of_the_run_is_told_who_decided_what_and_when),
        RIG_TEST(an_answer_to_what_has_expired_is_told_so),
        RIG_TEST(an_answer_that_names_its_question_with_the_number_means_no_later_one),
        RIG_TEST(the_same_answer_under_the_same_key_gets_the_first_outcome_again),
        RIG_TEST(an_answer_from_the_inbox_counts_and_a_stale_one_harms_nobody),
        RIG_TEST(a_retried_run_keeps_its_votes_and_its_timers),
        RIG_TEST(the_question_of_a_shielded_branch_is_voted_on_while_the_run_is_cancelled),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
