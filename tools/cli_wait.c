/*
 * cli_wait.c - what waits for a person: the list of open questions, and one of them with everything that belongs to it.
 *
 *   release-42  approval publish  escalated
 *     asks       Publish it?
 *     asked      3 h ago
 *     until      20 h left, then reject
 *     who        ann, bob; not eve
 *     votes      1 of 2 who must agree: ann approve
 *     pawl answer release-42 approve|reject
 *
 * On a terminal text is broken between words; what is to be typed is broken so that it can still be pasted. Nothing here answers anything:
 * cli_answer.c does.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "tools/cli_wait.h"

#define LABEL_COLUMNS 10
#define TEXT_INDENT 13 /* "  label      text" */
#define SHOWN_LINES_MAX 8
#define SAMPLE_KEYS_MAX 6

/* ---- fields ---- */

static void label(pw_cli_out *o, const char *text)
{
    pw_out_puts(o, "  ");
    pw_out_style(o, PW_DIM);
    pw_out_printf(o, "%-*s", LABEL_COLUMNS, text);
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, " ");
}

/* A label with what it names below it. */
void pw_wait_heading(pw_cli_out *o, const char *text)
{
    pw_out_puts(o, "  ");
    pw_out_styled(o, PW_DIM, text);
    pw_out_puts(o, "\n");
}

static void field(pw_cli_out *o, const char *name, const char *text)
{
    if (text != NULL && *text != '\0') {
        label(o, name);
        pw_out_wrap(o, text, TEXT_INDENT);
        pw_out_puts(o, "\n");
    }
}

static void field_buf(pw_cli_out *o, const char *name, pw_buf *b)
{
    field(o, name, b->size > 0 ? pw_buf_cstr(b) : "");
    pw_buf_deinit(b);
}

/* "in 2 d", "3 min ago", or as --time-format says. */
void pw_wait_put_time(const pw_cli_out *o, pw_buf *b, int64_t ms)
{
    char text[48];
    if (o->times == PW_TIME_RELATIVE) {
        pw_cli_relative(text, ms, o->now_ms);
    } else if (o->times == PW_TIME_ISO) {
        pw_cli_iso(text, ms);
    } else {
        (void)snprintf(text, sizeof text, "%" PRId64, ms);
    }
    pw_buf_puts(b, text);
}

/* "a|b|c" for eyes: "a, b, c". */
void pw_wait_put_list(pw_buf *b, const char *list)
{
    for (; *list != '\0'; list++) {
        pw_buf_puts(b, *list == '|' ? ", " : "");
        if (*list != '|') {
            pw_buf_putc(b, (unsigned char)*list);
        }
    }
}

/* ---- how a question stands ---- */

static bool is_deferred(const pw_cli_out *o, const pawl_value *wait)
{
    int64_t until = pawl_int(wait, "deferred.until_ms", 0);
    return pawl_get(wait, "deferred") != NULL && (until == 0 || until > o->now_ms);
}

static bool is_escalated(const pawl_value *wait)
{
    return pawl_int(wait, "escalated_ms", 0) != 0;
}

static bool takes_votes(const pawl_value *wait)
{
    return pawl_int(wait, "quorum", 1) > 1 || pawl_int(wait, "rejects", 1) > 1;
}

/* "1 vote, 2 must agree, 1 may reject: ann approve". */
static void put_votes(pw_buf *b, const pawl_value *wait)
{
    const pawl_value *votes = pawl_get(wait, "votes");
    size_t len = pawl_len(votes);
    if (!takes_votes(wait)) {
        return;
    }
    pw_buf_printf(b, "%zu vote%s, %" PRId64 " must agree", len, len == 1 ? "" : "s",
                  pawl_int(wait, "quorum", 1));
    if (pawl_int(wait, "rejects", 1) > 1) {
        pw_buf_printf(b, ", %" PRId64 " to reject", pawl_int(wait, "rejects", 1));
    }
    for (size_t i = 0; i < len; i++) {
        const pawl_value *one = pawl_at(votes, i);
        pw_buf_printf(b, "%s%s %s", i == 0 ? ": " : ", ", pawl_str(one, "by", "?"),
                      pawl_str(one, "choice", "data"));
    }
}

