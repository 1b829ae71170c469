/*
 * agent_servers.c - `servers`: MCP servers whose tools are the agent's without being named one by one.
 *
 *   servers: {crm: {server, only, ask, deny}} --"mcp", tools/list, all at once--> their lists, journaled as results
 *   each tool --> {name: crm_TOOL, description, schema, tags: [crm], policy, mcp: {from: crm, tool: TOOL}}, after the agent's own tools
 *
 * They are listed before the first turn, and again before a turn if a tool that was called is unknown to its server, or somebody says so (signal
 * "relist"). The same tools again change nothing; a server that cannot be asked again keeps those it had. Rights come first: what `only` does not name,
 * or the server's schema spoils, is no tool at all; what `deny` names is shown to nobody and ranked by nobody. Does not call tools and keeps no
 * connection: the activity "mcp" does, and hears when a server's list has changed.
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

#define TOOLS_MAX 2000u    /* of all servers together */
#define NAME_MAX_BYTES 64u /* what every provider takes */

static const pawl_value *servers_of(const pw_agent *a)
{
    return pawl_get(a->config, "servers");
}

bool pw_agent_lists(const pw_agent *a)
{
    return pawl_len(servers_of(a)) > 0;
}

void pw_agent_list_begin(pw_agent *a)
{
    a->relist = false;
    a->phase = PW_AGENT_LISTING;
    memset(a->listing, 0, sizeof a->listing);
}

/* ---- asking ---- */

bool pw_agent_list_ask(const pw_agent *a, pawl_fold *f)
{
    const pawl_value *servers = servers_of(a);
    bool ok = true;
    for (size_t i = 0; i < pawl_len(servers) && i < PW_AGENT_SERVERS_MAX && ok; i++) {
        const pawl_value *s = pawl_at(servers, i);
        const pawl_call_options options = {
            .name = "mcp",
            .input = pawl_build(pawl_fold_scope(f), "{server: %p, method: 'tools/list'}",
                                pawl_v(pawl_get(s, "server"))),
            .effect = PAWL_EFFECT_PURE,
            .timeout_s = 60,
            .retries = 3,
            .queue = pawl_str(s, "queue", NULL),
        };
        if (a->listing[i].command == 0 && !a->listing[i].over) {
            ok = pawl_fold_call(f, &options, sizeof options) != 0;
        }
    }
    return ok;
}

/* Commands come in the order in which they were asked for. */
void pw_agent_list_asked(pw_agent *a, int64_t command)
{
    for (size_t i = 0; i < pawl_len(servers_of(a)) && i < PW_AGENT_SERVERS_MAX; i++) {
        if (a->listing[i].command == 0 && !a->listing[i].over) {
            a->listing[i].command = command;
            return;
        }
    }
}

/* ---- one tool ---- */

