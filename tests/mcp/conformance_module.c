/*
 * conformance_module.c - what the MCP conformance suite wants of a server, as workflows: every tool, prompt and resource here is a run on the
 * engine, and every question it asks is a described wait. Does not check what clients send: that is the server's and the suite's business.
 */
#include <string.h>

#include "sdk/pawl_module.h"

#define PNG \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
#define WAV "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA=="
#define NAME_FORM \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},\"required\":[\"name\"]}"

static const pawl_value *json(pawl_run *w, const char *text)
{
    const pawl_value *v = NULL;
    pawl_error err;
    if (pawl_parse_json(pawl_run_scope(w), text, strlen(text), &v, &err) != PAWL_OK) {
        return pawl_fail(w, "BadJson", "%s", err.message);
    }
    return v;
}

static const pawl_value *text(pawl_run *w, const char *words)
{
    return pawl_make_str(pawl_run_scope(w), words);
}

/* ---- content ---- */

static const pawl_value *simple_text(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return text(w, "This is a simple text response for testing.");
}

static const pawl_value *image_content(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return json(w, "{\"$mcp\":{\"content\":[{\"type\":\"image\",\"data\":\"" PNG
                   "\",\"mimeType\":\"image/png\"}]}}");
}

static const pawl_value *audio_content(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return json(w, "{\"$mcp\":{\"content\":[{\"type\":\"audio\",\"data\":\"" WAV
                   "\",\"mimeType\":\"audio/wav\"}]}}");
}

static const pawl_value *embedded_resource(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return json(
        w,
        "{\"$mcp\":{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"test://embedded-resource\",\"mimeType\":\"text/plain\","
        "\"text\":\"This is an embedded resource content.\"}}]}}");
}

static const pawl_value *multiple_content(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return json(
        w,
        "{\"$mcp\":{\"content\":[{\"type\":\"text\",\"text\":\"Multiple content types test:\"},"
        "{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"},"
        "{\"type\":\"resource\",\"resource\":{\"uri\":\"test://mixed-content-resource\",\"mimeType\":\"application/json\","
        "\"text\":\"{\\\"test\\\":\\\"data\\\",\\\"value\\\":123}\"}}]}}");
}

static const pawl_value *error_handling(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_fail(w, "Intended", "This tool intentionally returns an error for testing");
}

/* ---- while it runs ---- */

static const pawl_value *with_progress(pawl_run *w, const pawl_value *in)
{
    (void)in;
    for (int i = 0; i <= 100; i += 50) {
        pawl_progress(w, i, 100, "");
        (void)pawl_sleep(w, 0.05);
    }
    return text(w, "three steps were taken");
}

static const pawl_value *say(pawl_task *task, const pawl_value *in, void *user)
{
    const char *line = pawl_str(in, "line", "");
    (void)user;
    (void)pawl_task_output(task, "log.info", line, strlen(line));
    return NULL;
}

static const pawl_value *with_logging(pawl_run *w, const pawl_value *in)
{
    static const char *const lines[] = {"Tool execution started", "Tool processing data",
                                        "Tool execution completed"};
    (void)in;
    for (int i = 0; i < 3; i++) {
        (void)pawl_call(w, "conformance_say", .input = pawl_json(w, "{line: %s}", lines[i]));
        (void)pawl_sleep(w, 0.05);
    }
    return text(w, "three lines were logged");
}

/* ---- asking ---- */

static const pawl_value *ask_client(pawl_run *w, const char *name, const char *request)
{
    return pawl_ask(w, name, .kind = "other", .request = json(w, request));
}

static pawl_future *ask_client_start(pawl_run *w, const char *name, const char *request)
{
    return pawl_ask_start(w, name, .kind = "other", .request = json(w, request));
}

static pawl_future *ask_form_start(pawl_run *w, const char *name, const char *prompt,
                                   const char *schema)
{
    return pawl_ask_start(w, name, .kind = "form", .prompt = prompt, .schema = json(w, schema));
}

