/*
 * secret.c - rules of what may be used, references read, their values kept and hidden.
 *
 * Values are overwritten before they are freed, and never stand in an error. What the environment, a file or a program gave is taken without
 * one last line end. Does not send anything, does not know who asks, and cannot wipe what others copied (curl, TLS).
 */
#include "activities/secret.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "activities/secret_form.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

enum { REF_BYTES_MAX = 4096 };

struct pw_secret_rules {
    pawl_scope *scope;
    size_t len;
    struct secret_rule {
        const char *ref;  /* without a last * */
        const char *host; /* NULL = any */
        bool prefix;
    } * rules;
};

struct pw_secrets {
    const pw_secret_rules *rules;
    size_t len;
    struct secret_value {
        char *ref;
        char *text;
    } values[PW_SECRETS_MAX];
    pw_secret_forms forms;
};

/* ---- rules ---- */

static bool is_ref(const char *text)
{
    return (strncmp(text, "env:", 4) == 0 && text[4] != '\0') ||
           (strncmp(text, "file:/", 6) == 0) ||
           (strncmp(text, "command:", 8) == 0 && text[8] != '\0');
}

static bool rule_take(pw_secret_rules *r, const char *text, struct secret_rule *ret)
{
    const char *arrow = strstr(text, "=>");
    const size_t size = arrow != NULL ? (size_t)(arrow - text) : strlen(text);
    char *ref = pw_strndup(r->scope, text, size);
    ret->host = arrow != NULL ? pw_strdup(r->scope, arrow + 2) : NULL;
    if (ref == NULL || !is_ref(ref) ||
        (arrow != NULL && (ret->host == NULL || ret->host[0] == '\0'))) {
        return pw_scope_failed(r->scope); /* that is told apart later */
    }
    ret->prefix = ref[size - 1] == '*';
    ref[size - ret->prefix] = '\0';
    ret->ref = ref;
    return true;
}

pawl_status pw_secret_rules_new(const char *const *rules, pw_secret_rules **ret_rules,
                                pawl_error *err)
{
    static const char *const usual[] = {"env:PAWL_SECRET_*", NULL};
    const char *const *given = rules != NULL ? rules : usual;
    pw_secret_rules *r = pw_calloc(1, sizeof *r);
    size_t len = 0;
    while (given[len] != NULL) {
        len++;
    }
    if (r == NULL || (r->scope = pawl_scope_new()) == NULL ||
        (r->rules = pawl_scope_alloc(r->scope, (len + 1) * sizeof *r->rules)) == NULL) {
        pw_secret_rules_free(r);
        return pw_err(err, PAWL_NOMEM, "no memory for rules of secrets");
    }
    for (; r->len < len; r->len++) {
        if (!rule_take(r, given[r->len], &r->rules[r->len])) {
            const pawl_status status = pw_err(
                err, PAWL_INVALID,
                "\"%.100s\" is no rule of secrets: write env:NAME, file:/path or command:..., then =>host",
                given[r->len]);
            pw_secret_rules_free(r);
            return status;
        }
    }
    if (pw_scope_failed(r->scope)) {
        pw_secret_rules_free(r);
        return pw_err(err, PAWL_NOMEM, "no memory for rules of secrets");
    }
    *ret_rules = r;
    return PAWL_OK;
}

void pw_secret_rules_free(pw_secret_rules *rules)
{
    if (rules != NULL) {
        pawl_scope_free(rules->scope);
        pw_free(rules);
    }
}

static bool host_fits(const char *rule, const char *host)
{
    if (rule == NULL || host == NULL) {
        return true;
    }
    if (strncmp(rule, "*.", 2) != 0) {
        return strcasecmp(rule, host) == 0;
    }
    const size_t tail = strlen(rule + 1);
    const size_t size = strlen(host);
    return size > tail && strcasecmp(host + size - tail, rule + 1) == 0;
}

