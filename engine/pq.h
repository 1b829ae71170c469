/*
 * pq.h - a binary heap of nodes that know where they stand in it: push, pop, remove and move, each O(log n). Room is reserved when a member
 * is made, so that putting it in never fails. The order must be total: no two nodes are equal.
 */
#ifndef PW_PQ_H
#define PW_PQ_H

#include <stdbool.h>
#include <stddef.h>

/** Stands in what is ordered. */
typedef struct pw_pq_node {
    size_t at; /* 0 = in no heap, else its place + 1 */
} pw_pq_node;

typedef bool (*pw_pq_before)(const pw_pq_node *a, const pw_pq_node *b);

typedef struct pw_pq {
    pw_pq_before before;
    pw_pq_node **items;
    size_t len, cap;
    size_t members; /* that may stand in it */
} pw_pq;

void pw_pq_init(pw_pq *q, pw_pq_before before);
void pw_pq_deinit(pw_pq *q);
/** One more node may come in. False: no memory. */
bool pw_pq_join(pw_pq *q);
/** One less; it must be out. */
void pw_pq_leave(pw_pq *q);
/** Puts it in, or moves it to where it belongs now. */
void pw_pq_put(pw_pq *q, pw_pq_node *n);
void pw_pq_out(pw_pq *q, pw_pq_node *n); /* nothing when it is not in */
pw_pq_node *pw_pq_top(const pw_pq *q);   /* NULL = empty */

#endif
