/*
 * mcp_server.c - who a server is: its process if it is one, its era, its session, its tools.
 *
 *   greet: server/discover --a modern answer----------------------> modern
 *                          --"unsupported version", names ours-----> modern, asked again
 *                          --another error, 4xx, silence-----------> initialize --> legacy, notifications/initialized
 *
 * One call greets, the others wait for it. Does not use tools.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "activities/mcp_server.h"
#include "activities/mcp_tool.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

enum {
    PROBE_MS = 10000, /* a process that says nothing to a modern question is asked the old way */
    TOOLS_MS = 60000, /* a legacy list is fresh for so long */
    TOOLS_MS_MAX = 3600000,
    PAGES_MAX = 200,
    BACKOFF_MS = 250,
    BACKOFF_MS_MAX = 10000,
    ROUNDS_MAX = 3,
    CODE_NO_SESSION = -32000
};

/* ---- life ---- */

pw_mcp_server *pw_mcp_server_new(const char *key, size_t key_size)
{
    pw_mcp_server *s = pw_calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->key = pw_malloc(key_size + 1);
    if (s->key == NULL) {
        pw_free(s);
        return NULL;
    }
    memcpy(s->key, key, key_size);
    s->key[key_size] = '\0';
    s->key_size = key_size;
    pthread_mutex_init(&s->hello, NULL);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void wipe(pw_buf *secret)
{
    if (secret->data != NULL) {
        explicit_bzero(secret->data, secret->capacity);
    }
    pw_buf_deinit(secret);
}

void pw_mcp_server_free(pw_mcp_server *s)
{
    if (s == NULL) {
        return;
    }
    pw_mcp_process_give(s->process);
    wipe(&s->token);
    wipe(&s->scope);
    wipe(&s->refresh);
    wipe(&s->issuer);
    wipe(&s->client);
    wipe(&s->farewell);
    pw_buf_deinit(&s->about);
    pw_buf_deinit(&s->tools);
    pthread_mutex_destroy(&s->hello);
    pthread_mutex_destroy(&s->lock);
    pw_free(s->key);
    pw_free(s);
}

int64_t pw_mcp_server_id(pw_mcp_server *s)
{
    pthread_mutex_lock(&s->lock);
    const int64_t id = ++s->ids;
    pthread_mutex_unlock(&s->lock);
    return id;
}

void pw_mcp_server_forget(pw_mcp_server *s, bool verdict)
{
    pthread_mutex_lock(&s->lock);
    s->greeted = false;
    s->session[0] = '\0';
    s->tools_known = false;
    s->deaf = false;
    s->era = verdict ? PW_MCP_UNKNOWN_ERA : s->era;
    pthread_mutex_unlock(&s->lock);
}

void pw_mcp_server_deaf(pw_mcp_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->deaf = true;
    pthread_mutex_unlock(&s->lock);
}

size_t pw_mcp_server_tool_calls(pw_mcp_server *s, int more)
{
    pthread_mutex_lock(&s->lock);
    s->tool_calls += (size_t)more;
    const size_t now = s->tool_calls;
    pthread_mutex_unlock(&s->lock);
    return now;
}

void pw_mcp_server_tools_stale(pw_mcp_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->tools_known = false;
    pthread_mutex_unlock(&s->lock);
}

static void keep(pw_buf *out, const pawl_value *v)
{
    const pw_view bytes = pw_value_bytes(v);
    pw_buf_reset(out);
    pw_buf_put(out, bytes.data, bytes.size);
}

const pawl_value *pw_mcp_server_about(pw_mcp_server *s, pawl_scope *scope)
{
    pthread_mutex_lock(&s->lock);
    const pawl_value *v = s->about.size > 0 && pw_buf_ok(&s->about)
                              ? pw_value_copy(scope, s->about.data, s->about.size)
                              : NULL;
    pthread_mutex_unlock(&s->lock);
    return v;
}

/* ---- its process ---- */

static bool options_of(pw_mcp_call *call, pawl_exec_options *o)
{
    const pawl_value *command = pawl_get(call->input, "server.command");
    const pawl_value *env = pawl_get(call->input, "server.env");
    const char **argv = pw_alloc(call->scope, (pawl_len(command) + 1) * sizeof *argv);
    const char **pairs = pw_alloc(call->scope, (pawl_len(env) + 1) * sizeof *pairs);
    if (argv == NULL || pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < pawl_len(command); i++) {
        argv[i] = pawl_str(pawl_at(command, i), "", "");
    }
    argv[pawl_len(command)] = NULL;
    for (size_t i = 0; i < pawl_len(env); i++) {
        pairs[i] = pw_sprintf(call->scope, "%s=%s", pawl_key_at(env, i),
                              pawl_str(pawl_at(env, i), "", ""));
        if (pairs[i] == NULL) {
            return false;
        }
    }
    pairs[pawl_len(env)] = NULL;
    *o = (pawl_exec_options){.struct_size = sizeof *o,
                             .argv = argv,
                             .env = pairs,
                             .cwd = pawl_str(call->input, "server.cwd", NULL)};
    return true;
}

/* A program that ends again and again is started less and less often. The hello lock is held. */
static bool wait_backoff(pw_mcp_call *call, pw_mcp_reply *reply)
{
    pw_mcp_server *s = call->server;
    int64_t wait = s->process_fails > 0 ? BACKOFF_MS : 0;
    for (int i = 1; i < s->process_fails && wait < BACKOFF_MS_MAX; i++) {
        wait *= 2;
    }
    const int64_t until = s->process_at_ms + wait;
    while (pw_mono_ms() < until) {
        const pw_mcp_cut cut = pw_mcp_call_over(call, INT64_MAX);
        if (cut != PW_MCP_ANSWERED) {
            pw_mcp_cut_set(reply, cut, cut == PW_MCP_CANCELED ? "Canceled" : "Timeout",
                           "it ended before the server was started again");
            return false;
        }
        pw_mcp_call_wait(call, -1, until);
    }
    return true;
}

static bool process_start(pw_mcp_call *call, pw_mcp_reply *reply)
{
    pw_mcp_server *s = call->server;
    pawl_exec_options o;
    pw_mcp_process *fresh = NULL;
    pawl_error err;
    if (!wait_backoff(call, reply)) {
        return false;
    }
    const bool ready = options_of(call, &o);
    const pawl_status status = ready ? pw_mcp_process_start(&o, &fresh, &err)
                                     : pw_err(&err, PAWL_NOMEM, "no memory for a command");
    s->process_at_ms = pw_mono_ms();
    s->process_fails++; /* until it has answered */
    if (status != PAWL_OK) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "ServerExited", "%s", err.message);
        reply->retryable = true;
        return false;
    }
    pw_mcp_server_forget(s, false);
    pthread_mutex_lock(&s->lock);
    pw_mcp_process *old = s->process;
    s->process = fresh;
    pthread_mutex_unlock(&s->lock);
    pw_mcp_process_give(old);
    return true;
}

