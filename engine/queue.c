/*
 * queue.c - placing and picking: what of the tree in queue.h can start, in which order.
 *
 * A thing stands in the heap above it exactly while it has something that can start: a flow while it has queued jobs and its key has a token, a
 * lane while it has such a flow and its activity has room, a queue in the ring while it has such a lane and a free place. Whatever changes one of
 * these calls *_place, which goes up as far as something changes.
 *
 * Does not start anything (job.c), does not know where limits come from (queue_set.c) nor what a poll says (queue_poll.c).
 */
#include "engine/queue_inside.h"

#include <string.h>

#define US 1000000.0

/* ---- orders ---- */

static pw_flow *flow_of(const pw_pq_node *n)
{
    return (pw_flow *)(void *)(uintptr_t)n; /* the node comes first */
}

static bool flow_before(const pw_pq_node *a, const pw_pq_node *b)
{
    const pw_flow *x = flow_of(a), *y = flow_of(b);
    if (x->share->id.priority != y->share->id.priority) {
        return x->share->id.priority > y->share->id.priority;
    }
    if (x->share->turn != y->share->turn) {
        return x->share->turn < y->share->turn;
    }
    return x->queued->q_number < y->queued->q_number;
}

static pw_lane *lane_of(const pw_pq_node *n)
{
    return (pw_lane *)(void *)(uintptr_t)n;
}

static bool lane_before(const pw_pq_node *a, const pw_pq_node *b)
{
    return flow_before(pw_pq_top(&lane_of(a)->flows), pw_pq_top(&lane_of(b)->flows));
}

static pw_qkey *key_of(const pw_pq_node *n)
{
    return (pw_qkey *)(void *)(uintptr_t)n;
}

static bool key_before(const pw_pq_node *a, const pw_pq_node *b)
{
    const pw_qkey *x = key_of(a), *y = key_of(b);
    return x->wake_us != y->wake_us ? x->wake_us < y->wake_us : x->number < y->number;
}

/* ---- placing ---- */

void pw_queue_place(pw_core *core, pw_queue *q)
{
    bool ready =
        q->lanes.len > 0 && (q->limits.concurrency == 0 || q->running < q->limits.concurrency);
    if (ready && !q->ready) {
        DL_APPEND(core->queues_ready, q);
    } else if (!ready && q->ready) {
        DL_DELETE(core->queues_ready, q);
    }
    q->ready = ready;
    core->queue_dirty |= ready;
}

static bool lane_open(const pw_lane *lane)
{
    const pw_act *act = lane->offer->act;
    if (act != NULL && act->fn != NULL) {
        return act->concurrency == 0 || act->running < act->concurrency;
    }
    return lane->offer->polls != NULL || lane->polls != NULL;
}

void pw_lane_place(pw_core *core, pw_lane *lane)
{
    if (lane->flows.len > 0 && lane_open(lane)) {
        pw_pq_put(&lane->queue->lanes, &lane->node);
    } else {
        pw_pq_out(&lane->queue->lanes, &lane->node);
    }
    pw_queue_place(core, lane->queue);
}

void pw_offer_place(pw_core *core, const pw_offer *offer)
{
    for (pw_lane *lane = offer->lanes; lane != NULL; lane = lane->o_next) {
        pw_lane_place(core, lane);
    }
}

/* Before its top changes the lane leaves the queue's heap: a heap is not to be asked while something in it is out of order. */
static void flow_place(pw_core *core, pw_flow *flow)
{
    pw_pq_out(&flow->lane->queue->lanes, &flow->lane->node);
    if (flow->queued != NULL && !flow->share->id.key->waits) {
        pw_pq_put(&flow->lane->flows, &flow->node);
    } else {
        pw_pq_out(&flow->lane->flows, &flow->node);
    }
    pw_lane_place(core, flow->lane);
}

/* ---- buckets: GCRA, in microseconds of the wall clock ---- */

static int64_t now_us(pw_core *core)
{
    return pw_core_now(core) * 1000;
}

static int64_t interval_us(const pw_queue *q)
{
    double us = US / q->limits.rate;
    return us < 1 ? 1 : us > (double)PW_TIMER_MS_MAX ? (int64_t)PW_TIMER_MS_MAX : (int64_t)us;
}

static int64_t slack_us(const pw_queue *q)
{
    return interval_us(q) * (q->limits.burst - 1);
}

/* A bucket that nobody remembers, of a queue that was limited before the journal was opened, is empty as of then: whatever was taken from it
 * before, it owes no more than that. */
