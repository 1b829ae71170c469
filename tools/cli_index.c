/*
 * cli_index.c - `index`: collections of texts made, looked at, searched, and emptied; adding is cli_index_add.c's. A search says how each was found. Which
 * model: the collection remembers the one that it was made with. Does not install models.
 */
#include "tools/cli_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "tools/cli_model.h"

#define TAGS_MAX 64u
#define FOUND_MAX 1000

static const char *operand(const pw_cli *cli, size_t i)
{
    return i < cli->args->operand_count ? cli->args->operand[i] : NULL;
}

static bool is_text(const pw_cli *cli)
{
    return cli->out.format == PW_FORMAT_TEXT;
}

/* ---- list ---- */

static void number_cell(pw_cli_grid *grid, int64_t n)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, n);
    pw_grid_str(grid, PW_PLAIN, text);
}

static void list_row(pw_cli_grid *grid, const pawl_value *v)
{
    char bytes[32];
    pw_cli_bytes(bytes, (uint64_t)pawl_int(v, "bytes", 0));
    pw_grid_str(grid, PW_PLAIN, pawl_str(v, "name", "?"));
    number_cell(grid, pawl_int(v, "items", 0));
    pw_grid_str(grid, PW_PLAIN, bytes);
    number_cell(grid, pawl_int(v, "width", 0));
    pw_grid_str(grid, PW_PLAIN, pawl_str(v, "model", ""));
    pw_grid_str(grid, PW_DIM, pawl_str(v, "about", ""));
}

static int list(pw_cli *cli)
{
    static const char *const headings[] = {"COLLECTION", "TEXTS", "SIZE",
                                           "WIDTH",      "MODEL", "ABOUT"};
    const pawl_value *all = NULL;
    pw_cli_index x = {.cli = cli};
    pw_cli_grid grid;
    pawl_error err = {0};
    if (operand(cli, 0) != NULL) { /* before a journal is asked for: it may be a slip of the key */
        return pw_cli_usage(
            cli, "pawl index list, create, add, search, info, delete or remove; not \"%s\"",
            operand(cli, 0));
    }
    int code = pw_cli_index_open(cli, &(pw_cli_index_need){.writes = false}, &x);
    if (code == PW_EXIT_OK) {
        const pawl_status st = pawl_index_info(x.index, NULL, cli->scope, &all, &err);
        code = st == PAWL_OK ? code : pw_cli_fail(cli, st, &err, NULL);
    }
    pw_grid_init(&grid, 6);
    for (size_t i = 0; i < pawl_len(all) && code == PW_EXIT_OK; i++) {
        if (is_text(cli)) {
            list_row(&grid, pawl_at(all, i));
        } else {
            pw_out_json_item(&cli->out, pawl_at(all, i), i);
        }
    }
    if (code == PW_EXIT_OK && !is_text(cli)) {
        pw_out_json_end(&cli->out, pawl_len(all));
    } else if (code == PW_EXIT_OK && pawl_len(all) == 0) {
        pw_cli_note(cli, "there is no collection; next: pawl%s index create NAME --model MODEL",
                    pw_cli_db_words(cli));
    } else if (code == PW_EXIT_OK) {
        (void)pw_grid_print(&cli->out, &grid, headings, 0);
    }
    pw_grid_deinit(&grid);
    pw_cli_index_close(&x);
    return code;
}

/* ---- create ---- */

static int create(pw_cli *cli)
{
    const char *name = operand(cli, 0), *model = pw_cli_model_wanted(cli);
    pw_cli_index x = {.cli = cli};
    pawl_error err = {0};
    if (name == NULL) {
        return pw_cli_usage(cli, "what is it to be called? pawl index create NAME --model MODEL");
    }
    if (model == NULL) {
        return pw_cli_usage(cli, "which model makes its vectors? --model NAME, or PAWL_MODEL; pawl "
                                 "model lists those installed and says how to get one");
    }
    int code = pw_cli_index_open(
        cli, &(pw_cli_index_need){.writes = true, .makes = true, .model = model}, &x);
    if (code == PW_EXIT_OK) {
        const pawl_status st = pawl_index_create(x.index, name, operand(cli, 1), &err);
        code = st == PAWL_OK ? code : pw_cli_index_fail(&x, name, st, &err);
    }
    if (code == PW_EXIT_OK && is_text(cli)) {
        (void)pw_out_str(&cli->out, name);
        pw_out_puts(&cli->out, " is there, for vectors of ");
        (void)pw_out_str(&cli->out, pw_cli_model_label(model));
        pw_out_puts(&cli->out, "\n");
        pw_cli_note(cli, "next: pawl%s index add %s KEY 'TEXT'", pw_cli_db_words(cli),
                    pw_cli_shell_word(cli->scope, name));
    } else if (code == PW_EXIT_OK) {
        const pawl_value *info = NULL;
        const pawl_status st = pawl_index_info(x.index, name, cli->scope, &info, &err);
        code = st == PAWL_OK ? code : pw_cli_fail(cli, st, &err, NULL);
        pw_out_json(&cli->out, info);
    }
    pw_cli_index_close(&x);
    return code;
}

