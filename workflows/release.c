/*
 * release.c - the release workflow itself; its steps are in release_build.c and release_publish.c.
 *
 * Input: {repo, build: [argv], test: [argv], artefacts: [patterns], publish_dir, work_dir,
 *         ref? (HEAD), name? (of the publication), verify?: [argv], step_timeout_s? (3600), approval_s?, log?}
 * Result: {name, commit, path, manifest, approved_by, artefacts: [{path, sha256, bytes}]}
 *
 * Does not clean up its folder in work_dir: what was built stays for a look.
 */
#include "workflows/release.h"

#include <stdio.h>
#include <string.h>

#include "workflows/release_file.h"

enum { STEPS = 8, SHORT_COMMIT = 12 };

/* work_dir/<run>. */
static const char *folder_of(pawl_run *w, const pawl_value *in, const char *below)
{
    const char *work_dir = pawl_str(in, "work_dir", "");
    const char *run = pw_name_encode(pawl_run_scope(w), pawl_run_id(w));
    const size_t size = strlen(work_dir) + (run != NULL ? strlen(run) : 0) + strlen(below) + 2;
    char *path = pawl_alloc(w, size);
    if (path != NULL && run != NULL) {
        (void)snprintf(path, size, "%s/%s%s", work_dir, run, below);
    }
    return path;
}

static const char *name_of(pawl_run *w, const pawl_value *in, const char *commit)
{
    char *name = pawl_alloc(w, SHORT_COMMIT + 1);
    if (name != NULL) {
        (void)snprintf(name, SHORT_COMMIT + 1, "%s", commit);
    }
    return pawl_str(in, "name", name);
}

/* From the commit to what a person has to look at: {commit, subject, artefacts, tree}. */
static const pawl_value *prepare(pawl_run *w, const pawl_value *in, const char *log)
{
    const double timeout_s = pawl_num(in, "step_timeout_s", 3600);
    const char *tree = folder_of(w, in, "/tree");
    const char *repo = pawl_str(in, "repo", "");

    pawl_progress(w, 0, STEPS, "naming the commit");
    const pawl_value *head = pawl_call(w, "release.commit", .timeout_s = timeout_s,
                                       .input = pawl_json(w, "{repo: %s, ref: %s, log: %s}", repo,
                                                          pawl_str(in, "ref", "HEAD"), log));
    const char *commit = pawl_str(head, "commit", "");

    pawl_progress(w, 1, STEPS, "taking the snapshot");
    const pawl_value *snapshot =
        pawl_call(w, "release.snapshot", .timeout_s = timeout_s,
                  .input = pawl_json(w, "{repo: %s, commit: %s, folder: %s, log: %s}", repo, commit,
                                     folder_of(w, in, ""), log));

    pawl_progress(w, 2, STEPS, "building");
    (void)pawl_call(w, "release.build", .timeout_s = timeout_s,
                    .input = pawl_json(w, "{archive: %s, sha256: %s, tree: %s, argv: %p, log: %s}",
                                       pawl_str(snapshot, "archive", NULL),
                                       pawl_str(snapshot, "sha256", NULL), tree,
                                       pawl_v(pawl_get(in, "build")), log));

    pawl_progress(w, 3, STEPS, "testing");
    (void)pawl_call(w, "release.test", .timeout_s = timeout_s,
                    .input = pawl_json(w, "{tree: %s, argv: %p, log: %s}", tree,
                                       pawl_v(pawl_get(in, "test")), log));

    pawl_progress(w, 4, STEPS, "hashing the artefacts");
    const pawl_value *found =
        pawl_call(w, "release.find", .timeout_s = timeout_s,
                  .input = pawl_json(w, "{tree: %s, patterns: %p, log: %s}", tree,
                                     pawl_v(pawl_get(in, "artefacts")), log));
    const pawl_value *artefacts =
        pawl_map(w, "release.hash", found, .width = 4, .timeout_s = timeout_s);
    return pawl_json(w, "{commit: %s, subject: %s, artefacts: %p, tree: %s}", commit,
                     pawl_str(head, "subject", ""), pawl_v(artefacts), tree);
}

