/*
 * llm_responses_test.c - OpenAI Responses: what is sent, what an answer means, whole, streamed and in the background.
 *
 * Not here: errors by status (llm_failure_test.c), sending (llm_activity_test.c).
 */
#include "llm_rig.h"

#define OPENAI "{'wire':'openai-responses','key':'env:OPENAI_API_KEY'}"
#define HI "'messages':[{'role':'user','text':'Hi'}]"
#define HI_SENT "'input':[{'role':'user','content':'Hi'}]"

static void a_request_is_written_as_the_provider_wants_it(void **state)
{
    (void)state;
    static const llm_request_case cases[] = {
        {"the smallest is not stored", OPENAI, "{'model':'m'," HI "}", false, "/v1/responses",
         "authorization: Bearer +env:OPENAI_API_KEY", "{'model':'m'," HI_SENT ",'store':false}",
         NULL},
        {"streamed, with instructions", OPENAI, "{'model':'m','system':'S'," HI "}", true, NULL,
         "accept: text/event-stream",
         "{'model':'m','instructions':'S'," HI_SENT ",'store':false,'stream':true}", NULL},
        {"reasoning asks for what must go back", OPENAI,
         "{'model':'m'," HI ",'max_tokens':9,'reasoning':{'effort':'low','summary':'auto'}}", false,
         NULL, NULL,
         "{'model':'m'," HI_SENT
         ",'max_output_tokens':9,'reasoning':{'effort':'low','summary':'auto'},'include':['reasoning.encrypted_content'],"
         "'store':false}",
         NULL},
        {"in the background it is stored, and can be found", OPENAI,
         "{'model':'m'," HI ",'background':true,'key':'run-1/3','metadata':{'a':'b'}}", false, NULL,
         "x-client-request-id: run-1/3",
         "{'model':'m'," HI_SENT
         ",'store':true,'background':true,'metadata':{'a':'b','pawl_key':'run-1/3'}}",
         NULL},
        {"tools say strict, whatever it is", OPENAI,
         "{'model':'m'," HI
         ",'tools':[{'name':'f','schema':{'type':'object'},'strict':true},{'name':'g','description':'d'},"
         "{'raw':{'type':'web_search'}}],'tool_choice':{'name':'f'},'parallel':false}",
         false, NULL, NULL,
         "{'model':'m'," HI_SENT
         ",'tools':[{'type':'function','name':'f','parameters':{'type':'object'},'strict':true},"
         "{'type':'function','name':'g','description':'d','parameters':{'type':'object','properties':{}},'strict':false},{'type':'web_search'}],"
         "'tool_choice':{'type':'function','name':'f'},'parallel_tool_calls':false,'store':false}",
         NULL},
        {"a schema", OPENAI,
         "{'model':'m'," HI ",'response':{'schema':{'type':'object'},'name':'n'}}", false, NULL,
         NULL,
         "{'model':'m'," HI_SENT
         ",'text':{'format':{'type':'json_schema','name':'n','schema':{'type':'object'},'strict':true}},'store':false}",
         NULL},
        {"extra, deep", OPENAI,
         "{'model':'m'," HI
         ",'extra':{'store':true,'text':{'verbosity':'low'}},'response':{'json':true}}",
         false, NULL, NULL,
         "{'model':'m'," HI_SENT
         ",'text':{'format':{'type':'json_object'},'verbosity':'low'},'store':true}",
         NULL},
        {"a conversation", OPENAI,
         "{'model':'m','messages':[{'role':'user','parts':[{'type':'text','text':'a'},{'type':'image','data':'iVBORw=='}]},"
         "{'role':'assistant','parts':[{'type':'reasoning','text':'hm'},{'type':'text','text':'b'},{'type':'tool_call','id':'c','name':'f',"
         "'arguments':{'x':1}}]},{'role':'tool','parts':[{'type':'tool_result','id':'c','content':[1]},{'type':'text','text':'go'}]},"
         "{'role':'system','text':'s'}]}",
         false, NULL, NULL,
         "{'model':'m','input':[{'role':'user','content':[{'type':'input_text','text':'a'},"
         "{'type':'input_image','image_url':'data:image/png;base64,iVBORw==','detail':'auto'}]},{'role':'assistant','content':'b'},"
         "{'type':'function_call','call_id':'c','name':'f','arguments':'{\\'x\\':1}'},{'type':'function_call_output','call_id':'c','output':'[1]'},"
         "{'role':'user','content':[{'type':'input_text','text':'go'}]},{'role':'developer','content':'s'}],'store':false}",
         NULL},
    };
    llm_check_requests(cases, PW_COUNT(cases));
}

#define REASONING \
    "{'type':'reasoning','id':'rs_1','summary':[{'type':'summary_text','text':'h'},{'type':'summary_text','text':'m'}],'encrypted_content':'eA=='}"
#define MESSAGE                                                                                                                               \
    "{'type':'message','id':'msg_1','status':'completed','role':'assistant','content':[{'type':'output_text','text':'one','annotations':[]}," \
    "{'type':'output_text','text':'two','annotations':[]}]}"
