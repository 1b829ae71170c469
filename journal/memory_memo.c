/*
 * memory_memo.c - the memory store in the journal in memory: the same rows, words and counts as sqlite_memo.c, found by the same tests.
 *
 *   'E' id -> row    'F' space 0 key -> id    'J' space 0 word 0 -id    'P' expires id    'Q' space -> n, bytes
 *
 * Does not search: memo.c does.
 */
#include "journal/memo.h"
#include "journal/memory_row.h"

#include <string.h>

enum { SWEEP_ROWS = 8 };

/* ---- keys and rows ---- */

static pw_row_key name_key(pw_table table, pw_view space, pw_view name)
{
    pw_row_key k;
    pw_row_key_start(&k, table);
    pw_row_key_bytes(&k, space.data, space.size);
    pw_row_key_bytes(&k, "", 1);
    pw_row_key_bytes(&k, name.data, name.size);
    return k;
}

static pw_row_key word_key(pw_view space, pw_view word, int64_t id)
{
    pw_row_key k = name_key(PW_TABLE_MEMO_WORD, space, word);
    pw_row_key_bytes(&k, "", 1);
    pw_row_key_int(&k, -id);
    return k;
}

static pw_row_key space_key(pw_view space)
{
    pw_row_key k;
    pw_row_key_start(&k, PW_TABLE_MEMO_SPACE);
    pw_row_key_bytes(&k, space.data, space.size);
    return k;
}

static void put_memo(pw_buf *b, const pw_memo_row *m)
{
    pw_mp_array(b, 6);
    pw_mp_bin(b, m->space.data, m->space.size);
    pw_mp_bin(b, m->key.data, m->key.size);
    pw_mp_int(b, m->updated_ms);
    pw_mp_int(b, m->expires_ms);
    pw_mp_int(b, pw_memo_sum(m));
    pw_mp_bin(b, m->body.data, m->body.size);
}

static pawl_status get_memo(int64_t id, pw_view value, pw_memo_row *ret, pawl_error *err)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->id = id;
    ret->space = pw_mp_read_str(&r);
    ret->key = pw_mp_read_str(&r);
    ret->updated_ms = pw_mp_read_int(&r);
    ret->expires_ms = pw_mp_read_int(&r);
    const int64_t sum = pw_mp_read_int(&r);
    ret->body = pw_mp_read_str(&r);
    return pw_mp_ok(&r) && pw_memo_sum(ret) == sum
               ? PAWL_OK
               : pw_err(err, PAWL_DAMAGED, "memory %lld does not match its checksum",
                        (long long)id);
}

static int64_t id_at(pw_view value)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    return pw_mp_read_int(&r);
}

/* ---- writing ---- */

typedef struct word_write {
    pw_memory_store *s;
    const pw_memo_row *row;
    bool puts;
    pawl_status status;
    pawl_error *err;
} word_write;

static bool write_word(void *ctx, pw_view word)
{
    word_write *w = ctx;
    const pw_row_key key = word_key(w->row->space, word, w->row->id);
    pw_buf none = PW_BUF_INIT;
    w->status = w->puts ? pw_memory_row_put(w->s, &key, &none, w->err)
                        : pw_memory_row_drop(w->s, &key, w->err);
    return w->status == PAWL_OK;
}

static pawl_status write_words(pw_memory_store *s, const pw_memo_row *row, bool puts,
                               pawl_error *err)
{
    word_write w = {s, row, puts, PAWL_OK, err};
    pawl_status st = pw_memo_words(pw_memo_text(row->body), write_word, &w, err);
    return st == PAWL_OK ? w.status : st;
}

static void read_count(const pw_kv_node *node, int64_t *ret_n, int64_t *ret_bytes)
{
    *ret_n = *ret_bytes = 0;
    if (node != NULL) {
        pw_mp r = pw_mp_reader(pw_kv_value(node).data, pw_kv_value(node).size);
        (void)pw_mp_read_array(&r);
        *ret_n = pw_mp_read_int(&r);
        *ret_bytes = pw_mp_read_int(&r);
    }
}

