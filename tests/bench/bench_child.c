/*
 * bench_child.c - processes beside the bench, and short questions to the loopback server. Does not measure.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

void bench_files_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < 16384) {
        r.rlim_cur = r.rlim_max < 16384 ? r.rlim_max : 16384;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

pid_t bench_spawn(const char *path, const char *const *argv, FILE **ret_out)
{
    int fds[2];
    char *args[16];
    size_t len = 0;
    while (argv[len] != NULL && len < 15) {
        args[len] = strdup(argv[len]);
        len++;
    }
    args[len] = NULL;
    if (pipe(fds) != 0) {
        exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)close(fds[0]);
        (void)close(fds[1]);
        (void)execv(path, args);
        _exit(127);
    }
    (void)close(fds[1]);
    while (len > 0) {
        free(args[--len]);
    }
    *ret_out = fdopen(fds[0], "r");
    return pid;
}

void bench_end(pid_t pid, FILE *out)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    if (out != NULL) {
        (void)fclose(out);
    }
}

int bench_server_start(bench_server *ret)
{
    static const char *const argv[] = {"pawl-bench", "--server", NULL};
    ret->port = 0;
    ret->pid = bench_spawn("/proc/self/exe", argv, &ret->out);
    if (ret->out == NULL || fscanf(ret->out, "%d", &ret->port) != 1) {
        (void)fprintf(stderr, "pawl-bench: the server did not start\n");
        exit(1);
    }
    return ret->port;
}

void bench_server_end(bench_server *server)
{
    bench_end(server->pid, server->out);
}

bench_load bench_curl(const char *mode, const char *url, int64_t n, int64_t at_once, int64_t body)
{
    char numbers[3][32];
    bench_load load = {0};
    FILE *out = NULL;
    (void)snprintf(numbers[0], sizeof numbers[0], "%lld", (long long)n);
    (void)snprintf(numbers[1], sizeof numbers[1], "%lld", (long long)at_once);
    (void)snprintf(numbers[2], sizeof numbers[2], "%lld", (long long)body);
    const char *const argv[] = {"pawl-bench", "--curl",   mode,       url,
                                numbers[0],   numbers[1], numbers[2], NULL};
    pid_t pid = bench_spawn("/proc/self/exe", argv, &out);
    if (out == NULL || fscanf(out, "%lf %lf %lf %lf %lf", &load.seconds, &load.cpu_us, &load.bytes,
                              &load.first_p50_us, &load.first_p99_us) != 5) {
        (void)fprintf(stderr, "pawl-bench: the raw client failed\n");
        exit(1);
    }
    (void)waitpid(pid, NULL, 0);
    (void)fclose(out);
    return load;
}

int bench_port_of(const char *url)
{
    const char *colon = strrchr(url, ':');
    return colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 0;
}

int64_t bench_ask(int port, const char *path)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[512];
    size_t size = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        (void)close(fd);
        return -1;
    }
    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path);
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    const char *end = NULL;
    while (end == NULL || strlen(end) < 16) { /* twelve digits after the head */
        ssize_t got = read(fd, text + size, sizeof text - 1 - size);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
        text[size] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    (void)close(fd);
    return end != NULL ? strtoll(end + 4, NULL, 10) : -1;
}
