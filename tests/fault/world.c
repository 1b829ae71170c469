/*
 * world.c - the scenario, its model, and the check of a recovered journal against it.
 *
 * Everything is drawn from the seed. Does not fail tests by itself: checks say what is wrong in
 * `problem`, so that the test can print the seed that shows it.
 */
#include "tests/fault/world.h"

#include <stdio.h>
#include <string.h>

#include "journal/collection.h"
#include "sdk/base/arena.h"
#include "tests/fault/ramdisk.h"

static const uint8_t blob_key[PW_KEY_SIZE] = {1, 2, 3};

void world_init(world *w, int disk, uint64_t seed)
{
    static const int pages[] = {512, 1024, 4096};
    memset(w, 0, sizeof(*w));
    w->disk = disk;
    w->seed = seed;
    w->collects = seed % 4 == 0;
    snprintf(w->path, sizeof(w->path), "/%d/j.db", disk);
    w->env.vfs = RAM_VFS;
    w->env.bare = true;
    w->env.blob_key = blob_key;
    w->env.mark = &w->mark;
    w->env.page_bytes = pages[ram_random(&w->seed) % 3];
    w->env.checkpoint_frames = 4 + (int)(ram_random(&w->seed) % 60);
    w->scope = pawl_scope_new();
}

void world_deinit(world *w)
{
    world_kill(w);
    pawl_scope_free(w->scope);
    w->scope = NULL;
}

static void drop_reader(world *w)
{
    if (w->reader != NULL) {
        pw_sqlite_reader_close(w->reader);
    }
    w->reader = NULL;
    w->reader_busy = false;
}

pawl_status world_open(world *w)
{
    uint64_t number = 0;
    pawl_status st = pw_sqlite_open_env(w->path, "", &w->env, &w->j, &w->err);
    if (st == PAWL_OK) {
        st = w->j->ops->lease(w->j, &w->epoch, &number, &w->err);
    }
    if (st != PAWL_OK) {
        world_close(w);
        return st;
    }
    if (number != w->acked && number != w->tried) {
        snprintf(w->problem, sizeof(w->problem), "opened at group %llu, acked %llu, tried %llu",
                 (unsigned long long)number, (unsigned long long)w->acked,
                 (unsigned long long)w->tried);
    }
    w->acked = w->tried = number;
    return PAWL_OK;
}

void world_close(world *w)
{
    drop_reader(w);
    if (w->j != NULL) {
        w->j->ops->close(w->j);
    }
    w->j = NULL;
}

void world_kill(world *w)
{
    ram_freeze(w->disk);
    world_close(w);
    ram_thaw(w->disk);
}

static bool pass_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)first_seq;
    (void)record;
    *(int64_t *)ctx += events;
    return true;
}

static void read_some(world *w)
{
    pw_reader *r = NULL;
    pawl_error err;
    int64_t events = 0;
    if (w->j->ops->reader_open(w->j, &r, &err) != PAWL_OK) {
        return;
    }
    for (int64_t run = 1; run <= WORLD_RUNS; run++) {
        (void)r->ops->read(r, run, 0, pass_record, &events, &err);
    }
    r->ops->reader_close(r);
}

void world_live(world *w, int steps)
{
    if (world_open(w) != PAWL_OK) {
        return;
    }
    for (int i = 0; i < steps && w->j != NULL; i++) {
        pawl_status st = world_step(w);
        if (st == PAWL_UNKNOWN && world_recover(w) != PAWL_OK) {
            break; /* the rite failed too: the journal stays closed, as it should */
        }
    }
    if (w->j != NULL) {
        read_some(w);
        w->j->ops->idle(w->j);
        world_close(w);
    }
}

void world_toggle_reader(world *w)
{
    pawl_error err;
    if (w->reader_busy) {
        drop_reader(w);
        return;
    }
    if (pw_sqlite_reader_open_env(w->path, &w->env, &w->reader, &err) == PAWL_OK) {
        pw_db *db = &pw_sqlite_reader_of(w->reader)->db;
        int64_t rows = 0;
        w->reader_busy = pw_db_exec(db, "BEGIN", &err) == PAWL_OK &&
                         pw_db_int(db, "SELECT count(*) FROM pawl_log", &rows, &err) == PAWL_OK;
    }
}

/* ---- making a group ---- */

