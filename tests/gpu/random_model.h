/*
 * random_model.h - a model of random numbers in memory, with heads of 32 numbers: no file, no tokenizer.
 */
#ifndef TEST_RANDOM_MODEL_H
#define TEST_RANDOM_MODEL_H

#include "activities/embed/model.h"

typedef struct random_model_sizes {
    uint32_t layers, heads, inner, vocabulary, positions;
} random_model_sizes;

/** Fails the test when there is no memory. */
void random_model_init(pw_model *m, const random_model_sizes *sizes);
void random_model_deinit(pw_model *m);
/** The next of a row of random numbers, from 0 to 1. */
float random_number(uint32_t *state);

#endif
