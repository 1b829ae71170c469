/*
 * cache.c - results of activities that later calls may have.
 *
 *   pawl_call(.cache_s) --> cache_key = H(activity, scope, canonical input)      stands in ActivityScheduled, and so in the task's row
 *   to be queued        --> a kept one that has not expired?  --> ActivityCompleted {result, cached: {run, command, at_ms}}; no attempt
 *   ended with a result --> kept by the group of its ActivityCompleted
 *
 * It is looked for whenever the job is about to be queued: at first, after a restart, after a pause, before a retry. Conversations in an input are
 * references that cover what they refer to. Does not look into results, and sweeps nothing: the journal does, when it keeps one.
 */
#include "engine/cache.h"

#include <string.h>

#include "engine/wf.h"

/* False: no memory. */
static bool key_of(const pawl_call_options *o, uint8_t ret[PW_DIGEST_SIZE])
{
    static const uint8_t none[PW_DIGEST_SIZE];
    static const uint8_t nil[1] = {0xc0};
    const pw_view input = pw_value_bytes(o->input);
    const pw_view given = input.size > 0 ? input : (pw_view){nil, 1};
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf canon = PW_BUF_INIT;
    const bool whole = pw_canon(&canon, given.data, given.size); /* else as it is */
    pw_mp_array(&b, 3);
    pw_mp_str(&b, o->name);
    pw_mp_str(&b, o->cache_scope != NULL ? o->cache_scope : "");
    pw_buf_put(&b, whole ? canon.data : given.data, whole ? canon.size : given.size);
    if (!pw_buf_ok(&b) || !pw_buf_ok(&canon)) {
        return false;
    }
    pw_chain_next(ret, none, b.data, b.size);
    return true;
}

void pw_cache_fields(pw_emit *e, const pawl_call_options *options)
{
    uint8_t key[PW_DIGEST_SIZE];
    if (!(options->cache_s > 0)) {
        return;
    }
    if (!key_of(options, key)) {
        e->fields.failed = true;
        return;
    }
    pw_emit_int(e, "cache_ms", pw_seconds_ms(options->cache_s));
    pw_mp_str(&e->fields, "cache_key");
    pw_mp_bin(&e->fields, key, sizeof key);
    e->len++;
}

/* Of a command's body. False: its result is nobody else's. */
static bool wanted(const pw_job *job, uint8_t ret_key[PW_DIGEST_SIZE], int64_t *ret_ms)
{
    const pw_view raw = pw_body_get(job->body, "cache_key");
    if (job->map != NULL || raw.size == 0) {
        return false;
    }
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    const pw_view key = pw_mp_read_str(&r);
    *ret_ms = pw_body_int(job->body, "cache_ms", 0);
    if (!pw_mp_ok(&r) || key.size != PW_DIGEST_SIZE || *ret_ms <= 0) {
        return false;
    }
    memcpy(ret_key, key.data, PW_DIGEST_SIZE);
    return true;
}

/* As far as it is known here; what a worker elsewhere calls unsafe was never kept. */
static bool unsafe(pw_core *core, const pw_job *job)
{
    const pw_act *act;
    HASH_FIND(hh, core->acts, job->name, strlen(job->name), act);
    return job->sent || job->effect == PAWL_EFFECT_UNSAFE ||
           (job->effect == PAWL_EFFECT_DEFAULT && act != NULL && act->effect == PAWL_EFFECT_UNSAFE);
}

/* NULL = no memory. */
static pw_report *report_of(pw_core *core, const pw_job *job, const pw_cache_row *row)
{
    pw_report *r = pw_calloc(1, sizeof *r);
    pawl_scope *scope = r != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(r);
        return NULL;
    }
    r->kind = PW_REPORT_DONE;
    r->scope = scope;
    r->token = (pw_token){job->key.run, job->key.cmd, 0, job->attempt, core->options.epoch};
    r->value = (pw_view){pw_memdup(scope, row->body.data, row->body.size), row->body.size};
    const pawl_value *of =
        pawl_build(scope, "{run: %p, command: %lld, at_ms: %lld}",
                   pawl_v(pawl_make_strn(scope, (const char *)row->run_id.data, row->run_id.size)),
                   (long long)row->cmd, (long long)row->at_ms);
    r->cached = pw_value_bytes(of);
    if (pw_scope_failed(scope)) {
        pw_report_free(r);
        return NULL;
    }
    return r;
}

pw_report *pw_cache_find(pw_core *core, const pw_job *job)
{
    pw_cache_row row = {.cmd = 0};
    int64_t ms = 0;
    pawl_error err;
    if (!wanted(job, row.key, &ms) || unsafe(core, job) || core->shutdown || core->failed) {
        return NULL;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    uint8_t key[PW_DIGEST_SIZE];
    memcpy(key, row.key, sizeof key);
    const pawl_status st = core->jops->cached(core->reader, key, &body, &row, &err);
    if (st != PAWL_OK && st != PAWL_NOTFOUND) {
        pw_core_log(core, PAWL_WARN, job->run_id, job->key.cmd,
                    "whether a result of \"%s\" is kept cannot be told, so it is asked for: %s",
                    job->name, err.message);
    }
    const int64_t now = pw_core_now(core);
    if (st != PAWL_OK || row.expires_ms <= now || row.at_ms + ms <= now) {
        return NULL;
    }
    return report_of(core, job, &row);
}

void pw_cache_keep(pw_live *live, const pw_job *job, pw_view result)
{
    pw_cache_row row = {.at_ms = live->now_ms, .cmd = job->key.cmd};
    int64_t ms = 0;
    if (!wanted(job, row.key, &ms) || unsafe(live->core, job) ||
        result.size > PW_CACHE_VALUE_BYTES_MAX) {
        return;
    }
    pawl_scope *scope = live->batch->group.scope;
    static const uint8_t nil[1] = {0xc0};
    const pw_view body = result.size > 0 ? result : (pw_view){nil, 1};
    const char *id = pw_strdup(scope, live->id);
    row.expires_ms = live->now_ms + ms;
    row.body = (pw_view){pw_memdup(scope, body.data, body.size), body.size};
    row.run_id = (pw_view){(const uint8_t *)id, id != NULL ? strlen(id) : 0};
    pw_batch_op(live->batch, PW_OP_CACHE_PUT)->u.cache = row;
}
