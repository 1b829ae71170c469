/*
 * index.c - an index opened, and collections made, looked at and removed. Everything goes through one operation of the control protocol at a time, so
 * that it is the same whether the journal's engine is in this process or behind a socket. Does not put (index_put.c) and does not search (index_search.c).
 */
#include "activities/embed/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activities/embed/limits.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define DEVICE_ROWS_MIN \
    100000u /* fewer are searched by the processor in the time that a device's answer takes to come and go */

/* ---- open and close ---- */

static void take_model(pawl_index *index, const pawl_index_options *o)
{
    index->embedder = o->embedder;
    index->width = o->width;
    (void)snprintf(index->model, sizeof index->model, "%s", o->model != NULL ? o->model : "");
    (void)snprintf(index->identity, sizeof index->identity, "%s",
                   o->identity != NULL ? o->identity : "");
    if (o->embedder != NULL) {
        pawl_embed_info info;
        pawl_embed_about(o->embedder, &info);
        index->width = info.width;
        index->tokens_max = info.tokens_max;
        (void)snprintf(index->identity, sizeof index->identity, "%s", info.identity);
        (void)snprintf(index->pooling, sizeof index->pooling, "%s", info.pooling);
    }
}

/* As pawl_embed_options says: what the caller leaves open the environment may say. */
static bool take_device(pawl_index *index, const pawl_index_options *o)
{
    const char *said = o->gpu != NULL ? o->gpu : getenv("PAWL_GPU");
    index->device =
        (pw_device_wish){.off = said != NULL && strcmp(said, "off") == 0,
                         .rows_min = o->gpu_rows_min > 0 ? o->gpu_rows_min : DEVICE_ROWS_MIN};
    if (said != NULL && *said != 0 && !index->device.off) {
        index->library = pw_malloc(strlen(said) + 1);
        if (index->library == NULL) {
            return false;
        }
        memcpy(index->library, said, strlen(said) + 1);
        index->device.library = index->library;
    }
    return true;
}

pawl_status pawl_index_open(const pawl_index_options *options, pawl_index **ret_index,
                            pawl_error *err)
{
    pawl_index_options o;
    memset(&o, 0, sizeof o);
    if (options != NULL) {
        const size_t size = options->struct_size;
        memcpy(&o, options, size == 0 || size > sizeof o ? sizeof o : size);
    }
    if ((o.engine == NULL) == (o.ask == NULL)) {
        return pw_err(err, PAWL_INVALID, "an index needs an engine, or a way to ask one");
    }
    if (o.width > PW_EMBED_WIDTH_MAX || (o.model != NULL && strlen(o.model) > 100) ||
        (o.identity != NULL && strlen(o.identity) > 100)) {
        return pw_err(err, PAWL_INVALID,
                      "width is at most %u, model and identity have at most 100 bytes",
                      PW_EMBED_WIDTH_MAX);
    }
    pawl_index *index = pw_calloc(1, sizeof *index);
    if (index == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for an index");
    }
    if (!take_device(index, &o)) {
        pw_free(index);
        return pw_err(err, PAWL_NOMEM, "no memory for an index");
    }
    index->engine = o.engine;
    index->ask = o.ask;
    index->ask_user = o.ask_user;
    take_model(index, &o);
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    index->threads = processors > 8 ? 8 : processors > 0 ? (unsigned)processors : 1;
    (void)pthread_mutex_init(&index->ask_lock, NULL);
    (void)pthread_mutex_init(&index->held_lock, NULL);
    *ret_index = index;
    return PAWL_OK;
}

void pawl_index_close(pawl_index *index)
{
    if (index == NULL) {
        return;
    }
    while (index->held != NULL) {
        pw_held *h = index->held;
        index->held = h->next;
        pw_copy_deinit(&h->copy);
        pw_free(h);
    }
    pw_free(index->library);
    (void)pthread_mutex_destroy(&index->ask_lock);
    (void)pthread_mutex_destroy(&index->held_lock);
    pw_free(index);
}

/* ---- shared by the files of the index ---- */

