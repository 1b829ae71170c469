/*
 * gate.c - between a request and its method: may this principal do that, and to that run?
 *
 *   method --rules--> operation --> a tool, prompt, resource: roles      no: 403 with the scopes that would do, or as if it were not there
 *                               --> a run: its owner's tag, roles       no: the same answer as for a run that does not exist
 *
 * [T21] A run of another owner is answered as one that is not there, in the same words and after the same question to the engine. A method without a
 * row here is refused to everybody who needs rights. A server without rights lets everything pass.
 *
 * Does not know who somebody is (guard.c) and carries nothing out.
 */
#include <string.h>

#include "tools/mcp/inside.h"

enum about {
    NOBODY_MAY,
    ABOUT_NOTHING,
    ABOUT_LISTS,
    ABOUT_NEWS,
    ABOUT_TOOL,
    ABOUT_PROMPT,
    ABOUT_URI,
    ABOUT_TASK
};

static const struct {
    enum about about;
    pw_operation op;
} rules[PW_MCPD_METHODS] = {
    [PW_MCPD_INITIALIZE] = {ABOUT_NOTHING, PW_OP_LIST},
    [PW_MCPD_PING] = {ABOUT_NOTHING, PW_OP_LIST},
    [PW_MCPD_LOGGING] = {ABOUT_NOTHING, PW_OP_LIST},
    [PW_MCPD_DISCOVER] = {ABOUT_NOTHING, PW_OP_LIST},
    [PW_MCPD_TOOLS_LIST] = {ABOUT_LISTS, PW_OP_LIST},
    [PW_MCPD_PROMPTS_LIST] = {ABOUT_LISTS, PW_OP_LIST},
    [PW_MCPD_RESOURCES_LIST] = {ABOUT_LISTS, PW_OP_LIST},
    [PW_MCPD_RESOURCES_TEMPLATES] = {ABOUT_LISTS, PW_OP_LIST},
    [PW_MCPD_COMPLETE] = {ABOUT_LISTS, PW_OP_LIST},
    [PW_MCPD_TOOLS_CALL] = {ABOUT_TOOL, PW_OP_CALL},
    [PW_MCPD_PROMPTS_GET] = {ABOUT_PROMPT, PW_OP_CALL},
    [PW_MCPD_RESOURCES_READ] = {ABOUT_URI, PW_OP_CALL},
    [PW_MCPD_RESOURCES_SUBSCRIBE] = {ABOUT_NEWS, PW_OP_READ},
    [PW_MCPD_RESOURCES_UNSUBSCRIBE] = {ABOUT_NEWS, PW_OP_READ},
    [PW_MCPD_LISTEN] = {ABOUT_NEWS, PW_OP_READ},
    [PW_MCPD_TASKS_GET] = {ABOUT_TASK, PW_OP_READ},
    [PW_MCPD_TASKS_UPDATE] = {ABOUT_TASK, PW_OP_ANSWER},
    [PW_MCPD_TASKS_CANCEL] = {ABOUT_TASK, PW_OP_CANCEL},
    [PW_MCPD_TASKS_RESULT] = {ABOUT_TASK, PW_OP_READ},
    [PW_MCPD_TASKS_LIST] = {ABOUT_LISTS, PW_OP_READ},
};

/* The fixed tools: what each does, and whether its run_id names a run. */
static const struct {
    const char *name;
    pw_operation op;
    bool run;
} fixed[] = {
    {"pawl_answer", PW_OP_ANSWER, true},  {"pawl_cancel", PW_OP_CANCEL, true},
    {"pawl_describe", PW_OP_LIST, false}, {"pawl_search", PW_OP_LIST, false},
    {"pawl_start", PW_OP_CALL, false},    {"pawl_status", PW_OP_READ, true},
    {"pawl_wait", PW_OP_READ, true},
};

/* ---- refusing ---- */

static void deny(pw_mcpd_x *x, pw_operation op, const char *name, const char *workflow)
{
    char scopes[1200];
    pw_who_needs(x->who, op, name, workflow, scopes, sizeof scopes);
    x->challenge(x->sink_user, scopes);
    pw_mcpd_fail_plain(x, 403, PW_MCPD_INVALID_REQUEST,
                       "insufficient_scope: no role of yours allows this");
}

