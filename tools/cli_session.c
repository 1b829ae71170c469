/*
 * cli_session.c - the surroundings of a command: output, errors with their way out, and requests by whatever door is open.
 *
 * Does not know what a request means.
 */
#include "tools/cli_session.h"
#include "tools/cli_help.h"
#include "tools/cli_model.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/limits.h"

#define DB_DEFAULT "pawl.db"
#define INPUT_BYTES_MAX ((size_t)PW_VALUE_BYTES_MAX)

static const struct {
    pawl_status status;
    int exit;
    const char *way_out;
    const char *next;
} statuses[] = {
#define X(name, code, way_out, next) {PAWL_##name, PW_EXIT_##code, way_out, next},
#include "tools/cli_statuses.def"
#undef X
};

static const pw_cli_fn functions[] = {
#define X(name, verb, group, operands, max, op1, op2, options, summary, text, examples) \
    pw_verb_##verb,
#include "tools/cli_commands.def"
#undef X
};

pw_cli_fn pw_cli_function(pw_cli_verb verb)
{
    return functions[verb];
}

bool pw_cli_init(pw_cli *cli, const pw_cli_args *args)
{
    const char *db = args->value[PW_OPT_DB] != NULL ? args->value[PW_OPT_DB] : getenv("PAWL_DB");
    *cli = (pw_cli){.args = args, .scope = pawl_scope_new()};
    cli->db_default = args->value[PW_OPT_DB] == NULL;
    cli->db = db == NULL || *db == '\0' ? DB_DEFAULT : db;
    pw_cli_out_init(&cli->out, stdout, args);
    pw_cli_out_init(&cli->complain, stderr, args);
    return cli->scope != NULL;
}

void pw_cli_deinit(pw_cli *cli)
{
    pw_client_close(cli->client);
    pw_cli_model_close(cli); /* whoever hosted has closed its engine by now */
    pw_cli_out_deinit(&cli->out);
    pw_cli_out_deinit(&cli->complain);
    pawl_scope_free(cli->scope);
}

/* ---- saying what went wrong [T3] ---- */

int pw_cli_exit_of(pawl_status status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status) {
            return statuses[i].exit;
        }
    }
    return PW_EXIT_ERROR;
}

const char *pw_cli_shell_word(pawl_scope *scope, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
    if (*text != '\0' && text[strspn(text, plain)] == '\0') {
        return text;
    }
    pw_buf b = PW_BUF_INIT;
    pw_buf_putc(&b, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            pw_buf_puts(&b, "'\\''");
        } else {
            pw_buf_putc(&b, (unsigned char)*text);
        }
    }
    pw_buf_putc(&b, '\'');
    const char *word = pw_strdup(scope, pw_buf_cstr(&b));
    pw_buf_deinit(&b);
    return word != NULL ? word : "";
}

const char *pw_cli_db_words(pw_cli *cli)
{
    const char *words = cli->db_default ? ""
                                        : pw_sprintf(cli->scope, " --db %s",
                                                     pw_cli_shell_word(cli->scope, cli->db));
    return words != NULL ? words : "";
}

static void next_command(pw_cli *cli, const char *next)
{
    pw_cli_out *o = &cli->complain;
    pw_out_puts(o, "      try: ");
    for (; *next != '\0'; next++) {
        if (next[0] == '%' && next[1] == 'd') {
            (void)pw_out_str(o, pw_cli_db_words(cli));
            next++;
        } else if (next[0] == '%' && next[1] == 'w') {
            (void)pw_out_str(o, cli->run_id[0] != '\0' ? pw_cli_shell_word(cli->scope, cli->run_id)
                                                       : "ID");
            next++;
        } else {
            pw_buf_putc(&o->text, (unsigned char)*next);
        }
    }
    pw_buf_putc(&o->text, '\n');
}

static void prefix(pw_cli_out *o)
{
    pw_out_styled(o, PW_BAD, "pawl:");
    pw_buf_putc(&o->text, ' ');
}

int pw_cli_fail(pw_cli *cli, pawl_status status, const pawl_error *err, const char *what)
{
    pw_cli_out *o = &cli->complain;
    const char *way_out = cli->way_out;
    const char *next = cli->next;
    const char *why = err != NULL && err->status == status && err->message[0] != '\0'
                          ? err->message
                          : pawl_status_text(status);
    (void)pw_cli_out_flush(&cli->out);
    prefix(o);
    size_t column = 6;
    if (what != NULL) {
        column += pw_out_str(o, what) + 2;
        pw_out_puts(o, ": ");
    }
    pw_out_wrap_from(o, why, 6, column);
    pw_buf_putc(&o->text, '\n');
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status) {
            way_out = way_out != NULL ? way_out : statuses[i].way_out;
            next = next != NULL ? next : statuses[i].next;
        }
    }
    if (next == NULL && status == PAWL_UNSUPPORTED && cli->client != NULL && !pw_cli_live(cli)) {
        next = "pawl%d serve"; /* nobody is there to do it */
    }
    if (way_out != NULL && *way_out != '\0') {
        pw_out_puts(o, "      ");
        pw_out_wrap(o, way_out, 6);
        pw_buf_putc(&o->text, '\n');
    }
    if (next != NULL && *next != '\0') {
        next_command(cli, next);
    }
    (void)pw_cli_out_flush(o);
    return pw_cli_exit_of(status);
}

