/*
 * module.c - modules: shared objects with workflows and activities.
 *
 * A module is opened RTLD_LOCAL, checked, and given the function table; from then on it stays mapped for the life of the process, since a run's
 * stack, a queued task or an activity that does not end may hold its code. Nothing of a module is trusted to fit but what its entry says
 * of its ABI. Does not search for modules, and does not look into them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/host.h"
#include "sdk/base/mem.h"

#include "engine/module.h"

struct pw_module {
    void *handle;
    pw_module *next;
};

static const pawl_module_api table = {
    .abi = PAWL_MODULE_ABI,
    .table_size = sizeof(pawl_module_api),
    .version = PAWL_VERSION,
#define PAWL_MODULE_X(returns, name, params, args) .name = name,
#define PAWL_MODULE_V(name, params, args) .name = name,
#define PAWL_MODULE_T(returns, name, params) .name = name,
#include "sdk/pawl_module.def"
#undef PAWL_MODULE_X
#undef PAWL_MODULE_V
#undef PAWL_MODULE_T
};

/* ---- what a module's entry may call ---- */

static pawl_status reg_workflow(pawl_module_registrar *reg, const char *name, const char *version,
                                pawl_workflow_fn fn, const pawl_workflow_options *options,
                                pawl_error *err)
{
    return pawl_register_workflow(reg->engine, name, version, fn, options, err);
}

static pawl_status reg_folded(pawl_module_registrar *reg, const char *name, const char *version,
                              const pawl_folded *folded, const pawl_workflow_options *options,
                              pawl_error *err)
{
    return pawl_register_folded(reg->engine, name, version, folded, options, err);
}

static pawl_status reg_activity(pawl_module_registrar *reg, const char *name, pawl_activity_fn fn,
                                const pawl_activity_options *options, pawl_error *err)
{
    return pawl_register_activity(reg->engine, name, fn, options, err);
}

/* ---- the list ---- */

static bool is_loaded(pawl_engine *e, const void *handle)
{
    bool found = false;

    pthread_mutex_lock(&e->waiters_lock);
    for (const pw_module *m = e->modules; m != NULL; m = m->next) {
        found = found || m->handle == handle;
    }
    pthread_mutex_unlock(&e->waiters_lock);
    return found;
}

static pawl_status remember(pawl_engine *e, void *handle, pawl_error *err)
{
    pw_module *m = pw_calloc(1, sizeof *m);

    if (m == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a module");
    }
    m->handle = handle;
    pthread_mutex_lock(&e->waiters_lock);
    m->next = e->modules;
    e->modules = m;
    pthread_mutex_unlock(&e->waiters_lock);
    return PAWL_OK;
}

void pw_modules_close(pawl_engine *e)
{
    while (e->modules != NULL) {
        pw_module *m = e->modules;
        e->modules = m->next;
        pw_free(m);
    }
}

/* ---- loading ---- */

static pawl_status open_object(const char *path, void **ret_handle, pawl_error *err)
{
    char full[PATH_MAX];

    if (realpath(path, full) == NULL) {
        return pw_err(err, errno == ENOENT || errno == ENOTDIR ? PAWL_NOTFOUND : PAWL_INVALID,
                      "module %.150s: %s", path, strerror(errno));
    }
    void *handle = dlopen(full, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        return pw_err(err, PAWL_INVALID, "module %.100s cannot be loaded: %.130s", path,
                      why != NULL ? why : "no reason given");
    }
    *ret_handle = handle;
    return PAWL_OK;
}

static pawl_status find_entry(const char *path, void *handle, pawl_module_init_fn *ret_entry,
                              pawl_error *err)
{
    void *symbol = dlsym(handle, PAWL_MODULE_ENTRY);

    if (symbol == NULL) {
        return pw_err(
            err, PAWL_INVALID,
            "module %.120s has no %s: is it a pawl module? One has PAWL_MODULE(reg, err) {...} in it",
            path, PAWL_MODULE_ENTRY);
    }
    memcpy(ret_entry, &symbol,
           sizeof symbol); /* ISO C has no cast from an object's pointer to a function's */
    return PAWL_OK;
}

static pawl_status start_module(pawl_module_registrar *reg, const char *path,
                                pawl_module_init_fn entry, pawl_error *err)
{
    pawl_error mine = {.status = PAWL_OK};
    pawl_status status = entry(&table, reg, &mine);

    if (status == PAWL_OK) {
        return PAWL_OK;
    }
    if (mine.message[0] == '\0') {
        (void)pw_err(&mine, status, "its entry answered %s", pawl_status_name(status));
    }
    if (err != NULL) {
        *err = mine;
    }
    return pw_error_wrap(err, status, "module %.100s", path);
}

pawl_status pw_module_load(pawl_engine *e, const char *path, pawl_error *err)
{
    void *handle = NULL;
    pawl_module_init_fn entry = NULL;
    pawl_status status = open_object(path, &handle, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (is_loaded(e, handle)) {
        dlclose(handle); /* gives back the second count only */
        return pw_err(err, PAWL_EXISTS, "module %.150s is loaded already", path);
    }
    status = find_entry(path, handle, &entry, err);
    if (status == PAWL_OK) {
        status = remember(e, handle, err);
    }
    if (status != PAWL_OK) {
        dlclose(handle); /* nothing of it was called */
        return status;
    }
    pawl_module_registrar reg = {.struct_size = sizeof reg,
                                 .engine = e,
                                 .workflow = reg_workflow,
                                 .folded = reg_folded,
                                 .activity = reg_activity};
    return start_module(&reg, path, entry, err);
}

pawl_status pw_module_register(const char *path, pawl_module_registrar *reg, pawl_error *err)
{
    void *handle = NULL;
    pawl_module_init_fn entry = NULL;
    pawl_status status = open_object(path, &handle, err);

    if (status != PAWL_OK) {
        return status;
    }
    status = find_entry(path, handle, &entry, err);
    if (status != PAWL_OK) {
        dlclose(handle);
        return status;
    }
    return start_module(reg, path, entry, err);
}
