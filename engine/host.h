/*
 * host.h - the inside of a pawl_engine: which parts there are and who owns them. Shared by the host_*.c files and module.c only.
 *
 *     host threads --calls--> host_call.c --requests--> mailbox --> loop thread: core --groups--> writer thread: journal
 *           ^                     |  READ: view.c on a reader                |
 *           `----- outbox <-------+------------- replies --------------------'
 */
#ifndef PW_HOST_H
#define PW_HOST_H

#include <stdatomic.h>
#include <sys/types.h>

#include "engine/control.h"
#include "engine/core.h"
#include "engine/loop.h"
#include "engine/mailbox.h"
#include "engine/outbox.h"
#include "engine/watchdog.h"
#include "journal/writer.h"

typedef struct pw_waiter pw_waiter;
typedef struct pw_module pw_module;

#define PW_FDS_MAX 8192 /* numbers above are not looked at */
typedef struct pw_fds {
    bool known;
    uint8_t open[PW_FDS_MAX / 8];
} pw_fds;

struct pawl_engine {
    pid_t pid;         /* of the opener: a child of fork is refused */
    pawl_scope *scope; /* the opener's copies: path, identity */
    pawl_options options;
    const char *path; /* absolute; "" = memory */
    const char *identity;
    pw_journal *journal;
    uint64_t epoch;
    pw_crumb *crumb;
    pw_crumb_found crumb_found; /* what the last owner left; counted when the core recovers */
    atomic_bool recovered;
    pw_reader *core_reader; /* the core's own */
    pw_reader *view_reader; /* under view_lock: host threads take turns */
    pthread_mutex_t view_lock;
    pw_writer *writer;
    pthread_t journal_thread; /* learnt from the first commit */
    atomic_bool journal_thread_known;
    pawl_runner *pool;
    pawl_runner *runners[PW_RUNNERS_MAX]; /* of activities that brought their own; the loop's */
    size_t runners_len;
    bool runners_stopped; /* no task goes there any more; the loop's */
    pw_mailbox *mailbox;
    pw_core *core;
    pw_loop *loop;
    pw_watchdog *watchdog;
    pw_control *control; /* NULL without a socket */
    pw_outbox *outbox;
    pw_module *modules; /* under waiters_lock */
    pthread_mutex_t waiters_lock;
    pw_waiter *waiters;           /* calls that are not answered yet */
    atomic_uint_fast64_t clients; /* last number given to a waiter that may be dropped */
    atomic_bool closing;
    atomic_uint calls;     /* threads inside a call */
    pw_fds fds;            /* of debug_held; the loop's */
    bool watches_overflow; /* it counts as a watcher of overflow.h */
};

/* host_env.c: the core's environment table over real things */
void pw_host_env(pawl_engine *e, pw_env *ret_env);
void pw_host_log(pawl_engine *e, pawl_level level, const char *run_id, int64_t command,
                 const char *fmt, ...) PAWL_PRINTF(5, 6);
/** For the watchdog. */
void pw_host_held(void *ctx, int slot, int64_t run, const char *site, int64_t held_ms, bool fatal);

/* host_fds.c: of the core's environment, with debug_held */
void pw_host_fds_mark(void *ctx);
int pw_host_fds_since(void *ctx, char *ret_names, size_t size);

/* host_call.c */
/** Every public call begins and ends so. Errors: MISUSE, FORKED, SHUTDOWN, INVALID (no engine). */
pawl_status pw_host_enter(pawl_engine *e, pawl_error *err);
void pw_host_leave(pawl_engine *e);
/** Why that call cannot be made from here: MISUSE, FORKED, INVALID; OK = it can. */
pawl_status pw_host_refuse(pawl_engine *e, pawl_error *err);
/** Closing from a callback: the dispatches that this thread is inside of are not waited for, and do not look at the engine again. */
void pw_host_leave_dispatches(pawl_engine *e);
/** At close: everybody who still waits gets SHUTDOWN. After the core is gone. */
void pw_host_answer_all(pawl_engine *e);
typedef struct pw_ask {
    const char *op;
    pw_view args;       /* msgpack map; empty = none */
    int64_t timeout_ms; /* -1 = for ever */
} pw_ask;
/** One request, answered. ret_reply may be NULL; it is written on other statuses than OK too, when there is a body. */
pawl_status pw_host_request(pawl_engine *e, const pw_ask *ask, pawl_scope *scope,
                            const pawl_value **ret_reply, pawl_error *err);

/* module.c */
pawl_status pw_module_load(pawl_engine *e, const char *path, pawl_error *err);
/** After the core is gone: nothing of a module can be called any more. */
void pw_modules_close(pawl_engine *e);

/* build_id.c */
/** A digest of this program's code and of libpawl's. */
uint64_t pw_build_digest(void);
/** Of the object that holds this code: a module's own; the program's and libpawl's are as above. */
uint64_t pw_build_digest_of(const void *code);

#endif
