/*
 * encoder.cu - texts into passes, passes into two slots, vectors out again: while the device computes one, the host stages the next. Rows of many texts lie
 * packed, without padding between them; a pass takes as many whole texts as there is room for.
 *
 * No exit, no global: every call is checked, and what fails is said to the caller, who goes on without the device. Does not tokenise and does not choose a
 * device.
 */
#include "activities/embed/cuda/encoder.cuh"

#include "activities/embed/cuda/library.h"

#include <new>
#include <string.h>

namespace
{
/* ---- a pass ---- */

/* Texts first to last - 1 of a call. */
struct portion {
    size_t first, last, tokens;
    uint32_t longest;
};

uint32_t len_of(const pw_cuda_texts *texts, size_t i)
{
    return texts->begins[i + 1] - texts->begins[i];
}

portion take_portion(const pw_cuda_encoder *e, const pw_cuda_texts *texts, size_t first)
{
    portion p = {first, first, 0, 0};
    while (p.last < texts->len && p.tokens + len_of(texts, p.last) <= e->tokens) {
        const uint32_t len = len_of(texts, p.last++);
        p.tokens += len;
        p.longest = len > p.longest ? len : p.longest;
    }
    return p;
}

size_t room_for(size_t tokens)
{
    size_t room = 0;
    while (pw_rooms[room] < tokens) {
        room++;
    }
    return room;
}

/* The longest first: by counting, equal ones in the order of the call. */
void put_order(const pw_cuda_texts *texts, const portion &p, uint32_t *order)
{
    uint32_t at[PW_CUDA_TOKENS_MAX + 2] = {0}; /* at[n]: how many are of n - 1 tokens or more */
    for (size_t i = p.first; i < p.last; i++) {
        at[len_of(texts, i)]++;
    }
    uint32_t before = 0;
    for (size_t len = PW_CUDA_TOKENS_MAX + 1; len-- > 0;) {
        const uint32_t some = at[len];
        at[len] = before;
        before += some;
    }
    for (size_t i = p.first; i < p.last; i++) {
        order[at[len_of(texts, i)]++] = uint32_t(i - p.first);
    }
}

void stage(pw_slot *s, const pw_cuda_texts *texts, const portion &p, size_t room)
{
    const pw_pass_texts to = pw_pass_of(s->staged, room);
    *to.head = {uint32_t(p.tokens), uint32_t(p.last - p.first), {0, 0}};
    uint32_t at = 0;
    for (size_t i = p.first; i < p.last; i++) {
        const uint32_t len = len_of(texts, i);
        to.begins[i - p.first] = at;
        for (uint32_t k = 0; k < len; k++, at++) {
            to.ids[at] = texts->ids[texts->begins[i] + k];
            to.places[at] = k;
        }
    }
    to.begins[p.last - p.first] = at;
    (void)memset(to.ids + at, 0, (room - at) * sizeof *to.ids);
    (void)memset(to.places + at, 0, (room - at) * sizeof *to.places);
    put_order(texts, p, to.order);
}

/* The slot's pass, if it has one, is done and its vectors are where they belong. */
bool wait_slot(pw_cuda_encoder *e, pw_slot *s)
{
    float ms = 0;
    if (!s->busy) {
        return true;
    }
    s->busy = false;
    if (!e->o.good(cudaEventSynchronize(s->ended), "a pass") || !e->o.good(cudaEventElapsedTime(&ms, s->begun, s->ended), "an event")) {
        return false;
    }
    (void)memcpy(s->to, s->vectors, s->numbers * sizeof *s->to);
    e->kernel_ms_so_far += ms;
    return true;
}

bool put_portion(pw_cuda_encoder *e, const pw_cuda_texts *texts, const portion &p, float *vectors)
{
    pw_slot *s = &e->slot[e->next];
    const size_t room = room_for(p.tokens);
    e->next = (e->next + 1) % pw_slots;
    if (!wait_slot(e, s)) {
        return false;
    }
    stage(s, texts, p, pw_rooms[room]);
    if (!pw_pass_begin(e, s, room, p.longest)) {
        return false;
    }
    s->busy = true;
    s->to = vectors;
    s->numbers = (p.last - p.first) * size_t(e->width);
    return true;
}

bool check_texts(pw_cuda_encoder *e, const pw_cuda_texts *texts)
{
    for (size_t i = 0; i < texts->len; i++) {
        const uint32_t len = len_of(texts, i);
        bool good = len >= 1 && len <= PW_CUDA_TOKENS_MAX && len <= e->positions && len <= e->tokens;
        for (uint32_t k = texts->begins[i]; good && k < texts->begins[i + 1]; k++) {
            good = texts->ids[k] < e->vocabulary;
        }
        if (!good) {
            (void)snprintf(e->o.message, PW_CUDA_MESSAGE_BYTES, "text %zu has %u ids, or one that the model lacks", i, len);
            return false;
        }
    }
    return true;
}

/* ---- life ---- */

bool fits(const pw_cuda_model *m, size_t tokens)
{
    return m->width == m->heads * PW_CUDA_HEAD && m->inner % 8 == 0 && m->width <= PW_CUDA_WIDTH_MAX && m->layers <= PW_CUDA_LAYERS_MAX &&
           tokens >= 1 && tokens <= pw_rooms[pw_rooms_len - 2];
}

bool open_slot(pw_cuda_encoder *e, pw_slot *s)
{
    const size_t t = e->tokens, width = size_t(e->width);
    unsigned char *workspace = nullptr, *staged = nullptr, *texts = nullptr;
    void *of_device = nullptr;
    s->graphs.reset(new pw_graph[pw_rooms_len * pw_lengths_len]);
    if (!e->o.good(cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking), "a stream") || !e->o.good(cudaEventCreate(&s->begun), "an event") ||
        !e->o.good(cudaEventCreate(&s->ended), "an event") || !e->take(pw_workspace_bytes, &workspace) || !e->take(pw_pass_bytes(t), &texts) ||
        !e->take_pinned(pw_pass_bytes(t), &staged) || !e->take_pinned(t * width, &s->vectors) ||
        !e->o.good(cudaHostGetDevicePointer(&of_device, s->vectors, 0), "pinned memory") || !e->take(t * width, &s->x) || !e->take(t * 3 * width, &s->mix) ||
        !e->take(t * width, &s->heads) || !e->take(t * width, &s->y) || !e->take(t * size_t(e->inner), &s->up)) {
        return false;
    }
    s->workspace = workspace;
    s->texts = texts;
    s->staged = staged;
    s->vectors_of_device = static_cast<float *>(of_device);
    /* Rows after the last text are computed too, and not looked at: attention never writes them, so that they are numbers from here on. */
    return e->o.good(cudaMemset(s->heads, 0, t * width * sizeof *s->heads), "memory of the device");
}

