/*
 * encode_group.c - texts of one group through the layers. Everything but attention runs over all rows of the group at once; attention runs text by
 * text and head by head, its two products with the same kernels. What a head or a row comes to needs no other head or row of the same step:
 * encode_team.c parts steps so. No threads here, and no memory is asked for on the way.
 */
#include "activities/embed/encode_group.h"

#include <math.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"

static size_t padded(size_t n, size_t panel)
{
    return (n + panel - 1) / panel * panel;
}

/* From row to row: a head's last panel may reach beyond the width. */
static size_t stride_of(const pw_encoder_cpu *e)
{
    return e->width + e->kernels->panel;
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

bool pw_scratch_take(pw_scratch *s, const pw_encoder_cpu *e, const pw_scratch_need *need)
{
    const size_t rows = need->rows, own = need->of == NULL ? rows : 0,
                 wide = padded(need->longest, e->kernels->panel);
    const size_t sizes[] = {own * stride_of(e),  own * stride_of(e), own * PW_CHUNK,
                            rows * 2 * e->head,  rows * e->head,     wide * e->head,
                            PW_SCORE_ROWS * wide};
    float **const parts[] = {&s->x[0],   &s->x[1], &s->inner, &s->asked,
                             &s->values, &s->keys, &s->scores};
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
    /* What lies beyond a row's width is added to. */
    memset(s->x[0], 0, sizes[0] * sizeof *s->x[0]);
    if (need->of != NULL) {
        s->x[0] = need->of->x[0];
        s->x[1] = need->of->x[1];
        s->inner = need->of->inner;
    }
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
    *s = (pw_scratch){.rows = 0};
}

static void words(const pw_encoder_cpu *e, const pw_ids *text, float *x)
{
    const pw_model *m = e->m;
    const size_t width = m->config.width;
    for (size_t i = 0; i < text->len; i++, x += stride_of(e)) {
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
        e->kernels->norm(x + i * stride_of(e), e->m->config.width, n->scale, n->shift,
                         e->m->config.epsilon);
    }
}

/* What one head attends to, of all rows: queries and keys side by side, values as panels over their numbers. */
static void mix_head(const pw_encoder_cpu *e, const pw_scratch *s, const float *x,
                     const pw_packed *p, size_t rows)
{
    const size_t width = e->m->config.width, panel = e->kernels->panel, both = 2 * e->head;
    const pw_multiply asked = {x,    stride_of(e), rows,     width, p->panels,
                               both, p->bias,      s->asked, both,  PW_PUT};
    e->kernels->multiply(&asked);
    for (size_t k = 0; k < e->head; k += panel) {
        const pw_multiply values = {x,
                                    stride_of(e),
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
            s->scores, wide, scores->rows, len,          values + k * s->rows,
            panel,     NULL, heads + k,    stride_of(e), PW_PUT};
        e->kernels->multiply(&mixed);
    }
}

/* One head of one text, whose first row is `first`; what it comes to goes to `heads`. */
static void attend(const pw_encoder_cpu *e, pw_scratch *s, size_t first, size_t len, float *heads)
{
    const size_t size = e->m->config.width / e->m->config.heads, panel = e->kernels->panel,
                 wide = padded(len, panel);
    const float *queries = s->asked + first * 2 * e->head;
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
        attend_rows(e, s, &scores, s->values + first * panel, heads + i * stride_of(e));
    }
}

/* Both matrices, a chunk of what is between them at a time. The sum grows where the heads were, since x is read until the last chunk. */
static void feed_forward(const pw_encoder_cpu *e, const pw_packed_layer *p, const float *x,
                         float *inner, float *sum, size_t rows)
{
    const size_t width = e->m->config.width, all = e->m->config.inner, stride = stride_of(e);
    const float *at = p->chunks;
    memcpy(sum, x, rows * stride * sizeof *sum);
    for (size_t first = 0; first < all; first += PW_CHUNK) {
        const size_t len = all - first < PW_CHUNK ? all - first : PW_CHUNK;
        const size_t wide = padded(len, e->kernels->panel);
        const pw_multiply up = {x,     stride,   rows,       width, at, wide, p->up_bias + first,
                                inner, PW_CHUNK, PW_PUT_GELU};
        at += wide * width;
        const pw_multiply down = {
            inner, PW_CHUNK, rows,  len, at, e->width, first == 0 ? p->down_bias : NULL,
            sum,   stride,   PW_ADD};
        at += e->width * len;
        e->kernels->multiply(&up);
        e->kernels->multiply(&down);
    }
}

