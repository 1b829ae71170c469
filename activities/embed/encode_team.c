/*
 * encode_team.c - the steps of a group, in parts that threads take one by one:
 *
 *   words | head head head ... | rows rows ... | head head ... | rows ... | pool | words of the next group ...
 *           ^ of layer 0         ^ of layer 0    ^ of layer 1
 *
 * Parts have numbers in this order. A thread takes the lowest that nobody has, and begins it when all parts of the steps before are done: so the only thing
 * that is waited for is a part that a thread is at, never a thread that has not come, and one thread alone gets to the end.
 * Waiting is spinning for some microseconds, then sleep: others may need the processor.
 *
 * Which thread does a part changes nothing of what it comes to. Does not choose when a team is worth its while (encode_cpu.c).
 */
#include "activities/embed/encode_team.h"

#include <stdatomic.h>

#include "sdk/base/error.h"

#define ROWS_OF_PART_MIN 16u /* fewer do not pay for reading a layer's weights once more */
#define SPINS 200u           /* some 10 microseconds, about what sleeping and waking costs */

#if defined(__x86_64__)
#define SPIN_HINT() __builtin_ia32_pause()
#else
#define SPIN_HINT() atomic_thread_fence(memory_order_seq_cst)
#endif

typedef struct team {
    const pw_encoder_cpu *e;
    const pw_team_work *work;
    size_t head_parts, row_parts; /* of a layer */
    size_t group_parts;           /* of a group, all its steps */
    size_t all;
    const pw_scratch *shared; /* the caller's */
    atomic_size_t next;
    atomic_size_t done;
    atomic_uint sleepers;
    pthread_mutex_t lock;
    pthread_cond_t more_done;
} team;

typedef enum step_kind { WORDS, ATTEND, ADVANCE, POOL } step_kind;

typedef struct part {
    const pw_group *group;
    step_kind kind;
    uint32_t layer;
    size_t number, len; /* of the parts of its step */
    size_t after;       /* so many must be done before it begins */
} part;

static part part_of(const team *t, size_t number)
{
    const size_t group = number / t->group_parts, begun = group * t->group_parts,
                 of_layer = t->head_parts + t->row_parts;
    part p = {.group = &t->work->groups[group], .kind = WORDS, .len = 1, .after = begun};
    if (number == begun) {
        return p;
    }
    if (number == begun + t->group_parts - 1) {
        p.kind = POOL;
        p.after = number;
        return p;
    }
    p.layer = (uint32_t)((number - begun - 1) / of_layer);
    p.after = begun + 1 + p.layer * of_layer;
    p.kind = number < p.after + t->head_parts ? ATTEND : ADVANCE;
    p.len = p.kind == ATTEND ? t->head_parts : t->row_parts;
    p.after += p.kind == ATTEND ? 0 : t->head_parts;
    p.number = number - p.after;
    return p;
}

static void do_part(const part *p, pw_scratch *s)
{
    const size_t of = p->kind == ATTEND ? p->group->e->m->config.heads : p->group->rows;
    const pw_span some = {of * p->number / p->len, of * (p->number + 1) / p->len};
    switch (p->kind) {
    case WORDS:
        pw_group_words(p->group, s);
        break;
    case ATTEND:
        pw_group_attend(p->group, s, p->layer, &some);
        break;
    case ADVANCE:
        pw_group_advance(p->group, s, p->layer, &some);
        break;
    case POOL:
        pw_group_pool(p->group, s);
        break;
    }
}

static void await(team *t, size_t done)
{
    for (unsigned i = 0; i < SPINS; i++) {
        if (atomic_load(&t->done) >= done) {
            return;
        }
        SPIN_HINT();
    }
    (void)pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->sleepers, 1);
    while (atomic_load(&t->done) < done) {
        (void)pthread_cond_wait(&t->more_done, &t->lock);
    }
    atomic_fetch_sub(&t->sleepers, 1);
    (void)pthread_mutex_unlock(&t->lock);
}

/* The last part of a step wakes those who wait for it: a sleeper counts itself before it looks at what is done, so one of the two sees the other. */
static void tell(team *t, size_t step_end)
{
    if (atomic_fetch_add(&t->done, 1) + 1 == step_end && atomic_load(&t->sleepers) > 0) {
        (void)pthread_mutex_lock(&t->lock);
        (void)pthread_cond_broadcast(&t->more_done);
        (void)pthread_mutex_unlock(&t->lock);
    }
}

static void take_parts(team *t, pw_scratch *s)
{
    for (size_t number; (number = atomic_fetch_add(&t->next, 1)) < t->all;) {
        const part p = part_of(t, number);
        await(t, p.after);
        do_part(&p, s);
        tell(t, p.after + p.len);
    }
}

static void *help(void *arg)
{
    team *t = arg;
    pw_scratch s;
    if (pw_scratch_take(&s, t->e,
                        &(pw_scratch_need){t->work->rows, t->work->longest, .of = t->shared})) {
        take_parts(t, &s);
        pw_scratch_give(&s, t->e);
    }
    return NULL;
}

static void team_init(team *t, unsigned threads)
{
    const pw_model_config *c = &t->e->m->config;
    const size_t most = t->work->rows / ROWS_OF_PART_MIN;
    /* A head that does not fill its panels reaches into the next one's numbers: those are for one thread. */
    t->head_parts = t->e->head == c->width / c->heads ? c->heads : 1;
    t->row_parts = most < 1 ? 1 : most < threads ? most : threads;
    t->group_parts = 2 + c->layers * (t->head_parts + t->row_parts);
    t->all = t->work->len * t->group_parts;
}

static void run(team *t, pw_scratch *s, unsigned threads)
{
    pthread_t others[PW_TEAM_THREADS_MAX];
    size_t started = 0;
    while (started + 1 < threads && started < PW_TEAM_THREADS_MAX &&
           pthread_create(&others[started], NULL, help, t) == 0) {
        started++;
    }
    take_parts(t, s);
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(others[i], NULL);
    }
}

bool pw_team_encode(const pw_encoder_cpu *e, const pw_team_work *work, unsigned threads)
{
    pw_scratch s;
    team t = {.e = e, .work = work, .shared = &s};
    if (!pw_scratch_take(&s, e, &(pw_scratch_need){work->rows, work->longest, NULL})) {
        return false;
    }
    team_init(&t, threads);
    const bool locked = pthread_mutex_init(&t.lock, NULL) == 0,
               made = locked && pthread_cond_init(&t.more_done, NULL) == 0;
    run(&t, &s, made ? threads : 1); /* alone it waits for nobody */
    if (made) {
        (void)pthread_cond_destroy(&t.more_done);
    }
    if (locked) {
        (void)pthread_mutex_destroy(&t.lock);
    }
    pw_scratch_give(&s, e);
    return true;
}
