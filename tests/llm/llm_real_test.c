/*
 * llm_real_test.c - "llm" and the agent on a model that is one (model.mjs: stories260K on llama.cpp), and through a gateway that people use
 * (@portkey-ai/gateway), in front of that model and of stub.py.
 *
 * The model's own count is the evidence for what was asked, cancelled and not bought again. This program is its own victim: "llm_real_test work
 * ...". Not here: what a provider says exactly (llm_activity_test.c); the wires other than openai-chat.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sdk/pawl_agent.h"
#include "sdk/pawl_net.h"
#include "tests/integration/host_rig.h"
#include "tests/net/net_rig.h"

enum { TURNS = 5, KILLS_MAX = 40 };
enum {
    DIGS_A_LIFE = 2,
    ASKED_A_LIFE = 2
}; /* so many runs of the tool mean so many questions, or the end, wherever a life begins */

extern char **environ;

/* ---- servers ---- */

typedef struct peer {
    pid_t pid;
    int input; /* its end ends the model and the stub */
    int port;
} peer;

typedef struct peers {
    peer model, stub, gateway;
} peers;

/* What it says later goes nowhere. */
static peer peer_start(char *const *argv)
{
    peer p = {.port = 0};
    char line[400];
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_adddup2(&files, out[1], 2);
    const int rc = posix_spawnp(&p.pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0) {
        fail_msg("%s: %s", argv[0], strerror(rc));
    }
    close(in[0]);
    close(out[1]);
    p.input = in[1];
    FILE *said = fdopen(out[0], "r");
    assert_non_null(said);
    while (p.port == 0 && fgets(line, sizeof line, said) != NULL) {
        const char *number = strncmp(line, "LISTENING ", 10) == 0 ? line + 10 : line;
        p.port = (int)strtol(number, NULL, 10);
    }
    (void)fclose(said);
    assert_int_not_equal(p.port, 0);
    return p;
}

static void peer_stop(const peer *p)
{
    close(p->input);
    (void)kill(p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
}

static int peers_start(void **state)
{
    peers *p = calloc(1, sizeof *p);
    char gateway[600];
    char node[400], model[] = LLM_FOLDER "/model.mjs", stub[] = LLM_FOLDER "/stub.py";
    char preload[] = LLM_FOLDER "/gateway.cjs", gguf[400];
    assert_non_null(p);
    (void)snprintf(node, sizeof node, "%s", getenv("NPM_NODE"));
    (void)snprintf(gguf, sizeof gguf, "%s", getenv("LLM_MODEL"));
    (void)snprintf(gateway, sizeof gateway, "%s/@portkey-ai/gateway/build/start-server.js",
                   getenv("NPM_MODULES"));
    char require[] = "--require", headless[] = "--headless", port[] = "--port=0";
    char python[] = "python3", b[] = "-B";
    p->model = peer_start((char *[]){node, model, gguf, NULL});
    p->stub = peer_start((char *[]){python, b, stub, NULL});
    assert_int_equal(setenv("TRUSTED_CUSTOM_HOSTS", "127.0.0.1", 1), 0);
    p->gateway = peer_start((char *[]){node, require, preload, gateway, headless, port, NULL});
    *state = p;
    return 0;
}

static int peers_stop(void **state)
{
    peers *p = *state;
    peer_stop(&p->gateway);
    peer_stop(&p->stub);
    peer_stop(&p->model);
    free(p);
    return 0;
}

/* ---- a world for a test ---- */

typedef struct real_world {
    const peers *peers;
    rig *host;
    net_rig web; /* to ask the servers what they have seen */
    pawl_scope *scope;
} real_world;

static const pawl_value *ask(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = pawl_get(in, "call"),
                     .retries = (int)pawl_int(in, "retries", 0), .retry_initial_s = 0.01);
}

/* Each result is new, so that the same call again is no loop. */
static const pawl_value *dig(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{found: %s, at: %s}", pawl_task_key(t), pawl_str(in, "where", ""));
}

