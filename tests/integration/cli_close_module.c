/*
 * cli_close_module.c - a module whose activity says in a file that it runs and then opens another: a pipe without a writer, which does not
 * hear that it is told to stop, or a file, which lets it end. cli_close_test.py closes engines around it.
 */
#include <stdio.h>

#include "sdk/pawl_module.h"

static const pawl_value *deaf(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    FILE *f = fopen(pawl_str(in, "begun", "/nonexistent"), "a");
    if (f == NULL) {
        return pawl_task_fail(t, "NoFile", "it cannot say that it runs");
    }
    (void)fprintf(f, "attempt %d\n", pawl_task_attempt(t));
    (void)fclose(f);
    f = fopen(pawl_str(in, "end", "/nonexistent"), "r");
    if (f != NULL) {
        (void)fclose(f);
    }
    return pawl_task_build(t, "%d", pawl_task_attempt(t));
}

static const pawl_value *closing(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "deaf", .input = in, .retry_initial_s = 0.01);
}

PAWL_MODULE(reg, err)
{
    pawl_status s = reg->activity(reg, "deaf", deaf, NULL, err);
    return s == PAWL_OK ? reg->workflow(reg, "closing", "1", closing, NULL, err) : s;
}