/* The process as it runs now is the call's. The hello lock is held. */
static bool process_ready(pw_mcp_call *call, pw_mcp_reply *reply)
{
    pw_mcp_server *s = call->server;
    if (pawl_get(call->input, "server.command") == NULL) {
        return true;
    }
    if ((s->process == NULL || !pw_mcp_process_alive(s->process)) && !process_start(call, reply)) {
        return false;
    }
    if (call->process != s->process) {
        pw_mcp_process_give(call->process);
        call->process = pw_mcp_process_take(s->process);
    }
    if (pw_mcp_process_tools_changed(call->process)) {
        pw_mcp_server_tools_stale(s);
    }
    return true;
}

/* ---- greeting ---- */

/* As pw_mcp_talk; gets a token when the server wants one. */
static bool talk(pw_mcp_call *call, const pw_mcp_ask *ask, pw_mcp_reply *reply)
{
    for (int round = 0;; round++) {
        if (pw_mcp_talk(call, ask, reply)) {
            return true;
        }
        if ((reply->status != 401 && reply->status != 403) ||
            !pw_mcp_authorize(call, round, reply)) {
            return false;
        }
    }
}

static void greeted(pw_mcp_call *call, pw_mcp_era era, const char *version,
                    const pawl_value *result)
{
    pw_mcp_server *s = call->server;
    const pawl_value *info = pawl_get(result, "serverInfo");
    info = info != NULL ? info : pw_mcp_key(pawl_get(result, "_meta"), PW_MCP_PREFIX "serverInfo");
    const pawl_value *about = pawl_build(
        call->scope, "{serverInfo: %p, capabilities: %p, instructions: %p}", pawl_v(info),
        pawl_v(pawl_get(result, "capabilities")), pawl_v(pawl_get(result, "instructions")));
    pthread_mutex_lock(&s->lock);
    s->era = era;
    s->greeted = true;
    (void)snprintf(s->version, sizeof s->version, "%s", version);
    keep(&s->about, about);
    pthread_mutex_unlock(&s->lock);
    s->process_fails = 0;
}

