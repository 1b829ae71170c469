/*
 * agent_register.c - the workflow "agent" with an engine: what listings say of it, and what its input must be.
 *
 * Does not call models or tools: it asks the engine for them (agent_decide.c).
 */
#include "sdk/pawl_choose.h"
#include "workflows/agent.h"

static const char description[] =
    "A model in a loop with tools: asks it, makes the calls it wants, tells it what they gave, until it answers";

#define TEXT "{\"type\": \"string\"}"
#define POLICY "{\"enum\": [\"allow\", \"ask\", \"deny\"]}"
#define SECONDS "{\"type\": \"number\", \"minimum\": 0}"
#define PEOPLE "{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 100}"
#define COUNT "{\"type\": \"integer\", \"minimum\": 0}"
#define MAP "{\"type\": \"object\"}"
#define NAMES "{\"type\": \"array\", \"maxItems\": 1000, \"items\": " TEXT "}"
#define TOOL_NAME "{\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64}"

static const char schema[] =
    "{\"type\": \"object\", \"anyOf\": [{\"required\": [\"task\"]}, {\"required\": [\"conversation\"]}], \"properties\": {"
    "\"task\": {\"type\": [\"string\", \"object\", \"array\"], \"description\": \"what to do: text, or messages\"},"
    "\"endpoint\": " MAP ", \"endpoints\": {\"type\": \"array\", \"minItems\": 1, \"items\": " MAP
    "},"
    "\"model\": " TEXT ", \"request\": " MAP ", \"llm\": " MAP ", \"system\": " TEXT ","
    "\"max_turns\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 100000},"
    "\"answer_schema\": {\"type\": [\"object\", \"boolean\"]}, \"conversation\": " MAP ","
    "\"context\": {\"type\": [\"string\", \"object\"]},"
    "\"approval\": {\"type\": \"object\", \"properties\": {\"deadline_s\": " SECONDS
    ", \"escalate_s\": " SECONDS ","
    "\"defer_max_s\": " SECONDS ", \"quorum\": " PEOPLE ", \"rejects\": " PEOPLE ", \"who\": " TEXT
    ", \"barred\": " TEXT ","
    "\"escalate_to\": " TEXT ", \"four_eyes\": {\"type\": \"boolean\"}}},"
    "\"compact\": {\"type\": [\"boolean\", \"object\"], \"properties\": {\"tokens\": " COUNT
    ", \"bytes\": " COUNT ", \"keep_turns\": " COUNT
    ", \"summary\": {\"type\": \"boolean\"}, \"prompt\": " TEXT "}},"
    "\"memory\": {\"type\": \"object\", \"required\": [\"namespace\"], \"properties\": {\"namespace\": {\"type\": \"string\","
    "\"pattern\": \"^[!-.0-~]([!-~]{0,98}[!-.0-~])?$\"}, \"write\": " POLICY
    ", \"limit\": {\"type\": \"integer\","
    "\"minimum\": 1, \"maximum\": 100}, \"ttl_s\": {\"type\": \"number\", \"minimum\": 0}}},"
    "\"choose\": {\"type\": \"object\", \"properties\": {\"k\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 1000},"
    "\"at_least\": {\"type\": \"number\", \"minimum\": -1, \"maximum\": 1},"
    "\"by\": {\"enum\": [\"hybrid\", \"meaning\", \"words\"]}, \"find\": {\"type\": \"boolean\"},"
    "\"always\": {\"type\": \"array\", \"maxItems\": 1000, \"items\": " TEXT
    "}, \"activity\": " TEXT ", \"workspace\": " TEXT "}},"
    "\"servers\": {\"type\": \"object\", \"maxProperties\": 16, \"propertyNames\": {\"pattern\": \"^[A-Za-z0-9_-]{1,32}$\"},"
    "\"additionalProperties\": {\"type\": \"object\", \"required\": [\"server\"], \"additionalProperties\": false, \"properties\": {"
    "\"server\": " MAP ", \"only\": " NAMES ", \"ask\": " NAMES ", \"deny\": " NAMES
    ", \"policy\": " POLICY ", \"optional\": {\"type\": \"boolean\"},"
    "\"timeout_s\": {\"type\": \"number\", \"minimum\": 0}, \"retries\": {\"type\": \"integer\", \"minimum\": -1},"
    "\"effect\": {\"enum\": [\"pure\", \"idempotent\", \"unsafe\"]}, \"queue\": " TEXT "}}},"
    "\"reserve\": " MAP
    ", \"model_timeout_s\": {\"type\": \"number\", \"minimum\": 0}, \"model_retries\": {\"type\": \"integer\", \"minimum\": -1},"
    "\"cache_s\": {\"type\": \"number\", \"minimum\": 0}, \"cache_scope\": " TEXT ","
    "\"tools\": {\"type\": \"array\", \"items\": {\"type\": \"object\", \"required\": [\"name\"],"
    "\"oneOf\": [{\"required\": [\"activity\"]}, {\"required\": [\"workflow\"]}, {\"required\": [\"mcp\"]},{\"required\": [\"handoff\"]}],"
    "\"properties\": {\"name\": " TOOL_NAME ", \"description\": " TEXT
    ", \"schema\": {\"type\": [\"object\", \"boolean\"]}, \"tags\": {\"type\": \"array\", \"items\": " TEXT
    "},"
    "\"activity\": " TEXT ", \"workflow\": " TEXT ", \"mcp\": " MAP ", \"handoff\": " MAP
    ", \"input\": " MAP ","
    "\"policy\": " POLICY ", \"timeout_s\": {\"type\": \"number\", \"minimum\": 0},"
    "\"retries\": {\"type\": \"integer\", \"minimum\": -1}, \"queue\": " TEXT
    ", \"poll\": {\"type\": \"boolean\"},"
    "\"effect\": {\"enum\": [\"pure\", \"idempotent\", \"unsafe\"]}}}}}}";

pawl_status pawl_agent_register(pawl_engine *engine, pawl_error *err)
{
    static const pawl_workflow_options options = {
        .struct_size = sizeof options,
        .description = description,
        .input_schema = schema,
    };
    const pawl_status status = pawl_choose_register(engine, NULL, err);
    if (status != PAWL_OK && status != PAWL_EXISTS) {
        return status;
    }
    return pawl_register_folded(engine, "agent", "1", pw_agent_folded(), &options, err);
}
