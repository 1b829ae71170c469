/*
 * era.c - the table of what differs between the eras, and the small functions in it. Does not read messages (message.c) and does not
 * decide which era one is of (exchange.c).
 */
#include "tools/mcp/era.h"

#include <string.h>
#include <time.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/pawl.h"

#define LIST_TTL_MS 5000
#define POLL_MS 1000

static const struct {
    const char *version;
    const pw_mcpd_era *era;
} versions[] = {
    {PW_MCPD_MODERN, &pw_mcpd_modern},
    {PW_MCPD_LEGACY, &pw_mcpd_legacy},
    {"2025-06-18", &pw_mcpd_legacy},
    {"2025-03-26", &pw_mcpd_legacy},
};

const pw_mcpd_era *pw_mcpd_era_of(const char *version)
{
    for (size_t i = 0; i < PW_COUNT(versions); i++) {
        if (strcmp(versions[i].version, version) == 0) {
            return versions[i].era;
        }
    }
    return NULL;
}

const pawl_value *pw_mcpd_versions(pawl_scope *scope)
{
    const pawl_value *items[PW_COUNT(versions)];
    for (size_t i = 0; i < PW_COUNT(versions); i++) {
        items[i] = pawl_make_str(scope, versions[i].version);
    }
    return pawl_make_array(scope, items, PW_COUNT(versions));
}

const char *pw_mcpd_negotiate(const char *asked)
{
    return pw_mcpd_era_of(asked) == &pw_mcpd_legacy ? asked : PW_MCPD_LEGACY;
}

const pawl_value *pw_mcpd_server_info(pawl_scope *scope)
{
    return pawl_build(scope, "{name: \"pawl\", title: \"pawl workflows\", version: %s}",
                      PAWL_VERSION);
}

const char *pw_mcpd_iso(pawl_scope *scope, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm = {0};
    char text[32] = "";
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    return pw_sprintf(scope, "%s.%03dZ", text, (int)(ms % 1000));
}

/* ---- modern ---- */

static const pawl_value *modern_stamp(pawl_scope *scope, const pawl_value *result, const char *type)
{
    const pawl_value *r = pawl_with(scope, result, "resultType", pawl_make_str(scope, type));
    const pawl_value *meta = pawl_with(scope, pw_mcpd_key(r, "_meta"), PW_MCPD_META "serverInfo",
                                       pw_mcpd_server_info(scope));
    return pawl_with(scope, r, "_meta", meta);
}

static bool modern_tail(pw_buf *out, const pawl_value *result, const char *type)
{
    static const char info[] = "\"_meta\":{\"" PW_MCPD_META "serverInfo\":{\"name\":\"pawl\","
                               "\"title\":\"pawl workflows\",\"version\":\"" PAWL_VERSION "\"}}}";
    if (pawl_typeof(result) != PAWL_MAP || pw_mcpd_has(result, "_meta") ||
        pw_mcpd_has(result, "resultType")) {
        return false;
    }
    pw_buf_printf(out, "%s\"resultType\":\"%s\",", pawl_len(result) > 0 ? "," : "", type);
    pw_buf_put(out, info, sizeof info - 1);
    return true;
}

static const pawl_value *modern_listing(pawl_scope *scope, const pawl_value *result)
{
    const pawl_value *r = pawl_with(scope, result, "ttlMs", pawl_make_int(scope, LIST_TTL_MS));
    return pawl_with(scope, r, "cacheScope", pawl_make_str(scope, "private"));
}

static const pawl_value *modern_tool(pawl_scope *scope, const pawl_value *tool, const char *task)
{
    (void)scope;
    (void)task;
    return tool;
}

static const pawl_value *modern_capabilities(pawl_scope *scope, bool lists)
{
    (void)lists; /* who has an id has its task */
    const pawl_value *empty = pawl_build(scope, "{}");
    return pawl_build(scope,
                      "{tools: {listChanged: true}, prompts: {listChanged: true}, "
                      "resources: {listChanged: true, subscribe: true}, completions: {}, "
                      "logging: {}, extensions: %p}",
                      pawl_v(pawl_with(scope, NULL, PW_MCPD_TASKS, empty)));
}

