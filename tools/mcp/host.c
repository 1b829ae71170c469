/*
 * host.c - a loop and a thread for the MCP server. Nothing of it is touched from outside but the wake that ends it.
 */
#include "tools/mcp/host.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

struct pw_mcpd_host {
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    pw_mcpd *server;
    pw_mcpd_http *http;
    char url[128];
};

static void on_stop(uv_async_t *stop)
{
    pw_mcpd_host *host = stop->data;
    pw_mcpd_http_close(host->http);
    pw_mcpd_close(host->server);
    uv_close((uv_handle_t *)&host->stop, NULL);
}

static void *run(void *arg)
{
    pw_mcpd_host *host = arg;
    (void)uv_run(&host->loop, UV_RUN_DEFAULT);
    return NULL;
}

static pawl_status thread_start(pw_mcpd_host *host, pawl_error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&host->thread, NULL, run, host);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number == 0 ? PAWL_OK : pw_err(err, PAWL_IO, "no thread for the MCP server");
}

static void close_all(pw_mcpd_host *host)
{
    on_stop(&host->stop);
    (void)uv_run(&host->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&host->loop);
    pw_free(host);
}

pawl_status pw_mcpd_host_start(const pw_mcpd_options *options, const pw_mcpd_http_options *http,
                               pw_mcpd_host **ret_host, pawl_error *err)
{
    pw_mcpd_host *host = pw_calloc(1, sizeof *host);
    if (host == NULL || uv_loop_init(&host->loop) != 0) {
        pw_free(host);
        return pw_err(err, PAWL_NOMEM, "no memory for the MCP server");
    }
    (void)uv_async_init(&host->loop, &host->stop, on_stop);
    host->stop.data = host;
    host->server = pw_mcpd_open(&host->loop, options);
    pawl_status status = host->server != NULL
                             ? pw_mcpd_http_open(&host->loop, host->server, http, &host->http, err)
                             : pw_err(err, PAWL_NOMEM, "no memory for the MCP server");
    if (status == PAWL_OK) {
        (void)snprintf(host->url, sizeof host->url, "%s", pw_mcpd_http_url(host->http));
        status = thread_start(host, err);
    }
    if (status != PAWL_OK) {
        close_all(host);
        return status;
    }
    *ret_host = host;
    return PAWL_OK;
}

void pw_mcpd_host_stop(pw_mcpd_host *host)
{
    if (host == NULL) {
        return;
    }
    (void)uv_async_send(&host->stop);
    (void)pthread_join(host->thread, NULL);
    (void)uv_loop_close(&host->loop);
    pw_free(host);
}

size_t pw_mcpd_host_clients(const pw_mcpd_host *host, bool *ret_of_engine)
{
    *ret_of_engine = pw_up_is_connected(host->server->up);
    return pw_mcpd_http_clients(host->http);
}

const char *pw_mcpd_host_url(const pw_mcpd_host *host)
{
    return host->url;
}
