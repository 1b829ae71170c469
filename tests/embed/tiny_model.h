/*
 * tiny_model.h - a model of one layer and 32 numbers, written into a folder: for tests of what is around the arithmetic, where the real one is not there.
 */
#ifndef TEST_TINY_MODEL_H
#define TEST_TINY_MODEL_H

#include <stddef.h>

#define TINY_WIDTH 32
#define TINY_POSITIONS 24

/** Writes config.json, model.safetensors and vocab.txt; the folder is there already. The words are those of tiny_words. */
void tiny_model_write(const char *folder);
/** Replaces one of the files. */
void tiny_file_write(const char *folder, const char *name, const void *data, size_t size);

#endif