static bool lists(const pawl_value *versions, const char *version)
{
    for (size_t i = 0; i < pawl_len(versions); i++) {
        if (pawl_is(pawl_at(versions, i), "", version)) {
            return true;
        }
    }
    return false;
}

typedef enum verdict { VERDICT_MODERN, VERDICT_LEGACY, VERDICT_NONE } verdict;

/* What the answer to server/discover says. */
static verdict judge(pw_mcp_call *call, bool answered, const pw_mcp_reply *reply)
{
    if (answered) {
        return lists(pawl_get(reply->message.result, "supportedVersions"), PW_MCP_MODERN_VERSION)
                   ? VERDICT_MODERN
                   : VERDICT_LEGACY;
    }
    switch (reply->cut) {
    case PW_MCP_ANSWERED:
        return VERDICT_LEGACY;
    case PW_MCP_HTTP:
        return reply->status >= 400 && reply->status < 500 && reply->status != 401 &&
                       reply->status != 403 && reply->status != 429
                   ? VERDICT_LEGACY
                   : VERDICT_NONE;
    case PW_MCP_TIMED_OUT:
        return call->process != NULL && pw_mcp_call_over(call, INT64_MAX) == PW_MCP_ANSWERED
                   ? VERDICT_LEGACY
                   : VERDICT_NONE;
    case PW_MCP_CANCELED:
    case PW_MCP_FAILED:
    case PW_MCP_MALFORMED:
    case PW_MCP_ASKED:
        break;
    }
    return VERDICT_NONE;
}

static verdict discover(pw_mcp_call *call, pw_mcp_reply *reply)
{
    const pw_mcp_ask ask = {.method = "server/discover"};
    const int64_t deadline = call->deadline_ms;
    const int64_t probe = pw_mono_ms() + PROBE_MS;
    call->dialect.era = PW_MCP_MODERN;
    call->dialect.version = PW_MCP_MODERN_VERSION;
    call->deadline_ms = call->process != NULL && probe < deadline ? probe : deadline;
    bool ok = talk(call, &ask, reply);
    const bool refused =
        !ok && reply->cut == PW_MCP_ANSWERED && reply->message.code == PW_MCP_UNSUPPORTED_VERSION;
    if (refused && lists(pawl_get(reply->message.data, "supported"), PW_MCP_MODERN_VERSION)) {
        ok = talk(call, &ask, reply);
    }
    call->deadline_ms = deadline;
    const verdict v = judge(call, ok, reply);
    if (v == VERDICT_MODERN) {
        greeted(call, PW_MCP_MODERN, PW_MCP_MODERN_VERSION, reply->message.result);
    }
    return v;
}

