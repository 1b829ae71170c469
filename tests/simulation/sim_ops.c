/*
 * sim_ops.c - clients: each request has a dedup key and is repeated, after lost and negative answers, until its outcome is known.
 *
 * What they ask for is drawn. Does not say what an answer must mean: sim_check.c does.
 */
#include "sim.h"

/* ---- making ---- */

static sim_op *op_new(sim *s, const char *op, const char *id)
{
    sim_op *o = pw_calloc(1, sizeof *o);
    PW_CHECK(o != NULL);
    o->op = op;
    o->counter = -1;
    o->n = s->next_number++;
    (void)snprintf(o->id, sizeof o->id, "%s", id);
    (void)snprintf(o->by, sizeof o->by, "by-%lld", (long long)o->n);
    DL_APPEND(s->ops, o);
    s->ops_len++;
    return o;
}

/* Adds what every request has, and posts it. */
static void op_post(sim *s, sim_op *o, const pawl_value *args)
{
    pawl_scope *scope = s->r->scope;
    args = pawl_with(scope, args, "dedup",
                     pawl_make_str(scope, pw_sprintf(scope, "key-%lld", (long long)o->n)));
    args = pawl_with(scope, args, "by", pawl_make_str(scope, o->by));
    o->args = args;
    o->reply = rig_post_value(s->r, o->op, args);
    sim_note(s, o->op, strlen(o->op));
    sim_note(s, &o->n, sizeof o->n);
}

static void start(sim *s)
{
    static const char *const conflicts[] = {"fail", "fail", "use-existing", "terminate"};
    char id[24];
    for (int i = 0; i < SIM_COUNTERS; i++) {
        if (!s->counter_started[i]) { /* runs signal them */
            return;
        }
    }
    if (s->runs >= SIM_RUNS_MAX) {
        return;
    }
    bool again = s->runs > 0 && sim_chance(s, 6);
    int n = again ? (int)sim_draw(s, (uint64_t)s->runs) : s->runs++;
    (void)snprintf(id, sizeof id, "run-%d", n);
    sim_op *o = op_new(s, "start", id);
    rig *r = s->r;
    const pawl_value *args = rig_value(
        r, "{workflow: %s, id: %s, conflict: %s, input: {seed: %lld, depth: 2, jumps: %d}}",
        "chaos", id, conflicts[sim_draw(s, 4)], (long long)sim_draw(s, 1u << 30), sim_jumps(s));
    if (sim_chance(s, 5)) {
        args = pawl_with(r->scope, args, "timeout_s",
                         pawl_make_num(r->scope, (double)(60 + sim_draw(s, 4000))));
    }
    if (sim_chance(s, 5)) {
        args = pawl_with(r->scope, args, "signal", pawl_make_str(r->scope, "x"));
        args =
            pawl_with(r->scope, args, "signal_value", rig_value(r, "{n: %lld}", (long long)o->n));
    }
    op_post(s, o, args);
}

static void start_counter(sim *s, int i)
{
    char id[24];
    (void)snprintf(id, sizeof id, "counter-%d", i);
    sim_op *o = op_new(s, "start", id);
    op_post(s, o, rig_value(s->r, "{workflow: %s, id: %s}", i % 2 == 0 ? "counter" : "tally", id));
}

void sim_counters_start(sim *s)
{
    for (int i = 0; i < SIM_COUNTERS; i++) {
        start_counter(s, i);
    }
}

static void add_to_counter(sim *s)
{
    char id[24];
    int i = (int)sim_draw(s, SIM_COUNTERS);
    (void)snprintf(id, sizeof id, "counter-%d", i);
    sim_op *o = op_new(s, "signal", id);
    o->counter = i;
    op_post(s, o,
            rig_value(s->r, "{id: %s, name: %s, value: {n: %lld}}", id, "add", (long long)o->n));
}

void sim_counters_stop(sim *s)
{
    for (int i = 0; i < SIM_COUNTERS; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "counter-%d", i);
        sim_op *o = op_new(s, "signal", id);
        op_post(s, o, rig_value(s->r, "{id: %s, name: %s, value: {stop: true}}", id, "add"));
    }
}

static void some_id(sim *s, char ret[24], bool counters)
{
    if (counters && sim_chance(s, 4)) {
        (void)snprintf(ret, 24, "counter-%d", (int)sim_draw(s, SIM_COUNTERS));
    } else {
        (void)snprintf(ret, 24, "run-%d", (int)sim_draw(s, (uint64_t)s->runs + 1));
    }
}

static void verb(sim *s, const char *op, bool counters)
{
    char id[24];
    some_id(s, id, counters);
    sim_op *o = op_new(s, op, id);
    op_post(s, o, rig_value(s->r, "{id: %s, reason: %s}", id, "drawn"));
}

static void signal_run(sim *s)
{
    char id[24];
    some_id(s, id, false);
    sim_op *o = op_new(s, "signal", id);
    op_post(s, o,
            rig_value(s->r, "{id: %s, name: %s, value: {n: %lld}}", id, "x", (long long)o->n));
}

static void query(sim *s)
{
    char id[24];
    some_id(s, id, true);
    (void)rig_post(s->r, sim_chance(s, 2) ? "query" : "stack", "{id: %s, name: %s}", id,
                   sim_chance(s, 2) ? "peek" : "at");
}

void sim_op_random(sim *s)
{
    if (s->ops_len >= SIM_OPS_OPEN_MAX || s->r->core == NULL) {
        return;
    }
    uint64_t d = sim_draw(s, 100);
    if (d < 24) {
        start(s);
    } else if (d < 50) {
        add_to_counter(s);
    } else if (d < 64) {
        signal_run(s);
    } else if (d < 70) {
        verb(s, "pause", true);
    } else if (d < 78) {
        verb(s, "resume", true);
    } else if (d < 82) {
        verb(s, "cancel", false);
    } else if (d < 84) {
        verb(s, "terminate", false);
    } else if (d < 88) {
        verb(s, "retry", false);
    } else if (d < 94) {
        query(s);
    } else {
        sim_answer_waits(s, false);
    }
}

