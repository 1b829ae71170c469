/*
 * crumb.c - the breadcrumb: one mapped page that says whose code holds the loop.
 *
 * Shared mapping: what is stored there survives SIGKILL without a sync, because the page belongs
 * to the kernel. A power cut may lose it, and may: it only counts crashes of code. Written by the
 * loop thread, read by the watchdog without a lock: `turn` is odd while the site is being written,
 * so a reader that saw it odd or changed says "nobody".
 *
 * Beside the page that this owner writes lies nothing: what the last owner left is read before it
 * is cleared. Does not create anything when the path is NULL.
 */
#include "journal/crumb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/place.h"

#define CRUMB_MAGIC 0x626d726331777061u /* "apw1crmb" */
#define CRUMB_BYTES 4096

struct pw_crumb {
    uint64_t magic;
    _Atomic uint64_t turn; /* odd: being written */
    _Atomic int64_t run;   /* 0 = nobody in there */
    _Atomic int64_t since_ns;
    _Atomic uint64_t site[8]; /* text, NUL-padded */
    uint64_t mapped;          /* 1 = a file, 2 = anonymous memory */
};

static void get_site(const pw_crumb *c, char site[64])
{
    for (size_t i = 0; i < 8; i++) {
        uint64_t word = atomic_load_explicit(&c->site[i], memory_order_relaxed);
        memcpy(site + 8 * i, &word, 8);
    }
    site[63] = '\0';
}

static pawl_status open_file(const char *journal_path, int *ret_fd, pawl_error *err)
{
    char real[PATH_MAX];
    char path[PATH_MAX];
    pawl_status st = pw_place_resolve(journal_path, real, err);
    if (st == PAWL_OK) {
        st = pw_place_beside(real, ".crumb", path, err);
    }
    if (st != PAWL_OK) {
        return st;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat s;
    bool ok = fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    /* blocks, not a hole: a store into a hole on a full disk is a SIGBUS */
    int code = ok ? posix_fallocate(fd, 0, CRUMB_BYTES) : errno;
    if (!ok || code != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return pw_err(err, code == ENOSPC ? PAWL_NOSPACE : PAWL_IO, "breadcrumb %s: %s", path,
                      strerror(code));
    }
    *ret_fd = fd;
    return PAWL_OK;
}

pawl_status pw_crumb_open(const char *journal_path, pw_crumb **ret_crumb, pw_crumb_found *ret_found,
                          pawl_error *err)
{
    int fd = -1;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (journal_path != NULL) {
        pawl_status st = open_file(journal_path, &fd, err);
        if (st != PAWL_OK) {
            return st;
        }
        flags = MAP_SHARED;
    }
    pw_crumb *c = mmap(NULL, CRUMB_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (c == MAP_FAILED) {
        return pw_err(err, PAWL_NOMEM, "mapping the breadcrumb: %s", strerror(errno));
    }
    pw_crumb_found found = {0};
    if (c->magic == CRUMB_MAGIC) {
        found.run = atomic_load(&c->run);
        get_site(c, found.site);
    }
    memset(c, 0, CRUMB_BYTES);
    c->magic = CRUMB_MAGIC;
    c->mapped = journal_path != NULL ? 1 : 2;
    *ret_found = found;
    *ret_crumb = c;
    return PAWL_OK;
}

void pw_crumb_enter(pw_crumb *c, int64_t run, const char *site, int64_t since_ns)
{
    char text[64] = {0};
    size_t size = strnlen(site, sizeof(text) - 1);
    memcpy(text, site, size);
    atomic_fetch_add_explicit(&c->turn, 1, memory_order_acquire);
    for (size_t i = 0; i < 8; i++) {
        uint64_t word;
        memcpy(&word, text + 8 * i, 8);
        atomic_store_explicit(&c->site[i], word, memory_order_relaxed);
    }
    atomic_store_explicit(&c->since_ns, since_ns, memory_order_relaxed);
    atomic_store_explicit(&c->run, run, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->turn, 1, memory_order_release);
}

void pw_crumb_leave(pw_crumb *c)
{
    atomic_store_explicit(&c->run, 0, memory_order_release);
}

int64_t pw_crumb_peek(const pw_crumb *c, int64_t *ret_since_ns, char site[64])
{
    uint64_t before = atomic_load_explicit(&c->turn, memory_order_acquire);
    int64_t run = atomic_load_explicit(&c->run, memory_order_relaxed);
    int64_t since = atomic_load_explicit(&c->since_ns, memory_order_relaxed);
    get_site(c, site);
    atomic_thread_fence(memory_order_acquire);
    uint64_t after = atomic_load_explicit(&c->turn, memory_order_relaxed);
    if ((before & 1) != 0 || before != after || run == 0) {
        site[0] = '\0';
        return 0;
    }
    *ret_since_ns = since;
    return run;
}

void pw_crumb_close(pw_crumb *c)
{
    if (c != NULL) {
        pw_crumb_leave(c);
        munmap(c, CRUMB_BYTES);
    }
}