static int64_t first_tat_us(const pw_core *core, const pw_queue *q)
{
    return q->limits.rate > 0 && q->limited_before
               ? core->queues_opened_us + slack_us(q) + interval_us(q)
               : 0;
}

static void wait_until(pw_core *core, pw_qkey *key, int64_t us)
{
    pw_pq_out(&core->queue_waits, &key->node);
    key->wake_us = us;
    if (us != 0) {
        pw_pq_put(&core->queue_waits, &key->node);
    }
}

static void key_waits(pw_core *core, pw_qkey *key, bool waits)
{
    if (key->waits == waits) {
        return;
    }
    key->waits = waits;
    for (pw_share *share = key->shares; share != NULL; share = share->k_next) {
        for (pw_flow *flow = share->flows; flow != NULL; flow = flow->s_next) {
            flow_place(core, flow);
        }
    }
}

void pw_qkey_place(pw_core *core, pw_qkey *key)
{
    const pw_queue *q = key->queue;
    int64_t now = now_us(core);
    if (q->limits.rate <= 0) {
        key->tat_us = 0;
        wait_until(core, key, 0);
        key_waits(core, key, false);
        return;
    }
    int64_t most =
        now + slack_us(q) +
        interval_us(
            q); /* more it cannot owe, unless the clock jumped back or the limit was changed */
    key->tat_us = key->tat_us > most ? most : key->tat_us;
    int64_t ready = key->tat_us - slack_us(q);
    bool waits = ready > now;
    wait_until(core, key, waits ? ready : key->jobs == 0 && key->tat_us > now ? key->tat_us : 0);
    key_waits(core, key, waits);
}

/* ---- making and freeing ---- */

pw_queue *pw_queue_get(pw_core *core, const char *name)
{
    pw_queue *q;
    size_t size = strlen(name);
    HASH_FIND(hh, core->queues, name, size, q);
    if (q != NULL) {
        return q;
    }
    q = pw_calloc(1, sizeof *q + size + 1);
    if (q == NULL) {
        return NULL;
    }
    memcpy(q->name, name, size + 1);
    q->limits.burst = 1;
    pw_pq_init(&q->lanes, lane_before);
    HASH_ADD_KEYPTR(hh, core->queues, q->name, size, q);
    if (q->hh.tbl == NULL) {
        pw_free(q);
        return NULL;
    }
    return q;
}

void pw_queue_trim(pw_core *core, pw_queue *q)
{
    if (q->lanes_by == NULL && q->keys == NULL && !q->configured) {
        PW_CHECK(q->running == 0 && q->queued == 0 && !q->ready);
        HASH_DEL(core->queues, q);
        pw_pq_deinit(&q->lanes);
        pw_free(q);
    }
}

pw_offer *pw_offer_get(pw_core *core, const char *activity)
{
    pw_offer *o;
    size_t size = strlen(activity);
    HASH_FIND(hh, core->offers, activity, size, o);
    if (o != NULL) {
        return o;
    }
    o = pw_calloc(1, sizeof *o + size + 1);
    if (o == NULL) {
        return NULL;
    }
    memcpy(o->name, activity, size + 1);
    HASH_FIND(hh, core->acts, activity, size, o->act);
    HASH_ADD_KEYPTR(hh, core->offers, o->name, size, o);
    if (o->hh.tbl == NULL) {
        pw_free(o);
        return NULL;
    }
    return o;
}

void pw_offer_trim(pw_core *core, pw_offer *offer)
{
    if (offer->lanes == NULL && offer->polls == NULL) {
        HASH_DEL(core->offers, offer);
        pw_free(offer);
    }
}

static pw_lane *lane_new(pw_core *core, pw_queue *q, pw_offer *offer)
{
    pw_lane *lane = pw_pq_join(&q->lanes) ? pw_calloc(1, sizeof *lane) : NULL;
    if (lane == NULL) {
        return NULL;
    }
    lane->queue = q;
    lane->offer = offer;
    pw_pq_init(&lane->flows, flow_before);
    HASH_ADD(hh, q->lanes_by, offer, sizeof lane->offer, lane);
    if (lane->hh.tbl == NULL) {
        pw_free(lane);
        return NULL;
    }
    DL_APPEND2(offer->lanes, lane, o_prev, o_next);
    (void)core;
    return lane;
}

