/*
 * worker_inside.h - a worker, its activities and its attempts; shared by the worker*.c files, all on the worker's one thread.
 */
#ifndef PW_WORKER_INSIDE_H
#define PW_WORKER_INSIDE_H

#include <pthread.h>

#include "engine/task.h"
#include "tools/client.h"
#include "tools/dial.h"
#include "tools/token.h"
#include "tools/worker.h"

#define PW_WORKER_SESSION_MAX 64

/** The way to an engine of another machine: worker_link.c. */
typedef struct pw_worker_far {
    pw_dialer *dialer; /* NULL = the engine is here */
    pw_dial *dial;
    int64_t hello;       /* number of the one under way; 0 = none: the connection is ready */
    int64_t ping;        /* the same, of a sign of life */
    int64_t last_number; /* of all connections: numbers go on counting */
    int64_t heard_ms;    /* the last reply; of a new connection: its beginning */
    int64_t lost_ms;     /* 0 = it is there */
    int64_t grace_ms;    /* how long the relay keeps what it had */
    int64_t next_ms;     /* not before then is the next try */
    int64_t pause_ms;
    char session[PW_WORKER_SESSION_MAX + 1]; /* "" = none to go on with */
    pawl_scope *scope;                       /* of the bounds */
    pw_token_grant bounds;                   /* what the token is for */
} pw_worker_far;

typedef struct pw_worker_act {
    char *name;
    pawl_activity_fn fn;
    void *user;
    pawl_effect effect;
    pw_read_back read_back;
    pawl_runner *runner;  /* its own; NULL = the pool */
    uint32_t concurrency; /* 0 = no limit */
    uint32_t running;
    struct pw_worker_act *next;
} pw_worker_act;

typedef struct pw_attempt {
    pw_worker *worker;
    pw_worker_act *act;
    pawl_task *task;
    char *token;
    pw_report *reports;  /* under the worker's lock: newest first */
    size_t said_bytes;   /* of output among them */
    int64_t wait_number; /* of its task_wait; 0 = answered */
    int64_t told_ms;     /* when it was told to stop; 0 = it was not */
    bool over;           /* the engine does not wait for it */
    bool begun;
    pw_report *final;     /* sent, and not answered yet */
    int64_t final_number; /* of the request; 0 = it waits to be sent again */
    int64_t again_ms;
    bool refused; /* the engine would not take the report itself */
    struct pw_attempt *next;
} pw_attempt;

struct pw_worker {
    pw_worker_options options;
    pawl_scope *scope;
    pw_worker_act *acts;
    size_t acts_len;
    pawl_runner *pool;
    pthread_mutex_t lock;
    int event_fd;
    pw_client *client; /* NULL = not connected */
    pw_worker_far far; /* of a relay's; nothing of it is used with an engine of this machine */
    pw_attempt *attempts;
    pw_attempt *unheard; /* their final reports are under way */
    uint32_t attempts_len;
    int64_t polls[PW_WORKER_PARALLEL_MAX]; /* numbers of those parked */
    uint32_t polls_len;
    int64_t unpoll;     /* number of the one under way; 0 = none */
    bool offer_changed; /* the parked polls name other activities than they should */
    bool draining;
    bool hung;
    int64_t end_ms; /* draining, or hung: then attempts are told to stop */
    bool waiting_said;
};

void pw_worker_say(const pw_worker *w, const char *fmt, ...) PAWL_PRINTF(2, 3);

/* worker.c */
void pw_attempt_tell_to_stop(pw_attempt *a);
void pw_worker_free_unheard(pw_worker *w);
/** Asks to hear when it should stop. */
void pw_attempt_wait(pw_worker *w, pw_attempt *a);

/* worker_link.c */
pawl_status pw_worker_link_init(pw_worker *w, pawl_error *err);
void pw_worker_link_deinit(pw_worker *w);
/** Tries to connect, if it is time; sees to signs of life. */
void pw_worker_link_look(pw_worker *w);
/** The connection is gone: every attempt is over, or waits for the next one. */
void pw_worker_lost(pw_worker *w);
/** It may be spoken to. */
bool pw_worker_ready(const pw_worker *w);
/** Not connected, but what it has still counts. */
bool pw_worker_away(const pw_worker *w);
/** The number of the request; 0 when there is no connection, or no longer, -1 when it does not fit a frame. */
int64_t pw_worker_send(pw_worker *w, const char *op, const pawl_value *args);
/** Takes a reply that is the connection's own; every reply is shown to it. */
bool pw_worker_link_reply(pw_worker *w, int64_t number, pawl_status status, const pawl_value *v,
                          const char *message);

#endif
