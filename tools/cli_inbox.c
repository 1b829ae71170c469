/*
 * cli_inbox.c - what commands left in the journal while no engine ran, so that "list" can say so and a signal can follow a start; and what of
 * it an engine has refused since.
 *
 * Reads the file through the read-only query door. What waits is never asked for while an engine owns the journal.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/request.h"
#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/value.h"
#include "tools/cli_session.h"

#define UUID_BYTES ((size_t)36)

typedef struct inbox {
    pw_cli *cli;
    const pawl_value *items[256];
    size_t len;
} inbox;

/* Its column "body", unpacked; nil when it holds nothing that can be. */
static const pawl_value *body_of(const inbox *in, const pawl_value *row)
{
    const pawl_value *value = NULL;
    size_t size = 0;
    const void *body = pawl_data(row, "body", &size);
    return body != NULL && pawl_from_msgpack(in->cli->scope, body, size, &value, NULL) == PAWL_OK
               ? value
               : NULL;
}

/* One row {posted_ms, body}: the body is a request as the control protocol carries it, [1, id, "op", {args}]. */
static bool row_take(void *ctx, pw_view row_map)
{
    inbox *in = ctx;
    pawl_scope *scope = in->cli->scope;
    const pawl_value *row = pw_value_copy(scope, row_map.data, row_map.size);
    const pawl_value *request = body_of(in, row);
    if (request == NULL) {
        return true;
    }
    const pawl_value *args = pawl_at(request, 3);
    in->items[in->len++] =
        pawl_build(scope, "{op: %s, id: %s, posted_ms: %lld, args: %p}",
                   pawl_str(pawl_at(request, 2), "", "?"), pawl_str(args, "id", NULL),
                   (long long)pawl_int(row, "posted_ms", 0), pawl_v(args));
    return in->len < sizeof in->items / sizeof in->items[0];
}

const pawl_value *pw_cli_inbox(pw_cli *cli)
{
    inbox in = {.cli = cli};
    pawl_error err = {0};
    if (pw_cli_live(cli) ||
        pw_sqlite_query(cli->db, "SELECT posted_ms, body FROM pawl_inbox ORDER BY id", row_take,
                        &in, &err) != PAWL_OK ||
        in.len == 0) {
        return NULL;
    }
    return pawl_make_array(cli->scope, in.items, in.len);
}

bool pw_cli_inbox_starts(pw_cli *cli, const char *id)
{
    const pawl_value *kept = pw_cli_inbox(cli);
    for (size_t i = 0; i < pawl_len(kept); i++) {
        const pawl_value *item = pawl_at(kept, i);
        if (pawl_is(item, "op", "start") && pawl_is(item, "id", id)) {
            return true;
        }
    }
    return false;
}

const char *pw_cli_inbox_start_of(pw_cli *cli, const char *prefix)
{
    const pawl_value *kept = pw_cli_inbox(cli);
    const char *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < pawl_len(kept); i++) {
        const char *id = pawl_str(pawl_at(kept, i), "id", "");
        if (pawl_is(pawl_at(kept, i), "op", "start") && strncmp(id, prefix, strlen(prefix)) == 0) {
            count += found == NULL || strcmp(found, id) != 0;
            found = id;
        }
    }
    return count == 1 ? found : NULL;
}

/* Does a kept answer name this question? Without a name it is of whatever the run asks. */
static bool is_of(const char *given, const char *name, int64_t command)
{
    char exact[160];
    (void)snprintf(exact, sizeof exact, "%.120s:%" PRId64, name, command);
    return given == NULL || strcmp(given, name) == 0 || strcmp(given, exact) == 0;
}

bool pw_cli_inbox_answers(const pawl_value *kept, const char *id, const char *name, int64_t command,
                          pw_buf *text)
{
    size_t said = 0;
    for (size_t i = 0; i < pawl_len(kept); i++) {
        const pawl_value *item = pawl_at(kept, i), *args = pawl_get(item, "args");
        const pawl_value *defer = pawl_get(args, "value.defer");
        if (pawl_is(item, "op", "answer") && pawl_is(item, "id", id) &&
            is_of(pawl_str(args, "name", NULL), name, command)) {
            pw_buf_printf(text, "%s%s by %s", said++ > 0 ? ", " : "",
                          defer != NULL ? "deferred" : pawl_str(args, "value.choice", "answered"),
                          pawl_str(args, "by", "?"));
        }
    }
    return said > 0;
}

/* ---- what was refused ---- */

static bool refusal_take(void *ctx, pw_view row_map)
{
    inbox *in = ctx;
    pawl_scope *scope = in->cli->scope;
    const pawl_value *row = pw_value_copy(scope, row_map.data, row_map.size);
    const pawl_value *refused = pawl_get(body_of(in, row), "refused");
    if (refused != NULL) {
        in->items[in->len++] =
            pawl_with(scope, refused, "at_ms", pawl_make_int(scope, pawl_int(row, "at_ms", 0)));
    }
    return in->len < sizeof in->items / sizeof in->items[0];
}

const pawl_value *pw_cli_refusals(pw_cli *cli, const char *id, int64_t since_ms)
{
    inbox in = {.cli = cli};
    pawl_error err = {0};
    /* Ids hold no quotes. The keys of a run's children begin so, too, but are longer. */
    const char *sql = pw_sprintf(
        cli->scope,
        "SELECT at_ms, body FROM pawl_outcomes WHERE dedup > '" PW_CLIENT_KEY
        "%s/' AND dedup < '" PW_CLIENT_KEY
        "%s0' AND length(dedup) = %zu AND status <> 0 AND at_ms >= %" PRId64 " ORDER BY at_ms",
        id, id, strlen(PW_CLIENT_KEY) + strlen(id) + 1 + UUID_BYTES, since_ms);
    if (sql == NULL || pw_sqlite_query(cli->db, sql, refusal_take, &in, &err) != PAWL_OK ||
        in.len == 0) {
        return NULL;
    }
    return pawl_make_array(cli->scope, in.items, in.len);
}

const char *pw_cli_refusal_line(pw_cli *cli, const pawl_value *refused)
{
    const char *name = pawl_str(refused, "name", ""), *choice = pawl_str(refused, "choice", "");
    const char *by = pawl_str(refused, "by", "");
    char when[32];
    if (cli->out.times == PW_TIME_RELATIVE) {
        pw_cli_relative(when, pawl_int(refused, "at_ms", 0), cli->out.now_ms);
    } else {
        pw_cli_iso(when, pawl_int(refused, "at_ms", 0));
    }
    const char *line = pw_sprintf(cli->scope, "%s%s%s%s%s%s%s, kept for an engine, refused %s: %s",
                                  pawl_str(refused, "op", "?"), *name != '\0' ? " " : "", name,
                                  *choice != '\0' ? " " : "", choice, *by != '\0' ? " by " : "", by,
                                  when, pawl_str(refused, "message", "?"));
    return line != NULL ? line : "";
}
