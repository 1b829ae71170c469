/*
 * llm_rig.c - the checks of the tables. Knows no wire.
 */
#include "llm_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "sdk/base/hash.h"
#include "sdk/base/json.h"
#include "sdk/base/value.h"

static const uint8_t salt[PW_DIGEST_SIZE] = {1, 2, 3};

const char *llm_text(pawl_scope *scope, const char *quoted)
{
    const size_t size = strlen(quoted);
    char *text = pawl_scope_alloc(scope, size + 1);
    assert_non_null(text);
    for (size_t i = 0; i <= size; i++) {
        text[i] = quoted[i] == '\'' ? '"' : quoted[i];
    }
    return text;
}

const pawl_value *llm_json(pawl_scope *scope, const char *quoted)
{
    const char *text = llm_text(scope, quoted);
    const pawl_value *v = NULL;
    pawl_error err = {0};
    if (pawl_parse_json(scope, text, strlen(text), &v, &err) != PAWL_OK) {
        fail_msg("the table's JSON is wrong: %s in %s", err.message, text);
    }
    return v;
}

pw_llm_endpoint llm_endpoint(pawl_scope *scope, const char *quoted)
{
    pw_llm_endpoint e = {0};
    pawl_error err = {0};
    if (pw_llm_endpoint_read(scope, llm_json(scope, quoted), &e, &err) != PAWL_OK) {
        fail_msg("endpoint %s: %s", quoted, err.message);
    }
    return e;
}

static const char *json_of(const pawl_value *v)
{
    static pw_buf rooms[2];
    static size_t turn;
    pw_buf *room = &rooms[turn++ % 2];
    pawl_error err = {0};
    const pw_view bytes = pw_value_bytes(v);
    pw_buf_deinit(room);
    assert_int_equal(pw_json_print(room, bytes.data, bytes.size, 2, &err), PAWL_OK);
    return pw_buf_cstr(room);
}

static bool same(const pawl_value *a, const pawl_value *b)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf x = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf y = PW_BUF_INIT;
    const pw_view va = pw_value_bytes(a);
    const pw_view vb = pw_value_bytes(b);
    assert_true(pw_canon(&x, va.data, va.size) && pw_canon(&y, vb.data, vb.size));
    return x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
}

void llm_same(const char *what, const pawl_value *is, const pawl_value *wanted)
{
    if (!same(is, wanted)) {
        const char *a = json_of(is);
        const char *b = json_of(wanted);
        fail_msg("%s is\n%s\nwanted:\n%s", what, a, b);
    }
}

/* ---- requests ---- */

static pawl_status encode(pawl_scope *scope, const pw_llm_endpoint *e, const pawl_value *request,
                          bool stream, pw_llm_call *ret_call, pawl_error *err)
{
    return pw_llm_encode(e, &(pw_llm_ask){.scope = scope, .request = request, .stream = stream},
                         ret_call, err);
}

const char *llm_body(pawl_scope *scope, const char *endpoint, const pawl_value *request)
{
    const pw_llm_endpoint e = llm_endpoint(scope, endpoint);
    pw_llm_call call;
    pawl_error err = {0};
    if (encode(scope, &e, request, false, &call, &err) != PAWL_OK) {
        fail_msg("%s: %s", endpoint, err.message);
    }
    const char *body = pawl_str(pawl_make_str(scope, pw_buf_cstr(&call.body)), "", "");
    pw_llm_call_deinit(&call);
    return body;
}

static bool has_header(const pw_llm_call *call, const char *line, size_t size)
{
    for (size_t i = 0; i < call->headers_len; i++) {
        char text[400];
        const pw_llm_header *h = &call->headers[i];
        const int n = snprintf(text, sizeof text, "%s: %s%s%s", h->name, h->value,
                               h->secret != NULL ? "+" : "", h->secret != NULL ? h->secret : "");
        if ((size_t)n == size && memcmp(text, line, size) == 0) {
            return true;
        }
    }
    return false;
}

static void check_headers(const llm_request_case *c, const pw_llm_call *call)
{
    for (const char *line = c->headers; line != NULL && *line != '\0';) {
        const size_t size = strcspn(line, "\n");
        if (!has_header(call, line, size)) {
            for (size_t i = 0; i < call->headers_len; i++) {
                print_message("  %s: %s\n", call->headers[i].name, call->headers[i].value);
            }
            fail_msg("%s: there is no header \"%.*s\"", c->name, (int)size, line);
        }
        line += size + (line[size] == '\n' ? 1 : 0);
    }
}

