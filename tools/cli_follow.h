/*
 * cli_follow.h - Ctrl-C while a run is followed: no line is cut, and what to type to go on is said.
 *
 *     pw_follow_init(&f);
 *     while (... && !pw_follow_wait(&f, pw_client_fd(cli->client), -1)) { show what came }
 *     pw_follow_deinit(&f);                    then, if it was that: return pw_follow_stopped(cli, "stream");
 */
#ifndef PW_CLI_FOLLOW_H
#define PW_CLI_FOLLOW_H

#include "tools/cli_session.h"

typedef struct pw_follow {
    int fd; /* says when Ctrl-C came; -1 = it ends the process */
} pw_follow;

void pw_follow_init(pw_follow *f);
void pw_follow_deinit(pw_follow *f);
/** Until fd (-1 = none) can be read, timeout_ms have passed (< 0 = for ever), or Ctrl-C: true. */
bool pw_follow_wait(const pw_follow *f, int fd, int64_t timeout_ms);
/** Says that the run of the command goes on, and how to follow it again; gives the exit code. */
int pw_follow_stopped(pw_cli *cli, const char *command);

#endif
