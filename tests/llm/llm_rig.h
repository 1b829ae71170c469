/*
 * llm_rig.h - tables of requests, answers and streams of a wire, and the functions that check them.
 *
 * All JSON is written with ' for ", so that it can be read in C: {'role':'user'}; a " inside a text is \\'.
 */
#ifndef LLM_RIG_H
#define LLM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "activities/llm.h"
#include "sdk/base/buf.h"
#include "sdk/base/error.h"

/** What a request looks like on the wire. */
typedef struct llm_request_case {
    const char *name;
    const char *endpoint;
    const char *request;
    bool stream;
    const char *path; /* NULL = not looked at */
    const char *
        headers; /* those that must be there: "name: value" each, "+reference" for a secret, joined by LF; NULL = not looked at */
    const char *body; /* exact; NULL = the request is refused with `refused` in the message */
    const char *refused;
} llm_request_case;

/** What a response means. */
typedef struct llm_answer_case {
    const char *name;
    const char *endpoint;
    const char *response;
    const char *answer; /* NULL = no answer: of `type` */
    const char *type;
} llm_answer_case;

/** What a stream means, however it is cut. */
typedef struct llm_stream_case {
    const char *name;
    const char *endpoint;
    const char *stream;
    const char *answer; /* NULL = no answer: of `type` */
    const char *type;
    const char *
        deltas; /* "T:text" "R:reasoning" "X:refusal" "C0 id name:arguments", each followed by |; NULL = not looked at */
    const char *
        whole_from; /* cut before this the stream is truncated; NULL = its completing piece is not known */
} llm_stream_case;

/** Text with ' turned into ". */
const char *llm_text(pawl_scope *scope, const char *quoted);
const pawl_value *llm_json(pawl_scope *scope, const char *quoted);
pw_llm_endpoint llm_endpoint(pawl_scope *scope, const char *quoted);
/** The body of a request; fails the test when it is refused. */
const char *llm_body(pawl_scope *scope, const char *endpoint, const pawl_value *request);
/** The answer of a response; fails the test when it is none. */
const pawl_value *llm_answer(pawl_scope *scope, const char *endpoint, const char *response);
/** Fails the test, with both printed, unless they are the same but for the order of keys. */
void llm_same(const char *what, const pawl_value *is, const pawl_value *wanted);

void llm_check_requests(const llm_request_case *cases, size_t len);
void llm_check_answers(const llm_answer_case *cases, size_t len);
/** Whole, cut in two at every byte, byte by byte, and ended at every byte. */
void llm_check_streams(const llm_stream_case *cases, size_t len);

#endif
