/*
 * pawl_module.h - workflows and activities in a shared object that `pawl serve --module` or pawl_load_module takes in.
 *
 *     #include <pawl_module.h>
 *
 *     static const pawl_value *greet(pawl_task *t, const pawl_value *in, void *user)
 *     {
 *         (void)user;
 *         return pawl_task_build(t, "{text: %s}", pawl_str(in, "name", "you"));
 *     }
 *
 *     static const pawl_value *hello(pawl_run *w, const pawl_value *in)
 *     {
 *         return pawl_call(w, "greet", .input = in);
 *     }
 *
 *     PAWL_MODULE(reg, err)
 *     {
 *         pawl_status status = reg->activity(reg, "greet", greet, NULL, err);
 *         return status != PAWL_OK ? status : reg->workflow(reg, "hello", "1", hello, NULL, err);
 *     }
 *
 *     cc -shared -fPIC -o hello.so hello.c        # no -lpawl: a module never links libpawl
 *
 * How it works: the host hands a table of functions over, and PAWL_MODULE gives the module its own copy of each name in pawl_module.def that goes
 * through that table. So the code is the same as in a program that links libpawl, and the symbols of the host, of other modules and of
 * another libpawl in the process do not matter. A function that is not in the table (those of pawl.h) does not link. Every file of a module includes
 * this header, first of pawl's; PAWL_MODULE stands in exactly one.
 *
 * The rules: one module is loaded once and stays until its engine is closed. Its code is pinned by the name and version of its workflows, as
 * any other.
 *
 * Owns: what an entry registers is copied, functions and `user` excepted; the module stays in memory as long as the engine.
 * Replay: a module's workflows and activities are as those of a program: pawl_workflow.h, pawl_activity.h.
 * Clean as C99 and C++11. Thread: the entry is called on the thread of pawl_load_module; the rest as the headers of the functions say.
 */
#ifndef PAWL_MODULE_H
#define PAWL_MODULE_H

#if !defined(PAWL_API) && !defined(PAWL_MODULE_HOST) && defined(__GNUC__)
#define PAWL_API    \
    __attribute__(( \
        visibility("hidden"))) /* of this module: what is not in the table does not link */
#endif

#include <stdio.h>

#include "pawl.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Counts changes that old modules do not survive. Functions appended to the table do not change it. */
#define PAWL_MODULE_ABI 1

/** What the host offers. */
typedef struct pawl_module_api {
    uint32_t abi;        /**< PAWL_MODULE_ABI of the host */
    uint32_t table_size; /**< sizeof(pawl_module_api) of the host */
    const char *version; /**< PAWL_VERSION of the host */
#define PAWL_MODULE_X(returns, name, params, args) returns(*name) params;
#define PAWL_MODULE_V(name, params, args) void(*name) params;
#define PAWL_MODULE_T(returns, name, params) returns(*name) params;
#include "pawl_module.def"
#undef PAWL_MODULE_X
#undef PAWL_MODULE_V
#undef PAWL_MODULE_T
} pawl_module_api;

/** Where a module's entry registers its code; valid during the entry only. The arguments are those of pawl_register_*. */
typedef struct pawl_module_registrar pawl_module_registrar;
struct pawl_module_registrar {
    uint32_t struct_size;
    pawl_engine *engine; /**< the host's; not the module's to use */
    pawl_status (*workflow)(pawl_module_registrar *reg, const char *name, const char *version,
                            pawl_workflow_fn fn, const pawl_workflow_options *options,
                            pawl_error *err);
    pawl_status (*folded)(pawl_module_registrar *reg, const char *name, const char *version,
                          const pawl_folded *folded, const pawl_workflow_options *options,
                          pawl_error *err);
    pawl_status (*activity)(pawl_module_registrar *reg, const char *name, pawl_activity_fn fn,
                            const pawl_activity_options *options, pawl_error *err);
};

/** The entry of a module; PAWL_MODULE writes it. */
typedef pawl_status (*pawl_module_init_fn)(const pawl_module_api *api, pawl_module_registrar *reg,
                                           pawl_error *err);
#define PAWL_MODULE_ENTRY "pawl_module_init"

#if defined(__GNUC__)
#define PAWL_MODULE_EXPORT __attribute__((visibility("default")))
#else
#define PAWL_MODULE_EXPORT
#endif

#define PAWL_MODULE_TEXT_MAX 1024 /* of a failure's message or a log line that a module formats */

/** Both numbers of both sides, when they do not fit each other. */
static inline pawl_status pawl_module_check(const pawl_module_api *api, pawl_error *err)
{
    if (api->abi == PAWL_MODULE_ABI && api->table_size >= sizeof(pawl_module_api)) {
        return PAWL_OK;
    }
    if (err != NULL) {
        err->status = PAWL_ABI;
        err->file = __FILE__;
        err->line = __LINE__;
        (void)snprintf(
            err->message, sizeof err->message,
            "it was built for pawl " PAWL_VERSION
            " (module ABI %u, table of %u bytes); this is pawl %s (module ABI %u, table of %u "
            "bytes): build it again with this pawl's headers",
            (unsigned)PAWL_MODULE_ABI, (unsigned)sizeof(pawl_module_api), api->version,
            (unsigned)api->abi, (unsigned)api->table_size);
    }
    return PAWL_ABI;
}