void pw_group_words(const pw_group *g, const pw_scratch *s)
{
    size_t rows = 0;
    for (size_t i = 0; i < g->len; i++) {
        words(g->e, &g->texts[i], s->x[0] + rows * stride_of(g->e));
        rows += g->texts[i].len;
    }
}

void pw_group_attend(const pw_group *g, pw_scratch *s, uint32_t number, const pw_span *heads)
{
    const pw_encoder_cpu *e = g->e;
    const pw_packed_layer *p = &e->layers[number];
    const pw_model_config *c = &e->m->config;
    const size_t of_head = 3 * e->head;
    const float *x = s->x[number % 2];
    for (size_t head = heads->first; head < heads->end; head++) {
        const pw_packed mix = {p->mix.panels + head * of_head * c->width,
                               p->mix.bias + head * of_head};
        float *to = s->x[1 - number % 2] + head * (c->width / c->heads);
        mix_head(e, s, x, &mix, g->rows);
        for (size_t first = 0, i = 0; first < g->rows; first += g->texts[i++].len) {
            attend(e, s, first, g->texts[i].len, to + first * stride_of(e));
        }
    }
}

void pw_group_advance(const pw_group *g, const pw_scratch *s, uint32_t number, const pw_span *rows)
{
    const pw_encoder_cpu *e = g->e;
    const pw_packed_layer *p = &e->layers[number];
    const pw_layer *l = &e->m->layers[number];
    const size_t stride = stride_of(e), len = rows->end - rows->first;
    float *x = s->x[number % 2] + rows->first * stride,
          *heads = s->x[1 - number % 2] + rows->first * stride;
    const pw_multiply out = {heads,         stride,   len,         e->m->config.width,
                             p->out.panels, e->width, p->out.bias, x,
                             stride,        PW_ADD};
    if (len > 0) {
        e->kernels->multiply(&out);
        add_norm(e, x, len, &l->after_attention);
        feed_forward(e, p, x, s->inner + rows->first * PW_CHUNK, heads, len);
        add_norm(e, heads, len, &l->after_inner);
    }
}

static void pool(const pw_encoder_cpu *e, const float *x, size_t rows, float *vector)
{
    const pw_model_config *c = &e->m->config;
    const size_t len = c->pooling == PW_POOL_FIRST ? 1 : rows;
    double square = 0;
    for (size_t k = 0; k < c->width; k++) {
        double sum = 0;
        for (size_t i = 0; i < len; i++) {
            sum += (double)x[i * stride_of(e) + k];
        }
        vector[k] = (float)(sum / (double)len);
        square += (double)vector[k] * (double)vector[k];
    }
    const double length = c->normalize ? fmax(sqrt(square), 1e-12) : 1;
    for (size_t k = 0; k < c->width; k++) {
        vector[k] = (float)((double)vector[k] / length);
    }
}

void pw_group_pool(const pw_group *g, const pw_scratch *s)
{
    const pw_model_config *c = &g->e->m->config;
    size_t rows = 0;
    for (size_t i = 0; i < g->len; i++) {
        pool(g->e, s->x[c->layers % 2] + rows * stride_of(g->e), g->texts[i].len,
             g->vectors + i * c->width);
        rows += g->texts[i].len;
    }
}

void pw_group_encode(const pw_group *g, pw_scratch *s)
{
    const pw_model_config *c = &g->e->m->config;
    pw_group_words(g, s);
    for (uint32_t number = 0; number < c->layers; number++) {
        pw_group_attend(g, s, number, &(pw_span){0, c->heads});
        pw_group_advance(g, s, number, &(pw_span){0, g->rows});
    }
    pw_group_pool(g, s);
}
