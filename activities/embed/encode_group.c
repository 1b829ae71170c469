/*
 * encode_group.c - texts of one group through the layers. Everything but attention runs over all rows of the group at once; attention runs text by
 * text and head by head, its two products with the same kernels. No threads here, and no memory is asked for on the way.
 */
#include "activities/embed/encode_group.h"

#include <math.h>

#include "sdk/base/error.h"
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
    const size_t sizes[] = {rows * (e->width + panel),
                            rows * (e->width + panel),
                            rows * 2 * e->head,
                            rows * e->head,
                            wide * e->head,
                            rows * PW_CHUNK,
                            PW_SCORE_ROWS * wide};
    float **const parts[] = {&s->x,    &s->heads, &s->asked, &s->values,
                             &s->keys, &s->inner, &s->scores};
    size_t all = 0;
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        all += padded(sizes[i], PW_LINE_BYTES / sizeof(float));
    }
    if (!block_take(e->spares, all, &s->block)) {
        return false;
    }
    s->rows = rows;
    float *at = s->block.numbers;
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        *parts[i] = at;
        at += padded(sizes[i], PW_LINE_BYTES / sizeof(float));
    }
    memset(s->x, 0, sizes[0] * sizeof *s->x); /* what lies beyond a row's width is added to */
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

/* What one head attends to, of all rows: queries and keys side by side, values as panels over their numbers. */
static void mix_head(const pw_encoder_cpu *e, const pw_scratch *s, const pw_packed *p, size_t rows)
{
    const size_t width = e->m->config.width, panel = e->kernels->panel, both = 2 * e->head;
    const pw_multiply asked = {s->x, e->width, rows,     width, p->panels,
                               both, p->bias,  s->asked, both,  PW_PUT};
    e->kernels->multiply(&asked);
    for (size_t k = 0; k < e->head; k += panel) {
        const pw_multiply values = {s->x,
                                    e->width,
                                    rows,
                                    width,
                                    p->panels + (both + k) * width,
                                    panel,
                                    p->bias + both + k,
                                    s->values + k * s->rows,
                                    panel,
                                    PW_PUT};
        e->kernels->multiply(&values);
    }
}

/* The keys of one text, so that a panel is of its rows. */
static void pack_keys(const pw_encoder_cpu *e, const pw_scratch *s, const float *keys, size_t rows)
{
    const size_t panel = e->kernels->panel, stride = 2 * e->head,
                 size = e->m->config.width / e->m->config.heads;
    float *to = s->keys;
    for (size_t first = 0; first < rows; first += panel, to += size * panel) {
        for (size_t i = first; i < first + panel; i++) {
            for (size_t k = 0; k < size; k++) {
                to[k * panel + i - first] = i < rows ? keys[i * stride + k] : 0;
            }
        }
    }
}

/* Some queries of a text with all its keys and values. */
static void attend_rows(const pw_encoder_cpu *e, const pw_scratch *s, const pw_multiply *scores,
                        const float *values, float *heads)
{
    const size_t panel = e->kernels->panel, wide = scores->c_stride,
                 size = e->m->config.width / e->m->config.heads, len = s->text_len;
    const size_t whole = padded(len, panel / 2);
    const float scale = 1 / sqrtf((float)size);
    e->kernels->multiply(scores);
    for (size_t i = 0; i < scores->rows; i++) {
        float *row = s->scores + i * wide;
        for (size_t j = len; j < whole; j++) {
            row[j] = -1e30f; /* weighs nothing */
        }
        e->kernels->softmax(row, whole, scale);
    }
    for (size_t k = 0; k < e->head; k += panel) {
        const pw_multiply mixed = {
            s->scores, wide,      scores->rows,     len,   values + k * s->rows, panel,
            NULL,      heads + k, e->width + panel, PW_PUT};
        e->kernels->multiply(&mixed);
    }
}

static void attend(const pw_encoder_cpu *e, pw_scratch *s, size_t head, size_t first, size_t len)
{
    const size_t size = e->m->config.width / e->m->config.heads, panel = e->kernels->panel,
                 wide = padded(len, panel), stride = e->width + panel;
    const float *queries = s->asked + first * 2 * e->head;
    float *heads = s->heads + first * stride + head * size;
    pack_keys(e, s, queries + e->head, len);
    s->text_len = len;
    for (size_t i = 0; i < len; i += PW_SCORE_ROWS) {
        const size_t some = len - i < PW_SCORE_ROWS ? len - i : PW_SCORE_ROWS;
        const pw_multiply scores = {queries + i * 2 * e->head,
                                    2 * e->head,
                                    some,
                                    size,
                                    s->keys,
                                    wide,
                                    NULL,
                                    s->scores,
                                    wide,
                                    PW_PUT};
        attend_rows(e, s, &scores, s->values + first * panel, heads + i * stride);
    }
}

/* Both matrices, a chunk of what is between them at a time. The sum grows where the heads were, since x is read until the last chunk; then they change
 * places. */
static void feed_forward(const pw_encoder_cpu *e, pw_scratch *s, const pw_packed_layer *p,
                         size_t rows)
{
    const size_t width = e->m->config.width, all = e->m->config.inner;
    const float *at = p->chunks;
    float *sum = s->heads;
    memcpy(sum, s->x, rows * e->width * sizeof *sum);
    for (size_t first = 0; first < all; first += PW_CHUNK) {
        const size_t len = all - first < PW_CHUNK ? all - first : PW_CHUNK;
        const size_t wide = padded(len, e->kernels->panel);
        const pw_multiply up = {s->x, e->width,           rows,     width,    at,
                                wide, p->up_bias + first, s->inner, PW_CHUNK, PW_PUT_GELU};
        at += wide * width;
        const pw_multiply down = {
            s->inner, PW_CHUNK, rows,  len, at, e->width, first == 0 ? p->down_bias : NULL,
            sum,      e->width, PW_ADD};
        at += e->width * len;
        e->kernels->multiply(&up);
        e->kernels->multiply(&down);
    }
    s->heads = s->x;
    s->x = sum;
}

static void layer(const pw_encoder_cpu *e, pw_scratch *s, uint32_t number, const pw_ids *texts,
                  size_t rows)
{
    const pw_packed_layer *p = &e->layers[number];
    const pw_layer *l = &e->m->layers[number];
    const size_t width = e->m->config.width, of_head = 3 * e->head;
    for (size_t head = 0; head < e->m->config.heads; head++) {
        const pw_packed mix = {p->mix.panels + head * of_head * width,
                               p->mix.bias + head * of_head};
        mix_head(e, s, &mix, rows);
        for (size_t first = 0, i = 0; first < rows; first += texts[i++].len) {
            attend(e, s, head, first, texts[i].len);
        }
    }
    const pw_multiply out = {s->heads,      e->width + e->kernels->panel,
                             rows,          width,
                             p->out.panels, e->width,
                             p->out.bias,   s->x,
                             e->width,      PW_ADD};
    e->kernels->multiply(&out);
    add_norm(e, s->x, rows, &l->after_attention);
    feed_forward(e, s, p, rows);
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

void pw_encode_group(const pw_encoder_cpu *e, pw_scratch *s, const pw_ids *texts, size_t len,
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
