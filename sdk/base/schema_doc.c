/*
 * schema_doc.c - schemas as documents: their ids and anchors are found once, their patterns compiled once; references lead to what was
 * added. Does not validate.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/mem.h"
#include "sdk/base/schema_inside.h"
#include "sdk/base/uri.h"

#define MATCH_STEPS_MAX 200000
#define MATCH_DEPTH_MAX 2000

typedef enum holds { NONE, ONE, LIST, MAP, EITHER, DEPENDS } holds;
typedef enum vocabulary { CORE, APPLY, ASSERT, NOTE } vocabulary;

enum { DRAFT_7 = 1, DRAFT_2020 = 2, DRAFT_BOTH = 3 };

static const struct {
    const char *text;
    size_t size;
    holds holds;
    int draft;
    vocabulary vocabulary;
} keywords[PW_KW_COUNT] = {
#define X(name, text, holds, draft, vocabulary) \
    {text, sizeof(text) - 1, holds, DRAFT_##draft, vocabulary},
#include "sdk/base/schema_keywords.def"
#undef X
};

typedef struct pw_anchor {
    struct pw_anchor *next;
    const char *uri; /* of its resource */
    const char *name;
    bool dynamic;
    pw_node node;
} pw_anchor;

typedef struct pw_pattern {
    struct pw_pattern *next;
    const uint8_t *at; /* of its text in the schema */
    pcre2_code *code;
} pw_pattern;

/* ---- reading ---- */

const char *pw_schema_text(pawl_scope *scope, pw_view v)
{
    pw_mp r = pw_mp_reader(v.data, v.size);
    const char *text = NULL;
    if (pw_mp_peek(&r) == PAWL_STRING) {
        pw_view s = pw_mp_read_str(&r);
        text = pw_strndup(scope, (const char *)s.data, s.size);
    }
    return text != NULL ? text : "";
}

bool pw_schema_get(pw_view map, const char *key, pw_view *ret)
{
    pw_mp r = pw_mp_reader(map.data, map.size);
    if (pw_mp_peek(&r) != PAWL_MAP) {
        return false;
    }
    return pw_mp_find(&r, (pw_view){(const uint8_t *)key, strlen(key)}, ret);
}

static bool keyword_of(pw_view key, pw_keyword *ret)
{
    for (int i = 0; i < PW_KW_COUNT; i++) {
        if (key.size == keywords[i].size && memcmp(key.data, keywords[i].text, key.size) == 0) {
            *ret = (pw_keyword)i;
            return true;
        }
    }
    return false;
}

void pw_schema_keywords(pw_view schema, const pw_resource *res, pw_keywords *ret)
{
    pw_mp r = pw_mp_reader(schema.data, schema.size);
    pw_keyword k;
    memset(ret, 0, sizeof *ret);
    for (size_t n = pw_mp_read_map(&r); n > 0; n--) {
        pw_view key = pw_mp_read_str(&r);
        pw_view v = pw_mp_read_raw(&r);
        bool known =
            keyword_of(key, &k) && (keywords[k].draft & (res->draft7 ? DRAFT_7 : DRAFT_2020)) != 0;
        if (known && !(res->no_assert && keywords[k].vocabulary == ASSERT)) {
            ret->of[k] = v;
        }
    }
    if (res->draft7 && ret->of[PW_KW_REF].data != NULL) { /* what stands beside it does not count */
        pw_view ref = ret->of[PW_KW_REF];
        memset(ret, 0, sizeof *ret);
        ret->of[PW_KW_REF] = ref;
    }
}

/* ---- the index ---- */

typedef struct index_run {
    pw_schemas *set;
    pawl_status status;
    pawl_error *err;
    int depth;
} index_run;

static bool fail(index_run *x, pawl_status status, const char *before, const char *what,
                 const char *after)
{
    if (x->status == PAWL_OK) {
        x->status = pw_err(x->err, status, "%s%.100s%s", before, what, after);
    }
    return false;
}

