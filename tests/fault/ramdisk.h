/*
 * ramdisk.h - a disk in memory that can lose power, fail a sync, and refuse an operation; a VFS
 * for SQLite on top.
 *
 * Each file has two states: `live` is what reads see (the page cache), `durable` what a power cut
 * leaves. Between them stand the writes since the last sync, in order.
 *
 *   write, truncate   live at once, pending
 *   sync              pending becomes durable
 *   failed sync       each pending write becomes durable or not, by lot; none is pending any more: reads go on showing it,
 *                     and no later sync brings it to the disk
 *   power cut         ram_image: a copy with durable plus none, some, or torn parts of what is pending
 *
 * Names are "/<disk>/<file>", so that an image is opened beside the disk it was taken from.
 * Creating and deleting a file is durable at once: SQLite syncs the folder where it matters, and
 * folders are not what is tested here.
 */
#ifndef PW_RAMDISK_H
#define PW_RAMDISK_H

#include <stdbool.h>
#include <stdint.h>

#define RAM_VFS "pawl-ram"
#define RAM_DISKS 4

typedef enum ram_op {
    RAM_READ = 1,
    RAM_WRITE = 2,
    RAM_SYNC = 4,
    RAM_TRUNCATE = 8,
    RAM_OPEN = 16,
    RAM_ANY = 31
} ram_op;
/** RAM_SHORT: a WAL that seems to end early. On the database itself it is an EIO: SQLite takes a short read there for the end of
 * the file by contract, and its unix VFS never reports one before it (shortio_test.c has the real
 * thing). */
typedef enum ram_error { RAM_EIO, RAM_ENOSPC, RAM_SHORT } ram_error;
typedef enum ram_cut { RAM_DROP_ALL, RAM_SUBSET, RAM_TORN, RAM_KEEP_ALL } ram_cut;

/** Before each write, sync and truncate of a disk. */
typedef void (*ram_hook)(void *ctx, ram_op op);

/** Registers the VFS, not as the default. */
void ram_register(void);
/** Empties a disk. No connection may have it open. */
void ram_format(int disk);
/** The disk `to` becomes what a power cut of `from` leaves. Decisions come from *seed. */
void ram_image(int to, int from, ram_cut cut, uint64_t *seed);
void ram_on_io(int disk, ram_hook hook, void *ctx);
/** Every operation of open connections fails from now on, until thaw: their process is dead, and cannot even clean up. */
void ram_freeze(int disk);
void ram_thaw(int disk);

/** The nth operation (1 = the next) among `ops` fails; sticky: all after it too. nth 0 = none. Sync failures draw lots from seed. */
void ram_fail(int disk, unsigned ops, ram_error error, int64_t nth, bool sticky, uint64_t seed);
/** How many operations among the `ops` of the last ram_fail there were, and how many failed. */
int64_t ram_ops(int disk, int64_t *ret_failed);

/** XORs a byte of a file on the disk itself (live and durable). False when there is no such byte. */
bool ram_flip(int disk, const char *file, int64_t offset, uint8_t bits);
int64_t ram_size(int disk, const char *file);

uint64_t ram_random(uint64_t *seed);

#endif
