/*
 * supervisor.h - the small process between an engine and a program it runs.
 *
 *   engine ==control socket==> supervisor --fork, exec--> program --> its children, and what they leave behind
 *
 * [A1] When the engine dies, however it dies, every process below the supervisor is killed: the control socket ends.
 * [A2] The lock is held until the last of them is gone: the supervisor keeps it, and goes last.
 * [A3] When the program has ended, what it left behind is ended too, and only then is its end told.
 */
#ifndef PW_SUPERVISOR_H
#define PW_SUPERVISOR_H

#include <stdint.h>
#include <sys/types.h>

/** The most that each process of the program may use; 0 = what the engine may. */
typedef struct pw_exec_limits {
    uint64_t cpu_s;
    uint64_t memory_bytes;
    uint64_t files;
    uint64_t file_bytes;
} pw_exec_limits;

/** What to run; all of it made before the fork. */
typedef struct pw_program {
    const char *const *paths; /* tried in this order; NULL-terminated */
    char *const *argv;
    char *const *envp;
    const char *cwd; /* NULL = as it is */
    pw_exec_limits limits;
} pw_program;

/** Descriptors of a supervisor; each is 3 or more and close-on-exec. */
typedef struct pw_sup_fds {
    int control; /* SOCK_SEQPACKET */
    int in, out, err;
    int lock; /* -1 = none */
} pw_sup_fds;

/** One byte to the supervisor. */
#define PW_SUP_TERM 'T' /* ask the group to end */
#define PW_SUP_KILL 'K' /* end everything */

typedef enum pw_sup_kind {
    PW_SUP_STARTED = 1, /* pid */
    PW_SUP_FAILED = 2,  /* stage, error: it could not be started */
    PW_SUP_ENDED = 3,   /* status as of waitpid; nothing of it is left */
} pw_sup_kind;

typedef enum pw_sup_stage {
    PW_STAGE_FORK = 1,
    PW_STAGE_CWD = 2,
    PW_STAGE_STDIO = 3,
    PW_STAGE_EXEC = 4,
    PW_STAGE_LIMIT = 5
} pw_sup_stage;

/** One packet from the supervisor. */
typedef struct pw_sup_message {
    int32_t kind;
    int32_t pid;
    int32_t stage;
    int32_t error;
    int32_t status;
} pw_sup_message;

/** The life of a supervisor. Called in the child of a fork of a threaded process: only async-signal-safe calls in there. All
 * signals are blocked on entry. */
_Noreturn void pw_supervise(const pw_program *program, const pw_sup_fds *fds, pid_t engine);

#endif
