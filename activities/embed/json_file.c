/*
 * json_file.c - a file read to its end, and a path followed through msgpack without building a tree. Writes nothing and keeps nothing open.
 */
#include "activities/embed/json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/error.h"
#include "sdk/base/json.h"

#define STEP_BYTES 65536u
#define PATH_BYTES_MAX 4096u

static pawl_status read_to_end(int fd, const char *name, pw_buf *bytes, pawl_error *err)
{
    for (;;) {
        if (!pw_buf_reserve(bytes, 1)) {
            return bytes->full ? pw_err(err, PAWL_LIMIT, "%s is larger than %zu bytes", name,
                                        bytes->bytes_max - 1)
                               : pw_err(err, PAWL_NOMEM, "no memory for %s", name);
        }
        const ssize_t n = read(fd, bytes->data + bytes->size, bytes->capacity - bytes->size);
        if (n == 0) {
            return PAWL_OK;
        }
        if (n < 0 && errno != EINTR) {
            return pw_err(err, PAWL_IO, "%s: %s", name, strerror(errno));
        }
        bytes->size += n > 0 ? (size_t)n : 0;
    }
}

pawl_status pw_model_file_read(const char *folder, const char *name, size_t bytes_max,
                               pw_buf *bytes, pawl_error *err)
{
    char path[PATH_BYTES_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) {
        return pw_err(err, PAWL_LIMIT, "the path of %s is too long", name);
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return pw_err(err, errno == ENOENT ? PAWL_NOTFOUND : PAWL_IO, "%s: %s", path,
                      strerror(errno));
    }
    bytes->bytes_max = bytes_max + 1; /* one more tells a file of that size from a larger one */
    const pawl_status status =
        pw_buf_reserve(bytes, STEP_BYTES < bytes_max ? STEP_BYTES : bytes_max)
            ? read_to_end(fd, name, bytes, err)
            : pw_err(err, PAWL_NOMEM, "no memory for %s", name);
    (void)close(fd);
    return status;
}

pawl_status pw_json_file_read(const char *folder, const char *name, size_t bytes_max, pw_buf *value,
                              pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pawl_status status = pw_model_file_read(folder, name, bytes_max, &text, err);
    if (status == PAWL_OK) {
        status =
            pw_json_parse(value, (const char *)text.data, text.size, PW_JSON_STRICT, NULL, err);
        status = status == PAWL_OK ? status : pw_error_wrap(err, status, "%s", name);
    }
    return status;
}

/* Into one element by its key or index. */
static bool step_into(pw_mp *r, const char *key, size_t size)
{
    const pawl_type type = pw_mp_peek(r);
    if (type == PAWL_MAP) {
        for (size_t left = pw_mp_read_map(r); left > 0; left--) {
            const pw_view name = pw_mp_read_str(r);
            if (name.size == size && memcmp(name.data, key, size) == 0) {
                return pw_mp_ok(r);
            }
            pw_mp_skip(r);
        }
        return false;
    }
    const size_t index = type == PAWL_ARRAY ? (size_t)strtoul(key, NULL, 10) : 0;
    if (type != PAWL_ARRAY || index >= pw_mp_read_array(r)) {
        return false;
    }
    for (size_t i = 0; i < index; i++) {
        pw_mp_skip(r);
    }
    return pw_mp_ok(r);
}

bool pw_json_find(pw_mp value, const char *path, pw_mp *ret_at)
{
    while (*path != 0) {
        const size_t size = strcspn(path, ".");
        if (!step_into(&value, path, size)) {
            return false;
        }
        path += size + (path[size] == '.' ? 1 : 0);
    }
    *ret_at = value;
    return pw_mp_ok(&value);
}

pw_view pw_json_text(pw_mp value, const char *path)
{
    pw_mp at;
    const bool is = pw_json_find(value, path, &at) && pw_mp_peek(&at) == PAWL_STRING;
    return is ? pw_mp_read_str(&at) : (pw_view){NULL, 0};
}

int64_t pw_json_int(pw_mp value, const char *path, int64_t otherwise)
{
    pw_mp at;
    const bool is = pw_json_find(value, path, &at) && pw_mp_peek(&at) == PAWL_INT;
    return is ? pw_mp_read_int(&at) : otherwise;
}

double pw_json_num(pw_mp value, const char *path, double otherwise)
{
    pw_mp at;
    const bool found = pw_json_find(value, path, &at);
    const pawl_type type = found ? pw_mp_peek(&at) : PAWL_NIL;
    return type == PAWL_DOUBLE || type == PAWL_INT ? pw_mp_read_double(&at) : otherwise;
}

bool pw_json_bool(pw_mp value, const char *path, bool otherwise)
{
    pw_mp at;
    const bool is = pw_json_find(value, path, &at) && pw_mp_peek(&at) == PAWL_BOOL;
    return is ? pw_mp_read_bool(&at) : otherwise;
}

bool pw_json_is(pw_mp value, const char *path, const char *text)
{
    return pw_view_is(pw_json_text(value, path), text);
}
