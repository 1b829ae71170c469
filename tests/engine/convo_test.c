/*
 * convo_test.c - conversations: appended by workflows of both kinds, read by activities by reference, journaled once, and never doubled or
 * lost by a crash. Does not test the chain of nodes itself: tests/journal does.
 */
#include "rig.h"

#include <stdio.h>

#define MESSAGE_BYTES 2000

static const pawl_value *message(pawl_scope *s, const char *role, int64_t n)
{
    return pawl_build(s, "{role: %s, n: %lld}", role, (long long)n);
}

/* The model: sees all messages, answers with how many there are and the numbers of the first and the last it was shown. */
static const pawl_value *model(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    int64_t from = pawl_int(in, "from", 0);
    const pawl_value *seen = pawl_task_convo(task, pawl_get(in, "messages"), from);
    if (seen == NULL) {
        return NULL;
    }
    size_t len = pawl_len(seen);
    return pawl_task_build(task, "{role: %s, n: %lld, len: %zu, first: %lld, last: %lld}", "model",
                           (long long)pawl_int(in, "n", -1), len,
                           (long long)pawl_int(pawl_at(seen, 0), "n", -1),
                           (long long)pawl_int(pawl_at(seen, len - 1), "n", -1));
}

/* ---- code ---- */

static const pawl_value *talk(pawl_run *w, const pawl_value *in)
{
    int64_t rounds = pawl_int(in, "rounds", 0);
    pawl_scope *s = pawl_run_scope(w);
    const pawl_value *convo = pawl_convo_append(w, NULL, message(s, "user", 0));
    const pawl_value *said = NULL;
    for (int64_t n = 1; pawl_ok(w) && n <= rounds; n++) {
        said =
            pawl_call(w, "model",
                      .input = pawl_json(w, "{messages: %p, n: %lld}", pawl_v(convo), (long long)n),
                      .retries = PAWL_RETRY_NONE);
        convo = pawl_convo_append(w, convo, said);
    }
    return pawl_json(w, "{convo: %p, len: %lld, said: %p, all: %p}", pawl_v(convo),
                     (long long)pawl_convo_len(convo), pawl_v(said),
                     pawl_v(pawl_convo_read(w, convo, 0)));
}

static void expect_in_order(const pawl_value *messages, int64_t len)
{
    assert_int_equal(pawl_len(messages), len);
    for (int64_t i = 0; i < len; i++) {
        assert_int_equal(pawl_int(pawl_at(messages, (size_t)i), "n", -1), i);
    }
}

static void an_activity_reads_what_was_appended_in_order(void **state)
{
    rig *r = *state;
    rig_workflow(r, "talk", talk);
    rig_activity(r, "model", model);
    rig_start_with(r, "talk", "a", rig_value(r, "{rounds: 10}"));
    const pawl_value *out = rig_result(r, "a");
    assert_int_equal(pawl_int(out, "len", 0), 11);
    assert_int_equal(pawl_int(out, "said.len", 0), 10);
    assert_int_equal(pawl_int(out, "said.first", -1), 0);
    assert_int_equal(pawl_int(out, "said.last", -1), 9);
    expect_in_order(pawl_get(out, "all"), 11);
    assert_int_equal(rig_count(r, "a", "ConvoAppended"), 11); /* [C1] */
    const pawl_value *e = rig_event(r, "a", "ConvoAppended", 10);
    assert_int_equal(pawl_int(e, "from", -1), 10);
    assert_true(pawl_equal(pawl_get(e, "value"), pawl_get(out, "convo")));
    assert_null(pawl_get(e, "input"));
}

static void a_crash_at_any_point_neither_doubles_nor_loses_a_message(void **state)
{
    rig *r = *state;
    rig_workflow(r, "talk", talk);
    rig_activity(r, "model", model);
    for (int after = 0; after < 40; after++) {
        char id[16];
        (void)snprintf(id, sizeof id, "a%d", after);
        (void)rig_post(r, "start", "{workflow: %s, id: %s, input: {rounds: 3}}", "talk", id);
        for (int i = 0; i < after; i++) {
            rig_step(r);
            (void)(i % 4 == 0   ? rig_commit(r)
                   : i % 4 == 1 ? rig_answer(r)
                   : i % 4 == 2 ? rig_work(r)
                                : rig_deliver(r));
        }
        rig_crash(r);
        rig_run(r);
        if (strcmp(rig_status(r, id), "") == 0) {
            rig_start_with(r, "talk", id, rig_value(r, "{rounds: 3}"));
        }
        rig_finish(r, id, 60000);
        assert_string_equal(rig_status(r, id), "completed");
        expect_in_order(pawl_get(rig_result(r, id), "all"), 4);
        assert_int_equal(rig_count(r, id, "ConvoAppended"), 4);
    }
}

