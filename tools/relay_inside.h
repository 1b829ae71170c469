/*
 * relay_inside.h - links, sessions and the relay around them; shared by the relay_*.c files, all on the relay's thread.
 *
 *   link:     SHAKING --TLS--> GREETING --token--> OPEN        any --bad, late, gone--> closed (LEAVING: a last reply goes out first)
 *   session:  made by a link's hello; without a link from its break to the grace's end, then closed: its attempts are lost
 */
#ifndef PW_RELAY_INSIDE_H
#define PW_RELAY_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "sdk/base/frame.h"
#include "sdk/base/limits.h"
#include "tools/relay.h"
#include "tools/relay_vet.h"
#include "tools/tls.h"

#define PW_RELAY_SECRET_BYTES 16
#define PW_RELAY_ID_MAX 64 /* of a worker's own id */

/** Bytes on their way out. */
typedef struct pw_relay_bytes {
    pw_buf buf;
    size_t sent;
} pw_relay_bytes;

typedef struct pw_relay_held { /* a task that this worker was given */
    struct pw_relay_held *next;
    size_t size;
    char token[];
} pw_relay_held;

typedef struct pw_relay_link pw_relay_link;

typedef struct pw_relay_session {
    struct pw_relay_session *next;
    char id[2 * PW_RELAY_SECRET_BYTES + 1]; /* secret: who shows it goes on with it */
    char worker[PW_RELAY_ID_MAX + 1];       /* "" = it cannot be gone on with */
    char grant[PW_TOKEN_ID_HEX + 1];
    int fd; /* the engine's control socket */
    pw_frames in;
    pw_relay_bytes out;
    int64_t last_number; /* of the worker's requests */
    int64_t floor;       /* replies up to it are for a link that is gone */
    pw_relay_held *held;
    size_t held_len;
    pw_relay_link *link; /* NULL = gone, since */
    int64_t gone_ms;
    int slot; /* in the poll set; -1 = not */
    bool over;
} pw_relay_session;

typedef enum pw_relay_state {
    PW_LINK_SHAKING,
    PW_LINK_GREETING,
    PW_LINK_OPEN,
    PW_LINK_LEAVING,
    PW_LINK_CLOSED,
} pw_relay_state;

struct pw_relay_link {
    pw_relay_link *next;
    pw_relay_state state;
    int fd;
    pw_tls *tls;
    char peer[64];
    pw_frames in;
    pw_relay_bytes out;
    int64_t since_ms; /* of the state */
    int64_t heard_ms; /* last byte that came */
    int64_t wrote_ms; /* last byte that left, or nothing waited */
    int64_t frame_ms; /* a frame has begun; 0 = none */
    int refusals;
    bool want_write; /* what TLS wants next */
    bool more;       /* it may have read more than we have taken */
    pw_relay_session *session;
    int slot;
};

struct pw_relay {
    pw_relay_options options;
    pw_tls_ctx *tls;
    int listen_fd, wake_fd;
    char address[80];
    pthread_t thread;
    atomic_bool stop;
    pw_token_grants *grants;
    struct stat grants_stat;
    pw_relay_link *links;
    pw_relay_session *sessions;
    size_t links_len, sessions_len;
    int64_t refused; /* requests, tokens, connections */
    int64_t now_ms;  /* monotonic */
    int64_t looked_ms;
    int64_t deaf_until_ms; /* nobody new is let in; 0 = they are */
};

/* relay.c */
void pw_relay_log(const pw_relay *r, pawl_level level, const char *fmt, ...) PAWL_PRINTF(3, 4);
/** Counts it, and says so at 1, 2, 4, 8 ...: a hostile peer must not fill the log. */
void pw_relay_refused(pw_relay *r, const pw_relay_link *link, const char *why);

/* relay_link.c */
pw_relay_link *pw_relay_link_new(pw_relay *r, int fd, const char *peer);
void pw_relay_link_free(pw_relay_link *link);
/** What poll is to look for. */
short pw_relay_link_events(const pw_relay_link *link);
void pw_relay_link_serve(pw_relay *r, pw_relay_link *link, short revents);
void pw_relay_link_deadline(pw_relay *r, pw_relay_link *link);
/** One message to the peer, framed. */
void pw_relay_link_send(pw_relay *r, pw_relay_link *link, pw_view message);
void pw_relay_link_reply(pw_relay *r, pw_relay_link *link, int64_t number, pawl_status status,
                         pw_view body, const pawl_error *err);
/** Closes it: what was its session waits for it, or is over when `over`. */
void pw_relay_link_cut(pw_relay *r, pw_relay_link *link, bool over);

/* relay_session.c */
/** The session of a link that has shown its token: a new one, or the one it had. Errors: FULL, BUSY (no engine answers), NOMEM. */
pawl_status pw_relay_session_join(pw_relay *r, pw_relay_link *link, const pw_token_grant *grant,
                                  pw_view hello, bool *ret_resumed, pawl_error *err);
/** Its link is gone. */
void pw_relay_session_leave(pw_relay *r, pw_relay_session *s);
void pw_relay_session_free(pw_relay_session *s);
short pw_relay_session_events(const pw_relay_session *s);
void pw_relay_session_serve(pw_relay *r, pw_relay_session *s, short revents);
/** A request that was vetted, to the engine. */
void pw_relay_session_ask(pw_relay_session *s, const pw_vet *vet);

/* both */
bool pw_relay_bytes_frame(pw_relay_bytes *b, pw_view message);
static inline size_t pw_relay_bytes_left(const pw_relay_bytes *b)
{
    return b->buf.size - b->sent;
}
/** So many have left. */
void pw_relay_bytes_gone(pw_relay_bytes *b, size_t size);

#endif
