/*
 * check.c - what a modern request says of itself: _meta, and the headers that repeat it for those in between.
 *
 * A header may hold what no header can as =?base64?...?=. Does not look at what methods want.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/mcp/inside.h"

static const char *const name_params[PW_MCPD_METHODS] = {
#define X(id, text, legacy, modern, header, needs) [PW_MCPD_##id] = header,
#include "tools/mcp/methods.def"
#undef X
};

/* ---- _meta ---- */

static void bad_meta(pw_mcpd_x *x, const char *what)
{
    pw_buf text = PW_BUF_INIT;
    pw_buf_printf(&text, "params._meta needs \"%s%s\"", PW_MCPD_META, what);
    pw_mcpd_fail_plain(x, 400, PW_MCPD_BAD_PARAMS, pw_buf_cstr(&text));
    pw_buf_deinit(&text);
}

static bool check_version(pw_mcpd_x *x, const char *version)
{
    if (pw_mcpd_era_of(version) == &pw_mcpd_modern) {
        return true;
    }
    pw_mcpd_fail(x, PW_MCPD_BAD_VERSION,
                 pawl_build(x->scope, "{supported: %p, requested: %s}",
                            pawl_v(pw_mcpd_versions(x->scope)), version),
                 "protocol version \"%.40s\" is not spoken here", version);
    return false;
}

bool pw_mcpd_check_meta(pw_mcpd_x *x)
{
    const pawl_value *meta = pawl_get(x->params, "_meta");
    const pawl_value *version = pw_mcpd_key(meta, PW_MCPD_META "protocolVersion");
    const pawl_value *level = pw_mcpd_key(meta, PW_MCPD_META "logLevel");
    x->caps = pw_mcpd_key(meta, PW_MCPD_META "clientCapabilities");
    if (pawl_typeof(version) != PAWL_STRING || pawl_typeof(x->caps) != PAWL_MAP) {
        bad_meta(x, pawl_typeof(version) != PAWL_STRING ? "protocolVersion" : "clientCapabilities");
        return false;
    }
    if (level != NULL) {
        x->log_level = pw_mcpd_level(pawl_str(level, "", ""));
        if (x->log_level < 0) {
            bad_meta(x, "logLevel of those that syslog has");
            return false;
        }
    }
    x->token = pawl_get(meta, "progressToken");
    const char *said = pawl_str(version, "", "");
    const char *header = x->header != NULL ? x->header(x->sink_user, "MCP-Protocol-Version") : said;
    if (header == NULL || strcmp(header, said) != 0) {
        pw_mcpd_fail(x, PW_MCPD_BAD_HEADER, NULL,
                     "the header MCP-Protocol-Version must repeat the version of _meta");
        return false;
    }
    return check_version(x, said);
}

/* ---- headers ---- */

static int value_of(int c)
{
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != 0 ? strchr(all, c) : NULL;
    return at != NULL ? (int)(at - all) : -1;
}

/* Base64 with its padding, strictly; NULL when it is none. */
static const char *decode(pawl_scope *scope, const char *text, size_t size)
{
    char *out = size % 4 == 0 ? pw_alloc(scope, size + 1) : NULL;
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < size; i += 4) {
        const bool last = i + 4 == size;
        const size_t pad = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
        uint32_t n = 0;
        for (size_t k = 0; k < 4; k++) {
            const int v = k < 4 - pad ? value_of(text[i + k]) : 0;
            if (v < 0) {
                return NULL;
            }
            n = n << 6 | (uint32_t)v;
        }
        for (size_t k = 0; k < 3 - pad; k++) {
            out[len++] = (char)(n >> (16 - 8 * k));
        }
    }
    if (out != NULL) {
        out[len] = '\0';
    }
    return out;
}

/* What a header means, without the space around it; NULL when it is malformed. */
static const char *meaning(pawl_scope *scope, const char *text)
{
    static const char prefix[] = "=?base64?";
    text += strspn(text, " \t");
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    const size_t head = sizeof prefix - 1;
    if (size >= head + 2 && strncasecmp(text, prefix, head) == 0 &&
        memcmp(text + size - 2, "?=", 2) == 0) {
        return decode(scope, text + head, size - head - 2);
    }
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x7f) {
            return NULL;
        }
    }
    return pw_strndup(scope, text, size);
}

