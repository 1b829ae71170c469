/*
 * listen.c - subscriptions/listen: a stream of the news that its client asked for, until one of them goes. Does not know what the news is (news.c).
 */
#include "sdk/base/value.h"
#include "tools/mcp/inside.h"

static const pawl_value *honoured(pawl_scope *scope, const pawl_value *asked)
{
    static const char *const lists[] = {"toolsListChanged", "promptsListChanged",
                                        "resourcesListChanged"};
    static const char *const arrays[] = {"resourceSubscriptions", "taskIds"};
    const pawl_value *v = pawl_build(scope, "{}");
    for (size_t i = 0; i < PW_COUNT(lists); i++) {
        if (pawl_bool(asked, lists[i], false)) {
            v = pawl_with(scope, v, lists[i], pawl_make_bool(scope, true));
        }
    }
    for (size_t i = 0; i < PW_COUNT(arrays); i++) {
        const pawl_value *a = pawl_get(asked, arrays[i]);
        if (pawl_typeof(a) == PAWL_ARRAY && pawl_len(a) <= PW_MCPD_SUBSCRIPTIONS_MAX) {
            v = pawl_with(scope, v, arrays[i], a);
        }
    }
    return v;
}

void pw_mcpd_on_LISTEN(pw_mcpd_x *x)
{
    const pawl_value *asked = pawl_get(x->params, "notifications");
    if (pawl_typeof(asked) != PAWL_MAP) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "notifications is an object");
        return;
    }
    if (pawl_get(asked, "taskIds") != NULL && !pw_mcpd_has_tasks(x)) {
        const pawl_value *tasks =
            pawl_with(x->scope, NULL, PW_MCPD_TASKS, pawl_build(x->scope, "{}"));
        pw_mcpd_need_cap(x, pawl_build(x->scope, "{extensions: %p}", pawl_v(tasks)));
        return;
    }
    x->listen = honoured(x->scope, asked);
    if (pw_scope_failed(x->scope)) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "out of memory");
        return;
    }
    pw_mcpd_notify(x, "notifications/subscriptions/acknowledged",
                   pw_mcpd_tagged(x, x->scope,
                                  pawl_build(x->scope, "{notifications: %p}", pawl_v(x->listen))));
    pw_mcpd_hear(x);
    const pawl_value *ids = pawl_get(x->listen, "taskIds");
    for (size_t i = 0; i < pawl_len(ids); i++) { /* one may have ended before it was listened to */
        pw_mcpd_tell_task(x, pawl_str(pawl_at(ids, i), "", ""));
    }
}

void pw_mcpd_farewell(pw_mcpd *s)
{
    for (pw_mcpd_x *x = s->xs, *next = NULL; x != NULL; x = next) {
        next = x->next;
        if (x->listen != NULL && x->era->meta) {
            pw_mcpd_end(x, pw_mcpd_tagged(x, x->scope, NULL));
        }
    }
}
