/*
 * mp.h - reading and writing msgpack, bounded.
 *
 * The writer appends to a pw_buf with the shortest integer form. The reader is a cursor over bytes that trusts
 * nothing: a claimed count is never allocated, every read checks the end, and an error is sticky (`bad`), after which
 * every read returns zero values. Does not build trees and does not recurse.
 *
 * Extension types of ours: PW_EXT_BLOB (reference to a blob: 32-byte digest, u64 big-endian size), PW_EXT_BIGINT
 * (decimal text of an integer beyond int64), see sdk/base/README.md.
 */
#ifndef PW_MP_H
#define PW_MP_H

#include "sdk/base/buf.h"

#define PW_EXT_BLOB 1
#define PW_EXT_BIGINT 2

void pw_mp_nil(pw_buf *b);
void pw_mp_bool(pw_buf *b, bool v);
void pw_mp_int(pw_buf *b, int64_t v);
void pw_mp_uint(pw_buf *b, uint64_t v);
void pw_mp_double(pw_buf *b, double v);
void pw_mp_str(pw_buf *b, const char *text); /* NULL writes nil; as pw_mp_text */
/** What a person's code brings: each byte that is no UTF-8 becomes U+FFFD, for no door would let the value pass otherwise. */
void pw_mp_text(pw_buf *b, const char *text, size_t size);
void pw_mp_strn(pw_buf *b, const char *text, size_t size); /* known to be UTF-8 */
/** Bytes of the well-formed sequence at p; 0 when there is none. */
size_t pw_utf8_len(const uint8_t *p, size_t left);
void pw_mp_bin(pw_buf *b, const void *data, size_t size);
void pw_mp_array(pw_buf *b, size_t len);
void pw_mp_map(pw_buf *b, size_t pairs);
void pw_mp_ext(pw_buf *b, int type, const void *data, size_t size);
void pw_mp_value(pw_buf *b, const pawl_value *v); /* the value's bytes, nil for NULL */

typedef struct pw_mp {
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
} pw_mp;

typedef struct pw_view {
    const uint8_t *data;
    size_t size;
} pw_view;

pw_mp pw_mp_reader(const void *data, size_t size);
bool pw_mp_ok(const pw_mp *r);
bool pw_mp_at_end(const pw_mp *r);
/** Type of the next value without moving; PAWL_NIL when bad or at the end. An ext blob reads as PAWL_BYTES. */
pawl_type pw_mp_peek(const pw_mp *r);
bool pw_mp_read_nil(pw_mp *r); /* true and moves if the next is nil; else false and stays */
bool pw_mp_read_bool(pw_mp *r);
int64_t pw_mp_read_int(pw_mp *r);
uint64_t pw_mp_read_uint(pw_mp *r);
double pw_mp_read_double(pw_mp *r); /* accepts ints */
pw_view pw_mp_read_str(pw_mp *r);   /* str, bin or nil (empty view with NULL data) */
size_t pw_mp_read_array(
    pw_mp *r); /* 0 and bad when not an array, or when the count exceeds the bytes left */
size_t pw_mp_read_map(pw_mp *r);
/** The raw bytes of the next whole value, any type, moving past it (bounded depth PW_DEPTH_MAX, no recursion). */
pw_view pw_mp_read_raw(pw_mp *r);
void pw_mp_skip(pw_mp *r);
/** The value under a key of the map at r; false: no such key, no map, or not well formed as far as was looked. ret is written only on true. */
bool pw_mp_find(pw_mp *r, pw_view key, pw_view *ret);
/** The values under several keys of the map at r, in one pass: of a key that stands twice the first, of one that is not there {NULL, 0}. */
void pw_mp_pick(pw_mp *r, const pw_view *keys, size_t len, pw_view *ret);
/** True and fills if the next value is an ext of that type. Moves only when true. */
bool pw_mp_read_ext(pw_mp *r, int type, pw_view *ret_data);

/** Checks that bytes are exactly one well-formed value within PW_DEPTH_MAX, valid UTF-8 strings, string map keys. */
pawl_status pw_mp_check(const void *data, size_t size, pawl_error *err);
/** The same, of what somebody brings to be kept: a PW_EXT_BLOB is INVALID, for the engine would look it up. */
pawl_status pw_mp_check_given(const void *data, size_t size, pawl_error *err);

bool pw_view_eq(pw_view a, pw_view b);
bool pw_view_is(pw_view a, const char *text);

/** Well-formed UTF-8: no surrogates, nothing overlong. */
bool pw_utf8_ok(const void *data, size_t size);

#endif
