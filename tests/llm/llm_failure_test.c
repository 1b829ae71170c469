/*
 * llm_failure_test.c - what providers' errors mean: class, whether to try again, and when. Each row is an error as the provider sends it.
 *
 * Not here: errors inside streams and under status 200 (the wires' own tests).
 */
#include "llm_rig.h"

#include <stdlib.h>

#include "sdk/base/limits.h"

#define O "{'wire':'openai-chat'}"
#define A "{'wire':'anthropic'}"
#define G "{'wire':'gemini'}"
#define NOW_MS INT64_C(1795253400000) /* 2026-11-21T09:30:00Z */

typedef struct failure_case {
    const char *name;
    const char *endpoint;
    int status;
    const char *headers; /* "name: value", joined by LF */
    const char *body;
    const char *type;
    bool retryable;
    int64_t after_ms;
} failure_case;

static size_t headers_of(pawl_scope *scope, const char *lines, pw_llm_header *ret)
{
    char *text = pawl_scope_alloc(scope, strlen(lines) + 1);
    char *rest = NULL;
    size_t len = 0;
    assert_non_null(text);
    memcpy(text, lines, strlen(lines) + 1);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *colon = strstr(line, ": ");
        assert_non_null(colon);
        *colon = '\0';
        ret[len++] = (pw_llm_header){.name = line, .value = colon + 2};
    }
    return len;
}

static void check(const failure_case *c, pw_llm_failure *ret)
{
    pawl_scope *scope = pawl_scope_new();
    const pw_llm_endpoint e = llm_endpoint(scope, c->endpoint);
    pw_llm_header headers[16];
    const char *body = llm_text(scope, c->body);
    const pw_llm_reply reply = {.status = c->status,
                                .headers = headers,
                                .headers_len = headers_of(scope, c->headers, headers),
                                .body = body,
                                .body_size = strlen(body),
                                .retry_after_ms = -1,
                                .now_ms = NOW_MS};
    pw_llm_failure_of(&e, &reply, ret);
    if (strcmp(pw_llm_class_type(ret->class), c->type) != 0 || ret->retryable != c->retryable ||
        ret->retry_after_ms != c->after_ms) {
        fail_msg("%s: %s, retryable %d, after %lld ms; wanted %s, %d, %lld", c->name,
                 pw_llm_class_type(ret->class), ret->retryable, (long long)ret->retry_after_ms,
                 c->type, c->retryable, (long long)c->after_ms);
    }
    assert_true(ret->message[0] != '\0');
    pawl_scope_free(scope);
}

static void check_all(const failure_case *cases, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        pw_llm_failure f;
        check(&cases[i], &f);
    }
}

/* [L4] */
static void money_is_never_a_matter_of_waiting(void **state)
{
    (void)state;
    static const failure_case cases[] = {
        {"OpenAI: quota", O, 429, "retry-after: 1\nx-should-retry: true",
         "{'error':{'message':'You exceeded your current quota','type':'insufficient_quota','param':null,'code':'insufficient_quota'}}",
         "BudgetExhausted", false, 1000},
        {"OpenAI: hard limit", O, 400, "",
         "{'error':{'message':'x','code':'billing_hard_limit_reached'}}", "BudgetExhausted", false,
         -1},
        {"Anthropic: billing", A, 402, "",
         "{'type':'error','error':{'type':'billing_error','message':'x'},'request_id':'r'}",
         "BudgetExhausted", false, -1},
        {"Anthropic: an enforced limit", A, 429, "retry-after: 3600",
         "{'type':'error','error':{'type':'rate_limit_error','message':'x','details':{'error_code':'enforced_spend_limit_reached'}}}",
         "BudgetExhausted", false, 3600000},
        {"Gemini: the day's quota", G, 429, "",
         "{'error':{'code':429,'status':'RESOURCE_EXHAUSTED','message':'x','details':[{'@type':'QuotaFailure','violations':[{'quotaId':"
         "'GenerateRequestsPerDayPerProjectPerModel-FreeTier'}]},{'@type':'RetryInfo','retryDelay':'40s'}]}}",
         "BudgetExhausted", false, 40000},
        {"a gateway: 402 without a word", O, 402, "", "", "BudgetExhausted", false, -1},
        {"the words alone", O, 400, "",
         "{'error':{'message':'Your Credit Balance is too low to access the API'}}",
         "BudgetExhausted", false, -1},
    };
    check_all(cases, PW_COUNT(cases));
    assert_int_equal(pw_llm_class_action(PW_LLM_MONEY), PW_LLM_PAUSE);
}

