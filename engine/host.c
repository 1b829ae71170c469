/*
 * host.c - opening and closing an engine, and registering code.
 *
 * Open, in this order: journal (owner lock), lease (epoch), breadcrumb, readers, pool, mailbox, writer, core, watchdog, loop, control socket.
 * Close runs it backwards, after the work has been let finish:
 *
 *   no new calls -> core takes no new work -> what runs may finish -> what still runs is told to stop -> runners stop
 *   -> what they reported is committed -> loop and writer stop -> core is freed -> control socket closes -> waiting calls get SHUTDOWN
 *   -> crumb (a clean end), journal (gives the lock back)
 *
 * A half-opened engine is closed by the same function: every part may be missing.
 */
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/host.h"
#include "engine/overflow.h"
#include "engine/threads.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

const char *pawl_version(void)
{
    return PAWL_VERSION;
}

/* ---- names ---- */

static const char *absolute(pawl_scope *scope, const char *path)
{
    char cwd[4096];

    if (path[0] == '/' || getcwd(cwd, sizeof cwd) == NULL) {
        return pw_strdup(scope, path);
    }
    return pw_sprintf(scope, "%s/%s", cwd, path);
}

static const char *default_identity(pawl_scope *scope)
{
    struct passwd pw;
    struct passwd *found = NULL;
    char space[1024];
    char host[65] = "localhost";

    (void)gethostname(host, sizeof host - 1);
    (void)getpwuid_r(getuid(), &pw, space, sizeof space, &found);
    return found != NULL ? pw_sprintf(scope, "%s@%s", found->pw_name, host)
                         : pw_sprintf(scope, "%ld@%s", (long)getuid(), host);
}

static pawl_status take_options(pawl_engine *e, const char *path, const pawl_options *options,
                                pawl_error *err)
{
    if (options != NULL) {
        size_t size = options->struct_size == 0 || options->struct_size > sizeof e->options
                          ? sizeof e->options
                          : options->struct_size;
        memcpy(&e->options, options, size);
    }
    if (!e->options.memory && (path == NULL || path[0] == '\0')) {
        return pw_err(err, PAWL_INVALID, "the path of the journal is missing");
    }
    e->scope = pawl_scope_new();
    if (e->scope != NULL) {
        e->path = e->options.memory ? "" : absolute(e->scope, path);
        e->identity = e->options.identity != NULL ? pw_strdup(e->scope, e->options.identity)
                                                  : default_identity(e->scope);
        e->options.identity = e->identity;
    }
    if (e->path == NULL || e->identity == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory to open a journal");
    }
    if (e->options.pool_threads > PW_POOL_THREADS_MAX) {
        return pw_err(err, PAWL_LIMIT, "%u pool threads; at most %d", e->options.pool_threads,
                      PW_POOL_THREADS_MAX);
    }
    if (e->options.max_live_runs > PW_LIVE_RUNS_MAX) {
        return pw_err(err, PAWL_LIMIT, "%d live runs; at most %d", e->options.max_live_runs,
                      PW_LIVE_RUNS_MAX);
    }
    return PAWL_OK;
}

/* ---- opening ---- */

static void committed(void *ctx, pw_group *group)
{
    pawl_engine *e = ctx;

    if (!atomic_load_explicit(&e->journal_thread_known, memory_order_relaxed)) {
        e->journal_thread = pthread_self();
        atomic_store(&e->journal_thread_known, true);
    }
    pw_mailbox_put_group(e->mailbox, group);
}

static pawl_status open_journal(pawl_engine *e, char socket[108], uint64_t *ret_group_no,
                                pawl_error *err)
{
    pawl_status status = PAWL_OK;

    socket[0] = '\0';
    if (e->options.memory) {
        status = pw_memory_open(&e->journal, err);
    } else {
        status = e->options.no_socket ? PAWL_OK : pw_socket_path(e->path, socket, err);
        status = status == PAWL_OK ? pw_sqlite_open(e->path, socket, &e->journal, err) : status;
    }
    if (status != PAWL_OK) {
        return status;
    }
    status = e->journal->ops->lease(e->journal, &e->epoch, ret_group_no, err);
    if (status == PAWL_OK) {
        status = e->journal->ops->reader_open(e->journal, &e->core_reader, err);
    }
    if (status == PAWL_OK) {
        status = e->journal->ops->reader_open(e->journal, &e->view_reader, err);
    }
    return status;
}

