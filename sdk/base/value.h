/*
 * value.h - the inside of pawl_value: a view of msgpack bytes that knows its scope.
 */
#ifndef PW_VALUE_H
#define PW_VALUE_H

#include <stdarg.h>

#include "sdk/base/mp.h"

struct pawl_value {
    const uint8_t *data;
    size_t size;
    pawl_scope *scope; /* where getters put their NUL-terminated copies */
};

/** A value over bytes that outlive the scope (or live in it). Not copied, not checked. */
const pawl_value *pw_value_view(pawl_scope *scope, const void *data, size_t size);
/** A value over a copy. Not checked. nil bytes give NULL. */
const pawl_value *pw_value_copy(pawl_scope *scope, const void *data, size_t size);
/** pawl_vbuild, and why it made none: INVALID (the template, with its column) or LIMIT in err, which stays OK otherwise. */
const pawl_value *pw_vbuild(pawl_scope *scope, const char *fmt, va_list args, pawl_error *err);
pw_view pw_value_bytes(const pawl_value *v); /* one byte 0xc0 for NULL */

#endif
