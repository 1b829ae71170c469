/*
 * host_module_good.h - what the two files of that module share.
 */
#ifndef HOST_MODULE_GOOD_H
#define HOST_MODULE_GOOD_H

#include "sdk/pawl_module.h"

const pawl_value *module_shout(pawl_task *t, const pawl_value *in, void *user);

#endif
