/*
 * rig.c - a rig's life, its code, and moving things on: step, commit, answer, report, work.
 *
 * Does not look into the core, but for what core.h offers: a rig sees what a host sees.
 */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>
#include <utlist.h>

#include "engine/machine.h"
#include "rig_inside.h"

/* ---- code ---- */

rig_code *rig_code_find(rig *r, const char *name, bool activity)
{
    for (size_t i = 0; i < r->code_len; i++) {
        if (strcmp(r->code[i].name, name) == 0 && (r->code[i].version == NULL) == activity) {
            return &r->code[i];
        }
    }
    return NULL;
}

bool rig_enter(rig *r)
{
    (void)r;
    return pw_mem_hold(false);
}

bool rig_own(rig *r)
{
    return pw_mem_hold(r->careful);
}

void rig_leave(rig *r, bool was)
{
    (void)r;
    (void)pw_mem_hold(was);
}

static pawl_status code_try(rig *r, const rig_code *c, pawl_error *err)
{
    if (r->core == NULL || c->missing) {
        return PAWL_OK;
    }
    bool was = rig_enter(r);
    pawl_status st =
        c->version != NULL
            ? pw_core_workflow(r->core, c->name, c->version, c->fn, c->folded, NULL, err)
            : pw_core_activity(r->core, c->name, c->activity, &c->options, err);
    rig_leave(r, was);
    return st;
}

static void code_register(rig *r, const rig_code *c)
{
    pawl_error err = {0};
    pawl_status st = code_try(r, c, &err);
    if (st != PAWL_OK) {
        fail_msg("register %s: %s", c->name, err.message);
    }
}

static rig_code *code_add(rig *r, const char *name)
{
    assert_true(r->code_len < RIG_CODE_MAX);
    rig_code *c = &r->code[r->code_len++];
    *c = (rig_code){.name = name};
    c->options.struct_size = sizeof c->options;
    return c;
}

void rig_workflow_version(rig *r, const char *name, const char *version, pawl_workflow_fn fn)
{
    rig_code *c = code_add(r, name);
    c->version = version;
    c->fn = fn;
    code_register(r, c);
}

void rig_workflow(rig *r, const char *name, pawl_workflow_fn fn)
{
    rig_workflow_version(r, name, "1", fn);
}

void rig_folded(rig *r, const char *name, const pawl_folded *folded)
{
    rig_code *c = code_add(r, name);
    c->version = "1";
    c->folded = folded;
    code_register(r, c);
}

void rig_activity_options(rig *r, const char *name, pawl_activity_fn fn,
                          const pawl_activity_options *options)
{
    rig_code *c = code_add(r, name);
    c->activity = fn;
    c->options = *options;
    code_register(r, c);
}

void rig_activity(rig *r, const char *name, pawl_activity_fn fn)
{
    pawl_activity_options options = {.struct_size = sizeof options};
    rig_activity_options(r, name, fn, &options);
}

static const pawl_value *never_called(pawl_task *task, const pawl_value *input, void *user)
{
    (void)input;
    (void)user;
    return pawl_task_fail(task, "Held", "the test ends this one");
}

void rig_held(rig *r, const char *name, pawl_effect effect)
{
    rig_code *c = code_add(r, name);
    c->activity = never_called;
    c->options.effect = effect;
    c->held = true;
    code_register(r, c);
}

static pawl_found never_read_back(pawl_task *task, const pawl_value *input, void *user,
                                  const pawl_value **ret_result)
{
    (void)task;
    (void)input;
    (void)user;
    (void)ret_result;
    return PAWL_FOUND_UNKNOWN;
}

void rig_held_read_back(rig *r, const char *name)
{
    rig_code *c = code_add(r, name);
    c->activity = never_called;
    c->options.read_back = never_read_back;
    c->held = true;
    code_register(r, c);
}

void rig_replace(rig *r, const char *name, pawl_workflow_fn fn)
{
    rig_code *c = rig_code_find(r, name, false);
    if (c == NULL) {
        fail_msg("%s was never registered", name);
        return;
    }
    c->missing = fn == NULL;
    c->fn = fn != NULL ? fn : c->fn;
}

/* ---- life ---- */

static pawl_status boot_core(rig *r, pawl_error *err)
{
    pw_env env = rig_env_ops;
    env.ctx = r;
    pw_core_options options = {.epoch = r->epoch,
                               .group_no = r->group_no,
                               .reader = r->reader,
                               .crumb_found = r->crumb,
                               .journal_path = r->path,
                               .build = r->build,
                               .live_runs_max = r->mode == RIG_NO_STACKS ? 0 : PW_LIVE_RUNS_DEFAULT,
                               .strict_replay = r->strict,
                               .evict_random = r->mode == RIG_EVICT};
    bool was = rig_enter(r);
    pawl_status st = pw_core_new(&env, &options, &r->core, err);
    rig_leave(r, was);
    for (size_t i = 0; i < r->code_len && st == PAWL_OK; i++) {
        st = code_try(r, &r->code[i], err);
    }
    was = rig_enter(r);
    st = st == PAWL_OK ? pw_core_recover(r->core, err) : st;
    rig_leave(r, was);
    return st;
}

