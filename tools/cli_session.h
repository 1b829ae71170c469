/*
 * cli_session.h - what a command has while it runs: its arguments, its output, and the journal behind one call.
 *
 *   pw_cli_request --> the engine that owns the journal, here or elsewhere (socket) | the file, when nobody does
 *
 * A command returns an exit code. Whatever goes wrong is said once, on standard error: what, why, the way out, what to type next.
 */
#ifndef PW_CLI_SESSION_H
#define PW_CLI_SESSION_H

#include "sdk/pawl.h"
#include "tools/cli_out.h"
#include "tools/client.h"
#include "tools/relay.h"

typedef struct pw_cli {
    const pw_cli_args *args;
    const char *db;
    bool db_default; /* --db was not given: a command typed next need not give it */
    pw_cli_out out;
    pw_cli_out complain;        /* standard error */
    pawl_scope *scope;          /* lives as long as the command */
    pw_client *client;          /* NULL until pw_cli_connect */
    pawl_engine *engine;        /* hosted here; NULL = not */
    const pawl_value *builtins; /* as pw_cli_builtins found them; NULL = not asked yet */
    int (*host_again)(
        struct pw_cli
            *cli); /* when the engine of another has gone: 0 or an exit code; NULL = wait */
    struct pawl_embedder
        *embedder;            /* of its activities embed and nearest; NULL = none (cli_model.h) */
    struct pawl_index *index; /* its collections, with that model; NULL = none */
    struct pawl_chooser *chooser; /* NULL = none (cli_concept.h) */
    char run_id[201];             /* the run the command is about; "" = none yet */
    const char *way_out; /* of a failure, instead of what its status says; NULL = that, "" = none */
    const char *next;    /* what to type after it; as way_out */
} pw_cli;

typedef int (*pw_cli_fn)(pw_cli *cli);
/** The function of a command. */
pw_cli_fn pw_cli_function(pw_cli_verb verb);

bool pw_cli_init(pw_cli *cli, const pw_cli_args *args);
void pw_cli_deinit(pw_cli *cli);

/** Says what went wrong and gives the exit code. what: "cannot start hello"; NULL = only the error's own message. */
int pw_cli_fail(pw_cli *cli, pawl_status status, const pawl_error *err, const char *what);
int pw_cli_usage(pw_cli *cli, const char *fmt, ...) PAWL_PRINTF(2, 3);
/** A line on standard error that is no failure. */
void pw_cli_note(pw_cli *cli, const char *fmt, ...) PAWL_PRINTF(2, 3);
void pw_cli_complaint_print(pw_cli_out *out, const pw_cli_complaint *complaint);
/** " --db FILE" for commands to type next, "" when the default serves; quoted for a shell. Owns: the session. */
const char *pw_cli_db_words(pw_cli *cli);
/** Text as one word of a shell command. Owns: the scope. */
const char *pw_cli_shell_word(pawl_scope *scope, const char *text);
int pw_cli_exit_of(pawl_status status);

/** Connects to the journal, if not done yet. 0, or the exit code after having said why. */
int pw_cli_connect(pw_cli *cli);
/** 0 when the journal's file is there, or an exit code after having said that it is not. */
int pw_cli_journal_there(pw_cli *cli);
bool pw_cli_live(const pw_cli *cli);
/** True when the last request was kept for an engine to come. */
bool pw_cli_kept(const pw_cli *cli);
pawl_status pw_cli_request(pw_cli *cli, const char *op, const pawl_value *args, int64_t timeout_ms,
                           const pawl_value **ret_reply, pawl_error *err);

/** Reads a JSON argument: text, @file or - (once). Nil when not given. 0, or an exit code after having said why. */
int pw_cli_json_arg(pw_cli *cli, pw_cli_opt option, const pawl_value **ret_value);
/** All of a file or of standard input (path "-"), at most bytes_max. Errors: NOTFOUND, IO, LIMIT. Owns: the session. */
pawl_status pw_cli_file_read(pw_cli *cli, const char *path, size_t bytes_max, const char **ret_text,
                             size_t *ret_size, pawl_error *err);