const pw_resource *pw_schema_resource(const pw_schemas *set, const char *uri)
{
    const pw_resource *r = set->resources;
    while (r != NULL && strcmp(r->uri, uri) != 0) {
        r = r->next;
    }
    return r;
}

static pw_resource *resource_add(index_run *x, const char *uri, pw_view root,
                                 const pw_resource *like)
{
    if (uri == NULL) {
        (void)fail(x, PAWL_NOMEM, "out of memory", "", "");
        return NULL;
    }
    if (pw_schema_resource(x->set, uri) != NULL) {
        (void)fail(x, PAWL_EXISTS, "two schemas have the id \"", uri, "\"");
        return NULL;
    }
    pw_resource *r = pawl_scope_alloc(x->set->scope, sizeof *r);
    if (r == NULL) {
        (void)fail(x, PAWL_NOMEM, "out of memory", "", "");
        return NULL;
    }
    *r = (pw_resource){.next = x->set->resources, .uri = uri, .root = root};
    if (like != NULL) {
        r->draft7 = like->draft7;
        r->no_assert = like->no_assert;
    }
    x->set->resources = r;
    return r;
}

static bool anchor_add(index_run *x, const pw_node *node, pw_view name, bool dynamic)
{
    pw_anchor *a = pawl_scope_alloc(x->set->scope, sizeof *a);
    if (a == NULL) {
        return fail(x, PAWL_NOMEM, "out of memory", "", "");
    }
    *a = (pw_anchor){.next = x->set->anchors,
                     .uri = node->res->uri,
                     .name = pw_schema_text(x->set->scope, name),
                     .dynamic = dynamic,
                     .node = *node};
    x->set->anchors = a;
    return true;
}

static bool pattern_add(index_run *x, pw_view text_value)
{
    pw_mp r = pw_mp_reader(text_value.data, text_value.size);
    pw_view text = pw_mp_read_str(&r);
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pw_pattern *p = pw_calloc(1, sizeof *p);
    if (context == NULL || p == NULL) {
        pcre2_compile_context_free(context);
        pw_free(p);
        return fail(x, PAWL_NOMEM, "out of memory", "", "");
    }
    (void)pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
    p->at = text.data;
    p->code = pcre2_compile(text.data, text.size,
                            PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY |
                                PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF |
                                PCRE2_ALT_BSUX | PCRE2_NEVER_BACKSLASH_C,
                            &code, &at, context);
    pcre2_compile_context_free(context);
    if (p->code == NULL) {
        pw_free(p);
        return fail(x, PAWL_INVALID, "\"", pw_schema_text(x->set->scope, text_value),
                    "\" is not a regular expression");
    }
    p->next = x->set->patterns;
    x->set->patterns = p;
    return true;
}

static bool index_node(index_run *x, const pw_node *node);

static bool index_list(index_run *x, pw_view list, const pw_resource *res)
{
    pw_mp r = pw_mp_reader(list.data, list.size);
    bool ok = true;
    if (pw_mp_peek(&r) != PAWL_ARRAY) {
        return true;
    }
    for (size_t n = pw_mp_read_array(&r); ok && n > 0; n--) {
        pw_node child = {pw_mp_read_raw(&r), res};
        ok = index_node(x, &child);
    }
    return ok;
}

static bool index_map(index_run *x, pw_view map, const pw_resource *res, bool patterns)
{
    pw_mp r = pw_mp_reader(map.data, map.size);
    bool ok = true;
    if (pw_mp_peek(&r) != PAWL_MAP) {
        return true;
    }
    for (size_t n = pw_mp_read_map(&r); ok && n > 0; n--) {
        pw_mp key = r;
        pw_view raw = pw_mp_read_raw(&key);
        (void)pw_mp_read_str(&r);
        pw_node child = {pw_mp_read_raw(&r), res};
        ok = (!patterns || pattern_add(x, raw)) && index_node(x, &child);
    }
    return ok;
}

