/*
 * job_pause.c - an attempt whose failure wants its run paused: the same request that a person would make, before the failure is told.
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

void pw_job_pause(pw_core *core, const pw_job *job, const pw_report *r)
{
    static const char op[] = "pause";
    const char *reason = pawl_str(failure_of(r), "pause", "");
    if (reason[0] == 0 || core->shutdown) {
        return;
    }
    pw_request *rq = NULL;
    pawl_error err;
    const pawl_value *args =
        pawl_build(r->scope, "{id: %s, reason: %s, by: %s}", job->run_id, reason, job->name);
    pawl_status st = pw_request_new((pw_view){(const uint8_t *)op, sizeof op - 1},
                                    pw_value_bytes(args), NULL, NULL, &rq, &err);
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_WARN, job->run_id, job->key.cmd, "the run cannot be paused: %s",
                    err.message);
        return;
    }
    pw_core_request(core, rq);
}