static void put_who(pw_buf *b, const pawl_value *wait)
{
    const char *who = pawl_str(wait, "who", ""), *barred = pawl_str(wait, "barred", "");
    const char *then = pawl_str(wait, "escalate_to", "");
    if (*who == '\0' && *barred == '\0') {
        return;
    }
    pw_buf_puts(b, *who == '\0' ? "anybody" : "");
    pw_wait_put_list(b, who);
    if (*who != '\0' && *then != '\0' && is_escalated(wait)) {
        pw_buf_puts(b, ", ");
        pw_wait_put_list(b, then);
    }
    pw_buf_puts(b, *barred != '\0' ? "; not " : "");
    pw_wait_put_list(b, barred);
}

static void put_deferred(const pw_cli_out *o, pw_buf *b, const pawl_value *wait)
{
    int64_t until = pawl_int(wait, "deferred.until_ms", 0);
    const char *reason = pawl_str(wait, "deferred.reason", "");
    pw_buf_printf(b, "by %s ", pawl_str(wait, "deferred.by", "?"));
    pw_wait_put_time(o, b, pawl_int(wait, "deferred.at_ms", 0));
    if (until != 0) {
        pw_buf_puts(b, ", back ");
        pw_wait_put_time(o, b, until);
    }
    pw_buf_printf(b, "%s%s", *reason != '\0' ? ": " : "", reason);
}

static void put_escalation(const pw_cli_out *o, pw_buf *b, const pawl_value *wait)
{
    const char *to = pawl_str(wait, "escalate_to", "");
    int64_t at = pawl_int(wait, is_escalated(wait) ? "escalated_ms" : "escalate_ms", 0);
    pw_wait_put_time(o, b, at);
    pw_buf_puts(b, *to != '\0' ? ", to " : "");
    pw_wait_put_list(b, to);
}

const char *pw_cli_wait_line(pw_cli *cli, const pawl_value *wait)
{
    pw_buf b = PW_BUF_INIT;
    pw_buf_puts(&b, pawl_str(wait, "name", "?"));
    size_t before = b.size;
    if (takes_votes(wait)) {
        pw_buf_puts(&b, ": ");
        put_votes(&b, wait);
    }
    if (is_deferred(&cli->out, wait)) {
        pw_buf_puts(&b, b.size > before ? "; deferred " : ": deferred ");
        put_deferred(&cli->out, &b, wait);
    }
    if (is_escalated(wait)) {
        pw_buf_puts(&b, b.size > before ? "; escalated " : ": escalated ");
        put_escalation(&cli->out, &b, wait);
    }
    const char *text = pw_strdup(cli->scope, pw_buf_cstr(&b));
    pw_buf_deinit(&b);
    return text != NULL ? text : "";
}

/* ---- what to type ---- */

/* How an answer has to name this wait: not at all when its run asks nothing else; "name:command" when two have one name. */
static const char *name_needed(pw_cli *cli, const pawl_value *waits, const pawl_value *wait)
{
    const char *id = pawl_str(wait, "id", ""), *name = pawl_str(wait, "name", "");
    int asks = 0, same = 0;
    for (size_t i = 0; i < pawl_len(waits); i++) {
        const pawl_value *other = pawl_at(waits, i);
        asks += pawl_is(other, "id", id) ? 1 : 0;
        same += pawl_is(other, "id", id) && pawl_is(other, "name", name) ? 1 : 0;
    }
    const char *exact =
        same > 1 ? pw_sprintf(cli->scope, "%s:%lld", name, (long long)pawl_int(wait, "command", 0))
                 : name;
    return asks > 1 ? exact : NULL;
}

static const pawl_value *sample_of(pw_cli *cli, const char *type)
{
    static const struct {
        const char *type, *sample;
    } samples[] = {{"integer", "0"},     {"number", "0"}, {"string", "\"\""},
                   {"boolean", "false"}, {"array", "[]"}, {"object", "{}"}};
    const pawl_value *v = NULL;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        if (strcmp(samples[i].type, type) == 0) {
            pawl_error err;
            (void)!pawl_parse_json(cli->scope, samples[i].sample, strlen(samples[i].sample), &v,
                                   &err);
        }
    }
    return v;
}

/* Data in the form that is asked for, to be filled in: '{"sum": 0}'; "JSON" when the schema does not say it in few words. */
static const char *data_word(pw_cli *cli, const pawl_value *wait)
{
    const pawl_value *keys = pawl_get(wait, "schema.properties");
    size_t len = pawl_len(keys);
    const pawl_value *v = NULL;
    for (size_t i = 0; i < len && len <= SAMPLE_KEYS_MAX; i++) {
        v = pawl_with(cli->scope, v, pawl_key_at(keys, i),
                      sample_of(cli, pawl_str(pawl_at(keys, i), "type", "")));
    }
    const char *json = v != NULL ? pawl_to_json(cli->scope, v, 0) : NULL;
    return json != NULL ? pw_cli_shell_word(cli->scope, json) : "JSON";
}

