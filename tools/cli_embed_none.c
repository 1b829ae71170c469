/*
 * cli_embed_none.c - a binary without embedding (-DPAWL_EMBED=OFF). Embeds nothing and says so.
 */
#include "tools/cli_session.h"

int pw_verb_embed(pw_cli *cli)
{
    return pw_cli_fail(cli, PAWL_UNSUPPORTED, NULL, "this pawl was built without embedding");
}
