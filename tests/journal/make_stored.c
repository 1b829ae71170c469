/*
 * make_stored.c - writes the stored journal of this release: make_stored FILE. Its output belongs
 * in tests/journal/data as v<version>.db once, when a release with a new schema version is made,
 * and is never made again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/sqlite.h"
#include "tests/journal/stored.h"

static int to_file(void **state)
{
    char command[3 * PATH_MAX];
    rig *t = rig_open("sqlite-small");
    stored_fill(t);
    stored_check(t);
    t->r->ops->reader_close(t->r);
    t->r = NULL;
    t->j->ops->close(t->j);
    t->j = NULL;
    snprintf(command, sizeof(command), "cp '%s' '%s'", t->path, (const char *)*state);
    int rc = system(command);
    rig_close(t);
    return rc;
}

int main(int argc, char **argv)
{
    void *state = argc > 1 ? argv[1] : NULL;
    if (state == NULL) {
        fprintf(stderr, "make_stored FILE\n");
        return 2;
    }
    return to_file(&state) == 0 ? 0 : 1;
}