typedef struct typed {
    pw_cli_out *out;
    size_t column;
} typed;

/* A word of a command; the line goes on behind a backslash when it does not fit. */
static void type_word(typed *t, const char *word)
{
    pw_cli_out *o = t->out;
    size_t columns = pw_out_columns(o, word, strlen(word));
    if (t->column > 2 && o->width != 0 && t->column + 1 + columns + 2 > o->width) {
        pw_out_puts(o, " \\\n      ");
        t->column = 6;
    } else if (t->column > 2) {
        pw_out_puts(o, " ");
        t->column++;
    }
    t->column += pw_out_str(o, word);
}

static void type_begin(pw_cli *cli, typed *t)
{
    *t = (typed){&cli->out, 2};
    const char *db = pw_cli_db_words(cli);
    pw_out_puts(&cli->out, "  ");
    pw_out_style(&cli->out, PW_DIM);
    type_word(t, "pawl");
    if (*db != '\0') {
        type_word(t, db + 1);
    }
}

static void type_end(const typed *t)
{
    pw_out_style(t->out, PW_PLAIN);
    pw_out_puts(t->out, "\n");
}

static void type_answer(pw_cli *cli, typed *t, const char *name, const pawl_value *wait)
{
    type_begin(cli, t);
    type_word(t, "answer");
    type_word(t, pw_cli_shell_word(cli->scope, pawl_str(wait, "id", "?")));
    if (name != NULL) {
        type_word(t, "--name");
        type_word(t, pw_cli_shell_word(cli->scope, name));
    }
}

/* "pawl answer release-42 approve|reject". Choices are a list, or text "a|b". */
static void type_line(pw_cli *cli, const char *name, const pawl_value *wait)
{
    const pawl_value *choices = pawl_get(wait, "choices");
    pw_buf b = PW_BUF_INIT;
    typed t;
    pw_buf_puts(&b, pawl_str(choices, "", ""));
    for (size_t i = 0; pawl_typeof(choices) == PAWL_ARRAY && i < pawl_len(choices); i++) {
        pw_buf_printf(&b, "%s%s", i > 0 ? "|" : "", pawl_str(pawl_at(choices, i), "", "?"));
    }
    bool free_answer = b.size == 0;
    type_answer(cli, &t, name, wait);
    type_word(&t, free_answer ? "--data" : pw_buf_cstr(&b));
    if (free_answer) {
        type_word(&t, data_word(cli, wait));
    }
    type_end(&t);
    pw_buf_deinit(&b);
}

/* ---- one question ---- */

static void head(pw_cli *cli, const pawl_value *wait)
{
    pw_cli_out *o = &cli->out;
    pw_out_styled(o, PW_BOLD, pawl_str(wait, "id", "?"));
    pw_out_puts(o, "  ");
    pw_out_styled(o, PW_NOW, pawl_str(wait, "kind", "other"));
    pw_out_puts(o, " ");
    (void)pw_out_str(o, pawl_str(wait, "name", "?"));
    if (is_escalated(wait) || is_deferred(o, wait)) {
        pw_out_puts(o, "  ");
        pw_out_styled(o, PW_WARN, is_escalated(wait) ? "escalated" : "deferred");
    }
    pw_out_puts(o, "\n");
}

static void deadline(const pw_cli *cli, pw_buf *b, const pawl_value *wait)
{
    int64_t due = pawl_int(wait, "deadline_ms", 0);
    const char *then = pawl_str(wait, "on_deadline", NULL);
    char left[48];
    if (due == 0) {
        return;
    }
    if (cli->out.times == PW_TIME_RELATIVE) {
        pw_cli_left(left, due, cli->out.now_ms);
        pw_buf_puts(b, left);
    } else {
        pw_wait_put_time(&cli->out, b, due);
    }
    pw_buf_puts(b, then != NULL ? ", then " : ", then it fails");
    pw_buf_puts(b, then != NULL ? then : "");
    if (pawl_int(wait, "first_due_ms", 0) != 0) {
        pw_buf_puts(b, "; moved by deferring");
    }
}

