/*
 * llm_dapr_test.c - Dapr's Conversation API: what is sent, and what an answer means. The tables are written from its API reference.
 *
 * Not here: errors (llm_failure_test.c), sending (llm_activity_test.c), a sidecar.
 */
#include "llm_rig.h"

#define DAPR "{'wire':'dapr'}"
#define HI "'messages':[{'role':'user','text':'Hi'}]"
#define HI_SENT "{'ofUser':{'content':[{'text':'Hi'}]}}"

static void a_request_is_written_as_the_sidecar_wants_it(void **state)
{
    (void)state;
    static const llm_request_case cases[] = {
        {"the smallest; the model is the component", DAPR, "{'model':'my llm'," HI "}", false,
         "/v1.0-alpha2/conversation/my%20llm/converse", NULL,
         "{'inputs':[{'messages':[" HI_SENT "]}]}", NULL},
        {"settings, tools, a system", DAPR,
         "{'model':'echo','system':'S'," HI ",'max_tokens':9,'temperature':0.5,"
         "'tools':[{'name':'f','description':'d','schema':{'type':'object'}}],'tool_choice':'required',"
         "'extra':{'metadata':{'model':'gpt'},'parameters':{'x':{'y':1}}}}",
         true, NULL, NULL,
         "{'inputs':[{'messages':[{'ofSystem':{'content':[{'text':'S'}]}}," HI_SENT
         "]}],'parameters':{'max_tokens':{"
         "'@type':'type.googleapis.com/google.protobuf.Int64Value','value':'9'},'x':{'y':1}},'temperature':0.5,"
         "'tools':[{'function':{'name':'f','description':'d','parameters':{'type':'object'}}}],'toolChoice':'required',"
         "'metadata':{'model':'gpt'}}",
         NULL},
        {"a conversation, and one tool that must be called", DAPR,
         "{'model':'m','tools':[{'name':'f'}],'tool_choice':{'name':'f'},'messages':[{'role':'user','text':'a'},"
         "{'role':'assistant','provider':'dapr','parts':[{'type':'text','text':'b'},{'type':'tool_call','id':'c1','name':'f','arguments':{'x':1}},"
         "{'type':'tool_call','id':'c2','name':'f','arguments':{}}]},"
         "{'role':'tool','parts':[{'type':'tool_result','id':'c1','name':'f','content':{'y':2}},{'type':'tool_result','id':'c2','content':'no'}]}]}",
         false, NULL, NULL,
         "{'inputs':[{'messages':[{'ofUser':{'content':[{'text':'a'}]}},{'ofAssistant':{'content':[{'text':'b'}],'toolCalls':["
         "{'id':'c1','function':{'name':'f','arguments':'{\\'x\\':1}'}},{'id':'c2','function':{'name':'f','arguments':'{}'}}]}},"
         "{'ofTool':{'toolId':'c1','name':'f','content':[{'text':'{\\'y\\':2}'}]}},{'ofTool':{'toolId':'c2','content':[{'text':'no'}]}}]}],"
         "'tools':[{'function':{'name':'f','parameters':{'type':'object','properties':{}}}}],'toolChoice':'f'}",
         NULL},
        {"an image", DAPR,
         "{'model':'m','messages':[{'role':'user','parts':[{'type':'image','url':'http://x'}]}]}",
         false, NULL, NULL, NULL, "no images"},
    };
    llm_check_requests(cases, PW_COUNT(cases));
}

static void an_answer_is_read_into_the_neutral_model(void **state)
{
    (void)state;
    static const llm_answer_case cases[] = {
        {"a text", DAPR,
         "{'outputs':[{'choices':[{'finishReason':'stop','message':{'content':'Hello'}}]}]}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'Hello'}],'provider':'dapr'},'stop':'end','stop_raw':'stop'}",
         NULL},
        {"calls, a model, and counts as texts", DAPR,
         "{'contextId':'x','outputs':[{'model':'gpt','choices':[{'finishReason':'tool_calls','index':'0','message':{'toolCalls':[{'id':'c1','function':"
         "{'name':'f','arguments':'{\\'a\\':1}'}},{'id':'c2','function':{'name':'g','arguments':'{}'}}]}}],"
         "'usage':{'promptTokens':'7','completionTokens':'5','totalTokens':'12','promptTokensDetails':{'cachedTokens':'3'},"
         "'completionTokensDetails':{'reasoningTokens':'2'}}}]}",
         "{'message':{'role':'assistant','parts':[{'type':'tool_call','id':'c1','name':'f','arguments':{'a':1}},"
         "{'type':'tool_call','id':'c2','name':'g','arguments':{}}],'provider':'dapr'},'stop':'tool_calls','stop_raw':'tool_calls',"
         "'usage':{'input':7,'cache_read':3,'cache_write':0,'cache_write_1h':0,'output':5,'reasoning':2,"
         "'raw':{'promptTokens':'7','completionTokens':'5','totalTokens':'12','promptTokensDetails':{'cachedTokens':'3'},"
         "'completionTokensDetails':{'reasoningTokens':'2'}}},'model':'gpt','id':'x'}",
         NULL},
        {"no outputs", DAPR, "{'outputs':[]}", NULL, "BadModelResponse"},
        {"no message", DAPR, "{'outputs':[{'choices':[{}]}]}", NULL, "BadModelResponse"},
        {"malformed", DAPR, "{'outputs'", NULL, "BadModelResponse"},
    };
    llm_check_answers(cases, PW_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_the_sidecar_wants_it),
        cmocka_unit_test(an_answer_is_read_into_the_neutral_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
