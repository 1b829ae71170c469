/*
 * cli_replay.h - what the process in which code is replayed says to the one that watches over it.
 *
 *   pawl replay --fork--> an engine, the modules, one run after another --pw_replay_note over a pipe--> pawl replay
 *
 * Code that is to be deployed may end its process, or never come back. So it never runs in the process that has to say so: a run is announced
 * before it is replayed, and whatever ends the child then has a name. A note is smaller than PIPE_BUF, so it comes whole or not at all.
 */
#ifndef PW_CLI_REPLAY_H
#define PW_CLI_REPLAY_H

#include <sys/types.h>

#include "sdk/base/limits.h"
#include "tools/cli_session.h"

/** Where a run stands in the listing: its page, and its place in that. All zero: the first. */
typedef struct pw_replay_place {
    int64_t cursor;
    size_t index;
} pw_replay_place;

typedef enum pw_replay_kind {
    PW_REPLAY_BEGINS, /* the run's code runs from here on */
    PW_REPLAY_ENDED,
    PW_REPLAY_SKIPPED, /* it is gone, or has closed meanwhile */
    PW_REPLAY_DONE     /* there are no more */
} pw_replay_kind;

typedef struct pw_replay_note {
    pw_replay_kind kind;
    pawl_status status;
    pw_replay_place place;
    char id[PW_ID_BYTES_MAX + 1];
    char workflow[PW_NAME_BYTES_MAX + 1];
    char version[PW_NAME_BYTES_MAX + 1];
    char message[sizeof((pawl_error *)NULL)->message];
} pw_replay_note;

typedef struct pw_replay_child {
    pid_t pid;
    int notes; /* read end, does not block */
} pw_replay_child;

/** Starts a process that opens the journal, loads the modules of the command line and replays runs from a place on, len at most. What keeps it
 * from that it says itself, and ends with an exit code. Errors: IO. Call it while this process has one thread and no journal. */
pawl_status pw_replay_spawn(pw_cli *cli, pw_replay_place from, size_t len,
                            pw_replay_child *ret_child, pawl_error *err);

#endif
