/*
 * pawl_value.h - statuses, errors and values: the vocabulary every other pawl header shares.
 *
 * A value is an immutable tree of nil, bool, int, double, string, bytes, array and map. It is msgpack inside and
 * JSON at every edge. Every value belongs to a scope and dies with it; a NULL value is nil, and every function
 * here accepts it. Inside a workflow the run is the scope, inside an activity the task is; a host makes its own.
 *
 * Owns: what these functions give belongs to the scope that they are given, or to that of the value they read; nothing is freed by itself.
 * Replay: yes, everything here, with the run's scope (pawl_run_scope).
 * Clean as C99 and C++11. Thread: a scope and its values belong to one thread at a time.
 */
#ifndef PAWL_VALUE_H
#define PAWL_VALUE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#ifndef PAWL_API /* a module has its own: pawl_module.h */
#define PAWL_API __attribute__((visibility("default")))
#endif
#define PAWL_MUST_USE __attribute__((warn_unused_result))
#define PAWL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PAWL_API
#define PAWL_MUST_USE
#define PAWL_PRINTF(fmt, args)
#endif

/** What a host call answered. The numbers are stable; sdk/base/status.def is the list with a text for each. */
typedef enum pawl_status {
    PAWL_OK = 0,
    PAWL_NOT = 1,
    PAWL_CONFLICT = 2,
    PAWL_FENCED = 3,
    PAWL_UNKNOWN = 4,
    PAWL_BUSY = 5,
    PAWL_NOTFOUND = 6,
    PAWL_EXISTS = 7,
    PAWL_CLOSED = 8,
    PAWL_STALE = 9,
    PAWL_MISUSE = 10,
    PAWL_INVALID = 11,
    PAWL_LIMIT = 12,
    PAWL_NOMEM = 13,
    PAWL_NOSPACE = 14,
    PAWL_IO = 15,
    PAWL_DAMAGED = 16,
    PAWL_FOREIGN = 17,
    PAWL_NEWER = 18,
    PAWL_READONLY = 19,
    PAWL_FORKED = 20,
    PAWL_TIMEOUT = 21,
    PAWL_CANCELED = 22,
    PAWL_FAILED = 23,
    PAWL_NOCODE = 24,
    PAWL_NONDETERMINISM = 25,
    PAWL_UNSUPPORTED = 26,
    PAWL_PARSE = 27,
    PAWL_ABI = 28,
    PAWL_SHUTDOWN = 29,
    PAWL_DENIED = 30,
    PAWL_FULL = 31,
    PAWL_TERMINATED = 32,
    PAWL_DONE = 33
} pawl_status;

/** Short lower-case name of a status ("notfound"). Owns: static. Thread: any. */
PAWL_API const char *pawl_status_name(pawl_status status);

/** One sentence for people. Owns: static. Thread: any. */
PAWL_API const char *pawl_status_text(pawl_status status);

/** Detail of a failed call, in the caller's storage. Filled only when a call does not return PAWL_OK. */
typedef struct pawl_error {
    pawl_status status;
    int line;          /**< where it was first raised */
    const char *file;  /**< static */
    char message[256]; /**< always NUL-terminated; context is prepended outward: "open x.db: ..." */
} pawl_error;

typedef struct pawl_value pawl_value;
typedef struct pawl_scope pawl_scope;

typedef enum pawl_type {
    PAWL_NIL = 0,
    PAWL_BOOL = 1,
    PAWL_INT = 2,
    PAWL_DOUBLE = 3,
    PAWL_STRING = 4,
    PAWL_BYTES = 5,
    PAWL_ARRAY = 6,
    PAWL_MAP = 7,
    PAWL_BIGINT = 8 /**< an integer beyond int64, kept as decimal text: pawl_str reads it */
} pawl_type;

/** A new, empty scope. NULL when out of memory. Owns: the caller, pawl_scope_free. */
PAWL_API pawl_scope *pawl_scope_new(void);

/** Frees the scope and every value in it. Accepts NULL. */
PAWL_API void pawl_scope_free(pawl_scope *scope);

/** Zeroed memory that lives as long as the scope. NULL when out of memory. */
PAWL_API void *pawl_scope_alloc(pawl_scope *scope, size_t size);

/* ---- reading: a path is "" (the value itself), "a.b.0.c", or a key that holds no dot; missing means nil ---- */

