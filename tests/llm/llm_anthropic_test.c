/*
 * llm_anthropic_test.c - Anthropic Messages: what is sent, what an answer means, whole and streamed.
 *
 * Not here: errors (llm_failure_test.c), sending (llm_activity_test.c).
 */
#include "llm_rig.h"

#define CLAUDE "{'wire':'anthropic','key':'env:ANTHROPIC_API_KEY'}"
#define CLAUDE_NEW "{'wire':'anthropic','version':'2026-10-21','auth':'bearer','key':'env:K'}"
#define HI "'messages':[{'role':'user','text':'Hi'}]"
#define HI_SENT "'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}]"
#define MAX "'max_tokens':8192"

static const llm_request_case requests[] = {
    {"the smallest has max_tokens", CLAUDE, "{'model':'m'," HI "}", false, "/v1/messages",
     "content-type: application/json\naccept: application/json\nx-api-key: +env:ANTHROPIC_API_KEY\nanthropic-version: 2023-06-01",
     "{'model':'m'," MAX "," HI_SENT "}", NULL},
    {"streamed, by the new version", CLAUDE_NEW, "{'model':'m'," HI "}", true, NULL,
     "accept: text/event-stream\nauthorization: Bearer +env:K\nanthropic-version: 2026-10-21",
     "{'model':'m'," MAX "," HI_SENT ",'stream':true}", NULL},
    {"settings", CLAUDE,
     "{'model':'m'," HI
     ",'max_tokens':9,'temperature':0.5,'top_k':5,'stop':['x'],'user':'u','metadata':{'a':'b'}}",
     false, NULL, NULL,
     "{'model':'m','max_tokens':9,'temperature':0.5,'top_k':5,'stop_sequences':['x'],'metadata':{'user_id':'u'}," HI_SENT
     "}",
     NULL},
    {"the new version knows no sampling", CLAUDE_NEW,
     "{'model':'m'," HI ",'temperature':0.5,'top_p':1,'top_k':5}", false, NULL, NULL,
     "{'model':'m'," MAX "," HI_SENT "}", NULL},
    {"system and tools", CLAUDE,
     "{'model':'m','system':'S'," HI
     ",'tools':[{'name':'f','description':'d','schema':{'type':'object'},'strict':true,'cache':'1h'},"
     "{'raw':{'type':'web_search_20250305','name':'web_search'}}],'tool_choice':'required','parallel':false}",
     false, NULL, NULL,
     "{'model':'m'," MAX
     ",'tools':[{'name':'f','description':'d','input_schema':{'type':'object'},'strict':true,"
     "'cache_control':{'type':'ephemeral','ttl':'1h'}},{'type':'web_search_20250305','name':'web_search'}],"
     "'tool_choice':{'type':'any','disable_parallel_tool_use':true},'system':'S'," HI_SENT "}",
     NULL},
    {"one tool by name", CLAUDE,
     "{'model':'m'," HI ",'tools':[{'name':'f'}],'tool_choice':{'name':'f'}}", false, NULL, NULL,
     "{'model':'m'," MAX
     ",'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}],'tool_choice':{'type':'tool','name':'f'}," HI_SENT
     "}",
     NULL},
    {"a schema and an effort", CLAUDE,
     "{'model':'m'," HI ",'response':{'schema':{'type':'object'}},'reasoning':{'effort':'high'}}",
     false, NULL, NULL,
     "{'model':'m'," MAX
     ",'thinking':{'type':'adaptive'},'output_config':{'effort':'high','format':{'type':'json_schema','schema':{'type':'object'}}}," HI_SENT
     "}",
     NULL},
    {"a budget for thoughts, and none", CLAUDE,
     "{'model':'m'," HI ",'reasoning':{'budget_tokens':2000}}", false, NULL, NULL,
     "{'model':'m'," MAX ",'thinking':{'type':'enabled','budget_tokens':2000}," HI_SENT "}", NULL},
    {"no thoughts", CLAUDE, "{'model':'m'," HI ",'reasoning':{'effort':'none'}}", false, NULL, NULL,
     "{'model':'m'," MAX ",'thinking':{'type':'disabled'}," HI_SENT "}", NULL},
    {"the cache by itself marks the end of both", CLAUDE,
     "{'model':'m','system':'S'," HI ",'cache':{'auto':true}}", false, NULL, NULL,
     "{'model':'m'," MAX
     ",'system':[{'type':'text','text':'S','cache_control':{'type':'ephemeral'}}],"
     "'messages':[{'role':'user','content':[{'type':'text','text':'Hi','cache_control':{'type':'ephemeral'}}]}]}",
     NULL},
    {"and leaves the marks that are there", CLAUDE,
     "{'model':'m','tools':[{'name':'f'}],'messages':[{'role':'user','parts':[{'type':'text','text':'Hi','cache':'5m'}]}],"
     "'cache':{'auto':true,'ttl':'1h'}}",
     false, NULL, NULL,
     "{'model':'m'," MAX
     ",'tools':[{'name':'f','input_schema':{'type':'object','properties':{}},'cache_control':{'type':'ephemeral','ttl':'1h'}}],"
     "'messages':[{'role':'user','content':[{'type':'text','text':'Hi','cache_control':{'type':'ephemeral','ttl':'5m'}}]}]}",
     NULL},
    {"extra", CLAUDE, "{'model':'m'," HI ",'extra':{'service_tier':'auto','metadata':{'x':1}}}",
     false, NULL, NULL,
     "{'model':'m'," MAX ",'metadata':{'x':1}," HI_SENT ",'service_tier':'auto'}", NULL},
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
        {"results come first, errors say so", CLAUDE,
         "{'model':'m','messages':[{'role':'assistant','parts':[{'type':'tool_call','id':'c1','name':'f','arguments':{'a':1}}]},"
         "{'role':'tool','parts':[{'type':'text','text':'and?'},{'type':'tool_result','id':'c1','content':'no','is_error':true}]}]}",
         false, NULL, NULL,
         "{'model':'m'," MAX
         ",'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'c1','name':'f','input':{'a':1}}]},"
         "{'role':'user','content':[{'type':'tool_result','tool_use_id':'c1','content':'no','is_error':true},{'type':'text','text':'and?'}]}]}",
         NULL},
        {"images, also in results", CLAUDE,
         "{'model':'m','messages':[{'role':'user','parts':[{'type':'image','url':'http://x/i.png'},{'type':'image','data':'iVBORw==','cache':true}]},"
         "{'role':'tool','parts':[{'type':'tool_result','id':'c','content':[{'type':'text','text':'see'},{'type':'image','data':'R0lGODdh'}]}]}]}",
         false, NULL, NULL,
         "{'model':'m'," MAX
         ",'messages':[{'role':'user','content':[{'type':'image','source':{'type':'url','url':'http://x/i.png'}},"
         "{'type':'image','source':{'type':'base64','media_type':'image/png','data':'iVBORw=='},'cache_control':{'type':'ephemeral'}}]},"
         "{'role':'user','content':[{'type':'tool_result','tool_use_id':'c','content':[{'type':'text','text':'see'},"
         "{'type':'image','source':{'type':'base64','media_type':'image/gif','data':'R0lGODdh'}}]}]}]}",
         NULL},
        {"foreign reasoning is left out, and a message of nothing else too", CLAUDE,
         "{'model':'m','messages':[{'role':'user','text':'a'},{'role':'assistant','provider':'vllm','parts':[{'type':'reasoning','text':'hm'}]},"
         "{'role':'system','text':'b'}]}",
         false, NULL, NULL,
         "{'model':'m'," MAX ",'messages':[{'role':'user','content':[{'type':'text','text':'a'}]},"
         "{'role':'user','content':[{'type':'text','text':'b'}]}]}",
         NULL},
        {"empty texts, and arguments that could not be read", CLAUDE,
         "{'model':'m','messages':[{'role':'assistant','parts':[{'type':'text','text':''},{'type':'tool_call','id':'c','name':'f','arguments_text':'{x',"
         "'arguments_error':'e'}]}]}",
         false, NULL, NULL,
         "{'model':'m'," MAX
         ",'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'c','name':'f','input':{'unreadable':'{x'}}]}]}",
         NULL},
    };
    llm_check_requests(cases, PW_COUNT(cases));
}

