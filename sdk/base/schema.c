/*
 * schema.c - the walk of JSON Schema: one schema against one instance, references, combinations, errors.
 *
 * What an instance holds is schema_apply.c's, what is said of one value alone schema_assert.c's. Does not fetch anything.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/schema_inside.h"
#include "sdk/base/uri.h"

#define ERRORS_DEFAULT 20

pawl_type pw_schema_type(pw_view v)
{
    pw_mp r = pw_mp_reader(v.data, v.size);
    return pw_mp_peek(&r);
}

size_t pw_schema_count(pw_view v)
{
    pw_mp r = pw_mp_reader(v.data, v.size);
    return pw_mp_peek(&r) == PAWL_MAP     ? pw_mp_read_map(&r)
           : pw_mp_peek(&r) == PAWL_ARRAY ? pw_mp_read_array(&r)
                                          : 0;
}

/* ---- errors ---- */

bool pw_schema_step(pw_eval *e, int64_t steps)
{
    int64_t max = e->options->steps_max > 0 ? e->options->steps_max : PW_SCHEMA_STEPS_MAX;
    e->steps += steps;
    if (e->steps > max && e->status == PAWL_OK) {
        e->status =
            pw_err(e->err, PAWL_LIMIT, "validation took more than %lld steps", (long long)max);
    }
    return e->status == PAWL_OK;
}

static void put_token(pw_buf *out, pw_view key)
{
    pw_buf_putc(out, '/');
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] == '~' || key.data[i] == '/') {
            pw_buf_puts(out, key.data[i] == '~' ? "~0" : "~1");
        } else {
            pw_buf_putc(out, key.data[i]);
        }
    }
}

static void put_pointer(pw_buf *out, const pw_instance *in)
{
    if (in->up == NULL) {
        return;
    }
    put_pointer(out, in->up);
    if (in->key.data != NULL) {
        put_token(out, in->key);
    } else {
        pw_buf_printf(out, "/%zu", in->index);
    }
}

static void report(const pw_at *at, const char *keyword, const char *message)
{
    pw_eval *e = at->e;
    PW_CLEANUP(pw_buf_deinit) pw_buf where = PW_BUF_INIT;
    put_pointer(&where, at->in);
    const char *pointer = where.size > 0 && !where.failed
                              ? pw_strndup(e->scope, (const char *)where.data, where.size)
                              : "";
    pointer = pointer != NULL ? pointer : "";
    if (e->errors++ == 0) {
        (void)pw_err(e->err, PAWL_INVALID, "%s%s%s", pointer[0] != 0 ? pointer : "the value",
                     pointer[0] != 0 ? ": " : " ", message);
    }
    size_t max = e->options->errors_max > 0 ? e->options->errors_max : ERRORS_DEFAULT;
    if (e->report == NULL || e->errors > max) {
        return;
    }
    pawl_scope *scope = e->report->scope;
    const pawl_value *one =
        pawl_build(scope, "{at: %s, keyword: %s, message: %s}", pointer, keyword, message);
    const pawl_value *had[64];
    size_t n = pawl_len(e->report->errors);
    if (n + 1 > PW_COUNT(had)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        had[i] = pawl_at(e->report->errors, i);
    }
    had[n] = one;
    e->report->errors = pawl_make_array(scope, had, n + 1);
}

bool pw_schema_wrong(const pw_at *at, const char *keyword, const char *fmt, ...)
{
    char message[200];
    va_list args;
    if (at->e->muted > 0 || at->e->status != PAWL_OK) {
        return false;
    }
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    report(at, keyword, message);
    return false;
}

/* ---- schemas for the same instance ---- */

/* What it evaluated counts only if it holds. */
static bool same(const pw_at *at, const pw_node *node)
{
    pw_seen own = {NULL, 0};
    pw_mark mark = pw_scope_mark(at->e->scope);
    if (at->seen != NULL && at->seen->of != NULL) {
        own.of = pawl_scope_alloc(at->e->scope, at->seen->len);
        own.len = at->seen->len;
        if (own.of == NULL) {
            at->e->status = pw_err(at->e->err, PAWL_NOMEM, "out of memory");
            return false;
        }
    }
    bool holds = pw_schema_eval(at->e, node, at->frame, at->in, own.of != NULL ? &own : NULL);
    for (size_t i = 0; holds && i < own.len; i++) {
        at->seen->of[i] |= own.of[i];
    }
    pw_scope_rewind(at->e->scope, mark);
    return holds;
}

static bool same_muted(const pw_at *at, pw_view schema)
{
    pw_node node = {schema, at->res};
    at->e->muted++;
    bool holds = same(at, &node);
    at->e->muted--;
    return holds;
}

static pw_view kw(const pw_at *at, pw_keyword k)
{
    return at->kw->of[k];
}