static void check_request(const llm_request_case *c, pawl_scope *scope)
{
    const pw_llm_endpoint e = llm_endpoint(scope, c->endpoint);
    pw_llm_call call;
    pawl_error err = {0};
    const pawl_status st = encode(scope, &e, llm_json(scope, c->request), c->stream, &call, &err);
    if (c->body == NULL) {
        if (st != PAWL_INVALID || strstr(err.message, c->refused) == NULL) {
            fail_msg("%s: status %d '%s', not refused with '%s'", c->name, (int)st, err.message,
                     c->refused);
        }
        return;
    }
    if (st != PAWL_OK) {
        fail_msg("%s: refused: %s", c->name, err.message);
    }
    if (c->path != NULL) {
        assert_string_equal(call.path, c->path);
    }
    check_headers(c, &call);
    const char *wanted = llm_text(scope, c->body);
    (void)llm_json(scope, pw_buf_cstr(&call.body)); /* strict JSON */
    if (strcmp(pw_buf_cstr(&call.body), wanted) != 0) {
        fail_msg("%s: the body is\n%s\nwanted:\n%s", c->name, pw_buf_cstr(&call.body), wanted);
    }
    pw_llm_call_deinit(&call);
}

void llm_check_requests(const llm_request_case *cases, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        pawl_scope *scope = pawl_scope_new();
        check_request(&cases[i], scope);
        pawl_scope_free(scope);
    }
}

/* ---- answers ---- */

static void check_outcome(const char *name, pawl_status st, const pw_llm_failure *f,
                          const char *type)
{
    if (type == NULL && st != PAWL_OK) {
        fail_msg("%s: status %d, %s: %s", name, (int)st, pw_llm_class_type(f->class), f->message);
    }
    if (type != NULL && (st != PAWL_FAILED || strcmp(pw_llm_class_type(f->class), type) != 0)) {
        fail_msg("%s: status %d, %s: %s; wanted %s", name, (int)st,
                 st == PAWL_FAILED ? pw_llm_class_type(f->class) : "an answer", f->message, type);
    }
}

const pawl_value *llm_answer(pawl_scope *scope, const char *endpoint, const char *response)
{
    const pw_llm_endpoint e = llm_endpoint(scope, endpoint);
    const char *text = llm_text(scope, response);
    const pawl_value *answer = NULL;
    pw_llm_failure f = {.class = PW_LLM_SERVER};
    const pawl_status st =
        pw_llm_decode(&e, scope, (pw_view){(const uint8_t *)text, strlen(text)}, salt, &answer, &f);
    check_outcome(response, st, &f, NULL);
    return answer;
}

void llm_check_answers(const llm_answer_case *cases, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const llm_answer_case *c = &cases[i];
        pawl_scope *scope = pawl_scope_new();
        const pw_llm_endpoint e = llm_endpoint(scope, c->endpoint);
        const char *text = llm_text(scope, c->response);
        const pawl_value *answer = NULL;
        pw_llm_failure f = {.class = PW_LLM_SERVER};
        const pawl_status st = pw_llm_decode(
            &e, scope, (pw_view){(const uint8_t *)text, strlen(text)}, salt, &answer, &f);
        check_outcome(c->name, st, &f, c->answer != NULL ? NULL : c->type);
        if (c->answer != NULL) {
            llm_same(c->name, answer, llm_json(scope, c->answer));
        }
        pawl_scope_free(scope);
    }
}

/* ---- streams ---- */

static void put_piece(pw_buf *b, pw_view text)
{
    pw_buf_put(b, text.data, text.size);
}

static void on_delta(void *user, const pw_llm_delta *delta)
{
    pw_buf *b = user;
    if (delta->kind == PW_LLM_DELTA_CALL) {
        pw_buf_printf(b, "C%zu ", delta->index);
        put_piece(b, delta->id);
        pw_buf_putc(b, ' ');
        put_piece(b, delta->name);
    } else {
        pw_buf_putc(b, "TRXC"[delta->kind]);
    }
    pw_buf_putc(b, ':');
    put_piece(b, delta->text);
    pw_buf_putc(b, '|');
}

