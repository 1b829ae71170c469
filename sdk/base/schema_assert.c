/*
 * schema_assert.c - what a schema says of one value alone: its type, its size, its number, its text; and when two values are equal.
 * Does not go into what it holds: schema_apply.c does.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/schema_inside.h"

static pw_view kw(const pw_at *at, pw_keyword k)
{
    return at->kw->of[k];
}

/* ---- numbers ---- */

static bool is_number(pawl_type type)
{
    return type == PAWL_INT || type == PAWL_DOUBLE || type == PAWL_BIGINT;
}

/* The long double of this machine holds every int64 and every double. */
static long double number(pw_view v)
{
    pw_mp r = pw_mp_reader(v.data, v.size);
    pw_view text;
    switch ((int)pw_mp_peek(&r)) {
    case PAWL_INT:
        return (long double)pw_mp_read_int(&r);
    case PAWL_DOUBLE:
        return (long double)pw_mp_read_double(&r);
    default:
        break;
    }
    char digits[400] = "";
    if (pw_mp_read_ext(&r, PW_EXT_BIGINT, &text)) {
        (void)snprintf(digits, sizeof digits, "%.*s", (int)text.size, (const char *)text.data);
    }
    return strtold(digits, NULL);
}

static bool is_integer(pw_view v)
{
    pawl_type type = pw_schema_type(v);
    return type == PAWL_INT || type == PAWL_BIGINT ||
           (type == PAWL_DOUBLE && isfinite((double)number(v)) && floorl(number(v)) == number(v));
}

static bool is_multiple(long double n, long double of)
{
    double q = (double)n / (double)of;
    if (isinf(q)) {
        return fmodl(n, of) == 0;
    }
    return fabs(q - round(q)) <=
           1e-12 * fmax(1.0, fabs(q)); /* 0.3 is three times 0.1, though not to the last bit */
}

/* ---- equality ---- */

static bool equal_maps(pw_view a, pw_view b)
{
    pw_mp r = pw_mp_reader(a.data, a.size);
    size_t n = pw_mp_read_map(&r);
    bool same = n == pw_schema_count(b);
    for (size_t i = 0; same && i < n; i++) {
        pw_view key = pw_mp_read_str(&r), mine = pw_mp_read_raw(&r), theirs = {NULL, 0};
        pw_mp s = pw_mp_reader(b.data, b.size);
        for (size_t m = pw_mp_read_map(&s); m > 0 && theirs.data == NULL; m--) {
            bool found = pw_view_eq(pw_mp_read_str(&s), key);
            pw_view v = pw_mp_read_raw(&s);
            theirs = found ? v : theirs;
        }
        same = theirs.data != NULL && pw_schema_equal(mine, theirs);
    }
    return same;
}

bool pw_schema_equal(pw_view a, pw_view b)
{
    pawl_type ta = pw_schema_type(a), tb = pw_schema_type(b);
    if (is_number(ta) && is_number(tb)) {
        return number(a) == number(b);
    }
    if (ta != tb) {
        return false;
    }
    if (ta == PAWL_MAP) {
        return equal_maps(a, b);
    }
    if (ta != PAWL_ARRAY) {
        return pw_view_eq(a, b);
    }
    pw_mp r = pw_mp_reader(a.data, a.size), s = pw_mp_reader(b.data, b.size);
    size_t n = pw_mp_read_array(&r);
    bool same = n == pw_mp_read_array(&s);
    for (size_t i = 0; same && i < n; i++) {
        same = pw_schema_equal(pw_mp_read_raw(&r), pw_mp_read_raw(&s));
    }
    return same;
}

static uint64_t mix(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
    }
    return h;
}