/* As each method answers when there is no such run. */
static void absent(pw_mcpd_x *x)
{
    if (x->method == PW_MCPD_RESOURCES_READ) {
        const char *uri = pawl_str(x->params, "uri", "");
        pw_mcpd_fail(x, x->era->no_resource, pawl_build(x->scope, "{uri: %s}", uri),
                     "there is no resource %.200s", uri);
    } else if (x->method == PW_MCPD_TOOLS_CALL && !pawl_is(x->params, "name", "pawl_wait")) {
        pw_mcpd_end(x, pw_mcpd_text(x->scope, "there is no such run", true));
    } else {
        const bool task = x->method != PW_MCPD_TOOLS_CALL;
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no such %s", task ? "task" : "run");
    }
}

/* ---- runs ---- */

static void on_described(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const char *workflow = status == PAWL_OK ? pawl_str(reply, "workflow", NULL) : NULL;
    pw_mcpd_fn then = x->then;
    (void)why;
    x->then = NULL;
    if (workflow != NULL && pw_who_may_run(x->who, x->gate_op, false, workflow)) {
        x->allowed = true;
        x->may_answer = pw_who_may_run(x->who, PW_OP_ANSWER, false, workflow);
        then(x);
    } else {
        absent(x);
    }
}

static void pass_run(pw_mcpd_x *x, pw_operation op, const char *id, pw_mcpd_fn then)
{
    const bool own = pw_mcpd_owns(x, id);
    if (!pw_who_may(x->who, op)) {
        deny(x, op, NULL, NULL);
    } else if (own && pw_who_may_run(x->who, op, own, NULL)) {
        x->allowed = true;
        then(x);
    } else {
        x->then = then;
        x->gate_op = op;
        pw_up_ask(x->server->up, "describe", pawl_build(x->scope, "{id: %s}", id), on_described, x);
    }
}

bool pw_mcpd_sees(pw_mcpd_x *x, const char *run_id, const char *workflow)
{
    return x->who == NULL || pw_who_may_run(x->who, PW_OP_READ, pw_mcpd_owns(x, run_id), workflow);
}

/* ---- what is published ---- */

bool pw_mcpd_offered(const pw_mcpd_x *x, pw_operation op, const pw_mcpd_offer *offer)
{
    return pw_who_may_offer(x->who, op, offer->name, offer->workflow);
}

bool pw_mcpd_offered_fixed(const pw_mcpd_x *x, const char *name)
{
    bool may = x->who == NULL;
    for (size_t i = 0; !may && i < PW_COUNT(fixed); i++) {
        may = strcmp(fixed[i].name, name) == 0 && pw_who_may(x->who, fixed[i].op);
    }
    return may;
}

bool pw_mcpd_reaches(const pw_mcpd_x *x, pw_operation op, const char *workflow)
{
    const pw_mcpd_catalog *c = &x->server->catalog;
    bool may = pw_who_may_workflow(x->who, op, workflow);
    for (size_t i = 0; !may && i < c->len; i++) {
        may = c->offers[i].kind == PW_MCPD_OFFER_TOOL &&
              strcmp(c->offers[i].workflow, workflow) == 0 && pw_mcpd_offered(x, op, &c->offers[i]);
    }
    return may;
}

/* One that is hidden from them is not there, unless a scope would show it. */
static void pass_offer(pw_mcpd_x *x, const pw_mcpd_offer *offer, pw_mcpd_fn then)
{
    char scopes[1200];
    pw_who_needs(x->who, PW_OP_CALL, offer->name, offer->workflow, scopes, sizeof scopes);
    if (pw_mcpd_offered(x, PW_OP_CALL, offer)) {
        then(x);
    } else if (scopes[0] != '\0' || !pw_who_may(x->who, PW_OP_CALL)) {
        deny(x, PW_OP_CALL, offer->name, offer->workflow);
    } else if (x->method == PW_MCPD_RESOURCES_READ) {
        absent(x);
    } else {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no %s \"%.100s\"",
                     offer->kind == PW_MCPD_OFFER_TOOL ? "tool" : "prompt", offer->name);
    }
}

static void pass_start(pw_mcpd_x *x, pw_mcpd_fn then)
{
    const char *workflow = pawl_str(x->params, "arguments.workflow", "");
    char scopes[1200];
    pw_who_needs(x->who, PW_OP_CALL, NULL, workflow, scopes, sizeof scopes);
    if (pw_mcpd_reaches(x, PW_OP_CALL, workflow)) {
        then(x);
    } else if (scopes[0] != '\0' || !pw_who_may(x->who, PW_OP_CALL)) {
        deny(x, PW_OP_CALL, NULL, workflow);
    } else {
        pw_mcpd_no_workflow(x, PW_OP_CALL, workflow);
    }
}