/* ---- what it costs ---- */

static const pawl_value *long_talk(pawl_run *w, const pawl_value *in)
{
    int64_t rounds = pawl_int(in, "rounds", 0);
    char *text = pawl_alloc(w, MESSAGE_BYTES + 1);
    memset(text, 'x', MESSAGE_BYTES);
    const pawl_value *convo = NULL;
    for (int64_t n = 0; pawl_ok(w) && n < rounds; n++) {
        text[0] = (char)('a' + n % 26);
        text[1] = (char)('a' + n / 26 % 26);
        convo = pawl_convo_append(w, convo, pawl_json(w, "{role: %s, content: %s}", "user", text));
        (void)pawl_call(w, "count", .input = pawl_json(w, "{messages: %p}", pawl_v(convo)));
    }
    return pawl_json(w, "%p", pawl_v(convo));
}

static const pawl_value *count(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_make_int(pawl_task_scope(task),
                         (int64_t)pawl_len(pawl_task_convo(task, pawl_get(in, "messages"), 0)));
}

static bool add_bytes(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)first_seq;
    (void)events;
    *(size_t *)ctx += record.size;
    return true;
}

static size_t node_bytes(rig *r, const pawl_value *ref)
{
    uint8_t id[PW_DIGEST_SIZE], parent[PW_DIGEST_SIZE], none[PW_DIGEST_SIZE] = {0};
    const char *hex = pawl_str(ref, "$convo", "");
    for (size_t i = 0; i < sizeof id; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        id[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    size_t all = 0;
    pw_buf body = PW_BUF_INIT;
    pawl_error err;
    while (memcmp(id, none, sizeof id) != 0) {
        pw_buf_reset(&body);
        assert_int_equal(r->reader->ops->node(r->reader, id, parent, &body, &err), PAWL_OK);
        all += body.size;
        memcpy(id, parent, sizeof id);
    }
    pw_buf_deinit(&body);
    return all;
}

/* A hundred calls on a conversation that ends at 200 KB: with the messages in each input they would be 10 MB. */
static void a_hundred_calls_on_a_growing_conversation_write_it_once(void **state)
{
    rig *r = *state;
    rig_workflow(r, "talk", long_talk);
    rig_activity(r, "count", count);
    rig_start_with(r, "talk", "a", rig_value(r, "{rounds: 100}"));
    const pawl_value *ref = rig_result(r, "a");
    assert_int_equal(pawl_convo_len(ref), 100);
    assert_int_equal(pawl_int(rig_event(r, "a", "ActivityCompleted", 99), "result", 0), 100);
    size_t history = 0, nodes = node_bytes(r, ref);
    pawl_error err;
    assert_int_equal(r->reader->ops->read(r->reader, rig_key(r, "a"), 0, add_bytes, &history, &err),
                     PAWL_OK);
    assert_true(nodes >= (size_t)100 * MESSAGE_BYTES &&
                nodes < (size_t)100 * (MESSAGE_BYTES + 100));
    assert_true(history < (size_t)100 * 900); /* [C3] */
}

/* ---- references ---- */

static const pawl_value *forks(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_scope *s = pawl_run_scope(w);
    const pawl_value *root = pawl_convo_append(
        w, NULL, pawl_json(w, "[%p, %p]", pawl_v(message(s, "a", 0)), pawl_v(message(s, "b", 1))));
    const pawl_value *left = pawl_convo_append(w, root, message(s, "c", 2));
    const pawl_value *right = pawl_convo_append(w, root, message(s, "d", 20));
    const pawl_value *same = pawl_convo_append(w, root, message(s, "c", 2));
    const pawl_value *at_once = pawl_convo_read(w, right, 1); /* before any of it has landed */
    (void)pawl_sleep(w, 1);
    return pawl_json(
        w, "{left: %p, right: %p, at_once: %p, tail: %p, none: %p, same: %d, root: %lld}",
        pawl_v(pawl_convo_read(w, left, 0)), pawl_v(pawl_convo_read(w, right, -5)), pawl_v(at_once),
        pawl_v(pawl_convo_read(w, left, 2)), pawl_v(pawl_convo_read(w, left, 99)),
        (int)pawl_equal(left, same), (long long)pawl_convo_len(root));
}

static void a_reference_may_be_continued_twice_and_never_changes(void **state)
{
    rig *r = *state;
    rig_workflow(r, "forks", forks);
    rig_start(r, "forks", "a");
    rig_crash(r);
    rig_advance(r, 1000);
    const pawl_value *out = rig_result(r, "a");
    expect_in_order(pawl_get(out, "left"), 3); /* [C2] */
    assert_int_equal(pawl_len(pawl_get(out, "right")), 3);
    assert_int_equal(pawl_int(out, "right.2.n", -1), 20);
    assert_int_equal(pawl_int(out, "at_once.0.n", -1), 1);
    assert_int_equal(pawl_int(out, "at_once.1.n", -1), 20);
    assert_int_equal(pawl_len(pawl_get(out, "tail")), 1);
    assert_int_equal(pawl_int(out, "tail.0.n", -1), 2);
    assert_int_equal(pawl_len(pawl_get(out, "none")), 0);
    assert_int_equal(pawl_int(out, "same", 0), 1);
    assert_int_equal(pawl_int(out, "root", 0), 2);
}

static const pawl_value *goes_on(pawl_run *w, const pawl_value *in)
{
    int64_t n = pawl_convo_len(pawl_get(in, "convo"));
    const pawl_value *convo =
        pawl_convo_append(w, pawl_get(in, "convo"), message(pawl_run_scope(w), "user", n));
    if (n < 3) {
        return pawl_continue_as_new(w, pawl_json(w, "{convo: %p}", pawl_v(convo)));
    }
    return pawl_child(w, .workflow = "reads", .input = convo);
}

static const pawl_value *reads(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "model", .input = pawl_json(w, "{messages: %p, from: 2}", pawl_v(in)));
}

static void a_conversation_crosses_continue_as_new_and_goes_to_a_child(void **state)
{
    rig *r = *state;
    rig_workflow(r, "goes_on", goes_on);
    rig_workflow(r, "reads", reads);
    rig_activity(r, "model", model);
    rig_start(r, "goes_on", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "len", 0), 2);
    assert_int_equal(pawl_int(rig_result(r, "a"), "first", 0), 2);
    assert_int_equal(pawl_int(rig_result(r, "a"), "last", 0), 3);
}

