/*
 * wordpiece_read.c - a tokenizer out of tokenizer.json or vocab.txt. What it finds there and cannot do is refused by name, never ignored: a
 * tokenizer that is nearly right gives vectors that are quietly wrong. Truncation and padding of the file are not read: they belong to whoever encodes.
 */
#include "activities/embed/json_file.h"
#include "activities/embed/wordpiece.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"

#define PREFIX "##"

static pawl_status add_piece(pw_wordpiece *t, pw_view text, uint64_t id, pawl_error *err)
{
    pawl_status status = id < PW_PIECES_MAX ? PAWL_OK : PAWL_LIMIT;
    const size_t prefix = sizeof PREFIX - 1;
    if (status == PAWL_OK) {
        status = pw_vocabulary_add(&t->pieces, false, text.data, text.size, (uint32_t)id);
    }
    if (status == PAWL_OK && text.size > prefix && memcmp(text.data, PREFIX, prefix) == 0) {
        status = pw_vocabulary_add(&t->pieces, true, text.data + prefix, text.size - prefix,
                                   (uint32_t)id);
    }
    return status == PAWL_OK ? PAWL_OK
                             : pw_err(err, status, "the piece numbered %llu cannot be kept",
                                      (unsigned long long)id);
}

static uint32_t id_of(const pw_wordpiece *t, pw_view text)
{
    uint64_t hash = PW_HASH_WORD;
    for (size_t i = 0; i < text.size; i++) {
        hash = pw_piece_hash(hash, text.data[i]);
    }
    return t->pieces.slots == NULL || text.size == 0 || text.size > PW_PIECE_BYTES_MAX
               ? PW_PIECE_NONE
               : pw_vocabulary_find(&t->pieces, hash, text.data, pw_piece_span(text.size, false));
}

static uint32_t id_of_name(const pw_wordpiece *t, const char *name)
{
    return id_of(t, (pw_view){(const uint8_t *)name, strlen(name)});
}

static pawl_status finish(pw_wordpiece *t, pawl_error *err)
{
    if (t->cls == PW_PIECE_NONE || t->sep == PW_PIECE_NONE || t->unk == PW_PIECE_NONE) {
        return pw_err(err, PAWL_PARSE, "the vocabulary lacks the piece %s",
                      t->cls == PW_PIECE_NONE   ? "that begins a text"
                      : t->sep == PW_PIECE_NONE ? "that ends a text"
                                                : "for unknown words");
    }
    t->usual_ends = t->cls == id_of_name(t, "[CLS]") && t->sep == id_of_name(t, "[SEP]") &&
                    t->unk == id_of_name(t, "[UNK]");
    pw_wordpiece_ready(t);
    return PAWL_OK;
}

/* ---- tokenizer.json ---- */

static bool has_bool(pw_mp json, const char *path)
{
    pw_mp at;
    return pw_json_find(json, path, &at) && pw_mp_peek(&at) == PAWL_BOOL;
}

static pawl_status check_kinds(pw_mp json, pawl_error *err)
{
    const char *what =
        !pw_json_is(json, "model.type", "WordPiece") ? "its model is not WordPiece"
        : !pw_json_is(json, "model.continuing_subword_prefix", PREFIX) ? "its prefix is not " PREFIX
        : !pw_json_is(json, "normalizer.type", "BertNormalizer")
            ? "its normalizer is not BertNormalizer"
        : !pw_json_is(json, "pre_tokenizer.type", "BertPreTokenizer")
            ? "its pre_tokenizer is not BertPreTokenizer"
        : !has_bool(json, "normalizer.lowercase") || !has_bool(json, "normalizer.clean_text") ||
                !has_bool(json, "normalizer.handle_chinese_chars")
            ? "its normalizer does not say all of lowercase, clean_text, handle_chinese_chars"
            : NULL;
    return what == NULL
               ? PAWL_OK
               : pw_err(err, PAWL_UNSUPPORTED, "this tokenizer is not supported: %s", what);
}

/* Accents that the file says nothing of go with the upper case, as in the reference. */
static pw_normal read_normal(pw_mp json)
{
    const bool lower = pw_json_bool(json, "normalizer.lowercase", true);
    return (pw_normal){.clean = pw_json_bool(json, "normalizer.clean_text", true),
                       .chinese = pw_json_bool(json, "normalizer.handle_chinese_chars", true),
                       .strip = pw_json_bool(json, "normalizer.strip_accents", lower),
                       .lower = lower};
}