static const pawl_value *modern_task(pawl_scope *scope, const pw_mcpd_task *task)
{
    const pawl_value *t =
        pawl_build(scope,
                   "{taskId: %s, status: %s, createdAt: %s, lastUpdatedAt: %s, ttlMs: %lld, "
                   "pollIntervalMs: %d}",
                   task->id, task->status, pw_mcpd_iso(scope, task->created_ms),
                   pw_mcpd_iso(scope, task->updated_ms), (long long)task->ttl_ms, POLL_MS);
    return task->message[0] != '\0'
               ? pawl_with(scope, t, "statusMessage", pawl_make_str(scope, task->message))
               : t;
}

static const pawl_value *modern_task_created(pawl_scope *scope, const pawl_value *task)
{
    return modern_stamp(scope, task, "task");
}

const pw_mcpd_era pw_mcpd_modern = {
    .name = "modern",
    .meta = true,
    .http_status = true,
    .no_resource = PW_MCPD_BAD_PARAMS,
    .task_news = "notifications/tasks",
    .stamp = modern_stamp,
    .tail = modern_tail,
    .listing = modern_listing,
    .tool = modern_tool,
    .capabilities = modern_capabilities,
    .task = modern_task,
    .task_created = modern_task_created,
};

/* ---- legacy ---- */

static const pawl_value *legacy_stamp(pawl_scope *scope, const pawl_value *result, const char *type)
{
    (void)scope;
    (void)type;
    return result;
}

static const pawl_value *legacy_listing(pawl_scope *scope, const pawl_value *result)
{
    (void)scope;
    return result;
}

static const pawl_value *legacy_tool(pawl_scope *scope, const pawl_value *tool, const char *task)
{
    return pawl_with(scope, tool, "execution", pawl_build(scope, "{taskSupport: %s}", task));
}

static const pawl_value *legacy_capabilities(pawl_scope *scope, bool lists)
{
    const pawl_value *tasks = pawl_build(scope, "{cancel: {}, requests: {tools: {call: {}}}}");
    tasks = lists ? pawl_with(scope, tasks, "list", pawl_build(scope, "{}")) : tasks;
    return pawl_build(scope,
                      "{tools: {listChanged: true}, prompts: {listChanged: true}, "
                      "resources: {listChanged: true, subscribe: true}, completions: {}, "
                      "logging: {}, tasks: %p}",
                      pawl_v(tasks));
}

static const pawl_value *legacy_task(pawl_scope *scope, const pw_mcpd_task *task)
{
    const pawl_value *t =
        pawl_build(scope,
                   "{taskId: %s, status: %s, createdAt: %s, lastUpdatedAt: %s, ttl: %lld, "
                   "pollInterval: %d}",
                   task->id, task->status, pw_mcpd_iso(scope, task->created_ms),
                   pw_mcpd_iso(scope, task->updated_ms), (long long)task->ttl_ms, POLL_MS);
    return task->message[0] != '\0'
               ? pawl_with(scope, t, "statusMessage", pawl_make_str(scope, task->message))
               : t;
}

static const pawl_value *legacy_task_created(pawl_scope *scope, const pawl_value *task)
{
    return pawl_with(scope, NULL, "task", task);
}

const pw_mcpd_era pw_mcpd_legacy = {
    .name = "legacy",
    .sessions = true,
    .asks_inside = true,
    .tool_error_fails = true,
    .no_resource = PW_MCPD_NO_RESOURCE,
    .task_news = "notifications/tasks/status",
    .stamp = legacy_stamp,
    .listing = legacy_listing,
    .tool = legacy_tool,
    .capabilities = legacy_capabilities,
    .task = legacy_task,
    .task_created = legacy_task_created,
};
