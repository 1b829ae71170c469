/*
 * llm_activity.h - the activity "llm", and its parts: the call out of an input, the check of an answer, the result or failure of a call.
 *
 * The manual is sdk/pawl_llm.h.
 */
#ifndef PW_LLM_ACTIVITY_H
#define PW_LLM_ACTIVITY_H

#include "activities/http_client.h"
#include "activities/llm_wire.h"
#include "activities/net_runner.h"
#include "sdk/base/kept.h"
#include "sdk/base/limits.h"
#include "sdk/pawl_net.h"

/** The activity in one engine. Owns: the runner (pw_net_runner_keep). */
typedef struct pw_llm_setup {
    pw_net_activity activity; /* first */
    pawl_llm_scrub_fn scrub;  /* NULL = none */
    void *scrub_user;
    pw_kept *kept;  /* of the network thread; behind this, in the same block */
    pw_view prices; /* a table as pw_llm_prices_load gives it, behind that; empty = none */
    _Alignas(8) uint8_t end[];
} pw_llm_setup;

/** NULL when out of memory. prices are copied. */
pw_llm_setup *pw_llm_setup_new(const pawl_net_options *options, pw_view prices);

/* llm_input.c */

typedef struct pw_llm_target {
    pw_llm_endpoint endpoint;
    const pawl_value *model; /* instead of the request's; NULL = that */
} pw_llm_target;

/** What is asked, of whom, and how. Lives in the scope it was read into. */
typedef struct pw_llm_input {
    pw_llm_target targets[PW_LLM_ENDPOINTS_MAX];
    size_t targets_len;
    const pawl_value *request;
    const pawl_value *schema; /* of the answer; NULL = none */
    bool stream;
    bool pause;
    int repairs_max;
    const char *proxy;
    int64_t connect_ms, first_byte_ms, idle_ms, total_ms;
} pw_llm_input;

/** Errors: INVALID (names what), NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_input_read(pawl_scope *scope, pawl_task *task,
                                            pw_llm_input *ret_input, pawl_error *err);

/** Does the request name conversations (the journal must be asked: a thread that may wait), or have `more`? */
bool pw_llm_input_refers(const pw_llm_input *input);
bool pw_llm_input_joins(const pw_llm_input *input);
/** Puts what it names, and what stands in `more`, into the request. FAILED: the task has failed, and says why. Errors: INVALID, NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_input_join(pawl_scope *scope, pawl_task *task, pw_llm_input *input,
                                            pawl_error *err);

/* llm_say.c */

enum { PW_LLM_VOICES = PW_LLM_DELTA_CALL + PW_LLM_CALLS_SHOWN_MAX };

/** What of an answer is shown while it comes: a channel for each kind of piece, and for each call. */
typedef struct pw_llm_saying {
    pawl_task *task;
    const pw_secrets *secrets;
    pw_buf held[PW_LLM_VOICES]; /* may be the beginning of a secret */
    uint32_t named;             /* bits: calls whose name was said */
    bool said;
} pw_llm_saying;

void pw_llm_saying_deinit(pw_llm_saying *say);
void pw_llm_saying_piece(pw_llm_saying *say, const pw_llm_delta *delta);
/** The answer is whole: what was held is shown, too. */
void pw_llm_saying_end(pw_llm_saying *say);
/** What was shown does not stand: the answer begins anew. */
void pw_llm_saying_anew(pw_llm_saying *say, const char *why);

/* llm_scrub.c */

/** The request with every text of its conversation as the hook wants it. Errors: DENIED (the hook refuses), NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_scrub(const pw_llm_setup *setup, pawl_scope *scope,
                                       const pawl_value *request, const pawl_value **ret_request,
                                       pawl_error *err);

/* llm_check.c */

/** What an answer is worth as structured output. */
typedef struct pw_llm_checked {
    bool fits;
    const pawl_value *value; /* when it fits */
    const char *problems[20];
    size_t problems_len;
    pw_view text; /* what the model wrote */
} pw_llm_checked;

