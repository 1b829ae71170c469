/*
 * cli_net_none.c - a binary without the network activities (-DPAWL_NET=OFF). Does nothing.
 */
#include "tools/cli_session.h"

pawl_status pw_cli_net_register(pawl_engine *engine, pawl_error *err)
{
    (void)engine;
    (void)err;
    return PAWL_OK;
}
