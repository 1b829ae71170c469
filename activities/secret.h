/*
 * secret.h - references to secrets, {"$secret": "env:NAME" | "file:/path" | "command:..."}: which may be used, what they stand for, and
 * how their values are kept out of everything that is written down.
 *
 * A reference may come from a model. So none is followed that no rule allows, and a rule may bind it to a host.
 */
#ifndef PW_SECRET_H
#define PW_SECRET_H

#include "sdk/base/buf.h"
#include "sdk/base/mp.h"
#include "sdk/pawl_activity.h"

typedef struct pw_secret_rules pw_secret_rules;

/** "env:NAME", "file:/run/secrets/" and a *, "command:pass show x"; each with "=>host" or not. NULL = env:PAWL_SECRET_ and a *.
 * Errors: INVALID (names the rule), NOMEM. */
PAWL_MUST_USE pawl_status pw_secret_rules_new(const char *const *rules, pw_secret_rules **ret_rules,
                                              pawl_error *err);
void pw_secret_rules_free(pw_secret_rules *rules); /* accepts NULL */
/** May that reference be used for that host (NULL = not known yet: any)? Errors: DENIED (says how to allow it), INVALID. */
PAWL_MUST_USE pawl_status pw_secret_allowed(const pw_secret_rules *rules, const char *ref,
                                            const char *host, pawl_error *err);

/** The values that one attempt has read. Overwritten when freed. */
typedef struct pw_secrets pw_secrets;
pw_secrets *
pw_secrets_new(const pw_secret_rules *rules); /* NULL when out of memory; rules are borrowed */
void pw_secrets_free(pw_secrets *secrets);    /* accepts NULL */

/** The text of a reference, or NULL when v is none. */
const char *pw_secret_ref(const pawl_value *v);
/** Is a reference anywhere in it; is one that must be waited for (a file, a command)? */
bool pw_secret_any(const pawl_value *v);
bool pw_secret_slow(const pawl_value *v);

/** What it stands for; kept, so that asking again is cheap. A command runs under the task's supervisor: only slow references need the task,
 * and a thread that may wait. Errors: as pw_secret_allowed; NOTFOUND, INVALID, LIMIT, NOMEM; none holds a value. */
PAWL_MUST_USE pawl_status pw_secret_resolve(pw_secrets *secrets, pawl_task *task, const char *ref,
                                            const char *host, const char **ret_value,
                                            pawl_error *err);
/** Appends v as msgpack with every reference replaced by its text, prefix and suffix around it. Errors: as pw_secret_resolve. */
PAWL_MUST_USE pawl_status pw_secret_expand(pw_secrets *secrets, pawl_task *task,
                                           const pawl_value *v, const char *host, pw_buf *out,
                                           pawl_error *err);

/** Was any value read? */
bool pw_secret_known(const pw_secrets *secrets);
/** Another form of a value that may come back: hidden too. False: no memory. */
bool pw_secret_hide(pw_secrets *secrets, const char *form);
/** Puts [redacted] in the place of every value, in every form known: as it is, percent-encoded, inside JSON, as base64. False: no memory, and
 * the text must not be used. */
bool pw_secret_redact(const pw_secrets *secrets, pw_buf *text);
/** The same for every text of a msgpack value, keys too; the buffer is replaced. */
bool pw_secret_redact_value(const pw_secrets *secrets, pw_buf *value);
/** How many bytes at the end of text are the beginning of a value, in any form: they must wait for what comes. */
size_t pw_secret_begun(const pw_secrets *secrets, pw_view text);

#endif
