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

static pawl_status check_kind(pw_mp json, pawl_error *err)
{
    const pw_view position = pw_json_text(json, "position_embedding_type");
    const char *what = !pw_json_is(json, "model_type", "bert")   ? "its model_type is not bert"
                       : !pw_json_is(json, "hidden_act", "gelu") ? "its hidden_act is not gelu"
                       : position.data != NULL && !pw_view_is(position, "absolute")
                           ? "its positions are not absolute"
                           : NULL;
    return what == NULL ? PAWL_OK
                        : pw_err(err, PAWL_UNSUPPORTED, "this model is not supported: %s", what);
}

/* A file that need not be there: an empty map. */
static pawl_status read_optional(const char *folder, const char *name, pw_buf *value,
                                 pawl_error *err)
{
    pw_buf_reset(value);
    const pawl_status status =
        pw_json_file_read(folder, name, PW_CONFIG_FILE_BYTES_MAX, value, err);
    if (status == PAWL_NOTFOUND) {
        pw_buf_reset(value);
        pw_mp_map(value, 0);
        return pw_buf_ok(value) ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for %s", name);
    }
    return status;
}

static pawl_status read_pooling(pw_mp pawl, pw_mp pooling, pw_model_config *c, pawl_error *err)
{
    const pw_view said = pw_json_text(pawl, "pooling");
    const bool first = pw_json_bool(pooling, "pooling_mode_cls_token", false);
    if (said.data != NULL && !pw_view_is(said, "mean") && !pw_view_is(said, "cls")) {
        return pw_err(err, PAWL_UNSUPPORTED, "pawl.json: pooling is mean or cls");
    }
    c->pooling =
        (said.data != NULL ? pw_view_is(said, "cls") : first) ? PW_POOL_FIRST : PW_POOL_MEAN;
    c->normalize = pw_json_bool(pawl, "normalize", true);
    if (said.data == NULL && !first && !pw_json_bool(pooling, "pooling_mode_mean_tokens", true)) {
        return pw_err(err, PAWL_UNSUPPORTED, "its pooling is neither mean nor cls");
    }
    return PAWL_OK;
}

static pawl_status read_limit(pw_mp pawl, pw_mp sentence, pw_model_config *c, pawl_error *err)
{
    const int64_t usual = c->positions < TOKENS_DEFAULT ? c->positions : TOKENS_DEFAULT;
    const int64_t max =
        pw_json_int(pawl, "tokens_max", pw_json_int(sentence, "max_seq_length", usual));
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

static pawl_status read_use(const char *folder, pw_model_config *c, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf pawl = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf other = PW_BUF_INIT;
    pawl_status status = read_optional(folder, "pawl.json", &pawl, err);
    const pw_mp own = pw_mp_reader(pawl.data, pawl.size);
    status =
        status == PAWL_OK ? read_optional(folder, "1_Pooling/config.json", &other, err) : status;
    status = status == PAWL_OK ? read_pooling(own, pw_mp_reader(other.data, other.size), c, err)
                               : status;
    status = status == PAWL_OK ? read_optional(folder, "sentence_bert_config.json", &other, err)
                               : status;
    status =
        status == PAWL_OK ? read_limit(own, pw_mp_reader(other.data, other.size), c, err) : status;
    status = status == PAWL_OK
                 ? read_optional(folder, "config_sentence_transformers.json", &other, err)
                 : status;
    return status == PAWL_OK ? read_prefixes(own, pw_mp_reader(other.data, other.size), c, err)
                             : status;
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
    c.epsilon = (float)pw_json_num(json, "layer_norm_eps", 1e-12);
    status = status == PAWL_OK ? read_use(folder, &c, err) : status;
    if (status == PAWL_OK) {
        *ret_config = c;
    }
    return status;
}