static bool index_keyword(index_run *x, pw_keyword k, pw_view v, const pw_resource *res)
{
    pw_node child = {v, res};
    switch (keywords[k].holds) {
    case ONE:
        return index_node(x, &child);
    case LIST:
        return index_list(x, v, res);
    case MAP:
    case DEPENDS:
        return index_map(x, v, res, k == PW_KW_PATTERN_PROPERTIES);
    case EITHER:
        return pw_schema_type(v) == PAWL_ARRAY ? index_list(x, v, res) : index_node(x, &child);
    case NONE:
        break;
    }
    return k != PW_KW_PATTERN || pw_schema_type(v) != PAWL_STRING || pattern_add(x, v);
}

/* What its meta-schema says of the draft and of the vocabularies. */
static void read_dialect(index_run *x, pw_resource *res, pw_view schema)
{
    const char *text = pw_schema_text(x->set->scope, schema);
    res->draft7 = strstr(text, "draft-07") != NULL || strstr(text, "draft-06") != NULL;
    const char *uri = pw_uri_join(x->set->scope, "", text);
    const pw_resource *meta = uri != NULL ? pw_schema_resource(x->set, uri) : NULL;
    pw_view vocabularies;
    if (meta == NULL || !pw_schema_get(meta->root, "$vocabulary", &vocabularies)) {
        return;
    }
    pw_mp r = pw_mp_reader(vocabularies.data, vocabularies.size);
    res->no_assert = true;
    for (size_t n = pw_mp_read_map(&r); n > 0; n--) {
        const char *name = pw_schema_text(x->set->scope, pw_mp_read_raw(&r));
        pw_mp_skip(&r);
        res->no_assert &= strstr(name, "/vocab/validation") == NULL;
    }
}

/* A new identity, or in draft 7 also a plain name. */
static bool index_id(index_run *x, pw_node *node, const pw_keywords *kw, bool root)
{
    const char *id = pw_schema_text(x->set->scope, kw->of[PW_KW_ID]);
    if (id[0] == '#' && node->res->draft7) {
        pw_anchor *a = pawl_scope_alloc(x->set->scope, sizeof *a);
        if (a == NULL) {
            return fail(x, PAWL_NOMEM, "out of memory", "", "");
        }
        *a = (pw_anchor){
            .next = x->set->anchors, .uri = node->res->uri, .name = id + 1, .node = *node};
        x->set->anchors = a;
        return true;
    }
    const char *uri = pw_uri_join(x->set->scope, node->res->uri, id);
    if (id[0] == 0 || (uri != NULL && strcmp(uri, node->res->uri) == 0)) {
        return true;
    }
    pw_resource *res = resource_add(x, uri, node->v, node->res);
    if (res == NULL) {
        return false;
    }
    if (kw->of[PW_KW_SCHEMA].data != NULL && !root) {
        read_dialect(x, res, kw->of[PW_KW_SCHEMA]);
    }
    node->res = res;
    return true;
}

static bool index_object(index_run *x, pw_node *node, bool root)
{
    pw_keywords kw;
    pw_schema_keywords(node->v, node->res, &kw);
    if (kw.of[PW_KW_ID].data != NULL && !index_id(x, node, &kw, root)) {
        return false;
    }
    pw_view anchor = kw.of[PW_KW_ANCHOR], dynamic = kw.of[PW_KW_DYNAMIC_ANCHOR];
    if ((anchor.data != NULL && !anchor_add(x, node, anchor, false)) ||
        (dynamic.data != NULL && !anchor_add(x, node, dynamic, true))) {
        return false;
    }
    x->set->tracks |= kw.of[PW_KW_UNEVALUATED_ITEMS].data != NULL ||
                      kw.of[PW_KW_UNEVALUATED_PROPERTIES].data != NULL;
    bool ok = true;
    for (int k = 0; ok && k < PW_KW_COUNT; k++) {
        ok = kw.of[k].data == NULL || index_keyword(x, (pw_keyword)k, kw.of[k], node->res);
    }
    return ok;
}