/* ---- what is refused ---- */

static const pawl_value *refused(pawl_run *w, const pawl_value *in)
{
    pawl_scope *s = pawl_run_scope(w);
    const pawl_value *convo = pawl_get(in, "convo");
    const pawl_value *messages = pawl_get(in, "messages");
    if (pawl_bool(in, "huge", false)) {
        char *text = pawl_alloc(w, PW_CONVO_BYTES_MAX + 1);
        memset(text, 'x', PW_CONVO_BYTES_MAX);
        messages = pawl_make_strn(s, text, PW_CONVO_BYTES_MAX);
    }
    if (pawl_bool(in, "longer", false)) {
        const pawl_value *one = pawl_convo_append(w, NULL, message(s, "a", 0));
        convo = pawl_with(s, one, "len", pawl_make_int(s, 2));
    }
    (void)(pawl_bool(in, "read", false) ? pawl_convo_read(w, convo, 0)
                                        : pawl_convo_append(w, convo, messages));
    const pawl_failure *f = pawl_catch(w);
    (void)pawl_sleep(w, 1);
    return pawl_json(w, "{type: %s, message: %s}", f != NULL ? f->type : "",
                     f != NULL ? f->message : "");
}

static const struct refusal {
    const char *in, *type, *says;
} refusals[] = {
    {"{messages: {n: 1}}", "", ""},
    {"{}", "BadOption", "there is no message"},
    {"{messages: []}", "BadOption", "there is no message"},
    {"{huge: true}", "BadOption", "one append takes 16777216"},
    {"{convo: 7, messages: {n: 1}}", "BadOption", "no reference"},
    {"{convo: {len: 1}, messages: {n: 1}}", "BadOption", "no reference"},
    {"{convo: {$convo: \"00\", len: 1}, messages: {n: 1}}", "BadOption", "no reference"},
    {"{convo: {$convo: \"000000000000000000000000000000000000000000000000000000000000000g\", len: 1}, messages: {n: 1}}",
     "BadOption", "no reference"},
    {"{convo: {$convo: \"0100000000000000000000000000000000000000000000000000000000000000\", len: 1}, messages: {n: 1}}",
     "ConvoUnreadable", "no such conversation"},
    {"{convo: {$convo: \"0100000000000000000000000000000000000000000000000000000000000000\", len: 1}, read: true}",
     "ConvoUnreadable", "no such conversation"},
    {"{convo: 7, read: true}", "BadOption", "no reference"},
    {"{longer: true, messages: {n: 1}}", "ConvoUnreadable", "has 1 messages, not 2"},
    {"{longer: true, read: true}", "ConvoUnreadable", "has 1 messages, not 2"},
};

