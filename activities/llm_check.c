/*
 * llm_check.c - an answer against the schema that was asked for: JSON out of its texts, then the schema. Does not ask again.
 */
#include <string.h>

#include "activities/llm_activity.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/schema.h"
#include "sdk/base/value.h"

/* All texts of the answer, one after the other. */
static pw_view text_of(pawl_scope *scope, const pawl_value *answer, bool *ret_ok)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf all = PW_BUF_INIT;
    const pawl_value *parts = pawl_get(answer, "message.parts");
    for (size_t i = 0; i < pawl_len(parts); i++) {
        const pw_view part = pw_value_bytes(pawl_at(parts, i));
        if (pw_field_is(part, "type", "text")) {
            const pw_view text = pw_field_text(part, "text");
            pw_buf_put(&all, text.data, text.size);
        }
    }
    const void *copy = all.size > 0 ? pw_memdup(scope, all.data, all.size) : "";
    *ret_ok = !all.failed && copy != NULL;
    return (pw_view){copy, all.size};
}

static void add_problem(pw_llm_checked *c, const char *text)
{
    if (text != NULL && c->problems_len < PW_COUNT(c->problems)) {
        c->problems[c->problems_len++] = text;
    }
}

static void add_errors(pawl_scope *scope, pw_llm_checked *c, const pawl_value *errors)
{
    for (size_t i = 0; i < pawl_len(errors); i++) {
        const pawl_value *e = pawl_at(errors, i);
        const char *at = pawl_str(e, "at", "");
        add_problem(c, pw_sprintf(scope, "%s: %s", at[0] != '\0' ? at : "the whole",
                                  pawl_str(e, "message", "does not fit")));
    }
}

static pawl_status validate(pawl_scope *scope, const pawl_value *schema, const pawl_value *value,
                            pw_llm_checked *c, pawl_error *err)
{
    pw_schemas *set = pw_schemas_new();
    pw_schema_report report = {.scope = scope};
    if (set == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a schema");
    }
    pawl_status st = pw_schemas_add(set, "", pw_value_bytes(schema), err);
    if (st != PAWL_OK) {
        pw_schemas_free(set);
        return pw_error_wrap(err, st, "response.schema");
    }
    st = pw_schema_validate(set, "", pw_value_bytes(value), NULL, &report, err);
    pw_schemas_free(set);
    if (st == PAWL_OK) {
        c->fits = true;
        c->value = value;
    } else if (st == PAWL_INVALID) {
        add_errors(scope, c, report.errors);
        st = PAWL_OK;
    }
    return st;
}

pawl_status pw_llm_check(pawl_scope *scope, const pawl_value *schema, const pawl_value *answer,
                         pw_llm_checked *ret_checked, pawl_error *err)
{
    pw_llm_checked c = {.problems_len = 0};
    const pawl_value *value = NULL;
    pw_llm_found how;
    bool ok = false;
    c.text = text_of(scope, answer, &ok);
    if (!ok) {
        return pw_err(err, PAWL_NOMEM, "no memory for an answer");
    }
    pawl_status st = pw_llm_extract(scope, c.text, &value, &how, err);
    if (st == PAWL_NOTFOUND) {
        add_problem(&c, pawl_is(answer, "stop", "length") ? "it was cut before its end: be shorter"
                                                          : "there is no JSON in it");
        st = PAWL_OK;
    } else if (st == PAWL_OK) {
        st = validate(scope, schema, value, &c, err);
    }
    if (st == PAWL_OK) {
        *ret_checked = c;
    }
    return st;
}