static int setup(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    const pawl_net_options net = {.struct_size = sizeof net, .egress = loopback};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    real_world *w = calloc(1, sizeof *w);
    void *part = NULL;
    assert_non_null(w);
    w->peers = *state;
    net_rules(&w->web, loopback);
    assert_int_equal(rig_setup(&part), 0);
    w->host = part;
    w->scope = w->host->scope;
    rig_open(w->host, &o);
    ok(w->host, pawl_register_workflow(w->host->engine, "ask", "1", ask, NULL, &w->host->err));
    ok(w->host, pawl_net_register(w->host->engine, &net, &w->host->err));
    ok(w->host, pawl_agent_register(w->host->engine, &w->host->err));
    ok(w->host, pawl_register_activity(w->host->engine, "dig", dig, NULL, &w->host->err));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    real_world *w = *state;
    void *part = w->host;
    (void)rig_teardown(&part);
    pw_net_stop(w->web.net);
    pw_egress_free(w->web.egress);
    pw_buf_deinit(&w->web.reply.head);
    pw_buf_deinit(&w->web.reply.body);
    free(w);
    return 0;
}

static const char *url_of(real_world *w, const peer *p, const char *path)
{
    char url[300];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", p->port, path);
    return pawl_str(pawl_make_str(w->scope, url), "", "");
}

static const pawl_value *seen_by(real_world *w, const peer *p, const char *id)
{
    char path[100];
    const pawl_value *v = NULL;
    (void)snprintf(path, sizeof path, "/seen/%s", id);
    const net_reply *reply = net_get(&w->web, url_of(w, p, path));
    ok(w->host, pawl_parse_json(w->scope, (const char *)reply->body.data, reply->body.size, &v,
                                &w->host->err));
    return v;
}

static int64_t count(real_world *w, const char *id, const char *what)
{
    return pawl_int(seen_by(w, &w->peers->model, id), what, -1);
}

static const pawl_value *endpoint(real_world *w, const char *wire, const char *id)
{
    char path[100];
    (void)snprintf(path, sizeof path, "/%s/v1", id);
    return pawl_build(w->scope,
                      "{wire: %s, base_url: %s, options: {max_tokens_field: 'max_tokens'}}", wire,
                      url_of(w, &w->peers->model, path));
}

/* The gateway is told by headers where to go, and which headers to take along. */
static const pawl_value *through_gateway(real_world *w, const peer *to, const char *path)
{
    return pawl_build(
        w->scope,
        "{wire: 'openai-compatible', provider: 'portkey', base_url: %s,"
        " options: {key_header: 'x-request-id'}, headers: {x-portkey-provider: 'openai',"
        " x-portkey-custom-host: %s, x-portkey-forward-headers: 'x-request-id'}}",
        url_of(w, &w->peers->gateway, "/v1"), url_of(w, to, path));
}

/* {endpoint, request, stream} with `more` in the request. */
static const pawl_value *call_of(real_world *w, const pawl_value *at, bool stream, const char *more)
{
    const pawl_value *request = NULL;
    ok(w->host, pawl_parse_json(w->scope, more, strlen(more), &request, &w->host->err));
    request = pawl_with(w->scope, request, "model", pawl_make_str(w->scope, "stories260K"));
    request = pawl_with(w->scope, request, "messages",
                        pawl_build(w->scope, "[{role: 'user', text: 'Once upon a time'}]"));
    return pawl_build(w->scope, "{endpoint: %p, request: %p, stream: %p}", pawl_v(at),
                      pawl_v(request), pawl_v(pawl_make_bool(w->scope, stream)));
}

