/*
 * module.h - opening a module without an engine: a worker process wants its activities only.
 */
#ifndef PW_MODULE_H
#define PW_MODULE_H

#ifndef PAWL_MODULE_HOST
#define PAWL_MODULE_HOST
#endif
#include "sdk/pawl_module.h"

/** Opens the module and calls its entry with that registrar; it stays mapped for the life of the process. Errors: as pawl_load_module. */
pawl_status pw_module_register(const char *path, pawl_module_registrar *reg, pawl_error *err);

#endif
