/*
 * copy.c - keeping a copy up to date, and finding the rows that a filter lets through.
 *
 * [V12] A page of changes says what has gone since the version that the copy has, and what has come after the highest id that it has, both as of one moment;
 * pages follow each other until there is no more. A copy that is older than what the journal still lists as gone is made anew. Keeps no keys and no
 * texts: those of the few that are found are read from the journal.
 */
#include "activities/embed/copy.h"

#include <stdlib.h>
#include <string.h>

#include "activities/embed/copy_device.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash_map.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

#define DEAD_ROWS_MIN 1024u
#define LABEL_BYTES_MAX 128u

/* A workspace or a tag, and the rows that have it, rising. */
typedef struct pw_label {
    UT_hash_handle hh;
    uint32_t *rows;
    size_t len, cap;
    size_t size;
    char name[]; /* 'w' or 't', and what it is called */
} pw_label;

static pawl_status no_memory(pawl_error *err)
{
    return pw_err(err, PAWL_NOMEM, "no memory for a copy of the collection");
}

/* ---- labels ---- */

static void labels_free(pw_copy *c)
{
    pw_label *l, *next;
    HASH_ITER (hh, c->labels, l, next) {
        HASH_DEL(c->labels, l);
        pw_free(l->rows);
        pw_free(l);
    }
}

static size_t label_name(char kind, pw_view name, char to[LABEL_BYTES_MAX])
{
    const size_t size = name.size < LABEL_BYTES_MAX - 1 ? name.size : LABEL_BYTES_MAX - 1;
    to[0] = kind;
    if (size > 0) {
        memcpy(to + 1, name.data, size);
    }
    return size + 1;
}

static pw_label *label_find(const pw_copy *c, char kind, pw_view name)
{
    char full[LABEL_BYTES_MAX];
    const size_t size = label_name(kind, name, full);
    pw_label *l = NULL;
    HASH_FIND(hh, c->labels, full, size, l);
    return l;
}

static pw_label *label_new(pw_copy *c, char kind, pw_view name)
{
    char full[LABEL_BYTES_MAX];
    const size_t size = label_name(kind, name, full);
    pw_label *l = pw_calloc(1, sizeof *l + size);
    if (l == NULL) {
        return NULL;
    }
    l->size = size;
    memcpy(l->name, full, size);
    HASH_ADD_KEYPTR(hh, c->labels, l->name, l->size, l);
    if (l->hh.tbl == NULL) {
        pw_free(l);
        return NULL;
    }
    return l;
}

static bool label_add(pw_copy *c, char kind, pw_view name, size_t row)
{
    pw_label *l = label_find(c, kind, name);
    l = l != NULL ? l : label_new(c, kind, name);
    if (l == NULL) {
        return false;
    }
    if (l->len > 0 && l->rows[l->len - 1] == row) {
        return true; /* named twice */
    }
    if (l->len == l->cap) {
        const size_t cap = l->cap == 0 ? 8 : 2 * l->cap;
        uint32_t *grown = pw_realloc(l->rows, cap * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        l->rows = grown;
        l->cap = cap;
    }
    l->rows[l->len++] = (uint32_t)row;
    return true;
}

/* ---- rows ---- */

static void clear(pw_copy *c)
{
    pw_copy_device_drop(c);
    labels_free(c);
    pw_free(c->halves);
    pw_free(c->ids);
    pw_free(c->alive);
    c->halves = NULL;
    c->ids = NULL;
    c->alive = NULL;
    c->number = c->version = c->last = 0;
    c->len = c->cap = c->dead = 0;
}

void pw_copy_init(pw_copy *c)
{
    memset(c, 0, sizeof *c);
    (void)pthread_rwlock_init(&c->lock, NULL);
    (void)pthread_mutex_init(&c->device_lock, NULL);
    pw_gather_init(&c->gather);
}

void pw_copy_deinit(pw_copy *c)
{
    clear(c);
    (void)pthread_rwlock_destroy(&c->lock);
    (void)pthread_mutex_destroy(&c->device_lock);
    pw_gather_deinit(&c->gather);
}

static bool reserve(pw_copy *c, size_t rows)
{
    if (rows <= c->cap) {
        return true;
    }
    size_t cap = c->cap + c->cap / 2;
    cap = (cap > rows ? cap : rows) + 63;
    cap -= cap % 64;
    uint16_t *halves = pw_realloc(c->halves, cap * c->stride * sizeof *halves);
    c->halves = halves != NULL ? halves : c->halves;
    int64_t *ids = pw_realloc(c->ids, cap * sizeof *ids);
    c->ids = ids != NULL ? ids : c->ids;
    uint64_t *alive = pw_realloc(c->alive, cap / 64 * sizeof *alive);
    c->alive = alive != NULL ? alive : c->alive;
    if (halves == NULL || ids == NULL || alive == NULL) {
        return false;
    }
    memset(c->alive + c->cap / 64, 0, (cap - c->cap) / 64 * sizeof *alive);
    c->cap = cap;
    return true;
}

/* At once, rather than by halves more: what the collection's count says is no promise, so nothing depends on it. */
static void reserve_all(pw_copy *c, int64_t items)
{
    if (items > 0 && items <= PW_INDEX_ITEMS_MAX) {
        (void)reserve(c, (size_t)items);
    }
}

static bool is_alive(const pw_copy *c, size_t row)
{
    return (c->alive[row / 64] >> row % 64 & 1) != 0;
}

static void add_row(pw_copy *c, int64_t id, const uint8_t *halves)
{
    uint16_t *row = c->halves + c->len * c->stride;
    memset(row, 0, c->stride * sizeof *row);
    memcpy(row, halves, c->width * sizeof *row);
    c->ids[c->len] = id;
    c->alive[c->len / 64] |= (uint64_t)1 << c->len % 64;
    c->len++;
    c->last = id;
}

static void drop_id(pw_copy *c, int64_t id)
{
    size_t low = 0, high = c->len;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        low = c->ids[middle] < id ? middle + 1 : low;
        high = c->ids[middle] < id ? high : middle;
    }
    if (low < c->len && c->ids[low] == id && is_alive(c, low)) {
        c->alive[low / 64] &= ~((uint64_t)1 << low % 64);
        c->dead++;
    }
}

