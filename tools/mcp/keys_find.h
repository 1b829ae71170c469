/*
 * keys_find.h - where an issuer says that its keys are: the places of its metadata, and what is believed of a document that was there.
 *
 *   https://id.example.com/tenant   0  https://id.example.com/.well-known/oauth-authorization-server/tenant   (RFC 8414)
 *                                   1  https://id.example.com/.well-known/openid-configuration/tenant
 *                                   2  https://id.example.com/tenant/.well-known/openid-configuration         (OpenID Connect Discovery 1.0)
 *   https://id.example.com          0 and 1, without the path
 *
 * in this order, which is that of the authorization part of MCP. [T28] A document counts only when its `issuer` is that of the rights file, byte for
 * byte, and its `jwks_uri` is https, or at the very address of an issuer on loopback: no document leads to what is inside. Thread: any.
 */
#ifndef PW_MCP_KEYS_FIND_H
#define PW_MCP_KEYS_FIND_H

#include "sdk/base/error.h"
#include "sdk/pawl_value.h"

#define PW_KEYS_URI_BYTES_MAX 1024

/** What an issuer has to be like for its keys to be found by it: a URL that is safe (below), without query, fragment and user. */
bool pw_keys_findable(const char *issuer);
/** https, or http on 127.0.0.1 or [::1]. */
bool pw_keys_uri_is_safe(const char *url);
/** The place of that number; false: there are no more, or it is too long. */
bool pw_keys_place(const char *issuer, unsigned number, char ret_url[PW_KEYS_URI_BYTES_MAX]);
/** Errors: PARSE, DENIED (another issuer's, or keys where none are fetched from), NOTFOUND (no jwks_uri), NOMEM; each says what. */
pawl_status pw_keys_place_read(const char *issuer, const char *json, size_t size,
                               char ret_uri[PW_KEYS_URI_BYTES_MAX], pawl_error *err);

#endif
