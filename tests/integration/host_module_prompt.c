/*
 * host_module_prompt.c - a module built twice, with two prompts: what an edited prompt does to a run that is open. Does not check anything:
 * host_module_test.c does.
 */
#include "sdk/pawl_module.h"

static const pawl_value *answer(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(task, "{was_asked: %s}", pawl_str(in, "prompt", ""));
}

static const pawl_value *prompted(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *v =
        pawl_call(w, "answer", .input = pawl_json(w, "{prompt: %s}", MODULE_PROMPT));
    (void)pawl_signal(w, .name = "go");
    return v;
}

PAWL_MODULE(reg, err)
{
    pawl_status status = reg->activity(reg, "answer", answer, NULL, err);

    return status != PAWL_OK ? status : reg->workflow(reg, "prompted", "1", prompted, NULL, err);
}