/* ---- info ---- */

static void field(pw_cli_out *o, const char *name, const char *text)
{
    if (text[0] != 0) {
        pw_out_printf(o, "%-12s", name);
        (void)pw_out_str(o, text);
        pw_out_puts(o, "\n");
    }
}

static void say_info(pw_cli *cli, const pawl_value *v)
{
    pw_cli_out *o = &cli->out;
    char bytes[32];
    pw_cli_bytes(bytes, (uint64_t)pawl_int(v, "bytes", 0));
    field(o, "collection", pawl_str(v, "name", "?"));
    field(o, "about", pawl_str(v, "about", ""));
    pw_out_printf(o, "%-12s%" PRId64 " (%s)\n", "texts", pawl_int(v, "items", 0), bytes);
    pw_out_printf(o, "%-12s", "made");
    pw_out_time(o, pawl_int(v, "created_ms", 0));
    pw_out_printf(o, ", changed %" PRId64 " times\n", pawl_int(v, "version", 0));
    field(o, "model", pawl_str(v, "model", ""));
    pw_out_printf(o, "%-12s%" PRId64 " numbers of %s", "vectors", pawl_int(v, "width", 0),
                  pawl_str(v, "dtype", "float16"));
    if (pawl_int(v, "tokens_max", 0) > 0) {
        pw_out_printf(o, ", of the first %" PRId64 " tokens (%s)", pawl_int(v, "tokens_max", 0),
                      pawl_str(v, "pooling", "?"));
    }
    pw_out_puts(o, "\n");
    field(o, "identity", pawl_str(v, "identity", ""));
}

static int info(pw_cli *cli)
{
    const pawl_value *about = NULL;
    pw_cli_index x = {.cli = cli};
    pawl_error err = {0};
    if (operand(cli, 0) == NULL) {
        return pw_cli_usage(cli, "which collection? pawl index info NAME");
    }
    int code = pw_cli_index_open(cli, &(pw_cli_index_need){.writes = false}, &x);
    if (code == PW_EXIT_OK) {
        const pawl_status st = pawl_index_info(x.index, operand(cli, 0), cli->scope, &about, &err);
        cli->next = st == PAWL_NOTFOUND ? "pawl%d index list" : NULL;
        code = st == PAWL_OK ? code : pw_cli_fail(cli, st, &err, NULL);
    }
    if (code == PW_EXIT_OK && is_text(cli)) {
        say_info(cli, about);
    } else if (code == PW_EXIT_OK) {
        pw_out_json(&cli->out, about);
    }
    pw_cli_index_close(&x);
    return code;
}

/* ---- search ---- */

static void score_cell(pw_cli_grid *grid, const pawl_value *v, const char *key, pw_cli_style style)
{
    char text[32] = "";
    if (pawl_get(v, key) != NULL) {
        const bool cosine = strcmp(key, "cosine") == 0; /* the only one that may be negative */
        (void)snprintf(text, sizeof text, cosine ? "% .4f" : "%.4g", pawl_num(v, key, 0));
    }
    pw_grid_str(grid, style, text);
}

/* Below the table, for eyes: the help has it for those who pipe. */
static void say_scores(pw_cli_out *o, pawl_index_mode mode)
{
    static const char *const lines[] = {
        [PAWL_INDEX_VECTOR] = "SCORE is the COSINE: likeness of meaning, -1 to 1\n",
        [PAWL_INDEX_WORDS] =
            "SCORE is that of WORDS: BM25, 0 and up, to compare within this search\n",
        [PAWL_INDEX_HYBRID] =
            "SCORE joins two rankings: 1/(60 + rank), added; first in both is 0.0328\n"
            "COSINE: likeness of meaning, -1 to 1; WORDS: BM25, 0 and up\n"};
    if (o->terminal) {
        pw_out_style(o, PW_DIM);
        pw_out_puts(o, lines[mode]);
        pw_out_style(o, PW_PLAIN);
    }
}