bool open_all(pw_cuda_encoder *e, const pw_cuda_model *m)
{
    e->product.reset(new pw_product[pw_rooms_len * pw_products]);
    bool good = e->o.good(cudaSetDevice(e->device), "the device") && e->o.good(cublasLtCreate(&e->lt), "cuBLASLt") && pw_pass_init(e) && pw_weights_put(e, m);
    for (pw_slot &s : e->slot) {
        good = good && open_slot(e, &s);
    }
    return good && e->o.good(cudaDeviceSynchronize(), "the device");
}

void close_slot(pw_slot *s)
{
    for (size_t i = 0; s->graphs != nullptr && i < pw_rooms_len * pw_lengths_len; i++) {
        if (s->graphs[i].exec != nullptr) {
            (void)cudaGraphExecDestroy(s->graphs[i].exec);
        }
    }
    if (s->begun != nullptr) {
        (void)cudaEventDestroy(s->begun);
    }
    if (s->ended != nullptr) {
        (void)cudaEventDestroy(s->ended);
    }
    if (s->stream != nullptr) {
        (void)cudaStreamDestroy(s->stream);
    }
}

void describe(pw_cuda_encoder *e, int device, const pw_cuda_model *m, size_t tokens)
{
    e->device = device;
    e->width = int(m->width);
    e->inner = int(m->inner);
    e->heads = int(m->heads);
    e->layers = int(m->layers);
    e->positions = m->positions;
    e->vocabulary = m->vocabulary;
    e->epsilon = m->epsilon;
    e->first = m->first;
    e->normalize = m->normalize;
    e->without = m->without;
    e->tokens = pw_rooms[room_for(tokens)];
}
} // namespace

