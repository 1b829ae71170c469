/*
 * secret_test.c - secrets: which references may be used, and for whom; every place they may stand in; and that no value is ever written
 * down: results, errors, redirects, the log and every byte of the journal's folder are looked through, after runs of every kind of end.
 */
#include "http_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "activities/secret.h"
#include "activities/secret_form.h"

/* With what percent-encoding, JSON and base64 change. */
#define VALUE_ENV "pw-s3cret/env+\"q\" 7f3a"
#define VALUE_FILE "pw-s3cret-file-91bc"
#define VALUE_COMMAND "pw-s3cret-command-55de"
#define COMMAND \
    "command:printf 'pw-s3cre%s\n' t-command-55de" /* the reference is journaled, so it must not hold the value */
#define VALUE_PASSWORD "pw-s3cret-word-0f0f"

static void plant(http_rig *r, char path[200])
{
    (void)setenv("PAWL_SECRET_ONE", VALUE_ENV, 1);
    (void)setenv("PAWL_SECRET_WORD", VALUE_PASSWORD, 1);
    (void)snprintf(path, 200, "/tmp/pawl-secret-%d", (int)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, "%s\n", VALUE_FILE);
    (void)fclose(f);
    (void)r;
}

/* ---- rules ---- */

static void a_reference_is_used_only_under_a_rule(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        const char *ref;
        const char *host;
        pawl_status status;
    } cases[] = {
        {NULL, "env:PAWL_SECRET_X", "a", PAWL_OK},
        {NULL, "env:HOME", "a", PAWL_DENIED},
        {NULL, "file:/etc/shadow", "a", PAWL_DENIED},
        {NULL, "command:id", "a", PAWL_DENIED},
        {"env:KEY", "env:KEY", "a", PAWL_OK},
        {"env:KEY", "env:KEY2", "a", PAWL_DENIED},
        {"env:KEY*", "env:KEY2", "a", PAWL_OK},
        {"env:KEY=>api.example", "env:KEY", "api.example", PAWL_OK},
        {"env:KEY=>api.example", "env:KEY", "API.example", PAWL_OK},
        {"env:KEY=>api.example", "env:KEY", "evil.example", PAWL_DENIED},
        {"env:KEY=>*.example", "env:KEY", "a.b.example", PAWL_OK},
        {"env:KEY=>*.example", "env:KEY", "badexample", PAWL_DENIED},
        {"file:/run/secrets/*", "file:/run/secrets/x", "a", PAWL_OK},
        {"file:/run/secrets/*", "file:/run/secrets/../../etc/shadow", "a", PAWL_DENIED},
        {"command:pass show x", "command:pass show x", "a", PAWL_OK},
        {"command:pass show x", "command:pass show x; id", "a", PAWL_DENIED},
        {"env:*", "vault:x", "a", PAWL_INVALID},
        {"env:*", "file:relative", "a", PAWL_INVALID},
        {"env:*", "env:", "a", PAWL_INVALID},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        pw_secret_rules *rules = NULL;
        pawl_error err = {0};
        const char *const list[] = {cases[i].rule, NULL};
        assert_int_equal(pw_secret_rules_new(cases[i].rule != NULL ? list : NULL, &rules, &err),
                         PAWL_OK);
        const pawl_status status = pw_secret_allowed(rules, cases[i].ref, cases[i].host, &err);
        if (status != cases[i].status) {
            fail_msg("%s for %s under %s: %s", cases[i].ref, cases[i].host,
                     cases[i].rule != NULL ? cases[i].rule : "-", err.message);
        }
        assert_true(status != PAWL_DENIED || strstr(err.message, "add the rule") != NULL);
        pw_secret_rules_free(rules);
    }
}

