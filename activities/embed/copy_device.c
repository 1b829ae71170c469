/*
 * copy_device.c - when a copy's rows go to a device, and what happens when one fails. They go whole, at the second search since they changed: one that is
 * filled between searches stays with the processor. One search at a time uses the device; others wait for it, it is faster than what they would do
 * meanwhile.
 *
 * Does not spread rows over several devices, and does not ask a device again that has failed.
 */
#include "activities/embed/copy_device.h"

#include "activities/embed/nearest_gpu.h"
#include "sdk/base/error.h"

void pw_copy_device_drop(pw_copy *c)
{
    pw_index_gpu_close(c->device);
    c->device = NULL;
    c->searches = 0;
}

/* The first search finds them in motion. No device, or none that takes them: never again. */
static void put_there(pw_copy *c, const pw_device_wish *wish, const pw_rows *rows)
{
    pw_rows all = *rows;
    all.wanted = NULL;
    c->searches++;
    if (c->device == NULL && c->searches > 1 && !c->device_failed) {
        c->device_failed = pw_index_gpu_open(&all, wish->library, 0, &c->device, NULL) != PAWL_OK;
    }
}

pawl_status pw_copy_nearest(pw_copy *c, const pw_device_wish *wish, const pw_rows *rows,
                            const pw_search *search, pw_near *ret_near, size_t *ret_len,
                            pawl_error *err)
{
    pawl_status st = PAWL_NOTFOUND;
    if (!wish->off && rows->len > 0 && rows->len >= wish->rows_min) {
        (void)pthread_mutex_lock(&c->device_lock);
        put_there(c, wish, rows);
        if (c->device != NULL) {
            st = pw_nearest_gpu(c->device, rows, search, ret_near, ret_len, NULL);
            if (st != PAWL_OK) {
                c->device_failed = true;
                pw_index_gpu_close(c->device);
                c->device = NULL;
            }
        }
        (void)pthread_mutex_unlock(&c->device_lock);
    }
    return st == PAWL_OK ? st : pw_nearest(rows, search, ret_near, ret_len, err);
}
