/*
 * cli_drive.c - the commands that move runs: start, execute, signal, cancel, terminate, pause, resume, retry. Answers are
 * cli_answer.c's.
 *
 * Each builds one request and says what became of it. Without an engine a request is kept, and said to be kept; nothing here waits
 * for code to run but execute.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "sdk/base/limits.h"
#include "sdk/base/record.h"
#include "tools/cli_session.h"

#define EXECUTE_DRAIN_MS 10000

/* ---- building requests ---- */

static const pawl_value *with_str(pw_cli *cli, const pawl_value *map, const char *key,
                                  const char *text)
{
    return text == NULL ? map : pawl_with(cli->scope, map, key, pawl_make_str(cli->scope, text));
}

static const pawl_value *with_option(pw_cli *cli, const pawl_value *map, const char *key,
                                     pw_cli_opt option)
{
    return with_str(cli, map, key, cli->args->value[option]);
}

/* [T4] What is kept is said to be kept, and what makes it happen. */
static void say_kept(pw_cli *cli, const char *code)
{
    pw_cli_note(
        cli,
        "no engine runs on %s, so it is kept there; it takes effect when one does: pawl%s serve%s",
        cli->db, pw_cli_db_words(cli), code);
}

void pw_cli_say_kept(pw_cli *cli)
{
    say_kept(cli, "");
}

void pw_cli_say_still(pw_cli *cli)
{
    if (!pw_cli_live(cli) && cli->out.format == PW_FORMAT_TEXT) {
        pw_cli_note(cli, "no engine runs on %s, so nothing moves until one does: pawl%s serve",
                    cli->db, pw_cli_db_words(cli));
    }
}

const pawl_value *pw_cli_outcome(pw_cli *cli, const char *id, const pawl_value *reply)
{
    const pawl_value *v = pawl_typeof(reply) == PAWL_MAP ? reply : NULL;
    if (pawl_get(v, "id") == NULL) {
        v = with_str(cli, v, "id", id);
    }
    return pawl_with(cli->scope, v, "kept", pawl_make_bool(cli->scope, pw_cli_kept(cli)));
}

/* ---- start ---- */

/* A journal that is not there yet is made, so that a start has somewhere to be kept; unless an engine makes it just now. */
static int journal_make(pw_cli *cli)
{
    pawl_error err = {0};
    pawl_status s = pw_client_open(cli->db, PW_CLIENT_PATIENCE_MS, &cli->client, &err);
    if (s != PAWL_NOTFOUND) {
        return s == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, s, &err, NULL);
    }
    s = pw_sqlite_make(cli->db, &err);
    if (s == PAWL_OK) {
        pw_cli_note(cli, "made a new journal: %s", cli->db);
    } else if (s != PAWL_BUSY) {
        cli->way_out =
            s == PAWL_NOTFOUND ? "make its folder first, or name another with --db FILE" : NULL;
        return pw_cli_fail(cli, s, &err, NULL);
    }
    return pw_cli_connect(cli);
}

static int id_choose(pw_cli *cli)
{
    const char *given = cli->args->value[PW_OPT_WORKFLOW_ID];
    pawl_error err = {0};
    uint8_t random[10] = {0};
    if (given != NULL) {
        if (pw_id_check(given, strlen(given), &err) != PAWL_OK) {
            return pw_cli_usage(cli, "%s", err.message);
        }
        (void)snprintf(cli->run_id, sizeof cli->run_id, "%s", given);
        return PW_EXIT_OK;
    }
    char id[37];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return pw_cli_fail(cli, PAWL_IO, NULL, "no random bytes for an id");
    }
    pw_uuid7(id, pw_cli_now_ms(), random);
    (void)snprintf(cli->run_id, sizeof cli->run_id, "%s", id);
    return PW_EXIT_OK;
}