static bool initialize(pw_mcp_call *call, pw_mcp_reply *reply)
{
    call->dialect.era = PW_MCP_LEGACY;
    call->dialect.version = PW_MCP_LEGACY_VERSION;
    const pw_mcp_ask ask = {.method = "initialize",
                            .params = pw_mcp_initialize(call->scope, &call->dialect)};
    if (!talk(call, &ask, reply)) {
        return false;
    }
    const char *version = pawl_str(reply->message.result, "protocolVersion", "");
    if (pw_mcp_version_era(version) != PW_MCP_LEGACY) {
        pw_mcp_cut_set(reply, PW_MCP_MALFORMED, "UnsupportedVersion",
                       "the server speaks version \"%.40s\" of MCP, which this client does not",
                       version);
        return false;
    }
    call->dialect.version = version;
    greeted(call, PW_MCP_LEGACY, version, reply->message.result);
    pw_mcp_tell(call, "notifications/initialized", NULL);
    return true;
}

static bool meet(pw_mcp_call *call, pw_mcp_reply *reply)
{
    const char *wanted = pawl_str(call->input, "server.era", "auto");
    const bool old = strcmp(wanted, "legacy") == 0 ||
                     (call->server->era == PW_MCP_LEGACY && strcmp(wanted, "modern") != 0);
    const verdict v = old ? VERDICT_LEGACY : discover(call, reply);
    if (v == VERDICT_LEGACY && strcmp(wanted, "modern") == 0) {
        pw_mcp_cut_set(reply, PW_MCP_MALFORMED, "UnsupportedVersion",
                       "the server does not speak " PW_MCP_MODERN_VERSION);
        return false;
    }
    return v == VERDICT_MODERN || (v == VERDICT_LEGACY && initialize(call, reply));
}

/* Waits for its turn to greet. False: over. */
static bool hello_lock(pw_mcp_call *call, pw_mcp_reply *reply)
{
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_mutex_timedlock(&call->server->hello, &until) == 0) {
            return true;
        }
        const pw_mcp_cut cut = pw_mcp_call_over(call, INT64_MAX);
        if (cut != PW_MCP_ANSWERED) {
            pw_mcp_cut_set(reply, cut, cut == PW_MCP_CANCELED ? "Canceled" : "Timeout",
                           "it ended while another call greeted the server");
            return false;
        }
    }
}

static bool dialect_known(pw_mcp_call *call)
{
    pw_mcp_server *s = call->server;
    pthread_mutex_lock(&s->lock);
    const bool known = s->greeted;
    if (known) {
        call->dialect.era = s->era;
        call->dialect.version = pw_strdup(call->scope, s->version);
    }
    pthread_mutex_unlock(&s->lock);
    return known;
}

bool pw_mcp_server_greet(pw_mcp_call *call, pw_mcp_reply *reply)
{
    memset(reply, 0, sizeof *reply);
    reply->retry_after_ms = -1;
    if (!hello_lock(call, reply)) {
        return false;
    }
    const bool ok = process_ready(call, reply) && (dialect_known(call) || meet(call, reply));
    pthread_mutex_unlock(&call->server->hello);
    return ok;
}

/* ---- requests ---- */

/* Many a server says 400 and not 404 to a session that it does not know; the text is the reference SDK's examples'. */
static bool says_no_session(const pw_mcp_reply *reply)
{
    return reply->status == 400 && reply->cut == PW_MCP_ANSWERED &&
           reply->message.kind == PW_MCP_ERROR && reply->message.code == CODE_NO_SESSION &&
           strstr(reply->message.text, "session") != NULL;
}