#define USAGE_SENT                                                                                                                              \
    "'usage':{'input_tokens':10,'cache_read_input_tokens':100,'cache_creation_input_tokens':7,'cache_creation':{'ephemeral_5m_input_tokens':4," \
    "'ephemeral_1h_input_tokens':3},'output_tokens':5,'output_tokens_details':{'thinking_tokens':2}}"
#define USAGE_READ                                                                                                                                  \
    "'usage':{'input':117,'cache_read':100,'cache_write':7,'cache_write_1h':3,'output':5,'reasoning':2,'raw':{'input_tokens':10,"                   \
    "'cache_read_input_tokens':100,'cache_creation_input_tokens':7,'cache_creation':{'ephemeral_5m_input_tokens':4,'ephemeral_1h_input_tokens':3}," \
    "'output_tokens':5,'output_tokens_details':{'thinking_tokens':2}}}"
#define THOUGHT "{'type':'thinking','thinking':'hm','signature':'c2ln'}"

static void an_answer_is_read_into_the_neutral_model(void **state)
{
    (void)state;
    static const llm_answer_case cases[] = {
        {"thoughts, a text and a call, with all classes of tokens", CLAUDE,
         "{'id':'m1','type':'message','role':'assistant','model':'c-1','content':[" THOUGHT
         ",{'type':'redacted_thinking','data':'xx'},"
         "{'type':'text','text':'Hello','citations':null},{'type':'tool_use','id':'t1','name':'f','input':{'a':1}}],"
         "'stop_reason':'tool_use','stop_sequence':null," USAGE_SENT "}",
         "{'message':{'role':'assistant','parts':[{'type':'reasoning','text':'hm','raw':" THOUGHT
         "},"
         "{'type':'reasoning','text':'','raw':{'type':'redacted_thinking','data':'xx'}},{'type':'text','text':'Hello'},"
         "{'type':'tool_call','id':'t1','name':'f','arguments':{'a':1}}],'provider':'anthropic'},'stop':'tool_calls','stop_raw':'tool_use'," USAGE_READ
         ",'model':'c-1','id':'m1'}",
         NULL},
        {"citations, and blocks nobody knows", CLAUDE,
         "{'content':[{'type':'text','text':'x','citations':[{'a':1}]},{'type':'server_tool_use','id':'s','name':'web_search','input':{}}],"
         "'stop_reason':'pause_turn'}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'x','raw':{'type':'text','text':'x','citations':[{'a':1}]}},"
         "{'type':'other','raw':{'type':'server_tool_use','id':'s','name':'web_search','input':{}}}],'provider':'anthropic'},"
         "'stop':'pause','stop_raw':'pause_turn'}",
         NULL},
        {"a stop sequence", CLAUDE,
         "{'content':[],'stop_reason':'stop_sequence','stop_sequence':'END'}",
         "{'message':{'role':'assistant','parts':[],'provider':'anthropic'},'stop':'stop_sequence','stop_raw':'stop_sequence','stop_detail':'END'}",
         NULL},
        {"a refusal", CLAUDE,
         "{'content':[],'stop_reason':'refusal','stop_details':{'type':'refusal','category':'bio','explanation':null}}",
         "{'message':{'role':'assistant','parts':[],'provider':'anthropic'},'stop':'refusal','stop_raw':'refusal','stop_detail':'bio'}",
         NULL},
        {"a full window", CLAUDE,
         "{'content':[{'type':'text','text':'x'}],'stop_reason':'model_context_window_exceeded'}",
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'x'}],'provider':'anthropic'},'stop':'context',"
         "'stop_raw':'model_context_window_exceeded'}",
         NULL},
        {"malformed JSON", CLAUDE, "{'content':[", NULL, "BadModelResponse"},
        {"no content", CLAUDE, "{'type':'message','stop_reason':'end_turn'}", NULL,
         "BadModelResponse"},
        {"content that is no array", CLAUDE, "{'content':'hello','stop_reason':'end_turn'}", NULL,
         "BadModelResponse"},
        {"no reason to stop", CLAUDE, "{'content':[]}", NULL, "BadModelResponse"},
        {"an error under status 200", CLAUDE,
         "{'type':'error','error':{'type':'overloaded_error','message':'x'}}", NULL,
         "ModelOverloaded"},
    };
    llm_check_answers(cases, PW_COUNT(cases));
}

