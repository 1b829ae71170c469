/*
 * net_rig.c - the scripted server as a child process, and requests that are waited for.
 *
 * The server's path comes from the build (NET_SERVER). Does not look at what a reply means.
 */
#include "net_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- the server ---- */

static int run_quietly(char *const *argv)
{
    posix_spawn_file_actions_t files;
    pid_t pid = 0;
    int status = -1;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, argv[0], &files, NULL, argv, environ) == 0) {
        (void)waitpid(pid, &status, 0);
    }
    posix_spawn_file_actions_destroy(&files);
    return status;
}

static char *text(const char *t)
{
    return strdup(t);
}

static bool certificate_make(const char *folder)
{
    char cert[100];
    char key[100];
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", folder);
    char *argv[] = {text("openssl"),
                    text("req"),
                    text("-x509"),
                    text("-newkey"),
                    text("ec"),
                    text("-pkeyopt"),
                    text("ec_paramgen_curve:P-256"),
                    text("-nodes"),
                    text("-days"),
                    text("2"),
                    text("-subj"),
                    text("/CN=localhost"),
                    text("-addext"),
                    text("subjectAltName=DNS:localhost,IP:127.0.0.1"),
                    text("-out"),
                    text(cert),
                    text("-keyout"),
                    text(key),
                    NULL};
    const int status = run_quietly(argv);
    for (size_t i = 0; argv[i] != NULL; i++) {
        free(argv[i]);
    }
    return status == 0;
}

