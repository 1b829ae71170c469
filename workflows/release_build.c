/*
 * release_build.c - the steps up to the approval: commit, snapshot, build, test, find, hash.
 *
 * Each may run again after a crash and then gives the same: the commit is named once, the snapshot is an archive of it, and every
 * attempt to build starts from a fresh tree, because an object file cut in two by SIGKILL looks finished to make.
 *
 * Needs git and tar. Does not fetch anything.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "workflows/release.h"
#include "workflows/release_file.h"
#include "workflows/release_step.h"

/* The first line of a program's output. */
static const char *first_line(pawl_task *task, const pawl_value *result)
{
    const char *text = pawl_str(result, "stdout", "");
    const size_t size = strcspn(text, "\n");
    char *line = pawl_scope_alloc(pawl_task_scope(task), size + 1);
    if (line != NULL) {
        memcpy(line, text, size);
    }
    return line;
}

const pawl_value *pw_release_commit(pawl_task *task, const pawl_value *input)
{
    const char *repo = pawl_str(input, "repo", "");
    char ref[300];
    (void)snprintf(ref, sizeof ref, "%.250s^{commit}", pawl_str(input, "ref", "HEAD"));
    const char *const parse[] = {"git", "-C", repo, "rev-parse", "--verify", "--end-of-options",
                                 ref,   NULL};
    const pawl_value *parsed = pw_release_run(task, parse, NULL, "GitFailed");
    if (parsed == NULL) {
        return NULL;
    }
    const char *commit = first_line(task, parsed);
    const char *const show[] = {"git", "-C", repo, "show", "-s", "--format=%s", commit, NULL};
    const pawl_value *shown = pw_release_run(task, show, NULL, "GitFailed");
    return shown == NULL ? NULL
                         : pawl_task_build(task, "{commit: %s, subject: %s}", commit,
                                           first_line(task, shown));
}

const pawl_value *pw_release_snapshot(pawl_task *task, const pawl_value *input)
{
    const char *folder = pawl_str(input, "folder", "");
    const char *commit = pawl_str(input, "commit", "");
    char name[100];
    (void)snprintf(name, sizeof name, "%.64s.tar", commit);
    const char *archive = pw_path_join(task, folder, name);
    const char *partial = pw_path_join(task, folder, "snapshot.new");
    const char *const argv[] = {"git",     "-C",           pawl_str(input, "repo", ""),
                                "archive", "--format=tar", "-o",
                                partial,   commit,         NULL};
    char sha256[PW_SHA256_TEXT];
    int64_t bytes = 0;
    if (!pw_folders_make(folder, true)) {
        return pw_release_fail_errno(task, "make", folder);
    }
    if (pw_release_run(task, argv, NULL, "GitFailed") == NULL) {
        return NULL;
    }
    if (rename(partial, archive) != 0 || !pw_folder_sync(folder) ||
        !pw_file_sha256(archive, sha256, &bytes)) {
        return pw_release_fail_errno(task, "write", archive);
    }
    return pawl_task_build(task, "{archive: %s, sha256: %s, bytes: %lld}", archive, sha256,
                           (long long)bytes);
}

/* The tree as the snapshot has it, whatever an earlier attempt left there. */
static bool tree_unpack(pawl_task *task, const char *archive, const char *expected,
                        const char *tree)
{
    char sha256[PW_SHA256_TEXT];
    int64_t bytes = 0;
    if (!pw_file_sha256(archive, sha256, &bytes)) {
        (void)pw_release_fail_errno(task, "read", archive);
        return false;
    }
    if (strcmp(sha256, expected) != 0) {
        (void)pawl_task_fail_with(task, "SnapshotChanged",
                                  "the snapshot is not the one that was taken", NULL, false);
        return false;
    }
    if (!pw_tree_remove(tree) || !pw_folders_make(tree, true)) {
        (void)pw_release_fail_errno(task, "make", tree);
        return false;
    }
    const char *const argv[] = {"tar", "-x", "-f", archive, "-C", tree, NULL};
    return pw_release_run(task, argv, NULL, "TarFailed") != NULL;
}

const pawl_value *pw_release_build(pawl_task *task, const pawl_value *input)
{
    const char *tree = pawl_str(input, "tree", "");
    if (!tree_unpack(task, pawl_str(input, "archive", ""), pawl_str(input, "sha256", ""), tree)) {
        return NULL;
    }
    return pw_release_summary(
        task, pw_release_run_value(task, pawl_get(input, "argv"), tree, "BuildFailed"));
}