pawl_status rig_try_boot(rig *r, pawl_error *err)
{
    assert_null(r->core);
    pawl_status st = r->store != NULL ? pw_memory_attach(r->store, &r->journal, err)
                                      : pw_sqlite_open(r->path, "", &r->journal, err);
    if (st == PAWL_OK) {
        st = r->journal->ops->lease(r->journal, &r->epoch, &r->group_no, err);
    }
    if (st == PAWL_OK) {
        st = r->journal->ops->reader_open(r->journal, &r->reader, err);
    }
    if (st == PAWL_OK && r->on_reader != NULL) {
        r->on_reader(r, r->reader);
    }
    r->failed = false;
    if (st == PAWL_OK) {
        st = boot_core(r, err);
    }
    if (st == PAWL_OK) {
        memset(&r->crumb, 0, sizeof r->crumb);
    } else if (r->reader != NULL) {
        rig_kill(r);
    }
    return st;
}

void rig_boot(rig *r)
{
    pawl_error err = {0};
    if (rig_try_boot(r, &err) != PAWL_OK) {
        fail_msg("boot: %s", err.message);
    }
}

static void note_edges(rig *r)
{
    for (int i = 0; i < pw_edge_count(); i++) {
        r->edges[i] |= pw_core_edge_seen(r->core, i) ? 1 : 0;
    }
}

void rig_kill(rig *r)
{
    if (r->reader == NULL) {
        return;
    }
    r->crashing = true;
    pw_buf_printf(&r->log, "kill, epoch %llu\n", (unsigned long long)r->epoch);
    if (r->core != NULL) {
        note_edges(r);
    }
    pw_core_free(r->core);
    r->core = NULL;
    r->groups = NULL;
    r->landed = NULL;
    while (r->reports != NULL) {
        pw_report *report = r->reports;
        r->reports = report->next;
        pw_report_free(report);
    }
    rig_task *t;
    DL_FOREACH (r->tasks, t) {
        t->orphan = true;
    }
    r->journal->ops->reader_close(r->reader);
    r->journal->ops->close(r->journal);
    r->reader = NULL;
    r->journal = NULL;
    r->crashing = false;
}

void rig_crash(rig *r)
{
    rig_kill(r);
    rig_boot(r);
}

rig *rig_open(rig_mode mode)
{
    rig *r = pw_calloc(1, sizeof *r);
    PW_CHECK(r != NULL);
    r->mode = mode;
    r->build = 1;
    r->now_ms = RIG_START_MS;
    r->random = 42;
    r->scope = pawl_scope_new();
    pw_buf_init(&r->log, 16u << 20);
    if (mode == RIG_SQLITE) {
        (void)snprintf(r->path, sizeof r->path, "rig-%ld.db", (long)getpid());
    } else {
        r->store = pw_memory_store_new();
    }
    rig_boot(r);
    return r;
}

static void free_tasks(rig *r)
{
    r->crashing = true; /* what they report goes nowhere */
    while (r->tasks != NULL) {
        rig_task *t = r->tasks;
        rig_task_unlink(r, t);
        pawl_task_finish_canceled(t->task);
        pw_free(t);
    }
}

static void remove_file(const rig *r)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", ".crumb", ".ballast"};
    for (size_t i = 0; i < PW_COUNT(suffixes) && r->path[0] != 0; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s%s", r->path, suffixes[i]);
        (void)unlink(path);
    }
}

void rig_close(rig *r)
{
    if (r == NULL) {
        return;
    }
    rig_kill(r);
    free_tasks(r);
    while (r->replies != NULL) {
        rig_reply *reply = r->replies;
        r->replies = reply->next;
        pw_free(reply);
    }
    pw_memory_store_free(r->store);
    remove_file(r);
    pawl_scope_free(r->scope);
    pw_buf_deinit(&r->log);
    pw_free(r);
}

/* ---- single steps ---- */

void rig_step(rig *r)
{
    bool was = rig_enter(r);
    r->next_ms = pw_core_step(r->core);
    rig_leave(r, was);
    pw_core_check(r->core);
    if (r->on_step != NULL) {
        r->on_step(r);
    }
}

bool rig_commit(rig *r)
{
    pw_group *g = r->groups;
    if (g == NULL) {
        return false;
    }
    r->groups = g->next;
    g->next = NULL;
    memset(&g->error, 0, sizeof g->error);
    g->status = r->journal->ops->commit(r->journal, g, &g->error);
    pw_buf_printf(&r->log, "group %llu: %s\n", (unsigned long long)g->number,
                  pawl_status_name(g->status));
    LL_APPEND(r->landed, g);
    return true;
}

