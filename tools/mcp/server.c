/*
 * server.c - the server's beginning and end, and what it does when the engine comes back. Does not carry out requests (exchange.c).
 */
#include "tools/mcp/server.h"

#include <string.h>

#include "journal/journal.h"
#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

/* ---- the key of seals: of the journal's own, so that it outlives us ---- */

static bool key_take(void *ctx, pw_view row_map)
{
    uint8_t *key = ctx;
    pw_mp r = pw_mp_reader(row_map.data, row_map.size);
    const size_t pairs = pw_mp_read_map(&r);
    for (size_t i = 0; i < pairs; i++) {
        const pw_view name = pw_mp_read_str(&r);
        const pw_view value = pw_mp_read_str(&r);
        if (pw_view_is(name, "value") && value.size == PW_KEY_SIZE) {
            static const char purpose[] = "seals of the MCP server";
            pw_blob_digest(key, value.data, purpose, sizeof purpose);
        }
    }
    return false;
}

static void take_key(pw_mcpd *s)
{
    pawl_error err;
    (void)pw_sqlite_query(s->journal, "SELECT value FROM pawl_meta WHERE name = 'blob_key'",
                          key_take, s->key, &err);
}

/* ---- the engine ---- */

static void on_back(void *user)
{
    pw_mcpd *s = user;
    take_key(s);
    s->catalog.at_ms = 0; /* another engine may have other code */
    pw_mcpd_news_back(s);
    for (pw_mcpd_x *x = s->xs; x != NULL; x = x->next) {
        pw_mcpd_call_again(x);
    }
}

static void on_no_owner(void *user)
{
    pw_mcpd *s = user;
    if (s->options.no_owner != NULL) {
        s->options.no_owner(s->options.user);
    }
}

pw_mcpd *pw_mcpd_open(uv_loop_t *loop, const pw_mcpd_options *options)
{
    pw_mcpd *s = pw_calloc(1, sizeof *s);
    const size_t size = strlen(options->journal) + 1;
    char *journal = pw_malloc(size);
    if (s == NULL || journal == NULL) {
        pw_free(s);
        pw_free(journal);
        return NULL;
    }
    memcpy(journal, options->journal, size);
    *s = (pw_mcpd){.loop = loop, .options = *options, .journal = journal};
    s->options.journal = journal;
    s->began_ms = pw_mcpd_now_ms();
    pw_random(s->key, sizeof s->key);
    take_key(s); /* a journal that is not there yet has its own by the time an engine is */
    pw_up_hooks hooks = {.user = s, .back = on_back, .no_owner = on_no_owner};
    s->up = pw_up_open(loop, journal, &hooks);
    if (s->up == NULL || !pw_mcpd_news_open(s)) {
        pw_up_close(s->up);
        pw_free(journal);
        pw_free(s);
        return NULL;
    }
    return s;
}

void pw_mcpd_close(pw_mcpd *s)
{
    if (s == NULL) {
        return;
    }
    while (s->xs != NULL) {
        s->xs->run.cancel_on_drop = false; /* the server goes, not the client */
        pw_mcpd_drop(s->xs);
    }
    pw_up_close(s->up);
    pw_mcpd_news_close(s);
    pw_mcpd_sessions_free(s);
    pw_mcpd_catalog_deinit(&s->catalog);
    pw_mcpd_lost_deinit(s);
    pw_free(s->journal);
    pw_free(s);
}