/* Equal values have equal hashes. */
static uint64_t hash(pw_view v)
{
    pw_mp r = pw_mp_reader(v.data, v.size);
    pawl_type type = pw_mp_peek(&r);
    uint64_t h = 0xcbf29ce484222325u;
    if (is_number(type)) {
        double d = (double)number(v) + 0.0; /* (no negative zero) */
        return mix(h, &d, sizeof d);
    }
    if (type == PAWL_MAP) {
        uint64_t sum = 1;
        for (size_t n = pw_mp_read_map(&r); n > 0; n--) {
            pw_view key = pw_mp_read_str(&r);
            sum += mix(hash(pw_mp_read_raw(&r)), key.data, key.size);
        }
        return sum;
    }
    if (type != PAWL_ARRAY) {
        return mix(h, v.data, v.size);
    }
    for (size_t n = pw_mp_read_array(&r); n > 0; n--) {
        uint64_t item = hash(pw_mp_read_raw(&r));
        h = mix(h, &item, sizeof item);
    }
    return h ^ 2;
}

typedef struct hashed {
    uint64_t hash;
    size_t index;
    pw_view v;
} hashed;

static int by_hash(const void *a, const void *b)
{
    const hashed *x = a, *y = b;
    return x->hash != y->hash    ? (x->hash < y->hash ? -1 : 1)
           : x->index < y->index ? -1
                                 : x->index > y->index;
}

static bool unique(const pw_at *at)
{
    pw_mp r = pw_mp_reader(at->in->v.data, at->in->v.size);
    size_t n = pw_mp_read_array(&r);
    hashed *all = pawl_scope_alloc(at->e->scope, (n + 1) * sizeof *all);
    if (all == NULL) {
        at->e->status = pw_err(at->e->err, PAWL_NOMEM, "out of memory");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        pw_view v = pw_mp_read_raw(&r);
        all[i] = (hashed){hash(v), i, v};
    }
    qsort(all, n, sizeof *all, by_hash);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n && all[k].hash == all[i].hash && pw_schema_step(at->e, 1);
             k++) {
            if (pw_schema_equal(all[i].v, all[k].v)) {
                return pw_schema_wrong(at, "uniqueItems", "items %zu and %zu are equal",
                                       all[i].index, all[k].index);
            }
        }
    }
    return true;
}

/* ---- types, listed values ---- */

static const char *name_of(pw_view v)
{
    switch (pw_schema_type(v)) {
    case PAWL_NIL:
        return "null";
    case PAWL_BOOL:
        return "boolean";
    case PAWL_INT:
    case PAWL_BIGINT:
        return "integer";
    case PAWL_DOUBLE:
        return is_integer(v) ? "integer" : "number";
    case PAWL_STRING:
    case PAWL_BYTES:
        return "string";
    case PAWL_ARRAY:
        return "array";
    case PAWL_MAP:
        return "object";
    }
    return "null";
}

static bool is_type(pw_view v, pw_view wanted)
{
    pw_mp r = pw_mp_reader(wanted.data, wanted.size);
    pw_view name = pw_mp_read_str(&r);
    return pw_view_is(name, name_of(v)) ||
           (pw_view_is(name, "number") && is_number(pw_schema_type(v)));
}

static bool type_holds(const pw_at *at, pw_view type)
{
    pw_mp r = pw_mp_reader(type.data, type.size);
    if (pw_mp_peek(&r) != PAWL_ARRAY) {
        pw_view name = pw_mp_read_str(&r);
        return is_type(at->in->v, type) ||
               pw_schema_wrong(at, "type", "must be %.*s, is %s", (int)name.size,
                               (const char *)name.data, name_of(at->in->v));
    }
    char names[160] = "";
    for (size_t n = pw_mp_read_array(&r); n > 0; n--) {
        pw_view one = pw_mp_read_raw(&r);
        if (is_type(at->in->v, one)) {
            return true;
        }
        size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "%s%s",
                       used > 0 ? (n > 1 ? ", " : " or ") : "", pw_schema_text(at->e->scope, one));
    }
    return pw_schema_wrong(at, "type", "must be %s, is %s", names, name_of(at->in->v));
}

