/*
 * sim.h - the engine's real core under a seed: what the simulator's files share.
 *
 *   sim.c        the schedule: what happens next, and the end, when faults stop and everything must finish
 *   sim_code.c   what the runs do: random programs, counters
 *   sim_ops.c    clients: requests with dedup keys, repeated until they have an answer
 *   sim_work.c   workers: attempts begun, beaten, ended, twice, late, or never
 *   sim_check.c  what must hold: at each ack, at each dispatch, after each step, at the end
 *
 * Everything is drawn from one number. A failure prints the command that repeats it.
 */
#ifndef TEST_SIM_H
#define TEST_SIM_H

#include <stdio.h>

#include "engine/parts.h"
#include "tests/engine/rig.h"

#define SIM_COUNTERS 4 /* ids counter-0 ... : the odd ones are folded */
#define SIM_RUNS_MAX 400
#define SIM_OPS_OPEN_MAX 40 /* requests under way at a time */

/** One request of a client that goes on until it knows the outcome. */
typedef struct sim_op {
    const char *op;
    const pawl_value *args;
    char id[48];
    char by[24];      /* unique: how its event is found */
    int64_t n;        /* of a signal to a counter */
    int counter;      /* -1 = none */
    rig_reply *reply; /* NULL = not under way */
    int64_t again_ms;
    struct sim_op *prev, *next;
} sim_op;

/** What the world has seen of one command with effects. */
typedef struct sim_effect {
    UT_hash_handle hh;
    int64_t last_attempt;
    int64_t started, told_failed, told_retry; /* unsafe ones: an attempt needs a reason */
    char key[];
} sim_effect;

typedef struct sim {
    rig *r;
    uint64_t seed, rng;
    long steps;
    bool calm;   /* no faults any more */
    sim_op *ops; /* open ones */
    size_t ops_len;
    sim_effect *effects;
    int64_t next_number; /* dedup keys, signal payloads */
    int runs;            /* started: ids run-0 ... */
    int64_t sums[SIM_COUNTERS];
    int64_t counts[SIM_COUNTERS];
    bool counter_started[SIM_COUNTERS];
    uint64_t hash; /* of everything that happened */
    long crashes, faults, jumps, attempts, doubles, stales, acks, events;
    bool over; /* ended well */
} sim;

/** Ends the program, saying how to repeat it. */
void sim_fail(const sim *s, const char *fmt, ...) PAWL_PRINTF(2, 3) __attribute__((noreturn));
#define SIM_CHECK(s, cond, ...) ((cond) ? (void)0 : sim_fail((s), __VA_ARGS__))

uint64_t sim_draw(sim *s, uint64_t below); /* 0 <= n < below */
bool sim_chance(sim *s, uint64_t one_in);
bool sim_jumps(const sim *s); /* the wall clock jumps under every other seed */
void sim_note(sim *s, const void *data, size_t size); /* into the hash */

/* sim_code.c */
void sim_code_register(sim *s);
/** What the pure activities answer. */
int64_t sim_answer_of(int64_t n);

/* sim_ops.c */
void sim_op_random(sim *s);
void sim_ops_look(sim *s); /* takes answers, repeats what has none */
void sim_ops_free(sim *s);
void sim_answer_waits(sim *s, bool all);
void sim_resume_all(sim *s);
void sim_counters_stop(sim *s);
void sim_counters_start(sim *s);

/* sim_work.c */
void sim_work(sim *s);
void sim_dispatched(rig *r, const rig_task *t);
void sim_report_double(sim *s); /* the oldest report in the queue, once more or changed */
void sim_told_retry(sim *s, int64_t run, int64_t cmd);
void sim_effects_free(sim *s);

/* sim_check.c */
void sim_check_ack(sim *s, const sim_op *op);
bool sim_has_event(sim *s, int64_t run, pw_event_type type);
void sim_check_step(sim *s);
void sim_check_end(sim *s);
void sim_tell_run(const sim *s, int64_t run); /* the history of one of which something is wrong */
/** 0: all are closed. Names one that is open, a counter only when nothing else is. */
int64_t sim_open_run(sim *s, char *ret_text, size_t size);

#endif
