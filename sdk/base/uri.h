/*
 * uri.h - references to URIs, as RFC 3986 (5.2) resolves them. Does not normalise percent-encoding, does not look anything up.
 */
#ifndef PW_URI_H
#define PW_URI_H

#include "sdk/base/arena.h"

/** The absolute URI of `ref` seen from `base`, without its fragment. NULL when out of memory. */
const char *pw_uri_join(pawl_scope *scope, const char *base, const char *ref);
/** What stands behind '#', percent-decoded; "" when there is none. */
const char *pw_uri_fragment(pawl_scope *scope, const char *ref);

#endif
