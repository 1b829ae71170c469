/*
 * frame.h - the frames of every byte stream of ours: a length, then one msgpack message.
 *
 *     +----------------------+---------------------------+
 *     | size: u32 big-endian | size bytes of one message |
 *     +----------------------+---------------------------+
 *
 * The reader takes bytes as they come, in any pieces, and gives whole frames back. A claimed size is never allocated: memory grows
 * with the bytes that arrived. It does not look into a message; pw_mp_check does.
 */
#ifndef PW_FRAME_H
#define PW_FRAME_H

#include "sdk/base/mp.h"

#define PW_FRAME_HEAD_BYTES 4

typedef struct pw_frames {
    pw_buf buf; /* what came and was not given yet, from `start` */
    size_t start;
    size_t frame_bytes_max;
} pw_frames;

void pw_frames_init(pw_frames *f, size_t frame_bytes_max); /* 0 = PW_FRAME_BYTES_MAX */
void pw_frames_deinit(pw_frames *f);
/** Takes bytes in. Errors: NOMEM. */
pawl_status pw_frames_put(pw_frames *f, const void *data, size_t size, pawl_error *err);
/** The next whole frame; valid until the next put. DONE when more bytes are needed, LIMIT when the claimed size is beyond the maximum (the
 * stream cannot go on then). */
pawl_status pw_frames_next(pw_frames *f, pw_view *ret_frame, pawl_error *err);
/** True in the middle of a frame: an end of the stream here has cut one. */
bool pw_frames_partial(const pw_frames *f);

/** Leaves room for the length and returns where; write the message, then end. */
size_t pw_frame_begin(pw_buf *out);
void pw_frame_end(pw_buf *out, size_t begin);

#endif
