/*
 * release_steps_test.c - each step of the release workflow by itself, on a real git repository, without an engine.
 *
 * Needs git, tar and a POSIX shell. Does not test the workflow as a whole: release_test.c does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/exec_rig.h"
#include "workflows/release.h"

/* Runs a shell command in the rig's folder. */
static void shell(const rig *r, const char *command)
{
    char text[2000];
    (void)snprintf(text, sizeof text, "cd %s && { %s; } >/dev/null 2>&1", r->folder, command);
    if (system(text) != 0) {
        fail_msg("failed: %s", text);
    }
}

static int setup(void **state)
{
    rig *r = calloc(1, sizeof *r);
    rig_init(r);
    *state = r;
    shell(r, "git init -q repo && cd repo && git config user.email a@example.org && git config "
             "user.name a && mkdir src && "
             "echo one >src/a.txt && echo two >src/b.txt && git add . && git commit -q -m 'the "
             "first' && echo dirty >src/a.txt");
    return 0;
}

static int teardown(void **state)
{
    rig *r = *state;
    shell(r, "rm -rf repo wd pub out.log");
    rig_deinit(r);
    free(r);
    return 0;
}

/* %1$s in the format is the rig's folder. */
static char *json(const rig *r, const char *format, const char *more)
{
    static char text[4000];
    size_t used = 0;
    for (const char *p = format; *p != '\0'; p++) {
        const char *insert = *p == '@' ? r->folder : *p == '~' ? more : NULL;
        used += (size_t)snprintf(text + used, sizeof text - used, insert != NULL ? "%s" : "%.1s",
                                 insert != NULL ? insert : p);
    }
    return text;
}

/* One attempt of a command; same cmd, same key. */
static const pawl_value *step(rig *r, pw_release_fn fn, int64_t cmd, const char *input,
                              pw_report_kind expected)
{
    pawl_task *task = rig_task(r, NULL, cmd, input);
    pawl_task_finish(task, fn(task, pawl_task_input(task)));
    pw_task_unref(task);
    return rig_value(r, cmd, expected);
}

static const pawl_value *build_tree(rig *r)
{
    const pawl_value *head =
        step(r, pw_release_commit, 1, json(r, "{\"repo\": \"@/repo\"}", ""), PW_REPORT_DONE);
    const pawl_value *snapshot =
        step(r, pw_release_snapshot, 2,
             json(r, "{\"repo\": \"@/repo\", \"commit\": \"~\", \"folder\": \"@/wd/x\"}",
                  pawl_str(head, "commit", "")),
             PW_REPORT_DONE);
    char more[1000];
    (void)snprintf(more, sizeof more, "\"archive\": \"%s\", \"sha256\": \"%s\"",
                   pawl_str(snapshot, "archive", ""), pawl_str(snapshot, "sha256", ""));
    return step(r, pw_release_build, 3,
                json(r,
                     "{~, \"tree\": \"@/wd/x/tree\", \"argv\": [\"sh\", \"-c\", \"test ! -e left "
                     "&& mkdir bin && cp src/*.txt bin && echo left >left && echo built\"]}",
                     more),
                PW_REPORT_DONE);
}

static void the_commit_is_named_and_a_bad_ref_is_refused(void **state)
{
    rig *r = *state;
    const pawl_value *head =
        step(r, pw_release_commit, 1, json(r, "{\"repo\": \"@/repo\", \"ref\": \"HEAD\"}", ""),
             PW_REPORT_DONE);
    assert_int_equal(strlen(pawl_str(head, "commit", "")), 40);
    assert_string_equal(pawl_str(head, "subject", ""), "the first");
    const pawl_value *f =
        step(r, pw_release_commit, 2, json(r, "{\"repo\": \"@/repo\", \"ref\": \"no-such\"}", ""),
             PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "GitFailed");
    assert_false(pawl_bool(f, "retryable", true));
    f = step(r, pw_release_commit, 3,
             json(r, "{\"repo\": \"@/repo\", \"ref\": \"--output=x\"}", ""), PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "GitFailed");
    f = step(r, pw_release_commit, 4, json(r, "{\"repo\": \"@\"}", ""), PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "GitFailed");
}

static void a_snapshot_is_the_same_whenever_it_is_taken(void **state)
{
    rig *r = *state;
    const pawl_value *head =
        step(r, pw_release_commit, 1, json(r, "{\"repo\": \"@/repo\"}", ""), PW_REPORT_DONE);
    char *input = json(r, "{\"repo\": \"@/repo\", \"commit\": \"~\", \"folder\": \"@/wd/x\"}",
                       pawl_str(head, "commit", ""));
    const pawl_value *one = step(r, pw_release_snapshot, 2, input, PW_REPORT_DONE);
    shell(r, "echo new >repo/src/c.txt");
    const pawl_value *two = step(r, pw_release_snapshot, 3, input, PW_REPORT_DONE);
    assert_string_equal(pawl_str(one, "sha256", ""), pawl_str(two, "sha256", "?"));
    assert_true(pawl_int(one, "bytes", 0) > 0);
}