static void close_up_label(pw_label *l, const pw_copy *c, const uint32_t *places)
{
    size_t len = 0;
    for (size_t i = 0; i < l->len; i++) {
        if (is_alive(c, l->rows[i])) {
            l->rows[len++] = places[l->rows[i]];
        }
    }
    l->len = len;
}

/* Without memory the dead stay where they are: they are only slower. */
static void close_up(pw_copy *c)
{
    if (c->dead < DEAD_ROWS_MIN || c->dead < c->len / 4) {
        return;
    }
    uint32_t *places = pw_malloc(c->len * sizeof *places);
    if (places == NULL) {
        return;
    }
    size_t len = 0;
    for (size_t i = 0; i < c->len; i++) {
        places[i] = (uint32_t)len;
        if (is_alive(c, i)) {
            memmove(c->halves + len * c->stride, c->halves + i * c->stride,
                    c->stride * sizeof *c->halves);
            c->ids[len++] = c->ids[i];
        }
    }
    pw_label *l, *next;
    HASH_ITER (hh, c->labels, l, next) {
        close_up_label(l, c, places);
        if (l->len == 0) {
            HASH_DEL(c->labels, l);
            pw_free(l->rows);
            pw_free(l);
        }
    }
    pw_free(places);
    memset(c->alive, 0, c->cap / 64 * sizeof *c->alive);
    for (size_t i = 0; i < len; i++) {
        c->alive[i / 64] |= (uint64_t)1 << i % 64;
    }
    c->len = len;
    c->dead = 0;
}

/* ---- changes ---- */

static bool add_labels(pw_copy *c, pw_mp *r, size_t row)
{
    (void)pw_mp_read_array(r);
    bool ok = label_add(c, 'w', pw_mp_read_str(r), row);
    for (size_t n = pw_mp_read_array(r); n > 0 && ok && pw_mp_ok(r); n--) {
        ok = label_add(c, 't', pw_mp_read_str(r), row);
    }
    return ok;
}

static pawl_status add_rows(pw_copy *c, const pawl_value *page, pawl_error *err)
{
    size_t ids_size = 0, rows_size = 0;
    const uint8_t *ids = pawl_data(page, "ids", &ids_size);
    const uint8_t *rows = pawl_data(page, "rows", &rows_size);
    const size_t len = ids_size / sizeof *c->ids;
    const pw_view labels = pw_value_bytes(pawl_get(page, "labels"));
    pw_mp r = pw_mp_reader(labels.data, labels.size);
    if (rows_size != len * c->width * sizeof *c->halves || pw_mp_read_array(&r) != len) {
        return pw_err(err, PAWL_DAMAGED, "changes of a collection that do not fit together");
    }
    if (c->len == 0) {
        reserve_all(c, pawl_int(page, "items", 0));
    }
    if (c->len + len > UINT32_MAX || !reserve(c, c->len + len)) {
        return no_memory(err);
    }
    for (size_t i = 0; i < len; i++) {
        int64_t id;
        memcpy(&id, ids + i * sizeof id, sizeof id);
        if (!add_labels(c, &r, c->len)) {
            return no_memory(err);
        }
        add_row(c, id, rows + i * c->width * sizeof *c->halves);
    }
    return pw_mp_ok(&r) ? PAWL_OK : pw_err(err, PAWL_DAMAGED, "labels of a collection");
}

/* Numbers that a damaged file could have, and with which rows would not fit, or pages never end. */
static bool is_sound(const pw_copy *c, const pawl_value *page)
{
    const int64_t width = pawl_int(page, "width", 0);
    return width >= 1 && width <= PW_INDEX_WIDTH_MAX &&
           (c->last == 0 || (size_t)width == c->width) &&
           pawl_int(page, "horizon", 0) <= pawl_int(page, "version", 0);
}

