/*
 * secret_value.c - values of secrets out of every text of a value, keys too: what JSON had escaped, once or twice, is seen as it is here.
 * Does not look into numbers.
 */
#include "activities/secret.h"
#include "sdk/base/mp.h"

/* The text or bytes at m, without secrets. */
static bool redact_leaf(pw_mp *m, const pw_secrets *secrets, pw_buf *out)
{
    const bool is_text = pw_mp_peek(m) == PAWL_STRING;
    const pw_view v = pw_mp_read_str(m);
    pw_buf text = PW_BUF_INIT;
    pw_buf_put(&text, v.data, v.size);
    const bool ok = pw_buf_ok(&text) && pw_secret_redact(secrets, &text);
    const char *data = text.data != NULL ? (const char *)text.data : "";
    if (is_text) {
        pw_mp_strn(out, data, text.size);
    } else {
        pw_mp_bin(out, data, text.size);
    }
    pw_buf_deinit(&text);
    return ok;
}

bool pw_secret_redact_value(const pw_secrets *secrets, pw_buf *value)
{
    pw_buf out = PW_BUF_INIT;
    bool ok = pw_buf_ok(value);
    if (!pw_secret_known(secrets)) {
        return ok;
    }
    pw_mp m = pw_mp_reader(value->data, value->size);
    while (ok && !pw_mp_at_end(&m) && pw_mp_ok(&m)) {
        const uint8_t *start = m.p;
        pw_mp ext = m;
        pw_view number;
        switch (pw_mp_read_ext(&ext, PW_EXT_BIGINT, &number) ? PAWL_BIGINT : pw_mp_peek(&m)) {
        case PAWL_STRING:
        case PAWL_BYTES:
            ok = redact_leaf(&m, secrets, &out);
            continue;
        case PAWL_ARRAY:
            (void)pw_mp_read_array(&m);
            break;
        case PAWL_MAP:
            (void)pw_mp_read_map(&m);
            break;
        case PAWL_NIL:
        case PAWL_BOOL:
        case PAWL_INT:
        case PAWL_DOUBLE:
        case PAWL_BIGINT:
            pw_mp_skip(&m);
            break;
        }
        pw_buf_put(&out, start, (size_t)(m.p - start));
    }
    ok = ok && pw_buf_ok(&out) && pw_mp_ok(&m);
    pw_buf_deinit(value);
    *value = out;
    return ok;
}