static bool index_node(index_run *x, const pw_node *node)
{
    pawl_type type = pw_schema_type(node->v);
    if (type != PAWL_MAP) {
        return type == PAWL_BOOL || type == PAWL_ARRAY ||
               fail(x, PAWL_INVALID, "a schema is an object or a boolean", "", "");
    }
    if (x->depth >= PW_SCHEMA_DEPTH_MAX) {
        return fail(x, PAWL_LIMIT, "the schema is nested too deep", "", "");
    }
    pw_node own = *node;
    x->depth++;
    bool ok = index_object(x, &own, false);
    x->depth--;
    return ok;
}

/* ---- the set ---- */

pw_schemas *pw_schemas_new(void)
{
    pw_schemas *set = pw_calloc(1, sizeof *set);
    if (set != NULL && (set->scope = pawl_scope_new()) == NULL) {
        pw_free(set);
        return NULL;
    }
    return set;
}

void pw_schemas_free(pw_schemas *set)
{
    if (set == NULL) {
        return;
    }
    while (set->patterns != NULL) {
        pw_pattern *p = set->patterns;
        set->patterns = p->next;
        pcre2_code_free(p->code);
        pw_free(p);
    }
    pawl_scope_free(set->scope);
    pw_free(set);
}

pawl_status pw_schemas_add(pw_schemas *set, const char *uri, pw_view schema, pawl_error *err)
{
    index_run x = {.set = set, .status = PAWL_OK, .err = err};
    if (schema.size > PW_SCHEMA_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "a schema has at most %u bytes", PW_SCHEMA_BYTES_MAX);
    }
    pawl_status st = pw_mp_check(schema.data, schema.size, err);
    if (st != PAWL_OK) {
        return st;
    }
    pawl_type type = pw_schema_type(schema);
    if (type != PAWL_MAP && type != PAWL_BOOL) {
        return pw_err(err, PAWL_INVALID, "a schema is an object or a boolean");
    }
    void *copy = pw_memdup(set->scope, schema.data, schema.size);
    pw_view own = {copy, schema.size};
    pw_resource *res =
        copy != NULL ? resource_add(&x, pw_uri_join(set->scope, uri, ""), own, NULL) : NULL;
    pw_view dialect;
    if (res == NULL) {
        return x.status != PAWL_OK ? x.status : pw_err(err, PAWL_NOMEM, "out of memory");
    }
    if (pw_schema_get(own, "$schema", &dialect)) {
        read_dialect(&x, res, dialect);
    }
    pw_node root = {own, res};
    if (type == PAWL_MAP) {
        (void)index_object(&x, &root, true);
    }
    return pw_scope_failed(set->scope) && x.status == PAWL_OK
               ? pw_err(err, PAWL_NOMEM, "out of memory")
               : x.status;
}

/* ---- references ---- */

bool pw_schema_anchor(const pw_schemas *set, const char *uri, const char *name, bool dynamic,
                      pw_node *ret)
{
    const pw_anchor *a = set->anchors;
    while (a != NULL &&
           !(strcmp(a->name, name) == 0 && strcmp(a->uri, uri) == 0 && (a->dynamic || !dynamic))) {
        a = a->next;
    }
    if (a != NULL) {
        *ret = a->node;
    }
    return a != NULL;
}

static bool pointer_token(pawl_scope *scope, const char **at, char **ret)
{
    size_t n = strcspn(*at + 1, "/");
    char *token = pw_strndup(scope, *at + 1, n);
    if (token == NULL) {
        return false;
    }
    char *to = token;
    for (const char *c = token; *c != 0; c++) {
        bool escaped = c[0] == '~' && (c[1] == '0' || c[1] == '1');
        *to++ = escaped ? (c[1] == '0' ? '~' : '/') : *c;
        c += escaped ? 1 : 0;
    }
    *to = 0;
    *at += n + 1;
    *ret = token;
    return true;
}

