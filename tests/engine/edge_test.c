/*
 * edge_test.c - the state machines, whole: every edge of machines.def is taken by a scene, whatever is evicted on the way; and in every
 * state, of a run or of a command, every event without an edge is refused and changes nothing.
 *
 * Prints the table with the scene that takes each edge first. Does not say what an edge does: the other tests of this folder do.
 */
#include <stdio.h>

#include "engine/parts.h"
#include "tests/replay/scene.h"

#define EDGES_MAX 128

static void play(rig *r, const scene *s)
{
    s->code(r);
    rig_run(r);
    s->play(r);
}

/* ---- every edge is taken ---- */

static void print_table(const scene *const taken_by[EDGES_MAX])
{
    for (int i = 0; i < pw_edge_count(); i++) {
        const pw_edge *e = pw_edge_at(i);
        print_message("  %-8s  %-10s --%s--> %s  (%s)\n", pw_machine_name(e->machine),
                      pw_state_name(e->from), pw_event_name((int)e->event), pw_state_name(e->to),
                      taken_by[i] != NULL ? taken_by[i]->name : "by NONE");
    }
}

static void cover(rig_mode mode)
{
    const scene *taken_by[EDGES_MAX] = {NULL};
    int missing = 0;
    assert_in_range(pw_edge_count(), 1, EDGES_MAX);
    for (size_t i = 0; i < scene_count; i++) {
        rig *r = rig_open(scene_list[i].file ? RIG_SQLITE : mode);
        play(r, &scene_list[i]);
        rig_kill(r); /* notes the edges */
        for (int k = 0; k < pw_edge_count(); k++) {
            taken_by[k] = taken_by[k] == NULL && r->edges[k] != 0 ? &scene_list[i] : taken_by[k];
        }
        rig_close(r);
    }
    for (int k = 0; k < pw_edge_count(); k++) {
        missing += taken_by[k] == NULL ? 1 : 0;
    }
    if (mode == RIG_NORMAL || missing > 0) {
        print_table(taken_by);
    }
    if (missing > 0) {
        fail_msg(
            "%d of %d edges are taken by no scene: write one (tests/replay/scene_*.c), or delete an edge that cannot be",
            missing, pw_edge_count());
    }
}

static void every_edge_of_every_machine_is_taken(void **state)
{
    (void)state;
    cover(RIG_NORMAL);
}

static void every_edge_is_taken_without_any_stack_kept(void **state)
{
    (void)state;
    cover(RIG_NO_STACKS);
}

static void every_edge_is_taken_with_random_eviction(void **state)
{
    (void)state;
    cover(RIG_EVICT);
}

/* ---- what has no edge is refused ---- */

typedef struct refused {
    bool seen[PW_S_COUNT]; /* all events without an edge were tried in that state */
    size_t events;
} refused;

static const int event_types[] = {
#define X(number, name, text, kind) PW_EV_##name,
#include "sdk/base/events.def"
#undef X
};

/* Of a command that is made once, the id would be used twice [E5]: as good as no edge. A signal belongs to no command. */
static bool may_happen(const pw_live *live, const pw_cmd *cmd, pw_event_type type)
{
    pw_state at = cmd != NULL ? cmd->state : live->state;
    return pw_edge_find(at, type) >= 0 || type == PW_EV_SIGNAL_RECEIVED;
}

static void refuse(pw_live *live, pw_cmd *cmd, refused *all)
{
    static const uint8_t nothing[1] = {0x80};
    pw_state before = cmd != NULL ? cmd->state : live->state;
    for (size_t i = 0; i < PW_COUNT(event_types); i++) {
        pw_event_type type = (pw_event_type)event_types[i];
        bool of_run = type < PW_EV_ACTIVITY_SCHEDULED;
        if (of_run != (cmd == NULL) || may_happen(live, cmd, type)) {
            continue;
        }
        size_t open = live->open_len;
        int64_t next = live->next_cmd;
        pw_event ev = {
            .seq = live->seq, .type = type, .cmd = cmd != NULL ? cmd->id : 0, .body = {nothing, 1}};
        if (pw_apply(live, &ev)) {
            fail_msg("%s was taken by a %s that is %s", pw_event_name((int)type),
                     pw_machine_name(pw_state_machine(before)), pw_state_name(before));
        }
        assert_int_equal(cmd != NULL ? cmd->state : live->state, before);
        assert_int_equal(live->open_len, open);
        assert_int_equal(live->next_cmd, next);
        all->events++;
    }
    all->seen[before] = true;
}

/* Looked at between two steps of the core: every state that a command rests in comes by. */
static void refuse_all(rig *r, refused *all)
{
    pw_live *live, *next;
    HASH_ITER (hh, r->core->runs, live, next) {
        if (!live->whole || live->mismatch != NULL || live->core->failed) {
            continue;
        }
        refuse(live, NULL, all);
        for (size_t i = 0; i < live->cmds_len; i++) {
            pw_cmd *cmd = live->cmds[i];
            if (cmd != NULL && cmd->state != PW_S_COUNT) {
                refuse(live, cmd, all);
            }
        }
    }
}

