/*
 * random_model.c - random weights, of the sizes that trained ones have: products neither vanish nor grow from layer to layer.
 */
#include "random_model.h"

#include "tests/embed/embed_rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct filling {
    float *at;
    uint32_t random;
} filling;

float random_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 24);
}

static const float *fill(filling *f, size_t len, float mean, float spread)
{
    float *const at = f->at;
    for (size_t i = 0; i < len; i++) {
        at[i] = mean + spread * (2 * random_number(&f->random) - 1);
    }
    f->at += len;
    return at;
}

static pw_linear fill_linear(filling *f, size_t out, size_t in)
{
    const float *weight = fill(f, out * in, 0, 1.5F / sqrtf((float)in));
    return (pw_linear){weight, fill(f, out, 0, 0.1F)};
}

static pw_norm fill_norm(filling *f, size_t width)
{
    const float *scale = fill(f, width, 1, 0.3F);
    return (pw_norm){scale, fill(f, width, 0, 0.2F)};
}

void random_model_init(pw_model *m, const random_model_sizes *s)
{
    const size_t width = 32 * (size_t)s->heads;
    const size_t layer = 4 * (width * width + width) + 2 * width * s->inner + s->inner + 5 * width;
    memset(m, 0, sizeof *m);
    m->config = (pw_model_config){.layers = s->layers,
                                  .width = (uint32_t)width,
                                  .heads = s->heads,
                                  .inner = s->inner,
                                  .vocabulary = s->vocabulary,
                                  .positions = s->positions,
                                  .types = 1,
                                  .tokens_max = s->positions,
                                  .epsilon = 1e-12F,
                                  .pooling = PW_POOL_MEAN,
                                  .normalize = true};
    m->numbers_len = (s->vocabulary + s->positions + 3) * width + s->layers * layer;
    m->numbers = calloc(m->numbers_len, sizeof *m->numbers);
    assert_non_null(m->numbers);
    filling f = {m->numbers, 7};
    m->words = fill(&f, s->vocabulary * width, 0, 1);
    m->positions = fill(&f, s->positions * width, 0, 0.5F);
    m->types = fill(&f, width, 0, 0.5F);
    m->norm = fill_norm(&f, width);
    for (uint32_t i = 0; i < s->layers; i++) {
        pw_layer *l = &m->layers[i];
        l->query = fill_linear(&f, width, width);
        l->key = fill_linear(&f, width, width);
        l->value = fill_linear(&f, width, width);
        l->out = fill_linear(&f, width, width);
        l->up = fill_linear(&f, s->inner, width);
        l->down = fill_linear(&f, width, s->inner);
        l->after_attention = fill_norm(&f, width);
        l->after_inner = fill_norm(&f, width);
    }
    assert_true(f.at <= m->numbers + m->numbers_len);
}

void random_model_deinit(pw_model *m)
{
    free(m->numbers);
}
