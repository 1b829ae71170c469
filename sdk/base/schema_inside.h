/*
 * schema_inside.h - what the files of the schema validator share.
 *
 *   schema_doc.c     documents, their ids and anchors, where a reference leads, compiled patterns
 *   schema.c         the walk: one schema against one instance, references, combinations
 *   schema_apply.c   what objects and arrays hold
 *   schema_assert.c  what is said of one value alone; equality
 *   schema_format.c  the common formats
 */
#ifndef PW_SCHEMA_INSIDE_H
#define PW_SCHEMA_INSIDE_H

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/schema.h"

typedef enum pw_keyword {
#define X(name, text, holds, draft, vocabulary) PW_KW_##name,
#include "sdk/base/schema_keywords.def"
#undef X
    PW_KW_COUNT
} pw_keyword;

/** A schema with an identity of its own: references inside it are resolved against its URI. */
typedef struct pw_resource {
    struct pw_resource *next;
    const char *uri;
    pw_view root;
    bool draft7;
    bool no_assert; /* its meta-schema leaves validation out */
} pw_resource;

/** A schema, and the resource it stands in. */
typedef struct pw_node {
    pw_view v;
    const pw_resource *res;
} pw_node;

struct pw_schemas {
    pawl_scope *scope;
    pw_resource *resources;
    struct pw_anchor *anchors;
    struct pw_pattern *patterns;
    bool tracks; /* some schema asks what was not evaluated */
};

/** The keywords of one schema object; data NULL = it is not there. */
typedef struct pw_keywords {
    pw_view of[PW_KW_COUNT];
} pw_keywords;

/** A value, and how it was reached. */
typedef struct pw_instance {
    pw_view v;
    pawl_type type;
    const struct pw_instance *up;
    pw_view key;  /* in an object */
    size_t index; /* in an array */
} pw_instance;

/** Which resources the walk has come through: $dynamicRef looks there. */
typedef struct pw_frame {
    const pw_resource *res;
    const struct pw_frame *up;
} pw_frame;

/** What of one instance has been evaluated: a byte for each of its items or pairs. NULL = nobody asks. */
typedef struct pw_seen {
    uint8_t *of;
    size_t len;
} pw_seen;

typedef struct pw_eval {
    pw_schemas *set;
    pawl_scope *scope; /* for as long as the validation lasts */
    const pw_schema_options *options;
    pw_schema_report *report;
    pawl_error *err;
    pawl_status status; /* not OK: it cannot go on */
    int64_t steps;
    int depth;
    int muted; /* what does not hold is no error: anyOf, not, if ... */
    size_t errors;
} pw_eval;

/** One schema against one instance. */
typedef struct pw_at {
    pw_eval *e;
    const pw_keywords *kw;
    const pw_resource *res;
    const pw_frame *frame;
    const pw_instance *in;
    pw_seen *seen;
} pw_at;

/* schema_doc.c */
/** The text of a string, NUL-terminated; "" when it is none or there is no memory. */
const char *pw_schema_text(pawl_scope *scope, pw_view v);
void pw_schema_keywords(pw_view schema, const pw_resource *res, pw_keywords *ret);
bool pw_schema_get(pw_view map, const char *key, pw_view *ret);
const pw_resource *pw_schema_resource(const pw_schemas *set, const char *uri);
/** False: it leads nowhere. *ret_dynamic: it led to a dynamic anchor. */
bool pw_schema_resolve(pw_eval *e, const pw_resource *from, const char *ref, pw_node *ret,
                       bool *ret_dynamic);
bool pw_schema_anchor(const pw_schemas *set, const char *uri, const char *name, bool dynamic,
                      pw_node *ret);
/** As an unanchored search. False also when the bounds of matching are reached (then e->status says so). */
bool pw_schema_matches(pw_eval *e, pw_view pattern, pw_view text);

/* schema.c */
bool pw_schema_eval(pw_eval *e, const pw_node *node, const pw_frame *frame, const pw_instance *in,
                    pw_seen *seen);
/** A schema for what an instance holds. */
bool pw_schema_child(const pw_at *at, pw_view schema, const pw_instance *in);
/** Says what does not hold, unless muted. Always false. */
bool pw_schema_wrong(const pw_at *at, const char *keyword, const char *fmt, ...) PAWL_PRINTF(3, 4);
bool pw_schema_step(pw_eval *e, int64_t steps); /* false: too many */
pawl_type pw_schema_type(pw_view v);
size_t pw_schema_count(pw_view v); /* of an array or object */

/* schema_apply.c, schema_assert.c, schema_format.c */
bool pw_schema_apply_object(const pw_at *at);
bool pw_schema_apply_array(const pw_at *at);
bool pw_schema_unevaluated(const pw_at *at);
bool pw_schema_assert(const pw_at *at);
bool pw_schema_format(const char *format, const char *text,
                      size_t size); /* an unknown format holds */

#endif
