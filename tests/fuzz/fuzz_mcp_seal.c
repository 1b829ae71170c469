/*
 * fuzz_mcp_seal.c - libFuzzer target: texts that an MCP client brings back: states, cursors, sessions, the ids of events. What was not sealed here, for
 * that purpose, is none; what was comes back as it was. Does not guess keys.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fuzz_mcp.h"

#define TEXT_MAX 4096

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED("AAAAAAAAAAAAAAAAAAAAAJSheKF5wKFm"),
    SEED("@.12"),
    SEED("@.-9223372036854775809"),
    SEED("x.y.z"),
    {NULL, 0},
};

typedef struct peer {
    const char *session;
    char event[TEXT_MAX + 256];
    int ended;
} peer;

static const char *header(void *user, const char *name)
{
    const peer *p = user;
    return strcasecmp(name, "Mcp-Session-Id") == 0         ? p->session
           : strcasecmp(name, "Last-Event-ID") == 0        ? p->event
           : strcasecmp(name, "MCP-Protocol-Version") == 0 ? PW_MCPD_LEGACY
                                                           : NULL;
}

static void on_message(void *user, const char *event_id, const char *text, size_t size)
{
    (void)event_id;
    (void)text;
    (void)size;
    PW_CHECK(((peer *)user)->ended == 0);
}

static void on_end(void *user, int status, const char *text, size_t size)
{
    (void)status;
    (void)text;
    (void)size;
    PW_CHECK(((peer *)user)->ended++ == 0);
}

/* A stream is taken up again behind an event: one that was named here, "@" and the rest of the input, or none. */
static void resume(fuzz_mcp *f, pawl_scope *scope, const char *text)
{
    static const pw_mcpd_sink sink = {.message = on_message, .end = on_end};
    static peer p;
    pw_mcpd_x *x = NULL;
    const pw_mcpd_session *session = pw_mcpd_session_new(f->server, PW_MCPD_LEGACY, NULL);
    const char *stream = text[0] == '@'
                             ? pw_mcpd_seal(f->server, scope, "stream",
                                            pawl_build(scope, "[%s, %d, %d, %d]", "r", 1, 2, 0))
                             : "";
    PW_CHECK(session != NULL);
    p.session = session->id;
    p.ended = 0;
    (void)snprintf(p.event, sizeof p.event, "%s%s", stream, text + (text[0] == '@'));
    const pw_mcpd_given given = {
        .text = "", .header = header, .sink = &sink, .user = &p, .principal = ""};
    pw_mcpd_take_session(f->server, &given, true, &x);
    fuzz_mcp_answer();
    PW_CHECK((x == NULL) == (p.ended == 1));
    if (x != NULL) {
        pw_mcpd_drop(x);
    }
}

static void round_trip(pw_mcpd *s, pawl_scope *scope, const uint8_t *data, size_t size)
{
    const pawl_value *v =
        pawl_build(scope, "[%p, %s]", pawl_v(pawl_make_bytes(scope, data, size)), "x");
    const char *sealed = pw_mcpd_seal(s, scope, "state", v);
    PW_CHECK(pawl_equal(pw_mcpd_unseal(s, scope, "state", sealed), v));
    PW_CHECK(pw_mcpd_unseal(s, scope, "cursor", sealed) == NULL);
    char *other = pw_strdup(scope, sealed);
    const size_t at = size > 0 ? data[0] % strlen(other) : 0;
    other[at] = other[at] == 'A' ? 'B' : 'A';
    PW_CHECK(pw_mcpd_unseal(s, scope, "state", other) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const purposes[] = {"state", "cursor", "session", "stream"};
    fuzz_mcp f;
    pawl_scope *scope = pawl_scope_new();
    const char *text = pw_strndup(scope, (const char *)data, size < TEXT_MAX ? size : TEXT_MAX);
    PW_CHECK(text != NULL);
    fuzz_mcp_open(&f, data, size);
    for (size_t i = 0; i < PW_COUNT(purposes); i++) {
        PW_CHECK(pw_mcpd_unseal(f.server, scope, purposes[i], text) == NULL);
    }
    PW_CHECK(pw_mcpd_session_find(f.server, text) == NULL);
    round_trip(f.server, scope, data, size);
    resume(&f, scope, text);
    fuzz_mcp_close(&f);
    pawl_scope_free(scope);
    return 0;
}