/** PAWL_MODULE(reg, err) { ...; return PAWL_OK; } - the entry, and the module's own way to every function of the table. */
#define PAWL_MODULE(reg, err)                                                             \
    static pawl_status pawl_module_main(pawl_module_registrar *reg, pawl_error *err);     \
    PAWL_MODULE_C PAWL_MODULE_EXPORT pawl_status pawl_module_init(                        \
        const pawl_module_api *api, pawl_module_registrar *registrar, pawl_error *error); \
    PAWL_MODULE_C PAWL_MODULE_EXPORT pawl_status pawl_module_init(                        \
        const pawl_module_api *api, pawl_module_registrar *registrar, pawl_error *error)  \
    {                                                                                     \
        pawl_status status = pawl_module_check(api, error);                               \
        if (status != PAWL_OK) {                                                          \
            return status;                                                                \
        }                                                                                 \
        pawl_module_table = api;                                                          \
        return pawl_module_main(registrar, error);                                        \
    }                                                                                     \
    static pawl_status pawl_module_main(pawl_module_registrar *reg, pawl_error *err)

#ifdef __cplusplus
#define PAWL_MODULE_C extern "C"
#else
#define PAWL_MODULE_C
#endif

#ifndef PAWL_MODULE_HOST /* the one side that has the functions themselves */

/* ---- the ways through the table; weak, so that every file of a module may hold them; in parentheses, since some names are macros too ---- */

#if defined(__GNUC__)
#define PAWL_MODULE_WEAK __attribute__((weak))
#else
#define PAWL_MODULE_WEAK
#endif

extern PAWL_API const pawl_module_api *pawl_module_table;
PAWL_MODULE_WEAK const pawl_module_api *pawl_module_table;

#define PAWL_MODULE_X(returns, name, params, args) \
    PAWL_MODULE_WEAK returns(name) params          \
    {                                              \
        return (pawl_module_table->name)args;      \
    }
#define PAWL_MODULE_V(name, params, args) \
    PAWL_MODULE_WEAK void(name) params    \
    {                                     \
        (pawl_module_table->name) args;   \
    }
#define PAWL_MODULE_T(returns, name, params)
#include "pawl_module.def"
#undef PAWL_MODULE_X
#undef PAWL_MODULE_V
#undef PAWL_MODULE_T

/* Variable arguments cannot be handed on as they are: templates go through the forms with va_list, texts are formatted here. */
#define PAWL_MODULE_BUILDS(name, type, through)                                  \
    PAWL_MODULE_WEAK const pawl_value *name(type *subject, const char *fmt, ...) \
    {                                                                            \
        va_list args;                                                            \
        va_start(args, fmt);                                                     \
        const pawl_value *v = pawl_module_table->through(subject, fmt, args);    \
        va_end(args);                                                            \
        return v;                                                                \
    }
PAWL_MODULE_BUILDS(pawl_build, pawl_scope, pawl_vbuild)
PAWL_MODULE_BUILDS(pawl_task_build, pawl_task, pawl_task_vbuild)
PAWL_MODULE_BUILDS(pawl_step_build, pawl_step, pawl_step_vbuild)
PAWL_MODULE_BUILDS(pawl_json, pawl_run, pawl_vjson)
#undef PAWL_MODULE_BUILDS

#define PAWL_MODULE_FAILS(name, type)                                                            \
    PAWL_MODULE_WEAK const pawl_value *name(type *subject, const char *failure, const char *fmt, \
                                            ...)                                                 \
    {                                                                                            \
        char text[PAWL_MODULE_TEXT_MAX];                                                         \
        va_list args;                                                                            \
        va_start(args, fmt);                                                                     \
        (void)vsnprintf(text, sizeof text, fmt, args);                                           \
        va_end(args);                                                                            \
        return pawl_module_table->name(subject, failure, "%s", text);                            \
    }
PAWL_MODULE_FAILS(pawl_task_fail, pawl_task)
PAWL_MODULE_FAILS(pawl_step_fail, pawl_step)
PAWL_MODULE_FAILS(pawl_fail, pawl_run)
#undef PAWL_MODULE_FAILS

PAWL_MODULE_WEAK void pawl_fold_fail(pawl_fold *f, const char *type, const char *fmt, ...)
{
    char text[PAWL_MODULE_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pawl_module_table->pawl_fold_fail(f, type, "%s", text);
}

PAWL_MODULE_WEAK void pawl_log(pawl_run *w, pawl_level level, const char *fmt, ...)
{
    char text[PAWL_MODULE_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pawl_module_table->pawl_log(w, level, "%s", text);
}

#endif /* PAWL_MODULE_HOST */

#ifdef __cplusplus
}
#endif
#endif
