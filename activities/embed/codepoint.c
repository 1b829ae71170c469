/*
 * codepoint.c - the normaliser's tables and how they are read. The tables are written by tools/embed-tables; nothing here knows why a code point
 * is in them.
 */
#include "activities/embed/codepoint.h"

#include "sdk/base/mp.h"

#define ROW_POINTS 128u
#define POOL_LAST (1u << 22)
#define HANGUL_FIRST 0xac00u
#define HANGUL_LAST 0xd7a3u

enum cell { CELL_KEPT, CELL_REMOVED, CELL_SPACE, CELL_ALONE, CELL_HANGUL, CELL_MAPPED = 8 };

#define CODEPOINT_INDEX(...) __VA_ARGS__,
#define CODEPOINT_ROW(...)
#define CODEPOINT_POOL(...)
static const uint16_t row_of_block[] = {
#include "activities/embed/codepoint.def"
};
#undef CODEPOINT_INDEX
#undef CODEPOINT_ROW
#define CODEPOINT_INDEX(...)
#define CODEPOINT_ROW(...) __VA_ARGS__,
static const uint16_t cells[] = {
#include "activities/embed/codepoint.def"
};
#undef CODEPOINT_ROW
#undef CODEPOINT_POOL
#define CODEPOINT_ROW(...)
#define CODEPOINT_POOL(...) __VA_ARGS__,
static const uint32_t pool[] = {
#include "activities/embed/codepoint.def"
};

_Static_assert(sizeof row_of_block / sizeof row_of_block[0] == 0x110000u / ROW_POINTS,
               "a row for every block");

/* Unicode 3.12: a syllable is a leading consonant, a vowel and maybe a trailing consonant. */
size_t pw_codepoint_hangul(uint32_t point, uint32_t letters[PW_LETTERS_MAX])
{
    if (point < HANGUL_FIRST || point > HANGUL_LAST) {
        return 0;
    }
    const uint32_t syllable = point - HANGUL_FIRST;
    const uint32_t tail = syllable % 28;
    letters[0] = 0x1100 + syllable / 588;
    letters[1] = 0x1161 + syllable % 588 / 28;
    letters[2] = 0x11a7 + tail;
    return tail > 0 ? 3 : 2;
}

static size_t mapped_letters(const uint32_t *from, uint32_t letters[PW_LETTERS_MAX])
{
    size_t len = 0;
    do {
        letters[len] = from[len] & ~POOL_LAST;
        len++;
    } while (len < PW_LETTERS_MAX && (from[len - 1] & POOL_LAST) == 0);
    return len;
}

size_t pw_codepoint_letters(uint32_t point, uint32_t letters[PW_LETTERS_MAX])
{
    const size_t row = row_of_block[point / ROW_POINTS];
    const unsigned cell = cells[row * ROW_POINTS + point % ROW_POINTS];
    letters[0] = point;
    switch (cell) {
    case CELL_KEPT:
        return 1;
    case CELL_REMOVED:
        return 0;
    case CELL_SPACE:
        letters[0] = PW_LETTER_SPACE;
        return 1;
    case CELL_ALONE:
        letters[0] |= PW_LETTER_ALONE;
        return 1;
    case CELL_HANGUL:
        return pw_codepoint_hangul(point, letters);
    default:
        return mapped_letters(pool + (cell - CELL_MAPPED), letters);
    }
}

size_t pw_codepoint_read(const uint8_t *text, size_t size, uint32_t *ret_point)
{
    static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const size_t len = pw_utf8_len(text, size);
    *ret_point = 0xfffd;
    if (len == 0) {
        return 1;
    }
    uint32_t point = text[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++) {
        point = point << 6 | (text[i] & 0x3fu);
    }
    *ret_point = point;
    return len;
}

size_t pw_codepoint_write(uint32_t point, uint8_t text[4])
{
    if (point < 0x80) {
        text[0] = (uint8_t)point;
        return 1;
    }
    const size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        text[i] = (uint8_t)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    text[0] = (uint8_t)((0xf00u >> len & 0xffu) | point);
    return len;
}
