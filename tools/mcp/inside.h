/*
 * inside.h - what the files of the MCP server share: the server, its exchanges, its sessions, and what each file does.
 */
#ifndef PW_MCP_INSIDE_H
#define PW_MCP_INSIDE_H

#include "engine/hash.h"

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "tools/mcp/catalog.h"
#include "tools/mcp/server.h"

#define PW_MCPD_ASKED_MAX 64       /* questions of one call under way at a time; more wait */
#define PW_MCPD_SESSIONS_MAX 10000 /* the oldest is forgotten: its client begins anew */
#define PW_MCPD_SUBSCRIPTIONS_MAX 256
#define PW_MCPD_URI_BYTES_MAX 1000 /* of a subscription */
#define PW_MCPD_LOST_MAX \
    1024 /* calls remembered whose answers were lost, or that were looked for */
#define PW_MCPD_IDEMPOTENCY "dev.pawl/idempotency-key" /* in _meta: the same key, the same run */
#define PW_MCPD_IDEMPOTENCY_ARGUMENT "idempotency_key" /* the same, as an argument */

#define PW_MCPD_URIS_BYTES_MAX 50000 /* of a session's subscriptions: they are kept as one memory */
#define PW_MCPD_SESSION_TASKS 64     /* of whose news a session is told: the last */
#define PW_MCPD_SPACE "pawl.mcp"     /* of the memory store: what sessions have become */

typedef void (*pw_mcpd_fn)(pw_mcpd_x *x);
typedef struct pw_mcpd_look pw_mcpd_look;

typedef enum pw_mcpd_method {
    PW_MCPD_NO_SUCH_METHOD,
#define X(name, text, legacy, modern, header, needs) PW_MCPD_##name,
#include "tools/mcp/methods.def"
#undef X
    PW_MCPD_METHODS
} pw_mcpd_method;

/** What a run's end is made into. */
typedef enum pw_mcpd_shape {
    PW_MCPD_AS_TOOL,
    PW_MCPD_AS_PROMPT,
    PW_MCPD_AS_RESOURCE
} pw_mcpd_shape;

/** How a call is to be answered when its run takes long. */
typedef enum pw_mcpd_task_mode {
    PW_MCPD_TASK_NEVER,
    PW_MCPD_TASK_LATE,
    PW_MCPD_TASK_ALWAYS
} pw_mcpd_task_mode;

/** The run that a call follows. */
typedef struct pw_mcpd_run {
    char id[PW_ID_BYTES_MAX + 1]; /* "" = none */
    const char *call;             /* which call it answers (name.c); NULL = none of ours */
    const char *found;            /* an earlier run of the same call, whose answer was lost */
    bool keyed;                   /* by the client */
    bool under_way;               /* it is found by its call */
    const char *key;              /* that came as an argument; NULL = none did */
    bool taken_up;                /* another exchange began it */
    const char *workflow, *version;
    const pawl_value *input;
    pw_mcpd_shape shape;
    pw_mcpd_task_mode task;
    const pawl_value
        *offer; /* what the workflow says of itself (publish.tool, .prompt, .resource) */
    const pawl_value *responses; /* answers that came with the call */
    const char *uri;             /* of a resource */
    bool started;                /* acknowledged */
    bool ending;                 /* its result was asked for */
    bool looking;                /* its waits were asked for */
    bool look_again;
    bool look_after; /* when the answers on their way are there */
    bool calls; /* the request is the call: to cancel it in so many words is to cancel the run */
    bool cancel_on_drop;
    bool progressed;
    int64_t progress; /* last told */
    int answering;    /* answers on their way */
    int64_t asked[PW_MCPD_ASKED_MAX];
    size_t asked_len;
    int64_t refused[PW_MCPD_ASKED_MAX]; /* whose given answer did not fit: it is not given again */
    size_t refused_len;
} pw_mcpd_run;

