/*
 * ask.c - what a run asks, as a client can be asked, and what a client's response means to the run.
 *
 *   approval, question, form   elicitation/create: a form of the choices and of the schema of the answer's data
 *   url                        elicitation/create: the url of the wait's request
 *   other, with request.mcp    that very request: sampling/createMessage, roots/list, elicitation/create
 *
 * A client that declines says no: with choices the first that means no is taken, without any the answer's choice is "decline" or "cancel". Does
 * not check an answer's data against the schema: the engine does.
 */
#include <string.h>

#include "sdk/base/value.h"
#include "tools/mcp/inside.h"

#define SHOWN_BYTES_MAX 4000

const char *pw_mcpd_wait_key(pawl_scope *scope, const pawl_value *wait, bool task)
{
    const char *name = pawl_str(wait, "name", "");
    return task ? pw_sprintf(scope, "%s.%lld", name, (long long)pawl_int(wait, "command", 0))
                : name;
}

/* ---- asking ---- */

static bool may(const pw_mcpd_x *x, const char *method, bool url)
{
    const pawl_value *e = pawl_get(x->caps, "elicitation");
    if (strcmp(method, "elicitation/create") == 0) {
        return url ? pawl_get(e, "url") != NULL
                   : pawl_typeof(e) == PAWL_MAP &&
                         (pawl_len(e) == 0 || pawl_get(e, "form") != NULL);
    }
    return (strcmp(method, "sampling/createMessage") == 0 && pw_mcpd_has_cap(x, "sampling")) ||
           (strcmp(method, "roots/list") == 0 && pw_mcpd_has_cap(x, "roots"));
}

static const pawl_value *choices_of(pawl_scope *scope, const char *choices)
{
    const pawl_value *items[64];
    size_t len = 0;
    while (*choices != '\0' && len < PW_COUNT(items)) {
        const size_t size = strcspn(choices, "|");
        items[len++] = pawl_make_strn(scope, choices, size);
        choices += size + (choices[size] == '|');
    }
    return pawl_make_array(scope, items, len);
}

static bool is_object(const pawl_value *schema)
{
    return pawl_typeof(pawl_get(schema, "properties")) == PAWL_MAP;
}

/* Keys of a form, beside those of the schema. */
#define CHOICE "choice"
#define ANSWER "answer"

static const pawl_value *form_of(pawl_scope *scope, const pawl_value *wait)
{
    const pawl_value *schema = pawl_get(wait, "schema");
    const char *choices = pawl_str(wait, "choices", "");
    if (choices[0] == '\0') {
        return is_object(schema)
                   ? schema
                   : pawl_build(
                         scope,
                         "{type: \"object\", properties: {" ANSWER ": %p}, required: [\"" ANSWER
                         "\"]}",
                         pawl_v(schema != NULL ? schema : pawl_build(scope, "{type: \"string\"}")));
    }
    const pawl_value *choice =
        pawl_build(scope, "{type: \"string\", enum: %p}", pawl_v(choices_of(scope, choices)));
    const pawl_value *properties =
        pawl_with(scope, is_object(schema) ? pawl_get(schema, "properties") : NULL, CHOICE, choice);
    return pawl_build(scope, "{type: \"object\", properties: %p, required: [\"" CHOICE "\"]}",
                      pawl_v(properties));
}

/* What is asked, and below it what the person should see. */
static const char *message_of(pawl_scope *scope, const pawl_value *wait)
{
    const char *prompt = pawl_str(wait, "prompt", "");
    const pawl_value *show = pawl_get(wait, "show");
    prompt = prompt[0] != '\0' ? prompt : pawl_str(wait, "name", "");
    if (show == NULL) {
        return prompt;
    }
    const char *text =
        pawl_typeof(show) == PAWL_STRING ? pawl_str(show, "", "") : pawl_to_json(scope, show, 2);
    const pawl_value *cut = pawl_make_strn(scope, text != NULL ? text : "",
                                           strnlen(text != NULL ? text : "", SHOWN_BYTES_MAX));
    return pw_sprintf(scope, "%s\n\n%s", prompt, pawl_str(cut, "", ""));
}

const pawl_value *pw_mcpd_question(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *wait)
{
    const pawl_value *own = pawl_get(wait, "request.mcp");
    if (!x->may_answer) {
        return NULL; /* somebody else answers */
    }
    const bool url = pawl_is(wait, "kind", "url");
    if (pawl_typeof(own) == PAWL_MAP) {
        const char *method = pawl_str(own, "method", "");
        return may(x, method, pawl_is(own, "params.mode", "url")) ? own : NULL;
    }
    if (!may(x, "elicitation/create", url)) {
        return NULL;
    }
    const char *message = message_of(scope, wait);
    const pawl_value *params =
        url ? pawl_build(scope, "{mode: \"url\", message: %s, url: %s}", message,
                         pawl_str(wait, "request.url", ""))
            : pawl_build(scope, "{mode: \"form\", message: %s, requestedSchema: %p}", message,
                         pawl_v(form_of(scope, wait)));
    if (url && x->era->asks_inside) {
        const char *id = pw_mcpd_wait_key(scope, wait, true);
        params = pawl_with(scope, params, "elicitationId", pawl_make_str(scope, id));
    }
    return pawl_build(scope, "{method: \"elicitation/create\", params: %p}", pawl_v(params));
}

/* ---- being answered ---- */

static const pawl_value *refusal(pawl_scope *scope, const pawl_value *wait, const char *action)
{
    static const char *const words[] = {"reject", "decline", "deny", "no", "cancel", "abort"};
    const pawl_value *choices = choices_of(scope, pawl_str(wait, "choices", ""));
    for (size_t w = 0; w < PW_COUNT(words); w++) {
        for (size_t i = 0; i < pawl_len(choices); i++) {
            if (pawl_is(pawl_at(choices, i), "", words[w])) {
                return pawl_build(scope, "{choice: %s}", words[w]);
            }
        }
    }
    return pawl_len(choices) == 0 ? pawl_build(scope, "{choice: %s}", action) : NULL;
}

