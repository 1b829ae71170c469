/*
 * batch.c - a group being built: its operations, the runs frozen by it, the inputs it consumed, and what to publish after its ack.
 *
 * A group is handed over when nothing more is ready, and before that when the journal is idle and a sync is cheaper than waiting.
 * While the journal is idle and more runs are ready, it gets the beginning of the group (pw_batch_show), so that it applies that while the rest is
 * built: one group and one sync all the same. Only operations that nobody looks at again are shown; what cannot go on so takes the group back.
 * Everything the journal thread reads lives in the group's scope, the batch's buffers or frozen runs until the group is answered.
 * Does not publish: publish.c does, after the ack [E1].
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/parts.h"

#define HAND_OVER_NS 50000 /* to wake the journal thread, and to be woken by it */
#define SPARE_BUFS_MAX 4096
#define SPARE_BUF_BYTES_MAX 1024

pw_batch *pw_batch_get(pw_core *core)
{
    if (core->building != NULL) {
        return core->building;
    }
    pw_batch *b = pw_calloc(1, sizeof *b);
    pawl_scope *scope = b != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(b);
        return NULL;
    }
    b->core = core;
    b->group.scope = scope;
    b->group.user = b;
    b->group.epoch = core->options.epoch;
    b->now_ms = pw_core_now(core);
    core->building = b;
    return b;
}

