/*
 * cli_mcp_check.c - `mcp --check`: what an MCP client would see, what each tool costs its model, and what would make a model choose badly.
 *
 *   an engine owns the journal    it is asked: its modules decide what there is
 *   nobody does                   an engine in memory with our modules: the journal is not touched
 *
 * A tool costs what its JSON in tools/list has in bytes, by four: what hosts put before every conversation. Tokenizers differ, so it is an
 * estimate. Does not judge what a tool does.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/error.h"
#include "tools/cli_mcp.h"
#include "tools/mcp/inside.h"

#define BYTES_PER_TOKEN 4
#define NAME_LONG 64      /* what model providers take as the name of a function */
#define TOKENS_LARGE 1000 /* of one tool */
#define READY_MS 10000
#define READY_AGAIN_MS 20

static const char *const mode_names[] = {
    [PW_MCPD_TOOLS_PINNED] = "pinned", [PW_MCPD_TOOLS_META] = "meta", [PW_MCPD_TOOLS_ALL] = "all"};
static const pw_mcpd_tools mode_order[] = {PW_MCPD_TOOLS_META, PW_MCPD_TOOLS_PINNED,
                                           PW_MCPD_TOOLS_ALL};
enum { MODES = 3 };

/* One tool as it is listed. */
typedef struct tool {
    const pawl_value *json;
    const pw_mcpd_offer *offer; /* NULL: one of the fixed few */
    const char *name;
    size_t bytes;
    const pawl_value *warnings; /* texts */
} tool;

typedef struct survey {
    pw_cli *cli;
    pawl_scope *scope;
    pw_mcpd_tools mode;
    pw_mcpd_catalog catalog;
    tool *tools; /* in the order of their names */
    size_t len;
} survey;

/* ---- what is there ---- */

static bool among(const tool *t, pw_mcpd_tools mode)
{
    return t->offer == NULL || mode == PW_MCPD_TOOLS_ALL ||
           (mode == PW_MCPD_TOOLS_PINNED && t->offer->published);
}

