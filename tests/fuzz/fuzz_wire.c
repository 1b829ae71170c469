/*
 * fuzz_wire.c - libFuzzer target: what strangers send to an engine. Whatever bytes come through a socket are frames, or refused, however
 * they are cut; whatever text comes as a filter is refused with its column, or matches or does not. Opens no socket: control_test does.
 */
#include "fuzz.h"

#include <string.h>

#include "engine/filter.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/frame.h"
#include "sdk/base/record.h"

#define FRAME_MAX 4096

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED("\x00\x00\x00\x05\x93\x01\xa1x\xc0"),
    SEED("\x00\x00\x00\x01\xc0\x00\x00\x00\x02\x91\x01"),
    SEED("status = running and workflow = \"release\" and (id ~ \"nightly-*\" or created > -1h)"),
    SEED("not (parent = a or reason ~ '*x?y*') and closed <= 2026-01-31T10:00:00Z"),
    {NULL, 0},
};

/* The frames of a stream that arrives in pieces of `step` bytes: how many, and a sum over their bytes. */
static uint64_t frames_of(const uint8_t *data, size_t size, size_t step)
{
    pw_frames frames;
    pawl_error err;
    pw_view frame;
    uint64_t sum = 0;
    pawl_status st = PAWL_OK;
    pw_frames_init(&frames, FRAME_MAX);
    for (size_t at = 0; at < size && st != PAWL_LIMIT; at += step) {
        size_t n = size - at < step ? size - at : step;
        PW_CHECK(pw_frames_put(&frames, data + at, n, &err) == PAWL_OK);
        while ((st = pw_frames_next(&frames, &frame, &err)) == PAWL_OK) {
            PW_CHECK(frame.size <= FRAME_MAX);
            sum = sum * 31 + 1;
            for (size_t i = 0; i < frame.size; i++) {
                sum = sum * 31 + frame.data[i];
            }
            (void)pw_mp_check(frame.data, frame.size, &err);
        }
    }
    pw_frames_deinit(&frames);
    return sum;
}

static void as_filter(const uint8_t *data, size_t size)
{
    static const int64_t keys[] = {1, 7};
    pawl_scope *scope = pawl_scope_new();
    PW_CHECK(scope != NULL);
    const char *text = pw_strndup(scope, (const char *)data, strnlen((const char *)data, size));
    pw_filter *f;
    pawl_error err;
    PW_CHECK(text != NULL);
    if (pw_filter_parse(scope, text, 1767225600000, &f, &err) == PAWL_OK) {
        for (size_t i = 0; pw_filter_parent(f, i) != NULL; i++) {
            pw_filter_bind_parent(f, i, keys, 2);
        }
        pw_run_row row = {.key = 7,
                          .id = {(const uint8_t *)"nightly-7", 9},
                          .workflow = {(const uint8_t *)"release", 7},
                          .version = {(const uint8_t *)"1", 1},
                          .status = PW_RUN_RUNNING,
                          .created_ms = 1767225500000};
        (void)pw_filter_match(f, &row);
        (void)pw_filter_open_only(f);
        PW_CHECK(pw_filter_id_prefix(f) != NULL);
    } else {
        PW_CHECK(err.message[0] != 0);
    }
    pawl_scope_free(scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole = frames_of(data, size, size > 0 ? size : 1);
    PW_CHECK(whole == frames_of(data, size, 1) && whole == frames_of(data, size, 3));
    as_filter(data, size);
    return 0;
}