static bool repeats(pw_mcpd_x *x, const char *name, const char *wanted)
{
    const char *header = x->header(x->sink_user, name);
    const char *said = header != NULL ? meaning(x->scope, header) : NULL;
    if (said != NULL && strcmp(said, wanted) == 0) {
        return true;
    }
    pw_mcpd_fail(x, PW_MCPD_BAD_HEADER, NULL, "the header %s %s", name,
                 header == NULL ? "is missing"
                 : said == NULL ? "is malformed"
                                : "differs from what the body says");
    return false;
}

bool pw_mcpd_check_headers(pw_mcpd_x *x, const char *method)
{
    if (x->header == NULL) {
        return true;
    }
    const char *param = name_params[x->method];
    const char *name = param != NULL ? pawl_str(x->params, param, NULL) : NULL;
    return repeats(x, "Mcp-Method", method) && (name == NULL || repeats(x, "Mcp-Name", name));
}

/* ---- parameters of tools that headers repeat ---- */

struct walk {
    pw_mcpd_x *x;
    bool ok;
};

static const char *scalar_text(pawl_scope *scope, const pawl_value *v)
{
    switch (pawl_typeof(v)) {
    case PAWL_STRING:
        return pawl_str(v, "", "");
    case PAWL_INT:
        return pw_sprintf(scope, "%lld", (long long)pawl_int(v, "", 0));
    case PAWL_BOOL:
        return pawl_bool(v, "", false) ? "true" : "false";
    case PAWL_NIL:
    case PAWL_DOUBLE:
    case PAWL_BYTES:
    case PAWL_ARRAY:
    case PAWL_MAP:
    case PAWL_BIGINT:
        break;
    }
    return NULL;
}

static bool same_scalar(const pawl_value *v, const char *said, const char *wanted)
{
    char *end = NULL;
    if (pawl_typeof(v) != PAWL_INT) {
        return strcmp(said, wanted) == 0;
    }
    const double number = strtod(said, &end);
    return *said != '\0' && *end == '\0' && number == (double)pawl_int(v, "", 0);
}

static void check_param(struct walk *w, const char *header, const pawl_value *v)
{
    pw_mcpd_x *x = w->x;
    const char *name = pw_sprintf(x->scope, "Mcp-Param-%s", header);
    const char *wanted = scalar_text(x->scope, v);
    const char *given = x->header(x->sink_user, name);
    const char *said = given != NULL ? meaning(x->scope, given) : NULL;
    const bool right =
        wanted == NULL ? given == NULL : said != NULL && same_scalar(v, said, wanted);
    if (!right) {
        w->ok = false;
        pw_mcpd_fail(x, PW_MCPD_BAD_HEADER, NULL, "the header %s %s", name,
                     given == NULL  ? "is missing"
                     : said == NULL ? "is malformed"
                                    : "differs from what the body says");
    }
}

enum { DEPTH_MAX = 8 };

struct level {
    const pawl_value *properties, *values;
    size_t at;
};

bool pw_mcpd_check_params(pw_mcpd_x *x, const pw_mcpd_offer *offer)
{
    struct walk w = {x, true};
    struct level levels[DEPTH_MAX] = {
        {pawl_get(offer->input_schema, "properties"), pawl_get(x->params, "arguments"), 0}};
    int depth = 0;
    while (w.ok && depth >= 0 && x->header != NULL) {
        struct level *l = &levels[depth];
        if (l->at >= pawl_len(l->properties)) {
            depth--;
            continue;
        }
        const char *key = pawl_key_at(l->properties, l->at);
        const pawl_value *schema = pawl_at(l->properties, l->at++);
        const pawl_value *value = pw_mcpd_key(l->values, key);
        const char *header = pawl_str(pw_mcpd_key(schema, "x-mcp-header"), "", NULL);
        if (header != NULL) {
            check_param(&w, header, value);
        } else if (pawl_get(schema, "properties") != NULL && depth + 1 < DEPTH_MAX) {
            levels[++depth] = (struct level){pawl_get(schema, "properties"), value, 0};
        }
    }
    return w.ok;
}