pw_lane *pw_lane_get(pw_core *core, pw_queue *q, const char *activity)
{
    pw_offer *offer = pw_offer_get(core, activity);
    pw_lane *lane = NULL;
    if (offer == NULL) {
        return NULL;
    }
    HASH_FIND(hh, q->lanes_by, &offer, sizeof offer, lane);
    size_t members = q->lanes.members;
    lane = lane != NULL ? lane : lane_new(core, q, offer);
    if (lane == NULL) {
        if (q->lanes.members > members) {
            pw_pq_leave(&q->lanes);
        }
        pw_offer_trim(core, offer);
    }
    return lane;
}

void pw_lane_trim(pw_core *core, pw_lane *lane)
{
    pw_queue *q = lane->queue;
    if (lane->flows.members > 0 || lane->polls_len > 0) {
        return;
    }
    pw_pq_out(&q->lanes, &lane->node);
    pw_pq_leave(&q->lanes);
    pw_queue_place(core, q);
    HASH_DEL(q->lanes_by, lane);
    DL_DELETE2(lane->offer->lanes, lane, o_prev, o_next);
    pw_offer_trim(core, lane->offer);
    pw_pq_deinit(&lane->flows);
    pw_free(lane);
}

static pw_qkey *qkey_get(pw_core *core, pw_queue *q, const char *name)
{
    pw_qkey *key;
    size_t size = strlen(name);
    HASH_FIND(hh, q->keys, name, size, key);
    if (key != NULL) {
        return key;
    }
    if (!pw_pq_join(&core->queue_waits)) {
        return NULL;
    }
    key = pw_calloc(1, sizeof *key + size + 1);
    if (key != NULL) {
        memcpy(key->name, name, size + 1);
        HASH_ADD_KEYPTR(hh, q->keys, key->name, size, key);
    }
    if (key == NULL || key->hh.tbl == NULL) {
        pw_pq_leave(&core->queue_waits);
        pw_free(key);
        return NULL;
    }
    key->queue = q;
    key->number = ++core->queue_number;
    key->tat_us = first_tat_us(core, q);
    pw_qkey_place(core, key);
    return key;
}

/* A bucket that is not full yet is remembered: whoever comes next under that key finds it as it is. */
static void qkey_trim(pw_core *core, pw_qkey *key)
{
    if (key->jobs > 0) {
        return;
    }
    pw_qkey_place(core, key);
    if (key->node.at == 0) {
        HASH_DEL(key->queue->keys, key);
        pw_pq_leave(&core->queue_waits);
        pw_free(key);
    }
}

static pw_level *level_get(pw_queue *q, int64_t priority)
{
    pw_level *level;
    HASH_FIND(hh, q->levels, &priority, sizeof priority, level);
    if (level != NULL) {
        return level;
    }
    level = pw_calloc(1, sizeof *level);
    if (level == NULL) {
        return NULL;
    }
    level->priority = priority;
    HASH_ADD(hh, q->levels, priority, sizeof level->priority, level);
    if (level->hh.tbl == NULL) {
        pw_free(level);
        return NULL;
    }
    return level;
}

static void level_trim(pw_queue *q, pw_level *level)
{
    if (level->shares == 0) {
        HASH_DEL(q->levels, level);
        pw_free(level);
    }
}

static pw_share *share_get(pw_qkey *key, int64_t priority)
{
    pw_queue *q = key->queue;
    pw_share_id id = {key, priority};
    pw_share *share;
    HASH_FIND(hh, q->shares, &id, sizeof id, share);
    if (share != NULL) {
        return share;
    }
    pw_level *level = level_get(q, priority);
    share = level != NULL ? pw_calloc(1, sizeof *share) : NULL;
    if (share != NULL) {
        share->id = id;
        HASH_ADD(hh, q->shares, id, sizeof share->id, share);
    }
    if (share == NULL || share->hh.tbl == NULL) {
        pw_free(share);
        if (level != NULL) {
            level_trim(q, level);
        }
        return NULL;
    }
    share->level = level;
    level->shares++;
    DL_APPEND2(key->shares, share, k_prev, k_next);
    return share;
}

static void share_trim(pw_share *share)
{
    pw_queue *q = share->id.key->queue;
    if (share->flows == NULL) {
        HASH_DEL(q->shares, share);
        DL_DELETE2(share->id.key->shares, share, k_prev, k_next);
        share->level->shares--;
        level_trim(q, share->level);
        pw_free(share);
    }
}

/* A key has few activities: they are looked through. */
static pw_flow *flow_get(pw_share *share, pw_lane *lane)
{
    for (pw_flow *f = share->flows; f != NULL; f = f->s_next) {
        if (f->lane == lane) {
            return f;
        }
    }
    pw_flow *flow = pw_pq_join(&lane->flows) ? pw_calloc(1, sizeof *flow) : NULL;
    if (flow == NULL) {
        return NULL;
    }
    flow->share = share;
    flow->lane = lane;
    DL_APPEND2(share->flows, flow, s_prev, s_next);
    return flow;
}

