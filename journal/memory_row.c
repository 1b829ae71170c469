/*
 * memory_row.c - rows of the journal in memory as keys and msgpack values.
 *
 * Decoded views point into the stored value. Does not check more than that the value is whole:
 * nothing but our own encoder writes it.
 */
#include "journal/memory_row.h"
#include "journal/map_page.h"

#include <string.h>

/* ---- keys ---- */

void pw_row_key_start(pw_row_key *k, pw_table table)
{
    k->data[0] = (uint8_t)table;
    k->size = 1;
    k->whole = true;
}

void pw_row_key_bytes(pw_row_key *k, const void *data, size_t size)
{
    if (size > PW_ROW_KEY_BYTES - k->size) {
        size = PW_ROW_KEY_BYTES - k->size;
        k->whole = false;
    }
    if (size > 0) {
        memcpy(k->data + k->size, data, size);
    }
    k->size += size;
}

void pw_row_key_int(pw_row_key *k, int64_t v)
{
    uint64_t u = (uint64_t)v ^ (1ull << 63);
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(u >> (56 - 8 * i));
    }
    pw_row_key_bytes(k, bytes, sizeof(bytes));
}

pw_row_key pw_row_key_ints(pw_table table, const int64_t *ints, size_t len)
{
    pw_row_key k;
    pw_row_key_start(&k, table);
    for (size_t i = 0; i < len; i++) {
        pw_row_key_int(&k, ints[i]);
    }
    return k;
}

pw_view pw_row_key_view(const pw_row_key *k)
{
    return (pw_view){k->data, k->size};
}

pawl_status pw_memory_row_put(pw_memory_store *s, const pw_row_key *key, pw_buf *value,
                              pawl_error *err)
{
    const bool ok = key->whole && pw_buf_ok(value) &&
                    pw_kv_put(s->kv, pw_row_key_view(key), (pw_view){value->data, value->size});
    pw_buf_deinit(value);
    return ok ? PAWL_OK
           : key->whole
               ? pw_err(err, PAWL_NOMEM, "out of memory")
               : pw_err(err, PAWL_LIMIT, "a key is longer than %d bytes", PW_ROW_KEY_BYTES);
}

pawl_status pw_memory_row_drop(pw_memory_store *s, const pw_row_key *key, pawl_error *err)
{
    return pw_kv_delete(s->kv, pw_row_key_view(key), NULL)
               ? PAWL_OK
               : pw_err(err, PAWL_NOMEM, "out of memory");
}

int64_t pw_row_key_get(pw_view key, size_t n)
{
    uint64_t u = 0;
    for (size_t i = 0; i < 8; i++) {
        u = u << 8 | key.data[1 + 8 * n + i];
    }
    return (int64_t)(u ^ (1ull << 63));
}

/* ---- values ---- */

static void put_view(pw_buf *b, pw_view v)
{
    pw_mp_bin(b, v.data, v.size);
}

void pw_row_put_run(pw_buf *b, const pw_run_row *r)
{
    pw_mp_array(b, 23);
    pw_mp_int(b, r->key);
    put_view(b, r->id);
    put_view(b, r->workflow);
    put_view(b, r->version);
    put_view(b, r->traceparent);
    pw_mp_int(b, r->created_ms);
    pw_mp_int(b, r->parent_key);
    pw_mp_int(b, r->parent_cmd);
    pw_mp_int(b, r->prev_key);
    pw_mp_int(b, r->parent_policy);
    pw_mp_int(b, r->status);
    pw_mp_int(b, r->seq);
    pw_mp_bin(b, r->chain, sizeof(r->chain));
    pw_mp_int(b, r->updated_ms);
    pw_mp_int(b, r->closed_ms);
    put_view(b, r->waiting);
    put_view(b, r->reason);
    pw_mp_int(b, r->progress_done);
    pw_mp_int(b, r->progress_total);
    put_view(b, r->progress_text);
    pw_mp_int(b, r->unread);
    pw_mp_int(b, r->crashes);
    pw_mp_uint(b, r->build);
}

