/*
 * host_module_good_more.c - the module's other file: it includes the header too, and holds no PAWL_MODULE.
 */
#include "host_module_good.h"

#include <ctype.h>
#include <string.h>

const pawl_value *module_shout(pawl_task *t, const pawl_value *in, void *user)
{
    char text[100];
    size_t size = strnlen(pawl_str(in, "", ""), sizeof text - 1);

    (void)user;
    if (size == 0) {
        return pawl_task_fail_with(t, "Empty", "nothing to shout", NULL, false);
    }
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)toupper((unsigned char)pawl_str(in, "", "")[i]);
    }
    text[size] = '\0';
    return pawl_task_build(t, "%s", text);
}
