/*
 * sim_check.c - what must hold: at each ack, after each step, and at the end, when nothing may be left over.
 *
 * Looks at the journal with a reader of its own, as a stranger would; into the core only for what the journal cannot say.
 */
#include "sim.h"

#include "engine/map.h"

/* ---- histories ---- */

typedef struct event_find {
    sim *s;
    int type;         /* 0 = any */
    const char *by;   /* NULL = any */
    const char *name; /* of a signal; NULL = any */
    int64_t n;        /* value.n of a signal; -1 = any */
    bool found;
} event_find;

static bool event_fits(event_find *f, const pw_event *ev)
{
    if (f->type != 0 && (int)ev->type != f->type) {
        return false;
    }
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *body = pw_value_view(scope, ev->body.data, ev->body.size);
    bool fits = (f->by == NULL || pawl_is(body, "by", f->by)) &&
                (f->name == NULL || pawl_is(body, "name", f->name)) &&
                (f->n < 0 || pawl_int(body, "value.n", -1) == f->n);
    pawl_scope_free(scope);
    return fits;
}

static bool find_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    event_find *f = ctx;
    pw_record rec;
    pawl_error err;
    pw_event ev = {.seq = first_seq + 1};
    if (pw_record_open(record.data, record.size, &rec, &err) != PAWL_OK) {
        sim_fail(f->s, "a record cannot be opened: %s", err.message);
    }
    while (!f->found && pw_record_next(&rec, &ev)) {
        f->found = event_fits(f, &ev);
        ev.seq++;
    }
    return !f->found;
}

static void find_in(sim *s, int64_t key, event_find *f)
{
    pawl_error err;
    pawl_status st = s->r->reader->ops->read(s->r->reader, key, 0, find_record, f, &err);
    SIM_CHECK(s, st == PAWL_OK, "the history of run %lld: %s", (long long)key, err.message);
}

bool sim_has_event(sim *s, int64_t run, pw_event_type type)
{
    event_find f = {.s = s, .type = (int)type, .n = -1};
    find_in(s, run, &f);
    return f.found;
}

typedef struct id_scan {
    sim *s;
    const char *id;
    event_find *find;
    int64_t keys;
} id_scan;

static bool scan_id(void *ctx, const pw_run_row *row)
{
    id_scan *scan = ctx;
    if (pw_view_is(row->id, scan->id)) {
        scan->keys++;
        if (scan->find != NULL && !scan->find->found) {
            find_in(scan->s, row->key, scan->find);
        }
    }
    return true;
}

/* In any run of that id: it may have continued as new since. */
static bool found_under(sim *s, const char *id, event_find *f)
{
    id_scan scan = {s, id, f, 0};
    pw_scan all = {.id_prefix = {(const uint8_t *)id, strlen(id)}, .rows_max = SIZE_MAX};
    pawl_error err;
    pawl_status st = s->r->reader->ops->run_scan(s->r->reader, &all, scan_id, &scan, &err);
    SIM_CHECK(s, st == PAWL_OK, "runs cannot be read: %s", err.message);
    return f != NULL ? f->found : scan.keys > 0;
}

/* ---- at an ack: what was promised is in the journal ---- */

void sim_check_ack(sim *s, const sim_op *o)
{
    if (o->reply->status != PAWL_OK) {
        return;
    }
    s->acks++;
    event_find f = {.s = s, .by = o->by, .n = -1};
    if (strcmp(o->op, "start") == 0) {
        int counter = -1;
        if (sscanf(o->id, "counter-%d", &counter) == 1) {
            s->counter_started[counter] = true;
        }
        bool shared =
            pawl_bool(o->reply->value, "existing", false) && pawl_get(o->args, "signal") == NULL;
        f.type = shared ? PW_EV_RUN_STARTED : 0;
        f.by = shared ? NULL : o->by;
    } else if (strcmp(o->op, "signal") == 0) {
        f.type = PW_EV_SIGNAL_RECEIVED;
    } else if (strcmp(o->op, "terminate") == 0) {
        f.type = PW_EV_RUN_TERMINATED;
    } else if (strcmp(o->op, "answer") != 0) {
        return; /* pause, resume, cancel: may have found it done already */
    }
    SIM_CHECK(s, found_under(s, o->id, &f), "%s of %s was acked and is not in the journal (%s)",
              o->op, o->id, o->by);
    if (o->counter >= 0) {
        s->sums[o->counter] += o->n;
        s->counts[o->counter]++;
    }
}

