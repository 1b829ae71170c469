/*
 * map_page.h - the bytes of a map's page rows: what became of its items, in fixed ranges of item numbers.
 *
 *   page p >= 0   items p*256 .. p*256+255, in parts that together name each finished item once:
 *     head          32 bytes: a bit per finished item | 32 bytes: a bit per failed one
 *     body          offset, attempt, value | offset, attempt, value | ...   msgpack, in the order they ended
 *   page -1, part 0   items under way that are more than "not begun": head only
 *     head          [base, index, attempt, sent, due_ms, index, attempt, sent, due_ms, ...], indexes ascending
 *
 * A head tells recovery all it needs; bodies are read for results. attempts of a map begin behind base: 0, or the highest attempt of
 * the map before its run was retried. A row has two checksums, so that a head can be trusted without its body.
 * Does not know where a page is kept, nor what an item's value means.
 */
#ifndef PW_MAP_PAGE_H
#define PW_MAP_PAGE_H

#include "journal/journal.h"
#include "sdk/base/mp.h"

enum {
    PW_MAP_PAGE_ITEMS = 256,
    PW_MAP_BITS_BYTES = PW_MAP_PAGE_ITEMS / 8,
    PW_MAP_HEAD_BYTES = 2 * PW_MAP_BITS_BYTES,
    PW_MAP_PAGE_OPEN = -1
};

typedef struct pw_page_head {
    uint8_t finished[PW_MAP_BITS_BYTES];
    uint8_t failed[PW_MAP_BITS_BYTES];
} pw_page_head;

static inline bool pw_page_bit(const uint8_t *bits, int64_t offset)
{
    return (bits[offset / 8] >> (offset % 8) & 1) != 0;
}
static inline void pw_page_set(uint8_t *bits, int64_t offset)
{
    bits[offset / 8] = (uint8_t)(bits[offset / 8] | 1u << (offset % 8));
}
int64_t pw_page_count(const uint8_t *bits);
/** False when the head is not one. */
bool pw_page_head_read(pw_view head, pw_page_head *ret);

/** An item of a body. */
typedef struct pw_page_item {
    int64_t offset; /* in its page */
    int64_t attempt;
    pw_view value; /* result or failure, msgpack; may be a reference to a blob */
} pw_page_item;
void pw_page_item_put(pw_buf *body, const pw_page_item *item);
/** The next item of a body; false at the end, or when it is damaged (then body->bad). */
bool pw_page_item_next(pw_mp *body, pw_page_item *ret);

/** An item under way, of the page of those. */
typedef struct pw_open_item {
    int64_t index;
    int64_t attempt;
    bool sent;
    int64_t due_ms;
} pw_open_item;
/** Head of the open page, begun with the number of items that follow. */
void pw_open_begin(pw_buf *head, int64_t base, size_t items);
void pw_open_put(pw_buf *head, const pw_open_item *item);
/** How many items follow, and where attempts begin. False when it is not such a head. */
bool pw_open_read(pw_mp *head, int64_t *ret_base, size_t *ret_items);
bool pw_open_next(pw_mp *head, pw_open_item *ret);

/** The checksums of a row: over its body, and over its place, its head and that. */
int64_t pw_page_body_sum(pw_view body);
int64_t pw_page_sum(const pw_page_row *row, int64_t body_sum);
/** DAMAGED, naming the page. */
pawl_status pw_page_damaged(const pw_page_row *row, pawl_error *err);
/** Why a page and its items do not agree; NULL when they do. Adds its items to seen[], of the page, which must not have them yet. */
const char *pw_page_fault(const pw_page_row *row, uint8_t seen[PW_MAP_BITS_BYTES],
                          int64_t *ret_done, int64_t *ret_failed);

#endif