static void what_names_no_conversation_is_refused_and_a_replay_agrees(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", refused);
    for (size_t i = 0; i < PW_COUNT(refusals); i++) {
        const struct refusal *c = &refusals[i];
        char id[16];
        (void)snprintf(id, sizeof id, "a%zu", i);
        pawl_error err;
        const pawl_value *in = NULL;
        PW_CLEANUP(pw_buf_deinit) pw_buf json = PW_BUF_INIT;
        for (const char *at = c->in; *at != 0; at++) { /* keys without quotes, as in templates */
            bool letter = (*at >= 'a' && *at <= 'z') || *at == '$';
            bool first = letter && (at[-1] == '{' || (at[-1] == ' ' && at[-2] == ','));
            if (first) {
                size_t size = strcspn(at, ":");
                pw_buf_printf(&json, "\"%.*s\"", (int)size, at);
                at += size - 1;
            } else {
                pw_buf_putc(&json, (uint8_t)*at);
            }
        }
        assert_int_equal(pawl_parse_json(r->scope, (const char *)json.data, json.size, &in, &err),
                         PAWL_OK);
        rig_start_with(r, "wf", id, in);
        rig_crash(r);
        rig_advance(r, 1000);
        if (strcmp(pawl_str(rig_result(r, id), "type", "?"), c->type) != 0 ||
            strstr(pawl_str(rig_result(r, id), "message", ""), c->says) == NULL) {
            fail_msg("%s: %s: %s %s", c->in, pawl_str(rig_result(r, id), "type", "?"),
                     pawl_str(rig_result(r, id), "message", ""), rig_status(r, id));
        }
    }
}

static void an_activity_given_no_reference_fails_for_good(void **state)
{
    rig *r = *state;
    rig_workflow(r, "reads", reads);
    rig_activity(r, "model", model);
    rig_start_with(r, "reads", "a", rig_value(r, "{convo: 1}"));
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "ConvoUnreadable");
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 0);
}

/* ---- the replay check ---- */

static const pawl_value *says(pawl_run *w, int n)
{
    (void)pawl_convo_append(w, NULL, message(pawl_run_scope(w), "user", n));
    return pawl_signal(w, "end");
}

static const pawl_value *says_one(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return says(w, 1);
}

static const pawl_value *says_two(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return says(w, 2);
}

static void another_message_under_the_same_build_pauses_the_run(void **state)
{
    rig *r = *state;
    rig_workflow(r, "says", says_one);
    rig_start(r, "says", "a");
    rig_replace(r, "says", says_two);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "end")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "paused");
    rig_replace(r, "says", says_one);
    rig_crash(r);
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void another_message_of_another_build_is_drift_and_the_recorded_one_stays(void **state)
{
    rig *r = *state;
    rig_workflow(r, "says", says_one);
    rig_start(r, "says", "a");
    rig_replace(r, "says", says_two);
    r->build++;
    rig_crash(r);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "end")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(rig_count(r, "a", "DriftNoted"), 1);
}

/* ---- folded ---- */

typedef struct talker {
    char convo[200]; /* as JSON, "" = none yet */
    int64_t rounds, appended, read;
    bool asked, bad;
} talker;

static void *talker_new(void *user)
{
    (void)user;
    return calloc(1, sizeof(talker));
}

static void talker_apply(void *state, const pawl_fold_event *e)
{
    talker *t = state;
    if (strcmp(e->type, "RunStarted") == 0) {
        t->rounds = pawl_int(e->value, "rounds", 0);
    } else if (strcmp(e->type, "ConvoAppended") == 0) {
        t->appended++;
        (void)snprintf(t->convo, sizeof t->convo, "{\"$convo\":\"%s\",\"len\":%lld}",
                       pawl_str(e->value, "$convo", ""), (long long)pawl_int(e->value, "len", 0));
    } else if (strcmp(e->type, "ActivityScheduled") == 0) {
        t->asked = true;
    } else if (strcmp(e->type, "ActivityCompleted") == 0) {
        t->asked = false;
        t->read = pawl_int(e->value, "len", 0);
    }
}

