/*
 * wal_mark.c - noting how far the WAL is synced, and cutting off the rest.
 *
 * Reaches the WAL through SQLite's own file handle, so nothing of ours opens the file. The numbers
 * are those of SQLite's WAL format (sqlite.org/fileformat2.html, "The Write-Ahead Log"): header of
 * 32 bytes, page size at 8, salts at 16; frames of 24 bytes and a page.
 *
 * Rejected: writing the tail's bytes anew and syncing them, so that an unknown group is made to
 * land. It writes over nothing but the tail as well, but a power cut then still leaves the outcome
 * open, and cutting is simpler to be sure of.
 */
#include "journal/wal_mark.h"

#include <string.h>

#define WAL_HEADER_BYTES 32
#define FRAME_HEADER_BYTES 24

static sqlite3_file *wal_of(pw_db *db)
{
    sqlite3_file *wal = NULL;
    int rc = sqlite3_file_control(db->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    return rc == SQLITE_OK && wal != NULL && wal->pMethods != NULL ? wal : NULL;
}

void pw_wal_mark_set(pw_wal_mark *mark, pw_db *db, int frames)
{
    sqlite3_file *wal = wal_of(db);
    mark->known = 0;
    if (wal != NULL &&
        wal->pMethods->xRead(wal, mark->salts, sizeof(mark->salts), 16) == SQLITE_OK) {
        mark->frames = (uint32_t)frames;
        mark->known = 1;
    }
}

void pw_wal_mark_empty(pw_wal_mark *mark)
{
    *mark = (pw_wal_mark){.known = 1}; /* salts of zeros are no generation's */
}

/** Where the acked part ends; *ret_end unchanged when there is nothing to cut. */
static int find_end(const pw_wal_mark *mark, sqlite3_file *wal, sqlite3_int64 *ret_end)
{
    uint8_t header[WAL_HEADER_BYTES];
    sqlite3_int64 size = 0;
    int rc = wal->pMethods->xFileSize(wal, &size);
    if (rc != SQLITE_OK || size == 0) {
        return rc;
    }
    if (size < WAL_HEADER_BYTES) {
        *ret_end = 0;
        return SQLITE_OK;
    }
    rc = wal->pMethods->xRead(wal, header, sizeof(header), 0);
    if (rc != SQLITE_OK) {
        return rc;
    }
    uint32_t page = (uint32_t)header[8] << 24 | (uint32_t)header[9] << 16 |
                    (uint32_t)header[10] << 8 | header[11];
    bool same = memcmp(header + 16, mark->salts, sizeof(mark->salts)) == 0;
    /* another generation: its first commit was not acked, and all before it is in the database */
    sqlite3_int64 end =
        same ? WAL_HEADER_BYTES + (sqlite3_int64)mark->frames * (FRAME_HEADER_BYTES + page) : 0;
    *ret_end = end < size ? end : *ret_end;
    return SQLITE_OK;
}

pawl_status pw_wal_mark_cut(const pw_wal_mark *mark, pw_db *db, pawl_error *err)
{
    pawl_status st = pw_db_exec(db, "BEGIN IMMEDIATE", err);
    if (st != PAWL_OK) {
        return st;
    }
    sqlite3_file *wal = wal_of(db);
    sqlite3_int64 end = -1;
    int rc = SQLITE_OK;
    if (wal != NULL && mark->known) {
        rc = find_end(mark, wal, &end);
    }
    if (rc == SQLITE_OK && end >= 0) {
        rc = wal->pMethods->xTruncate(wal, end);
        rc = rc == SQLITE_OK ? wal->pMethods->xSync(wal, SQLITE_SYNC_FULL) : rc;
    }
    st = rc == SQLITE_OK ? PAWL_OK : pw_db_error(db, rc, "cutting off what was never acked", err);
    (void)pw_db_exec(db, "ROLLBACK", NULL);
    return st;
}