/* Something that is known about the server was wrong, and the request was refused for it. */
static bool recover(pw_mcp_call *call, const pw_mcp_reply *reply)
{
    pw_mcp_server *s = call->server;
    const bool error = reply->cut == PW_MCP_ANSWERED;
    pthread_mutex_lock(&s->lock);
    const bool session = s->session[0] != '\0';
    pthread_mutex_unlock(&s->lock);
    if (call->dialect.era == PW_MCP_LEGACY && session &&
        (reply->status == 404 || says_no_session(reply))) {
        pw_mcp_server_forget(s, false);
        return true;
    }
    if (error && reply->message.code == PW_MCP_UNSUPPORTED_VERSION) {
        pw_mcp_server_forget(s, true);
        return true;
    }
    return reply->cut == PW_MCP_FAILED && !reply->sent && call->process != NULL &&
           !pw_mcp_process_alive(call->process);
}

bool pw_mcp_server_ask(pw_mcp_call *call, const pw_mcp_ask *ask, pw_mcp_reply *reply)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (!pw_mcp_server_greet(call, reply)) {
            return false;
        }
        if (talk(call, ask, reply)) {
            return true;
        }
        if (!recover(call, reply)) {
            return false;
        }
    }
    return false;
}

/* ---- tools ---- */

/* All pages as one list of those that fit; ttl of the first page. */
static bool tools_fetch(pw_mcp_call *call, pw_buf *out, int64_t *ret_ttl_ms, pw_mcp_reply *reply)
{
    const char *cursor = NULL;
    pw_buf items = PW_BUF_INIT;
    size_t len = 0;
    bool ok = true;
    for (int page = 0; ok && page < PAGES_MAX && (page == 0 || cursor != NULL); page++) {
        const pw_mcp_ask ask = {
            .method = "tools/list",
            .params = cursor != NULL ? pawl_build(call->scope, "{cursor: %s}", cursor) : NULL};
        ok = pw_mcp_server_ask(call, &ask, reply);
        const pawl_value *fit =
            ok ? pw_mcp_tools_fit(call->scope, pawl_get(reply->message.result, "tools")) : NULL;
        for (size_t i = 0; i < pawl_len(fit); i++) {
            pw_mp_value(&items, pawl_at(fit, i));
            len++;
        }
        *ret_ttl_ms = page == 0 ? pawl_int(reply->message.result, "ttlMs", -1) : *ret_ttl_ms;
        cursor = ok ? pawl_str(reply->message.result, "nextCursor", NULL) : NULL;
    }
    pw_mp_array(out, len);
    pw_buf_put(out, items.data, items.size);
    if (ok && (!pw_buf_ok(&items) || !pw_buf_ok(out))) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for a list of tools");
        ok = false;
    }
    pw_buf_deinit(&items);
    return ok;
}

static const pawl_value *tools_cached(pw_mcp_call *call)
{
    pw_mcp_server *s = call->server;
    pthread_mutex_lock(&s->lock);
    const bool fresh = s->tools_known && pw_mono_ms() < s->tools_until_ms;
    const pawl_value *v = fresh ? pw_value_copy(call->scope, s->tools.data, s->tools.size) : NULL;
    pthread_mutex_unlock(&s->lock);
    return v;
}

bool pw_mcp_server_tools(pw_mcp_call *call, bool fresh, const pawl_value **ret_tools,
                         pw_mcp_reply *reply)
{
    pw_mcp_server *s = call->server;
    int64_t ttl = -1;
    pw_buf list = PW_BUF_INIT;
    *ret_tools = fresh ? NULL : tools_cached(call);
    if (*ret_tools != NULL) {
        return true;
    }
    const bool ok = tools_fetch(call, &list, &ttl, reply);
    if (ok) {
        ttl = ttl < 0 ? TOOLS_MS : ttl < TOOLS_MS_MAX ? ttl : TOOLS_MS_MAX;
        *ret_tools = pw_value_copy(call->scope, list.data, list.size);
        pthread_mutex_lock(&s->lock);
        pw_buf_reset(&s->tools);
        pw_buf_put(&s->tools, list.data, list.size);
        s->tools_known = pw_buf_ok(&s->tools);
        s->tools_until_ms = pw_mono_ms() + ttl;
        pthread_mutex_unlock(&s->lock);
    }
    pw_buf_deinit(&list);
    return ok;
}
