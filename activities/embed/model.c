/*
 * model.c - a model's folder opened: weights are looked up by name, checked against the sizes of config.json, and kept as floats in one block.
 *
 * Does not compute: encode_reference.c and encode_cpu.c do. The pooler's own layer and position_ids are not read.
 */
#include "activities/embed/model.h"

#include <stdio.h>

#include "activities/embed/half.h"
#include "activities/embed/json_file.h"
#include "activities/embed/safetensors.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

typedef struct loader {
    const pw_tensors *tensors;
    pw_model *m;
    float *next; /* NULL: only counts */
    size_t len;
    const char *prefix;
    pawl_status status;
    pawl_error *err;
} loader;

/* By their bits: an exponent of ones is that of no number and of the infinite. */
static bool are_finite(const float *numbers, size_t len)
{
    bool ok = true;
    for (size_t i = 0; i < len; i++) {
        ok &= (pw_bits_of_float(numbers[i]) & 0x7f800000u) != 0x7f800000u;
    }
    return ok;
}

/* Takes a tensor by name with rows x columns numbers (columns 0: one dimension). Sticky: after a failure nothing is taken. */
static const float *take(loader *l, const char *name, uint32_t rows, uint32_t columns)
{
    char full[200];
    if (l->status != PAWL_OK) {
        return NULL;
    }
    (void)snprintf(full, sizeof full, "%s%s", l->prefix, name);
    const pw_tensor *t = pw_tensors_find(l->tensors, full);
    if (t == NULL) {
        l->status = pw_err(l->err, PAWL_NOTFOUND, "the weights lack %s", full);
        return NULL;
    }
    const bool fits = t->dtype != PW_OTHER && t->dims_len == (columns > 0 ? 2 : 1) &&
                      t->dims[0] == rows && (columns == 0 || t->dims[1] == columns);
    if (!fits) {
        l->status =
            pw_err(l->err, PAWL_PARSE, "%s is not what config.json says: %u x %u floating numbers",
                   full, rows, columns);
        return NULL;
    }
    const size_t len = (size_t)pw_tensor_len(t);
    float *at = l->next;
    if (at != NULL) {
        pw_tensor_floats(l->tensors, t, 0, at, len);
        l->next += len;
        if (!are_finite(at, len)) {
            l->status =
                pw_err(l->err, PAWL_PARSE, "%s has a weight that is no finite number", full);
        }
    }
    l->len += len;
    return at;
}

static pw_linear take_linear(loader *l, unsigned layer, const char *name, uint32_t out, uint32_t in)
{
    char full[150];
    pw_linear linear;
    (void)snprintf(full, sizeof full, "encoder.layer.%u.%s.weight", layer, name);
    linear.weight = take(l, full, out, in);
    (void)snprintf(full, sizeof full, "encoder.layer.%u.%s.bias", layer, name);
    linear.bias = take(l, full, out, 0);
    return linear;
}

static pw_norm take_norm(loader *l, const char *name)
{
    char full[150];
    pw_norm norm;
    (void)snprintf(full, sizeof full, "%s.weight", name);
    norm.scale = take(l, full, l->m->config.width, 0);
    (void)snprintf(full, sizeof full, "%s.bias", name);
    norm.shift = take(l, full, l->m->config.width, 0);
    return norm;
}

static void take_layer(loader *l, unsigned i)
{
    char name[100];
    const pw_model_config *c = &l->m->config;
    pw_layer *to = &l->m->layers[i];
    to->query = take_linear(l, i, "attention.self.query", c->width, c->width);
    to->key = take_linear(l, i, "attention.self.key", c->width, c->width);
    to->value = take_linear(l, i, "attention.self.value", c->width, c->width);
    to->out = take_linear(l, i, "attention.output.dense", c->width, c->width);
    (void)snprintf(name, sizeof name, "encoder.layer.%u.attention.output.LayerNorm", i);
    to->after_attention = take_norm(l, name);
    to->up = take_linear(l, i, "intermediate.dense", c->inner, c->width);
    to->down = take_linear(l, i, "output.dense", c->width, c->inner);
    (void)snprintf(name, sizeof name, "encoder.layer.%u.output.LayerNorm", i);
    to->after_inner = take_norm(l, name);
}

static void take_all(loader *l)
{
    const pw_model_config *c = &l->m->config;
    pw_model *m = l->m;
    m->words = take(l, "embeddings.word_embeddings.weight", c->vocabulary, c->width);
    m->positions = take(l, "embeddings.position_embeddings.weight", c->positions, c->width);
    m->types = take(l, "embeddings.token_type_embeddings.weight", c->types, c->width);
    m->norm = take_norm(l, "embeddings.LayerNorm");
    for (unsigned i = 0; i < c->layers; i++) {
        take_layer(l, i);
    }
}

