/*
 * ramdisk.c - the disk and its VFS. One thread; locks are kept so that several connections behave
 * as on a real file.
 *
 * Does not model reordering across files beyond what losing any subset of pending writes gives,
 * nor firmware that lies about a sync. A frozen disk refuses everything, so that a dead process'
 * connection can be freed without a trace.
 */
#include "tests/fault/ramdisk.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 8
#define SHM_REGIONS_MAX 8
#define SECTOR 512

typedef struct bytes {
    uint8_t *data;
    int64_t size;
    int64_t capacity;
} bytes;

typedef struct change {
    int64_t offset;
    int64_t size; /* of data; -1: a truncation to offset */
    uint8_t *data;
} change;

typedef struct ram_file {
    char name[80];
    bytes live;
    bytes durable;
    change *pending;
    int pending_len;
    int pending_capacity;
    int shared;   /* connections with at least SHARED */
    int reserved; /* one of them has RESERVED or more */
    int exclusive;
    void *shm[SHM_REGIONS_MAX];
    int shm_shared[SQLITE_SHM_NLOCK];
    int shm_exclusive[SQLITE_SHM_NLOCK];
    int shm_users;
} ram_file;

typedef struct ram_disk {
    ram_file *files[FILES_MAX];
    ram_hook hook;
    void *hook_ctx;
    bool frozen;
    unsigned fail_ops;
    ram_error fail_error;
    int64_t fail_nth;
    bool fail_sticky;
    uint64_t fail_seed;
    int64_t ops;
    int64_t failed;
} ram_disk;

typedef struct ram_handle {
    sqlite3_file base;
    ram_disk *disk;
    ram_file *file;
    bool anonymous;
    int lock;
    unsigned shm_held_shared;
    unsigned shm_held_exclusive;
    bool shm_user;
} ram_handle;

static ram_disk disks[RAM_DISKS];

uint64_t ram_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- bytes ---- */

static void bytes_resize(bytes *b, int64_t size)
{
    if (size > b->capacity) {
        int64_t capacity = b->capacity > 0 ? b->capacity : 4096;
        while (capacity < size) {
            capacity *= 2;
        }
        b->data = realloc(b->data, (size_t)capacity);
        if (b->data == NULL) {
            abort();
        }
        b->capacity = capacity;
    }
    if (size > b->size) {
        memset(b->data + b->size, 0, (size_t)(size - b->size));
    }
    b->size = size;
}

static void bytes_write(bytes *b, int64_t offset, const uint8_t *data, int64_t size)
{
    if (offset + size > b->size) {
        bytes_resize(b, offset + size);
    }
    memcpy(b->data + offset, data, (size_t)size);
}

static void bytes_copy(bytes *to, const bytes *from)
{
    bytes_resize(to, from->size);
    if (from->size > 0) {
        memcpy(to->data, from->data, (size_t)from->size);
    }
}

static void change_apply(bytes *b, const change *c)
{
    if (c->size < 0) {
        bytes_resize(b, c->offset);
    } else {
        bytes_write(b, c->offset, c->data, c->size);
    }
}

/* ---- files ---- */

static void pending_clear(ram_file *f)
{
    for (int i = 0; i < f->pending_len; i++) {
        free(f->pending[i].data);
    }
    f->pending_len = 0;
}

static void pending_add(ram_file *f, int64_t offset, const void *data, int64_t size)
{
    if (f->pending_len == f->pending_capacity) {
        f->pending_capacity = f->pending_capacity > 0 ? f->pending_capacity * 2 : 32;
        f->pending = realloc(f->pending, (size_t)f->pending_capacity * sizeof(change));
        if (f->pending == NULL) {
            abort();
        }
    }
    change *c = &f->pending[f->pending_len++];
    *c = (change){offset, size, NULL};
    if (size > 0) {
        c->data = malloc((size_t)size);
        if (c->data == NULL) {
            abort();
        }
        memcpy(c->data, data, (size_t)size);
    }
}

static void shm_free(ram_file *f)
{
    for (int i = 0; i < SHM_REGIONS_MAX; i++) {
        free(f->shm[i]);
        f->shm[i] = NULL;
    }
    f->shm_users = 0;
    memset(f->shm_shared, 0, sizeof(f->shm_shared));
    memset(f->shm_exclusive, 0, sizeof(f->shm_exclusive));
}

static void file_free(ram_file *f)
{
    if (f == NULL) {
        return;
    }
    pending_clear(f);
    shm_free(f);
    free(f->pending);
    free(f->live.data);
    free(f->durable.data);
    free(f);
}

static ram_file *file_find(ram_disk *d, const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (d->files[i] != NULL && strcmp(d->files[i]->name, name) == 0) {
            return d->files[i];
        }
    }
    return NULL;
}