static size_t tokens_of(size_t bytes)
{
    return (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

static void warn(survey *s, tool *t, const char *text)
{
    const size_t len = pawl_len(t->warnings);
    const pawl_value **all = pw_alloc(s->scope, (len + 1) * sizeof(const pawl_value *));
    for (size_t i = 0; i < len && all != NULL; i++) {
        all[i] = pawl_at(t->warnings, i);
    }
    if (all != NULL && text != NULL) {
        all[len] = pawl_make_str(s->scope, text);
        t->warnings = pawl_make_array(s->scope, all, len + 1);
    }
}

static bool plain_name(const char *name)
{
    size_t size = 0;
    for (; name[size] != '\0'; size++) {
        if (!isalnum((unsigned char)name[size]) && name[size] != '_' && name[size] != '-') {
            return false;
        }
    }
    return size <= NAME_LONG;
}

/* The names of input properties that say nothing of themselves, "a, b"; NULL when there are none. */
static const char *undescribed(survey *s, const pawl_value *schema)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const pawl_value *properties = pw_mcpd_key(schema, "properties");
    for (size_t i = 0; i < pawl_len(properties); i++) {
        const pawl_value *one = pawl_at(properties, i);
        if (pawl_str(one, "description", "")[0] == '\0' && pawl_get(one, "enum") == NULL) {
            pw_buf_printf(&text, "%s%s", text.size > 0 ? ", " : "", pawl_key_at(properties, i));
        }
    }
    return text.size > 0 ? pw_strdup(s->scope, pw_buf_cstr(&text)) : NULL;
}

static void judge(survey *s, tool *t)
{
    const pw_mcpd_offer *o = t->offer;
    if (o->description[0] == '\0') {
        warn(s, t, "no description, so a model has only its name to choose it by");
    }
    if (o->input_schema == NULL) {
        warn(s, t, "no input schema, so a model has to guess what it takes");
    } else if (undescribed(s, o->input_schema) != NULL) {
        warn(s, t,
             pw_sprintf(s->scope, "no description of its input's %s",
                        undescribed(s, o->input_schema)));
    }
    if (o->output_schema == NULL) {
        warn(s, t, "no output schema");
    }
    if (!plain_name(t->name)) {
        warn(s, t,
             "its name is taken by some hosts only: others want letters, digits, _ and -, 64 "
             "at most");
    }
    if (tokens_of(t->bytes) > TOKENS_LARGE) {
        warn(s, t, "it is large: every conversation pays for it");
    }
}

static void add(survey *s, const pawl_value *json, const pw_mcpd_offer *offer)
{
    tool *t = &s->tools[s->len];
    const pawl_value *listed = pw_mcpd_modern.tool(
        s->scope, json, offer != NULL ? pw_mcpd_offer_task(offer) : "forbidden");
    const char *text = pawl_to_json(s->scope, listed, 0);
    if (text == NULL) {
        return;
    }
    *t = (tool){.json = listed,
                .offer = offer,
                .name = pawl_str(listed, "name", ""),
                .bytes = strlen(text)};
    if (offer != NULL) {
        judge(s, t);
        if (s->len > 0 && strcmp(s->tools[s->len - 1].name, t->name) == 0) {
            warn(s, t, "another tool has its name: only one of them can be called");
        }
    }
    s->len++;
}

/* As tools/list has them: the fixed few and the others in the order of their names. */
static bool take(survey *s, const pawl_value *reply)
{
    if (!pw_mcpd_catalog_read(&s->catalog, reply, true)) {
        return false;
    }
    const pw_mcpd_catalog *c = &s->catalog;
    size_t meta = 0;
    while (pw_mcpd_meta_tool(s->scope, meta) != NULL) {
        meta++;
    }
    s->tools = pw_alloc(s->scope, (c->len + meta) * sizeof *s->tools);
    meta = 0;
    const pawl_value *m = pw_mcpd_meta_tool(s->scope, meta);
    for (size_t i = 0; i <= c->len && s->tools != NULL; i++) {
        const pw_mcpd_offer *o = i < c->len ? &c->offers[i] : NULL;
        if (o != NULL && o->kind != PW_MCPD_OFFER_TOOL) {
            continue;
        }
        while (m != NULL && (o == NULL || strcmp(pawl_str(m, "name", ""), o->name) <= 0)) {
            add(s, m, NULL);
            m = pw_mcpd_meta_tool(s->scope, ++meta);
        }
        if (o != NULL) {
            add(s, pw_mcpd_offer_tool(s->scope, o), o);
        }
    }
    return !pw_scope_failed(s->scope);
}

static size_t count(const survey *s, pw_mcpd_tools mode, size_t *ret_bytes)
{
    size_t n = 0;
    *ret_bytes = 0;
    for (size_t i = 0; i < s->len; i++) {
        n += among(&s->tools[i], mode);
        *ret_bytes += among(&s->tools[i], mode) ? s->tools[i].bytes : 0;
    }
    return n;
}

static size_t count_kind(const survey *s, pw_mcpd_offer_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < s->catalog.len; i++) {
        n += s->catalog.offers[i].kind == kind;
    }
    return n;
}

/* ---- for people ---- */

static void cell(pw_cli_grid *grid, pw_cli_style style, const char *fmt, ...) PAWL_PRINTF(3, 4);

static void cell(pw_cli_grid *grid, pw_cli_style style, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pw_grid_str(grid, style, text);
}

/* "repo build [ref]": what has to be given, and what may be. */
static const char *input_words(survey *s, const tool *t)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const pawl_value *schema = pw_mcpd_key(t->json, "inputSchema");
    const pawl_value *properties = pw_mcpd_key(schema, "properties");
    const pawl_value *required = pw_mcpd_key(schema, "required");
    for (size_t i = 0; i < pawl_len(properties); i++) {
        const char *name = pawl_key_at(properties, i);
        bool must = false;
        for (size_t k = 0; k < pawl_len(required); k++) {
            must = must || pawl_is(pawl_at(required, k), "", name);
        }
        pw_buf_printf(&text, must ? "%s%s" : "%s[%s]", text.size > 0 ? " " : "", name);
    }
    return text.size > 0 ? pw_strdup(s->scope, pw_buf_cstr(&text)) : "-";
}

static const char *hint_words(const tool *t)
{
    const pawl_value *a = pw_mcpd_key(t->json, "annotations");
    return pawl_bool(a, "readOnlyHint", false)     ? "looks"
           : pawl_bool(a, "destructiveHint", true) ? "may destroy"
           : pawl_bool(a, "idempotentHint", false) ? "may be repeated"
                                                   : "adds";
}

