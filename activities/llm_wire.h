/*
 * llm_wire.h - what a wire is made of, and what all wires share. Only llm_*.c include it.
 *
 *   writer   a request's body: members in our order, with request.extra merged in at every level, and winning
 *   answer   a neutral answer under construction: parts in the order they came
 *   fold     a provider's message put together again from the pieces of a stream: then the wire's own decoder reads it, so that
 *            a stream and a whole response cannot differ
 */
#ifndef PW_LLM_WIRE_H
#define PW_LLM_WIRE_H

#include "activities/http_sse.h"
#include "activities/llm.h"
#include "activities/llm_view.h"

typedef enum pw_llm_kind {
    PW_LLM_WIRE_CHAT,
    PW_LLM_WIRE_RESPONSES,
    PW_LLM_WIRE_ANTHROPIC,
    PW_LLM_WIRE_GEMINI,
    PW_LLM_WIRE_OLLAMA
} pw_llm_kind;

/** How the ids begin that are ours: the provider has none for them. */
#define PW_LLM_MINTED "pawl_"

typedef enum pw_llm_stop {
#define X(name, word) PW_LLM_STOP_##name,
#include "activities/llm_stops.def"
#undef X
    PW_LLM_STOP_COUNT
} pw_llm_stop;

/* ---- writer ---- */

#define PW_LLM_LEVELS_MAX 4

typedef struct pw_llm_level {
    pw_view extra;   /* members that win over ours */
    uint64_t merged; /* those of extra that were opened as objects of ours */
    size_t before;   /* size of out before the object's key: an empty object is taken back */
    bool any;
} pw_llm_level;

typedef struct pw_llm_writer {
    pw_buf *out;
    const pw_llm_endpoint *endpoint;
    pw_view request;    /* without its messages: each look at it would walk over them */
    pw_view messages;   /* of the request */
    pawl_status status; /* sticky */
    pawl_error *err;
    pw_llm_level levels[PW_LLM_LEVELS_MAX];
    int depth;
} pw_llm_writer;

/** Refuses the request, sticky: the first one is told. */
void pw_llm_refuse(pw_llm_writer *w, const char *fmt, ...) PAWL_PRINTF(2, 3);
/** Opens the body, or a member that is an object; false: extra has it as something else, so leave it out. */
bool pw_llm_open(pw_llm_writer *w, const char *key);
/** Writes what extra has beyond ours, and the brace. An object that is empty is taken back. */
void pw_llm_close(pw_llm_writer *w);
/** Writes `"key":`; false: extra has it, write nothing. */
bool pw_llm_key(pw_llm_writer *w, const char *key);
/* One member each; a missing text or value writes nothing. */
void pw_llm_member_text(pw_llm_writer *w, const char *key, pw_view text);
void pw_llm_member_int(pw_llm_writer *w, const char *key, int64_t n);
void pw_llm_member_bool(pw_llm_writer *w, const char *key, bool b);
void pw_llm_member_json(pw_llm_writer *w, const char *key, pw_view value);
/** Member `key` = the request's own member `name`, as it is. */
void pw_llm_member_of(pw_llm_writer *w, const char *key, const char *name);
void pw_llm_put_json(pw_llm_writer *w, pw_view value);
void pw_llm_put_text(pw_llm_writer *w, pw_view text); /* quoted */
void pw_llm_puts(pw_llm_writer *w, const char *json);

/** Everything a wire needs to write a body. */
typedef struct pw_llm_frame {
    const pw_llm_ask *ask;
    pw_view messages; /* provider-ready, joined with commas */
    pw_llm_call *call;
} pw_llm_frame;

/** Texts must live as long as the call. False: refused. */
bool pw_llm_add_header(pw_llm_writer *w, pw_llm_call *call, const char *name, const char *value,
                       const char *secret);
/** One tool's original, when it has one that may go to this provider; else missing. */
pw_view pw_llm_tool_original(const pw_llm_writer *w, pw_view tool);

/* ---- neutral parts, read ---- */