static int live_runs(const pawl_engine *e)
{
    int asked = e->options.max_live_runs;

    return asked < 0 ? 0 : asked == 0 ? PW_LIVE_RUNS_DEFAULT : asked;
}

static pawl_status open_core(pawl_engine *e, uint64_t group_no, pawl_error *err)
{
    pw_env env;
    pawl_status status =
        pw_crumb_open(e->options.memory ? NULL : e->path, &e->crumb, &e->crumb_found, err);

    if (status != PAWL_OK) {
        return status;
    }
    pw_core_options options = {.epoch = e->epoch,
                               .group_no = group_no,
                               .reader = e->core_reader,
                               .crumb = e->crumb,
                               .crumb_found = e->crumb_found,
                               .journal_path = e->path,
                               .build = pw_build_digest(),
                               .live_runs_max = live_runs(e),
                               .strict_replay = e->options.strict_replay,
                               .debug_held = e->options.debug_held};
    pw_host_env(e, &env);
    return pw_core_new(&env, &options, &e->core, err);
}

static pawl_status start_threads(pawl_engine *e, pawl_error *err)
{
    pw_watchdog_options wd = {.crumb = e->crumb,
                              .abort_ms = e->options.watchdog_abort_ms,
                              .held = pw_host_held,
                              .ctx = e};
    sigset_t before;

    pw_signals_block(&before); /* the journal thread and the pool's inherit it */
    pawl_status status = pw_writer_start(e->journal, committed, e, &e->writer, err);
    if (status == PAWL_OK) {
        status = pawl_pool_start(e->options.pool_threads, &e->pool, err);
    }
    pw_signals_restore(&before);
    if (status == PAWL_OK && !e->options.no_segv_handler) {
        status = pw_overflow_watch(err);
        e->watches_overflow = status == PAWL_OK;
    }
    if (status == PAWL_OK) {
        status = pw_watchdog_start(&wd, &e->watchdog, err);
    }
    if (status == PAWL_OK) {
        status = pw_loop_start(e->core, e->mailbox, e->watchdog, &e->loop, err);
    }
    return status;
}

static void control_log(void *ctx, pawl_level level, const char *text)
{
    pw_host_log(ctx, level, NULL, 0, "%s", text);
}

static pawl_status start_control(pawl_engine *e, const char *socket, pawl_error *err)
{
    pw_control_options options = {.socket = socket,
                                  .journal_path = e->path,
                                  .epoch = e->epoch,
                                  .mailbox = e->mailbox,
                                  .log = control_log,
                                  .log_ctx = e};

    if (socket[0] == '\0') {
        return PAWL_OK;
    }
    pawl_status status = e->journal->ops->reader_open(e->journal, &options.reader, err);
    return status == PAWL_OK ? pw_control_start(&options, &e->control, err) : status;
}

static pawl_status open_parts(pawl_engine *e, const char *path, const pawl_options *options,
                              pawl_error *err)
{
    char socket[108];
    uint64_t group_no = 0;
    pawl_status status = take_options(e, path, options, err);

    if (status == PAWL_OK) {
        status = pw_mailbox_new(&e->mailbox, err);
    }
    if (status == PAWL_OK) {
        status = pw_outbox_new(&e->outbox, err);
    }
    if (status == PAWL_OK) {
        status = open_journal(e, socket, &group_no, err);
    }
    if (status == PAWL_OK) {
        status = open_core(e, group_no, err);
    }
    if (status == PAWL_OK) {
        status = start_threads(e, err);
    }
    return status == PAWL_OK ? start_control(e, socket, err) : status;
}

static void close_parts(pawl_engine *e, int64_t drain_ms);