/* One page. *ret_more: there is another. */
static pawl_status take_page(pw_copy *c, const pawl_value *page, bool *ret_more, pawl_error *err)
{
    size_t size = 0;
    const uint8_t *gone = pawl_data(page, "gone", &size);
    if (!is_sound(c, page)) {
        return pw_err(err, PAWL_DAMAGED, "changes of a collection that no collection has");
    }
    if (c->last == 0) {
        c->width = (size_t)pawl_int(page, "width", 0);
        c->stride = pw_row_stride(c->width);
    } else if (pawl_int(page, "horizon", 0) > c->version) {
        const int64_t number = c->number;
        clear(c);
        c->number = number;
        *ret_more = true;
        return PAWL_OK;
    }
    for (size_t i = 0; i + sizeof(int64_t) <= size; i += sizeof(int64_t)) {
        int64_t id;
        memcpy(&id, gone + i, sizeof id);
        drop_id(c, id);
    }
    const pawl_status st = add_rows(c, page, err);
    if (st == PAWL_OK) {
        c->version = pawl_int(page, "version", 0);
        *ret_more = pawl_bool(page, "more", false);
    }
    return st;
}

static pawl_status bring_up(pw_copy *c, pw_copy_ask_fn ask, void *ctx, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    pw_copy_device_drop(c);
    for (bool more = true; more && st == PAWL_OK;) {
        pawl_scope *scope = pw_scope_new(0);
        const pawl_value *page = NULL;
        const int64_t since = c->last > 0 ? c->version : INT64_MAX;
        const pawl_value *args =
            scope != NULL
                ? pawl_build(scope, "{number: %lld, since: %lld, after: %lld, limit: 4096}",
                             (long long)c->number, (long long)since, (long long)c->last)
                : NULL;
        st = args != NULL ? ask(ctx, args, scope, &page, err) : no_memory(err);
        st = st == PAWL_OK ? take_page(c, page, &more, err) : st;
        pawl_scope_free(scope);
    }
    close_up(c);
    return st;
}

pawl_status pw_copy_hold(pw_copy *c, int64_t number, int64_t version, pw_copy_ask_fn ask, void *ctx,
                         pawl_error *err)
{
    (void)pthread_rwlock_rdlock(&c->lock);
    while (c->number != number || c->version < version) {
        (void)pthread_rwlock_unlock(&c->lock);
        (void)pthread_rwlock_wrlock(&c->lock);
        pawl_status st = PAWL_OK;
        if (c->number != number) {
            clear(c);
            c->number = number;
        }
        if (c->version < version) {
            st = bring_up(c, ask, ctx, err);
        }
        if (st == PAWL_OK && c->version < version) { /* to ask again would be for ever */
            st = pw_err(err, PAWL_DAMAGED, "changes of a collection that end before its version");
        }
        if (st != PAWL_OK) {
            clear(c); /* half of a page may be in it */
        }
        (void)pthread_rwlock_unlock(&c->lock);
        if (st != PAWL_OK) {
            return st;
        }
        (void)pthread_rwlock_rdlock(&c->lock);
    }
    return PAWL_OK;
}

void pw_copy_let(pw_copy *c)
{
    (void)pthread_rwlock_unlock(&c->lock);
}

void pw_copy_forget(pw_copy *c)
{
    (void)pthread_rwlock_wrlock(&c->lock);
    clear(c);
    (void)pthread_rwlock_unlock(&c->lock);
}

/* ---- filters ---- */

static void mark(uint64_t *bits, const pw_label *l)
{
    for (size_t i = 0; l != NULL && i < l->len; i++) {
        bits[l->rows[i] / 64] |= (uint64_t)1 << l->rows[i] % 64;
    }
}

static pw_view view_of(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

static void meet(uint64_t *wanted, uint64_t *bits, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        wanted[i] &= bits[i];
    }
    memset(bits, 0, words * sizeof *bits);
}

pawl_status pw_copy_wanted(const pw_copy *c, const pw_wish *wish, uint64_t **ret_wanted,
                           pawl_error *err)
{
    const size_t words = c->len / 64 + 1;
    *ret_wanted = NULL;
    if ((wish->workspace == NULL && wish->tags_len == 0 && c->dead == 0) || c->len == 0) {
        return PAWL_OK;
    }
    uint64_t *wanted = pw_calloc(2 * words, sizeof *wanted);
    if (wanted == NULL) {
        return no_memory(err);
    }
    memcpy(wanted, c->alive, (c->len + 63) / 64 * sizeof *wanted);
    if (wish->workspace != NULL) {
        mark(wanted + words, label_find(c, 'w', view_of(wish->workspace)));
        if (wish->shared) {
            mark(wanted + words, label_find(c, 'w', view_of("")));
        }
        meet(wanted, wanted + words, words);
    }
    for (size_t i = 0; i < wish->tags_len; i++) {
        mark(wanted + words, label_find(c, 't', view_of(wish->tags[i])));
        meet(wanted, wanted + words, words);
    }
    *ret_wanted = wanted;
    return PAWL_OK;
}
