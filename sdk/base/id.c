/*
 * id.c - UUID texts, and which names are allowed.
 * Does not make random bytes: the caller brings them.
 */
#include "sdk/base/id.h"

#include <stdio.h>
#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"

static void print_uuid(char ret[37], const uint8_t b[16])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            ret[at++] = '-';
        }
        ret[at++] = hex[b[i] >> 4];
        ret[at++] = hex[b[i] & 15];
    }
    ret[at] = 0;
}

void pw_uuid7(char ret[37], int64_t now_ms, const uint8_t random[10])
{
    uint8_t b[16];
    for (int i = 0; i < 6; i++) {
        b[i] = (uint8_t)((uint64_t)now_ms >> (40 - 8 * i));
    }
    memcpy(b + 6, random, 10);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x70);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    print_uuid(ret, b);
}

void pw_uuid4(char ret[37], const uint8_t random[16])
{
    uint8_t b[16];
    memcpy(b, random, 16);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    print_uuid(ret, b);
}

pawl_status pw_id_check(const char *id, size_t size, pawl_error *err)
{
    if (size == 0 || size > PW_ID_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "an id has 1 to %d bytes, not %zu", PW_ID_BYTES_MAX, size);
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)id[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\') {
            return pw_err(
                err, PAWL_INVALID,
                "byte %zu of an id is 0x%02x; use printable ASCII without spaces, quotes and backslashes",
                i + 1, c);
        }
    }
    return PAWL_OK;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_byte(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '-';
}

pawl_status pw_name_check(const char *name, size_t size, pawl_error *err)
{
    if (size == 0 || size > PW_NAME_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "a name has 1 to %d bytes, not %zu", PW_NAME_BYTES_MAX,
                      size);
    }
    for (size_t i = 0; i < size; i++) {
        if (i == 0 ? !is_letter(name[0]) : !is_name_byte(name[i])) {
            return pw_err(
                err, PAWL_INVALID,
                "byte %zu of a name is 0x%02x; names are letters, digits and _ . : - and start with a letter",
                i + 1, (unsigned char)name[i]);
        }
    }
    return PAWL_OK;
}
