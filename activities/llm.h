/*
 * llm.h - one neutral model of a conversation with a language model, and the wires that carry it. Bytes and values only: no network, no
 * clock, no secrets.
 *
 *   request value --pw_llm_encode--> {method, path, headers, body, digest} ~~~> the provider
 *   neutral answer <--pw_llm_decode-- body                                 <~~~ a whole response
 *   deltas, then the same answer <--pw_llm_stream_*-- bytes, cut anywhere  <~~~ a stream
 *   failure class <--pw_llm_failure_of-- status, headers, body             <~~~ an error
 *
 * What messages, parts, requests, answers and endpoints are says sdk/pawl_llm.h. Beyond it, of parts: field = the name of the message's field
 * that reasoning stood in; minted: true = the provider gave a call no id, ours is a digest and begins with "pawl_"; repaired: true = its arguments
 * were JSON only after mending; covers = how many parts `raw` stands for.
 */
#ifndef PW_LLM_H
#define PW_LLM_H

#include "sdk/base/hash.h"

typedef struct pw_llm_wire pw_llm_wire;
typedef struct pw_llm_stream pw_llm_stream;

/** Names of the wires, NULL at the end: openai-chat, openai-compatible, openai-responses, anthropic, gemini, ollama, dapr. */
const char *pw_llm_wire_name(size_t index);

/* ---- endpoints ---- */

/** Where a request goes and in which dialect. Texts live in the scope it was read into. */
typedef struct pw_llm_endpoint {
    const pw_llm_wire *wire;
    const char *provider; /* never NULL: the wire's name by default */
    const char *base_url; /* NULL = the caller knows */
    const char *path;     /* NULL = the wire's */
    const char *key;      /* secret reference, or NULL */
    const char *auth;     /* never NULL */
    const char *version;  /* Anthropic: anthropic-version */
    pw_view headers;
    pw_view options;
} pw_llm_endpoint;

/** Errors: INVALID (names the field), NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_endpoint_read(pawl_scope *scope, const pawl_value *endpoint,
                                               pw_llm_endpoint *ret_endpoint, pawl_error *err);

/* ---- requests ---- */

#define PW_LLM_HEADERS_MAX 24

/** What is sent is `value` followed by the text of the secret. */
typedef struct pw_llm_header {
    const char *name;
    const char *value;
    const char *secret; /* reference, or NULL */
} pw_llm_header;

/** What to send. Texts live in the scope of the call; the body is the caller's: pw_llm_call_deinit. */
typedef struct pw_llm_call {
    const char *method;
    const char *path; /* with its query; pw_llm_url joins it with a base */
    pw_llm_header headers[PW_LLM_HEADERS_MAX];
    size_t headers_len;
    pw_buf body;
    uint8_t digest
        [PW_DIGEST_SIZE]; /* of what determines the answer: not of stream, cache hints, metadata, key */
} pw_llm_call;

/** A request, and how it is to be sent. */
typedef struct pw_llm_ask {
    pawl_scope *scope;
    const pawl_value *request;
    const pawl_value *model; /* instead of the request's; NULL = that */
    struct pw_kept
        *kept; /* where bytes of messages are kept, and found (llm_kept.h); NULL = nowhere */
    const pw_view *
        ready; /* provider-ready bytes of messages that stand before request.messages: pw_llm_encode_message made them */
    size_t ready_len;
    bool stream;
} pw_llm_ask;

/** The provider-ready bytes of one message, appended: they depend on endpoint and message alone, so they may be kept and reused for as
 * long as the conversation lives. May append nothing (a turn of foreign reasoning only). Errors: INVALID (names what), LIMIT, NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_encode_message(const pw_llm_endpoint *endpoint,
                                                const pawl_value *message, pw_buf *out,
                                                pawl_error *err);
/** Errors: INVALID, LIMIT, NOMEM. ret_call is written only on success. */
PAWL_MUST_USE pawl_status pw_llm_encode(const pw_llm_endpoint *endpoint, const pw_llm_ask *ask,
                                        pw_llm_call *ret_call, pawl_error *err);