static bool pointer_step(pw_view *v, const char *token)
{
    pw_mp r = pw_mp_reader(v->data, v->size);
    if (pw_mp_peek(&r) == PAWL_MAP) {
        return pw_schema_get(*v, token, v);
    }
    if (pw_mp_peek(&r) != PAWL_ARRAY || token[0] == 0 ||
        strspn(token, "0123456789") != strlen(token) || strlen(token) > 9) {
        return false;
    }
    size_t n = pw_mp_read_array(&r), index = (size_t)strtoul(token, NULL, 10);
    for (size_t i = 0; i < index && i < n; i++) {
        pw_mp_skip(&r);
    }
    *v = pw_mp_read_raw(&r);
    return index < n;
}

/* A schema on the way that has an id changes what references behind it mean. */
static bool follow_pointer(pw_eval *e, const pw_resource *res, const char *pointer, pw_node *ret)
{
    *ret = (pw_node){res->root, res};
    char *token;
    pw_view id;
    while (*pointer == '/') {
        if (!pointer_token(e->scope, &pointer, &token) || !pointer_step(&ret->v, token)) {
            return false;
        }
        if (pw_schema_get(ret->v, "$id", &id) && pw_schema_type(id) == PAWL_STRING) {
            const char *uri = pw_uri_join(e->scope, ret->res->uri, pw_schema_text(e->scope, id));
            const pw_resource *own = uri != NULL ? pw_schema_resource(e->set, uri) : NULL;
            ret->res = own != NULL ? own : ret->res;
        }
    }
    return *pointer == 0;
}

bool pw_schema_resolve(pw_eval *e, const pw_resource *from, const char *ref, pw_node *ret,
                       bool *ret_dynamic)
{
    const char *uri = pw_uri_join(e->scope, from->uri, ref);
    const char *fragment = pw_uri_fragment(e->scope, ref);
    const pw_resource *res = uri != NULL ? pw_schema_resource(e->set, uri) : NULL;
    pw_node dynamic;
    *ret_dynamic = false;
    if (res == NULL || fragment == NULL) {
        return false;
    }
    if (fragment[0] == 0 || fragment[0] == '/') {
        return follow_pointer(e, res, fragment, ret);
    }
    *ret_dynamic = pw_schema_anchor(e->set, uri, fragment, true, &dynamic);
    return pw_schema_anchor(e->set, uri, fragment, false, ret);
}

/* ---- patterns ---- */

bool pw_schema_matches(pw_eval *e, pw_view pattern, pw_view text)
{
    const pw_pattern *p = e->set->patterns;
    while (p != NULL && p->at != pattern.data) {
        p = p->next;
    }
    pcre2_match_context *context = p != NULL ? pcre2_match_context_create(NULL) : NULL;
    pcre2_match_data *data = p != NULL ? pcre2_match_data_create(1, NULL) : NULL;
    int rc = PCRE2_ERROR_NOMEMORY;
    if (context != NULL && data != NULL) {
        (void)pcre2_set_match_limit(context, MATCH_STEPS_MAX);
        (void)pcre2_set_depth_limit(context, MATCH_DEPTH_MAX);
        rc = pcre2_match(p->code, text.data != NULL ? text.data : (const uint8_t *)"", text.size, 0,
                         PCRE2_NO_UTF_CHECK, data, context);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH && e->status == PAWL_OK) {
        bool memory = rc == PCRE2_ERROR_NOMEMORY;
        e->status = pw_err(e->err, memory ? PAWL_NOMEM : PAWL_LIMIT,
                           memory ? "out of memory" : "a pattern took too much work");
    }
    return rc >= 0;
}
