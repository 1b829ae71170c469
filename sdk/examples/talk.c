/*
 * talk.c - a conversation with a model, as an agent's loop has it: messages are appended once, calls carry a reference, and when it has grown
 * too long it goes on from a summary. Complete: a workflow, stand-ins for its activities, and a host on an in-memory journal.
 *
 *     cc talk.c $(pkg-config --cflags --libs pawl-static) && ./a.out
 *
 * Does not call a model: its activities are stand-ins.
 */
#include <pawl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG = 6 };

static const pawl_value *say(pawl_run *w, const char *role, const pawl_value *content)
{
    return pawl_json(w, "{role: %s, content: %p}", role, pawl_v(content));
}

static const pawl_value *talk(pawl_run *w, const pawl_value *in)
{
    const pawl_value *convo = pawl_convo_append(w, NULL, say(w, "user", pawl_get(in, "question")));
    const pawl_value *answer = NULL;
    long long calls = 0;
    while (pawl_ok(w) && !pawl_bool(answer, "done", false)) {
        answer = pawl_call(
            w, "model", .input = pawl_json(w, "{messages: %p, call: %lld}", pawl_v(convo), ++calls),
            .timeout_s = 60);
        convo = pawl_convo_append(w, convo, say(w, "assistant", answer));
        if (pawl_convo_len(convo) >=
            LONG) { /* the long one stays in the journal; what follows stands on its summary */
            const pawl_value *summary = pawl_call(w, "summarise", .input = convo);
            convo = pawl_convo_append(w, NULL, say(w, "system", summary));
        }
        pawl_set(w, "conversation", convo);
    }
    return pawl_json(w, "{calls: %lld, messages: %lld, heard: %lld}", calls,
                     (long long)pawl_convo_len(convo), (long long)pawl_int(answer, "heard", 0));
}

/* ---- stand-ins ---- */

/* The conversation is read here, on the activity's thread: by the reference that came in the input. */
static const pawl_value *model(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    const pawl_value *messages = pawl_task_convo(t, pawl_get(in, "messages"), 0);
    if (messages == NULL) {
        return NULL; /* the task has failed, and says why */
    }
    printf("call %lld: %zu messages, the first by the %s\n", (long long)pawl_int(in, "call", 0),
           pawl_len(messages), pawl_str(messages, "0.role", "?"));
    bool done = pawl_int(in, "call", 0) == 8;
    return pawl_task_build(t,
                           done ? "{text: %s, heard: %zu, done: true}" : "{text: %s, heard: %zu}",
                           "I see.", pawl_len(messages));
}

static const pawl_value *summarise(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{what: %s, of: %lld}", "a summary", (long long)pawl_convo_len(in));
}

/* ---- the host ---- */

static bool run(pawl_engine *e, pawl_scope *scope, pawl_error *err)
{
    const pawl_start_options start = {.workflow = "talk",
                                      .id = "talk-1",
                                      .input = pawl_build(scope, "{question: %s}", "why twice?")};
    const pawl_value *result = NULL;
    if (pawl_register_activity(e, "model", model, NULL, err) != PAWL_OK ||
        pawl_register_activity(e, "summarise", summarise, NULL, err) != PAWL_OK ||
        pawl_register_workflow(e, "talk", "1", talk, NULL, err) != PAWL_OK ||
        pawl_resume_all(e, err) != PAWL_OK ||
        pawl_start(e, &start, sizeof start, NULL, err) != PAWL_OK ||
        pawl_result(e, "talk-1", 10000, scope, &result, err) != PAWL_OK) {
        return false;
    }
    printf("result: %s\n", pawl_to_json(scope, result, 0));
    return pawl_int(result, "calls", 0) == 8 && pawl_int(result, "heard", 0) == 3;
}

int main(void)
{
    const pawl_options options = {.struct_size = sizeof options, .memory = true};
    pawl_engine *e = NULL;
    pawl_error err;
    memset(&err, 0, sizeof err);
    if (pawl_open("", &options, &e, &err) != PAWL_OK) {
        fprintf(stderr, "open: %s\n", err.message);
        return EXIT_FAILURE;
    }
    pawl_scope *scope = pawl_scope_new();
    const bool ok = run(e, scope, &err);
    if (!ok) {
        fprintf(stderr, "%s\n", err.message);
    }
    pawl_scope_free(scope);
    pawl_close(e, 5000);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