static pw_view text_view(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

static pw_op *add(world *w, pw_op_type type)
{
    pw_op *op = &w->ops[w->len++];
    memset(op, 0, sizeof(*op));
    op->type = type;
    return op;
}

/** A record that says which group made it, padded to a length drawn from the seed. */
static pw_view make_record(world *w, uint64_t group, int64_t events)
{
    pw_buf b = PW_BUF_INIT;
    char pad[700];
    size_t size = ram_random(&w->seed) % sizeof(pad);
    memset(pad, 'a' + (int)(group % 26), sizeof(pad));
    pw_mp_array(&b, 5);
    pw_mp_int(&b, PW_RECORD_VERSION);
    pw_mp_int(&b, 0);
    pw_mp_int(&b, (int64_t)group);
    pw_mp_int(&b, 1);
    pw_mp_array(&b, (size_t)events);
    for (int64_t i = 0; i < events; i++) {
        pw_mp_array(&b, 3);
        pw_mp_int(&b, PW_EV_KEY_SET);
        pw_mp_int(&b, 1);
        pw_mp_map(&b, 1);
        pw_mp_str(&b, "p");
        pw_mp_strn(&b, pad, i == 0 ? size : 3);
    }
    pw_view v = {pw_buf_ok(&b) ? pw_memdup(w->scope, b.data, b.size) : NULL, b.size};
    pw_buf_deinit(&b);
    return v.data != NULL
               ? v
               : (pw_view){NULL,
                           0}; /* the allocation-fault loop comes by: such a group is refused */
}

#define TIMER_RUN 100 /* owns the timers, is never compacted */

static void make_run(world *w, int64_t key)
{
    pw_op *op = add(w, PW_OP_RUN_CREATE);
    op->u.run.key = key;
    op->u.run.id = text_view("run");
    op->u.run.workflow = text_view("w");
    op->u.run.version = text_view("1");
    op->u.run.status = PW_RUN_RUNNING;
}

static void make_turn(world *w, world_state *s, int r, uint64_t group)
{
    world_run *run = &s->runs[r];
    int64_t events = 1 + (int64_t)(ram_random(&w->seed) % 3);
    bool close = run->turns > 2 && ram_random(&w->seed) % 6 == 0;
    pw_op *op = add(w, PW_OP_TURN);
    op->u.turn.run = r + 1;
    op->u.turn.expected_seq = run->seq;
    op->u.turn.events = events;
    op->u.turn.record = make_record(w, group, events);
    memcpy(op->u.turn.chain_prev, run->chain, PW_DIGEST_SIZE);
    op->u.turn.row.status = close ? PW_RUN_COMPLETED : PW_RUN_RUNNING;
    op->u.turn.row.closed_ms = close ? 5 : 0;
    op->u.turn.row.waiting = text_view("timer");
    pw_chain_next(run->chain, run->chain, op->u.turn.record.data, op->u.turn.record.size);
    run->seq += events;
    run->closed = close;
    s->turn_group[r][run->turns] = (uint8_t)group;
    s->turn_events[r][run->turns++] = (uint8_t)events;
}

#define BLOB_BYTES 2500

static pw_view blob_bytes(uint8_t bytes[BLOB_BYTES], uint64_t group, bool big)
{
    memset(bytes, (int)group, BLOB_BYTES);
    return (pw_view){bytes, big ? BLOB_BYTES : 300};
}

static bool blob_is_big(uint64_t group)
{
    return group % 2 == 0;
}

static pawl_status make_blob(world *w, world_state *s, uint64_t group)
{
    uint8_t *room = pw_alloc(w->scope, BLOB_BYTES);
    if (room == NULL) {
        return PAWL_NOMEM;
    }
    pw_view body = blob_bytes(room, group, blob_is_big(group));
    uint8_t digest[PW_DIGEST_SIZE];
    pw_blob_digest(digest, blob_key, body.data, body.size);
    if (blob_is_big(group)) { /* in two chunks, ahead of the group */
        pawl_status st = w->j->ops->stage(w->j, digest, 0, (pw_view){body.data, 1500}, &w->err);
        if (st == PAWL_OK) {
            st = w->j->ops->stage(w->j, digest, 1, (pw_view){body.data + 1500, body.size - 1500},
                                  &w->err);
        }
        if (st != PAWL_OK) {
            return st;
        }
        body.data = NULL;
    }
    pw_op *op = add(w, PW_OP_BLOB_PUT);
    memcpy(op->u.blob.digest, digest, PW_DIGEST_SIZE);
    op->u.blob.body = body;
    s->blob[group] = true;
    return PAWL_OK;
}

/* ---- texts and vectors ---- */

static pw_view item_list(world *w, uint64_t group, bool put)
{
    static const uint16_t halves[2] = {0x3c00, 0x3c00};
    char text[32];
    pw_buf b = PW_BUF_INIT, body = PW_BUF_INIT;
    const char key[] = {(char)('a' + group % WORLD_KEYS), 0};
    snprintf(text, sizeof(text), "n%d word", (int)group);
    pw_mp_map(&body, 1);
    pw_mp_str(&body, "text");
    pw_mp_str(&body, text);
    pw_mp_array(&b, 1);
    if (put) {
        pw_mp_array(&b, 3);
    }
    pw_mp_str(&b, key);
    if (put) {
        pw_mp_bin(&b, halves, sizeof(halves));
        pw_mp_bin(&b, body.data, body.size);
    }
    const bool ok = pw_buf_ok(&b) && pw_buf_ok(&body);
    const pw_view v = {ok ? pw_memdup(w->scope, b.data, b.size) : NULL, b.size};
    pw_buf_deinit(&b);
    pw_buf_deinit(&body);
    return v;
}

/* False: no memory for it, nothing of it is made. */
static bool make_items(world *w, world_state *s, uint64_t group)
{
    const bool drop = group % 5 == 4;
    if (group % 16 == 1) { /* and what there was goes */
        if (s->collection != 0) {
            add(w, PW_OP_COLLECTION_DROP)->u.collection.number = s->collection;
        }
        add(w, PW_OP_COLLECTION_CREATE)->u.collection = (pw_collection_row){
            .name = text_view("c"), .width = 2, .body = {(const uint8_t *)"\x80", 1}};
        s->collection++;
        memset(s->items, 0, sizeof(s->items));
    }
    if (group % 2 == 0 || drop) {
        const pw_view list = item_list(w, group, !drop);
        if (list.data == NULL) {
            return false;
        }
        pw_op *op = add(w, drop ? PW_OP_ITEMS_DROP : PW_OP_ITEMS_PUT);
        op->u.items.collection = s->collection;
        op->u.items.list = list;
        s->items[group % WORLD_KEYS] = drop ? 0 : group;
    }
    return true;
}

static pawl_status make_group(world *w, world_state *s, uint64_t group)
{
    pawl_status st = PAWL_OK;
    *s = w->states[w->acked];
    w->len = 0;
    pw_scope_reset(w->scope);
    int turns = 1 + (int)(ram_random(&w->seed) % 3);
    if (ram_random(&w->seed) % 5 == 0) {
        st = make_blob(w, s, group);
    }
    if (group == 1) {
        make_run(w, TIMER_RUN);
    }
    add(w, PW_OP_TIMER_SET)->u.timer = (pw_timer_row){(int64_t)group, TIMER_RUN, 0, 0};
    for (int i = 0; i < turns; i++) {
        int r = (int)(ram_random(&w->seed) % WORLD_RUNS);
        if (!s->runs[r].created) {
            make_run(w, r + 1);
            s->runs[r].created = true;
        }
        if (s->runs[r].closed && !s->runs[r].compacted && ram_random(&w->seed) % 2 == 0) {
            add(w, PW_OP_RUN_COMPACT)->u.run.key = r + 1;
            s->runs[r].compacted = true;
        } else {
            make_turn(w, s, r, group);
            s->runs[r].compacted = false;
        }
    }
    return w->collects && st == PAWL_OK && !make_items(w, s, group) ? PAWL_NOMEM : st;
}

pawl_status world_step(world *w)
{
    uint64_t group = w->acked + 1;
    if (group >= WORLD_GROUPS) {
        return PAWL_FULL;
    }
    pawl_status st = make_group(w, &w->states[group], group);
    if (st != PAWL_OK) {
        return st; /* staging failed: no group was tried */
    }
    pw_group g = {
        .epoch = w->epoch, .number = group, .ops = w->ops, .len = w->len, .scope = w->scope};
    w->tried = group;
    st = w->j->ops->commit(w->j, &g, &w->err);
    if (st == PAWL_OK) {
        w->acked = group; /* the ack: from here on it may not be lost */
    } else if (st != PAWL_UNKNOWN) {
        w->tried = w->acked;
    }
    if (w->j->ops->settle != NULL) {
        w->j->ops->settle(w->j);
    }
    return st;
}

pawl_status world_recover(world *w)
{
    bool landed = false;
    drop_reader(w);
    pawl_status st = w->j->ops->reopen(w->j, &w->err);
    if (st == PAWL_OK) {
        st = w->j->ops->resolve(w->j, w->epoch, w->tried, &landed, &w->err);
    }
    if (st != PAWL_OK) {
        return st;
    }
    if (landed) {
        w->acked = w->tried;
    }
    w->tried = w->acked;
    return PAWL_OK;
}

/* ---- checking a recovered journal ---- */

typedef struct checking {
    world *w;
    const world_state *s;
    pw_reader *r;
    uint64_t group;
    int run;
    int turn;
    int64_t timers;
    int64_t found;
    bool ok;
} checking;

static bool wrong(checking *c, const char *what, int64_t a, int64_t b)
{
    if (c->ok) {
        snprintf(c->w->problem, sizeof(c->w->problem),
                 "%s (%lld, expected %lld); recovered at group %llu, acked %llu, tried %llu", what,
                 (long long)a, (long long)b, (unsigned long long)c->group,
                 (unsigned long long)c->w->acked, (unsigned long long)c->w->tried);
    }
    c->ok = false;
    return false;
}

static bool wrong_status(checking *c, const char *what, pawl_status st, const pawl_error *err)
{
    if (c->ok) {
        snprintf(c->w->problem, sizeof(c->w->problem),
                 "%s: status %d, %s; group %llu, acked %llu, tried %llu", what, (int)st,
                 err->message, (unsigned long long)c->group, (unsigned long long)c->w->acked,
                 (unsigned long long)c->w->tried);
    }
    c->ok = false;
    return false;
}

static bool check_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view bytes)
{
    checking *c = ctx;
    const world_state *s = c->s;
    pw_record record;
    pawl_error err;
    (void)pos;
    (void)first_seq;
    if (c->turn >= s->runs[c->run].turns) {
        return wrong(c, "a run has a turn too many", c->turn + 1, s->runs[c->run].turns);
    }
    if (pw_record_open(bytes.data, bytes.size, &record, &err) != PAWL_OK) {
        return wrong_status(c, "a record", err.status, &err);
    }
    if (record.now_ms != s->turn_group[c->run][c->turn]) {
        return wrong(c, "a turn is another group's", record.now_ms, s->turn_group[c->run][c->turn]);
    }
    if (events != s->turn_events[c->run][c->turn]) {
        return wrong(c, "a turn has other events", events, s->turn_events[c->run][c->turn]);
    }
    c->turn++;
    return true;
}

