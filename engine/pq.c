/*
 * pq.c - the heap of pq.h. Its memory grows by doubling and shrinks only when it goes. Does not own its nodes.
 */
#include "engine/pq.h"

#include "sdk/base/error.h"
#include "sdk/base/mem.h"

void pw_pq_init(pw_pq *q, pw_pq_before before)
{
    *q = (pw_pq){.before = before};
}

void pw_pq_deinit(pw_pq *q)
{
    pw_free(q->items);
    q->items = NULL;
    q->len = q->cap = q->members = 0;
}

bool pw_pq_join(pw_pq *q)
{
    if (q->members == q->cap) {
        size_t cap = q->cap == 0 ? 8 : q->cap * 2;
        pw_pq_node **grown = pw_realloc(q->items, cap * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        q->items = grown;
        q->cap = cap;
    }
    q->members++;
    return true;
}

void pw_pq_leave(pw_pq *q)
{
    PW_CHECK(q->members > q->len);
    q->members--;
}

static void set(pw_pq *q, size_t i, pw_pq_node *n)
{
    q->items[i] = n;
    n->at = i + 1;
}

static size_t up(pw_pq *q, size_t i, pw_pq_node *n)
{
    while (i > 0 && q->before(n, q->items[(i - 1) / 2])) {
        set(q, i, q->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    set(q, i, n);
    return i;
}

static void down(pw_pq *q, size_t i, pw_pq_node *n)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->len) {
            break;
        }
        if (child + 1 < q->len && q->before(q->items[child + 1], q->items[child])) {
            child++;
        }
        if (!q->before(q->items[child], n)) {
            break;
        }
        set(q, i, q->items[child]);
        i = child;
    }
    set(q, i, n);
}

void pw_pq_put(pw_pq *q, pw_pq_node *n)
{
    if (n->at == 0) {
        PW_CHECK(q->len < q->members);
        q->len++;
        (void)up(q, q->len - 1, n);
        return;
    }
    size_t i = n->at - 1;
    if (up(q, i, n) == i) {
        down(q, i, n);
    }
}

void pw_pq_out(pw_pq *q, pw_pq_node *n)
{
    if (n->at == 0) {
        return;
    }
    size_t i = n->at - 1;
    pw_pq_node *last = q->items[--q->len];
    n->at = 0;
    if (last == n) {
        return;
    }
    set(q, i, last);
    pw_pq_put(q, last);
}

pw_pq_node *pw_pq_top(const pw_pq *q)
{
    return q->len > 0 ? q->items[0] : NULL;
}
