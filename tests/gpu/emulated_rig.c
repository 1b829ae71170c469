/*
 * emulated_rig.c - finds the control in the library. Checks nothing itself.
 */
#include "emulated_rig.h"

#include <dlfcn.h>
#include <string.h>

const char *emulated_library(void)
{
    return EMULATED_LIBRARY;
}

const emulated_control *emulated_fresh(void)
{
    const emulated_control *(*get)(void) = NULL;
    void *library = dlopen(EMULATED_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fail_msg("%s", dlerror());
    }
    void *symbol = dlsym(library, EMULATED_ENTRY);
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof get);
    const emulated_control *control = get();
    control->devices(1);
    control->fail_at(0, 0);
    control->memory(0);
    return control;
}
