/*
 * frame.c - cutting a byte stream into frames, and putting lengths before messages.
 *
 * Bytes are kept in one buffer; frames are given out as views into it, and the given part is moved away at the next put, so that a
 * stream of small frames costs one copy. Does not do I/O, does not parse messages.
 */
#include "sdk/base/frame.h"

#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"

void pw_frames_init(pw_frames *f, size_t frame_bytes_max)
{
    f->frame_bytes_max = frame_bytes_max == 0 ? PW_FRAME_BYTES_MAX : frame_bytes_max;
    /* one frame, its head, and what came behind it in the same read */
    pw_buf_init(&f->buf, f->frame_bytes_max + PW_FRAME_HEAD_BYTES + ((size_t)4 << 20));
    f->start = 0;
}

void pw_frames_deinit(pw_frames *f)
{
    pw_buf_deinit(&f->buf);
    f->start = 0;
}

static void drop_given(pw_frames *f)
{
    if (f->start == 0) {
        return;
    }
    memmove(f->buf.data, f->buf.data + f->start, f->buf.size - f->start);
    f->buf.size -= f->start;
    f->start = 0;
}

pawl_status pw_frames_put(pw_frames *f, const void *data, size_t size, pawl_error *err)
{
    drop_given(f);
    pw_buf_put(&f->buf, data, size);
    if (!pw_buf_ok(&f->buf)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a frame of %zu bytes and more", f->buf.size);
    }
    return PAWL_OK;
}

static size_t head(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | (size_t)p[3];
}

pawl_status pw_frames_next(pw_frames *f, pw_view *ret_frame, pawl_error *err)
{
    size_t have = f->buf.size - f->start;

    if (have < PW_FRAME_HEAD_BYTES) {
        return PAWL_DONE;
    }
    size_t size = head(f->buf.data + f->start);
    if (size > f->frame_bytes_max) {
        return pw_err(err, PAWL_LIMIT, "a frame of %zu bytes; at most %zu are taken", size,
                      f->frame_bytes_max);
    }
    if (have - PW_FRAME_HEAD_BYTES < size) {
        return PAWL_DONE;
    }
    *ret_frame = (pw_view){f->buf.data + f->start + PW_FRAME_HEAD_BYTES, size};
    f->start += PW_FRAME_HEAD_BYTES + size;
    return PAWL_OK;
}

bool pw_frames_partial(const pw_frames *f)
{
    return f->buf.size > f->start;
}

size_t pw_frame_begin(pw_buf *out)
{
    size_t begin = out->size;

    pw_buf_put(out, "\0\0\0\0", PW_FRAME_HEAD_BYTES);
    return begin;
}

void pw_frame_end(pw_buf *out, size_t begin)
{
    if (!pw_buf_ok(out)) {
        return;
    }
    size_t size = out->size - begin - PW_FRAME_HEAD_BYTES;
    PW_CHECK(size <= UINT32_MAX);
    out->data[begin] = (uint8_t)(size >> 24);
    out->data[begin + 1] = (uint8_t)(size >> 16);
    out->data[begin + 2] = (uint8_t)(size >> 8);
    out->data[begin + 3] = (uint8_t)size;
}