static pawl_status read_pieces(pw_wordpiece *t, pw_mp json, pawl_error *err)
{
    pw_mp at;
    if (!pw_json_find(json, "model.vocab", &at) || pw_mp_peek(&at) != PAWL_MAP) {
        return pw_err(err, PAWL_PARSE, "no model.vocab");
    }
    pawl_status status = PAWL_OK;
    for (size_t left = pw_mp_read_map(&at); left > 0 && status == PAWL_OK; left--) {
        const pw_view text = pw_mp_read_str(&at);
        const bool number = pw_mp_peek(&at) == PAWL_INT;
        const int64_t id = number ? pw_mp_read_int(&at) : -1;
        status = id >= 0 ? add_piece(t, text, (uint64_t)id, err)
                         : pw_err(err, PAWL_PARSE, "model.vocab has a piece without a number");
    }
    return status;
}

static pawl_status read_special(pw_wordpiece *t, pw_mp token, pawl_error *err)
{
    const pw_view text = pw_json_text(token, "content");
    const int64_t id = pw_json_int(token, "id", -1);
    if (text.size == 0 || id < 0 || id >= (int64_t)PW_PIECES_MAX) {
        return pw_err(err, PAWL_PARSE, "added_tokens has one without content or id");
    }
    if (pw_json_bool(token, "single_word", false) || pw_json_bool(token, "normalized", false)) {
        return pw_err(err, PAWL_UNSUPPORTED,
                      "an added token is looked for in words or in normalised text");
    }
    const uint32_t there = id_of(t, text);
    if (there != PW_PIECE_NONE && there != (uint32_t)id) {
        return pw_err(err, PAWL_PARSE, "added_tokens numbers one otherwise than model.vocab");
    }
    const pawl_status status = pw_wordpiece_special(t, text.data, text.size, (uint32_t)id);
    return status == PAWL_OK ? add_piece(t, text, (uint64_t)id, err)
                             : pw_err(err, status, "too many added tokens");
}

static pawl_status read_specials(pw_wordpiece *t, pw_mp json, pawl_error *err)
{
    pw_mp at;
    pawl_status status = PAWL_OK;
    const bool any = pw_json_find(json, "added_tokens", &at) && pw_mp_peek(&at) == PAWL_ARRAY;
    for (size_t left = any ? pw_mp_read_array(&at) : 0; left > 0 && status == PAWL_OK; left--) {
        const pw_view token = pw_mp_read_raw(&at);
        status = read_special(t, pw_mp_reader(token.data, token.size), err);
    }
    return status;
}

/* Under a key that may have any bytes in it. */
static bool find_key(pw_mp map, pw_view key, pw_mp *ret_at)
{
    for (size_t left = pw_mp_peek(&map) == PAWL_MAP ? pw_mp_read_map(&map) : 0; left > 0; left--) {
        const pw_view name = pw_mp_read_str(&map);
        if (name.size == key.size && memcmp(name.data, key.data, key.size) == 0) {
            *ret_at = map;
            return true;
        }
        pw_mp_skip(&map);
    }
    return false;
}

/* The number that a template's token has there: -1, or that of several tokens, is none. */
static int64_t number_of(pw_mp json, pw_view name)
{
    pw_mp tokens, token, ids;
    const bool one = pw_json_find(json, "post_processor.special_tokens", &tokens) &&
                     find_key(tokens, name, &token) && pw_json_find(token, "ids", &ids) &&
                     pw_mp_peek(&ids) == PAWL_ARRAY && pw_mp_read_array(&ids) == 1;
    return one && pw_mp_peek(&ids) == PAWL_INT ? pw_mp_read_int(&ids) : -1;
}

/* A token at an end of a text: by its name, which must have that number in the vocabulary, too. */
static pawl_status take_end(const pw_wordpiece *t, pw_view name, int64_t number, uint32_t *ret_id,
                            pawl_error *err)
{
    *ret_id = id_of(t, name);
    return *ret_id == PW_PIECE_NONE || number == (int64_t)*ret_id
               ? PAWL_OK
               : pw_err(err, PAWL_PARSE,
                        "its post_processor numbers %.*s otherwise than model.vocab",
                        (int)(name.size < 60 ? name.size : 60), (const char *)name.data);
}