/* "file:/run/secrets/../../etc/shadow" would fit a rule that means a folder. */
static bool climbs(const char *ref)
{
    return strncmp(ref, "file:", 5) == 0 && strstr(ref, "/../") != NULL;
}

pawl_status pw_secret_allowed(const pw_secret_rules *rules, const char *ref, const char *host,
                              pawl_error *err)
{
    bool elsewhere = false;
    if (!is_ref(ref) || strlen(ref) > REF_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "a secret is written env:NAME, file:/path or command:...");
    }
    for (size_t i = 0; i < rules->len && !climbs(ref); i++) {
        const struct secret_rule *r = &rules->rules[i];
        const bool fits =
            r->prefix ? strncmp(ref, r->ref, strlen(r->ref)) == 0 : strcmp(ref, r->ref) == 0;
        if (fits && host_fits(r->host, host)) {
            return PAWL_OK;
        }
        elsewhere = elsewhere || fits;
    }
    return pw_err(
        err, PAWL_DENIED,
        "the secret \"%.80s\" may not be used%s%.80s; to allow it, add the rule \"%.80s\" to the secrets",
        ref, elsewhere ? " for " : "", elsewhere ? host : "", ref);
}

/* ---- values ---- */

static void text_free(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        pw_free(text);
    }
}

pw_secrets *pw_secrets_new(const pw_secret_rules *rules)
{
    pw_secrets *s = pw_calloc(1, sizeof *s);
    if (s != NULL) {
        s->rules = rules;
    }
    return s;
}

void pw_secrets_free(pw_secrets *secrets)
{
    if (secrets == NULL) {
        return;
    }
    for (size_t i = 0; i < secrets->len; i++) {
        pw_free(secrets->values[i].ref);
        text_free(secrets->values[i].text);
    }
    pw_secret_forms_deinit(&secrets->forms);
    pw_free(secrets);
}

bool pw_secret_known(const pw_secrets *secrets)
{
    return secrets->forms.len > 0;
}

bool pw_secret_hide(pw_secrets *secrets, const char *form)
{
    return pw_secret_forms_add(&secrets->forms, form);
}

bool pw_secret_redact(const pw_secrets *secrets, pw_buf *text)
{
    return secrets == NULL || pw_secret_forms_redact(&secrets->forms, text);
}

size_t pw_secret_begun(const pw_secrets *secrets, pw_view text)
{
    size_t begun = 0;
    for (size_t i = 0; text.size > 0 && i < secrets->forms.len; i++) {
        const char *form = secrets->forms.text[i];
        const size_t size = strlen(form);
        size_t at = text.size >= size ? text.size - size + 1
                                      : 0; /* a whole one is no beginning: it was replaced */
        while (text.size - at > begun && memcmp(text.data + at, form, text.size - at) != 0) {
            at++;
        }
        begun = text.size - at > begun ? text.size - at : begun;
    }
    return begun;
}

static char *copy_of(const char *text, size_t size)
{
    char *copy = pw_malloc(size + 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

/* What was read becomes the value: without a last line end, and neither empty, short nor binary. */
static pawl_status value_take(const char *data, size_t size, char **ret_text, pawl_error *err)
{
    size -= size > 0 && data[size - 1] == '\n';
    size -= size > 0 && data[size - 1] == '\r';
    if (size < PW_SECRET_BYTES_MIN) {
        return pw_err(err, PAWL_INVALID, "it has fewer than %d bytes: it could not be hidden",
                      PW_SECRET_BYTES_MIN);
    }
    if (size > PW_SECRET_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "it has more than %d bytes", PW_SECRET_BYTES_MAX);
    }
    if (memchr(data, '\0', size) != NULL) {
        return pw_err(err, PAWL_INVALID, "it holds a NUL");
    }
    *ret_text = copy_of(data, size);
    return *ret_text != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for it");
}

static pawl_status env_read(const char *name, char **ret_text, pawl_error *err)
{
    const char *value = getenv(name);
    if (value == NULL) {
        return pw_err(err, PAWL_NOTFOUND, "it is not in the environment of this process");
    }
    return value_take(value, strlen(value), ret_text, err);
}

static pawl_status file_read(const char *path, char **ret_text, pawl_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return pw_err(err, PAWL_NOTFOUND, "its file cannot be opened: %s", strerror(errno));
    }
    struct stat st;
    char *data = pw_malloc(PW_SECRET_BYTES_MAX + 3);
    ssize_t size = data != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
                       ? read(fd, data, PW_SECRET_BYTES_MAX + 3)
                       : -1;
    close(fd);
    const pawl_status status =
        size < 0 ? pw_err(err, PAWL_INVALID, "its file is not a plain one, or cannot be read")
                 : value_take(data, (size_t)size, ret_text, err);
    if (data != NULL) {
        explicit_bzero(data, PW_SECRET_BYTES_MAX + 3);
        pw_free(data);
    }
    return status;
}

