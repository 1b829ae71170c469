/*
 * encoders.c - texts of a call in portions, portions to devices, what no device took or finished to the processor. A device belongs to one call at a time; one
 * that failed is closed and not used again. Does not gather texts of several calls: batch.c does.
 */
#include "activities/embed/encoders.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/gpu_library.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

typedef struct device {
    pthread_mutex_t busy;    /* held while a call uses the encoder */
    pw_encoder_gpu *encoder; /* NULL: there is none any more */
} device;

struct pw_encoders {
    pw_encoder_cpu *processor;
    size_t width, pass_tokens;
    pthread_mutex_t lock; /* of live and turn */
    unsigned live;
    unsigned turn;
    unsigned len; /* of devices, those that failed too */
    device devices[PW_DEVICES_MAX];
};

/* ---- a call ---- */

typedef enum portion_state { WAITING, TAKEN, PUT, DONE, REFUSED } portion_state;

/* Texts first to end - 1: no more tokens than a pass has, unless one text alone has them. */
typedef struct portion {
    size_t first, end;
    portion_state state;
} portion;

typedef struct call {
    pw_encoders *e;
    const pw_ids *texts;
    float *vectors;
    pthread_mutex_t lock; /* of the portions' states */
    portion *portions;
    size_t len;
} call;

static void divide(call *c, size_t texts_len)
{
    size_t tokens = 0;
    for (size_t i = 0; i < texts_len; i++) {
        if (i == 0 || tokens + c->texts[i].len > c->e->pass_tokens) {
            c->portions[c->len++] = (portion){i, i, WAITING};
            tokens = 0;
        }
        tokens += c->texts[i].len;
        c->portions[c->len - 1].end = i + 1;
    }
}

static portion *take_portion(call *c)
{
    portion *taken = NULL;
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->len && taken == NULL; i++) {
        taken = c->portions[i].state == WAITING ? &c->portions[i] : NULL;
    }
    if (taken != NULL) {
        taken->state = TAKEN;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return taken;
}

/* What one device has put becomes state. */
static void settle(call *c, portion *const *mine, size_t len, portion_state state)
{
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < len; i++) {
        mine[i]->state = state;
    }
    (void)pthread_mutex_unlock(&c->lock);
}

static void drop(pw_encoders *e, device *d)
{
    pw_encoder_gpu_close(d->encoder);
    d->encoder = NULL;
    (void)pthread_mutex_lock(&e->lock);
    e->live--;
    (void)pthread_mutex_unlock(&e->lock);
}

/* What one device has finished, too; but numbers of 16 bits end at 65,504, and what became infinite there is the processor's to compute. */
static void settle_done(call *c, portion *const *mine, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const float *from = c->vectors + mine[i]->first * c->e->width;
        const float *end = c->vectors + mine[i]->end * c->e->width;
        float sum = 0;
        for (; from < end; from++) {
            sum += *from - *from; /* 0, or no number */
        }
        settle(c, &mine[i], 1, sum == 0 ? DONE : REFUSED);
    }
}

#define AT_ONCE \
    64u /* portions between two waits: bounds what is to be done again when a device fails */

/* Portions to a device until there are no more. The device is the caller's. */
static void use_device(call *c, device *d)
{
    portion *mine[AT_ONCE];
    size_t len = 0;
    pawl_status status = PAWL_OK;
    portion *p = NULL;
    while (status == PAWL_OK && d->encoder != NULL && (p = take_portion(c)) != NULL) {
        float *to = c->vectors + p->first * c->e->width;
        status = pw_encode_gpu_put(d->encoder, c->texts + p->first, p->end - p->first, to, NULL);
        if (status ==
            PAWL_UNSUPPORTED) { /* longer than a device takes, or wrong: the processor says which */
            settle(c, &p, 1, REFUSED);
            status = PAWL_OK;
            continue;
        }
        mine[len++] = p;
        if (status == PAWL_OK && len == AT_ONCE) {
            status = pw_encode_gpu_finish(d->encoder, NULL);
            settle_done(c, mine, status == PAWL_OK ? len : 0);
            len = status == PAWL_OK ? 0 : len;
        }
    }
    status = status == PAWL_OK && len > 0 ? pw_encode_gpu_finish(d->encoder, NULL) : status;
    if (status != PAWL_OK) {
        settle(c, mine, len, WAITING);
        drop(c->e, d);
        return;
    }
    settle_done(c, mine, len);
}