/** What kind of value it is; NULL is PAWL_NIL. */
PAWL_API pawl_type pawl_typeof(const pawl_value *v);
/** The value at path, or NULL (nil). Owns: the scope of v. */
PAWL_API const pawl_value *pawl_get(const pawl_value *v, const char *path);
/** Element i of an array, or value i of a map. */
PAWL_API const pawl_value *pawl_at(const pawl_value *v, size_t index);
/** Key i of a map (NUL-terminated), or NULL. */
PAWL_API const char *pawl_key_at(const pawl_value *v, size_t index);
/** Elements of an array, pairs of a map, bytes of a string; 0 for the rest. */
PAWL_API size_t pawl_len(const pawl_value *v);
/** Text at path, NUL-terminated; `otherwise` when missing or not a string. Owns: the scope of v. */
PAWL_API const char *pawl_str(const pawl_value *v, const char *path, const char *otherwise);
PAWL_API int64_t pawl_int(const pawl_value *v, const char *path, int64_t otherwise);
PAWL_API double pawl_num(const pawl_value *v, const char *path, double otherwise);
PAWL_API bool pawl_bool(const pawl_value *v, const char *path, bool otherwise);
/** True if the text at path equals `text`. */
PAWL_API bool pawl_is(const pawl_value *v, const char *path, const char *text);
/** Raw bytes of a string or bytes value at path; NULL when neither. *ret_size is written only on success. */
PAWL_API const void *pawl_data(const pawl_value *v, const char *path, size_t *ret_size);
/** True if both are the same value (1 and 1.0 differ; key order does not matter). */
PAWL_API bool pawl_equal(const pawl_value *a, const pawl_value *b);

/* ---- making ---- */

/**
 * Builds a value from a template that the compiler checks as printf is. The template is JSON in which keys need
 * no quotes and %s (text or NULL for nil), %d %i %u %ld %lu %lld %llu %zu, %f %g, %p (a value: write pawl_v(x)) stand for arguments;
 * bare words true, false, null are literals. "{pr: %s, n: %d, notes: %p}"
 * Owns: the scope. NULL (nil) when the template is malformed or memory is out.
 */
PAWL_API const pawl_value *pawl_build(pawl_scope *scope, const char *fmt, ...) PAWL_PRINTF(2, 3);
PAWL_API const pawl_value *pawl_vbuild(pawl_scope *scope, const char *fmt, va_list args)
    PAWL_PRINTF(2, 0);
/** For %p: hands a value to a template. */
static inline void *pawl_v(const pawl_value *v)
{
    union {
        const pawl_value *in;
        void *out;
    } u;
    u.in = v;
    return u.out;
}
/** Text is UTF-8: each byte that is none becomes U+FFFD, here, in pawl_json and wherever else a C string comes in. */
PAWL_API const pawl_value *pawl_make_str(pawl_scope *scope, const char *text);
PAWL_API const pawl_value *pawl_make_strn(pawl_scope *scope, const char *text, size_t size);
PAWL_API const pawl_value *pawl_make_bytes(pawl_scope *scope, const void *data, size_t size);
PAWL_API const pawl_value *pawl_make_int(pawl_scope *scope, int64_t n);
PAWL_API const pawl_value *pawl_make_num(pawl_scope *scope, double n);
PAWL_API const pawl_value *pawl_make_bool(pawl_scope *scope, bool b);
/** An array of the given values (nil allowed). */
PAWL_API const pawl_value *pawl_make_array(pawl_scope *scope, const pawl_value *const *items,
                                           size_t len);
/** A copy of `map` with key set to value (map may be nil). */
PAWL_API const pawl_value *pawl_with(pawl_scope *scope, const pawl_value *map, const char *key,
                                     const pawl_value *value);
/** A deep copy into another scope. */
PAWL_API const pawl_value *pawl_copy(pawl_scope *scope, const pawl_value *v);

/* ---- edges ---- */

/** Parses strict JSON (RFC 8259). Errors: PARSE with line and column, LIMIT. */
PAWL_API PAWL_MUST_USE pawl_status pawl_parse_json(pawl_scope *scope, const char *text, size_t size,
                                                   const pawl_value **ret_value, pawl_error *err);
/** JSON text of v, NUL-terminated; indent 0 is one line. NULL when out of memory. */
PAWL_API const char *pawl_to_json(pawl_scope *scope, const pawl_value *v, int indent);
/** The msgpack bytes of v (nil for NULL). Owns: the scope of v, or static. */
PAWL_API const void *pawl_to_msgpack(const pawl_value *v, size_t *ret_size);
/** Checks and copies msgpack bytes into a value. Errors: PARSE, LIMIT. */
PAWL_API PAWL_MUST_USE pawl_status pawl_from_msgpack(pawl_scope *scope, const void *data,
                                                     size_t size, const pawl_value **ret_value,
                                                     pawl_error *err);

/* ---- schemas ---- */

/** Does value fit a JSON Schema (2020-12 or draft 7; `$ref` reaches the schema itself and nothing else)? value NULL: only whether the schema is
 * one. Bounded in depth and work. Errors: INVALID (err->message: where, and what is wrong), LIMIT, NOMEM. Thread: any. Replay: yes. */
PAWL_API PAWL_MUST_USE pawl_status pawl_schema_check(const pawl_value *schema,
                                                     const pawl_value *value, pawl_error *err);

#ifdef __cplusplus
}
#endif
#endif
