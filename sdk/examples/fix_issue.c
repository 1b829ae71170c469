/*
 * fix_issue.c - the program that pawl_workflow.h begins with, complete: a workflow, stand-ins for its activities, and a host on an
 * in-memory journal that answers the workflow's question itself.
 *
 *     cc fix_issue.c $(pkg-config --cflags --libs pawl-static) && ./a.out
 *
 * Does not call a model or a code host: its activities are stand-ins.
 * With a path instead of options.memory the run survives kill -9 anywhere: start the program again.
 */
#include <pawl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const pawl_value *fix_issue(pawl_run *w, const pawl_value *in)
{
    const pawl_value *files = pawl_call(w, "list_files", .input = in, .timeout_s = 60);
    const pawl_value *notes = pawl_map(w, "summarise", files, .width = 8, .retries = 5);
    const pawl_value *plan = pawl_call(
        w, "plan", .input = pawl_json(w, "{issue: %p, notes: %p}", pawl_v(in), pawl_v(notes)));
    if (pawl_ok(w) && pawl_is(plan, "risk", "high")) {
        const pawl_value *answer =
            pawl_ask(w, "approve-patch", .prompt = "Apply?", .show = plan,
                     .choices = "approve|reject", .deadline_s = 3 * 86400, .on_deadline = "reject");
        if (pawl_is(answer, "choice", "reject")) {
            return pawl_fail(w, "Rejected", "by %s", pawl_str(answer, "by", "deadline"));
        }
    }
    const pawl_value *pr = pawl_call(w, "open_pr", .input = plan, .undo = "close_pr");
    return pawl_json(w, "{pr: %s}", pawl_str(pr, "url", ""));
}

/* ---- activities: real ones would call a model and a code host ---- */

static const pawl_value *list_files(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_build(t, "[%s, %s, %s]", "loop.c", "timer.c", "README.md");
}

static const pawl_value *summarise(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{file: %s, note: %s}", pawl_str(in, "", "?"), "looks at timers");
}

static const pawl_value *plan(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{title: %s, files: %zu, risk: %s}", pawl_str(in, "issue.title", ""),
                           pawl_len(pawl_get(in, "notes")), "high");
}

static const pawl_value *open_pr(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    if (pawl_str(in, "title", "")[0] == '\0') {
        return pawl_task_fail(t, "BadPlan", "a plan needs a title");
    }
    /* pawl_task_key(t) goes to the code host as the idempotency key: a second attempt finds the first one's request. */
    return pawl_task_build(t, "{url: %s}", "https://example.org/pr/1");
}

static const pawl_value *close_pr(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    return pawl_task_build(t, "{closed: %s}", pawl_str(in, "result.url", ""));
}

/* ---- the host ---- */

static bool register_code(pawl_engine *e, pawl_error *err)
{
    static const struct {
        const char *name;
        pawl_activity_fn fn;
    } activities[] = {{"list_files", list_files},
                      {"summarise", summarise},
                      {"plan", plan},
                      {"open_pr", open_pr},
                      {"close_pr", close_pr}};
    for (size_t i = 0; i < sizeof activities / sizeof activities[0]; i++) {
        if (pawl_register_activity(e, activities[i].name, activities[i].fn, NULL, err) != PAWL_OK) {
            return false;
        }
    }
    return pawl_register_workflow(e, "fix_issue", "1", fix_issue, NULL, err) == PAWL_OK &&
           pawl_resume_all(e, err) == PAWL_OK;
}

/* Called by pawl_dispatch on this thread, after the event was committed. */
static void on_event(void *user, const pawl_value *event)
{
    bool *asked = user;
    printf("%s\n", pawl_str(event, "type", "?"));
    *asked = *asked || pawl_is(event, "type", "WaitCreated");
}

/* Events come until the workflow asks; a program with a loop of its own polls the descriptor there. */
static bool wait_for_question(pawl_engine *e, const bool *asked)
{
    struct pollfd fd = {.fd = pawl_poll_fd(e), .events = POLLIN};
    while (!*asked && poll(&fd, 1, 10000) > 0) {
        pawl_dispatch(e);
    }
    return *asked;
}

static bool run(pawl_engine *e, pawl_scope *scope, pawl_error *err)
{
    const pawl_start_options start = {.workflow = "fix_issue",
                                      .id = "issue-17",
                                      .input =
                                          pawl_build(scope, "{title: %s}", "timers fire twice")};
    const pawl_value *result = NULL;
    bool asked = false;
    if (!register_code(e, err) || pawl_watch(e, NULL, on_event, &asked, err) != PAWL_OK ||
        pawl_start(e, &start, sizeof start, NULL, err) != PAWL_OK) {
        return false;
    }
    if (!wait_for_question(e, &asked)) {
        (void)snprintf(err->message, sizeof err->message, "the workflow did not ask");
        return false;
    }
    if (pawl_answer(e, "issue-17", "approve-patch", pawl_build(scope, "{choice: %s}", "approve"),
                    "the example", err) != PAWL_OK ||
        pawl_result(e, "issue-17", 10000, scope, &result, err) != PAWL_OK) {
        return false;
    }
    printf("result: %s\n", pawl_to_json(scope, result, 0));
    return true;
}

int main(void)
{
    const pawl_options options = {.struct_size = sizeof options, .memory = true};
    pawl_engine *e = NULL;
    pawl_error err;
    memset(&err, 0, sizeof err);
    if (pawl_open("", &options, &e, &err) != PAWL_OK) {
        fprintf(stderr, "open: %s\n", err.message);
        return EXIT_FAILURE;
    }
    pawl_scope *scope = pawl_scope_new();
    const bool ok = run(e, scope, &err);
    if (!ok) {
        fprintf(stderr, "%s\n", err.message);
    }
    pawl_scope_free(scope);
    pawl_close(e, 5000);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
