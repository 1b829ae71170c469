/*
 * cli_concept.h - what a hosted engine chooses tools with: words, the session's model if it has one, and the journal's concepts.
 */
#ifndef PW_CLI_CONCEPT_H
#define PW_CLI_CONCEPT_H

#include <pthread.h>

#include "tools/cli_session.h"

/** The session's chooser, of its model. */
pawl_status pw_cli_chooser_open(pw_cli *cli, pawl_error *err);
/** ... registered with its engine, before the agent is. */
pawl_status pw_cli_chooser_register(pw_cli *cli, pawl_error *err);
/** For searches of an MCP server: the session's chooser; pw_cli_chooser_late opens it, and the model that is wanted, when it is asked for first. user: a
 * pw_cli_late. NULL: there is none, and it is by words. Thread: any. */
struct pawl_chooser *pw_cli_chooser_now(void *user);
struct pawl_chooser *pw_cli_chooser_late(void *user);
typedef struct pw_cli_late {
    pw_cli *cli;
    pthread_mutex_t lock;
    bool tried;
} pw_cli_late;
/** After the engine is closed, before the model is. */
void pw_cli_chooser_close(pw_cli *cli);

#endif
