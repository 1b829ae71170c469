/*
 * encode_group.c - texts of one group through the layers. Everything but attention runs over all rows of the group at once; attention runs text by
 * text and head by head, its two products with the same kernels. No threads here, and no memory is asked for on the way.
 */
#include "activities/embed/encode_group.h"

#include <math.h>

#include "sdk/base/mem.h"

static size_t padded(size_t n, size_t panel)
{
    return (n + panel - 1) / panel * panel;
}

bool pw_block_init(pw_block *b, size_t len, size_t align)
{
    void *memory = pw_malloc(len * sizeof *b->numbers + align);
    if (memory == NULL) {
        return false;
    }
    const uintptr_t begin = ((uintptr_t)memory + align - 1) & ~(uintptr_t)(align - 1);
    *b = (pw_block){memory, (float *)begin, len};
    return true;
}

void pw_block_deinit(pw_block *b)
{
    pw_free(b->memory);
    *b = (pw_block){.memory = NULL};
}

/* The last one that was given back, if it is large enough. */
static bool block_take(pw_spares *p, size_t len, pw_block *ret_block)
{
    pw_block b = {.memory = NULL};
    (void)pthread_mutex_lock(&p->lock);
    if (p->len > 0) {
        b = p->blocks[--p->len];
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (b.len < len) {
        pw_block_deinit(&b);
        if (!pw_block_init(&b, len, PW_LINE_BYTES)) {
            return false;
        }
    }
    *ret_block = b;
    return true;
}

bool pw_scratch_take(pw_scratch *s, const pw_encoder_cpu *e, size_t rows, size_t longest)
{
    const size_t panel = e->kernels->panel, wide = padded(longest, panel);
    const size_t x = rows * e->width, heads = rows * (e->width + panel), inner = rows * e->inner;
    const size_t keys = e->head * wide, values = e->head * longest, scores = PW_SCORE_ROWS * wide;
    pw_block b;
    if (!block_take(e->spares, 4 * x + heads + inner + keys + values + scores, &b)) {
        return false;
    }
    memset(b.numbers, 0, 4 * x * sizeof *b.numbers);
    *s = (pw_scratch){.block = b, .x = b.numbers, .mix = b.numbers + x};
    s->heads = s->mix + 3 * x;
    s->inner = s->heads + heads;
    s->keys = s->inner + inner;
    s->values = s->keys + keys;
    s->scores = s->values + values;
    return true;
}

void pw_scratch_give(pw_scratch *s, const pw_encoder_cpu *e)
{
    pw_spares *p = e->spares;
    (void)pthread_mutex_lock(&p->lock);
    const bool kept = p->len < PW_SPARES_MAX;
    if (kept) {
        p->blocks[p->len++] = s->block;
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (!kept) {
        pw_block_deinit(&s->block);
    }
    *s = (pw_scratch){.x = NULL};
}

static void words(const pw_encoder_cpu *e, const pw_ids *text, float *x)
{
    const pw_model *m = e->m;
    const size_t width = m->config.width;
    for (size_t i = 0; i < text->len; i++, x += e->width) {
        const float *word = m->words + text->ids[i] * width, *position = m->positions + i * width;
        for (size_t k = 0; k < width; k++) {
            x[k] = word[k] + position[k] + m->types[k];
        }
        e->kernels->norm(x, width, m->norm.scale, m->norm.shift, m->config.epsilon);
    }
}

static void add_norm(const pw_encoder_cpu *e, float *x, size_t rows, const pw_norm *n)
{
    for (size_t i = 0; i < rows; i++) {
        e->kernels->norm(x + i * e->width, e->m->config.width, n->scale, n->shift,
                         e->m->config.epsilon);
    }
}

/* A head's keys so that a panel is of rows, and its values so that a panel is of its numbers. */
static void pack_head(const pw_encoder_cpu *e, const pw_scratch *s, const float *mix, size_t rows,
                      size_t head)
{
    const size_t panel = e->kernels->panel, stride = 3 * e->width,
                 size = e->m->config.width / e->m->config.heads;
    const float *keys = mix + e->width + head * size, *values = keys + e->width;
    float *to = s->keys;
    for (size_t first = 0; first < rows; first += panel) {
        for (size_t k = 0; k < size; k++) {
            for (size_t i = first; i < first + panel; i++) {
                *to++ = i < rows ? keys[i * stride + k] : 0;
            }
        }
    }
    to = s->values;
    for (size_t first = 0; first < e->head; first += panel) {
        for (size_t i = 0; i < rows; i++) {
            for (size_t k = first; k < first + panel; k++) {
                *to++ = k < size ? values[i * stride + k] : 0;
            }
        }
    }
}

static void attend_rows(const pw_encoder_cpu *e, const pw_scratch *s, const float *mix,
                        float *heads, size_t rows, size_t head_rows)
{
    const size_t size = e->m->config.width / e->m->config.heads,
                 wide = padded(head_rows, e->kernels->panel);
    const float scale = 1 / sqrtf((float)size);
    const pw_multiply scores = {mix,  3 * e->width, rows,      size, s->keys,
                                wide, NULL,         s->scores, wide, PW_PUT};
    const pw_multiply mixed = {s->scores, wide,      rows,
                               head_rows, s->values, e->head,
                               NULL,      heads,     e->width + e->kernels->panel,
                               PW_PUT};
    e->kernels->multiply(&scores);
    for (size_t i = 0; i < rows; i++) {
        float *row = s->scores + i * wide;
        for (size_t j = head_rows; j < wide; j++) {
            row[j] = -1e30f; /* weighs nothing */
        }
        e->kernels->softmax(row, wide, scale);
    }
    e->kernels->multiply(&mixed);
}

static void attend(const pw_encoder_cpu *e, const pw_scratch *s, size_t first, size_t rows)
{
    const size_t size = e->m->config.width / e->m->config.heads,
                 stride = e->width + e->kernels->panel;
    const float *mix = s->mix + first * 3 * e->width;
    float *heads = s->heads + first * stride;
    for (size_t head = 0; head < e->m->config.heads; head++) {
        pack_head(e, s, mix, rows, head);
        for (size_t i = 0; i < rows; i += PW_SCORE_ROWS) {
            const size_t some = rows - i < PW_SCORE_ROWS ? rows - i : PW_SCORE_ROWS;
            attend_rows(e, s, mix + i * 3 * e->width + head * size,
                        heads + i * stride + head * size, some, rows);
        }
    }
}

static void layer(const pw_encoder_cpu *e, const pw_scratch *s, uint32_t number,
                  const pw_ids *texts, size_t rows)
{
    const pw_packed_layer *p = &e->layers[number];
    const pw_layer *l = &e->m->layers[number];
    const size_t width = e->m->config.width;
    const pw_multiply mix = {s->x,         e->width,    rows,   width,        p->mix.panels,
                             3 * e->width, p->mix.bias, s->mix, 3 * e->width, PW_PUT};
    const pw_multiply out = {s->heads,      e->width + e->kernels->panel,
                             rows,          width,
                             p->out.panels, e->width,
                             p->out.bias,   s->x,
                             e->width,      PW_ADD};
    const pw_multiply up = {s->x,     e->width,   rows,     width,    p->up.panels,
                            e->inner, p->up.bias, s->inner, e->inner, PW_PUT_GELU};
    const pw_multiply down = {s->inner, e->inner,     rows, e->m->config.inner, p->down.panels,
                              e->width, p->down.bias, s->x, e->width,           PW_ADD};
    e->kernels->multiply(&mix);
    for (size_t first = 0; first < rows; first += texts->len, texts++) {
        attend(e, s, first, texts->len);
    }
    e->kernels->multiply(&out);
    add_norm(e, s->x, rows, &l->after_attention);
    e->kernels->multiply(&up);
    e->kernels->multiply(&down);
    add_norm(e, s->x, rows, &l->after_inner);
}

static void pool(const pw_encoder_cpu *e, const float *x, size_t rows, float *vector)
{
    const pw_model_config *c = &e->m->config;
    const size_t len = c->pooling == PW_POOL_FIRST ? 1 : rows;
    double square = 0;
    for (size_t k = 0; k < c->width; k++) {
        double sum = 0;
        for (size_t i = 0; i < len; i++) {
            sum += (double)x[i * e->width + k];
        }
        vector[k] = (float)(sum / (double)len);
        square += (double)vector[k] * (double)vector[k];
    }
    const double length = c->normalize ? fmax(sqrt(square), 1e-12) : 1;
    for (size_t k = 0; k < c->width; k++) {
        vector[k] = (float)((double)vector[k] / length);
    }
}

void pw_encode_group(const pw_encoder_cpu *e, const pw_scratch *s, const pw_ids *texts, size_t len,
                     float *vectors)
{
    size_t rows = 0;
    for (size_t i = 0; i < len; i++) {
        words(e, &texts[i], s->x + rows * e->width);
        rows += texts[i].len;
    }
    for (uint32_t number = 0; number < e->m->config.layers; number++) {
        layer(e, s, number, texts, rows);
    }
    rows = 0;
    for (size_t i = 0; i < len; i++) {
        pool(e, s->x + rows * e->width, texts[i].len, vectors + i * e->m->config.width);
        rows += texts[i].len;
    }
}
