/*
 * hash.h - the engine's name for hash maps and lists (sdk/base/hash_map.h).
 */
#ifndef PW_UTHASH_H
#define PW_UTHASH_H

#include "sdk/base/hash_map.h"

#endif