static void flow_trim(pw_flow *flow)
{
    if (flow->jobs == 0) {
        pw_pq_leave(&flow->lane->flows);
        DL_DELETE2(flow->share->flows, flow, s_prev, s_next);
        pw_free(flow);
    }
}

static bool join(pw_core *core, pw_job *job, pw_lane *lane, pw_qkey *key)
{
    pw_share *share = share_get(key, job->priority);
    size_t members = lane->flows.members;
    job->flow = share != NULL ? flow_get(share, lane) : NULL;
    if (job->flow != NULL) {
        job->flow->jobs++;
        key->jobs++;
        pw_qkey_place(core, key);
        return true;
    }
    if (lane->flows.members > members) {
        pw_pq_leave(&lane->flows);
    }
    if (share != NULL) {
        share_trim(share);
    }
    return false;
}

bool pw_queue_join(pw_core *core, pw_job *job)
{
    pw_queue *q = pw_queue_get(core, job->queue);
    pw_lane *lane = q != NULL ? pw_lane_get(core, q, job->name) : NULL;
    pw_qkey *key = lane != NULL ? qkey_get(core, q, job->limit_key) : NULL;
    if (key != NULL && join(core, job, lane, key)) {
        return true;
    }
    if (key != NULL) {
        qkey_trim(core, key);
    }
    if (lane != NULL) {
        pw_lane_trim(core, lane);
    }
    if (q != NULL) {
        pw_queue_trim(core, q);
    }
    return false;
}

void pw_queue_leave(pw_core *core, pw_job *job)
{
    pw_flow *flow = job->flow;
    if (flow == NULL) {
        return;
    }
    pw_queue_out(core, job);
    pw_queue_end(core, job);
    job->flow = NULL;
    flow->jobs--;
    pw_lane *lane = flow->lane;
    pw_share *share = flow->share;
    pw_qkey *key = share->id.key;
    pw_queue *q = key->queue;
    key->jobs--;
    flow_trim(flow);
    share_trim(share);
    qkey_trim(core, key);
    pw_lane_trim(core, lane);
    pw_queue_trim(core, q);
}

/* ---- queueing ---- */

void pw_queue_put(pw_core *core, pw_job *job)
{
    pw_flow *flow = job->flow;
    pw_share *share = flow->share;
    job->in_queue = true;
    if (job->granted) {
        DL_APPEND2(core->queue_granted, job, q_prev, q_next);
        core->queue_dirty = true;
        return;
    }
    job->q_number = ++core->queue_number;
    if (share->queued++ == 0 &&
        share->turn <=
            share->level
                ->turn) { /* who was away has saved no turns, and comes behind those who wait */
        share->turn = share->level->turn + 1;
    }
    flow->lane->queue->queued++;
    DL_APPEND2(flow->queued, job, q_prev, q_next);
    flow_place(core, flow);
}

void pw_queue_out(pw_core *core, pw_job *job)
{
    if (!job->in_queue) {
        return;
    }
    pw_flow *flow = job->flow;
    job->in_queue = false;
    if (job->granted) {
        DL_DELETE2(core->queue_granted, job, q_prev, q_next);
        return;
    }
    flow->share->queued--;
    flow->lane->queue->queued--;
    pw_pq_out(&flow->lane->queue->lanes, &flow->lane->node);
    pw_pq_out(&flow->lane->flows, &flow->node); /* its order is that of its first job */
    DL_DELETE2(flow->queued, job, q_prev, q_next);
    flow_place(core, flow);
}

/* ---- picking ---- */

pw_job *pw_queue_pick(pw_core *core, pw_poll **ret_poll)
{
    pw_queue *q = core->queues_ready;
    if (q == NULL) {
        return NULL;
    }
    const pw_lane *lane = lane_of(pw_pq_top(&q->lanes));
    pw_job *job = flow_of(pw_pq_top(&lane->flows))->queued;
    const pw_act *act = lane->offer->act;
    pawl_effect effect;
    bool reads_back;
    *ret_poll =
        act != NULL && act->fn != NULL ? NULL : pw_queue_poll_for(job, &effect, &reads_back);
    return job;
}

