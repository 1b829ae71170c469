/*
 * json_file.h - the small JSON files of a model, read as msgpack, and looking into them by path.
 */
#ifndef PW_EMBED_JSON_FILE_H
#define PW_EMBED_JSON_FILE_H

#include "sdk/base/mp.h"

/** Reads a whole file into an empty buffer. Errors: NOTFOUND, LIMIT (larger than bytes_max), NOMEM, IO. */
pawl_status pw_model_file_read(const char *folder, const char *name, size_t bytes_max,
                               pw_buf *bytes, pawl_error *err) PAWL_MUST_USE;
/** The same, parsed: JSON of at most bytes_max becomes one msgpack value. Errors: and PARSE. */
pawl_status pw_json_file_read(const char *folder, const char *name, size_t bytes_max, pw_buf *value,
                              pawl_error *err) PAWL_MUST_USE;

/** Finds "a.b.0" in a value: true and a reader that stands before it. */
bool pw_json_find(pw_mp value, const char *path, pw_mp *ret_at);
/** What is there if it is of that type, else `otherwise`. */
pw_view pw_json_text(pw_mp value, const char *path);
int64_t pw_json_int(pw_mp value, const char *path, int64_t otherwise);
double pw_json_num(pw_mp value, const char *path, double otherwise);
bool pw_json_bool(pw_mp value, const char *path, bool otherwise);
bool pw_json_is(pw_mp value, const char *path, const char *text);

#endif
