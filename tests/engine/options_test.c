/*
 * options_test.c - one table of options, asked for by code and by a folded workflow: both take, and both refuse, the same.
 * Does not look at what the commands then do.
 */
#include "rig.h"

#include <math.h>
#include <stdio.h>

typedef enum kind { CALL, MAP, TIMER, SIGNAL, SEND, CHILD, ASK, SET } kind;

typedef struct option_case {
    const char *what;
    kind kind;
    const char *type; /* of the refusal; NULL = it is taken */
    const char *says;
    pawl_call_options call;
    pawl_map_options map;
    double seconds;
    pawl_signal_options signal;
    const char *to, *name;
    pawl_child_options child;
    pawl_ask_options ask;
    const char *schema, *items; /* JSON */
    bool twice;
    bool folded_only; /* refused to a folded workflow, taken of code */
} option_case;

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define FIVE_HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
#define CENTURY_S 3155760000.0

static const option_case cases[] = {
    {"a plain call", CALL, NULL, NULL, .call = {.name = "work"}},
    {"all of a call", CALL, NULL, NULL,
     .call = {.name = "work",
              .timeout_s = CENTURY_S,
              .schedule_timeout_s = 1,
              .heartbeat_s = 0.001,
              .retries = PAWL_RETRY_FOREVER,
              .retry_initial_s = 1,
              .retry_factor = 1,
              .retry_max_s = 1,
              .no_retry = "A|B",
              .effect = PAWL_EFFECT_UNSAFE,
              .on_cancel = PAWL_CANCEL_ABANDON,
              .queue = "slow queue \xc3\xa9",
              .priority = -5,
              .limit_key = "tenant"}},
    {"empty texts are not given", CALL, NULL, NULL,
     .call = {.name = "work", .undo = "", .queue = "", .limit_key = "", .no_retry = ""}},
    {"a call without a name", CALL, "InvalidName", "no name given", .call = {0}},
    {"a call with an empty name", CALL, "InvalidName", "activity: a name has 1 to 100 bytes",
     .call = {.name = ""}},
    {"a call with a long name", CALL, "InvalidName", "not 101", .call = {.name = "a" HUNDRED}},
    {"a call with a strange name", CALL, "InvalidName", "byte 2 of a name is 0xff",
     .call = {.name = "a\xff"}},
    {"a negative timeout", CALL, "BadOption", "timeout_s is -1",
     .call = {.name = "work", .timeout_s = -1}},
    {"a timeout that is no number", CALL, "BadOption", "timeout_s is",
     .call = {.name = "work", .timeout_s = NAN}},
    {"a timeout without end", CALL, "BadOption", "timeout_s is inf",
     .call = {.name = "work", .timeout_s = INFINITY}},
    {"a negative time to start", CALL, "BadOption", "schedule_timeout_s is -2",
     .call = {.name = "work", .schedule_timeout_s = -2}},
    {"a negative heartbeat", CALL, "BadOption", "heartbeat_s is -3",
     .call = {.name = "work", .heartbeat_s = -3}},
    {"too few retries", CALL, "BadOption", "retries is -2",
     .call = {.name = "work", .retries = -2}},
    {"a negative first wait", CALL, "BadOption", "retry_initial_s is -1",
     .call = {.name = "work", .retry_initial_s = -1}},
    {"a negative longest wait", CALL, "BadOption", "retry_max_s is -1",
     .call = {.name = "work", .retry_max_s = -1}},
    {"a shrinking wait", CALL, "BadOption", "retry_factor is 0.5",
     .call = {.name = "work", .retry_factor = 0.5}},
    {"a factor without end", CALL, "BadOption", "retry_factor is inf",
     .call = {.name = "work", .retry_factor = INFINITY}},
    {"failure types that are not text", CALL, "BadOption", "no_retry is not UTF-8",
     .call = {.name = "work", .no_retry = "A\xc3"}},
    {"an unknown effect", CALL, "BadOption", "effect is 4",
     .call = {.name = "work", .effect = (pawl_effect)4}},
    {"an unknown way to cancel", CALL, "BadOption", "on_cancel is 3",
     .call = {.name = "work", .on_cancel = (pawl_on_cancel)3}},
    {"an undo that nobody would run", CALL, "BadOption", "undo is for code workflows",
     .call = {.name = "work", .undo = "back"}, .folded_only = true},
    {"an undo that is no name", CALL, "InvalidName", "undo: byte 3",
     .call = {.name = "work", .undo = "no name"}},
    {"a long queue", CALL, "BadOption", "queue has more than 100 bytes",
     .call = {.name = "work", .queue = "a" HUNDRED}},
    {"a queue with a strange byte", CALL, "BadOption", "byte 2 of queue is 0x01",
     .call = {.name = "work", .queue = "a\x01"}},
    {"a queue that is not text", CALL, "BadOption", "queue is not UTF-8",
     .call = {.name = "work", .queue = "\xff\xfe"}},
    {"a long key of a limit", CALL, "BadOption", "limit_key has more than 100",
     .call = {.name = "work", .limit_key = "a" HUNDRED}},

    {"a plain map", MAP, NULL, NULL, .map = {.name = "work"}, .items = "[1, 2]"},
    {"a map of the default width", MAP, NULL, NULL, .map = {.name = "work", .width = 0},
     .items = "[]"},
    {"a map without a name", MAP, "InvalidName", "no name given", .map = {0}, .items = "[]"},
    {"a map of no array", MAP, "InvalidMap", "must be an array", .map = {.name = "work"},
     .items = "{\"a\": 1}"},
    {"a map of a negative width", MAP, "BadOption", "width is -1",
     .map = {.name = "work", .width = -1}, .items = "[1]"},
    {"a map of an unknown mode", MAP, "BadOption", "mode is 2",
     .map = {.name = "work", .mode = (pawl_map_mode)2}, .items = "[1]"},
    {"a map that shrinks its waits", MAP, "BadOption", "retry_factor is 0.1",
     .map = {.name = "work", .retry_factor = 0.1}},
    {"a map with too few retries", MAP, "BadOption", "retries is -7",
     .map = {.name = "work", .retries = -7}},
    {"a map with a negative timeout", MAP, "BadOption", "timeout_s is -1",
     .map = {.name = "work", .timeout_s = -1}},
    {"a map with a negative heartbeat", MAP, "BadOption", "heartbeat_s is -1",
     .map = {.name = "work", .heartbeat_s = -1}},
    {"a map of an unknown effect", MAP, "BadOption", "effect is -1",
     .map = {.name = "work", .effect = (pawl_effect)-1}},
    {"a map in a long queue", MAP, "BadOption", "queue has more than 100 bytes",
     .map = {.name = "work", .queue = "a" HUNDRED}},
    {"a map of a strange key", MAP, "BadOption", "byte 1 of limit_key is 0x7f",
     .map = {.name = "work", .limit_key = "\x7f"}},

    {"a timer of no time", TIMER, NULL, NULL, .seconds = 0},
    {"a timer of a hundred years", TIMER, NULL, NULL, .seconds = CENTURY_S},
    {"a timer in the past", TIMER, "BadOption", "the time is -0.5", .seconds = -0.5},
    {"a timer of more than a hundred years", TIMER, "BadOption", "a hundred years",
     .seconds = CENTURY_S + 1},
    {"a timer that is no number", TIMER, "BadOption", "the time is", .seconds = NAN},

    {"a signal without a name", SIGNAL, "InvalidName", "signal: no name given", .signal = {0}},
    {"a signal with a negative timeout", SIGNAL, "BadOption", "timeout_s is -1",
     .signal = {.name = "go", .timeout_s = -1}},

    {"a letter", SEND, NULL, NULL, .to = "other", .name = "go"},
    {"a letter without a name", SEND, "InvalidName", "no name given", .to = "other"},
    {"a letter to nobody", SEND, "InvalidName", "no id given", .name = "go"},
    {"a letter to no id", SEND, "InvalidName", "byte 2 of an id is 0x20", .to = "a b",
     .name = "go"},

    {"a child", CHILD, NULL, NULL,
     .child = {.workflow = "leaf", .id = "mine", .policy = PAWL_PARENT_ABANDON}},
    {"a child without a workflow", CHILD, "InvalidName", "workflow: no name given", .child = {0}},
    {"a child with an empty id", CHILD, "InvalidName", "an id has 1 to 200 bytes",
     .child = {.workflow = "leaf", .id = ""}},
    {"a child with a long id", CHILD, "InvalidName", "not 201",
     .child = {.workflow = "leaf", .id = HUNDRED HUNDRED "1"}},
    {"a child with a strange id", CHILD, "InvalidName", "byte 1 of an id",
     .child = {.workflow = "leaf", .id = "\xff"}},
    {"a child of a long version", CHILD, "BadOption", "version has more",
     .child = {.workflow = "leaf", .version = "a" HUNDRED}},
    {"a child of an unknown policy", CHILD, "BadOption", "policy is 3",
     .child = {.workflow = "leaf", .policy = (pawl_parent_policy)3}},

    {"a question", ASK, NULL, NULL, .ask = {.name = "q"}},
    {"all of a question", ASK, NULL, NULL,
     .ask = {.name = "q",
             .kind = "form",
             .prompt = "Which\n\tone? \xc3\xa9",
             .choices = "yes|not now",
             .deadline_s = 5,
             .on_deadline = "not now"},
     .schema = "{\"type\": \"object\"}"},
    {"a question with a word for its deadline", ASK, NULL, NULL,
     .ask = {.name = "q", .deadline_s = 5, .on_deadline = "late"}},
    {"a question whose deadline brings what fits", ASK, NULL, NULL,
     .ask = {.name = "q", .deadline_s = 5, .on_deadline = "late"},
     .schema = "{\"type\": [\"null\", \"string\"]}"},
    {"a question without a name", ASK, "InvalidName", "wait: no name given", .ask = {0}},
    {"a question of an unknown kind", ASK, "InvalidName", "the kind of a wait is",
     .ask = {.name = "q", .kind = "riddle"}},
    {"a question asked twice", ASK, "InvalidName", "open already", .ask = {.name = "q"},
     .twice = true},
    {"a deadline that takes no choice", ASK, "BadOption",
     "on_deadline is \"maybe\", which is not one of the choices yes|no",
     .ask = {.name = "q", .choices = "yes|no", .deadline_s = 5, .on_deadline = "maybe"}},
    {"a deadline that takes part of a choice", ASK, "BadOption", "on_deadline is \"ye\"",
     .ask = {.name = "q", .choices = "yes|no", .deadline_s = 5, .on_deadline = "ye"}},
    {"a deadline that takes two choices", ASK, "BadOption", "on_deadline is \"yes|no\"",
     .ask = {.name = "q", .choices = "yes|no", .deadline_s = 5, .on_deadline = "yes|no"}},
    {"a deadline whose answer does not fit", ASK, "BadOption",
     "on_deadline is \"late\", which brings no data",
     .ask = {.name = "q", .deadline_s = 5, .on_deadline = "late"},
     .schema = "{\"type\": \"object\"}"},
    {"a negative deadline", ASK, "BadOption", "deadline_s is -1",
     .ask = {.name = "q", .deadline_s = -1}},
    {"an empty choice", ASK, "BadOption", "choices has an empty one",
     .ask = {.name = "q", .choices = "yes||no"}},
    {"an empty last choice", ASK, "BadOption", "choices has an empty one",
     .ask = {.name = "q", .choices = "yes|"}},
    {"many choices", ASK, "BadOption", "choices has more than 511 bytes",
     .ask = {.name = "q", .choices = FIVE_HUNDRED TEN "12"}},
    {"a prompt that is not text", ASK, "BadOption", "prompt is not UTF-8",
     .ask = {.name = "q", .prompt = "\xff"}},
    {"a schema that is a word", ASK, "BadOption", "a schema is an object or a boolean",
     .ask = {.name = "q"}, .schema = "\"string\""},
    {"a schema that is none", ASK, "BadOption", "the schema", .ask = {.name = "q"},
     .schema = "{\"pattern\": \"(\"}"},

    {"a question for several people", ASK, NULL, NULL,
     .ask = {.name = "q",
             .choices = "yes|no|never",
             .quorum = 100,
             .rejects = 2,
             .reject = "no|never",
             .who = "ann|bob",
             .barred = "eve",
             .deadline_s = 10,
             .escalate_s = 5,
             .escalate_to = "boss",
             .defer_max_s = 5}},
    {"a quorum of fewer than none", ASK, "BadOption", "quorum is -1",
     .ask = {.name = "q", .quorum = -1}},
    {"a quorum of too many", ASK, "BadOption", "quorum is 101",
     .ask = {.name = "q", .quorum = 101}},
    {"too many who reject", ASK, "BadOption", "rejects is 1000",
     .ask = {.name = "q", .rejects = 1000}},
    {"a rejection that is no choice", ASK, "BadOption",
     "reject has \"nay\", which is not one of the choices yes|no",
     .ask = {.name = "q", .choices = "yes|no", .reject = "no|nay"}},
    {"a rejection of a question without choices", ASK, "BadOption", "(there are none)",
     .ask = {.name = "q", .reject = "no"}},
    {"nobody among those who may answer", ASK, "BadOption", "who has an empty one",
     .ask = {.name = "q", .who = "ann||bob"}},
    {"nobody among those who may not", ASK, "BadOption", "barred has an empty one",
     .ask = {.name = "q", .barred = "|"}},
    {"many who may answer", ASK, "BadOption", "who has more than 511 bytes",
     .ask = {.name = "q", .who = FIVE_HUNDRED TEN "12"}},
    {"four eyes on nobody", ASK, "BadOption", "nobody is on record as who started the run",
     .ask = {.name = "q", .four_eyes = true}},
    {"an escalation at the deadline", ASK, "BadOption", "escalate_s is 5: it comes before",
     .ask = {.name = "q", .deadline_s = 5, .escalate_s = 5}},
    {"an escalation in the past", ASK, "BadOption", "escalate_s is -1",
     .ask = {.name = "q", .escalate_s = -1}},
    {"an escalation at no time", ASK, "BadOption", "escalate_s does not say when",
     .ask = {.name = "q", .escalate_to = "boss"}},
    {"a deferral to before", ASK, "BadOption", "defer_max_s is -1",
     .ask = {.name = "q", .defer_max_s = -1}},

    {"a key", SET, NULL, NULL, .name = "state"},
    {"a key without a name", SET, "InvalidName", "key: no name given", .name = NULL},
    {"a key with a strange name", SET, "InvalidName", "byte 1 of a name", .name = "/"},
};