static pawl_status load(pw_model *m, const pw_tensors *tensors, pawl_error *err)
{
    const bool bare = pw_tensors_find(tensors, "embeddings.word_embeddings.weight") != NULL;
    loader l = {
        .tensors = tensors, .m = m, .prefix = bare ? "" : "bert.", .err = err, .status = PAWL_OK};
    take_all(&l); /* what is there is measured before memory is asked for */
    if (l.status != PAWL_OK) {
        return l.status;
    }
    m->numbers = pw_malloc(l.len * sizeof *m->numbers);
    m->numbers_len = l.len;
    if (m->numbers == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu weights", l.len);
    }
    l.next = m->numbers;
    take_all(&l);
    return l.status;
}

pawl_status pw_model_weights_read(pw_model *m, const void *file, size_t size, pawl_error *err)
{
    pw_tensors tensors;
    pawl_status status = pw_tensors_init(&tensors, file, size, err);
    if (status == PAWL_OK) {
        status = load(m, &tensors, err);
        pw_tensors_deinit(&tensors);
    }
    return status;
}

static pawl_status read_weights(pw_model *m, const char *folder, pawl_error *err)
{
    static const char *const names[] = {"model.safetensors", "model.fp16.safetensors"};
    PW_CLEANUP(pw_buf_deinit) pw_buf file = PW_BUF_INIT;
    pawl_status status = PAWL_NOTFOUND;
    for (size_t i = 0; i < PW_COUNT(names) && status == PAWL_NOTFOUND; i++) {
        status = pw_model_file_read(folder, names[i], PW_WEIGHTS_BYTES_MAX, &file, err);
    }
    status = status == PAWL_OK ? pw_model_weights_read(m, file.data, file.size, err) : status;
    return status == PAWL_OK ? PAWL_OK : pw_error_wrap(err, status, "weights");
}

pawl_status pw_model_open(const char *folder, pw_model **ret_model, pawl_error *err)
{
    pw_model *m = pw_calloc(1, sizeof *m);
    if (m == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a model");
    }
    pawl_status status = pw_model_config_read(folder, &m->config, err);
    status = status == PAWL_OK ? pw_wordpiece_open(folder, &m->tokenizer, err) : status;
    if (status == PAWL_OK && m->tokenizer->pieces.ids_end > m->config.vocabulary) {
        status = pw_err(err, PAWL_PARSE, "the tokenizer has the id %u, the model %u words",
                        m->tokenizer->pieces.ids_end - 1, m->config.vocabulary);
    }
    if (status == PAWL_OK && m->config.lower && !m->tokenizer->normal.lower) {
        status =
            pw_err(err, PAWL_UNSUPPORTED,
                   "sentence_bert_config.json: do_lower_case before a tokenizer that is cased");
    }
    status = status == PAWL_OK ? read_weights(m, folder, err) : status;
    if (status != PAWL_OK) {
        pw_model_close(m);
        return status;
    }
    *ret_model = m;
    return PAWL_OK;
}

/* The first `len` numbers behind *at; *at is moved behind them. */
static const float *pass(const float **at, size_t len)
{
    const float *from = *at;
    *at += len;
    return from;
}

static void pass_norm(const float **at, pw_norm *norm, size_t width)
{
    norm->scale = pass(at, width);
    norm->shift = pass(at, width);
}

/* Where things are in a trimmed block. */
static void place_kept(pw_model *m)
{
    static const pw_linear none = {NULL, NULL};
    const pw_model_config *c = &m->config;
    const float *at = m->numbers;
    m->words = pass(&at, (size_t)c->vocabulary * c->width);
    m->positions = pass(&at, (size_t)c->positions * c->width);
    m->types = pass(&at, (size_t)c->types * c->width);
    pass_norm(&at, &m->norm, c->width);
    for (uint32_t i = 0; i < c->layers; i++) {
        pw_layer *l = &m->layers[i];
        l->query = l->key = l->value = l->out = l->up = l->down = none;
        pass_norm(&at, &l->after_attention, c->width);
        pass_norm(&at, &l->after_inner, c->width);
    }
}

static float *keep(float *to, const pw_norm *norm, size_t width)
{
    memmove(to, norm->scale, width * sizeof *to);
    memmove(to + width, norm->shift, width * sizeof *to);
    return to + 2 * width;
}

/* The tables stand first in the block. The norms of the layers move up behind them, each over what is not needed any more; then the block ends there. */
void pw_model_trim(pw_model *m)
{
    const pw_model_config *c = &m->config;
    float *to = m->numbers + ((size_t)c->vocabulary + c->positions + c->types + 2) * c->width;
    for (uint32_t i = 0; i < c->layers; i++) {
        to = keep(to, &m->layers[i].after_attention, c->width);
        to = keep(to, &m->layers[i].after_inner, c->width);
    }
    m->numbers_len = (size_t)(to - m->numbers);
    float *less = pw_realloc(m->numbers, m->numbers_len * sizeof *less);
    m->numbers = less != NULL ? less : m->numbers;
    place_kept(m);
}

void pw_model_close(pw_model *m)
{
    if (m != NULL) {
        pw_wordpiece_close(m->tokenizer);
        pw_free(m->numbers);
        pw_free(m);
    }
}
