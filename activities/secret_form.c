/*
 * secret_form.c - what a peer may say back: the value as it is, or as it was written on the way.
 *
 * Values are looked for as encoders write them (secret_match.c), then the forms that are kept as texts, base64 above all. The longest form is looked
 * for first, so that a part of one is not left standing. Does not find a value that was cut, hashed or encrypted: nothing can.
 */
#include "activities/secret_form.h"

#include <ctype.h>
#include <string.h>

#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

#define FRAGMENT_MIN 8

static void wipe(pw_buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    pw_buf_deinit(buf);
}

void pw_secret_forms_deinit(pw_secret_forms *forms)
{
    for (size_t i = 0; i < forms->len; i++) {
        explicit_bzero(forms->text[i], strlen(forms->text[i]));
        pw_free(forms->text[i]);
    }
    for (size_t i = 0; i < forms->values_len; i++) {
        explicit_bzero(forms->value[i], strlen(forms->value[i]));
        pw_free(forms->value[i]);
    }
    forms->len = forms->values_len = 0;
}

static bool value_add(pw_secret_forms *forms, const char *text)
{
    const size_t size = strlen(text);
    if (size < PW_SECRET_BYTES_MIN) {
        return true;
    }
    char *copy = forms->values_len < PW_SECRET_VALUES_MAX ? pw_malloc(size + 1) : NULL;
    if (copy == NULL) {
        return false;
    }
    size_t at = forms->values_len++;
    for (; at > 0 && strlen(forms->value[at - 1]) < size; at--) {
        forms->value[at] = forms->value[at - 1];
    }
    memcpy(copy, text, size + 1);
    forms->value[at] = copy;
    return true;
}

bool pw_secret_forms_add(pw_secret_forms *forms, const char *text)
{
    const size_t size = strlen(text);
    size_t at = 0;
    for (size_t i = 0; i < forms->len; i++) {
        if (strcmp(forms->text[i], text) == 0) {
            return true;
        }
        at += strlen(forms->text[i]) >= size;
    }
    if (size < PW_SECRET_BYTES_MIN) {
        return true;
    }
    char *copy = forms->len < PW_SECRET_FORMS_MAX ? pw_malloc(size + 1) : NULL;
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, text, size + 1);
    memmove(&forms->text[at + 1], &forms->text[at], (forms->len - at) * sizeof forms->text[0]);
    forms->text[at] = copy;
    forms->len++;
    return true;
}

void pw_base64_put(pw_buf *out, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i += 3) {
        const size_t n = size - i < 3 ? size - i : 3;
        const uint32_t three =
            (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
        pw_buf_putc(out, digits[three >> 18]);
        pw_buf_putc(out, digits[three >> 12 & 63]);
        pw_buf_putc(out, n > 1 ? digits[three >> 6 & 63] : '=');
        pw_buf_putc(out, n > 2 ? digits[three & 63] : '=');
    }
}

static void percent_put(pw_buf *out, const char *text, size_t size, const char *hex)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL)) {
            pw_buf_putc(out, c);
        } else {
            pw_buf_putc(out, '%');
            pw_buf_putc(out, hex[c >> 4]);
            pw_buf_putc(out, hex[c & 15]);
        }
    }
}

void pw_percent_put(pw_buf *out, const char *text, size_t size)
{
    percent_put(out, text, size, "0123456789ABCDEF");
}

static bool form_take(pw_secret_forms *forms, pw_buf *form)
{
    const char *text = pw_buf_cstr(form);
    const bool ok = pw_buf_ok(form) && pw_secret_forms_add(forms, text);
    wipe(form);
    return ok;
}

/* What of its base64 does not depend on what stands before and after it, `before` bytes into a group of three. Short pieces are everywhere. */
static bool base64_add(pw_secret_forms *forms, const char *text, size_t before, bool url)
{
    const size_t size = strlen(text);
    const size_t first = (8 * before + 5) / 6;
    const size_t last = 8 * (before + size) / 6;
    pw_buf padded = PW_BUF_INIT;
    pw_buf form = PW_BUF_INIT;
    if (last < first + FRAGMENT_MIN) {
        return true;
    }
    pw_buf_put(&padded, "\0\0", before);
    pw_buf_put(&padded, text, size);
    if (pw_buf_ok(&padded)) {
        pw_base64_put(&form, padded.data, padded.size);
    }
    bool ok = pw_buf_ok(&padded) && pw_buf_ok(&form);
    for (size_t i = 0; ok && url && i < form.size; i++) {
        form.data[i] = form.data[i] == '+' ? '-' : form.data[i] == '/' ? '_' : form.data[i];
    }
    if (ok) {
        memmove(form.data, form.data + first, last - first);
        form.size = last - first;
    }
    wipe(&padded);
    return form_take(forms, &form) && ok;
}

