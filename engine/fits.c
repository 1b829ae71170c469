/*
 * fits.c - values against the JSON Schemas that code gives: inputs of workflows, answers to waits.
 * pawl_schema_check is the same for everybody. Does not say who is told: request_start.c and input.c do.
 */
#include "engine/fits.h"

#include "sdk/base/error.h"

pawl_status pw_fits_text(const char *text, pw_schemas **ret_set, pawl_error *err)
{
    *ret_set = NULL;
    if (text == NULL || text[0] == 0) {
        return PAWL_OK;
    }
    pawl_scope *scope = pawl_scope_new();
    pw_schemas *set = pw_schemas_new();
    const pawl_value *schema;
    pawl_status st = scope != NULL && set != NULL
                         ? pawl_parse_json(scope, text, strlen(text), &schema, err)
                         : pw_err(err, PAWL_NOMEM, "out of memory");
    if (st == PAWL_OK) {
        st = pw_schemas_add(set, "", pw_value_bytes(schema), err);
    }
    pawl_scope_free(scope);
    if (st == PAWL_OK) {
        *ret_set = set;
    } else {
        pw_schemas_free(set);
        (void)pw_error_wrap(err, st, "the schema");
    }
    return st;
}

pawl_status pw_fits(pw_schemas *set, pw_view value, const char *what, pawl_error *err)
{
    static const uint8_t nil[1] = {0xc0};
    value = value.size > 0 ? value : (pw_view){nil, 1};
    pawl_status st = set != NULL ? pw_schema_validate(set, "", value, NULL, NULL, err) : PAWL_OK;
    return st != PAWL_OK ? pw_error_wrap(err, st, "%s does not fit its schema", what) : PAWL_OK;
}

pawl_status pw_fits_value(const pawl_value *schema, pw_view value, const char *what,
                          pawl_error *err)
{
    if (schema == NULL) {
        return PAWL_OK;
    }
    pw_schemas *set = pw_schemas_new();
    if (set == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pawl_status st = pw_schemas_add(set, "", pw_value_bytes(schema), err);
    st = st == PAWL_OK ? pw_fits(set, value, what, err)
                       : pw_error_wrap(err, st, "the schema of %s", what);
    pw_schemas_free(set);
    return st;
}

pawl_status pw_fits_compiles(const pawl_value *schema, pawl_error *err)
{
    if (schema == NULL) {
        return PAWL_OK;
    }
    pw_schemas *set = pw_schemas_new();
    pawl_status st = set != NULL ? pw_schemas_add(set, "", pw_value_bytes(schema), err)
                                 : pw_err(err, PAWL_NOMEM, "out of memory");
    pw_schemas_free(set);
    return st == PAWL_OK || st == PAWL_NOMEM ? st : pw_error_wrap(err, st, "the schema");
}

pawl_status pawl_schema_check(const pawl_value *schema, const pawl_value *value, pawl_error *err)
{
    if (value == NULL) {
        return pw_fits_compiles(schema, err);
    }
    return pw_fits_value(schema, pw_value_bytes(value), "the value", err);
}