struct pw_mcpd_x {
    pw_mcpd_x *prev, *next;
    pw_mcpd *server;
    pawl_scope *scope;
    const pw_mcpd_sink *sink;
    void *sink_user;
    const char *(*header)(void *user, const char *name); /* of the sink's user; NULL = none */
    pw_mcpd_x **slot;         /* the transport's pointer, cleared at the end */
    pw_mcpd_session **hosted; /* as the transport gave it */
    const pw_mcpd_era *era;
    pw_mcpd_method method;
    const pawl_value *id, *params, *caps;
    const pawl_value *token; /* of progress; nil = not wanted */
    int log_level;           /* least that is wanted; above all = none */
    const char *principal;
    pw_who *who;                                       /* NULL = may do everything */
    void (*challenge)(void *user, const char *scopes); /* with who; of the sink's user */
    bool allowed;             /* the gate has looked at the run that the request names */
    bool may_answer;          /* what its run asks: of a run that it names, that run */
    pw_operation gate_op;     /* while it asks the engine whose run it is */
    pw_mcpd_session *session; /* legacy */
    pw_mcpd_fn then;
    uv_timer_t *timer;
    pw_mcpd_fn on_time;
    const char *stream;       /* sealed name of its stream; NULL = its messages have no ids */
    int64_t events;           /* sent on it */
    const pawl_value *listen; /* the filter of a listener; nil = it is none */
    bool hears;               /* it wants to hear of runs */
    bool resumed;             /* it takes up a stream that was cut */
    bool primed;
    bool busy;                     /* inside pw_mcpd_take */
    struct pw_mcpd_search *search; /* being ranked; NULL = nothing is */
    pw_mcpd_message message;       /* while a session's state is read */
    uint64_t keeping;              /* changes of its session that are being committed */
    pw_mcpd_look *looks;
    struct pw_mcpd_listing *listing; /* of tasks; in its scope */
    pw_mcpd_run run;
    pw_mcpd_x *same_prev, *same_next; /* under way for the same call; the first is in `calls` */
    UT_hash_handle hh;
};

/** A client of the legacy era. Its id says how it began, the journal what has become of it; the rest of what stands here may be lost. */
struct pw_mcpd_session {
    pw_mcpd_session *prev, *next;
    char id[200];
    char name[24]; /* in its id: random */
    char version[16];
    int64_t expires_ms;
    uint64_t catalog;                      /* what was published when it began; 0 = not known */
    bool ours;                             /* this process began it */
    bool known;                            /* what has become of it was read */
    bool told;                             /* of what was deployed while it was away */
    uint64_t tasks[PW_MCPD_SESSION_TASKS]; /* checksums of their ids */
    size_t tasks_next;
    const pawl_value *caps;
    pawl_scope *scope;
    int log_level;
    uint64_t changes, kept; /* how often it changed, and how much of that is committed */
    char *uris[PW_MCPD_SUBSCRIPTIONS_MAX]; /* owned */
    size_t uris_len;
    bool ending; /* its end is being committed */
    bool ended;
    bool used;         /* while one is looked for that is not */
    UT_hash_handle hh; /* by id */
};

/** A call whose answer was lost; run "" = it was looked for, and found or not. */
typedef struct pw_mcpd_lost {
    char call[24];
    char run[PW_ID_BYTES_MAX + 1];
    int64_t at_ms;
    UT_hash_handle hh; /* by call */
} pw_mcpd_lost;

/** What is looked at while anybody listens. */
struct pw_mcpd_news {
    pw_mcpd *server;
    uv_timer_t *timer;
    bool watching; /* all runs */
    bool looking;  /* at what is published */
};

struct pw_mcpd {
    uv_loop_t *loop;
    pw_mcpd_options options;
    char *journal;
    pw_up *up;
    pw_mcpd_catalog catalog;
    pw_mcpd_x *xs;
    pw_mcpd_session *sessions;       /* the newest first */
    pw_mcpd_session *sessions_by_id; /* a table of them */
    size_t sessions_len;
    uint8_t key[PW_KEY_SIZE]; /* of seals */
    int64_t began_ms;
    struct pw_mcpd_news news;
    uint8_t random[240]; /* for ids of runs; used from the end */
    size_t random_left;
    size_t lost_next;
    pw_mcpd_lost *lost_by_call;
    pw_mcpd_x *calls; /* under way, by run.call */
    bool lost_asked,
        lost_known; /* what processes before this one may have lost stands in the table, too */
    pw_mcpd_lost lost[PW_MCPD_LOST_MAX];
};

/* ---- exchange.c: from a message to its method, and to its end ---- */