/* ---- waits and pauses of others ---- */

typedef struct wait_scan {
    sim *s;
    bool all;
} wait_scan;

static bool own_id(void *ctx, const pw_run_row *row)
{
    char *id = ctx;
    (void)snprintf(id, 48, "%.*s", (int)row->id.size, (const char *)row->id.data);
    return false;
}

static bool answer_wait(void *ctx, const pw_wait_row *row)
{
    const wait_scan *scan = ctx;
    sim *s = scan->s;
    if (s->ops_len >= SIM_OPS_OPEN_MAX * 2 || (!scan->all && !sim_chance(s, 3))) {
        return true;
    }
    static const char *const unknown[] = {"done", "retry", "fail"};
    char id[48] = "";
    pawl_error err;
    const pawl_value *body = pw_value_copy(s->r->scope, row->body.data, row->body.size);
    bool asks_unknown = strcmp(pawl_str(body, "choices", ""), "done|retry|fail") == 0;
    const char *choice = asks_unknown ? unknown[sim_draw(s, 3)] : sim_chance(s, 2) ? "yes" : "no";
    if (s->r->reader->ops->run_get(s->r->reader, row->run, own_id, id, &err) != PAWL_OK) {
        sim_fail(s, "a wait of run %lld has no run: %s", (long long)row->run, err.message);
    }
    sim_op *o = op_new(s, "answer", id);
    if (asks_unknown && strcmp(choice, "retry") == 0) {
        sim_told_retry(s, row->run, row->cmd);
    }
    const char *name = pw_sprintf(s->r->scope, "%.*s:%lld", (int)row->name.size,
                                  (const char *)row->name.data, (long long)row->cmd);
    static const char *const people[] = {"ann", "bob", "cid"};
    const char *by = people[sim_draw(s, 3)];
    bool put_off = !scan->all && !asks_unknown && sim_chance(s, 4);
    op_post(s, o,
            put_off
                ? rig_value(s->r,
                            "{id: %s, key: %lld, name: %s, value: {defer: {for_ms: %lld}}, by: %s}",
                            id, (long long)row->run, name, (long long)sim_draw(s, 200000) + 1, by)
                : rig_value(s->r, "{id: %s, key: %lld, name: %s, value: {choice: %s}, by: %s}", id,
                            (long long)row->run, name, choice, by));
    return true;
}

void sim_answer_waits(sim *s, bool all)
{
    wait_scan scan = {s, all};
    pawl_error err;
    if (s->r->core != NULL &&
        s->r->reader->ops->waits(s->r->reader, 0, answer_wait, &scan, &err) != PAWL_OK) {
        sim_fail(s, "waits cannot be read: %s", err.message);
    }
}

static bool resume_one(void *ctx, const pw_run_row *row)
{
    sim *s = ctx;
    if (row->status == PW_RUN_PAUSED && s->ops_len < SIM_OPS_OPEN_MAX * 2) {
        char id[48];
        (void)own_id(id, row);
        sim_op *o = op_new(s, "resume", id);
        op_post(s, o, rig_value(s->r, "{id: %s, key: %lld}", id, (long long)row->key));
    }
    return true;
}

void sim_resume_all(sim *s)
{
    pw_scan scan = {.open_only = true};
    pawl_error err;
    if (s->r->reader->ops->run_scan(s->r->reader, &scan, resume_one, s, &err) != PAWL_OK) {
        sim_fail(s, "runs cannot be read: %s", err.message);
    }
}

/* ---- answers ---- */

static bool unsettled(const sim_op *o)
{
    const rig_reply *reply = o->reply;
    switch ((int)reply->status) {
    case PAWL_NOCODE: /* its code is missing in this process */
        return strcmp(o->op, "start") == 0;
    case PAWL_NOT:
    case PAWL_UNKNOWN:
    case PAWL_NOSPACE:
    case PAWL_SHUTDOWN:
    case PAWL_IO:
    case PAWL_FENCED:
        return true;
    default:
        return reply->lost;
    }
}

static void look_one(sim *s, sim_op *o)
{
    if (o->reply == NULL) {
        if (s->r->core != NULL && !s->r->failed && s->r->now_ms >= o->again_ms) {
            o->reply = rig_post_value(s->r, o->op, o->args);
        }
        return;
    }
    if (!o->reply->done) {
        return;
    }
    int status = (int)o->reply->status;
    if (getenv("PAWL_SIM_TALK") != NULL) {
        (void)fprintf(stderr, "    %s %s (%s): %s %s%s\n", o->op, o->id, o->by,
                      pawl_status_name(o->reply->status), o->reply->message,
                      o->reply->lost ? " lost" : "");
    }
    sim_note(s, &status, sizeof status);
    if (unsettled(o)) {
        o->reply = NULL;
        o->again_ms = s->calm ? s->r->now_ms : s->r->now_ms + (int64_t)sim_draw(s, 3000);
        return;
    }
    sim_check_ack(s, o);
    DL_DELETE(s->ops, o);
    s->ops_len--;
    pw_free(o);
}

void sim_ops_look(sim *s)
{
    sim_op *o, *next;
    DL_FOREACH_SAFE (s->ops, o, next) {
        look_one(s, o);
    }
}

void sim_ops_free(sim *s)
{
    sim_op *o, *next;
    DL_FOREACH_SAFE (s->ops, o, next) {
        pw_free(o);
    }
    s->ops = NULL;
    s->ops_len = 0;
}
