/*
 * task.c - one attempt of an activity: what its code sees of it, and how its reports leave.
 *
 *   core --pw_task_new--> [task, 2 references] --dispatch--> runner: begin, heartbeat*, one final call
 *                                                              |
 *   core <---------------- reports, any thread ----------------+
 *
 * The begin and the final report are allocated with the task, so that an attempt can always be told to have ended, however
 * little memory is left. The final report takes the task's scope with it: a result is handed over, never copied.
 *
 * Does not run the code (runners do), does not decide what a report means (the core does), keeps no time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "engine/task.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/convo.h"
#include "sdk/base/amounts.h"
#include "sdk/base/arena.h"
#include "sdk/base/hash.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum {
    KEY_RUN_BYTES_MAX = 120
}; /* longer run ids enter the key as a digest: many systems cap keys at 255 bytes */

typedef struct task_failure {
    const char *type; /* NULL = none */
    const char *message;
    const pawl_value *details;
    bool retryable;
} task_failure;

enum { AT_ITS_TIME = -1 }; /* retry_ms: as the call's retry policy says */

struct pawl_task {
    atomic_int refs;
    atomic_bool canceled;
    atomic_bool ended;    /* the one final call was made */
    atomic_int cancel_fd; /* -1 until somebody asks */
    pw_token token;
    pawl_scope *scope; /* the attempt's; given away with the final report */
    const char *run_id;
    const char *activity;
    const char *key;
    const char *scratch_path;
    const pawl_value *input;
    const pawl_value *last_detail;
    int64_t deadline_ms;
    pawl_activity_fn fn;
    void *fn_user;
    pawl_effect effect;
    pawl_runner *runner;
    const char *journal_path;
    pw_convos *convos; /* NULL = none */
    pw_crumb *crumb;   /* NULL = none */
    int crumb_slot;    /* -1 = none */
    pw_report_fn report;
    void *report_ctx;
    pw_report *begin; /* NULL once sent */
    pw_report *final;
    task_failure failure;
    int64_t retry_ms; /* not before; AT_ITS_TIME */
    bool unknown;
    bool spends;                  /* it has said what it spent */
    bool unpriced, spent_unknown; /* its cost; some of what it used */
    const char *model;
    pw_amounts spent;
    const char *pause;      /* why its run is to be paused; NULL = it is not */
    atomic_llong output_at; /* bytes it said so far */
};

/* ---- effects ---- */

const char *const pw_effect_names[PW_EFFECTS] = {"", "pure", "idempotent", "unsafe"};

pawl_effect pw_effect_named(const char *name)
{
    for (size_t i = 1; i < PW_EFFECTS; i++) {
        if (strcmp(name, pw_effect_names[i]) == 0) {
            return (pawl_effect)i;
        }
    }
    return PAWL_EFFECT_DEFAULT;
}

/* ---- tokens ---- */

void pw_token_print(const pw_token *token, char ret[120])
{
    (void)snprintf(ret, 120, "%" PRId64 ":%" PRId64 ":%" PRId64 ":%" PRId64 ":%" PRIu64, token->run,
                   token->cmd, token->item, token->attempt, token->epoch);
}

/* One decimal number and the byte after it. */
static bool number_read(const char **text, char after, uint64_t max, uint64_t *ret_number)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long n = strtoull(*text, &end, 10);
    if (errno != 0 || n > max || *end != after) {
        return false;
    }
    *ret_number = n;
    *text = end + 1;
    return true;
}

bool pw_token_parse(const char *text, pw_token *ret_token)
{
    uint64_t part[5];
    for (size_t i = 0; i < PW_COUNT(part); i++) {
        const bool last = i + 1 == PW_COUNT(part);
        if (!number_read(&text, last ? '\0' : ':', last ? UINT64_MAX : INT64_MAX, &part[i])) {
            return false;
        }
    }
    *ret_token =
        (pw_token){(int64_t)part[0], (int64_t)part[1], (int64_t)part[2], (int64_t)part[3], part[4]};
    return true;
}

