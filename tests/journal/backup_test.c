/*
 * backup_test.c - a copy of a journal: as of one moment, whole or not there, and in nobody's way.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/journal/rig.h"

typedef struct copying {
    rig *t;
    rig_run *run;
    char target[PATH_MAX + 64];
    pawl_status second;
    pawl_error err;
} copying;

static copying begin(rig_run *ret_run)
{
    copying c = {.t = rig_open("sqlite"), .run = ret_run, .second = PAWL_OK};
    *ret_run = rig_start(c.t, "one");
    snprintf(c.target, sizeof c.target, "%s.copy", c.t->path);
    return c;
}

static bool is_there(const copying *c, const char *end)
{
    char path[PATH_MAX + 96];
    struct stat s;
    snprintf(path, sizeof path, "%s%s", c->target, end);
    return lstat(path, &s) == 0;
}

static void write_beside(const copying *c, const char *end, const char *text)
{
    char path[PATH_MAX + 96];
    snprintf(path, sizeof path, "%s%s", c->target, end);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void unsound(void *ctx, const pw_verify_finding *finding)
{
    (void)ctx;
    fail_msg("%s: %s", finding->invariant, finding->message);
}

/* The copy is sound, and has so many records. */
static void check_copy(copying *c, int64_t records)
{
    pw_verify_stats stats = {0};
    assert_int_equal(pw_sqlite_verify(c->target, unsound, NULL, &stats, &c->err), PAWL_OK);
    assert_int_equal(stats.records, records);
}

static pawl_status back_up(copying *c, pw_backup_fn fn)
{
    return pw_sqlite_backup(c->t->path, c->target, fn, c, &c->err);
}

static bool commit_meanwhile(void *ctx, int done, int total)
{
    copying *c = ctx;
    assert_true(done <= total);
    assert_int_equal(rig_turn(c->t, c->run, 1, "later"), PAWL_OK);
    return true;
}

static void a_copy_is_of_one_moment_and_nobody_waits_for_it(void **state)
{
    (void)state;
    rig_run run;
    copying c = begin(&run);
    assert_int_equal(back_up(&c, commit_meanwhile), PAWL_OK);
    check_copy(&c, 1);
    rig_close(c.t);
}

static bool copy_too(void *ctx, int done, int total)
{
    copying *c = ctx;
    (void)done;
    (void)total;
    c->second = pw_sqlite_backup(c->t->path, c->target, NULL, NULL, &c->err);
    return true;
}

static void a_second_backup_into_the_same_file_is_refused_and_the_first_is_whole(void **state)
{
    (void)state;
    rig_run run;
    copying c = begin(&run);
    assert_int_equal(back_up(&c, copy_too), PAWL_OK);
    assert_int_equal(c.second, PAWL_BUSY);
    check_copy(&c, 1);
    assert_int_equal(back_up(&c, NULL), PAWL_EXISTS);
    check_copy(&c, 1);
    rig_close(c.t);
}

static bool die(void *ctx, int done, int total)
{
    (void)ctx;
    (void)done;
    (void)total;
    return kill(getpid(), SIGKILL) != 0;
}

static void what_a_kill_leaves_is_no_copy_and_goes_with_the_next(void **state)
{
    (void)state;
    rig_run run;
    copying c = begin(&run);
    pid_t child = fork();
    if (child == 0) {
        (void)back_up(&c, die);
        _exit(0);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    assert_true(is_there(&c, "-unfinished"));
    assert_false(is_there(&c, ""));
    assert_int_equal(back_up(&c, NULL), PAWL_OK);
    assert_false(is_there(&c, "-unfinished"));
    assert_false(is_there(&c, "-unfinished-journal"));
    check_copy(&c, 1);
    rig_close(c.t);
}

static void
files_of_others_stay_and_what_is_left_of_a_journal_is_not_taken_for_its_own(void **state)
{
    (void)state;
    rig_run run;
    copying c = begin(&run);
    write_beside(&c, "~", "mine");
    write_beside(&c, "-wal", "pages of a journal that was here before");
    assert_int_equal(back_up(&c, NULL), PAWL_EXISTS);
    assert_non_null(strstr(c.err.message, "-wal"));
    assert_false(is_there(&c, ""));
    write_beside(&c, "-wal", ""); /* an empty one says nothing */
    assert_int_equal(back_up(&c, NULL), PAWL_OK);
    assert_true(is_there(&c, "~"));
    check_copy(&c, 1);
    rig_close(c.t);
}

static void a_copy_can_be_read_by_its_user_alone_whoever_may_read_the_journal(void **state)
{
    (void)state;
    rig_run run;
    copying c = begin(&run);
    struct stat s;
    assert_int_equal(chmod(c.t->path, 0644), 0);
    assert_int_equal(back_up(&c, NULL), PAWL_OK);
    assert_int_equal(stat(c.target, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    rig_close(c.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_of_one_moment_and_nobody_waits_for_it),
        cmocka_unit_test(a_second_backup_into_the_same_file_is_refused_and_the_first_is_whole),
        cmocka_unit_test(what_a_kill_leaves_is_no_copy_and_goes_with_the_next),
        cmocka_unit_test(
            files_of_others_stay_and_what_is_left_of_a_journal_is_not_taken_for_its_own),
        cmocka_unit_test(a_copy_can_be_read_by_its_user_alone_whoever_may_read_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
