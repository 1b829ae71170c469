/*
 * fuzz_mcp_uri.c - libFuzzer target: URIs of resources against the templates that workflows publish, what workflows publish, and the names that a server
 * is called by (address, Host, Origin). A template's variables are texts that stand in the URI. Reads no resource.
 *
 *   input   a template, a byte 0xfe, a URI, a byte 0xfe, what is published as JSON
 */
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "fuzz_mcp.h"
#include "tools/mcp/http_address.h"

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED(
        "t://{a}/x/{b}\xfet://1/x/2\xfe{\"tool\":{\"name\":\"n\",\"annotations\":{\"readOnlyHint\":true},\"activities\":[\"look\"]}}"),
    SEED("{a}\xfe[::1]:8080\xfe{\"prompt\":{\"arguments\":[{\"name\":\"x\",\"values\":[1]}]}}"),
    SEED(
        "a{b}c{d}\xfehttp://localhost:80\xfe{\"resource\":{\"uri\":\"u\",\"icons\":[]},\"template\":{\"uriTemplate\":\"{}\"}}"),
    SEED("{{}\xfe"
         "127.0.0.1:0\xfe[]"),
    {NULL, 0},
};

static const char *part(pawl_scope *scope, const uint8_t **data, const uint8_t *end)
{
    const uint8_t *stop = memchr(*data, 0xfe, (size_t)(end - *data));
    const size_t size = (size_t)((stop != NULL ? stop : end) - *data);
    const char *text = pw_strndup(scope, (const char *)*data, size);
    *data = stop != NULL ? stop + 1 : end;
    PW_CHECK(text != NULL);
    return text;
}

static const pawl_value *workflow(pawl_scope *scope, const char *name, const char *publish)
{
    return pawl_build(
        scope,
        "{name: %s, version: %s, description: %s, input_schema: %s, output_schema: %s, publish: %s}",
        name, "1", "", "", "{}", publish);
}

static void show_all(pawl_scope *scope, const pw_mcpd_catalog *c)
{
    for (size_t i = 0; i < c->len; i++) {
        const pw_mcpd_offer *o = &c->offers[i];
        const pawl_value *v = o->kind == PW_MCPD_OFFER_TOOL     ? pw_mcpd_offer_tool(scope, o)
                              : o->kind == PW_MCPD_OFFER_PROMPT ? pw_mcpd_offer_prompt(scope, o)
                                                                : pw_mcpd_offer_resource(scope, o);
        PW_CHECK(pawl_typeof(v) == PAWL_MAP && pawl_to_json(scope, v, 0) != NULL);
        PW_CHECK(pw_mcpd_offer_find(c, o->kind, o->name) != NULL);
    }
}

/* Of other URIs a variable may hold U+FFFD where they had no UTF-8. */
static bool is_ascii(const char *text)
{
    while (*text > 0 && *text < 0x7f) {
        text++;
    }
    return *text == '\0';
}

static void try_address(const char *text)
{
    pw_http_address a;
    pawl_error err;
    if (pw_http_address_parse(text, &a, &err) == PAWL_OK) {
        (void)pw_http_host_ok(&a, text);
    }
    PW_CHECK(pw_http_address_parse("127.0.0.1:8080", &a, &err) == PAWL_OK);
    PW_CHECK(!pw_http_host_ok(&a, text) || strstr(text, "evil") == NULL);
    PW_CHECK(!pw_http_origin_ok(&a, text) || strncasecmp(text, "http", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pawl_scope *scope = pawl_scope_new();
    const uint8_t *end = data + size;
    const pawl_value *vars = NULL;
    pw_mcpd_catalog c = {.scope = NULL};
    PW_CHECK(scope != NULL);
    const char *template = part(scope, &data, end);
    const char *uri = part(scope, &data, end);
    const char *publish = part(scope, &data, end);
    const pawl_value *own = pawl_build(scope, "{template: {uriTemplate: %s}}", template);
    const char *json = pawl_to_json(scope, own, 0);
    const pawl_value *reply =
        pawl_build(scope, "{activities: {look: \"pure\"}, workflows: [%p, %p]}",
                   pawl_v(workflow(scope, "a", json != NULL ? json : "")),
                   pawl_v(workflow(scope, "b", publish)));
    PW_CHECK(pw_mcpd_catalog_read(&c, reply, true));
    const pw_mcpd_offer *o = pw_mcpd_offer_of_uri(&c, scope, uri, &vars);
    for (size_t i = 0; o != NULL && i < pawl_len(vars) && is_ascii(uri); i++) {
        const char *text = pawl_str(pawl_at(vars, i), "", "");
        PW_CHECK(text[0] != '\0' && strstr(uri, text) != NULL && strchr(text, '/') == NULL);
    }
    show_all(scope, &c);
    try_address(uri);
    pw_mcpd_catalog_deinit(&c);
    pawl_scope_free(scope);
    return 0;
}
