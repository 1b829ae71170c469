/*
 * cli_module.c - the workflows that the command line's tests run: one for each thing a command shows or moves.
 *
 * Activities that must leave a trace append a line to the file that the input names. Does not check anything: cli_*_test.py does.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/pawl_module.h"

/* ---- activities ---- */

static const pawl_value *greet(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{text: %s, to: %s}", "Hello", pawl_str(in, "name", "you"));
}

static const pawl_value *fail(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_fail(t, pawl_str(in, "type", "Broken"), "%s",
                          pawl_str(in, "message", "it broke"));
}

/* Fails until the file exists: what a retry mends. */
static const pawl_value *needs_file(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    FILE *f = fopen(pawl_str(in, "file", ""), "re");
    if (f == NULL) {
        return pawl_task_fail(t, "NoFile", "%s is not there", pawl_str(in, "file", ""));
    }
    (void)fclose(f);
    return pawl_task_build(t, "{found: true}");
}

static const pawl_value *note(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    FILE *f = fopen(pawl_str(in, "log", "/dev/null"), "ae");
    if (f != NULL) {
        (void)fprintf(f, "%s\n", pawl_str(in, "line", "?"));
        (void)fclose(f);
    }
    return pawl_task_build(t, "{line: %s}", pawl_str(in, "line", "?"));
}

static const pawl_value *square(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    int64_t n = pawl_int(in, "", 0);
    return pawl_task_build(t, "%lld", (long long)(n * n));
}

/* Says something, and goes on until it is told to stop. */
static const pawl_value *tell(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    struct pollfd stop = {.fd = pawl_task_cancel_fd(t), .events = POLLIN};
    (void)pawl_task_output(t, "out", "working\n", 8);
    (void)poll(&stop, 1, -1);
    return pawl_task_fail(t, "Stopped", "it was told to stop");
}

/* What a model call would say of itself. */
static const pawl_value *spend(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    (void)pawl_task_spend(t, in);
    return NULL;
}

/* ---- workflows ---- */

static const pawl_value *spending(pawl_run *w, const pawl_value *in)
{
    for (size_t i = 0; i < pawl_len(in); i++) {
        (void)pawl_call(w, "spend", .input = pawl_at(in, i),
                        .reserve = pawl_json(w, "{usd: 0.05, calls: 1}"));
    }
    return pawl_budget(w);
}

static const pawl_value *hello(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "greet", .input = in);
}

static const pawl_value *echo(pawl_run *w, const pawl_value *in)
{
    (void)w;
    return in;
}

static const pawl_value *broken(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "fail", .input = in, .retries = PAWL_RETRY_NONE);
}

static const pawl_value *lacking(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "nobody_has_this", .input = in);
}

static const pawl_value *reverting(pawl_run *w, const pawl_value *in)
{
    (void)pawl_call(w, "greet", .input = in, .undo = "note");
    return pawl_fail(w, "Regretted", "it was not meant");
}

static const pawl_value *asking_twice(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_ask(w, "first", .prompt = "First?", .choices = "yes|no");
    (void)pawl_ask(w, "second", .prompt = "Second?", .choices = "yes|no", .deadline_s = 0.1,
                   .on_deadline = "no");
    return pawl_signal(w, .name = "go");
}

static const pawl_value *adopting(pawl_run *w, const pawl_value *in)
{
    return pawl_child(w, .workflow = "broken", .input = in);
}

static const pawl_value *chatty(pawl_run *w, const pawl_value *in)
{
    for (int i = 0; i < 20000; i++) {
        pawl_set(w, "count", in);
    }
    return NULL;
}

static const pawl_value *careless(pawl_run *w, const pawl_value *in)
{
    for (int i = 0; i < 20000; i++) {
        (void)pawl_call(w, "fail", .input = in, .retries = PAWL_RETRY_NONE);
    }
    return NULL;
}

static const pawl_value *wordy(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_ask(w, "a-question-with-a-name-that-does-not-fit-into-the-line-of-a-terminal",
                    .prompt = "Now?", .choices = "yes|no", .deadline_s = 90000,
                    .on_deadline = "no");
}

