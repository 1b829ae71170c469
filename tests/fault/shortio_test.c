/*
 * shortio_test.c - reads and writes of the real file system that come back short: the journal does
 * not notice.
 *
 * pread and pwrite are replaced beneath SQLite's own unix VFS, through its table of system calls:
 * from the n-th call on, the next one (or every one) transfers only half. Until none is left. Does
 * not end files early: that is damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/journal/stored.h"

static int64_t calls;
static int64_t short_nth;
static bool short_sticky;
static bool was_short;

static size_t part_of(size_t size)
{
    calls++;
    bool shorten = short_nth > 0 && size > 1 && calls >= short_nth && (short_sticky || !was_short);
    was_short |= shorten;
    return shorten ? size / 2 : size;
}

static ssize_t short_pread(int fd, void *data, size_t size, off_t offset)
{
    return pread(fd, data, part_of(size), offset);
}

static ssize_t short_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite(fd, data, part_of(size), offset);
}

typedef void (*any_fn)(void);

/** Under both names: which one SQLite uses depends on how it was built. */
static void replace(const char *name, any_fn fn)
{
    char wide[20];
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
    assert_non_null(vfs);
    snprintf(wide, sizeof(wide), "%s64", name);
    (void)vfs->xSetSystemCall(vfs, name, (sqlite3_syscall_ptr)fn);
    (void)vfs->xSetSystemCall(vfs, wide, (sqlite3_syscall_ptr)fn);
}

static void loop(void)
{
    for (int sticky = 0; sticky < 2; sticky++) {
        int64_t nth = 1;
        do {
            calls = 0;
            was_short = false;
            short_nth = nth;
            short_sticky = sticky != 0;
            rig *t = rig_open("sqlite");
            stored_fill(t);
            rig_restart(t);
            stored_check(t);
            rig_close(t);
            nth += sticky ? 17 : 5;
        } while (was_short);
        assert_true(nth > 20);
    }
}

static void short_reads_go_unnoticed(void **state)
{
    (void)state;
    replace("pread", (any_fn)short_pread);
    loop();
    replace("pread", NULL);
}

static void short_writes_go_unnoticed(void **state)
{
    (void)state;
    replace("pwrite", (any_fn)short_pwrite);
    loop();
    replace("pwrite", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_reads_go_unnoticed),
        cmocka_unit_test(short_writes_go_unnoticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
