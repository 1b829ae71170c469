/*
 * crumb.c - the breadcrumb: a mapped file that says whose code runs in this process.
 *
 * Shared mapping: what is stored there survives SIGKILL without a sync, because the page belongs
 * to the kernel. A power cut may lose it, and may: it only counts crashes of code. A site is
 * written by its own thread, read by the watchdog without a lock: `turn` is odd while it is being
 * written, so a reader that saw it odd or changed says "nobody". A task's slot is claimed by -1 in
 * `run`, and counts once its run stands there.
 *
 * What the last owner left is read, and stays in the file until pw_crumb_own: up to then the page is
 * a private copy. An engine that only looks (a query, `pawl replay` of code that is to be deployed)
 * so leaves nothing, however it ends, and loses nothing of what has still to be counted. The mapping
 * goes with its last user: a thread of the pool may outlive the engine. Does not create anything
 * when the path is NULL.
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
#include "sdk/base/mem.h"

#define CRUMB_MAGIC 0x626d726332777061u /* "apw2crmb" */
#define SITE_WORDS (PW_CRUMB_SITE_BYTES / 8)

typedef struct site {
    _Atomic uint64_t turn; /* odd: being written */
    _Atomic int64_t run;   /* 0 = nobody in there */
    _Atomic int64_t since_ns;
    _Atomic uint64_t
        text[SITE_WORDS]; /* ends with a NUL; what stands behind it is of another time */
} site;

typedef struct task_slot {
    _Atomic int64_t run; /* 0 = free, -1 = being written */
    _Atomic int64_t cmd;
    _Atomic int64_t item;
    _Atomic int64_t attempt;
} task_slot;

typedef struct page {
    uint64_t magic;
    uint64_t mapped; /* 1 = a file, 2 = anonymous memory */
    site sites[PW_CRUMB_SITES];
    task_slot tasks[PW_CRUMB_TASKS_MAX];
} page;

#define CRUMB_BYTES ((sizeof(page) + 4095) / 4096 * 4096)

struct pw_crumb {
    _Atomic(page *) page; /* the draft, then the file's */
    page *draft;          /* a private copy; stays to the end: somebody may be looking at it */
    int fd; /* of the file as long as the page is the draft; -1 = it is the file's, or there is none */
    atomic_int refs;    /* the owner's, and one for each attempt that runs */
    atomic_bool closed; /* the file may be another owner's by now */
};

static page *page_of(const pw_crumb *c)
{
    return atomic_load_explicit(&c->page, memory_order_acquire);
}

static void clear(page *p, bool in_file)
{
    memset(p, 0, CRUMB_BYTES);
    p->magic = CRUMB_MAGIC;
    p->mapped = in_file ? 1 : 2;
}

static void get_text(const site *s, char text[PW_CRUMB_SITE_BYTES])
{
    for (size_t i = 0; i < SITE_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&s->text[i], memory_order_relaxed);
        memcpy(text + 8 * i, &word, 8);
    }
    text[PW_CRUMB_SITE_BYTES - 1] = '\0';
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
    int fd = pw_place_open_beside(path, real);
    struct stat s;
    bool ok = fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    /* blocks, not a hole: a store into a hole on a full disk is a SIGBUS */
    int code = ok ? posix_fallocate(fd, 0, (off_t)CRUMB_BYTES) : errno;
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

static void take_found(const page *p, pw_crumb_found *found)
{
    memset(found, 0, sizeof(*found));
    if (p->magic != CRUMB_MAGIC) {
        return;
    }
    found->run = atomic_load(&p->sites[PW_CRUMB_LOOP].run);
    get_text(&p->sites[PW_CRUMB_LOOP], found->site);
    found->tx_run = atomic_load(&p->sites[PW_CRUMB_JOURNAL].run);
    get_text(&p->sites[PW_CRUMB_JOURNAL], found->tx_site);
    for (size_t i = 0; i < PW_CRUMB_TASKS_MAX; i++) {
        const task_slot *t = &p->tasks[i];
        int64_t run = atomic_load(&t->run);
        if (run > 0) {
            found->tasks[found->tasks_len++] = (pw_crumb_task){
                run, atomic_load(&t->cmd), atomic_load(&t->item), atomic_load(&t->attempt)};
        }
    }
}

static pawl_status map_page(const char *journal_path, page **ret_page, int *ret_fd, pawl_error *err)
{
    int fd = -1;
    if (journal_path != NULL) {
        pawl_status st = open_file(journal_path, &fd, err);
        if (st != PAWL_OK) {
            return st;
        }
    }
    const int flags = MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);
    void *p = mmap(NULL, CRUMB_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == MAP_FAILED) {
        int code = errno;
        if (fd >= 0) {
            close(fd);
        }
        return pw_err(err, PAWL_NOMEM, "mapping the breadcrumb: %s", strerror(code));
    }
    *ret_page = p;
    *ret_fd = fd;
    return PAWL_OK;
}

