/*
 * release_file.c - see release_file.h. Plain blocking calls: activities run on pool threads. Does not know tasks but for their memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "workflows/release_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 65536, TREE_DESCRIPTORS = 32 };

const char *pw_path_join(pawl_task *task, const char *folder, const char *name)
{
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = pawl_scope_alloc(pawl_task_scope(task), size);
    if (path != NULL) {
        (void)snprintf(path, size, "%s/%s", folder, name);
    }
    return path;
}

static bool plain(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || (c == '.' && !first);
}

const char *pw_name_encode(pawl_scope *scope, const char *text)
{
    char *name = pawl_scope_alloc(scope, 3 * strlen(text) + 1);
    size_t used = 0;
    for (size_t i = 0; name != NULL && text[i] != '\0'; i++) {
        if (plain(text[i], i == 0)) {
            name[used++] = text[i];
        } else {
            used += (size_t)snprintf(name + used, 4, "%%%02X", (unsigned)(unsigned char)text[i]);
        }
    }
    return name;
}

bool pw_path_is_inside(const char *path)
{
    if (path == NULL || path[0] == '\0' || path[0] == '/') {
        return false;
    }
    for (const char *part = path; *part != '\0';) {
        const size_t size = strcspn(part, "/");
        if (size == 2 && part[0] == '.' && part[1] == '.') {
            return false;
        }
        part += part[size] == '/' ? size + 1 : size;
    }
    return true;
}

static bool close_with(int fd, bool ok)
{
    const int saved = errno;
    const bool closed = close(fd) == 0;
    if (!ok) {
        errno = saved;
    }
    return ok && closed;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t wrote = write(fd, data, size);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        data += wrote > 0 ? wrote : 0;
        size -= wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

static ssize_t read_some(int fd, char *data, size_t size)
{
    ssize_t got = 0;
    do {
        got = read(fd, data, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

bool pw_file_sha256(const char *path, char ret_hex[PW_SHA256_TEXT], int64_t *ret_size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    unsigned char digest[crypto_hash_sha256_BYTES];
    char data[CHUNK_BYTES];
    crypto_hash_sha256_state state;
    int64_t size = 0;
    ssize_t got = 0;
    crypto_hash_sha256_init(&state);
    while ((got = read_some(fd, data, sizeof data)) > 0) {
        crypto_hash_sha256_update(&state, (const unsigned char *)data, (unsigned long long)got);
        size += got;
    }
    crypto_hash_sha256_final(&state, digest);
    if (!close_with(fd, got == 0)) {
        return false;
    }
    sodium_bin2hex(ret_hex, PW_SHA256_TEXT, digest, sizeof digest);
    *ret_size = size;
    return true;
}

bool pw_folders_make(const char *path, bool whole)
{
    char part[PATH_MAX];
    const size_t size = strlen(path);
    if (size >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(part, path, size + 1);
    for (size_t i = 1; i <= size; i++) {
        if (part[i] != '/' && !(whole && part[i] == '\0')) {
            continue;
        }
        const char end = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return false;
        }
        part[i] = end;
    }
    return true;
}

static bool copy_bytes(int from, int to)
{
    char data[CHUNK_BYTES];
    ssize_t got = 0;
    while ((got = read_some(from, data, sizeof data)) > 0) {
        if (!write_all(to, data, (size_t)got)) {
            return false;
        }
    }
    return got == 0 && fsync(to) == 0;
}

bool pw_file_copy(const char *from, const char *to)
{
    struct stat st;
    const int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0) {
        return false;
    }
    const int out = fstat(in, &st) == 0 && pw_folders_make(to, false)
                        ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.st_mode & 0777)
                        : -1;
    if (out < 0) {
        return close_with(in, false);
    }
    const bool copied = close_with(out, copy_bytes(in, out));
    return close_with(in, copied);
}

bool pw_folder_sync(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && close_with(fd, fsync(fd) == 0);
}

bool pw_file_write(const char *path, const void *data, size_t size)
{
    char temporary[PATH_MAX];
    char folder[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) : 1,
                   slash != NULL ? path : ".");
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return false;
    }
    return close_with(fd, write_all(fd, data, size) && fsync(fd) == 0) &&
           rename(temporary, path) == 0 && pw_folder_sync(folder);
}

bool pw_file_read(const char *path, char *ret, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    size_t used = 0;
    ssize_t got = 0;
    while (used < size - 1 && (got = read_some(fd, ret + used, size - 1 - used)) > 0) {
        used += (size_t)got;
    }
    ret[used] = '\0';
    return close_with(fd, got >= 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

bool pw_tree_remove(const char *path)
{
    return nftw(path, remove_one, TREE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
}
