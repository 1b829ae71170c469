/*
 * llm_chat_test.c - OpenAI Chat Completions, and the servers that speak it: what is sent, what an answer means, whole and streamed.
 *
 * Not here: errors (llm_failure_test.c), sending (llm_activity_test.c).
 */
#include "llm_rig.h"

#define OPENAI "{'wire':'openai-chat','key':'env:OPENAI_API_KEY'}"
#define VLLM "{'wire':'openai-compatible','provider':'vllm'}"
#define HI "'messages':[{'role':'user','text':'Hi'}]"
#define HI_SENT "'messages':[{'role':'user','content':'Hi'}]"

static const llm_request_case requests[] = {
    {"the smallest", OPENAI, "{'model':'m'," HI "}", false, "/v1/chat/completions",
     "content-type: application/json\naccept: application/json\nauthorization: Bearer +env:OPENAI_API_KEY",
     "{'model':'m'," HI_SENT "}", NULL},
    {"streamed", OPENAI, "{'model':'m'," HI "}", true, NULL, "accept: text/event-stream",
     "{'model':'m'," HI_SENT ",'stream':true,'stream_options':{'include_usage':true}}", NULL},
    {"a system text is the developer's", OPENAI, "{'model':'m','system':'S'," HI "}", false, NULL,
     NULL,
     "{'model':'m','messages':[{'role':'developer','content':'S'},{'role':'user','content':'Hi'}]}",
     NULL},
    {"and the system's elsewhere", VLLM,
     "{'model':'m','system':[{'type':'text','text':'a'},{'type':'text','text':'b'}]," HI "}", false,
     NULL, NULL,
     "{'model':'m','messages':[{'role':'system','content':'a\\nb'},{'role':'user','content':'Hi'}]}",
     NULL},
    {"settings", OPENAI,
     "{'model':'m'," HI
     ",'max_tokens':9,'temperature':0.5,'stop':['x'],'seed':3,'top_k':5,'reasoning':{'effort':'low'}}",
     false, NULL, NULL,
     "{'model':'m'," HI_SENT
     ",'max_completion_tokens':9,'temperature':0.5,'seed':3,'stop':['x'],'reasoning_effort':'low'}",
     NULL},
    {"settings elsewhere", VLLM, "{'model':'m'," HI ",'max_tokens':9,'top_k':5}", false, NULL, NULL,
     "{'model':'m'," HI_SENT ",'max_tokens':9,'top_k':5}", NULL},
    {"tools", OPENAI,
     "{'model':'m'," HI
     ",'tools':[{'name':'f','description':'d','schema':{'type':'object'},'strict':true},{'name':'g'}],"
     "'tool_choice':{'name':'f'},'parallel':false}",
     false, NULL, NULL,
     "{'model':'m'," HI_SENT
     ",'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':{'type':'object'},'strict':true}},"
     "{'type':'function','function':{'name':'g','parameters':{'type':'object','properties':{}}}}],"
     "'tool_choice':{'type':'function','function':{'name':'f'}},'parallel_tool_calls':false}",
     NULL},
    {"a schema", OPENAI, "{'model':'m'," HI ",'response':{'schema':{'type':'object'}}}", false,
     NULL, NULL,
     "{'model':'m'," HI_SENT
     ",'response_format':{'type':'json_schema','json_schema':{'name':'answer','schema':{'type':'object'},'strict':true}}}",
     NULL},
    {"a schema for vLLM", "{'wire':'openai-compatible','options':{'schema':'structured_outputs'}}",
     "{'model':'m'," HI ",'response':{'schema':{'type':'object'}}}", false, NULL, NULL,
     "{'model':'m'," HI_SENT ",'structured_outputs':{'json':{'type':'object'}}}", NULL},
    {"any JSON", OPENAI, "{'model':'m'," HI ",'response':{'json':true}}", false, NULL, NULL,
     "{'model':'m'," HI_SENT ",'response_format':{'type':'json_object'}}", NULL},
    {"extra wins, and is merged deep", VLLM,
     "{'model':'m'," HI
     ",'temperature':1,'extra':{'temperature':0,'min_p':0.1,'stream_options':{'x':1}}}",
     true, NULL, NULL,
     "{'model':'m'," HI_SENT
     ",'stream':true,'stream_options':{'include_usage':true,'x':1},'temperature':0,'min_p':0.1}",
     NULL},
    {"the key for reconciliation", OPENAI, "{'model':'m'," HI ",'key':'run-1/3'}", false, NULL,
     "x-client-request-id: run-1/3", "{'model':'m'," HI_SENT "}", NULL},
    {"own headers, a secret among them",
     "{'wire':'openai-compatible','auth':'api-key','key':'env:K','headers':{'x-a':'b','x-s':{'secret':'env:S','prefix':'p '}}}",
     "{'model':'m'," HI "}", false, NULL, "api-key: +env:K\nx-a: b\nx-s: p +env:S",
     "{'model':'m'," HI_SENT "}", NULL},
    {"no model", OPENAI, "{" HI "}", false, NULL, NULL, NULL, "needs a model"},
    {"no messages", OPENAI, "{'model':'m'}", false, NULL, NULL, NULL, "needs messages"},
    {"a role nobody knows", OPENAI, "{'model':'m','messages':[{'role':'robot','text':'x'}]}", false,
     NULL, NULL, NULL, "role must be"},
    {"a part nobody knows", OPENAI,
     "{'model':'m','messages':[{'role':'user','parts':[{'type':'smell'}]}]}", false, NULL, NULL,
     NULL, "unknown type 'smell'"},
    {"an image that is none", OPENAI,
     "{'model':'m','messages':[{'role':'user','parts':[{'type':'image','data':'<>'}]}]}", false,
     NULL, NULL, NULL, "not base64"},
};

