/*
 * fuzz_mcp_up.c - the line to the engine (tools/mcp/up.h) with nobody at its other end: requests are kept, and answered when the target says so,
 * with answers that an engine may give. Which, is the input's to say. Knows no run from another.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz_mcp.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

#define ASKED_MAX 256
#define ROUNDS_MAX 64 /* of answers to one input */

typedef struct asked {
    char op[32];
    pw_up_fn began; /* of a start that is followed: takes the first answer */
    pw_up_fn fn;
    void *user;
    bool many;
} asked;

/* One server at a time. */
static struct {
    asked list[ASKED_MAX];
    size_t len;
    const uint8_t *choices;
    size_t choices_len;
    size_t told; /* events of watches */
} engine;

struct pw_up {
    int none;
};

extern const pawl_value pw_up_none;
static const uint8_t empty_map = 0x80;
const pawl_value pw_up_none = {.data = &empty_map, .size = 1};

static const char catalog[] =
    "{\"ready\":true,\"activities\":{\"look\":\"pure\",\"write\":\"unsafe\"},\"workflows\":["
    "{\"name\":\"greet\",\"version\":\"1\",\"description\":\"Greets\",\"input_schema\":\"{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"name\\\":"
    "{\\\"type\\\":\\\"string\\\",\\\"enum\\\":[\\\"a\\\",\\\"b\\\"],\\\"x-mcp-header\\\":\\\"Name\\\"}}}\",\"output_schema\":\"\","
    "\"publish\":\"{\\\"tool\\\":{\\\"activities\\\":[\\\"look\\\"]}}\"},"
    "{\"name\":\"ask\",\"version\":\"1\",\"description\":\"\",\"input_schema\":\"\",\"output_schema\":\"{\\\"type\\\":\\\"object\\\"}\","
    "\"publish\":\"{\\\"tool\\\":{\\\"task\\\":\\\"required\\\",\\\"ask\\\":\\\"call\\\"},\\\"prompt\\\":{\\\"arguments\\\":[{\\\"name\\\":\\\"p\\\","
    "\\\"values\\\":[\\\"x\\\"]}]}}\"},"
    "{\"name\":\"r\",\"version\":\"1\",\"description\":\"\",\"input_schema\":\"\",\"output_schema\":\"\",\"publish\":\"{\\\"resource\\\":{\\\"uri\\\":"
    "\\\"t://r\\\"},\\\"template\\\":{\\\"uriTemplate\\\":\\\"t://{a}/x/{b}\\\"}}\"}]}";