bool pw_token_equal(const pw_token *a, const pw_token *b)
{
    return a->run == b->run && a->cmd == b->cmd && a->item == b->item && a->attempt == b->attempt &&
           a->epoch == b->epoch;
}

/* ---- life ---- */

/* The run's row tells apart runs that reuse an id; the attempt is left out: that is what makes the key stable. */
const char *pw_task_key(pawl_scope *scope, const pw_token *t, const char *run_id)
{
    char name[KEY_RUN_BYTES_MAX + 1];
    const size_t size = strlen(run_id);
    if (size <= KEY_RUN_BYTES_MAX) {
        memcpy(name, run_id, size + 1);
    } else {
        const uint8_t zero[PW_DIGEST_SIZE] = {0};
        uint8_t digest[PW_DIGEST_SIZE];
        pw_chain_next(digest, zero, run_id, size);
        pw_hex(name, digest, sizeof digest);
    }
    if (t->item != 0) {
        return pw_sprintf(scope, "%s:%" PRId64 ":%" PRId64 ".%" PRId64, name, t->run, t->cmd,
                          t->item);
    }
    return pw_sprintf(scope, "%s:%" PRId64 ":%" PRId64, name, t->run, t->cmd);
}

/* Run ids may hold slashes: the path is made of numbers. */
static const char *scratch_print(pawl_scope *scope, const pw_token *t, const char *journal_path)
{
    if (journal_path == NULL || journal_path[0] == '\0') {
        return "";
    }
    return pw_sprintf(scope, "%s.scratch/%" PRId64 "-%" PRId64 "-%" PRId64, journal_path, t->run,
                      t->cmd, t->item);
}

static const pawl_value *value_take(pawl_scope *scope, pw_view bytes, bool *ok)
{
    if (bytes.size == 0 || bytes.data[0] == 0xc0) {
        return NULL;
    }
    const pawl_value *v = pw_value_copy(scope, bytes.data, bytes.size);
    *ok = *ok && v != NULL;
    return v;
}

static bool task_fill(pawl_task *task, const pw_task_init *init)
{
    bool ok = true;
    task->run_id = pw_strdup(task->scope, init->run_id);
    task->activity = pw_strdup(task->scope, init->activity);
    task->key = pw_task_key(task->scope, &init->token, init->run_id);
    task->journal_path =
        pw_strdup(task->scope, init->journal_path != NULL ? init->journal_path : "");
    task->scratch_path = scratch_print(task->scope, &init->token, init->journal_path);
    task->input = value_take(task->scope, init->input, &ok);
    task->last_detail = value_take(task->scope, init->last_detail, &ok);
    return ok && task->run_id != NULL && task->activity != NULL && task->key != NULL &&
           task->scratch_path != NULL && task->journal_path != NULL;
}

static void task_free(pawl_task *task)
{
    const int fd = atomic_load(&task->cancel_fd);
    if (fd >= 0) {
        close(fd);
    }
    pw_report_free(task->begin);
    pw_report_free(task->final);
    pw_convos_unref(task->convos);
    pawl_scope_free(task->scope);
    pw_free(task);
}

pawl_task *pw_task_new(const pw_task_init *init)
{
    pawl_task *task = pw_calloc(1, sizeof *task);
    if (task == NULL) {
        return NULL;
    }
    atomic_init(&task->refs, 2);
    atomic_init(&task->canceled, false);
    atomic_init(&task->ended, false);
    atomic_init(&task->cancel_fd, -1);
    atomic_init(&task->output_at, 0);
    task->token = init->token;
    task->deadline_ms = init->deadline_ms;
    task->retry_ms = AT_ITS_TIME;
    task->fn = init->fn;
    task->fn_user = init->fn_user;
    task->effect = init->effect != PAWL_EFFECT_DEFAULT ? init->effect : PAWL_EFFECT_IDEMPOTENT;
    task->runner = init->runner;
    task->crumb = init->crumb;
    task->convos = pw_convos_ref(init->convos);
    task->crumb_slot = -1;
    task->report = init->report;
    task->report_ctx = init->report_ctx;
    task->scope = pw_scope_new(0);
    task->begin = pw_calloc(1, sizeof *task->begin);
    task->final = pw_calloc(1, sizeof *task->final);
    if (task->scope == NULL || task->begin == NULL || task->final == NULL ||
        !task_fill(task, init)) {
        task_free(task);
        return NULL;
    }
    return task;
}