const pawl_value *pw_release_test(pawl_task *task, const pawl_value *input)
{
    return pw_release_summary(task,
                              pw_release_run_value(task, pawl_get(input, "argv"),
                                                   pawl_str(input, "tree", ""), "TestFailed"));
}

/* ---- artefacts ---- */

/* The folder with what glob would take for a pattern quoted, and the pattern. */
static const char *pattern_make(pawl_task *task, const char *tree, const char *pattern)
{
    char *text = pawl_scope_alloc(pawl_task_scope(task), 2 * strlen(tree) + strlen(pattern) + 2);
    size_t used = 0;
    for (size_t i = 0; text != NULL && tree[i] != '\0'; i++) {
        if (strchr("*?[]\\", tree[i]) != NULL) {
            text[used++] = '\\';
        }
        text[used++] = tree[i];
    }
    if (text != NULL) {
        text[used++] = '/';
        memcpy(text + used, pattern, strlen(pattern) + 1);
    }
    return text;
}

/* True for a regular file that really lies in the tree, no matter what links lead there. */
static bool is_artefact(const char *tree, const char *path)
{
    struct stat st;
    char real_tree[PATH_MAX];
    char real_path[PATH_MAX];
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || realpath(tree, real_tree) == NULL ||
        realpath(path, real_path) == NULL) {
        return false;
    }
    const size_t size = strlen(real_tree);
    return strncmp(real_path, real_tree, size) == 0 && real_path[size] == '/';
}

static bool has_path(const pawl_value *const *list, size_t len, const char *path)
{
    for (size_t i = 0; i < len; i++) {
        if (pawl_is(list[i], "path", path)) {
            return true;
        }
    }
    return false;
}

enum { ARTEFACTS_MAX = 1000 };

/* Adds what one pattern matches, each file once; returns how many files it matched, or -1 with the task failed. */
static int find_one(pawl_task *task, const pawl_value *input, const char *pattern,
                    const pawl_value **list, size_t *len)
{
    const char *tree = pawl_str(input, "tree", "");
    glob_t found = {0};
    int matched = 0;
    const int rc = glob(pattern_make(task, tree, pattern), 0, NULL, &found);
    for (size_t i = 0; rc == 0 && matched >= 0 && i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i] + strlen(tree) + 1;
        if (!is_artefact(tree, found.gl_pathv[i])) {
            continue;
        }
        matched++;
        if (has_path(list, *len, path)) {
            continue;
        }
        if (*len == ARTEFACTS_MAX) {
            (void)pawl_task_fail_with(task, "TooManyArtefacts", "more than 1000 files match", NULL,
                                      false);
            matched = -1;
            continue;
        }
        list[(*len)++] = pawl_task_build(task, "{tree: %s, path: %s, log: %s}", tree, path,
                                         pawl_str(input, "log", NULL));
    }
    globfree(&found);
    return matched;
}

const pawl_value *pw_release_find(pawl_task *task, const pawl_value *input)
{
    const pawl_value *patterns = pawl_get(input, "patterns");
    const pawl_value **list = pawl_scope_alloc(pawl_task_scope(task), ARTEFACTS_MAX * sizeof *list);
    size_t len = 0;
    for (size_t i = 0; list != NULL && i < pawl_len(patterns); i++) {
        const char *pattern = pawl_str(pawl_at(patterns, i), "", "");
        char message[300];
        if (!pw_path_is_inside(pattern)) {
            (void)snprintf(message, sizeof message,
                           "artefact \"%.200s\" is not a path below the tree", pattern);
            return pawl_task_fail_with(task, "BadInput", message, NULL, false);
        }
        const int matched = find_one(task, input, pattern, list, &len);
        if (matched < 0) {
            return NULL;
        }
        if (matched == 0) {
            (void)snprintf(message, sizeof message, "no file matches \"%.200s\" after the build",
                           pattern);
            return pawl_task_fail_with(task, "NoArtefact", message, NULL, false);
        }
    }
    return pawl_make_array(pawl_task_scope(task), list, len);
}

const pawl_value *pw_release_hash(pawl_task *task, const pawl_value *input)
{
    const char *path = pawl_str(input, "path", "");
    char sha256[PW_SHA256_TEXT];
    int64_t bytes = 0;
    if (!pw_file_sha256(pw_path_join(task, pawl_str(input, "tree", ""), path), sha256, &bytes)) {
        return pw_release_fail_errno(task, "read", path);
    }
    return pawl_task_build(task, "{path: %s, sha256: %s, bytes: %lld}", path, sha256,
                           (long long)bytes);
}