static void a_build_starts_from_a_fresh_tree_of_the_commit(void **state)
{
    rig *r = *state;
    const pawl_value *built = build_tree(r);
    assert_string_equal(pawl_str(built, "tail", ""), "built\n");
    (void)build_tree(r); /* fails if it sees what the first one left */
    shell(
        r,
        "test \"$(cat wd/x/tree/bin/a.txt)\" = one"); /* not what lies uncommitted in the repository */
}

static void a_failing_command_says_its_last_line(void **state)
{
    rig *r = *state;
    const pawl_value *f = step(r, pw_release_test, 1,
                               json(r,
                                    "{\"tree\": \"@\", \"argv\": [\"sh\", \"-c\", \"echo 3 tests; "
                                    "echo 1 failed >&2; exit 8\"]}",
                                    ""),
                               PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "TestFailed");
    assert_string_equal(pawl_str(f, "message", ""), "sh ended with status 8: 1 failed");
    assert_string_equal(pawl_str(f, "details.stdout", ""), "3 tests\n");
    assert_false(pawl_bool(f, "retryable", true));
    f = step(r, pw_release_test, 2, json(r, "{\"tree\": \"@\", \"argv\": [\"sh\", 5]}", ""),
             PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "BadInput");
}

static void artefacts_are_regular_files_of_the_tree_each_once(void **state)
{
    rig *r = *state;
    (void)build_tree(r);
    shell(r, "ln -s /etc/passwd wd/x/tree/bin/z.txt; ln -s /etc wd/x/tree/etc; mkdir "
             "wd/x/tree/bin/d.txt");
    const pawl_value *v = step(r, pw_release_find, 10,
                               json(r,
                                    "{\"tree\": \"@/wd/x/tree\", \"patterns\": [\"bin/*.txt\", "
                                    "\"bin/b.*\"], \"log\": \"/l\"}",
                                    ""),
                               PW_REPORT_DONE);
    assert_int_equal(pawl_len(v), 2);
    assert_string_equal(pawl_str(v, "0.path", ""), "bin/a.txt");
    assert_string_equal(pawl_str(v, "1.path", ""), "bin/b.txt");
    assert_string_equal(pawl_str(v, "1.log", ""), "/l");
    static const char *const refused[] = {"../*", "/etc/passwd", "", "bin/../../x"};
    for (size_t i = 0; i < 4; i++) {
        const pawl_value *f =
            step(r, pw_release_find, 20 + (int64_t)i,
                 json(r, "{\"tree\": \"@/wd/x/tree\", \"patterns\": [\"~\"]}", refused[i]),
                 PW_REPORT_FAILED);
        assert_string_equal(pawl_str(f, "type", ""), "BadInput");
    }
    static const char *const nothing[] = {"none/*", "bin/z.txt", "etc/passwd", "bin"};
    for (size_t i = 0; i < 4; i++) {
        const pawl_value *f =
            step(r, pw_release_find, 30 + (int64_t)i,
                 json(r, "{\"tree\": \"@/wd/x/tree\", \"patterns\": [\"~\"]}", nothing[i]),
                 PW_REPORT_FAILED);
        assert_string_equal(pawl_str(f, "type", ""), "NoArtefact");
    }
}

