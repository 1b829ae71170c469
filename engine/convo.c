/*
 * convo.c - references to conversations, and reading the chain of nodes behind one.
 *
 * Reading goes from the newest node to the oldest that is wanted and then turns round; each node says how many messages came before it, and
 * that must be how many its parent ends with [C2]. Does not write nodes (wf_convo.c puts them into a turn's group) and does not look into messages.
 */
#include "engine/convo.h"

#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/kept.h"
#include "sdk/base/mem.h"

#define REF "$convo"

/* ---- references ---- */

static bool hex_digit(char c, uint8_t *ret)
{
    if (c >= '0' && c <= '9') {
        *ret = (uint8_t)(c - '0');
        return true;
    }
    *ret = (uint8_t)(c - 'a' + 10);
    return c >= 'a' && c <= 'f';
}

bool pw_convo_of(const pawl_value *ref, pw_convo *ret)
{
    memset(ret, 0, sizeof *ret);
    if (ref == NULL || pawl_typeof(ref) == PAWL_NIL) {
        return true;
    }
    const char *hex = pawl_typeof(ref) == PAWL_MAP ? pawl_str(ref, REF, "") : "";
    ret->len = pawl_int(ref, "len", 0);
    if (strlen(hex) != (size_t)2 * PW_DIGEST_SIZE || ret->len < 1) {
        return false;
    }
    for (size_t i = 0; i < PW_DIGEST_SIZE; i++) {
        uint8_t high, low;
        if (!hex_digit(hex[2 * i], &high) || !hex_digit(hex[2 * i + 1], &low)) {
            return false;
        }
        ret->id[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

const pawl_value *pw_convo_ref(pawl_scope *scope, const pw_convo *c)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * PW_DIGEST_SIZE + 1];
    for (size_t i = 0; i < PW_DIGEST_SIZE; i++) {
        hex[2 * i] = digits[c->id[i] >> 4];
        hex[2 * i + 1] = digits[c->id[i] & 15];
    }
    hex[sizeof hex - 1] = 0;
    return pawl_build(scope, "{" REF ": %s, len: %lld}", hex, (long long)c->len);
}

int64_t pawl_convo_len(const pawl_value *convo)
{
    pw_convo c;
    return pw_convo_of(convo, &c) ? c.len : 0;
}

/* ---- nodes ---- */

/* One on the way from the newest to the oldest; views live in the scope of the walk. */
typedef struct node {
    uint8_t parent[PW_DIGEST_SIZE];
    int64_t first, len;
    pw_view messages; /* of `len` values, without the head of their array */
    struct node *newer;
} node;

static bool is_empty(const uint8_t id[PW_DIGEST_SIZE])
{
    static const uint8_t none[PW_DIGEST_SIZE];
    return memcmp(id, none, PW_DIGEST_SIZE) == 0;
}

static pawl_status find(const pw_convo_from *from, const uint8_t id[PW_DIGEST_SIZE],
                        uint8_t ret_parent[PW_DIGEST_SIZE], pw_buf *ret_body, pawl_error *err)
{
    static const uint8_t family[PW_DIGEST_SIZE]; /* an id says all */
    for (size_t i = from->ops_len; i > 0; i--) {
        const pw_op *op = &from->ops[i - 1];
        if (op->type == PW_OP_NODE_PUT && memcmp(op->u.node.id, id, PW_DIGEST_SIZE) == 0) {
            memcpy(ret_parent, op->u.node.parent, PW_DIGEST_SIZE);
            pw_buf_put(ret_body, op->u.node.body.data, op->u.node.body.size);
            return pw_buf_ok(ret_body) ? PAWL_OK : pw_err(err, PAWL_NOMEM, "out of memory");
        }
    }
    const pw_view key = {id, PW_DIGEST_SIZE};
    pw_view bytes;
    if (from->kept != NULL && pw_kept_find(from->kept, family, key, &bytes, ret_parent)) {
        pw_buf_put(ret_body, bytes.data, bytes.size);
        return pw_buf_ok(ret_body) ? PAWL_OK : pw_err(err, PAWL_NOMEM, "out of memory");
    }
    const pawl_status st = from->reader->ops->node(from->reader, id, ret_parent, ret_body, err);
    if (st == PAWL_OK && from->kept != NULL) {
        pw_kept_put(from->kept, family, key, (pw_view){ret_body->data, ret_body->size}, ret_parent);
    }
    return st;
}

static pawl_status node_read(const pw_convo_from *from, pawl_scope *scope,
                             const uint8_t id[PW_DIGEST_SIZE], node **ret_node, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    node *n = pawl_scope_alloc(scope, sizeof *n);
    if (n == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pawl_status st = find(from, id, n->parent, &body, err);
    if (st != PAWL_OK) {
        return st;
    }
    void *copy = pw_memdup(scope, body.data, body.size);
    if (copy == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pw_mp r = pw_mp_reader(copy, body.size);
    size_t parts = pw_mp_read_array(&r);
    n->first = pw_mp_read_int(&r);
    n->len = (int64_t)pw_mp_read_array(&r);
    n->messages = (pw_view){r.p, (size_t)(r.end - r.p)};
    bool sound = pw_mp_ok(&r) && parts == 2 && n->first >= 0 && n->len > 0 &&
                 (n->first == 0) == is_empty(n->parent);
    if (!sound) {
        return pw_err(err, PAWL_DAMAGED, "a node of a conversation is not well formed");
    }
    *ret_node = n;
    return PAWL_OK;
}

static pawl_status head_read(const pw_convo_from *from, pawl_scope *scope, const pw_convo *c,
                             node **ret_node, pawl_error *err)
{
    pawl_status st = node_read(from, scope, c->id, ret_node, err);
    if (st == PAWL_OK && (*ret_node)->first + (*ret_node)->len != c->len) {
        return pw_err(err, PAWL_INVALID, "the conversation has %lld messages, not %lld",
                      (long long)((*ret_node)->first + (*ret_node)->len), (long long)c->len);
    }
    return st;
}

pawl_status pw_convo_check(const pw_convo_from *from, const pw_convo *c, pawl_error *err)
{
    if (is_empty(c->id)) {
        return PAWL_OK;
    }
    pawl_scope *scope = pawl_scope_new();
    node *head;
    pawl_status st = scope != NULL ? head_read(from, scope, c, &head, err)
                                   : pw_err(err, PAWL_NOMEM, "out of memory");
    pawl_scope_free(scope);
    return st;
}

/* The oldest node wanted; the others hang on it by `newer`. */
static pawl_status walk(const pw_convo_from *from, pawl_scope *scope, const pw_convo *c,
                        int64_t first, node **ret_oldest, pawl_error *err)
{
    node *at;
    pawl_status st = head_read(from, scope, c, &at, err);
    size_t bytes = 0;
    while (st == PAWL_OK && at->first > first) {
        node *older;
        bytes += at->messages.size;
        st = node_read(from, scope, at->parent, &older, err);
        if (st == PAWL_NOTFOUND || (st == PAWL_OK && older->first + older->len != at->first)) {
            return pw_err(err, PAWL_DAMAGED, "a conversation is broken before its message %lld",
                          (long long)at->first);
        }
        if (st == PAWL_OK && bytes > PW_VALUE_BYTES_MAX) {
            return pw_err(err, PAWL_LIMIT, "the messages asked for are more than %u bytes",
                          PW_VALUE_BYTES_MAX);
        }
        if (st == PAWL_OK) {
            older->newer = at;
            at = older;
        }
    }
    if (st == PAWL_OK) {
        *ret_oldest = at;
    }
    return st;
}

static pawl_status join(const node *oldest, int64_t first, int64_t len, pw_buf *out,
                        pawl_error *err)
{
    out->bytes_max = (size_t)PW_VALUE_BYTES_MAX;
    pw_mp_array(out, (size_t)(len - first));
    for (const node *n = oldest; n != NULL; n = n->newer) {
        pw_mp r = pw_mp_reader(n->messages.data, n->messages.size);
        for (int64_t skipped = n->first; skipped < first && skipped < n->first + n->len;
             skipped++) {
            pw_mp_skip(&r);
        }
        if (!pw_mp_ok(&r)) {
            return pw_err(err, PAWL_DAMAGED, "a node of a conversation is not well formed");
        }
        pw_buf_put(out, r.p, (size_t)(r.end - r.p));
    }
    if (out->full) {
        return pw_err(err, PAWL_LIMIT, "the messages asked for are more than %u bytes",
                      PW_VALUE_BYTES_MAX);
    }
    return pw_buf_ok(out) ? PAWL_OK : pw_err(err, PAWL_NOMEM, "out of memory");
}

pawl_status pw_convo_read(const pw_convo_from *from, pawl_scope *scope, const pw_convo *c,
                          int64_t first, const pawl_value **ret_messages, pawl_error *err)
{
    pawl_scope *walked = pawl_scope_new();
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    node *oldest = NULL;
    first = first < 0 ? 0 : first > c->len ? c->len : first;
    pawl_status st = walked == NULL ? pw_err(err, PAWL_NOMEM, "out of memory") : PAWL_OK;
    if (st == PAWL_OK && !is_empty(c->id)) {
        st = walk(from, walked, c, first, &oldest, err);
    }
    st = st == PAWL_OK ? join(oldest, first, c->len, &out, err) : st;
    const pawl_value *v = st == PAWL_OK ? pw_value_copy(scope, out.data, out.size) : NULL;
    pawl_scope_free(walked);
    if (st == PAWL_OK && v == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    if (st == PAWL_OK) {
        *ret_messages = v;
    }
    return st;
}

void pw_convo_node(const pw_convo *c, const pawl_value *messages, const uint8_t key[PW_KEY_SIZE],
                   pw_buf *ret_body, pw_convo *ret_next)
{
    pw_view bytes = pw_value_bytes(messages);
    bool several = pawl_typeof(messages) == PAWL_ARRAY;
    pw_mp_array(ret_body, 2);
    pw_mp_int(ret_body, c->len);
    if (!several) {
        pw_mp_array(ret_body, 1);
    }
    pw_buf_put(ret_body, bytes.data, bytes.size);
    ret_next->len = c->len + (several ? (int64_t)pawl_len(messages) : 1);
    pw_node_id(ret_next->id, key, c->id, (pw_view){ret_body->data, ret_body->size});
}