pawl_status pawl_open(const char *path, const pawl_options *options, pawl_engine **ret_engine,
                      pawl_error *err)
{
    if (pw_core_in_workflow()) {
        return pw_err(err, PAWL_MISUSE, "pawl_open from workflow code");
    }
    pawl_engine *e = pw_calloc(1, sizeof *e);
    if (e == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for an engine");
    }
    e->pid = getpid();
    atomic_store(&e->clients, PW_CLIENT_HOST); /* apart from the control server's */
    pthread_mutex_init(&e->view_lock, NULL);
    pthread_mutex_init(&e->waiters_lock, NULL);
    pawl_status status = open_parts(e, path, options, err);
    if (status != PAWL_OK) {
        close_parts(e, 0);
        return status;
    }
    *ret_engine = e;
    return PAWL_OK;
}

/* ---- closing ---- */

struct closing {
    pawl_engine *engine;
    int64_t drain_ms;
};

/** "2 activities (fetch, plan)"; false when none runs. */
static bool running_text(const pawl_engine *e, char *ret_text, size_t size)
{
    char names[400];
    size_t count = pw_core_tasks_running(e->core);

    pw_core_tasks_text(e->core, names, sizeof names);
    (void)snprintf(ret_text, size, "%zu activit%s (%s)", count, count == 1 ? "y" : "ies", names);
    return count > 0;
}

static pawl_status shutdown_core(void *ctx, pawl_error *err)
{
    struct closing *c = ctx;
    char text[440];

    (void)err;
    pw_core_shutdown(c->engine->core);
    if (running_text(c->engine, text, sizeof text) && c->drain_ms > 0) {
        pw_host_log(c->engine, PAWL_INFO, NULL, 0, "closing: waiting for %s, at most %.3g s", text,
                    (double)c->drain_ms / 1000);
    }
    return PAWL_OK;
}

static pawl_status stop_tasks(void *ctx, pawl_error *err)
{
    pawl_engine *e = ((struct closing *)ctx)->engine;
    char text[440];

    (void)err;
    if (running_text(e, text, sizeof text)) {
        pw_host_log(e, PAWL_INFO, NULL, 0, "closing: %s told to stop, within %.3g s", text,
                    (double)PW_STOP_MS / 1000);
    }
    pw_core_stop_tasks(e->core);
    e->runners_stopped = true; /* from here on they are the closing thread's */
    return PAWL_OK;
}

static pawl_status tell_of_the_rest(void *ctx, pawl_error *err)
{
    pawl_engine *e = ((struct closing *)ctx)->engine;
    char text[440];

    (void)err;
    if (running_text(e, text, sizeof text)) {
        pw_host_log(
            e, PAWL_WARN, NULL, 0,
            "closed without %s: told to stop and still running; done again after the next open",
            text);
    }
    return PAWL_OK;
}

/** One budget for all of them. */
static void stop_runners(pawl_engine *e)
{
    int64_t until_ms = pw_mono_after_ms(PW_STOP_MS);

    while (e->runners_len > 0) {
        pawl_runner *runner = e->runners[--e->runners_len];
        int64_t left_ms = until_ms - pw_mono_ms();
        runner->ops->stop(runner, left_ms > 0 ? left_ms : 0);
    }
    if (e->pool != NULL) {
        int64_t left_ms = until_ms - pw_mono_ms();
        e->pool->ops->stop(e->pool, left_ms > 0 ? left_ms : 0);
        e->pool = NULL;
    }
}

/** Lets what runs finish, at most until then; then asks it to stop, and gets what it reported committed. */
static void drain(pawl_engine *e, int64_t drain_ms)
{
    pawl_error err;
    struct closing c = {e, drain_ms};

    pw_mailbox_shut(e->mailbox);
    (void)!pw_loop_call(e->loop, shutdown_core, &c, &err);
    if (drain_ms > 0) {
        (void)pw_loop_settle(e->loop, true, drain_ms);
    }
    (void)!pw_loop_call(e->loop, stop_tasks, &c, &err);
    stop_runners(e);
    (void)pw_loop_settle(e->loop, false, PW_STOP_MS);
    (void)!pw_loop_call(e->loop, tell_of_the_rest, &c, &err);
}