/** OK: look at value. INVALID: the schema is none. LIMIT, NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_check(pawl_scope *scope, const pawl_value *schema,
                                       const pawl_value *answer, pw_llm_checked *ret_checked,
                                       pawl_error *err);

/* llm_result.c */

/** How one endpoint did not answer. Texts live as long as the call. */
typedef struct pw_llm_miss {
    const char *type; /* of the failure */
    pw_llm_failure f;
    bool sent; /* the request may have reached somebody who went on with it */
    const char *provider;
    size_t endpoint;
} pw_llm_miss;

void pw_llm_miss_of_class(pw_llm_miss *ret_miss, const pw_llm_failure *failure);
void pw_llm_miss_of_http(pw_llm_miss *ret_miss, const pw_http_result *result);
pw_llm_action pw_llm_miss_action(const pw_llm_miss *miss);
/** True if another endpoint may do better. */
bool pw_llm_miss_passes(const pw_llm_miss *miss);
/** True if `a` says better than `b` what to do next. */
bool pw_llm_miss_better(const pw_llm_miss *a, const pw_llm_miss *b);
/** Appends {endpoint, provider, type, status, message}. */
void pw_llm_miss_put(const pw_llm_miss *miss, pw_buf *out);

/** Tokens of all the answers that one call paid for. */
typedef struct pw_llm_sum {
    int64_t of[6];
    bool known; /* all said */
    int answers;
} pw_llm_sum;
void pw_llm_sum_add(pw_llm_sum *sum, const pawl_value *answer);

/* llm_spend.c */

/** What starts and cancels a call (llm_activity.c). */
extern const pw_net_activity pw_llm_calls;

/** A price table from a file, ready to look prices up in; path NULL or "" = none. Errors: INVALID (the file, or a row of it), PARSE, NOMEM. */
PAWL_MUST_USE pawl_status pw_llm_prices_load(const char *path, pw_buf *ret_table, pawl_error *err);

/** What a call has spent beside tokens. */
typedef struct pw_llm_spent {
    int64_t nano; /* dollars */
    int calls;    /* answers that were paid */
    bool unpriced, unknown;
    const char *model; /* as it was asked for */
} pw_llm_spent;

/** An answer that was paid. */
typedef struct pw_llm_paid {
    const pawl_value *answer;
    const char *provider, *model;
} pw_llm_paid;
void pw_llm_spend_answer(const pw_llm_setup *setup, pawl_scope *scope, const pw_llm_paid *paid,
                         pw_llm_spent *spent);
/** Once, before the attempt ends. */
void pw_llm_spend_tell(pawl_task *task, pawl_scope *scope, const pw_llm_sum *usage,
                       const pw_llm_spent *spent);

typedef struct pw_llm_outcome {
    const pawl_value *answer; /* NULL = none */
    const pawl_value *value;  /* of structured output */
    bool has_value;
    const pw_llm_sum *usage;
    const pw_llm_endpoint *endpoint;
    size_t endpoint_index;
    const uint8_t *digest;
    int repairs;
    int64_t first_ms, total_ms; /* to the first piece of the answer; to its end */
    const pw_buf *tried;        /* elements */
    size_t tried_len;
} pw_llm_outcome;

/** The result, redacted, in the task's scope; NULL when out of memory. */
const pawl_value *pw_llm_result(pawl_task *task, const pw_secrets *secrets,
                                const pw_llm_outcome *outcome);
/** Sets the task's failure, redacted. */
void pw_llm_fail(pawl_task *task, const pw_secrets *secrets, const pw_llm_miss *miss,
                 const pw_llm_outcome *outcome);
/** The same for an answer that does not fit its schema. */
void pw_llm_fail_answer(pawl_task *task, const pw_secrets *secrets, const pw_llm_checked *checked,
                        const pw_llm_outcome *outcome);

#endif
