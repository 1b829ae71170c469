/*
 * relay_vet.h - may this frame of a remote worker go to the engine? A function of bytes and a grant, without a socket.
 */
#ifndef PW_RELAY_VET_H
#define PW_RELAY_VET_H

#include "engine/request.h"
#include "tools/token.h"

typedef enum pw_vet_verdict {
    PW_VET_PASS,    /* `out` is the message for the engine */
    PW_VET_HELLO,   /* for the relay itself */
    PW_VET_REFUSED, /* the peer hears why, and stays */
    PW_VET_CUT,     /* it does not speak the protocol: it hears why, and goes */
} pw_vet_verdict;

typedef struct pw_vet {
    int64_t number;
    pw_req_op op;
    pw_view args;       /* in the frame */
    pw_view out;        /* the frame, or rewritten in `space` */
    pw_buf space;       /* the caller's: init before, deinit after */
    pawl_status status; /* REFUSED, CUT: why */
    pawl_error err;
} pw_vet;

/** grant NULL: a stranger, who may say hello and nothing else. A poll of a grant with bounds is written anew, within them. */
pw_vet_verdict pw_relay_vet(pw_view frame, const pw_token_grant *grant, pw_vet *vet);
/** The text of one key of a map; empty when it has none. */
pw_view pw_relay_text(pw_view map, const char *key);

#endif