static const pawl_value *of_json(pawl_scope *s, const char *text)
{
    const pawl_value *v = NULL;
    pawl_error err;
    return text != NULL && pawl_parse_json(s, text, strlen(text), &v, &err) == PAWL_OK ? v : NULL;
}

static option_case of_input(pawl_scope *s, const pawl_value *in)
{
    option_case c = cases[pawl_int(in, "n", 0)];
    c.ask.schema = of_json(s, c.schema);
    c.map.items = of_json(s, c.items);
    return c;
}

/* ---- code ---- */

static pawl_future *ask_code(pawl_run *w, const option_case *c)
{
    switch (c->kind) {
    case CALL:
        return pawl_call_start_at(w, &c->call, sizeof c->call, "src/case.c", 7);
    case MAP:
        (void)pawl_map_at(w, &c->map, sizeof c->map, "src/case.c", 7);
        return NULL;
    case TIMER:
        return pawl_timer_start_at(w, c->seconds, "src/case.c", 7);
    case SIGNAL:
        return pawl_signal_start_at(w, &c->signal, sizeof c->signal, "src/case.c", 7);
    case SEND:
        pawl_signal_send_at(w, c->to, c->name, NULL, "src/case.c", 7);
        return NULL;
    case CHILD:
        return pawl_child_start_at(w, &c->child, sizeof c->child, "src/case.c", 7);
    case ASK:
        return pawl_ask_start_at(w, &c->ask, sizeof c->ask, "src/case.c", 7);
    case SET:
        pawl_set_at(w, c->name, NULL, "src/case.c", 7);
        return NULL;
    }
    return NULL;
}