pw_mcpd_x *pw_mcpd_x_new(pw_mcpd *s, const pw_mcpd_given *given);
/** All of these end the exchange: it is freed. result may be nil ({}). */
void pw_mcpd_end(pw_mcpd_x *x, const pawl_value *result);
void pw_mcpd_end_as(pw_mcpd_x *x, const pawl_value *result, const char *type);
/** A result that is stamped and written already. */
void pw_mcpd_end_written(pw_mcpd_x *x, const char *result, size_t size);
void pw_mcpd_fail(pw_mcpd_x *x, int64_t code, const pawl_value *data, const char *fmt, ...)
    PAWL_PRINTF(4, 5);
/** The engine, or memory, fails a call whose run may go on: the same call again finds that run. */
void pw_mcpd_fail_lost(pw_mcpd_x *x, const char *what, const char *why);
void pw_mcpd_fail_plain(pw_mcpd_x *x, int http, int64_t code, const char *text);
/** Nothing to say: 202. */
void pw_mcpd_end_empty(pw_mcpd_x *x, int http);
void pw_mcpd_notify(pw_mcpd_x *x, const char *method, const pawl_value *params);
void pw_mcpd_request(pw_mcpd_x *x, const char *id, const char *method, const pawl_value *params);
/** The first event of a stream that can be resumed. */
void pw_mcpd_prime(pw_mcpd_x *x);
void pw_mcpd_after(pw_mcpd_x *x, int64_t ms, pw_mcpd_fn fn);
void pw_mcpd_no_timer(pw_mcpd_x *x);
bool pw_mcpd_has_cap(const pw_mcpd_x *x, const char *name);
bool pw_mcpd_has_tasks(const pw_mcpd_x *x);
/** -32021, naming what the client would have to declare. */
void pw_mcpd_need_cap(pw_mcpd_x *x, const pawl_value *caps);
int pw_mcpd_level(const char *name); /* of a log level; -1 = none */
#define PW_MCPD_LEVEL_NONE 100

/* ---- check.c: what a modern request must say of itself ---- */

/** False: the exchange is over. */
bool pw_mcpd_check_meta(pw_mcpd_x *x);
bool pw_mcpd_check_headers(pw_mcpd_x *x, const char *method);
bool pw_mcpd_check_params(pw_mcpd_x *x, const pw_mcpd_offer *offer);

/* ---- list.c, listen.c, call.c, task.c, meta.c: methods ---- */

#define X(name, text, legacy, modern, header, needs) void pw_mcpd_on_##name(pw_mcpd_x *x);
#include "tools/mcp/methods.def"
#undef X

/* ---- gate.c: what its principal may do ---- */

/** Goes on with the method, now or when the engine has said whose run it is; or refuses. */
void pw_mcpd_gate(pw_mcpd_x *x, pw_mcpd_fn then);
/** GET of a session: then, or an answer. */
void pw_mcpd_gate_news(pw_mcpd_x *x, pw_mcpd_fn then);
void pw_mcpd_gate_run(pw_mcpd_x *x, const char *run_id, pw_mcpd_fn then);
/** workflow NULL = not known. */
bool pw_mcpd_sees(pw_mcpd_x *x, const char *run_id, const char *workflow);
bool pw_mcpd_offered(const pw_mcpd_x *x, pw_operation op, const pw_mcpd_offer *offer);
/** One of the tools that every server has. */
bool pw_mcpd_offered_fixed(const pw_mcpd_x *x, const char *name);
/** By itself, or by a tool of it. */
bool pw_mcpd_reaches(const pw_mcpd_x *x, pw_operation op, const char *workflow);
/** Ends the exchange: there is none of that name; and which of those that they reach was meant (meta.c). */
void pw_mcpd_no_workflow(pw_mcpd_x *x, pw_operation op, const char *workflow);

/* ---- name.c: ids of runs: whose they are, which call they answer ---- */