/* "release@2" is workflow release, version 2. */
static int start_args(pw_cli *cli, const pawl_value **ret_args, const char **ret_workflow)
{
    const pw_cli_args *a = cli->args;
    const char *type = a->value[PW_OPT_TYPE];
    const pawl_value *input = NULL;
    const pawl_value *signal = NULL;
    const pawl_value *budget = NULL;
    if (type == NULL || *type == '\0') {
        return pw_cli_usage(cli, "which workflow? name it");
    }
    const char *at = strchr(type, '@');
    const char *workflow =
        pw_strndup(cli->scope, type, at != NULL ? (size_t)(at - type) : strlen(type));
    pawl_error err = {0};
    if (workflow == NULL || pw_name_check(workflow, strlen(workflow), &err) != PAWL_OK) {
        return pw_cli_usage(cli, "%s", err.message);
    }
    int code = id_choose(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    code = pw_cli_json_arg(cli, PW_OPT_INPUT, &input);
    code = code == PW_EXIT_OK ? pw_cli_json_arg(cli, PW_OPT_SIGNAL_INPUT, &signal) : code;
    code = code == PW_EXIT_OK ? pw_cli_json_arg(cli, PW_OPT_BUDGET, &budget) : code;
    if (code != PW_EXIT_OK) {
        return code;
    }
    const pawl_value *v = pawl_build(cli->scope, "{workflow: %s, id: %s, by: %s}", workflow,
                                     cli->run_id, pw_cli_by(cli));
    const char *trace =
        a->value[PW_OPT_TRACEPARENT] != NULL ? a->value[PW_OPT_TRACEPARENT] : getenv("TRACEPARENT");
    v = with_str(cli, v, "version", at != NULL ? at + 1 : NULL);
    v = with_str(cli, v, "traceparent", trace != NULL && *trace != '\0' ? trace : NULL);
    v = with_option(cli, v, "reuse", PW_OPT_REUSE);
    v = with_option(cli, v, "conflict", PW_OPT_CONFLICT);
    v = with_option(cli, v, "dedup", PW_OPT_DEDUP);
    v = with_option(cli, v, "signal", PW_OPT_SIGNAL);
    if (input != NULL) {
        v = pawl_with(cli->scope, v, "input", input);
    }
    if (signal != NULL) {
        v = pawl_with(cli->scope, v, "signal_value", signal);
    }
    if (budget != NULL) {
        v = pawl_with(cli->scope, v, "budget", budget);
    }
    if (pw_cli_has(a, PW_OPT_RUN_TIMEOUT)) {
        v = pawl_with(cli->scope, v, "timeout_s",
                      pawl_make_num(cli->scope, (double)a->number[PW_OPT_RUN_TIMEOUT] / 1000.0));
    }
    *ret_args = v;
    *ret_workflow = workflow;
    return PW_EXIT_OK;
}

static int start_send(pw_cli *cli, const pawl_value *args, const char *workflow,
                      const pawl_value **ret_reply)
{
    char what[PW_NAME_BYTES_MAX + 32];
    pawl_error err = {0};
    pawl_status s = pw_cli_request(cli, "start", args, -1, ret_reply, &err);
    if (s != PAWL_OK) {
        (void)snprintf(what, sizeof what, "cannot start %s", workflow);
        cli->way_out = s == PAWL_NOCODE ? pw_cli_meant_instead(cli, workflow) : NULL;
        return pw_cli_fail(cli, s, &err, what);
    }
    (void)snprintf(cli->run_id, sizeof cli->run_id, "%s", pawl_str(*ret_reply, "id", cli->run_id));
    return PW_EXIT_OK;
}

/* The next engine would refuse it, and tell nobody. */
static int check_not_kept(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char *conflict = a->value[PW_OPT_CONFLICT];
    pawl_error err = {0};
    if (a->value[PW_OPT_WORKFLOW_ID] == NULL || a->value[PW_OPT_DEDUP] != NULL ||
        a->value[PW_OPT_SIGNAL] != NULL || (conflict != NULL && strcmp(conflict, "fail") != 0) ||
        pw_cli_live(cli) || !pw_cli_inbox_starts(cli, cli->run_id)) {
        return PW_EXIT_OK;
    }
    (void)pw_error_set(&err, PAWL_EXISTS, __FILE__, __LINE__,
                       "a start of %s is kept already: it begins with the next engine",
                       cli->run_id);
    cli->next = "pawl%d list"; /* there is nothing to describe yet */
    return pw_cli_fail(cli, PAWL_EXISTS, &err, NULL);
}

/* It is kept all the same: which code the next engine has is not known here. */
static int kept_doubt(pw_cli *cli, const char *workflow)
{
    const char *meant = pw_cli_kept(cli) ? pw_cli_meant_before(cli, workflow) : NULL;
    if (meant != NULL) {
        pw_cli_note(
            cli,
            "nothing named %s is built in or ever ran in this journal: did you mean %s? To take it back: "
            "pawl%s terminate %s",
            workflow, meant, pw_cli_db_words(cli), pw_cli_shell_word(cli->scope, cli->run_id));
    }
    return PW_EXIT_OK;
}

int pw_verb_start(pw_cli *cli)
{
    const pawl_value *args = NULL;
    const pawl_value *reply = NULL;
    const char *workflow = "";
    if (pw_cli_has(cli->args, PW_OPT_SIGNAL_INPUT) && !pw_cli_has(cli->args, PW_OPT_SIGNAL)) {
        return pw_cli_usage(cli, "--signal-input needs --signal NAME");
    }
    int code = start_args(cli, &args, &workflow);
    code = code == PW_EXIT_OK ? journal_make(cli) : code;
    code = code == PW_EXIT_OK ? check_not_kept(cli) : code;
    code = code == PW_EXIT_OK ? start_send(cli, args, workflow, &reply) : code;
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pw_cli_outcome(cli, cli->run_id, reply));
        return kept_doubt(cli, workflow);
    }
    bool existing = pawl_bool(reply, "existing", false);
    pw_out_puts(&cli->out, pw_cli_kept(cli) ? "kept the start of "
                           : existing       ? "running already: "
                                            : "started ");
    pw_out_styled(&cli->out, PW_BOLD, cli->run_id);
    pw_out_puts(&cli->out, "\n");
    if (pw_cli_kept(cli)) {
        say_kept(cli, pw_cli_is_builtin(cli, workflow) ? "" : " --module FILE.so");
    }
    return kept_doubt(cli, workflow);
}

