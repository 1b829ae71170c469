/*
 * fuzz_json.c - libFuzzer target: whatever bytes come as JSON are refused, or come back the same after a print; whatever comes as msgpack
 * is refused, or walked, canonicalised and printed. Does not know of coverage: build with -DPAWL_FUZZ=ON and clang.
 */
#include "fuzz.h"

#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/json.h"
#include "sdk/base/record.h"

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED("{\"a\":[1,2.5,\"x\",null,true],\"b\":{\"c\":\"\\u00e9\"}}"),
    SEED("\x82\xa1"
         "a\x93\x01\xcb?\xf8\0\0\0\0\0\0\xc0\xa1"
         "b\xc4\x02xy"),
    SEED("\x95\x01\x00\x05\x06\x91\x93\x14\x01\x81\xa4name\xa1x"),
    {NULL, 0},
};

static void as_json(const uint8_t *data, size_t size)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf a = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf json = PW_BUF_INIT;
    pawl_error err;
    if (pw_json_parse(&a, (const char *)data, size, PW_JSON_LENIENT, NULL, &err) != PAWL_OK) {
        return;
    }
    PW_CHECK(pw_mp_check(a.data, a.size, &err) == PAWL_OK);
    PW_CHECK(pw_json_print(&json, a.data, a.size, 0, &err) == PAWL_OK);
    PW_CHECK(pw_json_parse(&b, (const char *)json.data, json.size, PW_JSON_LENIENT, NULL, &err) ==
             PAWL_OK);
    PW_CHECK(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
}

static void as_msgpack(const uint8_t *data, size_t size)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    pw_record rec;
    pw_event ev = {0};
    if (size > 0 && pw_record_open(data, size, &rec, &err) == PAWL_OK) {
        while (pw_record_next(&rec, &ev)) {
        }
    }
    if (size == 0 || pw_mp_check(data, size, &err) != PAWL_OK) {
        return;
    }
    PW_CHECK(pw_canon(&out, data, size));
    pw_buf_reset(&out);
    PW_CHECK(pw_json_print(&out, data, size, 0, &err) == PAWL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_json(data, size);
    as_msgpack(data, size);
    return 0;
}