static bool check_timer(void *ctx, const pw_timer_row *t)
{
    checking *c = ctx;
    return t->due_ms == ++c->timers || wrong(c, "a timer is missing", t->due_ms, c->timers);
}

static bool check_runs(checking *c)
{
    pawl_error err = {0};
    for (c->run = 0; c->ok && c->run < WORLD_RUNS; c->run++) {
        const world_run *run = &c->s->runs[c->run];
        c->turn = 0;
        pawl_status st = c->r->ops->read(c->r, c->run + 1, 0, check_record, c, &err);
        if (!run->created ? st != PAWL_NOTFOUND : st != PAWL_OK) {
            return wrong_status(c, "reading a run", st, &err);
        }
        if (c->ok && c->turn != run->turns) {
            return wrong(c, "a run lacks a turn", c->turn, run->turns);
        }
    }
    return c->ok;
}

static bool check_blobs(checking *c)
{
    pawl_error err = {0};
    uint8_t room[BLOB_BYTES];
    for (uint64_t g = 1; c->ok && g <= c->group; g++) {
        if (!c->s->blob[g]) {
            continue;
        }
        uint8_t digest[PW_DIGEST_SIZE];
        pw_buf body = PW_BUF_INIT;
        pw_view bytes = blob_bytes(room, g, blob_is_big(g));
        pw_blob_digest(digest, blob_key, bytes.data, bytes.size);
        pawl_status st = c->r->ops->blob(c->r, digest, &body, &err);
        bool same = st == PAWL_OK && body.size == bytes.size;
        pw_buf_deinit(&body);
        if (!same) {
            return wrong_status(c, "a blob", st, &err);
        }
    }
    return c->ok;
}