/* ---- execute ---- */

static void say_not_hosted(pw_cli *cli)
{
    if (cli->args->module_count > 0) {
        pw_cli_note(cli,
                    "an engine runs already (pid %" PRId64 "): it is used, and --module is not",
                    pw_client_pid(cli->client));
    }
}

static int host_or_share(pw_cli *cli)
{
    pw_cli_host_options options = {
        .log_level = PAWL_WARN, .quiet = true, .socket = true, .shared = true};
    int code = pw_cli_host(cli, &options);
    if (code == PW_EXIT_OK && cli->engine == NULL) {
        say_not_hosted(cli);
    }
    return code;
}

/* Hosts an engine when nobody does. 0, or an exit code after having said why not. */
static int execute_host(pw_cli *cli, const char *workflow)
{
    pawl_error err = {0};
    pawl_status s = pw_client_open(cli->db, PW_CLIENT_PATIENCE_MS, &cli->client, &err);
    if (s == PAWL_OK && pw_cli_live(cli)) {
        say_not_hosted(cli);
        return PW_EXIT_OK;
    }
    if (s != PAWL_OK && s != PAWL_NOTFOUND) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    pw_client_close(cli->client);
    cli->client = NULL;
    if (cli->args->module_count == 0 && !pw_cli_is_builtin(cli, workflow)) {
        (void)pw_error_set(&err, PAWL_NOCODE, __FILE__, __LINE__,
                           "no engine runs on %.120s, and %.80s is not built in", cli->db,
                           workflow);
        cli->way_out = "its code comes with --module FILE.so";
        cli->next = pw_sprintf(cli->scope, "pawl%%d execute %s --module FILE.so", workflow);
        return pw_cli_fail(cli, PAWL_NOCODE, &err, NULL);
    }
    return host_or_share(cli);
}

/* The engine that was used was another command's, and went with that. */
static int execute_host_again(pw_cli *cli)
{
    pw_client_close(cli->client);
    cli->client = NULL;
    int code = host_or_share(cli);
    return code == PW_EXIT_OK ? pw_cli_connect(cli) : code;
}

