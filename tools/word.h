/*
 * word.h - which word was meant, when one was mistyped.
 */
#ifndef PW_WORD_H
#define PW_WORD_H

#include <stdbool.h>
#include <stddef.h>

#define PW_WORD_FAR 64 /* the distance of anything longer than that */

/** How many letters to put in, take out, change or swap with a neighbour, from the one to the other. */
size_t pw_word_distance(const char *a, size_t a_size, const char *b);
/** That far from a word of so many bytes is still a slip of the fingers. */
bool pw_word_is_near(size_t far, size_t size);
/** The one of so many words that was meant; len when none is near. */
size_t pw_word_near(const char *word, const char *const *words, size_t len);

#endif