static bool listed(const pw_at *at, pw_view list)
{
    pw_mp r = pw_mp_reader(list.data, list.size);
    char names[160] = "";
    size_t n = pw_mp_peek(&r) == PAWL_ARRAY ? pw_mp_read_array(&r) : 0;
    for (size_t i = 0; i < n && pw_schema_step(at->e, 1); i++) {
        pw_view one = pw_mp_read_raw(&r);
        if (pw_schema_equal(at->in->v, one)) {
            return true;
        }
        size_t used = strlen(names);
        const char *text =
            pawl_to_json(at->e->scope, pw_value_view(at->e->scope, one.data, one.size), 0);
        if (used + strlen(text != NULL ? text : "") + 8 < sizeof names) {
            (void)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "",
                           text != NULL ? text : "");
        }
    }
    return pw_schema_wrong(at, "enum", "must be one of %s", names);
}

static bool kinds(const pw_at *at)
{
    pw_view type = kw(at, PW_KW_TYPE), list = kw(at, PW_KW_ENUM), one = kw(at, PW_KW_CONST);
    bool ok = type.data == NULL || type_holds(at, type);
    ok = (list.data == NULL || listed(at, list)) && ok;
    if (one.data != NULL && !pw_schema_equal(at->in->v, one)) {
        const char *text =
            pawl_to_json(at->e->scope, pw_value_view(at->e->scope, one.data, one.size), 0);
        ok = pw_schema_wrong(at, "const", "must be %.150s", text != NULL ? text : "another value");
    }
    return ok;
}

/* ---- bounds ---- */

static bool numbers(const pw_at *at)
{
    static const struct {
        pw_keyword k;
        const char *name, *text;
        bool above, open;
    } bounds[] = {{PW_KW_MINIMUM, "minimum", "must be at least", false, false},
                  {PW_KW_MAXIMUM, "maximum", "must be at most", true, false},
                  {PW_KW_EXCLUSIVE_MINIMUM, "exclusiveMinimum", "must be more than", false, true},
                  {PW_KW_EXCLUSIVE_MAXIMUM, "exclusiveMaximum", "must be less than", true, true}};
    long double n = number(at->in->v);
    bool ok = true;
    for (size_t i = 0; i < PW_COUNT(bounds); i++) {
        pw_view bound = kw(at, bounds[i].k);
        if (bound.data == NULL) {
            continue;
        }
        long double b = number(bound);
        bool beyond =
            bounds[i].above ? (bounds[i].open ? n >= b : n > b) : (bounds[i].open ? n <= b : n < b);
        ok =
            !(beyond && !pw_schema_wrong(at, bounds[i].name, "%s %.15Lg", bounds[i].text, b)) && ok;
    }
    pw_view of = kw(at, PW_KW_MULTIPLE_OF);
    if (of.data != NULL && number(of) != 0 && !is_multiple(n, number(of))) {
        ok = pw_schema_wrong(at, "multipleOf", "must be a multiple of %.15Lg", number(of));
    }
    return ok;
}

typedef struct size_words {
    pw_keyword least, most;
    const char *min, *max, *what;
} size_words;

static bool sizes(const pw_at *at, const size_words *w, size_t n)
{
    pw_view min = kw(at, w->least), max = kw(at, w->most);
    bool ok = true;
    if (min.data != NULL && (long double)n < number(min)) {
        ok = pw_schema_wrong(at, w->min, "must have at least %.15Lg %s, has %zu", number(min),
                             w->what, n);
    }
    if (max.data != NULL && (long double)n > number(max)) {
        ok = pw_schema_wrong(at, w->max, "must have at most %.15Lg %s, has %zu", number(max),
                             w->what, n);
    }
    return ok;
}

static size_t characters(pw_view text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        n += (text.data[i] & 0xc0) != 0x80;
    }
    return n;
}