static void a_request_is_written_as_the_provider_wants_it(void **state)
{
    (void)state;
    llm_check_requests(requests, PW_COUNT(requests));
}

static void a_conversation_is_written_message_by_message(void **state)
{
    (void)state;
    static const llm_request_case cases[] = {
        {"images by url and by bytes", OPENAI,
         "{'model':'m','messages':[{'role':'user','parts':[{'type':'text','text':'a'},{'type':'image','url':'http://x/i.png','detail':'low'},"
         "{'type':'image','data':{'$bytes':'iVBORw=='}}]}]}",
         false, NULL, NULL,
         "{'model':'m','messages':[{'role':'user','content':[{'type':'text','text':'a'},"
         "{'type':'image_url','image_url':{'url':'http://x/i.png','detail':'low'}},"
         "{'type':'image_url','image_url':{'url':'data:image/png;base64,iVBORw=='}}]}]}",
         NULL},
        {"calls and their results", OPENAI,
         "{'model':'m','messages':[{'role':'assistant','parts':[{'type':'tool_call','id':'c1','name':'f','arguments':{'a':1}},"
         "{'type':'tool_call','id':'c2','name':'g','arguments':{},'arguments_text':'{ }'}]},"
         "{'role':'tool','parts':[{'type':'tool_result','id':'c1','name':'f','content':'ok'},{'type':'tool_result','id':'c2','content':{'x':[1]}}]}]}",
         false, NULL, NULL,
         "{'model':'m','messages':[{'role':'assistant','content':null,'tool_calls':[{'id':'c1','type':'function','function':"
         "{'name':'f','arguments':'{\\'a\\':1}'}},{'id':'c2','type':'function','function':{'name':'g','arguments':'{ }'}}]},"
         "{'role':'tool','tool_call_id':'c1','content':'ok'},{'role':'tool','tool_call_id':'c2','content':'{\\'x\\':[1]}'}]}",
         NULL},
        {"reasoning goes back to whom it came from", VLLM,
         "{'model':'m','messages':[{'role':'assistant','provider':'vllm','parts':[{'type':'reasoning','text':'hm','field':'reasoning_content'},"
         "{'type':'text','text':'x'}]}]}",
         false, NULL, NULL,
         "{'model':'m','messages':[{'role':'assistant','content':'x','reasoning_content':'hm'}]}",
         NULL},
        {"and to nobody else", VLLM,
         "{'model':'m','messages':[{'role':'assistant','provider':'anthropic','parts':[{'type':'reasoning','text':'hm','raw':{'type':'thinking'}},"
         "{'type':'text','text':'x'}]}]}",
         false, NULL, NULL, "{'model':'m','messages':[{'role':'assistant','content':'x'}]}", NULL},
        {"an original goes back as it was", OPENAI,
         "{'model':'m','messages':[{'role':'assistant','provider':'openai-chat','raw':{'annotations':[1]},'parts':["
         "{'type':'tool_call','id':'c1','name':'f','arguments':{},'raw':{'id':'c1','type':'function','sig':'s','function':{'name':'f','arguments':'{}'}}}]}]}",
         false, NULL, NULL,
         "{'model':'m','messages':[{'role':'assistant','content':null,'annotations':[1],'tool_calls':[{'id':'c1','type':'function','sig':'s',"
         "'function':{'name':'f','arguments':'{}'}}]}]}",
         NULL},
    };
    llm_check_requests(cases, PW_COUNT(cases));
}