/* The rest of a map of texts to values: nil when nothing is left. Written once, however many keys it has. */
const pawl_value *pw_mcpd_without(pawl_scope *scope, const pawl_value *map, const char *key)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf rest = PW_BUF_INIT;
    const pw_view bytes = pw_value_bytes(map);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    const size_t len = pw_mp_read_map(&r);
    pw_mp_map(&rest, pw_mcpd_has(map, key) ? len - 1 : len);
    for (size_t i = 0; i < len && pw_mp_ok(&r); i++) {
        const pw_view name = pw_mp_read_str(&r);
        const pw_view value = pw_mp_read_raw(&r);
        if (!pw_view_is(name, key)) {
            pw_mp_strn(&rest, (const char *)name.data, name.size);
            pw_buf_put(&rest, value.data, value.size);
        }
    }
    return pw_buf_ok(&rest) && len > pw_mcpd_has(map, key)
               ? pw_value_copy(scope, rest.data, rest.size)
               : NULL;
}

static const pawl_value *accepted(pawl_scope *scope, const pawl_value *wait,
                                  const pawl_value *content)
{
    const pawl_value *schema = pawl_get(wait, "schema");
    if (pawl_is(wait, "kind", "url")) {
        return pawl_build(scope, "{choice: \"accept\"}");
    }
    if (pawl_typeof(content) != PAWL_MAP) {
        return NULL;
    }
    if (pawl_str(wait, "choices", "")[0] == '\0') {
        const pawl_value *data = is_object(schema) ? content : pawl_get(content, ANSWER);
        return data != NULL ? pawl_build(scope, "{data: %p}", pawl_v(data)) : NULL;
    }
    const char *choice = pawl_str(content, CHOICE, NULL);
    const pawl_value *data = pw_mcpd_without(scope, content, CHOICE);
    const pawl_value *value = choice != NULL ? pawl_build(scope, "{choice: %s}", choice) : NULL;
    return value != NULL && data != NULL ? pawl_with(scope, value, "data", data) : value;
}

const pawl_value *pw_mcpd_answer_of(pawl_scope *scope, const pawl_value *wait,
                                    const pawl_value *response)
{
    const char *method = pawl_str(wait, "request.mcp.method", "elicitation/create");
    const char *action = pawl_str(response, "action", "");
    if (pawl_typeof(response) != PAWL_MAP) {
        return NULL;
    }
    if (strcmp(method, "elicitation/create") != 0) {
        return pawl_build(scope, "{data: %p}", pawl_v(response));
    }
    const bool no = strcmp(action, "decline") == 0 || strcmp(action, "cancel") == 0;
    if (!no && strcmp(action, "accept") != 0) {
        return NULL;
    }
    if (pawl_get(wait, "request.mcp") != NULL) {
        return pawl_build(scope, "{choice: %s, data: %p}", action,
                          pawl_v(pawl_get(response, "content")));
    }
    return no ? refusal(scope, wait, action) : accepted(scope, wait, pawl_get(response, "content"));
}

void pw_mcpd_answer(pw_mcpd_x *x, const char *run_id, const pawl_value *wait,
                    const pawl_value *value, pw_up_fn fn)
{
    const char *name = pw_sprintf(x->scope, "%s:%lld", pawl_str(wait, "name", ""),
                                  (long long)pawl_int(wait, "command", 0));
    pw_up_ask(x->server->up, "answer",
              pawl_build(x->scope, "{id: %s, name: %s, value: %p, by: %s}", run_id, name,
                         pawl_v(value), x->principal[0] != '\0' ? x->principal : "mcp"),
              fn, x);
}

/* ---- a legacy client's answer to a request of ours ---- */

static void on_done(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    (void)status;
    (void)reply;
    (void)why;
    pw_mcpd_end_empty(user,
                      202); /* one that does not fit is asked again by whoever follows the run */
}

static void on_waits(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const int64_t command = x->run.progress;
    (void)why;
    for (size_t i = 0; status == PAWL_OK && i < pawl_len(reply); i++) {
        const pawl_value *wait = pawl_copy(x->scope, pawl_at(reply, i));
        const pawl_value *value = pawl_int(wait, "command", 0) == command
                                      ? pw_mcpd_answer_of(x->scope, wait, x->run.responses)
                                      : NULL;
        if (value != NULL) {
            pw_mcpd_answer(x, x->run.id, wait, value, on_done);
            return;
        }
    }
    pw_mcpd_end_empty(x, 202);
}

void pw_mcpd_answered(pw_mcpd_x *x, const pw_mcpd_message *m)
{
    const pawl_value *name = pw_mcpd_unseal(x->server, x->scope, "ask", pawl_str(m->id, "", ""));
    if (name == NULL) {
        pw_mcpd_end_empty(x, 202); /* to no request of ours, or to none any more */
        return;
    }
    x->id = NULL;
    x->run.progress = pawl_int(name, "1", 0);
    x->run.responses = m->result != NULL ? m->result : pawl_build(x->scope, "{action: \"cancel\"}");
    (void)memcpy(x->run.id, pawl_str(name, "0", ""), strlen(pawl_str(name, "0", "")) + 1);
    if (!pawl_is(name, "2", x->principal) || !x->may_answer) {
        pw_mcpd_end_empty(x, 202); /* as to a request that is none */
        return;
    }
    pw_up_ask(x->server->up, "waits", pawl_build(x->scope, "{id: %s}", x->run.id), on_waits, x);
}
