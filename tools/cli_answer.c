/*
 * cli_answer.c - answering a question, voting on it, or putting it off; and what is said to those who come late.
 *
 * Does not judge: whether an answer fits, counts or decides is the engine's to say.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "tools/cli_session.h"

static const pawl_value *with_option(pw_cli *cli, const pawl_value *map, const char *key,
                                     pw_cli_opt option)
{
    const char *text = cli->args->value[option];
    return text == NULL ? map : pawl_with(cli->scope, map, key, pawl_make_str(cli->scope, text));
}

/* "2026-01-31", "2026-01-31T12:00:00Z" (UTC; seconds may be left out). */
static bool date_parse(const char *text, int64_t *ret_ms)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            *ret_ms = (int64_t)timegm(&tm) * 1000;
            return true;
        }
    }
    return false;
}

static int until_parse(pw_cli *cli, const pawl_value **ret_defer)
{
    const char *text = cli->args->value[PW_OPT_UNTIL];
    int64_t ms = 0;
    if (text == NULL) {
        *ret_defer = pawl_make_bool(cli->scope, true);
        return PW_EXIT_OK;
    }
    if (pw_cli_duration_parse(text, &ms) && ms > 0) {
        *ret_defer = pawl_build(cli->scope, "{for_ms: %lld}", (long long)ms);
        return PW_EXIT_OK;
    }
    if (date_parse(text, &ms)) {
        *ret_defer = pawl_build(cli->scope, "{until_ms: %lld}", (long long)ms);
        return PW_EXIT_OK;
    }
    return pw_cli_usage(cli, "--until takes 30m, 2h, 3d, 2026-01-31 or 2026-01-31T12:00:00Z");
}

/* Nothing was answered: what the run asks, and what to type for it. */
static int choices_say(pw_cli *cli)
{
    static const char what[] = "what is the answer? give a choice, --data or --defer";
    if (!pw_cli_has(cli->args, PW_OPT_WORKFLOW_ID) || access(cli->db, F_OK) != 0) {
        return pw_cli_usage(cli, "%s", what);
    }
    int code = pw_cli_target(cli, true);
    if (code != PW_EXIT_OK) {
        return code;
    }
    return pw_cli_waits_say(cli, what) ? PW_EXIT_USAGE : pw_cli_usage(cli, "%s", what);
}

/* What is said: {choice?, data?, reason?, as?} or {defer, reason?, as?}. */
static int value_make(pw_cli *cli, const pawl_value **ret_value)
{
    const pawl_value *data = NULL, *defer = NULL, *value = NULL;
    bool put_off = pw_cli_has(cli->args, PW_OPT_DEFER);
    bool chosen = cli->args->value[PW_OPT_CHOICE] != NULL || pw_cli_has(cli->args, PW_OPT_DATA);
    if (pw_cli_has(cli->args, PW_OPT_UNTIL) && !put_off) {
        return pw_cli_usage(cli, "--until goes with --defer");
    }
    if (put_off == chosen) {
        return put_off ? pw_cli_usage(cli, "either an answer or --defer") : choices_say(cli);
    }
    int code = put_off ? until_parse(cli, &defer) : pw_cli_json_arg(cli, PW_OPT_DATA, &data);
    if (code != PW_EXIT_OK) {
        return code;
    }
    value = with_option(cli, value, "choice", PW_OPT_CHOICE);
    value = with_option(cli, value, "reason", PW_OPT_REASON);
    value = with_option(cli, value, "as", PW_OPT_AS);
    value = data != NULL ? pawl_with(cli->scope, value, "data", data) : value;
    *ret_value = defer != NULL ? pawl_with(cli->scope, value, "defer", defer) : value;
    return PW_EXIT_OK;
}

static int refused(pw_cli *cli, pawl_status s, const pawl_error *err)
{
    char what[256];
    (void)snprintf(what, sizeof what, "cannot answer %s", cli->run_id);
    if (s == PAWL_DENIED) {
        cli->way_out = "somebody else has to answer; who may is shown by";
        cli->next = "pawl%d wait show %w";
    } else if (s == PAWL_CONFLICT) {
        cli->way_out = "nothing was changed; what has happened is shown by";
        cli->next = "pawl%d trace %w";
    }
    return pw_cli_fail(cli, s, err, what);
}

static void said_print(pw_cli *cli, const pawl_value *reply)
{
    pw_cli_out *o = &cli->out;
    const char *outcome = pawl_str(reply, "outcome", "decided");
    const char *choice = cli->args->value[PW_OPT_CHOICE];
    const char *name = pawl_str(reply, "name", cli->args->value[PW_OPT_NAME]);
    bool put_off = pw_cli_has(cli->args, PW_OPT_DEFER);
    bool voted = strcmp(outcome, "voted") == 0;
    pw_out_puts(o, pawl_bool(reply, "again", false) ? "already " : "");
    pw_out_puts(o, pw_cli_kept(cli) ? (put_off ? "kept: defer " : "kept: answer ")
                   : put_off        ? "deferred "
                   : voted          ? "voted on "
                                    : "answered ");
    pw_out_styled(o, PW_BOLD, cli->run_id);
    if (name != NULL) {
        pw_out_puts(o, " ");
        (void)pw_out_str(o, name);
    }
    if (choice != NULL) {
        pw_out_puts(o, ": ");
        (void)pw_out_str(o, choice);
    }
    if (voted) {
        pw_out_printf(o, ", %" PRId64 " of %" PRId64 " who must agree", pawl_int(reply, "same", 0),
                      pawl_int(reply, "needed", 0));
    }
    if (put_off && pawl_int(reply, "deadline_ms", 0) != 0) {
        pw_out_puts(o, ", deadline ");
        pw_out_time(o, pawl_int(reply, "deadline_ms", 0));
    }
    pw_out_puts(o, "\n");
}

int pw_verb_answer(pw_cli *cli)
{
    const pawl_value *value = NULL, *reply = NULL;
    pawl_error err = {0};
    int code = value_make(cli, &value);
    code =
        code == PW_EXIT_OK ? pw_cli_target(cli, false) : code; /* what has not begun asks nothing */
    if (code != PW_EXIT_OK) {
        return code;
    }
    const pawl_value *args = pawl_build(cli->scope, "{id: %s, by: %s, value: %p}", cli->run_id,
                                        pw_cli_by(cli), pawl_v(value));
    args = with_option(cli, args, "name", PW_OPT_NAME);
    args = with_option(cli, args, "dedup", PW_OPT_DEDUP);
    pawl_status s = pw_cli_request(cli, "answer", args, -1, &reply, &err);
    if (s != PAWL_OK) {
        return refused(cli, s, &err);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pw_cli_outcome(cli, cli->run_id, reply));
        return PW_EXIT_OK;
    }
    said_print(cli, reply);
    if (pw_cli_kept(cli)) {
        pw_cli_say_kept(cli);
    }
    return PW_EXIT_OK;
}