static void an_error_has_the_class_of_its_words_and_then_of_its_status(void **state)
{
    (void)state;
    static const failure_case cases[] = {
        {"rate", O, 429, "",
         "{'error':{'message':'Rate limit reached','type':'requests','code':'rate_limit_exceeded'}}",
         "RateLimited", true, -1},
        {"too long", O, 400, "",
         "{'error':{'message':'This model\\u0027s maximum context length is 8192 tokens','code':'context_length_exceeded'}}",
         "ContextTooLong", false, -1},
        {"too long, said by vLLM", O, 400, "",
         "{'object':'error','message':'maximum context length is 8','type':'BadRequestError','code':400}",
         "ContextTooLong", false, -1},
        {"a rate of a context window is a rate", O, 429, "",
         "{'error':{'message':'context window tokens per minute'}}", "RateLimited", true, -1},
        {"too large", O, 413, "", "<html>nginx</html>", "RequestTooLarge", false, -1},
        {"a key", O, 401, "", "{'error':{'message':'Incorrect API key','code':'invalid_api_key'}}",
         "NotAuthorized", false, -1},
        {"a model", O, 404, "", "{'error':{'message':'no','code':'model_not_found'}}",
         "ModelNotFound", false, -1},
        {"a request", O, 422, "", "{'detail':[{'loc':['body'],'msg':'x'}]}", "BadModelRequest",
         false, -1},
        {"the filter", O, 400, "", "{'error':{'message':'x','code':'content_filter'}}",
         "ContentFiltered", false, -1},
        {"Anthropic: overloaded", A, 529, "x-should-retry: true",
         "{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'}}",
         "ModelOverloaded", true, -1},
        {"Anthropic: a key", A, 401, "",
         "{'type':'error','error':{'type':'authentication_error','message':'invalid x-api-key'}}",
         "NotAuthorized", false, -1},
        {"Anthropic: too long", A, 400, "",
         "{'type':'error','error':{'type':'invalid_request_error','message':'prompt is too long: 9 tokens > 8'}}",
         "ContextTooLong", false, -1},
        {"Anthropic: too large", A, 413, "",
         "{'type':'error','error':{'type':'request_too_large','message':'x'}}", "RequestTooLarge",
         false, -1},
        {"Anthropic: a request", A, 400, "",
         "{'type':'error','error':{'type':'invalid_request_error','message':'max_tokens: required'}}",
         "BadModelRequest", false, -1},
        {"Gemini: a rate", G, 429, "",
         "[{'error':{'code':429,'status':'RESOURCE_EXHAUSTED','message':'x','details':[{'violations':[{'quotaId':'PerMinute'}]},{'retryDelay':'2s'}]}}]",
         "RateLimited", true, 2000},
        {"Gemini: a key", G, 400, "",
         "{'error':{'code':400,'status':'INVALID_ARGUMENT','message':'x','details':[{'reason':'API_KEY_INVALID'}]}}",
         "NotAuthorized", false, -1},
        {"Gemini: overload", G, 503, "",
         "{'error':{'code':503,'status':'UNAVAILABLE','message':'x'}}", "ModelOverloaded", true,
         -1},
        {"Ollama: no such model", "{'wire':'ollama'}", 404, "",
         "{'error':'model \\u0027x\\u0027 not found'}", "ModelNotFound", false, -1},
        {"Ollama: busy", "{'wire':'ollama'}", 503, "", "{'error':'server busy, please try again'}",
         "ModelOverloaded", true, -1},
        {"a server", O, 500, "", "{'error':{'message':'x','type':'server_error'}}", "ProviderError",
         true, -1},
        {"overload", O, 503, "", "{'error':{'message':'x','code':'server_overloaded'}}",
         "ModelOverloaded", true, -1},
        {"529", O, 529, "", "", "ModelOverloaded", true, -1},
        {"a proxy's page", O, 502, "", "<html><body>Bad Gateway</body></html>", "ProviderError",
         true, -1},
        {"a timeout", O, 504, "", "", "ProviderTimeout", true, -1},
        {"the provider says no", O, 500, "x-should-retry: false", "{}", "ProviderError", false, -1},
        {"the provider says yes", O, 400, "x-should-retry: true", "{}", "BadModelRequest", true,
         -1},
        {"a status that is none", O, 299, "", "{}", "BadModelResponse", true, -1},
    };
    check_all(cases, PW_COUNT(cases));
}

