/*
 * cli_model.h - the model that a command works with, by name or folder: opened, registered with the engine or the worker of this process, closed after it.
 */
#ifndef PW_CLI_MODEL_H
#define PW_CLI_MODEL_H

#include "tools/cli_session.h"

struct pawl_choose_vectors;
struct pawl_embedder;
struct pawl_module_registrar;

/** 0, or an exit code after having said that there is no such model and how to get one. Owns: the caller, pawl_embed_close. */
int pw_cli_model_open(pw_cli *cli, const char *name, struct pawl_embedder **ret_embedder);
/** --model, or $PAWL_MODEL; NULL: none. */
const char *pw_cli_model_wanted(const pw_cli *cli);
/** What it is called in a journal: of a folder its last part, for folders are moved. */
const char *pw_cli_model_label(const char *name);
/** Opens the one that is wanted, if any, into the session. 0 or an exit code after having said why. */
int pw_cli_model_host(pw_cli *cli);
/** "embed", "nearest" and "index" of the session's model and the engine's collections, if it has one. */
pawl_status pw_cli_model_register(pw_cli *cli, pawl_error *err);
pawl_status pw_cli_model_worker(struct pawl_module_registrar *reg, void *embedder, pawl_error *err);
/** What a chooser makes vectors with. False: the session has no model. */
bool pw_cli_model_vectors(pw_cli *cli, struct pawl_choose_vectors *ret_vectors);
void pw_cli_model_close(pw_cli *cli);

#endif
