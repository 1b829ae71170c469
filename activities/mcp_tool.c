/*
 * mcp_tool.c - tools as a client sees them: x-mcp-header, annotations, and the defaults of a form.
 *
 * A header may stand on a string, an integer or a boolean that is reached from the root through `properties` alone. Every other place is a
 * mistake that makes the tool unusable; it is found by counting: what the walk through `properties` did not meet stands elsewhere.
 *
 * Does not validate arguments or results, and never follows a $ref.
 */
#include "activities/mcp_tool.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "activities/mcp_rpc.h"
#include "activities/secret_form.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

#define MIRROR_KEY "x-mcp-header"
enum { TOOL_NAME_MAX = 128, DEPTH_MAX = 16 };

static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (const char *p = text; *p != '\0'; p++) {
        const bool letter =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!letter && strchr(others, *p) == NULL) {
            return false;
        }
    }
    return text[0] != '\0';
}

/* How often the key stands anywhere in it. */
static size_t count_key(const pawl_value *v)
{
    const pw_view bytes = pw_value_bytes(v);
    pw_mp m = pw_mp_reader(bytes.data, bytes.size);
    size_t found = 0;
    while (!pw_mp_at_end(&m) && pw_mp_ok(&m)) {
        switch (pw_mp_peek(&m)) {
        case PAWL_STRING:
            found += pw_view_is(pw_mp_read_str(&m), MIRROR_KEY);
            break;
        case PAWL_ARRAY:
            (void)pw_mp_read_array(&m);
            break;
        case PAWL_MAP:
            (void)pw_mp_read_map(&m);
            break;
        case PAWL_NIL:
        case PAWL_BOOL:
        case PAWL_INT:
        case PAWL_DOUBLE:
        case PAWL_BYTES:
        case PAWL_BIGINT:
            pw_mp_skip(&m);
            break;
        }
    }
    return found;
}

static pawl_status mirror_add(pw_mcp_mirrors *all, const pawl_value *property,
                              const char *const *path, size_t depth, pawl_error *err)
{
    const char *name = pawl_str(pw_mcp_key(property, MIRROR_KEY), "", NULL);
    const char *type = pawl_str(pw_mcp_key(property, "type"), "", "");
    if (name == NULL || !is_token(name)) {
        return pw_err(err, PAWL_INVALID, MIRROR_KEY " of %.60s is no name of a header",
                      path[depth - 1]);
    }
    if (strcmp(type, "string") != 0 && strcmp(type, "integer") != 0 &&
        strcmp(type, "boolean") != 0) {
        return pw_err(err, PAWL_INVALID,
                      MIRROR_KEY " stands on %.60s, which is no string, integer or boolean",
                      path[depth - 1]);
    }
    for (size_t i = 0; i < all->len; i++) {
        if (strcasecmp(all->at[i].name, name) == 0) {
            return pw_err(err, PAWL_INVALID, MIRROR_KEY " %.60s stands twice", name);
        }
    }
    if (all->len == PW_MCP_HEADERS_MAX) {
        return pw_err(err, PAWL_INVALID, "more than %d properties have " MIRROR_KEY,
                      PW_MCP_HEADERS_MAX);
    }
    pw_mcp_mirror *m = &all->at[all->len++];
    m->name = name;
    m->depth = depth;
    memcpy(m->path, path, depth * sizeof m->path[0]);
    return PAWL_OK;
}

/* One level of the walk: a `properties` map, and the next of it. */
typedef struct level {
    const pawl_value *properties;
    size_t next;
} level;

pawl_status pw_mcp_mirrors_of(const pawl_value *schema, pw_mcp_mirrors *ret_mirrors,
                              pawl_error *err)
{
    level stack[DEPTH_MAX] = {{pw_mcp_key(schema, "properties"), 0}};
    const char *path[DEPTH_MAX];
    size_t depth = 1;
    ret_mirrors->len = 0;
    while (depth > 0) {
        level *l = &stack[depth - 1];
        if (pawl_typeof(l->properties) != PAWL_MAP || l->next >= pawl_len(l->properties)) {
            depth--;
            continue;
        }
        const pawl_value *property = pawl_at(l->properties, l->next);
        path[depth - 1] = pawl_key_at(l->properties, l->next++);
        if (path[depth - 1] == NULL) {
            return pw_err(err, PAWL_NOMEM, "no memory for a schema");
        }
        if (pw_mcp_key(property, MIRROR_KEY) != NULL) {
            const pawl_status status = mirror_add(ret_mirrors, property, path, depth, err);
            if (status != PAWL_OK) {
                return status;
            }
        }
        if (depth < DEPTH_MAX) {
            stack[depth++] = (level){pw_mcp_key(property, "properties"), 0};
        }
    }
    return count_key(schema) == ret_mirrors->len
               ? PAWL_OK
               : pw_err(err, PAWL_INVALID, MIRROR_KEY " stands where properties alone do not lead");
}

pawl_status pw_mcp_tool_check(const pawl_value *tool, pawl_error *err)
{
    pw_mcp_mirrors mirrors;
    const char *name = pawl_str(tool, "name", "");
    const pawl_value *schema = pawl_get(tool, "inputSchema");
    if (name[0] == '\0' || strlen(name) > TOOL_NAME_MAX) {
        return pw_err(err, PAWL_INVALID, "a tool without a name, or with one of more than %d bytes",
                      TOOL_NAME_MAX);
    }
    if (pawl_typeof(schema) != PAWL_MAP) {
        return pw_err(err, PAWL_INVALID, "tool %.100s has no inputSchema", name);
    }
    const pawl_status status = pw_mcp_mirrors_of(schema, &mirrors, err);
    return status == PAWL_OK ? status : pw_error_wrap(err, status, "tool %.60s", name);
}

