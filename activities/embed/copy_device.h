/*
 * copy_device.h - a copy's rows on a device (a GPU), once they have stood still for a search: the same list, found there.
 */
#ifndef PW_EMBED_COPY_DEVICE_H
#define PW_EMBED_COPY_DEVICE_H

#include "activities/embed/copy.h"

typedef struct pw_device_wish {
    bool off;            /* the processor searches */
    const char *library; /* path of libpawl_cuda.so; NULL: where the loader looks */
    size_t rows_min;     /* fewer are the processor's */
} pw_device_wish;

/** As pw_nearest, of the rows of a copy that is held; at the second search since they changed they are put on a device if there is one. What fails there is
 * searched by the processor, and the copy stays with it. Errors: as pw_nearest. */
pawl_status pw_copy_nearest(pw_copy *c, const pw_device_wish *wish, const pw_rows *rows,
                            const pw_search *search, pw_near *ret_near, size_t *ret_len,
                            pawl_error *err) PAWL_MUST_USE;
/** Its rows have changed: what is on the device is given up. The copy is held for writing, or nobody has it. */
void pw_copy_device_drop(pw_copy *c);

#endif
