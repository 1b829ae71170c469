/*
 * cli_net_none.c - a binary without the network activities (-DPAWL_NET=OFF). Does nothing.
 */
#include "sdk/base/error.h"
#include "tools/cli_session.h"

pawl_status pw_cli_net_register(pawl_engine *engine, bool elsewhere, pawl_error *err)
{
    (void)engine;
    (void)elsewhere;
    (void)err;
    return PAWL_OK;
}

pawl_status pw_cli_net_worker(struct pawl_module_registrar *reg, void *unused, pawl_error *err)
{
    (void)unused;
    (void)reg;
    return pw_err(err, PAWL_UNSUPPORTED, "this pawl was built without the network (PAWL_NET=OFF)");
}