/** Who acts: --by, or user@host. Owns: the scope. */
const char *pw_cli_by(pw_cli *cli);

/* ---- cli_target.c: which runs a command is about ---- */

/** Fills cli->run_id from -w: the id itself, or the one run whose id begins with it. writing: an id whose start is still kept counts too.
 * 0, or the exit code after having said why. */
int pw_cli_target(pw_cli *cli, bool writing);
/* ---- cli_prefix.c: ids for a narrow terminal ---- */

/** Makes ids as short as all of them can be to be found by. False: the journal cannot be asked; they are as they were. Owns: the scope. */
bool pw_cli_prefixes(pw_cli *cli, const char **ids, size_t len);

typedef struct pw_cli_targets {
    const char **ids;
    size_t len;
} pw_cli_targets;
/** The run of -w, or those of -q after asking (or -y). 0 or an exit code. */
int pw_cli_targets_get(pw_cli *cli, const char *verb, pw_cli_targets *ret_targets);

/* ---- cli_await.c: waiting for a run's end ---- */

/** Waits, with a sign of life on a terminal, through restarts of the engine: {id, status, result?, failure?}. timeout_ms < 0 = for ever.
 * 0 when the run has closed, or an exit code after having said why. */
int pw_cli_await(pw_cli *cli, const char *id, int64_t timeout_ms, const pawl_value **ret_end);
/** Prints how it ended, and gives the exit code of that. */
int pw_cli_end_print(pw_cli *cli, const pawl_value *end);

/* ---- cli_inbox.c: what is kept for an engine to come ---- */

/** Requests kept in the journal's inbox, oldest first: [{op, id, posted_ms, args}]. Nil when there are none. */
const pawl_value *pw_cli_inbox(pw_cli *cli);
/** The one start kept there whose id begins so; NULL: none, or several. Owns: the session. */
const char *pw_cli_inbox_start_of(pw_cli *cli, const char *prefix);
/** True when a start of that id is kept there. */
bool pw_cli_inbox_starts(pw_cli *cli, const char *id);
/** Appends what is kept of answers to that question of a run: "approve by ann, deferred by bob". False: nothing. */
bool pw_cli_inbox_answers(const pawl_value *kept, const char *id, const char *name, int64_t command,
                          pw_buf *text);

/** What was kept for that run and refused by an engine since then, oldest first: [{op, message, by?, name?, choice?, at_ms}]. Nil: nothing; what was
 * given a key of its own (--dedup) is answered under that. */
const pawl_value *pw_cli_refusals(pw_cli *cli, const char *id, int64_t since_ms);
/** One of them on a line. Owns: the scope. */
const char *pw_cli_refusal_line(pw_cli *cli, const pawl_value *refused);

/* ---- cli_host.c: an engine in this process ---- */

typedef struct pw_cli_host_options {
    pawl_level log_level;
    bool quiet; /* warnings and errors only */
    bool socket;
    bool shared; /* an engine that has come meanwhile is as good: it is connected to */
    bool still;  /* no run moves */
    uint32_t threads;
    int max_live_runs; /* as pawl_options */
    int64_t watchdog_ms;
    bool debug_held;
} pw_cli_host_options;
/** Opens the journal as its owner, registers the built-in code and the modules of the command line, lets runs go on. 0 or an exit
 * code after having said why. SIGINT and SIGTERM are blocked from then on: ask pw_cli_signal_take. */
int pw_cli_host(pw_cli *cli, const pw_cli_host_options *options);
/** The network activities, as PAWL_EGRESS, PAWL_SECRETS, PAWL_PROXY, PAWL_CA_FILE and PAWL_PRICES say (elsewhere: workers have them), and what is made of
 * them. Errors: as pawl_net_register. */