static pawl_status count(pw_memory_store *s, const pw_memo_row *row, int64_t more, pawl_error *err)
{
    int64_t n, bytes;
    const pw_row_key key = space_key(row->space);
    read_count(pw_kv_find(s->kv, pw_row_key_view(&key)), &n, &bytes);
    if (n + more <= 0) {
        return pw_memory_row_drop(s, &key, err);
    }
    pw_buf b = PW_BUF_INIT;
    pw_mp_array(&b, 2);
    pw_mp_int(&b, n + more);
    pw_mp_int(&b, bytes + more * (int64_t)row->body.size);
    return pw_memory_row_put(s, &key, &b, err);
}

static pw_row_key expiry_key(const pw_memo_row *row)
{
    return PW_ROW_KEY(PW_TABLE_MEMO_EXPIRY, row->expires_ms, row->id);
}

static pawl_status drop_id(pw_memory_store *s, int64_t id, pawl_error *err)
{
    const pw_row_key key = PW_ROW_KEY(PW_TABLE_MEMO, id);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    pw_memo_row row;
    pawl_status st = node != NULL ? get_memo(id, pw_kv_value(node), &row, err)
                                  : pw_err(err, PAWL_DAMAGED, "a memory has no row");
    st = st == PAWL_OK ? write_words(s, &row, false, err) : st;
    st = st == PAWL_OK ? count(s, &row, -1, err) : st;
    if (st == PAWL_OK) {
        const pw_row_key name = name_key(PW_TABLE_MEMO_NAME, row.space, row.key);
        const pw_row_key expiry = expiry_key(&row);
        st = pw_memory_row_drop(s, &name, err);
        st = st == PAWL_OK && row.expires_ms != 0 ? pw_memory_row_drop(s, &expiry, err) : st;
        st = st == PAWL_OK ? pw_memory_row_drop(s, &key, err) : st;
    }
    return st;
}

static pawl_status drop_named(pw_memory_store *s, const pw_memo_row *row, pawl_error *err)
{
    const pw_row_key name = name_key(PW_TABLE_MEMO_NAME, row->space, row->key);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&name));
    return node != NULL ? drop_id(s, id_at(pw_kv_value(node)), err) : PAWL_OK;
}

static pawl_status sweep(pw_memory_store *s, int64_t now_ms, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    const pw_row_key from = PW_ROW_KEY(PW_TABLE_MEMO_EXPIRY, INT64_MIN);
    for (int i = 0; i < SWEEP_ROWS && st == PAWL_OK; i++) {
        const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
        const bool due = node != NULL && pw_kv_key(node).data[0] == PW_TABLE_MEMO_EXPIRY &&
                         pw_row_key_get(pw_kv_key(node), 0) <= now_ms;
        if (!due) {
            break;
        }
        st = drop_id(s, pw_row_key_get(pw_kv_key(node), 1), err);
    }
    return st;
}

pawl_status pw_memory_memo_drop(pw_memory_store *s, const pw_memo_row *row, pawl_error *err)
{
    pawl_status st = sweep(s, row->updated_ms, err);
    return st == PAWL_OK ? drop_named(s, row, err) : st;
}

static int64_t next_id(const pw_memory_store *s)
{
    const pw_row_key end = PW_ROW_KEY(PW_TABLE_MEMO, INT64_MAX);
    const pw_kv_node *node = pw_kv_before(s->kv, pw_row_key_view(&end));
    return node != NULL && pw_kv_key(node).data[0] == PW_TABLE_MEMO
               ? pw_row_key_get(pw_kv_key(node), 0) + 1
               : 1;
}

