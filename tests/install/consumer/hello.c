/*
 * hello.c - a program of somebody else: it knows what is installed and nothing of the source tree.
 *
 * It does not test the engine; it shows that one finished run is all that an installed pawl needs to be usable.
 */
#include <pawl.h>
#include <stdio.h>
#include <string.h>

static const pawl_value *greet(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{text: %s}", pawl_str(in, "name", "nobody"));
}

static const pawl_value *hello(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "greet", .input = in);
}

static pawl_status host(pawl_engine *e, pawl_scope *scope, const pawl_value **ret_result,
                        pawl_error *err)
{
    pawl_status status = pawl_register_activity(e, "greet", greet, NULL, err);
    if (status == PAWL_OK) {
        status = pawl_register_workflow(e, "hello", "1", hello, NULL, err);
    }
    if (status == PAWL_OK) {
        status = pawl_resume_all(e, err);
    }
    pawl_start_options o = {.workflow = "hello", .id = "hello-1"};
    o.input = pawl_build(scope, "{name: %s}", "world");
    if (status == PAWL_OK) {
        status = pawl_start(e, &o, sizeof o, NULL, err);
    }
    if (status == PAWL_OK) {
        status = pawl_result(e, "hello-1", 20000, scope, ret_result, err);
    }
    return status;
}

int main(int argc, char **argv)
{
    pawl_engine *e = NULL;
    pawl_error err;
    memset(&err, 0, sizeof err);
    if (argc != 2 || strcmp(pawl_version(), PAWL_VERSION) != 0) {
        fprintf(stderr, "usage: hello JOURNAL; header %s, library %s\n", PAWL_VERSION,
                pawl_version());
        return 2;
    }
    pawl_status status = pawl_open(argv[1], NULL, &e, &err);
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *result = NULL;
    if (status == PAWL_OK) {
        status = host(e, scope, &result, &err);
    }
    if (status == PAWL_OK) {
        printf("hello %s\n", pawl_str(result, "text", "?"));
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    pawl_close(e, 5000);
    pawl_scope_free(scope);
    return status == PAWL_OK ? 0 : 1;
}
