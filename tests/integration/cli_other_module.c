/*
 * cli_other_module.c - a deploy gone wrong: the workflow "listening" of cli_module.c, but with other steps; on request "asking" and
 * "queried" end the process, each in its own way, "sleeping" does not come back, and "wordy" is as it was. Does not hold the rest.
 */
#include <signal.h>
#include <stdlib.h>

#include "sdk/pawl_module.h"

static const pawl_value *listening(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_sleep(w, 1) ? pawl_json(w, "{slept: true}") : NULL;
}

static const pawl_value *asking(pawl_run *w, const pawl_value *in)
{
    (void)w;
    (void)in;
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

static const pawl_value *queried(pawl_run *w, const pawl_value *in)
{
    (void)w;
    (void)in;
    _Exit(0);
}

static const pawl_value *sleeping(pawl_run *w, const pawl_value *in)
{
    (void)w;
    (void)in;
    for (volatile int64_t i = 0; i >= 0; i++) {
    }
    return NULL;
}

static const pawl_value *wordy(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_ask(w, "a-question-with-a-name-that-does-not-fit-into-the-line-of-a-terminal",
                    .prompt = "Now?", .choices = "yes|no", .deadline_s = 90000,
                    .on_deadline = "no");
}

PAWL_MODULE(reg, err)
{
    static const struct {
        const char *name;
        pawl_workflow_fn fn;
    } bad[] = {{"listening", listening},
               {"asking", asking},
               {"queried", queried},
               {"sleeping", sleeping},
               {"wordy", wordy}};
    const bool all = getenv("CLI_OTHER_MODULE_CRASHES") != NULL;
    pawl_status s = PAWL_OK;
    for (size_t i = 0; s == PAWL_OK && i < (all ? sizeof bad / sizeof bad[0] : 1); i++) {
        s = reg->workflow(reg, bad[i].name, "1", bad[i].fn, NULL, err);
    }
    return s;
}