static bool all_of(const pw_at *at)
{
    pw_view list = kw(at, PW_KW_ALL_OF);
    pw_mp r = pw_mp_reader(list.data, list.size);
    bool ok = true;
    for (size_t n = list.data != NULL ? pw_mp_read_array(&r) : 0; n > 0; n--) {
        pw_node node = {pw_mp_read_raw(&r), at->res};
        ok = same(at, &node) && ok;
    }
    return ok;
}

static size_t holding(const pw_at *at, pw_view list)
{
    pw_mp r = pw_mp_reader(list.data, list.size);
    size_t held = 0;
    for (size_t n = pw_mp_read_array(&r); n > 0; n--) {
        held += same_muted(at, pw_mp_read_raw(&r)) ? 1 : 0;
    }
    return held;
}

/* What it has seen counts inside it, and nowhere else. */
static bool holds_apart(const pw_at *at, pw_view schema)
{
    pw_at apart = *at;
    pw_seen own = {NULL, 0};
    if (at->seen != NULL && at->seen->len > 0) {
        own = (pw_seen){pawl_scope_alloc(at->e->scope, at->seen->len), at->seen->len};
    }
    apart.seen = own.of != NULL ? &own : NULL;
    return same_muted(&apart, schema);
}

static bool choices(const pw_at *at)
{
    pw_view any = kw(at, PW_KW_ANY_OF), one = kw(at, PW_KW_ONE_OF), not = kw(at, PW_KW_NOT);
    bool ok = true;
    if (any.data != NULL && holding(at, any) == 0) {
        ok = pw_schema_wrong(at, "anyOf", "must match one of %zu alternatives, matches none",
                             pw_schema_count(any));
    }
    size_t held = one.data != NULL ? holding(at, one) : 1;
    if (held != 1) {
        ok = pw_schema_wrong(at, "oneOf", "must match exactly one of %zu alternatives, matches %zu",
                             pw_schema_count(one), held);
    }
    if (not .data != NULL && holds_apart(at, not )) {
        ok = pw_schema_wrong(at, "not", "matches what it must not match");
    }
    return ok;
}

static bool conditions(const pw_at *at)
{
    pw_view cond = kw(at, PW_KW_IF);
    if (cond.data == NULL) {
        return true;
    }
    pw_view next = kw(at, same_muted(at, cond) ? PW_KW_THEN : PW_KW_ELSE);
    pw_node node = {next, at->res};
    return next.data == NULL || same(at, &node);
}

static bool dependent(const pw_at *at, pw_view map)
{
    pw_mp r = pw_mp_reader(map.data, map.size);
    bool ok = true;
    pw_view unused;
    for (size_t n = pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0; n > 0; n--) {
        pw_mp key = r;
        const char *name = pw_schema_text(at->e->scope, pw_mp_read_raw(&key));
        pw_mp_skip(&r);
        pw_node node = {pw_mp_read_raw(&r), at->res};
        bool schema = pw_schema_type(node.v) != PAWL_ARRAY;
        ok = (!schema || !pw_schema_get(at->in->v, name, &unused) || same(at, &node)) && ok;
    }
    return ok;
}

/* ---- references ---- */

/* The outermost resource on the way here that has the anchor. */
static void outermost(const pw_at *at, const char *ref, pw_node *node)
{
    const char *name = pw_uri_fragment(at->e->scope, ref);
    for (const pw_frame *f = at->frame; f != NULL && name != NULL; f = f->up) {
        (void)pw_schema_anchor(at->e->set, f->res->uri, name, true, node);
    }
}

static bool reference(const pw_at *at, pw_keyword k)
{
    pw_view v = kw(at, k);
    pw_node node;
    bool dynamic;
    if (v.data == NULL) {
        return true;
    }
    const char *ref = pw_schema_text(at->e->scope, v);
    if (!pw_schema_resolve(at->e, at->res, ref, &node, &dynamic)) {
        if (at->e->status == PAWL_OK) {
            at->e->status = pw_err(at->e->err, PAWL_NOTFOUND,
                                   "the schema refers to \"%s\", which is not there", ref);
        }
        return false;
    }
    if (k == PW_KW_DYNAMIC_REF && dynamic) {
        outermost(at, ref, &node);
    }
    return same(at, &node);
}

/* ---- one schema, one instance ---- */

static bool evaluate(const pw_at *at)
{
    bool ok = reference(at, PW_KW_REF);
    ok = reference(at, PW_KW_DYNAMIC_REF) && ok;
    ok = pw_schema_assert(at) && ok;
    ok = all_of(at) && ok;
    ok = choices(at) && ok;
    ok = conditions(at) && ok;
    ok = dependent(at, kw(at, PW_KW_DEPENDENT_SCHEMAS)) && ok;
    ok = dependent(at, kw(at, PW_KW_DEPENDENCIES)) && ok;
    if (at->in->type == PAWL_MAP) {
        ok = pw_schema_apply_object(at) && ok;
    } else if (at->in->type == PAWL_ARRAY) {
        ok = pw_schema_apply_array(at) && ok;
    }
    return pw_schema_unevaluated(at) && ok;
}

