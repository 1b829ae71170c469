/*
 * golden_test.c - histories on record replay with the code of today, whole and cut after every turn; mutated ones are found out.
 *
 * golden/N/NAME.txt is what scene NAME wrote when N was begun; N grows when what is written changes, and old ones stay (README.md).
 * PAWL_GOLDEN_WRITE=DIR writes those of today. PAWL_GOLDEN_MUTANTS=COUNT mutates each run so often; a failure prints
 * which one it was, and PAWL_GOLDEN_ONLY does that one alone.
 *
 * Does not cover payloads that stand as blobs, nor snapshots of folded workflows: engine_state and engine_fold do.
 */
#include "golden.h"

#include <dirent.h>
#include <stdio.h>

#include "engine/parts.h"
#include "scene.h"

#define BUILD_TODAY 99 /* no build that wrote any of them */
#define MUTANTS 24     /* of each run */
#define MUTANTS_ON_FILE 10

/* ---- files ---- */

static const char *path_of(rig *r, const char *folder, const char *name)
{
    return pw_sprintf(r->scope, "%s/%s/%s.txt", PAWL_GOLDEN, folder, name);
}

/* NULL when there is none: a scene that is newer than that folder. */
static char *slurp(const char *path, size_t *ret_size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return NULL;
    }
    char *text = pw_malloc(1u << 20);
    PW_CHECK(text != NULL);
    *ret_size = fread(text, 1, 1u << 20, f);
    assert_true(*ret_size < 1u << 20);
    (void)fclose(f);
    return text;
}

static int newest_folder(void)
{
    int newest = 0;
    DIR *dir = opendir(PAWL_GOLDEN);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        int n = (int)strtol(e->d_name, NULL, 10); /* "." and ".." are 0 */
        newest = n > newest ? n : newest;
    }
    (void)closedir(dir);
    assert_true(newest > 0);
    return newest;
}

typedef void (*golden_fn)(const scene *s, const golden *g, const char *name, void *ctx);

static void for_each_golden(golden_fn fn, void *ctx)
{
    int newest = newest_folder(), seen = 0;
    for (int n = 1; n <= newest; n++) {
        for (size_t i = 0; i < scene_count; i++) {
            char path[256], name[64];
            (void)snprintf(path, sizeof path, "%s/%d/%s.txt", PAWL_GOLDEN, n, scene_list[i].name);
            (void)snprintf(name, sizeof name, "%d/%s", n, scene_list[i].name);
            size_t size = 0;
            char *text = slurp(path, &size);
            if (text == NULL) {
                continue;
            }
            golden *g = golden_new();
            golden_parse(text, size, g);
            fn(&scene_list[i], g, name, ctx);
            golden_free(g);
            pw_free(text);
            seen++;
        }
    }
    assert_true(seen > 0);
}

/* A journal with that history, and today's code. */
static rig *open_with(const scene *s, const golden *g, const golden_cut *cut)
{
    rig *r = rig_open(s->file ? RIG_SQLITE : RIG_NORMAL);
    s->code(r);
    rig_kill(r);
    if (s->newest != NULL) {
        s->newest(r);
    }
    r->build = BUILD_TODAY;
    golden_store(r, g, cut);
    return r;
}

/* ---- they replay ---- */

static void replay(rig *r, const golden_run *run, size_t records, const char *name, bool drifts)
{
    pw_live *live;
    pawl_error err = {0};
    assert_int_equal(pw_live_open_key(r->core, run->key, &live, &err), PAWL_OK);
    assert_non_null(live->def);
    pawl_status st = pw_live_load(live, &err);
    if (st != PAWL_OK) {
        fail_msg("%s, run %s, %zu turns: %s", name, run->id, records, err.message);
    }
    if (live->mismatch != NULL) {
        fail_msg("%s, run %s, %zu turns (%s): history has %s, code has %s", name, run->id, records,
                 live->mismatch->reason, live->mismatch->history, live->mismatch->code);
    }
    assert_int_equal(live->state, pw_run_state(golden_status(run, records)));
    assert_true(drifts || live->drift == NULL); /* the inputs of its commands are the same too */
}

