/*
 * llm_kept_test.c - messages whose provider-ready bytes are kept: what is sent is the same byte for byte, whatever is kept; and the ring.
 * Not here: what the bytes are (the wires' own tests).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/kept.h"
#include "tests/llm/llm_rig.h"

enum { RING = 64 << 10 };

static pw_kept *kept_new(void **ret_block)
{
    *ret_block = calloc(1, pw_kept_bytes(RING));
    assert_non_null(*ret_block);
    return pw_kept_init(*ret_block, RING);
}

/* ---- requests ---- */

#define CALL "{'type':'tool_call','id':'c1','name':'dig','arguments':{'n':1,'where':'h\xc3\xa9re'}}"
static const char *const messages[] = {
    "{'role':'user','text':'Hi \xe2\x82\xac'}",
    "{'role':'assistant','provider':'anthropic','parts':[{'type':'reasoning','text':'Hm','raw':{'type':'thinking','thinking':'Hm',"
    "'signature':'s'}},{'type':'text','text':'I dig'}," CALL "]}",
    "{'role':'tool','parts':[{'type':'tool_result','id':'c1','name':'dig','content':{'depth':3}}]}",
    "{'role':'user','parts':[{'type':'text','text':'and this?'},{'type':'image','data':'AAEC','mime':'image/png'}]}",
    "{'role':'assistant','text':'A spade'}",
    "{'role':'user','text':'Hi \xe2\x82\xac'}", /* again */
};

static const pawl_value *request_of(pawl_scope *scope, size_t len)
{
    const pawl_value *list[PW_COUNT(messages)];
    for (size_t i = 0; i < len; i++) {
        list[i] = llm_json(scope, messages[i]);
    }
    return pawl_with(scope, llm_json(scope, "{'model':'m','system':'S','max_tokens':9}"),
                     "messages", pawl_make_array(scope, list, len));
}

static void encode(const pw_llm_endpoint *e, const pw_llm_ask *ask, pw_llm_call *call)
{
    pawl_error err;
    if (pw_llm_encode(e, ask, call, &err) != PAWL_OK) {
        fail_msg("%s: %s", pw_llm_wire_name(0), err.message);
    }
}

static const pw_llm_endpoint *endpoint_of(pawl_scope *scope, const char *wire, const char *options)
{
    pw_llm_endpoint *e = pawl_scope_alloc(scope, sizeof *e);
    pawl_error err;
    char text[400];
    (void)snprintf(text, sizeof text, "{'wire':'%s','base_url':'http://h/v1'%s}", wire, options);
    assert_int_equal(pw_llm_endpoint_read(scope, llm_json(scope, text), e, &err), PAWL_OK);
    return e;
}

static void same(const char *what, const pw_llm_call *a, const pw_llm_call *b)
{
    if (a->body.size != b->body.size || memcmp(a->body.data, b->body.data, a->body.size) != 0) {
        fail_msg("%s:\n%.*s\nis not\n%.*s", what, (int)b->body.size, (const char *)b->body.data,
                 (int)a->body.size, (const char *)a->body.data);
    }
    assert_memory_equal(a->digest, b->digest, PW_DIGEST_SIZE);
}

/* A conversation that grows, asked of every wire by turns with what the others kept: as if nothing were. */
static void what_is_sent_does_not_depend_on_what_is_kept(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    void *block = NULL;
    pw_kept *kept = kept_new(&block);
    for (size_t len = 1; len <= PW_COUNT(messages); len++) {
        const pawl_value *request = request_of(scope, len);
        for (size_t i = 0; pw_llm_wire_name(i) != NULL; i++) {
            if (strcmp(pw_llm_wire_name(i), "dapr") == 0 && len > 3) { /* it takes no images */
                continue;
            }
            const pw_llm_endpoint *e = endpoint_of(scope, pw_llm_wire_name(i), "");
            const pw_llm_ask plain = {.scope = scope, .request = request};
            const pw_llm_ask with = {.scope = scope, .request = request, .kept = kept};
            pw_llm_call calls[3];
            encode(e, &plain, &calls[0]);
            encode(e, &with, &calls[1]);
            encode(e, &with, &calls[2]);
            same(pw_llm_wire_name(i), &calls[0], &calls[1]);
            same(pw_llm_wire_name(i), &calls[0], &calls[2]);
            for (size_t k = 0; k < PW_COUNT(calls); k++) {
                pw_llm_call_deinit(&calls[k]);
            }
        }
    }
    free(block);
    pawl_scope_free(scope);
}

