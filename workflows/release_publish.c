/*
 * release_publish.c - the steps after the approval: publish, manifest, verify; and unpublish, which takes it back.
 *
 * A publication appears whole, by one rename. The file .pawl-release in it says which run made it and under which key, so that an attempt
 * that runs again finds its own work done, and nobody takes back what another run has published.
 * Does not decide when to publish or take back: the workflow does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "workflows/release.h"
#include "workflows/release_file.h"
#include "workflows/release_step.h"

static const char mark_name[] = ".pawl-release";
enum { MARK_BYTES_MAX = 1024 };

/* ---- the mark: "run id\nkey\n" ---- */

static bool mark_write(pawl_task *task, const char *folder)
{
    char text[MARK_BYTES_MAX];
    const int size =
        snprintf(text, sizeof text, "%s\n%s\n", pawl_task_run_id(task), pawl_task_key(task));
    return pw_file_write(pw_path_join(task, folder, mark_name), text, (size_t)size);
}

/* True if line number 0 (run) or 1 (key) of the folder's mark is that text. */
static bool mark_is(pawl_task *task, const char *folder, int line, const char *text)
{
    char mark[MARK_BYTES_MAX];
    if (!pw_file_read(pw_path_join(task, folder, mark_name), mark, sizeof mark)) {
        return false;
    }
    const char *at = mark;
    for (int i = 0; i < line; i++) {
        at += strcspn(at, "\n");
        at += *at == '\n' ? 1 : 0;
    }
    const size_t size = strcspn(at, "\n");
    return size == strlen(text) && memcmp(at, text, size) == 0;
}

/* A hidden sibling that is this step's alone. */
static const char *sibling(pawl_task *task, const char *publish_dir, const char *prefix)
{
    char name[1000];
    const char *key = pw_name_encode(pawl_task_scope(task), pawl_task_key(task));
    (void)snprintf(name, sizeof name, "%s%s", prefix, key != NULL ? key : "");
    return key != NULL ? pw_path_join(task, publish_dir, name) : NULL;
}

/* ---- publish ---- */

/* Copies one artefact and looks whether the copy is what was approved. */
static bool copy_approved(pawl_task *task, const char *tree, const pawl_value *artefact,
                          const char *folder)
{
    const char *path = pawl_str(artefact, "path", "");
    const char *to = pw_path_join(task, folder, path);
    char sha256[PW_SHA256_TEXT];
    char message[400];
    int64_t bytes = 0;
    if (!pw_path_is_inside(path) || !pw_file_copy(pw_path_join(task, tree, path), to) ||
        !pw_file_sha256(to, sha256, &bytes)) {
        (void)pw_release_fail_errno(task, "copy", path);
        return false;
    }
    if (!pawl_is(artefact, "sha256", sha256)) {
        (void)snprintf(message, sizeof message, "%.200s is not what was approved any more", path);
        (void)pawl_task_fail_with(task, "ArtefactChanged", message, NULL, false);
        return false;
    }
    return true;
}

static bool fill(pawl_task *task, const pawl_value *input, const char *folder)
{
    const pawl_value *artefacts = pawl_get(input, "artefacts");
    if (!pw_tree_remove(folder) || !pw_folders_make(folder, true)) {
        (void)pw_release_fail_errno(task, "make", folder);
        return false;
    }
    for (size_t i = 0; i < pawl_len(artefacts); i++) {
        if (!copy_approved(task, pawl_str(input, "tree", ""), pawl_at(artefacts, i), folder)) {
            return false;
        }
    }
    if (!mark_write(task, folder)) {
        (void)pw_release_fail_errno(task, "mark", folder);
        return false;
    }
    return true;
}

const pawl_value *pw_release_publish(pawl_task *task, const pawl_value *input)
{
    const char *publish_dir = pawl_str(input, "publish_dir", "");
    const char *path = pw_path_join(task, publish_dir, pawl_str(input, "name", ""));
    const char *partial = sibling(task, publish_dir, ".new-");
    char message[400];
    if (mark_is(task, path, 1,
                pawl_task_key(task))) { /* an earlier attempt did it, and could not say so */
        return pawl_task_build(task, "{path: %s}", path);
    }
    if (!fill(task, input, partial)) {
        return NULL;
    }
    if (rename(partial, path) == 0 && pw_folder_sync(publish_dir)) {
        return pawl_task_build(task, "{path: %s}", path);
    }
    if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
        return pw_release_fail_errno(task, "publish", path);
    }
    (void)pw_tree_remove(partial);
    (void)snprintf(message, sizeof message, "%.300s is there already, published by another run",
                   path);
    return pawl_task_fail_with(task, "Exists", message, NULL, false);
}

const pawl_value *pw_release_unpublish(pawl_task *task, const pawl_value *input)
{
    const char *publish_dir = pawl_str(input, "input.publish_dir", "");
    const char *path = pw_path_join(task, publish_dir, pawl_str(input, "input.name", ""));
    const char *gone = sibling(task, publish_dir, ".gone-");
    const bool ours = mark_is(task, path, 0, pawl_task_run_id(task));
    if (ours && rename(path, gone) != 0) {
        return pw_release_fail_errno(task, "take back", path);
    }
    if (!pw_tree_remove(gone) || !pw_folder_sync(publish_dir)) {
        return pw_release_fail_errno(task, "remove", gone);
    }
    return pawl_task_build(task, "{removed: %p}",
                           pawl_v(pawl_make_bool(pawl_task_scope(task), ours)));
}

/* ---- manifest and verification ---- */

const pawl_value *pw_release_manifest(pawl_task *task, const pawl_value *input)
{
    const char *path = pw_path_join(task, pawl_str(input, "path", ""), "manifest.json");
    const char *text = pawl_to_json(pawl_task_scope(task), pawl_get(input, "manifest"), 2);
    char sha256[PW_SHA256_TEXT];
    int64_t bytes = 0;
    if (text == NULL) {
        return pawl_task_fail(task, "OutOfMemory", "no memory for the manifest");
    }
    if (!pw_file_write(path, text, strlen(text)) || !pw_file_sha256(path, sha256, &bytes)) {
        return pw_release_fail_errno(task, "write", path);
    }
    return pawl_task_build(task, "{path: %s, sha256: %s}", path, sha256);
}

const pawl_value *pw_release_verify(pawl_task *task, const pawl_value *input)
{
    const char *folder = pawl_str(input, "path", "");
    const pawl_value *artefacts = pawl_get(input, "artefacts");
    for (size_t i = 0; i < pawl_len(artefacts); i++) {
        const pawl_value *artefact = pawl_at(artefacts, i);
        char sha256[PW_SHA256_TEXT];
        char message[400];
        int64_t bytes = 0;
        const bool read = pw_file_sha256(pw_path_join(task, folder, pawl_str(artefact, "path", "")),
                                         sha256, &bytes);
        if (!read || !pawl_is(artefact, "sha256", sha256)) {
            (void)snprintf(message, sizeof message, "%.200s was published damaged",
                           pawl_str(artefact, "path", ""));
            return pawl_task_fail_with(task, "VerifyFailed", message, NULL, false);
        }
    }
    const pawl_value *argv = pawl_get(input, "argv");
    if (argv != NULL && pw_release_run_value(task, argv, folder, "VerifyFailed") == NULL) {
        return NULL;
    }
    return pawl_task_build(task, "{files: %zu}", pawl_len(artefacts));
}
