/*
 * secret_form.h - the forms in which a value may be seen again, and their removal from text.
 */
#ifndef PW_SECRET_FORM_H
#define PW_SECRET_FORM_H

#include "sdk/base/buf.h"

enum { PW_SECRET_FORMS_MAX = 256 };

typedef struct pw_secret_forms {
    size_t len;
    char *text[PW_SECRET_FORMS_MAX]; /* the longest first */
} pw_secret_forms;

void pw_secret_forms_deinit(pw_secret_forms *forms); /* overwrites */
/** Keeps one form. Known and short ones are left out. False: no memory, or no room. */
bool pw_secret_forms_add(pw_secret_forms *forms, const char *text);
/** Keeps a value as it is, percent-encoded, inside a JSON string, and as base64. */
bool pw_secret_forms_add_all(pw_secret_forms *forms, const char *text);
/** Puts [redacted] in the place of each. False: no memory; the text is then empty. */
bool pw_secret_forms_redact(const pw_secret_forms *forms, pw_buf *text);
/** Base64 of some bytes, appended. */
void pw_base64_put(pw_buf *out, const void *data, size_t size);
/** Percent-encoded as a query wants it: all but letters, digits and -._~ */
void pw_percent_put(pw_buf *out, const char *text, size_t size);

#endif