static void print_tools(survey *s)
{
    static const char *const headings[] = {"TOOL", "TOKENS", "INPUT", "TASK", "HINTS", "DOES"};
    pw_cli_grid grid;
    pw_grid_init(&grid, 6);
    grid.yields = 2;
    grid.below = 40;
    for (size_t i = 0; i < s->len; i++) {
        const tool *t = &s->tools[i];
        if (among(t, s->mode)) {
            const size_t tokens = tokens_of(t->bytes);
            pw_grid_str(&grid, t->offer != NULL ? PW_BOLD : PW_PLAIN, t->name);
            cell(&grid, tokens > TOKENS_LARGE ? PW_WARN : PW_PLAIN, "%6zu", tokens);
            pw_grid_str(&grid, PW_DIM, input_words(s, t));
            pw_grid_str(&grid, PW_PLAIN, t->offer != NULL ? pw_mcpd_offer_task(t->offer) : "-");
            pw_grid_str(&grid, PW_PLAIN, hint_words(t));
            pw_grid_str(&grid, PW_PLAIN, pawl_str(t->json, "description", "-"));
        }
    }
    (void)pw_grid_print(&s->cli->out, &grid, headings, 0);
    pw_grid_deinit(&grid);
}

static void print_totals(survey *s)
{
    static const char *const headings[] = {"--tools", " TOOLS", " BYTES", "TOKENS", ""};
    pw_cli_grid grid;
    pw_grid_init(&grid, 5);
    for (size_t i = 0; i < MODES; i++) {
        const pw_mcpd_tools mode = mode_order[i];
        const pw_cli_style style = mode == s->mode ? PW_BOLD : PW_PLAIN;
        size_t bytes = 0;
        const size_t n = count(s, mode, &bytes);
        pw_grid_str(&grid, style, mode_names[mode]);
        cell(&grid, style, "%6zu", n);
        cell(&grid, style, "%6zu", bytes);
        cell(&grid, style, "%6zu", tokens_of(bytes));
        pw_grid_str(&grid, PW_DIM, mode == s->mode ? "shown above" : "");
    }
    pw_out_puts(&s->cli->out, "\n");
    (void)pw_grid_print(&s->cli->out, &grid, headings, 0);
    pw_grid_deinit(&grid);
}

static void print_rest(survey *s)
{
    static const struct {
        pw_mcpd_offer_kind kind;
        const char *one, *many;
    } kinds[] = {{PW_MCPD_OFFER_PROMPT, "prompt", "prompts"},
                 {PW_MCPD_OFFER_RESOURCE, "resource", "resources"},
                 {PW_MCPD_OFFER_TEMPLATE, "template", "templates"}};
    pw_cli_out *o = &s->cli->out;
    pw_out_puts(o, "\n");
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        const size_t n = count_kind(s, kinds[i].kind);
        pw_out_printf(o, "%s%zu %s", i > 0 ? ", " : "", n, n == 1 ? kinds[i].one : kinds[i].many);
    }
    pw_out_puts(o, "\n");
}

/* What a client would not see: the first question about one's own module. */
static void print_hidden(survey *s)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    for (size_t i = 0; i < s->len; i++) {
        if (!among(&s->tools[i], s->mode)) {
            pw_buf_printf(&text, "%s%s", text.size > 0 ? ", " : "not listed: ", s->tools[i].name);
        }
    }
    if (text.size > 0) {
        pw_buf_puts(&text,
                    s->mode == PW_MCPD_TOOLS_META
                        ? "; --tools pinned lists what is published, --tools all every one"
                        : "; a workflow is listed when it is published (pawl_workflow_options), "
                          "or with --tools all");
        pw_out_puts(&s->cli->out, "\n");
        pw_out_wrap(&s->cli->out, pw_buf_cstr(&text), 0);
        pw_out_puts(&s->cli->out, "\n");
    }
}

static void print_warnings(survey *s)
{
    pw_cli_out *o = &s->cli->out;
    bool any = false;
    for (size_t i = 0; i < s->len; i++) {
        const tool *t = &s->tools[i];
        PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
        if (!among(t, s->mode) || pawl_len(t->warnings) == 0) {
            continue;
        }
        for (size_t k = 0; k < pawl_len(t->warnings); k++) {
            pw_buf_printf(&text, "%s%s", k > 0 ? "; " : "", k > 0 ? "" : t->name);
            pw_buf_printf(&text, "%s%s", k > 0 ? "" : ": ",
                          pawl_str(pawl_at(t->warnings, k), "", ""));
        }
        pw_out_puts(o, any ? "" : "\n");
        any = true;
        pw_out_styled(o, PW_WARN, "warning");
        pw_out_puts(o, "  ");
        pw_out_wrap(o, pw_buf_cstr(&text), 9);
        pw_out_puts(o, "\n");
    }
}