static void fields(pw_cli *cli, const pawl_value *wait)
{
    pw_cli_out *o = &cli->out;
    pw_buf b = PW_BUF_INIT;
    field(o, "asks", pawl_str(wait, "prompt", ""));
    pw_wait_put_time(o, &b, pawl_int(wait, "created_ms", 0));
    field_buf(o, "asked", &b);
    deadline(cli, &b, wait);
    field_buf(o, "until", &b);
    put_who(&b, wait);
    field_buf(o, "who", &b);
    put_votes(&b, wait);
    field_buf(o, "votes", &b);
    if (is_deferred(o, wait)) {
        put_deferred(o, &b, wait);
        field_buf(o, "deferred", &b);
    }
    if (pawl_int(wait, "escalate_ms", 0) != 0) {
        put_escalation(o, &b, wait);
        field_buf(o, is_escalated(wait) ? "escalated" : "escalates", &b);
    }
    if (pawl_get(wait, "kept") != NULL) {
        pw_buf_printf(&b, "%s; the next engine takes it: pawl%s serve", pawl_str(wait, "kept", ""),
                      pw_cli_db_words(cli));
        field_buf(o, "kept", &b);
    }
}

/* What to look at; cut in a list, where it is one of many. */
static void shown(pw_cli *cli, const pawl_value *value, size_t lines_max)
{
    pw_cli_out *o = &cli->out;
    if (value == NULL) {
        return;
    }
    pw_wait_heading(o, "look at");
    size_t before = o->text.size, lines = 0;
    pw_out_value(o, value, 4);
    for (size_t i = before; lines_max > 0 && i < o->text.size; i++) {
        lines += o->text.data[i] == '\n' ? 1 : 0;
        if (lines == lines_max && i + 1 < o->text.size) {
            o->text.size = i + 1;
            pw_out_puts(o, "    ... pawl wait show tells all\n");
            return;
        }
    }
}

/* ---- the list ---- */

static void list_one(pw_cli *cli, const pawl_value *waits, const pawl_value *wait)
{
    head(cli, wait);
    fields(cli, wait);
    shown(cli, pawl_get(wait, "show"), SHOWN_LINES_MAX);
    type_line(cli, name_needed(cli, waits, wait), wait);
}

/* Those that somebody put off come last, under a line of their own. */
static void list_text(pw_cli *cli, const pawl_value *waits, const pawl_value *const *some,
                      size_t len)
{
    size_t printed = 0, deferred = 0;
    for (int late = 0; late < 2; late++) {
        for (size_t i = 0; i < len; i++) {
            if (is_deferred(&cli->out, some[i]) != (late == 1)) {
                continue;
            }
            pw_out_puts(&cli->out, printed++ > 0 ? "\n" : "");
            if (late == 1 && deferred++ == 0) {
                pw_out_styled(&cli->out, PW_DIM, "put off until later:");
                pw_out_puts(&cli->out, "\n\n");
            }
            list_one(cli, waits, some[i]);
        }
    }
}

/* ---- all there is to one ---- */

static void type_defer(pw_cli *cli, const char *name, const pawl_value *wait)
{
    typed t;
    type_answer(cli, &t, name, wait);
    type_word(&t, "--defer");
    type_word(&t, "--until 2h");
    type_word(&t, "--reason WHY");
    type_end(&t);
}

static void show_text(pw_cli *cli, const pawl_value *waits, const pawl_value *wait,
                      const pawl_value *events)
{
    pw_buf b = PW_BUF_INIT;
    head(cli, wait);
    fields(cli, wait);
    pw_wait_put_list(&b, pawl_str(wait, "choices", ""));
    field_buf(&cli->out, "choices", &b);
    pw_wait_schema(cli, pawl_get(wait, "schema"));
    shown(cli, pawl_get(wait, "show"), 0);
    pw_wait_history(cli, events);
    const char *name = name_needed(cli, waits, wait);
    type_line(cli, name, wait);
    type_defer(cli, name, wait);
}

static bool is_named(const pawl_value *wait, const char *name)
{
    char exact[160];
    (void)snprintf(exact, sizeof exact, "%.120s:%" PRId64, pawl_str(wait, "name", ""),
                   pawl_int(wait, "command", 0));
    return name == NULL || pawl_is(wait, "name", name) || strcmp(exact, name) == 0;
}

/* ---- the command ---- */

const pawl_value *pw_cli_waits(pw_cli *cli, const char *id)
{
    const pawl_value *waits = NULL;
    pawl_error err = {0};
    pawl_status s =
        pw_cli_request(cli, "waits", pawl_build(cli->scope, "{id: %s}", id), -1, &waits, &err);
    return s == PAWL_OK ? waits : NULL;
}