pawl_status pw_index_ask(pawl_index *index, const char *op, const pawl_value *args,
                         pawl_scope *scope, const pawl_value **ret_reply, pawl_error *err)
{
    if (args == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    if (index->engine != NULL) {
        return pawl_request(index->engine, op, args, -1, scope, ret_reply, err);
    }
    (void)pthread_mutex_lock(&index->ask_lock);
    const pawl_status st = index->ask(index->ask_user, op, args, scope, ret_reply, err);
    (void)pthread_mutex_unlock(&index->ask_lock);
    return st;
}

pawl_status pw_index_about(pawl_index *index, const char *name, pawl_scope *scope,
                           const pawl_value **ret_about, pawl_error *err)
{
    return name == NULL || name[0] == 0
               ? pw_err(err, PAWL_INVALID, "which collection?")
               : pw_index_ask(index, "index", pawl_build(scope, "{collection: %s}", name), scope,
                              ret_about, err);
}

static void say_model(char *to, size_t size, const char *model, const char *identity, int64_t width,
                      int64_t tokens_max)
{
    char tokens[40] = "";
    if (tokens_max > 0) {
        (void)snprintf(tokens, sizeof tokens, ", %lld tokens", (long long)tokens_max);
    }
    (void)snprintf(to, size, "%.40s (%lld numbers%s, %.8s)",
                   model[0] != 0 ? model : "another model", (long long)width, tokens,
                   identity[0] != 0 ? identity : "no identity");
}

/* [V11] */
pawl_status pw_index_same(const pawl_index *index, const char *name, const pawl_value *about,
                          pawl_error *err)
{
    char theirs[128], ours[128];
    const int64_t width = pawl_int(about, "width", 0);
    if (width == index->width && pawl_is(about, "identity", index->identity)) {
        return PAWL_OK;
    }
    say_model(theirs, sizeof theirs, pawl_str(about, "model", ""), pawl_str(about, "identity", ""),
              width, pawl_int(about, "tokens_max", 0));
    say_model(ours, sizeof ours, index->model, index->identity, index->width, index->tokens_max);
    return pw_err(err, PAWL_CONFLICT, "the vectors of %.60s are of %s, this index's of %s", name,
                  theirs, ours);
}

/* Under held_lock. */
static pw_held *find_held(const pawl_index *index, const char *name)
{
    pw_held *h = index->held;
    while (h != NULL && strcmp(h->name, name) != 0) {
        h = h->next;
    }
    return h;
}

void pw_index_forget(pawl_index *index, const char *name)
{
    (void)pthread_mutex_lock(&index->held_lock);
    pw_held *h = find_held(index, name);
    (void)pthread_mutex_unlock(&index->held_lock);
    if (h != NULL) {
        pw_copy_forget(&h->copy);
    }
}

pw_copy *pw_index_copy(pawl_index *index, const char *name)
{
    (void)pthread_mutex_lock(&index->held_lock);
    pw_held *h = find_held(index, name);
    if (h == NULL && (h = pw_calloc(1, sizeof *h)) != NULL) {
        pw_copy_init(&h->copy);
        (void)snprintf(h->name, sizeof h->name, "%s", name);
        h->next = index->held;
        index->held = h;
    }
    (void)pthread_mutex_unlock(&index->held_lock);
    return h != NULL ? &h->copy : NULL;
}

pawl_status pw_index_embed(const pawl_index *index, const pawl_embed_text *texts, size_t len,
                           float *ret_vectors, pawl_error *err)
{
    const pawl_embed_request request = {.struct_size = sizeof request,
                                        .role = PAWL_EMBED_QUERY,
                                        .texts = texts,
                                        .len = len,
                                        .vectors = ret_vectors};
    return index->embedder != NULL
               ? pawl_embed_run(index->embedder, &request, err)
               : pw_err(err, PAWL_UNSUPPORTED,
                        "a text has no vector without a model: open the index with one");
}

/* ---- collections ---- */

static pawl_status create_in(pawl_index *index, const char *name, const char *line,
                             pawl_scope *scope, pawl_error *err)
{
    const pawl_value *about = NULL;
    const pawl_value *args = pawl_build(
        scope,
        "{collection: %s, width: %u, identity: %s, model: %s, dtype: \"float16\", about: %s}", name,
        index->width, index->identity, index->model, line);
    if (index->tokens_max > 0) {
        args = pawl_with(scope, args, "tokens_max", pawl_make_int(scope, index->tokens_max));
        args = pawl_with(scope, args, "pooling", pawl_make_str(scope, index->pooling));
    }
    const pawl_status st = pw_index_ask(index, "index_create", args, scope, NULL, err);
    if (st != PAWL_OK && st != PAWL_CONFLICT) {
        return st;
    }
    /* Another may have been made at the same time, and came first. */
    const pawl_status there = pw_index_about(index, name, scope, &about, err);
    return there == PAWL_OK ? pw_index_same(index, name, about, err) : there;
}

pawl_status pw_index_create(pawl_index *index, const char *name, const char *about, pawl_error *err)
{
    if (index->width == 0) {
        return pw_err(err, PAWL_INVALID, "a collection needs a model, or the width of its vectors");
    }
    pawl_scope *scope = pawl_scope_new();
    const pawl_status st = scope != NULL ? create_in(index, name, about, scope, err)
                                         : pw_err(err, PAWL_NOMEM, "no memory for a request");
    pawl_scope_free(scope);
    return st;
}

pawl_status pawl_index_create(pawl_index *index, const char *name, const char *about,
                              pawl_error *err)
{
    return name != NULL && strncmp(name, PW_INDEX_OURS, sizeof PW_INDEX_OURS - 1) == 0
               ? pw_err(err, PAWL_INVALID,
                        "%.60s: names that begin with " PW_INDEX_OURS
                        " are of collections that pawl keeps itself; choose another",
                        name)
               : pw_index_create(index, name, about, err);
}

pawl_status pawl_index_remove(pawl_index *index, const char *name, pawl_error *err)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *args = scope != NULL ? pawl_build(scope, "{collection: %s}", name) : NULL;
    const pawl_status st = pw_index_ask(index, "index_remove", args, scope, NULL, err);
    pawl_scope_free(scope);
    if (st == PAWL_OK) {
        pw_index_forget(index, name);
    }
    return st;
}

pawl_status pawl_index_items(pawl_index *index, const char *name, int64_t after_id, uint32_t limit,
                             pawl_scope *scope, const pawl_value **ret_items, pawl_error *err)
{
    return pw_index_ask(index, "index_items",
                        pawl_build(scope, "{collection: %s, after: %lld, limit: %u}", name,
                                   (long long)after_id, limit > 0 ? limit : 1000),
                        scope, ret_items, err);
}

pawl_status pawl_index_info(pawl_index *index, const char *name, pawl_scope *scope,
                            const pawl_value **ret_info, pawl_error *err)
{
    return name != NULL
               ? pw_index_about(index, name, scope, ret_info, err)
               : pw_index_ask(index, "index", pawl_build(scope, "{}"), scope, ret_info, err);
}
