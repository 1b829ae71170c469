/*
 * hash_map.h - uthash with our hash function and without its exit() on failure: include this, never <uthash.h>.
 * An insert that finds no memory leaves the element out (hh.tbl stays NULL): callers check.
 */
#ifndef PW_HASH_MAP_H
#define PW_HASH_MAP_H

#include <xxhash.h>

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)XXH3_64bits((keyptr), (keylen)))
#include <uthash.h>
#include <utlist.h>

#endif