static void drop_requests(pw_request *first)
{
    while (first != NULL) {
        pw_request *rq = first;
        first = rq->next;
        pw_request_free(rq);
    }
}

static void drop_reports(pw_report *first)
{
    while (first != NULL) {
        pw_report *report = first;
        first = report->next;
        pw_report_free(report);
    }
}

/** What came after the loop had stopped. Calls are run, since somebody may wait for one: they find no core. */
static void take_leftovers(pawl_engine *e)
{
    pw_mail mail;

    pw_mailbox_take(e->mailbox, &mail);
    while (mail.calls != NULL) {
        pw_call *call = mail.calls;
        mail.calls = call->next;
        call->run(call);
    }
    drop_requests(mail.requests);
    drop_reports(mail.reports);
    while (mail.gone != NULL) {
        pw_gone *gone = mail.gone;
        mail.gone = gone->next;
        pw_free(gone);
    }
}

/** Lets every thread out that is inside a call. */
static void release_callers(pawl_engine *e)
{
    if (e->mailbox == NULL) {
        return;
    }
    for (;;) {
        take_leftovers(e);
        pw_host_answer_all(e);
        if (atomic_load(&e->calls) == 0) {
            return;
        }
        struct timespec nap = {.tv_nsec = 100000};
        nanosleep(&nap, NULL);
    }
}

/** A clean end. Of an engine that was never told to go on nothing is in the file. */
static void close_crumb(pawl_engine *e)
{
    pw_crumb_close(e->crumb, atomic_load(&e->recovered));
    e->crumb = NULL;
}

static void close_journal(pawl_engine *e)
{
    if (e->core_reader != NULL) {
        e->core_reader->ops->reader_close(e->core_reader);
    }
    if (e->view_reader != NULL) {
        e->view_reader->ops->reader_close(e->view_reader);
    }
    close_crumb(e);
    if (e->journal != NULL) {
        e->journal->ops->close(e->journal);
    }
}

static void free_memory(pawl_engine *e)
{
    pw_mailbox_free(e->mailbox);
    pw_outbox_free(e->outbox);
    pthread_mutex_destroy(&e->view_lock);
    pthread_mutex_destroy(&e->waiters_lock);
    pawl_scope_free(e->scope);
    pw_free(e);
}

static void close_parts(pawl_engine *e, int64_t drain_ms)
{
    if (e->loop != NULL) {
        drain(e, drain_ms);
    } else {
        stop_runners(e);
    }
    pw_loop_stop(e->loop);
    pw_watchdog_stop(e->watchdog);
    if (e->watches_overflow) {
        pw_overflow_unwatch();
    }
    pw_writer_stop(e->writer); /* answers what it has into the mailbox */
    pw_core_free(e->core);
    e->core = NULL;
    pw_control_stop(e->control); /* replies that the core made last still go out */
    release_callers(e);
    pw_loop_free(e->loop);
    close_journal(e);
    pw_modules_close(e);
    free_memory(e);
}

void pawl_close(pawl_engine *e, int64_t drain_ms)
{
    pawl_error err;

    pawl_status status = e != NULL ? pw_host_refuse(e, &err) : PAWL_INVALID;
    if (status == PAWL_MISUSE) {
        pw_host_log(e, PAWL_ERROR, NULL, 0, "pawl_close does nothing: %s", err.message);
    }
    if (status == PAWL_OK && !atomic_exchange(&e->closing, true)) {
        pw_outbox_shut(e->outbox);
        pw_host_leave_dispatches(e);
        close_parts(e, drain_ms);
    }
}

/* ---- code ---- */

struct code {
    pawl_engine *engine;
    const char *name;
    const char *version;
    pawl_workflow_fn workflow;
    const pawl_folded *folded;
    const pawl_workflow_options *workflow_options;
    pawl_activity_fn activity;
    const pawl_activity_options *activity_options;
};

