/*
 * index_rig.c - the engine, its folder, and the index: made and taken down for each test (index_rig.h). Does not check what is found.
 */
#include "index_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"

void index_must(index_rig *r, pawl_status got, pawl_status expected, const char *what, int line)
{
    if (got != expected) {
        print_error("line %d: %s: %s (%s), %s expected\n", line, what, pawl_status_name(got),
                    got != PAWL_OK ? r->err.message : "", pawl_status_name(expected));
        fail();
    }
}

static void open_all(index_rig *r)
{
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true, .memory = r->memory};
    must(r, pawl_open(r->path, &o, &r->engine, &r->err));
    r->index = index_other(r, "model one", WIDTH);
}

pawl_index *index_other(index_rig *r, const char *identity, uint32_t width)
{
    pawl_index *index = NULL;
    const pawl_index_options o = {.struct_size = sizeof o,
                                  .engine = r->engine,
                                  .width = width,
                                  .identity = identity,
                                  .model = identity};
    must(r, pawl_index_open(&o, &index, &r->err));
    return index;
}

static int set_up(void **state, bool memory)
{
    index_rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->memory = memory;
    r->scope = pawl_scope_new();
    (void)snprintf(r->folder, sizeof r->folder, "/tmp/pawl-index-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->path, sizeof r->path, "%s/j.db", r->folder);
    open_all(r);
    *state = r;
    return 0;
}

int index_setup_memory(void **state)
{
    return set_up(state, true);
}

int index_setup_file(void **state)
{
    return set_up(state, false);
}

static void close_all(index_rig *r)
{
    pawl_close(r->engine, 1000);
    pawl_index_close(r->index);
}

void index_reopen(index_rig *r)
{
    close_all(r);
    open_all(r);
}

int index_teardown(void **state)
{
    static const char *const files[] = {"", "-wal", "-shm", ".lock", ".sock", ".crumb", ".ballast"};
    index_rig *r = *state;
    close_all(r);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[140];
        (void)snprintf(path, sizeof path, "%s%s", r->path, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(r->folder);
    pawl_scope_free(r->scope);
    free(r);
    return 0;
}

void index_put_one(index_rig *r, const char *name, const char *key, const char *text,
                   const float *vector, const index_labels *labels)
{
    const char *list[8];
    size_t len = 0;
    float made[WIDTH] = {1};
    char *words = pw_strdup(r->scope, labels->tags != NULL ? labels->tags : "");
    char *rest = NULL;
    for (char *w = strtok_r(words, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        list[len++] = w;
    }
    made[1 + strlen(text) % (WIDTH - 1)] = 1;
    const pawl_index_item item = {.key = key,
                                  .text = {text, strlen(text)},
                                  .vector = vector != NULL ? vector : made,
                                  .workspace = labels->workspace,
                                  .tags = list,
                                  .tags_len = len};
    must(r, pawl_index_put(r->index, name, &item, 1, NULL, &r->err));
}

const char *index_keys(const pawl_value *found, pawl_scope *scope)
{
    char *keys = pawl_scope_alloc(scope, 4096);
    size_t size = 0;
    for (size_t i = 0; i < pawl_len(found) && size < 4000; i++) {
        size += (size_t)snprintf(keys + size, 4096 - size, "%s ",
                                 pawl_str(pawl_at(found, i), "key", "?"));
    }
    return keys;
}

const char *index_find(index_rig *r, const char *name, const pawl_index_query *q)
{
    const pawl_value *found = NULL;
    must(r, pawl_index_search(r->index, name, q, r->scope, &found, &r->err));
    return index_keys(found, r->scope);
}