static const pawl_value *by_code(pawl_run *w, const pawl_value *in)
{
    option_case c = of_input(pawl_run_scope(w), in);
    (void)ask_code(w, &c);
    if (c.twice) {
        (void)ask_code(w, &c);
    }
    const pawl_failure *f = pawl_catch(w);
    (void)pawl_signal(w, .name = "end"); /* a replay comes to the same */
    return pawl_json(w, "{type: %s, message: %s}", f != NULL ? f->type : "",
                     f != NULL ? f->message : "");
}

/* ---- folded ---- */

typedef struct folder {
    int64_t n;
    bool asked;
} folder;

static void *folder_new(void *user)
{
    (void)user;
    folder *f = calloc(1, sizeof *f);
    f->n = -1;
    return f;
}

static void folder_apply(void *state, const pawl_fold_event *e)
{
    folder *s = state;
    s->n = strcmp(e->type, "RunStarted") == 0 ? pawl_int(e->value, "n", 0) : s->n;
}

static int64_t ask_fold(pawl_fold *f, const option_case *c)
{
    switch (c->kind) {
    case CALL:
        return pawl_fold_call(f, &c->call, sizeof c->call);
    case MAP:
        return pawl_fold_map(f, &c->map, sizeof c->map);
    case TIMER:
        return pawl_fold_timer(f, c->seconds);
    case SEND:
        pawl_fold_signal_send(f, c->to, c->name, NULL);
        return 0;
    case CHILD:
        return pawl_fold_child(f, &c->child, sizeof c->child);
    case ASK:
        return pawl_fold_ask(f, &c->ask, sizeof c->ask);
    case SET:
        pawl_fold_set(f, c->name, NULL);
        return 0;
    case SIGNAL:
        break;
    }
    return -1;
}