static const pawl_value *convo_of(const talker *t, pawl_scope *s)
{
    const pawl_value *v = NULL;
    pawl_error err;
    return t->convo[0] != 0 && pawl_parse_json(s, t->convo, strlen(t->convo), &v, &err) == PAWL_OK
               ? v
               : NULL;
}

static void talker_decide(void *state, pawl_fold *f)
{
    const talker *t = state;
    pawl_scope *s = pawl_fold_scope(f);
    if (t->asked) {
        return;
    }
    if (t->appended == t->rounds) {
        const pawl_value *all = pawl_fold_convo_read(f, convo_of(t, s), 0);
        const pawl_value *bad = pawl_fold_convo_append(f, pawl_make_int(s, 3), message(s, "x", 0));
        pawl_fold_complete(f, pawl_build(s, "{all: %p, read: %lld, bad: %d}", pawl_v(all),
                                         (long long)t->read, (int)(bad == NULL)));
        return;
    }
    const pawl_value *next =
        pawl_fold_convo_append(f, convo_of(t, s), message(s, "user", t->appended));
    pawl_call_options o = {.name = "model", .input = pawl_build(s, "{messages: %p}", pawl_v(next))};
    (void)pawl_fold_call(f, &o, sizeof o);
}

static const pawl_value *talker_save(const void *state, pawl_scope *scope)
{
    const talker *t = state;
    return pawl_build(scope, "{convo: %s, rounds: %lld, appended: %lld, asked: %d}", t->convo,
                      (long long)t->rounds, (long long)t->appended, (int)t->asked);
}

static void *talker_load(const pawl_value *v, void *user)
{
    talker *t = talker_new(user);
    (void)snprintf(t->convo, sizeof t->convo, "%s", pawl_str(v, "convo", ""));
    t->rounds = pawl_int(v, "rounds", 0);
    t->appended = pawl_int(v, "appended", 0);
    t->asked = pawl_int(v, "asked", 0) != 0;
    return t;
}

static const pawl_folded talker_ops = {.struct_size = sizeof(pawl_folded),
                                       .init = talker_new,
                                       .apply = talker_apply,
                                       .decide = talker_decide,
                                       .save = talker_save,
                                       .load = talker_load,
                                       .deinit = free};

static void a_folded_workflow_talks_the_same_also_from_a_snapshot(void **state)
{
    rig *r = *state;
    rig_folded(r, "talker", &talker_ops);
    rig_activity(r, "model", model);
    for (int n = 0; n < 2; n++) {
        const char *id = n == 0 ? "a" : "b";
        (void)rig_post(r, "start", "{workflow: %s, id: %s, input: {rounds: 120}}", "talker", id);
        for (int i = 0; n == 1 && i < 7; i++) {
            for (int k = 0; k < 60; k++) {
                rig_step(r);
                (void)(k % 4 == 0   ? rig_commit(r)
                       : k % 4 == 1 ? rig_answer(r)
                       : k % 4 == 2 ? rig_work(r)
                                    : rig_deliver(r));
            }
            rig_crash(r);
        }
        rig_run(r);
        if (strcmp(rig_status(r, id), "") == 0) {
            rig_start_with(r, "talker", id, rig_value(r, "{rounds: 120}"));
        }
        rig_finish(r, id, 60000);
        assert_string_equal(rig_status(r, id), "completed");
        expect_in_order(pawl_get(rig_result(r, id), "all"), 120);
        assert_int_equal(pawl_int(rig_result(r, id), "read", 0), 120);
        assert_int_equal(pawl_int(rig_result(r, id), "bad", 0), 1);
        assert_true(rig_logged(r, "refused: pawl_fold_convo_append: this is no reference"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(an_activity_reads_what_was_appended_in_order),
        RIG_TEST(a_crash_at_any_point_neither_doubles_nor_loses_a_message),
        RIG_TEST(a_hundred_calls_on_a_growing_conversation_write_it_once),
        RIG_TEST(a_reference_may_be_continued_twice_and_never_changes),
        RIG_TEST(a_conversation_crosses_continue_as_new_and_goes_to_a_child),
        RIG_TEST(what_names_no_conversation_is_refused_and_a_replay_agrees),
        RIG_TEST(an_activity_given_no_reference_fails_for_good),
        RIG_TEST(another_message_under_the_same_build_pauses_the_run),
        RIG_TEST(another_message_of_another_build_is_drift_and_the_recorded_one_stays),
        RIG_TEST(a_folded_workflow_talks_the_same_also_from_a_snapshot),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
