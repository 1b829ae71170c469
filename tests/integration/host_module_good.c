/*
 * host_module_good.c - a module of two files that uses every kind of way through the table: plain calls, templates, formatted failures. Does not
 * check anything: host_module_test.c does.
 */
#include "sdk/pawl_module.h"

#include "host_module_good.h"

static const pawl_value *count(pawl_step *s, const pawl_value *in)
{
    return pawl_int(in, "n", 0) < 0
               ? pawl_step_fail(s, "Negative", "n is %d", (int)pawl_int(in, "n", 0))
               : pawl_step_build(s, "{twice: %lld}", (long long)(2 * pawl_int(in, "n", 0)));
}

static const pawl_value *flow(pawl_run *w, const pawl_value *in)
{
    const pawl_value *text = pawl_call(w, "module_shout", .input = pawl_get(in, "text"));
    const pawl_value *twice = pawl_local(w, "count", count, in);

    pawl_log(w, PAWL_INFO, "text has %zu bytes", pawl_len(text));
    if (pawl_bool(in, "refuse", false)) {
        return pawl_fail(w, "Refused", "by %s, %d times", "the module", 2);
    }
    return pawl_json(w, "{text: %p, twice: %p}", pawl_v(text), pawl_v(pawl_get(twice, "twice")));
}

PAWL_MODULE(reg, err)
{
    pawl_status status = reg->activity(reg, "module_shout", module_shout, NULL, err);

    return status != PAWL_OK ? status : reg->workflow(reg, "module_flow", "1", flow, NULL, err);
}