static bool room_for(pw_batch *b, size_t cap)
{
    pw_batch_take_back(b); /* the array may move */
    pw_op *grown = pw_realloc(b->group.ops, cap * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    b->group.ops = grown;
    b->cap = cap;
    return true;
}

pw_op *pw_batch_op(pw_batch *b, pw_op_type type)
{
    if (b->group.len == b->cap && !room_for(b, b->cap == 0 ? 16 : b->cap * 2)) {
        b->failed = true;
        b->spare_op = (pw_op){.type = type};
        return &b->spare_op;
    }
    pw_op *op = &b->group.ops[b->group.len++];
    memset(op, 0, sizeof *op);
    op->type = type;
    return op;
}

pw_publish *pw_batch_publish(pw_batch *b)
{
    pw_publish *p = pawl_scope_alloc(b->group.scope, sizeof *p);
    if (p == NULL) {
        b->failed = true;
        b->spare_publish = (pw_publish){0};
        return &b->spare_publish;
    }
    if (b->publish_tail != NULL) {
        b->publish_tail->next = p;
    } else {
        b->publish = p;
    }
    b->publish_tail = p;
    return p;
}

pw_buf *pw_batch_buf(pw_batch *b)
{
    pw_core *core = b->core;
    pw_batch_bufs *slot = core->spare_bufs;
    if (slot != NULL) {
        core->spare_bufs = slot->next;
        core->spare_bufs_len--;
    } else {
        slot = pw_calloc(1, sizeof *slot);
    }
    if (slot == NULL) {
        b->failed = true;
        b->spare_buf = (pw_buf){.failed = true};
        return &b->spare_buf;
    }
    slot->next = b->bufs;
    b->bufs = slot;
    return &slot->buf;
}

/* Small ones are kept for the next batch: two buffers a turn would be as many visits to malloc. */
static void give_buf(pw_core *core, pw_batch_bufs *slot)
{
    if (slot->buf.capacity > SPARE_BUF_BYTES_MAX || core->spare_bufs_len >= SPARE_BUFS_MAX) {
        pw_buf_deinit(&slot->buf);
        pw_free(slot);
        return;
    }
    pw_buf_reset(&slot->buf);
    slot->buf.bytes_max = 0;
    slot->next = core->spare_bufs;
    core->spare_bufs = slot;
    core->spare_bufs_len++;
}

void pw_batch_trim(pw_core *core)
{
    while (core->spare_bufs != NULL) {
        pw_batch_bufs *slot = core->spare_bufs;
        core->spare_bufs = slot->next;
        pw_buf_deinit(&slot->buf);
        pw_free(slot);
    }
    core->spare_bufs_len = 0;
    pw_buf_deinit(&core->spare_fields);
}

bool pw_batch_hold(pw_batch *b, pw_live *live)
{
    if (b->lives_len == b->lives_cap) {
        size_t cap = b->lives_cap == 0 ? 16 : b->lives_cap * 2;
        pw_live **grown = pw_realloc(b->lives, cap * sizeof(pw_live *));
        if (grown == NULL) {
            b->failed = true;
            return false;
        }
        b->lives = grown;
        b->lives_cap = cap;
    }
    b->lives[b->lives_len++] = live;
    PW_CHECK(!live->frozen); /* [E2] */
    live->frozen = !PW_BUG_NO_FREEZE;
    return true;
}

pw_batch_mark pw_batch_mark_of(const pw_batch *b)
{
    return (pw_batch_mark){.ops = b->group.len,
                           .lives = b->lives_len,
                           .publish = b->publish_tail,
                           .inputs = b->inputs != NULL ? b->inputs->prev : NULL};
}

bool pw_batch_lost(const pw_batch *b)
{
    return b->failed || pw_scope_failed(b->group.scope);
}

void pw_batch_undo(pw_batch *b, const pw_batch_mark *mark)
{
    PW_CHECK(mark->ops >= b->shown); /* shown is between turns, and a mark does not outlive one */
    pw_budget_undo(b, mark->ops);
    b->group.len = mark->ops;
    for (pw_publish *p = mark->publish != NULL ? mark->publish->next : b->publish; p != NULL;
         p = p->next) {
        if (p->kind == PW_PUB_REPLY) {
            pawl_error err;
            pw_reply_now(b->core, p->rq, pw_err(&err, PAWL_NOMEM, "out of memory; it was not done"),
                         &err, (pw_view){NULL, 0});
        }
        p->kind = PW_PUB_NOTHING;
    }
    b->failed = false;
    pw_scope_heal(b->group.scope);
}

void pw_batch_free(pw_batch *b)
{
    if (b == NULL) {
        return;
    }
    while (b->bufs != NULL) {
        pw_batch_bufs *slot = b->bufs;
        b->bufs = slot->next;
        give_buf(b->core, slot);
    }
    pw_free(b->group.ops);
    pw_free(b->lives);
    pawl_scope_free(b->group.scope);
    pw_free(b);
}

/* ---- when to hand over ---- */

static bool journal_idle(const pw_core *core)
{
    for (const pw_batch *b = core->flight; b != NULL; b = b->next) {
        if (!atomic_load_explicit(&b->group.answered, memory_order_relaxed)) {
            return false;
        }
    }
    return true;
}

/* To build it and to hand it over took as long as its commit will wait for the disk: a group of its own costs nothing, since the next one is
 * built meanwhile. */
static bool pays_for_its_sync(const pw_core *core, const pw_batch *b)
{
    return (int64_t)b->lives_len * core->turn_ns + HAND_OVER_NS >= core->sync_ns;
}

/* In the middle of the ready runs. */
bool pw_batch_full(const pw_core *core)
{
    const pw_batch *b = core->building;
    if (b == NULL || b->group.len >= PW_GROUP_OPS_MAX || b->lives_len >= PW_GROUP_TURNS_MAX) {
        return b != NULL;
    }
    if (b->open) {
        return b->cap - b->group.len < PW_GROUP_SHOW_OPS / 8;
    }
    return b->lives_len >= PW_GROUP_TURNS_MIN && pays_for_its_sync(core, b) && journal_idle(core);
}

/* When nothing more is ready. A small group does not queue behind another: it would be a sync more, and the runs of the other, which are
 * ready when that has landed, share its own. */
bool pw_batch_due(const pw_core *core)
{
    const pw_batch *b = core->building;
    return b == NULL || b->group.len == 0 || pays_for_its_sync(core, b) || journal_idle(core);
}

void pw_batch_note_pace(pw_core *core, int64_t from_ns, int64_t turns)
{
    if (turns >= PW_GROUP_TURNS_MIN) {
        int64_t now_ns = (core->env.mono_ns(core->env.ctx) - from_ns) / turns;
        core->turn_ns += (now_ns - core->turn_ns) / 4;
    }
}

/* What every commit waits is what the quick ones took: the others had more to write, or company. */
void pw_batch_note_sync(pw_core *core, int64_t sync_ns)
{
    core->sync_ns += (sync_ns - core->sync_ns) / (sync_ns < core->sync_ns ? 2 : 8);
}

/* ---- showing it while it is built ---- */

/* Nobody looks at it again, and all that it points to stays where it is. */
static bool is_plain(const pw_op *op)
{
    switch ((int)op->type) {
    case PW_OP_TURN:
        return op->u.turn.tx == NULL;
    case PW_OP_RUN_CREATE:
    case PW_OP_TIMER_SET:
    case PW_OP_TIMER_CLEAR:
    case PW_OP_TASK_PUT:
    case PW_OP_TASK_CLEAR:
    case PW_OP_WAIT_PUT:
    case PW_OP_WAIT_CLEAR:
    case PW_OP_KEY_PUT:
    case PW_OP_SNAPSHOT_PUT:
        return true;
    default:
        return false;
    }
}

/* Follows the last that landed and those in flight. */
static uint64_t next_number(const pw_core *core)
{
    return core->group_no + core->flight_len + 1;
}

/* All that is ready fits one group whose sync is a good part of it. More pays for syncs of its own: the next group is built, and the last one
 * published, while one is with the journal. */
static bool is_short(const pw_core *core, const pw_batch *b)
{
    const int64_t turn_ns = core->turn_ns > 0 ? core->turn_ns : 1;
    int64_t room = PW_GROUP_SHOW_SYNCS * core->sync_ns / turn_ns - (int64_t)b->lives_len;
    for (const pw_live *live = core->ready; live != NULL; live = live->ready_next) {
        if (--room < 0) {
            return false;
        }
    }
    return true;
}

static void open_batch(pw_core *core, pw_batch *b)
{
    if (!is_short(core, b)) {
        b->shown_turns = PW_GROUP_TURNS_MAX; /* it is not asked again */
        return;
    }
    if (b->cap < PW_GROUP_SHOW_OPS && !room_for(b, PW_GROUP_SHOW_OPS)) {
        return;
    }
    b->open = true;
    b->group.number = next_number(core);
    core->env.commit_open(core->env.ctx, &b->group, b->shown);
}

/* A quarter more each time: the journal is woken seldom, and is not far behind when the group is whole. */
static size_t next_show(const pw_batch *b)
{
    const size_t quarter = b->shown_turns / 4;
    return b->shown_turns + (quarter > PW_GROUP_SHOW_TURNS ? quarter : PW_GROUP_SHOW_TURNS);
}

void pw_batch_show(pw_core *core)
{
    pw_batch *b = core->building;
    if (core->env.commit_open == NULL || core->flight_len > 0 || b == NULL ||
        b->lives_len < next_show(b) || pw_batch_full(core)) {
        return;
    }
    const size_t before = b->shown;
    b->shown_turns = b->lives_len;
    while (b->shown < b->group.len && is_plain(&b->group.ops[b->shown])) {
        b->shown++;
    }
    if (b->open) {
        core->env.commit_show(core->env.ctx, &b->group, b->shown, false);
    } else if (b->shown > before) {
        open_batch(core, b);
    }
}

void pw_batch_take_back(pw_batch *b)
{
    if (b != NULL && b->open) {
        b->open = false;
        b->core->env.commit_back(b->core->env.ctx, &b->group);
    }
}

void pw_batch_submit(pw_core *core)
{
    pw_batch *b = core->building;
    if (b == NULL) {
        return;
    }
    core->building = NULL;
    if (b->group.len == 0) { /* nothing to write: what it would publish depends on nothing */
        pw_publish_batch(core, b);
        pw_batch_free(b);
        return;
    }
    const bool open = b->open;
    b->open = false;
    if (!open) { /* else it has it, and the journal reads it */
        b->group.number = next_number(core);
    }
    LL_APPEND(core->flight, b);
    core->flight_len++;
    core->stats.groups++;
    core->stats.group_ops += (int64_t)b->group.len;
    if (open) {
        core->env.commit_show(core->env.ctx, &b->group, b->group.len, true);
    } else {
        core->env.commit(core->env.ctx, &b->group);
    }
}

pw_publish *pw_batch_reply(pw_batch *b, pw_request *rq, pawl_status status, const pawl_error *err,
                           pw_view body)
{
    pw_request_take(b, rq, status, err, body);
    if (PW_BUG_ENGINE_ACK_BEFORE_COMMIT) {
        pw_reply_now(b->core, rq, status, err, body);
        return NULL;
    }
    b->failed |= pw_scope_failed(rq->scope); /* what it asked for was not read right */
    pw_publish *p = pw_batch_publish(b);
    if (pw_batch_lost(b)) { /* it will be undone: nobody but this knows the caller */
        pawl_error nomem;
        p->kind = PW_PUB_NOTHING;
        pw_reply_now(b->core, rq, pw_err(&nomem, PAWL_NOMEM, "out of memory; it was not done"),
                     &nomem, (pw_view){NULL, 0});
        return NULL;
    }
    p->kind = PW_PUB_REPLY;
    p->rq = rq;
    p->status = status;
    if (err != NULL) {
        p->error = *err;
    }
    if (body.size > 0) {
        p->body.data = pw_memdup(b->group.scope, body.data, body.size);
        p->body.size = body.size;
    }
    return p;
}
