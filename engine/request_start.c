/*
 * request_start.c - starting runs: ids, reuse and conflict policies, signal-with-start, children.
 * Does not run anything: the first turn is one like every other.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/requests.h"

/* What a start may say, X(NAME, key). */
#define ARGS(X)                   \
    X(ID, "id")                   \
    X(WORKFLOW, "workflow")       \
    X(VERSION, "version")         \
    X(INPUT, "input")             \
    X(REUSE, "reuse")             \
    X(CONFLICT, "conflict")       \
    X(SIGNAL, "signal")           \
    X(BY, "by")                   \
    X(TRACEPARENT, "traceparent") \
    X(TIMEOUT_S, "timeout_s")     \
    X(TIMEOUT_MS, "timeout_ms")   \
    X(PARENT, "parent")           \
    X(PARENT_CMD, "parent_cmd")   \
    X(PARENT_ID, "parent_id")     \
    X(POLICY, "policy")           \
    X(BUDGET, "budget")

typedef enum arg {
#define X_NAME(name, key) ARG_##name,
    ARGS(X_NAME)
#undef X_NAME
        ARG_COUNT
} arg;

typedef struct start_args {
    pawl_value of[ARG_COUNT]; /* as it stands there; data NULL: it does not */
    pw_view id;
    const char *workflow;
    const char *version;
    const char *reuse;
    const char *conflict;
    const char *signal;
    const char *unfit; /* why its input is refused; NULL = it is not, or nothing was promised yet */
} start_args;

/* In one pass: each look-up walks over the whole input, which may be large. */
static void pick(const pw_request *rq, start_args *ret)
{
    static const pw_view keys[ARG_COUNT] = {
#define X_KEY(name, key) {(const uint8_t *)key, sizeof(key) - 1},
        ARGS(X_KEY)
#undef X_KEY
    };
    pw_view found[ARG_COUNT];
    pw_view bytes = pw_value_bytes(rq->args);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    pw_mp_pick(&r, keys, ARG_COUNT, found);
    for (size_t i = 0; i < ARG_COUNT; i++) {
        ret->of[i] = (pawl_value){found[i].data, found[i].size, rq->scope};
    }
}

static const pawl_value *arg_of(const start_args *a, arg which)
{
    const pawl_value *v = &a->of[which];
    return v->data != NULL && v->data[0] != 0xc0 ? v : NULL; /* nil is as if it were not there */
}

static const char *str_of(const start_args *a, arg which, const char *otherwise)
{
    return pawl_str(arg_of(a, which), NULL, otherwise);
}

static int64_t int_of(const start_args *a, arg which)
{
    return pawl_int(arg_of(a, which), NULL, 0);
}

static pw_view raw_of(const start_args *a, arg which)
{
    return (pw_view){a->of[which].data, a->of[which].size};
}

static bool tell_parent(pw_core *core, const pw_buf *fields)
{
    pw_batch *b = pw_batch_get(core);
    if (b == NULL) {
        return false;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    pw_effects_message(b, "child_done", fields, 4);
    bool lost = pw_batch_lost(b);
    if (lost) {
        pw_batch_undo(b, &mark);
    }
    return !lost;
}

static void refuse(pw_core *core, pw_request *rq, pawl_status status, const char *fmt, ...)
    PAWL_PRINTF(4, 5);
static void refuse(pw_core *core, pw_request *rq, pawl_status status, const char *fmt, ...)
{
    pawl_error err = {.status = status, .file = __FILE__, .line = __LINE__};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err.message, sizeof err.message, fmt, args);
    va_end(args);
    int64_t parent = pawl_int(rq->args, "parent", 0);
    bool passing = status == PAWL_NOMEM || status == PAWL_BUSY || status == PAWL_IO;
    if (parent != 0 && rq->inbox_id != 0 &&
        !passing) { /* the parent hears of it as of any end of a child */
        PW_CLEANUP(pw_buf_deinit) pw_buf f = PW_BUF_INIT;
        pawl_failure fail = {.type = "StartFailed", .message = err.message};
        pw_mp_str(&f, "key");
        pw_mp_int(&f, parent);
        pw_mp_str(&f, "command");
        pw_mp_int(&f, pawl_int(rq->args, "parent_cmd", 0));
        pw_mp_str(&f, "status");
        pw_mp_str(&f, "failed");
        pw_put_failure_field(&f, "failure", &fail);
        if (!tell_parent(core, &f)) {
            pw_request_nomem(core, rq);
            return;
        }
    }
    if (rq->inbox_id != 0 && parent == 0 && !passing) { /* nobody waits for the reply */
        pw_core_log(core, PAWL_WARN, pw_arg_str(rq, "id"), 0, "a posted start was not done: %s",
                    err.message);
    }
    pw_request_done(core, rq, status, &err, (pw_view){NULL, 0});
}

