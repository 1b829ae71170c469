/*
 * cli_event.c - reading a run's events, and events as lines.
 *
 *      7  +1.2 s  ActivityFailed       #3  build, attempt 2: ExitStatus: make: *** [all] Error 2
 *
 * The summary is made from the keys a body has, in one order for all types, so that an event type added later shows something sensible.
 * Does not interpret events: cli_trace.c does.
 */
#include "tools/cli_event.h"

#include <inttypes.h>
#include <string.h>

#include "sdk/base/record.h"

#define PAGE 500
#define TYPE_COLUMNS 23
#define VALUE_BYTES_MAX 2000

int pw_cli_describe(pw_cli *cli, const pawl_value **ret_run)
{
    pawl_error err = {0};
    pawl_status s = pw_cli_request(cli, "describe", pawl_build(cli->scope, "{id: %s}", cli->run_id),
                                   -1, ret_run, &err);
    return s == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, s, &err, NULL);
}

pawl_status pw_cli_events(pw_cli *cli, int64_t key, int64_t from, pw_cli_event_fn fn, void *ctx,
                          pawl_error *err)
{
    for (;;) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *page = NULL;
        const pawl_value *args = pawl_build(scope, "{key: %lld, from: %lld, limit: %d}",
                                            (long long)key, (long long)from, PAGE);
        pawl_status s = scope != NULL
                            ? pw_client_request(cli->client, "history", args, -1, scope, &page, err)
                            : pw_err(err, PAWL_NOMEM, "out of memory");
        size_t len = s == PAWL_OK ? pawl_len(page) : 0;
        bool more = len > 0;
        for (size_t i = 0; more && i < len; i++) {
            const pawl_value *event = pawl_at(page, i);
            int64_t seq = pawl_int(event, "seq", 0);
            more = seq >= from && fn(ctx, event);
            from = seq + 1;
        }
        pawl_scope_free(scope);
        if (s != PAWL_OK || !more || len < PAGE) {
            return s;
        }
    }
}