/* ---- for programs ---- */

static const pawl_value *tool_value(survey *s, const tool *t)
{
    const pawl_value *v =
        pawl_build(s->scope, "{name: %s, tokens: %lld, bytes: %lld, annotations: %p, warnings: %p}",
                   t->name, (long long)tokens_of(t->bytes), (long long)t->bytes,
                   pawl_v(pw_mcpd_key(t->json, "annotations")),
                   pawl_v(t->warnings != NULL ? t->warnings : pawl_make_array(s->scope, NULL, 0)));
    if (t->offer == NULL) {
        return v;
    }
    v = pawl_with(s->scope, v, "workflow", pawl_make_str(s->scope, t->offer->workflow));
    return pawl_with(s->scope, v, "task", pawl_make_str(s->scope, pw_mcpd_offer_task(t->offer)));
}

static const pawl_value *value(survey *s)
{
    const pawl_value **items = pw_alloc(s->scope, (s->len + 1) * sizeof(const pawl_value *));
    const pawl_value *modes = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->len && items != NULL; i++) {
        if (among(&s->tools[i], s->mode)) {
            items[n++] = tool_value(s, &s->tools[i]);
        }
    }
    for (size_t i = 0; i < MODES; i++) {
        size_t bytes = 0;
        const size_t len = count(s, mode_order[i], &bytes);
        modes =
            pawl_with(s->scope, modes, mode_names[mode_order[i]],
                      pawl_build(s->scope, "{tools: %lld, bytes: %lld, tokens: %lld}",
                                 (long long)len, (long long)bytes, (long long)tokens_of(bytes)));
    }
    return pawl_build(
        s->scope,
        "{shown: %s, tools: %p, modes: %p, prompts: %lld, resources: %lld, templates: %lld}",
        mode_names[s->mode], pawl_v(pawl_make_array(s->scope, items, n)), pawl_v(modes),
        (long long)count_kind(s, PW_MCPD_OFFER_PROMPT),
        (long long)count_kind(s, PW_MCPD_OFFER_RESOURCE),
        (long long)count_kind(s, PW_MCPD_OFFER_TEMPLATE));
}

/* ---- asking ---- */

/* An engine is reached before its host has registered all its code. */
static pawl_status ask(pw_cli *cli, const pawl_value **ret_reply, pawl_error *err)
{
    const struct timespec moment = {.tv_nsec = READY_AGAIN_MS * 1000000L};
    const int64_t until = pw_cli_now_ms() + READY_MS;
    pawl_status st = PAWL_OK;
    do {
        st = pw_cli_request(cli, "tools", NULL, READY_MS, ret_reply, err);
    } while (st == PAWL_OK && !pawl_bool(*ret_reply, "ready", true) && pw_cli_now_ms() < until &&
             nanosleep(&moment, NULL) == 0);
    return st;
}

int pw_cli_mcp_check(pw_cli *cli, bool live)
{
    const pawl_value *reply = NULL;
    pawl_error err = {0};
    survey s = {
        .cli = cli, .scope = cli->scope, .mode = (pw_mcpd_tools)cli->args->number[PW_OPT_TOOLS]};
    int code = live ? PW_EXIT_OK : pw_cli_host_nowhere(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    const pawl_status st =
        live ? ask(cli, &reply, &err)
             : pawl_request(cli->engine, "tools", NULL, READY_MS, cli->scope, &reply, &err);
    if (st != PAWL_OK) {
        code = pw_cli_fail(cli, st, &err, "cannot list what there is");
    } else if (!take(&s, reply)) {
        code = pw_cli_fail(cli, PAWL_NOMEM, NULL, "cannot list what there is");
    } else if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, value(&s));
    } else {
        print_tools(&s);
        print_totals(&s);
        print_rest(&s);
        print_hidden(&s);
        print_warnings(&s);
    }
    pw_mcpd_catalog_deinit(&s.catalog);
    pw_cli_unhost(cli, 0);
    return code;
}
