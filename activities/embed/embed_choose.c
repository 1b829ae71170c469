/*
 * embed_choose.c - an opened model as what a chooser makes its vectors with. Does not choose and remembers nothing.
 */
#include <math.h>

#include "activities/embed/embedder.h"
#include "sdk/pawl_choose.h"

#define AT_ONCE 64u

static void normalize(float *vector, size_t width)
{
    double square = 0;
    for (size_t i = 0; i < width; i++) {
        square += (double)vector[i] * (double)vector[i];
    }
    const double length = sqrt(square) > 1e-12 ? sqrt(square) : 1;
    for (size_t i = 0; i < width; i++) {
        vector[i] = (float)((double)vector[i] / length);
    }
}

static pawl_status embed(void *user, bool queries, const pawl_choose_text *texts, size_t len,
                         float *ret_vectors, pawl_error *err)
{
    const pawl_embedder *e = user;
    const size_t width = e->model->config.width;
    pawl_embed_text some[AT_ONCE];
    pawl_status status = PAWL_OK;
    for (size_t at = 0; at < len && status == PAWL_OK; at += AT_ONCE) {
        const size_t n = len - at < AT_ONCE ? len - at : AT_ONCE;
        for (size_t i = 0; i < n; i++) {
            some[i] = (pawl_embed_text){texts[at + i].data, texts[at + i].size};
        }
        const pawl_embed_request r = {.struct_size = sizeof r,
                                      .role = queries ? PAWL_EMBED_QUERY : PAWL_EMBED_TEXT,
                                      .texts = some,
                                      .len = n,
                                      .vectors = ret_vectors + at * width};
        status = pawl_embed_run(e, &r, err);
    }
    for (size_t i = 0; i < len && status == PAWL_OK && !e->model->config.normalize; i++) {
        normalize(ret_vectors + i * width, width);
    }
    return status;
}

void pawl_embed_vectors(pawl_embedder *embedder, struct pawl_choose_vectors *ret_vectors)
{
    *ret_vectors = (pawl_choose_vectors){.struct_size = sizeof *ret_vectors,
                                         .embed = embed,
                                         .user = embedder,
                                         .width = (uint32_t)embedder->model->config.width,
                                         .identity = embedder->identity};
}
