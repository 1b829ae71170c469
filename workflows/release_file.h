/*
 * release_file.h - files as the release's steps need them: every write is complete and on disk before its name appears.
 *
 * Functions answer true, or false with errno set.
 */
#ifndef PW_RELEASE_FILE_H
#define PW_RELEASE_FILE_H

#include <stdint.h>

#include "sdk/pawl_activity.h"

#define PW_SHA256_TEXT 65 /* 64 hex digits and NUL */

/** "a/b"; NULL when out of memory. Owns: the task. */
const char *pw_path_join(pawl_task *task, const char *folder, const char *name);
/** Text as one part of a path: all but letters, digits, '.', '_', '-' become %XX, a leading '.' too. NULL when out of memory. */
const char *pw_name_encode(pawl_scope *scope, const char *text);
/** True if a path stays below the folder it is joined to: relative, no "..", not empty. */
bool pw_path_is_inside(const char *path);
bool pw_file_sha256(const char *path, char ret_hex[PW_SHA256_TEXT], int64_t *ret_size);
/** Makes the folders of a path, and the last part too when whole. */
bool pw_folders_make(const char *path, bool whole);
/** Copies content and permissions; synced. The folders of to are made. */
bool pw_file_copy(const char *from, const char *to);
/** Writes a file under a temporary name beside it, syncs, renames, syncs the folder. */
bool pw_file_write(const char *path, const void *data, size_t size);
/** The file's content as a NUL-terminated text of at most size - 1 bytes. */
bool pw_file_read(const char *path, char *ret, size_t size);
bool pw_folder_sync(const char *path);
/** Removes a folder and everything in it; true if there is none. Symbolic links are not followed. */
bool pw_tree_remove(const char *path);

#endif