bool pw_row_get_run(pw_view value, pw_run_row *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->key = pw_mp_read_int(&r);
    ret->id = pw_mp_read_str(&r);
    ret->workflow = pw_mp_read_str(&r);
    ret->version = pw_mp_read_str(&r);
    ret->traceparent = pw_mp_read_str(&r);
    ret->created_ms = pw_mp_read_int(&r);
    ret->parent_key = pw_mp_read_int(&r);
    ret->parent_cmd = pw_mp_read_int(&r);
    ret->prev_key = pw_mp_read_int(&r);
    ret->parent_policy = (int)pw_mp_read_int(&r);
    ret->status = (int)pw_mp_read_int(&r);
    ret->seq = pw_mp_read_int(&r);
    pw_view chain = pw_mp_read_str(&r);
    if (chain.size == PW_DIGEST_SIZE) {
        memcpy(ret->chain, chain.data, PW_DIGEST_SIZE);
    }
    ret->updated_ms = pw_mp_read_int(&r);
    ret->closed_ms = pw_mp_read_int(&r);
    ret->waiting = pw_mp_read_str(&r);
    ret->reason = pw_mp_read_str(&r);
    ret->progress_done = pw_mp_read_int(&r);
    ret->progress_total = pw_mp_read_int(&r);
    ret->progress_text = pw_mp_read_str(&r);
    ret->unread = pw_mp_read_int(&r);
    ret->crashes = pw_mp_read_int(&r);
    ret->build = pw_mp_read_uint(&r);
    return pw_mp_ok(&r) && chain.size == PW_DIGEST_SIZE;
}

void pw_row_put_task(pw_buf *b, const pw_task_row *t)
{
    pw_mp_array(b, 12);
    pw_mp_int(b, t->run);
    pw_mp_int(b, t->cmd);
    pw_mp_int(b, t->attempt);
    pw_mp_int(b, t->state);
    pw_mp_int(b, t->due_ms);
    pw_mp_int(b, t->scheduled_ms);
    put_view(b, t->name);
    put_view(b, t->queue);
    pw_mp_int(b, t->priority);
    put_view(b, t->detail);
    put_view(b, t->failure);
    put_view(b, t->body);
}

bool pw_row_get_task(pw_view value, pw_task_row *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->run = pw_mp_read_int(&r);
    ret->cmd = pw_mp_read_int(&r);
    ret->attempt = pw_mp_read_int(&r);
    ret->state = (int)pw_mp_read_int(&r);
    ret->due_ms = pw_mp_read_int(&r);
    ret->scheduled_ms = pw_mp_read_int(&r);
    ret->name = pw_mp_read_str(&r);
    ret->queue = pw_mp_read_str(&r);
    ret->priority = pw_mp_read_int(&r);
    ret->detail = pw_mp_read_str(&r);
    ret->failure = pw_mp_read_str(&r);
    ret->body = pw_mp_read_str(&r);
    return pw_mp_ok(&r);
}

void pw_row_put_wait(pw_buf *b, const pw_wait_row *w)
{
    pw_mp_array(b, 7);
    pw_mp_int(b, w->run);
    pw_mp_int(b, w->cmd);
    put_view(b, w->name);
    put_view(b, w->kind);
    pw_mp_int(b, w->created_ms);
    pw_mp_int(b, w->deadline_ms);
    put_view(b, w->body);
}

bool pw_row_get_wait(pw_view value, pw_wait_row *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->run = pw_mp_read_int(&r);
    ret->cmd = pw_mp_read_int(&r);
    ret->name = pw_mp_read_str(&r);
    ret->kind = pw_mp_read_str(&r);
    ret->created_ms = pw_mp_read_int(&r);
    ret->deadline_ms = pw_mp_read_int(&r);
    ret->body = pw_mp_read_str(&r);
    return pw_mp_ok(&r);
}

void pw_row_put_map(pw_buf *b, const pw_map_row *m)
{
    pw_mp_array(b, 6);
    pw_mp_int(b, m->run);
    pw_mp_int(b, m->cmd);
    pw_mp_int(b, m->total);
    pw_mp_int(b, m->done);
    pw_mp_int(b, m->failed);
    put_view(b, m->body);
}

bool pw_row_get_map(pw_view value, pw_map_row *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->run = pw_mp_read_int(&r);
    ret->cmd = pw_mp_read_int(&r);
    ret->total = pw_mp_read_int(&r);
    ret->done = pw_mp_read_int(&r);
    ret->failed = pw_mp_read_int(&r);
    ret->body = pw_mp_read_str(&r);
    return pw_mp_ok(&r);
}

void pw_row_put_page(pw_buf *b, const pw_page_row *p)
{
    int64_t body_sum = pw_page_body_sum(p->body);
    pw_mp_array(b, 4);
    pw_mp_int(b, pw_page_sum(p, body_sum));
    pw_mp_int(b, body_sum);
    put_view(b, p->head);
    put_view(b, p->body);
}

