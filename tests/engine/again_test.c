/*
 * again_test.c - a journal that cannot be read for a while: what was to be read is read a second later, and nothing is lost [E8].
 */
#include "rig.h"

#include <stdio.h>

static struct {
    pw_journal_ops ops; /* with faults in it */
    const pw_journal_ops *real;
    int scans, timers, run_reads, tasks; /* so many of them fail */
    int rows;                            /* before that, so many rows are told */
} disk;

static pawl_status broken(pawl_error *err)
{
    err->status = PAWL_IO;
    (void)snprintf(err->message, sizeof err->message, "the disk does not answer");
    return PAWL_IO;
}

typedef struct cut {
    pw_run_fn fn;
    void *ctx;
    int left;
} cut;

static bool cut_run(void *ctx, const pw_run_row *row)
{
    cut *c = ctx;
    return c->left-- > 0 && c->fn(c->ctx, row);
}

static pawl_status scan(pw_reader *r, const pw_scan *s, pw_run_fn fn, void *ctx, pawl_error *err)
{
    if (disk.scans > 0) {
        disk.scans--;
        cut c = {fn, ctx, disk.rows};
        (void)disk.real->run_scan(r, s, cut_run, &c, err);
        return broken(err);
    }
    return disk.real->run_scan(r, s, fn, ctx, err);
}

static pawl_status timers(pw_reader *r, int64_t until_ms, const pw_timer_row *after,
                          size_t rows_max, pw_timer_fn fn, void *ctx, pawl_error *err)
{
    if (disk.timers > 0) {
        disk.timers--;
        return broken(err);
    }
    return disk.real->timers(r, until_ms, after, rows_max, fn, ctx, err);
}

static pawl_status read_run(pw_reader *r, int64_t key, pw_run_fn fn, void *ctx, pawl_error *err)
{
    if (disk.run_reads > 0) {
        disk.run_reads--;
        return broken(err);
    }
    return disk.real->run_get(r, key, fn, ctx, err);
}

static void put_faults(rig *r, pw_reader *reader)
{
    (void)r;
    disk.real = reader->ops;
    disk.ops = *reader->ops;
    disk.ops.run_scan = scan;
    disk.ops.timers = timers;
    disk.ops.run_get = read_run;
    reader->ops = &disk.ops;
}

static const pawl_value *sleeper(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 20);
    return pawl_json(w, "%s", "woke");
}

/* Waits for nothing when its process dies: its step is committed, and the code after it has not run. */
static const pawl_value *one(pawl_step *s, const pawl_value *in)
{
    (void)in;
    return pawl_step_build(s, "1");
}

static const pawl_value *stepper(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_local(w, "one", one, NULL);
}

static void open_faulty(rig *r)
{
    memset(&disk, 0, sizeof disk);
    r->on_reader = put_faults;
    rig_workflow(r, "sleeper", sleeper);
    rig_workflow(r, "stepper", stepper);
}

static void runs_that_could_not_be_read_at_the_start_go_on_later(void **state)
{
    rig *r = *state;
    open_faulty(r);
    static const char *const ids[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        (void)rig_post(r, "start", "{workflow: %s, id: %s}", "stepper", ids[i]);
    }
    rig_step(r);
    assert_true(rig_commit(r)); /* the steps have landed, and nobody has heard of it */
    for (int rows = 0; rows < 3; rows++) {
        rig_kill(r);
        disk.scans = 3;
        disk.rows = rows;
        rig_boot(r);
        rig_step(r);
    }
    rig_advance(r, 10000);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(rig_status(r, ids[i]), "completed");
    }
}

static void timers_that_could_not_be_read_fire_late_and_are_not_lost(void **state)
{
    rig *r = *state;
    open_faulty(r);
    rig_start(r, "sleeper", "a");
    rig_start(r, "sleeper", "b");
    rig_kill(r);
    disk.timers = 3;
    rig_boot(r);
    rig_advance(r, 19000);
    assert_string_equal(rig_status(r, "a"), "running");
    disk.run_reads = 2; /* when it is due, its run cannot be read */
    rig_advance(r, 5000);
    assert_int_equal(disk.run_reads, 0);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_string_equal(rig_status(r, "b"), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(runs_that_could_not_be_read_at_the_start_go_on_later),
        RIG_TEST(timers_that_could_not_be_read_fire_late_and_are_not_lost),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
