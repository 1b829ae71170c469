/*
 * net.c - a program of somebody else that asks over the network. It does not need one: what it asks for is denied, which it says.
 */
#include <pawl_net.h>
#include <stdio.h>
#include <string.h>

static const pawl_value *ask(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "http", .input = in);
}

static pawl_status host(pawl_engine *e, pawl_scope *scope, const pawl_value **ret_end,
                        pawl_error *err)
{
    pawl_start_options o = {.workflow = "ask", .id = "ask-1"};
    pawl_status status = pawl_net_register(e, NULL, err);
    if (status == PAWL_OK) {
        status = pawl_register_workflow(e, "ask", "1", ask, NULL, err);
    }
    if (status == PAWL_OK) {
        status = pawl_resume_all(e, err);
    }
    o.input = pawl_build(scope, "{url: %s}", "http://127.0.0.1/");
    if (status == PAWL_OK) {
        status = pawl_start(e, &o, sizeof o, NULL, err);
    }
    return status == PAWL_OK ? pawl_result(e, "ask-1", 20000, scope, ret_end, err) : status;
}

int main(void)
{
    pawl_engine *e = NULL;
    pawl_error err;
    pawl_options options = {.struct_size = sizeof options, .memory = true, .no_socket = true};
    memset(&err, 0, sizeof err);
    pawl_status status = pawl_open(NULL, &options, &e, &err);
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *end = NULL;
    if (status == PAWL_OK) {
        status = host(e, scope, &end, &err);
    }
    if (status == PAWL_FAILED) {
        printf("%s\n", pawl_str(end, "type", "?"));
    } else {
        fprintf(stderr, "%s: %s\n", pawl_status_name(status), err.message);
    }
    pawl_close(e, 5000);
    pawl_scope_free(scope);
    return status == PAWL_FAILED ? 0 : 1;
}