/** A part's original, when it may go to this endpoint's provider; missing otherwise. */
pw_view pw_llm_original(const pw_llm_writer *w, pw_view message, pw_view part);
/** Walks a message's parts; after one whose original was written, skip pw_llm_covers - 1. A message with `text` has one text part. */
typedef struct pw_llm_parts {
    pw_each each;
    pw_view text; /* of a message without parts */
    bool only_text;
} pw_llm_parts;
typedef struct pw_llm_part {
    pw_view self; /* missing when the message has `text` only */
    pw_view type;
    pw_view text;
    size_t covers;
} pw_llm_part;
pw_llm_parts pw_llm_parts_of(pw_view message);
bool pw_llm_parts_next(pw_llm_parts *parts, pw_llm_part *ret_part);
void pw_llm_parts_skip(pw_llm_parts *parts, size_t count);
/** True if the parts are texts without cache marks and originals: one string says them. */
bool pw_llm_is_plain(const pw_llm_writer *w, pw_view message);
/** The texts of a message (or of parts, or a text), joined by LF, as one quoted string. */
void pw_llm_put_joined(pw_llm_writer *w, pw_view texts);
/** Media type of an image: what it says, or what its bytes say. */
pw_view pw_llm_image_mime(pw_view part);
/** The base64 of an image's data, unquoted; refuses an image without. */
void pw_llm_put_image_data(pw_llm_writer *w, pw_view part);
/** Arguments of a call as JSON text, unquoted: as they were sent, or our print. */
void pw_llm_arguments_text(pw_llm_writer *w, pw_view part, pw_buf *ret_text);
/** Arguments of a call as an object, whatever they are. */
void pw_llm_put_arguments(pw_llm_writer *w, pw_view part);
/** `,"KEY":[...]` of a message's tool calls, each by put; nothing when it has none. */
typedef void (*pw_llm_call_fn)(pw_llm_writer *w, pw_view message, pw_view call);
void pw_llm_put_calls(pw_llm_writer *w, pw_view message, const char *key, pw_llm_call_fn put);
/** What a tool gave, as one quoted string: its text, its texts joined, or JSON. */
void pw_llm_put_result_text(pw_llm_writer *w, pw_view part);
/** True if a result's content is an array of parts with an image in it. */
bool pw_llm_has_image(pw_view content);

/* ---- answers, written ---- */

typedef struct pw_llm_usage {
    int64_t input, cache_read, cache_write, cache_write_1h, output, reasoning;
    bool known;
} pw_llm_usage;

typedef struct pw_llm_answer {
    const pw_llm_endpoint *endpoint;
    const uint8_t *salt;
    pw_buf parts;
    size_t parts_len;
    size_t calls;
    pw_buf rest; /* pairs of message.raw */
    size_t rest_len;
    pw_view id, model, stop_raw, stop_detail, usage_raw;
    pw_llm_stop stop;
    pw_llm_usage usage;
    pw_llm_failure *failure;
    pawl_status status; /* sticky; FAILED fills failure */
} pw_llm_answer;

typedef struct pw_llm_said {
    const char *type; /* text, reasoning, refusal, other */
    pw_view text;
    pw_view raw;       /* missing: none */
    const char *field; /* NULL = none */
    size_t covers;     /* 0 = 1 */
} pw_llm_said;
void pw_llm_say(pw_llm_answer *a, const pw_llm_said *said);
typedef struct pw_llm_tool_call {
    pw_view id, name;
    bool as_text;
    pw_view arguments; /* JSON text, or a value */
    pw_view raw;
} pw_llm_tool_call;
void pw_llm_say_call(pw_llm_answer *a, const pw_llm_tool_call *call);
/** A field of the provider's message that no part stands for; nil and empty arrays are left out. */
void pw_llm_say_rest(pw_llm_answer *a, pw_view key, pw_view value);
/** Calls win over a plain end: some servers say "stop" for both. */
void pw_llm_say_stop(pw_llm_answer *a, pw_llm_kind kind, pw_view word);
/** What came is no answer. */
void pw_llm_answer_fail(pw_llm_answer *a, pw_llm_class class, const char *fmt, ...)
    PAWL_PRINTF(3, 4);
/** True if the map has a field with a value whose key is not in `known` (names with spaces between). */
bool pw_llm_has_other(pw_view map, const char *known);
bool pw_llm_is_known(pw_view key, const char *known);

/** As pw_llm_decode, of a response that a stream was. */
pawl_status pw_llm_answer_of(const pw_llm_stream *s, pw_view response, pawl_scope *scope,
                             const pawl_value **ret_answer, pw_llm_failure *ret_failure);

/** Fills code, message and class from the provider's error object (or text). */
void pw_llm_failure_read(pw_llm_kind kind, int status, pw_view error, pw_llm_failure *ret_failure);
void pw_llm_failure_set(pw_llm_failure *ret_failure, pw_llm_class class, const char *fmt, ...)
    PAWL_PRINTF(3, 4);

