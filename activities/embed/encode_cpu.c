/*
 * encode_cpu.c - packs the weights, parts texts into groups, and lets threads take one group after the other. The arithmetic is not here
 * (encode_group.c); a thread lives as long as the call that needs it.
 */
#include "activities/embed/encode_cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "activities/embed/encode_group.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define GROUP_ROWS 128u /* about what stays in a core's cache between two layers */
#define THREADS_MAX 64u

/* ---- weights into panels ---- */

typedef struct packer {
    const pw_encoder_cpu *e;
    float *next; /* NULL: only counts */
    size_t len;
} packer;

static float *room(packer *p, size_t len)
{
    float *at = p->next;
    p->len += len;
    p->next = at != NULL ? at + len : NULL;
    return at;
}

/* So many matrices [out][in] side by side, each padded to `wide` columns. */
static pw_packed pack(packer *p, const pw_linear *const *linear, size_t count, size_t out,
                      size_t in)
{
    const size_t panel = p->e->kernels->panel, wide = (out + panel - 1) / panel * panel;
    float *panels = room(p, count * wide * in), *bias = room(p, count * wide);
    for (size_t i = 0; i < count && panels != NULL; i++) {
        pw_pack_columns(linear[i]->weight, out, in, panel, panels + i * wide * in);
        memset(bias + i * wide, 0, wide * sizeof *bias);
        memcpy(bias + i * wide, linear[i]->bias, out * sizeof *bias);
    }
    return (pw_packed){panels, bias};
}

static void pack_layers(packer *p, pw_packed_layer *to)
{
    const pw_model_config *c = &p->e->m->config;
    for (uint32_t i = 0; i < c->layers; i++) {
        const pw_layer *l = &p->e->m->layers[i];
        to[i].mix = pack(p, (const pw_linear *const[]){&l->query, &l->key, &l->value}, 3, c->width,
                         c->width);
        to[i].out = pack(p, (const pw_linear *const[]){&l->out}, 1, c->width, c->width);
        to[i].up = pack(p, (const pw_linear *const[]){&l->up}, 1, c->inner, c->width);
        to[i].down = pack(p, (const pw_linear *const[]){&l->down}, 1, c->width, c->inner);
    }
}

static pw_spares *spares_new(void)
{
    pw_spares *p = pw_calloc(1, sizeof *p);
    if (p != NULL && pthread_mutex_init(&p->lock, NULL) != 0) {
        pw_free(p);
        return NULL;
    }
    return p;
}

static void spares_free(pw_spares *p)
{
    if (p != NULL) {
        while (p->len > 0) {
            pw_block_deinit(&p->blocks[--p->len]);
        }
        (void)pthread_mutex_destroy(&p->lock);
        pw_free(p);
    }
}

pawl_status pw_encoder_cpu_open(const pw_model *m, const pw_kernels *kernels,
                                pw_encoder_cpu **ret_encoder, pawl_error *err)
{
    pw_encoder_cpu *e = pw_calloc(1, sizeof *e);
    if (e == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for an encoder");
    }
    e->m = m;
    e->kernels = kernels != NULL ? kernels : pw_kernels_best();
    const size_t panel = e->kernels->panel;
    e->width = (m->config.width + panel - 1) / panel * panel;
    e->inner = (m->config.inner + panel - 1) / panel * panel;
    e->head = (m->config.width / m->config.heads + panel - 1) / panel * panel;
    packer p = {.e = e};
    pack_layers(&p, e->layers);
    e->spares = spares_new();
    if (e->spares == NULL || !pw_block_init(&e->weights, p.len, PW_HUGE_BYTES)) {
        pw_encoder_cpu_close(e);
        return pw_err(err, PAWL_NOMEM, "no memory for %zu weights", p.len);
    }
    /* Weights are read from end to end for every group: large pages spare the walks through page tables. Refused, nothing is lost. */
    (void)madvise(e->weights.numbers, p.len * sizeof *p.next, MADV_HUGEPAGE);
    p.next = e->weights.numbers;
    pack_layers(&p, e->layers);
    *ret_encoder = e;
    return PAWL_OK;
}

