/*
 * mcp_rig.c - two workflows, and servers. Does not know what is asked.
 */
#include "mcp_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const pawl_value *call_it(pawl_run *w, const pawl_value *in, const pawl_value *request)
{
    const pawl_effect effect =
        pawl_bool(in, "unsafe", false) ? PAWL_EFFECT_UNSAFE : PAWL_EFFECT_DEFAULT;
    return pawl_call(w, "mcp", .input = request, .retries = (int)pawl_int(in, "retries", -1),
                     .retry_initial_s = 0.01, .effect = effect);
}

static const pawl_value *use(pawl_run *w, const pawl_value *in)
{
    return call_it(w, in, pawl_get(in, "request"));
}

/* The described wait: what a server wants to know is asked of a person, and the call goes on with the answer. */
static const pawl_value *consult(pawl_run *w, const pawl_value *in)
{
    const pawl_value *request = pawl_get(in, "request");
    for (;;) {
        const pawl_value *result = call_it(w, in, request);
        const pawl_failure *f = pawl_catch(w);
        if (f == NULL || !pawl_failure_is(f, "InputRequired")) {
            return f == NULL ? result : pawl_rethrow(w, f);
        }
        const pawl_value *questions = pawl_get(f->details, "questions");
        const pawl_value *answers = NULL;
        for (size_t i = 0; i < pawl_len(questions); i++) {
            const pawl_value *params = pawl_get(pawl_at(questions, i), "params");
            const pawl_value *said = pawl_ask(w, .name = pawl_key_at(questions, i), .kind = "form",
                                              .prompt = pawl_str(params, "message", "?"),
                                              .schema = pawl_get(params, "requestedSchema"));
            answers = pawl_with(
                pawl_run_scope(w), answers, pawl_key_at(questions, i),
                pawl_json(w, "{action: \"accept\", content: %p}", pawl_v(pawl_get(said, "data"))));
        }
        request = pawl_with(pawl_run_scope(w), request, "answers", answers);
        request = pawl_with(pawl_run_scope(w), request, "resume", pawl_get(f->details, "resume"));
    }
}

static void add_workflows(http_rig *r)
{
    ok(r->host, pawl_register_workflow(r->host->engine, "use", "1", use, NULL, &r->host->err));
    ok(r->host,
       pawl_register_workflow(r->host->engine, "consult", "1", consult, NULL, &r->host->err));
}

void mcp_open(http_rig *r)
{
    http_open(r, NULL);
    add_workflows(r);
    ok(r->host, pawl_resume_all(r->host->engine, &r->host->err));
}

int mcp_setup(void **state)
{
    const int rc = http_setup(state);
    add_workflows(*state);
    return rc;
}

int mcp_teardown(void **state)
{
    char path[200];
    http_rig *r = *state;
    (void)snprintf(path, sizeof path, "%s/mcp.log", r->host->folder);
    (void)unlink(path);
    return http_teardown(state);
}

const pawl_value *mcp_url(http_rig *r, const char *path)
{
    return pawl_build(r->host->scope, "{url: %s}", http_url(r, "%s", path));
}

const pawl_value *mcp_command(http_rig *r, const char *era)
{
    char log[200];
    (void)snprintf(log, sizeof log, "%s/mcp.log", r->host->folder);
    return pawl_build(r->host->scope, "{command: [\"python3\", \"-B\", %s, \"--stdio\", %s, %s]}",
                      NET_SERVER, era, log);
}

int mcp_logged(http_rig *r, const char *key)
{
    char line[300];
    int times = 0;
    (void)snprintf(line, sizeof line, "%s/mcp.log", r->host->folder);
    FILE *f = fopen(line, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        times += strcmp(line, key) == 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return times;
}

void mcp_start(http_rig *r, const mcp_use *u)
{
    pawl_scope *scope = r->host->scope;
    const pawl_value *request =
        pawl_build(scope, "{server: %p, tool: %s, arguments: %p}", pawl_v(u->server), u->tool,
                   pawl_v(u->arguments != NULL ? u->arguments : pawl_build(scope, "{}")));
    for (size_t i = 0; i < pawl_len(u->more); i++) {
        request = pawl_with(scope, request, pawl_key_at(u->more, i), pawl_at(u->more, i));
    }
    const pawl_value *input =
        pawl_with(scope, u->with != NULL ? u->with : pawl_build(scope, "{}"), "request", request);
    const pawl_start_options o = {
        .workflow = u->workflow != NULL ? u->workflow : "use", .id = u->id, .input = input};
    ok(r->host, pawl_start(r->host->engine, &o, sizeof o, NULL, &r->host->err));
}

const pawl_value *mcp_result(http_rig *r, const mcp_use *u)
{
    mcp_start(r, u);
    return http_end(r, u->id);
}

const pawl_value *mcp_failing(http_rig *r, const mcp_use *u, const char *type)
{
    mcp_start(r, u);
    const pawl_value *v = http_failure(r, u->id);
    if (!pawl_is(v, "type", type)) {
        fail_msg("%s: failed with %s: %s; %s was expected", u->id, pawl_str(v, "type", "?"),
                 pawl_str(v, "message", "?"), type);
    }
    return v;
}

const char *mcp_text(const pawl_value *result)
{
    return pawl_str(result, "content.0.text", "");
}
