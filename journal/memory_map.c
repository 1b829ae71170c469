/*
 * memory_map.c - the skip list behind the journal in memory.
 *
 * Chosen over a balanced tree because it is a third of the code and forward iteration is a
 * pointer. Does not shrink its undo list, and has no iterator that survives a change.
 */
#include "journal/memory_map.h"

#include <string.h>

#include "sdk/base/mem.h"

#define LEVELS 16

typedef struct value {
    size_t size;
    uint8_t data[];
} value;

struct pw_kv_node {
    value *value; /* NULL: deleted in this transaction */
    size_t key_size;
    uint8_t *key; /* behind next[] */
    bool changed; /* has an entry in the undo list */
    int levels;
    pw_kv_node *next[];
};

typedef struct undo {
    pw_kv_node *node;
    value *old; /* NULL: the node is new */
} undo;

struct pw_kv {
    pw_kv_node *head[LEVELS];
    uint64_t random;
    undo *undos;
    size_t undo_len;
    size_t undo_capacity;
};

static int compare(const pw_kv_node *node, pw_view key)
{
    size_t size = node->key_size < key.size ? node->key_size : key.size;
    int order = size > 0 ? memcmp(node->key, key.data, size) : 0;
    if (order != 0) {
        return order;
    }
    return node->key_size < key.size ? -1 : node->key_size > key.size ? 1 : 0;
}

static pw_kv_node *const *links_of(const pw_kv *kv, const pw_kv_node *node)
{
    return node != NULL ? node->next : kv->head;
}

/** The last node below key on every level (NULL = the head); returns the one on level 0. */
static pw_kv_node *find_before(const pw_kv *kv, pw_view key, pw_kv_node *ret_path[LEVELS])
{
    pw_kv_node *at = NULL;
    for (int level = LEVELS - 1; level >= 0; level--) {
        pw_kv_node *next = links_of(kv, at)[level];
        while (next != NULL && compare(next, key) < 0) {
            at = next;
            next = at->next[level];
        }
        ret_path[level] = at;
    }
    return at;
}

static const pw_kv_node *skip_dead(const pw_kv_node *node)
{
    while (node != NULL && node->value == NULL) {
        node = node->next[0];
    }
    return node;
}

pw_kv *pw_kv_new(void)
{
    pw_kv *kv = pw_calloc(1, sizeof(*kv));
    if (kv != NULL) {
        kv->random = 0x2545f4914f6cdd1du;
    }
    return kv;
}

void pw_kv_free(pw_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    pw_kv_node *node = kv->head[0];
    while (node != NULL) {
        pw_kv_node *next = node->next[0];
        pw_free(node->value);
        pw_free(node);
        node = next;
    }
    pw_free(kv->undos);
    pw_free(kv);
}

const pw_kv_node *pw_kv_seek(const pw_kv *kv, pw_view key)
{
    pw_kv_node *path[LEVELS];
    pw_kv_node *before = find_before(kv, key, path);
    return skip_dead(links_of(kv, before)[0]);
}

const pw_kv_node *pw_kv_find(const pw_kv *kv, pw_view key)
{
    const pw_kv_node *node = pw_kv_seek(kv, key);
    return node != NULL && compare(node, key) == 0 ? node : NULL;
}

const pw_kv_node *pw_kv_next(const pw_kv_node *node)
{
    return skip_dead(node->next[0]);
}

const pw_kv_node *pw_kv_before(const pw_kv *kv, pw_view key)
{
    pw_kv_node *path[LEVELS];
    pw_kv_node *node = find_before(kv, key, path);
    while (node != NULL &&
           node->value == NULL) { /* only within a transaction: step back over deleted ones */
        node = find_before(kv, (pw_view){node->key, node->key_size}, path);
    }
    return node;
}

pw_view pw_kv_key(const pw_kv_node *node)
{
    return (pw_view){node->key, node->key_size};
}

pw_view pw_kv_value(const pw_kv_node *node)
{
    return (pw_view){node->value->data, node->value->size};
}

uint8_t *pw_kv_poke(const pw_kv_node *node)
{
    return node->value->data;
}

/* ---- changes ---- */