/* What an engine may say to each operation; the first when nothing else is chosen. */
static const struct {
    const char *op;
    pawl_status status;
    const char *reply;
} replies[] = {
    {"start", PAWL_OK, "{\"id\":\"r\",\"existing\":false,\"following\":true}"},
    {"start", PAWL_OK, "{\"id\":\"r\",\"status\":\"completed\",\"result\":{\"text\":\"x\"}}"},
    {"start", PAWL_OK, "{\"id\":\"r\",\"following\":true,\"progress\":{\"done\":1},\"asks\":true}"},
    {"start", PAWL_OK, "{\"id\":\"r\",\"existing\":true}"},
    {"start", PAWL_INVALID, ""},
    {"start", PAWL_EXISTS, ""},
    {"start", PAWL_FULL, ""},
    {"describe", PAWL_OK,
     "{\"id\":\"r\",\"workflow\":\"greet\",\"status\":\"running\",\"created_ms\":1,\"updated_ms\":2,\"progress\":{\"done\":1,\"total\":2,\"text\":\"t\"}}"},
    {"describe", PAWL_OK,
     "{\"id\":\"r\",\"workflow\":\"ask\",\"status\":\"completed\",\"created_ms\":1,\"updated_ms\":2}"},
    {"describe", PAWL_OK, "{\"id\":\"r\",\"status\":\"paused\"}"},
    {"describe", PAWL_NOTFOUND, ""},
    {"result", PAWL_OK,
     "{\"id\":\"r\",\"status\":\"completed\",\"result\":{\"text\":\"x\",\"messages\":[]}}"},
    {"result", PAWL_OK,
     "{\"id\":\"r\",\"status\":\"completed\",\"result\":{\"$mcp\":{\"content\":[{\"type\":\"text\",\"text\":\"\"}]}}}"},
    {"result", PAWL_OK,
     "{\"id\":\"r\",\"status\":\"failed\",\"failure\":{\"type\":\"ProtocolError\",\"message\":\"m\"}}"},
    {"result", PAWL_OK, "{\"id\":\"r\",\"status\":\"canceled\"}"},
    {"result", PAWL_OK, "{\"id\":\"r\",\"status\":\"completed\",\"result\":null}"},
    {"result", PAWL_NOTFOUND, ""},
    {"waits", PAWL_OK,
     "[{\"id\":\"r\",\"name\":\"n\",\"kind\":\"approval\",\"command\":3,\"prompt\":\"p\",\"choices\":\"yes|no\",\"show\":{\"a\":1}},"
     "{\"id\":\"r\",\"name\":\"f\",\"kind\":\"form\",\"command\":4,\"prompt\":\"\",\"schema\":{\"type\":\"object\","
     "\"properties\":{\"name\":{\"type\":\"string\"}}}}]"},
    {"waits", PAWL_OK,
     "[{\"id\":\"r\",\"name\":\"u\",\"kind\":\"url\",\"command\":5,\"request\":{\"url\":\"https://x\"}}]"},
    {"waits", PAWL_OK,
     "[{\"id\":\"r\",\"name\":\"s\",\"kind\":\"other\",\"command\":6,\"request\":{\"mcp\":{\"method\":\"sampling/createMessage\",\"params\":{}}}}]"},
    {"waits", PAWL_OK, "[]"},
    {"answer", PAWL_OK, "{\"id\":\"r\",\"outcome\":\"decided\"}"},
    {"answer", PAWL_CONFLICT, "{\"outcome\":\"answered\"}"},
    {"answer", PAWL_INVALID, ""},
    {"history", PAWL_OK, "[{\"seq\":1,\"type\":\"RunStarted\",\"input\":{\"name\":\"a\"}}]"},
    {"history", PAWL_NOTFOUND, ""},
    {"list", PAWL_OK,
     "{\"runs\":[{\"id\":\"r\",\"workflow\":\"greet\",\"status\":\"running\",\"created_ms\":1}],\"next\":\"\"}"},
    {"list", PAWL_OK, "{\"runs\":[]}"},
    {"cancel", PAWL_OK, "{\"id\":\"r\"}"},
    {"watch", PAWL_OK,
     "{\"type\":\"Progress\",\"id\":\"r\",\"done\":5,\"total\":9,\"text\":\"far\"}"},
    {"watch", PAWL_OK, "{\"type\":\"WaitCreated\",\"id\":\"r\"}"},
    {"watch", PAWL_OK,
     "{\"type\":\"Output\",\"id\":\"r\",\"channel\":\"log.error\",\"activity\":\"a\",\"data\":\"d\"}"},
    {"watch", PAWL_OK, "{\"type\":\"RunCompleted\",\"id\":\"r\"}"},
    {"watch", PAWL_IO, ""},
    {"memories", PAWL_OK, "[]"},
    {"memory_put", PAWL_OK, "{}"},
    {"memory_delete", PAWL_OK, "{}"},
};

/* ---- up.h ---- */

pw_up *pw_up_open(uv_loop_t *loop, const char *journal_path, const pw_up_hooks *hooks)
{
    (void)loop;
    (void)journal_path;
    (void)hooks;
    return pw_calloc(1, sizeof(pw_up));
}

void pw_up_close(pw_up *up)
{
    engine.len = 0;
    pw_free(up);
}

bool pw_up_is_live(const pw_up *up)
{
    (void)up;
    return true;
}

bool pw_up_is_connected(const pw_up *up)
{
    (void)up;
    return true;
}

static void keep(const char *op, pw_up_fn fn, void *user, bool many)
{
    if (engine.len <
        ASKED_MAX) { /* what is beyond it is never answered, as by an engine that is away */
        asked *a = &engine.list[engine.len++];
        *a = (asked){.fn = fn, .user = user, .many = many};
        (void)snprintf(a->op, sizeof a->op, "%s", op);
    }
}

