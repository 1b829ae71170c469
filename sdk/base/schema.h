/*
 * schema.h - JSON Schema, draft 2020-12 and draft 7, over msgpack values: bounded, without network.
 *
 *   pw_schemas *set = pw_schemas_new();
 *   pw_schemas_add(set, "", schema, &err);                      as many documents as refer to each other
 *   pw_schema_validate(set, "", value, &options, &report, &err) OK, INVALID (report says where), LIMIT, NOTFOUND (a reference)
 *
 * `$ref` and `$dynamicRef` reach what was added and nothing else. `format` is a note, unless options.formats asks for the common ones.
 * Bounded: depth, steps, regular expressions' work, bytes of a schema, errors told. Thread: one at a time for each set.
 */
#ifndef PW_SCHEMA_H
#define PW_SCHEMA_H

#include "sdk/base/value.h"

#define PW_SCHEMA_BYTES_MAX (1u << 20)
#define PW_SCHEMA_DEPTH_MAX 100
#define PW_SCHEMA_STEPS_MAX 2000000

typedef struct pw_schemas pw_schemas;

typedef struct pw_schema_options {
    bool
        formats; /* date-time, date, time, email, hostname, ipv4, ipv6, uri, uuid ... are checked */
    size_t errors_max; /* 0 = 20 */
    int64_t steps_max; /* 0 = PW_SCHEMA_STEPS_MAX */
} pw_schema_options;

/** What is wrong: [{at: "/items/3", keyword: "minimum", message: "must be at least 5"}], in the order it was found. */
typedef struct pw_schema_report {
    pawl_scope *scope;        /* given by the caller; errors live there */
    const pawl_value *errors; /* NULL = none */
} pw_schema_report;

pw_schemas *pw_schemas_new(void); /* NULL when out of memory */
void pw_schemas_free(pw_schemas *set);

/** Copies a schema and reads its ids, anchors and patterns. uri is where it is found, "" for one that is not referred to from elsewhere.
 * Errors: INVALID (not a schema: says where), EXISTS, LIMIT, NOMEM. */
pawl_status pw_schemas_add(pw_schemas *set, const char *uri, pw_view schema, pawl_error *err);

/** report may be NULL; err->message names the first violation. */
pawl_status pw_schema_validate(pw_schemas *set, const char *uri, pw_view value,
                               const pw_schema_options *options, pw_schema_report *report,
                               pawl_error *err);

/** Equal as JSON Schema has it: 1 and 1.0 are, and the order of keys does not count. */
bool pw_schema_equal(pw_view a, pw_view b);

#endif
