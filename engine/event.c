/*
 * event.c - event bodies: reading a key, fetching a blob, failures, and appending an event to the turn's record.
 *
 * Does not change state: apply.c does. Does not know which keys an event has: the writers do (README.md, event bodies).
 */
#include <string.h>

#include "engine/parts.h"

pw_view pw_body_get(pw_view body, const char *key)
{
    pw_view found = {NULL, 0};
    if (body.size > 0) {
        pw_mp r = pw_mp_reader(body.data, body.size);
        (void)pw_mp_find(&r, (pw_view){(const uint8_t *)key, strlen(key)}, &found);
    }
    return found;
}

static bool key_is(pw_view key, const char *text)
{
    return memcmp(key.data, text, key.size) == 0;
}

/* The pair at r; by the length of its key, since most pairs are none of these. */
static void common_pair(pw_common *c, pw_mp *r)
{
    pw_view key = pw_mp_read_str(r);
    pw_view raw = pw_mp_read_raw(r);
    pw_mp v = pw_mp_reader(raw.data, raw.size);
    if (key.size == 4 && key_is(key, "name")) {
        c->name = pw_mp_read_str(&v);
    } else if (key.size == 6 && key_is(key, "digest")) {
        c->digest = pw_mp_read_uint(&v);
    } else if (key.size == 6 && key_is(key, "due_ms")) {
        c->due_ms = pw_mp_read_int(&v);
    } else if (key.size == 4 && key_is(key, "undo")) {
        c->undo = pw_mp_read_str(&v);
    } else if (key.size == 9 && key_is(key, "on_cancel")) {
        c->on_cancel = pw_mp_read_int(&v);
    }
}

static void common_pairs(pw_common *c, pw_mp *r)
{
    size_t pairs = pw_mp_read_map(r);
    for (size_t i = 0; i < pairs && pw_mp_ok(r); i++) {
        common_pair(c, r);
    }
}

const pw_common *pw_body_common(pw_live *live, pw_view body)
{
    pw_common *c = &live->common;
    if (c->of == body.data && body.size > 0) {
        return c;
    }
    *c = (pw_common){.of = body.data};
    if (body.size > 0) {
        pw_mp r = pw_mp_reader(body.data, body.size);
        common_pairs(c, &r);
    }
    return c;
}

bool pw_body_take(pw_live *live, pw_mp *r, pw_view *ret_body)
{
    const uint8_t *from = r->p;
    live->common = (pw_common){.of = from};
    int lead = r->p < r->end ? *r->p : 0;
    if ((lead & 0xf0) == 0x80 || lead == 0xde || lead == 0xdf) { /* a map */
        common_pairs(&live->common, r);
    } else {
        pw_mp_skip(r);
    }
    *ret_body = (pw_view){from, (size_t)(r->p - from)};
    return pw_mp_ok(r);
}

const char *pw_body_str(pawl_scope *scope, pw_view body, const char *key, const char *otherwise)
{
    pw_view raw = pw_body_get(body, key);
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    if (raw.size == 0 || pw_mp_peek(&r) != PAWL_STRING) {
        return otherwise;
    }
    pw_view text = pw_mp_read_str(&r);
    char *copy = pw_strndup(scope, (const char *)text.data, text.size);
    return copy != NULL ? copy : otherwise;
}

int64_t pw_body_int(pw_view body, const char *key, int64_t otherwise)
{
    pw_view raw = pw_body_get(body, key);
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    if (raw.size == 0 || pw_mp_peek(&r) != PAWL_INT) {
        return otherwise;
    }
    int64_t n = pw_mp_read_int(&r);
    return pw_mp_ok(&r) ? n : otherwise;
}

uint64_t pw_body_uint(pw_view body, const char *key)
{
    pw_view raw = pw_body_get(body, key);
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    return raw.size > 0 ? pw_mp_read_uint(&r) : 0;
}

double pw_body_num(pw_view body, const char *key, double otherwise)
{
    pw_view raw = pw_body_get(body, key);
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    if (raw.size == 0) {
        return otherwise;
    }
    double d = pw_mp_read_double(&r);
    return pw_mp_ok(&r) ? d : otherwise;
}