/** Sets the id of the run that the call begins. */
void pw_mcpd_name_run(pw_mcpd_x *x, const char *workflow, const pawl_value *input);
/** True when the run is one of its principal's. */
bool pw_mcpd_owns(pw_mcpd_x *x, const char *run_id);
bool pw_mcpd_owner_has(pw_mcpd *s, const char *owner, const char *run_id); /* "" has all */
/** The run that the exchange's answer is of: "" when it only asks about one. */
const char *pw_mcpd_answers(pw_mcpd_x *x);
/** The answer of a run could not be delivered; it has been. */
void pw_mcpd_lose(pw_mcpd *s, const char *run_id);
void pw_mcpd_delivered(pw_mcpd_x *x);
void pw_mcpd_lost_deinit(pw_mcpd *s);
/** The exchange ends: it is not found under its call any more. */
void pw_mcpd_call_over(pw_mcpd_x *x);
/** True when a call of this principal began it. */
bool pw_mcpd_began(pw_mcpd_x *x, const char *run_id);
#define PW_MCPD_BEGAN_FILTER "id ~ \"*-*-*-*\"" /* all of those, and some others */
/** Sets run.found to the run of an identical call whose answer was lost, and goes on with then. */
void pw_mcpd_find_lost(pw_mcpd_x *x, const char *workflow, pw_mcpd_fn then);

/* ---- call.c: a run, followed to its end ---- */

/** Starts the workflow of an offer. */
void pw_mcpd_call(pw_mcpd_x *x, const pw_mcpd_offer *offer, pw_mcpd_shape shape,
                  const pawl_value *input);
/** The run of the call's key was there before: goes on if it is for the same input, else that is an error. */
void pw_mcpd_check_key(pw_mcpd_x *x, pw_mcpd_fn then);
/** Follows a run that there is. */
void pw_mcpd_follow(pw_mcpd_x *x, const char *run_id, const pw_mcpd_offer *offer,
                    pw_mcpd_shape shape);
/** The engine was away: what it said meanwhile is looked up. */
void pw_mcpd_call_again(pw_mcpd_x *x);
void pw_mcpd_call_dropped(pw_mcpd_x *x);

/* ---- ask.c: described waits as questions to a client, and its answers ---- */

/** {method, params} of a wait, or nil when the client cannot be asked that. */
const pawl_value *pw_mcpd_question(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *wait);
/** The answer's value {choice, data} that a response means; nil when it is none. */
const pawl_value *pw_mcpd_answer_of(pawl_scope *scope, const pawl_value *wait,
                                    const pawl_value *response);
/** The key of a wait in inputRequests; in a task it is unique for the task's life. */
const char *pw_mcpd_wait_key(pawl_scope *scope, const pawl_value *wait, bool task);
/** Answers a wait of a run. fn as of pw_up_ask. */
void pw_mcpd_answer(pw_mcpd_x *x, const char *run_id, const pawl_value *wait,
                    const pawl_value *value, pw_up_fn fn);
/** The rest of a map; nil when nothing is left. */
const pawl_value *pw_mcpd_without(pawl_scope *scope, const pawl_value *map, const char *key);
/** A legacy client has answered a request of ours. */
void pw_mcpd_answered(pw_mcpd_x *x, const pw_mcpd_message *m);

/* ---- content.c: what a run came to ---- */

/** The result of tools/call; an end that is an error of the protocol gives nil, *ret_code and *ret_text. */
const pawl_value *pw_mcpd_tool_result(pawl_scope *scope, const pawl_value *end, int64_t *ret_code,
                                      const char **ret_text);
const pawl_value *pw_mcpd_handle(pawl_scope *scope, const char *run_id, const pawl_value *waits);
const pawl_value *pw_mcpd_text(pawl_scope *scope, const char *text, bool is_error);

/* ---- look.c: a run as a task ---- */

/** task: as tasks/get has it; nil = there is none, or its time is over. Both live until this returns. */
typedef void (*pw_mcpd_look_fn)(pw_mcpd_x *x, int64_t n, pawl_status status, const pawl_value *task,
                                pawl_scope *scope);
/** fn is called once, from the loop. False: no memory, and it is not. */
bool pw_mcpd_look_at(pw_mcpd_x *x, const char *run_id, int64_t n, pw_mcpd_look_fn fn);
/** The run itself, when its client may see it: else none. */
bool pw_mcpd_look_at_run(pw_mcpd_x *x, const char *run_id, pw_mcpd_look_fn fn);
void pw_mcpd_looks_free(pw_mcpd_x *x);
/** Of a run as `describe` shows it. */
const pawl_value *pw_mcpd_task_fields(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *run,
                                      const char *status);
bool pw_mcpd_task_expired(const pw_mcpd *s, const pawl_value *run);

/* ---- task.c ---- */

/** Answers a call with its task, which is on disk. */
void pw_mcpd_become_task(pw_mcpd_x *x);
bool pw_mcpd_may_list_tasks(const pw_mcpd_x *x);

