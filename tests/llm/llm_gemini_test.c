/*
 * llm_gemini_test.c - Gemini generateContent: what is sent, what an answer means, whole and streamed.
 *
 * Not here: errors (llm_failure_test.c), sending (llm_activity_test.c).
 */
#include "llm_rig.h"

#define GEMINI "{'wire':'gemini','key':'env:GEMINI_API_KEY'}"
#define HI "'messages':[{'role':'user','text':'Hi'}]"
#define HI_SENT "'contents':[{'role':'user','parts':[{'text':'Hi'}]}]"

static void a_request_is_written_as_the_provider_wants_it(void **state)
{
    (void)state;
    static const llm_request_case cases[] = {
        {"the smallest", GEMINI, "{'model':'gemini-3'," HI "}", false,
         "/v1beta/models/gemini-3:generateContent", "x-goog-api-key: +env:GEMINI_API_KEY",
         "{" HI_SENT "}", NULL},
        {"streamed; a model with its prefix, and a name that must be encoded", GEMINI,
         "{'model':'models/a/b?c'," HI "}", true,
         "/v1beta/models/a%2Fb%3Fc:streamGenerateContent?alt=sse", "accept: text/event-stream",
         "{" HI_SENT "}", NULL},
        {"an own path", "{'wire':'gemini','path':'/v1/projects/p/models/{model}'}",
         "{'model':'m'," HI "}", false, "/v1/projects/p/models/m:generateContent", NULL,
         "{" HI_SENT "}", NULL},
        {"system, settings and a schema", GEMINI,
         "{'model':'m','system':'S'," HI
         ",'max_tokens':9,'temperature':0.5,'top_k':5,'stop':['x'],'response':{'schema':{'type':'object'}},"
         "'reasoning':{'effort':'low','include':true},'cache':{'name':'cachedContents/1'}}",
         false, NULL, NULL,
         "{'systemInstruction':{'parts':[{'text':'S'}]}," HI_SENT
         ",'generationConfig':{'maxOutputTokens':9,'temperature':0.5,'topK':5,"
         "'stopSequences':['x'],'responseMimeType':'application/json','responseJsonSchema':{'type':'object'},"
         "'thinkingConfig':{'thinkingLevel':'low','includeThoughts':true}},'cachedContent':'cachedContents/1'}",
         NULL},
        {"tools", GEMINI,
         "{'model':'m'," HI
         ",'tools':[{'name':'f','description':'d','schema':{'type':'object'}},{'raw':{'googleSearch':{}}},{'name':'g'}],"
         "'tool_choice':{'name':'f'}}",
         false, NULL, NULL,
         "{" HI_SENT
         ",'tools':[{'functionDeclarations':[{'name':'f','description':'d','parametersJsonSchema':{'type':'object'}},{'name':'g'}]},"
         "{'googleSearch':{}}],'toolConfig':{'functionCallingConfig':{'mode':'ANY','allowedFunctionNames':['f']}}}",
         NULL},
        {"no thoughts, no tools", GEMINI,
         "{'model':'m'," HI ",'tool_choice':'none','reasoning':{'effort':'none'}}", false, NULL,
         NULL,
         "{" HI_SENT
         ",'toolConfig':{'functionCallingConfig':{'mode':'NONE'}},'generationConfig':{'thinkingConfig':{'thinkingBudget':0}}}",
         NULL},
        {"a conversation", GEMINI,
         "{'model':'m','messages':[{'role':'user','parts':[{'type':'image','data':'iVBORw=='},{'type':'image','url':'gs://x','mime':'image/jpeg'}]},"
         "{'role':'assistant','provider':'anthropic','parts':[{'type':'reasoning','text':'hm','raw':{'type':'thinking'}},{'type':'text','text':'b'},"
         "{'type':'tool_call','id':'c','name':'f','arguments':{'x':1}},{'type':'tool_call','id':'pawl_12','minted':true,'name':'g','arguments':{}}]},"
         "{'role':'tool','parts':[{'type':'tool_result','id':'c','name':'f','content':'ok'},{'type':'tool_result','id':'pawl_12','name':'g','content':{'y':2}},"
         "{'type':'tool_result','id':'c','name':'f','content':'no','is_error':true}]}]}",
         false, NULL, NULL,
         "{'contents':[{'role':'user','parts':[{'inlineData':{'mimeType':'image/png','data':'iVBORw=='}},"
         "{'fileData':{'mimeType':'image/jpeg','fileUri':'gs://x'}}]},{'role':'model','parts':[{'text':'b'},"
         "{'functionCall':{'id':'c','name':'f','args':{'x':1}}},{'functionCall':{'name':'g','args':{}}}]},"
         "{'role':'user','parts':[{'functionResponse':{'id':'c','name':'f','response':{'output':'ok'}}},"
         "{'functionResponse':{'name':'g','response':{'y':2}}},{'functionResponse':{'id':'c','name':'f','response':{'error':'no'}}}]}]}",
         NULL},
        {"a signature for calls that have none",
         "{'wire':'gemini','options':{'foreign_signature':'sk'}}",
         "{'model':'m','messages':[{'role':'assistant','parts':[{'type':'tool_call','id':'c','name':'f','arguments':{}}]}]}",
         false, NULL, NULL,
         "{'contents':[{'role':'model','parts':[{'functionCall':{'id':'c','name':'f','args':{}},'thoughtSignature':'sk'}]}]}",
         NULL},
        {"a result without a name", GEMINI,
         "{'model':'m','messages':[{'role':'tool','parts':[{'type':'tool_result','id':'c','content':'x'}]}]}",
         false, NULL, NULL, NULL, "needs the name"},
    };
    llm_check_requests(cases, PW_COUNT(cases));
}