static void an_answer_is_read_into_the_neutral_model(void **state)
{
    (void)state;
    static const llm_answer_case cases[] = {
        {"a text with all classes of tokens", OPENAI,
         "{'id':'r1','model':'m-1','choices':[{'index':0,'message':{'role':'assistant','content':'Hello','refusal':null,'annotations':[]},"
         "'finish_reason':'stop'}],'usage':{'prompt_tokens':10,'completion_tokens':5,'total_tokens':15,'prompt_tokens_details':"
         "{'cached_tokens':4,'cache_write_tokens':2},'completion_tokens_details':{'reasoning_tokens':3}}}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'Hello'}],'provider':'openai-chat'},'stop':'end','stop_raw':'stop',"
         "'usage':{'input':10,'cache_read':4,'cache_write':2,'cache_write_1h':0,'output':5,'reasoning':3,'raw':{'prompt_tokens':10,"
         "'completion_tokens':5,'total_tokens':15,'prompt_tokens_details':{'cached_tokens':4,'cache_write_tokens':2},"
         "'completion_tokens_details':{'reasoning_tokens':3}}},'model':'m-1','id':'r1'}",
         NULL},
        {"two calls", OPENAI,
         "{'choices':[{'message':{'role':'assistant','content':null,'tool_calls':[{'id':'a','type':'function','function':{'name':'f',"
         "'arguments':'{\\'x\\':1}'}},{'id':'b','type':'function','function':{'name':'g','arguments':''}}]},'finish_reason':'tool_calls'}]}",
         "{'message':{'role':'assistant','parts':[{'type':'tool_call','id':'a','name':'f','arguments':{'x':1}},"
         "{'type':'tool_call','id':'b','name':'g','arguments':{},'arguments_text':''}],'provider':'openai-chat'},"
         "'stop':'tool_calls','stop_raw':'tool_calls'}",
         NULL},
        {"a server that says stop and means calls; arguments that are no JSON", VLLM,
         "{'choices':[{'message':{'content':'','tool_calls':[{'id':'a','function':{'name':'f','arguments':'{x: 1,}'}},"
         "{'id':'b','function':{'name':'f','arguments':'{\\'x\\':'}}]},'finish_reason':'stop'}]}",
         "{'message':{'role':'assistant','parts':[{'type':'tool_call','id':'a','name':'f','arguments':{'x':1},'repaired':true,'arguments_text':'{x: 1,}'},"
         "{'type':'tool_call','id':'b','name':'f','arguments_error':'the text ends early at line 1, column 6',"
         "'arguments_text':'{\\'x\\':'}],'provider':'vllm'},"
         "'stop':'tool_calls','stop_raw':'stop'}",
         NULL},
        {"reasoning and fields nobody knows", VLLM,
         "{'choices':[{'message':{'role':'assistant','reasoning_content':'hm','content':'x','odd':{'a':1}},'finish_reason':'length'}]}",
         "{'message':{'role':'assistant','parts':[{'type':'reasoning','text':'hm','field':'reasoning_content'},{'type':'text','text':'x'}],"
         "'provider':'vllm','raw':{'odd':{'a':1}}},'stop':'length','stop_raw':'length'}",
         NULL},
        {"a refusal", OPENAI,
         "{'choices':[{'message':{'content':null,'refusal':'No.'},'finish_reason':'stop'}]}",
         "{'message':{'role':'assistant','parts':[{'type':'refusal','text':'No.'}],'provider':'openai-chat'},"
         "'stop':'refusal','stop_raw':'stop'}",
         NULL},
        {"a word nobody knows", OPENAI,
         "{'choices':[{'message':{'content':'x'},'finish_reason':'bored'}]}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'x'}],'provider':'openai-chat'},'stop':'other','stop_raw':'bored'}",
         NULL},
        {"malformed JSON", OPENAI, "{'choices':[{", NULL, "BadModelResponse"},
        {"another value", OPENAI, "[1]", NULL, "BadModelResponse"},
        {"nothing", OPENAI, "", NULL, "BadModelResponse"},
        {"no choices", OPENAI, "{'id':'x'}", NULL, "BadModelResponse"},
        {"choices that are none", OPENAI, "{'choices':{'a':{'message':{}}}}", NULL,
         "BadModelResponse"},
        {"a choice without a message", OPENAI, "{'choices':[{'message':'hello'}]}", NULL,
         "BadModelResponse"},
        {"an error under status 200", OPENAI,
         "{'error':{'message':'no credit','code':'insufficient_quota'}}", NULL, "BudgetExhausted"},
        {"a gateway's error with the status inside", VLLM,
         "{'error':{'message':'upstream','code':529}}", NULL, "ModelOverloaded"},
    };
    llm_check_answers(cases, PW_COUNT(cases));
}