static void pass_fixed(pw_mcpd_x *x, const char *name, pw_mcpd_fn then)
{
    for (size_t i = 0; i < PW_COUNT(fixed); i++) {
        if (strcmp(fixed[i].name, name) != 0) {
            continue;
        }
        if (fixed[i].run) {
            pass_run(x, fixed[i].op, pawl_str(x->params, "arguments.run_id", ""), then);
        } else if (fixed[i].op == PW_OP_CALL) {
            pass_start(x, then);
        } else if (pw_who_may(x->who, fixed[i].op)) {
            then(x);
        } else {
            deny(x, fixed[i].op, NULL, NULL);
        }
        return;
    }
    pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no tool \"%.100s\"", name);
}

static void pass_named(pw_mcpd_x *x, pw_mcpd_offer_kind kind, pw_mcpd_fn then)
{
    const char *name = pawl_str(x->params, "name", "");
    const bool hidden =
        kind == PW_MCPD_OFFER_TOOL && x->server->options.tools == PW_MCPD_TOOLS_META;
    const pw_mcpd_offer *offer =
        hidden ? NULL : pw_mcpd_offer_find(&x->server->catalog, kind, name);
    if (offer != NULL) {
        pass_offer(x, offer, then);
    } else if (kind == PW_MCPD_OFFER_TOOL) {
        pass_fixed(x, name, then);
    } else if (pw_who_may(x->who, PW_OP_CALL)) {
        then(x); /* there is none: the method says so */
    } else {
        deny(x, PW_OP_CALL, name, NULL);
    }
}

/* The id of pawl://runs/ID or pawl://runs/ID/history. */
static const char *run_of_uri(pawl_scope *scope, const char *uri)
{
    static const char history[] = "/history";
    const char *rest = uri + sizeof PW_MCPD_RUN_URI - 1;
    const size_t size = strlen(rest);
    const size_t tail = sizeof history - 1;
    const bool events = size > tail && strcmp(rest + size - tail, history) == 0;
    const char *id = pw_strndup(scope, rest, events ? size - tail : size);
    return id != NULL ? id : "";
}

static void pass_uri(pw_mcpd_x *x, pw_mcpd_fn then)
{
    const char *uri = pawl_str(x->params, "uri", "");
    const pawl_value *vars = NULL;
    if (strncmp(uri, PW_MCPD_RUN_URI, sizeof PW_MCPD_RUN_URI - 1) == 0) {
        pass_run(x, PW_OP_READ, run_of_uri(x->scope, uri), then);
        return;
    }
    const pw_mcpd_offer *offer = pw_mcpd_offer_of_uri(&x->server->catalog, x->scope, uri, &vars);
    if (offer != NULL) {
        pass_offer(x, offer, then);
    } else if (pw_who_may(x->who, PW_OP_CALL)) {
        then(x);
    } else {
        deny(x, PW_OP_CALL, uri, NULL);
    }
}

/* News are for who may see lists, or runs. */
void pw_mcpd_gate_news(pw_mcpd_x *x, pw_mcpd_fn then)
{
    if (pw_who_may(x->who, PW_OP_READ) || pw_who_may(x->who, PW_OP_LIST)) {
        then(x);
    } else {
        deny(x, PW_OP_LIST, NULL, NULL);
    }
}

/* A stream of a call is taken up by who may still read its run, or may still call. */
void pw_mcpd_gate_run(pw_mcpd_x *x, const char *run_id, pw_mcpd_fn then)
{
    if (x->who == NULL) {
        then(x);
    } else {
        pass_run(x, pw_who_may(x->who, PW_OP_READ) ? PW_OP_READ : PW_OP_CALL, run_id, then);
    }
}

void pw_mcpd_gate(pw_mcpd_x *x, pw_mcpd_fn then)
{
    const pw_operation op = rules[x->method].op;
    const enum about about = x->who != NULL ? rules[x->method].about : ABOUT_NOTHING;
    switch (about) {
    case ABOUT_NOTHING:
        then(x);
        return;
    case ABOUT_TOOL:
        pass_named(x, PW_MCPD_OFFER_TOOL, then);
        return;
    case ABOUT_PROMPT:
        pass_named(x, PW_MCPD_OFFER_PROMPT, then);
        return;
    case ABOUT_URI:
        pass_uri(x, then);
        return;
    case ABOUT_TASK:
        pass_run(x, op, pawl_str(x->params, "taskId", ""), then);
        return;
    case ABOUT_LISTS:
    case ABOUT_NEWS:
        if (pw_who_may(x->who, op) || (about == ABOUT_NEWS && pw_who_may(x->who, PW_OP_LIST))) {
            then(x);
            return;
        }
        break;
    case NOBODY_MAY:
        break;
    }
    deny(x, op, NULL, NULL);
}