static void replay_whole(const scene *s, const golden *g, const char *name, void *ctx)
{
    size_t *runs = ctx;
    rig *r = open_with(s, g, &(golden_cut){.asleep = true});
    for (size_t i = 0; i < g->runs_len; i++) {
        replay(r, &g->runs[i], g->runs[i].records_len, name, false);
        (*runs)++;
    }
    rig_close(r);
}

static void every_history_on_record_replays_to_its_end(void **state)
{
    (void)state;
    size_t runs = 0;
    for_each_golden(replay_whole, &runs);
    print_message("  %zu runs replayed\n", runs);
}

static void replay_cut(const scene *s, const golden *g, const char *name, void *ctx)
{
    size_t *cuts = ctx;
    for (size_t i = 0; i < g->runs_len && !s->file; i++) {
        const golden_run *run = &g->runs[i];
        for (size_t records = 1; records < run->records_len; records++) {
            rig *r =
                open_with(s, g, &(golden_cut){.run = run->key, .records = records, .asleep = true});
            replay(r, run, records, name, s->newest != NULL); /* not noted yet */
            rig_close(r);
            (*cuts)++;
        }
    }
}

/* What a crash between any two commits left behind. */
static void every_history_on_record_replays_cut_after_any_turn(void **state)
{
    (void)state;
    size_t cuts = 0;
    for_each_golden(replay_cut, &cuts);
    print_message("  %zu beginnings replayed\n", cuts);
}

/* ---- text and bytes ---- */

static void there_and_back(const scene *s, const golden *g, const char *name, void *ctx)
{
    (void)ctx;
    PW_CLEANUP(pw_buf_deinit) pw_buf before = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf after = PW_BUF_INIT;
    rig *r = open_with(s, g, &(golden_cut){.asleep = true});
    golden *again = golden_new();
    golden_read(r, again);
    golden_print(g, false, &before);
    golden_print(again, false, &after);
    print_message("  %s: %zu runs, %zu bytes\n", name, g->runs_len, before.size);
    assert_string_equal(pw_buf_cstr(&after), pw_buf_cstr(&before));
    golden_free(again);
    rig_close(r);
}

static void a_history_is_the_same_after_a_journal_and_back(void **state)
{
    (void)state;
    for_each_golden(there_and_back, NULL);
}

static void play(const scene *s, golden *g)
{
    rig *r = rig_open(s->file ? RIG_SQLITE : RIG_NORMAL);
    s->code(r);
    s->play(r);
    golden_read(r, g);
    rig_close(r);
}

/* "scene_wait.c:150" in what a report says becomes "scene_wait.c": code may move in its file. */
static void no_lines(pw_buf *b)
{
    char *to = (char *)b->data;
    size_t size = b->size;
    size_t kept = 0;
    for (size_t i = 0; i < size;) {
        to[kept++] = to[i++];
        if (i + 1 < size && kept >= 2 && memcmp(to + kept - 2, ".c", 2) == 0 && to[i] == ':') {
            i++;
            while (i < size && to[i] >= '0' && to[i] <= '9') {
                i++;
            }
        }
    }
    b->size = kept;
}

static void say_difference(const char *name, const char *was, const char *is)
{
    size_t line = 1, from = 0;
    size_t i = 0;
    for (; was[i] != 0 && was[i] == is[i]; i++) {
        if (was[i] == '\n') {
            line++;
            from = i + 1;
        }
    }
    fail_msg(
        "%s, line %zu: today's code writes something else. On record:\n%.400s\ntoday:\n%.400s\n"
        "If that is wanted: PAWL_GOLDEN_WRITE=tests/replay/golden/%d and this program; keep the old ones",
        name, line, was + from, is + from, newest_folder() + 1);
}

