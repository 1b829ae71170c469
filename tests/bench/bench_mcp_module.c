/*
 * bench_mcp_module.c - the trivial tool of section o: a published workflow that gives its text back. It waits for nothing, so it is one turn.
 */
#include "sdk/pawl_module.h"

static const pawl_value *echo(pawl_run *w, const pawl_value *in)
{
    return pawl_make_str(pawl_run_scope(w), pawl_str(in, "text", ""));
}

PAWL_MODULE(reg, err)
{
    const pawl_workflow_options o = {
        .struct_size = sizeof o,
        .description = "Gives back the text it is given.",
        .input_schema = "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},"
                        "\"required\":[\"text\"]}",
        .publish = "{\"tool\":{\"title\":\"Echo\"}}"};
    return reg->workflow(reg, "echo", "1", echo, &o, err);
}
