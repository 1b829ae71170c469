/*
 * cli_follow.c - following a run until its end, or until Ctrl-C, which says how to go on: show -f, trace -f, stream.
 *
 * Ctrl-C is held back and looked at between two pieces, so that no line is cut; SIGTERM ends the process as ever. Does not read what is followed.
 */
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/cli_follow.h"

void pw_follow_init(pw_follow *f)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    f->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (f->fd < 0) { /* then it ends the process, without a word */
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
}

void pw_follow_deinit(pw_follow *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
        f->fd = -1;
    }
}

bool pw_follow_wait(const pw_follow *f, int fd, int64_t timeout_ms)
{
    struct pollfd ready[] = {
        {.fd = f->fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    if (poll(ready, 3, timeout_ms < 0 ? -1 : (int)timeout_ms) <= 0) {
        return false;
    }
    if ((ready[2].revents & POLLERR) != 0) { /* `| head` has gone: not only when next written to */
        (void)raise(SIGPIPE);
        return true;
    }
    return ready[0].revents != 0;
}

int pw_follow_stopped(pw_cli *cli, const char *command)
{
    if (cli->complain.terminal) {
        pw_out_puts(&cli->complain, "\n"); /* behind the ^C that the terminal wrote */
    }
    pw_cli_note(cli, "the run goes on; to follow it again: pawl%s %s %s%s", pw_cli_db_words(cli),
                command, pw_cli_shell_word(cli->scope, cli->run_id),
                pw_cli_has(cli->args, PW_OPT_FOLLOW) ? " -f" : "");
    return PW_EXIT_INTERRUPTED;
}