/* ---- after each step ---- */

void sim_check_step(sim *s)
{
    rig *r = s->r;
    if (r->core == NULL) {
        return;
    }
    pw_core_check(r->core);
    SIM_CHECK(s, r->core->stats.mismatches == 0, "a history does not replay:\n%.*s",
              (int)r->log.size, (const char *)r->log.data);
    sim_note(s, r->log.data, r->log.size);
    if (getenv("PAWL_SIM_TALK") != NULL) {
        (void)fprintf(stderr, "%.*s", (int)r->log.size, (const char *)r->log.data);
    }
    bool damage = rig_logged(r, "cannot be") && !s->r->failed;
    SIM_CHECK(s, !damage, "the core says:\n%.*s", (int)r->log.size, (const char *)r->log.data);
    pw_buf_reset(&r->log);
}

/* ---- at the end ---- */

static bool tell_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)ctx;
    (void)events;
    pw_record rec;
    pawl_error err;
    pw_event ev = {.seq = first_seq + 1};
    bool good = pw_record_open(record.data, record.size, &rec, &err) == PAWL_OK;
    for (; good && pw_record_next(&rec, &ev); ev.seq++) {
        char body[200] = "";
        pawl_scope *scope = pawl_scope_new();
        (void)snprintf(body, sizeof body, "%s",
                       pawl_to_json(scope, pw_value_view(scope, ev.body.data, ev.body.size), 0));
        pawl_scope_free(scope);
        (void)fprintf(stderr, "%6lld %5lld %-20s %4lld %s\n", (long long)pos, (long long)ev.seq,
                      pw_event_name((int)ev.type), (long long)ev.cmd, body);
    }
    return true;
}

/* The history of a run of which something is wrong. */
void sim_tell_run(const sim *s, int64_t run)
{
    pawl_error err;
    (void)s->r->reader->ops->read(s->r->reader, run, 0, tell_record, NULL, &err);
}

typedef struct open_find {
    char *text;
    size_t size;
    int64_t run;
    bool open;
    bool only_counters;
} open_find;

static bool find_open(void *ctx, const pw_run_row *row)
{
    open_find *f = ctx;
    bool counter = row->id.size > 8 && memcmp(row->id.data, "counter-", 8) == 0;
    if (row->closed_ms == 0 && !(counter && f->open)) {
        f->open = true;
        f->only_counters = counter;
        f->run = row->key;
        (void)snprintf(f->text, f->size, "%.*s (key %lld) is %s and waits for \"%.*s\"",
                       (int)row->id.size, (const char *)row->id.data, (long long)row->key,
                       pw_run_status_name(row->status), (int)row->waiting.size,
                       (const char *)row->waiting.data);
    }
    return !f->open || f->only_counters;
}

int64_t sim_open_run(sim *s, char *ret_text, size_t size)
{
    open_find f = {.text = ret_text, .size = size};
    pw_scan all = {.open_only = true, .rows_max = SIZE_MAX};
    pawl_error err;
    pawl_status st = s->r->reader->ops->run_scan(s->r->reader, &all, find_open, &f, &err);
    SIM_CHECK(s, st == PAWL_OK, "runs cannot be read: %s", err.message);
    return f.run;
}

static bool left_task(void *ctx, const pw_task_row *row)
{
    sim_tell_run(ctx, row->run);
    sim_fail(ctx, "a task row is left over: run %lld, command %lld", (long long)row->run,
             (long long)row->cmd);
}

static bool left_timer(void *ctx, const pw_timer_row *row)
{
    sim_tell_run(ctx, row->run);
    sim_fail(ctx, "a timer row is left over: run %lld, command %lld, kind %d", (long long)row->run,
             (long long)row->cmd, row->kind);
}

static bool left_wait(void *ctx, const pw_wait_row *row)
{
    sim_tell_run(ctx, row->run);
    sim_fail(ctx, "a wait row is left over: run %lld, command %lld", (long long)row->run,
             (long long)row->cmd);
}