const pawl_value *pw_mcp_tools_fit(pawl_scope *scope, const pawl_value *tools)
{
    const size_t len = pawl_typeof(tools) == PAWL_ARRAY ? pawl_len(tools) : 0;
    const pawl_value **fit = pw_alloc(scope, (len + 1) * sizeof(*fit));
    size_t count = 0;
    for (size_t i = 0; fit != NULL && i < len; i++) {
        pawl_error err;
        if (pw_mcp_tool_check(pawl_at(tools, i), &err) == PAWL_OK) {
            fit[count++] = pawl_at(tools, i);
        }
    }
    return pawl_make_array(scope, fit, count);
}

const pawl_value *pw_mcp_tool_find(const pawl_value *tools, const char *name)
{
    for (size_t i = 0; i < pawl_len(tools); i++) {
        if (pawl_is(pawl_at(tools, i), "name", name)) {
            return pawl_at(tools, i);
        }
    }
    return NULL;
}

bool pw_mcp_tool_repeatable(const pawl_value *tool)
{
    return pawl_bool(tool, "annotations.readOnlyHint", false) ||
           pawl_bool(tool, "annotations.idempotentHint", false);
}

/* ---- headers ---- */

static bool fits_header(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    const bool spaced = size > 0 && (text[0] == ' ' || text[size - 1] == ' ');
    const bool marked = size >= 2 && memcmp(text, "=?", 2) == 0;
    return !spaced && !marked;
}

void pw_mcp_header_put(pw_buf *out, const char *text, size_t size)
{
    if (fits_header(text, size)) {
        pw_buf_put(out, text, size);
        return;
    }
    pw_buf_puts(out, "=?base64?");
    pw_base64_put(out, text, size);
    pw_buf_puts(out, "?=");
}

static const pawl_value *follow(const pawl_value *v, const pw_mcp_mirror *m)
{
    for (size_t i = 0; i < m->depth; i++) {
        v = pw_mcp_key(v, m->path[i]);
    }
    return v;
}

/* False when it has no header: nil, or no scalar. */
static bool scalar_put(pw_buf *out, const pawl_value *v)
{
    size_t size = 0;
    const void *text = pawl_data(v, "", &size);
    switch (pawl_typeof(v)) {
    case PAWL_STRING:
        pw_mcp_header_put(out, text, size);
        return true;
    case PAWL_BIGINT:
        pw_buf_puts(out, pawl_str(v, "", ""));
        return true;
    case PAWL_INT:
        pw_buf_printf(out, "%lld", (long long)pawl_int(v, "", 0));
        return true;
    case PAWL_DOUBLE:
        pw_buf_printf(out, "%.17g", pawl_num(v, "", 0));
        return true;
    case PAWL_BOOL:
        pw_buf_puts(out, pawl_bool(v, "", false) ? "true" : "false");
        return true;
    case PAWL_NIL:
    case PAWL_BYTES:
    case PAWL_ARRAY:
    case PAWL_MAP:
        break;
    }
    return false;
}

bool pw_mcp_tool_headers(pawl_scope *scope, const pawl_value *tool, const pawl_value *arguments,
                         pw_http_header **ret_headers, size_t *ret_len)
{
    pw_mcp_mirrors mirrors;
    pawl_error err;
    *ret_headers = NULL;
    *ret_len = 0;
    if (pw_mcp_mirrors_of(pawl_get(tool, "inputSchema"), &mirrors, &err) != PAWL_OK ||
        mirrors.len == 0) {
        return true;
    }
    pw_http_header *headers = pw_alloc(scope, mirrors.len * sizeof *headers);
    size_t len = 0;
    for (size_t i = 0; headers != NULL && i < mirrors.len; i++) {
        pw_buf value = PW_BUF_INIT;
        if (scalar_put(&value, follow(arguments, &mirrors.at[i]))) {
            headers[len++] =
                (pw_http_header){.name = pw_sprintf(scope, "Mcp-Param-%s", mirrors.at[i].name),
                                 .value = pw_strdup(scope, pw_buf_cstr(&value))};
        }
        if (!pw_buf_ok(&value)) {
            pw_scope_fail(scope);
        }
        pw_buf_deinit(&value);
    }
    *ret_headers = headers;
    *ret_len = len;
    return !pw_scope_failed(scope);
}

/* ---- the defaults of a form ---- */

static bool is_required(const pawl_value *schema, const char *name)
{
    const pawl_value *required = pawl_get(schema, "required");
    for (size_t i = 0; i < pawl_len(required); i++) {
        if (pawl_is(pawl_at(required, i), "", name)) {
            return true;
        }
    }
    return false;
}

const pawl_value *pw_mcp_defaults(pawl_scope *scope, const pawl_value *params)
{
    const pawl_value *schema = pawl_get(params, "requestedSchema");
    const pawl_value *properties = pawl_get(schema, "properties");
    const pawl_value *content = pawl_build(scope, "{}");
    if (pawl_typeof(properties) != PAWL_MAP ||
        strcmp(pawl_str(params, "mode", "form"), "form") != 0) {
        return pawl_build(scope, "{action: \"decline\"}");
    }
    for (size_t i = 0; i < pawl_len(properties); i++) {
        const char *name = pawl_key_at(properties, i);
        const pawl_value *given = pw_mcp_key(pawl_at(properties, i), "default");
        if (given != NULL && name != NULL) {
            content = pawl_with(scope, content, name, given);
        } else if (name == NULL || is_required(schema, name)) {
            return pawl_build(scope, "{action: \"decline\"}");
        }
    }
    return pawl_build(scope, "{action: \"accept\", content: %p}", pawl_v(content));
}
