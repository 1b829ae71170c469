/*
 * cli_embed_none.c - a binary without embedding (-DPAWL_EMBED=OFF). Embeds nothing and says so.
 */
#include "tools/cli_model.h"

static int without(pw_cli *cli)
{
    return pw_cli_fail(cli, PAWL_UNSUPPORTED, NULL, "this pawl was built without embedding");
}

int pw_verb_embed(pw_cli *cli)
{
    return without(cli);
}

int pw_verb_index(pw_cli *cli)
{
    return without(cli);
}

int pw_verb_model(pw_cli *cli)
{
    return without(cli);
}

const char *pw_cli_model_wanted(const pw_cli *cli)
{
    return cli->args->value[PW_OPT_MODEL];
}

int pw_cli_model_host(pw_cli *cli)
{
    return pw_cli_has(cli->args, PW_OPT_MODEL) ? without(cli) : PW_EXIT_OK;
}

pawl_status pw_cli_model_register(pw_cli *cli, pawl_error *err)
{
    (void)cli;
    (void)err;
    return PAWL_OK;
}

pawl_status pw_cli_model_worker(struct pawl_module_registrar *reg, void *embedder, pawl_error *err)
{
    (void)reg;
    (void)embedder;
    (void)err;
    return PAWL_OK;
}

bool pw_cli_model_vectors(pw_cli *cli, struct pawl_choose_vectors *ret_vectors)
{
    (void)cli;
    (void)ret_vectors;
    return false;
}

void pw_cli_model_close(pw_cli *cli)
{
    (void)cli;
}