static const pawl_value *ask_form(pawl_run *w, const char *name, const char *prompt,
                                  const char *schema)
{
    return pawl_await(w, ask_form_start(w, name, prompt, schema));
}

static const pawl_value *said(pawl_run *w, const char *before, const pawl_value *answer)
{
    char words[1000];
    const char *content = pawl_to_json(pawl_run_scope(w), pawl_get(answer, "data"), 0);
    const char *choice = pawl_str(answer, "choice", "");
    (void)snprintf(words, sizeof words, "%s: action=%s, content=%s", before,
                   choice[0] != '\0' ? choice : "accept", content != NULL ? content : "null");
    return text(w, words);
}

#define SAMPLE(words, tokens)                                                                       \
    "{\"mcp\":{\"method\":\"sampling/createMessage\",\"params\":{\"messages\":[{\"role\":\"user\"," \
    "\"content\":{\"type\":\"text\",\"text\":\"" words "\"}}],\"maxTokens\":" tokens "}}}"
#define ROOTS "{\"mcp\":{\"method\":\"roots/list\",\"params\":{}}}"

static const pawl_value *sampling(pawl_run *w, const pawl_value *in)
{
    char words[1000];
    const pawl_value *request = pawl_json(
        w,
        "{mcp: {method: \"sampling/createMessage\", params: {messages: [{role: \"user\", content: "
        "{type: \"text\", text: %s}}], maxTokens: 100}}}",
        pawl_str(in, "prompt", ""));
    const pawl_value *answer = pawl_ask(w, "sample", .kind = "other", .request = request);
    (void)snprintf(words, sizeof words, "LLM response: %s",
                   pawl_str(answer, "data.content.text", ""));
    return text(w, words);
}

static const pawl_value *elicitation(pawl_run *w, const pawl_value *in)
{
    const pawl_value *answer = ask_form(
        w, "user", pawl_str(in, "message", "Who are you?"),
        "{\"type\":\"object\",\"properties\":{\"username\":{\"type\":\"string\",\"description\":\"User's response\"},"
        "\"email\":{\"type\":\"string\",\"description\":\"User's email address\"}},\"required\":[\"username\",\"email\"]}");
    return said(w, "User response", answer);
}

static const pawl_value *elicitation_defaults(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *answer = ask_form(
        w, "details", "Please check these",
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"default\":\"John Doe\"},"
        "\"age\":{\"type\":\"integer\",\"default\":30},\"score\":{\"type\":\"number\",\"default\":95.5},"
        "\"status\":{\"type\":\"string\",\"enum\":[\"active\",\"inactive\",\"pending\"],\"default\":\"active\"},"
        "\"verified\":{\"type\":\"boolean\",\"default\":true}},\"required\":[]}");
    return said(w, "Elicitation completed", answer);
}

static const pawl_value *elicitation_enums(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *answer = ask_form(
        w, "options", "Please choose",
        "{\"type\":\"object\",\"properties\":{"
        "\"untitledSingle\":{\"type\":\"string\",\"enum\":[\"option1\",\"option2\",\"option3\"]},"
        "\"titledSingle\":{\"type\":\"string\",\"oneOf\":[{\"const\":\"value1\",\"title\":\"First Option\"},"
        "{\"const\":\"value2\",\"title\":\"Second Option\"},{\"const\":\"value3\",\"title\":\"Third Option\"}]},"
        "\"legacyEnum\":{\"type\":\"string\",\"enum\":[\"opt1\",\"opt2\",\"opt3\"],"
        "\"enumNames\":[\"Option One\",\"Option Two\",\"Option Three\"]},"
        "\"untitledMulti\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"option1\",\"option2\",\"option3\"]}},"
        "\"titledMulti\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"const\":\"value1\",\"title\":\"First Choice\"},"
        "{\"const\":\"value2\",\"title\":\"Second Choice\"},{\"const\":\"value3\",\"title\":\"Third Choice\"}]}}},\"required\":[]}");
    return said(w, "Elicitation completed", answer);
}