/* Feeds [0, cut) and [cut, size), or each byte by itself (step 1). */
typedef struct feeding {
    const llm_stream_case *c;
    const pw_llm_endpoint *e;
    const char *text;
    size_t size;
    pw_buf deltas;
    pw_llm_failure failure;
} feeding;

static pawl_status feed(feeding *f, size_t cut, bool single, pawl_scope *scope,
                        const pawl_value **ret_answer)
{
    pw_buf_reset(&f->deltas);
    pw_llm_stream *s = pw_llm_stream_open(f->e, salt, on_delta, &f->deltas);
    pawl_status st = PAWL_OK;
    assert_non_null(s);
    for (size_t i = 0; single && i < f->size && st == PAWL_OK; i++) {
        st = pw_llm_stream_put(s, f->text + i, 1);
    }
    if (!single) {
        st = pw_llm_stream_put(s, f->text, cut);
        st = st == PAWL_OK ? pw_llm_stream_put(s, f->text + cut, f->size - cut) : st;
    }
    st = pw_llm_stream_end(s, scope, ret_answer);
    f->failure = *pw_llm_stream_failure(s);
    assert_true(pw_llm_stream_bytes(s) < 100 * f->size + 100000);
    pw_llm_stream_close(s);
    return st;
}

static void check_fed(feeding *f, size_t cut, bool single, const pawl_value *wanted,
                      const char *deltas)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *answer = NULL;
    const pawl_status st = feed(f, cut, single, scope, &answer);
    char what[200];
    (void)snprintf(what, sizeof what, "%s, cut at byte %zu%s", f->c->name, cut,
                   single ? " and at every other" : "");
    check_outcome(what, st, &f->failure, wanted != NULL ? NULL : f->c->type);
    if (wanted != NULL) {
        llm_same(what, answer, wanted);
    }
    if (deltas != NULL && strcmp(pw_buf_cstr(&f->deltas), deltas) != 0) {
        fail_msg("%s: the deltas are\n%s\nwanted:\n%s", what, pw_buf_cstr(&f->deltas), deltas);
    }
    pawl_scope_free(scope);
}

/* [L2] Ended early it is a truncated stream, never another answer. */
static void check_ended(feeding *f, const pawl_value *wanted)
{
    const size_t whole = f->size;
    const char *from = f->c->whole_from != NULL ? strstr(f->text, f->c->whole_from) : NULL;
    for (f->size = 0; f->size < whole; f->size++) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *answer = NULL;
        const pawl_status st = feed(f, f->size, false, scope, &answer);
        const bool early = from != NULL && f->text + f->size <= from;
        if (st == PAWL_FAILED) {
            if (f->failure.class != PW_LLM_TRUNCATED || !f->failure.retryable) {
                fail_msg("%s, ended at byte %zu: %s: %s", f->c->name, f->size,
                         pw_llm_class_type(f->failure.class), f->failure.message);
            }
        } else if (st != PAWL_OK || early) {
            fail_msg("%s, ended at byte %zu: status %d, which is no truncation", f->c->name,
                     f->size, (int)st);
        } else { /* only what comes last may be missing: usage */
            llm_same(f->c->name, pawl_get(answer, "message"), pawl_get(wanted, "message"));
        }
        pawl_scope_free(scope);
    }
    f->size = whole;
}

void llm_check_streams(const llm_stream_case *cases, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        pawl_scope *scope = pawl_scope_new();
        const llm_stream_case *c = &cases[i];
        const pw_llm_endpoint e = llm_endpoint(scope, c->endpoint);
        feeding f = {.c = c, .e = &e, .text = llm_text(scope, c->stream), .deltas = PW_BUF_INIT};
        f.size = strlen(f.text);
        const pawl_value *wanted = c->answer != NULL ? llm_json(scope, c->answer) : NULL;
        const char *deltas = c->deltas != NULL ? llm_text(scope, c->deltas) : NULL;
        check_fed(&f, f.size, false, wanted, deltas);
        check_fed(&f, 0, true, wanted, deltas);
        for (size_t cut = 1; cut < f.size; cut++) {
            check_fed(&f, cut, false, wanted, deltas);
        }
        if (wanted != NULL) {
            check_ended(&f, wanted);
        }
        pw_buf_deinit(&f.deltas);
        pawl_scope_free(scope);
    }
}
