/*
 * bench_json.c - (j) JSON to msgpack on a message of 6 KB, as a tools/list answer is; raw = jansson on the same text.
 * Does not judge: no figure fails a build.
 */
#include <stdio.h>
#include <string.h>

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#include "sdk/base/json.h"
#include "tests/bench/bench.h"

static void make_message(pw_buf *text)
{
    pw_buf_puts(text, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[");
    for (int i = 0; text->size < 6000; i++) {
        pw_buf_printf(
            text,
            "%s{\"name\":\"deploy_service_%d\",\"title\":\"Deploy a service\",\"description\":\"Builds, tests and deploys one service of "
            "the platform to an environment; asks a person before production.\",\"inputSchema\":{\"type\":\"object\",\"properties\":{"
            "\"service\":{\"type\":\"string\",\"minLength\":1},\"environment\":{\"type\":\"string\",\"enum\":[\"dev\",\"stage\",\"prod\"]},"
            "\"replicas\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":%d},\"budget\":{\"type\":\"number\",\"default\":12.5}},"
            "\"required\":[\"service\",\"environment\"]},\"annotations\":{\"readOnlyHint\":false,\"idempotentHint\":true}}",
            i > 0 ? "," : "", i, 10 + i);
    }
    pw_buf_puts(text, "]}}");
}

static double jansson_rate(const char *text, size_t size)
{
#ifdef HAVE_JANSSON
    int64_t from = bench_ns(), times = 0;
    while (bench_ns() - from < 500000000) {
        json_error_t err;
        json_decref(json_loadb(text, size, 0, &err));
        times++;
    }
    return (double)times * (double)size / (double)(bench_ns() - from) * 1000;
#else
    (void)text;
    (void)size;
    return 0;
#endif
}

void bench_json(bool full)
{
    (void)full;
    pw_buf text = PW_BUF_INIT, out = PW_BUF_INIT, back = PW_BUF_INIT;
    pawl_error err;
    make_message(&text);
    int64_t from = bench_ns(), times = 0;
    while (bench_ns() - from < 1000000000) {
        pw_buf_reset(&out);
        if (pw_json_parse(&out, (const char *)text.data, text.size, PW_JSON_STRICT, NULL, &err) !=
            PAWL_OK) {
            return;
        }
        times++;
    }
    double parse = (double)times * (double)text.size / (double)(bench_ns() - from) * 1000;
    bench_result("j. JSON to msgpack, message of 6 KB (raw: jansson)", parse, "MB/s",
                 jansson_rate((const char *)text.data, text.size));
    from = bench_ns();
    times = 0;
    while (bench_ns() - from < 1000000000) {
        pw_buf_reset(&back);
        if (pw_json_print(&back, out.data, out.size, 0, &err) != PAWL_OK) {
            return;
        }
        times++;
    }
    bench_result("j. msgpack to JSON, the same message",
                 (double)times * (double)back.size / (double)(bench_ns() - from) * 1000, "MB/s", 0);
    pw_buf_deinit(&text);
    pw_buf_deinit(&out);
    pw_buf_deinit(&back);
}
