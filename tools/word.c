/*
 * word.c - which word was meant, when one was mistyped: the nearest by the letters that differ. Does not know what the words are of.
 */
#include "tools/word.h"

#include <string.h>

/* Edit distance with transposition, of short words; anything long is far. */
size_t pw_word_distance(const char *a, size_t a_size, const char *b)
{
    size_t b_size = strlen(b);
    size_t rows[3][PW_WORD_FAR + 1];
    if (a_size > PW_WORD_FAR || b_size > PW_WORD_FAR) {
        return PW_WORD_FAR;
    }
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    size_t *before = rows[2];
    size_t *last = rows[0];
    size_t *now = rows[1];
    for (size_t i = 1; i <= a_size; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best) {
                best = before[j - 2] + 1;
            }
            now[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b_size];
}

bool pw_word_is_near(size_t far, size_t size)
{
    return far <= 2 && far < size;
}

size_t pw_word_near(const char *word, const char *const *words, size_t len)
{
    size_t best = len, best_far = PW_WORD_FAR;
    for (size_t i = 0; i < len; i++) {
        size_t far = pw_word_distance(word, strlen(word), words[i]);
        if (far < best_far) {
            best_far = far;
            best = i;
        }
    }
    return pw_word_is_near(best_far, strlen(word)) ? best : len;
}