/** Asks for (or with cancel: cancels) an answer that runs in the background, by its id. Errors: UNSUPPORTED (wires without), INVALID. */
PAWL_MUST_USE pawl_status pw_llm_encode_poll(const pw_llm_endpoint *endpoint, pawl_scope *scope,
                                             const char *id, bool cancel, pw_llm_call *ret_call,
                                             pawl_error *err);
void pw_llm_call_deinit(pw_llm_call *call);
/** base + path; a version segment that both have ("/v1") stands once. NULL when out of memory. */
const char *pw_llm_url(pawl_scope *scope, const char *base_url, const char *path);

/* ---- failures ---- */

typedef enum pw_llm_action {
    PW_LLM_RETRY,
    PW_LLM_WAIT,
    PW_LLM_SHRINK,
    PW_LLM_PAUSE,
    PW_LLM_GIVE_UP
} pw_llm_action;

typedef enum pw_llm_class {
#define X(name, type, action, retryable, text) PW_LLM_##name,
#include "activities/llm_classes.def"
#undef X
    PW_LLM_CLASS_COUNT
} pw_llm_class;

const char *pw_llm_class_type(pw_llm_class class); /* "RateLimited" */
const char *pw_llm_class_text(pw_llm_class class);
pw_llm_action pw_llm_class_action(pw_llm_class class);

typedef struct pw_llm_failure {
    pw_llm_class class;
    bool retryable;
    int status;             /* of HTTP; 0 = inside a response */
    int64_t retry_after_ms; /* -1 = nobody said */
    char code[96];          /* the provider's word for it, or "" */
    char request_id[96];    /* the provider's, or "" */
    char message[512];      /* the provider's, or ours; NUL-terminated, whole UTF-8 characters */
} pw_llm_failure;

/** A response that is not 2xx. */
typedef struct pw_llm_reply {
    int status;
    const pw_llm_header *headers; /* any case; `secret` is not looked at */
    size_t headers_len;
    const void *body;
    size_t body_size;
    int64_t retry_after_ms; /* what the HTTP client understood; -1 = nothing */
    int64_t now_ms;         /* UTC: some limits name a moment */
} pw_llm_reply;

void pw_llm_failure_of(const pw_llm_endpoint *endpoint, const pw_llm_reply *reply,
                       pw_llm_failure *ret_failure);

/* ---- answers ---- */

/** The neutral answer of a whole response. salt makes ids of calls that have none: the call's digest, so that no two turns share one.
 * OK, FAILED (failure filled: what came is no answer), NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_decode(const pw_llm_endpoint *endpoint, pawl_scope *scope,
                                        pw_view body, const uint8_t salt[PW_DIGEST_SIZE],
                                        const pawl_value **ret_answer, pw_llm_failure *ret_failure);

typedef enum pw_llm_delta_kind {
    PW_LLM_DELTA_TEXT,
    PW_LLM_DELTA_REASONING,
    PW_LLM_DELTA_REFUSAL,
    PW_LLM_DELTA_CALL
} pw_llm_delta_kind;

/** A piece of an answer. Valid inside the callback. */
typedef struct pw_llm_delta {
    pw_llm_delta_kind kind;
    size_t index; /* of a call: 0, 1, ... */
    pw_view id;   /* of a call, once known */
    pw_view name; /* of a call, once known */
    pw_view
        text; /* what was added: text, or JSON text of arguments; may be empty at a call's start */
} pw_llm_delta;
typedef void (*pw_llm_delta_fn)(void *user, const pw_llm_delta *delta);

/** A stream under way; the endpoint must outlive it. fn may be NULL. NULL when out of memory. */
pw_llm_stream *pw_llm_stream_open(const pw_llm_endpoint *endpoint,
                                  const uint8_t salt[PW_DIGEST_SIZE], pw_llm_delta_fn fn,
                                  void *user);
