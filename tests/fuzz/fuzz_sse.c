/*
 * fuzz_sse.c - libFuzzer target: whatever bytes come as server-sent events, and however they are cut, give the same events, within the
 * bound. Does not know of HTTP.
 */
#include "fuzz.h"

#include <string.h>

#include "activities/http_sse.h"
#include "sdk/base/error.h"

#define EVENT_MAX 512

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED("event: tick\nid: 7\ndata: a\ndata:b\n\ndata: c\n\n"),
    SEED("\xef\xbb\xbf: c\r\ndata: {\"x\": 1}\r\n\r\nretry: 10\rdata\r\r"),
    {NULL, 0},
};

static bool on_event(void *user, const pw_sse_event *e)
{
    uint64_t *sum = user;
    PW_CHECK(e->size <= EVENT_MAX && e->data[e->size] == 0);
    for (size_t i = 0; i < e->size; i++) {
        *sum = *sum * 31 + (uint8_t)e->data[i];
    }
    *sum = *sum * 31 + strlen(e->type) * 7 + strlen(e->id) + 1;
    return true;
}

static uint64_t events_of(const uint8_t *data, size_t size, size_t step)
{
    pw_sse sse;
    pawl_error err;
    uint64_t sum = 0;
    pawl_status status = PAWL_OK;
    pw_sse_init(&sse, EVENT_MAX, on_event, &sum);
    for (size_t at = 0; at < size && status == PAWL_OK; at += step) {
        status = pw_sse_put(&sse, data + at, size - at < step ? size - at : step, &err);
        PW_CHECK(sse.line.capacity <= 4 * EVENT_MAX && sse.data.capacity <= 4 * EVENT_MAX);
    }
    if (status == PAWL_OK) {
        status = pw_sse_end(&sse, &err);
    }
    PW_CHECK(status == PAWL_OK || status == PAWL_LIMIT);
    pw_sse_deinit(&sse);
    return status == PAWL_OK ? sum : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t whole = events_of(data, size, size > 0 ? size : 1);
    PW_CHECK(whole == events_of(data, size, 1) && whole == events_of(data, size, 5));
    return 0;
}
