/*
 * mcp_activity.c - the activity "mcp": an input becomes a call, what the call comes to becomes the end of the task.
 *
 *   check keys --> secrets in place --> server of that description --> tools/call (mcp_use.c), a list, or another question --> result
 *
 * The manual is sdk/pawl_net.h. Does not talk by itself.
 */
#include <stdio.h>
#include <string.h>

#include "activities/mcp_activity.h"
#include "activities/mcp_use.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

static const struct {
    const char *method;
    const char *name_key;
} methods[] = {
#define X(method, name_key) {method, name_key},
#include "activities/mcp_methods.def"
#undef X
};

/* ---- the input ---- */

static pawl_status bad(pawl_error *err, const char *key, const char *why)
{
    return pw_err(err, PAWL_INVALID, "%s %s", key, why);
}

static bool one_is(const char *const *words, size_t len, const char *word)
{
    for (size_t i = 0; i < len; i++) {
        if (word != NULL && strcmp(words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static bool known_key(const char *key)
{
    static const char *const keys[] = {
#define X(name) #name,
#include "activities/mcp_options.def"
#undef X
    };
    return one_is(keys, PW_COUNT(keys), key);
}

/* A secret of the client without the name of the one it is for would go to whomever the server names. */
static pawl_status check_oauth(const pawl_value *oauth, pawl_error *err)
{
    static const char *const keys[] = {"client_id",   "client_secret", "client_metadata_url",
                                       "issuer",      "grant",         "scope",
                                       "redirect_uri"};
    for (size_t i = 0; i < pawl_len(oauth); i++) {
        if (!one_is(keys, PW_COUNT(keys), pawl_key_at(oauth, i))) {
            return pw_err(err, PAWL_INVALID, "\"server.auth.oauth.%.60s\" is no option of mcp",
                          pawl_key_at(oauth, i));
        }
    }
    if (pawl_get(oauth, "client_secret") != NULL &&
        (pawl_get(oauth, "client_id") == NULL || pawl_get(oauth, "issuer") == NULL)) {
        return bad(err, "server.auth.oauth.client_secret",
                   "needs the client_id that it belongs to, and the issuer that it is for");
    }
    if (pawl_get(oauth, "grant") != NULL && !pawl_is(oauth, "grant", "authorization_code") &&
        !pawl_is(oauth, "grant", "client_credentials")) {
        return bad(err, "server.auth.oauth.grant",
                   "must be authorization_code or client_credentials");
    }
    return PAWL_OK;
}

static pawl_status check_server(const pawl_value *server, pawl_error *err)
{
    static const char *const keys[] = {"url", "command", "env", "cwd", "headers", "auth", "era"};
    const pawl_value *command = pawl_get(server, "command");
    for (size_t i = 0; i < pawl_len(server); i++) {
        if (!one_is(keys, PW_COUNT(keys), pawl_key_at(server, i))) {
            return pw_err(err, PAWL_INVALID, "\"server.%.60s\" is no option of mcp",
                          pawl_key_at(server, i));
        }
    }
    if ((command != NULL) == (pawl_get(server, "url") != NULL)) {
        return bad(err, "server", "must have either url or command");
    }
    for (size_t i = 0; command != NULL && i < pawl_len(command); i++) {
        if (pawl_str(pawl_at(command, i), "", NULL) == NULL &&
            pawl_typeof(pawl_at(command, i)) != PAWL_MAP) {
            return bad(err, "server.command", "must be a list of texts");
        }
    }
    return command == NULL || (pawl_typeof(command) == PAWL_ARRAY && pawl_len(command) > 0)
               ? check_oauth(pawl_get(server, "auth.oauth"), err)
               : bad(err, "server.command", "must be a list of texts, the program first");
}

static bool one_of(const pawl_value *input, const char *key, const char *const *words, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (pawl_is(input, key, words[i])) {
            return true;
        }
    }
    return pawl_get(input, key) == NULL;
}

static const char *method_of(const pawl_value *input)
{
    for (size_t i = 0; i < PW_COUNT(methods); i++) {
        if (pawl_is(input, "method", methods[i].method)) {
            return methods[i].method;
        }
    }
    return NULL;
}

static pawl_status check(const pawl_value *input, pawl_error *err)
{
    static const char *const eras[] = {"auto", "modern", "legacy"};
    static const char *const manners[] = {"ask", "decline", "defaults"};
    static const char *const resends[] = {"annotated", "always", "never"};
    if (pawl_typeof(input) != PAWL_MAP || pawl_typeof(pawl_get(input, "server")) != PAWL_MAP) {
        return bad(err, "server", "is missing, or no map");
    }
    for (size_t i = 0; i < pawl_len(input); i++) {
        if (!known_key(pawl_key_at(input, i))) {
            return pw_err(err, PAWL_INVALID, "\"%.60s\" is no option of mcp",
                          pawl_key_at(input, i));
        }
    }
    if ((pawl_str(input, "tool", NULL) != NULL) == (pawl_get(input, "method") != NULL)) {
        return bad(err, "tool", "is missing, or no text; or there is a method, too");
    }
    if (pawl_get(input, "method") != NULL && method_of(input) == NULL) {
        return bad(err, "method", "is none that may be asked for");
    }
    if (!one_of(input, "server.era", eras, PW_COUNT(eras)) ||
        !one_of(input, "elicit", manners, PW_COUNT(manners)) ||
        !one_of(input, "resend", resends, PW_COUNT(resends))) {
        return bad(err, "server.era, elicit or resend", "has a value that it does not know");
    }
    return check_server(pawl_get(input, "server"), err);
}

/* The host that secrets may be bound to; a program has none. */
static pawl_status expand(pw_mcp_call *call, const pawl_value *input, pawl_error *err)
{
    char host[256] = "";
    const char *url = pawl_str(input, "server.url", NULL);
    pw_buf full = PW_BUF_INIT;
    call->input = input;
    if (!pw_secret_any(input)) {
        return PAWL_OK;
    }
    pawl_status status = pawl_get(input, "server.url") == NULL ? PAWL_OK
                         : url != NULL                         ? pw_http_host(url, host, err)
                                       : bad(err, "server.url", "must be a text");
    status = status == PAWL_OK
                 ? pw_secret_expand(call->secrets, call->task, input, host, &full, err)
                 : status;
    call->input =
        status == PAWL_OK ? pw_value_copy(call->private_scope, full.data, full.size) : NULL;
    if (full.data != NULL) {
        explicit_bzero(full.data, full.capacity);
    }
    pw_buf_deinit(&full);
    return status == PAWL_OK && call->input == NULL
               ? pw_err(err, PAWL_NOMEM, "no memory for an input")
               : status;
}

/* ---- times ---- */

static int64_t seconds_of(const pawl_value *input, const char *key, int64_t otherwise_ms)
{
    const double s = pawl_num(input, key, -1);
    return s <= 0                               ? otherwise_ms
           : s * 1000 >= PW_HTTP_TIMEOUT_MS_MAX ? PW_HTTP_TIMEOUT_MS_MAX
           : s * 1000 < 1                       ? 1
                                                : (int64_t)(s * 1000);
}

static void read_times(pw_mcp_call *call)
{
    const int64_t now = pw_mono_ms();
    const int64_t deadline = pawl_task_deadline_ms(call->task);
    const int64_t own = seconds_of(call->input, "timeout_s",
                                   deadline > 0 ? PW_HTTP_TIMEOUT_MS_MAX : PW_HTTP_TOTAL_MS);
    call->task_deadline_ms = deadline > 0 ? now + (deadline - pw_wall_ms()) : INT64_MAX;
    call->deadline_ms = now + own < call->task_deadline_ms ? now + own : call->task_deadline_ms;
    call->idle_ms = seconds_of(call->input, "idle_timeout_s", INT64_MAX);
}

/* ---- results ---- */

static const pawl_value *server_of(pw_mcp_call *call)
{
    const pawl_value *about = pw_mcp_server_about(call->server, call->scope);
    return pawl_build(call->scope, "{name: %p, version: %p, era: %s, protocol: %s}",
                      pawl_v(pawl_get(about, "serverInfo.name")),
                      pawl_v(pawl_get(about, "serverInfo.version")),
                      pw_mcp_era_name(call->dialect.era), call->dialect.version);
}

/* The result without what is the transport's. */
static const pawl_value *result_of(pw_mcp_call *call, const pawl_value *result)
{
    static const char *const dropped[] = {"resultType", "_meta", "ttlMs", "cacheScope",
                                          "nextCursor"};
    const pawl_value *v = pawl_build(call->scope, "{}");
    for (size_t i = 0; i < pawl_len(result); i++) {
        bool drop = false;
        for (size_t k = 0; k < PW_COUNT(dropped); k++) {
            drop |= strcmp(pawl_key_at(result, i), dropped[k]) == 0;
        }
        const bool paging = strcmp(pawl_key_at(result, i), "nextCursor") == 0 &&
                            !pawl_is(call->input, "method", "tools/list");
        v = drop && !paging ? v
                            : pawl_with(call->scope, v, pawl_key_at(result, i), pawl_at(result, i));
    }
    return pw_mcp_clean(call, pawl_with(call->scope, v, "server", server_of(call)));
}

static const pawl_value *use_tool(pw_mcp_call *call)
{
    const pawl_value *result = pw_mcp_use(call);
    if (result == NULL) {
        return NULL;
    }
    const pawl_value *clean = result_of(call, result);
    if (clean != NULL && pawl_bool(call->input, "check", false) &&
        pawl_bool(result, "isError", false)) {
        return pw_mcp_fail(call, "ToolError",
                           pawl_str(result, "content.0.text", "the tool says that it failed"),
                           clean, false);
    }
    return clean;
}

static const pawl_value *list_tools(pw_mcp_call *call)
{
    pw_mcp_reply reply;
    const pawl_value *tools = NULL;
    if (!pw_mcp_server_tools(call, false, &tools, &reply)) {
        return pw_mcp_fail_reply(call, &reply, true);
    }
    if (call->dialect.era == PW_MCP_UNKNOWN_ERA && !pw_mcp_server_greet(call, &reply)) {
        return pw_mcp_fail_reply(call, &reply, true);
    }
    const pawl_value *about = pw_mcp_server_about(call->server, call->scope);
    return result_of(call, pawl_build(call->scope, "{tools: %p, instructions: %p}", pawl_v(tools),
                                      pawl_v(pawl_get(about, "instructions"))));
}

static const pawl_value *ask_other(pw_mcp_call *call)
{
    const char *method = method_of(call->input);
    const pawl_value *params = pawl_get(call->input, "params");
    pw_mcp_ask ask = {.method = method, .params = params};
    pw_mcp_reply reply;
    for (size_t i = 0; i < PW_COUNT(methods); i++) {
        if (strcmp(methods[i].method, method) == 0 && methods[i].name_key != NULL) {
            ask.name = pawl_str(params, methods[i].name_key, NULL);
        }
    }
    return pw_mcp_server_ask(call, &ask, &reply) ? result_of(call, reply.message.result)
                                                 : pw_mcp_fail_reply(call, &reply, true);
}

static const pawl_value *run(pw_mcp_call *call)
{
    if (pawl_get(call->input, "tool") != NULL) {
        return use_tool(call);
    }
    return pawl_is(call->input, "method", "tools/list") ? list_tools(call) : ask_other(call);
}

/* ---- a task ---- */

static bool call_begin(pw_mcp_call *call)
{
    pawl_error err;
    const pawl_value *input = pawl_task_input(call->task);
    pawl_status status = check(input, &err);
    status = status == PAWL_OK ? expand(call, input, &err) : status;
    if (status != PAWL_OK) {
        const bool wrong = status == PAWL_INVALID || status == PAWL_LIMIT || status == PAWL_PARSE;
        const char *type = wrong                  ? "BadInput"
                           : status == PAWL_NOMEM ? "OutOfMemory"
                                                  : "SecretFailed";
        (void)pw_mcp_fail(call, type, err.message, NULL, status == PAWL_NOMEM);
        return false;
    }
    call->server = pw_mcp_hub_server(call->hub, pawl_get(input, "server"));
    if (call->server == NULL) {
        (void)pw_mcp_fail(call, "OutOfMemory", "no memory for a server", NULL, true);
        return false;
    }
    call->answers = pawl_get(call->input, "answers");
    call->manner = pawl_is(input, "elicit", "decline")    ? PW_MCP_DECLINE
                   : pawl_is(input, "elicit", "defaults") ? PW_MCP_DEFAULTS
                                                          : PW_MCP_ASK;
    call->dialect.asks = true;
    read_times(call);
    return true;
}

/* What the next attempt must know stays only if there is one, and something to know. */
static void note_end(pw_mcp_call *call, const pawl_value *result)
{
    const bool closing = call->ends_canceled && !pw_mcp_call_unwanted(call);
    const bool comes_again =
        result == NULL && call->again && pawl_get(call->detail, "task") != NULL;
    if (!closing && !comes_again) {
        pw_mcp_note_drop(call);
    }
}

static void finish(pw_mcp_call *call, const pawl_value *result)
{
    pawl_task *task = call->task;
    const bool canceled = call->ends_canceled;
    pw_mcp_process_give(call->process);
    pw_mcp_hub_give(call->hub, call->server);
    pw_secrets_free(call->secrets);
    pawl_scope_free(call->private_scope);
    if (canceled) {
        pawl_task_finish_canceled(task);
    } else {
        pawl_task_finish(task, result);
    }
}

void pw_mcp_task_run(pw_mcp_hub *hub, pawl_task *task)
{
    pw_mcp_call call = {.task = task,
                        .hub = hub,
                        .scope = pawl_task_scope(task),
                        .deadline_ms = INT64_MAX,
                        .idle_ms = INT64_MAX};
    const pawl_value *result = NULL;
    if (atomic_load(&hub->stopping) || pawl_task_canceled(task)) {
        pawl_task_finish_canceled(task);
        return;
    }
    call.cancel_fd = pawl_task_cancel_fd(task);
    call.secrets = pw_secrets_new(hub->secrets);
    call.private_scope = pawl_scope_new();
    pawl_task_begin(task);
    if (call.secrets == NULL || call.private_scope == NULL) {
        (void)pawl_task_fail(task, "OutOfMemory", "no memory for a call");
    } else if (call_begin(&call)) {
        result = run(&call);
        note_end(&call, result);
    }
    finish(&call, result);
}

pawl_activity_options pw_mcp_options(pw_mcp_hub *hub)
{
    return (pawl_activity_options){
        .struct_size = sizeof(pawl_activity_options),
        .description =
            "A tool of an MCP server: {server: {url | command}, tool, arguments} gives {content, ...}",
        .runner = pw_mcp_hub_runner(hub)};
}