int pw_cli_usage(pw_cli *cli, const char *fmt, ...)
{
    pw_cli_complaint c = {.command = cli->args->command};
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(c.message, sizeof c.message, fmt, list);
    va_end(list);
    pw_cli_complaint_print(&cli->complain, &c);
    return PW_EXIT_USAGE;
}

/* "...: pawl serve": what is to be typed goes on a line of its own where the whole is too long for one, and is not broken. */
static const char *typed_last(const pw_cli_out *o, const char *text)
{
    const char *last = NULL;
    if (o->width == 0 || pw_out_columns(o, text, strlen(text)) <= o->width) {
        return NULL;
    }
    for (const char *at = strstr(text, ": pawl "); at != NULL; at = strstr(at + 1, ": pawl ")) {
        last = at + 2;
    }
    return last;
}

void pw_cli_note(pw_cli *cli, const char *fmt, ...)
{
    char text[1024];
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    (void)pw_cli_out_flush(&cli->out);
    const size_t indent = strspn(text, " ");
    const char *typed = typed_last(&cli->complain, text);
    const char *head =
        typed != NULL ? pw_strndup(cli->scope, text + indent, (size_t)(typed - text) - 1 - indent)
                      : NULL;
    pw_out_pad(&cli->complain, indent);
    pw_out_wrap(&cli->complain, head != NULL ? head : text + indent, indent);
    if (head != NULL) {
        pw_out_puts(&cli->complain, "\n");
        pw_out_pad(&cli->complain, indent + 2);
        (void)pw_out_str(&cli->complain, typed);
    }
    pw_buf_putc(&cli->complain.text, '\n');
    (void)pw_cli_out_flush(&cli->complain);
}

void pw_cli_complaint_print(pw_cli_out *o, const pw_cli_complaint *c)
{
    prefix(o);
    pw_out_wrap(o, c->message, 6);
    pw_buf_putc(&o->text, '\n');
    if (c->hint[0] != '\0') {
        pw_out_puts(o, "      ");
        pw_out_wrap(o, c->hint, 6);
        pw_buf_putc(&o->text, '\n');
    }
    if (c->command != NULL) {
        pw_buf usage = PW_BUF_INIT;
        pw_help_usage(&usage, c->command);
        pw_out_puts(o, "      usage: ");
        pw_out_wrap(o, pw_buf_cstr(&usage), 13);
        pw_buf_putc(&o->text, '\n');
        pw_buf_deinit(&usage);
    }
    const char *topic =
        c->command != NULL && c->command->verb != PW_CMD_HELP ? c->command->name : "";
    pw_out_printf(o, "      try: pawl help%s%s\n", *topic != '\0' ? " " : "", topic);
    (void)pw_cli_out_flush(o);
}

/* ---- the journal ---- */

/* The folder that a journal would be in, when that is not there; NULL = it is. */
static const char *folder_missing(pw_cli *cli)
{
    const char *slash = strrchr(cli->db, '/');
    const char *folder = slash == NULL || slash == cli->db
                             ? NULL
                             : pw_strndup(cli->scope, cli->db, (size_t)(slash - cli->db));
    return folder != NULL && access(folder, F_OK) != 0 ? folder : NULL;
}

static int no_journal(pw_cli *cli)
{
    pw_cli_out *o = &cli->complain;
    const char *folder = folder_missing(cli);
    const char *why =
        pw_sprintf(cli->scope, "there is no journal at %s%s%s", cli->db,
                   folder != NULL ? ": there is no folder " : "", folder != NULL ? folder : "");
    prefix(o);
    pw_out_wrap(o, why != NULL ? why : "", 6);
    pw_out_puts(o, "\n      ");
    pw_out_wrap(o,
                folder != NULL ? "name one with --db FILE or $PAWL_DB"
                               : "name one with --db FILE or $PAWL_DB; the first start, execute, "
                                 "serve or index create makes it",
                6);
    pw_buf_putc(&o->text, '\n');
    (void)pw_cli_out_flush(o);
    return PW_EXIT_NOTFOUND;
}

int pw_cli_connect(pw_cli *cli)
{
    pawl_error err = {0};
    if (cli->client != NULL) {
        return PW_EXIT_OK;
    }
    pawl_status s = pw_client_open(cli->db, PW_CLIENT_PATIENCE_MS, &cli->client, &err);
    if (s == PAWL_NOTFOUND) {
        return no_journal(cli);
    }
    return s == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, s, &err, NULL);
}

