/*
 * workflows.h - the workflows that come with the binary. They use the public headers only: what they do, any user can do.
 */
#ifndef PAWL_WORKFLOWS_H
#define PAWL_WORKFLOWS_H

#include "sdk/pawl.h"

/** Registers "exec" and "release" with their activities. Errors: as pawl_register_workflow. */
PAWL_MUST_USE pawl_status pawl_workflows_register(pawl_engine *e, pawl_error *err);

#endif