int pw_verb_execute(pw_cli *cli)
{
    const pawl_value *args = NULL;
    const pawl_value *reply = NULL;
    const pawl_value *end = NULL;
    const char *workflow = "";
    int64_t timeout =
        pw_cli_has(cli->args, PW_OPT_TIMEOUT) ? cli->args->number[PW_OPT_TIMEOUT] : -1;
    int code = start_args(cli, &args, &workflow);
    code = code == PW_EXIT_OK ? execute_host(cli, workflow) : code;
    code = code == PW_EXIT_OK ? pw_cli_connect(cli) : code;
    if (code == PW_EXIT_OK && cli->engine == NULL &&
        (cli->args->module_count > 0 || pw_cli_is_builtin(cli, workflow))) {
        cli->host_again = execute_host_again;
    }
    code = code == PW_EXIT_OK ? start_send(cli, args, workflow, &reply) : code;
    code = code == PW_EXIT_OK ? pw_cli_await(cli, cli->run_id, timeout, &end) : code;
    code = code == PW_EXIT_OK ? pw_cli_end_print(cli, end) : code;
    (void)pw_cli_out_flush(&cli->out);
    pw_cli_unhost(cli, EXECUTE_DRAIN_MS);
    return code;
}

/* ---- the rest: one request for one run or for many ---- */

typedef struct act {
    const char *op;    /* NULL = as the run's state asks: resume or retry */
    const char *doing; /* "cannot cancel" */
    const char *done;  /* "asked to cancel" */
    const pawl_value *args;
} act;

static int status_of(pw_cli *cli, const char *id)
{
    const pawl_value *run = NULL;
    pawl_error err = {0};
    pawl_status s =
        pw_cli_request(cli, "describe", pawl_build(cli->scope, "{id: %s}", id), -1, &run, &err);
    return s == PAWL_OK ? pw_run_status_from_name(pawl_str(run, "status", "")) : 0;
}

/* resume: a closed run is retried, an open one resumed. NULL: it runs already. */
static const char *resume_op(pw_cli *cli, int status)
{
    if (status == PW_RUN_RUNNING && pw_cli_live(cli)) {
        return NULL;
    }
    return status != 0 && !pw_run_status_is_open(status) ? "retry" : "resume";
}

static void done_print(pw_cli *cli, const char *done, const char *id)
{
    if (cli->out.format == PW_FORMAT_TEXT) {
        pw_out_printf(&cli->out, "%s%s ", pw_cli_kept(cli) ? "kept: " : "", done);
        pw_out_styled(&cli->out, PW_BOLD, id);
        pw_out_puts(&cli->out, "\n");
    }
}

static int act_one(pw_cli *cli, const act *what, const char *id, const pawl_value **ret_outcome)
{
    char doing[300];
    const pawl_value *reply = NULL;
    pawl_error err = {0};
    bool pauses = what->op != NULL && strcmp(what->op, "pause") == 0;
    int before = what->op == NULL || pauses ? status_of(cli, id) : 0;
    const char *op = what->op != NULL ? what->op : resume_op(cli, before);
    (void)snprintf(cli->run_id, sizeof cli->run_id, "%s", id);
    if (op == NULL) {
        *ret_outcome = pawl_build(cli->scope, "{id: %s, running: true, kept: false}", id);
        done_print(cli, "running already:", id);
        return PW_EXIT_OK;
    }
    const pawl_value *args = with_str(cli, what->args, "id", id);
    pawl_status s = pw_cli_request(cli, op, args, -1, &reply, &err);
    if (s != PAWL_OK) {
        (void)snprintf(doing, sizeof doing, "cannot %s %s", what->doing, id);
        *ret_outcome = pawl_build(cli->scope, "{id: %s, error: %s, message: %s}", id,
                                  pawl_status_name(s), err.message);
        return pw_cli_fail(cli, s, &err, doing);
    }
    *ret_outcome = pw_cli_outcome(cli, id, reply);
    done_print(cli,
               pw_cli_kept(cli)                    ? what->doing
               : pauses && before == PW_RUN_PAUSED ? "paused already:"
                                                   : what->done,
               id);
    return PW_EXIT_OK;
}