pawl_status pw_row_get_page(pw_view key, pw_view value, pw_page_row *ret, pawl_error *err)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    ret->run = pw_row_key_get(key, 0);
    ret->cmd = pw_row_key_get(key, 1);
    ret->page = pw_row_key_get(key, 2);
    ret->part = pw_row_key_get(key, 3);
    (void)pw_mp_read_array(&r);
    int64_t sum = pw_mp_read_int(&r);
    int64_t body_sum = pw_mp_read_int(&r);
    ret->head = pw_mp_read_str(&r);
    ret->body = pw_mp_read_str(&r);
    bool whole = pw_mp_ok(&r) && pw_page_sum(ret, body_sum) == sum &&
                 pw_page_body_sum(ret->body) == body_sum;
    return whole ? PAWL_OK : pw_page_damaged(ret, err);
}

void pw_row_put_inbox(pw_buf *b, const pw_inbox_row *i)
{
    pw_mp_array(b, 4);
    pw_mp_int(b, i->id);
    pw_mp_int(b, i->posted_ms);
    put_view(b, i->dedup);
    put_view(b, i->body);
}

bool pw_row_get_inbox(pw_view value, pw_inbox_row *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->id = pw_mp_read_int(&r);
    ret->posted_ms = pw_mp_read_int(&r);
    ret->dedup = pw_mp_read_str(&r);
    ret->body = pw_mp_read_str(&r);
    return pw_mp_ok(&r);
}

void pw_row_put_outcome(pw_buf *b, const pw_outcome *o)
{
    pw_mp_array(b, 3);
    pw_mp_int(b, o->status);
    pw_mp_int(b, o->at_ms);
    put_view(b, o->body);
}

bool pw_row_get_outcome(pw_view value, pw_outcome *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->status = (int)pw_mp_read_int(&r);
    ret->at_ms = pw_mp_read_int(&r);
    ret->body = pw_mp_read_str(&r);
    return pw_mp_ok(&r);
}

void pw_row_put_cache(pw_buf *b, const pw_cache_row *c)
{
    pw_mp_array(b, 6);
    pw_mp_int(b, c->expires_ms);
    pw_mp_int(b, c->at_ms);
    put_view(b, c->run_id);
    pw_mp_int(b, c->cmd);
    pw_mp_int(b, pw_cache_sum(c));
    put_view(b, c->body);
}

pawl_status pw_row_get_cache(pw_view value, const uint8_t key[PW_DIGEST_SIZE], pw_cache_row *ret,
                             pawl_error *err)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    memcpy(ret->key, key, sizeof ret->key);
    (void)pw_mp_read_array(&r);
    ret->expires_ms = pw_mp_read_int(&r);
    ret->at_ms = pw_mp_read_int(&r);
    ret->run_id = pw_mp_read_str(&r);
    ret->cmd = pw_mp_read_int(&r);
    const int64_t sum = pw_mp_read_int(&r);
    ret->body = pw_mp_read_str(&r);
    return pw_mp_ok(&r) && pw_cache_sum(ret) == sum
               ? PAWL_OK
               : pw_err(err, PAWL_DAMAGED, "a kept result does not match its checksum");
}

void pw_row_put_owner(pw_buf *b, const pw_memory_owner *o)
{
    pw_mp_array(b, 4);
    pw_mp_uint(b, o->epoch);
    pw_mp_uint(b, o->group);
    pw_mp_int(b, o->pos);
    pw_mp_int(b, o->inbox);
}

bool pw_row_get_owner(pw_view value, pw_memory_owner *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->epoch = pw_mp_read_uint(&r);
    ret->group = pw_mp_read_uint(&r);
    ret->pos = pw_mp_read_int(&r);
    ret->inbox = pw_mp_read_int(&r);
    return pw_mp_ok(&r);
}

void pw_row_put_sealed(pw_buf *b, int64_t a, int64_t n, int64_t sum, pw_view bytes)
{
    pw_mp_array(b, 4);
    pw_mp_int(b, a);
    pw_mp_int(b, n);
    pw_mp_int(b, sum);
    put_view(b, bytes);
}

bool pw_row_get_sealed(pw_view value, int64_t *ret_a, int64_t *ret_n, int64_t *ret_sum,
                       pw_view *ret_bytes)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    *ret_a = pw_mp_read_int(&r);
    *ret_n = pw_mp_read_int(&r);
    *ret_sum = pw_mp_read_int(&r);
    *ret_bytes = pw_mp_read_str(&r);
    return pw_mp_ok(&r);
}
