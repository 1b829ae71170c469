/*
 * pass.cu - the kernels of a pass in their order, launched one by one or, from the third time on, as a recorded graph. What is launched depends on the room of
 * the pass and on the class of its longest text, never on its texts: those the kernels read from the device.
 */
#include "activities/embed/cuda/encoder.cuh"

#include "activities/embed/cuda/attend.cuh"
#include "activities/embed/cuda/multiply.cuh"
#include "activities/embed/cuda/plain.cuh"
#include "activities/embed/cuda/rows.cuh"

#include <math.h>

/* Each a multiple of the rows of a block; a pass fills at least two thirds of its room, but for the smallest. */
const size_t pw_rooms[pw_rooms_len] = {16,   32,   64,   128,  192,  256,   384,   512,   768,   1024,  1536,  2048,
                                       3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65536, 98304, 0};

namespace
{
constexpr unsigned row_threads = 32 * row_warps;
constexpr size_t own_room_max = 64;  /* tokens of a pass whose products are own kernels */
constexpr size_t trial_room_min = 512; /* tokens of a pass for which products of cuBLASLt are timed */

/* How attention is launched for texts of up to len tokens. */
struct attention {
    int len, heads_at_once;
    unsigned threads;
};
const attention attention_of[pw_lengths_len] = {{32, 4, 128}, {64, 2, 128}, {128, 1, 128}, {256, 1, 256}, {512, 1, 256}};

struct pass {
    pw_cuda_encoder *e;
    pw_slot *s;
    size_t room, room_at; /* tokens; which of pw_rooms */
    attention attend;
    pw_pass_texts texts;
};

int heads_at_once(const attention &a, int heads)
{
    int some = a.heads_at_once;
    while (heads % some != 0) {
        some /= 2;
    }
    return some;
}

size_t attend_bytes(const attention &a, int heads)
{
    return size_t(heads_at_once(a, heads)) * size_t(a.len) * head_row * 2 * sizeof(__half);
}

template <int steps> bool gather_by(const pass &p)
{
    const pw_weights &w = p.e->weights;
    return pw_launch(&p.e->o, "words", {unsigned(p.room / row_warps), row_threads, 0}, p.s->stream, gather_norm<steps>, p.texts.ids, p.texts.places, w.words,
                     w.positions, w.types, w.norm.scale, w.norm.shift, p.e->width / 4, p.e->epsilon, p.s->x);
}

template <int steps> bool add_by(const pass &p, const pw_norm_pair &norm)
{
    return pw_launch(&p.e->o, "a norm", {unsigned(p.room / row_warps), row_threads, 0}, p.s->stream, add_norm<steps>, p.s->x, p.s->y, norm.scale, norm.shift,
                     p.e->width / 4, p.e->epsilon);
}

bool gather(const pass &p)
{
    return p.e->width <= 384 ? gather_by<3>(p) : p.e->width <= 1024 ? gather_by<8>(p) : gather_by<32>(p);
}

bool add(const pass &p, const pw_norm_pair &norm)
{
    return p.e->width <= 384 ? add_by<3>(p, norm) : p.e->width <= 1024 ? add_by<8>(p, norm) : add_by<32>(p, norm);
}

bool attend_all(const pass &p)
{
    const int heads = p.e->heads, some = heads_at_once(p.attend, heads);
    const size_t bytes = attend_bytes(p.attend, heads), items = p.room * size_t(heads / some);
    const unsigned blocks = unsigned(items < size_t(p.e->blocks_at_once) ? items : size_t(p.e->blocks_at_once));
    const float scale = 1.44269504f / sqrtf(float(head_size)); /* with log2(e): powers of two are cheaper */
    if (p.e->without & PW_CUDA_WITHOUT_TENSORS) {
        return pw_launch(&p.e->o, "plain attention", {unsigned(p.e->blocks_at_once), plain_threads, 0}, p.s->stream, attend_plain, p.s->mix, p.texts, p.e->width,
                         heads, scale, p.s->heads);
    }
    return pw_launch(&p.e->o, "attention", {blocks, p.attend.threads, bytes}, p.s->stream, attend, p.s->mix, p.texts, p.e->width, heads, some, p.attend.len,
                     scale, p.s->heads);
}

bool pool_all(const pass &p)
{
    const size_t row = size_t(p.e->width) * sizeof(float), warps = 32768 / row < 8 ? 32768 / row : 8;
    const unsigned blocks = unsigned(p.room < size_t(p.e->blocks_at_once) ? p.room : size_t(p.e->blocks_at_once));
    return pw_launch(&p.e->o, "pooling", {blocks, unsigned(32 * warps), warps * row}, p.s->stream, pool, p.s->x, p.texts, p.e->width / 4, p.e->first,
                     p.e->normalize, p.s->vectors_of_device);
}

/* Whether a product is an own kernel; a few rows are, unless there is to be none. */
bool is_own(const pass &p)
{
    return (p.e->without & PW_CUDA_WITHOUT_LT) != 0 || (p.room <= own_room_max && (p.e->without & PW_CUDA_WITHOUT_OWN) == 0);
}

bool multiply_own(const pass &p, const pw_matrix &m, int curved, const __half *from, __half *to)
{
    const uint32_t plain = PW_CUDA_WITHOUT_LT | PW_CUDA_WITHOUT_OWN;
    if ((p.e->without & PW_CUDA_WITHOUT_TENSORS) != 0 || (p.e->without & plain) == plain) {
        const size_t blocks = (p.room * size_t(m.out) + plain_threads - 1) / plain_threads;
        return pw_launch(&p.e->o, "a plain product", {unsigned(blocks < 8192 ? blocks : 8192), plain_threads, 0}, p.s->stream, multiply_plain, from, m.weight,
                         m.bias, m.out, m.in, curved, p.room, to);
    }
    return pw_launch(&p.e->o, "an own product", {unsigned(p.room / multiply_rows * size_t(m.out / multiply_columns)), 32 * multiply_warps, multiply_bytes},
                     p.s->stream, multiply, from, m.weight, m.bias, m.out, m.in, curved, to);
}

bool multiply_lt(const pass &p, const pw_matrix &m, int kind, const __half *from, __half *to)
{
    return p.e->product[p.room_at * pw_products + size_t(kind)].run(&p.e->o, p.e->lt, m, from, to, p.s->workspace, p.s->stream);
}

/* to = from times a matrix of the layer. curved: and GELU. */
bool product(const pass &p, const pw_layer_there &l, int kind, int curved, const __half *from, __half *to)
{
    const pw_matrix &m = l.of[kind];
    const size_t eights = p.room * size_t(m.out) / 8;
    if (is_own(p)) {
        return multiply_own(p, m, curved, from, to);
    }
    return multiply_lt(p, m, kind, from, to) &&
           (!curved || pw_launch(&p.e->o, "GELU", {unsigned((eights + 255) / 256), 256, 0}, p.s->stream, gelu, to, eights));
}

bool run_layer(const pass &p, const pw_layer_there &l)
{
    return product(p, l, 0, 0, p.s->x, p.s->mix) && attend_all(p) && product(p, l, 1, 0, p.s->heads, p.s->y) && add(p, l.after_attention) &&
           product(p, l, 2, 1, p.s->x, p.s->up) && product(p, l, 3, 0, p.s->up, p.s->y) && add(p, l.after_inner);
}

bool run_kernels(const pass &p)
{
    bool good = gather(p);
    for (int i = 0; i < p.e->layers && good; i++) {
        good = run_layer(p, p.e->weights.layer[i]);
    }
    return good && pool_all(p);
}

bool put_numbers(const pass &p, __half *to, int width)
{
    const size_t len = p.room * size_t(width);
    return pw_launch(&p.e->o, "numbers to try", {unsigned((len + 255) / 256), 256, 0}, p.s->stream, some_numbers, to, len);
}

/* The products of a room are chosen before they are recorded, those of many rows by a trial, in the slot of this pass, which computes nothing at the time. */
bool make_products(const pass &p)
{
    const pw_slot *const s = p.s;
    __half *const from[pw_products] = {s->x, s->heads, s->x, s->up}, *const to[pw_products] = {s->mix, s->y, s->up, s->y};
    pw_product *const all = &p.e->product[p.room_at * pw_products];
    const bool tried = p.room >= trial_room_min && (p.e->without & PW_CUDA_WITHOUT_TRIAL) == 0;
    if (is_own(p) || p.e->layers == 0 || all[pw_products - 1].made) {
        return true;
    }
    if (tried && !(put_numbers(p, s->x, p.e->width) && put_numbers(p, s->heads, p.e->width) && put_numbers(p, s->up, p.e->inner))) {
        return false;
    }
    for (int kind = 0; kind < pw_products; kind++) {
        const pw_trial trial = {from[kind], to[kind], s->workspace, s->stream, s->begun, s->ended};
        if (!all[kind].make(&p.e->o, p.e->lt, p.e->weights.layer[0].of[kind], p.room, tried ? &trial : nullptr)) {
            return false;
        }
    }
    return true;
}

/* Whether the pass could be recorded. What fails here is no error: the kernels then go one by one, as before. */
bool record(const pass &p, cudaGraphExec_t *ret_exec)
{
    pw_outcome kept = p.e->o;
    cudaGraph_t graph = nullptr;
    if (cudaStreamBeginCapture(p.s->stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    const bool launched = run_kernels(p), ended = cudaStreamEndCapture(p.s->stream, &graph) == cudaSuccess && graph != nullptr;
    const bool made = launched && ended && cudaGraphInstantiate(ret_exec, graph, 0) == cudaSuccess;
    if (graph != nullptr) {
        (void)cudaGraphDestroy(graph);
    }
    if (!made) {
        (void)cudaGetLastError();
        *ret_exec = nullptr;
        kept.message[0] = '\0';
        p.e->o = kept;
    }
    return made;
}

bool launch(const pass &p, pw_graph *graph)
{
    graph->uses += graph->uses < 3 ? 1 : 0;
    if ((p.e->without & PW_CUDA_WITHOUT_GRAPHS) == 0 && graph->exec == nullptr && graph->uses == 2) {
        p.e->without |= record(p, &graph->exec) ? 0 : uint32_t(PW_CUDA_WITHOUT_GRAPHS);
    }
    return graph->exec != nullptr ? p.e->o.good(cudaGraphLaunch(graph->exec, p.s->stream), "a recorded pass") : run_kernels(p);
}
} // namespace

bool pw_pass_init(pw_cuda_encoder *e)
{
    int processors = 0, least = 0;
    size_t most_bytes = 0;
    for (const attention &a : attention_of) {
        most_bytes = attend_bytes(a, e->heads) > most_bytes ? attend_bytes(a, e->heads) : most_bytes;
    }
    if (!e->o.good(cudaFuncSetAttribute(attend, cudaFuncAttributeMaxDynamicSharedMemorySize, int(most_bytes)), "shared memory") ||
        !e->o.good(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, e->device), "the device") ||
        !e->o.good(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&least, attend, 128, attend_bytes(attention_of[2], e->heads)), "the device")) {
        return false;
    }
    e->blocks_at_once = processors * (least > 0 ? least : 1);
    return true;
}

bool pw_pass_begin(pw_cuda_encoder *e, pw_slot *s, size_t room, uint32_t longest)
{
    size_t at = 0;
    while (uint32_t(attention_of[at].len) < longest) {
        at++;
    }
    const pass p = {e, s, pw_rooms[room], room, attention_of[at], pw_pass_of(s->texts, pw_rooms[room])};
    return make_products(p) &&
           e->o.good(cudaMemcpyAsync(s->texts, s->staged, pw_pass_bytes(p.room), cudaMemcpyHostToDevice, s->stream), "texts") &&
           e->o.good(cudaEventRecord(s->begun, s->stream), "an event") && launch(p, &s->graphs[room * pw_lengths_len + at]) &&
           e->o.good(cudaEventRecord(s->ended, s->stream), "an event");
}