void net_server_start(net_server *s)
{
    int in[2];
    int out[2];
    (void)snprintf(s->folder, sizeof s->folder, "net-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    const bool tls = certificate_make(s->folder);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    char *argv[] = {text("python3"), text("-B"), text(NET_SERVER), tls ? text(s->folder) : NULL,
                    NULL};
    const int rc = posix_spawnp(&s->pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    for (size_t i = 0; argv[i] != NULL; i++) {
        free(argv[i]);
    }
    close(in[0]);
    close(out[1]);
    if (rc != 0) {
        printf("skipped: python3 is not installed\n");
        exit(77);
    }
    s->input = in[1];
    FILE *said = fdopen(out[0], "r");
    assert_non_null(said);
    assert_int_equal(fscanf(said, "%d %d", &s->port, &s->tls_port), 2);
    (void)fclose(said);
}

void net_server_stop(net_server *s)
{
    char path[100];
    close(s->input);
    (void)waitpid(s->pid, NULL, 0);
    (void)snprintf(path, sizeof path, "%s/cert.pem", s->folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/key.pem", s->folder);
    (void)unlink(path);
    (void)rmdir(s->folder);
}

/* ---- the network thread ---- */

static void reply_clear(net_reply *reply)
{
    pw_buf_deinit(&reply->head);
    pw_buf_deinit(&reply->body);
    memset(reply, 0, sizeof *reply);
}

void net_rules_proxy(net_rig *r, const char *const *rules, const char *proxy)
{
    pw_net_stop(r->net);
    pw_egress_free(r->egress);
    r->net = NULL;
    r->egress = NULL;
    if (pw_egress_new(rules, &r->egress, &r->err) != PAWL_OK) {
        fail_msg("%s", r->err.message);
    }
    const pw_net_options options = {.egress = r->egress, .proxy = proxy};
    if (pw_net_start(&options, &r->net, &r->err) != PAWL_OK) {
        fail_msg("%s", r->err.message);
    }
}

void net_rules(net_rig *r, const char *const *rules)
{
    net_rules_proxy(r, rules, NULL);
}

int net_setup(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    net_rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    net_server_start(&r->server);
    net_rules(r, loopback);
    *state = r;
    return 0;
}

int net_teardown(void **state)
{
    net_rig *r = *state;
    pw_net_stop(r->net);
    pw_egress_free(r->egress);
    net_server_stop(&r->server);
    reply_clear(&r->reply);
    free(r);
    return 0;
}

/* ---- asking ---- */

const char *net_url(const net_rig *r, const char *fmt, ...)
{
    static char urls[4][4096];
    static size_t at;
    char *url = urls[at++ % 4];
    const int n = snprintf(url, sizeof urls[0], "http://127.0.0.1:%d", r->server.port);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(url + n, sizeof urls[0] - (size_t)n, fmt, args);
    va_end(args);
    return url;
}

const char *net_tls_url(const net_rig *r, const char *path)
{
    static char url[4096];
    (void)snprintf(url, sizeof url, "https://localhost:%d%s", r->server.tls_port, path);
    return url;
}

typedef struct asked {
    net_reply *reply;
    pthread_mutex_t lock;
    pthread_cond_t over;
} asked;

static void on_head(void *user, const pw_http_head *head)
{
    asked *a = user;
    a->reply->heads++;
    for (size_t i = 0; i < head->len; i++) {
        pw_buf_printf(&a->reply->head, "%s: %s\n", head->headers[i].name, head->headers[i].value);
    }
}

static bool on_data(void *user, const void *data, size_t size)
{
    asked *a = user;
    pw_buf_put(&a->reply->body, data, size);
    return true;
}

static void on_end(void *user, const pw_http_result *result)
{
    asked *a = user;
    pthread_mutex_lock(&a->lock);
    net_reply *p = a->reply;
    p->error = result->error;
    p->sent = result->sent;
    p->status = result->status;
    p->retry_after_ms = result->retry_after_ms;
    p->redirects = result->redirects;
    p->total_ms = result->total_ms;
    (void)snprintf(p->message, sizeof p->message, "%s", result->message);
    p->ends++;
    pthread_cond_signal(&a->over);
    pthread_mutex_unlock(&a->lock);
}

const net_reply *net_try(net_rig *r, const pw_http_request *request)
{
    asked a = {.reply = &r->reply};
    const pw_http_callbacks callbacks = {
        .user = &a, .head = on_head, .data = on_data, .end = on_end};
    pw_http *http = NULL;
    reply_clear(&r->reply);
    pthread_mutex_init(&a.lock, NULL);
    pthread_cond_init(&a.over, NULL);
    const bool started = pw_http_start(r->net, request, &callbacks, &http, &r->err) == PAWL_OK;
    pthread_mutex_lock(&a.lock);
    while (started && r->reply.ends == 0) {
        pthread_cond_wait(&a.over, &a.lock);
    }
    pthread_mutex_unlock(&a.lock);
    pw_http_free(http);
    pthread_mutex_destroy(&a.lock);
    pthread_cond_destroy(&a.over);
    (void)pw_buf_cstr(&r->reply.head);
    (void)pw_buf_cstr(&r->reply.body);
    return started ? &r->reply : NULL;
}

const net_reply *net_ask(net_rig *r, const pw_http_request *request)
{
    const net_reply *reply = net_try(r, request);
    if (reply == NULL) {
        fail_msg("%s", r->err.message);
    }
    return reply;
}

const net_reply *net_get(net_rig *r, const char *url)
{
    const pw_http_request request = {.url = url};
    return net_ask(r, &request);
}

static void never(void *user, const pw_http_result *result)
{
    (void)user;
    fail_msg("a refused request ended: %s", result->message);
}

void net_refused(net_rig *r, const pw_http_request *request, pawl_status wanted)
{
    const pw_http_callbacks callbacks = {.end = never};
    pw_http *http = NULL;
    const pawl_status status = pw_http_start(r->net, request, &callbacks, &http, &r->err);
    if (status != wanted) {
        fail_msg("%s: %s (%s), not %s", request->url, pawl_status_name(status),
                 status != PAWL_OK ? r->err.message : "", pawl_status_name(wanted));
    }
    assert_null(http);
}

int net_count(net_rig *r, const char *id)
{
    const net_reply *p = net_get(r, net_url(r, "/count?of=%s", id));
    is_error(p, PW_HTTP_DONE);
    return (int)strtol((const char *)p->body.data, NULL, 10);
}