void pw_encoder_cpu_close(pw_encoder_cpu *e)
{
    if (e != NULL) {
        spares_free(e->spares);
        pw_block_deinit(&e->weights);
        pw_free(e);
    }
}

/* ---- groups and threads ---- */

typedef struct work {
    const pw_encoder_cpu *e;
    const pw_ids *texts;
    size_t len;
    float *vectors;
    size_t *groups; /* where each begins, and len at the end */
    size_t groups_len;
    size_t rows; /* of the largest group */
    size_t longest;
    atomic_size_t next;
    atomic_bool failed;
} work;

static pawl_status check_text(const pw_model_config *c, const pw_ids *text, size_t number,
                              pawl_error *err)
{
    if (text->len < 1 || text->len > c->positions) {
        return pw_err(err, PAWL_INVALID, "text %zu has %zu ids, 1 to %u allowed", number, text->len,
                      c->positions);
    }
    for (size_t i = 0; i < text->len; i++) {
        if (text->ids[i] >= c->vocabulary) {
            return pw_err(err, PAWL_INVALID, "text %zu has the id %u, the model %u words", number,
                          text->ids[i], c->vocabulary);
        }
    }
    return PAWL_OK;
}

/* Whole texts, in order, until the next one would not fit; a long text is a group of its own. */
static void part(work *w)
{
    size_t rows = 0;
    w->groups[0] = 0;
    for (size_t i = 0; i < w->len; i++) {
        const size_t more = w->texts[i].len;
        if (rows > 0 && rows + more > GROUP_ROWS) {
            w->groups[++w->groups_len] = i;
            rows = 0;
        }
        rows += more;
        w->rows = rows > w->rows ? rows : w->rows;
        w->longest = more > w->longest ? more : w->longest;
    }
    w->groups[++w->groups_len] = w->len;
}

static void *take_groups(void *arg)
{
    work *w = arg;
    pw_scratch s;
    if (!pw_scratch_take(&s, w->e, w->rows, w->longest)) {
        atomic_store(&w->failed, true);
        return NULL;
    }
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->groups_len;) {
        const size_t first = w->groups[i];
        pw_encode_group(w->e, &s, w->texts + first, w->groups[i + 1] - first,
                        w->vectors + first * w->e->m->config.width);
    }
    pw_scratch_give(&s, w->e);
    return NULL;
}

/* A thread that cannot be had is done without. */
static void run(work *w, unsigned threads)
{
    pthread_t others[THREADS_MAX];
    size_t started = 0;
    const size_t wanted = threads < w->groups_len ? threads : w->groups_len;
    while (started + 1 < wanted && started < THREADS_MAX &&
           pthread_create(&others[started], NULL, take_groups, w) == 0) {
        started++;
    }
    (void)take_groups(w);
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(others[i], NULL);
    }
}

pawl_status pw_encode_cpu(const pw_encoder_cpu *e, const pw_ids *texts, size_t len,
                          unsigned threads, float *ret_vectors, pawl_error *err)
{
    for (size_t i = 0; i < len; i++) {
        const pawl_status status = check_text(&e->m->config, &texts[i], i, err);
        if (status != PAWL_OK) {
            return status;
        }
    }
    work w = {.e = e, .texts = texts, .len = len, .vectors = ret_vectors};
    if (len == 0) {
        return PAWL_OK;
    }
    w.groups = pw_malloc((len + 1) * sizeof *w.groups);
    if (w.groups == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu texts", len);
    }
    part(&w);
    run(&w, threads);
    pw_free(w.groups);
    return atomic_load(&w.failed) ? pw_err(err, PAWL_NOMEM, "no memory for %zu rows", w.rows)
                                  : PAWL_OK;
}