/* Waits for a person. The answer, or nil with failure set. */
static const pawl_value *approve(pawl_run *w, const pawl_value *in, const pawl_value *ready,
                                 const char *name)
{
    char prompt[300];
    const size_t files = pawl_len(pawl_get(ready, "artefacts"));
    (void)snprintf(prompt, sizeof prompt, "Publish %.80s (%zu file%s)? %.150s", name, files,
                   files == 1 ? "" : "s", pawl_str(ready, "subject", ""));
    pawl_progress(w, 5, STEPS, "waiting for approval");
    const pawl_value *answer =
        pawl_ask(w, "approve-release", .prompt = prompt, .choices = "approve|reject",
                 .show = pawl_json(w, "{name: %s, commit: %s, subject: %s, artefacts: %p}", name,
                                   pawl_str(ready, "commit", ""), pawl_str(ready, "subject", ""),
                                   pawl_v(pawl_get(ready, "artefacts"))),
                 .deadline_s = pawl_num(in, "approval_s", 0), .on_deadline = "reject");
    if (pawl_ok(w) && !pawl_is(answer, "choice", "approve")) {
        return pawl_fail(w, "Rejected", "%s said no", pawl_str(answer, "by", "somebody"));
    }
    return answer;
}

/* Publishes what was approved. What fails from here on takes the publication back. */
static const pawl_value *publish(pawl_run *w, const pawl_value *in, const pawl_value *ready,
                                 const char *name, const char *log)
{
    const pawl_value *artefacts = pawl_get(ready, "artefacts");
    pawl_progress(w, 6, STEPS, "publishing");
    const pawl_value *published = pawl_call(
        w, "release.publish", .undo = "release.unpublish",
        .input = pawl_json(w, "{tree: %s, artefacts: %p, publish_dir: %s, name: %s, log: %s}",
                           pawl_str(ready, "tree", ""), pawl_v(artefacts),
                           pawl_str(in, "publish_dir", ""), name, log));
    return pawl_get(published, "path");
}

const pawl_value *pw_release(pawl_run *w, const pawl_value *in)
{
    const char *log = pawl_str(in, "log", NULL);
    const pawl_value *ready = prepare(w, in, log);
    const char *commit = pawl_str(ready, "commit", "");
    const char *name = name_of(w, in, commit);
    pawl_set(w, "commit", pawl_get(ready, "commit"));
    const pawl_value *answer = approve(w, in, ready, name);
    const pawl_value *artefacts = pawl_get(ready, "artefacts");
    const char *path = pawl_str(publish(w, in, ready, name, log), "", "");

    const pawl_value *manifest =
        pawl_json(w,
                  "{name: %s, commit: %s, subject: %s, run: %s, approved_by: %s, published_ms: "
                  "%lld, artefacts: %p}",
                  name, commit, pawl_str(ready, "subject", ""), pawl_run_id(w),
                  pawl_str(answer, "by", NULL), (long long)pawl_now_ms(w), pawl_v(artefacts));
    const pawl_value *written = pawl_call(
        w, "release.manifest",
        .input = pawl_json(w, "{path: %s, manifest: %p, log: %s}", path, pawl_v(manifest), log));
    pawl_progress(w, 7, STEPS, "verifying");
    (void)pawl_call(w, "release.verify",
                    .input = pawl_json(w, "{path: %s, artefacts: %p, argv: %p, log: %s}", path,
                                       pawl_v(artefacts), pawl_v(pawl_get(in, "verify")), log));
    pawl_progress(w, STEPS, STEPS, "released");
    return pawl_json(
        w, "{name: %s, commit: %s, path: %s, manifest: %s, approved_by: %s, artefacts: %p}", name,
        commit, path, pawl_str(written, "sha256", NULL), pawl_str(answer, "by", NULL),
        pawl_v(artefacts));
}