static const pawl_value *misspelt(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_json(w, "{oops: yes}");
}

static const pawl_value *mendable(pawl_run *w, const pawl_value *in)
{
    (void)pawl_call(w, "note",
                    .input = pawl_json(w, "{log: %s, line: %s}", pawl_str(in, "log", ""), "once"));
    return pawl_call(w, "needs_file", .input = in, .retries = PAWL_RETRY_NONE);
}

static const pawl_value *retrying(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "needs_file", .input = in, .retries = PAWL_RETRY_FOREVER,
                     .retry_initial_s = 0.05, .retry_factor = 1);
}

static const pawl_value *asking(pawl_run *w, const pawl_value *in)
{
    const pawl_value *answer =
        pawl_ask(w, "publish", .prompt = "Publish it?", .choices = "approve|reject", .show = in,
                 .deadline_s = pawl_num(in, "deadline_s", 0), .on_deadline = "reject");
    return pawl_json(w, "{choice: %s, by: %s, data: %p}", pawl_str(answer, "choice", ""),
                     pawl_str(answer, "by", ""), pawl_v(pawl_get(answer, "data")));
}

/* Two of the people in `who` must agree; the schema of what they change is the module's. */
static const pawl_value *paying(pawl_run *w, const pawl_value *in)
{
    const pawl_value *schema = pawl_json(
        w,
        "{type: %s, properties: {amount: {type: %s, minimum: 1, description: %s}, to: {type: %s}},"
        " required: [%s]}",
        "object", "integer", "in cents", "string", "amount");
    const pawl_value *answer =
        pawl_ask(w, "pay",
                 .prompt = "Pay this invoice? It is the third one this month, and the sum is above "
                           "what one of us may sign alone.",
                 .choices = "approve|modify|reject", .show = pawl_get(in, "invoice"),
                 .schema = schema, .quorum = 2, .who = pawl_str(in, "who", NULL), .four_eyes = true,
                 .deadline_s = pawl_num(in, "deadline_s", 86400), .on_deadline = "reject",
                 .escalate_s = pawl_num(in, "escalate_s", 3600), .escalate_to = "boss",
                 .defer_max_s = 172800);
    return pawl_json(w, "{choice: %s, by: %s, data: %p, votes: %p}", pawl_str(answer, "choice", ""),
                     pawl_str(answer, "by", ""), pawl_v(pawl_get(answer, "data")),
                     pawl_v(pawl_get(answer, "votes")));
}

static const pawl_value *listening(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_set(w, "state", pawl_json(w, "{step: %s}", "waiting"));
    const pawl_value *got = pawl_signal(w, .name = "go");
    pawl_set(w, "state", pawl_json(w, "{step: %s}", "done"));
    return pawl_json(w, "{got: %p}", pawl_v(got));
}

static const pawl_value *telling(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "tell");
}

static const pawl_value *answer_price(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)arg;
    return pawl_json(w, "{price: %d, currency: %s}", 42, pawl_str(in, "currency", "EUR"));
}

static const pawl_value *queried(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_on_query(w, "price", answer_price, NULL);
    return pawl_signal(w, .name = "go");
}

static const pawl_value *sleeping(pawl_run *w, const pawl_value *in)
{
    (void)pawl_sleep(w, pawl_num(in, "seconds", 3600));
    return pawl_json(w, "{slept: true}");
}

static const pawl_value *undone(pawl_run *w, const pawl_value *in)
{
    const char *log = pawl_str(in, "log", "");
    (void)pawl_call(w, "note", .input = pawl_json(w, "{log: %s, line: %s}", log, "did"));
    pawl_undo(w, "note", pawl_json(w, "{log: %s, line: %s}", log, "undid"));
    return pawl_signal(w, .name = "go");
}

static const pawl_value *branch(pawl_run *w, void *arg)
{
    (void)pawl_call(w, "greet", .input = pawl_json(w, "{name: %s}", (const char *)arg));
    return pawl_call(w, "greet", .input = NULL);
}