/* ---- meta.c: the tools that every server has, and runs as resources ---- */

#define PW_MCPD_RUN_URI "pawl://runs/"

/** Calls one of them, or says that there is no such tool. */
void pw_mcpd_call_meta(pw_mcpd_x *x, const char *name, const pawl_value *arguments);
/** They as they are listed. */
const pawl_value *pw_mcpd_meta_tool(pawl_scope *scope, size_t index); /* nil behind the last */
const char *pw_mcpd_meta_name(size_t index);
void pw_mcpd_read_run(pw_mcpd_x *x, const char *rest);
/** Ends a call with a value, as text and as itself. */
void pw_mcpd_end_structured(pw_mcpd_x *x, const pawl_value *v);

/* ---- search.c: the tool pawl_search ---- */

void pw_mcpd_search_begin(pw_mcpd_x *x);
/** The exchange goes: what is being ranked for it is nobody's. */
void pw_mcpd_search_forget(pw_mcpd_x *x);

/* ---- seal.c: names that a client brings back and must not change ---- */

/** Owns: the scope. */
const char *pw_mcpd_seal(pw_mcpd *s, pawl_scope *scope, const char *purpose,
                         const pawl_value *value);
/** nil unless it was sealed here for that purpose. */
const pawl_value *pw_mcpd_unseal(pw_mcpd *s, pawl_scope *scope, const char *purpose,
                                 const char *text);
/** Base64 of bytes, URL-safe, without padding. */
const char *pw_mcpd_base64(pawl_scope *scope, const void *data, size_t size);
/** A digest of a value that does not depend on the order of keys. Owns: the scope. */
const char *pw_mcpd_digest(pw_mcpd *s, pawl_scope *scope, const pawl_value *v);

/* ---- session.c ---- */

pw_mcpd_session *pw_mcpd_session_new(pw_mcpd *s, const char *version, const pawl_value *caps);
/** One that lives, also one that an earlier process began; NULL = none, or it has ended. */
pw_mcpd_session *pw_mcpd_session_find(pw_mcpd *s, const char *id);
void pw_mcpd_session_end(pw_mcpd *s, pw_mcpd_session *session);
void pw_mcpd_sessions_free(pw_mcpd *s);
/** Errors: LIMIT, NOMEM. One that is there already is not added. */
pawl_status pw_mcpd_session_subscribe(pw_mcpd_session *session, const char *uri);
bool pw_mcpd_session_unsubscribe(pw_mcpd_session *session, const char *uri);
/** It is told when the task is another than it was. Accepts NULL. */
void pw_mcpd_session_task(pw_mcpd_session *session, const char *run_id);

/* ---- session_state.c ---- */

/** Goes on with then when what has become of x->session is known; or says that there is no such session. */
void pw_mcpd_session_known(pw_mcpd_x *x, pw_mcpd_fn then);
/** Commits what has become of x->session; ended: that it is over. fn as of pw_up_ask. */
void pw_mcpd_session_keep(pw_mcpd_x *x, bool ended, pw_up_fn fn);
void pw_mcpd_no_session(pw_mcpd_x *x);

/* ---- legacy_stream.c ---- */

/** On a transport that is one session: news goes there. */
void pw_mcpd_listen_hosted(pw_mcpd_x *from);

/* ---- listen.c ---- */

/** The server goes: every listener is answered. */
void pw_mcpd_farewell(pw_mcpd *s);

/* ---- news.c ---- */

bool pw_mcpd_news_open(pw_mcpd *s);
void pw_mcpd_news_close(pw_mcpd *s);
/** The engine is back. */
void pw_mcpd_news_back(pw_mcpd *s);
/** A listener begins to hear. */
void pw_mcpd_hear(pw_mcpd_x *x);
/** What is published is looked at again, and listeners are told if it is another. */
void pw_mcpd_news_look(pw_mcpd *s);
/** The reply to `tools`. False: out of memory. */
bool pw_mcpd_published(pw_mcpd *s, const pawl_value *reply);
/** The listener is told what a task is now. */
void pw_mcpd_tell_task(pw_mcpd_x *x, const char *run_id);
const pawl_value *pw_mcpd_tagged(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *params);

int64_t pw_mcpd_now_ms(void);
/** When a call of a client without tasks is answered at last. */
int64_t pw_mcpd_bound_ms(const pw_mcpd *s);

#endif
