/*
 * net_register.c - the entry of libpawl_net: an engine's network thread, and what is registered on it.
 *
 * The target is an engine, or the registrar of a worker process. Does not read the environment: options say what may be reached, and which
 * secrets may be used.
 */
#define PAWL_MODULE_HOST
#include "sdk/pawl_module.h"
#include "sdk/pawl_net.h"

#include <string.h>

#include "activities/http_activity.h"
#include "activities/llm_activity.h"
#include "activities/mcp_activity.h"
#include "activities/net_runner.h"
#include "sdk/base/error.h"

/* One of them. */
typedef struct target {
    pawl_engine *engine;
    pawl_module_registrar *reg;
} target;

static pawl_status target_take(const target *to, const char *name, const pawl_activity_options *o,
                               pawl_error *err)
{
    return to->engine != NULL ? pawl_register_activity(to->engine, name, pw_net_nowhere, o, err)
                              : to->reg->activity(to->reg, name, pw_net_nowhere, o, err);
}

static pawl_net_options options_take(const pawl_net_options *given)
{
    pawl_net_options o;
    memset(&o, 0, sizeof o);
    if (given != NULL) {
        const size_t size = given->struct_size == 0 || given->struct_size > sizeof o
                                ? sizeof o
                                : given->struct_size;
        memcpy(&o, given, size);
    }
    return o;
}

/* The rules of one runner, which takes them over. */
static pawl_status rules_make(const pawl_net_options *o, pw_egress **ret_egress,
                              pw_secret_rules **ret_secrets, pawl_error *err)
{
    pawl_status status = pw_egress_new(o->egress, ret_egress, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_egress_of_setting(*ret_egress);
    status = pw_secret_rules_new(o->secrets, ret_secrets, err);
    if (status != PAWL_OK) {
        pw_egress_free(*ret_egress);
    }
    return status;
}

static pw_net_options settings_of(const pawl_net_options *o)
{
    return (pw_net_options){
        .proxy = o->proxy, .ca_file = o->ca_file, .transfers_max = o->requests_max};
}

static pawl_status runner_make(const pawl_net_options *o, pw_net_runner **ret_runner,
                               pawl_error *err)
{
    pw_egress *egress = NULL;
    pw_secret_rules *secrets = NULL;
    const pw_net_options net = settings_of(o);
    const pawl_status status = rules_make(o, &egress, &secrets, err);
    return status == PAWL_OK ? pw_net_runner_start(egress, secrets, &net, ret_runner, err) : status;
}

static pawl_status mcp_register(const target *to, const pawl_net_options *o, pawl_error *err)
{
    pw_egress *egress = NULL;
    pw_secret_rules *secrets = NULL;
    pw_mcp_hub *hub = NULL;
    const pw_net_options net = settings_of(o);
    pawl_status status = rules_make(o, &egress, &secrets, err);
    status = status == PAWL_OK ? pw_mcp_hub_start(egress, secrets, &net, &hub, err) : status;
    if (status != PAWL_OK) {
        return status;
    }
    const pawl_activity_options options = pw_mcp_options(hub);
    status = target_take(to, "mcp", &options, err);
    if (status != PAWL_OK) {
        options.runner->ops->stop(options.runner, 0); /* nobody has taken it */
    }
    return status;
}

static void *user_of(const pw_net_activity *activity)
{
    union {
        const pw_net_activity *in;
        void *out;
    } u = {.in = activity};
    return u.out;
}

static pawl_status register_one(const target *to, pw_net_runner *runner, const char *name,
                                const char *what, const pw_net_activity *activity, pawl_error *err)
{
    const pawl_activity_options o = {.struct_size = sizeof o,
                                     .description = what,
                                     .user = user_of(activity),
                                     .runner = pw_net_runner_base(runner)};
    return target_take(to, name, &o, err);
}

static pawl_status register_all(const target *to, const pawl_net_options *options, pawl_error *err)
{
    const pawl_net_options o = options_take(options);
    pw_net_runner *runner = NULL;
    if (strcmp(pawl_version(), PAWL_VERSION) != 0) { /* both libraries know the inside of values */
        return pw_err(err, PAWL_ABI, "libpawl_net is of version %s, libpawl of %s", PAWL_VERSION,
                      pawl_version());
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf prices = PW_BUF_INIT;
    pawl_status status = pw_llm_prices_load(o.prices, &prices, err);
    status = status == PAWL_OK ? runner_make(&o, &runner, err) : status;
    if (status != PAWL_OK) {
        return status;
    }
    pw_llm_setup *llm = pw_llm_setup_new(&o, (pw_view){prices.data, prices.size});
    pw_net_runner_keep(runner, llm);
    status =
        llm != NULL
            ? register_one(
                  to, runner, "http",
                  "An HTTP request: {url, method, headers, query, json ...} gives {status, headers, body}",
                  &pw_http_activity, err)
            : pw_err(err, PAWL_NOMEM, "no memory for the activity llm");
    if (status != PAWL_OK) {
        pawl_runner *base = pw_net_runner_base(runner);
        base->ops->stop(base, 0); /* nobody has taken it */
        return status;
    }
    status = register_one(
        to, runner, "llm",
        "A model call: {endpoint, request: {model, messages ...}} gives {message, stop, usage ...}",
        &llm->activity, err);
    return status == PAWL_OK ? mcp_register(to, &o, err) : status;
}

pawl_status pawl_net_register(pawl_engine *engine, const pawl_net_options *options, pawl_error *err)
{
    const target to = {.engine = engine};
    return register_all(&to, options, err);
}

pawl_status pawl_net_register_worker(pawl_module_registrar *reg, const pawl_net_options *options,
                                     pawl_error *err)
{
    const target to = {.reg = reg};
    return register_all(&to, options, err);
}