/* One token, the text, one token, all of the first kind. */
static bool is_template(pw_mp json)
{
    pw_mp single;
    return pw_json_is(json, "post_processor.type", "TemplateProcessing") &&
           pw_json_find(json, "post_processor.single", &single) &&
           pw_mp_peek(&single) == PAWL_ARRAY && pw_mp_read_array(&single) == 3 &&
           pw_json_is(json, "post_processor.single.1.Sequence.id", "A") &&
           pw_json_int(json, "post_processor.single.0.SpecialToken.type_id", 0) == 0 &&
           pw_json_int(json, "post_processor.single.1.Sequence.type_id", 0) == 0 &&
           pw_json_int(json, "post_processor.single.2.SpecialToken.type_id", 0) == 0;
}

/* What stands before and after a text. */
static pawl_status read_ends(pw_wordpiece *t, pw_mp json, pawl_error *err)
{
    const bool bert = pw_json_is(json, "post_processor.type", "BertProcessing");
    if (!bert && !is_template(json)) {
        return pw_err(err, PAWL_UNSUPPORTED,
                      "its post_processor does not put one token before a text and one after it");
    }
    const pw_view cls = pw_json_text(json, bert ? "post_processor.cls.0"
                                                : "post_processor.single.0.SpecialToken.id"),
                  sep = pw_json_text(json, bert ? "post_processor.sep.0"
                                                : "post_processor.single.2.SpecialToken.id");
    const int64_t first =
                      bert ? pw_json_int(json, "post_processor.cls.1", -1) : number_of(json, cls),
                  last =
                      bert ? pw_json_int(json, "post_processor.sep.1", -1) : number_of(json, sep);
    const pawl_status status = take_end(t, cls, first, &t->cls, err);
    return status == PAWL_OK ? take_end(t, sep, last, &t->sep, err) : status;
}

static pawl_status read_json(pw_wordpiece *t, pw_mp json, pawl_error *err)
{
    const int64_t chars = pw_json_int(json, "model.max_input_chars_per_word", 100);
    if (chars < 1 || chars > (int64_t)PW_WORD_CHARS_MAX) {
        return pw_err(err, PAWL_LIMIT, "max_input_chars_per_word is %lld, %u allowed",
                      (long long)chars, PW_WORD_CHARS_MAX);
    }
    t->word_chars_max = (uint32_t)chars;
    pawl_status status = check_kinds(json, err);
    t->normal = read_normal(json);
    status = status == PAWL_OK ? read_pieces(t, json, err) : status;
    status = status == PAWL_OK ? read_specials(t, json, err) : status;
    status = status == PAWL_OK ? read_ends(t, json, err) : status;
    t->unk = id_of(t, pw_json_text(json, "model.unk_token"));
    return status == PAWL_OK ? finish(t, err) : status;
}

static pawl_status hand_over(pw_wordpiece *t, pawl_status status, pw_wordpiece **ret_tokenizer)
{
    if (status == PAWL_OK) {
        *ret_tokenizer = t;
    } else {
        pw_wordpiece_close(t);
    }
    return status;
}

