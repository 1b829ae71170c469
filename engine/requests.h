/*
 * requests.h - between the files that answer requests.
 */
#ifndef PW_REQUESTS_H
#define PW_REQUESTS_H

#include <stdio.h>

#include "engine/parts.h"
#include "sdk/base/id.h"

void pw_request_start(pw_core *core, pw_request *rq);
void pw_request_query(pw_core *core, pw_request *rq);
void pw_request_result(pw_core *core, pw_request *rq);
void pw_request_watch(pw_core *core, pw_request *rq);
void pw_request_unwatch(pw_core *core, pw_request *rq);
/** After its commit: answers a start that follows its run. plain: what it is answered without. */
void pw_request_started(pw_core *core, pw_request *rq, const pw_live *live, pw_view plain);
/** NOMEM to its caller; one from the inbox comes again. */
void pw_request_nomem(pw_core *core, pw_request *rq);
/** OK with what the buffer holds, if it holds all of it. */
void pw_request_reply(pw_core *core, pw_request *rq, const pw_buf *body);
void pw_request_done(pw_core *core, pw_request *rq, pawl_status status, const pawl_error *err,
                     pw_view body);
#endif
