/*
 * capture.h - what a program printed: the last so many bytes of it, as text.
 */
#ifndef PW_CAPTURE_H
#define PW_CAPTURE_H

#include <stdint.h>

#include "sdk/pawl_value.h"

typedef struct pw_capture {
    char *data;
    size_t size;
    size_t capacity;
    size_t bytes_max; /* of the tail that is kept */
    bool truncated;   /* something before it was dropped */
    uint64_t seen;    /* bytes in all */
} pw_capture;

void pw_capture_init(pw_capture *capture, size_t bytes_max);
void pw_capture_deinit(pw_capture *capture);
void pw_capture_put(pw_capture *capture, const void *data, size_t size);
/** The tail as a string: bytes that are no UTF-8, and NUL, become U+FFFD. NULL when out of memory. */
const pawl_value *pw_capture_text(pw_capture *capture, pawl_scope *scope);
/** The tail as bytes, as they came. NULL when out of memory. */
const pawl_value *pw_capture_bytes(pw_capture *capture, pawl_scope *scope);
/** The last line that is not empty, cut to fit, made printable. */
void pw_capture_last_line(const pw_capture *capture, char *ret, size_t ret_size);

/** Copies text into ret (3 * size bytes at most are used), bytes that are no UTF-8 and NUL replaced. Returns the size. */
size_t pw_text_clean(char *ret, const char *text, size_t size);

#endif