static ram_file *file_make(ram_disk *d, const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (d->files[i] == NULL) {
            ram_file *f = calloc(1, sizeof(*f));
            if (f == NULL) {
                abort();
            }
            snprintf(f->name, sizeof(f->name), "%s", name);
            d->files[i] = f;
            return f;
        }
    }
    abort();
}

/** "/2/x" is file "x" on disk 2. */
static ram_disk *disk_of(const char *path, const char **ret_name)
{
    if (path == NULL || path[0] != '/' || path[1] < '0' || path[1] >= '0' + RAM_DISKS ||
        path[2] != '/') {
        return NULL;
    }
    *ret_name = path + 3;
    return &disks[path[1] - '0'];
}

void ram_format(int disk)
{
    for (int i = 0; i < FILES_MAX; i++) {
        file_free(disks[disk].files[i]);
    }
    memset(&disks[disk], 0, sizeof(disks[disk]));
}

void ram_on_io(int disk, ram_hook hook, void *ctx)
{
    disks[disk].hook = hook;
    disks[disk].hook_ctx = ctx;
}

void ram_freeze(int disk)
{
    disks[disk].frozen = true;
}

void ram_thaw(int disk)
{
    disks[disk].frozen = false;
}

bool ram_flip(int disk, const char *file, int64_t offset, uint8_t bits)
{
    ram_file *f = file_find(&disks[disk], file);
    if (f == NULL || offset >= f->live.size || offset >= f->durable.size) {
        return false;
    }
    f->live.data[offset] ^= bits;
    f->durable.data[offset] ^= bits;
    return true;
}

int64_t ram_size(int disk, const char *file)
{
    ram_file *f = file_find(&disks[disk], file);
    return f != NULL ? f->live.size : -1;
}

/* ---- power cuts ---- */

/** Sector by sector: written, not written, or garbage. Only bytes of this write are touched. */
static void apply_torn(bytes *b, const change *c, uint64_t *seed)
{
    int64_t at = 0;
    while (at < c->size) {
        int64_t end = (c->offset + at) / SECTOR * SECTOR + SECTOR - c->offset;
        int64_t size = (end < c->size ? end : c->size) - at;
        uint64_t lot = ram_random(seed) % 20;
        if (lot < 9) {
            bytes_write(b, c->offset + at, c->data + at, size);
        } else if (lot < 11) {
            uint8_t junk[SECTOR];
            for (int64_t i = 0; i < size; i++) {
                junk[i] = (uint8_t)ram_random(seed);
            }
            bytes_write(b, c->offset + at, junk, size);
        }
        at += size;
    }
}

static void image_file(bytes *to, const ram_file *f, ram_cut cut, uint64_t *seed)
{
    bytes_copy(to, &f->durable);
    for (int i = 0; cut != RAM_DROP_ALL && i < f->pending_len; i++) {
        const change *c = &f->pending[i];
        if (cut == RAM_TORN && c->size > 0) {
            apply_torn(to, c, seed);
        } else if (cut == RAM_KEEP_ALL || (ram_random(seed) & 1) != 0) {
            change_apply(to, c);
        }
    }
}

void ram_image(int to, int from, ram_cut cut, uint64_t *seed)
{
    ram_disk *d = &disks[to];
    for (int i = 0; i < FILES_MAX; i++) {
        ram_file *f = disks[from].files[i];
        if (f == NULL) {
            file_free(d->files[i]);
            d->files[i] = NULL;
            continue;
        }
        if (d->files[i] == NULL) {
            d->files[i] = calloc(1, sizeof(ram_file));
            if (d->files[i] == NULL) {
                abort();
            }
        }
        ram_file *t = d->files[i];
        pending_clear(t);
        shm_free(t);
        t->shared = t->reserved = t->exclusive = 0;
        snprintf(t->name, sizeof(t->name), "%s", f->name);
        image_file(&t->live, f, cut, seed);
        bytes_copy(&t->durable, &t->live);
    }
}

/* ---- faults ---- */

void ram_fail(int disk, unsigned ops, ram_error error, int64_t nth, bool sticky, uint64_t seed)
{
    ram_disk *d = &disks[disk];
    d->fail_ops = ops;
    d->fail_error = error;
    d->fail_nth = nth;
    d->fail_sticky = sticky;
    d->fail_seed = seed;
    d->ops = 0;
    d->failed = 0;
}

int64_t ram_ops(int disk, int64_t *ret_failed)
{
    if (ret_failed != NULL) {
        *ret_failed = disks[disk].failed;
    }
    return disks[disk].ops;
}