static void every_form_of_a_value_is_hidden(void **state)
{
    (void)state;
    pw_secret_forms forms = {0};
    assert_true(pw_secret_forms_add_all(&forms, VALUE_ENV));
    assert_true(pw_secret_forms_add_all(&forms, "pw-s3cret/env")); /* a part of the other */
    pw_buf text = PW_BUF_INIT;
    pw_buf_puts(
        &text,
        "a " VALUE_ENV
        " b pw-s3cret%2Fenv%2B%22q%22%207f3a c pw-s3cret%2fenv%2b%22q%22%207f3a d pw-s3cret/env+\\\"q\\\" 7f3a e ");
    pw_base64_put(&text, VALUE_ENV, strlen(VALUE_ENV));
    pw_buf_puts(&text, VALUE_ENV VALUE_ENV "x");
    assert_true(pw_secret_forms_redact(&forms, &text));
    assert_string_equal(
        pw_buf_cstr(&text),
        "a [redacted] b [redacted] c [redacted] d [redacted] e [redacted][redacted][redacted]x");
    pw_buf_deinit(&text);
    pw_secret_forms_deinit(&forms);
}

/* As encoders write it: each must become [redacted], whole. */
static void a_value_is_hidden_however_it_was_encoded(void **state)
{
    (void)state;
    static const char value[] = "k\xc3\x84y/+ \"\\%\xf0\x9f\x94\x91\nz";
    static const char *const texts[] = {
        value,
        "k%C3%84y%2F%2B%20%22%5C%25%F0%9F%94%91%0Az", /* everything */
        "k%c3%84y/%2b+%22%5c%25%f0%9f%94%91%0az", /* a path's slash, a form's space, small letters */
        "k\xc3\x84y/+ \\\"\\\\%\xf0\x9f\x94\x91\\nz", /* JSON */
        "k\\u00c4y\\/+ \\\"\\\\%\\ud83d\\udd11\\nz",  /* in ASCII, slashes escaped */
        "\\u006b\\u00C4\\u0079\\u002F\\u002B\\u0020\\u0022\\u005C\\u0025\\uD83D\\uDD11\\u000A\\u007A",
        "k\\\\u00c4y/+ \\\\\\\"\\\\\\\\%\\\\ud83d\\\\udd11\\\\nz", /* JSON in JSON */
    };
    pw_secret_forms forms = {0};
    assert_true(pw_secret_forms_add_all(&forms, value));
    for (size_t i = 0; i < PW_COUNT(texts); i++) {
        pw_buf text = PW_BUF_INIT;
        pw_buf_printf(&text, "<%s|%s>", texts[i], texts[i]);
        assert_true(pw_secret_forms_redact(&forms, &text));
        assert_string_equal(pw_buf_cstr(&text), "<[redacted]|[redacted]>");
        pw_buf_deinit(&text);
    }
    for (size_t before = 0; before < 3; before++) { /* inside what was encoded as base64 */
        char inside[64];
        pw_buf text = PW_BUF_INIT;
        (void)snprintf(inside, sizeof inside, "%.*s%s!", (int)before, "me", value);
        pw_base64_put(&text, inside, strlen(inside));
        assert_true(pw_secret_forms_redact(&forms, &text));
        assert_non_null(strstr(pw_buf_cstr(&text), "[redacted]"));
        pw_buf_deinit(&text);
    }
    pw_buf other = PW_BUF_INIT;
    pw_buf_puts(&other, "k\xc3\x84y/+ \"\\%\xf0\x9f\x94\x91\n and k%C3%84y%2F, k\\u00c4y");
    pw_buf same = PW_BUF_INIT;
    pw_buf_puts(&same, pw_buf_cstr(&other));
    assert_true(pw_secret_forms_redact(&forms, &other));
    assert_string_equal(pw_buf_cstr(&other), pw_buf_cstr(&same));
    pw_buf_deinit(&other);
    pw_buf_deinit(&same);
    pw_secret_forms_deinit(&forms);
}

/* ---- in requests ---- */