#define EVENT(name, rest) "event: " name "\ndata: {'type':'" name "'" rest "}\n\n"
#define START                                                                                                              \
    EVENT(                                                                                                                 \
        "message_start",                                                                                                   \
        ",'message':{'id':'m1','type':'message','role':'assistant','model':'c-1','content':[],'stop_reason':null,'usage':" \
        "{'input_tokens':10,'cache_read_input_tokens':100,'cache_creation_input_tokens':7,'cache_creation':"               \
        "{'ephemeral_5m_input_tokens':4,'ephemeral_1h_input_tokens':3},'output_tokens':1}}")
#define BLOCK(i, block) EVENT("content_block_start", ",'index':" i ",'content_block':" block)
#define DELTA(i, delta) EVENT("content_block_delta", ",'index':" i ",'delta':" delta)
#define STOP(i) EVENT("content_block_stop", ",'index':" i)
#define END(word)                                                                               \
    EVENT("message_delta", ",'delta':{'stop_reason':'" word "','stop_sequence':null},'usage':"  \
                           "{'output_tokens':5,'output_tokens_details':{'thinking_tokens':2}}") \
    EVENT("message_stop", "")

static void a_stream_gives_the_same_answer_however_it_is_cut(void **state)
{
    (void)state;
    static const llm_stream_case cases[] = {
        {"thoughts, a text and a call", CLAUDE,
         START
             BLOCK("0", "{'type':'thinking','thinking':'','signature':''}") "event: ping\ndata: {'type':'ping'}\n\n" DELTA(
                 "0", "{'type':'thinking_delta','thinking':'h'}")
                 DELTA("0", "{'type':'thinking_delta','thinking':'m','estimated_tokens':3}")
                     DELTA("0", "{'type':'signature_delta','signature':'c2ln'}") STOP("0") BLOCK(
                         "1", "{'type':'redacted_thinking','data':'xx'}") STOP("1")
                         BLOCK("2", "{'type':'text','text':''}") DELTA(
                             "2", "{'type':'text_delta','text':'Hel'}")
                             DELTA("2", "{'type':'text_delta','text':'lo'}") STOP("2") BLOCK(
                                 "3", "{'type':'tool_use','id':'t1','name':'f','input':{}}")
                                 DELTA("3", "{'type':'input_json_delta','partial_json':''}") DELTA(
                                     "3", "{'type':'input_json_delta','partial_json':'{\\'a\\''}")
                                     DELTA("3", "{'type':'input_json_delta','partial_json':': 1}'}")
                                         STOP("3") END("tool_use"),
         "{'message':{'role':'assistant','parts':[{'type':'reasoning','text':'hm','raw':" THOUGHT
         "},"
         "{'type':'reasoning','text':'','raw':{'type':'redacted_thinking','data':'xx'}},{'type':'text','text':'Hello'},"
         "{'type':'tool_call','id':'t1','name':'f','arguments':{'a':1}}],'provider':'anthropic'},'stop':'tool_calls','stop_raw':'tool_use'," USAGE_READ
         ",'model':'c-1','id':'m1'}",
         NULL, "R:h|R:m|T:Hel|T:lo|C0 t1 f:|C0 t1 f:|C0 t1 f:{'a'|C0 t1 f:: 1}|",
         "'stop_reason':'tool_use'"},
        {"citations, a call without input, an input that is no JSON", CLAUDE,
         START BLOCK("0", "{'type':'text','text':'','citations':[]}") DELTA(
             "0",
             "{'type':'citations_delta','citation':{'a':1}}") DELTA("0",
                                                                    "{'type':'text_delta','text':'x'}")
             BLOCK("1", "{'type':'tool_use','id':'t1','name':'f','input':{}}") BLOCK(
                 "2", "{'type':'tool_use','id':'t2','name':'g','input':{}}")
                 DELTA("2", "{'type':'input_json_delta','partial_json':'{\\'a\\':'}") "event: what_comes_next\ndata: {'type':'what_comes_next'}\n\n" END(
                     "max_tokens"),
         "{'message':{'role':'assistant','parts':[{'type':'text','text':'x','raw':{'type':'text','text':'x','citations':[{'a':1}]}},"
         "{'type':'tool_call','id':'t1','name':'f','arguments':{}},{'type':'tool_call','id':'t2','name':'g',"
         "'arguments_error':'the text ends early at line 1, column 6','arguments_text':'{\\'a\\':'}],'provider':'anthropic'},"
         "'stop':'length','stop_raw':'max_tokens'," USAGE_READ ",'model':'c-1','id':'m1'}",
         NULL, NULL, "'stop_reason':'max_tokens'"},
        {"an error in the middle", CLAUDE,
         START
         "event: error\ndata: {'type':'error','error':{'type':'overloaded_error','message':'x'}}\n\n",
         NULL, "ModelOverloaded", "", NULL},
        {"a piece of a block that never began", CLAUDE,
         START DELTA("4", "{'type':'text_delta','text':'x'}") END("end_turn"), NULL,
         "BadModelResponse", NULL, NULL},
        {"an end that never came", CLAUDE, START BLOCK("0", "{'type':'text','text':'x'}") STOP("0"),
         NULL, "StreamTruncated", "T:x|", NULL},
    };
    llm_check_streams(cases, PW_COUNT(cases));
}

