/*
 * llm_view.h - reading msgpack in place: fields of maps and elements of arrays, without a scope and without copies.
 *
 * A missing thing is the empty view {NULL, 0}, which every function takes. nil counts as missing.
 */
#ifndef PW_LLM_VIEW_H
#define PW_LLM_VIEW_H

#include "sdk/base/mp.h"

pw_view pw_view_of(const char *text);
pawl_type pw_view_type(pw_view v);
static inline bool pw_view_none(pw_view v)
{
    return v.data == NULL;
}
/** Bytes of a string (or of bytes); missing for anything else. Never NULL data for a string. */
pw_view pw_view_text(pw_view v);
bool pw_view_starts(pw_view text, const char *with);
/** True if `part` occurs in text, upper and lower case of ASCII alike. */
bool pw_view_has(pw_view text, const char *part);
/** Deepest nesting of containers, 0 for a scalar; INT_MAX when malformed. */
int pw_view_depth(pw_view v);

pw_view pw_field(pw_view map, const char *key);
pw_view pw_field_in(pw_view map, const char *outer, const char *key);
pw_view pw_field_text(pw_view map, const char *key);
bool pw_field_is(pw_view map, const char *key, const char *text);
int64_t pw_field_int(pw_view map, const char *key, int64_t otherwise);
/** A count of tokens: 0 when nothing is said, PW_TOKENS_NONE when what is said can be none. Sums of a few of those stay below 0. */
#define PW_TOKENS_NONE (-(INT64_C(1) << 60))
int64_t pw_field_tokens(pw_view map, const char *key);
bool pw_field_bool(pw_view map, const char *key, bool otherwise);
/** Copies text into `ret`, cut at a whole UTF-8 character, always terminated; NUL and control characters become spaces. */
void pw_view_copy(char *ret, size_t size, pw_view text);

/** Walks an array, or a map with its keys. Anything else is empty. */
typedef struct pw_each {
    pw_mp r;
    size_t left;
    size_t index; /* of the value, from 0 */
    bool map;
    pw_view key;
    pw_view value;
} pw_each;
pw_each pw_each_of(pw_view v);
bool pw_each_next(pw_each *each);

#endif
