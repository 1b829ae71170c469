/*
 * normal.h - the normaliser's switches, and what it makes of one code point under them.
 *
 *   text --clean--> --chinese--> --strip--> --lower--> letters        each step may be off; a tokenizer's file says which
 */
#ifndef PW_EMBED_NORMAL_H
#define PW_EMBED_NORMAL_H

#include <stdbool.h>

#include "activities/embed/codepoint.h"

typedef struct pw_normal {
    bool clean;   /* control characters are dropped */
    bool chinese; /* a Chinese character is a word of its own */
    bool strip;   /* accents are dropped */
    bool lower;   /* upper case becomes lower case */
} pw_normal;

/** The usual: all of them. */
#define PW_NORMAL_ALL ((pw_normal){true, true, true, true})

/** As pw_codepoint_letters, which is the fast one with all switches on. */
size_t pw_normal_letters(const pw_normal *n, uint32_t point, uint32_t letters[PW_LETTERS_MAX]);
/** Step by step, whatever the switches: what the fast one is compared with. */
size_t pw_normal_letters_slow(const pw_normal *n, uint32_t point, uint32_t letters[PW_LETTERS_MAX]);

#endif
