/*
 * pawl_net.h - the network activities: a library of its own (libpawl_net), so that the core needs no curl.
 *
 *     pawl_net_options o = {.struct_size = sizeof o, .egress = (const char *const[]){"api.example.com:443", NULL}};
 *     pawl_net_register(engine, &o, &err);          // before pawl_resume_all
 *
 *     pawl_call(w, "http", .input = pawl_json(w, "{url: %s, json: {id: %d}, headers: {authorization: {$secret: %s, prefix: %s}}}",
 *                                             "https://api.example.com/orders", 7, "env:PAWL_SECRET_ORDERS", "Bearer "));
 *
 * The activity "http" takes
 *
 *     url                  http or https; with "query": {name: text | number | bool | [..]} added
 *     method               default GET, or POST when there is a body
 *     headers              {name: text | [..]}
 *     auth                 {bearer: text} or {basic: {user, password}}
 *     json | text | bytes | form     the body, with its content type unless headers say one; form: {name: text | [..]}
 *     ok                   [statuses] that are results, or "any"; default: 200 to 299, and 3xx that are not followed
 *     retry                [statuses] worth another attempt; default: 408 425 429 500 502 503 504
 *     retry_headers        {name: text | true}: a status that is no result is worth another attempt when a header of the response says that text, or
 *                          is there at all; goes before `retry` and x-should-retry
 *     as                   how the body of the response stands in the result: "auto" (default), "json", "text", "bytes"; "events": a stream of
 *                          server-sent events, as [{event, data, id}], each also said as a line of JSON on the channel "events" while it comes
 *     until, max_events    of "events": {event: text} or {data: text}, the last that is wanted; how many at most: then the stream is left
 *     idempotency_header   carries the task's key with everything but GET, HEAD and OPTIONS; default "Idempotency-Key", "" = none
 *     redirects            how many are followed; default 5
 *     max_bytes            of the body of the response, decompressed; default 16 MiB, at most 64 MiB
 *     timeout_s connect_timeout_s first_byte_timeout_s idle_timeout_s      default 600, 10, 120, 60
 *     compression          false = does not ask for a compressed response
 *     version              "1.1" or "2" (without negotiation); default: negotiated
 *     proxy                http://host:port, or "" = none; default: the option below
 *     tls                  {ca, cert, key}: paths of PEM files
 *
 * and gives {status, headers: {name: text, "set-cookie": [..]}, body}. It fails with RateLimited (429), HttpStatus (details: status, headers,
 * the first 4 KiB of the body), BadInput, BadBody, SecretFailed, or with how the connection ended (EgressDenied, NameNotFound, ConnectFailed,
 * TlsFailed, ConnectTimeout, ConnectionCut, ResponseTooLarge ...). A 429 or 503 that says when to come again waits so long, durably, and
 * burns no attempt. An unsafe effect that was sent and whose answer never came is asked about; one that was not sent is tried again.
 *
 * The activity "mcp" calls a tool of an MCP server (Model Context Protocol; 2026-07-28, and 2024-11-05 to 2025-11-25). It takes
 *
 *     server               {url, headers, auth: {bearer | oauth}} for Streamable HTTP, or {command: [program, argument ..], env: {name: text}, cwd} for
 *                          a program; "era": "auto" (default), "modern" or "legacy"
 *     server.auth.oauth    how a token is got when the server wants one (OAuth 2.1, with PKCE): client_id, client_secret and the issuer that they
 *                          are for; or client_metadata_url, a document of yours; or nothing, and the client registers itself. grant:
 *                          "authorization_code" (default: the authorization server must lead back to redirect_uri at once, nobody is shown a
 *                          page) or "client_credentials"; scope: more than the server asks for. Tokens are kept in memory alone
 *     tool, arguments      what is called; or "method" and "params" instead: tools/list (all pages), resources/list, resources/read,
 *                          resources/templates/list, prompts/list, prompts/get, completion/complete
 *     elicit               what becomes of a question of the server: "ask" (default), "decline", "defaults" (of its form)
 *     answers, resume      after a question: {key: {action, content}}, and details.resume as it was
 *     resend               a call whose answer was lost is sent again: "annotated" (default: if the tool says that it reads only or is idempotent),
 *                          "always", "never"
 *     check                true: a result with isError is a failure, ToolError
 *     timeout_s            of one request; default 600, or as long as the attempt has. A task has as long as the attempt
 *     idle_timeout_s       silence that ends it; default: any
 *     meta                 further _meta of the call. "dev.pawl/idempotency-key" there is the task's key, the same for every attempt, unless
 *                          you give another: a server that knows it carries a call out once
 *
 * and gives the tool's {content, structuredContent, isError, server: {name, version, era, protocol}}. A call that the server makes a task of is
 * followed to its end, also by a later attempt, also after a crash. A question that nobody answered is the failure InputRequired, with
 * details {questions: {key: {method, params}}, resume}: ask whom you want, and call again with the answers.
 *
 * It fails with BadInput, UnknownTool, InputRequired, OutcomeUnknown (sent, no answer, not to be sent twice: an unsafe effect is asked about),
 * BadParams, ServerError, NotSupported, TaskFailed, TaskCanceled, TaskLost, BadOutput (not what the tool's
 * outputSchema promises; details.result has it), Unauthorized, RateLimited, HttpStatus, ServerExited (says how, and
 * the last line of stderr), BadAnswer, UnsupportedVersion, Timeout, or as "http" does.
 *
 *     pawl_call(w, "mcp", .input = pawl_json(w, "{server: {command: [%s, %s]}, tool: %s, arguments: {path: %s}}",
 *                                            "mcp-server-filesystem", "/srv", "read_file", "/srv/a.txt"));
 *
 * Secrets: wherever a text stands in url, query, headers, auth, proxy or body, {"$secret": "env:NAME" | "file:/path" | "command:..."} may stand,
 * with "prefix" and "suffix" if need be; with "mcp" in headers, auth, env and arguments. The value is read when the attempt runs, never
 * journaled, and replaced by [redacted] in results and errors. Which references are allowed, and for which hosts, is the option below.
 *
 * The activity "llm" has its own manual: pawl_llm.h.
 *
 * Owns: nothing is kept of what is handed in.
 * Replay: the functions are the host's; a workflow calls "http" or "mcp" (pawl_call), and what they gave is in its journal.
 * Thread: any. Clean as C99 and C++11.
 */