static void reply_existing(pw_core *core, pw_request *rq, const pw_live *live)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, 2);
    pw_mp_str(&b, "id");
    pw_mp_str(&b, live->id);
    pw_mp_str(&b, "existing");
    pw_mp_bool(&b, true);
    if (!pw_buf_ok(&b)) {
        pw_request_nomem(core, rq);
        return;
    }
    pw_request_done(core, rq, PAWL_OK, NULL, (pw_view){b.data, b.size});
}

/* ---- the new run ---- */

/* In the first turn, not before: a large input becomes a blob of the very group that has the event. */
void pw_request_start_event(pw_live *live, const pw_request *rq)
{
    pw_core *core = live->core;
    uint64_t seed;
    start_args a;
    pick(rq, &a);
    core->env.random(core->env.ctx, &seed, sizeof seed);
    double timeout_s = pawl_num(arg_of(&a, ARG_TIMEOUT_S), NULL, 0);
    timeout_s =
        timeout_s > 0 ? timeout_s : (double)int_of(&a, ARG_TIMEOUT_MS) / 1000.0; /* of a child */
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "workflow", (const char *)live->row.workflow.data);
    pw_emit_str(&e, "version", (const char *)live->row.version.data);
    pw_emit_str(&e, "id", live->id);
    pw_emit_value(&e, "input", raw_of(&a, ARG_INPUT));
    pw_emit_uint(&e, "seed", seed);
    pw_emit_str(&e, "traceparent", str_of(&a, ARG_TRACEPARENT, ""));
    pw_emit_str(&e, "by", str_of(&a, ARG_BY, ""));
    if (timeout_s > 0) {
        double ms = timeout_s * 1000.0;
        pw_emit_int(&e, "deadline_ms",
                    live->now_ms + (ms < (double)PW_TIMER_MS_MAX ? (int64_t)ms : PW_TIMER_MS_MAX));
    }
    pw_emit_opt(&e, "parent", live->row.parent_key);
    pw_emit_opt(&e, "parent_cmd", live->row.parent_cmd);
    pw_emit_str(&e, "parent_id", str_of(&a, ARG_PARENT_ID, ""));
    pw_emit_value(&e, "budget", raw_of(&a, ARG_BUDGET));
    (void)pw_emit_end(&e, PW_EV_RUN_STARTED, 0);
}

