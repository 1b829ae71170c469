/*
 * encode_reference.c - plain loops, every sum in double. One text at a time, no blocks, no tricks; never made faster, for it is the oracle.
 */
#include "activities/embed/encode_reference.h"

#include <math.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"

typedef struct rows {
    const pw_model *m;
    size_t len;
    double *x;     /* [len][width]: the rows between the layers */
    double *query; /* [len][width] each */
    double *key;
    double *value;
    double *mixed;
    double *inner;  /* [len][inner] */
    double *scores; /* [len] */
} rows;

static void linear(const double *x, size_t len, const pw_linear *l, size_t in, size_t out,
                   double *y)
{
    for (size_t i = 0; i < len; i++) {
        for (size_t o = 0; o < out; o++) {
            double sum = l->bias[o];
            for (size_t k = 0; k < in; k++) {
                sum += x[i * in + k] * (double)l->weight[o * in + k];
            }
            y[i * out + o] = sum;
        }
    }
}

static void norm_row(const pw_model *m, const pw_norm *n, double *row)
{
    const size_t width = m->config.width;
    double mean = 0, square = 0;
    for (size_t k = 0; k < width; k++) {
        mean += row[k] / (double)width;
    }
    for (size_t k = 0; k < width; k++) {
        square += (row[k] - mean) * (row[k] - mean) / (double)width;
    }
    const double scale = 1 / sqrt(square + (double)m->config.epsilon);
    for (size_t k = 0; k < width; k++) {
        row[k] = (row[k] - mean) * scale * (double)n->scale[k] + (double)n->shift[k];
    }
}

/* x = norm(x + y) */
static void add_norm(const rows *r, const double *y, const pw_norm *n)
{
    const size_t width = r->m->config.width;
    for (size_t i = 0; i < r->len; i++) {
        for (size_t k = 0; k < width; k++) {
            r->x[i * width + k] += y[i * width + k];
        }
        norm_row(r->m, n, r->x + i * width);
    }
}

static void words(const rows *r, const uint32_t *ids)
{
    const pw_model *m = r->m;
    const size_t width = m->config.width;
    for (size_t i = 0; i < r->len; i++) {
        for (size_t k = 0; k < width; k++) {
            r->x[i * width + k] = (double)m->words[ids[i] * width + k] +
                                  (double)m->positions[i * width + k] + (double)m->types[k];
        }
        norm_row(m, &m->norm, r->x + i * width);
    }
}

/* Numbers that add up to 1. */
static void softmax(double *scores, size_t len)
{
    double most = scores[0], sum = 0;
    for (size_t j = 1; j < len; j++) {
        most = scores[j] > most ? scores[j] : most;
    }
    for (size_t j = 0; j < len; j++) {
        scores[j] = exp(scores[j] - most);
        sum += scores[j];
    }
    for (size_t j = 0; j < len; j++) {
        scores[j] /= sum;
    }
}

/* Row i of one head: the values, each by how well its key fits the query. */
static void attend(const rows *r, size_t i, size_t head)
{
    const size_t width = r->m->config.width, size = width / r->m->config.heads, from = head * size;
    for (size_t j = 0; j < r->len; j++) {
        double dot = 0;
        for (size_t k = from; k < from + size; k++) {
            dot += r->query[i * width + k] * r->key[j * width + k];
        }
        r->scores[j] = dot / sqrt((double)size);
    }
    softmax(r->scores, r->len);
    for (size_t k = from; k < from + size; k++) {
        double sum = 0;
        for (size_t j = 0; j < r->len; j++) {
            sum += r->scores[j] * r->value[j * width + k];
        }
        r->mixed[i * width + k] = sum;
    }
}

static void layer(const rows *r, const pw_layer *l)
{
    const size_t width = r->m->config.width, inner = r->m->config.inner;
    linear(r->x, r->len, &l->query, width, width, r->query);
    linear(r->x, r->len, &l->key, width, width, r->key);
    linear(r->x, r->len, &l->value, width, width, r->value);
    for (size_t i = 0; i < r->len; i++) {
        for (size_t head = 0; head < r->m->config.heads; head++) {
            attend(r, i, head);
        }
    }
    linear(r->mixed, r->len, &l->out, width, width, r->query);
    add_norm(r, r->query, &l->after_attention);
    linear(r->x, r->len, &l->up, width, inner, r->inner);
    for (size_t k = 0; k < r->len * inner; k++) {
        r->inner[k] = 0.5 * r->inner[k] * (1 + erf(r->inner[k] * M_SQRT1_2));
    }
    linear(r->inner, r->len, &l->down, inner, width, r->query);
    add_norm(r, r->query, &l->after_inner);
}

static void pool(const rows *r, float *vector)
{
    const pw_model_config *c = &r->m->config;
    const size_t len = c->pooling == PW_POOL_FIRST ? 1 : r->len;
    double square = 0;
    for (size_t k = 0; k < c->width; k++) {
        double sum = 0;
        for (size_t i = 0; i < len; i++) {
            sum += r->x[i * c->width + k];
        }
        r->x[k] = sum / (double)len;
        square += r->x[k] * r->x[k];
    }
    const double length = c->normalize ? fmax(sqrt(square), 1e-12) : 1;
    for (size_t k = 0; k < c->width; k++) {
        vector[k] = (float)(r->x[k] / length);
    }
}

pawl_status pw_encode_reference(const pw_model *m, const uint32_t *ids, size_t len,
                                float *ret_vector, pawl_error *err)
{
    const size_t width = m->config.width;
    if (len < 1 || len > m->config.positions) {
        return pw_err(err, PAWL_INVALID, "%zu ids, 1 to %u allowed", len, m->config.positions);
    }
    for (size_t i = 0; i < len; i++) {
        if (ids[i] >= m->config.vocabulary) {
            return pw_err(err, PAWL_INVALID, "the id %u, the model has %u words", ids[i],
                          m->config.vocabulary);
        }
    }
    double *all = pw_malloc(len * (5 * width + m->config.inner + 1) * sizeof *all);
    if (all == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu rows", len);
    }
    const size_t step = len * width;
    const rows r = {m,
                    len,
                    all,
                    all + step,
                    all + 2 * step,
                    all + 3 * step,
                    all + 4 * step,
                    all + 5 * step,
                    all + 5 * step + len * m->config.inner};
    words(&r, ids);
    for (uint32_t i = 0; i < m->config.layers; i++) {
        layer(&r, &m->layers[i]);
    }
    pool(&r, ret_vector);
    pw_free(all);
    return PAWL_OK;
}
