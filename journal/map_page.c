/*
 * map_page.c - reading, writing and checking the bytes of a map's page rows (map_page.h).
 *
 * Every read is bounded by the bytes given: a damaged page gives false or a reason, never more. Does not touch a store.
 */
#include "journal/map_page.h"

#include <endian.h>
#include <string.h>

#include "sdk/base/hash.h"

int64_t pw_page_count(const uint8_t *bits)
{
    int64_t n = 0;
    for (size_t i = 0; i < PW_MAP_BITS_BYTES; i++) {
        n += __builtin_popcount(bits[i]);
    }
    return n;
}

bool pw_page_head_read(pw_view head, pw_page_head *ret)
{
    if (head.size != PW_MAP_HEAD_BYTES) {
        return false;
    }
    memcpy(ret->finished, head.data, PW_MAP_BITS_BYTES);
    memcpy(ret->failed, head.data + PW_MAP_BITS_BYTES, PW_MAP_BITS_BYTES);
    return true;
}

void pw_page_item_put(pw_buf *body, const pw_page_item *item)
{
    pw_mp_int(body, item->offset);
    pw_mp_int(body, item->attempt);
    pw_buf_put(body, item->value.data, item->value.size);
}

bool pw_page_item_next(pw_mp *body, pw_page_item *ret)
{
    if (!pw_mp_ok(body) || pw_mp_at_end(body)) {
        return false;
    }
    ret->offset = pw_mp_read_int(body);
    ret->attempt = pw_mp_read_int(body);
    ret->value = pw_mp_read_raw(body);
    if (ret->offset < 0 || ret->offset >= PW_MAP_PAGE_ITEMS || ret->value.size == 0) {
        body->bad = true;
    }
    return pw_mp_ok(body);
}

/* ---- items under way ---- */

enum { OPEN_FIELDS = 4 };

void pw_open_begin(pw_buf *head, int64_t base, size_t items)
{
    pw_mp_array(head, 1 + items * OPEN_FIELDS);
    pw_mp_int(head, base);
}

void pw_open_put(pw_buf *head, const pw_open_item *item)
{
    pw_mp_int(head, item->index);
    pw_mp_int(head, item->attempt);
    pw_mp_bool(head, item->sent);
    pw_mp_int(head, item->due_ms);
}

bool pw_open_read(pw_mp *head, int64_t *ret_base, size_t *ret_items)
{
    size_t n = pw_mp_read_array(head);
    if (n % OPEN_FIELDS != 1) {
        head->bad = true;
    }
    *ret_base = pw_mp_read_int(head);
    *ret_items = n / OPEN_FIELDS;
    return pw_mp_ok(head);
}

bool pw_open_next(pw_mp *head, pw_open_item *ret)
{
    if (!pw_mp_ok(head) || pw_mp_at_end(head)) {
        return false;
    }
    ret->index = pw_mp_read_int(head);
    ret->attempt = pw_mp_read_int(head);
    ret->sent = pw_mp_read_bool(head);
    ret->due_ms = pw_mp_read_int(head);
    return pw_mp_ok(head);
}

/* ---- checking ---- */

int64_t pw_page_body_sum(pw_view body)
{
    return (int64_t)pw_checksum(body.data, body.size);
}

int64_t pw_page_sum(const pw_page_row *row, int64_t body_sum)
{
    uint64_t place[5] = {htole64((uint64_t)row->run), htole64((uint64_t)row->cmd),
                         htole64((uint64_t)row->page), htole64((uint64_t)row->part),
                         htole64((uint64_t)body_sum)};
    return (int64_t)(pw_checksum(row->head.data, row->head.size) ^
                     (pw_checksum(place, sizeof place) * 0x9e3779b97f4a7c15u));
}

pawl_status pw_page_damaged(const pw_page_row *row, pawl_error *err)
{
    return pw_err(
        err, PAWL_DAMAGED, "page %lld.%lld of map %lld of run %lld does not match its checksum",
        (long long)row->page, (long long)row->part, (long long)row->cmd, (long long)row->run);
}

static const char *open_fault(const pw_page_row *row)
{
    pw_mp head = pw_mp_reader(row->head.data, row->head.size);
    int64_t base = 0, before = -1;
    size_t items;
    pw_open_item item;
    bool ok =
        row->part == 0 && row->body.size == 0 && pw_open_read(&head, &base, &items) && base >= 0;
    while (ok && pw_open_next(&head, &item)) {
        ok = item.index > before && item.attempt > 0;
        before = item.index;
    }
    return ok && pw_mp_ok(&head) && pw_mp_at_end(&head) ? NULL
                                                        : "its items under way are not well formed";
}

const char *pw_page_fault(const pw_page_row *row, uint8_t seen[PW_MAP_BITS_BYTES],
                          int64_t *ret_done, int64_t *ret_failed)
{
    pw_page_head head;
    uint8_t here[PW_MAP_BITS_BYTES] = {0};
    *ret_done = *ret_failed = 0;
    if (row->page == PW_MAP_PAGE_OPEN) {
        return open_fault(row);
    }
    if (row->page < 0 || !pw_page_head_read(row->head, &head)) {
        return "its head is not well formed";
    }
    pw_mp body = pw_mp_reader(row->body.data, row->body.size);
    pw_page_item item;
    while (pw_page_item_next(&body, &item)) {
        if (pw_page_bit(seen, item.offset)) {
            return "an item ended twice";
        }
        pw_page_set(seen, item.offset);
        pw_page_set(here, item.offset);
        int64_t *n = pw_page_bit(head.failed, item.offset) ? ret_failed : ret_done;
        ++*n;
    }
    if (body.bad) {
        return "its items are not well formed";
    }
    bool same =
        memcmp(here, head.finished, sizeof here) == 0 && pw_page_count(head.failed) == *ret_failed;
    return same ? NULL : "its head names other items than its body";
}
