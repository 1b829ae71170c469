/*
 * cli_journal_make.c - writes a journal from a description, so that a drawing can be compared to the letter: the times are given.
 *
 *     cli_journal_make FILE < runs.json
 *     [{id, workflow, version, status, waiting, reason, created_ms, closed_ms, parent, turns: [{now_ms, events: [[type, command, {body}]]}],
 *       maps: [{cmd, total, done, failed}]}]          parent: index + 1 of the run's parent in the list
 *
 * Does not check that the events make sense: it is not an engine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/value.h"

static pw_view text_at(const pawl_value *v, const char *path)
{
    const char *text = pawl_str(v, path, "");
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

static int event_number(const char *name)
{
    for (int i = 1; i < 256; i++) {
        if (strcmp(pw_event_name(i), name) == 0) {
            return i;
        }
    }
    (void)fprintf(stderr, "there is no event %s\n", name);
    exit(2);
}

static pw_view record_make(pawl_scope *scope, const pawl_value *turn)
{
    pw_buf b = PW_BUF_INIT;
    const pawl_value *events = pawl_get(turn, "events");
    pw_mp_array(&b, 5);
    pw_mp_int(&b, PW_RECORD_VERSION);
    pw_mp_int(&b, 0);
    pw_mp_int(&b, pawl_int(turn, "now_ms", 0));
    pw_mp_int(&b, 0);
    pw_mp_array(&b, pawl_len(events));
    for (size_t i = 0; i < pawl_len(events); i++) {
        const pawl_value *event = pawl_at(events, i);
        pw_mp_array(&b, 3);
        pw_mp_int(&b, event_number(pawl_str(pawl_at(event, 0), "", "")));
        pw_mp_int(&b, pawl_int(pawl_at(event, 1), "", 0));
        pw_mp_value(&b, pawl_at(event, 2));
    }
    pw_view record = {pw_memdup(scope, b.data, b.size), b.size};
    pw_buf_deinit(&b);
    return record;
}

static pw_run_row row_make(const pawl_value *run, int64_t key)
{
    return (pw_run_row){.key = key,
                        .id = text_at(run, "id"),
                        .workflow = text_at(run, "workflow"),
                        .version = text_at(run, "version"),
                        .traceparent = text_at(run, "traceparent"),
                        .created_ms = pawl_int(run, "created_ms", 0),
                        .updated_ms = pawl_int(run, "created_ms", 0),
                        .closed_ms = pawl_int(run, "closed_ms", 0),
                        .parent_key = pawl_int(run, "parent", 0),
                        .status = pw_run_status_from_name(pawl_str(run, "status", "running")),
                        .waiting = text_at(run, "waiting"),
                        .reason = text_at(run, "reason")};
}

static void commit(pw_journal *j, pw_group *group)
{
    pawl_error err = {0};
    if (j->ops->commit(j, group, &err) != PAWL_OK) {
        (void)fprintf(stderr, "commit: %s\n", err.message);
        exit(2);
    }
    group->number++;
}

static void run_write(pw_journal *j, pw_group *group, const pawl_value *run, int64_t key)
{
    pw_op op = {.type = PW_OP_RUN_CREATE, .u.run = row_make(run, key)};
    const pawl_value *turns = pawl_get(run, "turns");
    const pawl_value *maps = pawl_get(run, "maps");
    uint8_t chain[PW_DIGEST_SIZE] = {0};
    int64_t seq = 0;
    group->ops = &op;
    group->len = 1;
    commit(j, group);
    for (size_t i = 0; i < pawl_len(turns); i++) {
        const pawl_value *turn = pawl_at(turns, i);
        op = (pw_op){.type = PW_OP_TURN};
        op.u.turn = (pw_turn_op){.run = key,
                                 .expected_seq = seq,
                                 .events = (int64_t)pawl_len(pawl_get(turn, "events")),
                                 .record = record_make(group->scope, turn),
                                 .row = row_make(run, key)};
        memcpy(op.u.turn.chain_prev, chain, sizeof chain);
        commit(j, group);
        memcpy(chain, op.u.turn.chain_next, sizeof chain);
        seq += op.u.turn.events;
    }
    for (size_t i = 0; i < pawl_len(maps); i++) {
        const pawl_value *map = pawl_at(maps, i);
        op = (pw_op){.type = PW_OP_MAP_PUT};
        op.u.map = (pw_map_row){.run = key,
                                .cmd = pawl_int(map, "cmd", 0),
                                .total = pawl_int(map, "total", 0),
                                .done = pawl_int(map, "done", 0),
                                .failed = pawl_int(map, "failed", 0),
                                .body = {(const uint8_t *)"\x80", 1}};
        commit(j, group);
    }
}

int main(int argc, char **argv)
{
    static char text[1 << 20];
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *runs = NULL;
    pw_journal *j = NULL;
    pawl_error err = {0};
    size_t size = fread(text, 1, sizeof text, stdin);
    pw_group group = {.scope = scope};
    if (argc != 2 || pawl_parse_json(scope, text, size, &runs, &err) != PAWL_OK ||
        pw_sqlite_open(argv[1], "", &j, &err) != PAWL_OK ||
        j->ops->lease(j, &group.epoch, &group.number, &err) != PAWL_OK) {
        (void)fprintf(stderr, "cli_journal_make FILE < runs.json: %s\n", err.message);
        return 2;
    }
    group.number++;
    for (size_t i = 0; i < pawl_len(runs); i++) {
        run_write(j, &group, pawl_at(runs, i), (int64_t)i + 1);
    }
    j->ops->close(j);
    pawl_scope_free(scope);
    return 0;
}
