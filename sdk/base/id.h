/*
 * id.h - names people and models type: run ids, workflow names.
 */
#ifndef PW_ID_H
#define PW_ID_H

#include "sdk/base/mp.h"

/** UUIDv7 text from a time and 10 random bytes: ret holds 37 bytes. */
void pw_uuid7(char ret[37], int64_t now_ms, const uint8_t random[10]);
/** UUIDv4 text from 16 random bytes. */
void pw_uuid4(char ret[37], const uint8_t random[16]);
/** 1..PW_ID_BYTES_MAX bytes of printable ASCII, no space, quote, backslash or control. Errors: INVALID, naming the byte. */
pawl_status pw_id_check(const char *id, size_t size, pawl_error *err);
/** 1..PW_NAME_BYTES_MAX of [A-Za-z0-9_.:-], starting with a letter or underscore. Errors: INVALID. */
pawl_status pw_name_check(const char *name, size_t size, pawl_error *err);

#endif
