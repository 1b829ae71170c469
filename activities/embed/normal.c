/*
 * normal.c - the steps of the normaliser one after the other, for tokenizers that leave some out: those of cased models. The lists are written by
 * tools/embed-facts.cjs. A list is searched for every letter: that is slower than the one table of the usual tokenizer (codepoint.c), and only beyond ASCII,
 * since wordpiece.c asks once for each byte of that. Does not cut text into words.
 */
#include "activities/embed/normal.h"

enum fact { CLEANED, WHITE, PUNCTUATION, CHINESE, MARK };
enum map { STRIPPED, LOWER };

#define KEY(kind, point) ((uint32_t)(kind) << 21 | (uint32_t)(point))

typedef struct range {
    uint32_t first;
    uint32_t last;
} range;

typedef struct change {
    uint32_t from;
    uint32_t to[PW_LETTERS_MAX]; /* 0: no more */
} change;

#define FACT(kind, first, last) {KEY(kind, first), KEY(kind, last)},
#define MAP(kind, ...)
static const range ranges[] = {
#include "activities/embed/facts.def"
};
#undef FACT
#undef MAP
#define FACT(kind, first, last)
#define MAP(kind, from, first, second, third) {KEY(kind, from), {first, second, third}},
static const change changes[] = {
#include "activities/embed/facts.def"
};

static bool is(enum fact fact, uint32_t point)
{
    const uint32_t key = KEY(fact, point);
    size_t low = 0, high = sizeof ranges / sizeof ranges[0];
    while (low < high) { /* the first range that does not end before it */
        const size_t middle = (low + high) / 2;
        if (ranges[middle].last < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < sizeof ranges / sizeof ranges[0] && ranges[low].first <= key;
}

static const change *change_of(enum map map, uint32_t point)
{
    const uint32_t key = KEY(map, point);
    size_t low = 0, high = sizeof changes / sizeof changes[0];
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (changes[middle].from < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < sizeof changes / sizeof changes[0] && changes[low].from == key ? &changes[low]
                                                                                : NULL;
}

/* Letters that a step makes of one. */
static size_t mapped(enum map map, uint32_t point, uint32_t letters[PW_LETTERS_MAX])
{
    const change *c = change_of(map, point);
    size_t len = 0;
    letters[0] = point;
    while (c != NULL && len < PW_LETTERS_MAX && c->to[len] != 0) {
        letters[len] = c->to[len];
        len++;
    }
    return c != NULL ? len : 1;
}

static size_t stripped(uint32_t point, uint32_t letters[PW_LETTERS_MAX])
{
    const size_t jamo = pw_codepoint_hangul(point, letters);
    return jamo > 0 ? jamo : is(MARK, point) ? 0 : mapped(STRIPPED, point, letters);
}

/* No code point becomes more than three letters, whichever switches are on: a test asks for all of them. */
static size_t lowered(const uint32_t *from, size_t len, uint32_t letters[PW_LETTERS_MAX])
{
    size_t all = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t some[PW_LETTERS_MAX];
        const size_t more = mapped(LOWER, from[i], some);
        for (size_t k = 0; k < more && all < PW_LETTERS_MAX; k++) {
            letters[all++] = some[k];
        }
    }
    return all;
}

size_t pw_normal_letters_slow(const pw_normal *n, uint32_t point, uint32_t letters[PW_LETTERS_MAX])
{
    uint32_t some[PW_LETTERS_MAX] = {point};
    size_t len = 1;
    if (n->clean && is(CLEANED, point)) {
        return 0;
    }
    const bool alone = n->chinese && is(CHINESE, point);
    len = n->strip ? stripped(point, some) : len;
    len = n->lower ? lowered(some, len, letters) : len;
    for (size_t i = 0; i < len; i++) {
        const uint32_t letter = n->lower ? letters[i] : some[i];
        letters[i] = is(WHITE, letter)                  ? PW_LETTER_SPACE
                     : alone || is(PUNCTUATION, letter) ? letter | PW_LETTER_ALONE
                                                        : letter;
    }
    return len;
}

size_t pw_normal_letters(const pw_normal *n, uint32_t point, uint32_t letters[PW_LETTERS_MAX])
{
    return n->clean && n->chinese && n->strip && n->lower
               ? pw_codepoint_letters(point, letters)
               : pw_normal_letters_slow(n, point, letters);
}
