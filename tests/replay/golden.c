/*
 * golden.c - histories: from a journal, to text, from text, into a journal. Does not judge them: golden_test.c does.
 */
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/machine.h"
#include "journal/map_page.h"
#include "sdk/base/json.h"
#include "sdk/base/mem.h"

golden *golden_new(void)
{
    golden *g = pw_calloc(1, sizeof *g);
    PW_CHECK(g != NULL);
    g->scope = pawl_scope_new();
    PW_CHECK(g->scope != NULL);
    return g;
}

void golden_free(golden *g)
{
    pawl_scope_free(g->scope);
    pw_free(g);
}

/* ---- from a journal ---- */

typedef struct reading {
    rig *r;
    golden *g;
    golden_run *run;
    int64_t keys[GOLDEN_RUNS_MAX];
    size_t keys_len;
} reading;

static pw_view keep(golden *g, pw_view v)
{
    return (pw_view){pw_memdup(g->scope, v.data, v.size), v.size};
}

static const char *text_of(golden *g, pw_view v)
{
    return pw_strndup(g->scope, (const char *)v.data, v.size);
}

static bool take_key(void *ctx, const pw_run_row *row)
{
    reading *rd = ctx;
    assert_true(rd->keys_len < GOLDEN_RUNS_MAX);
    rd->keys[rd->keys_len++] = row->key;
    return true;
}

static bool take_row(void *ctx, const pw_run_row *row)
{
    reading *rd = ctx;
    *rd->run = (golden_run){.key = row->key,
                            .parent_key = row->parent_key,
                            .parent_cmd = row->parent_cmd,
                            .prev_key = row->prev_key};
    rd->run->id = text_of(rd->g, row->id);
    rd->run->workflow = text_of(rd->g, row->workflow);
    rd->run->version = text_of(rd->g, row->version);
    return false;
}

static bool take_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    reading *rd = ctx;
    golden_run *run = rd->run;
    pw_record rec;
    pawl_error err;
    pw_event ev = {0};
    assert_int_equal(first_seq, run->events_len);
    assert_int_equal(pw_record_open(record.data, record.size, &rec, &err), PAWL_OK);
    assert_true(run->records_len < GOLDEN_EVENTS_MAX);
    run->records[run->records_len++] =
        (golden_record){rec.flags, rec.now_ms, rec.build, (size_t)events};
    while (pw_record_next(&rec, &ev)) {
        assert_true(run->events_len < GOLDEN_EVENTS_MAX);
        run->events[run->events_len++] = (golden_event){(int)ev.type, ev.cmd, keep(rd->g, ev.body)};
    }
    return true;
}

/* In the order of their numbers: that in a page is the order they ended in. */
static void add_item(golden *g, const golden_item *item)
{
    assert_true(g->items_len < GOLDEN_ITEMS_MAX);
    size_t at = g->items_len++;
    for (; at > 0 && g->items[at - 1].run == item->run && g->items[at - 1].cmd == item->cmd &&
           g->items[at - 1].index > item->index;
         at--) {
        g->items[at] = g->items[at - 1];
    }
    g->items[at] = *item;
}

static bool take_page(void *ctx, const pw_page_row *row)
{
    reading *rd = ctx;
    pw_page_head head;
    pw_page_item item;
    pw_mp body = pw_mp_reader(row->body.data, row->body.size);
    assert_true(pw_page_head_read(row->head, &head));
    while (pw_page_item_next(&body, &item)) {
        add_item(rd->g,
                 &(golden_item){row->run, row->cmd, row->page * PW_MAP_PAGE_ITEMS + item.offset,
                                pw_page_bit(head.failed, item.offset) ? 2 : 1, item.attempt,
                                keep(rd->g, item.value)});
    }
    return true;
}

static void read_run(reading *rd, int64_t key)
{
    const pw_journal_ops *j = rd->r->reader->ops;
    pawl_error err;
    rd->run = &rd->g->runs[rd->g->runs_len++];
    assert_int_equal(j->run_get(rd->r->reader, key, take_row, rd, &err), PAWL_OK);
    assert_int_equal(j->read(rd->r->reader, key, 0, take_record, rd, &err), PAWL_OK);
    for (size_t i = 0; i < rd->run->events_len; i++) {
        if (rd->run->events[i].type == PW_EV_MAP_SCHEDULED) {
            pw_page_range range = {.run = key, .cmd = rd->run->events[i].cmd, .to = INT64_MAX};
            assert_int_equal(j->map_pages(rd->r->reader, &range, take_page, rd, &err), PAWL_OK);
        }
    }
}