bool pw_secret_forms_add_all(pw_secret_forms *forms, const char *text)
{
    const size_t size = strlen(text);
    pw_buf form = PW_BUF_INIT;
    bool ok = pw_secret_forms_add(forms, text) && value_add(forms, text);
    for (size_t before = 0; before < 3; before++) {
        ok = base64_add(forms, text, before, false) && base64_add(forms, text, before, true) && ok;
    }
    pw_percent_put(&form, text, size);
    ok = form_take(forms, &form) && ok;
    percent_put(&form, text, size, "0123456789abcdef");
    ok = form_take(forms, &form) && ok;
    pw_base64_put(&form, text, size);
    ok = form_take(forms, &form) && ok;
    pw_json_quote(&form, text, size);
    if (pw_buf_ok(&form) && form.size > 2) { /* without its quotes */
        memmove(form.data, form.data + 1, form.size - 2);
        form.size -= 2;
    }
    return form_take(forms, &form) && ok;
}

/* One form, everywhere. */
static bool redact_one(const char *form, pw_buf *text)
{
    static const char hidden[] = "[redacted]";
    const size_t size = strlen(form);
    const uint8_t *p = text->data;
    const uint8_t *end = p + text->size;
    const uint8_t *hit = text->size >= size ? memmem(p, text->size, form, size) : NULL;
    if (hit == NULL) {
        return true;
    }
    pw_buf out;
    pw_buf_init(&out, text->bytes_max > 0 ? 4 * text->bytes_max : 0);
    for (; hit != NULL; hit = memmem(p, (size_t)(end - p), form, size)) {
        pw_buf_put(&out, p, (size_t)(hit - p));
        pw_buf_put(&out, hidden, sizeof hidden - 1);
        p = hit + size;
    }
    pw_buf_put(&out, p, (size_t)(end - p));
    const bool ok = pw_buf_ok(&out);
    wipe(text);
    if (ok) {
        *text = out;
    } else {
        pw_buf_deinit(&out);
    }
    return ok;
}

/* One value, however it is written. */
static bool redact_value(const char *value, pw_buf *text)
{
    static const char hidden[] = "[redacted]";
    const uint8_t *p = text->data;
    const uint8_t *end = p + text->size;
    const uint8_t *kept = p;
    pw_buf out;
    pw_buf_init(&out, text->bytes_max > 0 ? 4 * text->bytes_max : 0);
    bool found = false;
    while (p < end) {
        bool may = *p == (uint8_t)value[0] || *p == '%' || *p == '\\' || *p == '+';
        size_t n = may ? pw_secret_match(p, (size_t)(end - p), value) : 0;
        if (n == 0) {
            p++;
            continue;
        }
        found = true;
        pw_buf_put(&out, kept, (size_t)(p - kept));
        pw_buf_put(&out, hidden, sizeof hidden - 1);
        p += n;
        kept = p;
    }
    if (!found) {
        pw_buf_deinit(&out);
        return true;
    }
    pw_buf_put(&out, kept, (size_t)(end - kept));
    const bool ok = pw_buf_ok(&out);
    wipe(text);
    if (ok) {
        *text = out;
    } else {
        pw_buf_deinit(&out);
    }
    return ok;
}

bool pw_secret_forms_redact(const pw_secret_forms *forms, pw_buf *text)
{
    bool ok = true;
    for (size_t i = 0; ok && i < forms->values_len && text->size > 0; i++) {
        ok = redact_value(forms->value[i], text);
    }
    for (size_t i = 0; ok && i < forms->len && text->size > 0; i++) {
        ok = redact_one(forms->text[i], text);
    }
    return ok;
}
