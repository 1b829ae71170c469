/*
 * cli_index.h - `pawl index`: collections of texts and vectors, through the engine that owns the journal, or one of this command's own.
 */
#ifndef PW_CLI_INDEX_H
#define PW_CLI_INDEX_H

#include "sdk/pawl_index.h"
#include "tools/cli_session.h"

/** What a command of `index` has open. */
typedef struct pw_cli_index {
    pw_cli *cli;
    pawl_engine *own; /* NULL: somebody else's, or none was needed */
    pawl_embedder *embedder;
    pawl_index *index;
    int64_t begun_ms, said_ms; /* of what is going on */
    bool said;                 /* a line about it stands on the terminal */
} pw_cli_index;

/** How a door is to be opened. */
typedef struct pw_cli_index_need {
    bool writes;       /* an engine: its own if nobody's runs */
    bool makes;        /* a journal, if there is none */
    const char *model; /* its name; NULL: none */
} pw_cli_index_need;

/** 0, or an exit code after having said why. Always followed by close. */
int pw_cli_index_open(pw_cli *cli, const pw_cli_index_need *need, pw_cli_index *ret);
void pw_cli_index_close(pw_cli_index *x);
/** The model that is meant for a collection: --model, or the one that it was made with, or $PAWL_MODEL. NULL: none, and err says what is wrong with the
 * collection, if anything is. Owns: the session. */
const char *pw_cli_index_model(pw_cli_index *x, const char *name, pawl_error *err);

/** One operation of the control protocol, through whatever is open. The reply lives as long as the session. */
pawl_status pw_cli_index_ask(pw_cli_index *x, const char *op, const pawl_value *args,
                             const pawl_value **ret_reply, pawl_error *err);

/** Says why a call about a collection failed, and what to do about it. The exit code. */
int pw_cli_index_fail(pw_cli_index *x, const char *name, pawl_status status, const pawl_error *err);
/** The model of a collection could not be opened: where else it may be. */
void pw_cli_index_say_model(pw_cli_index *x, const char *name, const char *model);

/** "1,024 of 10,000 texts (12 s)" on a terminal, after a second, ten times a second; total 0: not known. */
void pw_cli_index_say(pw_cli_index *x, uint64_t done, uint64_t total, const char *what);
/** Takes that line away. */
void pw_cli_index_hush(pw_cli_index *x);

/** cli_index_add.c: texts into a collection, from operands or standard input. */
int pw_cli_index_add(pw_cli *cli);

#endif