void golden_read(rig *r, golden *g)
{
    reading rd = {.r = r, .g = g};
    pw_scan scan = {.rows_max = PW_PAGE_ROWS_MAX};
    pawl_error err;
    assert_int_equal(r->reader->ops->run_scan(r->reader, &scan, take_key, &rd, &err), PAWL_OK);
    for (size_t i = rd.keys_len; i > 0; i--) { /* they came newest first */
        read_run(&rd, rd.keys[i - 1]);
    }
}

/* ---- to text ---- */

static pw_view without_at(pw_view body, pw_buf *buf)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = pw_mp_read_map(&r), left = 0;
    PW_CLEANUP(pw_buf_deinit) pw_buf fields = PW_BUF_INIT;
    for (size_t i = 0; i < pairs; i++) {
        pw_view key = pw_mp_read_raw(&r);
        pw_view value = pw_mp_read_raw(&r);
        pw_mp k = pw_mp_reader(key.data, key.size);
        pw_view name = pw_mp_read_str(&k);
        if (!pw_view_is(name, "at") && !pw_view_is(name, "was_at")) {
            pw_buf_put(&fields, key.data, key.size);
            pw_buf_put(&fields, value.data, value.size);
            left++;
        }
    }
    pw_mp_map(buf, left);
    pw_buf_put(buf, fields.data, fields.size);
    return (pw_view){buf->data, buf->size};
}

static void print_body(pw_view body, bool plain, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf buf = PW_BUF_INIT;
    pawl_error err;
    pw_view what =
        plain && body.size > 0 && (body.data[0] & 0xf0) == 0x80 ? without_at(body, &buf) : body;
    assert_int_equal(pw_json_print(out, what.data, what.size, 0, &err), PAWL_OK);
    pw_buf_printf(out, "\n");
}

static void print_run(const golden_run *run, bool plain, pw_buf *out)
{
    pw_buf_printf(out, "run %lld %s %s %s parent=%lld/%lld prev=%lld\n", (long long)run->key,
                  run->id, run->workflow, run->version, (long long)run->parent_key,
                  (long long)run->parent_cmd, (long long)run->prev_key);
    const golden_event *ev = run->events;
    for (size_t i = 0; i < run->records_len; i++) {
        const golden_record *rec = &run->records[i];
        pw_buf_printf(out, "record flags=%u now=%lld build=%llu\n", rec->flags,
                      (long long)rec->now_ms, (unsigned long long)rec->build);
        for (size_t k = 0; k < rec->len; k++, ev++) {
            pw_buf_printf(out, "%s %lld ", pw_event_name(ev->type), (long long)ev->cmd);
            print_body(ev->body, plain, out);
        }
    }
}

void golden_print(const golden *g, bool plain, pw_buf *out)
{
    for (size_t i = 0; i < g->runs_len; i++) {
        print_run(&g->runs[i], plain, out);
    }
    for (size_t i = 0; i < g->items_len; i++) {
        const golden_item *m = &g->items[i];
        pw_buf_printf(out, "item %lld %lld %lld state=%d attempt=%lld ", (long long)m->run,
                      (long long)m->cmd, (long long)m->index, m->state, (long long)m->attempt);
        print_body(m->body, false, out);
    }
    assert_true(pw_buf_ok(out));
}

/* ---- from text ---- */

static int type_of(const char *name)
{
#define X(number, NAME, text, kind) \
    if (strcmp(name, text) == 0) {  \
        return number;              \
    }
#include "sdk/base/events.def"
#undef X
    return 0;
}

/* An unsigned number beyond int64 came out as a plain number, and is read as decimal text. */
static void put_value(pw_buf *out, pw_view raw)
{
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    pw_view digits;
    char text[24] = "";
    if (pw_mp_read_ext(&r, PW_EXT_BIGINT, &digits) && digits.size < sizeof text) {
        memcpy(text, digits.data, digits.size);
        pw_mp_uint(out, strtoull(text, NULL, 10));
    } else {
        pw_buf_put(out, raw.data, raw.size);
    }
}

static pw_view body_of(golden *g, const char *json)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf parsed = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    if (pw_json_parse(&parsed, json, strlen(json), PW_JSON_STRICT, NULL, &err) != PAWL_OK) {
        fail_msg("%s: %s", json, err.message);
    }
    pw_mp r = pw_mp_reader(parsed.data, parsed.size);
    if (pw_mp_peek(&r) != PAWL_MAP) {
        return keep(g, (pw_view){parsed.data, parsed.size});
    }
    size_t pairs = pw_mp_read_map(&r);
    pw_mp_map(&out, pairs);
    for (size_t i = 0; i < pairs; i++) {
        pw_view key = pw_mp_read_raw(&r);
        pw_buf_put(&out, key.data, key.size);
        put_value(&out, pw_mp_read_raw(&r));
    }
    assert_true(pw_buf_ok(&out));
    return keep(g, (pw_view){out.data, out.size});
}