#define CHUNK(delta)                                                      \
    "data: {'id':'r1','model':'m-1','choices':[{'index':0,'delta':" delta \
    ",'finish_reason':null}]}\n\n"
#define FINISH(word) \
    "data: {'id':'r1','choices':[{'index':0,'delta':{},'finish_reason':'" word "'}]}\n\n"
#define USAGE "data: {'id':'r1','choices':[],'usage':{'prompt_tokens':7,'completion_tokens':2}}\n\n"
#define USAGE_READ \
    "'usage':{'input':7,'cache_read':0,'cache_write':0,'cache_write_1h':0,'output':2,'reasoning':0,'raw':{'prompt_tokens':7,'completion_tokens':2}}"
#define DONE "data: [DONE]\n\n"

static void a_stream_gives_the_same_answer_however_it_is_cut(void **state)
{
    (void)state;
    static const llm_stream_case cases[] = {
        {"a text", OPENAI,
         CHUNK("{'role':'assistant','content':''}") CHUNK("{'content':'H\xc3\xa9'}")
             CHUNK("{'content':'llo \\ud83d\\ude00'}") FINISH("stop") USAGE DONE,
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'H\xc3\xa9llo \\ud83d\\ude00'}],'provider':'openai-chat'},'stop':'end',"
         "'stop_raw':'stop'," USAGE_READ ",'model':'m-1','id':'r1'}",
         NULL, "T:H\xc3\xa9|T:llo \xf0\x9f\x98\x80|", "'finish_reason':'stop'}]}"},
        {"parallel calls, their pieces mixed", OPENAI,
         CHUNK(
             "{'tool_calls':[{'index':0,'id':'a','type':'function','function':{'name':'f','arguments':''}}]}")
             CHUNK(
                 "{'tool_calls':[{'index':1,'id':'b','type':'function','function':{'name':'g','arguments':'{'}}]}")
                 CHUNK(
                     "{'tool_calls':[{'index':0,'function':{'arguments':'{\\'x\\':'}},{'index':1,'function':{'arguments':'}'}}]}")
                     CHUNK("{'tool_calls':[{'index':0,'function':{'arguments':'1}'}}]}")
                         FINISH("tool_calls") DONE,
         "{'message':{'role':'assistant','parts':[{'type':'tool_call','id':'a','name':'f','arguments':{'x':1}},"
         "{'type':'tool_call','id':'b','name':'g','arguments':{}}],'provider':'openai-chat'},'stop':'tool_calls','stop_raw':'tool_calls',"
         "'model':'m-1','id':'r1'}",
         NULL, "C0 a f:|C1 b g:{|C0 a f:{'x':|C1 b g:}|C0 a f:1}|",
         "'finish_reason':'tool_calls'}]}"},
        {"calls that all have the number 0", VLLM,
         CHUNK("{'tool_calls':[{'index':0,'id':'a','function':{'name':'f','arguments':'{}'}}]}")
             CHUNK("{'tool_calls':[{'index':0,'id':'b','function':{'name':'f','arguments':'{}'}}]}")
                 FINISH("stop"),
         "{'message':{'role':'assistant','parts':[{'type':'tool_call','id':'a','name':'f','arguments':{}},"
         "{'type':'tool_call','id':'b','name':'f','arguments':{}}],'provider':'vllm'},'stop':'tool_calls','stop_raw':'stop','model':'m-1','id':'r1'}",
         NULL, NULL, "'finish_reason':'stop'}]}"},
        {"reasoning first; CRLF, comments and no last empty line", VLLM,
         ": hello\r\n\r\n" CHUNK("{'reasoning_content':'h'}") CHUNK("{'reasoning_content':'m'}") CHUNK(
             "{'content':'x'}") "data: {'choices':[{'index':0,'delta':{},'finish_reason':'length'}]}\r\n",
         "{'message':{'role':'assistant','parts':[{'type':'reasoning','text':'hm','field':'reasoning_content'},{'type':'text','text':'x'}],"
         "'provider':'vllm'},'stop':'length','stop_raw':'length','model':'m-1','id':'r1'}",
         NULL, "R:h|R:m|T:x|", "'finish_reason':'length'}]}"},
        {"an error in the middle", VLLM,
         CHUNK("{'content':'x'}") "data: {'error':{'message':'slow down','code':429}}\n\n", NULL,
         "RateLimited", "T:x|", NULL},
        {"malformed JSON in the middle", OPENAI,
         CHUNK("{'content':'x'}") "data: {'choices':[}\n\n" FINISH("stop") DONE, NULL,
         "BadModelResponse", "T:x|", NULL},
        {"an end that never came", OPENAI, CHUNK("{'content':'x'}") DONE, NULL, "StreamTruncated",
         "T:x|", NULL},
        {"nothing at all", OPENAI, "", NULL, "StreamTruncated", "", NULL},
    };
    llm_check_streams(cases, PW_COUNT(cases));
}

