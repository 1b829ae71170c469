/*
 * task.c - a run as a task, of both generations: its id is the run's, its status is what the journal says of the run.
 *
 *   open, nothing asked      working            closed, completed                completed
 *   open, something asked    input_required     failed                           completed with isError (legacy: failed)
 *                                               failed with "ProtocolError",
 *                                               timed out                        failed
 *                                               cancelled, terminated            cancelled
 *
 * Nothing of a task is kept anywhere else, so every process gives the same answer (look.c). Who has the id has the task.
 */
#include <stdio.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "tools/mcp/inside.h"

#define LIST_LEN 50

static bool is_open(const pawl_value *run)
{
    return pawl_is(run, "status", "running") || pawl_is(run, "status", "paused");
}

static void ask_of(pw_mcpd_x *x, const char *op, pw_up_fn fn)
{
    pw_up_ask(x->server->up, op, pawl_build(x->scope, "{id: %s}", x->run.id), fn, x);
}

static void no_such_task(pw_mcpd_x *x)
{
    pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no such task");
}

/* Keeps the run's row in x->run.offer. False: the exchange is over. */
static bool described(pw_mcpd_x *x, pawl_status status, const pawl_value *reply, const char *why)
{
    const bool expired = status == PAWL_OK && pw_mcpd_task_expired(x->server, reply);
    if (status == PAWL_NOTFOUND || expired) {
        no_such_task(x);
        return false;
    }
    if (status != PAWL_OK) {
        pw_mcpd_fail_lost(x, "the task cannot be read", why);
        return false;
    }
    x->run.offer = pawl_copy(x->scope, reply);
    return true;
}

/* The id of the task that a request names. NULL: the exchange is over. */
static const char *task_id(pw_mcpd_x *x)
{
    const char *id = pawl_str(x->params, "taskId", NULL);
    if (x->era->meta && !pw_mcpd_has_tasks(x)) {
        const pawl_value *tasks =
            pawl_with(x->scope, NULL, PW_MCPD_TASKS, pawl_build(x->scope, "{}"));
        pw_mcpd_need_cap(x, pawl_build(x->scope, "{extensions: %p}", pawl_v(tasks)));
        return NULL;
    }
    if (id == NULL || strlen(id) >= sizeof x->run.id) {
        no_such_task(x);
        return NULL;
    }
    pw_mcpd_session_task(x->session, id);
    return id;
}

/* ... whose run is described next. */
static void with_task(pw_mcpd_x *x, pw_up_fn fn)
{
    const char *id = task_id(x);
    if (id != NULL) {
        (void)snprintf(x->run.id, sizeof x->run.id, "%s", id);
        ask_of(x, "describe", fn);
    }
}

/* ---- a call becomes a task ---- */

static void on_created(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (!described(x, status, reply, why)) {
        return;
    }
    const pawl_value *task =
        x->era->task_created(x->scope, pw_mcpd_task_fields(x, x->scope, x->run.offer, "working"));
    pw_mcpd_session_task(x->session, x->run.id);
    pw_mcpd_end_as(x, task, "task");
}

void pw_mcpd_become_task(pw_mcpd_x *x)
{
    x->run.ending = true; /* its end is the task's */
    x->run.cancel_on_drop = false;
    pw_mcpd_no_timer(x);
    ask_of(x, "describe", on_created);
}

/* ---- tasks/get ---- */

static void on_got(pw_mcpd_x *x, int64_t n, pawl_status status, const pawl_value *task,
                   pawl_scope *scope)
{
    (void)n;
    (void)scope;
    if (status != PAWL_OK) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the task cannot be read: %s",
                     pawl_status_text(status));
    } else if (task == NULL) {
        no_such_task(x);
    } else {
        pw_mcpd_end(x, task);
    }
}

void pw_mcpd_on_TASKS_GET(pw_mcpd_x *x)
{
    const char *id = task_id(x);
    if (id != NULL && !pw_mcpd_look_at(x, id, 0, on_got)) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "out of memory");
    }
}

/* ---- tasks/list: those that calls of this principal began, newest first ---- */

struct pw_mcpd_listing {
    const pawl_value *tasks[LIST_LEN]; /* nil = its time is over */
    size_t len, left;
    const pawl_value *next; /* of the engine's listing; nil = it was the last page */
};

static void end_listing(pw_mcpd_x *x, const struct pw_mcpd_listing *l)
{
    const pawl_value *tasks[LIST_LEN];
    size_t len = 0;
    for (size_t i = 0; i < l->len; i++) {
        if (l->tasks[i] != NULL) {
            tasks[len++] = l->tasks[i];
        }
    }
    const pawl_value *r =
        pawl_build(x->scope, "{tasks: %p}", pawl_v(pawl_make_array(x->scope, tasks, len)));
    if (l->next != NULL) {
        const char *cursor = pw_mcpd_seal(x->server, x->scope, "tasks", l->next);
        r = pawl_with(x->scope, r, "nextCursor", pawl_make_str(x->scope, cursor));
    }
    pw_mcpd_end(x, r);
}

