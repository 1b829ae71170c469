/*
 * cli_wait_show.c - of one question: what the data of an answer must look like, in words, and everything that was said to it.
 *
 * Does not say all that a JSON Schema can: what few words do not tell is in the JSON output.
 */
#include <inttypes.h>
#include <string.h>

#include "tools/cli_wait.h"

#define PAGE 1000
#define EVENTS_MAX 256

/* ---- the schema ---- */

/* "integer, 1 or more: the sum". Keywords that few words do not say are left to the JSON of the schema. */
static void schema_key(pw_cli *cli, const char *key, const pawl_value *of, bool required)
{
    pw_cli_out *o = &cli->out;
    pw_buf b = PW_BUF_INIT;
    const pawl_value *list = pawl_get(of, "enum");
    const char *about = pawl_str(of, "description", pawl_str(of, "title", ""));
    pw_buf_puts(&b, pawl_str(of, "type", list != NULL ? "one of" : "any value"));
    for (size_t i = 0; i < pawl_len(list); i++) {
        const char *json = pawl_to_json(cli->scope, pawl_at(list, i), 0);
        pw_buf_printf(&b, "%s%s", i == 0 ? " " : ", ", json != NULL ? json : "?");
    }
    if (pawl_get(of, "minimum") != NULL) {
        pw_buf_printf(&b, ", at least %g", pawl_num(of, "minimum", 0));
    }
    if (pawl_get(of, "maximum") != NULL) {
        pw_buf_printf(&b, ", at most %g", pawl_num(of, "maximum", 0));
    }
    pw_buf_printf(&b, "%s%s%s", required ? "" : ", may be left out", *about != '\0' ? ": " : "",
                  about);
    pw_out_puts(o, "    ");
    size_t columns = pw_out_str(o, key);
    pw_out_pad(o, columns < 12 ? 12 - columns : 1);
    pw_out_wrap(o, pw_buf_cstr(&b), columns < 12 ? 16 : columns + 5);
    pw_out_puts(o, "\n");
    pw_buf_deinit(&b);
}

static bool is_required(const pawl_value *schema, const char *key)
{
    const pawl_value *list = pawl_get(schema, "required");
    for (size_t i = 0; i < pawl_len(list); i++) {
        if (strcmp(pawl_str(pawl_at(list, i), "", ""), key) == 0) {
            return true;
        }
    }
    return false;
}

/* The data of an answer, key by key; a schema of another form stands as it is. */
void pw_wait_schema(pw_cli *cli, const pawl_value *schema)
{
    const pawl_value *keys = pawl_get(schema, "properties");
    if (schema == NULL) {
        return;
    }
    pw_wait_heading(&cli->out, "data");
    for (size_t i = 0; i < pawl_len(keys); i++) {
        const char *key = pawl_key_at(keys, i);
        schema_key(cli, key, pawl_at(keys, i), is_required(schema, key));
    }
    if (pawl_len(keys) == 0) {
        pw_out_value(&cli->out, schema, 4);
    }
}

/* ---- what was said ---- */

const pawl_value *pw_wait_events(pw_cli *cli, const pawl_value *wait)
{
    const pawl_value *found[EVENTS_MAX];
    size_t len = 0, got = PAGE;
    int64_t from = 1;
    while (got == PAGE && len < EVENTS_MAX) {
        const pawl_value *page = NULL;
        pawl_error err = {0};
        const pawl_value *args = pawl_build(cli->scope, "{id: %s, from: %lld, limit: %d}",
                                            cli->run_id, (long long)from, PAGE);
        pawl_status s = pw_cli_request(cli, "history", args, -1, &page, &err);
        got = s == PAWL_OK ? pawl_len(page) : 0;
        for (size_t i = 0; i < got && len < EVENTS_MAX; i++) {
            const pawl_value *e = pawl_at(page, i);
            from = pawl_int(e, "seq", 0) + 1;
            if (pawl_int(e, "command", 0) == pawl_int(wait, "command", -1)) {
                found[len++] = e;
            }
        }
    }
    return pawl_make_array(cli->scope, found, len);
}

/* "voted approve", "deferred, back in 2 d" ... */
static void put_said(const pw_cli_out *o, pw_buf *b, const pawl_value *event)
{
    static const struct {
        const char *type, *said;
    } words[] = {{"WaitCreated", "asked"},
                 {"WaitVoted", "voted"},
                 {"WaitDeferred", "deferred"},
                 {"WaitEscalated", "escalated"},
                 {"WaitAnswered", "answered"}};
    const char *type = pawl_str(event, "type", "?"), *choice = pawl_str(event, "choice", "");
    const char *to = pawl_str(event, "to", "");
    int64_t until = pawl_int(event, "until_ms", 0);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        type = strcmp(type, words[i].type) == 0 ? words[i].said : type;
    }
    pw_buf_printf(b, "%s%s%s", type, *choice != '\0' ? " " : "", choice);
    if (until != 0) {
        pw_buf_puts(b, ", back ");
        pw_wait_put_time(o, b, until);
    }
    if (*to != '\0') {
        pw_buf_puts(b, " to ");
        pw_wait_put_list(b, to);
    }
    if (pawl_get(event, "data") != NULL && pawl_typeof(pawl_get(event, "data")) != PAWL_NIL) {
        pw_buf_puts(b, ": ");
        pw_value_line(b, pawl_get(event, "data"), 60);
    }
}

/* "ann as finance (uid 1000)" */
static void put_person(pw_buf *b, const pawl_value *event)
{
    const char *as = pawl_str(event, "as", "");
    int64_t uid = pawl_int(event, "uid", -1);
    pw_buf_puts(b, pawl_str(event, "by", ""));
    pw_buf_printf(b, "%s%s", *as != '\0' ? " as " : "", as);
    if (uid >= 0) {
        pw_buf_printf(b, " (uid %" PRId64 ")", uid);
    }
}

void pw_wait_history(pw_cli *cli, const pawl_value *events)
{
    pw_cli_grid grid;
    pw_grid_init(&grid, 4);
    pw_wait_heading(&cli->out, "history");
    for (size_t i = 0; i < pawl_len(events); i++) {
        const pawl_value *e = pawl_at(events, i);
        pw_buf b = PW_BUF_INIT;
        pw_wait_put_time(&cli->out, &b, pawl_int(e, "time_ms", 0));
        pw_grid_str(&grid, PW_DIM, pw_buf_cstr(&b));
        pw_buf_reset(&b);
        put_person(&b, e);
        pw_grid_str(&grid, PW_PLAIN, pw_buf_cstr(&b));
        pw_buf_reset(&b);
        put_said(&cli->out, &b, e);
        pw_grid_str(&grid, PW_PLAIN, pw_buf_cstr(&b));
        pw_grid_str(&grid, PW_PLAIN, pawl_str(e, "reason", ""));
        pw_buf_deinit(&b);
    }
    (void)pw_grid_print(&cli->out, &grid, NULL, 4);
    pw_grid_deinit(&grid);
}
