/*
 * queue_inside.h - between the queue_*.c files. queue.h draws it.
 */
#ifndef PW_QUEUE_INSIDE_H
#define PW_QUEUE_INSIDE_H

#include "engine/pq.h"
#include "engine/queue.h"

typedef struct pw_queue pw_queue;
typedef struct pw_lane pw_lane;

typedef struct pw_queue_limits {
    int64_t concurrency; /* attempts at a time; 0 = no limit */
    double rate;         /* starts a second of one key; 0 = no limit */
    int64_t burst;       /* at once, after a pause; at least 1 */
} pw_queue_limits;

/** An activity, wherever it runs. */
typedef struct pw_offer {
    pw_act *act;                /* registered here; NULL = not */
    struct pw_poll_link *polls; /* of workers that take it from any queue; list, oldest first */
    pw_lane *lanes;             /* list */
    bool missed;                /* it was warned of */
    UT_hash_handle hh;
    char name[];
} pw_offer;

struct pw_lane {
    pw_pq_node node; /* in the queue's heap while it has flows that can start */
    pw_queue *queue;
    pw_offer *offer;
    struct pw_poll_link *polls; /* of workers that named this queue */
    size_t polls_len;
    pw_pq flows;
    pw_lane *o_prev, *o_next;
    UT_hash_handle hh; /* in the queue, by offer */
};

typedef struct pw_level {
    int64_t priority;
    uint64_t turn; /* of the share served last */
    size_t shares;
    UT_hash_handle hh;
} pw_level;

typedef struct pw_qkey {
    pw_pq_node node; /* in core->queue_waits */
    pw_queue *queue;
    int64_t tat_us;  /* when the bucket is full again: the theoretical arrival time of GCRA */
    int64_t wake_us; /* in the heap: when it is looked at again */
    uint64_t number;
    bool waits; /* without a token: its flows are out of their lanes */
    size_t jobs;
    struct pw_share *shares; /* list */
    UT_hash_handle hh;
    char name[];
} pw_qkey;

typedef struct pw_share_id {
    pw_qkey *key;
    int64_t priority;
} pw_share_id;

typedef struct pw_share {
    pw_share_id id;
    pw_level *level;
    uint64_t turn; /* the smallest of a level is served next */
    size_t queued;
    pw_flow *flows; /* list */
    struct pw_share *k_prev, *k_next;
    UT_hash_handle hh;
} pw_share;

struct pw_flow {
    pw_pq_node node; /* in the lane's heap */
    pw_share *share;
    pw_lane *lane;
    pw_job *queued; /* list by q_prev, q_next */
    size_t jobs;    /* made for it, in the queue or not */
    pw_flow *s_prev, *s_next;
};

struct pw_queue {
    pw_queue_limits limits;
    bool configured;
    bool limited_before; /* it had a rate when the journal was opened */
    int64_t running;
    size_t queued;
    pw_pq lanes;
    pw_lane *lanes_by; /* hash by offer */
    pw_qkey *keys;     /* hash by name */
    pw_share *shares;  /* hash by key and priority */
    pw_level *levels;  /* hash by priority */
    bool ready;        /* in core->queues_ready */
    pw_queue *prev, *next;
    UT_hash_handle hh;
    char name[];
};

pw_queue *pw_queue_get(pw_core *core, const char *name); /* NULL = no memory */
void pw_queue_trim(pw_core *core, pw_queue *queue);      /* frees it when nobody needs it */
void pw_queue_place(pw_core *core, pw_queue *queue);
pw_lane *pw_lane_get(pw_core *core, pw_queue *queue, const char *activity);
void pw_lane_trim(pw_core *core, pw_lane *lane);
void pw_lane_place(pw_core *core, pw_lane *lane);
pw_offer *pw_offer_get(pw_core *core, const char *activity);
void pw_offer_place(pw_core *core, const pw_offer *offer);
void pw_offer_trim(pw_core *core, pw_offer *offer);
void pw_qkey_place(pw_core *core, pw_qkey *key);

#endif
