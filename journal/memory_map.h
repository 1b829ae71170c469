/*
 * memory_map.h - an ordered map from byte strings to byte strings with one transaction that can be
 * undone.
 *
 *   head --> [k1] -----------> [k7] -->            a skip list: level 0 has every node, each level above a quarter
 *   head --> [k1] -> [k4] ---> [k7] -> [k9] -->
 *
 * Between begin and end, a change keeps the value it replaces; a deleted node stays in place with
 * no value, so undoing never allocates. Levels come from a fixed-seed generator: the same history
 * gives the same shape.
 */
#ifndef PW_MEMORY_MAP_H
#define PW_MEMORY_MAP_H

#include "sdk/base/mp.h"

typedef struct pw_kv pw_kv;
typedef struct pw_kv_node pw_kv_node;

pw_kv *pw_kv_new(void);
void pw_kv_free(pw_kv *kv);

/** NULL when there is no such key. */
const pw_kv_node *pw_kv_find(const pw_kv *kv, pw_view key);
/** The first node whose key is not below `key`, NULL at the end. */
const pw_kv_node *pw_kv_seek(const pw_kv *kv, pw_view key);
const pw_kv_node *pw_kv_next(const pw_kv_node *node);
/** The last node whose key is below `key`, NULL when there is none. */
const pw_kv_node *pw_kv_before(const pw_kv *kv, pw_view key);
pw_view pw_kv_key(const pw_kv_node *node);
pw_view pw_kv_value(const pw_kv_node *node);
/** For fault injection: the stored bytes themselves. */
uint8_t *pw_kv_poke(const pw_kv_node *node);

void pw_kv_begin(pw_kv *kv);
/** Within begin and end. False when memory is out. */
bool pw_kv_put(pw_kv *kv, pw_view key, pw_view value);
/** Within begin and end. *ret_found (may be NULL): was it there? False when memory is out. */
bool pw_kv_delete(pw_kv *kv, pw_view key, bool *ret_found);
/** Keeps or undoes everything since begin. Cannot fail. */
void pw_kv_end(pw_kv *kv, bool keep);

#endif