/** Calls the hook, then tells whether this operation is to fail. */
static bool fails(ram_disk *d, ram_op op)
{
    if (d->hook != NULL && op != RAM_READ && op != RAM_OPEN && !d->frozen) {
        d->hook(d->hook_ctx, op);
    }
    if (d->frozen) {
        return true;
    }
    if ((d->fail_ops & (unsigned)op) == 0) {
        return false;
    }
    d->ops++;
    bool failed =
        d->fail_nth > 0 && (d->ops == d->fail_nth || (d->fail_sticky && d->ops > d->fail_nth));
    d->failed += failed ? 1 : 0;
    return failed;
}

/* ---- the VFS: files ---- */

static int file_close(sqlite3_file *base)
{
    ram_handle *h = (ram_handle *)base;
    h->base.pMethods->xUnlock(base, SQLITE_LOCK_NONE);
    if (h->anonymous) {
        file_free(h->file);
    }
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *data, int size, sqlite3_int64 offset)
{
    ram_handle *h = (ram_handle *)base;
    bool short_read = false;
    if (fails(h->disk, RAM_READ)) {
        if (h->disk->frozen || h->disk->fail_error != RAM_SHORT ||
            strstr(h->file->name, "-wal") == NULL) {
            return SQLITE_IOERR_READ;
        }
        short_read = true;
    }
    int64_t there = h->file->live.size - offset;
    int64_t got = there < 0 ? 0 : there < size ? there : size;
    if (short_read) {
        got /= 2;
    }
    if (got > 0) {
        memcpy(data, h->file->live.data + offset, (size_t)got);
    }
    if (got < size) {
        memset((uint8_t *)data + got, 0, (size_t)(size - got));
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset)
{
    ram_handle *h = (ram_handle *)base;
    int keep = size;
    bool failed = fails(h->disk, RAM_WRITE);
    if (failed) {
        if (h->disk->frozen) {
            return SQLITE_IOERR_WRITE;
        }
        keep = (int)(ram_random(&h->disk->fail_seed) %
                     (uint64_t)(size + 1)); /* a part may have been written */
        keep = keep == size ? size - 1 : keep;
    }
    if (keep > 0) {
        bytes_write(&h->file->live, offset, data, keep);
        pending_add(h->file, offset, data, keep);
    }
    if (failed) {
        return h->disk->fail_error == RAM_ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    ram_handle *h = (ram_handle *)base;
    if (fails(h->disk, RAM_TRUNCATE)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    bytes_resize(&h->file->live, size);
    pending_add(h->file, size, NULL, -1);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
    ram_handle *h = (ram_handle *)base;
    (void)flags;
    bool failed = fails(h->disk, RAM_SYNC);
    if (h->disk->frozen) {
        return SQLITE_IOERR_FSYNC;
    }
    for (int i = 0; i < h->file->pending_len; i++) {
        if (!failed || (ram_random(&h->disk->fail_seed) & 1) != 0) {
            change_apply(&h->file->durable, &h->file->pending[i]);
        }
    }
    pending_clear(h->file);
    return failed ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    *ret = ((ram_handle *)base)->file->live.size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level)
{
    ram_handle *h = (ram_handle *)base;
    ram_file *f = h->file;
    if (level <= h->lock) {
        return SQLITE_OK;
    }
    if (h->lock == SQLITE_LOCK_NONE) {
        if (f->exclusive) {
            return SQLITE_BUSY;
        }
        f->shared++;
        h->lock = SQLITE_LOCK_SHARED;
    }
    if (level >= SQLITE_LOCK_RESERVED && h->lock < SQLITE_LOCK_RESERVED) {
        if (f->reserved) {
            return SQLITE_BUSY;
        }
        f->reserved = 1;
        h->lock = SQLITE_LOCK_RESERVED;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE) {
        if (f->shared > 1) {
            return SQLITE_BUSY;
        }
        f->exclusive = 1;
        h->lock = SQLITE_LOCK_EXCLUSIVE;
    }
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level)
{
    ram_handle *h = (ram_handle *)base;
    ram_file *f = h->file;
    if (level >= h->lock) {
        return SQLITE_OK;
    }
    if (h->lock == SQLITE_LOCK_EXCLUSIVE) {
        f->exclusive = 0;
    }
    if (h->lock >= SQLITE_LOCK_RESERVED) {
        f->reserved = 0;
    }
    if (level == SQLITE_LOCK_NONE) {
        f->shared--;
    }
    h->lock = level;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *ret)
{
    *ret = ((ram_handle *)base)->file->reserved;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
    (void)base;
    return SECTOR;
}

static int file_traits(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as SQLite's unix VFS claims */
}

/* ---- the VFS: the WAL's index ---- */

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **ret)
{
    ram_handle *h = (ram_handle *)base;
    if (region >= SHM_REGIONS_MAX) {
        abort();
    }
    if (!h->shm_user) {
        h->shm_user = true;
        h->file->shm_users++;
    }
    if (h->file->shm[region] == NULL && extend) {
        h->file->shm[region] = calloc(1, (size_t)size);
        if (h->file->shm[region] == NULL) {
            return SQLITE_NOMEM;
        }
    }
    *ret = h->file->shm[region];
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *base, int first, int count, int flags)
{
    ram_handle *h = (ram_handle *)base;
    ram_file *f = h->file;
    for (int i = first; (flags & SQLITE_SHM_LOCK) != 0 && i < first + count; i++) {
        bool mine = (h->shm_held_shared >> i & 1) != 0;
        bool blocked = f->shm_exclusive[i] ||
                       ((flags & SQLITE_SHM_EXCLUSIVE) != 0 && f->shm_shared[i] > (mine ? 1 : 0));
        if (blocked) {
            return SQLITE_BUSY;
        }
    }
    for (int i = first; i < first + count; i++) {
        unsigned bit = 1u << i;
        if ((flags & SQLITE_SHM_UNLOCK) != 0) {
            f->shm_shared[i] -= (h->shm_held_shared & bit) != 0 ? 1 : 0;
            f->shm_exclusive[i] -= (h->shm_held_exclusive & bit) != 0 ? 1 : 0;
            h->shm_held_shared &= ~bit;
            h->shm_held_exclusive &= ~bit;
        } else if ((flags & SQLITE_SHM_EXCLUSIVE) != 0) {
            f->shm_exclusive[i]++;
            h->shm_held_exclusive |= bit;
        } else if ((h->shm_held_shared & bit) == 0) {
            f->shm_shared[i]++;
            h->shm_held_shared |= bit;
        }
    }
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base)
{
    (void)base;
}

static int shm_unmap(sqlite3_file *base, int delete_it)
{
    ram_handle *h = (ram_handle *)base;
    (void)delete_it;
    (void)shm_lock(base, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK);
    if (h->shm_user) {
        h->shm_user = false;
        if (--h->file->shm_users == 0) {
            shm_free(
                h->file); /* the first to open it next starts an empty one, as on a real file */
        }
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the VFS itself ---- */

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
                    int *ret_flags)
{
    ram_handle *h = (ram_handle *)base;
    const char *name = NULL;
    (void)vfs;
    memset(h, 0, sizeof(*h));
    if (path == NULL) {
        h->disk = &disks[RAM_DISKS - 1];
        h->file = calloc(1, sizeof(ram_file));
        h->anonymous = true;
        h->base.pMethods = h->file != NULL ? &methods : NULL;
        return h->file != NULL ? SQLITE_OK : SQLITE_NOMEM;
    }
    h->disk = disk_of(path, &name);
    if (h->disk == NULL || fails(h->disk, RAM_OPEN)) {
        return SQLITE_CANTOPEN;
    }
    h->file = file_find(h->disk, name);
    if (h->file == NULL && (flags & SQLITE_OPEN_CREATE) == 0) {
        return SQLITE_CANTOPEN;
    }
    if (h->file == NULL) {
        h->file = file_make(h->disk, name);
    }
    h->base.pMethods = &methods;
    if (ret_flags != NULL) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    const char *name = NULL;
    ram_disk *d = disk_of(path, &name);
    (void)vfs;
    (void)sync_folder;
    if (d == NULL || d->frozen) {
        return SQLITE_IOERR_DELETE;
    }
    for (int i = 0; i < FILES_MAX; i++) {
        if (d->files[i] != NULL && strcmp(d->files[i]->name, name) == 0) {
            file_free(d->files[i]);
            d->files[i] = NULL;
            return SQLITE_OK;
        }
    }
    return SQLITE_IOERR_DELETE_NOENT;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
    const char *name = NULL;
    ram_disk *d = disk_of(path, &name);
    ram_file *f = d != NULL ? file_find(d, name) : NULL;
    (void)vfs;
    (void)flags;
    *ret = f != NULL && (flags != SQLITE_ACCESS_EXISTS || f->live.size > 0) ? 1 : 0;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *ret)
{
    (void)vfs;
    snprintf(ret, (size_t)size, "%s", path);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int size, char *ret)
{
    (void)vfs;
    memset(ret, 7, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us; /* nobody else runs meanwhile */
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
    (void)vfs;
    *ret = 210866760000000;
    return SQLITE_OK;
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *ret)
{
    (void)vfs;
    (void)size;
    (void)ret;
    return 0;
}

void ram_register(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .szOsFile = sizeof(ram_handle),
        .mxPathname = 64,
        .zName = RAM_VFS,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xGetLastError = vfs_error,
        .xCurrentTimeInt64 = vfs_time,
    };
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) {
        abort();
    }
}