static void start(real_world *w, const char *id, const pawl_value *call, int retries)
{
    assert_non_null(call);
    const pawl_start_options o = {
        .workflow = "ask",
        .id = id,
        .input = pawl_build(w->scope, "{call: %p, retries: %d}", pawl_v(call), retries)};
    ok(w->host, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
}

static const pawl_value *answer_of(real_world *w, const char *id, const pawl_value *call)
{
    start(w, id, call, 0);
    return rig_result(w->host, id);
}

static const char *text_of(const pawl_value *answer)
{
    return pawl_str(pawl_at(pawl_get(answer, "message.parts"), 0), "text", "");
}

/* ---- the model ---- */

static void a_real_model_says_the_same_whole_and_streamed_on_both_wires(void **state)
{
    real_world *w = *state;
    static const char *const wires[] = {"openai-chat", "openai-compatible"};
    const char *first = NULL;
    char id[40];
    for (size_t i = 0; i < 2 * PW_COUNT(wires); i++) {
        const bool stream = i % 2 == 1;
        (void)snprintf(id, sizeof id, "%s-%d", wires[i / 2], stream);
        const pawl_value *v = answer_of(
            w, id, call_of(w, endpoint(w, wires[i / 2], id), stream, "{\"max_tokens\": 24}"));
        assert_true(strlen(text_of(v)) > 20);
        first = first != NULL ? first : text_of(v);
        assert_string_equal(text_of(v), first);
        assert_true(pawl_is(v, "stop", "length"));
        assert_int_equal(pawl_int(v, "usage.output", 0), 24);
        assert_true(pawl_int(v, "usage.input", 0) > 3);
        assert_int_equal(count(w, id, "count"), 1);
        assert_int_equal(count(w, id, "tokens"), 24);
    }
}

#define DIG_TOOL                                                                             \
    "\"tools\": [{\"name\": \"dig\", \"schema\": {\"type\": \"object\", \"properties\": "    \
    "{\"where\": {\"enum\": [\"garden\", \"forest\"]}, \"deep\": {\"type\": \"boolean\"}}, " \
    "\"required\": [\"where\", \"deep\"]}}]"

static void a_real_model_calls_a_tool_with_arguments_that_its_grammar_allows(void **state)
{
    real_world *w = *state;
    const pawl_value *calls[2];
    for (int stream = 0; stream < 2; stream++) {
        const char *id = stream ? "call-1" : "call-0";
        const pawl_value *v = answer_of(w, id,
                                        call_of(w, endpoint(w, "openai-compatible", id), stream,
                                                "{\"max_tokens\": 60, " DIG_TOOL "}"));
        assert_true(pawl_is(v, "stop", "tool_calls"));
        calls[stream] = pawl_at(pawl_get(v, "message.parts"), 0);
        assert_true(pawl_is(calls[stream], "type", "tool_call"));
        assert_true(pawl_is(calls[stream], "name", "dig"));
        assert_true(pawl_is(calls[stream], "arguments.where", "garden") ||
                    pawl_is(calls[stream], "arguments.where", "forest"));
        assert_null(pawl_get(calls[stream], "arguments_error"));
    }
    assert_string_equal(pawl_to_json(w->scope, calls[0], 0), pawl_to_json(w->scope, calls[1], 0));
}

static void what_must_fit_a_schema_does_at_the_first_try(void **state)
{
    real_world *w = *state;
    const pawl_value *v = answer_of(
        w, "fit",
        call_of(
            w, endpoint(w, "openai-chat", "fit"), true,
            "{\"max_tokens\": 80, \"response\": {\"schema\": {\"type\": \"object\", \"properties\": "
            "{\"hero\": {\"enum\": [\"Lily\", \"Tim\"]}, \"happy\": {\"type\": \"boolean\"}}, "
            "\"required\": [\"hero\", \"happy\"], \"additionalProperties\": false}}}"));
    assert_true(pawl_is(v, "value.hero", "Lily") || pawl_is(v, "value.hero", "Tim"));
    assert_int_equal(pawl_typeof(pawl_get(v, "value.happy")), PAWL_BOOL);
    assert_int_equal(count(w, "fit", "count"), 1); /* no repair */
}

/* ---- cancelled while it writes ---- */

static void on_output(void *user, const pawl_value *event)
{
    int *pieces = user;
    *pieces += pawl_is(event, "type", "Output");
}

static void hear(real_world *w, const int *pieces, int enough)
{
    while (*pieces < enough) {
        struct pollfd fd = {.fd = pawl_poll_fd(w->host->engine), .events = POLLIN};
        if (poll(&fd, 1, 30000) <= 0) {
            fail_msg("nothing for 30 s after %d pieces", *pieces);
        }
        (void)pawl_dispatch(w->host->engine);
    }
}

static void a_model_whose_run_is_canceled_in_mid_stream_stops_writing(void **state)
{
    real_world *w = *state;
    const pawl_value *v = NULL;
    int pieces = 0;
    ok(w->host, pawl_watch_output(w->host->engine, "stop", on_output, &pieces, &w->host->err));
    start(w, "stop",
          call_of(w, endpoint(w, "openai-compatible", "stop"), true,
                  "{\"max_tokens\": 1000000, \"extra\": {\"ignore_eos\": true}}"),
          0);
    hear(w, &pieces, 5);
    ok(w->host, pawl_cancel(w->host->engine, "stop", "enough", &w->host->err));
    expect(w->host, PAWL_CANCELED,
           pawl_result(w->host->engine, "stop", 30000, w->scope, &v, &w->host->err));
    int64_t canceled = 0;
    for (int i = 0; i < 20000 && canceled == 0; i++) {
        canceled = count(w, "stop", "canceled"); /* its next token is in vain */
    }
    assert_int_equal(canceled, 1);
    assert_int_equal(count(w, "stop", "ended"), 0);
}

/* ---- the agent ---- */

static const pawl_value *agent_input(pawl_scope *scope, const pawl_value *at)
{
    char user[20];
    (void)snprintf(user, sizeof user, "tools-%d", (int)TURNS); /* for model.mjs */
    return pawl_build(
        scope,
        "{task: 'Dig for treasure', model: 'stories260K', system: 'Once upon a time', endpoint: %p,"
        " request: {max_tokens: 40, user: %s},"
        " tools: [{name: 'dig', activity: 'dig', schema: {type: 'object', properties:"
        " {where: {enum: ['garden', 'forest']}, deep: {type: 'boolean'}}, required: ['where', 'deep']}}]}",
        pawl_v(at), user);
}

static void run_agent(real_world *w, const char *id, const pawl_value *at)
{
    const pawl_start_options o = {
        .workflow = "agent", .id = id, .input = agent_input(w->scope, at)};
    ok(w->host, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
    const pawl_value *v = rig_result(w->host, id);
    assert_true(strlen(pawl_str(v, "answer", "")) > 20);
    assert_int_equal(pawl_int(v, "turns", 0), TURNS + 1);
    assert_int_equal(count(w, id, "count"), TURNS + 1);
    assert_int_equal(count(w, id, "tokens"), pawl_int(v, "usage.output", 0));
}

static void an_agent_on_a_real_model_digs_and_answers(void **state)
{
    real_world *w = *state;
    run_agent(w, "agent", endpoint(w, "openai-compatible", "agent"));
}

static void an_agent_talks_through_the_gateway(void **state)
{
    real_world *w = *state;
    run_agent(w, "far", through_gateway(w, &w->peers->model, "/far/v1"));
}

/* ---- killed ---- */

/* One line a run of the tool, before its result can be anywhere. A life that has had its share waits for its killer, however late that is. */
static const pawl_value *dig_log(pawl_task *t, const pawl_value *in, void *user)
{
    static atomic_int begun;
    while (atomic_fetch_add(&begun, 1) >= DIGS_A_LIFE) {
        (void)pause();
    }
    const int fd = open(user, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && write(fd, "dug\n", 4) == 4;
    close(fd);
    return written ? dig(t, in, user) : pawl_task_fail(t, "Disk", "the log cannot be written");
}

static int work(char **argv)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    const pawl_net_options net = {.struct_size = sizeof net, .egress = loopback};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    const pawl_activity_options log = {.struct_size = sizeof log, .user = argv[4]};
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *result = NULL;
    pawl_engine *e = NULL;
    pawl_error err = {0};
    const pawl_value *at = pawl_build(
        scope,
        "{wire: 'openai-compatible', base_url: %s, options: {max_tokens_field: 'max_tokens'}}",
        argv[3]);
    const pawl_start_options s = {
        .workflow = "agent", .id = "a", .input = agent_input(scope, at), .dedup = "a"};
    const bool fine =
        pawl_open(argv[2], &o, &e, &err) == PAWL_OK &&
        pawl_net_register(e, &net, &err) == PAWL_OK && pawl_agent_register(e, &err) == PAWL_OK &&
        pawl_register_activity(e, "dig", dig_log, &log, &err) == PAWL_OK &&
        pawl_resume_all(e, &err) == PAWL_OK && pawl_start(e, &s, sizeof s, NULL, &err) == PAWL_OK &&
        pawl_result(e, "a", 60000, scope, &result, &err) == PAWL_OK;
    const bool right = fine && pawl_int(result, "turns", 0) == TURNS + 1;
    if (!right) {
        print_error("the agent: %s %s\n", err.message, pawl_to_json(scope, result, 0));
    }
    pawl_close(e, 1000);
    pawl_scope_free(scope);
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* How often the model was asked, by the messages of tools that it was told. */
typedef struct asked {
    int turn[TURNS + 1];
    int total;
} asked;

static void look(real_world *w, asked *a)
{
    pawl_scope *scope = pawl_scope_new();
    memset(a, 0, sizeof *a);
    const pawl_value *bodies = pawl_get(seen_by(w, &w->peers->model, "killed"), "bodies");
    for (size_t i = 0; i < pawl_len(bodies); i++) {
        const char *text = pawl_str(pawl_at(bodies, i), "", "{}");
        const pawl_value *body = NULL;
        int told = 0;
        ok(w->host, pawl_parse_json(scope, text, strlen(text), &body, &w->host->err));
        const pawl_value *messages = pawl_get(body, "messages");
        for (size_t k = 0; k < pawl_len(messages); k++) {
            told += pawl_is(pawl_at(messages, k), "role", "tool");
        }
        assert_in_range(told, 0, TURNS);
        a->turn[told]++;
        a->total++;
    }
    pawl_scope_free(scope);
}

/* Answers of the model that are in the journal. */
static int answers_kept(const char *journal)
{
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *events = NULL;
    pawl_engine *e = NULL;
    pawl_error err;
    bool llm[1000] = {false};
    int answers = 0;
    assert_int_equal(pawl_open(journal, &o, &e, &err), PAWL_OK);
    if (pawl_history(e, "a", 1, 1000, scope, &events, &err) != PAWL_OK) {
        events = NULL;
    }
    for (size_t i = 0; i < pawl_len(events); i++) {
        const pawl_value *ev = pawl_at(events, i);
        const int64_t command = pawl_int(ev, "command", 0);
        assert_in_range(command, 0, 999);
        llm[command] = llm[command] || pawl_is(ev, "name", "llm");
        answers += pawl_is(ev, "type", "ActivityCompleted") && llm[command];
    }
    pawl_close(e, 1000);
    pawl_scope_free(scope);
    return answers;
}

/* True: it ended by itself. Else it was killed as soon as the model had been asked so often. */
static bool victim_ends(real_world *w, char *const *argv, int total)
{
    pid_t pid = 0;
    int status = 0;
    assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        asked a;
        look(w, &a);
        if (a.total >= total) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            break;
        }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        fail_msg("the agent ended with %d", WEXITSTATUS(status));
    }
    return WIFEXITED(status);
}

static void what_a_real_model_answered_is_not_bought_again_after_kill_9(void **state)
{
    real_world *w = *state;
    char self[] = "/proc/self/exe", mode[] = "work", journal[200], log[200], url[200];
    asked then[KILLS_MAX], now = {.total = 0};
    int kept[KILLS_MAX], kills = 0, turns = 0;
    (void)snprintf(journal, sizeof journal, "%s/killed.db", w->host->folder);
    (void)snprintf(log, sizeof log, "%s/log", w->host->folder);
    (void)snprintf(url, sizeof url, "%s", url_of(w, &w->peers->model, "/killed/v1"));
    char *argv[] = {self, mode, journal, url, log, NULL};
    while (!victim_ends(w, argv, now.total + ASKED_A_LIFE)) {
        assert_true(kills < KILLS_MAX);
        kept[kills] = answers_kept(journal);
        look(w, &then[kills]);
        now = then[kills++];
    }
    look(w, &now);
    for (int i = 0; i < kills; i++) {
        for (int turn = 0; turn < kept[i]; turn++) {
            assert_int_equal(now.turn[turn], then[i].turn[turn]);
        }
    }
    for (int i = 0; i <= TURNS; i++) {
        turns += now.turn[i] >= 1;
    }
    print_message("%d kills: %d answers, asked for %d times\n", kills, (int)TURNS + 1, now.total);
    assert_int_equal(turns, TURNS + 1);
    assert_true(kills >= 2);
    assert_true(now.total <= TURNS + 1 + kills);
}

/* ---- the gateway ---- */

static void a_gateway_hands_on_answers_whole_and_streamed(void **state)
{
    real_world *w = *state;
    const char *texts[2];
    for (int stream = 0; stream < 2; stream++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/via-%d/v1", stream);
        const pawl_value *v = answer_of(
            w, stream ? "via-1" : "via-0",
            call_of(w, through_gateway(w, &w->peers->model, path), stream, "{\"max_tokens\": 24}"));
        texts[stream] = text_of(v);
        assert_int_equal(pawl_int(v, "usage.output", 0), 24);
        assert_true(pawl_is(v, "provider", "portkey"));
        assert_int_equal(count(w, stream ? "via-1" : "via-0", "count"), 1);
    }
    assert_true(strlen(texts[0]) > 20);
    assert_string_equal(texts[0], texts[1]);
}

static const pawl_value *of_stub(real_world *w, const char *steps)
{
    char path[100];
    (void)snprintf(path, sizeof path, "/%s/%s/v1", steps, steps);
    return call_of(w, through_gateway(w, &w->peers->stub, path), true, "{}");
}

static const char *header_of(const pawl_value *heads, const char *name)
{
    for (size_t i = 0; i < pawl_len(heads); i++) {
        const pawl_value *head = pawl_at(heads, i);
        if (pawl_is(pawl_at(head, 0), "", name)) {
            return pawl_str(pawl_at(head, 1), "", "");
        }
    }
    return "";
}

static void a_429_with_its_time_and_what_may_get_better_come_through_the_gateway(void **state)
{
    real_world *w = *state;
    static const struct {
        const char *steps;
        int retries;
    } cases[] = {
        {"wait-seconds+ok", 0}, {"s529+ok", 1}, {"s500+ok", 1}, {"broken+ok", 1}, {"page+ok", 1}};
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        start(w, cases[i].steps, of_stub(w, cases[i].steps), cases[i].retries);
    }
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        assert_string_equal(text_of(rig_result(w->host, cases[i].steps)), "Hello w\303\266rld");
        assert_int_equal(pawl_int(seen_by(w, &w->peers->stub, cases[i].steps), "count", 0), 2);
    }
}

