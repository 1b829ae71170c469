/*
 * workflows.c - the list of what comes with the binary.
 *
 * Does not know the engine: it registers as any program does.
 */
#include "workflows/workflows.h"

#include <stdint.h>

#include "workflows/release.h"

const pw_release_row pw_release_steps[] = {
    {"release.commit", pw_release_commit, PAWL_EFFECT_PURE},
    {"release.snapshot", pw_release_snapshot, PAWL_EFFECT_IDEMPOTENT},
    {"release.build", pw_release_build, PAWL_EFFECT_IDEMPOTENT},
    {"release.test", pw_release_test, PAWL_EFFECT_IDEMPOTENT},
    {"release.find", pw_release_find, PAWL_EFFECT_PURE},
    {"release.hash", pw_release_hash, PAWL_EFFECT_PURE},
    {"release.publish", pw_release_publish, PAWL_EFFECT_IDEMPOTENT},
    {"release.unpublish", pw_release_unpublish, PAWL_EFFECT_IDEMPOTENT},
    {"release.manifest", pw_release_manifest, PAWL_EFFECT_IDEMPOTENT},
    {"release.verify", pw_release_verify, PAWL_EFFECT_PURE},
    {NULL, NULL, PAWL_EFFECT_DEFAULT},
};

static const char release_description[] = "Builds, tests and hashes a commit of a git repository, "
                                          "waits for a person's approval, publishes it to a folder";
#define PATH_TEXT "{\"type\": \"string\", \"pattern\": \"^/\", \"description\": "
#define WORDS "\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"string\"}"

static const char release_schema[] =
    "{\"type\": \"object\", \"required\": [\"repo\", \"build\", \"test\", \"artefacts\", "
    "\"publish_dir\", \"work_dir\"], \"properties\": {"
    "\"repo\": " PATH_TEXT "\"absolute path of a git repository\"},"
    "\"ref\": {\"type\": \"string\", \"description\": \"what to release; default HEAD\"},"
    "\"name\": {\"type\": \"string\", \"pattern\": \"^[^./][^/]*$\", \"description\": \"of the "
    "publication; default: the short commit\"},"
    "\"build\": {" WORDS
    ", \"description\": \"program and arguments, run in a fresh tree of the commit\"},"
    "\"test\": {" WORDS ", \"description\": \"program and arguments, run in the built tree\"},"
    "\"verify\": {" WORDS ", \"description\": \"run in the published folder\"},"
    "\"artefacts\": {" WORDS ", \"description\": \"patterns below the built tree\"},"
    "\"publish_dir\": " PATH_TEXT "\"absolute path: what is published goes below\"},"
    "\"work_dir\": " PATH_TEXT "\"absolute path: the build goes below\"},"
    "\"step_timeout_s\": {\"type\": \"number\", \"description\": \"of each step; default 3600\"},"
    "\"approval_s\": {\"type\": \"number\", \"description\": \"what is not approved by then is rejected; "
    "default: no limit\"},"
    "\"log\": {\"type\": \"string\", \"description\": \"file that each step appends a line to\"}}}";

static const char release_result[] =
    "{\"type\": \"object\", \"required\": [\"name\", \"commit\", \"path\", \"artefacts\"], \"properties\": {"
    "\"name\": {\"type\": \"string\"}, \"commit\": {\"type\": \"string\"}, \"path\": {\"type\": \"string\"},"
    "\"manifest\": {\"type\": [\"string\", \"null\"], \"description\": \"its sha256\"},"
    "\"approved_by\": {\"type\": [\"string\", \"null\"]}, \"artefacts\": {\"type\": \"array\", \"items\": "
    "{\"type\": \"object\", \"properties\": {\"path\": {\"type\": \"string\"}, \"sha256\": {\"type\": \"string\"}, "
    "\"bytes\": {\"type\": \"integer\"}}}}}}";

/* Its steps run what its caller says, so it names no activities: what is said of its effects is the worst (tools/README.md, Publishing). */
static const char release_publish[] = "{\"tool\": {\"title\": \"Release a commit\"}}";

static pawl_status register_steps(pawl_engine *e, pawl_error *err)
{
    for (const pw_release_row *row = pw_release_steps; row->name != NULL; row++) {
        union {
            const pw_release_row *in;
            void *out;
        } user = {.in = row};
        const pawl_activity_options options = {
            .struct_size = sizeof options, .effect = row->effect, .user = user.out};
        const pawl_status status =
            pawl_register_activity(e, row->name, pw_release_step, &options, err);
        if (status != PAWL_OK) {
            return status;
        }
    }
    return PAWL_OK;
}

pawl_status pawl_workflows_register(pawl_engine *e, pawl_error *err)
{
    static const pawl_activity_options exec_options = {
        .struct_size = sizeof exec_options, .description = "Runs a program under a supervisor"};
    static const pawl_workflow_options release_options = {
        .struct_size = sizeof release_options,
        .description = release_description,
        .input_schema = release_schema,
        .output_schema = release_result,
        .publish = release_publish,
    };
    pawl_status status = pawl_register_activity(e, "exec", pawl_activity_exec, &exec_options, err);
    if (status == PAWL_OK) {
        status = register_steps(e, err);
    }
    if (status == PAWL_OK) {
        status = pawl_register_workflow(e, "release", "1", pw_release, &release_options, err);
    }
    return status;
}