/* The resource that a schema with an id is. */
static const pw_resource *resource_of(pw_eval *e, const pw_node *node, const pw_keywords *keywords)
{
    const char *id =
        keywords->of[PW_KW_ID].data != NULL ? pw_schema_text(e->scope, keywords->of[PW_KW_ID]) : "";
    if (id[0] == 0 || id[0] == '#') {
        return node->res;
    }
    const char *uri = pw_uri_join(e->scope, node->res->uri, id);
    const pw_resource *res = uri != NULL ? pw_schema_resource(e->set, uri) : NULL;
    return res != NULL ? res : node->res;
}

bool pw_schema_eval(pw_eval *e, const pw_node *node, const pw_frame *frame, const pw_instance *in,
                    pw_seen *seen)
{
    pawl_type type = pw_schema_type(node->v);
    pw_at at = {.e = e, .res = node->res, .frame = frame, .in = in, .seen = seen};
    if (!pw_schema_step(e, 1)) {
        return false;
    }
    if (type != PAWL_MAP) {
        pw_mp r = pw_mp_reader(node->v.data, node->v.size);
        return type != PAWL_BOOL || pw_mp_read_bool(&r) ||
               pw_schema_wrong(&at, "false", "is not allowed");
    }
    if (e->depth >= PW_SCHEMA_DEPTH_MAX) {
        e->status =
            pw_err(e->err, PAWL_LIMIT,
                   "the schema refers to itself without end, or the value is nested too deep");
        return false;
    }
    pw_keywords keywords;
    pw_schema_keywords(node->v, node->res, &keywords);
    at.kw = &keywords;
    at.res = resource_of(e, node, &keywords);
    if (at.res != node->res) {
        pw_schema_keywords(node->v, at.res, &keywords);
    }
    pw_frame own = {at.res, frame};
    at.frame = frame == NULL || frame->res != at.res ? &own : frame;
    e->depth++;
    bool ok = evaluate(&at);
    e->depth--;
    return ok && e->status == PAWL_OK;
}

bool pw_schema_child(const pw_at *at, pw_view schema, const pw_instance *in)
{
    pw_eval *e = at->e;
    pw_mark mark = pw_scope_mark(e->scope);
    pw_node node = {schema, at->res};
    pw_seen seen = {NULL, 0};
    size_t n = e->set->tracks ? pw_schema_count(in->v) : 0;
    if (n > 0) {
        seen = (pw_seen){pawl_scope_alloc(e->scope, n), n};
        if (seen.of == NULL) {
            e->status = pw_err(e->err, PAWL_NOMEM, "out of memory");
            return false;
        }
    }
    bool ok = pw_schema_eval(e, &node, at->frame, in, n > 0 ? &seen : NULL);
    pw_scope_rewind(e->scope, mark);
    return ok;
}

static pawl_status validate(pw_eval *e, const pw_resource *res, pw_view value)
{
    pw_instance in = {.v = value, .type = pw_schema_type(value)};
    pw_at at = {.e = e, .res = res};
    bool ok = pw_schema_child(&at, res->root, &in);
    if (e->status == PAWL_OK &&
        (pw_scope_failed(e->scope) || (e->report != NULL && pw_scope_failed(e->report->scope)))) {
        return pw_err(e->err, PAWL_NOMEM, "out of memory");
    }
    return e->status != PAWL_OK ? e->status : ok ? PAWL_OK : PAWL_INVALID;
}

pawl_status pw_schema_validate(pw_schemas *set, const char *uri, pw_view value,
                               const pw_schema_options *options, pw_schema_report *ret_report,
                               pawl_error *err)
{
    static const pw_schema_options none = {0};
    pawl_status st = pw_mp_check(value.data, value.size, err);
    if (st != PAWL_OK) {
        return st;
    }
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pw_eval e = {.set = set,
                 .scope = scope,
                 .options = options != NULL ? options : &none,
                 .report = ret_report,
                 .err = err,
                 .status = PAWL_OK};
    if (ret_report != NULL) {
        ret_report->errors = NULL;
    }
    const pw_resource *res = pw_schema_resource(set, uri); /* as it is written, most of the time */
    const char *own = res == NULL ? pw_uri_join(scope, uri, "") : NULL;
    res = own != NULL ? pw_schema_resource(set, own) : res;
    st = res != NULL ? validate(&e, res, value)
                     : pw_err(err, PAWL_NOTFOUND, "no schema is at \"%s\"", uri);
    pawl_scope_free(scope);
    return st;
}
