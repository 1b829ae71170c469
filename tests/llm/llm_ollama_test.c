/*
 * llm_ollama_test.c - Ollama's own chat: what is sent, what an answer means, whole and as lines.
 *
 * Not here: errors (llm_failure_test.c), sending (llm_activity_test.c).
 */
#include "llm_rig.h"

#define OLLAMA "{'wire':'ollama'}"
#define HI "'messages':[{'role':'user','text':'Hi'}]"
#define HI_SENT "'messages':[{'role':'user','content':'Hi'}]"

static void a_request_is_written_as_the_provider_wants_it(void **state)
{
    (void)state;
    static const llm_request_case cases[] = {
        {"the smallest says that it wants no stream", OLLAMA, "{'model':'m'," HI "}", false,
         "/api/chat", "accept: application/json", "{'model':'m'," HI_SENT ",'stream':false}", NULL},
        {"streamed, with settings", OLLAMA,
         "{'model':'m','system':'S'," HI
         ",'max_tokens':9,'temperature':0.5,'response':{'schema':{'type':'object'}},'reasoning':{'effort':'low'},"
         "'cache':{'ttl':'5m'},'extra':{'options':{'num_ctx':8192}}}",
         true, NULL, "accept: application/x-ndjson",
         "{'model':'m','messages':[{'role':'system','content':'S'},{'role':'user','content':'Hi'}],'format':{'type':'object'},"
         "'options':{'num_predict':9,'temperature':0.5,'num_ctx':8192},'think':true,'keep_alive':'5m','stream':true}",
         NULL},
        {"a conversation", OLLAMA,
         "{'model':'m','tools':[{'name':'f'}],'messages':[{'role':'user','parts':[{'type':'text','text':'a'},{'type':'image','data':{'$bytes':'iVBORw=='}}]},"
         "{'role':'assistant','provider':'ollama','parts':[{'type':'reasoning','text':'hm'},{'type':'tool_call','id':'c','name':'f','arguments':{'x':1}}]},"
         "{'role':'tool','parts':[{'type':'tool_result','id':'c','name':'f','content':{'y':2}}]}]}",
         false, NULL, NULL,
         "{'model':'m','messages':[{'role':'user','content':'a','images':['iVBORw==']},{'role':'assistant','content':'','thinking':'hm',"
         "'tool_calls':[{'function':{'name':'f','arguments':{'x':1}}}]},{'role':'tool','content':'{\\'y\\':2}','tool_name':'f'}],"
         "'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'object','properties':{}}}}],'stream':false}",
         NULL},
        {"an image by url", OLLAMA,
         "{'model':'m','messages':[{'role':'user','parts':[{'type':'image','url':'http://x'}]}]}",
         false, NULL, NULL, NULL, "takes no url"},
    };
    llm_check_requests(cases, PW_COUNT(cases));
}

#define MINTED "pawl_5b301e336aea595920156c2a"
#define ANSWER                                                                                                                    \
    "{'message':{'role':'assistant','parts':[{'type':'reasoning','text':'hm','field':'thinking'},{'type':'text','text':'Hello'}," \
    "{'type':'tool_call','id':'" MINTED                                                                                           \
    "','minted':true,'name':'f','arguments':{'a':1}}],'provider':'ollama'},'stop':'tool_calls','stop_raw':'stop',"                \
    "'usage':{'input':7,'cache_read':0,'cache_write':0,'cache_write_1h':0,'output':2,'reasoning':0},'model':'l'}"
#define END \
    "'done':true,'done_reason':'stop','total_duration':123456789012,'prompt_eval_count':7,'eval_count':2}"
#define CALL "{'function':{'name':'f','arguments':{'a':1}}}"

static void an_answer_is_read_into_the_neutral_model(void **state)
{
    (void)state;
    static const llm_answer_case cases[] = {
        {"a thought, a text and a call", OLLAMA,
         "{'model':'l','message':{'role':'assistant','thinking':'hm','content':'Hello','tool_calls':[" CALL
         "]}," END,
         ANSWER, NULL},
        {"a length, and no counts", OLLAMA,
         "{'message':{'content':'x'},'done':true,'done_reason':'length'}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'x'}],'provider':'ollama'},'stop':'length','stop_raw':'length'}",
         NULL},
        {"an error", OLLAMA, "{'error':'server busy'}", NULL, "ModelOverloaded"},
        {"not done", OLLAMA, "{'message':{'content':'x'},'done':false}", NULL, "BadModelResponse"},
        {"no message", OLLAMA, "{'done':true}", NULL, "BadModelResponse"},
        {"malformed", OLLAMA, "{'message'", NULL, "BadModelResponse"},
    };
    llm_check_answers(cases, PW_COUNT(cases));
}

#define LINE(message) "{'model':'l','message':{'role':'assistant'," message "},'done':false}\n"

static void a_stream_of_lines_gives_the_same_answer_however_it_is_cut(void **state)
{
    (void)state;
    static const llm_stream_case cases[] = {
        {"a thought, a text and a call", OLLAMA,
         LINE("'content':'','thinking':'h'") LINE("'content':'','thinking':'m'")
             LINE("'content':'Hel'") "\n" LINE("'content':'lo'")
                 LINE("'content':'','tool_calls':[" CALL
                      "]") "{'model':'l','message':{'role':'assistant','content':''}," END "\n",
         ANSWER, NULL, "R:h|R:m|T:Hel|T:lo|C0  f:{'a':1}|", "'done':true"},
        {"a last line without its end", OLLAMA,
         LINE("'content':'x'") "{'message':{'content':''},'done':true,'done_reason':'stop'}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'x'}],'provider':'ollama'},'stop':'end','stop_raw':'stop'}",
         NULL, "T:x|", "'done':true"},
        {"an error in the middle", OLLAMA,
         LINE("'content':'x'") "{'error':'an error was encountered while running the model'}\n",
         NULL, "ProviderError", "T:x|", NULL},
        {"malformed in the middle", OLLAMA,
         LINE("'content':'x'") "{'message':\n" LINE("'content':'y'"), NULL, "BadModelResponse",
         "T:x|", NULL},
        {"an end that never came", OLLAMA, LINE("'content':'x'"), NULL, "StreamTruncated", "T:x|",
         NULL},
    };
    llm_check_streams(cases, PW_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_the_provider_wants_it),
        cmocka_unit_test(an_answer_is_read_into_the_neutral_model),
        cmocka_unit_test(a_stream_of_lines_gives_the_same_answer_however_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