bool pw_cli_waits_say(pw_cli *cli, const char *what)
{
    const pawl_value *waits = pw_cli_waits(cli, cli->run_id);
    const pw_cli_out out = cli->out;
    if (pawl_len(waits) == 0) {
        return false;
    }
    cli->out = cli->complain; /* what is printed from here on is no result */
    pw_out_styled(&cli->out, PW_BAD, "pawl:");
    pw_out_printf(&cli->out, " %s\n", what);
    for (size_t i = 0; i < pawl_len(waits); i++) {
        pw_out_puts(&cli->out, "\n");
        list_one(cli, waits, pawl_at(waits, i));
    }
    (void)pw_cli_out_flush(&cli->out);
    cli->complain = cli->out;
    cli->out = out;
    return true;
}

static int print(pw_cli *cli, const pawl_value *waits, const pawl_value **some, size_t len)
{
    bool all = cli->args->word != NULL && strcmp(cli->args->word, "show") == 0;
    for (size_t i = 0; i < len; i++) {
        const pawl_value *events = all ? pw_wait_events(cli, some[i]) : NULL;
        if (all && cli->out.format == PW_FORMAT_TEXT) {
            pw_out_puts(&cli->out, i > 0 ? "\n" : "");
            show_text(cli, waits, some[i], events);
        }
        some[i] = all ? pawl_with(cli->scope, some[i], "history", events) : some[i];
        if (cli->out.format == PW_FORMAT_JSONL) {
            pw_out_json(&cli->out, some[i]);
        }
    }
    if (cli->out.format == PW_FORMAT_JSON) {
        pw_out_json(&cli->out, pawl_make_array(cli->scope, some, len));
    } else if (cli->out.format == PW_FORMAT_TEXT && !all) {
        list_text(cli, waits, some, len);
    }
    return PW_EXIT_OK;
}

static int nothing(pw_cli *cli, bool asked)
{
    const char *name = cli->args->value[PW_OPT_NAME];
    bool must = name != NULL || cli->args->word != NULL;
    if (asked && must && !(cli->args->word != NULL && strcmp(cli->args->word, "list") == 0)) {
        pawl_error err = {0};
        pawl_status s = pw_error_set(
            &err, PAWL_NOTFOUND, __FILE__, __LINE__, "run %.120s asks nothing%s%.100s now",
            cli->run_id, name != NULL ? " under the name " : "", name != NULL ? name : "");
        cli->next = "pawl%d trace %w";
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (cli->out.format == PW_FORMAT_JSON) {
        pw_out_json(&cli->out, pawl_make_array(cli->scope, NULL, 0));
    } else if (cli->out.format == PW_FORMAT_TEXT) {
        pw_cli_note(cli, asked ? "it waits for nobody" : "nothing waits for a person");
    }
    return PW_EXIT_OK;
}

/* With what is kept of answers to it. */
static const pawl_value *with_kept(pw_cli *cli, const pawl_value *inbox, const pawl_value *wait)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    return pw_cli_inbox_answers(inbox, pawl_str(wait, "id", ""), pawl_str(wait, "name", ""),
                                pawl_int(wait, "command", 0), &b)
               ? pawl_with(cli->scope, wait, "kept", pawl_make_str(cli->scope, pw_buf_cstr(&b)))
               : wait;
}

int pw_verb_wait(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const pawl_value *waits = NULL;
    pawl_error err = {0};
    bool one = pw_cli_has(a, PW_OPT_WORKFLOW_ID);
    bool show = a->word != NULL && strcmp(a->word, "show") == 0;
    if (show && !one) {
        return pw_cli_usage(cli, "which run's question? name the run");
    }
    int code = one ? pw_cli_target(cli, false) : pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    const pawl_value *args = one ? pawl_build(cli->scope, "{id: %s}", cli->run_id) : NULL;
    pawl_status s = pw_cli_request(cli, "waits", args, -1, &waits, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    size_t max = pw_cli_has(a, PW_OPT_LIMIT) && a->number[PW_OPT_LIMIT] > 0
                     ? (size_t)a->number[PW_OPT_LIMIT]
                     : SIZE_MAX;
    const pawl_value **some = pawl_scope_alloc(cli->scope, (pawl_len(waits) + 1) * sizeof *some);
    const pawl_value *inbox = pw_cli_inbox(cli);
    size_t len = 0;
    for (size_t i = 0; some != NULL && i < pawl_len(waits) && len < max; i++) {
        if (is_named(pawl_at(waits, i), a->value[PW_OPT_NAME])) {
            some[len++] = with_kept(cli, inbox, pawl_at(waits, i));
        }
    }
    return len == 0 ? nothing(cli, one) : print(cli, waits, some, len);
}