/* ---- folds ---- */

typedef enum pw_fold_kind { PW_FOLD_VALUE, PW_FOLD_TEXT, PW_FOLD_LIST } pw_fold_kind;

typedef struct pw_fold_entry {
    pw_buf key;
    pw_buf bytes; /* msgpack of a value, or text, or msgpack of elements */
    size_t len;   /* of a list */
    pw_fold_kind kind;
} pw_fold_entry;

/** A map that grows. */
typedef struct pw_fold {
    pw_fold_entry *entries;
    size_t len;
    size_t capacity;
    int64_t index; /* by which a stream names it */
} pw_fold;

/** Maps of a stream, in the order they began. */
typedef struct pw_folds {
    pw_fold *items;
    size_t len;
    size_t capacity;
} pw_folds;

/* All take what they store from the stream's budget; false: the stream has failed. */
bool pw_fold_set(pw_llm_stream *s, pw_fold *fold, pw_view key, pw_view value);
bool pw_fold_append(pw_llm_stream *s, pw_fold *fold, pw_view key,
                    pw_view text); /* to a text; starts one */
bool pw_fold_push(pw_llm_stream *s, pw_fold *fold, pw_view key,
                  pw_view value); /* to a list; starts one */
/** The rule for fields nobody knows: texts grow, arrays grow, anything else is replaced; nil changes nothing. */
bool pw_fold_merge(pw_llm_stream *s, pw_fold *fold, pw_view key, pw_view value);
bool pw_fold_merge_all(pw_llm_stream *s, pw_fold *fold, pw_view map, const char *but);
pw_fold_entry *pw_fold_find(const pw_fold *fold, const char *key);
pw_view pw_fold_text(const pw_fold *fold,
                     const char *key); /* of a text, or of a value that is one */
void pw_fold_write(const pw_fold *fold, const char *but, pw_buf *out,
                   size_t *ret_pairs); /* pairs, without a header */
void pw_fold_deinit(pw_fold *fold);
pw_fold *pw_folds_find(pw_folds *folds, int64_t index);
pw_fold *pw_folds_add(pw_llm_stream *s, pw_folds *folds,
                      int64_t index); /* NULL: the stream has failed */
void pw_folds_deinit(pw_folds *folds);

/* ---- streams ---- */

struct pw_llm_stream {
    const pw_llm_endpoint *endpoint;
    uint8_t salt[PW_DIGEST_SIZE];
    pw_llm_delta_fn fn;
    void *user;
    pw_sse sse;
    pw_buf line;        /* of NDJSON */
    pw_buf event;       /* the one at hand, as msgpack */
    pawl_status status; /* sticky */
    pw_llm_failure failure;
    size_t bytes; /* held by folds */
    size_t events;
    bool complete; /* the answer is whole */
    bool last;     /* nothing more is to come */
    pw_fold root;
    pw_fold message;
    pw_folds items; /* calls, blocks, parts, output items: as the wire has them */
};

void pw_llm_stream_fail(pw_llm_stream *s, pw_llm_class class, const char *fmt, ...)
    PAWL_PRINTF(3, 4);
void pw_llm_emit(pw_llm_stream *s, pw_llm_delta_kind kind, pw_view text);
void pw_llm_emit_call(pw_llm_stream *s, size_t index, const pw_fold *call, pw_view text);

/* ---- wires ---- */

struct pw_llm_wire {
    const char *name;
    pw_llm_kind kind;
    const char *base_url; /* NULL = the endpoint must say */
    const char *path;
    const char *auth; /* "bearer", "none", or the header's name */
    bool lines;       /* NDJSON instead of server-sent events */
    void (*message)(pw_llm_writer *w, pw_view message);
    void (*body)(pw_llm_writer *w, const pw_llm_frame *frame);
    void (*answer)(pw_llm_answer *a, pw_view response);
    void (*event)(pw_llm_stream *s, pw_view type, pw_view event);
    void (*whole)(pw_llm_stream *s, pw_buf *ret_response); /* the response that the stream was */
};

extern const pw_llm_wire pw_llm_wire_chat;
extern const pw_llm_wire pw_llm_wire_compatible;
extern const pw_llm_wire pw_llm_wire_responses;
extern const pw_llm_wire pw_llm_wire_anthropic;
extern const pw_llm_wire pw_llm_wire_gemini;
extern const pw_llm_wire pw_llm_wire_ollama;
extern const pw_llm_wire pw_llm_wire_dapr;

#endif