/* Commands with all they carry, their order, and what follows from each input; where they stand in the source does not matter. */
static void todays_code_writes_what_is_on_record(void **state)
{
    (void)state;
    char folder[16];
    (void)snprintf(folder, sizeof folder, "%d", newest_folder());
    for (size_t i = 0; i < scene_count; i++) {
        const scene *s = &scene_list[i];
        if (s->no_golden) {
            continue;
        }
        rig *r = rig_open(RIG_NORMAL);
        size_t size = 0;
        char *text = slurp(path_of(r, folder, s->name), &size);
        if (text == NULL) {
            fail_msg(
                "golden/%s/%s.txt is missing: PAWL_GOLDEN_WRITE=tests/replay/golden/%s and this program",
                folder, s->name, folder);
        }
        rig_close(r);
        PW_CLEANUP(pw_buf_deinit) pw_buf was = PW_BUF_INIT;
        PW_CLEANUP(pw_buf_deinit) pw_buf is = PW_BUF_INIT;
        golden *on_record = golden_new(), *today = golden_new();
        golden_parse(text, size, on_record);
        play(s, today);
        golden_print(on_record, true, &was);
        golden_print(today, true, &is);
        no_lines(&was);
        no_lines(&is);
        if (strcmp(pw_buf_cstr(&was), pw_buf_cstr(&is)) != 0) {
            say_difference(s->name, pw_buf_cstr(&was), pw_buf_cstr(&is));
        }
        golden_free(on_record);
        golden_free(today);
        pw_free(text);
    }
}

static void note_types(const scene *s, const golden *g, const char *name, void *ctx)
{
    (void)s;
    (void)name;
    int *count = ctx;
    for (size_t i = 0; i < g->runs_len; i++) {
        for (size_t k = 0; k < g->runs[i].events_len; k++) {
            count[g->runs[i].events[k].type]++;
        }
    }
}

static void every_type_of_event_is_on_record(void **state)
{
    (void)state;
    int count[128] = {0};
    for_each_golden(note_types, count);
#define X(number, NAME, text, kind)                                              \
    if (count[number] == 0) {                                                    \
        fail_msg("no golden history holds a " text ": add a scene (README.md)"); \
    }
#include "sdk/base/events.def"
#undef X
}

/* ---- mutants ---- */

typedef enum mutation {
    M_DROP,
    M_DOUBLE,
    M_SWAP,
    M_TYPE,
    M_COMMAND,
    M_VALUE,
    M_BYTE,
    M_FLAGS,
    M_COUNT
} mutation;

typedef struct verdicts {
    long replays, damage, report, live;
} verdicts;

static size_t record_of(const golden_run *run, size_t event)
{
    size_t i = 0;
    while (i + 1 < run->records_len && event >= run->records[i].len) {
        event -= run->records[i].len;
        i++;
    }
    return i;
}

