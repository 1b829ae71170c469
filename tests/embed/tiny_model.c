/*
 * tiny_model.c - random weights in a safetensors file, with the names that exporters give them. Means nothing: its vectors are only the same each time.
 */
#include "tiny_model.h"

#include "embed_rig.h"

#include <stdio.h>
#include <string.h>

#include "sdk/base/buf.h"

#define WORDS 16
#define INNER 40

static const char vocabulary[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\neating\nfood\nlunch\na\nred\ncar\n##s\n.\nbread\nof\npiece\n";
static const char config[] =
    "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 32, \"num_hidden_layers\": 1, \"num_attention_heads\": 2,"
    " \"intermediate_size\": 40, \"vocab_size\": 16, \"max_position_embeddings\": 24, \"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12}";

typedef struct tiny {
    pw_buf header;
    pw_buf data;
    uint32_t random;
} tiny;

static void tensor(tiny *t, const char *name, unsigned rows, unsigned columns)
{
    const size_t begin = t->data.size;
    for (size_t i = 0; i < (size_t)rows * (columns > 0 ? columns : 1); i++) {
        t->random = t->random * 1664525u + 1013904223u;
        const float number = (float)(t->random >> 8) / (float)(1 << 23) - 1;
        pw_buf_put(&t->data, &number, sizeof number);
    }
    pw_buf_printf(&t->header, "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [%u",
                  begin > 0 ? ", " : "{", name, rows);
    if (columns > 0) {
        pw_buf_printf(&t->header, ", %u", columns);
    }
    pw_buf_printf(&t->header, "], \"data_offsets\": [%zu, %zu]}", begin, t->data.size);
}

static void pair(tiny *t, const char *name, unsigned out, unsigned in)
{
    char full[200];
    (void)snprintf(full, sizeof full, "%s.weight", name);
    tensor(t, full, out, in);
    (void)snprintf(full, sizeof full, "%s.bias", name);
    tensor(t, full, out, 0);
}

void tiny_file_write(const char *folder, const char *name, const void *data, size_t size)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void tiny_model_write(const char *folder)
{
    static const char *const squares[] = {"attention.self.query", "attention.self.key",
                                          "attention.self.value", "attention.output.dense"};
    char name[100];
    tiny t = {PW_BUF_INIT, PW_BUF_INIT, 5};
    tensor(&t, "embeddings.word_embeddings.weight", WORDS, TINY_WIDTH);
    tensor(&t, "embeddings.position_embeddings.weight", TINY_POSITIONS, TINY_WIDTH);
    tensor(&t, "embeddings.token_type_embeddings.weight", 2, TINY_WIDTH);
    pair(&t, "embeddings.LayerNorm", TINY_WIDTH, 0);
    for (size_t i = 0; i < sizeof squares / sizeof squares[0]; i++) {
        (void)snprintf(name, sizeof name, "encoder.layer.0.%s", squares[i]);
        pair(&t, name, TINY_WIDTH, TINY_WIDTH);
    }
    pair(&t, "encoder.layer.0.attention.output.LayerNorm", TINY_WIDTH, 0);
    pair(&t, "encoder.layer.0.intermediate.dense", INNER, TINY_WIDTH);
    pair(&t, "encoder.layer.0.output.dense", TINY_WIDTH, INNER);
    pair(&t, "encoder.layer.0.output.LayerNorm", TINY_WIDTH, 0);
    pw_buf_putc(&t.header, '}');
    pw_buf file = PW_BUF_INIT;
    for (unsigned i = 0; i < 8; i++) {
        pw_buf_putc(&file, (int)(t.header.size >> (8 * i) & 0xff));
    }
    pw_buf_put(&file, t.header.data, t.header.size);
    pw_buf_put(&file, t.data.data, t.data.size);
    assert_true(pw_buf_ok(&file));
    tiny_file_write(folder, "model.safetensors", file.data, file.size);
    tiny_file_write(folder, "config.json", config, sizeof config - 1);
    tiny_file_write(folder, "vocab.txt", vocabulary, sizeof vocabulary - 1);
    pw_buf_deinit(&t.header);
    pw_buf_deinit(&t.data);
    pw_buf_deinit(&file);
}
