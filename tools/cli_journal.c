/*
 * cli_journal.c - the commands about the file: verify, sql, version; and help, which needs no file.
 *
 * Reads only.
 */
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "journal/journal.h"
#include "sdk/base/value.h"
#include "tools/cli_help.h"
#include "tools/cli_session.h"

#define SQL_BYTES_MAX ((size_t)1 << 20)
#define SQL_ROWS_DEFAULT 1000
#define RECORD_COLUMNS_MIN 9

/* ---- verify ---- */

typedef struct verifying {
    pw_cli *cli;
    pw_cli_grid grid;
    const pawl_value *findings[1000];
    size_t len;
    pthread_mutex_t lock;
    pthread_cond_t done_changed;
    bool done;
} verifying;

static void finding_take(void *ctx, const pw_verify_finding *f)
{
    verifying *v = ctx;
    char text[64];
    const pawl_value *value =
        pawl_build(v->cli->scope, "{invariant: %s, run: %lld, pos: %lld, place: %s, message: %s}",
                   f->invariant, (long long)f->run, (long long)f->pos,
                   f->place[0] != 0 ? f->place : NULL, f->message);
    if (v->cli->out.format == PW_FORMAT_JSONL) {
        pw_out_json(&v->cli->out, value);
    }
    if (v->len < sizeof v->findings / sizeof v->findings[0]) {
        v->findings[v->len++] = value;
        pw_grid_str(&v->grid, PW_BAD, f->invariant);
        (void)snprintf(text, sizeof text, "run %" PRId64, f->run);
        pw_grid_str(&v->grid, PW_PLAIN, f->run != 0 ? text : f->place);
        (void)snprintf(text, sizeof text, "at %" PRId64, f->pos);
        pw_grid_str(&v->grid, PW_PLAIN, f->pos != 0 ? text : "");
        pw_grid_str(&v->grid, PW_PLAIN, f->message);
    }
}

/* Says after a second, and then each second, that it is still at it. Only on a terminal. */
static void *still_at_it(void *arg)
{
    verifying *v = arg;
    pw_cli_out *o = &v->cli->complain;
    struct timespec until = {0};
    (void)clock_gettime(CLOCK_REALTIME, &until);
    (void)pthread_mutex_lock(&v->lock);
    for (int seconds = 1; !v->done; seconds++) {
        until.tv_sec++;
        int late = 0;
        while (!v->done && late == 0) {
            late = pthread_cond_timedwait(&v->done_changed, &v->lock, &until);
        }
        if (!v->done) {
            pw_out_printf(o, "\rchecking (%d s)\033[K", seconds);
            (void)pw_cli_out_flush(o);
        } else if (seconds > 1) {
            pw_out_puts(o, "\r\033[K");
            (void)pw_cli_out_flush(o);
        }
    }
    (void)pthread_mutex_unlock(&v->lock);
    return NULL;
}

static pawl_status verify_watched(verifying *v, pw_verify_stats *stats, pawl_error *err)
{
    pthread_t watcher = 0;
    bool watched = v->cli->complain.terminal && pthread_create(&watcher, NULL, still_at_it, v) == 0;
    pawl_status s = pw_sqlite_verify(v->cli->db, finding_take, v, stats, err);
    if (watched) {
        (void)pthread_mutex_lock(&v->lock);
        v->done = true;
        (void)pthread_cond_signal(&v->done_changed);
        (void)pthread_mutex_unlock(&v->lock);
        (void)pthread_join(watcher, NULL);
    }
    return s;
}

static void verify_print(verifying *v, const pw_verify_stats *n)
{
    pw_cli_out *o = &v->cli->out;
    if (o->format != PW_FORMAT_TEXT) {
        const pawl_value *list = pawl_make_array(v->cli->scope, v->findings, v->len);
        const pawl_value *sum = pawl_build(
            v->cli->scope,
            "{sound: %p, runs: %lld, records: %lld, events: %lld, blobs: %lld, findings: %lld}",
            pawl_v(pawl_make_bool(v->cli->scope, n->findings == 0)), (long long)n->runs,
            (long long)n->records, (long long)n->events, (long long)n->blobs,
            (long long)n->findings);
        pw_out_json(o, o->format == PW_FORMAT_JSON ? pawl_with(v->cli->scope, sum, "list", list)
                                                   : sum);
        return;
    }
    (void)pw_grid_print(o, &v->grid, NULL, 0);
    pw_out_styled(o, n->findings == 0 ? PW_GOOD : PW_BAD, n->findings == 0 ? "sound" : "damaged");
    pw_out_printf(o,
                  ": %" PRId64 " run%s, %" PRId64 " records, %" PRId64 " events, %" PRId64 " blobs",
                  n->runs, n->runs == 1 ? "" : "s", n->records, n->events, n->blobs);
    if (n->findings > 0) {
        pw_out_printf(o, ", %" PRId64 " findings", n->findings);
    }
    pw_out_puts(o, "\n");
}