static bool parse_run(golden *g, const char *line)
{
    char id[64], workflow[64], version[16];
    long long key, parent, cmd, prev;
    if (sscanf(line, "run %lld %63s %63s %15s parent=%lld/%lld prev=%lld", &key, id, workflow,
               version, &parent, &cmd, &prev) != 7) {
        return false;
    }
    assert_true(g->runs_len < GOLDEN_RUNS_MAX);
    golden_run *run = &g->runs[g->runs_len++];
    *run = (golden_run){.key = key, .parent_key = parent, .parent_cmd = cmd, .prev_key = prev};
    run->id = pw_strdup(g->scope, id);
    run->workflow = pw_strdup(g->scope, workflow);
    run->version = pw_strdup(g->scope, version);
    return true;
}

static bool parse_record(golden *g, const char *line)
{
    unsigned flags;
    long long now;
    unsigned long long build;
    if (g->runs_len == 0 ||
        sscanf(line, "record flags=%u now=%lld build=%llu", &flags, &now, &build) != 3) {
        return false;
    }
    golden_run *run = &g->runs[g->runs_len - 1];
    assert_true(run->records_len < GOLDEN_EVENTS_MAX);
    run->records[run->records_len++] =
        (golden_record){.flags = flags, .now_ms = now, .build = build};
    return true;
}

static bool parse_item(golden *g, const char *line)
{
    long long run, cmd, index, attempt;
    int state, at = 0;
    if (sscanf(line, "item %lld %lld %lld state=%d attempt=%lld %n", &run, &cmd, &index, &state,
               &attempt, &at) != 5 ||
        at == 0) {
        return false;
    }
    assert_true(g->items_len < GOLDEN_ITEMS_MAX);
    g->items[g->items_len++] = (golden_item){.run = run,
                                             .cmd = cmd,
                                             .index = index,
                                             .state = state,
                                             .attempt = attempt,
                                             .body = body_of(g, line + at)};
    return true;
}

static bool parse_event(golden *g, const char *line)
{
    char name[64];
    long long cmd;
    int at = 0;
    golden_run *run = g->runs_len > 0 ? &g->runs[g->runs_len - 1] : NULL;
    if (run == NULL || run->records_len == 0 ||
        sscanf(line, "%63s %lld %n", name, &cmd, &at) != 2 || at == 0 || type_of(name) == 0) {
        return false;
    }
    assert_true(run->events_len < GOLDEN_EVENTS_MAX);
    run->events[run->events_len++] = (golden_event){type_of(name), cmd, body_of(g, line + at)};
    run->records[run->records_len - 1].len++;
    return true;
}

void golden_parse(const char *text, size_t size, golden *g)
{
    const char *end = text + size;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        const char *line = pw_strndup(g->scope, at, (size_t)(stop - at));
        if (!parse_run(g, line) && !parse_record(g, line) && !parse_item(g, line) &&
            !parse_event(g, line)) {
            fail_msg("this is no line of a history: %s", line);
        }
        at = stop + 1;
    }
}

/* ---- into a journal ---- */

static int status_of(pw_state state)
{
    for (int status = PW_RUN_RUNNING; status <= PW_RUN_TIMED_OUT; status++) {
        const char *name = pw_run_status_name(status);
        const char *own = pw_state_name(state);
        size_t i = 0;
        while (name[i] != 0 && (name[i] == (own[i] | 0x20) || (name[i] == '-' && own[i] == '_'))) {
            i++;
        }
        if (name[i] == 0 && own[i] == 0) {
            return status;
        }
    }
    return PW_RUN_RUNNING;
}

int golden_status(const golden_run *run, size_t records)
{
    pw_state state = PW_S_RUN_NONE;
    size_t events = 0;
    for (size_t i = 0; i < records; i++) {
        events += run->records[i].len;
    }
    for (size_t i = 0; i < events; i++) {
        int edge = run->events[i].type < PW_EV_ACTIVITY_SCHEDULED
                       ? pw_edge_find(state, (pw_event_type)run->events[i].type)
                       : -1;
        state = edge >= 0 ? pw_edge_at(edge)->to : state;
    }
    return status_of(state);
}

