/*
 * agent.c - a durable agent: a model in a loop with two tools, one of which a person must approve. Kill it at any point and run it again: it goes
 * on where it was, and asks the model for nothing that it has been told.
 *
 *     cc agent.c $(pkg-config --cflags --libs pawl-net) -o agent
 *     ./agent agent.db "Count the files here and note how many"       # asks on the terminal; a third argument answers for you: approve, reject
 *
 * The model is what the environment names: OLLAMA_HOST (http://127.0.0.1:11434), OPENAI_BASE_URL with OPENAI_API_KEY, or ANTHROPIC_API_KEY, and
 * PAWL_MODEL; PAWL_EGRESS lets one address of a private network be reached (127.0.0.1). Does not call a model when it names none: a stand-in that
 * says what it is answers.
 */
#include <dirent.h>
#include <pawl_agent.h>
#include <pawl_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tools ---- */

static const pawl_value *count_files(pawl_task *t, const pawl_value *in, void *user)
{
    int n = 0;
    DIR *dir = opendir(pawl_str(in, "folder", "."));
    (void)user;
    if (dir == NULL) {
        return pawl_task_fail_with(t, "NoFolder", "it cannot be opened", NULL, false);
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += e->d_name[0] != '.';
    }
    closedir(dir);
    return pawl_task_build(t, "{files: %d}", n);
}

static const pawl_value *note(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    printf("note: %s\n", pawl_str(in, "text", ""));
    return pawl_task_build(t, "{noted: true}");
}

#define TOOLS                                                                                      \
    "[{name: 'count_files', description: 'Counts the files of a folder', activity: 'count_files'," \
    "  schema: {type: 'object', properties: {folder: {type: 'string'}}}},"                         \
    " {name: 'note', description: 'Notes a line of text', activity: 'note', policy: 'ask',"        \
    "  schema: {type: 'object', properties: {text: {type: 'string'}}, required: ['text']}}]"

/* ---- the model ---- */

/* Counts, then notes, then ends: what a model would do. */
static const pawl_value *stand_in(pawl_task *t, const pawl_value *in, void *user)
{
    const pawl_value *said = pawl_task_convo(t, pawl_get(in, "request.messages"), 0);
    (void)user;
    if (said == NULL) {
        return NULL;
    }
    switch (pawl_len(said)) {
    case 1:
        return pawl_task_build(
            t,
            "{message: {role: 'assistant', parts: [{type: 'tool_call', id: '1', name: 'count_files', arguments: {}}]},"
            "stop: 'tool_calls'}");
    case 3:
        return pawl_task_build(
            t,
            "{message: {role: 'assistant', parts: [{type: 'tool_call', id: '2', name: 'note', arguments: {text: 'I counted.'}}]},"
            "stop: 'tool_calls'}");
    default:
        return pawl_task_build(
            t,
            "{message: {role: 'assistant', parts: [{type: 'text', text: 'Done (says a stand-in, not a model).'}]}, stop: 'end'}");
    }
}

static const pawl_value *endpoint(pawl_scope *scope)
{
    if (getenv("OLLAMA_HOST") != NULL) {
        return pawl_build(scope, "{wire: 'ollama', base_url: %s, model: %s}", getenv("OLLAMA_HOST"),
                          getenv("PAWL_MODEL"));
    }
    if (getenv("OPENAI_BASE_URL") != NULL) {
        return pawl_build(scope, "{wire: 'openai-compatible', base_url: %s, key: %s, model: %s}",
                          getenv("OPENAI_BASE_URL"),
                          getenv("OPENAI_API_KEY") != NULL ? "env:OPENAI_API_KEY" : NULL,
                          getenv("PAWL_MODEL"));
    }
    return getenv("ANTHROPIC_API_KEY") != NULL
               ? pawl_build(scope, "{wire: 'anthropic', key: 'env:ANTHROPIC_API_KEY', model: %s}",
                            getenv("PAWL_MODEL"))
               : NULL;
}

static pawl_status register_all(pawl_engine *e, bool real, pawl_error *err)
{
    const char *const egress[] = {getenv("PAWL_EGRESS"), NULL};
    const char *const secrets[] = {"env:OPENAI_API_KEY", "env:ANTHROPIC_API_KEY", NULL};
    const pawl_net_options net = {
        .struct_size = sizeof net, .egress = egress[0] != NULL ? egress : NULL, .secrets = secrets};
    pawl_status s = real ? pawl_net_register(e, &net, err)
                         : pawl_register_activity(e, "llm", stand_in, NULL, err);
    s = s == PAWL_OK ? pawl_register_activity(e, "count_files", count_files, NULL, err) : s;
    s = s == PAWL_OK ? pawl_register_activity(e, "note", note, NULL, err) : s;
    s = s == PAWL_OK ? pawl_agent_register(e, err) : s;
    return s == PAWL_OK ? pawl_resume_all(e, err) : s;
}

/* ---- the person ---- */

static void ask_person(pawl_engine *e, pawl_scope *scope, const char *choice, pawl_error *err)
{
    const pawl_value *waits = NULL;
    if (pawl_waits(e, "agent", scope, &waits, err) != PAWL_OK) {
        return;
    }
    for (size_t i = 0; i < pawl_len(waits); i++) {
        const pawl_value *q = pawl_at(waits, i);
        char line[80] = "";
        printf("%s %s\n[approve | reject] ", pawl_str(q, "prompt", ""),
               pawl_to_json(scope, pawl_get(q, "show.arguments"), 0));
        fflush(stdout);
        const bool no = choice == NULL && (fgets(line, sizeof line, stdin) == NULL ||
                                           strncmp(line, "approve", 7) != 0);
        const char *said = choice != NULL ? choice : no ? "reject" : "approve";
        printf("%s\n", said);
        if (pawl_answer(e, "agent", pawl_str(q, "name", NULL),
                        pawl_build(scope, "{choice: %s}", said), "you", err) != PAWL_OK) {
            fprintf(stderr, "%s\n", err->message); /* somebody else was faster */
        }
    }
}

int main(int argc, char **argv)
{
    const pawl_value *result = NULL;
    pawl_scope *scope = pawl_scope_new();
    pawl_engine *e = NULL;
    pawl_error err = {0};
    const pawl_value *at = endpoint(scope);
    const pawl_value *input = pawl_build(
        scope, "{task: %s, system: 'You help with files. Use the tools.', tools: " TOOLS "}",
        argc > 2 ? argv[2] : "Count the files here and note how many");
    input = at != NULL ? pawl_with(scope, input, "endpoint", at) : input;
    const pawl_start_options start = {
        .workflow = "agent", .id = "agent", .input = input, .conflict = PAWL_CONFLICT_USE_EXISTING};
    pawl_status s = pawl_open(argc > 1 ? argv[1] : "agent.db", NULL, &e, &err);
    s = s == PAWL_OK ? register_all(e, at != NULL, &err) : s;
    s = s == PAWL_OK ? pawl_start(e, &start, sizeof start, NULL, &err) : s;
    s = s == PAWL_OK ? pawl_result(e, "agent", 200, scope, &result, &err) : s;
    while (s == PAWL_TIMEOUT) {
        ask_person(e, scope, argc > 3 ? argv[3] : NULL, &err);
        s = pawl_result(e, "agent", 200, scope, &result, &err);
    }
    if (result != NULL) {
        printf("%s\n", pawl_to_json(scope, result, 2));
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    pawl_close(e, 5000);
    pawl_scope_free(scope);
    return s == PAWL_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