static pawl_status command_read(pawl_task *task, const char *command, char **ret_text,
                                pawl_error *err)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    const pawl_exec_options options = {.struct_size = sizeof options,
                                       .argv = argv,
                                       .timeout_ms = PW_SECRET_COMMAND_MS,
                                       .quiet = true,
                                       .output_bytes_max = PW_SECRET_BYTES_MAX + 3};
    const pawl_value *result = pawl_exec(task, &options);
    if (result == NULL || pawl_int(result, "exit", -1) != 0 || pawl_int(result, "signal", 0) != 0) {
        return pw_err(err, PAWL_NOTFOUND,
                      "its command did not end well"); /* what it printed may hold the value */
    }
    const char *said = pawl_str(result, "stdout", "");
    return value_take(said, strlen(said), ret_text, err);
}

static pawl_status read_ref(pawl_task *task, const char *ref, char **ret_text, pawl_error *err)
{
    if (strncmp(ref, "env:", 4) == 0) {
        return env_read(ref + 4, ret_text, err);
    }
    return strncmp(ref, "file:", 5) == 0 ? file_read(ref + 5, ret_text, err)
                                         : command_read(task, ref + 8, ret_text, err);
}

static const char *known(const pw_secrets *s, const char *ref)
{
    for (size_t i = 0; i < s->len; i++) {
        if (strcmp(s->values[i].ref, ref) == 0) {
            return s->values[i].text;
        }
    }
    return NULL;
}

static pawl_status keep(pw_secrets *s, const char *ref, char *text, pawl_error *err)
{
    char *own = copy_of(ref, strlen(ref));
    if (own == NULL || !pw_secret_forms_add_all(&s->forms, text)) {
        pw_free(own);
        text_free(text);
        return pw_err(err, PAWL_NOMEM, "no memory for a secret");
    }
    s->values[s->len].ref = own;
    s->values[s->len++].text = text;
    return PAWL_OK;
}

pawl_status pw_secret_resolve(pw_secrets *secrets, pawl_task *task, const char *ref,
                              const char *host, const char **ret_value, pawl_error *err)
{
    pawl_status status = pw_secret_allowed(secrets->rules, ref, host, err);
    const char *value = known(secrets, ref);
    if (status != PAWL_OK) {
        return status;
    }
    if (value == NULL && secrets->len == PW_SECRETS_MAX) {
        return pw_err(err, PAWL_LIMIT, "more than %d secrets in one request", PW_SECRETS_MAX);
    }
    if (value == NULL) {
        char *text = NULL;
        status = read_ref(task, ref, &text, err);
        if (status != PAWL_OK) {
            return pw_error_wrap(err, status, "secret \"%.80s\"", ref);
        }
        status = keep(secrets, ref, text, err);
        value = known(secrets, ref);
    }
    if (status == PAWL_OK) {
        *ret_value = value;
    }
    return status;
}

/* ---- references in values ---- */

