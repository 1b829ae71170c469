/*
 * weights.cu - a model's weights onto the device: matrices and embeddings as 16-bit numbers, what belongs to norms as it is. Copies while opening, once.
 */
#include "activities/embed/cuda/encoder.cuh"

namespace
{
bool put_floats(pw_cuda_encoder *e, const float *from, size_t len, float4 **ret)
{
    return e->take(len / 4, ret) && e->o.good(cudaMemcpy(*ret, from, len * sizeof *from, cudaMemcpyHostToDevice), "weights");
}

bool put_halves(pw_cuda_encoder *e, const std::vector<__half> &from, __half **ret)
{
    return e->take(from.size(), ret) && e->o.good(cudaMemcpy(*ret, from.data(), from.size() * sizeof(__half), cudaMemcpyHostToDevice), "weights");
}

void add_halves(std::vector<__half> &to, const float *from, size_t len)
{
    to.reserve(to.size() + len);
    for (size_t i = 0; i < len; i++) {
        to.push_back(__float2half_rn(from[i]));
    }
}

/* Matrices [out][in], one below the other, as one. */
bool put_matrix(pw_cuda_encoder *e, const pw_cuda_linear *const *from, int count, int out, int in, pw_matrix *to)
{
    std::vector<__half> weight, bias;
    for (int i = 0; i < count; i++) {
        add_halves(weight, from[i]->weight, size_t(out) * size_t(in));
        add_halves(bias, from[i]->bias, size_t(out));
    }
    to->out = count * out;
    to->in = in;
    return put_halves(e, weight, &to->weight) && put_halves(e, bias, &to->bias);
}

bool put_norm(pw_cuda_encoder *e, const pw_cuda_norm &from, pw_norm_pair *to)
{
    return put_floats(e, from.scale, size_t(e->width), &to->scale) && put_floats(e, from.shift, size_t(e->width), &to->shift);
}

bool put_layer(pw_cuda_encoder *e, const pw_cuda_layer &from, pw_layer_there *to)
{
    const pw_cuda_linear *const mix[] = {&from.query, &from.key, &from.value};
    const pw_cuda_linear *const out[] = {&from.out}, *const up[] = {&from.up}, *const down[] = {&from.down};
    return put_matrix(e, mix, 3, e->width, e->width, &to->of[0]) && put_matrix(e, out, 1, e->width, e->width, &to->of[1]) &&
           put_matrix(e, up, 1, e->inner, e->width, &to->of[2]) && put_matrix(e, down, 1, e->width, e->inner, &to->of[3]) &&
           put_norm(e, from.after_attention, &to->after_attention) && put_norm(e, from.after_inner, &to->after_inner);
}
} // namespace

bool pw_weights_put(pw_cuda_encoder *e, const pw_cuda_model *m)
{
    std::vector<__half> words, positions;
    add_halves(words, m->words, size_t(m->vocabulary) * m->width);
    add_halves(positions, m->position_rows, size_t(m->positions) * m->width);
    if (!put_halves(e, words, &e->weights.words) || !put_halves(e, positions, &e->weights.positions) ||
        !put_floats(e, m->types, m->width, &e->weights.types) || !put_norm(e, m->norm, &e->weights.norm)) {
        return false;
    }
    for (uint32_t i = 0; i < m->layers; i++) {
        if (!put_layer(e, m->layer[i], &e->weights.layer[i])) {
            return false;
        }
    }
    return true;
}