static char ada[] = "Ada";
static char bob[] = "Bob";

static const pawl_value *branching(pawl_run *w, const pawl_value *in)
{
    pawl_future *futures[2];
    (void)in;
    futures[0] = pawl_go(w, branch, ada);
    futures[1] = pawl_go(w, branch, bob);
    (void)pawl_await_all(w, futures, 2);
    return pawl_json(w, "{both: true}");
}

static const pawl_value *mapping(pawl_run *w, const pawl_value *in)
{
    return pawl_map(w, "square", .items = pawl_get(in, "items"), .width = 4);
}

static const pawl_value *parent(pawl_run *w, const pawl_value *in)
{
    return pawl_child(w, .workflow = "hello", .input = in);
}

static const pawl_value *renewing(pawl_run *w, const pawl_value *in)
{
    int64_t left = pawl_int(in, "left", 0);
    (void)pawl_call(w, "greet", .input = in);
    return left > 0 ? pawl_continue_as_new(w, pawl_json(w, "{left: %lld}", (long long)(left - 1)))
                    : pawl_json(w, "{left: 0}");
}

/* Everything at once, for looking at. */
static const pawl_value *gallery(pawl_run *w, const pawl_value *in)
{
    pawl_future *futures[2];
    pawl_progress(w, 1, 3, "looking");
    (void)pawl_call(w, "greet", .input = in);
    (void)pawl_sleep(w, 0.2);
    futures[0] = pawl_go(w, branch, ada);
    futures[1] = pawl_go(w, branch, bob);
    (void)pawl_await_all(w, futures, 2);
    (void)pawl_map(w, "square", .items = pawl_get(in, "items"));
    (void)pawl_child(w, .workflow = "hello", .input = in);
    (void)pawl_call(w, "needs_file", .input = in, .retries = 1, .retry_initial_s = 0.1);
    (void)pawl_catch(w);
    pawl_progress(w, 2, 3, "asking");
    return pawl_ask(w, "publish", .prompt = "Publish it?", .choices = "approve|reject", .show = in,
                    .deadline_s = 86400);
}

static const pawl_value *spinning(pawl_run *w, const pawl_value *in)
{
    (void)w;
    (void)in;
    for (volatile int64_t i = 0; i >= 0; i++) {
    }
    return NULL;
}

PAWL_MODULE(reg, err)
{
    static const struct {
        const char *name;
        pawl_activity_fn fn;
    } activities[] = {{"greet", greet}, {"fail", fail},     {"needs_file", needs_file},
                      {"note", note},   {"square", square}, {"spend", spend},
                      {"tell", tell}};
    static const struct {
        const char *name;
        pawl_workflow_fn fn;
    } workflows[] = {{"hello", hello},         {"echo", echo},
                     {"broken", broken},       {"mendable", mendable},
                     {"retrying", retrying},   {"asking", asking},
                     {"listening", listening}, {"queried", queried},
                     {"sleeping", sleeping},   {"undone", undone},
                     {"branching", branching}, {"mapping", mapping},
                     {"parent", parent},       {"renewing", renewing},
                     {"gallery", gallery},     {"spinning", spinning},
                     {"lacking", lacking},     {"misspelt", misspelt},
                     {"reverting", reverting}, {"asking_twice", asking_twice},
                     {"adopting", adopting},   {"chatty", chatty},
                     {"careless", careless},   {"wordy", wordy},
                     {"paying", paying},       {"spending", spending},
                     {"telling", telling}};
    pawl_status s = PAWL_OK;
    for (size_t i = 0; s == PAWL_OK && i < sizeof activities / sizeof activities[0]; i++) {
        s = reg->activity(reg, activities[i].name, activities[i].fn, NULL, err);
    }
    for (size_t i = 0; s == PAWL_OK && i < sizeof workflows / sizeof workflows[0]; i++) {
        s = reg->workflow(reg, workflows[i].name, "1", workflows[i].fn, NULL, err);
    }
    return s;
}
