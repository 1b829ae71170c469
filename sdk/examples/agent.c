/*
 * agent.c - a durable agent: a model in a loop with two tools, one of which a person must approve. Kill it at any point and run it again: it goes
 * on where it was, and buys no answer again that it has had; 30 calls of the model and 200,000 tokens are its budget, and then it asks.
 *
 *     cc agent.c $(pkg-config --cflags --libs pawl-net-static) -o agent
 *     OPENAI_BASE_URL=http://127.0.0.1:8000/v1 ./agent agent.db "Count the files here and note how many"
 *
 * The model is what the environment names: OLLAMA_HOST, OPENAI_BASE_URL with or without OPENAI_API_KEY, or ANTHROPIC_API_KEY; and PAWL_AGENT_MODEL. A
 * server of a private network must be named in PAWL_EGRESS, too; one on 127.0.0.1 need not. PAWL_PRICES may name a price table (pawl_llm.h): then
 * the ledger counts dollars, too. A third argument answers the agent's questions: approve, or reject. Without, they are asked on the terminal, or
 * wait for `pawl answer`. Does not do anything without a model.
 */
#include <dirent.h>
#include <pawl_agent.h>
#include <pawl_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    "  effect: 'pure', schema: {type: 'object', properties: {folder: {type: 'string'}}}},"         \
    " {name: 'note', description: 'Notes a line of text', activity: 'note', policy: 'ask',"        \
    "  schema: {type: 'object', properties: {text: {type: 'string'}}, required: ['text']}}]"

/* The first that the environment names; nil = none. */
static const pawl_value *endpoint(pawl_scope *scope)
{
    static const struct {
        const char *wire, *url, *key;
    } known[] = {{"ollama", "OLLAMA_HOST", ""},
                 {"openai-compatible", "OPENAI_BASE_URL", "OPENAI_API_KEY"},
                 {"anthropic", "", "ANTHROPIC_API_KEY"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const char *url = getenv(known[i].url), *key = getenv(known[i].key);
        const char *model = getenv("PAWL_AGENT_MODEL");
        char at[300], secret[100];
        if (url == NULL && (known[i].url[0] != '\0' || key == NULL)) {
            continue;
        }
        snprintf(at, sizeof at, "%s%s", url == NULL || strstr(url, "://") ? "" : "http://",
                 url != NULL ? url : "");
        snprintf(secret, sizeof secret, "env:%s", known[i].key);
        return pawl_build(scope, "{wire: %s, base_url: %s, key: %s, model: %s}", known[i].wire,
                          url != NULL ? at : NULL, key != NULL ? secret : NULL,
                          model != NULL ? model : "default");
    }
    return NULL;
}

static pawl_status register_all(pawl_engine *e, const pawl_value *at, pawl_error *err)
{
    const bool here = strstr(pawl_str(at, "base_url", ""), "//127.0.0.1") != NULL;
    const char *const egress[] = {
        getenv("PAWL_EGRESS") != NULL ? getenv("PAWL_EGRESS") : "127.0.0.1", NULL};
    const char *const secrets[] = {"env:OPENAI_API_KEY", "env:ANTHROPIC_API_KEY", NULL};
    const pawl_net_options net = {.struct_size = sizeof net,
                                  .egress = here || getenv("PAWL_EGRESS") != NULL ? egress : NULL,
                                  .secrets = secrets,
                                  .prices = getenv("PAWL_PRICES")};
    pawl_status s = pawl_net_register(e, &net, err);
    s = s == PAWL_OK ? pawl_register_activity(e, "count_files", count_files, NULL, err) : s;
    s = s == PAWL_OK ? pawl_register_activity(e, "note", note, NULL, err) : s;
    s = s == PAWL_OK ? pawl_agent_register(e, err) : s;
    return s == PAWL_OK ? pawl_resume_all(e, err) : s;
}

static void ask_person(pawl_engine *e, pawl_scope *scope, const char *choice, pawl_error *err)
{
    const pawl_value *waits = NULL;
    if ((choice == NULL && !isatty(0)) || pawl_waits(e, "agent", scope, &waits, err) != PAWL_OK) {
        return; /* `pawl answer agent approve` does, from any other terminal */
    }
    for (size_t i = 0; i < pawl_len(waits); i++) {
        const pawl_value *q = pawl_at(waits, i);
        char line[80] = "";
        printf("%s %s\n[approve | reject] ", pawl_str(q, "prompt", ""),
               pawl_to_json(scope, pawl_get(q, "show.arguments"), 0));
        fflush(stdout);
        const bool yes = choice != NULL ? strcmp(choice, "approve") == 0
                                        : fgets(line, sizeof line, stdin) != NULL &&
                                              strncmp(line, "approve", 7) == 0;
        const pawl_value *said = pawl_build(scope, "{choice: %s}", yes ? "approve" : "reject");
        if (pawl_answer(e, "agent", pawl_str(q, "name", NULL), said, "you", err) != PAWL_OK) {
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
    if (at == NULL) {
        fprintf(stderr, "no model: set OLLAMA_HOST, OPENAI_BASE_URL or ANTHROPIC_API_KEY\n");
        return EXIT_FAILURE;
    }
    const pawl_value *input = pawl_build(
        scope,
        "{task: %s, endpoint: %p, system: 'You help with files. Use the tools.', tools: " TOOLS "}",
        argc > 2 ? argv[2] : "Count the files here and note how many", pawl_v(at));
    const pawl_start_options start = {.workflow = "agent",
                                      .id = "agent",
                                      .input = input,
                                      .budget = pawl_build(scope, "{calls: 30, tokens: 200000}"),
                                      .conflict = PAWL_CONFLICT_USE_EXISTING};
    pawl_status s = pawl_open(argc > 1 ? argv[1] : "agent.db", NULL, &e, &err);
    s = s == PAWL_OK ? register_all(e, at, &err) : s;
    s = s == PAWL_OK ? pawl_start(e, &start, sizeof start, NULL, &err) : s;
    s = s == PAWL_OK ? pawl_result(e, "agent", 200, scope, &result, &err) : s;
    while (s == PAWL_TIMEOUT) {
        ask_person(e, scope, argc > 3 ? argv[3] : NULL, &err);
        s = pawl_result(e, "agent", 200, scope, &result, &err);
    }
    if (s == PAWL_OK) {
        printf("%s\n", pawl_str(result, "answer", ""));
    } else {
        fprintf(stderr, "%s %s\n", err.message, pawl_to_json(scope, result, 0));
    }
    pawl_close(e, 5000);
    pawl_scope_free(scope);
    return s == PAWL_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
