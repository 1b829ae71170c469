/*
 * cache_row.c - what both backends do with a kept result: its checksum, and a copy of it for the reader.
 *
 * Does not know how a key is made, nor when a result counts: engine/cache.c does.
 */
#include <string.h>

#include "journal/journal.h"
#include "journal/record_sum.h"

/* A row that was moved to another key, or made to last, is as damaged as one with a flipped bit. */
int64_t pw_cache_sum(const pw_cache_row *row)
{
    const int64_t places[] = {pw_record_sum(row->expires_ms, row->at_ms, row->cmd, row->run_id),
                              (int64_t)pw_checksum(row->key, sizeof row->key)};
    return pw_record_sum(places[0], places[1], 0, row->body);
}

pawl_status pw_cache_copy(pw_buf *body, const pw_cache_row *row, pw_cache_row *ret, pawl_error *err)
{
    const size_t before = body->size;
    pw_buf_put(body, row->body.data, row->body.size);
    pw_buf_put(body, row->run_id.data, row->run_id.size);
    if (!pw_buf_ok(body)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a kept result");
    }
    *ret = *row;
    const uint8_t *at = body->data != NULL ? body->data + before : (const uint8_t *)"";
    ret->body = (pw_view){at, row->body.size};
    ret->run_id = (pw_view){at + row->body.size, row->run_id.size};
    return PAWL_OK;
}
