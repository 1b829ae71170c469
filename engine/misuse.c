/*
 * misuse.c - what follows when workflow code's handle is used where it does not run: on another thread, after its turn, by another run.
 *
 * Nothing is done, the call returns nil, and it is said who called. The handle is never looked into. Does not find a handle that was kept and
 * is used by the same code in a later turn of its own: there it is the right one again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "engine/misuse.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/** "order.c:40", or "order.so+0x1a2b (charge)" for calls that do not carry their line. */
static void caller_text(const char *file, int line, const void *caller, char *ret_text, size_t size)
{
    Dl_info info = {0};

    if (file != NULL) {
        (void)snprintf(ret_text, size, "%.100s:%d", base_of(file), line);
    } else if (dladdr(caller, &info) != 0 && info.dli_fname != NULL) {
        size_t offset = (size_t)((const char *)caller - (const char *)info.dli_fbase);
        (void)snprintf(ret_text, size, "%.80s+0x%zx%s%.60s%s", base_of(info.dli_fname), offset,
                       info.dli_sname != NULL ? " (" : "",
                       info.dli_sname != NULL ? info.dli_sname : "",
                       info.dli_sname != NULL ? ")" : "");
    } else {
        (void)snprintf(ret_text, size, "%p", caller);
    }
}

bool pw_misused(const char *what, const char *file, int line, const void *caller)
{
    char at[200];
    char text[400];
    pawl_run *w = pw_running;

    caller_text(file, line, caller, at, sizeof at);
    if (w == NULL) {
        (void)fprintf(
            stderr,
            "pawl: misuse: %s at %s: no workflow function runs on this thread; nothing was done\n",
            what, at);
        return false;
    }
    w->noops++; /* a query handler that did it is refused */
    if (w->failure != NULL && strcmp(w->failure->type, "Misuse") == 0) {
        return false; /* the first one says enough */
    }
    (void)snprintf(text, sizeof text,
                   "%s at %s: the handle is not that of the function that runs; nothing was done",
                   what, at);
    pw_set_failure(w, pw_failure_new(w->live->scope, "Misuse", text, NULL, false, w->failure), 0);
    if (!w->live->replaying) {
        pw_core_log(w->live->core, PAWL_ERROR, w->live->id, w->live->next_cmd - 1, "%s", text);
    }
    return false;
}

bool pw_is_sibling(const pawl_run *w)
{
    const pawl_run *branch = pw_running != NULL ? pw_running->live->branches : NULL;

    while (branch != NULL && branch != w) {
        branch = branch->next;
    }
    return branch != NULL;
}
