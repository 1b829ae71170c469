/*
 * cli_embed.c - `embed`: texts to vectors with a model from a folder. Needs no journal, starts no engine, downloads nothing.
 */
#include <string.h>
#include <unistd.h>

#include "sdk/pawl_embed.h"
#include "tools/cli_model.h"

#define TEXTS_BYTES_MAX ((size_t)64 << 20)
#define AT_ONCE 256u

/* What is still to be embedded, one text a line, and what has been said. */
typedef struct lines {
    const char *next;
    const char *end;
    bool whole; /* one text, empty or with line ends in it */
    size_t printed;
} lines;

static size_t lines_take(lines *l, pawl_embed_text texts[AT_ONCE])
{
    size_t len = 0;
    if (l->whole) {
        texts[0] = (pawl_embed_text){l->next, (size_t)(l->end - l->next)};
        l->next = l->end;
        l->whole = false;
        return 1;
    }
    while (l->next < l->end && len < AT_ONCE) {
        const char *stop = memchr(l->next, '\n', (size_t)(l->end - l->next));
        stop = stop != NULL ? stop : l->end;
        texts[len++] = (pawl_embed_text){l->next, (size_t)(stop - l->next)};
        l->next = stop < l->end ? stop + 1 : l->end;
    }
    return len;
}

static void say_text(pw_cli_out *out, const float *vector, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        pw_out_printf(out, "%s%.9g", i > 0 ? " " : "", (double)vector[i]);
    }
    pw_out_puts(out, "\n");
}

static void say_json(pw_cli *cli, const float *vector, size_t width, const pawl_embed_count *count,
                     size_t index)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value **items = pawl_scope_alloc(scope, width * sizeof *items);
    for (size_t i = 0; i < width && items != NULL; i++) {
        items[i] = pawl_make_num(scope, (double)vector[i]);
    }
    if (items != NULL) {
        pw_out_json_item(
            &cli->out,
            pawl_build(scope, "{tokens: %u, truncated: %p, vector: %p}", count->tokens,
                       pawl_v(pawl_make_bool(scope, count->tokens_all > count->tokens)),
                       pawl_v(pawl_make_array(scope, items, width))),
            index);
    }
    pawl_scope_free(scope);
}

static pawl_status embed_all(pw_cli *cli, const pawl_embedder *e, lines *l, pawl_error *err)
{
    pawl_embed_text texts[AT_ONCE];
    pawl_embed_count counts[AT_ONCE];
    pawl_embed_info info;
    pawl_embed_about(e, &info);
    float *vectors = pawl_scope_alloc(cli->scope, (size_t)AT_ONCE * info.width * sizeof *vectors);
    pawl_status status = vectors != NULL ? PAWL_OK : PAWL_NOMEM;
    for (size_t len; status == PAWL_OK && (len = lines_take(l, texts)) > 0;) {
        status = pawl_embed_texts(e, texts, len, vectors, counts, err);
        for (size_t i = 0; i < len && status == PAWL_OK; i++) {
            if (cli->out.format == PW_FORMAT_TEXT) {
                say_text(&cli->out, vectors + i * info.width, info.width);
            } else {
                say_json(cli, vectors + i * info.width, info.width, &counts[i], l->printed);
            }
            l->printed++;
        }
    }
    return status;
}

int pw_verb_embed(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    pawl_embedder *e = NULL;
    pawl_error err = {0};
    const char *text = a->operand_count > 1 ? a->operand[1] : NULL;
    size_t size = text != NULL ? strlen(text) : 0;
    if (a->operand_count < 1) {
        return pw_cli_usage(
            cli,
            "which model? an installed one (pawl model), or a folder with config.json, model.safetensors and tokenizer.json");
    }
    const int code = pw_cli_model_open(cli, a->operand[0], &e);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status status = PAWL_OK;
    if (text == NULL && isatty(STDIN_FILENO) == 1) {
        pw_cli_note(cli, "texts from the terminal, one a line; Ctrl-D ends them");
    }
    if (text == NULL) {
        status = pw_cli_file_read(cli, "-", TEXTS_BYTES_MAX, &text, &size, &err);
    }
    lines l = {
        .next = text, .end = text != NULL ? text + size : NULL, .whole = a->operand_count > 1};
    if (status == PAWL_OK) {
        status = embed_all(cli, e, &l, &err);
    }
    pawl_embed_close(e);
    if (status != PAWL_OK) {
        return pw_cli_fail(cli, status, &err, "cannot embed");
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json_end(&cli->out, l.printed);
    }
    return PW_EXIT_OK;
}
