/*
 * json.h - a one-pass, bounded transcoder between JSON text and msgpack. Never builds a tree.
 *
 * Strict is RFC 8259 and refuses duplicates of nothing but grammar: bad UTF-8, lone surrogates, NUL, numbers beyond
 * double, trailing bytes are errors with line and column. Lenient is for what models and tools send: NUL allowed, a lone
 * surrogate or bad UTF-8 becomes U+FFFD and is counted in notes. Both: integers beyond int64 become PW_EXT_BIGINT,
 * {"$bytes": "<base64>"} becomes bytes and back, NaN and Infinity are refused, key order kept, 1 and 1.0 differ.
 */
#ifndef PW_JSON_H
#define PW_JSON_H

#include "sdk/base/mp.h"

typedef enum pw_json_mode { PW_JSON_STRICT, PW_JSON_LENIENT } pw_json_mode;

typedef struct pw_json_notes {
    uint32_t replaced; /* characters that became U+FFFD */
    uint32_t bigints;
} pw_json_notes;

/** Appends one value to out. notes may be NULL. Errors: PARSE, LIMIT (depth, size), NOMEM. out is as before on error. */
pawl_status pw_json_parse(pw_buf *out, const char *text, size_t size, pw_json_mode mode,
                          pw_json_notes *notes, pawl_error *err);
/** Appends JSON text of one msgpack value. indent 0 = one line. Malformed bytes: PARSE. A blob reference prints {"$blob": "hex", "$size": n}. */
pawl_status pw_json_print(pw_buf *out, const void *data, size_t size, int indent, pawl_error *err);
/** Appends a JSON string literal, quotes included. */
void pw_json_quote(pw_buf *out, const char *text, size_t size);

#endif