static int act_all(pw_cli *cli, const act *what)
{
    pw_cli_targets targets = {0};
    bool kept = false;
    int code = pw_cli_targets_get(cli, what->doing, &targets);
    bool many = pw_cli_has(cli->args, PW_OPT_QUERY);
    if (code != PW_EXIT_OK) {
        return code;
    }
    const pawl_value **outcomes =
        pawl_scope_alloc(cli->scope, (targets.len + 1) * sizeof *outcomes);
    if (outcomes == NULL) {
        return pw_cli_fail(cli, PAWL_NOMEM, NULL, NULL);
    }
    for (size_t i = 0; i < targets.len; i++) {
        const char *id = pw_strdup(cli->scope, targets.ids[i]);
        int one = id != NULL ? act_one(cli, what, id, &outcomes[i]) : PW_EXIT_ERROR;
        code = code == PW_EXIT_OK ? one : code;
        kept = kept || pw_cli_kept(cli);
        if (cli->out.format == PW_FORMAT_JSONL && many) {
            pw_out_json(&cli->out, outcomes[i]);
        }
    }
    if (cli->out.format == PW_FORMAT_JSON && many) {
        pw_out_json(&cli->out, pawl_make_array(cli->scope, outcomes, targets.len));
    } else if (cli->out.format != PW_FORMAT_TEXT && !many && code == PW_EXIT_OK) {
        pw_out_json(&cli->out, outcomes[0]);
    } else if (cli->out.format == PW_FORMAT_TEXT && kept && code == PW_EXIT_OK) {
        pw_cli_say_kept(cli);
    }
    return code;
}

static const pawl_value *common_args(pw_cli *cli)
{
    const pawl_value *v = pawl_build(cli->scope, "{by: %s}", pw_cli_by(cli));
    v = with_option(cli, v, "reason", PW_OPT_REASON);
    return with_option(cli, v, "dedup", PW_OPT_DEDUP);
}

static int plain_act(pw_cli *cli, const char *op, const char *doing, const char *done)
{
    if (pw_cli_has(cli->args, PW_OPT_DEDUP) && pw_cli_has(cli->args, PW_OPT_QUERY)) {
        return pw_cli_usage(cli, "--dedup is the key of one request; with a filter there are many");
    }
    act what = {.op = op, .doing = doing, .done = done, .args = common_args(cli)};
    return act_all(cli, &what);
}

int pw_verb_cancel(pw_cli *cli)
{
    return plain_act(cli, "cancel", "cancel", "asked to cancel");
}

int pw_verb_terminate(pw_cli *cli)
{
    return plain_act(cli, "terminate", "terminate", "terminated");
}

int pw_verb_pause(pw_cli *cli)
{
    return plain_act(cli, "pause", "pause", "paused");
}

int pw_verb_resume(pw_cli *cli)
{
    return plain_act(cli, NULL, "resume", "resumed");
}

int pw_verb_retry(pw_cli *cli)
{
    return plain_act(cli, "retry", "retry", "opened again");
}

int pw_verb_signal(pw_cli *cli)
{
    const pawl_value *value = NULL;
    pawl_error err = {0};
    const char *name = cli->args->value[PW_OPT_NAME];
    if (name == NULL) {
        return pw_cli_usage(cli, "which signal? name it");
    }
    if (pw_name_check(name, strlen(name), &err) != PAWL_OK) {
        return pw_cli_usage(cli, "%s", err.message);
    }
    int code = pw_cli_json_arg(cli, PW_OPT_INPUT, &value);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (pw_cli_has(cli->args, PW_OPT_DEDUP) && pw_cli_has(cli->args, PW_OPT_QUERY)) {
        return pw_cli_usage(cli, "--dedup is the key of one request; with a filter there are many");
    }
    act what = {.op = "signal", .doing = "signal", .done = "signalled"};
    what.args = with_str(cli, common_args(cli), "name", name);
    what.args = value != NULL ? pawl_with(cli->scope, what.args, "value", value) : what.args;
    return act_all(cli, &what);
}
