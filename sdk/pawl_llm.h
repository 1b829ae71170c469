/*
 * pawl_llm.h - the activity "llm": one model call, whoever the provider is. It is registered by pawl_net_register (pawl_net.h).
 *
 *     const pawl_value *a = pawl_call(w, "llm", .input = pawl_json(w,
 *         "{endpoint: {wire: 'anthropic', key: 'env:PAWL_SECRET_ANTHROPIC'}, request: {model: %s, messages: [{role: 'user', text: %s}]}}",
 *         "MODEL", "Why does a ratchet need a pawl?"));
 *
 * It takes
 *
 *     endpoint             ENDPOINT, or endpoints: [ENDPOINT ...], at most 8, asked in this order until one answers
 *     request              REQUEST
 *     stream               default true: the provider is asked to stream, so that a long answer is not taken for a dead connection
 *     repairs              how often an answer that does not fit request.response.schema is sent back; default 2, at most 3; each is paid
 *     pause                default true: no money, or no valid key: the run is paused, and the attempt made again when it is resumed;
 *                          false = the call fails, details.action "pause"
 *     proxy                as in "http"
 *     timeout_s connect_timeout_s first_byte_timeout_s idle_timeout_s      of each request; default 3600, 10, 600, 300
 *
 * and gives ANSWER and
 *
 *     value                what fits the schema, when one was asked for and the model ended by itself
 *     usage                of all answers that were paid for this result, repairs included; nil when a provider did not say
 *     endpoint, provider   who answered (the index in endpoints)
 *     digest               hex, of what determines the answer: wire, provider, URL, model, messages, settings; not of key, metadata, cache
 *     repairs, tried       how often it was sent back; who did not answer before: [{endpoint, provider, type, status, message}]
 *     ms, first_ms         to the end of the answer, to its first piece (streams), from the start of the attempt
 *
 * ENDPOINT = {wire: "openai-chat" | "openai-compatible" | "openai-responses" | "anthropic" | "gemini" | "ollama" | "dapr", base_url, provider, path, model,
 *   key: reference to a secret (text, or {"$secret": text}), auth: "bearer" | "none" | a header's name, version (anthropic-version),
 *   headers: {name: text | {secret: reference, prefix}}, options: {..}}
 *   base_url is the provider's own by default, and must be given for openai-compatible (vLLM, gateways ...). `provider` names whose originals may
 *   be sent there (default: the wire). `model` goes before the request's. Options:
 *     openai-chat | openai-compatible   max_tokens_field "max_completion_tokens" | "max_tokens"; system_role "developer" | "system";
 *         schema "json_schema" | same, or "structured_outputs" (vLLM), "json_object", "none"; stream_usage true;
 *         replay_reasoning false | true; key_header "x-client-request-id" | "x-request-id"
 *     openai-responses   store false; encrypted_reasoning: default when the request has `reasoning`
 *     dapr               (none) the model names the component; no streams, images, or field for a schema: `extra` has metadata, responseFormat ...
 *     gemini             foreign_signature: sent with calls of other providers
 *
 * REQUEST = {model, system: text | [PART ...], messages: [MESSAGE ...]; all else is optional:
 *   max_tokens, temperature, top_p, top_k, seed, stop: [text ...],
 *   tools: [{name, description, schema, strict, cache} | {raw, provider}], tool_choice: "auto" | "none" | "required" | {name}, parallel: bool,
 *   response: {schema, name, strict} | {json: true},
 *   reasoning: {effort: "none" ... "max", budget_tokens, summary, include: bool},
 *   cache: {auto: bool, ttl, key, name}, metadata: {..}, user, key (default: the task's key; to find a call by at the provider),
 *   background: bool (openai-responses: the answer survives a crash, and is looked for by its id),
 *   extra: {..} merged into the body, deep, and winning;
 *   more: [MESSAGE ...] after the messages; tools_only: [name ...]: of the tools only these are sent}
 *   Instead of messages, tools and (as a list of parts) system, a reference to a conversation may stand (pawl_convo_append, pawl_workflow.h): it
 *   is read from the journal by the attempt, so that a hundred calls on a growing conversation journal each message once.
 *
 * While an answer streams, it is said on channels (`pawl stream`, pawl_watch_output): "text", "reasoning", "refusal", and for each call of a tool
 * "call-0", "call-1" ...: its name, a space, and the text of its arguments as they come. What an attempt said does not stand when its
 * answer begins anew: the channel "anew" then says why ("repair", "endpoint").
 *
 * MESSAGE = {role: "system" | "user" | "assistant" | "tool", parts: [PART ...] | text: text}. An answer's message also has provider, and raw: fields
 *   of the provider's message that no part stands for. All results of one turn stand in one message.
 *
 * PART, by type; each may have cache: true | "5m" | "1h" (a breakpoint after it):
 *   text {text} · image {url} or {data: bytes | base64 text, mime}; detail · reasoning {text} · refusal {text} · other {raw}
 *   tool_call {id, name, arguments: map}; arguments_text = as it was sent, when that differs; arguments_error = why they cannot be read
 *   tool_result {id, name, content: text | [text and image parts] | any value, is_error: bool}
 *   raw is the provider's original, verbatim: signatures, encrypted reasoning, ids. It goes back to that provider and to no other, in the place
 *   of the part and of those after it that it covers. Who changes a part drops its raw.
 *
 * ANSWER = {message, stop, stop_raw, stop_detail, model, id}; stop: "end", "length", "stop_sequence", "tool_calls", "refusal", "filter", "pause",
 *   "context", "malformed", "pending", "canceled", "other"
 * usage = {input, cache_read, cache_write, cache_write_1h, output, reasoning, raw}: tokens; cache_* are parts of input, reasoning of output
 *
 * With pawl_call's .cache_s an answer that the same input had, in whatever run, is this call's, too, and nothing is sent; its usage is then what it
 * once cost. A conversation by reference is the same input when it says the same.
 *
 * It fails with
 *
 *     RateLimited, ModelOverloaded                                    tried again, when the provider says: a durable timer that costs no retry
 *     ProviderError, ProviderTimeout, StreamTruncated, BadModelResponse, ConnectFailed and its like (see "http")      tried again
 *     ContextTooLong, RequestTooLarge                                 not tried again: details.action "shrink"
 *     BudgetExhausted, NotAuthorized                                  the run pauses
 *     ContentFiltered, ModelNotFound, BadModelRequest, BadInput, SecretFailed, EgressDenied, ScrubRefused,
 *     ConvoUnreadable                                                 not tried again
 *     InvalidAnswer                                                   no repair helped; details: problems, text
 *
 * with details {action, status, code, request_id, digest, provider, endpoint, usage, tried}. Of several endpoints the failure that says best
 * what to do next is told.
 *
 * Cost: each attempt tells the ledger what it spent (pawl_task_spend), also when the answer fails its schema, was repaired, or did not come: tokens
 * by class, calls (answers that were paid), and dollars by the price table that pawl_net_options.prices (the command line: $PAWL_PRICES) names:
 *
 *     {"currency": "USD", "prices": [{"model": "gpt-5*", "provider": "openai*", "above_input": 200000, "from": "2026-01-31",
 *       "input": 1.25, "output": 10, "cache_read": 0.125, "cache_write": 1.25, "cache_write_1h": 2, "reasoning": 10}, ...]}
 *
 * in dollars for a million tokens; model, input and output are needed. `*` stands for anything; the first row that fits wins: rows with
 * above_input (for more input tokens than that) and longer names first, and of the same name the newest `from` (the day it counts from, UTC).
 * A class without a price costs what it is a part of. A model that is in no row costs tokens and is shown as "unpriced", not as 0: in a budget
 * it counts as the dollars that the call reserved, and where none were reserved and dollars are limited as all that is left. A model that is
 * free has a row with 0. An answer whose usage is not known, and a request of which nothing was heard, count as no less than what the call reserved.
 *
 * Replay: not for workflow code itself; its result is in the journal, and is not bought again. An attempt whose answer was lost is bought again,
 * since providers have no idempotency keys for it (background excepted); as an unsafe effect it is asked about instead. Its heartbeat says, before
 * the request leaves: {state, digest, endpoint, provider}, then also {id, text: the last of the answer so far}.
 *
 * Owns: the text that the function below gives back is the scope's, or static.
 * Thread: any. Clean as C99 and C++11.
 */
#ifndef PAWL_LLM_H
#define PAWL_LLM_H

#include "pawl_value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Called for every text of a conversation before it leaves for a provider: to take out what must not. Returns the text itself, another one
 * (made in scope, or static), or NULL: the call fails with ScrubRefused. The same text must give the same text: the digest is of what is sent.
 * Not called for tools, images and provider originals. Thread: the engine's network thread; it must return soon. */
typedef const char *(*pawl_llm_scrub_fn)(void *user, pawl_scope *scope, const char *text,
                                         size_t size);

#ifdef __cplusplus
}
#endif
#endif
