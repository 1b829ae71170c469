/*
 * http_tls.h - certificate and key of the HTTP side. libmicrohttpd does the TLS itself (GnuTLS); what is wrong with the files is said by tools/tls.h,
 * as for workers.
 */
#ifndef PW_MCP_HTTP_TLS_H
#define PW_MCP_HTTP_TLS_H

#include "sdk/base/error.h"

/** The files as libmicrohttpd takes them, after a look at whether they fit each other. Owns: the scope. Errors: INVALID, UNSUPPORTED, IO, NOMEM. */
pawl_status pw_http_tls_read(pawl_scope *scope, const char *cert_file, const char *key_file,
                             const char **ret_cert, const char **ret_key, pawl_error *err);

/** http_tls_check.c; a binary without OpenSSL leaves it to libmicrohttpd. */
pawl_status pw_http_tls_check(const char *cert_file, const char *key_file, pawl_error *err);

#endif