/* The same message for the same wire, but another provider or other options: other bytes. */
static void endpoints_that_write_otherwise_do_not_share(void **state)
{
    (void)state;
    static const char *const options[] = {"", ",'provider':'anthropic'",
                                          ",'options':{'replay_reasoning':true}",
                                          ",'options':{'system_role':'system'}"};
    pawl_scope *scope = pawl_scope_new();
    void *block = NULL;
    pw_kept *kept = kept_new(&block);
    const pawl_value *request = request_of(scope, PW_COUNT(messages));
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < PW_COUNT(options); i++) {
            const pw_llm_endpoint *e = endpoint_of(scope, "openai-compatible", options[i]);
            pw_llm_call calls[2];
            encode(e, &(pw_llm_ask){.scope = scope, .request = request}, &calls[0]);
            encode(e, &(pw_llm_ask){.scope = scope, .request = request, .kept = kept}, &calls[1]);
            same(options[i], &calls[0], &calls[1]);
            pw_llm_call_deinit(&calls[0]);
            pw_llm_call_deinit(&calls[1]);
        }
    }
    free(block);
    pawl_scope_free(scope);
}

static void a_model_that_the_endpoint_names_goes_before_the_requests(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pw_llm_endpoint *e = endpoint_of(scope, "openai-chat", "");
    const pawl_value *request = request_of(scope, 1);
    const pawl_value *other = pawl_make_str(scope, "other");
    pw_llm_call calls[2];
    encode(e, &(pw_llm_ask){.scope = scope, .request = request, .model = other}, &calls[0]);
    encode(e, &(pw_llm_ask){.scope = scope, .request = pawl_with(scope, request, "model", other)},
           &calls[1]);
    same("model", &calls[0], &calls[1]);
    assert_non_null(strstr((const char *)calls[0].body.data, "\"model\":\"other\""));
    pw_llm_call_deinit(&calls[0]);
    pw_llm_call_deinit(&calls[1]);
    pawl_scope_free(scope);
}

/* ---- the ring ---- */

static pw_view text_of(char *buf, size_t size, const char *what, int n)
{
    (void)snprintf(buf, size, "%s %d ", what, n);
    const size_t used = strlen(buf);
    memset(buf + used, 'a' + n % 26, size - used);
    return (pw_view){(const uint8_t *)buf, used + (size_t)n % (size - used)};
}

static void the_last_are_found_the_oldest_forgotten_and_none_mistaken(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    static const uint8_t families[2][PW_DIGEST_SIZE] = {{1}, {2}};
    char message[700], bytes[900];
    void *block = NULL;
    pw_kept *kept = kept_new(&block);
    int found = 0;
    for (int n = 0; n < MANY; n++) {
        pw_view got;
        uint8_t note[PW_DIGEST_SIZE], right[PW_DIGEST_SIZE];
        const uint8_t *family = families[n % 2];
        const pw_view given = text_of(bytes, sizeof bytes, "b", n);
        memset(right, n % 251, sizeof right);
        pw_kept_put(kept, family, text_of(message, sizeof message, "m", n), given, right);
        assert_true(
            pw_kept_find(kept, family, text_of(message, sizeof message, "m", n), &got, note));
        assert_false(pw_kept_find(kept, families[1 - n % 2],
                                  text_of(message, sizeof message, "m", n), &got, note));
        assert_false(n >= 1000 &&
                     pw_kept_find(kept, family, text_of(message, sizeof message, "m", n - 1000),
                                  &got, note)); /* 64 KB hold no thousand of these */
        for (int back = 0; back < 200 && back <= n; back++) {
            const pw_view asked = text_of(message, sizeof message, "m", n - back);
            if (pw_kept_find(kept, families[(n - back) % 2], asked, &got, note)) {
                const pw_view wanted = text_of(bytes, sizeof bytes, "b", n - back);
                assert_int_equal(got.size, wanted.size);
                assert_memory_equal(got.data, wanted.data, wanted.size);
                memset(right, (n - back) % 251, sizeof right);
                assert_memory_equal(note, right, sizeof right);
                found++;
            }
        }
    }
    assert_true(found > 20 * MANY);
    free(block);
}

static void what_is_too_large_is_not_kept(void **state)
{
    (void)state;
    static const uint8_t family[PW_DIGEST_SIZE];
    static char large[RING / 8 + 1];
    void *block = NULL;
    pw_kept *kept = kept_new(&block);
    pw_view got;
    uint8_t note[PW_DIGEST_SIZE];
    const pw_view big = {(const uint8_t *)large, sizeof large};
    const pw_view small = {(const uint8_t *)large, 1};
    pw_kept_put(kept, family, big, small, family);
    assert_false(pw_kept_find(kept, family, big, &got, note));
    pw_kept_put(kept, family, small, big, family);
    assert_false(pw_kept_find(kept, family, small, &got, note));
    pw_kept_put(kept, family, small, (pw_view){NULL, 0},
                family); /* a message that this wire leaves out */
    assert_true(pw_kept_find(kept, family, small, &got, note));
    assert_int_equal(got.size, 0);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_does_not_depend_on_what_is_kept),
        cmocka_unit_test(endpoints_that_write_otherwise_do_not_share),
        cmocka_unit_test(a_model_that_the_endpoint_names_goes_before_the_requests),
        cmocka_unit_test(the_last_are_found_the_oldest_forgotten_and_none_mistaken),
        cmocka_unit_test(what_is_too_large_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