static void on_listed_task(pw_mcpd_x *x, int64_t n, pawl_status status, const pawl_value *task,
                           pawl_scope *scope)
{
    struct pw_mcpd_listing *l = x->listing;
    (void)scope;
    if (status != PAWL_OK) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "a task cannot be read: %s",
                     pawl_status_text(status));
        return;
    }
    l->tasks[n] = task != NULL ? pawl_copy(x->scope, task) : NULL;
    if (--l->left == 0) {
        end_listing(x, l);
    }
}

static void on_list(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *runs = pawl_copy(x->scope, pawl_get(reply, "runs"));
    const char *ids[LIST_LEN];
    struct pw_mcpd_listing *l = pw_alloc(x->scope, sizeof *l);
    if (status != PAWL_OK || l == NULL) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "tasks cannot be listed: %s", why);
        return;
    }
    const pawl_value *next = pawl_get(reply, "next");
    *l = (struct pw_mcpd_listing){.next = pawl_typeof(next) == PAWL_INT ? pawl_copy(x->scope, next)
                                                                        : NULL};
    for (size_t i = 0; i < pawl_len(runs) && l->len < LIST_LEN; i++) {
        const char *id = pawl_str(pawl_at(runs, i), "id", "");
        if (pw_mcpd_began(x, id)) {
            ids[l->len++] = id;
        }
    }
    l->left = l->len;
    x->listing = l;
    if (l->len == 0) {
        end_listing(x, l);
        return;
    }
    const size_t len = l->len;
    for (size_t i = 0; i < len; i++) {
        if (!pw_mcpd_look_at(x, ids[i], (int64_t)i, on_listed_task)) {
            pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "out of memory");
            return;
        }
    }
}

/* Only where it is known who asks: with a principal, or on the standard input of whoever started us. */
bool pw_mcpd_may_list_tasks(const pw_mcpd_x *x)
{
    return x->hosted != NULL || x->principal[0] != '\0';
}

void pw_mcpd_on_TASKS_LIST(pw_mcpd_x *x)
{
    const pawl_value *given = pawl_get(x->params, "cursor");
    const pawl_value *cursor =
        given != NULL ? pw_mcpd_unseal(x->server, x->scope, "tasks", pawl_str(given, "", ""))
                      : NULL;
    if (!pw_mcpd_may_list_tasks(x)) {
        pw_mcpd_fail(x, PW_MCPD_NO_METHOD, NULL, "tasks are listed for those who say who they are");
    } else if (given != NULL && cursor == NULL) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "the cursor is none of this list");
    } else {
        const pawl_value *args =
            pawl_build(x->scope, "{filter: %s, limit: %d}", PW_MCPD_BEGAN_FILTER, LIST_LEN);
        pw_up_ask(x->server->up, "list",
                  cursor != NULL ? pawl_with(x->scope, args, "cursor", cursor) : args, on_list, x);
    }
}

/* ---- tasks/update ---- */

static void on_answered(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)status; /* what did not fit is still asked */
    (void)reply;
    (void)why;
    if (--x->run.answering == 0) {
        pw_mcpd_end(x, NULL);
    }
}

static void on_asked(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *responses = pawl_get(x->params, "inputResponses");
    (void)why;
    for (size_t i = 0; status == PAWL_OK && i < pawl_len(reply); i++) {
        const pawl_value *wait = pawl_copy(x->scope, pawl_at(reply, i));
        const pawl_value *response = pw_mcpd_key(responses, pw_mcpd_wait_key(x->scope, wait, true));
        const pawl_value *value =
            response != NULL ? pw_mcpd_answer_of(x->scope, wait, response) : NULL;
        if (value != NULL) {
            x->run.answering++;
            pw_mcpd_answer(x, x->run.id, wait, value, on_answered);
        }
    }
    if (x->run.answering == 0) {
        pw_mcpd_end(x, NULL);
    }
}

static void on_updated(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (described(x, status, reply, why)) {
        ask_of(x, "waits", on_asked);
    }
}

void pw_mcpd_on_TASKS_UPDATE(pw_mcpd_x *x)
{
    if (pawl_typeof(pawl_get(x->params, "inputResponses")) != PAWL_MAP) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "inputResponses is an object");
        return;
    }
    with_task(x, on_updated);
}

/* ---- tasks/cancel ---- */

static void on_canceled(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)reply;
    if (status != PAWL_OK && status != PAWL_CLOSED) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the task cannot be cancelled: %s", why);
        return;
    }
    pw_mcpd_end(x,
                x->era->meta ? NULL : pw_mcpd_task_fields(x, x->scope, x->run.offer, "cancelled"));
}

static void on_to_cancel(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (!described(x, status, reply, why)) {
        return;
    }
    if (is_open(reply)) {
        pw_up_ask(x->server->up, "cancel",
                  pawl_build(x->scope, "{id: %s, by: %s}", x->run.id,
                             x->principal[0] != '\0' ? x->principal : "mcp"),
                  on_canceled, x);
    } else if (x->era->meta) {
        pw_mcpd_end(x, NULL);
    } else {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "the task is over");
    }
}

void pw_mcpd_on_TASKS_CANCEL(pw_mcpd_x *x)
{
    with_task(x, on_to_cancel);
}

/* ---- tasks/result ---- */

void pw_mcpd_on_TASKS_RESULT(pw_mcpd_x *x)
{
    const char *id = task_id(x);
    if (id != NULL) {
        pw_mcpd_follow(x, id, NULL, PW_MCPD_AS_TOOL);
    }
}
