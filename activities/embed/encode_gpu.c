/*
 * encode_gpu.c - one device's encoder: hands a model over, packs the ids of texts. Knows no CUDA, and chooses no device.
 */
#include "activities/embed/encode_gpu.h"

#include "activities/embed/gpu_library.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

struct pw_encoder_gpu {
    const pw_cuda_ops *ops;
    pw_cuda_encoder *encoder;
};

static pw_cuda_linear linear_of(const pw_linear *l)
{
    return (pw_cuda_linear){l->weight, l->bias};
}

static pw_cuda_norm norm_of(const pw_norm *n)
{
    return (pw_cuda_norm){n->scale, n->shift};
}

static void describe(const pw_model *m, pw_cuda_model *to)
{
    const pw_model_config *c = &m->config;
    *to = (pw_cuda_model){.layers = c->layers,
                          .width = c->width,
                          .heads = c->heads,
                          .inner = c->inner,
                          .vocabulary = c->vocabulary,
                          .positions = c->positions,
                          .epsilon = c->epsilon,
                          .first = c->pooling == PW_POOL_FIRST,
                          .normalize = c->normalize,
                          .without = pw_gpu_without(),
                          .words = m->words,
                          .position_rows = m->positions,
                          .types = m->types,
                          .norm = norm_of(&m->norm)};
    for (uint32_t i = 0; i < c->layers; i++) {
        const pw_layer *l = &m->layers[i];
        to->layer[i] = (pw_cuda_layer){
            linear_of(&l->query),         linear_of(&l->key),      linear_of(&l->value),
            linear_of(&l->out),           linear_of(&l->up),       linear_of(&l->down),
            norm_of(&l->after_attention), norm_of(&l->after_inner)};
    }
}

static pawl_status open_device(pw_encoder_gpu *e, const pw_model *m, int device, size_t tokens,
                               pawl_error *err)
{
    char message[PW_CUDA_MESSAGE_BYTES] = "";
    const int there = e->ops->devices(message);
    if (device >= there) {
        return pw_err(err, PAWL_NOTFOUND, "no GPU: %d devices%s%s", there,
                      message[0] != '\0' ? ", " : "", message);
    }
    pw_cuda_model *model = pw_malloc(sizeof *model);
    if (model == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a model");
    }
    describe(m, model);
    const pw_cuda_status status = e->ops->open(device, model, tokens, &e->encoder, message);
    pw_free(model);
    return pw_gpu_status(status, message, err);
}

pawl_status pw_encoder_gpu_open(const pw_model *m, const char *path, int device, size_t tokens,
                                pw_encoder_gpu **ret_encoder, pawl_error *err)
{
    _Static_assert(PW_CUDA_LAYERS_MAX >= PW_EMBED_LAYERS_MAX, "every model has room");
    pw_encoder_gpu *e = pw_calloc(1, sizeof *e);
    if (e == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for an encoder");
    }
    pawl_status status = pw_gpu_library(path, &e->ops, err);
    status = status == PAWL_OK ? open_device(e, m, device, tokens, err) : status;
    if (status != PAWL_OK) {
        pw_encoder_gpu_close(e);
        return status;
    }
    *ret_encoder = e;
    return PAWL_OK;
}

void pw_encoder_gpu_close(pw_encoder_gpu *e)
{
    if (e != NULL) {
        if (e->encoder != NULL) {
            e->ops->close(e->encoder);
        }
        pw_free(e);
    }
}

pawl_status pw_encode_gpu_put(pw_encoder_gpu *e, const pw_ids *texts, size_t len,
                              float *ret_vectors, pawl_error *err)
{
    char message[PW_CUDA_MESSAGE_BYTES] = "";
    size_t tokens = 0;
    for (size_t i = 0; i < len; i++) {
        tokens += texts[i].len;
    }
    if (tokens > UINT32_MAX) {
        return pw_err(err, PAWL_LIMIT, "%zu tokens at a time", tokens);
    }
    uint32_t *ids = pw_malloc((tokens + len + 1) * sizeof *ids);
    if (ids == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu texts", len);
    }
    uint32_t *begins = ids + tokens;
    begins[0] = 0;
    for (size_t i = 0; i < len; i++) {
        if (texts[i].len > 0) {
            memcpy(ids + begins[i], texts[i].ids, texts[i].len * sizeof *ids);
        }
        begins[i + 1] = begins[i] + (uint32_t)texts[i].len;
    }
    const pw_cuda_status status =
        e->ops->put(e->encoder, &(pw_cuda_texts){ids, begins, len}, ret_vectors, message);
    pw_free(ids);
    return pw_gpu_status(status, message, err);
}

pawl_status pw_encode_gpu_finish(pw_encoder_gpu *e, pawl_error *err)
{
    char message[PW_CUDA_MESSAGE_BYTES] = "";
    return pw_gpu_status(e->ops->finish(e->encoder, message), message, err);
}

pawl_status pw_encode_gpu(pw_encoder_gpu *e, const pw_ids *texts, size_t len, float *ret_vectors,
                          pawl_error *err)
{
    const pawl_status status = pw_encode_gpu_put(e, texts, len, ret_vectors, err);
    return status == PAWL_OK ? pw_encode_gpu_finish(e, err) : status;
}

double pw_encode_gpu_kernel_ms(const pw_encoder_gpu *e)
{
    return (double)e->ops->kernel_ms(e->encoder);
}
