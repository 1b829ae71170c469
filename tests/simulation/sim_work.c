/*
 * sim_work.c - workers: attempts are begun, beat, end well or badly, hang, or report twice, late and under another name.
 *
 * Keeps the books of effects: an unsafe one may be started again only if its code said that it failed, or a person said "retry".
 * Does not check what the engine makes of a report: sim_check.c does.
 */
#include "sim.h"

#include "journal/map_page.h"

/* ---- the books ---- */

static sim_effect *effect_get(sim *s, const char *key)
{
    sim_effect *e;
    HASH_FIND(hh, s->effects, key, strlen(key), e);
    if (e == NULL) {
        e = pw_calloc(1, sizeof *e + strlen(key) + 1);
        PW_CHECK(e != NULL);
        memcpy(e->key, key, strlen(key) + 1);
        HASH_ADD_KEYPTR(hh, s->effects, e->key, strlen(e->key), e);
    }
    return e;
}

static sim_effect *effect_of(sim *s, int64_t run, int64_t cmd, int64_t item)
{
    char key[80];
    (void)snprintf(key, sizeof key, "%lld:%lld:%lld", (long long)run, (long long)cmd,
                   (long long)item);
    return effect_get(s, key);
}

void sim_told_retry(sim *s, int64_t run, int64_t cmd)
{
    effect_of(s, run, cmd, 0)->told_retry++;
}

void sim_effects_free(sim *s)
{
    sim_effect *e, *next;
    HASH_ITER (hh, s->effects, e, next) {
        HASH_DEL(s->effects, e);
        pw_free(e);
    }
}

/* ---- at each dispatch ---- */

typedef struct row_find {
    const pw_token *token;
    bool found;
    bool sent;
    bool began; /* of an item: its attempt is on record */
} row_find;

static bool find_task(void *ctx, const pw_task_row *row)
{
    row_find *f = ctx;
    if (row->cmd == f->token->cmd && row->attempt == f->token->attempt) {
        f->found = true;
        f->sent = (row->state & PW_TASK_SENT) != 0;
    }
    return true;
}

static bool find_map(void *ctx, const pw_map_row *row)
{
    row_find *f = ctx;
    f->found |= row->cmd == f->token->cmd;
    return true;
}

static bool find_open(void *ctx, const pw_page_row *row)
{
    row_find *f = ctx;
    pw_mp head = pw_mp_reader(row->head.data, row->head.size);
    int64_t base;
    size_t n;
    pw_open_item item;
    bool ok = pw_open_read(&head, &base, &n);
    f->began = f->token->attempt == base + 1;
    while (ok && pw_open_next(&head, &item)) {
        bool is = item.index + 1 == f->token->item && item.attempt == f->token->attempt;
        f->began |= is;
        f->sent |= is && item.sent;
    }
    return true;
}

/* An item's first attempt needs its map's row only, every further one, and `sent`, the row of items under way. */
static pawl_status find_item(rig *r, row_find *f, pawl_error *err)
{
    f->began = f->token->attempt == 1;
    pawl_status st = r->reader->ops->maps(r->reader, f->token->run, find_map, f, err);
    pw_page_range open = {f->token->run, f->token->cmd, PW_MAP_PAGE_OPEN, PW_MAP_PAGE_OPEN, true};
    st = st == PAWL_OK ? r->reader->ops->map_pages(r->reader, &open, find_open, f, err) : st;
    f->found &= f->began;
    return st;
}

/* [E1] What starts is on record; a group that has landed and is not answered yet may have cleared it again. */
static void check_on_record(sim *s, const rig_task *t)
{
    rig *r = s->r;
    row_find f = {.token = &t->token};
    pawl_error err;
    pawl_status st = t->token.item == 0
                         ? r->reader->ops->tasks(r->reader, t->token.run, find_task, &f, &err)
                         : find_item(r, &f, &err);
    SIM_CHECK(s, st == PAWL_OK, "rows cannot be read: %s", err.message);
    SIM_CHECK(s, f.found || r->landed != NULL,
              "[E1] attempt %lld of %s (run %lld, command %lld) started without a row",
              (long long)t->token.attempt, t->name, (long long)t->token.run,
              (long long)t->token.cmd);
    bool unsafe = strcmp(t->name, "unsafe") == 0;
    SIM_CHECK(s, !unsafe || f.sent || r->landed != NULL,
              "[E7] an unsafe effect started before `sent` was on record (run %lld, command %lld)",
              (long long)t->token.run, (long long)t->token.cmd);
}

static void check_alone(sim *s, const rig_task *t)
{
    const rig_task *o;
    DL_FOREACH (s->r->tasks, o) {
        bool same = o != t && !o->orphan && o->token.run == t->token.run &&
                    o->token.cmd == t->token.cmd && o->token.item == t->token.item;
        SIM_CHECK(s, !same || o->cancel_asked || sim_has_event(s, t->token.run, PW_EV_RUN_RETRIED),
                  "attempts %lld and %lld of %s run side by side (run %lld, command %lld)",
                  (long long)o->token.attempt, (long long)t->token.attempt, t->name,
                  (long long)t->token.run, (long long)t->token.cmd);
    }
}

