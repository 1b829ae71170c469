/*
 * cli_index_door.c - how `index` comes to a journal: over the socket of the engine that owns it, by reading the file when nobody does, or, to write, by an
 * engine of this command's own, in which no run moves. And the sign of life while something takes long. Does not know what is asked.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "tools/cli_index.h"
#include "tools/cli_model.h"
#include "tools/model_store.h"

#define SAY_AFTER_MS 1000
#define SAY_EVERY_MS 100

/* ---- a sign of life ---- */

/* "1,234,567" */
static void grouped(uint64_t n, char to[32])
{
    char digits[32];
    const int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    size_t at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            to[at++] = ',';
        }
        to[at++] = digits[i];
    }
    to[at] = 0;
}

void pw_cli_index_say(pw_cli_index *x, uint64_t done, uint64_t total, const char *what)
{
    pw_cli_out *o = &x->cli->complain;
    const int64_t now = pw_cli_now_ms();
    char so_far[32], all[32], span[32];
    x->begun_ms = x->begun_ms != 0 ? x->begun_ms : now;
    if (!o->terminal || now - x->begun_ms < SAY_AFTER_MS || now - x->said_ms < SAY_EVERY_MS) {
        return;
    }
    x->said_ms = now;
    x->said = true;
    grouped(done, so_far);
    grouped(total, all);
    pw_cli_span(span, (now - x->begun_ms) / 1000 * 1000);
    pw_out_printf(o, "\r%s%s%s %s", so_far, total > 0 ? " of " : "", total > 0 ? all : "", what);
    pw_out_style(o, PW_DIM);
    pw_out_printf(o, " (%s)", span);
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, "\033[K");
    (void)pw_cli_out_flush(o);
}

void pw_cli_index_hush(pw_cli_index *x)
{
    if (x->said) {
        pw_out_puts(&x->cli->complain, "\r\033[K");
        (void)pw_cli_out_flush(&x->cli->complain);
        x->said = false;
    }
    x->begun_ms = 0;
}

/* ---- the door ---- */

/* While a collection is read for a search, it is said how far. */
static pawl_status ask(void *user, const char *op, const pawl_value *args, pawl_scope *scope,
                       const pawl_value **ret_reply, pawl_error *err)
{
    pw_cli_index *x = user;
    const pawl_value *reply = NULL;
    const pawl_status st = pw_client_request(x->cli->client, op, args, -1, scope, &reply, err);
    if (st == PAWL_OK && strcmp(op, "index_changes") == 0) {
        pw_cli_index_say(x, (uint64_t)pawl_int(args, "after", 0),
                         (uint64_t)pawl_int(reply, "items", 0), "vectors read");
    }
    if (st == PAWL_OK && ret_reply != NULL) {
        *ret_reply = reply;
    }
    return st;
}

pawl_status pw_cli_index_ask(pw_cli_index *x, const char *op, const pawl_value *args,
                             const pawl_value **ret_reply, pawl_error *err)
{
    return x->own != NULL ? pawl_request(x->own, op, args, -1, x->cli->scope, ret_reply, err)
                          : ask(x, op, args, x->cli->scope, ret_reply, err);
}

int pw_cli_index_fail(pw_cli_index *x, const char *name, pawl_status status, const pawl_error *err)
{
    pw_cli *cli = x->cli;
    pw_cli_index_hush(x);
    if (status == PAWL_CONFLICT) {
        PW_CLEANUP(pw_buf_deinit) pw_buf next = PW_BUF_INIT;
        pw_buf_printf(&next, "pawl%%d index info %s", pw_cli_shell_word(cli->scope, name));
        cli->way_out = "name the model that it was made with (--model), or put the texts into a "
                       "collection of the other model";
        cli->next = pw_strndup(cli->scope, pw_buf_cstr(&next), next.size);
    }
    return pw_cli_fail(cli, status, err, NULL);
}

void pw_cli_index_say_model(pw_cli_index *x, const char *name, const char *model)
{
    const char *wanted = pw_cli_model_wanted(x->cli);
    if (wanted == NULL || strcmp(wanted, model) != 0) { /* it stands in the collection alone */
        pw_cli_note(x->cli,
                    "%s was made with \"%s\": if that was a folder of yours, name it with --model",
                    name, model);
    }
}

static int own_engine(pw_cli_index *x)
{
    pawl_error err = {0};
    const pawl_options o = {.struct_size = sizeof o,
                            .no_socket = true,
                            .pool_threads = 1,
                            .log_level = PAWL_WARN,
                            .log = pw_cli_log,
                            .log_user = x->cli,
                            .identity = pw_cli_by(x->cli)};
    pw_client_close(x->cli->client);
    x->cli->client = NULL;
    const pawl_status st = pawl_open(x->cli->db, &o, &x->own, &err);
    return st == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(x->cli, st, &err, NULL);
}

static int come_to_it(pw_cli_index *x, const pw_cli_index_need *need)
{
    const bool there = access(x->cli->db, F_OK) == 0;
    int code = there || !need->makes ? pw_cli_connect(x->cli) : PW_EXIT_OK;
    if (code == PW_EXIT_OK && need->writes && !pw_cli_live(x->cli)) {
        code = own_engine(x);
    }
    return code;
}

int pw_cli_index_open(pw_cli *cli, const pw_cli_index_need *need, pw_cli_index *ret)
{
    pawl_error err = {0};
    ret->cli = cli;
    int code =
        need->model != NULL ? pw_cli_model_open(cli, need->model, &ret->embedder) : PW_EXIT_OK;
    if (code == PW_EXIT_OK && cli->client == NULL && ret->own == NULL) {
        code = come_to_it(ret, need);
    }
    if (code != PW_EXIT_OK) {
        return code;
    }
    const pawl_index_options o = {.struct_size = sizeof o,
                                  .engine = ret->own,
                                  .ask = ret->own == NULL ? ask : NULL,
                                  .ask_user = ret,
                                  .embedder = ret->embedder,
                                  .model = pw_cli_model_label(need->model)};
    pawl_index_close(ret->index);
    ret->index = NULL;
    const pawl_status st = pawl_index_open(&o, &ret->index, &err);
    return st == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, st, &err, NULL);
}

void pw_cli_index_close(pw_cli_index *x)
{
    pw_cli_index_hush(x);
    pawl_close(x->own, 1000);
    pawl_index_close(x->index);
    pawl_embed_close(x->embedder);
    *x = (pw_cli_index){.cli = x->cli};
}

const char *pw_cli_index_model(pw_cli_index *x, const char *name, pawl_error *err)
{
    const char *wanted = pw_cli_model_wanted(x->cli);
    const pawl_value *info = NULL;
    const pawl_status st = pawl_index_info(x->index, name, x->cli->scope, &info, err);
    if (st != PAWL_OK) {
        return NULL;
    }
    /* $PAWL_MODEL is the usual one; a collection has its own, which may be that one by its folder. */
    const char *made_with = pawl_str(info, "model", ""), *folder = NULL;
    pawl_error no_such;
    const bool said = pw_cli_has(x->cli->args, PW_OPT_MODEL);
    if (!said && *made_with != 0 &&
        (wanted == NULL ||
         (strcmp(pw_cli_model_label(wanted), made_with) != 0 &&
          pw_model_find(x->cli->scope, made_with, &folder, &no_such) == PAWL_OK))) {
        wanted = made_with;
    }
    return wanted != NULL && *wanted != 0 ? wanted : NULL;
}