static const pw_new_blob *find_new_blob(const pw_core *core, const uint8_t *digest)
{
    const pw_new_blob *blob = core->building != NULL ? core->building->blobs : NULL;
    while (blob != NULL && memcmp(blob->digest, digest, PW_DIGEST_SIZE) != 0) {
        blob = blob->next;
    }
    return blob;
}

const pawl_value *pw_resolve(pw_core *core, pawl_scope *scope, pw_view raw)
{
    if (raw.size == 0) {
        return NULL;
    }
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    pw_view ref;
    if (!pw_mp_read_ext(&r, PW_EXT_BLOB, &ref)) {
        return pw_value_copy(scope, raw.data, raw.size);
    }
    const pw_new_blob *fresh = ref.size >= PW_DIGEST_SIZE ? find_new_blob(core, ref.data) : NULL;
    if (fresh != NULL) {
        return pw_value_copy(scope, fresh->bytes.data, fresh->bytes.size);
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf buf = PW_BUF_INIT;
    buf.bytes_max = PW_VALUE_BYTES_MAX;
    pawl_error err;
    if (ref.size < PW_DIGEST_SIZE ||
        core->jops->blob(core->reader, ref.data, &buf, &err) != PAWL_OK) {
        pw_scope_fail(scope); /* nil is not what stands there */
        pw_core_log(core, PAWL_ERROR, "", 0, "a payload cannot be read: %s",
                    ref.size < PW_DIGEST_SIZE ? "bad reference" : err.message);
        return NULL;
    }
    return pw_value_copy(scope, buf.data, buf.size);
}

const pawl_value *pw_body_value(pw_core *core, pawl_scope *scope, pw_view body, const char *key)
{
    return pw_resolve(core, scope, pw_body_get(body, key));
}

/* ---- failures ---- */

pawl_failure *pw_failure_new(pawl_scope *scope, const char *type, const char *message,
                             const pawl_value *details, bool retryable, const pawl_failure *cause)
{
    pawl_failure *f = pw_alloc(scope, sizeof *f);
    if (f == NULL) {
        return NULL;
    }
    const char *t = pw_strdup(scope, type);
    const char *m = pw_strdup(scope, message);
    *f = (pawl_failure){.type = t != NULL ? t : "OutOfMemory",
                        .message = m != NULL ? m : "",
                        .details = details,
                        .retryable = retryable,
                        .cause = cause};
    return f;
}

const pawl_failure *pw_failure_read(pawl_scope *scope, const pawl_value *v, int depth)
{
    if (v == NULL || depth > PW_DEPTH_MAX / 4) {
        return NULL;
    }
    const pawl_failure *cause = NULL;
    const pawl_value *inner = pawl_get(v, "cause");
    if (inner != NULL) {
        cause = pw_failure_read(scope, inner, depth + 1);
    }
    return pw_failure_new(scope, pawl_str(v, "type", "Unknown"), pawl_str(v, "message", ""),
                          pawl_get(v, "details"), pawl_bool(v, "retryable", false), cause);
}

void pw_failure_write(pw_buf *buf, const pawl_failure *f, int depth)
{
    if (f == NULL || depth > PW_DEPTH_MAX / 4) {
        pw_mp_nil(buf);
        return;
    }
    pw_mp_map(buf, 3 + (f->details != NULL ? 1u : 0u) + (f->cause != NULL ? 1u : 0u));
    pw_mp_str(buf, "type");
    pw_mp_str(buf, f->type);
    pw_mp_str(buf, "message");
    pw_mp_str(buf, f->message != NULL ? f->message : "");
    pw_mp_str(buf, "retryable");
    pw_mp_bool(buf, f->retryable);
    if (f->details != NULL) {
        pw_mp_str(buf, "details");
        pw_mp_value(buf, f->details);
    }
    if (f->cause != NULL) {
        pw_mp_str(buf, "cause");
        pw_failure_write(buf, f->cause, depth + 1);
    }
}

void pw_put_failure_field(pw_buf *buf, const char *key, const pawl_failure *f)
{
    pw_mp_str(buf, key);
    pw_failure_write(buf, f, 0);
}

/* ---- values ---- */

void pw_put_value(pw_core *core, pw_batch *b, pw_buf *buf, pw_view value)
{
    if (value.size <= PW_INLINE_BYTES_MAX) {
        if (value.size == 0) {
            pw_mp_nil(buf);
        } else {
            pw_buf_put(buf, value.data, value.size);
        }
        return;
    }
    uint8_t ref[PW_DIGEST_SIZE + 8];
    pw_blob_digest(ref, core->blob_key, value.data, value.size);
    for (int i = 0; i < 8; i++) {
        ref[PW_DIGEST_SIZE + i] = (uint8_t)((uint64_t)value.size >> (56 - 8 * i));
    }
    pw_mp_ext(buf, PW_EXT_BLOB, ref, sizeof ref);
    void *copy = pw_memdup(b->group.scope, value.data, value.size);
    pw_new_blob *fresh = pw_alloc(b->group.scope, sizeof *fresh);
    pw_op *op = copy != NULL && fresh != NULL ? pw_batch_op(b, PW_OP_BLOB_PUT) : NULL;
    if (op == NULL) {
        buf->failed = true;
        return;
    }
    *fresh = (pw_new_blob){.bytes = {copy, value.size}, .next = b->blobs};
    memcpy(fresh->digest, ref, PW_DIGEST_SIZE);
    b->blobs = fresh;
    memcpy(op->u.blob.digest, ref, PW_DIGEST_SIZE);
    op->u.blob.body = (pw_view){copy, value.size};
    if (value.size > PW_BLOB_CHUNK_BYTES) {
        pw_batch_take_back(b); /* chunks go before their group */
        core->env.stage(core->env.ctx, ref, op->u.blob.body);
        op->u.blob.body.data = NULL; /* its chunks are on their way */
    }
}

static bool put_event(pw_live *live, pw_event_type type, int64_t cmd, pw_view body)
{
    pw_buf *rec = live->record;
    PW_CHECK(rec != NULL);
    if (body.data == NULL) {
        rec->failed = true;
        return false;
    }
    pw_mp_array(rec, 3);
    pw_mp_int(rec, (int64_t)type);
    pw_mp_int(rec, cmd);
    pw_buf_put(rec, body.data, body.size);
    live->record_events++;
    pw_event ev = {.seq = live->seq + 1, .type = type, .cmd = cmd, .body = body};
    bool ok = pw_apply(live, &ev);
    if (ok) {
        pw_effects(live, &ev, cmd > 0 ? pw_cmd_find(live, cmd) : NULL);
    } else {
        rec->failed = true; /* what was not applied must not be written [E3] */
    }
    return ok;
}

bool pw_event_put(pw_live *live, pw_event_type type, int64_t cmd, pw_view body)
{
    static const uint8_t empty_map[1] = {0x80};
    pw_view kept = {empty_map, 1};
    if (body.size > 0) {
        kept = (pw_view){pw_memdup(live->scope, body.data, body.size), body.size};
    }
    return put_event(live, type, cmd, kept);
}

bool pw_event_put_fields(pw_live *live, pw_event_type type, int64_t cmd, pw_view fields, size_t len)
{
    const uint8_t head[3] = {len < 16 ? (uint8_t)(0x80 | len) : 0xde, (uint8_t)(len >> 8),
                             (uint8_t)len}; /* of a msgpack map */
    size_t head_size = len < 16 ? 1 : 3;
    PW_CHECK(len <= UINT16_MAX);
    uint8_t *kept = pw_alloc(live->scope, head_size + fields.size);
    if (kept != NULL) {
        memcpy(kept, head, head_size);
        if (fields.size > 0) {
            memcpy(kept + head_size, fields.data, fields.size);
        }
    }
    return put_event(live, type, cmd, (pw_view){kept, head_size + fields.size});
}