static void errors_and_request_ids_come_through_the_gateway(void **state)
{
    real_world *w = *state;
    static const struct {
        const char *steps, *type;
        int status;
    } cases[] = {{"s400", "BadModelRequest", 400},
                 {"s404", "ModelNotFound", 404},
                 {"key", "NotAuthorized", 401},
                 {"money", "BudgetExhausted", 429}};
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const pawl_value *f = NULL;
        const pawl_value *call = pawl_with(w->scope, of_stub(w, cases[i].steps), "pause",
                                           pawl_make_bool(w->scope, false));
        start(w, cases[i].steps, call, 0);
        expect(w->host, PAWL_FAILED,
               pawl_result(w->host->engine, cases[i].steps, 30000, w->scope, &f, &w->host->err));
        if (!pawl_is(f, "type", cases[i].type)) {
            fail_msg("%s: %s", cases[i].steps, pawl_to_json(w->scope, f, 0));
        }
        assert_int_equal(pawl_int(f, "details.status", 0), cases[i].status);
        if (!pawl_is(f, "details.request_id", "req-stub")) {
            fail_msg("%s: %s", cases[i].steps, pawl_to_json(w->scope, f, 0));
        }
        const pawl_value *seen = seen_by(w, &w->peers->stub, cases[i].steps);
        const char *id = header_of(pawl_at(pawl_get(seen, "heads"), 0), "x-request-id");
        assert_non_null(strchr(id, ':')); /* the task's key: what the provider knows it by */
    }
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_real_model_says_the_same_whole_and_streamed_on_both_wires),
        T(a_real_model_calls_a_tool_with_arguments_that_its_grammar_allows),
        T(what_must_fit_a_schema_does_at_the_first_try),
        T(a_model_whose_run_is_canceled_in_mid_stream_stops_writing),
        T(an_agent_on_a_real_model_digs_and_answers),
        T(what_a_real_model_answered_is_not_bought_again_after_kill_9),
        T(a_gateway_hands_on_answers_whole_and_streamed),
        T(a_429_with_its_time_and_what_may_get_better_come_through_the_gateway),
        T(errors_and_request_ids_come_through_the_gateway),
        T(an_agent_talks_through_the_gateway),
    };
    if (argc == 5 && strcmp(argv[1], "work") == 0) {
        return work(argv);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("llm_real", tests, peers_start, peers_stop);
}