/* A device that nobody uses, else the one whose turn it is, as soon as it is free; locked. NULL: none is left. */
static device *take_device(pw_encoders *e)
{
    for (unsigned i = 0; i < e->len; i++) {
        device *d = &e->devices[i];
        if (pthread_mutex_trylock(&d->busy) == 0) {
            if (d->encoder != NULL) {
                return d;
            }
            (void)pthread_mutex_unlock(&d->busy);
        }
    }
    (void)pthread_mutex_lock(&e->lock);
    const unsigned turn = e->turn++;
    (void)pthread_mutex_unlock(&e->lock);
    for (unsigned i = 0; i < e->len; i++) {
        device *d = &e->devices[(turn + i) % e->len];
        (void)pthread_mutex_lock(&d->busy);
        if (d->encoder != NULL) {
            return d;
        }
        (void)pthread_mutex_unlock(&d->busy);
    }
    return NULL;
}

static void *work(void *arg)
{
    call *c = arg;
    device *d = take_device(c->e);
    if (d != NULL) {
        use_device(c, d);
        (void)pthread_mutex_unlock(&d->busy);
    }
    return NULL;
}

static size_t waiting(call *c)
{
    size_t len = 0;
    for (size_t i = 0; i < c->len; i++) {
        len += c->portions[i].state == WAITING ? 1 : 0;
    }
    return len;
}

/* Each round ends with all portions done or refused, or with a device less. */
static void use_devices(call *c)
{
    unsigned live;
    while ((live = pw_encoders_devices(c->e)) > 0 && waiting(c) > 0) {
        pthread_t threads[PW_DEVICES_MAX];
        const size_t most = waiting(c) < live ? waiting(c) : live;
        size_t begun = 0;
        while (begun + 1 < most && pthread_create(&threads[begun], NULL, work, c) == 0) {
            begun++;
        }
        (void)work(c);
        for (size_t i = 0; i < begun; i++) {
            (void)pthread_join(threads[i], NULL);
        }
    }
}

/* What is left, to the processor. */
static pawl_status use_processor(call *c, unsigned threads, pawl_error *err)
{
    pawl_status status = PAWL_OK;
    for (size_t i = 0; i < c->len && status == PAWL_OK; i++) {
        const portion *p = &c->portions[i];
        if (p->state != DONE) {
            status = pw_encode_cpu(c->e->processor, c->texts + p->first, p->end - p->first, threads,
                                   c->vectors + p->first * c->e->width, err);
        }
    }
    return status;
}

pawl_status pw_encoders_encode(pw_encoders *e, const pw_ids *texts, size_t len, unsigned threads,
                               float *ret_vectors, pawl_error *err)
{
    call c = {.e = e, .texts = texts, .vectors = ret_vectors, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (len == 0 || pw_encoders_devices(e) == 0) {
        return pw_encode_cpu(e->processor, texts, len, threads, ret_vectors, err);
    }
    c.portions = pw_malloc(len * sizeof *c.portions);
    if (c.portions == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu texts", len);
    }
    divide(&c, len);
    use_devices(&c);
    const pawl_status status = use_processor(&c, threads, err);
    pw_free(c.portions);
    return status;
}

/* ---- life ---- */

unsigned pw_encoders_devices(pw_encoders *e)
{
    (void)pthread_mutex_lock(&e->lock);
    const unsigned live = e->live;
    (void)pthread_mutex_unlock(&e->lock);
    return live;
}

static void open_devices(pw_encoders *e, const pw_model *m, const char *library)
{
    const int there = pw_gpu_devices(library);
    for (int i = 0; i < there && e->len < PW_DEVICES_MAX; i++) {
        pw_encoder_gpu *encoder = NULL;
        if (pw_encoder_gpu_open(m, library, i, e->pass_tokens, &encoder, NULL) == PAWL_OK) {
            e->devices[e->len].encoder = encoder;
            (void)pthread_mutex_init(&e->devices[e->len++].busy, NULL);
            e->live++;
        }
    }
}

pawl_status pw_encoders_open(const pw_model *m, const pw_encoders_options *options,
                             pw_encoders **ret_encoders, pawl_error *err)
{
    pw_encoders *e = pw_calloc(1, sizeof *e);
    if (e == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for encoders");
    }
    (void)pthread_mutex_init(&e->lock, NULL);
    e->width = m->config.width;
    e->pass_tokens = options->pass_tokens > 0 ? options->pass_tokens : PW_PASS_TOKENS;
    const pawl_status status = pw_encoder_cpu_open(m, NULL, &e->processor, err);
    if (status != PAWL_OK) {
        pw_encoders_close(e);
        return status;
    }
    if (!options->processor_only) {
        open_devices(e, m, options->library);
    }
    *ret_encoders = e;
    return PAWL_OK;
}

void pw_encoders_close(pw_encoders *e)
{
    if (e != NULL) {
        for (unsigned i = 0; i < e->len; i++) {
            pw_encoder_gpu_close(e->devices[i].encoder);
            (void)pthread_mutex_destroy(&e->devices[i].busy);
        }
        pw_encoder_cpu_close(e->processor);
        (void)pthread_mutex_destroy(&e->lock);
        pw_free(e);
    }
}