/* The share that was served goes behind the others of its level. */
static void next_turn(pw_core *core, pw_share *share)
{
    for (pw_flow *flow = share->flows; flow != NULL; flow = flow->s_next) {
        pw_pq_out(&flow->lane->queue->lanes, &flow->lane->node);
        pw_pq_out(&flow->lane->flows, &flow->node);
    }
    share->level->turn = share->turn > share->level->turn ? share->turn : share->level->turn;
    share->turn = share->level->turn + 1;
    for (pw_flow *flow = share->flows; flow != NULL; flow = flow->s_next) {
        flow_place(core, flow);
    }
}

void pw_queue_grant(pw_core *core, pw_job *job)
{
    pw_share *share = job->flow->share;
    pw_qkey *key = share->id.key;
    pw_queue *q = key->queue;
    pw_queue_out(core, job);
    job->granted = true;
    q->running++;
    if (q->limits.rate > 0) {
        int64_t now = now_us(core);
        key->tat_us = (key->tat_us > now ? key->tat_us : now) + interval_us(q);
        pw_qkey_place(core, key);
    }
    next_turn(core, share);
    pw_queue_place(core, q);
    if (q->ready) { /* the others first */
        DL_DELETE(core->queues_ready, q);
        DL_APPEND(core->queues_ready, q);
    }
}

void pw_queue_end(pw_core *core, pw_job *job)
{
    if (job->granted) {
        pw_queue *q = job->flow->lane->queue;
        pw_queue_out(core, job); /* while it is known where it stands */
        job->granted = false;
        q->running--;
        pw_queue_place(core, q);
    }
}

void pw_queue_act(pw_core *core, pw_act *act)
{
    pw_offer *offer;
    HASH_FIND(hh, core->offers, act->name, strlen(act->name), offer);
    if (offer != NULL) {
        offer->act = act;
        pw_offer_place(core, offer);
    }
}

/* ---- time ---- */

void pw_queues_step(pw_core *core)
{
    int64_t now = now_us(core);
    for (pw_pq_node *n = pw_pq_top(&core->queue_waits); n != NULL && key_of(n)->wake_us <= now;
         n = pw_pq_top(&core->queue_waits)) {
        pw_qkey *key = key_of(n);
        pw_queue *q = key->queue;
        pw_qkey_place(core, key);
        qkey_trim(core, key);
        pw_queue_trim(core, q);
    }
}

int64_t pw_queues_next(pw_core *core)
{
    const pw_pq_node *n = pw_pq_top(&core->queue_waits);
    if (n == NULL) {
        return -1;
    }
    int64_t us = key_of(n)->wake_us - now_us(core);
    return us <= 0 ? 0 : (us + 999) / 1000;
}

void pw_queues_clock(pw_core *core)
{
    pw_queue *q, *next;
    HASH_ITER (hh, core->queues, q, next) {
        for (pw_qkey *key = q->keys; key != NULL; key = key->hh.next) {
            pw_qkey_place(core, key);
        }
    }
}

/* ---- the beginning, the end, and checks ---- */

void pw_queues_init(pw_core *core)
{
    pw_pq_init(&core->queue_waits, key_before);
    core->queues_opened_us = now_us(core);
}

/* After the jobs: what is left are polls, configuration and buckets. */
void pw_queues_free(pw_core *core)
{
    pw_queue *q, *next;
    HASH_ITER (hh, core->queues, q, next) {
        pw_qkey *key, *knext;
        HASH_ITER (hh, q->keys, key, knext) {
            wait_until(core, key, 0);
            HASH_DEL(q->keys, key);
            pw_pq_leave(&core->queue_waits);
            pw_free(key);
        }
        q->configured = false;
        pw_queue_trim(core, q);
    }
    pw_pq_deinit(&core->queue_waits);
}

void pw_queues_check(pw_core *core)
{
    pw_queue *q, *next;
    HASH_ITER (hh, core->queues, q, next) {
        size_t queued = 0;
        PW_CHECK(q->running >= 0); /* the limit may have been lowered below what runs [Q1] */
        for (const pw_lane *lane = q->lanes_by; lane != NULL; lane = lane->hh.next) {
            PW_CHECK((lane->node.at != 0) == (lane->flows.len > 0 && lane_open(lane))); /* [Q3] */
        }
        for (const pw_share *share = q->shares; share != NULL; share = share->hh.next) {
            queued += share->queued;
            for (const pw_flow *flow = share->flows; flow != NULL; flow = flow->s_next) {
                PW_CHECK((flow->node.at != 0) == (flow->queued != NULL && !share->id.key->waits));
            }
        }
        PW_CHECK(queued == q->queued);
    }
}