pawl_status pw_wordpiece_of_json(const char *text, size_t size, pw_wordpiece **ret_tokenizer,
                                 pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf value = PW_BUF_INIT;
    pawl_status status = pw_json_parse(&value, text, size, PW_JSON_STRICT, NULL, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_wordpiece *t = pw_wordpiece_new();
    if (t == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a tokenizer");
    }
    status = read_json(t, pw_mp_reader(value.data, value.size), err);
    return hand_over(t, status, ret_tokenizer);
}

/* ---- vocab.txt ---- */

static pawl_status read_lines(pw_wordpiece *t, const char *text, size_t size, pawl_error *err)
{
    pawl_status status = PAWL_OK;
    const char *end = text + size;
    uint64_t id = 0;
    for (const char *p = text; p < end && status == PAWL_OK; id++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop != NULL ? stop : end;
        const size_t cr = stop > p && stop[-1] == '\r' ? 1 : 0;
        const pw_view line = {(const uint8_t *)p, (size_t)(stop - p) - cr};
        status =
            pw_utf8_ok(line.data, line.size)
                ? add_piece(t, line, id, err)
                : pw_err(err, PAWL_PARSE, "line %llu is not UTF-8", (unsigned long long)id + 1);
        p = stop < end ? stop + 1 : end;
    }
    return status;
}

static pawl_status read_list(pw_wordpiece *t, const char *text, size_t size, pawl_error *err)
{
    static const char *const names[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    pawl_status status = size > 0 ? read_lines(t, text, size, err) : PAWL_OK;
    for (size_t i = 0; i < PW_COUNT(names) && status == PAWL_OK; i++) {
        const uint32_t id = id_of_name(t, names[i]);
        if (id != PW_PIECE_NONE) {
            status = pw_wordpiece_special(t, names[i], strlen(names[i]), id);
        }
    }
    t->cls = id_of_name(t, "[CLS]");
    t->sep = id_of_name(t, "[SEP]");
    t->unk = id_of_name(t, "[UNK]");
    return status == PAWL_OK ? finish(t, err) : status;
}

pawl_status pw_wordpiece_of_list(const char *text, size_t size, const pw_normal *normal,
                                 pw_wordpiece **ret_tokenizer, pawl_error *err)
{
    pw_wordpiece *t = pw_wordpiece_new();
    if (t == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a tokenizer");
    }
    t->normal = normal != NULL ? *normal : PW_NORMAL_ALL;
    return hand_over(t, read_list(t, text, size, err), ret_tokenizer);
}

/* ---- a folder ---- */

/* NULL, or what such a tokenizer does that is not done here. */
static const char *class_fault(pw_mp json)
{
    static const char *const classes[] = {"BertTokenizer",       "BertTokenizerFast",
                                          "DistilBertTokenizer", "DistilBertTokenizerFast",
                                          "ElectraTokenizer",    "ElectraTokenizerFast"};
    const pw_view said = pw_json_text(json, "tokenizer_class");
    pw_mp never;
    bool known = said.data == NULL;
    for (size_t i = 0; i < PW_COUNT(classes) && !known; i++) {
        known = pw_view_is(said, classes[i]);
    }
    return !known ? "its tokenizer_class is not BertTokenizer"
           : !pw_json_bool(json, "do_basic_tokenize", true)
               ? "it does not split at punctuation (do_basic_tokenize)"
           : pw_json_find(json, "never_split", &never) && pw_mp_peek(&never) == PAWL_ARRAY &&
                   pw_mp_read_array(&never) > 0
               ? "it has words that are never split (never_split)"
               : NULL;
}

/* The switches of a list stand in a file of their own, if it is there. */
static pawl_status read_switches(const char *folder, pw_normal *ret_normal, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf value = PW_BUF_INIT;
    *ret_normal = PW_NORMAL_ALL;
    const pawl_status status =
        pw_json_file_read(folder, "tokenizer_config.json", PW_CONFIG_FILE_BYTES_MAX, &value, err);
    if (status == PAWL_OK) {
        const pw_mp json = pw_mp_reader(value.data, value.size);
        const char *fault = class_fault(json);
        if (fault != NULL) {
            return pw_err(err, PAWL_UNSUPPORTED, "this tokenizer is not supported: %s", fault);
        }
        ret_normal->lower = pw_json_bool(json, "do_lower_case", true);
        ret_normal->strip = pw_json_bool(json, "strip_accents", ret_normal->lower);
        ret_normal->chinese = pw_json_bool(json, "tokenize_chinese_chars", true);
    }
    return status == PAWL_NOTFOUND ? PAWL_OK : status;
}

static pawl_status open_list(const char *folder, pw_buf *text, pw_wordpiece **ret_tokenizer,
                             pawl_error *err)
{
    pw_normal normal;
    pawl_status status =
        pw_model_file_read(folder, "vocab.txt", PW_VOCABULARY_FILE_BYTES_MAX, text, err);
    status = status == PAWL_OK ? read_switches(folder, &normal, err) : status;
    return status == PAWL_OK ? pw_wordpiece_of_list((const char *)text->data, text->size, &normal,
                                                    ret_tokenizer, err)
                             : status;
}

pawl_status pw_wordpiece_open(const char *folder, pw_wordpiece **ret_tokenizer, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const char *name = "tokenizer.json";
    pawl_status status = pw_model_file_read(folder, name, PW_VOCABULARY_FILE_BYTES_MAX, &text, err);
    if (status == PAWL_OK) {
        status = pw_wordpiece_of_json((const char *)text.data, text.size, ret_tokenizer, err);
    } else if (status == PAWL_NOTFOUND) {
        name = "vocab.txt";
        pw_buf_reset(&text);
        status = open_list(folder, &text, ret_tokenizer, err);
    }
    return status == PAWL_OK || status == PAWL_NOTFOUND ? status
                                                        : pw_error_wrap(err, status, "%s", name);
}
