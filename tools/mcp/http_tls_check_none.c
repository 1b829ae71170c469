/*
 * http_tls_check_none.c - a binary without OpenSSL does not look: what is wrong with the files is found when libmicrohttpd begins.
 */
#include "tools/mcp/http_tls.h"

pawl_status pw_http_tls_check(const char *cert_file, const char *key_file, pawl_error *err)
{
    (void)cert_file, (void)key_file, (void)err;
    return PAWL_OK;
}