#define SIGNED "{'functionCall':{'name':'f','args':{'a':1}},'thoughtSignature':'c2ln'}"
#define USAGE                                                                                                                                         \
    "'usageMetadata':{'promptTokenCount':10,'cachedContentTokenCount':4,'candidatesTokenCount':5,'thoughtsTokenCount':3,'toolUsePromptTokenCount':2," \
    "'totalTokenCount':20}"
#define USAGE_READ                                                                                                                 \
    "'usage':{'input':12,'cache_read':4,'cache_write':0,'cache_write_1h':0,'output':8,'reasoning':3,'raw':{'promptTokenCount':10," \
    "'cachedContentTokenCount':4,'candidatesTokenCount':5,'thoughtsTokenCount':3,'toolUsePromptTokenCount':2,'totalTokenCount':20}}"
#define END "'stop':'tool_calls','stop_raw':'STOP'," USAGE_READ ",'model':'g-3','id':'r1'}"
#define MINTED "pawl_5b301e336aea595920156c2a"
#define ANSWER                                                                                                 \
    "{'message':{'role':'assistant','parts':[{'type':'reasoning','text':'hm'},{'type':'text','text':'Hello'}," \
    "{'type':'tool_call','id':'" MINTED                                                                        \
    "','minted':true,'name':'f','arguments':{'a':1},'raw':" SIGNED "}],'provider':'gemini'}," END

static void an_answer_is_read_into_the_neutral_model(void **state)
{
    (void)state;
    static const llm_answer_case cases[] = {
        {"a thought, a text and a signed call", GEMINI,
         "{'responseId':'r1','modelVersion':'g-3','candidates':[{'content':{'role':'model','parts':[{'text':'hm','thought':true},{'text':'Hello'}," SIGNED
         "]},"
         "'finishReason':'STOP','index':0}]," USAGE "}",
         ANSWER, NULL},
        {"a call with an id; a signature on a text; what was found", GEMINI,
         "{'candidates':[{'content':{'parts':[{'text':'x','thoughtSignature':'s'},{'functionCall':{'id':'i','name':'f','args':{}}}]},'finishReason':'STOP',"
         "'groundingMetadata':{'a':1}}]}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'x','raw':{'text':'x','thoughtSignature':'s'}},"
         "{'type':'tool_call','id':'i','name':'f','arguments':{}}],'provider':'gemini','raw':{'groundingMetadata':{'a':1}}},"
         "'stop':'tool_calls','stop_raw':'STOP'}",
         NULL},
        {"nothing but thoughts", GEMINI, "{'candidates':[{'finishReason':'MAX_TOKENS'}]}",
         "{'message':{'role':'assistant','parts':[],'provider':'gemini'},'stop':'length','stop_raw':'MAX_TOKENS'}",
         NULL},
        {"a call that could not be read", GEMINI,
         "{'candidates':[{'finishReason':'MALFORMED_FUNCTION_CALL','finishMessage':'f('}]}",
         "{'message':{'role':'assistant','parts':[],'provider':'gemini'},'stop':'malformed','stop_raw':'MALFORMED_FUNCTION_CALL','stop_detail':'f('}",
         NULL},
        {"a filter", GEMINI, "{'candidates':[{'finishReason':'PROHIBITED_CONTENT'}]}",
         "{'message':{'role':'assistant','parts':[],'provider':'gemini'},'stop':'filter','stop_raw':'PROHIBITED_CONTENT'}",
         NULL},
        {"a blocked prompt", GEMINI, "{'promptFeedback':{'blockReason':'SAFETY'}}", NULL,
         "ContentFiltered"},
        {"an error", GEMINI, "{'error':{'code':503,'status':'UNAVAILABLE','message':'x'}}", NULL,
         "ModelOverloaded"},
        {"no candidates", GEMINI, "{'candidates':[]}", NULL, "BadModelResponse"},
        {"no reason to stop", GEMINI, "{'candidates':[{'content':{'parts':[{'text':'x'}]}}]}", NULL,
         "BadModelResponse"},
        {"malformed", GEMINI, "{'candidates':[}", NULL, "BadModelResponse"},
    };
    llm_check_answers(cases, PW_COUNT(cases));
}

