/*
 * kill_sweep.c - kill -9 of the real process at its n-th system call, counted over all its threads, n = 1, 2, 3 ...
 *
 * kill_sweep SCENARIO DIR [FIRST [KILLS]]: for each n the scenario runs under ptrace in a fresh folder until its n-th system call, dies
 * there, and runs again to its end. Then: every side effect happened under exactly one key, the unsafe one exactly once, an
 * idempotent one at most twice under that key (it was cut between its effect and its record), the ledger has no less than was bought, and
 * just that where the seller's answer arrived, the journal verifies, and no process of the
 * killed one is left. When the scenario ends before its n-th call, the sweep starts over with a second kill inside the recovery.
 * Needs ptrace; says "skipped" where that is not allowed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "journal/journal.h"

#define MARK "PAWL_KILL_SWEEP"
enum { KERNEL_MAX = 512 };

typedef struct sweep {
    const char *scenario;
    char dir[3000];
    char mark[64];
    long kills, repeats, unknowns;
    long skip[KERNEL_MAX]; /* processes without an environment when it began: the kernel's own */
    size_t skips;
} sweep;

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void quiet_child(const sweep *s, bool traced)
{
    char path[3100];
    (void)snprintf(path, sizeof path, "%s/out", s->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        (void)dup2(fd, 1);
        (void)dup2(fd, 2);
    }
    (void)setenv(MARK, s->mark, 1);
    (void)setenv("ASAN_OPTIONS", "detect_leaks=0",
                 1); /* the leak checker cannot work under ptrace */
    if (traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(77);
    }
    (void)execl(s->scenario, s->scenario, s->dir, (char *)NULL);
    _exit(127);
}

/* True if it was killed at its n-th call; false if it ended before, with its status. */
static bool run_to(const sweep *s, long n, int *ret_status)
{
    pid_t pid = fork();
    if (pid == 0) {
        quiet_child(s, true);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        *ret_status = status;
        return false;
    }
    long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    (void)ptrace(PTRACE_SETOPTIONS, pid, NULL, options);
    (void)ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    long calls = 0;
    for (;;) {
        pid_t who = waitpid(-1, &status, __WALL);
        if (who < 0) {
            *ret_status = -1;
            return false;
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (who == pid) {
                *ret_status = status;
                return false;
            }
            continue;
        }
        int signal = WSTOPSIG(status);
        bool call = signal == (SIGTRAP | 0x80);
        if (call && ++calls >= n) {
            (void)kill(pid, SIGKILL);
            while (waitpid(-1, &status, __WALL) > 0 || errno == EINTR) {
            }
            return true;
        }
        bool ours = call || signal == SIGTRAP || signal == SIGSTOP;
        (void)ptrace(PTRACE_SYSCALL, who, NULL, (void *)(long)(ours ? 0 : signal));
    }
}

