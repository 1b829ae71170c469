/*
 * cli_concept.h - what a hosted engine chooses tools with: words, the session's model if it has one, and the journal's concepts.
 */
#ifndef PW_CLI_CONCEPT_H
#define PW_CLI_CONCEPT_H

#include "tools/cli_session.h"

/** The session's chooser, of its model. */
pawl_status pw_cli_chooser_open(pw_cli *cli, pawl_error *err);
/** ... registered with its engine, before the agent is. */
pawl_status pw_cli_chooser_register(pw_cli *cli, pawl_error *err);
/** After the engine is closed, before the model is. */
void pw_cli_chooser_close(pw_cli *cli);

#endif
