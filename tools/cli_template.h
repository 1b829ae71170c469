/*
 * cli_template.h - the files that `pawl new` writes, embedded by the build from tools/cli_template/.
 *
 * In them @NAME@ is the module's name and @VERSION@ pawl's. A file called module.c becomes NAME.c.
 */
#ifndef PW_CLI_TEMPLATE_H
#define PW_CLI_TEMPLATE_H

#include <stddef.h>

typedef struct pw_template {
    const char *name;
    const char *text;
    size_t size;
} pw_template;

extern const pw_template pw_templates[];
extern const size_t pw_templates_len;

#endif