void pw_up_ask(pw_up *up, const char *op, const pawl_value *args, pw_up_fn fn, void *user)
{
    (void)up;
    (void)pw_value_bytes(args);
    keep(op, fn, user, false);
}

void pw_up_watch(pw_up *up, const pawl_value *args, pw_up_fn fn, void *user)
{
    (void)up;
    (void)pw_value_bytes(args);
    keep("watch", fn, user, true);
}

void pw_up_follow(pw_up *up, const pawl_value *args, pw_up_fn began, pw_up_fn fn, void *user)
{
    const size_t at = engine.len;
    pw_up_ask(up, "start", args, fn, user);
    if (engine.len > at) {
        engine.list[at].began = began;
    }
}

static void take_out(size_t i)
{
    memmove(&engine.list[i], &engine.list[i + 1], (engine.len - i - 1) * sizeof(asked));
    engine.len--;
}

void pw_up_forget(pw_up *up, const void *user)
{
    (void)up;
    for (size_t i = engine.len; i > 0; i--) {
        if (engine.list[i - 1].user == user) {
            take_out(i - 1);
        }
    }
}

/* ---- the engine ---- */

static uint8_t choose(void)
{
    if (engine.choices_len == 0) {
        return 0;
    }
    engine.choices_len--;
    return *engine.choices++;
}

const pawl_value *fuzz_mcp_catalog(pawl_scope *scope)
{
    const pawl_value *v = NULL;
    pawl_error err;
    PW_CHECK(pawl_parse_json(scope, catalog, sizeof catalog - 1, &v, &err) == PAWL_OK);
    return v;
}

static void say(const asked *a, pawl_status status, const char *json)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v = NULL;
    pawl_error err;
    PW_CHECK(scope != NULL);
    if (strcmp(a->op, "tools") == 0) {
        v = fuzz_mcp_catalog(scope);
    } else if (json[0] != '\0') {
        PW_CHECK(pawl_parse_json(scope, json, strlen(json), &v, &err) == PAWL_OK);
    }
    if (a->began != NULL && pawl_bool(v, "following", false)) {
        keep("watch", a->fn, a->user, true);
    }
    pw_up_fn fn = a->began != NULL ? a->began : a->fn;
    if (fn != NULL) {
        fn(a->user, status, v, status == PAWL_OK ? "" : "why");
    }
    pawl_scope_free(scope);
}

static void answer_one(const asked *a)
{
    size_t first = 0;
    size_t n = 0;
    for (size_t i = 0; i < PW_COUNT(replies); i++) {
        const bool same = strcmp(replies[i].op, a->op) == 0;
        first = same && n == 0 ? i : first;
        n += same;
    }
    if (strcmp(a->op, "tools") == 0) {
        say(a, PAWL_OK, "");
    } else if (n == 0) {
        say(a, PAWL_NOTFOUND, "");
    } else {
        const size_t at = first + choose() % n;
        say(a, replies[at].status, replies[at].reply);
    }
}

void fuzz_mcp_answer(void)
{
    for (size_t round = 0, i = 0; round < ROUNDS_MAX && engine.len > 0; round++) {
        i = i < engine.len ? i : 0;
        const asked a = engine.list[i];
        if (a.many) {
            if (engine.told++ < ROUNDS_MAX / 4) {
                answer_one(&a);
            }
            i++;
        } else {
            take_out(i);
            answer_one(&a);
        }
    }
}

void fuzz_mcp_open(fuzz_mcp *f, const uint8_t *choices, size_t size)
{
    static const pw_mcpd_options options = {.journal = "/nowhere/fuzz.db"};
    engine.choices = choices;
    engine.choices_len = size;
    engine.told = 0;
    PW_CHECK(uv_loop_init(&f->loop) == 0);
    f->server = pw_mcpd_open(&f->loop, &options);
    PW_CHECK(f->server != NULL);
    memset(f->server->key, 7, sizeof f->server->key);
}

void fuzz_mcp_close(fuzz_mcp *f)
{
    pw_mcpd_close(f->server);
    while (uv_run(&f->loop, UV_RUN_NOWAIT) != 0) { /* handles that close */
    }
    PW_CHECK(uv_loop_close(&f->loop) == 0);
}
