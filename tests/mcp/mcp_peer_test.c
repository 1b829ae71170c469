/*
 * mcp_peer_test.c - servers that people use, from npm: server-everything over stdio and Streamable HTTP, server-filesystem over stdio.
 *
 * What is tested is that they and the activity understand each other. Not here: what no well-behaved server does (mcp_http_test.c and others).
 * npm_rig.py installs them and names them in the environment.
 */
#include "mcp_rig.h"

#include "sdk/base/arena.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- servers ---- */

static const char *module_path(http_rig *r, const char *package)
{
    return pw_sprintf(r->host->scope, "%s/@modelcontextprotocol/%s/dist/index.js",
                      getenv("NPM_MODULES"), package);
}

static const pawl_value *everything(http_rig *r)
{
    return request_of(r, "{command: [%s, %s, \"stdio\"]}", getenv("NPM_NODE"),
                      module_path(r, "server-everything"));
}

static const pawl_value *filesystem(http_rig *r, const char *folder)
{
    return request_of(r, "{command: [%s, %s, %s]}", getenv("NPM_NODE"),
                      module_path(r, "server-filesystem"), folder);
}

/* server-everything over HTTP. */
typedef struct peer {
    pid_t pid;
    int port;
} peer;

static _Noreturn void peer_run(const char *script, int port, int out)
{
    char text[20];
    (void)snprintf(text, sizeof text, "%d", port);
    (void)setenv("PORT", text, 1);
    (void)dup2(out, STDERR_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)execl(getenv("NPM_NODE"), "node", "--require", getenv("NPM_LOOPBACK"), script,
                "streamableHttp", (char *)NULL);
    _exit(127);
}

/* Port 0: any. What it prints later goes nowhere. */
static peer peer_start(http_rig *r, int port)
{
    const char *script = module_path(r, "server-everything");
    peer p = {.port = 0};
    char line[400];
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    p.pid = fork();
    if (p.pid == 0) {
        (void)signal(SIGPIPE, SIG_IGN);
        peer_run(script, port, fds[1]);
    }
    (void)close(fds[1]);
    FILE *said = fdopen(fds[0], "r");
    assert_non_null(said);
    while (p.port == 0 && fgets(line, sizeof line, said) != NULL) {
        if (strncmp(line, "LISTENING ", 10) == 0) {
            p.port = (int)strtol(line + 10, NULL, 10);
        }
    }
    (void)fclose(said);
    assert_int_not_equal(p.port, 0);
    return p;
}

static void peer_stop(const peer *p)
{
    (void)kill(p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
}

/* ---- tests ---- */

static const char *ask_for(http_rig *r, const char *id, const pawl_value *server,
                           const char *method, const pawl_value *params, const char *path)
{
    const pawl_value *request = request_of(r, "{server: %p, method: %s, params: %p}",
                                           pawl_v(server), method, pawl_v(params));
    const pawl_start_options o = {
        .workflow = "use", .id = id, .input = request_of(r, "{request: %p}", pawl_v(request))};
    ok(r->host, pawl_start(r->host->engine, &o, sizeof o, NULL, &r->host->err));
    return pawl_str(http_end(r, id), path, "");
}

/* Whatever the transport. */
static void use_everything(http_rig *r, const pawl_value *server)
{
    mcp_use u = {.id = "sum",
                 .server = server,
                 .tool = "get-sum",
                 .arguments = request_of(r, "{a: 2, b: 3}")};
    const pawl_value *v = mcp_result(r, &u);
    assert_string_equal(mcp_text(v), "The sum of 2 and 3 is 5.");
    assert_true(pawl_is(v, "server.era", "legacy"));
    u = (mcp_use){.id = "weather",
                  .server = server,
                  .tool = "get-structured-content",
                  .arguments = request_of(r, "{location: \"Chicago\"}")};
    assert_int_equal(pawl_int(mcp_result(r, &u), "structuredContent.temperature", 0), 36);
    u = (mcp_use){.id = "image", .server = server, .tool = "get-tiny-image"};
    assert_true(pawl_is(mcp_result(r, &u), "content.1.type", "image"));
    u = (mcp_use){.id = "long",
                  .server = server,
                  .tool = "trigger-long-running-operation",
                  .arguments = request_of(r, "{duration: 0.2, steps: 2}")};
    assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "completed"));
    u = (mcp_use){.id = "wrong",
                  .server = server,
                  .tool = "get-sum",
                  .arguments = request_of(r, "{a: \"x\"}")};
    assert_true(pawl_bool(mcp_result(r, &u), "isError", false));
    u = (mcp_use){.id = "no",
                  .server = server,
                  .tool = "trigger-elicitation-request",
                  .more = request_of(r, "{elicit: \"decline\"}")};
    assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "declined"));
    u = (mcp_use){.id = "yes",
                  .server = server,
                  .tool = "trigger-elicitation-request",
                  .more = request_of(
                      r, "{answers: {ask-1: {action: \"accept\", content: {name: \"Ann\"}}}}")};
    assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "provided the requested information"));
    assert_string_equal(ask_for(r, "prompt", server, "prompts/get",
                                request_of(r, "{name: \"simple-prompt\"}"), "messages.0.role"),
                        "user");
    assert_string_not_equal(
        ask_for(r, "resources", server, "resources/list", NULL, "resources.0.uri"), "");
}