bool rig_answer(rig *r)
{
    pw_group *g = r->landed;
    if (g == NULL) {
        return false;
    }
    r->landed = g->next;
    g->next = NULL;
    bool was = rig_enter(r);
    pw_core_committed(r->core, g);
    rig_leave(r, was);
    pw_core_check(r->core);
    return true;
}

bool rig_deliver(rig *r)
{
    pw_report *report = r->reports;
    if (report == NULL) {
        return false;
    }
    r->reports = report->next;
    pw_buf_printf(&r->log, "report %d %lld:%lld:%lld attempt %lld\n", (int)report->kind,
                  (long long)report->token.run, (long long)report->token.cmd,
                  (long long)report->token.item, (long long)report->token.attempt);
    bool was = rig_enter(r);
    pw_core_report(r->core, report);
    rig_leave(r, was);
    pw_core_check(r->core);
    return true;
}

void rig_task_unlink(rig *r, rig_task *t)
{
    DL_DELETE(r->tasks, t);
}

bool rig_work(rig *r)
{
    rig_task *t = r->tasks;
    while (t != NULL && (!t->auto_run || t->orphan)) {
        t = t->next;
    }
    if (t == NULL) {
        return false;
    }
    rig_task_unlink(r, t);
    void *user;
    pawl_activity_fn fn = pawl_task_function(t->task, &user);
    bool was = rig_enter(r);
    pawl_task_begin(t->task);
    pawl_task_finish(t->task, fn(t->task, pawl_task_input(t->task), user));
    rig_leave(r, was);
    pw_free(t);
    return true;
}

/* ---- everything that can happen ---- */

#define ROUNDS_MAX 1000000 /* a rig that goes on for so long has a bug, or runs one */

void rig_run(rig *r)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        rig_step(r);
        bool more = rig_commit(r);
        more |= rig_answer(r);
        more |= rig_deliver(r);
        more |= rig_work(r);
        if (!more && (r->next_ms != 0 || r->failed)) {
            return;
        }
    }
    fail_msg("it does not come to rest:\n%.2000s", pw_buf_cstr(&r->log));
}

void rig_advance(rig *r, int64_t ms)
{
    int64_t until = r->now_ms + ms;
    rig_run(r);
    while (r->now_ms < until) {
        int64_t left = until - r->now_ms;
        int64_t go = r->next_ms > 0 && r->next_ms < left ? r->next_ms : left;
        r->now_ms += go;
        rig_run(r);
    }
}

void rig_finish(rig *r, const char *id, int64_t ms_max)
{
    int64_t until = r->now_ms + ms_max;
    rig_run(r);
    while (r->now_ms < until && (strcmp(rig_status(r, id), "running") == 0 ||
                                 strcmp(rig_status(r, id), "paused") == 0)) {
        int64_t left = until - r->now_ms;
        r->now_ms += r->next_ms > 0 && r->next_ms < left ? r->next_ms : left;
        rig_run(r);
    }
}

/* ---- cmocka ---- */

static const rig_mode modes[] = {RIG_NORMAL, RIG_NO_STACKS, RIG_EVICT, RIG_SQLITE};
static const char *const mode_names[] = {"normal", "no-stacks", "evict", "sqlite"};

static int use_normal(void **state)
{
    *state = (void *)(uintptr_t)&modes[0];
    return 0;
}

static int use_no_stacks(void **state)
{
    *state = (void *)(uintptr_t)&modes[1];
    return 0;
}

static int use_evict(void **state)
{
    *state = (void *)(uintptr_t)&modes[2];
    return 0;
}

static int use_sqlite(void **state)
{
    *state = (void *)(uintptr_t)&modes[3];
    return 0;
}

int rig_setup(void **state)
{
    const rig_mode *mode = *state;
    *state = rig_open(*mode);
    return 0;
}

int rig_teardown(void **state)
{
    rig_close(*state);
    return 0;
}

int rig_run_modes(const struct CMUnitTest *tests, size_t len, bool sqlite)
{
    static const CMFixtureFunction setups[] = {use_normal, use_no_stacks, use_evict, use_sqlite};
    const char *only = getenv("PAWL_RIG_MODE");
    int failures = 0;
    for (size_t i = 0; i < PW_COUNT(modes); i++) {
        bool wanted =
            only != NULL ? strcmp(only, mode_names[i]) == 0 : modes[i] != RIG_SQLITE || sqlite;
        if (!wanted) {
            continue;
        }
        int bad = _cmocka_run_group_tests(mode_names[i], tests, len, setups[i], NULL);
        if (bad != 0) {
            (void)fprintf(
                stderr,
                "again: PAWL_RIG_MODE=%s and this program (CMOCKA_TEST_FILTER=NAME for one test)\n",
                mode_names[i]);
        }
        failures += bad;
    }
    return failures;
}
