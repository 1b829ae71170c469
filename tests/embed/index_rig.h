/*
 * index_rig.h - an engine over a journal in memory or in a file, an index on it with vectors of WIDTH numbers and no model, and how its tests ask.
 */
#ifndef TEST_INDEX_RIG_H
#define TEST_INDEX_RIG_H

#include "embed_rig.h"

#include <stdbool.h>

#include "sdk/pawl_index.h"

#define WIDTH 8

typedef struct index_rig {
    bool memory;
    char folder[80], path[100];
    pawl_engine *engine;
    pawl_index *index;
    pawl_scope *scope;
    pawl_error err;
} index_rig;

/** For cmocka's tables; *state is the rig. */
int index_setup_memory(void **state);
int index_setup_file(void **state);
int index_teardown(void **state);
/** Closes the engine and the index, and opens both again on the same file. */
void index_reopen(index_rig *r);
/** A second index on the same engine, of another identity. Owns: the caller. */
pawl_index *index_other(index_rig *r, const char *identity, uint32_t width);

#define must(r, call) index_must((r), (call), PAWL_OK, #call, __LINE__)
#define must_be(r, call, status) index_must((r), (call), (status), #call, __LINE__)
void index_must(index_rig *r, pawl_status got, pawl_status expected, const char *what, int line);

typedef struct index_labels {
    const char *workspace;
    const char *tags; /* words */
} index_labels;
#define LABELS(...) (&(const index_labels){__VA_ARGS__})
/** Puts one item; vector NULL: its text's length decides where it points. */
void index_put_one(index_rig *r, const char *name, const char *key, const char *text,
                   const float *vector, const index_labels *labels);
/** The keys found, with a blank after each: "tea coffee ". Owns: the rig's scope. */
const char *index_keys(const pawl_value *found, pawl_scope *scope);
const char *index_find(index_rig *r, const char *name, const pawl_index_query *q);

#endif