int pw_cli_journal_there(pw_cli *cli)
{
    return access(cli->db, F_OK) == 0 ? PW_EXIT_OK : no_journal(cli);
}

bool pw_cli_live(const pw_cli *cli)
{
    return cli->client != NULL && pw_client_is_live(cli->client);
}

bool pw_cli_kept(const pw_cli *cli)
{
    return cli->client != NULL && pw_client_kept(cli->client);
}

pawl_status pw_cli_request(pw_cli *cli, const char *op, const pawl_value *args, int64_t timeout_ms,
                           const pawl_value **ret_reply, pawl_error *err)
{
    return pw_client_request(cli->client, op, args, timeout_ms, cli->scope, ret_reply, err);
}

/* ---- arguments ---- */

pawl_status pw_cli_file_read(pw_cli *cli, const char *path, size_t bytes_max, const char **ret_text,
                             size_t *ret_size, pawl_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return pw_err(err, errno == ENOENT ? PAWL_NOTFOUND : PAWL_IO, "read %.200s: %s", path,
                      strerror(errno));
    }
    pw_buf b = PW_BUF_INIT;
    pawl_status s = PAWL_OK;
    for (;;) {
        char chunk[65536];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            s = pw_err(err, PAWL_IO, "read %.200s: %s", path, strerror(errno));
        } else if (n > 0 && b.size + (size_t)n > bytes_max) {
            s = pw_err(err, PAWL_LIMIT, "%.200s is larger than %zu bytes", path, bytes_max);
        }
        if (n <= 0 || s != PAWL_OK) {
            break;
        }
        pw_buf_put(&b, chunk, (size_t)n);
    }
    if (!standard) {
        (void)close(fd);
    }
    char *copy = s == PAWL_OK && pw_buf_ok(&b)
                     ? pw_strndup(cli->scope, b.size > 0 ? (const char *)b.data : "", b.size)
                     : NULL;
    if (s == PAWL_OK && copy == NULL) {
        s = pw_err(err, PAWL_NOMEM, "read %.200s: out of memory", path);
    }
    if (s == PAWL_OK) {
        *ret_text = copy;
        *ret_size = b.size;
    }
    pw_buf_deinit(&b);
    return s;
}

int pw_cli_json_arg(pw_cli *cli, pw_cli_opt option, const pawl_value **ret_value)
{
    const char *text = cli->args->value[option];
    const char *from = NULL;
    size_t size = 0;
    pawl_error err = {0};
    *ret_value = NULL;
    if (text == NULL) {
        return PW_EXIT_OK;
    }
    size = strlen(text);
    if (text[0] == '@' || strcmp(text, "-") == 0) {
        from = text[0] == '@' ? text + 1 : "-";
        pawl_status s = pw_cli_file_read(cli, from, INPUT_BYTES_MAX, &text, &size, &err);
        if (s != PAWL_OK) {
            char what[64];
            (void)snprintf(what, sizeof what, "--%s", pw_cli_option_get(option)->word);
            int code = pw_cli_fail(cli, s, &err, what);
            return s == PAWL_LIMIT ? PW_EXIT_USAGE : code;
        }
    }
    pawl_status s = pawl_parse_json(cli->scope, text, size, ret_value, &err);
    if (s != PAWL_OK) {
        char what[128];
        (void)snprintf(what, sizeof what, "--%s%s%.60s is not JSON",
                       pw_cli_option_get(option)->word, from != NULL ? " from " : "",
                       from != NULL ? from : "");
        (void)pw_cli_fail(cli, s, &err, what);
        if (from == NULL && text[0] != '{' && text[0] != '[' && text[0] != '"') {
            pw_cli_note(
                cli, "      text needs its quotes, and the shell takes one pair: --%s '\"%.100s\"'",
                pw_cli_option_get(option)->word, text);
        } else if (from == NULL && s == PAWL_PARSE) {
            pw_cli_note(cli,
                        "      the shell takes double quotes that are not within single ones; from "
                        "a file: --%s @FILE",
                        pw_cli_option_get(option)->word);
        }
    }
    if (s == PAWL_OK) {
        return PW_EXIT_OK;
    }
    return s == PAWL_LIMIT ? PW_EXIT_USAGE
                           : pw_cli_exit_of(s); /* what was typed is too deep or too large */
}

const char *pw_cli_by(pw_cli *cli)
{
    char host[256] = "";
    const struct passwd *user = getpwuid(geteuid());
    if (cli->args->value[PW_OPT_BY] != NULL) {
        return cli->args->value[PW_OPT_BY];
    }
    (void)gethostname(host, sizeof host - 1);
    const char *by = user != NULL ? pw_sprintf(cli->scope, "%s@%s", user->pw_name, host)
                                  : pw_sprintf(cli->scope, "%u@%s", (unsigned)geteuid(), host);
    return by != NULL ? by : "";
}
