/*
 * model_config.c - the sizes of a model and how its rows become one vector, out of its folder's small files. Reads no weights. An architecture that
 * the encoders do not compute is refused here.
 */
#include "activities/embed/json_file.h"
#include "activities/embed/model.h"
#include "sdk/base/error.h"

#define TOKENS_DEFAULT 256

typedef struct size_row {
    const char *name;
    uint32_t *to;
    uint32_t max;
} size_row;

static pawl_status read_sizes(pw_mp json, pw_model_config *c, pawl_error *err)
{
    const size_row rows[] = {
        {"num_hidden_layers", &c->layers, PW_EMBED_LAYERS_MAX},
        {"hidden_size", &c->width, PW_EMBED_WIDTH_MAX},
        {"num_attention_heads", &c->heads, PW_EMBED_WIDTH_MAX},
        {"intermediate_size", &c->inner, PW_EMBED_INNER_MAX},
        {"vocab_size", &c->vocabulary, PW_PIECES_MAX},
        {"max_position_embeddings", &c->positions, PW_EMBED_TOKENS_MAX},
        {"type_vocab_size", &c->types, 16},
    };
    for (size_t i = 0; i < PW_COUNT(rows); i++) {
        const int64_t n = pw_json_int(json, rows[i].name, 0);
        if (n < 1 || n > (int64_t)rows[i].max) {
            return pw_err(err, n < 1 ? PAWL_PARSE : PAWL_LIMIT,
                          "config.json: %s is %lld, 1 to %u allowed", rows[i].name, (long long)n,
                          rows[i].max);
        }
        *rows[i].to = (uint32_t)n;
    }
    return c->width % c->heads == 0
               ? PAWL_OK
               : pw_err(err, PAWL_PARSE, "config.json: %u numbers do not part into %u heads",
                        c->width, c->heads);
}

/* True: something else stands there. nil is as if it were missing. */
static bool is_wrong(pw_mp json, const char *path, pawl_type type)
{
    pw_mp at;
    const pawl_type there = pw_json_find(json, path, &at) ? pw_mp_peek(&at) : PAWL_NIL;
    return there != type && there != PAWL_NIL &&
           !(type == PAWL_DOUBLE && there == PAWL_INT); /* 0 is a number, too */
}

static pawl_status read_epsilon(pw_mp json, pw_model_config *c, pawl_error *err)
{
    const double epsilon = pw_json_num(json, "layer_norm_eps", 1e-12);
    if (is_wrong(json, "layer_norm_eps", PAWL_DOUBLE) || !(epsilon >= 0 && epsilon <= 1)) {
        return pw_err(err, PAWL_PARSE, "config.json: layer_norm_eps is not a number from 0 to 1");
    }
    c->epsilon = (float)epsilon;
    return PAWL_OK;
}

static pawl_status check_kind(pw_mp json, pawl_error *err)
{
    const pw_view position = pw_json_text(json, "position_embedding_type");
    const char *what = !pw_json_is(json, "model_type", "bert")   ? "its model_type is not bert"
                       : !pw_json_is(json, "hidden_act", "gelu") ? "its hidden_act is not gelu"
                       : position.data != NULL && !pw_view_is(position, "absolute")
                           ? "its positions are not absolute"
                       : pw_json_bool(json, "is_decoder", false)
                           ? "it is a decoder, whose tokens see only those before them"
                           : NULL;
    return what == NULL ? PAWL_OK
                        : pw_err(err, PAWL_UNSUPPORTED, "this model is not supported: %s", what);
}

/* A file that need not be there: an empty map. */
static pawl_status read_optional(const char *folder, const char *name, pawl_type type,
                                 pw_buf *value, pawl_error *err)
{
    pw_buf_reset(value);
    const pawl_status status =
        pw_json_file_read(folder, name, PW_CONFIG_FILE_BYTES_MAX, value, err);
    if (status == PAWL_NOTFOUND) {
        pw_buf_reset(value);
        pw_mp_map(value, 0);
        return pw_buf_ok(value) ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for %s", name);
    }
    const pw_mp json = pw_mp_reader(value->data, value->size);
    return status != PAWL_OK || pw_mp_peek(&json) == type
               ? status
               : pw_err(err, PAWL_PARSE, "%s is not %s", name,
                        type == PAWL_MAP ? "an object" : "an array");
}

/* ---- pawl.json ---- */