void pw_cuda_encoder_close(pw_cuda_encoder *e)
{
    if (e == nullptr) {
        return;
    }
    (void)cudaSetDevice(e->device);
    for (pw_slot &s : e->slot) { /* before anything that a pass may still use is freed */
        (void)(s.stream != nullptr ? cudaStreamSynchronize(s.stream) : cudaSuccess);
    }
    for (pw_slot &s : e->slot) {
        close_slot(&s);
    }
    e->product.reset();
    for (void *at : e->memory) {
        (void)cudaFree(at);
    }
    for (void *at : e->pinned) {
        (void)cudaFreeHost(at);
    }
    if (e->lt != nullptr) {
        (void)cublasLtDestroy(e->lt);
    }
    (void)cudaGetLastError();
    delete e;
}

pw_cuda_status pw_cuda_encoder_open(int device, const pw_cuda_model *m, size_t tokens, pw_cuda_encoder **ret_encoder, char *message)
{
    if (!fits(m, tokens)) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "a model of width %u with %u heads: heads of %u numbers are what the kernels compute", m->width, m->heads,
                       PW_CUDA_HEAD);
        return PW_CUDA_UNSUPPORTED;
    }
    pw_cuda_encoder *e = new (std::nothrow) pw_cuda_encoder;
    if (e == nullptr) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "no memory");
        return PW_CUDA_NOMEM;
    }
    e->o.message = message;
    describe(e, device, m, tokens);
    try {
        (void)open_all(e, m);
    } catch (const std::bad_alloc &) {
        (void)e->o.fail(PW_CUDA_NOMEM, "a model", "no memory");
    }
    const pw_cuda_status status = e->o.status;
    if (status != PW_CUDA_OK) {
        pw_cuda_encoder_close(e);
        return status;
    }
    *ret_encoder = e;
    return PW_CUDA_OK;
}

pw_cuda_status pw_cuda_encoder_put(pw_cuda_encoder *e, const pw_cuda_texts *texts, float *vectors, char *message)
{
    e->o.message = message;
    if (e->o.status != PW_CUDA_OK) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "the device failed before");
        return e->o.status;
    }
    if (!check_texts(e, texts)) {
        return PW_CUDA_UNSUPPORTED;
    }
    bool good = e->o.good(cudaSetDevice(e->device), "the device");
    for (size_t at = 0; at < texts->len && good;) {
        const portion p = take_portion(e, texts, at);
        good = put_portion(e, texts, p, vectors + at * size_t(e->width));
        at = p.last;
    }
    return e->o.status;
}

pw_cuda_status pw_cuda_encoder_finish(pw_cuda_encoder *e, char *message)
{
    e->o.message = message;
    bool good = e->o.status == PW_CUDA_OK && e->o.good(cudaSetDevice(e->device), "the device");
    for (int i = 0; i < pw_slots && good; i++) {
        good = wait_slot(e, &e->slot[(e->next + i) % pw_slots]);
    }
    e->kernel_ms = e->kernel_ms_so_far;
    e->kernel_ms_so_far = 0;
    return e->o.status;
}

float pw_cuda_encoder_ms(const pw_cuda_encoder *e)
{
    return e->kernel_ms;
}