static void thoughts_go_back_as_they_came_and_to_nobody_else(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *answer = llm_answer(
        scope, CLAUDE,
        "{'content':[" THOUGHT
        ",{'type':'text','text':'x'},{'type':'tool_use','id':'t','name':'f','input':{'a':1},'caller':{'type':'direct'}}],"
        "'stop_reason':'tool_use'}");
    const pawl_value *request =
        pawl_build(scope, "{model: 'm', messages: [%p]}", pawl_v(pawl_get(answer, "message")));
    assert_string_equal(
        llm_body(scope, CLAUDE, request),
        llm_text(
            scope,
            "{'model':'m'," MAX ",'messages':[{'role':'assistant','content':[" THOUGHT
            ",{'type':'text','text':'x'},"
            "{'type':'tool_use','id':'t','name':'f','input':{'a':1},'caller':{'type':'direct'}}]}]}"));
    assert_string_equal(
        llm_body(scope, "{'wire':'openai-chat'}", request),
        llm_text(
            scope,
            "{'model':'m','messages':[{'role':'assistant','content':'x','tool_calls':"
            "[{'id':'t','type':'function','function':{'name':'f','arguments':'{\\'a\\':1}'}}]}]}"));
    pawl_scope_free(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_the_provider_wants_it),
        cmocka_unit_test(a_conversation_is_written_message_by_message),
        cmocka_unit_test(an_answer_is_read_into_the_neutral_model),
        cmocka_unit_test(a_stream_gives_the_same_answer_however_it_is_cut),
        cmocka_unit_test(thoughts_go_back_as_they_came_and_to_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
