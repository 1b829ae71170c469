/*
 * amounts.h - so much of each unit (units.def): what an attempt may use, what it used, what a budget allows.
 *
 * As a value: {usd: 0.25, calls: 3}; what is not named is 0. Limits: {usd: 2, tokens: {soft: 8000, hard: 10000}}; what is not named has none.
 * Sums saturate: an amount never overflows into a small one.
 */
#ifndef PW_AMOUNTS_H
#define PW_AMOUNTS_H

#include "sdk/base/mp.h"
#include "sdk/base/units.def"

typedef enum pw_unit {
#define U(name, key) PW_UNIT_##name,
    PW_UNITS_LIST(U)
#undef U
        PW_UNITS
} pw_unit;

typedef struct pw_amounts {
    int64_t n[PW_UNITS];
} pw_amounts;

#define PW_AMOUNT_MAX \
    INT64_C(10000000000000) /* ten million dollars: a million such amounts can be added */
#define PW_NO_LIMIT (-1)
typedef struct pw_limits {
    pw_amounts soft, hard; /* PW_NO_LIMIT = none */
} pw_limits;

const char *pw_unit_key(pw_unit unit);
/** What may stand beside amounts where it is said what was spent: model, unpriced, unknown. NULL-terminated. */
extern const char *const pw_spent_beside[];
/** PW_UNITS when there is none of that name. */
pw_unit pw_unit_named(pw_view key);

/** Reads a map of amounts. usd is rounded up to a micro-dollar; tokens, unless named, are input + output. Keys of `others` (NULL-terminated; NULL =
 * none) are somebody else's. Errors: INVALID, which names the key. nil is all zero. */
pawl_status pw_amounts_read(pw_view map, const char *const *others, pw_amounts *ret,
                            pawl_error *err);
/** Reads a map of limits. A number is the hard one. Errors: as above. nil has none. */
pawl_status pw_limits_read(pw_view map, const char *const *others, pw_limits *ret, pawl_error *err);
pw_limits pw_limits_none(void);

void pw_amounts_add(pw_amounts *sum, const pw_amounts *more);
/** sum - less, not below 0. */
void pw_amounts_sub(pw_amounts *sum, const pw_amounts *less);
int64_t pw_sum(int64_t a, int64_t b);
bool pw_amounts_none(const pw_amounts *a);

/** Appends a map of what is not 0; with limits: of what has one. */
void pw_amounts_put(pw_buf *b, const pw_amounts *a);
void pw_amounts_put_limits(pw_buf *b, const pw_amounts *a);
/** One amount as its unit is written: dollars, or a whole number. */
void pw_amount_put(pw_buf *b, pw_unit unit, int64_t n);
/** "0.25 usd", "3 calls": for people. */
void pw_amount_text(pw_unit unit, int64_t n, char *ret, size_t size);

#endif