void sim_dispatched(rig *r, const rig_task *t)
{
    sim *s = r->user;
    sim_effect *e = effect_of(s, t->token.run, t->token.cmd, t->token.item);
    s->attempts++;
    e->started++;
    pw_buf_printf(&r->log, "start %s %lld:%lld:%lld attempt %lld\n", t->name,
                  (long long)t->token.run, (long long)t->token.cmd, (long long)t->token.item,
                  (long long)t->token.attempt);
    check_on_record(s, t);
    check_alone(s, t);
    SIM_CHECK(s, t->token.attempt >= e->last_attempt,
              "attempt %lld of run %lld, command %lld came after attempt %lld",
              (long long)t->token.attempt, (long long)t->token.run, (long long)t->token.cmd,
              (long long)e->last_attempt);
    e->last_attempt = t->token.attempt;
    if (strcmp(t->name, "unsafe") == 0) {
        bool said = t->token.item != 0 &&
                    sim_has_event(s, t->token.run,
                                  PW_EV_RUN_RETRIED); /* which says retry of every unknown item */
        SIM_CHECK(
            s, said || e->started <= 1 + e->told_failed + e->told_retry,
            "an unsafe effect was started %lld times; it said %lld times that it failed, and %lld answers said retry (run %lld, command %lld)",
            (long long)e->started, (long long)e->told_failed, (long long)e->told_retry,
            (long long)t->token.run, (long long)t->token.cmd);
    }
    sim_note(s, &t->token, sizeof t->token);
}

/* ---- doing the work ---- */

static rig_task *some_task(sim *s)
{
    size_t len = 0;
    rig_task *t;
    DL_FOREACH (s->r->tasks, t) {
        len++;
    }
    size_t at = len > 0 ? sim_draw(s, len) : 0;
    DL_FOREACH (s->r->tasks, t) {
        if (at-- == 0) {
            return t;
        }
    }
    return NULL;
}

static void end_failed(sim *s, rig_task *t)
{
    bool denied = sim_chance(s, 6);
    effect_of(s, t->token.run, t->token.cmd, t->token.item)->told_failed++;
    (void)pawl_task_fail_with(t->task, denied ? "Denied" : "Boom", "drawn", NULL,
                              !sim_chance(s, 5));
    rig_end(s->r, t, NULL);
}

static void end_well(sim *s, rig_task *t)
{
    int64_t n = pawl_int(pawl_task_input(t->task), "n", 0);
    rig_end(s->r, t, pawl_task_build(t->task, "{n: %lld}", (long long)sim_answer_of(n)));
}

static void end_one(sim *s, rig_task *t)
{
    const pawl_value *in = pawl_task_input(t->task);
    bool undo = strcmp(t->name, "undo") == 0;
    if (t->cancel_asked && sim_chance(s, 2)) {
        rig_begin(s->r, t);
        rig_end_canceled(s->r, t);
    } else if (!undo && pawl_int(in, "fails", 0) >= t->token.attempt && sim_chance(s, 2)) {
        end_failed(s, t);
    } else {
        end_well(s, t);
    }
}

void sim_work(sim *s)
{
    rig_task *t = some_task(s);
    if (t == NULL) {
        return;
    }
    bool hangs = pawl_bool(pawl_task_input(t->task), "hangs", false) && t->token.attempt == 1 &&
                 !t->orphan && !t->cancel_asked;
    uint64_t d = sim_draw(s, 10);
    if (t->orphan && !sim_chance(s, 3)) {
        rig_drop(s->r, t); /* its process is gone */
    } else if (d < 3) {
        rig_begin(s->r, t);
    } else if (d < 5) {
        (void)pawl_task_heartbeat(t->task, rig_value(s->r, "{at: %lld}", (long long)s->r->now_ms));
    } else if (!hangs) {
        end_one(s, t);
    }
}

/* ---- reports that come twice, or wrong ---- */

void sim_report_double(sim *s)
{
    const pw_report *first = s->r->reports;
    if (first == NULL || s->r->core == NULL) {
        return;
    }
    pw_report *copy = pw_calloc(1, sizeof *copy);
    PW_CHECK(copy != NULL);
    *copy = *first;
    copy->next = NULL;
    copy->scope = pawl_scope_new();
    copy->value.data = pw_memdup(copy->scope, first->value.data, first->value.size);
    uint64_t how = sim_draw(s, 4);
    if (how == 0) { /* exactly again: whichever comes second is stale */
        LL_APPEND(s->r->reports, copy);
        s->doubles++;
        return;
    }
    copy->kind = PW_REPORT_DONE;
    copy->value = pw_value_bytes(pawl_build(copy->scope, "{n: -77}")); /* nobody computes that */
    copy->token.attempt += how == 1 ? 100 : 0;
    copy->token.epoch = how == 2 ? s->r->epoch - 1 : how == 3 ? s->r->epoch + 1 : copy->token.epoch;
    s->stales++;
    LL_PREPEND(s->r->reports, copy);
}