bool pw_cli_event_closes(const char *type)
{
    static const pw_event_type closing[] = {PW_EV_RUN_COMPLETED, PW_EV_RUN_FAILED,
                                            PW_EV_RUN_CANCELED, PW_EV_RUN_TERMINATED,
                                            PW_EV_RUN_TIMED_OUT};
    for (size_t i = 0; i < sizeof closing / sizeof closing[0]; i++) {
        if (strcmp(type, pw_event_name((int)closing[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

pw_cli_style pw_cli_event_style(const char *type)
{
    static const struct {
        const char *end;
        pw_cli_style style;
    } styles[] = {{"Completed", PW_GOOD},  {"Answered", PW_GOOD}, {"Fired", PW_GOOD},
                  {"Failed", PW_BAD},      {"TimedOut", PW_BAD},  {"Expired", PW_WARN},
                  {"Retried", PW_WARN},    {"Canceled", PW_WARN}, {"Requested", PW_WARN},
                  {"Terminated", PW_WARN}, {"Paused", PW_WARN},   {"Unknown", PW_BAD},
                  {"Received", PW_NOW},    {"Started", PW_NOW},   {"Scheduled", PW_NOW},
                  {"Created", PW_NOW}};
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        if (ends_with(type, styles[i].end)) {
            return styles[i].style;
        }
    }
    return PW_PLAIN;
}

/* ---- summary ---- */

typedef struct summary {
    pw_buf text;
    pw_buf value;
    const pawl_value *event;
} summary;

static void separate(summary *s)
{
    if (s->text.size > 0) {
        pw_buf_puts(&s->text, ", ");
    }
}

static void part_str(summary *s, const char *key, const char *label)
{
    const char *text = pawl_str(s->event, key, "");
    if (*text != '\0') {
        separate(s);
        pw_buf_printf(&s->text, "%s%s", label, text);
    }
}

static void part_due(summary *s)
{
    char span[32];
    int64_t due = pawl_int(s->event, "due_ms", pawl_int(s->event, "deadline_ms", 0));
    if (due != 0) {
        separate(s);
        pw_cli_span(span, due - pawl_int(s->event, "time_ms", due));
        pw_buf_printf(&s->text, "in %s", span);
    }
}

static void part_failure(summary *s)
{
    const pawl_value *failure = pawl_get(s->event, "failure");
    for (int level = 0; failure != NULL && level < 8; level++) {
        pw_buf_printf(&s->text, "%s%s: %s",
                      level > 0          ? ", because "
                      : s->text.size > 0 ? ": "
                                         : "",
                      pawl_str(failure, "type", "?"), pawl_str(failure, "message", ""));
        failure = pawl_get(failure, "cause");
    }
}

/* "held: 0.05 usd do not fit the 0.1 usd of run:1", "limits of goal:x: usd: 2" */
static void part_budget(summary *s)
{
    const pawl_value *held = pawl_get(s->event, "held");
    const pawl_value *raised = pawl_get(s->event, "raised");
    if (held != NULL) {
        separate(s);
        pw_buf_printf(&s->text, "held: %g %s do not fit the %g of %s", pawl_num(held, "asked", 0),
                      pawl_str(held, "unit", ""), pawl_num(held, "limit", 0),
                      pawl_str(held, "budget", ""));
    }
    if (raised != NULL) {
        separate(s);
        pw_buf_printf(&s->text, "limits of %s: ", pawl_str(raised, "budget", ""));
        pw_value_line(&s->text, pawl_get(raised, "limits"), VALUE_BYTES_MAX);
    }
    if (pawl_bool(s->event, "lost", false)) {
        separate(s);
        pw_buf_puts(&s->text, "what the one before used is not known");
    }
}

static void part_value(summary *s)
{
    static const char *const keys[] = {"result", "value", "input", "data"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const pawl_value *v = pawl_get(s->event, keys[i]);
        if (v != NULL) {
            pw_value_line(&s->value, v, VALUE_BYTES_MAX);
            return;
        }
    }
}

static void summary_make(summary *s)
{
    const pawl_value *e = s->event;
    part_str(s, "name", "");
    part_str(s, "workflow", "");
    part_str(s, "to", "to ");
    part_str(s, "kind", "");
    if (pawl_get(e, "workflow") == NULL) {
        part_str(s, "id", "");
    }
    if (pawl_int(e, "attempt", 1) > 1) {
        separate(s);
        pw_buf_printf(&s->text, "attempt %" PRId64, pawl_int(e, "attempt", 1));
    }
    if (pawl_get(e, "cached") != NULL) {
        separate(s);
        pw_buf_printf(&s->text, "kept result of %s", pawl_str(e, "cached.run", "?"));
    }
    if (pawl_get(e, "total") != NULL) {
        separate(s);
        pw_buf_printf(&s->text, "%" PRId64 " items", pawl_int(e, "total", 0));
    }
    if (pawl_int(e, "failed", 0) > 0) {
        pw_buf_printf(&s->text, ", %" PRId64 " failed", pawl_int(e, "failed", 0));
    }
    part_str(s, "choice", "");
    part_str(s, "reason", "");
    part_str(s, "text", "");
    part_due(s);
    part_str(s, "by", "by ");
    part_failure(s);
    part_budget(s);
    part_value(s);
}

/* Text that must fit what is left of a line; 0 = no limit. What is used up is taken off. */
static void put_part(pw_cli_out *out, const pw_buf *text, pw_cli_style style, size_t *left)
{
    if (text->size == 0 || *left == 1) {
        return;
    }
    pw_out_style(out, style);
    size_t used = pw_out_text(out, (const char *)text->data, text->size, *left);
    pw_out_style(out, PW_PLAIN);
    pw_out_puts(out, "  ");
    *left = *left == 0 ? 0 : *left > used + 3 ? *left - used - 2 : 1;
}

void pw_out_event_summary(pw_cli_out *out, const pawl_value *event, size_t columns)
{
    summary s = {.event = event};
    const char *at = pawl_str(event, "at", "");
    size_t at_columns = *at != '\0' ? strlen(at) + 2 : 0;
    size_t left = columns > at_columns + 20 ? columns - at_columns : columns;
    bool room = columns == 0 || left < columns;
    pw_buf_init(&s.text, 0);
    pw_buf_init(&s.value, 0);
    summary_make(&s);
    put_part(out, &s.text, PW_PLAIN, &left);
    put_part(out, &s.value, PW_DIM, &left);
    if (*at != '\0' && room) {
        pw_out_styled(out, PW_DIM, at);
    }
    pw_buf_deinit(&s.text);
    pw_buf_deinit(&s.value);
}

static void event_time(pw_cli_out *out, char ret[40], int64_t ms, int64_t started_ms)
{
    char span[32];
    if (out->times == PW_TIME_RELATIVE) {
        pw_cli_span(span, ms - started_ms);
        (void)snprintf(ret, 40, "+%s", span);
    } else if (out->times == PW_TIME_ISO) {
        pw_cli_iso(span, ms);
        (void)snprintf(ret, 40, "%-24s", span);
    } else {
        (void)snprintf(ret, 40, "%" PRId64, ms);
    }
}

void pw_out_event_line(pw_cli_out *out, const pawl_value *event, int64_t started_ms)
{
    char text[40];
    char command[24] = "";
    const char *type = pawl_str(event, "type", "?");
    int64_t cmd = pawl_int(event, "command", 0);
    pw_out_style(out, PW_DIM);
    pw_out_printf(out, "%4" PRId64 "  ", pawl_int(event, "seq", 0));
    event_time(out, text, pawl_int(event, "time_ms", 0), started_ms);
    pw_out_printf(out, "%10s  ", text);
    pw_out_style(out, PW_PLAIN);
    pw_out_styled(out, pw_cli_event_style(type), type);
    size_t columns = strlen(type);
    pw_out_pad(out, columns < TYPE_COLUMNS ? TYPE_COLUMNS - columns : 0);
    if (cmd > 0) {
        (void)snprintf(command, sizeof command, "#%" PRId64, cmd);
    }
    pw_out_style(out, PW_DIM);
    pw_out_printf(out, " %5s  ", command);
    pw_out_style(out, PW_PLAIN);
    size_t used = 4 + 2 +
                  (out->times == PW_TIME_ISO   ? 24u
                   : out->times == PW_TIME_RAW ? 13u
                                               : 10u) +
                  2 + TYPE_COLUMNS + 8;
    pw_out_event_summary(out, event,
                         out->width > used + 20 ? out->width - used
                         : out->width > 0       ? 20
                                                : 0);
    while (out->text.size > 0 && out->text.data[out->text.size - 1] == ' ') {
        out->text.size--;
    }
    pw_out_puts(out, "\n");
}