static void look(rig *r)
{
    refuse_all(r, r->user);
}

static void in_every_state_what_has_no_edge_is_refused(void **state)
{
    (void)state;
    refused all = {.events = 0};
    for (size_t i = 0; i < scene_count; i++) {
        rig *r = rig_open(scene_list[i].file ? RIG_SQLITE : RIG_NORMAL);
        r->user = &all;
        r->on_step = look;
        play(r, &scene_list[i]);
        rig_close(r);
    }
    for (int s = 0; s < PW_S_COUNT; s++) {
        bool first = strcmp(pw_state_name((pw_state)s), "NONE") ==
                     0; /* nothing rests there: the next test */
        if (!all.seen[s] && !first) {
            fail_msg("no %s was ever seen %s", pw_machine_name(pw_state_machine((pw_state)s)),
                     pw_state_name((pw_state)s));
        }
    }
    print_message("  %zu events refused\n", all.events);
    assert_true(all.events > 1000);
}

/* [E5] A command begins with the next id, and with one of the events that begin it. */
static void a_command_begins_with_the_next_id_and_no_other(void **state)
{
    (void)state;
    static const uint8_t nothing[1] = {0x80};
    rig *r = rig_open(RIG_NORMAL);
    scene_life_code(r);
    rig_start(r, "life", "a");
    pw_live *live = pw_live_find(r->core, rig_key(r, "a"));
    assert_true(live != NULL && live->whole);
    for (size_t i = 0; i < PW_COUNT(event_types); i++) {
        pw_event ev = {
            .seq = live->seq, .type = (pw_event_type)event_types[i], .body = {nothing, 1}};
        if (ev.type < PW_EV_ACTIVITY_SCHEDULED || ev.type == PW_EV_SIGNAL_RECEIVED) {
            continue;
        }
        int64_t next = live->next_cmd;
        static const int64_t others[] = {0, -1, 1, 2, 1000};
        for (size_t k = 0; k < PW_COUNT(others); k++) {
            ev.cmd = others[k] >= 1 ? next + others[k] : others[k];
            assert_false(pw_apply(live, &ev));
        }
        assert_int_equal(live->next_cmd, next);
    }
    rig_close(r);
}

/* ---- ids of commands, in whole histories ---- */

typedef struct dense {
    int64_t last; /* highest id so far */
    int64_t commands;
    bool gap;
} dense;

static bool makes(pw_event_type type)
{
    for (int i = 0; i < pw_edge_count(); i++) {
        const pw_edge *e = pw_edge_at(i);
        if (e->event == type && e->machine != PW_M_RUN &&
            strcmp(pw_state_name(e->from), "NONE") == 0) {
            return true;
        }
    }
    return type == PW_EV_SIGNAL_SENT || type == PW_EV_KEY_SET || type == PW_EV_PATCHED ||
           type == PW_EV_UNDO_REGISTERED || type == PW_EV_CONVO_APPENDED ||
           type == PW_EV_MEMORY_PUT || type == PW_EV_MEMORY_DELETED;
}

static bool look_at_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events,
                           pw_view record)
{
    (void)pos;
    (void)first_seq;
    (void)events;
    dense *d = ctx;
    pw_record rec;
    pawl_error err;
    pw_event ev = {0};
    assert_int_equal(pw_record_open(record.data, record.size, &rec, &err), PAWL_OK);
    while (pw_record_next(&rec, &ev)) {
        if (makes(ev.type)) {
            d->gap |= ev.cmd != d->last + 1;
            d->last = ev.cmd;
            d->commands++;
        } else {
            d->gap |= ev.cmd > d->last;
        }
    }
    return true;
}

static bool look_at_run(void *ctx, const pw_run_row *row)
{
    rig *r = ctx;
    pawl_error err;
    dense d = {.last = 0};
    assert_int_equal(r->reader->ops->read(r->reader, row->key, 0, look_at_record, &d, &err),
                     PAWL_OK);
    if (d.gap || d.last != d.commands) {
        fail_msg("command ids of run %lld have a gap or come twice", (long long)row->key);
    }
    return true;
}

/* [E5] Void stretches included: a retried run goes on behind the ids it had. */
static void command_ids_of_every_history_are_dense_and_none_comes_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < scene_count; i++) {
        rig *r = rig_open(scene_list[i].file ? RIG_SQLITE : RIG_NORMAL);
        play(r, &scene_list[i]);
        pw_scan scan = {.rows_max = PW_PAGE_ROWS_MAX};
        pawl_error err;
        assert_int_equal(r->reader->ops->run_scan(r->reader, &scan, look_at_run, r, &err), PAWL_OK);
        rig_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_edge_of_every_machine_is_taken),
        cmocka_unit_test(every_edge_is_taken_without_any_stack_kept),
        cmocka_unit_test(every_edge_is_taken_with_random_eviction),
        cmocka_unit_test(in_every_state_what_has_no_edge_is_refused),
        cmocka_unit_test(a_command_begins_with_the_next_id_and_no_other),
        cmocka_unit_test(command_ids_of_every_history_are_dense_and_none_comes_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
