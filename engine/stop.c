/*
 * stop.c - the core before its end: nothing new begins, what runs is told to stop, and can be named.
 *
 *   NONE --pw_core_shutdown--> NEW (what runs may finish) --pw_core_stop_tasks--> STOP (what ends now has been stopped)
 *
 * Does not wait for anything: the host does. Does not reach attempts of workers elsewhere: they notice that nobody answers.
 */
#include <stdio.h>
#include <string.h>

#include "engine/job.h"

enum { NAMES_MAX = 5 };

void pw_core_shutdown(pw_core *core)
{
    core->shutdown = PW_SHUTDOWN_NEW;
}

static bool runs_here(const pw_job *job)
{
    return job->state == PW_JOB_RUNNING && job->task != NULL;
}

void pw_core_stop_tasks(pw_core *core)
{
    core->shutdown = PW_SHUTDOWN_STOP;
    pw_job *job, *next;
    HASH_ITER (hh, core->jobs, job, next) {
        if (runs_here(job)) {
            pw_task_cancel(job->task);
            core->env.cancel(core->env.ctx, job->task);
        }
    }
}

typedef struct running {
    const char *name;
    size_t count;
} running;

/* The first few names, in the order their first attempts came. Gives how many attempts the rest are. */
static size_t count_names(const pw_core *core, running found[NAMES_MAX], size_t *ret_len)
{
    size_t rest = 0;
    *ret_len = 0;
    pw_job *job, *next;
    HASH_ITER (hh, core->jobs, job, next) {
        size_t i = 0;
        while (i < *ret_len && strcmp(found[i].name, job->name) != 0) {
            i++;
        }
        if (!runs_here(job)) {
            continue;
        }
        if (i < *ret_len) {
            found[i].count++;
        } else if (i < NAMES_MAX) {
            found[(*ret_len)++] = (running){job->name, 1};
        } else {
            rest++;
        }
    }
    return rest;
}

void pw_core_tasks_text(const pw_core *core, char *ret_text, size_t size)
{
    running found[NAMES_MAX];
    size_t len = 0;
    size_t rest = count_names(core, found, &len);
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < len && used < size; i++) {
        char count[32] = "";
        if (found[i].count > 1) {
            (void)snprintf(count, sizeof count, "%zu of ", found[i].count);
        }
        int put = snprintf(ret_text + used, size - used, "%s%s%.60s", i > 0 ? ", " : "", count,
                           found[i].name);
        used += put > 0 ? (size_t)put : 0;
    }
    if (rest > 0 && used < size) {
        (void)snprintf(ret_text + used, size - used, " and %zu more", rest);
    }
}
