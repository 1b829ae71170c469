/*
 * ballast.c - 16 MiB beside the journal that are given up when the disk is full, so that pause and
 * cancel still work.
 *
 * The file is allocated in an idle second, not at opening: a short-lived process never pays for
 * it. Taking it back needs twice its size free. Does not touch the journal file.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "journal/sqlite.h"

static bool room_for_it(const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0) {
        return false;
    }
    return (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize >= 2ull * PW_BALLAST_BYTES;
}

static bool take_back(const char *journal, const char *path)
{
    struct stat s;
    if (stat(path, &s) == 0 && s.st_size >= (off_t)PW_BALLAST_BYTES) {
        return true;
    }
    if (!room_for_it(journal)) {
        return false;
    }
    int fd = pw_place_open_beside(path, journal);
    if (fd < 0) {
        return false;
    }
    bool ok = fallocate(fd, 0, 0, (off_t)PW_BALLAST_BYTES) == 0;
    close(fd);
    if (!ok) {
        unlink(
            path); /* a file system that cannot promise room: a ballast of holes would be a lie */
    }
    return ok;
}

bool pw_sqlite_ballast(pw_journal *base, bool release)
{
    pw_sqlite *j = pw_sqlite_of(base);
    char path[PATH_MAX];
    if (j->env.bare || pw_place_beside(j->path, ".ballast", path, NULL) != PAWL_OK) {
        return false;
    }
    return release ? unlink(path) == 0 : take_back(j->path, path);
}
