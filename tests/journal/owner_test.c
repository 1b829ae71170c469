/*
 * owner_test.c - who holds a journal's lock: owners, guests, the dead. Does not test what an owner does with it.
 */
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/sqlite.h"
#include "tests/journal/rig.h"

static void a_second_owner_is_refused_and_told_the_pid(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char socket[108];
    int64_t owner = 0;
    uint64_t epoch = 0;
    pawl_error err;
    assert_int_equal(rig_try(t->path, &err), PAWL_BUSY); /* [J10] */
    assert_non_null(strstr(err.message, "this process ("));
    assert_non_null(strstr(err.message, "has opened this journal already"));
    assert_int_equal(pw_owner_probe(t->path, &owner, &epoch, socket, &err), PAWL_OK);
    assert_int_equal(owner, getpid());
    assert_true(epoch == t->epoch);
    rig_detach(t);
    assert_int_equal(pw_owner_probe(t->path, &owner, &epoch, socket, &err), PAWL_OK);
    assert_int_equal(owner, 0);
    assert_string_equal(socket, "");
    assert_int_equal(rig_try(t->path, &err), PAWL_OK);
    rig_close(t);
}

static void a_second_owner_by_another_name_is_refused(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char link[PATH_MAX];
    pawl_error err;
    snprintf(link, sizeof(link), "%s/alias.db", t->folder);
    assert_int_equal(symlink(t->path, link), 0);
    assert_int_equal(rig_try(link, &err), PAWL_BUSY);
    rig_close(t);
}

static void an_owner_in_another_process_is_found_and_its_death_noticed(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    int ready[2];
    int64_t owner = 0;
    uint64_t epoch = 0;
    char socket[108];
    char byte = 0;
    pawl_error err;
    rig_detach(t);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        pw_journal *j = NULL;
        if (pw_sqlite_open(t->path, "/run/x.sock", &j, &err) != PAWL_OK ||
            write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(pw_owner_probe(t->path, &owner, &epoch, socket, &err), PAWL_OK);
    assert_int_equal(owner, child);
    assert_string_equal(socket, "/run/x.sock");
    assert_int_equal(rig_try(t->path, &err), PAWL_BUSY);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(pw_owner_probe(t->path, &owner, &epoch, socket, &err), PAWL_OK);
    assert_int_equal(owner, 0);
    assert_int_equal(rig_try(t->path, &err), PAWL_OK);
    close(ready[0]);
    close(ready[1]);
    rig_close(t);
}

/* A guest until it is told to go: as a post that takes long. */
static pid_t guest_begin(const char *path, int ret_go[2])
{
    int there[2];
    char byte = 0;
    assert_int_equal(pipe(ret_go), 0);
    assert_int_equal(pipe(there), 0);
    pid_t child = fork();
    if (child == 0) {
        const pw_sqlite_env env = {.guest = true};
        pw_journal *j = NULL;
        pawl_error err;
        if (pw_sqlite_open_env(path, "", &env, &j, &err) != PAWL_OK ||
            write(there[1], "x", 1) != 1 || read(ret_go[0], &byte, 1) != 1) {
            _exit(1);
        }
        j->ops->close(j);
        _exit(0);
    }
    assert_int_equal(read(there[0], &byte, 1), 1);
    close(there[0]);
    close(there[1]);
    return child;
}

/* It has the lock file open: its next step is to ask for the lock. */
static bool has_lock_file(pid_t pid, const char *path)
{
    char lock[PATH_MAX];
    bool found = false;
    snprintf(lock, sizeof(lock), "%s.lock", path);
    for (int fd = 0; fd < 64 && !found; fd++) {
        char name[64];
        char link[PATH_MAX];
        snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)pid, fd);
        ssize_t n = readlink(name, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        found = n > 0 && strcmp(link, lock) == 0;
    }
    return found;
}

static void an_owner_waits_for_a_guest_to_go(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    int go[2];
    int how = 0;
    int64_t owner = 0;
    uint64_t epoch = 0;
    char socket[108];
    pawl_error err;
    rig_detach(t);
    pid_t guest = guest_begin(t->path, go);
    assert_int_equal(pw_owner_probe(t->path, &owner, &epoch, socket, &err), PAWL_OK);
    assert_int_equal(owner, -1); /* there is nobody to talk to */
    pid_t opener = fork();
    if (opener == 0) {
        _exit((int)rig_try(t->path, &err));
    }
    while (!has_lock_file(opener, t->path) && waitpid(opener, &how, WNOHANG) == 0) {
    }
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(guest, &how, 0), guest);
    assert_int_equal(how, 0);
    assert_int_equal(waitpid(opener, &how, 0), opener);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), PAWL_OK);
    close(go[0]);
    close(go[1]);
    rig_close(t);
}

static void a_guest_that_is_killed_is_in_nobodys_way(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    int go[2];
    pawl_error err;
    rig_detach(t);
    pid_t guest = guest_begin(t->path, go);
    kill(guest, SIGKILL);
    waitpid(guest, NULL, 0);
    assert_int_equal(rig_try(t->path, &err), PAWL_OK);
    close(go[0]);
    close(go[1]);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_owner_is_refused_and_told_the_pid),
        cmocka_unit_test(a_second_owner_by_another_name_is_refused),
        cmocka_unit_test(an_owner_in_another_process_is_found_and_its_death_noticed),
        cmocka_unit_test(an_owner_waits_for_a_guest_to_go),
        cmocka_unit_test(a_guest_that_is_killed_is_in_nobodys_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