void pw_task_unref(pawl_task *task)
{
    if (task != NULL && atomic_fetch_sub(&task->refs, 1) == 1) {
        task_free(task);
    }
}

pawl_runner *pw_task_runner(const pawl_task *task)
{
    return task->runner;
}

struct pw_convos *pw_task_convos(const pawl_task *task)
{
    return task->convos;
}

const char *pw_task_journal(const pawl_task *task)
{
    return task->journal_path;
}

const pw_token *pw_task_token(const pawl_task *task)
{
    return &task->token;
}

/* ---- cancel: a flag, and a descriptor once somebody wants one ---- */

static void cancel_fd_signal(int fd)
{
    const uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void pw_task_cancel(pawl_task *task)
{
    if (atomic_exchange(&task->canceled, true)) {
        return;
    }
    const int fd = atomic_load(&task->cancel_fd);
    if (fd >= 0) {
        cancel_fd_signal(fd);
    }
}

/* Either the canceler sees the descriptor or this sees the flag, or both: writing twice does no harm. */
int pawl_task_cancel_fd(pawl_task *task)
{
    int fd = atomic_load(&task->cancel_fd);
    if (fd >= 0) {
        return fd;
    }
    const int fresh = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fresh < 0) {
        return -1;
    }
    if (!atomic_compare_exchange_strong(&task->cancel_fd, &fd, fresh)) {
        close(fresh);
        return fd;
    }
    if (atomic_load(&task->canceled)) {
        cancel_fd_signal(fresh);
    }
    return fresh;
}

bool pawl_task_canceled(const pawl_task *task)
{
    return atomic_load(&task->canceled);
}

/* ---- reports ---- */

void pw_report_free(pw_report *report)
{
    if (report != NULL) {
        pawl_scope_free(report->scope);
        pw_free(report);
    }
}

static void report_send(pawl_task *task, pw_report *report, pw_report_kind kind)
{
    report->kind = kind;
    report->token = task->token;
    task->report(task->report_ctx, report);
}

void pawl_task_begin(pawl_task *task)
{
    pw_report *report = task->begin;
    task->begin = NULL;
    if (report != NULL && task->crumb != NULL &&
        task->runner == NULL) { /* other runners run code of their own */
        const pw_token *t = &task->token;
        task->crumb_slot =
            pw_crumb_task_begin(task->crumb, &(pw_crumb_task){t->run, t->cmd, t->item, t->attempt});
    }
    if (report != NULL) {
        report_send(task, report, PW_REPORT_BEGIN);
    }
}

bool pawl_task_heartbeat(pawl_task *task, const pawl_value *detail)
{
    pw_report *report = pw_calloc(1, sizeof *report);
    if (report != NULL && detail != NULL) {
        const pw_view bytes = pw_value_bytes(detail);
        report->scope = pw_scope_new(0);
        report->value.data =
            report->scope != NULL ? pw_memdup(report->scope, bytes.data, bytes.size) : NULL;
        report->value.size = report->value.data != NULL ? bytes.size : 0;
    }
    if (report != NULL) { /* without memory one beat is missed, as if it came later */
        report_send(task, report, PW_REPORT_BEAT);
    }
    return !pawl_task_canceled(task);
}

