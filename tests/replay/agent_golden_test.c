/*
 * agent_golden_test.c - agents on record go on with the code of today: after any turn of a recorded history its state asks for nothing that the
 * history has asked for already, and for nothing that it never did.
 *
 * The history is cut after a turn, today's code builds its state from it, and the run hears a signal that says nothing: what it then asks for
 * would be asked for twice. The same with a snapshot in between: the state saved, and loaded. Does not play scenes anew: replay_golden does.
 */
#include "golden.h"

#include <dirent.h>
#include <stdio.h>

#include "engine/parts.h"
#include "scene.h"
#include "workflows/agent.h"

static char *slurp(const char *path, size_t *ret_size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return NULL;
    }
    char *text = pw_malloc(1u << 20);
    PW_CHECK(text != NULL);
    *ret_size = fread(text, 1, 1u << 20, f);
    (void)fclose(f);
    return text;
}

/* One history on record; false: there is none of that name. */
static bool read_one(const char *path, void (*fn)(const golden *g, const char *name, void *ctx),
                     void *ctx)
{
    size_t size = 0;
    char *text = slurp(path, &size);
    if (text == NULL) {
        return false;
    }
    golden *g = golden_new();
    golden_parse(text, size, g);
    fn(g, path, ctx);
    golden_free(g);
    pw_free(text);
    return true;
}

/* Every version of the scenes with agents that is on record. */
static size_t for_each(void (*fn)(const golden *g, const char *name, void *ctx), void *ctx)
{
    static const char *const scenes[] = {"agent", "choose"};
    size_t seen = 0;
    for (int n = 1; n < 1000; n++) {
        char path[256], folder[256];
        (void)snprintf(folder, sizeof folder, "%s/%d", PAWL_GOLDEN, n);
        DIR *dir = opendir(folder);
        if (dir == NULL) {
            break;
        }
        (void)closedir(dir);
        for (size_t i = 0; i < PW_COUNT(scenes); i++) {
            (void)snprintf(path, sizeof path, "%s/%d/%s.txt", PAWL_GOLDEN, n, scenes[i]);
            seen += read_one(path, fn, ctx);
        }
    }
    return seen;
}

static bool decided(const golden_run *run, size_t records)
{
    return pw_run_status_is_open(golden_status(run, records)) &&
           (run->records[records - 1].flags & PW_RECORD_INPUT_ONLY) == 0;
}

static void cut_and_listen(const golden *g, const char *name, void *ctx)
{
    size_t *cuts = ctx;
    for (size_t i = 0; i < g->runs_len; i++) {
        const golden_run *run = &g->runs[i];
        for (size_t records = 1; records < run->records_len && strcmp(run->workflow, "agent") == 0;
             records++) {
            if (!decided(run, records)) {
                continue;
            }
            rig *r = rig_open(RIG_NORMAL);
            scene_agent_code(r);
            rig_kill(r);
            golden_store(r, g, &(golden_cut){.run = run->key, .records = records, .asleep = true});
            const size_t before = strlen(rig_history(r, run->id));
            (void)rig_post(r, "signal", "{id: %s, name: 'noise'}", run->id);
            rig_step(r);
            (void)rig_commit(r);
            (void)rig_answer(r);
            const char *then = rig_history(r, run->id) + before;
            if (strcmp(then, " SignalReceived:noise") != 0 &&
                strcmp(then, " SignalReceived:noise KeySet:agent") !=
                    0) { /* (where it stands may be shown) */
                fail_msg("%s, run %s, after %zu turns: after a signal that says nothing comes%s",
                         name, run->id, records, then);
            }
            rig_close(r);
            (*cuts)++;
        }
    }
}

static void a_recorded_agent_asks_for_nothing_twice_after_any_turn(void **state)
{
    (void)state;
    size_t cuts = 0;
    assert_true(for_each(cut_and_listen, &cuts) > 0);
    print_message("  %zu beginnings of agents went on\n", cuts);
    assert_true(cuts > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_agent_asks_for_nothing_twice_after_any_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
