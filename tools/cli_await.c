/*
 * cli_await.c - waiting for a run's end: through restarts of its engine, until a deadline or Ctrl-C, with a sign of life on a terminal.
 *
 * Does not drive the run: an engine does.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/record.h"
#include "tools/cli_session.h"

#define SLICE_MS 100
#define RECONNECT_MS 300
#define HOST_AGAIN_MS 1000
#define LOOK_EVERY_MS 1000

typedef struct await {
    pw_cli *cli;
    const char *id;
    int64_t deadline_ms; /* 0 = none */
    int64_t started_ms;
    int64_t looked_ms;
    unsigned frame;
    bool shown;
    bool gone; /* the engine went away */
    char doing[160];
} await;

static void life_clear(await *a)
{
    if (a->shown) {
        pw_out_puts(&a->cli->complain, "\r\033[K");
        (void)pw_cli_out_flush(&a->cli->complain);
        a->shown = false;
    }
}

/* "⠋ release-42: activity build (12 s)" on standard error, only when that is a terminal. */
static void life_show(await *a)
{
    static const char *const frames[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    static const char *const plain[] = {"|", "/", "-", "\\"};
    pw_cli_out *o = &a->cli->complain;
    int64_t now = pw_cli_now_ms();
    char span[32];
    if (!o->terminal || now - a->started_ms < 300) {
        return;
    }
    pw_cli_span(span, (now - a->started_ms) / 1000 * 1000);
    pw_out_puts(o, "\r");
    pw_out_style(o, PW_NOW);
    pw_out_puts(o, o->unicode ? frames[a->frame % 10] : plain[a->frame % 4]);
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, " ");
    size_t room = o->width > 30 ? o->width - 20 : 20;
    char line[400];
    (void)snprintf(line, sizeof line, "%s%s%s", a->id, a->doing[0] != '\0' ? ": " : "", a->doing);
    (void)pw_out_text(o, line, strlen(line), room);
    if (now - a->started_ms >= 1000) {
        pw_out_style(o, PW_DIM);
        pw_out_printf(o, " (%s)", span);
        pw_out_style(o, PW_PLAIN);
    }
    pw_out_puts(o, "\033[K");
    (void)pw_cli_out_flush(o);
    a->frame++;
    a->shown = true;
}

/* What it waits for now, asked once a second and only when somebody looks. */
static void life_look(await *a)
{
    int64_t now = pw_cli_now_ms();
    const pawl_value *run = NULL;
    pawl_error err = {0};
    if (!a->cli->complain.terminal || now - a->looked_ms < LOOK_EVERY_MS) {
        return;
    }
    a->looked_ms = now;
    pawl_scope *scope = pawl_scope_new();
    if (scope != NULL &&
        pw_client_request(a->cli->client, "describe", pawl_build(scope, "{id: %s}", a->id), 2000,
                          scope, &run, &err) == PAWL_OK) {
        const char *waiting = pawl_str(run, "waiting", "");
        const char *text = pawl_str(run, "progress.text", "");
        bool progress = *text != '\0' || pawl_int(run, "progress.total", 0) > 0;
        int n = snprintf(a->doing, sizeof a->doing, "%.100s", waiting);
        if (progress && n >= 0 && pawl_int(run, "progress.total", 0) > 0) {
            (void)snprintf(a->doing + n, sizeof a->doing - (size_t)n, "%s%lld of %lld %.40s",
                           n > 0 ? ", " : "", (long long)pawl_int(run, "progress.done", 0),
                           (long long)pawl_int(run, "progress.total", 0), text);
        } else if (progress && n >= 0) {
            (void)snprintf(a->doing + n, sizeof a->doing - (size_t)n, "%s%.60s", n > 0 ? ", " : "",
                           text);
        }
    }
    pawl_scope_free(scope);
}

static int out_of_patience(await *a)
{
    pawl_error err = {0};
    (void)pw_error_set(&err, PAWL_TIMEOUT, __FILE__, __LINE__,
                       "%s has not finished in the time given", a->id);
    life_clear(a);
    return pw_cli_fail(a->cli, PAWL_TIMEOUT, &err, NULL);
}

static int interrupted(await *a)
{
    life_clear(a);
    pw_cli_note(a->cli, "the run goes on; to wait again: pawl%s result %s", pw_cli_db_words(a->cli),
                pw_cli_shell_word(a->cli->scope, a->id));
    return PW_EXIT_INTERRUPTED;
}

/* Has the time or the user's patience run out? Waits up to wait_ms for the user. 0 = no. */
static int stop_asked(await *a, int64_t wait_ms)
{
    if (pw_cli_signal_take(wait_ms) != 0) {
        return interrupted(a);
    }
    if (a->deadline_ms != 0 && pw_cli_now_ms() >= a->deadline_ms) {
        return out_of_patience(a);
    }
    return PW_EXIT_OK;
}

/* Nobody has come in a second, who might be another process of the one that went. */
static bool hosts_again(const await *a, int64_t since_ms)
{
    return a->cli->host_again != NULL && a->cli->engine == NULL &&
           pw_cli_now_ms() - since_ms >= HOST_AGAIN_MS;
}

