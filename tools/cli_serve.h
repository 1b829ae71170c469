/*
 * cli_serve.h - the parts of the command `serve`.
 */
#ifndef PW_CLI_SERVE_H
#define PW_CLI_SERVE_H

#include "tools/cli_session.h"

/** Reads --rights, fetches the keys of its issuers and says what there is. An exit code: an issuer without keys is an error. */
int pw_cli_serve_check(pw_cli *cli);

#endif