/** Takes the runner over, unless it has it already. */
static pawl_status register_activity(struct code *c, pawl_error *err)
{
    pawl_engine *e = c->engine;
    pawl_runner *runner = NULL;
    bool known = false;

    if (c->activity_options != NULL &&
        (c->activity_options->struct_size == 0 ||
         c->activity_options->struct_size >= sizeof *c->activity_options)) {
        runner = c->activity_options->runner;
    }
    for (size_t i = 0; i < e->runners_len; i++) {
        known = known || e->runners[i] == runner;
    }
    if (runner != NULL && !known && e->runners_len == PW_RUNNERS_MAX) {
        return pw_err(err, PAWL_LIMIT, "an engine has %d runners at most", PW_RUNNERS_MAX);
    }
    pawl_status status = pw_core_activity(e->core, c->name, c->activity, c->activity_options, err);
    if (status == PAWL_OK && runner != NULL && !known) {
        e->runners[e->runners_len++] = runner;
    }
    return status;
}

static pawl_status register_on_loop(void *ctx, pawl_error *err)
{
    struct code *c = ctx;

    if (c->engine->core == NULL) {
        return pw_err(err, PAWL_SHUTDOWN, "the engine is closing");
    }
    if (c->activity != NULL) {
        return register_activity(c, err);
    }
    return pw_core_workflow(c->engine->core, c->name, c->version, c->workflow, c->folded,
                            c->workflow_options, err);
}

static pawl_status register_code(struct code *c, pawl_error *err)
{
    pawl_status status = pw_host_enter(c->engine, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (c->name == NULL || (c->activity == NULL &&
                            (c->version == NULL || (c->workflow == NULL && c->folded == NULL)))) {
        status = pw_err(err, PAWL_INVALID, "a registration without a name, a version or code");
    } else {
        status = pw_loop_call(c->engine->loop, register_on_loop, c, err);
    }
    pw_host_leave(c->engine);
    return status;
}

pawl_status pawl_register_workflow(pawl_engine *e, const char *name, const char *version,
                                   pawl_workflow_fn fn, const pawl_workflow_options *options,
                                   pawl_error *err)
{
    struct code c = {
        .engine = e, .name = name, .version = version, .workflow = fn, .workflow_options = options};

    return register_code(&c, err);
}

pawl_status pawl_register_folded(pawl_engine *e, const char *name, const char *version,
                                 const pawl_folded *folded, const pawl_workflow_options *options,
                                 pawl_error *err)
{
    struct code c = {.engine = e,
                     .name = name,
                     .version = version,
                     .folded = folded,
                     .workflow_options = options};

    return register_code(&c, err);
}

pawl_status pawl_register_activity(pawl_engine *e, const char *name, pawl_activity_fn fn,
                                   const pawl_activity_options *options, pawl_error *err)
{
    struct code c = {.engine = e, .name = name, .activity = fn, .activity_options = options};

    return register_code(&c, err);
}

pawl_status pawl_load_module(pawl_engine *e, const char *path, pawl_error *err)
{
    pawl_status status = pw_host_enter(e, err);

    if (status != PAWL_OK) {
        return status;
    }
    status = path == NULL ? pw_err(err, PAWL_INVALID, "the path of the module is missing")
                          : pw_module_load(e, path, err);
    pw_host_leave(e);
    return status;
}

static pawl_status recover_on_loop(void *ctx, pawl_error *err)
{
    pawl_engine *e = ctx;

    if (e->core == NULL) {
        return pw_err(err, PAWL_SHUTDOWN, "the engine is closing");
    }
    pawl_status status = pw_crumb_own(e->crumb, err);
    return status == PAWL_OK ? pw_core_recover(e->core, err) : status;
}

pawl_status pawl_resume_all(pawl_engine *e, pawl_error *err)
{
    pawl_status status = pw_host_enter(e, err);

    if (status != PAWL_OK) {
        return status;
    }
    status = pw_loop_call(e->loop, recover_on_loop, e, err);
    atomic_store(&e->recovered, atomic_load(&e->recovered) || status == PAWL_OK);
    pw_host_leave(e);
    return status;
}