#define CHUNK(parts)                                                                                         \
    "data: {'responseId':'r1','modelVersion':'g-3','candidates':[{'content':{'role':'model','parts':[" parts \
    "]},'index':0}]}\r\n\r\n"
#define LAST                                                                                 \
    "data: {'candidates':[{'content':{'parts':[{'text':''}]},'finishReason':'STOP'}]," USAGE \
    "}\r\n\r\n"

static void a_stream_gives_the_same_answer_however_it_is_cut(void **state)
{
    (void)state;
    static const llm_stream_case cases[] = {
        {"thoughts, a text and a signed call", GEMINI,
         CHUNK("{'text':'h','thought':true}") CHUNK("{'text':'m','thought':true},{'text':'Hel'}")
             CHUNK("{'text':'lo'}") CHUNK(SIGNED) LAST,
         ANSWER, NULL, "R:h|R:m|T:Hel|T:lo|C0  f:{'a':1}|", "'finishReason':'STOP'"},
        {"a signature between two texts keeps them apart", GEMINI,
         CHUNK("{'text':'a'}") CHUNK("{'text':'','thoughtSignature':'s'}") CHUNK(
             "{'text':'b'}") "data: {'candidates':[{'finishReason':'MAX_TOKENS','finishMessage':'m'}]}\n\n",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'a'},{'type':'text','text':'','raw':{'text':'','thoughtSignature':'s'}},"
         "{'type':'text','text':'b'}],'provider':'gemini'},'stop':'length','stop_raw':'MAX_TOKENS','stop_detail':'m','model':'g-3','id':'r1'}",
         NULL, "T:a|T:b|", "'finishReason':'MAX_TOKENS'"},
        {"a blocked prompt", GEMINI, "data: {'promptFeedback':{'blockReason':'SAFETY'}}\n\n", NULL,
         "ContentFiltered", "", NULL},
        {"an error in the middle", GEMINI,
         CHUNK(
             "{'text':'a'}") "data: {'error':{'code':429,'status':'RESOURCE_EXHAUSTED','message':'x'}}\n\n",
         NULL, "RateLimited", "T:a|", NULL},
        {"an end that never came", GEMINI, CHUNK("{'text':'a'}"), NULL, "StreamTruncated", "T:a|",
         NULL},
    };
    llm_check_streams(cases, PW_COUNT(cases));
}

static void signatures_go_back_where_they_were(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *answer = llm_answer(
        scope, GEMINI,
        "{'candidates':[{'content':{'parts':[{'text':'hm','thought':true},{'text':'x','thoughtSignature':'s'}," SIGNED
        "]},'finishReason':'STOP'}]}");
    const pawl_value *request =
        pawl_build(scope,
                   "{model: 'm', messages: [%p, {role: 'tool', parts: "
                   "[{type: 'tool_result', id: %s, name: 'f', content: 'ok'}]}]}",
                   pawl_v(pawl_get(answer, "message")),
                   pawl_str(pawl_at(pawl_get(answer, "message.parts"), 2), "id", "?"));
    assert_string_equal(
        llm_body(scope, GEMINI, request),
        llm_text(
            scope,
            "{'contents':[{'role':'model','parts':[{'text':'x','thoughtSignature':'s'}," SIGNED
            "]},"
            "{'role':'user','parts':[{'functionResponse':{'name':'f','response':{'output':'ok'}}}]}]}"));
    pawl_scope_free(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_the_provider_wants_it),
        cmocka_unit_test(an_answer_is_read_into_the_neutral_model),
        cmocka_unit_test(a_stream_gives_the_same_answer_however_it_is_cut),
        cmocka_unit_test(signatures_go_back_where_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