static const pawl_value *ask_name(pawl_run *w, const pawl_value *in)
{
    char words[300];
    (void)in;
    const pawl_value *answer = ask_form(w, "user_name", "What is your name?", NAME_FORM);
    (void)snprintf(words, sizeof words, "Hello, %s!", pawl_str(answer, "data.name", "nobody"));
    return text(w, words);
}

static const pawl_value *ask_sample(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *answer =
        ask_client(w, "capital_question", SAMPLE("What is the capital of France?", "100"));
    return text(w, pawl_str(answer, "data.content.text", ""));
}

static const pawl_value *ask_roots(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *answer = ask_client(w, "client_roots", ROOTS);
    return text(w, pawl_str(answer, "data.roots.0.uri", "no roots"));
}

#define OK_FORM \
    "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"}},\"required\":[\"ok\"]}"

static const pawl_value *ask_confirm(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)ask_form(w, "confirm", "Please confirm", OK_FORM);
    return pawl_ok(w) ? text(w, "state-ok") : NULL;
}

static const pawl_value *ask_three(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *all[3] = {
        ask_form_start(w, "user_name", "What is your name?", NAME_FORM),
        ask_client_start(w, "greeting", SAMPLE("Generate a greeting", "50")),
        ask_client_start(w, "client_roots", ROOTS),
    };
    (void)pawl_await_all(w, all, 3);
    return text(w, pawl_str(pawl_future_value(all[1]), "data.content.text", ""));
}

static const pawl_value *ask_twice(pawl_run *w, const pawl_value *in)
{
    char words[300];
    (void)in;
    const pawl_value *name = ask_form(w, "step1", "Step 1: What is your name?", NAME_FORM);
    const pawl_value *color = ask_form(
        w, "step2", "Step 2: What is your favorite color?",
        "{\"type\":\"object\",\"properties\":{\"color\":{\"type\":\"string\"}},\"required\":[\"color\"]}");
    (void)snprintf(words, sizeof words, "%s likes %s", pawl_str(name, "data.name", ""),
                   pawl_str(color, "data.color", ""));
    return text(w, words);
}

static const pawl_value *ask_either(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *any[2] = {
        ask_form_start(w, "user_name", "What is your name?", NAME_FORM),
        ask_client_start(w, "sample_request", SAMPLE("Say something", "50")),
    };
    (void)pawl_await_any(w, any, 2);
    return text(w, "answered");
}

/* ---- tasks ---- */

static const pawl_value *greet(pawl_run *w, const pawl_value *in)
{
    char words[300];
    (void)snprintf(words, sizeof words, "Hello, %s!", pawl_str(in, "name", "World"));
    return text(w, words);
}

static const pawl_value *slow_compute(pawl_run *w, const pawl_value *in)
{
    char words[300];
    (void)pawl_sleep(w, pawl_num(in, "seconds", 0));
    (void)snprintf(words, sizeof words, "computed %s", pawl_str(in, "label", ""));
    return pawl_ok(w) ? text(w, words) : NULL;
}

static const pawl_value *reconnection(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 2);
    return pawl_ok(w) ? text(w, "the stream was closed, and the result came on the next") : NULL;
}

static const pawl_value *failing_job(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 1);
    return pawl_fail(w, "JobFailed", "the job failed, as it always does");
}

static const pawl_value *protocol_error_job(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 0.3);
    return pawl_fail(w, "ProtocolError", "the server gave up");
}

static const pawl_value *confirm_delete(pawl_run *w, const pawl_value *in)
{
    char words[300];
    const pawl_value *answer = ask_form(
        w, "confirm", "Delete the file?",
        "{\"type\":\"object\",\"properties\":{\"confirm\":{\"type\":\"boolean\"}},\"required\":[\"confirm\"]}");
    (void)snprintf(words, sizeof words, "%s %s", pawl_str(in, "filename", ""),
                   pawl_bool(answer, "data.confirm", false) ? "was deleted" : "was kept");
    return text(w, words);
}

