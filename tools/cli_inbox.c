/*
 * cli_inbox.c - what commands left in the journal while no engine ran, so that "list" can say so and a signal can follow a start.
 *
 * Reads the file through the read-only query door; never asked while an engine owns the journal.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/request.h"
#include "journal/journal.h"
#include "sdk/base/value.h"
#include "tools/cli_session.h"

typedef struct inbox {
    pw_cli *cli;
    const pawl_value *items[256];
    size_t len;
} inbox;

/* One row {posted_ms, body}: the body is a request as the control protocol carries it, [1, id, "op", {args}]. */
static bool row_take(void *ctx, pw_view row_map)
{
    inbox *in = ctx;
    pawl_scope *scope = in->cli->scope;
    const pawl_value *row = pw_value_copy(scope, row_map.data, row_map.size);
    const pawl_value *request = NULL;
    size_t size = 0;
    const void *body = pawl_data(row, "body", &size);
    if (body == NULL || pawl_from_msgpack(scope, body, size, &request, NULL) != PAWL_OK) {
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