static bool left_map(void *ctx, const pw_map_row *row)
{
    sim_tell_run(ctx, row->run);
    sim_fail(ctx, "a map row is left over: run %lld, command %lld", (long long)row->run,
             (long long)row->cmd);
}

static bool left_inbox(void *ctx, const pw_inbox_row *row)
{
    sim_fail(ctx, "an inbox row is left over: %lld", (long long)row->id);
}

static void check_nothing_left(sim *s)
{
    const pw_journal_ops *j = s->r->reader->ops;
    pw_reader *r = s->r->reader;
    pawl_error err;
    bool ok = j->tasks(r, 0, left_task, s, &err) == PAWL_OK &&
              j->timers(r, INT64_MAX, NULL, 0, left_timer, s, &err) == PAWL_OK &&
              j->waits(r, 0, left_wait, s, &err) == PAWL_OK &&
              j->maps(r, 0, left_map, s, &err) == PAWL_OK &&
              j->inbox(r, 0, 0, left_inbox, s, &err) == PAWL_OK;
    SIM_CHECK(s, ok, "rows cannot be read: %s", err.message);
    const pw_core *core = s->r->core;
    SIM_CHECK(s, HASH_CNT(hh, core->jobs) == 0, "%u jobs are left in memory",
              HASH_CNT(hh, core->jobs));
    SIM_CHECK(s, HASH_CNT(hh, core->maps) == 0, "%u maps are left in memory",
              HASH_CNT(hh, core->maps));
    SIM_CHECK(s, HASH_CNT(hh, core->dedup_busy) == 0 && core->deferred == NULL,
              "requests are left in memory");
}

/* What a history says, counted: signals sent to counters, and that no command ended twice. */
typedef struct audit {
    sim *s;
    int64_t run;
    bool retried;
    uint8_t *ended; /* by command */
    int64_t ended_len;
} audit;

static void audit_sent(sim *s, const pawl_value *body)
{
    for (int i = 0; i < SIM_COUNTERS; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "counter-%d", i);
        if (pawl_is(body, "to", id)) {
            s->sums[i] += pawl_int(body, "value.n", 0);
            s->counts[i]++;
        }
    }
}

static bool ends_command(pw_event_type type)
{
    switch ((int)type) {
    case PW_EV_ACTIVITY_COMPLETED:
    case PW_EV_ACTIVITY_FAILED:
    case PW_EV_ACTIVITY_CANCELED:
    case PW_EV_TIMER_FIRED:
    case PW_EV_CHILD_COMPLETED:
    case PW_EV_CHILD_FAILED:
    case PW_EV_CHILD_CANCELED:
    case PW_EV_MAP_COMPLETED:
    case PW_EV_MAP_FAILED:
    case PW_EV_MAP_CANCELED:
    case PW_EV_WAIT_ANSWERED:
    case PW_EV_WAIT_EXPIRED:
        return true;
    default:
        return false;
    }
}

static void audit_event(audit *a, const pw_event *ev)
{
    sim *s = a->s;
    s->events++;
    sim_note(s, &ev->type, sizeof ev->type);
    sim_note(s, ev->body.data, ev->body.size);
    a->retried |= ev->type == PW_EV_RUN_RETRIED;
    if (ev->type == PW_EV_SIGNAL_SENT) {
        pawl_scope *scope = pawl_scope_new();
        audit_sent(s, pw_value_view(scope, ev->body.data, ev->body.size));
        pawl_scope_free(scope);
    }
    if (!ends_command(ev->type)) {
        return;
    }
    if (ev->cmd >= a->ended_len) {
        int64_t len = ev->cmd * 2 + 16;
        a->ended = pw_realloc(a->ended, (size_t)len);
        memset(a->ended + a->ended_len, 0, (size_t)(len - a->ended_len));
        a->ended_len = len;
    }
    a->ended[ev->cmd]++;
    SIM_CHECK(s, a->ended[ev->cmd] == 1 || a->retried, "command %lld of run %lld ended twice",
              (long long)ev->cmd, (long long)a->run);
}

