/*
 * codepoint.h - what the tokenizer's normaliser makes of one code point: cleaning, decomposition without marks, lower case, and what stands alone.
 *
 * The tables (codepoint.def) are measured, not derived from a Unicode version: the reference mixes an old one (marks, punctuation) with a new one
 * (lower case). A Unicode library of any age disagrees with it on rare characters.
 */
#ifndef PW_EMBED_CODEPOINT_H
#define PW_EMBED_CODEPOINT_H

#include <stddef.h>
#include <stdint.h>

#define PW_LETTERS_MAX 3            /* one code point becomes at most so many */
#define PW_LETTER_POINT 0x1fffffu   /* the code point of a letter */
#define PW_LETTER_ALONE (1u << 21)  /* it is a word of its own */
#define PW_LETTER_SPACE 0xffffffffu /* the only letter: white space */

/** Writes the letters of a code point below 0x110000, returns how many: 0 when it is dropped. */
size_t pw_codepoint_letters(uint32_t point, uint32_t letters[PW_LETTERS_MAX]);

/** The letters that a syllable of Hangul is made of; 0 when it is none. */
size_t pw_codepoint_hangul(uint32_t point, uint32_t letters[PW_LETTERS_MAX]);

/** Reads one code point of at least one byte, returns the bytes it took; 0xfffd and 1 for a byte that begins no well-formed sequence. */
size_t pw_codepoint_read(const uint8_t *text, size_t size, uint32_t *ret_point);
/** Writes a code point as UTF-8, returns its bytes: 1 to 4. */
size_t pw_codepoint_write(uint32_t point, uint8_t text[4]);

#endif