pawl_status pw_memory_memo_put(pw_memory_store *s, const pw_memo_row *given, pawl_error *err)
{
    pw_memo_row row = *given;
    pawl_status st = sweep(s, row.updated_ms, err);
    st = st == PAWL_OK ? drop_named(s, &row, err) : st;
    row.id = next_id(s);
    if (st == PAWL_OK) {
        const pw_row_key key = PW_ROW_KEY(PW_TABLE_MEMO, row.id);
        const pw_row_key name = name_key(PW_TABLE_MEMO_NAME, row.space, row.key);
        const pw_row_key expiry = expiry_key(&row);
        pw_buf b = PW_BUF_INIT, id = PW_BUF_INIT, none = PW_BUF_INIT;
        put_memo(&b, &row);
        pw_mp_int(&id, row.id);
        st = pw_memory_row_put(s, &key, &b, err);
        pawl_status named = pw_memory_row_put(s, &name, &id, err);
        st = st == PAWL_OK ? named : st;
        st = st == PAWL_OK && row.expires_ms != 0 ? pw_memory_row_put(s, &expiry, &none, err) : st;
    }
    st = st == PAWL_OK ? write_words(s, &row, true, err) : st;
    return st == PAWL_OK ? count(s, &row, 1, err) : st;
}

/* ---- reading ---- */

static bool starts_with(const pw_kv_node *node, const pw_row_key *prefix)
{
    const pw_view key = pw_kv_key(node);
    return key.size >= prefix->size && memcmp(key.data, prefix->data, prefix->size) == 0;
}

static pawl_status give(pw_memory_store *s, int64_t id, pw_memo_fn fn, void *ctx, bool *ret_on,
                        pawl_error *err)
{
    const pw_row_key key = PW_ROW_KEY(PW_TABLE_MEMO, id);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    pw_memo_row row;
    if (node == NULL) {
        return pw_err(err, PAWL_NOTFOUND, "no such memory");
    }
    pawl_status st = get_memo(id, pw_kv_value(node), &row, err);
    *ret_on = st == PAWL_OK && fn(ctx, &row);
    return st;
}

pawl_status pw_memory_memo(pw_reader *r, int64_t id, pw_memo_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    bool on;
    pthread_mutex_lock(&s->lock);
    pawl_status st = give(s, id, fn, ctx, &on, err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

pawl_status pw_memory_memos(pw_reader *r, pw_view space, pw_view after, size_t rows_max,
                            pw_memo_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    const pw_row_key all = name_key(PW_TABLE_MEMO_NAME, space, (pw_view){(const uint8_t *)"", 0});
    pw_row_key from = name_key(PW_TABLE_MEMO_NAME, space, after);
    pawl_status st = PAWL_OK;
    bool on = true;
    if (after.size > 0) {
        pw_row_key_bytes(&from, "", 1);
    }
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    for (size_t n = 0; node != NULL && starts_with(node, &all) && on && st == PAWL_OK &&
                       (rows_max == 0 || n < rows_max);
         n++) {
        st = give(s, id_at(pw_kv_value(node)), fn, ctx, &on, err);
        node = pw_kv_next(node);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

pawl_status pw_memory_memo_words(pw_reader *r, pw_view space, pw_view prefix, size_t rows_max,
                                 pw_memo_word_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    const pw_row_key from = name_key(PW_TABLE_MEMO_WORD, space, prefix);
    const size_t head = from.size - prefix.size;
    bool on = true;
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    for (size_t n = 0; node != NULL && starts_with(node, &from) && on && n < rows_max; n++) {
        const pw_view key = pw_kv_key(node);
        const pw_view tail = {key.data + key.size - 9, 9}; /* 0, then -id */
        const pw_view id = {tail.data, 9};
        on = fn(ctx, -pw_row_key_get(id, 0), (pw_view){key.data + head, key.size - head - 9});
        node = pw_kv_next(node);
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

pawl_status pw_memory_memo_spaces(pw_reader *r, pw_view only, pw_memo_space_fn fn, void *ctx,
                                  pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    const pw_row_key from = space_key(only);
    bool on = true;
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    while (node != NULL && pw_kv_key(node).data[0] == PW_TABLE_MEMO_SPACE && on &&
           (only.size == 0 || pw_kv_key(node).size == from.size) && starts_with(node, &from)) {
        int64_t n, bytes;
        read_count(node, &n, &bytes);
        on = fn(ctx, (pw_view){pw_kv_key(node).data + 1, pw_kv_key(node).size - 1}, n, bytes) &&
             only.size == 0;
        node = pw_kv_next(node);
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}