static bool audit_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    audit *a = ctx;
    pw_record rec;
    pawl_error err;
    pw_event ev = {.seq = first_seq + 1};
    SIM_CHECK(a->s, pw_record_open(record.data, record.size, &rec, &err) == PAWL_OK,
              "a record cannot be opened: %s", err.message);
    int64_t n = 0;
    while (pw_record_next(&rec, &ev)) {
        audit_event(a, &ev);
        ev.seq++;
        n++;
    }
    SIM_CHECK(a->s, n == events && !rec.body.bad,
              "a record of run %lld holds %lld events, not %lld", (long long)a->run, (long long)n,
              (long long)events);
    return true;
}

static bool audit_run(void *ctx, const pw_run_row *row)
{
    sim *s = ctx;
    audit a = {.s = s, .run = row->key};
    char reason[300];
    (void)snprintf(reason, sizeof reason, "%.*s", (int)row->reason.size,
                   (const char *)row->reason.data);
    if (strstr(reason, "Wrong:") != NULL) {
        sim_tell_run(s, row->key);
    }
    SIM_CHECK(s, strstr(reason, "Wrong:") == NULL, "run %lld (%.*s) ended with %s",
              (long long)row->key, (int)row->id.size, (const char *)row->id.data, reason);
    pawl_error err;
    pawl_status st = s->r->reader->ops->read(s->r->reader, row->key, 0, audit_record, &a, &err);
    SIM_CHECK(s, st == PAWL_OK, "the history of run %lld: %s", (long long)row->key, err.message);
    pw_free(a.ended);
    sim_note(s, &row->status, sizeof row->status);
    return true;
}

static void no_finding(void *ctx, const pw_verify_finding *f)
{
    sim_fail(ctx, "[%s] run %lld: %s", f->invariant, (long long)f->run, f->message);
}

/* Every history, closed or not, rebuilds with the code of today. */
static bool replay_run(void *ctx, const pw_run_row *row)
{
    sim *s = ctx;
    pw_live *live;
    pawl_error err;
    pawl_status st = pw_live_open_key(s->r->core, row->key, &live, &err);
    SIM_CHECK(s, st == PAWL_OK, "run %lld: %s", (long long)row->key, err.message);
    if (live->def == NULL || live->whole) {
        return true;
    }
    st = pw_live_load(live, &err);
    if (st != PAWL_OK) {
        sim_tell_run(s, row->key);
    }
    SIM_CHECK(s, st == PAWL_OK, "run %lld does not rebuild: %s", (long long)row->key, err.message);
    SIM_CHECK(s, live->mismatch == NULL,
              "run %lld does not replay (%s): history has %s, code has %s", (long long)row->key,
              live->mismatch->reason, live->mismatch->history, live->mismatch->code);
    return true;
}

static void check_counters(sim *s)
{
    for (int i = 0; i < SIM_COUNTERS; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "counter-%d", i);
        const rig_reply *reply = rig_ask(s->r, "result", "{id: %s}", id);
        SIM_CHECK(s, reply->done && reply->status == PAWL_OK, "%s has no result: %s %s", id,
                  pawl_status_name(reply->status), reply->message);
        const pawl_value *v = pawl_get(reply->value, "result");
        SIM_CHECK(s,
                  pawl_int(v, "sum", -1) == s->sums[i] && pawl_int(v, "count", -1) == s->counts[i],
                  "%s counted %lld signals and %lld in sum; %lld and %lld were accepted", id,
                  (long long)pawl_int(v, "count", -1), (long long)pawl_int(v, "sum", -1),
                  (long long)s->counts[i], (long long)s->sums[i]);
    }
}

void sim_check_end(sim *s)
{
    rig *r = s->r;
    pw_scan all = {.rows_max = SIZE_MAX};
    pw_verify_stats stats;
    pawl_error err;
    check_nothing_left(s);
    SIM_CHECK(s, r->reader->ops->run_scan(r->reader, &all, audit_run, s, &err) == PAWL_OK,
              "runs cannot be read: %s", err.message);
    check_counters(s);
    SIM_CHECK(s, pw_memory_verify(r->store, no_finding, s, &stats, &err) == PAWL_OK, "verify: %s",
              err.message);
    rig_crash(r);
    SIM_CHECK(s, r->reader->ops->run_scan(r->reader, &all, replay_run, s, &err) == PAWL_OK,
              "runs cannot be read: %s", err.message);
}