pawl_status pw_crumb_open(const char *journal_path, pw_crumb **ret_crumb, pw_crumb_found *ret_found,
                          pawl_error *err)
{
    page *p = NULL;
    pw_crumb *c = pw_calloc(1, sizeof(*c));
    if (c == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pawl_status st = map_page(journal_path, &p, &c->fd, err);
    if (p == NULL) {
        pw_free(c);
        return st;
    }
    take_found(p, ret_found);
    clear(p, journal_path != NULL);
    c->draft = p;
    atomic_init(&c->page, p);
    atomic_init(&c->refs, 1);
    atomic_init(&c->closed, false);
    *ret_crumb = c;
    return PAWL_OK;
}

pawl_status pw_crumb_own(pw_crumb *c, pawl_error *err)
{
    if (c == NULL || c->fd < 0) {
        return PAWL_OK;
    }
    /* At a place of its own, and not over the draft: the watchdog may be reading that. */
    void *p = mmap(NULL, CRUMB_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    if (p == MAP_FAILED) {
        return pw_err(err, PAWL_NOMEM, "mapping the breadcrumb: %s", strerror(errno));
    }
    clear(p, true);
    atomic_store_explicit(&c->page, p, memory_order_release);
    close(c->fd);
    c->fd = -1;
    return PAWL_OK;
}

void pw_crumb_enter(pw_crumb *c, int slot, int64_t run, const char *where, int64_t since_ns)
{
    site *s = &page_of(c)->sites[slot];
    size_t size = strnlen(where, PW_CRUMB_SITE_BYTES - 1);
    atomic_fetch_add_explicit(&s->turn, 1, memory_order_acquire);
    for (size_t i = 0; i <= size / 8; i++) { /* as far as the text goes, and its end */
        uint64_t word = 0;
        if (i < size / 8) {
            memcpy(&word, where + 8 * i, 8);
        } else {
            memcpy(&word, where + 8 * i, size % 8);
        }
        atomic_store_explicit(&s->text[i], word, memory_order_relaxed);
    }
    atomic_store_explicit(&s->since_ns, since_ns, memory_order_relaxed);
    atomic_store_explicit(&s->run, run, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->turn, 1, memory_order_release);
}

void pw_crumb_leave(pw_crumb *c, int slot)
{
    atomic_store_explicit(&page_of(c)->sites[slot].run, 0, memory_order_release);
}

int64_t pw_crumb_peek(const pw_crumb *c, int slot, int64_t *ret_since_ns,
                      char where[PW_CRUMB_SITE_BYTES])
{
    const site *s = &page_of(c)->sites[slot];
    uint64_t before = atomic_load_explicit(&s->turn, memory_order_acquire);
    int64_t run = atomic_load_explicit(&s->run, memory_order_relaxed);
    int64_t since = atomic_load_explicit(&s->since_ns, memory_order_relaxed);
    get_text(s, where);
    atomic_thread_fence(memory_order_acquire);
    uint64_t after = atomic_load_explicit(&s->turn, memory_order_relaxed);
    if ((before & 1) != 0 || before != after || run == 0) {
        where[0] = '\0';
        return 0;
    }
    *ret_since_ns = since;
    return run;
}

/* ---- attempts ---- */

static int claim(page *p)
{
    for (int i = 0; i < PW_CRUMB_TASKS_MAX; i++) {
        int64_t none = 0;
        if (atomic_load_explicit(&p->tasks[i].run, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&p->tasks[i].run, &none, -1)) {
            return i;
        }
    }
    return -1;
}

int pw_crumb_task_begin(pw_crumb *c, const pw_crumb_task *task)
{
    page *p = page_of(c);
    int slot = claim(p);
    if (slot < 0) {
        return -1;
    }
    task_slot *t = &p->tasks[slot];
    atomic_fetch_add(&c->refs, 1);
    atomic_store_explicit(&t->cmd, task->cmd, memory_order_relaxed);
    atomic_store_explicit(&t->item, task->item, memory_order_relaxed);
    atomic_store_explicit(&t->attempt, task->attempt, memory_order_relaxed);
    atomic_store_explicit(&t->run, task->run, memory_order_release);
    return slot;
}

static void unref(pw_crumb *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1) {
        page *p = page_of(c);
        munmap(p, CRUMB_BYTES);
        if (p != c->draft) {
            munmap(c->draft, CRUMB_BYTES);
        }
        pw_free(c);
    }
}

void pw_crumb_task_end(pw_crumb *c, int slot)
{
    if (slot < 0) {
        return;
    }
    if (!atomic_load(&c->closed)) {
        atomic_store_explicit(&page_of(c)->tasks[slot].run, 0, memory_order_release);
    }
    unref(c);
}

/* ---- the end ---- */

void pw_crumb_close(pw_crumb *c, bool clean)
{
    if (c == NULL) {
        return;
    }
    atomic_store(&c->closed, true);
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    for (int i = 0; clean && i < PW_CRUMB_SITES; i++) {
        pw_crumb_leave(c, i);
    }
    for (int i = 0; clean && i < PW_CRUMB_TASKS_MAX; i++) {
        atomic_store(&page_of(c)->tasks[i].run, 0);
    }
    unref(c);
}