/* A file of our own: what it says is taken as it is meant, or not at all. */
static pawl_status check_own(pw_mp own, pawl_error *err)
{
    static const struct {
        const char *name;
        pawl_type type;
    } settings[] = {{"tokens_max", PAWL_INT},
                    {"pooling", PAWL_STRING},
                    {"normalize", PAWL_BOOL},
                    {"prefix_text", PAWL_STRING},
                    {"prefix_query", PAWL_STRING}};
    pw_mp at = own;
    for (size_t left = pw_mp_read_map(&at); left > 0; left--) {
        const pw_view name = pw_mp_read_str(&at);
        size_t i = 0;
        while (i < PW_COUNT(settings) && !pw_view_is(name, settings[i].name)) {
            i++;
        }
        if (i == PW_COUNT(settings) || pw_mp_peek(&at) != settings[i].type) {
            return pw_err(err, PAWL_INVALID,
                          "pawl.json: %.*s is not one of tokens_max (a whole number), pooling, "
                          "prefix_text, prefix_query (texts), normalize (true or false)",
                          (int)(name.size < 60 ? name.size : 60), (const char *)name.data);
        }
        pw_mp_skip(&at);
    }
    return PAWL_OK;
}

/* ---- the files of sentence-transformers ---- */

static bool ends_with(pw_view text, const char *end)
{
    const size_t size = strlen(end);
    return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

/* NULL, or what of a module is not done here. */
static const char *module_fault(pw_mp module)
{
    const pw_view type = pw_json_text(module, "type"), path = pw_json_text(module, "path");
    if (ends_with(type, ".Transformer")) {
        return path.size == 0 ? NULL : "its weights are in another folder";
    }
    if (ends_with(type, ".Pooling")) {
        return pw_view_is(path, "1_Pooling") ? NULL : "its pooling is in another folder";
    }
    return ends_with(type, ".Normalize")
               ? NULL
               : "it is more than a transformer, pooling and a length of 1";
}

/* What comes after the pooling would be missing from the vectors. */
static pawl_status check_modules(const char *folder, pw_buf *value, pawl_error *err)
{
    const pawl_status status = read_optional(folder, "modules.json", PAWL_ARRAY, value, err);
    pw_mp at = pw_mp_reader(value->data, value->size);
    if (status != PAWL_OK || pw_mp_peek(&at) != PAWL_ARRAY) {
        return status;
    }
    for (size_t left = pw_mp_read_array(&at); left > 0; left--) {
        const pw_view module = pw_mp_read_raw(&at);
        const char *fault = module_fault(pw_mp_reader(module.data, module.size));
        if (fault != NULL) {
            return pw_err(err, PAWL_UNSUPPORTED, "modules.json: %s", fault);
        }
    }
    return PAWL_OK;
}

/* Several ways at once are vectors side by side there. The mean is its default, when another is said, too. Errors: UNSUPPORTED. */
static pawl_status read_theirs(pw_mp pooling, pw_pooling *ret_pooling, pawl_error *err)
{
    static const char *const others[] = {
        "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"};
    const pw_view mode =
        pw_json_text(pooling, "pooling_mode"); /* if it is there, it alone counts */
    const bool alone = mode.data != NULL;
    const bool first =
        alone ? pw_view_is(mode, "cls") : pw_json_bool(pooling, "pooling_mode_cls_token", false);
    const bool mean =
        alone ? pw_view_is(mode, "mean") : pw_json_bool(pooling, "pooling_mode_mean_tokens", true);
    bool other = is_wrong(pooling, "pooling_mode", PAWL_STRING);
    for (size_t i = 0; i < PW_COUNT(others) && !alone; i++) {
        other = other || pw_json_bool(pooling, others[i], false);
    }
    if (other || first == mean) {
        return pw_err(err, PAWL_UNSUPPORTED,
                      "1_Pooling/config.json: its pooling is neither mean nor "
                      "cls alone");
    }
    *ret_pooling = first ? PW_POOL_FIRST : PW_POOL_MEAN;
    return PAWL_OK;
}

static pawl_status read_pooling(pw_mp own, pw_mp pooling, pw_model_config *c, pawl_error *err)
{
    const pw_view said = pw_json_text(own, "pooling");
    c->normalize = pw_json_bool(own, "normalize", true);
    if (said.data == NULL) {
        return read_theirs(pooling, &c->pooling, err);
    }
    if (!pw_view_is(said, "mean") && !pw_view_is(said, "cls")) {
        return pw_err(err, PAWL_UNSUPPORTED, "pawl.json: pooling is mean or cls");
    }
    c->pooling = pw_view_is(said, "cls") ? PW_POOL_FIRST : PW_POOL_MEAN;
    return PAWL_OK;
}

static pawl_status read_limit(pw_mp own, pw_mp sentence, pw_model_config *c, pawl_error *err)
{
    const int64_t usual = c->positions < TOKENS_DEFAULT ? c->positions : TOKENS_DEFAULT;
    const int64_t max =
        pw_json_int(own, "tokens_max", pw_json_int(sentence, "max_seq_length", usual));
    if (is_wrong(sentence, "max_seq_length", PAWL_INT) ||
        is_wrong(sentence, "do_lower_case", PAWL_BOOL)) {
        return pw_err(err, PAWL_PARSE,
                      "sentence_bert_config.json: max_seq_length is no whole number, "
                      "or do_lower_case neither true nor false");
    }
    c->lower = pw_json_bool(sentence, "do_lower_case", false);
    if (max < 2 || max > (int64_t)c->positions) {
        return pw_err(err, PAWL_INVALID, "the limit of tokens is %lld, 2 to %u allowed",
                      (long long)max, c->positions);
    }
    c->tokens_max = (uint32_t)max;
    return PAWL_OK;
}

/* A text at the first path that has one. */
static pawl_status read_prefix(pw_mp json, const char *const *paths, pw_prefix *to, pawl_error *err)
{
    for (size_t i = 0; paths[i] != NULL; i++) {
        const pw_view text = pw_json_text(json, paths[i]);
        if (text.size > sizeof to->data) {
            return pw_err(err, PAWL_LIMIT, "%s has %zu bytes, %zu allowed", paths[i], text.size,
                          sizeof to->data);
        }
        if (text.data != NULL) {
            memcpy(to->data, text.data, text.size);
            to->size = text.size;
            return PAWL_OK;
        }
    }
    return PAWL_OK;
}

/* The names and their order are those of sentence-transformers (encode_document, encode_query); its default_prompt_name is not read: here a text is one or the
 * other. */
static pawl_status read_prefixes(pw_mp pawl, pw_mp prompts, pw_model_config *c, pawl_error *err)
{
    static const char *const texts[] = {"prompts.document", "prompts.passage", "prompts.corpus",
                                        NULL};
    static const char *const queries[] = {"prompts.query", NULL};
    pawl_status status = read_prefix(prompts, texts, &c->text, err);
    status = status == PAWL_OK ? read_prefix(prompts, queries, &c->query, err) : status;
    status = status == PAWL_OK
                 ? read_prefix(pawl, (const char *const[]){"prefix_text", NULL}, &c->text, err)
                 : status;
    return status == PAWL_OK
               ? read_prefix(pawl, (const char *const[]){"prefix_query", NULL}, &c->query, err)
               : status;
}

/* A prefix that pooling is to leave out would be in the vector. */
static pawl_status check_prompts(pw_mp own, pw_mp pooling, const pw_model_config *c,
                                 pawl_error *err)
{
    const bool out =
        pw_json_text(own, "pooling").data == NULL && !pw_json_bool(pooling, "include_prompt", true);
    return !out || c->text.size + c->query.size == 0
               ? PAWL_OK
               : pw_err(err, PAWL_UNSUPPORTED,
                        "1_Pooling/config.json: include_prompt is false, and there are prompts");
}

static pawl_status read_use(const char *folder, pw_model_config *c, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf own_file = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf pooling_file = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf other = PW_BUF_INIT;
    pawl_status status = read_optional(folder, "pawl.json", PAWL_MAP, &own_file, err);
    const pw_mp own = pw_mp_reader(own_file.data, own_file.size);
    status = status == PAWL_OK ? check_own(own, err) : status;
    status = status == PAWL_OK ? check_modules(folder, &other, err) : status;
    status = status == PAWL_OK
                 ? read_optional(folder, "1_Pooling/config.json", PAWL_MAP, &pooling_file, err)
                 : status;
    const pw_mp pooling = pw_mp_reader(pooling_file.data, pooling_file.size);
    status = status == PAWL_OK ? read_pooling(own, pooling, c, err) : status;
    status = status == PAWL_OK
                 ? read_optional(folder, "sentence_bert_config.json", PAWL_MAP, &other, err)
                 : status;
    status =
        status == PAWL_OK ? read_limit(own, pw_mp_reader(other.data, other.size), c, err) : status;
    status = status == PAWL_OK
                 ? read_optional(folder, "config_sentence_transformers.json", PAWL_MAP, &other, err)
                 : status;
    status = status == PAWL_OK ? read_prefixes(own, pw_mp_reader(other.data, other.size), c, err)
                               : status;
    return status == PAWL_OK ? check_prompts(own, pooling, c, err) : status;
}

pawl_status pw_model_config_read(const char *folder, pw_model_config *ret_config, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf value = PW_BUF_INIT;
    pw_model_config c = {.layers = 0};
    pawl_status status =
        pw_json_file_read(folder, "config.json", PW_CONFIG_FILE_BYTES_MAX, &value, err);
    const pw_mp json = pw_mp_reader(value.data, value.size);
    status = status == PAWL_OK ? check_kind(json, err) : status;
    status = status == PAWL_OK ? read_sizes(json, &c, err) : status;
    status = status == PAWL_OK ? read_epsilon(json, &c, err) : status;
    status = status == PAWL_OK ? read_use(folder, &c, err) : status;
    if (status == PAWL_OK) {
        *ret_config = c;
    }
    return status;
}
