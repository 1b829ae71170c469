/*
 * encode_cpu.c - packs the weights, parts texts into groups, and lets threads take one group after the other, or share groups where there are few
 * (encode_team.c). The arithmetic is not here (encode_group.c); a thread lives as long as the call that needs it.
 */
#include "activities/embed/encode_cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "activities/embed/encode_team.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define GROUP_ROWS 256u     /* about what stays in a core's cache between two layers */
#define GROUP_ROWS_MIN 128u /* fewer do not pay for reading all weights once more */
#define TEAM_ROWS_MIN \
    48u /* fewer gain little when cores are free, and lose much when they are not */
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

static size_t padded(size_t n, size_t panel)
{
    return (n + panel - 1) / panel * panel;
}

/* Columns first, first + 1, ... of a matrix [out][in], over the rows from, from + 1, ... of it. */
typedef struct part {
    const float *weight;
    size_t in;
    size_t first;
    size_t columns;
    size_t from;
    size_t depth;
} part;

static const float *pack(packer *p, const part *m)
{
    const size_t panel = p->e->kernels->panel;
    float *to = room(p, padded(m->columns, panel) * m->depth);
    if (to != NULL) {
        pw_pack_part(m->weight + m->first * m->in + m->from, m->in, m->columns, m->depth, panel,
                     to);
    }
    return to;
}

/* Of `len` numbers and the zeros that round them up. */
static const float *pack_bias(packer *p, const float *bias, size_t len, size_t wide)
{
    float *to = room(p, wide);
    if (to != NULL) {
        memset(to, 0, wide * sizeof *to);
        memcpy(to, bias, len * sizeof *to);
    }
    return to;
}

static pw_packed pack_mix(packer *p, const pw_layer *l)
{
    const pw_model_config *c = &p->e->m->config;
    const pw_linear *const three[] = {&l->query, &l->key, &l->value};
    const size_t size = c->width / c->heads, count = (size_t)c->heads * PW_COUNT(three);
    pw_packed mix = {.panels = NULL};
    for (size_t i = 0; i < count; i++) {
        const float *bias = three[i % 3]->bias + i / 3 * size;
        const float *at = pack_bias(p, bias, size, p->e->head);
        mix.bias = i == 0 ? at : mix.bias;
    }
    for (size_t i = 0; i < count; i++) {
        const part m = {three[i % 3]->weight, c->width, i / 3 * size, size, 0, c->width};
        const float *at = pack(p, &m);
        mix.panels = i == 0 ? at : mix.panels;
    }
    return mix;
}

static void pack_layer(packer *p, const pw_layer *l, pw_packed_layer *to)
{
    const pw_model_config *c = &p->e->m->config;
    to->out.bias = pack_bias(p, l->out.bias, c->width, p->e->width);
    to->up_bias = pack_bias(p, l->up.bias, c->inner, p->e->inner);
    to->down_bias = pack_bias(p, l->down.bias, c->width, p->e->width);
    to->mix = pack_mix(p, l);
    to->out.panels = pack(p, &(part){l->out.weight, c->width, 0, c->width, 0, c->width});
    for (size_t first = 0; first < c->inner; first += PW_CHUNK) {
        const size_t len = c->inner - first < PW_CHUNK ? c->inner - first : PW_CHUNK;
        const float *at = pack(p, &(part){l->up.weight, c->width, first, len, 0, c->width});
        to->chunks = first == 0 ? at : to->chunks;
        (void)pack(p, &(part){l->down.weight, c->inner, 0, c->width, first, len});
    }
}

static void pack_layers(packer *p, pw_packed_layer *to)
{
    for (uint32_t i = 0; i < p->e->m->config.layers; i++) {
        pack_layer(p, &p->e->m->layers[i], &to[i]);
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
    e->width = padded(m->config.width, panel);
    e->inner = padded(m->config.inner, panel);
    e->head = padded(m->config.width / m->config.heads, panel);
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
    pw_group *groups;
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

static size_t rows_of_all(const work *w)
{
    size_t all = 0;
    for (size_t i = 0; i < w->len; i++) {
        all += w->texts[i].len;
    }
    return all;
}

/* So that each thread has a group, if there is enough for all. */
static size_t rows_of_group(size_t all, unsigned threads)
{
    const size_t share = (all + threads - 1) / threads;
    return share > GROUP_ROWS ? GROUP_ROWS : share < GROUP_ROWS_MIN ? GROUP_ROWS_MIN : share;
}

/* Whole texts, in order, until the next one would not fit; a long text is a group of its own. */
static void part_texts(work *w, size_t rows_max)
{
    pw_group *g = NULL;
    for (size_t i = 0; i < w->len; i++) {
        const size_t more = w->texts[i].len;
        if (g == NULL || g->rows + more > rows_max) {
            g = &w->groups[w->groups_len++];
            *g = (pw_group){.e = w->e,
                            .texts = w->texts + i,
                            .vectors = w->vectors + i * w->e->m->config.width};
        }
        g->len++;
        g->rows += more;
        w->rows = g->rows > w->rows ? g->rows : w->rows;
        w->longest = more > w->longest ? more : w->longest;
    }
}

static void *take_groups(void *arg)
{
    work *w = arg;
    pw_scratch s;
    if (!pw_scratch_take(&s, w->e, &(pw_scratch_need){w->rows, w->longest, NULL})) {
        atomic_store(&w->failed, true);
        return NULL;
    }
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->groups_len;) {
        pw_group_encode(&w->groups[i], &s);
    }
    pw_scratch_give(&s, w->e);
    return NULL;
}

/* Few rows: there would be threads without a group, or with much less than others. */
static bool is_for_team(size_t all, unsigned threads)
{
    return threads > 1 && all >= TEAM_ROWS_MIN && all / threads < GROUP_ROWS_MIN;
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
    w.groups = pw_malloc(len * sizeof *w.groups);
    if (w.groups == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu texts", len);
    }
    const size_t all = rows_of_all(&w);
    if (is_for_team(all, threads)) {
        part_texts(&w, GROUP_ROWS);
        const pw_team_work together = {w.groups, w.groups_len, w.rows, w.longest};
        atomic_store(&w.failed, !pw_team_encode(e, &together, threads));
    } else {
        part_texts(&w, rows_of_group(all, threads > 0 ? threads : 1));
        run(&w, threads);
    }
    pw_free(w.groups);
    return atomic_load(&w.failed) ? pw_err(err, PAWL_NOMEM, "no memory for %zu rows", w.rows)
                                  : PAWL_OK;
}
