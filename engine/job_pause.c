/*
 * job_pause.c - an attempt whose failure wants its run paused: the same request that a person would make, before the failure is told. And one that
 * cannot begin, whatever is done again.
 *
 * Does not hold the attempt itself: the pause does, as any other.
 */
#include "engine/core.h"
#include "engine/job.h"

static const pawl_value *failure_of(const pw_report *r)
{
    return r->kind == PW_REPORT_FAILED && r->scope != NULL
               ? pw_value_view(r->scope, r->value.data, r->value.size)
               : NULL;
}

/* Args are of that scope. */
static bool ask(pw_core *core, const pw_job *job, pawl_scope *scope, const char *reason)
{
    static const char op[] = "pause";
    pw_request *rq = NULL;
    pawl_error err;
    const pawl_value *args =
        pawl_build(scope, "{id: %s, reason: %s, by: %s}", job->run_id, reason, job->name);
    pawl_status st = pw_request_new((pw_view){(const uint8_t *)op, sizeof op - 1},
                                    pw_value_bytes(args), NULL, NULL, &rq, &err);
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_WARN, job->run_id, job->key.cmd, "the run cannot be paused: %s",
                    err.message);
        return false;
    }
    pw_core_request(core, rq);
    return true;
}

void pw_job_pause(pw_core *core, const pw_job *job, const pw_report *r)
{
    const char *reason = pawl_str(failure_of(r), "pause", "");
    if (reason[0] != 0 && !core->shutdown) {
        (void)ask(core, job, r->scope, reason);
    }
}

bool pw_job_pause_run(pw_core *core, const pw_job *job, const char *reason)
{
    pawl_scope *scope = pawl_scope_new();
    bool asked = scope != NULL && ask(core, job, scope, reason);
    pawl_scope_free(scope);
    return asked;
}