/* As many bytes as a piece holds, and no more than whole characters. */
static size_t part_of(const char *data, size_t size)
{
    size_t part = size < PW_STREAM_PIECE_MAX ? size : PW_STREAM_PIECE_MAX;
    for (size_t back = 0; part < size && back < 4 && part > back; back++) {
        if (((unsigned char)data[part - back] & 0xc0) != 0x80) {
            return part - back;
        }
    }
    return part;
}

/* A piece as text where it is text. NULL: no memory; it is missed, and the next one's place tells. */
static pw_report *output_report(const char *channel, const char *data, size_t size, long long at)
{
    pw_report *report = pw_calloc(1, sizeof *report);
    pawl_scope *scope = report != NULL ? pw_scope_new(0) : NULL;
    if (scope == NULL) {
        pw_free(report);
        return NULL;
    }
    report->scope = scope;
    bool text = pw_utf8_ok(data, size);
    report->value = pw_value_bytes(pawl_build(
        scope, "{channel: %s, at: %lld, data: %p}", channel, at,
        pawl_v(text ? pawl_make_strn(scope, data, size) : pawl_make_bytes(scope, data, size))));
    if (pw_scope_failed(scope)) {
        pw_report_free(report);
        return NULL;
    }
    return report;
}

bool pawl_task_output(pawl_task *task, const char *channel, const void *data, size_t size)
{
    const char *rest = data;
    while (size > 0) {
        size_t part = part_of(rest, size);
        long long at = atomic_fetch_add(&task->output_at, (long long)part);
        pw_report *report = output_report(channel, rest, part, at);
        if (report != NULL) {
            report_send(task, report, PW_REPORT_OUTPUT);
        }
        rest += part;
        size -= part;
    }
    return !pawl_task_canceled(task);
}

/* What stands for a failure that could not be written down. */
static const uint8_t failure_no_memory[] = "\x83\xa4"
                                           "type"
                                           "\xab"
                                           "OutOfMemory"
                                           "\xa7"
                                           "message"
                                           "\xa0"
                                           "\xa9"
                                           "retryable"
                                           "\xc3";

static pw_view failure_bytes(const pawl_task *task)
{
    const task_failure *failure = &task->failure;
    const int64_t retry_ms = task->retry_ms;
    const pw_view no_memory = {failure_no_memory, sizeof failure_no_memory - 1};
    if (failure->message == NULL) {
        return no_memory;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, 3 + (size_t)(failure->details != NULL) + (size_t)(retry_ms != AT_ITS_TIME) +
                      (size_t)task->unknown + (size_t)(task->pause != NULL));
    pw_mp_str(&b, "type");
    pw_mp_str(&b, failure->type);
    pw_mp_str(&b, "message");
    pw_mp_str(&b, failure->message);
    pw_mp_str(&b, "retryable");
    pw_mp_bool(&b, failure->retryable);
    if (failure->details != NULL) {
        pw_mp_str(&b, "details");
        pw_mp_value(&b, failure->details);
    }
    if (retry_ms != AT_ITS_TIME) {
        pw_mp_str(&b, "retry_ms");
        pw_mp_int(&b, retry_ms);
    }
    if (task->unknown) {
        pw_mp_str(&b, "unknown");
        pw_mp_bool(&b, true);
    }
    if (task->pause != NULL) {
        pw_mp_str(&b, "pause");
        pw_mp_str(&b, task->pause);
    }
    const void *data = pw_buf_ok(&b) ? pw_memdup(task->scope, b.data, b.size) : NULL;
    return data != NULL ? (pw_view){data, b.size} : no_memory;
}

/* The result in the scope that leaves; a value of another scope is copied into it. NULL data: no memory. */
static pw_view result_bytes(pawl_scope *scope, const pawl_value *result)
{
    pw_view bytes = pw_value_bytes(result);
    if (result != NULL && result->scope != scope) {
        bytes.data = pw_memdup(scope, bytes.data, bytes.size);
    }
    return bytes;
}