static int finish(const sweep *s)
{
    pid_t pid = fork();
    if (pid == 0) {
        quiet_child(s, false);
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    return status;
}

/* ---- what must be true afterwards ---- */

static bool has_mark(const char *pid, const char *mark)
{
    char path[300];
    char env[65536];
    (void)snprintf(path, sizeof path, "/proc/%s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, env, sizeof env - 1);
    (void)close(fd);
    char want[100];
    int len = snprintf(want, sizeof want, MARK "=%s", mark);
    for (ssize_t i = 0; i + len < n; i += (ssize_t)strlen(env + i) + 1) {
        env[n] = 0;
        if (strcmp(env + i, want) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_process(const sweep *s, const char *name)
{
    long pid = strtol(name, NULL, 10);
    for (size_t i = 0; i < s->skips; i++) {
        if (s->skip[i] == pid) {
            return false;
        }
    }
    return pid > 0;
}

static void learn_kernel(sweep *s)
{
    DIR *d = opendir("/proc");
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        char path[300], byte;
        (void)snprintf(path, sizeof path, "/proc/%s/environ", e->d_name);
        int fd = is_process(s, e->d_name) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0 && read(fd, &byte, 1) == 0 && s->skips < KERNEL_MAX) {
            s->skip[s->skips++] = strtol(e->d_name, NULL, 10);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static int orphans(const sweep *s)
{
    int64_t until = now_ms() + 60000;
    int found;
    do {
        found = 0;
        DIR *d = opendir("/proc");
        for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
            found += is_process(s, e->d_name) && has_mark(e->d_name, s->mark) ? 1 : 0;
        }
        if (d != NULL) {
            (void)closedir(d);
        }
        if (found > 0) {
            struct timespec t = {0, 5000000};
            (void)nanosleep(&t, NULL); /* polls a condition that only the kernel can report */
        }
    } while (found > 0 && now_ms() < until);
    return found;
}

typedef struct tally {
    const char *what;
    int lines;
    char key[256];
    bool two_keys;
} tally;

static void count(tally *t, const char *line)
{
    size_t n = strlen(t->what);
    if (strncmp(line, t->what, n) != 0 || line[n] != ' ') {
        return;
    }
    if (t->lines++ == 0) {
        (void)snprintf(t->key, sizeof t->key, "%s", line + n + 1);
    } else if (strcmp(t->key, line + n + 1) != 0) {
        t->two_keys = true;
    }
}

enum { TALLIES = 5 };
static const char *check_effects(sweep *s, int kills, int *ret_bought)
{
    tally t[TALLIES] = {
        {.what = "first"}, {.what = "local"}, {.what = "child"}, {.what = "pay"}, {.what = "buy"}};
    char path[3100], line[512];
    (void)snprintf(path, sizeof path, "%s/effects", s->dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        for (size_t i = 0; i < TALLIES; i++) {
            count(&t[i], line);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    for (size_t i = 0; i < TALLIES; i++) {
        if (t[i].lines == 0) {
            return "a side effect never happened";
        }
        if (t[i].two_keys) {
            return "a side effect happened under two keys";
        }
        if (t[i].lines > 1 + kills) {
            return "a side effect happened more often than the process died";
        }
        s->repeats += t[i].lines - 1;
    }
    *ret_bought = t[4].lines;
    return t[3].lines != 1 ? "the unsafe effect happened twice" : NULL;
}

/* ---- what was bought, and what the ledger says ---- */

enum { PRICE = 10000, RESERVED = 20000 }; /* micro-dollars */

typedef struct bill {
    int settled, estimated, open, wrong;
    int64_t calls, usd;
} bill;

static bool add_entry(void *ctx, const pw_ledger_row *row)
{
    bill *b = ctx;
    b->settled += row->state == PW_LEDGER_SETTLED;
    b->estimated += row->state == PW_LEDGER_ESTIMATED;
    b->open += row->state < PW_LEDGER_SETTLED;
    b->wrong += row->spent.n[PW_UNIT_USD] != (row->state == PW_LEDGER_SETTLED ? PRICE : RESERVED);
    b->calls += row->spent.n[PW_UNIT_CALLS];
    b->usd += row->spent.n[PW_UNIT_USD];
    return true;
}

static bool is_sum(void *ctx, const pw_budget_row *row)
{
    bill *b = ctx;
    b->wrong += row->spent.n[PW_UNIT_USD] != b->usd || row->reserved.n[PW_UNIT_USD] != 0;
    return true;
}

static const char *check_ledger(const sweep *s, int bought, int kills)
{
    char path[3100];
    bill b = {0};
    pw_reader *r = NULL;
    pawl_error err;
    (void)snprintf(path, sizeof path, "%s/run.db", s->dir);
    bool read = pw_sqlite_reader_open(path, &r, &err) == PAWL_OK &&
                r->ops->ledger(r, 0, false, add_entry, &b, &err) == PAWL_OK &&
                r->ops->budgets(r, (pw_view){NULL, 0}, is_sum, &b, &err) == PAWL_OK;
    if (r != NULL) {
        r->ops->reader_close(r);
    }
    return !read                 ? "the ledger cannot be read"
           : b.calls < bought    ? "the ledger has less than was bought"
           : b.settled != 1      ? "what the seller answered is not settled once"
           : b.open != 0         ? "something is still set aside"
           : b.estimated > kills ? "more attempts are unknown than the process died"
           : b.wrong != 0        ? "an entry or a sum is wrong"
                                 : NULL;
}

static void finding(void *ctx, const pw_verify_finding *f)
{
    (void)ctx;
    (void)fprintf(stderr, "  verify: [%s] run %lld: %s\n", f->invariant, (long long)f->run,
                  f->message);
}

static const char *check_journal(const sweep *s)
{
    char path[3100];
    (void)snprintf(path, sizeof path, "%s/run.db", s->dir);
    pw_verify_stats stats = {0};
    pawl_error err;
    if (pw_sqlite_verify(path, finding, NULL, &stats, &err) != PAWL_OK || stats.findings != 0) {
        return "the journal does not verify";
    }
    return NULL;
}

/* ---- the sweep ---- */

static int drop(const char *path, const struct stat *at, int kind, struct FTW *where)
{
    (void)at;
    (void)kind;
    (void)where;
    return remove(path);
}

static void clean(const sweep *s)
{
    bool gone = nftw(s->dir, drop, 8, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
    if (!gone || mkdir(s->dir, 0700) != 0) {
        (void)fprintf(stderr, "kill_sweep: cannot make %s\n", s->dir);
        exit(1);
    }
}

static int complain(const sweep *s, long n, long second, const char *why)
{
    char path[3100], line[512];
    (void)fprintf(stderr, "FAILED at system call %ld (then at %ld; 0 = not again): %s\n", n, second,
                  why);
    (void)snprintf(path, sizeof path, "%s/out", s->dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        (void)fprintf(stderr, "  | %s", line);
    }
    (void)fprintf(stderr, "again: kill_sweep %s DIR %ld 1 %ld\n", s->scenario, n, second);
    return 1;
}

/* 0 = fine, 1 = failed, 2 = it ended before its n-th call. */
static int one(sweep *s, long n, long second)
{
    int status = 0;
    clean(s);
    (void)snprintf(s->mark, sizeof s->mark, "%ld-%ld-%ld", (long)getpid(), n, second);
    if (!run_to(s, n, &status)) {
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
            (void)printf("skipped: ptrace is not allowed here\n");
            exit(77);
        }
        return WIFEXITED(status) && WEXITSTATUS(status) == 0
                   ? 2
                   : complain(s, n, second, "it failed without being killed");
    }
    int kills = 1;
    s->kills++;
    if (second > 0 && run_to(s, second, &status)) {
        kills++;
        s->kills++;
    }
    status = finish(s);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return complain(s, n, second, "the recovered run did not end well");
    }
    int bought = 0;
    const char *why = check_effects(s, kills, &bought);
    why = why == NULL ? check_ledger(s, bought, kills) : why;
    why = why == NULL ? check_journal(s) : why;
    if (why == NULL && orphans(s) > 0) {
        why = "a process of the killed one is left";
    }
    return why != NULL ? complain(s, n, second, why) : 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: kill_sweep SCENARIO DIR [FIRST [KILLS [SECOND]]]\n");
        return 64;
    }
    sweep s = {.scenario = argv[1]};
    (void)snprintf(s.dir, sizeof s.dir, "%s", argv[2]);
    learn_kernel(&s);
    long n = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
    long kills = argc > 4 ? strtol(argv[4], NULL, 10) : 2000;
    long second = argc > 5 ? strtol(argv[5], NULL, 10) : 0;
    long last = 0;
    while (s.kills < kills) {
        int rc = one(&s, n, second);
        if (rc == 1) {
            return 1;
        }
        if (rc == 2) { /* every call has been visited: again, with a second kill in the recovery */
            last = n - 1;
            second += 97;
            n = 1 + second % 7;
            continue;
        }
        n++;
    }
    (void)printf(
        "%ld kills; the scenario has about %ld system calls%s; %ld effects were repeated under their own key\n",
        s.kills, last > 0 ? last : n, last > 0 ? ", each visited" : "", s.repeats);
    clean(&s);
    (void)rmdir(s.dir);
    return 0;
}