static pw_view str_view(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

/* A request of the engine's own, as an input. NULL = no memory. */
static pw_input *own_input(const char *op, const pawl_value *args)
{
    pw_request *rq = NULL;
    pawl_error err;
    pw_input *in = args != NULL ? pw_input_new(PW_IN_REQUEST) : NULL;
    if (in == NULL ||
        pw_request_new(str_view(op), pw_value_bytes(args), NULL, NULL, &rq, &err) != PAWL_OK) {
        pw_free(in);
        return NULL;
    }
    in->rq = rq;
    return in;
}

static pw_input *signal_input(pw_request *rq, const char *name)
{
    return own_input("signal",
                     pawl_build(rq->scope, "{name: %s, value: %p, by: %s}", name,
                                pawl_v(pawl_get(rq->args, "signal_value")), pw_arg_str(rq, "by")));
}

static pw_live *created(pw_core *core, const start_args *a, const pw_def *def)
{
    pw_run_row row = {.key = core->next_key,
                      .id = a->id,
                      .workflow = str_view(a->workflow),
                      .version = str_view(def != NULL ? def->version : a->version),
                      .traceparent = str_view(str_of(a, ARG_TRACEPARENT, "")),
                      .created_ms = pw_core_now(core),
                      .parent_key = int_of(a, ARG_PARENT),
                      .parent_cmd = int_of(a, ARG_PARENT_CMD),
                      .parent_policy = (int)int_of(a, ARG_POLICY),
                      .status = PW_RUN_RUNNING,
                      .waiting = str_view(""),
                      .reason = str_view(""),
                      .progress_text = str_view("")};
    row.updated_ms = row.created_ms;
    row.build = def != NULL ? def->build : core->options.build;
    pw_live *live = pw_live_new(core, &row);
    if (live == NULL) {
        return NULL;
    }
    core->next_key++;
    live->created = true;
    live->fresh = true;
    live->kick = false;
    if (live->def != NULL) {
        live->whole = true;
        core->whole_len++;
        if (live->def->folded.apply != NULL) {
            pw_fold_init(live);
        }
    }
    return live;
}

/* What comes behind the start in the same turn: its signal, or why it is over before its code has begun. */
static bool wants_second(const start_args *a)
{
    return a->unfit != NULL || a->signal[0] != 0;
}

static pw_input *second_input(pw_request *rq, const start_args *a)
{
    return a->unfit == NULL
               ? signal_input(rq, a->signal)
               : own_input("terminate", pawl_build(rq->scope, "{id: %s, reason: %s}",
                                                   (const char *)a->id.data, a->unfit));
}

static void create(pw_core *core, pw_request *rq, const start_args *a, const pw_def *def)
{
    bool second = wants_second(a);
    pw_input *in = pw_input_new(PW_IN_START);
    pw_input *sig = second ? second_input(rq, a) : NULL;
    bool ok = in != NULL && (!second || sig != NULL) && !pw_scope_failed(rq->scope);
    pw_live *live = ok ? created(core, a, def) : NULL;
    if (live == NULL) {
        pw_free(in);
        if (sig != NULL) {
            pw_input_free(core, sig);
        }
        pw_request_nomem(core, rq);
        return;
    }
    in->run = live->key;
    in->rq = rq;
    DL_APPEND(live->inputs, in);
    if (sig != NULL) {
        pw_live_input(live, sig);
    }
    pw_live_ready(live);
}

/* ---- policies ---- */

static bool failed_before(const pw_live *live)
{
    return live->row.status != PW_RUN_COMPLETED && live->row.status != PW_RUN_CONTINUED;
}

static void terminate_existing(pw_core *core, pw_live *live, pw_request *rq)
{
    pw_input *in = own_input("terminate", pawl_build(rq->scope, "{id: %s, reason: %s}", live->id,
                                                     "another run was started under its id"));
    if (in == NULL) {
        pw_request_nomem(core, rq);
        return;
    }
    pw_live_input(live, in);
    pw_core_retry_later(core, rq); /* once it is closed */
}

/* True if a new run may be made now; else the request has been dealt with. */
static bool resolve_existing(pw_core *core, pw_request *rq, const start_args *a, pw_live *old)
{
    if (old->frozen || old->created || old->inputs != NULL) {
        pw_core_retry_later(core, rq);
        return false;
    }
    if (!pw_live_open_status(old)) {
        if (strcmp(a->reuse, "reject") == 0 ||
            (strcmp(a->reuse, "if-failed") == 0 && !failed_before(old))) {
            refuse(core, rq, PAWL_EXISTS, "a run \"%s\" exists and is %s", old->id,
                   pw_run_status_name(old->row.status));
            return false;
        }
        return true;
    }
    if (a->unfit != NULL) { /* neither told nor ended by what can be no run */
        refuse(core, rq, PAWL_INVALID, "%s", a->unfit);
        return false;
    }
    int64_t parent = int_of(a, ARG_PARENT);
    if (parent != 0 && old->row.parent_key == parent &&
        old->row.parent_cmd == int_of(a, ARG_PARENT_CMD)) {
        reply_existing(core, rq, old); /* the same message twice */
        return false;
    }
    if (a->signal[0] != 0) {
        pw_input *in = pw_input_new(PW_IN_REQUEST); /* answered once the signal has landed */
        if (in == NULL) {
            pw_request_nomem(core, rq);
            return false;
        }
        in->rq = rq;
        pw_live_input(old, in);
    } else if (strcmp(a->conflict, "use-existing") == 0) {
        reply_existing(core, rq, old);
    } else if (strcmp(a->conflict, "terminate") == 0) {
        terminate_existing(core, old, rq);
    } else {
        refuse(core, rq, PAWL_EXISTS, "a run \"%s\" is open (%s)", old->id,
               pw_run_status_name(old->row.status));
    }
    return false;
}

static bool one_of(const char *text, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (strcmp(text, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_args(pw_core *core, pw_request *rq, start_args *a)
{
    static const char *const reuses[] = {"allow", "if-failed", "reject", NULL};
    static const char *const conflicts[] = {"fail", "use-existing", "terminate", NULL};
    pick(rq, a);
    a->workflow = str_of(a, ARG_WORKFLOW, "");
    a->version = str_of(a, ARG_VERSION, "");
    a->reuse = str_of(a, ARG_REUSE, "allow");
    a->conflict = str_of(a, ARG_CONFLICT, "fail");
    a->signal = str_of(a, ARG_SIGNAL, "");
    const char *id = str_of(a, ARG_ID, "");
    if (id[0] == 0) {
        char text[37];
        uint8_t random[10];
        core->env.random(core->env.ctx, random, sizeof random);
        pw_uuid7(text, pw_core_now(core), random);
        id = pw_strdup(rq->scope, text);
    }
    if (pw_scope_failed(rq->scope)) { /* (defaults stand where its arguments were not read) */
        pw_request_nomem(core, rq);
        return false;
    }
    a->id = str_view(id);
    pawl_error err;
    const char *what = "id";
    pawl_status st = pw_id_check(id, a->id.size, &err);
    if (st == PAWL_OK) {
        what = "workflow";
        st = pw_name_check(a->workflow, strlen(a->workflow), &err);
    }
    if (st == PAWL_OK && a->signal[0] != 0) {
        what = "signal";
        st = pw_name_check(a->signal, strlen(a->signal), &err);
    }
    if (st == PAWL_OK && (!one_of(a->reuse, reuses) || !one_of(a->conflict, conflicts))) {
        what = "policy";
        st = pw_err(
            &err, PAWL_INVALID,
            "reuse is allow, if-failed or reject; conflict is fail, use-existing or terminate");
    }
    if (st == PAWL_OK) {
        what = "budget";
        st = pw_budget_check(arg_of(a, ARG_BUDGET), &err);
    }
    if (st != PAWL_OK) {
        refuse(core, rq, st, "%s: %s", what, err.message);
        return false;
    }
    return true;
}

/* Runs say whose child it is, in messages; a caller's word would put it below any run, and a run that comes later below itself. */
static bool parent_can_be(const pw_core *core, const pw_request *rq, const start_args *a)
{
    int64_t parent = int_of(a, ARG_PARENT);
    return parent == 0 || (rq->inbox_id != 0 && parent > 0 && parent < core->next_key);
}

/* Who posted it was told that it is kept, and is not there any more: it becomes a run that says why nothing came of it. */
static bool is_promised(const pw_request *rq, const start_args *a, pawl_status unfit)
{
    return (unfit == PAWL_NOTFOUND || unfit == PAWL_INVALID) && rq->inbox_id != 0 &&
           int_of(a, ARG_PARENT) == 0;
}

void pw_request_start(pw_core *core, pw_request *rq)
{
    start_args a = {.unfit = NULL};
    if (!check_args(core, rq, &a)) {
        return;
    }
    if (!parent_can_be(core, rq, &a)) { /* (and so there is nobody to tell) */
        pawl_error no;
        pw_request_done(
            core, rq,
            pw_err(&no, PAWL_INVALID, "a start has no parent: children are begun by runs"), &no,
            (pw_view){NULL, 0});
        return;
    }
    const pw_def *def = pw_def_find(core, str_view(a.workflow), str_view(a.version));
    if (def == NULL && rq->inbox_id == 0) {
        refuse(core, rq, PAWL_NOCODE, "no workflow \"%s\"%s%s is registered here", a.workflow,
               a.version[0] != 0 ? " version " : "", a.version);
        return;
    }
    pw_live *old;
    pawl_error err;
    pawl_status st =
        def != NULL ? pw_fits(def->input_fits, raw_of(&a, ARG_INPUT), "the input", &err) : PAWL_OK;
    if (is_promised(rq, &a, st)) {
        a.unfit = pw_strdup(rq->scope, err.message); /* without memory the scope says so */
    } else if (st != PAWL_OK) {
        refuse(core, rq, st == PAWL_NOTFOUND ? PAWL_INVALID : st, "%s", err.message);
        return;
    }
    st = pw_live_open(core, a.id, &old, &err);
    if (st == PAWL_OK && !resolve_existing(core, rq, &a, old)) {
        return;
    }
    if (st != PAWL_OK && st != PAWL_NOTFOUND) {
        refuse(core, rq, st, "%s", err.message);
        return;
    }
    st = pw_budget_start_check(core, arg_of(&a, ARG_BUDGET), int_of(&a, ARG_PARENT), &err);
    if (pw_budget_lasting(st)) { /* its first turn would be dropped time and again */
        refuse(core, rq, st, "budget: %s", err.message);
        return;
    }
    create(core, rq, &a, def);
}