static void say_found(pw_cli *cli, const pawl_value *found, pawl_index_mode mode)
{
    static const char *const headings[] = {"SCORE", " COSINE", "WORDS", "KEY", "TEXT"};
    pw_cli_grid grid;
    if (pawl_len(found) == 0) {
        pw_cli_note(cli, "nothing is found");
        return;
    }
    pw_grid_init(&grid, 5);
    for (size_t i = 0; i < pawl_len(found); i++) {
        const pawl_value *v = pawl_at(found, i);
        score_cell(&grid, v, "score", PW_PLAIN);
        score_cell(&grid, v, "cosine", PW_DIM);
        score_cell(&grid, v, "words", PW_DIM);
        pw_grid_str(&grid, PW_BOLD, pawl_str(v, "key", "?"));
        pw_grid_str(&grid, PW_PLAIN, pawl_str(v, "text", ""));
    }
    (void)pw_grid_print(&cli->out, &grid, headings, 0);
    pw_grid_deinit(&grid);
    say_scores(&cli->out, mode);
}

/* False: there are too many, and without one of them too much would be found. */
static bool tags_of(pw_cli *cli, const char *tags[TAGS_MAX], size_t *ret_len)
{
    size_t len = 0;
    const char *p = cli->args->value[PW_OPT_TAG];
    while (p != NULL && *p != 0) {
        const size_t size = strcspn(p, ",");
        if (size > 0 && len == TAGS_MAX) {
            return false;
        }
        if (size > 0) {
            tags[len++] = pw_strndup(cli->scope, p, size);
        }
        p += size + (p[size] == ',' ? 1 : 0);
    }
    *ret_len = len;
    return true;
}

static int find(pw_cli_index *x, pawl_index_mode mode)
{
    pw_cli *cli = x->cli;
    const char *tags[TAGS_MAX];
    size_t tags_len = 0;
    if (!tags_of(cli, tags, &tags_len)) {
        return pw_cli_usage(cli, "a search has at most %u tags", TAGS_MAX);
    }
    const int64_t limit = cli->args->number[PW_OPT_LIMIT];
    if (limit > FOUND_MAX || (limit == 0 && pw_cli_has(cli->args, PW_OPT_LIMIT))) {
        return pw_cli_usage(cli, "a search finds 1 to %d: --limit %d", FOUND_MAX, FOUND_MAX);
    }
    const pawl_value *found = NULL;
    pawl_error err = {0};
    const pawl_index_query q = {.struct_size = sizeof q,
                                .text = {operand(cli, 1), strlen(operand(cli, 1))},
                                .mode = mode,
                                .k = limit > 0 ? (uint32_t)limit : 10,
                                .workspace = cli->args->value[PW_OPT_WORKSPACE],
                                .tags = tags,
                                .tags_len = tags_len};
    const pawl_status st =
        pawl_index_search(x->index, operand(cli, 0), &q, cli->scope, &found, &err);
    pw_cli_index_hush(x);
    if (st != PAWL_OK) {
        return pw_cli_index_fail(x, operand(cli, 0), st, &err);
    }
    if (is_text(cli)) {
        say_found(cli, found, mode);
        return PW_EXIT_OK;
    }
    for (size_t i = 0; i < pawl_len(found); i++) {
        pw_out_json_item(&cli->out, pawl_at(found, i), i);
    }
    pw_out_json_end(&cli->out, pawl_len(found));
    return PW_EXIT_OK;
}

static int search(pw_cli *cli)
{
    pw_cli_index x = {.cli = cli};
    pawl_error err = {0};
    pawl_index_mode mode = pw_cli_has(cli->args, PW_OPT_MODE)
                               ? (pawl_index_mode)(cli->args->number[PW_OPT_MODE] + 1)
                               : PAWL_INDEX_DEFAULT;
    if (operand(cli, 1) == NULL) {
        return pw_cli_usage(
            cli, "search where, for what? pawl index search COLLECTION 'WHAT YOU LOOK FOR'");
    }
    int code = pw_cli_index_open(cli, &(pw_cli_index_need){.writes = false}, &x);
    const char *model = code == PW_EXIT_OK && mode != PAWL_INDEX_WORDS
                            ? pw_cli_index_model(&x, operand(cli, 0), &err)
                            : NULL;
    if (code == PW_EXIT_OK && err.status != PAWL_OK) {
        cli->next = err.status == PAWL_NOTFOUND ? "pawl%d index list" : NULL;
        code = pw_cli_fail(cli, err.status, &err, NULL);
    } else if (code == PW_EXIT_OK && model != NULL) {
        code = pw_cli_index_open(cli, &(pw_cli_index_need){.model = model}, &x);
        if (code != PW_EXIT_OK) {
            pw_cli_index_say_model(&x, operand(cli, 0), model);
            pw_cli_note(cli, "words are found without it: pawl%s index search %s %s --mode words",
                        pw_cli_db_words(cli), pw_cli_shell_word(cli->scope, operand(cli, 0)),
                        pw_cli_shell_word(cli->scope, operand(cli, 1)));
        }
    }
    if (mode == PAWL_INDEX_DEFAULT) {
        mode = model != NULL ? PAWL_INDEX_HYBRID : PAWL_INDEX_WORDS;
    }
    code = code == PW_EXIT_OK ? find(&x, mode) : code;
    pw_cli_index_close(&x);
    return code;
}

