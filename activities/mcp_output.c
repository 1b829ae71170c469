/*
 * mcp_output.c - the structured content of a result against the schema that its tool promises.
 *
 * A schema that is none, or refers to what is elsewhere, promises nothing: it is not fetched, and the result stands as it is.
 */
#include <stdio.h>

#include "activities/mcp_use.h"
#include "sdk/base/error.h"
#include "sdk/base/schema.h"
#include "sdk/base/value.h"

/* False: it does not fit; errors say where. */
static bool fits(const pawl_value *schema, const pawl_value *content, pw_schema_report *report,
                 pawl_error *err)
{
    pw_schemas *set = pw_schemas_new();
    const bool usable =
        set != NULL && pw_schemas_add(set, "", pw_value_bytes(schema), err) == PAWL_OK;
    const pawl_status status =
        usable ? pw_schema_validate(set, "", pw_value_bytes(content), NULL, report, err) : PAWL_OK;
    pw_schemas_free(set);
    return status != PAWL_INVALID;
}

const pawl_value *pw_mcp_output_check(pw_mcp_call *call, const pawl_value *tool,
                                      const pawl_value *result)
{
    const pawl_value *schema = pawl_get(tool, "outputSchema");
    const pawl_value *content = pawl_get(result, "structuredContent");
    pw_schema_report report = {.scope = call->scope};
    pawl_error err = {0};
    char text[400];
    if (result == NULL || schema == NULL || pawl_bool(result, "isError", false)) {
        return result;
    }
    if (content == NULL) {
        (void)snprintf(err.message, sizeof err.message, "there is no structuredContent");
    } else if (fits(schema, content, &report, &err)) {
        return result;
    }
    (void)snprintf(text, sizeof text,
                   "the tool was called, and its result is not what it promises: %.250s",
                   err.message);
    return pw_mcp_fail(
        call, "BadOutput", text,
        pawl_build(call->scope, "{errors: %p, result: %p}", pawl_v(report.errors), pawl_v(result)),
        false);
}
