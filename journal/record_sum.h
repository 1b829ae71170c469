/*
 * record_sum.h - the checksum of one journal record: XXH3 over its bytes, mixed with where it
 * belongs.
 *
 * A record that was moved to another run or sequence number is as damaged as one with a flipped
 * bit.
 */
#ifndef PW_RECORD_SUM_H
#define PW_RECORD_SUM_H

#include <endian.h>

#include "sdk/base/hash.h"

static inline int64_t pw_record_sum(int64_t run, int64_t first_seq, int64_t events, pw_view bytes)
{
    uint64_t place[3] = {htole64((uint64_t)run), htole64((uint64_t)first_seq),
                         htole64((uint64_t)events)};
    uint64_t sum = pw_checksum(bytes.data, bytes.size) ^
                   (pw_checksum(place, sizeof(place)) * 0x9e3779b97f4a7c15u);
    return (int64_t)sum;
}

#endif
