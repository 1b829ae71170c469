/*
 * cli_old_module.c - a module of another pawl: its entry refuses any table. Does not register anything.
 */
#include "sdk/pawl.h"

struct pawl_module_api;
struct pawl_module_registrar;
PAWL_API pawl_status pawl_module_init(const struct pawl_module_api *api,
                                      struct pawl_module_registrar *reg, pawl_error *err);

PAWL_API pawl_status pawl_module_init(const struct pawl_module_api *api,
                                      struct pawl_module_registrar *reg, pawl_error *err)
{
    static const pawl_error why = {.status = PAWL_ABI,
                                   .message = "it was built for pawl 0.0.1 (module ABI 0)"};
    (void)api;
    (void)reg;
    *err = why;
    return PAWL_ABI;
}
