/*
 * agent.c - the workflow "agent" as the engine takes it: its callbacks, what listings say of it, and what its input must be.
 *
 * Does not call models or tools: it asks the engine for them (agent_decide.c).
 */
#include "workflows/agent.h"

static const char description[] =
    "A model in a loop with tools: asks it, makes the calls it wants, tells it what they gave, until it answers";

#define TEXT "{\"type\": \"string\"}"
#define COUNT "{\"type\": \"integer\", \"minimum\": 0}"
#define MAP "{\"type\": \"object\"}"
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
    "\"approval\": {\"type\": \"object\", \"properties\": {\"deadline_s\": {\"type\": \"number\", \"minimum\": 0}}},"
    "\"compact\": {\"type\": [\"boolean\", \"object\"], \"properties\": {\"tokens\": " COUNT
    ", \"bytes\": " COUNT ", \"keep_turns\": " COUNT
    ", \"summary\": {\"type\": \"boolean\"}, \"prompt\": " TEXT "}},"
    "\"model_timeout_s\": {\"type\": \"number\", \"minimum\": 0}, \"model_retries\": {\"type\": \"integer\", \"minimum\": -1},"
    "\"tools\": {\"type\": \"array\", \"items\": {\"type\": \"object\", \"required\": [\"name\"],"
    "\"oneOf\": [{\"required\": [\"activity\"]}, {\"required\": [\"workflow\"]}, {\"required\": [\"mcp\"]},{\"required\": [\"handoff\"]}],"
    "\"properties\": {\"name\": " TOOL_NAME ", \"description\": " TEXT
    ", \"schema\": {\"type\": [\"object\", \"boolean\"]},"
    "\"activity\": " TEXT ", \"workflow\": " TEXT ", \"mcp\": " MAP ", \"handoff\": " MAP
    ", \"input\": " MAP ","
    "\"policy\": {\"enum\": [\"allow\", \"ask\", \"deny\"]}, \"timeout_s\": {\"type\": \"number\", \"minimum\": 0},"
    "\"retries\": {\"type\": \"integer\", \"minimum\": -1}, \"queue\": " TEXT
    ", \"poll\": {\"type\": \"boolean\"},"
    "\"effect\": {\"enum\": [\"pure\", \"idempotent\", \"unsafe\"]}}}}}}";

pawl_status pawl_agent_register(pawl_engine *engine, pawl_error *err)
{
    static const pawl_folded folded = {
        .struct_size = sizeof folded,
        .init = pw_agent_new,
        .apply = pw_agent_apply,
        .decide = pw_agent_decide,
        .save = pw_agent_save,
        .load = pw_agent_load,
        .deinit = pw_agent_free,
    };
    static const pawl_workflow_options options = {
        .struct_size = sizeof options,
        .description = description,
        .input_schema = schema,
    };
    return pawl_register_folded(engine, "agent", "1", &folded, &options, err);
}
