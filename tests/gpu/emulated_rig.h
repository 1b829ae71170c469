/*
 * emulated_rig.h - libpawl_cuda as it is compiled for emulated devices, and the control of those devices.
 */
#ifndef TEST_EMULATED_RIG_H
#define TEST_EMULATED_RIG_H

#include "tests/embed/embed_rig.h"
#include "tests/gpu/emulated/emulated.h"

/** The path of the library. */
const char *emulated_library(void);
/** Of its devices; set to what a test expects when it begins: one device, nothing fails. */
const emulated_control *emulated_fresh(void);

#endif