static void a_hash_is_sha256(void **state)
{
    rig *r = *state;
    shell(r, "mkdir -p wd && printf abc >wd/f");
    const pawl_value *v =
        step(r, pw_release_hash, 1, json(r, "{\"tree\": \"@/wd\", \"path\": \"f\"}", ""),
             PW_REPORT_DONE);
    assert_string_equal(pawl_str(v, "sha256", ""),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(pawl_int(v, "bytes", 0), 3);
}

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define PUBLISH                                                                          \
    "{\"tree\": \"@/wd\", \"publish_dir\": \"@/pub\", \"name\": \"r1\", \"artefacts\": " \
    "[{\"path\": \"d/f\", \"sha256\": \"" ABC "\"}]}"

static void publishing_twice_under_one_key_is_publishing_once(void **state)
{
    rig *r = *state;
    shell(r, "mkdir -p wd/d && printf abc >wd/d/f && chmod 755 wd/d/f");
    const pawl_value *v = step(r, pw_release_publish, 1, json(r, PUBLISH, ""), PW_REPORT_DONE);
    shell(r, "test -x pub/r1/d/f && touch pub/r1/witness");
    assert_string_equal(
        pawl_str(step(r, pw_release_publish, 1, json(r, PUBLISH, ""), PW_REPORT_DONE), "path", ""),
        pawl_str(v, "path", "?"));
    shell(r, "test -e pub/r1/witness"); /* not made anew */
    const pawl_value *f = step(r, pw_release_publish, 2, json(r, PUBLISH, ""), PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "Exists");
    shell(r, "test \"$(ls -A pub)\" = r1");
}

static void what_was_not_approved_is_not_published(void **state)
{
    rig *r = *state;
    shell(r, "mkdir -p wd/d && printf abd >wd/d/f");
    const pawl_value *f = step(r, pw_release_publish, 1, json(r, PUBLISH, ""), PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "ArtefactChanged");
    shell(r, "test ! -e pub/r1");
}

static void a_publication_is_taken_back_by_the_run_that_made_it_only(void **state)
{
    rig *r = *state;
    shell(r, "mkdir -p wd/d && printf abc >wd/d/f");
    (void)step(r, pw_release_publish, 1, json(r, PUBLISH, ""), PW_REPORT_DONE);
    static const char undo[] =
        "{\"input\": {\"publish_dir\": \"@/pub\", \"name\": \"r1\"}, \"result\": null}";
    assert_true(pawl_bool(step(r, pw_release_unpublish, 2, json(r, undo, ""), PW_REPORT_DONE),
                          "removed", false));
    shell(r, "test -z \"$(ls -A pub)\"");
    assert_false(pawl_bool(step(r, pw_release_unpublish, 2, json(r, undo, ""), PW_REPORT_DONE),
                           "removed", true)); /* again is no harm */
    shell(r, "mkdir pub/r1 && printf 'another/run\\nkey\\n' >pub/r1/.pawl-release");
    assert_false(pawl_bool(step(r, pw_release_unpublish, 3, json(r, undo, ""), PW_REPORT_DONE),
                           "removed", true));
    shell(r, "test -e pub/r1");
}

static void verification_finds_damage_and_runs_a_command(void **state)
{
    rig *r = *state;
    shell(r, "mkdir -p pub/r1/d && printf abc >pub/r1/d/f");
    (void)step(r, pw_release_manifest, 1,
               json(r, "{\"path\": \"@/pub/r1\", \"manifest\": {\"name\": \"r1\"}}", ""),
               PW_REPORT_DONE);
    shell(r, "grep -q r1 pub/r1/manifest.json && test ! -e pub/r1/manifest.json.new");
    static const char verify[] =
        "{\"path\": \"@/pub/r1\", \"artefacts\": [{\"path\": \"d/f\", \"sha256\": \"" ABC "\"}]~}";
    (void)step(r, pw_release_verify, 2, json(r, verify, ""), PW_REPORT_DONE);
    (void)step(r, pw_release_verify, 3, json(r, verify, ", \"argv\": [\"cat\", \"d/f\"]"),
               PW_REPORT_DONE);
    const pawl_value *f =
        step(r, pw_release_verify, 4, json(r, verify, ", \"argv\": [\"false\"]"), PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "type", ""), "VerifyFailed");
    shell(r, "printf abd >pub/r1/d/f");
    f = step(r, pw_release_verify, 5, json(r, verify, ""), PW_REPORT_FAILED);
    assert_string_equal(pawl_str(f, "message", ""), "d/f was published damaged");
}

static void each_attempt_leaves_its_lines_in_the_log(void **state)
{
    rig *r = *state;
    shell(r, "mkdir -p wd && printf abc >wd/f");
    static const pw_release_row hash = {"release.hash", pw_release_hash, PAWL_EFFECT_PURE};
    union {
        const pw_release_row *in;
        void *out;
    } user = {.in = &hash};
    static const char *const inputs[] = {
        "{\"tree\": \"@/wd\", \"path\": \"f\", \"log\": \"@/out.log\"}",
        "{\"tree\": \"@/wd\", \"path\": \"none\", \"log\": \"@/out.log\"}"};
    for (int64_t i = 0; i < 2; i++) {
        pawl_task *task = rig_task(r, NULL, i + 1, json(r, inputs[i], ""));
        pawl_task_finish(task, pw_release_step(task, pawl_task_input(task), user.out));
        pw_task_unref(task);
    }
    shell(r, "test \"$(cut -d' ' -f2-5 out.log | tr '\\n' ',')\" = 'start test/run 1 1,done "
             "test/run 1 1,start test/run 2 1,failed test/run 2 1,'");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    if (system("git --version >/dev/null 2>&1 && tar --version >/dev/null 2>&1") != 0) {
        printf("skipped: git and tar are needed\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        T(the_commit_is_named_and_a_bad_ref_is_refused),
        T(a_snapshot_is_the_same_whenever_it_is_taken),
        T(a_build_starts_from_a_fresh_tree_of_the_commit),
        T(a_failing_command_says_its_last_line),
        T(artefacts_are_regular_files_of_the_tree_each_once),
        T(a_hash_is_sha256),
        T(publishing_twice_under_one_key_is_publishing_once),
        T(what_was_not_approved_is_not_published),
        T(a_publication_is_taken_back_by_the_run_that_made_it_only),
        T(verification_finds_damage_and_runs_a_command),
        T(each_attempt_leaves_its_lines_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