/* Of a list of names, in which a last * stands for the rest. */
static bool named(const pawl_value *names, const char *name)
{
    for (size_t i = 0; i < pawl_len(names); i++) {
        const char *one = pawl_str(pawl_at(names, i), "", "");
        const size_t len = strlen(one);
        if (len > 0 && one[len - 1] == '*' ? strncmp(one, name, len - 1) == 0
                                           : strcmp(one, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static const char *shown_name(const char *server, const char *tool, char ret[NAME_MAX_BYTES + 1])
{
    (void)snprintf(ret, NAME_MAX_BYTES + 1, "%s_%s", server, tool);
    for (char *p = ret; *p != '\0'; p++) {
        *p = is_plain(*p) ? *p : '_';
    }
    return ret;
}

static const char *policy_of(const pawl_value *s, const char *tool)
{
    return named(pawl_get(s, "deny"), tool)  ? "deny"
           : named(pawl_get(s, "ask"), tool) ? "ask"
                                             : pawl_str(s, "policy", "allow");
}

/* Nil: it is none for this agent. */
static const pawl_value *tool_of(pawl_scope *scope, const char *server, const pawl_value *s,
                                 const pawl_value *given)
{
    static const char *const passed[] = {"timeout_s", "retries", "effect", "queue"};
    char name[NAME_MAX_BYTES + 1];
    const char *tool = pawl_str(given, "name", "");
    const pawl_value *only = pawl_get(s, "only"), *schema = pawl_get(given, "inputSchema");
    pawl_error err;
    if (tool[0] == '\0' || (only != NULL && !named(only, tool)) ||
        (schema != NULL && pawl_schema_check(schema, NULL, &err) == PAWL_INVALID)) {
        return NULL;
    }
    const pawl_value *v = pawl_build(
        scope,
        "{name: %s, description: %s, schema: %p, tags: [%s], policy: %s, mcp: {from: %s, tool: %s}}",
        shown_name(server, tool, name), pawl_str(given, "description", ""),
        pawl_v(schema != NULL ? schema : pawl_build(scope, "{type: 'object'}")), server,
        policy_of(s, tool), server, tool);
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        const pawl_value *p = pawl_get(s, passed[i]);
        v = p != NULL ? pawl_with(scope, v, passed[i], p) : v;
    }
    return v;
}

/* ---- all of them ---- */

typedef struct tools {
    const pawl_value **list; /* [TOOLS_MAX + 1] */
    size_t len;
    const char **names; /* of the agent's own tools, then of these */
    size_t names_len;
} tools;

static bool tools_make(const pw_agent *a, pawl_scope *scope, tools *t)
{
    const pawl_value *own = pawl_get(a->config, "tools");
    const size_t len = pawl_len(own);
    t->list = pawl_scope_alloc(scope, (TOOLS_MAX + 1) * sizeof *t->list);
    t->names = pawl_scope_alloc(scope, (len + TOOLS_MAX + 1) * sizeof *t->names);
    for (size_t i = 0; i < len && t->names != NULL; i++) {
        t->names[t->names_len++] = pawl_str(pawl_at(own, i), "name", "");
    }
    return t->list != NULL && t->names != NULL;
}

static bool taken(const tools *t, const char *name)
{
    size_t i = 0;
    while (i < t->names_len && strcmp(t->names[i], name) != 0) {
        i++;
    }
    return i < t->names_len;
}

static void add(tools *t, const pawl_value *tool)
{
    const char *shown = pawl_str(tool, "name", "");
    if (!taken(t, shown)) {
        t->names[t->names_len++] = shown;
        t->list[t->len++] = tool;
    }
}

/* Those that it had before: it could not be asked again. */
static void add_former(const pw_agent *a, const char *server, tools *t)
{
    const pawl_value *former = pawl_get(a->config, "listed");
    for (size_t i = 0; i < pawl_len(former) && t->len < TOOLS_MAX; i++) {
        const pawl_value *tool = pawl_at(former, i);
        if (pawl_is(tool, "mcp.from", server)) {
            add(t, tool);
        }
    }
}

/* False: there are too many. */
static bool add_all(const pw_agent *a, pawl_scope *scope, size_t server, tools *t)
{
    const char *key = pawl_key_at(servers_of(a), server), *name = key != NULL ? key : "";
    const pawl_value *s = pawl_at(servers_of(a), server), *given = a->listing[server].tools;
    if (given == NULL) {
        add_former(a, name, t);
    }
    for (size_t i = 0; i < pawl_len(given); i++) {
        const pawl_value *tool = tool_of(scope, name, s, pawl_at(given, i));
        if (tool != NULL && t->len == TOOLS_MAX) {
            return false;
        }
        if (tool != NULL) {
            add(t, tool);
        }
    }
    return true;
}

static bool same(const pawl_value *a, const pawl_value *b)
{
    size_t a_size = 0, b_size = 0;
    const void *x = pawl_to_msgpack(a, &a_size), *y = pawl_to_msgpack(b, &b_size);
    return x != NULL && y != NULL && a_size == b_size && memcmp(x, y, a_size) == 0;
}

static void all_listed(pw_agent *a)
{
    pawl_scope *scope = pawl_scope_new();
    tools t = {.len = 0};
    const bool room = scope != NULL && tools_make(a, scope, &t);
    bool few = true;
    for (size_t i = 0; i < pawl_len(servers_of(a)) && room && few; i++) {
        few = add_all(a, scope, i, &t);
    }
    if (!room || !few) {
        memset(a->listing, 0, sizeof a->listing);
        pw_agent_fail(
            a, room ? "BadInput" : "OutOfMemory",
            room ? "the servers have more than 2000 tools: name those that are wanted in `only`"
                 : "no memory for the tools of servers");
        pawl_scope_free(scope);
        return;
    }
    memset(a->listing, 0, sizeof a->listing); /* what they gave is of this turn */
    const pawl_value *listed = pawl_make_array(scope, t.list, t.len);
    if (!same(listed, pawl_get(a->config, "listed"))) {
        pw_agent_tools_listed(a, pawl_with(scope, a->config, "listed", listed));
        a->only = NULL;
        a->tools_ref = NULL; /* they are told anew */
    }
    pawl_scope_free(scope);
    pw_agent_ready(a);
}

void pw_agent_list_done(pw_agent *a, int64_t command, const pawl_value *result,
                        const pawl_failure *f)
{
    const pawl_value *servers = servers_of(a);
    bool all = true;
    for (size_t i = 0; i < pawl_len(servers) && i < PW_AGENT_SERVERS_MAX; i++) {
        pw_agent_listing *l = &a->listing[i];
        if (command != 0 && l->command == command) {
            l->command = 0;
            l->over = true;
            l->tools = pawl_copy(a->scope, pawl_get(result, "tools"));
            if (result == NULL && pawl_get(a->config, "listed") == NULL &&
                !pawl_bool(pawl_at(servers, i), "optional", false)) {
                char text[300];
                (void)snprintf(text, sizeof text, "the tools of the server \"%.64s\": %.200s",
                               pawl_key_at(servers, i),
                               f != NULL && f->message != NULL ? f->message : "canceled");
                pw_agent_fail(a, f != NULL && f->type != NULL ? f->type : "Canceled", text);
                return;
            }
        }
        all = all && l->over;
    }
    if (all) {
        all_listed(a);
    }
}

/* ---- calling ---- */

const pawl_value *pw_agent_server_of(const pw_agent *a, pawl_scope *scope, const pawl_value *tool)
{
    const pawl_value *mcp = pawl_get(tool, "mcp"), *servers = servers_of(a);
    const char *from = pawl_str(mcp, "from", NULL);
    for (size_t i = 0; i < pawl_len(servers) && from != NULL; i++) {
        const char *name = pawl_key_at(servers, i);
        if (name != NULL && strcmp(name, from) == 0) {
            mcp = pawl_with(scope, pawl_with(scope, mcp, "from", NULL), "server",
                            pawl_get(pawl_at(servers, i), "server"));
            break;
        }
    }
    return mcp;
}

void pw_agent_list_doubt(pw_agent *a, const pawl_value *tool, const char *type)
{
    a->relist |= pawl_get(tool, "mcp.from") != NULL && strcmp(type, "UnknownTool") == 0;
}

/* ---- snapshots ---- */

const pawl_value *pw_agent_list_save(const pw_agent *a, pawl_scope *scope)
{
    const pawl_value *list = pawl_build(scope, "[]");
    for (size_t i = 0; i < pawl_len(servers_of(a)) && i < PW_AGENT_SERVERS_MAX; i++) {
        const pw_agent_listing *l = &a->listing[i];
        list = pw_agent_push(scope, list,
                             pawl_build(scope, "{command: %lld, over: %d, tools: %p}",
                                        (long long)l->command, (int)l->over, pawl_v(l->tools)));
    }
    return pawl_build(scope, "{relist: %d, listing: %p}", (int)a->relist, pawl_v(list));
}

void pw_agent_list_load(pw_agent *a, const pawl_value *saved)
{
    const pawl_value *list = pawl_get(saved, "listing");
    a->relist = pawl_int(saved, "relist", 0) != 0;
    for (size_t i = 0; i < pawl_len(list) && i < PW_AGENT_SERVERS_MAX; i++) {
        const pawl_value *v = pawl_at(list, i);
        a->listing[i] = (pw_agent_listing){.command = pawl_int(v, "command", 0),
                                           .over = pawl_int(v, "over", 0) != 0,
                                           .tools = pawl_copy(a->scope, pawl_get(v, "tools"))};
    }
}