static bool check_item(void *ctx, const pw_item_row *row)
{
    checking *c = ctx;
    char text[32];
    const uint64_t group = c->s->items[row->key.data[0] - 'a'];
    snprintf(text, sizeof(text), "n%d word", (int)group);
    if (!pw_view_is(pw_item_body_read(row->body).text, text)) {
        return wrong(c, "an item is another group's", row->number, (int64_t)group);
    }
    c->found++;
    return true;
}

static bool count_found(void *ctx, int64_t number, double score)
{
    (void)number;
    (void)score;
    ((checking *)ctx)->found++;
    return true;
}

/* What stands under the keys, and that their words find those and nothing else. */
static bool check_items(checking *c)
{
    int64_t expected = 0;
    pawl_error err = {0};
    if (c->s->collection == 0) {
        return c->ok;
    }
    for (size_t k = 0; k < WORLD_KEYS; k++) {
        expected += c->s->items[k] != 0 ? 1 : 0;
    }
    c->found = 0;
    pawl_status st = c->r->ops->items(c->r, c->s->collection, 0, 0, check_item, c, &err);
    if (st == PAWL_OK && c->ok && c->found != expected) {
        return wrong(c, "items", c->found, expected);
    }
    const pw_words_query q = {.collection = c->s->collection, .query = text_view("word")};
    c->found = 0;
    st = st == PAWL_OK ? c->r->ops->item_words(c->r, &q, count_found, c, &err) : st;
    if (st == PAWL_OK && c->ok && c->found != expected) {
        return wrong(c, "items found by a word", c->found, expected);
    }
    return st == PAWL_OK ? c->ok : wrong_status(c, "items", st, &err);
}

