/*
 * fuzz_relay.c - libFuzzer target: the frames that a worker of another machine sends. Whatever its bytes, however they are cut, nothing but task_*
 * passes, a poll never leaves the bounds of its token, and a stranger gets nothing past hello. Opens no socket: remote_hostile_test does.
 */
#include "fuzz.h"

#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/frame.h"
#include "sdk/base/value.h"
#include "tools/relay_vet.h"

#define FRAME_MAX 4096

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED("\x00\x00\x00\x28\x94\x01\x02\xa9task_poll\x82\xaa"
         "activities\x91\xa3job\xa6queues\x91\xa3gpu"),
    SEED("\x00\x00\x00\x2b\x94\x01\x02\xa9task_poll\x82\xaa"
         "activities\x91\x81\xa4name\xa3job\xa6queues\x90"),
    SEED("\x00\x00\x00\x1c\x94\x01\x03\xa9task_done\x82\xa5token\xa1x\xa6result\x01"),
    SEED("\x00\x00\x00\x11\x94\x01\x01\xa5hello\x81\xa5token\xa1x"),
    SEED("\x00\x00\x00\x10\x94\x01\x04\xa9terminate\x81\xa2id\xa1r"),
    {NULL, 0},
};

static void poll_is_within(pw_view message, const pw_token_grant *grant)
{
    int64_t number = 0;
    pw_view op;
    pw_view args;
    pawl_error err;
    pawl_scope *scope = pawl_scope_new();
    PW_CHECK(scope != NULL);
    PW_CHECK(pw_request_parse(message, &number, &op, &args, &err) == PAWL_OK);
    const pawl_value *v = pw_value_view(scope, args.data, args.size);
    const pawl_value *names = pawl_get(v, "activities");
    const pawl_value *queues = pawl_get(v, "queues");
    PW_CHECK(pawl_typeof(names) == PAWL_ARRAY && pawl_len(queues) > 0);
    for (size_t i = 0; i < pawl_len(names); i++) {
        const pawl_value *item = pawl_at(names, i);
        const char *name =
            pawl_typeof(item) == PAWL_STRING ? pawl_str(item, "", "") : pawl_str(item, "name", "");
        PW_CHECK(pw_token_grant_activity(grant, name));
    }
    for (size_t i = 0; i < pawl_len(queues); i++) {
        PW_CHECK(pawl_is(pawl_at(queues, i), "", "gpu"));
    }
    pawl_scope_free(scope);
}

static void vet(pw_view frame, const pw_token_grant *grant)
{
    pw_vet v = {.space = PW_BUF_INIT};
    pw_vet_verdict verdict = pw_relay_vet(frame, grant, &v);
    if (verdict == PW_VET_PASS) {
        PW_CHECK(grant != NULL && v.number > 0 && v.out.size > 0);
        PW_CHECK(strncmp(pw_req_name(v.op), "task_", 5) == 0);
        if (v.op == PW_REQ_TASK_POLL) {
            poll_is_within(v.out, grant);
        }
        (void)pw_relay_text(v.args, "token");
    } else if (verdict == PW_VET_HELLO) {
        (void)pw_relay_text(v.args, "token");
        (void)pw_relay_text(v.args, "session");
    } else {
        PW_CHECK(v.status != PAWL_OK && v.err.message[0] != 0);
    }
    pw_buf_deinit(&v.space);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pawl_scope *scope = pawl_scope_new();
    pw_frames frames;
    pw_view frame;
    pawl_error err;
    PW_CHECK(scope != NULL);
    const pw_token_grant grant = {.id = "0123456789abcdef",
                                  .name = "t",
                                  .queues = pawl_build(scope, "[%s]", "gpu"),
                                  .activities = pawl_build(scope, "[%s, %s]", "job", "em*")};
    const size_t step = size > 0 ? 1 + data[0] % 7u : 1;
    pawl_status st = PAWL_OK;
    pw_frames_init(&frames, FRAME_MAX);
    for (size_t at = 0; at < size && st != PAWL_LIMIT; at += step) {
        size_t n = size - at < step ? size - at : step;
        PW_CHECK(pw_frames_put(&frames, data + at, n, &err) == PAWL_OK);
        while ((st = pw_frames_next(&frames, &frame, &err)) == PAWL_OK) {
            vet(frame, &grant);
            vet(frame, NULL);
        }
    }
    pw_frames_deinit(&frames);
    vet((pw_view){data, size},
        &grant); /* and as one message, of which a mutation more often is one */
    if (size > PW_FRAME_HEAD_BYTES) {
        vet((pw_view){data + PW_FRAME_HEAD_BYTES, size - PW_FRAME_HEAD_BYTES}, &grant);
    }
    pawl_scope_free(scope);
    return 0;
}