/* ---- delete and remove ---- */

static int say_gone(pw_cli *cli, const char *what, const char *where)
{
    if (is_text(cli)) {
        (void)pw_out_str(&cli->out, what);
        pw_out_puts(&cli->out, where != NULL ? " is not in " : " is removed");
        (void)pw_out_str(&cli->out, where != NULL ? where : "");
        pw_out_puts(&cli->out, where != NULL ? " any more\n" : "\n");
    } else {
        pw_out_json(&cli->out,
                    pawl_build(cli->scope, "{collection: %s, key: %s}",
                               where != NULL ? where : what, where != NULL ? what : NULL));
    }
    return PW_EXIT_OK;
}

static int drop(pw_cli *cli)
{
    const char *name = operand(cli, 0), *key = operand(cli, 1);
    pw_cli_index x = {.cli = cli};
    pawl_error err = {0};
    if (key == NULL) {
        return pw_cli_usage(cli, "delete what? pawl index delete COLLECTION KEY");
    }
    int code = pw_cli_index_open(cli, &(pw_cli_index_need){.writes = true}, &x);
    if (code == PW_EXIT_OK) {
        const pawl_value *keys[1] = {pawl_make_str(cli->scope, key)}, *reply = NULL;
        pawl_status st = pw_cli_index_ask(&x, "index_delete",
                                          pawl_build(cli->scope, "{collection: %s, keys: %p}", name,
                                                     pawl_v(pawl_make_array(cli->scope, keys, 1))),
                                          &reply, &err);
        if (st == PAWL_OK && pawl_int(reply, "deleted", 1) == 0) {
            st = pw_err(&err, PAWL_NOTFOUND, "%.60s has no text under the key \"%.100s\"", name,
                        key);
            cli->next = "";
        }
        code = st == PAWL_OK ? say_gone(cli, key, name) : pw_cli_fail(cli, st, &err, NULL);
    }
    pw_cli_index_close(&x);
    return code;
}

/* A person is asked; a script says --yes. */
static int may_remove(pw_cli *cli, const char *name)
{
    char answer[16] = "";
    if (pw_cli_has(cli->args, PW_OPT_YES)) {
        return PW_EXIT_OK;
    }
    if (isatty(STDIN_FILENO) == 0) {
        return pw_cli_usage(cli, "%s is not removed: say --yes", name);
    }
    pw_out_puts(&cli->complain, "remove ");
    (void)pw_out_str(&cli->complain, name);
    pw_out_puts(&cli->complain, " with all that is in it? [y/N] ");
    (void)pw_cli_out_flush(&cli->complain);
    if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y')) {
        return PW_EXIT_OK;
    }
    pw_cli_note(cli, "nothing was done");
    return PW_EXIT_ERROR;
}

static int remove_whole(pw_cli *cli)
{
    const char *name = operand(cli, 0);
    pw_cli_index x = {.cli = cli};
    pawl_error err = {0};
    if (name == NULL) {
        return pw_cli_usage(cli, "remove which collection? pawl index remove NAME");
    }
    int code = may_remove(cli, name);
    code = code == PW_EXIT_OK ? pw_cli_index_open(cli, &(pw_cli_index_need){.writes = true}, &x)
                              : code;
    if (code == PW_EXIT_OK) {
        const pawl_status st = pawl_index_remove(x.index, name, &err);
        code = st == PAWL_OK ? say_gone(cli, name, NULL) : pw_cli_fail(cli, st, &err, NULL);
    }
    pw_cli_index_close(&x);
    return code;
}

int pw_verb_index(pw_cli *cli)
{
    static const struct {
        const char *name;
        int (*fn)(pw_cli *cli);
    } actions[] = {{"list", list},          {"create", create}, {"add", pw_cli_index_add},
                   {"search", search},      {"info", info},     {"delete", drop},
                   {"remove", remove_whole}};
    const char *name = cli->args->word != NULL ? cli->args->word : "list";
    size_t i = 0;
    while (i + 1 < sizeof actions / sizeof actions[0] && strcmp(name, actions[i].name) != 0) {
        i++;
    }
    return actions[i].fn(cli);
}