static pw_view view(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

typedef struct storing {
    pw_journal *j;
    uint64_t epoch, number;
} storing;

static void commit_one(storing *s, pw_op *op)
{
    pawl_error err = {0};
    pw_group g = {.epoch = s->epoch, .number = ++s->number, .ops = op, .len = 1};
    if (s->j->ops->commit(s->j, &g, &err) != PAWL_OK) {
        fail_msg("a history cannot be stored: %s", err.message);
    }
}

static void put_record(const golden_record *rec, const golden_event *events, pw_buf *out)
{
    pw_mp_array(out, 5);
    pw_mp_int(out, PW_RECORD_VERSION);
    pw_mp_uint(out, rec->flags);
    pw_mp_int(out, rec->now_ms);
    pw_mp_uint(out, rec->build);
    pw_mp_array(out, rec->len);
    for (size_t i = 0; i < rec->len; i++) {
        pw_mp_array(out, 3);
        pw_mp_int(out, events[i].type);
        pw_mp_int(out, events[i].cmd);
        pw_buf_put(out, events[i].body.data, events[i].body.size);
    }
    assert_true(pw_buf_ok(out));
}

static void store_run(storing *s, const golden_run *run, size_t records, bool asleep)
{
    pw_run_row row = {.key = run->key,
                      .parent_key = run->parent_key,
                      .parent_cmd = run->parent_cmd,
                      .prev_key = run->prev_key,
                      .id = view(run->id),
                      .workflow = view(run->workflow),
                      .version = view(run->version),
                      .traceparent = view(""),
                      .waiting = view(""),
                      .reason = view(""),
                      .progress_text = view(""),
                      .status = PW_RUN_RUNNING,
                      .created_ms = RIG_START_MS};
    commit_one(s, &(pw_op){.type = PW_OP_RUN_CREATE, .u.run = row});
    const golden_event *events = run->events;
    int64_t seq = 0;
    for (size_t i = 0; i < records; i++) {
        PW_CLEANUP(pw_buf_deinit) pw_buf record = PW_BUF_INIT;
        if (run->records[i].len == 0) {
            continue; /* a mutation took its only event */
        }
        put_record(&run->records[i], events, &record);
        row.status = golden_status(run, i + 1);
        row.updated_ms = run->records[i].now_ms;
        row.closed_ms = pw_run_status_is_open(row.status) ? 0 : row.updated_ms;
        row.waiting = view(asleep && row.closed_ms == 0 ? "the test" : "");
        pw_op op = {.type = PW_OP_TURN};
        op.u.turn = (pw_turn_op){.run = run->key,
                                 .expected_seq = seq,
                                 .events = (int64_t)run->records[i].len,
                                 .record = {record.data, record.size},
                                 .row = row};
        memcpy(op.u.turn.chain_prev, row.chain, PW_DIGEST_SIZE);
        commit_one(s, &op);
        memcpy(row.chain, op.u.turn.chain_next, PW_DIGEST_SIZE);
        seq += op.u.turn.events;
        events += run->records[i].len;
    }
}

/* A part of its own each. */
static void store_item(storing *s, const golden_item *item)
{
    int64_t offset = item->index % PW_MAP_PAGE_ITEMS;
    pw_page_head head = {0};
    pw_buf body = PW_BUF_INIT;
    pw_page_set(head.finished, offset);
    if (item->state == 2) {
        pw_page_set(head.failed, offset);
    }
    pw_page_item_put(&body, &(pw_page_item){offset, item->attempt, item->body});
    commit_one(s, &(pw_op){.type = PW_OP_MAP_PAGE,
                           .u.page = {.run = item->run,
                                      .cmd = item->cmd,
                                      .page = item->index / PW_MAP_PAGE_ITEMS,
                                      .part = offset,
                                      .head = {(const uint8_t *)&head, sizeof head},
                                      .body = {body.data, body.size}}});
    pw_buf_deinit(&body);
}

void golden_store(rig *r, const golden *g, const golden_cut *cut)
{
    storing s = {.j = NULL};
    pawl_error err = {0};
    assert_null(r->core);
    pawl_status st = r->store != NULL ? pw_memory_attach(r->store, &s.j, &err)
                                      : pw_sqlite_open(r->path, "", &s.j, &err);
    if (st != PAWL_OK || s.j->ops->lease(s.j, &s.epoch, &s.number, &err) != PAWL_OK) {
        fail_msg("a history cannot be stored: %s", err.message);
    }
    for (size_t i = 0; i < g->runs_len; i++) {
        const golden_run *run = &g->runs[i];
        bool this_one = cut->records > 0 && cut->run == run->key;
        store_run(&s, run, this_one ? cut->records : run->records_len, cut->asleep || !this_one);
    }
    for (size_t i = 0; i < g->items_len; i++) {
        store_item(&s, &g->items[i]);
    }
    s.j->ops->close(s.j);
    rig_boot(r);
}
