/*
 * fuzz_wordpiece.c - libFuzzer target: any bytes have an encoding within its bounds, the same when it is cut shorter; any bytes as a tokenizer's file
 * are read or refused. Does not know the right ids: tests/embed does.
 */
#include "fuzz.h"

#include <string.h>

#include "activities/embed/wordpiece.h"
#include "sdk/base/error.h"

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED("Tun unaffable\xc3\xa9 [MASK] \xe4\xb8\xad\xea\xb0\x80 a\xc2\xad!"),
    SEED("L[CLS]\n[SEP]\n[UNK]\na\n##b\n\xc3\xa9\n"),
    SEED(
        "J{\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, \"lowercase\": true},"
        "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, \"added_tokens\": [{\"id\": 1, \"content\": \"[CLS]\"}],"
        "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 2], \"cls\": [\"[CLS]\", 1]},"
        "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\","
        "\"vocab\": {\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2, \"a\": 3}}}"),
    SEED(
        "J{\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": false, \"handle_chinese_chars\": true,"
        " \"strip_accents\": false, \"lowercase\": false},"
        "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, \"added_tokens\": [],"
        "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 2], \"cls\": [\"[CLS]\", 1]},"
        "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\","
        "\"vocab\": {\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2, \"A\": 3}}}"),
    {NULL, 0},
};

#define LIST \
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\na\nb\n##b\ne\n\xe4\xb8\xad\n!\n[\n"
#define IDS_MAX 64

static void encode(const pw_wordpiece *t, const uint8_t *text, size_t size)
{
    uint32_t all[IDS_MAX], few[8];
    for (int plain = 0; plain < 2; plain++) {
        const pw_encoding a = pw_wordpiece_encode(t, (pw_view){text, size}, plain, all, IDS_MAX);
        const pw_encoding f =
            pw_wordpiece_encode(t, (pw_view){text, size}, plain, few, PW_COUNT(few));
        PW_CHECK(a.total == f.total && a.total <= 3 * (uint64_t)size + 2);
        PW_CHECK(a.len == (a.total < IDS_MAX ? a.total : IDS_MAX));
        PW_CHECK(f.len == (f.total < PW_COUNT(few) ? f.total : PW_COUNT(few)));
        PW_CHECK(memcmp(all, few, (f.len - 1) * sizeof *few) == 0 &&
                 all[a.len - 1] == few[f.len - 1]);
        for (uint32_t i = 0; i < a.len; i++) {
            PW_CHECK(all[i] < t->pieces.ids_end);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pw_wordpiece *t = NULL;
    pawl_error err;
    const char kind = size > 0 ? (char)data[0] : 'T';
    const char *rest = size > 0 ? (const char *)data + 1 : "";
    const size_t left = size > 0 ? size - 1 : 0;
    pawl_status status = PAWL_OK;
    if (kind == 'J') {
        status = pw_wordpiece_of_json(rest, left, &t, &err);
    } else if (kind == 'L') {
        status = pw_wordpiece_of_list(rest, left, NULL, &t, &err);
    } else {
        status = pw_wordpiece_of_list(LIST, sizeof LIST - 1, NULL, &t, &err);
        PW_CHECK(status == PAWL_OK);
    }
    if (status == PAWL_OK) {
        encode(t, (const uint8_t *)rest, left);
    }
    pw_wordpiece_close(t);
    return 0;
}
