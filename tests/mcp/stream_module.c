/*
 * stream_module.c - what activities say for http_stream_test.py: a model that says tokens, and one that says too much. They wait at gates: FIFOs of the
 * test's folder, a byte for each time that one may be passed. Does not check what is heard.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/pawl_module.h"

#define PIECE_SIZE 4096

static void pass_gate(const pawl_value *in, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", pawl_str(in, "dir", "."), name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        char byte = 0;
        const ssize_t n = read(fd, &byte, 1);
        (void)n;
        (void)close(fd);
    }
}

static void say_text(pawl_task *task, const char *text)
{
    (void)pawl_task_output(task, "text", text, strlen(text));
}

/* The first attempt says the wrong thing and breaks, if it is told to; then tokens, and a byte that is no text. */
static const pawl_value *model(pawl_task *task, const pawl_value *in, void *user)
{
    static const char *const tokens[] = {"Hel", "lo,\n", "w\xc3\xb6rld"};
    static const char raw[] = {'\xff', '\0', '\n'};
    (void)user;
    if (pawl_bool(in, "breaks", false) && pawl_task_attempt(task) == 1) {
        say_text(task, "wrong");
        pass_gate(in, "first");
        return pawl_task_fail(task, "Broken", "the connection to the model broke");
    }
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        say_text(task, tokens[i]);
    }
    (void)pawl_task_output(task, "raw", raw, sizeof raw);
    pass_gate(in, "second");
    say_text(task, "!");
    return pawl_task_build(task, "{text: \"Hello\"}");
}

static const pawl_value *flood(pawl_task *task, const pawl_value *in, void *user)
{
    char piece[PIECE_SIZE];
    const int64_t pieces = pawl_int(in, "pieces", 0);
    (void)user;
    memset(piece, 'x', sizeof piece);
    for (int64_t i = 0; i < pieces; i++) {
        if (pieces >= 8 && i % (pieces / 8) == 0) {
            pass_gate(in,
                      "first"); /* in eighths: what is on its way to the engine is bounded too */
        }
        (void)pawl_task_output(task, "text", piece, sizeof piece);
    }
    pass_gate(in, "second");
    return NULL;
}

static const pawl_value *ask_model(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "stream_model", .input = in, .retries = 1, .retry_initial_s = 0.01);
}

static const pawl_value *ask_flood(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "stream_flood", .input = in, .retries = -1);
}

static const pawl_value *fails(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_fail(w, "Always", "as it always does");
}

PAWL_MODULE(reg, err)
{
    pawl_status status = reg->activity(reg, "stream_model", model, NULL, err);
    status = status == PAWL_OK ? reg->activity(reg, "stream_flood", flood, NULL, err) : status;
    status =
        status == PAWL_OK ? reg->workflow(reg, "ask_model", "1", ask_model, NULL, err) : status;
    status =
        status == PAWL_OK ? reg->workflow(reg, "ask_flood", "1", ask_flood, NULL, err) : status;
    return status == PAWL_OK ? reg->workflow(reg, "fails", "1", fails, NULL, err) : status;
}