/* The engine went away: tries for another one until told to stop. */
static int reconnect(await *a)
{
    const int64_t since_ms = pw_cli_now_ms();
    pawl_error err = {0};
    if (!a->gone) {
        life_clear(a);
        pw_cli_note(a->cli, "the engine went away; waiting for the next one (nothing is lost)");
        a->gone = true;
    }
    for (;;) {
        pw_client_close(a->cli->client);
        a->cli->client = NULL;
        pawl_status s = pw_client_open(a->cli->db, 0, &a->cli->client, &err);
        if (s == PAWL_OK && pw_client_is_live(a->cli->client)) {
            return PW_EXIT_OK;
        }
        if (s != PAWL_OK && s != PAWL_BUSY) {
            return pw_cli_fail(a->cli, s, &err, NULL);
        }
        if (s == PAWL_OK && hosts_again(a, since_ms)) {
            life_clear(a);
            return a->cli->host_again(a->cli);
        }
        (void)snprintf(a->doing, sizeof a->doing, "no engine runs");
        life_show(a);
        int code = stop_asked(a, RECONNECT_MS);
        if (code != PW_EXIT_OK) {
            return code;
        }
    }
}

static int await_once(await *a, const pawl_value **ret_end, bool *ret_again)
{
    pw_cli *cli = a->cli;
    int64_t number = 0;
    pawl_error err = {0};
    pawl_status s = pw_client_send(cli->client, "result", pawl_build(cli->scope, "{id: %s}", a->id),
                                   &number, &err);
    while (s == PAWL_OK) {
        s = pw_client_next(cli->client, number, SLICE_MS, cli->scope, ret_end, &err);
        if (s == PAWL_OK) {
            return PW_EXIT_OK;
        }
        if (s != PAWL_TIMEOUT) {
            break;
        }
        s = PAWL_OK;
        life_look(a);
        life_show(a);
        int code = stop_asked(a, 0);
        if (code != PW_EXIT_OK) {
            return code;
        }
    }
    *ret_again = s == PAWL_IO || s == PAWL_SHUTDOWN || s == PAWL_BUSY || s == PAWL_DONE;
    return *ret_again ? reconnect(a) : pw_cli_fail(cli, s, &err, NULL);
}

static int await_offline(await *a, const pawl_value **ret_end)
{
    pw_cli *cli = a->cli;
    pawl_error err = {0};
    pawl_status s =
        pw_cli_request(cli, "result", pawl_build(cli->scope, "{id: %s}", a->id), 0, ret_end, &err);
    if (s == PAWL_OK) {
        return PW_EXIT_OK;
    }
    if (s != PAWL_NOT) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    (void)pw_error_set(&err, PAWL_NOCODE, __FILE__, __LINE__,
                       "%s has not finished, and no engine runs that could finish it", a->id);
    return pw_cli_fail(cli, PAWL_NOCODE, &err, NULL);
}

int pw_cli_await(pw_cli *cli, const char *id, int64_t timeout_ms, const pawl_value **ret_end)
{
    int64_t now = pw_cli_now_ms();
    await a = {.cli = cli,
               .id = id,
               .deadline_ms = timeout_ms < 0 ? 0 : now + timeout_ms,
               .started_ms = now};
    int code = PW_EXIT_OK;
    bool again = true;
    pw_cli_signals_block();
    if (!pw_cli_live(cli) && cli->host_again == NULL) {
        return await_offline(&a, ret_end);
    }
    code = pw_cli_live(cli) ? PW_EXIT_OK : cli->host_again(cli); /* what was started was kept */
    while (again && code == PW_EXIT_OK) {
        again = false;
        code = await_once(&a, ret_end, &again);
    }
    life_clear(&a);
    return code;
}

int pw_cli_end_print(pw_cli *cli, const pawl_value *end)
{
    const char *status = pawl_str(end, "status", "?");
    int number = pw_run_status_from_name(status);
    int code = number == PW_RUN_COMPLETED   ? PW_EXIT_OK
               : number == PW_RUN_FAILED    ? PW_EXIT_FAILED
               : number == PW_RUN_TIMED_OUT ? PW_EXIT_TIMEOUT
                                            : PW_EXIT_CANCELED;
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out,
                    pawl_get(end, "id") != NULL
                        ? end
                        : pawl_with(cli->scope, end, "id", pawl_make_str(cli->scope, cli->run_id)));
        return code;
    }
    if (code == PW_EXIT_OK) {
        pw_out_value(&cli->out, pawl_get(end, "result"), 0);
        return code;
    }
    (void)pw_cli_out_flush(&cli->out);
    pw_cli_out *o = &cli->complain;
    pw_out_styled(o, PW_BAD, "pawl:");
    pw_out_printf(o, " %s %s%s\n", cli->run_id, number == PW_RUN_FAILED ? "" : "was ", status);
    pw_out_failure(o, pawl_get(end, "failure"), 6);
    pw_out_puts(o, "      try: pawl");
    pw_out_puts(o, pw_cli_db_words(cli));
    pw_out_printf(o, " trace %s\n", pw_cli_shell_word(cli->scope, cli->run_id));
    (void)pw_cli_out_flush(o);
    return code;
}