pawl_status pw_cli_net_register(pawl_engine *engine, bool elsewhere, pawl_error *err);
/** The same in a worker process. Errors: UNSUPPORTED (built without), as pawl_net_register_worker. */
struct pawl_module_registrar;
pawl_status pw_cli_net_worker(struct pawl_module_registrar *reg, void *unused, pawl_error *err);
/** An engine in memory with the same code, on no journal: to ask what there is. 0 or an exit code after having said why. */
int pw_cli_host_nowhere(pw_cli *cli);
void pw_cli_unhost(pw_cli *cli, int64_t drain_ms);
/** A line of the engine's log on standard error; user: the session. Any thread. */
void pw_cli_log(void *user, pawl_level level, const char *run_id, int64_t command,
                const char *text);
/** The workflows that need no module: [{name, ...}]. Nil: out of memory. */
const pawl_value *pw_cli_builtins(pw_cli *cli);
/** True if the built-in workflows have that name. */
bool pw_cli_is_builtin(pw_cli *cli, const char *workflow);
void pw_cli_signals_block(void);
void pw_cli_signals_unblock(void);
/** The signal that came within timeout_ms, 0 = none. Only after pw_cli_signals_block. */
int pw_cli_signal_take(int64_t timeout_ms);

/* ---- cli_relay.c: workers of other machines ---- */

/** 0, or an exit code after having said which option is missing or makes no sense. */
int pw_cli_relay_check(pw_cli *cli);
/** Opens the port that the options name, if they do. 0, or an exit code after having said why. */
int pw_cli_relay_begin(pw_cli *cli, pawl_level least, pw_relay **ret_relay);

/* ---- cli_value.c ---- */

/** A value for people: text plain, maps as aligned "key: value" lines, lists as "- " lines. Ends with a line end. */
void pw_out_value(pw_cli_out *out, const pawl_value *value, size_t indent);
/** The same on one line: "name: Ada, tags: a b". Appends plain text to a buffer (foreign bytes and all). */
void pw_value_line(pw_buf *text, const pawl_value *value, size_t bytes_max);
/** "Type: message" and its causes. */
void pw_out_failure(pw_cli_out *out, const pawl_value *failure, size_t indent);

/* ---- cli_meant.c: which workflow was meant ---- */

/** What the engine has instead of a workflow that it has not: the name that was meant, else some. NULL: it does not say. Owns: the scope. */
const char *pw_cli_meant_instead(pw_cli *cli, const char *workflow);
/** The name like it that is built in or of earlier runs, when neither has that one. NULL: nothing is odd. Owns: the scope. */
const char *pw_cli_meant_before(pw_cli *cli, const char *workflow);

/* ---- cli_look.c ---- */

pw_cli_style pw_cli_status_style(const char *status);

/* ---- cli_drive.c ---- */

/** [T4] Says that the last request was kept, and what makes it happen. */
void pw_cli_say_kept(pw_cli *cli);
/** Says that an open run stands still while no engine runs, if that is so. Text only. */
void pw_cli_say_still(pw_cli *cli);
/** What a reply says, with the run's id and whether it was kept. */
const pawl_value *pw_cli_outcome(pw_cli *cli, const char *id, const pawl_value *reply);

/* ---- cli_wait.c: questions ---- */

/** The open questions of a run; nil when they cannot be read. */
const pawl_value *pw_cli_waits(pw_cli *cli, const char *id);
/** A complaint with what the run of the command asks, and what to type for an answer. False: it asks nothing, and nothing was said. */
bool pw_cli_waits_say(pw_cli *cli, const char *what);
/** "pay: 1 of 2 votes: ann approve" on one line. Owns: the session. */
const char *pw_cli_wait_line(pw_cli *cli, const pawl_value *wait);

/* ---- commands ---- */

#define X(name, verb, group, operands, max, op1, op2, options, summary, text, examples) \
    int pw_verb_##verb(pw_cli *cli);
#include "tools/cli_commands.def"
#undef X

#endif
