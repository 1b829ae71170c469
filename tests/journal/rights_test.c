/*
 * rights_test.c - who may read a journal and what stands beside it, and who can open it after root has. Does not look at the control socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/crumb.h"
#include "journal/sqlite.h"
#include "tests/journal/rig.h"

#define STRANGER 65534 /* nobody: has no files elsewhere */

static const char *const beside[] = {"", "-wal", "-shm", ".lock", ".crumb", ".ballast"};

/* A rig whose journal is closed, and another path in its folder. */
static rig *begin(const char *name)
{
    rig *t = rig_open("sqlite");
    t->r->ops->reader_close(t->r);
    t->j->ops->close(t->j);
    t->r = NULL;
    t->j = NULL;
    snprintf(t->path, sizeof(t->path), "%s/%s", t->folder, name);
    return t;
}

static struct stat look(const rig *t, const char *suffix)
{
    char path[PATH_MAX + 16];
    struct stat s = {0};
    snprintf(path, sizeof(path), "%s%s", t->path, suffix);
    if (stat(path, &s) != 0) {
        fail_msg("%s is not there", path);
    }
    return s;
}

/* Everything that an owner makes. */
static pawl_status own(const char *path, pw_journal **ret, pw_crumb **ret_crumb)
{
    pawl_error err;
    pw_crumb_found found;
    uint64_t epoch = 0, group = 0;
    pawl_status st = pw_sqlite_open(path, "", ret, &err);
    if (st == PAWL_OK) {
        st = (*ret)->ops->lease(*ret, &epoch, &group, &err);
        (void)(*ret)->ops->ballast(*ret, false);
    }
    return st == PAWL_OK ? pw_crumb_open(path, ret_crumb, &found, &err) : st;
}

static void forget(const rig *t, size_t from)
{
    char path[PATH_MAX + 16];
    for (size_t i = from; i < PW_COUNT(beside); i++) {
        snprintf(path, sizeof(path), "%s%s", t->path, beside[i]);
        (void)unlink(path);
    }
}

static void check_modes(const rig *t, mode_t journal, mode_t others)
{
    for (size_t i = 0; i < PW_COUNT(beside); i++) {
        struct stat s = look(t, beside[i]);
        const mode_t wanted = i < 3 ? journal : others;
        if ((s.st_mode & 0777) != wanted) {
            fail_msg("%s has mode %o, not %o", beside[i], s.st_mode & 0777, wanted);
        }
    }
}

static void a_new_journal_and_what_stands_beside_it_are_its_users_alone(void **state)
{
    (void)state;
    rig *t = begin("new.db");
    pw_journal *j = NULL;
    pw_crumb *crumb = NULL;
    const mode_t mask = umask(022);
    assert_int_equal(own(t->path, &j, &crumb), PAWL_OK);
    check_modes(t, 0600, 0600);
    (void)umask(mask);
    pw_crumb_close(crumb, true);
    j->ops->close(j);
    rig_close(t);
}

static void a_journal_that_is_there_keeps_its_mode_and_lends_it_to_its_log(void **state)
{
    (void)state;
    rig *t = begin("j.db");
    pw_journal *j = NULL;
    pw_crumb *crumb = NULL;
    const mode_t mask = umask(022);
    forget(t, 1);
    assert_int_equal(chmod(t->path, 0640), 0);
    assert_int_equal(own(t->path, &j, &crumb), PAWL_OK);
    check_modes(t, 0640, 0600);
    (void)umask(mask);
    pw_crumb_close(crumb, true);
    j->ops->close(j);
    assert_int_equal(look(t, "").st_mode & 0777, 0640);
    rig_close(t);
}

/* ---- root and another user ---- */

/* In a process of that user: owns the journal and ends without closing it, as a kill would end it. */
static int own_as(const rig *t, uid_t user)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        pw_journal *j = NULL;
        pw_crumb *crumb = NULL;
        if (setgid(user) != 0 || setuid(user) != 0) {
            _exit(100);
        }
        _exit((int)own(t->path, &j, &crumb));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static rig *begin_strange(const char *name)
{
    if (geteuid() != 0) {
        print_message("skipped: only root can open what another user has\n");
        skip();
    }
    rig *t = begin(name);
    assert_int_equal(chown(t->folder, STRANGER, STRANGER), 0);
    return t;
}

static void check_owner(const rig *t)
{
    for (size_t i = 0; i < PW_COUNT(beside); i++) {
        if (look(t, beside[i]).st_uid != STRANGER) {
            fail_msg("%s belongs to root", beside[i]);
        }
    }
}

static void what_root_leaves_beside_a_journal_is_its_owners(void **state)
{
    (void)state;
    rig *t = begin_strange("theirs.db");
    assert_int_equal(own_as(t, STRANGER), PAWL_OK);
    check_owner(t);
    forget(t, 3); /* (the log is the journal's: it goes with a clean end alone) */
    assert_int_equal(own_as(t, 0), PAWL_OK);
    check_owner(t);
    assert_int_equal(own_as(t, STRANGER), PAWL_OK);
    rig_close(t);
}

static void what_root_begins_in_the_folder_of_another_is_theirs(void **state)
{
    (void)state;
    rig *t = begin_strange("begun.db");
    assert_int_equal(own_as(t, 0), PAWL_OK);
    check_owner(t);
    check_modes(t, 0600, 0600);
    assert_int_equal(own_as(t, STRANGER), PAWL_OK);
    rig_close(t);
}

static void what_root_finds_there_keeps_its_owner(void **state)
{
    (void)state;
    rig *t = begin_strange("mixed.db");
    char path[PATH_MAX + 16];
    assert_int_equal(own_as(t, STRANGER), PAWL_OK);
    snprintf(path, sizeof(path), "%s.crumb", t->path);
    assert_int_equal(chown(path, 0, 0), 0); /* it could be a link to something of root's */
    assert_int_equal(own_as(t, 0), PAWL_OK);
    assert_int_equal(look(t, ".crumb").st_uid, 0);
    rig_close(t);
}

/* Only where the system does that (it is a setting of the machine). */
static void what_another_user_put_into_a_folder_of_all_is_refused(void **state)
{
    (void)state;
    char path[PATH_MAX + 16];
    int asked = '0';
    FILE *f = fopen("/proc/sys/fs/protected_regular", "r");
    if (f != NULL) {
        asked = fgetc(f);
        (void)fclose(f);
    }
    if (geteuid() != 0 || asked <= '0') {
        print_message("skipped: no root, or fs.protected_regular is 0\n");
        skip();
    }
    rig *t = begin("sticky.db");
    pw_journal *j = NULL;
    pawl_error err;
    assert_int_equal(chmod(t->folder, 01777), 0);
    snprintf(path, sizeof(path), "%s.lock", t->path);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(chown(path, STRANGER, STRANGER), 0);
    assert_int_equal(pw_sqlite_open(t->path, "", &j, &err), PAWL_READONLY);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_journal_and_what_stands_beside_it_are_its_users_alone),
        cmocka_unit_test(a_journal_that_is_there_keeps_its_mode_and_lends_it_to_its_log),
        cmocka_unit_test(what_root_leaves_beside_a_journal_is_its_owners),
        cmocka_unit_test(what_root_begins_in_the_folder_of_another_is_theirs),
        cmocka_unit_test(what_root_finds_there_keeps_its_owner),
        cmocka_unit_test(what_another_user_put_into_a_folder_of_all_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