static bool check_content(checking *c)
{
    pawl_error err = {0};
    if (c->group < c->w->acked) {
        return wrong(c, "an acked group is lost", (int64_t)c->group, (int64_t)c->w->acked);
    }
    if (c->group > c->w->tried) {
        return wrong(c, "a group came out of nowhere", (int64_t)c->group, (int64_t)c->w->tried);
    }
    pawl_status st =
        c->r->ops->timers(c->r, INT64_MAX, NULL, WORLD_GROUPS * 2, check_timer, c, &err);
    if (st != PAWL_OK) {
        return wrong_status(c, "timers", st, &err);
    }
    if (c->ok && (uint64_t)c->timers != c->group) {
        return wrong(c, "timers and group number differ", c->timers, (int64_t)c->group);
    }
    return c->ok && check_runs(c) && check_blobs(c) && check_items(c);
}

/** The recovered journal must be able to go on. */
static bool check_goes_on(checking *c, pw_journal *j, uint64_t epoch)
{
    pawl_error err = {0};
    pw_op op = {.type = PW_OP_TIMER_SET, .u.timer = {(int64_t)c->group + 1, TIMER_RUN, 0, 0}};
    pw_group g = {.epoch = epoch, .number = c->group + 1, .ops = &op, .len = 1};
    pawl_status st = j->ops->commit(j, &g, &err);
    return st == PAWL_OK || wrong_status(c, "the next commit", st, &err);
}

static void note_finding(void *ctx, const pw_verify_finding *f)
{
    checking *c = ctx;
    if (c->ok) {
        snprintf(c->w->problem, sizeof(c->w->problem), "verify: %s %s", f->invariant, f->message);
    }
    c->ok = false;
}

static bool check_verify(checking *c, const char *path)
{
    pw_verify_stats stats;
    pawl_error err = {0};
    pawl_status st = pw_sqlite_verify_env(path, &c->w->env, note_finding, c, &stats, &err);
    return st == PAWL_OK ? c->ok : wrong_status(c, "verify", st, &err);
}

bool world_check(world *w, int disk, bool deep)
{
    char path[16];
    pw_journal *j = NULL;
    uint64_t epoch = 0;
    pawl_error err = {0};
    checking c = {.w = w, .ok = true};
    pw_sqlite_env env = w->env;
    env.mark = NULL; /* the power was gone */
    snprintf(path, sizeof(path), "/%d/j.db", disk);
    pawl_status st = pw_sqlite_open_env(path, "", &env, &j, &err);
    if (st != PAWL_OK) {
        return wrong_status(&c, "open", st, &err);
    }
    /* reads go through the owner's connection: a second one would parse the schema again, half of the time of a check */
    pw_sqlite_reader reader = {.base.ops = &pw_sqlite_ops, .lock = PTHREAD_MUTEX_INITIALIZER};
    st = j->ops->lease(j, &epoch, &c.group, &err);
    if (st == PAWL_OK) {
        reader.db = pw_sqlite_of(j)->db;
        memcpy(reader.blob_key, blob_key, sizeof(blob_key));
        c.r = &reader.base;
    }
    if (st != PAWL_OK) {
        (void)wrong_status(&c, "lease", st, &err);
    } else {
        c.s = &w->states[c.group < WORLD_GROUPS ? c.group : 0];
        (void)check_content(&c);
        pw_sqlite_of(j)->db = reader.db;
    }
    if (c.ok && deep) {
        (void)(check_verify(&c, path) && check_goes_on(&c, j, epoch));
    }
    j->ops->close(j);
    return c.ok;
}