/* One value of the body, at the top, becomes another one. */
static pw_view other_value(golden *g, pw_view body, uint64_t *rng)
{
    static const char *const values[] = {
        "\xc0", "\x00", "\xff", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1x",
        "\x90", "\x80", "\xc3", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"};
    static const size_t sizes[] = {1, 1, 1, 9, 2, 1, 1, 1, 9};
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = pw_mp_read_map(&r);
    size_t which = pairs > 0 ? rig_draw(rng) % pairs : 0;
    size_t with = rig_draw(rng) % PW_COUNT(values);
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pw_mp_map(&out, pairs);
    for (size_t i = 0; i < pairs; i++) {
        pw_view key = pw_mp_read_raw(&r);
        pw_view value = pw_mp_read_raw(&r);
        pw_buf_put(&out, key.data, key.size);
        pw_buf_put(&out, i == which ? (const void *)values[with] : value.data,
                   i == which ? sizes[with] : value.size);
    }
    return (pw_view){pw_memdup(g->scope, out.data, out.size), out.size};
}

static pw_view other_byte(golden *g, pw_view body, uint64_t *rng)
{
    uint8_t *copy = pw_memdup(g->scope, body.data, body.size);
    if (body.size > 0) {
        copy[rig_draw(rng) % body.size] ^= (uint8_t)(1u << (rig_draw(rng) % 8));
    }
    return (pw_view){copy, body.size};
}

static int other_type(uint64_t *rng)
{
    static const int types[] = {
#define X(number, NAME, text, kind) number,
#include "sdk/base/events.def"
#undef X
        0, 14, 99, 101, 1000,
    };
    return types[rig_draw(rng) % PW_COUNT(types)];
}

static void remove_event(golden_run *run, size_t at)
{
    run->records[record_of(run, at)].len--;
    memmove(&run->events[at], &run->events[at + 1],
            (run->events_len - at - 1) * sizeof *run->events);
    run->events_len--;
}

static void double_event(golden_run *run, size_t at)
{
    if (run->events_len < GOLDEN_EVENTS_MAX) {
        run->records[record_of(run, at)].len++;
        memmove(&run->events[at + 1], &run->events[at],
                (run->events_len - at) * sizeof *run->events);
        run->events_len++;
    }
}

static void mutate(golden *g, golden_run *run, uint64_t *rng)
{
    size_t at = rig_draw(rng) % run->events_len;
    golden_event *ev = &run->events[at];
    switch ((mutation)(rig_draw(rng) % M_COUNT)) {
    case M_DROP:
        remove_event(run, at);
        break;
    case M_DOUBLE:
        double_event(run, at);
        break;
    case M_SWAP: {
        golden_event *other = &run->events[rig_draw(rng) % run->events_len];
        golden_event kept = *ev;
        *ev = *other;
        *other = kept;
        break;
    }
    case M_TYPE:
        ev->type = other_type(rng);
        break;
    case M_COMMAND:
        ev->cmd = (int64_t)(rig_draw(rng) % 8) - 1;
        break;
    case M_VALUE:
        ev->body = other_value(g, ev->body, rng);
        break;
    case M_BYTE:
        ev->body = other_byte(g, ev->body, rng);
        break;
    case M_FLAGS:
    case M_COUNT:
        run->records[record_of(run, at)].flags ^= PW_RECORD_INPUT_ONLY;
        break;
    }
}

static bool known_reason(const char *reason)
{
    static const char *const reasons[] = {"kind",    "name",  "input",
                                          "missing", "extra", "damage"}; /* engine/replay.c */
    for (size_t i = 0; i < PW_COUNT(reasons); i++) {
        if (strcmp(reason, reasons[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* It replays, or the report says where not, or the history is damaged. */
static void load_mutant(rig *r, const golden_run *run, verdicts *v)
{
    pw_live *live;
    pawl_error err = {0};
    assert_int_equal(pw_live_open_key(r->core, run->key, &live, &err), PAWL_OK);
    pawl_status st = pw_live_load(live, &err);
    if (live->mismatch != NULL) {
        assert_true(known_reason(live->mismatch->reason));
        assert_true(strlen(live->mismatch->history) > 0 && strlen(live->mismatch->code) > 0);
        v->report++;
    } else if (st != PAWL_OK) {
        assert_int_equal(st, PAWL_DAMAGED);
        v->damage++;
    } else {
        v->replays++;
    }
}

/* The engine lives with it: its run goes on, pauses or waits; requests are answered; nothing else is harmed. */
static void live_mutant(rig *r, const golden_run *run, verdicts *v)
{
    static const char *const ops[] = {"signal", "pause", "cancel", "resume", "retry", "terminate"};
    rig_advance(r, 10000);
    for (size_t i = 0; i < PW_COUNT(ops); i++) {
        (void)rig_ask(r, ops[i], "{id: %s, name: %s}", run->id, "go");
        rig_advance(r, 2000);
    }
    rig_crash(r);
    rig_advance(r, 10000);
    assert_false(r->failed);
    v->live++;
}

static void one_mutant(const scene *s, const golden *g, size_t which, uint64_t number, verdicts *v)
{
    golden *mutant = golden_new();
    memcpy(mutant->runs, g->runs, sizeof g->runs);
    memcpy(mutant->items, g->items, sizeof g->items);
    mutant->runs_len = g->runs_len;
    mutant->items_len = g->items_len;
    golden_run *run = &mutant->runs[which];
    uint64_t rng = number * 1000 + which;
    for (uint64_t i = 0; i <= number % 3; i++) {
        if (run->events_len > 1) {
            mutate(mutant, run, &rng);
        }
    }
    bool live = number % 2 == 1;
    size_t records = live ? 1 + rig_draw(&rng) % run->records_len : run->records_len;
    while (records < run->records_len && run->records[records - 1].len == 0) {
        records++; /* a run without any event is none: it was created with its first */
    }
    rig *r =
        open_with(s, mutant, &(golden_cut){.run = run->key, .records = records, .asleep = !live});
    if (live) {
        live_mutant(r, run, v);
    } else {
        load_mutant(r, run, v);
    }
    rig_close(r);
    golden_free(mutant);
}

static void mutants_of(const scene *s, const golden *g, const char *name, void *ctx)
{
    const char *many = getenv("PAWL_GOLDEN_MUTANTS"), *only = getenv("PAWL_GOLDEN_ONLY");
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : s->file ? MUTANTS_ON_FILE : MUTANTS;
    count = only != NULL ? strtoull(strrchr(only, ':') + 1, NULL, 10) + 1 : count;
    for (uint64_t n = 0; n < count; n++) {
        for (size_t i = 0; i < g->runs_len; i++) {
            char here[96];
            (void)snprintf(here, sizeof here, "%s:%zu:%llu", name, i, (unsigned long long)n);
            if (only == NULL || strcmp(only, here) == 0) {
                (void)setenv("PAWL_GOLDEN_AT", here, 1); /* for who looks at a failure */
                one_mutant(s, g, i, n, ctx);
            }
        }
    }
}

static void a_mutated_history_replays_or_is_found_out_and_never_harms(void **state)
{
    (void)state;
    verdicts v = {0};
    for_each_golden(mutants_of, &v);
    print_message(
        "  %ld mutants: %ld replay, %ld are reported, %ld are damage; %ld more were lived with\n",
        v.replays + v.report + v.damage, v.replays, v.report, v.damage, v.live);
    assert_true(getenv("PAWL_GOLDEN_ONLY") != NULL || v.report > 100);
}

/* ---- writing ---- */

static void write_goldens(void **state)
{
    const char *folder = *state;
    for (size_t i = 0; i < scene_count; i++) {
        if (scene_list[i].no_golden) {
            continue;
        }
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s.txt", folder, scene_list[i].name);
        PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
        golden *g = golden_new();
        play(&scene_list[i], g);
        golden_print(g, false, &text);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text.data, 1, text.size, f), text.size);
        assert_int_equal(fclose(f), 0);
        golden_free(g);
    }
}

int main(void)
{
    char *folder = getenv("PAWL_GOLDEN_WRITE");
    if (folder != NULL) {
        const struct CMUnitTest writing[] = {cmocka_unit_test_prestate(write_goldens, folder)};
        return cmocka_run_group_tests(writing, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_on_record_replays_to_its_end),
        cmocka_unit_test(every_history_on_record_replays_cut_after_any_turn),
        cmocka_unit_test(a_history_is_the_same_after_a_journal_and_back),
        cmocka_unit_test(todays_code_writes_what_is_on_record),
        cmocka_unit_test(every_type_of_event_is_on_record),
        cmocka_unit_test(a_mutated_history_replays_or_is_found_out_and_never_harms),
    };
    int bad = cmocka_run_group_tests(tests, NULL, NULL);
    if (bad != 0 && getenv("PAWL_GOLDEN_AT") != NULL) {
        (void)fprintf(stderr, "if it was a mutant: PAWL_GOLDEN_ONLY=%s and this program\n",
                      getenv("PAWL_GOLDEN_AT"));
    }
    return bad;
}