static void a_secret_may_stand_wherever_a_text_stands(void **state)
{
    http_rig *r = *state;
    char path[200];
    plant(r, path);
    char file[220];
    (void)snprintf(file, sizeof file, "file:%s", path);
    const pawl_value *request = request_of(
        r,
        "{url: %s, query: {q: {\"$secret\": \"env:PAWL_SECRET_ONE\"}}, "
        "headers: {\"x-key\": {\"$secret\": %s, prefix: \"Key \", suffix: \"!\"}, "
        "\"x-cmd\": {\"$secret\": %s}}, json: {deep: [{k: {\"$secret\": \"env:PAWL_SECRET_ONE\"}}, 2]}, "
        "auth: {basic: {user: \"me\", password: {\"$secret\": \"env:PAWL_SECRET_WORD\"}}}}",
        http_url(r, "/check?id=check"), file, COMMAND);
    const pawl_value *v = http_ask(r, "a", request);
    (void)unlink(path);
    assert_true(pawl_is(v, "body.query", "ok"));
    assert_true(pawl_is(v, "body.key", "ok"));
    assert_true(pawl_is(v, "body.command", "ok"));
    assert_true(pawl_is(v, "body.json", "ok"));
    assert_true(pawl_is(v, "body.auth", "ok"));
}

static void a_secret_that_cannot_be_had_fails_with_its_name_alone(void **state)
{
    http_rig *r = *state;
    static const struct {
        const char *ref;
        const char *type;
        const char *said;
    } cases[] = {{"env:PAWL_SECRET_NONE", "SecretFailed", "not in the environment"},
                 {"file:/nonexistent/x", "SecretFailed", "cannot be opened"},
                 {"file:/dev/zero", "BadInput", "not a plain one"},
                 {"command:echo leaked-output-1; exit 3", "SecretFailed", "did not end well"},
                 {"command:echo", "BadInput", "fewer than"},
                 {"nothing", "BadInput", "is written"}};
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "no-%zu", i);
        const pawl_value *f =
            http_ask_failing(r, id,
                             request_of(r, "{url: %s, headers: {a: {\"$secret\": %s}}}",
                                        http_url(r, "/echo?id=unsent"), cases[i].ref),
                             cases[i].type);
        if (strstr(pawl_str(f, "message", ""), cases[i].said) == NULL) {
            fail_msg("%s: %s", cases[i].ref, pawl_str(f, "message", ""));
        }
    }
    assert_int_equal(net_count(r->net, "unsent"), 0);
}

static void a_secret_bound_to_a_host_goes_to_no_other(void **state)
{
    http_rig *r = *state;
    static const char *const loopback[] = {"127.0.0.1", NULL};
    static const char *const bound[] = {"env:PAWL_SECRET_ONE=>api.example.com", NULL};
    const pawl_net_options o = {.struct_size = sizeof o, .egress = loopback, .secrets = bound};
    char path[200];
    plant(r, path);
    (void)unlink(path);
    rig_close(r->host);
    http_open(r, &o);
    const pawl_value *request =
        request_of(r, "{url: %s, headers: {a: {\"$secret\": \"env:PAWL_SECRET_ONE\"}}}",
                   http_url(r, "/echo?id=bound"));
    const pawl_value *f = http_ask_failing(r, "a", request, "SecretFailed");
    assert_non_null(strstr(pawl_str(f, "message", ""), "127.0.0.1"));
    assert_int_equal(net_count(r->net, "bound"), 0);
}

/* ---- nowhere written ---- */

static void look_for(const char *where, const void *data, size_t size)
{
    static const char *const values[] = {VALUE_ENV, VALUE_FILE, VALUE_COMMAND, VALUE_PASSWORD,
                                         "pw-s3cret"};
    for (size_t i = 0; i < PW_COUNT(values); i++) {
        if (memmem(data, size, values[i], strlen(values[i])) != NULL) {
            fail_msg("%s holds the secret %s", where, values[i]);
        }
    }
    pw_buf form = PW_BUF_INIT;
    for (size_t i = 0; i < PW_COUNT(values); i++) {
        pw_buf_reset(&form);
        pw_base64_put(&form, values[i], strlen(values[i]) / 3 * 3);
        if (memmem(data, size, form.data, form.size) != NULL) {
            fail_msg("%s holds the secret %s as base64", where, values[i]);
        }
    }
    pw_buf_deinit(&form);
}