/** Bytes of the body, cut anywhere. OK, FAILED (pw_llm_stream_failure says why), NOMEM; after a failure no more is taken. */
PAWL_MUST_USE pawl_status pw_llm_stream_put(pw_llm_stream *stream, const void *data, size_t size);
/** One event (or line) that somebody else has cut out; type may be NULL. As put. */
PAWL_MUST_USE pawl_status pw_llm_stream_event(pw_llm_stream *stream, const char *type,
                                              const void *data, size_t size);
/** The body has ended: the answer, equal to what pw_llm_decode gives for the same content. OK, FAILED, NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_stream_end(pw_llm_stream *stream, pawl_scope *scope,
                                            const pawl_value **ret_answer);
/** True once the provider has said its last word: what follows is not needed. */
bool pw_llm_stream_done(const pw_llm_stream *stream);
const pw_llm_failure *pw_llm_stream_failure(const pw_llm_stream *stream);
/** The provider's id of the answer, once it has said one; missing before. */
pw_view pw_llm_stream_id(const pw_llm_stream *stream);
/** What it holds, in bytes. */
size_t pw_llm_stream_bytes(const pw_llm_stream *stream);
void pw_llm_stream_close(pw_llm_stream *stream); /* accepts NULL */

/* ---- structured output ---- */

typedef enum pw_llm_found {
    PW_LLM_WHOLE,
    PW_LLM_FENCED,
    PW_LLM_INSIDE,
    PW_LLM_REPAIRED
} pw_llm_found;

/** JSON out of what a model wrote: the whole text; else a fenced block; else the first object or array in it that can be read; else the
 * same with commas, quotes, keys, comments and Python's words mended. Never closes what was left open. Errors: NOTFOUND, LIMIT, NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_extract(pawl_scope *scope, pw_view text,
                                         const pawl_value **ret_value, pw_llm_found *ret_found,
                                         pawl_error *err);

/** The user message that asks for a mended answer; NULL when `attempt` (1 = the first repair) is beyond PW_LLM_REPAIRS_MAX, or out of
 * memory. It holds at most PW_LLM_REPAIR_BYTES_MAX of text, whatever problems and answer are. */
typedef struct pw_llm_repair {
    int attempt;
    int attempts_max;            /* 0 = PW_LLM_REPAIRS_MAX */
    const char *const *problems; /* "/a/b: must be a number" */
    size_t problems_len;
    pw_view
        answer; /* what was wrong, as text; shown when it is not in the conversation; may be empty */
} pw_llm_repair;
const pawl_value *pw_llm_repair_message(pawl_scope *scope, const pw_llm_repair *repair);

/* ---- prices ---- */

/** Reads a price table:
 *   {"currency": "USD", "prices": [{"model": "gpt-5*", "provider": "openai*"?, "above_input": 200000?, "from": "2026-01-31"?,
 *     "input": 1.25, "output": 10, "cache_read"?, "cache_write"?, "cache_write_1h"?, "reasoning"?}, ...]}
 * in dollars for a million tokens; `*` stands for anything. The first row that fits wins: put rows with `above_input` (more input tokens
 * than that) and longer names first. A row with `from` counts from that day on (UTC): put the newest first. A class without a price costs
 * what it is a part of. Errors: PARSE, INVALID (names the row), NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_prices_read(pawl_scope *scope, const char *text, size_t size,
                                             const pawl_value **ret_prices, pawl_error *err);
/** What a usage costs, in nano-dollars, rounded up; INT64_MAX when beyond. NOTFOUND: no row fits; a price unknown is not a price of 0. */
PAWL_MUST_USE pawl_status pw_llm_cost(const pawl_value *prices, const char *provider,
                                      const char *model, const pawl_value *usage, int64_t at_ms,
                                      int64_t *ret_nano_dollars);

#endif