static void everything_is_understood_over_stdio(void **state)
{
    http_rig *r = *state;
    use_everything(r, everything(r));
}

static void everything_is_understood_over_http(void **state)
{
    http_rig *r = *state;
    const peer p = peer_start(r, 0);
    use_everything(r, request_of(r, "{url: %s}",
                                 pw_sprintf(r->host->scope, "http://127.0.0.1:%d/mcp", p.port)));
    peer_stop(&p);
}

/* It knows no session of before, and says 400. */
static void a_server_that_was_started_again_is_greeted_again(void **state)
{
    http_rig *r = *state;
    peer p = peer_start(r, 0);
    const pawl_value *server =
        request_of(r, "{url: %s}", pw_sprintf(r->host->scope, "http://127.0.0.1:%d/mcp", p.port));
    mcp_use u = {.id = "before",
                 .server = server,
                 .tool = "echo",
                 .arguments = request_of(r, "{message: \"one\"}")};
    assert_string_equal(mcp_text(mcp_result(r, &u)), "Echo: one");
    peer_stop(&p);
    p = peer_start(r, p.port);
    u.id = "after";
    u.arguments = request_of(r, "{message: \"two\"}");
    assert_string_equal(mcp_text(mcp_result(r, &u)), "Echo: two");
    peer_stop(&p);
}

/* A task of the older generation, with a question in it whose answer is known; its stages take a second each. */
static void a_task_of_everything_is_followed_and_its_question_answered(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {
        .id = "research",
        .server = everything(r),
        .tool = "simulate-research-query",
        .arguments = request_of(r, "{topic: \"python\", ambiguous: true}"),
        .more = request_of(
            r, "{answers: {ask-1: {action: \"accept\", content: {interpretation: \"snake\"}}}}")};
    assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "Research Report: python (snake)"));
}

static void files_are_written_and_read_and_others_are_not(void **state)
{
    http_rig *r = *state;
    char folder[] = "/tmp/pawl-mcp-files-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *path = pw_sprintf(r->host->scope, "%s/note.txt", folder);
    const pawl_value *server = filesystem(r, folder);
    mcp_use u = {.id = "w",
                 .server = server,
                 .tool = "write_file",
                 .arguments = request_of(r, "{path: %s, content: \"h\303\251llo\\n\"}", path)};
    assert_false(pawl_bool(mcp_result(r, &u), "isError", false));
    u = (mcp_use){.id = "r",
                  .server = server,
                  .tool = "read_text_file",
                  .arguments = request_of(r, "{path: %s}", path)};
    const pawl_value *v = mcp_result(r, &u);
    assert_string_equal(mcp_text(v), "h\303\251llo\n");
    assert_true(pawl_is(v, "structuredContent.content", "h\303\251llo\n"));
    u = (mcp_use){.id = "o",
                  .server = server,
                  .tool = "read_text_file",
                  .arguments = request_of(r, "{path: \"/etc/hostname\"}")};
    assert_true(pawl_bool(mcp_result(r, &u), "isError", false));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mcp_setup, mcp_teardown)
    const struct CMUnitTest tests[] = {
        T(everything_is_understood_over_stdio),
        T(everything_is_understood_over_http),
        T(a_server_that_was_started_again_is_greeted_again),
        T(a_task_of_everything_is_followed_and_its_question_answered),
        T(files_are_written_and_read_and_others_are_not),
    };
    return cmocka_run_group_tests_name("mcp_peer", tests, NULL, NULL);
}
