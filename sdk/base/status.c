/*
 * status.c - names and texts of statuses, and filling errors. The table is status.def; the enum in pawl_value.h is proved equal to it.
 * Does not print and does not allocate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/error.h"

#define X(name, lower, number, retry, text) \
    _Static_assert(PAWL_##name == (number), "status.def and pawl_value.h agree on " #name);
#include "sdk/base/status.def"
#undef X

const char *pawl_status_name(pawl_status status)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
#define X(name, lower, number, retry, text) {number, #lower},
#include "sdk/base/status.def"
#undef X
    };
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        if (names[i].number == (int)status) {
            return names[i].name;
        }
    }
    return "?";
}

const char *pawl_status_text(pawl_status status)
{
    switch ((int)status) {
#define X(name, lower, number, retry, text) \
    case number:                            \
        return text;
#include "sdk/base/status.def"
#undef X
    default:
        return "an unknown status";
    }
}

pawl_status pw_error_set(pawl_error *err, pawl_status status, const char *file, int line,
                         const char *fmt, ...)
{
    if (err == NULL) {
        return status;
    }
    err->status = status;
    err->file = file;
    err->line = line;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return status;
}

pawl_status pw_error_wrap(pawl_error *err, pawl_status status, const char *fmt, ...)
{
    if (err == NULL) {
        return status;
    }
    char context[sizeof err->message];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    char inner[sizeof err->message];
    memcpy(inner, err->message, sizeof inner);
    inner[sizeof inner - 1] = 0;
    size_t used = strnlen(context, sizeof context);
    size_t room = sizeof err->message - 1 - used;
    memcpy(err->message, context, used);
    size_t sep = room < 2 ? room : 2;
    memcpy(err->message + used, ": ", sep);
    size_t tail = strlen(inner) < room - sep ? strlen(inner) : room - sep;
    memcpy(err->message + used + sep, inner, tail);
    err->message[used + sep + tail] = 0;
    return status;
}

_Noreturn void pw_check_failed(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "pawl: a broken invariant at %s:%d: %s\n", file, line, what);
    abort();
}