/* As pawl_task_spend takes it. NULL: nothing was said, or there is no memory, which counts as that. */
static const pawl_value *spent_value(const pawl_task *task)
{
    if (!task->spends) {
        return NULL;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_amounts_put(&b, &task->spent);
    const pawl_value *v = pw_buf_ok(&b) ? pw_value_copy(task->scope, b.data, b.size) : NULL;
    if (v != NULL && task->model != NULL) {
        v = pawl_with(task->scope, v, "model", pawl_make_str(task->scope, task->model));
    }
    if (v != NULL && task->spent_unknown) {
        v = pawl_with(task->scope, v, "unknown", pawl_make_bool(task->scope, true));
    }
    return v != NULL && task->unpriced
               ? pawl_with(task->scope, v, "unpriced", pawl_make_bool(task->scope, true))
               : v;
}

/* The one final call: report and scope leave, the runner's reference ends. */
static void task_end(pawl_task *task, pw_report_kind kind, pw_view value)
{
    PW_CHECK(!atomic_exchange(&task->ended, true));
    pw_crumb_task_end(task->crumb, task->crumb_slot);
    task->crumb_slot = -1;
    pw_report *report = task->final;
    task->final = NULL;
    report->value = value;
    report->spent = spent_value(task);
    report->scope = task->scope;
    task->scope = NULL;
    report_send(task, report, kind);
    pw_task_unref(task);
}

void pawl_task_finish_canceled(pawl_task *task)
{
    task_end(task, PW_REPORT_CANCELED, (pw_view){NULL, 0});
}

void pawl_task_finish(pawl_task *task, const pawl_value *result)
{
    if (task->failure.type != NULL) {
        if (strcmp(task->failure.type, "Canceled") == 0 && pawl_task_canceled(task)) {
            pawl_task_finish_canceled(task);
            return;
        }
        task_end(task, PW_REPORT_FAILED, failure_bytes(task));
        return;
    }
    const pw_view bytes = result_bytes(task->scope, result);
    if (bytes.data == NULL ||
        pw_scope_failed(task->scope)) { /* what it was built of is not all there */
        task_end(task, PW_REPORT_FAILED,
                 (pw_view){failure_no_memory, sizeof failure_no_memory - 1});
        return;
    }
    if (bytes.size > PW_VALUE_BYTES_MAX) {
        (void)pawl_task_fail_with(task, "ResultTooLarge", "a result may have 64 MiB", NULL, false);
        task_end(task, PW_REPORT_FAILED, failure_bytes(task));
        return;
    }
    task_end(task, PW_REPORT_DONE, bytes);
}

/* ---- failing ---- */

/* Length of the well-formed UTF-8 sequence at p; 0 when there is none. */
static size_t utf8_len(const uint8_t *p)
{
    if (p[0] < 0x80) {
        return 1;
    }
    const size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                       : (p[0] & 0xf0) == 0xe0        ? 3
                       : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                      : 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0; /* the terminator ends here too */
        }
    }
    const bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    const bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || outside ? 0 : len;
}

/* Messages carry what foreign systems said: bytes that are no text become question marks. */
static void text_clean(char *text)
{
    for (uint8_t *p = (uint8_t *)text; *p != 0;) {
        const size_t len = utf8_len(p);
        if (len == 0) {
            *p = '?';
        }
        p += len == 0 ? 1 : len;
    }
}

const pawl_value *pawl_task_fail_with(pawl_task *task, const char *type, const char *message,
                                      const pawl_value *details, bool retryable)
{
    char *name = pw_strdup(task->scope, type != NULL && type[0] != '\0' ? type : "Failed");
    const char *said = message != NULL ? message : "";
    const size_t size = strlen(said);
    char *text = pw_strndup(task->scope, said, size < PW_TEXT_BYTES_MAX ? size : PW_TEXT_BYTES_MAX);
    if (name != NULL) {
        text_clean(name);
    }
    if (text != NULL) {
        text_clean(text);
    }
    task->failure = (task_failure){name != NULL ? name : "OutOfMemory", name != NULL ? text : NULL,
                                   details, retryable};
    return NULL;
}