#define CALL \
    "{'type':'function_call','id':'fc_1','call_id':'call_1','name':'f','arguments':'{\\'a\\':1}','status':'completed'}"
#define USAGE \
    "'usage':{'input_tokens':10,'input_tokens_details':{'cached_tokens':4},'output_tokens':5,'output_tokens_details':{'reasoning_tokens':3}}"
#define PARTS                                                                                                   \
    "[{'type':'reasoning','text':'h\\nm','raw':" REASONING                                                      \
    "},{'type':'text','text':'one','raw':" MESSAGE ",'covers':2},"                                              \
    "{'type':'text','text':'two'},{'type':'tool_call','id':'call_1','name':'f','arguments':{'a':1},'raw':" CALL \
    "}]"
#define WHOLE                                                                             \
    "{'id':'resp_1','status':'completed','model':'m-1','error':null,'output':[" REASONING \
    "," MESSAGE "," CALL "]," USAGE "}"
#define ANSWER                                                                                                                 \
    "{'message':{'role':'assistant','parts':" PARTS                                                                            \
    ",'provider':'openai-responses'},'stop':'tool_calls','stop_raw':'completed',"                                              \
    "'usage':{'input':10,'cache_read':4,'cache_write':0,'cache_write_1h':0,'output':5,'reasoning':3,'raw':{'input_tokens':10," \
    "'input_tokens_details':{'cached_tokens':4},'output_tokens':5,'output_tokens_details':{'reasoning_tokens':3}}},'model':'m-1','id':'resp_1'}"

static void an_answer_is_read_into_the_neutral_model(void **state)
{
    (void)state;
    static const llm_answer_case cases[] = {
        {"reasoning, a message of two parts and a call", OPENAI, WHOLE, ANSWER, NULL},
        {"pending", OPENAI, "{'id':'resp_1','status':'queued','output':[]}",
         "{'message':{'role':'assistant','parts':[],'provider':'openai-responses'},'stop':'pending','stop_raw':'queued','id':'resp_1'}",
         NULL},
        {"cut", OPENAI,
         "{'status':'incomplete','incomplete_details':{'reason':'max_output_tokens'},'output':[]}",
         "{'message':{'role':'assistant','parts':[],'provider':'openai-responses'},'stop':'length','stop_raw':'max_output_tokens'}",
         NULL},
        {"a refusal, and an item nobody knows", OPENAI,
         "{'status':'completed','output':[{'type':'message','content':[{'type':'refusal','refusal':'No.'}]},{'type':'compaction','id':'x'}]}",
         "{'message':{'role':'assistant','parts':[{'type':'refusal','text':'No.','raw':{'type':'message','content':[{'type':'refusal','refusal':'No.'}]}},"
         "{'type':'other','raw':{'type':'compaction','id':'x'}}],'provider':'openai-responses'},'stop':'refusal','stop_raw':'completed'}",
         NULL},
        {"failed", OPENAI,
         "{'status':'failed','error':{'code':'rate_limit_exceeded','message':'x'},'output':[]}",
         NULL, "RateLimited"},
        {"failed without a word", OPENAI, "{'status':'failed','error':null,'output':[]}", NULL,
         "ProviderError"},
        {"failed for money", OPENAI,
         "{'status':'failed','error':{'code':'insufficient_quota','message':'x'},'output':[]}",
         NULL, "BudgetExhausted"},
        {"no output", OPENAI, "{'status':'completed'}", NULL, "BadModelResponse"},
        {"malformed", OPENAI, "{'status'", NULL, "BadModelResponse"},
    };
    llm_check_answers(cases, PW_COUNT(cases));
}

#define EVENT(name, rest) "event: " name "\ndata: {'type':'" name "'," rest "}\n\n"
#define CREATED \
    EVENT("response.created", "'response':{'id':'resp_1','status':'in_progress','output':[]}")
/* clang-format off */
#define ITEMS \
    EVENT("response.output_item.added", "'output_index':0,'item':{'type':'reasoning','id':'rs_1','summary':[]}") \
    EVENT("response.reasoning_summary_text.delta", "'output_index':0,'delta':'h'") \
    EVENT("response.output_item.done", "'output_index':0,'item':" REASONING) \
    EVENT("response.output_item.added", "'output_index':1,'item':{'type':'message','id':'msg_1','content':[]}") \
    EVENT("response.output_text.delta", "'output_index':1,'delta':'on'") EVENT("response.output_text.delta", "'output_index':1,'delta':'e'") \
    EVENT("response.what_comes_next", "'x':1") EVENT("response.output_item.done", "'output_index':1,'item':" MESSAGE) \
    EVENT("response.output_item.added", "'output_index':2,'item':{'type':'function_call','id':'fc_1','call_id':'call_1','name':'f','arguments':''}") \
    EVENT("response.function_call_arguments.delta", "'output_index':2,'delta':'{\\'a\\':1}'") \
    EVENT("response.output_item.done", "'output_index':2,'item':" CALL)
