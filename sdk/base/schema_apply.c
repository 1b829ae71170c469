/*
 * schema_apply.c - schemas for what objects and arrays hold, and for what nothing else has looked at.
 * Does not look at the instance itself: schema_assert.c does.
 */
#include "sdk/base/schema_inside.h"

static pw_view kw(const pw_at *at, pw_keyword k)
{
    return at->kw->of[k];
}

static void see(const pw_at *at, size_t i)
{
    if (at->seen != NULL && i < at->seen->len) {
        at->seen->of[i] = 1;
    }
}

/* ---- objects ---- */

static bool find(pw_view map, pw_view key, pw_view *ret)
{
    pw_mp r = pw_mp_reader(map.data, map.size);
    for (size_t n = map.data != NULL && pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0; n > 0;
         n--) {
        pw_view k = pw_mp_read_str(&r);
        pw_view v = pw_mp_read_raw(&r);
        if (pw_view_eq(k, key)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

/* False: a schema of a pattern that fits does not hold. */
static bool patterns(const pw_at *at, const pw_instance *child, bool *matched)
{
    pw_view map = kw(at, PW_KW_PATTERN_PROPERTIES);
    pw_mp r = pw_mp_reader(map.data, map.size);
    bool ok = true;
    for (size_t n = map.data != NULL && pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0; n > 0;
         n--) {
        pw_view pattern = pw_mp_read_str(&r);
        pw_view schema = pw_mp_read_raw(&r);
        if (pw_schema_matches(at->e, pattern, child->key)) {
            *matched = true;
            ok = pw_schema_child(at, schema, child) && ok;
        }
    }
    return ok;
}

static bool name_holds(const pw_at *at, pw_view raw_key, const pw_instance *child)
{
    pw_view schema = kw(at, PW_KW_PROPERTY_NAMES);
    pw_instance name = {.v = raw_key, .type = PAWL_STRING, .up = child->up, .key = child->key};
    return schema.data == NULL || pw_schema_child(at, schema, &name);
}

static bool pair(const pw_at *at, const pw_instance *child, size_t i)
{
    pw_view schema;
    bool matched = false;
    bool ok = true;
    if (find(kw(at, PW_KW_PROPERTIES), child->key, &schema)) {
        matched = true;
        ok = pw_schema_child(at, schema, child);
    }
    ok = patterns(at, child, &matched) && ok;
    pw_view rest = kw(at, PW_KW_ADDITIONAL_PROPERTIES);
    if (!matched && rest.data != NULL) {
        matched = true;
        ok = pw_schema_child(at, rest, child) && ok;
    }
    if (matched) {
        see(at, i);
    }
    return ok;
}

bool pw_schema_apply_object(const pw_at *at)
{
    static const pw_keyword wanted[] = {PW_KW_PROPERTIES, PW_KW_PATTERN_PROPERTIES,
                                        PW_KW_ADDITIONAL_PROPERTIES, PW_KW_PROPERTY_NAMES};
    pw_mp r = pw_mp_reader(at->in->v.data, at->in->v.size);
    bool ok = true, any = false;
    for (size_t i = 0; i < PW_COUNT(wanted); i++) {
        any |= kw(at, wanted[i]).data != NULL;
    }
    size_t n = any ? pw_mp_read_map(&r) : 0;
    for (size_t i = 0; i < n && pw_schema_step(at->e, 1); i++) {
        pw_mp key = r;
        pw_view raw = pw_mp_read_raw(&key);
        pw_instance child = {.up = at->in, .key = pw_mp_read_str(&r)};
        child.v = pw_mp_read_raw(&r);
        child.type = pw_schema_type(child.v);
        ok = name_holds(at, raw, &child) && ok;
        ok = pair(at, &child, i) && ok;
    }
    return ok;
}

/* ---- arrays ---- */

/* The schema of an item by its place; data NULL = none. */
static pw_view schema_of_item(const pw_at *at, size_t i)
{
    pw_view items = kw(at, PW_KW_ITEMS);
    bool tuple = pw_schema_type(items) == PAWL_ARRAY && items.data != NULL;
    pw_view first = tuple ? items : kw(at, PW_KW_PREFIX_ITEMS);
    size_t n = first.data != NULL ? pw_schema_count(first) : 0;
    if (i >= n) {
        return tuple ? kw(at, PW_KW_ADDITIONAL_ITEMS) : items;
    }
    pw_mp r = pw_mp_reader(first.data, first.size);
    (void)pw_mp_read_array(&r);
    for (size_t k = 0; k < i; k++) {
        pw_mp_skip(&r);
    }
    return pw_mp_read_raw(&r);
}

static bool contains(const pw_at *at)
{
    pw_view schema = kw(at, PW_KW_CONTAINS), least = kw(at, PW_KW_MIN_CONTAINS),
            most = kw(at, PW_KW_MAX_CONTAINS);
    if (schema.data == NULL) {
        return true;
    }
    pw_mp r = pw_mp_reader(at->in->v.data, at->in->v.size);
    pw_mp min = pw_mp_reader(least.data, least.size), max = pw_mp_reader(most.data, most.size);
    size_t n = pw_mp_read_array(&r), held = 0;
    at->e->muted++;
    for (size_t i = 0; i < n && pw_schema_step(at->e, 1); i++) {
        pw_instance child = {.v = pw_mp_read_raw(&r), .up = at->in, .index = i};
        child.type = pw_schema_type(child.v);
        if (pw_schema_child(at, schema, &child)) {
            held++;
            see(at, i);
        }
    }
    at->e->muted--;
    double from = least.data != NULL ? pw_mp_read_double(&min) : 1,
           to = most.data != NULL ? pw_mp_read_double(&max) : (double)n;
    bool ok = (double)held >= from ||
              pw_schema_wrong(at, "contains", "must hold at least %g items that match, holds %zu",
                              from, held);
    return ((double)held <= to ||
            pw_schema_wrong(at, "maxContains", "must hold at most %g items that match, holds %zu",
                            to, held)) &&
           ok;
}

bool pw_schema_apply_array(const pw_at *at)
{
    bool any = kw(at, PW_KW_ITEMS).data != NULL || kw(at, PW_KW_PREFIX_ITEMS).data != NULL;
    pw_mp r = pw_mp_reader(at->in->v.data, at->in->v.size);
    size_t n = any ? pw_mp_read_array(&r) : 0;
    bool ok = true;
    for (size_t i = 0; i < n && pw_schema_step(at->e, 1); i++) {
        pw_instance child = {.v = pw_mp_read_raw(&r), .up = at->in, .index = i};
        pw_view schema = schema_of_item(at, i);
        child.type = pw_schema_type(child.v);
        if (schema.data != NULL) {
            see(at, i);
            ok = pw_schema_child(at, schema, &child) && ok;
        }
    }
    return contains(at) && ok;
}

/* ---- what nothing has looked at ---- */

bool pw_schema_unevaluated(const pw_at *at)
{
    bool object = at->in->type == PAWL_MAP;
    pw_view schema = kw(at, object ? PW_KW_UNEVALUATED_PROPERTIES : PW_KW_UNEVALUATED_ITEMS);
    if (schema.data == NULL || (!object && at->in->type != PAWL_ARRAY)) {
        return true;
    }
    pw_mp r = pw_mp_reader(at->in->v.data, at->in->v.size);
    size_t n = object ? pw_mp_read_map(&r) : pw_mp_read_array(&r);
    bool ok = true;
    for (size_t i = 0; i < n && pw_schema_step(at->e, 1); i++) {
        pw_instance child = {.up = at->in, .index = i};
        if (object) {
            child.key = pw_mp_read_str(&r);
        }
        child.v = pw_mp_read_raw(&r);
        child.type = pw_schema_type(child.v);
        if (at->seen == NULL || at->seen->of[i] == 0) {
            see(at, i);
            ok = pw_schema_child(at, schema, &child) && ok;
        }
    }
    return ok;
}