static void folder_decide(void *state, pawl_fold *f)
{
    folder *s = state;
    pawl_scope *scope = pawl_fold_scope(f);
    option_case c = of_input(scope, pawl_build(scope, "{n: %lld}", (long long)s->n));
    int64_t id = ask_fold(f, &c);
    if (c.twice) {
        id = ask_fold(f, &c);
    }
    pawl_fold_complete(f, pawl_build(scope, "{id: %lld}", (long long)id));
}

static const pawl_folded folder_ops = {.struct_size = sizeof(pawl_folded),
                                       .init = folder_new,
                                       .apply = folder_apply,
                                       .decide = folder_decide,
                                       .deinit = free};

/* ---- both ---- */

static const pawl_value *work(pawl_task *task, const pawl_value *in, void *user)
{
    (void)task;
    (void)user;
    return in;
}

static void open_code(rig *r)
{
    rig_workflow(r, "code", by_code);
    rig_folded(r, "folded", &folder_ops);
    rig_activity(r, "work", work);
}

static void code_is_told_what_is_wrong_and_where(void **state)
{
    rig *r = *state;
    open_code(r);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const option_case *c = &cases[i];
        if (c->folded_only) {
            continue;
        }
        char id[16];
        (void)snprintf(id, sizeof id, "c%zu", i);
        rig_start_with(r, "code", id, rig_value(r, "{n: %zu}", i));
        rig_crash(r);
        rig_run(r);
        (void)rig_ask(r, "signal", "{id: %s, name: %s}", id, "end");
        const char *type = pawl_str(rig_result(r, id), "type", "no result");
        const char *message = pawl_str(rig_result(r, id), "message", "");
        bool right = strcmp(type, c->type != NULL ? c->type : "") == 0 &&
                     (c->says == NULL || strstr(message, c->says) != NULL) &&
                     (c->type == NULL || strstr(message, " at case.c:7: ") != NULL);
        if (!right) {
            fail_msg("%s: %s: %s", c->what, type, message);
        }
    }
}

static void a_folded_workflow_is_refused_the_same(void **state)
{
    rig *r = *state;
    open_code(r);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const option_case *c = &cases[i];
        if (c->kind == SIGNAL) {
            continue; /* it hears all of them */
        }
        char id[16];
        (void)snprintf(id, sizeof id, "f%zu", i);
        pw_buf_reset(&r->log);
        rig_start_with(r, "folded", id, rig_value(r, "{n: %zu}", i));
        int64_t command = pawl_int(rig_result(r, id), "id", -1);
        bool numbered = c->kind != SEND && c->kind != SET;
        bool refused = rig_logged(r, "refused: pawl_fold_");
        if (refused != (c->type != NULL) || (numbered && (command == 0) != refused) ||
            (c->says != NULL && !rig_logged(r, c->says))) {
            fail_msg("%s: command %lld, %s", c->what, (long long)command,
                     refused ? "refused" : "taken");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(code_is_told_what_is_wrong_and_where),
        RIG_TEST(a_folded_workflow_is_refused_the_same),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