int pw_verb_verify(pw_cli *cli)
{
    verifying v = {
        .cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER, .done_changed = PTHREAD_COND_INITIALIZER};
    pw_verify_stats stats = {0};
    pawl_error err = {0};
    int code = pw_cli_journal_there(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pw_grid_init(&v.grid, 4);
    pawl_status s = verify_watched(&v, &stats, &err);
    if (s == PAWL_OK) {
        verify_print(&v, &stats);
        code = stats.findings == 0 ? PW_EXIT_OK : PW_EXIT_JOURNAL;
    } else {
        cli->way_out = s == PAWL_DAMAGED ? "keep the file, and restore a backup" : NULL;
        cli->next = s == PAWL_DAMAGED ? "" : NULL;
        code = pw_cli_fail(cli, s, &err, NULL);
    }
    pw_grid_deinit(&v.grid);
    return code;
}

/* ---- sql ---- */

typedef struct selecting {
    pw_cli *cli;
    pw_cli_grid grid;
    const char *headings[PW_TABLE_COLUMNS_MAX];
    size_t columns;
    size_t rows;
    size_t max;   /* 0 = all */
    bool records; /* too wide for a table */
    bool more;
    bool broken;
} selecting;

static void cell_add(selecting *q, const pawl_value *v)
{
    pw_buf b = PW_BUF_INIT;
    size_t size = 0;
    const uint8_t *bytes = pawl_typeof(v) == PAWL_BYTES ? pawl_data(v, "", &size) : NULL;
    if (bytes != NULL && size <= 32) {
        for (size_t i = 0; i < size; i++) {
            pw_buf_printf(&b, "%02x", bytes[i]);
        }
    } else if (v != NULL && pawl_typeof(v) != PAWL_NIL) {
        pw_value_line(&b, v, 4000);
    }
    pw_grid_add(&q->grid, PW_PLAIN, b.size > 0 ? (const char *)b.data : "", b.size);
    pw_buf_deinit(&b);
}

static void row_first(selecting *q, const pawl_value *row)
{
    q->columns = pawl_len(row);
    q->records = (q->columns >= RECORD_COLUMNS_MIN && q->cli->out.terminal) ||
                 q->columns > PW_TABLE_COLUMNS_MAX;
    pw_grid_init(&q->grid, q->columns);
    for (size_t i = 0; i < q->columns && i < PW_TABLE_COLUMNS_MAX; i++) {
        const char *key = pawl_key_at(row, i);
        q->headings[i] = key != NULL ? key : "";
    }
}

static bool row_take(void *ctx, pw_view row_map)
{
    selecting *q = ctx;
    pw_cli_out *o = &q->cli->out;
    const pawl_value *row = pw_value_copy(q->cli->scope, row_map.data, row_map.size);
    if (q->max != 0 && q->rows == q->max) {
        q->more = true;
        return false;
    }
    if (q->rows++ == 0) {
        row_first(q, row);
    }
    if (o->format != PW_FORMAT_TEXT) {
        pw_out_json_item(o, row, q->rows - 1);
    } else if (q->records) {
        pw_out_puts(o, q->rows == 1 ? "" : "\n");
        pw_out_value(o, row, 0);
    } else {
        for (size_t i = 0; i < q->columns; i++) {
            cell_add(q, pawl_at(row, i));
        }
    }
    if (o->text.size > 65536 && !pw_cli_out_flush(o)) {
        q->broken = true;
    }
    return !q->broken;
}

int pw_verb_sql(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    selecting q = {.cli = cli};
    pawl_error err = {0};
    const char *statement = a->operand_count > 0 ? a->operand[0] : NULL;
    size_t size = 0;
    if (statement == NULL) {
        return pw_cli_usage(cli, "which statement?");
    }
    q.max = pw_cli_has(a, PW_OPT_LIMIT)         ? (size_t)a->number[PW_OPT_LIMIT]
            : cli->out.format == PW_FORMAT_TEXT ? SQL_ROWS_DEFAULT
                                                : 0;
    if (strcmp(statement, "-") == 0) {
        pawl_status s = pw_cli_file_read(cli, "-", SQL_BYTES_MAX, &statement, &size, &err);
        if (s != PAWL_OK) {
            return pw_cli_fail(cli, s, &err, NULL);
        }
    }
    int code = pw_cli_journal_there(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s = pw_sqlite_query(cli->db, statement, row_take, &q, &err);
    if (s != PAWL_OK) {
        cli->way_out = s == PAWL_DENIED ? "" : NULL;
        cli->next = s == PAWL_INVALID ? "pawl help sql" : NULL;
        code = pw_cli_fail(cli, s, &err, NULL);
    } else if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json_end(&cli->out, q.rows);
    } else if (q.rows > 0 && !q.records) {
        (void)pw_grid_print(&cli->out, &q.grid, q.headings, 0);
    }
    if (q.more) {
        pw_cli_note(cli, "there are more rows: --limit 0 shows all");
    }
    pw_grid_deinit(&q.grid);
    return code;
}

/* ---- version ---- */

/* ", schema 3: the next engine migrates it" */
static void schema_print(pw_cli_out *o, int64_t schema)
{
    if (schema > 0) {
        pw_out_printf(o, ", schema %" PRId64 "%s", schema,
                      schema > pw_schema_version()   ? " (newer than this pawl)"
                      : schema < pw_schema_version() ? " (the next engine migrates it)"
                                                     : "");
    }
}

int pw_verb_version(pw_cli *cli)
{
    pw_cli_out *o = &cli->out;
    struct stat st;
    pawl_error err = {0};
    int64_t pid = 0;
    uint64_t epoch = 0;
    char socket[108];
    bool there = stat(cli->db, &st) == 0;
    int64_t schema = 0;
    if (there) {
        (void)pw_sqlite_file_version(cli->db, &schema, &err);
    }
    if (!there || pw_owner_probe(cli->db, &pid, &epoch, socket, &err) != PAWL_OK) {
        pid = 0;
    }
    if (o->format != PW_FORMAT_TEXT) {
        const pawl_value *v = pawl_build(cli->scope, "{pawl: %s, sqlite: %s, schema: %d}",
                                         pawl_version(), pw_sqlite_version(), pw_schema_version());
        if (there) {
            v = pawl_with(cli->scope, v, "journal",
                          pawl_build(cli->scope, "{file: %s, schema: %lld, owner_pid: %lld}",
                                     cli->db, (long long)schema, (long long)pid));
        }
        pw_out_json(o, v);
        return PW_EXIT_OK;
    }
    pw_out_printf(o, "pawl     %s\nSQLite   %s\nschema   %d\n", pawl_version(), pw_sqlite_version(),
                  pw_schema_version());
    if (there) {
        pw_out_puts(o, "journal  ");
        (void)pw_out_str(o, cli->db);
        schema_print(o, schema);
        if (pid > 0) {
            pw_out_printf(o, ", owned by pid %" PRId64 "\n", pid);
        } else if (pid < 0) {
            pw_out_puts(o, ", another process is just at it\n");
        } else {
            pw_out_puts(o, schema > 0 ? ", no engine runs\n" : "\n");
        }
    }
    return PW_EXIT_OK;
}

/* ---- help ---- */

int pw_verb_help(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    pawl_error err = {0};
    if (pw_cli_has(a, PW_OPT_COMPLETION)) {
        static void (*const scripts[])(pw_buf * text) = {pw_completion_bash, pw_completion_zsh,
                                                         pw_completion_fish}; /* as the choices */
        scripts[a->number[PW_OPT_COMPLETION]](&cli->out.text);
    } else if (pw_cli_has(a, PW_OPT_MARKDOWN)) {
        pw_markdown_tables(&cli->out.text);
    } else if (pw_cli_has(a, PW_OPT_MAN)) {
        size_t count = 0;
        pawl_status s = pw_man_write(a->value[PW_OPT_MAN], &count, &err);
        if (s != PAWL_OK) {
            return pw_cli_fail(cli, s, &err, NULL);
        }
        pw_out_printf(&cli->out, "wrote %zu pages to ", count);
        (void)pw_out_str(&cli->out, a->value[PW_OPT_MAN]);
        pw_out_puts(&cli->out, "\n");
    } else if (a->operand_count == 0) {
        pw_help_all(&cli->out);
    } else {
        const pw_cli_command *c = pw_cli_command_find(a->operand[0]);
        if (c == NULL) {
            const pw_cli_command *near = pw_cli_command_near(a->operand[0]);
            pw_cli_complaint no = {0};
            (void)snprintf(no.message, sizeof no.message, "there is no command \"%.100s\"",
                           a->operand[0]);
            if (near != NULL) {
                (void)snprintf(no.hint, sizeof no.hint, "did you mean \"pawl help %s\"?",
                               near->name);
            }
            pw_cli_complaint_print(&cli->complain, &no);
            return PW_EXIT_USAGE;
        }
        pw_help_command(&cli->out, c);
    }
    return PW_EXIT_OK;
}
