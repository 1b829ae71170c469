/*
 * http_rig.c - one workflow that asks, and waiting for what came of it. Does not know what is asked.
 */
#include "http_rig.h"

#include <stdio.h>
#include <stdlib.h>

static const pawl_value *ask(pawl_run *w, const pawl_value *in)
{
    const pawl_effect effect =
        pawl_bool(in, "unsafe", false) ? PAWL_EFFECT_UNSAFE : PAWL_EFFECT_DEFAULT;
    return pawl_call(w, "http", .input = pawl_get(in, "request"),
                     .retries = (int)pawl_int(in, "retries", -1), .retry_initial_s = 0.01,
                     .effect = effect);
}

static void on_log(void *user, pawl_level level, const char *run_id, int64_t command,
                   const char *text)
{
    http_rig *r = user;
    pthread_mutex_lock(&r->lock);
    pw_buf_printf(&r->log, "%d %s %lld %s\n", (int)level, run_id != NULL ? run_id : "-",
                  (long long)command, text);
    pthread_mutex_unlock(&r->lock);
}

void http_open(http_rig *r, const pawl_net_options *options)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    static const char *const secrets[] = {"env:*", "file:/*", "command:*", NULL};
    const pawl_net_options usual = {
        .struct_size = sizeof usual, .egress = loopback, .secrets = secrets};
    const pawl_options o = {
        .struct_size = sizeof o, .log = on_log, .log_user = r, .no_socket = true};
    rig_open(r->host, &o);
    ok(r->host, pawl_register_workflow(r->host->engine, "ask", "1", ask, NULL, &r->host->err));
    ok(r->host,
       pawl_net_register(r->host->engine, options != NULL ? options : &usual, &r->host->err));
}

int http_setup(void **state)
{
    http_rig *r = calloc(1, sizeof *r);
    void *part = NULL;
    assert_non_null(r);
    pthread_mutex_init(&r->lock, NULL);
    assert_int_equal(net_setup(&part), 0);
    r->net = part;
    assert_int_equal(rig_setup(&part), 0);
    r->host = part;
    http_open(r, NULL);
    *state = r;
    return 0;
}

int http_teardown(void **state)
{
    http_rig *r = *state;
    void *part = r->host;
    (void)rig_teardown(&part);
    part = r->net;
    (void)net_teardown(&part);
    pw_buf_deinit(&r->log);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return 0;
}

const char *http_url(http_rig *r, const char *fmt, ...)
{
    char path[2000];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    return pawl_str(pawl_make_str(r->host->scope, net_url(r->net, "%s", path)), "", "");
}

void http_start(http_rig *r, const char *id, const pawl_value *request, const pawl_value *with)
{
    assert_non_null(request);
    const pawl_value *input = pawl_with(
        r->host->scope, with != NULL ? with : pawl_build(r->host->scope, "{}"), "request", request);
    const pawl_start_options o = {.workflow = "ask", .id = id, .input = input};
    ok(r->host, pawl_start(r->host->engine, &o, sizeof o, NULL, &r->host->err));
}

const pawl_value *http_end(http_rig *r, const char *id)
{
    return rig_result(r->host, id);
}

const pawl_value *http_failure(http_rig *r, const char *id)
{
    const pawl_value *v = NULL;
    expect(r->host, PAWL_FAILED,
           pawl_result(r->host->engine, id, HOST_PATIENCE_MS, r->host->scope, &v, &r->host->err));
    return v;
}

const pawl_value *http_ask(http_rig *r, const char *id, const pawl_value *request)
{
    http_start(r, id, request, NULL);
    return http_end(r, id);
}

const pawl_value *http_ask_failing(http_rig *r, const char *id, const pawl_value *request,
                                   const char *type)
{
    http_start(r, id, request, NULL);
    const pawl_value *v = http_failure(r, id);
    if (!pawl_is(v, "type", type)) {
        fail_msg("%s: failed with %s: %s; %s was expected", id, pawl_str(v, "type", "?"),
                 pawl_str(v, "message", "?"), type);
    }
    return v;
}

void http_seen(http_rig *r, const char *id, int times)
{
    while (net_count(r->net, id) < times) {
    }
}