#ifndef PAWL_NET_H
#define PAWL_NET_H

#include "pawl.h"
#include "pawl_llm.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero is a good default. Everything is copied. */
typedef struct pawl_net_options {
    size_t struct_size; /**< sizeof(pawl_net_options) */
    const char *const *
        egress; /**< what may be reached, NULL-terminated: "api.example.com:443", "*.example.com", "10.0.0.0/8", "[::1]:8080";
                                     NULL = every public address. Loopback, private, link-local and metadata addresses only when an address
                                     rule names them */
    const char *const *
        secrets; /**< references that may be used, NULL-terminated: "env:NAME", a last * matches the rest; with "=>host" for that
                                     host only ("env:KEY=>api.example.com", "=>*.example.com"); NULL = "env:PAWL_SECRET_*" */
    const char *
        proxy; /**< for every request that names none, not under the egress rules; NULL = none: the environment is not asked */
    const char *ca_file;   /**< PEM; NULL = the system's */
    uint32_t requests_max; /**< under way at a time; 0 = 4096, fewer where descriptors are scarce */
    pawl_llm_scrub_fn llm_scrub; /**< of "llm": over every text before it leaves; NULL = none */
    void *llm_scrub_user;
    const char *
        prices; /**< of "llm": the file of a price table (pawl_llm.h); read here, once; NULL = none: costs are tokens only */
} pawl_net_options;

/** Starts the engine's network threads and registers "http", "llm" (pawl_llm.h) and "mcp". They end when the engine is closed. options may be NULL.
 * Errors: EXISTS, INVALID (names the rule, or the row of the price table), PARSE (the table is no JSON), LIMIT, NOMEM, UNSUPPORTED (curl
 * without TLS), ABI (libpawl is of another version). */
PAWL_API PAWL_MUST_USE pawl_status pawl_net_register(pawl_engine *engine,
                                                     const pawl_net_options *options,
                                                     pawl_error *err);

/** The same for a worker process: registers them at a module's registrar (pawl_module.h), for `pawl worker --net` and programs like it. What is
 * read then is read there: environment, files and commands of secret references are those of the worker, and the engine's process never has
 * the values. A conversation that "llm" names is read from the journal's file, so that worker is on the same machine. Errors: as above. */
struct pawl_module_registrar;
PAWL_API PAWL_MUST_USE pawl_status pawl_net_register_worker(struct pawl_module_registrar *reg,
                                                            const pawl_net_options *options,
                                                            pawl_error *err);

#ifdef __cplusplus
}
#endif
#endif