/* clang-format on */
#define DELTAS "R:h|T:on|T:e|C0 call_1 f:|C0 call_1 f:{'a':1}|"

static void a_stream_gives_the_same_answer_however_it_is_cut(void **state)
{
    (void)state;
    static const llm_stream_case cases[] = {
        {"all kinds of items", OPENAI,
         CREATED ITEMS EVENT("response.completed", "'response':" WHOLE), ANSWER, NULL, DELTAS,
         "event: response.completed"},
        {"a server whose last event forgets the output", OPENAI,
         CREATED ITEMS EVENT(
             "response.completed",
             "'response':{'id':'resp_1','status':'completed','model':'m-1','output':[]," USAGE "}"),
         ANSWER, NULL, DELTAS, "event: response.completed"},
        {"failed at the end", OPENAI,
         CREATED EVENT(
             "response.failed",
             "'response':{'id':'resp_1','status':'failed','error':{'code':'server_error','message':'x'},'output':[]}"),
         NULL, "ProviderError", "", NULL},
        {"an error in the middle", OPENAI,
         CREATED EVENT("error", "'code':'rate_limit_exceeded','message':'x','param':null"), NULL,
         "RateLimited", "", NULL},
        {"an error in the middle, as others put it", OPENAI,
         CREATED "data: {'error':{'message':'x','code':'insufficient_quota'}}\n\n", NULL,
         "BudgetExhausted", "", NULL},
        {"an end that never came", OPENAI, CREATED ITEMS, NULL, "StreamTruncated", DELTAS, NULL},
        {"an end without a response", OPENAI, CREATED EVENT("response.completed", "'x':1"), NULL,
         "BadModelResponse", "", NULL},
    };
    llm_check_streams(cases, PW_COUNT(cases));
}

static void items_go_back_as_they_came_unless_they_are_hollow(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *answer = llm_answer(scope, OPENAI, WHOLE);
    const pawl_value *request =
        pawl_build(scope, "{model: 'm', messages: [%p]}", pawl_v(pawl_get(answer, "message")));
    assert_string_equal(llm_body(scope, OPENAI, request),
                        llm_text(scope, "{'model':'m','input':[" REASONING "," MESSAGE "," CALL
                                        "],'store':false}"));
    assert_string_equal(
        llm_body(scope, "{'wire':'openai-chat'}", request),
        llm_text(
            scope,
            "{'model':'m','messages':[{'role':'assistant','content':[{'type':'text','text':'one'},{'type':'text','text':'two'}],"
            "'tool_calls':[{'id':'call_1','type':'function','function':{'name':'f','arguments':'{\\'a\\':1}'}}]}]}"));
    answer = llm_answer(
        scope, OPENAI,
        "{'status':'completed','output':[{'type':'reasoning','id':'rs_1','summary':[]}," CALL "]}");
    request =
        pawl_build(scope, "{model: 'm', messages: [%p]}", pawl_v(pawl_get(answer, "message")));
    assert_string_equal(llm_body(scope, OPENAI, request),
                        llm_text(scope, "{'model':'m','input':[" CALL "],'store':false}"));
    assert_string_equal(
        llm_body(scope, "{'wire':'openai-responses','options':{'store':true}}", request),
        llm_text(scope, "{'model':'m','input':[{'type':'reasoning','id':'rs_1','summary':[]}," CALL
                        "],'store':true}"));
    pawl_scope_free(scope);
}

static void an_answer_in_the_background_is_asked_for_by_its_id(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pw_llm_endpoint e = llm_endpoint(scope, OPENAI);
    const pw_llm_endpoint other = llm_endpoint(scope, "{'wire':'openai-chat'}");
    pw_llm_call call;
    pawl_error err = {0};
    assert_int_equal(pw_llm_encode_poll(&e, scope, "resp_1", false, &call, &err), PAWL_OK);
    assert_string_equal(call.method, "GET");
    assert_string_equal(call.path, "/v1/responses/resp_1");
    assert_int_equal(call.body.size, 0);
    assert_int_equal(pw_llm_encode_poll(&e, scope, "resp_1", true, &call, &err), PAWL_OK);
    assert_string_equal(call.method, "POST");
    assert_string_equal(call.path, "/v1/responses/resp_1/cancel");
    assert_int_equal(pw_llm_encode_poll(&e, scope, "../x", false, &call, &err), PAWL_INVALID);
    assert_int_equal(pw_llm_encode_poll(&other, scope, "resp_1", false, &call, &err),
                     PAWL_UNSUPPORTED);
    pawl_scope_free(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_the_provider_wants_it),
        cmocka_unit_test(an_answer_is_read_into_the_neutral_model),
        cmocka_unit_test(a_stream_gives_the_same_answer_however_it_is_cut),
        cmocka_unit_test(items_go_back_as_they_came_unless_they_are_hollow),
        cmocka_unit_test(an_answer_in_the_background_is_asked_for_by_its_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