static void look_into_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    pw_buf all = PW_BUF_INIT;
    char part[65536];
    size_t n = 0;
    assert_non_null(f);
    while ((n = fread(part, 1, sizeof part, f)) > 0) {
        pw_buf_put(&all, part, n);
    }
    (void)fclose(f);
    assert_true(pw_buf_ok(&all));
    look_for(path, all.data != NULL ? (const void *)all.data : "", all.size);
    pw_buf_deinit(&all);
}

/* Every file below the folder: journal, WAL, lock, breadcrumb, scratch. */
static int look_into_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int files = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[600];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            look_into_file(path);
            files++;
        }
    }
    closedir(dir);
    return files;
}

static void no_value_is_ever_written_down(void **state)
{
    http_rig *r = *state;
    char path[200];
    char file[220];
    plant(r, path);
    (void)snprintf(file, sizeof file, "file:%s", path);
    const char *const urls[] = {
        http_url(r, "/echo?header=x-file"), /* comes back in body and header */
        http_url(r, "/mirror/500"),         /* comes back in a failure */
        http_url(r, "/mirror/404"),
        http_url(r, "/mirror/429"),
        http_url(r, "/redirect?to=/echo"),
        http_url(r, "/redirect?to=http://10.9.9.9/"),
        http_url(r, "/redirect?to=http://127.0.0.1:1/"),
        http_url(r, "/cut/now"),
        http_url(r, "/raw/noise"),
        http_url(r, "/big?n=5000"),
        "http://127.0.0.1:1/",
        "http://10.9.9.9/",
        "http://[bad",
    };
    for (size_t i = 0; i < PW_COUNT(urls); i++) {
        for (int as_bad_header = 0; as_bad_header < 2; as_bad_header++) {
            char id[20];
            (void)snprintf(id, sizeof id, "run-%zu-%d", i, as_bad_header);
            const pawl_value *request = request_of(
                r,
                "{url: %s, query: {token: {\"$secret\": \"env:PAWL_SECRET_ONE\"}}, max_bytes: 4000, "
                "headers: {\"x-file\": {\"$secret\": %s}, \"x-command\": {\"$secret\": %s}, \"x-bad\": {\"$secret\": \"env:PAWL_SECRET_ONE\", suffix: %s}}, "
                "json: {word: {\"$secret\": \"env:PAWL_SECRET_ONE\"}}, auth: {basic: {user: \"me\", password: {\"$secret\": \"env:PAWL_SECRET_WORD\"}}}}",
                urls[i], file, COMMAND, as_bad_header ? "\r\nX: y" : "");
            const pawl_value *v = NULL;
            request = pawl_copy(r->host->scope, request);
            http_start(r, id, request, request_of(r, "{retries: 1}"));
            const pawl_status status = pawl_result(r->host->engine, id, i == 3 ? 1500 : 20000,
                                                   r->host->scope, &v, &r->host->err);
            assert_true(status == PAWL_OK || status == PAWL_FAILED ||
                        (status == PAWL_TIMEOUT && i == 3));
            size_t size = 0;
            const void *bytes = pawl_to_msgpack(v, &size);
            look_for(id, bytes, size);
            if (i == 0 && as_bad_header == 0) {
                assert_int_equal(status, PAWL_OK);
                assert_true(pawl_is(v, "headers.x-echo", "[redacted]"));
                assert_non_null(strstr(pawl_str(v, "body.target", ""), "token=[redacted]"));
            }
        }
    }
    (void)unlink(path);
    (void)look_into_folder(r->host->folder); /* while it is open: the WAL */
    pawl_close(r->host->engine, 100);
    r->host->engine = NULL;
    assert_true(look_into_folder(r->host->folder) >= 1);
    look_for("the log", r->log.data != NULL ? (const void *)r->log.data : "", r->log.size);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, http_setup, http_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_is_used_only_under_a_rule),
        cmocka_unit_test(every_form_of_a_value_is_hidden),
        cmocka_unit_test(a_value_is_hidden_however_it_was_encoded),
        T(a_secret_may_stand_wherever_a_text_stands),
        T(a_secret_that_cannot_be_had_fails_with_its_name_alone),
        T(a_secret_bound_to_a_host_goes_to_no_other),
        T(no_value_is_ever_written_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
