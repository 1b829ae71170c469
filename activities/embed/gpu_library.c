/*
 * gpu_library.c - loads libpawl_cuda.so and turns its answers into statuses. It is never unloaded: the CUDA runtime does not survive that. Does not look for
 * devices before it is asked.
 */
#include "activities/embed/gpu_library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/error.h"

pawl_status pw_gpu_status(pw_cuda_status status, const char *message, pawl_error *err)
{
    switch (status) {
    case PW_CUDA_OK:
        return PAWL_OK;
    case PW_CUDA_UNSUPPORTED:
        return pw_err(err, PAWL_UNSUPPORTED, "%s", message);
    case PW_CUDA_NOMEM:
        return pw_err(err, PAWL_NOMEM, "%s", message);
    case PW_CUDA_LOST:
    default:
        return pw_err(err, PAWL_IO, "%s", message);
    }
}

pawl_status pw_gpu_library(const char *path, const pw_cuda_ops **ret_ops, pawl_error *err)
{
    void *library = dlopen(path != NULL ? path : "libpawl_cuda.so", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return pw_err(err, PAWL_NOTFOUND, "no GPU: %s", dlerror());
    }
    pw_cuda_entry entry = NULL;
    void *symbol = dlsym(library, PW_CUDA_ENTRY);
    if (symbol == NULL) {
        return pw_err(err, PAWL_UNSUPPORTED, "libpawl_cuda.so lacks " PW_CUDA_ENTRY);
    }
    memcpy(&entry, &symbol, sizeof entry);
    const pw_cuda_ops *ops = entry();
    if (ops->version != PW_CUDA_VERSION) {
        return pw_err(err, PAWL_UNSUPPORTED, "libpawl_cuda.so is of version %u, %u is wanted",
                      ops->version, PW_CUDA_VERSION);
    }
    *ret_ops = ops;
    return PAWL_OK;
}

uint32_t pw_gpu_without(void)
{
    static const struct {
        const char *word;
        uint32_t what;
    } all[] = {{"graphs", PW_CUDA_WITHOUT_GRAPHS}, {"tensors", PW_CUDA_WITHOUT_TENSORS},
               {"lt", PW_CUDA_WITHOUT_LT},         {"own", PW_CUDA_WITHOUT_OWN},
               {"trial", PW_CUDA_WITHOUT_TRIAL},   {"scatter", PW_CUDA_WITHOUT_SCATTER}};
    const char *said = getenv("PAWL_GPU_WITHOUT");
    uint32_t without = 0;
    for (const char *p = said != NULL ? said : ""; *p != '\0'; p += strspn(p, ",")) {
        const size_t len = strcspn(p, ",");
        for (size_t i = 0; i < PW_COUNT(all); i++) {
            const bool same = strlen(all[i].word) == len && strncmp(all[i].word, p, len) == 0;
            without |= same ? all[i].what : 0;
        }
        p += len;
    }
    return without;
}

int pw_gpu_devices(const char *path)
{
    const pw_cuda_ops *ops = NULL;
    return pw_gpu_library(path, &ops, NULL) == PAWL_OK ? ops->devices(NULL) : 0;
}