const pawl_value *pawl_task_fail(pawl_task *task, const char *type, const char *fmt, ...)
{
    char message[PW_TEXT_BYTES_MAX + 1];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return pawl_task_fail_with(task, type, message, NULL, true);
}

const pawl_value *pawl_task_retry_after(pawl_task *task, double seconds)
{
    const double ms = seconds * 1000.0;
    task->retry_ms = !(ms > 0)                       ? 0
                     : ms >= (double)PW_TIMER_MS_MAX ? (int64_t)PW_TIMER_MS_MAX
                                                     : (int64_t)ms;
    return NULL;
}

bool pawl_task_spend(pawl_task *task, const pawl_value *spent)
{
    pw_amounts more;
    pawl_error err;
    if (pw_amounts_read(pw_value_bytes(spent), pw_spent_beside, &more, &err) != PAWL_OK) {
        return false;
    }
    const char *model = pawl_str(spent, "model", NULL);
    char *kept =
        model != NULL && strlen(model) <= PW_NAME_BYTES_MAX ? pw_strdup(task->scope, model) : NULL;
    task->spends = true;
    task->unpriced |= pawl_bool(spent, "unpriced", false);
    task->spent_unknown |= pawl_bool(spent, "unknown", false);
    task->model = kept != NULL ? kept : task->model;
    pw_amounts_add(&task->spent, &more);
    for (int u = 0; u < PW_UNITS; u++) { /* so that the sum is an amount, too */
        task->spent.n[u] = task->spent.n[u] < PW_AMOUNT_MAX ? task->spent.n[u] : PW_AMOUNT_MAX;
    }
    return true;
}

void pawl_task_outcome_unknown(pawl_task *task)
{
    task->unknown = true;
}

void pawl_task_pause_run(pawl_task *task, const char *reason)
{
    task->pause = pw_strdup(task->scope, reason);
}

/* ---- what the code may ask ---- */

pawl_effect pawl_task_effect(const pawl_task *task)
{
    return task->effect;
}

pawl_scope *pawl_task_scope(pawl_task *task)
{
    return task->scope;
}

const pawl_value *pawl_task_vbuild(pawl_task *task, const char *fmt, va_list args)
{
    pawl_error err = {0};
    const pawl_value *v = pw_vbuild(task->scope, fmt, args, &err);
    if (err.status != PAWL_OK && task->failure.type == NULL) {
        (void)pawl_task_fail_with(task, err.status == PAWL_LIMIT ? "TooLarge" : "BadTemplate",
                                  err.message, NULL, false);
    }
    return v;
}

const pawl_value *pawl_task_build(pawl_task *task, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const pawl_value *v = pawl_task_vbuild(task, fmt, args);
    va_end(args);
    return v;
}

const char *pawl_task_key(const pawl_task *task)
{
    return task->key;
}

const char *pawl_task_run_id(const pawl_task *task)
{
    return task->run_id;
}

const char *pawl_task_activity(const pawl_task *task)
{
    return task->activity;
}

int64_t pawl_task_command(const pawl_task *task)
{
    return task->token.cmd;
}

int pawl_task_attempt(const pawl_task *task)
{
    return (int)(task->token.attempt & ~(int64_t)PW_ATTEMPT_READ_BACK);
}

const pawl_value *pawl_task_last_detail(pawl_task *task)
{
    return task->last_detail;
}

int64_t pawl_task_deadline_ms(const pawl_task *task)
{
    return task->deadline_ms;
}

const char *pawl_task_scratch_path(pawl_task *task)
{
    return task->scratch_path;
}

pawl_activity_fn pawl_task_function(const pawl_task *task, void **ret_user)
{
    if (ret_user != NULL) {
        *ret_user = task->fn_user;
    }
    return task->fn;
}

const pawl_value *pawl_task_input(pawl_task *task)
{
    return task->input;
}