static void every_way_to_say_when_is_understood(void **state)
{
    (void)state;
    static const failure_case cases[] = {
        {"seconds", O, 429, "retry-after: 7", "", "RateLimited", true, 7000},
        {"fractions", O, 429, "Retry-After: 1.5", "", "RateLimited", true, 1500},
        {"milliseconds win", O, 429, "retry-after: 7\nretry-after-ms: 250.2", "", "RateLimited",
         true, 251},
        {"a limit used up", O, 429,
         "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 6m0s\nx-ratelimit-remaining-requests: 0\n"
         "x-ratelimit-reset-requests: 120ms",
         "", "RateLimited", true, 360000},
        {"a limit not used up", O, 429,
         "x-ratelimit-remaining-tokens: 5\nx-ratelimit-reset-tokens: 6m0s", "", "RateLimited", true,
         -1},
        {"a moment", O, 429,
         "anthropic-ratelimit-tokens-remaining: 0\nanthropic-ratelimit-tokens-reset: 2026-11-21T09:30:05Z",
         "", "RateLimited", true, 5000},
        {"a moment elsewhere", O, 429,
         "anthropic-ratelimit-tokens-remaining: 0\nanthropic-ratelimit-tokens-reset: 2026-11-21T10:30:05.5+01:00",
         "", "RateLimited", true, 5000},
        {"a moment that has gone", O, 429,
         "anthropic-ratelimit-tokens-remaining: 0\nanthropic-ratelimit-tokens-reset: 2020-01-01T00:00:00Z",
         "", "RateLimited", true, 0},
        {"in the body", O, 429, "",
         "{'error':{'details':[{'@type':'x'},{'@type':'RetryInfo','retryDelay':'34.5s'}]}}",
         "RateLimited", true, 34500},
        {"nonsense", O, 429, "retry-after: soon\nretry-after-ms: -5", "", "RateLimited", true, -1},
        {"forever", O, 429, "retry-after: 99999999999999", "", "RateLimited", true,
         PW_RETRY_AFTER_MS_MAX},
    };
    check_all(cases, PW_COUNT(cases));
}

static void what_the_provider_said_is_kept_for_people(void **state)
{
    (void)state;
    static const failure_case c = {
        "kept",
        O,
        429,
        "x-request-id: req_9\nretry-after: 0",
        "{'error':{'message':'Slow\\ndown','code':'rate_limit_exceeded'}}",
        "RateLimited",
        true,
        0};
    pw_llm_failure f;
    check(&c, &f);
    assert_string_equal(f.message, "Slow down");
    assert_string_equal(f.code, "rate_limit_exceeded");
    assert_string_equal(f.request_id, "req_9");
    assert_int_equal(f.status, 429);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(money_is_never_a_matter_of_waiting),
        cmocka_unit_test(an_error_has_the_class_of_its_words_and_then_of_its_status),
        cmocka_unit_test(every_way_to_say_when_is_understood),
        cmocka_unit_test(what_the_provider_said_is_kept_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