/* [L3] */
static void a_stream_that_does_not_end_is_given_up(void **state)
{
    (void)state;
    static const uint8_t salt[PW_DIGEST_SIZE];
    pawl_scope *scope = pawl_scope_new();
    const pw_llm_endpoint e = llm_endpoint(scope, OPENAI);
    const char *chunk = llm_text(
        scope,
        CHUNK(
            "{'content':'0123456789012345678901234567890123456789012345678901234567890123456789'}"));
    pw_llm_stream *s = pw_llm_stream_open(&e, salt, NULL, NULL);
    pawl_status st = PAWL_OK;
    size_t fed = 0;
    while (st == PAWL_OK && fed < (256u << 20)) {
        st = pw_llm_stream_put(s, chunk, strlen(chunk));
        fed += strlen(chunk);
    }
    assert_int_equal(st, PAWL_FAILED);
    assert_int_equal(pw_llm_stream_failure(s)->class, PW_LLM_BAD_RESPONSE);
    assert_true(pw_llm_stream_bytes(s) < (40u << 20));
    assert_true(pw_llm_stream_done(s));
    pw_llm_stream_close(s);
    pawl_scope_free(scope);
}

/* [L1] */
static void an_answer_can_be_sent_back(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *answer = llm_answer(
        scope, VLLM,
        "{'choices':[{'message':{'role':'assistant','reasoning_content':'hm','content':'x','odd':1,'tool_calls':[{'id':'a','type':'function','more':2,"
        "'function':{'name':'f','arguments':'{ }'}}]},'finish_reason':'stop'}]}");
    const pawl_value *request =
        pawl_build(scope, "{model: 'm', messages: [%p]}", pawl_v(pawl_get(answer, "message")));
    assert_string_equal(
        llm_body(scope, VLLM, request),
        llm_text(
            scope,
            "{'model':'m','messages':[{'role':'assistant','content':'x','reasoning_content':'hm','odd':1,'tool_calls':"
            "[{'id':'a','type':'function','more':2,'function':{'name':'f','arguments':'{ }'}}]}]}"));
    assert_string_equal(
        llm_body(scope, "{'wire':'openai-compatible','provider':'other'}", request),
        llm_text(scope,
                 "{'model':'m','messages':[{'role':'assistant','content':'x','tool_calls':"
                 "[{'id':'a','type':'function','function':{'name':'f','arguments':'{ }'}}]}]}"));
    pawl_scope_free(scope);
}

static void a_call_without_an_id_gets_one_that_no_other_turn_has(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const char *body = llm_text(
        scope, "{'choices':[{'message':{'tool_calls':[{'function':{'name':'f','arguments':'{}'}},"
               "{'function':{'name':'f','arguments':'{}'}}]},'finish_reason':'stop'}]}");
    const pw_llm_endpoint e = llm_endpoint(scope, VLLM);
    const char *ids[4];
    for (size_t i = 0; i < 2; i++) {
        const uint8_t salt[PW_DIGEST_SIZE] = {(uint8_t)i};
        const pawl_value *answer = NULL;
        pw_llm_failure f;
        assert_int_equal(pw_llm_decode(&e, scope, (pw_view){(const uint8_t *)body, strlen(body)},
                                       salt, &answer, &f),
                         PAWL_OK);
        for (size_t k = 0; k < 2; k++) {
            const pawl_value *call = pawl_at(pawl_get(answer, "message.parts"), k);
            assert_true(pawl_bool(call, "minted", false));
            ids[2 * i + k] = pawl_str(call, "id", "");
            for (size_t j = 0; j < 2 * i + k; j++) {
                assert_string_not_equal(ids[j], ids[2 * i + k]);
            }
        }
    }
    pawl_scope_free(scope);
}

