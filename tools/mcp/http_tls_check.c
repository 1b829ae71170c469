/*
 * http_tls_check.c - certificate and key as OpenSSL sees them: it says which file is wrong, and how. Does not keep them.
 */
#include "tools/mcp/http_tls.h"
#include "tools/tls.h"

pawl_status pw_http_tls_check(const char *cert_file, const char *key_file, pawl_error *err)
{
    pw_tls_ctx *ctx = NULL;
    const pawl_status st = pw_tls_server_new(cert_file, key_file, &ctx, err);
    pw_tls_ctx_free(ctx);
    return st;
}
