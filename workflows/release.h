/*
 * release.h - the release workflow: a commit becomes a published folder, with a person's yes in between.
 *
 *   commit -> snapshot -> build -> test -> find -> hash (one task an artefact) -> ask -> publish -> manifest -> verify
 *                                                                                  ^ taken back when something after it fails
 *
 * Folders of a run, below the input's work_dir:  <run id>/<commit>.tar (the snapshot)  <run id>/tree (what is built)
 * What it publishes:                             publish_dir/<name>/...  with manifest.json and .pawl-release (who made it)
 */
#ifndef PW_RELEASE_H
#define PW_RELEASE_H

#include "sdk/pawl_workflow.h"

/** One step's code. Input as the workflow wrote it; NULL with the task failed, or the result. */
typedef const pawl_value *(*pw_release_fn)(pawl_task *task, const pawl_value *input);

const pawl_value *pw_release_commit(pawl_task *task,
                                    const pawl_value *input); /* {repo, ref} -> {commit, subject} */
const pawl_value *pw_release_snapshot(
    pawl_task *task,
    const pawl_value *input); /* {repo, commit, folder} -> {archive, sha256, bytes} */
const pawl_value *
pw_release_build(pawl_task *task,
                 const pawl_value *input); /* {archive, sha256, tree, argv} -> {ms, tail} */
const pawl_value *pw_release_test(pawl_task *task,
                                  const pawl_value *input); /* {tree, argv} -> {ms, tail} */
const pawl_value *
pw_release_find(pawl_task *task,
                const pawl_value *input); /* {tree, patterns} -> [{tree, path, log}] */
const pawl_value *
pw_release_hash(pawl_task *task,
                const pawl_value *input); /* {tree, path} -> {path, sha256, bytes} */
const pawl_value *
pw_release_publish(pawl_task *task,
                   const pawl_value *input); /* {tree, artefacts, publish_dir, name} -> {path} */
const pawl_value *
pw_release_unpublish(pawl_task *task,
                     const pawl_value *input); /* {input, result} of publish -> {removed} */
const pawl_value *
pw_release_manifest(pawl_task *task,
                    const pawl_value *input); /* {path, manifest} -> {path, sha256} */
const pawl_value *
pw_release_verify(pawl_task *task,
                  const pawl_value *input); /* {path, artefacts, argv} -> {files} */

/** The workflow. */
const pawl_value *pw_release(pawl_run *w, const pawl_value *input);
/** Runs the step that user (a row of the table in workflows.c) names, between two lines of the side-effect log. */
const pawl_value *pw_release_step(pawl_task *task, const pawl_value *input, void *user);

typedef struct pw_release_row {
    const char *name;
    pw_release_fn fn;
    pawl_effect effect;
} pw_release_row;

/** The steps; ends with a row without name. */
extern const pw_release_row pw_release_steps[];

#endif