static void digest_of(pawl_scope *scope, const char *endpoint, const char *request,
                      uint8_t ret[PW_DIGEST_SIZE])
{
    const pw_llm_endpoint e = llm_endpoint(scope, endpoint);
    pw_llm_call call;
    pawl_error err;
    assert_int_equal(
        pw_llm_encode(&e, &(pw_llm_ask){.scope = scope, .request = llm_json(scope, request)}, &call,
                      &err),
        PAWL_OK);
    memcpy(ret, call.digest, PW_DIGEST_SIZE);
    pw_llm_call_deinit(&call);
}

static void the_digest_is_of_what_determines_the_answer(void **state)
{
    (void)state;
    static const char *const same[] = {"{'model':'m'," HI "}", "{" HI ",'model':'m'}",
                                       "{'model':'m'," HI
                                       ",'metadata':{'a':'b'},'key':'k','cache':{'key':'c'}}"};
    static const char *const other[] = {"{'model':'n'," HI "}",
                                        "{'model':'m'," HI ",'temperature':1}",
                                        "{'model':'m','system':'s'," HI "}",
                                        "{'model':'m','messages':[{'role':'user','text':'Ho'}]}",
                                        "{'model':'m'," HI ",'extra':{'a':1}}"};
    pawl_scope *scope = pawl_scope_new();
    uint8_t first[PW_DIGEST_SIZE], next[PW_DIGEST_SIZE];
    digest_of(scope, VLLM, same[0], first);
    for (size_t i = 0; i < PW_COUNT(same); i++) {
        digest_of(scope, VLLM, same[i], next);
        assert_memory_equal(first, next, sizeof first);
    }
    for (size_t i = 0; i < PW_COUNT(other); i++) {
        digest_of(scope, VLLM, other[i], next);
        assert_memory_not_equal(first, next, sizeof first);
    }
    digest_of(scope, OPENAI, same[0], next);
    assert_memory_not_equal(first, next, sizeof first);
    pawl_scope_free(scope);
}

static void messages_that_were_kept_ready_give_the_same_body_and_digest(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pw_llm_endpoint e = llm_endpoint(scope, OPENAI);
    const pawl_value *messages = llm_json(
        scope,
        "[{'role':'user','text':'a'},{'role':'assistant','text':'b'},{'role':'user','text':'c'}]");
    pw_buf ready[2] = {PW_BUF_INIT, PW_BUF_INIT};
    pawl_error err;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pw_llm_encode_message(&e, pawl_at(messages, i), &ready[i], &err), PAWL_OK);
    }
    const pw_view views[] = {{ready[0].data, ready[0].size}, {ready[1].data, ready[1].size}};
    pw_llm_call a, b;
    const pw_llm_ask all = {.scope = scope,
                            .request =
                                pawl_build(scope, "{model: 'm', messages: %p}", pawl_v(messages))};
    const pw_llm_ask last = {
        .scope = scope,
        .request = llm_json(scope, "{'model':'m','messages':[{'role':'user','text':'c'}]}"),
        .ready = views,
        .ready_len = 2};
    assert_int_equal(pw_llm_encode(&e, &all, &a, &err), PAWL_OK);
    assert_int_equal(pw_llm_encode(&e, &last, &b, &err), PAWL_OK);
    assert_string_equal(pw_buf_cstr(&a.body), pw_buf_cstr(&b.body));
    assert_memory_equal(a.digest, b.digest, sizeof a.digest);
    pw_llm_call_deinit(&a);
    pw_llm_call_deinit(&b);
    pw_buf_deinit(&ready[0]);
    pw_buf_deinit(&ready[1]);
    pawl_scope_free(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_the_provider_wants_it),
        cmocka_unit_test(a_conversation_is_written_message_by_message),
        cmocka_unit_test(an_answer_is_read_into_the_neutral_model),
        cmocka_unit_test(a_stream_gives_the_same_answer_however_it_is_cut),
        cmocka_unit_test(a_stream_that_does_not_end_is_given_up),
        cmocka_unit_test(an_answer_can_be_sent_back),
        cmocka_unit_test(a_call_without_an_id_gets_one_that_no_other_turn_has),
        cmocka_unit_test(the_digest_is_of_what_determines_the_answer),
        cmocka_unit_test(messages_that_were_kept_ready_give_the_same_body_and_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