const char *pw_secret_ref(const pawl_value *v)
{
    return pawl_typeof(v) == PAWL_MAP ? pawl_str(v, "$secret", NULL) : NULL;
}

/** One element of a flat walk over msgpack: containers are entered, so that no recursion is needed. */
typedef struct walk {
    pw_mp r;
    pawl_scope *scope;
    const uint8_t *start;  /* of the element */
    const pawl_value *ref; /* it is a reference, whole */
} walk;

/* A map whose first key is "$secret" is a reference. */
static bool walk_next(walk *w)
{
    if (!pw_mp_ok(&w->r) || pw_mp_at_end(&w->r)) {
        return false;
    }
    w->start = w->r.p;
    w->ref = NULL;
    const pawl_type type = pw_mp_peek(&w->r);
    if (type == PAWL_ARRAY) {
        (void)pw_mp_read_array(&w->r);
    } else if (type == PAWL_MAP) {
        pw_mp ahead = w->r;
        const size_t pairs = pw_mp_read_map(&w->r);
        pw_mp key = w->r;
        if (pairs > 0 && pw_view_is(pw_mp_read_str(&key), "$secret")) {
            const pw_view raw = pw_mp_read_raw(&ahead);
            w->r = ahead;
            w->ref = pw_value_view(w->scope, raw.data, raw.size);
        }
    } else {
        pw_mp_skip(&w->r);
    }
    return pw_mp_ok(&w->r);
}

static bool any_that(const pawl_value *v, bool slow)
{
    const pw_view bytes = pw_value_bytes(v);
    pawl_scope *scope = v != NULL ? pawl_scope_new() : NULL;
    walk w = {.r = pw_mp_reader(bytes.data, bytes.size), .scope = scope};
    bool found = false;
    while (scope != NULL && !found && walk_next(&w)) {
        found = w.ref != NULL && (!slow || strncmp(pawl_str(w.ref, "$secret", ""), "env:", 4) != 0);
    }
    pawl_scope_free(scope);
    return found;
}

bool pw_secret_any(const pawl_value *v)
{
    return any_that(v, false);
}

bool pw_secret_slow(const pawl_value *v)
{
    return any_that(v, true);
}

static pawl_status put_ref(pw_secrets *s, pawl_task *task, const pawl_value *ref, const char *host,
                           pw_buf *out, pawl_error *err)
{
    const char *value = NULL;
    const pawl_status status =
        pw_secret_resolve(s, task, pawl_str(ref, "$secret", ""), host, &value, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_buf text = PW_BUF_INIT;
    pw_buf_puts(&text, pawl_str(ref, "prefix", ""));
    pw_buf_puts(&text, value);
    pw_buf_puts(&text, pawl_str(ref, "suffix", ""));
    pw_mp_strn(out, (const char *)text.data, text.size);
    out->failed = out->failed || !pw_buf_ok(&text);
    if (text.data != NULL) {
        explicit_bzero(text.data, text.capacity);
    }
    pw_buf_deinit(&text);
    return PAWL_OK;
}

pawl_status pw_secret_expand(pw_secrets *secrets, pawl_task *task, const pawl_value *v,
                             const char *host, pw_buf *out, pawl_error *err)
{
    const pw_view bytes = pw_value_bytes(v);
    pawl_scope *scope = pawl_scope_new();
    walk w = {.r = pw_mp_reader(bytes.data, bytes.size), .scope = scope};
    pawl_status status = scope != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for a value");
    while (status == PAWL_OK && walk_next(&w)) {
        if (w.ref != NULL) {
            status = put_ref(secrets, task, w.ref, host, out, err);
        } else {
            pw_buf_put(out, w.start, (size_t)(w.r.p - w.start));
        }
    }
    pawl_scope_free(scope);
    if (status == PAWL_OK && !pw_buf_ok(out)) {
        status = pw_err(err, PAWL_NOMEM, "no memory for a value");
    }
    return status;
}
