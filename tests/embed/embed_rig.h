/*
 * embed_rig.h - where the real model lies, and the reference texts with what three engines made of them.
 */
#ifndef TEST_EMBED_RIG_H
#define TEST_EMBED_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sdk/pawl_value.h"

/** Ends the program as skipped when PAWL_TEST_DATA has no models. */
void rig_need_models(void);
/** The folder of all-MiniLM-L6-v2. */
const char *rig_model(void);
/** The 68 texts of reference.json: [{i, text, ids, embedding, ids_max512, embedding_max512}]. Owns: the scope. */
const pawl_value *rig_texts(pawl_scope *scope);
/** Text i of them. */
typedef struct rig_text {
    const uint8_t *data;
    size_t size;
} rig_text;
rig_text rig_text_at(const pawl_value *texts, size_t i);

#endif
