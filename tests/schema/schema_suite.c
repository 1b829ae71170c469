/*
 * schema_suite.c - the public JSON Schema test suite: schema_suite FOLDER DRAFT [FILE]. FOLDER has tests/DRAFT/NAME.json and remotes/.
 *
 * Every case of every file must come out as it says. Skipped (77) when the suite is not there. Does not run the optional tests.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/mem.h"
#include "sdk/base/schema.h"

#define REMOTE "http://localhost:1234/"
#define SCHEMAS "/usr/lib/python3/dist-packages/jsonschema/schemas"
#define FILE_BYTES_MAX (4 << 20)

typedef struct suite {
    pawl_scope *scope;
    const char *folder, *draft, *only;
    long passed, failed;
} suite;

static const pawl_value *read_json(pawl_scope *scope, const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat at = {0};
    bool small = f != NULL && fstat(fileno(f), &at) == 0 && at.st_size <= FILE_BYTES_MAX;
    char *text = small ? pw_malloc((size_t)at.st_size + 1) : NULL;
    size_t size = text != NULL ? fread(text, 1, (size_t)at.st_size, f) : 0;
    if (f != NULL) {
        (void)fclose(f);
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf bytes = PW_BUF_INIT;
    pawl_error err;
    if (size > 0 && pw_json_parse(&bytes, text, size, PW_JSON_LENIENT, NULL, &err) !=
                        PAWL_OK) { /* (the suite has strings with NUL) */
        (void)fprintf(stderr, "%s: %s\n", path, err.message);
        exit(1);
    }
    pw_free(text);
    return bytes.size > 0 ? pw_value_copy(scope, bytes.data, bytes.size) : NULL;
}

/* The draft is the folder's, also where a schema does not say it. */
static const pawl_value *in_draft(const suite *s, pawl_scope *scope, const pawl_value *schema)
{
    bool seven = strcmp(s->draft, "draft7") == 0 && pawl_typeof(schema) == PAWL_MAP &&
                 pawl_get(schema, "$schema") == NULL;
    return seven ? pawl_with(scope, schema, "$schema",
                             pawl_make_str(scope, "http://json-schema.org/draft-07/schema#"))
                 : schema;
}

static void add_file(const suite *s, pw_schemas *set, const char *uri, const char *path)
{
    const pawl_value *v = in_draft(s, s->scope, read_json(s->scope, path));
    pawl_error err;
    if (v != NULL && pw_schemas_add(set, uri, pw_value_bytes(v), &err) != PAWL_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, err.message);
        exit(1);
    }
}

static bool ends(const char *text, const char *with)
{
    size_t n = strlen(text), m = strlen(with);
    return n >= m && strcmp(text + n - m, with) == 0;
}

/* What the suite serves at localhost:1234. */
static void add_remotes(const suite *s, pw_schemas *set, const char *below)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/remotes/%s", s->folder, below);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        char name[300], file[1024], uri[1024];
        if (e->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s%.200s", below, e->d_name);
        if (!ends(name, ".json")) {
            bool other_draft =
                below[0] == 0 && strncmp(name, "draft", 5) == 0 && strcmp(name, s->draft) != 0;
            (void)snprintf(name + strlen(name), 2, "/");
            if (!other_draft) {
                add_remotes(s, set, name);
            }
            continue;
        }
        (void)snprintf(file, sizeof file, "%s/remotes/%s", s->folder, name);
        (void)snprintf(uri, sizeof uri, REMOTE "%s", name);
        add_file(s, set, uri, file);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void add_meta(const suite *s, pw_schemas *set)
{
    char path[512];
    bool seven = strcmp(s->draft, "draft7") == 0;
    (void)snprintf(path, sizeof path, SCHEMAS "/%s.json", seven ? "draft7" : "draft2020-12");
    add_file(s, set,
             seven ? "http://json-schema.org/draft-07/schema"
                   : "https://json-schema.org/draft/2020-12/schema",
             path);
    const pawl_value *all = seven ? NULL : read_json(s->scope, SCHEMAS "/vocabularies.json");
    for (size_t i = 0; i < pawl_len(all); i++) {
        pawl_error err;
        const char *uri = pawl_key_at(all, i);
        if (strstr(uri, "/2020-12/") != NULL &&
            pw_schemas_add(set, uri, pw_value_bytes(pawl_at(all, i)), &err) != PAWL_OK) {
            (void)fprintf(stderr, "%s: %s\n", uri, err.message);
            exit(1);
        }
    }
}

static void run_group(suite *s, const char *file, const pawl_value *group)
{
    pawl_scope *scope = pawl_scope_new();
    pw_schemas *set = pw_schemas_new();
    pawl_error err = {0};
    PW_CHECK(scope != NULL && set != NULL);
    add_meta(s, set);
    add_remotes(s, set, "");
    const pawl_value *tests = pawl_get(group, "tests");
    pawl_status added = pw_schemas_add(
        set, "", pw_value_bytes(in_draft(s, scope, pawl_get(group, "schema"))), &err);
    for (size_t i = 0; i < pawl_len(tests); i++) {
        const pawl_value *t = pawl_at(tests, i);
        pawl_status st = added;
        if (st == PAWL_OK) {
            st = pw_schema_validate(set, "", pw_value_bytes(pawl_get(t, "data")), NULL, NULL, &err);
        }
        bool wanted = pawl_bool(t, "valid", false);
        bool good = st == (wanted ? PAWL_OK : PAWL_INVALID) && added == PAWL_OK;
        s->passed += good ? 1 : 0;
        s->failed += good ? 0 : 1;
        if (!good) {
            (void)printf("FAILED %s: %s: %s: should be %s; %s %s\n", file,
                         pawl_str(group, "description", ""), pawl_str(t, "description", ""),
                         wanted ? "valid" : "invalid", pawl_status_name(st),
                         st != PAWL_OK ? err.message : "");
        }
    }
    pw_schemas_free(set);
    pawl_scope_free(scope);
}

static void run_file(suite *s, const char *name)
{
    char path[1024];
    pawl_scope *scope = pawl_scope_new();
    PW_CHECK(scope != NULL);
    s->scope = scope;
    (void)snprintf(path, sizeof path, "%s/tests/%s/%s", s->folder, s->draft, name);
    const pawl_value *groups = read_json(scope, path);
    for (size_t i = 0; i < pawl_len(groups); i++) {
        run_group(s, name, pawl_at(groups, i));
    }
    pawl_scope_free(scope);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: schema_suite FOLDER DRAFT [FILE]\n");
        return 2;
    }
    suite s = {.folder = argv[1], .draft = argv[2], .only = argc > 3 ? argv[3] : NULL};
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/%s", s.folder, s.draft);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        (void)printf("skipped: the JSON Schema test suite is not at %s\n", path);
        return 77;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (ends(e->d_name, ".json") && (s.only == NULL || strcmp(s.only, e->d_name) == 0)) {
            run_file(&s, e->d_name);
        }
    }
    (void)closedir(dir);
    (void)printf("%ld cases as the suite has them, %ld not\n", s.passed, s.failed);
    return s.failed == 0 && s.passed > 0 ? 0 : 1;
}