static const pawl_value *multi_input(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *both[2] = {
        ask_form_start(w, "first", "The first?", NAME_FORM),
        ask_form_start(w, "second", "The second?", NAME_FORM),
    };
    (void)pawl_await_all(w, both, 2);
    return text(w, "both were answered");
}

static const pawl_value *tool_with_task(pawl_run *w, const pawl_value *in)
{
    const pawl_value *hello = ask_name(w, in);
    (void)pawl_sleep(w, 0.2);
    return hello;
}

/* ---- effects that a test counts ---- */

static const pawl_value *note(pawl_task *task, const pawl_value *in, void *user)
{
    FILE *file = fopen(pawl_str(in, "path", ""), "a");
    (void)user;
    if (file == NULL || fprintf(file, "%s\n", pawl_str(in, "line", "")) < 0 || fclose(file) != 0) {
        return pawl_task_fail(task, "NoteFailed", "the line cannot be written");
    }
    return NULL;
}

/* Once, however often it is tried: as an idempotent effect is. */
static const pawl_value *note_safely(pawl_task *task, const pawl_value *in, void *user)
{
    char line[100] = "";
    const char *wanted = pawl_str(in, "line", "");
    FILE *file = fopen(pawl_str(in, "path", ""), "r");
    bool there = false;
    while (file != NULL && !there && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        there = strcmp(line, wanted) == 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return there ? NULL : note(task, in, user);
}

static const pawl_value *noted_safely(pawl_run *w, const pawl_value *in, const char *line)
{
    return pawl_call(w, "conformance_note_safely",
                     .input = pawl_json(w, "{path: %s, line: %s}", pawl_str(in, "path", ""), line));
}

static const pawl_value *note_once(pawl_run *w, const pawl_value *in)
{
    (void)pawl_sleep(w, pawl_num(in, "before_s", 0));
    (void)noted_safely(w, in, pawl_str(in, "line", ""));
    (void)pawl_sleep(w, pawl_num(in, "seconds", 0));
    return pawl_json(w, "{line: %s}", pawl_str(in, "line", ""));
}

static const pawl_value *ask_and_note(pawl_run *w, const pawl_value *in)
{
    const pawl_value *answer = ask_form(w, "user_name", "What is your name?", NAME_FORM);
    (void)noted_safely(w, in, pawl_str(answer, "data.name", "nobody"));
    return pawl_json(w, "{name: %s}", pawl_str(answer, "data.name", "nobody"));
}

static const pawl_value *noted(pawl_run *w, const pawl_value *in, const char *line)
{
    return pawl_call(w, "conformance_note", .effect = PAWL_EFFECT_UNSAFE,
                     .input = pawl_json(w, "{path: %s, line: %s}", pawl_str(in, "path", ""), line));
}

static const pawl_value *note_and_wait(pawl_run *w, const pawl_value *in)
{
    (void)pawl_sleep(w, pawl_num(in, "before_s", 0));
    (void)noted(w, in, pawl_str(in, "line", "once"));
    (void)pawl_sleep(w, pawl_num(in, "seconds", 0));
    if (pawl_bool(in, "held", false)) {
        (void)pawl_signal(w, "go"); /* as long as the test likes */
    }
    return pawl_json(w, "{line: %s}", pawl_str(in, "line", "once"));
}

static const pawl_value *note_and_ask(pawl_run *w, const pawl_value *in)
{
    (void)noted(w, in, "asked");
    const pawl_value *answer = ask_form(w, "user_name", "What is your name?", NAME_FORM);
    (void)noted(w, in, pawl_str(answer, "data.name", "nobody"));
    return pawl_json(w, "{name: %s}", pawl_str(answer, "data.name", "nobody"));
}

static const pawl_value *approve(pawl_run *w, const pawl_value *in)
{
    const pawl_value *answer =
        pawl_ask(w, "go", .prompt = "Shall it be done?", .choices = "approve|reject", .show = in);
    return pawl_json(w, "{choice: %s, by: %s}", pawl_str(answer, "choice", ""),
                     pawl_str(answer, "by", ""));
}

/* ---- prompts ---- */

static const pawl_value *simple_prompt(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return json(
        w,
        "{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"This is a simple prompt for testing.\"}}]}");
}

static const pawl_value *one_message(pawl_run *w, const char *words)
{
    return pawl_json(w, "{messages: [{role: \"user\", content: {type: \"text\", text: %s}}]}",
                     words);
}

static const pawl_value *prompt_with_arguments(pawl_run *w, const pawl_value *in)
{
    char words[300];
    (void)snprintf(words, sizeof words, "Prompt with arguments: arg1='%s', arg2='%s'",
                   pawl_str(in, "arg1", ""), pawl_str(in, "arg2", ""));
    return one_message(w, words);
}

static const pawl_value *prompt_with_resource(pawl_run *w, const pawl_value *in)
{
    return pawl_json(
        w,
        "{messages: [{role: \"user\", content: {type: \"resource\", resource: {uri: %s, mimeType: "
        "\"text/plain\", text: \"Embedded resource content for testing.\"}}}, {role: \"user\", content: "
        "{type: \"text\", text: \"Please process the embedded resource above.\"}}]}",
        pawl_str(in, "resourceUri", ""));
}

static const pawl_value *prompt_with_image(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return json(w,
                "{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"image\",\"data\":\"" PNG
                "\",\"mimeType\":\"image/png\"}},{\"role\":\"user\",\"content\":{\"type\":\"text\","
                "\"text\":\"Please analyze the image above.\"}}]}");
}

static const pawl_value *prompt_that_asks(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *answer = ask_form(
        w, "user_context", "What context should the prompt use?",
        "{\"type\":\"object\",\"properties\":{\"context\":{\"type\":\"string\"}},\"required\":[\"context\"]}");
    return one_message(w, pawl_str(answer, "data.context", ""));
}

/* ---- resources ---- */

static const pawl_value *static_text(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return text(w, "This is the content of the static text resource.");
}

static const pawl_value *static_binary(pawl_run *w, const pawl_value *in)
{
    return pawl_json(w, "{contents: [{uri: %s, mimeType: \"image/png\", blob: \"" PNG "\"}]}",
                     pawl_str(in, "uri", ""));
}

static const pawl_value *template_data(pawl_run *w, const pawl_value *in)
{
    char words[300];
    const char *id = pawl_str(in, "id", "");
    (void)snprintf(words, sizeof words, "Data for ID: %s", id);
    return pawl_json(w, "{id: %s, templateTest: true, data: %s}", id, words);
}

static const pawl_value *watched(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return text(w, "Watched resource content");
}

/* ---- what is there ---- */

static const struct {
    const char *name, *description;
    pawl_workflow_fn fn;
    const char *input_schema, *publish;
} workflows[] = {
#define X(name, fn, description, schema, publish) {name, description, fn, schema, publish},
#include "tests/mcp/conformance_module.def"
#undef X
};

PAWL_MODULE(reg, err)
{
    static const pawl_activity_options pure = {.struct_size = sizeof pure,
                                               .effect = PAWL_EFFECT_PURE};
    pawl_status status = reg->activity(reg, "conformance_say", say, NULL, err);
    status = status == PAWL_OK ? reg->activity(reg, "conformance_look", say, &pure, err) : status;
    status = status == PAWL_OK ? reg->activity(reg, "conformance_note", note, NULL, err) : status;
    status = status == PAWL_OK
                 ? reg->activity(reg, "conformance_note_safely", note_safely, NULL, err)
                 : status;
    for (size_t i = 0; status == PAWL_OK && i < sizeof workflows / sizeof workflows[0]; i++) {
        const pawl_workflow_options options = {.struct_size = sizeof options,
                                               .description = workflows[i].description,
                                               .input_schema = workflows[i].input_schema,
                                               .publish = workflows[i].publish};
        status = reg->workflow(reg, workflows[i].name, "1", workflows[i].fn, &options, err);
    }
    return status;
}