static int pick_levels(pw_kv *kv)
{
    int levels = 1;
    kv->random ^= kv->random << 13;
    kv->random ^= kv->random >> 7;
    kv->random ^= kv->random << 17;
    for (uint64_t bits = kv->random; levels < LEVELS && (bits & 3) == 0; bits >>= 2) {
        levels++;
    }
    return levels;
}

static pw_kv_node *insert_node(pw_kv *kv, pw_view key, pw_kv_node *path[LEVELS])
{
    int levels = pick_levels(kv);
    size_t links = (size_t)levels * sizeof(pw_kv_node *);
    pw_kv_node *node = pw_malloc(sizeof(*node) + links + key.size + 1);
    if (node == NULL) {
        return NULL;
    }
    node->value = NULL;
    node->changed = false;
    node->levels = levels;
    node->key_size = key.size;
    node->key = (uint8_t *)node->next + links;
    if (key.size > 0) {
        memcpy(node->key, key.data, key.size);
    }
    for (int level = 0; level < levels; level++) {
        pw_kv_node **link = path[level] != NULL ? &path[level]->next[level] : &kv->head[level];
        node->next[level] = *link;
        *link = node;
    }
    return node;
}

static void remove_node(pw_kv *kv, pw_kv_node *node)
{
    pw_kv_node *path[LEVELS];
    find_before(kv, (pw_view){node->key, node->key_size}, path);
    for (int level = 0; level < node->levels; level++) {
        pw_kv_node **link = path[level] != NULL ? &path[level]->next[level] : &kv->head[level];
        *link = node->next[level];
    }
    pw_free(node);
}

static bool room_for_undo(pw_kv *kv)
{
    if (kv->undo_len < kv->undo_capacity) {
        return true;
    }
    size_t capacity = kv->undo_capacity > 0 ? kv->undo_capacity * 2 : 64;
    undo *grown = pw_realloc(kv->undos, capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    kv->undos = grown;
    kv->undo_capacity = capacity;
    return true;
}

static void set_value(pw_kv *kv, pw_kv_node *node, value *v)
{
    if (node->changed) {
        pw_free(node->value);
    } else {
        node->changed = true;
        kv->undos[kv->undo_len++] = (undo){node, node->value};
    }
    node->value = v;
}

void pw_kv_begin(pw_kv *kv)
{
    kv->undo_len = 0;
}

bool pw_kv_put(pw_kv *kv, pw_view key, pw_view bytes)
{
    pw_kv_node *path[LEVELS];
    value *v = pw_malloc(sizeof(*v) + bytes.size + 1);
    if (v == NULL || !room_for_undo(kv)) {
        pw_free(v);
        return false;
    }
    v->size = bytes.size;
    if (bytes.size > 0) {
        memcpy(v->data, bytes.data, bytes.size);
    }
    pw_kv_node *before = find_before(kv, key, path);
    pw_kv_node *node = links_of(kv, before)[0];
    if (node == NULL || compare(node, key) != 0) {
        node = insert_node(kv, key, path);
    }
    if (node == NULL) {
        pw_free(v);
        return false;
    }
    set_value(kv, node, v);
    return true;
}

bool pw_kv_delete(pw_kv *kv, pw_view key, bool *ret_found)
{
    pw_kv_node *path[LEVELS];
    pw_kv_node *node = links_of(kv, find_before(kv, key, path))[0];
    bool found = node != NULL && compare(node, key) == 0 && node->value != NULL;
    if (found && !room_for_undo(kv)) {
        return false;
    }
    if (found) {
        set_value(kv, node, NULL);
    }
    if (ret_found != NULL) {
        *ret_found = found;
    }
    return true;
}

void pw_kv_end(pw_kv *kv, bool keep)
{
    for (size_t i = 0; i < kv->undo_len; i++) {
        undo *u = &kv->undos[i];
        u->node->changed = false;
        if (keep) {
            pw_free(u->old);
        } else {
            pw_free(u->node->value);
            u->node->value = u->old;
        }
        if (u->node->value == NULL) {
            remove_node(kv, u->node);
        }
    }
    kv->undo_len = 0;
}
