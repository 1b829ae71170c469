/*
 * secret_form.h - the forms in which a value may be seen again, and their removal from text.
 */
#ifndef PW_SECRET_FORM_H
#define PW_SECRET_FORM_H

#include "sdk/base/mp.h"

enum { PW_SECRET_FORMS_MAX = 512, PW_SECRET_VALUES_MAX = 64 };

typedef struct pw_secret_forms {
    size_t len;
    char *text[PW_SECRET_FORMS_MAX]; /* the longest first */
    size_t values_len;
    char *value[PW_SECRET_VALUES_MAX]; /* found however they are written: pw_secret_match */
} pw_secret_forms;

void pw_secret_forms_deinit(pw_secret_forms *forms); /* overwrites */
/** Keeps one form. Known and short ones are left out. False: no memory, or no room. */
bool pw_secret_forms_add(pw_secret_forms *forms, const char *text);
/** Keeps a value as it is, percent-encoded, inside a JSON string or one within another, and as base64, wherever it stands in what was encoded. */
bool pw_secret_forms_add_all(pw_secret_forms *forms, const char *text);
/** Puts [redacted] in the place of each. False: no memory; the text is then empty. */
bool pw_secret_forms_redact(const pw_secret_forms *forms, pw_buf *text);
/** How many bytes of the text, from its first on, are the value as it is, percent-encoded or inside JSON strings, two deep at most; 0 = they are
 * not. */
size_t pw_secret_match(const uint8_t *text, size_t left, const char *value);
/** Base64 of some bytes, appended. */
void pw_base64_put(pw_buf *out, const void *data, size_t size);
/** Percent-encoded as a query wants it: all but letters, digits and -._~ */
void pw_percent_put(pw_buf *out, const char *text, size_t size);

#endif