static bool texts(const pw_at *at)
{
    pw_mp r = pw_mp_reader(at->in->v.data, at->in->v.size);
    pw_view text = pw_mp_read_str(&r), pattern = kw(at, PW_KW_PATTERN),
            format = kw(at, PW_KW_FORMAT);
    static const size_words length = {PW_KW_MIN_LENGTH, PW_KW_MAX_LENGTH, "minLength", "maxLength",
                                      "characters"};
    bool ok = sizes(at, &length, characters(text));
    if (pattern.data != NULL) {
        pw_mp p = pw_mp_reader(pattern.data, pattern.size);
        if (!pw_schema_matches(at->e, pw_mp_read_str(&p), text)) {
            ok = pw_schema_wrong(at, "pattern", "must match %.150s",
                                 pw_schema_text(at->e->scope, pattern));
        }
    }
    if (format.data != NULL && at->e->options->formats) {
        const char *name = pw_schema_text(at->e->scope, format);
        if (!pw_schema_format(name, (const char *)text.data, text.size)) {
            ok = pw_schema_wrong(at, "format", "must be a valid %.100s", name);
        }
    }
    return ok;
}

/* ---- objects ---- */

static bool names_there(const pw_at *at, pw_view names, const char *keyword, const char *because)
{
    pw_mp r = pw_mp_reader(names.data, names.size);
    bool ok = true;
    pw_view unused;
    for (size_t n = pw_mp_peek(&r) == PAWL_ARRAY ? pw_mp_read_array(&r) : 0; n > 0; n--) {
        const char *name = pw_schema_text(at->e->scope, pw_mp_read_raw(&r));
        if (!pw_schema_get(at->in->v, name, &unused)) {
            ok = pw_schema_wrong(at, keyword, "lacks \"%.60s\"%s%.60s%s", name,
                                 because[0] != 0 ? ", which it needs since it has \"" : "", because,
                                 because[0] != 0 ? "\"" : "");
        }
    }
    return ok;
}

static bool depends(const pw_at *at, pw_view map, const char *keyword)
{
    pw_mp r = pw_mp_reader(map.data, map.size);
    bool ok = true;
    pw_view unused;
    for (size_t n = map.data != NULL && pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0; n > 0;
         n--) {
        pw_mp key = r;
        const char *name = pw_schema_text(at->e->scope, pw_mp_read_raw(&key));
        pw_mp_skip(&r);
        pw_view names = pw_mp_read_raw(&r);
        ok = (!pw_schema_get(at->in->v, name, &unused) || names_there(at, names, keyword, name)) &&
             ok;
    }
    return ok;
}

bool pw_schema_assert(const pw_at *at)
{
    static const size_words items = {PW_KW_MIN_ITEMS, PW_KW_MAX_ITEMS, "minItems", "maxItems",
                                     "items"};
    static const size_words properties = {PW_KW_MIN_PROPERTIES, PW_KW_MAX_PROPERTIES,
                                          "minProperties", "maxProperties", "properties"};
    bool ok = kinds(at);
    pw_view required = kw(at, PW_KW_REQUIRED), distinct = kw(at, PW_KW_UNIQUE_ITEMS);
    switch ((int)at->in->type) {
    case PAWL_INT:
    case PAWL_DOUBLE:
    case PAWL_BIGINT:
        return numbers(at) && ok;
    case PAWL_STRING:
        return texts(at) && ok;
    case PAWL_ARRAY: {
        pw_mp r = pw_mp_reader(distinct.data, distinct.size);
        ok = sizes(at, &items, pw_schema_count(at->in->v)) && ok;
        return (distinct.data == NULL || !pw_mp_read_bool(&r) || unique(at)) && ok;
    }
    case PAWL_MAP:
        ok = sizes(at, &properties, pw_schema_count(at->in->v)) && ok;
        ok = (required.data == NULL || names_there(at, required, "required", "")) && ok;
        ok = depends(at, kw(at, PW_KW_DEPENDENT_REQUIRED), "dependentRequired") && ok;
        return depends(at, kw(at, PW_KW_DEPENDENCIES), "dependencies") && ok;
    default:
        return ok;
    }
}
