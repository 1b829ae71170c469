/*
 * cli_net.c - the network activities of a hosted engine, as the environment says: PAWL_EGRESS, PAWL_SECRETS, PAWL_PROXY, PAWL_CA_FILE,
 * PAWL_PRICES.
 *
 * Rules stand in a list with commas. Does not know what a rule is: pawl_net.h does.
 */
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/pawl_agent.h"
#include "sdk/pawl_net.h"
#include "tools/cli_session.h"

/* "a, b" as {"a", "b", NULL}; NULL when there is no such variable, which is another thing than an empty list. */
static const char *const *list_of(pawl_scope *scope, const char *name)
{
    const char *text = getenv(name);
    if (text == NULL) {
        return NULL;
    }
    const char **list = pawl_scope_alloc(scope, (strlen(text) / 2 + 2) * sizeof *list);
    size_t len = 0;
    for (const char *p = text + strspn(text, ", \n"); list != NULL && *p != '\0';
         p += strspn(p, ", \n")) {
        const size_t size = strcspn(p, ",\n");
        list[len++] = pw_strndup(scope, p, size);
        p += size;
    }
    return list;
}

static pawl_net_options options_of(pawl_scope *scope)
{
    return (pawl_net_options){
        .struct_size = sizeof(pawl_net_options),
        .egress = list_of(scope, "PAWL_EGRESS"),
        .secrets = list_of(scope, "PAWL_SECRETS"),
        .proxy = getenv("PAWL_PROXY"),
        .ca_file = getenv("PAWL_CA_FILE"),
        .prices = getenv("PAWL_PRICES"),
    };
}

pawl_status pw_cli_net_register(pawl_engine *engine, bool elsewhere, pawl_error *err)
{
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the network");
    }
    const pawl_net_options options = options_of(scope);
    pawl_status status = pw_scope_failed(scope)
                             ? pw_err(err, PAWL_NOMEM, "no memory for the network")
                         : elsewhere ? PAWL_OK
                                     : pawl_net_register(engine, &options, err);
    pawl_scope_free(scope);
    return status == PAWL_OK ? pawl_agent_register(engine, err) : status;
}

pawl_status pw_cli_net_worker(struct pawl_module_registrar *reg, void *unused, pawl_error *err)
{
    (void)unused;
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the network");
    }
    const pawl_net_options options = options_of(scope);
    pawl_status status = pw_scope_failed(scope)
                             ? pw_err(err, PAWL_NOMEM, "no memory for the network")
                             : pawl_net_register_worker(reg, &options, err);
    pawl_scope_free(scope);
    return status;
}
